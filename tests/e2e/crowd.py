"""A crowd of calls: keeps N calls up through a gateway over UDP, each from a caller's socket to a callee's, and remembers
which calls really reached the callee, so that every one of them can be asked for afterwards. One thread, no retransmissions
but the callers' INVITE."""
import collections, heapq, os, random, re, select, socket, threading, time
from ua import Message, sdp

CONFIG = """
domains: [example.com]
state: {state}
engines: {engines}
media: {{ports: {ports}}}
certificates:
  default: {{chain: server.pem, key: server}}
listeners:
  - {{name: tls, transport: tls, address: "127.0.71.1:5061"}}
  - {{name: udp, transport: udp, address: "127.0.71.1:5060"}}
  - {{name: lan, transport: udp, address: "127.0.72.1:5060"}}
zones:
  - {{name: phones, listeners: [tls], sources: [127.0.71.0/24], media: srtp, nat: yes, registration: yes, rate_per_source: 5000}}
  - {{name: legacy, listeners: [udp], sources: [127.0.71.0/24], media: rtp, nat: yes, registration: yes, rate_per_source: 5000}}
  - {{name: lan, listeners: [lan], sources: [127.0.72.0/24], media: rtp, authenticate: no, rate_per_source: 100000}}
waivers:
  - {{name: old-phones, zone: legacy, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test phones without TLS", expires: 2099-01-01}}
  - {{name: old-pbx, zone: lan, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test PBX without TLS", expires: 2099-01-01}}
peers:
  - {{name: src, kind: pbx, zone: lan, listener: lan, address: "127.0.72.10:5070"}}
  - {{name: dst, kind: pbx, zone: lan, listener: lan, address: "127.0.72.11:5070"}}
roles:
  - {{name: user, outbound: yes}}
routes:
  - {{name: dst, pattern: "1.", to: {{peers: [dst]}}}}
  - {{name: users, pattern: "*", to: users}}
limits: {{register_min: 10s, {limits}}}
"""
GATEWAY, CALLER, CALLEE = ("127.0.72.1", 5060), ("127.0.72.10", 5070), ("127.0.72.11", 5070)
HEADER = {n: re.compile(rb"\r\n(?:%s)\s*:\s*([^\r]*)" % n, re.I) for n in (b"Via", b"From|f", b"To|t", b"Call-ID|i", b"CSeq", b"Contact|m", b"Record-Route")}


def field(m, name):
    x = HEADER[name].search(m)
    return x.group(1) if x else b""


