"""Calls between phones, to a PBX and from it, step by step with our own user agents on both sides."""
import os, re, time
import pytest
from gateway import PAIR1, PAIR2, PBX, PHONE, PHONE2, PRIV, PUB, TRUNK, wait_for
from ua import Call, Message, Ua, sdp
from test_register import ua


def crypto(tag=1, key="WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"):
    return f"a=crypto:{tag} AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n"


def srtp_sdp(ip, port):
    return sdp(ip, port, extra=crypto(), proto="RTP/SAVP")


@pytest.fixture
def pbx(gw):
    u = Ua(PBX, 5070, (PRIV, 5060), "udp", "pbx")
    yield u
    u.close()


@pytest.fixture
def alice(gw):
    u = ua(gw, "alice", "tls")
    yield u
    u.close()


def answer(peer, body=None, code180=True):
    inv = peer.expect("INVITE")
    if code180:
        peer.reply(inv, 180, "Ringing", "pbxtag")
    peer.reply(inv, 200, "OK", "pbxtag", body=sdp(PBX, 41000) if body is None else body)
    peer.expect("ACK")
    return inv


def hidden(msg, *words):
    text = msg.raw.decode("utf-8", "replace")
    for w in words:
        assert w not in text, f"{w} shows in {text}"


def end(gw):
    assert gw.idle(), gw.ask("calls")


def test_tls_srtp_phone_to_plain_pbx(gw, alice, pbx):
    c = Call(alice, "1001", srtp_sdp(PHONE, 40000))
    c.invite()
    inv = answer(pbx)
    ok = c.answered()
    # nothing of one side shows on the other
    hidden(inv, PHONE, c.id, c.tag, "caller.invalid", "tester/1.0", "secret-name", "crypto", PUB)
    hidden(ok, PBX, "pbxtag", PRIV, "secret-name")
    assert b"RTP/AVP" in inv.body and b"RTP/SAVP" in ok.body and ok.body.count(b"a=crypto:1 AES_CM_128_HMAC_SHA1_80") == 1
    assert inv.get("call-id") != c.id and inv.uri("from").startswith("sip:alice@")
    assert inv.get("max-forwards") == "69"
    c.bye()
    pbx.reply(pbx.expect("BYE"), 200)
    end(gw)
    cdr = gw.cdr(c.id)
    assert cdr["code"] == 200 and cdr["user"] == "alice@example.com"
    text = str(cdr)
    assert "AES_CM_128_HMAC_SHA1_80" in text and "WVNfX19" not in text
    ex = gw.run("explain", c.id, "--state", gw.state)
    assert ex.returncode == 0 and "identity" in ex.stdout and "pass" in ex.stdout


def test_pbx_hangs_up(gw, alice, pbx):
    c = Call(alice, "1002", srtp_sdp(PHONE, 40000))
    c.invite()
    inv = answer(pbx)
    c.answered()
    pbx.cseq = 100
    pbx.request("BYE", inv.uri("contact"), inv.get("from").split(";tag=")[0], inv.get("call-id"), "pbxtag", inv.tag("from"), from_=inv.get("to"))
    pbx.expect("200")
    alice.reply(alice.expect("BYE"), 200)
    end(gw)


def test_pbx_to_registered_phone(gw, alice, pbx):
    alice.register(600)
    c = Call(pbx, "alice", sdp(PBX, 41000))
    c.uri, c.to = f"sip:alice@{PRIV}", f"<sip:alice@{PRIV}>"
    c.invite(auth=False)
    inv = alice.expect("INVITE")
    hidden(inv, PBX, PRIV, c.id, "secret-name")
    assert b"RTP/SAVP" in inv.body and b"a=crypto:" in inv.body
    alice.reply(inv, 180, "Ringing", "al")
    pbx.expect("180")
    line = [x for x in inv.body.decode().split("\r\n") if "AES_CM_128_HMAC_SHA1_80" in x][0]
    tag = re.match(r"a=crypto:(\d+)", line).group(1)
    alice.reply(inv, 200, "OK", "al", body=sdp(PHONE, 40000, extra=crypto(int(tag)), proto="RTP/SAVP"))
    ok = c.answered()
    hidden(ok, PHONE, PUB, "crypto")
    alice.expect("ACK")
    c.bye()
    alice.reply(alice.expect("BYE"), 200)
    end(gw)
    alice.register(0)


