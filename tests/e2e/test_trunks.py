"""Calls to and from trunks: whose number is shown, which trunk is tried first and after what the next, who is asked before, and whose a number is."""
import datetime, json, os, select, time
from zoneinfo import ZoneInfo
import pytest
from gateway import Gateway, wait_for
from office import office
from ua import Call, Ua, sdp

GW, LAN, PHONE, NET = "127.0.81.1", "127.0.82.1", "127.0.81.20", "127.0.82."
CONFIG = office("127.0.81", "127.0.82", """
sites:
  - {{name: berlin, country: DE, area: "30", international: "00", national: "0"}}
peers:
  - {{name: dear, kind: trunk, zone: lan, listener: lan, address: "127.0.82.10:5070"}}
  - {{name: cheap, kind: trunk, zone: lan, listener: lan, address: "127.0.82.11:5070"}}
  - {{name: backup, kind: trunk, zone: lan, listener: lan, address: "127.0.82.12:5070", priority: 9}}
  - {{name: pbx, kind: pbx, zone: lan, listener: lan, address: "127.0.82.13:5070", trust_identity: yes, callers: ["+4930777XX", "+493012345"]}}
  - {{name: judge, kind: pbx, zone: lan, listener: lan, address: "127.0.82.14:5070"}}
roles:
  - {{name: user, outbound: yes, dial: [internal, emergency, local, national, mobile, international], countries: all, step_up: none, caps: {{calls: 20}}}}
  - {{name: strict, outbound: yes, dial: [internal, local, national], caller: strict, caps: {{calls: 20}}}}
routes:
  - {{name: in, from: {{peer: dear}}, pattern: "*", to: users}}
  - {{name: out, pattern: "0.", to: {{peers: [dear, cheap, backup]}}}}
  - {{name: plus, pattern: "+.", to: {{peers: [dear, cheap, backup]}}}}
  - {{name: users, pattern: "*", to: users}}
EXTRA
""")
BERLIN = '{{name: berlin, country: DE, area: "30", international: "00", national: "0"'
CONSULT = "consult: {{peer: judge, wait: 500ms, fails: %s}}"


@pytest.fixture
def own():
    made = []

    def make(extra="", config=CONFIG):
        g = Gateway(config=config.replace("EXTRA", extra), engines=1, ports="27800-27999", limits="calls: 100")
        made.append(g)
        for user, args in (("alice", ("--number", "+493055501", "--number", "+493055502")), ("bob", ()), ("carol", ("--role", "strict", "--number", "+493055503"))):
            r = g.run("user", "add", user, "--json", "--state", g.state, *args)
            assert r.returncode == 0, r.stdout + r.stderr
            g.passwords[user] = json.loads(r.stdout)["password"]
        return g.start()
    yield make
    for g in made:
        g.close()


@pytest.fixture
def net():
    """The trunks, the PBX and the judge, by name."""
    v = {n: Ua(NET + a, 5070, (LAN, 5060), "udp", n) for n, a in (("dear", "10"), ("cheap", "11"), ("backup", "12"), ("pbx", "13"), ("judge", "14"))}
    yield v
    for u in v.values():
        u.close()


def phone(g, user):
    return Ua(PHONE, 0, (GW, 5060), "udp", user, g.passwords.get(user, ""))


def who_rings(net, timeout=2.0):
    """(name, INVITE) of the peer that is called next; what else comes is passed over."""
    end = time.time() + timeout
    while time.time() < end:
        ready = select.select([u.s for u in net.values()], [], [], max(end - time.time(), 0))[0]
        for n, u in net.items():
            if u.s in ready and (m := u.recv(0.1)) and not m.code and m.method == "INVITE":
                return n, m
    return None, None


def busy(net, name, inv, code=486, reason="Busy Here", extra=""):
    net[name].reply(inv, code, reason, "t" + os.urandom(2).hex(), extra=extra)
    net[name].expect("ACK", skip=("100",))


