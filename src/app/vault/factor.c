#include "app/vault/factor.h"
#include <jansson.h>

#define REPLY_ROOM 4096u
#define SEED_BYTES 20u
#define LISTED     512u

struct job {
    struct factor *f;
    json_t *req;
    struct admin_reply *r;
    struct out o;
    char aor_text[USER_AOR_MAX + 1];
};

static void refuse(struct job *j, enum control_code code, const char *why)
{
    j->o.n = 0;
    j->o.full = false;
    out_ch(&j->o, '{');
    out_json_kstr(&j->o, STR("error"), str_c(why));
    out_ch(&j->o, '}');
    j->r->code = code;
}

static struct str member(const struct job *j, const char *key)
{
    const json_t *v = json_object_get(j->req, key);
    return json_is_string(v) ? str_of(json_string_value(v), json_string_length(v)) : STR_NONE;
}

/* The user, who exists. NULL: refused. */
static struct user *user_of(struct job *j, struct str *ret_aor)
{
    struct str given = member(j, "user"), name;
    struct out o = out_of(j->aor_text, USER_AOR_MAX);
    out_put(&o, given);
    if (str_find(given, '@') >= given.n) {
        out_ch(&o, '@');
        out_put(&o, j->f->domain);
    }
    struct str aor = out_str(&o), domain = str_cut(aor, '@', &name);
    struct user *x = given.n && !o.full ? users_find(&j->f->v->users, name, domain) : NULL;
    if (!x)
        refuse(j, CONTROL_NOT_FOUND, "there is no such user");
    else
        *ret_aor = str_c(x->aor);
    return x;
}

static bool saved(struct job *j, enum err e)
{
    if (e != OK)
        refuse(j, CONTROL_FAILED, j->f->disk ? j->f->disk->why : "it cannot be saved");
    return e == OK;
}

static bool save_otps(struct job *j)
{
    return saved(j, j->f->disk ? disk_otps_save(j->f->disk, &j->f->v->otps) : OK);
}

/* --- codes --- */

static void otp_enrol(struct job *j)
{
    struct str aor, alg = member(j, "alg");
    struct otps *all = &j->f->v->otps;
    struct otp_seed s = {.alg = OTP_SHA1, .digits = OTP_DIGITS_MIN, .n = SEED_BYTES};
    if (!user_of(j, &aor))
        return;
    const struct otp_user *old = otps_find(all, aor);
    if (old && !json_is_true(json_object_get(j->req, "replace"))) {
        refuse(j, CONTROL_REFUSED,
               "the user has a seed already; replace it with --replace: codes of the old one end");
        return;
    }
    if (alg.n && !str_eq(alg, STR("sha1")) && !str_eq(alg, STR("sha256"))) {
        refuse(j, CONTROL_BAD_REQUEST, "alg is sha1 or sha256");
        return;
    }
    if (str_eq(alg, STR("sha256"))) {
        s.alg = OTP_SHA256;
        s.n = 32;
    }
    rng_bytes(j->f->rng, s.seed, s.n);
    struct otp_user before = old ? *old : (struct otp_user){0};
    if (otps_put(all, aor, &s, j->f->now, 0) != OK) {
        refuse(j, CONTROL_FAILED, "no memory");
    } else if (save_otps(j)) {
        out_json_kstr(&j->o, STR("user"), aor);
        char text[512];
        struct out uri = out_of(text, sizeof text);
        otp_uri(&s, j->f->domain, aor, &uri);
        out_json_kstr(&j->o, STR("uri"), out_str(&uri));
        uri = out_of(text, sizeof text);
        otp_base32(s.seed, s.n, &uri);
        out_json_kstr(&j->o, STR("secret"), out_str(&uri));
        mem_wipe(text, sizeof text);
        j->f->v->told = true;
    } else if (!old || otps_put(all, aor, &before.seed, before.enrolled, before.used) != OK) {
        (void)otps_del(all, aor);
    }
    mem_wipe(&s, sizeof s);
    mem_wipe(&before, sizeof before);
}

