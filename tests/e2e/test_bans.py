"""Bans: by hand and by detectors, their ends, restarts, exemptions, feeds, and what is told of them."""
import json, os, signal, socket, time
import pytest
from gateway import CONFIG, DOMAIN, PUB, Gateway, wait_for

EXEMPT = "127.0.1.99"
GUARD = """
guard:
  exempt: [127.0.1.99/32]
  ban: {ban}
  escalate: 1h
"""
ESC, CSI8 = "\x1b[31m", "\u009b2J"
SECRET = "0123456789abcdef0123456789abcdef"


def config(ban="1h", extra=""):
    return CONFIG + GUARD.format(ban=ban) + extra.replace("{", "{{").replace("}", "}}")


running = {}


@pytest.fixture(scope="module")
def module_gateway():
    yield running
    if "own" in running:
        running.pop("own").close()


@pytest.fixture
def own(module_gateway):
    """One gateway for the tests that need none of their own; nobody is banned by hand at the start of each."""
    if "own" not in running:
        running["own"] = Gateway(config())
        running["own"].user("alice")
        running["own"].user("bob")
        running["own"].start()
    yield running["own"]
    running["own"].run("bans", "release", "--by", "admin", "--state", running["own"].state)


@pytest.fixture
def alone(module_gateway):
    if "own" in running:
        running.pop("own").close()


def request(method, ip, port, user="x", head="", branch=None):
    host = f"[{ip}]" if ":" in ip else ip
    return (f"{method} sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{branch or time.time_ns()};rport\r\n"
            f"From: <sip:{user}@{DOMAIN}>;tag=1\r\nTo: <sip:{user}@{DOMAIN}>\r\nCall-ID: {time.time_ns()}@{host}\r\nCSeq: 1 {method}\r\n"
            f"Max-Forwards: 70\r\n{head}Content-Length: 0\r\n\r\n").encode()


def answer(ip, user="x", method="OPTIONS", to=None, wait=1.0):
    """First line of what the gateway answers to that address; None: nothing."""
    s = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM)
    with s:
        s.bind((ip, 0))
        s.settimeout(wait)
        s.sendto(request(method, ip, s.getsockname()[1], user), (to or PUB, 5060))
        try:
            return s.recv(4096).split(b"\r\n")[0].decode()
        except TimeoutError:
            return None


def bans(g, *args):
    return g.ask("bans", "list", *args)["bans"]


def add(g, *args):
    return g.ask("bans", "add", *args)["ban"]


def refused(g, *args):
    r = g.run(*args, "--state", g.state)
    assert r.returncode in (1, 2, 5), f"{args}: exit {r.returncode}: {r.stdout}"
    return r.stderr


def events(g, what):
    return [e for e in g.ask("events", "--last", "1000")["events"] if e["event"] == what]


def eve(g):
    return [json.loads(line) for line in open(g.state + "/store/eve.json", encoding="ascii")]


def test_add_list_show_release(own):
    b = add(own, "127.0.1.40", "--for", "2h", "--why", "a test")
    assert b["address"] == "127.0.1.40" and b["treat"] == "ban" and b["by"] == "admin" and b["why"] == "a test" and 7190 < b["left_s"] <= 7200
    assert [x["id"] for x in bans(own, "127.0.1.40")] == [b["id"]] and bans(own, "127.0.1.41") == []
    assert own.ask("bans", "show", str(b["id"]))["ban"]["since_us"] == b["since_us"]
    pair, aor, number = add(own, "127.0.1.41", "alice"), add(own, f"alice@{DOMAIN}"), add(own, "+4930123", "--treat", "drop")
    assert (pair["scope"], aor["scope"], aor["treat"], number["scope"], number["treat"]) == ("pair", "aor", "lock", "number", "drop")
    assert {x["id"] for x in bans(own, "--scope", "aor")} == {aor["id"]} and len(bans(own, "--by", "admin")) == 4 and bans(own, "--by", "detector") == []
    ids = [x["id"] for x in bans(own)]
    assert ids == sorted(ids, reverse=True) and len(set(ids)) == 4
    assert own.ask("bans", "release", "alice")["released"] == 2 and {x["id"] for x in bans(own)} == {b["id"], number["id"]}
    assert own.ask("bans", "release", str(b["id"]))["released"] == 1 and own.ask("bans", "release", "+4930123")["released"] == 1 and bans(own) == []
    assert "no ban of that number" in refused(own, "bans", "show", str(b["id"])) and "nothing of that" in refused(own, "bans", "release", "127.0.1.40")
    text = own.run("bans", "add", "127.0.1.40", "--for", "15m", "--state", own.state).stdout
    assert "127.0.1.40" in text and "left" in text
    assert "127.0.1.40" in own.run("bans", "--state", own.state).stdout and own.run("bans", "--help").returncode == 0


