"""Records of calls: one for each attempt of somebody known, also of one that was refused, and their export as CSV and JSON lines."""
import csv, io, json, os, time
import pytest
from gateway import Gateway, wait_for
from office import office
from ua import Call, Ua, sdp

GW, LAN, PHONE, TRUNK = "127.0.79.1", "127.0.80.1", "127.0.79.20", "127.0.80.10"
CONFIG = office("127.0.79", "127.0.80", """
peers:
  - {{name: carrier, kind: pbx, zone: lan, listener: lan, address: "127.0.80.10:5070", trust_identity: yes}}
roles:
  - {{name: user, outbound: yes}}
routes:
  - {{name: no, pattern: "0900.", to: refuse}}
  - {{name: out, pattern: "0.", to: {{peers: [carrier]}}}}
  - {{name: users, pattern: "*", to: users}}
""")


@pytest.fixture(scope="module")
def g():
    g = Gateway(config=CONFIG, engines=2, ports="27600-27799", limits="calls: 100")
    g.user("alice")
    yield g.start()
    g.close()


@pytest.fixture(scope="module")
def made(g):
    """One answered call, one busy, one refused by a rule, one of nobody; Call-IDs."""
    u, pbx = Ua(PHONE, 0, (GW, 5060), "udp", "alice", g.passwords["alice"]), Ua(TRUNK, 5070, (LAN, 5060), "udp", "carrier")
    ids = {}

    def record(c):
        return wait_for(lambda: [x for x in g.ask("cdr", "--last", "50")["cdrs"] if x["legs"] and x["legs"][0]["call_id"] == c.id], 5)
    c = Call(u, "0301234", sdp(PHONE, 42000))
    c.invite()
    inv = pbx.expect("INVITE")
    pbx.reply(inv, 200, "OK", "p1", body=sdp(TRUNK, 41000))
    c.answered()
    pbx.expect("ACK")
    time.sleep(1.1)
    c.within("BYE")
    pbx.reply(pbx.expect("BYE"), 200, "OK")
    u.expect("200")
    ids["answered"] = record(c)[0]
    c = Call(u, "0305678", sdp(PHONE, 42000))
    c.invite()
    inv = pbx.expect("INVITE")
    pbx.reply(inv, 486, "Busy Here", "p2")
    pbx.expect("ACK")
    u.expect("486")
    ids["busy"] = record(c)[0]
    c = Call(u, "0900123456", sdp(PHONE, 42000))
    c.invite()
    u.expect("403")
    ids["refused"] = record(c)[0]
    n = Ua(PHONE, 0, (GW, 5060), "udp", "mallory", "guessed")
    c = Call(n, "0301234", sdp(PHONE, 42000))
    c.invite()
    n.expect("403")
    ids["nobody"] = c.id
    for x in (u, pbx, n):
        x.close()
    return ids


def test_one_for_each_attempt_of_somebody(g, made):
    assert made["answered"]["code"] == 200 and made["answered"]["trunk"] == "carrier" and made["answered"]["role"] == "user"
    assert made["busy"]["code"] == 486 and not made["busy"].get("answer_us")
    r = made["refused"]
    assert r["code"] == 403 and r["reason"] == "right_barred" and r["user"] == "alice@example.com" and r["ended_by"] == "gateway"
    assert "right=refuse:right_barred" in r["trace"] and r["legs"][0]["peer"].startswith(PHONE)
    time.sleep(0.5)
    assert not [x for x in g.ask("cdr", "--last", "50")["cdrs"] if x["legs"][0]["call_id"] == made["nobody"]], "who is nobody fills no records"


def test_export(g, made, tmp_path):
    r = g.run("cdr", "export", "--state", g.state)
    assert r.returncode == 0, r.stderr
    rows = list(csv.DictReader(io.StringIO(r.stdout, newline="")))
    by = {x["call_id"]: x for x in rows}
    a = by[made["answered"]["legs"][0]["call_id"]]
    assert a["user"] == "alice@example.com" and a["trunk"] == "carrier" and a["code"] == "200" and a["aborted"] == "no"
    assert a["start"] <= a["answer"] < a["end"] and a["start"].endswith("Z")
    assert by[made["refused"]["legs"][0]["call_id"]]["reason"] == "right_barred"
    assert [int(x["id"]) for x in rows] == sorted(int(x["id"]) for x in rows)
    path = tmp_path / "out.jsonl"
    r = g.run("cdr", "export", str(path), "--json", "--state", g.state)
    assert r.returncode == 0 and f"{len(rows)} records" in r.stderr
    lines = [json.loads(x) for x in path.read_text().splitlines()]
    assert [x["id"] for x in lines] == [int(x["id"]) for x in rows]
    r = g.run("cdr", "export", str(path), "--state", g.state)
    assert r.returncode != 0 and "is there" in r.stderr, "nothing is written over"
    r = g.run("cdr", "export", "--since", "2099-01-01", "--state", g.state)
    assert r.returncode == 0 and len(r.stdout.splitlines()) == 1
    r = g.run("cdr", "export", "--user", "bob@example.com", "--state", g.state)
    assert r.returncode == 0 and len(r.stdout.splitlines()) == 1
    assert g.run("cdr", "exprot", "--state", g.state).returncode == 2
