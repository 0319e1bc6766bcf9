#!/bin/bash
# Everything: unit tests, fuzz replays, simulator, security, differential (sanitized build), then end-to-end
# tests with real peers (release build). Ends with the line `N passed, N failed, N skipped`.
set -u
cd "$(dirname "$0")/.."
sanitized=$1 release=$2
echo "== building with sanitizers"
tools/build.sh "$sanitized" sanitized || { echo "the sanitized build failed"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
echo "== building for release"
tools/build.sh "$release" release || { echo "the release build failed"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
exec python3 tools/test.py "$sanitized" "$release"
