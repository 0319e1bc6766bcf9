"""A gateway with its shield, an honest office and attackers, each in a network namespace of its own:
   gateway 192.0.2.1 (phones and strangers) and 198.51.100.1 (PBX); office 203.0.113.0/24 and the PBX 198.51.100.10;
   attackers anywhere in 198.18.0.0/15. Needs root and runs only within a namespace that is not the machine's own."""
import collections, contextlib, ctypes, json, os, re, shutil, subprocess, threading, time
try:
    import pytest
except ImportError:  # bench/flood.py
    pytest = None
from gateway import Gateway, wait_for
from ua import Call, Ua, sdp

OUT, IN, PBX = "192.0.2.1", "198.51.100.1", "198.51.100.10"
OFFICE, ATTACKERS = "203.0.113.", "198.18.0."
UDP = (OUT, 5060)
HERE = os.path.dirname(__file__)

CONFIG = """
domains: [example.com]
state: {state}
engines: {engines}
media: {{ports: {ports}}}
certificates:
  default: {{chain: server.pem, key: server}}
listeners:
  - {{name: tls, transport: tls, address: "192.0.2.1:5061"}}
  - {{name: udp, transport: udp, address: "192.0.2.1:5060"}}
  - {{name: tcp, transport: tcp, address: "192.0.2.1:5060"}}
  - {{name: lan, transport: udp, address: "198.51.100.1:5060"}}
zones:
  - {{name: phones, listeners: [tls], sources: [0.0.0.0/0], media: srtp, nat: yes, registration: yes}}
  - {{name: legacy, listeners: [udp, tcp], sources: [0.0.0.0/0], media: rtp, nat: yes, registration: yes, silent: {silent}}}
  - {{name: lan, listeners: [lan], sources: [198.51.100.0/24], media: rtp, authenticate: no}}
waivers:
  - {{name: old-phones, zone: legacy, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test phones without TLS", expires: 2099-01-01}}
  - {{name: old-pbx, zone: lan, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test PBX without TLS", expires: 2099-01-01}}
peers:
  - {{name: pbx, kind: pbx, zone: lan, listener: lan, address: "198.51.100.10:5070", trust_identity: yes}}
roles:
  - {{name: user, outbound: yes}}
routes:
  - {{name: out, pattern: "9.", to: {{peers: [pbx]}}}}
  - {{name: users, pattern: "*", to: users}}
limits: {{register_min: 10s, {limits}}}
guard: {{{guard}}}
"""

libc = ctypes.CDLL(None, use_errno=True)
NEWNET = 0x40000000


def alone():
    """True as root where no network is but loopback: in a namespace of one's own."""
    devices = {l.split(":")[0].strip() for l in open("/proc/net/dev") if ":" in l}
    return os.geteuid() == 0 and not any(re.match(r"(eth|en|wl|veth|br|docker)", d) for d in devices)


ALONE = alone()  # before we make interfaces ourselves
needs_net = pytest and pytest.mark.skipif(not ALONE, reason="needs root and a network namespace of its own (unshare -n)")


def sh(*args, ok=True):
    r = subprocess.run(args, capture_output=True, text=True)
    assert r.returncode == 0 or not ok, f"{' '.join(args)}: {r.stderr}"
    return r.stdout


