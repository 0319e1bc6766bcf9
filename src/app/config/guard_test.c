/* The shield's keys and the zones' access lists: what they mean, and every rule from its bad side.
 */
#include "app/config/config.h"
#include "base/test.h"

static const struct config_opts OPTS = {.now = {INT64_C(1795000000) * 1000000},
                                        .state = "/srv/ringwall",
                                        .cpus = 2,
                                        .generation = 3,
                                        .no_files = true};
static struct config cfg;
static struct config_errors errs;
static char said[CONFIG_PROBLEMS * 400], text[16384];

static enum err load(const char *zone, const char *guard)
{
    struct out t = out_of(text, sizeof text - 1);
    out_fmt(&t,
            "domains: example.com\ncertificates: {default: {chain: c.pem, key: k}}\n"
            "listeners: [{name: tls, transport: tls, address: 192.0.2.1}]\n"
            "zones: [{name: phones, listeners: tls, sources: 0.0.0.0/0%s}]\n%s",
            zone, guard);
    assert_false(t.full);
    enum err e = config_load_text(out_str(&t), "f", &OPTS, &cfg, &errs);
    struct out o = out_of(said, sizeof said - 1);
    config_errors_put(&o, &errs);
    assert_false(o.full);
    said[o.n] = 0;
    assert_int_equal(e == OK, errs.n_errors == 0);
    if (e == OK)
        assert_ok(policy_valid(&cfg.policy, sizeof cfg.policy));
    return e;
}

static struct str text_of(struct span s)
{
    return policy_text(&cfg.policy, s);
}

static void left_out_is_the_default(void **state)
{
    (void)state;
    struct guard_policy want;
    guard_policy_default(&want);
    assert_ok(load("", ""));
    assert_string_equal(said, "");
    assert_memory_equal(&cfg.policy.guard, &want, sizeof want);
    assert_int_equal(cfg.policy.zones[0].n_access, 0);
    assert_false(cfg.policy.zones[0].access_deny);
    assert_ok(load("", "guard: {mode: enforce, kernel: auto}\n"));
    assert_memory_equal(&cfg.policy.guard, &want, sizeof want);
}

