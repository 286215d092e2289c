# shellcheck shell=bash
# systemd with udev, and so with kmod.
add_packages systemd systemd-sysv udev dbus
rm -rf "$M"/var/lib/apt/lists/* "$M"/var/cache/apt/archives/*.deb
