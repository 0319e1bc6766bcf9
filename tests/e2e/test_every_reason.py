"""Every refusal of the gates of identity, right, money, capacity, route and media, by its name: provoked here through real SIP, or by the test that is named.

A row gives the code that is answered; the counter of that reason goes up, and where it was a call its one record says the reason.
The last test holds the table against src/base/reasons.def: a reason of these families that is in no list fails it."""
import ast, glob, os, re, signal, socket, ssl, time
import pytest
from gateway import Gateway, wait_for
from test_peers import targets
from test_second_factor import Talk
from ua import Ask, Call, Ua, sdp

P, L = "127.0.75.", "127.0.76."
PUB, LAN = (P + "1", 5060), (L + "1", 5060)
FREE = "caps: {{calls: 0, attempts: 0, longest: 0s, call_money: 0, money: {{hour: 0, day: 0, month: 0}}}}"
DIAL = "dial: [internal, emergency, local, national, mobile, international, satellite], countries: [AT], step_up: none"
CONFIG = f"""
domains: [example.com]
state: {{state}}
engines: {{engines}}
media: {{{{ports: {{ports}}}}}}
certificates:
  default: {{{{chain: server.pem, key: server}}}}
listeners:
  - {{{{name: udp, transport: udp, address: "{P}1:5060"}}}}
  - {{{{name: tcp, transport: tcp, address: "{P}1:5060"}}}}
  - {{{{name: tls, transport: tls, address: "{P}1:5061"}}}}
  - {{{{name: lan, transport: udp, address: "{L}1:5060"}}}}
  - {{{{name: lan-tcp, transport: tcp, address: "{L}1:5060"}}}}
zones:
  - {{{{name: phones, listeners: [udp, tcp], sources: [{P}0/24], media: rtp, nat: yes, registration: yes, services: [mwi], redirect: follow, rate_per_source: 5000}}}}
  - {{{{name: bare, listeners: [udp], sources: [{P}200/32], media: rtp, registration: yes}}}}
  - {{{{name: narrow, listeners: [udp], sources: [{P}201/32], media: rtp, registration: yes, media_kinds: [audio], codecs: [PCMA]}}}}
  - {{{{name: secure, listeners: [tls], sources: [{P}203/32], media: srtp, registration: yes, rate_per_source: 5000}}}}
  - {{{{name: lan, listeners: [lan, lan-tcp], sources: [{L}0/24], media: rtp, authenticate: no, rate_per_source: 5000}}}}
waivers:
""" + "".join(f"  - {{{{name: w-{z}, zone: {z}, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: test, expires: 2099-01-01}}}}\n"
              for z in ("phones", "bare", "narrow", "lan")) + f"""
sites:
  - {{{{name: home, country: DE, area: "30"}}}}
  - {{{{name: closed, country: DE, area: "30", timezone: Etc/UTC, hours: ["{('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun')[(time.gmtime().tm_wday + 3) % 7]} 03:00-03:01"]}}}}
  - {{{{name: holiday, country: DE, area: "30", timezone: Etc/UTC, hours: ["mon-sun 00:00-24:00"], holidays: [{time.strftime('%Y-%m-%d', time.gmtime())}, {time.strftime('%Y-%m-%d', time.gmtime(time.time() + 86400))}]}}}}
  - {{{{name: open, country: DE, area: "30", timezone: Etc/UTC, hours: ["mon-sun 00:00-24:00"]}}}}
peers:
  - {{{{name: trunk, kind: trunk, zone: lan, listener: lan, address: "{L}20:5080"}}}}
  - {{{{name: gone, kind: trunk, zone: lan, listener: lan-tcp, address: "{L}29:5080", options: 5s}}}}
roles:
  - {{{{name: user, outbound: yes, {DIAL}, {FREE}}}}}
  - {{{{name: inside, outbound: no, {FREE}}}}}
  - {{{{name: strict, outbound: yes, caller: strict, {DIAL}, {FREE}}}}}
  - {{{{name: day, outbound: yes, {DIAL}, off_hours: [internal], {FREE}}}}}
  - {{{{name: careful, outbound: yes, second_factor: yes, {FREE}}}}}
  - {{{{name: code, outbound: yes, dial: [internal], step_up: [mobile], {FREE}}}}}
routes:
  - {{{{name: bar, from: {{{{zone: phones}}}}, pattern: "0305550.", to: refuse}}}}
  - {{{{name: help, from: {{{{zone: phones}}}}, pattern: "112", to: {{{{peers: [trunk]}}}}}}}}
  - {{{{name: gone, from: {{{{zone: phones}}}}, pattern: "0309.", to: {{{{peers: [gone]}}}}}}}}
  - {{{{name: out, from: {{{{zone: phones}}}}, pattern: "0X.", to: {{{{peers: [trunk]}}}}}}}}
  - {{{{name: out2, from: {{{{zone: narrow}}}}, pattern: "0X.", to: {{{{peers: [trunk]}}}}}}}}
  - {{{{name: out3, from: {{{{zone: secure}}}}, pattern: "0X.", to: {{{{peers: [trunk]}}}}}}}}
  - {{{{name: users, from: {{{{zone: phones}}}}, pattern: "*", to: users}}}}
  - {{{{name: in, from: {{{{zone: lan}}}}, pattern: "*", to: users}}}}
second_factor: {{{{service_number: "*77"}}}}
guard: {{{{kernel: none, mode: dry-run}}}}
fraud: {{{{levels: {{{{log: 0, notify: 0, step-up: 0, refuse: 30, cut: 0, lock: 0}}}}}}}}
limits: {{{{register_min: 10s, ring: 5s, connections_per_source: 1000, {{limits}}}}}}
"""
USERS = {**{f"many{i}": "user" for i in range(17)}, "alice": "user", "bob": "user", "fay": "user", "ina": "inside", "sid": "strict", "dan": "day", "holly": "day", "olga": "day", "cleo": "careful", "otto": "code", "oscar": "code", "lena": "user"}
SITES = {"dan": "closed", "holly": "holiday", "olga": "open"}
LOCAL = "0301234567"
FAMILIES = re.compile("(auth|right|fraud|stir|route|cert|tls|emergency|consult|media|capacity)_")


