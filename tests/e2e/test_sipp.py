"""SIPp on both sides, each checking the other: many calls over UDP and TCP, forks, cancelled calls, reliable ringing, hold."""
import os, shutil, subprocess, time
import pytest
from gateway import PBX, PHONE, PHONE2, PUB, wait_for

pytestmark = pytest.mark.skipif(not shutil.which("sipp"), reason="sip-tester is not installed")
HERE = os.path.join(os.path.dirname(__file__), "sipp")
HOST = PUB + ":5060"
GAUGES_S = 0.8  # an engine tells its figures every half second


class Sipp:
    """One SIPp with a scenario of ours. It ends by itself after n calls; its exit code is 0 only if every call went by the scenario."""

    def __init__(self, tmp, scenario, ip, port, n, *args, seconds=40):
        self.name, self.err = f"{scenario} at {ip}:{port}", os.path.join(tmp, f"{scenario}-{port}.err")
        self.out = open(os.path.join(tmp, f"{scenario}-{port}.out"), "w+")
        self.p = subprocess.Popen(["sipp", *args, "-sf", os.path.join(HERE, scenario), "-i", ip, "-mi", ip, "-p", str(port), "-m", str(n), "-nostdin", "-max_socket", "2000",
                                   "-timeout", str(seconds), "-timeout_error", "-trace_err", "-error_file", self.err],
                                  cwd=tmp, stdin=subprocess.DEVNULL, stdout=self.out, stderr=subprocess.STDOUT)

    def failure(self, seconds=45):
        """Nothing if all its calls went well, else what it said."""
        try:
            code = self.p.wait(seconds)
        except subprocess.TimeoutExpired:
            code = "none"
        if code == 0:
            return ""
        self.out.seek(0)
        errors = open(self.err).read()[-3000:] if os.path.exists(self.err) else ""
        return f"{self.name}: exit code {code}\n{self.out.read()[-2500:]}\n{errors}\n"

    def close(self):
        if self.p.poll() is None:
            self.p.kill()
        self.p.wait()
        self.out.close()


def users_file(gw, tmp, callers, number):
    path = os.path.join(tmp, "users.csv")
    with open(path, "w") as f:
        f.write("SEQUENTIAL\n")
        for u in callers:
            f.write(f"{u};[authentication username={u} password={gw.passwords[u]}];{number}\n")
    return path


def run_calls(gw, tmp, transport="u1", n=25, rate=25, number="1000", uac="uac_auth.xml", uas=((PBX, 5070, "uas_answer.xml"),), callers=("mdora", "mdaniel")):
    """n calls with the caller's scenario; every answerer must see n calls too, and nothing may be left."""
    users = users_file(gw, tmp, callers, number)
    time.sleep(GAUGES_S)
    before = gw.status()["stats"]["calls_total"]
    started = []
    try:
        for ip, port, scenario in uas:
            started.append(Sipp(tmp, scenario, ip, port, n, "-rtcheck", "loose"))
        time.sleep(0.2)
        started.append(Sipp(tmp, uac, PHONE, 5099, n, HOST, "-inf", users, "-t", transport, "-r", str(rate)))
        failed = ""
        for s in reversed(started):
            failed += s.failure(1 if failed else 45)
        assert not failed, failed
    finally:
        for s in started:
            s.close()
    assert gw.idle(15), gw.ask("calls")
    time.sleep(GAUGES_S)
    stats = gw.status()["stats"]
    assert (stats["calls_total"], stats["ports_taken"]) == (before + n, 0)


def records(gw):
    """The newest is the first."""
    return gw.ask("cdr", "--last", "100000")["cdrs"]


def new_codes(gw, before, n):
    """The final codes of the n calls since there were `before` records."""
    assert wait_for(lambda: len(records(gw)) == before + n, 5), (before, len(records(gw)))
    return [r["code"] for r in records(gw)[:n]]


def register(gw, tmp, user, ip, port, expires):
    users = users_file(gw, tmp, [user], user)
    s = Sipp(tmp, "uac_register.xml", ip, port, 1, HOST, "-inf", users, "-key", "expires", str(expires), seconds=5)
    try:
        failed = s.failure(8)
        assert not failed, failed
    finally:
        s.close()


def bindings(gw, user):
    return len([b for b in gw.ask("bindings")["bindings"] if b["aor"].startswith(user + "@")])


@pytest.mark.parametrize("transport", ["u1", "t1", "tn"])
def test_calls(gw, tmp_path, transport):
    run_calls(gw, str(tmp_path), transport, n=60, rate=30)


def test_every_call_has_its_cdr(gw, tmp_path):
    before = len(records(gw))
    run_calls(gw, str(tmp_path), n=30)
    assert new_codes(gw, before, 30) == [200] * 30


def test_forked_calls_are_answered_once(gw, tmp_path):
    """Two phones of one user: each call is answered by one, and taken back from the other."""
    tmp, phones, before = str(tmp_path), ((PHONE2, 5081), (PHONE2, 5082)), len(records(gw))
    for ip, port in phones:
        register(gw, tmp, "mdaniel", ip, port, 600)
    try:
        assert bindings(gw, "mdaniel") == 2
        uas = [(*p, s) for p, s in zip(phones, ("uas_answer.xml", "uas_ring.xml"))]
        run_calls(gw, tmp, number="mdaniel", uas=uas, callers=("mdora",))
    finally:
        for ip, port in phones:
            register(gw, tmp, "mdaniel", ip, port, 0)
    assert bindings(gw, "mdaniel") == 0
    assert new_codes(gw, before, 25) == [200] * 25


def test_calls_cancelled_while_they_ring(gw, tmp_path):
    before = len(records(gw))
    run_calls(gw, str(tmp_path), uac="uac_cancel.xml", uas=[(PBX, 5070, "uas_ring.xml")])
    assert new_codes(gw, before, 25) == [487] * 25


def test_reliable_ringing(gw, tmp_path):
    run_calls(gw, str(tmp_path), uac="uac_prack.xml", uas=[(PBX, 5070, "uas_prack.xml")])


def test_hold_and_back(gw, tmp_path):
    run_calls(gw, str(tmp_path), uac="uac_reinvite.xml", uas=[(PBX, 5070, "uas_reinvite.xml")])


def test_log_chain_verifies(gw):
    r = gw.run("verify-log", "--state", gw.state)
    assert r.returncode == 0, r.stdout + r.stderr
