"""Transfers: REFER and Replaces, which the gateway carries out itself; phones on UDP, PBXs, audio to where it belongs."""
import json, os, shutil, socket, time
import pytest
import house
from baresip import Baresip, hears
from gateway import Gateway, wait_for
from house import LAN, PHONES
from rtp import Rtp, packet, where
from ua import Call, Ua, sdp

CONFIG = house.CONFIG.replace("routes:\n", 'routes:\n  - {{name: barred, pattern: "0900.", to: refuse}}\n') \
    .replace("name: natted, listeners", "name: natted, services: [message], listeners").replace("name: legacy, listeners", "name: legacy, redirect: follow, listeners")
PROXY, LANPROXY = (PHONES + "1", 5060), (LAN + "1", 5060)


@pytest.fixture(scope="module")
def gt():
    g = Gateway(config=CONFIG, ports="23400-23799", engines=1)
    for u in ("alice", "bob", "carol"):
        g.user(u, md5=True)
    g.start()
    yield g
    try:
        assert g.idle(), "calls are left at the end: %s" % g.ask("calls")
    finally:
        g.close()


class Party(Ua):
    """An agent with a stream of audio, in at most a few calls."""
    def __init__(self, ip, port, proxy, user, password=""):
        super().__init__(ip, port, proxy, "udp", user, password)
        self.rtp, self.kept = Rtp(ip), []

    def body(self):
        return sdp(self.ip, self.rtp.port)

    def expect(self, what, timeout=4.0, skip=("100", "1xx"), where=lambda m: True):
        """Like Ua's; what comes meanwhile waits, in any order."""
        end = time.time() + timeout
        while True:
            for m in self.kept:
                if (m.code and (what == str(m.code) or (what[1:] == "xx" and what[0] == str(m.code)[0]))) or (not m.code and m.method == what):
                    if where(m):
                        self.kept.remove(m)
                        return m
            m = self.recv(max(end - time.time(), 0.001))
            if not m:
                raise AssertionError(f"{self.user}: no {what} in {timeout} s, but {[x.start for x in self.kept]}")
            if m.code != 100:
                self.kept.append(m)

    def take(self, inv=None, code=200, timeout=4):
        inv = inv or self.expect("INVITE", timeout)
        self.reply(inv, code, "X", "t" + os.urandom(3).hex(), body=self.body() if code == 200 else "")
        self.expect("ACK")
        return inv

    def notified(self, status, last=True, timeout=5):
        """NOTIFYs up to the one with that status; all are answered."""
        while True:
            n = self.expect("NOTIFY", timeout)
            self.reply(n, 200)
            assert n.get("event").startswith("refer") and n.get("content-type").startswith("message/sipfrag"), n
            if f"SIP/2.0 {status}".encode() in n.body:
                assert n.get("subscription-state").startswith("terminated;reason=noresource" if last else "active"), n
                return n

    def leaves(self, timeout=4, where=lambda m: True):
        m = self.expect("BYE", timeout, where=where)
        self.reply(m, 200)
        return m

    def close(self):
        self.rtp.close(), super().close()


def bye(ua, dialog):
    """Ends the call that an INVITE to ua began; dialog: any request of it that the gateway sent."""
    ua.cseq += 500
    ua.request("BYE", dialog.uri("contact"), dialog.get("from").split(";tag=")[0], dialog.get("call-id"), dialog.tag("to") or ua.tag, dialog.tag("from"), from_=dialog.get("to").split(";tag=")[0])
    return ua.expect("200")


@pytest.fixture
def people(gt):
    got = [Party(PHONES + str(20 + i), 5060, PROXY, u, gt.passwords[u]) for i, u in enumerate(("alice", "bob", "carol"))]
    got += [Party(LAN + "10", 5070, LANPROXY, "src"), Party(LAN + "11", 5070, LANPROXY, "dst")]
    for p in got[:3]:
        p.register()
    yield got
    for p in got:
        p.close()


def call(a, b, number):
    """a calls number, at which b answers: a's call and b's INVITE with the tag that b gave."""
    c = Call(a, number, a.body())
    c.invite() if a.password else c.invite(auth=False)
    inv = b.expect("INVITE")
    b.tag = "t" + os.urandom(3).hex()
    b.reply(inv, 200, "OK", b.tag, body=b.body())
    c.answered()
    b.expect("ACK")
    c.peer_sdp = c.ok.body
    return c, inv


