# shellcheck shell=bash
# Nothing but one static program: no directory, no user, no library.
cc -O2 -Wall -Werror -static -s -o "$M/report" "$CORPUS/report.c"
