#include "app/monitor/lists.h"
#include "app/monitor/notify.h"
#include "app/monitor/shield.h"

/* Every engine runs, has said so, and has no call now (an emergency call may have come since). */
bool status_drained(const struct monitor *m)
{
    bool empty = m->draining;
    for (uint32_t i = ENGINE_SLOT(0); i < m->n_programs && empty; i++) {
        const struct program *p = &m->program[i];
        empty = p->state == PROGRAM_RUNNING && p->drained && stat_get(p->stats, STAT_calls) == 0;
    }
    return empty;
}

static struct str state_name(const struct monitor *m)
{
    return m->stopping         ? STR("stopping")
           : m->starting       ? STR("starting")
           : status_drained(m) ? STR("drained")
           : m->draining       ? STR("draining")
                               : STR("running");
}

static struct str program_state_name(const struct program *p)
{
    switch (p->state) {
    case PROGRAM_DOWN:
        return STR("down");
    case PROGRAM_LOCKING:
        return STR("locking in");
    case PROGRAM_SETUP:
        return STR("being set up");
    case PROGRAM_RUNNING:
        return STR("running");
    }
    return STR("down");
}

static void comma(struct out *o, bool more)
{
    if (more)
        out_ch(o, ',');
}

static void sandbox_put(struct out *o, const struct sandbox_report *r)
{
    static const char *const ids[] = {"not root", "not switched: user is missing", "switched"};
    OUT_LIT(o, ",\"sandbox\":{");
    out_json_kstr(o, STR("ids"), str_c(r->ids < ARRAY_LEN(ids) ? ids[r->ids] : "?"));
    out_json_ku64(o, STR("uid"), r->uid);
    out_json_ku64(o, STR("landlock"), r->landlock);
    out_json_kbool(o, STR("seccomp"), r->seccomp == 1);
    out_json_kstr(o, STR("caps"), r->caps == 1 ? STR("dropped") : STR("none held"));
    out_ch(o, '}');
}

static void program_put(const struct monitor *m, struct out *o, const struct program *p)
{
    char label[24];
    program_label(p, label);
    out_ch(o, '{');
    out_json_kstr(o, STR("name"), str_c(label));
    out_json_kstr(o, STR("role"), str_c(role_name(p->role)));
    if (p->role == ROLE_ENGINE)
        out_json_ku64(o, STR("engine"), p->engine);
    out_json_ku64(o, STR("pid"), (uint64_t)p->proc.pid);
    out_json_kstr(o, STR("state"), program_state_name(p));
    out_json_ku64(o, STR("restarts"), p->restarts);
    out_json_ki64(o, STR("uptime_s"),
                  p->state == PROGRAM_RUNNING ? instant_sub(m->loop.now.mono, p->since).us / 1000000
                                              : 0);
    out_json_kbool(o, STR("drained"), p->drained);
    if (p->died)
        out_json_ki64(o, STR("last_exit"), p->last_status);
    else
        OUT_LIT(o, ",\"last_exit\":null");
    sandbox_put(o, &p->report);
    out_ch(o, '}');
}

static void kaddr(struct out *o, struct str key, const struct addr *a)
{
    char text[ADDR_TEXT_MAX];
    struct out t = out_of(text, sizeof text);
    addr_put(&t, a);
    out_json_kstr(o, key, out_str(&t));
}

static void listeners_put(const struct monitor *m, struct out *o)
{
    static const char *const protos[] = {"udp", "tcp", "tls"};
    const struct policy *p = &m->conf->policy;
    OUT_LIT(o, ",\"listeners\":[");
    for (uint32_t i = 0; i < p->n_listeners; i++) {
        const struct policy_listener *l = &p->listeners[i];
        comma(o, i > 0);
        out_ch(o, '{');
        out_json_kstr(o, STR("name"), policy_text(p, l->name));
        out_json_kstr(o, STR("proto"),
                      str_c(l->proto < ARRAY_LEN(protos) ? protos[l->proto] : "?"));
        kaddr(o, STR("bind"), &l->bind);
        kaddr(o, STR("advertise"), &l->advertise);
        out_ch(o, '}');
    }
    out_ch(o, ']');
}

static void waivers_put(const struct monitor *m, struct out *o)
{
    const struct policy *p = &m->conf->policy;
    OUT_LIT(o, ",\"waivers\":[");
    for (uint32_t i = 0; i < p->n_waivers; i++) {
        const struct policy_waiver *w = &p->waivers[i];
        comma(o, i > 0);
        out_ch(o, '{');
        out_json_kstr(o, STR("name"), policy_text(p, w->name));
        out_json_kstr(o, STR("zone"),
                      w->zone < p->n_zones ? policy_text(p, p->zones[w->zone].name) : STR("?"));
        out_json_kstr(o, STR("owner"), policy_text(p, w->owner));
        out_json_kstr(o, STR("reason"), policy_text(p, w->reason));
        out_json_kbool(o, STR("plain_signalling"), (w->allow & WAIVE_PLAIN_SIGNALLING) != 0);
        out_json_kbool(o, STR("plain_media"), (w->allow & WAIVE_PLAIN_MEDIA) != 0);
        out_json_ki64(o, STR("expires_us"), w->expires.us);
        out_json_kbool(o, STR("expired"), w->expires.us <= m->loop.now.wall.us);
        out_ch(o, '}');
    }
    out_ch(o, ']');
}

