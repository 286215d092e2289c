# shellcheck shell=bash
# A second large layer.
add_packages clang lld cmake gdb
