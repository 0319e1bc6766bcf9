#!/usr/bin/env python3
"""Floods from many sources against 50 calls a second of honest ones, in network namespaces: what is lost, what it costs, with the
shield in the kernel (XDP, nf_tables), with the engine alone, and without the shield.
usage: bench/flood.py BUILD_DIR      (needs root; `ONLY=shield tools/bench.sh` builds and runs it)
environment: QUICK=1, SECS=s, RATE=packets a second (0: all that the sender can make)"""
import json, os, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(sys.argv[1])
if os.environ.get("FLOOD_NS") is None:  # once more, in a namespace of our own
    if os.geteuid() != 0 or subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode:
        print("shield: not measured: needs root and network namespaces")
        sys.exit(0)
    os.execvpe("unshare", ["unshare", "-n", sys.executable, *sys.argv], dict(os.environ, FLOOD_NS="1"))
os.environ["RINGWALL_BUILD"] = BUILD
sys.path.insert(0, os.path.join(HERE, "..", "tests", "e2e"))
import shield  # noqa: E402
from gateway import Gateway  # noqa: E402

FLOOD, RWLOAD = os.path.join(BUILD, "bench", "flood"), os.path.join(BUILD, "bench", "load", "rwload")
VAULT = os.path.join(BUILD, "src", "app", "vault", "ringwall-vault")
QUICK = bool(os.environ.get("QUICK"))
SECS = float(os.environ.get("SECS", "4" if QUICK else "8"))
RATE = os.environ.get("RATE", "0")
USERS, SOURCES = 200, 256
CALLER, ANSWERER = "203.0.113.9:5080", "198.51.100.10:5070"
WAYS = [("without the shield", "none", "dry-run"), ("engine alone", "none", "enforce"), ("nf_tables", "nftables", "enforce"), ("XDP", "xdp", "enforce")]
KINDS = [("none", "no flood"), ("sip", f"REGISTER, {SOURCES} sources"), ("banned", f"the same, sources banned"), ("junk", f"no SIP, {SOURCES} sources"), ("rtp", "RTP to ports without a call")]


def cpu_s(pids):
    total = 0
    for p in pids:
        try:
            v = open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()
            total += int(v[11]) + int(v[12])
        except OSError:
            pass
    return total / os.sysconf("SC_CLK_TCK")


def affinity(core):
    return lambda: os.sched_setaffinity(0, {core}) if (os.cpu_count() or 1) > 1 else None


def gateway(kernel, mode):
    config = shield.CONFIG.replace("{silent}", "no").replace("{guard}", shield.GUARD.format(kernel=kernel, decoys="admin").replace("enforce", mode))
    config = config.replace("domains: [example.com]", "domains: [bench]").replace('"9."', '"+X."')
    office = "media: rtp, nat: yes, registration: yes, rate_per_source: 5000}"
    config = config.replace("  - {{name: lan, listeners: [lan], sources", "  - {{name: office, listeners: [udp, tcp], sources: [203.0.113.0/24], " + office + "}\n  - {{name: lan, listeners: [lan], sources", 1)
    config = config.replace("  - {{name: old-pbx", "  - {{name: office-phones, zone: office, allow: [plain-signalling, plain-media], owner: alice, reason: \"benchmark\", expires: 2099-01-01}}\n  - {{name: old-pbx", 1)
    if mode != "enforce":
        config = config.replace("registration: yes, silent: no", "registration: yes, rate_per_source: 1000000, silent: no")
    g = Gateway(config=config, engines=1, ports="20000-23999", limits="calls: 4000")
    users = os.path.join(g.dir, "users")
    with open(users, "w") as f:
        f.writelines(f"u{i:06d},pw{i:06d}\n" for i in range(USERS))
    subprocess.run([VAULT, "--state", g.state, "--domain", "bench", "--any-password", "user", "import", users], check=True, capture_output=True)
    old = os.sched_getaffinity(0)
    affinity(1)()
    g.start()  # it and its children stay on the second core
    os.sched_setaffinity(0, old)
    return g


