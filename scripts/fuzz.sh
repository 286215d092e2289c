#!/usr/bin/env bash
# fuzz.sh [TARGET...]: runs fuzz targets, each for FUZZ_SECONDS (60), and fails at the first input that breaks a rule.
#
# Everything lies below target/fuzz: what was learnt (corpus/TARGET, kept for the next run), what broke a rule
# (found/TARGET), seeds. The rules stand in crates/fuzz. FUZZ_JOBS processes (one for each processor) work on each target.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin
seconds=${FUZZ_SECONDS:-60} jobs=${FUZZ_JOBS:-$(nproc)}
out=target/fuzz bin=target/fuzz/bin

# A small image of every kind of file; damage is noticed in the one with checksums and has to be lived with in the other.
disk_seeds() { # DIRECTORY
    local tree=$out/tree
    rm -rf "$tree"
    mkdir -p "$tree/directory/inner"
    seq 2000 >"$tree/directory/numbers"
    truncate -s 100K "$tree/sparse"
    ln -s directory "$tree/link"
    ln -s "$(printf 'long/%.0s' {1..20})" "$tree/long link"
    mkfifo "$tree/pipe"
    touch "$tree/directory/inner/a name of some length"{1..60}
    local name features
    for name in plain checksums; do
        features=^has_journal,^resize_inode,metadata_csum
        [ $name = checksums ] || features=^has_journal,^resize_inode,^metadata_csum
        mke2fs -q -F -t ext4 -b 1024 -N 96 -O "$features" -d "$tree" "$1/$name" 100k >/dev/null
        # Directories of several blocks become hashed; the exit status says that something was changed.
        e2fsck -fyD "$1/$name" >/dev/null 2>&1 || true
    done
    rm -rf "$tree"
}

archive_seeds() { # DIRECTORY
    local tree=$out/tree
    rm -rf "$tree"
    mkdir -p "$tree/a/b"
    (
        cd "$tree"
        echo content >a/file
        ln a/file a/hardlink
        ln -s a link
        touch a/.wh.gone a/b/.wh..wh..opq
        long=$(printf 'x%.0s' {1..120})
        echo long >"a/b/$long"
        printf hole >sparse
        truncate -s 20K sparse
    )
    local format tar=(tar -C "$tree" --blocking-factor=1 --sort=name)
    for format in v7 ustar oldgnu; do
        # Long names and holes are beyond these.
        "${tar[@]}" --format="$format" --exclude='x*' -cf "$1/$format" .
    done
    "${tar[@]}" --format=gnu --sparse -cf "$1/gnu" .
    "${tar[@]}" --format=posix --sparse -cf "$1/posix" .
    "${tar[@]}" --format=posix --sparse --sparse-version=0.1 -cf "$1/sparse-0.1" sparse
    rm -rf "$tree"
}

blob_seeds() { # DIRECTORY
    local plain=$1/plain
    { seq 300; head -c 3000 /dev/zero; } >"$plain"
    gzip -n -c "$plain" >"$1/gzip"
    { gzip -n -c "$plain"; gzip -c -1 "$plain"; head -c 512 /dev/zero; } >"$1/members"
    zstd -q -c "$plain" >"$1/zstd"
    { zstd -q -c --no-check "$plain"; printf '\x50\x2a\x4d\x18\x04\0\0\0skip'; zstd -q -c -19 "$plain"; } >"$1/frames"
}

# Bundles of a root file system with holes, in the ways in which they are made.
bundle_seeds() { # DIRECTORY
    local tree=$out/tree sha256
    rm -rf "$tree"
    mkdir -p "$tree"
    { seq 300; head -c 9000 /dev/zero; echo end; } >"$tree/rootfs.ext4"
    truncate -s 40K "$tree/rootfs.ext4"
    sha256=$(sha256sum <"$tree/rootfs.ext4")
    printf '{"version":1,"name":"a","platform":"linux/amd64","rootfs":{"size":40960,"sha256":"%s"}}' "${sha256%% *}" >"$tree/manifest.json"
    local tar=(tar -C "$tree" --blocking-factor=1)
    "${tar[@]}" -cf "$1/plain" manifest.json rootfs.ext4
    "${tar[@]}" --format=posix --sparse -cf "$1/sparse" manifest.json rootfs.ext4
    zstd -q -c "$1/sparse" >"$1/bundle"
    rm -rf "$tree"
}

