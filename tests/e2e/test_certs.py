"""Client certificates: issued by the local authority, as the only proof or beside a password, revoked while in use, expired, foreign."""
import json, os, socket, ssl, subprocess, time
import pytest
from gateway import CONFIG, Gateway, wait_for
from house import Authority, openssl
from ua import Ua, sdp

ZONES = """  - {{name: trunks, listeners: [trunks], sources: [127.0.1.0/24], media: srtp, authenticate: no, client_certificate: required}}
  - {{name: bycert, listeners: [bycert], sources: [127.0.1.0/24], media: srtp, nat: yes, registration: yes, client_certificate: required, authenticate: certificate, rate_per_source: 5000}}
  - {{name: both, listeners: [both], sources: [127.0.1.0/24], media: srtp, nat: yes, registration: yes, client_certificate: required, authenticate: both, rate_per_source: 5000}}
  - {{name: either, listeners: [either], sources: [127.0.1.0/24], media: srtp, nat: yes, registration: yes, client_certificate: optional, rate_per_source: 5000}}
waivers:
"""
LISTENERS = """  - {{name: trunks, transport: tls, address: "127.0.1.1:5065"}}
  - {{name: bycert, transport: tls, address: "127.0.1.1:5062"}}
  - {{name: both, transport: tls, address: "127.0.1.1:5063"}}
  - {{name: either, transport: tls, address: "127.0.1.1:5064"}}
zones:
"""
CERTS = CONFIG.replace("zones:\n", LISTENERS, 1).replace("waivers:\n", ZONES, 1) .replace("peers:\n", "peers:\n  - {{name: provider, kind: trunk, zone: trunks, listener: trunks, address: '127.0.1.40:5061', tls_name: sip.example.net}}\n", 1).replace("routes:\n", "routes:\n  - {{name: from-trunks, from: {{zone: trunks}}, pattern: '*', to: users}}\n", 1) + "authority: {{ca: foreign.pem, crl: foreign.crl}}\n"


class CertUa(Ua):
    """A phone that shows a certificate."""
    def __init__(self, g, ip, port, proxy_port, user, pem=None, key=None, password=""):
        self.ip, self.proxy, self.transport, self.user, self.password, self.domain = ip, ("127.0.1.1", proxy_port), "tls", user, password, "example.com"
        self.buf, self.cseq = b"", 0
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        raw.bind((ip, port))
        raw.settimeout(5)
        raw.connect(self.proxy)
        ctx = ssl.create_default_context(cafile=os.path.join(g.state, "ca.pem"))
        if pem:
            ctx.load_cert_chain(pem, key)
        self.s = ctx.wrap_socket(raw, server_hostname="example.com")
        self.port = self.s.getsockname()[1]


@pytest.fixture(scope="module")
def g():
    yield from run(Gateway(CONFIG))


def run(gw):
    gw.dir2 = os.path.join(gw.dir, "foreign")
    os.mkdir(gw.dir2)
    gw.foreign = Authority(gw.dir2, name="Foreign Authority")
    empty_crl(gw)
    subprocess.run(["cp", gw.foreign.cert, os.path.join(gw.state, "foreign.pem")], check=True)
    gw.write(CERTS)
    for u in ("alice", "bob", "carol"):
        gw.user(u)
    gw.start()
    yield gw
    gw.close()


def empty_crl(gw, revoked=()):
    base = gw.dir2
    with open(base + "/ca.cnf", "w") as f:
        f.write(f"[ca]\ndefault_ca=x\n[x]\ndatabase={base}/index\ncrlnumber={base}/crlnumber\ndefault_md=sha256\ndefault_crl_days=2\n")
    if not os.path.exists(base + "/index"):
        open(base + "/index", "w").close()
        open(base + "/crlnumber", "w").write("01\n")
    for pem in revoked:
        openssl("ca", "-config", base + "/ca.cnf", "-revoke", pem, "-cert", gw.foreign.cert, "-keyfile", gw.foreign.key)
    openssl("ca", "-config", base + "/ca.cnf", "-gencrl", "-cert", gw.foreign.cert, "-keyfile", gw.foreign.key, "-out", gw.state + "/foreign.crl")


def issue(g, user, *more):
    path = os.path.join(g.dir, user + "-" + os.urandom(3).hex() + ".pem")
    r = g.run("cert", "issue", user, "--state", g.state, "--out", path, *more)
    assert r.returncode == 0, r.stderr
    assert os.stat(path).st_mode & 0o777 == 0o600
    return path


