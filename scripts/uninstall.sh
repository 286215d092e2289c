#!/usr/bin/env bash
# uninstall.sh: removes what `make install` has installed, and nothing else.
#
# PREFIX and DESTDIR are those of `make install`. What banger keeps for a user stays: `banger purge` removes that.
set -euo pipefail

to=${DESTDIR:-}${PREFIX:-/usr/local}
share=$to/share
shopt -s nullglob

if [ -x "$to/bin/banger" ]; then
    echo "images and kernels stay where they are: \`banger purge\`, before this, removes those of one user"
    # A daemon of another user ends by itself when it has nothing to do.
    "$to/bin/banger" daemon stop || true
fi
files=(
    "$to"/bin/banger "$to"/bin/bangerd
    "$share"/man/man[0-9]/banger.[0-9] "$share"/man/man[0-9]/banger-*.[0-9] "$share"/man/man[0-9]/bangerd.[0-9]
    "$share"/bash-completion/completions/banger
    "$share"/zsh/site-functions/_banger
    "$share"/fish/vendor_completions.d/banger.fish
    "$to"/lib/systemd/user/bangerd.socket "$to"/lib/systemd/user/bangerd.service
)
removed=0
for file in "${files[@]}"; do
    [ -e "$file" ] || continue
    rm -f "$file"
    removed=$((removed + 1))
done
echo "removed $removed files below $to"
