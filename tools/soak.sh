#!/bin/bash
# 100,000 calls with churn through a release build, and what they left in memory and descriptors: tools/soak.sh [CALLS]
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
tools/build.sh "$build" release >/dev/null
alone=()
if [ "$(id -u)" = 0 ] && unshare -n true 2>/dev/null; then
    alone=(unshare -n sh -c 'ip link set lo up && exec "$@"' sh)
fi
RINGWALL_SOAK=${1:-100000} RINGWALL_BUILD=$(realpath "$build") exec "${alone[@]}" /usr/bin/python3 -m pytest -q -s -p no:cacheprovider tests/e2e/test_soak.py
