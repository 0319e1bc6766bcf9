#!/usr/bin/env python3
"""Figures of this gateway beside Kamailio and rtpengine, as a table. See docs/performance.md.
usage: tools/bench.py BUILD_DIR      (after tools/build.sh BUILD_DIR bench; `make bench` does both)
environment: QUICK=1, ONLY=a,b, PEERS=DIR, REPS=n, SECS=s, JSON=file to write the rows to"""
import glob, json, os, re, resource, shutil, signal, statistics, subprocess, sys, tempfile, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build-bench"))
APP = os.path.join(BUILD, "src", "app")
CLI, VAULT = os.path.join(APP, "cli", "ringwall"), os.path.join(APP, "vault", "ringwall-vault")
RWLOAD = os.path.join(BUILD, "bench", "load", "rwload")
PEERS = os.environ.get("PEERS", os.path.join(ROOT, "..", "shared", "bench"))
QUICK = bool(os.environ.get("QUICK"))
REPS = int(os.environ.get("REPS", "1" if QUICK else "2"))
SECS = float(os.environ.get("SECS", "2" if QUICK else "3"))
ONLY = [x for x in os.environ.get("ONLY", "").split(",") if x]
CORE_SERVER, CORE_LOAD = {1}, {0}
CPUACCT = "/sys/fs/cgroup/cpuacct"
GW, GW_TLS, LOAD_A, LOAD_B = "127.0.0.10:5060", "127.0.0.10:5061", "127.0.0.20:5080", "127.0.0.30:5070"
USERS = 1000

# name: (unit, peer, its figure and the bars of the project's table; None: no bar; up: more is better)
BARS = {
    "call, digest, hiding, 2000/s": ("us CPU", "Kamailio topoh, no digest", 400, 120, 75, False),
    "calls a second, one core": ("/s", "Kamailio topoh, no digest", 2000, 7000, 9000, True),
    "REGISTER, 401, digest, 10 000/s": ("us CPU", "Kamailio", 74, 35, 22, False),
    "registrations a second": ("/s", "Kamailio", 13000, 20000, 20000, True),
    "call on a new TLS 1.3 connection, 300/s": ("us CPU", "Kamailio, no digest, plain RTP", 3200, 1400, 800, False),
    "call with media, 200/s": ("us CPU", "Kamailio + rtpengine", 2200, 400, 250, False),
    "call with media, 1000/s": ("us CPU", "Kamailio + rtpengine", 1675, 200, 110, False),
    "RTP relayed, 80 000 packets/s": ("ns CPU", "rtpengine", 12400, 8500, 7000, False),
    "RTP packets a second, one core": ("/s", "rtpengine", 80000, 120000, 120000, True),
    "SRTP GCM-128 to RTP, 60 000/s": ("ns CPU", "rtpengine", 14100, 9000, 7000, False),
    "SRTP CM-80 to RTP, 60 000/s": ("ns CPU", "rtpengine", 14100, 9000, 7000, False),
    "latency p50, 30 000 packets/s": ("us", "rtpengine", None, 100, 80, False),
    "latency p99, 30 000 packets/s": ("us", "rtpengine", None, 2000, 1000, False),
    "memory of a binding": ("B", "SER (published)", None, 800, 400, False),
    "memory of a running call": ("B", "-", None, 8192, 4096, False),
    "memory of an idle TLS connection": ("B", "SER (published)", None, 20480, 12288, False),
    "scanner, from outside of all zones": ("us CPU", "Kamailio, by User-Agent", 5.2, 4, 2, False),
    "scanner, over its rate": ("us CPU", "Kamailio, by User-Agent", 5.2, 4, 2, False),
    "malformed INVITE": ("us CPU", "Kamailio", 11.8, 4, 4, False),
    "REGISTER, forged nonce, answered 401": ("us CPU", "Kamailio", 11.8, 4, 4, False),
    "REGISTER, guessed password, answered 403": ("us CPU", "Kamailio", 11.8, 4, 4, False),
    "connection refused at the door": ("us CPU", "-", None, None, None, False),
    "connections refused at the door, one core": ("/s", "-", None, None, None, True),
    "TLS handshake begun and left": ("us CPU", "-", None, None, None, False),
    "reload at 1000 calls/s, longest silence": ("ms", "-", None, None, None, False),
    **{f"gates identity, right and fraud: {u}, {p} prefixes": ("us CPU", "-", None, 10, 10, False)
       for u in ("1 user", "1 000 users", "100 000 users") for p in ("1 000", "1 000 000")},
    "what a call holds in the ledger, to its end: 100 000 users, 1 000 000 prefixes": ("us CPU", "-", None, None, None, False),
    **{f"ledger memory of an active identity: {n} engine{'s' if n > 1 else ''}": ("B", "-", None, 512, 512, False) for n in (1, 2, 4, 8)},
}
PUBLISHED = {"memory of a binding": 843, "memory of an idle TLS connection": 61000}
rows = {}
notes = []
closers = []


def say(*a):
    print(*a, flush=True)


