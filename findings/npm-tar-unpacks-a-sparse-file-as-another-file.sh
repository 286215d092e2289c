#!/usr/bin/env bash
# npm's tar unpacks a sparse file as another file, and reports nothing.
#
# Version: tar 7.5.23 from the npm registry, installed into a temporary directory; the archive is GNU tar's.
# Input: an archive of one file with a hole, by `tar --sparse --format=posix` (GNU's sparse form 1.0).
# Behaviour: the library does not know the records GNU.sparse.*. It takes the member's made-up name and its
# stored size for the file's: in place of "dir/sparse" there is "dir/GNUSparseFile.N/sparse", whose content is
# the map of the holes and the data without them. `strict: true` reports nothing either.
# Output seen:
#   dir/GNUSparseFile.19172/sparse: 102912 bytes
# Exits with 0 while this holds.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-fund --no-audit tar@7.5.23 >/dev/null
mkdir -p files/dir out
head -c 100000 /dev/zero | tr '\0' a > files/dir/sparse
truncate -s 3M files/dir/sparse
tar --format=posix --sparse -C files -cf sparse.tar dir
node -e 'require("tar").x({ file: "sparse.tar", cwd: "out", sync: true, strict: true })'
find out -type f -printf '%P: %s bytes\n'
[ ! -e out/dir/sparse ]
found=$(find out -path '*/GNUSparseFile.*/sparse' -type f)
[ "$(stat -c %s "$found")" -lt 200000 ]
[ "$(head -c 4 "$found")" = "$(printf '2\n0\n')" ]
