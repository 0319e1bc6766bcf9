"""The running gateway: reload, crash of each program, waivers that end, restarts."""
import base64, json, os, re, signal, time
import pytest
from gateway import CONFIG, PHONE, PUB, PRIV, PBX, Gateway, wait_for
from ua import Call, Ua, sdp
from test_register import ua
from test_call import answer, srtp_sdp


@pytest.fixture
def own():
    made = []

    def make(**k):
        g = Gateway(**k)
        made.append(g)
        g.user("alice"), g.user("bob")
        return g
    yield make
    for g in made:
        g.close()


# these run on other ports than the session's gateway, so both can be up
def moved(text, n=40):
    for a in ("127.0.1", "127.0.2"):
        text = text.replace(a + ".", f"127.0.{n + int(a[-1])}.")
    return text.replace('"[::1]:5060"', '"[::1]:5070"').replace('"[::1]:5061"', '"[::1]:5071"')


def phone(g, user="alice", transport="tls"):
    return Ua("127.0.41.20", 0, ("127.0.41.1", 5061 if transport == "tls" else 5060), transport, user, g.passwords[user], ca=os.path.join(g.state, "ca.pem"))


@pytest.fixture
def made():
    """User agents that are closed whatever happens."""
    a = []
    yield a
    for u in a:
        u.close()


def pbx(g):
    return Ua("127.0.42.10", 5070, ("127.0.42.1", 5060), "udp", "pbx")


def test_expired_waiver_refuses(own):
    g = own(config=moved(CONFIG), expires="2020-01-01", ports="22000-22199")
    r = g.run("check", g.config)
    assert r.returncode == 0 and "expire" in r.stdout + r.stderr
    g.start()
    u = phone(g, transport="tcp")
    u.request("REGISTER", "sip:example.com", "<sip:alice@example.com>", "w@x", "t")
    u.expect("403")
    assert g.reason("waiver_expired") >= 1
    u.close()


def test_reload_keeps_the_old_when_the_new_is_bad(own):
    g = own(config=moved(CONFIG), ports="22000-22199").start()
    good = open(g.config).read()
    g.write(good + "\nnonsense: 1\n")
    r = g.run("reload", "--reason", "a test", "--state", g.state)
    assert r.returncode == 1 and "nonsense" in r.stdout + r.stderr
    u = phone(g)
    u.register(60)
    gen = g.status()["generation"]
    g.write(good.replace("0900.", "0901."))
    assert g.run("reload", "--reason", "a test", "--state", g.state).returncode == 0
    assert wait_for(lambda: g.status()["generation"] > gen, 3)
    c = Call(u, "0901555", srtp_sdp("127.0.41.20", 40000))
    c.invite()
    c.ack(u.expect("403"))
    u.close()


def test_new_user_works_at_once_and_deleted_one_does_not(own):
    g = own(config=moved(CONFIG), ports="22000-22199").start()
    g.user("carol")
    u = phone(g, "carol")
    wait_for(lambda: True, 0.1)
    u.register(60)
    assert g.run("user", "del", "carol", "--state", g.state).returncode == 0
    time.sleep(0.3)
    u.register(60, expect="403")
    names = [x["user"] if "user" in x else x["name"] for x in g.ask("user", "list")["users"]]
    assert sorted(n.split("@")[0] for n in names) == ["alice", "bob"]
    u.close()


def test_bindings_survive_a_restart(own):
    g = own(config=moved(CONFIG), ports="22000-22199").start()
    u = phone(g, "alice", "tcp")
    u.register(600)
    v = phone(g, "bob", "tls")
    v.register(600)
    time.sleep(2.5)
    g.stop()
    g.start()
    assert wait_for(lambda: len(g.ask("bindings")["bindings"]) == 2, 5), g.ask("bindings")
    u.close(), v.close()


