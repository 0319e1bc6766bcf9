#include "app/vault/setup.h"
#include "app/vault/disk.h"
#include "base/addr.h"
#include "crypto/cert.h"
#include "io/file.h"
#include "io/sandbox.h"
#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY         INT64_C(86400000000)
#define CA_DAYS     3650
#define SERVER_DAYS 397
#define PATH_MAX_   600u
#define PEM_MAX     8192u

static enum err fail(struct setup *s, enum err e, const char *fmt, ...) PRINTF(3, 4);
static enum err fail(struct setup *s, enum err e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(s->why, sizeof(s->why), fmt, ap);
    va_end(ap);
    return e;
}

static bool path_of(const struct setup *s, const char *name, char ret[PATH_MAX_])
{
    int n = snprintf(ret, PATH_MAX_, "%s%s", s->state, name);
    return n > 0 && (unsigned)n < PATH_MAX_;
}

enum err setup_folders(struct setup *s)
{
    static const char *const below[] = {"/vault", "/vault/keys"};
    char path[PATH_MAX_];
    uint32_t uid = UINT32_MAX, gid = UINT32_MAX;
    if (!sandbox_user(ROLE_VAULT, &uid, &gid))
        uid = UINT32_MAX;
    if (mkdir(s->state, 0750) != 0 && errno != EEXIST)
        return fail(s, ERR_SYSTEM, "cannot make %s: %s", s->state, strerror(errno));
    for (unsigned i = 0; i < ARRAY_LEN(below); i++) {
        if (!path_of(s, below[i], path))
            return fail(s, ERR_LIMIT, "the path of the state folder is too long");
        if (file_folder(path, 0700, uid, gid) != OK)
            return fail(s, ERR_SYSTEM, "cannot make %s: %s", path, strerror(errno));
    }
    return OK;
}

/* Key NAME: loaded, or made and saved if there is neither it nor its certificate. */
static enum err key_of(struct setup *s, struct disk *d, struct str name, bool have_cert,
                       struct key **ret_k)
{
    struct key *k = NULL;
    enum err e = disk_key_load(d, name, ret_k);
    if (e != ERR_NOT_FOUND)
        return e == OK ? OK : fail(s, e, "%s", d->why);
    if (have_cert)
        return fail(s, ERR_STATE, "%s, but its certificate is there", d->why);
    if (key_new(&k) != OK)
        return fail(s, ERR_SYSTEM, "the library cannot make a key");
    e = disk_key_save(d, name, k);
    if (e != OK) {
        key_free(k);
        return fail(s, e, "%s", d->why);
    }
    *ret_k = k;
    return OK;
}

/* Reads a certificate file; empty if there is none. */
static enum err pem_of(struct setup *s, const char *path, char ret[PEM_MAX], struct str *ret_pem)
{
    size_t n = 0;
    enum err e = file_read(path, ret, PEM_MAX, &n);
    if (e != OK && e != ERR_NOT_FOUND)
        return fail(s, e, "cannot read %s: %s", path, strerror(errno));
    *ret_pem = str_of(ret, e == OK ? n : 0);
    return OK;
}

static enum err write_pem(struct setup *s, const char *path, struct str pem)
{
    if (file_write(path, pem.p, pem.n, 0644) != OK)
        return fail(s, ERR_SYSTEM, "cannot write %s: %s", path, strerror(errno));
    return OK;
}

static enum err make_ca(struct setup *s, const char *path, struct key *key, char buf[PEM_MAX],
                        struct str *ret_pem)
{
    char name[65];
    struct out o = out_of(buf, PEM_MAX);
    (void)snprintf(name, sizeof(name), "Ringwall %.48s", s->domain);
    struct cert_spec spec = {.name = str_c(name),
                             .authority = true,
                             .from = {s->now.us - DAY},
                             .until = {s->now.us + CA_DAYS * DAY}};
    if (cert_make(&spec, key, STR_NONE, key, &o) != OK)
        return fail(s, ERR_SYSTEM, "the library cannot make the authority's certificate");
    s->made_ca = true;
    *ret_pem = out_str(&o);
    return write_pem(s, path, *ret_pem);
}

