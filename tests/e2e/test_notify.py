"""Notifications into real sinks: an HTTP server that checks the signature, an SMTP server, both of this machine."""
import email, hashlib, hmac, http.server, json, os, signal, ssl, threading, time
import pytest
from gateway import CONFIG, Gateway, wait_for
from house import openssl

KEY, PASSWORD = "hook-key-3f9a7c2e51", "mail-password-77aa1"


class Hook:
    """Answers with the codes it is told, 200 when they are used up."""
    def __init__(self, port=0, codes=(), tls=None):
        self.got, self.codes, hook = [], list(codes), self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.got.append((self.path, dict(self.headers), body))
                code = hook.codes.pop(0) if hook.codes else 200
                self.send_response(code)
                if code == 302:
                    self.send_header("Location", f"http://127.0.0.1:{hook.port}/elsewhere")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *a):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        if tls:
            ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            ctx.load_cert_chain(*tls)
            self.server.socket = ctx.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def events(self):
        return [json.loads(b) for _, _, b in self.got]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def targets(*rows, more=""):
    return CONFIG + "\nnotify:\n  bans_many: 3\n  targets:\n" + "".join("    - " + r + "\n" for r in rows) + more


def hook_row(port, events, name="hook", extra="", scheme="http"):
    plain = "plaintext: yes, " if scheme == "http" else ""
    return f'{{{{name: {name}, url: "{scheme}://127.0.0.1:{port}/in", {plain}{extra}events: [{events}]}}}}'


def start(*rows, more="", files=()):
    g = Gateway(config=CONFIG)
    for name, text in (("hook.key", KEY + "\n"), ("mail.key", PASSWORD + "\n"), *files):
        with open(os.path.join(g.state, name), "w") as f:
            f.write(text)
        os.chmod(os.path.join(g.state, name), 0o600)
    g.write(targets(*rows, more=more))
    return g.start()


def state_of(g, name="hook"):
    return [t for t in g.ask("notify")["targets"] if t["name"] == name][0]


def everything_written(g):
    text = open(g.log).read()
    for folder in ("store", "run"):
        for root, _, files in os.walk(os.path.join(g.state, folder)):
            for f in files:
                if os.path.isfile(os.path.join(root, f)):
                    text += open(os.path.join(root, f), errors="replace").read()
    return text


@pytest.fixture
def hook():
    h = Hook()
    yield h
    h.close()


def test_a_signed_webhook(hook):
    g = start(hook_row(hook.port, "test, ban, bans-many, break-glass, program-died", extra="secret: hook.key, "))
    try:
        g.ask("notify", "test", "--reason", 'he said "now" \\o/')
        assert wait_for(lambda: hook.got, 5)
        path, headers, body = hook.got[0]
        assert path == "/in" and headers["Content-Type"] == "application/json"
        assert headers["X-Ringwall-Signature"] == "sha256=" + hmac.new(KEY.encode(), body, hashlib.sha256).hexdigest()
        m = json.loads(body)
        assert m["event"] == "test" and m["who"] == "root" and m["why"] == "he said 'now' /o/" and m["count"] == 1
        for i in range(4):
            g.ask("bans", "add", f"203.0.113.{i + 1}", "--why", f"probe {i}")
        assert wait_for(lambda: len(hook.got) == 6, 5), hook.events()
        assert [e["event"] for e in hook.events()[1:]].count("ban") == 4
        many = [e for e in hook.events() if e["event"] == "bans-many"]
        assert len(many) == 1 and "3 bans within a minute" in many[0]["text"]
        os.kill(g.pids()["store"], signal.SIGKILL)
        assert wait_for(lambda: [e for e in hook.events() if e["event"] == "program-died" and e["who"] == "store"], 5)
        assert wait_for(lambda: state_of(g)["sent"] == 7, 5) and state_of(g)["waiting"] == 0
        assert wait_for(lambda: g.status()["state"] == "running", 5)
        assert KEY not in everything_written(g) and KEY not in json.dumps(g.ask("notify"))
    finally:
        g.close()


def test_tried_again_and_given_up(hook):
    hook.codes = [503, 500]
    g = start(hook_row(hook.port, "test"))
    try:
        g.ask("notify", "test", "--reason", "first")
        g.ask("notify", "test", "--reason", "second")
        assert wait_for(lambda: len(hook.got) == 4, 12)
        assert [e["why"] for e in hook.events()] == ["first", "first", "first", "second"]   # in order
        assert wait_for(lambda: state_of(g)["sent"] == 2, 5)
        hook.codes = [404]
        g.ask("notify", "test", "--reason", "third")
        assert wait_for(lambda: state_of(g)["lost"] == 1, 5) and "404" in state_of(g)["error"]
        assert "is lost: it answered 404" in open(g.log).read()
        hook.codes = [302]
        g.ask("notify", "test", "--reason", "fourth")
        assert wait_for(lambda: state_of(g)["lost"] == 2, 5)
        assert not [p for p, _, _ in hook.got if p == "/elsewhere"]                         # redirects are not followed
    finally:
        g.close()