def note(text):
    if text not in notes:
        notes.append(text)
        say("  note:", text)


# ---- processes ----

def can_cgroup():
    return os.geteuid() == 0 and os.path.isdir(CPUACCT) and os.access(CPUACCT, os.W_OK)


class Server:
    """A process tree on its core. With cgroups of version 1 its CPU is exact for every child; else by pids."""

    def __init__(self, name, argv, log, cores=CORE_SERVER):
        self.cg = None
        if can_cgroup():
            self.cg = f"{CPUACCT}/rwbench-{os.getpid()}-{name}"
            os.makedirs(self.cg, exist_ok=True)

        def setup():
            if self.cg:
                with open(self.cg + "/cgroup.procs", "w") as f:
                    f.write(str(os.getpid()))
            if max(cores) < os.cpu_count():
                os.sched_setaffinity(0, cores)
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.log = open(log, "ab")
        self.p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, preexec_fn=setup,
                                  start_new_session=True)
        closers.append(self)

    def pids(self):
        if self.cg:
            return [int(x) for x in open(self.cg + "/cgroup.procs").read().split()]
        out = subprocess.run(["ps", "-o", "pid=", "-g", str(self.p.pid)], capture_output=True, text=True).stdout.split()
        kids = [int(x) for x in out]
        return kids + [int(x) for k in kids for x in subprocess.run(["ps", "-o", "pid=", "--ppid", str(k)], capture_output=True,
                                                                    text=True).stdout.split() if int(x) not in kids]

    def cpu_args(self):
        if self.cg:
            return ["-c", self.cg + "/cpuacct.usage"]
        return [a for p in self.pids() for a in ("-c", f"pid:{p}")]

    def pss(self, kind="Pss:"):
        total = 0
        for p in self.pids():
            for line in open(f"/proc/{p}/smaps_rollup"):
                if line.startswith(kind):
                    total += int(line.split()[1]) * 1024
        return total

    def stop(self):
        if self not in closers:
            return
        closers.remove(self)
        for sig, wait in ((signal.SIGTERM, 6), (signal.SIGKILL, 3)):
            for p in self.pids():
                try:
                    os.kill(p, sig)
                except ProcessLookupError:
                    pass
            end = time.time() + wait
            while time.time() < end and (self.p.poll() is None or self.pids()):
                time.sleep(0.05)
            if self.p.poll() is not None and not self.pids():
                break
        self.log.close()
        if self.cg:
            try:
                os.rmdir(self.cg)
            except OSError:
                pass


def stop_all(*_):
    for c in list(closers)[::-1]:
        c.stop()


# ---- the gateway ----

def media_ports():
    """As many as descriptors allow, below the kernel's own."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    n = min(40000, hard - 1500) if hard > 4000 else 2000
    if n < 40000:
        note(f"descriptors are limited to {hard} here: media ports are fewer, pairs rest shorter under load")
    return f"10000-{10000 + n // 2 * 2 - 1}"


CONFIG = """
domains: [bench]
state: {state}
engines: 1
media: {{ports: {ports}, address: 127.0.0.10}}
certificates:
  default: {{chain: server.pem, key: server}}
listeners:
  - {{name: udp, transport: udp, address: "127.0.0.10:5060"}}
  - {{name: tls, transport: tls, address: "127.0.0.10:5061"}}
  - {{name: lan, transport: udp, address: "127.0.0.10:5062"}}
zones:
  - {{name: phones, listeners: [udp], sources: [127.0.0.20], media: rtp, registration: yes, authenticate: yes, rate_per_source: 100000}}
  - {{name: secure, listeners: [tls], sources: [127.0.0.20], media: srtp, registration: yes, authenticate: yes, rate_per_source: 100000}}
  - {{name: lan, listeners: [lan], sources: [127.0.0.30], media: rtp, authenticate: no, rate_per_source: 100000}}
  - {{name: open, listeners: [udp], sources: [127.0.0.40], media: rtp, registration: yes, authenticate: yes}}
  - {{name: secure-open, listeners: [tls], sources: [127.0.0.40], media: srtp, registration: yes, authenticate: yes}}
waivers:
  - {{name: open, zone: open, allow: [plain-signalling, plain-media], owner: alice, reason: "benchmark on loopback", expires: 2099-01-01}}
  - {{name: phones, zone: phones, allow: [plain-signalling, plain-media], owner: alice, reason: "benchmark on loopback", expires: 2099-01-01}}
  - {{name: lan, zone: lan, allow: [plain-signalling, plain-media], owner: alice, reason: "benchmark on loopback", expires: 2099-01-01}}
peers:
  - {{name: pbx, kind: pbx, zone: lan, listener: lan, address: "127.0.0.30:5070", trust_identity: yes}}
fraud: {{mode: off}}
roles:
  - {{name: user, outbound: yes, dial: [internal, emergency, local, national, mobile, toll-free, international, unknown], countries: all, step_up: none, caps: {{calls: 0, attempts: 0, call_money: 0, money: {{hour: 0, day: 0, month: 0}}}}}}
