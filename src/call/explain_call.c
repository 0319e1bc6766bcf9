/* Would this call go? The gates are asked about an INVITE of our own making, with what they could
 * write to left out, and what they found is told as JSON. */
#include "call/called.h"
#include "call/core_int.h"
#include "call/gate.h"
#include "call/payer.h"

struct asked {
    struct core *c;
    struct request r;
    struct verdict v;
    struct str dialled;
};
#define PASSED_OVER 8u /* rules told of */

static bool dialable(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_digit(s.p[i]) && (ascii_lower(s.p[i]) < 'a' || ascii_lower(s.p[i]) > 'z') &&
            !memchr("+*-._", s.p[i], 5))
            return false;
    return s.n > 0 && s.n <= 40;
}

static void invite_put(const struct core *c, struct str user, struct str dialled, struct out *o)
{
    struct str domain = policy_text(c->policy, c->policy->domains[0]);
    out_fmt(o, "INVITE sip:%.*s@%.*s SIP/2.0\r\n", (int)dialled.n, dialled.p, (int)domain.n,
            domain.p);
    out_fmt(o, "Via: SIP/2.0/UDP explain.invalid;branch=" BRANCH_COOKIE "e\r\n");
    out_fmt(o, "Max-Forwards: 70\r\nFrom: <sip:%.*s>;tag=e\r\n", (int)user.n, user.p);
    out_fmt(o, "To: <sip:%.*s@%.*s>\r\n", (int)dialled.n, dialled.p, (int)domain.n, domain.p);
    out_fmt(o, "Call-ID: explain\r\nCSeq: 1 INVITE\r\nContact: <sip:explain.invalid>\r\n");
    out_fmt(o, "Content-Length: 0\r\n\r\n");
}

/* Where the user's phone is, else the first zone that phones register from. */
static uint8_t zone_of(const struct core *c, struct str aor, struct wall now, uint64_t *ret_device)
{
    const struct policy *p = c->policy;
    struct binding b;
    if (location_lookup(c->cfg.shards, c->cfg.engines, &c->cfg.hash_key, aor, now, &b, 1)) {
        *ret_device = b.device;
        uint8_t z = policy_zone_of(p, b.flow.listener, &b.flow.peer);
        if (z != POLICY_NONE)
            return z;
    }
    for (uint8_t i = 0; i < p->n_zones; i++)
        if (p->zones[i].registration)
            return i;
    return POLICY_NONE;
}

/* false: there is nobody of that name. */
static bool caller(struct asked *x, struct str name, struct wall at)
{
    const struct policy *p = x->c->policy;
    struct request *r = &x->r;
    struct str user, host = str_cut(name, '@', &user);
    for (uint8_t i = 0; i < p->n_peers && !host.n; i++)
        if (str_eq(name, policy_text(p, p->peers[i].name))) {
            r->peer = i;
            r->zone = p->peers[i].zone;
            r->ident = IDENT_PEER;
            return true;
        }
    struct str domain = host.n ? host : policy_text(p, p->domains[0]);
    r->known = directory_find(x->c->env.directory, user, domain);
    if (!r->known)
        return false;
    struct str aor = directory_aor(x->c->env.directory, r->known);
    r->ident = IDENT_USER;
    r->user_n = (uint16_t)MIN(aor.n, sizeof r->user);
    memcpy(r->user, aor.p, r->user_n);
    for (uint8_t i = 0; i < p->n_roles; i++)
        if (str_eq(policy_text(p, p->roles[i].name), str_c(r->known->role_name)))
            r->role = i;
    r->zone = zone_of(x->c, aor, at, &r->device_id);
    return true;
}

static void gates_ask(struct asked *x)
{
    static const struct {
        enum gate_id id;
        gate_fn *run;
    } asked[] = {{GATE_EMERGENCY, gate_emergency},
                 {GATE_RIGHT, gate_right},
                 {GATE_FRAUD, gate_fraud},
                 {GATE_ROUTE, gate_route}};
    struct gate_env env = x->c->env;
    env.guard = NULL;
    env.fraud = NULL;
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        x->v = asked[i].run(&env, &x->r, NULL);
        x->v.gate = asked[i].id;
        x->r.trace.gate[asked[i].id].verdict = x->v.kind;
        x->r.trace.gate[asked[i].id].reason = (uint16_t)x->v.reason;
        if (x->v.kind != VERDICT_PASS)
            return;
    }
}

