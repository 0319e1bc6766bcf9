"""Several media lines through real programs: kinds and codecs by zone, hold and resume, late offers, fax, ICE left out, floods."""
import re, struct, threading, time
import pytest
from gateway import wait_for
from house import *
from rtp import Rtp, packet

PORTS = "23400-23799"
RULES = CONFIG.replace("sources: [127.0.62.0/24], media: rtp,", "sources: [127.0.62.0/24], media: rtp, media_kinds: [audio, video, application, t38, text],") \
              .replace("sources: [127.0.65.0/24], media: rtp, nat: yes,", "sources: [127.0.65.0/24], media: rtp, media_kinds: [audio], codecs: [PCMA, telephone-event],") \
              .replace("media: srtp, nat: yes,", "media: srtp, nat: yes, media_kinds: [audio, t38],")
assert RULES.count("media_kinds") == 3
NAMES = {"0": "PCMU/8000", "8": "PCMA/8000", "18": "G729/8000", "96": "opus/48000/2", "101": "telephone-event/8000", "97": "VP8/90000", "98": "H264/90000", "99": "rtx/90000"}
ICE = ("a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 00:11\r\na=setup:actpass\r\na=mid:0\r\n"
       "a=candidate:1 1 udp 2130706431 10.9.8.7 40000 typ host\r\na=ssrc:1 cname:secret-cname\r\na=msid:x y\r\na=rtcp-mux\r\n")


@pytest.fixture(scope="module")
def g():
    g = Gateway(config=RULES, engines=1, ports=PORTS, limits="calls: 200, media_timeout: 4s")
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


def line(kind, port, pts="8 101", more="", proto="RTP/AVP"):
    maps = "".join(f"a=rtpmap:{p} {NAMES[p]}\r\n" for p in pts.split() if p in NAMES)
    return f"m={kind} {port} {proto} {pts}\r\n{maps}{more}"


def fax(port, more=""):
    return f"m=image {port} udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n{more}"


def body(ip, *lines, version=7, c=None, session=""):
    return f"v=0\r\no=tester 7 {version} IN IP4 {ip}\r\ns=secret-name\r\nc={c or 'IN IP4 ' + ip}\r\nt=0 0\r\n{session}" + "".join(lines)


def lines(text):
    """(kind, port, proto, formats, attributes) of each line."""
    found = []
    for part in text.decode().split("\r\nm=")[1:]:
        rows = part.split("\r\n")
        kind, port, proto, fmts = rows[0].split(" ", 3)
        found.append((kind, int(port), proto, fmts, rows[1:]))
    return found


def at(text, i):
    return re.search(rb"\r\nc=IN IP4 (\S+)", text).group(1).decode(), lines(text)[i][1]


def direction(text, i=0):
    d = [a[2:] for a in lines(text)[i][4] if a in ("a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive")]
    return d[0] if d else "sendrecv"


def version(text):
    return int(text.split(b"\r\n")[1].split()[2])


