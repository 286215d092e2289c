# shellcheck shell=bash
# A second large layer, its package archives too.
add_packages clang lld cmake gdb
