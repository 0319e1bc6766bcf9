"""Who may ask what on the control socket: real users of this machine, roles, reasons, a second person, the glass, the audit."""
import json, os, re, signal, subprocess, time
import pytest
from gateway import CLI, CONFIG, Gateway, wait_for
from test_notify import Hook, hook_row

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="other users are needed: run as root")

# users that every Debian has
VIEWER, OPERATOR, OFFICER, AUDITOR, SECOND, STRANGER = "daemon", "bin", "sys", "games", "man", "nobody"
ADMINS = """
administrators:
  four_eyes: {eyes}
  approval: {approval}
  who:
    - {{{{user: daemon, role: viewer}}}}
    - {{{{user: bin, role: operator}}}}
    - {{{{user: sys, role: security-officer}}}}
    - {{{{user: games, role: auditor}}}}
    - {{{{user: man, role: administrator}}}}
"""


def config(eyes="no", approval="1h", more=""):
    return CONFIG + ADMINS.format(eyes=eyes, approval=approval) + more


def gateway(**kw):
    g = Gateway(config=config(**kw))
    g.user("alice")
    return g.start()


@pytest.fixture
def gw():
    g = gateway()
    yield g
    g.close()


@pytest.fixture
def eyes():
    g = gateway(eyes="yes")
    yield g
    g.close()


def by(g, user, *args, stdin=None):
    return subprocess.run(["setpriv", f"--reuid={user}", "--regid=65534", "--clear-groups", g.cli, *args, "--state", g.state],
                          capture_output=True, text=True, input=stdin, timeout=30, env={"PATH": os.environ["PATH"]})


def raw(g, user, request):
    """A request of one's own making: the text as it stands, the code that came back."""
    program = ("import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.settimeout(25)\ns.connect(sys.argv[1])\n"
               "try:\n s.sendall(sys.argv[2].encode()+b'\\n')\nexcept OSError: pass\n"
               "b=b''\nwhile True:\n try: d=s.recv(65536)\n except OSError: d=b''\n if not d: break\n b+=d\nsys.stdout.write(b.decode())")
    r = subprocess.run(["setpriv", f"--reuid={user}", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", program,
                        os.path.join(g.state, "run", "control.sock"), request], capture_output=True, text=True, timeout=30)
    assert r.returncode == 0, r.stderr
    head, _, body = r.stdout.partition("\n")
    return int(head.split()[0]), body


def acts(g, **match):
    return [a for a in g.ask("audit", "--last", "200")["acts"] if all(a.get(k) == v for k, v in match.items())]


def rows():
    text = open(os.path.join(os.path.dirname(__file__), "../../src/app/monitor/rights.c")).read()
    return re.findall(r'\b(SEE|READ|CHANGE|RISKY)\("([a-z0-9-]+)",(?: (RIGHT_[A-Z]+),)? TO_', text)


HOLDS = {"viewer": {"SEE"}, "auditor": {"SEE", "RECORDS", "AUDIT"}, "operator": {"SEE", "RECORDS", "OPERATE", "USERS"},
         "security-officer": {"SEE", "RECORDS", "AUDIT", "OPERATE", "USERS", "SECURITY", "APPROVE"},
         "administrator": {"SEE", "RECORDS", "AUDIT", "OPERATE", "USERS", "SECURITY", "APPROVE", "ALL"}}
USERS = {"viewer": VIEWER, "operator": OPERATOR, "security-officer": OFFICER, "auditor": AUDITOR, "administrator": SECOND}


@pytest.mark.parametrize("role", list(USERS))
def test_every_command_by_every_role(gw, role):
    """6: forbidden by the role. All else is the command's own answer (no such call, not understood)."""
    seen = 0
    for kind, name, right in rows():
        right = "SEE" if kind == "SEE" else right[len("RIGHT_"):]
        if name.endswith("-") or (right in HOLDS[role] and name == "stop"):
            continue
        code, body = raw(gw, USERS[role], json.dumps({"cmd": name}))
        seen += 1
        assert (code == 6) == (right not in HOLDS[role]), (role, name, code, body)
        if code == 6:
            doc = json.loads(body)
            assert doc["reason"] == "admin_right" and f'"{name}"' in doc["error"] and "administrator" in doc["error"]
    assert seen > 50
    raw(gw, SECOND, '{"cmd":"drain","off":true}')


