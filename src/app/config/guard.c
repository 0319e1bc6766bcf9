/* guard: the shield. */
#include "app/config/geo.h"
#include "app/config/values.h"
#include "app/config/yaml.h"
#include "guard/feed.h"
#include <net/if.h>
#include <unistd.h>

#define AT(type, member) offsetof(struct type, member)
#define GEO_OLD_US       (INT64_C(366) * 86400 * 1000000)

/* -- files -- */

void rd_file(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    char given[CONFIG_PATH] = "", path[CONFIG_PATH * 2];
    struct field g = *f;
    g.max = CONFIG_PATH - 1;
    rd_chars(l, &g, n, given);
    if (!given[0])
        return;
    int len = given[0] == '/' ? snprintf(path, sizeof path, "%s", given)
                              : snprintf(path, sizeof path, "%s/%s", l->c->state, given);
    if (len < 0 || (size_t)len >= CONFIG_PATH) {
        problem(l, pos_of(n), NULL, "%s: the path is longer than %u bytes", f->key,
                CONFIG_PATH - 1);
        return;
    }
    if (!l->o->no_files && access(path, R_OK) != 0) {
        if (f->more)
            warning(l, pos_of(n), "it is looked for again and again", "%s: %s is not there yet",
                    f->key, path);
        else
            problem(l, pos_of(n),
                    "names that do not begin with / are looked for in the state "
                    "folder",
                    "%s: %s cannot be read", f->key, path);
    }
    (void)text_add(l, pos_of(n), str_of(path, (size_t)len), dst);
}

/* A list of texts by a reader of one; room: spans at dst, counted at count. */
static void list_of(struct load *l, const struct field *f, struct fy_node *n, field_fn *one,
                    const struct field *g, struct span *at, uint8_t *count)
{
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    *count = 0;
    for (struct fy_node *e; (e = seq_next(n, &it)) && *count < f->max;) {
        struct span *sp = &at[*count];
        *sp = SPAN_NONE;
        one(l, g, e, sp);
        if (!sp->len)
            continue;
        struct str s = policy_text(l->p, *sp);
        bool twice = false;
        for (unsigned i = 0; i < *count; i++)
            twice = twice || str_eq(s, policy_text(l->p, at[i]));
        if (twice)
            problem(l, pos_of(e), NULL, "%s: \"%.*s\" is there twice", f->key, (int)MIN(s.n, 60u),
                    s.p);
        else
            *count = (uint8_t)(*count + 1);
    }
}

static void rd_interfaces(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct guard_policy *g = dst;
    struct field one = {.key = f->key, .min = 1, .max = IF_NAMESIZE - 1};
    list_of(l, f, n, rd_name, &one, g->interfaces, &g->n_interfaces);
}

static void rd_decoys(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct guard_policy *g = dst;
    struct field one = {.key = f->key, .min = 1, .max = 64};
    list_of(l, f, n, rd_text, &one, g->decoys, &g->n_decoys);
    for (unsigned i = 0; i < g->n_decoys; i++) {
        struct str s = policy_text(l->p, g->decoys[i]);
        if (str_find(s, '@') < s.n || str_find(s, ' ') < s.n)
            problem(l, pos_of(n), "what stands before the \"@\"",
                    "%s: \"%.*s\" is not the name of a user or a number", f->key,
                    (int)MIN(s.n, 60u), s.p);
    }
}

static void rd_rules(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct guard_policy *g = dst;
    list_of(l, f, n, rd_file, f, g->rule_files, &g->n_rule_files);
}

static void rd_exempt(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct guard_policy *g = dst;
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it)) && g->n_exempt < GUARD_EXEMPT;) {
        struct str s;
        struct prefix p;
        if (!scalar(l, f->key, e, &s))
            continue;
        if (prefix_parse(s, &p) != OK) {
            problem(l, pos_of(e), "for instance 192.0.2.10 or 192.0.2.0/28",
                    "%s: \"%.*s\" is not an address or prefix", f->key, (int)MIN(s.n, 60u), s.p);
            continue;
        }
        if (p.bits == 0)
            problem(l, pos_of(e), "name your own addresses; mode: dry-run bans nobody",
                    "%s: with %.*s nobody could ever be banned", f->key, (int)s.n, s.p);
        else if (p.bits < (p.a.family == ADDR_V4 ? 8 : 16))
            warning(l, pos_of(e), "name your own addresses only",
                    "%s: nobody in all of %.*s can ever be banned", f->key, (int)s.n, s.p);
        g->exempt[g->n_exempt++] = p;
    }
}

