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


def begin(label, *paths):
    """Starts pytest over these; its lines are kept in a file."""
    report, log = os.path.join(release, f"pytest-{label}.xml"), os.path.join(release, f"pytest-{label}.log")
    if os.path.exists(report):
        os.unlink(report)
    env = dict(os.environ, RINGWALL_BUILD=os.path.abspath(release), RINGWALL_BUILD_SANITIZED=os.path.abspath(sanitized))
    out = open(log, "w")
    p = subprocess.Popen(alone() + ["/usr/bin/python3", "-m", "pytest", "-q", "-rs", "--durations=8", "--junitxml", report, "-p", "no:cacheprovider", *paths], env=env, stdout=out,
                         stderr=subprocess.STDOUT)
    return label, p, report, log


def end(label, p, report, log):
    code = p.wait()
    print(f"-- {label}", flush=True)
    with open(log) as f:
        sys.stdout.write(f.read()[-6000:])
    if not os.path.exists(report):
        totals["failed"] += 1
        bad.append((label, "pytest ended with %d and wrote no report" % code))
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


def pytest(title, **parts):
    """Each part in a network namespace of its own, all at once where there can be one: most of their time is waiting."""
    print("== " + title, flush=True)
    parts = {label: paths for label, paths in parts.items() if paths}
    if alone():
        running = [begin(label, *paths) for label, paths in parts.items()]
        while any(p.poll() is None for _, p, _, _ in running):
            time.sleep(20)
            print("   " + ", ".join(f"{label} {(re.findall('([0-9]+)%', open(log).read()) or ['0'])[-1]} %" for label, _, _, log in running), flush=True)
        for x in running:
            end(*x)
    else:
        for label, paths in parts.items():
            end(*begin(label, *paths))


SHIELD = ("bans", "emergency", "feeds", "guard_config", "replay", "rules", "shield_answers", "shield_kernel", "shield_office", "shield_tools", "top",
          "admins", "cdr", "certs", "consult", "every_cap", "every_end", "fraud_cli", "fraud_kept", "money", "money_stolen", "notify", "passwords", "rates", "rights", "second_factor", "second_factor_phones", "stir", "tokens", "trunks")
every = sorted("tests/e2e/" + f for f in os.listdir("tests/e2e") if f.startswith("test_") and f.endswith(".py"))
shield = [f for f in every if f[len("tests/e2e/test_"):-3] in SHIELD]
start = time.time()
meson()
pytest("end to end, with real peers (release build); cost of parsing; races", calls=[f for f in every if f not in shield], shield=shield + ["tests/cost", "tests/race"])
pytest("interop matrix: real phones and proxies at once, with a call each over a session's refresh", interop=["tests/interop"])
for name, text in bad:
    print("\n== FAILED %s\n%s" % (name, text[-4000:]))
for name in skipped:
    print("skipped: " + name)
print("took %d s" % (time.time() - start))
print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % totals, flush=True)
sys.exit(1 if totals["failed"] or not totals["passed"] else 0)
