#include "app/monitor/rights.h"
#include "base/out.h"

#define SEE(name, to)                                                                              \
    {                                                                                              \
        name, RIGHT_SEE, to, false, false                                                          \
    }
#define READ(name, right, to)                                                                      \
    {                                                                                              \
        name, right, to, false, false                                                              \
    }
#define CHANGE(name, right, to)                                                                    \
    {                                                                                              \
        name, right, to, true, false                                                               \
    }
#define RISKY(name, right, to)                                                                     \
    {                                                                                              \
        name, right, to, true, true                                                                \
    }
/* Whether a reload is risky is found in the two files (risky.c). */
const struct admin_command ADMIN_COMMANDS[] = {
    SEE("status", TO_MONITOR),
    SEE("metrics", TO_MONITOR),
    SEE("bans", TO_MONITOR),
    SEE("bans-show", TO_MONITOR),
    CHANGE("bans-add", RIGHT_OPERATE, TO_MONITOR),
    CHANGE("bans-release", RIGHT_OPERATE, TO_MONITOR),
    CHANGE("reload", RIGHT_OPERATE, TO_MONITOR),
    CHANGE("drain", RIGHT_OPERATE, TO_MONITOR),
    CHANGE("stop", RIGHT_ALL, TO_MONITOR),
    READ("approvals", RIGHT_RECORDS, TO_MONITOR),
    CHANGE("approvals-approve", RIGHT_APPROVE, TO_MONITOR),
    CHANGE("approvals-deny", RIGHT_APPROVE, TO_MONITOR),
    CHANGE("break-glass", RIGHT_ALL, TO_MONITOR),
    SEE("notify", TO_MONITOR),
    CHANGE("notify-test", RIGHT_OPERATE, TO_MONITOR),

    SEE("calls", TO_ENGINES),
    SEE("peers", TO_ENGINES),
    SEE("transactions", TO_ENGINES),
    SEE("shield-top", TO_ENGINES),
    READ("shield-explain", RIGHT_RECORDS, TO_ENGINES),
    CHANGE("kick", RIGHT_OPERATE, TO_ENGINES),
    SEE("rates", TO_ENGINES),
    SEE("rates-show", TO_ENGINES),
    SEE("rates-list", TO_ENGINES),
    READ("stir", RIGHT_RECORDS, TO_ENGINES),
    READ("stir-status", RIGHT_RECORDS, TO_ENGINES),
    READ("explain-call", RIGHT_RECORDS, TO_ENGINES),
    READ("fraud", RIGHT_RECORDS, TO_ENGINES),
    READ("fraud-status", RIGHT_RECORDS, TO_ENGINES),
    READ("fraud-caps", RIGHT_RECORDS, TO_ENGINES),
    READ("fraud-locks", RIGHT_RECORDS, TO_ENGINES),
    READ("fraud-explain", RIGHT_RECORDS, TO_ENGINES),
    READ("fraud-top", RIGHT_RECORDS, TO_MONITOR),
    CHANGE("fraud-lock", RIGHT_OPERATE, TO_ENGINES),
    RISKY("fraud-release", RIGHT_SECURITY, TO_ENGINES),
    RISKY("fraud-accept", RIGHT_SECURITY, TO_MONITOR),

    SEE("bindings", TO_STORE),
    SEE("facts", TO_STORE),
    READ("cdr", RIGHT_RECORDS, TO_STORE),
    READ("explain", RIGHT_RECORDS, TO_STORE),
    READ("events", RIGHT_RECORDS, TO_STORE),
    READ("alerts", RIGHT_RECORDS, TO_STORE),
    READ("evidence", RIGHT_RECORDS, TO_STORE),
    READ("store-who", RIGHT_RECORDS, TO_STORE),
    READ("audit", RIGHT_AUDIT, TO_STORE),

    SEE("user-list", TO_VAULT),
    CHANGE("user-add", RIGHT_USERS, TO_VAULT),
    CHANGE("user-set", RIGHT_USERS, TO_VAULT),
    CHANGE("user-passwd", RIGHT_USERS, TO_VAULT),
    CHANGE("user-md5", RIGHT_SECURITY, TO_VAULT),
    CHANGE("user-role", RIGHT_USERS, TO_VAULT),
    CHANGE("user-del", RIGHT_USERS, TO_VAULT),
    CHANGE("user-unlock", RIGHT_USERS, TO_VAULT),
    SEE("peer-list", TO_VAULT),
    CHANGE("peer-secret", RIGHT_SECURITY, TO_VAULT),
    CHANGE("peer-del", RIGHT_SECURITY, TO_VAULT),
    SEE("device-list", TO_VAULT),
    CHANGE("device-approve", RIGHT_SECURITY, TO_VAULT),
    CHANGE("device-rename", RIGHT_USERS, TO_VAULT),
    CHANGE("device-revoke", RIGHT_SECURITY, TO_VAULT),
    SEE("country-list", TO_VAULT),
    RISKY("country-allow", RIGHT_SECURITY, TO_VAULT),
    CHANGE("country-forget", RIGHT_USERS, TO_VAULT),
    SEE("otp-list", TO_VAULT),
    CHANGE("otp-enrol", RIGHT_SECURITY, TO_VAULT),
    CHANGE("otp-remove", RIGHT_SECURITY, TO_VAULT),
    SEE("cert-list", TO_VAULT),
    CHANGE("cert-issue", RIGHT_SECURITY, TO_VAULT),
    CHANGE("cert-renew", RIGHT_SECURITY, TO_VAULT),
    CHANGE("cert-revoke", RIGHT_SECURITY, TO_VAULT),
    CHANGE("token-issue", RIGHT_SECURITY, TO_VAULT),
    CHANGE("token-secret", RIGHT_SECURITY, TO_VAULT),
    CHANGE("secret-set", RIGHT_SECURITY, TO_VAULT),
    CHANGE("secret-remove", RIGHT_SECURITY, TO_VAULT),
    READ("secret-list", RIGHT_SECURITY, TO_VAULT),
    CHANGE("stir-key", RIGHT_SECURITY, TO_VAULT),
    CHANGE("stir-csr", RIGHT_SECURITY, TO_VAULT),
    READ("stir-fits", RIGHT_SECURITY, TO_VAULT),
    SEE("cert-authority", TO_VAULT),

    /* Families: what has no row of its own is the administrator's alone. */
    CHANGE("user-", RIGHT_ALL, TO_VAULT),
    CHANGE("peer-", RIGHT_ALL, TO_VAULT),
    CHANGE("device-", RIGHT_ALL, TO_VAULT),
    CHANGE("country-", RIGHT_ALL, TO_VAULT),
    CHANGE("otp-", RIGHT_ALL, TO_VAULT),
    CHANGE("cert-", RIGHT_ALL, TO_VAULT),
    CHANGE("token-", RIGHT_ALL, TO_VAULT),
    CHANGE("secret-", RIGHT_ALL, TO_VAULT),
    CHANGE("key-", RIGHT_ALL, TO_VAULT),
    CHANGE("vault-", RIGHT_ALL, TO_VAULT),
    CHANGE("store-", RIGHT_ALL, TO_STORE),
    CHANGE("engine-", RIGHT_ALL, TO_ENGINES),
    CHANGE("rates-", RIGHT_ALL, TO_ENGINES),
    CHANGE("stir-", RIGHT_ALL, TO_ENGINES),
    CHANGE("fraud-", RIGHT_ALL, TO_ENGINES),
};
const unsigned ADMIN_COMMANDS_N = ARRAY_LEN(ADMIN_COMMANDS);

