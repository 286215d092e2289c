#!/usr/bin/env bash
# bench.sh [OPTION...]: builds what bench/run.py measures, and runs it; the options are run.py's. See bench/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/need.sh cc python3 gzip zstd tar mount unshare flock mmdebstrap skopeo umoci mke2fs debugfs e2fsck \
    qemu-system-x86_64 busybox depmod
cargo build --release --locked --quiet -p banger -p banger-bench
tests/corpus/build.sh target/corpus debian-dev debian-dev-zstd debian-boot
scripts/tool.sh vhost-device-vsock 0.3.0
tests/boot/fetch-kernel.sh target/kernel
export BANGER_VHOST_DEVICE_VSOCK=$PWD/target/tools/bin/vhost-device-vsock
python3 -B bench/run.py --programs "${CARGO_TARGET_DIR:-target}/release" \
    --corpus target/corpus --kernel target/kernel "$@"
