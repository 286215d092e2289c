#!/usr/bin/env bash
# fetch-kernel.sh SUITE FLAVOUR DIR: Debian's kernel of a suite (bookworm, trixie, sid) in a flavour (cloud, generic, rt), as DIR/vmlinuz and
# DIR/modules, with its name in DIR/version. What is there already is kept, whichever version it is.
#
# It needs neither that suite in this machine's sources nor root: apt gets lists of its own. Since 6.19 a kernel comes in several packages: all that
# linux-image-VERSION depends on and that has VERSION in its name are unpacked over each other.
set -euo pipefail
shopt -s inherit_errexit
[ $# -eq 3 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
suite=$1 flavour=$2
mkdir -p "$3"
dir=$(realpath "$3")
if [ -e "$dir/version" ]; then echo "kernel: $(cat "$dir/version"), in $dir"; exit 0; fi

case $flavour in
    generic) meta=linux-image-amd64 ;;
    cloud | rt) meta=linux-image-$flavour-amd64 ;;
    *) echo "no such flavour: $flavour" >&2; exit 2 ;;
esac

# One set of lists for a suite, made by the first that needs it.
apt=$(dirname "$dir")/apt-$suite
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
exec 9>"$apt/lock"
flock 9
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
# The mirror of this machine's own sources has the other suites, too.
# shellcheck disable=SC2016 # the variable is apt's
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' | grep -m 1 '/debian/$' || true)}
[ -n "$mirror" ] || { echo "there is no mirror of Debian in this machine's sources: set MIRROR=URL" >&2; exit 1; }
echo "deb [signed-by=$keyring] $mirror $suite main" >"$apt/sources.list"
# A mirror may be behind on a suite that changes every day. The signature is checked all the same.
options=(-q -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$apt/lists"
    -o Dir::State::status=/dev/null -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root -o APT::Architecture=amd64
    -o Acquire::Languages=none -o Acquire::Check-Valid-Until=false)
if [ ! -e "$apt/updated" ]; then
    apt-get "${options[@]}" update >"$apt/log"
    touch "$apt/updated"
fi
depends() { apt-cache "${options[@]}" show --no-all-versions "$1" | sed -n 's/^Depends: //p' | tr ',' '\n' | sed 's/^ *//; s/[ (|:].*//'; }

image=$(depends "$meta" | grep -m 1 '^linux-image-')
version=${image#linux-image-}
# Each package once, those that it depends on after it.
packages=("$image")
for ((at = 0; at < ${#packages[@]}; at++)); do
    while read -r name; do
        case $name in
            "linux-image-$version" | "linux-binary-$version" | "linux-modules-$version" | "linux-base-$version") ;;
            *) continue ;;
        esac
        case " ${packages[*]} " in
            *" $name "*) ;;
            *) packages+=("$name") ;;
        esac
    done < <(depends "${packages[at]}")
done

work=$(mktemp -d "$dir/part.XXXXXX")
trap 'rm -rf "$work"' EXIT
(cd "$work" && apt-get "${options[@]}" download "${packages[@]}" >>"$apt/log")
flock -u 9
for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/root"; done
modules=$work/root/usr/lib/modules/$version
[ -d "$modules" ] || modules=$work/root/lib/modules/$version
kernel=$work/root/boot/vmlinuz-$version
[ -e "$kernel" ] || kernel=$modules/vmlinuz
[ -e "$kernel" ] || { echo "no kernel in ${packages[*]}" >&2; exit 1; }
rm -rf "$dir/modules"
mv "$kernel" "$dir/vmlinuz"
mv "$modules" "$dir/modules"
echo "$version" >"$dir/version"
echo "kernel: $version, in $dir: ${packages[*]}"
