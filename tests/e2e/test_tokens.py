"""Bearer tokens (RFC 8898) made by openssl, and credentials of web clients made as a web application makes them."""
import base64, hashlib, hmac, json, os, re, subprocess, time
import pytest
from gateway import CONFIG, PHONE, Gateway
from house import openssl
from ua import Ua

TOKENS = CONFIG + """
tokens:
  bearer: {{issuer: "https://login.example.com", audience: ringwall, jwks: jwks.json, authz_server: "https://login.example.com/oauth", scope: sip}}
  hmac: {{life: 1h}}
"""


def b64(b):
    return base64.urlsafe_b64encode(b if isinstance(b, bytes) else b.encode()).rstrip(b"=").decode()


class Issuer:
    """Keys of one kind each, and tokens signed by openssl."""
    def __init__(self, folder):
        self.dir = str(folder)
        openssl("genrsa", "-out", self.dir + "/rsa.key", "2048")
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.dir + "/ec.key")
        openssl("genpkey", "-algorithm", "ed25519", "-out", self.dir + "/ed.key")

    def der(self, name):
        return subprocess.run(["openssl", "pkey", "-in", f"{self.dir}/{name}.key", "-pubout", "-outform", "DER"], capture_output=True, check=True).stdout

    def jwks(self):
        n = openssl("rsa", "-in", self.dir + "/rsa.key", "-noout", "-modulus").split("=")[1].strip()
        ec, ed = self.der("ec")[-64:], self.der("ed")[-32:]
        return {"keys": [{"kty": "RSA", "kid": "r1", "use": "sig", "alg": "RS256", "n": b64(bytes.fromhex(n)), "e": "AQAB"},
                         {"kty": "EC", "kid": "e1", "crv": "P-256", "x": b64(ec[:32]), "y": b64(ec[32:])},
                         {"kty": "OKP", "kid": "d1", "crv": "Ed25519", "x": b64(ed)}]}

    def sign(self, alg, text):
        f = os.path.join(self.dir, "input")
        open(f, "w").write(text)
        if alg == "EdDSA":
            return subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", self.dir + "/ed.key", "-rawin", "-in", f], capture_output=True, check=True).stdout
        key = "rsa" if alg == "RS256" else "ec"
        sig = subprocess.run(["openssl", "dgst", "-sha256", "-sign", f"{self.dir}/{key}.key", f], capture_output=True, check=True).stdout
        if alg == "RS256":
            return sig
        r_n = sig[3]
        r, s = sig[4:4 + r_n], sig[4 + r_n + 2:]
        return r[-32:].rjust(32, b"\0") + s[-32:].rjust(32, b"\0")

    def token(self, alg="RS256", kid=None, user="alice", head=None, sign_as=None, drop=(), **claims):
        now = int(time.time())
        body = {"iss": "https://login.example.com", "aud": "ringwall", "sub": user, "iat": now, "exp": now + 300, "scope": "openid sip", **claims}
        for k in drop:
            del body[k]
        head = head or {"alg": alg, "typ": "JWT", "kid": kid or {"RS256": "r1", "ES256": "e1", "EdDSA": "d1"}[alg]}
        text = b64(json.dumps(head)) + "." + b64(json.dumps(body))
        return text + "." + b64(self.sign(sign_as or alg, text))


@pytest.fixture(scope="module")
def g(tmp_path_factory):
    gw = Gateway(CONFIG)
    gw.issuer = Issuer(tmp_path_factory.mktemp("issuer"))
    gw.stranger = Issuer(tmp_path_factory.mktemp("stranger"))
    json.dump(gw.issuer.jwks(), open(gw.state + "/jwks.json", "w"))
    gw.write(TOKENS)
    for u in ("alice", "bob"):
        gw.user(u)
    r = gw.run("token", "secret", "--state", gw.state)
    assert r.returncode == 0, r.stderr
    gw.secret = r.stdout.split()[1]
    gw.start()
    yield gw
    gw.close()


def attempt(g, token, user="alice", method="REGISTER"):
    u = Ua(PHONE, 45060, ("127.0.1.1", 5060), "udp", user)   # one contact: a user has room for a few
    u.request(method, "sip:example.com", f"<sip:{user}@example.com>", os.urandom(6).hex(), "t", extra=f"Expires: 300\r\nAuthorization: Bearer {token}\r\n")
    m = u.recv()
    u.close()
    assert m is not None, "no answer"
    return m


def test_challenge_offers_bearer_beside_digest(g):
    u = Ua(PHONE, 0, ("127.0.1.1", 5060), "udp", "alice")
    u.request("REGISTER", "sip:example.com", "<sip:alice@example.com>", "c1", "t")
    m = u.expect("401")
    offers = m.all("www-authenticate")
    assert any(o.startswith("Digest ") for o in offers)
    assert 'Bearer realm="example.com", authz_server="https://login.example.com/oauth", scope="sip"' in offers
    u.close()


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
def test_each_algorithm_lets_its_user_in(g, alg):
    assert attempt(g, g.issuer.token(alg)).code == 200
    assert attempt(g, g.issuer.token(alg, user="sip:alice@example.com")).code == 200
    assert attempt(g, g.issuer.token(alg, aud=["other", "ringwall"])).code == 200


