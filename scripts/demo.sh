#!/usr/bin/env bash
# demo.sh: an OCI image of Debian with systemd becomes a disk; others look at the disk, and a machine boots from it. Then a machine of
# banger's own, from an image that is part of the program.
#
# The first half needs Debian's packages: without apt-get it is left out. The second needs no network; it ends with a machine where
# QEMU and a kernel are there.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin
banger=${CARGO_TARGET_DIR:-target}/release/banger
kernel=target/kernel

show() { printf '\n$ %s\n' "$*"; "$@"; }

debian() {
    printf '== an image: Debian, systemd and an SSH server, in two layers\n'
    tests/corpus/build.sh target/corpus debian-boot
    tests/boot/fetch-kernel.sh "$kernel"
    tests/boot/make-initrd.sh "$kernel"
    local disk=target/demo/debian.ext4

    printf '\n== the image becomes a disk, with one unit added that says how the boot went\n'
    show "$banger" build oci:target/corpus/debian-boot -o "$disk" --force --add tests/boot/probe:/
    printf '\n== what others see\n'
    show ls -lsh "$disk"
    show e2fsck -fn "$disk"
    show "$banger" ls "$disk" /
    show "$banger" stat "$disk" /usr/bin/ping
    printf '\n== a machine boots from it (QEMU, software emulation: give it 15 s)\n'
    show tests/boot/boot-check.sh --log target/demo/console --fail state=degraded "$kernel" "$disk" \
        'banger-probe: state=running multi-user=active'
    printf '\nThe disk is %s, what the machine said is target/demo/console.\n' "$disk"
}

hello() {
    local disk=target/demo/hello.ext4 options=()
    printf '\n== an image that is part of banger: its agent, and a command that says hello\n'
    show "$banger" build demo: -o "$disk" --force
    if [ -e "$kernel/version" ]; then options=(--kernel "$kernel/vmlinuz" --modules "$kernel/modules"); fi
    if ! command -v qemu-system-x86_64 >/dev/null; then
        printf '\nThere is no QEMU here: no machine.\n'
        return
    fi
    printf '\n== a machine: its output and its exit status are those of the command\n'
    show "$banger" run --rm "${options[@]}" "$disk"
}

if command -v apt-get >/dev/null; then
    scripts/need.sh cc e2fsck qemu-system-x86_64 busybox depmod mmdebstrap python3 gzip zstd mount unshare flock
fi
printf '== building banger\n'
cargo build --release --locked --quiet -p banger
mkdir -p target/demo
if command -v apt-get >/dev/null; then debian; fi
hello