class House:
    def __init__(self):
        self.g = Gateway(CONFIG, engines=1, ports="28000-28099", limits="bindings: 1, contacts_per_user: 64, subscriptions: 1, connections: 64")
        for name, role in USERS.items():
            self.g.passwords[name] = f"Test-{name}-7h3k2q9z"
            more = ["--site", SITES[name]] if name in SITES else []
            r = self.g.run("user", "add", name, "--state", self.g.state, "--role", role, "--password-stdin", *more, stdin=self.g.passwords[name] + "\n")
            assert r.returncode == 0, r.stderr
        self.g.start()
        self.made, self.asked = [], None

    def ua(self, name, last=30, transport="udp", port=0):
        u = Ua(P + str(last), port, (P + "1", 5061 if transport == "tls" else 5060), transport, name, self.g.passwords[name], ca=os.path.join(self.g.state, "ca.pem"))
        self.made.append(u)
        return u

    def trunk(self, last=20):
        u = Ua(L + str(last), 5080, LAN, "udp", "trunk")
        self.made.append(u)
        return u

    def swept(self):
        while self.made:
            self.made.pop().close()


@pytest.fixture(scope="module")
def house():
    h = House()
    yield h
    try:
        h.swept()
        assert h.g.idle(), h.g.ask("calls")
    finally:
        h.g.close()


# --- ways to provoke: each gives what was answered, and the Call-ID where a call was refused ---

