"""The office of 60 phones behind one address, and what bans are: narrow, lasting, released, never of the exempt, never by forged evidence."""
import json, os, random, re, socket, struct, time
import pytest
from shield import *

pytestmark = needs_net
ROUTER, BAD = OFFICE + "9", ATTACKERS + "77"
PHONES = 60


@pytest.fixture(scope="module")
def net():
    if not ALONE:
        pytest.skip("needs root and a network namespace of its own")
    n = Net()
    n.world.address(BAD)
    yield n
    n.close()


@pytest.fixture
def own(net):
    made = []

    def make(**k):
        g = gateway(**k)
        made.append(g)
        return g.start()
    yield make
    for g in made:
        g.close()


def stranger(net, ip=BAD, user="x", password="wrong", to=UDP):
    with net.world.inside():
        return Ua(ip, 0, to, "udp", user, password)


def guess(u, user, n, gap=0.0):
    """n wrong passwords, each with a nonce of the gateway's; how many were answered."""
    answered = 0
    for i in range(n):
        ident = os.urandom(6).hex() + "@x"
        u.user = user
        u.request("REGISTER", "sip:example.com", f"<sip:{user}@example.com>", ident, "t")
        m = u.recv(0.3)
        if m and m.code == 401:
            a = u.authorization(m.get("www-authenticate"), "REGISTER", "sip:example.com", password=f"no{i}")
            u.request("REGISTER", "sip:example.com", f"<sip:{user}@example.com>", ident, "t", extra=f"Authorization: {a}\r\n")
            m = u.recv(0.3)
        answered += bool(m)
        time.sleep(gap)
    return answered


def is_source(b, ip):
    """A ban of that address as a whole."""
    text = json.dumps(b)
    return re.search(r"(?<![\d.])" + re.escape(ip) + r"(?![\d])", text) and b.get("scope") in ("source", 1)


def served(u):
    """Does somebody who asks get an answer?"""
    u.request("REGISTER", "sip:example.com", "<sip:1001@example.com>", os.urandom(6).hex() + "@x", "t")
    return u.recv(1.0) is not None


def rounds(phones, make):
    """Every phone's request goes out before any answer is read; what gets none is sent again, as UDP phones do. By user."""
    got, sent = {}, {p.user: make(p) for p in phones}
    for _ in range(5):
        for p in phones:
            if p.user not in got:
                p.request(**sent[p.user])
        for p in phones:
            m = p.recv(0.5 / len(phones)) if p.user not in got else None
            while m and m.get("cseq") != f"{sent[p.user]['cseq']} REGISTER":
                m = p.recv(0.01)
            if m:
                got[p.user] = m
        if len(got) == len(phones):
            break
        time.sleep(0.5)
    return got


def all_register(phones, n=[0]):
    """At once; the last code of each."""
    n[0] += 2
    ident = {p.user: os.urandom(6).hex() + "@x" for p in phones}

    def first(p):
        return dict(method="REGISTER", uri="sip:example.com", to=f"<sip:{p.user}@example.com>", call_id=ident[p.user], from_tag="t", cseq=n[0], branch="z9hG4bK" + os.urandom(6).hex())
    asked = rounds(phones, first)

    def second(p):
        a = p.authorization(asked[p.user].get("www-authenticate"), "REGISTER", "sip:example.com")
        return dict(first(p), cseq=n[0] + 1, extra=f"Authorization: {a}\r\nExpires: 600\r\n")
    got = rounds([p for p in phones if p.user in asked and asked[p.user].code == 401], second)
    return {p.user: got[p.user].code if p.user in got else 0 for p in phones}


def test_power_cut_and_one_bad_phone(net, own):
    g = own(users=PHONES)
    with net.office.inside():
        phones = [Ua(ROUTER, 0, UDP, "udp", str(1000 + i), g.passwords[str(1000 + i)]) for i in range(PHONES)]
    bad = phones[17]
    bad.password = "of last year"
    for cut in range(3):
        codes = all_register(phones)
        wrong = [u for u, c in codes.items() if c != 200 and u != bad.user]
        assert len(codes) == PHONES and not wrong, (cut, wrong, {u: codes[u] for u in wrong[:5]})
        time.sleep(1)
    guess(bad, bad.user, 40, 0.02)  # and it goes on and on
    found = wait_for(lambda: banned(g, bad.user), 5)
    print("what is done about the bad phone:", [{k: b.get(k) for k in ("scope", "treat", "detector", "who", "net")} for b in found])
    assert not [b for b in bans(g) if is_source(b, ROUTER)], bans(g)
    assert found, "the bad phone goes on"
    codes = all_register(phones)
    assert [u for u, c in codes.items() if c != 200] in ([bad.user], []), codes
    assert codes.get(bad.user) != 200
    pbx = Pbx(net)
    for p in phones[:8]:
        c = Call(p, "9123", sdp(p.ip, 42000))
        c.invite()
        c.answered()
        c.bye()
    pbx.close()
    for p in phones:
        p.close()


