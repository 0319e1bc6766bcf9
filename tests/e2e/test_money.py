"""Money: every cap by name, what is held is given back however a call ends, and the cut to the second; two engines, two trunks, a PBX.

Regressions of others, by name: opensips#949 (a call that is cancelled keeps its channel), #2079 (a transfer loses who pays),
#3411 (calls at once leak after a failed branch), #2712 (limits are lost with a restart), #1897 (an answer and a cancel that cross)."""
import json, os, signal, subprocess, threading, time
import pytest
from gateway import Gateway, wait_for
from rtp import Rtp, packet, where
from ua import Call, Ua, sdp

P, L = "127.0.91.", "127.0.92."
PROXY, LAN = (P + "1", 5060), (L + "1", 5060)
ROLES = {"user": "", "one": "calls: 1", "three": "attempts: 3", "minute": "minutes: {{day: 1}}", "poor": "money: {{day: 0.60}}", "cheap": "call_money: 0.001",
         "short": "longest: 26s", "cut": "money: {{day: 0.30}}", "mass": ""}


def caps(extra):
    """No cap but that one."""
    key = extra.split(":")[0]
    return ", ".join([x for x in ("calls: 0", "attempts: 0", "longest: 0s", "call_money: 0", "minutes: {{hour: 0, day: 0, month: 0}}", "money: {{hour: 0, day: 0, month: 0}}")
                      if not key or not x.startswith(key + ":")] + ([extra.replace("{{day", "{{hour: 0, month: 0, day")] if extra else []))


CONFIG = """
domains: [example.com]
state: {state}
engines: {engines}
media: {{ports: {ports}}}
listeners:
  - {{name: udp, transport: udp, address: "127.0.91.1:5060"}}
  - {{name: lan, transport: udp, address: "127.0.92.1:5060"}}
zones:
  - {{name: phones, listeners: [udp], sources: [127.0.91.0/24], media: rtp, nat: yes, registration: yes, services: [transfer], redirect: follow, rate_per_source: 5000}}
  - {{name: lan, listeners: [lan], sources: [127.0.92.0/24], media: rtp, authenticate: no, rate_per_source: 5000}}
waivers:
  - {{name: a, zone: phones, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test", expires: 2099-01-01}}
  - {{name: b, zone: lan, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test", expires: 2099-01-01}}
sites:
  - {{name: home, country: DE, area: "30", international: "00", national: "0"}}
rates:
  currency: EUR
  decks: [{{name: deck, file: {state}/deck.csv}}]
peers:
  - {{name: trunk, kind: trunk, zone: lan, listener: lan, address: "127.0.92.20:5080", deck: deck}}
  - {{name: spare, kind: trunk, zone: lan, listener: lan, address: "127.0.92.21:5080", deck: deck, priority: 9}}  # whatever the others' quality
  - {{name: narrow, kind: trunk, zone: lan, listener: lan, address: "127.0.92.22:5080", deck: deck, caps: {{calls: 5}}}}
  - {{name: weak, kind: trunk, zone: lan, listener: lan, address: "127.0.92.23:5080", deck: deck}}
  - {{name: pbx, kind: pbx, zone: lan, listener: lan, address: "127.0.92.10:5070", trust_identity: yes}}
roles:
""" + "".join(f"  - {{{{name: {r}, outbound: yes, dial: [internal, emergency, local, national, mobile, toll-free], features: [transfer-out, forward-out], caps: {{{{{caps(x)}}}}}}}}}\n" for r, x in ROLES.items()) + """
routes:
  - {{name: narrow, pattern: "0309X.", to: {{peers: [narrow]}}}}
  - {{name: weak, pattern: "0308X.", to: {{peers: [weak, spare]}}}}
  - {{name: out, pattern: "0X.", to: {{peers: [trunk, spare]}}}}
  - {{name: extensions, pattern: "7XX", to: {{peers: [pbx]}}}}
  - {{name: help, pattern: "112", to: {{peers: [trunk]}}}}
  - {{name: users, pattern: "*", to: users}}
fraud: {{mode: dry-run}}  # so many calls an hour by one person are odd, and not what is tested here
limits: {{register_min: 10s, ring: 5s, connections_per_source: 1000, {limits}}}
"""
DECK = "prefix,price,setup,minimum,increment\n49,0.60,0.10,1,1\n"
NUMBER = "0301234567"


