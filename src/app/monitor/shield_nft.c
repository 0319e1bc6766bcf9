/* The shield by nf_tables (io/nft.h), the second choice: one table of ours, inet ringwall. Sources
 * in sets with timeouts, limits by source, first bytes by raw payload. It knows no sessions:
 * packets to media ports are dropped of banned sources only. Bans go in batches; a batch that is
 * refused is halved until the culprit is alone. */
#include "app/monitor/shield_in.h"
#include <sys/syscall.h>
#include <unistd.h>

#define READ_EVERY  DUR_S(1) /* counters */
#define LIST_EVERY  DUR_S(4) /* hits of bans */
#define LIST_SELDOM DUR_S(60)
#define LIST_LARGE  (256u << 10)
#define TEST_TEXT   65536u

/* -- the table -- */

static void list_ports(struct out *o, const struct shield_plan *p, uint8_t bit)
{
    bool some = false;
    for (uint32_t i = 0; i < 65536; i++) {
        if (!(p->sip[i] & bit))
            continue;
        out_fmt(o, "%s%u", some ? ", " : "", (unsigned)i);
        some = true;
    }
    if (!some)
        OUT_LIT(o, "0"); /* nobody's */
}

static void set_of(struct out *o, const char *name, const char *type, const char *more)
{
    out_fmt(o, " set %s { type %s; %s }\n", name, type, more);
}

/* "192.0.2.0/24, ..."; false: none. */
static bool list_exempt(struct out *o, const struct shield_plan *plan, uint8_t family,
                        struct str before)
{
    bool some = false;
    for (unsigned i = 0; i < plan->n_exempt; i++) {
        if (plan->exempt[i].a.family != family)
            continue;
        out_put(o, some ? STR(", ") : before);
        addr_put_ip(o, &plan->exempt[i].a);
        out_fmt(o, "/%u", (unsigned)plan->exempt[i].bits);
        some = true;
    }
    return some;
}

static void exempt_set(struct out *o, const struct shield_plan *plan, uint8_t family)
{
    out_fmt(o, " set exempt%u { type ipv%u_addr; flags interval; auto-merge;", (unsigned)family,
            (unsigned)family);
    bool some = list_exempt(o, plan, family, STR(" elements = { "));
    out_put(o, some ? STR(" } }\n") : STR(" }\n"));
}

static void list_locals(struct out *o, const struct shield_plan *plan, uint8_t family)
{
    bool some = false;
    for (unsigned i = 0; i < plan->n_locals; i++) {
        if (plan->local[i].family != family)
            continue;
        out_put(o, some ? STR(", ") : STR("{ "));
        addr_put_ip(o, &plan->local[i]);
        some = true;
    }
    if (some)
        OUT_LIT(o, " }");
    else
        out_put(o, family == ADDR_V4 ? STR("{ 255.255.255.255 }") : STR("{ :: }"));
}

static const char *const counters[] = {
    [XDP_BANNED] = "banned",         [XDP_RATE] = "over_rate",      [XDP_FRAGMENT] = "fragment",
    [XDP_SHORT] = "too_short",       [XDP_LONG] = "too_long",       [XDP_NOT_SIP] = "not_sip",
    [XDP_NO_SESSION] = "no_session", [XDP_NOT_RTP] = "not_rtp",     [XDP_PASS_SIP] = "sip",
    [XDP_PASS_MEDIA] = "media",      [XDP_PASS_LANE] = "slow_lane",
};

