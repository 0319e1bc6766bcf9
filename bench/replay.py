#!/usr/bin/env python3
"""How many packets of a capture `ringwall replay` judges in a second on one core.
usage: bench/replay.py RINGWALL [PACKETS]      (tools/bench.sh runs it with ONLY=replay)
The capture is made here: 50 calls of two streams each, G.711 in 20 ms packets, and their SIP; it is read once before, so
that it comes from the page cache. JSON=file: the rows are written there, too."""
import json, os, shutil, struct, subprocess, sys, tempfile, time

CALLS = 50


def ip(src, dst, sport, dport, data, n):
    a, b = bytes(map(int, src.split("."))), bytes(map(int, dst.split(".")))
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(data), n & 0xffff, 0, 64, 17, 0, a, b)
    return b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + head + struct.pack(">HHHH", sport, dport, 8 + len(data), 0) + data


def record(us, frame):
    return struct.pack("<IIII", us // 1000000, us % 1000000, len(frame), len(frame)) + frame


def sip(i, first, way, body=""):
    head = (f"{first}\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKb{i}{way}\r\nFrom: <sip:alice@example.com>;tag=a{i}\r\n"
            f"To: <sip:bob{i}@example.com>{'' if first.startswith('INVITE') else ';tag=b'}\r\nCall-ID: bench-{i}\r\nCSeq: {2 if way == 'BYE' else 1} {way}\r\n"
            f"Contact: <sip:192.0.2.10:5060>\r\nMax-Forwards: 70\r\n")
    return (head + ("Content-Type: application/sdp\r\n" if body else "") + f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


def sdp(host, port):
    return f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"


def make(path, packets):
    start, us = 1700000000 * 1000000, 1700000000 * 1000000
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for i in range(CALLS):
            f.write(record(us, ip("192.0.2.10", "198.51.100.1", 5060, 5060, sip(i, f"INVITE sip:bob{i}@example.com SIP/2.0", "INVITE", sdp("192.0.2.10", 20000 + 2 * i)), i)))
            f.write(record(us, ip("198.51.100.1", "192.0.2.10", 5060, 5060, sip(i, "SIP/2.0 200 OK", "INVITE", sdp("198.51.100.1", 30000 + 2 * i)), i)))
            us += 100
        load = b"\xd5" * 160
        heads = [[ip("192.0.2.10", "198.51.100.1", 20000 + 2 * i, 30000 + 2 * i, b"", 0), ip("198.51.100.1", "192.0.2.10", 30000 + 2 * i, 20000 + 2 * i, b"", 0)] for i in range(CALLS)]
        heads = [[h[:16] + struct.pack(">H", 200) + h[18:38] + struct.pack(">H", 180) + h[40:] for h in pair] for pair in heads]
        n, seq = 0, 0
        while n < packets:
            out = []
            for i in range(CALLS):
                for k in (0, 1):
                    us_of = start + 10000 + seq * 20000 + i * 150 + k * 50
                    out.append(struct.pack("<IIII", us_of // 1000000, us_of % 1000000, 214, 214) + heads[i][k]
                               + struct.pack(">BBHII", 0x80, 8, seq & 0xffff, (seq * 160) & 0xffffffff, i * 2 + k + 1) + load)
            f.write(b"".join(out))
            n += 2 * CALLS
            seq += 1
    return n + 2 * CALLS


def main():
    exe, packets = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else (200000 if os.environ.get("QUICK") else 2000000)
    reps = int(os.environ.get("REPS", "5"))
    folder = tempfile.mkdtemp(prefix="ringwall-bench-")
    try:
        path = os.path.join(folder, "rtp.pcap")
        total = make(path, packets)
        with open(path, "rb") as f:
            while f.read(1 << 20):
                pass
        rates, walls = [], []
        for _ in range(reps):
            began = time.monotonic()
            r = subprocess.run([exe, "replay", path, "--json"], capture_output=True, text=True)
            walls.append(time.monotonic() - began)
            assert r.returncode == 0, r.stderr
            d = json.loads(r.stdout)
            assert d["packets"] == total and len(d["calls"]) == CALLS and len(d["streams"]) == 2 * CALLS
            assert all(s["lost"] == 0 for s in d["streams"])
            rates.append(d["packets"] / d["cpu_s"])
        rates.sort(), walls.sort()
        median = rates[len(rates) // 2]
        print(f"{'replay of RTP-heavy capture':<44} {'packets':>12} {'packets/s':>12} {'ns each':>9}   bar")
        print(f"{f'{CALLS} calls, {2 * CALLS} streams, median of {reps}':<44} {total:>12} {median:>12.0f} {1e9 / median:>9.0f}   {'met' if median >= 1e6 else 'MISSED'}: 1000000 packets/s of one core")
        print(f"{'  slowest, fastest':<44} {'':>12} {rates[0]:>12.0f} {'':>9}   {rates[-1]:.0f}")
        print(f"{'  with start and report, by the clock':<44} {'':>12} {total / walls[len(walls) // 2]:>12.0f}")
        if os.environ.get("JSON"):
            with open(os.environ["JSON"], "w") as f:
                json.dump({"replay, RTP-heavy capture": {"unit": "packets/s", "value": median, "bar": 1000000}}, f)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
