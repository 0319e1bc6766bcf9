"""RFC 4475 and RFC 5118 on UDP, TCP and TLS against a running gateway, then the same messages broken in every way we could think of."""
import collections, os, random, re, select, socket, ssl, time
import pytest
from gateway import wait_for
from house import *

CORPUS = os.environ.get("RINGWALL_CORPUS", os.path.join(os.path.dirname(__file__), "..", "..", "..", "shared", "corpus"))
UDP, TCP, TLS = (PHONES + "1", 5060), (PHONES + "1", 5060), (PHONES + "1", 5061)
SILENT, CLOSED = 0, -1   # beside final codes: nothing comes back; nothing, and the stream is closed

# file | what the RFC describes | to a stranger: UDP, stream, reason | to a peer, who needs no digest | why so
# The stranger is a phone that has proved nothing yet: whatever is well formed gets a challenge first (RFC 3261 22.1), so that nobody
# learns who exists or what is served. What lies behind the challenge is what the peer hears.
RFC4475 = """
wsinv      | accept       | 481 481 sip_no_dialog          | 481 | the To tag names a dialog, and we have none of that name
intmeth    | accept       | 401 401 auth_required          | 501 | a method of every legal byte is a method, and unknown
esc01      | accept       | 401 401 auth_required          | 403 | sips%3Auser%40example.com stays a user part of a foreign domain
escnull    | accept       | 401 401 auth_required          | 403 | peers do not register
esc02      | accept       | 401 401 auth_required          | 501 | RE%47IST%45R is no REGISTER
lwsdisp    | accept       | 401 401 auth_required          | 200 | OPTIONS to us
longreq    | accept       | 401 401 auth_required          | 480 | known user without a phone
dblreq     | accept       | 401 PIPE auth_required         | 403 | octets behind a datagram's length are ignored; on a stream they are the next message
semiuri    | accept       | 401 401 auth_required          | 200 | OPTIONS to us
transports | accept       | 401 401 auth_required          | 200 | Vias of unknown transports are text
mpart01    | accept       | 401 401 auth_required          | any | binary parts are no header
unreason   | accept       | 0 0 sip_response_stray         | 0   | answers no request of ours
noreason   | accept       | 0 0 sip_response_stray         | 0   | answers no request of ours
badinv01   | 400          | 400 400 sip_header_syntax      | 400 | as described
clerr      | 400          | 400 WAIT sip_content_length    | 400 | on a stream the rest may still come
ncl        | 400, close   | 400 -1 sip_content_length      | 400 | on a stream nobody knows where the next message starts
scalar02   | 400          | 400 400 sip_header_syntax      | 400 | as described
scalarlg   | drop         | 0 0 sip_header_syntax          | 0   | as described
quotbal    | 400          | 400 400 sip_header_syntax      | 400 | as described
ltgtruri   | 400          | 400 400 sip_uri_syntax         | 400 | strict, as every reader would have to guess
lwsruri    | 400          | 400 400 sip_start_line         | 400 | strict
lwsstart   | 400          | 400 400 sip_start_line         | 400 | strict
trws       | 400          | 400 400 sip_start_line         | 400 | strict
escruri    | 400          | 400 400 sip_uri_syntax         | 400 | headers in a Request-URI would become ours
baddate    | 400 or take  | 400 400 sip_header_syntax      | 400 | strict
regbadct   | 400          | 400 400 sip_header_syntax      | 400 | as described
badaspec   | 400          | 400 400 sip_header_syntax      | 400 | as described
baddn      | 400          | 400 400 sip_header_syntax      | 400 | as described
badvers    | 505          | 505 505 sip_version            | 505 | as described
mismatch01 | 400          | 400 400 sip_method_mismatch    | 400 | as described
mismatch02 | 501 or 400   | 501 501 sip_method_unknown     | 501 | as described
bigcode    | drop         | 0 0 sip_start_line             | 0   | as described
badbranch  | 400 or take  | 400 400 sip_header_syntax      | 400 | a branch that identifies nothing
insuf      | 400, ideally | 0 0 sip_header_missing         | 0   | without From, To and Call-ID an answer is nobody's
unkscm     | 416          | 416 416 sip_uri_scheme         | 416 | as described
novelsc    | 416          | 416 416 sip_uri_scheme         | 416 | as described
unksm2     | 400 or take  | 401 401 auth_required          | 403 | peers do not register
bext01     | 420          | 420 420 sip_extension_required | 420 | as described
invut      | 415          | 401 401 auth_required          | 415 | as described
regaut01   | 401          | 401 401 auth_required          | 403 | as described; peers do not register
multi01    | 400          | 400 400 sip_header_duplicate   | 400 | as described
mcl01      | 400, close   | 400 -1 sip_header_duplicate    | 400 | as described
bcast      | drop         | 0 0 sip_response_stray         | 0   | as described
zeromf     | 483          | 483 483 sip_max_forwards       | 483 | as described
cparam01   | accept       | 401 401 auth_required          | 403 | peers do not register
cparam02   | accept       | 401 401 auth_required          | 403 | peers do not register
regescrt   | accept       | 401 401 auth_required          | 403 | peers do not register
sdp01      | 406          | 406 406 sip_not_acceptable     | 406 | as described
inv2543    | accept       | 401 -1 auth_required           | 404 | old form; but a stream needs Content-Length (RFC 3261 18.3)
test       | -            | 0 -1 sip_start_line            | 0   | in the archive, in no section: neither SIP version nor Via
"""
RFC5118 = """
ipv6-good                     | accept | 401 401 auth_required  | 403 | peers do not register
ipv6-bad                      | 400    | 400 400 sip_uri_syntax | 400 | as described
port-ambiguous                | accept | 401 401 auth_required  | 403 | peers do not register
port-unambiguous              | accept | 401 401 auth_required  | 403 | peers do not register
via-received-param-with-delim | accept | 481 481 sip_no_dialog  | 481 | no such dialog
via-received-param-no-delim   | accept | 401 401 auth_required  | 200 | OPTIONS to us
ipv6-in-sdp                   | accept | 401 401 auth_required  | 403 | a foreign domain
mult-ip-in-header             | accept | 481 481 sip_no_dialog  | 481 | no such dialog
mult-ip-in-sdp                | accept | 401 401 auth_required  | 403 | a foreign domain
ipv4-mapped-ipv6              | accept | 401 401 auth_required  | 480 | known user without a phone
ipv6-bug-abnf-3-colons        | accept | 401 401 auth_required  | 200 | OPTIONS to us
ipv6-correct-abnf-2-colons    | accept | 401 401 auth_required  | 200 | OPTIONS to us
"""
# The reason on a stream, where it is another one than on UDP.
ON_STREAM = {"clerr": None, "inv2543": "sip_header_missing", "test": "sip_header_syntax"}

