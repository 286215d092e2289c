#!/usr/bin/env bash
# systemd of Debian trixie (257.13-1~deb13u1): a system that has the package `systemd` and nothing that depends on libkmod2 boots `degraded`.
#
# The package brings /etc/modules-load.d/modules.conf, a link to ../modules, which it does not bring. systemd-modules-load.service has the condition
# ConditionDirectoryNotEmpty=|/etc/modules-load.d, which the dangling link fulfils, so that the unit always runs. Its program needs libkmod before
# it looks for anything to load, and libkmod2 is no dependency of the package since systemd opens it by dlopen(3): it fails although no module
# is asked for.
#
# Seen: "Failed to initialize libkmod context: Operation not supported", exit status 1.
# Exit status 0 while that is so, 1 when it has changed. Needs root, mmdebstrap and Debian's mirror.
set -euo pipefail
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mmdebstrap --quiet --mode=root --variant=essential --include=systemd trixie "$root/tree" >/dev/null
# shellcheck disable=SC2016 # dpkg-query's own variable
version=$(chroot "$root/tree" dpkg-query -W -f '${Version}' systemd)
echo "systemd $version"
[ "$version" = 257.13-1~deb13u1 ] || { echo "another version than the one described"; exit 1; }
[ -z "$(find "$root/tree/usr/lib" -name 'libkmod.so*')" ] || { echo "libkmod is there"; exit 1; }
link=$root/tree/etc/modules-load.d/modules.conf
if [ ! -L "$link" ] || [ -e "$link" ]; then echo "no dangling link"; exit 1; fi
grep -x 'ConditionDirectoryNotEmpty=|/etc/modules-load.d' "$root/tree/usr/lib/systemd/system/systemd-modules-load.service"
status=0
said=$(chroot "$root/tree" /usr/lib/systemd/systemd-modules-load 2>&1) || status=$?
echo "$said"
echo "exit status $status"
[ "$status" = 1 ] && grep -q 'Failed to initialize libkmod context' <<<"$said"