def talk(a, at_a, b, at_b):
    """Audio both ways, through the addresses that the gateway gave."""
    ends = (a, where(at_a), b"\x11" * 160), (b, where(at_b), b"\x22" * 160)
    for p, _, _ in ends:
        p.rtp.drain(0.05)
    for i in range(20):
        for p, to, what in ends:
            p.rtp.send(to, packet(700 + i, payload=what))
        time.sleep(0.01)
    heard = [[x[12:13] for x in p.rtp.drain(0.2)] for p, _, _ in ends]
    assert heard[0].count(b"\x22") >= 10, (a.user, len(heard[0]))
    assert heard[1].count(b"\x11") >= 10, (b.user, len(heard[1]))


def end(gt):
    assert gt.idle(), gt.ask("calls")


def test_blind_to_user(gt, people):
    alice, bob, carol, src, dst = people
    c, inv = call(src, alice, "alice")
    talk(src, c.peer_sdp, alice, inv.body)
    alice.cseq = 100
    alice.request("REFER", inv.uri("contact"), inv.get("from").split(";tag=")[0], inv.get("call-id"), alice.tag, inv.tag("from"), from_=inv.get("to"),
                  extra="Refer-To: <sip:bob@example.com>\r\n")
    alice.expect("202")
    alice.notified(100, last=False)
    to_bob = bob.expect("INVITE")
    assert "src@" in to_bob.get("from") and LAN[:-1] not in repr(to_bob) and PHONES + "20" not in repr(to_bob)
    bob.reply(to_bob, 180, "Ringing", "b1")
    alice.notified(180, last=False)
    bob.reply(to_bob, 200, "OK", "b1", body=bob.body())
    bob.expect("ACK")
    re = src.take()
    alice.notified(200)
    alice.leaves()
    talk(src, re.body, bob, to_bob.body)
    c.within("BYE")
    src.expect("200")
    bob.leaves()
    end(gt)
    found = wait_for(lambda: (lambda d: d if len(d) == 2 else None)(gt.ask("cdr", "--call-id", c.id)["cdrs"]), 3)
    first, second = sorted(found, key=lambda d: d["session"])
    assert first["reason"] == "call_transferred" and first["other_session"] == second["session"], found
    assert second["other_session"] == first["session"] and second["transferred_by"] == "alice@example.com", found


def refer(c, to, code="202", extra=""):
    c.within("REFER", extra=f"Refer-To: {to}\r\n{extra}")
    return c.ua.expect(code)


def test_blind_to_pbx_hanging_up_at_once(gt, people):
    alice, bob, carol, src, dst = people
    c, inv = call(alice, bob, "bob")
    refer(c, "<sip:1001@example.com>")
    c.bye()
    to_pbx = dst.expect("INVITE")
    assert "bob" in to_pbx.get("from")
    assert not any(m.method == "BYE" for m in bob.kept)
    dst.reply(to_pbx, 200, "OK", "d1", body=dst.body())
    dst.expect("ACK")
    re = bob.take()
    alice.notified(200)
    talk(bob, re.body, dst, to_pbx.body)
    dst.tag = "d1"
    bye(dst, to_pbx)
    bob.leaves()
    end(gt)


@pytest.mark.parametrize("to, code, reason", [("<sip:0900123@example.com>", "403", "right_barred"), ("<sip:bob@example.org>", "403", "right_no_route"),
                                              ("<sip:nobody@example.com>", "404", "route_user_unknown"), ("<mailto:x@example.com>", "416", "sip_uri_scheme"),
                                              ("<sip:bob@example.com;method=SUBSCRIBE>", "400", "transfer_refer_to")])
def test_refused_by_route(gt, people, to, code, reason):
    alice, bob, carol, src, dst = people
    before = gt.reason(reason)
    c, inv = call(alice, bob, "bob")
    refer(c, to, code)
    assert wait_for(lambda: gt.reason(reason) > before, 3)
    talk(alice, c.peer_sdp, bob, inv.body)
    c.bye()
    bob.leaves()
    end(gt)


