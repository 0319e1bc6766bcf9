#!/bin/bash
# Installs the Debian packages that a target needs and that are missing: tools/deps.sh build|run|test|fuzz|bench
set -eu
build="gcc meson ninja-build pkgconf libssl-dev libfyaml-dev libjansson-dev libsqlite3-dev libseccomp-dev libcap-dev libunbound-dev libevent-dev libmaxminddb-dev libcurl4-openssl-dev liboath-dev libqrencode-dev dns-root-data libpcap-dev libncurses-dev libbpf-dev clang-14 nftables libhyperscan-dev libpcre2-dev python3 python3-phonenumbers"
[ "$(dpkg --print-architecture)" = amd64 ] || build=${build/libhyperscan-dev/} # without it the scanner of our own works
test="$build bpftool libcmocka-dev clang-14 libclang-rt-14-dev lld-14 clang-format-14 libsrtp2-dev libosip2-dev libsofia-sip-ua-dev python3 python3-pytest python3-cryptography python3-aiosmtpd sip-tester oathtool baresip-core linphone-cli sipsak sipvicious nmap
  kamailio kamailio-tls-modules tshark sox iproute2 openssl unbound bind9-utils sqlite3 jq procps util-linux valgrind"
bench="$build bpftool libsrtp2-dev libosip2-dev libsofia-sip-ua-dev kamailio kamailio-tls-modules rtpengine-daemon sip-tester python3 iproute2 util-linux valgrind"
case "${1:-}" in
    build|run) want=$build ;;
    test) want=$test ;;
    fuzz) want="$build libcmocka-dev clang-14 libclang-rt-14-dev lld-14" ;;
    bench) want=$bench ;;
    *) echo "usage: tools/deps.sh build|run|test|fuzz|bench" >&2; exit 2 ;;
esac
missing=
for p in $want; do
    dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
echo "installing:$missing"
as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "not root and no sudo here; ask an administrator to run:" >&2
        echo "  apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
    as_root=sudo
fi
# Servers among the test peers must not start by themselves.
guard=/usr/sbin/policy-rc.d
made=
if [ ! -e "$guard" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$guard" >/dev/null
    $as_root chmod 755 "$guard"
    made=1
fi
cleanup() { [ -z "$made" ] || $as_root rm -f "$guard"; }
trap cleanup EXIT
log=$(mktemp)
if ! { $as_root apt-get update && $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "installing failed; the whole log is in $log" >&2
    exit 1
fi
rm -f "$log"
