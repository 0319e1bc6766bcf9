"""Every cap there is, at every place where one stands: what it counts over what time, refused or cut by its name through real SIP.

A row is a place (whose cap), a kind (what is counted) and a span; the cap is made tiny by a reload, just above what was used by then."""
import json, os, time
import pytest
from gateway import Gateway, wait_for
from test_money import End, L, P, over
from ua import Call, sdp

FREE = {"calls": 0, "attempts": 0, "longest": "0s", "call_money": 0, "minutes": dict(hour=0, day=0, month=0), "money": dict(hour=0, day=0, month=0)}
SPANS = ("hour", "day", "month")
CONFIG = """
domains: [example.com]
state: @STATE@
engines: 2
media: {ports: 27600-27899}
listeners:
  - {name: udp, transport: udp, address: "127.0.91.1:5060"}
  - {name: lan, transport: udp, address: "127.0.92.1:5060"}
zones:
  - {name: phones, listeners: [udp], sources: [127.0.91.0/24], media: rtp, nat: yes, registration: yes, rate_per_source: 5000}
  - {name: lan, listeners: [lan], sources: [127.0.92.0/24], media: rtp, authenticate: no, rate_per_source: 5000}
waivers:
  - {name: a, zone: phones, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test", expires: 2099-01-01}
  - {name: b, zone: lan, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test", expires: 2099-01-01}
sites:
  - {name: home, country: DE, area: "30"}
  - {name: closed, country: DE, area: "30", timezone: Etc/UTC, hours: ["@NEVER@ 03:00-03:01"]}
rates:
  currency: EUR
  decks: [{name: deck, file: @STATE@/deck.csv}]
  caps: @SYSTEM@
  class_caps: {mobile: @CLASS@}
  places:
    - {country: AT, caps: @COUNTRY@}
    - {prefix: "+49", caps: @FREE@}
    - {prefix: "+4989", caps: @PREFIX@}
peers:
  - {name: trunk, kind: trunk, zone: lan, listener: lan, address: "127.0.92.20:5080", deck: deck}
  - {name: tight, kind: trunk, zone: lan, listener: lan, address: "127.0.92.21:5080", deck: deck, caps: @TRUNK@}
roles:
  - {name: user, outbound: yes, dial: [local, national, mobile, international], countries: [AT], step_up: none, caps: @FREE@}
  - {name: own, outbound: yes, caps: @IDENTITY@}
  - {name: night, outbound: yes, caps: @FREE@, off_caps: @OFF@}
  - {name: gadgets, outbound: yes, caps: @FREE@, device: @DEVICE@}
  - {name: team, outbound: yes, caps: @FREE@, whole: @ROLE@}
routes:
  - {name: tight, pattern: "0309X.", to: {peers: [tight]}}
  - {name: out, pattern: "0X.", to: {peers: [trunk]}}
fraud: {mode: dry-run}
limits: {ring: 5s}
"""
DECK = "prefix,price,setup,minimum,increment\n49,0.60,0.02,1,1\n43,0.60,0.02,1,1\n"  # 0.02 and a cent a second
SETUP, SECOND = 20000, 10000
# whose: who calls, what he dials, what the log says the cap is of
PLACES = {"identity": ("ida", "0301234567", "identity"), "off": ("nina", "0301234567", "identity"), "role": ("tom", "0301234567", "role"),
          "device": ("dora", "0301234567", "device"), "country": ("uma", "004315808", "country"), "prefix": ("uma", "089123456", "prefix"),
          "class": ("uma", "015123456789", "class"), "trunk": ("uma", "0309123456", "trunk"), "system": ("uma", "0301234567", "system")}
USERS = {"ida": "own", "ian": "own", "nina": "night", "tom": "team", "dora": "gadgets", "uma": "user"}
KINDS = [("attempts", None), ("calls", None), ("call_money", None)] + [(k, s) for k in ("minutes", "money") for s in SPANS]
WHY = {"attempts": "fraud_attempts", "calls": "fraud_calls", "call_money": "fraud_call_money", "minutes": "fraud_minutes", "money": "fraud_money"}


class House:
    def __init__(self):
        self.g = Gateway()
        g = self.g
        with open(os.path.join(g.state, "deck.csv"), "w") as f:
            f.write(DECK)
        for name, role in USERS.items():
            g.passwords[name] = f"Test-{name}-7h3k2q9z"
            r = g.run("user", "add", name, "--state", g.state, "--role", role, "--password-stdin", *(["--site", "closed"] if name == "nina" else []), stdin=g.passwords[name] + "\n")
            assert r.returncode == 0, r.stderr
        self.write()
        g.start()

    def write(self, place=None, caps=None):
        day = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[(time.gmtime().tm_wday + 3) % 7]
        text = CONFIG.replace("@STATE@", self.g.state).replace("@NEVER@", day)
        for p in PLACES:
            text = text.replace("@" + p.upper() + "@", yaml(caps if p == place else {}))
        with open(self.g.config, "w") as f:
            f.write(text.replace("@FREE@", yaml({})))

    def cap(self, place, caps):
        self.write(place, caps)
        r = self.g.run("reload", "--state", self.g.state, "--reason", "the next row")
        assert r.returncode == 0, r.stdout + r.stderr


def yaml(caps):
    """No cap but these."""
    all_ = {k: dict(v) if isinstance(v, dict) else v for k, v in FREE.items()}
    for k, v in (caps or {}).items():
        if isinstance(v, dict):
            all_[k].update(v)
        else:
            all_[k] = v
    return json.dumps(all_).replace('"', "")