static void sets(struct out *o, const struct shield_plan *p)
{
    for (size_t i = 0; i < ARRAY_LEN(counters); i++)
        out_fmt(o, " counter %s { }\n", counters[i]);
    set_of(o, "banned4", "ipv4_addr", "size 262144; flags timeout; counter;");
    set_of(o, "banned6", "ipv6_addr", "size 262144; flags timeout; counter;");
    set_of(o, "nets4", "ipv4_addr", "size 65536; flags interval, timeout; counter;");
    set_of(o, "nets6", "ipv6_addr", "size 65536; flags interval, timeout; counter;");
    static const char *const kinds[] = {"rate", "lane", "talk", "sound"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        for (int v = 4; v <= 6; v += 2)
            out_fmt(
                o,
                " set %s%d { type ipv%d_addr; size 65536; flags dynamic, timeout; timeout 30s; }\n",
                kinds[i], v, v);
    exempt_set(o, p, ADDR_V4);
    exempt_set(o, p, ADDR_V6);
}

/* Within the set's limit: passed; for both families. */
static void lane(struct out *o, const char *match, const char *set, unsigned hz, unsigned burst)
{
    out_fmt(o,
            "  %s add @%s4 { ip saddr limit rate %u/second burst %u packets } counter name "
            "slow_lane accept\n"
            "  %s add @%s6 { ip6 saddr & ffff:ffff:ffff:ffff:: limit rate %u/second burst %u "
            "packets } counter name slow_lane accept\n",
            match, set, hz, burst, match, set, hz, burst);
}

#define FIRST_BYTES                                                                                \
    "{ 0x0a, 0x0d, 0x21, 0x25, 0x27, 0x2a, 0x2b, 0x2d, 0x2e, 0x30-0x39, 0x41-0x5a, 0x5f-0x7a, "    \
    "0x7e }"

static void urgent_chain(struct out *o, const char *name, const char *after)
{
    static const char *const starts[] = {
        "@th,64,64 0x5349502f322e3020",         /* "SIP/2.0 " */
        "@th,64,32 { 0x41434b20, 0x42594520 }", /* ACK, BYE */
        "@th,64,56 0x43414e43454c20",           /* CANCEL */
        "@th,64,48 0x505241434b20",             /* PRACK */
        ("@th,64,112 { 0x494e56495445207369703a313132, 0x494e56495445207369703a393131, "
         "0x494e564954452074656c3a313132, 0x494e564954452074656c3a393131 }"), /* sip: and tel: */
        "@th,64,120 { 0x494e5649544520736970733a313132, 0x494e5649544520736970733a393131 }",
        "@th,64,120 0x494e564954452075726e3a73657276", /* "INVITE urn:serv" */
    };
    out_fmt(o, " chain %s {\n", name);
    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        lane(o, starts[i], "lane", XDP_LANE_UDP_HZ, XDP_LANE_UDP_BURST);
    out_fmt(o, "%s }\n", after);
}

static void chains(struct out *o, const struct shield_plan *p)
{
    const char *end = p->dry ? "accept" : "drop";
    char text[96];
    (void)snprintf(text, sizeof text, "  counter name banned %s\n", end);
    urgent_chain(o, "banned_udp", text);
    (void)snprintf(text, sizeof text, "  counter name over_rate %s\n", end);
    urgent_chain(o, "over_udp", text);
    (void)snprintf(text, sizeof text, "  counter name fragment %s\n", end);
    urgent_chain(o, "part_udp", text);
    OUT_LIT(o, " chain banned_tcp {\n");
    lane(o, "", "talk", XDP_LANE_TCP_HZ, XDP_LANE_TCP_BURST);
    out_fmt(o, "  counter name banned %s\n }\n chain banned_media {\n", end);
    lane(o, "", "sound", XDP_LANE_MEDIA_HZ, XDP_LANE_MEDIA_BURST);
    out_fmt(o, "  counter name banned %s\n }\n", end);
    static const char *const kinds[] = {"udp", "tcp", "media"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const char *k = kinds[i];
        out_fmt(o, " chain in_%s {\n  ip saddr @exempt4 accept\n  ip6 saddr @exempt6 accept\n", k);
        out_fmt(o,
                "  ip saddr @banned4 goto banned_%s\n  ip saddr @nets4 goto banned_%s\n"
                "  ip6 saddr & ffff:ffff:ffff:ffff:: @banned6 goto banned_%s\n"
                "  ip6 saddr @nets6 goto banned_%s\n",
                k, k, k, k);
        if (i == 0)
            out_fmt(o,
                    "  ip frag-off & 0x3fff != 0 goto part_udp\n"
                    "  exthdr frag exists goto part_udp\n"
                    "  udp length 10-12 @th,64,8 { 0x0a, 0x0d } counter name sip accept\n"
                    "  udp length < %u counter name too_short %s\n"
                    "  udp length > %u counter name too_long %s\n"
                    "  @th,64,8 != " FIRST_BYTES " counter name not_sip %s\n",
                    XDP_HEAD + 8u, end, MIN(p->sip_max + 8u, 65535u), end, end);
        const char *only = i == 1 ? "tcp flags & (syn | ack) == syn " : "";
        if (i < 2 && p->rate)
            out_fmt(o,
                    "  %sadd @rate4 { ip saddr limit rate over %u/second burst %u packets } goto "
                    "%s\n  %sadd @rate6 { ip6 saddr & ffff:ffff:ffff:ffff:: limit rate over "
                    "%u/second burst %u packets } goto %s\n",
                    only, p->rate, 2 * p->rate, i ? "over_tcp" : "over_udp", only, p->rate,
                    2 * p->rate, i ? "over_tcp" : "over_udp");
        out_fmt(o, "  counter name %s accept\n }\n", i == 2 ? "media" : "sip");
        if (i == 0) {
            OUT_LIT(o, " chain over_tcp {\n");
            lane(o, "", "talk", XDP_LANE_TCP_HZ, XDP_LANE_TCP_BURST);
            out_fmt(o, "  counter name over_rate %s\n }\n", end);
        }
    }
}

/* Before the host's own defragmentation (-400), or fragments would not be seen. */
static void entry(struct out *o, const struct shield_plan *p)
{
    OUT_LIT(o, " chain entry {\n  type filter hook prerouting priority -450; policy accept;\n  "
               "iifname != { ");
    for (unsigned i = 0; i < p->n_interfaces; i++)
        out_fmt(o, "%s\"%s\"", i ? ", " : "", p->interface[i]);
    OUT_LIT(o, " } accept\n");
    if (!p->any_local) {
        OUT_LIT(o, "  ip daddr != ");
        list_locals(o, p, ADDR_V4);
        OUT_LIT(o, " accept\n  ip6 daddr != ");
        list_locals(o, p, ADDR_V6);
        OUT_LIT(o, " accept\n");
    }
    OUT_LIT(o, "  ip frag-off & 0x1fff != 0 accept\n  udp dport { ");
    list_ports(o, p, XDP_UDP);
    OUT_LIT(o, " } goto in_udp\n  tcp dport { ");
    list_ports(o, p, XDP_TCP);
    out_fmt(o, " } goto in_tcp\n  udp dport %u-%u goto in_media\n }\n", (unsigned)p->media_min,
            (unsigned)p->media_max);
}

/* Replaces the table with all that is in it, in one transaction. */
static void table_put(struct out *o, const struct shield_plan *p)
{
    OUT_LIT(o, "add table inet ringwall\ndelete table inet ringwall\ntable inet ringwall {\n");
    sets(o, p);
    chains(o, p);
    entry(o, p);
    OUT_LIT(o, "}\n");
}

/* -- runs -- */

/* At start and end only: waits for it. */
static enum err run_now(struct str script, struct out *said)
{
    struct nft_run r = {0, -1, -1};
    enum err e = nft_start(&r, script);
    return e == OK ? nft_end(&r, true, said) : e;
}

static const char *self_test(char *text)
{
    static const struct {
        const char *script, *shows, *bad;
    } step[] = {
        {"list table inet ringwall", "hook prerouting", "the table is not there"},
        {"add element inet ringwall banned4 { 240.0.0.1 timeout 60s }", "", "takes no ban"},
        {"get element inet ringwall banned4 { 240.0.0.1 }", "240.0.0.1", "holds no ban"},
        {"list chain inet ringwall in_udp", "@banned4 goto banned_udp", "drops no banned source"},
        {"list chain inet ringwall banned_udp", "counter name \"banned\"", "drops nothing"},
        {"delete element inet ringwall banned4 { 240.0.0.1 }", "", "releases no ban"},
    };
    for (size_t i = 0; i < ARRAY_LEN(step); i++) {
        struct out said = out_of(text, TEST_TEXT);
        enum err e = run_now(str_c(step[i].script), &said);
        struct str want = str_c(step[i].shows), got = out_str(&said);
        if (e != OK || (want.n && str_search(got, want) == got.n))
            return step[i].bad;
    }
    return NULL;
}

static void unwatch(struct monitor *m, struct shield *s)
{
    if (s->nft_watch >= 0) {
        loop_del(&m->loop, s->nft_watch);
        (void)close(s->nft_watch);
    }
    s->nft_watch = -1;
}

static void ended(void *ctx, int fd, uint32_t events)
{
    (void)ctx, (void)fd, (void)events; /* the turn does it */
}

bool shield_nft_open(struct monitor *m, struct shield *s, struct out *why)
{
    if (!nft_program()) {
        OUT_LIT(why, "no nf_tables: nft is not installed");
        return false;
    }
    s->nft_text = malloc(NFT_TEXT);
    if (!s->nft_text)
        return false;
    struct out script = out_of(s->nft_text, NFT_TEXT);
    char text[200];
    struct out said = out_of(text, sizeof text);
    table_put(&script, &s->plan);
    enum err e = script.full ? ERR_FULL : run_now(out_str(&script), &said);
    const char *bad = e == OK ? self_test(s->nft_text) : NULL;
    if (e == OK && !bad) {
        s->force = FORCE_NFT;
        s->nft_most = SHIELD_BATCH;
        (void)snprintf(s->tested, sizeof s->tested,
                       "passed: the rules are read back, a ban put, found and released");
        return true;
    }
    struct str first = str_head(out_str(&said), str_find(out_str(&said), '\n'));
    out_fmt(why, "no nf_tables: " STR_FMT,
            STR_ARG(bad       ? str_c(bad)
                    : first.n ? first
                              : STR("nft failed")));
    shield_nft_close(m, s);
    return false;
}

void shield_nft_close(struct monitor *m, struct shield *s)
{
    char text[200];
    struct out said = out_of(text, sizeof text);
    nft_kill(&s->nft);
    unwatch(m, s);
    if (s->nft_text &&
        run_now(STR("add table inet ringwall\ndelete table inet ringwall\n"), &said) != OK)
        (void)fprintf(stderr, "shield: table inet ringwall stays: %.*s\n", (int)said.n, text);
    free(s->nft_text);
    s->nft_text = NULL;
}

/* -- batches -- */

static void element(struct out *o, const char *verb, const struct shield_job *j,
                    const char *timeout)
{
    bool v4 = j->net.a.family == ADDR_V4, whole = j->net.bits == (v4 ? 32 : 64);
    out_fmt(o, "%s element inet ringwall %s%c { ", verb, whole ? "banned" : "nets", v4 ? '4' : '6');
    addr_put_ip(o, &j->net.a);
    if (!whole)
        out_fmt(o, "/%u", (unsigned)j->net.bits);
    out_fmt(o, "%s }\n", timeout);
}

/* What is there may be added once more, and only what is there may be deleted: so all three. */
static void job_put(struct out *o, const struct shield_job *j, struct wall now)
{
    char timeout[48] = "";
    element(o, "add", j, "");
    element(o, "delete", j, "");
    if (!j->add)
        return;
    if (j->until.us)
        (void)snprintf(timeout, sizeof timeout, " timeout %llds",
                       (long long)MAX((j->until.us - now.us + 999999) / 1000000, 1));
    element(o, "add", j, timeout);
}

static void start(struct monitor *m, struct shield *s, struct str script)
{
    if (nft_start(&s->nft, script) != OK)
        return;
    /* the turn comes as soon as it has ended */
    int fd = (int)syscall(SYS_pidfd_open, s->nft.pid, 0);
    if (fd < 0)
        return;
    s->nft_watch = fd;
    if (loop_add(&m->loop, fd, EPOLLIN, ended, m) != OK) {
        (void)close(fd);
        s->nft_watch = -1;
    }
}

/* Who is exempt, anew: a batch of its own. */
static void exempt_again(struct out *o, const struct shield_plan *p)
{
    for (uint8_t f = ADDR_V4; f <= ADDR_V6; f = (uint8_t)(f + (ADDR_V6 - ADDR_V4))) {
        out_fmt(o, "flush set inet ringwall exempt%u\n", (unsigned)f);
        size_t at = o->n;
        out_fmt(o, "add element inet ringwall exempt%u ", (unsigned)f);
        if (list_exempt(o, p, f, STR("{ ")))
            OUT_LIT(o, " }\n");
        else
            o->n = at;
    }
}

static void start_batch(struct monitor *m, struct shield *s)
{
    struct out script = out_of(s->nft_text, NFT_TEXT);
    unsigned k = 0;
    bool alone = s->exempt_new;
    if (alone)
        exempt_again(&script, &s->plan);
    s->exempt_new = false;
    for (size_t keep = 0; !alone && k < s->nft_most && k < s->n; k++, keep = script.n) {
        job_put(&script, &s->job[(s->at + k) % s->cap], m->loop.now.wall);
        if (script.full) {
            script.n = keep;
            break;
        }
    }
    s->nft_batch = k;
    s->nft_reads = false;
    start(m, s, out_str(&script));
}

static void batch_ended(struct monitor *m, struct shield *s, enum err e)
{
    if (s->nft_batch == 0) {
        if (e != OK)
            monitor_log(m, SEV_WARN, "shield: nft does not take who is exempt: %.150s",
                        s->nft_text);
        return;
    }
    if (e != OK && s->nft_batch > 1) {
        s->nft_most = MAX(s->nft_batch / 2, 1);
        return;
    }
    if (e != OK) {
        char text[160];
        (void)snprintf(text, sizeof text, "%.150s", s->nft_text);
        monitor_log(m, SEV_WARN, "shield: nft takes a ban not: %s", text);
        s->refused++;
    }
    s->at = (s->at + s->nft_batch) % s->cap;
    s->n -= s->nft_batch;
    s->nft_most = MIN(s->nft_most * 2, SHIELD_BATCH);
}

/* -- reading -- */

static uint64_t count_after(struct str line, struct str word)
{
    uint64_t v = 0;
    struct str num;
    size_t at = str_search(line, word);
    if (at == line.n)
        return 0;
    (void)str_cut(str_skip(line, at + word.n), ' ', &num);
    return str_u64(str_trim(num), UINT64_MAX, &v) == OK ? v : 0;
}

/* "counter banned {", and in the next line "packets 12 bytes 345". */
static void read_counters(struct shield *s, struct str text)
{
    int which = -1;
    for (struct str rest = text, line; rest.n;) {
        rest = str_cut(rest, '\n', &line);
        line = str_trim(line);
        struct str name;
        if (str_starts(line, STR("counter "))) {
            (void)str_cut(str_skip(line, 8), ' ', &name);
            which = -1;
            for (size_t i = 0; i < ARRAY_LEN(counters); i++)
                which = str_eq(name, str_c(counters[i])) ? (int)i : which;
        } else if (which >= 0 && str_starts(line, STR("packets "))) {
            s->count[which] = count_after(line, STR("packets "));
            which = -1;
        }
    }
}

/* "192.0.2.1 counter packets 5 bytes 300 timeout 5m expires 4m, ..." of one set; halves: of the
 * upper halves of addresses. */
static void read_hits(struct shield *s, struct str text, bool halves)
{
    for (struct str rest = text, part; rest.n && s->n_hits < SHIELD_HITS;) {
        rest = str_cut(rest, ',', &part);
        size_t at = str_search(part, STR("elements = {"));
        part = str_trim(at < part.n ? str_skip(part, at + 12) : part);
        struct str who;
        struct prefix p;
        (void)str_cut(part, ' ', &who);
        if (str_search(part, STR("counter packets ")) == part.n || prefix_parse(who, &p) != OK)
            continue;
        if (halves)
            p.bits = 64;
        s->hit[s->n_hits++] = (struct shield_hit){p, count_after(part, STR("counter packets "))};
    }
}

/* One thing a run: nft mixes up what it must know for several. The counters, and now and then the
 * sets; a large set seldom. */
static const char *const readings[] = {
    "list counters table inet ringwall", "list set inet ringwall banned4",
    "list set inet ringwall banned6",    "list set inet ringwall nets4",
    "list set inet ringwall nets6",
};

static void start_reading(struct monitor *m, struct shield *s)
{
    struct instant now = m->loop.now.mono;
    if (s->nft_reading == 0 && instant_sub(now, s->counted).us < READ_EVERY.us)
        return;
    if (s->nft_reading == 1 && instant_sub(now, s->nft_listed).us < s->nft_pause.us) {
        s->nft_reading = 0;
        return;
    }
    if (s->nft_reading == 0)
        s->counted = now;
    if (s->nft_reading == 1) {
        s->nft_listed = now;
        s->nft_pause = LIST_EVERY;
        s->n_hits = 0;
    }
    s->nft_reads = true;
    start(m, s, str_c(readings[s->nft_reading]));
}

static void reading_ended(struct monitor *m, struct shield *s, enum err e, struct str said)
{
    unsigned which = s->nft_reading;
    s->nft_reading = (which + 1) % ARRAY_LEN(readings);
    if (said.n > LIST_LARGE)
        s->nft_pause = LIST_SELDOM;
    s->reads += e == OK && which == 0;
    if (e == OK && which == 0)
        read_counters(s, said);
    else if (e == OK)
        read_hits(s, said, which == 2);
    else if (!s->told_mute)
        monitor_log(m, SEV_WARN, "shield: nft cannot be asked: %.200s", said.n ? said.p : "?");
    s->told_mute = s->told_mute || e != OK;
}

static void again(void *ctx, const struct ban *b)
{
    shield_add(ctx, b);
}

void shield_nft_policy(struct monitor *m, struct shield *s)
{
    /* the bans go with the old table, and are put again behind the new one */
    struct out script = out_of(s->nft_text, NFT_TEXT);
    char text[200];
    struct out said = out_of(text, sizeof text);
    nft_kill(&s->nft);
    unwatch(m, s);
    table_put(&script, &s->plan);
    if (run_now(out_str(&script), &said) != OK)
        monitor_log(m, SEV_ALERT, "shield: nft does not take the new rules: %.*s", (int)said.n,
                    text);
    bans_each(m, again, m);
}

void shield_nft_turn(struct monitor *m, struct shield *s)
{
    struct out said = out_of(s->nft_text, NFT_TEXT);
    if (s->nft.pid) {
        if (!s->nft_reads)
            said = out_of(s->nft_text, 200);
        enum err e = nft_end(&s->nft, false, &said);
        if (e == ERR_AGAIN)
            return;
        unwatch(m, s);
        s->nft_text[MIN(said.n, NFT_TEXT - 1)] = 0;
        if (!s->nft_reads)
            batch_ended(m, s, e);
        else
            reading_ended(m, s, e, out_str(&said));
    }
    if (s->n || s->exempt_new)
        start_batch(m, s);
    else
        start_reading(m, s);
}
