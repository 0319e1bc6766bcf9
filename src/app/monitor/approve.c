/* Risky changes: a reason always, a second person where four_eyes is on, and the glass that can be
 * broken. approve_keep.c keeps what waits over a restart. */
#include "app/monitor/notify.h"
#include "app/monitor/shield.h"
#include "app/monitor/state.h"

#define DOCUMENT_MAX (512u << 10)
#define GLASS_SHOWN  DUR_S(86400)

static void copy(char *ret, size_t cap, const char *s)
{
    (void)snprintf(ret, cap, "%s", s);
}

/* -- what waits -- */

static struct approval *by_id(struct monitor *m, uint32_t id)
{
    for (unsigned i = 0; i < APPROVALS_MAX; i++)
        if (id && m->approvals.at[i].id == id)
            return &m->approvals.at[i];
    return NULL;
}

void approvals_turn(struct monitor *m)
{
    for (unsigned i = 0; i < APPROVALS_MAX; i++) {
        struct approval *a = &m->approvals.at[i];
        if (!a->id || instant_before(m->loop.now.mono, a->due))
            continue;
        struct act act = {0};
        copy(act.what, sizeof act.what, "nobody approved it in time");
        (void)snprintf(act.pending, sizeof act.pending, "%u", (unsigned)a->id);
        act_tell(m, &a->by, &act, "approval-expired", CONTROL_REFUSED, REASON_NONE);
        monitor_log(m, SEV_NOTICE, "approval %u of %s expired", (unsigned)a->id, a->by.name);
        mem_wipe(a, sizeof *a);
        approvals_keep(m);
    }
}

static void wait_for_second(struct monitor *m, struct client *c, struct str req, const char *what,
                            const struct text_digest *of)
{
    struct approval *a = NULL;
    for (unsigned i = 0; i < APPROVALS_MAX && !a; i++)
        a = m->approvals.at[i].id ? NULL : &m->approvals.at[i];
    if (!a || req.n > sizeof a->request) {
        client_sorry(m, c, CONTROL_REFUSED, REASON_admin_second,
                     a ? "the request is too long to wait for a second person"
                       : "too much waits for a second person; ringwall approvals");
        return;
    }
    struct dur wait = DUR_S(m->conf->admins.approval_s);
    *a = (struct approval){.id = ++m->approvals.last,
                           .by = c->by,
                           .of = of ? *of : (struct text_digest){0},
                           .due = instant_add(m->loop.now.mono, wait),
                           .asked = m->loop.now.wall,
                           .until = {m->loop.now.wall.us + wait.us},
                           .n = (uint16_t)req.n};
    memcpy(a->request, req.p, req.n);
    copy(a->why, sizeof a->why, c->act.why);
    (void)snprintf(a->what, sizeof a->what, "%s", what);
    approvals_keep(m);
    (void)snprintf(c->act.pending, sizeof c->act.pending, "%u", (unsigned)a->id);
    monitor_log(m, SEV_WARN, "approval %u wanted by %s for %s (%s): %s", (unsigned)a->id,
                c->by.name, c->command->name, a->why, what);
    char text[1024];
    struct out o = out_of(text, sizeof text);
    out_ch(&o, '{');
    out_json_ku64(&o, STR("approval"), a->id);
    out_json_kstr(&o, STR("waits_for"),
                  STR("a second person of role security-officer or administrator"));
    out_json_kstr(&o, STR("what"), str_c(a->what));
    out_json_ki64(&o, STR("until_us"), a->until.us);
    out_ch(&o, '}');
    client_answer(m, c, CONTROL_WAITS, out_str(&o));
}

static bool needs_second(const struct monitor *m)
{
    return m->conf->admins.four_eyes;
}

bool approval_gate(struct monitor *m, struct client *c, struct str req)
{
    bool lock = strcmp(c->command->name, "bans-release") == 0 && bans_of_fraud(m, req);
    if (!c->command->risky && !lock)
        return true;
    if (lock && !admin_may(c->by.role, RIGHT_SECURITY)) {
        char with[128], text[256];
        admin_roles_with(RIGHT_SECURITY, with, sizeof with);
        (void)snprintf(text, sizeof text, "%s is %s and may not release a lock of fraud; %s may",
                       c->by.name, admin_role_name(c->by.role), with);
        client_sorry(m, c, CONTROL_FORBIDDEN, REASON_admin_right, text);
        return false;
    }
    if (!c->act.why[0]) {
        client_sorry(m, c, CONTROL_REFUSED, REASON_admin_no_reason,
                     "a risky change wants a reason: --reason TEXT");
        return false;
    }
    if (!needs_second(m))
        return true;
    char what[160];
    (void)snprintf(what, sizeof what, "%s %s", c->command->name, c->act.what);
    wait_for_second(m, c, req, what, NULL);
    return false;
}

