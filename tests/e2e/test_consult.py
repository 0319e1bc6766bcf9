"""A third party is asked over HTTPS before a call leaves by a trunk: its answers, everything that is none, and calls that do not wait for it."""
import http.server, json, os, select, signal, ssl, threading, time
import pytest
from gateway import Gateway, wait_for
from house import Authority
from office import office
from ua import Call, Ua, sdp

GW, LAN, PHONE, NET = "127.0.87.1", "127.0.88.1", "127.0.87.20", "127.0.88."
CONFIG = office("127.0.87", "127.0.88", """
sites:
  - {{name: berlin, country: DE, area: "30", international: "00", national: "0"}}
peers:
  - {{name: first, kind: trunk, zone: lan, listener: lan, address: "127.0.88.10:5070"}}
  - {{name: second, kind: trunk, zone: lan, listener: lan, address: "127.0.88.11:5070"}}
  - {{name: pbx, kind: pbx, zone: lan, listener: lan, address: "127.0.88.13:5070"}}
roles:
  - {{name: user, outbound: yes, dial: [internal, emergency, local, national, mobile], caps: {{calls: 50, attempts: 0}}}}
routes:
  - {{name: out, pattern: "0.", to: {{peers: [first, second]}}}}
  - {{name: help, pattern: "112", to: {{peers: [first]}}}}
  - {{name: inside, pattern: "7X", to: {{peers: [pbx]}}}}
  - {{name: users, pattern: "*", to: users}}
""")
NUMBER = "03012345678"


class Judge:
    """Answers as told by say(question): (status, body) or (status, body, headers); None: hangs up; a float: says nothing for so long."""
    def __init__(self, authority, port=0):
        self.asked, self.paths, judge = [], [], self
        self.say = lambda q: (200, '{"allow": true}')

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                judge.paths.append((self.path, self.headers["Content-Type"]))
                judge.asked.append(json.loads(body))
                a = judge.say(judge.asked[-1])
                if isinstance(a, float):
                    time.sleep(a)
                    a = (200, '{"allow": true}')
                if a is None:
                    self.close_connection = True
                    return
                self.send_response(a[0])
                for k, v in (a[2] if len(a) > 2 else {}).items():
                    self.send_header(k, v)
                self.send_header("Content-Length", str(len(a[1])))
                self.end_headers()
                try:
                    self.wfile.write(a[1].encode())
                except OSError:
                    pass

            do_GET = do_POST

            def log_message(self, *a):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(*authority.issue("localhost"))
        self.server.socket = ctx.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def judge(authority):
    j = Judge(authority)
    yield j
    j.close()


@pytest.fixture
def own(authority):
    made = []

    def make(port, fails="refuse", ca=None, wait="600ms"):
        g = Gateway(config=CONFIG + consult(port, ca or authority.cert, fails, wait), engines=1, ports="27800-27999", limits="calls: 200")
        made.append(g)
        r = g.run("user", "add", "alice", "--json", "--state", g.state, "--number", "+493055501")
        assert r.returncode == 0, r.stdout + r.stderr
        g.passwords["alice"] = json.loads(r.stdout)["password"]
        g.start()
        assert wait_for(lambda: any(p["name"] == "fetch" and p["state"] == "running" for p in g.status()["programs"]), 10)
        return g
    yield make
    for g in made:
        g.close()


@pytest.fixture
def net():
    v = {n: Ua(NET + a, 5070, (LAN, 5060), "udp", n) for n, a in (("first", "10"), ("second", "11"), ("pbx", "13"))}
    yield v
    for u in v.values():
        u.close()


def consult(port, ca, fails="refuse", wait="600ms"):
    return f'consult: {{{{url: "https://localhost:{port}/calls?from=gw", ca: {ca}, private: yes, wait: {wait}, fails: {fails}}}}}\n'


def phone(g):
    return Ua(PHONE, 0, (GW, 5060), "udp", "alice", g.passwords["alice"])


def rings(net, timeout=2.0):
    end = time.time() + timeout
    while time.time() < end:
        ready = select.select([u.s for u in net.values()], [], [], max(end - time.time(), 0))[0]
        for n, u in net.items():
            if u.s in ready and (m := u.recv(0.1)) and m.method == "INVITE":
                return n, m
    return None, None


def dial(u, number=NUMBER):
    c = Call(u, number, sdp(PHONE, 42000))
    c.invite()
    return c


def goes(a, net, number=NUMBER):
    """The call reached a trunk; it ends there as busy."""
    c = dial(a, number)
    name, inv = rings(net)
    assert name, a.recv(0.5)
    net[name].reply(inv, 486, "Busy Here", "t" + os.urandom(2).hex())
    net[name].expect("ACK")
    c.ack(a.expect("486"))
    return name


def refused(a, net):
    c = dial(a)
    c.ack(a.expect("403", 3))
    assert not rings(net, 0.1)[0]