def call(name, number, extra="", body=None, last=30, transport="udp", final="4xx"):
    def go(h):
        u = h.ua(name, last, transport)
        c = Call(u, number, sdp(u.ip, 42000) if body is None else body, extra)
        c.invite()
        m = wait_for(lambda: next((x for x in (u.recv(0.2),) if x and x.code >= 200), None), 8)
        assert m, "no final answer"
        c.ack(m)
        return m, c.id
    return go


def register(auth, name="alice", expect=True):
    """REGISTER whose Authorization is made of the challenge by auth(u, challenge, uri)."""
    def go(h):
        u = h.ua(name)
        uri = "sip:example.com"

        def ask(extra=""):
            u.request("REGISTER", uri, f"<sip:{u.user}@example.com>", os.urandom(6).hex(), "t", extra="Expires: 60\r\n" + extra)
            return u.recv(3)
        m = ask()
        for a in auth(u, m.get("www-authenticate") if m else "", uri):
            m = ask(f"Authorization: {a}\r\n" if a else "")
        return m, None
    return go


def tries(u, ch, uri):
    return [u.authorization(ch, "REGISTER", uri, password="guess", nc=i + 1) for i in range(12)]


def message(h):
    m = Ask(h.ua("alice"), "MESSAGE", "bob", body="x").u.recv(3)
    return m, None


def step_up(h):
    """The service number: answered, and a code is asked for."""
    secret = h.g.ask("otp", "enrol", "otto")["secret"]
    assert secret
    u, talk = h.ua("otto", 31), Talk(P + "31")
    c = Call(u, "*77", talk.body())
    c.invite()
    m = c.answered()
    c.bye()
    talk.close()
    return m, None


def wrong_codes(h):
    u, talk = h.ua("otto", 31), Talk(P + "31")
    c = Call(u, "*77", talk.body())
    c.invite()
    talk.start(c.answered())
    for _ in range(3):
        time.sleep(0.9)
        talk.dial("000000")
    u.reply(u.expect("BYE", 6), 200)
    talk.close()
    return c.ok, c.id


class Asked:
    """Who dialled the service number and says nothing: it takes 30 s, in which other rows run."""
    def __init__(self, h):
        h.g.ask("otp", "enrol", "oscar")
        self.u, self.talk = Ua(P + "32", 0, PUB, "udp", "oscar", h.g.passwords["oscar"]), Talk(P + "32")
        self.c = Call(self.u, "*77", self.talk.body())
        self.c.invite()
        self.talk.start(self.c.answered())
        self.at = time.time()


def flow_gone(h):
    """A phone on TCP, and the engine that had its connection has died."""
    b = h.ua("fay", 33, "tcp")
    b.register()
    time.sleep(0.3)
    pid = h.g.pids()["engine0"]
    os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: h.g.pids().get("engine0") not in (None, pid), 10)
    time.sleep(0.3)
    h.asked = h.asked or Asked(h)  # of the engine that stays
    return call("alice", "fay")(h)


def bindings_full(h):
    """The least table has 1024 rows: sixteen people with 64 contacts each, and one more."""
    u, m = h.ua("alice"), None
    for i in range(68):
        u.user, u.password = f"many{i // 4}", h.g.passwords[f"many{i // 4}"]
        u.contact = lambda: ", ".join(f"<sip:{u.user}@{u.ip}:{5000 + 16 * (i % 4) + k}>" for k in range(16))
        try:
            u.register(expires=60)
        except AssertionError:  # an engine that was killed may have left a row or two
            assert i > 60
            m = u.register(expires=60, expect="503")
            break
    u.contact = lambda: "*"
    for i in range(16):
        u.user, u.password = f"many{i}", h.g.passwords[f"many{i}"]
        u.register(expires=0)
    return m, None


def subscriptions_full(h):
    t, u = h.trunk(), h.ua("alice", 50)
    for _ in range(300):
        q = Ask(u, "SUBSCRIBE", LOCAL, extra="Event: message-summary\r\nExpires: 60\r\n")
        m = wait_for(lambda: next((x for s in (t, u) for x in (s.recv(0.01),) if x), None), 3)
        if not m or m.code:
            return m, None
        t.reply(m, 200, "OK", "n1", extra="Expires: 60\r\n")
        q.took("200")
    return None, None


