"""Calls for help: they come through with wrong credentials, after the same challenge as all, while a user's tries are used up, and from who is banned for what he
did, as nobody's; every other call in the same state does not, and a number that only looks like theirs leads nowhere else."""
import os, time
import pytest
from gateway import Gateway, wait_for
from ua import Call, Ua, sdp

GW, LAN, PHONE, PBX = "127.0.77.1", "127.0.78.1", "127.0.77.20", "127.0.78.10"
CONFIG = """
domains: [example.com]
state: {state}
engines: {engines}
media: {{ports: {ports}}}
listeners:
  - {{name: udp, transport: udp, address: "127.0.77.1:5060"}}
  - {{name: tcp, transport: tcp, address: "127.0.77.1:5060"}}
  - {{name: lan, transport: udp, address: "127.0.78.1:5060"}}
zones:
  - {{name: phones, listeners: [udp, tcp], sources: [127.0.77.0/24], media: rtp, nat: yes, registration: yes, services: [transfer]}}
  - {{name: lan, listeners: [lan], sources: [127.0.78.0/24], media: rtp, authenticate: no}}
waivers:
  - {{name: a, zone: phones, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test", expires: 2099-01-01}}
  - {{name: b, zone: lan, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test", expires: 2099-01-01}}
peers:
  - {{name: pbx, kind: pbx, zone: lan, listener: lan, address: "127.0.78.10:5070", trust_identity: yes}}
roles:
  - {{name: user, outbound: yes}}
  - {{name: inside, outbound: no}}
routes:
  - {{name: help, pattern: "112", to: {{peers: [pbx]}}}}
  - {{name: cut, pattern: "911", strip: 1, to: {{peers: [pbx]}}}}
  - {{name: out, pattern: "9.", to: {{peers: [pbx]}}}}
  - {{name: users, pattern: "*", to: users}}
limits: {{register_min: 10s, {limits}}}
guard: {{kernel: none, mode: MODE}}
"""
ANY = object()
HELP = ("sip:112@example.com", "tel:112", "urn:service:sos", "urn:service:sos.fire")


@pytest.fixture
def own():
    made = []

    def make(mode="enforce", limits="calls: 100"):
        g = Gateway(config=CONFIG.replace("MODE", mode), engines=2, ports="27400-27599", limits=limits)
        made.append(g)
        g.user("alice")
        g.user("bob", role="inside")
        return g.start()
    yield make
    for g in made:
        g.close()


@pytest.fixture
def pbx():
    u = Ua(PBX, 5070, (LAN, 5060), "udp", "pbx")
    yield u
    u.close()


@pytest.fixture
def phone():
    made = []

    def make(user="alice", password="", transport="udp", ip=PHONE):
        made.append(Ua(ip, 0, (GW, 5060), transport, user, password))
        return made[-1]
    yield make
    for u in made:
        u.close()


def dial(u, uri, extra=""):
    c = Call(u, "x", extra=extra)
    c.uri, c.to = uri, f"<{uri}>"
    c.invite(auth=False)
    return c


def final(u, timeout=1.5):
    """The code of the next final answer; None: none."""
    end = time.time() + timeout
    while (m := u.recv(max(end - time.time(), 0))):
        if m.code >= 200:
            return m.code
    return None


def invited(pbx, timeout=2.0):
    """The next INVITE that reaches the PBX, or None."""
    end = time.time() + timeout
    while (m := pbx.recv(max(end - time.time(), 0))):
        if m.method == "INVITE" and not m.code:
            return m
    return None


def helped(pbx, u, c, asserted=None):
    """The call is up and ends as others do."""
    inv = invited(pbx)
    assert inv, f"no call came to the PBX, but {u.recv(0.1)}, {u.recv(0.1)}"
    assert inv.start.startswith("INVITE sip:112@"), inv.start
    assert asserted is ANY or (asserted is None and not inv.get("p-asserted-identity")) or (asserted and f"sip:{asserted}@" in inv.get("p-asserted-identity")), inv
    pbx.reply(inv, 200, "OK", "p" + os.urandom(3).hex(), body=sdp(PBX, 41000))
    c.answered()
    pbx.expect("ACK", skip=("100", "INVITE"))
    c.within("BYE")
    pbx.reply(pbx.expect("BYE", skip=("100", "INVITE")), 200, "OK")
    u.expect("200")


def nonce_of(u):
    u.request("REGISTER", "sip:example.com", f"<sip:{u.user}@example.com>", os.urandom(6).hex(), "t")
    return u.expect("401").get("www-authenticate")


def signed(u, uri, challenge, password=None, nc=1):
    return "Authorization: " + u.authorization(challenge, "INVITE", uri if uri.startswith("sip:") else "sip:example.com", password=password, nc=nc) + "\r\n"


def tried(u, uri, extra="", timeout=1.5):
    """Asked for credentials, and given some."""
    dial(u, uri, extra)
    end = time.time() + timeout
    while (m := u.recv(max(end - time.time(), 0))):
        if m.code == 401:
            return dial(u, uri, signed(u, uri, m.get("www-authenticate"), u.password or "none") + extra)
    raise AssertionError(f"{uri}: no challenge")


