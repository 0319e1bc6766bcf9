"""What a message costs grows no faster than its bytes: instructions of the SIP and SDP parsers at n and 4n units, counted
by callgrind in a program of its own (cost.c with the wire sources; sanitized code does not run under valgrind)."""
import glob, os, re, shlex, shutil, subprocess, sys
import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CC = shlex.split(os.environ.get("CC", "cc"))
if not shutil.which("valgrind"):
    pytest.skip("cost of parsing: valgrind is not installed", allow_module_level=True)

SLACK = 4.6      # four times the units may cost this many times as much
PER_BYTE = 200   # instructions a byte, for whatever input (the most: a stream that comes a byte at a time)

REQUEST = b"INVITE %s SIP/2.0\r\n"
VIA = b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1%s\r\n"
FROM, TO = b"From: %s<sip:alice@example.com>;tag=1%s\r\n", b"To: <sip:bob@example.com>\r\n"
REST = b"Call-ID: a\r\nCSeq: 1 INVITE\r\n"
SDP = b"v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"


def msg(uri=b"sip:bob@example.com", via=b"", display=b"", tag=b"", headers=b"", body=b"", length=True):
    text = REQUEST % uri + VIA % via + FROM % (display, tag) + TO + REST + headers
    return text + (b"Content-Length: %d\r\n" % len(body) if length else b"") + b"\r\n" + body


def head(line, rest=b""):
    """A header field that ends in k units."""
    return lambda unit: lambda k: msg(headers=line + unit * k + rest + b"\r\n")


def numbered(k, unit):
    return b"".join(unit % i for i in range(k))


def mixed(body):
    return msg(headers=b"Content-Type: multipart/mixed;boundary=b\r\n", body=body)


def nested(depth, inside):
    body = inside
    for i in range(depth):
        body = b"--b%d\r\nContent-Type: %s\r\n\r\n" % (i, b"multipart/mixed;boundary=b%d" % (i - 1) if i else b"text/plain") + body + b"\r\n--b%d--" % i
    return msg(headers=b"Content-Type: multipart/mixed;boundary=b%d\r\n" % (depth - 1), body=body)


def sdp(tail):
    return msg(headers=b"Content-Type: application/sdp\r\n", body=SDP + tail)


PART = b"--b\r\nContent-Type: text/plain\r\n\r\n0123456789\r\n"
MEDIA = b"m=audio 4000 RTP/AVP 0\r\n"