static void every_key(void **state)
{
    (void)state;
    assert_ok(
        load("", "guard:\n"
                 "  kernel: nftables\n"
                 "  interfaces: [eth0, wan.7]\n"
                 "  exempt: [192.0.2.10, 198.51.100.0/28, '2001:db8::/32']\n"
                 "  decoys: [ghost, '4999']\n"
                 "  geo: country.mmdb\n"
                 "  rules: [/etc/ringwall/site.rules, mine.rules]\n"
                 "  feeds:\n"
                 "    - {name: list, url: 'https://feeds.example.net:8443/sip.txt?x=1', weight: 30,"
                 " refresh: 10m, expires: 2d}\n"
                 "    - {name: own, file: own.json, format: json}\n"
                 "    - {name: in, url: 'http://127.0.0.1/a', private: yes}\n"
                 "    - {name: far, url: 'http://feeds.example.net/', plaintext: yes}\n"
                 "    - {name: lab, url: 'https://[2001:db8::5]:8443', ca: ca.pem}\n"
                 "  steps: [{score: 10, do: challenge}, {score: 50, do: ban}]\n"
                 "  half_life: 5m\n  ban: 30m\n  ban_max: 2d\n  spoofed_ban: 30s\n  escalate: 12h\n"
                 "  limits: {source: 40, known: 400, aor: 60, device: 90, trunk: 5000}\n"
                 "  tarpit: 750ms\n"
                 "  detectors:\n"
                 "    scan: {threshold: 5, window: 2m, weight: 40, do: drop}\n"
                 "    decoy: {do: ban}\n    guess_user: {do: lock}\n    wangiri: {off: yes}\n"));
    assert_string_equal(said, "");
    const struct guard_policy *g = &cfg.policy.guard;
    assert_int_equal(g->kernel, KERNEL_NFT);
    assert_int_equal(g->n_interfaces, 2);
    assert_str(text_of(g->interfaces[1]), "wan.7");
    assert_int_equal(g->n_exempt, 3);
    assert_int_equal(g->exempt[0].bits, 32);
    assert_int_equal(g->exempt[1].bits, 28);
    assert_int_equal(g->exempt[2].a.family, ADDR_V6);
    assert_int_equal(g->n_decoys, 2);
    assert_str(text_of(g->decoys[1]), "4999");
    assert_str(text_of(g->geo), "/srv/ringwall/country.mmdb");
    assert_int_equal(g->n_rule_files, 2);
    assert_str(text_of(g->rule_files[0]), "/etc/ringwall/site.rules");
    assert_str(text_of(g->rule_files[1]), "/srv/ringwall/mine.rules");
    assert_int_equal(g->n_feeds, 5);
    const struct guard_feed *f = g->feeds;
    assert_str(text_of(f[0].url), "https://feeds.example.net:8443/sip.txt?x=1");
    assert_int_equal(f[0].weight, 30);
    assert_int_equal(f[0].refresh_s, 600);
    assert_int_equal(f[0].expires_s, 2 * 86400);
    assert_false(f[0].json || f[0].ban || f[0].inside || f[0].plain);
    assert_str(text_of(f[1].file), "/srv/ringwall/own.json");
    assert_true(f[1].json);
    assert_int_equal(f[1].weight, 20);
    assert_true(f[2].inside);
    assert_true(f[3].plain);
    assert_str(text_of(f[4].ca), "/srv/ringwall/ca.pem");
    assert_int_equal(g->n_steps, 2);
    assert_int_equal(g->steps[1].score, 50);
    assert_int_equal(g->steps[1].treat, TREAT_BAN);
    assert_int_equal(g->half_life_s, 300);
    assert_int_equal(g->ban_s, 1800);
    assert_int_equal(g->ban_max_s, 2 * 86400);
    assert_int_equal(g->spoof_s, 30);
    assert_int_equal(g->escalate_s, 12 * 3600);
    assert_int_equal(g->source_rate, 40);
    assert_int_equal(g->known_rate, 400);
    assert_int_equal(g->aor_rate, 60);
    assert_int_equal(g->device_rate, 90);
    assert_int_equal(g->trunk_rate, 5000);
    assert_int_equal(g->tarpit_ms, 750);
    const struct guard_detector *d = &g->detectors[DET_scan];
    assert_int_equal(d->threshold, 5);
    assert_int_equal(d->window_s, 120);
    assert_int_equal(d->weight, 40);
    assert_int_equal(d->treat, TREAT_DROP);
    assert_int_equal(g->detectors[DET_decoy].treat, TREAT_BAN);
    assert_int_equal(g->detectors[DET_guess_user].treat, TREAT_LOCK);
    assert_true(g->detectors[DET_wangiri].off);
    assert_false(g->detectors[DET_scan].off);
}

static void access_lists(void **state)
{
    (void)state;
    assert_ok(load(", access: [{deny: 203.0.113.0/24}, {allow: {countries: [DE, AT], transports: "
                   "[tls], sources: [198.51.100.0/24, 192.0.2.0/24]}}, {deny: ['2001:db8::/32', "
                   "192.0.2.9]}], access_default: deny",
                   "guard: {geo: /g.mmdb}\n"));
    assert_string_equal(said, "");
    const struct policy_zone *z = &cfg.policy.zones[0];
    assert_true(z->access_deny);
    assert_int_equal(z->n_access, 7);
    assert_false(z->access[0].allow);
    assert_true(z->access[0].by_prefix);
    assert_int_equal(z->access[0].country, 0);
    assert_true(z->access[1].allow);
    assert_int_equal(z->access[1].country, 'D' << 8 | 'E');
    assert_int_equal(z->access[1].protos, 1u << PROTO_TLS);
    assert_int_equal(z->access[2].country, 'A' << 8 | 'T');
    assert_true(z->access[2].by_prefix);
    assert_int_equal(z->access[5].net.a.family, ADDR_V6);
    assert_false(z->access[6].allow);

    assert_ok(load(", access: [{allow: {transports: [udp, tls]}}], access_default: deny", ""));
    assert_int_equal(cfg.policy.zones[0].n_access, 1);
    assert_false(cfg.policy.zones[0].access[0].by_prefix);
    assert_int_equal(cfg.policy.zones[0].access[0].protos, 1u << PROTO_UDP | 1u << PROTO_TLS);
}

struct row {
    const char *zone, *guard, *said;
};
static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        (void)load(rows[i].zone, rows[i].guard);
        if (strcmp(said, rows[i].said) != 0)
            print_error("zone %s\n%s\ngot:\n%s\nwant:\n%s\n", rows[i].zone, rows[i].guard, said,
                        rows[i].said);
        assert_string_equal(said, rows[i].said);
    }
}