def test_what_is_not_believed(g):
    now = int(time.time())
    i = g.issuer
    pub = subprocess.run(["openssl", "pkey", "-in", i.dir + "/rsa.key", "-pubout"], capture_output=True, check=True).stdout
    text = b64(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "r1"})) + "." + i.token().split(".")[1]
    confused = text + "." + b64(hmac.new(pub, text.encode(), hashlib.sha256).digest())
    none = b64('{"alg":"none"}') + "." + i.token().split(".")[1] + "."
    h, b, s = i.token().split(".")
    rows = {
        "wrong audience": i.token(aud="elsewhere"),
        "no audience": i.token(drop=["aud"]),
        "wrong issuer": i.token(iss="https://evil.example.net"),
        "wrong key of the same name": g.stranger.token(),
        "key of another algorithm": i.token("ES256", kid="r1"),
        "kid that is not there": i.token(kid="r2"),
        "header says RS256, signed by ES256": i.token("RS256", sign_as="ES256"),
        "HS256 with the public key": confused,
        "none": none,
        "none with a signature": b64('{"alg":"none"}') + "." + b + "." + s,
        "other body under that signature": h + "." + b64(json.dumps({"iss": "https://login.example.com", "aud": "ringwall", "sub": "bob", "scope": "sip", "exp": now + 300})) + "." + s,
        "not yet": i.token(nbf=now + 3600),
        "made in the future": i.token(iat=now + 3600),
        "no end": i.token(drop=["exp"]),
        "end is text": i.token(exp="never"),
        "no scope": i.token(scope="openid"),
        "nobody": i.token(drop=["sub"]),
        "crit": i.token(head={"alg": "RS256", "kid": "r1", "crit": ["x"], "x": 1}),
        "jwk inside": i.token(head={"alg": "RS256", "jwk": g.stranger.jwks()["keys"][0]}, sign_as="ES256"),
        "of another domain": i.token(user="alice@example.net"),
        "rubbish": "rubbish", "empty parts": "..", "long": "A" * 5000,
    }
    before = g.reason("auth_token")
    for name, token in rows.items():
        m = attempt(g, token)
        assert m.code == 401, f"{name}: {m}"
        assert any('error="invalid_token"' in o for o in m.all("www-authenticate")), name
    assert g.reason("auth_token") == before + len(rows)


def test_expired_has_its_own_reason_and_skew(g):
    now = int(time.time())
    before = g.reason("auth_token_expired")
    assert attempt(g, g.issuer.token(exp=now - 120, iat=now - 600)).code == 401
    assert g.reason("auth_token_expired") == before + 1
    assert attempt(g, g.issuer.token(exp=now - 20, iat=now - 600)).code == 200   # clocks differ by up to a minute


def test_a_token_speaks_for_its_user_only(g):
    before = g.reason("auth_identity_mismatch")
    assert attempt(g, g.issuer.token(user="bob"), user="alice").code == 403
    assert g.reason("auth_identity_mismatch") == before + 1
    assert attempt(g, g.issuer.token(user="nobody"), user="nobody").code == 403


def web(g, user, seconds, hash="sha256", secret=None):
    name = f"{int(time.time()) + seconds}:{user}"
    return name, base64.b64encode(hmac.new((secret or g.secret).encode(), name.encode(), hash).digest()).decode()


def web_register(g, name, password, user="alice"):
    u = Ua(PHONE, 45060, ("127.0.1.1", 5060), "udp", user)
    call = os.urandom(6).hex()
    u.request("REGISTER", "sip:example.com", f"<sip:{user}@example.com>", call, "t", extra="Expires: 300\r\n")
    ch = [c for c in u.expect("401").all("www-authenticate") if c.startswith("Digest")][0]
    u.request("REGISTER", "sip:example.com", f"<sip:{user}@example.com>", call, "t",
              extra="Expires: 300\r\nAuthorization: " + u.authorization(ch, "REGISTER", "sip:example.com", user=name, password=password) + "\r\n")
    m = u.recv()
    u.close()
    return m.code


def test_credentials_of_web_clients(g):
    assert web_register(g, *web(g, "alice", 600)) == 200
    assert web_register(g, *web(g, "alice", 600, "sha1")) == 200
    assert web_register(g, *web(g, "alice", -5)) == 401                     # over
    assert web_register(g, *web(g, "alice", 7200)) == 403                   # longer than life: 1h
    assert web_register(g, *web(g, "alice", 600, secret="another")) == 403
    assert web_register(g, *web(g, "bob", 600)) == 403                      # bob's, for alice
    assert web_register(g, *web(g, "nobody", 600), user="nobody") == 403
    name, password = web(g, "alice", 600)
    assert web_register(g, str(int(name.split(":")[0]) + 60) + ":alice", password) == 403   # a longer life than was given
    r = g.ask("token", "issue", "alice")
    assert web_register(g, r["username"], r["password"]) == 200
    r = g.ask("token", "issue", "alice", "--days", "1")
    assert web_register(g, r["username"], r["password"]) == 403
    assert g.secret not in subprocess.run([g.cli, "peer-secret", "--state", g.state], capture_output=True, text=True).stdout


def test_bad_key_files_are_refused_by_name(g, tmp_path):
    def check(keys):
        (tmp_path / "jwks.json").write_text(keys if isinstance(keys, str) else json.dumps(keys))
        f = tmp_path / "c.yaml"
        f.write_text(TOKENS.format(**g.fill).replace("jwks.json", str(tmp_path / "jwks.json")))
        return g.run("check", str(f))
    good = g.issuer.jwks()
    assert check(good).returncode == 0, check(good).stdout
    for keys, word in (("{", "no JWK set"), ({"keys": []}, "no key for"), ({"keys": [{"kty": "oct", "k": "AAAA"}]}, "weak, or not public"), ({"keys": [{"kty": "RSA", "n": "AQ", "e": "AQAB"}]}, "weak")):
        r = check(keys)
        assert r.returncode == 1 and word in r.stdout + r.stderr, (word, r.stdout, r.stderr)
