"""STIR/SHAKEN by real parts: a test PKI, a web server for certificates, a trunk that signs by itself, two gateways."""
import base64, datetime, http.server, ipaddress, json, os, re, shutil, ssl, subprocess, threading, time
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID
from gateway import Gateway, BUILD, wait_for
from ua import Call, Ua, sdp

NET = "127.0.72."
WEB, OUTSIDE, PORT = NET + "8", NET + "9", 8443
CALLER, CALLEE = "+493022233", "+493011100"

VERIFIER = """
domains: [example.com]
state: {state}
engines: {engines}
media: {{ports: {ports}}}
certificates:
  default: {{chain: server.pem, key: server}}
listeners:
  - {{name: lan, transport: udp, address: "127.0.72.1:5060"}}
  - {{name: udp, transport: udp, address: "127.0.73.1:5060"}}
zones:
  - {{name: lan, listeners: [lan], sources: [127.0.72.0/24], media: rtp, authenticate: no, rate_per_source: 5000}}
  - {{name: phones, listeners: [udp], sources: [127.0.73.0/24], media: rtp, registration: yes, rate_per_source: 5000}}
waivers:
  - {{name: old-pbx, zone: lan, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test PBX", expires: 2099-01-01}}
  - {{name: old-phones, zone: phones, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test phones", expires: 2099-01-01}}
peers:
  - {{name: trunk, kind: trunk, zone: lan, listener: lan, address: "127.0.72.20:5080", verify: yes}}
  - {{name: trusted, kind: trunk, zone: lan, listener: lan, address: "127.0.72.21:5080", verify: yes, trust_identity: yes}}
  - {{name: plain, kind: trunk, zone: lan, listener: lan, address: "127.0.72.22:5080"}}
  - {{name: signer, kind: trunk, zone: lan, listener: lan, address: "127.0.72.2:5060", verify: yes}}
  - {{name: pbx, kind: pbx, zone: lan, listener: lan, address: "127.0.72.10:5070", trust_identity: yes}}
roles:
  - {{name: user, outbound: yes}}
routes:
  - {{name: phone, from: {{zone: lan}}, pattern: "bob", to: users}}
  - {{name: in, from: {{zone: lan}}, pattern: "+49301X.", to: {{peers: [pbx]}}}}
stir: {{trusted: {roots}, ca: {webca}, allow: ["127.0.72.8"], fresh: 60s, {private} inbound: {{no_identity: {none}, failed: {failed}}}}}
fraud: {{mode: off}}
limits: {{{limits}}}
"""
PRIVATE = 'allow_private: {name: lab, owner: alice@example.com, reason: "test web server", expires: 2099-01-01},'

