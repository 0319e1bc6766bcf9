"""Commands that ask the vault do the same while the gateway runs and while it does not."""
import json, os, socket, subprocess, time
import pytest
from gateway import CONFIG, Gateway, wait_for
from house import openssl


@pytest.fixture(params=["stopped", "running"])
def g(request):
    g = Gateway(config=CONFIG)
    g.user("alice")
    if request.param == "running":
        g.start()
    yield g
    g.close()


def other(g):
    """From one state into the other."""
    if g.proc:
        g.stop()
    else:
        g.start()


def ask(g, *args, stdin=None, code=0):
    r = g.run(*args, "--state", g.state, stdin=stdin)
    assert r.returncode == code, (args, r.returncode, r.stdout, r.stderr)
    return r.stdout


def test_otp(g):
    assert "otpauth://totp/" in ask(g, "otp", "enrol", "alice", "--reason", "new phone")
    ask(g, "otp", "enrol", "alice", code=1)                 # has one
    assert "alice@example.com" in ask(g, "otp", "list")
    other(g)
    assert [x["user"] for x in json.loads(ask(g, "otp", "list", "--json"))["otp"]] == ["alice@example.com"]
    ask(g, "otp", "remove", "alice")
    assert json.loads(ask(g, "otp", "list", "--json"))["otp"] == []
    ask(g, "otp", "enrol", "nobody", code=5)
    other(g)
    assert json.loads(ask(g, "otp", "list", "--json"))["otp"] == []


def test_device_and_country(g):
    assert json.loads(ask(g, "device", "list", "--json"))["devices"] == []
    ask(g, "device", "approve", "alice", "0123456789abcdef", code=5)
    assert json.loads(ask(g, "country", "list", "--json"))["countries"] == []


def test_stir(g, tmp_path):
    ask(g, "stir", "key", "calls")
    ask(g, "stir", "key", "calls", code=1)                  # never overwritten
    ask(g, "stir", "show", "calls", code=5)
    csr = tmp_path / "csr.pem"
    csr.write_text(ask(g, "stir", "csr", "calls", "SHAKEN 709J", "709J"))
    ca, key, cert = (str(tmp_path / x) for x in ("ca.pem", "ca.key", "c.pem"))
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    openssl("req", "-x509", "-new", "-key", key, "-subj", "/CN=test", "-days", "9", "-out", ca)
    openssl("x509", "-req", "-in", str(csr), "-CA", ca, "-CAkey", key, "-CAcreateserial", "-days", "9", "-out", cert)
    other(g)
    ask(g, "stir", "install", "calls", ca, code=1)          # of another key
    assert "SHAKEN 709J" in ask(g, "stir", "install", "calls", cert)
    assert json.loads(ask(g, "stir", "show", "calls", "--json"))["in_chain"] == 1
    ask(g, "stir", "csr", "none", "a", "b", code=5)
    ask(g, "stir", "key", "../ca", code=1)
    ask(g, "stir", "key", code=2)


def test_what_needs_a_stopped_or_a_running_gateway_says_so(tmp_path):
    g = Gateway(config=CONFIG)
    try:
        for words in (["status"], ["fraud", "accept", "--reason", "x"], ["approvals"], ["reload"]):
            r = g.run(*words, "--state", g.state)
            assert r.returncode == 3 and "start it: ringwall run" in r.stderr, (words, r.stderr)
        g.start()
        accounts = tmp_path / "accounts.csv"
        accounts.write_text("carol,Some-pass-7h3k2q9z\n")
        r = g.run("user", "import", str(accounts), "--state", g.state)
        assert r.returncode == 6 and "stop it first (ringwall stop)" in r.stderr, r.stderr
    finally:
        g.close()


def test_secret(g):
    assert "vault:NAME" in ask(g, "secret", "set", "chat", stdin="first-9a8b7c\n")
    assert ask(g, "secret", "list") == "chat\n"
    assert os.stat(os.path.join(g.state, "vault", "secrets")).st_mode & 0o777 == 0o600
    ask(g, "secret", "set", "chat", stdin="second-1d2e3f\n")
    other(g)
    assert ask(g, "secret", "list") == "chat\n"
    ask(g, "secret", "set", "a name", stdin="x\n", code=1)
    ask(g, "secret", "set", "chat", stdin="", code=2)
    ask(g, "secret", "set", "chat", stdin="x" * 129 + "\n", code=1)
    ask(g, "secret", "remove", "chat")
    ask(g, "secret", "remove", "chat", code=5)
    other(g)
    assert ask(g, "secret", "list") == ""


def test_nobody_is_told_a_secret(g):
    """Not over the control socket, not by the vault program."""
    ask(g, "secret", "set", "chat", stdin="first-9a8b7c\n")
    text = b""
    if g.proc:
        s = socket.socket(socket.AF_UNIX)
        s.connect(os.path.join(g.state, "run", "control.sock"))
        s.sendall(b'{"cmd":"notify-secret","name":"chat"}\n')
        while d := s.recv(4096):
            text += d
        assert text.startswith(b"1 ") and b"no such command" in text
    else:
        vault = os.path.join(os.path.dirname(g.cli), "..", "vault", "ringwall-vault")
        text = subprocess.run([vault, "--state", g.state, "query"], input=b'{"cmd":"notify-secret","name":"chat"}\n', capture_output=True).stdout
        assert text.startswith(b"6 ")
    assert b"first" not in text and b"first-9a8b7c".hex().encode() not in text


def test_a_certificate_renewed_while_nothing_runs(tmp_path):
    """Its overlap is over before the gateway starts: the start revokes the one before."""
    g = Gateway(config=CONFIG)
    try:
        g.user("alice")
        ask(g, "cert", "issue", "alice", "--out", str(tmp_path / "a.pem"))
        ask(g, "cert", "renew", "alice", "--overlap", "6s", "--out", str(tmp_path / "b.pem"))
        ask(g, "cert", "renew", "alice", "--overlap", "9d", "--out", str(tmp_path / "c.pem"))
        old, older, new = g.ask("cert", "list")["certs"]
        assert (old["state"], older["state"], new["state"]) == ("renewed", "renewed", "live")
        assert wait_for(lambda: [c["state"] for c in g.ask("cert", "list")["certs"]] == ["revoked", "renewed", "live"], 10)
        crl = os.path.join(g.state, "vault", "ca.crl")
        assert not os.path.exists(crl)
        g.start()
        assert wait_for(lambda: os.path.exists(crl), 5)
        text = openssl("crl", "-in", crl, "-noout", "-text", "-CAfile", g.state + "/ca.pem").upper()
        assert old["serial"].upper() in text and older["serial"].upper() not in text
    finally:
        g.close()