def user_cert(authority, base, uri, days="2", eku="clientAuth", san="URI:"):
    """A certificate by openssl for that URI."""
    base = os.path.join(base, os.urandom(4).hex())
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=user", "-keyout", base + ".key", "-out", base + ".csr")
    with open(base + ".ext", "w") as f:
        f.write(f"subjectAltName={san}{uri}\nextendedKeyUsage={eku}\n")
    when = ["-days", days]
    openssl("x509", "-req", "-in", base + ".csr", "-CA", authority.cert, "-CAkey", authority.key, "-set_serial", "0x" + os.urandom(8).hex(), *when,
            "-extfile", base + ".ext", "-out", base + ".pem")
    return base + ".pem", base + ".key"


def ask(u, method, to_user, from_user=None):
    u.request(method, "sip:example.com" if method == "REGISTER" else f"sip:{to_user}@example.com", f"<sip:{to_user}@example.com>", os.urandom(6).hex(), "t1",
              from_=f"<sip:{from_user or u.user}@example.com>", extra="Expires: 300\r\n")
    m = u.recv()
    assert m is not None, "no answer"
    return m


def test_certificate_alone_registers_and_calls(g):
    pem = issue(g, "alice")
    u = CertUa(g, "127.0.1.20", 0, 5062, "alice", pem)
    m = ask(u, "REGISTER", "alice")
    assert m.code == 200, m
    assert any("alice" in json.dumps(b) for b in [g.ask("bindings")])
    # to be called by nobody else: bob's certificate is bob's
    before = g.reason("auth_cert")
    m = ask(u, "REGISTER", "bob", "bob")
    assert m.code == 403, m
    assert g.reason("auth_cert") > before
    m = ask(u, "INVITE", "carol", "bob")
    assert m.code in (100, 403)
    if m.code == 100:
        m = u.recv()
    assert m.code == 403, m
    u.close()


def test_no_certificate_is_no_handshake(g):
    with pytest.raises((ssl.SSLError, OSError, AssertionError, AttributeError)):
        u = CertUa(g, "127.0.1.20", 0, 5062, "alice")
        m = ask(u, "REGISTER", "alice")   # TLS 1.3 tells after the handshake
        assert m.code == 200


def test_both_wants_password_and_certificate_of_one_user(g):
    pem = issue(g, "alice")
    u = CertUa(g, "127.0.1.20", 0, 5063, "alice", pem, password=g.passwords["alice"])
    u.register()
    u.close()
    before = g.reason("auth_cert")
    u = CertUa(g, "127.0.1.20", 0, 5063, "bob", pem, password=g.passwords["bob"])
    u.register(expect="403")
    u.close()
    assert g.reason("auth_cert") > before


def test_certificate_where_it_is_optional_speaks_for_its_user_only(g):
    pem = issue(g, "carol")
    u = CertUa(g, "127.0.1.20", 0, 5064, "carol", pem, password=g.passwords["carol"])
    u.register()
    u.close()
    u = CertUa(g, "127.0.1.20", 0, 5064, "bob", pem, password=g.passwords["bob"])
    u.register(expect="403")
    u.close()
    u = CertUa(g, "127.0.1.20", 0, 5064, "bob", password=g.passwords["bob"])
    u.register()
    u.close()


def test_revoked_connection_ends_and_none_begins(g):
    pem = issue(g, "bob")
    u = CertUa(g, "127.0.1.20", 0, 5062, "bob", pem)
    assert ask(u, "REGISTER", "bob").code == 200
    before = g.reason("tls_cert_revoked")
    r = g.run("cert", "revoke", "bob", "--state", g.state)
    assert r.returncode == 0 and "is revoked" in r.stdout, r.stderr
    assert wait_for(lambda: g.reason("tls_cert_revoked") > before, 5)
    u.s.settimeout(3)
    try:
        assert u.s.recv(100) == b""
    except (ConnectionError, ssl.SSLError):
        pass
    with pytest.raises((ssl.SSLError, OSError, AssertionError, AttributeError)):
        v = CertUa(g, "127.0.1.20", 0, 5062, "bob", pem)
        assert ask(v, "REGISTER", "bob").code == 200
    assert g.reason("tls_cert_revoked") > before + 1
    certs = g.ask("cert", "list", "bob")["certs"]
    assert [c["state"] for c in certs] == ["revoked"]
    assert g.run("cert", "revoke", "bob", "--state", g.state).returncode == 5
    # a new one works: revocation is of certificates, not of users
    pem = issue(g, "bob")
    v = CertUa(g, "127.0.1.20", 0, 5062, "bob", pem)
    assert ask(v, "REGISTER", "bob").code == 200
    v.close()