/* Of the programs from..to: sums. */
static void stats_put(const struct monitor *m, struct out *o, uint32_t from, uint32_t to)
{
    OUT_LIT(o, "\"stats\":{");
    for (int s = 0; s < STAT_COUNT; s++) {
        uint64_t sum = 0;
        for (uint32_t i = from; i < to; i++)
            sum += m->program[i].stats ? stat_get(m->program[i].stats, (enum stat_id)s) : 0;
        out_json_ku64(o, str_c(stat_names[s]), sum);
    }
    OUT_LIT(o, "},\"reasons\":{");
    for (int r = REASON_NONE + 1; r < REASON_COUNT; r++) {
        uint64_t sum = 0;
        for (uint32_t i = from; i < to; i++)
            sum += m->program[i].stats ? counters_get(&m->program[i].stats->reasons, (enum reason)r)
                                       : 0;
        if (sum)
            out_json_ku64(o, reason_info((enum reason)r)->name, sum);
    }
    out_ch(o, '}');
}

void status_put(const struct monitor *m, struct out *o)
{
    out_ch(o, '{');
    out_json_kstr(o, STR("version"), str_c(RINGWALL_VERSION));
    out_json_kstr(o, STR("state"), state_name(m));
    out_json_ki64(o, STR("uptime_s"), instant_sub(m->loop.now.mono, m->started).us / 1000000);
    out_json_ki64(o, STR("started_us"), m->started_wall.us);
    out_json_ku64(o, STR("pid"), (uint64_t)m->pid);
    out_json_kstr(o, STR("config"), str_c(m->cfg->config));
    out_json_kstr(o, STR("folder"), str_c(m->state));
    out_json_ku64(o, STR("generation"), m->generation);
    if (m->reload_problem[0])
        out_json_kstr(o, STR("config_error"), str_c(m->reload_problem));
    else
        OUT_LIT(o, ",\"config_error\":null");
    OUT_LIT(o, ",\"programs\":[");
    for (uint32_t i = 0; i < m->n_programs; i++) {
        if (!m->program[i].proc.pid && !program_wanted(m, &m->program[i]))
            continue;
        comma(o, i > 0); /* the first is always there */
        program_put(m, o, &m->program[i]);
    }
    out_ch(o, ']');
    listeners_put(m, o);
    waivers_put(m, o);
    approvals_put(m, o);
    out_json_kbool(o, STR("spent_unknown"), m->ledger_unknown.us != 0);
    OUT_LIT(o, ",\"shield\":{");
    shield_put(m, o);
    OUT_LIT(o, "},\"feeds\":");
    feeds_put(m, o);
    out_ch(o, ',');
    stats_put(m, o, 0, m->n_programs);
    out_ch(o, '}');
}

void metrics_put(const struct monitor *m, struct out *o)
{
    OUT_LIT(o, "{\"programs\":[");
    for (uint32_t i = 0; i < m->n_programs; i++) {
        char label[24];
        program_label(&m->program[i], label);
        comma(o, i > 0);
        out_ch(o, '{');
        out_json_kstr(o, STR("name"), str_c(label));
        out_ch(o, ',');
        stats_put(m, o, i, i + 1);
        out_ch(o, '}');
    }
    OUT_LIT(o, "]}");
}

/* -- commands -- */

#define DOCUMENT_MAX (512u << 10)

static void answer_document(struct monitor *m, struct client *c,
                            void (*put)(const struct monitor *, struct out *))
{
    char *text = malloc(DOCUMENT_MAX);
    struct out o = out_of(text, text ? DOCUMENT_MAX : 0);
    if (text)
        put(m, &o);
    if (!text || o.full)
        client_sorry(m, c, CONTROL_FAILED, REASON_NONE, "the answer does not fit into memory");
    else
        client_answer(m, c, CONTROL_OK, out_str(&o));
    free(text);
}

void status_command(struct monitor *m, struct client *c, struct str req)
{
    (void)req;
    answer_document(m, c, status_put);
}

void metrics_command(struct monitor *m, struct client *c, struct str req)
{
    (void)req;
    answer_document(m, c, metrics_put);
}

void notify_command(struct monitor *m, struct client *c, struct str req)
{
    (void)req;
    answer_document(m, c, notify_put);
}

void notify_test_command(struct monitor *m, struct client *c, struct str req)
{
    (void)req;
    notify_event(m, NOTE_TEST, c->by.name, "a test", c->act.why, "this is only a test");
    answer_document(m, c, notify_put);
}
