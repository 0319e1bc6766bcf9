/* Facts as rows and as lines. */
#include "app/store/store.h"
#include "identity/device.h"
#include "sip/flow.h"

void put_trace(struct out *o, const struct trace *t)
{
    bool first = true;
    for (unsigned g = 0; g < GATE_COUNT; g++) {
        enum verdict_kind v = (enum verdict_kind)t->gate[g].verdict;
        if (v == VERDICT_NONE)
            continue;
        if (!first)
            out_ch(o, ' ');
        first = false;
        out_put(o, str_c(gate_name((enum gate_id)g)));
        out_ch(o, '=');
        out_put(o, str_c(verdict_name(v)));
        if (t->gate[g].reason != REASON_NONE && t->gate[g].reason < REASON_COUNT) {
            out_ch(o, ':');
            out_put(o, reason_info((enum reason)t->gate[g].reason)->name);
        }
    }
}

void put_addr(struct out *o, struct str key, const struct addr *a)
{
    if (a->family == ADDR_NONE)
        return;
    out_json_key(o, key);
    out_ch(o, '"');
    addr_put(o, a);
    out_ch(o, '"');
}

/* Keys of the lines that every call makes, ready with comma and colon: half of such a line is keys.
 */
#define KEY(o, lit) OUT_LIT(o, ",\"" lit "\":")

/* key: as KEY makes it. Nothing at all for an empty text. */
static void put_text(struct out *o, struct str key, struct str v)
{
    if (!v.n)
        return;
    out_put(o, key);
    out_json_str(o, v);
}

static void put_reason(struct out *o, const struct fact *f)
{
    if (f->reason == REASON_NONE)
        return;
    const struct reason_info *r = reason_info((enum reason)f->reason);
    out_json_kstr(o, STR("reason"), r->name);
    out_json_kstr(o, STR("severity"), str_c(severity_name(r->severity)));
}

static void put_trace_member(struct out *o, const struct trace *t)
{
    out_json_key(o, STR("trace"));
    out_ch(o, '"');
    put_trace(o, t);
    out_ch(o, '"');
}

static struct str transport(uint8_t proto)
{
    return proto <= PROTO_TLS ? proto_param((enum sip_proto)proto) : STR("");
}

static struct str codec_of(const struct fact_leg *l, unsigned i)
{
    const char *c = l->stream[i].codec;
    return str_of(c, strnlen(c, sizeof l->stream[i].codec));
}

static struct str suite_of(const struct fact_leg *l, unsigned i)
{
    uint8_t s = l->stream[i].suite;
    return s < SUITE_COUNT ? str_c(srtp_suite_name((enum srtp_suite)s)) : STR("unknown");
}

static void put_stream(struct out *o, const struct fact_leg *l, unsigned i)
{
    const struct media_stats *m = &l->stream[i].in;
    OUT_LIT(o, "{\"crypto\":");
    out_json_str(o, suite_of(l, i));
    put_text(o, STR(",\"codec\":"), codec_of(l, i));
    KEY(o, "port");
    out_u64(o, l->stream[i].local_port);
    KEY(o, "packets");
    out_u64(o, m->packets);
    KEY(o, "octets");
    out_u64(o, m->octets);
    KEY(o, "lost");
    out_u64(o, m->lost);
    KEY(o, "discarded");
    out_u64(o, m->discarded);
    KEY(o, "jitter_us");
    out_u64(o, m->jitter_us);
    KEY(o, "max_jitter_us");
    out_u64(o, m->max_jitter_us);
    if (l->stream[i].latched)
        OUT_LIT(o, ",\"latched\":true");
    if (l->stream[i].one_way)
        OUT_LIT(o, ",\"one_way\":true");
    out_ch(o, '}');
}

static void put_leg(struct out *o, const struct fact_leg *l)
{
    OUT_LIT(o, "{\"call_id\":");
    out_json_str(o, TEXT_STR(l->call_id));
    put_addr(o, STR("peer"), &l->peer);
    KEY(o, "transport");
    out_json_str(o, transport(l->proto));
    put_text(o, STR(",\"zone\":"), TEXT_STR(l->zone_name));
    put_text(o, STR(",\"peer_name\":"), TEXT_STR(l->peer_name));
    put_text(o, STR(",\"user_agent\":"), TEXT_STR(l->user_agent));
    OUT_LIT(o, ",\"streams\":[");
    bool first = true;
    for (unsigned i = 0; i < ARRAY_LEN(l->stream); i++) {
        if (!l->stream[i].used)
            continue;
        if (!first)
            out_ch(o, ',');
        first = false;
        put_stream(o, l, i);
    }
    OUT_LIT(o, "]}");
}

