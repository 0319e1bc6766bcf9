"""Everything as an ordinary user: set up, check, run, prove, ask. What root's rights would add is said to be missing."""
import json, os, shutil, subprocess, tempfile
import pytest
from gateway import BUILD, wait_for, other_ports

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can become an ordinary user, and util-linux is needed")
UID = 65534


@pytest.fixture
def place():
    """The programs where nobody may read them, and a folder of his own."""
    d = tempfile.mkdtemp(prefix="ringwall-user-")
    os.chmod(d, 0o755)
    for src in ("cli/ringwall", "engine/ringwall-engine", "vault/ringwall-vault", "store/ringwall-store", "fetch/ringwall-fetch", "selftest/ringwall-selftest"):
        to = os.path.join(d, "bin" if "cli" in src else "libexec/ringwall")
        os.makedirs(to, exist_ok=True)
        shutil.copy(os.path.join(BUILD, "src", "app", src), to)
    own = os.path.join(d, "own")
    os.mkdir(own)
    os.chown(own, UID, UID)
    yield os.path.join(d, "bin", "ringwall"), own
    shutil.rmtree(d, ignore_errors=True)


def as_nobody(*args, **k):
    words = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", *args]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, cwd="/", env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}, **k)


def test_ordinary_user(place):
    cli, own = place
    state = own + "/state"
    r = as_nobody(cli, "init", "--state", state)
    assert r.returncode == 0, r.stdout + r.stderr
    assert os.stat(state).st_uid == UID
    other_ports(state + "/ringwall.yaml")
    r = as_nobody(cli, "check", state + "/ringwall.yaml")
    assert r.returncode == 0, r.stdout + r.stderr
    log = open(own + "/log", "w")
    gw = subprocess.Popen(["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", cli, "run", "--state", state],
                          stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True)
    try:
        assert wait_for(lambda: gw.poll() is not None or as_nobody(cli, "status", "--state", state).returncode == 0, 15)
        if gw.poll() is not None and "in use" in open(own + "/log").read():
            pytest.skip("another program has the ports of the embedded default")
        assert gw.poll() is None, open(own + "/log").read()
        r = as_nobody(cli, "selftest", "--state", state)
        assert r.returncode == 0 and "0 failed" in r.stdout, r.stdout + r.stderr
        text = as_nobody(cli, "status", "--state", state).stdout
        assert "not switched" in text or "same user" in text or "root" in text, "status does not say that ids are not switched:\n" + text
        s = json.loads(as_nobody(cli, "status", "--state", state, "--json").stdout)
        assert s["state"] == "running" and len(s["programs"]) >= 3
        for p in s["programs"]:
            status = open(f"/proc/{p['pid']}/status").read()
            assert f"Uid:\t{UID}" in status and "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status, p
        r = as_nobody(cli, "user", "add", "carol", "--state", state)
        assert r.returncode == 0, r.stderr
        r = as_nobody(cli, "cdr", "--state", state, "--json")
        assert r.returncode == 0 and json.loads(r.stdout)["cdrs"]
        assert as_nobody(cli, "stop", "--state", state).returncode == 0
        assert wait_for(lambda: gw.poll() is not None, 10) and gw.returncode == 0, open(own + "/log").read()
    finally:
        if gw.poll() is None:
            gw.terminate()
            gw.wait(10)
        log.close()


def test_another_user_may_not_command(place):
    """The control socket is its owner's."""
    cli, own = place
    state = own + "/state"
    assert as_nobody(cli, "init", "--state", state).returncode == 0
    for f in ("vault", "store"):
        p = os.path.join(state, f)
        if os.path.isdir(p):
            assert os.stat(p).st_mode & 0o077 == 0, p
    other = subprocess.run(["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups", cli, "user", "add", "eve", "--state", state], capture_output=True, text=True, timeout=30, cwd="/")
    assert other.returncode in (1, 4) and other.stderr, other


def test_folder_that_cannot_be_written_is_told(place):
    cli, own = place
    r = as_nobody(cli, "init", "--state", "/root/nowhere")
    assert r.returncode != 0 and "/root/nowhere" in r.stderr, r.stderr
    r = as_nobody(cli, "init")
    assert r.returncode != 0 and "/var/lib/ringwall" in r.stderr, r.stderr
