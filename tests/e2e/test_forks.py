"""Phones on several transports at once: forking, refusals, ringing too long, and connections that come and go."""
import os, re, time
import pytest
from gateway import wait_for
from house import *

RING = 5


@pytest.fixture(scope="module")
def g():
    g = house(engines=2, limits=f"ring: {RING}s")
    g.user("alice"), g.user("bob")
    g.start()
    yield g
    try:
        assert g.idle(3), g.ask("calls")
        assert wait_for(lambda: g.status()["stats"]["ports_taken"] == 0, 2)
    finally:
        g.close()


@pytest.fixture
def close():
    made = []
    yield lambda x: made.append(x) or x
    for x in made:
        x.close()


def phone(g, close, transport, user="bob", ip="21"):
    ca = os.path.join(g.state, "ca.pem")
    return close(Ua(PHONES + ip, 0, (PHONES + "1", 5061 if transport == "tls" else 5060), transport, user, g.passwords[user], ca=ca))


def clear(g, close):
    """No binding of Bob is left."""
    gone = phone(g, close, "tls", ip="29")
    uri = "sip:example.com"
    head = f"REGISTER {uri} SIP/2.0\r\nVia: {gone.via()}\r\nMax-Forwards: 70\r\nFrom: <sip:bob@example.com>;tag=s\r\nTo: <sip:bob@example.com>\r\nCall-ID: {os.urandom(5).hex()}\r\nContact: *\r\nExpires: 0\r\n"
    gone.send(head + "CSeq: 1 REGISTER\r\n")
    m = gone.expect("401")
    gone.send(head.replace("branch=z9hG4bK", "branch=z9hG4bKx") + "CSeq: 2 REGISTER\r\nAuthorization: " + gone.authorization(m.get("www-authenticate"), "REGISTER", uri) + "\r\n")
    gone.expect("200")


@pytest.fixture
def bobs(g, close):
    """Bob's phones over TLS, TCP and UDP, registered."""
    all_ = [phone(g, close, t) for t in ("tls", "tcp", "udp")]
    for b in all_:
        b.register(600)
    yield all_
    clear(g, close)


@pytest.fixture
def alice(g, close):
    return phone(g, close, "tls", "alice", "20")


def ring(alice, bobs):
    c = Call(alice, "bob", sdp(alice.ip, 40000, extra=CRYPTO, proto="RTP/SAVP"))
    c.invite()
    return c, [b.expect("INVITE") for b in bobs]


def lost(ua, timeout=4, call=None):
    """The final response; a call that has none in time is cancelled, so that it does not stay for the next test."""
    end = time.time() + timeout
    while time.time() < end:
        m = ua.recv(end - time.time())
        if m and m.code >= 200:
            return m
    if call:
        call.cancel()
        call.ack(ua.expect("487", skip=("100", "180", "200")))
    raise AssertionError("no final response")


def test_offers_fit_each_phone(g, alice, bobs):
    c, invs = ring(alice, bobs)
    assert b"RTP/SAVP" in invs[0].body and b"a=crypto" in invs[0].body
    for i in invs[1:]:
        assert b"RTP/AVP" in i.body and b"a=crypto" not in i.body, "keys over plain signalling"
    assert len({i.get("call-id") for i in invs}) == 3
    for b, i in zip(bobs, invs):
        b.reply(i, 486, "Busy Here", "x")
        b.expect("ACK")
    m = lost(alice)
    assert m.code == 486
    c.ack(m)
    assert g.idle(3)


@pytest.mark.parametrize("codes,want", [((486, 480, 404), (404, 480, 486)), ((500, 486, 503), (486,)), ((486, 603, None), (603,)), ((503, 500, 503), (480, 500, 503))])
def test_best_refusal_wins(g, alice, bobs, codes, want):
    c, invs = ring(alice, bobs)
    for b, i in zip(bobs, invs):
        b.reply(i, 180, "Ringing", "x")
    for b, i, code in zip(bobs, invs, codes):
        if code:
            b.reply(i, code, "No", "x")
            b.expect("ACK")
    if None in codes:  # a 6xx ends the others at once
        b, i = bobs[codes.index(None)], invs[codes.index(None)]
        cancel = b.expect("CANCEL")
        b.reply(cancel, 200)
        b.reply(i, 487, "Request Terminated", "x")
        b.expect("ACK")
    m = lost(alice)
    assert m.code in want, m.start
    c.ack(m)
    assert g.idle(3)


@pytest.mark.parametrize("winner", [0, 1, 2])
def test_each_transport_may_win(g, alice, bobs, winner):
    c, invs = ring(alice, bobs)
    for b, i in zip(bobs, invs):
        b.reply(i, 180, "Ringing", "x")
    w, i = bobs[winner], invs[winner]
    w.reply(i, 200, "OK", "w", body=answer_to(i, w.ip, 42000))
    c.answered()
    w.expect("ACK")
    for b, i in zip(bobs, invs):
        if b is not w:
            b.reply(b.expect("CANCEL"), 200)
            b.reply(i, 487, "Request Terminated", "x")
            b.expect("ACK")
    c.bye()
    w.reply(w.expect("BYE"), 200)
    assert g.idle(3), g.ask("calls")


