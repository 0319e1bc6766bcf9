"""Many calls with churn: memory, descriptors and gauges of every program are afterwards what they were before.
RINGWALL_SOAK=100000 for the long one (tools/soak.sh); else 10 000 calls."""
import glob, json, os, shlex, subprocess, threading, time
import pytest
from crowd import CONFIG, Crowd
from gateway import BUILD, Gateway, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOTAL = int(os.environ.get("RINGWALL_SOAK", "10000"))
LONG = TOTAL >= 50000
# A transaction lingers for 32 s: only behind that many seconds of one rate the tables have reached their level (40,000 calls).
RATE = int(os.environ.get("RINGWALL_SOAK_RATE", "900" if LONG else "700"))
USERS = 100
EXTRA = """  - {{name: load, listeners: [load], sources: [127.0.73.20], media: rtp, registration: yes, authenticate: yes, rate_per_source: 100000}}
  - {{name: pbx, listeners: [back], sources: [127.0.73.30], media: rtp, authenticate: no, rate_per_source: 100000}}
"""
SOAK = CONFIG.replace("zones:\n", '  - {{name: load, transport: udp, address: "127.0.73.1:5060"}}\n  - {{name: back, transport: udp, address: "127.0.73.1:5062"}}\nzones:\n' + EXTRA) \
    .replace("waivers:\n", 'waivers:\n  - {{name: load, zone: load, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "soak on loopback", expires: 2099-01-01}}\n'
             '  - {{name: back, zone: pbx, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "soak on loopback", expires: 2099-01-01}}\n') \
    .replace("{{name: user, outbound: yes}}", "{{name: user, outbound: yes, dial: [internal, emergency, local, national, mobile, toll-free, international, unknown], countries: all, step_up: none, caps: {{calls: 0, attempts: 0, call_money: 0, money: {{hour: 0, day: 0, month: 0}}}}}}") \
    .replace("roles:\n", '  - {{name: load, kind: pbx, zone: pbx, listener: back, address: "127.0.73.30:5070", trust_identity: yes}}\nroles:\n') \
    .replace("routes:\n", 'routes:\n  - {{name: load, pattern: "+X.", to: {{peers: [load]}}}}\n')

# A hundred users who each call a hundred numbers for a moment are robocallers, and more than a user may send.
SOAK = "fraud: {{mode: off}}\nguard: {{limits: {{known: 100000, source: 100000, aor: 1000000, device: 1000000}}, detectors: {{robocall: {{off: yes}}, wangiri: {{off: yes}}}}}}\n" + SOAK


@pytest.fixture(scope="module")
def rwload(tmp_path_factory):
    """The load generator of the benchmark, linked with the libraries of the build under test."""
    exe = str(tmp_path_factory.mktemp("rwload") / "rwload")
    libs = [p for p in glob.glob(os.path.join(BUILD, "src", "**", "*.a"), recursive=True) if "/app/" not in p]
    r = subprocess.run(shlex.split(os.environ.get("CC", "cc")) + ["-std=gnu17", "-O2", "-D_GNU_SOURCE", "-I", ROOT + "/src", "-I", ROOT, *glob.glob(ROOT + "/bench/load/*.c"),
                       "-Wl,--start-group", *libs, "-Wl,--end-group", "-lssl", "-lcrypto", "-lpthread", "-lm", "-o", exe], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr[-2000:]
    return exe


@pytest.fixture
def gw(tmp_path):
    g = Gateway(config=SOAK, ports="10000-27999", limits="calls: 4000, bindings: 10000, transactions: 300000, connections: 2000")
    g.user("alice")
    (tmp_path / "users").write_text("".join(f"u{i:06d},pw{i:06d}\n" for i in range(USERS)))
    r = g.run("user", "import", str(tmp_path / "users"), "--any-password", "--state", g.state)
    assert r.returncode == 0, r.stdout + r.stderr
    g.start()
    yield g
    g.close()


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))


def measure(g):
    return {name: {"pss": pss(pid), "fds": len(os.listdir(f"/proc/{pid}/fd"))} for name, pid in g.pids().items() if pid}


def stats(g):
    return g.status()["stats"]