def connections_full(h):
    """Who comes from where somebody has proved himself is not pushed out by the next one, who finds the door closed."""
    h.ua("alice", 70, "tcp").register(expires=10)
    for _ in range(64):
        try:
            h.ua("alice", 70, "tcp")
        except OSError:
            break
    return None, None


def bad_answer(h):
    t, u = h.trunk(), h.ua("alice")
    c = Call(u, LOCAL, sdp(u.ip, 42000))
    c.invite()
    inv = t.expect("INVITE")
    t.reply(inv, 200, "OK", "t1", body=sdp(t.ip, 41000).replace("m=audio 41000", "m=video 41000"))
    t.expect("ACK")
    t.reply(t.expect("BYE"), 200)
    m = u.expect("488", skip=("100", "180"))
    c.ack(m)
    return m, c.id


def peer_down(h):
    assert wait_for(lambda: targets(h.g, "gone") and not any(targets(h.g, "gone")), 12)
    return call("alice", "0309123")(h)


def audio(line, extra=""):
    return sdp(P + "30", 42000).replace("m=audio 42000 RTP/AVP 8 101", line) + extra


ANON = "Privacy: id\r\n"
# reason: code that is answered (0: none that can be seen), whether the record of the call says it (or what it says), how it comes about
HERE = {
    "route_flow_gone": (480, True, flow_gone),
    "auth_required": (401, False, register(lambda u, ch, uri: [])),
    "auth_failed": (403, False, register(lambda u, ch, uri: [u.authorization(ch, "REGISTER", uri, password="wrong")])),
    "auth_syntax": (400, False, register(lambda u, ch, uri: ["Digest username=\"alice"])),
    "auth_algorithm": (401, False, register(lambda u, ch, uri: [re.sub("algorithm=[^,]*", "algorithm=MD5", u.authorization(ch, "REGISTER", uri))])),
    "auth_replay": (401, False, register(lambda u, ch, uri: [u.authorization(ch, "REGISTER", uri)] * 2)),
    "auth_nonce_forged": (401, False, register(lambda u, ch, uri: [u.authorization(ch.replace('nonce="', 'nonce="A'), "REGISTER", uri)])),
    "auth_limited": (403, False, register(tries, "lena")),
    "auth_identity_mismatch": (403, False, register(lambda u, ch, uri: [u.authorization(ch, "REGISTER", uri, user="bob", password="Test-bob-7h3k2q9z")])),
    "right_no_route": (403, True, call("alice", "03012", last=200)),
    "emergency_unrouted": (503, True, call("alice", "112", last=200)),
    "right_denied": (403, True, call("ina", LOCAL)),
    "right_barred": (403, True, call("alice", "03055501")),
    "right_class": (403, True, call("alice", "09001234567")),
    "right_country": (403, True, call("alice", "0041446681800")),
    "right_hours": (403, True, call("dan", LOCAL)),
    "right_anonymous": (433, True, call("alice", LOCAL, ANON)),
    "right_caller": (403, True, call("sid", LOCAL, "P-Preferred-Identity: <sip:+493055501@example.com>\r\n")),
    "right_quarantine": (403, True, call("cleo", "bob")),
    "right_service": (403, False, message),
    "right_step_up": (200, False, step_up),
    "auth_otp": (200, True, wrong_codes),
    "fraud_behaviour": (403, True, call("alice", "008821234567")),
    "route_user_unknown": (404, True, call("alice", "nobody")),
    "route_not_registered": (480, True, call("alice", "bob")),
    "media_not_acceptable": (488, True, call("alice", LOCAL, body=audio("m=audio 0 RTP/AVP 8 101"))),
    "media_codec": (488, "media_not_acceptable", call("alice", LOCAL, body=audio("m=audio 42000 RTP/AVP 0").replace("8 PCMA", "0 PCMU"), last=201)),
    "media_kind": (488, "media_not_acceptable", call("alice", LOCAL, body=audio("m=video 42000 RTP/AVP 99", "a=rtpmap:99 H264/90000\r\n"), last=201)),
    "media_transport": (488, "media_not_acceptable", call("alice", LOCAL, body=audio("m=audio 42000 TCP/TLS/RTP/SAVP 8"))),
    "media_key_exposed": (488, True, call("alice", LOCAL, body=audio("m=audio 42000 RTP/SAVP 8", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40 + "\r\n"))),
    "media_plaintext": (488, True, call("alice", LOCAL, last=203, transport="tls")),
    "media_crypto_unsupported": (488, True, call("alice", LOCAL, last=203, transport="tls", body=audio("m=audio 42000 RTP/SAVP 8", "a=crypto:1 F8_128_HMAC_SHA1_80 inline:" + "A" * 40 + "\r\n"))),
    "media_answer_bad": (488, True, bad_answer),
    "capacity_bindings": (503, False, bindings_full),
    "capacity_subscriptions": (503, False, subscriptions_full),
    "capacity_connections": (0, False, connections_full),
    "route_peer_down": (503, True, peer_down),
}
# reason: the test that provokes it
ELSEWHERE = {
    "auth_unavailable": "test_exhaustion.py::test_a_silent_vault",
    "auth_cert": "test_certs.py::test_certificate_alone_registers_and_calls",
    "auth_token": "test_tokens.py::test_what_is_not_believed",
    "auth_token_expired": "test_tokens.py::test_expired_has_its_own_reason_and_skew",
    "right_transfer": "test_rights.py::test_transfer_out",
    "right_forward": "test_rights.py::test_forward_out",
    "right_revoked": "test_second_factor.py::test_quarantine_and_approval_by_code",
    "right_password_old": "test_passwords.py::test_must_change_leaves_calls_for_help_only",
    "stir_no_identity": "test_stir.py::test_strict_policy_demands_identity",
    "stir_bad_info": "test_stir.py::test_strict_policy_refuses_by_the_codes_of_the_rfc",
    "stir_credential": "test_stir.py::test_strict_policy_refuses_by_the_codes_of_the_rfc",
    "stir_invalid": "test_stir.py::test_strict_policy_refuses_by_the_codes_of_the_rfc",
    "stir_stale": "test_stir.py::test_strict_policy_refuses_by_the_codes_of_the_rfc",
    "stir_signing": "test_stir.py::test_without_a_number_the_call_goes_unsigned_or_not_at_all",
    "stir_unsigned": "test_stir.py::test_without_a_number_the_call_goes_unsigned_or_not_at_all",
    "right_country_first": "test_countries.py::test_refused_without_a_second_factor",
    "fraud_calls": "test_every_cap.py::test_cap",
    "fraud_attempts": "test_every_cap.py::test_cap",
    "fraud_minutes": "test_every_cap.py::test_cap",
    "fraud_money": "test_every_cap.py::test_cap",
    "fraud_call_money": "test_every_cap.py::test_cap",
    "fraud_cut": "test_every_cap.py::test_longest_call",
    "fraud_locked": "test_fraud_cli.py::test_locked_by_calls_and_released",
    "fraud_asked": "test_trunks.py::test_a_third_party_is_asked",
    "fraud_unknown": "test_rates.py::test_both_copies_damaged_nothing_that_costs_goes_out",
    "consult_failed": "test_trunks.py::test_a_third_party_is_asked",
    "capacity_calls": "test_exhaustion.py::test_calls",
    "capacity_transactions": "test_exhaustion.py::test_transactions",
    "capacity_ports": "test_exhaustion.py::test_ports",
    "capacity_connections_source": "test_streams.py::test_connections_per_source_are_limited_by_name",
    "capacity_handshakes": "test_every_reason.py::test_handshakes_that_nobody_signs",
    "capacity_descriptors": "test_floods.py::test_without_descriptors_nothing_spins_and_all_comes_back",
    "route_peer_unresolved": "test_dns.py::test_naptr_srv_and_addresses_decide",
    "media_timeout": "test_timers.py::test_media_that_stops_ends_the_call",
    "tls_handshake": "test_streams.py::test_old_tls_is_refused",
    "tls_renegotiation": "test_streams.py::test_renegotiation_is_refused_by_name",
    "tls_cert_expired": "test_certs.py::test_foreign_expired_and_domain_certificates",
    "tls_cert_revoked": "test_certs.py::test_revoked_connection_ends_and_none_begins",
    "tls_peer_cert": "test_peers.py::test_tls_peer_with_a_wrong_certificate_gets_nothing",
    "auth_otp_time": "test_every_reason.py::test_no_code_in_time",
    "auth_stale": "test_zz_aged.py::test_nonce_that_has_aged",
}
# reason: why it does not come by SIP here, and the unit test that has it
NOT_BY_SIP = {
    "auth_cert_revoked": ("a revoked certificate ends in the handshake, as tls_cert_revoked", None),
    "tls_client_cert_missing": ("the handshake demands it before anything is read", "src/call/gates_test.c"),
    "capacity_memory": ("what a call needs is bounded before its memory is", "src/call/room_test.c"),
    "capacity_upstream": ("the table is as large as that of registrations, which is full first", "src/call/upstream_test.c"),
    "capacity_ledger": ("a shard has 16384 rows and more", "src/guard/ledger_test.c"),
}