/* -- reload -- */

static void reload_failed_put(const struct monitor *m, struct out *o)
{
    out_ch(o, '{');
    out_json_kstr(o, STR("error"), str_c(m->reload_problem));
    out_json_ku64(o, STR("generation"), m->generation);
    if (m->errors->n) {
        OUT_LIT(o, ",\"problems\":");
        config_errors_json(o, m->errors);
    }
    out_ch(o, '}');
}

static void reload_answer(struct monitor *m, struct client *c, enum err e)
{
    char *text = malloc(DOCUMENT_MAX);
    struct out o = out_of(text, text ? DOCUMENT_MAX : 0);
    (void)snprintf(c->act.after, sizeof c->act.after, "generation %u%s%.150s",
                   (unsigned)m->generation, e == OK && m->risks.n ? "; " : "",
                   e == OK ? m->risks.text : "");
    if (e != OK) {
        reload_failed_put(m, &o);
    } else {
        out_ch(&o, '{');
        out_json_ku64(&o, STR("generation"), m->generation);
        if (m->risks.n)
            out_json_kstr(&o, STR("risky"), str_c(m->risks.text));
        out_ch(&o, '}');
    }
    client_answer(m, c, e == OK ? CONTROL_OK : CONTROL_REFUSED, out_str(&o));
    free(text);
}

static void before_reload(const struct monitor *m, struct client *c)
{
    (void)snprintf(c->act.before, sizeof c->act.before, "generation %u", (unsigned)m->generation);
}

void approve_reload(struct monitor *m, struct client *c, struct str req)
{
    struct reload_word w = {.reason = c->act.why[0] != 0, .second = !needs_second(m)};
    struct text_digest of = {0};
    before_reload(m, c);
    enum err e = monitor_reload(m, &w, &of);
    if (e == ERR_AUTH && w.reason)
        wait_for_second(m, c, req, m->risks.text, &of);
    else if (e == ERR_AUTH)
        client_sorry(m, c, CONTROL_REFUSED, REASON_admin_no_reason, m->reload_problem);
    else
        reload_answer(m, c, e);
}

/* -- the second person -- */

static void approval_put(const struct approval *a, struct out *o)
{
    out_ch(o, '{');
    out_json_ku64(o, STR("id"), a->id);
    out_json_kstr(o, STR("who"), str_c(a->by.name));
    out_json_ku64(o, STR("uid"), a->by.uid);
    out_json_kstr(o, STR("role"), str_c(admin_role_name(a->by.role)));
    out_json_kstr(o, STR("cmd"), control_member(str_of(a->request, a->n), "cmd"));
    out_json_kstr(o, STR("what"), str_c(a->what));
    out_json_kstr(o, STR("why"), str_c(a->why));
    out_json_ki64(o, STR("asked_us"), a->asked.us);
    out_json_ki64(o, STR("until_us"), a->until.us);
    out_ch(o, '}');
}

static void list_put(const struct monitor *m, struct out *o)
{
    unsigned n = 0;
    OUT_LIT(o, "\"approvals\":[");
    for (unsigned i = 0; i < APPROVALS_MAX; i++) {
        if (!m->approvals.at[i].id)
            continue;
        if (n++)
            out_ch(o, ',');
        approval_put(&m->approvals.at[i], o);
    }
    out_ch(o, ']');
}

void approvals_put(const struct monitor *m, struct out *o)
{
    out_ch(o, ',');
    list_put(m, o);
    int64_t at = m->approvals.glass.at.us;
    OUT_LIT(o, ",\"break_glass\":");
    if (at == 0 || m->loop.now.wall.us - at > GLASS_SHOWN.us) {
        OUT_LIT(o, "null");
        return;
    }
    out_ch(o, '{');
    out_json_ki64(o, STR("at_us"), at);
    out_json_kstr(o, STR("who"), str_c(m->approvals.glass.who));
    out_json_kstr(o, STR("why"), str_c(m->approvals.glass.why));
    out_json_kstr(o, STR("what"), str_c(m->approvals.glass.what));
    out_ch(o, '}');
}

