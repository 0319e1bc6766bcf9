"""Single requests and subscriptions from end to end: MESSAGE, PUBLISH, SUBSCRIBE and NOTIFY between phones and a PBX, and what may not pass."""
import os, re, time
import pytest
from gateway import Gateway
from ua import Ask, Call, Ua, sdp

PHONES, LAN, MUTE = "127.0.66.", "127.0.67.", "127.0.68."
CONFIG = """
domains: [example.com]
state: {state}
engines: {engines}
media: {{ports: {ports}}}
certificates:
  default: {{chain: server.pem, key: server}}
listeners:
  - {{name: tls, transport: tls, address: "127.0.66.1:5061"}}
  - {{name: udp, transport: udp, address: "127.0.66.1:5060"}}
  - {{name: lan, transport: udp, address: "127.0.67.1:5060"}}
  - {{name: mute, transport: udp, address: "127.0.68.1:5060"}}
zones:
  - {{name: phones, listeners: [tls], sources: [127.0.66.0/24], media: srtp, nat: yes, registration: yes, rate_per_source: 5000, services: [message, mwi, dialog, publish]}}
  - {{name: legacy, listeners: [udp], sources: [127.0.66.0/24], media: rtp, nat: yes, registration: yes, rate_per_source: 5000, services: [message, mwi, dialog, presence, publish]}}
  - {{name: lan, listeners: [lan], sources: [127.0.67.0/24], media: rtp, authenticate: no, rate_per_source: 5000, services: [message, mwi, dialog]}}
  - {{name: mute, listeners: [mute], sources: [127.0.68.0/24], media: rtp, nat: yes, registration: yes}}
waivers:
  - {{name: w1, zone: legacy, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test phones without TLS", expires: 2099-01-01}}
  - {{name: w2, zone: lan, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test PBX without TLS", expires: 2099-01-01}}
  - {{name: w3, zone: mute, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test phones without TLS", expires: 2099-01-01}}
peers:
  - {{name: pbx, kind: pbx, zone: lan, listener: lan, address: "127.0.67.10:5070", trust_identity: yes}}
roles:
  - {{name: user, outbound: yes}}
routes:
  - {{name: numbers, pattern: "X.", to: {{peers: [pbx]}}}}
  - {{name: users, pattern: "*", to: users}}
limits: {{register_min: 30s, {limits}}}
"""
SUMMARY, DIALOG, PIDF = "application/simple-message-summary", "application/dialog-info+xml", "application/pidf+xml"


@pytest.fixture(scope="module")
def g():
    g = Gateway(config=CONFIG, ports="28000-28399")
    for u in ("alice", "bob", "carol"):
        g.user(u)
    g.start()
    yield g
    g.close()


@pytest.fixture
def phone(g):
    made = []

    def make(user, transport="udp", net=PHONES, last="20", register=True):
        u = Ua(net + last, 0, (net + "1", 5061 if transport == "tls" else 5060), transport, user, g.passwords[user], ca=os.path.join(g.state, "ca.pem"))
        made.append((u, register))
        if register:
            u.register()
        return u
    yield make
    for u, r in made:
        try:
            if r:
                u.register(0)
        finally:
            u.close()


@pytest.fixture
def pbx(g):
    u = Ua(LAN + "10", 5070, (LAN + "1", 5060), "udp", "200", domain=LAN + "10")
    yield u
    u.close()


class Notifier:
    """The PBX's side of a subscription."""
    def __init__(self, pbx, event):
        self.p, self.event = pbx, event
        self.req = pbx.expect("SUBSCRIBE")
        self.tag = os.urandom(4).hex()

    def accept(self, expires=600):
        self.p.reply(self.req, 200, "OK", self.tag, extra=f"Expires: {expires}\r\n")

    def notify(self, state="active;expires=600", body="", ctype=SUMMARY, to=None, tag=None):
        r = self.req
        self.p.request("NOTIFY", r.uri("contact"), r.get("from").split(";tag=")[0], r.get("call-id"), tag or self.tag, r.tag("from"),
                       extra=f"Event: {self.event}\r\nSubscription-State: {state}\r\n", body=body, ctype=ctype, from_=r.get("to"))


def hidden(m, *words):
    text = m.raw.decode("utf-8", "replace")
    for w in words:
        assert w not in text, f"{w} shows in {text}"


