/* Every rule of the file from its bad side, by the exact words that a person reads; and the good
 * files. */
#include "app/config/config_test.h"
#define UDP "listeners: [{name: udp, transport: udp, address: 192.0.2.1}]\n"
#define PBXZ                                                                                       \
    "zones: [{name: pbx, listeners: udp, sources: 192.0.2.7, media: rtp, authenticate: no}]\n"
#define PBX "peers: [{name: pbx, kind: pbx, zone: pbx, listener: udp, address: 192.0.2.7}]\n"
#define WAIVE                                                                                      \
    "waivers: [{name: w, zone: pbx, allow: [plain-signalling, plain-media], owner: o, reason: r, " \
    "expires: 2027-06-30}]\n"
#define PLAIN      D UDP PBXZ PBX WAIVE
#define SITE(more) "sites: [{name: s, country: DE" more "}]\n"
#define HOURS      ", timezone: Europe/Berlin, hours: [mon-fri 08:00-18:00]"

struct row {
    const char *text, *said;
};
static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        (void)load(rows[i].text);
        if (strcmp(said, rows[i].said) != 0)
            print_error("file:\n%s\ngot:\n%s\nwant:\n%s\n", rows[i].text, said, rows[i].said);
        assert_string_equal(said, rows[i].said);
    }
}

static void yaml_itself(void **state)
{
    static const struct row ROWS[] = {
        {"", "f: error: the file is empty; a smallest file is: \"domains: [example.com]\"\n"},
        {"# nothing\n",
         "f: error: the file is empty; a smallest file is: \"domains: [example.com]\"\n"},
        {"hello\n",
         "f:1:1: error: the file: a mapping is wanted here; write \"key: value\" lines\n"},
        {D "---\n" D,
         "f:3:1: error: a second YAML document (after \"---\"); keep one document in the file\n"},
        {D "engines: *x\n", "f:2:11: error: aliases (*name) are not read; write the value out\n"},
        {D "\tengines: 2\n", "f:1:10: error: not YAML: invalid multiline plain key\n"},
        {"domains: !!str a\n",
         "f:1:16: error: anchors (&name) and tags (!type) are not read; leave it out\n"},
        {"domains: &d a\n",
         "f:1:13: error: anchors (&name) and tags (!type) are not read; leave it out\n"},
        {D D, "f:2:1: error: the file: the key \"domains\" is there twice\n"},
        {D "[a]: b\n", "f:2:2: error: the file: a key must be a plain word\n"},
        {D "zones:\n", "f:2:1: error: zones: no value; give it a value, or take the key out\n"},
        {D "zones: []\n", "f:2:1: error: zones: no value; give it a value, or take the key out\n"},
        {"state: /x\n", "f:1:1: error: the file: \"domains\" is missing\n"},
        {D "lisseners: 1\n",
         "f:2:1: error: unknown key \"lisseners\" in the file; did you mean \"listeners\"?\n"},
        {D "zone\x1b[2J: 1\n",
         "f:2:5: error: the byte 0x1b does not belong here; is it a text file in UTF-8?\n"},
        {D "# \xf0\xf0\n",
         "f:2:3: error: the byte 0xf0 does not belong here; is it a text file in UTF-8?\n"},
        {"%YAML 1.2\n---\n" D,
         "f:1:1: error: YAML directives (%) are not read; take the line out\n"},
        {D "\"\\e[2J\": 1\n",
         "f:2:1: error: unknown key \"?[2J\" in the file; known are: domains, "
         "state, engines, media, certificates, listeners, "
         "zones, peers, roles, routes, waivers, limits, dns, guard, sites, rates, fraud, consult, "
         "stir, tokens, passwords, second_factor, authority, administrators, notify\n"},
    };
    (void)state;
    check_rows(ROWS, ARRAY_LEN(ROWS));
}

