"""Setting up, wrong configurations, and what the commands print."""
import json, os, stat, subprocess
import pytest
from gateway import CLI, CONFIG, Gateway, wait_for


def run(*a, **k):
    return subprocess.run([CLI, *a], capture_output=True, text=True, timeout=30, **k)


def test_help_for_every_command():
    top = run("help")
    assert top.returncode == 0
    for c in "init check run status calls bindings cdr explain reasons user reload drain stop selftest".split():
        assert c in top.stdout, f"{c} is not in the help"
        r = run(c, "--help")
        assert r.returncode == 0 and len(r.stdout) > 60, f"{c} --help: {r.stdout}{r.stderr}"


def test_unknown_command_is_a_usage_error():
    r = run("frobnicate")
    assert r.returncode == 2 and "frobnicate" in r.stderr


def test_status_without_gateway(tmp_path):
    r = run("status", "--state", str(tmp_path))
    assert r.returncode == 3 and "not running" in r.stderr


def test_reasons_list():
    r = run("reasons", "--json")
    names = [x["name"] for x in json.loads(r.stdout)["reasons"]]
    assert "auth_required" in names and len(names) == len(set(names)) > 80


def test_init_makes_keys_private(tmp_path):
    d = str(tmp_path / "s")
    r = run("init", "--state", d)
    assert r.returncode == 0, r.stderr
    for root, _, files in os.walk(os.path.join(d, "vault")):
        for f in files:
            p = os.path.join(root, f)
            assert stat.S_IMODE(os.stat(p).st_mode) & 0o077 == 0, p
            assert b"PRIVATE" not in open(p, "rb").read() or "keys" in root
    again = run("init", "--state", d)
    assert again.returncode != 0 and "already" in again.stderr
    assert run("check", os.path.join(d, "ringwall.yaml")).returncode == 0


def test_passwords_are_shown_once_and_stored_nowhere(tmp_path):
    d = str(tmp_path / "s")
    assert run("init", "--state", d).returncode == 0
    r = run("user", "add", "zoe", "--state", d, "--json")
    assert r.returncode == 0, r.stderr
    password = json.loads(r.stdout)["password"]
    assert len(password) >= 16
    for root, _, files in os.walk(d):
        for f in files:
            assert password.encode() not in open(os.path.join(root, f), "rb").read(), f


@pytest.mark.parametrize("verb", ["add", "passwd", "del", "md5", "role", "import"])
def test_users_of_a_bad_configuration(tmp_path, verb):
    d = str(tmp_path / "s")
    assert run("init", "--state", d).returncode == 0
    config = os.path.join(d, "ringwall.yaml")
    users = tmp_path / "users"
    users.write_text("")
    words = [verb, str(users) if verb == "import" else "zoe"] + (["user"] if verb == "role" else [])
    with open(config, "a") as f:
        f.write("\nlistners: []\n")
    check = run("check", config)
    r = run("user", *words, "--state", d)
    assert r.returncode == check.returncode == 1
    assert "listners" in check.stdout and "say which domain" not in r.stderr
    for line in check.stdout.splitlines():
        if ": error" in line:
            assert line in r.stderr
    j = run("user", *words, "--state", d, "--json")
    assert j.returncode == 1
    assert json.loads(j.stdout)["problems"] and "listners" in j.stdout
    # What needs no domain goes on: the file may be broken because of those who are listed.
    assert run("user", "list", "--state", d).returncode == 0
    assert run("user", "add", "zoe@example.com", "--state", d).returncode == 0
    assert run("user", "add", "yve", "--domain", "example.com", "--state", d).returncode == 0


def test_users_without_a_configuration(tmp_path):
    d = str(tmp_path / "s")
    assert run("init", "--state", d).returncode == 0
    os.unlink(os.path.join(d, "ringwall.yaml"))
    r = run("user", "add", "zoe", "--state", d)
    assert r.returncode == 1 and "ringwall.yaml" in r.stderr and "say which domain" not in r.stderr


BAD = [
    ("domains: [example.com]\nlistners: []\n", "listners", "listeners"),
    ("domains: [example.com]\nlisteners:\n  - {name: a, transport: sctp, address: \"127.0.0.1:1\"}\n", "sctp", "tcp"),
    ("domains: example.com\nmedia: {ports: 20000-10}\n", "ports", ""),
    ("domains: [a.example\n", "", ""),
]


@pytest.mark.parametrize("text,word,hint", BAD)
def test_bad_configuration_is_told_with_line(tmp_path, text, word, hint):
    p = tmp_path / "bad.yaml"
    p.write_text(text)
    r = run("check", str(p))
    assert r.returncode == 1
    out = r.stdout + r.stderr
    assert word in out and hint in out and f"{p}:" in out


def test_all_errors_at_once(tmp_path):
    p = tmp_path / "bad.yaml"
    p.write_text("domains: [example.com]\nfoo: 1\nbar: 2\nzones:\n  - {name: z, listeners: [nope], sources: [300.1.1.1/8]}\n")
    r = run("check", str(p), "--json")
    assert r.returncode == 1
    lines = {x["line"] for x in json.loads(r.stdout)["problems"] if x["level"] == "error"}
    assert {2, 3, 5} <= lines


def test_missing_file():
    r = run("check", "/nonexistent/ringwall.yaml")
    assert r.returncode == 1 and "/nonexistent/ringwall.yaml" in r.stdout + r.stderr


def test_empty_but_valid_file_refuses_everything(tmp_path):
    p = tmp_path / "min.yaml"
    p.write_text("domains: [example.com]\n")
    assert run("check", str(p)).returncode == 0