def test_killed_engine_comes_back_and_the_other_does_not_notice(own):
    g = own(config=moved(CONFIG), ports="22000-22399").start()
    p = pbx(g)
    calls = []
    for n in range(8):  # enough for both engines to own some
        u = phone(g)
        c = Call(u, f"20{n:02}", srtp_sdp("127.0.41.20", 40000))
        c.invite()
        answer(p, sdp("127.0.42.10", 41000))
        c.answered()
        calls.append(c)
    per = [len((e or {}).get("calls", [])) for e in g.ask("calls")["engines"]]
    assert sum(per) == 8
    pids = g.pids()
    name = [k for k in pids if "engine0" in k][0]
    t = time.time()
    os.kill(pids[name], signal.SIGKILL)
    assert wait_for(lambda: g.pids().get(name) not in (None, pids[name]) and g.status()["state"] == "running", 5)
    took = time.time() - t
    assert took < 2.0, f"{took:.2f} s"
    after = wait_for(lambda: [len((e or {}).get("calls", [])) for e in g.ask("calls")["engines"]] == [0, per[1]], 3)
    assert after, g.ask("calls")
    u = phone(g)
    u.register(60)
    assert wait_for(lambda: len([c for c in g.ask("cdr", "--last", "50")["cdrs"] if c.get("aborted")]) == per[0], 5)
    u.close()
    for c in calls:
        c.ua.close()
    p.close()


@pytest.mark.parametrize("name", ["vault", "store"])
def test_killed_vault_or_store_comes_back(own, name):
    g = own(config=moved(CONFIG), ports="22000-22199").start()
    pids = g.pids()
    key = [k for k in pids if name in k][0]
    os.kill(pids[key], signal.SIGKILL)
    assert wait_for(lambda: g.pids().get(key) not in (None, pids[key]) and g.status()["state"] == "running", 5)
    u = phone(g)
    u.register(60)
    u.close()
    assert any(p["restarts"] == 1 for p in g.status()["programs"])


def test_one_engine_is_enough(own):
    g = own(config=moved(CONFIG), engines=1, ports="22000-22199").start()
    u, p = phone(g), pbx(g)
    c = Call(u, "10", srtp_sdp("127.0.41.20", 40000))
    c.invite()
    answer(p, sdp("127.0.42.10", 41000))
    c.answered()
    c.bye()
    p.reply(p.expect("BYE"), 200)
    u.close(), p.close()


def test_secrets_in_no_log_and_not_in_the_engine(own):
    g = own(config=moved(CONFIG), engines=1, ports="22000-22199").start()
    u, p = phone(g), pbx(g)
    c = Call(u, "77", srtp_sdp("127.0.41.20", 40000))
    c.invite()
    answer(p, sdp("127.0.42.10", 41000))
    c.answered()
    if os.geteuid() == 0:
        text = open(os.path.join(g.state, "vault", "users")).read()
        digests = [d for d in re.findall(r"\b[0-9a-f]{64}\b", text)]
        assert digests
        keys = []
        for name in os.listdir(os.path.join(g.state, "vault", "keys")):
            pem = open(os.path.join(g.state, "vault", "keys", name)).read()
            der = base64.b64decode("".join(x for x in pem.splitlines() if "-" not in x))
            at = der.index(b"\x04\x20") + 2  # the private number of a P-256 key
            keys.append(der[at:at + 32])
        assert keys
        for name, pid in g.pids().items():
            memory = read_memory(pid)
            found = [d for d in digests if d.encode() in memory or bytes.fromhex(d) in memory]
            found += [k for k in keys if k in memory or k[::-1] in memory]  # as bytes, or as the library's little-endian number
            if "engine" in name or "store" in name:
                assert not found, f"{name} holds {len(found)} secrets"
            if "vault" in name:
                assert found, "the search itself must be able to find them"
    c.bye()
    p.reply(p.expect("BYE"), 200)
    time.sleep(1)
    g.stop()
    for root, _, files in os.walk(g.dir):
        for f in files:
            data = open(os.path.join(root, f), "rb").read()
            assert b"WVNfX19zZW1jdGwg" not in data, f
            assert g.passwords["alice"].encode() not in data, f
    u.close(), p.close()


def read_memory(pid):
    out = bytearray()
    with open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in open(f"/proc/{pid}/maps"):
            r, perms = line.split()[:2]
            a, b = (int(x, 16) for x in r.split("-"))
            if "rw" not in perms or b - a > 1 << 30:
                continue
            # only what is resident
            for at in range(a, b, 1 << 20):
                try:
                    mem.seek(at)
                    out += mem.read(min(1 << 20, b - at))
                except (OSError, ValueError, OverflowError):
                    pass
            if len(out) > 1 << 29:
                break
    return out
