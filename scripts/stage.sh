# shellcheck shell=bash
# stage.sh, to be sourced: runs the parts of a long job under headings, with the time that each took.

stages_file=target/stages
mkdir -p target
: >"$stages_file"

stage() { # NAME COMMAND...
    local name=$1 begun=$SECONDS status
    shift
    printf '\n== %s\n' "$name"
    # Not `"$@" || ...`: in a condition a function goes on after a command that failed.
    set +e
    (set -e; "$@")
    status=$?
    set -e
    if [ "$status" != 0 ]; then
        echo "== $name: FAILED after $((SECONDS - begun)) s (exit status $status)"
        exit "$status"
    fi
    printf '%5d s  %s\n' $((SECONDS - begun)) "$name" >>"$stages_file"
    echo "== $name: $((SECONDS - begun)) s"
}