/* -- feeds -- */

static const struct word FORMAT[] = {{"text", 0}, {"json", 1}, {NULL, 0}};
enum {
    F_NAME,
    F_URL,
    F_FILE,
    F_FORMAT,
    F_WEIGHT,
    F_BAN,
    F_REFRESH,
    F_EXPIRES,
    F_PRIVATE,
    F_PLAINTEXT,
    F_CA
};

static void rd_url(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct str s;
    struct feed_url u;
    const char *why = "";
    if (!scalar(l, f->key, n, &s))
        return;
    if (feed_url_parse(s, &u, &why) != OK)
        problem(l, pos_of(n), "for instance https://feeds.example.net/sip.txt", "%s: %s", f->key,
                why);
    else
        (void)text_add(l, pos_of(n), s, dst);
}

static const struct field FEED[] = {
    [F_NAME] = {"name", rd_name, AT(guard_feed, name), true, 1, 30, NULL},
    [F_URL] = {"url", rd_url, AT(guard_feed, url), false, 1, FEED_URL_MAX, NULL},
    [F_FILE] = {"file", rd_file, AT(guard_feed, file), false, 1, 0, "may be missing"},
    [F_FORMAT] = {"format", rd_word, AT(guard_feed, json), false, 0, 0, FORMAT},
    [F_WEIGHT] = {"weight", rd_u8, AT(guard_feed, weight), false, 1, 100, NULL},
    [F_BAN] = {"ban", rd_bool, AT(guard_feed, ban), false, 0, 0, NULL},
    [F_REFRESH] = {"refresh", rd_seconds, AT(guard_feed, refresh_s), false, 1, 7 * 86400, NULL},
    [F_EXPIRES] = {"expires", rd_seconds, AT(guard_feed, expires_s), false, 2, 30 * 86400, NULL},
    [F_PRIVATE] = {"private", rd_bool, AT(guard_feed, inside), false, 0, 0, NULL},
    [F_PLAINTEXT] = {"plaintext", rd_bool, AT(guard_feed, plain), false, 0, 0, NULL},
    [F_CA] = {"ca", rd_file, AT(guard_feed, ca), false, 1, 0, NULL},
};

static void feed_begin(void *entry)
{
    struct guard_feed *f = entry;
    f->weight = 20;
    f->refresh_s = 3600;
    f->expires_s = 86400;
}

static void feed_url_judge(struct load *l, const struct guard_feed *f, struct pos at)
{
    struct feed_url u;
    struct addr a;
    const char *why = "";
    if (feed_url_parse(policy_text(l->p, f->url), &u, &why) != OK)
        return;
    bool literal = addr_parse_ip(u.host, &a) == OK;
    bool loop = (literal && addr_loopback(&a)) || str_ieq(u.host, STR("localhost"));
    if ((loop || (literal && feed_inside(&a))) && !f->inside)
        problem(l, at, "say private: yes, if that is meant",
                "url: %.*s is an address inside your own network", (int)u.host.n, u.host.p);
    if (u.plain && !loop && !f->plain)
        problem(l, at, "use https, or say plaintext: yes, if that is meant",
                "url: over http anybody on the way can put your friends on the list");
    if (u.plain && f->ca.len)
        problem(l, at, NULL, "ca: nothing is verified over http");
    if (f->refresh_s < 60)
        warning(l, at, "an hour is usual", "url: asked for every %u seconds", f->refresh_s);
}

