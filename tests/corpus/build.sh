#!/usr/bin/env bash
# build.sh DIR NAME...: real OCI images, made from Debian packages, as OCI image layouts DIR/NAME.
#
#   debian-min       1 layer    Debian bookworm, the minimal set of packages                     gzip
#   debian-boot      2 layers   + systemd, udev, D-Bus, an SSH server, iproute2, ping            gzip
#   debian-edit      3 layers   debian-min + two layers of deletions, replacements, opaque       gzip
#                               directories, hardlinks, xattrs, devices, odd names and times
#   debian-dev       7 layers   debian-boot + compilers, 60,000 small files, a layer that        gzip
#                               deletes and replaces, one with opaque directories; 1.7 GB
#   debian-dev-zstd  7 layers   the layers of debian-dev                                         zstd
#   debian-openrc    2 layers   debian-min + OpenRC and sysvinit, no systemd                     gzip
#   debian-next      2 layers   Debian trixie, systemd with systemd-resolved and D-Bus,          gzip
#                               without udev and kmod; an id of D-Bus that it has by accident
#   debian-mirror    3 layers   debian-openrc + a mirror of what an SSH server needs             gzip
#   debian-supervisors 2 layers debian-min + programs that want to be PID 1, s6 and runit among  gzip
#                               them, and files in /run
#   busybox          1 layer    busybox with an init and an inittab                              gzip
#   distroless       1 layer    report.c, dynamic, and its libraries; a user by number           gzip
#   scratch          1 layer    report.c, static, and nothing else                               gzip
#
#   SUITE-INIT       2 layers   SUITE (bookworm, trixie, sid) with systemd as in debian-next,    none
#                               or the init of init-INIT.sh: for tests/matrix/run.sh
#
# Beside each layout but the last ones stands DIR/NAME.expected.jsonl: what must come out of it, by oracle.py.
#
# A layer is the difference that a recipe (layers/NAME.sh or .py) makes to a real overlay mount of the layers
# below it. What exists is not made again, and what exists under its final name is complete: a run that was
# interrupted is simply repeated. The name carries a hash of the recipe and of everything below it, so a changed
# recipe is a new layer. Two runs from the same Debian packages give the same bytes. config/NAME.json is what the image's config
# says of its command; where there is none, it is a shell.
#
# Needs root (or sudo), the Debian mirrors, and: mmdebstrap, python3, gzip, zstd, unshare, mount; for the images without Debian
# a C compiler and a static busybox.
set -euo pipefail
shopt -s inherit_errexit

