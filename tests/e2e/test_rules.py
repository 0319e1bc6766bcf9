"""Signatures in a running gateway: in force at start, after a reload and after a crash; a bad file is refused."""
import os, socket

from gateway import CONFIG, Gateway, PHONE, PUB, wait_for

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")
PACK = os.path.join(ROOT, "packaging", "rules")
GUARD = """guard:
  exempt: [127.0.1.0/24]    # what rules do is looked at here, not what scores do
  rules: [{pack}/ringwall.rules, {own}]
"""
DROP = 'drop sip any any -> any any (msg:"test: mark"; content:"|0d 0a|X-Mark|3a| one|0d 0a|"; sid:1000001; rev:1;)\n'
PCRE = 'drop sip any any -> any any (msg:"test: backref"; sip.user_agent; pcre:"/^(ab+)-\\1$/"; sid:1000002; rev:1;)\n'


def ask(extra, seconds=1.5):
    """The status line that an OPTIONS gets, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((PHONE, 0))
        s.settimeout(seconds)
        ask.n = getattr(ask, "n", 0) + 1
        port = s.getsockname()[1]
        s.sendto((f"OPTIONS sip:{PUB} SIP/2.0\r\nVia: SIP/2.0/UDP {PHONE}:{port};branch=z9hG4bKr{ask.n}{os.getpid()}\r\nMax-Forwards: 70\r\n"
                  f"From: <sip:carol@example.com>;tag=1\r\nTo: <sip:{PUB}>\r\nCall-ID: rules{ask.n}{os.getpid()}\r\nCSeq: 1 OPTIONS\r\n{extra}"
                  "Content-Length: 0\r\n\r\n").encode(), (PUB, 5060))
        try:
            return s.recv(4096).split(b"\r\n")[0].decode()
        except socket.timeout:
            return None


def with_rules(g, text):
    own = os.path.join(g.dir, "own.rules")
    with open(own, "w") as f:
        f.write(text)
    g.write(CONFIG.format(**g.fill) + GUARD.format(pack=os.path.abspath(PACK), own=own))


def test_rules_in_force():
    g = Gateway(engines=1)
    try:
        with_rules(g, DROP)
        assert g.run("check", g.config).returncode == 0
        g.start()
        assert ask("") is not None
        assert ask("X-Mark: one\r\n") is None
        assert ask("X-Mark: two\r\n") is not None
        assert ask("User-Agent: friendly-scanner\r\n") is not None
        told = wait_for(lambda: {a["sid"]: a for a in g.ask("alerts")["alerts"]} if len(g.ask("alerts")["alerts"]) >= 2 else None, 5)
        assert told[1000001]["action"] == "drop" and told[1000001]["message"] == "test: mark"
        assert told[9000001]["action"] == "alert" and told[9000001]["source"].startswith(PHONE)
        assert ask("User-Agent: abb-abb\r\n") is not None
        with_rules(g, DROP + PCRE)
        r = g.run("reload", "--reason", "a test", "--state", g.state)
        assert r.returncode == 0, r.stdout + r.stderr
        assert wait_for(lambda: ask("User-Agent: abb-abb\r\n", 0.5) is None, 5)
        assert ask("User-Agent: abb-ab\r\n") is not None
        assert ask("X-Mark: one\r\n") is None
        # a file with mistakes changes nothing
        with_rules(g, DROP + "\n  alert sip any any -> any any (sip.uri; contant:\"x\"; sid:5;)\n")
        r = g.run("check", g.config)
        assert r.returncode == 1 and "own.rules:3:42: keyword \"contant\" is not known; did you mean content?" in r.stdout, r.stdout
        r = g.run("reload", "--reason", "a test", "--state", g.state)
        assert r.returncode != 0 and "own.rules:3:42" in r.stdout + r.stderr, r.stdout + r.stderr
        assert ask("User-Agent: abb-abb\r\n") is None
        # an engine that starts again has them, too
        pid = g.pids()["engine0"]
        os.kill(pid, 9)
        assert wait_for(lambda: g.status()["state"] == "running" and g.pids().get("engine0") not in (None, 0, pid), 15)
        assert wait_for(lambda: ask("", 0.5) is not None, 10)
        assert ask("X-Mark: one\r\n") is None
        # none any more
        g.write(CONFIG)
        assert g.run("reload", "--reason", "a test", "--state", g.state).returncode == 0
        assert wait_for(lambda: ask("X-Mark: one\r\n", 0.5) is not None, 5)
    finally:
        g.close()


def test_a_gateway_with_bad_rules_does_not_start():
    g = Gateway(engines=1)
    try:
        with_rules(g, "alert sip any any -> any any (content:\"x\";)\n")
        r = g.run("run", "--config", g.config, "--state", g.state)
        assert r.returncode == 1
        assert "own.rules:1:1: the rule has no sid" in r.stdout + r.stderr
    finally:
        g.close()


def test_command():
    g = Gateway(engines=1)
    try:
        rules = os.path.join(PACK, "ringwall.rules")
        r = g.run("rules", "check", PACK)
        assert r.returncode == 0 and "good:" in r.stdout
        r = g.run("rules", "test", PACK)
        assert r.returncode == 0 and " 0 failed, 0 rules without" in r.stdout, r.stdout
        assert len(g.ask("rules", "list", rules)["rules"]) > 50
        sip = os.path.join(g.dir, "m.sip")
        with open(sip, "w") as f:
            f.write("OPTIONS sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\nFrom: <sip:alice@example.com>;tag=1\n"
                    "To: <sip:bob@example.com>\nCall-ID: 1\nCSeq: 1 OPTIONS\nMax-Forwards: 70\nUser-Agent: friendly-scanner\n")
        assert [h["sid"] for h in g.ask("rules", "try", sip, rules)["hits"]] == [9000001]
        assert "alert 9000001:1" in g.run("rules", "try", sip, rules).stdout
    finally:
        g.close()
