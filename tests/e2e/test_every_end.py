"""Every way that a call can end: one record and no more, nothing held in the ledger afterwards, and the price with who caused it."""
import os, signal, threading, time
import pytest
import test_money
from gateway import Gateway, wait_for
from test_money import DECK, End, L, NUMBER, P, answers_offers, ends, over, phone, talk
from test_second_factor import Talk
from ua import Call, sdp

SINKS = {"bob": "user", "ann": "user", "one": "one", "two": "one", "cheap": "cheap", "new": "careful", "code": "code", "old": "user"}
CONFIG = test_money.CONFIG.replace("\nroutes:\n", """
  - {{name: careful, outbound: yes, second_factor: yes}}
  - {{name: code, outbound: yes, dial: [internal], step_up: [local]}}
routes:
""", 1).replace("limits:", 'second_factor: {{service_number: "*77"}}\nguard: {{kernel: none}}\nlimits:', 1)
IDS = {}


@pytest.fixture(scope="module")
def gt():
    g = Gateway(config=CONFIG, ports="28100-28399", engines=1, limits="calls: 500")
    with open(os.path.join(g.state, "deck.csv"), "w") as f:
        f.write(DECK)
    for name, role in SINKS.items():
        g.user(name, md5=True, role=role)
    g.ask("otp", "enrol", "code")
    yield g.start()
    try:
        assert g.idle(), "calls are left at the end: %s" % g.ask("calls")
    finally:
        g.close()


class Net:
    """Phones and trunks of one test."""
    def __init__(self, gt, ends):
        self.g, self.ends, self.have = gt, ends, {}
        self.trunk, self.spare, self.weak = ends(L + "20", 5080, "trunk"), ends(L + "21", 5080, "spare"), ends(L + "23", 5080, "weak")

    def phone(self, name):
        if name not in self.have:
            self.have[name] = self.ends(P + str(40 + len(self.have)), 0, name)
        return self.have[name]

    def dial(self, name, number=NUMBER, body=None):
        return test_money.dial(self.phone(name), number, body)

    def final(self, c, seconds=6):
        m = wait_for(lambda: next((x for x in (c.ua.recv(0.2),) if x and x.code >= 200), None), seconds)
        assert m, "no final answer"
        c.ack(m)
        return m


@pytest.fixture
def net(gt, ends):
    return Net(gt, ends)


def held(g, name=None):
    """Calls that the ledger has of somebody, or of all."""
    d = g.ask("fraud", "caps", *([name + "@example.com"] if name else []))["engines"][0]
    return d["identity" if name else "system"]


# --- each gives the call, who caused it, and what its record says ---

def hung_up_here(n):
    c = talk(n.phone("one"), n.trunk, 0.3)
    over(c, n.trunk)
    return c, dict(ended_by="caller", code=200, price_micro=110000)


def hung_up_there(n):
    c = talk(n.phone("one"), n.trunk, 0.3)
    n.trunk.hangs_up()
    c.ua.told_bye()
    return c, dict(ended_by="callee", price_micro=110000)


def busy(n):
    c = n.dial("one")
    n.trunk.takes(486, "Busy Here")
    n.final(c)
    return c, dict(code=486, reason="peer_refused", price_micro=0)


def cancelled(n):
    c = n.dial("one")
    inv = n.trunk.expect("INVITE")
    n.trunk.reply(inv, 180, "Ringing", "r1")
    c.ua.expect("180")
    c.cancel()
    n.trunk.reply(n.trunk.expect("CANCEL"), 200)
    n.trunk.reply(inv, 487, "X", "r1")
    c.ack(c.ua.expect("487", skip=("100", "180", "200")))
    return c, dict(code=487, reason="call_cancelled", ended_by="caller", price_micro=0)


def nobody_answers(n):
    c = n.dial("one")
    inv = n.trunk.expect("INVITE")
    n.trunk.reply(inv, 180, "Ringing", "r1")
    n.final(c)
    n.trunk.reply(n.trunk.expect("CANCEL"), 200)
    n.trunk.reply(inv, 487, "X", "r1")
    return c, dict(code=480, reason="call_no_answer", price_micro=0)


def redirected_by_a_trunk(n):
    c = n.dial("one")
    n.trunk.takes(302, "Moved", extra="Contact: <sip:0301111111@example.com>\r\n")
    n.final(c)
    return c, dict(code=480, reason="peer_redirect", price_micro=0)


