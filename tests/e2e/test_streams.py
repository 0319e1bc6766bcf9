"""SIP over TCP and TLS at its edges: framing, keep-alive, garbage, limits, old TLS, slow and many connections."""
import os, socket, ssl, struct, subprocess, time
import pytest
from gateway import wait_for
from house import *

TCP, TLS = (PHONES + "1", 5060), (PHONES + "1", 5061)
OPTIONS = "OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.61.20:5;branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=t{n}\r\n" \
          "To: <sip:example.com>\r\nCall-ID: s{n}@x\r\nCSeq: 1 OPTIONS\r\n"


@pytest.fixture(scope="module")
def g():
    g = house(engines=1, limits="connections_per_source: 20, message_bytes: 8000")
    g.user("alice")
    g.start()
    yield g
    g.close()


def message(n, length=True, extra="", body=""):
    return (OPTIONS.format(n=n) + extra + (f"Content-Length: {len(body)}\r\n" if length else "") + "\r\n" + body).encode()


class Raw:
    """A bare connection."""
    def __init__(self, to, ip=PHONES + "20", ctx=None):
        self.s = socket.socket()
        self.s.bind((ip, 0))
        self.s.settimeout(3)
        self.s.connect(to)
        if ctx:
            self.s = ctx.wrap_socket(self.s, server_hostname="example.com")
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self, want=1, timeout=3):
        """Bytes until that many messages' heads are there, the end, or the time."""
        self.s.settimeout(0.1)
        data, end = b"", time.time() + timeout
        while time.time() < end and data.count(b"\r\n\r\n") < want:
            try:
                x = self.s.recv(65536)
            except (socket.timeout, ssl.SSLWantReadError):
                continue
            except OSError:
                return data
            if not x:
                return data
            data += x
        return data

    def closed(self, timeout=3):
        self.s.settimeout(timeout)
        try:
            while self.s.recv(65536):
                pass
            return True
        except socket.timeout:
            return False
        except OSError:
            return True

    def close(self):
        self.s.close()


@pytest.fixture
def raw():
    made = []

    def make(*a, **k):
        made.append(Raw(*a, **k))
        return made[-1]
    yield make
    for r in made:
        r.close()


def alive(g):
    u = Ua(PHONES + "21", 0, TLS, "tls", "alice", g.passwords["alice"], ca=os.path.join(g.state, "ca.pem"))
    u.register(60)
    u.register(0)
    u.close()


def test_byte_by_byte(g, raw):
    r = raw(TCP)
    for b in message(1):
        r.s.send(bytes([b]))
        time.sleep(0.0005)
    assert b"SIP/2.0 401" in r.read()


def test_two_messages_in_one_segment_and_a_half(g, raw):
    r = raw(TCP)
    both = message(2, body="x" * 300, extra="Content-Type: text/plain\r\n") + message(3) + message(4)[:100]
    r.s.sendall(both)
    data = r.read(2)
    assert data.count(b"SIP/2.0 401") == 2 and b"s2@x" in data and b"s3@x" in data
    r.s.sendall(message(4)[100:])
    assert b"s4@x" in r.read()


def test_ping_gets_pong(g, raw):
    """RFC 5626 4.4.1: CRLF CRLF is answered by one CRLF; a single CRLF between messages by nothing."""
    r = raw(TCP)
    r.s.sendall(b"\r\n\r\n")
    assert r.s.recv(10) == b"\r\n"
    r.s.sendall(b"\r\n" + message(5))
    assert r.read().startswith(b"SIP/2.0 ")


@pytest.mark.parametrize("what,bytes_", [("http", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), ("tls on tcp", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 300),
                                         ("zeros", b"\0" * 4000), ("endless line", b"A" * 20000)])
def test_garbage_ends_the_connection_by_name(g, raw, what, bytes_):
    names = ("stream_framing", "sip_not_sip", "sip_start_line", "sip_too_large", "sip_header_smuggling", "sip_header_limit", "sip_version", "sip_header_missing", "sip_content_length")
    before = sum(g.reason(n) for n in names)
    r = raw(TCP)
    try:
        r.s.sendall(bytes_)
    except OSError:
        pass
    assert r.closed(), f"{what}: the connection stays"
    assert sum(g.reason(n) for n in names) > before, g.status()["reasons"]
    alive(g)


