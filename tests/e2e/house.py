"""A second gateway with many kinds of peers, certificates for them, and peers that listen on TCP or TLS."""
import os, re, select, socket, ssl, subprocess, time
import pytest
from gateway import Gateway, wait_for
from ua import Call, Message, Ua, sdp

PHONES, LAN, WALL, STRICT, NATTED = "127.0.61.", "127.0.62.", "127.0.63.", "127.0.64.", "127.0.65."
NAME = "pbx.example.net"

CONFIG = """
domains: [example.com]
state: {state}
engines: {engines}
media: {{ports: {ports}}}
certificates:
  default: {{chain: server.pem, key: server}}
listeners:
  - {{name: tls, transport: tls, address: "127.0.61.1:5061"}}
  - {{name: udp, transport: udp, address: "127.0.61.1:5060"}}
  - {{name: tcp, transport: tcp, address: "127.0.61.1:5060"}}
  - {{name: lan, transport: udp, address: "127.0.62.1:5060"}}
  - {{name: lan-tcp, transport: tcp, address: "127.0.62.1:5060"}}
  - {{name: wall, transport: tls, address: "127.0.63.1:5061"}}
  - {{name: strict, transport: tls, address: "127.0.64.1:5061"}}
zones:
  - {{name: phones, listeners: [tls], sources: [127.0.61.0/24], media: srtp, nat: yes, registration: yes, rate_per_source: 5000}}
  - {{name: legacy, listeners: [udp, tcp], sources: [127.0.61.0/24], media: rtp, nat: yes, registration: yes, rate_per_source: 5000}}
  - {{name: lan, listeners: [lan, lan-tcp], sources: [127.0.62.0/24], media: rtp, authenticate: no, rate_per_source: 5000}}
  - {{name: natted, listeners: [lan], sources: [127.0.65.0/24], media: rtp, nat: yes, authenticate: no, rate_per_source: 5000}}
  - {{name: partners, listeners: [wall], sources: [127.0.63.0/24], media: srtp, authenticate: no}}
  - {{name: strict, listeners: [strict], sources: [127.0.64.0/24], media: srtp, authenticate: no, client_certificate: required}}
waivers:
  - {{name: old-phones, zone: legacy, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test phones without TLS", expires: 2099-01-01}}
  - {{name: old-pbx, zone: lan, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test PBX without TLS", expires: 2099-01-01}}
  - {{name: old-nat, zone: natted, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test PBX behind NAT", expires: 2099-01-01}}
peers:
  - {{name: src, kind: pbx, zone: lan, listener: lan, address: "127.0.62.10:5070"}}
  - {{name: dst, kind: pbx, zone: lan, listener: lan, address: "127.0.62.11:5070"}}
  - {{name: nat, kind: pbx, zone: natted, listener: lan, address: "127.0.65.10:5070"}}
  - {{name: tcp, kind: pbx, zone: lan, listener: lan-tcp, address: "127.0.62.20:5080"}}
  - {{name: health, kind: pbx, zone: lan, listener: lan-tcp, address: "127.0.62.21:5080", options: 5s}}
  - {{name: late, kind: pbx, zone: lan, listener: lan-tcp, address: "127.0.62.22:5080"}}
  - {{name: good, kind: pbx, zone: partners, listener: wall, address: "127.0.63.20:5081", tls_name: pbx.example.net}}
  - {{name: wrong, kind: pbx, zone: partners, listener: wall, address: "127.0.63.21:5081", tls_name: pbx.example.net}}
  - {{name: foreign, kind: pbx, zone: partners, listener: wall, address: "127.0.63.22:5081", tls_name: pbx.example.net}}
  - {{name: local, kind: pbx, zone: partners, listener: wall, address: "127.0.63.23:5081", tls_name: pbx.example.net}}
  - {{name: second, kind: pbx, zone: partners, listener: wall, address: ["127.0.63.24:5081", "127.0.63.25:5081"], tls_name: pbx.example.net}}
  - {{name: dead, kind: pbx, zone: partners, listener: wall, address: "127.0.63.26:5081", tls_name: pbx.example.net}}
  - {{name: lost1, kind: pbx, zone: lan, listener: lan-tcp, address: "127.0.62.24:5080"}}
  - {{name: lost2, kind: pbx, zone: lan, listener: lan-tcp, address: "127.0.62.25:5080"}}
  - {{name: strict, kind: pbx, zone: strict, listener: strict, address: "127.0.64.20:5081", tls_name: pbx.example.net}}
roles:
  - {{name: user, outbound: yes}}
routes:
  - {{name: lost1, pattern: "22X.", to: {{peers: [lost1]}}}}
  - {{name: lost2, pattern: "23X.", to: {{peers: [lost2]}}}}
  - {{name: dead, pattern: "66X.", to: {{peers: [dead]}}}}
  - {{name: dst, pattern: "1X.", to: {{peers: [dst]}}}}
  - {{name: tcp, pattern: "2X.", to: {{peers: [tcp]}}}}
  - {{name: health, pattern: "3X.", to: {{peers: [health]}}}}
  - {{name: late, pattern: "4X.", to: {{peers: [late]}}}}
  - {{name: good, pattern: "5X.", to: {{peers: [good]}}}}
  - {{name: wrong, pattern: "6X.", to: {{peers: [wrong]}}}}
  - {{name: foreign, pattern: "7X.", to: {{peers: [foreign]}}}}
  - {{name: local, pattern: "8X.", to: {{peers: [local]}}}}
  - {{name: second, pattern: "9X.", to: {{peers: [second]}}}}
  - {{name: nat, pattern: "0X.", to: {{peers: [nat]}}}}
  - {{name: users, pattern: "*", to: users}}
limits: {{register_min: 10s, {limits}}}
"""