@pytest.fixture(scope="module")
def gt():
    g = Gateway(config=CONFIG, ports="27000-27599", engines=2, limits="calls: 500")
    with open(os.path.join(g.state, "deck.csv"), "w") as f:
        f.write(DECK)
    for r in ROLES:
        g.user("u-" + r, md5=True, role=r)
    g.user("bob", md5=True)
    g.user("carol", md5=True)
    yield g.start()
    try:
        assert g.idle(), "calls are left at the end: %s" % g.ask("calls")
    finally:
        g.close()


class End(Ua):
    """A phone or trunk, with its other side."""
    def __init__(self, gt, ip, port, user):
        super().__init__(ip, port, PROXY if ip.startswith(P) else LAN, "udp", user, gt.passwords.get(user, ""))

    def takes(self, code=200, phrase="OK", timeout=4, extra=""):
        inv = self.expect("INVITE", timeout)
        self.inv, self.tag = inv, "t" + os.urandom(3).hex()
        self.reply(inv, code, phrase, self.tag, body=sdp(self.ip, 41000) if code < 300 and code >= 180 else "", extra=extra)
        if code >= 200:
            self.expect("ACK")
        return inv

    def hangs_up(self, of=None):
        inv = of or self.inv
        self.cseq += 500
        self.request("BYE", inv.uri("contact"), inv.get("from").split(";tag=")[0], inv.get("call-id"), self.tag, inv.tag("from"), from_=inv.get("to").split(";tag=")[0])
        return self.expect("200", skip=("100", "180"))

    def told_bye(self, timeout=5):
        m = self.expect("BYE", timeout, skip=("100", "180", "200"))
        self.reply(m, 200)
        return m


@pytest.fixture
def ends(gt):
    made = []

    def make(ip, port, user):
        made.append(End(gt, ip, port, user))
        return made[-1]
    yield make
    for e in made:
        e.close()


@pytest.fixture
def trunk(ends):
    return ends(L + "20", 5080, "trunk")


@pytest.fixture
def spare(ends):
    return ends(L + "21", 5080, "spare")


def phone(ends, user, last=20):
    return ends(P + str(last), 0, user)


def dial(u, number=NUMBER, body=None):
    c = Call(u, number, sdp(u.ip, 42000) if body is None else body)
    c.invite()
    return c


def talk(u, trunk, seconds=0.0, number=NUMBER):
    c = dial(u, number)
    try:
        trunk.takes()
    except AssertionError as e:
        raise AssertionError(f"{e}; the caller heard {u.recv(0.1)}")
    c.answered()
    time.sleep(seconds)
    return c


def over(c, other):
    c.within("BYE")
    other.told_bye()
    c.ua.expect("200")


def record(gt, c):
    found = wait_for(lambda: [x for x in gt.ask("cdr", "--last", "100")["cdrs"] if x["legs"] and x["legs"][0]["call_id"] == c.id], 5)
    return found[0]


def refused(gt, u, why, number=NUMBER):
    """403 before anything is asked of a trunk, and the record says why."""
    before = gt.reason(why)
    c = dial(u, number)
    m = u.expect("403")
    c.ack(m)
    assert record(gt, c)["reason"] == why
    assert wait_for(lambda: gt.reason(why) > before, 3)
    return c


# --- each cap by its name ---

def test_cap_of_calls(gt, ends, trunk):
    u = phone(ends, "u-one")
    c = talk(u, trunk)
    refused(gt, u, "fraud_calls")
    trunk.silence(0.3)
    over(c, trunk)
    over(talk(u, trunk), trunk)


def test_cap_of_attempts(gt, ends, trunk):
    u = phone(ends, "u-three")
    for _ in range(3):
        c = dial(u)
        trunk.takes(486, "Busy Here")
        c.ack(u.expect("486"))
    refused(gt, u, "fraud_attempts")
    trunk.silence(0.3)


def test_cap_of_minutes(gt, ends, trunk):
    """A minute a day: the slice that was reserved counts while the call is up; what was not used is given back."""
    u = phone(ends, "u-minute")
    c = talk(u, trunk, 1.2)
    refused(gt, u, "fraud_minutes")
    over(c, trunk)
    over(talk(u, trunk), trunk)