# A kernel of each kind as far as anybody looks, an initial RAM disk, and packages of them.
kernel_seeds() { # DIRECTORY
    local tree=$out/tree kernel
    rm -rf "$tree"
    mkdir -p "$tree/boot" "$tree/lib/modules/6.1.0/kernel" "$tree/DEBIAN"
    kernel=$tree/boot/vmlinuz-6.1.0
    at() { dd of="$1" bs=1 seek=$(($2)) conv=notrunc status=none; } # FILE OFFSET
    truncate -s 1536 "$kernel"
    printf '\x55\xaa\0\0HdrS\x0f\x02' | at "$kernel" 0x1fe
    printf '\0\x02' | at "$kernel" 0x20e
    printf '\x01' | at "$kernel" 0x236
    printf '6.1.0 (me@here) #1' | at "$kernel" 0x400
    cp "$kernel" "$1/bzimage"
    truncate -s 256 "$1/image"
    printf 'ARM\x64' | at "$1/image" 0x38
    printf 'Linux version 6.1.0 (me@here)' | at "$1/image" 0x80
    gzip -n -c "$1/image" >"$1/image.gz"
    truncate -s 56 "$1/zboot"
    printf 'MZ\0\0zimg\x38\0\0\0%b' "\\x$(printf %02x "$(stat -c %s "$1/image.gz")")" | at "$1/zboot" 0
    printf 'gzip' | at "$1/zboot" 24
    cat "$1/image.gz" >>"$1/zboot"
    # An ELF program that says something like a kernel.
    printf '#define _GNU_SOURCE\nconst char banner[] = "Linux version 6.1.0 (me@here)"; void _start(void) {}\n' |
        cc -x c -nostdlib -static -Wl,-z,max-page-size=64,--build-id=none -s -o "$1/vmlinux" -
    echo boot | (cd "$tree" && cpio --quiet -H newc -o) >"$1/cpio"
    printf 'kernel/a.ko\n' >"$tree/lib/modules/6.1.0/modules.order"
    printf 'char info[] __attribute__((section(".modinfo"))) = "depends=\\0vermagic=6.1.0 SMP ";\n' |
        cc -x c -c -s -o "$tree/lib/modules/6.1.0/kernel/a.ko" -
    printf 'Package: a\nVersion: 1\nArchitecture: amd64\nMaintainer: a\nDescription: a\nDepends: linux-image-b\n' >"$tree/DEBIAN/control"
    dpkg-deb --root-owner-group -Znone -b "$tree" "$1/package" >/dev/null
    dpkg-deb --root-owner-group -Zxz -b "$tree" "$1/package.xz" >/dev/null
    mkdir "$tree/archive"
    cp "$kernel" "$tree/archive/bzImage"
    cp -r "$tree/lib/modules/6.1.0" "$tree/archive/modules"
    tar -C "$tree/archive" --sort=name --blocking-factor=2 -c . | zstd -q >"$1/archive"
    rm -rf "$tree"
}

# One line of a text is one seed.
text_seeds() { # FILE DIRECTORY
    local number=0 line
    while IFS= read -r line; do
        number=$((number + 1))
        printf '%s' "$line" >"$2/$number"
    done <"$1"
}

run() { # TARGET
    local target=$1 seeds=$out/seeds/$1 found=$out/found/$1 status=0
    rm -rf "$seeds"
    mkdir -p "$seeds" "$found" "$out/corpus/$target"
    if [ -e "crates/fuzz/seeds/$target.txt" ]; then
        text_seeds "crates/fuzz/seeds/$target.txt" "$seeds"
    else
        "${target}_seeds" "$seeds"
    fi
    printf '\n== %s: %s s\n' "$target" "$seconds"
    # Each process takes from the corpus what the others put there. The limit on memory leaves room for zstd's largest window.
    local number pids=() log=$out/$target
    rm -f "$log".*.log
    for ((number = 1; number <= jobs; number++)); do
        "$bin/$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=512 -reload=5 -print_final_stats=1 \
            -artifact_prefix="$found/" "$out/corpus/$target" "$seeds" >"$log.$number.log" 2>&1 &
        pids+=($!)
    done
    for number in "${!pids[@]}"; do
        wait "${pids[number]}" || { status=$? log=$log.$((number + 1)).log; break; }
    done
    if [ "$status" != 0 ]; then
        kill "${pids[@]}" 2>/dev/null || true
        tail -n 40 "$log"
        show "$(sed -n 's/^.*Test unit written to //p' "$log" | tail -n 1)" "$target"
        echo "== $target: FAILED (exit status $status)"
        exit 1
    fi
    cat "$log".*.log | sed -n 's/^stat::number_of_executed_units: */inputs tried: /p'
}

show() { # FILE TARGET
    [ -e "$1" ] || return 0
    printf '\n== %s breaks a rule; its bytes, the first 512 of them:\n' "$1"
    head -c 512 "$1" | od -A d -t x1z
    printf '== again: %s/%s %s\n' "$bin" "$2" "$1"
}

scripts/need.sh cc c++ mke2fs e2fsck cpio tar gzip zstd
scripts/tool.sh cargo-fuzz 0.13.2
mapfile -t all < <(sed -n 's/^name = "\([a-z]*\)"$/\1/p' fuzz/Cargo.toml)
if [ $# = 0 ]; then set -- "${all[@]}"; fi

# No sanitizer of memory: there is no unsafe code to watch, and with it the compiler would have to be a nightly one.
PATH=$PWD/target/tools/bin:$PATH cargo fuzz build --fuzz-dir fuzz --sanitizer none --target-dir "$out/build"
rm -rf "$bin"
mkdir -p "$bin"
for target in "${all[@]}"; do
    cp -l "$out"/build/*/release/"$target" "$bin/"
done
# The files of one check are synced each time, which costs nothing in memory.
if [ -w /dev/shm ]; then TMPDIR=$(mktemp -d -p /dev/shm); else TMPDIR=$(mktemp -d -p "$out"); fi
export TMPDIR RUST_BACKTRACE=0
trap 'rm -rf "$TMPDIR"' EXIT
for target; do run "$target"; done
printf '\n== no rule broken\n'
