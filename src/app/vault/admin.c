#include "app/vault/admin_in.h"
#include "app/vault/authority.h"
#include "app/vault/web.h"
#include "crypto/password.h"
#include <jansson.h>
#include <unistd.h>

#define REPLY_ROOM 2048u

void admin_refuse(struct job *j, enum control_code code, const char *why, struct str what)
{
    struct str shown = str_head(what, 300);
    j->o.n = 0;
    j->o.full = false;
    out_ch(&j->o, '{');
    out_json_key(&j->o, STR("error"));
    char text[700];
    int n = snprintf(text, sizeof(text), "%s" STR_FMT, why, STR_ARG(shown));
    out_json_str(&j->o, str_of(text, n > 0 ? MIN((size_t)n, sizeof(text) - 1) : 0));
    out_ch(&j->o, '}');
    j->r->code = code;
}

struct str admin_member(struct job *j, const char *key)
{
    const json_t *v = json_object_get(j->req, key);
    return json_is_string(v) ? str_of(json_string_value(v), json_string_length(v)) : STR_NONE;
}

/* The user's address with the default domain where it names none. false: refused. */
static bool aor_of(struct job *j, char ret[USER_AOR_MAX + 1], struct str *ret_aor)
{
    struct str user = admin_member(j, "user"), domain = str_c(j->a->domain);
    struct out o = out_of(ret, USER_AOR_MAX);
    out_put(&o, user);
    if (str_find(user, '@') >= user.n) {
        if (domain.n == 0) {
            admin_refuse(j, CONTROL_BAD_REQUEST, "say which domain: NAME@DOMAIN instead of ", user);
            return false;
        }
        out_ch(&o, '@');
        out_put(&o, domain);
    }
    *ret_aor = out_str(&o);
    if (user.n > 0 && !o.full)
        return true;
    admin_refuse(j, CONTROL_BAD_REQUEST,
                 "a user's address is NAME@DOMAIN of at most 128 characters", STR_NONE);
    return false;
}

struct user *admin_known(struct job *j)
{
    char text[USER_AOR_MAX + 1];
    struct str aor, name;
    if (!aor_of(j, text, &aor))
        return NULL;
    struct str domain = str_cut(aor, '@', &name);
    struct user *x = users_find(j->a->users, name, domain);
    if (!x)
        admin_refuse(j, CONTROL_NOT_FOUND, "there is no user ", aor);
    return x;
}

static bool save_users(struct job *j)
{
    if (!j->a->disk || disk_users_save(j->a->disk, j->a->users) == OK)
        return true;
    admin_refuse(j, CONTROL_FAILED, "nothing was changed: ", str_c(j->a->disk->why));
    return false;
}

/* Why x was not taken: a number of it that is another's, or the table. */
static void not_put(struct job *j, const struct user *x, enum err e)
{
    if (e != ERR_EXISTS) {
        admin_refuse(j, CONTROL_FAILED, "too many users, or no memory", STR_NONE);
        return;
    }
    for (unsigned i = 0; i < x->n_numbers; i++) {
        char text[300];
        struct out o = out_of(text, sizeof(text));
        out_ch(&o, '+');
        out_u64(&o, x->numbers[i]);
        const struct user *who = users_number(j->a->users, out_str(&o));
        if (!who || strcmp(who->aor, x->aor) == 0)
            continue;
        OUT_LIT(&o, " is the number of ");
        out_put(&o, str_c(who->aor));
        OUT_LIT(&o, "; take it from there first");
        admin_refuse(j, CONTROL_REFUSED, "", out_str(&o));
        return;
    }
}

/* Puts x in place of what was there, saves, or takes it back. Takes x. */
static bool commit(struct job *j, struct user *x)
{
    struct user *old = NULL, *gone = NULL;
    enum err e = users_put(j->a->users, x, &old);
    if (e != OK) {
        not_put(j, x, e);
        user_free(x);
        return false;
    }
    if (save_users(j)) {
        user_free(old);
        j->a->users_changed = true;
        return true;
    }
    if (!old)
        gone = users_take(j->a->users, user_name(x), user_domain(x));
    else if (users_put(j->a->users, old, &gone) != OK)
        gone = NULL;
    user_free(gone);
    return false;
}