static struct str ended_by(const struct fact *f)
{
    switch (f->u.end.ended_by) {
    case 'a':
        return STR("caller");
    case 'b':
        return STR("callee");
    case 'g':
        return STR("gateway");
    default:
        return STR("");
    }
}

static void put_time(struct out *o, struct str key, int64_t us)
{
    if (!us)
        return;
    out_put(o, key);
    out_i64(o, us);
}

struct bill_texts {
    char country[3], source[3], attest[2], device[DEVICE_TEXT];
};

static void country_text(uint16_t c, char ret[3])
{
    ret[0] = (char)(c >> 8);
    ret[1] = (char)(c & 0xff);
    ret[2] = 0;
    if (ret[0] < 'A' || ret[0] > 'Z' || ret[1] < 'A' || ret[1] > 'Z')
        ret[0] = 0;
}

static struct bill_texts bill_texts(const struct fact_bill *b)
{
    struct bill_texts t = {0};
    country_text(b->country, t.country);
    country_text(b->source_country, t.source);
    t.attest[0] = b->attest >= 'A' && b->attest <= 'C' ? (char)b->attest : 0;
    if (b->device)
        (void)snprintf(t.device, sizeof t.device, "%016llx", (unsigned long long)b->device);
    return t;
}

static struct str verstat(const struct fact_bill *b)
{
    return b->verstat ? reason_info((enum reason)b->verstat)->name : STR_NONE;
}

static void put_bill(struct out *o, const struct fact_bill *b)
{
    struct bill_texts t = bill_texts(b);
    if (!b->used)
        return;
    put_text(o, STR(",\"to_e164\":"), TEXT_STR(b->e164));
    put_text(o, STR(",\"class\":"), number_class_name((enum number_class)b->kind));
    put_text(o, STR(",\"country\":"), str_c(t.country));
    put_text(o, STR(",\"role\":"), TEXT_STR(b->role));
    put_text(o, STR(",\"trunk\":"), TEXT_STR(b->trunk));
    put_text(o, STR(",\"shown\":"), TEXT_STR(b->shown));
    put_text(o, STR(",\"device\":"), str_c(t.device));
    if (b->priced) {
        KEY(o, "seconds");
        out_u64(o, b->seconds);
        KEY(o, "price_micro");
        out_i64(o, b->micro);
        put_text(o, STR(",\"currency\":"), str_c(b->currency));
    }
    put_text(o, STR(",\"source_country\":"), str_c(t.source));
    put_text(o, STR(",\"attest\":"), str_c(t.attest));
    put_text(o, STR(",\"verstat\":"), verstat(b));
}

/* Gives the number of the CDR: that of the line, where it stands in the log already. */
static int64_t session_line(struct store *s, const struct fact *f, bool aborted)
{
    struct out *o = chainlog_begin(&s->cdrs);
    KEY(o, "id");
    out_i64(o, s->db.next_session);
    KEY(o, "engine");
    out_u64(o, f->engine);
    KEY(o, "session");
    out_u64(o, f->u.end.session);
    put_text(o, STR(",\"from\":"), TEXT_STR(f->u.end.from));
    put_text(o, STR(",\"to\":"), TEXT_STR(f->u.end.to));
    put_text(o, STR(",\"user\":"), TEXT_STR(f->u.end.user));
    if (f->u.end.transferred_by.n)
        put_text(o, STR(",\"transferred_by\":"), TEXT_STR(f->u.end.transferred_by));
    if (f->u.end.other_session) {
        OUT_LIT(o, ",\"other_session\":");
        out_u64(o, f->u.end.other_session);
    }
    put_text(o, STR(",\"route\":"), TEXT_STR(f->u.end.route));
    put_time(o, STR(",\"start_us\":"), f->u.end.start_us);
    put_time(o, STR(",\"ring_us\":"), f->u.end.ring_us);
    put_time(o, STR(",\"answer_us\":"), f->u.end.answer_us);
    put_time(o, STR(",\"end_us\":"), f->u.end.end_us);
    if (f->code) {
        KEY(o, "code");
        out_u64(o, f->code);
    }
    put_reason(o, f);
    if (f->u.end.q850) {
        KEY(o, "q850");
        out_u64(o, f->u.end.q850);
    }
    put_text(o, STR(",\"ended_by\":"), ended_by(f));
    if (aborted)
        OUT_LIT(o, ",\"aborted\":true");
    put_bill(o, &f->u.end.bill);
    put_trace_member(o, &f->u.end.trace);
    OUT_LIT(o, ",\"legs\":[");
    for (unsigned i = 0; i < f->u.end.n_legs; i++) {
        if (i)
            out_ch(o, ',');
        put_leg(o, &f->u.end.leg[i]);
    }
    out_ch(o, ']');
    chainlog_end(&s->cdrs, s->dir);
    return s->cdrs.id_again ? s->cdrs.id_again : s->db.next_session++;
}

