"""Last: what was on the wire of the public side during all tests."""
import os, re
import pytest


def test_public_side_shows_nothing_private(gw, capture):
    if not capture:
        pytest.skip("capturing needs root and tshark")
    data = open(capture, "rb").read()
    import struct
    assert len(data) > 100000, "the capture is empty: it would find nothing"
    # pcapng or pcap: walk by dumb search over packets split with tshark
    import subprocess
    r = subprocess.run(["tshark", "-r", capture, "-Y", "udp and ip.src == 127.0.1.1", "-T", "fields", "-e", "udp.srcport", "-e", "udp.payload"],
                       capture_output=True, text=True)
    seen = 0
    for line in r.stdout.splitlines():
        port, _, payload = line.partition("\t")
        body = bytes.fromhex(payload.replace(":", ""))
        if port == "5060":
            seen += 1
            for word in (b"127.0.2.", b"127.0.6.", b"Server:", b"pbxtag", b"secret-name"):
                assert word not in body, f"{word} on the public side: {body[:600]}"
    assert seen > 50


def alaw(b):
    b ^= 0x55
    e, m = (b >> 4) & 7, b & 15
    v = (m * 2 + 33) << max(e - 1, 0) if e else m * 2 + 1
    return v * 8 if b & 0x80 else -v * 8


def test_no_audio_in_the_clear_towards_secured_phones(gw, capture):
    """Packets to and from the phones of test_baresip: the tones that were heard are not in them. The same search finds them on
    the PBX's side, so it could."""
    if not capture:
        pytest.skip("capturing needs root and tshark")
    import subprocess
    from baresip import power

    def tones(flt):
        r = subprocess.run(["tshark", "-r", capture, "-Y", flt + " and udp.length > 160", "-T", "fields", "-e", "ip.src", "-e", "udp.srcport", "-e", "ip.dst", "-e", "udp.dstport", "-e", "udp.payload"],
                           capture_output=True, text=True)
        rows = [x.split("\t") for x in r.stdout.splitlines()]
        loud = [x[:4] for x in rows[::10] if max(power([alaw(b) for b in bytes.fromhex(x[4].replace(":", ""))[12:172]], hz) for hz in (440, 1000)) > 0.5]
        return len(rows), loud
    n, loud = tones("udp.port in {32000..32040} and not ip.addr == 127.0.61.0/24")
    assert n > 200 and not loud, loud[:5]
    n, loud = tones("udp.port in {33000..33040}")
    assert n > 200 and len(loud) > n / 20


def test_no_plain_sip_on_the_tls_port(gw, capture):
    if not capture:
        pytest.skip("capturing needs root and tshark")
    import subprocess
    r = subprocess.run(["tshark", "-r", capture, "-Y", "tcp.port == 5061 and tcp.len > 0", "-T", "fields", "-e", "tcp.payload"], capture_output=True, text=True)
    rows = [bytes.fromhex(x.replace(":", "")) for x in r.stdout.split() if x]
    assert len(rows) > 100
    assert not [x for x in rows if b"SIP/2.0" in x or b"INVITE" in x]
