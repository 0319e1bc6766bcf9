"""The tools that scanners use, against a gateway that honest phones call meanwhile: nothing is found, the attacker is banned
soon, and no honest call is lost."""
import os, re, shutil, time
import pytest
from shield import *

pytestmark = needs_net
GIVEN_UP = 14
EXISTING = re.compile(r"\b(?:1000|1001|1002|1003)\b")


@pytest.fixture(scope="module")
def net():
    if not ALONE:
        pytest.skip("needs root and a network namespace of its own")
    n = Net()
    yield n
    n.close()


@pytest.fixture(scope="module")
def g(net):
    g = gateway(users=8)
    g.start()
    yield g
    g.close()


turn = iter(range(100, 250))


@pytest.fixture
def scene(net, g):
    """A fresh address for the attacker, an office at work, and somebody who looks for the ban."""
    class Scene:
        ip = net.world.address(f"{ATTACKERS}{next(turn)}")
    s = Scene()
    net.world.sh("ip", "route", "replace", OUT + "/32", "dev", "eth0", "src", s.ip)
    s.office = Office(net, g)
    time.sleep(0.5)
    s.watch = Watch(g, net.world, s.ip)
    yield s
    s.watch.end()
    s.office.end()


def need(name):
    path = shutil.which(name)
    if not path:
        pytest.skip(f"{name} is not installed")
    return path


def ends(scene, name, most_s=5, most_packets=100, banned=True):
    wait_for(lambda: scene.watch.found, 3)
    w = scene.watch.end()
    report(name, w, scene.office)
    scene.office.check()
    sent = w.space.packets() - w.packets0
    if banned and sent > GIVEN_UP:  # fewer: the tool saw no difference between users and went away by itself
        assert w.found, f"{name}: no ban after {sent} packets"
        assert w.after < most_s and w.packets < most_packets, f"{name}: {w}"


def test_svmap(net, g, scene, tmp_path):
    """Whatever svmap learns of one gateway, it sees no kind of device."""
    out = ""
    for m in ("OPTIONS", "REGISTER", "INVITE"):
        out += tool(net.world, need("svmap"), "-b", scene.ip, "-m", m, "-p", "5060", OUT, seconds=8, cwd=tmp_path)
    assert "ingwall" not in out, out
    scene.watch.end()
    report("svmap", scene.watch, scene.office)
    scene.office.check()


def test_svmap_sweep(net, g, scene, tmp_path):
    """A sweep that comes past again and again."""
    tool(net.world, need("svmap"), "-b", scene.ip, "-m", "OPTIONS", "-t", "0.001", *[OUT] * 60, seconds=15, cwd=tmp_path)
    ends(scene, "svmap, 60 times", banned=True, most_s=15)


@pytest.mark.parametrize("method", ["REGISTER", "INVITE", "OPTIONS"])
def test_svwar(net, g, scene, tmp_path, method):
    out = tool(net.world, need("svwar"), "-m", method, "-e", "990-1100", "--force", OUT, seconds=20, cwd=tmp_path)
    found = [l for l in out.splitlines() if EXISTING.search(l) and "|" in l]
    assert not found, out
    ends(scene, "svwar " + method)


def test_svwar_with_domain(net, g, scene, tmp_path):
    out = tool(net.world, need("svwar"), "-m", "REGISTER", "-e", "990-1100", "--domain", "example.com", "--force", OUT, seconds=20, cwd=tmp_path)
    assert not [l for l in out.splitlines() if EXISTING.search(l) and "|" in l], out
    ends(scene, "svwar REGISTER, domain")


@pytest.mark.parametrize("method", ["REGISTER", "INVITE", "OPTIONS"])
def test_names_tried_by_one_who_does_not_give_up(net, g, scene, method):
    """svwar goes away when all users look alike; this one goes on, and learns nothing before it is shut out."""
    with net.world.inside():
        u = Ua(scene.ip, 0, UDP, "udp", "x")
    heard, silent = {}, 0
    for i in range(200):
        u.user = str(990 + i)
        u.request(method, f"sip:{u.user}@example.com", f"<sip:{u.user}@example.com>", f"w{i}@x", f"t{i}")
        m = u.recv(0.1)
        silent = 0 if m else silent + 1
        if m:
            heard[u.user] = m.start
        if silent > 10:
            break
    u.close()
    assert len(set(heard.values())) == 1 and len(heard) < 60, heard
    ends(scene, f"names tried by {method}, {len(heard)} answers, all the same", most_s=8, most_packets=200)


@pytest.mark.parametrize("reuse", [(), ("-n",)])
def test_svcrack(net, g, scene, tmp_path, reuse):
    words = tmp_path / "words"
    words.write_text("".join(f"secret{i}\n" for i in range(300)) + g.passwords["1003"] + "\n")
    out = tool(net.world, need("svcrack"), "-u", "1003", "-d", str(words), "--domain", "example.com", *reuse, OUT, seconds=20, cwd=tmp_path)
    assert g.passwords["1003"] not in out, out
    ends(scene, "svcrack" + "".join(reuse), banned=False)


