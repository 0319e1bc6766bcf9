"""ringwall fraud: over a history without a gateway, and what a running one says of caps and behaviour."""
import datetime, json, os, subprocess
import pytest
from gateway import Gateway, wait_for
from test_cdr import CONFIG, GW, LAN, PHONE, TRUNK
from ua import Call, Ua, sdp

BUILD = os.environ.get("RINGWALL_BUILD", "build")
PROGRAM = os.path.join(BUILD, "src/app/cli/ringwall")
OPEN = """
domains: [example.com]
sites:
  - {name: berlin, country: DE}
roles:
  - {name: user, outbound: yes, dial: [internal, local, national, mobile, international, satellite], countries: all, step_up: none}
"""


def fraud(*words):
    r = subprocess.run([PROGRAM, "fraud", *map(str, words)], capture_output=True, text=True, timeout=60)
    return r.returncode, r.stdout, r.stderr


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """Office days of alice, then a night of calls to an island by somebody with her password. Columns in an order of their own, one unknown."""
    path = tmp_path_factory.mktemp("fraud") / "cdrs.csv"
    t0 = datetime.datetime(2026, 6, 1)
    lines = ["label,start,answer,user,to_e164,class,seconds,code,price_micro,source_country,colour"]

    def row(t, to, kind, seconds, price, source, label):
        at = t.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        lines.append(f'{label},{at},{at},"alice@example.com",{to},{kind},{seconds},200,{price},{source},blue')

    for day in range(30):
        for i in range(6):
            row(t0 + datetime.timedelta(days=day, hours=8 + i), f"+493012345{i:02}", "national", 120, 20000, "DE", "ok")
    for i in range(20):
        row(t0 + datetime.timedelta(days=30, hours=2, minutes=12 * i), f"+2474{i:04}", "international", 600, 9000000, "RO", "fraud")
    path.write_text("\r\n".join(lines) + "\r\n")
    return path


def test_default_refuses_by_class(history):
    code, out, err = fraud("replay", history, "--json")
    assert code == 0, err
    d = json.loads(out)
    assert d["records"] == 200 and d["outside"] == 200
    assert d["by_reason"] == {"right_class": 20} and d["saved_micro"] == 180000000
    assert d["labels"] == {"fraud": 20, "fraud_stopped": 20, "honest": 180, "false_alarms": 0}


def test_behaviour_locks_where_all_is_open(history, tmp_path):
    config = tmp_path / "open.yaml"
    config.write_text(OPEN)
    code, out, err = fraud("replay", history, "--config", config, "--json")
    assert code == 0, err
    d = json.loads(out)
    assert [x["user"] for x in d["locks"]] == ["alice@example.com"] and "range" in d["locks"][0]["signs"]
    assert d["labels"]["fraud_stopped"] >= 18 and d["labels"]["false_alarms"] == 0
    assert d["saved_micro"] >= 150000000


def test_dry_run_against(history, tmp_path):
    a, b = tmp_path / "a.yaml", tmp_path / "b.yaml"
    a.write_text(OPEN)
    b.write_text(OPEN + "fraud: {mode: off}\n")
    code, out, err = fraud("replay", history, "--config", a, "--against", b, "--json")
    assert code == 0, err
    d = json.loads(out)
    assert d["locks"] and not d["against"]["locks"]
    assert d["saved_micro"] > d["against"]["saved_micro"]  # caps alone


def test_caps_of_places_and_roles(history, tmp_path):
    """The ledger's keys are those of a running gateway: an hour a day to an island is six of its twenty calls, by whatever is capped."""
    config = tmp_path / "caps.yaml"
    hour, wide = "{minutes: {day: 60}}", "caps: {calls: 9, call_money: 9000, minutes: {month: 90000}, money: {hour: 9000, day: 9000, month: 90000}}"
    for role, rates, stopped in (("", f"country: AC, caps: {hour}", 14), ("", f'prefix: "+2474", caps: {hour}', 14), (f", whole: {hour}", "country: AT, caps: {calls: 1}", 14),
                                 ("", f"country: AT, caps: {hour}", 0)):
        config.write_text(OPEN.replace("step_up: none", f"step_up: none, {wide}{role}") + f"rates: {{places: [{{{rates}}}]}}\nfraud: {{mode: off}}\n")
        code, out, err = fraud("replay", history, "--config", config, "--json")
        assert code == 0, err
        d = json.loads(out)
        assert d["by_reason"] == ({"fraud_minutes": stopped} if stopped else {}) and d["refused"] == stopped, (role, rates, d["by_reason"])


