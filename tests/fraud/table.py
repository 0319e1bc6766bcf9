#!/usr/bin/env python3
"""The table of what the judge of behaviour finds in a simulated organisation.
usage: table.py PROGRAM [--seeds N]         prints the table
       table.py PROGRAM --check FILE        two seeds; fails below the bars and if FILE has no table
       table.py PROGRAM --write FILE        puts the table into FILE, between its two marks
The seeds are those for judging; those for tuning begin at 1 (PROGRAM N 1)."""
import subprocess, sys

BEGIN, END = "<!-- table: tests/fraud/table.py writes it -->", "<!-- end of table -->"
CAP_DAY = 20.0  # of an untouched install, for one identity
LOCKS, RECALL = 1.0, 0.95


def rows(program, seeds):
    r = subprocess.run([program, str(seeds)], capture_output=True, text=True)
    if r.returncode:
        raise SystemExit(f"{program} ended with {r.returncode}: {(r.stdout + r.stderr)[-3000:]}")
    lines = [line.split("\t") for line in r.stdout.splitlines()]
    return lines[0], lines[1:]


def minutes(text):
    m = int(text)
    return f"{m} min" if m < 120 else f"{m / 60:.0f} h" if m < 2880 else f"{m / 1440:.0f} d"


def table(year, rs):
    _, seeds, calls, months, locks, refused = year
    rate = int(locks) * 1000 / int(months)
    out = ["| fraud | intensity | tries | found | recall | stopped after | at most | lost untold | lost | lost with caps | worst day with caps | by |",
           "| --- " * 12 + "|"]
    for n, how, tries, found, mean, most, none, loss, caps, worst, by in rs:
        after = [minutes(mean), minutes(most)] if int(found) else ["-", "-"]
        out.append(f"| {n} | {how} | {tries} | {found} | {100 * int(found) // int(tries)} % | {after[0]} | {after[1]} | {none} | {loss} | {caps} | {worst} | {by or '-'} |")
    out += ["", f"{seeds} years of 200 people, {int(calls):,} honest calls in {int(months):,} user-months: {locks} false locks, {rate:.2f} in 1,000 "
                f"user-months; {refused} honest calls refused, one in {int(calls) // max(int(refused), 1):,}."]
    return out


def judge(year, rs, path=None):
    bad = []
    months, locks = int(year[3]), int(year[4])
    allowed = LOCKS * months / 1000 + (3 if months < 10000 else 0)  # few seeds: luck
    if locks > allowed:
        bad.append(f"{locks} false locks in {months} user-months")
    for how in ("middle", "high"):
        mine = [r for r in rs if r[1] == how]
        tries, found = sum(int(r[2]) for r in mine), sum(int(r[3]) for r in mine)
        if found < RECALL * tries:
            bad.append(f"{how}: {found} of {tries} found")
    for r in rs:
        if float(r[9]) > CAP_DAY and r[0] != "Wangiri":  # a lure costs many identities a little
            bad.append(f"{r[0]}, {r[1]}: {r[9]} in a day, over the cap of {CAP_DAY}")
    if path:
        text = open(path).read().partition(BEGIN)[2].partition(END)[0]
        bad += [f"{r[0]}, {r[1]}: {path} has no such row; write it anew (--write)" for r in rs if f"| {r[0]} | {r[1]} |" not in text]
    return bad


def main():
    program, what = sys.argv[1], sys.argv[2:]
    check = what[:1] == ["--check"]
    year, rs = rows(program, int(what[1]) if what[:1] == ["--seeds"] else 2 if check else 20)
    if what[:1] == ["--write"]:
        text = open(what[1]).read()
        before, after = text.partition(BEGIN)[0], text.partition(END)[2]
        with open(what[1], "w") as f:
            f.write(before + BEGIN + "\n\n" + "\n".join(table(year, rs)) + "\n\n" + END + after)
        print("\n".join(judge(year, rs)))
        return 0
    print("\n".join(table(year, rs)))
    bad = judge(year, rs, what[1] if check else None)
    print("\n".join(["", "below the bars:"] + bad) if bad else "\nwithin the bars")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