def test_cap_of_money(gt, ends, trunk):
    u = phone(ends, "u-poor")
    c = talk(u, trunk, 1.2)
    refused(gt, u, "fraud_money")
    over(c, trunk)
    r = record(gt, c)
    assert r["price_micro"] == 100000 + 10000 * r["seconds"] and r["currency"] == "EUR" and r["trunk"] == "trunk" and r["class"] == "local", r


def test_cap_of_one_call(gt, ends, trunk):
    refused(gt, phone(ends, "u-cheap"), "fraud_call_money")
    trunk.silence(0.3)


def test_cap_of_a_trunk_over_two_engines(gt, ends):
    """Calls at the same moment, on both engines, against one cap: never more than it lets through."""
    narrow = ends(L + "22", 5080, "narrow")
    u = [phone(ends, "u-mass", 30 + i) for i in range(30)]
    calls = [Call(x, "0309123", sdp(x.ip, 42000)) for x in u]

    def go(c):
        try:
            c.invite()
        except AssertionError as e:
            c.error = e
    threads = [threading.Thread(target=go, args=(c,)) for c in calls]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not [c.error for c in calls if hasattr(c, "error")]
    got = []
    while (m := narrow.recv(1.0)) is not None:
        if m.method == "INVITE" and not m.code:
            got.append(m)
            narrow.reply(m, 200, "OK", "n" + os.urandom(3).hex(), body=sdp(narrow.ip, 41000))
    ids = {m.get("call-id") for m in got}
    assert 1 <= len(ids) <= 5, len(ids)
    ok, no = [], 0
    for c in calls:
        while True:
            m = c.ua.recv(3)
            assert m, "no final answer"
            if m.code >= 200:
                break
        if m.code == 200:
            c.remote_tag, c.target, c.invite_cseq = m.tag("to"), m.uri("contact"), c.ua.cseq
            c.ack2xx()
            ok.append(c)
        else:
            assert m.code == 403
            c.ack(m)
            no += 1
    assert len(ok) == len(ids) and no == 30 - len(ok)
    engines = {(e or {}).get("engine", i) for i, e in enumerate(gt.ask("calls")["engines"]) if (e or {}).get("calls")}
    print("let through", len(ok), "of 5 on engines", engines)
    for c in ok:
        c.within("BYE")
    end = time.time() + 5
    byes = set()
    while len(byes) < len(ok) and time.time() < end:
        m = narrow.recv(0.5)
        if m is not None and m.method == "BYE" and not m.code:
            narrow.reply(m, 200)
            byes.add(m.get("call-id"))
    for c in ok:
        c.ua.expect("200")
    assert gt.idle()
    c = dial(u[0], "0309124")
    narrow.takes()
    c.answered()
    over(c, narrow)


def test_emergency_has_no_cap(gt, ends, trunk):
    u = phone(ends, "u-one")
    c = talk(u, trunk)
    h = dial(u, "112")
    inv = trunk.takes()
    h.answered()
    h.within("BYE")
    trunk.told_bye()
    u.expect("200")
    over(c, trunk)


def test_calls_within_cost_nothing(gt, ends, trunk):
    """Between users, and to extensions of the PBX: not counted, not priced."""
    u, bob = phone(ends, "u-one"), phone(ends, "bob", 21)
    bob.register()
    c = talk(u, trunk)
    d = dial(u, "bob")
    bob.takes()
    d.answered()
    over(d, bob)
    assert not record(gt, d).get("price_micro")
    over(c, trunk)


# --- released, however it ends ---

def free(gt, u, trunk):
    """The one call at once that u may have is there again."""
    over(talk(u, trunk), trunk)


def test_opensips_949_cancelled(gt, ends, trunk):
    u = phone(ends, "u-one")
    c = dial(u)
    inv = trunk.expect("INVITE")
    trunk.reply(inv, 180, "Ringing", "r1")
    u.expect("180")
    c.cancel()
    x = trunk.expect("CANCEL")
    trunk.reply(x, 200)
    trunk.reply(inv, 487, "X", "r1")
    c.ack(u.expect("487", skip=("100", "180", "200")))
    trunk.expect("ACK")
    free(gt, u, trunk)