def test_bad_files_are_told(history, tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("a,b\n1,2\n")
    code, _, err = fraud("replay", bad)
    assert code == 1 and "no head" in err
    code, _, err = fraud("replay", tmp_path / "none.csv")
    assert code == 1 and "No such file" in err
    bad.write_text("start,to_e164,user\nyesterday,+4930,alice\n")
    code, out, err = fraud("replay", bad)
    assert code == 0 and "bad.csv:2: the time of start" in err and "1 lines could not be read" in out
    assert fraud("replay")[0] == 2 and fraud("moon")[0] == 2


def test_locked_by_calls_and_released():
    """Calls to an island lock alice: told by locks, and gone after release."""
    text = CONFIG.replace("roles:\n  - {{name: user, outbound: yes}}",
                          "sites:\n  - {{name: berlin, country: DE}}\n"
                          "roles:\n  - {{name: user, outbound: yes, dial: [internal, local, national, mobile, international], countries: all, step_up: none}}")
    g = Gateway(config=text.replace('pattern: "0."', 'pattern: "+."'), engines=1, ports="27600-27799", limits="calls: 100")
    g.user("alice")
    g.start()
    u = Ua(PHONE, 0, (GW, 5060), "udp", "alice", g.passwords["alice"])
    try:
        for i in range(3):  # each is refused, the second or third locks
            c = Call(u, f"+247400{i:02}", sdp(PHONE, 42000))
            c.invite()
            u.expect("403")
        locks = wait_for(lambda: json.loads(fraud("locks", "--state", g.state, "--json")[1])["locks"], 5)
        assert locks[0]["who"] == "alice@example.com" and locks[0]["reason"] == "fraud_locked"
        said = g.run("explain", "--as", "alice", "--to", "+49301234567", "--state", g.state).stdout
        assert "would be refused" in said and "fraud_locked" in said and "decides  no line of the configuration, but a state: ringwall fraud release" in said, said
        code, out, err = fraud("release", "alice@example.com", "--reason", "was on holiday there", "--state", g.state)
        assert code == 0 and "1 lock released" in out, err
        assert json.loads(fraud("locks", "--state", g.state, "--json")[1]) == {"locks": []}
    finally:
        u.close()
        g.close()


@pytest.fixture(scope="module")
def g():
    g = Gateway(config=CONFIG, engines=1, ports="27600-27799", limits="calls: 100")
    g.user("alice")
    yield g.start()
    g.close()


def test_running_gateway(g):
    code, out, err = fraud("status", "--state", g.state, "--json")
    assert code == 0, err
    assert '"system"' in out and '"signs"' in out
    code, out, err = fraud("caps", "alice@example.com", "--state", g.state, "--json")
    assert code == 0, err
    d = json.loads(out)
    one = d["engines"][0] if "engines" in d else d
    assert one["identity"]["calls_cap"] == 2 and one["identity"]["day"]["micro_cap"] > 0 and one["locked"] is False
    code, out, err = fraud("explain", "alice@example.com", "--state", g.state)
    assert code == 0 and "identity" in out
    code, out, err = fraud("locks", "--state", g.state, "--json")
    assert code == 0 and json.loads(out) == {"locks": []}
    assert fraud("release", "alice@example.com", "--state", g.state)[0] == 2  # without a reason
    code, _, err = fraud("release", "alice@example.com", "--reason", "test", "--state", g.state)
    assert code == 1 and "nobody" in err