def test_a_stranger_is_turned_away(gw):
    code, body = raw(gw, STRANGER, '{"cmd":"status"}')
    assert code == 6 and json.loads(body)["reason"] == "admin_unknown"
    r = by(gw, STRANGER, "status")
    assert r.returncode == 4 and "has no role here" in r.stderr
    wait_for(lambda: acts(gw, act="connect", who=STRANGER), 3)
    a = acts(gw, act="connect", who=STRANGER)[0]
    assert a["outcome"] == "forbidden" and a["reason"] == "admin_unknown" and a["uid"] == 65534


def test_strangers_take_no_place(gw):
    import socket
    many = []
    pid = os.fork()
    if pid == 0:
        os.setuid(65534)
        try:
            for _ in range(200):
                s = socket.socket(socket.AF_UNIX)
                s.connect(os.path.join(gw.state, "run", "control.sock"))
                many.append(s)
            time.sleep(2)
        finally:
            os._exit(0)
    time.sleep(0.5)
    assert gw.run("status", "--state", gw.state).returncode == 0
    os.waitpid(pid, 0)


def test_no_way_round_by_the_request(gw):
    """The monitor and the vault must not read two commands in one request."""
    for request in ('{"cmd":"user-list","cmd":"user-del","user":"alice"}', '{"cmd":"user-list","c\\u006dd":"user-del","user":"alice"}',
                    '{"cmd":"user-list"}{"cmd":"user-del","user":"alice"}', '{"cmd":"user-list","a":"\\","b":"}',
                    '["cmd","user-del"]', '{"cmd":"user-del\\u0000","user":"alice"}'):
        code, _ = raw(gw, VIEWER, request)
        assert code in (1, 6), (request, code)
    assert "alice" in gw.run("user", "list", "--state", gw.state).stdout


def test_the_cli_says_which_role_would_do(gw):
    r = by(gw, VIEWER, "drain")
    assert r.returncode == 4 and "daemon is viewer" in r.stderr and "operator, security-officer or administrator may" in r.stderr
    assert by(gw, VIEWER, "status").returncode == 0
    assert by(gw, OPERATOR, "drain").returncode == 0
    assert by(gw, OPERATOR, "drain", "--off", "--reason", "test is over").returncode == 0
    assert by(gw, OPERATOR, "stop").returncode == 4


def test_acts_are_facts(gw):
    r = by(gw, OPERATOR, "bans", "add", "203.0.113.9", "--for", "1h", "--why", "probes")
    assert r.returncode == 0, r.stderr
    r = by(gw, OPERATOR, "user", "add", "carol", "--role", "internal", "--password-stdin", "--reason", "ticket 17", stdin="Secr3t-of-carol-9x2\n")
    assert r.returncode == 0, r.stderr
    wait_for(lambda: acts(gw, act="user-add", who=OPERATOR, what="carol"), 3)
    a = acts(gw, act="user-add", who=OPERATOR, what="carol")[0]
    assert (a["role"], a["why"], a["outcome"], a["uid"]) == ("operator", "ticket 17", "done", 2)
    assert "role=internal" in a["after"] and re.match(r"ringwall, pid \d+$", a["from"])
    b = acts(gw, act="bans-add", who=OPERATOR)[0]
    assert b["what"] == "203.0.113.9" and b["why"] == "probes"
    text = open(os.path.join(gw.state, "store", "events.jsonl")).read()
    assert "admin-act" in text and "Secr3t" not in text
    assert gw.run("verify-log", "--state", gw.state).returncode == 0
    out = by(gw, AUDITOR, "audit", "--last", "5").stdout
    assert "user-add carol" in out and "ticket 17" in out
    assert by(gw, OPERATOR, "audit").returncode == 4


RISK = "\nguard: {{exempt: [203.0.113.0/24]}}\n"


def test_a_risky_reload_wants_a_reason(gw):
    gen = gw.status()["generation"]
    gw.write(config(more=RISK))
    r = by(gw, OPERATOR, "reload")
    assert r.returncode == 1 and "exempts 203.0.113.0/24" in r.stderr and "--reason" in r.stderr
    gw.proc.send_signal(signal.SIGHUP)
    assert wait_for(lambda: "nobody gave a reason" in (gw.status()["config_error"] or ""), 5)
    assert gw.status()["generation"] == gen
    assert by(gw, OPERATOR, "reload", "--reason", "partner's network").returncode == 0
    assert gw.status()["generation"] == gen + 1
    wait_for(lambda: acts(gw, act="reload", outcome="done"), 3)
    a = acts(gw, act="reload", outcome="done")[0]
    assert a["before"] == f"generation {gen}" and f"generation {gen + 1}; exempts 203.0.113.0/24" in a["after"]
    gw.write(config())
    assert by(gw, OPERATOR, "reload").returncode == 0      # back is no risk