def test_the_receiver_is_away_and_fetch_is_killed():
    h = Hook()
    port = h.port
    h.close()
    g = start(hook_row(port, "test"))
    try:
        g.ask("notify", "test", "--reason", "patience")
        assert wait_for(lambda: state_of(g)["error"], 5) and state_of(g)["waiting"] == 1
        os.kill(g.pids()["fetch"], signal.SIGKILL)
        h = Hook(port)
        assert wait_for(lambda: h.got, 45)
        assert h.events()[0]["why"] == "patience"
        h.close()
    finally:
        g.close()


def test_too_many_are_summed_and_the_queue_is_bounded(hook):
    hook.codes = [503] * 1000
    g = start(hook_row(hook.port, "test", extra="per_minute: 3, "), hook_row(hook.port, "test", name="flood", extra="per_minute: 600, "))
    try:
        for i in range(70):
            assert g.run("notify", "test", "--state", g.state).returncode == 0
        assert state_of(g)["waiting"] == 3 and state_of(g)["summed"] == 67
        s = state_of(g, "flood")
        assert s["lost"] > 0 and s["waiting"] <= 64 and s["error"]
        assert "more than 64 notifications wait" in open(g.log).read()
        assert g.status()["state"] == "running"
    finally:
        g.close()


def test_a_template_and_tls(tmp_path):
    key, cert = str(tmp_path / "k.pem"), str(tmp_path / "c.pem")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert,
            "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    h = Hook(tls=(cert, key))
    good = hook_row(h.port, "test", name="good", scheme="https", extra="ca: hook-ca.pem, text: '{{\"say\":\"{{event}}|{{why}}\"}}', ")
    bad = hook_row(h.port, "test", name="bad", scheme="https")
    g = start(good, bad, files=[("hook-ca.pem", open(cert).read())])
    try:
        g.ask("notify", "test", "--reason", "a \"quote\"")
        assert wait_for(lambda: h.got, 5), (state_of(g, "good"), open(g.log).read())
        assert h.events() == [{"say": "test|a 'quote'"}]
        assert wait_for(lambda: state_of(g, "bad")["lost"] == 1, 5)       # no authority that we know made it
        assert state_of(g, "good")["sent"] == 1 and len(h.got) == 1
    finally:
        g.close()
        h.close()


class Mailbox:
    def __init__(self, tls=None, auth=None):
        from aiosmtpd.controller import Controller
        from aiosmtpd.smtp import AuthResult, LoginPassword
        self.got, self.tls_used, self.logins = [], [], []
        box = self

        class Handler:
            async def handle_DATA(self, server, session, envelope):
                box.got.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
                box.tls_used.append(session.ssl is not None)
                return "250 taken"

        def login(server, session, envelope, mechanism, data):
            box.logins.append((data.login, data.password))
            return AuthResult(success=isinstance(data, LoginPassword) and data.password == PASSWORD.encode())
        extra = {}
        if tls:
            ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            ctx.load_cert_chain(*tls)
            extra = dict(tls_context=ctx, require_starttls=True)
        if auth:
            extra.update(authenticator=login, auth_required=True)
        self.controller = Controller(Handler(), hostname="127.0.0.1", port=2525, **extra)
        self.controller.start()

    def close(self):
        self.controller.stop()


def test_mail_by_starttls_with_a_password(tmp_path):
    pytest.importorskip("aiosmtpd")
    key, cert = str(tmp_path / "k.pem"), str(tmp_path / "c.pem")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert,
            "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    box = Mailbox(tls=(cert, key), auth=True)
    row = ('{{name: mail, smtp: "smtp://127.0.0.1:2525", from: ringwall@example.com, to: [noc@example.com, alice@example.com], user: ringwall, '
           'secret: mail.key, ca: mail-ca.pem, events: [test, waiver-expiring, break-glass]}}')
    g = start(row, files=[("mail-ca.pem", open(cert).read())])
    try:
        g.ask("notify", "test", "--reason", "by mail\r\nBcc: evil@example.net")
        assert wait_for(lambda: box.got, 8), (state_of(g, "mail"), open(g.log).read())
        sender, to, content = box.got[0]
        m = email.message_from_bytes(content)
        assert sender == "ringwall@example.com" and to == ["noc@example.com", "alice@example.com"] and box.tls_used == [True]
        assert m["Subject"].endswith("test root") and m["Bcc"] is None and m["Date"] and m["Message-ID"]
        assert "this is only a test" in m.get_payload() and "Why:   by mail" in m.get_payload()
        assert box.logins[0] == (b"ringwall", PASSWORD.encode())
        g.ask("break-glass", "--reason", "fire")
        assert wait_for(lambda: len(box.got) == 2, 8)
        assert "the glass was broken" in box.got[1][2].decode()
        assert PASSWORD not in everything_written(g)
    finally:
        g.close()
        box.close()


