"""The shield's configuration in a running gateway: access lists by prefix, country and transport, their hot reload, the file of countries, and what
`ringwall check` says."""
import os, socket, subprocess, time
import pytest
import mmdb
from gateway import Gateway, wait_for
from ua import Ua, sdp

GW, IN, OUT = "127.0.74.1", "127.0.74.10", "127.0.74.20"
AT, DE, FR, NOWHERE = "198.51.100.7", "203.0.113.7", "192.0.2.7", "192.0.2.200"
COUNTRIES = {"198.51.100.0/24": "AT", "203.0.113.0/24": "DE", "192.0.2.0/25": "FR", "127.0.0.0/8": "DE"}
CONFIG = """
domains: [example.com]
state: {state}
engines: 2
media: {{ports: {ports}}}
listeners:
  - {{name: udp, transport: udp, address: "127.0.74.1:5060"}}
  - {{name: tcp, transport: tcp, address: "127.0.74.1:5060"}}
zones:
  - {{name: phones, listeners: [udp, tcp], sources: [127.0.0.0/8, 198.51.100.0/24, 203.0.113.0/24, 192.0.2.0/24], media: rtp, registration: yes, ACCESS}}
waivers: [{{name: old, zone: phones, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test", expires: 2099-01-01}}]
limits: {{register_min: 10s, {limits}}}
guard: {{kernel: none, MORE}}
"""


def braces(s):
    return s.replace("{", "{{").replace("}", "}}")


def config(access, more="mode: enforce"):
    return CONFIG.replace("ACCESS", braces(access)).replace("MORE", braces(more))


@pytest.fixture
def close():
    made = []
    yield lambda x: made.append(x) or x
    for x in reversed(made):
        x.close()


def made(close, access, more="mode: enforce", countries=None, epoch=None):
    g = close(Gateway(config=config(access, more), engines=2, ports="27200-27399"))
    if countries:
        mmdb.write(os.path.join(g.state, "geo.mmdb"), countries, epoch or time.time())
    return g


def code(ip, transport="udp", timeout=1.0):
    """What a REGISTER without credentials is answered from there: 401 where it may; None: silence."""
    u = Ua(ip, 5082 if transport == "udp" else 0, (GW, 5060), transport, "alice")
    try:
        u.request("REGISTER", "sip:example.com", "<sip:alice@example.com>", os.urandom(8).hex(), os.urandom(4).hex())
        m = u.recv(timeout)
        return m.code if m else None
    except OSError:
        return None
    finally:
        u.close()


def invited(ip, uri, timeout=1.5):
    """The code of the first answer but 100 to an INVITE from there; None: silence."""
    u = Ua(ip, 5082, (GW, 5060), "udp", "alice")
    try:
        u.request("INVITE", uri, f"<{uri}>", os.urandom(8).hex(), os.urandom(4).hex(), body=sdp(ip, 40000))
        end = time.time() + timeout
        while (m := u.recv(max(end - time.time(), 0))):
            if m.code > 100:
                return m.code
        return None
    finally:
        u.close()


def check(g, *more):
    return g.run("check", g.config, "--state", g.state, *more)


def test_prefixes_and_transports_and_reload(close):
    g = made(close, f"access: [{{deny: {OUT}}}, {{allow: {{transports: [udp], sources: [127.0.74.0/24]}}}}], access_default: deny").start()
    assert code(IN) == 401
    assert code(IN, "tcp") != 401, "tcp is allowed to nobody"
    assert code(OUT) is None
    assert code("127.0.75.1") is None
    assert g.reason("shield_access") >= 3
    g.write(config(f"access: [{{deny: {IN}}}]"))
    g.ask("reload", "--reason", "a test")
    assert wait_for(lambda: code(OUT) == 401, 5)
    assert code(OUT, "tcp") == 401
    assert code(IN) is None
    g.write(config("silent: no"))
    g.ask("reload", "--reason", "a test")
    assert wait_for(lambda: code(IN) == 401, 5)


def test_a_call_for_help_passes_the_list(close):
    g = made(close, f"access: [{{deny: {OUT}}}]").start()
    assert code(OUT) is None
    assert invited(OUT, "sip:1234@example.com") is None
    for uri in ("sip:112@example.com", "urn:service:sos"):
        assert invited(OUT, uri) is not None, f"{uri}: {g.status()['reasons']}"


def test_a_bad_list_leaves_the_old_in_force(close):
    g = made(close, f"access: [{{deny: {OUT}}}]").start()
    assert code(OUT) is None and code(IN) == 401
    g.write(config("access: [{deny: {countries: [DE]}}]"))
    r = g.run("reload", "--reason", "a test", "--state", g.state)
    assert r.returncode != 0 and "countries are named, but there is no file" in r.stdout + r.stderr + open(g.log).read()
    assert code(OUT) is None and code(IN) == 401


def alone():
    """In a network namespace of our own, where addresses may be added."""
    return os.geteuid() == 0 and [n for _, n in socket.if_nameindex()] == ["lo"]


