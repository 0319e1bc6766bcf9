#include "app/monitor/notify_in.h"
#include "app/monitor/state.h"
#include "call/facts.h"
#include "crypto/hash.h"
#include "io/file.h"
#include <fcntl.h>
#include <unistd.h>

#define NOTES_MAX    64u
#define TRIES_MAX    8u
#define RETRY_FIRST  DUR_S(1)
#define RETRY_LAST   DUR_S(300)
#define ANSWER_LIMIT DUR_S(40) /* of the fetch program */
#define SECRET_LIMIT DUR_S(5)  /* of the vault */
#define SECRET_ROOM  256u
#define WINDOW       DUR_S(60)
#define WAIVER_SOON  (INT64_C(7) * 86400 * 1000000)
#define WAIVER_LOOK  DUR_S(86400)

struct note {    /* a message that waits, or is on its way */
    uint32_t id; /* 0: free; grows: the oldest is the lowest */
    char target[NOTIFY_WORD];
    bool sent;
    uint32_t query; /* to the vault, for its secret; 0: none */
    uint8_t tries;
    struct instant due;
    uint16_t n;
    char body[NOTIFY_BODY_MAX];
};
struct told { /* what became of a target's messages */
    char name[NOTIFY_WORD];
    uint64_t sent, lost, summed;
    uint32_t in_window, skipped;
    struct instant window; /* when it ends */
    char error[120];
};
struct notify {
    struct note note[NOTES_MAX];
    struct told told[NOTIFY_TARGETS];
    uint32_t last;
    bool full_told;
    char host[65];
    struct instant bans_window, waivers;
    uint32_t bans;
    struct msg_notify out;
};

bool notify_wanted(const struct config *c)
{
    return c->notify.n > 0;
}

static const struct config_target *target_of(const struct monitor *m, const char *name)
{
    for (unsigned i = 0; i < m->conf->notify.n; i++)
        if (strcmp(m->conf->notify.at[i].name, name) == 0)
            return &m->conf->notify.at[i];
    return NULL;
}

static struct told *told_of(struct notify *n, const char *name)
{
    for (unsigned i = 0; i < NOTIFY_TARGETS; i++)
        if (strcmp(n->told[i].name, name) == 0)
            return &n->told[i];
    return NULL;
}

/* -- the queue -- */

static void lost(struct monitor *m, struct told *t, const char *why)
{
    t->lost++;
    (void)snprintf(t->error, sizeof t->error, "%s", why);
    monitor_log(m, SEV_ALERT, "notification to %s is lost: %s", t->name, why);
    struct fact f;
    memset(&f, 0, sizeof f);
    f.kind = FACT_PROCESS;
    f.reason = REASON_notify_lost;
    TEXT_SET(f.u.process.program, str_c(t->name));
    TEXT_SET(f.u.process.what, STR("notification lost"));
    fact_tell(m, &f);
}

static void queue(struct monitor *m, const struct config_target *t, const struct vars *v)
{
    struct notify *n = m->notify;
    struct told *told = told_of(n, t->name);
    struct note *w = NULL;
    for (unsigned i = 0; i < NOTES_MAX && !w; i++)
        w = n->note[i].id ? NULL : &n->note[i];
    if (!w) {
        if (!n->full_told)
            monitor_log(m, SEV_ALERT, "more than %u notifications wait: newer ones are lost",
                        NOTES_MAX);
        n->full_told = true;
        told->lost++;
        (void)snprintf(told->error, sizeof told->error, "the queue is full");
        return;
    }
    n->full_told = false;
    struct out o = out_of(w->body, sizeof w->body);
    struct vars full = *v;
    full.host = n->host;
    full.now = m->loop.now.wall;
    *w = (struct note){.id = ++n->last ? n->last : ++n->last, .due = m->loop.now.mono};
    (void)snprintf(w->target, sizeof w->target, "%s", t->name);
    if (t->mail)
        notify_mail(&o, t, &full, w->id);
    else
        notify_hook(&o, t, &full);
    w->n = (uint16_t)o.n;
    if (o.full) {
        w->id = 0;
        lost(m, told, "its text is too long");
    }
}

