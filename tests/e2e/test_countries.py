"""The first call to a country, through real SIP: refused without a second factor, let out by a code or by an administrator, and remembered."""
import os, subprocess, time
import pytest
from gateway import Gateway, wait_for
from rtp import Rtp
from test_rights import explain, line
from test_second_factor import CONFIG, PRIV, PUB, TRUNK, Talk, code, device, enrol, rings, take
from test_transfer import Party
from ua import Ask, Call

FREE = "caps: {{calls: 0, attempts: 0, call_money: 0, money: {{hour: 0, day: 0, month: 0}}}}"
OPEN = "internal, emergency, local, national, mobile, toll-free, international, premium, satellite"
begin, end = CONFIG.index("roles:"), CONFIG.index("routes:")
CONFIG = CONFIG[:begin] + f"""roles:
  - {{{{name: user, outbound: yes, dial: [{OPEN}], countries: all, features: [transfer-out, forward-out], {FREE}}}}}
  - {{{{name: asked, outbound: yes, dial: [{OPEN}], countries: all, step_up: [international, new-country], {FREE}}}}}
  - {{{{name: trusted, outbound: yes, dial: [{OPEN}], countries: all, step_up: none, {FREE}}}}}
fraud: {{{{mode: dry-run}}}}
administrators: {{{{four_eyes: no, who: [{{{{user: sys, role: security-officer}}}}, {{{{user: bin, role: operator}}}}, {{{{user: man, role: administrator}}}}]}}}}
""" + CONFIG[end:].replace('  - {{name: out, pattern: "0X."', '  - {{name: plus, pattern: "+X.", to: {{peers: [trunk]}}}}\n  - {{name: out, pattern: "0X."')
CONFIG = CONFIG.replace("name: legacy, listeners: [udp], ", "name: legacy, listeners: [udp], services: [transfer, message], redirect: follow, ")
AT, CH, US, JM, GB, SKY, HOME = "0043123456789", "0041441234567", "0012125550123", "0018765230123", "00442079460000", "008821234567", "0301234567"
USERS = {"alice": "user", "bob": "user", "carol": "user", "dave": "user", "erin": "user", "tess": "trusted", "ask": "asked"}


@pytest.fixture(scope="module")
def gw():
    g = Gateway(CONFIG, engines=2, ports="25000-25999")
    for u, role in USERS.items():
        g.user(u, role=role)
    g.start()
    yield g
    try:
        assert g.idle(), g.ask("calls")
    finally:
        g.close()


@pytest.fixture
def trunk():
    t = Party(TRUNK, 5080, (PRIV, 5060), "trunk")
    yield t
    t.close()


@pytest.fixture
def phones(gw):
    made = []

    def make(user):
        p = Party(f"127.0.97.{80 + list(USERS).index(user)}", 0, (PUB, 5060), user, gw.passwords[user])
        p.register()
        made.append(p)
        return p
    yield make
    for p in made:
        p.close()


def by(g, user, *args):
    return subprocess.run(["setpriv", f"--reuid={user}", "--regid=65534", "--clear-groups", g.cli, *args, "--state", g.state],
                          capture_output=True, text=True, timeout=30, env={"PATH": os.environ["PATH"]})


def allow(g, user, cc):
    return g.ask("country", "allow", user, cc, "--reason", "ticket 4711")


def countries(g, user):
    return {x["country"]: x["by"] for x in g.ask("country", "list", user)["countries"]}


def goes(who, trunk, number, extra=""):
    """Straight out: nobody answers but the trunk."""
    c = Call(who, number, who.body(), extra)
    c.invite()
    inv = trunk.expect("INVITE")
    trunk.reply(inv, 486, "Busy", "b")
    trunk.expect("ACK")
    c.ack(who.expect("486"))
    return inv


def refused(g, who, number, reason="right_country_first", status=403):
    before = g.reason(reason)
    c = Call(who, number, who.body())
    c.invite()
    m = who.expect(str(status))
    c.ack(m)
    assert wait_for(lambda: g.reason(reason) > before, 3), reason
    return c


def step_up(who, trunk, number, digits):
    """Ringwall answers, takes the code and lets the call out; it is ended by the trunk."""
    talk, far = Talk(who.ip), Rtp(TRUNK)
    c = Call(who, number, talk.body())
    c.invite()
    talk.start(c.answered())
    trunk.silence(0.4)                              # not before the code
    time.sleep(0.5)
    talk.dial(digits)
    take(trunk, rings(trunk), far)
    c.bye()
    trunk.leaves()
    talk.close(), far.close()


