# shellcheck shell=bash
# lib.sh: what the recipes share. $M is the image's root.

in_image() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb LC_ALL=C DEBIAN_FRONTEND=noninteractive \
    SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" chroot "$M" "$@"; }

add_packages() { # PACKAGE...: no service is started, and no trace of this machine's network stays
    cp -L /etc/resolv.conf "$M/etc/resolv.conf"
    printf '#!/bin/sh\nexit 101\n' >"$M/usr/sbin/policy-rc.d"
    chmod 755 "$M/usr/sbin/policy-rc.d"
    in_image apt-get -q update
    in_image apt-get -q -y --no-install-recommends install "$@"
    rm "$M/etc/resolv.conf" "$M/usr/sbin/policy-rc.d"
    forget
}

forget() { # what would differ from one build to the next, or must differ from one machine to the next
    find "$M/var/log" -type f -delete
    rm -rf "$M"/var/cache/ldconfig/aux-cache "$M"/var/cache/apt/*.bin
    rm -f "$M"/var/cache/debconf/*-old "$M"/var/lib/dpkg/*-old "$M"/etc/{passwd,group,shadow,gshadow,subuid,subgid}-
    rm -f "$M/var/lib/dbus/machine-id" "$M/var/lib/systemd/random-seed" "$M"/etc/ssh/ssh_host_*
    # Empty, it is filled at the first start.
    if [ -e "$M/etc/machine-id" ]; then : >"$M/etc/machine-id"; fi
}
