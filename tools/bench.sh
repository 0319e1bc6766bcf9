#!/bin/bash
# Builds what is measured and measures it. QUICK=1: under two minutes. ONLY=calls,register,tls,rtp,srtp,memory,hostile,flood,reload,xdp,micro,detect,fraud,shield,replay
# PEERS=DIR: a rig with sig/kamailio.cfg, sig/gen.py and media/rtpload.c (default ../shared/bench; absent: no peers' figures)
set -eu
cd "$(dirname "$0")/.."
dir=${BENCH_BUILD:-build-bench}
echo "building (release, link-time optimisation) ..."
log=$(mktemp)
tools/build.sh "$dir" bench >"$log" 2>&1 || { tail -n 40 "$log" >&2; exit 1; }
rm -f "$log"
[ "${ONLY:-}" != shield ] || exec python3 bench/flood.py "$dir"
for table in detect:detect fraud:org; do # what is found and what not, of attacks and of frauds
    part=${table%:*}
    [ "${ONLY:-$part}" != "$part" ] || python3 "tests/$part/table.py" "$dir/tests/$part/${table#*:}"
    [ "${ONLY:-}" != "$part" ] || exit 0
done
case ",${ONLY:-replay}," in *,replay,*) python3 bench/replay.py "$dir/src/app/cli/ringwall"; [ "${ONLY:-}" != replay ] || exit 0 ;; esac
exec python3 tools/bench.py "$dir"
