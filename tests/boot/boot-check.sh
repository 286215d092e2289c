#!/usr/bin/env bash
# boot-check.sh [OPTION...] KERNELDIR IMAGE TEXT...: boots IMAGE and waits for each TEXT on its serial console.
#
#   --timeout SECONDS   for everything together (default 300: this is software emulation)
#   --memory MIB        of the guest (default 768)
#   --fail TEXT         gives up at once when the console shows this (may be repeated)
#   --disk FILE         a second disk, which the guest cannot write to
#   --append WORDS      more kernel arguments
#   --log FILE          keeps the console's output here
#
# KERNELDIR is what fetch-kernel.sh and make-initrd.sh filled. The machine is QEMU's q35 without KVM, with two processors, a virtio disk,
# network card and entropy source. What the guest writes goes to a throw-away overlay: IMAGE is opened for reading only.
# Exit status: 0 when every TEXT was seen, in whatever order; 1 when not, within the time or before the machine
# stopped; 2 for wrong usage.
set -euo pipefail

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0" >&2; exit 2; }
timeout=300 memory=768 append='' log='' kept='' more=()
# What no boot recovers from.
fatal=('Kernel panic - not syncing' 'initrd: FAILED' 'You are in emergency mode' 'Failed to start default target')
while [[ ${1:-} == --* ]]; do
    [ $# -ge 2 ] || usage
    case $1 in
        --timeout) timeout=$2 ;;
        --memory) memory=$2 ;;
        --fail) fatal+=("$2") ;;
        --disk) more=(-drive "file=$2,format=raw,if=none,id=more,readonly=on" -device "virtio-blk-pci,drive=more") ;;
        --append) append=$2 ;;
        --log) kept=$2 ;;
        *) usage ;;
    esac
    shift 2
done
[ $# -ge 3 ] || usage
kernel=$1 image=$2
shift 2
for file in "$kernel/vmlinuz" "$kernel/initrd.img" "$image"; do
    [ -r "$file" ] || { echo "boot-check: cannot read $file" >&2; exit 2; }
done
command -v qemu-system-x86_64 >/dev/null || { echo "boot-check: qemu-system-x86_64 is not installed" >&2; exit 2; }

work=$(mktemp -d)
log=${kept:-$work/console}
: >"$log"
machine=
stop() {
    if [ -n "$machine" ]; then kill "$machine" 2>/dev/null || true; wait "$machine" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 1' INT TERM HUP

# net.ifnames=0: the card is eth0 in every guest. cryptomgr.notests: those tests have been seen to hang by emulation. TERM=dumb and show_status make systemd's lines plain text.
arguments="console=ttyS0 root=/dev/vda rw panic=-1 net.ifnames=0 random.trust_cpu=on cryptomgr.notests"
arguments+=" TERM=dumb systemd.show_status=1 $append"
TMPDIR=$work qemu-system-x86_64 \
    -nodefaults -no-user-config -no-reboot -display none \
    -machine q35 -accel tcg,thread=multi -cpu max -smp 2 -m "$memory" \
    -kernel "$kernel/vmlinuz" -initrd "$kernel/initrd.img" -append "$arguments" \
    -drive "file=$image,format=raw,if=none,id=disk,snapshot=on" -device virtio-blk-pci,drive=disk "${more[@]}" \
    -netdev user,id=net,restrict=on -device virtio-net-pci,netdev=net,romfile= \
    -device virtio-rng-pci \
    -serial "file:$log" </dev/null &
machine=$!

on_console() { grep -aqF -e "$1" "$log"; }
give_up() {
    echo "--- the end of the console of $image ---"
    tail -n 60 "$log"
    echo "boot-check: FAILED after $((SECONDS)) s: $*"
    exit 1
}

SECONDS=0
for text; do
    until on_console "$text"; do
        for bad in "${fatal[@]}"; do
            if on_console "$bad"; then give_up "the console shows: $bad"; fi
        done
        if ! kill -0 "$machine" 2>/dev/null; then
            # The last words may have come after the last look.
            if on_console "$text"; then break; fi
            give_up "the machine stopped before: $text"
        fi
        [ "$SECONDS" -lt "$timeout" ] || give_up "not seen: $text"
        sleep 0.2
    done
    echo "boot-check: ${SECONDS} s: $text"
done
