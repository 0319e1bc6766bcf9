"""RTP endpoints for tests, and SRTP of our own by python3-cryptography: an opinion independent of the product's."""
import base64, hashlib, hmac, os, select, socket, struct, time
try:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError:
    Cipher = None


def packet(seq, ts=None, payload=b"\xd5" * 160, pt=8, ssrc=0x1234, marker=False):
    return struct.pack("!BBHII", 0x80, pt | (0x80 if marker else 0), seq & 0xffff, (seq * 160 if ts is None else ts) & 0xffffffff, ssrc) + payload


def receiver_report(ssrc=0x1234):
    return struct.pack("!BBHI", 0x80, 201, 1, ssrc) + struct.pack("!BBHI", 0x81, 202, 3, ssrc) + b"\x01\x04abcd\x00\x00"


class Rtp:
    """Two sockets, port and port + 1."""
    def __init__(self, ip, port=0):
        self.ip = ip
        while True:
            self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.s.bind((ip, port))
            self.port = self.s.getsockname()[1]
            self.c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                if self.port % 2 == 0:
                    self.c.bind((ip, self.port + 1))
                    break
            except OSError:
                pass
            self.s.close(), self.c.close()
            assert not port

    def send(self, to, data):
        self.s.sendto(data, to)

    def recv(self, timeout=1.0, rtcp=False):
        s = self.c if rtcp else self.s
        return s.recv(2048) if select.select([s], [], [], timeout)[0] else None

    def drain(self, quiet=0.3):
        got = []
        while (p := self.recv(quiet)) is not None:
            got.append(p)
        return got

    def close(self):
        self.s.close(), self.c.close()


def where(sdp):
    """Address and port of the description's first stream."""
    text = sdp.decode() if isinstance(sdp, bytes) else sdp
    ip = [l.split()[2] for l in text.split("\r\n") if l.startswith("c=")][-1]
    return ip, int([l for l in text.split("\r\n") if l.startswith("m=audio")][0].split()[1])


SALT = {"AES_CM_128_HMAC_SHA1_80": (16, 14), "AEAD_AES_128_GCM": (16, 12), "AEAD_AES_256_GCM": (32, 12)}


class Srtp:
    """One direction of SRTP (RFC 3711, RFC 7714)."""
    def __init__(self, suite, key):
        raw = base64.b64decode(key)
        n, s = SALT[suite]
        self.gcm = "GCM" in suite
        master, salt = raw[:n], raw[n:].ljust(14, b"\0")
        self.roc, self.last = 0, None

        def derive(label, size):
            x = int.from_bytes(salt, "big") ^ (label << 48)
            return Cipher(algorithms.AES(master), modes.CTR((x << 16).to_bytes(16, "big"))).encryptor().update(b"\0" * size)
        self.key, self.auth, self.salt = derive(0, n), derive(1, 20), derive(2, s)

    def cm(self, ssrc, index, data):
        iv = (int.from_bytes(self.salt, "big") << 16) ^ (ssrc << 64) ^ (index << 16)
        return Cipher(algorithms.AES(self.key), modes.CTR(iv.to_bytes(16, "big"))).encryptor().update(data)

    def iv(self, ssrc, roc, seq):
        return bytes(a ^ b for a, b in zip(struct.pack("!HIIH", 0, ssrc, roc, seq), self.salt))

    def protect(self, p):
        seq, ssrc = struct.unpack("!H", p[2:4])[0], struct.unpack("!I", p[8:12])[0]
        if self.last is not None and seq < 0x4000 and self.last > 0xc000:
            self.roc += 1
        self.last = seq
        if self.gcm:
            return p[:12] + AESGCM(self.key).encrypt(self.iv(ssrc, self.roc, seq), p[12:], p[:12])
        out = p[:12] + self.cm(ssrc, self.roc << 16 | seq, p[12:])
        return out + hmac.new(self.auth, out + struct.pack("!I", self.roc), hashlib.sha1).digest()[:10]

    def unprotect(self, p):
        seq, ssrc = struct.unpack("!H", p[2:4])[0], struct.unpack("!I", p[8:12])[0]
        if self.gcm:
            return p[:12] + AESGCM(self.key).decrypt(self.iv(ssrc, self.roc, seq), p[12:], p[:12])
        body, tag = p[:-10], p[-10:]
        assert hmac.new(self.auth, body + struct.pack("!I", self.roc), hashlib.sha1).digest()[:10] == tag, "tag"
        return body[:12] + self.cm(ssrc, self.roc << 16 | seq, body[12:])


def new_key(suite):
    return base64.b64encode(os.urandom(sum(SALT[suite]))).decode()
