"""Second factors with real parts: quarantine, approval by a code that is dialled, step-up before risky calls, revocation.
oathtool is the other opinion of what a code is."""
import glob, json, os, re, shutil, struct, subprocess, threading, time
import pytest
from gateway import Gateway, wait_for
from rtp import Rtp, Srtp, new_key, packet, where
from ua import Call, Ua, sdp

PUB, PRIV, TRUNK = "127.0.97.1", "127.0.98.1", "127.0.98.20"
CONFIG = """
domains: [example.com]
state: {state}
engines: {engines}
media: {{ports: {ports}}}
certificates:
  default: {{chain: server.pem, key: server}}
listeners:
  - {{name: tls, transport: tls, address: "127.0.97.1:5061"}}
  - {{name: udp, transport: udp, address: "127.0.97.1:5060"}}
  - {{name: lan, transport: udp, address: "127.0.98.1:5060"}}
zones:
  - {{name: phones, listeners: [tls], sources: [127.0.97.0/24], media: srtp, nat: yes, registration: yes, rate_per_source: 5000}}
  - {{name: legacy, listeners: [udp], sources: [127.0.97.0/24], media: rtp, nat: yes, registration: yes, rate_per_source: 5000}}
  - {{name: lan, listeners: [lan], sources: [127.0.98.0/24], media: rtp, authenticate: no}}
waivers:
  - {{name: old-phones, zone: legacy, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test phones without TLS", expires: 2099-01-01}}
  - {{name: old-trunk, zone: lan, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test trunk without TLS", expires: 2099-01-01}}
sites:
  - {{name: main, country: DE, area: "30", international: "00", national: "0", timezone: Europe/Berlin}}
peers:
  - {{name: trunk, kind: trunk, zone: lan, listener: lan, address: "127.0.98.20:5080"}}
roles:
  - {{name: user, outbound: yes, dial: [internal, emergency, local, national, mobile, toll-free, international], countries: all, step_up: [international]}}
  - {{name: careful, outbound: yes, second_factor: yes}}
routes:
  - {{name: out, pattern: "0X.", to: {{peers: [trunk]}}}}
  - {{name: help, pattern: "112", to: {{peers: [trunk]}}}}
  - {{name: users, pattern: "*", to: users}}
second_factor: {{service_number: "*77", remember: 10m}}
limits: {{register_min: 10s, {limits}}}
"""
ABROAD = "0043123456789"
RISING = (660, 880, 1100)


@pytest.fixture(scope="module")
def gw(tmp_path_factory):
    g = Gateway(CONFIG, engines=1, ports="25000-25999")   # an engine remembers codes for itself
    for u in ("alice", "bob", "carol", "dave", "erin", "frank"):
        g.user(u)
    g.user("cleo", role="careful")
    g.start()
    yield g
    try:
        assert g.idle(), g.ask("calls")
    finally:
        g.close()


def enrol(g, user, *more):
    """The seed in base32."""
    d = g.ask("otp", "enrol", user, *more)
    assert d["uri"].startswith("otpauth://totp/example.com:" + user + "%40example.com?secret=" + d["secret"])
    return d["secret"]


