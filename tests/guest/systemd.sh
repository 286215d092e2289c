# shellcheck shell=dash
# systemd.sh: run in a guest with systemd by systemd.rs.
echo "state $(systemctl is-system-running --wait)"
echo "multi-user $(systemctl is-active multi-user.target)"
systemctl --no-legend --plain --state=failed list-units | sed 's/^/failed /'
echo "process-1 $(cat /proc/1/comm)"
echo "su $(stat -c '%a %U' "$(readlink -f /bin/su)")"
echo "ping $(getcap "$(readlink -f /bin/ping)")"
# Without groups and rights of its own, and with no group that may ping without: the capability of the file is what counts.
echo 1 0 >/proc/sys/net/ipv4/ping_group_range
setpriv --reuid=65534 --regid=65534 --clear-groups ping -c 1 -W 5 10.0.2.2 >/dev/null
echo "pinged $?"
echo "hostname $(cat /proc/sys/kernel/hostname)"
echo "colour $COLOUR"
echo "address $(ip -4 -o address show scope global | tr '\n' ' ')"
echo "route $(ip route show default)"
echo "resolver $(grep nameserver /etc/resolv.conf | tr '\n' ' ')"
echo "root-bytes $(($(df --output=size -k / | tail -n 1) * 1024))"
echo 'probe: done'
read -r line
echo "line $line"
exit 3