guard: {{mode: dry-run}}
routes:
  - {{name: out, pattern: "+X.", to: {{peers: [pbx]}}}}
limits: {{calls: 20000, bindings: 200000, transactions: 1000000, connections: 20000, connections_per_source: 20000, register_min: 30s}}
"""


def must(argv):
    r = subprocess.run(argv, capture_output=True, text=True)
    if r.returncode != 0:
        raise SystemExit(f"bench: {' '.join(argv)}: {r.stdout}{r.stderr}")


def gateway(work, users=USERS):
    state = os.path.join(work, f"state-{users}")
    if not os.path.exists(state):
        must([CLI, "init", "--state", state, "--domain", "bench"])
        with open(os.path.join(work, "users"), "w") as f:
            f.writelines(f"u{i:06d},pw{i:06d}\n" for i in range(users))
        must([VAULT, "--state", state, "--domain", "bench", "--any-password", "user", "import", os.path.join(work, "users")])
    conf = os.path.join(state, "ringwall.yaml")
    with open(conf, "w") as f:
        f.write(CONFIG.format(state=state, ports=media_ports()))
    log = os.path.join(work, "ringwall.log")
    g = Server("ringwall", [CLI, "run", "--config", conf, "--state", state], log)
    for _ in range(100):
        time.sleep(0.1)
        if g.p.poll() is not None:
            break
        r = subprocess.run([CLI, "status", "--state", state, "--json"], capture_output=True, text=True)
        if r.returncode == 0 and json.loads(r.stdout)["state"] == "running":
            time.sleep(0.3)
            return g
    raise SystemExit("bench: the gateway does not run: " + open(log).read()[-2000:])


# ---- the peers ----

def have_kamailio():
    return bool(shutil.which("kamailio")) and os.path.exists(os.path.join(PEERS, "sig", "kamailio.cfg"))


def have_rtpengine():
    return bool(shutil.which("rtpengine")) and os.path.exists(os.path.join(PEERS, "media", "rtpload.c"))


def kamailio(work, *flags):
    d = os.path.join(work, "kam")
    if not os.path.exists(d):
        os.makedirs(d)
        must([sys.executable, os.path.join(PEERS, "sig", "gen.py"), d, str(USERS)])
    tls = "WITH_TLS" in flags
    defs = [*flags, "NCHILD=4", f"USE_TLS={'yes' if tls else 'no'}", f'DBURL="text://{d}/db"', f'CTLSOCK="unix:{d}/ctl"',
            f'TLSCFG="{d}/tls.cfg"']
    k = Server("kamailio", ["kamailio", "-DD", "-E", "-m", "2048", "-M", "16", "-x", "fm", "-X", "fm", "-f",
                            os.path.join(PEERS, "sig", "kamailio.cfg"), "-Y", d, "-P", d + "/pid"] +
               [a for x in defs for a in ("-A", x)], os.path.join(work, "kamailio.log"))
    for _ in range(100):
        time.sleep(0.1)
        if subprocess.run(["kamcmd", "-s", f"unix:{d}/ctl", "core.version"], capture_output=True).returncode == 0:
            time.sleep(1)
            return k
        if k.p.poll() is not None:
            break
    k.stop()
    note("Kamailio did not start: " + open(os.path.join(work, "kamailio.log"), errors="replace").read()[-200:].replace("\n", " "))
    return None


def rtpengine(work, threads=1):
    r = Server("rtpengine", ["rtpengine", "-f", "-E", "-L", "3", "--table=-1", "--interface=127.0.0.10", "--listen-ng=127.0.0.1:2223",
                             "--port-min=10000", "--port-max=60000", f"--num-threads={threads}", "--timeout=300", "--delete-delay=0"],
               os.path.join(work, "rtpengine.log"))
    time.sleep(1.5)
    return r


def rtpload(work):
    out = os.path.join(work, "rig")
    if not os.path.exists(out):
        r = subprocess.run(["make", "-C", PEERS, f"O={out}", f"{out}/rtpload"], capture_output=True, text=True)
        if r.returncode != 0:
            note("the rig's rtpload does not build: " + r.stderr[-200:])
    path = os.path.join(out, "rtpload")
    return path if os.path.exists(path) else None


# ---- running ----

def core_times():
    for line in open("/proc/stat"):
        if line.startswith("cpu1 "):
            v = [int(x) for x in line.split()[1:9]]
            return (v[0] + v[1] + v[2] + v[5] + v[6]) * 10_000_000, v[7] * 10_000_000
    return 0, 0


def on_load_core():
    if max(CORE_LOAD) < os.cpu_count():
        os.sched_setaffinity(0, CORE_LOAD)


def load(*args, servers=(), tool=RWLOAD, wait=120):
    cpu = [a for s in servers for a in s.cpu_args()]
    b0, s0 = core_times()
    t0 = time.time()
    p = subprocess.run([tool, *args, *cpu], capture_output=True, text=True, timeout=wait, preexec_fn=on_load_core)
    b1, s1 = core_times()
    if p.returncode != 0:
        say("   ", p.stderr.strip()[-200:])
        return None
    if tool != RWLOAD:
        d = dict(x.split("=", 1) for x in p.stdout.split() if "=" in x)
        return {"got_s": float(d["delivered"][:-2]), "loss_pct": float(d["loss"][:-1]), "p50_us": float(d.get("p50", "0")),
                "p99_us": float(d.get("p99", "0")), "server_ns": float(d["relay"][:-6]), "core_pct": float(d["core"][:-1])}
    r = json.loads(p.stdout.strip().splitlines()[-1])
    wall = (time.time() - t0) * 1e9
    r["others_pct"] = max(0.0, (b1 - b0) / wall * 100 - r.get("core_pct", 0))  # of core 1, by processes that are none of ours
    r["steal_pct"] = (s1 - s0) / wall * 100
    return r


def sip(mode, rate, servers, *more, to=GW, secs=None):
    return load("-m", mode, "-t", to, "-a", LOAD_A, "-b", LOAD_B, "-u", str(USERS), "-r", str(rate), "-d", str(secs or SECS), "-w", "1",
                *more, servers=servers)


def median_of(label, f, key="server_us"):
    """REPS runs of f; the median run by key. Every run is shown."""
    got = []
    for _ in range(REPS):
        time.sleep(0.7)
        r = f()
        if not r:
            continue
        got.append(r)
        bad = r.get("fail_pct", r.get("loss_pct", 0))
        say(f"    {label}: {r[key]:.1f} {'us' if 'us' in key else 'ms' if 'ms' in key else 'ns'}, core {r['core_pct']:.0f} %, failed {bad:.3f} %"
            + (f", answered in {r['p50_us']} us (p99 {r['p99_us']})" if "p99_us" in r and "done_s" in r else "")
            + (f", others on its core {r['others_pct']:.0f} %" if r.get("others_pct", 0) > 3 else ""))
    if not got:
        return None
    got.sort(key=lambda r: r[key])
    mid = got[len(got) // 2]
    return dict(mid, least=got[0][key], most=got[-1][key])


def climb(label, rates, f, good):
    """The highest rate whose run is good; stops at the second bad one, since one may be the machine's."""
    best, bad = 0, 0
    for rate in rates:
        time.sleep(1)
        r = f(rate)
        ok = bool(r) and good(r)
        say(f"    {label}: {rate}/s {'holds' if ok else 'fails'}" + (f" ({r.get('fail_pct', r.get('loss_pct', 0)):.3f} % lost, core "
                                                                     f"{r['core_pct']:.0f} %)" if r else ""))
        if ok:
            best, bad = rate, 0
            continue
        bad += 1
        if bad == 2:
            break
    return best


