#!/usr/bin/env python3
"""The shield in the kernel, measured: ns of its program for a packet, by how many sources are banned (bench/xdp.c); and what a flood of junk
over a cable (veth) costs the gateway's machine with XDP, with nf_tables and without. As root; the flood in network namespaces of its own.
usage: bench/xdp.py BUILD_DIR"""
import json, os, re, subprocess, sys, tempfile, shutil, time

BUILD = os.path.abspath(sys.argv[1])
CLI = os.path.join(BUILD, "src", "app", "cli", "ringwall")
SECS = float(os.environ.get("SECS", "3"))
GW = "192.0.2.1"
CONFIG = """
domains: [example.com]
state: %s
engines: 1
media: {ports: 21000-21099}
certificates:
  default: {chain: server.pem, key: server}
listeners:
  - {name: udp, transport: udp, address: "192.0.2.1:5060"}
zones:
  - {name: all, listeners: [udp], sources: [0.0.0.0/0], media: rtp, nat: yes, registration: yes}
waivers:
  - {name: w, zone: all, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "bench", expires: 2099-01-01}
routes:
  - {name: users, from: {zone: all}, pattern: "*", to: users}
limits: {calls: 20}
guard: {kernel: %s}
"""


def sh(*args):
    return subprocess.run(args, check=True, capture_output=True, text=True).stdout


def program():
    rows = [json.loads(x) for x in sh(os.path.join(BUILD, "bench", "xdp")).splitlines()]
    counts = sorted({r["banned"] for r in rows})
    print(f"\n{'the shield’s program, ns a packet; banned:':45}" + "".join(f"{c:>12,}" for c in counts))
    for name in dict.fromkeys(r["name"] for r in rows):
        print(f"  {name:43}" + "".join(f"{next(r['ns'] for r in rows if r['name'] == name and r['banned'] == c):>12}" for c in counts))
    worst = max(r["ns"] for r in rows if r["name"].startswith("drop"))
    print(f"  dearest drop {worst} ns; bar 500, aim 300: {'aim met' if worst <= 300 else 'bar met' if worst <= 500 else 'MISSED'}")


def cpu(pid):
    f = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")


def flood(kernel, mac=None):
    work = tempfile.mkdtemp(prefix="ringwall-bench-")
    os.chmod(work, 0o755)
    state = os.path.join(work, "state")
    gw = None
    try:
        sh(CLI, "init", "--state", state, "--domain", "example.com")
        config = os.path.join(state, "ringwall.yaml")
        open(config, "w").write(CONFIG % (state, kernel))
        log = open(os.path.join(work, "log"), "w+")
        gw = subprocess.Popen([CLI, "run", "--config", config, "--state", state], stdout=log, stderr=log)
        doc = None
        for _ in range(200):
            r = subprocess.run([CLI, "status", "--json", "--state", state], capture_output=True, text=True)
            if r.returncode == 0 and json.loads(r.stdout)["state"] == "running":
                doc = json.loads(r.stdout)
                break
            time.sleep(0.05)
        assert doc, open(log.name).read()
        engine = next(p["pid"] for p in doc["programs"] if p["role"] == "engine")
        before = cpu(engine)
        rate, us = map(float, sh("nsenter", "-t", holder, "-n", os.path.join(BUILD, "bench", "xdp_flood"), "out", mac or wan_mac, GW, str(SECS)).split())
        used = cpu(engine) - before
        time.sleep(4)
        shield = json.loads(sh(CLI, "status", "--json", "--state", state))["shield"]
        return shield["in_force"], rate, us, sum(shield["drops"].values()), used / SECS
    finally:
        if gw:
            gw.terminate()
            gw.wait()
        shutil.rmtree(work, ignore_errors=True)


if os.geteuid() != 0 or not os.path.exists(os.path.join(BUILD, "bench", "xdp")):
    print("xdp: skipped: needs root, and clang when it was built")
    sys.exit(0)
if len(sys.argv) == 2:
    program()
    sys.exit(subprocess.run(["unshare", "-n", sys.executable, __file__, BUILD, "flood"]).returncode)
held = subprocess.Popen(["unshare", "-n", "sleep", "600"])
holder = str(held.pid)
try:
    while os.readlink(f"/proc/{holder}/ns/net") == os.readlink("/proc/self/ns/net"):
        time.sleep(0.02)
    sh("ip", "link", "set", "lo", "up")
    sh("ip", "link", "add", "wan", "type", "veth", "peer", "name", "out", "netns", holder)
    sh("ip", "address", "add", GW + "/24", "dev", "wan")
    sh("ip", "link", "set", "wan", "up")
    sh("ip", "route", "add", "default", "dev", "wan")
    sh("nsenter", "-t", holder, "-n", "ip", "link", "set", "out", "up")
    wan_mac = re.search(r"ether (\S+)", sh("ip", "link", "show", "wan")).group(1)
    print(f"\n{'junk from 131,072 sources over veth, one core':45}{'sent a second':>16}{'us to send':>12}{'and drop':>10}{'kernel dropped':>16}{'engine’s core':>15}")
    _, rate, alone, _, used = flood("none", "02:00:00:00:00:99")
    print(f"  {'not for us at all':43}{rate:>16,.0f}{alone:>12.2f}{'':>26}{used * 100:>14.0f}%")
    for kernel in ("xdp", "nftables", "none"):
        force, rate, us, dropped, used = flood(kernel)
        print(f"  {force:43}{rate:>16,.0f}{us:>12.2f}{us - alone:>10.2f}{dropped:>16,}{used * 100:>14.0f}%")
finally:
    held.kill()
    held.wait()
