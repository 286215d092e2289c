#!/usr/bin/env bash
# test.sh: everything that must hold before a change goes in. Run by `make test`; see CONTRIBUTING.md.
#
# The program's own tests come last, so that their summary is what one reads at the end. How long each stage took stands in
# target/stages and before that summary.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/stage.sh

lint_scripts() {
    local scripts
    mapfile -t scripts < <(find scripts tests bench findings .ci -name '*.sh' -o -path .ci/run -o -path tests/boot/init)
    shellcheck "${scripts[@]}"
    find scripts tests bench -name '*.py' -exec python3 -c 'import ast, sys
for path in sys.argv[1:]: ast.parse(open(path).read(), path)' {} +
}
documentation() { RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --quiet; }
dependencies() {
    scripts/tool.sh cargo-deny 0.20.2
    # Not `advisories`: their list is fetched from a host that builders need not reach. CONTRIBUTING.md says how to ask it.
    target/tools/bin/cargo-deny --all-features check --hide-inclusion-graph bans licenses sources
}
images() {
    local small=(busybox distroless scratch)
    tests/corpus/build.sh target/corpus debian-min debian-edit debian-boot debian-openrc debian-mirror debian-next debian-supervisors "${small[@]}"
    tests/corpus/check-oracle.sh target/corpus debian-min debian-edit debian-boot debian-openrc "${small[@]}"
}
machine() {
    scripts/tool.sh vhost-device-vsock 0.3.0
    tests/boot/fetch-kernel.sh target/kernel
    tests/boot/make-initrd.sh target/kernel
}

stage 'what this machine needs' scripts/need.sh cc shellcheck python3 gzip tar zstd cmp kill script \
    mount losetup findmnt unshare setpriv flock getfattr setfattr getfacl setfacl bsdtar \
    e2fsck mke2fs mkfs.btrfs debugfs dumpe2fs resize2fs tune2fs \
    prlimit docker-registry openssl mmdebstrap skopeo umoci jq qemu-system-x86_64 qemu-img qemu-io \
    busybox depmod modprobe ssh ssh-keygen cpio xz ip nsenter chroot ldd \
    ar dpkg-deb minisign strace curl socat venv systemd-socket-activate \
    fish mandoc zsh
stage 'format' cargo fmt --all --check
stage 'scripts' lint_scripts
stage 'prose' python3 scripts/prose.py
# It waits for the network and for one program at a time, where compiling needs all processors.
stage_beside 'real images' images
stage 'lints' cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
stage 'documentation' documentation
stage 'dependencies' dependencies
stage 'a machine: vsock and a kernel' machine
stage 'compiling the tests' cargo test --workspace --locked --quiet --no-run
stage_join
stage "the daemon's API" tests/schemathesis/run.sh target/debug/bangerd
printf '\n== stages so far\n'
cat target/stages
printf '\n== tests\n'
exec cargo test --workspace --locked --no-fail-fast
