"""Times: session timers, the longest call, silent media, ringing."""
import re, time
import pytest
from gateway import wait_for
from house import *
from rtp import Rtp, packet, where


@pytest.fixture(scope="module")
def g():
    g = house(engines=1, limits="call_max: 10s, media_timeout: 4s, ring: 5s, session_expires: 90s")
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


@pytest.fixture
def a(close):
    return close(caller())


@pytest.fixture
def b(close):
    return close(caller(LAN + "11", user="dst"))


def expires(m):
    v = re.match(r"(\d+)(?:.*refresher=(\w+))?", m.get("session-expires") or m.get("x"))
    return v and (int(v.group(1)), v.group(2))


def answered(c, b, extra=""):
    inv = b.expect("INVITE")
    b.reply(inv, 200, "OK", "b", body=sdp(b.ip, 41000), extra=extra)
    b.expect("ACK")
    return inv, c.answered()


def end(g, c, b):
    c.bye()
    b.reply(b.expect("BYE"), 200)
    assert g.idle(3)


def test_session_timer_is_negotiated_on_each_leg(g, a, b):
    c = Call(a, "100", sdp(a.ip, 40000), extra="Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n")
    c.invite(auth=False)
    inv, ok = answered(c, b, "Require: timer\r\nSession-Expires: 90;refresher=uas\r\n")
    assert expires(inv)[0] == 90 and int(inv.get("min-se") or 90) >= 90 and "timer" in inv.get("supported")
    n, who = expires(ok)
    assert 90 <= n <= 600 and who == "uac" and "timer" in ok.get("require"), ok
    end(g, c, b)


def test_caller_without_timers_gets_them_from_us_or_not_at_all(g, a, b):
    c = Call(a, "101", sdp(a.ip, 40000))
    c.invite(auth=False)
    inv, ok = answered(c, b)
    assert "timer" not in ok.get("require"), "demands what the caller did not say it can"
    se = expires(ok) if ok.get("session-expires") else None
    assert not se or se[1] == "uas"
    end(g, c, b)


def test_too_short_an_interval_is_422_with_the_least(g, a):
    before = g.reason("sip_session_interval")
    c = Call(a, "102", sdp(a.ip, 40000), extra="Supported: timer\r\nSession-Expires: 30\r\n")
    c.invite(auth=False)
    m = final(a)
    assert m.code == 422 and int(m.get("min-se")) == 90
    c.ack(m)
    assert g.reason("sip_session_interval") == before + 1


def test_422_of_the_far_side_is_obeyed_once(g, a, b):
    c = Call(a, "103", sdp(a.ip, 40000))
    c.invite(auth=False)
    inv = b.expect("INVITE")
    b.reply(inv, 422, "Interval", "b", extra="Min-SE: 300\r\n")
    b.expect("ACK")
    inv = b.expect("INVITE")
    assert expires(inv)[0] >= 300 and int(inv.get("min-se")) >= 300
    b.reply(inv, 200, "OK", "b2", body=sdp(b.ip, 41000))
    b.expect("ACK")
    c.answered()
    end(g, c, b)


def test_ringing_and_silence_end_in_time(g, a, b):
    t = time.time()
    c = call_from(a, "104")
    inv = b.expect("INVITE")
    b.reply(inv, 180, "Ringing", "b")
    m = final(a, 8)
    assert m.code in (408, 480) and 4 < time.time() - t < 7
    c.ack(m)
    b.reply(b.expect("CANCEL"), 200)
    b.reply(inv, 487, "Request Terminated", "b")
    b.expect("ACK")
    assert g.idle(3)


def test_media_that_stops_ends_the_call(g, a, b, close):
    before = g.reason("media_timeout")
    ra = close(Rtp(a.ip))
    c = call_from(a, "105", sdp(a.ip, ra.port))
    inv, ok = answered(c, b)
    for i in range(40):  # one side is enough to keep it
        ra.send(where(ok.body), packet(i + 1))
        time.sleep(0.05)
    t = time.time()
    bye = a.expect("BYE", 12)
    a.reply(bye, 200)
    b.reply(b.expect("BYE"), 200)
    assert 3 < time.time() - t < 7, f"{time.time() - t:.1f} s of silence, allowed are 4"
    assert g.idle(3) and g.reason("media_timeout") == before + 1
    assert g.cdr(c.id)["reason"] == "media_timeout"


def test_longest_call(g, a, b, close):
    before = g.reason("call_too_long")
    ra = close(Rtp(a.ip))
    c = call_from(a, "106", sdp(a.ip, ra.port))
    inv, ok = answered(c, b)
    t = time.time()
    bye, n = None, 0
    while not bye and time.time() - t < 14:
        n += 1
        ra.send(where(ok.body), packet(n))
        bye = a.recv(0.3)
    assert bye and bye.method == "BYE" and 9 < time.time() - t < 12
    a.reply(bye, 200)
    b.reply(b.expect("BYE"), 200)
    assert g.idle(3) and g.reason("call_too_long") == before + 1