def test_refused_by_right(gt, people):
    alice = people[0]
    nat = Party(house.NATTED + "10", 5070, LANPROXY, "nat")
    before = gt.reason("right_transfer")
    c = Call(nat, "alice", nat.body())
    c.invite(auth=False)
    inv = alice.take()
    c.answered()
    refer(c, "<sip:bob@example.com>", "603")
    assert wait_for(lambda: gt.reason("right_transfer") > before, 3)
    c.bye()
    alice.leaves()
    nat.close()
    end(gt)


@pytest.mark.parametrize("code", [486, 603, 404])
def test_target_does_not_answer_and_the_call_stays(gt, people, code):
    alice, bob, carol, src, dst = people
    c, inv = call(alice, bob, "bob")
    refer(c, "<sip:carol@example.com>")
    carol.take(code=code)
    alice.notified(code)
    talk(alice, c.peer_sdp, bob, inv.body)
    c.bye()
    bob.leaves()
    end(gt)


def test_no_subscription_wanted(gt, people):
    alice, bob, carol, src, dst = people
    c, inv = call(alice, bob, "bob")
    m = refer(c, "<sip:carol@example.com>", extra="Refer-Sub: false\r\n")
    assert m.get("refer-sub") == "false"
    carol.take()
    bob.take()
    alice.leaves()
    assert not any(m.method == "NOTIFY" for m in alice.kept)
    bye(bob, inv)
    carol.leaves()
    end(gt)


def test_attended(gt, people):
    """src calls alice, alice asks carol, and joins the two."""
    alice, bob, carol, src, dst = people
    one, in_one = call(src, alice, "alice")
    first_tag = alice.tag
    two, in_two = call(alice, carol, "carol")
    rep = f"{two.id};to-tag={two.remote_tag};from-tag={two.tag}".replace(";", "%3B").replace("=", "%3D").replace("@", "%40")
    alice.cseq += 100
    alice.request("REFER", in_one.uri("contact"), in_one.get("from").split(";tag=")[0], in_one.get("call-id"), first_tag, in_one.tag("from"), from_=in_one.get("to"),
                  extra=f"Refer-To: <sip:carol@example.com?Replaces={rep}>\r\n")
    alice.expect("202")
    at_carol, at_src = carol.take(), src.take()
    alice.notified(200)
    alice.leaves(), alice.leaves()
    talk(src, at_src.body, carol, at_carol.body)
    one.within("BYE")
    src.expect("200")
    carol.leaves()
    end(gt)


def test_invite_with_replaces(gt, people):
    """The PBX takes alice's place in her call by itself, after its own fashion."""
    alice, bob, carol, src, dst = people
    c, inv = call(dst, alice, "alice")
    ours = c.remote_tag
    new = Call(dst, "alice", dst.body(), extra=f"Replaces: {c.id};to-tag={ours};from-tag={c.tag}\r\n")
    new.invite(auth=False)
    re = alice.take()
    new.answered()
    dst.leaves(where=lambda m: m.get("call-id") == c.id)
    talk(dst, new.ok.body, alice, re.body)
    new.bye()
    alice.leaves()
    stale = Call(dst, "alice", dst.body(), extra=f"Replaces: {c.id};to-tag={ours};from-tag={c.tag}\r\n")
    stale.invite(auth=False)
    stale.ack(dst.expect("603"))
    end(gt)


def test_refer_outside_of_a_call(gt, people):
    src = people[3]
    before = gt.reason("transfer_outside")
    src.request("REFER", "sip:alice@example.com", "<sip:alice@example.com>", os.urandom(8).hex(), "x1", extra="Refer-To: <sip:bob@example.com>\r\n")
    src.expect("403")
    assert wait_for(lambda: gt.reason("transfer_outside") > before, 3)


def test_redirect_is_followed(gt, people):
    """bob's phone forwards to the PBX: with bob's rights, and told in the record."""
    alice, bob, carol, src, dst = people
    c = Call(alice, "bob", alice.body())
    c.invite()
    inv = bob.expect("INVITE")
    bob.reply(inv, 302, "Moved", "b1", contact=False, extra="Contact: <sip:0900777@example.com>;q=0.9, <sip:1005@example.com>;q=0.5\r\n")
    bob.expect("ACK")
    to_pbx = dst.take()
    assert "1005@" in to_pbx.start
    c.answered()
    talk(alice, c.ok.body, dst, to_pbx.body)
    c.bye()
    dst.leaves()
    end(gt)
    assert gt.cdr(c.id)["transferred_by"] == "bob@example.com"


