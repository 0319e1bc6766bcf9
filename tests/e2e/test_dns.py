"""Peers by name: NAPTR, SRV, addresses, failover, changes, refusals and DNSSEC, against a real name server."""
import json, os, select, signal, time
import pytest
from gateway import Gateway, wait_for
from house import Authority, Server, answer_to, final
from ua import Call, Ua, sdp
from zone import SERVER, Zone, sign

LAN = "127.0.72."
CONFIG = """
domains: [example.com]
state: {state}
engines: {engines}
media: {{ports: {ports}}}
listeners:
  - {{name: lan, transport: udp, address: "127.0.72.1:5060"}}
  - {{name: lan-tcp, transport: tcp, address: "127.0.72.1:5060"}}
zones:
  - {{name: lan, listeners: [lan, lan-tcp], sources: [127.0.72.0/24], media: rtp, authenticate: no, rate_per_source: 5000}}
waivers:
  - {{name: old-pbx, zone: lan, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test PBX without TLS", expires: 2099-01-01}}
peers:
  - {{name: src, kind: pbx, zone: lan, listener: lan, address: "127.0.72.10:5070"}}
PEERS
routes:
ROUTES
dns: {{servers: ["127.0.70.53:5353"], ANCHOR}}
limits: {{register_min: 10s, {limits}}}
"""


def config(peers, anchor=None):
    """peers: {number prefix: (name, listener, host, more)}."""
    p = "\n".join(f'  - {{{{name: {name}, kind: pbx, zone: lan, listener: {listener}, address: "{host}"{more}}}}}' for name, listener, host, more in peers.values())
    r = "\n".join(f'  - {{{{name: r{n}, pattern: "{n}X.", to: {{{{peers: [{v[0]}]}}}}}}}}' for n, v in peers.items()) or '  - {{name: none, pattern: "9X.", to: refuse}}'
    return CONFIG.replace("PEERS", p).replace("ROUTES", r).replace("ANCHOR", f'trust_anchor: "{anchor}"' if anchor else "unsigned: [test]")


def peer(g, name):
    """Each engine's view of that peer."""
    return [p for e in g.ask("peers")["engines"] for p in (e if isinstance(e, list) else e["peers"]) if p["name"] == name]


def addresses(g, name):
    views = [sorted(t["address"] for t in p["targets"]) for p in peer(g, name)]
    return views[0] if views and all(v == views[0] for v in views) else None


def settled(g, name, want, seconds=8):
    return wait_for(lambda: addresses(g, name) == sorted(want), seconds)


class Pbx(Ua):
    def __init__(self, last, port):
        super().__init__(LAN + last, port, (LAN + "1", 5060), "udp", "pbx")

    def take(self, timeout=4):
        inv = self.expect("INVITE", timeout)
        self.reply(inv, 200, "OK", "p", body=sdp(self.ip, 41000))
        self.expect("ACK")
        return inv


@pytest.fixture
def close():
    made = []
    yield lambda x: made.append(x) or x
    for x in reversed(made):
        x.close()


@pytest.fixture
def src(close):
    return close(Ua(LAN + "10", 5070, (LAN + "1", 5060), "udp", "src"))


def gateway(close, peers, anchor=None, **k):
    return close(Gateway(config=config(peers, anchor), ports="26000-26399", **k)).start()


def call(src, number):
    c = Call(src, number, sdp(src.ip, 40000))
    c.invite(auth=False)
    return c


def whole(src, p, number):
    c = call(src, number)
    inv = p.take()
    c.answered()
    c.bye()
    p.reply(p.expect("BYE"), 200)
    return inv


NAPTR = 'pbx.test. 6 IN NAPTR {} {} "s" "{}" "" {}'