def load(rwload, *args):
    r = subprocess.run([rwload, "-t", "127.0.73.1:5060", "-a", "127.0.73.20:5080", "-b", "127.0.73.30:5070", "-D", "example.com", "-u", str(USERS), *args],
                       capture_output=True, text=True, timeout=600)
    assert r.returncode == 0, r.stdout + r.stderr
    return json.loads(r.stdout)


def part(g, rwload, until):
    """Calls and registrations until so many calls were made; then quiet."""
    left = until - stats(g)["calls_total"]
    seconds = left / (RATE + 60)
    crowd = Crowd(60, hold=(0.4, 1.2), rate=60, churn=True, patience=20)
    crowd.start()
    regs = threading.Thread(target=lambda: load(rwload, "-m", "reg", "-r", str(RATE // 5), "-d", str(int(seconds) + 1), "-w", "0", "-a", "127.0.73.20:5081", "-b", "127.0.73.30:5071"))
    regs.start()
    r = load(rwload, "-m", "call", "-r", str(RATE), "-d", f"{seconds:.1f}", "-w", "0", "-H", "300")
    regs.join()
    assert wait_for(lambda: stats(g)["calls_total"] >= until * 0.98, 20, 0.2), (stats(g)["calls_total"], until)
    assert crowd.finish(30), len(crowd.calls)
    crowd.quit()
    # the generator sends nothing twice: a datagram that a busy machine drops is a call that failed
    assert r["refused"] == 0 and r["failed"] <= r["total"] * (0.01 if LONG else 0.1), r
    assert crowd.failed <= len(crowd.ended) * 0.005 and crowd.cancelled > 0 and len(crowd.ended) > crowd.cancelled, (crowd.codes, crowd.cancelled, len(crowd.ended))
    assert g.idle()
    return r


def test_memory_is_flat(gw, rwload):
    """Five equal parts. The first two fill what fills once: tables to their level, the store's page cache and its newest
    verdicts; from there on nothing may grow."""
    seen = []
    for n in range(1, 6):
        part(gw, rwload, TOTAL * n // 5)
        time.sleep((3 if LONG else 1) if n in (2, 5) else 0)  # media ports rest, facts are committed
        seen.append(measure(gw))
    s = stats(gw)
    print(f"\n{s['calls_total']} calls; KiB of PSS, and descriptors, after each fifth:")
    for name in seen[0]:
        print(f"  {name:8} " + "  ".join(f"{x[name]['pss']:6} {x[name]['fds']:5}" for x in seen) + f"   {100 * seen[4][name]['pss'] / seen[1][name]['pss'] - 100:+.1f} %")
    assert s["calls"] == 0 and s["ports_taken"] == 0 and s["facts_lost"] == 0, s
    assert gw.ask("bans")["bans"] == []
    engines = [n for n in seen[0] if n.startswith("engine")]
    for name in seen[0]:
        before, after = seen[1][name], seen[4][name]
        if LONG:  # a busy machine may lift a level once; what leaks grows in every part
            steps = sorted(seen[i][name]["pss"] - seen[i - 1][name]["pss"] for i in (2, 3, 4))
            assert after["pss"] <= before["pss"] * (1.02 if steps[1] > before["pss"] * 0.003 else 1.05), f"{name}: {before} {after}"
            assert steps[1] <= before["pss"] * 0.01, f"{name}: {steps}"
        slack = 1.5 if name in engines else 1  # an engine opens media ports ahead of need
        assert after["fds"] <= before["fds"] * slack, f"{name}: {before} {after}"
    if not LONG:  # what a call may leave for 32 s (its transactions), and no more
        grown = sum(seen[4][n]["pss"] - seen[1][n]["pss"] for n in engines) * 1024 / (TOTAL * 3 / 5)
        assert grown <= 2560, f"{grown:.0f} bytes a call"
        assert seen[4]["store"]["pss"] - seen[1]["store"]["pss"] <= 20 << 10  # newest verdicts and page cache
    if LONG:
        assert wait_for(lambda: stats(gw)["transactions"] == 0, 45), stats(gw)
        assert wait_for(lambda: stats(gw)["connections"] == 0, 5)
