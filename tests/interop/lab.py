"""The lab of the interop matrix: one gateway, one desk phone behind it that answers by the number it is called at, and what it saw."""
import os, re, socket, struct, subprocess, sys, threading, time
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "e2e"))
from gateway import Gateway, wait_for
from house import gateway_ca
from ua import Ua, sdp

IP = "127.0.1.1"          # the gateway's public side
LAN, DESK = "127.0.2.1", "127.0.2.10"
CONFIG = """
domains: [example.com]
state: {state}
engines: {engines}
media: {{ports: {ports}}}
certificates:
  default: {{chain: server.pem, key: server}}
listeners:
  - {{name: tls, transport: tls, address: "127.0.1.1:5061"}}
  - {{name: udp, transport: udp, address: "127.0.1.1:5060"}}
  - {{name: tcp, transport: tcp, address: "127.0.1.1:5060"}}
  - {{name: lan, transport: udp, address: "127.0.2.1:5060"}}
  - {{name: lan-tcp, transport: tcp, address: "127.0.2.1:5060"}}
  - {{name: lan-tls, transport: tls, address: "127.0.2.1:5061"}}
zones:
  - {{name: phones, listeners: [tls], sources: [127.0.0.1, 127.0.1.0/24], media: srtp, nat: yes, registration: yes, rate_per_source: 5000, services: [transfer, message]}}
  - {{name: legacy, listeners: [udp, tcp], sources: [127.0.0.1, 127.0.1.0/24], media: rtp, nat: yes, registration: yes, rate_per_source: 5000, services: [transfer, message]}}
  - {{name: lan, listeners: [lan, lan-tcp], sources: [127.0.2.0/24], media: rtp, authenticate: no, services: [transfer, message]}}
  - {{name: lan-tls, listeners: [lan-tls], sources: [127.0.2.0/24], media: either, authenticate: no, services: [transfer, message]}}
waivers:
  - {{name: legacy, zone: legacy, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "interop", expires: 2099-01-01}}
  - {{name: lan, zone: lan, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "interop", expires: 2099-01-01}}
  - {{name: lan-tls, zone: lan-tls, allow: [plain-media], owner: alice@example.com, reason: "interop", expires: 2099-01-01}}
peers:
  - {{name: desk, kind: pbx, zone: lan, listener: lan, address: "127.0.2.10:5070"}}
  - {{name: kam-udp, kind: pbx, zone: lan, listener: lan, address: "127.0.2.11:5070"}}
  - {{name: kam-tcp, kind: pbx, zone: lan, listener: lan-tcp, address: "127.0.2.12:5070"}}
  - {{name: kam-tls, kind: pbx, zone: lan-tls, listener: lan-tls, address: "127.0.2.13:5071", tls_name: kamailio.example.com}}
roles:
  - {{name: user, outbound: yes}}
routes:
  - {{name: kam-udp, pattern: "41X.", to: {{peers: [kam-udp]}}}}
  - {{name: kam-tcp, pattern: "42X.", to: {{peers: [kam-tcp]}}}}
  - {{name: kam-tls, pattern: "43X.", to: {{peers: [kam-tls]}}}}
  - {{name: desk, pattern: "X.", to: {{peers: [desk]}}}}
  - {{name: users, pattern: "*", to: users}}
limits: {{register_min: 30s, session_expires: 90s, connections_per_source: 1000}}
"""
USERS = ("mdora", "mdaniel", "msipp", "msak", "mlin", "mkam")


def gateway():
    g = Gateway(config=CONFIG, ports="22000-22999")
    for u in USERS:
        g.user(u, md5=True)
    g.user("alice")
    return g.start()


