# shellcheck shell=bash
# Directories made anew where lower layers have one, which overlayfs marks opaque.
for directory in usr/share/locale srv/app/node_modules/package-0000 var/log; do
    rm -rf "${M:?}/$directory"
    mkdir -p "$M/$directory"
done
echo '# one' >"$M/usr/share/locale/locale.alias"
head -c 20000 /dev/zero >"$M/usr/share/locale/zeros.mo"
mkdir -p "$M/srv/data"
for i in {1..500}; do echo "$i" >"$M/srv/data/f$i"; done