bool admin_password_good(const struct admin *a, struct str name, struct str domain,
                         struct str password, char why[PASSWORD_WHY])
{
    struct password_rules r = {.min = a->password_min, .breach_fd = -1};
    if (a->breach_list.n > 0 && a->disk &&
        password_list_open(a->disk->folder, a->breach_list, &r.breach_fd) != OK) {
        (void)snprintf(why, PASSWORD_WHY,
                       "the list of known passwords vault/%.*s cannot be read: put it there, or "
                       "let one be made",
                       (int)MIN(a->breach_list.n, 60u), a->breach_list.p);
        return false;
    }
    bool good = password_good(&r, name, domain, password, why);
    if (r.breach_fd >= 0)
        (void)close(r.breach_fd);
    return good;
}

/* Sets the password of the request, or a fresh one, which the reply then tells. */
static bool set_password(struct job *j, struct user *x)
{
    char fresh[PASSWORD_CHARS], why[PASSWORD_WHY];
    struct str given = admin_member(j, "password");
    bool make = !json_object_get(j->req, "password");
    if (make) {
        password_make(j->a->rng, fresh);
        given = str_of(fresh, sizeof(fresh));
    } else if (!admin_password_good(j->a, user_name(x), user_domain(x), given, why)) {
        admin_refuse(j, CONTROL_REFUSED, why, STR_NONE);
        return false;
    }
    if (user_password(x, given) != OK) {
        admin_refuse(j, CONTROL_FAILED, "the library cannot hash", STR_NONE);
        return false;
    }
    x->changed = j->a->now;
    x->must_change = false;
    out_json_kstr(&j->o, STR("user"), str_c(x->aor));
    out_json_kstr(&j->o, STR("role"), str_c(x->role));
    if (make)
        out_json_kstr(&j->o, STR("password"), given);
    mem_wipe(fresh, sizeof(fresh));
    return true;
}

/* Takes the waiver of the request over. false: refused. Without one: true, nothing changed. */
static bool set_md5(struct job *j, struct user *x)
{
    const json_t *w = json_object_get(j->req, "md5");
    if (!w)
        return true;
    if (json_is_null(w))
        return user_md5_waive(x, (struct wall){0}, STR_NONE, STR_NONE) == OK;
    json_int_t until = json_integer_value(json_object_get(w, "until"));
    const char *owner = json_string_value(json_object_get(w, "owner"));
    const char *reason = json_string_value(json_object_get(w, "reason"));
    if (until > 0 && until <= INT64_MAX / 1000000 && until * 1000000 > j->a->now.us &&
        json_object_size(w) == 3 &&
        user_md5_waive(x, (struct wall){until * 1000000}, str_c(owner), str_c(reason)) == OK)
        return true;
    admin_refuse(
        j, CONTROL_REFUSED,
        "a waiver for MD5 wants until (a date to come), owner (up to 64 characters) and reason "
        "(up to 128)",
        STR_NONE);
    return false;
}

static bool set_role(struct job *j, struct user *x)
{
    if (!json_object_get(j->req, "role") || user_role(x, admin_member(j, "role")) == OK)
        return true;
    admin_refuse(j, CONTROL_REFUSED, "a role is named by up to 20 letters, digits, - and _",
                 STR_NONE);
    return false;
}

static bool set_numbers(struct job *j, struct user *x)
{
    const json_t *list = json_object_get(j->req, "numbers"), *v;
    enum err e = OK;
    size_t i;
    if (!list)
        return true;
    x->n_numbers = 0;
    json_array_foreach(list, i, v)
    {
        const char *text = json_string_value(v);
        struct str one = str_c(text ? text : "");
        e = user_number(x, one);
        if (e == OK)
            continue;
        admin_refuse(j, e == ERR_FULL ? CONTROL_FAILED : CONTROL_REFUSED,
                     e == ERR_LIMIT ? "a user has at most 16 numbers; one too many is "
                     : e == ERR_EXISTS
                         ? "given twice: "
                         : "a number is + and country, then the rest, like +4930123456; "
                           "not ",
                     one);
        return false;
    }
    return true;
}

/* Site, numbers and flags that the request names. */
static bool set_facts(struct job *j, struct user *x)
{
    const json_t *change = json_object_get(j->req, "must_change");
    const json_t *factor = json_object_get(j->req, "second_factor");
    if (json_object_get(j->req, "site") && user_site(x, admin_member(j, "site")) != OK) {
        admin_refuse(j, CONTROL_REFUSED, "a site is named by up to 20 letters, digits, - and _",
                     STR_NONE);
        return false;
    }
    if (change)
        x->must_change = json_is_true(change);
    if (factor)
        x->second_factor = json_is_true(factor);
    return set_numbers(j, x);
}

