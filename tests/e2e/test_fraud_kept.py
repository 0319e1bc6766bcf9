"""What is usual for somebody outlives engines and the gateway, is one over all engines, and is let go by a release. Told to people by webhook."""
import json, os, signal, time
import pytest
from gateway import Gateway, wait_for
from office import office
from test_notify import Hook, Mailbox
from ua import Call, Ua, sdp

GW, LAN, PHONE, TRUNK = "127.0.83.1", "127.0.84.1", "127.0.83.20", "127.0.84.10"
DIAL = "dial: [internal, local, national, mobile, international], countries: all, step_up: none"
NO_CAPS = "caps: {{calls: 0, attempts: 0, longest: 0s, call_money: 0, minutes: {{hour: 0, day: 0, month: 0}}, money: {{hour: 0, day: 0, month: 0}}}}"
CONFIG = office("127.0.83", "127.0.84", """
sites:
  - {{name: berlin, country: DE}}
rates:
  decks: [{{name: deck, file: {state}/deck.csv}}]
peers:
  - {{name: carrier, kind: trunk, zone: lan, listener: lan, address: "127.0.84.10:5070", deck: deck}}
roles:
  - {{name: user, outbound: yes, """ + DIAL + ", " + NO_CAPS + """}}
  - {{name: poor, outbound: yes, """ + DIAL + ", " + NO_CAPS.replace("money: {{hour: 0, day: 0,", "money: {{hour: 0, day: 0.16,") + """}}
routes:
  - {{name: out, pattern: "+.", to: {{peers: [carrier]}}}}
  - {{name: users, pattern: "*", to: users}}
""")
ALICE, CAROL = "alice@example.com", "carol@example.com"


def made(engines, more=""):
    g = Gateway(config=CONFIG + more, engines=engines, ports="27600-28399", limits="calls: 100")
    with open(os.path.join(g.state, "deck.csv"), "w") as f:
        f.write("prefix,price,setup,minimum,increment\n33,0.60,0.10,1,1\n247,0.60,0.10,1,1\n49,0.01,0,1,1\n")
    g.user("alice")
    g.user("carol", role="poor")
    return g


def phone(g, user="alice", ip=PHONE):
    return Ua(ip, 0, (GW, 5060), "udp", user, g.passwords[user])


def refused(u, number):
    Call(u, number, sdp(u.ip, 42000)).invite()
    u.expect("403")


def answered(u, pbx, number):
    c = Call(u, number, sdp(u.ip, 42000))
    c.invite()
    inv = pbx.expect("INVITE", 6)
    pbx.reply(inv, 200, "OK", "p" + os.urandom(3).hex(), body=sdp(TRUNK, 41000))
    c.answered()
    pbx.expect("ACK")
    return c


def hang_up(c, u, pbx):
    c.within("BYE")
    pbx.reply(pbx.expect("BYE", 6, skip=("100", "INVITE", "ACK")), 200, "OK")
    u.expect("200")


def usual(g, name=ALICE):
    """What each engine says of her; they have to agree."""
    d = g.ask("fraud", "explain", name)
    all = [e["behaviour"] for e in d.get("engines", [d])]
    return all[0] if all.count(all[0]) == len(all) else None


def locks(g):
    return g.ask("fraud", "locks")["locks"]


