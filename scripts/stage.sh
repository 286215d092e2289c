# shellcheck shell=bash
# stage.sh, to be sourced: runs the parts of a long job under headings, with the time that each took.

stages_file=target/stages
mkdir -p target
: >"$stages_file"

stage() { # NAME COMMAND...
    local name=$1 begun=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    "$@" || { local status=$?; echo "== $name: FAILED (exit status $status)" >&2; exit "$status"; }
    printf '%5d s  %s\n' $((SECONDS - begun)) "$name" >>"$stages_file"
    echo "== $name: $((SECONDS - begun)) s"
}
