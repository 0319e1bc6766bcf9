#!/bin/sh
# For fuzz/meson.build: a line for each target: its name and the floors that it includes, as name floor/ floor/ ...
cd "$(dirname "$0")/targets" || exit 1
for f in *_fuzz.c; do
    [ -f "$f" ] || continue
    echo "${f%_fuzz.c}" $(sed -n 's/^#include "\([a-z]*\)\/.*/\1\//p' "$f" | sort -u)
done
