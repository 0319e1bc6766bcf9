#!/usr/bin/env python3
"""Reports files over 600 lines and functions over 50 (a table or one flat switch may be longer; say so
in place with "long: why" in the comment above or in the function). Fails only above twice the aim."""
import pathlib
import re
import sys

FILE_AIM, FUNCTION_AIM = 600, 50
HEAD = re.compile(r'^[A-Za-z_].*\)\s*$')


def functions(lines):
    """(name, first line, length) of every function body: '{' and '}' alone in the first column."""
    start = None
    for n, line in enumerate(lines):
        if line == '{' and n and (HEAD.match(lines[n - 1]) or lines[n - 1].rstrip().endswith(')')):
            start = n
        elif line == '}' and start is not None:
            yield name_of(lines, start), start, n - start - 1
            start = None


def name_of(lines, brace):
    head = brace - 1
    while head and lines[head].startswith((' ', '\t')):
        head -= 1
    found = re.search(r'(\w+)\(', lines[head])
    return found.group(1) if found else lines[head]


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    failed = False
    for path in sorted((root / 'src').rglob('*.[ch]')):
        lines = path.read_text(errors='replace').splitlines()
        where = path.relative_to(root)
        test = path.name.endswith('_test.c')
        if len(lines) > FILE_AIM and not test:
            print(f'{where}: {len(lines)} lines')
            failed |= len(lines) > 2 * FILE_AIM
        for name, start, length in functions(lines):
            told = any('long:' in line for line in lines[max(0, start - 12):start + length])
            if length > FUNCTION_AIM and not test and not told:
                print(f'{where}:{start + 1}: {name} has {length} lines')
                failed |= length > 2 * FUNCTION_AIM
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