def test_no_content_length_on_a_stream(g, raw):
    """RFC 3261 20.14: it must be there on streams; guessing would let messages hide in bodies."""
    r = raw(TCP)
    r.s.sendall(message(6, length=False) + message(7))
    data = r.read(1, 1.5)
    assert not data or data.startswith(b"SIP/2.0 400"), data
    assert r.closed(), "the stream goes on though nobody knows where messages begin"


@pytest.mark.parametrize("value", ["-1", "99999999999", "4x", "1, 2"])
def test_bad_content_length(g, raw, value):
    r = raw(TCP)
    r.s.sendall((OPTIONS.format(n=8) + f"Content-Length: {value}\r\n\r\n").encode() + message(9))
    assert b"s9@x" not in r.read(2, 1.0)
    assert r.closed()


def test_two_different_content_lengths(g, raw):
    r = raw(TCP)
    r.s.sendall((OPTIONS.format(n=10) + "Content-Length: 0\r\nl: 200\r\n\r\n").encode() + message(11))
    assert b"s11@x" not in r.read(2, 1.0)
    assert r.closed()


def test_oversized_message_is_named(g, raw):
    before = g.reason("sip_too_large")
    r = raw(TCP)
    try:
        r.s.sendall(message(12, body="x" * 9000, extra="Content-Type: text/plain\r\n"))
    except OSError:
        pass
    data = r.read(1, 1.5)
    assert not data or b" 513 " in data
    assert r.closed() and g.reason("sip_too_large") > before
    alive(g)


def test_message_of_just_the_allowed_length(g, raw):
    r = raw(TCP)
    head = len(message(13, body="x" * 1000, extra="Content-Type: text/plain\r\n")) - 1000
    r.s.sendall(message(13, body="x" * (8000 - head), extra="Content-Type: text/plain\r\n"))
    assert r.read().startswith(b"SIP/2.0 ")


def test_half_closed_connection_still_gets_its_answer_or_is_ended(g, raw):
    r = raw(TCP)
    r.s.sendall(message(14))
    r.s.shutdown(socket.SHUT_WR)
    r.read()
    assert r.closed()


# --- TLS ---

def context(g, **k):
    ctx = ssl.create_default_context(cafile=os.path.join(g.state, "ca.pem"))
    for name, v in k.items():
        setattr(ctx, name, v)
    return ctx


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_versions_that_serve(g, raw, version):
    r = raw(TLS, ctx=context(g, minimum_version=version, maximum_version=version))
    assert "GCM" in r.s.cipher()[0] or "CHACHA20" in r.s.cipher()[0]
    r.s.sendall(message(15).replace(b"/TCP", b"/TLS"))
    assert b"SIP/2.0 401" in r.read()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_tls_is_refused(g, raw):
    before = g.reason("tls_handshake")
    ctx = context(g)
    ctx.minimum_version = ssl.TLSVersion.TLSv1
    ctx.maximum_version = ssl.TLSVersion.TLSv1_1
    ctx.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, OSError)) as e:
        raw(TLS, ctx=ctx)
    assert "PROTOCOL_VERSION" in str(e.value).upper() or "ALERT" in str(e.value).upper(), e.value
    assert wait_for(lambda: g.reason("tls_handshake") > before, 2)


@pytest.mark.parametrize("ciphers", ["ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA", "ECDHE-ECDSA-AES256-CCM", "NULL-SHA256:@SECLEVEL=0", "AES128-GCM-SHA256"])
def test_weak_suites_are_refused(g, raw, ciphers):
    before = g.reason("tls_handshake")
    ctx = context(g, maximum_version=ssl.TLSVersion.TLSv1_2)
    try:
        ctx.set_ciphers(ciphers)
    except ssl.SSLError:
        pytest.skip("this client's library does not know " + ciphers)
    if "CCM" in ciphers:  # an AEAD, so it may serve
        try:
            r = raw(TLS, ctx=ctx)
            assert "CCM" in r.s.cipher()[0]
        except (ssl.SSLError, OSError):
            pass
        return
    with pytest.raises((ssl.SSLError, OSError)):
        raw(TLS, ctx=ctx)
    assert wait_for(lambda: g.reason("tls_handshake") > before, 2)


