"""Threat feeds: fetched over HTTPS from a real server with an authority of its own, and read from files; what is taken, what is refused, and what
becomes of a list whose feed fails."""
import http.server, json, os, socket, ssl, subprocess, threading, time
import pytest
from gateway import Gateway, wait_for
from house import Authority
from ua import Ua
from zone import Zone

WEB, OTHER, NAME = "127.0.73.9", "127.0.73.10", "feeds.test"
CONFIG = """
domains: [example.com]
state: {state}
engines: 1
media: {{ports: {ports}}}
listeners: [{{name: lan, transport: udp, address: "127.0.73.1:5060"}}]
zones: [{{name: lan, listeners: [lan], sources: [127.0.73.0/24, 203.0.113.0/24], media: rtp, registration: yes}}]
waivers: [{{name: old-pbx, zone: lan, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test", expires: 2099-01-01}}]
peers: [{{name: pbx, kind: pbx, zone: lan, listener: lan, address: "198.51.100.44:5070"}}]
dns: {{servers: ["127.0.70.53:5353"], unsigned: [test]}}
limits: {{{limits}}}
guard:
  kernel: none
  steps: [{{score: 1000, do: log}}]   # so often asked, a source would be found by detectors
  exempt: [203.0.113.40]
  feeds:
FEEDS
"""


class Web:
    """pages: {path: bytes, or a callable of the handler}. What was asked is in seen."""
    def __init__(self, pages, cert=None, ip=WEB, port=8443):
        web = self
        self.pages, self.seen, self.lock = pages, [], threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                with web.lock:
                    web.seen.append((self.path, dict(self.headers)))
                page = web.pages.get(self.path)
                if callable(page):
                    page(self)
                elif page is None:
                    self.send_error(404)
                else:
                    self.give(200, page)

            def give(self, code, body, **headers):
                self.send_response(code)
                for k, v in headers.items():
                    self.send_header(k.replace("_", "-"), v)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *a):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def get_request(self):
                s, a = super().get_request()
                s.settimeout(60)
                return (web.tls.wrap_socket(s, server_side=True, do_handshake_on_connect=False) if web.tls else s), a

            def handle_error(self, *a):
                pass
        self.tls = None
        if cert:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*cert)
        self.server = Server((ip, port), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def asked(self, path):
        with self.lock:
            return [h for p, h in self.seen if p == path]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("feeds-ca"))


@pytest.fixture
def close():
    made = []
    yield lambda x: made.append(x) or x
    for x in reversed(made):
        x.close()


@pytest.fixture
def names(close):
    return close(Zone([f"{NAME}. 60 IN A {WEB}", "twice.test. 60 IN A 127.0.73.77", f"twice.test. 60 IN A {WEB}", "outside.test. 60 IN A 203.0.113.80",
                       "inside.test. 60 IN A 10.20.30.40"])).start()


def config(feeds):
    return CONFIG.replace("FEEDS", "\n".join("    - {{" + f + "}}" for f in feeds))


def gateway(close, *feeds):
    return close(Gateway(config=config(feeds), engines=1, ports="27000-27199")).start()


def feed(g, name):
    found = [f for f in g.status()["feeds"] if f["name"] == name]
    return found[0] if found else None


def entries(g, name, n, seconds=8):
    return wait_for(lambda: feed(g, name)["entries"] == n, seconds)


def error(g, name, words, seconds=8):
    ok = wait_for(lambda: words in feed(g, name).get("error", ""), seconds)
    assert ok, feed(g, name)
    return feed(g, name)


def log(g):
    return open(g.log).read()


def url(path, host=NAME, port=8443, scheme="https"):
    return f"url: '{scheme}://{host}:{port}{path}'"


