"""Enforcement in the kernel, XDP and nf_tables, in network namespaces of its own: each reason to drop with a packet that fires it and a twin that
passes, bans and their release, pins over the death of the monitor, what is chosen where the best cannot be had, and that a stop leaves nothing."""
import ctypes, json, os, re, shutil, signal, socket, struct, subprocess, time
import pytest
from gateway import BUILD, Gateway, wait_for
from shield import NEWNET, libc, sh

GW4, GW6, GOOD4, EVIL4, GOOD6, EVIL6 = "192.0.2.1", "2001:db8:1::1", "192.0.2.20", "192.0.2.66", "2001:db8:1::20", "2001:db8:66::66"
SNAPSHOT = os.path.join(os.path.dirname(__file__), "shield_kernel_nft.json")
# Without the detectors that would ban who sends junk or too much: each counter tells its own reason.
CONFIG = """
domains: [example.com]
state: {state}
engines: 1
media: {{ports: {ports}}}
certificates:
  default: {{chain: server.pem, key: server}}
listeners:
  - {{name: udp, transport: udp, address: "192.0.2.1:5060"}}
  - {{name: tcp, transport: tcp, address: "192.0.2.1:5060"}}
  - {{name: tls, transport: tls, address: "192.0.2.1:5061"}}
  - {{name: udp6, transport: udp, address: "[2001:db8:1::1]:5060"}}
zones:
  - {{name: phones, listeners: [udp, tcp, tls, udp6], sources: [192.0.2.0/24, "2001:db8::/32"], media: rtp, nat: yes, registration: yes}}
waivers:
  - {{name: old, zone: phones, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test phones", expires: 2099-01-01}}
routes:
  - {{name: users, from: {{zone: phones}}, pattern: "*", to: users}}
guard: {{kernel: KERNEL, exempt: [192.0.2.30/32, "2001:db8:30::/48"], limits: {{source: 100, known: 100}}, detectors: {{
  scan: {{off: yes}}, scan_slow: {{off: yes}}, enumeration: {{off: yes}}, malformed: {{off: yes}},
  flood_invite: {{off: yes}}, flood_options: {{off: yes}}, flood_other: {{off: yes}}}}}}
limits: {{{limits}}}
"""


def can():
    return os.geteuid() == 0 and shutil.which("nft") and shutil.which("bpftool") and subprocess.run(["unshare", "-n", "true"]).returncode == 0


pytestmark = pytest.mark.skipif(not can(), reason="needs root, network namespaces, nft and bpftool")