def test_four_eyes(eyes):
    g = eyes
    gen = g.status()["generation"]
    g.write(config(eyes="yes", more=RISK))
    assert by(g, OPERATOR, "reload").returncode == 1       # no reason at all
    r = by(g, OFFICER, "reload", "--reason", "partner")
    assert r.returncode == 7 and "approval 1" in r.stderr, r.stderr
    assert g.status()["generation"] == gen
    p = json.loads(by(g, OPERATOR, "approvals", "--json").stdout)["approvals"]
    assert len(p) == 1 and p[0]["who"] == OFFICER and p[0]["why"] == "partner" and "203.0.113.0/24" in p[0]["what"]
    assert g.status()["approvals"][0]["id"] == 1
    r = by(g, OFFICER, "approvals", "approve", "1")
    assert r.returncode == 4 and "second person" in r.stderr
    assert by(g, OPERATOR, "approvals", "approve", "1").returncode == 4
    assert g.status()["generation"] == gen
    r = by(g, SECOND, "approvals", "approve", "1")
    assert r.returncode == 0 and g.status()["generation"] == gen + 1, r.stderr
    assert by(g, SECOND, "approvals", "approve", "1").returncode == 5
    # what is not risky needs nobody
    g.write(config(eyes="yes"))
    assert by(g, OPERATOR, "reload").returncode == 0
    # denied
    g.write(config(eyes="yes", more=RISK))
    assert by(g, OPERATOR, "reload", "--reason", "again").returncode == 7
    assert by(g, OFFICER, "approvals", "deny", "2").returncode == 0
    assert g.status()["approvals"] == []
    # the file changed after somebody had looked
    assert by(g, OPERATOR, "reload", "--reason", "again").returncode == 7
    g.write(config(eyes="yes", more="\nguard: {{exempt: [203.0.112.0/22]}}\n"))
    r = by(g, SECOND, "approvals", "approve", "3")
    assert r.returncode == 1 and "has changed" in r.stderr
    # a signal is nobody
    gen = g.status()["generation"]
    g.proc.send_signal(signal.SIGHUP)
    assert wait_for(lambda: "203.0.112.0/22" in (g.status()["config_error"] or ""), 5) and g.status()["generation"] == gen
    # nor does the rule end by itself
    g.write(config(eyes="no"))
    assert by(g, SECOND, "reload", "--reason", "no more of it").returncode == 7
    wait_for(lambda: acts(g, act="approvals-approve", who=SECOND, outcome="done"), 3)
    a = acts(g, act="approvals-approve", who=SECOND, outcome="done")[0]
    assert a["what"] == f"reload of {OFFICER}" and a["approval"] == "1" and "203.0.113.0/24" in a["before"]
    assert acts(g, act="reload", who=OFFICER, outcome="waits")[0]["reason"] == "admin_second"


def test_fraud_release_waits(eyes):
    assert by(eyes, OFFICER, "status").returncode == 0
    code, body = raw(eyes, OFFICER, '{"cmd":"fraud-release","user":"alice"}')
    assert code == 3 and json.loads(body)["reason"] == "admin_no_reason"
    code, body = raw(eyes, OFFICER, '{"cmd":"fraud-release","user":"alice","reason":"it was he"}')
    assert code == 7 and json.loads(body)["approval"] == 1
    assert raw(eyes, OFFICER, '{"cmd":"approvals-approve","id":1}')[0] == 6
    code, body = raw(eyes, SECOND, '{"cmd":"approvals-approve","id":1}')
    assert code not in (6, 7), (code, body)                # the engines answered


def test_break_glass(eyes):
    g = eyes
    gen = g.status()["generation"]
    g.write(config(eyes="yes", more=RISK))
    assert by(g, OFFICER, "break-glass", "--reason", "fire").returncode == 4
    assert by(g, SECOND, "break-glass").returncode == 2
    assert raw(g, SECOND, '{"cmd":"break-glass"}')[0] == 3
    assert g.status()["generation"] == gen
    assert by(g, SECOND, "break-glass", "--reason", "the line is down").returncode == 0
    s = g.status()
    assert s["generation"] == gen + 1 and s["break_glass"]["who"] == SECOND and "203.0.113.0/24" in s["break_glass"]["what"]
    assert "THE GLASS IS BROKEN by man" in open(g.log).read()
    wait_for(lambda: acts(g, act="break-glass", outcome="done"), 3)
    a = acts(g, act="break-glass", outcome="done")[0]
    assert a["severity"] == "alert" and a["why"] == "the line is down"


