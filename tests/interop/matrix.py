"""The cells of the matrix: each peer, transport and kind of media through the same deeds; what came of each, in the words of the table."""
import os, time
from concurrent.futures import ThreadPoolExecutor
from gateway import wait_for
from lab import Desk
from peers import Baresip, Behind, Front, Linphone, Sipp, Sipsak

FEATURES = ["register", "call", "hold", "transfer", "cancel", "long call"]
WORKS, NONE = "works", "not offered"
LONG_S = 52  # a session of 90 s is refreshed after 45


def refusal(gw, user):
    """The name by which the user's last call was refused."""
    def last():
        found = [c for c in gw.ask("cdr", "--last", "60")["cdrs"] if user in f"{c.get('user')} {c.get('from')}" and c["code"] >= 300]
        return found and found[0].get("reason")
    return "refused: " + str(wait_for(last, 3))


def live(phone, gw, desk, n):
    """A softphone with a user at it."""
    r, up, ring, third = dict.fromkeys(FEATURES, NONE), "30" + n, "31" + n, "309" + n
    r["register"] = WORKS if phone.registered() else "fails"
    phone.call(up)
    if not desk.saw(up, "ACK", 5):
        r["call"] = refusal(gw, phone.user)
        return dict(r, hold=r["call"], transfer=r["call"], cancel=r["call"], **{"long call": r["call"]})
    time.sleep(0.6)
    r["call"] = WORKS
    phone.hold()
    held = desk.saw(up, "sendonly") or desk.saw(up, "inactive", 0)
    phone.resume()
    r["hold"] = WORKS if held and desk.saw(up, "sendrecv") else "fails"
    time.sleep(0.4)
    phone.transfer(third)
    r["transfer"] = WORKS if desk.saw(third, "ACK") else "fails"
    time.sleep(0.5)
    phone.end()
    time.sleep(0.5)
    phone.call(ring)
    desk.saw(ring, "INVITE")
    time.sleep(0.4)
    phone.cancel()
    r["cancel"] = WORKS if desk.saw(ring, "CANCEL") else "fails"
    return r


def scripted(phone, gw, desk, n):
    """SIPp, alone or through a proxy."""
    r, auth = dict.fromkeys(FEATURES, NONE), phone.auth
    if auth:
        r["register"] = WORKS if phone.perform(phone.script().register()) else "fails"
    word = lambda ok: WORKS if ok else "fails: " + phone.why
    if not phone.perform(phone.script().invite(auth=auth).pause(300).bye(), "30" + n):
        r["call"] = refusal(gw, phone.user) if " 488 " in phone.why else "fails: " + phone.why
        return dict(r, hold=r["call"], transfer=r["call"], cancel=r["call"], **{"long call": r["call"]})
    r["call"] = WORKS
    held = phone.perform(phone.script().invite(auth=auth).pause(200).again(3, "sendonly").pause(100).again(4, "sendrecv").pause(100).bye(), "30" + n)
    r["hold"] = word(held and desk.saw("30" + n, "sendonly"))
    # SIPp loses its place when two messages come in one segment or the proxy turns them round: NOTIFYs only where neither can be.
    third, told = "309" + n, type(phone) is Sipp and phone.transport == "udp"
    moved = phone.perform(phone.script().invite(auth=auth).pause(200).refer(third, told), "30" + n)
    r["transfer"] = word(moved and desk.saw(third, "ACK", 2))
    given_up = phone.perform(phone.script().invite("180", auth=auth).pause(300).cancel(auth, type(phone) is Sipp), "31" + n)
    r["cancel"] = word(given_up and desk.saw("31" + n, "CANCEL", 2))
    return r


def registers_only(phone, gw, desk, n):
    r = dict.fromkeys(FEATURES, NONE)
    r["register"] = WORKS if phone.result.returncode == 0 and phone.registered(2) else "fails: " + phone.text()[-300:]
    return r


# peer, how it is driven, its account, transports that it speaks, kinds of media
PEERS = [(Baresip, live, "mdora", "udp tcp tls", (False, True)),
         (Linphone, live, "mlin", "udp tcp tls", (False, True)),
         (Sipp, scripted, "msipp", "udp tcp", (False, True)),
         (Front, scripted, "mkam", "udp tcp tls", (False, True)),
         (Behind, scripted, "mdaniel", "udp tcp tls", (False, True)),
         (Sipsak, registers_only, "msak", "udp tcp tls", (False,))]


