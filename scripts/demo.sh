#!/usr/bin/env bash
# demo.sh: banger is built, a kernel is fetched, and two machines boot: one from an image that is part of banger, one from Debian.
#
# Installs the Debian packages that are missing and says which. What else it leaves, and how that is removed, it says at its end.
set -euo pipefail
cd "$(dirname "$0")/.."
banger=${CARGO_TARGET_DIR:-target}/demo/banger
# What the profile `demo` costs to compile, in seconds of one processor.
COMPILE_SECONDS=240

installed=
# Installs the packages of commands that are missing, and remembers which.
need() {
    local said
    said=$(scripts/need.sh "$@" | tee /dev/stderr)
    [ -n "$said" ] || return 0
    # A line for each round of packages.
    said=${said//need: installing /}
    installed="${installed:+$installed, }${said//$'\n'/, }"
}

show() { printf '\n$ banger %s\n' "$*"; "$banger" "$@"; }

build() {
    if [ ! -x "$banger" ]; then
        local cpus minutes
        cpus=$(nproc)
        minutes=$(((COMPILE_SECONDS / cpus + 59) / 60))
        printf '== compiling banger: about %d minutes on %d processors, once\n' "$minutes" "$cpus"
    else
        printf '== bringing banger up to date\n'
    fi
    # Cargo's bar is the progress on a terminal. Without one each crate would be a line.
    if [ -t 2 ]; then
        cargo build --profile demo --locked -p banger
    else
        cargo build --profile demo --locked -p banger --quiet
    fi
}

kernel() {
    if [ -n "$("$banger" kernel ls --quiet)" ]; then return; fi
    printf '\n== a kernel, for the machines of this user\n'
    show kernel pull debian
    pulled=yes
}

# Debian from Docker Hub, as a user has it; where that cannot be reached, the same made here of Debian's packages.
debian() {
    printf '\n== Debian, from Docker Hub\n'
    if timeout 20 "$banger" resolve debian:bookworm >/dev/null 2>&1; then
        show run --rm debian:bookworm -- cat /etc/os-release
        return
    fi
    printf 'Docker Hub cannot be reached from here: an image of Debian is made of its packages instead.\n'
    if ! command -v apt-get >/dev/null; then
        printf 'That needs apt-get, which is not here: no second machine.\n'
        return
    fi
    need mmdebstrap python3 gzip zstd mount unshare flock
    tests/corpus/build.sh target/corpus debian-min
    show run --rm oci:target/corpus/debian-min -- cat /etc/os-release
}

last_words() {
    cat <<EOT

== next
  alias banger=$(realpath "$banger")
  banger run --rm debian:bookworm -- uname -a
  banger pull debian:bookworm
  banger run debian-bookworm

== what is left here
  installed      ${installed:-no package was missing}
  in target      what was compiled, and an image of Debian if one was made: \`make clean\` removes it
  for this user  ${pulled:+the kernel and }the cache: \`banger purge --dry-run\` lists them, \`banger purge\` removes them
EOT
}

command -v cargo >/dev/null || {
    echo "demo: cargo is missing: https://rustup.rs has Rust, in the version that Cargo.toml names" >&2
    exit 1
}
pulled=
need cc qemu-system-x86_64
build
kernel
printf '\n== a machine from an image that is part of banger\n'
show run --rm demo:
debian
last_words
