# shellcheck shell=bash
# What images bring that are written for container runtimes: programs that want to be PID 1, runtime data with an owner and a mode, a log
# that is a link to standard output, and an /etc/hosts that knows nothing of the machine.
add_packages catatonit dumb-init procps runit s6 tini
rm -rf "$M"/var/lib/apt/lists/* "$M"/var/cache/apt/archives/*.deb
echo 'app:x:1000:1000:app:/home/app:/bin/sh' >>"$M/etc/passwd"
echo 'app:x:1000:' >>"$M/etc/group"
# Programs had a /run of their own until here.
umount "$M/run"
install -d -o 1000 -g 1000 -m 2750 "$M/run/app"
echo 'from the image' >"$M/run/app/file"
ln -s /dev/stdout "$M/var/log/app.log"
echo '127.0.0.1 localhost' >"$M/etc/hosts"
