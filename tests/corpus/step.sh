#!/usr/bin/env bash
# step.sh LOWER UPPER WORK MOUNT RECIPE: runs RECIPE on an overlay mount of LOWER, so that UPPER holds the difference.
# Run by build.sh in mount and process name spaces of its own. Recipes find the image's root in $M.
set -euo pipefail
lower=$1 upper=$2 work=$3 M=$4 recipe=$5
export M DEBIAN_FRONTEND=noninteractive
here=$(cd "$(dirname "$0")" && pwd)

CORPUS=$here
export CORPUS

# An image without a system: what the recipe makes is all there is, and no program of it is run.
if [ -z "$lower" ]; then
    M=$upper bash -euc '. "$0"; . "$1"' "$here/lib.sh" "$recipe"
    exit
fi

# Every difference must be a whole file or a whole directory, as in an image's layer.
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work,redirect_dir=off,metacopy=off,index=off" "$M"
mount -t proc proc "$M/proc"
mount -t tmpfs -o mode=755 tmpfs "$M/dev"
mount -t tmpfs -o mode=755 tmpfs "$M/run"
mount -t tmpfs -o mode=1777 tmpfs "$M/tmp"
mknod -m 666 "$M/dev/null" c 1 3
mknod -m 666 "$M/dev/zero" c 1 5
mknod -m 666 "$M/dev/full" c 1 7
mknod -m 666 "$M/dev/random" c 1 8
mknod -m 666 "$M/dev/urandom" c 1 9
mknod -m 666 "$M/dev/tty" c 5 0
ln -s /proc/self/fd "$M/dev/fd"

case $recipe in
    *.py) python3 "$recipe" ;;
    *) bash -euc '. "$0"; . "$1"' "$here/lib.sh" "$recipe" ;;
esac