def openssl(*args, stdin=None):
    r = subprocess.run(["openssl", *args], input=stdin, capture_output=True, text=True, timeout=20)
    assert r.returncode == 0, r.stderr
    return r.stdout


class Authority:
    """A certificate authority in a folder of its own, or that of a gateway (its files given)."""
    def __init__(self, folder, cert=None, key=None, name="Test Authority"):
        self.dir = str(folder)
        self.cert, self.key = cert or os.path.join(self.dir, "ca.pem"), key or os.path.join(self.dir, "ca.key")
        if not cert:
            openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=" + name,
                    "-keyout", self.key, "-out", self.cert, "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, name, days="2"):
        base = os.path.join(self.dir, name + "-" + os.urandom(3).hex())
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=" + name, "-keyout", base + ".key", "-out", base + ".csr")
        with open(base + ".ext", "w") as f:
            f.write(f"subjectAltName=DNS:{name}\nextendedKeyUsage=serverAuth,clientAuth\n")
        openssl("x509", "-req", "-in", base + ".csr", "-CA", self.cert, "-CAkey", self.key, "-set_serial", "0x" + os.urandom(8).hex(), "-days", days,
                "-extfile", base + ".ext", "-out", base + ".pem")
        return base + ".pem", base + ".key"


class Conn(Ua):
    """One accepted connection."""
    def __init__(self, server, s):
        self.ip, self.port, self.transport, self.user, self.password, self.domain = server.ip, server.port, server.transport, "pbx", "", "example.com"
        self.s, self.buf, self.cseq, self.proxy, self.closed = s, b"", 0, None, False


