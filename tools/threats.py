#!/usr/bin/env python3
"""Every test that THREATS.md names by `file::test` exists. tools/threats.py [--selftest]"""
import os, re, subprocess, sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def problems(text):
    files = subprocess.run(["git", "-C", ROOT, "ls-files", "src", "tests", "fuzz"], capture_output=True, text=True).stdout.split()
    if not files:  # an unpacked archive
        files = [os.path.relpath(os.path.join(d, f), ROOT) for top in ("src", "tests", "fuzz") for d, _, fs in os.walk(os.path.join(ROOT, top)) for f in fs]
    names = re.findall(r"`([\w/]+\.(?:py|c))::(\w+)`", text)
    for file, test in names:
        found = [f for f in files if f == file or f.endswith("/" + file)]
        texts = [open(os.path.join(ROOT, f)).read() for f in found]
        if not found:
            yield f"there is no {file}"
        elif not any(re.search(r"^(?:def |static void )" + test + r"\(", t, re.M) for t in texts):
            yield f"{file} has no {test}"
    if len(names) < 50:
        yield "hardly any test is named"


if __name__ == "__main__":
    text = open(os.path.join(ROOT, "THREATS.md")).read()
    if "--selftest" in sys.argv:
        assert list(problems(text + " `test_rates.py::test_of_nothing`")) and list(problems(text + " `test_of_nothing.py::x`"))
    found = list(problems(text))
    for p in found:
        print("THREATS.md: " + p)
    sys.exit(1 if found else 0)