def test_naptr_srv_and_addresses_decide(close, src):
    z = close(Zone([NAPTR.format(20, 10, "SIP+D2U", "_sip._udp.wrong.test."), NAPTR.format(10, 10, "SIP+D2U", "_sip._udp.pbx.test."),
                    NAPTR.format(5, 10, "SIP+D2T", "_sip._tcp.pbx.test."),
                    "_sip._udp.pbx.test. 6 IN SRV 10 0 5091 one.test.", "_sip._udp.pbx.test. 6 IN SRV 20 0 5092 two.test.",
                    "_sip._udp.wrong.test. 6 IN SRV 1 0 5099 one.test.",
                    "one.test. 6 IN A 127.0.72.20", "two.test. 6 IN A 127.0.72.21", "two.test. 6 IN AAAA ::1"])).start()
    g = gateway(close, {"1": ("named", "lan", "pbx.test", ""), "2": ("tcp", "lan-tcp", "pbx.test", "")})
    assert settled(g, "named", ["127.0.72.20:5091", "127.0.72.21:5092"]), (g.ask("peers"), open(g.log).read(), z.log())
    p = peer(g, "named")[0]
    assert p["name_state"] == "resolved" and not p["secure"] and p["host"] == "pbx.test" and p["name_error"] is None
    assert 0 < p["until_us"] / 1e6 - time.time() <= 6.5
    assert [t["priority"] for t in p["targets"]] == [10, 20]
    one = close(Pbx("20", 5091))
    for n in range(3):
        whole(src, one, f"10{n}")
    # calls from the peer are known by the addresses that its name has
    c = Call(one, "200", sdp(one.ip, 41000))
    c.invite(auth=False)
    assert final(one).code == 503  # the TCP service is named by NAPTR, but has no SRV record and no address
    assert peer(g, "tcp")[0]["name_error"] == "dns_no_address" and g.reason("route_peer_unresolved") >= 1
    assert any(x["name"] == "fetch" and x["sandbox"]["seccomp"] for x in g.status()["programs"])
    assert g.idle(4)


def test_failover_on_silence_and_on_503(close, src):
    z = close(Zone(["_sip._udp.pair.test. 60 IN SRV 1 0 5093 dead.test.", "_sip._udp.pair.test. 60 IN SRV 2 0 5093 busy.test.",
                    "_sip._udp.pair.test. 60 IN SRV 3 0 5093 good.test.",
                    "dead.test. 60 IN A 127.0.72.30", "busy.test. 60 IN A 127.0.72.31", "good.test. 60 IN A 127.0.72.32"])).start()
    g = gateway(close, {"1": ("pair", "lan", "pair.test", "")})
    assert settled(g, "pair", [f"127.0.72.3{n}:5093" for n in range(3)])
    dead, busy, good = close(Pbx("30", 5093)), close(Pbx("31", 5093)), close(Pbx("32", 5093))
    t = time.time()
    c = call(src, "100")
    dead.expect("INVITE")  # says nothing
    busy.reply(busy.expect("INVITE", 6), 503, "Busy", "b")
    busy.expect("ACK")
    good.take(6)
    assert 3 < time.time() - t < 8
    c.answered()
    c.bye()
    good.reply(good.expect("BYE"), 200)
    up = {t["address"]: t["up"] for p in peer(g, "pair") for t in p["targets"] if not t["up"]}
    assert set(up) == {"127.0.72.30:5093", "127.0.72.31:5093"}


def test_weights_share_the_calls(close, src):
    close(Zone(["_sip._udp.many.test. 60 IN SRV 1 3 5094 a.many.test.", "_sip._udp.many.test. 60 IN SRV 1 1 5094 b.many.test.",
                "a.many.test. 60 IN A 127.0.72.33", "b.many.test. 60 IN A 127.0.72.34"])).start()
    g = gateway(close, {"1": ("many", "lan", "many.test", "")}, engines=1)
    assert settled(g, "many", ["127.0.72.33:5094", "127.0.72.34:5094"])
    a, b = close(Pbx("33", 5094)), close(Pbx("34", 5094))
    got = {a: 0, b: 0}
    for n in range(80):     # of 40, one run in a thousand gave the lighter one two
        c = call(src, f"1{n % 5:02}")
        ready = select.select([a.s, b.s], [], [], 5)[0]
        first = next(x for x in (a, b) if x.s in ready)
        got[first] += 1
        first.reply(first.expect("INVITE"), 486, "Busy", "p")
        first.expect("ACK")
        c.ack(final(src))
    assert got[a] > got[b] > 2, got


