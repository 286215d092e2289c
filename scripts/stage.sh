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
    stage_ended "$name" $((SECONDS - begun)) "$status"
}

stage_ended() { # NAME SECONDS STATUS
    if [ "$3" != 0 ]; then
        echo "== $1: FAILED after $2 s (exit status $3)"
        exit "$3"
    fi
    printf '%5d s  %s\n' "$2" "$1" >>"$stages_file"
    echo "== $1: $2 s"
}

# One part can be done beside others: it begins with `stage_beside`, and `stage_join` waits for it and shows what it said.
stage_beside() { # NAME COMMAND...
    local begun=$SECONDS
    beside_name=$1
    shift
    printf '\n== %s: begun, beside what follows\n' "$beside_name"
    # In a process group of its own, so that all of it ends when another part fails.
    set -m
    {
        set +e
        (set -e; "$@") >target/beside.log 2>&1 </dev/null
        echo "$? $((SECONDS - begun))" >target/beside.end
    } &
    set +m
    beside=$!
    trap 'kill -- "-$beside" 2>/dev/null || true' EXIT
}

stage_join() {
    local status seconds
    wait "$beside"
    trap - EXIT
    read -r status seconds <target/beside.end
    printf '\n== %s\n' "$beside_name"
    cat target/beside.log
    stage_ended "$beside_name" "$seconds" "$status"
}