def test_refused_without_a_second_factor(gw, trunk, phones):
    a = phones("alice")
    c = refused(gw, a, AT)
    r = gw.cdr(c.id)
    assert r["reason"] == "right_country_first", r
    for number in (CH, SKY, JM, "0043900123456"):   # every class that costs abroad, and what is of no country
        refused(gw, a, number)
    for number in (HOME, "089123456", "015123456789", "08001234567", "09001234567", "112"):
        goes(a, trunk, number)                      # at home, also dear; and help
    before = gw.reason("right_country_first")
    Ask(a, "MESSAGE", AT, body="hello").took("403")
    assert wait_for(lambda: gw.reason("right_country_first") > before, 3)
    goes(phones("tess"), trunk, AT)                 # whose role says none
    assert countries(gw, "alice") == {}


def test_explain_says_it(gw):
    d = explain(gw, "alice", AT)
    assert (d["verdict"], d["reason"], d["code"], d["country"]) == ("refuse", "right_country_first", 403, "AT"), d
    assert d["decides"]["section"] == "roles" and d["decides"]["key"] == "step_up" and "name: user" in line(gw, d), d
    assert d["abroad"] == {"country": "AT", "allowed": False}, d
    r = gw.run("explain", "--as", "alice", "--to", SKY, "--config", gw.config, "--state", gw.state)
    assert "would be refused" in r.stdout and "right_country_first" in r.stdout and "ringwall country allow alice@example.com XX" in r.stdout, r.stdout
    assert explain(gw, "alice", "112")["verdict"] == "pass" and "abroad" not in explain(gw, "alice", HOME)
    assert explain(gw, "tess", AT)["verdict"] == "pass" and "abroad" not in explain(gw, "tess", AT)


def test_an_administrator_opens_it(gw, trunk, phones):
    b = phones("bob")
    refused(gw, b, AT)
    r = gw.run("country", "allow", "bob", "AT", "--state", gw.state)
    assert r.returncode == 1 and "--reason" in r.stderr, r.stderr
    assert by(gw, "bin", "country", "allow", "bob", "AT", "--reason", "x").returncode == 4   # an operator may not
    assert countries(gw, "bob") == {}
    r = by(gw, "sys", "country", "allow", "bob", "at", "--reason", "ticket 4711")
    assert r.returncode == 0 and r.stdout.strip() == "AT open to bob@example.com", r.stdout + r.stderr
    assert countries(gw, "bob") == {"AT": "sys"}
    for _ in range(6):                              # on both engines
        goes(b, trunk, AT)
    refused(gw, b, CH)                              # another one
    assert explain(gw, "bob", AT)["verdict"] == "pass" and explain(gw, "bob", AT)["abroad"] == {"country": "AT", "allowed": True}
    allow(gw, "bob", "XX")
    goes(b, trunk, SKY)
    # who asks is the kernel's word, and not the request's
    assert countries(gw, "bob")["XX"] not in ("sys", "bin")
    found = wait_for(lambda: [a for a in gw.ask("audit", "--last", "200")["acts"] if a["act"] == "country-allow" and a["who"] == "sys"], 3)
    assert len(found) == 1, found
    a = found[0]
    assert (a["what"], a["why"], a["outcome"], a["before"], a["after"]) == \
        ("bob at", "ticket 4711", "done", "AT closed to bob@example.com", "AT open to bob@example.com"), a
    # mistakes are told
    for args, status, text in ((["allow", "bob", "AT"], 1, "already"), (["allow", "bob", "ZZ"], 2, "two letters"), (["allow", "nobody", "AT"], 5, "no such user"),
                               (["forget", "bob", "GB"], 5, "was not let"), (["forget", "bob"], 2, "usage")):
        r = gw.run("country", *args, "--reason", "x", "--state", gw.state)
        assert r.returncode == status and text in r.stderr, (args, r.returncode, r.stderr)
    r = gw.run("country", "list", "--state", gw.state)
    assert r.returncode == 0 and "bob@example.com" in r.stdout and "XX" in r.stdout, r.stdout
    assert gw.ask("country", "forget", "bob", "XX")["after"] == "XX closed to bob@example.com"
    time.sleep(0.3)
    refused(gw, b, SKY)
    goes(b, trunk, AT)