def test_phone_to_phone_parallel_fork_first_wins(gw, alice):
    b1, b2 = ua(gw, "bob", "tls"), ua(gw, "bob", "tls")
    b1.register(600), b2.register(600)
    c = Call(alice, "bob", srtp_sdp(PHONE, 40000))
    c.invite()
    i1, i2 = b1.expect("INVITE"), b2.expect("INVITE")
    assert i1.get("call-id") != i2.get("call-id")
    b1.reply(i1, 180, "Ringing", "b1"), b2.reply(i2, 180, "Ringing", "b2")
    alice.expect("180")
    tag = re.search(rb"a=crypto:(\d+) AES_CM_128_HMAC_SHA1_80", i2.body).group(1).decode()
    b2.reply(i2, 200, "OK", "b2", body=sdp(PHONE2, 40010, extra=crypto(int(tag)), proto="RTP/SAVP"))
    c.answered()
    b2.expect("ACK")
    cancel = b1.expect("CANCEL")
    b1.reply(cancel, 200)
    b1.reply(i1, 487, "Request Terminated", "b1")
    b1.expect("ACK")
    c.bye()
    b2.reply(b2.expect("BYE"), 200)
    end(gw)
    b1.register(0), b2.register(0)
    b1.close(), b2.close()


def test_late_2xx_after_cancel_is_released(gw, alice):
    b1, b2 = ua(gw, "bob", "tls"), ua(gw, "bob", "tls")
    b1.register(600), b2.register(600)
    c = Call(alice, "bob", srtp_sdp(PHONE, 40000))
    c.invite()
    i1, i2 = b1.expect("INVITE"), b2.expect("INVITE")
    b1.reply(i1, 180, "Ringing", "b1")
    ans = lambda i: sdp(PHONE2, 40010, extra=crypto(int(re.search(rb"a=crypto:(\d+) AES_CM_128_HMAC_SHA1_80", i.body).group(1))), proto="RTP/SAVP")
    b2.reply(i2, 200, "OK", "b2", body=ans(i2))
    c.answered()
    b2.expect("ACK")
    cancel = b1.expect("CANCEL")
    b1.reply(i1, 200, "OK", "b1", body=ans(i1))
    b1.reply(cancel, 200)
    b1.expect("ACK")
    b1.reply(b1.expect("BYE"), 200)
    c.bye()
    b2.reply(b2.expect("BYE"), 200)
    end(gw)
    b1.register(0), b2.register(0)
    b1.close(), b2.close()


def test_cancel_by_the_caller(gw, alice, pbx):
    c = Call(alice, "1003", srtp_sdp(PHONE, 40000))
    c.invite()
    inv = pbx.expect("INVITE")
    pbx.reply(inv, 180, "Ringing", "p")
    alice.expect("180")
    c.cancel()
    alice.expect("200", skip=("100", "180"))
    c.ack(alice.expect("487"))
    pbx.reply(pbx.expect("CANCEL"), 200)
    pbx.reply(inv, 487, "Request Terminated", "p")
    pbx.expect("ACK")
    end(gw)
    assert gw.cdr(c.id)["code"] == 487


@pytest.mark.parametrize("code", [486, 404, 603])
def test_refusal_of_the_pbx_reaches_the_caller(gw, alice, pbx, code):
    c = Call(alice, "1004", srtp_sdp(PHONE, 40000))
    c.invite()
    inv = pbx.expect("INVITE")
    pbx.reply(inv, code, "No", "p", extra="Warning: 399 127.0.2.10 \"secret\"\r\n")
    pbx.expect("ACK")
    m = alice.expect(str(code))
    hidden(m, PBX)
    c.ack(m)
    end(gw)