class Pair:
    """A PBX calls another through the gateway; both may have two streams."""
    def __init__(self, close, number="100", to=LAN + "11"):
        self.a = close(caller())
        self.b = close(caller(to, user="dst"))
        self.ra, self.rb = close(Rtp(self.a.ip)), close(Rtp(to))
        self.va, self.vb = close(Rtp(self.a.ip)), close(Rtp(to))
        self.number, self.version = number, 7

    def dial(self, offer, answer):
        """answer None: it is refused before it reaches the far side."""
        self.c = call_from(self.a, self.number, offer)
        if answer is None:
            m = final(self.a)
            self.c.ack(m)
            return m
        self.inv = self.b.expect("INVITE")
        self.b.reply(self.inv, 200, "OK", "b", body=answer)
        self.b.expect("ACK")
        self.offered = self.inv.body
        self.answered = self.c.answered().body
        return self

    def audio(self):
        return self.dial(body(self.a.ip, line("audio", self.ra.port)), body(self.b.ip, line("audio", self.rb.port)))

    def again(self, offer, answer, by="a", refuse=0):
        """A re-INVITE; the offer as the other side sees it, the answer as the first one does (None if refused)."""
        if by == "a":
            self.c.within("INVITE", body=offer)
            m = self.b.expect("INVITE")
            self.b.reply(m, refuse or 200, "OK", body="" if refuse else answer)
            ok = self.a.expect(str(refuse or 200))
            self.c.invite_cseq = self.a.cseq
            if refuse:
                self.a.request("ACK", self.c.target, self.c.to, self.c.id, self.c.tag, self.c.remote_tag, cseq=self.a.cseq, branch=re.search(r"branch=([^;]+)", ok.get("via")).group(1))
            else:
                self.c.ack2xx()
            self.b.expect("ACK")
            return m.body, (None if refuse else ok.body)
        self.b_cseq = getattr(self, "b_cseq", 0) + 1
        uri, to, frm = self.inv.uri("contact"), self.inv.get("from"), self.inv.get("to") + ";tag=b"

        def ask(method, text=""):
            self.b.send(f"{method} {uri} SIP/2.0\r\nVia: {self.b.via()}\r\nMax-Forwards: 70\r\nFrom: {frm}\r\nTo: {to}\r\nCall-ID: {self.inv.get('call-id')}\r\n"
                        f"CSeq: {self.b_cseq} {method}\r\nContact: {self.b.contact()}\r\n" + ("Content-Type: application/sdp\r\n" if text else ""), text)
        ask("INVITE", offer)
        m = self.a.expect("INVITE")
        self.a.reply(m, 200, "OK", body=answer)
        ok = self.b.expect("200")
        ask("ACK")
        self.a.expect("ACK")
        return m.body, ok.body

    def flows(self, n=5, seq=[0]):
        """Audio both ways between the first endpoints, by what was last told."""
        wa, wb = at(self.answered, 0), at(self.offered, 0)
        for i in range(n):
            seq[0] += 1
            self.ra.send(wa, packet(seq[0], ssrc=1))
            self.rb.send(wb, packet(seq[0], ssrc=2))
        return len(self.rb.drain()), len(self.ra.drain())

    def end(self, g):
        self.c.bye()
        self.b.reply(self.b.expect("BYE"), 200)
        assert g.idle(3), g.ask("calls")


def test_audio_and_video_are_both_relayed(g, close):
    p = Pair(close)
    p.dial(body(p.a.ip, line("audio", p.ra.port), line("video", p.va.port, "97 98", "b=AS:512\r\na=rtcp-fb:97 nack\r\n")),
           body(p.b.ip, line("audio", p.rb.port), line("video", p.vb.port, "97")))
    assert [x[0] for x in lines(p.offered)] == ["audio", "video"] and "b=AS:512" in lines(p.offered)[1][4]
    assert p.flows() == (5, 5)
    va, vb = at(p.answered, 1), at(p.offered, 1)
    sent = [packet(i, pt=97, payload=b"V" * 1100, ssrc=3) for i in range(1, 31)]
    for x in sent:
        p.va.send(va, x)
        p.vb.send(vb, x)
    assert p.vb.drain() == sent and p.va.drain() == sent
    p.va.send(at(p.answered, 0), packet(1))  # one line's endpoint is not another's
    assert p.rb.recv(0.3) is None
    p.end(g)
    text = str(g.cdr(p.c.id))
    assert "VP8/90000" in text and "PCMA/8000" in text


def test_a_line_is_added_switched_off_and_on_again(g, close):
    p = Pair(close).audio()
    a, b = (lambda v: body(p.a.ip, line("audio", p.ra.port), line("video", v, "97"), version=8)), (lambda v: body(p.b.ip, line("audio", p.rb.port), line("video", v, "97")))
    for port in (True, False, True):
        offered, answered = p.again(a(p.va.port if port else 0), b(p.vb.port if port else 0))
        assert [bool(x[1]) for x in lines(offered)] == [bool(x[1]) for x in lines(answered)] == [True, port]
        assert lines(offered)[0][1] == lines(p.offered)[0][1], "the audio line's port moved"
        assert p.flows() == (5, 5)
        if port:
            p.va.send(at(answered, 1), packet(1, pt=97))
            assert p.vb.recv(1)
    p.end(g)


