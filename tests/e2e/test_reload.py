"""Reload: certificates and keys replaced under 200 running TLS calls, bad ones refused, and the page that says what is hot."""
import os, re, ssl, socket, subprocess, threading, time
import pytest
from crowd import CONFIG, GATEWAY, CALLEE
from gateway import Gateway, wait_for
from house import Authority, openssl
from test_call import srtp_sdp
from ua import Call, Ua, sdp

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TLS = ("127.0.71.1", 5061)
CALLS = 200


@pytest.fixture
def gw():
    g = Gateway(config=CONFIG.replace("rate_per_source: 5000", "rate_per_source: 100000"), ports="25000-27999", limits="calls: 2000, connections_per_source: 1000")
    g.user("alice")
    g.start()
    yield g
    g.close()


class Answerer(threading.Thread):
    """The PBX: answers every call and ends them when told."""
    def __init__(self):
        super().__init__(daemon=True)
        self.ua = Ua(*CALLEE, GATEWAY, "udp", "pbx")
        self.over = False

    def run(self):
        while not self.over:
            m = self.ua.recv(0.1)
            if m and not m.code and m.method == "INVITE":
                self.ua.reply(m, 200, "OK", "pbxtag", body=sdp(CALLEE[0], 41000))
            elif m and not m.code and m.method in ("BYE", "OPTIONS", "CANCEL"):
                self.ua.reply(m, 200, "OK", "pbxtag")
        self.ua.close()


class Knocker(threading.Thread):
    """Makes TLS connections one after the other; each must succeed against the authority."""
    def __init__(self, ca):
        super().__init__(daemon=True)
        self.ca, self.over, self.seen, self.bad = ca, False, [], []

    def run(self):
        while not self.over:
            try:
                self.seen.append(serial(self.ca))
            except OSError as e:
                self.bad.append(repr(e))


def serial(ca):
    ctx = ssl.create_default_context(cafile=ca)
    with socket.create_connection(TLS, 5, ("127.0.71.20", 0)) as raw, ctx.wrap_socket(raw, server_hostname="example.com") as s:
        return s.getpeercert()["serialNumber"]


def install(g, pair):
    chain, key = pair
    for source, target in ((key, "vault/keys/server.pem"), (chain, "server.pem")):
        with open(source) as f, open(os.path.join(g.state, target), "w") as t:
            t.write(f.read())


@pytest.fixture
def authority(gw, tmp_path):
    a = Authority(tmp_path, os.path.join(gw.state, "ca.pem"), os.path.join(gw.state, "vault", "keys", "ca.pem"))
    a.name = "example.com"
    return a


def test_new_certificate_under_200_running_calls(gw, authority):
    ca = os.path.join(gw.state, "ca.pem")
    pbx = Answerer()
    pbx.start()
    knocker, calls = Knocker(ca), []
    try:
        for n in range(CALLS):
            u = Ua("127.0.71.20", 0, TLS, "tls", "alice", gw.passwords["alice"], ca=ca)
            c = Call(u, f"1{n}", srtp_sdp("127.0.71.20", 40000))
            c.invite()
            c.answered()
            calls.append(c)
        up = lambda: sum(len(e["calls"]) for e in gw.ask("calls")["engines"])
        assert up() == CALLS
        old = serial(ca)
        knocker.start()
        serials = [old]
        for _ in range(5):
            install(gw, authority.issue("example.com"))
            r = gw.run("reload", "--reason", "a test", "--state", gw.state)
            assert r.returncode == 0, r.stdout + r.stderr
            now = {serial(ca) for _ in range(16)}  # some of them on each engine
            assert len(now) == 1 and not now & set(serials), (now, serials)
            serials += now
        time.sleep(0.3)
        knocker.over = True
        knocker.join(5)
        assert not knocker.bad, f"{len(knocker.bad)} of {len(knocker.bad) + len(knocker.seen)} handshakes failed: {knocker.bad[:3]}"
        assert len(knocker.seen) > 20 and set(knocker.seen) <= set(serials)
        assert up() == CALLS
        assert gw.status()["generation"] == 6
        for c in calls:  # each on the connection that it came up on
            c.bye()
        assert gw.idle()
        cdrs = gw.ask("cdr", "--last", "500")["cdrs"]
        assert len(cdrs) == CALLS and all(x["ended_by"] == "caller" for x in cdrs)
    finally:
        knocker.over = pbx.over = True
        for c in calls:
            c.ua.close()
        pbx.join(2)


