"""kill -9 of each program, again and again, under 200 running calls: what is lost is only that program's share, and no
record of a call is lost or doubled."""
import collections, glob, json, os, random, signal, sqlite3, time
import pytest
from crowd import CONFIG, Crowd
from gateway import Gateway, wait_for
from ua import Ua

KILLS, CALLS, SECONDS = 100, 200, 150
LIFE = 2.1  # one that dies sooner is started again later and later


@pytest.fixture
def gw():
    g = Gateway(config=CONFIG, ports="25000-27999", limits="calls: 2000")
    g.user("alice")
    g.start()
    yield g
    g.close()


@pytest.fixture
def crowd_of():
    made = []

    def make(*a, **k):
        made.append(Crowd(*a, **k))
        made[-1].start()
        return made[-1]
    yield make
    for c in made:
        c.quit()


def lines(g, log):
    for path in sorted(glob.glob(os.path.join(g.state, "store", log + ".0*.jsonl"))) + [os.path.join(g.state, "store", log + ".jsonl")]:
        with open(path) as f:
            yield from (json.loads(x) for x in f)


def settled(g):
    """The store has written what the engines told it."""
    time.sleep(0.6)
    return g.status()["state"] == "running"


def records(g, crowd, but=()):
    """Every call that reached the callee has a record, every session has one only, and log and database agree on all. (An
    INVITE that is sent again to an engine which started again meanwhile is a second session, with a record of its own.)"""
    logged = [(c["id"], c["engine"], c["session"], c["start_us"], c["legs"][0]["call_id"]) for c in lines(g, "cdr") if "legs" in c]
    db = sqlite3.connect("file:%s?mode=ro" % os.path.join(g.state, "store", "ringwall.db"), uri=True)
    rows = list(db.execute("SELECT s.id, engine, session, start_us, call_id FROM sessions s JOIN legs l ON l.id=s.id*2"))
    db.close()
    want = set(crowd.reached.values())
    assert len(want) == len(crowd.reached)
    for name, found in (("log", logged), ("database", rows)):
        missing = want - {x[4] for x in found} - set(but)
        twice = [k for k, n in collections.Counter(x[1:] for x in found).items() if n > 1]
        assert not missing, f"{len(missing)} of {len(want)} calls have no record in the {name}: {sorted(missing)[:5]}"
        assert not twice, f"{len(twice)} calls have more than one record in the {name}: {twice[:5]}"
    assert sorted(logged) == sorted(rows)
    return len(want)


def verify(g):
    r = g.run("verify-log", "--state", g.state)
    assert r.returncode == 0, r.stdout + r.stderr


def kill(g, *names):
    """Kills them at once, waits until they are back; the others must still be there."""
    pids = g.pids()
    for name in names:
        os.kill(pids[name], signal.SIGKILL)

    def back():
        now = {x["name"].replace("engine ", "engine"): x for x in g.status()["programs"]}
        return all(now[n]["pid"] not in (0, pids[n]) and now[n]["state"] == "running" for n in names)
    assert wait_for(back, 10, 0.03), f"{names} did not come back: {g.status()['programs']}"
    after = g.pids()
    assert {k: v for k, v in after.items() if k not in names} == {k: v for k, v in pids.items() if k not in names}, "another program died, too"


