# shellcheck shell=bash
# What the last step of many image recipes does: delete documentation and caches, change a few files.
rm -rf "$M"/var/lib/apt/lists/* "$M"/var/cache/apt/archives/*.deb "$M"/usr/share/doc/* "$M"/usr/share/man/*
rm "$M"/srv/app/node_modules/package-1*/lib/module-1*.js
printf 'replaced\n' >"$M/etc/motd"
sed -i s/bookworm/BOOKWORM/ "$M/etc/os-release"
chmod 4755 "$M/usr/bin/git"
