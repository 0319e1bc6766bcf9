"""Late: what has aged since the tests began. Alone it waits for that, five minutes."""
import time
from gateway import PUB
from ua import Ua

LIFE = 300  # of a nonce


def test_nonce_that_has_aged(gw):
    """A right answer to an old challenge: asked anew, told that only the nonce is stale, and let in with the new one; no failed try."""
    at, challenge = gw.challenge
    time.sleep(max(0, at + LIFE + 2 - time.time()))
    u = Ua("127.0.1.99", 0, (PUB, 5060), "udp", "alice", gw.passwords["alice"])
    before, failed = gw.reason("auth_stale"), gw.reason("auth_failed")
    for want in ("401", "200"):
        a = u.authorization(challenge, "REGISTER", "sip:example.com")
        u.request("REGISTER", "sip:example.com", "<sip:alice@example.com>", "old2@x", "t", extra=f"Expires: 60\r\nAuthorization: {a}\r\n")
        m = u.expect(want)
        challenge = m.get("www-authenticate")
        assert want == "200" or "stale=true" in challenge.lower(), m
    u.contact = lambda: "*"
    u.register(expires=0)
    u.close()
    assert gw.reason("auth_stale") == before + 1 and gw.reason("auth_failed") == failed
