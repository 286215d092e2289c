#!/usr/bin/env bash
# as-root.sh COMMAND...: runs COMMAND as root, through sudo where that is needed.
set -euo pipefail
if [ "$(id -u)" = 0 ]; then exec "$@"; fi
command -v sudo >/dev/null || { echo "as-root: neither root nor sudo: cannot run: $*" >&2; exit 1; }
exec sudo -- "$@"