def pending(g):
    return [(a["id"], a["who"], a["why"]) for a in g.status()["approvals"]]


def again(g, kill=False):
    """Stopped or killed, and started anew."""
    if kill:
        os.killpg(g.proc.pid, signal.SIGKILL)
        g.proc.wait()
        time.sleep(0.5)
        g.proc = None
    else:
        g.stop()
    g.start()


RELEASE = '{"cmd":"fraud-release","user":"alice","reason":"it was %s"}'


@pytest.mark.parametrize("kill", [False, True])
def test_what_waits_outlives_a_restart(eyes, kill):
    g = eyes
    assert raw(g, OFFICER, RELEASE % "he")[0] == 7 and raw(g, OFFICER, RELEASE % "she")[0] == 7
    assert pending(g) == [(1, OFFICER, "it was he"), (2, OFFICER, "it was she")]
    f = os.path.join(g.state, "approvals")
    assert os.stat(f).st_mode & 0o777 == 0o600
    until = g.status()["approvals"][0]["until_us"]
    again(g, kill)
    assert pending(g) == [(1, OFFICER, "it was he"), (2, OFFICER, "it was she")] and g.status()["approvals"][0]["until_us"] == until
    wait_for(lambda: len(acts(g, act="approval-restored")) == 2, 3)
    a = acts(g, act="approval-restored", approval="1")[0]
    assert a["who"] == OFFICER and a["why"] == "it was he" and a["outcome"] == "waits"
    code, body = raw(g, OFFICER, '{"cmd":"approvals-approve","id":"1"}')
    assert code == 6, body                                  # still not by himself
    assert raw(g, SECOND, '{"cmd":"approvals-approve","id":"1"}')[0] not in (6, 7)
    again(g, kill)
    assert pending(g) == [(2, OFFICER, "it was she")], "carried out twice, or lost"
    assert raw(g, SECOND, '{"cmd":"approvals-approve","id":"1"}')[0] == 2
    assert by(g, SECOND, "approvals", "deny", "2").returncode == 0
    again(g, kill)
    assert pending(g) == [] and raw(g, OFFICER, RELEASE % "he")[0] == 7 and pending(g)[0][0] == 3


def test_damaged_approvals_let_nothing_through(eyes):
    g = eyes
    assert raw(g, OFFICER, RELEASE % "he")[0] == 7
    g.stop()
    f = os.path.join(g.state, "approvals")
    b = bytearray(open(f, "rb").read())
    b[b.index(b"it was he")] ^= 1
    open(f, "wb").write(b)
    g.start()
    assert pending(g) == [] and "nothing waits for a second person any more" in open(g.log).read()
    assert raw(g, SECOND, '{"cmd":"approvals-approve","id":"1"}')[0] == 2


def test_what_expired_meanwhile_is_told_and_dropped():
    g = gateway(eyes="yes", approval="60s")
    try:
        assert raw(g, OFFICER, RELEASE % "he")[0] == 7
        at = time.time()
        g.stop()
        time.sleep(max(0, at + 60.5 - time.time()))
        g.start()
        assert wait_for(lambda: pending(g) == [], 3)
        assert wait_for(lambda: acts(g, act="approval-expired", who=OFFICER), 3)
        assert not acts(g, act="approval-restored") and raw(g, SECOND, '{"cmd":"approvals-approve","id":"1"}')[0] == 2
    finally:
        g.close()


def test_the_broken_glass_outlives_a_restart(eyes):
    g = eyes
    g.write(config(eyes="yes", more=RISK))
    assert by(g, SECOND, "break-glass", "--reason", "the line is down").returncode == 0
    glass = g.status()["break_glass"]
    again(g)
    assert g.status()["break_glass"] == glass
    again(g, kill=True)
    assert g.status()["break_glass"] == glass
    assert "THE GLASS WAS BROKEN" in g.run("status", "--state", g.state).stdout