class Server:
    """A peer that listens on TCP, or on TLS with (certificate, key); client_ca: demands a certificate of that authority."""
    def __init__(self, ip, port, tls=None, client_ca=None):
        self.ip, self.port, self.transport = ip, port, "tls" if tls else "tcp"
        self.ls = socket.socket()
        self.ls.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.ls.bind((ip, port))
        self.ls.listen(32)
        self.conns, self.failed, self.accepted, self.back = [], [], 0, []
        self.ctx = None
        if tls:
            self.ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.ctx.load_cert_chain(*tls)
            if client_ca:
                self.ctx.verify_mode = ssl.CERT_REQUIRED
                self.ctx.load_verify_locations(client_ca)

    def accept(self):
        s, _ = self.ls.accept()
        self.accepted += 1
        s.settimeout(5)
        if self.ctx:
            try:
                s = self.ctx.wrap_socket(s, server_side=True)
            except (OSError, ssl.SSLError) as e:
                self.failed.append(str(e))
                s.close()
                return
        self.conns.append(Conn(self, s))

    def recv(self, timeout=3.0):
        """The next message on any connection as (connection, message), or None."""
        if self.back:
            return self.back.pop(0)
        end = time.time() + timeout
        while True:
            for c in self.conns:
                m = c.frame()
                if m:
                    return c, m
            left = end - time.time()
            if left <= 0:
                return None
            ready = [c for c in self.conns if self.ctx and c.s.pending()] or select.select([self.ls] + [c.s for c in self.conns], [], [], left)[0]
            for x in ready:
                if x is self.ls:
                    self.accept()
                    continue
                c = x if isinstance(x, Conn) else next(c for c in self.conns if c.s is x)
                try:
                    data = c.s.recv(65536)
                except ssl.SSLWantReadError:
                    continue
                except OSError:
                    data = b""
                if not data:
                    self.conns.remove(c)
                    c.s.close()
                c.buf += data

    def expect(self, what, timeout=4.0, skip=("OPTIONS",)):
        end, seen = time.time() + timeout, []
        while time.time() < end:
            got = self.recv(end - time.time())
            if not got:
                break
            c, m = got
            if (m.code and what == str(m.code)) or (not m.code and m.method == what):
                return c, m
            if not m.code and m.method == "OPTIONS" and "OPTIONS" in skip:
                c.reply(m, 200)
                continue
            seen.append(m.start)
        raise AssertionError(f"no {what} in {timeout} s, but {seen} (TLS failures: {self.failed})")

    def drop(self):
        for c in self.conns:
            c.s.close()
        self.conns = []

    def close(self):
        self.drop()
        self.ls.close()


CRYPTO = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"


def answer_to(inv, ip, port):
    """An answer that fits the offer: SRTP with its first CM-80 line's tag, or plain."""
    m = re.search(rb"a=crypto:(\d+) AES_CM_128_HMAC_SHA1_80", inv.body)
    if not m:
        return sdp(ip, port)
    return sdp(ip, port, extra=CRYPTO.replace("crypto:1 ", f"crypto:{m.group(1).decode()} "), proto="RTP/SAVP")


def take(server, tag="peer", timeout=4):
    """The server's side answers a call: (connection, INVITE)."""
    c, inv = server.expect("INVITE", timeout)
    c.reply(inv, 200, "OK", tag, body=answer_to(inv, server.ip, 41000))
    server.expect("ACK")
    return c, inv


def caller(ip=LAN + "10", port=5070, user="src"):
    return Ua(ip, port, (LAN + "1", 5060), "udp", user)


def call_from(ua, number, body=None):
    c = Call(ua, number, sdp(ua.ip, 40000) if body is None else body)
    c.invite(auth=False)
    return c


def final(ua, timeout=6):
    end = time.time() + timeout
    while time.time() < end:
        m = ua.recv(end - time.time())
        if m and m.code >= 200:
            return m
    raise AssertionError(f"no final response in {timeout} s")


def house(trusted=None, **k):
    """The gateway, not yet started."""
    g = Gateway(config=CONFIG, ports=k.pop("ports", "23000-23399"), **k)
    if trusted:
        with open(os.path.join(g.state, "trusted.pem"), "w") as f:
            f.write(open(trusted).read())
    return g


def gateway_ca(g, folder):
    key = os.path.join(g.state, "vault", "keys", "ca.pem")
    if not os.access(key, os.R_OK):
        pytest.skip("the vault's files can only be read by root")
    return Authority(folder, os.path.join(g.state, "ca.pem"), key)