class Wire:
    """Our own namespace with the gateway's interface, and behind a cable that of everybody else; frames are written as they are."""

    def __init__(self):
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        assert libc.unshare(NEWNET) == 0
        sh("ip", "link", "set", "lo", "up")
        self.holder = subprocess.Popen(["unshare", "-n", "sleep", "1000"])
        there = f"/proc/{self.holder.pid}/ns/net"
        assert wait_for(lambda: os.readlink(there) != os.readlink("/proc/thread-self/ns/net"), 5)
        sh("ip", "link", "add", "wan", "type", "veth", "peer", "name", "out", "netns", str(self.holder.pid))
        for a in (GW4 + "/24", GW6 + "/32"):
            sh("ip", "address", "add", a, "dev", "wan", *(["nodad"] if ":" in a else []))
        sh("ip", "link", "set", "wan", "up")
        self.there = os.open(there, os.O_RDONLY)
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.enter(self.there)
        sh("ip", "link", "set", "lo", "up")
        for a in (GOOD4, EVIL4, "192.0.2.30"):
            sh("ip", "address", "add", a + "/24", "dev", "out")
        for a in (GOOD6, EVIL6):
            sh("ip", "address", "add", a + "/32", "dev", "out", "nodad")
        sh("ip", "link", "set", "out", "up")
        self.raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.raw.bind(("out", 0))
        self.mac_out = open("/sys/class/net/out/address").read() if os.path.exists("/sys/class/net/out") else re.search(r"ether (\S+)", sh("ip", "link", "show", "out")).group(1)
        self.enter(here)
        os.close(here)
        self.mac = re.search(r"ether (\S+)", sh("ip", "link", "show", "wan")).group(1)

    @staticmethod
    def enter(fd):
        assert libc.setns(fd, NEWNET) == 0, os.strerror(ctypes.get_errno())

    def sock(self, kind, ip, port=0):
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.enter(self.there)
        try:
            s = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, kind)
            s.bind((ip, port))
        finally:
            self.enter(here)
            os.close(here)
        return s

    def frame(self, payload, source=EVIL4, port=5060, proto=17, fragment=False, vlan=False, flags=2, extended=False):
        v6 = ":" in source
        if proto == 17:
            l4 = struct.pack("!HHHH", 40000, port, 8 + len(payload), 0) + payload
        else:
            l4 = struct.pack("!HHIIBBHHH", 40000, port, 1, 0, 5 << 4, flags, 1000, 0, 0) + payload
        l4 = self.checked(l4, source, proto)
        if v6:
            nxt, head = proto, b""
            if fragment:
                head, nxt = struct.pack("!BBHI", nxt, 0, 1, 77) + head, 44
            if extended:
                head, nxt = struct.pack("!BBBBI", nxt, 0, 1, 4, 0) + head, 60
            ip = struct.pack("!IHBB", 6 << 28, len(head) + len(l4), nxt, 64) + socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, GW6) + head
        else:
            ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(l4), 7, 0x2000 if fragment else 0, 64, proto, 0) + socket.inet_aton(source) + socket.inet_aton(GW4)
            ip = ip[:10] + struct.pack("!H", self.sum16(ip)) + ip[12:]
        ether = bytes.fromhex(self.mac.strip().replace(":", "")) + bytes.fromhex(self.mac_out.strip().replace(":", ""))
        tag = struct.pack("!HH", 0x8100, 7) if vlan else b""
        return ether + tag + struct.pack("!H", 0x86DD if v6 else 0x0800) + ip + l4

    @staticmethod
    def sum16(b):
        b += b"\0" * (len(b) & 1)
        s = sum(struct.unpack(f"!{len(b) // 2}H", b))
        while s >> 16:
            s = (s & 0xFFFF) + (s >> 16)
        return ~s & 0xFFFF

    def checked(self, l4, source, proto):
        f = socket.AF_INET6 if ":" in source else socket.AF_INET
        pseudo = socket.inet_pton(f, source) + socket.inet_pton(f, GW6 if ":" in source else GW4) + struct.pack("!IHBB", len(l4), 0, 0, proto)
        at = 6 if proto == 17 else 16
        return l4[:at] + struct.pack("!H", self.sum16(pseudo + l4) or 0xFFFF) + l4[at + 2:]

    def send(self, payload, times=1, **k):
        f = self.frame(payload, **k)
        for _ in range(times):
            self.raw.send(f)

    def close(self):
        self.raw.close()
        self.enter(self.home)
        os.close(self.home)
        os.close(self.there)
        self.holder.kill()
        self.holder.wait()


def sip(method="OPTIONS", uri="sip:example.com", source=EVIL4, more=""):
    host = f"[{source}]" if ":" in source else source
    return (f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:40000;branch=z9hG4bK{os.urandom(6).hex()};rport\r\nMax-Forwards: 70\r\n"
            f"From: <sip:eve@example.com>;tag=1\r\nTo: <{uri}>\r\nCall-ID: {os.urandom(6).hex()}\r\nCSeq: 1 {method}\r\n{more}Content-Length: 0\r\n\r\n").encode()


