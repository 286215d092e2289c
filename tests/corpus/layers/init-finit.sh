# shellcheck shell=bash
add_packages finit finit-sysv
rm -rf "$M"/var/lib/apt/lists/* "$M"/var/cache/apt/archives/*.deb
