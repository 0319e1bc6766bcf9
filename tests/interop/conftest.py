import os, shutil, subprocess, sys
import pytest
sys.path.insert(0, os.path.dirname(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "e2e"))


@pytest.fixture(scope="session")
def rows(tmp_path_factory):
    """The whole matrix, run once: {(peer, transport, media): {feature: outcome}}."""
    import lab, matrix
    for program in ("baresip", "linphonec", "sipsak", "sipp", "kamailio"):
        if not shutil.which(program):
            pytest.skip(program + " is not installed")
    if os.geteuid() != 0:
        pytest.skip("needs root: linphonec registers only where a default route exists, and that is made here in a network namespace")
    uplink()
    g = lab.gateway()
    k = lab.kamailio(g, str(tmp_path_factory.mktemp("kamailio")))
    try:
        found = matrix.run(g)
        assert g.idle(15), "calls are left: %s" % g.ask("calls")
    finally:
        k.terminate()
        k.wait(10)
        g.close()
    if os.environ.get("INTEROP_WRITE"):
        matrix.write(found)
    return found


def uplink():
    """A default route that leads nowhere, unless there is one: without it linphonec thinks that it is offline."""
    if subprocess.run(["ip", "route", "show", "default"], capture_output=True, text=True).stdout:
        return
    for line in ("link add up0 type veth peer name up1", "addr add 192.0.2.99/24 dev up0", "link set up0 up", "link set up1 up", "route add default via 192.0.2.1"):
        subprocess.run(["ip", *line.split()], check=True)
