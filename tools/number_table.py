#!/usr/bin/env python3
"""Kinds of telephone numbers as one automaton over their digits, from the metadata of
python3-phonenumbers: number_table.py OUT.h. The same package gives the same bytes.

Every pattern of the metadata accepts words of bounded length, so the automaton has no cycle and is
minimal once equal states are one. A state is an offset into a flat table of the ten next states."""
import sys

try:
    import phonenumbers
except ImportError:  # an interpreter that is not the system's sees no package of the system
    sys.path.append('/usr/lib/python3/dist-packages')
    import phonenumbers
from phonenumbers import PhoneMetadata
from phonenumbers.data import _COUNTRY_CODE_TO_REGION_CODE as REGIONS

try:
    from re import _parser as grammar
except ImportError:
    import sre_parse as grammar

# What the program knows; order is struct number's kinds in number.c.
NONE, LAND, MOBILE, FREE, SHARED, PREMIUM, EMERGENCY = range(7)
# The dear ones first: what fits two patterns of a region is what costs more, except that a land
# line which may be a mobile counts as a land line.
KINDS = [('premium_rate', PREMIUM), ('toll_free', FREE), ('shared_cost', SHARED), ('voip', LAND),
         ('personal_number', PREMIUM), ('pager', PREMIUM), ('uan', SHARED), ('voicemail', MOBILE),
         ('fixed_line', LAND), ('mobile', MOBILE)]
SHORT = [('emergency', EMERGENCY), ('premium_rate', PREMIUM)]
# Ranges that opened after the version that Debian ships; looked at last, so a package that knows
# better wins. Code, region, national number, kind.
LATER = [(code, region, '8[129]\\d{7}', PREMIUM) for code, region in
         [(508, 'PM'), (590, 'GP'), (594, 'GF'), (596, 'MQ')]]
LATER += [(248, 'SC', '85\\d{5}', PREMIUM), (597, 'SR', '90\\d{5}', PREMIUM),
          (229, 'BJ', '012\\d{7}', LAND), (229, 'BJ', '01[013-9]\\d{7}', MOBILE),
          (234, 'NG', '20\\d{8}', LAND), (56, 'CL', '600\\d{6}', LAND)]


class Nfa:
    def __init__(self):
        self.move, self.eps, self.end = [], [], {}

    def state(self):
        self.move.append({})
        self.eps.append([])
        return len(self.move) - 1

    def digits(self, at, want):
        to = self.state()
        for d in want:
            self.move[at].setdefault(d, []).append(to)
        return to

    def word(self, at, tree):
        for op, arg in tree:
            at = self.item(at, str(op), arg)
        return at

    def item(self, at, op, arg):
        if op == 'LITERAL':
            return self.digits(at, [arg - 48])
        if op == 'IN':
            return self.digits(at, sorted(members(arg)))
        if op == 'SUBPATTERN':
            return self.word(at, arg[-1])
        if op == 'BRANCH':
            out = self.state()
            for alternative in arg[1]:
                self.eps[self.word(at, alternative)].append(out)
            return out
        if op == 'MAX_REPEAT':
            low, high, what = arg
            if high > 30:
                raise SystemExit('number_table.py: a pattern without end')
            for _ in range(low):
                at = self.word(at, what)
            out = self.state()
            self.eps[at].append(out)
            for _ in range(high - low):
                at = self.word(at, what)
                self.eps[at].append(out)
            return out
        raise SystemExit('number_table.py: cannot read ' + op)

    def closure(self, states):
        seen, todo = set(states), list(states)
        while todo:
            for t in self.eps[todo.pop()]:
                if t not in seen:
                    seen.add(t)
                    todo.append(t)
        return frozenset(seen)


def members(items):
    out = set()
    for op, arg in items:
        op = str(op)
        if op == 'LITERAL':
            out.add(arg - 48)
        elif op == 'RANGE':
            out.update(range(arg[0] - 48, arg[1] - 47))
        elif op == 'CATEGORY' and str(arg) == 'CATEGORY_DIGIT':
            out.update(range(10))
        else:
            raise SystemExit('number_table.py: cannot read ' + op)
    if not out <= set(range(10)):
        raise SystemExit('number_table.py: a pattern of more than digits')
    return out