def guess(u, n, password="wrong"):
    """Wrong passwords, each with a nonce that the gateway gave."""
    for i in range(n):
        ident = os.urandom(6).hex()
        u.request("REGISTER", "sip:example.com", f"<sip:{u.user}@example.com>", ident, "t")
        m = u.recv(0.3)
        if not m or m.code != 401:
            continue
        a = u.authorization(m.get("www-authenticate"), "REGISTER", "sip:example.com", password=f"{password}{i}")
        u.request("REGISTER", "sip:example.com", f"<sip:{u.user}@example.com>", ident, "t", extra=f"Authorization: {a}\r\n")
        u.recv(0.3)


def test_without_an_account(own, pbx, phone):
    g = own("dry-run")
    for transport in ("udp", "tcp"):
        u = phone("nobody-here", transport=transport)
        for uri in HELP:
            dial(u, uri)
            assert final(u) == 401 and not invited(pbx, 0.1), "who has not tried to prove himself is asked to"
            helped(pbx, u, dial(u, uri, signed(u, uri, nonce_of(u), "none")))
        dial(u, "sip:9123@example.com")
        assert final(u) == 401
        assert not invited(pbx, 0.3)
    assert g.reason("auth_required") >= 8


def test_with_credentials_he_is_who_he_is(own, pbx, phone):
    """Also one whose role lets nobody out."""
    g = own()
    for user in ("alice", "bob"):
        u = phone(user, g.passwords[user])
        ch = nonce_of(u)
        helped(pbx, u, dial(u, HELP[0], signed(u, HELP[0], ch)), asserted=user)
    dial(u, "sip:9123@example.com", signed(u, "sip:9123@example.com", ch, nc=2))
    assert final(u) == 403


def test_while_the_tries_are_used_up(own, pbx, phone):
    """The vault says no to the right password too: the call for help passes unproven, that to another number does not; who does not exist
    sees the same."""
    g = own("dry-run")
    for user in ("alice", "carol"):
        u = phone(user, g.passwords.get(user, "none"))
        guess(u, 14)
        ch = nonce_of(u)
        dial(u, "sip:9123@example.com", signed(u, "sip:9123@example.com", ch))
        assert final(u) == 403
        assert not invited(pbx, 0.3)
        for n, uri in enumerate(HELP):
            helped(pbx, u, dial(u, uri, signed(u, uri, ch, nc=2 + n)))
        helped(pbx, u, dial(u, HELP[0], signed(u, HELP[0], ch, nc=1)))  # a replay, and not even that stops it
        helped(pbx, u, dial(u, HELP[0], "Authorization: Digest broken\r\n"))
    assert g.reason("auth_limited") >= 2 * (1 + len(HELP)), g.status()["reasons"]


def test_from_who_is_banned(own, pbx, phone):
    g = own()
    u = phone("alice", g.passwords["alice"])
    guess(u, 40)

    def hush():
        while u.recv(0.05):
            pass
        dial(u, "sip:9123@example.com")
        return final(u, 0.6) is None
    assert wait_for(hush, 8), "no ban"
    for uri in HELP[:2]:
        helped(pbx, u, tried(u, uri), ANY)  # proved, unless his tries are used up
        time.sleep(2)  # a few a second are let through
    assert hush() and not invited(pbx, 0.3)
    t = phone("alice", transport="tcp")
    helped(pbx, t, tried(t, HELP[0]), ANY)


def test_it_leads_nowhere_else(own, pbx, phone):
    g = own("dry-run")
    u = phone("mallory")
    for uri, extra in (("sip:112@elsewhere.example.net", ""), ("sip:0112@example.com", ""), ("sip:112%3b@example.com", ""), ("urn:service:sosx", ""),
                       ("sip:9112@example.com", ""), (HELP[0], "Replaces: a@b;to-tag=1;from-tag=2\r\n"),
                       ("sip:911@example.com", "")):  # a rule that cuts it: another number than was dialled
        dial(u, uri, extra)
        assert (final(u) or 0) >= 400, uri
        assert not invited(pbx, 0.2), uri
    c = tried(u, HELP[0], "Route: <sip:127.0.78.99;lr>\r\nP-Asserted-Identity: <sip:alice@example.com>\r\n")
    inv = invited(pbx)
    assert inv and inv.start.startswith("INVITE sip:112@") and not inv.get("p-asserted-identity")
    pbx.reply(inv, 200, "OK", "p1", body=sdp(PBX, 41000))
    c.answered()
    pbx.expect("ACK", skip=("100", "INVITE"))
    c.within("REFER", extra="Refer-To: <sip:9123@example.com>\r\n")  # who is nobody dials no other number
    assert final(u) >= 400
    assert not invited(pbx, 0.5)
    other = phone("mallory", ip="127.0.77.21")  # nor does the call go on from elsewhere
    other.request("BYE", c.target, c.to, c.id, c.tag, c.remote_tag)
    assert final(other, 0.8) in (401, 403, 481, None)
    c.within("BYE")
    pbx.reply(pbx.expect("BYE", skip=("100", "INVITE")), 200, "OK")
    u.expect("200")
