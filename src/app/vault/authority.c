#include "app/vault/authority.h"
#include "app/vault/sealed.h"
#include "crypto/cert.h"
#include "crypto/password.h"
#include <stdarg.h>

#define FIELDS   6u
#define PEM_MAX  8192u
#define P12_MAX  8192u
#define DAY      INT64_C(86400000000)
#define LINE_TOP (CERT_SERIAL_MAX + USER_AOR_MAX + 3 * 21 + 64 + 8)

struct issued {
    char serial[CERT_SERIAL_MAX + 1], aor[USER_AOR_MAX + 1], sha256[65];
    struct wall from, until, revoked; /* revoked 0: not; ahead: it was renewed, and ends then */
};
/* One request under way. */
struct desk {
    struct admin *a;
    const json_t *req;
    char **text;
    size_t *cap;
    struct out *o;
    char *why;
    struct issued *v;
    uint32_t n, room;
    char *ca;
    struct str ca_pem;
    struct key *key;
};

static enum control_code refuse(struct desk *d, enum control_code code, const char *fmt, ...)
    PRINTF(3, 4);
static enum control_code refuse(struct desk *d, enum control_code code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(d->why, AUTHORITY_WHY, fmt, ap);
    va_end(ap);
    return code;
}

static struct str member(const struct desk *d, const char *key)
{
    const json_t *v = json_object_get(d->req, key);
    return json_is_string(v) ? str_of(json_string_value(v), json_string_length(v)) : STR_NONE;
}

static bool room(struct desk *d, size_t more)
{
    size_t cap = d->o->n + more;
    char *p = cap > d->o->cap ? realloc(*d->text, cap) : *d->text;
    if (!p)
        return false;
    if (cap > d->o->cap)
        d->o->cap = *d->cap = cap;
    *d->text = d->o->p = p;
    return true;
}

static bool revoked(const struct desk *d, const struct issued *c)
{
    return c->revoked.us > 0 && c->revoked.us <= d->a->now.us;
}

static bool live(const struct desk *d, const struct issued *c)
{
    return !revoked(d, c) && c->until.us > d->a->now.us;
}

/* -- the list -- */

static bool seconds(struct str s, struct wall *ret)
{
    uint64_t v = 0;
    if (str_u64(s, INT64_MAX / 1000000, &v) != OK)
        return false;
    ret->us = (int64_t)v * 1000000;
    return true;
}

static bool text_field(struct str s, char *ret, size_t max)
{
    if (s.n == 0 || s.n > max)
        return false;
    memcpy(ret, s.p, s.n);
    ret[s.n] = '\0';
    return true;
}

static bool issued_parse(const struct str f[FIELDS], struct issued *ret)
{
    *ret = (struct issued){.from = {0}};
    return text_field(f[0], ret->serial, CERT_SERIAL_MAX) &&
           text_field(f[1], ret->aor, USER_AOR_MAX) && seconds(f[2], &ret->from) &&
           seconds(f[3], &ret->until) && seconds(f[4], &ret->revoked) &&
           text_field(f[5], ret->sha256, 64);
}

static bool add(struct desk *d, const struct issued *x)
{
    if (d->n == d->room) {
        uint32_t cap = MAX(d->room * 2, 64u);
        struct issued *v = cap <= 2 * AUTHORITY_CERTS ? realloc(d->v, cap * sizeof(*v)) : NULL;
        if (!v)
            return false;
        d->v = v;
        d->room = cap;
    }
    d->v[d->n++] = *x;
    return true;
}