def test_list_etag_and_change(close, names, ca):
    state = {"tag": '"one"', "body": b"# list\n203.0.113.9\n198.51.100.128/26 ; SBL1\n2001:db8:9::/48\n"}

    def page(h):
        if h.headers.get("If-None-Match") == state["tag"]:
            h.give(304, b"")
        else:
            h.give(200, state["body"], ETag=state["tag"], Last_Modified="Mon, 23 Nov 2026 00:00:00 GMT")
    web = close(Web({"/list": page}, ca.issue(NAME)))
    g = gateway(close, f"name: web, {url('/list')}, private: yes, ca: {ca.cert}, refresh: 1s, expires: 1h")
    assert entries(g, "web", 3), (feed(g, "web"), log(g))
    first = web.asked("/list")[0]
    assert "If-None-Match" not in first and first["Host"] == f"{NAME}:8443" and first["Accept-Encoding"] == "identity"
    assert wait_for(lambda: any(h.get("If-None-Match") == '"one"' and h.get("If-Modified-Since") for h in web.asked("/list")), 5)
    f = feed(g, "web")
    assert "error" not in f and f["entries"] == 3 and f["bad"] == 0
    good = f["good_s"]
    assert wait_for(lambda: feed(g, "web")["good_s"] > good, 5), "a list that did not change is good again"
    state.update(tag='"two"', body=b"203.0.113.9\n")
    assert entries(g, "web", 1)
    assert "feed web names 3; 3 lines, 0 not understood" in log(g)
    assert log(g).count("feed web names 1;") == 1, "told once, not at each refresh"


def test_json_and_what_is_left_out(close, names, ca):
    pages = {"/j": json.dumps({"data": [{"ip": "203.0.113.9", "tags": ["192.0.2.99"]}, {"cidr": "198.51.100.128/25"}, {"x": 1}, "0.0.0.0/0", "10.0.0.1",
                                        "203.0.113.40", "203.0.113.0/27", "127.0.73.1", "198.51.100.44"]}).encode(),
             "/t": b"nonsense\n203.0.113.200,x\n203.0.113.201 y\nnot an address\n203.0.113.32/28\n198.51.100.0/24\n::/0\n"}
    close(Web(pages, ca.issue(NAME)))
    g = gateway(close, f"name: j, {url('/j')}, format: json, private: yes, ca: {ca.cert}", f"name: t, {url('/t')}, private: yes, ca: {ca.cert}")
    assert entries(g, "j", 2), (feed(g, "j"), log(g))   # .9 lies inside 203.0.113.0/27
    assert feed(g, "j")["bad"] == 1 and feed(g, "j")["lines"] == 9
    assert entries(g, "t", 2), "203.0.113.32/28 holds an exempt address, 198.51.100.0/24 a peer"
    assert feed(g, "t")["bad"] == 2
    assert "feed j: 1 too wide to be meant, left out; the first is 0.0.0.0/0 in line 1" in log(g)
    assert "feed t: 1 too wide to be meant, left out; the first is ::/0 in line 7" in log(g)


def test_redirects(close, names, ca):
    def to(where):
        return lambda h: h.give(302, b"", Location=where)
    pages = {"/here": to("/list"), "/abroad": to(f"https://{NAME}:8444/other"), "/round": to("/round"), "/down": to(f"http://{NAME}:8480/list"),
             "/odd": to("file:///etc/passwd"), "/list": b"203.0.113.9\n"}
    close(Web(pages, ca.issue(NAME)))
    close(Web({"/other": b"203.0.113.1\n203.0.113.3\n"}, ca.issue(NAME), port=8444))
    close(Web({"/list": b"203.0.113.77\n"}, port=8480))
    more = f"private: yes, ca: {ca.cert}"
    g = gateway(close, f"name: here, {url('/here')}, {more}", f"name: abroad, {url('/abroad')}, {more}", f"name: round, {url('/round')}, {more}",
                f"name: down, {url('/down')}, {more}", f"name: odd, {url('/odd')}, {more}")
    assert entries(g, "here", 1), (feed(g, "here"), log(g))
    assert entries(g, "abroad", 2), feed(g, "abroad")
    error(g, "round", "redirected more than 3 times")
    error(g, "down", "is not https")
    error(g, "odd", "does not begin with https://")