def test_opensips_1897_answer_and_cancel_cross(gt, ends, trunk):
    u = phone(ends, "u-one")
    c = dial(u)
    inv = trunk.expect("INVITE")
    trunk.reply(inv, 180, "Ringing", "r1")
    u.expect("180")
    c.cancel()
    trunk.reply(inv, 200, "OK", "r1", body=sdp(trunk.ip, 41000))
    m = wait_for(lambda: next((x for x in (u.recv(0.2),) if x and x.code >= 200 and x.get("cseq").endswith("INVITE")), None), 5)
    assert m and m.code in (200, 487), m
    if m.code == 200:  # the answer was first: the call is up, and nobody wants it
        c.remote_tag, c.target, c.invite_cseq = m.tag("to"), m.uri("contact"), u.cseq
        c.ack2xx()
        trunk.expect("ACK")
        over(c, trunk)
    else:
        c.ack(m)
        trunk.reply(trunk.expect("CANCEL"), 200)
        trunk.expect("ACK")
        trunk.told_bye()
    free(gt, u, trunk)


@pytest.mark.parametrize("code", [404, 486, 500, 603])
def test_refused_outside(gt, ends, trunk, spare, code):
    u = phone(ends, "u-one")
    c = dial(u)
    trunk.takes(code, "X")
    m = None
    while m is None or m.code < 200:
        m = u.recv(4) or pytest.fail("no final answer")
        if not m.code or m.code < 200:
            s = spare.recv(0.2)
            if s is not None and s.method == "INVITE":
                spare.reply(s, code, "X", "s1")
    c.ack(m)
    while spare.recv(0.2) is not None:
        pass
    free(gt, u, trunk)


def test_nobody_answers(gt, ends, trunk):
    u = phone(ends, "u-one")
    c = dial(u)
    inv = trunk.expect("INVITE")
    trunk.reply(inv, 180, "Ringing", "r1")
    c.ack(u.expect("480", 12, skip=("100", "180")))
    x = trunk.expect("CANCEL")
    trunk.reply(x, 200)
    trunk.reply(inv, 487, "X", "r1")
    free(gt, u, trunk)


def test_opensips_3411_failover(gt, ends, spare):
    """The first trunk fails, the second takes it: one attempt and one call at once, and none is left of either."""
    u, weak = phone(ends, "u-one"), ends(L + "23", 5080, "weak")
    c = dial(u, "0308123")
    weak.takes(503, "Service Unavailable")
    spare.takes()
    c.answered()
    refused(gt, u, "fraud_calls")
    over(c, spare)
    assert record(gt, c)["trunk"] == "spare"
    c = dial(u, "0308123")
    spare.takes(timeout=6)  # the other engine learns of it only now: by four seconds of silence
    c.answered()
    over(c, spare)


def test_redirected(gt, ends, trunk):
    """302 of a user to the outside: it is his call, not that of who called him."""
    u, one = phone(ends, "carol"), phone(ends, "u-one", 22)
    one.register()
    c = dial(u, "u-one")
    inv = one.expect("INVITE")
    one.reply(inv, 302, "Moved", "m1", extra=f"Contact: <sip:{NUMBER}@example.com>\r\n", contact=False)
    one.expect("ACK")
    trunk.takes()
    c.answered()
    refused(gt, one, "fraud_calls")
    over(c, trunk)
    r = record(gt, c)
    assert r["transferred_by"] == "u-one@example.com" and r["price_micro"] > 0, r
    one.register(expires=0)
    free(gt, one, trunk)


def test_hang_up_by_the_trunk(gt, ends, trunk):
    u = phone(ends, "u-one")
    c = talk(u, trunk)
    trunk.hangs_up()
    u.told_bye()
    free(gt, u, trunk)


def answers_offers(ua, seconds=2.0):
    """re-INVITEs of a transfer are answered; NOTIFYs too; what else came."""
    end, got = time.time() + seconds, []
    while time.time() < end:
        m = ua.recv(0.3)
        if m is None:
            continue
        if m.method == "INVITE" and not m.code:
            ua.reply(m, 200, "OK", getattr(ua, "tag", None), body=sdp(ua.ip, 41000))
        elif not m.code and m.method in ("NOTIFY", "BYE"):
            ua.reply(m, 200)
            got.append(m.method)
    return got