Row = collections.namedtuple("Row", "name rfc udp stream reason peer why raw")


def repaired(raw):
    """RFC 5118's archive has bare line feeds, two files without an empty line and three wrong lengths (its SOURCE.md)."""
    head, _, body = raw.partition(b"\n\n")
    body = body.replace(b"\n", b"\r\n")
    lines = [x for x in head.split(b"\n") if x and not x.lower().startswith(b"content-length")]
    return b"\r\n".join(lines + [b"Content-Length: %d" % len(body)]) + b"\r\n\r\n" + body


def rows():
    out = []
    for folder, table, suffix in (("rfc4475", RFC4475, ".dat"), ("rfc5118", RFC5118, "")):
        if not os.path.isdir(os.path.join(CORPUS, folder)):
            pytest.skip(f"{folder} is not here")
        for line in table.strip().split("\n"):
            name, rfc, ours, peer, why = (x.strip() for x in line.split("|"))
            udp, stream, reason = ours.split()
            raw = open(os.path.join(CORPUS, folder, name + suffix), "rb").read()
            raw = repaired(raw) if folder == "rfc5118" else raw + b"\r\n" if name == "baddn" else raw
            stream = stream if stream in ("PIPE", "WAIT") else int(stream)
            out.append(Row(name, rfc, int(udp), stream, reason, peer, why, raw))
    return out


