#include "app/vault/disk.h"
#include "io/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_MAX_ 512u
#define PEM_MAX   4096u

static void say(struct disk *d, const char *fmt, ...) PRINTF(2, 3);
static void say(struct disk *d, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(d->why, sizeof(d->why), fmt, ap);
    va_end(ap);
}

static enum err failed(struct disk *d, const char *what, const char *path)
{
    say(d, "%s %s: %s", what, path, strerror(errno));
    return ERR_SYSTEM;
}

static bool path_of(struct disk *d, const char *name, char ret[PATH_MAX_])
{
    int n = snprintf(ret, PATH_MAX_, "%s/%s", d->folder, name);
    if (n > 0 && (unsigned)n < PATH_MAX_)
        return true;
    say(d, "the path of the vault's folder is too long");
    return false;
}

/* As root on behalf of the vault's user. */
static enum err hand_over(struct disk *d, const char *path)
{
    struct stat st;
    if (geteuid() != 0)
        return OK;
    if (stat(d->folder, &st) != 0 || lchown(path, st.st_uid, st.st_gid) != 0)
        return failed(d, "cannot give to its owner", path);
    return OK;
}

enum err disk_open(struct disk *d, const char *folder)
{
    char path[PATH_MAX_];
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    *d = (struct disk){.folder = folder, .lock = -1};
    if (!path_of(d, "lock", path))
        return ERR_LIMIT;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return failed(d, "cannot open", path);
    if (fcntl(fd, F_OFD_SETLK, &whole) != 0) {
        bool held = errno == EAGAIN || errno == EACCES;
        enum err e = failed(d, "cannot lock", path);
        (void)close(fd);
        if (!held)
            return e;
        say(d, "%s is in use: the gateway is running; for this stop it first (ringwall stop)",
            folder);
        return ERR_EXISTS;
    }
    d->lock = fd;
    return hand_over(d, path);
}

void disk_close(struct disk *d)
{
    if (d->lock >= 0)
        (void)close(d->lock);
    d->lock = -1;
}

static enum err save(struct disk *d, const char *name, struct str text)
{
    char path[PATH_MAX_];
    if (!path_of(d, name, path))
        return ERR_LIMIT;
    if (file_write(path, text.p, text.n, 0600) != OK)
        return failed(d, "cannot write", path);
    return hand_over(d, path);
}

/* The whole file in fresh memory; n 0 and OK when there is none. */
static enum err load(struct disk *d, const char *name, char **ret_p, size_t *ret_n)
{
    char path[PATH_MAX_];
    struct stat st;
    if (!path_of(d, name, path))
        return ERR_LIMIT;
    if (stat(path, &st) != 0) {
        if (errno != ENOENT)
            return failed(d, "cannot read", path);
        *ret_p = NULL;
        *ret_n = 0;
        return OK;
    }
    size_t cap = (size_t)st.st_size + 1, n = 0;
    char *p = malloc(cap);
    if (!p || file_read(path, p, cap, &n) != OK) {
        free(p);
        return failed(d, "cannot read", path);
    }
    *ret_p = p;
    *ret_n = n;
    return OK;
}

enum err disk_text_load(struct disk *d, const char *name, char **ret_p, size_t *ret_n)
{
    return load(d, name, ret_p, ret_n);
}

enum err disk_text_save(struct disk *d, const char *name, struct str text)
{
    return save(d, name, text);
}

/* Inside the sandbox the folder is ".": people know it by its name. */
static const char *shown(const struct disk *d)
{
    return strcmp(d->folder, ".") == 0 ? "vault" : d->folder;
}

static enum err refuse(struct disk *d, const char *name, uint32_t line, const char *why)
{
    say(d,
        "%s/%s, line %u: %s. The file is left as it is: restore it from a backup, or "
        "move it away to begin without it",
        shown(d), name, line, why);
    return ERR_SYNTAX;
}

static void drop(char *p, size_t n)
{
    if (p)
        mem_wipe(p, n);
    free(p);
}

enum err disk_users_load(struct disk *d, struct users *u)
{
    char *p = NULL;
    size_t n = 0;
    uint32_t line = 0;
    const char *why = "";
    enum err e = load(d, "users", &p, &n);
    if (e == OK && p && users_parse(u, str_of(p, n), &line, &why) != OK)
        e = refuse(d, "users", line, why);
    drop(p, n);
    return e;
}

enum err disk_users_save(struct disk *d, const struct users *u)
{
    size_t cap = users_bytes(u);
    char *p = malloc(cap);
    struct out o = out_of(p, cap);
    enum err e = p ? users_print(u, &o) : ERR_FULL;
    if (e == OK)
        e = save(d, "users", out_str(&o));
    else
        say(d, "no memory for the users file");
    drop(p, p ? o.n : 0);
    return e;
}

static enum err passwords_load(struct disk *d, const char *name, struct peers *p)
{
    char *text = NULL;
    size_t n = 0;
    uint32_t line = 0;
    const char *why = "";
    p->n = 0;
    enum err e = load(d, name, &text, &n);
    if (e == OK && text && peers_parse_as(p, str_c(name), str_of(text, n), &line, &why) != OK)
        e = refuse(d, name, line, why);
    drop(text, n);
    return e;
}