def test_a_change_in_the_zone_is_taken_and_running_calls_go_on(close, src):
    z = close(Zone(["move.test. 5 IN A 127.0.72.40"])).start()
    g = gateway(close, {"1": ("move", "lan", "move.test:5095", "")})
    assert settled(g, "move", ["127.0.72.40:5095"])
    old, new = close(Pbx("40", 5095)), close(Pbx("41", 5095))
    c = call(src, "100")
    inv = old.take()
    c.answered()
    z.change(["move.test. 5 IN A 127.0.72.41"])
    assert settled(g, "move", ["127.0.72.41:5095"], 15), (g.ask("peers"), open(g.log).read())
    whole(src, new, "101")
    # the old address ends its call by itself, but begins none
    tag = inv.tag("from")
    old.cseq = 10
    old.request("BYE", inv.uri("contact"), inv.get("from").split(";tag=")[0], inv.get("call-id"), "p", tag, from_=inv.get("to"))
    old.expect("200")
    src.reply(src.expect("BYE"), 200)
    x = Call(old, "105", sdp(old.ip, 41000))
    x.invite(auth=False)
    m = old.recv(2)
    assert not m or m.code in (401, 403), m
    assert g.idle(4)


def test_change_with_a_tcp_peer_keeps_its_connection(close, src):
    z = close(Zone(["tcp.test. 5 IN A 127.0.72.42"])).start()
    g = gateway(close, {"1": ("tcp", "lan-tcp", "tcp.test:5096", "")})
    assert settled(g, "tcp", ["127.0.72.42:5096"])
    old, new = close(Server(LAN + "42", 5096)), close(Server(LAN + "43", 5096))
    c = call(src, "100")
    conn, inv = old.expect("INVITE")
    conn.reply(inv, 200, "OK", "p", body=answer_to(inv, old.ip, 41000))
    old.expect("ACK")
    c.answered()
    z.change(["tcp.test. 5 IN A 127.0.72.43"])
    assert settled(g, "tcp", ["127.0.72.43:5096"], 15)
    old.drop()  # even a new connection to where the call is
    time.sleep(0.2)
    c.bye()
    conn, bye = old.expect("BYE")
    conn.reply(bye, 200)
    c2 = call(src, "101")
    conn, inv = new.expect("INVITE")
    conn.reply(inv, 486, "Busy", "p")
    assert final(src).code in (486, 480)
    assert g.idle(4)


def test_no_such_name_is_refused_by_name(close, src):
    z = close(Zone(["other.test. 60 IN A 127.0.72.50", "_sip._udp.none.test. 60 IN SRV 0 0 0 .", "bad.test. 60 IN A 224.0.0.9", "self.test. 60 IN A 127.0.72.1"])).start()
    g = gateway(close, {"1": ("gone", "lan", "gone.test", ""), "2": ("none", "lan", "none.test", ""), "3": ("bad", "lan", "bad.test:5060", ""),
                        "4": ("self", "lan", "self.test:5060", ""), "5": ("six", "lan", "other.test:5097", "")})
    assert settled(g, "six", ["127.0.72.50:5097"])
    for name, why in (("gone", "dns_no_name"), ("none", "dns_no_service"), ("bad", "dns_address_refused"), ("self", "dns_address_refused")):
        assert wait_for(lambda: peer(g, name)[0]["name_error"] == why, 3), peer(g, name)
        assert peer(g, name)[0]["targets"] == []
    for n in "1234":
        c = call(src, n + "00")
        m = final(src)
        assert m.code == 503
        c.ack(m)
        assert "route_peer_unresolved" in json.dumps(g.ask("explain", c.id))
    assert g.reason("dns_no_name") >= 1
    # it appears: taken when the negative answer has aged (SOA minimum 5 s)
    z.change(["gone.test. 60 IN A 127.0.72.51"])
    assert settled(g, "gone", ["127.0.72.51:5060"], 15), (peer(g, "gone"), open(g.log).read())