def redirected_by_a_phone(n):
    one = n.phone("one")
    one.register()
    c = n.dial("ann", "one")
    inv = one.expect("INVITE")
    one.reply(inv, 302, "Moved", "m1", extra=f"Contact: <sip:{NUMBER}@example.com>\r\n", contact=False)
    one.expect("ACK")
    n.trunk.takes()
    c.answered()
    over(c, n.trunk)
    one.register(expires=0)
    return c, dict(user="ann@example.com", transferred_by="one@example.com", price_micro=110000)


def by_the_second_trunk(n):
    c = n.dial("one", "0308123")
    n.weak.takes(503, "Service Unavailable")
    n.spare.takes()
    c.answered()
    over(c, n.spare)
    return c, dict(trunk="spare", price_micro=110000)


def transferred(n):
    """Blind: who sent him there has left, and pays."""
    one, bob = n.phone("one"), n.phone("bob")
    bob.register()
    c = talk(one, n.trunk)
    c.within("REFER", extra="Refer-To: <sip:bob@example.com>\r\n")
    one.expect("202")
    bob.takes()
    t = threading.Thread(target=answers_offers, args=(n.trunk, 1.0))
    t.start()
    answers_offers(one, 1.0)
    t.join()
    assert held(n.g, "one")["calls"] == 1
    bob.hangs_up()
    n.trunk.told_bye()
    bob.register(expires=0)
    return c, dict(user="one@example.com")


def refused_by_identity(n):
    c = n.dial("new", "bob")
    n.final(c)
    return c, dict(code=403, reason="right_quarantine", price_micro=0)


def refused_by_right(n):
    c = n.dial("one", "09001234567")
    n.final(c)
    return c, dict(code=403, reason="right_class", price_micro=0)


def refused_by_fraud(n):
    c = n.dial("cheap")
    n.final(c)
    return c, dict(code=403, reason="fraud_call_money", price_micro=0)


def refused_by_capacity(n):
    assert n.g.run("drain", "--state", n.g.state).returncode == 0
    c = n.dial("one")
    n.final(c)
    assert n.g.run("drain", "--off", "--state", n.g.state).returncode == 0
    return c, dict(code=503, reason="draining", price_micro=0)


def refused_by_route(n):
    c = n.dial("one", "nobody")
    n.final(c)
    return c, dict(code=404, reason="route_user_unknown", price_micro=0)


def refused_media(n):
    c = n.dial("one", body=sdp("127.0.91.40", 0))
    n.final(c)
    return c, dict(code=488, reason="media_not_acceptable", price_micro=0)


def gives_no_code(n):
    u = n.phone("code")
    talk = Talk(u.ip)
    c = Call(u, "*77", talk.body())
    c.invite()
    talk.start(c.answered())
    c.bye()
    talk.close()
    return c, dict(ended_by="caller", price_micro=0)


def drained_while_it_runs(n):
    """Calls that are up go on, and are paid for, until somebody hangs up."""
    c = talk(n.phone("one"), n.trunk)
    assert n.g.run("drain", "--state", n.g.state).returncode == 0
    assert held(n.g, "one")["calls"] == 1 and n.g.status()["state"] == "draining"
    over(c, n.trunk)
    assert wait_for(lambda: n.g.status()["state"] == "drained", 5) and held(n.g, "one")["calls"] == 0
    assert n.g.run("drain", "--off", "--state", n.g.state).returncode == 0
    return c, dict(ended_by="caller", price_micro=110000)


def kicked(n):
    c = talk(n.phone("two"), n.trunk)
    r = n.g.run("bans", "add", "two@example.com", "--for", "10s", "--treat", "kick", "--why", "a test", "--state", n.g.state)
    assert r.returncode == 0, r.stderr
    n.trunk.told_bye()
    c.ua.told_bye()
    return c, dict(reason="shield_kicked", ended_by="gateway", price_micro=110000)


def its_engine_is_killed(n):
    c = talk(n.phone("one"), n.trunk, 0.3)
    before = n.g.pids()
    for name, pid in before.items():
        if name.startswith("engine"):
            os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: all(n.g.pids().get(x) not in (None, p) for x, p in before.items() if x.startswith("engine")), 10)
    assert wait_for(lambda: n.g.status()["state"] == "running", 5)
    return c, dict(aborted=True)


