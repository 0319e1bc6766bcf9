"""`ringwall replay` over captures: third-party ones with tshark's word for what is in them, and our own, written byte by
byte. Needs no gateway, no network and no rights."""
import glob, json, os, pty, random, re, shutil, socket, struct, subprocess, time
import pytest
import shield
from gateway import CLI

CORPUS = os.environ.get("RINGWALL_CORPUS", os.path.join(os.path.dirname(__file__), "..", "..", "..", "shared", "corpus"))
PHONE, SERVER, EVIL = "192.0.2.10", "198.51.100.1", "203.0.113.66"
T0 = 1700000000
KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"


def run(*args, **k):
    return subprocess.run([CLI, "replay", *args], capture_output=True, text=True, timeout=120, **k)


def replay(path, *args, code=0):
    r = run(str(path), "--json", *args)
    assert r.returncode == code, f"exit {r.returncode}: {r.stderr}"
    return json.loads(r.stdout)


# -- writing captures --

def ipv4(src, dst, proto, payload, ident=1, frag=0):
    a, b = bytes(map(int, src.split("."))), bytes(map(int, dst.split(".")))
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), ident, frag, 64, proto, 0, a, b) + payload


def udp(sport, dport, data):
    return struct.pack(">HHHH", sport, dport, 8 + len(data), 0) + data


def tcp(sport, dport, seq, data, flags=16):
    return struct.pack(">HHIIBBHHH", sport, dport, seq & 0xffffffff, 1, 0x50, flags, 65535, 0, 0) + data


def ether(ip, vlan=None):
    tag = struct.pack(">HH", 0x8100, vlan) if vlan else b""
    return b"\2\0\0\0\0\1\2\0\0\0\0\2" + tag + b"\x08\0" + ip