static void leg_row(struct store *s, const struct fact_leg *l, int64_t id)
{
    struct db *d = &s->db;
    char peer[ADDR_TEXT_MAX], stream2[512];
    struct out o = out_of(peer, sizeof peer), o2 = out_of(stream2, sizeof stream2);
    const struct media_stats *m = &l->stream[0].in;
    if (l->peer.family)
        addr_put(&o, &l->peer);
    if (l->stream[1].used)
        put_stream(&o2, l, 1);
    db_int(d, DB_LEG, 1, id);
    db_text(d, DB_LEG, 2, TEXT_STR(l->call_id));
    db_int(d, DB_LEG, 3, call_hash(TEXT_STR(l->call_id)));
    db_text(d, DB_LEG, 4, out_str(&o));
    db_text(d, DB_LEG, 5, transport(l->proto));
    db_text(d, DB_LEG, 6, TEXT_STR(l->zone_name));
    db_text(d, DB_LEG, 7, TEXT_STR(l->peer_name));
    db_text(d, DB_LEG, 8, TEXT_STR(l->user_agent));
    db_text(d, DB_LEG, 9, l->stream[0].used ? suite_of(l, 0) : STR_NONE);
    db_text(d, DB_LEG, 10, l->stream[0].used ? codec_of(l, 0) : STR_NONE);
    const int64_t n[] = {l->stream[0].local_port, (int64_t)m->packets,   (int64_t)m->octets,
                         (int64_t)m->lost,        (int64_t)m->discarded, m->jitter_us,
                         m->max_jitter_us,        l->stream[0].one_way,  l->stream[0].latched};
    for (unsigned i = 0; i < ARRAY_LEN(n); i++)
        db_int(d, DB_LEG, 11 + (int)i, n[i]);
    db_text(d, DB_LEG, 20, out_str(&o2));
    (void)db_run(s, DB_LEG);
}

static void bill_row(struct store *s, const struct fact_bill *b, int64_t id)
{
    struct db *d = &s->db;
    struct bill_texts t = bill_texts(b);
    const struct str v[] = {TEXT_STR(b->e164),  number_class_name((enum number_class)b->kind),
                            str_c(t.country),   TEXT_STR(b->role),
                            TEXT_STR(b->trunk), TEXT_STR(b->shown),
                            str_c(t.device)};
    db_int(d, DB_BILL, 1, id);
    for (unsigned i = 0; i < ARRAY_LEN(v); i++)
        db_text(d, DB_BILL, 2 + (int)i, v[i]);
    if (b->priced) {
        db_int(d, DB_BILL, 9, b->micro);
        db_int(d, DB_BILL, 10, b->seconds);
    } else { /* not what the record before had */
        db_text(d, DB_BILL, 9, STR_NONE);
        db_text(d, DB_BILL, 10, STR_NONE);
    }
    db_text(d, DB_BILL, 11, str_c(b->currency));
    db_text(d, DB_BILL, 12, str_c(t.source));
    db_text(d, DB_BILL, 13, str_c(t.attest));
    db_text(d, DB_BILL, 14, verstat(b));
    (void)db_run(s, DB_BILL);
}