static void sum_up(struct monitor *m, const struct config_target *t, struct told *told)
{
    char text[96];
    uint32_t n = told->skipped;
    told->skipped = 0;
    told->summed += n;
    (void)snprintf(text, sizeof text, "%u more events in the last minute, not told one by one",
                   (unsigned)n);
    const struct vars v = {
        .event = NOTE_TEST, .who = "", .what = "sum", .why = "", .text = text, .count = n};
    queue(m, t, &v);
}

static void pump(struct monitor *m);

void notify_event(struct monitor *m, enum notify_event e, const char *who, const char *what,
                  const char *why, const char *text)
{
    const struct vars v = {
        .event = e, .who = who, .what = what, .why = why, .text = text, .count = 1};
    if (!m->notify)
        return;
    for (unsigned i = 0; i < m->conf->notify.n; i++) {
        const struct config_target *t = &m->conf->notify.at[i];
        struct told *told = told_of(m->notify, t->name);
        if (!told || !(t->events >> e & 1))
            continue;
        if (!instant_before(m->loop.now.mono, told->window)) {
            told->window = instant_add(m->loop.now.mono, WINDOW);
            told->in_window = 0;
            if (told->skipped)
                sum_up(m, t, told);
        }
        if (told->in_window >= t->per_minute) {
            told->skipped++;
            continue;
        }
        told->in_window++;
        queue(m, t, &v);
    }
    pump(m);
}

/* -- sending -- */

