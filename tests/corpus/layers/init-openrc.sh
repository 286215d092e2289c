# shellcheck shell=bash
# sysvinit's init, which starts OpenRC.
add_packages openrc sysvinit-core
rm -rf "$M"/var/lib/apt/lists/* "$M"/var/cache/apt/archives/*.deb
