#!/usr/bin/env python3
"""Writes sip_tables.h from headers.def: the byte classes and a perfect hash over header names.

usage: tables_gen.py headers.def sip_tables.h
"""
import re
import sys

SLOT_BITS = 9
M64 = (1 << 64) - 1


def names(path):
    rows = re.findall(r'^H\((\w+), "([^"]+)", (0|\'(.)\'),', open(path).read(), re.M)
    return [(ident, name, letter) for ident, name, _, letter in rows]


def words(name):
    raw = bytes(c | 0x20 for c in name.encode())
    if len(raw) > 24 or not re.fullmatch(rb'[a-z-]+', raw):
        sys.exit('header name that the hash cannot hold: ' + name)
    raw = raw.ljust(24, b'\0')
    return [int.from_bytes(raw[i:i + 8], 'little') for i in (0, 8, 16)]


def search(rows):
    """Multipliers that give every name a slot of its own (a fixed walk: the same table each time)."""
    x = 0x9E3779B97F4A7C15
    while True:
        ks = []
        for _ in range(3):
            x = (x * 6364136223846793005 + 1442695040888963407) & M64
            ks.append(x | 1)
        slots = {}
        for i, row in enumerate(rows):
            h = sum(w * k for w, k in zip(words(row[1]), ks)) & M64
            if slots.setdefault(h >> (64 - SLOT_BITS), i) != i:
                break
        else:
            return ks, slots


ALNUM = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'
UNRESERVED = ALNUM + "-_.!~*'()"
CLASSES = [
    ('C_TOKEN', ALNUM + "-.!%*_+`'~", 'RFC 3261 token'),
    ('C_LWS', ' \t\r\n', 'LWS; CR LF occur inside fields only as folds'),
    ('C_DIGIT', '0123456789', ''),
    ('C_HEX', '0123456789abcdefABCDEF', ''),
    ('C_CALLID', ALNUM + '-.!%*_+`\'~()<>:\\"/[]?{}@', 'word, and "@"'),
    ('C_URI', UNRESERVED + ';/?:@&=+$,%[]#', 'any byte a URI may hold'),
    ('C_USER', UNRESERVED + '&=+$,;?/', 'user, without escapes'),
    ('C_PASSWORD', UNRESERVED + '&=+$,', 'password, without escapes'),
    ('C_PARAM', UNRESERVED + '[]/:&+$', 'paramchar, without escapes'),
    ('C_HNV', UNRESERVED + '[]/?:+$', 'URI header name or value, without escapes'),
    ('C_HOST', ALNUM + '-._', 'host name; "_" because networks use it'),
    ('C_VALUE', ALNUM + "-.!%*_+`'~[]:", 'gen-value that is not quoted: token or host'),
    ('C_SCHEME', ALNUM + '+-.', ''),
    ('C_TEL', '0123456789abcdefABCDEF*#-.()', 'phone digits and visual separators'),
]


def main(source, target):
    rows = names(source)
    ks, slots = search(rows)
    out = ['/* Made by tables_gen.py from headers.def. */', '#ifndef WIRE_SIP_TABLES_H',
           '#define WIRE_SIP_TABLES_H', '#include <stdint.h>']
    for bit, (name, _, note) in enumerate(CLASSES):
        out.append('#define %s 0x%04xu%s' % (name, 1 << bit, ' /* %s */' % note if note else ''))
    out.append('#define SIP_CLASSES \\')
    bits = [sum(1 << b for b, cl in enumerate(CLASSES) if c < 128 and chr(c) in cl[1])
            for c in range(256)]
    rows8 = [', '.join('0x%04x' % v for v in bits[i:i + 8]) for i in range(0, 256, 8)]
    out.append(', \\\n'.join('    ' + r for r in rows8))
    for i, k in enumerate(ks):
        out.append('#define SIP_HASH_K%d UINT64_C(0x%016x)' % (i, k))
    out.append('#define SIP_HASH_SHIFT %d' % (64 - SLOT_BITS))
    out.append('#define SIP_HASH_SLOTS %d' % (1 << SLOT_BITS))
    out.append('#define SIP_HASH_TABLE \\')
    out.append(', \\\n'.join('    [%d] = HDR_%s' % (s, rows[i][0]) for s, i in sorted(slots.items())))
    out.append('#define SIP_NAME_WORDS \\')
    out.append(', \\\n'.join('    [HDR_%s] = {{%s}}' % (
        r[0], ', '.join('UINT64_C(0x%016x)' % w for w in words(r[1]))) for r in rows))
    out.append('#define SIP_COMPACT_TABLE \\')
    out.append(', \\\n'.join("    ['%s' - 'a'] = HDR_%s" % (r[2], r[0]) for r in rows if r[2]))
    out.append('#endif')
    open(target, 'w').write('\n'.join(out) + '\n')


main(sys.argv[1], sys.argv[2])
