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
    g = house(engines=2, limits="calls: 500, connections_per_source: 1000, message_bytes: 65000")
    # All of the corpus comes from few addresses, which would be banned within its first rows.
    g.write(f"guard: {{{{exempt: [{', '.join(net + '0/24' for net in (PHONES, LAN, WALL, NATTED))}]}}}}\n" + CONFIG)
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


class Tape(Ua):
    """Keeps what it said last, to say it again in broken pieces."""
    def __init__(self, *a, **k):
        super().__init__(*a, **k)
        self.tape = collections.deque(maxlen=8)

    def send(self, text, body="", to=None):
        if isinstance(text, str):
            text = (text.rstrip("\r\n") + f"\r\nContent-Length: {len(body.encode())}\r\n\r\n" + body).encode()
        self.tape.append(text)
        super().send(text, to=to)

    def broken(self, rng):
        raw = rng.choice(self.tape)
        how = rng.choice((flip, flip, flip, cut, doubled, doubled, swollen, renamed, renamed, renumbered, renumbered))
        super().send(how(rng, raw)[:60000])

    def polite(self, wait=0.001):
        """Hears one message and does what is due, so that nothing stays open for our sake."""
        try:
            m = self.recv(wait)
        except (IndexError, ValueError):
            return True
        if not m:
            return False
        if m.code >= 300:
            acknowledge(self, m)
        elif m.code >= 200 and m.method == "INVITE":
            Ua.send(self, f"ACK {m.uri('contact')} SIP/2.0\r\nVia: {self.via()}\r\nMax-Forwards: 70\r\nFrom: {m.get('from')}\r\nTo: {m.get('to')}\r\n"
                          f"Call-ID: {m.get('call-id')}\r\nCSeq: {m.get('cseq').split()[0]} ACK\r\n")
        elif not m.code and m.method == "INVITE":
            inside = "tag=" in m.get("to")
            self.reply(m, 200 if inside else 486, "X", "p", body=sdp(self.ip, 41000) if inside else "")
        elif not m.code and m.method != "ACK":
            self.reply(m, 200, "OK")
        return True


def renamed(rng, raw):
    """Another method, in the start line, in CSeq or in both."""
    methods = (b"INVITE", b"ACK", b"BYE", b"CANCEL", b"UPDATE", b"PRACK", b"INFO", b"REFER", b"OPTIONS", b"NOTIFY", b"SUBSCRIBE", b"REGISTER", b"X")
    was, new, where = raw.split(b" ", 1)[0], rng.choice(methods), rng.choice((1, 2, 3, 3, 3))
    if where & 1 and not was.startswith(b"SIP"):
        raw = new + raw[len(was):]
    return re.sub(rb"(CSeq: \d+ )\w+", lambda m: m.group(1) + new, raw) if where & 2 else raw


def renumbered(rng, raw):
    """A number is another one: CSeq, a port, a code, a version of the description."""
    found = list(re.finditer(rb"\d+", raw))
    at = rng.choice(found)
    n = rng.choice((b"0", b"1", b"%d" % (int(at.group()) + 1), b"%d" % max(int(at.group()) - 1, 0), b"65536", b"4294967296", b"2147483647", b""))
    return raw[:at.start()] + n + raw[at.end():]