def test_failover_to_the_second_target(gw, alice):
    """The first target refuses with 503, the second answers."""
    p1, p2 = Ua(PAIR1, 5070, (PRIV, 5060), "udp", "pbx"), Ua(PAIR2, 5070, (PRIV, 5060), "udp", "pbx")
    c = Call(alice, "7705", srtp_sdp(PHONE, 40000))
    c.invite()
    p1.reply(p1.expect("INVITE"), 503, "Busy", "p1")
    p1.expect("ACK")
    answer(p2, sdp(PAIR2, 41000))
    c.answered()
    c.bye()
    p2.reply(p2.expect("BYE"), 200)
    end(gw)
    p1.close(), p2.close()


def test_trunk_challenge_is_answered(gw, alice):
    t = Ua(TRUNK, 5080, (PRIV, 5060), "udp", "trunk")
    c = Call(alice, "+4930123456", srtp_sdp(PHONE, 40000))
    c.invite()
    inv = t.expect("INVITE")
    t.reply(inv, 407, "Auth", "t", extra='Proxy-Authenticate: Digest realm="trunk.test", nonce="abcdef", algorithm=MD5, qop="auth"\r\n')
    t.expect("ACK")
    inv = t.expect("INVITE")
    auth = inv.get("proxy-authorization")
    want = Ua.authorization.__get__(type("X", (), dict(user="ringwall", password="Trunk-secret-4711"))())(
        'Digest realm="trunk.test", nonce="abcdef", algorithm=MD5', "INVITE", re.search(r'uri="([^"]+)"', auth).group(1),
        cnonce=re.search(r'cnonce="([^"]+)"', auth).group(1))
    assert re.search(r'response="(\w+)"', auth).group(1) == re.search(r'response="(\w+)"', want).group(1)
    t.reply(inv, 200, "OK", "t", body=sdp(TRUNK, 42000))
    t.expect("ACK")
    c.answered()
    c.bye()
    t.reply(t.expect("BYE"), 200)
    end(gw)
    t.close()


def test_phone_challenge_is_never_answered(gw, alice):
    """A called phone that challenges (digest leak) gets no credentials."""
    b = ua(gw, "bob", "tls")
    b.register(600)
    c = Call(alice, "bob", srtp_sdp(PHONE, 40000))
    c.invite()
    inv = b.expect("INVITE")
    b.reply(inv, 401, "Auth", "b", extra='WWW-Authenticate: Digest realm="evil", nonce="1", algorithm=MD5\r\n')
    b.expect("ACK")
    m = alice.recv(4)
    while m and m.code < 200:
        m = alice.recv(4)
    assert m.code >= 400 and m.code != 401 and "authenticate" not in str(m).lower()
    c.ack(m)
    b.silence(0.5)
    b.register(0)
    b.close()
    end(gw)


def test_reinvite_hold_and_glare(gw, alice, pbx):
    c = Call(alice, "1006", srtp_sdp(PHONE, 40000))
    c.invite()
    inv = answer(pbx)
    c.answered()
    hold = srtp_sdp(PHONE, 40000).replace("a=sendrecv", "a=sendonly").replace("tester 7 7", "tester 7 8")
    c.within("INVITE", body=hold)
    re1 = pbx.expect("INVITE")
    assert b"a=sendonly" in re1.body
    # the PBX also tries meanwhile: glare
    pbx.cseq = 200
    pbx.request("INVITE", inv.uri("contact"), inv.get("from").split(";tag=")[0], inv.get("call-id"), "pbxtag", inv.tag("from"), from_=inv.get("to"), body=sdp(PBX, 41000))
    m = pbx.expect("491")
    pbx.request("ACK", inv.uri("contact"), inv.get("from").split(";tag=")[0], inv.get("call-id"), "pbxtag", inv.tag("from"), from_=inv.get("to"), cseq=pbx.cseq,
                branch=re.search(r"branch=([^;]+)", m.get("via")).group(1))
    pbx.reply(re1, 200, "OK", body=sdp(PBX, 41000).replace("a=sendrecv", "a=recvonly"))
    m = alice.expect("200")
    assert b"a=recvonly" in m.body
    c.invite_cseq = alice.cseq
    c.ack2xx()
    pbx.expect("ACK")
    c.bye()
    pbx.reply(pbx.expect("BYE"), 200)
    end(gw)