def test_opensips_2079_blind_transfer(gt, ends, trunk):
    """Who transfers the outside call pays on, after he has gone; until whom he gave it to hangs up."""
    u, bob = phone(ends, "u-one"), phone(ends, "bob", 21)
    bob.register()
    c = talk(u, trunk)
    c.within("REFER", extra="Refer-To: <sip:bob@example.com>\r\n")
    u.expect("202")
    bob.takes()
    t = threading.Thread(target=answers_offers, args=(trunk,))
    t.start()
    assert "NOTIFY" in answers_offers(u)
    t.join()
    refused(gt, u, "fraud_calls")
    bob.hangs_up()
    trunk.told_bye()
    free(gt, u, trunk)


def test_blind_transfer_to_the_outside(gt, ends, trunk):
    """An inside call is transferred outside: it costs who transferred it."""
    u, bob = phone(ends, "u-one"), phone(ends, "bob", 21)
    u.register(), bob.register()
    c = dial(u, "bob")
    bob.takes()
    c.answered()
    c.within("REFER", extra=f"Refer-To: <sip:{NUMBER}@example.com>\r\n")
    u.expect("202")
    trunk.takes()
    t = threading.Thread(target=answers_offers, args=(bob,))
    t.start()
    answers_offers(u)
    t.join()
    refused(gt, u, "fraud_calls")
    trunk.hangs_up()
    bob.told_bye()
    u.register(expires=0)
    free(gt, u, trunk)


# --- the cut ---

def test_cut_to_the_second_with_a_tone_before(gt, ends, trunk):
    u = phone(ends, "u-short")
    a, b = Rtp(u.ip), Rtp(trunk.ip)
    c = Call(u, NUMBER, sdp(u.ip, a.port))
    c.invite()
    inv = trunk.expect("INVITE")
    trunk.tag = "cut1"
    trunk.reply(inv, 200, "OK", trunk.tag, body=sdp(trunk.ip, b.port))
    up = time.time()
    ok = c.answered()
    trunk.expect("ACK")
    to_a, to_b = where(ok.body), where(inv.body)
    heard, n, bye = [], 0, None
    a.send(to_a, packet(1))
    while time.time() - up < 29 and bye is None:
        n += 1
        b.send(to_b, packet(n))
        if n % 3 == 0:
            a.send(to_a, packet(n + 1))
        p = a.recv(0.018)
        if p is not None and p[12:] != b"\xd5" * 160:
            heard.append(time.time() - up)
        if n % 10 == 0:
            bye = u.recv(0.001)
    end = time.time() - up
    assert bye is not None and bye.method == "BYE" and "Q.850;cause=" in bye.get("reason"), bye
    u.reply(bye, 200)
    trunk.told_bye()
    assert 25.4 <= end <= 26.4, end
    assert [t for t in heard if 5.5 < t < 8] and [t for t in heard if 20.5 < t < 23], heard
    assert not [t for t in heard if 9 < t < 20], heard
    r = record(gt, c)
    assert r["reason"] == "fraud_cut" and r["seconds"] == 26, r
    a.close(), b.close()


def test_cut_by_money(gt, ends, trunk):
    """0.30 a day at 0.10 and 0.01 a second: 20 seconds, and nothing after that."""
    u = phone(ends, "u-cut")
    c = talk(u, trunk)
    up = time.time()
    u.told_bye(24)
    assert 19 < time.time() - up < 20.5
    trunk.told_bye()
    assert record(gt, c)["price_micro"] == 300000
    refused(gt, u, "fraud_money")


# --- programs that die ---

def test_killed_engine_leaves_nothing_up(gt, ends, trunk):
    """kill -9 in the midst of calls: the cap of calls at once is free again, what was reserved is spent."""
    u = phone(ends, "u-one")
    c = talk(u, trunk, 0.5)
    before = gt.pids()
    for name, pid in before.items():
        if name.startswith("engine"):
            os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: all(gt.pids().get(n) not in (None, p) for n, p in before.items() if n.startswith("engine")), 10)
    time.sleep(1)
    trunk.silence(0.2)
    free(gt, u, trunk)


def test_opensips_2712_restart_of_everything(gt, ends, trunk):
    """What was spent today stays spent."""
    u = phone(ends, "u-cut")
    refused(gt, u, "fraud_money")
    gt.stop()
    gt.start()
    refused(gt, u, "fraud_money")
    trunk.silence(0.2)