class Shielded(Gateway):
    def __init__(self, kernel):
        super().__init__(config=CONFIG.replace("KERNEL", kernel), ports="21000-21099", limits="calls: 20")
        self.kernel = kernel

    def shield(self):
        return self.status()["shield"]

    def control(self, **request):
        s = socket.socket(socket.AF_UNIX)
        s.connect(os.path.join(self.state, "run", "control.sock"))
        s.sendall(json.dumps(request, separators=(",", ":")).encode() + b"\n")
        text = b""
        while chunk := s.recv(65536):
            text += chunk
        code, _, body = text.partition(b"\n")
        assert code.split()[0] == b"0", text
        return json.loads(body)

    def ban(self, who):
        return self.control(cmd="bans-add", address=who, why="test")

    def release(self, who):
        return self.control(cmd="bans-release", address=who)

    def settled(self):
        """Counters of a reading that began after this call: once a second, the second one from now."""
        first = self.shield()["reads"]
        s = wait_for(lambda: (lambda x: x["reads"] >= first + 2 and x)(self.shield()), 20, 0.2)
        assert s, "the counters are not read"
        return {**s["drops"], **{"pass_" + k: v for k, v in s["passed"].items()}}


@pytest.fixture(scope="module")
def wire():
    w = Wire()
    yield w
    let_go()
    w.close()


kept = []  # the gateway that the tests so far shared


def let_go():
    while kept:
        kept.pop().close()


def start(kernel, force=None):
    g = Shielded(kernel)
    kept.append(g)
    g.start()
    s = g.shield()
    assert s["in_force"] == (force or {"xdp": "xdp-native", "nftables": "nftables"}[kernel]), s
    return g


@pytest.fixture(params=["xdp", "nftables"])
def gw(request, wire):
    if not kept or kept[0].kernel != request.param:
        let_go()
        start(request.param)
    return kept[0]


@pytest.fixture
def bare(wire):
    """The wire alone."""
    let_go()
    yield wire
    let_go()


def answered(wire, source, seconds=1.0, method="OPTIONS", uri="sip:example.com"):
    """Does the gateway answer a sound request from there?"""
    s = wire.sock(socket.SOCK_DGRAM, source)
    s.settimeout(seconds)
    try:
        s.sendto(sip(method, uri, source), (GW6 if ":" in source else GW4, 5060))
        return s.recv(2000).startswith(b"SIP/2.0 ")
    except TimeoutError:
        return False
    finally:
        s.close()


def test_says_what_is_in_force(gw):
    s = gw.shield()
    assert s["selftest"].startswith("passed") and s["interfaces"] == [{"name": "wan", "mode": "native" if gw.kernel == "xdp" else "nftables"}], s
    assert s["pinned"] == (gw.kernel == "xdp" and os.path.ismount("/sys/fs/bpf"))
    assert "self-test passed" in open(gw.log).read()
    text = gw.run("status", "--state", gw.state).stdout
    assert ("XDP" if gw.kernel == "xdp" else "nf_tables") in text, text


def test_keeps_only_the_capabilities_it_needs(gw):
    text = open(f"/proc/{gw.proc.pid}/status").read()
    effective, bound = (int(re.search(rf"Cap{x}:\s+(\w+)", text).group(1), 16) for x in ("Eff", "Bnd"))
    admin, bpf, sys_admin = 1 << 12, 1 << 39, 1 << 21
    assert bool(effective & admin) and bool(effective & bpf) == (gw.kernel == "xdp")
    assert bool(bound & admin) == (gw.kernel == "nftables") and not bound & bpf
    assert not (effective | bound) & sys_admin


RTP = b"\x80\0\0\1\0\0\0\2\0\0\0\3" + b"s" * 40
JUNK = b"\x16\x03\x01" + b"." * 60
LONG = b"a" * 1400
# what fires, its counter, and the twin that passes
REASONS = [
    ("not_sip", dict(payload=JUNK), dict(payload=b"\r\n\r\n")),
    ("not_sip", dict(payload=JUNK, vlan=True), None),
    ("not_sip", dict(payload=JUNK, extended=True), None),
    ("too_short", dict(payload=b"OPTIONS sip:a"), dict(payload=sip())),
    ("fragment", dict(payload=sip(), fragment=True), dict(payload=sip())),
    ("fragment", dict(payload=sip("INVITE", "sip:alice@example.com"), fragment=True, extended=True), None),
    ("no_session", dict(payload=RTP, port=21010), dict(payload=RTP, port=20998)),
]


