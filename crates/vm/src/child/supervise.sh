# supervise.sh PIDFILE PROGRAM ARGUMENT...: runs the program until it ends, or until our standard input does.
#
# The other end of our standard input is held by who started us, and by nobody else. When that process is gone, however it went,
# the program is killed.
pidfile=$1
shift
exec 3<&0
"$@" 3<&- </dev/null &
program=$!
echo "$program" >"$pidfile"
{
    read -r _ <&3
    kill -KILL "$program"
} 2>/dev/null &
watch=$!
exec 3<&-
wait "$program" 2>/dev/null
status=$?
rm -f "$pidfile"
kill -KILL "$watch" 2>/dev/null
exit "$status"