static void user_add(struct job *j)
{
    char text[USER_AOR_MAX + 1];
    struct str aor, name;
    struct user *x = NULL;
    if (!aor_of(j, text, &aor))
        return;
    struct str domain = str_cut(aor, '@', &name);
    if (users_find(j->a->users, name, domain)) {
        admin_refuse(j, CONTROL_REFUSED, "there is a user already: ", aor);
        return;
    }
    if (user_new(aor, &x) != OK) {
        admin_refuse(j, CONTROL_REFUSED,
                     "a user's name is of up to 64 letters, digits and . _ - + ~ * #, then @ and a "
                     "host name; not ",
                     aor);
        return;
    }
    x->created = j->a->now;
    if (set_role(j, x) && set_md5(j, x) && set_password(j, x) && set_facts(j, x))
        (void)commit(j, x);
    else
        user_free(x);
}

/* A changed copy of a known user. */
static void change(struct job *j, bool password, bool md5, bool role, bool facts)
{
    const struct user *old = admin_known(j);
    struct user *x = old ? user_copy(old) : NULL;
    if (!old)
        return;
    if (!x) {
        admin_refuse(j, CONTROL_FAILED, "no memory", STR_NONE);
        return;
    }
    if ((!role || set_role(j, x)) && (!md5 || set_md5(j, x)) && (!password || set_password(j, x)) &&
        (!facts || set_facts(j, x))) {
        if (!password)
            out_json_kstr(&j->o, STR("user"), str_c(x->aor));
        (void)commit(j, x);
    } else {
        user_free(x);
    }
}

static void user_passwd(struct job *j)
{
    change(j, true, false, false, false);
}

static void user_change_role(struct job *j)
{
    if (json_object_get(j->req, "role"))
        change(j, false, false, true, false);
    else
        admin_refuse(j, CONTROL_BAD_REQUEST, "which role?", STR_NONE);
}

/* The digest for MD5 can only be made from the password: starting a waiver sets one. */
static void user_change_md5(struct job *j)
{
    const json_t *w = json_object_get(j->req, "md5");
    if (w)
        change(j, !json_is_null(w), true, false, false);
    else
        admin_refuse(j, CONTROL_BAD_REQUEST, "md5 wants a waiver, or null to end it", STR_NONE);
}

static void user_set(struct job *j)
{
    if (json_object_size(j->req) > 2)
        change(j, false, false, true, true);
    else
        admin_refuse(j, CONTROL_BAD_REQUEST,
                     "set what? role, site, numbers, must_change or second_factor", STR_NONE);
}

static void user_del(struct job *j)
{
    const struct user *x = admin_known(j);
    struct user *gone = NULL, *old = NULL;
    if (!x)
        return;
    gone = users_take(j->a->users, user_name(x), user_domain(x));
    if (save_users(j)) {
        out_json_kstr(&j->o, STR("user"), str_c(gone->aor));
        j->a->users_changed = true;
        user_free(gone);
    } else if (users_put(j->a->users, gone, &old) != OK) {
        user_free(gone); /* cannot be: there was room for it a moment ago */
    }
}

static void put_numbers(struct out *o, const struct user *x)
{
    char text[USER_NUMBERS_TEXT];
    struct out all = out_of(text, sizeof(text));
    struct str rest, one;
    user_numbers_put(x, &all);
    rest = out_str(&all);
    out_ch(o, '[');
    for (bool first = true; rest.n > 0; first = false) {
        rest = str_cut(rest, ' ', &one);
        if (!first)
            out_ch(o, ',');
        out_json_str(o, one);
    }
    out_ch(o, ']');
}

static void put_user(struct out *o, const struct user *x, struct wall now)
{
    out_ch(o, '{');
    out_json_kstr(o, STR("user"), str_c(x->aor));
    out_json_kstr(o, STR("role"), str_c(x->role));
    out_json_ki64(o, STR("created"), x->created.us / 1000000);
    out_json_ki64(o, STR("changed"), x->changed.us / 1000000);
    if (x->site[0])
        out_json_kstr(o, STR("site"), str_c(x->site));
    out_json_kbool(o, STR("must_change"), x->must_change);
    out_json_kbool(o, STR("second_factor"), x->second_factor);
    out_json_key(o, STR("numbers"));
    put_numbers(o, x);
    if (x->md5) {
        out_json_key(o, STR("md5"));
        out_ch(o, '{');
        out_json_ki64(o, STR("until"), x->md5->until.us / 1000000);
        out_json_kstr(o, STR("owner"), str_c(x->md5->owner));
        out_json_kstr(o, STR("reason"), str_c(x->md5->reason));
        out_json_kbool(o, STR("live"), user_md5_live(x, now));
        out_ch(o, '}');
    }
    out_ch(o, '}');
}

