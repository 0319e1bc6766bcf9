"""Service-Route (RFC 3608) of a real registrar: it serves only those who come by the route that it gave, whichever engine has the call."""
import os, signal
import pytest
from gateway import Gateway, wait_for
from kamailio import Kamailio, needs_kamailio
from ua import Ask, Call, Ua, sdp

pytestmark = needs_kamailio

PUB, PHONE, GUEST, DESK = "127.0.81.1", "127.0.81.20", "127.0.83.20", "127.0.82.30"
PBX = ("127.0.82.10", 5070)
CONFIG = """
domains: [example.com]
state: {state}
engines: {engines}
media: {{ports: {ports}}}
certificates:
  default: {{chain: server.pem, key: server}}
listeners:
  - {{name: udp, transport: udp, address: "127.0.81.1:5060"}}
  - {{name: guest, transport: udp, address: "127.0.83.1:5060"}}
  - {{name: lan, transport: udp, address: "127.0.82.1:5060"}}
zones:
  - {{name: phones, listeners: [udp], sources: [127.0.81.0/24], media: rtp, nat: yes, registration: yes, services: [message]}}
  - {{name: guests, listeners: [guest], sources: [127.0.83.0/24], media: rtp, nat: yes, registration: yes}}
  - {{name: lan, listeners: [lan], sources: [127.0.82.0/24], media: rtp, authenticate: no, services: [message]}}
waivers:
  - {{name: old-phones, zone: phones, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test phones without TLS", expires: 2099-01-01}}
  - {{name: guest-phones, zone: guests, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test phones without TLS", expires: 2099-01-01}}
  - {{name: old-pbx, zone: lan, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test PBX without TLS", expires: 2099-01-01}}
peers:
  - {{name: pbx, kind: pbx, zone: lan, listener: lan, address: "127.0.82.10:5070", fronts: [phones], username: ringwall, register: 1m}}
roles:
  - {{name: user, outbound: yes}}
routes:
  - {{name: numbers, pattern: "X.", to: {{peers: [pbx]}}}}
  - {{name: users, pattern: "*", to: users}}
limits: {{register_min: 10s, {limits}}}
"""

USERS = ["alice", *(f"u{i}" for i in range(17))]  # whose engine is the same by chance once in 131072


def seen():
    probe = Ua(DESK, 0, PBX, "udp", "probe")
    probe.request("OPTIONS", f"sip:seen@{PBX[0]}:{PBX[1]}", f"<sip:{PBX[0]}>", os.urandom(4).hex(), "o")
    m = probe.recv(1)
    probe.close()
    return m and (m.get("x-method"), m.get("x-route"))


@pytest.fixture(scope="module")
def registrar(tmp_path_factory):
    k = Kamailio(tmp_path_factory.mktemp("service"), "kamailio_service_route.cfg", seen).start()
    yield k
    k.stop()


@pytest.fixture(scope="module")
def sgw(registrar):
    g = Gateway(config=CONFIG, ports="24400-24799")
    for u in ("bob", *USERS):
        g.user(u)
    g.start()
    yield g
    g.close()


@pytest.fixture
def desk():
    u = Ua(DESK, 5090, PBX, "udp", "desk")
    yield u
    u.close()


def phone(g, user, ip=PHONE, host=PUB):
    return Ua(ip, 0, (host, 5060), "udp", user, g.passwords[user])


def peer(g):
    """What the engines tell of the peer, each."""
    return [p for e in g.ask("peers")["engines"] for p in (e["peers"] if isinstance(e, dict) else e or []) if p["name"] == "pbx"]


def registered(g, fronted):
    got = lambda: any(p.get("service_route") for p in peer(g)) and sum(p.get("fronted_registered", 0) for p in peer(g)) == fronted
    assert wait_for(got, 5), peer(g)


def engine_of(g):
    """Which engine has the call that is up."""
    return [len(e["calls"]) for e in g.ask("calls")["engines"]].index(1)


def call(g, a, desk, want):
    """One call through to the desk phone, which came by that route: the engine that had it."""
    c = Call(a, "4711", sdp(a.ip, 41000))
    c.invite()
    inv = desk.expect("INVITE")
    assert seen() == ("INVITE", want)
    desk.reply(inv, 200, "OK", "d", body=sdp(DESK, 42000))
    c.answered()
    desk.expect("ACK")
    e = engine_of(g)
    c.within("BYE")
    desk.reply(desk.expect("BYE"), 200)
    a.expect("200")
    assert g.idle()
    return e


def test_calls_of_a_user_come_by_his_route_from_either_engine(sgw, desk):
    """Calls go to the engine of their user, registrations to one by another hash: of so many users some have both in one engine, some do not."""
    engines = set()
    for user in USERS:
        a = phone(sgw, user)
        a.register(100)
        registered(sgw, 1)
        engines.add(call(sgw, a, desk, f"<sip:orig-{user}@{PBX[0]}:{PBX[1]};lr>"))
        if user == "alice":
            q = Ask(a, "MESSAGE", "4711", body="hello")
            got = desk.expect("MESSAGE")
            assert seen() == ("MESSAGE", f"<sip:orig-alice@{PBX[0]}:{PBX[1]};lr>")
            desk.reply(got, 200)
            q.took("200")
        a.register(0)
        registered(sgw, 0)
        a.close()
        if len(engines) == 2 and user in USERS[5:]:
            break
    assert len(engines) == 2, engines


def test_without_a_registration_of_his_own_the_account_counts(sgw, desk):
    registered(sgw, 0)
    b = phone(sgw, "bob", GUEST, "127.0.83.1")
    call(sgw, b, desk, f"<sip:orig-ringwall@{PBX[0]}:{PBX[1]};lr>")
    b.close()


def test_after_the_engines_died(sgw, desk):
    a = phone(sgw, "alice")
    a.register(100)
    registered(sgw, 1)
    before = {name: pid for name, pid in sgw.pids().items() if name.startswith("engine")}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: all(sgw.pids().get(name) not in (None, pid) for name, pid in before.items()), 10)
    assert wait_for(lambda: sgw.run("peers", "--state", sgw.state, "--json").returncode == 0, 10)
    registered(sgw, 1)
    call(sgw, a, desk, f"<sip:orig-alice@{PBX[0]}:{PBX[1]};lr>")
    a.register(0)
    a.close()