static void otp_remove(struct job *j)
{
    struct str aor;
    if (!user_of(j, &aor))
        return;
    if (!otps_del(&j->f->v->otps, aor)) {
        refuse(j, CONTROL_NOT_FOUND, "the user has no seed");
        return;
    }
    if (!save_otps(j))
        return;
    out_json_kstr(&j->o, STR("user"), aor);
    j->f->v->told = true;
}

static bool list_room(struct job *j, size_t n)
{
    char *p = realloc(j->r->text, REPLY_ROOM + n * LISTED);
    if (!p) {
        refuse(j, CONTROL_FAILED, "no memory for the list");
        return false;
    }
    j->r->text = j->o.p = p;
    j->o.cap = REPLY_ROOM + n * LISTED;
    return true;
}

static void otp_list(struct job *j)
{
    const struct otps *all = &j->f->v->otps;
    if (!list_room(j, all->n))
        return;
    out_json_key(&j->o, STR("otp"));
    out_ch(&j->o, '[');
    for (uint32_t i = 0; i < all->n; i++) {
        const struct otp_user *x = &all->v[i];
        out_put(&j->o, i ? STR(",{") : STR("{"));
        out_json_kstr(&j->o, STR("user"), str_c(x->aor));
        out_json_ki64(&j->o, STR("enrolled"), x->enrolled.us / 1000000);
        out_json_kstr(&j->o, STR("alg"), x->seed.alg == OTP_SHA256 ? STR("sha256") : STR("sha1"));
        out_json_ku64(&j->o, STR("digits"), x->seed.digits);
        out_ch(&j->o, '}');
    }
    out_ch(&j->o, ']');
}

/* --- devices --- */

static void put_device(struct out *o, const struct device *x)
{
    char id[DEVICE_TEXT];
    device_text(x->id, id);
    out_json_kstr(o, STR("user"), str_c(x->aor));
    out_json_kstr(o, STR("device"), str_c(id));
    out_json_kstr(o, STR("by"), str_c(device_by_name(x->by)));
    out_json_kstr(o, STR("name"), str_c(x->name));
    out_json_kstr(o, STR("state"), str_c(device_state_name(x->state)));
    out_json_ki64(o, STR("first_seen"), x->first.us / 1000000);
    if (x->decided.us) {
        out_json_ki64(o, STR("decided"), x->decided.us / 1000000);
        out_json_kstr(o, STR("decided_by"), str_c(x->approved_by));
    }
}

static void device_list(struct job *j)
{
    const struct devices *all = &j->f->v->devices;
    struct str aor = STR_NONE;
    if (member(j, "user").n && !user_of(j, &aor))
        return;
    if (!list_room(j, all->rows.n))
        return;
    out_json_key(&j->o, STR("devices"));
    out_ch(&j->o, '[');
    bool first = true;
    for (uint32_t i = 0; i < all->rows.n; i++) {
        const struct device *x = by_user_at(&all->rows, i);
        if (aor.n && !str_eq(str_c(x->aor), aor))
            continue;
        out_put(&j->o, first ? STR("{") : STR(",{"));
        first = false;
        put_device(&j->o, x);
        out_ch(&j->o, '}');
    }
    out_ch(&j->o, ']');
}

static struct device *device_of(struct job *j)
{
    struct str aor;
    uint64_t id;
    if (!user_of(j, &aor))
        return NULL;
    struct device *x =
        device_parse(member(j, "device"), &id) ? devices_find(&j->f->v->devices, aor, id) : NULL;
    if (!x)
        refuse(j, CONTROL_NOT_FOUND, "the user has no such device: ringwall device list USER");
    return x;
}

/* Saves what was changed of x, or takes it back. */
static void finish(struct job *j, struct device *x, const struct device *before, uint32_t n_known)
{
    struct devices *all = &j->f->v->devices;
    if (!saved(j, j->f->disk ? disk_devices_save(j->f->disk, all) : OK)) {
        *x = *before;
        all->n_known = n_known;
        return;
    }
    all->changed = false;
    put_device(&j->o, x);
    j->f->v->told |= x->state != before->state;
}