static void scalars(void **state)
{
    static const struct row ROWS[] = {
        {"domains: [a_b]\n", "f:1:11: error: domains: \"a_b\" is not a host name or address; for "
                             "instance sip.example.com\n"},
        {"domains: [a, A]\n", "f:1:14: error: domains: \"a\" is there twice\n"},
        {"domains: {a: b}\n",
         "f:1:11: error: domains: a list is wanted here; write a list: one \"- \" line for each\n"},
        {"domains: [a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q]\n",
         "f:1:11: error: domains: 17 entries, at most 16 are served\n"},
        {D "state: var\n",
         "f:2:8: error: state: \"var\" is not an absolute path; begin it with /\n"},
        {D "engines: 0\n", "f:2:10: error: engines: 0 is outside 1 to 32\n"},
        {D "engines: 33\n", "f:2:10: error: engines: 33 is outside 1 to 32\n"},
        {D "engines: \"2\"\n",
         "f:2:10: error: engines: a number is wanted, not a text; take the quotes away\n"},
        {D "engines: two\n", "f:2:10: error: engines: \"two\" is not a whole number\n"},
        {D "engines: [2]\n", "f:2:11: error: engines: one value is wanted here, not a list; an "
                             "address in brackets needs "
                             "quotes: \"[2001:db8::1]:5060\"\n"},
        {D "media: {ports: 20000}\n", "f:2:16: error: media.ports: \"20000\" is not a range of "
                                      "ports; for instance 20000-29999\n"},
        {D "media: {ports: 20-30}\n", "f:2:16: error: media.ports: \"20-30\" must lie within "
                                      "1024-65535, low port first; for instance 20000-29999\n"},
        {D "media: {address: x}\n",
         "f:2:18: error: address: \"x\" is not an IP address; for instance 192.0.2.1\n"},
        {D "limits: {calls: 0}\n", "f:2:17: error: calls: 0 is outside 1 to 1000000\n"},
        {D "limits: {ring: 30}\n", "f:2:16: error: ring: \"30\" is not a length of time; for "
                                   "instance 30s, 5m, 1h or 1h30m\n"},
        {D "limits: {ring: 2h}\n", "f:2:16: error: ring: 2h is outside 5s to 3600s\n"},
        {D "limits: {register_min: 3h}\n",
         "f:2:10: error: limits: register_min <= register_default <= register_max must "
         "hold, got 10800s, 3600s, 7200s\n"},
        {D "limits: {enabled: yes}\n",
         "f:2:10: error: unknown key \"enabled\" in limits; known are: calls, bindings, "
         "transactions, connections, connections_per_source, contacts_per_user, subscriptions, "
         "register_min, register_max, register_default, ring, call_max, media_timeout, "
         "message_bytes, session_expires, cdr_keep\n"},
    };
    (void)state;
    check_rows(ROWS, ARRAY_LEN(ROWS));
}

