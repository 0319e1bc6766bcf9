"""A small SIP user agent for tests: UDP, TCP or TLS, digest with every algorithm, and full control over what is sent."""
import hashlib, os, re, select, socket, ssl, time

HASH = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


def h(alg, text):
    return hashlib.new(HASH[alg], text.encode()).hexdigest()


class Message:
    def __init__(self, raw):
        self.raw = raw
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("utf-8", "replace").split("\r\n")
        self.start = lines[0]
        self.headers = [(k.strip().lower(), v.strip()) for k, _, v in (x.partition(":") for x in lines[1:])]
        self.code = int(self.start.split()[1]) if self.start.startswith("SIP/2.0 ") else 0
        self.method = self.start.split()[0] if not self.code else self.get("cseq").split()[1]

    def all(self, name):
        return [v for k, v in self.headers if k == name]

    def get(self, name):
        v = self.all(name)
        return v[0] if v else ""

    def tag(self, name):
        m = re.search(r";tag=([^;]+)", self.get(name))
        return m.group(1) if m else ""

    def uri(self, name):
        m = re.search(r"<([^>]+)>", self.get(name))
        return m.group(1) if m else self.get(name)

    def __repr__(self):
        return self.raw.decode("utf-8", "replace")


def sdp(ip, port, pt="8", extra="", proto="RTP/AVP"):
    v = "IP6" if ":" in ip else "IP4"
    return (f"v=0\r\no=tester 7 7 IN {v} {ip}\r\ns=secret-name\r\nc=IN {v} {ip}\r\nt=0 0\r\nm=audio {port} {proto} {pt} 101\r\n"
            f"a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n{extra}a=sendrecv\r\n")


