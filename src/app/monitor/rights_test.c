#include "app/monitor/rights.h"
#include "app/monitor/risky.h"
#include "base/test.h"
#include <dirent.h>
#include <stdio.h>

static struct config_admins file_of(void)
{
    return (struct config_admins){.said = true,
                                  .n = 4,
                                  .at = {{"alice", 1000, ADMIN_OPERATOR, false},
                                         {"bob", 1001, ADMIN_AUDITOR, false},
                                         {"voip", 500, ADMIN_VIEWER, true},
                                         {"sec", 501, ADMIN_SECURITY, true}}};
}

static enum admin_role role_of(const struct config_admins *a, uint32_t uid, uint32_t gid,
                               uint32_t more)
{
    struct admin_who w = {uid, gid, &more, 1};
    return admin_role_of(a, &w, 77, 99);
}

static void who_is_who(void **state)
{
    (void)state;
    struct config_admins a = file_of(), none = {0};
    assert_int_equal(role_of(&a, 0, 0, 0), ADMIN_ALL);
    assert_int_equal(role_of(&a, 77, 77, 77), ADMIN_ALL);          /* who runs it */
    assert_int_equal(role_of(&a, 1000, 501, 500), ADMIN_OPERATOR); /* himself before his groups */
    assert_int_equal(role_of(&a, 1001, 1, 1), ADMIN_AUDITOR);
    assert_int_equal(role_of(&a, 7, 500, 501), ADMIN_VIEWER); /* the first in the file */
    assert_int_equal(role_of(&a, 7, 3, 501), ADMIN_SECURITY);
    assert_int_equal(role_of(&a, 500, 3, 3), ADMIN_NONE); /* a gid is no uid */
    assert_int_equal(role_of(&a, 7, 99, 99), ADMIN_NONE); /* the file says who */
    a.at[0] = (struct config_admin){"root", 0, ADMIN_VIEWER, false};
    assert_int_equal(role_of(&a, 0, 0, 0), ADMIN_VIEWER);
    assert_int_equal(role_of(&none, 0, 0, 0), ADMIN_ALL);
    assert_int_equal(role_of(&none, 77, 1, 1), ADMIN_ALL);
    assert_int_equal(role_of(&none, 7, 99, 1), ADMIN_ALL);
    assert_int_equal(role_of(&none, 7, 1, 99), ADMIN_ALL);
    assert_int_equal(role_of(&none, 7, 1, 1), ADMIN_NONE);
}

/* Written down apart from the table: what each role may. */
static bool expected(const char *c, enum admin_role r)
{
    static const char *const LOOK[] = {
        "status",   "metrics",      "bans",          "bans-show", "notify",      "calls",
        "peers",    "transactions", "shield-top",    "rates",     "rates-show",  "rates-list",
        "bindings", "facts",        "user-list",     "peer-list", "device-list", "country-list",
        "otp-list", "cert-list",    "cert-authority"};
    static const char *const RECORDS[] = {
        "approvals",    "shield-explain", "stir",        "stir-status",   "explain-call", "fraud",
        "fraud-status", "fraud-caps",     "fraud-locks", "fraud-explain", "cdr",          "explain",
        "events",       "alerts",         "evidence",    "store-who",     "fraud-top"};
    static const char *const OPERATE[] = {
        "bans-add",  "bans-release", "reload",      "drain",         "notify-test",
        "kick",      "fraud-lock",   "user-add",    "user-set",      "user-passwd",
        "user-role", "user-del",     "user-unlock", "device-rename", "country-forget"};
    static const char *const SECURITY[] = {
        "approvals-approve", "approvals-deny", "fraud-release", "fraud-accept",   "country-allow",
        "user-md5",          "peer-secret",    "peer-del",      "device-approve", "device-revoke",
        "otp-enrol",         "otp-remove",     "cert-issue",    "cert-renew",     "cert-revoke",
        "token-issue",       "token-secret",   "secret-set",    "secret-remove",  "secret-list",
        "stir-key",          "stir-csr",       "stir-fits"};
#define IN(list)                                                                                   \
    for (size_t i = 0; i < ARRAY_LEN(list); i++)                                                   \
        if (strcmp(list[i], c) == 0)
    IN(LOOK)
    return r != ADMIN_NONE;
    IN(RECORDS)
    return r != ADMIN_NONE && r != ADMIN_VIEWER;
    if (strcmp(c, "audit") == 0)
        return r == ADMIN_AUDITOR || r == ADMIN_SECURITY || r == ADMIN_ALL;
    IN(OPERATE)
    return r == ADMIN_OPERATOR || r == ADMIN_SECURITY || r == ADMIN_ALL;
    IN(SECURITY)
    return r == ADMIN_SECURITY || r == ADMIN_ALL;
    return r == ADMIN_ALL;
}