@pytest.mark.parametrize("why", HERE)
def test_reason(house, why):
    want, recorded, provoke = HERE[why]
    before = house.g.reason(why)
    try:
        m, call_id = provoke(house)
        if want:
            assert m and m.code == want, m
        assert wait_for(lambda: house.g.reason(why) > before, 3), house.g.status()["reasons"]
        if recorded:
            r = house.g.cdr(call_id)
            assert r["reason"] == (why if recorded is True else recorded), r
    finally:
        house.swept()


def test_hours_and_holidays(house):
    """The same role: refused outside of hours and on a holiday within hours, let out within hours; and help always."""
    t = house.trunk()
    for name, number, goes in (("dan", LOCAL, False), ("holly", LOCAL, False), ("olga", LOCAL, True), ("dan", "112", True), ("holly", "112", True)):
        u, before = house.ua(name, 34), house.g.reason("right_hours")
        c = Call(u, number, sdp(u.ip, 42000))
        c.invite()
        if goes:
            t.reply(t.expect("INVITE"), 486, "Busy Here", "b1")
            t.expect("ACK")
        c.ack(u.expect("486" if goes else "403", skip=("100", "180")))
        assert house.g.cdr(c.id)["reason"] == ("peer_refused" if goes else "right_hours")
        assert house.g.reason("right_hours") == before + (not goes)
        u.close()
    t.silence(0.2)
    house.swept()