class Capture:
    """Frames with times in seconds, written in the order of their times."""

    def __init__(self):
        self.frames = []

    def add(self, t, frame):
        self.frames.append((t, len(self.frames), frame))

    def udp(self, t, src, sport, dst, dport, data, **k):
        self.add(t, ether(ipv4(src, dst, 17, udp(sport, dport, data)), **k))

    def sip(self, t, src, dst, text, sport=5060, dport=5060):
        self.udp(t, src, sport, dst, dport, text.encode() if isinstance(text, str) else text)

    def bytes(self):
        out = [struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)]
        for t, _, f in sorted(self.frames):
            us = round((T0 + t) * 1000000)
            out.append(struct.pack("<IIII", us // 1000000, us % 1000000, len(f), len(f)) + f)
        return b"".join(out)

    def write(self, path):
        path.write_bytes(self.bytes())
        return path


def message(first, call_id, cseq, frm="alice@example.com", to="bob@example.com", totag=None, branch=None, extra="", body="", ftag="a1"):
    method = cseq.split()[1]
    return (f"{first}\r\nVia: SIP/2.0/UDP {PHONE}:5060;branch=z9hG4bK{branch or call_id + cseq.replace(' ', '')}\r\nMax-Forwards: 70\r\n"
            f"From: <sip:{frm}>;tag={ftag}\r\nTo: <sip:{to}>{';tag=' + totag if totag else ''}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n"
            f"Contact: <sip:{frm.split('@')[0]}@{PHONE}:5060>\r\n{extra}"
            + ("Content-Type: application/sdp\r\n" if body else "") + f"Content-Length: {len(body)}\r\n\r\n{body}")


def sdp(host, port, proto="RTP/AVP", more="", direction="sendrecv"):
    return (f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} {proto} 8 101\r\na=rtpmap:8 PCMA/8000\r\n"
            f"a=rtpmap:101 telephone-event/8000\r\n{more}a={direction}\r\n")


def rtp(cap, t, src, dst, packets, ssrc, ports=(20000, 30000), lose=(), pt=8, start=100, shift=None):
    for i in range(packets):
        if i in lose:
            continue
        at = t + i * 0.02 + (shift or {}).get(i, 0)
        cap.udp(at, src, ports[0], dst, ports[1], struct.pack(">BBHII", 0x80, pt, (start + i) & 0xffff, i * 160, ssrc) + b"\xd5" * 160)


def call(cap, t, name, a=PHONE, b=SERVER, seconds=10, offer=None, answer=None, end="BYE", code=200, ports=(20000, 30000)):
    cap.sip(t, a, b, message("INVITE sip:bob@example.com SIP/2.0", name, "1 INVITE", body=offer or sdp(a, ports[0])))
    cap.sip(t + 0.01, b, a, message("SIP/2.0 180 Ringing", name, "1 INVITE", totag="b1"))
    if code != 200:
        cap.sip(t + 1, b, a, message(f"SIP/2.0 {code} No", name, "1 INVITE", totag="b1"))
        cap.sip(t + 1.01, a, b, message("ACK sip:bob@example.com SIP/2.0", name, "1 ACK", totag="b1", branch=name + "1INVITE"))
        return
    cap.sip(t + 1, b, a, message("SIP/2.0 200 OK", name, "1 INVITE", totag="b1", body=answer or sdp(b, ports[1])))
    cap.sip(t + 1.01, a, b, message("ACK sip:bob@198.51.100.1 SIP/2.0", name, "1 ACK", totag="b1"))
    if end:
        cap.sip(t + 1 + seconds, a, b, message("BYE sip:bob@198.51.100.1 SIP/2.0", name, "2 BYE", totag="b1"))
        cap.sip(t + 1.01 + seconds, b, a, message("SIP/2.0 200 OK", name, "2 BYE", totag="b1"))


def register(cap, t, user, source, code, n, nonce="n0nce", password=True, sport=5060, pause=0.02, agent="Softphone 1"):
    digest = f'Authorization: Digest username="{user}", realm="example.com", nonce="{nonce}", uri="sip:example.com", response="{"0" * 30}{n % 100:02d}"\r\n' if password else ""
    who = f"{user}@example.com"
    q = message("REGISTER sip:example.com SIP/2.0", f"reg-{source}-{user}-{n}", f"{n + 1} REGISTER", frm=who, to=who, extra=digest + f"User-Agent: {agent}\r\n")
    a = message(f"SIP/2.0 {code} X", f"reg-{source}-{user}-{n}", f"{n + 1} REGISTER", frm=who, to=who, totag="s",
                extra=f'WWW-Authenticate: Digest realm="example.com", nonce="{nonce}"\r\n' if code == 401 else "")
    cap.sip(t, source, SERVER, q, sport=sport)
    cap.sip(t + pause, SERVER, source, a, dport=sport)


def judged(d, i=0):
    return d["judgements"][i]


def reasons(d, i=0):
    return {r["reason"]: r["n"] for r in judged(d, i)["reasons"]}


def alerts(d, i=0):
    return {a["name"] for a in judged(d, i)["alerts"]}


# -- third-party captures, and tshark's word --

def oracle():
    path = os.path.join(CORPUS, "pcap", "tshark-oracle.json")
    return json.load(open(path)) if os.path.exists(path) else []


@pytest.mark.parametrize("want", oracle() or [pytest.param(None, marks=pytest.mark.skip(reason="no third-party corpus"))], ids=lambda w: w and w["file"])
def test_agrees_with_tshark_on_the_corpus(want):
    d = replay(glob.glob(os.path.join(CORPUS, "pcap", "*", want["file"]))[0])
    assert d["packets"] == want["packets"]
    assert d["sip"]["requests"] == want["sip_requests"]
    assert d["sip"]["responses"] == want["sip_responses"]
    ours = {(s["source"], s["destination"], s["ssrc"]): s for s in d["streams"]}
    theirs = {(f"{s['src']}:{s['sport']}", f"{s['dst']}:{s['dport']}", s["ssrc"]): s for s in want["rtp_streams"]}
    assert set(ours) == set(theirs)
    for k, t in theirs.items():
        assert (ours[k]["packets"], ours[k]["lost"]) == (t["packets"], max(t["lost"], 0)), k
        # ours counts in whole ticks of an eighth of a millisecond, and from no marked packet
        assert abs(ours[k]["max_jitter_us"] / 1000 - max(t["jitter_ms"][2], 0)) < 0.4, k
    calls = {c["call_id"] for c in d["calls"]}
    assert calls <= set(want["call_ids"])
    assert bool(calls) == bool(want["sip_requests"].get("INVITE"))
    # attacks are told, calls raise no alarm
    attack = "/attack/" in d["file"]
    assert bool(judged(d)["alerts"]) == attack and not judged(d)["bans"], judged(d)["alerts"]
    if "malformed_frames" in want:
        assert d["sip"]["malformed"] == len(want["malformed_frames"])


def tshark(path, *args):
    if not shutil.which("tshark"):
        pytest.skip("no tshark")
    return subprocess.run(["tshark", "-r", str(path), *args], capture_output=True, text=True).stdout


def tshark_counts(path):
    requests, responses = {}, {}
    for line in tshark(path, "-Y", "sip", "-T", "fields", "-e", "sip.Method", "-e", "sip.Status-Code").splitlines():
        method, _, code = line.partition("\t")
        for m in method.split(",") if method else []:
            requests[m] = requests.get(m, 0) + 1
        for c in code.split(",") if code else []:
            responses[c] = responses.get(c, 0) + 1
    return requests, responses


def tshark_streams(path):
    """(source, destination, ssrc) -> packets, lost."""
    found = {}
    for line in tshark(path, "-q", "-z", "rtp,streams").splitlines():
        m = re.match(r"\s*[\d.]+\s+[\d.]+\s+(\S+)\s+(\d+)\s+(\S+)\s+(\d+)\s+(0x[0-9A-Fa-f]+)\s+.*?\s(\d+)\s+(-?\d+) \(", line)
        if m:
            found[(f"{m[1]}:{m[2]}", f"{m[3]}:{m[4]}", m[5].lower())] = (int(m[6]), int(m[7]))
    return found


def test_agrees_with_tshark_on_an_own_capture(tmp_path):
    cap = Capture()
    for i in range(5):
        call(cap, i * 3, f"own-{i}", seconds=6, ports=(20000 + 2 * i, 30000 + 2 * i))
        rtp(cap, i * 3 + 1, PHONE, SERVER, 250, 1000 + i, (20000 + 2 * i, 30000 + 2 * i), lose=range(50, 50 + i * 3))
        rtp(cap, i * 3 + 1, SERVER, PHONE, 200, 2000 + i, (30000 + 2 * i, 20000 + 2 * i), start=65500, shift={7: 0.03, 90: 0.05})
    call(cap, 20, "busy", code=486)
    path = cap.write(tmp_path / "own.pcap")
    d = replay(path)
    assert (d["sip"]["requests"], d["sip"]["responses"]) == tshark_counts(path)
    ours = {(s["source"], s["destination"], s["ssrc"]): (s["packets"], s["lost"]) for s in d["streams"]}
    assert len(ours) == 10 and ours == tshark_streams(path)
    assert sum(s["late"] for s in d["streams"]) == 10
    assert [c["code"] for c in d["calls"]] == [200] * 5 + [486]
    assert all(c["ended_by"] == "caller" and not c["one_way"] for c in d["calls"][:5])
    assert [(c["packets_from_caller"], c["packets_from_callee"]) for c in d["calls"][:5]] == [(250 - i * 3, 200) for i in range(5)]
    assert all(0.99e6 < c["answer_us"] - c["start_us"] < 1.01e6 and 5.9e6 < c["end_us"] - c["answer_us"] < 6.1e6 for c in d["calls"][:5])
    assert not judged(d)["alerts"] and not judged(d)["bans"]


# -- layers --

def invite(name="layer"):
    return message("INVITE sip:bob@example.com SIP/2.0", name, "1 INVITE", extra="Subject: " + "x" * 2500 + "\r\n", body=sdp(PHONE, 20000)).encode()


def test_fragments_and_tags(tmp_path):
    cap, data = Capture(), udp(5060, 5060, invite())
    cuts = [0, 1200, 2400, len(data)]
    for i in (2, 0, 1):
        more = 0x2000 if cuts[i + 1] < len(data) else 0
        cap.add(0.1 * len(cap.frames), ether(ipv4(PHONE, SERVER, 17, data[cuts[i]:cuts[i + 1]], ident=9, frag=more | cuts[i] // 8), vlan=12))
    d = replay(cap.write(tmp_path / "f.pcap"))
    assert d["layers"]["datagrams_from_fragments"] == 1 and d["sip"]["requests"] == {"INVITE": 1} and d["sip"]["malformed"] == 0
    cap.frames.pop()  # one piece is missing
    d = replay(cap.write(tmp_path / "g.pcap"))
    assert d["layers"]["datagrams_from_fragments"] == 0 and d["sip"]["messages"] == 0


def test_stream_in_pieces_twice_and_out_of_order(tmp_path):
    cap = Capture()
    data = invite("tcp-1") + invite("tcp-2") + invite("tcp-3")
    pieces = [(at, data[at:at + 700]) for at in range(0, len(data), 700)]
    rnd = random.Random(4)
    order = pieces[1:] + pieces[2:4]
    rnd.shuffle(order)
    for i, (at, piece) in enumerate([pieces[0], *order]):
        cap.add(0.001 * i, ether(ipv4(PHONE, SERVER, 6, tcp(40000, 5060, 0xffffff00 + at, piece))))
    d = replay(cap.write(tmp_path / "t.pcap"))
    assert d["sip"]["requests"] == {"INVITE": 3} and d["sip"]["malformed"] == 0
    assert {c["call_id"] for c in d["calls"]} == {"tcp-1", "tcp-2", "tcp-3"}


def test_ipv6(tmp_path):
    cap, a, b = Capture(), "2001:db8::10", "2001:db8::1"

    def add(t, src, dst, sport, dport, data):
        p = udp(sport, dport, data)
        cap.add(t, b"\2\0\0\0\0\1\2\0\0\0\0\2\x86\xdd" + struct.pack(">IHBB", 6 << 28, len(p) + 8, 60, 64)
                + socket.inet_pton(socket.AF_INET6, src) + socket.inet_pton(socket.AF_INET6, dst) + b"\x11\0\1\4\0\0\0\0" + p)
    body = [sdp(x, n).replace("IP4", "IP6") for x, n in ((a, 20000), (b, 30000))]
    add(0, a, b, 5060, 5060, message("INVITE sip:bob@example.com SIP/2.0", "six", "1 INVITE", body=body[0]).encode())
    add(1, b, a, 5060, 5060, message("SIP/2.0 200 OK", "six", "1 INVITE", totag="b1", body=body[1]).encode())
    for i in range(50):
        add(1 + i * 0.02, a, b, 20000, 30000, struct.pack(">BBHII", 0x80, 8, i, i * 160, 5) + b"x" * 160)
    path = cap.write(tmp_path / "6.pcap")
    d = replay(path)
    assert [(s["source"], s["packets"], s["call_id"]) for s in d["streams"]] == [(f"[{a}]:20000", 50, "six")]
    assert d["calls"][0]["packets_from_caller"] == 50 and (d["sip"]["requests"], d["sip"]["responses"]) == tshark_counts(path)


def test_progress_on_a_terminal_only(tmp_path):
    cap = Capture()
    head = ether(ipv4(PHONE, SERVER, 17, udp(20000, 30000, struct.pack(">BBHII", 0x80, 8, 1, 1, 7) + b"x" * 20)))
    for i in range(140000):
        cap.add(i * 0.0001, head)
    path = cap.write(tmp_path / "long.pcap")
    ours, theirs = pty.openpty()
    p = subprocess.Popen([CLI, "replay", str(path), "--json"], stdout=subprocess.DEVNULL, stderr=theirs)
    assert p.wait(60) == 0
    os.close(theirs)
    text = os.read(ours, 65536).decode()
    os.close(ours)
    assert re.search(r"\d+ %  \d+ packets", text) and text.endswith("\r")
    assert run(str(path)).stderr == ""


def test_sip_that_the_capture_cut_is_no_malformed_sip(tmp_path):
    f = ether(ipv4(PHONE, SERVER, 17, udp(5060, 5060, invite())))
    head = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 96, 1)
    (tmp_path / "s.pcap").write_bytes(head + struct.pack("<IIII", T0, 0, 96, len(f)) + f[:96])
    d = replay(tmp_path / "s.pcap")
    assert d["sip"]["cut_by_capture"] == 1 and d["sip"]["malformed"] == 0 and not judged(d)["reasons"]


# -- damaged files --

def test_damage_is_named_and_what_was_read_is_told(tmp_path):
    cap = Capture()
    call(cap, 0, "one")
    whole = cap.bytes()
    (tmp_path / "c.pcap").write_bytes(whole[:-20])
    r = run(str(tmp_path / "c.pcap"))
    assert r.returncode == 1 and "damaged" in r.stderr and "after 5 packets" in r.stderr and "DAMAGED" in r.stdout
    d = replay(tmp_path / "c.pcap", code=1)
    assert d["packets"] == 5 and d["error"] and d["sip"]["requests"]["INVITE"] == 1
    for name, data in {"empty": b"", "text": b"no capture at all, but text\n" * 9, "header": whole[:10]}.items():
        (tmp_path / name).write_bytes(data)
        r = run(str(tmp_path / name))
        assert r.returncode == 5 and r.stderr and not r.stdout
    assert run(str(tmp_path / "absent")).returncode == 5
    assert run().returncode == 2
    (tmp_path / "usb.pcap").write_bytes(whole[:20] + struct.pack("<I", 189) + whole[24:])
    r = run(str(tmp_path / "usb.pcap"))
    assert r.returncode == 5 and "link type" in r.stderr


def test_no_damage_breaks_it(tmp_path):
    cap = Capture()
    call(cap, 0, "one")
    rtp(cap, 1, PHONE, SERVER, 20, 7)
    for i, (at, piece) in enumerate([(0, invite()[:900]), (900, invite()[900:])]):
        cap.add(3 + i, ether(ipv4(PHONE, SERVER, 6, tcp(40000, 5060, at, piece))))
    data = udp(5060, 5060, invite())
    for at in (0, 1200, 2400):
        cap.add(5, ether(ipv4(PHONE, SERVER, 17, data[at:at + 1200], ident=3, frag=at // 8 | (0x2000 if at < 2400 else 0))))
    whole, rnd, c = cap.bytes(), random.Random(11), conf(tmp_path / "c.yaml", sources="0.0.0.0/0")  # without signatures: starts faster
    for i in range(120):
        b = bytearray(whole)
        for _ in range(rnd.choice((1, 3, 30, 300))):
            b[rnd.randrange(24 if rnd.random() < 0.9 else 0, len(b))] = rnd.randrange(256)
        (tmp_path / "m.pcap").write_bytes(bytes(b))
        r = run(str(tmp_path / "m.pcap"), "--json", "--config", c)
        assert r.returncode in (0, 1, 5), f"round {i}: {r.returncode} {r.stderr[:400]}"
        assert r.returncode == 5 or json.loads(r.stdout)["packets"] >= 0


def test_no_message_breaks_it(tmp_path):
    cap, rnd = Capture(), random.Random(int(os.environ.get("SEED", 5)))
    seeds = [message("INVITE sip:bob@example.com SIP/2.0", "m", "1 INVITE", body=sdp(PHONE, 20000, "RTP/SAVP", f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n")),
             message("SIP/2.0 200 OK", "m", "1 INVITE", totag="b", body=sdp(SERVER, 30000)),
             message("REGISTER sip:example.com SIP/2.0", "r", "1 REGISTER", extra=f'Authorization: Digest username="a", realm="x", nonce="n", response="{"0" * 32}"\r\n'),
             message("SIP/2.0 401 X", "r", "1 REGISTER", totag="b", extra='WWW-Authenticate: Digest realm="x", nonce="n", stale=true\r\n'),
             message("BYE sip:bob@example.com SIP/2.0", "m", "2 BYE", totag="b"), message("CANCEL sip:bob@example.com SIP/2.0", "m", "1 CANCEL")]
    seeds = [s.encode() for s in seeds] + [struct.pack(">BBHII", 0x80, 8, 1, 1, 7) + b"x" * 20]
    n = int(os.environ.get("ROUNDS", 3000))
    for i in range(n):
        m = bytearray(rnd.choice(seeds))
        for _ in range(rnd.choice((0, 1, 2, 8))):
            at, what = rnd.randrange(len(m)), rnd.randrange(4)
            if what == 0:
                m[at] = rnd.randrange(256)
            elif what == 1:
                del m[at:at + rnd.randrange(1, 9)]
            elif what == 2:
                m[at:at] = m[rnd.randrange(len(m)):][:rnd.randrange(1, 40)]
            else:
                m[at:at] = rnd.choice((b"\0", b"\xff\xfe", b"\r\n", b"\t", b"<", b'"', b"%", b"\x1b["))
            m = m or bytearray(b"x")
        src = rnd.choice((PHONE, EVIL, f"203.0.113.{rnd.randrange(256)}"))
        if rnd.random() < 0.2:
            cap.add(i * 0.01, ether(ipv4(src, SERVER, 6, tcp(rnd.randrange(40000, 40004), 5060, i * 400, bytes(m)))))
        else:
            cap.udp(i * 0.01, *rnd.choice(((src, 5060, SERVER, 5060), (SERVER, 5060, src, 5060), (src, 20000, SERVER, 30000))), bytes(m))
    eve = tmp_path / "eve"
    r = run(str(cap.write(tmp_path / "m.pcap")), "--json", "--eve", str(eve))
    assert r.returncode == 0, r.stderr
    assert json.loads(r.stdout)["packets"] == n and KEY not in r.stdout + eve.read_text()
    assert [json.loads(x) for x in eve.read_text().splitlines()]
    text = run(str(tmp_path / "m.pcap"))
    assert text.returncode == 0 and "\x1b" not in text.stdout


def test_clock_that_jumps(tmp_path):
    cap = Capture()
    call(cap, 0, "one")
    data = bytearray(cap.bytes())
    struct.pack_into("<I", data, 24, 0x7fffffff)  # the first packet is from another age
    (tmp_path / "j.pcap").write_bytes(bytes(data))
    d = replay(tmp_path / "j.pcap")
    assert d["layers"]["clock_set_back"] >= 1 and d["sip"]["requests"]["INVITE"] == 1 and judged(d)["passed"] == 2


def test_standard_input_and_an_ordinary_user(tmp_path):
    cap = Capture()
    call(cap, 0, "one")
    k = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    r = subprocess.run([CLI, "replay", "-", "--json"], input=cap.bytes(), capture_output=True, timeout=60, **k)
    assert r.returncode == 0, r.stderr
    assert json.loads(r.stdout)["sip"]["requests"] == {"INVITE": 1, "ACK": 1, "BYE": 1}


# -- what is found in it --

def test_guessing_is_found_and_banned_and_a_phone_is_not(tmp_path):
    cap = Capture()
    for i in range(400):
        register(cap, 1 + i * 0.05, f"{1000 + i}", EVIL, 401, i, nonce=f"n{i // 50}")
    for i in range(60):  # an office phone: challenged, then registered, every ten seconds
        register(cap, i * 10, "alice", PHONE, 401, 2 * i, password=False)
        register(cap, i * 10 + 0.1, "alice", PHONE, 200, 2 * i + 1)
    d = replay(cap.write(tmp_path / "guess.pcap"))
    assert reasons(d)["auth_failed"] > 3 and reasons(d).get("auth_required", 0) >= 60
    mine = [b for b in judged(d)["bans"] if b["source"].startswith(EVIL)]
    assert mine, judged(d)["alerts"]
    assert 0 < mine[0]["messages_before"] < 400 and 0 < mine[0]["after_us"] < 20e6
    assert sum(b["would_have_dropped"] for b in mine) > 100
    assert not [b for b in judged(d)["bans"] if b["source"].startswith(PHONE)]
    assert not [a for a in judged(d)["alerts"] if a["source"].startswith(PHONE)]
    assert d["sip"]["registrations"] == 60


def test_a_wrong_password_after_a_change_bans_nobody(tmp_path):
    cap = Capture()
    register(cap, 0, "alice", PHONE, 401, 0, password=False)
    for i in range(3):
        register(cap, 1 + i * 30, "alice", PHONE, 401, i + 1)
    register(cap, 120, "alice", PHONE, 200, 9)
    d = replay(cap.write(tmp_path / "w.pcap"))
    assert reasons(d)["auth_failed"] == 3 and not judged(d)["bans"]


@pytest.mark.parametrize("agent,fires", [("friendly-scanner", True), ("Softphone 1", False)])
def test_signatures(tmp_path, agent, fires):
    cap = Capture()
    for i in range(3):
        register(cap, i, "alice", PHONE, 200, i, agent=agent)
    eve = tmp_path / "eve"
    d = replay(cap.write(tmp_path / "s.pcap"), "--eve", str(eve))
    if not judged(d)["rules"]:
        pytest.skip("built without the pack of rules")
    hits = [a for a in judged(d)["alerts"] if a["by"] == "rule"]
    assert bool(hits) == fires and all("scanner" in a["text"] for a in hits)
    sids = {json.loads(x)["alert"]["signature_id"] for x in eve.read_text().splitlines()} - {0}
    assert sids == {a["sid"] for a in hits}


@pytest.mark.parametrize("fires", [True, False])
def test_signatures_of_packets(tmp_path, fires):
    rules = tmp_path / "own.rules"
    rules.write_text('drop rtp any any -> any any (msg:"marked packet"; content:"|de ad be ef|"; sid:1000001; rev:1;)\n')
    c = conf(tmp_path / "a.yaml")
    with open(c, "a") as f:
        f.write(f"guard:\n  rules: [{rules}]\n")
    cap = Capture()
    call(cap, 0, "one")
    rtp(cap, 1, PHONE, SERVER, 50, 7)
    if fires:
        cap.udp(1.5, PHONE, 20000, SERVER, 30000, struct.pack(">BBHII", 0x80, 8, 400, 9, 7) + b"\xde\xad\xbe\xef" * 9)
    d = replay(cap.write(tmp_path / "p.pcap"), "--config", c)
    assert judged(d)["rules"] == 1
    assert [a["sid"] for a in judged(d)["alerts"] if a["by"] == "rule"] == [1000001] * fires


def test_one_who_goes_on_is_banned_once_and_harder(tmp_path):
    cap = Capture()
    for i in range(300):
        register(cap, i * 0.05, f"{1000 + i}", EVIL, 401, i, nonce=f"n{i // 50}")
    rtp(cap, 20, EVIL, PHONE, 500, 9, (4444, 20000))
    d = replay(cap.write(tmp_path / "h.pcap"), "--config", conf(tmp_path / "a.yaml"))
    mine = [b for b in judged(d)["bans"] if b["scope"] == "source"]
    assert len(mine) == 1 and mine[0]["treat"] == "ban" and mine[0]["times"] == 1, mine
    assert mine[0]["would_have_dropped"] > 200 and judged(d)["rtp_dropped_by_bans"] == 500


def test_missing_users_are_known_by_the_answer(tmp_path):
    cap = Capture()
    for i in range(300):
        register(cap, i * 0.05, f"{2000 + i}", EVIL, 404, i, password=False)
    d = replay(cap.write(tmp_path / "enum.pcap"))
    assert alerts(d) & {"enumeration", "scan", "flood_register"}, alerts(d)
    assert judged(d)["bans"]


@pytest.mark.parametrize("keys", [True, False])
def test_keys_over_plaintext(tmp_path, keys):
    cap = Capture()
    more = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n" if keys else ""
    call(cap, 0, "one", offer=sdp(PHONE, 20000, "RTP/SAVP" if keys else "RTP/AVP", more), answer=sdp(SERVER, 30000, "RTP/SAVP" if keys else "RTP/AVP", more))
    rtp(cap, 1, PHONE, SERVER, 100, 7)
    eve = tmp_path / "eve.json"
    r = run(str(cap.write(tmp_path / "k.pcap")), "--json", "--eve", str(eve))
    d = json.loads(r.stdout)
    assert ("media_key_exposed" in alerts(d)) == keys and d["calls"][0]["keys_exposed"] == keys
    assert d["streams"][0]["srtp"] == keys and d["streams"][0]["packets"] == 100
    assert KEY not in r.stdout + eve.read_text()
    lines = [json.loads(x) for x in eve.read_text().splitlines()]
    assert [x["event_type"] for x in lines] == ["alert"] * keys
    assert all(x["src_ip"] == PHONE and x["alert"]["category"] == "media_key_exposed" for x in lines)


@pytest.mark.parametrize("case", ["both", "callee silent", "caller silent", "hold", "short"])
def test_one_way_audio(tmp_path, case):
    cap = Capture()
    hold = "sendonly" if case == "hold" else "sendrecv"
    call(cap, 0, "one", seconds=2 if case == "short" else 10, offer=sdp(PHONE, 20000, direction=hold))
    if case != "caller silent":
        rtp(cap, 1, PHONE, SERVER, 90, 7)
    if case in ("both", "caller silent"):
        rtp(cap, 1, SERVER, PHONE, 90, 8, (30000, 20000))
    d = replay(cap.write(tmp_path / "w.pcap"))
    assert d["calls"][0]["one_way"] == (case in ("callee silent", "caller silent"))


@pytest.mark.parametrize("foreign", [True, False])
def test_packets_into_a_call_from_elsewhere(tmp_path, foreign):
    cap = Capture()
    call(cap, 0, "one", seconds=20)
    rtp(cap, 1, PHONE, SERVER, 900, 7)
    rtp(cap, 1, SERVER, PHONE, 900, 8, (30000, 20000))
    if foreign:
        rtp(cap, 4, EVIL, PHONE, 700, 9, (4444, 20000))
    d = replay(cap.write(tmp_path / "inject.pcap"))
    assert any(s["foreign"] for s in d["streams"]) == foreign
    assert ("rtp_inject" in alerts(d)) == foreign


def test_packets_of_chance_hide_no_stream(tmp_path):
    cap = Capture()
    head = ether(ipv4(EVIL, PHONE, 17, udp(4444, 20000, struct.pack(">BBHII", 0x80, 8, 1, 1, 0))))[:-4]
    for i in range(70000):  # more than the table holds, each of another source
        cap.add(i * 0.0001, head + struct.pack(">I", i))
    call(cap, 10, "one")
    rtp(cap, 11, PHONE, SERVER, 100, 7)
    d = replay(cap.write(tmp_path / "noise.pcap"))
    assert [(s["ssrc"], s["packets"]) for s in d["streams"]] == [("0x00000007", 100)]
    assert d["media"]["rtp_not_of_a_stream"] + d["beyond_limits"].get("rtp_packets_of_streams", 0) == 70000


@pytest.mark.parametrize("who", [EVIL, PHONE])
def test_bye_from_outside_of_the_call(tmp_path, who):
    cap = Capture()
    call(cap, 0, "one", end=None)
    cap.sip(5, who, SERVER, message("BYE sip:bob@198.51.100.1 SIP/2.0", "one", "7 BYE", totag="b1"))
    cap.sip(5.1, SERVER, who, message("SIP/2.0 200 OK", "one", "7 BYE", totag="b1"))
    d = replay(cap.write(tmp_path / "bye.pcap"))
    assert reasons(d).get("sip_no_dialog", 0) == (1 if who == EVIL else 0)


def test_texts_of_peers_steer_nothing(tmp_path):
    cap = Capture()
    evil = "\x1b]0;owned\x07\x1b[2J\u202eecila"
    cap.sip(0, EVIL, SERVER, message("INVITE sip:bob@example.com SIP/2.0", "one\x1b[31m", "1 INVITE", frm="a\x1b[0m@example.com", extra=f"User-Agent: {evil}\r\n"))
    call(cap, 1, "two")
    path = cap.write(tmp_path / "esc.pcap")
    eve = tmp_path / "eve"
    r = run(str(path), "--eve", str(eve))
    assert r.returncode == 0
    for c in "\x1b\x07\x9b\u202e":
        assert c not in r.stdout + eve.read_text()
    assert all("\x1b" not in x for x in json.dumps(replay(path), ensure_ascii=False))


def test_copies_of_a_request_count_once(tmp_path):
    cap = Capture()
    m = message("INVITE sip:bob@example.com SIP/2.0", "one", "1 INVITE", body=sdp(PHONE, 20000))
    for i in range(4):
        cap.sip(i * 0.5, PHONE, SERVER, m)
    d = replay(cap.write(tmp_path / "r.pcap"))
    assert d["sip"]["repeated"] == 3 and d["sip"]["requests"] == {"INVITE": 4} and len(d["calls"]) == 1
    assert sum(judged(d)[k] for k in ("passed", "challenged", "refused", "dropped")) == 1


# -- configurations --

CONF = """
domains: [example.com]
state: /var/lib/ringwall
engines: 1
listeners:
  - {name: udp, transport: udp, address: "198.51.100.1:5060"}
zones:
  - {name: phones, listeners: [udp], sources: [%s], media: rtp, registration: yes, authenticate: yes}
waivers:
  - {name: old, zone: phones, allow: [plain-signalling, plain-media], owner: alice, reason: "test phones", expires: 2199-01-01}
roles:
  - {name: user, outbound: yes}
routes:
%s
  - {name: all, pattern: "*", to: users}
"""


def conf(path, sources="192.0.2.0/24", routes=""):
    path.write_text(CONF % (sources, routes))
    return str(path)


def test_a_configuration_judges(tmp_path):
    cap = Capture()
    call(cap, 0, "inside")
    call(cap, 1, "stranger", a=EVIL)
    c = conf(tmp_path / "a.yaml")
    d = replay(cap.write(tmp_path / "c.pcap"), "--config", c)
    assert judged(d)["configuration"] == c and not judged(d)["assumed"]
    # without credentials: inside the zone challenged, from outside of it dropped without an answer
    assert reasons(d)["auth_required"] == 1 and reasons(d)["zone_unknown_source"] >= 1
    assert judged(d)["challenged"] == 1 and judged(d)["dropped"] >= 1
    assert judged(d)["own_messages"] == 6  # what the gateway itself sent is not judged
    bad = tmp_path / "bad.yaml"
    bad.write_text("domains: [example.com]\nnonsense: 1\n")
    r = run(str(tmp_path / "c.pcap"), "--config", str(bad))
    assert r.returncode == 2 and "nonsense" in r.stderr and not r.stdout


def test_the_default_is_told(tmp_path):
    cap = Capture()
    call(cap, 0, "one", a="10.1.2.3")
    r = run(str(cap.write(tmp_path / "d.pcap")))
    assert r.returncode == 0 and "private addresses are inside" in r.stdout
    assert judged(replay(tmp_path / "d.pcap"))["assumed"]


def test_what_another_configuration_would_change(tmp_path):
    cap = Capture()
    call(cap, 0, "one")
    call(cap, 20, "two", a=EVIL)
    path = cap.write(tmp_path / "c.pcap")
    a, b = conf(tmp_path / "a.yaml"), conf(tmp_path / "b.yaml", sources="192.0.2.0/24, 203.0.113.0/24")
    d = replay(path, "--config", a, "--against", b)
    assert len(d["judgements"]) == 2
    diffs = d["differences"]["verdicts"]
    assert diffs and {x["source"] for x in diffs} == {EVIL}
    x = next(x for x in diffs if x["method"] == "INVITE")
    assert x["first"] == {"verdict": "drop", "reason": "zone_unknown_source"} and x["second"]["reason"] == "auth_required"
    same = replay(path, "--config", a, "--against", a)
    assert not same["differences"]["verdicts"] and not same["differences"]["bans"] and not same["differences"]["alerts"]
    text = run(str(path), "--config", a, "--against", b).stdout
    assert "differences" in text and EVIL in text


def test_routes_that_bar(tmp_path):
    cap = Capture()
    for i, number in enumerate(("0900123", "100")):
        name = f"c{i}"
        extra = f'Authorization: Digest username="alice", realm="example.com", nonce="n", uri="sip:{number}@example.com", response="{"1" * 32}"\r\n'
        cap.sip(i, PHONE, SERVER, message(f"INVITE sip:{number}@example.com SIP/2.0", name, "2 INVITE", to=f"{number}@example.com", extra=extra))
        cap.sip(i + 0.1, SERVER, PHONE, message("SIP/2.0 180 Ringing", name, "2 INVITE", to=f"{number}@example.com", totag="x"))
    c = conf(tmp_path / "a.yaml", routes='  - {name: barred, pattern: "0900.", to: refuse}')
    d = replay(cap.write(tmp_path / "c.pcap"), "--config", c)
    assert reasons(d) == {"right_barred": 1} and judged(d)["passed"] == 1


# -- the running gateway and the replay of what it saw --

def guess(u, i):
    """One try of a password, challenge included."""
    u.user, u.password = "1003", f"wrong-{i}"
    u.request("REGISTER", "sip:example.com", "<sip:1003@example.com>", f"g{i}@x", f"t{i}")
    m = u.recv(0.3)
    if not m or not m.start.split()[1].startswith("401"):
        return False
    a = u.authorization(m.get("www-authenticate"), "REGISTER", "sip:example.com")
    u.request("REGISTER", "sip:example.com", "<sip:1003@example.com>", f"g{i}@x", f"t{i}", extra=f"Authorization: {a}\r\n")
    return u.recv(0.3) is not None


def registers(phone):
    try:
        phone.register()
    except AssertionError:
        return False
    return True


@shield.needs_net
@pytest.mark.skipif(not shutil.which("dumpcap"), reason="no dumpcap")
def test_agrees_with_the_running_gateway(tmp_path):
    """Who guesses passwords is banned by both, for the same; the office is banned by neither."""
    net, path, made = shield.Net(), tmp_path / "live.pcap", []
    try:
        g = shield.gateway(kernel="none", users=8)
        made.append(g)
        g.start()
        os.chmod(tmp_path, 0o777)
        with open(os.devnull, "w") as null:
            p = subprocess.Popen(["dumpcap", "-q", "-i", "world", "-i", "office", "-n", "-w", str(path)], stdout=null, stderr=null)
        time.sleep(1)
        ip = net.world.address("198.18.0.77")
        net.world.sh("ip", "route", "replace", shield.OUT + "/32", "dev", "eth0", "src", ip)
        with net.office.inside():
            phone = shield.Ua("203.0.113.9", 0, shield.UDP, "udp", "1001", g.passwords["1001"])
        with net.world.inside():
            u = shield.Ua(ip, 0, shield.UDP, "udp", "1003", "wrong")
        assert shield.wait_for(lambda: registers(phone), 15)  # this phone sends nothing twice, and the first may be lost while the link comes up
        for i in range(80):
            if not guess(u, i) and i > 20:
                break
        phone.register()
        found = shield.wait_for(lambda: shield.banned(g, ip), 3)
        u.close(), phone.close()
        time.sleep(0.5)
        p.terminate(), p.wait(5)
        d = replay(path, "--config", g.config)
        mine = [b for b in judged(d)["bans"] if b["source"].startswith(ip)]
        assert found and mine, (found, judged(d)["alerts"])
        assert {b["detector"] for b in found} & {b["detector"] for b in mine}, (found, mine)
        assert not [b for b in judged(d)["bans"] if "203.0.113" in b["source"]] and not shield.banned(g, "203.0.113.9")
        assert d["sip"]["registrations"] >= 2
    finally:
        for g in made:
            g.close()
        net.close()
