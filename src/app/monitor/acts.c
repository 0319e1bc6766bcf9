/* Who asked on the control socket, and what the event log is told of it. */
#include "app/monitor/notify.h"
#include "app/monitor/state.h"
#include "call/facts.h"
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADMIN_GROUP    "ringwall-admin"
#define REFUSALS_PER_S 5

static void program_name(int32_t pid, char *ret, size_t cap)
{
    char path[40], comm[24] = "?";
    (void)snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    FILE *f = fopen(path, "re");
    if (f) {
        if (!fgets(comm, sizeof comm, f))
            comm[0] = 0;
        comm[strcspn(comm, "\n")] = 0;
        (void)fclose(f);
    }
    (void)snprintf(ret, cap, "%.20s, pid %d", comm, (int)pid);
}

bool asker_of(const struct monitor *m, int fd, struct asker *ret_a)
{
    struct ucred cred;
    gid_t groups[ASKER_GROUPS];
    socklen_t n = sizeof cred, n_groups = sizeof groups;
    *ret_a = (struct asker){.uid = UINT32_MAX};
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0)
        return false;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n_groups) != 0)
        n_groups = 0;
    const struct group *g = getgrnam(ADMIN_GROUP);
    struct admin_who w = {cred.uid, cred.gid, groups, (unsigned)(n_groups / sizeof groups[0])};
    ret_a->uid = cred.uid;
    ret_a->pid = (int32_t)cred.pid;
    ret_a->role =
        admin_role_of(&m->conf->admins, &w, geteuid(), g ? (uint32_t)g->gr_gid : UINT32_MAX);
    const struct passwd *p = getpwuid(cred.uid);
    if (p)
        (void)snprintf(ret_a->name, sizeof ret_a->name, "%.31s", p->pw_name);
    else
        (void)snprintf(ret_a->name, sizeof ret_a->name, "uid %u", (unsigned)cred.uid);
    program_name((int32_t)cred.pid, ret_a->from, sizeof ret_a->from);
    return true;
}

static void copy(char *ret, size_t cap, struct str s)
{
    s = str_head(s, cap - 1);
    if (s.n)
        memcpy(ret, s.p, s.n);
    ret[s.n] = 0;
}

/* Only these members of a request are told: whatever else there is may be a secret. */
void act_begin(struct client *c, struct str request)
{
    static const char *const WHOM[] = {"user", "peer",   "device", "address", "aor",    "number",
                                       "name", "serial", "who",    "id",      "country"};
    static const char *const HOW[] = {
        "role", "site",  "numbers", "must_change",   "seconds", "treat",  "by",       "detector",
        "off",  "drain", "label",   "second_factor", "days",    "engine", "approved", "class"};
    struct act *a = &c->act;
    *a = (struct act){0};
    struct out what = out_of(a->what, sizeof a->what - 1),
               after = out_of(a->after, sizeof a->after - 1);
    for (size_t i = 0; i < ARRAY_LEN(WHOM); i++) {
        struct str v = control_member(request, WHOM[i]);
        if (v.n && what.n + v.n + 1 < what.cap)
            out_fmt(&what, "%s%.*s", what.n ? " " : "", (int)v.n, v.p);
    }
    for (size_t i = 0; i < ARRAY_LEN(HOW); i++) {
        struct str v = control_member(request, HOW[i]);
        if (v.n && after.n + v.n + strlen(HOW[i]) + 2 < after.cap)
            out_fmt(&after, "%s%s=%.*s", after.n ? " " : "", HOW[i], (int)v.n, v.p);
    }
    struct str why = control_member(request, "reason");
    copy(a->why, sizeof a->why, why.n ? why : control_member(request, "why"));
}

void act_tell(struct monitor *m, const struct asker *by, const struct act *a, const char *command,
              uint32_t code, enum reason why)
{
    static struct fact f;
    if (code == CONTROL_FORBIDDEN && !tokens_take(&m->refusals, m->loop.now.mono, REFUSALS_PER_S))
        return;
    memset(&f, 0, sizeof f);
    f.kind = FACT_ADMIN;
    f.reason = (uint16_t)why;
    f.u.admin.uid = by->uid;
    f.u.admin.outcome = (uint8_t)MIN(code, (uint32_t)UINT8_MAX);
    TEXT_SET(f.u.admin.who, str_c(by->name));
    TEXT_SET(f.u.admin.role, str_c(admin_role_name(by->role)));
    TEXT_SET(f.u.admin.from, str_c(by->from));
    TEXT_SET(f.u.admin.act, str_c(command));
    TEXT_SET(f.u.admin.what, str_c(a->what));
    TEXT_SET(f.u.admin.why, str_c(a->why));
    TEXT_SET(f.u.admin.before, str_c(a->before));
    TEXT_SET(f.u.admin.after, str_c(a->after));
    TEXT_SET(f.u.admin.pending, str_c(a->pending));
    fact_tell(m, &f);
    notify_admin(m, by, a, command, code, why);
}

/* Who has no role is told so, and takes no place of those who have one. */
void asker_turn_away(struct monitor *m, int fd, const struct asker *by)
{
    char body[256], all[320], with[128];
    admin_roles_with(RIGHT_SEE, with, sizeof with);
    struct out o = out_of(body, sizeof body);
    char text[160];
    (void)snprintf(text, sizeof text,
                   "%s (uid %u) has no role here; see administrators: in the "
                   "configuration",
                   by->name, (unsigned)by->uid);
    out_ch(&o, '{');
    out_json_kstr(&o, STR("error"), str_c(text));
    out_json_kstr(&o, STR("reason"), reason_info(REASON_admin_unknown)->name);
    out_ch(&o, '}');
    int n =
        snprintf(all, sizeof all, "%u %zu\n%.*s", (unsigned)CONTROL_FORBIDDEN, o.n, (int)o.n, body);
    if (n > 0 && (size_t)n < sizeof all &&
        send(fd, all, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        errno = 0; /* he went */
    (void)close(fd);
    struct act none = {0};
    act_tell(m, by, &none, "connect", CONTROL_FORBIDDEN, REASON_admin_unknown);
}