def left(g):
    """Nobody waits and nothing lives on."""
    return [e for e in g.ask("calls")["engines"] if e and e.get("calls")]


# --- single requests ---

@pytest.mark.parametrize("transport", ["udp", "tls"])
def test_message_between_phones(g, phone, transport):
    a, b = phone("alice", transport), phone("bob", "udp", last="21")
    q = Ask(a, "MESSAGE", "bob", body="Hello Bob, what about 5 o'clock?")
    m = b.expect("MESSAGE")
    assert m.body == b"Hello Bob, what about 5 o'clock?" and m.get("content-type") == "text/plain"
    assert m.uri("from") == "sip:alice@example.com" and not m.get("contact")
    hidden(m, a.ip + ":", q.id, "secret.invalid", q.tag, "tester/1.0", "Digest")
    b.reply(m, 200, "OK", "bobtag")
    ok = q.took("200")
    hidden(ok, b.ip, "bobtag")


def test_message_to_the_pbx_and_back(g, phone, pbx):
    a = phone("alice", "tls")
    q = Ask(a, "MESSAGE", "200", body="hello")
    m = pbx.expect("MESSAGE")
    assert m.get("p-asserted-identity") == "<sip:alice@example.com>" and "sip:200@" in m.start
    hidden(m, PHONES, q.id)
    pbx.reply(m, 202, "Accepted", "p", contact=False)
    q.took("202")
    pbx.request("MESSAGE", "sip:alice@127.0.67.1", "<sip:alice@127.0.67.1>", "back@" + pbx.ip, "t1", extra="X-Secret: yes\r\n", body="there you are", ctype="text/plain")
    m = a.expect("MESSAGE")
    assert m.body == b"there you are" and m.uri("from") == "sip:200@example.com"
    hidden(m, LAN, "X-Secret")
    a.reply(m, 200, "OK", "atag")
    pbx.expect("200")


def test_message_to_all_phones_of_a_user(g, phone):
    a = phone("alice")
    b1, b2 = phone("bob", "udp", last="21"), phone("bob", "tls", last="22")
    q = Ask(a, "MESSAGE", "bob", body="to both")
    m1, m2 = b1.expect("MESSAGE"), b2.expect("MESSAGE")
    assert m1.get("call-id") != m2.get("call-id")
    b1.reply(m1, 480, "No", "b1")
    b2.reply(m2, 200, "OK", "b2")
    q.took("200")


@pytest.mark.parametrize("body,ctype,code", [("x" * 1301, "text/plain", "513"), ("<html>", "text/html", "415"), ("x", "message/cpim", "415")])
def test_message_that_may_not_pass(g, phone, body, ctype, code):
    a, b = phone("alice"), phone("bob", last="21")
    Ask(a, "MESSAGE", "bob", body=body, ctype=ctype).took(code)
    b.silence(0.2)


def test_nobody_there(g, phone):
    Ask(phone("alice"), "MESSAGE", "carol", body="?").took("480")


def test_no_such_user(g, phone):
    Ask(phone("alice"), "MESSAGE", "mallory", body="?").took("404")


def test_wrong_password(g, phone):
    a, b = phone("alice"), phone("bob", last="21")
    before = g.reason("auth_failed")
    Ask(a, "MESSAGE", "bob", body="x", password="guess").took("403")
    b.silence(0.2)
    assert g.reason("auth_failed") > before


@pytest.mark.parametrize("method,extra", [("MESSAGE", ""), ("SUBSCRIBE", "Event: message-summary\r\n"), ("SUBSCRIBE", "Event: dialog\r\n"), ("PUBLISH", "Event: presence\r\n")])
def test_zone_that_serves_nothing(g, phone, pbx, method, extra):
    before = g.reason("right_service")
    Ask(phone("carol", net=MUTE), method, "200", extra=extra, body="x" if method == "MESSAGE" else "").took("403")
    assert g.reason("right_service") == before + 1
    pbx.silence(0.2)


def test_phone_whose_zone_takes_no_message_of_a_peer(g, phone, pbx):
    c = phone("carol", net=MUTE)
    pbx.request("MESSAGE", "sip:carol@127.0.67.1", "<sip:carol@127.0.67.1>", os.urandom(4).hex(), "t1", body="x", ctype="text/plain")
    pbx.expect("403")
    c.silence(0.2)