def test_a_user_has_so_many(gw):
    ccs = "AD AE AF AG AI AL AM AO AR AS AU AW AX AZ BA BB BD BE BF BG BH BI BJ BM BN BO BR BS BT BW BY BZ CA CD CF CG CI CK CL CM CN CO CR CU CV CY CZ DJ DK DM DO DZ EC EE EG ER ES ET FI FJ FM FO FR GA"
    for cc in ccs.split():
        allow(gw, "tess", cc)
    assert len(countries(gw, "tess")) == 64
    r = gw.run("country", "allow", "tess", "GB", "--reason", "x", "--state", gw.state)
    assert r.returncode == 1 and "64 countries already" in r.stderr, r.stderr


def test_a_code_opens_it(gw, trunk, phones):
    secret = enrol(gw, "carol")
    c = phones("carol")
    d = wait_for(lambda: device(gw, "carol", "new"), 3)[0]
    gw.ask("device", "approve", "carol", d["device"])
    assert device(gw, "carol")[0]["decided_by"] not in ("administrator", "")
    time.sleep(0.3)
    assert explain(gw, "carol", AT)["verdict"] == "step-up" and explain(gw, "carol", AT)["reason"] == "right_country_first"
    step_up(c, trunk, AT, code(secret))
    given = time.time()
    assert wait_for(lambda: countries(gw, "carol"), 3) == {"AT": "one-time code"}
    assert explain(gw, "carol", AT)["verdict"] == "pass"
    assert "AT is open to carol@example.com by a one-time code" in open(gw.log).read()
    for _ in range(6):                              # the second call is let out at once, on both engines
        goes(c, trunk, AT)
    # another country asks again, and a wrong code opens nothing
    talk = Talk(c.ip)
    x = Call(c, CH, talk.body())
    x.invite()
    talk.start(x.answered())
    for wrong in ("111111", "222222", "333333"):
        time.sleep(0.9)
        talk.dial(wrong)
    c.leaves(8)
    talk.close()
    trunk.silence(0.2)
    assert countries(gw, "carol") == {"AT": "one-time code"} and gw.cdr(x.id)["reason"] == "auth_otp"
    # a device approved by a code at the service number opens no country
    step_up(c, trunk, US, code(secret, 30))
    assert wait_for(lambda: len(countries(gw, "carol")) == 2, 3) and set(countries(gw, "carol")) == {"AT", "US"}
    refused_message = gw.reason("right_country_first")
    Ask(c, "MESSAGE", CH, body="hello").took("403")  # nobody is there who could give a code
    assert wait_for(lambda: gw.reason("right_country_first") > refused_message, 3)
    # forgotten: asked again, though the code would still count for a class (`remember` is ten minutes)
    gw.ask("country", "forget", "carol", "AT")
    time.sleep(max(0.3, given + 10.2 - time.time()))
    for _ in range(4):                              # on both engines
        talk = Talk(c.ip)
        x = Call(c, AT, talk.body())
        x.invite()
        talk.start(x.answered())
        trunk.silence(0.3)
        x.bye()
        talk.close()


def test_a_class_that_always_asks_is_no_exception(gw, trunk, phones):
    """step_up: [international, new-country]: an administrator's word for the country does not replace the code for the class."""
    a = phones("ask")
    refused(gw, a, AT, "right_class")
    allow(gw, "ask", "AT")
    refused(gw, a, AT, "right_class")


def test_remembered_over_a_restart(gw, trunk, phones):
    before = {u: countries(gw, u) for u in USERS}
    gw.stop()
    assert os.stat(os.path.join(gw.state, "vault", "countries")).st_mode & 0o777 == 0o600
    gw.start()
    assert {u: countries(gw, u) for u in USERS} == before and before["carol"] == {"US": "one-time code"}
    goes(phones("carol"), trunk, US)
    goes(phones("bob"), trunk, AT)
    refused(gw, phones("alice"), AT)


def into_a_call(trunk, user, phone):
    c = Call(trunk, user, trunk.body())
    c.invite(auth=False)
    inv = phone.expect("INVITE")
    phone.reply(inv, 200, "OK", "t1", body=phone.body())
    c.answered()
    phone.expect("ACK")
    return c, inv


