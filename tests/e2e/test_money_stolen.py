"""A stolen account on an untouched install: what `ringwall init` writes, with a trunk and a listener for SIPp added, and an attacker with the right password.

Roles, caps and classes of numbers stay as they were written. SIPp calls at full speed; what is lost is added up from the records and at the trunk."""
import os, re, shutil, subprocess, threading, time
import pytest
from gateway import DOMAIN, Gateway, other_ports
from ua import Ua, sdp

pytestmark = pytest.mark.skipif(not shutil.which("sipp"), reason="sip-tester is not installed")
HERE = os.path.join(os.path.dirname(__file__), "sipp")
GW, PHONE, LAN, TRUNK = "127.0.95.1", "127.0.95.66", "127.0.96.1", "127.0.96.20"
HOUR, DAY, CALLS, ATTEMPTS = 10_000_000, 20_000_000, 2, 10  # an identity's, as docs/fraud-caps.md says
ADDED = {
    "listeners:\n": '  - {name: plain, transport: udp, address: "127.0.95.1:5060"}\n  - {name: lan, transport: udp, address: "127.0.96.1:5060"}\n',
    "zones:\n": "  - {name: plain, listeners: [plain], sources: [127.0.95.0/24], media: rtp, nat: yes, registration: yes, rate_per_source: 5000}\n"
                "  - {name: lan, listeners: [lan], sources: [127.0.96.0/24], media: rtp, authenticate: no}\n",
    "waivers:\n": '  - {name: x, zone: plain, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "SIPp", expires: 2099-01-01}\n'
                  '  - {name: y, zone: lan, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "SIPp", expires: 2099-01-01}\n',
    "peers:\n": '  - {name: carrier, kind: trunk, zone: lan, listener: lan, address: "127.0.96.20:5080"DECK}\n',
    "routes:\n": '  - {name: outside, from: {zone: plain}, pattern: "0X.", to: {peers: [carrier]}}\n',
}


class Carrier(threading.Thread):
    """Takes every call, at once, and counts."""
    def __init__(self):
        super().__init__(daemon=True)
        self.ua = Ua(TRUNK, 5080, (LAN, 5060), "udp", "carrier")
        self.up, self.most, self.taken, self.on = set(), 0, 0, True
        self.start()

    def run(self):
        while self.on:
            m = self.ua.recv(0.1)
            if m is None or m.code:
                continue
            if m.method == "INVITE":
                if m.get("call-id") not in self.up:
                    self.taken += 1
                self.up.add(m.get("call-id"))
                self.most = max(self.most, len(self.up))
                self.ua.reply(m, 200, "OK", "c1", body=sdp(TRUNK, 41000))
            elif m.method == "BYE":
                self.up.discard(m.get("call-id"))
                self.ua.reply(m, 200)

    def close(self):
        self.on = False
        self.join()
        self.ua.close()


def install(port, deck=""):
    """As init writes it; a country, without which every number is abroad; and what is in ADDED."""
    g = Gateway(ports=port, engines=2)
    other = os.path.join(g.dir, "fresh")
    r = g.run("init", "--state", other, "--domain", DOMAIN)
    assert r.returncode == 0, r.stderr
    config = os.path.join(other, "ringwall.yaml")
    other_ports(config)
    text = open(config).read().replace("24000-24999", port).replace(os.path.realpath(other), g.state).replace(other, g.state).replace("engines: auto", "engines: 2")
    for key, lines in ADDED.items():
        assert text.count("\n" + key) == 1, key
        text = text.replace("\n" + key, "\n" + key + lines.replace("DECK", ", deck: dear" if deck else ""))
    if "\nsites:\n" in text:
        text = re.sub(r"country: [A-Z]{2}", "country: DE", text)
    else:
        text += 'sites:\n  - {name: home, country: DE, international: "00", national: "0"}\n'
    if deck:
        with open(os.path.join(g.state, "dear.csv"), "w") as f:
            f.write(deck)
        text += "rates:\n  decks: [{name: dear, file: %s/dear.csv}]\n" % g.state
    assert "caps" not in re.sub(r"#.*", "", text) and "{name: user, outbound: yes}" in text, "the policy is init's"
    with open(g.config, "w") as f:
        f.write(text)
    g.user("alice", md5=True)
    return g.start()


def attack(g, tmp, number, seconds, rate):
    users = os.path.join(tmp, "stolen.csv")
    with open(users, "w") as f:
        f.write(f"SEQUENTIAL\nalice;[authentication username=alice password={g.passwords['alice']}];{number}\n")
    with open(os.path.join(tmp, "sipp.out"), "w") as out:
        subprocess.run(["sipp", GW + ":5060", "-sf", os.path.join(HERE, "uac_stolen.xml"), "-inf", users, "-i", PHONE, "-mi", PHONE, "-p", "5099", "-r", str(rate), "-l", "400",
                        "-m", str(rate * seconds), "-nostdin", "-timeout", str(seconds + 10), "-recv_timeout", "8000", "-aa"], cwd=tmp, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, timeout=seconds + 60)


def lost(g):
    time.sleep(1.5)
    rows = g.ask("cdr", "--last", "100000")["cdrs"]
    mine = [r for r in rows if r["user"] == "alice@example.com"]
    return sum(r.get("price_micro") or 0 for r in mine), mine


def test_at_full_speed(tmp_path):
    """Mobile numbers, prices as built in: two calls at once, ten attempts a minute."""
    g, c = install("28000-28399"), Carrier()
    try:
        attack(g, str(tmp_path), "015112345678", 20, 60)
        assert g.idle(15)
        micro, rows = lost(g)
        reasons = {k: v for k, v in g.status()["reasons"].items() if k.startswith(("fraud", "rate", "shield", "auth"))}
        print(f"tried {len(rows)}, let through {c.taken}, at once {c.most}, lost {micro / 1e6}, {reasons}")
        assert 1 <= c.taken <= ATTEMPTS * 2 and c.most <= CALLS, (c.taken, c.most)
        assert 0 < micro <= DAY
        assert reasons.get("fraud_calls", 0) + reasons.get("fraud_attempts", 0) > 100, reasons
    finally:
        c.close()
        g.close()


def test_until_the_money_is_gone(tmp_path):
    """A carrier at 5.00 a minute: the cap of an hour is reached at the second call, and that is all that is lost."""
    g, c = install("28400-28799", deck="prefix,price\n49151,5.00\n"), Carrier()
    try:
        attack(g, str(tmp_path), "015112345678", 12, 40)
        assert g.idle(15)
        micro, rows = lost(g)
        reasons = {k: v for k, v in g.status()["reasons"].items() if k.startswith(("fraud", "rate", "shield"))}
        print(f"tried {len(rows)}, let through {c.taken}, at once {c.most}, lost {micro / 1e6}, {reasons}")
        assert micro == HOUR and c.taken == 2, (micro, c.taken)
        assert reasons.get("fraud_money", 0) > 0, reasons
    finally:
        c.close()
        g.close()


def test_what_is_closed(tmp_path):
    """Abroad, premium rate, satellite: nothing gets out."""
    g, c = install("28800-28999"), Carrier()
    try:
        for number in ("00447700900123", "09001234567", "008821612345678", "0088299999999"):
            attack(g, str(tmp_path), number, 1, 5)
        micro, rows = lost(g)
        assert len(rows) >= 15 and micro == 0 and c.taken == 0, (len(rows), micro, c.taken)
        assert {r["reason"] for r in rows} <= {"right_class", "right_country", "right_barred"}, {r["reason"] for r in rows}
    finally:
        c.close()
        g.close()
