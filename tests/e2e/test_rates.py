"""Prices: the commands, a reload with good and bad decks; and sums of money over a restart, a killed monitor, a killed engine and a damaged file."""
import json, os, re, signal, time
import pytest
from gateway import Gateway, wait_for
from office import office
from ua import Call, Ua, sdp

GW, LAN, PHONE, TRUNK = "127.0.85.1", "127.0.86.1", "127.0.85.20", "127.0.86.20"
CONFIG = office("127.0.85", "127.0.86", """
sites: [{{name: home, country: DE, area: "30", international: "00", national: "0"}}]
rates:
  currency: EUR
  decks: [{{name: one, file: {state}/one.csv}}, {{name: two, file: {state}/two.csv, minimum: 1s, increment: 1s}}]
  caps: {{calls: 50}}
  class_caps: {{mobile: {{calls: 9, money: {{day: 100}}}}}}
peers:
  - {{name: trunk, kind: trunk, zone: lan, listener: lan, address: "127.0.86.20:5080", deck: one, priority: 3, site: home, caps: {{calls: 20}}}}
roles:
  - {{name: user, outbound: yes, caps: {{calls: 5, attempts: 100, money: {{hour: 0, day: 1, month: 0}}}}}}
routes:
  - {{name: out, pattern: "0.", to: {{peers: [trunk]}}}}
  - {{name: users, pattern: "*", to: users}}
""")
ONE = "prefix,price,setup,minimum,increment,description\n49,0.40,0.20,60,60,\"Germany, all\"\n4930,0.30,0.30,60,60,Berlin\n"
TWO = "prefix;price;from;until\n49;0,01;;\n43;0,02;2020-01-01;2021-12-31\n"


@pytest.fixture
def g():
    g = Gateway(config=CONFIG, engines=2, ports="27600-27799", limits="calls: 100")
    put(g, "one.csv", ONE)
    put(g, "two.csv", TWO)
    g.user("alice", md5=True)
    yield g
    g.close()


def put(g, name, text):
    with open(os.path.join(g.state, name), "w") as f:
        f.write(text)


def log(g):
    return open(g.log).read()


def trunk():
    return Ua(TRUNK, 5080, (LAN, 5060), "udp", "trunk")


def call(g, t, talk=0.3, number="0301234567"):
    """Calls out, talks and hangs up: the code, or 200."""
    u = Ua(PHONE, 0, (GW, 5060), "udp", "alice", g.passwords["alice"])
    try:
        c = Call(u, number, sdp(PHONE, 42000))
        c.invite()
        m = t.recv(1.5)
        while m and m.method != "INVITE":
            m = t.recv(1.5)
        if not m:
            m = u.recv(2)
            while m and m.code < 200:
                m = u.recv(2)
            c.ack(m)
            return m.code
        t.reply(m, 200, "OK", "t" + os.urandom(3).hex(), body=sdp(TRUNK, 41000))
        t.expect("ACK")
        c.answered()
        c.ack2xx()
        time.sleep(talk)
        c.bye()
        t.reply(t.expect("BYE"), 200)
        return 200
    finally:
        u.close()


def test_commands(g, tmp_path):
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text(ONE)
    bad.write_text("prefix,price\n49,0.1\n4x,0.1\n48,0.1234567\n47\n")
    r = g.run("rates", "check", str(good))
    assert r.returncode == 0 and "good: 2 prefixes" in r.stdout
    r = g.run("rates", "check", str(bad))
    assert r.returncode == 1
    assert [x.split(":")[1] for x in r.stdout.splitlines()] == ["3", "4", "5"], r.stdout
    r = g.run("rates", "check", str(bad), "--json")
    d = json.loads(r.stdout)
    assert r.returncode == 1 and d["errors"] == 3 and d["prefixes"] == 1 and [p["line"] for p in d["problems"]] == [3, 4, 5]
    assert g.run("rates", "check", str(tmp_path / "none.csv")).returncode == 1
    assert g.run("rates").returncode == 2 and g.run("rates", "what").returncode == 2 and g.run("rates", "check").returncode == 2
    decks = g.ask("rates", "list")["decks"]
    assert [(x["name"], x["prefixes"], x["peers"]) for x in decks] == [("one", 2, ["trunk"]), ("two", 2, [])]
    d = g.ask("rates", "show", "030 1234567".replace(" ", ""))
    assert d["number"] == "+49301234567" and d["class"] == "local" and d["currency"] == "EUR"
    one, two = d["prices"][1], d["prices"][2]
    assert (one["deck"], one["prefix"], one["line"], one["minute_micro"], one["setup_micro"], one["first_minute_micro"]) == ("one", "4930", 3, 300000, 300000, 600000)
    assert (two["deck"], two["prefix"], two["minute_micro"], two["increment"]) == ("two", "49", 10000, 1)
    assert d["prices"][0]["builtin"] is True
    assert [p["deck"] for p in g.ask("rates", "show", "+43123456789")["prices"]] == [""]  # its time is over
    assert "rates check FILE" in g.run("help", "rates").stdout or "check FILE" in g.run("rates", "--help").stdout


