#!/usr/bin/env bash
# fetch-kernel.sh DIR: Debian's kernel for virtual machines, as DIR/package.deb, and unpacked as DIR/vmlinuz and DIR/modules.
#
# DIR/modules is the tree /lib/modules/VERSION of the package, DIR/version its name. The package that the meta package
# linux-image-cloud-amd64 depends on today is fetched with apt; what is there already is kept, whichever version it is.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 1 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"
dir=$(realpath "$1")
if [ -e "$dir/version" ] && [ -e "$dir/package.deb" ]; then echo "kernel: $(cat "$dir/version"), in $dir"; exit 0; fi

work=$(mktemp -d "$dir/part.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

package() { # the versioned package behind the meta package
    apt-cache show --no-all-versions linux-image-cloud-amd64 | sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p'
}
download() { name=$(package) && [ -n "$name" ] && apt-get -q -o APT::Sandbox::User=root download "$name"; }
# Package lists may be missing, or older than what the mirrors still have.
download || { "$here/../../scripts/as-root.sh" apt-get -q update; download; }

dpkg-deb -x ./*.deb root
version=${name#linux-image-}
rm -rf "$dir/vmlinuz" "$dir/modules"
mv "root/boot/vmlinuz-$version" "$dir/vmlinuz"
mv "root/lib/modules/$version" "$dir/modules"
chmod 644 "$dir/vmlinuz"
mv ./*.deb "$dir/package.deb"
echo "$version" >"$dir/version"
echo "kernel: $version, in $dir"
