#!/bin/sh
# guest.sh AGENT LINE LOOK: in a network namespace of a guest's own, the agent with a kernel's command line LINE; LOOK is a command that then
# looks at what it did.
#
# The guest's root is memory, with this machine's programs in it: whatever is written, is written there.
set -eu
agent=$1 line=$2 look=$3

root=$(mktemp -d)
mount -t tmpfs guest "$root"
cd "$root"
mkdir -p bin dev etc lib lib64 proc run sys tmp usr
for directory in bin lib lib64 usr; do
    [ ! -e "/$directory" ] || mount --rbind "/$directory" "$directory"
done
mount -t proc proc proc
mount -t sysfs sysfs sys
: >dev/null
mount --bind /dev/null dev/null
mount -t tmpfs local usr/local
mkdir -p usr/local/bin usr/local/libexec usr/local/lib/banger
cp "$agent" usr/local/bin/banger-vsock-agent
ln -s ../bin/banger-vsock-agent usr/local/libexec/banger-network-bootstrap
echo '{"version":1,"boot":{"mode":"systemd","why":"a test"}}' >usr/local/lib/banger/guest.json
echo "$line" >tmp/cmdline
mount --bind tmp/cmdline proc/cmdline

# As distributions have it, and what a DHCP client without an address does not get along with.
for name in all eth0; do
    echo 2 >"proc/sys/net/ipv4/conf/$name/rp_filter"
done

chroot . /usr/local/libexec/banger-network-bootstrap
exec chroot . /bin/sh -c "$look"