def test_ban_lasts_over_a_restart_and_is_released(net, own):
    g = own(users=4)
    u = stranger(net)
    assert served(u)
    guess(u, "1001", 40)
    b = wait_for(lambda: banned(g, BAD), 5)
    assert b, "no ban"
    assert not served(u)
    g.stop()
    g.start()
    assert banned(g, BAD), "the ban is forgotten"
    assert not served(u)
    r = g.run("bans", "release", BAD, "--state", g.state)
    assert r.returncode == 0, r.stdout + r.stderr
    assert not banned(g, BAD), bans(g)
    assert wait_for(lambda: served(u), 3), "released, but not served"
    u.close()


def test_ban_by_hand(net, own):
    g = own(users=2)
    u = stranger(net)
    assert served(u)
    r = g.run("bans", "add", BAD, "--state", g.state)
    assert r.returncode == 0, r.stdout + r.stderr
    assert banned(g, BAD) and wait_for(lambda: not served(u), 3)
    assert g.run("bans", "release", BAD, "--state", g.state).returncode == 0
    assert wait_for(lambda: served(u), 3)
    u.close()


def test_the_exempt_are_never_banned(net, own):
    g = own(users=4, guard=f", exempt: [{BAD}/32]")
    u = stranger(net)
    guess(u, "1001", 30)
    for i in range(60):
        u.request("OPTIONS", "sip:admin@example.com", "<sip:admin@example.com>", f"o{i}@x", "t")
    time.sleep(1)
    assert not [b for b in bans(g) if is_source(b, BAD)], bans(g)
    r = g.run("bans", "add", BAD, "--state", g.state)
    assert r.returncode != 0, "an exempt address was banned by hand"
    while u.recv(0.2):
        pass
    assert served(u)
    u.close()


def test_dry_run_tells_and_does_nothing(net, own):
    g = own(users=4, config=CONFIG.replace("{guard}", GUARD.replace("mode: enforce", "mode: dry-run").format(kernel="none", decoys="admin")))
    u = stranger(net)
    guess(u, "1001", 30)
    time.sleep(1)
    assert served(u)
    u.close()


def udp_packet(source, sport, dest, dport, payload):
    """An IPv4 packet with whatever source."""
    udp = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), random.randrange(65536), 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(dest))
    s = sum(struct.unpack("!10H", ip))
    s = (s & 0xffff) + (s >> 16)
    s = ~((s & 0xffff) + (s >> 16)) & 0xffff
    return ip[:10] + struct.pack("!H", s) + ip[12:] + udp


def forge(net, sources, dest, n, make, gap=0.0005):
    with net.world.inside():
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for i in range(n):
        ip, port = sources[i % len(sources)]
        raw.sendto(udp_packet(ip, port, dest, 5060, make(i)), (dest, 0))
        time.sleep(gap)
    raw.close()


def scan(i):
    return (f"OPTIONS sip:{100 + i}@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK{i};rport\r\nMax-Forwards: 70\r\nFrom: <sip:admin@example.com>;tag={i}\r\n"
            f"To: <sip:{100 + i}@192.0.2.1>\r\nCall-ID: {i}@forged\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n").encode()


def junk(i):
    return (b"\x00\x01\x02\x03 not SIP at all", b"INVITE sip:1001@example.com SIP/2.0\r\nBroken\r\n\r\n", b"REGISTER sip:admin@x SIP/2.0\r\n\r\n")[i % 3]


def test_forged_sources_ban_neither_trunk_nor_office(net, own):
    """Somebody writes the addresses of the PBX and of the office on junk: both go on as ever."""
    g = own(users=8)
    net.world.sh("ip", "route", "replace", IN + "/32", "dev", "eth0")
    office = Office(net, g)
    time.sleep(1)
    try:
        port = office.phones[0].port
        for make in (scan, junk):
            forge(net, [(PBX, 5070), (PBX, 6000)], IN, 1500, make)
            forge(net, [(ROUTER, port), (ROUTER, 40000)], OUT, 1500, make)
        time.sleep(1)
        assert not [b for b in bans(g) if is_source(b, PBX) or is_source(b, ROUTER)], bans(g)
    finally:
        office.end()
    print(f"{office.done} calls meanwhile, {office.lost} lost")
    office.check()


def test_forged_strangers_are_banned_briefly_if_at_all(net, own):
    g = own(users=4)
    forge(net, [(ATTACKERS + "88", 5060)], OUT, 600, scan)
    got = wait_for(lambda: banned(g, ATTACKERS + "88"), 3)
    for b in got or []:
        assert b["forgeable"] and b["left_s"] <= 60, b


def test_a_second_ban_lasts_longer(net, own):
    g = own(users=4, guard=", ban: 5s, ban_max: 60s, spoofed_ban: 3s")
    u = stranger(net)
    times = []
    for _ in range(2):
        guess(u, "1001", 40)
        assert wait_for(lambda: [b for b in banned(g, BAD) if b["treat"] == "ban"], 5), "no ban"
        b = [b for b in banned(g, BAD) if b["treat"] == "ban"][0]
        times.append((b["times"], (b["until_us"] - b["since_us"]) / 1e6))
        assert wait_for(lambda: not banned(g, BAD), 40), bans(g)
    print(f"first {times[0][1]:.1f} s, second {times[1][1]:.1f} s")
    assert times[1][0] > times[0][0] and times[1][1] > times[0][1] * 1.4, times
    u.close()