SIGNER = """
domains: [example.net]
state: {state}
engines: {engines}
media: {{ports: {ports}}}
certificates:
  default: {{chain: server.pem, key: server}}
listeners:
  - {{name: lan, transport: udp, address: "127.0.72.2:5060"}}
  - {{name: udp, transport: udp, address: "127.0.74.1:5060"}}
zones:
  - {{name: lan, listeners: [lan], sources: [127.0.72.0/24], media: rtp, authenticate: no, rate_per_source: 5000}}
  - {{name: phones, listeners: [udp], sources: [127.0.74.0/24], media: rtp, registration: yes, rate_per_source: 5000}}
waivers:
  - {{name: old-pbx, zone: lan, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test PBX", expires: 2099-01-01}}
  - {{name: old-phones, zone: phones, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test phones", expires: 2099-01-01}}
peers:
  - {{name: source, kind: pbx, zone: lan, listener: lan, address: "127.0.72.30:5080"}}
  - {{name: out, kind: trunk, zone: lan, listener: lan, address: "127.0.72.31:5080", sign: yes, realm_host: example.net}}
  - {{name: other, kind: trunk, zone: lan, listener: lan, address: "127.0.72.1:5060", sign: yes, realm_host: example.com}}
  - {{name: unsigned, kind: trunk, zone: lan, listener: lan, address: "127.0.72.32:5080"}}
roles:
  - {{name: user, outbound: yes, dial: [internal, local, national, mobile, international], countries: [DE], step_up: none}}
routes:
  - {{name: out, pattern: "+49309X.", to: {{peers: [out]}}}}
  - {{name: other, pattern: "+49301X.", to: {{peers: [other]}}}}
  - {{name: unsigned, pattern: "+49308X.", to: {{peers: [unsigned]}}}}
stir: {{key: calls, x5u: "https://127.0.72.8:8443/signer.pem", unsigned: {unsigned}}}
fraud: {{mode: off}}
limits: {{{limits}}}
"""


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def tn_list(spc=None, ranges=(), one=()):
    """TNAuthorizationList in DER (RFC 8226 9)."""
    def tlv(tag, b):
        assert len(b) < 128
        return bytes([tag, len(b)]) + b
    out = b""
    if spc:
        out += tlv(0xa0, tlv(0x16, spc.encode()))
    for start, count in ranges:
        out += tlv(0xa1, tlv(0x30, tlv(0x16, start.encode()) + tlv(0x02, count.to_bytes((count.bit_length() + 8) // 8, "big"))))
    for n in one:
        out += tlv(0xa2, tlv(0x16, n.encode()))
    return tlv(0x30, out)


class Issuer:
    def __init__(self, name, parent=None):
        self.key, self.parent = ec.generate_private_key(ec.SECP256R1()), parent
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.cert = self.sign(self.key.public_key(), self.name, ca=True, by=parent or self)

    def sign(self, public, name, ca=False, by=None, extra=(), start=-1, days=30, usage=True):
        by = by or self
        b = (x509.CertificateBuilder().subject_name(name).issuer_name(by.name).public_key(public).serial_number(x509.random_serial_number())
             .not_valid_before(now() + datetime.timedelta(days=start)).not_valid_after(now() + datetime.timedelta(days=days))
             .add_extension(x509.BasicConstraints(ca, None), True)
             .add_extension(x509.KeyUsage(not ca and usage, False, False, False, not usage, ca, ca, False, False), True)
             .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
             .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key()), False))
        for e in extra:
            b = b.add_extension(e, False)
        return b.sign(by.key, hashes.SHA256())

    def leaf(self, key, tn, **k):
        ext = [x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.26"), tn)] if tn else []
        return self.sign(key.public_key(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "SHAKEN 709J")]), extra=ext, **k)


def pem(*certs):
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certs)


def b64(b):
    return base64.urlsafe_b64encode(b).rstrip(b"=").decode()