def test_a_hundred_kills(gw, crowd_of):
    crowd = crowd_of(CALLS)
    assert wait_for(lambda: crowd.up() > CALLS * 0.8, 15), f"{crowd.up()} calls are up, {crowd.failed} failed"
    u = Ua("127.0.71.20", 0, ("127.0.71.1", 5061), "tls", "alice", gw.passwords["alice"], ca=os.path.join(gw.state, "ca.pem"))
    u.register(600)
    bindings = lambda: len(gw.ask("bindings")["bindings"])
    assert wait_for(lambda: bindings() == 1, 3)
    names = ["engine0", "engine1", "vault", "store"]
    r = random.Random(7)
    end, killed, back = time.time() + SECONDS, collections.Counter(), {}
    while sum(killed.values()) < KILLS and time.time() < end:
        two = sorted(names, key=lambda n: (killed[n], r.random()))[:min(r.choice((1, 2, 2)), KILLS - sum(killed.values()))]
        time.sleep(max(0, max(back.get(n, 0) for n in two) + LIFE - time.time()))
        kill(gw, *two)
        killed.update(two)
        back.update({n: time.time() for n in two})
        if sum(killed.values()) % 10 == 0:
            verify(gw)
            assert bindings() == 1
    assert sum(killed.values()) == KILLS, f"only {dict(killed)} in {SECONDS} s"
    assert wait_for(lambda: crowd.up() > CALLS * 0.8, 15), f"{crowd.up()} calls are up"
    assert crowd.finish(), f"{len(crowd.calls)} calls do not end"
    assert gw.idle(40)
    assert settled(gw)
    n = records(gw, crowd)
    verify(gw)
    aborted = sum(1 for c in lines(gw, "cdr") if c.get("aborted"))
    print(f"\n{n} calls in {KILLS} kills: {aborted} aborted with an engine, {len(crowd.ended)} ended in order")
    assert aborted > 100 and len(crowd.ended) > 100
    # the audit trail: each death and each return, in the log that verified
    trail = collections.Counter((e["program"].replace("engine ", "engine"), e["what"]) for e in lines(gw, "events") if e["event"] == "process")
    for name in names:
        assert trail[name, "crashed"] == killed[name] and trail[name, "restarted"] == killed[name], (name, trail)
    assert not [e for e in lines(gw, "events") if e["event"] == "log-damaged" and e.get("lines_missing")]
    u.close()  # its connection may have been a killed engine's
    u = Ua("127.0.71.20", 0, ("127.0.71.1", 5061), "tls", "alice", gw.passwords["alice"], ca=os.path.join(gw.state, "ca.pem"))
    u.register(600)
    u.close()


def test_a_killed_engine_takes_only_its_own_calls(gw, crowd_of):
    crowd = crowd_of(100, hold=(60, 61))
    assert wait_for(lambda: crowd.up() == 100, 15)
    per = [len(e["calls"]) for e in gw.ask("calls")["engines"]]
    assert sum(per) == 100 and min(per) > 20
    kill(gw, "engine0")
    assert wait_for(lambda: [len(e["calls"]) for e in gw.ask("calls")["engines"]] == [0, per[1]], 3)
    kill(gw, "store")
    kill(gw, "vault")
    assert [len(e["calls"]) for e in gw.ask("calls")["engines"]] == [0, per[1]]
    assert crowd.finish()
    assert len(crowd.ended) == per[1]
    assert gw.idle() and settled(gw)
    assert records(gw, crowd) == 100
    assert sum(1 for c in lines(gw, "cdr") if c.get("aborted")) == per[0]


def test_everything_killed_at_once(gw, crowd_of):
    """The monitor, and with it everything: the next start writes what was left open, and bindings return."""
    u = Ua("127.0.71.20", 0, ("127.0.71.1", 5061), "tls", "alice", gw.passwords["alice"], ca=os.path.join(gw.state, "ca.pem"))
    u.register(600)
    crowds = []
    for round_ in range(3):
        crowd = crowd_of(CALLS, hold=(1, 30), seed=round_)
        assert wait_for(lambda: crowd.up() > CALLS * 0.8, 15)
        if round_ == 0:
            assert wait_for(lambda: len(gw.ask("bindings")["bindings"]) == 1, 3)
            time.sleep(1)
        pids = list(gw.pids().values())
        os.kill(gw.proc.pid, signal.SIGKILL)
        now = time.time()
        if round_ == 2:  # the others end by themselves when the monitor has gone; here they may not even do that
            for p in pids:
                try:
                    os.kill(p, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        gw.proc.wait()
        crowd.stopping = True
        gw.start()
        assert wait_for(lambda: len(gw.ask("bindings")["bindings"]) == 1, 5)
        crowd.finish(30)
        crowd.quit()
        # what was in no file yet when all of them died in the same moment
        crowds.append((crowd, [crowd.reached[n] for n, at in crowd.at.items() if at > now - 0.6] if round_ == 2 else []))
        verify(gw)
    assert gw.idle(40) and settled(gw)
    for crowd, but in crowds:
        assert len(crowd.reached) >= CALLS * 0.8
        records(gw, crowd, but)
    u.close()