def test_video_is_refused_by_the_zone_and_audio_passes(g, close):
    before = g.reason("media_kind")
    p = Pair(close, "0100", NATTED + "10")
    p.dial(body(p.a.ip, line("audio", p.ra.port), line("video", p.va.port, "97"), line("application", p.va.port, "*", proto="UDP/BFCP")),
           body(p.b.ip, line("audio", p.rb.port), line("video", 0, "97"), line("application", 0, "*", proto="UDP/BFCP")))
    assert [bool(x[1]) for x in lines(p.offered)] == [True, False, False] == [bool(x[1]) for x in lines(p.answered)]
    assert [x[0] for x in lines(p.answered)] == ["audio", "video", "application"]
    assert g.reason("media_kind") == before + 1 and g.reason("media_transport") >= 1
    assert p.flows() == (5, 5)
    p.end(g)


def test_nothing_that_may_pass_is_488(g, close):
    p = Pair(close, "0100", NATTED + "10")
    assert p.dial(body(p.a.ip, line("video", p.va.port, "97")), None).code == 488
    p.b.silence(0.3)
    before = g.reason("media_codec")
    assert p.dial(body(p.a.ip, line("audio", p.ra.port, "96 101")), None).code == 488
    assert g.reason("media_codec") == before + 1
    assert p.dial(body(p.a.ip, "m=message 4000 TCP/MSRP *\r\n"), None).code == 488
    assert g.idle(3)


def test_codecs_by_zone(g, close):
    p = Pair(close, "0100", NATTED + "10")
    p.dial(body(p.a.ip, line("audio", p.ra.port, "0 96 8 18 101", "a=fmtp:96 useinbandfec=1\r\na=fmtp:101 0-15\r\na=fmtp:18 annexb=no\r\n")), body(p.b.ip, line("audio", p.rb.port)))
    kind, _, _, fmts, attrs = lines(p.offered)[0]
    assert fmts == "8 101" and "a=fmtp:101 0-15" in attrs
    assert not [a for a in attrs if re.search(r":(0|96|18) ", a)], attrs
    assert lines(p.answered)[0][3] == "8 101" and p.flows() == (5, 5)
    p.end(g)
    # an answer with a codec that was taken out
    p.c = call_from(p.a, "0100", body(p.a.ip, line("audio", p.ra.port, "0 8")))
    inv = p.b.expect("INVITE")
    p.b.reply(inv, 200, "OK", "b", body=body(p.b.ip, line("audio", p.rb.port, "0 8")))
    p.b.expect("ACK")
    p.b.reply(p.b.expect("BYE"), 200)
    m = final(p.a)
    assert m.code == 488
    p.c.ack(m)
    assert g.idle(3) and "media_answer_bad" in str(g.cdr(p.c.id))