@pytest.mark.parametrize("args,why", [
    (["127.0.2.10"], "address of the peer pbx"), (["127.0.1.1"], "address of this gateway"), ([EXEMPT], "guard.exempt has 127.0.1.99"),
    (["127.0.1.96/28"], "guard.exempt has 127.0.1.99"), (["127.0.2.0/24"], "peer"), ([EXEMPT, "alice"], "guard.exempt"),
    (["192.0.0.0/7"], "too wide"), (["2001::/15"], "too wide"), (["192.0.2.1/33"], "no prefix"), (["alice@example.net"], "no user"),
    (["192.0.2.1", "--treat", "lock"], "only a user"), (["192.0.2.1", "--treat", "weigh"], "treat is one of"), (["192.0.2.1", "--for", "0s"], "--for wants"),
    (["192.0.2.1", "--for", "20y"], "--for wants"), (["192.0.2.1", "--why", "x" * 96], "95"), (["192.0.2.0/24", "alice"], "one address"), (['a"b'], "quotes")])
def test_what_cannot_be_banned(own, args, why):
    assert why in refused(own, "bans", "add", *args)
    assert bans(own) == []


def test_banned_gets_nothing_and_others_do(own):
    assert "401" in answer("127.0.1.42")
    b = add(own, "127.0.1.42", "--for", "1h")
    assert answer("127.0.1.42", wait=0.5) is None and answer("127.0.1.42", user="alice", wait=0.5) is None and "401" in answer("127.0.1.43")
    assert wait_for(lambda: own.ask("bans", "show", str(b["id"]))["ban"]["hits"] >= 2, 2)
    own.ask("bans", "release", "127.0.1.42")
    start = time.time()
    assert wait_for(lambda: answer("127.0.1.42", wait=0.2), 3) and time.time() - start < 1.0
    add(own, "127.0.1.48/29", "--treat", "refuse")
    assert "403" in answer("127.0.1.50") and "401" in answer("127.0.1.47")
    assert "within the prefix of ban" in refused(own, "bans", "release", "127.0.1.50")


def test_ipv6_by_64(own):
    assert "401" in answer("::1", to="::1")
    for p in ("2001:db8:1::/64", "2001:db8:2::5"):
        add(own, p)
    assert "address of this gateway" in refused(own, "bans", "add", "::/64")
    assert [b["address"] for b in bans(own, "2001:db8:1::77")] == ["2001:db8:1::/64"]
    assert [b["address"] for b in bans(own, "2001:db8:2::5")] == ["2001:db8:2::5"] and bans(own, "2001:db8:2::6") == []
    assert own.ask("bans", "release", "2001:db8:1::/64")["released"] == 1


def test_it_ends_by_itself(own):
    add(own, "127.0.1.44", "--for", "2s")
    assert answer("127.0.1.44", wait=0.3) is None
    assert wait_for(lambda: answer("127.0.1.44", wait=0.2), 4)
    assert wait_for(lambda: any(e["act"] == "expired" and e["prefix"] == "127.0.1.44/32" for e in events(own, "ban")), 5)
    assert bans(own) == []


