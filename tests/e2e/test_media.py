"""Media by packets of our own: who may send, where it goes, what is counted, and SRTP by a second implementation."""
import json, re, socket, struct, time
import pytest
from gateway import wait_for
from house import *
from rtp import Cipher, Rtp, Srtp, new_key, packet, receiver_report, where

FROM, PORTS = 23000, 200


@pytest.fixture(scope="module")
def g():
    g = house(engines=1, ports=f"{FROM}-{FROM + PORTS - 1}", limits="calls: 200")
    g.user("alice")
    g.start()
    yield g
    try:
        assert g.idle(2), g.ask("calls")
        assert wait_for(lambda: g.status()["stats"]["ports_taken"] == 0, 2)
    finally:
        g.close()


@pytest.fixture
def close():
    made = []
    yield lambda x: made.append(x) or x
    for x in made:
        x.close()


class Talk:
    """A call that is up: A's and B's endpoints, and the gateway's ports for both."""
    def __init__(self, close, to="11", number="100", extra="", b_extra="", b_said=None):
        self.a = close(caller())
        peer = (NATTED + "10" if number[0] == "0" else LAN + to)
        self.b = close(caller(peer, user="dst"))
        self.ra, self.rb = close(Rtp(self.a.ip)), close(Rtp(peer))
        self.c = call_from(self.a, number, sdp(self.a.ip, self.ra.port, extra=extra))
        self.inv = self.b.expect("INVITE")
        self.b.reply(self.inv, 200, "OK", "b", body=sdp(*(b_said or (peer, self.rb.port)), extra=b_extra))
        self.b.expect("ACK")
        ok = self.c.answered()
        self.wa, self.wb = where(ok.body), where(self.inv.body)

    def end(self, g):
        self.c.bye()
        self.b.reply(self.b.expect("BYE"), 200)
        assert g.idle(3), g.ask("calls")


def both(t, n=20, seq=1):
    for i in range(n):
        t.ra.send(t.wa, packet(seq + i, ssrc=1))
        t.rb.send(t.wb, packet(seq + i, ssrc=2))
    return len(t.rb.drain()), len(t.ra.drain())


def test_plain_audio_passes_bit_by_bit_both_ways(g, close):
    t = Talk(close)
    sent = [packet(i, payload=bytes([i]) * 160, marker=i == 1) for i in range(1, 51)]
    for p in sent:
        t.ra.send(t.wa, p)
    assert t.rb.drain() == sent
    for p in sent:
        t.rb.send(t.wb, p)
    assert t.ra.drain() == sent
    t.end(g)


def test_dtmf_events_pass_intact(g, close):
    """RFC 4733: one timestamp, growing duration, end sent three times."""
    t = Talk(close)
    events = [packet(10 + i, ts=8000, pt=101, marker=i == 0, payload=struct.pack("!BBH", 5, 0x80 | 10 if i >= 5 else 10, min(i + 1, 6) * 160)) for i in range(8)]
    for p in events:
        t.ra.send(t.wa, p)
    assert t.rb.drain() == events
    t.end(g)


def test_only_the_address_of_the_description_may_send(g, close):
    """A third party sprays every port of the range, before and after audio flows: nothing of it passes, nothing is redirected."""
    t = Talk(close)
    evil = close(Rtp(LAN + "77"))
    other = close(Rtp(t.a.ip))  # the phone's address, another port
    before, strays = g.reason("rtp_source"), g.reason("rtp_no_session")
    for turn in range(2):
        for port in range(FROM, FROM + PORTS):
            evil.send((t.wa[0], port), packet(turn + 1, payload=b"evil" * 40))
        other.send(t.wa, packet(9, payload=b"evil" * 40))
        assert t.ra.drain() == [] and t.rb.drain() == [], "a stranger's packets passed"
        assert both(t, seq=100 * (turn + 1)) == (20, 20), "audio was redirected"
    assert evil.drain(0.1) == [] and other.drain(0.1) == []
    assert wait_for(lambda: g.reason("rtp_source") >= before + 4, 2)
    # ports without a call may be closed, so that the kernel itself refuses: no counter is owed for them
    assert g.reason("rtp_no_session") >= strays
    t.end(g)