class Crowd(threading.Thread):
    """churn: of ten calls one is busy, one is cancelled while it rings, two are re-INVITEd before they end."""

    def __init__(self, n, hold=(1.0, 4.0), rate=120, seed=1, churn=False, patience=4):
        super().__init__(daemon=True)
        self.churn, self.cancelled, self.patience = churn, 0, patience  # patience: half seconds that a request is sent again
        self.want, self.hold, self.rate = n, hold, rate
        self.random = random.Random(seed)
        self.token = os.urandom(4).hex().encode()  # branches differ from those of another crowd
        self.a, self.b = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for s, at in ((self.a, CALLER), (self.b, CALLEE)):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            s.bind(at)
        self.calls = {}       # serial: state, target, to, since
        self.reached = {}     # serial: Call-ID of the caller, of each call that the callee was offered
        self.codes = collections.Counter()  # how calls failed: final code or state they hung in, kind
        self.ringing = {}     # at the callee
        self.at = {}          # serial: when it reached the callee
        self.ended = set()    # serials that ended by a BYE answered with 200, from either side
        self.failed = 0
        self.serial = 0
        self.due = []         # heap of (time, serial, what)
        self.stopping = False
        self.lock = threading.Lock()

    def up(self):
        with self.lock:
            return sum(1 for c in self.calls.values() if c["state"] == "up")

    # -- the caller --

    def head(self, method, n, c, uri, cseq, branch):
        to = c.get("to") or b"<sip:1%d@example.com>" % n
        return (b"%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.72.10:5070;branch=%s\r\nMax-Forwards: 70\r\nFrom: <sip:src@example.com>;tag=f%d\r\n"
                b"To: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\nContact: <sip:src@127.0.72.10:5070>\r\n" % (method, uri, branch, n, to, c["id"], cseq, method))

    def send(self, s, head, body=b""):
        if body:
            head += b"Content-Type: application/sdp\r\n"
        try:
            s.sendto(head + b"Content-Length: %d\r\n\r\n" % len(body) + body, GATEWAY)
        except OSError:
            pass

    def invite(self, n):
        c = self.calls[n]
        self.send(self.a, self.head(b"INVITE", n, c, b"sip:1%d@example.com" % n, 1, b"z9hG4bKi%s%d" % (self.token, n)), sdp("127.0.72.10", 40000).encode())

    def begin(self):
        self.serial += 1
        n = self.serial
        self.calls[n] = {"state": "calling", "id": b"%s%d@crowd.invalid" % (os.urandom(4).hex().encode(), n), "tries": 0, "since": time.time()}
        self.invite(n)
        heapq.heappush(self.due, (time.time() + 0.5, n, "again"))

    def bye(self, n):
        c = self.calls[n]
        c["state"] = "bye"
        self.send(self.a, self.head(b"BYE", n, c, c["target"], 4, b"z9hG4bKb%s%d" % (self.token, n)))  # above the re-INVITE's number
        heapq.heappush(self.due, (time.time() + 0.5, n, "bye-again"))

    def caller_in(self, m):
        x = re.search(rb"tag=f(\d+)", field(m, b"From|f") + b" " + field(m, b"To|t"))
        n = int(x.group(1)) if x else 0
        c = self.calls.get(n)
        if not m.startswith(b"SIP/2.0 "):  # the gateway's BYE
            method = m.split(b" ", 1)[0]
            self.answer(self.a, m, 200 if c else 481)
            if c and method == b"BYE":
                self.ended.add(n)
                del self.calls[n]
            return
        code, method = int(m[8:11]), field(m, b"CSeq").split()[-1]
        if not c or code < 200:
            return
        if method == b"BYE":
            if code == 200:
                self.ended.add(n)
            del self.calls[n]
            return
        if method != b"INVITE":
            return
        if c["state"] == "again":
            self.send(self.a, self.head(b"ACK", n, c, c["target"], 3, b"z9hG4bKc%s%d" % (self.token, n)))
            c["state"] = "up"
            return
        c["to"] = field(m, b"To|t")
        if code >= 300:
            self.send(self.a, self.head(b"ACK", n, c, b"sip:1%d@example.com" % n, 1, b"z9hG4bKi%s%d" % (self.token, n)))
            self.failed += code not in (486, 487)
            self.codes[code, n % 10] += 1
            self.cancelled += code == 487
            del self.calls[n]
            return
        c["target"] = re.search(rb"<([^>]+)>", field(m, b"Contact|m")).group(1)
        self.send(self.a, self.head(b"ACK", n, c, c["target"], 1, b"z9hG4bKa%s%d" % (self.token, n)))
        if c["state"] == "calling":
            c["state"], c["tries"] = "up", 0
            if self.churn and n % 10 in (3, 4):
                heapq.heappush(self.due, (time.time() + self.hold[0] / 2, n, "again-invite"))
            heapq.heappush(self.due, (time.time() + self.random.uniform(*self.hold), n, "bye"))

    # -- the callee --

    def answer(self, s, m, code, body=b""):
        lines = [x for x in m.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:] if re.match(rb"(via|v|from|f|to|t|call-id|i|cseq|record-route)\s*:", x, re.I)]
        lines = [x + (b";tag=callee" if re.match(rb"(to|t)\s*:", x, re.I) and b"tag=" not in x else b"") for x in lines]
        at = b"127.0.72.10:5070" if s is self.a else b"127.0.72.11:5070"
        self.send(s, b"SIP/2.0 %d X\r\n" % code + b"\r\n".join(lines) + b"\r\nContact: <sip:x@%s>\r\n" % at, body)

    def callee_in(self, m):
        method = m.split(b" ", 1)[0]
        if method == b"INVITE":
            x = re.match(rb"INVITE sips?:1(\d+)@", m)
            n = int(x.group(1)) if x else 0  # else in a dialog
            c = self.calls.get(n)
            if c:
                self.reached.setdefault(n, c["id"].decode())
                self.at.setdefault(n, time.time())
            kind = n % 10 if self.churn and b"tag=" not in field(m, b"To|t") else 0
            if kind == 1:
                self.answer(self.b, m, 486)
            elif kind == 2:
                self.answer(self.b, m, 180)
                self.ringing[field(m, b"Call-ID|i")] = m
                heapq.heappush(self.due, (time.time() + 0.1, n, "cancel"))
            else:
                self.answer(self.b, m, 200, sdp("127.0.72.11", 42000).encode())
        elif method == b"CANCEL" and field(m, b"Call-ID|i") in self.ringing:
            self.answer(self.b, m, 200)
            self.answer(self.b, self.ringing.pop(field(m, b"Call-ID|i")), 487)
        elif method in (b"BYE", b"CANCEL", b"OPTIONS"):
            self.answer(self.b, m, 200)

    # -- time --

    def on_time(self, now):
        while self.due and self.due[0][0] <= now:
            _, n, what = heapq.heappop(self.due)
            c = self.calls.get(n)
            if not c:
                continue
            c["tries"] += what in ("again", "bye-again")
            if c["tries"] > self.patience:  # the gateway's part of it died
                self.failed += 1
                self.codes[c["state"], n % 10] += 1
                del self.calls[n]
            elif what == "again" and c["state"] == "calling":
                self.invite(n)
                heapq.heappush(self.due, (now + 0.5, n, "again"))
            elif what == "cancel" and c["state"] == "calling":
                self.send(self.a, self.head(b"CANCEL", n, c, b"sip:1%d@example.com" % n, 1, b"z9hG4bKi%s%d" % (self.token, n)))
            elif what == "again-invite" and c["state"] == "up":
                c["state"] = "again"
                self.send(self.a, self.head(b"INVITE", n, c, c["target"], 3, b"z9hG4bKc%s%d" % (self.token, n)), sdp("127.0.72.10", 40000).replace("o=tester 7 7", "o=tester 7 8").encode())
            elif what == "bye" or what == "bye-again":
                self.bye(n)

    def run(self):
        begun, start = 0, time.time()
        while not (self.stopping and not self.calls):
            ready = select.select([self.a, self.b], [], [], 0.01)[0]
            with self.lock:
                for s in ready:
                    for _ in range(64):
                        try:
                            m = s.recv(65536, socket.MSG_DONTWAIT)
                        except OSError:
                            break
                        if len(m) > 20:
                            (self.caller_in if s is self.a else self.callee_in)(m)
                now = time.time()
                self.on_time(now)
                while not self.stopping and len(self.calls) < self.want and begun < (now - start) * self.rate:
                    self.begin()
                    begun += 1
                if len(self.calls) >= self.want:
                    begun = max(begun, (now - start) * self.rate)  # no credit for times when none was wanted

    def finish(self, seconds=20):
        """All calls are ended; true if they are."""
        with self.lock:
            self.stopping = True
            for n, c in list(self.calls.items()):
                if c["state"] == "up":
                    self.bye(n)
        self.join(seconds)
        return not self.is_alive()

    def quit(self):
        with self.lock:
            self.stopping = True
            self.calls.clear()
        self.join(5)
        self.a.close(), self.b.close()