#define LISTED_MAX                                                                                 \
    (USER_AOR_MAX + USER_ROLE_MAX + USER_SITE_MAX + USER_NUMBERS * 20u +                           \
     2 * (USER_OWNER_MAX + USER_REASON_MAX) + 300u)

static void user_list(struct job *j)
{
    const struct users *u = j->a->users;
    struct str match = admin_member(j, "match");
    size_t cap = REPLY_ROOM + (size_t)u->n * LISTED_MAX;
    char *p = realloc(j->r->text, cap);
    if (!p) {
        admin_refuse(j, CONTROL_FAILED, "no memory for the list", STR_NONE);
        return;
    }
    j->r->text = p;
    j->o.p = p;
    j->o.cap = cap;
    out_json_key(&j->o, STR("users"));
    out_ch(&j->o, '[');
    bool first = true;
    for (uint32_t i = 0; i < u->n; i++) {
        if (str_search(str_c(u->v[i]->aor), match) >= strlen(u->v[i]->aor) && match.n > 0)
            continue;
        if (!first)
            out_ch(&j->o, ',');
        first = false;
        put_user(&j->o, u->v[i], j->a->now);
    }
    out_ch(&j->o, ']');
    out_json_ku64(&j->o, STR("total"), u->n);
}

bool admin_save_peers(struct job *j)
{
    if (!j->a->disk || disk_peers_save(j->a->disk, j->a->peers) == OK)
        return true;
    admin_refuse(j, CONTROL_FAILED, "nothing was changed: ", str_c(j->a->disk->why));
    return false;
}

/* Either change of the peers: tried on a copy of the table. */
static void peer_change(struct job *j, bool put)
{
    struct str name = admin_member(j, "peer");
    struct peers *copy = malloc(sizeof(*copy));
    if (!copy) {
        admin_refuse(j, CONTROL_FAILED, "no memory", STR_NONE);
        return;
    }
    *copy = *j->a->peers;
    bool done = put ? peers_put(j->a->peers, name, admin_member(j, "password")) == OK
                    : peers_del(j->a->peers, name);
    if (!done)
        admin_refuse(
            j, put ? CONTROL_REFUSED : CONTROL_NOT_FOUND,
            put ? "a peer's name has up to 64 characters, its password up to 128, and there are "
                  "at most 64 peers"
                : "there is no password for peer ",
            put ? STR_NONE : name);
    else if (admin_save_peers(j))
        out_json_kstr(&j->o, STR("peer"), name);
    else
        *j->a->peers = *copy;
    mem_wipe(copy, sizeof(*copy));
    free(copy);
}

static void peer_secret(struct job *j)
{
    peer_change(j, true);
}

static void peer_del(struct job *j)
{
    peer_change(j, false);
}

static void peer_list(struct job *j)
{
    const struct peers *p = j->a->peers;
    size_t cap = REPLY_ROOM + p->n * (2 * PEER_NAME_MAX + 8);
    char *text = realloc(j->r->text, cap);
    if (!text)
        return;
    j->r->text = text;
    j->o.p = text;
    j->o.cap = cap;
    out_json_key(&j->o, STR("peers"));
    out_ch(&j->o, '[');
    for (uint32_t i = 0; i < p->n; i++) {
        if (strcmp(p->v[i].name, WEB_SECRET) == 0)
            continue;
        if (j->o.p[j->o.n - 1] != '[')
            out_ch(&j->o, ',');
        out_json_str(&j->o, str_c(p->v[i].name));
    }
    out_ch(&j->o, ']');
}

/* Commands of the local authority answer at length. */
static void certs(struct job *j)
{
    char why[AUTHORITY_WHY] = "";
    size_t cap = 0;
    enum control_code code = authority_do(j->a, j->req, &j->r->text, &cap, &j->o, why);
    if (code != CONTROL_OK)
        admin_refuse(j, code, why, STR_NONE);
}

