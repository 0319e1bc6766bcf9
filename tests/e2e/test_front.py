"""Ringwall in front of a real registrar: its users are registered at the PBX by us, and we at a trunk by digest."""
import os, re, shutil, signal, subprocess, time
import pytest
from gateway import Gateway, wait_for
from kamailio import Kamailio, needs_kamailio
from ua import Call, Ua, sdp

pytestmark = needs_kamailio

PUB, PRIV, PHONE, PHONE2, DESK = "127.0.71.1", "127.0.72.1", "127.0.71.20", "127.0.71.21", "127.0.72.30"
PBX, TRUNK = ("127.0.72.10", 5070), ("127.0.72.20", 5080)
CONFIG = """
domains: [example.com]
state: {state}
engines: {engines}
media: {{ports: {ports}}}
certificates:
  default: {{chain: server.pem, key: server}}
listeners:
  - {{name: tls, transport: tls, address: "127.0.71.1:5061"}}
  - {{name: udp, transport: udp, address: "127.0.71.1:5060"}}
  - {{name: guest, transport: udp, address: "127.0.73.1:5060"}}
  - {{name: lan, transport: udp, address: "127.0.72.1:5060"}}
zones:
  - {{name: phones, listeners: [tls], sources: [127.0.71.0/24], media: srtp, nat: yes, registration: yes}}
  - {{name: legacy, listeners: [udp], sources: [127.0.71.0/24], media: rtp, nat: yes, registration: yes}}
  - {{name: guests, listeners: [guest], sources: [127.0.73.0/24], media: rtp, nat: yes, registration: yes}}
  - {{name: lan, listeners: [lan], sources: [127.0.72.0/24], media: rtp, authenticate: no}}
waivers:
  - {{name: old-phones, zone: legacy, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test phones without TLS", expires: 2099-01-01}}
  - {{name: guest-phones, zone: guests, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test phones without TLS", expires: 2099-01-01}}
  - {{name: old-pbx, zone: lan, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test PBX without TLS", expires: 2099-01-01}}
peers:
  - {{name: pbx, kind: pbx, zone: lan, listener: lan, address: "127.0.72.10:5070", fronts: [phones, legacy]}}
  - {{name: trunk, kind: trunk, zone: lan, listener: lan, address: "127.0.72.20:5080", username: ringwall, register: 5m}}
routes:
  - {{name: account, from: {{peer: trunk}}, pattern: "ringwall", strip: 8, prefix: "bob", to: users}}
  - {{name: users, pattern: "*", to: users}}
limits: {{register_min: 10s, {limits}}}
"""


class Registrar(Kamailio):
    def __init__(self, folder):
        super().__init__(folder, "kamailio_front.cfg", lambda: self.where("nobody", 0.3) is not None)

    def where(self, user, timeout=2):
        """The bindings of a user there, as (contact, Call-ID, CSeq); None without an answer."""
        probe = Ua(DESK, 0, PBX, "udp", "probe")
        probe.request("OPTIONS", f"sip:where-{user}@{PBX[0]}:{PBX[1]}", f"<sip:{PBX[0]}>", os.urandom(4).hex(), "o")
        m = probe.recv(timeout)
        probe.close()
        return None if m is None else list(zip(m.all("x-contact"), m.all("x-call-id"), map(int, m.all("x-cseq"))))


@pytest.fixture(scope="module")
def pbx(tmp_path_factory):
    k = Registrar(tmp_path_factory.mktemp("front")).start()
    yield k
    k.stop()


@pytest.fixture(scope="module")
def fgw(pbx):
    g = Gateway(config=CONFIG, ports="24000-24399")
    for u in ("alice", "bob", "carol"):
        g.user(u)
    r = g.run("peer-secret", "trunk", "--state", g.state, stdin="Trunk-secret-4711\n")
    assert r.returncode == 0, r.stdout + r.stderr
    g.start()
    yield g
    g.close()


@pytest.fixture
def desk():
    u = Ua(DESK, 5090, PBX, "udp", "desk")
    yield u
    u.close()


def phone(g, user, transport="udp", ip=PHONE, host=PUB):
    return Ua(ip, 0, (host, 5061 if transport == "tls" else 5060), transport, user, g.passwords[user], ca=os.path.join(g.state, "ca.pem"))


def ours(pbx, user, n=1, seconds=5):
    """Waits until the PBX holds n bindings of that user, all of them ours."""
    assert wait_for(lambda: len(pbx.where(user) or []) == n, seconds), pbx.where(user)
    for contact, _, _ in pbx.where(user):
        assert contact == f"sip:{user}@{PRIV}:5060", contact
    return pbx.where(user)


def peer(g, name):
    """What the engines tell of a peer, summed up by the first that knows."""
    got = {}
    for e in g.ask("peers")["engines"]:
        for p in e["peers"] if isinstance(e, dict) else e:
            if p["name"] == name:
                for k, v in p.items():
                    got[k] = got[k] + v if k.startswith("fronted") and k in got else got.get(k, v)
    return got


@pytest.mark.parametrize("transport", ["udp", "tls"])
def test_registered_there_as_long_as_here(fgw, pbx, transport):
    a, b = phone(fgw, "alice", transport), phone(fgw, "alice", transport, PHONE2)
    a.register(100)
    (_, call_id, cseq), = ours(pbx, "alice")
    assert "127.0.71" not in call_id
    for _ in range(3):      # refreshes here are none there
        a.register(100)
    b.register(100)
    assert ours(pbx, "alice") == [(f"sip:alice@{PRIV}:5060", call_id, cseq)]
    assert peer(fgw, "pbx")["fronted"] == 1 and peer(fgw, "pbx")["fronted_registered"] == 1
    a.register(0)
    time.sleep(1.5)
    ours(pbx, "alice")      # one phone is left
    b.register(0)
    ours(pbx, "alice", 0)
    assert wait_for(lambda: peer(fgw, "pbx")["fronted"] == 0, 3)
    a.close(), b.close()


