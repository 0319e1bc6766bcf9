#!/usr/bin/env python3
"""The table of what the shield finds in labelled traffic, from the program beside it.
usage: table.py PROGRAM                  prints the table
       table.py PROGRAM --check FILE     fails if a row is worse than FILE promises
       table.py PROGRAM --write FILE     puts the table into FILE, between its two marks"""
import subprocess, sys

BEGIN, END = "<!-- table: tests/detect/table.py writes it -->", "<!-- end of table -->"
HEAD = "| attack | pace | found by | after | packets | done | after | packets | false alerts | false bans |"
BENIGN = "| honest traffic | false alerts | false bans | calls failed | phones refused | without service at the end | calls answered |"
FORGED = "flood with a phone's address"  # which is to be left alone


def rows(program):
    names = ("name", "pace", "found", "after", "packets", "by", "treat", "done_after", "done_packets", "alerts", "bans", "failed", "services", "off", "up", "first")
    r = subprocess.run([program], capture_output=True, text=True)
    if r.returncode:
        raise SystemExit(f"{program} ended with {r.returncode}: {(r.stdout + r.stderr)[-3000:]}")
    return [dict(zip(names, line.split("\t"))) for line in r.stdout.splitlines() if line.count("\t") == 15]


def span(text):
    s = float(text)
    return f"{s * 1000:.0f} ms" if s < 1 else f"{s:.1f} s" if s < 120 else f"{s / 60:.0f} min" if s < 7200 else f"{s / 3600:.1f} h"


def benign(r):
    return r["pace"] == "-"


def table(rs):
    out = [BENIGN, "| --- " * 7 + "|"]
    for r in rs:
        if benign(r):
            out.append(f"| {r['name']} | {r['alerts']} | {r['bans']} | {r['failed']} | {r['services']} | {r['off']} | {r['up']} |")
    out += ["", HEAD, "| --- " * 10 + "|"]
    for r in rs:
        if benign(r):
            continue
        found = [r["found"], span(r["after"]), r["packets"]] if r["found"] != "-" else ["not found", "-", "-"]
        done = [f"{r['treat']} ({r['by']})", span(r["done_after"]), r["done_packets"]] if r["by"] != "-" else ["nothing", "-", "-"]
        if r["name"].startswith(FORGED) and found[0] == "not found":
            found[0] = "left alone"
        out.append("| " + " | ".join([r["name"], r["pace"], *found, *done, r["alerts"], r["bans"]]) + " |")
    attacks = [r for r in rs if not benign(r)]
    attacks = [r for r in attacks if not r["name"].startswith(FORGED)]
    n, m = sum(r["found"] != "-" for r in attacks), sum(r["treat"] not in ("-", "challenge", "tarpit") for r in attacks)
    out += ["", f"Of {len(attacks)} rows {n} were found and {m} answered by force; {sum(int(r['bans']) for r in rs)} false bans, "
                f"{sum(int(r['alerts']) for r in rs)} false alerts."]
    return out


def cells(line):
    return [c.strip() for c in line.strip().strip("|").split("|")]


def promised(path):
    """Rows of the table that stands in the file, by name and pace."""
    got = {}
    for line in open(path).read().partition(BEGIN)[2].partition(END)[0].splitlines():
        c = cells(line)
        if len(c) == 7 and c[1].isdigit():
            got[c[0], "-"] = c
        elif len(c) == 10 and c[-1].isdigit():
            got[c[0], c[1]] = c
    return got


def seconds(text):
    v, _, unit = text.partition(" ")
    return float(v) * {"ms": 0.001, "s": 1, "min": 60, "h": 3600}[unit] if unit else 0.0


def worse(old, r):
    """Why this row is worse than its promise; empty if it is not."""
    why = []
    if benign(r):
        if int(r["bans"]):
            why.append(f"{r['bans']} false bans ({r['first']})")
        for k, i, what in (("alerts", 1, "false alerts"), ("failed", 3, "failed calls"), ("services", 4, "phones refused"), ("off", 5, "phones without service")):
            if int(r[k]) > int(old[i]):
                why.append(f"{what}: {r[k]} instead of {old[i]} ({r['first']})")
        return why
    if old[2] not in ("not found", "left alone"):
        if r["found"] == "-":
            why.append(f"not found any more; {old[2]} did")
        elif float(r["after"]) > seconds(old[3]) * 1.5 + 2:
            why.append(f"found after {span(r['after'])} instead of {old[3]}")
    if old[5] != "nothing" and r["by"] == "-":
        why.append("nothing is done about it any more")
    elif old[5] != "nothing" and float(r["done_after"]) > seconds(old[6]) * 1.5 + 2:
        why.append(f"answered after {span(r['done_after'])} instead of {old[6]}")
    for k, i in (("alerts", 8), ("bans", 9)):
        if int(r[k]) > int(old[i]):
            why.append(f"false {k}: {r[k]} instead of {old[i]} ({r['first']})")
    return why


def check(rs, path):
    old, bad = promised(path), []
    now = {(r["name"], r["pace"]): r for r in rs}
    bad += [f"{k[0]}, {k[1]}: the row is gone" for k in old if k not in now]
    for k, r in now.items():
        if k not in old:
            bad.append(f"{k[0]}, {k[1]}: {path} has no such row; write it anew (--write)")
        else:
            bad += [f"{k[0]}, {k[1]}: {w}" for w in worse(old[k], r)]
    return bad


def main():
    program, what = sys.argv[1], sys.argv[2:]
    rs = rows(program)
    if what[:1] == ["--write"]:
        text = open(what[1]).read()
        before, after = text.partition(BEGIN)[0], text.partition(END)[2]
        with open(what[1], "w") as f:
            f.write(before + BEGIN + "\n\n" + "\n".join(table(rs)) + "\n\n" + END + after)
        return 0
    print("\n".join(table(rs)))
    if what[:1] != ["--check"]:
        return 0
    bad = check(rs, what[1])
    print("\n".join(["", "worse than promised:"] + bad) if bad else "\nas promised")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
