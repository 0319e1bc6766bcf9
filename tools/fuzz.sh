#!/bin/bash
# Runs every fuzzer for some seconds each; what it finds is kept in fuzz/crash/NAME: tools/fuzz.sh SECONDS [NAME...]
set -u
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift
tools/build.sh build-fuzz fuzz || exit 1
names=${*:-$(ls fuzz/targets | sed -n 's/_fuzz\.c$//p')}
bad=0 n=0
for name in $names; do
    bin=$(find build-fuzz/fuzz -maxdepth 1 -type f -name "fuzz_$name" -o -maxdepth 1 -type f -name "${name}_fuzz" | head -n 1)
    [ -n "$bin" ] || { echo "no fuzzer $name"; bad=$((bad + 1)); continue; }
    mkdir -p "build-fuzz/corpus/$name" "fuzz/corpus/$name" "fuzz/crash/$name"
    printf '%-20s %s s ... ' "$name" "$seconds"
    log=build-fuzz/$name.log
    if ASAN_OPTIONS=detect_stack_use_after_return=0 "$bin" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="fuzz/crash/$name/" \
        "build-fuzz/corpus/$name" "fuzz/corpus/$name" "fuzz/crash/$name" >"$log" 2>&1; then
        echo "ok: $(grep -oE 'Done [0-9]+ runs' "$log" | tail -n 1), $(grep -oE 'cov: [0-9]+' "$log" | tail -n 1)"
        n=$((n + 1))
    else
        echo "FOUND something: $log and fuzz/crash/$name"
        bad=$((bad + 1))
    fi
    rmdir "fuzz/crash/$name" 2>/dev/null
done
echo "$n passed, $bad failed, 0 skipped"
[ "$bad" = 0 ]