static void wrong_words(void **state)
{
    (void)state;
    static const struct row ROWS[] = {
        {"", "guard: {mod: enforce}\n",
         "f:5:9: error: unknown key \"mod\" in guard; did you mean \"mode\"?\n"},
        {"", "guard: {mode: dry}\n",
         "f:5:15: error: mode: \"dry\" is not known here; one of: enforce, dry-run\n"},
        {"", "guard: {mode: dry-run}\n",
         "f:5:9: warning: guard: mode: dry-run: attackers are told of, and not stopped; mode: "
         "enforce, once the alerts are what they should be\n"},
        {"", "guard: {kernel: ebpf}\n",
         "f:5:17: error: kernel: \"ebpf\" is not known here; one of: auto, xdp, nftables, none\n"},
        {"", "guard: {interfaces: [eth0, eth0]}\n",
         "f:5:28: error: interfaces: \"eth0\" is there twice\n"},
        {"", "guard: {interfaces: 'a b'}\n",
         "f:5:21: error: interfaces: \"a b\" is not a name; letters, digits, '.', '_' and '-', a "
         "letter or digit first\n"},
        {"", "guard: {interfaces: abcdefghijklmnop}\n",
         "f:5:21: error: interfaces: longer than 15 characters\n"},
        {"", "guard: {exempt: 0.0.0.0/0}\n",
         "f:5:17: error: exempt: with 0.0.0.0/0 nobody could ever be banned; name your own "
         "addresses; mode: dry-run bans nobody\n"},
        {"", "guard: {exempt: ['::/0', nobody]}\n",
         "f:5:18: error: exempt: with ::/0 nobody could ever be banned; name your own addresses; "
         "mode: dry-run bans nobody\nf:5:26: error: exempt: \"nobody\" is not an address or "
         "prefix; for instance 192.0.2.10 or 192.0.2.0/28\n"},
        {"", "guard: {exempt: [10.0.0.0/7, 10.0.0.0/8, '2001::/15']}\n",
         "f:5:18: warning: exempt: nobody in all of 10.0.0.0/7 can ever be banned; name your own "
         "addresses only\nf:5:42: warning: exempt: nobody in all of 2001::/15 can ever be banned; "
         "name your own addresses only\n"},
        {"", "guard: {decoys: [alice@example.com]}\n",
         "f:5:18: error: decoys: \"alice@example.com\" is not the name of a user or a number; what "
         "stands before the \"@\"\n"},
        {"", "guard: {decoys: [a, a]}\n", "f:5:21: error: decoys: \"a\" is there twice\n"},
        {"", "guard: {rules: [a, /srv/ringwall/a]}\n",
         "f:5:20: error: rules: \"/srv/ringwall/a\" is there twice\n"},
        {"", "guard: {feeds: [{name: a}]}\n",
         "f:5:18: error: feed: \"url\" or \"file\" is missing\n"},
        {"", "guard: {feeds: [{name: a, url: 'https://example.net/', file: x}]}\n",
         "f:5:18: error: feed: either \"url\" or \"file\", not both\n"},
        {"", "guard: {feeds: [{name: a, file: x}, {name: a, file: y}]}\n",
         "f:5:38: error: two entries of feeds are named \"a\"; the other is in line 5\n"},
        {"", "guard: {feeds: [{name: a, file: x, private: yes}]}\n",
         "f:5:18: error: feed: private, plaintext and ca belong to a url; take them out\n"},
        {"", "guard: {feeds: [{name: a, url: 'ftp://example.net/'}]}\n",
         "f:5:32: error: url: it does not begin with https://; for instance "
         "https://feeds.example.net/sip.txt\n"},
        {"", "guard: {feeds: [{name: a, url: 'https://me:word@example.net/'}]}\n",
         "f:5:32: error: url: it holds a name or password, which whoever may read this file would "
         "see; for instance https://feeds.example.net/sip.txt\n"},
        {"", "guard: {feeds: [{name: a, url: 'https://exa mple.net/'}]}\n",
         "f:5:32: error: url: blanks, quotes, '#', '\\' and other than ASCII do not belong in it; "
         "for instance https://feeds.example.net/sip.txt\n"},
        {"", "guard: {feeds: [{name: a, url: 'https://:80/'}]}\n",
         "f:5:32: error: url: its host or port is not sound; for instance "
         "https://feeds.example.net/sip.txt\n"},
        {"", "guard: {feeds: [{name: a, url: 'https://example.net:0/'}]}\n",
         "f:5:32: error: url: its host or port is not sound; for instance "
         "https://feeds.example.net/sip.txt\n"},
        {"", "guard: {feeds: [{name: a, url: 'https://[::1/'}]}\n",
         "f:5:32: error: url: its host or port is not sound; for instance "
         "https://feeds.example.net/sip.txt\n"},
        {"", "guard: {feeds: [{name: a, url: 'https://10.1.2.3/'}]}\n",
         "f:5:18: error: url: 10.1.2.3 is an address inside your own network; say private: yes, if "
         "that is meant\n"},
        {"", "guard: {feeds: [{name: a, url: 'http://example.net/'}]}\n",
         "f:5:18: error: url: over http anybody on the way can put your friends on the list; use "
         "https, or say plaintext: yes, if that is meant\n"},
        {"", "guard: {feeds: [{name: a, url: 'http://localhost/', ca: c.pem}]}\n",
         "f:5:18: error: ca: nothing is verified over http\nf:5:18: error: url: localhost is an "
         "address inside your own network; say private: yes, if that is meant\n"},
        {"", "guard: {feeds: [{name: a, file: x, weight: 5, ban: yes}]}\n",
         "f:5:18: error: feed: with ban: yes a weight says nothing; take one of them out\n"},
        {"", "guard: {feeds: [{name: a, file: x, weight: 0}]}\n",
         "f:5:44: error: weight: 0 is outside 1 to 100\n"},
        {"", "guard: {feeds: [{name: a, file: x, ban: yes}]}\n",
         "f:5:18: warning: feed \"a\": whoever writes it can ban anybody who is not exempt; a "
         "weight lets it count together with what a source does\n"},
        {"", "guard: {feeds: [{name: a, file: x, refresh: 1h, expires: 1h}]}\n",
         "f:5:18: error: feed: it expires before it is read again; let it outlive some failures, "
         "for instance a day\n"},
        {"", "guard: {steps: []}\n",
         "f:5:9: error: steps: no value; give it a value, or take the key out\n"},
        {"", "guard: {steps: [{score: 10, do: ban}, {score: 10, do: kick}]}\n",
         "f:5:40: error: steps: each must have a higher score and do more than the one before; "
         "from mild to hard: log challenge tarpit refuse drop lock ban kick\n"},
        {"", "guard: {steps: [{score: 10, do: ban}, {score: 20, do: drop}]}\n",
         "f:5:40: error: steps: each must have a higher score and do more than the one before; "
         "from mild to hard: log challenge tarpit refuse drop lock ban kick\n"},
        {"", "guard: {steps: [{score: 10, do: weigh}]}\n",
         "f:5:33: error: do: \"weigh\" is not known here; one of: log, challenge, tarpit, refuse, "
         "drop, lock, ban, kick\n"},
        {"", "guard: {steps: [{do: ban}]}\n", "f:5:18: error: step: \"score\" is missing\n"},
        {"", "guard: {ban: 1h, ban_max: 10m}\n",
         "f:5:9: error: guard: ban_max is shorter than ban\n"},
        {"", "guard: {ban: 30s}\n",
         "f:5:9: error: guard: spoofed_ban is longer than ban; what can be forged must not ban for "
         "long\n"},
        {"", "guard: {spoofed_ban: 2h}\n",
         "f:5:22: error: spoofed_ban: 2h is outside 1s to 3600s\n"},
        {"", "guard: {half_life: 10}\n",
         "f:5:20: error: half_life: \"10\" is not a length of time; for instance 30s, 5m, 1h or "
         "1h30m\n"},
        {"", "guard: {limits: {source: 100, known: 50}}\n",
         "f:5:18: error: limits: known sources may send less than unknown ones; many phones can be "
         "behind one known address\n"},
        {"", "guard: {limits: {source: 0}}\n",
         "f:5:26: error: source: 0 is outside 1 to 1000000\n"},
        {"", "guard: {tarpit: 30s}\n", "f:5:17: error: tarpit: 30s is outside 1ms to 20000ms\n"},
        {"", "guard: {tarpit: 2 s}\n",
         "f:5:17: error: tarpit: \"2 s\" is not a length of time; for instance 500ms or 2s\n"},
        {"", "guard: {tarpit: 0ms}\n", "f:5:17: error: tarpit: 0ms is outside 1ms to 20000ms\n"},
        {"", "guard: {detectors: {scam: {off: yes}}}\n",
         "f:5:21: error: unknown key \"scam\" in detectors; did you mean \"scan\"?\n"},
        {"", "guard: {detectors: {scan: {do: log}}}\n",
         "f:5:28: error: scan: do: log says nothing, every alert is logged; leave it out: then the "
         "score decides, by guard.steps\n"},
        {"", "guard: {detectors: {scan: {do: lock}}}\n",
         "f:5:28: error: scan: it judges a source; only users can be locked; ban, drop or "
         "refuse\n"},
        {"", "guard: {detectors: {scan: {off: yes, weight: 5}}}\n",
         "f:5:28: error: scan: off, and more; take the others out, or off\n"},
        {"", "guard: {detectors: {scan: {threshold: 0}}}\n",
         "f:5:39: error: threshold: 0 is outside 1 to 1000000\n"},
        {"", "guard: {detectors: {scan: off}}\n",
         "f:5:27: error: scan: a mapping is wanted here; write \"key: value\" lines\n"},
        {", access: [{deny: 203.0.113.0/33}]", "",
         "f:4:76: error: deny: \"203.0.113.0/33\" is not an address or prefix; for instance "
         "203.0.113.0/24 or \"2001:db8::/32\"\n"},
        {", access: [{deny: {countries: [DE]}}]", "",
         "f:4:70: error: access: countries are named, but there is no file to tell them by; name "
         "an MMDB file in guard.geo\n"},
        {", access: [{deny: {countries: [UK]}}]", "guard: {geo: g}\n",
         "f:4:89: error: countries: \"UK\" is not a country; did you mean GB?\n"},
        {", access: [{deny: {countries: [de, ZZ]}}]", "guard: {geo: g}\n",
         "f:4:89: error: countries: \"de\" is not a country; two capital letters of ISO 3166, for "
         "instance DE\nf:4:93: error: countries: \"ZZ\" is not a country; two capital letters of "
         "ISO 3166, for instance DE\n"},
        {", access: [{deny: {transports: [sctp]}}]", "",
         "f:4:90: error: transports: \"sctp\" is not known here; did you mean \"tcp\"?\n"},
        {", access: [{deny: 192.0.2.1, allow: 192.0.2.2}]", "",
         "f:4:70: error: access: an entry is either \"allow\" or \"deny\"; for instance - deny: "
         "203.0.113.0/24\n"},
        {", access: [{refuse: 192.0.2.1}]", "",
         "f:4:70: error: unknown key \"refuse\" in access; known are: deny, allow\n"},
        {", access: [{allow: 192.0.2.1}]", "",
         "f:4:70: warning: zone \"phones\": access_default says the same as all its rules, so they "
         "do nothing; access_default: deny (or allow) decides for the rest\n"},
        {", access: [{deny: 192.0.2.1}], access_default: deny", "",
         "f:4:70: warning: zone \"phones\": access_default says the same as all its rules, so they "
         "do nothing; access_default: deny (or allow) decides for the rest\n"},
        {", access_default: deny", "",
         "f:4:10: warning: zone \"phones\": access_default: deny without a rule refuses everybody; "
         "add whom to allow under \"access:\"\n"},
        {", access_default: maybe", "",
         "f:4:76: error: access_default: \"maybe\" is not known here; one of: allow, deny\n"},
        {", access: [{deny: 192.0.2.1}, {deny: {country: DE}}]", "guard: {mod: 1, ban: soon}\n",
         "f:4:96: error: unknown key \"country\" in deny; did you mean \"countries\"?\nf:5:9: "
         "error: unknown key \"mod\" in guard; did you mean \"mode\"?\nf:5:22: error: ban: "
         "\"soon\" is not a length of time; for instance 30s, 5m, 1h or 1h30m\n"},
    };
    check_rows(ROWS, ARRAY_LEN(ROWS));
}

static void one_rule_too_many(void **state)
{
    (void)state;
    assert_ok(load(", access: [{allow: {sources: [192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4], "
                   "countries: [DE, AT, CH, FR]}}], access_default: deny",
                   "guard: {geo: /g}\n"));
    assert_int_equal(cfg.policy.zones[0].n_access, ACCESS_RULES);
    assert_err(load(", access: [{deny: 192.0.2.9}, {allow: {sources: [192.0.2.1, 192.0.2.2, "
                    "192.0.2.3, 192.0.2.4], countries: [DE, AT, CH, FR]}}], access_default: deny",
                    "guard: {geo: /g}\n"),
               ERR_SYNTAX);
    assert_non_null(strstr(said, "more than 16 rules in one zone"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(left_out_is_the_default),
        cmocka_unit_test(every_key),
        cmocka_unit_test(access_lists),
        cmocka_unit_test(wrong_words),
        cmocka_unit_test(one_rule_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
