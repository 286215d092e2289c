# shellcheck shell=bash
# A developer's tools. Package lists and archives stay, for a later layer to delete.
add_packages build-essential git python3 python3-venv ca-certificates curl
