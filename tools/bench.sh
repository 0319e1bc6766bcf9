#!/bin/bash
# Builds what is measured and measures it. QUICK=1: under two minutes. ONLY=calls,register,tls,rtp,srtp,memory,hostile,flood,reload,xdp,micro,detect,shield,replay
# PEERS=DIR: a rig with sig/kamailio.cfg, sig/gen.py and media/rtpload.c (default ../shared/bench; absent: no peers' figures)
set -eu
cd "$(dirname "$0")/.."
dir=${BENCH_BUILD:-build-bench}
echo "building (release, link-time optimisation) ..."
log=$(mktemp)
tools/build.sh "$dir" bench >"$log" 2>&1 || { tail -n 40 "$log" >&2; exit 1; }
rm -f "$log"
case "${ONLY:-}" in detect) exec python3 tests/detect/table.py "$dir/tests/detect/detect" ;; shield) exec python3 bench/flood.py "$dir" ;; esac
case ",${ONLY:-replay}," in *,replay,*) python3 bench/replay.py "$dir/src/app/cli/ringwall"; [ "${ONLY:-}" != replay ] || exit 0 ;; esac
exec python3 tools/bench.py "$dir"
