"""Rings and boards under stress: threads under ThreadSanitizer, and processes that are killed in the middle.

The programs are built here with the sources of the floors they test and flags of their own: ThreadSanitizer goes with no
other sanitizer. A sequence lock is read while it is written, by design, and thrown away then: seq_read's copy is the one place
that the race detector is told to leave out; what it must not let through is checked by the bytes themselves."""
import glob, os, shlex, subprocess
import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(ROOT, "tests", "race")
CC = shlex.split(os.environ.get("CC", "cc"))
SOURCES = [f for f in sorted(glob.glob(ROOT + "/src/base/*.c")) if not f.endswith("_test.c")] + [
    ROOT + "/src/" + f for f in ("call/location.c", "guard/ban.c", "guard/feed.c", "guard/names.c", "guard/ledger.c", "guard/ledger_rows.c", "guard/rates.c")]
SEQ = "race:seq_read\nrace:location_put\nrace:write_slot\nrace:unlink_slot\nrace:slot_write\nrace:ban_put\nrace:ban_del\n"


def build(d, name, flags):
    exe = str(d / name)
    subprocess.run(CC + ["-std=gnu17", "-g", "-D_GNU_SOURCE", "-Wno-tsan", "-I", ROOT + "/src", "-I", HERE, *flags,
                         os.path.join(HERE, name + ".c"), *SOURCES, "-o", exe, "-lpthread"], check=True)
    return exe


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    d = tmp_path_factory.mktemp("race")
    t = tmp_path_factory.mktemp("tsan")
    (t / "suppressions").write_text(SEQ)
    return {(kind, name): build(where, name, flags)
            for kind, where, flags in (("plain", d, ["-O2"]), ("tsan", t, ["-O1", "-fsanitize=thread"]))
            for name in ("ring_race", "location_race", "ban_race", "ledger_race")}, str(t / "suppressions")


def run(programs, kind, name, *args):
    exes, suppressions = programs
    env = dict(os.environ, TSAN_OPTIONS=f"halt_on_error=1:exitcode=66:suppressions={suppressions}")
    r = subprocess.run([exes[kind, name], *args], capture_output=True, text=True, timeout=300, env=env)
    if kind == "tsan" and "unexpected memory mapping" in r.stderr:
        pytest.skip("ThreadSanitizer does not run with this kernel's address layout")
    assert r.returncode == 0, f"{name} {args}: {r.returncode}\n{r.stdout}{r.stderr[-4000:]}"
    return r.stdout


@pytest.mark.parametrize("name,count", [("ring_race", 80_000), ("location_race", 20_000), ("ban_race", 50_000), ("ledger_race", 20_000)])
def test_threads_under_the_race_detector(programs, name, count):
    run(programs, "tsan", name, "threads", str(count))


@pytest.mark.parametrize("name,count", [("ring_race", 2_000_000), ("location_race", 300_000), ("ban_race", 2_000_000), ("ledger_race", 60_000)])
def test_threads_at_full_speed(programs, name, count):
    run(programs, "plain", name, "threads", str(count))


def test_engines_never_reserve_beyond_a_cap(programs):
    run(programs, "plain", "ledger_race", "processes", "60000")


def test_bans_are_read_in_other_processes(programs):
    run(programs, "plain", "ban_race", "processes", "2000000")


@pytest.mark.parametrize("name,kills", [("ring_race", 150), ("location_race", 150), ("ledger_race", 300)])
def test_killed_in_the_middle(programs, name, kills):
    run(programs, "plain", name, "crash", str(kills))


def test_the_race_detector_sees_a_race(tmp_path, programs):
    """A ring whose index is written without order must be found, else the tests above say nothing."""
    with open(ROOT + "/src/base/ring.c") as f:
        text = f.read()
    assert text.count("__ATOMIC_RELEASE") >= 2
    (tmp_path / "ring.c").write_text(text.replace("__ATOMIC_RELEASE", "__ATOMIC_RELAXED").replace("__ATOMIC_ACQ_REL", "__ATOMIC_RELAXED"))
    exe = str(tmp_path / "bad")
    sources = [f for f in SOURCES if not f.endswith("/ring.c")] + [str(tmp_path / "ring.c")]
    subprocess.run(CC + ["-std=gnu17", "-g", "-O1", "-fsanitize=thread", "-D_GNU_SOURCE", "-Wno-tsan", "-I", ROOT + "/src", "-I", HERE,
                         os.path.join(HERE, "ring_race.c"), *sources, "-o", exe, "-lpthread"], check=True)
    r = subprocess.run([exe, "threads", "30000"], capture_output=True, text=True, timeout=300, env=dict(os.environ, TSAN_OPTIONS="halt_on_error=1:exitcode=66"))
    if "unexpected memory mapping" in r.stderr:
        pytest.skip("ThreadSanitizer does not run with this kernel's address layout")
    assert r.returncode == 66 and "data race" in r.stderr, r.stderr[-2000:]