static enum control_code load(struct desk *d)
{
    char *p = NULL;
    size_t n = 0;
    struct sealed s;
    struct str f[FIELDS];
    struct issued x;
    if (disk_text_load(d->a->disk, "certs", &p, &n) != OK)
        return refuse(d, CONTROL_FAILED, "%s", d->a->disk->why);
    if (!p)
        return CONTROL_OK;
    enum err e = sealed_open(&s, str_of(p, n), STR("certs"));
    while (e == OK && (e = sealed_next(&s, f, FIELDS)) == OK)
        if (!issued_parse(f, &x) || !add(d, &x))
            e = ERR_SYNTAX;
    free(p);
    if (e == ERR_NOT_FOUND)
        return CONTROL_OK;
    return refuse(d, CONTROL_FAILED, "vault/certs, line %u: %s; restore it from a backup", s.line,
                  s.why ? s.why : "a field is malformed");
}

static enum control_code save(struct desk *d)
{
    size_t cap = SEALED_EXTRA + (size_t)d->n * LINE_TOP;
    char *p = malloc(cap);
    struct out o = out_of(p, cap);
    if (!p)
        return refuse(d, CONTROL_FAILED, "no memory");
    sealed_head(&o, STR("certs"));
    for (uint32_t i = 0; i < d->n; i++) {
        const struct issued *x = &d->v[i];
        out_put(&o, str_c(x->serial));
        out_ch(&o, '\t');
        out_put(&o, str_c(x->aor));
        out_ch(&o, '\t');
        out_i64(&o, x->from.us / 1000000);
        out_ch(&o, '\t');
        out_i64(&o, x->until.us / 1000000);
        out_ch(&o, '\t');
        out_i64(&o, x->revoked.us / 1000000);
        out_ch(&o, '\t');
        out_put(&o, str_c(x->sha256));
        out_ch(&o, '\n');
    }
    enum err e = sealed_tail(&o, d->n);
    if (e == OK)
        e = disk_text_save(d->a->disk, "certs", out_str(&o));
    free(p);
    return e == OK ? CONTROL_OK
                   : refuse(d, CONTROL_FAILED, "nothing was changed: %s", d->a->disk->why);
}

/* What has ended needs no list any more. */
static enum control_code save_crl(struct desk *d)
{
    struct cert_facts f;
    size_t n = 0, cap = 4096 + (size_t)d->n * 128;
    struct cert_revoked *v = calloc(d->n + 1, sizeof(*v));
    char *p = malloc(cap);
    struct out o = out_of(p, cap);
    enum err e = v && p ? cert_read(d->ca_pem, &f) : ERR_FULL;
    for (uint32_t i = 0; e == OK && i < d->n; i++)
        if (revoked(d, &d->v[i]) && d->v[i].until.us > d->a->now.us)
            v[n++] = (struct cert_revoked){d->v[i].serial, d->v[i].revoked};
    if (e == OK)
        e = cert_crl(d->ca_pem, d->key, v, n, (struct wall){d->a->now.us - DAY / 24}, f.until,
                     (uint64_t)d->a->now.us, &o);
    if (e == OK)
        e = disk_text_save(d->a->disk, "ca.crl", out_str(&o));
    free(v);
    free(p);
    return e == OK ? CONTROL_OK
                   : refuse(d, CONTROL_FAILED, "the revocation list cannot be written (%s)",
                            err_name(e));
}

/* -- the authority -- */

static enum control_code open_ca(struct desk *d)
{
    size_t n = 0;
    if (disk_text_load(d->a->disk, "ca.pem", &d->ca, &n) != OK ||
        (d->ca && disk_key_load(d->a->disk, STR("ca"), &d->key) != OK))
        return refuse(d, CONTROL_FAILED, "%s", d->a->disk->why);
    d->ca_pem = str_of(d->ca, d->ca ? n : 0);
    if (!d->ca || cert_fits(d->ca_pem, d->key) != OK)
        return refuse(d, CONTROL_REFUSED,
                      "there is no local authority here: `ringwall init --state DIR` makes one, or "
                      "takes an older one into the vault");
    return CONTROL_OK;
}

