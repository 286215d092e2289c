#!/usr/bin/env bash
# install.sh: puts the programs that `make build` has built where they are found, with their manual pages, completions and units.
#
# PREFIX (/usr/local) is where they are found later, DESTDIR what stands before that meanwhile: for whoever makes a package.
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=${PREFIX:-/usr/local}
to=${DESTDIR:-}$prefix
built=${CARGO_TARGET_DIR:-target}/release
share=$to/share

for program in banger bangerd; do
    install -D -m 0755 "$built/$program" "$to/bin/$program"
done

pages=$(mktemp -d)
trap 'rm -rf "$pages"' EXIT
"$built/banger" man "$pages"
for page in "$pages"/*; do
    section=${page##*.}
    install -D -m 0644 "$page" "$share/man/man$section/${page##*/}"
done

completion() { # SHELL FILE
    install -d "$(dirname "$2")"
    "$built/banger" completion "$1" >"$2"
    chmod 0644 "$2"
}
completion bash "$share/bash-completion/completions/banger"
completion zsh "$share/zsh/site-functions/_banger"
completion fish "$share/fish/vendor_completions.d/banger.fish"

units=$to/lib/systemd/user
install -d "$units"
for unit in packaging/systemd/user/*; do
    sed "s|^ExecStart=/usr/bin/|ExecStart=$prefix/bin/|" "$unit" >"$units/${unit##*/}"
    chmod 0644 "$units/${unit##*/}"
done
echo "installed below $to"