class Web:
    """HTTPS on two addresses; files by path, some of which misbehave. Counts."""
    def __init__(self, folder):
        self.files, self.asked, self.servers = {}, [], []
        ca = Issuer("Web Authority")
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(a)) for a in (WEB, OUTSIDE)])
        cert = ca.sign(key.public_key(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "web")]), extra=[names])
        self.ca = os.path.join(folder, "web-ca.pem")
        open(self.ca, "wb").write(pem(ca.cert))
        own = os.path.join(folder, "web.pem")
        open(own, "wb").write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()) + pem(cert))
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                web.asked.append(self.path)
                what = web.files.get(self.path)
                if callable(what):
                    return what(self)
                if isinstance(what, str):
                    self.send_response(302)
                    self.send_header("Location", what)
                    self.send_header("Content-Length", "0")
                    return self.end_headers()
                self.send_response(200 if what else 404)
                self.send_header("Content-Length", str(len(what or b"")))
                self.send_header("Cache-Control", "max-age=600")
                self.end_headers()
                self.wfile.write(what or b"")

            def log_message(self, *a):
                pass
        for ip in (WEB, OUTSIDE):
            s = http.server.ThreadingHTTPServer((ip, PORT), Handler)
            s.daemon_threads = True
            ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            ctx.load_cert_chain(own)
            s.socket = ctx.wrap_socket(s.socket, server_side=True, do_handshake_on_connect=False)
            threading.Thread(target=s.serve_forever, daemon=True).start()
            self.servers.append(s)

    def url(self, path):
        return f"https://{WEB}:{PORT}{path}"

    def close(self):
        for s in self.servers:
            s.shutdown()
            s.server_close()


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    class P:
        pass
    p = P()
    p.dir = str(tmp_path_factory.mktemp("pki"))
    os.chmod(p.dir, 0o755)
    p.root, p.stranger = Issuer("Test STI Root"), Issuer("Another Root")
    p.inter = Issuer("Test STI Intermediate", p.root)
    p.key = ec.generate_private_key(ec.SECP256R1())
    p.spc = tn_list("709J")
    p.roots = os.path.join(p.dir, "roots.pem")
    open(p.roots, "wb").write(pem(p.root.cert))
    p.web = Web(p.dir)
    f, leaf = p.web.files, p.inter.leaf
    f["/good.pem"] = pem(leaf(p.key, p.spc), p.inter.cert)
    f["/again.pem"] = f["/good.pem"]
    f["/expired.pem"] = pem(leaf(p.key, p.spc, start=-10, days=-1), p.inter.cert)
    f["/future.pem"] = pem(leaf(p.key, p.spc, start=2), p.inter.cert)
    f["/foreign.pem"] = pem(p.stranger.leaf(p.key, p.spc), p.stranger.cert)
    f["/alone.pem"] = pem(leaf(p.key, p.spc))
    f["/nolist.pem"] = pem(leaf(p.key, None), p.inter.cert)
    f["/badlist.pem"] = pem(leaf(p.key, b"\x30\x03\x0c\x01a"), p.inter.cert)
    f["/usage.pem"] = pem(leaf(p.key, p.spc, usage=False), p.inter.cert)
    f["/range.pem"] = pem(leaf(p.key, tn_list(ranges=[("493022200", 100)]), days=30), p.inter.cert)
    f["/one.pem"] = pem(leaf(p.key, tn_list(one=["493022233"])), p.inter.cert)
    f["/other.pem"] = pem(leaf(p.key, tn_list(ranges=[("493033300", 100)], one=["493022234"])), p.inter.cert)
    f["/otherkey.pem"] = pem(leaf(ec.generate_private_key(ec.SECP256R1()), p.spc), p.inter.cert)
    f["/rsa.pem"] = b"no certificate at all\n"
    f["/here.pem"] = "/good.pem"
    f["/twice.pem"] = p.web.url("/here.pem")
    f["/thrice.pem"] = p.web.url("/twice.pem")
    f["/leaves.pem"] = f"https://{OUTSIDE}:{PORT}/good.pem"
    f["/plain.pem"] = f"http://{WEB}/good.pem"
    f["/big.pem"] = f["/good.pem"] + b"#" * 70000

    def slow(h):
        time.sleep(6)
        h.send_response(200)
        h.end_headers()
    f["/slow.pem"] = slow
    yield p
    p.web.close()