static enum control_code authority(struct desk *d)
{
    struct cert_facts f;
    uint32_t n_live = 0, n_revoked = 0;
    if (cert_read(d->ca_pem, &f) != OK || !room(d, 2 * d->ca_pem.n + 1024))
        return refuse(d, CONTROL_FAILED, "the authority's certificate cannot be read");
    for (uint32_t i = 0; i < d->n; i++) {
        n_revoked += revoked(d, &d->v[i]);
        n_live += live(d, &d->v[i]);
    }
    out_json_kstr(d->o, STR("subject"), str_c(f.subject));
    out_json_ki64(d->o, STR("until"), f.until.us / 1000000);
    out_json_kstr(d->o, STR("sha256"), str_c(f.sha256));
    out_json_ku64(d->o, STR("live"), n_live);
    out_json_ku64(d->o, STR("revoked"), n_revoked);
    out_json_kstr(d->o, STR("pem"), d->ca_pem);
    return CONTROL_OK;
}

/* The user of the request, who must be there. */
static const struct user *known(struct desk *d, enum control_code *ret_code)
{
    struct str whole = member(d, "user"), name;
    struct str domain = str_cut(whole, '@', &name);
    const struct user *x =
        users_find(d->a->users, name, domain.n > 0 ? domain : str_c(d->a->domain));
    *ret_code = CONTROL_OK;
    if (!x)
        *ret_code =
            refuse(d, whole.n ? CONTROL_NOT_FOUND : CONTROL_BAD_REQUEST, "there is no user %.*s",
                   (int)MIN(whole.n, 128u), whole.n ? whole.p : "");
    return x;
}

static void put_p12(struct desk *d, struct str pem, const struct key *key, const char *aor)
{
    uint8_t file[P12_MAX];
    char passphrase[PASSWORD_CHARS + 1] = "", b64[P12_MAX * 4 / 3 + 8];
    struct out t = out_of(b64, sizeof(b64));
    size_t n = 0;
    password_make(d->a->rng, passphrase);
    if (cert_p12(pem, key, d->ca_pem, passphrase, aor, file, sizeof(file), &n) == OK) {
        out_b64(&t, file, n);
        out_json_kstr(d->o, STR("passphrase"), str_c(passphrase));
        out_json_kstr(d->o, STR("p12"), out_str(&t));
    }
    mem_wipe(passphrase, sizeof(passphrase));
    mem_wipe(file, sizeof(file));
}

static void put_pem(struct desk *d, struct str pem, const struct key *key)
{
    char all[2 * PEM_MAX];
    struct out o = out_of(all, sizeof(all));
    if (key_pem(key, &o) == OK) {
        out_put(&o, pem);
        out_json_kstr(d->o, STR("pem"), out_str(&o));
    }
    mem_wipe(all, sizeof(all));
}

/* Certificate of x's address for key, noted in the list. */
static enum control_code make(struct desk *d, const struct user *x, int64_t days,
                              const struct key *key, struct out *pem, struct issued *ret)
{
    char san[USER_AOR_MAX + 16];
    struct cert_facts ca, f;
    (void)snprintf(san, sizeof(san), "uri:sip:%s", x->aor);
    struct str sans[1] = {str_c(san)};
    struct cert_spec spec = {.name = str_head(str_c(x->aor), 64),
                             .user = true,
                             .sans = sans,
                             .n_sans = 1,
                             .from = {d->a->now.us - DAY / 24},
                             .until = {d->a->now.us + days * DAY}};
    if (cert_read(d->ca_pem, &ca) != OK || ca.until.us <= d->a->now.us)
        return refuse(d, CONTROL_REFUSED, "the authority's own certificate has ended");
    spec.until.us = MIN(spec.until.us, ca.until.us);
    if (cert_make(&spec, key, d->ca_pem, d->key, pem) != OK || cert_read(out_str(pem), &f) != OK)
        return refuse(d, CONTROL_FAILED, "the library cannot make the certificate");
    *ret = (struct issued){.from = f.from, .until = f.until};
    memcpy(ret->serial, f.serial, sizeof(ret->serial));
    memcpy(ret->sha256, f.sha256, sizeof(ret->sha256));
    memcpy(ret->aor, x->aor, sizeof(ret->aor));
    if (!add(d, ret))
        return refuse(d, CONTROL_REFUSED, "too many certificates, or no memory");
    return save(d);
}

