"""Crowds at the door: slow ones, many of them, from one source and from all over; and who still gets in meanwhile."""
import os, re, resource, socket, ssl, time
import pytest
from gateway import Gateway, wait_for
from house import *
from test_streams import TCP, TLS, Raw, context, message, raw, refused  # noqa: F401

CAP = 64  # the smallest table of an engine; strangers get half of it
# A scanner that the shield lets go on: only so each of its requests reaches the zones and the log.
LENIENT = "guard: {{limits: {{source: 100000, known: 100000}}, detectors: {{" + ", ".join(f"{d}: {{{{off: yes}}}}" for d in ("scan", "scan_slow", "enumeration", "flood_options")) + "}}}}\n"


def config(rate=5000):
    return CONFIG.replace("rate_per_source: 5000", f"rate_per_source: {rate}")


@pytest.fixture
def own():
    made = []

    def make(rate=5000, limits=f"connections: {CAP}, connections_per_source: 40", guard="", **k):
        g = Gateway(config=guard + config(rate), engines=1, ports="23000-23399", limits=limits, **k)
        made.append(g)
        g.user("alice")
        return g.start()
    yield make
    for g in made:
        g.close()


def phone(g, ip, register=True):
    u = Ua(ip, 0, TLS, "tls", "alice", g.passwords["alice"], ca=os.path.join(g.state, "ca.pem"))
    if register:
        u.register(60)
    return u


def summed(g, reason, seconds=12):
    """The line that sums refusals up for this reason."""
    find = lambda: [e for e in g.ask("events", "--last", "200")["events"] if e["event"] == "refused" and e.get("reason") == reason]
    return wait_for(find, seconds)


def test_a_hundred_requests_in_one_segment(own, raw):
    g = own()
    r = raw(TCP)
    r.s.sendall(b"".join(message(i) for i in range(100)))
    data = r.read(100)
    assert data.count(b"SIP/2.0 401") == 100
    assert all(f"Call-ID: s{i}@x\r\n".encode() in data for i in range(100))
    assert wait_for(lambda: g.status()["stats"]["strangers"] == 1, 2)


def test_line_ends_without_end(own, raw):
    """A handful of keep-alives at once gets one answer; thousands end the connection by name."""
    g = own()
    r = raw(TCP)
    r.s.sendall(b"\r\n\r\n" * 10)
    time.sleep(0.3)
    assert r.s.recv(100) == b"\r\n"
    r.s.sendall(message(1))
    assert r.read().startswith(b"SIP/2.0 401")
    try:
        r.s.sendall(b"\r\n" * 20000)
    except OSError:
        pass
    assert r.closed() and g.reason("stream_pings") == 1


def test_header_fields_without_end(own, raw):
    g = own()
    r = raw(TCP)
    try:
        for i in range(4000):
            r.s.sendall((b"OPTIONS sip:example.com SIP/2.0\r\n" if not i else b"") + f"X-{i}: {'y' * 50}\r\n".encode())
    except OSError:
        pass
    assert r.closed() and g.reason("sip_too_large") == 1, g.status()["reasons"]


def test_slow_ones_are_ended_by_name(own, raw):
    """Half a minute for a message, whole bytes a second notwithstanding, and as long for a stranger to prove himself."""
    g = own(limits="connections: 64, connections_per_source: 40")
    start = time.time()
    kept = phone(g, PHONES + "20")
    drip, silent_tls = raw(TCP, PHONES + "40"), raw(TLS, PHONES + "41", ctx=context(g))
    asked, pings = raw(TCP, PHONES + "42"), raw(TCP, PHONES + "43")
    asked.s.sendall(message(1))
    assert asked.read().startswith(b"SIP/2.0 401")
    text, ended = message(2, extra="X: " + "y" * 200 + "\r\n"), {}
    conns = {"drip": drip, "silent": silent_tls, "asked": asked, "pings": pings}
    while time.time() - start < 36 and len(ended) < len(conns):
        for name, r in conns.items():
            if name in ended:
                continue
            try:
                r.s.settimeout(0.02)
                if name == "drip":
                    r.s.send(text[:1])
                    text = text[1:]
                if name == "pings":
                    r.s.send(b"\r\n\r\n")
                if r.s.recv(100) == b"":
                    ended[name] = time.time() - start
            except (socket.timeout, ssl.SSLWantReadError):
                pass
            except OSError:
                ended[name] = time.time() - start
        time.sleep(0.7)
    assert len(ended) == 4 and all(28 < t < 35 for t in ended.values()), ended
    reasons = g.status()["reasons"]
    assert reasons["stream_timeout"] == 1 and reasons["stream_unproved"] == 3, reasons
    kept.register(60)  # who has proved himself stays
    kept.close()
    assert summed(g, "stream_unproved")[-1]["times"] >= 1


