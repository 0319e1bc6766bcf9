"""Writes files of the MaxMind DB format (version 2.0, records of 24 bits): enough for countries."""
import ipaddress


def _text(s):
    b = s.encode()
    assert len(b) < 29
    return bytes([0x40 | len(b)]) + b


def _number(kind, value, size):
    head = bytes([kind << 5 | size]) if kind < 8 else bytes([size, kind - 7])
    return head + value.to_bytes(size, "big")


def write(path, networks, epoch):
    """networks: {"192.0.2.0/24": "DE"}, wider ones first."""
    nodes, data, at = [[None, None]], b"", {}
    for net, code in networks.items():
        if code not in at:
            at[code] = len(data)
            data += bytes([0xE1]) + _text("country") + bytes([0xE1]) + _text("iso_code") + _text(code)
        n = ipaddress.ip_network(net)
        value, bits = int(n.network_address), n.prefixlen + (96 if n.version == 4 else 0)
        node = 0
        for i in range(bits):
            bit = value >> (127 - i) & 1
            if i == bits - 1:
                nodes[node][bit] = -1 - at[code]
                break
            below = nodes[node][bit]
            if below is None or below < 0:
                nodes.append([below, below])
                nodes[node][bit] = below = len(nodes) - 1
            node = below

    def record(v):
        return (len(nodes) if v is None else v if v >= 0 else len(nodes) + 16 + (-1 - v)).to_bytes(3, "big")
    out = b"".join(record(l) + record(r) for l, r in nodes) + bytes(16) + data
    out += b"\xab\xcd\xefMaxMind.com" + bytes([0xE9])
    out += _text("node_count") + _number(6, len(nodes), 4) + _text("record_size") + _number(5, 24, 2)
    out += _text("ip_version") + _number(5, 6, 2) + _text("database_type") + _text("Test")
    out += _text("languages") + bytes([0, 4]) + _text("binary_format_major_version") + _number(5, 2, 2)
    out += _text("binary_format_minor_version") + _number(5, 0, 2) + _text("build_epoch") + _number(9, int(epoch), 8)
    out += _text("description") + bytes([0xE0])
    with open(path, "wb") as f:
        f.write(out)