# name: (operation of cost.c, units n, input of k units). 4n units are within every limit.
TAKEN = {
    "header fields": ("a", 30, lambda k: msg(headers=b"X-A: bcdef\r\n" * k)),
    "header fields, compact and known": ("a", 30, lambda k: msg(headers=b"k: 100rel\r\n" * k)),
    "header fields, long names": ("a", 15, lambda k: msg(headers=b"X-%s: b\r\n" % (b"a" * 120) * k)),
    "long value": ("a", 2000, head(b"X-A: ")(b"a")),
    "long value of tabs": ("a", 2000, head(b"X-A: a", b"a")(b"\t")),
    "long value of colons": ("a", 2000, head(b"X-A: ")(b":")),
    "long Subject in UTF-8": ("a", 1000, head(b"Subject: ")("é".encode())),
    "white space before the colon": ("a", 2000, head(b"X-A", b": b")(b" ")),
    "folded lines": ("a", 500, head(b"X-A: a")(b"\r\n b")),
    "folds of white space": ("a", 600, head(b"X-A: a", b"b")(b"\r\n ")),
    "folds before a value": ("a", 600, head(b"Subject:", b"b")(b"\r\n ")),
    "folds in Via": ("a", 600, lambda k: msg(via=b";x=" + b"\r\n " * k + b"y")),
    "Via fields": ("a", 16, lambda k: msg(headers=VIA % b"" * k)),
    "Via in one field": ("a", 16, lambda k: msg(via=b",SIP/2.0/UDP 192.0.2.2" * k)),
    "Via parameters": ("a", 400, lambda k: msg(via=b";a=b" * k)),
    "Via parameters, quoted": ("a", 200, lambda k: msg(via=b';a="\\""' * k)),
    "From parameters": ("a", 400, lambda k: msg(tag=b";a=b" * k)),
    "display name": ("a", 1500, lambda k: msg(display=b'"' + b"a" * k + b'"')),
    "display name of quoted pairs": ("a", 900, lambda k: msg(display=b'"' + b"\\\x01" * k + b'"')),
    "display name of tokens": ("a", 700, lambda k: msg(display=b"a " * k)),
    "Contact elements": ("a", 7, lambda k: msg(headers=b"Contact: <sip:a@192.0.2.1>" + b", <sip:a@192.0.2.1>" * k + b"\r\n")),
    "Contact fields": ("a", 7, lambda k: msg(headers=b"m: <sip:a@192.0.2.1>;q=0.5\r\n" * k)),
    "Contact parameters": ("a", 400, head(b"Contact: <sip:a@192.0.2.1>")(b";a=b")),
    "Route elements": ("a", 80, head(b"Route: <sip:a;lr>")(b",<sip:a;lr>")),
    "Route that never closes": ("a", 1900, head(b"Route: ")(b"<")),
    "list of quotes that never close": ("a", 900, head(b"Supported: a")(b',"')),
    "list of angles that never close": ("a", 900, head(b"Supported: a")(b",<")),
    "list of quotes that close": ("a", 500, head(b"Supported: a")(b',"a"')),
    "list of commas": ("a", 1900, head(b"Supported: ")(b",")),
    "list of tokens": ("a", 900, head(b"Allow: INVITE")(b",A")),
    "Digest parameters": ("a", 400, head(b"Authorization: Digest realm=a")(b",a=b")),
    "Digest parameters, quoted": ("a", 300, head(b'Authorization: Digest realm="a"')(b',a="b"')),
    "Session-Expires parameters": ("a", 400, head(b"Session-Expires: 90")(b";a=b")),
    "media type parameters": ("a", 400, head(b"Content-Type: a/b")(b";a=b")),
    "long URI": ("a", 450, lambda k: msg(uri=b"sip:a" + b"a" * k + b"@example.com")),
    "long URI of escapes": ("a", 150, lambda k: msg(uri=b"sip:a" + b"%41" * k + b"@example.com")),
    "long host of labels": ("a", 30, lambda k: msg(uri=b"sip:a@" + b"a." * k + b"example.com")),
    "long tel URI": ("a", 240, lambda k: msg(uri=b"tel:+1" + b"-5" * k)),
    "long URN": ("a", 480, lambda k: msg(uri=b"urn:service:a" + b"a" * k)),
    "long URI parameter": ("a", 450, lambda k: msg(uri=b"sip:a@example.com;a=b" + b"b" * k)),
    "URI headers": ("u", 7, lambda k: b"sip:a@example.com?x=y" + b"&abcdefgh=ijklmnop" * k),
    "body": ("a", 15000, lambda k: msg(body=b"a" * k)),
    "body of delimiters": ("a", 15000, lambda k: mixed(b"-" * k + b"\r\n--b--")),
    "body of near delimiters": ("a", 3000, lambda k: mixed(b"\r\n--" * k + b"\r\n--b--")),
    "multipart, parts": ("a", 4, lambda k: mixed(PART * k + b"--b--")),
    "multipart, one long part": ("a", 15000, lambda k: mixed(PART + b"a" * k + b"\r\n--b--")),
    "multipart in multipart in multipart": ("a", 15000, lambda k: nested(3, b"a" * k)),
    "multipart in multipart in multipart, near delimiters": ("a", 2500, lambda k: nested(3, b"\r\n--b9" * k)),
    "part of many fields": ("a", 3, lambda k: mixed(b"--b\r\n" + b"X-A: bcdefghijklmnopqrstuvwxyz\r\n" * k + b"\r\na\r\n--b--")),
    "SDP attributes": ("a", 45, lambda k: sdp(MEDIA + b"a=rtpmap:0 PCMU/8000\r\n" * k)),
    "SDP m-lines": ("a", 2, lambda k: sdp(MEDIA * k)),
    "SDP formats": ("a", 7, lambda k: sdp(b"m=audio 4000 RTP/AVP 0" + b" 101" * k)),
    "SDP long line": ("a", 480, lambda k: sdp(b"a=x:" + b"y" * k)),
    "SDP dropped lines": ("a", 70, lambda k: sdp(b"i=abcdef\r\n" * k)),
    "SDP line ends behind it": ("a", 2000, lambda k: sdp(b"\n" * k)),
    "Content-Length of zeros": ("a", 1900, lambda k: msg(headers=b"Content-Length: " + b"0" * k + b"0\r\n", length=False)),
    "Content-Length spread over folds": ("a", 600, lambda k: msg(headers=b"Content-Length:" + b"\r\n " * k + b"0\r\n", length=False)),
    "Content-Length behind many fields": ("F", 2000, lambda k: msg(headers=b"X-A: b\r\n" * k)),
    "Content-Length before many fields": ("F", 2000, lambda k: msg(headers=b"Content-Length: 0\r\n" + b"X-A: b\r\n" * k, length=False)),
    "stream, a byte at a time, fields": ("f", 500, lambda k: msg(headers=b"X-A: b\r\n" * k)),
    "stream, a byte at a time, long value": ("f", 1900, head(b"X-A: ")(b"a")),
    "stream, a byte at a time, folds": ("f", 600, head(b"X-A: a", b"b")(b"\r\n ")),
    "stream, a byte at a time, body": ("f", 4000, lambda k: msg(body=b"a" * k)),
    "stream, a byte at a time, pings": ("f", 1000, lambda k: b"\r\n\r\n" * k + msg()),
    "stream, a byte at a time, messages": ("f", 20, lambda k: msg() * (k + 1)),
    "stream, messages at once": ("F", 50, lambda k: msg() * (k + 1)),
}