/* --- telling --- */

static const char *verdict_word(uint8_t kind)
{
    return kind == VERDICT_PASS ? "pass" : kind == VERDICT_STEP_UP ? "step-up" : "refuse";
}

static void gates_put(const struct asked *x, struct out *o)
{
    static const enum gate_id order[] = {GATE_EMERGENCY, GATE_RIGHT, GATE_FRAUD, GATE_ROUTE};
    out_json_key(o, STR("gates"));
    out_ch(o, '[');
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        enum reason why = (enum reason)x->r.trace.gate[order[i]].reason;
        if (i)
            out_ch(o, ',');
        out_ch(o, '{');
        out_json_kstr(o, STR("gate"), str_c(gate_name(order[i])));
        out_json_kstr(o, STR("verdict"), str_c(verdict_word(x->r.trace.gate[order[i]].verdict)));
        if (why != REASON_NONE) {
            out_json_kstr(o, STR("reason"), reason_info(why)->name);
            out_json_kstr(o, STR("text"), reason_info(why)->text);
        }
        out_ch(o, '}');
        if (order[i] == x->v.gate && x->v.kind != VERDICT_PASS)
            break;
    }
    out_ch(o, ']');
}

static void route_put(const struct asked *x, struct out *o)
{
    static const char *const to[] = {"users", "peers", "refuse"};
    const struct policy *p = x->c->policy;
    const struct policy_route *t = x->r.route;
    char leaves[128];
    struct out l = out_of(leaves, sizeof leaves);
    if (!t)
        return;
    out_json_key(o, STR("route"));
    out_ch(o, '{');
    out_json_kstr(o, STR("name"), policy_text(p, t->name));
    out_json_kstr(o, STR("to"), str_c(to[t->to % ARRAY_LEN(to)]));
    if (t->to == ROUTE_PEERS) {
        out_json_key(o, STR("peers"));
        out_ch(o, '[');
        for (unsigned i = 0; i < t->n_peers; i++) {
            if (i)
                out_ch(o, ',');
            out_json_str(o, policy_text(p, p->peers[t->peers[i]].name));
        }
        out_ch(o, ']');
        out_put(&l, policy_text(p, t->prefix));
        out_put(&l, str_skip(x->dialled, t->strip));
        out_json_kstr(o, STR("leaves_as"), out_str(&l));
    }
    if (t->when != WHEN_ALWAYS) {
        out_json_kstr(o, STR("site"), policy_text(p, p->sites[t->when_site].name));
        out_json_kstr(o, STR("when"), t->when == WHEN_OPEN ? STR("open") : STR("closed"));
    }
    out_ch(o, '}');
}

/* Rules for that number before the one that holds, and what keeps them from it. */
static void passed_over_put(const struct asked *x, struct out *o)
{
    const struct policy *p = x->c->policy;
    const struct request *r = &x->r;
    const struct policy_caller by = {r->zone, r->peer, r->role, r->emergency, r->now.wall};
    unsigned n = 0;
    out_json_key(o, STR("passed_over"));
    out_ch(o, '[');
    for (unsigned i = 0; i < p->n_routes && &p->routes[i] != r->route && n < PASSED_OVER; i++) {
        const struct policy_route *t = &p->routes[i];
        enum route_fit fit = policy_route_fit(p, t, &by, x->dialled);
        if (fit != ROUTE_NOT_CALLER && fit != ROUTE_NOT_NOW)
            continue;
        if (n++)
            out_ch(o, ',');
        out_ch(o, '{');
        out_json_kstr(o, STR("name"), policy_text(p, t->name));
        out_json_kstr(o, STR("why"), fit == ROUTE_NOT_NOW ? STR("when") : STR("from"));
        if (fit == ROUTE_NOT_NOW) {
            out_json_kstr(o, STR("site"), policy_text(p, p->sites[t->when_site].name));
            out_json_kstr(o, STR("wants"), t->when == WHEN_OPEN ? STR("open") : STR("closed"));
        }
        out_ch(o, '}');
    }
    out_ch(o, ']');
}

