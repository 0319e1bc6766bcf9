"""Flows of RFC 5626 and phones behind NAT: who rings, and what happens when a connection or a port mapping goes."""
import os, shutil, signal, subprocess, time
import pytest
from gateway import PBX, PHONE, PRIV, PUB, wait_for
from ua import Call, Ua, sdp
from test_register import bindings

NAT = "127.0.1.30"      # many phones behind one address
URN = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-{:012x}>"'


@pytest.fixture
def pbx(gw):
    u = Ua(PBX, 5070, (PRIV, 5060), "udp", "desk")
    yield u
    u.close()


def phone(gw, user, transport="udp", ip=NAT, port=0):
    return Ua(ip, port, (PUB, 5061 if transport == "tls" else 5060), transport, user, gw.passwords[user], ca=os.path.join(gw.state, "ca.pem"))


def bind(u, contact, call_id=None, expires=600, extra="", expect="200"):
    """Registers this Contact (a whole value), as the phone behind NAT writes it."""
    uri, tag, call_id = f"sip:{u.domain}", os.urandom(4).hex(), call_id or os.urandom(8).hex()
    auth = ""
    for want in ("401", expect):
        u.cseq += 1
        u.send(f"REGISTER {uri} SIP/2.0\r\nVia: SIP/2.0/{u.transport.upper()} 192.168.1.9:5060;branch=z9hG4bK{os.urandom(6).hex()};rport\r\nMax-Forwards: 70\r\n"
               f"From: <sip:{u.user}@{u.domain}>;tag={tag}\r\nTo: <sip:{u.user}@{u.domain}>\r\nCall-ID: {call_id}\r\nCSeq: {u.cseq} REGISTER\r\n"
               f"Contact: {contact}\r\nExpires: {expires}\r\n{extra}{auth}")
        m = u.expect(want)
        if want == "401":
            auth = "Authorization: " + u.authorization(m.get("www-authenticate"), "REGISTER", uri) + "\r\n"
    return m


def forget(gw, u):
    bind(u, "*", expires=0)
    assert bindings(gw, u.user) == []


def ring(pbx, user):
    c = Call(pbx, user, sdp(PBX, 41000))
    c.uri, c.to = f"sip:{user}@{PRIV}", f"<sip:{user}@{PRIV}>"
    c.invite(auth=False)
    return c


def give_up(gw, pbx, c, *ringing):
    """The caller hangs up; every phone that rings hears it."""
    for u, inv in ringing:
        u.reply(inv, 180, "Ringing", "r")
    pbx.expect("180")
    c.cancel()
    for u, inv in ringing:
        m = u.expect("CANCEL")
        u.reply(m, 200)
        u.reply(inv, 487, "Terminated", "r")
        u.expect("ACK")
    c.ack(pbx.expect("487", skip=("100", "180", "200")))
    assert gw.idle()


def test_two_phones_behind_one_address(gw, pbx):
    """The same private port, one public address, two users and then two phones of one user."""
    a, b = phone(gw, "alice"), phone(gw, "bob")
    for u in (a, b):
        m = bind(u, f"<sip:{u.user}@192.168.1.9:5060>")
        assert "expires=120" in m.get("contact")        # a mapping that must be kept open
        x, = bindings(gw, u.user)
        assert x["nat"] and x["source"] == f"{NAT}:{u.port}"
    for u, other in ((a, b), (b, a)):
        c = ring(pbx, u.user)
        inv = u.expect("INVITE")
        other.silence(0.3)
        give_up(gw, pbx, c, (u, inv))
    forget(gw, a), forget(gw, b)
    b.user, b.password = a.user, a.password
    bind(a, f"<sip:alice@192.168.1.9:5060>;{URN.format(1)}")
    bind(b, f"<sip:alice@192.168.1.9:5060>;{URN.format(2)}")
    assert len(bindings(gw, "alice")) == 2
    c = ring(pbx, "alice")
    give_up(gw, pbx, c, (a, a.expect("INVITE")), (b, b.expect("INVITE")))
    forget(gw, a)
    a.close(), b.close()


@pytest.mark.parametrize("contact", ["<sip:alice@192.168.1.9:5060>", f"<sip:alice@192.168.1.9:5060>;{URN.format(3)}"])
def test_the_mapping_changes(gw, pbx, contact):
    """The NAT gives the phone another port: it is the same phone, and is called there."""
    a = phone(gw, "alice")
    bind(a, contact, "stays@192.168.1.9")
    b = phone(gw, "alice")
    b.cseq = a.cseq
    bind(b, contact, "stays@192.168.1.9")
    x, = bindings(gw, "alice")
    assert x["source"] == f"{NAT}:{b.port}"
    c = ring(pbx, "alice")
    give_up(gw, pbx, c, (b, b.expect("INVITE")))
    a.silence(0.2)
    forget(gw, b)
    a.close(), b.close()