@pytest.fixture(scope="module")
def g():
    g = house(engines=2, limits="calls: 500, connections_per_source: 1000")
    for u in ("alice", "bob", "user"):
        g.user(u)
    g.start()
    yield g
    g.close()


def ca(g):
    return os.path.join(g.state, "ca.pem")


def connect(g, transport, ip=PHONES + "20"):
    return Ua(ip, 0, TLS if transport == "tls" else UDP, transport, ca=ca(g))


def answers(u, wait):
    """The final codes that come within that time (a little more once one has come), and whether the stream was closed."""
    codes, end = [], time.time() + wait
    while True:
        try:
            m = u.recv(max(end - time.time(), 0.001))
        except OSError:
            return codes, True
        if m is None:
            break
        if m.code >= 200:
            codes.append(m.code)
            end = min(end, time.time() + 0.02)
    if u.transport == "udp":
        return codes, False
    u.s.settimeout(0.02)
    try:
        return codes, u.s.recv(1) == b""
    except (socket.timeout, ssl.SSLWantReadError):
        return codes, False
    except OSError:
        return codes, True


def said(u, r):
    """What came back, in the table's words."""
    want = r.udp if u.transport == "udp" else r.stream
    codes, closed = answers(u, 0.12 if want in (SILENT, "WAIT") else 2)
    if want == "PIPE":   # the first request is answered or its answer goes down with the stream that its trailer breaks
        return "PIPE" if set(codes) <= {401} else codes
    if want == "WAIT":
        return "WAIT" if not codes and not closed else (codes, closed)
    if closed and not codes:
        return CLOSED
    return codes[0] if codes else SILENT


@pytest.mark.parametrize("transport", ("udp", "tcp", "tls"))
def test_torture_of_a_stranger(g, transport):
    before, wrong, expected = collections.Counter(g.status()["reasons"]), [], collections.Counter()
    pids, table = g.pids(), rows()
    for i, r in enumerate(table):
        want = r.udp if transport == "udp" else r.stream
        u = connect(g, transport, PHONES + str(20 + i))
        u.send(r.raw)
        got = said(u, r)
        if got != want:
            wrong.append(f"{r.name}: {got}, not {want} ({r.why})")
        u.close()
        reason = r.reason if transport == "udp" else ON_STREAM.get(r.name, r.reason)
        if reason and want != "PIPE":
            expected[reason] += 1
    assert not wrong, "\n".join(wrong)

    def counted():
        now = collections.Counter(g.status()["reasons"])
        return all(now[k] - before[k] >= n for k, n in expected.items())
    assert wait_for(counted, 3), {k: (n, g.reason(k) - before[k]) for k, n in expected.items() if g.reason(k) - before[k] < n}
    # Nothing is counted under a name that no row gives; only an OPTIONS of ours to peers that are not here fails meanwhile.
    now = collections.Counter(g.status()["reasons"])
    extra = {k: now[k] - before[k] - expected[k] for k in now if k.startswith(("sip_", "auth_", "right_")) and now[k] - before[k] > expected[k]}
    for name in ("sip_transport_failed", "sip_timeout"):
        extra.pop(name, None)
    pipe = {"auth_required": 2, "sip_header_missing": 1, "sip_content_length": 1, "sip_not_sip": 1, "sip_start_line": 1} if transport != "udp" else {}
    assert all(n <= pipe.get(k, 0) for k, n in extra.items()), extra
    assert g.pids() == pids
    alive(g)