static void session_row(struct store *s, const struct fact *f, int64_t id, bool aborted)
{
    struct db *d = &s->db;
    char trace[512];
    struct out o = out_of(trace, sizeof trace);
    put_trace(&o, &f->u.end.trace);
    const int64_t n[] = {id,
                         (int64_t)f->u.end.session,
                         f->engine,
                         f->u.end.start_us,
                         f->u.end.ring_us,
                         f->u.end.answer_us,
                         f->u.end.end_us};
    for (unsigned i = 0; i < ARRAY_LEN(n); i++)
        db_int(d, DB_SESSION, 1 + (int)i, n[i]);
    db_text(d, DB_SESSION, 8, TEXT_STR(f->u.end.from));
    db_text(d, DB_SESSION, 9, TEXT_STR(f->u.end.to));
    db_text(d, DB_SESSION, 10, TEXT_STR(f->u.end.user));
    db_text(d, DB_SESSION, 11, TEXT_STR(f->u.end.route));
    db_int(d, DB_SESSION, 12, f->code);
    db_text(d, DB_SESSION, 13, f->reason ? reason_info((enum reason)f->reason)->name : STR_NONE);
    db_int(d, DB_SESSION, 14, f->u.end.q850);
    db_text(d, DB_SESSION, 15, ended_by(f));
    db_int(d, DB_SESSION, 16, aborted);
    db_text(d, DB_SESSION, 17, out_str(&o));
    if (!db_run(s, DB_SESSION))
        return;
    if (f->u.end.transferred_by.n || f->u.end.other_session) {
        db_int(d, DB_TRANSFER, 1, id);
        db_text(d, DB_TRANSFER, 2, TEXT_STR(f->u.end.transferred_by));
        db_int(d, DB_TRANSFER, 3, (int64_t)f->u.end.other_session);
        (void)db_run(s, DB_TRANSFER);
    }
    if (f->u.end.bill.used)
        bill_row(s, &f->u.end.bill, id);
    for (unsigned i = 0; i < f->u.end.n_legs; i++)
        leg_row(s, &f->u.end.leg[i], id * 2 + i);
}

void write_session(struct store *s, const struct fact *f, bool aborted)
{
    int64_t id = session_line(s, f, aborted);
    if (db_begin(s))
        session_row(s, f, id, aborted);
    s->n.sessions++;
}

void sessions_trim(struct store *s)
{
    if (!s->cdr_keep_s || !db_begin(s))
        return;
    for (int st = DB_LEGS_OLD; st <= DB_SESSIONS_OLD; st++) {
        db_int(&s->db, (enum db_stmt)st, 1, s->now.wall.us - (int64_t)s->cdr_keep_s * 1000000);
        (void)db_run(s, (enum db_stmt)st);
    }
}

void write_verdict(struct store *s, const struct fact *f)
{
    struct db *d = &s->db;
    char source[ADDR_TEXT_MAX], trace[512];
    struct out o = out_of(source, sizeof source), t = out_of(trace, sizeof trace);
    if (!db_begin(s))
        return;
    addr_put(&o, &f->u.verdict.source);
    put_trace(&t, &f->u.verdict.trace);
    db_int(d, DB_VERDICT, 1, d->next_verdict++);
    db_int(d, DB_VERDICT, 2, f->wall_us);
    db_int(d, DB_VERDICT, 3, f->engine);
    db_text(d, DB_VERDICT, 4, TEXT_STR(f->u.verdict.call_id));
    db_int(d, DB_VERDICT, 5, call_hash(TEXT_STR(f->u.verdict.call_id)));
    db_text(d, DB_VERDICT, 6, TEXT_STR(f->u.verdict.method));
    db_text(d, DB_VERDICT, 7, TEXT_STR(f->u.verdict.from));
    db_text(d, DB_VERDICT, 8, TEXT_STR(f->u.verdict.to));
    db_text(d, DB_VERDICT, 9, TEXT_STR(f->u.verdict.user));
    db_text(d, DB_VERDICT, 10, out_str(&o));
    db_text(d, DB_VERDICT, 11, transport(f->u.verdict.proto));
    db_int(d, DB_VERDICT, 12, f->code);
    db_text(d, DB_VERDICT, 13, f->reason ? reason_info((enum reason)f->reason)->name : STR_NONE);
    db_text(d, DB_VERDICT, 14, out_str(&t));
    (void)db_run(s, DB_VERDICT);
    s->n.verdicts++;
}

static struct str event_name(const struct fact *f)
{
    static const char *const NAMES[FACT_KIND_COUNT] = {[FACT_VERDICT] = "request-refused",
                                                       [FACT_REGISTERED] = "registered",
                                                       [FACT_UNREGISTERED] = "unregistered",
                                                       [FACT_EXPIRED] = "expired",
                                                       [FACT_CALL_START] = "call-started",
                                                       [FACT_CALL_END] = "call-ended",
                                                       [FACT_PEER_STATE] = "peer-state",
                                                       [FACT_REFUSED] = "refused",
                                                       [FACT_PROCESS] = "process",
                                                       [FACT_UPSTREAM] = "upstream",
                                                       [FACT_TRANSFER] = "transfer",
                                                       [FACT_ALERT] = "alert",
                                                       [FACT_BAN] = "ban",
                                                       [FACT_EVIDENCE] = "evidence",
                                                       [FACT_MONEY] = "money",
                                                       [FACT_ADMIN] = "admin-act"};
    return str_c(NAMES[f->kind]);
}

