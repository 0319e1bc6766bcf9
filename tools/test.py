"""Runs meson's tests and the end-to-end tests, shows progress, sums single test cases."""
import json, os, re, subprocess, sys, time
import xml.etree.ElementTree as ET

sanitized, release = sys.argv[1], sys.argv[2]
totals = {"passed": 0, "failed": 0, "skipped": 0}
bad, skipped = [], []


def cmocka(text, result, name):
    """Counts of one test program; a program without such lines counts as one."""
    def count(word):
        return sum(int(x) for x in re.findall(r"\[\s*%s\s*\] (\d+) test\(s\)" % word, text))
    p, f, s = count("PASSED"), count("FAILED"), count("SKIPPED")
    if p + f + s == 0:
        p, f, s = result in ("OK", "EXPECTEDFAIL"), result not in ("OK", "EXPECTEDFAIL", "SKIP"), result == "SKIP"
    elif result not in ("OK", "SKIP") and f == 0:
        f = 1
    totals["passed"] += p
    totals["failed"] += f
    totals["skipped"] += s
    if f:
        bad.append((name, text))
    if s:
        skipped.extend(re.findall(r"\[\s*SKIPPED\s*\] (?!\d)(\S+)", text) or [name])


def meson():
    print("== unit tests, fuzz replays, simulator, security (sanitized)", flush=True)
    env = dict(os.environ, ASAN_OPTIONS="detect_stack_use_after_return=0:strict_string_checks=1",
               UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1")
    subprocess.run(["meson", "test", "-C", sanitized, "--no-rebuild", "--num-processes", "2"], env=env)
    with open(os.path.join(sanitized, "meson-logs", "testlog.json")) as f:
        for line in f:
            t = json.loads(line)
            cmocka(t.get("stdout", "") + t.get("stderr", ""), t["result"], t["name"])


def alone():
    """As root: a network namespace of its own, so that nothing else on this machine meets the tests' addresses."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode:
        return []
    return ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]


def pytest(title, *folders):
    if not os.path.exists(folders[0]):
        return
    print("== " + title, flush=True)
    report = os.path.join(release, "pytest.xml")
    if os.path.exists(report):
        os.unlink(report)
    env = dict(os.environ, RINGWALL_BUILD=os.path.abspath(release), RINGWALL_BUILD_SANITIZED=os.path.abspath(sanitized))
    r = subprocess.run(alone() + ["/usr/bin/python3", "-m", "pytest", "-q", "-rs", "--durations=8", "--junitxml", report, "-p", "no:cacheprovider", *folders], env=env)
    if not os.path.exists(report):
        totals["failed"] += 1
        bad.append((folders[0], "pytest ended with %d and wrote no report" % r.returncode))
        return
    for case in ET.parse(report).getroot().iter("testcase"):
        name = case.get("classname", "") + "." + case.get("name", "")
        if case.find("failure") is not None or case.find("error") is not None:
            totals["failed"] += 1
            node = case.find("failure") if case.find("failure") is not None else case.find("error")
            bad.append((name, (node.text or "")[-3000:]))
        elif case.find("skipped") is not None:
            totals["skipped"] += 1
            skipped.append(name)
        else:
            totals["passed"] += 1


start = time.time()
meson()
pytest("end to end, with real peers (release build); cost of parsing; races", "tests/e2e", "tests/cost", "tests/race")
pytest("interop matrix: real phones and proxies at once, with a call each over a session's refresh", "tests/interop")
for name, text in bad:
    print("\n== FAILED %s\n%s" % (name, text[-4000:]))
for name in skipped:
    print("skipped: " + name)
print("took %d s" % (time.time() - start))
print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % totals, flush=True)
sys.exit(1 if totals["failed"] or not totals["passed"] else 0)