static void listeners_and_zones(void **state)
{
    static const struct row ROWS[] = {
        {D "listeners: [{name: a b, transport: udp, address: 192.0.2.1}]\n",
         "f:2:20: error: name: \"a b\" is not a name; letters, digits, '.', '_' and '-', a letter "
         "or digit first\n"},
        {D "listeners: [{name: a, transport: sctp, address: 192.0.2.1}]\n",
         "f:2:34: error: transport: \"sctp\" is not known here; did you mean \"tcp\"?\n"},
        {D "listeners: [{name: a, transport: udp}]\n",
         "f:2:14: error: listener: \"address\" is missing\n"},
        {D "listeners: [{name: a, transport: udp, address: host}]\n",
         "f:2:48: error: address: \"host\" is not an IP address with a port; for instance "
         "192.0.2.1:5060 or "
         "\"[2001:db8::1]:5060\"\n"},
        {D "listeners: [{name: a, transport: udp, address: 0.0.0.0}]\n",
         "f:2:14: error: the address is a wildcard, so \"advertise\" is needed; advertise: the "
         "address that peers reach this "
         "listener at\n"},
        {D TLS, "f:2:14: error: a tls listener without a certificate; name one, or define a "
                "certificate named \"default\"\n"},
        {D CERTS
         "listeners: [{name: a, transport: udp, address: 192.0.2.1, certificate: default}]\n",
         "f:3:14: error: certificate: only a tls listener has one; take it out, or make the "
         "transport tls\n"},
        {D CERTS "listeners: [{name: a, transport: tls, address: 192.0.2.1, certificate: x}]\n",
         "f:3:72: error: certificate: there is no certificate named \"x\"; certificates are "
         "defined under \"certificates:\"\n"},
        {D "certificates: {a: {chain: c, key: k}, a: {chain: c, key: k}}\n",
         "f:2:39: error: certificates: \"a\" is there twice\n"},
        {D "certificates: {a: {chain: c}}\n", "f:2:20: error: certificate: \"key\" is missing\n"},
        {D "listeners:\n- {name: a, transport: udp, address: 192.0.2.1}\n- {name: a, transport: "
           "tcp, address: 192.0.2.1}\n",
         "f:4:4: error: two entries of listeners are named \"a\"; the other is in line 3\n"},
        {D CERTS TLS "zones: [{name: z, listeners: [tsl], sources: 0.0.0.0/0}]\n",
         "f:4:31: error: listeners: there is no listener named \"tsl\"; did you mean \"tls\"?\n"},
        {D CERTS TLS "zones: [{name: z, listeners: [tls, tls], sources: 0.0.0.0/0}]\n",
         "f:4:36: error: listeners: the same listener twice\n"},
        {D "zones: [{name: z, listeners: [x], sources: 0.0.0.0/0}]\n",
         "f:2:31: error: listeners: there is no listener named \"x\"; the file defines no "
         "listeners\n"},
        {D CERTS TLS "zones: [{name: z, listeners: tls, sources: 0.0.0.0/33}]\n",
         "f:4:44: error: sources: \"0.0.0.0/33\" is not an address or prefix; for instance "
         "192.0.2.0/24, 2001:db8::/32 or "
         "0.0.0.0/0\n"},
        {D CERTS TLS "zones: [{name: z, listeners: tls, sources: 0.0.0.0/0, media: strp, nat: 1, "
                     "srtp_suites: [DES]}]\n",
         "f:4:62: error: media: \"strp\" is not known here; did you mean \"srtp\"?\n"
         "f:4:73: error: nat: \"1\" is neither yes nor no; write yes or no\n"
         "f:4:90: error: srtp_suites: \"DES\" is not known here; one of: AES_CM_128_HMAC_SHA1_80, "
         "AES_CM_128_HMAC_SHA1_32, "
         "AES_256_CM_HMAC_SHA1_80, AES_256_CM_HMAC_SHA1_32, AEAD_AES_128_GCM, AEAD_AES_256_GCM\n"},
        {D CERTS TLS "zones: [{name: z, listeners: tls, sources: 0.0.0.0/0, registration: yes, "
                     "authenticate: no}]\n",
         "f:4:10: error: zone \"z\" takes registrations without authentication; say authenticate: "
         "yes\n"
         "f:4:10: warning: zone \"z\" believes only the addresses of its peers and has none: it "
         "refuses everybody; define a "
         "peer in it, or say authenticate: yes\n"},
    };
    (void)state;
    check_rows(ROWS, ARRAY_LEN(ROWS));
}