def test_offerless_invite(gw, alice, pbx):
    c = Call(alice, "1007", "")
    c.invite()
    inv = pbx.expect("INVITE")
    assert not inv.body
    pbx.reply(inv, 200, "OK", "p", body=sdp(PBX, 41000))
    m = alice.expect("200", skip=("100", "180"))
    assert b"RTP/SAVP" in m.body and b"a=crypto" in m.body
    hidden(m, PBX)
    tag = re.search(rb"a=crypto:(\d+) AES_CM_128_HMAC_SHA1_80", m.body).group(1).decode()
    c.remote_tag, c.target, c.invite_cseq = m.tag("to"), m.uri("contact"), alice.cseq
    alice.request("ACK", c.target, c.to, c.id, c.tag, c.remote_tag, cseq=alice.cseq, body=sdp(PHONE, 40000, extra=crypto(int(tag)), proto="RTP/SAVP"))
    ack = pbx.expect("ACK")
    assert b"RTP/AVP" in ack.body
    hidden(ack, PHONE)
    c.bye()
    pbx.reply(pbx.expect("BYE"), 200)
    end(gw)


def test_retransmitted_200_and_lost_ack(gw, alice, pbx):
    c = Call(alice, "1008", srtp_sdp(PHONE, 40000))
    c.invite()
    inv = pbx.expect("INVITE")
    for _ in range(2):
        pbx.reply(inv, 200, "OK", "p", body=sdp(PBX, 41000))
    pbx.expect("ACK")
    pbx.expect("ACK")
    c.answered()
    c.bye()
    pbx.reply(pbx.expect("BYE"), 200)
    end(gw)


def test_both_hang_up_at_once(gw, alice, pbx):
    c = Call(alice, "1009", srtp_sdp(PHONE, 40000))
    c.invite()
    inv = answer(pbx)
    c.answered()
    pbx.cseq = 300
    pbx.request("BYE", inv.uri("contact"), inv.get("from").split(";tag=")[0], inv.get("call-id"), "pbxtag", inv.tag("from"), from_=inv.get("to"))
    c.within("BYE")
    got = [alice.recv(3) for _ in range(2)]
    for m in got:
        if m and m.method == "BYE" and not m.code:
            alice.reply(m, 200)
    assert any(m and m.code in (200, 481) for m in got)
    m = pbx.recv(3)
    while m:
        if not m.code and m.method == "BYE":
            pbx.reply(m, 200)
        m = pbx.recv(0.5)
    end(gw)


def test_prack(gw, alice, pbx):
    c = Call(alice, "1010", srtp_sdp(PHONE, 40000), extra="Require: 100rel\r\n")
    c.invite()
    inv = pbx.expect("INVITE")
    assert "100rel" in inv.get("supported") + inv.get("require")
    pbx.reply(inv, 183, "Progress", "p", body=sdp(PBX, 41000), extra="Require: 100rel\r\nRSeq: 17\r\n")
    prack = pbx.expect("PRACK")
    assert prack.get("rack").startswith("17 ")
    pbx.reply(prack, 200)
    m = alice.expect("183")
    assert "100rel" in m.get("require") and b"RTP/SAVP" in m.body
    c.remote_tag, c.target = m.tag("to"), m.uri("contact")
    cseq = alice.cseq
    c.within("PRACK", extra=f"RAck: {m.get('rseq')} {cseq} INVITE\r\n")
    alice.expect("200")
    pbx.reply(inv, 200, "OK", "p")
    m = alice.expect("200")
    alice.request("ACK", c.target, c.to, c.id, c.tag, c.remote_tag, cseq=cseq)
    pbx.expect("ACK")
    c.bye()
    pbx.reply(pbx.expect("BYE"), 200)
    end(gw)


def test_refer_is_refused_by_name(gw, alice, pbx):
    c = Call(alice, "1011", srtp_sdp(PHONE, 40000))
    c.invite()
    answer(pbx)
    c.answered()
    c.within("REFER", extra="Refer-To: <sip:0900123@example.com>\r\n")
    alice.expect("403")
    assert gw.reason("right_barred") >= 1
    c.bye()
    pbx.reply(pbx.expect("BYE"), 200)
    end(gw)