static void every_command_by_every_role(void **state)
{
    (void)state;
    unsigned pairs = 0;
    for (unsigned i = 0; i < ADMIN_COMMANDS_N; i++) {
        const struct admin_command *k = &ADMIN_COMMANDS[i];
        for (unsigned r = 0; r < ADMIN_ROLES; r++, pairs++)
            if (admin_may((enum admin_role)r, k->right) != expected(k->name, (enum admin_role)r))
                fail_msg("%s by %s", k->name, admin_role_name((enum admin_role)r));
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(k->name, ADMIN_COMMANDS[j].name);
        if (k->risky)
            assert_true(k->changes);
        if (k->name[strlen(k->name) - 1] != '-')
            assert_ptr_equal(admin_command(str_c(k->name)), k);
    }
    assert_true(pairs > 300);
    assert_null(admin_command(STR("")));
    assert_null(admin_command(STR("nonsense")));
    assert_null(admin_command(STR("statu")));
    assert_null(admin_command(STR("status2")));
    assert_null(admin_command(STR("user-")));
    assert_int_equal(admin_command(STR("user-invent"))->right, RIGHT_ALL);
    assert_true(admin_command(STR("user-invent"))->changes);
}

/* -- no command without a row: the sources are read for what they send -- */

static unsigned found;

static void judge_name(const char *file, struct str name)
{
    found++;
    const struct admin_command *k = admin_command(name);
    if (!k || k->name[strlen(k->name) - 1] == '-')
        fail_msg("%s: the command \"%.*s\" has no row in rights.c", file, (int)name.n, name.p);
}

/* Words of other tables in the vault's files. */
static bool of_family(struct str name)
{
    static const char *const FAMILIES[] = {"user-", "peer-", "device-", "otp-", "cert-", "token-"};
    for (size_t i = 0; i < ARRAY_LEN(FAMILIES); i++)
        if (str_starts(name, str_c(FAMILIES[i])))
            return true;
    return false;
}

static void names_after(const char *file, struct str text, struct str mark)
{
    for (;;) {
        size_t at = str_search(text, mark);
        if (at == text.n)
            return;
        text = str_skip(text, at + mark.n);
        size_t n = 0;
        while (n < text.n && (text.p[n] == '-' || (text.p[n] >= 'a' && text.p[n] <= 'z') ||
                              (text.p[n] >= '0' && text.p[n] <= '9')))
            n++;
        if (n > 0 && text.p[n - 1] != '-' && (mark.p[0] != '{' || of_family(str_head(text, n))))
            judge_name(file, str_head(text, n));
    }
}

static void sources_of(const char *folder, struct str mark)
{
    char path[512];
    static char text[1u << 20];
    (void)snprintf(path, sizeof path, "%s/%s", SOURCE_ROOT, folder);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *f; (f = readdir(d));) {
        size_t n = strlen(f->d_name);
        if (n < 3 || strcmp(f->d_name + n - 2, ".c") != 0 || strstr(f->d_name, "_test.c"))
            continue;
        (void)snprintf(path, sizeof path, "%s/%s/%.200s", SOURCE_ROOT, folder, f->d_name);
        FILE *in = fopen(path, "re");
        assert_non_null(in);
        n = fread(text, 1, sizeof text, in);
        (void)fclose(in);
        names_after(f->d_name, str_of(text, n), mark);
    }
    (void)closedir(d);
}

static void no_command_without_a_row(void **state)
{
    (void)state;
    sources_of("src/app/cli", STR("request_begin(&o, \""));
    sources_of("src/app/cli", STR("\\\"cmd\\\":\\\""));
    sources_of("src/app/vault", STR("{\"")); /* the vault's own table */
    assert_true(found > 15);
}

static void roles_in_words(void **state)
{
    (void)state;
    char text[128];
    admin_roles_with(RIGHT_OPERATE, text, sizeof text);
    assert_string_equal(text, "operator, security-officer or administrator");
    admin_roles_with(RIGHT_ALL, text, sizeof text);
    assert_string_equal(text, "administrator");
    admin_roles_with(RIGHT_AUDIT, text, sizeof text);
    assert_string_equal(text, "auditor, security-officer or administrator");
}

/* -- risks -- */

static struct config *base(void)
{
    static const char TEXT[] =
        "domains: [example.com]\n"
        "listeners:\n  - {name: lan, transport: udp, address: \"127.0.0.1:5060\"}\n"
        "zones:\n  - {name: lan, listeners: [lan], sources: [127.0.0.0/8], media: rtp}\n"
        "waivers:\n  - {name: old, zone: lan, allow: [plain-signalling, plain-media], owner: alice,"
        " reason: test, expires: 2098-01-01}\n"
        "roles:\n  - {name: user, outbound: no}\n"
        "guard: {exempt: [192.0.2.0/24]}\n"
        "administrators: {four_eyes: yes, who: [{uid: 1000, role: operator}, {uid: 1001, role: "
        "security-officer}]}\n";
    static struct config_errors e;
    struct config *c = calloc(1, sizeof *c);
    struct config_opts o = {.now = {INT64_C(1700000000000000)}, .cpus = 1, .no_files = true};
    assert_non_null(c);
    enum err r = config_load_text(str_c(TEXT), "test", &o, c, &e);
    if (r != OK)
        fail_msg("%u: %s", e.at[0].line, e.at[0].text);
    return c;
}