def test_torture_of_a_peer(g):
    """What lies behind the challenge; each INVITE's refusal is acknowledged."""
    wrong = []
    for r in rows():
        u = Ua(NATTED + "10", 5070, (LAN + "1", 5060), "udp", "nat")
        while u.recv(0.001):
            pass
        u.send(r.raw)
        got, end = SILENT, time.time() + (0.12 if r.peer == "0" else 3)
        while time.time() < end:
            m = u.recv(end - time.time())
            if m and m.code >= 200 and m.get("call-id") and m.get("call-id").encode() in r.raw:
                got = m.code
                acknowledge(u, m)
                break
        u.close()
        if str(got) != r.peer and r.peer != "any":
            wrong.append(f"{r.name}: {got}, not {r.peer} ({r.why})")
    assert not wrong, "\n".join(wrong)
    alive(g)


def acknowledge(u, m):
    """The ACK of a refused INVITE, from what the refusal says."""
    number, method = (m.get("cseq").split() + ["", ""])[:2]
    if method == "INVITE" and m.code >= 300:
        u.send(f"ACK sip:x@example.com SIP/2.0\r\nVia: {m.get('via')}\r\nMax-Forwards: 70\r\nFrom: {m.get('from')}\r\nTo: {m.get('to')}\r\n"
               f"Call-ID: {m.get('call-id')}\r\nCSeq: {number} ACK\r\n")


# --- broken on purpose ---

def flip(rng, raw):
    b = bytearray(raw)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        b[rng.randrange(len(b))] ^= 1 << rng.randrange(8)
    return bytes(b)


def cut(rng, raw):
    return raw[:rng.randrange(1, len(raw))]


def lines_of(raw):
    head, sep, body = raw.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), sep + body


def doubled(rng, raw):
    """A line again, somewhere else, perhaps a little changed."""
    lines, rest = lines_of(raw)
    line = rng.choice(lines)
    lines.insert(rng.randrange(len(lines) + 1), flip(rng, line) if line and rng.random() < 0.3 else line)
    return b"\r\n".join(lines) + rest


def swollen(rng, raw):
    """A field, a name, a number, a URI or the start line grows."""
    lines, rest = lines_of(raw)
    i, n = rng.randrange(len(lines)), rng.choice((200, 1000, 9000, 30000))
    at = rng.randrange(len(lines[i]) + 1)
    lines[i] = lines[i][:at] + rng.choice((b"9", b"a", b";", b",", b"%41", b"<", b'"', b" ", b"\\", b"=")) * n + lines[i][at:]
    return (b"\r\n".join(lines) + rest)[:64000]


def many(rng, raw):
    """Hundreds of fields."""
    lines, rest = lines_of(raw)
    return b"\r\n".join(lines[:1] + [rng.choice(lines[1:] or [b"X: 1"])] * rng.randrange(50, 600) + lines[1:])[:60000] + rest


def spliced(rng, raw, other):
    return raw[:rng.randrange(len(raw))] + other[rng.randrange(len(other)):]


def broken(rng, table):
    raw = rng.choice(table).raw
    how = rng.choice((flip, flip, flip, cut, doubled, doubled, swollen, many, None))
    raw = how(rng, raw) if how else spliced(rng, raw, rng.choice(table).raw)
    if rng.random() < 0.15:
        raw = doubled(rng, flip(rng, raw))
    return raw or b"\r\n"


def alive(g):
    """A plain OPTIONS is answered, and a call between two phones that register for it goes through."""
    u = Ua(PHONES + "19", 0, UDP)
    u.request("OPTIONS", "sip:example.com", "<sip:example.com>", os.urandom(6).hex(), "t")
    u.expect("401")
    u.close()
    a = Ua(PHONES + "17", 0, TLS, "tls", "alice", g.passwords["alice"], ca=ca(g))
    b = Ua(PHONES + "18", 0, TLS, "tls", "bob", g.passwords["bob"], ca=ca(g))
    b.register(60)
    c = Call(a, "bob", sdp(a.ip, 40000, extra=CRYPTO, proto="RTP/SAVP"))
    c.invite()
    inv = b.expect("INVITE")
    b.reply(inv, 200, "OK", "b", body=answer_to(inv, b.ip, 41000))
    c.answered()
    b.expect("ACK")
    c.within("BYE")
    b.reply(b.expect("BYE"), 200)
    a.expect("200")
    b.register(0)
    a.close()
    b.close()


