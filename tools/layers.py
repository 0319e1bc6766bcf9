#!/usr/bin/env python3
"""Checks every #include under src/ against LAYERS: a floor may include itself and the floors that its
line names, nothing else of ours. With --selftest it checks trees that must fail, so that a check that
has gone blind is noticed."""
import pathlib
import re
import sys
import tempfile

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
# Headers that do I/O or wait; floors that may not reach io may not have them either.
OUTSIDE = {'sys/epoll.h', 'sys/mman.h', 'sys/stat.h', 'sys/wait.h', 'sys/ioctl.h', 'sys/un.h', 'sys/uio.h',
           'netdb.h', 'dirent.h', 'pthread.h', 'signal.h', 'poll.h', 'sys/select.h', 'threads.h', 'syslog.h'}
MAY_IO = {'io', 'ipc', 'app', 'crypto'}


def read_layers(path):
    """floor -> set of floors below it; order of the lines is the order of the floors."""
    allowed = {}
    for n, line in enumerate(path.read_text().splitlines(), 1):
        line = line.split('#')[0].strip()
        if not line:
            continue
        floor, colon, below = line.partition(':')
        if not colon or floor in allowed:
            raise SystemExit(f'{path}:{n}: not "floor: floors below"')
        for b in below.split():
            if b not in allowed:
                raise SystemExit(f'{path}:{n}: {floor} names {b}, which is no floor below it')
        allowed[floor] = set(below.split())
    return allowed


def check_file(path, floor, allowed, src):
    found = []
    where = path.relative_to(src)
    for n, line in enumerate(path.read_text(errors='replace').splitlines(), 1):
        m = INCLUDE.match(line)
        if not m:
            continue
        quote, name = m.groups()
        if quote == '<':
            if name in OUTSIDE and floor not in MAY_IO and not path.name.endswith('_test.c'):
                found.append(f'{where}:{n}: <{name}> has no place on floor {floor}')
            continue
        target, slash, _ = name.partition('/')
        if not slash or '..' in name:
            found.append(f'{where}:{n}: "{name}" must be spelled floor/name.h')
        elif target not in allowed:
            found.append(f'{where}:{n}: "{name}": {target} is no floor in LAYERS')
        elif target != floor and target not in allowed[floor]:
            found.append(f'{where}:{n}: {floor} may not include {target}')
        elif name == 'base/test.h' and not path.name.endswith('_test.c') and '_test' not in path.stem:
            found.append(f'{where}:{n}: base/test.h is for tests only')
    return found


def check_tree(root):
    allowed = read_layers(root / 'LAYERS')
    src = root / 'src'
    found = []
    for path in sorted(p for p in src.rglob('*') if p.suffix in ('.c', '.h', '.def', '.inc')):
        floor = path.relative_to(src).parts[0]
        if floor not in allowed:
            found.append(f'{path.relative_to(src)}: folder {floor} is no floor in LAYERS')
            continue
        found += check_file(path, floor, allowed, src)
    return found


def selftest():
    rows = [
        ('sip/a.c', '#include "base/str.h"\n', True),
        ('sip/a.c', '#include "wire/sip/msg.h"\n', True),
        ('sip/a.c', '#include "sip/b.h"\n', True),
        ('sip/a.c', '#include <string.h>\n', True),
        ('sip/a.c', '#include "io/loop.h"\n', False),
        ('sip/a.c', '  #  include "ipc/ring.h"\n', False),
        ('base/a.h', '#include "wire/sip/msg.h"\n', False),
        ('wire/deep/a.h', '#include "sip/b.h"\n', False),
        ('sip/a.c', '#include "b.h"\n', False),
        ('sip/a.c', '#include "sip/../io/loop.h"\n', False),
        ('sip/a.c', '#include "attic/b.h"\n', False),
        ('sip/a.c', '#include <sys/epoll.h>\n', False),
        ('sip/a_test.c', '#include <pthread.h>\n', True),
        ('io/a.c', '#include <sys/epoll.h>\n', True),
        ('sip/a.c', '#include "base/test.h"\n', False),
        ('sip/a_test.c', '#include "base/test.h"\n', True),
        ('attic/a.c', '\n', False),
    ]
    bad = 0
    for name, text, good in rows:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / 'LAYERS').write_text('base:\nio: base\nipc: base io\nwire: base\nsip: base wire\n')
            path = root / 'src' / name
            path.parent.mkdir(parents=True)
            path.write_text(text)
            found = check_tree(root)
            if (not found) != good:
                bad += 1
                print(f'selftest: {name}: {text.strip()!r} should {"pass" if good else "fail"}: {found}')
    print(f'[  {"FAILED" if bad else "PASSED"}  ] {bad or len(rows)} test(s).')
    return bad


def main():
    if sys.argv[1:] == ['--selftest']:
        return 1 if selftest() else 0
    root = pathlib.Path(sys.argv[1]) if sys.argv[1:] else pathlib.Path(__file__).resolve().parent.parent
    found = check_tree(root)
    for line in found:
        print(line)
    if not found:
        print('[  PASSED  ] 1 test(s).')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
