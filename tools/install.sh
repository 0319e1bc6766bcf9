#!/bin/bash
# Installs a release build: DESTDIR=... PREFIX=/usr tools/install.sh BUILD. With DESTDIR empty and as root it also
# makes the system users, the group of administrators and the state folder. May be run again at any time.
set -eu
build=$(cd "${1:?usage: [DESTDIR=DIR] [PREFIX=/usr] tools/install.sh BUILD}" && pwd)
cd "$(dirname "$0")/.."
PREFIX=${PREFIX:-/usr} DESTDIR=${DESTDIR:-}
case "$PREFIX" in /*) ;; *) echo "install: PREFIX must be an absolute path, not \"$PREFIX\"" >&2; exit 2 ;; esac
if [ -n "$DESTDIR" ]; then mkdir -p "$DESTDIR"; DESTDIR=$(cd "$DESTDIR" && pwd); fi
config=/etc/ringwall state=/var/lib/ringwall units=$PREFIX/lib/systemd/system

put() { # mode, from, to
    if [ ! -f "$2" ]; then echo "install: $2 is missing: run \`make build\` first" >&2; exit 1; fi
    if cmp -s "$2" "$DESTDIR$3" && [ "$(stat -c %a "$DESTDIR$3")" = "$1" ]; then
        echo "unchanged  $DESTDIR$3"
        return
    fi
    mkdir -p "$DESTDIR${3%/*}"
    # into place by renaming: a running program keeps its old file
    install -m "$1" "$2" "$DESTDIR$3.new"
    mv -f "$DESTDIR$3.new" "$DESTDIR$3"
    echo "installed  $DESTDIR$3"
}

if [ -e "$DESTDIR$PREFIX" ] && [ ! -w "$DESTDIR$PREFIX" ]; then
    echo "install: $DESTDIR$PREFIX cannot be written: run as root (sudo make install), or with DESTDIR or PREFIX of your own" >&2
    exit 1
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
put 755 "$build/src/app/cli/ringwall" "$PREFIX/bin/ringwall"
for p in engine vault store fetch selftest; do
    put 755 "$build/src/app/$p/ringwall-$p" "$PREFIX/libexec/ringwall/ringwall-$p"
done
gzip -9nc packaging/ringwall.1 >"$scratch/ringwall.1.gz"
put 644 "$scratch/ringwall.1.gz" "$PREFIX/share/man/man1/ringwall.1.gz"
put 644 packaging/ringwall.yaml "$PREFIX/share/doc/ringwall/ringwall.yaml"
for r in packaging/rules/*.rules packaging/rules/*.examples; do put 644 "$r" "$PREFIX/share/ringwall/rules/${r##*/}"; done
put 644 LICENSE "$PREFIX/share/doc/ringwall/LICENSE"
sed "s|/usr/bin/ringwall|$PREFIX/bin/ringwall|g" packaging/ringwall.service >"$scratch/ringwall.service"
put 644 "$scratch/ringwall.service" "$units/ringwall.service"
put 644 packaging/ringwall.sysusers "$PREFIX/lib/sysusers.d/ringwall.conf"

if [ -n "$DESTDIR" ]; then
    echo "DESTDIR is given: no users and no state folder were made"
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "not root: no users and no state folder were made; the gateway will run all programs as the user who starts it"
    exit 0
fi

group() {
    if getent group "$1" >/dev/null; then echo "unchanged  group $1"; return; fi
    groupadd --system "$1"
    echo "made       group $1"
}
user() {
    group "$1"
    if getent passwd "$1" >/dev/null; then echo "unchanged  user $1"; return; fi
    useradd --system --gid "$1" --home-dir "$state" --no-create-home --shell /usr/sbin/nologin --comment "Ringwall" "$1"
    echo "made       user $1"
}
user ringwall
user ringwall-vault
user ringwall-store
user ringwall-fetch
group ringwall-admin
for d in "$state:755" "$config:755"; do
    if [ -d "${d%:*}" ]; then echo "unchanged  ${d%:*}"; continue; fi
    install -d -m "${d#*:}" -o root -g root "${d%:*}"
    echo "made       ${d%:*}"
done
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload && echo "told systemd of the unit"
fi
cat <<END
next:
  $PREFIX/bin/ringwall init --state $state --domain YOUR.DOMAIN
  mv $state/ringwall.yaml $config/   # then suit it to your network
  $PREFIX/bin/ringwall check $config/ringwall.yaml
  systemctl enable --now ringwall
END