def test_check_and_reload_name_the_line(g):
    g.start()
    assert "rates: 4 prefixes of 2 decks" in log(g)
    put(g, "one.csv", "prefix,price\n49,0.4O\n")
    r = g.run("check", g.config)
    assert r.returncode == 1 and "one.csv:2" in r.stdout and "is not a price" in r.stdout, r.stdout
    assert g.run("reload", "--state", g.state).returncode != 0
    assert "one.csv:2" in log(g)
    put(g, "one.csv", "prefix,price\n49,0.40\n48,0.1\n47,1\n49,0.3\n")
    r = g.run("check", g.config)
    assert r.returncode == 1 and "one.csv:5: prefix 49 is there twice" in r.stdout, r.stdout
    put(g, "one.csv", ONE + "48,0.1,,,,\n")
    assert g.run("reload", "--state", g.state).returncode == 0
    assert "rates: 5 prefixes of 2 decks" in log(g)
    n = log(g).count("rates: 5 prefixes")
    assert g.run("reload", "--state", g.state).returncode == 0
    assert log(g).count("rates: 5 prefixes") == n  # the same files are not given twice


def test_wrong_keys(g):
    for a, b, says in (("currency: EUR", "currency: euro", "is no currency"), ("deck: one", "deck: uno", "one"), ("mobile:", "mobil:", "mobile"),
                       ("priority: 3", "priority: 300", "priority"), ("site: home", "site: house", "home"), ("name: two", "name: one", "two decks have the name")):
        g.write(CONFIG.replace(a, b, 1))
        r = g.run("check", g.config)
        assert r.returncode == 1 and says in r.stdout, (a, r.stdout)


def test_money_is_remembered(g):
    """0.60 a call by the deck, one euro a day: the second call would be over it, before and after whatever happens."""
    g.start()
    t = trunk()
    try:
        assert call(g, t) == 200
        assert call(g, t) == 403
        g.stop()
        assert [os.stat(f).st_mode & 0o777 for f in copies(g)] == [0o600] * 2
        g.start()
        assert call(g, t) == 403, "forgotten by a restart"
        for name, pid in g.pids().items():
            if name.startswith("engine"):
                os.kill(pid, signal.SIGKILL)
        assert wait_for(lambda: all(p["state"] == "running" and p["restarts"] for p in g.status()["programs"] if p["name"].startswith("engine")), 20)
        assert call(g, t) == 403, "forgotten by engines that crashed"
        os.killpg(g.proc.pid, signal.SIGKILL)
        g.proc.wait()
        time.sleep(1)
        g.start()
        assert call(g, t) == 403, "forgotten when everything was killed"
    finally:
        t.close()


def copies(g):
    return sorted(os.path.join(g.state, f) for f in os.listdir(g.state) if re.fullmatch(r"ledger\.[01]", f))


def newer(g):
    """By the turn in the head."""
    return max(copies(g), key=lambda f: int.from_bytes(open(f, "rb").read()[16:24], "little"))


def flip(path):
    with open(path, "r+b") as f:
        b = f.read()
        f.seek(len(b) - 5)
        f.write(bytes([b[-5] ^ 1]))


