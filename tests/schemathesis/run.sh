#!/usr/bin/env bash
# run.sh BANGERD: asks a daemon all that its OpenAPI document allows, and much that it does not; whatever is answered must be
# what the document says. schemathesis is the judge.
#
# The daemon has an empty root of its own, no way to any network, and nobody's rights: requests name paths and registries as
# chance has it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$here/../..
PATH=$PATH:/usr/sbin:/sbin
bangerd=$(realpath "$1")
version=4.32.5
"$top/scripts/need.sh" python3 venv setpriv socat
"$top/scripts/python-tool.sh" schemathesis "$version"

work=$(mktemp -d)
pids=()
finish() {
    [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap finish EXIT

cp "$bangerd" "$work/bangerd"
mkdir -m 0700 "$work/home"
as=()
if [ "$(id -u)" = 0 ]; then
    chmod 0755 "$work" "$work/bangerd"
    chown 65534:65534 "$work/home"
    as=(setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs '--bounding-set=-all' --)
fi
socket=$work/home/root/bangerd.sock
# Nothing listens on port 9: what asks for a network gets none.
(cd / && exec "${as[@]}" env -i "PATH=$PATH" "HOME=$work/home" https_proxy=http://127.0.0.1:9 http_proxy=http://127.0.0.1:9 \
    "$work/bangerd" --root "$work/home/root") 2>"$work/log" &
pids+=($!)
for ((i = 0; i < 300; i++)); do
    [ ! -S "$socket" ] || break
    sleep 0.1
done
[ -S "$socket" ] || { echo 'schemathesis: the daemon does not listen:' >&2; cat "$work/log" >&2; exit 1; }

# A port that is free, as socat chooses one.
socat -d -d TCP-LISTEN:0,bind=127.0.0.1,fork "UNIX-CONNECT:$socket" 2>"$work/socat" &
pids+=($!)
port=
for ((i = 0; i < 300; i++)); do
    port=$(sed -n 's/.*listening on AF=2 127\.0\.0\.1:\([0-9]*\)$/\1/p' "$work/socat" | head -n 1)
    [ -z "$port" ] || break
    sleep 0.1
done
[ -n "$port" ] || { echo 'schemathesis: socat does not listen:' >&2; cat "$work/socat" >&2; exit 1; }

cd "$work"
status=0
"$top/target/tools/schemathesis/bin/schemathesis" --config-file "$here/schemathesis.toml" run "$top/docs/openapi.json" \
    --url "http://127.0.0.1:$port" || status=$?
if [ "$status" != 0 ]; then
    echo 'schemathesis: the end of the log of the daemon:' >&2
    tail -n 20 "$work/log" >&2
    exit "$status"
fi
"$top/target/tools/schemathesis/bin/python" "$here/events.py" "http://127.0.0.1:$port" "$top/docs/events.schema.json"
# It lives, and ends in order.
kill -TERM "${pids[0]}"
wait "${pids[0]}" || { echo "schemathesis: the daemon ended with $?" >&2; tail -n 20 "$work/log" >&2; exit 1; }