@pytest.fixture
def abroad():
    if not alone():
        pytest.skip("needs a network namespace of its own")
    for ip in (AT, DE, FR, NOWHERE):
        subprocess.run(["ip", "addr", "replace", ip + "/32", "dev", "lo"], check=True)


def test_countries_and_another_file(close, abroad):
    g = made(close, "access: [{allow: {countries: [DE, AT]}}, {allow: 127.0.74.10}], access_default: deny", "geo: geo.mmdb", COUNTRIES).start()
    assert "countries: 3 ranges of IPv4" in open(g.log).read()
    assert code(AT) == 401 and code(DE) == 401
    assert code(FR) is None and code(NOWHERE) is None
    assert code(IN) == 401
    assert code(OUT) is None, "a private address has no country, whatever the file says"
    mmdb.write(os.path.join(g.state, "geo.mmdb"), {"192.0.2.0/24": "AT"}, time.time())
    assert code(FR) is None, "a file is read at the start and at a reload"
    g.ask("reload", "--reason", "a test")
    assert wait_for(lambda: code(FR) == 401, 5) and code(NOWHERE) == 401
    assert code(AT) is None and code(DE) is None
    with open(os.path.join(g.state, "geo.mmdb"), "wb") as f:
        f.write(b"not a table of countries")
    r = g.run("reload", "--reason", "a test", "--state", g.state)
    assert r.returncode != 0
    assert code(FR) == 401 and code(DE) is None
    mmdb.write(os.path.join(g.state, "geo.mmdb"), COUNTRIES, time.time())
    g.write(config("access: [{deny: {countries: [FR]}}]", "geo: geo.mmdb"))
    g.ask("reload", "--reason", "a test")
    assert wait_for(lambda: code(FR) is None, 5)
    assert code(DE) == 401 and code(NOWHERE) == 401 and code(IN) == 401


def test_no_file_any_more_means_no_countries(close, abroad):
    g = made(close, "access: [{deny: {countries: [FR]}}]", "geo: geo.mmdb", COUNTRIES).start()
    assert code(FR) is None and code(DE) == 401
    g.write(config("silent: no"))
    g.ask("reload", "--reason", "a test")
    assert wait_for(lambda: code(FR) == 401, 5)


def test_check_says_what_is_wrong(close):
    g = made(close, "access: [{deny: {countries: [UK]}}], access_default: dney",
             "mode: dry, exempt: 0.0.0.0/0, geo: missing.mmdb, feeds: [{name: a, url: 'http://example.net/x'}], detectors: {scam: {off: yes}}, tarpit: 1h")
    r = check(g)
    assert r.returncode != 0
    for words in ('"UK" is not a country; did you mean GB?', '"dney" is not known here; did you mean "deny"?', '"dry" is not known here', "nobody could ever be banned",
                  "missing.mmdb cannot be read", "over http anybody on the way", 'unknown key "scam" in detectors; did you mean "scan"?', "tarpit: 1h is outside"):
        assert words in r.stdout, (words, r.stdout)
    assert r.stdout.count("error:") >= 8, "all at once"


def test_check_warns(close):
    g = made(close, "access: [{deny: {countries: [FR]}}]",
             "mode: dry-run, geo: geo.mmdb, interfaces: [no-such-if0], feeds: [{name: a, file: a.txt, ban: yes}]", COUNTRIES, time.time() - 500 * 86400)
    r = check(g)
    assert r.returncode == 0, r.stdout
    for words in ("attackers are told of, and not stopped", "many countries are wrong", 'there is no interface "no-such-if0" here', "can ban anybody who is not exempt",
                  "a.txt is not there yet"):
        assert words in r.stdout, (words, r.stdout)
    assert r.stdout.count("warning:") == 6, r.stdout   # one of media ports
    mmdb.write(os.path.join(g.state, "geo.mmdb"), COUNTRIES, time.time() - 300 * 86400)
    assert "many countries" not in check(g).stdout
    with open(os.path.join(g.state, "geo.mmdb"), "wb") as f:
        f.write(b"x" * 5000)
    r = check(g)
    assert r.returncode != 0 and "it is not a MaxMind DB file" in r.stdout


def test_everything_at_once_starts(close):
    g = made(close, "access: [{deny: 127.0.74.66}]",
             "exempt: [127.0.74.10], decoys: [ghost, '4999'], steps: [{score: 10, do: challenge}, {score: 90, do: ban}], half_life: 1m, ban: 5m, ban_max: 1h,"
             " spoofed_ban: 10s, escalate: 1h, limits: {source: 50, known: 500, aor: 100, device: 100}, tarpit: 500ms,"
             " detectors: {scan: {threshold: 50, window: 1m, weight: 10, do: drop}, wangiri: {off: yes}}").start()
    assert code(IN) == 401 and code("127.0.74.66") is None
    assert check(g).returncode == 0
