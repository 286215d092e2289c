#!/usr/bin/env bash
# podman imports an archive with a sparse file, and can never save or push the image.
#
# Version: podman 4.3.1 (Debian 12), GNU tar 1.34; installed by mmdebstrap into a temporary directory.
# Input: an archive of one file with a hole, by `tar --sparse --format=posix` (GNU's sparse form 1.0).
# Behaviour: `podman import` takes the archive, and the image's file is right. The layer's blob keeps the
# sparse member; what podman notes of it to write the layer again is the member's expanded size. So
# `podman save` writes more than the header announces and stops. The same archive without --sparse is well.
# Output seen:
#   Error: writing blob: archive/tar: write too long
# Exits with 0 while this holds. Needs root.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mmdebstrap --quiet --variant=apt --include=podman,golang-github-containers-common bookworm "$work/root"
cat > "$work/root/tmp/try.sh" <<'INNER'
set -eu
cd /tmp
podman() { command podman --root /tmp/pod --runroot /tmp/podrun --storage-driver vfs --cgroup-manager cgroupfs "$@"; }
command podman --version
mkdir files
{ head -c 100000 /dev/zero | tr '\0' a; } > files/sparse
truncate -s 3M files/sparse
tar --format=posix -C files -cf plain.tar .
tar --format=posix --sparse -C files -cf sparse.tar .
for kind in plain sparse; do
    podman import -q "$kind.tar" "localhost/$kind" >&2
    cmp files/sparse "$(podman image mount "localhost/$kind")/sparse"
    podman save -q -o "$kind.saved" "localhost/$kind" && echo "$kind: saved" || echo "$kind: not saved"
done
INNER
# podman unpacks layers in a root of their own, for which its own root must be a mount.
# shellcheck disable=SC2016
inside='mount --bind "$1" "$1" && mount -t proc proc "$1/proc" && chroot "$1" sh /tmp/try.sh'
out=$(unshare --mount sh -c "$inside" - "$work/root" 2>&1) || true
echo "$out"
grep -q '^plain: saved' <<<"$out"
grep -q 'archive/tar: write too long' <<<"$out"
grep -q '^sparse: not saved' <<<"$out"