def shown(inv):
    return inv.get("from").split("<")[1].split(">")[0].split("@")[0], (inv.get("p-asserted-identity") or "").split("@")[0].split("<")[-1]


def dial(u, number, extra=""):
    c = Call(u, number, sdp(PHONE, 42000), extra=extra)
    c.invite()
    return c


def test_only_own_numbers_are_shown(own, net):
    g = own()
    a, b, c = phone(g, "alice"), phone(g, "bob"), phone(g, "carol")
    for extra, want in (("", "+493055501"), ("P-Preferred-Identity: <sip:+493055502@example.com>\r\n", "+493055502"),
                        ("P-Preferred-Identity: <sip:03055502@example.com>\r\n", "+493055502"),
                        ("P-Preferred-Identity: <sip:+4930999@example.com>\r\n", "+493055501")):
        dial(a, "03012345678", extra)
        name, inv = who_rings(net)
        assert name and shown(inv)[0] == "sip:" + want, (extra, inv and inv.get("from"))
        busy(net, name, inv)
        a.expect("486")
    assert g.reason("right_caller") == 1, "a number that is not his was replaced, and it is told"
    x = wait_for(lambda: [r for r in g.ask("cdr", "--last", "9")["cdrs"] if r.get("shown")], 5)
    assert x and x[0]["shown"] == "+493055501"
    dial(c, "03012345678", "P-Preferred-Identity: <sip:+493055501@example.com>\r\n")
    c.expect("403")
    assert not who_rings(net, 0.3)[0], "strict: refused"
    dial(b, "03012345678", "P-Preferred-Identity: <sip:+493055501@example.com>\r\n")
    b.expect("403")
    assert not who_rings(net, 0.3)[0], "who has none shows none that is another's"


def test_a_pbx_shows_what_it_was_granted(own, net):
    g = own()
    p = net["pbx"]
    for claim, want in (("+493077712", "+493077712"), ("+4930999", "+493012345")):
        c = Call(p, "03012345678", sdp(NET + "13", 42000), extra=f"P-Asserted-Identity: <sip:{claim}@example.com>\r\n")
        c.invite(auth=False)
        name, inv = who_rings({k: v for k, v in net.items() if k != "pbx"})
        assert name and shown(inv)[0] == "sip:" + want, inv and inv.get("from")
        busy(net, name, inv)
        p.expect("486")


def test_order_and_failover(own, net):
    g = own()
    a = phone(g, "alice")
    dial(a, "03012345678")
    tried = []
    for code, reason, extra in ((503, "Service Unavailable", ""), (480, "Temporarily Unavailable", "Reason: Q.850;cause=34\r\n")):
        name, inv = who_rings(net)
        tried.append(name)
        busy(net, name, inv, code, reason, extra)
    name, inv = who_rings(net)
    tried.append(name)
    assert tried == ["dear", "cheap", "backup"], tried
    busy(net, name, inv)
    a.expect("486")
    dial(a, "03012345678")
    name, inv = who_rings(net)
    busy(net, name, inv, 486)
    a.expect("486")
    assert not who_rings(net, 0.4)[0], "busy is an answer about who is called, and no other trunk is tried"


def by_time(closed_today):
    """Open around the clock, with a rule of its own for that; closed on three days around today, so that no midnight falls into a test."""
    day = datetime.datetime.now(ZoneInfo("Europe/Berlin")).date()
    days = ", ".join(str(day + datetime.timedelta(n)) for n in (-1, 0, 1))
    hours = ', timezone: Europe/Berlin, hours: ["mon-sun 00:00-24:00"]' + (f", holidays: [{days}]" if closed_today else "")
    assert BERLIN in CONFIG
    return CONFIG.replace(BERLIN, BERLIN + hours).replace(
        "  - {{name: out, ", """  - {{name: day, pattern: "0.", when: {{site: berlin, hours: open}}, to: {{peers: [cheap]}}}}
  - {{name: night, pattern: "0.", when: {{site: berlin, hours: closed}}, to: {{peers: [backup]}}}}
  - {{name: out, """)


