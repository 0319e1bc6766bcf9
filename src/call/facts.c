#include "call/facts.h"

const char *gate_name(enum gate_id g)
{
    static const char *const names[GATE_COUNT] = {"source",    "rate",     "sanity", "signature",
                                                  "emergency", "identity", "right",  "fraud",
                                                  "capacity",  "route"};
    return g < GATE_COUNT ? names[g] : "none";
}

const char *verdict_name(enum verdict_kind v)
{
    static const char *const names[] = {"not reached", "pass", "challenge",
                                        "refuse",      "drop", "step up"};
    return v < ARRAY_LEN(names) ? names[v] : "waiting";
}

void text_set(void *text, size_t bytes, struct str s)
{
    uint8_t *t = text;
    size_t n = MIN(s.n, MIN(bytes - 1, (size_t)255));
    t[0] = (uint8_t)n;
    for (size_t i = 0; i < n; i++)
        t[1 + i] = (uint8_t)s.p[i] < 0x20 || s.p[i] == 0x7f ? '?' : (uint8_t)s.p[i];
}

size_t fact_size(enum fact_kind k)
{
#define SIZE(member) (offsetof(struct fact, u) + sizeof(((struct fact *)0)->u.member))
    switch (k) {
    case FACT_VERDICT:
        return SIZE(verdict);
    case FACT_REGISTERED:
    case FACT_UNREGISTERED:
    case FACT_EXPIRED:
        return SIZE(reg);
    case FACT_CALL_START:
        return SIZE(start);
    case FACT_CALL_END:
        return SIZE(end);
    case FACT_PEER_STATE:
        return SIZE(peer);
    case FACT_REFUSED:
        return SIZE(refused);
    case FACT_PROCESS:
        return SIZE(process);
    case FACT_UPSTREAM:
        return SIZE(upstream);
    case FACT_TRANSFER:
        return SIZE(transfer);
    case FACT_ALERT:
        return SIZE(alert);
    case FACT_BAN:
        return SIZE(ban);
    case FACT_EVIDENCE:
        return SIZE(evidence);
    case FACT_MONEY:
        return SIZE(money);
    case FACT_ADMIN:
        return SIZE(admin);
    case FACT_KIND_COUNT:
        break;
    }
    return 0;
#undef SIZE
}

/* A length byte beyond its text would let a reader run past it. */
#define TEXT_BAD(t) ((t).n > sizeof((t).p))

static bool leg_bad(const struct fact_leg *l)
{
    return TEXT_BAD(l->call_id) || TEXT_BAD(l->zone_name) || TEXT_BAD(l->peer_name) ||
           TEXT_BAD(l->user_agent);
}

static bool bill_bad(const struct fact_bill *b)
{
    return TEXT_BAD(b->e164) || TEXT_BAD(b->role) || TEXT_BAD(b->trunk) || TEXT_BAD(b->shown) ||
           b->kind >= CLASS_COUNT || b->verstat >= REASON_COUNT ||
           !memchr(b->currency, 0, sizeof b->currency);
}

static bool admin_bad(const struct fact *f)
{
    return TEXT_BAD(f->u.admin.who) || TEXT_BAD(f->u.admin.role) || TEXT_BAD(f->u.admin.act) ||
           TEXT_BAD(f->u.admin.pending) || TEXT_BAD(f->u.admin.from) || TEXT_BAD(f->u.admin.what) ||
           TEXT_BAD(f->u.admin.why) || TEXT_BAD(f->u.admin.before) || TEXT_BAD(f->u.admin.after);
}

static bool texts_bad(const struct fact *f)
{
    switch ((enum fact_kind)f->kind) {
    case FACT_VERDICT:
        return TEXT_BAD(f->u.verdict.call_id) || TEXT_BAD(f->u.verdict.from) ||
               TEXT_BAD(f->u.verdict.to) || TEXT_BAD(f->u.verdict.method) ||
               TEXT_BAD(f->u.verdict.user);
    case FACT_REGISTERED:
    case FACT_UNREGISTERED:
    case FACT_EXPIRED:
        return TEXT_BAD(f->u.reg.aor) || TEXT_BAD(f->u.reg.contact);
    case FACT_CALL_START:
        return TEXT_BAD(f->u.start.call_id_a) || TEXT_BAD(f->u.start.from) ||
               TEXT_BAD(f->u.start.to) || TEXT_BAD(f->u.start.user);
    case FACT_CALL_END:
        return TEXT_BAD(f->u.end.from) || TEXT_BAD(f->u.end.to) || TEXT_BAD(f->u.end.user) ||
               TEXT_BAD(f->u.end.route) || TEXT_BAD(f->u.end.transferred_by) ||
               bill_bad(&f->u.end.bill) || f->u.end.n_legs > 2 || leg_bad(&f->u.end.leg[0]) ||
               leg_bad(&f->u.end.leg[1]);
    case FACT_PEER_STATE:
        return TEXT_BAD(f->u.peer.peer);
    case FACT_REFUSED:
        return TEXT_BAD(f->u.refused.what);
    case FACT_PROCESS:
        return TEXT_BAD(f->u.process.program) || TEXT_BAD(f->u.process.what);
    case FACT_UPSTREAM:
        return TEXT_BAD(f->u.upstream.peer) || TEXT_BAD(f->u.upstream.aor);
    case FACT_TRANSFER:
        return TEXT_BAD(f->u.transfer.who) || TEXT_BAD(f->u.transfer.to) ||
               TEXT_BAD(f->u.transfer.by) || TEXT_BAD(f->u.transfer.kind);
    case FACT_ALERT:
        return TEXT_BAD(f->u.alert.call_id) || TEXT_BAD(f->u.alert.from) ||
               TEXT_BAD(f->u.alert.to) || TEXT_BAD(f->u.alert.method) ||
               TEXT_BAD(f->u.alert.user_agent) || TEXT_BAD(f->u.alert.classtype) ||
               TEXT_BAD(f->u.alert.message);
    case FACT_BAN:
        return TEXT_BAD(f->u.ban.who) || f->u.ban.act > BAN_EXEMPTED ||
               ban_valid(&f->u.ban.ban, sizeof f->u.ban.ban) != OK;
    case FACT_EVIDENCE:
        return f->u.evidence.n > FACT_EVIDENCE_BYTES;
    case FACT_MONEY:
        return TEXT_BAD(f->u.money.who) || TEXT_BAD(f->u.money.to) || TEXT_BAD(f->u.money.trunk) ||
               f->u.money.act > MONEY_NOTED || f->u.money.cap_kind > LEDGER_KINDS ||
               f->u.money.number_class >= CLASS_COUNT || f->u.money.fraud_act > FRAUD_LOCK;
    case FACT_ADMIN:
        return admin_bad(f);
    case FACT_KIND_COUNT:
        break;
    }
    return true;
}

enum err fact_valid(const void *rec, size_t bytes)
{
    const struct fact *f = rec;
    if (bytes < offsetof(struct fact, u))
        return ERR_SYNTAX;
    size_t want = fact_size((enum fact_kind)f->kind);
    if (!want || bytes != want || f->bytes != want || f->reason >= REASON_COUNT)
        return ERR_SYNTAX;
    return texts_bad(f) ? ERR_RANGE : OK;
}