def test_it_outlives_engines_and_the_gateway():
    g = made(3)
    g.start()
    u, pbx = phone(g), Ua(TRUNK, 5070, (LAN, 5060), "udp", "carrier")
    try:
        assert usual(g) == {"known": False}
        for i in range(4):  # each goes to the engine that its Call-ID says
            hang_up(answered(u, pbx, "+4930123456"), u, pbx)
        refused(u, "+24740001")
        was = wait_for(lambda: usual(g), 5)
        assert was["known"] and was["days"] == 1 and was["score"] >= 50 and was["calls_an_hour"]["now"] == 5, was
        assert not locks(g)
        for i in range(3):
            name = "engine%d" % i
            pid = g.pids()[name]
            os.kill(pid, signal.SIGKILL)
            assert wait_for(lambda: g.status()["state"] == "running" and g.pids().get(name) not in (pid, 0, None), 20)
            now = wait_for(lambda: usual(g), 5)
            assert now["known"] and abs(now["score"] - was["score"]) <= 2 and {**now, "score": 0} == {**was, "score": 0}, (name, now)
        g.stop()
        g.start()
        now = usual(g)
        assert now["known"] and abs(now["score"] - was["score"]) <= 2 and {**now, "score": 0} == {**was, "score": 0}, now
        refused(u, "+24740002")                               # the second one locks: the first counted
        assert wait_for(lambda: locks(g), 5)[0]["who"] == ALICE
        # a file that somebody wrote to is told, put aside, and nothing of it is believed
        g.stop()
        path = os.path.join(g.state, "fraud")
        assert os.stat(path).st_mode & 0o777 == 0o600
        raw = bytearray(open(path, "rb").read())
        raw[len(raw) // 2] ^= 1
        open(path, "wb").write(raw)
        g.start()
        assert "is damaged: what is usual for whom is learned anew" in open(g.log).read()
        assert usual(g) == {"known": False} and os.path.exists(path + ".aside") and not os.path.exists(path)
        assert locks(g)                                       # those are the store's
    finally:
        u.close()
        pbx.close()
        g.close()


def test_what_engines_see_in_parts_is_one():
    """Two calls to the island, by whatever engines: together they lock, and a call under way on another engine ends at once."""
    g = made(4)
    g.start()
    u, pbx = phone(g), Ua(TRUNK, 5070, (LAN, 5060), "udp", "carrier")
    try:
        calls = [answered(u, pbx, "+4930123456") for i in range(4)]
        for i in range(3):
            refused(u, f"+247400{i:02}")
        assert wait_for(lambda: locks(g), 5)
        assert wait_for(lambda: sum(e["calls"] and len(e["calls"]) or 0 for e in g.ask("calls")["engines"]) == 0, 4), g.ask("calls")
        assert g.reason("ipc_malformed") == 0
        del calls
    finally:
        u.close()
        pbx.close()
        g.close()


def test_released_and_not_locked_by_old_points():
    g = made(2)
    g.start()
    u, pbx = phone(g), Ua(TRUNK, 5070, (LAN, 5060), "udp", "carrier")
    try:
        for i in range(2):
            refused(u, f"+247400{i:02}")
        assert wait_for(lambda: locks(g), 5)
        refused(u, "+33140123456")
        assert usual(g)["score"] >= 30
        assert g.run("fraud", "release", ALICE, "--state", g.state).returncode == 2      # without a reason
        assert g.ask("fraud", "release", ALICE, "--reason", "was on holiday there")["released"] == 1
        assert wait_for(lambda: usual(g)["score"] == 0, 2)
        hang_up(answered(u, pbx, "+33140123456"), u, pbx)
        refused(u, "+24740009")                              # as odd as the first was: refused, and no lock
        time.sleep(0.5)
        assert not locks(g) and usual(g)["score"] < 100
    finally:
        u.close()
        pbx.close()
        g.close()


def test_a_lock_and_a_cut_are_told():
    pytest.importorskip("aiosmtpd")
    hook, box = Hook(), Mailbox()
    notify = (f'notify:\n  targets:\n    - {{{{name: mail, smtp: "smtp://127.0.0.1:2525", starttls: no, plaintext: yes, '
              f'from: ringwall@example.com, to: [noc@example.com], events: [fraud-lock]}}}}\n'
              f'    - {{{{name: hook, url: "http://127.0.0.1:{hook.port}/in", plaintext: yes, '
              f'events: [fraud-lock, fraud-cut, fraud-refused]}}}}\n')
    g = made(2, notify)
    g.start()
    u, poor, pbx = phone(g), phone(g, "carol", "127.0.83.21"), Ua(TRUNK, 5070, (LAN, 5060), "udp", "carrier")

    def told(event, who):
        return [e for e in hook.events() if e["event"] == event and who in json.dumps(e)]
    try:
        began = time.time()
        for i in range(6):                                   # locked at the second or third; the others are refused
            refused(u, f"+247400{i:02}")
        assert wait_for(lambda: told("fraud-lock", ALICE), 5), hook.events()
        assert time.time() - began < 8
        answered(poor, pbx, "+33140123456")                  # the cap of the day is some seconds of France
        assert wait_for(lambda: told("fraud-cut", CAROL), 15), hook.events()
        time.sleep(1.5)
        assert len(told("fraud-lock", ALICE)) == 1 and len(told("fraud-cut", CAROL)) == 1, hook.events()
        assert len(hook.events()) <= 8
        assert wait_for(lambda: box.got, 5) and len(box.got) == 1
        assert ALICE in box.got[0][2].decode() and "locked" in box.got[0][2].decode()
    finally:
        for x in (u, poor, pbx):
            x.close()
        g.close()
        hook.close()
        box.close()


def test_who_spends_most():
    """Status adds up all engines, gives names back, and says how much of the cap is gone; caps says what is left."""
    g = made(3)
    g.start()
    u, poor, pbx = phone(g), phone(g, "carol", "127.0.83.21"), Ua(TRUNK, 5070, (LAN, 5060), "udp", "carrier")
    try:
        assert g.ask("fraud", "status")["top"] == {"currency": "", "identities": [], "countries": [], "trunks": []}
        for i in range(3):                                   # 0.11 each, by whatever engines
            hang_up(answered(u, pbx, "+33140123456"), u, pbx)
        hang_up(answered(poor, pbx, "+33140123456"), poor, pbx)
        up = answered(u, pbx, "+4930123456")
        top = wait_for(lambda: (lambda t: t if t["trunks"] and t["trunks"][0]["micro"] >= 440000 else None)(g.ask("fraud", "status")["top"]), 5)
        a, c = top["identities"]
        assert a["name"] == ALICE and a["micro"] >= 330000 and a["calls"] == 1 and "percent" not in a, top
        assert c["name"] == CAROL and 110000 <= c["micro"] <= 130000 and c["micro_cap"] == 160000 and 68 <= c["percent"] <= 82 and c["calls"] == 0, top
        assert [x["name"] for x in top["countries"]] == ["FR", "DE"] and "percent" not in top["countries"][0]
        assert [x["name"] for x in top["trunks"]] == ["carrier"] and top["trunks"][0]["micro"] >= a["micro"] + c["micro"]
        out = g.run("fraud", "status", "--state", g.state).stdout
        assert ALICE in out and "OF CAP" in out and "%d %%" % c["percent"] in out, out
        d = g.ask("fraud", "caps", CAROL)["engines"][0]["identity"]["day"]
        assert d["micro_left"] == 160000 - c["micro"] and "seconds_left" not in d
        out = g.run("fraud", "caps", CAROL, "--state", g.state).stdout
        assert "LEFT" in out and "0.05" in out, out
        hang_up(up, u, pbx)
    finally:
        for x in (u, poor, pbx):
            x.close()
        g.close()
