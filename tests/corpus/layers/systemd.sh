# shellcheck shell=bash
# A system that boots and can be reached. libcap2-bin: without it ping's package cannot give ping its capability.
add_packages systemd systemd-sysv udev dbus openssh-server iproute2 iputils-ping libcap2-bin
rm -rf "$M"/var/lib/apt/lists/* "$M"/var/cache/apt/archives/*.deb

# Host keys are secrets of one machine: made at the first start, as images of clouds do it. Debian's unit checks the
# configuration first, and that fails without keys.
mkdir -p "$M/etc/systemd/system/ssh.service.d"
cat >"$M/etc/systemd/system/ssh.service.d/host-keys.conf" <<'UNIT'
[Service]
ExecStartPre=
ExecStartPre=/usr/bin/ssh-keygen -A
ExecStartPre=/usr/sbin/sshd -t
UNIT