@pytest.mark.parametrize("seed", (1, 2))
def test_mutated_inside_of_calls(g, seed):
    """Both sides of running calls say again what they have said, broken; the calls end, and nothing stays."""
    rng, pids, broken_ones, calls = random.Random(seed), g.pids(), 0, 0
    a = Tape(NATTED + "10", 5070, (LAN + "1", 5060), "udp", "nat")
    b = Tape(LAN + "11", 5070, (LAN + "1", 5060), "udp", "dst")
    end = time.time() + 4

    def noise(n):
        for _ in range(n):
            rng.choice((a, b)).broken(rng)
            while a.polite() or b.polite():
                pass
        return n
    while time.time() < end:
        a.tape.clear()
        b.tape.clear()
        c = Call(a, "1234", sdp(a.ip, 40000))
        c.invite(auth=False)
        inv = None
        while not inv:
            m = b.recv(3)
            assert m, "no INVITE"
            inv = m if not m.code and m.method == "INVITE" and "tag=" not in m.get("to") else None
        b.reply(inv, 180, "Ringing", "b")
        broken_ones += noise(6)
        b.reply(inv, 200, "OK", "b", body=sdp(b.ip, 41000))
        m, until = None, time.time() + 1
        while time.time() < until and not (m and m.code >= 200 and m.get("call-id") == c.id):
            try:
                m = a.recv(0.2)
            except (IndexError, ValueError):
                m = None
        if m and m.code == 200:   # else the noise has ended it, which it may
            c.remote_tag, c.target, c.invite_cseq = m.tag("to"), m.uri("contact"), a.cseq
            c.ack2xx()
            c.within("UPDATE", body=c.body)
            c.within("INFO", body="Signal=1\r\n", ctype="application/dtmf-relay")
            calls += 1
            broken_ones += noise(14)
            c.within("BYE")
        elif m:
            acknowledge(a, m)
        b.request("BYE", inv.uri("contact"), inv.get("from").split(";tag=")[0], inv.get("call-id"), "b", inv.tag("from"), from_=inv.get("to"), cseq=2 ** 30)
        while a.polite(0.02) or b.polite(0.02):
            pass
    print(f"seed {seed}: {calls} calls, {broken_ones} broken messages")
    quiet = time.time() + 12
    while time.time() < quiet and not g.idle(0.1):
        while a.polite(0.05) or b.polite(0.05):
            pass
    assert g.idle(25), g.ask("calls")
    assert calls >= 5 and g.pids() == pids
    a.close()
    b.close()
    alive(g)


# --- two readers, two messages: what smuggling lives on ---

START = b"OPTIONS sip:example.com SIP/2.0"
HIDDEN = b"OPTIONS sip:hidden@example.com SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.61.20:5;branch=z9hG4bKhidden\r\nMax-Forwards: 70\r\n" \
         b"From: <sip:hidden@example.com>;tag=h\r\nTo: <sip:example.com>\r\nCall-ID: hidden@x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"


def option(*lines, body=b"", length=True, start=START, method=b"OPTIONS", cut=()):
    """An OPTIONS with those lines before its end; cut: fields that it lacks."""
    n = os.urandom(5).hex().encode()
    fields = [b"Via: SIP/2.0/UDP 127.0.61.20:5;rport;branch=z9hG4bK" + n, b"Max-Forwards: 70", b"From: <sip:alice@example.com>;tag=" + n,
              b"To: <sip:example.com>", b"Call-ID: " + n + b"@x", b"CSeq: 1 " + method]
    fields = [f for f in fields if f.split(b":")[0] not in cut] + list(lines)
    if length:
        fields.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([start] + fields) + b"\r\n\r\n" + body


def own_length(line, body=b""):
    return option(line, body=body, length=False)


