#!/bin/bash
# Removes what tools/install.sh put under PREFIX (and DESTDIR). The state folder, the configuration and the users stay:
# keys, call records and logs are yours to keep or to delete.
set -eu
PREFIX=${PREFIX:-/usr} DESTDIR=${DESTDIR:-}
config=/etc/ringwall state=/var/lib/ringwall
[ -z "$DESTDIR" ] || [ ! -d "$DESTDIR" ] || DESTDIR=$(cd "$DESTDIR" && pwd)
units=$PREFIX/lib/systemd/system

gone=0
drop() {
    [ -e "$DESTDIR$1" ] || return 0
    rm -f "$DESTDIR$1" 2>/dev/null || { echo "uninstall: $DESTDIR$1 cannot be removed: run as root (sudo make uninstall)" >&2; exit 1; }
    echo "removed    $DESTDIR$1"
    gone=1
}
tidy() { # folders that are empty now, upwards; never one that the system's own files live in
    local d=$1
    while [ "$d" != / ] && [ "$d" != . ] && rmdir "$DESTDIR$d" 2>/dev/null; do d=$(dirname "$d"); done
    return 0
}

if [ -z "$DESTDIR" ] && [ -d /run/systemd/system ] && [ -e "$units/ringwall.service" ]; then
    systemctl disable --now ringwall 2>/dev/null && echo "stopped    ringwall.service" || true
fi
# What a gateway that died has left in the kernel: the shield's pins and table. A running one takes its own away when it stops.
if [ -z "$DESTDIR" ] && [ "$(id -u)" -eq 0 ] && ! pgrep -x ringwall >/dev/null; then
    for d in /sys/fs/bpf/ringwall-*; do
        [ -d "$d" ] || continue
        rm -f "$d"/* && rmdir "$d" && echo "removed    $d (the shield's program in the kernel)" && gone=1
    done
    if command -v nft >/dev/null && nft list table inet ringwall >/dev/null 2>&1; then
        nft delete table inet ringwall && echo "removed    table inet ringwall (the shield's rules)" && gone=1
    fi
fi
files="bin/ringwall share/man/man1/ringwall.1.gz share/doc/ringwall/ringwall.yaml share/doc/ringwall/LICENSE lib/sysusers.d/ringwall.conf"
for p in engine vault store fetch selftest; do files="$files libexec/ringwall/ringwall-$p"; done
for r in "$DESTDIR$PREFIX"/share/ringwall/rules/*; do files="$files share/ringwall/rules/${r##*/}"; done
for f in $files; do drop "$PREFIX/$f"; done
drop "$units/ringwall.service"
if [ -n "$DESTDIR" ]; then
    for f in $files; do tidy "$(dirname "$PREFIX/$f")"; done
    tidy "$units"
else
    for d in libexec/ringwall share/doc/ringwall share/ringwall/rules share/ringwall; do rmdir "$PREFIX/$d" 2>/dev/null || true; done
    [ ! -d /run/systemd/system ] || systemctl daemon-reload || true
fi
[ "$gone" = 1 ] || echo "nothing of Ringwall is installed under $DESTDIR$PREFIX"
echo "kept       $DESTDIR$state (keys, users, call records, logs), $DESTDIR$config and the system users: delete them by hand if you want"