class Softphone(Baresip):
    """baresip that takes commands on TCP."""
    def __init__(self, gt, user, n, hz):
        self.ip, self.user = PHONES + str(30 + n), user
        super().__init__(self.ip, f'<sip:{user}@example.com>;auth_user={user};auth_pass={gt.passwords[user]};outbound="sip:{PHONES}1:5060";regint=60', hz, rtp=32000 + 100 * n)
        with open(os.path.join(self.dir, "config"), "a") as f:
            f.write(f"module_app ctrl_tcp.so\nctrl_tcp_listen {self.ip}:4444\n")

    def command(self, name, params=""):
        text = json.dumps({"command": name, "params": params, "token": "t"}).encode()
        with socket.create_connection((self.ip, 4444), 3) as s:
            s.sendall(b"%d:%s," % (len(text), text))
            time.sleep(0.3)


@pytest.mark.skipif(not shutil.which("baresip"), reason="baresip is not installed")
def test_baresip_transfers_blind(gt):
    """alice's baresip calls bob's and transfers him to carol's: bob and carol hear each other."""
    alice, bob, carol = phones = [Softphone(gt, u, i, hz) for i, (u, hz) in enumerate((("alice", 440), ("bob", 1000), ("carol", 1700)))]
    try:
        for p in phones:
            p.start(seconds=16)
            assert p.saw("200 OK", 8), p.text()[-2500:]
        alice.command("dial", "sip:bob@example.com")
        assert alice.saw("Call established", 8), alice.text()[-2500:]
        alice.command("transfer", "sip:carol@example.com")
        assert carol.saw("Call established", 8), alice.text()[-2500:] + gt.run("explain", "--state", gt.state).stdout
        assert wait_for(lambda: len([c for e in gt.ask("calls")["engines"] for c in e["calls"]]) == 1, 5), gt.ask("calls")
        time.sleep(3.2)
        bob.stop(), carol.stop()
        assert hears(carol, 1000, 440)[0], hears(carol, 1000, 440)
        assert hears(bob, 1700, 440)[0], hears(bob, 1700, 440)
    finally:
        for p in phones:
            p.close()
    end(gt)


def test_blind_of_a_party_on_hold(gt, people):
    """alice puts src on hold first, as phones do: src and bob hear each other all the same."""
    alice, bob, carol, src, dst = people
    c, inv = call(alice, dst, "1001")
    c.within("INVITE", body=alice.body().replace("a=sendrecv", "a=sendonly"))
    hold = dst.expect("INVITE")
    assert b"a=sendonly" in hold.body
    dst.reply(hold, 200, "OK", body=dst.body().replace("a=sendrecv", "a=recvonly"))
    dst.expect("ACK")
    alice.expect("200")
    c.invite_cseq = alice.cseq
    c.ack2xx()
    refer(c, "<sip:bob@example.com>")
    to_bob = bob.take()
    assert b"a=sendrecv" in to_bob.body
    re = dst.take()
    assert b"a=sendrecv" in re.body
    alice.notified(200)
    alice.leaves()
    talk(dst, re.body, bob, to_bob.body)
    bye(dst, inv)
    bob.leaves()
    end(gt)


class Secure(Softphone):
    """baresip on TLS and SRTP, or the PBX on plain UDP; takes commands."""
    def __init__(self, account, ip, hz, rtp, sip_port=0, ca=None):
        self.ip, self.user = ip, "x"
        Baresip.__init__(self, ip, account, hz, sip_port=sip_port, rtp=rtp, cafile=ca)
        with open(os.path.join(self.dir, "config"), "a") as f:
            f.write(f"module_app ctrl_tcp.so\nctrl_tcp_listen {ip}:4444\n")


