# shellcheck shell=bash
add_packages runit-init
rm -rf "$M"/var/lib/apt/lists/* "$M"/var/cache/apt/archives/*.deb