def test_what_administrators_do_is_told():
    """By webhook: a cap that is raised waits, is raised by two, or by one with a reason; a refusal; the broken glass."""
    h = Hook()
    told = "\nnotify:\n  targets:\n    - " + hook_row(h.port, "approval-wanted, risky-change, break-glass, admin-refused") + "\n"
    raised = lambda n, eyes="yes": config(eyes=eyes, more=told).replace("{{name: internal, outbound: no}}", "{{name: internal, outbound: no, caps: {{calls: %d}}}}" % n)

    def event(name, n=1):
        assert wait_for(lambda: len([e for e in h.events() if e["event"] == name]) == n, 5), (name, h.events())
        return [e for e in h.events() if e["event"] == name][-1]
    g = Gateway(config=config(eyes="yes", more=told)).start()
    try:
        g.write(raised(40))
        assert by(g, OFFICER, "reload", "--reason", "a fair").returncode == 7
        e = event("approval-wanted")
        assert e["who"] == "sys (security-officer)" and e["what"].startswith("reload") and e["why"] == "a fair"
        assert by(g, SECOND, "approvals", "approve", "1").returncode == 0
        e = event("risky-change")
        assert e["who"] == "man (administrator)" and "raises the cap of calls at once" in e["text"] and "internal" in e["text"]
        assert by(g, VIEWER, "drain").returncode == 4
        assert "drain" in event("admin-refused")["what"]
        g.write(raised(60))
        assert by(g, SECOND, "break-glass", "--reason", "the line is down").returncode == 0
        e = event("break-glass")
        assert e["who"] == "man (administrator)" and e["why"] == "the line is down"
        g.write(raised(60, "no"))
        assert by(g, SECOND, "break-glass", "--reason", "no second here").returncode == 0
        event("break-glass", 2)
        g.write(raised(80, "no"))
        assert by(g, OPERATOR, "reload", "--reason", "alone").returncode == 0
        e = event("risky-change", 2)
        assert e["who"] == "bin (operator)" and e["why"] == "alone" and "raises the cap" in e["text"]
        assert by(g, OPERATOR, "reload").returncode == 0     # nothing risky in it
        assert len(h.events()) == 6
    finally:
        g.close()
        h.close()


def test_without_the_section_it_is_as_before():
    g = Gateway(config=CONFIG).start()
    try:
        assert g.run("status", "--state", g.state).returncode == 0
        r = by(g, STRANGER, "status")
        assert r.returncode == 4 and "not permitted" in r.stderr
        assert os.stat(os.path.join(g.state, "run", "control.sock")).st_mode & 0o777 == 0o660
    finally:
        g.close()


@pytest.mark.parametrize("text,said", [
    ("administrators: [{role: viewer}]", "one of user, group, uid and gid"),
    ("administrators: [{user: no-such-user-here, role: viewer}]", "has no user"),
    ("administrators: [{uid: 1, role: king}]", "not known here"),
    ("administrators: [{uid: 1, gid: 2, role: viewer}]", "one of user, group, uid and gid"),
    ("administrators: [{uid: 1, role: viewer}, {uid: 1, role: operator}]", "twice"),
    ("administrators: {four_eyes: yes, who: [{uid: 1, role: viewer}]}", "second person"),
    ("administrators: {who: [{uid: 1, role: viewer}], approval: 1s}", "approval"),
    ("notify: {targets: [{name: x, events: [ban]}]}", "one of \"url\" and \"smtp\""),
    ("notify: {targets: [{name: x, url: \"http://192.0.2.1/\", events: [ban]}]}", "only to this machine"),
    ("notify: {targets: [{name: x, url: \"http://127.0.0.1/\", events: [ban]}]}", "url: http"),
    ("notify: {targets: [{name: x, url: \"https://10.0.0.1/\", events: [ban]}]}", "inside your own network"),
    ("notify: {targets: [{name: x, url: \"https://example.net/\", events: [bann]}]}", "not known here"),
    ("notify: {targets: [{name: x, smtp: \"smtp://mail.example.net\", from: \"a@b\\r\\nBcc: c@d\", to: [a@b], events: [ban]}]}", "control characters"),
    ("notify: {targets: [{name: x, smtp: \"smtp://mail.example.net\", events: [ban]}]}", "needs \"from\" and \"to\""),
    ("notify: {targets: [{name: x, smtp: \"smtp://192.0.2.5\", starttls: no, from: a@b.example, to: [a@b.example], events: [ban]}]}", "only to this machine"),
])
def test_bad_sections_are_told(tmp_path, text, said):
    f = tmp_path / "ringwall.yaml"
    f.write_text("domains: [example.com]\n" + text + "\n")
    r = subprocess.run([CLI, "check", str(f)], capture_output=True, text=True)
    assert r.returncode == 1 and said in r.stdout + r.stderr, r.stdout + r.stderr