static enum err passwords_save(struct disk *d, const char *name, const struct peers *p)
{
    char text[PEERS_FILE_MAX];
    struct out o = out_of(text, sizeof(text));
    enum err e = peers_print_as(p, str_c(name), &o);
    if (e == OK)
        e = save(d, name, out_str(&o));
    mem_wipe(text, sizeof(text));
    return e;
}

enum err disk_peers_load(struct disk *d, struct peers *p)
{
    return passwords_load(d, "peers", p);
}

enum err disk_peers_save(struct disk *d, const struct peers *p)
{
    return passwords_save(d, "peers", p);
}

enum err disk_secrets_load(struct disk *d, struct peers *p)
{
    return passwords_load(d, "secrets", p);
}

enum err disk_secrets_save(struct disk *d, const struct peers *p)
{
    return passwords_save(d, "secrets", p);
}

enum err disk_otps_load(struct disk *d, struct otps *o)
{
    char *p = NULL;
    size_t n = 0;
    uint32_t line = 0;
    const char *why = "";
    enum err e = load(d, "otp", &p, &n);
    if (e == OK && p && otps_parse(o, str_of(p, n), &line, &why) != OK)
        e = refuse(d, "otp", line, why);
    drop(p, n);
    return e;
}

enum err disk_otps_save(struct disk *d, const struct otps *v)
{
    size_t cap = otps_bytes(v);
    char *p = malloc(cap);
    struct out o = out_of(p, cap);
    enum err e = p ? otps_print(v, &o) : ERR_FULL;
    if (e == OK)
        e = save(d, "otp", out_str(&o));
    else
        say(d, "no memory for the file of seeds");
    drop(p, p ? o.n : 0);
    return e;
}

enum err disk_devices_load(struct disk *d, struct devices *v)
{
    char *p = NULL;
    size_t n = 0;
    uint32_t line = 0;
    const char *why = "";
    enum err e = load(d, "devices", &p, &n);
    if (e == OK && p && devices_parse(v, str_of(p, n), &line, &why) != OK)
        e = refuse(d, "devices", line, why);
    drop(p, n);
    return e;
}

enum err disk_devices_save(struct disk *d, const struct devices *v)
{
    size_t cap = devices_bytes(v);
    char *p = malloc(cap);
    struct out o = out_of(p, cap);
    enum err e = p ? devices_print(v, &o) : ERR_FULL;
    if (e == OK)
        e = save(d, "devices", out_str(&o));
    else
        say(d, "no memory for the file of devices");
    drop(p, p ? o.n : 0);
    return e;
}

enum err disk_countries_load(struct disk *d, struct countries *c)
{
    char *p = NULL;
    size_t n = 0;
    uint32_t line = 0;
    const char *why = "";
    enum err e = load(d, "countries", &p, &n);
    if (e == OK && p && countries_parse(c, str_of(p, n), &line, &why) != OK)
        e = refuse(d, "countries", line, why);
    drop(p, n);
    return e;
}

enum err disk_countries_save(struct disk *d, const struct countries *c)
{
    size_t cap = countries_bytes(c);
    char *p = malloc(cap);
    struct out o = out_of(p, cap);
    enum err e = p ? countries_print(c, &o) : ERR_FULL;
    if (e == OK)
        e = save(d, "countries", out_str(&o));
    else
        say(d, "no memory for the file of countries");
    drop(p, p ? o.n : 0);
    return e;
}

static bool key_name(struct disk *d, struct str name, char ret[PATH_MAX_])
{
    bool good = name.n > 0 && name.n <= 64 && name.p[0] != '.';
    for (size_t i = 0; good && i < name.n; i++) {
        char c = ascii_lower(name.p[i]);
        good = (c >= 'a' && c <= 'z') || ascii_digit(c) || c == '-' || c == '_' || c == '.';
    }
    if (good)
        (void)snprintf(ret, PATH_MAX_, "keys/" STR_FMT ".pem", STR_ARG(name));
    else
        say(d, "the name of a key is of letters, digits, . - and _");
    return good;
}

enum err disk_key_load(struct disk *d, struct str name, struct key **ret_k)
{
    char rel[PATH_MAX_], *p = NULL;
    size_t n = 0;
    if (!key_name(d, name, rel))
        return ERR_SYNTAX;
    enum err e = load(d, rel, &p, &n);
    if (e != OK)
        return e;
    if (!p) {
        say(d, "there is no key %s/%s", shown(d), rel);
        return ERR_NOT_FOUND;
    }
    e = key_load(str_of(p, n), ret_k);
    drop(p, n);
    if (e != OK)
        say(d, "%s/%s: %s", shown(d), rel,
            e == ERR_UNSUPPORTED ? "the key is not an ECDSA key on P-256"
                                 : "this is no private key in PEM without passphrase");
    return e;
}

enum err disk_key_save(struct disk *d, struct str name, const struct key *k)
{
    char rel[PATH_MAX_], path[PATH_MAX_], pem[PEM_MAX];
    struct out o = out_of(pem, sizeof(pem));
    if (!key_name(d, name, rel) || !path_of(d, rel, path))
        return ERR_SYNTAX;
    if (access(path, F_OK) == 0) {
        say(d, "%s is there already; a key is never overwritten", path);
        return ERR_EXISTS;
    }
    enum err e = key_pem(k, &o);
    if (e == OK)
        e = save(d, rel, out_str(&o));
    mem_wipe(pem, sizeof(pem));
    return e;
}
