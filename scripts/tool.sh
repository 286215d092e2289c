#!/usr/bin/env bash
# tool.sh CRATE VERSION: sees that this version of a development tool is in target/tools/bin.
set -euo pipefail
cd "$(dirname "$0")/.."
crate=$1 version=$2
mark=target/tools/$crate-$version
[ ! -e "$mark" ] || exit 0
echo "tool: building $crate $version into target/tools, once"
# It runs for seconds: what counts is how long it takes to compile.
export CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=none
cargo install --locked --quiet --root target/tools --version "$version" "$crate"
touch "$mark"