def test_nat_latches_once_and_is_frozen_then(g, close):
    t = Talk(close, number="0100", b_said=("127.0.65.10", 49998))
    real, evil = t.rb, close(Rtp(NATTED + "66"))
    # nothing is known of the real source yet: it announces itself by its first packet
    real.send(t.wb, packet(1, ssrc=2))
    assert len(t.ra.drain()) == 1
    t.ra.send(t.wa, packet(1, ssrc=1))
    assert len(real.drain()) == 1, "latching does not turn the other direction"
    before = g.reason("rtp_source")
    for i in range(20):
        evil.send(t.wb, packet(100 + i, payload=b"evil" * 40, ssrc=2))
    assert t.ra.drain() == []
    t.ra.send(t.wa, packet(2, ssrc=1))
    assert len(real.drain()) == 1 and evil.drain(0.1) == []
    assert g.reason("rtp_source") == before + 20
    t.end(g)


def test_rtcp_on_its_own_port(g, close):
    t = Talk(close)
    rr = receiver_report()
    both(t, 2)
    t.ra.c.sendto(rr, (t.wa[0], t.wa[1] + 1))
    got = t.rb.recv(1, rtcp=True)
    assert got and len(got) == len(rr) and got[:8] == rr[:8], got
    assert b"abcd" not in got, "the canonical name tells who it is"
    # from elsewhere: no
    evil = close(Rtp(LAN + "77"))
    evil.c.sendto(rr, (t.wa[0], t.wa[1] + 1))
    assert t.rb.recv(0.3, rtcp=True) is None
    t.end(g)


def test_rtcp_mux_on_one_side_only(g, close):
    t = Talk(close, extra="a=rtcp-mux\r\n")
    assert b"a=rtcp-mux" in t.c.ok.body
    both(t, 2)
    t.ra.send(t.wa, receiver_report())
    assert t.rb.recv(1, rtcp=True), "muxed RTCP does not reach the far side's own port"
    t.rb.c.sendto(receiver_report(), (t.wb[0], t.wb[1] + 1))
    got = t.ra.recv(1)
    assert got and got[1] == 201
    t.end(g)


def test_garbage_is_named_and_dropped(g, close):
    t = Talk(close)
    both(t, 2)
    before = g.reason("rtp_malformed")
    bad = [b"", b"\x80", b"\x00" * 40, packet(5)[:11], bytes([0xaf]) + packet(5)[1:12], bytes([0xa0]) + packet(5)[1:12] + b"\xff" * 20, b"\x90" + packet(5)[1:12] + b"\0\0\xff\xff"]
    for p in bad:
        t.ra.send(t.wa, p)
    assert t.rb.drain() == []
    assert wait_for(lambda: g.reason("rtp_malformed") >= before + len(bad) - 1, 2), (before, g.reason("rtp_malformed"))
    assert both(t, 5, seq=200) == (5, 5)
    t.end(g)


def test_reinvite_moves_the_far_port(g, close):
    t = Talk(close)
    assert both(t, 3) == (3, 3)
    new = close(Rtp(t.a.ip))
    t.c.within("INVITE", body=sdp(t.a.ip, new.port).replace("tester 7 7", "tester 7 8"))
    re1 = t.b.expect("INVITE")
    t.b.reply(re1, 200, "OK", body=sdp(t.b.ip, t.rb.port))
    ok = t.a.expect("200")
    t.c.invite_cseq = t.a.cseq
    t.c.ack2xx()
    t.b.expect("ACK")
    assert where(ok.body) == t.wa, "the gateway's own port moved"
    t.rb.send(t.wb, packet(50, ssrc=2))
    assert new.recv(1) and t.ra.recv(0.2) is None
    new.send(t.wa, packet(60, ssrc=1))
    assert t.rb.recv(1)
    old = g.reason("rtp_source")
    t.ra.send(t.wa, packet(61, ssrc=1))
    assert t.rb.recv(0.3) is None and g.reason("rtp_source") == old + 1, "the old port is still believed"
    t.end(g)


def leg_numbers(x, found):
    """All numbers named packets, lost or jitter in a document, however it is built."""
    if isinstance(x, dict):
        for k, v in x.items():
            if isinstance(v, (int, float)) and not isinstance(v, bool):
                found.setdefault(k, []).append(v)
            leg_numbers(v, found)
    elif isinstance(x, list):
        for v in x:
            leg_numbers(v, found)
    return found