static void waivers(void **state)
{
    static const struct row ROWS[] = {
        {PLAIN, ""},
        {D UDP PBXZ PBX, "f:3:10: warning: zone \"pbx\" has a plaintext listener and no waiver: "
                         "its requests there are refused; add a waiver "
                         "that allows [plain-signalling], or use tls listeners only\n"
                         "f:3:10: warning: zone \"pbx\" has media: rtp and no waiver: its calls "
                         "are refused; add a waiver that allows "
                         "[plain-media], or say media: srtp\n"},
        {D UDP PBXZ PBX "waivers: [{name: w, zone: pbx, allow: [plain-signalling, plain-media], "
                        "owner: o, reason: r, "
                        "expires: 2026-11-17}]\n",
         "f:3:10: warning: zone \"pbx\" has a plaintext listener and its waiver has expired: its "
         "requests there are refused; "
         "add a waiver that allows [plain-signalling], or use tls listeners only\n"
         "f:3:10: warning: zone \"pbx\" has media: rtp and its waiver has expired: its calls are "
         "refused; add a waiver that "
         "allows [plain-media], or say media: srtp\n"
         "f:5:12: warning: waiver \"w\" expired on 2026-11-17: what it allowed is refused; renew "
         "it or take away what it "
         "allowed\n"},
        {D UDP PBXZ PBX "waivers: [{name: w, zone: pbx, allow: [plain-signalling, plain-media]}]\n",
         "f:5:12: error: waiver: \"expires\" is missing\nf:5:12: error: waiver: \"owner\" is "
         "missing\n"
         "f:5:12: error: waiver: \"reason\" is missing\n"},
        {D UDP PBXZ PBX "waivers: [{name: w, zone: pxb, allow: [plain], owner: \"\", reason: r, "
                        "expires: 2027-02-30}]\n",
         "f:5:27: error: zone: there is no zone named \"pxb\"; did you mean \"pbx\"?\n"
         "f:5:40: error: allow: \"plain\" is not known here; one of: plain-signalling, "
         "plain-media\n"
         "f:5:55: error: owner: no value; give it a value, or take the key out\n"
         "f:5:79: error: expires: \"2027-02-30\" is not a date; year-month-day, for instance "
         "2027-06-30\n"},
    };
    (void)state;
    check_rows(ROWS, ARRAY_LEN(ROWS));
}