static void feed_end(struct load *l, void *entry, uint32_t seen, struct pos at)
{
    const struct guard_feed *f = entry;
    bool url = seen >> F_URL & 1, file = seen >> F_FILE & 1;
    if (url == file)
        problem(l, at, NULL,
                url ? "feed: either \"url\" or \"file\", not both"
                    : "feed: \"url\" or \"file\" is missing");
    if (file && (seen & (1u << F_PRIVATE | 1u << F_PLAINTEXT | 1u << F_CA)))
        problem(l, at, "take them out", "feed: private, plaintext and ca belong to a url");
    if (url)
        feed_url_judge(l, f, at);
    if ((seen >> F_WEIGHT & 1) && f->ban)
        problem(l, at, "take one of them out", "feed: with ban: yes a weight says nothing");
    if (f->expires_s <= f->refresh_s)
        problem(l, at, "let it outlive some failures, for instance a day",
                "feed: it expires before it is read again");
}

static void rd_feeds(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    static const struct ref_kind REF_FEED = {"feed", offsetof(struct policy, guard.feeds),
                                             sizeof(struct guard_feed),
                                             offsetof(struct policy, guard.n_feeds)};
    struct list d = {"feed",      FEED,       ARRAY_LEN(FEED), &REF_FEED,
                     GUARD_FEEDS, l->feed_at, feed_begin,      feed_end};
    (void)dst;
    list_read(l, n, f->key, &d);
}

/* -- what is done -- */

static const struct word DO[] = {
    {"log", TREAT_LOG},       {"challenge", TREAT_CHALLENGE}, {"tarpit", TREAT_TARPIT},
    {"refuse", TREAT_REFUSE}, {"drop", TREAT_DROP},           {"lock", TREAT_LOCK},
    {"ban", TREAT_BAN},       {"kick", TREAT_KICK},           {NULL, 0}};

static const struct field STEP[] = {
    {"score", rd_u16, AT(guard_step, score), true, 1, 1000, NULL},
    {"do", rd_word, AT(guard_step, treat), true, 0, 0, DO},
};

static void rd_steps(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct guard_policy *g = dst;
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    g->n_steps = 0;
    memset(g->steps, 0, sizeof g->steps);
    for (struct fy_node *e; (e = seq_next(n, &it)) && g->n_steps < GUARD_STEPS;) {
        struct guard_step *s = &g->steps[g->n_steps], *was = s - 1;
        uint32_t before = l->e->n_errors;
        (void)map_read(l, e, "step", STEP, ARRAY_LEN(STEP), s);
        if (l->e->n_errors != before)
            continue;
        if (g->n_steps && (s->score <= was->score || s->treat <= was->treat))
            problem(l, pos_of(e),
                    "from mild to hard: log challenge tarpit refuse drop lock ban kick",
                    "%s: each must have a higher score and do more than the one before", f->key);
        g->n_steps++;
    }
}

void rd_ms(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct str s;
    uint32_t v = 0;
    if (!bare(l, f->key, n, "a length of time", &s))
        return;
    bool ms = s.n > 2 && str_eq(str_skip(s, s.n - 2), STR("ms"));
    enum err e = ms ? str_u32(str_head(s, s.n - 2), 1u << 24, &v) : value_seconds(s, &v);
    uint64_t all = ms ? v : v * UINT64_C(1000);
    if (e == ERR_SYNTAX)
        problem(l, pos_of(n), "for instance 500ms or 2s", "%s: \"%.*s\" is not a length of time",
                f->key, (int)MIN(s.n, 40u), s.p);
    else if (e != OK || all < f->min || all > f->max)
        problem(l, pos_of(n), NULL, "%s: %.*s is outside %ums to %ums", f->key, (int)MIN(s.n, 40u),
                s.p, f->min, f->max);
    else
        *(uint32_t *)dst = (uint32_t)all;
}

static const struct field DETECTOR[] = {
    {"threshold", rd_u32, AT(guard_detector, threshold), false, 1, 1000000, NULL},
    {"window", rd_seconds, AT(guard_detector, window_s), false, 1, 30 * 86400, NULL},
    {"weight", rd_u16, AT(guard_detector, weight), false, 1, 1000, NULL},
    {"do", rd_word, AT(guard_detector, treat), false, 0, 0, DO},
    {"off", rd_bool, AT(guard_detector, off), false, 0, 0, NULL},
};