def row(name, ours, peer, remark="", run=None):
    """run: what ours was measured in; a figure with losses is no success."""
    bad = run.get("fail_pct", run.get("loss_pct", 0)) if run else 0
    rows[name] = {"ours": ours, "peer": peer, "remark": remark, "bad": bad}


def ok_call(r):
    return r["fail_pct"] <= 0.1 and r["done_s"] >= 0.95 * r["offered"]


# ---- sections ----

def s_calls(work):
    g = gateway(work)
    call = lambda rate, s: sip("call", rate, s)
    ours = {r: median_of(f"ringwall {r}/s", lambda r=r: call(r, [g])) for r in (200, 1000, 2000)}
    top = climb("ringwall", [5000, 7000, 8000, 9000, 10000] if not QUICK else [7000, 9000], lambda r: call(r, [g]), ok_call)
    g.stop()
    topoh = media = None
    ktop = None
    m = {200: None, 1000: None}
    if have_kamailio():
        k = kamailio(work, "WITH_TOPOH")
        if k:
            topoh = median_of("Kamailio topoh 2000/s", lambda: call(2000, [k]))
            ktop = climb("Kamailio topoh", [2000, 2500, 3000, 3500] if not QUICK else [2000, 2500], lambda r: call(r, [k]), ok_call)
            k.stop()
        if have_rtpengine():
            e = rtpengine(work, 2)
            k = kamailio(work, "WITH_RTPE")
            for r in m:
                m[r] = k and median_of(f"Kamailio + rtpengine {r}/s", lambda r=r: call(r, [k, e]))
            if k:
                k.stop()
            e.stop()
    us = lambda r: r and r["server_us"]
    lost = lambda r: f"{r['fail_pct']:.2f} % failed" if r else ""
    row("call, digest, hiding, 2000/s", us(ours[2000]), us(topoh), lost(ours[2000]), ours[2000])
    row("calls a second, one core", top, ktop)
    for r in (200, 1000):
        row(f"call with media, {r}/s", us(ours[r]), us(m[r]), lost(ours[r]) + (f"; peer {lost(m[r])}" if m[r] else ""), ours[r])


