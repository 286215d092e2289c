#!/usr/bin/env bash
# demo.sh: an OCI image of Debian with systemd becomes a disk; others look at the disk, and a machine boots from it.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

show() { printf '\n$ %s\n' "$*"; "$@"; }

scripts/need.sh cc e2fsck qemu-system-x86_64 busybox depmod mmdebstrap python3 gzip zstd mount unshare flock
printf '== building banger\n'
cargo build --release --locked --quiet -p banger
banger=${CARGO_TARGET_DIR:-target}/release/banger
printf '== an image: Debian, systemd and an SSH server, in two layers\n'
tests/corpus/build.sh target/corpus debian-boot
tests/boot/fetch-kernel.sh target/kernel
tests/boot/make-initrd.sh target/kernel
mkdir -p target/demo
disk=target/demo/debian.ext4

printf '\n== the image becomes a disk, with one unit added that says how the boot went\n'
show "$banger" build oci:target/corpus/debian-boot -o "$disk" --force --add tests/boot/probe:/
printf '\n== what others see\n'
show ls -lsh "$disk"
show e2fsck -fn "$disk"
show "$banger" ls "$disk" /
show "$banger" stat "$disk" /usr/bin/ping
printf '\n== a machine boots from it (QEMU, software emulation: give it 15 s)\n'
show tests/boot/boot-check.sh --log target/demo/console --fail state=degraded target/kernel "$disk" \
    'banger-probe: state=running multi-user=active'
printf '\nThe disk is %s, what the machine said is target/demo/console.\n' "$disk"