# The same where 4n units, or both, are refused: the refusal must not cost more than the bytes either.
REFUSED = {
    "header fields, 10 000": ("a", 2500, lambda k: msg(headers=b"a: b\r\n" * k)),
    "header fields, one too many": ("a", 33, lambda k: msg(headers=b"X-A: bcdef\r\n" * k)),
    "header name": ("a", 15000, head(b"", b": b")(b"a")),
    "long value": ("a", 15000, head(b"X-A: ")(b"a")),
    "value of quoted pairs": ("a", 7500, head(b'X-A: "', b'"')(b"\\\x01")),
    "folded lines": ("a", 3700, head(b"X-A: a")(b"\r\n b")),
    "folds of white space": ("a", 5000, head(b"X-A: a")(b"\r\n ")),
    "Via fields": ("a", 300, lambda k: msg(headers=VIA % b"" * k)),
    "Via in one field": ("a", 80, lambda k: msg(via=b",SIP/2.0/UDP 192.0.2.2" * k)),
    "Contact elements": ("a", 100, head(b"Contact: <sip:a@192.0.2.1>")(b", <sip:a@192.0.2.1>")),
    "long URI": ("a", 2100, lambda k: msg(uri=b"sip:" + b"a" * k + b"@example.com")),
    "URI of escapes": ("u", 15000, lambda k: b"sip:" + b"%41" * k),
    "URI parameters": ("u", 40, lambda k: b"sip:a@example.com" + b";abcdefg" + numbered(k, b";abc%04d")),
    "URI headers": ("u", 40, lambda k: b"sip:a@example.com?x=y" + b"&abcdefgh=i" * k),
    "host": ("a", 400, lambda k: msg(uri=b"sip:a@" + b"a." * k + b"example.com")),
    "IPv6 reference": ("a", 400, lambda k: msg(uri=b"sip:a@[" + b":" * k + b"]")),
    "Via that never ends": ("a", 1900, lambda k: msg(via=b";" * k)),
    "display name that never closes": ("a", 1900, lambda k: msg(display=b'"' + b"a" * k)),
    "display name of quotes": ("a", 1000, lambda k: msg(display=b'"' * (2 * k + 1))),
    "bare CR": ("a", 15000, lambda k: b"\r" * k),
    "bare LF": ("a", 15000, lambda k: b"\n" * k),
    "CRLF": ("a", 7500, lambda k: b"\r\n" * k),
    "NUL": ("a", 15000, lambda k: b"\0" * k),
    "colons": ("a", 15000, lambda k: b":" * k),
    "a word without end": ("a", 15000, lambda k: b"A" * k),
    "blanks without end": ("a", 15000, lambda k: b"INVITE" + b" " * k),
    "nearly the version": ("a", 3700, lambda k: b"INVITE a " + b"SIP/" * k),
    "bare CR in a value": ("a", 1900, head(b"X-A: a")(b"\r")),
    "bare LF in a value": ("a", 1900, head(b"X-A: a")(b"\n")),
    "control bytes behind a quoted value": ("a", 3700, head(b'X-A: "', b'" \x01')(b"\\\x01")),
    "Content-Length fields": ("a", 750, lambda k: msg(headers=b"Content-Length: 0\r\n" * k)),
    "Content-Length fields, stream": ("F", 750, lambda k: msg(headers=b"Content-Length: 0\r\n" * k)),
    "Content-Length of nines": ("a", 1900, lambda k: msg(headers=b"Content-Length: " + b"9" * k + b"\r\n", length=False)),
    "multipart, parts": ("a", 300, lambda k: mixed(PART * k + b"--b--")),
    "multipart that never closes": ("a", 15000, lambda k: mixed(PART + b"-" * k)),
    "multipart, deep": ("a", 8, lambda k: nested(k, b"a" * 1000)),
    "part of many fields": ("a", 300, lambda k: mixed(b"--b\r\n" + b"X-A: bcdefghijklmnopqrstuvwxyz\r\n" * k + b"\r\na\r\n--b--")),
    "SDP attributes": ("a", 80, lambda k: sdp(MEDIA + b"a=rtpmap:0 PCMU/8000\r\n" * k)),
    "SDP lines": ("a", 400, lambda k: sdp(b"a=x\r\n" * k)),
    "SDP m-lines": ("a", 70, lambda k: sdp(MEDIA * k)),
    "SDP formats": ("a", 400, lambda k: sdp(b"m=audio 4000 RTP/AVP 0" + b" 101" * k)),
    "SDP text": ("a", 15000, lambda k: sdp(b"a=x:" + b"y" * k)),
    "SDP of line ends": ("d", 15000, lambda k: b"\n" * k + b"v=0"),
    "SDP, line ends and then something": ("d", 2000, lambda k: SDP + b"\n" * k + b"x"),
    "stream, a head beyond the limit": ("F", 20000, lambda k: b"INVITE" + b"\r\n\ra" * k),
    "stream, a byte at a time, no end": ("f", 4000, lambda k: b"A" * k),
    "stream, a byte at a time, CR": ("f", 4000, lambda k: b"INVITE" + b"\r" * k),
    "stream, a byte at a time, nearly the end": ("f", 1000, lambda k: b"INVITE" + b"\r\n\ra" * k),
    "stream, a byte at a time, fields and no end": ("f", 500, lambda k: msg(headers=b"X-A: b\r\n" * k, length=False)[:-2]),
    "stream, fields and no Content-Length": ("F", 1800, lambda k: msg(headers=b"X-A: b\r\n" * k, length=False)),
}