def crack(net, g, scene, users, tries):
    """svcrack knows only MD5; this is the same with the gateway's own algorithms."""
    with net.world.inside():
        u = Ua(scene.ip, 0, UDP, "udp", "x", "wrong")
    hits = silent = 0
    for i in range(tries):
        u.user = users[i % len(users)]
        u.request("REGISTER", "sip:example.com", f"<sip:{u.user}@example.com>", f"g{i}@x", "t")
        m = u.recv(0.3)
        if not m or m.code != 401:
            silent += 1
            if silent > 3:
                break
            continue
        a = u.authorization(m.get("www-authenticate"), "REGISTER", "sip:example.com", password=f"guess{i}")
        u.request("REGISTER", "sip:example.com", f"<sip:{u.user}@example.com>", f"g{i}@x", "t", extra=f"Authorization: {a}\r\n")
        m = u.recv(0.3)
        hits += bool(m and m.code == 200)
    u.close()
    assert hits == 0


def test_guessing_one(net, g, scene):
    crack(net, g, scene, ["1005"], 60)
    ends(scene, "60 wrong passwords for one user", most_s=8)


def test_guessing_many(net, g, scene):
    crack(net, g, scene, [str(1000 + i) for i in range(8)], 60)
    ends(scene, "60 wrong passwords, 8 users", most_s=8)


def test_sipsak_usrloc(net, g, scene, tmp_path):
    out = tool(net.world, need("sipsak"), "-U", "-C", f"sip:bad@{scene.ip}", "-x", "30", "-s", f"sip:1000@{OUT}", "-a", "wrong", seconds=10, cwd=tmp_path)
    assert "200 OK" not in out
    out = tool(net.world, need("sipsak"), "-s", f"sip:1000@{OUT}", seconds=10, cwd=tmp_path)
    assert "ingwall" not in out
    scene.watch.end()
    report("sipsak usrloc and shoot", scene.watch, scene.office)
    scene.office.check()


def test_sipsak_flood(net, g, scene, tmp_path):
    tool(net.world, need("sipsak"), "-F", "-e", "20000", "-s", f"sip:1000@{OUT}", seconds=6, cwd=tmp_path)
    ends(scene, "sipsak flood", most_packets=100000)


def test_sipsak_random(net, g, scene, tmp_path):
    tool(net.world, need("sipsak"), "-R", "-t", "40", "-s", f"sip:1000@{OUT}", seconds=6, cwd=tmp_path)
    scene.watch.end()
    report("sipsak random", scene.watch, scene.office)
    scene.office.check()


SIPP = """<?xml version="1.0" encoding="UTF-8"?>
<scenario name="flood"><send><![CDATA[

{method} sip:1000@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From: <sip:1001@example.com>;tag=[call_number]
To: <sip:1000@example.com>
Call-ID: [call_id]
CSeq: 1 {method}
Contact: <sip:1001@[local_ip]:[local_port]>
Content-Length: 0

]]></send></scenario>
"""


@pytest.mark.parametrize("method", ["REGISTER", "INVITE", "OPTIONS"])
def test_sipp_flood(net, g, scene, tmp_path, method):
    (tmp_path / "flood.xml").write_text(SIPP.format(method=method))
    tool(net.world, need("sipp"), "-sf", "flood.xml", "-i", scene.ip, "-p", "5999", "-r", "2000", "-m", "12000", "-nostdin", "-aa", OUT + ":5060", seconds=10, cwd=tmp_path)
    ends(scene, f"SIPp, {method} at 2000 a second", most_packets=100000, most_s=8)


NMAP = [("sip-methods", ""), ("sip-enum-users", "sip-enum-users.minext=990,sip-enum-users.maxext=1100"), ("sip-brute", "brute.firstonly=1,brute.threads=2,userdb={dir}/users,passdb={dir}/words"),
        ("sip-call-spoof", "sip-call-spoof.extension=1000,sip-call-spoof.timeout=3s")]


@pytest.mark.parametrize("script,args", NMAP)
def test_nmap(net, g, scene, tmp_path, script, args):
    nmap = need("nmap")
    if not os.path.exists(f"/usr/share/nmap/scripts/{script}.nse"):
        pytest.skip(f"this nmap has no script {script}")
    (tmp_path / "users").write_text("1000\n1001\n1002\n")
    (tmp_path / "words").write_text("".join(f"pass{i}\n" for i in range(40)) + g.passwords["1000"] + "\n")
    out = tool(net.world, nmap, "-Pn", "-n", "-sU", "-p", "5060", "-S", scene.ip, "-e", "eth0", "--script", script, *(["--script-args", args.format(dir=tmp_path)] if args else []),
               OUT, seconds=40, cwd=tmp_path)
    assert "Nmap done" in out or "Starting Nmap" in out, out
    assert "Valid credentials" not in out and not re.search(r"100\d", out.split("PORT", 1)[-1]), out
    assert "ingwall" not in out
    ends(scene, "nmap " + script, banned=script == "sip-enum-users", most_s=60, most_packets=3000)