static void decide(struct job *j, enum directory_state s)
{
    struct device *x = device_of(j);
    struct str who = member(j, "by");
    if (!x)
        return;
    struct device before = *x;
    uint32_t n_known = j->f->v->devices.n_known;
    if (devices_decide(&j->f->v->devices, x, s, who.n ? who : STR("administrator"), j->f->now) !=
        OK)
        refuse(j, CONTROL_REFUSED, "the user has 16 devices already");
    else
        finish(j, x, &before, n_known);
}

static void device_approve(struct job *j)
{
    decide(j, DEVICE_APPROVED);
}

static void device_revoke(struct job *j)
{
    decide(j, DEVICE_REVOKED);
}

static void device_name(struct job *j)
{
    struct device *x = device_of(j);
    if (!x)
        return;
    struct device before = *x;
    if (device_rename(x, member(j, "name")) != OK)
        refuse(j, CONTROL_REFUSED, "a name has 1 to 48 printable characters");
    else
        finish(j, x, &before, j->f->v->devices.n_known);
}

/* --- countries --- */

static void country_list(struct job *j)
{
    const struct countries *all = &j->f->v->countries;
    struct str aor = STR_NONE;
    char text[COUNTRY_TEXT];
    if (member(j, "user").n && !user_of(j, &aor))
        return;
    if (!list_room(j, all->rows.n))
        return;
    out_json_key(&j->o, STR("countries"));
    out_ch(&j->o, '[');
    bool first = true;
    for (uint32_t i = 0; i < all->rows.n; i++) {
        const struct country *x = by_user_at(&all->rows, i);
        if (aor.n && !str_eq(str_c(x->aor), aor))
            continue;
        country_text(x->code, text);
        out_put(&j->o, first ? STR("{") : STR(",{"));
        first = false;
        out_json_kstr(&j->o, STR("user"), str_c(x->aor));
        out_json_kstr(&j->o, STR("country"), str_c(text));
        out_json_ki64(&j->o, STR("when"), x->when.us / 1000000);
        out_json_kstr(&j->o, STR("by"), str_c(x->by));
        out_ch(&j->o, '}');
    }
    out_ch(&j->o, ']');
}

static void country_done(struct job *j, struct str aor, uint16_t code, bool open)
{
    char cc[COUNTRY_TEXT], text[USER_AOR_MAX + 32];
    country_text(code, cc);
    out_json_kstr(&j->o, STR("user"), aor);
    out_json_kstr(&j->o, STR("country"), str_c(cc));
    for (unsigned after = 0; after < 2; after++) {
        struct out o = out_of(text, sizeof text);
        out_fmt(&o, "%s %s to %.*s", cc, open == (after == 1) ? "open" : "closed", (int)aor.n,
                aor.p);
        out_json_kstr(&j->o, after ? STR("after") : STR("before"), out_str(&o));
    }
    j->f->v->countries.changed = false;
    j->f->v->told = true;
}

/* User and country of the request. false: refused. */
static bool country_of(struct job *j, struct str *ret_aor, uint16_t *ret_code)
{
    if (!user_of(j, ret_aor))
        return false;
    *ret_code = country_code(member(j, "country"));
    if (!*ret_code)
        refuse(j, CONTROL_BAD_REQUEST,
               "a country has two letters (AT, US); XX: numbers of none, like satellite");
    return *ret_code != 0;
}

static void country_allow(struct job *j)
{
    struct countries *all = &j->f->v->countries;
    struct str aor, by = member(j, "by");
    uint16_t code;
    if (!country_of(j, &aor, &code))
        return;
    enum err e = countries_allow(all, aor, code, by.n ? by : STR("administrator"), j->f->now);
    if (e == ERR_EXISTS)
        refuse(j, CONTROL_REFUSED, "the user may call that country already");
    else if (e == ERR_LIMIT)
        refuse(j, CONTROL_REFUSED,
               "the user has 64 countries already: ringwall country forget USER CC");
    else if (e != OK)
        refuse(j, CONTROL_FAILED, "no memory");
    else if (saved(j, j->f->disk ? disk_countries_save(j->f->disk, all) : OK))
        country_done(j, aor, code, true);
    else
        (void)countries_forget(all, aor, code);
}