void approve_list(struct monitor *m, struct client *c, struct str req)
{
    static char text[64u << 10];
    struct out o = out_of(text, sizeof text);
    (void)req;
    out_ch(&o, '{');
    list_put(m, &o);
    out_ch(&o, '}');
    client_answer(m, c, CONTROL_OK, out_str(&o));
}

static struct approval *meant(struct monitor *m, struct client *c, struct str req)
{
    uint32_t id = 0;
    struct str text = control_member(req, "id");
    struct approval *a = str_u32(text, UINT32_MAX, &id) == OK ? by_id(m, id) : NULL;
    (void)snprintf(c->act.pending, sizeof c->act.pending, "%u", (unsigned)id);
    if (!a)
        client_sorry(m, c, CONTROL_NOT_FOUND, REASON_NONE,
                     "nothing of that number waits (ringwall approvals lists what does)");
    return a;
}

/* Runs what waited, answered to the one who let it through. */
static void carry_out(struct monitor *m, struct client *c, struct approval *a)
{
    static char request[APPROVAL_TEXT];
    size_t n = a->n;
    struct text_digest of = a->of;
    memcpy(request, a->request, n);
    struct str req = str_of(request, n);
    const struct admin_command *k = admin_command(control_member(req, "cmd"));
    (void)snprintf(c->act.what, sizeof c->act.what, "%.40s of %.31s", k ? k->name : "?",
                   a->by.name);
    (void)snprintf(c->act.before, sizeof c->act.before, "%.180s", a->what);
    mem_wipe(a, sizeof *a);
    approvals_keep(m); /* before it is done: never twice */
    if (!k) {
        client_sorry(m, c, CONTROL_FAILED, REASON_NONE, "that command is gone");
        return;
    }
    if (!str_eq(str_c(k->name), STR("reload"))) {
        client_run(m, c, k, req);
        return;
    }
    struct reload_word w = {true, true, of};
    enum err e = monitor_reload(m, &w, &of);
    reload_answer(m, c, e);
}

void approve_second(struct monitor *m, struct client *c, struct str req)
{
    struct approval *a = meant(m, c, req);
    if (!a)
        return;
    if (a->by.uid == c->by.uid) {
        client_sorry(m, c, CONTROL_FORBIDDEN, REASON_admin_second,
                     "who asked for it cannot be the second person");
        return;
    }
    monitor_log(m, SEV_WARN, "approval %u of %s is given by %s", (unsigned)a->id, a->by.name,
                c->by.name);
    carry_out(m, c, a);
}

void approve_deny(struct monitor *m, struct client *c, struct str req)
{
    struct approval *a = meant(m, c, req);
    if (!a)
        return;
    (void)snprintf(c->act.what, sizeof c->act.what, "%.60s of %.31s", a->what, a->by.name);
    monitor_log(m, SEV_NOTICE, "approval %u of %s is denied by %s", (unsigned)a->id, a->by.name,
                c->by.name);
    mem_wipe(a, sizeof *a);
    approvals_keep(m);
    client_answer(m, c, CONTROL_OK, STR("{\"denied\":true}"));
}

/* -- the glass -- */

void approve_glass(struct monitor *m, struct client *c, struct str req)
{
    struct str id = control_member(req, "id");
    if (!c->act.why[0]) {
        client_sorry(m, c, CONTROL_REFUSED, REASON_admin_no_reason,
                     "who breaks the glass says why: --reason TEXT");
        return;
    }
    struct approval *a = id.n ? meant(m, c, req) : NULL;
    if (id.n && !a)
        return;
    m->approvals.glass.at = m->loop.now.wall;
    copy(m->approvals.glass.who, sizeof m->approvals.glass.who, c->by.name);
    copy(m->approvals.glass.why, sizeof m->approvals.glass.why, c->act.why);
    copy(m->approvals.glass.what, sizeof m->approvals.glass.what, a ? a->what : "reload");
    monitor_log(m, SEV_ALERT, "THE GLASS IS BROKEN by %s (uid %u): %s", c->by.name,
                (unsigned)c->by.uid, c->act.why);
    if (a) {
        carry_out(m, c, a);
        return;
    }
    struct reload_word w = {true, true, {0}};
    struct text_digest of;
    before_reload(m, c);
    enum err e = monitor_reload(m, &w, &of);
    if (e == OK && m->risks.n)
        (void)snprintf(m->approvals.glass.what, sizeof m->approvals.glass.what, "reload: %.500s",
                       m->risks.text);
    approvals_keep(m);
    reload_answer(m, c, e);
}
