#!/usr/bin/env python3
"""The manual page names every command of src/app/cli/commands.def and every verb of its usage, and no command that is none.
tools/manual.py [--selftest]"""
import os, re, sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def commands(text):
    """Name and verbs: the lower-case words that stand where an alternative of the usage begins."""
    found = {}
    for m in re.finditer(r'\{"([a-z-]+)",\s*cmd_\w+,[^"]*((?:"(?:[^"\\]|\\.)*"\s*)+),', text):
        usage = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', m.group(2)))
        usage = re.sub(r"\(.*?\)|--?[a-z-]+(?: [A-Z]\S*| [a-z0-9|]+)?", " ", usage)
        usage = usage.replace("[", " ").replace("]", " ")
        verbs = set()
        for part in re.split(r"\s\|\s|,\s", usage):
            first = part.strip().split(" ")[0]
            verbs |= {v for v in first.split("|") if re.fullmatch(r"[a-z][a-z0-9]+", v)}
        found[m.group(1)] = verbs
    return found


def problems(table, page):
    page = page.replace("\\-", "-").replace("\\(aq", "'")
    lines = [re.sub(r"\\f[A-Z]", "", x) for x in re.findall(r"^\.(?:B|BR|BI) (.*)$", page, re.M)]
    for name, verbs in table.items():
        mine = [x for x in lines if re.match(re.escape(name) + r"(?=\s|$)", x)]
        if not mine:
            yield f"no entry for {name}"
        for v in sorted(verbs):
            if mine and not any(re.search(r"(?<![a-z-])" + v + r"(?![a-z])", x) for x in mine):
                yield f"{name}: nothing of {v}"
    for x in re.findall(r"^\.TP\n\.B ([a-z][a-z-]*)", page, re.M):
        if x not in table:
            yield f"{x} is no command"


def main():
    table = commands(open(os.path.join(ROOT, "src/app/cli/commands.def")).read())
    page = open(os.path.join(ROOT, "packaging/ringwall.1")).read()
    if "--selftest" in sys.argv:
        assert len(table) > 30 and table["approvals"] == {"list", "approve", "deny"} and table["status"] == set(), table
        for name, verbs in table.items():
            cut = re.sub(r"(?m)^\.B(?:R|I)? " + re.escape(name).replace("\\-", r"\\?-").replace("-", r"\\?-") + r"(?=\s|\\f|$).*$", ".B gone", page)
            assert any(p.startswith("no entry for " + name) for p in problems(table, cut)), name
        assert any("is no command" in p for p in problems(table, page + "\n.TP\n.B burn \\fRALL\n"))
    found = list(problems(table, page))
    for p in found:
        print("packaging/ringwall.1: " + p)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