@pytest.mark.skipif(not shutil.which("baresip"), reason="baresip is not installed")
def test_plain_pbx_transfers_a_secure_phone_to_another(gw):
    """The plain PBX (baresip) in the middle: mdora's encrypted call goes on to mdaniel's encrypted phone."""
    account = lambda u: f'<sip:{u}@example.com;transport=tls>;auth_user={u};auth_pass={gw.passwords[u]};outbound="sip:127.0.1.1:5061;transport=tls";regint=60;mediaenc=srtp-mand'
    ca = os.path.join(gw.state, "ca.pem")
    a, b = Secure(account("mdora"), "127.0.1.20", 440, 32000, ca=ca), Secure(account("mdaniel"), "127.0.1.21", 1700, 34000, ca=ca)
    p = Secure("<sip:8801@127.0.6.10:5070>;regint=0", "127.0.6.10", 1000, 33000, sip_port=5070)
    try:
        for x in (a, b, p):
            x.start(seconds=18)
            assert x.saw("200 OK" if x is not p else "baresip is ready", 8), x.text()[-2500:]
        p.command("dial", "sip:mdora@127.0.2.1:5060")
        assert p.saw("Call established", 8), p.text()[-2500:]
        p.command("transfer", "sip:mdaniel@127.0.2.1:5060")
        assert b.saw("Call established", 8), p.text()[-2500:]
        live = lambda: [c for e in gw.ask("calls")["engines"] for c in e["calls"]]
        assert wait_for(lambda: len(live()) == 1, 5), live()
        assert str(live()).count("AES_") == 2, live()
        time.sleep(3.2)
        a.stop(), b.stop()
        assert hears(a, 1700, 1000)[0], hears(a, 1700, 1000)
        assert hears(b, 440, 1000)[0], hears(b, 440, 1000)
    finally:
        for x in (a, b, p):
            x.close()
    assert gw.idle()


@pytest.fixture
def two_engines(gw):
    got = [Party("127.0.1." + str(20 + i), 5060, ("127.0.1.1", 5060), u, gw.passwords[u]) for i, u in enumerate(("alice", "carol"))]
    got.append(Party("127.0.2.10", 5070, ("127.0.2.1", 5060), "pbx"))
    for p in got[:2]:
        p.register()
    yield got
    for p in got:
        p.close()


def test_replaces_finds_its_engine(gw, two_engines):
    """Whichever engine its Call-ID would lead to, an INVITE with Replaces goes where the call is."""
    alice, carol, pbx = two_engines
    for _ in range(5):
        c, inv = call(pbx, alice, "alice")
        new = Call(pbx, "alice", pbx.body(), extra=f"Replaces: {c.id};to-tag={c.remote_tag};from-tag={c.tag}\r\n")
        new.invite(auth=False)
        alice.take()
        new.answered()
        pbx.leaves(where=lambda m: m.get("call-id") == c.id)
        new.bye()
        alice.leaves()
    assert gw.idle()


def test_attended_over_two_engines(gw, two_engines):
    """Calls in one engine are joined; in two, whom alice asked is called anew. Either way the two talk in the end."""
    alice, carol, pbx = two_engines
    before, anew = gw.reason("transfer_remote"), 0
    for _ in range(6):
        one, in_one = call(pbx, alice, "alice")
        tag = alice.tag
        two, in_two = call(alice, carol, "carol")
        rep = f"{two.id};to-tag={two.remote_tag};from-tag={two.tag}".replace(";", "%3B").replace("=", "%3D").replace("@", "%40")
        alice.cseq += 100
        alice.request("REFER", in_one.uri("contact"), in_one.get("from").split(";tag=")[0], in_one.get("call-id"), tag, in_one.tag("from"), from_=in_one.get("to"),
                      extra=f"Refer-To: <sip:carol@example.com?Replaces={rep}>\r\n")
        alice.expect("202")
        at_carol = carol.take()
        at_pbx = pbx.take()
        alice.notified(200)
        alice.leaves()
        if "tag=" in at_carol.get("to"):
            alice.leaves()
        else:
            anew += 1
            two.bye()
            carol.leaves()
        talk(pbx, at_pbx.body, carol, at_carol.body)
        one.within("BYE")
        pbx.expect("200")
        carol.leaves()
        assert gw.idle()
    assert gw.reason("transfer_remote") - before == anew