def cut(path):
    os.truncate(path, os.stat(path).st_size - 7)


def test_one_damaged_copy_is_no_loss_of_more_than_a_moment(g):
    """The newer copy goes: the one before it, of the same spending, counts."""
    g.start()
    t = trunk()
    try:
        assert call(g, t) == 200
        time.sleep(1.5)  # both copies have seen it: it was reserved, answered, ended
        for harm in (flip, cut, os.remove):
            g.stop()
            assert len(copies(g)) == 2
            harm(newer(g))
            g.start()
            assert "other copy is used" in log(g)
            assert call(g, t) == 403 and not g.status()["spent_unknown"], harm
        assert g.reason("fraud_unknown") == 0
    finally:
        t.close()


def test_both_copies_damaged_nothing_that_costs_goes_out(g):
    """Fails closed: by name, over a restart and a reload, until an administrator says so; calls for help go."""
    g.write(CONFIG.replace("routes:\n", 'routes:\n  - {{name: help, pattern: "112", to: {{peers: [trunk]}}}}\n'))
    g.start()
    t = trunk()
    try:
        assert call(g, t) == 200
        g.stop()
        for f in copies(g):
            flip(f)
        g.start()
        assert "is not known: calls that cost money are refused" in log(g) and g.status()["spent_unknown"]
        assert call(g, t) == 403 and g.reason("fraud_unknown") == 1
        assert "ringwall fraud accept" in g.run("fraud", "status", "--state", g.state).stdout
        assert "NOT KNOWN" in g.run("status", "--state", g.state).stdout
        x = g.run("explain", "--as", "alice", "--to", "0301234567", "--state", g.state)
        assert "fraud_unknown" in x.stdout, x.stdout + x.stderr
        assert call(g, t, number="112") == 200
        assert g.run("reload", "--state", g.state).returncode == 0
        assert call(g, t) == 403
        g.stop()
        g.start()
        assert g.status()["spent_unknown"] and call(g, t) == 403, "forgotten by a restart"
        assert g.run("fraud", "accept", "--state", g.state).returncode == 2
        r = g.run("fraud", "accept", "--state", g.state, "--reason", "looked at the carrier's bill")
        assert r.returncode == 0, r.stderr
        assert not g.status()["spent_unknown"] and call(g, t) == 200
        assert g.run("fraud", "accept", "--state", g.state, "--reason", "again").returncode == 1
        acts = wait_for(lambda: [a for a in g.ask("audit", "--last", "20")["acts"] if a["act"] == "fraud-accept" and a["why"].startswith("looked")], 3)
        assert acts and acts[0]["before"] == "spending unknown"
        g.stop()
        g.start()
        assert not g.status()["spent_unknown"] and call(g, t) == 403, "counted since"
    finally:
        t.close()


@pytest.mark.parametrize("gone", ["copies", "key", "bad key"])
def test_what_is_missing_is_not_known_either(g, gone):
    g.start()
    g.stop()
    assert len(copies(g)) >= 1
    if gone == "copies":
        for f in copies(g):
            os.remove(f)
    elif gone == "key":
        os.remove(os.path.join(g.state, "ledger.key"))
    else:
        os.truncate(os.path.join(g.state, "ledger.key"), 3)
    g.start()
    assert g.status()["spent_unknown"]


def test_killed_within_a_second_of_a_call(g):
    """kill -9 of the monitor, at any moment after the call: what is lost is the last second at most, and never the cap."""
    g.start()
    t = trunk()
    lost = 0
    try:
        for i, wait in enumerate((0.0, 0.5, 1.1, 1.6)):
            code = call(g, t, talk=0.1)
            time.sleep(wait)
            os.killpg(g.proc.pid, signal.SIGKILL)
            g.proc.wait()
            time.sleep(0.5)
            g.start()
            assert not g.status()["spent_unknown"]
            after = call(g, t, talk=0.1)
            if wait > 1.0:
                assert after == 403, f"forgotten after {wait} s"
            lost += code == 200 and after == 200
            if after == 403:
                break
        assert lost <= 2 and call(g, t) == 403
        print("calls forgotten by kill -9:", lost)
    finally:
        t.close()