def test_no_code_in_time(house):
    x = house.asked or Asked(house)
    x.u.reply(x.u.expect("BYE", 33), 200)
    assert 29 < time.time() - x.at < 33
    assert house.g.reason("auth_otp_time") == 1 and house.g.cdr(x.c.id)["reason"] == "auth_otp_time"
    x.talk.close(), x.u.close()


def test_handshakes_that_nobody_signs():
    """The vault stands still, and hundreds begin TLS: those that find no place in the queue for its signature are ended by name; then all is well."""
    config = CONFIG.replace(P, "127.0.77.").replace(L, "127.0.78.").replace("connections_per_source: 1000", "connections_per_source: 3000")
    me, gate = "127.0.77.203", ("127.0.77.1", 5061)  # the house stands where it stands
    g = Gateway(config, engines=1, ports="28700-28799", limits="connections: 4000")
    g.user("alice")
    g.start()
    made, vault = [], g.pids()["vault"]
    try:
        os.kill(vault, signal.SIGSTOP)
        out = ssl.MemoryBIO()
        try:
            ssl._create_unverified_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="example.com").do_handshake()
        except ssl.SSLWantReadError:
            hello = out.read()
        for _ in range(700):
            x = socket.socket()
            x.bind((me, 0))
            x.connect(gate)
            x.send(hello)
            made.append(x)
        assert wait_for(lambda: g.reason("capacity_handshakes") > 0, 3), g.status()["reasons"]
    finally:
        os.kill(vault, signal.SIGCONT)
        for x in made:
            x.close()
    try:
        assert wait_for(lambda: g.status()["state"] == "running", 5)
        time.sleep(1)
        u = Ua(me, 0, gate, "tls", "alice", g.passwords["alice"], ca=os.path.join(g.state, "ca.pem"))
        u.register()
        u.close()
    finally:
        g.close()


