"""Rights: every class of number and every refusal by name through real SIP at a trunk and a PBX, and what `explain` says of other times."""
import json, os, subprocess
import pytest
from gateway import Gateway, wait_for
from test_transfer import Party
from ua import Ask, Call

P, L = "127.0.93.", "127.0.94."
PROXY, LAN = (P + "1", 5060), (L + "1", 5060)
CAPLESS = "caps: {{calls: 0, attempts: 0, call_money: 0, money: {{hour: 0, day: 0, month: 0}}}}"
FREE = "step_up: none, " + CAPLESS  # first calls to a country: test_countries.py
EVERY = "internal, emergency, local, national, mobile, toll-free, international, shared-cost, premium, satellite, unknown"
CLASSES = [c for c in EVERY.split(", ") if c != "emergency"]

CONFIG = """
domains: [example.com]
state: {state}
engines: {engines}
media: {{ports: {ports}}}
listeners:
  - {{name: udp, transport: udp, address: "127.0.93.1:5060"}}
  - {{name: lan, transport: udp, address: "127.0.94.1:5060"}}
zones:
  - {{name: phones, listeners: [udp], sources: [127.0.93.0/24], media: rtp, nat: yes, registration: yes, services: [transfer, message], redirect: follow, rate_per_source: 5000}}
  - {{name: lan, listeners: [lan], sources: [127.0.94.0/24], media: rtp, authenticate: no, rate_per_source: 5000}}
waivers:
  - {{name: a, zone: phones, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test", expires: 2099-01-01}}
  - {{name: b, zone: lan, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test", expires: 2099-01-01}}
sites:
  - {{name: berlin, country: DE, area: "30", timezone: Europe/Berlin, hours: ["mon-fri 08:00-18:00"], holidays: [2027-01-01]}}
  - {{name: york, country: US, area: "212", outside: "9", timezone: America/New_York}}
peers:
  - {{name: trunk, kind: trunk, zone: lan, listener: lan, address: "127.0.94.20:5080"}}
  - {{name: pbx, kind: pbx, zone: lan, listener: lan, address: "127.0.94.10:5070", trust_identity: yes}}
roles:
  - {{name: user, outbound: yes}}
  - {{name: inside, outbound: no}}
""" + "".join(f"  - {{{{name: {c}, outbound: yes, dial: [{c}], {'countries: all, ' if c == 'international' else ''}{FREE}}}}}\n" for c in CLASSES) + f"""
  - {{{{name: all, outbound: yes, dial: [{EVERY}], countries: all, features: [transfer-out, forward-out, anonymous], {FREE}}}}}
  - {{{{name: austria, outbound: yes, dial: [national, international, premium], countries: [AT], {FREE}}}}}
  - {{{{name: day, outbound: yes, dial: [local, mobile], off_hours: [local], {FREE}}}}}
  - {{{{name: careful, outbound: yes, dial: [local], step_up: [mobile], {CAPLESS}}}}}
""" + """
routes:
  - {{name: barred, from: {{zone: phones}}, pattern: "0305550.", to: refuse}}
  - {{name: help, pattern: "112", to: {{peers: [trunk]}}}}
  - {{name: police, pattern: "110", to: {{peers: [trunk]}}}}
  - {{name: extensions, from: {{zone: phones}}, pattern: "7XXX", to: {{peers: [pbx]}}}}
  - {{name: by-pbx, from: {{zone: phones}}, pattern: "77X.", strip: 2, to: {{peers: [pbx]}}}}
  - {{name: york, from: {{zone: phones}}, pattern: "9X.", strip: 1, to: {{peers: [trunk]}}}}
  - {{name: out, from: {{zone: phones}}, pattern: "0X.", to: {{peers: [trunk]}}}}
  - {{name: plus, from: {{zone: phones}}, pattern: "+X.", to: {{peers: [trunk]}}}}
  - {{name: users, from: {{zone: phones}}, pattern: "*", to: users}}
  - {{name: incoming, from: {{peer: trunk}}, pattern: "*", to: users}}
fraud: {{mode: dry-run}}  # behaviour is not what is tested here
limits: {{register_min: 10s, ring: 5s, connections_per_source: 1000, {limits}}}
"""
NUMBERS = {"local": "0301234567", "national": "089123456", "mobile": "015123456789", "toll-free": "08001234567", "international": "004315808",
           "shared-cost": "018012345", "premium": "09001234567", "satellite": "008821234567", "unknown": "00210123456", "internal": "7123"}