/* Who has a word in it before it leaves. */
static void consult_put(const struct asked *x, struct out *o)
{
    const struct policy *p = x->c->policy;
    const struct policy_consult *c = &p->consult;
    if (!c->on || x->r.emergency || !x->r.route || !called_trunk(p, x->r.route))
        return;
    out_json_key(o, STR("asks"));
    out_ch(o, '{');
    if (c->peer == POLICY_NONE)
        out_json_kstr(o, STR("url"), policy_text(p, c->url));
    else
        out_json_kstr(o, STR("peer"), policy_text(p, p->peers[c->peer].name));
    out_json_kstr(o, STR("fails"), c->fails_open ? STR("pass") : STR("refuse"));
    out_ch(o, '}');
}

static void number_put(const struct asked *x, struct out *o)
{
    const struct number *n = &x->r.number_to;
    char country[2] = {(char)(n->country >> 8), (char)n->country};
    out_json_kstr(o, STR("class"), number_class_name((enum number_class)n->kind));
    if (n->n)
        out_json_kstr(o, STR("number"), str_of(n->e164, n->n));
    if (n->country)
        out_json_kstr(o, STR("country"), str_of(country, sizeof country));
    out_json_kstr(o, STR("numbers_by"), number_source());
}

/* Where the role asks for a word before the first call to a country: was it given? */
static void abroad_put(const struct asked *x, struct out *o)
{
    const struct policy *p = x->c->policy;
    const struct request *r = &x->r;
    char text[2];
    if (r->ident != IDENT_USER || r->emergency || r->role >= p->n_roles || !r->route ||
        r->route->to != ROUTE_PEERS || !p->roles[r->role].rights.step_up_country)
        return;
    uint16_t code = rights_abroad(r->site, &r->number_to);
    if (!code)
        return;
    text[0] = (char)(code >> 8);
    text[1] = (char)(code & 0xff);
    out_json_key(o, STR("abroad"));
    out_ch(o, '{');
    out_json_kstr(o, STR("country"), str_of(text, sizeof text));
    out_json_kbool(o, STR("allowed"), directory_country(x->c->env.directory, r->known, code));
    out_ch(o, '}');
}

static void price_put(const struct asked *x, struct out *o)
{
    const struct policy *p = x->c->policy;
    const struct policy_route *t = x->r.route;
    if (!t || t->to != ROUTE_PEERS || !t->n_peers)
        return;
    uint8_t peer = t->peers[0];
    bool paid = money_outside(p, peer, x->r.number_to.kind) && !x->r.emergency;
    struct rate r = money_rate(&x->c->env, peer, &x->r.number_to, x->r.now.wall);
    out_json_key(o, STR("price"));
    out_ch(o, '{');
    out_json_kbool(o, STR("paid"), paid);
    if (paid) {
        out_json_kstr(o, STR("currency"), policy_text(p, p->currency));
        out_json_ki64(o, STR("setup_micro"), r.setup_micro);
        out_json_ki64(o, STR("minute_micro"), r.minute_micro);
        out_json_ku64(o, STR("minimum_s"), r.minimum_s);
        out_json_ku64(o, STR("increment_s"), r.increment_s);
        out_json_kbool(o, STR("by_class"), r.builtin);
        if (!r.builtin && r.deck && r.deck <= p->n_decks) {
            out_json_kstr(o, STR("deck"), policy_text(p, p->decks[r.deck - 1]));
            out_json_ku64(o, STR("line"), r.line);
        }
    }
    out_ch(o, '}');
}

static void caps_put(const struct asked *x, const struct payer *who, struct out *o)
{
    const struct core *c = x->c;
    const struct caps *k = money_caps(c->policy, who, LEDGER_IDENTITY, x->r.number_to.kind, 0);
    struct ledger_sum s = {0};
    if (!k)
        return;
    if (c->env.ledger)
        s = ledger_sum(c->env.ledger, LEDGER_IDENTITY,
                       ledger_key_of(&c->env.ledger_key, LEDGER_IDENTITY, who->who), x->r.now.wall);
    out_json_key(o, STR("caps"));
    out_ch(o, '{');
    out_json_kbool(o, STR("off_hours"), who->off_hours);
    out_json_ku64(o, STR("calls"), k->calls);
    out_json_ku64(o, STR("calls_now"), s.calls);
    out_json_ku64(o, STR("longest_s"), k->call_s);
    out_json_ki64(o, STR("call_micro"), k->call_micro);
    out_json_ki64(o, STR("hour_micro"), k->micro[SPAN_HOUR]);
    out_json_ki64(o, STR("hour_used_micro"), s.micro[SPAN_HOUR]);
    out_json_ki64(o, STR("day_micro"), k->micro[SPAN_DAY]);
    out_json_ki64(o, STR("day_used_micro"), s.micro[SPAN_DAY]);
    out_json_ki64(o, STR("month_micro"), k->micro[SPAN_MONTH]);
    out_json_ki64(o, STR("month_used_micro"), s.micro[SPAN_MONTH]);
    out_ch(o, '}');
}

