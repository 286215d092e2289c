#!/bin/sh
# net.sh DIRECTORY SERVER COMMAND...: a link between two network namespaces: on this side 10.77.0.1, and a DHCP server if SERVER is dhcp; on the
# other side COMMAND, whose interface is eth0.
#
# To be run in namespaces of its own for the network, mounts and the host name.
set -eu
directory=$1 server=$2
shift 2

ip link add server type veth peer name eth0
unshare -n sleep 120 &
guest=$!
trap 'kill $guest' EXIT
while [ "$(readlink /proc/$guest/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
ip link set eth0 netns "$guest"
ip addr add 10.77.0.1/24 dev server
ip link set server up

if [ "$server" = dhcp ]; then
    cat >"$directory/udhcpd.conf" <<CONFIG
start 10.77.0.20
end 10.77.0.20
interface server
lease_file $directory/leases
pidfile $directory/pid
option subnet 255.255.255.0
option router 10.77.0.1
option dns 10.77.0.53 10.77.0.54
option lease 600
option mtu 1400
CONFIG
    : >"$directory/leases"
    busybox udhcpd -f "$directory/udhcpd.conf" >"$directory/udhcpd.log" 2>&1 &
    trap 'kill $guest $!' EXIT
fi

nsenter --net="/proc/$guest/ns/net" unshare -m --propagation private "$@"