def test_user_is_locked(own):
    """A lock holds at every address; of a pair at that one only. Nobody learns which it is."""
    assert "401" in answer("127.0.1.45", user="bob", method="REGISTER")
    add(own, "127.0.1.45", "bob", "--treat", "refuse")
    assert "403" in answer("127.0.1.45", user="bob", method="REGISTER") and "401" in answer("127.0.1.45", user="alice", method="REGISTER")
    assert "401" in answer("127.0.1.46", user="bob", method="REGISTER")


def attack(ip, n=30, names=None):
    """A scanner's work: strangers' users, names and agents that would steer a terminal or end a JSON string."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((ip, 0))
        port = s.getsockname()[1]
        for i in range(n):
            user = names or f"{100 + i}"
            m = (f"REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {ip}:{port};branch=z9hG4bK{time.time_ns()};rport\r\n"
                 f"From: \"{CSI8}\u202e\" <sip:{user}@{DOMAIN}>;tag=1\r\nTo: <sip:{user}@{DOMAIN}>\r\nCall-ID: {time.time_ns()}@{ip}\r\nCSeq: 1 REGISTER\r\n"
                 f"User-Agent: friendly-scanner {CSI8}\\\"}}\r\nContact: <sip:{user}@{ip}>\r\nMax-Forwards: 70\r\n"
                 f"Authorization: Digest username=\"{user}\", realm=\"{DOMAIN}\", nonce=\"made-up\", uri=\"sip:{DOMAIN}\", response=\"{SECRET}\"\r\n"
                 f"Content-Length: 0\r\n\r\n").encode()
            s.sendto(m, (PUB, 5060))
            time.sleep(0.005)


def test_alerts_and_eve(own):
    ip = "127.0.1.60"
    attack(ip)
    assert wait_for(lambda: own.ask("alerts", ip)["alerts"], 5), open(own.log).read()
    assert wait_for(lambda: any(e.get("src_ip") == ip and e["event_type"] == "alert" for e in eve(own)), 5)
    a = next(e for e in eve(own) if e.get("src_ip") == ip and e["event_type"] == "alert")
    assert time.strptime(a["timestamp"][:19], "%Y-%m-%dT%H:%M:%S") and a["timestamp"][19] == "." and a["timestamp"][-5:] == "+0000"
    for key, kind in (("flow_id", int), ("src_port", int), ("dest_ip", str), ("dest_port", int), ("proto", str), ("app_proto", str), ("alert", dict), ("ringwall", dict)):
        assert isinstance(a[key], kind), f"{key}: {a}"
    assert (a["dest_ip"], a["dest_port"], a["proto"], a["app_proto"]) == (PUB, 5060, "UDP", "sip") and a["flow_id"] < 2 ** 53
    for key in ("action", "gid", "signature_id", "rev", "signature", "category", "severity"):
        assert key in a["alert"], f"{key}: {a}"
    assert a["alert"]["action"] in ("allowed", "blocked") and 1 <= a["alert"]["severity"] <= 4
    for key in ("score", "treat", "dry_run", "by"):
        assert key in a["ringwall"], f"{key}: {a}"
    who = own.ask("explain", ip)
    assert who["alerts"] and who["engines"] and own.run("explain", ip, "--state", own.state).returncode == 0
    verify = own.run("verify-log", "--state", own.state)
    assert verify.returncode == 0, verify.stdout
    # nothing of the peer's can steer a terminal, and no credentials are kept, wherever it stands
    out = "".join(own.run(*c, "--state", own.state).stdout for c in (["alerts", ip], ["bans"], ["explain", ip], ["events", "--last", "200"]))
    raw = open(own.log, "rb").read() + open(own.state + "/store/eve.json", "rb").read() + out.encode()
    for bad in (b"\x1b", b"\xc2\x9b", b"\xe2\x80\xae", SECRET.encode()):
        assert bad not in raw, f"{bad} in {raw[max(0, raw.find(bad) - 200):raw.find(bad) + 50]}"
    events_raw = open(own.state + "/store/events.jsonl", "rb").read()
    assert SECRET.encode() not in events_raw and b"\x1b" not in events_raw
    kept = [x["evidence"] for x in own.ask("alerts", ip)["alerts"] if x.get("evidence")]
    for e in kept[:3]:
        text = own.ask("alerts", "evidence", str(e))["text"]
        assert SECRET not in text and all(c == "\n" or " " <= c <= "~" for c in text) and "SIP/2.0" in text
    own.run("bans", "release", ip, "--state", own.state)


def test_detector_bans_and_escalates(alone):
    """The second ban within the time of escalation lasts twice as long; a released one does not count."""
    g = Gateway(config(ban="3s", extra="  spoofed_ban: 2s\n  detectors: {malformed: {threshold: 10, do: ban, weight: 200}}\n"))
    ip = "127.0.1.61"
    try:
        g.start()

        def junk():
            with socket.create_connection((PUB, 5060), source_address=(ip, 0)) as s:  # a stream: nobody can have forged it
                s.settimeout(0.2)
                try:
                    for _ in range(40):
                        s.sendall(f"OPTIONS sip:{DOMAIN} SIP/2.0\r\nVia: x y z\r\nFrom <\r\nTo;;;\r\nCSeq: x\r\nContent-Length: 0\r\n\r\n".encode())
                        time.sleep(0.01)
                except OSError:
                    pass

        def banned():
            try:
                junk()
            except OSError:
                pass
            found = [b for b in bans(g, ip) if b["treat"] == "ban"]
            return found and found[0]
        first = wait_for(banned, 10, 0.2)
        assert first and not first["forgeable"], f"{bans(g)} {open(g.log).read()}"
        assert first["times"] == 1 and first["left_s"] <= 3
        assert wait_for(lambda: not bans(g, ip), 6)
        second = wait_for(banned, 15, 0.3)
        assert second and second["id"] != first["id"] and second["times"] == 2 and 3 <= (second["until_us"] - second["since_us"]) / 1e6 <= 6.1, second
    finally:
        g.close()


def ends(g):
    return {(b["scope"], b.get("address"), b.get("who"), b.get("until_us"), b["id"], b["treat"]) for b in bans(g)}


@pytest.mark.parametrize("kill", [False, True])
def test_restart_keeps_them(alone, kill):
    g = Gateway(config())
    try:
        g.user("alice")
        g.user("bob")
        g.start()
        add(g, "127.0.1.70", "--for", "1h")
        add(g, "127.0.1.71")
        add(g, "127.0.1.72", "bob", "--treat", "refuse")
        add(g, f"alice@{DOMAIN}", "--for", "2h")
        add(g, "+4930555", "--for", "2h")
        add(g, "127.0.1.73", "--for", "1s")
        released = add(g, "127.0.1.74")
        g.ask("bans", "release", "127.0.1.74")
        time.sleep(1.5)
        before = ends(g)
        assert len(before) == 5
        if kill:
            time.sleep(0.5)  # a batch of the store's
            os.killpg(g.proc.pid, signal.SIGKILL)
            g.proc.wait()
            g.proc = None
            time.sleep(0.5)
        else:
            g.stop()
        g.start()
        assert ends(g) == before
        assert answer("127.0.1.70", wait=0.3) is None and answer("127.0.1.71", wait=0.3) is None and answer("127.0.1.74")
        assert "403" in answer("127.0.1.72", user="bob", method="REGISTER")  # its hash means the same as before
        assert add(g, "127.0.1.75")["id"] > released["id"]
    finally:
        g.close()


def test_store_dies(alone):
    g = Gateway(config())
    try:
        g.start()
        add(g, "127.0.1.80")
        gone = add(g, "127.0.1.81")
        time.sleep(0.5)
        old = g.pids()["store"]
        os.kill(old, signal.SIGKILL)
        add(g, "127.0.1.82", "--for", "1h")
        g.ask("bans", "release", str(gone["id"]))
        assert answer("127.0.1.80", wait=0.3) is None
        assert wait_for(lambda: g.pids().get("store") not in (old, 0, None), 10)
        time.sleep(1)
        before = ends(g)
        assert len(before) == 2
        g.stop()
        g.start()
        assert ends(g) == before
        acts = [(e["act"], e["prefix"]) for e in events(g, "ban")]
        assert ("released", "127.0.1.81/32") in acts and ("added", "127.0.1.82/32") in acts
    finally:
        g.close()


def test_feed_and_reload(alone):
    g = Gateway(config())
    path = os.path.join(g.dir, "feed.txt")

    def feed(lines):
        with open(path + ".new", "w") as f:
            f.write("".join(x + "\n" for x in lines))
        os.rename(path + ".new", path)
        os.chmod(path, 0o644)
    try:
        feed(["# a list", "198.51.100.0/25", "203.0.113.9", "2001:db8:77::/48", "192.0.2.1"])
        g.write(config(extra=f"  feeds: [{{name: bad, file: {path}, ban: yes, refresh: 60s, expires: 1h}}]\n").replace("127.0.1.99/32", "127.0.1.99/32, 192.0.2.0/24"))
        g.start()
        assert wait_for(lambda: len(bans(g, "--by", "feed")) == 3, 15), open(g.log).read()
        assert {b["address"] for b in bans(g, "--by", "feed")} == {"198.51.100.0/25", "203.0.113.9", "2001:db8:77::/48"}
        assert bans(g) == [] and bans(g, "198.51.100.3")[0]["feed"] == "bad" and bans(g, "192.0.2.1") == []
        mine = add(g, "203.0.113.9", "--treat", "kick")
        assert bans(g, "203.0.113.9")[0]["id"] == mine["id"]
        g.ask("bans", "release", str(mine["id"]))
        assert bans(g, "203.0.113.9")[0]["by"] == "feed"
        feed(["203.0.113.9", "203.0.113.10"])
        assert g.run("reload", "--reason", "a test", "--state", g.state).returncode == 0
        assert wait_for(lambda: {b["address"] for b in bans(g, "--by", "feed")} == {"203.0.113.9", "203.0.113.10"}, 15), bans(g, "--by", "feed")
        add(g, "127.0.1.90")
        g.write(config().replace("127.0.1.99/32", "127.0.1.99/32, 127.0.1.90/32"))
        assert g.run("reload", "--reason", "a test", "--state", g.state).returncode == 0
        assert wait_for(lambda: bans(g, "--by", "feed") == [] and bans(g) == [], 5), bans(g)
        assert wait_for(lambda: any(e["act"] == "exempted" and e["prefix"] == "127.0.1.90/32" for e in events(g, "ban")), 3)
        assert "guard.exempt has 127.0.1.90" in refused(g, "bans", "add", "127.0.1.90")
    finally:
        g.close()


def test_dry_run_bans_nobody(alone):
    g = Gateway(config(extra="  mode: dry-run\n"))
    try:
        g.start()
        b = add(g, "127.0.1.91")
        assert b["dry_run"] and answer("127.0.1.91")
        assert g.ask("bans")["dry_run"] and "dry run" in g.run("bans", "--state", g.state).stdout
        g.write(config())
        assert g.run("reload", "--reason", "a test", "--state", g.state).returncode == 0
        assert wait_for(lambda: answer("127.0.1.91", wait=0.2) is None, 3) and not bans(g)[0]["dry_run"]
    finally:
        g.close()