static void rd_detector(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct guard_detector *d = dst;
    enum detector which = detector_by_name(str_c(f->key));
    uint32_t seen = map_read(l, n, f->key, DETECTOR, ARRAY_LEN(DETECTOR), d);
    if ((seen >> 3 & 1) && d->treat == TREAT_LOG)
        problem(l, pos_of(n), "leave it out: then the score decides, by guard.steps",
                "%s: do: log says nothing, every alert is logged", f->key);
    if (d->treat == TREAT_LOCK && detector_entity(which) != ENTITY_AOR)
        problem(l, pos_of(n), "ban, drop or refuse", "%s: it judges a %s; only users can be locked",
                f->key, entity_name(detector_entity(which)));
    if (d->off && (seen & ~16u))
        problem(l, pos_of(n), "take the others out, or off", "%s: off, and more", f->key);
}

static void rd_detectors(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    static const struct field DETECTORS[DET_COUNT] = {
#define D(name, entity, text)                                                                      \
    [DET_##name] = {#name, rd_detector, DET_##name * sizeof(struct guard_detector), false, 0,      \
                    0,     NULL},
#include "guard/detectors.def"
#undef D
    };
    _Static_assert(DET_COUNT <= 32, "map_read");
    struct guard_policy *g = dst;
    (void)map_read(l, n, f->key, DETECTORS, DET_COUNT, g->detectors);
}

static const struct field LIMITS[] = {
    {"source", rd_u32, AT(guard_policy, source_rate), false, 1, 1000000, NULL},
    {"known", rd_u32, AT(guard_policy, known_rate), false, 1, 10000000, NULL},
    {"aor", rd_u32, AT(guard_policy, aor_rate), false, 1, 1000000, NULL},
    {"device", rd_u32, AT(guard_policy, device_rate), false, 1, 1000000, NULL},
    {"trunk", rd_u32, AT(guard_policy, trunk_rate), false, 1, 60000000, NULL},
};

static void rd_limits(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct guard_policy *g = dst;
    (void)map_read(l, n, "guard.limits", LIMITS, ARRAY_LEN(LIMITS), g);
    if (g->known_rate < g->source_rate)
        problem(l, pos_of(n), "many phones can be behind one known address",
                "%s: known sources may send less than unknown ones", f->key);
}

static const struct word MODE[] = {{"enforce", 0}, {"dry-run", 1}, {NULL, 0}};
static const struct word KERNEL[] = {{"auto", KERNEL_AUTO},
                                     {"xdp", KERNEL_XDP},
                                     {"nftables", KERNEL_NFT},
                                     {"none", KERNEL_NONE},
                                     {NULL, 0}};
static void rd_geo(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    l->geo_at = pos_of(n);
    rd_file(l, f, n, dst);
}

static const struct field GUARD[] = {
    {"mode", rd_word, AT(guard_policy, dry_run), false, 0, 0, MODE},
    {"kernel", rd_word, AT(guard_policy, kernel), false, 0, 0, KERNEL},
    {"interfaces", rd_interfaces, 0, false, 0, GUARD_INTERFACES, NULL},
    {"exempt", rd_exempt, 0, false, 0, GUARD_EXEMPT, NULL},
    {"decoys", rd_decoys, 0, false, 0, GUARD_DECOYS, NULL},
    {"geo", rd_geo, AT(guard_policy, geo), false, 0, 0, NULL},
    {"rules", rd_rules, 0, false, 0, GUARD_RULE_FILES, NULL},
    {"feeds", rd_feeds, 0, false, 0, GUARD_FEEDS, NULL},
    {"steps", rd_steps, 0, false, 1, GUARD_STEPS, NULL},
    {"half_life", rd_seconds, AT(guard_policy, half_life_s), false, 1, 86400, NULL},
    {"ban", rd_seconds, AT(guard_policy, ban_s), false, 1, 365 * 86400, NULL},
    {"ban_max", rd_seconds, AT(guard_policy, ban_max_s), false, 1, 3650 * 86400, NULL},
    {"spoofed_ban", rd_seconds, AT(guard_policy, spoof_s), false, 1, 3600, NULL},
    {"escalate", rd_seconds, AT(guard_policy, escalate_s), false, 1, 365 * 86400, NULL},
    {"limits", rd_limits, 0, false, 0, 0, NULL},
    {"tarpit", rd_ms, AT(guard_policy, tarpit_ms), false, 1, 20000, NULL},
    {"detectors", rd_detectors, 0, false, 0, 0, NULL},
};