def refer(phone, inv, number):
    phone.cseq += 100
    phone.request("REFER", inv.uri("contact"), inv.get("from").split(";tag=")[0], inv.get("call-id"), "t1", inv.tag("from"), from_=inv.get("to"),
                  extra=f"Refer-To: <sip:{number}@example.com>\r\n")


def test_transfer_to_a_first_country(gw, trunk, phones):
    """Nobody could be asked for a code: with and without a second factor it is refused, until an administrator opens it."""
    d = phones("dave")
    c, inv = into_a_call(trunk, "dave", d)
    before = gw.reason("right_country_first")
    refer(d, inv, GB)
    d.expect("403")
    assert wait_for(lambda: gw.reason("right_country_first") > before, 3)
    refer(d, inv, HOME)
    d.expect("202")
    out = trunk.expect("INVITE")
    trunk.reply(out, 486, "Busy", "x")
    trunk.expect("ACK")
    d.notified(486)
    allow(gw, "dave", "GB")
    time.sleep(0.3)
    refer(d, inv, GB)
    d.expect("202")
    out = trunk.expect("INVITE")
    trunk.reply(out, 486, "Busy", "x")
    trunk.expect("ACK")
    d.notified(486)
    c.bye()
    d.leaves()
    # with a second factor it is the same
    k = phones("carol")
    c, inv = into_a_call(trunk, "carol", k)
    before = gw.reason("right_country_first")
    refer(k, inv, GB)
    k.expect("403")
    assert wait_for(lambda: gw.reason("right_country_first") > before, 3)
    c.bye()
    k.leaves()
    assert gw.idle(), gw.ask("calls")


def test_forward_to_a_first_country(gw, trunk, phones):
    e = phones("erin")

    def moved(number):
        c = Call(trunk, "erin", trunk.body())
        c.invite(auth=False)
        inv = e.expect("INVITE")
        e.reply(inv, 302, "Moved", "f1", extra=f"Contact: <sip:{number}@example.com>\r\n", contact=False)
        e.expect("ACK")
        return c
    before = gw.reason("right_country_first")
    c = moved(GB)
    c.ack(trunk.expect("4xx", skip=("100", "180")))
    assert wait_for(lambda: gw.reason("right_country_first") > before, 3)
    allow(gw, "erin", "GB")
    time.sleep(0.3)
    c = moved(GB)
    inv = trunk.expect("INVITE")
    trunk.reply(inv, 486, "Busy", "x")
    trunk.expect("ACK")
    c.ack(trunk.expect("486"))
    assert gw.idle(), gw.ask("calls")


def test_forgotten_with_the_user(gw, trunk, phones):
    """While the gateway runs, and while it does not: whoever gets the name next begins with none."""
    assert set(countries(gw, "erin")) == {"GB"}
    assert gw.run("user", "del", "erin", "--state", gw.state).returncode == 0
    gw.user("erin")
    assert countries(gw, "erin") == {}
    allow(gw, "erin", "FR")
    gw.stop()
    assert gw.run("user", "del", "erin", "--state", gw.state).returncode == 0
    gw.user("erin")
    gw.start()
    assert countries(gw, "erin") == {} and countries(gw, "bob")


def test_four_eyes(gw, trunk, phones):
    gw.write(CONFIG.replace("four_eyes: no", "four_eyes: yes"))
    assert gw.run("reload", "--state", gw.state, "--reason", "two see more").returncode == 0
    r = by(gw, "sys", "country", "allow", "alice", "GB", "--reason", "ticket 4712")
    assert r.returncode == 7 and "approval" in r.stderr, r.stderr
    assert countries(gw, "alice") == {}
    p = gw.ask("approvals")["approvals"]
    assert len(p) == 1 and p[0]["what"] == "country-allow alice GB" and p[0]["why"] == "ticket 4712", p
    assert by(gw, "sys", "approvals", "approve", str(p[0]["id"])).returncode == 4
    r = by(gw, "man", "approvals", "approve", str(p[0]["id"]))
    assert r.returncode == 0, r.stderr
    assert countries(gw, "alice") == {"GB": "man"}
    time.sleep(0.3)
    goes(phones("alice"), trunk, GB)
    assert gw.run("country", "forget", "alice", "GB", "--state", gw.state).returncode == 0   # closing needs nobody