def test_message_within_a_call(g, phone, pbx):
    a = phone("alice")
    c = Call(a, "200", sdp(a.ip, 40000))
    c.invite()
    inv = pbx.expect("INVITE")
    pbx.reply(inv, 200, "OK", "ptag", body=sdp(pbx.ip, 41000))
    pbx.expect("ACK")
    c.answered()
    c.within("MESSAGE", "as we speak", ctype="text/plain")
    m = pbx.expect("MESSAGE")
    assert m.body == b"as we speak" and m.get("call-id") == inv.get("call-id") and m.tag("to") == "ptag"
    hidden(m, PHONES, c.id)
    pbx.reply(m, 200, "OK", contact=False)
    a.expect("200")
    pbx.cseq = 100
    pbx.request("MESSAGE", inv.uri("contact"), inv.get("from").split(";tag=")[0], inv.get("call-id"), "ptag", inv.tag("from"), from_=inv.get("to"), body="yes?", ctype="text/plain")
    m = a.expect("MESSAGE")
    assert m.body == b"yes?" and m.get("call-id") == c.id
    hidden(m, LAN)
    a.reply(m, 200, "OK", contact=False)
    pbx.expect("200")
    c.within("BYE")
    pbx.reply(pbx.expect("BYE"), 200)
    a.expect("200")
    assert g.idle()


def test_publish(g, phone, pbx):
    a = phone("alice")
    q = Ask(a, "PUBLISH", "200", "Event: presence\r\nExpires: 900\r\nSIP-If-Match: old-1\r\n", ctype=PIDF,
            body=f'<presence entity="sip:alice@{a.ip}"><tuple id="t{a.ip}"><contact>sip:alice@{a.ip}:{a.port}</contact></tuple></presence>')
    m = pbx.expect("PUBLISH")
    hidden(m, a.ip, q.id)
    assert m.get("sip-if-match") == "old-1" and m.get("expires") == "900" and b'entity="sip:alice@example.com"' in m.body
    pbx.reply(m, 200, "OK", "p", extra="SIP-ETag: new-2\r\nExpires: 600\r\n")
    ok = q.took("200")
    assert ok.get("sip-etag") == "new-2" and ok.get("expires") == "600"


def test_silent_pbx_is_408(g, phone, pbx):
    q = Ask(phone("alice"), "MESSAGE", "200", body="hello")
    pbx.expect("MESSAGE")
    m = q.u.expect("408", 30)
    assert g.run("explain", q.id, "--state", g.state).returncode == 0 and not m.body


# --- subscriptions ---

def subscribe(phone, pbx, event="message-summary", transport="udp", number="200"):
    a = phone("alice", transport)
    q = Ask(a, "SUBSCRIBE", number, f"Event: {event}\r\nExpires: 600\r\n")
    return a, q, Notifier(pbx, event)


@pytest.mark.parametrize("transport", ["udp", "tls"])
def test_message_waiting(g, phone, pbx, transport):
    a, q, n = subscribe(phone, pbx, transport=transport)
    hidden(n.req, PHONES, q.id, q.tag, "tester/1.0")
    assert n.req.get("event") == "message-summary" and n.req.get("expires") == "600"
    n.accept(300)
    ok = q.took("200")
    assert ok.get("expires") == "300"
    hidden(ok, LAN, n.tag)
    n.notify(body=f"Messages-Waiting: yes\r\nMessage-Account: sip:100@{pbx.ip}:5070\r\nVoice-Message: 1/2 (0/0)\r\n\r\nFrom: x@{pbx.ip}\r\n")
    m = a.expect("NOTIFY")
    hidden(m, LAN, n.tag, "From: x")
    assert b"Messages-Waiting: yes\r\n" in m.body and b"Message-Account: sip:100@example.com\r\n" in m.body and b"Voice-Message: 1/2 (0/0)" in m.body
    assert m.get("call-id") == q.id and m.tag("from") == q.to_tag and m.tag("to") == q.tag
    a.reply(m, 200, "OK")
    pbx.expect("200")
    # refresh
    q.again("Event: message-summary\r\nExpires: 500\r\n")
    r = pbx.expect("SUBSCRIBE")
    assert r.get("expires") == "500" and r.tag("to") == n.tag and r.get("call-id") == n.req.get("call-id")
    pbx.reply(r, 200, "OK", extra="Expires: 400\r\n")
    assert a.expect("200").get("expires") == "400"
    # unsubscribe
    q.again("Event: message-summary\r\nExpires: 0\r\n")
    pbx.reply(pbx.expect("SUBSCRIBE"), 200, "OK", extra="Expires: 0\r\n")
    a.expect("200")
    n.notify("terminated;reason=timeout")
    m = a.expect("NOTIFY")
    assert m.get("subscription-state") == "terminated;reason=timeout"
    a.reply(m, 200, "OK")
    pbx.expect("200")
    n.notify()
    pbx.expect("481")
    q.again("Event: message-summary\r\nExpires: 600\r\n")
    a.expect("481")
    pbx.silence(0.2)