def test_silent_server_keeps_the_last_answer(close, src):
    z = close(Zone(["keep.test. 5 IN A 127.0.72.52"])).start()
    g = gateway(close, {"1": ("keep", "lan", "keep.test:5098", "")})
    assert settled(g, "keep", ["127.0.72.52:5098"])
    z.stop()
    assert wait_for(lambda: peer(g, "keep")[0]["name_state"] == "stale", 30), peer(g, "keep")
    assert peer(g, "keep")[0]["name_error"] == "dns_failed"
    whole(src, close(Pbx("52", 5098)), "100")
    z.start()
    assert wait_for(lambda: peer(g, "keep")[0]["name_state"] == "resolved", 60), peer(g, "keep")


def test_killed_fetch_comes_back_and_answers_stay(close, src):
    close(Zone(["live.test. 60 IN A 127.0.72.53"])).start()
    g = gateway(close, {"1": ("live", "lan", "live.test:5099", "")})
    assert settled(g, "live", ["127.0.72.53:5099"])
    p = close(Pbx("53", 5099))
    pid = g.pids()["fetch"]
    os.kill(pid, signal.SIGKILL)
    whole(src, p, "100")
    assert wait_for(lambda: g.pids().get("fetch") not in (None, 0, pid), 5)
    assert addresses(g, "live") == ["127.0.72.53:5099"]
    whole(src, p, "101")


def test_fetch_runs_only_while_a_peer_has_a_name(close, src):
    close(Zone(["late.test. 60 IN A 127.0.72.54"])).start()
    g = gateway(close, {})
    assert "fetch" not in g.pids()
    g.write(config({"1": ("late", "lan", "late.test:5100", "")}))
    assert g.run("reload", "--reason", "a test", "--state", g.state).returncode == 0
    assert settled(g, "late", ["127.0.72.54:5100"])
    whole(src, close(Pbx("54", 5100)), "100")
    g.write(config({}))
    assert g.run("reload", "--reason", "a test", "--state", g.state).returncode == 0
    assert wait_for(lambda: "fetch" not in g.pids(), 5), g.status()
    assert g.status()["state"] == "running" and "ALERT" not in open(g.log).read().upper().replace("CONFIG", "")


def test_tls_peer_by_name_shows_the_name_that_was_asked_for(close, src, tmp_path):
    """RFC 5922: the certificate must hold the configured name; that of the SRV target does not count."""
    auth = Authority(tmp_path)
    text = config({"1": ("good", "wall", "tls.test", ", tls_name: tls.test"), "2": ("bad", "wall", "other.test", ", tls_name: other.test")})
    text = text.replace("zones:", "  - {{name: wall, transport: tls, address: \"127.0.73.1:5061\"}}\nzones:", 1)
    text = text.replace("waivers:", "  - {{name: wall, listeners: [wall], sources: [127.0.73.0/24], media: srtp, authenticate: no}}\nwaivers:", 1)
    text = text.replace("media: {{", "certificates:\n  default: {{chain: server.pem, key: server}}\nmedia: {{", 1).replace("zone: lan, listener: wall", "zone: wall, listener: wall")
    close(Zone(["_sips._tcp.tls.test. 60 IN SRV 1 0 5061 host.test.", "_sips._tcp.other.test. 60 IN SRV 1 0 5062 host.test.", "host.test. 60 IN A 127.0.73.20"])).start()
    g = close(Gateway(config=text, ports="26000-26399"))
    with open(os.path.join(g.state, "trusted.pem"), "w") as f:
        f.write(open(auth.cert).read())
    g.start()
    assert settled(g, "good", ["127.0.73.20:5061"]) and settled(g, "bad", ["127.0.73.20:5062"]), open(g.log).read()
    good = close(Server("127.0.73.20", 5061, auth.issue("tls.test")))
    bad = close(Server("127.0.73.20", 5062, auth.issue("host.test")))
    c = call(src, "100")
    conn, inv = good.expect("INVITE")
    assert inv.start == "INVITE sip:100@tls.test;transport=tls SIP/2.0", inv.start
    conn.reply(inv, 486, "Busy", "p")
    m = final(src)
    assert m.code in (480, 486)
    c.ack(m)
    before = g.reason("tls_peer_cert")
    c = call(src, "200")
    assert bad.recv(1.5) is None
    assert final(src).code == 503
    assert g.reason("tls_peer_cert") > before