/* "sip:domain", the domain, and every further name; addresses as addresses. */
static unsigned sans_of(const struct setup *s, struct out *text, struct str sans[CERT_SANS_MAX])
{
    static const struct str local[] = {STR("localhost"), STR("127.0.0.1"), STR("::1")};
    unsigned n = 0;
    for (unsigned i = 0; i < 2 + s->n_names + ARRAY_LEN(local); i++) {
        struct addr a;
        size_t at = text->n;
        struct str name = i < 2                ? str_c(s->domain)
                          : i < 2 + s->n_names ? s->names[i - 2]
                                               : local[i - 2 - s->n_names];
        bool ip = addr_parse_ip(name, &a) == OK;
        if (i == 0 && ip)
            continue; /* a sip URI identity is a domain */
        out_put(text, i == 0 ? STR("uri:sip:") : ip ? STR("ip:") : STR("dns:"));
        out_put(text, name);
        sans[n] = str_of(text->p + at, text->n - at);
        bool twice = false;
        for (unsigned k = 0; k < n; k++)
            twice = twice || str_eq(sans[k], sans[n]);
        n += !twice;
    }
    return n;
}

static enum err make_server(struct setup *s, const char *path, struct key *key, struct str ca,
                            struct key *ca_key)
{
    char text[8192], pem[PEM_MAX];
    struct str sans[CERT_SANS_MAX];
    struct out names = out_of(text, sizeof(text)), o = out_of(pem, sizeof(pem));
    struct cert_spec spec = {.name = str_head(str_c(s->domain), 64),
                             .sans = sans,
                             .from = {s->now.us - DAY},
                             .until = {s->now.us + SERVER_DAYS * DAY}};
    spec.n_sans = sans_of(s, &names, sans);
    enum err e = names.full ? ERR_LIMIT : cert_make(&spec, key, ca, ca_key, &o);
    if (e == ERR_AUTH)
        return fail(s, e, "%s/ca.pem and the key \"ca\" do not belong together", s->state);
    if (e != OK)
        return fail(s, e,
                    "no certificate can be made for these names (%s): host names and IP "
                    "addresses only",
                    err_name(e));
    s->made_server = true;
    return write_pem(s, path, out_str(&o));
}

static enum err certs(struct setup *s, struct disk *d, struct key **ca_key, struct key **key)
{
    char ca_path[PATH_MAX_], path[PATH_MAX_], ca_buf[PEM_MAX], buf[PEM_MAX];
    struct str ca = STR_NONE, pem = STR_NONE;
    if (!path_of(s, "/ca.pem", ca_path) || !path_of(s, "/server.pem", path))
        return fail(s, ERR_LIMIT, "the path of the state folder is too long");
    enum err e = pem_of(s, ca_path, ca_buf, &ca);
    if (e == OK)
        e = pem_of(s, path, buf, &pem);
    /* The vault sees nothing but its own folder: it issues by this copy. */
    if (e == OK && ca.n > 0 && disk_text_save(d, "ca.pem", ca) != OK)
        return fail(s, ERR_SYSTEM, "%s", d->why);
    if (e == OK && pem.n > 0 && !s->renew)
        return OK; /* maybe another authority's: then no CA of ours is wanted */
    if (e == OK)
        e = key_of(s, d, STR("ca"), ca.n > 0, ca_key);
    if (e == OK && ca.n == 0)
        e = make_ca(s, ca_path, *ca_key, ca_buf, &ca);
    if (e == OK && s->made_ca && disk_text_save(d, "ca.pem", ca) != OK)
        return fail(s, ERR_SYSTEM, "%s", d->why);
    if (e == OK)
        e = key_of(s, d, STR("server"), false, key);
    return e == OK ? make_server(s, path, *key, ca, *ca_key) : e;
}

enum err setup_certs(struct setup *s)
{
    char folder[PATH_MAX_];
    struct disk d;
    struct key *ca_key = NULL, *key = NULL;
    if (!path_of(s, "/vault", folder))
        return fail(s, ERR_LIMIT, "the path of the state folder is too long");
    enum err e = disk_open(&d, folder);
    if (e != OK)
        return fail(s, e, "%s", d.why);
    e = certs(s, &d, &ca_key, &key);
    key_free(ca_key);
    key_free(key);
    disk_close(&d);
    return e;
}