def s_register(work):
    g = gateway(work)
    ours = median_of("ringwall 10000/s", lambda: sip("reg", 10000, [g]))
    top = climb("ringwall", [15000, 20000, 25000] if not QUICK else [20000], lambda r: sip("reg", r, [g]), ok_call)
    g.stop()
    peer = ktop = None
    if have_kamailio():
        k = kamailio(work)
        if k:
            peer = median_of("Kamailio 10000/s", lambda: sip("reg", 10000, [k]))
            ktop = climb("Kamailio", [13000, 16000] if not QUICK else [12000], lambda r: sip("reg", r, [k]), ok_call)
            k.stop()
    row("REGISTER, 401, digest, 10 000/s", ours and ours["server_us"], peer and peer["server_us"])
    row("registrations a second", top, ktop)


def s_tls(work):
    g = gateway(work)
    ours = median_of("ringwall TLS 300/s", lambda: sip("call", 300, [g], "-T", "-s", "AEAD_AES_128_GCM", to=GW_TLS))
    g.stop()
    peer = None
    if have_kamailio():
        k = kamailio(work, "WITH_TLS")
        if k:
            peer = median_of("Kamailio TLS 300/s", lambda: sip("call", 300, [k], "-T", to=GW_TLS))
            k.stop()
    row("call on a new TLS 1.3 connection, 300/s", ours and ours["server_us"], peer and peer["server_us"],
        f"{ours['fail_pct']:.2f} % failed" if ours else "", ours)


def rtp(g, calls, suite=None):
    to, more = (GW, []) if not suite else (GW_TLS, ["-T", "-s", suite])
    return load("-m", "rtp", "-t", to, "-a", LOAD_A, "-b", LOAD_B, "-u", str(USERS), "-r", "500", "-n", str(calls), "-d", str(SECS), "-w", "1",
                *more, servers=[g])


def rtp_peer(work, tool, calls, suite=None):
    """A fresh rtpengine for each run: leftovers of the last one would be counted."""
    e = rtpengine(work)
    try:
        return load("-r", "ng:127.0.0.1:2223", "-a", "127.0.0.20:40000", "-b", "127.0.0.30:40002", "-n", str(calls), "-d", str(SECS), "-w",
                    "1", *(["-m", suite] if suite else []), servers=[e], tool=tool)
    finally:
        e.stop()


def s_rtp(work):
    good = lambda r: r["loss_pct"] <= 0.1
    g = gateway(work)
    late = median_of("ringwall 30 000/s, p50", lambda: rtp(g, 300), "p50_us")
    ours = median_of("ringwall 80 000/s", lambda: rtp(g, 800), "server_ns")
    top = climb("ringwall, calls", [800, 1000, 1100, 1200] if not QUICK else [1000, 1200], lambda n: rtp(g, n), good) * 100
    g.stop()
    tool = have_rtpengine() and rtpload(work)
    peer = plate = ptop = None
    if tool:
        plate = median_of("rtpengine 30 000/s, p50", lambda: rtp_peer(work, tool, 300), "p50_us")
        peer = median_of("rtpengine 80 000/s", lambda: rtp_peer(work, tool, 800), "server_ns")
        ptop = climb("rtpengine, calls", [800, 900, 1000] if not QUICK else [700, 800], lambda n: rtp_peer(work, tool, n), good) * 100
    ns = lambda r: r and r["server_ns"]
    row("RTP relayed, 80 000 packets/s", ns(ours), ns(peer),
        (f"{ours['loss_pct']:.2f} % lost" if ours else "") + (f"; peer {peer['loss_pct']:.2f} %" if peer else ""), ours)
    row("RTP packets a second, one core", top, ptop)
    for q in ("p50", "p99"):
        row(f"latency {q}, 30 000 packets/s", late and late[q + "_us"], plate and plate[q + "_us"])


def s_srtp(work):
    g = gateway(work)
    suites = (("GCM-128", "AEAD_AES_128_GCM", "gcm128"), ("CM-80", "AES_CM_128_HMAC_SHA1_80", "sdes80"))
    ours = {n: median_of(f"ringwall {n} 60 000/s", lambda s=s: rtp(g, 600, s), "server_ns") for n, s, _ in suites}
    g.stop()
    tool = have_rtpengine() and rtpload(work)
    for n, _, s in suites:
        peer = median_of(f"rtpengine {n} 60 000/s", lambda s=s: rtp_peer(work, tool, 600, s), "server_ns") if tool else None
        row(f"SRTP {n} to RTP, 60 000/s", ours[n] and ours[n]["server_ns"], peer and peer["server_ns"],
            (f"{ours[n]['loss_pct']:.2f} % lost" if ours[n] else "") + (f"; peer {peer['loss_pct']:.2f} %" if peer else ""), ours[n])