static void peers_and_routes(void **state)
{
    static const struct row ROWS[] = {
        {D UDP PBXZ WAIVE "peers: [{name: p, kind: pbx, zone: pbx, listener: udp, transport: tls, "
                          "address: 192.0.2.7}]\n",
         "f:5:10: error: transport: tls, but its listener speaks udp; requests leave by the peer's "
         "listener: choose one of the "
         "same transport\n"},
        {D CERTS TLS ZONE
         "peers: [{name: p, kind: trunk, zone: phones, listener: tls, address: 192.0.2.7}]\n",
         "f:5:10: error: peer: \"tls_name\" is missing; the name that the peer's certificate must "
         "hold\n"},
        {PLAIN "roles: [{name: x, outbound: no}, {name: x}]\n",
         "f:6:35: error: two entries of roles are named \"x\"; the other "
         "is in line 6\n"},
        {D UDP PBXZ WAIVE
         "peers: [{name: p, kind: pbx, zone: pbx, listener: udp, address: 0.0.0.0}]\n",
         "f:5:65: error: address: a wildcard is no address of a peer\n"},
        {D UDP PBXZ WAIVE
         "peers: [{name: p, kind: pbx, zone: pbx, listener: udp, address: 192.0.2.8}]\n",
         "f:5:10: warning: peer \"p\": 192.0.2.8:5060 lies in no source of zone \"pbx\", so its "
         "own calls are refused; add the "
         "address to the zone's sources\n"},
        {D UDP PBXZ WAIVE
         "peers: [{name: p, kind: pbx, zone: pbx, listener: udp, address: \"2001:db8::1\"}]\n",
         "f:5:10: error: peer \"p\": [2001:db8::1]:5060 cannot be reached from its listener's "
         "address family; choose a listener "
         "of the same family\n"
         "f:5:10: warning: peer \"p\": [2001:db8::1]:5060 lies in no source of zone \"pbx\", so "
         "its own calls are refused; add "
         "the address to the zone's sources\n"},
        {PLAIN "routes: [{name: r, pattern: 1, to: pbx}]\n",
         "f:6:36: error: to: \"pbx\" is not known here; one of: users, refuse\n"},
        {PLAIN "routes: [{name: r, pattern: 1, to: {peers: [pxb]}}]\n",
         "f:6:45: error: peers: there is no peer named \"pxb\"; did you mean \"pbx\"?\n"},
        {PLAIN "routes: [{name: r, pattern: \"1.2\", to: users}]\n",
         "f:6:29: error: pattern: \"1.2\" is not a pattern of numbers; digits, letters, '+'; X a "
         "digit, N 2 to 9; at the end '.' "
         "one or more of anything, '*' anything\n"},
        {PLAIN "routes: [{name: r, pattern: XX, strip: 2, to: users}]\n",
         "f:6:11: error: strip: 2 characters taken from a pattern of 2 leave nothing to dial\n"},
        {PLAIN "routes: [{name: r, pattern: XX, prefix: \"a b\", to: users}]\n",
         "f:6:41: error: prefix: \"a b\" cannot be dialled; at most 20 digits, '+', '*' and '#'\n"},
        {PLAIN "routes: [{name: r, from: {zones: pbx}, pattern: XX, to: users}]\n",
         "f:6:27: error: unknown key \"zones\" in from; did you mean \"zone\"?\n"},
        {PLAIN "routes: [{name: a, pattern: '*', to: users}, {name: b, from: {peer: pbx}, pattern: "
               "1X, to: refuse}]\n",
         "f:6:47: warning: route \"b\" is never reached: \"a\" in line 6 takes its calls; put the "
         "narrower rule first\n"},
        {PLAIN "routes: [{name: r, pattern: 1, to: users, when: {hours: open}}]\n",
         "f:6:50: error: when: there is no site whose hours could count; name one under "
         "\"sites:\", "
         "with its hours\n"},
        {PLAIN SITE("") "routes: [{name: r, pattern: 1, to: users, when: {site: s}}]\n",
         "f:7:50: error: when: \"hours\" is missing\n"
         "f:7:50: warning: when: site \"s\" is always open; give it \"hours\" or \"holidays\"\n"},
        {PLAIN SITE(HOURS) "routes: [{name: r, pattern: 1, to: users, when: {site: t, hours: "
                           "open}}]\n",
         "f:7:56: error: site: there is no site named \"t\"; sites are defined under \"sites:\"\n"},
        {PLAIN SITE(HOURS) "routes: [{name: r, pattern: 1, to: users, when: {hours: shut}}]\n",
         "f:7:57: error: hours: \"shut\" is not known here; one of: open, closed\n"},
        {PLAIN SITE(HOURS) "routes: [{name: r, pattern: 1, to: users, when: [open]}]\n",
         "f:7:50: error: when: a mapping is wanted here; write \"key: value\" lines\n"},
        /* One for the day and one for the night are both reached; a third is not. */
        {PLAIN SITE(HOURS) "routes: [{name: a, pattern: 1, to: users, when: {hours: open}},\n"
                           " {name: b, pattern: 1, to: refuse, when: {hours: closed}},\n"
                           " {name: c, pattern: 1, to: users},\n"
                           " {name: d, pattern: 1, to: refuse, when: {hours: open}}]\n",
         "f:10:3: warning: route \"d\" is never reached: \"a\" in line 7 takes its calls; put the "
         "narrower rule first\n"},
    };
    (void)state;
    check_rows(ROWS, ARRAY_LEN(ROWS));
}