def row_of(i, gw, desk):
    cls, drive, user, transports, kinds = PEERS[i]
    rows, k = {}, 0
    for transport in ("udp", "tcp", "tls"):
        for srtp in (False, True):
            k += 1
            key = (cls.name, transport.upper(), "SDES" if srtp else "RTP")
            if transport not in transports.split() or srtp not in kinds:
                rows[key] = dict.fromkeys(FEATURES, NONE)
                continue
            phone = cls(gw, user, transport, srtp)
            try:
                phone.start()
                rows[key] = drive(phone, gw, desk, f"{i}{k}")
            finally:
                phone.close()
    return rows


def long_calls(gw, desk):
    """A call of every peer and way that policy lets pass, all at once, over the time of a session refresh."""
    ways = [(cls, user, t, srtp) for cls, _, user, transports, kinds in PEERS for t in transports.split() for srtp in kinds
            if cls is not Sipsak and (srtp == (t == "tls") or cls is Behind and t == "tls")]
    out, phones = {}, []
    for k, (cls, user, t, srtp) in enumerate(ways):
        phone, number = cls(gw, user, t, srtp), f"307{k:02d}"
        phones.append((phone, number, (cls.name, t.upper(), "SDES" if srtp else "RTP")))
        phone.start()
        if isinstance(phone, Sipp):
            s = phone.script(timer=True).invite(auth=phone.auth).refreshed(LONG_S).pause(500).bye()
            phone.perform(s, number, LONG_S + 12, wait=False)
        else:
            phone.registered()
            phone.call(number)
    time.sleep(LONG_S)
    for phone, number, key in phones:
        fresh = desk.saw(number, "re-INVITE", 3) or desk.saw(number, "UPDATE", 0)
        if isinstance(phone, Sipp):
            ok = phone.done(15)
        else:
            ok = not desk.saw(number, "BYE", 0)
            phone.end()
            ok = ok and desk.saw(number, "BYE", 3)
        out[key] = WORKS if ok and fresh else "fails: " + ("the far side was not refreshed" if ok else phone.text()[-500:])
        phone.close()
    return out


def run(gw):
    desk = Desk()
    try:
        rows = {}
        with ThreadPoolExecutor(len(PEERS) + 1) as pool:
            lasting = pool.submit(long_calls, gw, desk)
            for part in pool.map(lambda i: row_of(i, gw, desk), range(len(PEERS))):
                rows.update(part)
            for key, word in lasting.result().items():
                rows[key]["long call"] = word
        return rows
    finally:
        desk.close()


PAGE = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "interop.md")
TEXT = """# Interoperability

Made by `make interop`, which runs real peers against a gateway: baresip 1.0, linphone-cli 5.1, sipsak 0.9.8, SIPp 3.6 and Kamailio 5.6 as Debian 12 has
them. `make test` runs the same matrix and fails where a cell comes out otherwise (tests/interop).

A cell says *works*, *refused* with the name of the rule (`ringwall reasons` explains it), or *not offered*, when that peer cannot do it (Debian's SIPp has
no TLS, sipsak makes no calls, a PBX does not register) or the row's media needs no such run.

- register: digest, the binding is there. call: answered, acknowledged, ended. hold: re-INVITE with sendonly and back. transfer: blind, by REFER; the third
  party is called and answers (SIPp over TCP and behind proxies asks for no NOTIFY, RFC 4488). cancel: given up while it rings. long call: a session of 90 s over its refresh by a phone or by Ringwall.
- SDES is offered and taken over TLS only, plain RTP only in zones with a waiver; here the zone of UDP and TCP phones has one, the zone of TLS phones has none.
- "Kamailio in front" is a proxy between the phone and Ringwall (record-routing, the transport is the one between proxy and Ringwall), "Kamailio behind" a PBX.

"""


def keys():
    return [(cls.name, t, m) for cls, *_ in PEERS for t in ("UDP", "TCP", "TLS") for m in ("RTP", "SDES")]


def table(rows):
    head = "| peer | transport | media | " + " | ".join(FEATURES) + " |\n|" + " --- |" * (len(FEATURES) + 3) + "\n"
    return head + "".join("| " + " | ".join([*key, *(rows[key][f].split("\n")[0] for f in FEATURES)]) + " |\n" for key in keys())


def write(rows):
    with open(PAGE, "w") as f:
        f.write(TEXT + table(rows))


def read():
    """What the page says, in the shape of run's answer."""
    page = {}
    for line in open(PAGE) if os.path.exists(PAGE) else ():
        cells = [x.strip() for x in line.strip().strip("|").split("|")]
        if len(cells) == 3 + len(FEATURES) and cells[1] in ("UDP", "TCP", "TLS"):
            page[tuple(cells[:3])] = dict(zip(FEATURES, cells[3:]))
    return page