def test_certificates(close, names, ca, tmp_path):
    pages = {"/list": b"203.0.113.9\n"}
    close(Web(pages, ca.issue(NAME)))
    close(Web(pages, ca.issue("another.test"), port=8444))
    close(Web(pages, Authority(tmp_path).issue(NAME), port=8445))
    g = gateway(close, f"name: good, {url('/list')}, private: yes, ca: {ca.cert}", f"name: system, {url('/list')}, private: yes",
                f"name: name, {url('/list', port=8444)}, private: yes, ca: {ca.cert}", f"name: issuer, {url('/list', port=8445)}, private: yes, ca: {ca.cert}")
    assert entries(g, "good", 1), (feed(g, "good"), log(g))
    error(g, "system", "its certificate is not good")
    error(g, "name", "hostname mismatch")
    error(g, "issuer", "its certificate is not good")
    assert feed(g, "issuer")["entries"] == 0


def test_inside_addresses_need_a_word(close, names, ca):
    web = close(Web({"/list": b"203.0.113.9\n"}, ca.issue(NAME)))
    g = gateway(close, f"name: no, {url('/list')}, ca: {ca.cert}", f"name: lan, {url('/list', host='inside.test')}, ca: {ca.cert}",
                f"name: none, {url('/list', host='missing.test')}, ca: {ca.cert}", f"name: second, {url('/list', host='twice.test')}, private: yes, ca: {ca.cert}")
    error(g, "no", "127.0.73.9, an address inside: say private: yes")
    error(g, "lan", "10.20.30.40, an address inside")
    error(g, "none", "has no address")
    error(g, "second", "hostname mismatch")   # 127.0.73.77 refuses, the next address answers
    assert not web.seen


def test_sizes_times_and_answers(close, names, ca):
    stop = threading.Event()

    def endless(h):
        h.send_response(200)
        h.send_header("Transfer-Encoding", "chunked")
        h.end_headers()
        block = b"203.0.113.9 filler filler\n" * 2500
        while not stop.is_set():
            try:
                h.wfile.write(b"%x\r\n%s\r\n" % (len(block), block))
            except OSError:
                return

    def silent(h):
        stop.wait(60)

    def large(h):
        h.send_response(200)
        h.send_header("Content-Length", str(17 << 20))
        h.end_headers()

    def cut(h):
        h.send_response(200)
        h.send_header("Content-Length", "1000")
        h.end_headers()
        h.wfile.write(b"203.0.113.9\n")
        h.close_connection = True
    pages = {"/endless": endless, "/silent": silent, "/large": large, "/cut": cut, "/html": b"<html><body>It moved</body></html>\n", "/empty": b"# none\n",
             "/unasked": lambda h: h.give(304, b""), "/packed": lambda h: h.give(200, b"\x1f\x8b", Content_Encoding="gzip")}
    close(Web(pages, ca.issue(NAME)))
    feeds = [f"name: {p[1:]}, {url(p)}, private: yes, ca: {ca.cert}" for p in pages] + [f"name: gone, {url('/gone')}, private: yes, ca: {ca.cert}",
             f"name: shut, {url('/x', port=9)}, private: yes, ca: {ca.cert}", f"name: not-json, {url('/html')}, format: json, private: yes, ca: {ca.cert}"]
    g = gateway(close, *feeds)
    try:
        error(g, "endless", "longer than 16 MiB", 30)
        error(g, "silent", "nothing came for 10 s", 30)
        error(g, "large", "longer than 16 MiB", 15)
        error(g, "cut", "connection", 15)
        error(g, "html", "not one line of it was understood")
        error(g, "not-json", "no JSON list of addresses")
        error(g, "unasked", "its server answers 304")
        error(g, "packed", "packed (gzip)")
        error(g, "gone", "its server answers 404")
        error(g, "shut", "connection cannot be made")
        assert wait_for(lambda: feed(g, "empty")["good_s"], 5) and "error" not in feed(g, "empty"), (feed(g, "empty"), log(g))
        assert [p for p in g.status()["programs"] if p["name"] == "fetch"][0]["restarts"] == 0
    finally:
        stop.set()


def test_failing_feed_keeps_its_list(close, names, ca):
    pages = {"/list": b"203.0.113.9\n203.0.113.11\n"}
    web = close(Web(pages, ca.issue(NAME)))
    g = gateway(close, f"name: web, {url('/list')}, private: yes, ca: {ca.cert}, refresh: 1s, expires: 1h")
    assert entries(g, "web", 2), (feed(g, "web"), log(g))
    pages["/list"] = b"Too many requests\n"
    f = error(g, "web", "not one line")
    assert f["entries"] == 2 and f["tried_s"] >= f["good_s"]
    assert "what it named last stays until it expires" in log(g)
    pages["/list"] = b"203.0.113.9\n"
    assert entries(g, "web", 1)
    assert len(web.seen) >= 3