OTHERS = ("in", "from", None)  # the rule for what comes by a trunk


def test_a_rule_holds_by_the_hour(own, net):
    g = own(config=by_time(False))
    a = phone(g, "alice")

    def goes_to():
        dial(a, "03012345678")
        name, inv = who_rings(net)
        busy(net, name, inv)
        a.expect("486")
        return name

    def decides(at=None):
        r = g.run("explain", "--as", "alice", "--to", "03012345678", *(["--at", at] if at else []), "--config", g.config, "--state", g.state, "--json")
        assert r.returncode == 0, r.stdout + r.stderr
        d = json.loads(r.stdout)
        return d["route"]["name"], d["route"].get("when"), [(x["name"], x["why"], x.get("wants")) for x in d["passed_over"]]
    assert goes_to() == "cheap" and decides() == ("day", "open", [OTHERS])
    g.write(by_time(True).replace("EXTRA", ""))
    r = g.run("reload", "--state", g.state)
    assert r.returncode == 0, r.stdout + r.stderr
    assert goes_to() == "backup"
    assert decides() == ("night", "closed", [OTHERS, ("day", "when", "open")])
    later = (datetime.datetime.now() + datetime.timedelta(5)).strftime("%Y-%m-%d %H:%M")
    assert decides(later) == ("day", "open", [OTHERS]), "another day is open"
    r = g.run("explain", "--as", "alice", "--to", "03012345678", "--config", g.config, "--state", g.state)
    assert "while berlin is closed" in r.stdout and "day: only while berlin is open" in r.stdout, r.stdout
    bad = by_time(True).replace("EXTRA", "").replace("hours: closed", "hours: shut")
    g.write(bad)
    r = g.run("reload", "--state", g.state)
    line = next(n for n, text in enumerate(bad.split("\n"), 1) if "hours: shut" in text)
    assert r.returncode and f":{line}:" in r.stdout + r.stderr and "one of: open, closed" in r.stdout + r.stderr, r.stdout + r.stderr
    assert goes_to() == "backup", "the old rules stay"


def test_a_number_reaches_its_user(own, net):
    g = own()
    a = phone(g, "alice")
    a.register(600)
    d = net["dear"]
    for number in ("+493055502", "03055501", "004930555 01".replace(" ", "")):
        c = Call(d, number, sdp(NET + "10", 42000))
        c.invite(auth=False)
        inv = a.recv(3)
        assert inv and inv.method == "INVITE", (number, d.recv(0.5), d.recv(0.5))
        a.reply(inv, 486, "Busy Here", "x")
        a.expect("ACK")
        d.expect("486")
    c = Call(d, "+493055599", sdp(NET + "10", 42000))
    c.invite(auth=False)
    d.expect("4xx")


@pytest.mark.parametrize("fails", ["refuse", "pass"])
def test_a_third_party_is_asked(own, net, fails):
    g = own(CONSULT % fails)
    a = phone(g, "alice")
    trunks = {k: v for k, v in net.items() if k not in ("judge", "pbx")}

    def asked(code, reason, extra=""):
        dial(a, "03012345678")
        q = net["judge"].expect("INVITE")
        assert "03012345678@" in q.start
        if code:
            busy(net, "judge", q, code, reason, extra)
    asked(302, "Moved Temporarily", "Contact: <sip:03012345678@127.0.82.10>\r\n")
    name, inv = who_rings(trunks)
    assert name == "dear"
    busy(net, name, inv)
    a.expect("486")
    asked(603, "Decline")
    a.expect("403")
    assert not who_rings(trunks, 0.3)[0] and g.reason("fraud_asked") == 1
    t = time.time()
    asked(0, "")
    if fails == "pass":
        name, inv = who_rings(trunks)
        assert name and 0.3 < time.time() - t < 1.5
        busy(net, name, inv)
        a.expect("486")
    else:
        a.expect("403")
        assert time.time() - t < 1.5 and not who_rings(trunks, 0.3)[0]
    assert wait_for(lambda: g.reason("consult_failed") == 1, 3)