def test_one_source_knocks_too_often(own, raw):
    g = own(rate=30)
    got = 0
    for _ in range(300):
        s = socket.socket()
        s.bind((PHONES + "50", 0))
        s.settimeout(1)
        try:
            s.connect(TLS)
            s.settimeout(0.001)
            got += s.recv(1) != b""
        except socket.timeout:
            got += 1
        except OSError:
            pass
        s.close()
    assert got < 150 and g.reason("rate_connections") > 150, (got, g.status()["reasons"])
    other = phone(g, PHONES + "51")  # nobody else pays for it
    other.close()
    lines = summed(g, "rate_connections")
    assert lines and len(lines) <= 3, lines  # told, but not once a connection
    assert lines[-1]["source"].startswith(PHONES + "50")


def test_strangers_from_everywhere_push_out_only_each_other(own, raw):
    g = own()
    alice = phone(g, PHONES + "20")
    peer = Ua(LAN + "20", 0, (LAN + "1", 5060), "tcp", "tcp")
    peer.request("OPTIONS", "sip:example.com", "<sip:example.com>", "p1@x", "t1")
    peer.expect("200")
    crowd = []
    for i in range(200):
        try:
            crowd.append(raw(TCP if i % 2 else TLS, f"{PHONES}{60 + i % 100}"))
        except OSError:
            pass
    assert wait_for(lambda: g.reason("stream_crowded") == 200 - CAP // 2, 5), g.status()["reasons"]
    stats = g.status()["stats"]
    assert stats["strangers"] == CAP // 2 and stats["connections"] == CAP // 2 + 2, stats
    # the old ones are as they were
    alice.register(60)
    peer.request("OPTIONS", "sip:example.com", "<sip:example.com>", "p2@x", "t2")
    peer.expect("200")
    # and new ones of a registered phone's or a peer's address get in, past half and to the last place
    more = [phone(g, PHONES + "20", register=False) for _ in range(20)]
    peers = [Ua(LAN + "20", 0, (LAN + "1", 5060), "tcp", "tcp") for _ in range(20)]
    for i, p in enumerate(peers):
        p.request("OPTIONS", "sip:example.com", "<sip:example.com>", f"q{i}@x", "t")
        p.expect("200")
    more[19].register(60)
    assert wait_for(lambda: g.status()["stats"]["connections"] == CAP, 3), g.status()["stats"]
    # a newcomer still finds a place: the oldest of the strangers makes room
    bob = raw(TCP, PHONES + "30")
    bob.s.sendall(message(7))
    assert bob.read().startswith(b"SIP/2.0 401")
    assert summed(g, "stream_crowded")[0]["times"] > 1
    for r in crowd + [alice, peer, bob] + more + peers:
        r.close()
    assert wait_for(lambda: g.status()["stats"]["connections"] == 0, 5), g.status()["stats"]
    assert g.status()["stats"]["strangers"] == 0


def test_sources_outside_of_all_zones_are_turned_away_at_the_door(own, raw):
    g = own()
    assert refused(lambda: raw(TLS, "127.0.99.1"))
    assert g.reason("zone_unknown_source") == 1 and g.status()["stats"]["connections"] == 0


def test_scanners_do_not_fill_the_log(own):
    """A thousand requests of one stranger make some lines in full, one sum, and nothing unsaid."""
    g = own(guard=LENIENT)
    u = Ua("127.0.99.2", 0, TCP, "udp", "x")
    for i in range(1000):
        u.send(message(i).replace(b"/TCP", b"/UDP"))
        if i % 50 == 0:
            time.sleep(0.02)
    assert wait_for(lambda: g.reason("zone_unknown_source") == 1000, 3), g.status()["reasons"]
    lines = summed(g, "zone_unknown_source")
    full = [e for e in g.ask("events", "--last", "1000")["events"] if e["event"] == "request-refused"]
    assert 5 <= len(full) <= 50, len(full)
    assert wait_for(lambda: sum(e["times"] for e in summed(g, "zone_unknown_source", 0)) + len(full) == 1000, 12), lines
    assert g.reason("log_share") == 1000 - len(full)
    u.close()


def cpu_s(pid):
    v = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(v[11]) + int(v[12])) / os.sysconf("SC_CLK_TCK")