@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
@pytest.mark.parametrize("reason,bad,good", REASONS, ids=[f"{i}-{r[0]}" for i, r in enumerate(REASONS)])
def test_reasons(gw, wire, reason, bad, good, v6):
    if gw.kernel == "nftables" and (reason == "no_session" or "vlan" in bad):
        pytest.skip("nf_tables knows no sessions, and sees the inside of a tag only on an interface of that tag")
    source = EVIL6 if v6 else EVIL4
    if "extended" in bad and not v6:
        pytest.skip("extension headers are IPv6's")
    before = gw.settled()
    wire.send(**{**bad, "source": source}, times=5)
    if good:
        wire.send(**{**good, "source": source}, times=3)
    after = gw.settled()
    assert after[reason] - before[reason] == 5, (before, after)
    others = [k for k in after if not k.startswith("pass_") and k != reason and after[k] != before[k]]
    assert not others, (before, after)
    if good and good.get("port", 5060) == 5060:
        assert after["pass_sip"] - before["pass_sip"] >= 3


@pytest.mark.parametrize("source,who", [(EVIL4, EVIL4), (EVIL4, "192.0.2.64/29"), (EVIL6, "2001:db8:66::/64"), (EVIL6, EVIL6 + "/128")])
def test_banned_and_released(gw, wire, source, who):
    good = GOOD6 if ":" in source else GOOD4
    assert answered(wire, source) and answered(wire, good)
    gw.ban(who)
    time.sleep(0.15 if gw.kernel == "nftables" else 0.05)
    before = gw.settled()["banned"]
    assert not answered(wire, source, 0.5)
    wire.send(sip(source=source), source=source, times=4)
    assert gw.settled()["banned"] - before == 5
    assert answered(wire, good)
    gw.release(who)
    assert wait_for(lambda: answered(wire, source, 0.3), 2)


def test_hits_of_a_ban(gw, wire):
    gw.ban(EVIL4)
    time.sleep(0.2)
    wire.send(sip(), times=7)

    def hits():
        return [b["hits"] for b in gw.control(cmd="bans")["bans"] if b["address"].startswith(EVIL4)]
    assert wait_for(lambda: hits() == [7], 8), hits()
    gw.release(EVIL4)
    time.sleep(0.2)


def test_other_traffic_of_a_banned_source(gw, wire):
    echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    echo.bind((GW4, 7777))
    echo.settimeout(2)
    gw.ban(EVIL4)
    time.sleep(0.2)
    wire.send(JUNK, port=7777)
    assert echo.recv(100) == JUNK
    gw.release(EVIL4)
    echo.close()
    time.sleep(0.2)


def test_emergency_has_a_lane(gw, wire):
    gw.ban(EVIL4)
    gw.ban("2001:db8:66::/64")
    time.sleep(0.3)
    for source in (EVIL4, EVIL6):
        before = gw.settled()
        wire.send(sip("INVITE", "sip:112@example.com", source), source=source, times=3)
        wire.send(sip("INVITE", "urn:service:sos", source), source=source, times=3)
        wire.send(sip("INVITE", "sip:113@example.com", source), source=source, times=4)
        after = gw.settled()
        assert after["pass_slow_lane"] - before["pass_slow_lane"] == 6 and after["banned"] - before["banned"] == 4, (before, after)
        wire.send(sip("INVITE", "sip:112@example.com", source), source=source, times=200)
        flood = gw.settled()
        assert 1 <= flood["pass_slow_lane"] - after["pass_slow_lane"] < 60, (after, flood)
    gw.release(EVIL4)
    gw.release("2001:db8:66::/64")
    time.sleep(0.3)