# what | bytes | UDP: code | stream: code, or closed | reason (on a stream, where it differs)
SMUGGLED = [
    ("space before the colon is legal", option(b"Subject : x"), 401, 401, "auth_required"),
    ("and of Content-Length means the same to framer and parser", own_length(b"Content-Length \t: 4", b"abcd"), 401, 401, "auth_required"),
    ("a fold in the value too", own_length(b"Content-Length:\r\n 4", b"abcd"), 401, 401, "auth_required"),
    ("space in a name", option(b"Content Length: 4"), 400, CLOSED, "sip_header_smuggling"),
    ("tab in a name", option(b"Content\tLength: 4"), 400, CLOSED, "sip_header_smuggling"),
    ("folded name", option(b"Content-\r\n Length: 4"), 400, CLOSED, "sip_header_smuggling"),
    ("fold between name and colon", option(b"X\r\n : 4"), 400, CLOSED, "sip_header_smuggling"),
    ("fold before the first field", START + b"\r\n Via: x\r\n" + option().partition(b"\r\n")[2], SILENT, CLOSED, "sip_header_smuggling"),
    ("a fold of nothing but space", option(b"Subject: x\r\n \r\n\t"), 401, 401, "auth_required"),
    ("no name", option(b": 4"), 400, CLOSED, "sip_header_syntax"),
    ("no colon", option(b"Content-Length"), 400, CLOSED, "sip_header_syntax"),
    ("byte beyond ASCII in a name", option(b"Content\xadLength: 4"), 400, CLOSED, "sip_header_syntax"),
    ("two lengths that differ", option(b"Content-Length: 4"), 400, CLOSED, "sip_header_duplicate"),
    ("two lengths that agree", option(b"Content-Length: 0"), 400, CLOSED, "sip_header_duplicate"),
    ("long and compact length", option(b"l: 4"), 400, CLOSED, "sip_header_duplicate"),
    ("length as a list", own_length(b"Content-Length: 0, 0"), 400, CLOSED, "sip_content_length"),
    ("length with a sign", own_length(b"Content-Length: +0"), 400, CLOSED, "sip_content_length"),
    ("negative length", own_length(b"Content-Length: -1"), 400, CLOSED, "sip_content_length"),
    ("hexadecimal length", own_length(b"Content-Length: 0x0"), 400, CLOSED, "sip_content_length"),
    ("empty length", own_length(b"Content-Length:"), 400, CLOSED, "sip_content_length"),
    ("length beyond 32 bits", own_length(b"Content-Length: 4294967296"), 400, CLOSED, "sip_content_length"),
    ("length with a parameter", own_length(b"Content-Length: 0;x"), 400, CLOSED, "sip_content_length"),
    ("length beyond the message", own_length(b"Content-Length: 5", b"abcd"), 400, "WAIT", "sip_content_length", None),
    ("length beyond all messages", own_length(b"Content-Length: 65001", b"abcd"), 400, CLOSED, "sip_content_length", "sip_too_large"),
    ("no length", option(length=False), 401, CLOSED, "auth_required", "sip_header_missing"),
    ("a request in the body is a body", option(b"Content-Type: message/sip", body=HIDDEN), 401, 401, "auth_required"),
    ("a length in a quoted string is no field", option(b'Subject: "', b'"'), 400, CLOSED, "sip_header_syntax"),
    ("NUL in a value", option(b"Subject: a\0b"), 400, CLOSED, "sip_header_smuggling"),
    ("NUL in a name", option(b"Sub\0ject: a"), 400, CLOSED, "sip_header_smuggling"),
    ("NUL before the colon", option(b"Subject\0: a"), 400, CLOSED, "sip_header_smuggling"),
    ("bare LF between fields", option(b"Subject: a\nX: b"), 400, CLOSED, "sip_header_smuggling"),
    ("bare CR between fields", option(b"Subject: a\rX: b"), 400, CLOSED, "sip_header_smuggling"),
    ("CR CR LF", option(b"Subject: a\r"), 400, CLOSED, "sip_header_smuggling"),
    ("LF CR", option(b"Subject: a\n\rX: b"), 400, CLOSED, "sip_header_smuggling"),
    ("bare LF as a fold", option(b"Subject: a\n b"), 400, CLOSED, "sip_header_smuggling"),
    ("bare LF throughout", option().replace(b"\r\n", b"\n"), SILENT, "WAIT", "sip_header_smuggling", None),
    ("bare LF behind the start line", option().replace(b"\r\n", b"\n", 1), SILENT, CLOSED, "sip_header_smuggling", "stream_framing"),
    ("empty line of bare LF", option(b"Subject: a\n\n" + HIDDEN[:20]), 400, CLOSED, "sip_header_smuggling"),
    ("vertical tab", option(b"Subject: a\vb"), 400, CLOSED, "sip_header_syntax"),
    ("DEL in a name", option(b"Sub\x7fject: b"), 400, CLOSED, "sip_header_syntax"),
    ("two From", option(b"f: <sip:bob@example.com>;tag=2"), 400, 400, "sip_header_duplicate"),
    ("two Call-ID", option(b"i: other@x"), 400, 400, "sip_header_duplicate"),
    ("two CSeq", option(b"CSeq: 2 OPTIONS"), 400, 400, "sip_header_duplicate"),
    ("two Content-Type", option(b"Content-Type: text/plain", b"c: application/sdp"), 400, 400, "sip_header_duplicate"),
    ("From in a quoted name", option(b'From: "a\r\nTo: <sip:x@y>" <sip:alice@example.com>;tag=1', cut=(b"From",)), 400, 400, "sip_header_syntax"),
    ("two tags", option(b"From: <sip:alice@example.com>;tag=1;tag=2", cut=(b"From",)), 400, 400, "sip_header_syntax"),
    ("tab in the start line", option(start=START.replace(b" ", b"\t", 1)), SILENT, SILENT, "sip_not_sip"),
    ("NUL in the start line", option(start=START.replace(b"sip:", b"sip:\0", 1)), SILENT, SILENT, "sip_header_smuggling"),
    ("name of 129 bytes", option(b"Z" * 129 + b": 1"), 400, CLOSED, "sip_header_limit"),
    ("name of 128 bytes", option(b"Z" * 128 + b": 1"), 401, 401, "auth_required"),
    ("field of 8 KiB and some", option(b"Zz: " + b"a" * 8192), 400, CLOSED, "sip_header_limit"),
    ("field of 8 KiB", option(b"Zz: " + b"a" * 8188), 401, 401, "auth_required"),
    ("field of 60 KiB", option(b"Zz: " + b"a" * 60000), 400, CLOSED, "sip_header_limit"),
    ("field of 8 KiB of folds", option(b"Zz: a" + b"\r\n " * 2731), 400, CLOSED, "sip_header_limit"),
    ("129 fields", option(*[b"Zz: 1"] * 122), 400, 400, "sip_header_limit"),
    ("128 fields", option(*[b"Zz: 1"] * 121), 401, 401, "auth_required"),
    ("10,000 fields", option(*[b"Z:1"] * 10000), 400, 400, "sip_header_limit"),
    ("10,000 fields of another message's length", option(*[b"l:1"] * 10000), 400, CLOSED, "sip_header_duplicate"),
    ("71 Vias", option(*[b"v: SIP/2.0/UDP a;branch=z9hG4bK1"] * 70), 400, 400, "sip_header_limit"),
    ("70 Vias", option(*[b"v: SIP/2.0/UDP a;branch=z9hG4bK1"] * 69), 401, 401, "auth_required"),
    ("33 Contacts in a line", option(b"m: " + b",".join([b"<sip:a@b>"] * 33)), 400, 400, "sip_header_limit"),
    ("Request-URI of 8 KiB", option(start=b"OPTIONS sip:" + b"a" * 8000 + b"@example.com SIP/2.0"), 414, 414, "sip_uri_too_long"),
    ("start line beyond 8 KiB", option(start=b"OPTIONS sip:" + b"a" * 8192 + b"@example.com SIP/2.0"), SILENT, SILENT, "sip_start_line"),
    ("To of 8 KiB", option(b"To: <sip:" + b"a" * 8000 + b"@example.com>", cut=(b"To",)), 400, 400, "sip_header_syntax"),
    ("Contact of 8 KiB", option(b"m: <sip:" + b"a" * 8000 + b"@example.com>"), 400, 400, "sip_header_syntax"),
    ("Request-URI of parameters without end", option(start=b"OPTIONS sip:example.com" + b";a" * 900 + b" SIP/2.0"), 400, 400, "sip_uri_syntax"),
    ("message of 64,000 bytes", option(b"Content-Type: text/plain", body=b"x" * 64000), 401, 401, "auth_required"),
    ("message beyond the limit", option(b"Content-Type: text/plain", body=b"x" * 65000), SILENT, CLOSED, "sip_too_large"),
    ("method of 10,000 bytes", option(start=b"X" * 10000 + b" sip:example.com SIP/2.0"), SILENT, SILENT, "sip_start_line"),
    ("escaped line ends in a user", option(start=b"OPTIONS sip:a%0d%0aX:%201@example.com SIP/2.0"), 401, 401, "auth_required"),
    ("escaped NUL in a user", option(start=b"OPTIONS sip:alice%00@example.com SIP/2.0"), 401, 401, "auth_required"),
]


