"""SIPp scenarios made from steps, so that every cell of the matrix speaks the same words."""
KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"


class Script:
    def __init__(self, domain="example.com", srtp=False, timer=False):
        self.srtp, self.timer, self.domain, self.steps, self.cseq = srtp, timer, domain, [], 0

    def _send(self, method, uri, to_tag="[peer_tag_param]", extra="", body="", routes="[routes]\n", retrans=True, branch="[branch]", cseq=None):
        n = self.cseq if cseq is None else cseq
        to = "[field0]" if method == "REGISTER" else "[field2]"
        self.steps.append(f"""<send{' retrans="500"' if retrans else ""}><![CDATA[
{method} {uri} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch={branch};rport
From: <sip:[field0]@{self.domain}>;tag=[pid]t[call_number]
To: <sip:{to}@{self.domain}>{to_tag}
Call-ID: [call_id]
CSeq: {n} {method}
Contact: <sip:[field0]@[local_ip]:[local_port];transport=[transport]>
{routes}Max-Forwards: 70
{extra}Content-Length: [len]

{body}]]></send>""")

    def _sdp(self, version, direction="sendrecv"):
        crypto = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\n" if self.srtp else ""
        return (f"v=0\no=tester 1 {version} IN IP4 [local_ip]\ns=-\nc=IN IP4 [local_ip]\nt=0 0\nm=audio [media_port] RTP/{'SAVP' if self.srtp else 'AVP'} 8\n"
                f"a=rtpmap:8 PCMA/8000\n{crypto}a={direction}\n")

    def _recv(self, what, attrs=""):
        self.steps.append(f'<recv {"response" if what.isdigit() else "request"}="{what}" {attrs}/>')

    def register(self, expires=60):
        for auth in (False, True):
            self.cseq += 1
            self._send("REGISTER", f"sip:{self.domain}", "", f"Expires: {expires}\n" + ("[field1]\n" if auth else ""), routes="")
            self._recv("200" if auth else "401", "" if auth else 'auth="true"')
        return self

    def invite(self, answer="200", auth=True):
        """answer 180: stops there; another code: is what the call gets."""
        uri = f"sip:[field2]@{self.domain}"
        timer = "Supported: timer\nSession-Expires: 90;refresher=uas\n" if self.timer else ""
        self.cseq += 1
        self._send("INVITE", uri, "", timer + "Content-Type: application/sdp\n", self._sdp(1), routes="")
        self._recv("100", 'optional="true"')
        if auth:
            self._recv("401", 'auth="true"')
            self._send("ACK", uri, "[peer_tag_param]", routes="", retrans=False, branch="[branch-3]")
            self.cseq += 1
            self._send("INVITE", uri, "", "[field1]\n" + timer + "Content-Type: application/sdp\n", self._sdp(2), routes="")
            self._recv("100", 'optional="true"')
        if answer == "180":
            self._recv("180")
            return self
        self._recv("180", 'optional="true"')
        self._recv(answer, 'rrs="true"')
        if answer == "200":
            self._send("ACK", "[next_url]", retrans=False)
        else:
            self._send("ACK", uri, retrans=False, routes="", branch="[branch-4]")
        return self

    def again(self, version, direction):
        self.cseq += 1
        self._send("INVITE", "[next_url]", extra="Content-Type: application/sdp\n", body=self._sdp(version, direction))
        self._recv("100", 'optional="true"')
        self._recv("200", 'rrs="true"')
        self._send("ACK", "[next_url]", retrans=False)
        return self

    def cancel(self, auth=True, ordered=True):
        """ordered: the answer to CANCEL comes before the INVITE's, as no proxy with several workers promises."""
        uri, back = f"sip:[field2]@{self.domain}", len(self.steps) - max(i for i, s in enumerate(self.steps) if "\nINVITE " in s)
        self._send("CANCEL", uri, "", routes="", branch=f"[branch-{back}]")
        self._recv("200", "" if ordered else 'optional="true"')
        self._recv("487")
        self._send("ACK", uri, routes="", retrans=False, branch=f"[branch-{back + 3}]")
        return self

    def refer(self, number, told=True):
        """Blind transfer; then the other side hangs up. told: NOTIFYs come before that, one each for trying, ringing and done."""
        self.cseq += 1
        self._send("REFER", "[next_url]", extra=f"Refer-To: <sip:{number}@{self.domain}>\nReferred-By: <sip:[field0]@{self.domain}>\n" + ("" if told else "Refer-Sub: false\n"))
        self._recv("202")
        for _ in range(3 if told else 0):
            self._recv("NOTIFY")
            self._ok()
        self._recv("BYE")
        return self._ok()

    def _ok(self):
        self.steps.append("<send><![CDATA[\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\nContent-Length: 0\n\n]]></send>")
        return self

    def refreshed(self, seconds):
        """The other side's session refresh by re-INVITE (no UPDATE in our Allow)."""
        self._recv("INVITE", f'timeout="{seconds * 1000}"')
        self.steps.append(f"""<send retrans="500"><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[field0]@[local_ip]:[local_port];transport=[transport]>
Require: timer
Session-Expires: 90;refresher=uac
Content-Type: application/sdp
Content-Length: [len]

{self._sdp(2)}]]></send>""")
        self._recv("ACK")
        return self

    def pause(self, ms):
        self.steps.append(f'<pause milliseconds="{ms}"/>')
        return self

    def bye(self):
        self.cseq += 1
        self._send("BYE", "[next_url]")
        self._recv("200")
        return self

    def write(self, path):
        with open(path, "w") as f:
            f.write('<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="matrix">\n' + "\n".join(self.steps) + "\n</scenario>\n")
        return path