class Ua:
    def __init__(self, ip, port, proxy, transport="udp", user="alice", password="", domain="example.com", ca=None):
        self.ip, self.proxy, self.transport, self.user, self.password, self.domain = ip, proxy, transport, user, password, domain
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        self.buf = b""
        self.cseq = 0
        if transport == "udp":
            self.s = socket.socket(family, socket.SOCK_DGRAM)
            self.s.bind((ip, port))
        else:
            raw = socket.socket(family, socket.SOCK_STREAM)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            raw.bind((ip, port))
            raw.settimeout(5)
            raw.connect(proxy)
            if transport == "tls":
                ctx = ssl.create_default_context(cafile=ca)
                raw = ctx.wrap_socket(raw, server_hostname=domain)
            self.s = raw
        self.port = self.s.getsockname()[1]

    def host(self):
        return f"[{self.ip}]" if ":" in self.ip else self.ip

    def contact(self):
        return f"<sip:{self.user}@{self.host()}:{self.port}" + ("" if self.transport == "udp" else f";transport={self.transport}") + ">"

    def via(self, branch=None):
        return f"SIP/2.0/{self.transport.upper()} {self.host()}:{self.port};branch={branch or 'z9hG4bK' + os.urandom(6).hex()};rport"

    def send(self, text, body="", to=None):
        if isinstance(text, str):
            text = text.rstrip("\r\n") + f"\r\nContent-Length: {len(body.encode())}\r\n\r\n" + body
            text = text.encode()
        if self.transport == "udp":
            self.s.sendto(text, to or self.proxy)
        else:
            self.s.sendall(text)

    def frame(self):
        self.buf = self.buf.lstrip(b"\r\n")
        i = self.buf.find(b"\r\n\r\n")
        if i < 0:
            return None
        m = re.search(rb"\r\n(?:content-length|l)\s*:\s*(\d+)", self.buf[:i + 2], re.I)
        n = i + 4 + (int(m.group(1)) if m else 0)
        if len(self.buf) < n:
            return None
        raw, self.buf = self.buf[:n], self.buf[n:]
        return Message(raw)

    def recv(self, timeout=3.0):
        """Next message, or None."""
        end = time.time() + timeout
        while True:
            if self.transport != "udp":
                m = self.frame()
                if m:
                    return m
            left = end - time.time()
            if left <= 0:
                return None
            if not (self.transport == "tls" and self.s.pending()) and not select.select([self.s], [], [], left)[0]:
                return None
            if self.transport == "udp":
                data, self.source = self.s.recvfrom(65536)
                if data.strip():
                    return Message(data)
            else:
                data = self.s.recv(65536)
                if not data:
                    return None
                self.buf += data

    def expect(self, what, timeout=4.0, skip=("100",)):
        """The next message that is a response with this code or class ("180", "2xx") or a request of this method."""
        end = time.time() + timeout
        seen = []
        while time.time() < end:
            m = self.recv(end - time.time())
            if not m:
                break
            if m.code:
                if what == str(m.code) or (what[1:] == "xx" and what[0] == str(m.code)[0]):
                    return m
                if str(m.code) in skip or (m.code < 200 and "1xx" in skip):
                    continue
            elif m.method == what:
                return m
            seen.append(m.start)
        raise AssertionError(f"{self.user}: no {what} in {timeout} s, but {seen}")

    def silence(self, seconds):
        m = self.recv(seconds)
        assert m is None, f"{self.user}: unexpected {m}"

    def authorization(self, challenge, method, uri, nc=1, alg=None, password=None, user=None, cnonce="0a4f113b"):
        get = lambda k: (re.search(k + r'="?([^",]+)', challenge) or [None, ""])[1]
        alg = alg or get("algorithm") or "MD5"
        user, realm, nonce = user or self.user, get("realm"), get("nonce")
        ha1 = h(alg, f"{user}:{realm}:{password or self.password}")
        ha2 = h(alg, f"{method}:{uri}")
        r = h(alg, f"{ha1}:{nonce}:{nc:08x}:{cnonce}:auth:{ha2}")
        return (f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{r}", algorithm={alg}, '
                f'cnonce="{cnonce}", qop=auth, nc={nc:08x}')

    def request(self, method, uri, to, call_id, from_tag, to_tag="", extra="", body="", ctype="application/sdp", branch=None, cseq=None, from_=None, route=""):
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        t = f"{to};tag={to_tag}" if to_tag else to
        head = (f"{method} {uri} SIP/2.0\r\nVia: {self.via(branch)}\r\n{route}Max-Forwards: 70\r\nFrom: {from_ or f'<sip:{self.user}@{self.domain}>'};tag={from_tag}\r\n"
                f"To: {t}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContact: {self.contact()}\r\nUser-Agent: tester/1.0\r\n{extra}")
        if body:
            head += f"Content-Type: {ctype}\r\n"
        self.send(head, body)

    def register(self, expires=600, alg=None, expect="200", extra="", contact_extra=""):
        uri, call_id, tag = f"sip:{self.domain}", os.urandom(8).hex(), os.urandom(4).hex()
        ex = f"Expires: {expires}\r\n{extra}"
        self.request("REGISTER", uri, f"<sip:{self.user}@{self.domain}>", call_id, tag, extra=ex)
        m = self.expect("401")
        ch = [c for c in m.all("www-authenticate") if not alg or f"algorithm={alg}," in c + ","]
        assert ch, f"{alg} is not offered: {m}"
        self.request("REGISTER", uri, f"<sip:{self.user}@{self.domain}>", call_id, tag,
                     extra=ex + "Authorization: " + self.authorization(ch[0], "REGISTER", uri, alg=alg) + "\r\n")
        return self.expect(expect)

    def reply(self, req, code, phrase="X", to_tag=None, body="", extra="", contact=True):
        to = req.get("to")
        if to_tag and "tag=" not in to:
            to += f";tag={to_tag}"
        head = f"SIP/2.0 {code} {phrase}\r\n" + "".join(f"Via: {v}\r\n" for v in req.all("via")) + \
            "".join(f"Record-Route: {v}\r\n" for v in req.all("record-route")) + \
            f"From: {req.get('from')}\r\nTo: {to}\r\nCall-ID: {req.get('call-id')}\r\nCSeq: {req.get('cseq')}\r\n"
        if contact:
            head += f"Contact: {self.contact()}\r\n"
        head += extra
        if body:
            head += "Content-Type: application/sdp\r\n"
        self.send(head, body, to=getattr(self, "source", None))

    def close(self):
        self.s.close()