# Bounded, but within the bound the square: names of URI parameters are compared with one another, at most 32 of them.
PER_BYTE_BOUNDED = 300
BOUNDED = {"URI parameters, names of one length": ("u", 7, lambda k: b"sip:a@example.com" + numbered(k, b";" + b"a" * 50 + b"%03d"))}

QUADRATIC = ("q", 2000, lambda k: b"a" * k)


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    d = tmp_path_factory.mktemp("cost")
    (d / "wire" / "sip").mkdir(parents=True)
    sip = os.path.join(ROOT, "src", "wire", "sip")
    subprocess.run([sys.executable, sip + "/tables_gen.py", sip + "/headers.def", d / "wire" / "sip" / "sip_tables.h"], check=True)
    files = [f for room in ("base", "wire/sip", "wire/sdp") for f in sorted(glob.glob(f"{ROOT}/src/{room}/*.c")) if not f.endswith("_test.c")]
    exe = str(d / "cost")
    subprocess.run(CC + ["-std=gnu17", "-O2", "-Wl,-z,now", "-D_GNU_SOURCE", "-DNDEBUG", "-I", ROOT + "/src", "-I", str(d),
                         os.path.join(ROOT, "tests", "cost", "cost.c")] + files + ["-o", exe], check=True)
    return exe