def held(g, kind, *args):
    """Memory of all processes while a load holds what it has set up."""
    p = subprocess.Popen([RWLOAD, "-a", LOAD_A, "-b", LOAD_B, *args, "-S"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                         preexec_fn=on_load_core)
    try:
        for line in p.stdout:
            if line.strip() == "up":
                time.sleep(1)
                return g.pss(kind)
        return None
    finally:
        p.stdin.close()
        try:
            p.wait(30)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()


def slope(g, kind, few, many, args):
    """Bytes for each of those that many has more than few: what is taken once falls out."""
    a, b = held(g, kind, *args(few)), held(g, kind, *args(many))
    return None if a is None or b is None else max(0, b - a) / (many - few)


def settle():
    """Transactions linger for 32 s; afterwards their memory is used again, so that what is measured next is not theirs."""
    if not QUICK:
        time.sleep(34)


def s_memory(work):
    users, n = (10000, 1000) if QUICK else (40000, 2000)
    g = gateway(work)
    conn = slope(g, "Pss_Anon:", n // 4, n, lambda k: ["-m", "conn", "-t", GW_TLS, "-n", str(k)])
    g.stop()
    g = gateway(work)
    sip("call", 1000, [g], secs=4)
    settle()
    call = slope(g, "Pss_Anon:", n // 4, n, lambda k: ["-m", "rtp", "-t", GW, "-n", str(k), "-r", "400", "-u", str(USERS)])
    g.stop()
    g = gateway(work, users)
    # The rings between programs are written once round, the table of transactions is touched; by few users, so that no binding is.
    load("-m", "reg", "-t", GW, "-a", LOAD_A, "-b", LOAD_B, "-u", "500", "-r", "10000", "-d", "5", "-w", "1", servers=[g])
    settle()
    binding = slope(g, "Pss:", users // 4, users, lambda k: ["-m", "reg", "-t", GW, "-u", str(k), "-r", "4000", "-d", str(k / 4000), "-w", "0.1"])
    g.stop()
    row("memory of a binding", binding, PUBLISHED["memory of a binding"], f"{users} users, all programs" + (", with lingering transactions" if QUICK else ""))
    row("memory of a running call", call, None, f"{n} calls with media, all programs; sockets in the kernel not counted")
    row("memory of an idle TLS connection", conn, PUBLISHED["memory of an idle TLS connection"], f"{n} connections, all programs")


# ---- what strangers cost ----

NOBODY, OPEN = "127.0.0.21:5080", "127.0.0.40:5080"
HOSTILE = [  # row, kind of rwload, from, what Kamailio is sent
    ("scanner, from outside of all zones", "scan", NOBODY, NOBODY),
    ("scanner, over its rate", "scan", OPEN, NOBODY),
    ("malformed INVITE", "bad", LOAD_A, NOBODY),
    ("REGISTER, forged nonce, answered 401", "forged", LOAD_A, LOAD_A),
    ("REGISTER, guessed password, answered 403", "wrong", LOAD_A, LOAD_A),
]


def hostile(kind, rate, source, servers):
    return load("-m", "hostile", "-k", kind, "-t", GW, "-a", source, "-b", LOAD_B, "-u", str(USERS), "-r", str(rate), "-d", str(SECS), "-w", "1",
                servers=servers)


def s_hostile(work):
    rate = {"wrong": 5000}
    ours, peer = {}, {}
    g = gateway(work)
    for row_, kind, source, _ in HOSTILE:
        ours[row_] = median_of(f"ringwall {row_}", lambda: hostile(kind, rate.get(kind, 20000), source, [g]))
    g.stop()
    k = kamailio(work, "NO_PIKE") if have_kamailio() else None
    if k:
        for row_, kind, _, source in HOSTILE:
            peer[row_] = median_of(f"Kamailio {row_}", lambda: hostile(kind, rate.get(kind, 20000), source, [k]))
        k.stop()
    for row_, *_ in HOSTILE:
        o, p = ours[row_], peer.get(row_)
        row(row_, o and o["server_us"], p and p["server_us"], f"{o['answers']} answers, the last {o['last_code']}" if o else "", o)


def s_flood(work):
    def flood(kind, rate, source, g):
        return load("-m", "flood", "-k", kind, "-t", GW_TLS, "-a", source, "-b", LOAD_B, "-r", str(rate), "-d", str(SECS), "-w", "1", servers=[g])
    g = gateway(work)
    door = median_of("connections refused at the door, 5000/s", lambda: flood("door", 5000, OPEN, g))
    top = flood("door", 1000000, OPEN, g)
    begun = median_of("TLS handshakes begun and left, 1000/s", lambda: flood("hello", 1000, LOAD_A, g))
    g.stop()
    row("connection refused at the door", door and door["server_us"], None, "", door)
    row("connections refused at the door, one core", top and top["done_s"] * 100 / max(top["core_pct"], 1), None,
        f"{top['done_s']:.0f}/s were offered and took {top['core_pct']:.0f} % of it" if top else "")
    row("TLS handshake begun and left", begun and begun["server_us"], None, "the vault's signature is in it", begun)


def s_reload(work):
    """The longest time in which the caller heard nothing at all, at 1000 calls a second, without and with reloads."""
    g = gateway(work)
    state = os.path.join(work, f"state-{USERS}")
    calm = median_of("no reload", lambda: sip("call", 1000, [g], secs=4), "gap_ms")

    def reloads():
        p = subprocess.Popen(["sh", "-c", f"sleep 2; for i in 1 2 3; do {CLI} reload --state {state} || exit 1; sleep 0.7; done"], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, preexec_fn=on_load_core)
        r = sip("call", 1000, [g], secs=4)
        if p.wait(20) != 0:
            note("reload failed: " + p.stdout.read().decode()[-200:])
            return None
        return r
    with_ = median_of("three reloads", reloads, "gap_ms")
    g.stop()
    row("reload at 1000 calls/s, longest silence", with_ and with_["gap_ms"], None,
        f"{calm['gap_ms']:.1f} without a reload; {with_['fail_pct']:.3f} % of the calls failed" if calm and with_ else "", with_)


# ---- the parser ----

PARSERS = ("ringwall", "libosip2", "Sofia-SIP")


def by_callgrind(exe, parser, message, n=100):
    """Instructions a message: 2n messages less n, so that the start cancels. None where it cannot be counted."""
    def count(times):
        r = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", exe, parser, message, str(times)],
                           capture_output=True, text=True, timeout=120, preexec_fn=on_load_core)
        found = re.search(r"Collected : (\d+)", r.stderr)
        return int(found.group(1)) if r.returncode == 0 and found else None
    one, two = count(n), count(2 * n)
    return (two - one) / n if one and two else None


def parse_table(exe, text):
    """ns and instructions a message from what the program printed; where the kernel let it not count, callgrind counts."""
    rows_ = {}
    for m in re.finditer(r"^(\S.*?) +(\d+)  (\S+) +(\d+) +[\d.]+ +(\d+|-)$", text, re.M):
        rows_.setdefault((m[1], int(m[2])), {})[m[3]] = [float(m[4]), None if m[5] == "-" else float(m[5])]
    hardware = any(v[1] for r in rows_.values() for v in r.values())
    valgrind = shutil.which("valgrind")
    say(f"    instructions a message: {'hardware counter, user space' if hardware else 'callgrind, not hardware' if valgrind else 'not measured: no hardware counter and no valgrind'}")
    say("\n    | message | bytes | " + " | ".join(f"{p}: ns | instructions" for p in PARSERS) + " |")
    say("    | --- | --- |" + " --- | --- |" * len(PARSERS))
    for (message, size), r in rows_.items():
        cells = []
        for p in PARSERS:
            ns, count = r.get(p, (None, None))
            if p in r and count is None and valgrind:
                count = by_callgrind(exe, p, message)
            cells += [f"{ns:.0f}" if ns else "not measured", f"{count:.0f}" if count else "not measured"]
        say(f"    | {message} | {size} | " + " | ".join(cells) + " |")
    for p in PARSERS:
        if not any(p in r for r in rows_.values()):
            note(f"{p} was not there when the bench was built: not measured")
    if not hardware and not valgrind:
        note("instructions a message: not measured (the kernel refuses hardware counters and valgrind is not installed)")


def micro_rows(text):
    """Rows that a micro benchmark gives besides its text: lines of JSON behind a word."""
    spaced = lambda n: f"{n:,}".replace(",", " ")
    for line in re.findall(r"^gates-json (.*)$", text, re.M):
        j = json.loads(line)
        us = {k[:-3]: v / 1000 for k, v in j.items() if k.endswith("_ns")}
        of = f"{spaced(j['users'])} user{'s' if j['users'] > 1 else ''}, {spaced(j['prefixes'])} prefixes"
        row(f"gates identity, right and fraud: {of}", us["gates"], None,
            f"{us['identity']:.1f} + {us['right']:.1f} + {us['fraud']:.1f}; the vault, beside them, {us['vault']:.1f}")
        if f"what a call holds in the ledger, to its end: {of}" in BARS:
            row(f"what a call holds in the ledger, to its end: {of}", us["ledger"], None, "reserved, answered, released and learnt, 4 shards")
    for line in re.findall(r"^ledger-json (.*)$", text, re.M):
        j = json.loads(line)
        row(f"ledger memory of an active identity: {j['engines']} engine{'s' if j['engines'] > 1 else ''}", j["bytes"], None, j["remark"])


def s_micro(_):
    for name in ("parse", "srtp", "tls", "rules", "ledger", "gates"):
        exe = os.path.join(BUILD, "bench", name)
        if not os.path.exists(exe):
            note(f"micro benchmark {name} is not built here")
            continue
        say(f"  {name}:")
        args = glob.glob(os.path.join(ROOT, "packaging", "rules", "*.rules")) if name == "rules" else []
        r = subprocess.run([exe, *sorted(args)], capture_output=True, text=True, timeout=120, preexec_fn=on_load_core)
        say("    " + re.sub(r"^\w+-json .*\n?", "", r.stdout + r.stderr, flags=re.M).strip().replace("\n", "\n    "))
        micro_rows(r.stdout if r.returncode == 0 else "")
        if name == "parse" and r.returncode == 0:
            parse_table(exe, r.stdout)


# ---- the table ----

def figure(v, unit):
    if v is None:
        return "-"
    return f"{v:,.0f}".replace(",", " ") if v >= 1000 else f"{v:.0f}" if v >= 100 else f"{v:.1f}"


def verdict(name, ours, peer):
    """By ratio to the peer in the same run where both were measured, else by the figure itself."""
    unit, _, ref, reach, aim, up = BARS[name]
    if ours is None:
        return "not measured"
    if reach is None:
        return "no bar"
    if peer and ref and not up:
        ours, reach, aim = ours / peer, reach / ref, aim / ref
    better = (lambda a, b: a >= b) if up else (lambda a, b: a <= b)
    if better(ours, aim):
        return "aim"
    if better(ours, reach):
        return "reached"
    return f"missed by {abs(ours / reach - 1) * 100:.0f} %" if reach else "missed"


def table():
    say("\n| what | unit | ringwall | peer | its figure | ratio | bar: reach / aim | result |")
    say("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, (unit, peer_name, ref, reach, aim, up) in BARS.items():
        if name not in rows:
            continue
        r = rows[name]
        ours, peer = r["ours"], r["peer"]
        ratio = f"{ours / peer:.2f}" if ours and peer else "-"
        bar = f"{figure(reach, unit)} / {figure(aim, unit)}" if reach else "-"
        if peer and ref and reach and not up:
            bar += f" = {reach / ref:.2f} / {aim / ref:.2f}"
        r["result"] = verdict(name, ours, peer)
        if r["bad"] > 0.1 and not r["result"].startswith("missed"):
            r["result"] = "missed: packets or calls were lost"
        remark = f" ({r['remark']})" if r["remark"] else ""
        say(f"| {name}{remark} | {unit} | {figure(ours, unit)} | {peer_name} | {figure(peer, unit)} | {ratio} | {bar} | {r['result']} |")
    got = [r["result"] for r in rows.values()]
    say(f"\n{sum(x == 'aim' for x in got)} at the aim, {sum(x == 'reached' for x in got)} reached, "
        f"{sum(x.startswith('missed') for x in got)} missed, {sum(x == 'not measured' for x in got)} not measured")
    for n in notes:
        say("note:", n)


def machine():
    model = next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "unknown processor")
    say(f"{os.cpu_count()} cores of {model}, Linux {os.uname().release}, load {os.getloadavg()[0]:.1f}; gateway on core 1, load on core 0")
    if os.cpu_count() < 2:
        note("one core only: load and gateway share it, figures are worthless")
    if os.getloadavg()[0] > 0.7:
        note(f"other programs were running when it began (load {os.getloadavg()[0]:.1f}): figures are higher and rates lower than they need be")
    if not can_cgroup():
        note("no cpuacct cgroup (not root, or cgroup v2): CPU by /proc/PID/schedstat")
    if not have_kamailio():
        note("no Kamailio or no rig in PEERS: the bars are judged by the figures themselves")
    if not have_rtpengine():
        note("no rtpengine or no rig in PEERS: no peer for media")


def sysctl(path, value):
    try:
        old = open(path).read()
        with open(path, "w") as f:
            f.write(str(value))
        return old
    except OSError:
        note("socket buffers stay as the kernel has them (not root): bursts may be lost that a server would keep")
        return None


def main():
    for x in (CLI, VAULT, RWLOAD):
        if not os.path.exists(x):
            raise SystemExit(f"bench: {x} is missing; run: tools/build.sh {os.path.basename(BUILD)} bench")
    sections = {"micro": s_micro, "calls": s_calls, "register": s_register, "tls": s_tls, "rtp": s_rtp, "srtp": s_srtp, "memory": s_memory,
                "hostile": s_hostile, "flood": s_flood, "reload": s_reload,
                "xdp": lambda work: subprocess.run([sys.executable, os.path.join(ROOT, "bench", "xdp.py"), BUILD])}
    for x in ONLY:
        if x not in sections:
            raise SystemExit(f"bench: ONLY={x}: one of {', '.join(sections)}")
    machine()
    work = tempfile.mkdtemp(prefix="ringwall-bench-")
    os.chmod(work, 0o755)
    rmem = "/proc/sys/net/core/rmem_max"
    old = sysctl(rmem, 64 << 20)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    t0 = time.time()
    try:
        for name, f in sections.items():
            if ONLY and name not in ONLY:
                continue
            say(f"== {name}  ({time.time() - t0:.0f} s)")
            try:
                f(work)
            except subprocess.TimeoutExpired:
                note(f"{name}: a run did not end in time and was stopped")
            finally:
                stop_all()
        table()
        if os.environ.get("JSON"):
            with open(os.environ["JSON"], "w") as f:
                json.dump({"rows": rows, "notes": notes}, f, indent=1)
        say(f"took {time.time() - t0:.0f} s")
    finally:
        stop_all()
        if old is not None:
            sysctl(rmem, old)
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
