# shellcheck shell=dash
# probe.sh: run in each guest of the matrix that has no systemd: what is process 1, whether it reaps, and whether the agent is well.
echo "process-1 $(cat /proc/1/comm)"
(sleep 0.2 & exec true)
(sh -c 'sleep 0.3 &')
sleep 1
zombies=0
for stat in /proc/[0-9]*/stat; do
    # The state comes after the name, which ends with the last parenthesis.
    state=$(sed 's/.*) \(.\).*/\1/' "$stat" 2>/dev/null) || continue
    [ "$state" != Z ] || zombies=$((zombies + 1))
done
echo "zombies $zombies"
echo "resolver $(grep '^nameserver' /etc/resolv.conf | tr '\n' ' ')"
echo "id $(cat /etc/machine-id 2>/dev/null)"
exit 3