static int authorities(const struct config_target *t)
{
    static const char *const FILES[] = {"/etc/ssl/certs/ca-certificates.crt",
                                        "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};
    int fd = t->ca[0] ? open(t->ca, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) : -1;
    for (size_t i = 0; !t->ca[0] && i < ARRAY_LEN(FILES) && fd < 0; i++)
        fd = open(FILES[i], O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return fd;
}

/* The secret's first line; false: cannot be read. */
static bool secret_of(const struct config_target *t, char ret[SECRET_ROOM])
{
    size_t n = 0;
    if (file_read(t->secret, ret, SECRET_ROOM - 1, &n) != OK)
        return false;
    ret[n] = 0;
    ret[strcspn(ret, "\r\n")] = 0;
    return ret[0] != 0;
}

static bool sign(struct str secret, struct str body, char *ret, size_t cap)
{
    uint8_t mac[HASH_MAX];
    struct out o = out_of(ret, cap - 1);
    if (crypto_init() != OK || hmac_bytes(HASH_SHA256, secret, body, mac) != OK)
        return false;
    OUT_LIT(&o, "sha256=");
    out_hex(&o, mac, hash_bytes(HASH_SHA256));
    ret[o.n] = 0;
    return !o.full;
}

static bool fill(struct monitor *m, const struct config_target *t, const struct note *w,
                 const char secret[SECRET_ROOM])
{
    struct msg_notify *x = &m->notify->out;
    *x = (struct msg_notify){.id = w->id,
                             .mail = t->mail,
                             .starttls = t->starttls,
                             .inside = t->inside,
                             .n_to = t->n_to};
    memcpy(x->url, t->url, sizeof x->url);
    memcpy(x->user, t->user, sizeof x->user);
    memcpy(x->from, t->from, sizeof x->from);
    memcpy(x->to, t->to, sizeof x->to);
    if (t->mail)
        memcpy(x->password, secret, sizeof x->password);
    else if (t->secret[0])
        return sign(str_c(secret), str_of(w->body, w->n), x->signature, sizeof x->signature);
    return true;
}

static void again(struct monitor *m, struct note *w, const char *why)
{
    struct told *t = told_of(m->notify, w->target);
    int64_t wait = RETRY_FIRST.us << MIN(w->tries, (uint8_t)9);
    w->sent = false;
    w->query = 0;
    w->tries++;
    w->due = instant_add(m->loop.now.mono, DUR_US(MIN(wait, RETRY_LAST.us)));
    if (t)
        (void)snprintf(t->error, sizeof t->error, "%s", why);
    if (w->tries < TRIES_MAX)
        return;
    w->id = 0;
    if (t)
        lost(m, t, why);
}

static void deliver(struct monitor *m, const struct config_target *t, struct note *w,
                    const char secret[SECRET_ROOM])
{
    struct program *p = &m->program[FETCH_SLOT];
    if (!fill(m, t, w, secret)) {
        again(m, w, "it cannot be signed");
        return;
    }
    int fd = authorities(t);
    enum err e =
        program_send(m, p, MSG_NOTIFY, str_of((const char *)&m->notify->out, sizeof m->notify->out),
                     str_of(w->body, w->n), fd);
    mem_wipe(&m->notify->out, sizeof m->notify->out);
    if (fd >= 0)
        (void)close(fd);
    w->sent = e == OK;
    w->due = instant_add(m->loop.now.mono, e == OK ? ANSWER_LIMIT : RETRY_FIRST);
}

/* The vault's answer comes to notify_secret. */
static void ask_vault(struct monitor *m, const struct config_target *t, struct note *w)
{
    char text[128];
    struct out o = out_of(text, sizeof text);
    struct msg_query q = {++m->next_query ? m->next_query : ++m->next_query, 0};
    out_ch(&o, '{');
    out_json_kstr(&o, STR("cmd"), STR("notify-secret"));
    out_json_kstr(&o, STR("name"), notify_vault_name(t));
    out_ch(&o, '}');
    struct program *p = &m->program[VAULT_SLOT];
    if (p->state == PROGRAM_RUNNING &&
        program_send(m, p, MSG_QUERY, str_of((const char *)&q, sizeof q), out_str(&o), -1) == OK)
        w->query = q.id;
    w->due = instant_add(m->loop.now.mono, w->query ? SECRET_LIMIT : RETRY_FIRST);
}

bool notify_secret(struct monitor *m, struct msg *reply)
{
    struct note *w = NULL;
    for (unsigned i = 0; m->notify && i < NOTES_MAX && !w; i++)
        if (m->notify->note[i].id && reply->u.reply.id &&
            m->notify->note[i].query == reply->u.reply.id)
            w = &m->notify->note[i];
    if (!w)
        return false;
    char secret[SECRET_ROOM] = "";
    const struct config_target *t = target_of(m, w->target);
    struct str hex = control_member(msg_text(reply, sizeof(struct msg_reply)), "secret");
    bool got = reply->u.reply.code == CONTROL_OK && hex.n && hex.n / 2 < sizeof secret &&
               hex_decode(hex, (uint8_t *)secret, hex.n / 2) == OK;
    w->query = 0;
    if (!t)
        w->id = 0;
    else if (got)
        deliver(m, t, w, secret);
    else
        again(m, w, "the vault has no such secret: ringwall secret set NAME");
    mem_wipe(secret, sizeof secret);
    mem_wipe(reply->u.body, reply->n);
    return true;
}

static void send_one(struct monitor *m, struct note *w)
{
    char secret[SECRET_ROOM] = "";
    const struct config_target *t = target_of(m, w->target);
    if (!t) /* a reload took it out */
        w->id = 0;
    else if (notify_vault_name(t).n)
        ask_vault(m, t, w);
    else if (t->secret[0] && !secret_of(t, secret))
        again(m, w, "its secret cannot be read");
    else
        deliver(m, t, w, secret);
    mem_wipe(secret, sizeof secret);
}

/* A target has one message under way; the oldest that is due goes next. */
static void pump(struct monitor *m)
{
    struct notify *n = m->notify;
    for (unsigned k = 0; k < m->conf->notify.n; k++) {
        const char *name = m->conf->notify.at[k].name;
        struct note *next = NULL;
        bool busy = m->program[FETCH_SLOT].state != PROGRAM_RUNNING;
        for (unsigned i = 0; i < NOTES_MAX && !busy; i++) {
            struct note *w = &n->note[i];
            if (!w->id || strcmp(w->target, name) != 0)
                continue;
            busy = w->sent || w->query;
            next = !next || w->id < next->id ? w : next;
        }
        if (!busy && next && !instant_before(m->loop.now.mono, next->due))
            send_one(m, next);
    }
}

void notify_told(struct monitor *m, struct program *p)
{
    const struct msg_notified *x = &m->msg.u.notified;
    if (!memchr(x->text, 0, sizeof x->text) || x->outcome > NOTIFIED_NEVER || !m->notify) {
        program_kill(m, p, "what it says of a notification is not sound");
        return;
    }
    for (unsigned i = 0; i < NOTES_MAX; i++) {
        struct note *w = &m->notify->note[i];
        if (!w->id || w->id != x->id || !w->sent)
            continue;
        struct told *t = told_of(m->notify, w->target);
        if (x->outcome == NOTIFIED_AGAIN) {
            again(m, w, x->text);
            return;
        }
        w->id = 0;
        if (t && x->outcome == NOTIFIED_OK) {
            t->sent++;
            t->error[0] = 0;
        } else if (t) {
            lost(m, t, x->text);
        }
    }
    pump(m);
}

/* -- what is told -- */

static void person(const struct asker *by, char ret[80])
{
    (void)snprintf(ret, 80, "%s (%s)", by->name, admin_role_name(by->role));
}

/* A risky act that was carried out: alone with a reason, or by two. */
static bool risky_done(const struct monitor *m, const char *command, uint32_t code)
{
    const struct admin_command *k = admin_command(str_c(command));
    if (code != CONTROL_OK || !k)
        return false;
    return k->risky || strcmp(command, "approvals-approve") == 0 ||
           (strcmp(command, "reload") == 0 && m->risks.n);
}

void notify_admin(struct monitor *m, const struct asker *by, const struct act *a,
                  const char *command, uint32_t code, enum reason why)
{
    char who[80], what[160];
    person(by, who);
    (void)snprintf(what, sizeof what, "%.40s %.95s", command, a->what);
    if (why == REASON_admin_break_glass)
        notify_event(m, NOTE_BREAK_GLASS, who, what, a->why,
                     "the glass was broken: a risky change without a second person");
    else if (risky_done(m, command, code))
        notify_event(m, NOTE_RISKY_CHANGE, who, what, a->why, a->after[0] ? a->after : "done");
    else if (code == CONTROL_WAITS)
        notify_event(m, NOTE_APPROVAL_WANTED, who, what, a->why,
                     "a risky change waits for a second person: ringwall approvals");
    else if (code == CONTROL_FORBIDDEN)
        notify_event(m, NOTE_ADMIN_REFUSED, who, what, a->why,
                     "somebody asked for what his role does not hold");
}

static void text_of(struct str s, char *ret, size_t cap)
{
    (void)snprintf(ret, cap, "%.*s", (int)MIN(s.n, cap - 1), s.p ? s.p : "");
}

static void tell_process(struct monitor *m, const struct fact *f)
{
    struct str what = TEXT_STR(f->u.process.what);
    char program[40], text[96];
    text_of(TEXT_STR(f->u.process.program), program, sizeof program);
    if (str_eq(what, STR("crashed")) || str_eq(what, STR("ended"))) {
        (void)snprintf(text, sizeof text, "%s died (status %d) and is started again", program,
                       (int)f->u.process.status);
        notify_event(m, NOTE_PROGRAM_DIED, program, "died", "", text);
    } else if (str_eq(what, STR("reload refused"))) {
        notify_event(m, NOTE_RELOAD_REFUSED, "monitor", "reload refused", "", m->reload_problem);
    }
}

static void tell_ban(struct monitor *m, const struct fact *f)
{
    struct notify *n = m->notify;
    const struct ban *b = &f->u.ban.ban;
    char who[ADDR_TEXT_MAX + BAN_WHO + 8], why[128], text[96];
    struct out o = out_of(who, sizeof who - 1);
    if (f->u.ban.act != BAN_ADDED)
        return;
    if (b->scope == BAN_SOURCE || b->scope == BAN_PAIR)
        addr_put_ip(&o, &b->net.a);
    if (b->who_n)
        out_fmt(&o, "%s%.*s", o.n ? " " : "", (int)b->who_n, b->who);
    who[o.n] = 0;
    text_of(b->why_n    ? str_of(b->why, b->why_n)
            : b->reason ? reason_info((enum reason)b->reason)->name
                        : STR_NONE,
            why, sizeof why);
    notify_event(m, NOTE_BAN, who, "banned", why, "somebody is treated otherwise from now on");
    if (!instant_before(m->loop.now.mono, n->bans_window)) {
        n->bans_window = instant_add(m->loop.now.mono, WINDOW);
        n->bans = 0;
    }
    if (++n->bans != m->conf->notify.bans_many)
        return;
    (void)snprintf(text, sizeof text, "%u bans within a minute; the last: %.40s", (unsigned)n->bans,
                   who);
    notify_event(m, NOTE_BANS_MANY, "shield", "many bans", why, text);
}

static void tell_money(struct monitor *m, const struct fact *f)
{
    static const struct {
        enum notify_event e;
        const char *what;
    } ACTS[] = {[MONEY_REFUSED] = {NOTE_FRAUD_REFUSED, "a call was refused"},
                [MONEY_CUT] = {NOTE_FRAUD_CUT, "a running call was cut"},
                [MONEY_LOCKED] = {NOTE_FRAUD_LOCK, "an identity was locked"}};
    char who[FACT_ID], to[40], text[160];
    uint8_t act = f->u.money.act;
    if (act >= ARRAY_LEN(ACTS) || !ACTS[act].what)
        return;
    text_of(TEXT_STR(f->u.money.who), who, sizeof who);
    text_of(TEXT_STR(f->u.money.to), to, sizeof to);
    struct str why = f->reason ? reason_info((enum reason)f->reason)->name : STR_NONE;
    char reason[64];
    text_of(why, reason, sizeof reason);
    (void)snprintf(text, sizeof text, "%s: %.60s to %.30s (%.30s)", ACTS[act].what, who, to,
                   reason);
    notify_event(m, ACTS[act].e, who, ACTS[act].what, reason, text);
}

void notify_fact(struct monitor *m, const struct fact *f)
{
    if (!m->notify || m->conf->notify.n == 0)
        return;
    if (f->kind == FACT_PROCESS && f->reason != REASON_notify_lost)
        tell_process(m, f);
    if (f->kind == FACT_BAN)
        tell_ban(m, f);
    if (f->kind == FACT_MONEY)
        tell_money(m, f);
}

void notify_passed(struct monitor *m, struct program *p)
{
    static union {
        struct fact f;
        uint8_t bytes[IPC_BODY_MAX];
    } rec;
    memcpy(rec.bytes, m->msg.u.body, m->msg.n);
    if (fact_valid(&rec, m->msg.n) != OK || rec.f.kind != FACT_MONEY) {
        program_kill(m, p, "what it passes on is no fact");
        return;
    }
    notify_fact(m, &rec.f);
}

static void waivers_look(struct monitor *m)
{
    const struct policy *p = &m->conf->policy;
    for (uint32_t i = 0; i < p->n_waivers; i++) {
        const struct policy_waiver *w = &p->waivers[i];
        int64_t left = w->expires.us - m->loop.now.wall.us;
        char name[80], owner[96], text[256];
        if (left > WAIVER_SOON)
            continue;
        text_of(policy_text(p, w->name), name, sizeof name);
        text_of(policy_text(p, w->owner), owner, sizeof owner);
        if (left > 0)
            (void)snprintf(text, sizeof text, "waiver %s of %s ends in %lld hours", name, owner,
                           (long long)(left / 3600000000));
        else
            (void)snprintf(text, sizeof text, "waiver %s of %s is over", name, owner);
        notify_event(m, NOTE_WAIVER_EXPIRING, name, "waiver", owner, text);
    }
}

/* -- life -- */

void notify_policy(struct monitor *m)
{
    struct notify *n = m->notify;
    struct told old[NOTIFY_TARGETS];
    if (!n)
        return;
    memcpy(old, n->told, sizeof old);
    memset(n->told, 0, sizeof n->told);
    for (unsigned i = 0; i < m->conf->notify.n; i++) {
        const char *name = m->conf->notify.at[i].name;
        for (unsigned k = 0; k < NOTIFY_TARGETS; k++)
            if (strcmp(old[k].name, name) == 0)
                n->told[i] = old[k];
        (void)snprintf(n->told[i].name, sizeof n->told[i].name, "%s", name);
    }
}

enum err notify_open(struct monitor *m)
{
    m->notify = calloc(1, sizeof *m->notify);
    if (!m->notify)
        return ERR_FULL;
    if (gethostname(m->notify->host, sizeof m->notify->host - 1) != 0)
        (void)snprintf(m->notify->host, sizeof m->notify->host, "localhost");
    notify_policy(m);
    return OK;
}

void notify_close(struct monitor *m)
{
    free(m->notify);
    m->notify = NULL;
}

void notify_turn(struct monitor *m)
{
    struct notify *n = m->notify;
    if (!n || m->starting || m->conf->notify.n == 0)
        return;
    if (!instant_before(m->loop.now.mono, n->waivers)) {
        n->waivers = instant_add(m->loop.now.mono, WAIVER_LOOK);
        waivers_look(m);
    }
    for (unsigned i = 0; i < NOTES_MAX; i++) {
        struct note *w = &n->note[i];
        if (w->id && (w->sent || w->query) && !instant_before(m->loop.now.mono, w->due))
            again(m, w,
                  w->sent ? "the fetch program did not say what became of it"
                          : "the vault did not answer");
    }
    for (unsigned i = 0; i < m->conf->notify.n; i++) {
        struct told *t = &n->told[i];
        if (t->skipped && !instant_before(m->loop.now.mono, t->window)) {
            t->window = instant_add(m->loop.now.mono, WINDOW);
            t->in_window = 0;
            sum_up(m, &m->conf->notify.at[i], t);
        }
    }
    pump(m);
}

void notify_put(const struct monitor *m, struct out *o)
{
    const struct notify *n = m->notify;
    OUT_LIT(o, "{\"targets\":[");
    for (unsigned i = 0; n && i < m->conf->notify.n; i++) {
        const struct config_target *t = &m->conf->notify.at[i];
        unsigned waiting = 0;
        for (unsigned k = 0; k < NOTES_MAX; k++)
            waiting += n->note[k].id && strcmp(n->note[k].target, t->name) == 0;
        out_put(o, i ? STR(",{") : STR("{"));
        out_json_kstr(o, STR("name"), str_c(t->name));
        out_json_kstr(o, STR("kind"), t->mail ? STR("mail") : STR("webhook"));
        out_json_ku64(o, STR("sent"), n->told[i].sent);
        out_json_ku64(o, STR("waiting"), waiting);
        out_json_ku64(o, STR("lost"), n->told[i].lost);
        out_json_ku64(o, STR("summed"), n->told[i].summed + n->told[i].skipped);
        out_json_kstr(o, STR("error"), str_c(n->told[i].error));
        out_ch(o, '}');
    }
    OUT_LIT(o, "]}");
}
