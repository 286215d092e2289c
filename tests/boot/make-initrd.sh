#!/usr/bin/env bash
# make-initrd.sh DIR: the initial RAM disk DIR/initrd.img for the kernel that fetch-kernel.sh put into DIR.
#
# Debian's kernel has its virtio drivers as modules: the RAM disk loads them, mounts the disk and hands over to its init, and
# does nothing else for the guest. Needs kmod (depmod, modprobe) and a static busybox.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 1 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
dir=$(realpath "$1")
version=$(cat "$dir/version")
PATH=$PATH:/usr/sbin:/sbin

# A bus, a disk, a network card, entropy. ext4 finds its checksum by name at run time, not by a dependency.
wanted=(virtio_pci virtio_blk virtio_net virtio_rng crc32c_generic ext4)

busybox=$(command -v busybox) || { echo "make-initrd: no busybox" >&2; exit 1; }
if ldd "$busybox" >/dev/null 2>&1; then
    echo "make-initrd: $busybox is not static: install busybox-static" >&2; exit 1
fi

stamp=$(cat "$0" "$here/init" "$dir/version" "$busybox" | sha256sum)
if [ "$(cat "$dir/initrd.stamp" 2>/dev/null)" = "$stamp" ] && [ -e "$dir/initrd.img" ]; then exit 0; fi

work=$(mktemp -d "$dir/initrd.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$work/lib/modules" "$root"/{bin,dev,proc,sys,disk,modules}
cp "$busybox" "$root/bin/busybox"
cp "$here/init" "$root/init"
chmod 755 "$root/init"

# modprobe knows the order; depmod tells it, for a tree that was never installed.
ln -s "$dir/modules" "$work/lib/modules/$version"
depmod -b "$work" "$version"
number=10
while read -r verb path _; do
    [ "$verb" = insmod ] || continue # "builtin NAME"
    name=$(basename "$path")
    [ -z "$(find "$root/modules" -name "[0-9]*-$name")" ] || continue
    cp "$path" "$root/modules/$number-$name"
    number=$((number + 1))
done < <(for module in "${wanted[@]}"; do modprobe -d "$work" -S "$version" --show-depends "$module"; done)

(cd "$root" && find . -mindepth 1 | LC_ALL=C sort | "$busybox" cpio -o -H newc -R 0:0 2>/dev/null) |
    gzip -n >"$dir/initrd.part"
mv "$dir/initrd.part" "$dir/initrd.img"
echo "$stamp" >"$dir/initrd.stamp"
echo "initrd: $(stat -c %s "$dir/initrd.img") bytes: $(cd "$root/modules" && echo *)"