WAYS = [hung_up_here, hung_up_there, busy, cancelled, nobody_answers, redirected_by_a_trunk, redirected_by_a_phone, by_the_second_trunk, transferred,
        refused_by_identity, refused_by_right, refused_by_fraud, refused_by_capacity, refused_by_route, refused_media, gives_no_code, drained_while_it_runs,
        kicked, its_engine_is_killed]


@pytest.mark.parametrize("way", WAYS, ids=lambda w: w.__name__)
def test_end(gt, net, way):
    c, says = way(net)
    IDS[c.id] = way.__name__
    r = gt.cdr(c.id)
    assert {k: r[k] or 0 if k == "price_micro" else r[k] for k in says} == says, r
    assert wait_for(lambda: held(gt)["calls"] == 0, 3), held(gt)
    u = says.get("transferred_by", c.ua.user + "@example.com")
    assert held(gt, u.split("@")[0])["calls"] == 0


def test_a_user_is_found_without_his_domain(gt):
    one, other = (gt.ask("fraud", "caps", x)["engines"][0] for x in ("ann", "ann@example.com"))
    assert one["identity"] == other["identity"] and one["name"] == "ann"


def test_attended_transfer_of_two_that_cost(gt, net):
    """ann joins two outside calls by REFER with Replaces and goes: she pays for both until they end, once for each second."""
    ann, far, other = net.phone("ann"), net.trunk, net.weak
    before, began = held(gt, "ann")["day"]["micro"], int(time.time() * 1000000)
    one = talk(ann, far)
    two = Call(ann, "0308123", sdp(ann.ip, 42002))
    two.invite()
    other.takes()
    two.answered()
    assert held(gt, "ann")["calls"] == 2
    rep = f"{two.id};to-tag={two.remote_tag};from-tag={two.tag}".replace(";", "%3B").replace("=", "%3D").replace("@", "%40")
    one.within("REFER", extra=f"Refer-To: <sip:0308123@example.com?Replaces={rep}>\r\n")
    ann.expect("202", skip=("100", "180", "200"))
    ts = [threading.Thread(target=answers_offers, args=(x, 1.5)) for x in (far, other)]
    [t.start() for t in ts]
    assert "NOTIFY" in answers_offers(ann, 1.5)
    [t.join() for t in ts]
    assert held(gt, "ann")["calls"] == 2, held(gt, "ann")
    assert len([c for e in gt.ask("calls")["engines"] for c in e["calls"]]) == 1
    far.hangs_up()
    other.told_bye()
    assert gt.idle() and wait_for(lambda: held(gt, "ann")["calls"] == 0, 3)
    rs = [x for x in gt.ask("cdr", "--last", "9")["cdrs"] if x["start_us"] >= began]
    spent = held(gt, "ann")["day"]["micro"] - before
    assert gt.cdr(one.id)["reason"] == "call_transferred" and len(rs) == 2, rs  # of two calls, the second is the one that goes on
    assert [r["user"] == "ann@example.com" or r["transferred_by"] == "ann@example.com" for r in rs] == [True, True], rs
    assert sum(r["price_micro"] or 0 for r in rs) == spent, (spent, rs)
    assert 2 * 100000 + 2 * 20000 <= spent <= 2 * 100000 + 2 * 40000, spent


def test_old_password_and_a_call_for_help(gt, net):
    """Who must change it first may call for help, and nobody else: refused by name."""
    assert gt.run("user", "set", "old", "--must-change", "yes", "--state", gt.state).returncode == 0
    time.sleep(0.3)
    before = gt.reason("right_password_old")
    for number in (NUMBER, "bob"):
        c = net.dial("old", number)
        assert net.final(c).code == 403
        assert gt.cdr(c.id)["reason"] == "right_password_old"
    net.trunk.silence(0.2)
    assert gt.reason("right_password_old") == before + 2
    h = net.dial("old", "112")
    net.trunk.takes()
    h.answered()
    over(h, net.trunk)
    r = gt.cdr(h.id)
    assert r["user"] == "old@example.com" and r["code"] == 200, r


def test_nobody_leaves_no_record(gt, net):
    """A wrong password is a verdict in the log, not a record."""
    u = net.phone("bob")
    u.password = "wrong"
    c = net.dial("bob")
    assert net.final(c).code == 403
    time.sleep(1)
    assert gt.ask("cdr", "--call-id", c.id)["cdrs"] == []


def test_still_one_record_each(gt):
    assert len(IDS) == len(WAYS) or len(IDS) > 0
    for i, way in IDS.items():
        assert len(gt.ask("cdr", "--call-id", i)["cdrs"]) == 1, way