def test_connections_of_a_banned_source(gw, wire):
    gw.ban(EVIL4)
    time.sleep(0.3)
    before = gw.settled()
    wire.send(b"", proto=6, times=200)
    after = gw.settled()
    assert after["banned"] - before["banned"] > 120 and after["pass_slow_lane"] > before["pass_slow_lane"], (before, after)
    gw.release(EVIL4)
    time.sleep(0.3)


@pytest.mark.parametrize("source,good", [("192.0.2.67", GOOD4), ("2001:db8:67::1", GOOD6)])
def test_rate(gw, wire, source, good):
    """100 a second, burst 200, in the kernel: a flood is cut, its neighbour is served."""
    before = gw.settled()
    wire.send(sip(source=source), source=source, times=2000)
    assert answered(wire, good)
    after = gw.settled()
    assert after["over_rate"] - before["over_rate"] > 1000 and after["banned"] == before["banned"], (before, after)


def test_exempt(gw, wire):
    before = gw.settled()
    wire.send(JUNK, source="192.0.2.30", times=5)
    wire.send(JUNK, source="2001:db8:30::1", times=5)
    after = gw.settled()
    assert after["not_sip"] == before["not_sip"]


# -- life cycle --

def pins():
    return [x for x in os.listdir("/sys/fs/bpf") if x.startswith("ringwall-") and "test" not in x] if os.path.ismount("/sys/fs/bpf") else []


def on_wire():
    return "wan" in sh("bpftool", "net")


@pytest.mark.parametrize("kernel", ["xdp", "nftables"])
def test_orderly_stop_leaves_nothing(bare, kernel):
    g = start(kernel)
    pinned = [p for p in pins() if os.path.exists(f"/sys/fs/bpf/{p}/link-wan")]
    assert on_wire() and (pinned or not os.path.ismount("/sys/fs/bpf")) if kernel == "xdp" else "inet ringwall" in sh("nft", "list", "tables")
    g.stop()
    assert not set(pins()) & set(pinned) and not on_wire() and "ringwall" not in sh("nft", "list", "tables")


def dropped(pin, key):
    out = json.loads(sh("bpftool", "-j", "map", "lookup", "pinned", os.path.join(pin, "counts"), "key", str(key), "0", "0", "0"))
    return sum(v["value"] if isinstance(v["value"], int) else int.from_bytes(bytes(int(x, 16) for x in v["value"]), "little")
               for v in (out.get("formatted") or out)["values"])


def test_pin_outlives_the_monitor(bare):
    if not os.path.ismount("/sys/fs/bpf"):
        pytest.skip("no BPF file system here")
    g = start("xdp")
    pin = "/sys/fs/bpf/" + [p for p in pins() if os.path.exists(f"/sys/fs/bpf/{p}/link-wan")].pop()
    g.ban(EVIL4)
    time.sleep(0.3)
    bare.send(sip(), times=3)
    g.settled()
    os.kill(g.proc.pid, signal.SIGKILL)
    g.proc.wait()
    g.logf.close()
    assert on_wire() and os.path.exists(pin)
    was = dropped(pin, 0)
    bare.send(sip(), times=5)
    bare.send(JUNK, source=GOOD4, times=2)
    assert dropped(pin, 0) - was == 5  # nobody of ours runs
    g.start()
    s = g.shield()
    assert s["taken_over"] and s["pinned"] and s["in_force"] == "xdp-native", s
    assert s["drops"]["banned"] >= 8 or wait_for(lambda: g.shield()["drops"]["banned"] >= 8, 3)
    assert not answered(bare, EVIL4, 0.4) and answered(bare, GOOD4)
    g.close()
    assert not os.path.exists(pin) and not on_wire()


def test_table_outlives_the_monitor(bare):
    g = start("nftables")
    g.ban(EVIL4)
    assert wait_for(lambda: EVIL4 in sh("nft", "list", "set", "inet", "ringwall", "banned4"), 5)
    os.kill(g.proc.pid, signal.SIGKILL)
    g.proc.wait()
    g.logf.close()
    assert EVIL4 in sh("nft", "list", "set", "inet", "ringwall", "banned4")
    g.start()
    assert wait_for(lambda: EVIL4 in sh("nft", "list", "set", "inet", "ringwall", "banned4"), 5)
    g.close()
    assert "ringwall" not in sh("nft", "list", "tables")


