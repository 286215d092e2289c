# shellcheck shell=bash
# A system of one file, with an init of its own that knows nothing of banger and sets up nothing that it need not.
mkdir -p "$M"/{bin,sbin,etc,root,tmp,var/log}
chmod 1777 "$M/tmp"
cp "$(command -v busybox)" "$M/bin/busybox"
chmod 755 "$M/bin/busybox"
for applet in sh cat echo sleep ls id ps stat df kill mkdir touch chmod chown grep head umount poweroff reboot; do
    ln -s busybox "$M/bin/$applet"
done
ln -s ../bin/busybox "$M/sbin/init"
mkdir -p "$M/run/app"
echo 'from the image' >"$M/run/app/file"
chown -R 1000:1000 "$M/run/app"
chmod 2750 "$M/run/app"
printf 'root:x:0:0:root:/root:/bin/sh\nguest:x:1000:1000::/:/bin/sh\n' >"$M/etc/passwd"
printf 'root:x:0:\naudio:x:29:guest\nguest:x:1000:\n' >"$M/etc/group"
printf 'ID=busybox\nPRETTY_NAME="busybox and nothing else"\n' >"$M/etc/os-release"
cat >"$M/etc/inittab" <<'INITTAB'
::sysinit:/bin/echo busybox: init has begun
::wait:/bin/sh /etc/rc
::respawn:/bin/sleep 1000
::shutdown:/bin/echo busybox: init ends
::shutdown:/bin/umount -a -r
INITTAB
cat >"$M/etc/rc" <<'RC'
echo "busybox: rc ran as process $$ below $PPID"
RC