def functions(path):
    with open(path) as f:
        text = f.read()
    return {n.name for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)}, text


def test_every_reason_has_its_test():
    here = os.path.dirname(__file__)
    root = os.path.join(here, "..", "..")
    with open(os.path.join(root, "src", "base", "reasons.def")) as f:
        reasons = [r for r in re.findall(r"^R\((\w+),", f.read(), re.M) if FAMILIES.match(r)]
    assert len(reasons) > 70
    lists = [HERE, ELSEWHERE, NOT_BY_SIP]
    assert not [r for r in reasons if sum(r in x for x in lists) != 1], [r for r in reasons if sum(r in x for x in lists) != 1]
    assert not [r for x in lists for r in x if r not in reasons]
    for why, where in ELSEWHERE.items():
        file, name = where.split("::")
        have, text = functions(os.path.join(here, file))
        assert name in have, f"{why}: no {where}"
        assert why in text, f"{why}: {file} does not say it"
    for why, (_, unit) in NOT_BY_SIP.items():
        if unit:
            with open(os.path.join(root, unit)) as f:
                assert why in f.read(), (why, unit)


FEATURES = {"TRANSFER_OUT": "test_transfer_out", "FORWARD_OUT": "test_forward_out", "ANONYMOUS": "test_anonymous"}
# Rights whose service is not there yet: whoever brings it brings its test.
WAITING = {"RECORD": "recording of calls", "CONFERENCE": "conferences", "VOICEMAIL_OUTCALL": "calls out of a voice mailbox"}


def test_every_right_has_its_test():
    """Classes are dialled one by one in test_rights.py::test_each_class; a class or feature that is new has to be in a list."""
    import test_rights
    here = os.path.dirname(__file__)
    src = os.path.join(here, "..", "..", "src")
    with open(os.path.join(src, "wire", "tel", "number.h")) as f:
        classes = [c.lower().replace("_", "-") for c in re.findall(r"^\s+CLASS_(\w+),", f.read(), re.M) if c != "COUNT"]
    with open(os.path.join(src, "identity", "rights.h")) as f:
        features = re.findall(r"FEATURE_(\w+) = \d+", f.read())
    assert len(classes) >= 11 and set(classes) == set(test_rights.NUMBERS) | {"emergency"}, classes
    have, _ = functions(os.path.join(here, "test_rights.py"))
    assert {"test_each_class", *FEATURES.values()} <= have
    assert set(features) == set(FEATURES) | set(WAITING) and not set(FEATURES) & set(WAITING), features
    used = "".join(open(f).read() for f in glob.glob(os.path.join(src, "call", "*.c")) if not f.endswith("_test.c"))
    assert not [x for x in WAITING if "FEATURE_" + x in used], "its service is there: where is its test?"
    assert not [x for x in FEATURES if "FEATURE_" + x not in used]