def test_plain_http_on_loopback(close, names):
    close(Web({"/list": b"203.0.113.9\n"}, port=8480))
    g = gateway(close, f"name: lo, {url('/list', host=WEB, port=8480, scheme='http')}, private: yes",
                f"name: far, {url('/list', port=8480, scheme='http')}, private: yes, plaintext: yes")
    assert entries(g, "lo", 1), (feed(g, "lo"), log(g))
    assert entries(g, "far", 1), feed(g, "far")


def test_file_is_read_again(close):
    g = close(Gateway(config=config(["name: own, file: own.txt, refresh: 1s, expires: 1h"]), engines=1, ports="27000-27199"))
    path = os.path.join(g.state, "own.txt")
    g.start()
    assert wait_for(lambda: feed(g, "own").get("file_error"), 5) == "No such file or directory"
    with open(path + ".new", "w") as f:
        f.write("203.0.113.9\n203.0.113.11 # twice\n203.0.113.11\nbad\n")
    os.rename(path + ".new", path)
    assert entries(g, "own", 2), (feed(g, "own"), log(g))
    assert feed(g, "own")["bad"] == 1 and "file_error" not in feed(g, "own")
    with open(path + ".new", "w") as f:
        f.write("203.0.113.9\n")
    os.rename(path + ".new", path)
    assert entries(g, "own", 1)
    os.unlink(path)
    assert wait_for(lambda: feed(g, "own").get("file_error"), 5)
    assert feed(g, "own")["entries"] == 1
    shown = g.run("status", "--state", g.state).stdout
    assert "own.txt" in shown and "No such file or directory" in shown


def test_reload_keeps_and_drops(close, names, ca, tmp_path):
    web = close(Web({"/a": b"203.0.113.9\n", "/b": b"203.0.113.9\n203.0.113.11\n"}, ca.issue(NAME)))
    more = f"private: yes, ca: {ca.cert}, refresh: 1h"
    a, b = f"name: a, {url('/a')}, {more}", f"name: b, {url('/b')}, {more}"
    g = gateway(close, a, b)
    assert entries(g, "a", 1) and entries(g, "b", 2), log(g)
    g.write(config([b]))
    g.ask("reload", "--reason", "a test")
    assert entries(g, "b", 2) and feed(g, "a") is None
    assert len(web.asked("/b")) == 1, "it is told again, not fetched again"
    g.write(config([b, a.replace("refresh: 1h", "refresh: 2h")]))
    g.ask("reload", "--reason", "a test")
    assert entries(g, "a", 1)
    assert len(web.asked("/a")) == 2
    plain = CONFIG[:CONFIG.index("guard:")]
    g.write(plain)
    r = g.run("reload", "--reason", "a test", "--state", g.state)
    assert r.returncode != 0 and "guard.kernel" in r.stdout + r.stderr, "what drops packets needs a restart"
    assert entries(g, "a", 1)
    g.write(plain + "guard: {{kernel: none}}\n")
    g.ask("reload", "--reason", "a test")
    assert wait_for(lambda: not [p for p in g.status()["programs"] if p["name"] == "fetch"], 8), "nobody needs it"
    g.write(config([b]))
    g.ask("reload", "--reason", "a test")
    assert entries(g, "b", 2, 12)


def alone():
    """In a network namespace of our own, where addresses may be added."""
    return os.geteuid() == 0 and os.listdir("/sys/class/net") is not None and [n for _, n in socket.if_nameindex()] == ["lo"]