@pytest.fixture(scope="module")
def gr():
    g = Gateway(config=CONFIG, ports="24300-24499", engines=1)
    for role in ["user", "inside", "all", "plain", "austria", "day", "careful"] + CLASSES:
        r = g.run("user", "add", "u" + role.replace("-", ""), "--state", g.state, "--role", "user" if role == "plain" else role, "--password-stdin", stdin=f"Test-{role}-7h3k2q9z\n")
        assert r.returncode == 0, r.stderr
        g.passwords[role] = f"Test-{role}-7h3k2q9z"
    r = g.run("user", "add", "fresh", "--state", g.state, "--password-stdin", stdin="Test-fresh-7h3k2q9z\n")  # of role user, with no attempts so far
    assert r.returncode == 0, r.stderr
    for name in ("yorker", "yall"):
        r = g.run("user", "add", name, "--state", g.state, "--role", "user" if name == "yorker" else "all", "--site", "york", "--password-stdin", stdin=f"Test-{name}-7h3k2q9z\n")
        assert r.returncode == 0, r.stderr
        g.passwords[name] = f"Test-{name}-7h3k2q9z"
    g.start()
    yield g
    try:
        assert g.idle(), g.ask("calls")
    finally:
        g.close()


@pytest.fixture
def trunk():
    t = Party(L + "20", 5080, LAN, "trunk")
    yield t
    t.close()


@pytest.fixture
def pbx():
    t = Party(L + "10", 5070, LAN, "pbx")
    yield t
    t.close()


OPEN = []


@pytest.fixture(autouse=True)
def hang_up():
    yield
    while OPEN:
        OPEN.pop().close()


def phone(g, role, ip="30"):
    """The phone of the user who has that role, or that name."""
    u = Party(P + ip, 5060, PROXY, role if role[0] == "y" else "u" + role.replace("-", ""), g.passwords[role])
    OPEN.append(u)
    return u


def goes(g, who, to, number, extra=""):
    """The call arrives at `to`; then it is given up. Returns what arrived."""
    c = Call(who, number, who.body(), extra)
    c.invite()
    inv = to.expect("INVITE")
    to.reply(inv, 486, "Busy", "b")
    to.expect("ACK")
    c.ack(who.expect("486"))
    return inv


def refused(g, who, number, code, reason, extra=""):
    before = g.reason(reason)
    c = Call(who, number, who.body(), extra)
    c.invite()
    c.ack(who.expect(code))
    assert wait_for(lambda: g.reason(reason) > before, 3), reason


@pytest.mark.parametrize("role", CLASSES)
def test_each_class(gr, trunk, pbx, role):
    """A role with one class calls that, and nothing else; help always."""
    u = phone(gr, role)
    for kind, number in NUMBERS.items():
        if kind == role:
            goes(gr, u, pbx if kind == "internal" else trunk, number)
        else:
            refused(gr, u, number, "403", "right_class")
    goes(gr, u, trunk, "112")
    goes(gr, u, trunk, "110")


def test_untouched_role(gr, trunk, pbx):
    """A role of which nothing is said: the five cheap classes and nothing else."""
    u = phone(gr, "user")
    for kind in ("local", "national", "mobile", "toll-free", "internal"):
        goes(gr, u, pbx if kind == "internal" else trunk, NUMBERS[kind])
    for kind in ("international", "shared-cost", "premium", "satellite", "unknown"):
        refused(gr, u, NUMBERS[kind], "403", "right_class")
    refused(gr, u, "03055501", "403", "right_barred")


def test_role_that_stays_inside(gr, trunk):
    u = phone(gr, "inside")
    refused(gr, u, NUMBERS["local"], "403", "right_denied")
    refused(gr, u, "7123", "403", "right_denied")
    goes(gr, u, trunk, "112")


def test_countries(gr, trunk):
    u = phone(gr, "austria")
    goes(gr, u, trunk, "+4315808")
    goes(gr, u, trunk, "09001234567")
    refused(gr, u, "+41446681800", "403", "right_country")
    refused(gr, u, "+18765230123", "403", "right_country")  # one ring from Jamaica
    refused(gr, u, "+19002345678", "403", "right_country")  # a dear number abroad is abroad


