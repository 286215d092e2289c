#!/usr/bin/env bash
# run.sh [ROW...]: boots inits and kernels of three Debian releases by `banger run`, and prints a table; without arguments all rows of `run.sh --list`.
#
# A row is SUITE/INIT/FLAVOUR: bookworm, trixie or sid; systemd (without udev and kmod, with systemd-resolved), systemd-udev, sysvinit, runit, finit
# or openrc; and the kernel of that suite in the flavour cloud, generic or rt. With cloud the kernel's modules are in the image too.
#
# A row is well if the agent answers, a command's status and output come back, the init is process 1 and content (systemd: `running`), the guest has
# name servers and an id of its own, the machine is switched off by its init, and e2fsck finds nothing wrong with the disk that it leaves.
#
# Kernels and what each row has left (log, out, its machine with serial.log) are in target/matrix, images in target/corpus. BANGER is the program, else
# target/release/banger or target/debug/banger. JOBS machines run at a time (1). MATRIX_RUNNER is put before `banger run`.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
top=$PWD
out=${MATRIX_DIR:-$top/target/matrix}
# Beside the corpus, with which they share a suite's minimal system.
images=${BANGER_CORPUS:-$top/target/corpus}
mkdir -p "$out/rows" "$out/kernels"

rows() {
    local suite
    for suite in bookworm trixie sid; do
        printf '%s\n' "$suite"/{systemd,systemd-udev,sysvinit,runit,finit,openrc}/cloud "$suite"/systemd-udev/{generic,rt}
    done
}
case ${1-} in
    --list) rows; exit 0 ;;
    -*) sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
if [ $# -gt 0 ]; then wanted=("$@"); else mapfile -t wanted < <(rows); fi

scripts/need.sh mmdebstrap python3 dpkg-deb depmod qemu-system-x86_64 qemu-img e2fsck || exit 1
banger=${BANGER:-}
for built in "$top/target/release/banger" "$top/target/debug/banger"; do
    if [ -z "$banger" ] && [ -x "$built" ]; then banger=$built; fi
done
[ -n "$banger" ] || { echo "matrix: no banger: run make build" >&2; exit 1; }
export BANGER_NO_DAEMON=1 BANGER_VHOST_DEVICE_VSOCK="${BANGER_VHOST_DEVICE_VSOCK:-$top/target/tools/bin/vhost-device-vsock}"

value() { sed -n "s/^$1 //p" "$2" | head -n 1 | tr -d '\r'; } # WORD FILE

# Prints why a row is not well; nothing where it is.
judge() { # INIT DIRECTORY STATUS
    local init=$1 dir=$2 status=$3 said machine
    said=$dir/out
    [ "$status" = 3 ] || { echo "status $status instead of 3"; return; }
    case $init in
        systemd | systemd-udev)
            [ "$(value state "$said")" = running ] ||
                { echo "$(value state "$said"): $(sed -n 's/^failed \([^ ]*\).*/\1/p' "$said" | tr '\n' ' ')"; return; }
            ;;
        *)
            [ "$(value zombies "$said")" = 0 ] || { echo "$(value zombies "$said") zombies"; return; }
            ;;
    esac
    case $init in
        systemd) grep -q '^asked .*10\.0\.2\.3' "$said" || { echo "no name server: $(value asked "$said")"; return; } ;;
        *) grep -q '^resolver .*10\.0\.2\.3' "$said" || { echo "no name server: $(value resolver "$said")"; return; } ;;
    esac
    [ "$(value id "$said")" != 0123456789abcdef0123456789abcdef ] || { echo "the image's machine id"; return; }
    machine=$(dirname "$dir"/state/banger/machines/*/serial.log)
    grep -aq 'reboot: Power down' "$machine/serial.log" || { echo "not switched off"; return; }
    qemu-img convert -O raw "$machine/overlay.qcow2" "$dir/disk"
    e2fsck -fn "$dir/disk" >"$dir/e2fsck" 2>&1 || { echo "e2fsck: $(tail -n 1 "$dir/e2fsck")"; return; }
    rm -f "$dir/disk"
}

row() { # SUITE/INIT/FLAVOUR
    local suite init flavour dir kernel image options=() probe begun=$SECONDS status problem id
    IFS=/ read -r suite init flavour <<<"$1"
    dir=$out/rows/${1//\//-} kernel=$out/kernels/$suite-$flavour image=$images/$suite-$init
    rm -rf "$dir"
    mkdir -p "$dir"
    {
        tests/matrix/fetch-kernel.sh "$suite" "$flavour" "$kernel" && tests/corpus/build.sh "$images" "$suite-$init"
    } >"$dir/log" 2>&1 </dev/null || { printf '%-34s %s\n' "$1" "NOT MADE: $(tail -n 1 "$dir/log")"; return 1; }
    case $init in
        systemd | systemd-udev) probe=tests/guest/next.sh ;;
        *) probe=tests/matrix/probe.sh ;;
    esac
    [ "$flavour" != cloud ] || options=(--modules "$kernel/modules")
    "$banger" build "oci:$image" -o "$dir/image" "${options[@]}" >>"$dir/log" 2>&1 </dev/null ||
        { printf '%-34s %s\n' "$1" "NOT BUILT: $(tail -n 1 "$dir/log")"; return 1; }
    begun=$SECONDS
    # shellcheck disable=SC2086 # a command and its arguments
    echo line | XDG_STATE_HOME=$dir/state ${MATRIX_RUNNER-} timeout --kill-after=20 900 "$banger" run --kernel "$kernel/vmlinuz" \
        --modules "$kernel/modules" --memory 768M "$dir/image" -- sh -c "$(cat "$probe")" probe look >"$dir/out" 2>>"$dir/log"
    status=$?
    problem=$(judge "$init" "$dir" "$status")
    id=$(value id "$dir/out")
    rm -f "$dir/image"
    printf '%-30s %-26s %-9s %4s s  %s\n' "$1" "$(cat "$kernel/version")" "${init%-udev}$(value version "$dir/out")" $((SECONDS - begun)) "${problem:-well}"
    [ -z "$id" ] || echo "$id" >"$dir/id"
    [ -z "$problem" ]
}

failed=0 running=0
for each in "${wanted[@]}"; do
    if ((running >= ${JOBS:-1})); then wait -n || failed=1; running=$((running - 1)); fi
    row "$each" &
    running=$((running + 1))
done
while ((running > 0)); do wait -n || failed=1; running=$((running - 1)); done

shared=$(cat "$out"/rows/*/id 2>/dev/null | sort | uniq -d)
[ -z "$shared" ] || { echo "machines share an id: $shared"; failed=1; }
exit $failed
