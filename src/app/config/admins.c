/* administrators: who may ask what on the control socket. */
#include "app/config/yaml.h"
#include <errno.h>
#include <grp.h>
#include <pwd.h>

#define APPROVAL_S 3600u

static const struct word ROLES[] = {
    {"viewer", ADMIN_VIEWER},   {"operator", ADMIN_OPERATOR}, {"security-officer", ADMIN_SECURITY},
    {"auditor", ADMIN_AUDITOR}, {"administrator", ADMIN_ALL}, {NULL, 0}};

const char *admin_role_name(enum admin_role r)
{
    for (unsigned i = 0; ROLES[i].word; i++)
        if (ROLES[i].value == (uint8_t)r)
            return ROLES[i].word;
    return "none";
}

struct entry {
    char user[ADMIN_NAME], group[ADMIN_NAME];
    uint32_t uid, gid;
    uint8_t role;
};
enum { F_USER = 1, F_GROUP = 2, F_UID = 4, F_GID = 8 };
static const struct field ENTRY[] = {
    {"user", rd_chars, offsetof(struct entry, user), false, 1, ADMIN_NAME - 1, NULL},
    {"group", rd_chars, offsetof(struct entry, group), false, 1, ADMIN_NAME - 1, NULL},
    {"uid", rd_u32, offsetof(struct entry, uid), false, 0, UINT32_MAX - 1, NULL},
    {"gid", rd_u32, offsetof(struct entry, gid), false, 0, UINT32_MAX - 1, NULL},
    {"role", rd_word, offsetof(struct entry, role), true, 0, 0, ROLES},
};

/* The number behind a name, now: whoever gets that name later has to be read in by a reload. */
static bool numbered(struct load *l, struct pos at, const struct entry *e, uint32_t seen,
                     uint32_t *ret_id)
{
    bool group = (seen & F_GROUP) != 0;
    const char *name = group ? e->group : e->user;
    if (l->o->no_files || !name[0])
        return name[0] != 0;
    const struct passwd *u = group ? NULL : getpwnam(name);
    const struct group *g = group ? getgrnam(name) : NULL;
    if (u || g) {
        *ret_id = u ? u->pw_uid : g->gr_gid;
        return true;
    }
    problem(l, at, "make it first, or give its number (uid or gid)",
            "administrators: this machine has no %s \"%s\"", group ? "group" : "user", name);
    return false;
}

static void one(struct load *l, struct fy_node *n)
{
    struct entry e = {.role = ADMIN_NONE};
    struct config_admins *a = &l->c->admins;
    struct pos at = pos_of(n);
    uint32_t errors = l->e->n_errors;
    uint32_t seen = map_read(l, n, "administrator", ENTRY, ARRAY_LEN(ENTRY), &e);
    uint32_t who = seen & (F_USER | F_GROUP | F_UID | F_GID);
    if (l->e->n_errors != errors)
        return;
    if (who == 0 || (who & (who - 1)) != 0) {
        problem(l, at, "for example: {user: alice, role: operator}",
                "administrators: one of user, group, uid and gid is wanted");
        return;
    }
    struct config_admin x = {.role = e.role, .group = (who & (F_GROUP | F_GID)) != 0};
    x.id = x.group ? e.gid : e.uid;
    if ((who & (F_USER | F_GROUP)) && !numbered(l, at, &e, who, &x.id))
        return;
    memcpy(x.name, x.group ? e.group : e.user, sizeof x.name);
    for (unsigned i = 0; i < a->n; i++)
        if (a->at[i].group == x.group && a->at[i].id == x.id && !l->o->no_files)
            problem(l, at, "keep one of them", "administrators: the same %s stands there twice",
                    x.group ? "group" : "user");
    a->at[a->n++] = x;
}

static void rd_who(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    void *it = NULL;
    (void)dst;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it)) && l->c->admins.n < ADMINS_MAX;)
        one(l, e);
}

/* With four eyes there must be two who may approve; root alone approves nothing of his own. */
static void judge_eyes(struct load *l, struct pos at)
{
    const struct config_admins *a = &l->c->admins;
    unsigned able = 0;
    for (unsigned i = 0; i < a->n; i++)
        able += a->at[i].role == ADMIN_SECURITY || a->at[i].role == ADMIN_ALL;
    if (a->four_eyes && able == 0)
        problem(l, at, "add one of role security-officer or administrator",
                "administrators: four_eyes without anybody who could be the second person");
}

void read_administrators(struct load *l, struct fy_node *n)
{
    static const struct field MAP[] = {
        {"four_eyes", rd_bool, offsetof(struct config_admins, four_eyes), false, 0, 0, NULL},
        {"approval", rd_seconds, offsetof(struct config_admins, approval_s), false, 60, 7 * 86400,
         NULL},
        {"who", rd_who, 0, true, 0, ADMINS_MAX, NULL},
    };
    struct config_admins *a = &l->c->admins;
    *a = (struct config_admins){.said = true, .approval_s = APPROVAL_S};
    if (fy_node_is_mapping(n)) {
        (void)map_read(l, n, "administrators", MAP, ARRAY_LEN(MAP), a);
        judge_eyes(l, pos_of(n));
    } else {
        static const struct field LIST = {"administrators", rd_who, 0, false, 0, ADMINS_MAX, NULL};
        rd_who(l, &LIST, n, a);
    }
}
