# shellcheck shell=bash
# systemd where least comes with it: no udev, no kmod, no libkmod. Names are resolved by systemd-resolved, and nothing is configured.
add_packages systemd systemd-sysv systemd-resolved dbus
rm -rf "$M"/var/lib/apt/lists/* "$M"/var/cache/apt/archives/*.deb
# As its package leaves it on a machine; where the image is made, a file of that machine is mounted there.
ln -sf ../run/systemd/resolve/stub-resolv.conf "$M/etc/resolv.conf"
# What an image brings by accident, when a program of it has run while it was made.
mkdir -p "$M/var/lib/dbus" "$M/var/lib/systemd"
echo 0123456789abcdef0123456789abcdef >"$M/var/lib/dbus/machine-id"
head -c 512 /dev/zero >"$M/var/lib/systemd/random-seed"