@pytest.mark.parametrize("transport", ("udp", "tcp", "tls"))
def test_smuggling(g, transport):
    """Each is one message to every reader, or none: the code, and the reason's name, on each transport."""
    wrong, pids, before = [], g.pids(), g.status()["reasons"]
    for i, (what, raw, udp, stream, *reason) in enumerate(SMUGGLED):
        want, why = (udp, reason[0]) if transport == "udp" else (stream, reason[-1])
        u = connect(g, transport, PHONES + str(20 + i))
        try:
            u.send(raw.replace(b"SIP/2.0/UDP", b"SIP/2.0/" + transport.upper().encode(), 1))
        except OSError:
            pass   # closed before all of it was sent
        codes, closed = answers(u, 0.15 if want in (SILENT, "WAIT") else 2)
        got = codes[0] if codes else CLOSED if closed else SILENT
        u.close()
        if got != (SILENT if want == "WAIT" else want) or len(codes) > 1:
            wrong.append(f"{what}: {codes or got}, not {want}")
        if not why:
            continue
        now = wait_for(lambda: (lambda x: x if x.get(why, 0) > before.get(why, 0) else None)(g.status()["reasons"]), 1)
        if not now:
            wrong.append(f"{what}: not counted as {why}")
        before = now or before
    assert not wrong, "\n".join(wrong)
    assert g.pids() == pids
    alive(g)