def kamailio(g, d):
    """A proxy with its files in folder d, certified by the gateway's authority."""
    cert, key = gateway_ca(g, d).issue("kamailio.example.com")
    with open(os.path.join(d, "tls.cfg"), "w") as f:
        f.write(f"[server:default]\nmethod = TLSv1.2+\nverify_certificate = no\nprivate_key = {key}\ncertificate = {cert}\n"
                f"[client:default]\nmethod = TLSv1.2+\nverify_certificate = yes\nca_list = {g.state}/ca.pem\nprivate_key = {key}\ncertificate = {cert}\n")
    with open(os.path.join(d, "kamailio.cfg"), "w") as f:
        f.write(open(os.path.join(os.path.dirname(__file__), "kamailio.cfg")).read().replace("TLS_CFG", os.path.join(d, "tls.cfg")))
    log = open(os.path.join(d, "log"), "wb")
    p = subprocess.Popen(["kamailio", "-DD", "-E", "-f", os.path.join(d, "kamailio.cfg"), "-P", os.path.join(d, "pid"), "-Y", d, "-m", "64", "-M", "8"],
                         stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    probe = Ua("127.0.2.30", 5091, ("127.0.2.14", 5060), "udp", "probe")

    def up():
        probe.request("OPTIONS", "sip:127.0.2.14:5060", "<sip:127.0.2.14>", "o@x", "o")
        return probe.recv(0.3)
    assert wait_for(up, 10), open(os.path.join(d, "log")).read()[-2000:]
    probe.close()
    return p


class Desk(threading.Thread):
    """A desk phone that anybody can call: numbers 30.. are answered, 31.. ring until they are given up. It keeps what came, by number."""

    def __init__(self, ip=DESK, port=5070, proxy=(LAN, 5060)):
        super().__init__(daemon=True)
        self.ua = Ua(ip, port, proxy, "udp", "desk")
        self.lock, self.seen, self.calls, self.ringing, self.invites, self.leaving, self.on = threading.Lock(), [], {}, {}, {}, [], True
        self.audio, self.towards, self.sent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), {}, 0
        self.audio.bind((ip, 41000))
        self.start()

    def run(self):
        while self.on:
            m = self.ua.recv(0.2)
            if m and not m.code:
                self.take(m)
            self.talk()

    def talk(self):
        """A little silence to everybody: some phones hang up where nothing comes for half a minute."""
        self.sent += 1
        while self.leaving and self.leaving[0][0] < time.time():
            _, call, number = self.leaving.pop(0)
            m = self.invites[call]
            self.ua.request("BYE", m.uri("contact"), m.get("from").split(";tag=")[0], call, "d" + number, m.tag("from"), from_=m.get("to"))
        for to in list(self.towards.values()):
            self.audio.sendto(struct.pack("!BBHII", 0x80, 8, self.sent & 0xffff, self.sent * 160, 7) + b"\xd5" * 160, to)

    def note(self, call, what):
        with self.lock:
            self.seen.append((call, what))

    def saw(self, number, what, seconds=6):
        """How often that happened in calls to the number; waits for the first."""
        def n():
            with self.lock:
                return sum(1 for c, w in self.seen if c == number and w == what)
        return wait_for(n, seconds)

    def take(self, m):
        if m.method == "OPTIONS":
            self.ua.reply(m, 200)
            return
        number = self.calls.get(m.get("call-id"))
        fresh = m.method == "INVITE" and ";tag=" not in m.get("to")
        if fresh:
            number = re.search(r"sips?:([^@]+)@", m.start).group(1)
            self.calls[m.get("call-id")] = number
        if number is None:
            self.ua.reply(m, 481, to_tag="d")
            return
        direction = re.search(rb"a=(sendrecv|sendonly|recvonly|inactive)", m.body)
        word = m.method if fresh or m.method != "INVITE" else "re-INVITE"
        self.note(number, word)
        if direction and not fresh:
            self.note(number, direction.group(1).decode())
        if m.method == "BYE":
            self.towards.pop(m.get("call-id"), None)
        where = re.search(rb"c=IN IP4 (\S+).*?m=audio (\d+) RTP/AVP", m.body, re.S)
        if where and number.startswith("30"):
            self.towards[m.get("call-id")] = (where.group(1).decode(), int(where.group(2)))
        self.answer(m, number, fresh, direction.group(1).decode() if direction else "sendrecv")

    def answer(self, m, number, fresh, direction):
        back = {"sendonly": "recvonly", "recvonly": "sendonly"}.get(direction, direction)
        body = sdp(self.ua.ip, 41000).replace("a=sendrecv", "a=" + back) if m.body or fresh else ""
        if m.method == "INVITE":
            if fresh:
                self.ua.reply(m, 180, "Ringing", "d" + number)
                self.invites[m.get("call-id")] = m
            if fresh and not number.startswith("30"):
                self.ringing[m.get("call-id")] = m
                return
            self.ua.reply(m, 200, "OK", "d" + number, body=body or sdp(self.ua.ip, 41000), extra=self.timer(m))
        elif m.method == "CANCEL":
            self.ua.reply(m, 200)
            self.ua.reply(self.ringing[m.get("call-id")], 487, "Gone", "d" + number)
        elif m.method == "ACK" and number.startswith("309"):  # whoever transferred is gone: the third party hangs up
            self.leaving.append((time.time() + 1, m.get("call-id"), number))
        elif m.method != "ACK":
            self.ua.reply(m, 200, body=body if m.method == "UPDATE" else "", extra=self.timer(m) if m.method == "UPDATE" else "")

    @staticmethod
    def timer(m):
        """Whoever asks for a session timer keeps it."""
        s = m.get("session-expires").split(";")[0]
        return f"Require: timer\r\nSession-Expires: {s};refresher=uac\r\n" if s else ""

    def close(self):
        self.on = False
        self.join(2)
        self.audio.close()
        self.ua.close()
