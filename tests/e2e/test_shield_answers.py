"""Answers give nothing away: users that exist and users that do not get the same code, text, header fields, size and time."""
import os, random, re, statistics, time
import pytest
from shield import *

pytestmark = needs_net
HERE_IP = ATTACKERS + "66"
USERS = 24
FAINT = 20  # microseconds between medians
METHODS = ("REGISTER", "INVITE", "OPTIONS", "SUBSCRIBE", "MESSAGE")
EXTRA = {"SUBSCRIBE": "Event: message-summary\r\nExpires: 600\r\n"}
EXEMPT = ", exempt: [198.18.0.66/32], limits: {{source: 10000, known: 10000, aor: 100000, device: 100000}}"
FAST = CONFIG.replace("registration: yes", "registration: yes, rate_per_source: 10000")


@pytest.fixture(scope="module")
def net():
    if not ALONE:
        pytest.skip("needs root and a network namespace of its own")
    n = Net()
    yield n
    n.close()


@pytest.fixture(scope="module")
def g(net):
    """One engine, so that both kinds of users are served by the same."""
    g = gateway(kernel="none", users=USERS, guard=EXEMPT, engines=1, config=FAST)
    g.start()
    yield g
    g.close()


@pytest.fixture(scope="module")
def ua(net, g):
    with net.world.inside():
        u = Ua(HERE_IP, 5099, UDP, "udp", "x", "wrong")
    yield u
    u.close()


def ask(u, method, user, target, challenge=None, n=[0]):
    """One request with its answer: (answer, seconds). target: whom the Request-URI names; user: whom the sender claims to be."""
    n[0] += 1
    uri = "sip:example.com" if method == "REGISTER" else f"sip:{target}@example.com"
    u.user = user
    extra = EXTRA.get(method, "")
    if challenge:
        extra += f"Authorization: {u.authorization(challenge, method, uri, password='wrong')}\r\n"
    to = f"<sip:{user if method == 'REGISTER' else target}@example.com>"
    ident, branch = f"a{n[0]:06d}@x", f"z9hG4bKa{n[0]:06d}"
    t = time.perf_counter()
    u.request(method, uri, to, ident, f"t{n[0]:06d}", extra=extra, body="hi" if method == "MESSAGE" else "", ctype="text/plain", branch=branch, cseq=1)
    end = time.time() + 3
    while time.time() < end:
        m = u.recv(3)
        if m and m.code >= 200 and m.get("call-id") == ident:
            t = time.perf_counter() - t
            if method == "INVITE":
                u.request("ACK", uri, to, ident, f"t{n[0]:06d}", m.tag("to"), branch=branch, cseq=1)
            return m, t
    raise AssertionError(f"no answer to {method} by {user}")


def shape(m, *names):
    """The answer with everything that must differ replaced by marks of one size."""
    text = m.raw.decode()
    for n in names:
        text = text.replace(n, "NAME")
    text = re.sub(r"a\d{6}@x", "CALLID", text)
    text = re.sub(r"z9hG4bKa\d{6}", "BRANCH", text)
    text = re.sub(r"tag=t\d{6}", "tag=OURS", text)
    text = re.sub(r"tag=[a-z2-7]{26}", "tag=THEIRS", text)
    return re.sub(r'nonce="[^"]{%d}"' % len(re.search(r'nonce="([^"]*)"', text).group(1)) if 'nonce="' in text else "^$", 'nonce="NONCE"', text)


def pairs():
    """Names that exist and names that do not, of the same length."""
    return [str(1000 + i) for i in range(USERS)], [str(4000 + i) for i in range(USERS)]


CASES = [(m, c, w) for m in METHODS for c in (False, True) for w in ("claimed", "called") if not (m == "REGISTER" and w == "called")]


def one(u, method, wrong, which, name):
    """As a stranger who claims to be name, or calls name; with wrong credentials if wrong."""
    user, target = (name, "1001") if which == "claimed" else ("4999", name)
    challenge = None
    if wrong:
        challenge = ask(u, method, user, target)[0].get("www-authenticate")
    m, t = ask(u, method, user, target, challenge)
    return m, t, (user, target)


@pytest.mark.parametrize("method,wrong,which", CASES)
def test_same_bytes(g, ua, method, wrong, which):
    real, none = pairs()
    seen = {}
    for kind, names in (("exists", real), ("missing", none)):
        for n in names[:8]:
            m, _, known = one(ua, method, wrong, which, n)
            seen.setdefault(kind, set()).add((m.start, len(m.raw), shape(m, *known)))
    assert len(seen["exists"]) == 1 and seen["exists"] == seen["missing"], seen
    m = next(iter(seen["exists"]))
    assert m[0].split()[1] == ("403" if wrong else "401"), m


def rank_biserial(a, b):
    """Mann-Whitney's U as an effect from -1 to 1; 0: neither group is the slower."""
    both = sorted([(x, 0) for x in a] + [(x, 1) for x in b])
    ranks, i = 0.0, 0
    while i < len(both):
        k = i
        while k < len(both) and both[k][0] == both[i][0]:
            k += 1
        ranks += sum(1 for x in both[i:k] if x[1] == 0) * (i + k + 1) / 2
        i = k
    u = ranks - len(a) * (len(a) + 1) / 2
    return 2 * u / (len(a) * len(b)) - 1