[ $# -ge 2 ] || { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0" >&2; exit 2; }
[ "$(id -u)" = 0 ] || exec sudo "$0" "$(realpath -m "$1")" "${@:2}"

here=$(cd "$(dirname "$0")" && pwd)
out=$(realpath -m "$1"); shift
layers=$out/layers work=$out/work
umask 022
mkdir -p "$layers" "$work"
exec 9>"$out/lock"
flock 9

# The time given to everything that the build itself writes: 2025-01-01T00:00:00Z.
export SOURCE_DATE_EPOCH=1735689600 LC_ALL=C
begun=$(date +%s)

say() { echo "corpus: $*"; }
hash_of() { cat -- "$@" | sha256sum | cut -c1-12; }
pack() { python3 "$here/pack.py" --built-since "$begun" --stamp "$SOURCE_DATE_EPOCH" "$@"; }

# What goes into a layer besides its recipe.
declare -A input=([scratch]=$here/report.c [distroless]=$here/report.c [busybox]=$(command -v busybox || true))

# Set by `layer`: the hash over all recipes so far, the directories of all layers so far (top first), the tars.
below=none stack='' tars=()

base() { # SUITE: the first layer, a whole minimal system
    local suite=$1 hash tar root options=()
    # A mirror may be behind on a suite that changes every day. The signature is checked all the same.
    [ "$suite" != sid ] || options+=(--aptopt='Acquire::Check-Valid-Until "false"')
    hash=$(hash_of "$here/pack.py" "$here/lib.sh" <(echo "$suite minbase"))
    tar=$layers/base-$hash.tar root=$work/base-$hash
    if [ ! -e "$tar" ] || [ ! -d "$root" ]; then
        say "base: installing Debian $suite"
        rm -rf "$root.part" "$root" "$tar"
        mmdebstrap --quiet --mode=root --variant=minbase "${options[@]}" "$suite" "$root.part" >"$root.log" 2>&1 </dev/null ||
            { tail -n 20 "$root.log" >&2; exit 1; }
        # A registry's image has an empty /dev: device nodes there would hide that a guest must make its own.
        find "$root.part/dev" -mindepth 1 -delete
        M=$root.part bash -euc '. "$0"; forget' "$here/lib.sh"
        pack "$root.part" "$tar.part"
        mv "$root.part" "$root"
        mv "$tar.part" "$tar"
    fi
    below=$hash stack=$root tars+=("$tar")
}

layer() { # NAME: what layers/NAME.* does to everything below
    local name=$1 recipe hash tar upper
    recipe=$(echo "$here/layers/$name".*)
    hash=$(hash_of "$here/pack.py" "$here/lib.sh" "$here/step.sh" "$recipe" ${input[$name]:+"${input[$name]}"} <(echo "$below"))
    tar=$layers/$name-$hash.tar upper=$work/$name-$hash
    if [ ! -e "$tar" ] || [ ! -d "$upper" ]; then
        say "$name: building"
        rm -rf "$upper" "$upper.part" "$upper.work" "$upper.mount" "$tar"
        mkdir "$upper.part" "$upper.work" "$upper.mount"
        # In name spaces of its own: no mount and no process outlives the step, however it ends.
        unshare --mount --pid --fork --kill-child --propagation private \
            "$here/step.sh" "$stack" "$upper.part" "$upper.work" "$upper.mount" "$recipe" >"$upper.log" 2>&1 </dev/null ||
            { tail -n 20 "$upper.log" >&2; say "$name: failed, see $upper.log"; exit 1; }
        rm -rf "$upper.work" "$upper.mount"
        pack ${stack:+--overlay} "$upper.part" "$tar.part"
        mv "$upper.part" "$upper"
        mv "$tar.part" "$tar"
    fi
    below=$hash stack=$upper${stack:+:$stack} tars+=("$tar")
}

image() { # NAME COMPRESSION LAYER...
    local name=$1 compression=$2 each hash config=()
    shift 2
    below=none stack='' tars=()
    for each; do
        case $each in
            bookworm | trixie | sid) base "$each" ;;
            *) layer "$each" ;;
        esac
    done
    [ ! -e "$here/config/$name.json" ] || config=("$here/config/$name.json")
    hash=$(hash_of "$here/layout.py" "${config[@]}" <(echo "$below $compression"))
    if [ "$(cat "$out/$name.recipe" 2>/dev/null)" != "$hash" ] || [ ! -e "$out/$name/index.json" ]; then
        say "$name: compressing and assembling"
        rm -f "$out/$name.expected.jsonl"
        python3 "$here/layout.py" --compression "$compression" ${config[0]:+--config "${config[0]}"} "$out/$name" "${tars[@]}"
        echo "$hash" >"$out/$name.recipe"
    fi
    hash+=-$(hash_of "$here/oracle.py")
    if [ "$compression" = none ]; then
        say "$name: $out/$name"
        return
    fi
    if [ "$(cat "$out/$name.oracle" 2>/dev/null)" != "$hash" ] || [ ! -e "$out/$name.expected.jsonl" ]; then
        say "$name: listing what must come out"
        python3 "$here/oracle.py" layout "$out/$name" "$out/$name.expected.jsonl"
        echo "$hash" >"$out/$name.oracle"
    fi
    say "$name: $out/$name"
}

dev=(bookworm systemd build clang small clean opaque)
for name; do
    case $name in
        debian-min) image "$name" gzip bookworm ;;
        debian-boot) image "$name" gzip bookworm systemd ;;
        debian-edit) image "$name" gzip bookworm edit-one edit-two ;;
        debian-dev) image "$name" gzip "${dev[@]}" ;;
        debian-dev-zstd) image "$name" zstd "${dev[@]}" ;;
        debian-openrc) image "$name" gzip bookworm openrc ;;
        debian-next) image "$name" gzip trixie next ;;
        debian-supervisors) image "$name" gzip bookworm supervisors ;;
        debian-mirror) image "$name" gzip bookworm openrc mirror ;;
        bookworm-systemd | trixie-systemd | sid-systemd) image "$name" none "${name%%-*}" next ;;
        bookworm-* | trixie-* | sid-*) image "$name" none "${name%%-*}" "init-${name#*-}" ;;
        busybox | distroless | scratch) image "$name" gzip "$name" ;;
        *) say "no such image: $name" >&2; exit 2 ;;
    esac
done