def token(pki, url, orig=CALLER[1:], dest=CALLEE[1:], iat=None, attest="A", key=None, header=None, claims=None, ppt="shaken", tamper=None, sign_other=False):
    h = {"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": url}
    c = {"attest": attest, "dest": {"tn": [dest]}, "iat": int(time.time()) if iat is None else iat, "orig": {"tn": orig}, "origid": "123e4567-e89b-12d3-a456-426655440000"}
    h.update(header or {})
    c.update(claims or {})
    text = b64(json.dumps(h, separators=(",", ":"), sort_keys=True).encode()) + "." + b64(json.dumps(c, separators=(",", ":"), sort_keys=True).encode())
    r, s = utils.decode_dss_signature((key or pki.key).sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    if tamper:
        head, body = text.split(".")
        text = head + "." + b64(base64.urlsafe_b64decode(body + "==").replace(*tamper))
    return text + "." + b64(r.to_bytes(32, "big") + s.to_bytes(32, "big")), url


def identity(tok, ppt='"shaken"'):
    return f"Identity: {tok[0]};info=<{tok[1]}>;alg=ES256" + (f";ppt={ppt}" if ppt else "") + "\r\n"


class Verifier:
    def __init__(self, pki, private=PRIVATE, none="pass", failed="pass"):
        self.words = dict(roots=pki.roots, webca=pki.web.ca, none=none, failed=failed, private=private)
        self.g = Gateway(config=self.config(), ports="25000-27999")
        self.g.user("bob")
        self.g.start()
        self.ua = {}
        self.pbx = Ua(NET + "10", 5070, (NET + "1", 5060), "udp", "pbx")

    def config(self):
        text = VERIFIER
        for k, v in self.words.items():
            text = text.replace("{" + k + "}", v.replace("{", "{{").replace("}", "}}"))
        return text

    def policy(self, **k):
        """Another one, while it runs."""
        self.words.update(k)
        self.g.write(self.config())
        r = self.g.run("reload", "--reason", "a test", "--state", self.g.state)
        assert r.returncode == 0, r.stdout + r.stderr

    def trunk(self, last):
        if last not in self.ua:
            self.ua[last] = Ua(NET + str(last), 5080, (NET + "1", 5060), "udp", CALLER)
        return self.ua[last]

    def send(self, extra, frm=CALLER, to=CALLEE, last=20, uri=None):
        u = self.trunk(last)
        u.user = frm
        c = Call(u, to, extra=extra)
        if uri:
            c.uri = f"sip:{uri}@example.com"
        c.invite(auth=False)
        return c

    def shown(self, extra, **k):
        """The call is answered; the INVITE that the PBX saw."""
        c = self.send(extra, **k)
        inv = self.pbx.recv(8)
        assert inv and inv.method == "INVITE", (inv and inv.start, [m.start for m in iter(lambda: c.ua.recv(0.1), None)])
        self.pbx.reply(inv, 200, "OK", "pbx", body=sdp(self.pbx.ip, 41000))
        c.answered()
        self.pbx.expect("ACK")
        c.bye()
        self.pbx.reply(self.pbx.expect("BYE"), 200)
        return inv

    def refused(self, extra, **k):
        c = self.send(extra, **k)
        m = c.ua.recv(8)
        while m and m.code < 200:
            m = c.ua.recv(8)
        assert m, "no answer"
        c.ack(m)
        return m

    def close(self):
        for u in self.ua.values():
            u.close()
        self.pbx.close()
        self.g.close()


@pytest.fixture(scope="module")
def v(pki):
    """Lets every call through, and says what it thinks of it."""
    v = Verifier(pki)
    yield v
    assert v.g.idle(3)
    v.close()


def verstat(inv):
    m = re.search(r";verstat=([\w-]+)@", inv.get("from"))
    return m[1] if m else None


PASSED, FAILED, NONE = "TN-Validation-Passed", "TN-Validation-Failed", "No-TN-Validation"


def test_good_token_passes_and_is_fetched_once(v, pki):
    inv = v.shown(identity(token(pki, pki.web.url("/again.pem"))))
    assert verstat(inv) == PASSED and "user=phone" in inv.get("from")
    assert not inv.all("identity")
    before = pki.web.asked.count("/again.pem")
    assert before == 1
    t = time.time()
    for _ in range(4):  # both engines read the board
        assert verstat(v.shown(identity(token(pki, pki.web.url("/again.pem"))))) == PASSED
    assert pki.web.asked.count("/again.pem") == 1, "the second call was fetched for again"
    assert time.time() - t < 5


@pytest.mark.parametrize("attest,says", [("A", PASSED), ("B", NONE), ("C", NONE)])
def test_attestation(v, pki, attest, says):
    assert verstat(v.shown(identity(token(pki, pki.web.url("/good.pem"), attest=attest)))) == says


def test_compact_header_name_and_bare_ppt(v, pki):
    h = identity(token(pki, pki.web.url("/good.pem")), ppt="shaken").replace("Identity:", "y:")
    assert verstat(v.shown(h)) == PASSED


def test_compact_form_is_made_of_the_request(v, pki):
    url = pki.web.url("/good.pem")
    iat = int(time.time())
    head = {"alg": "ES256", "typ": "passport", "x5u": url}
    claims = {"dest": {"tn": [CALLEE[1:]]}, "iat": iat, "orig": {"tn": CALLER[1:]}}
    text = ".".join(b64(json.dumps(x, separators=(",", ":"), sort_keys=True).encode()) for x in (head, claims))
    r, s = utils.decode_dss_signature(pki.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    sig = b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(iat))
    h = f"Identity: ..{sig};info=<{url}>;alg=ES256\r\n"
    assert verstat(v.shown(f"Date: {date}\r\n" + h)) == PASSED
    assert verstat(v.shown(f"Date: {date}\r\n" + h, frm="+493022234")) == FAILED
    assert verstat(v.shown(h)) == FAILED


def test_no_identity(v):
    assert verstat(v.shown("")) == NONE


def test_verstat_of_strangers_is_not_passed_on(v):
    inv = v.shown("", frm=CALLER + ";verstat=TN-Validation-Passed")
    assert verstat(inv) == NONE
    inv = v.shown("", frm=CALLER + ";verstat=TN-Validation-Passed", last=22)  # a peer that is not verified
    assert "verstat" not in str(inv)


BAD = {
    "tampered": (lambda p: token(p, p.web.url("/good.pem"), tamper=(b'"attest":"B"', b'"attest":"A"'), attest="B"), 438),
    "wrong orig": (lambda p: token(p, p.web.url("/good.pem"), orig="493022234"), 438),
    "wrong dest": (lambda p: token(p, p.web.url("/good.pem"), dest="493011101"), 438),
    "stale": (lambda p: token(p, p.web.url("/good.pem"), iat=int(time.time()) - 65), 403),
    "from the future": (lambda p: token(p, p.web.url("/good.pem"), iat=int(time.time()) + 65), 403),
    "another key": (lambda p: token(p, p.web.url("/otherkey.pem")), 438),
    "no algorithm": (lambda p: token(p, p.web.url("/good.pem"), header={"alg": "none"}), 438),
    "orig is a string": (lambda p: token(p, p.web.url("/good.pem"), claims={"orig": '{"tn":"%s"}' % CALLER[1:]}), 438),
    "dest is a string": (lambda p: token(p, p.web.url("/good.pem"), claims={"dest": '{"tn":"%s"}' % CALLEE[1:]}), 438),
    "no attestation": (lambda p: token(p, p.web.url("/good.pem"), claims={"attest": "Z"}), 438),
    "info is another URL": (lambda p: (token(p, p.web.url("/good.pem"))[0], p.web.url("/again.pem")), 438),
    "expired": (lambda p: token(p, p.web.url("/expired.pem")), 437),
    "not yet": (lambda p: token(p, p.web.url("/future.pem")), 437),
    "foreign chain": (lambda p: token(p, p.web.url("/foreign.pem")), 437),
    "no intermediate": (lambda p: token(p, p.web.url("/alone.pem")), 437),
    "no TNAuthList": (lambda p: token(p, p.web.url("/nolist.pem")), 437),
    "broken TNAuthList": (lambda p: token(p, p.web.url("/badlist.pem")), 437),
    "key usage": (lambda p: token(p, p.web.url("/usage.pem")), 437),
    "number not in TNAuthList": (lambda p: token(p, p.web.url("/other.pem")), 437),
    "no certificate": (lambda p: token(p, p.web.url("/rsa.pem")), 437),
    "404": (lambda p: token(p, p.web.url("/nothing.pem")), 436),
    "host not allowed": (lambda p: token(p, f"https://{OUTSIDE}:{PORT}/good.pem"), 436),
    "port": (lambda p: token(p, f"https://{WEB}:9443/good.pem"), 436),
    "http": (lambda p: token(p, f"http://{WEB}/good.pem"), 436),
    "three redirects": (lambda p: token(p, p.web.url("/thrice.pem")), 436),
    "redirect outside": (lambda p: token(p, p.web.url("/leaves.pem")), 436),
    "redirect to http": (lambda p: token(p, p.web.url("/plain.pem")), 436),
    "too large": (lambda p: token(p, p.web.url("/big.pem")), 436),
    "slow": (lambda p: token(p, p.web.url("/slow.pem")), 436),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_ones_are_shown_as_failed(v, pki, name):
    t = time.time()
    assert verstat(v.shown(identity(BAD[name][0](pki)))) == FAILED
    assert time.time() - t < 5, "the call waited too long"


@pytest.mark.parametrize("path", ["/range.pem", "/one.pem", "/twice.pem", "/here.pem"])
def test_numbers_of_the_certificate_and_redirects_that_stay(v, pki, path):
    assert verstat(v.shown(identity(token(pki, pki.web.url(path))))) == PASSED


def test_a_token_for_another_callee_is_worth_nothing_here(v, pki):
    assert verstat(v.shown(identity(token(pki, pki.web.url("/good.pem"))), uri="+493011177")) == FAILED


def test_asserted_identity_must_be_the_number_that_is_signed(v, pki):
    t = lambda: identity(token(pki, pki.web.url("/good.pem")))
    inv = v.shown(f"P-Asserted-Identity: <sip:{CALLER}@example.com>\r\n" + t(), last=21)
    assert verstat(inv) == PASSED and ";verstat=TN-Validation-Passed@" in inv.get("p-asserted-identity")
    inv = v.shown("P-Asserted-Identity: <sip:+493099999@example.com>\r\n" + t(), last=21)
    assert verstat(inv) == FAILED and ";verstat=TN-Validation-Failed@" in inv.get("p-asserted-identity")


def test_a_registered_phone_sees_it(v, pki):
    bob = Ua("127.0.73.20", 0, ("127.0.73.1", 5060), "udp", "bob", v.g.passwords["bob"])
    bob.register()
    c = v.send(identity(token(pki, pki.web.url("/good.pem"))), to=CALLEE, uri="bob")
    inv = bob.expect("INVITE", 6)
    assert verstat(inv) == PASSED
    bob.reply(inv, 486, "Busy Here", "b")
    bob.expect("ACK")
    c.ack(c.ua.expect("486"))
    bob.close()


def test_records_say_what_was_found(v, pki):
    c = v.send(identity(token(pki, pki.web.url("/good.pem"), attest="B")))
    inv = v.pbx.expect("INVITE")
    v.pbx.reply(inv, 486, "Busy Here", "pbx")
    v.pbx.expect("ACK")
    c.ack(c.ua.expect("486"))
    assert v.g.cdr(c.id).get("attest") == "B", v.g.cdr(c.id)


@pytest.mark.parametrize("name", [n for n in BAD if n not in ("slow", "three redirects")])
def test_strict_policy_refuses_by_the_codes_of_the_rfc(strict, pki, name):
    make, code = BAD[name]
    why = {403: "stir_stale", 436: "stir_bad_info", 437: "stir_credential", 438: "stir_invalid"}[code]
    before = strict.g.reason(why)
    m = strict.refused(identity(make(pki)))
    assert wait_for(lambda: strict.g.reason(why) > before, 3)
    phrase = {403: "Stale Date", 436: "Bad Identity Info", 437: "Unsupported Credential", 438: "Invalid Identity Header"}[code]
    assert m.code == code and phrase in m.start, m.start


@pytest.fixture(scope="module")
def strict(v, pki):
    """The same gateway with another policy: no call without a good token."""
    v.policy(none="refuse", failed="refuse")
    yield v


def test_strict_policy_demands_identity(strict, pki):
    m = strict.refused("")
    assert m.code == 428 and "Use Identity Header" in m.start
    assert verstat(strict.shown(identity(token(pki, pki.web.url("/good.pem"))))) == PASSED
    assert strict.g.reason("stir_no_identity") >= 1


def test_private_addresses_are_not_fetched_without_a_waiver(strict, pki):
    strict.policy(private="")
    n = len(pki.web.asked)
    m = strict.refused(identity(token(pki, pki.web.url("/good.pem"))))
    assert m.code == 436 and len(pki.web.asked) == n
    strict.policy(private=PRIVATE.replace("2099", "2020"))
    assert strict.refused(identity(token(pki, pki.web.url("/good.pem")))).code == 436 and len(pki.web.asked) == n


# -- signing --

BARE = "+493012345"         # proves himself, and is called like a number that the directory gives nobody
VAULT = os.path.join(BUILD, "src", "app", "vault", "ringwall-vault")


@pytest.fixture(scope="module")
def s(pki):
    g = Gateway(config=SIGNER.replace("{unsigned}", "send"), ports="28000-28399")
    g.user("alice")
    r = g.run("user", "set", "alice", "--number", CALLER, "--state", g.state, "--domain", "example.net")
    assert r.returncode == 0, r.stdout + r.stderr
    g.user("carol")
    g.user(BARE)
    r = g.run("stir", "key", "calls", "--state", g.state)
    assert r.returncode == 0, r.stdout + r.stderr
    assert g.run("stir", "key", "calls", "--state", g.state).returncode == 1  # never overwritten
    r = g.run("stir", "csr", "calls", "SHAKEN 709J", "709J", "--state", g.state)
    assert r.returncode == 0, r.stdout + r.stderr
    csr = x509.load_pem_x509_csr(r.stdout.encode())
    assert csr.is_signature_valid
    tn = csr.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.26")).value.value
    assert tn == tn_list("709J")
    g.public = csr.public_key()
    cert = pki.inter.sign(g.public, csr.subject, extra=[x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.26"), tn)])
    path = os.path.join(pki.dir, "signer.pem")
    open(path, "wb").write(pem(cert, pki.inter.cert))
    wrong = os.path.join(pki.dir, "wrong.pem")
    open(wrong, "wb").write(pki.web.files["/good.pem"])
    assert g.run("stir", "install", "calls", wrong, "--state", g.state).returncode == 1
    r = g.run("stir", "install", "calls", path, "--state", g.state)
    assert r.returncode == 0, r.stdout + r.stderr
    pki.web.files["/signer.pem"] = open(os.path.join(g.state, "stir-calls.pem"), "rb").read()
    g.start()
    yield g
    idle = g.idle(3)
    g.close()
    assert idle


def trunk_of(last):
    return Ua(NET + str(last), 5080, (NET + "2", 5060), "udp", "trunk")


def unpack(value):
    tok = value.split(";")[0]
    h, c, sig = tok.split(".")
    dec = lambda x: base64.urlsafe_b64decode(x + "==")
    return json.loads(dec(h)), json.loads(dec(c)), (h + "." + c).encode(), dec(sig), dec(h).decode(), dec(c).decode()


def leaves(g, ua, number, server, auth=True):
    """The INVITE that the trunk saw; the call is refused there."""
    c = Call(ua, number)
    c.invite(auth=auth)
    inv = server.expect("INVITE", 6)
    server.source = (NET + "2", 5060)
    server.reply(inv, 486, "Busy Here", "t")
    server.expect("ACK")
    c.ack(c.ua.expect("486", 6))
    return inv


@pytest.fixture
def phones(s):
    made = {}
    for i, n in enumerate(("alice", "carol", BARE)):
        made[n] = Ua(f"127.0.74.2{i}", 0, ("127.0.74.1", 5060), "udp", n, s.passwords[n], domain="example.net")
    yield made
    for u in made.values():
        u.close()


def check(s, inv, attest, orig, dest):
    v = inv.get("identity")
    assert v, "the call went out unsigned: " + str(inv)
    assert ";info=<https://127.0.72.8:8443/signer.pem>" in v and ";alg=ES256" in v and 'ppt="shaken"' in v
    h, c, text, sig, ht, ct = unpack(v)
    assert h == {"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": "https://127.0.72.8:8443/signer.pem"}
    assert ht == json.dumps(h, separators=(",", ":"), sort_keys=True) and ct == json.dumps(c, separators=(",", ":"), sort_keys=True)
    assert c["attest"] == attest and c["orig"] == {"tn": orig} and c["dest"] == {"tn": [dest]}, c
    assert abs(c["iat"] - time.time()) < 5 and re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", c["origid"])
    der = utils.encode_dss_signature(int.from_bytes(sig[:32], "big"), int.from_bytes(sig[32:], "big"))
    s.public.verify(der, text, ec.ECDSA(hashes.SHA256()))
    with pytest.raises(InvalidSignature):
        s.public.verify(der, text + b"x", ec.ECDSA(hashes.SHA256()))
    return c


def test_own_number_is_attested_in_full(s, phones):
    out = trunk_of(31)
    c1 = check(s, leaves(s, phones["alice"], "+493099900", out), "A", CALLER[1:], "493099900")
    c2 = check(s, leaves(s, phones["alice"], "+493099901", out), "A", CALLER[1:], "493099901")
    assert c1["origid"] == c2["origid"]
    out.close()


def test_who_is_known_without_owning_the_number_is_attested_b(s, phones):
    out = trunk_of(31)
    check(s, leaves(s, phones[BARE], "+493099900", out), "B", "493012345", "493099900")
    out.close()


def test_what_a_pbx_says_is_attested_c(s):
    out, src = trunk_of(31), Ua(NET + "30", 5080, (NET + "2", 5060), "udp", "+493055500", domain="example.net")
    c = check(s, leaves(s, src, "+493099900", out, auth=False), "C", "493055500", "493099900")
    assert c["orig"]["tn"] == "493055500"
    src.close()
    out.close()


def test_only_peers_that_want_it_get_identity(s, phones):
    other = trunk_of(32)
    assert not leaves(s, phones["alice"], "+493088800", other).all("identity")
    other.close()


def test_independent_verifier_by_openssl(s, phones, tmp_path):
    out = trunk_of(31)
    h, c, text, sig, _, _ = unpack(leaves(s, phones["alice"], "+493099900", out).get("identity"))
    out.close()
    open(tmp_path / "pub.pem", "wb").write(s.public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    open(tmp_path / "sig", "wb").write(utils.encode_dss_signature(int.from_bytes(sig[:32], "big"), int.from_bytes(sig[32:], "big")))
    r = subprocess.run(["openssl", "dgst", "-sha256", "-verify", str(tmp_path / "pub.pem"), "-signature", str(tmp_path / "sig")], input=text, capture_output=True)
    assert b"Verified OK" in r.stdout, r.stderr


def test_one_gateway_signs_and_another_verifies(s, strict, phones, pki):
    strict.policy(private=PRIVATE)
    c = Call(phones["alice"], CALLEE)
    c.invite()
    inv = strict.pbx.expect("INVITE", 6)
    assert verstat(inv) == PASSED and CALLER in inv.get("from")
    strict.pbx.source = None
    strict.pbx.reply(inv, 200, "OK", "pbx", body=sdp(strict.pbx.ip, 41000))
    c.answered()
    c.bye()
    strict.pbx.reply(strict.pbx.expect("BYE"), 200)


def test_without_a_number_the_call_goes_unsigned_or_not_at_all(s, phones):
    src = Ua(NET + "30", 5080, (NET + "2", 5060), "udp", "anonymous", domain="anonymous.invalid")
    out = trunk_of(31)
    before = s.reason("stir_signing")
    c = Call(src, "+493099900")
    c.uri, c.to = "sip:+493099900@example.net", "<sip:+493099900@example.net>"
    c.invite(auth=False)
    inv = out.expect("INVITE", 6)
    assert not inv.all("identity")
    out.source = (NET + "2", 5060)
    out.reply(inv, 486, "Busy Here", "t")
    c.ack(c.ua.expect("486", 6))
    assert s.reason("stir_signing") == before + 1
    s.write(SIGNER.replace("{unsigned}", "refuse"))
    assert s.run("reload", "--reason", "a test", "--state", s.state).returncode == 0
    c = Call(src, "+493099900")
    c.uri, c.to = "sip:+493099900@example.net", "<sip:+493099900@example.net>"
    c.invite(auth=False)
    m = c.ua.recv(6)
    while m and m.code < 200:
        m = c.ua.recv(6)
    c.ack(m)
    assert m.code == 503 and s.reason("stir_unsigned") >= 1
    src.close()
    out.close()


@pytest.mark.parametrize("key,line,hint", [
    ("stir: {trusted: roots.pem}", "belong together", "allow"),
    ("stir: {key: calls}", "belong together", "x5u"),
    ('stir: {key: calls, x5u: "http://example.com/a"}', "not an https URL", ""),
    ("stir: {inbound: {failed: maybe}}", "failed", ""),
    ("stir: {nonsense: 1}", "nonsense", ""),
])
def test_wrong_configuration_is_told(s, key, line, hint, tmp_path):
    text = SIGNER.format(unsigned="send", **s.fill)
    text = re.sub(r"^stir:.*$", key, text, flags=re.M)
    open(tmp_path / "x.yaml", "w").write(text)
    r = s.run("check", str(tmp_path / "x.yaml"), "--state", s.state)
    assert r.returncode == 1 and line in r.stdout + r.stderr, r.stdout + r.stderr