static enum control_code issue_to(struct desk *d, const struct user *x)
{
    enum control_code code;
    const json_t *days = json_object_get(d->req, "days");
    struct str format = member(d, "format");
    bool p12 = str_eq(format, STR("p12"));
    int64_t n = days ? json_integer_value(days) : AUTHORITY_DAYS;
    char buf[PEM_MAX];
    struct out pem = out_of(buf, sizeof(buf));
    struct issued c;
    struct key *key = NULL;
    if (n < 1 || n > 3650 || !(format.n == 0 || p12 || str_eq(format, STR("pem"))))
        return refuse(d, CONTROL_BAD_REQUEST, "days is 1 to 3650, format pem or p12");
    if (!room(d, 4 * PEM_MAX) || key_new(&key) != OK)
        return refuse(d, CONTROL_FAILED, "no memory, or no key can be made");
    code = make(d, x, n, key, &pem, &c);
    if (code == CONTROL_OK) {
        out_json_kstr(d->o, STR("user"), str_c(c.aor));
        out_json_kstr(d->o, STR("serial"), str_c(c.serial));
        out_json_ki64(d->o, STR("until"), c.until.us / 1000000);
        out_json_kstr(d->o, STR("sha256"), str_c(c.sha256));
        if (p12)
            put_p12(d, out_str(&pem), key, c.aor);
        else
            put_pem(d, out_str(&pem), key);
    }
    key_free(key);
    return code;
}

static enum control_code issue(struct desk *d)
{
    enum control_code code;
    const struct user *x = known(d, &code);
    return x ? issue_to(d, x) : code;
}

/* The one that is renewed: that of the serial number, else the user's only one that goes on.
 * UINT32_MAX: there is none, or *ret_n of them. */
static uint32_t renewed(const struct desk *d, const char *aor, struct str serial, uint32_t *ret_n)
{
    uint32_t found = UINT32_MAX;
    *ret_n = 0;
    for (uint32_t i = 0; i < d->n; i++) {
        const struct issued *c = &d->v[i];
        if (!live(d, c) || (serial.n ? !str_ieq(str_c(c->serial), serial)
                                     : c->revoked.us > 0 || strcmp(c->aor, aor) != 0))
            continue;
        found = i;
        ++*ret_n;
    }
    return *ret_n == 1 ? found : UINT32_MAX;
}

/* The old one ends at that time, unless it ends before. */
static enum control_code end_at(struct desk *d, uint32_t old, struct wall at)
{
    struct issued *c = &d->v[old];
    bool now = at.us <= d->a->now.us;
    if (c->revoked.us == 0 || c->revoked.us > at.us)
        c->revoked = at;
    enum control_code code = save(d);
    if (code == CONTROL_OK && now)
        code = save_crl(d);
    if (code != CONTROL_OK)
        return code;
    d->a->users_changed = d->a->users_changed || now; /* the engines are told */
    d->a->certs_due = now ? (struct wall){0} : at;
    out_json_kstr(d->o, STR("renews"), str_c(c->serial));
    out_json_ki64(d->o, STR("ends"), c->revoked.us / 1000000);
    return CONTROL_OK;
}