def test_guests_are_not_fronted(fgw, pbx):
    c = phone(fgw, "carol", ip="127.0.73.20", host="127.0.73.1")
    c.register(60)
    time.sleep(1)
    ours(pbx, "carol", 0)
    c.register(0)
    c.close()


def test_expiry_here_ends_it_there(fgw, pbx):
    a = phone(fgw, "alice")
    a.register(10)
    ours(pbx, "alice")
    time.sleep(9)
    ours(pbx, "alice")
    ours(pbx, "alice", 0, 6)
    a.close()


def test_a_call_from_the_pbx(fgw, pbx, desk):
    a = phone(fgw, "alice")
    a.register(100)
    ours(pbx, "alice")
    c = Call(desk, "alice", sdp(DESK, 41000))
    c.uri, c.to = f"sip:alice@{PBX[0]}:{PBX[1]}", f"<sip:alice@{PBX[0]}>"
    c.invite(auth=False)
    inv = a.expect("INVITE")
    assert DESK not in repr(inv) and PBX[0] not in repr(inv)
    a.reply(inv, 200, "OK", "a", body=sdp(PHONE, 40000))
    m = desk.expect("200", skip=("100", "180"))
    route = "".join(f"Route: {r}\r\n" for r in reversed(m.all("record-route")))
    desk.request("ACK", m.uri("contact"), c.to, c.id, c.tag, m.tag("to"), cseq=desk.cseq, route=route)
    a.expect("ACK")
    desk.request("BYE", m.uri("contact"), c.to, c.id, c.tag, m.tag("to"), route=route)
    a.reply(a.expect("BYE"), 200)
    desk.expect("200")
    assert fgw.idle()
    a.register(0)
    ours(pbx, "alice", 0)
    a.close()


def test_our_account_at_the_trunk(fgw, pbx, desk):
    ours(pbx, "ringwall")
    t = peer(fgw, "trunk")
    assert t["registered"] and t["registered_until_us"] > time.time() * 1e6
    b = phone(fgw, "bob")
    b.register(100)
    desk.proxy = TRUNK
    c = Call(desk, "ringwall", sdp(DESK, 41000))
    c.uri, c.to = f"sip:ringwall@{TRUNK[0]}:{TRUNK[1]}", f"<sip:ringwall@{TRUNK[0]}>"
    c.invite(auth=False)
    inv = b.expect("INVITE")
    b.reply(inv, 486, "Busy", "b")
    desk.expect("486", skip=("100", "180"))
    b.expect("ACK")
    b.register(0)
    b.close()
    assert fgw.idle()


def test_the_pbx_restarts(fgw, pbx):
    """It has forgotten everything: the next refresh tells it again."""
    a = phone(fgw, "alice", "tls")
    a.register(600)
    ours(pbx, "alice")
    pbx.stop()
    time.sleep(1)
    pbx.start()
    assert pbx.where("alice") == []
    ours(pbx, "alice", 1, 40)
    ours(pbx, "ringwall", 1, 40)
    a.register(0)
    ours(pbx, "alice", 0)
    a.close()


def test_the_engine_dies(fgw, pbx):
    """Bindings outlive it, and so does what they mean upstream: the same Call-ID, CSeq goes on."""
    a, b = phone(fgw, "alice"), phone(fgw, "bob")
    a.register(100), b.register(100)
    before = {u: ours(pbx, u)[0] for u in ("alice", "bob")}
    for name, pid in fgw.pids().items():
        if name.startswith("engine"):
            os.kill(pid, signal.SIGKILL)
    time.sleep(22)          # what the PBX granted last is over
    for u in before:
        (contact, call_id, cseq), = ours(pbx, u, 1, 10)
        assert call_id == before[u][1] and cseq > before[u][2]
    for x in (a, b):
        x.register(0)
        ours(pbx, x.user, 0)
        x.close()


def test_wrong_credentials_are_told(fgw, pbx):
    r = fgw.run("peer-secret", "trunk", "--state", fgw.state, stdin="not-the-secret\n")
    assert r.returncode == 0, r.stdout + r.stderr
    assert wait_for(lambda: peer(fgw, "trunk").get("register_reason") == "upstream_auth", 40), peer(fgw, "trunk")
    assert fgw.reason("upstream_auth") >= 1
    told = lambda: any(e.get("reason") == "upstream_auth" and e.get("peer") == "trunk" for e in fgw.ask("events")["events"])
    assert wait_for(told, 5), fgw.ask("events")["events"][-5:]
    assert wait_for(lambda: not peer(fgw, "trunk")["registered"], 25)


def test_an_orderly_stop_takes_them_back(fgw, pbx):
    """SIGTERM: the PBX is told, and is not waited for when it says nothing."""
    r = fgw.run("peer-secret", "trunk", "--state", fgw.state, stdin="Trunk-secret-4711\n")
    assert r.returncode == 0, r.stdout + r.stderr
    a, b = phone(fgw, "alice"), phone(fgw, "bob")
    a.register(100), b.register(100)
    ours(pbx, "alice"), ours(pbx, "bob")
    start = time.time()
    fgw.stop()
    assert time.time() - start < 2
    for u in ("alice", "bob"):
        assert pbx.where(u) == []
    fgw.start()
    ours(pbx, "alice", 1, 10)
    os.killpg(pbx.p.pid, signal.SIGSTOP)
    start = time.time()
    fgw.stop()
    took = time.time() - start
    os.killpg(pbx.p.pid, signal.SIGCONT)
    assert 1.9 < took < 4, took
    fgw.start()
    a.close(), b.close()