static const struct {
    const char *name;
    void (*fn)(struct job *j);
    const char *members[8];
} commands[] = {
    {"user-add",
     user_add,
     {"user", "role", "password", "md5", "site", "numbers", "must_change", "second_factor"}},
    {"user-set", user_set, {"user", "role", "site", "numbers", "must_change", "second_factor"}},
    {"user-passwd", user_passwd, {"user", "password"}},
    {"user-md5", user_change_md5, {"user", "password", "md5"}},
    {"user-role", user_change_role, {"user", "role"}},
    {"user-del", user_del, {"user"}},
    {"user-list", user_list, {"match"}},
    {"peer-secret", peer_secret, {"peer", "password"}},
    {"peer-del", peer_del, {"peer"}},
    {"peer-list", peer_list, {NULL}},
    {"token-secret", admin_token_secret, {NULL}},
    {"token-issue", admin_token_issue, {"user", "seconds"}},
    {"secret-set", admin_secret_set, {"name", "password"}},
    {"secret-remove", admin_secret_remove, {"name"}},
    {"secret-list", admin_secret_list, {NULL}},
    {"notify-secret", admin_secret_tell, {"name"}},
    {"stir-key", admin_stir_key, {"name"}},
    {"stir-csr", admin_stir_csr, {"name", "subject", "spc"}},
    {"stir-fits", admin_stir_fits, {"name", "pem"}},
};

/* Every member known to the command, and of its type: text unless told otherwise. */
static bool members_fit(struct job *j, size_t cmd)
{
    const char *key;
    json_t *v;
    json_object_foreach(j->req, key, v)
    {
        bool fits = strcmp(key, "cmd") == 0;
        for (unsigned i = 0; i < ARRAY_LEN(commands[cmd].members) && commands[cmd].members[i]; i++)
            fits = fits || strcmp(key, commands[cmd].members[i]) == 0;
        bool waiver = strcmp(key, "md5") == 0;
        bool flag = strcmp(key, "must_change") == 0 || strcmp(key, "second_factor") == 0;
        bool right = waiver                        ? json_is_object(v) || json_is_null(v)
                     : flag                        ? json_is_boolean(v)
                     : strcmp(key, "seconds") == 0 ? json_is_integer(v)
                     : strcmp(key, "numbers") == 0 ? json_is_array(v)
                                                   : json_is_string(v);
        if (!fits || !right) {
            admin_refuse(j, CONTROL_BAD_REQUEST,
                         fits ? "wrong type of " : "the request has an unknown member ",
                         str_c(key));
            return false;
        }
    }
    return true;
}

static void dispatch(struct job *j)
{
    struct str cmd = admin_member(j, "cmd");
    if (str_starts(cmd, STR("cert-"))) {
        certs(j);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (!str_eq(cmd, str_c(commands[i].name)))
            continue;
        if (members_fit(j, i))
            commands[i].fn(j);
        return;
    }
    admin_refuse(j, CONTROL_BAD_REQUEST, "the vault knows no command ", cmd);
}

void admin_do(struct admin *a, struct str request, struct admin_reply *ret_r)
{
    json_error_t why;
    *ret_r = (struct admin_reply){.text = malloc(REPLY_ROOM)};
    struct job j = {.a = a, .r = ret_r, .o = out_of(ret_r->text, REPLY_ROOM)};
    if (!ret_r->text) {
        ret_r->code = CONTROL_FAILED;
        return;
    }
    j.req = json_loadb(request.p, request.n, JSON_REJECT_DUPLICATES, &why);
    out_ch(&j.o, '{');
    if (json_is_object(j.req))
        dispatch(&j);
    else
        admin_refuse(&j, CONTROL_BAD_REQUEST, "the request is not one JSON object", STR_NONE);
    if (ret_r->code == CONTROL_OK)
        out_ch(&j.o, '}');
    if (j.o.full)
        admin_refuse(&j, CONTROL_FAILED, "the reply does not fit", STR_NONE);
    ret_r->n = j.o.n;
    const json_t *secret = json_object_get(j.req, "password");
    if (json_is_string(secret)) /* jansson's own copy */
        mem_wipe((void *)(uintptr_t)json_string_value(secret), json_string_length(secret));
    json_decref(j.req);
}

void admin_reply_done(struct admin_reply *r)
{
    if (r->text)
        mem_wipe(r->text, r->n);
    free(r->text);
    *r = (struct admin_reply){0};
}