def test_falls_back_where_xdp_is_taken(bare):
    other = os.path.join(BUILD, "bpf", "shield.bpf.o")
    if not os.path.ismount("/sys/fs/bpf") or not os.path.exists(other):
        pytest.skip("no BPF file system, or no program to be in the way")
    pin = f"/sys/fs/bpf/ringwall-test-other-{os.getpid()}"
    sh("bpftool", "prog", "load", other, pin)
    try:
        sh("bpftool", "net", "attach", "xdp", "pinned", pin, "dev", "wan")
        g = start("auto", "nftables")
        assert "another XDP program" in g.shield()["why"]
        g.close()
        assert on_wire()  # the other one is not ours to remove
    finally:
        sh("bpftool", "net", "detach", "xdp", "dev", "wan", ok=False)
        os.unlink(pin)


def test_none(bare):
    g = start("none", "process")
    assert not on_wire() and "ringwall" not in sh("nft", "list", "tables") and g.shield()["why"]
    text = open(f"/proc/{g.proc.pid}/status").read()
    assert not int(re.search(r"CapEff:\s+(\w+)", text).group(1), 16) & (1 << 12 | 1 << 39)
    assert answered(bare, GOOD4)
    g.close()


def test_reload_takes_new_exemptions(bare):
    for kernel in ("xdp", "nftables"):
        g = start(kernel)
        g.ban(EVIL6 + "/128")
        g.write(CONFIG.replace("KERNEL", kernel).replace("192.0.2.30/32", "192.0.2.66/32"))
        r = g.run("reload", "--reason", "a test", "--state", g.state)
        assert r.returncode == 0, r.stdout + r.stderr
        before = g.settled()
        bare.send(JUNK, times=3)
        bare.send(JUNK, source="192.0.2.30", times=4)
        after = g.settled()
        assert after["not_sip"] - before["not_sip"] == 4, (kernel, before, after)
        assert not answered(bare, EVIL6, 0.4)  # bans are there still
        g.close()


def test_without_root(bare):
    g = Shielded("auto")
    try:
        for path, dirs, files in os.walk(g.dir):
            for f in [path, *(os.path.join(path, x) for x in files)]:
                os.chown(f, 65534, 65534)
        g.logf = open(g.log, "ab")
        g.proc = subprocess.Popen([g.cli, "run", "--config", g.config, "--state", g.state], stdin=subprocess.DEVNULL, stdout=g.logf, stderr=g.logf,
                                  start_new_session=True, user=65534, group=65534, extra_groups=[])
        if not wait_for(lambda: g.run("status", "--state", g.state).returncode == 0, 15):
            pytest.skip("the build is not for everybody to run here: " + open(g.log).read()[-300:])
        s = g.shield()
        assert s["in_force"] == "process" and "root" in s["why"], s
    finally:
        g.close()


def test_nft_snapshot(bare):
    """The table as it is loaded, handles aside: a change of it is meant. RINGWALL_SNAPSHOT=1 writes it anew."""
    g = start("nftables")
    try:
        got = json.loads(sh("nft", "-j", "list", "table", "inet", "ringwall"))["nftables"]
    finally:
        g.close()

    def plain(x):
        if isinstance(x, dict):
            return {k: plain(v) for k, v in x.items() if k not in ("handle", "metainfo", "packets", "bytes", "expires")}
        return [plain(v) for v in x] if isinstance(x, list) else x
    got = [plain(x) for x in got if "metainfo" not in x]
    if os.environ.get("RINGWALL_SNAPSHOT"):
        with open(SNAPSHOT, "w") as f:
            f.write("[\n" + ",\n".join(json.dumps(x, sort_keys=True) for x in got) + "\n]\n")
    assert got == json.load(open(SNAPSHOT))
