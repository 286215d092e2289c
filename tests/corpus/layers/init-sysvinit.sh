# shellcheck shell=bash
add_packages sysvinit-core sysv-rc initscripts
rm -rf "$M"/var/lib/apt/lists/* "$M"/var/cache/apt/archives/*.deb
