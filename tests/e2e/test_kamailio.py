"""A real PBX behind Ringwall: Kamailio with record-routing, calls in both directions."""
import re
import pytest
from gateway import PBX, PHONE, PRIV
from kamailio import Kamailio, needs_kamailio
from ua import Call, Ua, sdp
from test_register import ua
from test_call import crypto, hidden, srtp_sdp

pytestmark = needs_kamailio


@pytest.fixture(scope="module")
def kamailio(tmp_path_factory):
    probe = Ua("127.0.2.30", 5091, (PBX, 5070), "udp", "probe")

    def up():
        probe.request("OPTIONS", f"sip:{PBX}:5070", f"<sip:{PBX}>", "o@x", "o")
        return probe.recv(0.3)
    k = Kamailio(tmp_path_factory.mktemp("kamailio"), "kamailio.cfg", up).start()
    probe.close()
    yield k
    k.stop()


@pytest.fixture
def desk():
    u = Ua("127.0.2.30", 5090, (PBX, 5070), "udp", "desk")
    yield u
    u.close()


def test_secure_phone_to_desk_phone(gw, kamailio, desk):
    a = ua(gw, "alice", "tls")
    c = Call(a, "3001", srtp_sdp(PHONE, 40000))
    c.invite()
    inv = desk.expect("INVITE")
    hidden(inv, PHONE, c.id)
    desk.reply(inv, 180, "Ringing", "d")
    a.expect("180")
    desk.reply(inv, 200, "OK", "d", body=sdp("127.0.2.30", 41000))
    ok = c.answered()
    hidden(ok, "127.0.2.30", PBX)
    assert desk.expect("ACK")
    c.bye()
    desk.reply(desk.expect("BYE"), 200)
    assert gw.idle()
    a.close()


def test_desk_phone_to_secure_phone(gw, kamailio, desk):
    a = ua(gw, "alice", "tls")
    a.register(600)
    c = Call(desk, "alice", sdp("127.0.2.30", 41000))
    c.uri, c.to = f"sip:alice@{PRIV}", f"<sip:alice@{PRIV}>"
    c.invite(auth=False)
    inv = a.expect("INVITE")
    hidden(inv, "127.0.2.30", PBX, "record-route")
    tag = re.search(rb"a=crypto:(\d+) AES_CM_128_HMAC_SHA1_80", inv.body).group(1)
    a.reply(inv, 200, "OK", "a", body=sdp(PHONE, 40000, extra=crypto(int(tag)), proto="RTP/SAVP"))
    m = desk.expect("200", skip=("100", "180"))
    c.remote_tag, c.target, c.invite_cseq = m.tag("to"), m.uri("contact"), desk.cseq
    route = "".join(f"Route: {r}\r\n" for r in reversed(m.all("record-route")))
    desk.request("ACK", c.target, c.to, c.id, c.tag, c.remote_tag, cseq=desk.cseq, route=route)
    a.expect("ACK")
    desk.request("BYE", c.target, c.to, c.id, c.tag, c.remote_tag, route=route)
    a.reply(a.expect("BYE"), 200)
    desk.expect("200")
    assert gw.idle()
    a.register(0)
    a.close()
