"""Drain: new calls are refused so that others take them, everything else goes on, and the gateway says when it is empty."""
import os, time
import pytest
from crowd import CONFIG, CALLEE, GATEWAY
from gateway import Gateway, wait_for
from test_call import srtp_sdp
from test_reload import Answerer, TLS
from ua import Call, Ua


@pytest.fixture
def gw():
    g = Gateway(config=CONFIG, ports="25000-25999", limits="calls: 200")
    g.user("alice")
    g.start()
    yield g
    g.close()


@pytest.fixture
def pbx():
    a = Answerer()
    a.start()
    yield a
    a.over = True
    a.join(2)


def phone(g):
    return Ua("127.0.71.20", 0, TLS, "tls", "alice", g.passwords["alice"], ca=os.path.join(g.state, "ca.pem"))


def up(g, u, number):
    c = Call(u, number, srtp_sdp("127.0.71.20", 40000))
    c.invite()
    c.answered()
    return c


def test_drain_under_running_calls(gw, pbx):
    phones = [phone(gw) for _ in range(12)]
    calls = [up(gw, u, f"1{n}") for n, u in enumerate(phones)]
    r = gw.run("drain", "--state", gw.state)
    assert r.returncode == 0 and "no new calls" in r.stdout
    assert gw.status()["state"] == "draining"
    u = phone(gw)
    for n in range(6):  # on either engine
        c = Call(u, f"19{n}", srtp_sdp("127.0.71.20", 40000))
        c.invite()
        m = u.expect("503")
        assert int(m.get("retry-after").split()[0]) >= 1
        c.ack(m)
    assert gw.reason("draining") == 6
    u.register(60)
    e = Call(u, "112", srtp_sdp("127.0.71.20", 40000))
    e.invite(auth=False)
    m = u.recv(3)
    while m and m.code < 200:
        m = u.recv(3)
    assert m and m.code != 503, m  # an emergency call is not for the drain to refuse
    for c in calls[:6]:
        c.within("INVITE", body=srtp_sdp("127.0.71.20", 40000))
        c.ua.expect("200", skip=("100", "180"))
        c.invite_cseq = c.ua.cseq
        c.ack2xx()
    assert gw.status()["state"] == "draining"
    for c in calls:
        c.bye()
    assert gw.idle()
    assert wait_for(lambda: gw.status()["state"] == "drained", 5), gw.status()
    assert all(p["drained"] for p in gw.status()["programs"] if p["role"] == "engine")
    cdrs = gw.ask("cdr", "--last", "50")["cdrs"]
    assert sum(1 for x in cdrs if x["ended_by"] == "caller") == 12
    assert gw.run("drain", "--off", "--state", gw.state).returncode == 0
    assert gw.status()["state"] == "running"
    up(gw, u, "150").bye()
    for x in phones + [u]:
        x.close()


def test_an_engine_that_comes_back_drains_too(gw, pbx):
    assert gw.run("drain", "--state", gw.state).returncode == 0
    assert wait_for(lambda: gw.status()["state"] == "drained", 5)
    for name in ("engine0", "engine1"):
        os.kill(gw.pids()[name], 9)
    assert wait_for(lambda: gw.status()["state"] == "drained" and all(p["restarts"] for p in gw.status()["programs"] if p["role"] == "engine"), 8), gw.status()
    u = phone(gw)
    for n in range(4):
        c = Call(u, f"19{n}", srtp_sdp("127.0.71.20", 40000))
        c.invite()
        c.ack(u.expect("503"))
    u.close()


def test_stop_waits_for_the_calls_when_told(gw, pbx):
    u = phone(gw)
    c = up(gw, u, "11")
    r = gw.run("stop", "--drain", "--no-wait", "--state", gw.state)
    assert r.returncode == 0, r.stdout + r.stderr
    time.sleep(1)
    assert gw.proc.poll() is None and gw.status()["state"] == "draining"
    c.bye()
    assert gw.proc.wait(10) == 0
    u.close()
