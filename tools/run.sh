#!/bin/bash
# Sets up the state folder once, starts the gateway, proves it with one secured call, serves until Ctrl-C.
set -eu
cd "$(dirname "$0")/.."
build=$1 state=$2
bin=$build/src/app/cli/ringwall
case "$state" in /*) ;; *) state=$PWD/$state ;; esac
config=$state/ringwall.yaml
if [ ! -e "$config" ]; then
    echo "== setting up $state: local authority, server certificate, two users"
    "$bin" init --state "$state"
fi
"$bin" check "$config"
echo "== starting"
"$bin" run --config "$config" --state "$state" &
pid=$!
stop() { kill -TERM "$pid" 2>/dev/null || true; wait "$pid" || true; }
trap 'stop; exit 0' INT TERM
trap stop EXIT
for _ in $(seq 100); do
    "$bin" status --json --state "$state" 2>/dev/null | grep -Eq '"state": ?"running"' && break
    kill -0 "$pid" 2>/dev/null || { wait "$pid" || code=$?; trap - EXIT; echo "the gateway did not start (exit ${code:-0}); what it said is above" >&2; exit 1; }
    sleep 0.1
done
echo "== one secured call through the gateway"
"$bin" selftest --state "$state"
"$bin" help-phone --state "$state"
echo "== serving; Ctrl-C ends it"
wait "$pid"
