#!/bin/sh
# root.sh DIRECTORY AGENT: a root file system for the agent, in DIRECTORY: a static busybox, and the libraries that the agent of a test is linked
# with.
set -eu
directory=$1 agent=$2

cd "$directory"
mkdir -p bin dev etc proc root sbin sys tmp usr/bin usr/sbin usr/local/bin usr/local/libexec usr/local/lib/banger
cp "$(command -v busybox)" bin/busybox
for name in sh mkdir chmod; do ln -s busybox "bin/$name"; done
cp "$agent" usr/local/bin/banger-vsock-agent
ln -s ../bin/banger-vsock-agent usr/local/libexec/banger-first-boot
: >dev/null
ldd "$agent" | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p ".$(dirname "$library")"
    cp -L "$library" ".$library"
done