void read_guard(struct load *l, struct fy_node *n)
{
    l->guard_at = pos_of(n);
    (void)map_read(l, n, "guard", GUARD, ARRAY_LEN(GUARD), &l->p->guard);
}

/* -- what holds between them, and between them and other sections -- */

static void judge_geo(struct load *l)
{
    const struct policy *p = l->p;
    char path[CONFIG_PATH] = "", date[VALUE_DATE_TEXT];
    struct str s = policy_text(p, p->guard.geo);
    const char *why = "";
    struct wall built;
    for (unsigned z = 0; !s.n && z < p->n_zones; z++)
        for (unsigned i = 0; i < p->zones[z].n_access; i++)
            if (p->zones[z].access[i].country) {
                problem(l, l->access_at[z], "name an MMDB file in guard.geo",
                        "access: countries are named, but there is no file to tell them by");
                break;
            }
    if (!s.n || s.n >= sizeof path || l->o->no_files)
        return;
    memcpy(path, s.p, s.n);
    if (geo_file_built(path, &built, &why) != OK)
        problem(l, l->geo_at, "for instance a country file of MaxMind, DB-IP or IPinfo",
                "geo: %s: %s", path, why);
    else if (l->o->now.us - built.us > GEO_OLD_US) {
        value_date_text(built, date);
        warning(l, l->geo_at, "addresses move; get a new one",
                "geo: the file is of %s: many countries are wrong", date);
    }
}

static void judge_access(struct load *l)
{
    for (unsigned z = 0; z < l->p->n_zones; z++) {
        const struct policy_zone *x = &l->p->zones[z];
        bool differs = false;
        for (unsigned i = 0; i < x->n_access; i++)
            differs = differs || x->access[i].allow == x->access_deny;
        struct str name = policy_text(l->p, x->name);
        if (x->n_access && !differs)
            warning(l, l->access_at[z], "access_default: deny (or allow) decides for the rest",
                    "zone \"%.*s\": access_default says the same as all its rules, so they do "
                    "nothing",
                    (int)name.n, name.p);
        if (!x->n_access && x->access_deny)
            warning(l, l->zone_at[z], "add whom to allow under \"access:\"",
                    "zone \"%.*s\": access_default: deny without a rule refuses everybody",
                    (int)name.n, name.p);
    }
}

void judge_guard(struct load *l)
{
    const struct guard_policy *g = &l->p->guard;
    judge_geo(l);
    judge_access(l);
    if (g->dry_run)
        warning(l, l->guard_at, "mode: enforce, once the alerts are what they should be",
                "guard: mode: dry-run: attackers are told of, and not stopped");
    if (g->ban_max_s < g->ban_s)
        problem(l, l->guard_at, NULL, "guard: ban_max is shorter than ban");
    if (g->spoof_s > g->ban_s)
        problem(l, l->guard_at, "what can be forged must not ban for long",
                "guard: spoofed_ban is longer than ban");
    for (unsigned i = 0; i < g->n_interfaces && !l->o->no_files; i++) {
        char name[IF_NAMESIZE] = "";
        struct str s = policy_text(l->p, g->interfaces[i]);
        memcpy(name, s.p, MIN(s.n, sizeof name - 1));
        if (!if_nametoindex(name))
            warning(l, l->guard_at, "`ip link` names those that are there",
                    "guard: there is no interface \"%s\" here", name);
    }
    for (unsigned i = 0; i < g->n_feeds; i++) {
        struct str name = policy_text(l->p, g->feeds[i].name);
        if (g->feeds[i].ban)
            warning(l, l->feed_at[i], "a weight lets it count together with what a source does",
                    "feed \"%.*s\": whoever writes it can ban anybody who is not exempt",
                    (int)name.n, name.p);
    }
}