HOLDS = {  # how alice says it: connection, session attributes, port, line attributes; what bob is told
    "sendonly": (None, "", True, "a=sendonly\r\n", "sendonly"),
    "inactive": (None, "", True, "a=inactive\r\n", "inactive"),
    "recvonly": (None, "", True, "a=recvonly\r\n", "recvonly"),
    "session sendonly": (None, "a=sendonly\r\n", True, "", "sendonly"),
    "session inactive": (None, "a=inactive\r\n", True, "", "inactive"),
    "zero address": ("IN IP4 0.0.0.0", "", True, "", "sendonly"),
    "zero address and inactive": ("IN IP4 0.0.0.0", "", True, "a=inactive\r\n", "inactive"),
    "zero address of the line": (None, "", True, "c=IN IP4 0.0.0.0\r\n", "sendonly"),
    "IPv6 zero address": ("IN IP6 ::", "", True, "", "sendonly"),
    "port zero": (None, "", False, "", None),
}
MIRROR = {"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}


@pytest.mark.parametrize("how", HOLDS)
@pytest.mark.parametrize("resumed_by", "ab")
def test_hold_and_resume(g, close, how, resumed_by):
    c, session, on, more, told = HOLDS[how]
    p = Pair(close).audio()
    assert p.flows() == (5, 5)
    b = body(p.b.ip, line("audio", p.rb.port if on else 0, more=f"a={MIRROR[told]}\r\n" if told else ""), version=8)
    offered, answered = p.again(body(p.a.ip, line("audio", p.ra.port if on else 0, more=more), version=8, c=c, session=session), b)
    assert b"0.0.0.0" not in offered and b"::" not in offered
    assert version(offered) == version(p.offered) + 1
    assert (lines(offered)[0][1] != 0) == on == (lines(answered)[0][1] != 0)
    if told:
        assert direction(offered) == told and direction(answered) == MIRROR[told]
    plain_a, plain_b = body(p.a.ip, line("audio", p.ra.port), version=9), body(p.b.ip, line("audio", p.rb.port), version=9)
    if resumed_by == "a":
        offered, answered = p.again(plain_a, plain_b)
    else:
        answered, offered = p.again(plain_b, plain_a, by="b")
    assert direction(offered) == direction(answered) == "sendrecv"
    assert version(offered) > version(p.offered)
    p.offered, p.answered = offered, answered
    assert p.flows() == (5, 5)
    p.end(g)


def test_both_hold_and_silence_is_no_fault(g, close):
    p = Pair(close).audio()
    p.again(body(p.a.ip, line("audio", p.ra.port, more="a=sendonly\r\n"), version=8), body(p.b.ip, line("audio", p.rb.port, more="a=recvonly\r\n"), version=8))
    offered, answered = p.again(body(p.b.ip, line("audio", p.rb.port, more="a=inactive\r\n"), version=9), body(p.a.ip, line("audio", p.ra.port, more="a=inactive\r\n"), version=9), by="b")
    assert direction(offered) == direction(answered) == "inactive"
    time.sleep(6.5)  # the limit for silence is 4 s
    assert not [m for m in iter(lambda: p.b.recv(0.1), None)], "a call on hold was ended for its silence"
    offered, answered = p.again(body(p.a.ip, line("audio", p.ra.port), version=10), body(p.b.ip, line("audio", p.rb.port, more="a=sendonly\r\n"), version=10))
    assert direction(answered) == "sendonly", "bob still holds"
    offered, answered = p.again(body(p.a.ip, line("audio", 0), version=11), body(p.b.ip, line("audio", 0), version=11))
    time.sleep(6.5)
    assert not [m for m in iter(lambda: p.b.recv(0.1), None)], "a call without a line in use was ended for its silence"
    p.offered, p.answered = p.again(body(p.a.ip, line("audio", p.ra.port), version=12), body(p.b.ip, line("audio", p.rb.port), version=12))
    assert p.flows() == (5, 5)
    before = g.reason("media_timeout")
    m = p.b.expect("BYE", 12)
    p.b.reply(m, 200)
    p.a.reply(p.a.expect("BYE", 3), 200)
    assert g.reason("media_timeout") == before + 1 and g.idle(3)


def test_music_on_hold_by_zero_address(g, close):
    p = Pair(close).audio()
    assert p.flows() == (5, 5)
    offered, answered = p.again(body(p.a.ip, line("audio", p.ra.port), version=8, c="IN IP4 0.0.0.0"), body(p.b.ip, line("audio", p.rb.port, more="a=recvonly\r\n")))
    strays = g.reason("rtp_source")
    for i in range(10):
        p.ra.send(at(answered, 0), packet(500 + i, ssrc=1))
        p.rb.send(at(offered, 0), packet(500 + i, ssrc=2))
    assert len(p.rb.drain()) == 10, "music on hold is lost"
    assert p.ra.drain() == [], "packets went to an address that was withdrawn"
    assert g.reason("rtp_source") == strays
    p.end(g)


def test_delayed_offer_with_two_lines(g, close):
    p = Pair(close)
    p.c = call_from(p.a, p.number, "")
    inv = p.inv = p.b.expect("INVITE")
    assert not inv.body
    p.b.reply(inv, 200, "OK", "b", body=body(p.b.ip, line("audio", p.rb.port, "0 8"), line("video", p.vb.port, "97")))
    ok = p.a.expect("200", skip=("100", "180"))
    assert [x[0] for x in lines(ok.body)] == ["audio", "video"] and LAN.encode() + b"11" not in ok.body
    p.c.remote_tag, p.c.target, p.c.invite_cseq = ok.tag("to"), ok.uri("contact"), p.a.cseq
    p.c.ack2xx(body(p.a.ip, line("audio", p.ra.port, "8"), line("video", 0, "97")))
    ack = p.b.expect("ACK")
    assert [bool(x[1]) for x in lines(ack.body)] == [True, False]
    p.answered, p.offered = ok.body, ack.body
    assert p.flows() == (5, 5)
    p.end(g)


def test_offerless_reinvite(g, close):
    """Alice asks for an offer; bob's goes to her, her answer comes with the ACK. It adds a line and holds another."""
    p = Pair(close).audio()
    p.c.within("INVITE")
    m = p.b.expect("INVITE")
    assert not m.body
    p.b.reply(m, 200, "OK", body=body(p.b.ip, line("audio", p.rb.port), line("video", p.vb.port, "97", "a=sendonly\r\n"), version=8))
    ok = p.a.expect("200")
    assert [x[0] for x in lines(ok.body)] == ["audio", "video"] and direction(ok.body, 1) == "sendonly"
    p.c.invite_cseq = p.a.cseq
    p.c.ack2xx(body(p.a.ip, line("audio", p.ra.port), line("video", p.va.port, "97", "a=recvonly\r\n"), version=8))
    ack = p.b.expect("ACK")
    assert direction(ack.body, 1) == "recvonly" and lines(ack.body)[1][1]
    assert p.flows() == (5, 5)
    p.vb.send(at(ack.body, 1), packet(1, pt=97))
    assert p.va.recv(1)
    p.end(g)


def test_a_call_becomes_a_fax_and_a_call_again(g, close):
    p = Pair(close).audio()
    assert p.flows() == (5, 5)
    a, b = body(p.a.ip, fax(p.ra.port), version=8), body(p.b.ip, fax(p.rb.port), version=8)
    p.again(a, None, refuse=488)
    assert p.flows() == (5, 5), "a refused fax ended the audio"
    answered, offered = p.again(b, a, by="b")
    assert lines(answered)[0][0] == "image" and lines(answered)[0][2:4] == ("udptl", "t38") and "a=T38FaxUdpEC:t38UDPRedundancy" in lines(answered)[0][4]
    wa, wb = at(answered, 0), at(offered, 0)
    sent = [bytes([0, i]) + bytes([i]) * (5 + 9 * i) for i in range(40)]
    for x in sent:
        p.ra.send(wa, x)
        p.rb.send(wb, x)
    assert p.rb.drain() == sent and p.ra.drain() == sent
    before = g.reason("rtp_source")
    evil = close(Rtp(LAN + "77"))
    for x in sent[:5]:
        evil.send(wa, x)
    p.ra.send(wa, b"x" * 1500)
    assert p.rb.drain() == [] and g.reason("rtp_source") == before + 5
    p.offered, p.answered = p.again(body(p.a.ip, line("audio", p.ra.port), version=9), body(p.b.ip, line("audio", p.rb.port), version=9))
    assert p.flows() == (5, 5)
    p.end(g)
    assert "PCMA" in str(g.cdr(p.c.id))


def test_fax_is_refused_by_zones_and_without_a_waiver(g, close):
    p = Pair(close, "0100", NATTED + "10")  # the far zone lets audio pass
    p.audio()
    before = g.reason("media_kind")
    p.c.within("INVITE", body=body(p.a.ip, fax(p.ra.port), version=8))
    m = p.a.expect("488")
    p.a.request("ACK", p.c.target, p.c.to, p.c.id, p.c.tag, p.c.remote_tag, cseq=p.a.cseq, branch=re.search(r"branch=([^;]+)", m.get("via")).group(1))
    assert g.reason("media_kind") == before + 1
    assert p.flows() == (5, 5)
    p.end(g)
    # a zone that demands SRTP and has no waiver: UDPTL cannot be protected
    before = g.reason("media_plaintext")
    u = close(Ua(PHONES + "20", 0, (PHONES + "1", 5061), "tls", "alice", g.passwords["alice"], ca=os.path.join(g.state, "ca.pem")))
    c = Call(u, "100", body(u.ip, fax(40000)))
    c.invite()
    m = final(u)
    assert m.code == 488
    c.ack(m)
    assert g.reason("media_plaintext") == before + 1 and g.idle(3)


def test_ice_dtls_and_bundle_are_left_out(g, close):
    p = Pair(close)
    p.dial(body(p.a.ip, line("audio", p.ra.port, more=ICE), line("video", p.va.port, "97 99", ICE + "a=fmtp:99 apt=97\r\n"), session="a=group:BUNDLE 0 1\r\na=ice-lite\r\na=msid-semantic: WMS *\r\n"),
           body(p.b.ip, line("audio", p.rb.port, more=ICE), line("video", p.vb.port, "97 99", ICE)))
    for text in (p.offered, p.answered):
        for word in (b"ice", b"candidate", b"fingerprint", b"setup", b"BUNDLE", b"a=mid", b"ssrc", b"msid", b"secret", b"10.9.8.7", b"cname"):
            assert word not in text, (word, text)
        assert len({x[1] for x in lines(text)}) == 2, "both lines on one port"
    assert p.flows() == (5, 5)
    p.end(g)


def test_bundle_only_lines_are_declined(g, close):
    p = Pair(close)
    p.dial(body(p.a.ip, line("audio", p.ra.port, more="a=mid:0\r\n"), line("video", 0, "97", "a=mid:1\r\na=bundle-only\r\n"), session="a=group:BUNDLE 0 1\r\n"),
           body(p.b.ip, line("audio", p.rb.port), line("video", 0, "97")))
    assert [bool(x[1]) for x in lines(p.answered)] == [True, False] and b"bundle" not in p.offered.lower()
    p.end(g)


def test_a_flood_of_one_stream_costs_the_neighbour_nothing(g, close):
    loud = Pair(close).audio()
    quiet = Pair.__new__(Pair)
    quiet.a, quiet.b = loud.a, loud.b
    quiet.ra, quiet.rb = close(Rtp(loud.a.ip)), close(Rtp(loud.b.ip))
    quiet.number = "101"
    quiet.dial(body(quiet.a.ip, line("audio", quiet.ra.port)), body(quiet.b.ip, line("audio", quiet.rb.port)))
    before, stop, sent = g.reason("rtp_rate"), threading.Event(), [0]
    to = at(loud.answered, 0)

    def flood():
        p = packet(1, ssrc=9)
        while not stop.is_set():
            for _ in range(20):
                sent[0] += 1
                loud.ra.send(to, p[:2] + struct.pack("!H", sent[0] & 0xffff) + p[4:])
            time.sleep(0.005)
    t = threading.Thread(target=flood)
    t.start()
    wa, got, start = at(quiet.answered, 0), 0, time.time()
    for i in range(150):
        quiet.ra.send(wa, packet(i + 1, ssrc=1))
        time.sleep(max(0, start + 0.02 * (i + 1) - time.time()))
    took = time.time() - start
    stop.set()
    t.join()
    assert len(quiet.rb.drain()) == 150, "the neighbour lost packets"
    through = len(loud.rb.drain())
    assert sent[0] > 3000 and through <= 100 * (took + 1) + 110, (sent[0], through)
    assert wait_for(lambda: g.reason("rtp_rate") - before >= (sent[0] - through) // 2, 2), (sent[0], through, g.reason("rtp_rate") - before)
    quiet.c.bye()
    quiet.b.reply(quiet.b.expect("BYE"), 200)
    loud.end(g)