def test_dial_plan_of_the_site(gr, trunk):
    """In New York a 9 goes before: national there, and what dials like home is abroad."""
    u = phone(gr, "yorker")
    assert "92125550123" not in goes(gr, u, trunk, "92125550123").start
    goes(gr, u, trunk, "913105550123")
    refused(gr, u, "918765230123", "403", "right_class")
    refused(gr, u, "901188212345", "403", "right_class")
    refused(gr, u, "919002345678", "403", "right_class")
    refused(gr, u, "0301234567", "403", "right_class")  # not dialled for the outside: unknown


def test_strip_makes_it_dear(gr, trunk, pbx):
    """What a rule's strip leaves is judged, too: an extension to the plan, a satellite to the PBX behind it."""
    u = phone(gr, "user")
    refused(gr, u, "7700882123456", "403", "right_class")
    a = phone(gr, "all", "31")
    goes(gr, a, pbx, "7700882123456")


def test_anonymous(gr, trunk, pbx):
    u, a = phone(gr, "user"), phone(gr, "all", "31")
    refused(gr, u, NUMBERS["local"], "433", "right_anonymous", "Privacy: id\r\n")
    assert "uall" not in repr(goes(gr, a, trunk, NUMBERS["local"], "Privacy: id\r\n"))
    goes(gr, u, pbx, "7123", "Privacy: id\r\n")
    goes(gr, u, trunk, "112", "Privacy: id\r\n")


def test_code_without_a_second_factor(gr):
    """Where a code would do, who has none is refused."""
    u = phone(gr, "careful")
    refused(gr, u, NUMBERS["mobile"], "403", "right_class")


def test_message(gr):
    u = phone(gr, "user")
    before = gr.reason("right_class")
    Ask(u, "MESSAGE", NUMBERS["satellite"], body="hello").took("403")
    assert gr.reason("right_class") > before


@pytest.mark.parametrize("role, code", [("plain", "603"), ("all", "202")])
def test_transfer_out(gr, trunk, role, code):
    u = phone(gr, role)
    u.register()
    c = Call(trunk, "u" + role, trunk.body())
    c.invite(auth=False)
    inv = u.expect("INVITE")
    u.reply(inv, 200, "OK", "t1", body=u.body())
    c.answered()
    u.expect("ACK")
    before = gr.reason("right_transfer")
    u.cseq = 100
    u.request("REFER", inv.uri("contact"), inv.get("from").split(";tag=")[0], inv.get("call-id"), "t1", inv.tag("from"), from_=inv.get("to"),
              extra=f"Refer-To: <sip:{NUMBERS['local']}@example.com>\r\n")
    u.expect(code)
    if code == "202":
        out = trunk.expect("INVITE")
        trunk.reply(out, 486, "Busy", "x")
        trunk.expect("ACK")
        u.notified(486)
    else:
        assert wait_for(lambda: gr.reason("right_transfer") > before, 3)
    c.bye()
    u.leaves()
    assert gr.idle(), gr.ask("calls")


@pytest.mark.parametrize("role, out", [("plain", False), ("all", True)])
def test_forward_out(gr, trunk, role, out):
    u = phone(gr, role)
    u.register()
    before = gr.reason("right_forward")
    c = Call(trunk, "u" + role, trunk.body())
    c.invite(auth=False)
    inv = u.expect("INVITE")
    u.reply(inv, 302, "Moved", "f1", extra=f"Contact: <sip:{NUMBERS['local']}@example.com>\r\n", contact=False)
    u.expect("ACK")
    if out:
        inv = trunk.expect("INVITE")
        trunk.reply(inv, 486, "Busy", "x")
        trunk.expect("ACK")
        c.ack(trunk.expect("486"))
    else:
        m = trunk.expect("4xx", skip=("100", "180"))
        c.ack(m)
        assert wait_for(lambda: gr.reason("right_forward") > before, 3)
    assert gr.idle(), gr.ask("calls")


def explain(g, user, to, at=None, code=0):
    r = g.run("explain", "--as", user, "--to", to, *(["--at", at] if at else []), "--config", g.config, "--state", g.state, "--json")
    assert r.returncode == code, r.stdout + r.stderr
    return json.loads(r.stdout) if code == 0 else r.stderr


def line(g, doc):
    return open(g.config).read().split("\n")[doc["decides"]["line"] - 1]


