#!/usr/bin/env python3
"""Bytes of a file as a C array: tools/embed.py FILE|- NAME OUTPUT. "-": an array of one zero byte, for what was not built."""
import pathlib
import sys

source, name, out = sys.argv[1:]
data = b"\0" if source == "-" else pathlib.Path(source).read_bytes()
rows = [", ".join("0x%02x" % b for b in data[i:i + 16]) for i in range(0, len(data), 16)]
pathlib.Path(out).write_text("static const _Alignas(8) unsigned char %s[] = {\n%s};\n" % (name, ",\n".join(rows)))
