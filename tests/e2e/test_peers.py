"""Peers over TCP and TLS: connections that the gateway opens, their names, health, loss and return."""
import json, os, re, socket, ssl, time
import pytest
from gateway import wait_for
from house import *


@pytest.fixture(scope="module")
def auth(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def g(auth):
    g = house(trusted=auth.cert)
    g.user("alice")
    g.start()
    yield g
    try:
        assert g.idle(2), g.ask("calls")
    finally:
        g.close()


@pytest.fixture
def close():
    made = []
    yield lambda x: made.append(x) or x
    for x in made:
        x.close()


@pytest.fixture
def src(close):
    return close(caller())


def targets(g, name):
    """Whether the peer's first address is up, engine by engine."""
    out = []

    def walk(x):
        if isinstance(x, dict):
            if x.get("name") == name and "targets" in x:
                out.append(x["targets"][0]["up"])
            for v in x.values():
                walk(v)
        elif isinstance(x, list):
            for v in x:
                walk(v)
    walk(g.ask("peers"))
    return out


def whole_call(g, src, server, number):
    c = call_from(src, number)
    conn, inv = take(server)
    c.answered()
    c.bye()
    x, bye = server.expect("BYE")
    x.reply(bye, 200)
    return conn, inv


def test_tcp_peer_gets_calls_over_few_connections(g, src, close):
    s = close(Server(LAN + "20", 5080))
    for n in range(8):
        conn, inv = whole_call(g, src, s, f"20{n}")
        assert inv.get("via").startswith("SIP/2.0/TCP") and "transport=tcp" in inv.uri("contact")
        assert LAN + "10" not in str(inv)
    assert s.accepted <= 2, f"{s.accepted} connections for 8 calls of two engines"
    assert g.idle(4), g.ask("calls")


def test_peer_closes_in_the_middle_and_the_call_still_ends(g, src, close):
    s = close(Server(LAN + "20", 5080))
    c = call_from(src, "210")
    take(s)
    c.answered()
    s.drop()
    time.sleep(0.2)
    c.bye()
    conn, bye = s.expect("BYE")  # by a fresh connection
    conn.reply(bye, 200)
    assert g.idle(4), g.ask("calls")


def test_peer_closes_and_hangs_up_by_a_connection_of_its_own(g, src, close):
    s = close(Server(LAN + "20", 5080))
    c = call_from(src, "211")
    conn, inv = take(s)
    c.answered()
    s.drop()
    p = close(Ua(LAN + "20", 0, (LAN + "1", 5060), "tcp", "pbx"))
    p.cseq = 10
    p.request("BYE", inv.uri("contact"), inv.get("from").split(";tag=")[0], inv.get("call-id"), "peer", inv.tag("from"), from_=inv.get("to"))
    p.expect("200")
    src.reply(src.expect("BYE"), 200)
    assert g.idle(4), g.ask("calls")


@pytest.mark.parametrize("ip,number,ringing", [("24", "2200", False), ("25", "2300", True)])
def test_connection_lost_before_an_answer_fails_the_call_soon(g, src, close, ip, number, ringing):
    s = close(Server(LAN + ip, 5080))
    c = call_from(src, number)
    conn, inv = s.expect("INVITE")
    if ringing:
        conn.reply(inv, 180, "Ringing", "peer")
        src.expect("180")
    s.drop()
    m = final(src, 5)
    assert m.code in (408, 480, 500, 503), m.start
    c.ack(m)
    assert g.idle(4), g.ask("calls")


def test_dead_tcp_peer_is_503_and_named(g, src):
    before = g.reason("sip_transport_failed")
    t = time.time()
    c = call_from(src, "401")
    m = final(src)
    assert m.code == 503 and time.time() - t < 2
    c.ack(m)
    assert g.reason("sip_transport_failed") > before
    assert g.cdr(c.id)["code"] == 503


def test_two_calls_wait_for_one_connection_that_fails(g, close):
    """Both must hear of it, not only the one that came last."""
    a = close(caller())
    calls = [Call(a, f"660{n}", sdp(a.ip, 40000)) for n in range(6)]
    for c in calls:
        c.invite(auth=False)
    got = {}
    t = time.time()
    while len(got) < 6 and time.time() - t < 6:
        m = a.recv(1)
        if m and m.code >= 200:
            got[m.get("call-id")] = m
            next(c for c in calls if c.id == m.get("call-id")).ack(m)
    assert len(got) == 6, f"only {len(got)} of 6 calls were told in 6 s"
    assert {m.code for m in got.values()} == {503}
    assert g.idle(4), g.ask("calls")


def test_peer_that_comes_up_later_is_used(g, src, close):
    s = close(Server(LAN + "22", 5080))
    # a failure is remembered for 30 s at most where no OPTIONS are sent; another peer is not touched by it
    up = wait_for(lambda: all(targets(g, "late")), 0.1)
    if up:
        whole_call(g, src, s, "402")
        return
    deadline = time.time() + 35
    while time.time() < deadline:
        c = call_from(src, "403")
        got = s.recv(1.0)
        if got:
            break
        c.ack(final(src))
        time.sleep(2)
    assert got, "the peer was never tried again"
    conn, inv = got
    conn.reply(inv, 200, "OK", "peer", body=answer_to(inv, s.ip, 41000))
    s.expect("ACK")
    c.answered()
    c.bye()
    conn, bye = s.expect("BYE")
    conn.reply(bye, 200)
    assert all(targets(g, "late")) or len(targets(g, "late")) == 2


def test_health_marks_down_and_up(g, src, close):
    # nobody listens: both engines mark it down by their first OPTIONS
    assert wait_for(lambda: targets(g, "health") and not any(targets(g, "health")), 8), g.ask("peers")
    t = time.time()
    c = call_from(src, "300")
    m = final(src)
    assert m.code == 503 and time.time() - t < 0.5
    c.ack(m)
    assert g.reason("route_peer_down") >= 1
    s = close(Server(LAN + "21", 5080))
    end = time.time() + 12
    while time.time() < end and not all(targets(g, "health")):
        got = s.recv(0.5)
        if got and got[1].method == "OPTIONS" and not got[1].code:
            assert got[1].get("max-forwards") == "70"
            got[0].reply(got[1], 200, "OK", "h")
    assert all(targets(g, "health")), g.ask("peers")
    whole_call(g, src, s, "301")
    assert s.accepted <= 2
    text = json.dumps(g.ask("events", "--last", "200"))
    assert "health" in text, "peer's ups and downs are not in the event log"


def test_tls_peer_by_trusted_authority(g, auth, src, close):
    s = close(Server(WALL + "20", 5081, auth.issue(NAME)))
    for n in range(3):
        conn, inv = whole_call(g, src, s, f"50{n}")
        assert b"RTP/SAVP" in inv.body and b"a=crypto" in inv.body and inv.get("via").startswith("SIP/2.0/TLS")
    assert s.accepted <= 2 and not s.failed
    assert conn.s.version() == "TLSv1.3"


def test_tls_peer_that_demands_a_certificate_gets_ours(g, auth, src, close):
    s = close(Server(WALL + "23", 5081, auth.issue(NAME), client_ca=os.path.join(g.state, "ca.pem")))
    conn, inv = whole_call(g, src, s, "801")
    assert conn.s.getpeercert()


@pytest.mark.parametrize("ip,number,what", [("21", "601", "name"), ("22", "701", "authority")])
def test_tls_peer_with_a_wrong_certificate_gets_nothing(g, auth, src, close, tmp_path, ip, number, what):
    cert = auth.issue("other.example.net") if what == "name" else Authority(tmp_path, name="Somebody Else").issue(NAME)
    s = close(Server(WALL + ip, 5081, cert))
    before = g.reason("tls_peer_cert")
    c = call_from(src, number)
    assert s.recv(1.5) is None, "the peer got a message"
    m = final(src)
    assert m.code == 503
    c.ack(m)
    assert s.failed, f"{s.accepted} connections: " + g.run("explain", c.id, "--state", g.state).stdout
    assert g.reason("tls_peer_cert") > before
    assert g.idle(4), g.ask("calls")


def test_tls_wrong_certificate_is_refused_and_the_second_target_serves(g, auth, src, close):
    bad = close(Server(WALL + "24", 5081, auth.issue("other.example.net")))
    good = close(Server(WALL + "25", 5081, auth.issue(NAME)))
    c = call_from(src, "901")
    assert bad.recv(0.7) is None and bad.failed
    take(good)
    c.answered()
    c.bye()
    conn, bye = good.expect("BYE")
    conn.reply(bye, 200)
    assert g.idle(4), g.ask("calls")


# --- calls from peers over TCP and TLS ---

def test_call_from_a_tcp_peer(g, close):
    p, d = close(Ua(LAN + "20", 0, (LAN + "1", 5060), "tcp", "pbx")), close(caller(LAN + "11", user="dst"))
    c = call_from(p, "100")
    inv = d.expect("INVITE")
    d.reply(inv, 200, "OK", "d", body=sdp(LAN + "11", 41000))
    d.expect("ACK")
    c.answered()
    c.bye()
    d.reply(d.expect("BYE"), 200)
    assert g.idle(4), g.ask("calls")


class TlsUa(Ua):
    """A peer that connects with its own certificate, or none."""
    def __init__(self, ip, proxy, ca, cert=None, ctx=None):
        self.ip, self.proxy, self.transport, self.user, self.password, self.domain = ip, proxy, "tls", "pbx", "", "example.com"
        self.buf, self.cseq = b"", 0
        raw = socket.socket()
        raw.bind((ip, 0))
        raw.settimeout(5)
        raw.connect(proxy)
        ctx = ctx or ssl.create_default_context(cafile=ca)
        if cert:
            ctx.load_cert_chain(*cert)
        self.s = ctx.wrap_socket(raw, server_hostname="example.com")
        self.port = self.s.getsockname()[1]


def test_call_from_a_tls_peer_with_its_certificate(g, auth, close):
    d = close(caller(LAN + "11", user="dst"))
    p = close(TlsUa(STRICT + "20", (STRICT + "1", 5061), os.path.join(g.state, "ca.pem"), auth.issue(NAME)))
    c = call_from(p, "101", sdp(p.ip, 40000, extra=CRYPTO, proto="RTP/SAVP"))
    got = p.recv(1)
    assert got and got.code == 100, got
    inv = d.expect("INVITE")
    assert b"RTP/AVP" in inv.body
    d.reply(inv, 200, "OK", "d", body=sdp(LAN + "11", 41000))
    d.expect("ACK")
    assert b"RTP/SAVP" in c.answered().body
    c.bye()
    d.reply(d.expect("BYE"), 200)
    assert g.idle(4), g.ask("calls")


@pytest.mark.parametrize("what", ["none", "foreign"])
def test_tls_peer_without_a_good_certificate_is_refused(g, close, tmp_path, what):
    cert = None if what == "none" else Authority(tmp_path, name="Somebody Else").issue(NAME)
    before = sum(g.reason(r) for r in ("tls_handshake", "tls_peer_cert", "tls_client_cert_missing"))
    with pytest.raises((OSError, ssl.SSLError, AssertionError)):
        p = close(TlsUa(STRICT + "20", (STRICT + "1", 5061), os.path.join(g.state, "ca.pem"), cert))
        call_from(p, "102", sdp(p.ip, 40000, extra=CRYPTO, proto="RTP/SAVP"))
        m = p.recv(2)
        assert m and m.code < 400, "refused"
    assert wait_for(lambda: sum(g.reason(r) for r in ("tls_handshake", "tls_peer_cert", "tls_client_cert_missing")) > before, 2), g.status()["reasons"]


def test_stranger_in_a_peers_zone_is_refused(g, auth, close):
    """A good certificate, but the address is no peer's."""
    p = close(TlsUa(STRICT + "99", (STRICT + "1", 5061), os.path.join(g.state, "ca.pem"), auth.issue("stranger.example.net")))
    c = call_from(p, "103", sdp(p.ip, 40000, extra=CRYPTO, proto="RTP/SAVP"))
    m = final(p)
    assert m.code in (401, 403)
    c.ack(m)
