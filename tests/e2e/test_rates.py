"""Prices: the commands, a reload with good and bad decks; and sums of money over a restart, a killed monitor, a killed engine and a damaged file."""
import json, os, signal, time
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


def call(g, t, talk=0.3):
    """Calls out, talks and hangs up: the code, or 200."""
    u = Ua(PHONE, 0, (GW, 5060), "udp", "alice", g.passwords["alice"])
    try:
        c = Call(u, "0301234567", sdp(PHONE, 42000))
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
        assert os.stat(os.path.join(g.state, "ledger")).st_mode & 0o777 == 0o600
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
        g.stop()
        with open(os.path.join(g.state, "ledger"), "r+b") as f:
            f.seek(40)
            f.write(b"\xff\xff")
        g.start()
        assert "ledger is damaged" in log(g)
        assert call(g, t) == 200
    finally:
        t.close()