#define NAMED(more) "peers: [{name: p, kind: trunk, zone: pbx, listener: udp, address: " more "}]\n"
static void names_fronts_and_registrations(void **state)
{
    static const struct row ROWS[] = {
        {D UDP PBXZ WAIVE NAMED("[sip.example.net, b.example.net]"),
         "f:5:85: error: address: a name must stand alone; one name, or up to four addresses\n"},
        {D UDP PBXZ WAIVE NAMED("192.0.2.7, dnssec: yes"),
         "f:5:10: error: dnssec: the peer has addresses, nothing is looked up; take it out, or "
         "give a host name\n"},
        {D UDP PBXZ WAIVE NAMED("sip.example.net, register: 1h"),
         "f:5:10: error: register: needs \"username\", and `ringwall peer-secret` for its "
         "password; username: the account at that peer\n"},
        {D UDP PBXZ WAIVE NAMED("192.0.2.7, fronts: pbx"),
         "f:5:10: error: peer \"p\": fronts zone \"pbx\", where nobody may register; say "
         "registration: yes there, or take it out\n"},
        {D UDP WAIVE "zones: [{name: pbx, listeners: udp, sources: 192.0.2.7, media: rtp, "
                     "services: [transfer, mail]}]\n",
         "f:4:90: error: services: \"mail\" is not known here; did you mean \"mwi\"?\n"},
    };
    (void)state;
    check_rows(ROWS, ARRAY_LEN(ROWS));
    assert_ok(load(D UDP PBXZ WAIVE NAMED("\"sip.example.net:5070\", username: u, register: 1h")));
    const struct policy_peer *pe = &cfg.policy.peers[0];
    assert_str(policy_text(&cfg.policy, pe->host), "sip.example.net");
    assert_int_equal(pe->host_port, 5070);
    assert_int_equal(pe->n_targets, 0);
    assert_int_equal(pe->register_s, 3600);
    assert_ok(policy_valid(&cfg.policy, sizeof cfg.policy));
    const struct policy_zone *z = &cfg.policy.zones[0];
    assert_int_equal(z->services, SERVICE_TRANSFER);
    assert_int_equal(z->kinds, KIND_AUDIO | KIND_VIDEO);
    assert_false(z->redirect);
    assert_int_equal(z->n_codecs, 0);
}

static void name_servers(void **state)
{
    static const struct row ROWS[] = {
        {D "dns: {servers: [192.0.2.53, 0.0.0.0, ns.example.net]}\n",
         "f:2:29: error: servers: a wildcard is no address of a server\nf:2:38: error: servers: "
         "\"ns.example.net\" is not an IP address with a port; for instance 192.0.2.1:5060 or "
         "\"[2001:db8::1]:5060\"\n"},
        {D "dns: {servers: [192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4, 192.0.2.5]}\n",
         "f:2:17: error: servers: 5 entries, at most 4 are served\n"},
        {D "dns: {trust_anchor: root.key}\n",
         "f:2:21: error: trust_anchor: \"root.key\" is not an absolute path; begin it with /\n"},
        {D "dns: {unsigned: [\"a b\"]}\n", "f:2:18: error: unsigned: \"a b\" is not a host name or "
                                           "address; for instance sip.example.com\n"},
        {D "dns: {server: 192.0.2.1}\n",
         "f:2:7: error: unknown key \"server\" in dns; did you mean \"servers\"?\n"},
        {D "dns: 192.0.2.1\n",
         "f:2:6: error: dns: a mapping is wanted here; write \"key: value\" lines\n"},
    };
    (void)state;
    check_rows(ROWS, ARRAY_LEN(ROWS));
    assert_ok(load(D "dns: {servers: [192.0.2.53, \"[2001:db8::53]:5353\"], trust_anchor: "
                     "/etc/anchors.key, unsigned: [Lan.example.net, test]}\n"));
    const struct policy_dns *d = &cfg.policy.dns;
    assert_int_equal(d->n_servers, 2);
    assert_int_equal(d->servers[0].port, 53);
    assert_int_equal(d->servers[1].family, ADDR_V6);
    assert_int_equal(d->servers[1].port, 5353);
    assert_int_equal(d->n_plain, 2);
    assert_str(policy_text(&cfg.policy, d->plain[0]), "lan.example.net");
    assert_string_equal(cfg.trust_anchor, "/etc/anchors.key");
    assert_ok(load(D));
    assert_int_equal(cfg.policy.dns.n_servers, 0); /* those of the system */
    assert_string_equal(cfg.trust_anchor, "");     /* files are not looked at here */
}

