"""A real phone: baresip with TLS and SDES-SRTP, tones both ways, heard by their frequency."""
import os, re, shutil, time
import pytest
from baresip import Baresip, hears
from gateway import PHONE, PHONE2, PUB

pytestmark = pytest.mark.skipif(not shutil.which("baresip"), reason="baresip is not installed")


def secure(gw, user, ip, hz, rtp, enc="srtp-mand"):
    host = "[::1]" if ":" in ip else PUB
    ca = os.path.join(gw.state, "ca.pem")
    return Baresip(ip, f'<sip:{user}@example.com;transport=tls>;auth_user={user};auth_pass={gw.passwords[user]};outbound="sip:{host}:5061;transport=tls";regint=60;mediaenc={enc}',
                   hz, rtp=rtp, cafile=ca)


def plain_pbx(hz=1000):
    return Baresip("127.0.6.10", "<sip:8801@127.0.6.10:5070>;regint=0", hz, sip_port=5070, rtp=33000)


@pytest.mark.parametrize("ip", [PHONE, "::1"])
def test_tls_srtp_phone_calls_plain_pbx(gw, ip):
    a, p = secure(gw, "mdora", ip, 440, 32000), plain_pbx()
    try:
        p.start(seconds=14)
        assert p.saw("baresip is ready")
        a.start("sip:8801@example.com", seconds=8)
        assert a.saw("Call established", 8), a.text()[-2500:]
        time.sleep(3.2)
        live = [c for e in gw.ask("calls")["engines"] for c in e["calls"]]
        assert any("AES_" in str(c) for c in live), live
        a.proc.wait(12)
        p.stop()
        assert hears(p, 440, 1000)[0], hears(p, 440, 1000)
        assert hears(a, 1000, 440)[0], hears(a, 1000, 440)
    finally:
        a.close(), p.close()
    assert gw.idle()


def test_plain_pbx_calls_tls_srtp_phone(gw):
    a, p = secure(gw, "mdora", PHONE, 440, 32000), plain_pbx()
    try:
        a.start(seconds=14)
        assert a.saw("200 OK", 8), a.text()[-2500:]
        p.start("sip:mdora@127.0.2.1:5060", seconds=8)
        assert p.saw("Call established", 8), p.text()[-2500:]
        time.sleep(3.2)
        p.proc.wait(12)
        a.stop()
        assert hears(p, 440, 1000)[0], hears(p, 440, 1000)
        assert hears(a, 1000, 440)[0], hears(a, 1000, 440)
    finally:
        a.close(), p.close()
    assert gw.idle()


def test_phone_to_phone_both_encrypted(gw):
    a, b = secure(gw, "mdora", PHONE, 440, 32000), secure(gw, "mdaniel", PHONE2, 1000, 34000)
    try:
        b.start(seconds=14)
        assert b.saw("200 OK", 8), b.text()[-2500:]
        a.start("sip:mdaniel@example.com", seconds=8)
        assert a.saw("Call established", 8), a.text()[-2500:]
        time.sleep(3.2)
        a.proc.wait(12)
        b.stop()
        assert hears(b, 440, 1000)[0], hears(b, 440, 1000)
        assert hears(a, 1000, 440)[0], hears(a, 1000, 440)
    finally:
        a.close(), b.close()
    assert gw.idle()


def test_phone_without_srtp_is_refused(gw):
    a = secure(gw, "mdora", PHONE, 440, 32000, enc="")
    try:
        a.start("sip:8801@example.com", seconds=6)
        assert a.saw("488", 6), a.text()[-2500:]
    finally:
        a.close()