def test_renewed_certificate_stands_beside_the_old_for_a_while(g):
    """7 days unless said otherwise; then the old one is revoked, where it is in use, too, and nobody has to come for it."""
    def serials(*states):
        return [c["serial"] for c in g.ask("cert", "list", "carol")["certs"] if c["state"] in states]
    g.run("cert", "revoke", "carol", "--state", g.state)
    old = issue(g, "carol")
    first = serials("live")
    new = os.path.join(g.dir, "new.pem")
    r = g.run("cert", "renew", "carol", "--state", g.state, "--out", new, "--days", "30")
    assert r.returncode == 0 and "the one before, " + first[0] in r.stdout, r.stderr
    c = [c for c in g.ask("cert", "list", "carol")["certs"] if c["state"] == "renewed"]
    assert [x["serial"] for x in c] == first and abs(c[0]["ends"] - time.time() - 7 * 86400) < 60
    for pem in (old, new):
        u = CertUa(g, "127.0.1.20", 0, 5062, "carol", pem)
        assert ask(u, "REGISTER", "carol").code == 200
        u.close()
    # two that go on: which one is meant has to be said
    third = issue(g, "carol")
    r = g.run("cert", "renew", "carol", "--state", g.state)
    assert r.returncode == 1 and "2 valid certificates" in r.stderr
    mine = serials("live")[-1]
    used = CertUa(g, "127.0.1.20", 0, 5062, "carol", third)
    assert ask(used, "REGISTER", "carol").code == 200
    before = g.reason("tls_cert_revoked")
    at = time.time()
    r = g.run("cert", "renew", mine, "--state", g.state, "--overlap", "3s", "--out", os.path.join(g.dir, "fourth.pem"))
    assert r.returncode == 0, r.stderr
    u = CertUa(g, "127.0.1.20", 0, 5062, "carol", third)
    assert ask(u, "REGISTER", "carol").code == 200, "good while it overlaps"
    u.close()
    assert wait_for(lambda: g.reason("tls_cert_revoked") > before, 8) and time.time() - at > 2.5
    assert mine in serials("revoked")
    used.close()
    with pytest.raises((ssl.SSLError, OSError, AssertionError, AttributeError)):
        assert ask(CertUa(g, "127.0.1.20", 0, 5062, "carol", third), "REGISTER", "carol").code == 200
    # at once
    mine = serials("live")[0]
    r = g.run("cert", "renew", mine, "--state", g.state, "--overlap", "0s", "--out", os.path.join(g.dir, "fifth.pem"))
    assert r.returncode == 0 and mine in serials("revoked")
    with pytest.raises((ssl.SSLError, OSError, AssertionError, AttributeError)):
        assert ask(CertUa(g, "127.0.1.20", 0, 5062, "carol", new), "REGISTER", "carol").code == 200
    u = CertUa(g, "127.0.1.20", 0, 5062, "carol", os.path.join(g.dir, "fifth.pem"))
    assert ask(u, "REGISTER", "carol").code == 200
    u.close()
    assert g.run("cert", "renew", mine, "--state", g.state).returncode == 5
    assert g.run("cert", "issue", "carol", "--overlap", "1d", "--state", g.state).returncode == 2
    a = wait_for(lambda: [a for a in g.ask("audit", "--last", "50")["acts"] if a["act"] == "cert-renew" and a["what"] == mine], 3)
    assert a and a[-1]["outcome"] == "done"


def test_p12_opens_with_its_passphrase(g):
    path = os.path.join(g.dir, "alice.p12")
    r = g.run("cert", "issue", "alice", "--state", g.state, "--format", "p12", "--out", path)
    assert r.returncode == 0, r.stderr
    phrase = r.stdout.split("passphrase: ")[1].split()[0]
    text = openssl("pkcs12", "-in", path, "-passin", "pass:" + phrase, "-nodes")
    assert "BEGIN PRIVATE KEY" in text and text.count("BEGIN CERTIFICATE") == 2
    pem = os.path.join(g.dir, "p12.pem")
    open(pem, "w").write(openssl("pkcs12", "-in", path, "-passin", "pass:" + phrase, "-nodes", "-clcerts"))
    u = CertUa(g, "127.0.1.20", 0, 5062, "alice", pem)
    assert ask(u, "REGISTER", "alice").code == 200
    u.close()
    r = subprocess.run(["openssl", "pkcs12", "-in", path, "-passin", "pass:wrong", "-nodes"], capture_output=True)
    assert r.returncode != 0


def test_another_authority_of_the_configuration_and_its_list(g):
    pem, key = user_cert(g.foreign, g.dir2, "sip:alice@example.com")
    u = CertUa(g, "127.0.1.20", 0, 5062, "alice", pem, key)
    assert ask(u, "REGISTER", "alice").code == 200
    before = g.reason("tls_cert_revoked")
    empty_crl(g, [pem])
    assert g.run("reload", "--reason", "a test", "--state", g.state).returncode == 0
    assert wait_for(lambda: g.reason("tls_cert_revoked") > before, 5)