static void zone_words(void **state)
{
    (void)state;
    assert_ok(load(D CERTS TLS "zones: [{name: phones, listeners: tls, sources: 0.0.0.0/0, "
                               "services: [mwi, presence], media_kinds: audio, codecs: [PCMA, "
                               "Opus], redirect: follow}]\n"));
    const struct policy_zone *z = &cfg.policy.zones[0];
    assert_int_equal(z->services, SERVICE_MWI | SERVICE_PRESENCE);
    assert_int_equal(z->kinds, KIND_AUDIO);
    assert_true(z->redirect);
    assert_int_equal(z->n_codecs, 2);
    assert_str(policy_text(&cfg.policy, z->codecs[1]), "opus");
}

static void between_sections(void **state)
{
    static const struct row ROWS[] = {
        {D "listeners:\n- {name: a, transport: udp, address: 192.0.2.1}\n- {name: b, transport: "
           "udp, address: 0.0.0.0:5060, "
           "advertise: 192.0.2.1}\nzones: [{name: z, listeners: [a, b], sources: 192.0.2.0/24, "
           "media: rtp}]\n"
           "waivers: [{name: w, zone: z, allow: [plain-signalling, plain-media], owner: o, reason: "
           "r, expires: 2027-06-30}]\n",
         "f:4:4: error: listeners \"a\" and \"b\" both want udp port 5060; give one of them "
         "another port or address\n"},
        {D "listeners: [{name: a, transport: udp, address: 192.0.2.1:20002}]\n",
         "f:2:14: error: listener \"a\": udp port 20002 lies in the media ports 20000-29999; move "
         "the listener or media.ports\n"
         "f:2:14: warning: listener \"a\" belongs to no zone and refuses everybody; name it in the "
         "\"listeners\" of a zone\n"},
        {D "media: {ports: 20000-20100}\n" UDP,
         "f:2:9: error: media.ports: 101 ports for 2 engines; each needs 64 at least; widen "
         "media.ports, or lower engines\n"
         "f:3:14: warning: listener \"udp\" belongs to no zone and refuses everybody; name it in "
         "the \"listeners\" of a zone\n"},
        {PLAIN "media: {ports: 20000-20999}\n",
         "f:6:9: warning: media.ports: 1000 ports carry about 250 calls, limits.calls allows 2000; "
         "widen media.ports, or lower "
         "limits.calls\n"},
        {D UDP "zones: [{name: z, listeners: udp, sources: 192.0.2.7}]\n"
               "waivers: [{name: w, zone: z, allow: plain-signalling, owner: o, reason: r, "
               "expires: 2027-06-30}]\n",
         "f:3:10: warning: zone \"z\" has media: srtp but no tls listener: keys never travel in "
         "plaintext, so its calls are "
         "refused; add a tls listener, or say media: rtp with a waiver\n"},
        {D CERTS TLS
         "zones:\n- {name: a, listeners: tls, sources: 192.0.2.7, client_certificate: required}\n"
         "- {name: b, listeners: tls, sources: 192.0.2.8}\n",
         "f:3:14: warning: listener \"tls\": one of its zones requires client certificates, so all "
         "its zones do; give such a "
         "zone its own listener\n"},
        {D CERTS "listeners: [{name: a, transport: tls, address: 192.0.2.1}, {name: b, transport: "
                 "udp, address: 192.0.2.1}]\n"
                 "zones: [{name: a, listeners: a, sources: 192.0.2.7}, {name: b, listeners: b, "
                 "sources: 192.0.2.7, media: rtp}]\n"
                 "waivers: [{name: w, zone: b, allow: [plain-signalling, plain-media], owner: o, "
                 "reason: r, expires: 2027-06-30}]\n"
                 "peers: [{name: p, kind: pbx, zone: a, listener: b, address: 192.0.2.7}]\n",
         "f:6:10: error: peer \"p\": listener \"b\" is not one of zone \"a\"; add the listener to "
         "the zone, or choose another\n"},
    };
    (void)state;
    check_rows(ROWS, ARRAY_LEN(ROWS));
}

