# shellcheck shell=dash
# next.sh: run in a guest with systemd and systemd-resolved by next.rs and by tests/matrix/run.sh. With the argument `serve` there is a name server
# in the guest, at the address of its network card, which knows one answer.
if [ "$1" = serve ]; then
    perl -MSocket -e '
        socket(S, PF_INET, SOCK_DGRAM, 0) && bind(S, sockaddr_in(53, inet_aton("10.0.2.15"))) || die "name server: $!";
        while (defined(my $from = recv(S, my $query, 512, 0))) {
            my $question = substr($query, 12, index($query, "\0", 12) + 5 - 12);
            my $is_a = unpack("n", substr($question, -4)) == 1;
            my $answer = $is_a ? "\xc0\x0c" . pack("nnNn", 1, 1, 60, 4) . inet_aton("192.0.2.77") : "";
            send(S, substr($query, 0, 2) . pack("n5", 0x8180, 1, $is_a ? 1 : 0, 0, 0) . $question . $answer, 0, $from);
        }' &
fi
echo "state $(systemctl is-system-running --wait)"
systemctl --no-legend --plain --state=failed list-units | sed 's/^/failed /'
echo "version $(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')"
echo "id $(cat /etc/machine-id)"
echo "id-of-dbus $(cat /var/lib/dbus/machine-id)"
echo "static-nodes $(systemctl show --property=ConditionResult --value kmod-static-nodes.service)"
echo "vsock $(grep -c '^vmw_vsock_virtio_transport ' /proc/modules)"
echo "asked $(resolvectl dns | tr '\n' ' ')"
echo "resolver $(grep '^nameserver' /etc/resolv.conf | tr '\n' ' ')"
echo "stub $(readlink /etc/resolv.conf) $(grep -c '^nameserver 127.0.0.53' /etc/resolv.conf)"
if [ "$1" = serve ]; then
    echo "answer $(getent ahostsv4 machine.example | head -n 1)"
fi
exit 3