/* What made the last gate say so: section, entry and key of the configuration, or a state that
 * somebody can end by a command. */
struct decision {
    const char *section;
    struct str entry, key;
    const char *state, *remedy;
};

static struct decision by_route(const struct asked *x)
{
    const struct policy_route *t = x->r.route;
    struct decision d = {.section = "routes"};
    if (t) {
        d.entry = policy_text(x->c->policy, t->name);
        d.key = t->when != WHEN_ALWAYS ? STR("when") : STR("pattern");
    }
    return d;
}

static struct decision by_role(const struct asked *x, const char *key)
{
    const struct policy *p = x->c->policy;
    if (x->r.role >= p->n_roles)
        return by_route(x);
    return (struct decision){"roles", policy_text(p, p->roles[x->r.role].name), str_c(key), NULL,
                             NULL};
}

static struct decision by_trunk(const struct asked *x)
{
    const struct policy *p = x->c->policy;
    for (uint8_t i = 0; i < p->n_peers; i++) {
        struct str name = policy_text(p, p->peers[i].name);
        if (ledger_key_of(&x->c->env.ledger_key, LEDGER_TRUNK, name) == x->r.cap.key)
            return (struct decision){"peers", name, STR("caps"), NULL, NULL};
    }
    return by_route(x);
}

static struct decision by_place(const struct asked *x, struct out *text)
{
    const struct number *n = &x->r.number_to;
    const struct policy_place *place = money_place(x->c->policy, str_of(n->e164, n->n));
    if (x->r.cap.kind == LEDGER_COUNTRY) {
        out_ch(text, (char)(n->country >> 8));
        out_ch(text, (char)n->country);
    } else if (place) {
        out_ch(text, '+');
        out_put(text, str_of(place->prefix, place->prefix_n));
    }
    return (struct decision){"rates", STR("places"), out_str(text), NULL, NULL};
}

/* Where the cap stands that is reached. */
static struct decision by_cap(const struct asked *x, const struct payer *who, struct out *text)
{
    struct str class = number_class_name((enum number_class)x->r.number_to.kind);
    switch ((enum ledger_kind)x->r.cap.kind) {
    case LEDGER_IDENTITY:
        return by_role(x, who->off_hours ? "off_caps" : "caps");
    case LEDGER_DEVICE:
        return by_role(x, "device");
    case LEDGER_ROLE:
        return by_role(x, "whole");
    case LEDGER_CLASS:
        return (struct decision){"rates", STR("class_caps"), class, NULL, NULL};
    case LEDGER_COUNTRY:
    case LEDGER_PREFIX:
        return by_place(x, text);
    case LEDGER_TRUNK:
        return by_trunk(x);
    case LEDGER_SYSTEM:
        return (struct decision){"rates", STR_NONE, STR("caps"), NULL, NULL};
    case LEDGER_KINDS:
        break;
    }
    return by_route(x);
}

static struct decision decision_of(const struct asked *x, const struct payer *who, struct out *text)
{
    const struct request *r = &x->r;
    switch ((unsigned)x->v.reason) {
    case REASON_NONE:
        return r->ident == IDENT_USER && r->route && r->route->to == ROUTE_PEERS && !r->emergency
                   ? by_role(x, "dial")
                   : by_route(x);
    case REASON_right_denied:
        return by_role(x, "outbound");
    case REASON_right_class:
        return by_role(x, "dial");
    case REASON_right_country:
        return by_role(x, "countries");
    case REASON_right_step_up:
    case REASON_right_country_first:
        return by_role(x, "step_up");
    case REASON_right_hours:
        return by_role(x, "off_hours");
    case REASON_fraud_calls:
    case REASON_fraud_attempts:
    case REASON_fraud_minutes:
    case REASON_fraud_money:
    case REASON_fraud_call_money:
        return by_cap(x, who, text);
    case REASON_fraud_locked:
        return (struct decision){.state = "lock", .remedy = "ringwall fraud release"};
    case REASON_fraud_unknown:
        return (struct decision){.state = "ledger", .remedy = "ringwall fraud accept"};
    default:
        return by_route(x);
    }
}

