#!/usr/bin/env bash
# check-oracle.sh DIR NAME...: is the oracle right? Unpacks DIR/NAME with umoci, as root, and compares the tree with
# DIR/NAME.expected.jsonl. Needs root (or sudo) and umoci.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
[ "$(id -u)" = 0 ] || exec sudo "$0" "$@"
here=$(cd "$(dirname "$0")" && pwd)
out=$1; shift
bundle=$(mktemp -d "$out/umoci.XXXXXX")
trap 'rm -rf "$bundle"' EXIT
for name; do
    rm -rf "$bundle/tree"
    umoci --log=error unpack --image "$out/$name:latest" "$bundle/tree"
    python3 "$here/oracle.py" tree "$bundle/tree/rootfs" "$bundle/found.jsonl"
    echo "umoci's $name, compared with the oracle's:"
    # Go's library takes an extended attribute without a value for none. GNU tar and Python keep it, and so do we.
    sed 's/"user.empty": "", //' "$out/$name.expected.jsonl" >"$bundle/expected.jsonl"
    python3 "$here/oracle.py" diff "$bundle/expected.jsonl" "$bundle/found.jsonl"
done