def test_ipv6_peer_and_an_answer_too_long_for_a_datagram(close):
    """AAAA for a listener of IPv6; 30 SRV records come by TCP."""
    text = config({"1": ("six", "lan6", "six.test", "")}).replace("zones:", "  - {{name: lan6, transport: udp, address: \"[::1]:5065\"}}\nzones:", 1)
    text = text.replace("[lan, lan-tcp]", "[lan, lan-tcp, lan6]").replace("[127.0.72.0/24]", "[127.0.72.0/24, \"::1/128\"]")
    long = [f"_sip._udp.six.test. 60 IN SRV {n} 0 51{n:02} a-rather-long-name-of-a-host-{n}.six.test." for n in range(10, 40)]
    close(Zone(long + [f"a-rather-long-name-of-a-host-{n}.six.test. 60 IN {t}" for n in range(10, 14) for t in ("AAAA ::1", "A 127.0.72.20")])).start()
    g = close(Gateway(config=text, ports="26000-26399")).start()
    assert settled(g, "six", [f"[::1]:51{n}" for n in range(10, 14)]), (g.ask("peers"), open(g.log).read())


SIGNED = ["_sip._udp.sec.example.net. 60 IN SRV 1 0 5101 pbx.sec.example.net.", "pbx.sec.example.net. 60 IN A 127.0.72.60"]


def test_signed_answers_are_accepted_and_unsigned_refused(close, src, tmp_path):
    signed, anchor = sign(tmp_path, "sec.example.net", SIGNED)
    os.chmod(tmp_path, 0o755)
    close(Zone(["plain.test. 60 IN A 127.0.72.61"], signed={"sec.example.net": signed})).start()
    g = gateway(close, {"1": ("sec", "lan", "sec.example.net", ", dnssec: yes"), "2": ("plain", "lan", "plain.test:5102", ", dnssec: yes")}, anchor)
    assert settled(g, "sec", ["127.0.72.60:5101"]), (g.ask("peers"), open(g.log).read())
    assert peer(g, "sec")[0]["secure"] is True
    whole(src, close(Pbx("60", 5101)), "100")
    assert peer(g, "plain")[0]["name_error"] == "dns_unsigned" and peer(g, "plain")[0]["targets"] == []
    c = call(src, "200")
    assert final(src).code == 503


@pytest.mark.parametrize("dnssec", ["yes", "no"])
def test_tampered_answers_are_refused(close, src, tmp_path, dnssec):
    signed, anchor = sign(tmp_path, "sec.example.net", SIGNED)
    os.chmod(tmp_path, 0o755)
    text = open(signed).read()
    assert "127.0.72.60" in text
    with open(signed, "w") as f:
        f.write(text.replace("127.0.72.60", "127.0.72.66"))
    close(Zone(signed={"sec.example.net": signed})).start()
    g = gateway(close, {"1": ("sec", "lan", "sec.example.net", f", dnssec: {dnssec}")}, anchor)
    assert wait_for(lambda: peer(g, "sec")[0]["name_error"] == "dns_bogus", 20), (peer(g, "sec"), open(g.log).read())
    assert peer(g, "sec")[0]["targets"] == []
    thief = close(Pbx("66", 5101))
    c = call(src, "100")
    assert final(src).code == 503
    thief.silence(0.3)