def test_explain_hours(gr):
    """Berlin's clock, whatever the server's: 7:30 UTC is 8:30 there in winter and 9:30 in summer."""
    monday, holiday, sunday = "2027-01-04", "2027-01-01", "2027-01-03"
    for at, wanted in ((monday + " 06:59", "refuse"), (monday + " 07:00", "pass"), (monday + " 16:59", "pass"), (monday + " 17:00", "refuse"),
                       (holiday + " 10:00", "refuse"), (sunday + " 10:00", "refuse"), ("2027-07-05 05:59", "refuse"), ("2027-07-05 06:00", "pass")):
        d = explain_utc(gr, "uday", NUMBERS["mobile"], at)
        assert d["verdict"] == wanted and d["open"] == (wanted == "pass"), (at, d)
        if wanted == "refuse":
            assert d["reason"] == "right_hours" and d["decides"]["key"] == "off_hours", d
            assert "name: day" in line(gr, d)
        assert explain_utc(gr, "uday", NUMBERS["local"], at)["verdict"] == "pass"
        assert explain_utc(gr, "uday", "112", at)["verdict"] == "pass"


def explain_utc(g, user, to, at):
    r = subprocess.run([g.cli, "explain", "--as", user, "--to", to, "--at", at, "--config", g.config, "--state", g.state, "--json"], capture_output=True, text=True,
                       env={**os.environ, "TZ": "UTC"})
    assert r.returncode == 0, r.stdout + r.stderr
    return json.loads(r.stdout)


def test_explain(gr):
    d = explain(gr, "uuser", "+8821234567")
    assert (d["verdict"], d["reason"], d["code"], d["class"], d["role"], d["site"]) == ("refuse", "right_class", 403, "satellite", "user", "berlin"), d
    assert [g["gate"] for g in d["gates"]] == ["emergency", "right"] and d["gates"][1]["reason"] == "right_class"
    assert d["route"] == {"name": "plus", "to": "peers", "peers": ["trunk"], "leaves_as": "+8821234567"} and d["numbers_by"].startswith("libphonenumber ")
    assert "name: user," in line(gr, d) and d["decides"]["key"] == "dial"
    d = explain(gr, "fresh@example.com", "0301234567")
    assert d["verdict"] == "pass" and d["number"] == "+49301234567" and d["country"] == "DE" and d["price"]["paid"] and d["price"]["by_class"] and d["price"]["minute_micro"] > 0, d
    assert d["caps"]["calls"] == 2 and d["caps"]["day_micro"] > 0 and [g["verdict"] for g in d["gates"]] == ["pass"] * 4
    d = explain(gr, "uuser", "03055501")
    assert d["reason"] == "right_barred" and d["decides"]["entry"] == "barred" and "0305550." in line(gr, d)
    assert explain(gr, "uinside", "0301234567")["decides"]["key"] == "outbound"
    assert explain(gr, "uaustria", "+41446681800")["decides"]["key"] == "countries"
    assert explain(gr, "yorker", "92125550123")["site"] == "york"
    d = explain(gr, "uuser", "112")
    assert d["emergency"] and d["class"] == "emergency" and d["verdict"] == "pass" and not d["price"]["paid"], d
    d = explain(gr, "uuser", "7123")
    assert d["class"] == "internal" and not d["price"]["paid"], d
    d = explain(gr, "trunk", "uuser")
    assert d["as"] == "trunk" and d["verdict"] == "pass" and d["route"]["to"] == "users", d
    assert "no such user" in explain(gr, "nobody", "112", code=5) and "cannot be dialled" in explain(gr, "uuser", "x y", code=5)
    r = gr.run("explain", "--as", "uuser", "--to", "+8821234567", "--config", gr.config, "--state", gr.state)
    text = r.stdout.split("\n")
    assert r.returncode == 0 and "+8821234567 would be refused: the role may not call this class of number (right_class, 403)" in text[0], r.stdout
    assert "  right      refuse: the role may not call this class of number (right_class)" in text and "route    plus, to peers trunk, as +8821234567" in text, r.stdout
    assert any(t.startswith("decides  roles.user.dial  ") and t.endswith(f":{open(gr.config).read().split(chr(10)).index(line(gr, explain(gr, 'uuser', '+8821234567'))) + 1}") for t in text), r.stdout
    for args in (["--as", "uuser"], ["--to", "112"], ["--as", "uuser", "--to", "112", "--at", "soon"], []):
        assert gr.run("explain", *args, "--state", gr.state).returncode == 2


def test_explain_writes_nothing(gr):
    """No attempt is counted and no caller learns of it."""
    before = explain(gr, "uuser", "0301234567")["caps"]
    for _ in range(30):
        explain(gr, "uuser", "0301234567")
    assert explain(gr, "uuser", "0301234567")["caps"] == before
