# shellcheck shell=bash
# One dynamic program with the libraries that it needs, and users by number only: no shell, no passwd.
mkdir -p "$M/usr/bin" "$M/etc" "$M/tmp"
chmod 1777 "$M/tmp"
cc -O2 -Wall -Werror -s -o "$M/usr/bin/report" "$CORPUS/report.c"
ldd "$M/usr/bin/report" | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$M$(dirname "$library")"
    cp -L "$library" "$M$library"
done
printf 'ID=distroless\nPRETTY_NAME="One program and its libraries"\n' >"$M/etc/os-release"