def load(net, *args):
    p = subprocess.Popen(net.office.argv(RWLOAD, "-t", "192.0.2.1:5060", "-a", CALLER, "-b", ANSWERER, "-u", str(USERS), *args), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True, preexec_fn=affinity(0))
    out, err = p.communicate(timeout=120)
    if p.returncode:
        print("   ", err.strip()[-200:])
        return None
    return json.loads(out.strip().splitlines()[-1])


def one(net, g, kind):
    if kind == "banned":
        g.run("bans", "add", "198.18.1.0/24", "--state", g.state)
        g.run("bans", "add", "198.18.2.0/24", "--state", g.state)
        time.sleep(0.5)
    f = None
    if kind != "none":
        f = net.world.popen(FLOOD, "-t", shield.OUT, "-k", "sip" if kind == "banned" else kind, "-n", str(SOURCES), "-r", RATE, "-d", str(SECS + 1), stdout=subprocess.PIPE, text=True,
                            preexec_fn=affinity(0))
    pids = [p for p in g.pids().values() if p]
    c0, t0 = cpu_s(pids), time.time()
    r = load(net, "-m", "call", "-r", "50", "-d", str(SECS), "-w", "1")
    c1, t1 = cpu_s(pids), time.time()
    sent = json.loads(f.communicate(timeout=60)[0] or '{"sent_s":0}') if f else {"sent_s": 0}
    drops = {k: v for k, v in g.status().get("shield", {}).get("drops", {}).items() if v}
    if kind == "banned":
        for n in ("198.18.1.0/24", "198.18.2.0/24"):
            g.run("bans", "release", n, "--state", g.state)
    if not r:
        return None
    return {"sent_s": sent["sent_s"], "failed": r["failed"], "total": r["total"], "p50_us": r["p50_us"], "p99_us": r["p99_us"], "drops": drops, "core_pct": (c1 - c0) / (t1 - t0) * 100}


def main():
    for x in (FLOOD, RWLOAD):
        if not os.path.exists(x):
            raise SystemExit(f"bench: {x} is missing; tools/build.sh {os.path.basename(BUILD)} bench")
    net, rows = shield.Net(), []
    for n in ("198.18.1.0/24", "198.18.2.0/24"):  # behind a router, as strangers are: answers to neighbours who are not there would wait for ARP, 3 s
        subprocess.run(["ip", "route", "replace", n, "via", shield.ATTACKERS + "66"], check=True)
    print("| flood | shield | packets a second | calls lost of | set-up p50 | p99 | added p99 | CPU of the gateway |\n" + "| --- " * 8 + "|", flush=True)
    try:
        for way, kernel, mode in WAYS:
            try:
                g = gateway(kernel, mode)
            except AssertionError as e:
                print(f"{way}: not measured: {str(e)[-200:]}")
                continue
            try:
                force = g.status().get("shield", {}).get("in_force", "?")
                load(net, "-m", "reg", "-r", "200", "-d", "1", "-w", "0.2")
                calm = None
                for kind, name in KINDS:
                    r = one(net, g, kind)
                    if not r:
                        print(f"| {name} | {way} | not measured |" + " - |" * 5, flush=True)
                        continue
                    calm = calm or r
                    rows.append(dict(r, flood=name, shield=way, force=force))
                    print(f"| {name} | {way}{f' ({force})' if kernel != 'none' else ''} | {r['sent_s']:.0f} | {r['failed']} of {r['total']} | {r['p50_us'] / 1000:.1f} ms | {r['p99_us'] / 1000:.1f} ms | "
                          f"{(r['p99_us'] - calm['p99_us']) / 1000:+.1f} ms | {r['core_pct']:.0f} % |", flush=True)
                    time.sleep(3)
            finally:
                g.close()
    finally:
        net.close()
    print("Sender, honest calls and what the kernel does for them share the first core, the gateway has the second.")
    if os.environ.get("JSON"):
        with open(os.environ["JSON"], "w") as f:
            json.dump({"shield": rows}, f, indent=1)


if __name__ == "__main__":
    main()
