"""SIPp on both sides: many calls, over UDP and TCP, IPv6, with refusals and cancelled calls among them."""
import os, re, shutil, subprocess, tempfile
import pytest
from gateway import PBX, PHONE, PUB, wait_for

pytestmark = pytest.mark.skipif(not shutil.which("sipp"), reason="sip-tester is not installed")
HERE = os.path.join(os.path.dirname(__file__), "sipp")


def run_calls(gw, tmp, transport, ip, host, n=60, rate=30, number="1000", uas=("-sn", "uas"), uac="uac_auth.xml"):
    users = os.path.join(tmp, "users.csv")
    with open(users, "w") as f:
        f.write("SEQUENTIAL\n")
        for u in ("mdora", "mdaniel"):
            f.write(f"{u};[authentication username={u} password={gw.passwords[u]}];{number}\n")
    srv = subprocess.Popen(["sipp", *uas, "-i", PBX, "-p", "5070", "-nostdin", "-mi", PBX, "-rtcheck", "loose"], cwd=tmp, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        r = subprocess.run(["sipp", host, "-sf", os.path.join(HERE, uac), "-inf", users, "-i", ip, "-mi", ip.strip("[]"), "-p", "5099", "-t", transport, "-r", str(rate), "-m", str(n),
                            "-nostdin", "-max_socket", "2000", "-timeout", "40", "-timeout_error", "-trace_err", "-error_file", os.path.join(tmp, "err.log")], cwd=tmp, capture_output=True, text=True)
    finally:
        srv.kill()
        srv.wait()
    errors = open(os.path.join(tmp, "err.log")).read()[-2000:] if os.path.exists(os.path.join(tmp, "err.log")) else ""
    assert r.returncode == 0, r.stdout[-1500:] + errors
    assert gw.idle(15), gw.ask("calls")


@pytest.mark.parametrize("transport,ip,host", [("u1", PHONE, PUB + ":5060"), ("t1", PHONE, PUB + ":5060"), ("tn", PHONE, PUB + ":5060")])
def test_calls(gw, tmp_path, transport, ip, host):
    before = gw.status()["stats"]["calls_total"]
    run_calls(gw, str(tmp_path), transport, ip, host)
    assert wait_for(lambda: gw.status()["stats"]["calls_total"] == before + 60, 3)
    assert wait_for(lambda: gw.status()["stats"]["ports_taken"] == 0, 3)


def test_every_call_has_its_cdr(gw, tmp_path):
    count = lambda: len(gw.ask("cdr", "--last", "100000")["cdrs"])
    before = count()
    run_calls(gw, str(tmp_path), "u1", PHONE, PUB + ":5060", n=30)
    assert wait_for(lambda: count() == before + 30, 5), (before, count())


def test_log_chain_verifies(gw):
    r = gw.run("verify-log", "--state", gw.state)
    assert r.returncode == 0, r.stdout + r.stderr