def test_vias_in_one_line_or_many(g):
    """The same list (RFC 3261 7.3.1): both come back whole and in order."""
    for lines in ((b"v: SIP/2.0/UDP b;branch=z9hG4bK2, SIP/2.0/UDP c;branch=z9hG4bK3",), (b"v: SIP/2.0/UDP b;branch=z9hG4bK2", b"Via: SIP/2.0/UDP c;branch=z9hG4bK3")):
        u = connect(g, "udp")
        u.send(option(*lines))
        m = u.recv(2)
        assert m.code == 401
        vias = [v.strip() for line in m.all("via") for v in line.split(",")]
        assert [re.search("branch=z9hG4bK(.)", v).group(1) for v in vias][1:] == ["2", "3"] and len(vias) == 3, m
        u.close()


def part(boundary, *parts, ctype="multipart/mixed"):
    inside = "".join(f"--{boundary}\r\n{p}\r\n" for p in parts) + f"--{boundary}--\r\n"
    return f"Content-Type: {ctype};boundary={boundary}\r\n\r\n{inside}"


def nested(depth):
    text = "Content-Type: application/sdp\r\n\r\n" + sdp("127.0.65.10", 40000)
    for i in range(depth):
        text = part(f"b{i}", text)
    return text


TEXT = "Content-Type: text/plain\r\n\r\nx"
# what | headers and body of an INVITE to a user who has no phone (480 if the body is taken) | code | reason
BODIES = [
    ("plain", nested(0), 480, "route_not_registered"),
    ("one level", nested(1), 480, "route_not_registered"),
    ("three levels", nested(3), 480, "route_not_registered"),
    ("four levels", nested(4), 400, "sip_body_syntax"),
    ("fifty levels", nested(50), 400, "sip_body_syntax"),
    ("sixteen parts", part("b", *[TEXT] * 15, nested(0)), 480, "route_not_registered"),
    ("seventeen parts", part("b", *[TEXT] * 16, nested(0)), 400, "sip_body_syntax"),
    ("two hundred parts", part("b", *[TEXT] * 200), 400, "sip_body_syntax"),
    ("no description", part("b", TEXT), 415, "sip_body_type"),
    ("no boundary", "Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\n--b--\r\n", 400, "sip_body_syntax"),
    ("empty boundary", 'Content-Type: multipart/mixed;boundary=""\r\n\r\n--\r\n\r\n----\r\n', 400, "sip_body_syntax"),
    ("boundary of 71 bytes", part("b" * 71, nested(0)), 400, "sip_body_syntax"),
    ("never closed", part("b", nested(0))[:-8], 400, "sip_body_syntax"),
    ("part of bare LF", part("b", "Content-Type: application/sdp\n\nv=0"), 400, "sip_body_syntax"),
    ("boundary in the preamble", part("b", nested(0)).replace("\r\n\r\n--b", "\r\n\r\nx--b\r\n--bb\r\n\r\n--b", 1), 480, "route_not_registered"),
]