class Call:
    """The caller's side of one call."""
    def __init__(self, ua, number, body=None, extra=""):
        self.ua, self.uri = ua, f"sip:{number}@{ua.domain}"
        self.to = f"<{self.uri}>"
        self.id, self.tag = os.urandom(8).hex() + "@caller.invalid", os.urandom(4).hex()
        self.body = sdp(ua.ip, 40000) if body is None else body
        self.extra = extra
        self.remote_tag = ""

    def invite(self, auth=True, expect_challenge=True):
        self.branch = "z9hG4bK" + os.urandom(6).hex()
        self.ua.request("INVITE", self.uri, self.to, self.id, self.tag, body=self.body, extra=self.extra, branch=self.branch)
        if not auth:
            return
        m = self.ua.expect("401")
        self.ack(m)
        self.branch = "z9hG4bK" + os.urandom(6).hex()
        a = self.ua.authorization(m.get("www-authenticate"), "INVITE", self.uri)
        self.ua.request("INVITE", self.uri, self.to, self.id, self.tag, body=self.body, extra=self.extra + f"Authorization: {a}\r\n", branch=self.branch)

    def ack(self, m):
        """For a non-2xx of the INVITE."""
        self.ua.request("ACK", self.uri, m.get("to").split(";tag=")[0], self.id, self.tag, m.tag("to"), branch=self.branch, cseq=int(m.get("cseq").split()[0]))

    def answered(self, timeout=5):
        m = self.ua.expect("200", timeout, skip=("100", "180", "183"))
        self.remote_tag, self.target = m.tag("to"), m.uri("contact")
        self.ok = m
        self.invite_cseq = self.ua.cseq
        self.ack2xx()
        return m

    def ack2xx(self, body=""):
        self.ua.request("ACK", self.target, self.to, self.id, self.tag, self.remote_tag, cseq=self.invite_cseq, body=body)

    def within(self, method, body="", extra="", ctype="application/sdp"):
        self.ua.request(method, self.target, self.to, self.id, self.tag, self.remote_tag, body=body, extra=extra, ctype=ctype)

    def cancel(self):
        self.ua.request("CANCEL", self.uri, self.to, self.id, self.tag, branch=self.branch, cseq=self.ua.cseq)

    def bye(self, expect="200"):
        self.within("BYE")
        return self.ua.expect(expect)


class Ask:
    """A request of a phone, with its credentials; later ones in the dialog that it made."""
    def __init__(self, u, method, number, extra="", body="", ctype="text/plain", password=None):
        self.u, self.method = u, method
        self.uri = f"sip:{number}@example.com"
        self.id, self.tag = os.urandom(8).hex() + "@secret.invalid", os.urandom(4).hex()
        self.to_tag = ""
        u.request(method, self.uri, f"<{self.uri}>", self.id, self.tag, extra=extra, body=body, ctype=ctype)
        m = u.expect("401")
        a = u.authorization(m.get("www-authenticate"), method, self.uri, password=password)
        u.request(method, self.uri, f"<{self.uri}>", self.id, self.tag, extra=extra + f"Authorization: {a}\r\n", body=body, ctype=ctype)

    def took(self, code):
        self.ok = self.u.expect(code)
        self.to_tag, self.target = self.ok.tag("to"), self.ok.uri("contact")
        return self.ok

    def again(self, extra, method=None):
        self.u.request(method or self.method, self.target, f"<{self.uri}>", self.id, self.tag, self.to_tag, extra=extra)
