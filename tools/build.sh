#!/bin/bash
# Configures (once) and builds a folder: tools/build.sh DIR release|sanitized|fuzz [ninja targets...]
set -eu
cd "$(dirname "$0")/.."
dir=$1 kind=$2
shift 2
case "$kind" in
    release) opts="-Dbuildtype=release -Db_ndebug=true -Db_lto=true -Dtests=disabled" ;;
    sanitized) opts="-Dbuildtype=debug -Doptimization=1 -Db_sanitize=address,undefined -Dtests=enabled" ;;
    fuzz) opts="-Dbuildtype=debug -Doptimization=1 -Db_sanitize=address,undefined -Db_lundef=false -Dfuzz=true -Dtests=disabled"; export CC=clang-14 ;;
    bench) opts="-Dbuildtype=release -Db_ndebug=true -Db_lto=true -Dtests=disabled -Dbench=true" ;;
esac
if command -v ccache >/dev/null && [ -z "${CC:-}" ]; then export CC="ccache gcc"; fi
if [ ! -e "$dir/build.ninja" ]; then
    log=$(mktemp)
    meson setup "$dir" $opts >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
    rm -f "$log"
fi
exec ninja -C "$dir" ${JOBS:+-j$JOBS} "$@"