def code(secret, at=0, alg="sha1"):
    r = subprocess.run(["oathtool", f"--totp={alg}", "-b", "-N", f"now {at:+d} seconds", secret], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    return r.stdout.strip()


def phone(g, user, ip, transport="udp"):
    host = (PUB, 5061 if transport == "tls" else 5060)
    return Ua(ip, 0, host, transport, user, g.passwords[user], ca=os.path.join(g.state, "ca.pem"))


def device(g, user, state=None):
    return [d for d in g.ask("device", "list", user)["devices"] if not state or d["state"] == state]


class Talk:
    """A phone's media: silence all the time, digits when told, and what comes back is kept."""
    def __init__(self, ip, secure=None):
        self.rtp, self.to, self.heard, self.seq, self.ts = Rtp(ip), None, [], 1000, 80000
        self.tx, self.rx, self.secure = None, None, secure
        self.on, self.lock = True, threading.Lock()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def body(self, pt="8 0", extra=""):
        key = new_key(self.secure) if self.secure else None
        if key:
            self.tx = Srtp(self.secure, key)
            extra += f"a=crypto:1 {self.secure} inline:{key}\r\n"
        return sdp(self.rtp.ip, self.rtp.port, pt=pt, extra=extra, proto="RTP/SAVP" if key else "RTP/AVP")

    def start(self, ok):
        self.to = where(ok.body)
        if self.secure:
            self.rx = Srtp(self.secure, re.search(rb"inline:([A-Za-z0-9+/=]+)", ok.body).group(1).decode())
        self.thread.start()

    def put(self, payload, pt, ts=None, marker=False):
        with self.lock:
            self.seq += 1
            p = packet(self.seq, self.ts if ts is None else ts, payload, pt, 0x77, marker)
            self.rtp.send(self.to, self.tx.protect(p) if self.tx else p)

    def run(self):
        while self.on:
            self.ts += 160
            self.put(b"\xd5" * 160, 8)
            p = self.rtp.recv(0.02)
            while p:
                if self.rx and len(p) > 12:
                    p = self.rx.unprotect(p)
                self.heard.append(p)
                p = self.rtp.recv(0)
            time.sleep(0.015)

    def dial(self, digits):
        for d in digits:
            ts, n = self.ts + 7, "0123456789*#".index(d)
            for i in range(6):
                end = 0x80 if i > 2 else 0
                self.put(struct.pack("!BBH", n, end | 10, 160 * (min(i, 3) + 1)), 101, ts, i == 0)
                if i < 3:
                    time.sleep(0.01)
            self.last = time.time()
            time.sleep(0.04)

    def tones(self):
        """The frequencies that were heard, in order."""
        import math
        found = []
        for p in self.heard:
            if len(p) != 172:
                continue
            x = [alaw(b) for b in p[12:]]
            energy = sum(v * v for v in x)
            if energy < 160 * 10000:
                continue
            def share(hz):
                re_ = sum(v * math.cos(2 * math.pi * hz * i / 8000) for i, v in enumerate(x))
                im = sum(v * math.sin(2 * math.pi * hz * i / 8000) for i, v in enumerate(x))
                return 2 * (re_ * re_ + im * im) / (energy * len(x))
            best = max((220, 425, 660, 880, 1100), key=share)
            if share(best) > 0.8 and (not found or found[-1] != best):
                found.append(best)
        return found

    def close(self):
        self.on = False
        if self.thread.is_alive():
            self.thread.join(2)
        self.rtp.close()


def alaw(b):
    b ^= 0x55
    s, v = (b >> 4) & 7, ((b & 15) << 4) + 8
    if s:
        v = (v + 0x100) << (s - 1)
    return v if b & 0x80 else -v


def service(g, ua, talk, digits):
    """Dials the service number and gives those codes; hears the end."""
    c = Call(ua, "*77", talk.body())
    c.invite()
    talk.start(c.answered())
    for d in digits:
        time.sleep(1.1)
        talk.dial(d)
    bye = ua.expect("BYE", 6)
    ua.reply(bye, 200, "OK")
    return c


@pytest.fixture
def trunk(gw):
    u = Ua(TRUNK, 5080, (PRIV, 5060), "udp", "trunk")
    yield u
    u.close()


def some(rtp, n=100):
    """What has come by now, at most n packets: the other side never stops."""
    return [p for p in (rtp.recv(0.03) for _ in range(n)) if p]


def rings(trunk, timeout=3):
    inv = trunk.expect("INVITE", timeout)
    trunk.at = time.time()
    return inv


def take(trunk, inv, rtp):
    trunk.reply(inv, 200, "OK", "tt", body=sdp(TRUNK, rtp.port))
    trunk.expect("ACK")


def refused(ua, number, why=403):
    c = Call(ua, number)
    c.invite()
    c.ack(ua.expect(str(why)))
    return c


def test_enrolment_shows_a_code_once(gw):
    r = gw.run("otp", "enrol", "dave", "--state", gw.state)
    assert r.returncode == 0, r.stderr
    uri = re.search(r"otpauth://totp/\S+", r.stdout).group(0)
    assert "\u2580" in r.stdout and "\u2584" in r.stdout and r.stdout.count("\n") > 12
    r = gw.run("otp", "enrol", "dave", "--state", gw.state)
    assert r.returncode == 1 and "already" in r.stderr and "otpauth" not in r.stdout
    secret = re.search(r"secret=([A-Z2-7]+)", uri).group(1)
    assert enrol(gw, "dave", "--regenerate") != secret
    assert [x["user"] for x in gw.ask("otp", "list")["otp"]] == ["dave@example.com"]
    gw.ask("otp", "remove", "dave")
    assert gw.ask("otp", "list")["otp"] == []
    r = gw.run("otp", "remove", "dave", "--state", gw.state)
    assert r.returncode == 5, r.stderr
    assert gw.run("otp", "enrol", "nobody", "--state", gw.state).returncode == 5


def test_devices_of_others_are_seen_and_not_hindered(gw, trunk):
    u = phone(gw, "bob", "127.0.97.30")
    u.register()
    assert wait_for(lambda: device(gw, "bob", "new"), 3)
    d = device(gw, "bob")[0]
    assert d["by"] == "address and agent" and d["name"] == "tester/1.0"
    c = Call(u, "0301234567")
    c.invite()
    rtp = Rtp(TRUNK)
    take(trunk, rings(trunk), rtp)
    c.answered()
    c.bye()
    trunk.reply(trunk.expect("BYE"), 200, "OK")
    rtp.close(), u.close()


def test_quarantine_and_approval_by_code(gw, trunk):
    secret = enrol(gw, "alice")
    u, talk = phone(gw, "alice", "127.0.97.31"), Talk("127.0.97.31")
    bob = phone(gw, "bob", "127.0.97.30")
    u.register()
    bob.register()
    refused(u, "0301234567")
    refused(u, "bob")
    refused(bob, "alice", 480)                     # nobody calls a phone in quarantine
    assert gw.reason("right_quarantine") >= 2
    c = Call(u, "112")                              # help always
    c.invite()
    rtp = Rtp(TRUNK)
    take(trunk, rings(trunk), rtp)
    c.answered()
    c.bye()
    trunk.reply(trunk.expect("BYE"), 200, "OK")
    dialled = code(secret)
    service(gw, u, talk, ["000000", dialled])
    heard = talk.tones()
    assert 220 in heard and tuple(heard[-3:]) == RISING, heard
    assert wait_for(lambda: device(gw, "alice", "approved"), 2)
    assert device(gw, "alice")[0]["decided_by"] == "one-time code"
    c = Call(u, "0301234567")
    c.invite()
    take(trunk, rings(trunk), rtp)
    c.answered()
    c.bye()
    trunk.reply(trunk.expect("BYE"), 200, "OK")
    d = Call(bob, "alice")                          # and now it is called
    d.invite()
    inv = u.expect("INVITE")
    u.reply(inv, 486, "Busy Here", "x")
    u.expect("ACK")
    d.ack(bob.expect("486"))
    # a second device: instance-id, so that a new address is the same phone; the used code is worth nothing
    v, other = phone(gw, "alice", "127.0.97.32"), Talk("127.0.97.32")
    v.contact = lambda: f'<sip:alice@{v.ip}:{v.port}>;+sip.instance="<urn:uuid:0f2c1a6e-0000-4000-8000-000000000001>"'
    v.register()
    service(gw, v, other, [dialled] * 3)
    assert 660 not in other.tones()
    assert len(device(gw, "alice", "approved")) == 1
    x = [y for y in device(gw, "alice", "new") if y["by"] == "instance"][0]
    gw.ask("device", "approve", "alice", x["device"])
    gw.ask("device", "rename", "alice", x["device"], "the red one")
    assert wait_for(lambda: [y["name"] for y in device(gw, "alice", "approved") if y["by"] == "instance"] == ["the red one"], 2)
    time.sleep(0.3)
    w = phone(gw, "alice", "127.0.97.33")
    w.contact = lambda: f'<sip:alice@{w.ip}:{w.port}>;+sip.instance="<urn:uuid:0f2c1a6e-0000-4000-8000-000000000001>"'
    w.register()
    w.contact = lambda: f"<sip:alice@{w.ip}:{w.port}>"   # a call does not say it; the flow is known
    c = Call(w, "0301234567")
    c.invite()
    take(trunk, rings(trunk), rtp)
    c.answered()
    # revoked: the running call ends, and nothing works any more but help
    gw.ask("device", "revoke", "alice", x["device"])
    trunk.reply(trunk.expect("BYE", 3), 200, "OK")
    w.reply(w.expect("BYE"), 200, "OK")
    w.contact = v.contact = lambda: f'<sip:alice@{w.ip}:{w.port}>;+sip.instance="<urn:uuid:0f2c1a6e-0000-4000-8000-000000000001>"'
    w.register(expect="403")
    refused(w, "0301234567")
    assert gw.reason("right_revoked") >= 2
    for q in (u, bob, v, w, talk, other, rtp):
        q.close()


def test_step_up_lets_a_risky_call_out(gw, trunk):
    secret = enrol(gw, "carol")
    u, talk, far = phone(gw, "carol", "127.0.97.41"), Talk("127.0.97.41"), Rtp(TRUNK)
    u.register()
    d = wait_for(lambda: device(gw, "carol", "new"), 3)[0]
    gw.ask("device", "approve", "carol", d["device"])
    time.sleep(0.3)
    c = Call(u, ABROAD, talk.body())
    c.invite()
    ok = c.answered()
    assert b"m=audio" in ok.body and b" 8 101" in ok.body
    talk.start(ok)
    trunk.silence(0.5)                              # not before the code
    time.sleep(0.8)
    digits = code(secret)
    talk.dial(digits)
    inv = rings(trunk)
    ms = (trunk.at - talk.last) * 1000
    print(f"\nstep-up: last digit to ringing {ms:.1f} ms")
    assert ms <= 300
    assert b" 8 101" in inv.body and digits.encode() not in inv.raw
    trunk.reply(inv, 180, "Ringing", "tt")
    time.sleep(0.3)
    take(trunk, inv, far)
    time.sleep(0.3)
    talk.heard.clear()
    some(far)
    to = where(inv.body)
    for i in range(20):
        far.send(to, packet(i, payload=b"\x11" * 160))
        time.sleep(0.01)
    assert wait_for(lambda: any(p[12:] == b"\x11" * 160 for p in talk.heard), 2), "A does not hear B"
    got = far.recv(1)
    assert got and got[12:] == b"\xd5" * 160, "B does not hear A"
    assert not wait_for(lambda: u.recv(0.1), 0.3)   # no re-INVITE was needed
    c.bye()
    trunk.reply(trunk.expect("BYE"), 200, "OK")
    talk.close()
    r = gw.cdr(c.id)
    assert digits not in json.dumps(r)
    # the next call to that country goes straight out
    e = Call(u, ABROAD)
    e.invite()
    inv = rings(trunk)
    trunk.reply(inv, 486, "Busy", "tt")
    trunk.expect("ACK")
    e.ack(u.expect("486"))
    # another country asks again; wrong codes end it
    talk = Talk("127.0.97.41")
    f = Call(u, "0041441234567", talk.body())
    f.invite()
    talk.start(f.answered())
    for wrong in ("111111", "222222", "333333"):
        time.sleep(0.9)
        talk.dial(wrong)
    u.reply(u.expect("BYE", 5), 200, "OK")
    trunk.silence(0.3)
    assert gw.reason("auth_otp") >= 3
    assert gw.cdr(f.id)["reason"] == "auth_otp", gw.cdr(f.id)
    talk.close(), far.close(), u.close()
    nowhere(gw, digits)


def nowhere(g, *digits):
    """No digits of a code in anything that the gateway wrote."""
    time.sleep(1)
    files = [f for f in glob.glob(g.dir + "/**", recursive=True) if os.path.isfile(f)]
    assert files
    for f in files:
        text = open(f, "rb").read()
        for d in digits:
            assert not re.search(rb"(?<![0-9a-fA-F])" + d.encode() + rb"(?![0-9a-fA-F])", text), f"{d} in {f}"


def test_step_up_over_tls_and_srtp_and_a_callee_that_refuses(gw, trunk):
    secret = enrol(gw, "erin", "--regenerate")
    u, talk = phone(gw, "erin", "127.0.97.51", "tls"), Talk("127.0.97.51", "AES_CM_128_HMAC_SHA1_80")
    u.register()
    d = wait_for(lambda: device(gw, "erin", "new"), 3)[0]
    gw.ask("device", "approve", "erin", d["device"])
    time.sleep(0.3)
    c = Call(u, ABROAD, talk.body())
    c.invite()
    talk.start(c.answered())
    time.sleep(0.8)
    talk.dial(code(secret))
    inv = rings(trunk)
    trunk.reply(inv, 486, "Busy Here", "tt")
    trunk.expect("ACK")
    u.reply(u.expect("BYE", 5), 200, "OK")
    assert 880 in talk.tones()
    talk.close()
    talk, far = Talk("127.0.97.51", "AES_CM_128_HMAC_SHA1_80"), Rtp(TRUNK)
    c = Call(u, "0041441234567", talk.body())
    c.invite()
    talk.start(c.answered())
    time.sleep(0.8)
    talk.dial(code(secret, 30))                     # the next step's: within the window, and unused
    inv = rings(trunk)
    take(trunk, inv, far)
    time.sleep(0.2)
    talk.heard.clear()
    for i in range(20):
        far.send(where(inv.body), packet(i, payload=b"\x22" * 160))
        time.sleep(0.01)
    assert wait_for(lambda: any(p[12:] == b"\x22" * 160 for p in talk.heard), 2), "A does not hear B over SRTP"
    got = some(far)
    assert any(p[12:] == b"\xd5" * 160 for p in got), "B does not hear A"
    c.bye()
    trunk.reply(trunk.expect("BYE"), 200, "OK")
    talk.close(), far.close(), u.close()


def test_without_a_seed_risky_is_closed(gw, trunk):
    u = phone(gw, "frank", "127.0.97.61")
    u.register()
    refused(u, ABROAD)
    trunk.silence(0.3)
    u.close()


def test_role_puts_new_devices_into_quarantine(gw):
    u = phone(gw, "cleo", "127.0.97.71")
    u.register()
    refused(u, "bob")
    d = wait_for(lambda: device(gw, "cleo", "new"), 3)[0]
    gw.ask("device", "approve", "cleo", d["device"])
    time.sleep(0.3)
    c = Call(u, "0301234567")
    c.invite()
    t = Ua(TRUNK, 5080, (PRIV, 5060), "udp", "trunk")
    inv = t.expect("INVITE")
    t.reply(inv, 486, "Busy", "x")
    t.expect("ACK")
    c.ack(u.expect("486"))
    t.close(), u.close()


def test_nobody_answers_in_time_and_hang_up(gw, trunk):
    u, talk = phone(gw, "alice", "127.0.97.31"), Talk("127.0.97.31")
    u.register()
    c = Call(u, "*77", talk.body())
    c.invite()
    talk.start(c.answered())
    talk.dial("12")
    c.bye()
    talk.close()
    g722 = Call(u, "*77", sdp("127.0.97.31", 40000, pt="9").replace("a=rtpmap:8 PCMA/8000\r\n", ""))
    g722.invite()
    g722.ack(u.expect("488"))
    none = Call(u, "*77", "")
    none.invite()
    none.ack(u.expect("488"))
    u.close()


def test_devices_and_seeds_survive_a_restart(gw):
    before = sorted((d["user"], d["device"], d["state"]) for d in gw.ask("device", "list")["devices"])
    seeds = sorted(x["user"] for x in gw.ask("otp", "list")["otp"])
    time.sleep(6)
    gw.stop()
    gw.start()
    assert sorted((d["user"], d["device"], d["state"]) for d in gw.ask("device", "list")["devices"]) == before
    assert sorted(x["user"] for x in gw.ask("otp", "list")["otp"]) == seeds
    for f in ("otp", "devices"):
        assert os.stat(os.path.join(gw.state, "vault", f)).st_mode & 0o777 == 0o600
