#!/bin/sh
# make lint: layout, floors, and the sizes that style asks for. --tidy adds clang-tidy over the
# compile commands of a build folder: tools/lint.sh --tidy build
set -u
cd "$(dirname "$0")/.." || exit 2
status=0

format=$(command -v clang-format-14 || command -v clang-format)
if [ -n "$format" ]; then
    find src fuzz bench -name '*.[ch]' -exec "$format" --dry-run -Werror {} + || status=1
else
    echo "lint: clang-format is not installed; layout not checked"
fi

python3 tools/layers.py --selftest >/dev/null || status=1
python3 tools/layers.py || status=1
python3 tools/sizes.py || status=1
python3 tools/manual.py --selftest || status=1
python3 tools/threats.py --selftest || status=1

if [ "${1:-}" = --tidy ]; then
    tidy=$(command -v clang-tidy-14 || command -v clang-tidy)
    if [ -z "$tidy" ] || [ ! -f "${2:-build}/compile_commands.json" ]; then
        echo "lint: clang-tidy needs to be installed and a build folder be named"
        exit 2
    fi
    find src -name '*.c' ! -name '*_test.c' -exec "$tidy" -p "${2:-build}" --quiet \
        --checks='-*,bugprone-*,-bugprone-easily-swappable-parameters,clang-analyzer-*' {} + || status=1
fi
exit $status
