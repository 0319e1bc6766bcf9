"""Full tables, a full disk, programs that do not answer: new work is refused with the right code, what runs and emergency calls go on,
and afterwards everything is as it was."""
import json, os, signal, socket, subprocess, time
import pytest
from gateway import Gateway, wait_for
from house import *

UDP, TLS = (PHONES + "1", 5060), (PHONES + "1", 5061)
# emergency numbers to a peer; the other rules are the house's
RULES = CONFIG.replace("routes:\n", "routes:\n  - {{name: sos, pattern: \"112\", to: {{peers: [dst]}}}}\n")
root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def own():
    made = []

    def make(limits, **k):
        g = Gateway(config=RULES, engines=1, limits=limits, **{"ports": "23000-23399", **k})
        made.append(g)
        g.user("alice")
        return g.start()
    yield make
    for g in made:
        g.close()


class Pair:
    """A peer that calls and one that answers."""
    def __init__(self):
        self.src, self.dst, self.n = caller(), Ua(LAN + "11", 5070, (LAN + "1", 5060), "udp", "dst"), 0

    def call(self, number=None):
        """A call that is answered, or the final response that refused it."""
        self.n += 1
        c = call_from(self.src, number or f"1{self.n:04d}")
        end = time.time() + 6
        while time.time() < end:
            m = self.src.recv(0.02)
            if m and m.code >= 300:
                c.ack(m)
                return m
            inv = self.dst.recv(0.02)
            if inv and inv.method == "INVITE" and not inv.code:
                self.dst.reply(inv, 200, "OK", f"d{self.n}", body=sdp(self.dst.ip, 41000))
                c.answered()
                self.dst.expect("ACK", skip=("100", "INVITE"))
                return c
        raise AssertionError("nothing came of it")

    def end(self, *calls):
        for c in calls:
            c.within("BYE")
            self.dst.reply(self.dst.expect("BYE", skip=("100", "INVITE")), 200, "OK")
            self.src.expect("200")

    def close(self):
        self.src.close(), self.dst.close()


@pytest.fixture
def pair():
    p = Pair()
    yield p
    p.close()


def usage(g):
    """How full the engine's tables are: asked by the control socket, since people have `status`."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(5)
    s.connect(os.path.join(g.state, "run", "control.sock"))
    s.sendall(b'{"cmd":"transactions"}\n')
    data = b""
    while x := s.recv(65536):
        data += x
    s.close()
    return json.loads(data.partition(b"\n")[2])["engines"][0]


def refused_503(m, g, reason):
    assert getattr(m, "code", 0) == 503, m
    assert m.get("retry-after"), m
    assert g.reason(reason) >= 1, g.status()["reasons"]


def all_back(g, seconds=5):
    """Every gauge of work is at nothing (transactions linger 32 s)."""
    work = ("calls", "legs", "pending", "media_legs", "ports_taken", "srtp_contexts")
    assert wait_for(lambda: all(not usage(g)[k] for k in work), seconds), usage(g)


def test_calls(own, pair):
    g = own("calls: 20")  # 18, and two for emergencies
    calls = [pair.call() for _ in range(18)]
    refused_503(pair.call(), g, "capacity_calls")
    sos = [pair.call("112") for _ in range(2)]
    assert g.status()["stats"]["calls"] == 20 or wait_for(lambda: g.status()["stats"]["calls"] == 20, 2)
    refused_503(pair.call("112"), g, "capacity_calls")
    calls[0].within("INFO")  # running calls go on
    pair.end(calls[0])
    pair.end(*calls[1:], *sos)
    all_back(g)
    pair.end(pair.call())


def test_ports(own, pair):
    g = own("calls: 100", ports="23000-23099")  # 50 pairs: 25 calls, three of them kept for emergencies
    calls = []
    while len(calls) < 30:
        c = pair.call()
        if not isinstance(c, Call):
            break
        calls.append(c)
    refused_503(c, g, "capacity_ports")
    assert 20 <= len(calls) <= 23, len(calls)
    sos = []
    while len(sos) < 10:
        c = pair.call("112")
        if not isinstance(c, Call):
            break
        sos.append(c)
    assert len(sos) + len(calls) == 25 and c.code == 503, (len(sos), len(calls), c)
    pair.end(*calls, *sos)
    all_back(g)
    time.sleep(2.2)  # pairs rest
    pair.end(pair.call())


def test_transactions(own, pair):
    """The smallest table, 256: filled by requests that nobody forbids."""
    g = own("transactions: 256")
    running, u = pair.call(), pair.src
    codes = []
    for i in range(300):
        u.request("OPTIONS", "sip:example.com", "<sip:example.com>", f"o{i}@x", "t")
        codes.append(u.recv(2).code)
    assert codes[:200] == [200] * 200 and codes[-1] == 503, codes
    refused_503(pair.call(), g, "capacity_transactions")
    sos = pair.call("112")
    pair.end(running, sos)
    assert wait_for(lambda: usage(g)["transactions"] < 20, 40, 1), usage(g)
    all_back(g)
    pair.end(pair.call())
    assert usage(g)["blocks_used"] < 20, usage(g)


@root
def test_a_silent_vault(own, pair):
    """Requests wait two seconds for it, then get 503; peers' calls do not need it and go on; afterwards phones are served again."""
    g = own("calls: 100")
    u = Ua(PHONES + "20", 0, TLS, "tls", "alice", g.passwords["alice"], ca=os.path.join(g.state, "ca.pem"))
    u.register(60)
    os.kill(g.pids()["vault"], signal.SIGSTOP)
    t = time.time()
    try:
        uri = "sip:example.com"
        u.request("REGISTER", uri, "<sip:alice@example.com>", "v@x", "t")
        ch = u.expect("401").get("www-authenticate")
        u.request("REGISTER", uri, "<sip:alice@example.com>", "v@x", "t", extra="Authorization: " + u.authorization(ch, "REGISTER", uri) + "\r\n")
        m = u.expect("503", 4)
        assert m.get("retry-after") and 1.5 < time.time() - t < 4
        pair.end(pair.call())
    finally:
        os.kill(g.pids()["vault"], signal.SIGCONT)
    assert g.reason("auth_unavailable") == 1
    assert wait_for(lambda: usage(g)["pending"] == 0, 2)
    u.register(60)
    u.register(0)
    u.close()