static void put_verdict(struct out *o, const struct fact *f)
{
    put_text(o, STR(",\"method\":"), TEXT_STR(f->u.verdict.method));
    put_text(o, STR(",\"call_id\":"), TEXT_STR(f->u.verdict.call_id));
    put_text(o, STR(",\"from\":"), TEXT_STR(f->u.verdict.from));
    put_text(o, STR(",\"to\":"), TEXT_STR(f->u.verdict.to));
    put_text(o, STR(",\"user\":"), TEXT_STR(f->u.verdict.user));
    put_addr(o, STR("source"), &f->u.verdict.source);
    out_json_kstr(o, STR("transport"), transport(f->u.verdict.proto));
    put_trace_member(o, &f->u.verdict.trace);
}

static void put_process(struct out *o, const struct fact *f)
{
    put_text(o, STR(",\"program\":"), TEXT_STR(f->u.process.program));
    out_json_ki64(o, STR("pid"), f->u.process.pid);
    out_json_ki64(o, STR("status"), f->u.process.status);
    put_text(o, STR(",\"what\":"), TEXT_STR(f->u.process.what));
}

static void put_transfer(struct out *o, const struct fact *f)
{
    put_text(o, STR(",\"kind\":"), TEXT_STR(f->u.transfer.kind));
    put_text(o, STR(",\"by\":"), TEXT_STR(f->u.transfer.by));
    put_text(o, STR(",\"who\":"), TEXT_STR(f->u.transfer.who));
    put_text(o, STR(",\"to\":"), TEXT_STR(f->u.transfer.to));
    out_json_ku64(o, STR("session"), f->u.transfer.session);
    if (f->u.transfer.to_session)
        out_json_ku64(o, STR("to_session"), f->u.transfer.to_session);
}

/* What a cap is of, and in what it is counted. */
static void put_cap(struct out *o, const struct fact *f)
{
    static const char *const KINDS[LEDGER_KINDS] = {"identity", "device", "role",  "class",
                                                    "country",  "prefix", "trunk", "system"};
    if (f->u.money.cap_kind >= LEDGER_KINDS)
        return;
    out_json_kstr(o, STR("cap_of"), str_c(KINDS[f->u.money.cap_kind]));
    out_json_ki64(o, STR("used"), f->u.money.used);
    out_json_ki64(o, STR("cap"), f->u.money.cap);
}

static void put_signs(struct out *o, const struct fact *f)
{
    out_json_ku64(o, STR("score"), f->u.money.score);
    out_json_key(o, STR("signs"));
    out_ch(o, '[');
    for (unsigned i = 0, n = 0; i < SIGN_COUNT; i++) {
        if (!(f->u.money.signs >> i & 1))
            continue;
        if (n++)
            out_ch(o, ',');
        out_json_str(o, fraud_sign_name((enum fraud_sign)i));
    }
    out_ch(o, ']');
    out_json_kstr(o, STR("would"), fraud_act_name((enum fraud_act)f->u.money.fraud_act));
    out_json_kbool(o, STR("dry_run"), f->u.money.dry);
}

static void put_money(struct out *o, const struct fact *f)
{
    static const char *const ACTS[] = {"refused", "cut", "warned", "locked", "noted"};
    char country[2] = {(char)(f->u.money.country >> 8), (char)f->u.money.country};
    out_json_kstr(o, STR("act"), str_c(ACTS[f->u.money.act]));
    put_text(o, STR(",\"who\":"), TEXT_STR(f->u.money.who));
    put_text(o, STR(",\"to\":"), TEXT_STR(f->u.money.to));
    put_text(o, STR(",\"trunk\":"), TEXT_STR(f->u.money.trunk));
    out_json_kstr(o, STR("class"), number_class_name((enum number_class)f->u.money.number_class));
    if (f->u.money.country)
        put_text(o, STR(",\"country\":"), str_of(country, sizeof country));
    if (f->u.money.session)
        out_json_ku64(o, STR("session"), f->u.money.session);
    put_cap(o, f);
    if (f->u.money.signs)
        put_signs(o, f);
}

/* Who did what by the control socket, why, and what that changed. Never a secret: the monitor names
 * the members of a request that are told. */