@pytest.fixture(scope="session")
def counts(program, tmp_path_factory):
    """{(table, name): [(bytes, result, instructions) at 0, n and 4n units]}, all in one run."""
    jobs = [(t, name, k * case[1], case) for t, table in (("taken", TAKEN), ("refused", REFUSED), ("bounded", BOUNDED), ("self", {"square": QUADRATIC}))
            for name, case in table.items() for k in (0, 1, 4)]
    feed = b"".join(b"%s %d\n" % (case[0].encode(), len(case[2](k))) + case[2](k) for _, _, k, case in jobs)
    out = str(tmp_path_factory.mktemp("counts") / "c")
    r = subprocess.run(["valgrind", "-q", "--tool=callgrind", "--toggle-collect=measured", "--dump-after=measured", "--callgrind-out-file=" + out, program],
                       input=feed, capture_output=True, timeout=240)
    results = r.stdout.split()
    assert r.returncode == 0 and len(results) == len(jobs), (r.returncode, len(results), len(jobs), r.stderr[-1000:])
    found = {}
    for i, (table, name, k, case) in enumerate(jobs):
        with open(f"{out}.{i + 1}") as f:
            n = int(re.search(r"^(?:summary|totals): (\d+)", f.read(), re.M).group(1))
        found.setdefault((table, name), []).append((len(case[2](k)), int(results[i]), n))
    return found


def growth(c):
    """Cost of 4n units over that of n, without the cost of none."""
    return (c[2][2] - c[0][2]) / max(1, c[1][2] - c[0][2])


@pytest.mark.parametrize("name", TAKEN)
def test_taken(counts, name):
    c = counts["taken", name]
    assert [x[1] for x in c] == [0, 0, 0], c
    assert growth(c) <= SLACK, c
    assert c[2][2] <= PER_BYTE * c[2][0], c


@pytest.mark.parametrize("name", REFUSED)
def test_refused(counts, name):
    """A refusal may come before what a good message costs, so nothing is taken off."""
    c = counts["refused", name]
    assert c[2][1] != 0, c
    assert c[2][2] <= SLACK * c[1][2], c
    assert c[2][2] <= PER_BYTE * c[2][0], c


@pytest.mark.parametrize("name", BOUNDED)
def test_bounded(counts, name):
    c = counts["bounded", name]
    assert c[2][1] == 0, c
    assert c[2][2] <= PER_BYTE_BOUNDED * c[2][0], c


def test_the_square_is_seen(counts):
    assert growth(counts["self", "square"]) > 2 * SLACK