def test_bad_certificates_are_refused_and_the_old_one_is_served(gw, authority, tmp_path):
    ca = os.path.join(gw.state, "ca.pem")
    line = 1 + open(gw.config).read().split("\n").index("  default: {chain: server.pem, key: server}")
    old, good = serial(ca), (open(os.path.join(gw.state, "server.pem")).read(), open(os.path.join(gw.state, "vault/keys/server.pem")).read())
    other = authority.issue("example.com")
    rsa = str(tmp_path / "rsa.key")
    openssl("genrsa", "-out", rsa, "2048")
    expired = authority.issue("example.com", days="-1")
    chain = open(other[0]).read()
    bad = [((chain, good[1]), "does not belong", "replace both files"), (("nothing\n", good[1]), "no certificate in", "PEM"),
           (("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", good[1]), "no certificate in", "PEM"),
           ((open(expired[0]).read(), open(expired[1]).read()), "is expired", "valid today"), ((chain, open(rsa).read()), "no ECDSA key", "put the key there"),
           ((chain, None), "no such key", "put the key there")]
    key = os.path.join(gw.state, "vault/keys/server.pem")
    for (c, k), what, remedy in bad:
        with open(os.path.join(gw.state, "server.pem"), "w") as f:
            f.write(c)
        if k is None:
            os.unlink(key)
        else:
            with open(key, "w") as f:
                f.write(k)
        r = gw.run("reload", "--reason", "a test", "--state", gw.state)
        said = r.stdout + r.stderr
        assert r.returncode == 1 and what in said and remedy in said and f":{line}:" in said, said
        s = gw.status()
        assert s["generation"] == 1 and what in s["config_error"] and f"line {line}" in s["config_error"]
        assert {serial(ca) for _ in range(8)} == {old}
    with open(os.path.join(gw.state, "server.pem"), "w") as f, open(key, "w") as k:
        f.write(chain), k.write(open(other[1]).read())
    assert gw.run("reload", "--reason", "a test", "--state", gw.state).returncode == 0
    assert gw.status()["config_error"] is None
    assert serial(ca) != old


def test_what_is_cold_is_refused_by_name(gw):
    text = open(gw.config).read()
    for a, b, what in (("engines: 2", "engines: 1", "number of engines"), ("127.0.71.1:5060", "127.0.71.1:5062", "listeners"), ("25000-27999", "25000-26999", "media ports"),
                       ("calls: 2000", "calls: 1999", "limits that size tables"), ("domains: [example.com]", "domains: [example.net, example.com]", "first domain")):
        assert a in text
        gw.write(text.replace(a, b))
        r = gw.run("reload", "--reason", "a test", "--state", gw.state)
        assert r.returncode == 1 and what in r.stdout + r.stderr, (what, r.stdout + r.stderr)
    gw.write(text.replace("domains: [example.com]", "domains: [example.com, example.net]"))
    assert gw.run("reload", "--reason", "a test", "--state", gw.state).returncode == 0


def test_the_page_names_what_the_code_refuses():
    """docs/reload.md lists every reason of reload.c for a restart, and every section of the file that is not one."""
    page = open(os.path.join(ROOT, "docs", "reload.md")).read()
    hot, cold = page.split("## Needs a restart")
    code = open(os.path.join(ROOT, "src", "app", "monitor", "reload.c")).read()
    body = code[code.index("static const char *cold("):code.index("static enum err refuse(")]
    reasons = re.findall(r'return "([^"]+)"', body)
    listed = re.findall(r"^- (.+)$", cold.split("## Drain")[0], re.M)
    assert len(reasons) >= 6 and sorted(listed) == sorted(reasons)
    sections = re.findall(r"KEY\((\w+)\)", open(os.path.join(ROOT, "src", "app", "config", "config.c")).read())
    assert len(sections) > 8
    for s in sections:
        assert f"`{s}`" in hot or any(s.rstrip("s") in x for x in reasons), f"{s}: neither hot nor cold on the page"