/* Who is asked about calls: by SIP or by HTTP. */
static void who_is_asked(void **state)
{
    static const struct row ROWS[] = {
        {PLAIN "consult: {peer: pbx, wait: 50ms, fails: pass}\n", ""},
        {PLAIN "consult: {url: \"https://judge.example.net/x?y=z\", ca: ca.pem, wait: 5s}\n", ""},
        {PLAIN "consult: {url: \"https://127.0.0.1:8443/\", private: yes}\n", ""},
        {PLAIN "consult: {url: \"http://localhost/\", private: yes}\n", ""},
        {PLAIN "consult: {wait: 1s}\n", "f:6:11: error: consult: one of \"peer\" and \"url\" is "
                                        "wanted; peer: NAME asks by SIP, url: "
                                        "https://HOST/PATH by HTTP\n"},
        {PLAIN "consult: {peer: pbx, url: \"https://judge.example.net/\"}\n",
         "f:6:11: error: consult: one of \"peer\" and \"url\" is wanted; peer: NAME asks by SIP, "
         "url: "
         "https://HOST/PATH by HTTP\n"},
        {PLAIN "consult: {peer: pbx, private: yes}\n",
         "f:6:11: error: consult: \"ca\" and \"private\" are for a url; take them out, or ask by "
         "\"url\"\n"},
        {PLAIN "consult: {url: \"http://judge.example.net/\"}\n",
         "f:6:11: error: url: over http anybody on the way could read who calls whom, and answer; "
         "use https\n"},
        {PLAIN "consult: {url: \"ftp://judge.example.net/\"}\n",
         "f:6:11: error: url: it does not begin with https://; for instance "
         "https://fraud.example.net/calls\n"},
        {PLAIN "consult: {url: \"https://10.1.2.3/\"}\n",
         "f:6:11: error: url: 10.1.2.3 is an address inside your own network; say private: yes, if "
         "that is meant\n"},
        {PLAIN "consult: {url: \"https://localhost/\"}\n",
         "f:6:11: error: url: localhost is an address inside your own network; say private: yes, "
         "if "
         "that is meant\n"},
        {PLAIN "consult: {peer: pbx, wait: 49ms}\n",
         "f:6:28: error: wait: 49ms is outside 50ms to 5000ms\n"},
        {PLAIN "consult: {peer: pbx, fails: maybe}\n",
         "f:6:29: error: fails: \"maybe\" is not known here; one of: refuse, pass\n"},
    };
    (void)state;
    check_rows(ROWS, ARRAY_LEN(ROWS));
    assert_ok(load(ROWS[1].text));
    const struct policy_consult *c = &cfg.policy.consult;
    assert_true(c->on && !c->fails_open && !c->inside && c->peer == POLICY_NONE);
    assert_int_equal(c->wait_ms, 5000);
    assert_string_equal(cfg.consult_ca, "/srv/ringwall/ca.pem");
    assert_ok(load(ROWS[0].text));
    assert_true(c->on && c->fails_open && c->peer == 0 && !c->url.len && !cfg.consult_ca[0]);
    assert_ok(load(PLAIN));
    assert_false(c->on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml_itself),         cmocka_unit_test(scalars),
        cmocka_unit_test(listeners_and_zones), cmocka_unit_test(waivers),
        cmocka_unit_test(peers_and_routes),    cmocka_unit_test(names_fronts_and_registrations),
        cmocka_unit_test(name_servers),        cmocka_unit_test(zone_words),
        cmocka_unit_test(between_sections),    cmocka_unit_test(who_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