def test_notify_before_the_answer(g, phone, pbx):
    a, q, n = subscribe(phone, pbx)
    n.notify("active;expires=600", "Messages-Waiting: no\r\n")
    m = a.expect("NOTIFY")
    a.reply(m, 200, "OK")
    pbx.expect("200")
    n.accept()
    assert q.took("200").tag("to") == m.tag("from")


def test_dialog_info(g, phone, pbx):
    a, q, n = subscribe(phone, pbx, "dialog", "tls", "201")
    n.accept()
    q.took("200")
    n.notify(ctype=DIALOG, body=f'<?xml version="1.0"?><dialog-info version="1" state="full" entity="sip:201@{pbx.ip}">'
             f'<dialog id="7@{pbx.ip}" call-id="7@{pbx.ip}" local-tag="lt" remote-tag="rt" direction="recipient"><state>early</state>'
             f'<remote><identity display="Bob">sip:300@{pbx.ip}</identity><target uri="sip:300@{pbx.ip}:5070"/></remote></dialog></dialog-info>')
    m = a.expect("NOTIFY")
    hidden(m, LAN, "call-id=", "local-tag", "remote-tag", ">lt<")
    assert b'entity="sip:201@example.com"' in m.body and b"<state>early</state>" in m.body and b'display="Bob">sip:300@example.com<' in m.body
    a.reply(m, 200, "OK")
    pbx.expect("200")
    n.notify(ctype=DIALOG, body='<!DOCTYPE x [<!ENTITY h SYSTEM "file:///etc/passwd">]><dialog-info>&h;</dialog-info>')
    pbx.expect("400")
    a.silence(0.2)


def test_presence_is_not_served_by_this_zone(g, phone, pbx):
    a = phone("alice", "tls")
    Ask(a, "SUBSCRIBE", "200", "Event: presence\r\n").took("403")
    m = Ask(a, "SUBSCRIBE", "200", "Event: conference\r\n").took("489")
    assert m.get("allow-events") == "message-summary, dialog, presence"
    pbx.silence(0.2)


def test_nobody_refreshes(g, phone, pbx):
    a, q, n = subscribe(phone, pbx)
    n.accept(2)
    q.took("200")
    n.notify("active;expires=2", "Messages-Waiting: no\r\n")
    a.reply(a.expect("NOTIFY"), 200, "OK")
    pbx.expect("200")
    t = time.time()
    m = a.expect("NOTIFY", 10)
    assert m.get("subscription-state") == "terminated;reason=timeout" and 2 <= time.time() - t < 9
    a.reply(m, 200, "OK")
    n.notify()
    pbx.expect("481")


def test_phone_that_forgot(g, phone, pbx):
    a, q, n = subscribe(phone, pbx)
    n.accept()
    q.took("200")
    n.notify()
    a.reply(a.expect("NOTIFY"), 481, "Gone")
    pbx.expect("481")
    n.notify()
    pbx.expect("481")
    a.silence(0.2)


