# shellcheck shell=dash
# inits.sh: run in a guest by inits.rs.
echo "process-1 $(cat /proc/1/comm)"
# A process whose parent is gone, and which is gone itself: it belongs to process 1.
sh -c 'sleep 0 & exit 0'
sleep 1
echo "zombies $(cat /proc/[0-9]*/stat 2>/dev/null | grep -c ') Z ')"
echo "agent $(grep -l banger-vsock-agent /proc/[0-9]*/cmdline 2>/dev/null | head -n 1)"
echo "swappiness $(cat /proc/sys/vm/swappiness)"
echo "files $(ulimit -Sn) $(ulimit -Hn)"
if [ -d /run/app ]; then
    echo "run $(stat -f -c %T /run) $(stat -c '%u:%g %a' /run/app) $(cat /run/app/file)"
fi
if command -v rc-status >/dev/null; then rc-status --all; fi
exit 5
