"""Real phones and the second factor: baresip approves its own device by the digits of a one-time code, and then calls; and the tone before a cut inside SRTP."""
import os, shutil, socket, json, threading, time
import pytest
import test_second_factor
from baresip import Baresip
from gateway import Gateway, wait_for
from rtp import Rtp, packet, where
from test_second_factor import PRIV, PUB, TRUNK, Talk, code, device, enrol, phone, take
from ua import Call, Ua

HOME = "0301234567"
CONFIG = test_second_factor.CONFIG.replace("\nroutes:\n", "\n  - {{name: short, outbound: yes, caps: {{longest: 7s}}}}\nroutes:\n", 1) \
    .replace("listeners: [tls], sources: [127.0.97.0/24]", "listeners: [tls], sources: [127.0.97.0/24, 127.0.0.1/32]")  # where baresip comes from over TLS


@pytest.fixture(scope="module")
def gw():
    g = Gateway(CONFIG, engines=1, ports="28500-28699")
    g.user("gina", md5=True)
    g.user("hugo", md5=True)
    g.user("sue", role="short")
    g.start()
    yield g
    try:
        assert g.idle(), g.ask("calls")
    finally:
        g.close()


@pytest.fixture
def trunk(gw):
    u = Ua(TRUNK, 5080, (PRIV, 5060), "udp", "trunk")
    yield u
    u.close()


class Softphone(Baresip):
    """baresip that takes commands on TCP; over TLS with SRTP, or over UDP without."""
    def __init__(self, gw, user, ip, tls, rtp):
        self.ip = ip
        way = f'outbound="sip:{PUB}:5061;transport=tls";mediaenc=srtp-mand' if tls else f'outbound="sip:{PUB}:5060"'
        super().__init__(ip, f'<sip:{user}@example.com{";transport=tls" if tls else ""}>;auth_user={user};auth_pass={gw.passwords[user]};{way};regint=60', 440, rtp=rtp,
                         cafile=os.path.join(gw.state, "ca.pem") if tls else None)
        with open(os.path.join(self.dir, "config"), "a") as f:
            f.write(f"module_app ctrl_tcp.so\nctrl_tcp_listen {ip}:4444\n")

    def command(self, name, params=""):
        text = json.dumps({"command": name, "params": params, "token": "t"}).encode()
        with socket.create_connection((self.ip, 4444), 3) as s:
            s.sendall(b"%d:%s," % (len(text), text))
            time.sleep(0.3)

    def times(self, word):
        return self.text().count(word)


@pytest.mark.skipif(not shutil.which("baresip"), reason="baresip is not installed")
@pytest.mark.parametrize("user,ip,tls", [("gina", "127.0.97.81", False), ("hugo", "127.0.97.82", True)], ids=["udp", "tls"])
def test_baresip_approves_its_own_device(gw, trunk, user, ip, tls):
    secret = enrol(gw, user)
    p = Softphone(gw, user, ip, tls, 34000 if tls else 34100)
    try:
        p.start(seconds=30)
        assert p.saw("200 OK", 8), p.text()[-2500:]
        assert wait_for(lambda: device(gw, user, "new"), 3)
        p.command("dial", f"sip:{HOME}@example.com")
        assert p.saw("403", 5), p.text()[-2500:]                # in quarantine
        trunk.silence(0.2)
        p.command("dial", "sip:*77@example.com")
        assert p.saw("Call established", 5), p.text()[-2500:]
        time.sleep(1.2)                                         # the prompt
        p.command("sndcode", code(secret))
        assert wait_for(lambda: device(gw, user, "approved"), 5), p.text()[-2500:]
        assert device(gw, user)[0]["decided_by"] == "one-time code"
        assert gw.idle(5), gw.ask("calls")
        n = p.times("Call established")
        p.command("dial", f"sip:{HOME}@example.com")
        far = Rtp(TRUNK)
        take(trunk, trunk.expect("INVITE", 5), far)
        assert wait_for(lambda: p.times("Call established") > n, 5), p.text()[-2500:]
        assert len([1 for _ in range(100) if (x := far.recv(0.05)) and x[12:] != b"\xd5" * 160]) > 20, "its tone does not arrive"
        p.command("hangup")
        trunk.reply(trunk.expect("BYE", 5), 200, "OK")
        far.close()
    finally:
        p.close()


def test_tone_before_a_cut_inside_srtp(gw, trunk):
    """Seven seconds at most: a tone at once and one five seconds before the end, in packets that verify, under their own numbers and times."""
    u, talk, far = phone(gw, "sue", "127.0.97.83", "tls"), Talk("127.0.97.83", "AES_CM_128_HMAC_SHA1_80"), Rtp(TRUNK)
    c = Call(u, HOME, talk.body())
    c.invite()
    inv = trunk.expect("INVITE")
    take(trunk, inv, far)
    talk.start(c.answered())
    began, to, over, sent = time.time(), where(inv.body), threading.Event(), []

    def speak():
        while not over.is_set():
            sent.append((len(talk.heard), time.time()))
            far.send(to, packet(len(sent), 160 * len(sent)))
            over.wait(0.018)
    t = threading.Thread(target=speak)
    t.start()
    try:
        bye = u.expect("BYE", 9)
        end = time.time() - began
    finally:
        over.set()
        t.join()
    u.reply(bye, 200, "OK")
    trunk.reply(trunk.expect("BYE"), 200, "OK")
    assert "Q.850;cause=" in bye.get("reason") and 6.4 < end < 7.3, (end, bye)
    talk.on = False
    heard = [p for p in talk.heard if len(p) == 172]
    loud = [i for i, p in enumerate(heard) if p[12:] != b"\xd5" * 160]
    assert len(heard) > 250 and 425 in talk.tones(), (len(heard), talk.tones())
    numbers = [int.from_bytes(p[2:4], "big") for p in heard]
    stamps = [int.from_bytes(p[4:8], "big") for p in heard]
    assert all((b - a) % 65536 == 1 for a, b in zip(numbers, numbers[1:])) and all((b - a) % 2**32 == 160 for a, b in zip(stamps, stamps[1:]))
    early, late = [i for i in loud if i < 60], [i for i in loud if i >= 60]
    assert early and late and len(loud) <= 60, loud
    at = late[0] * end / len(heard)
    assert 1.5 < at < 2.8, (at, loud)
    r = gw.cdr(c.id)
    assert r["reason"] == "fraud_cut" and r["seconds"] == 7, r
    talk.close(), far.close(), u.close()