def test_the_measure_itself():
    r = random.Random(1)
    a, b = [r.gauss(10, 1) for _ in range(200)], [r.gauss(10, 1) for _ in range(200)]
    assert abs(rank_biserial(a, b)) < 0.2
    assert rank_biserial([x + 1 for x in a], b) > 0.4 and rank_biserial(a, [x + 1 for x in b]) < -0.4


@pytest.mark.parametrize("method,wrong,which", [(m, c, "claimed") for m in METHODS for c in (False, True)])
def test_same_time(g, ua, method, wrong, which):
    """200 tries each, in random order. By chance the effect is within 0.06 two times of three, and beyond 0.3 never. An effect
    that is there may be as large as FAINT at the most, a fraction of any network's jitter."""
    real, none = pairs()
    order = [("exists", real)] * 200 + [("missing", none)] * 200
    random.shuffle(order)
    took = {"exists": [], "missing": []}
    for _ in range(5):
        one(ua, method, wrong, which, "1000")
    for i, (kind, names) in enumerate(order):
        took[kind].append(one(ua, method, wrong, which, names[i % USERS])[1])
    effect = rank_biserial(took["exists"], took["missing"])
    mid = {k: statistics.median(v) * 1e6 for k, v in took.items()}
    print(f"{method}, {'wrong' if wrong else 'no'} credentials: exists {mid['exists']:.0f} us, missing {mid['missing']:.0f} us, effect {effect:+.3f}")
    assert abs(effect) < 0.3 or abs(mid["exists"] - mid["missing"]) < FAINT, f"{mid}, effect {effect:+.3f}"


ODD = [
    "OPTIONS sip:example.com SIP/3.0\r\n", "BREW sip:pot@example.com SIP/2.0\r\n", "INVITE http://example.com/ SIP/2.0\r\n", "PUBLISH sip:1001@example.com SIP/2.0\r\n",
    "BYE sip:1001@example.com SIP/2.0\r\n", "CANCEL sip:1001@example.com SIP/2.0\r\n", "PRACK sip:1001@example.com SIP/2.0\r\n", "REFER sip:1001@example.com SIP/2.0\r\n",
    "NOTIFY sip:1001@example.com SIP/2.0\r\n", "UPDATE sip:1001@example.com SIP/2.0\r\n", "INFO sip:1001@example.com SIP/2.0\r\n",
]
HEAD = "Via: SIP/2.0/UDP {ip}:5099;branch={b};rport\r\nMax-Forwards: {f}\r\nFrom: <sip:1001@example.com>;tag=1\r\nTo: <sip:1002@example.com>{t}\r\nCall-ID: {b}@x\r\nCSeq: 1 {m}\r\n{x}Content-Length: 0\r\n\r\n"


def test_no_answer_names_the_product(g, ua):
    codes = set()
    lines = [(s, f, t, x) for s in ODD for f in (70, 0) for t in ("", ";tag=7") for x in ("", "Require: nothing\r\n", "Contact: broken <\r\n")]
    for i, (start, f, t, x) in enumerate(lines):
        b = f"z9hG4bKodd{i}"
        ua.send((start + HEAD.format(ip=HERE_IP, b=b, f=f, t=t, x=x, m=start.split()[0])).encode())
        m = ua.recv(0.05)
        while m:
            codes.add(m.code)
            assert not m.all("server") and not m.all("user-agent"), m
            assert b"ingwall" not in m.raw, m
            m = ua.recv(0.01)
    assert len(codes) >= 4, codes
    for method in METHODS:
        m, _ = ask(ua, method, "1001", "1002")
        assert not m.all("server") and not m.all("user-agent") and b"ingwall" not in m.raw, m


def test_silent_zone_answers_no_scanner(net):
    g = gateway(kernel="none", users=3, silent="yes", guard=EXEMPT, config=CONFIG.replace("192.0.2.1:", "192.0.2.2:").replace("198.51.100.1:", "198.51.100.2:"))
    sh("ip", "address", "replace", "192.0.2.2/32", "dev", "world")
    sh("ip", "address", "replace", "198.51.100.2/24", "dev", "office")
    net.world.sh("ip", "route", "replace", "192.0.2.2/32", "dev", "eth0")
    to = ("192.0.2.2", 5060)
    g.start()
    try:
        with net.world.inside():
            u = Ua(HERE_IP, 0, to, "udp", "x", "wrong")
            v = Ua(HERE_IP, 0, to, "udp", "1000", g.passwords["1000"])
        for method in METHODS:  # as scanners do, who know an address and no domain
            u.request(method, "sip:100@192.0.2.2", "<sip:100@192.0.2.2>", f"s{method}@x", "t", from_="<sip:100@1.1.1.1>", extra=EXTRA.get(method, ""))
            u.silence(0.4)
        for start in ODD:
            u.send((start.replace("example.com", "192.0.2.2") + HEAD.format(ip=HERE_IP, b="z9hG4bKq" + start[:4], f=70, t="", x="", m=start.split()[0])).encode())
            u.silence(0.2)
        u.send(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
        u.silence(0.3)
        v.register(60)  # and whoever knows the name and a password is served
        u.close(), v.close()
    finally:
        g.close()