def test_foreign_expired_and_domain_certificates(g, tmp_path):
    unknown = Authority(tmp_path, name="Unknown Authority")
    pem, key = user_cert(unknown, str(tmp_path), "sip:alice@example.com")
    before = g.reason("tls_peer_cert")
    with pytest.raises((ssl.SSLError, OSError, AssertionError, AttributeError)):
        assert ask(CertUa(g, "127.0.1.20", 0, 5062, "alice", pem, key), "REGISTER", "alice").code == 200
    assert wait_for(lambda: g.reason("tls_peer_cert") > before, 3)
    # not valid any more: days below zero
    pem, key = user_cert(g.foreign, g.dir2, "sip:alice@example.com", days="-1")
    before = g.reason("tls_cert_expired")
    with pytest.raises((ssl.SSLError, OSError, AssertionError, AttributeError)):
        assert ask(CertUa(g, "127.0.1.20", 0, 5062, "alice", pem, key), "REGISTER", "alice").code == 200
    assert wait_for(lambda: g.reason("tls_cert_expired") > before, 3)
    # of a SIP domain (RFC 5922: no user part), and one kept for domains (RFC 5924): nobody's
    for uri, eku in (("sip:example.com", "clientAuth"), ("sip:alice@example.com", "clientAuth,1.3.6.1.5.5.7.3.20"), ("sips:alice@example.com", "clientAuth"),
                     ("sip:alice@example.net", "clientAuth"), ("http://alice@example.com", "clientAuth")):
        pem, key = user_cert(g.foreign, g.dir2, uri, eku=eku)
        u = CertUa(g, "127.0.1.20", 0, 5062, "alice", pem, key)
        assert ask(u, "REGISTER", "alice").code == 403, uri
        u.close()


def test_a_trunk_is_who_its_certificate_names(g):
    """From the trunk's address, by certificates of one trusted authority: only the one with its name is the trunk's."""
    def options(uri, eku="serverAuth,clientAuth", san="URI:"):
        pem, key = user_cert(g.foreign, g.dir2, uri, eku=eku, san=san)
        u = CertUa(g, "127.0.1.40", 0, 5065, "provider", pem, key)
        u.request("INVITE", "sip:bob@example.com", "<sip:bob@example.com>", os.urandom(6).hex(), "t", from_="<sip:+4930123@example.net>", body=sdp("127.0.1.40", 40000, proto="RTP/SAVP"))
        m = u.recv()
        while m and m.code < 200:
            m = u.recv()
        u.close()
        return m.code if m else None
    before = g.reason("auth_cert")
    assert options("sip:other.example.net") == 403
    assert options("sip:alice@example.com") == 403
    assert options("sip:sip.example.net.evil.test") == 403
    assert options("*.example.net", san="DNS:") == 403   # RFC 5922 7.2: no wildcards
    assert g.reason("auth_cert") == before + 4
    assert options("sip:sip.example.net", eku="serverAuth,clientAuth,1.3.6.1.5.5.7.3.20") not in (403, None)
    assert options("sip.example.net", san="DNS:") not in (403, None)
    assert g.reason("auth_cert") == before + 4


def test_authority_and_errors_tell(g):
    a = g.ask("cert", "authority")
    assert a["pem"].startswith("-----BEGIN CERTIFICATE") and a["live"] >= 1
    r = g.run("cert", "issue", "nobody", "--state", g.state)
    assert r.returncode == 5 and "there is no user nobody" in r.stderr
    r = g.run("cert", "revoke", "00" * 16, "--state", g.state)
    assert r.returncode == 5, r.stderr
    for words in (["cert"], ["cert", "burn"], ["cert", "issue"], ["cert", "issue", "alice", "--days", "0"], ["cert", "issue", "alice", "--format", "der"]):
        assert g.run(*words, "--state", g.state).returncode == 2, words


def test_offline(tmp_path):
    gw = Gateway(CONFIG)
    gw.user("alice")
    path = str(tmp_path / "alice.pem")
    r = gw.run("cert", "issue", "alice", "--state", gw.state, "--out", path)
    assert r.returncode == 0, r.stderr
    text = openssl("x509", "-in", path, "-noout", "-text")
    assert "URI:sip:alice@example.com" in text and "TLS Web Client Authentication" in text and "Server Authentication" not in text
    assert openssl("verify", "-CAfile", gw.state + "/ca.pem", path).strip().endswith("OK")
    serial = gw.ask("cert", "list")["certs"][0]["serial"]
    assert gw.run("cert", "revoke", serial, "--state", gw.state).returncode == 0
    crl = openssl("crl", "-in", gw.state + "/vault/ca.crl", "-noout", "-text", "-CAfile", gw.state + "/ca.pem")
    assert serial.upper() in crl.upper()
    gw.close()
