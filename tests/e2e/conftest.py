import json, os, shutil, subprocess, sys, time
import pytest
sys.path.insert(0, os.path.dirname(__file__))
import gateway
from gateway import Gateway
from ua import Ua


@pytest.fixture(scope="session")
def gw(capture):
    """One gateway for most tests: two engines, users alice and bob (SHA-256), mdora and mdaniel (MD5 by waiver)."""
    g = Gateway()
    for u in ("alice", "bob", "carol"):
        g.user(u)
    g.user("mdora", md5=True)
    g.user("mdaniel", md5=True)
    g.user("ivan", role="internal")
    g.peer_secret = g.run("peer-secret", "trunk", "--state", g.state, stdin="Trunk-secret-4711\n")
    g.start()
    u = Ua("127.0.1.99", 0, (gateway.PUB, 5060), "udp", "alice", g.passwords["alice"])
    u.request("REGISTER", "sip:example.com", "<sip:alice@example.com>", "old@x", "t")
    g.challenge = time.time(), u.expect("401").get("www-authenticate")  # for when it has aged
    u.close()
    yield g
    try:
        assert g.idle(), "calls are left at the end: %s" % g.ask("calls")
    finally:
        g.close()


@pytest.fixture(scope="session")
def capture(tmp_path_factory):
    """Everything on loopback during the session, where that is allowed; tests that read it come last."""
    path = str(tmp_path_factory.mktemp("capture") / "lo.pcap")
    if os.geteuid() != 0 or not shutil.which("tshark"):
        yield None
        return
    p = subprocess.Popen(["dumpcap", "-q", "-i", "lo", "-s", "2000", "-w", path, "-f", "net 127.0.1.0/24 or net 127.0.2.0/24 or net 127.0.6.0/24 or udp portrange 32000-34999"],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.7)
    yield path
    p.terminate()
    p.wait(5)


@pytest.fixture(scope="module", autouse=True)
def loopback():
    """Addresses that a module gave loopback are taken back: the next one may have them behind an interface."""
    def held():
        r = subprocess.run(["ip", "-json", "address", "show", "dev", "lo"], capture_output=True, text=True)
        return {f"{a['local']}/{a['prefixlen']}" for d in json.loads(r.stdout or "[]") for a in d.get("addr_info", [])}
    before = held()
    yield
    for a in held() - before:
        subprocess.run(["ip", "address", "delete", a, "dev", "lo"], check=True)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda i: "test_zz" in str(i.fspath))
