# shellcheck shell=bash
# A mirror inside of the image, of all that an SSH server needs here: packages are installed from it without a network.
cp -L /etc/resolv.conf "$M/etc/resolv.conf"
in_image apt-get -q update
in_image apt-get -q -y --no-install-recommends --download-only install openssh-server
rm "$M/etc/resolv.conf"
mkdir -p "$M/srv/mirror"
mv "$M"/var/cache/apt/archives/*.deb "$M/srv/mirror/"
for package in "$M"/srv/mirror/*.deb; do
    dpkg-deb -f "$package"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$(basename "$package")" "$(stat -c %s "$package")" \
        "$(sha256sum <"$package" | cut -d' ' -f1)"
done >"$M/srv/mirror/Packages"
echo 'deb [trusted=yes] file:/srv/mirror ./' >"$M/etc/apt/sources.list"
rm -rf "$M"/etc/apt/sources.list.d/* "$M"/var/lib/apt/lists/* "$M"/var/log/apt/*
forget