def test_options_update_info(gw, alice, pbx):
    c = Call(alice, "1012", srtp_sdp(PHONE, 40000))
    c.invite()
    answer(pbx)
    c.answered()
    c.within("OPTIONS")
    assert "INVITE" in alice.expect("200").get("allow")
    c.within("UPDATE", body=srtp_sdp(PHONE, 40002).replace("tester 7 7", "tester 7 9"))
    up = pbx.recv(3)
    assert up.method in ("UPDATE", "INVITE")
    pbx.reply(up, 200, "OK", body=sdp(PBX, 41000))
    if up.method == "INVITE":
        pbx.expect("ACK")
    assert b"RTP/SAVP" in alice.expect("200").body
    c.bye()
    pbx.reply(pbx.expect("BYE"), 200)
    end(gw)


@pytest.mark.parametrize("number,code,reason", [("0900123", "403", "right_barred"), ("nobody", "404", "route_user_unknown"), ("bob", "480", "route_not_registered")])
def test_refused_destinations(gw, alice, number, code, reason):
    before = gw.reason(reason)
    c = Call(alice, number, srtp_sdp(PHONE, 40000))
    c.invite()
    c.ack(alice.expect(code))
    assert gw.reason(reason) == before + 1


def test_role_without_outbound(gw):
    u = ua(gw, "ivan", "tls")
    c = Call(u, "1001", srtp_sdp(PHONE, 40000))
    c.invite()
    c.ack(u.expect("403"))
    u.close()


def test_from_of_somebody_else_is_refused(gw, alice):
    c = Call(alice, "1001", srtp_sdp(PHONE, 40000))
    alice.request("INVITE", c.uri, c.to, c.id, c.tag, body=c.body, from_="<sip:bob@example.com>")
    m = alice.expect("401")
    a = alice.authorization(m.get("www-authenticate"), "INVITE", c.uri)
    alice.request("INVITE", c.uri, c.to, c.id, c.tag, body=c.body, from_="<sip:bob@example.com>", extra=f"Authorization: {a}\r\n")
    alice.expect("403")
    assert gw.reason("auth_identity_mismatch") >= 1


def test_plain_rtp_over_tls_without_waiver(gw, alice):
    c = Call(alice, "1001", sdp(PHONE, 40000))
    c.invite()
    c.ack(alice.expect("488"))
    assert gw.reason("media_plaintext") >= 1


def test_keys_over_plain_signalling(gw):
    u = ua(gw, "alice", "udp")
    c = Call(u, "1001", srtp_sdp(PHONE, 40000))
    c.invite()
    c.ack(u.expect("488"))
    assert gw.reason("media_key_exposed") >= 1
    u.close()


@pytest.mark.parametrize("transport,ip", [("udp", PHONE), ("tcp", PHONE), ("udp", "::1")])
def test_legacy_phone_by_waiver(gw, pbx, transport, ip):
    u = ua(gw, "alice", transport, ip)
    c = Call(u, "1020", sdp(ip, 40000))
    c.invite()
    inv = answer(pbx)
    hidden(inv, PHONE, "::1")
    c.answered()
    c.bye()
    pbx.reply(pbx.expect("BYE"), 200)
    u.close()
    end(gw)


def test_bye_from_outside_the_call(gw, alice, pbx):
    """Tags are known to an attacker, but he comes from elsewhere: challenged, the call stays."""
    c = Call(alice, "1021", srtp_sdp(PHONE, 40000))
    c.invite()
    answer(pbx)
    c.answered()
    evil = ua(gw, "alice", "udp", PHONE2)
    evil.request("BYE", c.target, c.to, c.id, c.tag, c.remote_tag)
    m = evil.recv(3)
    assert m.code in (401, 403, 481)
    pbx.silence(0.5)
    evil.close()
    c.bye()
    pbx.reply(pbx.expect("BYE"), 200)
    end(gw)


def test_forged_token_is_named(gw, alice):
    before = gw.reason("sip_token_forged") + gw.reason("sip_no_dialog")
    alice.request("BYE", f"sip:{'a' * 26}@{PUB}:5061;transport=tls", "<sip:x@example.com>", "zz@x", "tt", "b" * 26)
    m = alice.recv(3)
    assert m is None or m.code in (401, 403, 481)
    assert gw.reason("sip_token_forged") + gw.reason("sip_no_dialog") > before