def baseline(g, seconds):
    """Calls, transactions and connections are all given back."""
    def back():
        s = g.status()["stats"]
        return all(s[k] == 0 for k in ("calls", "connections", "transactions", "ports_taken"))
    assert wait_for(back, seconds, 0.3), g.status()["stats"]


def drain(sockets):
    for s in sockets:
        while select.select([s], [], [], 0)[0]:
            try:
                if not s.recv(65536):
                    break
            except OSError:
                break


def in_pieces(rng, s, raw, most):
    """As separate segments."""
    at = 0
    while at < len(raw):
        n = rng.randrange(1, most + 1)
        s.sendall(raw[at:at + n])
        at += n


def on_stream(g, rng, transport, table, end):
    """One connection after another, each with one to eight messages, whole, coalesced, in pieces, or a byte a packet."""
    sent = 0
    while time.time() < end:
        u = connect(g, transport, PHONES + str(rng.randrange(20, 250)))
        u.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        messages = [broken(rng, table) for _ in range(rng.randrange(1, 9))]
        how = rng.random()
        try:
            if how < 0.4:
                u.s.sendall(b"".join(messages))
            elif how < 0.6:
                for m in messages:
                    u.s.sendall(m)
            elif how < 0.95:
                in_pieces(rng, u.s, b"".join(messages)[:20000], 700)
            else:
                messages = messages[:1]
                in_pieces(rng, u.s, messages[0][:1500], 1)
            drain([u.s])
        except OSError:
            pass   # closed by the gateway, which is what it may do
        sent += len(messages)
        u.close()
    return sent


def on_datagrams(rng, table, end):
    socks = []
    for i in range(8):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((PHONES + str(30 + i), 0))
        socks.append(s)
    sent = 0
    while time.time() < end:
        rng.choice(socks).sendto(broken(rng, table)[:65000], UDP)
        sent += 1
        if sent % 16 == 0:
            drain(socks)
            time.sleep(0.002)
    for s in socks:
        s.close()
    return sent


def heard(u, wait):
    """One message, and what is due to it."""
    try:
        m = u.recv(wait)
    except IndexError:   # a broken CSeq comes back as it was
        return True
    if m and m.code >= 300:
        acknowledge(u, m)
    elif m and not m.code and m.method in ("OPTIONS", "BYE", "CANCEL"):
        u.reply(m, 200)
    return m is not None


def as_peer(rng, table, end):
    """From a source that needs no digest: what is still well formed reaches the calls."""
    u = Ua(NATTED + "10", 5070, (LAN + "1", 5060), "udp", "nat")
    sent = 0
    while time.time() < end:
        u.send(broken(rng, table)[:65000])
        sent += 1
        while heard(u, 0.001):
            pass
    quiet = time.time() + 0.3
    while time.time() < quiet:
        heard(u, 0.1)
    u.close()
    return sent


@pytest.mark.parametrize("seed", (1, 2))
def test_mutated(g, seed):
    """Thousands of broken messages; after each batch OPTIONS is answered and a call goes through, by the same processes."""
    table, pids, sent = rows(), g.pids(), collections.Counter()
    print(f"seed {seed}")
    for batch in range(2):
        rng = random.Random(seed * 1000 + batch)
        sent["udp"] += on_datagrams(rng, table, time.time() + 1.5)
        alive(g)
        sent["tcp"] += on_stream(g, rng, "tcp", table, time.time() + 1.5)
        alive(g)
        sent["tls"] += on_stream(g, rng, "tls", table, time.time() + 1.5)
        alive(g)
    rng = random.Random(seed)
    sent["peer"] += as_peer(rng, table, time.time() + 1.5)
    alive(g)
    assert g.pids() == pids and all(p["restarts"] == 0 for p in g.status()["programs"])
    print(dict(sent))
    assert sent["udp"] > 300 and sent["tcp"] > 300 and sent["tls"] > 100 and sent["peer"] > 100, sent


def test_everything_is_given_back(g):
    baseline(g, 45)
    assert "Sanitizer" not in open(g.log).read()