static const uint8_t HOLDS[ADMIN_ROLES] = {
    [ADMIN_VIEWER] = RIGHT_SEE,
    [ADMIN_AUDITOR] = RIGHT_SEE | RIGHT_RECORDS | RIGHT_AUDIT,
    [ADMIN_OPERATOR] = RIGHT_SEE | RIGHT_RECORDS | RIGHT_OPERATE | RIGHT_USERS,
    [ADMIN_SECURITY] = RIGHT_SEE | RIGHT_RECORDS | RIGHT_AUDIT | RIGHT_OPERATE | RIGHT_USERS |
                       RIGHT_SECURITY | RIGHT_APPROVE,
    [ADMIN_ALL] = 0xff,
};

const struct admin_command *admin_command(struct str name)
{
    const struct admin_command *family = NULL;
    for (unsigned i = 0; i < ADMIN_COMMANDS_N; i++) {
        struct str row = str_c(ADMIN_COMMANDS[i].name);
        if (str_eq(name, row))
            return row.p[row.n - 1] == '-' ? NULL : &ADMIN_COMMANDS[i];
        if (row.p[row.n - 1] == '-' && str_starts(name, row))
            family = &ADMIN_COMMANDS[i];
    }
    return family;
}

bool admin_may(enum admin_role role, uint8_t right)
{
    return role < ADMIN_ROLES && right != 0 && (HOLDS[role] & right) == right;
}

void admin_roles_with(uint8_t right, char *ret, size_t cap)
{
    unsigned n = 0, at = 0;
    struct out o = out_of(ret, cap - 1);
    for (unsigned r = ADMIN_VIEWER; r < ADMIN_ROLES; r++)
        n += admin_may((enum admin_role)r, right);
    /* the mightiest last */
    static const uint8_t ORDER[] = {ADMIN_VIEWER, ADMIN_AUDITOR, ADMIN_OPERATOR, ADMIN_SECURITY,
                                    ADMIN_ALL};
    for (unsigned i = 0; i < ARRAY_LEN(ORDER); i++) {
        if (!admin_may((enum admin_role)ORDER[i], right))
            continue;
        out_put(&o, at == 0 ? STR_NONE : at + 1 == n ? STR(" or ") : STR(", "));
        out_put(&o, str_c(admin_role_name((enum admin_role)ORDER[i])));
        at++;
    }
    ret[o.n] = 0;
}

static bool in_group(const struct admin_who *w, uint32_t gid)
{
    bool in = w->gid == gid;
    for (unsigned i = 0; i < w->n_groups; i++)
        in = in || w->groups[i] == gid;
    return in;
}

enum admin_role admin_role_of(const struct config_admins *a, const struct admin_who *w,
                              uint32_t own_uid, uint32_t own_group)
{
    for (unsigned i = 0; i < a->n; i++)
        if (!a->at[i].group && a->at[i].id == w->uid)
            return (enum admin_role)a->at[i].role;
    if (w->uid == 0 || w->uid == own_uid)
        return ADMIN_ALL;
    for (unsigned i = 0; i < a->n; i++)
        if (a->at[i].group && in_group(w, a->at[i].id))
            return (enum admin_role)a->at[i].role;
    if (!a->said && own_group != UINT32_MAX && in_group(w, own_group))
        return ADMIN_ALL;
    return ADMIN_NONE;
}