class Table:
    """Equal states once. Node 0 leads nowhere."""
    def __init__(self):
        self.nodes, self.known = [(0,) + (0,) * 10], {(0,) + (0,) * 10: 0}

    def node(self, label, children):
        key = (label,) + tuple(children)
        if key not in self.known:
            self.known[key] = len(self.nodes)
            self.nodes.append(key)
        return self.known[key]

    def of(self, nfa, start):
        memo = {}

        def build(states):
            if states not in memo:
                ends = [nfa.end[s] for s in states if s in nfa.end]
                children = []
                for d in range(10):
                    to = [t for s in states for t in nfa.move[s].get(d, ())]
                    children.append(build(nfa.closure(to)) if to else 0)
                memo[states] = self.node(min(ends)[1] if ends else 0, children)
            return memo[states]
        return build(nfa.closure([start]))


def add(nfa, start, desc, rank, label):
    if desc is None or not desc.national_number_pattern:
        return
    if not [n for n in desc.possible_length if n > 0] and desc.possible_length:
        return
    pattern(nfa, start, desc.national_number_pattern, rank, label)


def pattern(nfa, start, text, rank, label):
    end = nfa.word(start, grammar.parse(text))
    out = nfa.state()  # an end of its own: the pattern's last state may be another's middle
    nfa.eps[end].append(out)
    nfa.end[out] = (rank, label)


def plain(prefix, other):
    return prefix if prefix and prefix.isdigit() else other


def main():
    table, countries, codes = Table(), [], {}
    for code in sorted(REGIONS):
        for region in REGIONS[code]:
            if region != '001':
                countries.append((region, code))
    countries.sort()
    index = {region: i + 1 for i, (region, _) in enumerate(countries)}
    roots = {}
    for code in sorted(REGIONS):
        nfa = Nfa()
        start = nfa.state()
        for order, region in enumerate(REGIONS[code]):
            meta = (PhoneMetadata.metadata_for_nongeo_region(code) if region == '001'
                    else PhoneMetadata.metadata_for_region(region))
            where = index.get(region, 0)
            for rank, (name, kind) in enumerate(KINDS):
                add(nfa, start, getattr(meta, name), (order, rank), where * 8 + kind)
        for at, region, text, kind in LATER:
            if at == code:
                pattern(nfa, start, text, (99, 0), index[region] * 8 + kind)
        roots[code] = table.of(nfa, start)
        codes[code] = index.get(REGIONS[code][0], 0)
    tree = {}
    for code, root in roots.items():
        tree[str(code)] = root

    def top(prefix):
        if prefix in tree:
            return tree[prefix]
        if not any(c.startswith(prefix) for c in tree):
            return 0
        return table.node(0, [top(prefix + str(d)) for d in range(10)])
    root = top('')
    short = []
    for region, _ in countries:
        nfa = Nfa()
        start = nfa.state()
        meta = PhoneMetadata.short_metadata_for_region(region)
        for rank, (name, kind) in enumerate(SHORT):
            if meta is not None:
                add(nfa, start, getattr(meta, name), (0, rank), index[region] * 8 + kind)
        short.append(table.of(nfa, start))
    write(table, countries, codes, root, short)


def write(table, countries, codes, root, short):
    nodes = table.nodes
    if len(nodes) > 65535:
        raise SystemExit('number_table.py: %u states do not fit 16 bits' % len(nodes))
    with open(sys.argv[1], 'w', encoding='ascii') as f:
        f.write('/* Made by tools/number_table.py. */\n')
        f.write('#define NUMBERS_SOURCE "libphonenumber %s"\n' % phonenumbers.__version__)
        f.write('#define NUMBERS_ROOT %uu\n#define NUMBERS_STATES %uu\n' % (root, len(nodes)))
        f.write('static const uint16_t numbers_next[NUMBERS_STATES][10] = {\n')
        for n in nodes:
            f.write('{%s},\n' % ','.join(map(str, n[1:])))
        f.write('};\nstatic const uint16_t numbers_label[NUMBERS_STATES] = {\n')
        for at in range(0, len(nodes), 16):
            f.write(','.join(str(n[0]) for n in nodes[at:at + 16]) + ',\n')
        f.write('};\n/* country, its code, state where its short numbers begin, trunk prefix, '
                'international prefix */\n')
        f.write('static const struct numbers_country numbers_countries[] = {\n')
        for (region, code), begin in zip(countries, short):
            meta = PhoneMetadata.metadata_for_region(region)
            f.write('{%u, %u, %u, "%s", "%s"},\n' % (
                ord(region[0]) << 8 | ord(region[1]), code, begin,
                plain(meta.national_prefix, ''),
                plain(meta.international_prefix, '011' if code == 1 else '00')[:7]))
        f.write('};\n/* by country code: index from 1 of its first country; 0: none */\n')
        f.write('static const uint8_t numbers_codes[1000] = {\n')
        for at in range(0, 1000, 20):
            f.write(','.join(str(codes.get(c, 0)) for c in range(at, at + 20)) + ',\n')
        f.write('};\n')


main()