@pytest.fixture(scope="module")
def house():
    h = House()
    yield h
    try:
        assert h.g.idle(), h.g.ask("calls")
    finally:
        h.g.close()


@pytest.fixture
def net(house):
    made = {"trunk": End(house.g, L + "20", 5080, "trunk"), "tight": End(house.g, L + "21", 5080, "tight")}
    for i, name in enumerate(USERS):
        made[name] = End(house.g, P + str(30 + i), 0, name)
    yield made
    for e in made.values():
        e.close()


def caps_of(house, name):
    return house.g.ask("fraud", "caps", *([name] if name else []))["engines"][0]


def used(house, place):
    """Seconds and money that count at a place today."""
    who, _, of = PLACES[place]
    name = {"role": USERS[who], "class": "mobile", "country": "AT", "prefix": "+4989", "trunk": "tight", "system": None}.get(of, who + "@example.com")
    d = caps_of(house, name)
    of = "identity" if of == "device" else of  # she has one
    return d[of]["day"]["seconds"], d[of]["day"]["micro"]


def up(net, place):
    who, number, _ = PLACES[place]
    far = net["tight" if number.startswith("0309") else "trunk"]
    c = Call(net[who], number, sdp(net[who].ip, 42000))
    c.invite()
    far.takes()
    c.answered()
    return c, far


def refused(house, net, place, why):
    """403 before anything is asked of a trunk; the counter, the record and the log name the cap, the log whose it is."""
    for _ in range(4):
        shared = house.g.reason("log_share")
        refused_once(house, net, place, why)
        if wait_for(lambda: told(house, why, PLACES[place][2]) or house.g.reason("log_share") > shared, 3) and told(house, why, PLACES[place][2]):
            return
        assert house.g.reason("log_share") > shared, f"no event says that {why} is of {PLACES[place][2]}"
        time.sleep(1.1)  # so fast that the lines of one source were enough for now: the next one is told
    raise AssertionError("the share of the log stays used up")


def refused_once(house, net, place, why):
    who, number, _ = PLACES[place]
    g, before = house.g, house.g.reason(why)
    c = Call(net[who], number, sdp(net[who].ip, 42000))
    c.invite()
    c.ack(net[who].expect("403"))
    assert g.cdr(c.id)["reason"] == why
    assert wait_for(lambda: g.reason(why) > before, 3)


def told(house, why, of):
    with open(os.path.join(house.g.state, "store", "events.jsonl")) as f:
        f.seek(getattr(house, "read", 0))
        return [x for x in map(json.loads, f.readlines()) if x.get("reason") == why and x.get("cap_of") == of and x["used"] >= 0 and x["cap"] > 0]


def cut(c, far, house, seconds):
    """Both sides hear BYE in time, and the record says why and for how long."""
    t = time.time()
    c.ua.told_bye(seconds + 2)
    assert time.time() - t <= seconds + 0.2, time.time() - t
    far.told_bye()
    r = house.g.cdr(c.id)
    assert r["reason"] == "fraud_cut" and r["seconds"] == seconds, r
    return r


ROWS = sorted(((p, k, s) for p in PLACES for k, s in KINDS), key=lambda r: (r[1] != "attempts", r[0] != "system"))  # attempts are counted for a minute: fresh ones first


@pytest.mark.parametrize("place,kind,span", ROWS, ids=lambda x: x or "")
def test_cap(house, net, place, kind, span):
    seconds, micro = used(house, place)
    cap = {"attempts": 1, "calls": 1, "call_money": 0.025, "minutes": {span: seconds // 60 + 1}, "money": {span: (micro + SETUP + SECOND) / 1e6}}[kind]
    house.cap(place, {kind: cap})
    events = os.path.join(house.g.state, "store", "events.jsonl")
    house.read = os.path.getsize(events) if os.path.exists(events) else 0
    if kind != "call_money":
        c, far = up(net, place)
    refused(house, net, place, WHY[kind])
    net["trunk"].silence(0), net["tight"].silence(0)
    if kind == "money" and span == "day":
        assert cut(c, far, house, 1)["price_micro"] == SETUP + SECOND
    elif kind != "call_money":
        over(c, far)


@pytest.mark.parametrize("place", PLACES)
def test_longest_call(house, net, place):
    house.cap(place, {"longest": "1s"})
    c, far = up(net, place)
    cut(c, far, house, 1)


def test_minutes_run_out(house, net):
    """Fifty-odd seconds spent on many calls at once; of the minute the next one has the rest."""
    house.cap(None, {})
    u, far, calls = net["ian"], net["trunk"], []
    for _ in range(19):
        c = Call(u, "0301234567", sdp(u.ip, 42000))
        c.invite()
        far.takes()
        c.answered()
        calls.append(c)
    time.sleep(2)
    for c in calls:
        c.within("BYE")
        far.told_bye()
        u.expect("200")
    assert house.g.idle()
    spent = caps_of(house, "ian@example.com")["identity"]["hour"]["seconds"]
    assert 40 <= spent < 60, spent
    house.cap("identity", {"minutes": {"hour": 1}})
    c = Call(u, "0301234567", sdp(u.ip, 42000))
    c.invite()
    far.takes()
    c.answered()
    cut(c, far, house, 60 - spent)