static void country_forget(struct job *j)
{
    struct countries *all = &j->f->v->countries;
    struct str aor;
    uint16_t code;
    if (!country_of(j, &aor, &code))
        return;
    const struct country *x = countries_find(all, aor, code);
    if (!x) {
        refuse(j, CONTROL_NOT_FOUND,
               "the user was not let call that country: ringwall country list USER");
        return;
    }
    struct country was = *x;
    (void)countries_forget(all, aor, code);
    if (saved(j, j->f->disk ? disk_countries_save(j->f->disk, all) : OK))
        country_done(j, aor, code, false);
    else if (countries_allow(all, aor, code, str_c(was.by), was.when) != OK)
        refuse(j, CONTROL_FAILED, "no memory");
}

/* --- which --- */

static const struct {
    const char *name;
    void (*fn)(struct job *j);
} commands[] = {
    {"otp-enrol", otp_enrol},
    {"otp-remove", otp_remove},
    {"otp-list", otp_list},
    {"device-list", device_list},
    {"device-approve", device_approve},
    {"device-revoke", device_revoke},
    {"device-rename", device_name},
    {"country-list", country_list},
    {"country-allow", country_allow},
    {"country-forget", country_forget},
};

bool factor_wants(struct str request)
{
    struct str cmd = control_member(request, "cmd");
    return str_starts(cmd, STR("otp-")) || str_starts(cmd, STR("device-")) ||
           str_starts(cmd, STR("country-"));
}

static void dispatch(struct job *j)
{
    struct str cmd = member(j, "cmd");
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (str_eq(cmd, str_c(commands[i].name))) {
            commands[i].fn(j);
            return;
        }
    refuse(j, CONTROL_BAD_REQUEST, "the vault knows no such command");
}

void factor_do(struct factor *f, struct str request, struct admin_reply *ret_r)
{
    json_error_t why;
    *ret_r = (struct admin_reply){.text = malloc(REPLY_ROOM)};
    struct job j = {.f = f, .r = ret_r, .o = out_of(ret_r->text, REPLY_ROOM)};
    if (!ret_r->text) {
        ret_r->code = CONTROL_FAILED;
        return;
    }
    j.req = json_loadb(request.p, request.n, JSON_REJECT_DUPLICATES, &why);
    out_ch(&j.o, '{');
    if (json_is_object(j.req))
        dispatch(&j);
    else
        refuse(&j, CONTROL_BAD_REQUEST, "the request is not one JSON object");
    if (ret_r->code == CONTROL_OK)
        out_ch(&j.o, '}');
    if (j.o.full)
        refuse(&j, CONTROL_FAILED, "the reply does not fit");
    ret_r->n = j.o.n;
    json_decref(j.req);
}

static bool exists(const struct vault *v, const char *aor)
{
    struct str name, domain = str_cut(str_c(aor), '@', &name);
    return users_find(&v->users, name, domain) != NULL;
}

/* The AOR of the next row whose user is none of ours, from *it on. false: there is none. Rows that
 * are dropped there give their place to later ones. */
static bool stranger(const struct vault *v, const struct by_user *t, uint32_t *it,
                     char ret_aor[BY_USER_AOR + 1])
{
    for (; *it < t->n; ++*it) {
        const char *aor = by_user_at(t, *it);
        if (exists(v, aor))
            continue;
        memcpy(ret_aor, aor, BY_USER_AOR + 1);
        return true;
    }
    return false;
}

void factor_sweep(struct vault *v)
{
    for (uint32_t i = v->otps.n; i-- > 0;) {
        if (exists(v, v->otps.v[i].aor))
            continue;
        char aor[OTP_AOR_MAX + 1];
        memcpy(aor, v->otps.v[i].aor, sizeof aor);
        v->otps.changed |= otps_del(&v->otps, str_c(aor));
    }
    char aor[BY_USER_AOR + 1];
    uint32_t it = 0;
    while (stranger(v, &v->devices.rows, &it, aor))
        devices_forget(&v->devices, str_c(aor));
    it = 0;
    while (stranger(v, &v->countries.rows, &it, aor))
        countries_forget_user(&v->countries, str_c(aor));
}