static enum control_code renew(struct desk *d)
{
    struct str serial = member(d, "serial"), name, domain;
    const json_t *overlap = json_object_get(d->req, "overlap");
    int64_t s = overlap ? json_integer_value(overlap) : AUTHORITY_OVERLAP_S;
    enum control_code code = CONTROL_OK;
    uint32_t n = 0, old = serial.n ? renewed(d, "", serial, &n) : UINT32_MAX;
    const struct user *x = NULL;
    if (s < 0 || s > 366 * 86400 || (serial.n > 0) == (member(d, "user").n > 0))
        return refuse(d, CONTROL_BAD_REQUEST,
                      "say either a user or a serial number, and an overlap of at most 366 days");
    if (serial.n && old == UINT32_MAX)
        return refuse(d, CONTROL_NOT_FOUND, "no certificate of that number is valid");
    if (serial.n) {
        domain = str_cut(str_c(d->v[old].aor), '@', &name);
        x = users_find(d->a->users, name, domain);
        code = x ? CONTROL_OK : refuse(d, CONTROL_NOT_FOUND, "its user is gone");
    } else {
        x = known(d, &code);
    }
    if (!x)
        return code;
    if (!serial.n)
        old = renewed(d, x->aor, STR_NONE, &n);
    if (n > 1)
        return refuse(d, CONTROL_REFUSED,
                      "%s has %u valid certificates: say the serial number of the one that is "
                      "renewed (ringwall cert list %s)",
                      x->aor, (unsigned)n, x->aor);
    code = issue_to(d, x);
    if (code != CONTROL_OK || old == UINT32_MAX)
        return code;
    return end_at(d, old, (struct wall){d->a->now.us + s * 1000000});
}

static enum control_code revoke(struct desk *d)
{
    struct str serial = member(d, "serial"), user = member(d, "user");
    char aor[USER_AOR_MAX + 2];
    uint32_t n = 0;
    (void)snprintf(aor, sizeof(aor), STR_FMT "%s%s", STR_ARG(str_head(user, USER_AOR_MAX)),
                   str_find(user, '@') < user.n ? "" : "@",
                   str_find(user, '@') < user.n ? "" : d->a->domain);
    if ((serial.n > 0) == (user.n > 0))
        return refuse(d, CONTROL_BAD_REQUEST, "say either a user or a serial number");
    if (!room(d, (size_t)d->n * (CERT_SERIAL_MAX + 4) + 512))
        return refuse(d, CONTROL_FAILED, "no memory");
    out_json_key(d->o, STR("revoked"));
    out_ch(d->o, '[');
    for (uint32_t i = 0; i < d->n; i++) {
        struct issued *c = &d->v[i];
        bool meant =
            serial.n ? str_ieq(str_c(c->serial), serial) : str_ieq(str_c(c->aor), str_c(aor));
        if (!meant || revoked(d, c) || (user.n > 0 && c->until.us <= d->a->now.us))
            continue;
        c->revoked = d->a->now;
        if (n++ > 0)
            out_ch(d->o, ',');
        out_json_str(d->o, str_c(c->serial));
    }
    out_ch(d->o, ']');
    if (n == 0)
        return refuse(d, CONTROL_NOT_FOUND, "no certificate of %.*s is valid",
                      (int)(serial.n ? serial.n : strlen(aor)), serial.n ? serial.p : aor);
    enum control_code code = save(d);
    if (code == CONTROL_OK)
        code = save_crl(d);
    d->a->users_changed = d->a->users_changed || code == CONTROL_OK; /* the engines are told */
    return code;
}

static enum control_code list(struct desk *d)
{
    struct str match = member(d, "match");
    bool first = true;
    if (!room(d, (size_t)d->n * (LINE_TOP + 200) + 512))
        return refuse(d, CONTROL_FAILED, "no memory for the list");
    out_json_key(d->o, STR("certs"));
    out_ch(d->o, '[');
    for (uint32_t i = 0; i < d->n; i++) {
        const struct issued *c = &d->v[i];
        if (match.n > 0 && str_search(str_c(c->aor), match) >= strlen(c->aor) &&
            !str_ieq(str_c(c->serial), match))
            continue;
        if (!first)
            out_ch(d->o, ',');
        first = false;
        out_ch(d->o, '{');
        out_json_kstr(d->o, STR("serial"), str_c(c->serial));
        out_json_kstr(d->o, STR("user"), str_c(c->aor));
        out_json_ki64(d->o, STR("from"), c->from.us / 1000000);
        out_json_ki64(d->o, STR("until"), c->until.us / 1000000);
        out_json_kstr(d->o, STR("sha256"), str_c(c->sha256));
        if (c->revoked.us > 0)
            out_json_ki64(d->o, revoked(d, c) ? STR("revoked") : STR("ends"),
                          c->revoked.us / 1000000);
        out_json_kstr(d->o, STR("state"),
                      revoked(d, c)       ? STR("revoked")
                      : !live(d, c)       ? STR("expired")
                      : c->revoked.us > 0 ? STR("renewed")
                                          : STR("live"));
        out_ch(d->o, '}');
    }
    out_ch(d->o, ']');
    return CONTROL_OK;
}

