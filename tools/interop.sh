#!/bin/bash
# Runs the interop matrix against the programs in BUILD and writes docs/interop.md: tools/interop.sh BUILD (root: own network namespace)
set -eu
cd "$(dirname "$0")/.."
build=$(realpath "$1")
if [ "$(id -u)" -ne 0 ]; then
    echo "interop needs root: linphonec wants a default route, which is made in a network namespace" >&2
    exit 1
fi
export RINGWALL_BUILD=$build INTEROP_WRITE=1
# The first run writes the page; the cells are judged by what it says.
exec unshare -n sh -c 'ip link set lo up && exec "$@"' sh /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/interop -k no_cell_is_broken