def test_spoofed_notify(g, phone, pbx):
    """From another place, with another tag, without any subscription."""
    a, q, n = subscribe(phone, pbx)
    n.accept()
    q.took("200")
    n.notify(tag="guess")
    pbx.expect("481")
    r = n.req
    other = Ua(LAN + "66", 0, (LAN + "1", 5060), "udp", "200")
    other.request("NOTIFY", r.uri("contact"), r.get("from").split(";tag=")[0], r.get("call-id"), n.tag, r.tag("from"),
                  extra="Event: message-summary\r\nSubscription-State: active\r\n", from_=r.get("to"))
    other.expect("403")
    other.close()
    phone("bob", last="21", register=False).request("NOTIFY", "sip:alice@example.com", "<sip:alice@example.com>", "x", "t", r.tag("from"),
                                                    extra="Event: message-summary\r\nSubscription-State: active\r\n")
    pbx.request("NOTIFY", "sip:alice@127.0.67.1", "<sip:alice@127.0.67.1>", "none", "t", "made-up-tag", extra="Event: message-summary\r\nSubscription-State: active\r\n")
    pbx.expect("481")
    b = phone("bob", last="21")
    Ask(b, "NOTIFY", "alice", "Event: message-summary\r\nSubscription-State: active\r\n").took("481")
    pbx.request("NOTIFY", "sip:alice@127.0.67.1", "<sip:alice@127.0.67.1>", "none2", "t", extra="Event: dialog\r\nSubscription-State: active\r\n")
    pbx.expect("481")
    a.silence(0.3)


def test_unsolicited_message_waiting(g, phone, pbx):
    a1, a2 = phone("alice", "udp"), phone("alice", "tls", last="22")
    pbx.request("NOTIFY", "sip:alice@127.0.67.1", "<sip:alice@127.0.67.1>", os.urandom(4).hex(), "t", extra="Event: message-summary\r\nSubscription-State: active\r\n",
                body=f"Messages-Waiting: yes\r\nMessage-Account: sip:alice@{pbx.ip}\r\n", ctype=SUMMARY)
    for a in (a1, a2):
        m = a.expect("NOTIFY")
        hidden(m, LAN)
        assert b"Message-Account: sip:alice@example.com" in m.body and m.get("event") == "message-summary"
        a.reply(m, 200, "OK", "a")
    pbx.expect("200")


def test_phone_comes_back_by_another_connection(g, phone, pbx):
    a, q, n = subscribe(phone, pbx, transport="tls")
    n.accept()
    q.took("200")
    b = phone("alice", "tls", last="25", register=False)
    q.u = b
    b.cseq = 50
    q.again("Event: message-summary\r\nExpires: 600\r\n")
    m = b.expect("401")
    pbx.silence(0.2)
    q.again("Event: message-summary\r\nExpires: 600\r\nAuthorization: " + b.authorization(m.get("www-authenticate"), "SUBSCRIBE", q.target) + "\r\n")
    pbx.reply(pbx.expect("SUBSCRIBE"), 200, "OK", extra="Expires: 600\r\n")
    b.expect("200")
    n.notify(body="Messages-Waiting: no\r\n")
    b.reply(b.expect("NOTIFY"), 200, "OK")
    pbx.expect("200")


def test_pbx_watches_a_phone(g, phone, pbx):
    b = phone("bob", "udp", last="21")
    pbx.request("SUBSCRIBE", "sip:bob@127.0.67.1", "<sip:bob@127.0.67.1>", "watch@" + pbx.ip, "w1", extra="Event: dialog\r\nExpires: 300\r\n")
    r = b.expect("SUBSCRIBE")
    hidden(r, LAN, "w1")
    b.reply(r, 200, "OK", "btag", extra="Expires: 300\r\n")
    ok = pbx.expect("200")
    hidden(ok, PHONES, "btag")
    b.request("NOTIFY", r.uri("contact"), r.get("from").split(";tag=")[0], r.get("call-id"), "btag", r.tag("from"), from_=r.get("to"), ctype=DIALOG,
              extra="Event: dialog\r\nSubscription-State: active;expires=300\r\n", body=f'<dialog-info entity="sip:bob@{b.ip}"/>')
    m = pbx.expect("NOTIFY")
    hidden(m, PHONES)
    assert m.tag("to") == "w1" and m.tag("from") == ok.tag("to") and b'entity="sip:bob@example.com"' in m.body
    pbx.reply(m, 200, "OK")
    b.expect("200")


def test_engine_dies_and_the_phone_hears_481(g, phone, pbx):
    a, q, n = subscribe(phone, pbx)
    n.accept()
    q.took("200")
    before = g.pids()
    engines = [p for k, p in before.items() if k.startswith("engine")]
    for p in engines:
        os.kill(p, 9)
    end = time.time() + 15
    while time.time() < end:
        now = g.pids()
        if not set(engines) & set(now.values()) and len(now) == len(before):
            break
        time.sleep(0.2)
    time.sleep(0.5)
    q.again("Event: message-summary\r\nExpires: 600\r\n")
    a.expect("481", 10)
