#!/bin/bash
# Runs fuzzers for some seconds each; what one finds is kept in fuzz/crash/NAME, and the processor time
# that every one has had is added up in fuzz/ledger.tsv: tools/fuzz.sh SECONDS [NAME...]
set -u
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift
[ -n "${NO_BUILD:-}" ] || tools/build.sh build-fuzz fuzz || exit 1
names=${*:-$(ls fuzz/targets | sed -n 's/_fuzz\.c$//p')}
ledger=fuzz/ledger.tsv
bad=0 n=0

# Adds one run to the ledger: NAME, CPU seconds, inputs, finds. One line a fuzzer; runs beside each other take turns.
note() {
    (
        flock 9
        awk -v name="$1" -v cpu="$2" -v runs="$3" -v finds="$4" 'BEGIN { FS = OFS = "\t" }
            NR == 1 { print; next }
            $1 == name { $2 += cpu; $3 += runs; $4 += finds; seen = 1 }
            { print }
            END { if (!seen) print name, cpu, runs, finds }' "$ledger" >"$ledger.new" && mv "$ledger.new" "$ledger"
    ) 9>build-fuzz/ledger.lock
}

[ -f "$ledger" ] || printf 'fuzzer\tcpu_seconds\tinputs\tfinds\n' >"$ledger"
for name in $names; do
    bin=$(find build-fuzz/fuzz -maxdepth 1 -type f -name "fuzz_$name" -o -maxdepth 1 -type f -name "${name}_fuzz" | head -n 1)
    [ -n "$bin" ] || { echo "no fuzzer $name"; bad=$((bad + 1)); continue; }
    mkdir -p "build-fuzz/corpus/$name" "fuzz/corpus/$name" "fuzz/crash/$name"
    printf '%-20s %s s ... ' "$name" "$seconds"
    log=build-fuzz/$name.log
    cpu0=$(awk '{ print $16 + $17 }' /proc/$$/stat)
    LSAN_OPTIONS=suppressions=fuzz/lsan.supp:print_suppressions=0 ASAN_OPTIONS=detect_stack_use_after_return=0 "$bin" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="fuzz/crash/$name/" "build-fuzz/corpus/$name" "fuzz/corpus/$name" "fuzz/crash/$name" >"$log" 2>&1
    code=$?
    cpu=$((($(awk '{ print $16 + $17 }' /proc/$$/stat) - cpu0) / $(getconf CLK_TCK)))
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    if [ "$code" = 0 ]; then
        echo "ok: ${runs:-0} inputs, $cpu s of processor, $(grep -oE 'cov: [0-9]+' "$log" | tail -n 1)"
        n=$((n + 1))
        note "$name" "$cpu" "${runs:-0}" 0
    else
        echo "FOUND something: $log and fuzz/crash/$name"
        bad=$((bad + 1))
        cp "$log" "$log.found"
        note "$name" "$cpu" "${runs:-0}" 1
    fi
    rmdir "fuzz/crash/$name" 2>/dev/null
done
echo "$n passed, $bad failed, 0 skipped"
[ "$bad" = 0 ]