static const struct {
    const char *name;
    enum control_code (*fn)(struct desk *d);
    const char *members[6];
} commands[] = {{"cert-authority", authority, {NULL}},
                {"cert-issue", issue, {"user", "days", "format", NULL}},
                {"cert-renew", renew, {"user", "serial", "days", "format", "overlap", NULL}},
                {"cert-revoke", revoke, {"user", "serial", NULL}},
                {"cert-list", list, {"match", NULL}}};

static enum control_code run(struct desk *d)
{
    struct str cmd = member(d, "cmd");
    const char *key;
    json_t *v;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (!str_eq(cmd, str_c(commands[i].name)))
            continue;
        json_object_foreach((json_t *)(uintptr_t)d->req, key, v)
        {
            bool fits = strcmp(key, "cmd") == 0;
            for (unsigned k = 0; k < 6 && commands[i].members[k]; k++)
                fits = fits || strcmp(key, commands[i].members[k]) == 0;
            bool whole = strcmp(key, "days") == 0 || strcmp(key, "overlap") == 0;
            if (!fits || !(whole ? json_is_integer(v) : json_is_string(v)))
                return refuse(d, CONTROL_BAD_REQUEST, "the member %.40s does not belong here", key);
        }
        enum control_code code = open_ca(d);
        if (code == CONTROL_OK)
            code = load(d);
        return code == CONTROL_OK ? commands[i].fn(d) : code;
    }
    return refuse(d, CONTROL_BAD_REQUEST, "the vault knows no command %.*s", (int)MIN(cmd.n, 40u),
                  cmd.n ? cmd.p : "");
}

enum control_code authority_do(struct admin *a, const json_t *req, char **text, size_t *cap,
                               struct out *o, char why[AUTHORITY_WHY])
{
    struct desk d = {.a = a, .req = req, .text = text, .cap = cap, .o = o, .why = why};
    *cap = o->cap;
    if (!a->disk)
        return refuse(&d, CONTROL_FAILED, "there is no vault folder");
    enum control_code code = run(&d);
    free(d.v);
    free(d.ca);
    key_free(d.key);
    return code;
}

enum err authority_sweep(struct disk *disk, struct wall now, struct wall *ret_next, bool *ret_told)
{
    struct admin a = {.disk = disk, .now = now};
    char why[AUTHORITY_WHY] = "";
    struct desk d = {.a = &a, .why = why};
    bool any = false;
    *ret_next = (struct wall){0};
    *ret_told = false;
    enum control_code code = open_ca(&d);
    bool none = code == CONTROL_REFUSED; /* no authority of our own */
    if (code == CONTROL_OK)
        code = load(&d);
    for (uint32_t i = 0; code == CONTROL_OK && i < d.n; i++) {
        const struct issued *c = &d.v[i];
        any = any || revoked(&d, c);
        if (c->revoked.us > now.us && (ret_next->us == 0 || c->revoked.us < ret_next->us))
            *ret_next = c->revoked;
    }
    if (code == CONTROL_OK && any)
        code = save_crl(&d);
    *ret_told = code == CONTROL_OK && any;
    free(d.v);
    free(d.ca);
    key_free(d.key);
    return code == CONTROL_OK || none ? OK : ERR_SYSTEM;
}