@root
def test_a_store_that_does_not_read(own, pair):
    """Its ring fills; calls never wait for it; what was lost is counted by name; afterwards records are written again."""
    g = own("calls: 100")
    first = pair.call()
    os.kill(g.pids()["store"], signal.SIGSTOP)
    u = pair.src
    try:
        def fill():
            for i in range(2000):
                u.request("OPTIONS", "sip:example.com", "<sip:example.com>", f"f{os.urandom(5).hex()}@x", "t")
                u.recv(2)
            s = g.status()
            return s["stats"]["facts_lost"] > 0 and s
        s = wait_for(fill, 60)
        assert s, "the ring never filled"
        assert s["reasons"]["ring_full"] >= s["stats"]["facts_lost"]
        pair.end(first)
        second = pair.call()
        pair.end(second)
    finally:
        os.kill(g.pids()["store"], signal.SIGCONT)
    time.sleep(3)  # what is in the ring is written first
    third = pair.call()
    pair.end(third)
    assert g.cdr(third.id, 5)


@root
def test_disk_full(pair):
    """The state on a small file system that is filled up while calls run."""
    mount = "/tmp/ringwall-full-%d" % os.getpid()
    os.mkdir(mount)
    r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", mount], capture_output=True, text=True)
    if r.returncode:
        os.rmdir(mount)
        pytest.skip("cannot mount: " + r.stderr.strip())
    g = None
    try:
        g = Gateway(config=RULES, engines=1, limits="calls: 100", ports="23000-23399", at=mount)
        g.start()
        before = pair.call()
        pair.end(before)
        assert g.cdr(before.id)
        filler = os.path.join(mount, "filler")
        with open(filler, "wb", 0) as f:
            try:
                while True:
                    f.write(b"x" * 65536)
            except OSError:
                pass
            try:
                while True:
                    f.write(b"x" * 512)
            except OSError:
                pass
        lost = []
        end = time.time() + 30
        while g.reason("store_write") == 0 and time.time() < end:
            lost.append(pair.call())
            pair.end(lost[-1])
        assert g.reason("store_write") > 0, g.status()["reasons"]
        running = pair.call()  # calls go on
        pair.end(pair.call("112"))
        status = g.status()
        assert status["state"] == "running" and all(p["state"] == "running" for p in status["programs"]), status["programs"]
        assert "cannot be written" in open(g.log).read()
        os.unlink(filler)
        assert wait_for(lambda: "writing again" in open(g.log).read(), 10), open(g.log).read()
        pair.end(running)
        assert g.cdr(running.id, 5)
        after = pair.call()
        pair.end(after)
        assert g.cdr(after.id, 5)
        assert open(g.log).read().count("cannot be written") < 10  # said once a while
        gone = [c.id for c in lost if not json.loads(g.run("cdr", "--call-id", c.id, "--state", g.state, "--json").stdout or "{}").get("cdrs")]
        assert g.reason("cdr_lost") >= len(gone), (gone, g.status()["reasons"])
        all_back(g)
    finally:
        if g:
            g.close()
        subprocess.run(["umount", mount], capture_output=True)
        os.rmdir(mount)
