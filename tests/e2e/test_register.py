"""Registrar and digest over UDP, TCP and TLS, IPv4 and IPv6."""
import hashlib, os, re, time
import pytest
from gateway import PHONE, PUB
from ua import Ua


def ua(gw, user="alice", transport="tls", ip=PHONE, port=0):
    v6 = ":" in ip
    host = "::1" if v6 else PUB
    ca = os.path.join(gw.state, "ca.pem")
    return Ua(ip, port, (host, 5061 if transport == "tls" else 5060), transport, user, gw.passwords.get(user, "wrong"), ca=ca)


def bindings(gw, user):
    return [b for b in gw.ask("bindings")["bindings"] if b["aor"].startswith(user + "@")]


@pytest.mark.parametrize("transport,ip", [("tls", PHONE), ("udp", PHONE), ("tcp", PHONE), ("udp", "::1"), ("tls", "::1")])
def test_register_and_remove(gw, transport, ip):
    u = ua(gw, "alice", transport, ip)
    m = u.register(600)
    assert u.contact()[1:-1] in m.get("contact") and "expires=" in m.get("contact")
    assert len(bindings(gw, "alice")) == 1
    u.register(0)
    assert bindings(gw, "alice") == []
    u.close()


@pytest.mark.parametrize("alg", ["SHA-256", "SHA-512-256"])
def test_digest_algorithms(gw, alg):
    u = ua(gw)
    u.register(60, alg=alg)
    u.register(0, alg=alg)
    u.close()


def test_strongest_first_and_no_md5_without_waiver(gw):
    u = ua(gw)
    u.request("REGISTER", "sip:example.com", "<sip:alice@example.com>", "c1@x", "t1")
    m = u.expect("401")
    algs = [re.search(r"algorithm=([\w-]+)", c).group(1) for c in m.all("www-authenticate")]
    assert algs == ["SHA-256", "SHA-512-256"]
    a = u.authorization(m.get("www-authenticate"), "REGISTER", "sip:example.com", alg="MD5")
    u.request("REGISTER", "sip:example.com", "<sip:alice@example.com>", "c1@x", "t1", extra=f"Authorization: {a}\r\n")
    assert u.expect("401").get("www-authenticate")
    u.close()


def test_md5_by_waiver(gw):
    u = ua(gw, "mdora")
    u.register(60, alg="MD5")
    u.register(0, alg="MD5")
    u.close()


def test_wrong_password_and_unknown_user_get_the_same_answer(gw):
    answers = []
    for user in ("alice", "nobody"):
        u = ua(gw, user)
        u.password = "wrong"
        m = u.register(60, expect="403")
        answers.append(sorted(k for k, _ in m.headers) + [m.start])
        u.close()
    assert answers[0] == answers[1]


def test_replayed_credentials_are_refused(gw):
    u = ua(gw)
    u.request("REGISTER", "sip:example.com", "<sip:alice@example.com>", "c2@x", "t1", extra="Expires: 60\r\n")
    m = u.expect("401")
    a = u.authorization(m.get("www-authenticate"), "REGISTER", "sip:example.com")
    for want in ("200", "401"):
        u.request("REGISTER", "sip:example.com", "<sip:alice@example.com>", "c2@x", "t1", extra=f"Expires: 60\r\nAuthorization: {a}\r\n")
        u.expect(want)
    a = u.authorization(m.get("www-authenticate"), "REGISTER", "sip:example.com", nc=2)
    u.request("REGISTER", "sip:example.com", "<sip:alice@example.com>", "c2@x", "t1", extra=f"Expires: 0\r\nAuthorization: {a}\r\n")
    u.expect("200")
    u.close()


def test_forged_nonce_gets_a_new_challenge(gw):
    u = ua(gw)
    u.request("REGISTER", "sip:example.com", "<sip:alice@example.com>", "c3@x", "t1")
    m = u.expect("401")
    ch = re.sub(r'nonce="[^"]{4}', 'nonce="AAAA', m.get("www-authenticate"))
    a = u.authorization(ch, "REGISTER", "sip:example.com")
    u.request("REGISTER", "sip:example.com", "<sip:alice@example.com>", "c3@x", "t1", extra=f"Authorization: {a}\r\n")
    m = u.expect("401")
    assert "stale=true" not in m.get("www-authenticate")
    u.close()


def test_registering_somebody_else_is_refused(gw):
    u = ua(gw)
    uri = "sip:example.com"
    u.request("REGISTER", uri, "<sip:bob@example.com>", "c4@x", "t1")
    m = u.expect("401")
    a = u.authorization(m.get("www-authenticate"), "REGISTER", uri)
    u.request("REGISTER", uri, "<sip:bob@example.com>", "c4@x", "t1", extra=f"Authorization: {a}\r\n")
    u.expect("403")
    assert bindings(gw, "bob") == []
    u.close()


def test_short_expiry_is_too_brief(gw):
    u = ua(gw)
    m = u.register(5, expect="423")
    assert m.get("min-expires") == "30"
    u.close()


def test_several_contacts_and_star(gw):
    a, b = ua(gw, "carol"), ua(gw, "carol")
    a.register(60)
    m = b.register(60)
    assert len(m.all("contact")) == 2
    uri = "sip:example.com"
    head = f"REGISTER {uri} SIP/2.0\r\nVia: {{}}\r\nMax-Forwards: 70\r\nFrom: <sip:carol@example.com>;tag=s\r\nTo: <sip:carol@example.com>\r\nCall-ID: star@x\r\nCSeq: {{}} REGISTER\r\nContact: *\r\nExpires: 0\r\n"
    a.send(head.format(a.via(), 1))
    m = a.expect("401")
    a.send(head.format(a.via(), 2) + "Authorization: " + a.authorization(m.get("www-authenticate"), "REGISTER", uri) + "\r\n")
    m = a.expect("200")
    assert not m.all("contact") and bindings(gw, "carol") == []
    a.close(), b.close()


def test_plain_source_without_zone_gets_nothing(gw):
    """The LAN's address is no phone's zone: no challenge, no answer over UDP."""
    u = Ua("127.0.3.3", 0, (PUB, 5060), "udp", "alice", "x")
    before = gw.reason("zone_unknown_source")
    u.request("REGISTER", "sip:example.com", "<sip:alice@example.com>", "c5@x", "t1")
    u.silence(0.7)
    assert gw.reason("zone_unknown_source") == before + 1
    u.close()


def test_no_server_header_and_own_data_only(gw):
    u = ua(gw)
    u.request("OPTIONS", "sip:example.com", "<sip:example.com>", "c6@x", "t1")
    m = u.recv()
    assert not m.get("server") and not m.get("user-agent")
    u.close()