def test_plain_text_on_the_tls_port(g, raw):
    before = g.reason("tls_handshake")
    r = raw(TLS)
    r.s.sendall(message(16))
    data = r.read(1, 1.5)
    assert b"SIP/2.0" not in data and r.closed()
    assert g.reason("tls_handshake") > before
    alive(g)


def test_renegotiation_and_garbage_after_the_handshake(g, raw):
    r = raw(TLS, ctx=context(g))
    r.s.sendall(message(17).replace(b"/TCP", b"/TLS"))
    assert r.read()
    inner = socket.socket(fileno=os.dup(r.s.fileno()))
    inner.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)  # a record that does not verify
    inner.close()
    assert r.closed()
    alive(g)


def test_renegotiation_is_refused_by_name(g):
    """A TLS 1.2 client that asks for it loses its connection; libssl alone would only warn it, time after time."""
    before = g.reason("tls_renegotiation")
    p = subprocess.Popen(["openssl", "s_client", "-connect", f"{TLS[0]}:{TLS[1]}", "-bind", PHONES + "20:0", "-tls1_2", "-legacy_renegotiation"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    time.sleep(0.5)
    p.stdin.write(b"R\n")
    p.stdin.flush()
    out = p.communicate(timeout=10)[0]
    assert b"RENEGOTIATING" in out and b"Cipher is ECDHE" in out, out[-500:]
    assert wait_for(lambda: g.reason("tls_renegotiation") == before + 1, 2), g.status()["reasons"]
    alive(g)


def test_cut_in_the_middle_of_a_handshake(g, raw):
    r = raw(TLS)
    r.s.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abc")
    r.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    r.s.close()
    alive(g)


# --- many and slow ---

def refused(make):
    """The connection is turned away at the door."""
    try:
        return make().closed(1)
    except OSError:
        return True


def test_connections_per_source_are_limited_by_name(g, raw):
    """20 a source; strangers have half of them, those that proved themselves the rest."""
    before = g.reason("capacity_connections_source")
    ip, ca = PHONES + "30", os.path.join(g.state, "ca.pem")
    proved = [Ua(ip, 0, TLS, "tls", "alice", g.passwords["alice"], ca=ca) for _ in range(2)]
    for u in proved:
        u.register(60)
    held = [raw(TCP, ip) for _ in range(18)]  # somebody is registered from there: it is no stranger's source
    for i, r in enumerate(held):
        r.s.sendall(message(100 + i))
        assert r.read().startswith(b"SIP/2.0 "), i
    assert refused(lambda: raw(TCP, ip))
    assert g.reason("capacity_connections_source") > before
    # others are not touched, but as strangers they get half as many
    before = g.reason("capacity_connections_source")
    other = [raw(TCP, PHONES + "31") for _ in range(10)]
    other[9].s.sendall(message(150))
    assert other[9].read().startswith(b"SIP/2.0 ")
    assert refused(lambda: raw(TCP, PHONES + "31"))
    assert g.reason("capacity_connections_source") > before
    # closing makes room
    held[0].close()
    time.sleep(0.2)
    again = raw(TCP, ip)
    again.s.sendall(message(151))
    assert again.read().startswith(b"SIP/2.0 ")
    for u in proved:
        u.register(0)
        u.close()


def test_silent_and_dripping_handshakes_are_ended(g, raw):
    """Ten seconds for a handshake, whether nothing comes or a byte a second; nobody else waits for it."""
    before = g.reason("tls_handshake")
    silent, drip = raw(TLS, PHONES + "32"), raw(TLS, PHONES + "33")
    t = time.time()
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 60
    alive(g)
    drip.s.settimeout(0.02)
    ended = None
    for b in hello[:30]:
        try:
            drip.s.send(bytes([b]))
            if drip.s.recv(10) == b"":
                ended = time.time() - t
                break
        except socket.timeout:
            pass
        except OSError:
            ended = time.time() - t
            break
        time.sleep(0.5)
    assert ended and 8 < ended < 13, f"dripping handshake ended after {ended}"
    assert silent.closed(2) and g.reason("tls_handshake") >= before + 2
    assert wait_for(lambda: not g.status()["stats"]["connections"], 3), g.status()["stats"]