def test_ringing_too_long_is_given_up(g, alice, bobs):
    before = g.reason("call_no_answer")
    t = time.time()
    c, invs = ring(alice, bobs)
    for b, i in zip(bobs, invs):
        b.reply(i, 180, "Ringing", "x")
    alice.expect("180")
    m = lost(alice, RING + 4)
    assert m.code in (408, 480) and RING - 1 < time.time() - t < RING + 2
    c.ack(m)
    for b, i in zip(bobs, invs):
        b.reply(b.expect("CANCEL"), 200)
        b.reply(i, 487, "Request Terminated", "x")
        b.expect("ACK")
    assert g.reason("call_no_answer") == before + 1
    assert g.idle(3) and g.cdr(c.id)["code"] == m.code


def test_callee_whose_connection_goes_while_ringing_leaves_the_race(g, alice, bobs):
    c, invs = ring(alice, bobs)
    bobs[0].s.close()
    for b, i in zip(bobs[1:], invs[1:]):
        b.reply(i, 486, "Busy Here", "x")
        b.expect("ACK")
    m = lost(alice, 4, c)
    assert m.code in (480, 486), m.start
    c.ack(m)
    assert g.idle(3)


def test_phone_that_lost_its_connection_is_not_waited_for(g, alice, close):
    b = phone(g, close, "tls")
    b.register(600)
    b.s.close()
    time.sleep(0.2)
    t = time.time()
    c = Call(alice, "bob", sdp(alice.ip, 40000, extra=CRYPTO, proto="RTP/SAVP"))
    c.invite()
    m = lost(alice, 4, c)
    assert m.code == 480 and time.time() - t < 1.5, m.start
    c.ack(m)
    # the phone comes back under the same contact: calls go by its new connection
    b2 = phone(g, close, "tls")
    b2.register(600)
    c = Call(alice, "bob", sdp(alice.ip, 40000, extra=CRYPTO, proto="RTP/SAVP"))
    c.invite()
    i = b2.expect("INVITE")
    b2.reply(i, 486, "Busy Here", "x")
    b2.expect("ACK")
    c.ack(lost(alice, 4, c))
    clear(g, close)
    assert g.idle(3)


def test_refresh_by_another_connection_moves_the_flow(g, alice, close):
    """Same contact, fresh connection, as phones do after a change of network."""
    clear(g, close)
    b = phone(g, close, "tls")
    contact = b.contact()
    b.register(600)
    n = phone(g, close, "tls", ip="22")
    n.contact = lambda: contact
    n.register(600)
    b.silence(0.3)
    c = Call(alice, "bob", sdp(alice.ip, 40000, extra=CRYPTO, proto="RTP/SAVP"))
    c.invite()
    i = n.expect("INVITE")
    b.silence(0.3)
    n.reply(i, 486, "Busy Here", "x")
    n.expect("ACK")
    c.ack(lost(alice, 4, c))
    n.register(0)
    assert not [x for x in g.ask("bindings")["bindings"] if x["aor"].startswith("bob@")]


def test_callers_connection_goes_in_the_middle_of_a_call(g, alice, bobs):
    """The far side can still hang up; no call is left."""
    c, invs = ring(alice, bobs)
    for b, i in zip(bobs, invs):
        b.reply(i, 180, "Ringing", "x")
    b, i = bobs[2], invs[2]
    b.reply(i, 200, "OK", "w", body=answer_to(i, b.ip, 42000))
    c.answered()
    b.expect("ACK")
    for x, y in zip(bobs[:2], invs):
        x.reply(x.expect("CANCEL"), 200)
        x.reply(y, 487, "Request Terminated", "x")
        x.expect("ACK")
    alice.s.close()
    time.sleep(0.2)
    b.cseq = 50
    b.request("BYE", i.uri("contact"), i.get("from").split(";tag=")[0], i.get("call-id"), "w", i.tag("from"), from_=i.get("to"))
    b.expect("200")
    assert g.idle(3), g.ask("calls")


def test_caller_comes_back_by_a_new_connection_and_hangs_up(g, alice, bobs, close):
    c, invs = ring(alice, bobs)
    for b, i in zip(bobs, invs):
        b.reply(i, 180, "Ringing", "x")
    b, i = bobs[2], invs[2]
    b.reply(i, 200, "OK", "w", body=answer_to(i, b.ip, 42000))
    c.answered()
    b.expect("ACK")
    for x, y in zip(bobs[:2], invs):
        x.reply(x.expect("CANCEL"), 200)
        x.reply(y, 487, "Request Terminated", "x")
        x.expect("ACK")
    alice.s.close()
    time.sleep(0.1)
    again = phone(g, close, "tls", "alice", "20")
    again.cseq = alice.cseq
    c.ua = again
    c.within("BYE")
    m = lost(again)
    if m.code in (401, 407):  # from a connection it does not know: it must prove itself
        again.cseq += 1
        a = again.authorization(m.get("www-authenticate") or m.get("proxy-authenticate"), "BYE", c.target)
        c.within("BYE", extra=f"Authorization: {a}\r\n")
        m = lost(again)
    assert m.code == 200, m.start
    b.reply(b.expect("BYE"), 200)
    assert g.idle(3), g.ask("calls")


def test_caller_gone_while_it_rings(g, alice, bobs):
    c, invs = ring(alice, bobs)
    for b, i in zip(bobs, invs):
        b.reply(i, 180, "Ringing", "x")
    alice.expect("180")
    alice.s.close()
    for b, i in zip(bobs, invs):  # at the latest when it has rung too long
        b.reply(b.expect("CANCEL", RING + 3), 200)
        b.reply(i, 487, "Request Terminated", "x")
        b.expect("ACK")
    assert g.idle(3), g.ask("calls")