def test_plain_mail_and_a_waiver_that_ends():
    pytest.importorskip("aiosmtpd")
    box = Mailbox()
    soon = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 2 * 86400))
    row = ('{{name: mail, smtp: "smtp://127.0.0.1:2525", starttls: no, plaintext: yes, from: ringwall@example.com, to: [noc@example.com], '
           'subject: "[{{event}}] {{who}}", events: [waiver-expiring]}}')
    g = Gateway(config=CONFIG, expires=soon)
    g.write(targets(row))
    g.start()
    try:
        assert wait_for(lambda: box.got, 8), (state_of(g, "mail"), open(g.log).read())
        m = email.message_from_bytes(box.got[0][2])
        assert m["Subject"] == "[waiver-expiring] old-phones" and "ends in" in m.get_payload() and "alice@example.com" in m.get_payload()
    finally:
        g.close()
        box.close()


def test_names_that_lead_inside_are_refused():
    """A webhook by name is looked up by the resolver; loopback behind a name is an address inside."""
    g = start('{{name: hook, url: "https://localhost.example.net:8443/in", events: [test]}}')
    try:
        g.ask("notify", "test")
        assert wait_for(lambda: state_of(g)["error"], 30)      # nobody answers for names here
        assert state_of(g)["sent"] == 0
    finally:
        g.close()


CHAT = "kept-by-the-vault-5c2d8e"


def in_memory(pid, what):
    """Is it anywhere in what that process can write?"""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            span, mode = line.split()[:2]
            a, b = (int(x, 16) for x in span.split("-"))
            if not mode.startswith("rw") or b - a > 1 << 28:
                continue
            mem.seek(a)
            try:
                if what in mem.read(b - a):
                    return True
            except OSError:
                pass
    return False


def test_secrets_that_the_vault_holds(hook, tmp_path):
    """Webhook key and mail password by name: right at the receiver, replaced while it runs; in no log, engine, audit or answer."""
    pytest.importorskip("aiosmtpd")
    key, cert = str(tmp_path / "k.pem"), str(tmp_path / "c.pem")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert,
            "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    box = Mailbox(tls=(cert, key), auth=True)
    g = Gateway(config=CONFIG)
    try:
        for name, secret in (("chat", CHAT), ("mail", PASSWORD)):
            r = g.run("secret", "set", name, "--state", g.state, stdin=secret + "\n")
            assert r.returncode == 0 and secret not in r.stdout + r.stderr, r.stderr
        with open(os.path.join(g.state, "mail-ca.pem"), "w") as f:
            f.write(open(cert).read())
        mail = ('{{name: mail, smtp: "smtp://127.0.0.1:2525", from: ringwall@example.com, to: [noc@example.com], user: ringwall, '
                'secret: "vault:mail", ca: mail-ca.pem, events: [test]}}')
        g.write(targets(hook_row(hook.port, "test", extra='secret: "vault:chat", '), mail, hook_row(hook.port, "ban", name="none", extra='secret: "vault:none", ')))
        g.start()
        g.ask("notify", "test", "--reason", "vault")
        assert wait_for(lambda: hook.got and box.got, 8), (g.ask("notify"), open(g.log).read())

        def signed_by(i, secret):
            _, headers, body = hook.got[i]
            return headers["X-Ringwall-Signature"] == "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        assert signed_by(0, CHAT) and box.logins[0] == (b"ringwall", PASSWORD.encode())
        for n, p in g.pids().items():
            if n.startswith("engine") or n == "store":
                assert not in_memory(p, CHAT.encode()) and not in_memory(p, CHAT.encode().hex().encode()), n
        assert in_memory(g.pids()["vault"], CHAT.encode()), "the search finds nothing at all"
        r = g.run("secret", "set", "chat", "--state", g.state, "--reason", "rotated", stdin="another-77\n")
        assert r.returncode == 0, r.stderr
        os.kill(g.pids()["vault"], signal.SIGKILL)          # asked again when it is back
        g.ask("notify", "test", "--reason", "vault again")
        assert wait_for(lambda: len(hook.got) >= 2, 20) and signed_by(1, "another-77")
        g.ask("bans", "add", "203.0.113.7", "--why", "probe")
        assert wait_for(lambda: "no such secret" in state_of(g, "none")["error"], 5) and len(hook.got) == 2
        text = everything_written(g) + json.dumps(g.status()) + json.dumps(g.ask("notify")) + open(g.config).read()
        text += g.run("check", g.config).stdout + json.dumps(g.ask("audit", "--last", "50"))
        for secret in (CHAT, PASSWORD, "another-77"):
            assert secret not in text and secret.encode().hex() not in text
        assert [a for a in g.ask("audit", "--last", "50")["acts"] if a["act"] == "secret-set" and a["what"] == "chat" and a["why"] == "rotated"]
    finally:
        g.close()
        box.close()


def test_a_ledger_that_is_damaged_is_told(hook):
    g = start(hook_row(hook.port, "ledger-unknown"))
    try:
        g.stop()
        assert not hook.got
        for name in ("ledger.0", "ledger.1"):
            with open(os.path.join(g.state, name), "w") as f:
                f.write("nothing")
        g.start()
        assert wait_for(lambda: hook.got, 5)
        assert [(e["event"], e["what"]) for e in hook.events()] == [("ledger-unknown", "spending unknown")]
    finally:
        g.close()