static void decides_put(const struct asked *x, const struct payer *who, struct out *o)
{
    char mem[NUMBER_MAX + 2];
    struct out text = out_of(mem, sizeof mem);
    struct decision d = decision_of(x, who, &text);
    out_json_key(o, STR("decides"));
    out_ch(o, '{');
    if (d.state) {
        out_json_kstr(o, STR("state"), str_c(d.state));
        out_json_kstr(o, STR("remedy"), str_c(d.remedy));
    } else {
        out_json_kstr(o, STR("section"), str_c(d.section));
    }
    if (d.entry.n)
        out_json_kstr(o, STR("entry"), d.entry);
    if (d.key.n)
        out_json_kstr(o, STR("key"), d.key);
    out_ch(o, '}');
}

static void told(struct asked *x, struct out *o)
{
    const struct policy *p = x->c->policy;
    struct request *r = &x->r;
    bool user = r->ident == IDENT_USER;
    struct str who = user ? str_of(r->user, r->user_n) : policy_text(p, p->peers[r->peer].name);
    struct payer pays = money_payer(&x->c->env, who, r->now.wall);
    out_ch(o, '{');
    out_json_kstr(o, STR("as"), who);
    out_json_kstr(o, STR("to"), x->dialled);
    out_json_ki64(o, STR("at_us"), r->now.wall.us);
    if (user)
        out_json_kstr(o, STR("role"),
                      r->role < p->n_roles ? policy_text(p, p->roles[r->role].name) : STR(""));
    if (p->n_sites && r->site) {
        out_json_kstr(o, STR("site"), policy_text(p, r->site->name));
        out_json_kbool(o, STR("open"), rights_open(r->site, r->now.wall));
    }
    if (r->zone != POLICY_NONE)
        out_json_kstr(o, STR("zone"), policy_text(p, p->zones[r->zone].name));
    out_json_kbool(o, STR("emergency"), r->emergency);
    number_put(x, o);
    abroad_put(x, o);
    out_json_kstr(o, STR("verdict"), str_c(verdict_word(x->v.kind)));
    if (x->v.kind != VERDICT_PASS) {
        out_json_kstr(o, STR("reason"), reason_info(x->v.reason)->name);
        out_json_kstr(o, STR("text"), reason_info(x->v.reason)->text);
        if (x->v.kind != VERDICT_STEP_UP)
            out_json_ku64(o, STR("code"), x->v.code);
    }
    gates_put(x, o);
    route_put(x, o);
    passed_over_put(x, o);
    consult_put(x, o);
    price_put(x, o);
    if (user)
        caps_put(x, &pays, o);
    decides_put(x, &pays, o);
    out_ch(o, '}');
}

void core_explain_call(struct core *c, struct str user, struct str dialled, struct wall at,
                       struct out *o)
{
    static const struct flow nowhere;
    struct asked x = {.c = c, .dialled = dialled};
    char text[1024];
    struct out i = out_of(text, sizeof text);
    struct sip_msg m = {0};
    struct sip_error bad;
    struct now now = {c->now.mono, at};
    if (!dialable(dialled)) {
        OUT_LIT(o, "{\"error\":\"to: that cannot be dialled\"}");
        return;
    }
    request_init(&x.r, &m, &nowhere, now);
    if (!caller(&x, user, at)) {
        OUT_LIT(o, "{\"error\":\"as: there is no such user or peer\"}");
        return;
    }
    struct str who = x.r.user_n ? str_of(x.r.user, x.r.user_n) : STR("explain.invalid");
    invite_put(c, who, dialled, &i);
    if (i.full || sip_parse(out_str(&i), true, &m, &bad) != OK) {
        OUT_LIT(o, "{\"error\":\"to: that cannot be dialled\"}");
        return;
    }
    gates_ask(&x);
    told(&x, o);
}