def test_not_behind_nat(gw):
    a = phone(gw, "alice", ip=PHONE)
    a.register(60)
    x, = bindings(gw, "alice")
    assert not x["nat"]
    a.register(0)
    a.close()


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_two_flows_of_one_phone(gw, pbx, transport):
    """One rings; when its connection has gone, the other."""
    one, two = phone(gw, "alice", transport), phone(gw, "alice", transport)
    flow = f"<sip:alice@192.168.1.9;transport={transport};ob>;{URN.format(4)};reg-id={{}}"
    for i, u in enumerate((one, two)):
        m = bind(u, flow.format(i + 1), "one@192.168.1.9", extra="Supported: path, outbound\r\n")
        two.cseq = one.cseq
        assert m.get("require") == "outbound" and int(m.get("flow-timer")) >= 60
    assert len(bindings(gw, "alice")) == 2
    c = ring(pbx, "alice")
    inv = two.expect("INVITE")
    one.silence(0.3)
    give_up(gw, pbx, c, (two, inv))
    two.close()
    time.sleep(0.3)
    c = ring(pbx, "alice")
    give_up(gw, pbx, c, (one, one.expect("INVITE")))
    three = phone(gw, "alice", transport)       # the second flow comes back over a new connection
    three.cseq = 50
    bind(three, flow.format(2), "one@192.168.1.9", extra="Supported: outbound\r\n")
    assert len(bindings(gw, "alice")) == 2
    c = ring(pbx, "alice")
    inv = three.expect("INVITE")
    one.silence(0.2)
    give_up(gw, pbx, c, (three, inv))
    forget(gw, one)
    one.close(), three.close()


def test_both_flows_are_gone(gw, pbx):
    one, two = phone(gw, "alice", "tls"), phone(gw, "alice", "tls")
    for i, u in enumerate((one, two)):
        bind(u, f"<sip:alice@192.168.1.9;ob>;{URN.format(5)};reg-id={i + 1}")
    one.close(), two.close()
    time.sleep(0.3)
    c = ring(pbx, "alice")
    m = pbx.expect("480")
    c.ack(m)
    assert gw.idle() and gw.cdr(c.id)
    again = phone(gw, "alice", "tls")
    forget(gw, again)
    again.close()


def test_reg_id_by_the_book(gw):
    a = phone(gw, "alice", "tls")
    m = bind(a, "<sip:alice@192.168.1.9>;reg-id=1", extra="Supported: outbound\r\n")
    assert not m.get("require") and not m.get("flow-timer")     # no instance: not a flow
    before = gw.reason("reg_flow_id")
    bind(a, f"<sip:alice@192.168.1.9>;{URN.format(6)};reg-id=0", expect="400")
    bind(a, f"<sip:alice@192.168.1.9>;{URN.format(6)};reg-id=1, <sip:alice@192.168.1.10>", expect="400")
    assert gw.reason("reg_flow_id") == before + 2
    forget(gw, a)
    a.close()


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_keep_alive(gw, transport):
    """RFC 5626 3.5.1: a double CRLF is answered by a single one."""
    a = phone(gw, "alice", transport)
    a.s.sendall(b"\r\n\r\n")
    a.s.settimeout(3)
    assert a.s.recv(100) == b"\r\n"
    bind(a, "<sip:alice@192.168.1.9>")
    a.s.sendall(b"\r\n\r\n")
    assert a.s.recv(100) == b"\r\n"
    forget(gw, a)
    a.close()


@pytest.fixture
def edge(tmp_path):
    if not shutil.which("kamailio"):
        pytest.skip("kamailio is not installed")
    log = open(tmp_path / "log", "wb")
    p = subprocess.Popen(["kamailio", "-DD", "-E", "-f", os.path.join(os.path.dirname(__file__), "kamailio_edge.cfg"), "-P", str(tmp_path / "pid"), "-Y", str(tmp_path),
                          "-m", "64", "-M", "8"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    probe = Ua("127.0.1.41", 0, ("127.0.1.40", 5070), "udp", "probe")

    def up():
        probe.request("OPTIONS", "sip:127.0.1.40:5070", "<sip:127.0.1.40>", "o@x", "o")
        return probe.recv(0.3)
    assert wait_for(up, 10), open(tmp_path / "log").read()[-2000:]
    probe.close()
    yield ("127.0.1.40", 5070)
    os.killpg(p.pid, signal.SIGTERM)
    p.wait(10)


def test_path_through_an_edge_proxy(gw, pbx, edge):
    """RFC 3327 with a real proxy, which lets nothing in that does not come by its Path; flows need one that keeps them."""
    a = Ua("127.0.1.41", 0, edge, "udp", "alice", gw.passwords["alice"])
    m = a.register(60, extra="Supported: path\r\n")
    assert "127.0.1.40:5070;lr" in m.get("path")
    c = ring(pbx, "alice")
    inv = a.expect("INVITE")
    assert "127.0.1.40" in inv.get("record-route") and not inv.get("route")
    a.reply(inv, 200, "OK", "a", body=sdp("127.0.1.41", 40000))
    c.answered()
    a.expect("ACK")
    c.within("BYE")
    a.reply(a.expect("BYE"), 200)
    pbx.expect("200")
    assert gw.idle()
    a.register(0, extra="Supported: path\r\n")
    before = gw.reason("reg_first_hop")
    bind(a, f"<sip:alice@127.0.1.41:{a.port}>;{URN.format(7)};reg-id=1", extra="Supported: path, outbound\r\n", expect="439")
    assert gw.reason("reg_first_hop") == before + 1 and bindings(gw, "alice") == []
    a.close()