typedef void change_fn(struct config *);

static void no_change(struct config *c)
{
    (void)c;
}
static void close_class(struct config *c)
{
    c->policy.roles[0].rights.classes = 0;
}
static void open_premium(struct config *c)
{
    c->policy.roles[0].rights.classes |= 1u << CLASS_PREMIUM;
}
static void open_country(struct config *c)
{
    struct rights_role *r = &c->policy.roles[0].rights;
    r->countries[r->n_countries++] = (uint16_t)('C' << 8 | 'U');
}
static void call_out(struct config *c)
{
    c->policy.roles[0].outbound = true;
}
static void raise_cap(struct config *c)
{
    c->policy.roles[0].caps.micro[SPAN_DAY]++;
}
static void no_cap(struct config *c)
{
    c->policy.system.calls = 0;
}
static void lower_cap(struct config *c)
{
    c->policy.roles[0].caps.micro[SPAN_DAY]--;
}
static void longer_waiver(struct config *c)
{
    c->policy.waivers[0].expires.us++;
}
static void shorter_waiver(struct config *c)
{
    c->policy.waivers[0].expires.us--;
}
static void dry_run(struct config *c)
{
    c->policy.guard.dry_run = true;
}
static void exempt_within(struct config *c)
{
    struct guard_policy *g = &c->policy.guard;
    g->exempt[g->n_exempt] = g->exempt[0];
    g->exempt[g->n_exempt++].bits = 25;
}
static void exempt_more(struct config *c)
{
    c->policy.guard.exempt[0].bits = 23;
}
static void detector_off(struct config *c)
{
    c->policy.guard.detectors[0].off = 1;
}
static void fraud_dry(struct config *c)
{
    c->policy.fraud.dry_run = true;
}
static void two_eyes(struct config *c)
{
    c->admins.four_eyes = false;
}
static void promote(struct config *c)
{
    c->admins.at[0].role = ADMIN_ALL;
}
static void demote(struct config *c)
{
    c->admins.at[1].role = ADMIN_VIEWER;
}
static void no_password(struct config *c)
{
    c->policy.zones[0].authenticate = false;
}

static void risky_or_not(void **state)
{
    (void)state;
    static const struct {
        change_fn *change;
        const char *says; /* NULL: not risky */
    } ROWS[] = {{no_change, NULL},
                {close_class, NULL},
                {lower_cap, NULL},
                {shorter_waiver, NULL},
                {exempt_within, NULL},
                {demote, NULL},
                {open_premium, "opens premium to role user"},
                {open_country, "opens the country CU to role user"},
                {call_out, "lets role user call out"},
                {raise_cap, "raises the cap of money a day of an identity of role user"},
                {no_cap, "raises the cap of calls at once of the whole system"},
                {longer_waiver, "waives protection of zone lan by old"},
                {dry_run, "the shield only watches"},
                {exempt_more, "exempts 192.0.2.0/23 from bans"},
                {detector_off, "switches the detector"},
                {fraud_dry, "fraud is only watched"},
                {two_eyes, "ends the rule of four eyes"},
                {promote, "makes user  (1000) administrator"},
                {no_password, "asks nobody in zone lan for a password"}};
    static struct risks r;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct config *a = base(), *b = base();
        a->policy.roles[0].caps.micro[SPAN_DAY] = b->policy.roles[0].caps.micro[SPAN_DAY] = 1000;
        a->policy.system.calls = b->policy.system.calls = 5;
        a->policy.zones[0].authenticate = b->policy.zones[0].authenticate = true;
        ROWS[i].change(b);
        risks_find(a, b, &r);
        if ((r.n == 0) != (ROWS[i].says == NULL) || (ROWS[i].says && !strstr(r.text, ROWS[i].says)))
            fail_msg("row %zu: %u: %s", i, r.n, r.text);
        if (ROWS[i].says) { /* and back is no risk */
            risks_find(b, a, &r);
            if (r.n && ROWS[i].change != open_country)
                fail_msg("row %zu back: %s", i, r.text);
        }
        free(a);
        free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_who),
        cmocka_unit_test(every_command_by_every_role),
        cmocka_unit_test(no_command_without_a_row),
        cmocka_unit_test(roles_in_words),
        cmocka_unit_test(risky_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