class Space:
    """A namespace, tied to ours by a pair of interfaces; name: ours, peer's is eth0."""

    def __init__(self, name, ours, theirs, via):
        self.name = name
        self.holder = subprocess.Popen(["unshare", "-n", "sleep", "3600"])
        path = f"/proc/{self.holder.pid}/ns/net"
        assert wait_for(lambda: os.readlink(path) != os.readlink("/proc/self/ns/net"), 5)
        sh("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(self.holder.pid))
        self.fd = os.open(path, os.O_RDONLY)
        for a in ours:
            sh("ip", "address", "add", a, "dev", name)
        sh("ip", "link", "set", name, "up")
        self.sh("ip", "link", "set", "lo", "up")
        self.sh("ip", "link", "set", "eth0", "up")
        for a in theirs:
            self.sh("ip", "address", "add", a, "dev", "eth0")
        self.sh("ip", "route", "replace", OUT + "/32", "dev", "eth0", *(["via", via] if via else []))

    def argv(self, *args):
        return ["nsenter", "-t", str(self.holder.pid), "-n", *args]

    def sh(self, *args, ok=True):
        return sh(*self.argv(*args), ok=ok)

    def popen(self, *args, **k):
        return subprocess.Popen(self.argv(*args), stdin=subprocess.DEVNULL, **k)

    @contextlib.contextmanager
    def inside(self):
        """Sockets that this thread makes meanwhile belong there."""
        mine = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        assert libc.setns(self.fd, NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            yield self
        finally:
            assert libc.setns(mine, NEWNET) == 0
            os.close(mine)

    def packets(self):
        """That came from there so far."""
        return int(open(f"/sys/class/net/{self.name}/statistics/rx_packets").read()) if os.path.exists(f"/sys/class/net/{self.name}") else \
            int(re.search(r"RX:.*?\n\s+\d+\s+(\d+)", sh("ip", "-s", "link", "show", self.name), re.S).group(1))

    def address(self, ip, bits=15):
        self.sh("ip", "address", "replace", f"{ip}/{bits}", "dev", "eth0")
        return ip

    def close(self):
        os.close(self.fd)
        self.holder.kill()
        self.holder.wait()
        sh("ip", "link", "del", self.name, ok=False)


class Net:
    def __init__(self):
        for f in ("all", "default"):
            for k in ("rp_filter", "accept_local"):
                try:
                    open(f"/proc/sys/net/ipv4/conf/{f}/{k}", "w").write("0")
                except OSError:
                    pass
        sh("ip", "link", "set", "lo", "up")
        self.office = Space("office", ["203.0.113.1/24", IN + "/24"], ["203.0.113.9/24", PBX + "/24"], "203.0.113.1")
        self.world = Space("world", [OUT + "/32", "198.18.0.1/15"], [ATTACKERS + "66/15"], None)
        for s in ("office", "world"):
            try:
                open(f"/proc/sys/net/ipv4/conf/{s}/rp_filter", "w").write("0")
            except OSError:
                pass

    def close(self):
        self.office.close()
        self.world.close()


GUARD = 'mode: enforce, kernel: {kernel}, interfaces: [world, office], decoys: [{decoys}]'


def gateway(kernel="auto", silent="no", guard="", users=30, config=CONFIG, decoys="admin", **k):
    g = Gateway(config=config.replace("{silent}", silent).replace("{guard}", GUARD.format(kernel=kernel, decoys=decoys) + guard), engines=k.pop("engines", 2),
                ports="20000-23999", **k)
    for i in range(users):
        g.user(str(1000 + i))
    return g


def bans(g):
    """Those in force, as the gateway tells them."""
    r = g.run("bans", "list", "--state", g.state, "--json")
    assert r.returncode == 0, r.stdout + r.stderr
    return json.loads(r.stdout)["bans"]


def banned(g, *who):
    """The bans that name one of these (address, AOR)."""
    return [b for b in bans(g) if any(re.search(r"(?<![\d.])" + re.escape(w) + r"(?![\d])", json.dumps(b)) for w in who)]


class Watch(threading.Thread):
    """Looks for the first ban that names an address: when, and after how many packets from that side."""

    def __init__(self, g, space, *who):
        super().__init__(daemon=True)
        self.g, self.space, self.who = g, space, who
        self.began, self.packets0 = time.time(), space.packets()
        self.found, self.after, self.packets, self.going = None, None, None, True
        self.start()

    def run(self):
        while self.going and not self.found:
            try:
                b = banned(self.g, *self.who)
            except Exception:
                b = []
            n, t = self.space.packets(), time.time()  # afterwards: at most so many
            if b:
                self.found, self.after, self.packets = b[0], t - self.began, n - self.packets0
            time.sleep(0.03)

    def end(self):
        self.going = False
        self.join(3)
        return self

    def __str__(self):
        sent = self.space.packets() - self.packets0
        return f"banned after {self.after:.2f} s and at most {self.packets} packets ({self.found.get('detector')})" if self.found else f"no ban, {sent} packets"


class Pbx(threading.Thread):
    """Answers every call at once."""

    def __init__(self, net):
        super().__init__(daemon=True)
        with net.office.inside():
            self.ua = Ua(PBX, 5070, (IN, 5060), "udp", "pbx")
        self.going, self.calls = True, 0
        self.start()

    def run(self):
        while self.going:
            m = self.ua.recv(0.2)
            if not m or m.code:
                continue
            if m.method == "INVITE":
                self.calls += not m.tag("to")
                self.ua.reply(m, 200, "OK", "pbx", body=sdp(PBX, 40000))
            elif m.method != "ACK":
                self.ua.reply(m, 200, "OK")

    def close(self):
        self.going = False
        self.join(2)
        self.ua.close()


class Office(threading.Thread):
    """Registered phones that call the PBX one after the other, each call with credentials, answer, and end; counts what failed."""

    def __init__(self, net, g, phones=4, pause=0.1, behind_one=True):
        super().__init__(daemon=True)
        self.pbx = Pbx(net)
        self.pause, self.going = pause, True
        self.done, self.lost, self.why, self.setup = 0, 0, [], []
        with net.office.inside():
            for i in range(0 if behind_one else phones):
                net.office.address(f"{OFFICE}{20 + i}", 24)
            self.phones = [Ua(OFFICE + "9" if behind_one else f"{OFFICE}{20 + i}", 6100 + i, UDP, "udp", str(1000 + i), g.passwords[str(1000 + i)])
                           for i in range(phones)]
        try:
            for p in self.phones:
                p.register(600)
        except BaseException:
            self.pbx.close()
            for p in self.phones:
                p.close()
            raise
        self.start()

    def one(self, p):
        c = Call(p, "9123", sdp(p.ip, 42000))
        t = time.time()
        c.invite()
        c.answered(5)
        self.setup.append(time.time() - t)
        c.bye()

    def run(self):
        i = 0
        while self.going:
            p = self.phones[i % len(self.phones)]
            i += 1
            try:
                self.one(p)
                self.done += 1
            except Exception as e:
                self.lost += 1
                self.why.append(str(e)[:200])
                while p.recv(0.2):
                    pass
            time.sleep(self.pause)

    def end(self):
        self.going = False
        self.join(10)
        self.pbx.close()
        for p in self.phones:
            p.close()
        return self

    def check(self, least=3):
        self.end()
        assert self.done >= least and self.lost == 0, f"{self.done} calls done, {self.lost} lost: {self.why[:3]}"


def tool(space, *args, seconds=20, cwd=None):
    """Runs a tool to its end, or ends it then; what it said."""
    p = space.popen("timeout", "-k", "2", str(seconds), *args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", cwd=cwd,
                    env=dict(os.environ, HOME=str(cwd or "/tmp"), LC_ALL="C.UTF-8"))
    out, _ = p.communicate(timeout=seconds + 10)
    return out


def report(name, w, office, more=""):
    print(f"{name}: {w}; {office.done} honest calls meanwhile, {office.lost} lost{more}")
