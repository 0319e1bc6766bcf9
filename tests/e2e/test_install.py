"""tools/install.sh and uninstall.sh into a folder: what is put there works from there, and nothing stays behind."""
import os, shutil, stat, subprocess
import pytest
from gateway import BUILD, other_ports, wait_for

TOOLS = os.path.join(os.path.dirname(__file__), "..", "..", "tools")


def run(tool, dest, *args, prefix="/usr", check=True):
    r = subprocess.run([os.path.join(TOOLS, tool), *args], env=dict(os.environ, DESTDIR=str(dest), PREFIX=prefix), capture_output=True, text=True, timeout=60)
    assert not check or r.returncode == 0, r.stdout + r.stderr
    return r


def files(dest):
    return sorted(os.path.relpath(os.path.join(d, f), dest) for d, _, fs in os.walk(dest) for f in fs)


@pytest.mark.parametrize("prefix", ["/usr", "/opt/ringwall"])
def test_install_run_uninstall(tmp_path, prefix):
    dest = tmp_path / "root"
    out = run("install.sh", dest, BUILD, prefix=prefix).stdout
    there = files(dest)
    p = prefix.strip("/")
    for f in ("bin/ringwall", "libexec/ringwall/ringwall-engine", "libexec/ringwall/ringwall-vault", "libexec/ringwall/ringwall-store", "libexec/ringwall/ringwall-fetch", "libexec/ringwall/ringwall-selftest",
              "share/man/man1/ringwall.1.gz", "share/doc/ringwall/ringwall.yaml", "lib/systemd/system/ringwall.service"):
        assert f"{p}/{f}" in there, f
        assert f"/{p}/{f}" in out
    assert prefix + "/bin/ringwall run" in (dest / p / "lib/systemd/system/ringwall.service").read_text()
    again = run("install.sh", dest, BUILD, prefix=prefix).stdout
    assert "installed " not in again and files(dest) == there

    cli, state = str(dest / p / "bin" / "ringwall"), str(tmp_path / "state")
    os.chmod(tmp_path, 0o755)
    r = subprocess.run([cli, "init", "--state", state], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    other_ports(os.path.join(state, "ringwall.yaml"))
    gw = subprocess.Popen([cli, "run", "--state", state], stdin=subprocess.DEVNULL, stdout=open(tmp_path / "log", "w"), stderr=subprocess.STDOUT, start_new_session=True)
    try:
        assert wait_for(lambda: gw.poll() is not None or subprocess.run([cli, "status", "--state", state], capture_output=True).returncode == 0, 15)
        if gw.poll() is not None and "in use" in (tmp_path / "log").read_text():
            pytest.skip("another program has the ports of the embedded default")
        assert gw.poll() is None, (tmp_path / "log").read_text()
        r = subprocess.run([cli, "selftest", "--state", state], capture_output=True, text=True, timeout=60)
        assert r.returncode == 0, r.stdout + r.stderr
    finally:
        if gw.poll() is None:
            gw.terminate()
        gw.wait(15)
    out = run("uninstall.sh", dest, prefix=prefix).stdout
    assert files(dest) == [] and "kept" in out and "/var/lib/ringwall" in out
    assert "nothing of Ringwall" in run("uninstall.sh", dest, prefix=prefix).stdout


def test_uninstall_leaves_what_is_not_ours(tmp_path):
    run("install.sh", tmp_path, BUILD)
    (tmp_path / "usr/bin/other").write_text("x")
    (tmp_path / "usr/libexec/ringwall/local").write_text("x")
    (tmp_path / "var/lib/ringwall").mkdir(parents=True)
    (tmp_path / "var/lib/ringwall/server.pem").write_text("x")
    run("uninstall.sh", tmp_path)
    assert files(tmp_path) == ["usr/bin/other", "usr/libexec/ringwall/local", "var/lib/ringwall/server.pem"]


def test_install_without_a_build_says_so(tmp_path):
    (tmp_path / "empty").mkdir()
    r = run("install.sh", tmp_path / "d", str(tmp_path / "empty"), check=False)
    assert r.returncode == 1 and "make build" in r.stderr
    assert files(tmp_path / "d") == []
    r = run("install.sh", tmp_path / "d", BUILD, prefix="relative", check=False)
    assert r.returncode == 2 and "absolute" in r.stderr