def test_its_answers(own, judge, net):
    g = own(judge.port)
    a = phone(g)
    assert goes(a, net) == "first"
    q = judge.asked[0]
    assert judge.paths == [("/calls?from=gw", "application/json")]
    assert abs(q.pop("at") - time.time()) < 5 and isinstance(q.pop("session"), int)
    assert q == {"user": "alice@example.com", "caller": "+493055501", "dialled": NUMBER, "callee": "+493012345678", "class": "local",
                 "country": "DE", "trunks": ["first", "second"]}
    judge.say = lambda q: (200, '{"allow": false, "why": "on my list", "score": 99}')
    refused(a, net)
    judge.say = lambda q: (403, "no")
    refused(a, net)
    assert g.reason("fraud_asked") == 2 and g.reason("consult_failed") == 0
    assert "consult: on my list" in open(g.log).read()
    x = wait_for(lambda: [r for r in g.ask("cdr", "--last", "9")["cdrs"] if r["reason"] == "fraud_asked"], 5)
    assert len(x) == 2 and x[0]["code"] == 403
    judge.say = lambda q: (200, '{"allow": true}')
    p = net["pbx"]  # a PBX's call is asked about by the number that it shows
    c = Call(p, NUMBER, sdp(NET + "13", 42000))
    p.user = "03055577"
    c.invite(auth=False)
    name, inv = rings({n: u for n, u in net.items() if n != "pbx"})
    assert name == "first"
    net[name].reply(inv, 486, "Busy Here", "x")
    net[name].expect("ACK")
    c.ack(p.expect("486"))
    assert judge.asked[-1]["peer"] == "pbx" and judge.asked[-1]["caller"] == "+493055577" and "user" not in judge.asked[-1]
    asked = len(judge.asked)
    judge.say = lambda q: (200, '{"allow": false}')
    assert goes(a, net, "112") == "first", "a call for help is not asked about"
    assert goes(a, net, "77") == "pbx", "nor is one that stays inside"
    assert len(judge.asked) == asked
    for number, asks in ((NUMBER, {"url": f"https://localhost:{judge.port}/calls?from=gw", "fails": "refuse"}), ("112", None), ("77", None)):
        r = g.run("explain", "--as", "alice", "--to", number, "--config", g.config, "--state", g.state, "--json")
        assert r.returncode == 0 and json.loads(r.stdout).get("asks") == asks, r.stdout + r.stderr
    assert len(judge.asked) == asked, "who explains asks nobody"
    r = g.run("explain", "--as", "alice", "--to", NUMBER, "--config", g.config, "--state", g.state)
    assert "first; without an answer: refuse" in r.stdout, r.stdout


@pytest.mark.parametrize("fails", ["refuse", "pass"])
def test_what_is_no_answer(own, judge, net, fails):
    g = own(judge.port, fails)
    a = phone(g)
    outcome = (lambda: refused(a, net)) if fails == "refuse" else (lambda: goes(a, net))
    says = [2.0, None, (200, "{"), (200, ""), (200, "[]"), (200, '{"allow": "yes"}'), (200, '{"allow": true, "allow": true}'), (204, ""), (500, '{"allow": true}'),
            (401, '{"allow": true}'), (403, '{"allow": true}'), (200, '{"allow": true, "x": "' + "y" * 5000 + '"}'),
            (302, "", {"Location": f"https://localhost:{judge.port}/elsewhere"})]
    for n, say in enumerate(says, 1):
        judge.say = lambda q: say
        t = time.time()
        outcome()
        assert time.time() - t < 1.5, say
        assert g.reason("consult_failed") == n, say
    assert {p for p, _ in judge.paths} == {"/calls?from=gw"} and g.reason("fraud_asked") == (len(says) if fails == "refuse" else 0)
    judge.say = lambda q: (200, '{"allow": true}')
    goes(a, net)
    judge.close()
    outcome()
    assert g.reason("consult_failed") == len(says) + 1, "nobody listens there"
    os.kill(g.pids()["fetch"], signal.SIGSTOP)  # nothing comes back: the engine waits no longer than it was told
    t = time.time()
    outcome()
    assert 0.5 < time.time() - t < 1.5 and g.reason("consult_failed") == len(says) + 2
    os.kill(g.pids()["fetch"], signal.SIGCONT)
    assert g.idle()


def test_who_answers_is_proved(own, judge, net, tmp_path):
    (tmp_path / "other").mkdir()
    g = own(judge.port, ca=Authority(tmp_path / "other").cert)
    refused(phone(g), net)
    assert not judge.asked and g.reason("consult_failed") == 1
    assert "certificate is not good" in open(g.log).read()


def test_the_caller_does_not_wait(own, judge, net):
    g = own(judge.port, wait="3s")
    a = phone(g)
    judge.say = lambda q: 1.0
    c = dial(a)
    assert wait_for(lambda: judge.asked, 2)
    c.cancel()
    c.ack(a.expect("487", 2, skip=("200", "100")))
    assert not rings(net, 1.5)[0], "the answer that comes then is to nobody"
    assert g.idle()
    judge.say = lambda q: (200, '{"allow": true}')
    goes(a, net)


def test_reload(own, judge, net, authority):
    g = own(judge.port)
    a = phone(g)
    judge.say = lambda q: (403, "")
    refused(a, net)
    second = Judge(authority)
    try:
        g.write(CONFIG + consult(second.port, authority.cert))
        assert g.run("reload", "--state", g.state).returncode == 0
        goes(a, net)
        assert len(second.asked) == 1 and len(judge.asked) == 1
    finally:
        second.close()
    bad = (CONFIG + consult(judge.port, authority.cert)).replace("private: yes, ", "")
    g.write(bad)
    r = g.run("reload", "--state", g.state)
    assert r.returncode and "say private: yes" in r.stdout + r.stderr and f":{bad.count(chr(10))}:" in r.stdout + r.stderr, r.stdout + r.stderr
    for less, told in ((CONFIG + consult(judge.port, authority.cert, "pass"), "says nothing of"), (CONFIG, "asks nobody about calls")):
        g.write(less)
        r = g.run("reload", "--state", g.state)
        assert r.returncode and told in r.stderr and "--reason" in r.stderr, r.stdout + r.stderr
    r = g.run("reload", "--state", g.state, "--reason", "the service has ended")
    assert r.returncode == 0, r.stdout + r.stderr
    goes(a, net)
    assert len(judge.asked) == 1, "nobody is asked any more"