@pytest.mark.parametrize("transport", ("udp", "tcp", "tls"))
def test_nested_bodies(g, transport):
    """From a peer on each transport, as a stranger's body is not read before he proves himself."""
    wrong = []
    ip, to = {"udp": (NATTED + "10", (LAN + "1", 5060)), "tcp": (LAN + "20", (LAN + "1", 5060)), "tls": (WALL + "20", (WALL + "1", 5061))}[transport]
    for what, text, code, why in BODIES:
        before, n = g.reason(why), os.urandom(6).hex()
        u = Ua(ip, 5070 if transport == "udp" else 0, to, transport, "nat", ca=ca(g))
        if transport == "tls":
            text = text.replace("RTP/AVP", "RTP/SAVP").replace("a=sendrecv", CRYPTO + "a=sendrecv")
        head, _, body = text.partition("\r\n\r\n")
        u.send(f"INVITE sip:user@example.com SIP/2.0\r\nVia: {u.via()}\r\nMax-Forwards: 70\r\nFrom: <sip:1@x>;tag={n}\r\nTo: <sip:user@example.com>\r\n"
               f"Call-ID: {n}\r\nCSeq: 1 INVITE\r\nContact: {u.contact()}\r\n{head}\r\n", body)
        got = None
        while not got:
            m = u.recv(2)
            if not m or m.code >= 200:
                got = m
                break
        if not got or got.code != code:
            wrong.append(f"{what}: {got and got.start}, not {code}")
        elif not wait_for(lambda: g.reason(why) > before, 1):
            wrong.append(f"{what}: not counted as {why}")
        if got:
            acknowledge(u, got)
        u.close()
    assert not wrong, "\n".join(wrong)


def test_refusing_is_cheap(g):
    """The worst of them, many times: what they cost together is a small part of a second each thousand bytes."""
    worst = [r[1] for r in SMUGGLED if len(r[1]) > 8000]
    u = connect(g, "udp")
    cpu = g.status()["stats"]["cpu_us"]
    sent = 0
    for _ in range(20):
        for raw in worst:
            if len(raw) < 65000:
                u.send(raw)
                sent += len(raw)
        drain([u.s])
    alive(g)
    cost = g.status()["stats"]["cpu_us"] - cpu
    u.close()
    assert cost / sent < 1, f"{cost} us for {sent} bytes"   # with sanitizers some 0.05 us a byte


def test_everything_is_given_back(g):
    baseline(g, 45)
    assert "Sanitizer" not in open(g.log).read()