def short_of_descriptors(pid, free):
    """So many more than are open, besides those that the engine keeps for its channel."""
    whole = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (max(int(x) for x in os.listdir(f"/proc/{pid}/fd")) + 1 + free + 32, whole[1]))
    time.sleep(0.5)
    return whole


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change another process's limits")
def test_without_descriptors_nothing_spins_and_all_comes_back(own, raw):
    g = own(limits="connections: 1000, connections_per_source: 1000")
    pid = g.pids()["engine0"]
    alice = phone(g, PHONES + "20")
    whole = short_of_descriptors(pid, 3)
    held = [phone(g, PHONES + "20", register=False) for _ in range(3)]  # no strangers: nobody makes room
    assert refused(lambda: raw(TCP, PHONES + "20"))
    waiting = socket.socket()
    waiting.bind((PHONES + "21", 0))
    waiting.connect(TCP)  # the kernel takes it; the engine does not look for a moment
    assert wait_for(lambda: g.reason("capacity_descriptors") > 0, 3)
    used, t = cpu_s(pid), time.time()
    alice.register(60)  # what is there goes on
    time.sleep(2)
    assert cpu_s(pid) - used < 0.3 * (time.time() - t), "the engine spins"
    assert g.reason("capacity_descriptors") < 60
    g.user("bob")  # the channel of the engine still takes what the monitor sends
    assert g.run("reload", "--reason", "a test", "--state", g.state).returncode == 0
    resource.prlimit(pid, resource.RLIMIT_NOFILE, whole)
    time.sleep(0.5)
    again = raw(TCP, PHONES + "21")
    again.s.sendall(message(1))
    assert again.read().startswith(b"SIP/2.0 401")
    assert g.pids()["engine0"] == pid
    for x in held + [alice, waiting]:
        x.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change another process's limits")
def test_media_ports_come_back_after_descriptors_were_short(own):
    g = own()
    pid = g.pids()["engine0"]
    src, dst = caller(), Ua(LAN + "11", 5070, (LAN + "1", 5060), "udp", "dst")
    whole = short_of_descriptors(pid, 0)
    before = g.status()["stats"]["ports_open"]

    def call():
        c = call_from(src, "1555")
        inv = dst.expect("INVITE")
        dst.reply(inv, 200, "OK", "d", body=sdp(dst.ip, 41000))
        c.answered()
        dst.expect("ACK")
        return c
    calls = [call() for _ in range(3)]  # the ports that are ready serve
    assert wait_for(lambda: g.reason("capacity_descriptors") > 0, 3)
    assert g.status()["stats"]["ports_open"] == before
    resource.prlimit(pid, resource.RLIMIT_NOFILE, whole)
    assert wait_for(lambda: g.status()["stats"]["ports_open"] > before, 3)
    for c in calls:
        c.within("BYE")
        dst.reply(dst.expect("BYE"), 200, "OK")
        src.expect("200")
    src.close(), dst.close()


def test_reload_with_calls_up(own):
    g = own()
    src, dst = caller(), Ua(LAN + "11", 5070, (LAN + "1", 5060), "udp", "dst")
    c = call_from(src, "1777")
    dst.reply(dst.expect("INVITE"), 200, "OK", "d", body=sdp(dst.ip, 41000))
    c.answered()
    dst.expect("ACK")
    pid = g.pids()["engine0"]
    text = open(g.config).read()
    for i in range(5):  # zones and peers change their places
        a = [x for x in text.splitlines() if "name: nat, kind" in x][0]
        text = text.replace(a + "\n", "").replace("roles:", a + "\nroles:", 1) if i % 2 == 0 else text.replace(a + "\n", "").replace("peers:\n", "peers:\n" + a + "\n", 1)
        g.write(text)
        assert g.run("reload", "--reason", "a test", "--state", g.state).returncode == 0
    assert g.pids()["engine0"] == pid, open(g.log).read()
    c.within("BYE")
    dst.reply(dst.expect("BYE"), 200, "OK")
    src.expect("200")
    assert g.cdr(c.id)["legs"][1]["peer_name"] == "dst"
    src.close(), dst.close()


def test_registered_phones_are_known_to_an_engine_that_started_again(own, raw):
    """It reads from the board from where they are: they come back though strangers hold all the places that they may."""
    g = own()
    alice = phone(g, PHONES + "20")
    pid = g.pids()["engine0"]
    os.kill(pid, 9)
    assert wait_for(lambda: g.pids().get("engine0") not in (pid, 0, None) and g.status()["stats"]["connections"] == 0, 10)
    alice.close()
    time.sleep(1)
    crowd = []
    for i in range(100):
        try:
            crowd.append(raw(TCP, f"{PHONES}{60 + i}"))
        except OSError:
            pass
    assert wait_for(lambda: g.status()["stats"]["strangers"] == CAP // 2, 3), g.status()["stats"]
    back = [phone(g, PHONES + "20", register=False) for _ in range(30)]
    back[29].register(60)
    assert wait_for(lambda: g.status()["stats"]["connections"] == CAP // 2 + 30, 3), g.status()["stats"]
    for x in back:
        x.close()