def test_redirect_from_outside_to_inside(close, names, ca):
    if not alone():
        pytest.skip("needs a network namespace of its own")
    subprocess.run(["ip", "addr", "replace", "203.0.113.80/32", "dev", "lo"], check=True)
    inner = close(Web({"/secret": b"203.0.113.9\n"}, ca.issue(NAME)))
    outer = {"/list": b"203.0.113.9\n", "/in": lambda h: h.give(302, b"", Location=f"https://{NAME}:8443/secret"),
             "/literal": lambda h: h.give(302, b"", Location=f"https://{WEB}:8443/secret")}
    close(Web(outer, ca.issue("outside.test"), ip="203.0.113.80"))
    feeds = [f"name: {p[1:]}, {url(p, host='outside.test')}, ca: {ca.cert}" for p in outer]
    g = gateway(close, *feeds)
    assert entries(g, "list", 1), (feed(g, "list"), log(g))
    error(g, "in", "127.0.73.9, an address inside")
    error(g, "literal", "127.0.73.9, an address inside")
    assert not inner.seen


def control(g, **request):
    """One request at the control socket: (code, document)."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(5)
    s.connect(os.path.join(g.state, "run", "control.sock"))
    s.sendall(json.dumps(request, separators=(",", ":")).encode() + b"\n")
    data = b""
    while chunk := s.recv(65536):
        data += chunk
    s.close()
    head, _, body = data.partition(b"\n")
    return int(head.split()[0]), json.loads(body)


def code(ip, timeout=1.0):
    u = Ua(ip, 5083, ("127.0.73.1", 5060), "udp", "alice")
    try:
        u.request("REGISTER", "sip:example.com", "<sip:alice@example.com>", os.urandom(8).hex(), os.urandom(4).hex())
        m = u.recv(timeout)
        return m.code if m else None
    finally:
        u.close()


def named(g):
    """{address: ban} of what stands on the board by feeds."""
    return {b["address"]: b for b in control(g, cmd="bans", by="feed")[1]["bans"] if b["by"] == "feed"}


def test_what_a_feed_does_to_a_source(close):
    if not alone():
        pytest.skip("needs a network namespace of its own")
    for last in (9, 11, 33, 40):
        subprocess.run(["ip", "addr", "replace", f"203.0.113.{last}/32", "dev", "lo"], check=True)
    g = close(Gateway(config=config(["name: hard, file: hard.txt, ban: yes, refresh: 1s, expires: 4s", "name: soft, file: soft.txt, weight: 30, refresh: 1s, expires: 1h"]),
                      engines=1, ports="27000-27199"))

    def write(name, text):
        with open(os.path.join(g.state, name + ".new"), "w") as f:
            f.write(text)
        os.rename(os.path.join(g.state, name + ".new"), os.path.join(g.state, name))
    write("hard.txt", "203.0.113.9\n203.0.113.40\n")
    write("soft.txt", "203.0.113.32/28\n203.0.113.11\n")
    g.start()
    assert wait_for(lambda: len(named(g)) == 2, 8), (control(g, cmd="bans", by="feed"), log(g))
    on = named(g)
    assert on["203.0.113.9"]["treat"] == "ban" and on["203.0.113.9"]["feed"] == "hard", "where it comes from is told"
    assert on["203.0.113.11"]["treat"] == "weigh" and on["203.0.113.11"]["feed"] == "soft" and on["203.0.113.11"]["weight"] == 30
    assert code("203.0.113.9") is None, "named by a list whose word is enough"
    assert code("203.0.113.11") == 401, "a list's word alone does nothing else"
    assert code("203.0.113.33") == 401 and code("203.0.113.40") == 401, "exempt, and beside it: its prefix was left out"
    write("hard.txt", "203.0.113.11\n")
    assert wait_for(lambda: code("203.0.113.9", 0.3) == 401, 8), "no longer named"
    assert wait_for(lambda: code("203.0.113.11", 0.3) is None, 8)
    os.unlink(os.path.join(g.state, "hard.txt"))
    assert code("203.0.113.11", 0.3) is None, "the last good list stays"
    assert wait_for(lambda: code("203.0.113.11", 0.3) == 401, 12), "until it expires"
    write("hard.txt", "203.0.113.9\n")
    assert wait_for(lambda: code("203.0.113.9", 0.3) is None, 8)
    g.write(config(["name: soft, file: soft.txt, weight: 30, refresh: 1s, expires: 1h"]))
    g.ask("reload", "--reason", "a test")
    assert wait_for(lambda: code("203.0.113.9", 0.3) == 401, 8), (control(g, cmd="bans"), log(g))   # a feed that is gone bans nobody
    assert wait_for(lambda: set(named(g)) == {"203.0.113.11"}, 8)
