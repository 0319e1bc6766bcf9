/* What waits for a second person, and the glass that was broken, over a restart: a file of the
 * state folder, with a keyed checksum, written at each change. What it holds is judged member by
 * member before it is believed; a damaged one is told, and nothing waits any more. */
#include "app/monitor/state.h"
#include "io/clock.h"
#include "io/file.h"
#include <errno.h>

#define FILE_MAGIC UINT64_C(0x3141505057474e52)

struct kept {
    uint64_t magic, check; /* siphash of all, with 0 here */
    struct approvals all;
};

static void path_of(const struct monitor *m, char ret[CONFIG_PATH + 32])
{
    (void)snprintf(ret, CONFIG_PATH + 32, "%s/approvals", m->state);
}

static uint64_t check_of(const struct monitor *m, struct kept *k)
{
    uint64_t was = k->check;
    k->check = 0;
    uint64_t h = siphash(&m->keys.ledger, str_of((const char *)k, sizeof *k));
    k->check = was;
    return h;
}

void approvals_keep(struct monitor *m)
{
    static struct kept k;
    char path[CONFIG_PATH + 32];
    path_of(m, path);
    memset(&k, 0, sizeof k);
    k.magic = FILE_MAGIC;
    memcpy(&k.all, &m->approvals, sizeof k.all);
    k.check = check_of(m, &k);
    if (file_write(path, &k, sizeof k, 0600) != OK)
        monitor_log(m, SEV_ALERT, "%s: %s: what waits is lost at a restart", path, strerror(errno));
    mem_wipe(&k, sizeof k);
}

static bool ended(const char *text, size_t cap)
{
    return memchr(text, 0, cap) != NULL;
}

static bool approval_sound(const struct approval *a)
{
    struct str req = str_of(a->request, MIN(a->n, sizeof a->request));
    return a->n && a->n <= sizeof a->request && a->by.role > ADMIN_NONE &&
           a->by.role < ADMIN_ROLES && ended(a->by.name, sizeof a->by.name) &&
           ended(a->by.from, sizeof a->by.from) && ended(a->why, sizeof a->why) &&
           ended(a->what, sizeof a->what) && (a->of.n == 0 || a->of.n == sizeof a->of.sha256) &&
           control_sound(req) && admin_command(control_member(req, "cmd"));
}

static bool all_sound(const struct approvals *all)
{
    bool ok = ended(all->glass.who, sizeof all->glass.who) &&
              ended(all->glass.why, sizeof all->glass.why) &&
              ended(all->glass.what, sizeof all->glass.what);
    for (unsigned i = 0; i < APPROVALS_MAX && ok; i++)
        ok = !all->at[i].id || (all->at[i].id <= all->last && approval_sound(&all->at[i]));
    return ok;
}

/* Its time goes on by the clock on the wall; never longer than it was. */
static void restore(struct monitor *m, struct approval *a, struct now now)
{
    int64_t all = a->until.us - a->asked.us, left = a->until.us - now.wall.us;
    left = MIN(MAX(left, 0), MIN(MAX(all, 0), INT64_C(1000000) * m->conf->admins.approval_s));
    a->due = instant_add(now.mono, DUR_US(left));
    if (!left)
        return; /* approvals_turn tells that nobody approved it in time */
    struct act act = {0};
    (void)snprintf(act.what, sizeof act.what, "%.95s", a->what);
    (void)snprintf(act.why, sizeof act.why, "%s", a->why);
    (void)snprintf(act.pending, sizeof act.pending, "%u", (unsigned)a->id);
    (void)snprintf(act.after, sizeof act.after, "waits on after a restart");
    act_tell(m, &a->by, &act, "approval-restored", CONTROL_WAITS, REASON_admin_second);
    monitor_log(m, SEV_NOTICE, "approval %u of %s waits on", (unsigned)a->id, a->by.name);
}

void approvals_open(struct monitor *m)
{
    static struct kept k;
    char path[CONFIG_PATH + 32];
    size_t n = 0;
    path_of(m, path);
    enum err e = file_read(path, &k, sizeof k, &n);
    if (e == ERR_NOT_FOUND)
        return;
    if (e != OK || n != sizeof k || k.magic != FILE_MAGIC || check_of(m, &k) != k.check ||
        !all_sound(&k.all)) {
        monitor_log(m, SEV_ALERT, "%s is damaged: nothing waits for a second person any more",
                    path);
        monitor_fact(m, NULL, 0, 0, "approvals damaged");
        approvals_keep(m);
        return;
    }
    memcpy(&m->approvals, &k.all, sizeof m->approvals);
    mem_wipe(&k, sizeof k);
    struct now now = clock_now();
    for (unsigned i = 0; i < APPROVALS_MAX; i++)
        if (m->approvals.at[i].id)
            restore(m, &m->approvals.at[i], now);
    if (m->approvals.glass.at.us > now.wall.us)
        m->approvals.glass.at = now.wall;
}