static void put_admin(struct out *o, const struct fact *f)
{
    static const char *const OUTCOMES[] = {"done",        "bad request", "not found", "refused",
                                           "unavailable", "failed",      "forbidden", "waits"};
    uint8_t x = f->u.admin.outcome;
    put_text(o, STR(",\"who\":"), TEXT_STR(f->u.admin.who));
    if (f->u.admin.uid != UINT32_MAX)
        out_json_ku64(o, STR("uid"), f->u.admin.uid);
    put_text(o, STR(",\"role\":"), TEXT_STR(f->u.admin.role));
    put_text(o, STR(",\"from\":"), TEXT_STR(f->u.admin.from));
    put_text(o, STR(",\"act\":"), TEXT_STR(f->u.admin.act));
    put_text(o, STR(",\"what\":"), TEXT_STR(f->u.admin.what));
    put_text(o, STR(",\"why\":"), TEXT_STR(f->u.admin.why));
    put_text(o, STR(",\"approval\":"), TEXT_STR(f->u.admin.pending));
    put_text(o, STR(",\"before\":"), TEXT_STR(f->u.admin.before));
    put_text(o, STR(",\"after\":"), TEXT_STR(f->u.admin.after));
    out_json_kstr(o, STR("outcome"), str_c(x < ARRAY_LEN(OUTCOMES) ? OUTCOMES[x] : "failed"));
}

static void put_reg(struct out *o, const struct fact *f)
{
    put_text(o, STR(",\"aor\":"), TEXT_STR(f->u.reg.aor));
    put_text(o, STR(",\"contact\":"), TEXT_STR(f->u.reg.contact));
    put_addr(o, STR("source"), &f->u.reg.source);
    out_json_kstr(o, STR("transport"), transport(f->u.reg.proto));
    put_time(o, STR(",\"expires_us\":"), f->u.reg.expires_us);
}

static void put_upstream(struct out *o, const struct fact *f)
{
    put_text(o, STR(",\"peer\":"), TEXT_STR(f->u.upstream.peer));
    put_text(o, STR(",\"aor\":"), TEXT_STR(f->u.upstream.aor));
    put_addr(o, STR("target"), &f->u.upstream.target);
    put_time(o, STR(",\"expires_us\":"), f->u.upstream.expires_us);
}

static void put_members(struct out *o, const struct fact *f)
{
    switch ((enum fact_kind)f->kind) {
    case FACT_VERDICT:
        put_verdict(o, f);
        break;
    case FACT_REGISTERED:
    case FACT_UNREGISTERED:
    case FACT_EXPIRED:
        put_reg(o, f);
        break;
    case FACT_PEER_STATE:
        put_text(o, STR(",\"peer\":"), TEXT_STR(f->u.peer.peer));
        put_addr(o, STR("target"), &f->u.peer.target);
        out_json_kbool(o, STR("up"), f->u.peer.up);
        break;
    case FACT_REFUSED:
        put_addr(o, STR("source"), &f->u.refused.source);
        out_json_ku64(o, STR("times"), f->u.refused.n);
        put_text(o, STR(",\"what\":"), TEXT_STR(f->u.refused.what));
        break;
    case FACT_PROCESS:
        put_process(o, f);
        break;
    case FACT_UPSTREAM:
        put_upstream(o, f);
        break;
    case FACT_TRANSFER:
        put_transfer(o, f);
        break;
    case FACT_ALERT:
        alert_members(o, f);
        break;
    case FACT_BAN:
        ban_members(o, f);
        break;
    case FACT_EVIDENCE:
        evidence_members(o, f);
        break;
    case FACT_MONEY:
        put_money(o, f);
        break;
    case FACT_ADMIN:
        put_admin(o, f);
        break;
    case FACT_CALL_START:
    case FACT_CALL_END: /* their line is the CDR */
    case FACT_KIND_COUNT:
        break;
    }
}

void write_event(struct store *s, const struct fact *f)
{
    struct out *o = chainlog_begin(&s->events);
    out_json_ki64(o, STR("time_us"), f->wall_us);
    out_json_kstr(o, STR("event"), event_name(f));
    if (f->engine != UINT8_MAX) /* the monitor's own */
        out_json_ku64(o, STR("engine"), f->engine);
    out_json_ku64(o, STR("fact"), f->seq);
    if (f->code)
        out_json_ku64(o, STR("code"), f->code);
    put_reason(o, f);
    put_members(o, f);
    chainlog_end(&s->events, s->dir);
}