def test_packets_loss_and_jitter_are_told(g, close):
    t = Talk(close)
    start = time.time()
    for i in range(100):
        if i % 10 != 5:  # each tenth is lost before us
            t.ra.send(t.wa, packet(1 + i, ssrc=1))
        if i % 2 == 0:
            t.rb.send(t.wb, packet(1 + i // 2, ssrc=2))
        time.sleep(max(0, start + 0.01 * (i + 1) - time.time() + (0.004 if i % 2 else 0)))
    n = leg_numbers(g.ask("calls"), {})
    packets = [v for k, vs in n.items() if "packets" in k for v in vs]
    assert 90 in packets and 50 in packets, n
    t.end(g)
    record = g.cdr(t.c.id)
    n = leg_numbers(record, {})
    packets = [v for k, vs in n.items() if "packets" in k for v in vs]
    assert 90 in packets and 50 in packets, record
    assert 10 in [v for k, vs in n.items() if "lost" in k for v in vs], record
    jitter = [v for k, vs in n.items() if "jitter" in k for v in vs]
    assert jitter and any(v > 0 for v in jitter), record
    assert "PCMA" in json.dumps(record)


def test_one_way_audio_is_flagged(g, close):
    t = Talk(close)
    for i in range(110):  # one-way is what lasts five seconds
        t.ra.send(t.wa, packet(1 + i, ssrc=1))
        time.sleep(0.05)
    assert '"one_way":true' in json.dumps(g.ask("calls")).replace(" ", "")
    t.end(g)
    text = json.dumps(g.cdr(t.c.id)).replace(" ", "")
    assert '"one_way":true' in text, text
    t.a.close(), t.b.close()
    t = Talk(close)
    for i in range(120):
        t.ra.send(t.wa, packet(1 + i, ssrc=1))
        t.rb.send(t.wb, packet(1 + i, ssrc=2))
        time.sleep(0.005)
    t.end(g)
    text = json.dumps(g.cdr(t.c.id)).replace(" ", "")
    assert '"one_way":true' not in text, text


def test_sequence_wrap_is_no_loss(g, close):
    t = Talk(close)
    for i in range(65500, 65570):
        t.ra.send(t.wa, packet(i, ts=i * 160, ssrc=1))
    assert len(t.rb.drain()) == 70
    t.end(g)
    n = leg_numbers(g.cdr(t.c.id), {})
    assert 70 in [v for k, vs in n.items() if "packets" in k for v in vs]
    assert not any(v for k, vs in n.items() if "lost" in k for v in vs)


# --- SRTP ---

srtp = pytest.mark.skipif(Cipher is None, reason="python3-cryptography is not installed")
SUITES = ["AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM", "AEAD_AES_256_GCM"]


class Secure:
    """A phone over TLS and SRTP calls a plain peer."""
    def __init__(self, g, close, suite, key=None):
        self.u = close(Ua(PHONES + "20", 0, (PHONES + "1", 5061), "tls", "alice", g.passwords["alice"], ca=os.path.join(g.state, "ca.pem")))
        self.b = close(caller(LAN + "11", user="dst"))
        self.ra, self.rb = close(Rtp(self.u.ip)), close(Rtp(self.b.ip))
        self.suite, self.key = suite, key or new_key(suite)
        self.c = Call(self.u, "100", self.offer(self.key))
        self.c.invite()
        inv = self.b.expect("INVITE")
        assert b"crypto" not in inv.body
        self.b.reply(inv, 200, "OK", "b", body=sdp(self.b.ip, self.rb.port))
        self.b.expect("ACK")
        ok = self.c.answered()
        self.wa, self.wb = where(ok.body), where(inv.body)
        self.tx, self.rx = Srtp(suite, self.key), self.theirs(ok.body)

    def offer(self, key, version=7):
        return sdp(self.u.ip, self.ra.port, extra=f"a=crypto:1 {self.suite} inline:{key}\r\n", proto="RTP/SAVP").replace("tester 7 7", f"tester 7 {version}")

    def theirs(self, body):
        m = re.search(rb"a=crypto:1 (\S+) inline:([A-Za-z0-9+/=]+)", body)
        assert m.group(1).decode() == self.suite
        return Srtp(self.suite, m.group(2).decode())

    def end(self, g):
        self.c.bye()
        self.b.reply(self.b.expect("BYE"), 200)
        assert g.idle(3), g.ask("calls")


@srtp
@pytest.mark.parametrize("suite", SUITES)
def test_srtp_both_ways(g, close, suite):
    t = Secure(g, close, suite)
    plain = [packet(i, payload=bytes([i & 0xff]) * 160, ssrc=1) for i in list(range(65530, 65536)) + list(range(10))]  # through a roll-over
    for p in plain:
        t.ra.send(t.wa, t.tx.protect(p))
    assert t.rb.drain() == plain
    for p in plain[6:]:
        t.rb.send(t.wb, p)
    got = t.ra.drain()
    assert [t.rx.unprotect(p) for p in got] == plain[6:]
    assert all(x[12:] not in y for x, y in zip(plain[6:], got))
    t.end(g)
    assert suite in str(g.cdr(t.c.id)) and t.key not in str(g.cdr(t.c.id))


@srtp
@pytest.mark.parametrize("suite", SUITES[:2])
def test_srtp_wrong_key_forged_and_replayed_packets(g, close, suite):
    t = Secure(g, close, suite)
    wrong, bad, again = Srtp(suite, new_key(suite)), g.reason("rtp_auth"), g.reason("rtp_replay")
    for i in range(10):
        t.ra.send(t.wa, wrong.protect(packet(1 + i, ssrc=1)))
        t.ra.send(t.wa, packet(1 + i, ssrc=1))  # not protected at all
    assert t.rb.drain() == [], "packets that do not verify passed"
    assert wait_for(lambda: g.reason("rtp_auth") >= bad + 10, 2), g.status()["reasons"]
    # a wrong packet moves nothing: the right ones with the same numbers pass
    good = [t.tx.protect(packet(1 + i, ssrc=1)) for i in range(10)]
    for p in good:
        t.ra.send(t.wa, p)
    assert len(t.rb.drain()) == 10
    for p in good:
        t.ra.send(t.wa, p)
    flipped = bytearray(t.tx.protect(packet(50, ssrc=1)))
    flipped[20] ^= 1
    t.ra.send(t.wa, bytes(flipped))
    assert t.rb.drain() == [], "a replayed or changed packet passed"
    assert wait_for(lambda: g.reason("rtp_replay") >= again + 10, 2)
    # another source cannot take the stream over with recorded packets
    evil = close(Rtp(PHONES + "66"))
    for p in good:
        evil.send(t.wa, p)
    t.rb.send(t.wb, packet(1, ssrc=2))
    assert len(t.ra.drain()) == 1 and evil.drain(0.1) == []
    t.end(g)


@srtp
def test_rekey_by_reinvite(g, close):
    suite = SUITES[0]
    t = Secure(g, close, suite)
    t.ra.send(t.wa, t.tx.protect(packet(1, ssrc=1)))
    assert len(t.rb.drain()) == 1
    fresh = new_key(suite)
    t.c.within("INVITE", body=t.offer(fresh, 8))
    m = t.b.recv(3)
    assert m.method == "INVITE"
    t.b.reply(m, 200, "OK", body=sdp(t.b.ip, t.rb.port))
    ok = t.u.expect("200")
    t.c.invite_cseq = t.u.cseq
    t.c.ack2xx()
    t.b.expect("ACK")
    new_tx, new_rx = Srtp(suite, fresh), t.theirs(ok.body)
    t.ra.send(t.wa, new_tx.protect(packet(2, ssrc=1)))
    assert len(t.rb.drain()) == 1, "the new key is not taken"
    t.rb.send(t.wb, packet(7, ssrc=2))
    assert new_rx.unprotect(t.ra.recv(1))[:12] == packet(7, ssrc=2)[:12]
    bad = g.reason("rtp_auth")
    t.ra.send(t.wa, t.tx.protect(packet(3, ssrc=1)))
    assert t.rb.drain() == [] and g.reason("rtp_auth") == bad + 1, "the old key is still good"
    t.end(g)
