/* What exists before any child: the configuration, folders, one instance's lock, listening sockets,
 * shared memory, keys of this boot. */
#include "app/monitor/lists.h"
#include "app/monitor/rules.h"
#include "app/monitor/state.h"
#include "call/certs.h"
#include "call/service.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/rand.h"
#include "io/sock.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FREE_TRIES   20 /* looks at an address that is in use */
#define FREE_WAIT_MS 100

#define UDP_BUFFER     (4 << 20)
#define LOCATION_LEAST 1024u

static void say_problems(const struct monitor *m)
{
    static char text[CONFIG_PROBLEMS * 512];
    struct out o = out_of(text, sizeof text);
    config_errors_put(&o, m->errors);
    (void)fwrite(text, 1, o.n, stderr);
}

enum err boot_config(struct monitor *m)
{
    struct config_opts o = {.now = clock_now().wall, .state = m->cfg->state, .generation = 1};
    m->conf = calloc(1, sizeof *m->conf);
    m->next = calloc(1, sizeof *m->next);
    m->errors = calloc(1, sizeof *m->errors);
    if (!m->conf || !m->next || !m->errors)
        return ERR_FULL;
    enum err e = config_load(m->cfg->config, &o, m->conf, m->errors);
    if (e == OK)
        e = monitor_rules_boot(m);
    if (e != OK || !m->cfg->quiet)
        say_problems(m);
    if (e != OK)
        return e;
    (void)snprintf(m->state, sizeof m->state, "%s", m->conf->state);
    m->generation = m->conf->policy.generation;
    m->n_engines = m->conf->policy.engines;
    if (m->n_engines == 0 || m->n_engines > IPC_ENGINES_MAX) {
        monitor_log(m, SEV_ALERT, "engines: %u is not from 1 to %u", (unsigned)m->n_engines,
                    IPC_ENGINES_MAX);
        return ERR_RANGE;
    }
    return OK;
}

/* -- programs -- */

static bool executable(char *ret, size_t cap, const char *dir, const char *way, const char *sub,
                       const char *name)
{
    int n = snprintf(ret, cap, "%s%s%s/%s", dir, way, sub, name);
    return n > 0 && (size_t)n < cap && access(ret, X_OK) == 0;
}

static bool find_program(struct monitor *m, enum role r, const char *own)
{
    char *path = m->program_path[r];
    size_t cap = sizeof m->program_path[r];
    const char *name = role_program(r);
    if (m->cfg->programs)
        return executable(path, cap, m->cfg->programs, "", "", name) ||
               executable(path, cap, m->cfg->programs, "/", role_name(r), name);
    return executable(path, cap, own, "", "", name) ||
           executable(path, cap, own, "/../libexec/ringwall", "", name) ||
           executable(path, cap, own, "/../lib/ringwall", "", name) ||
           executable(path, cap, own, "/../", role_name(r), name);
}

static enum err find_programs(struct monitor *m)
{
    char own[CONFIG_PATH];
    ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
    own[n > 0 ? n : 0] = 0;
    char *slash = strrchr(own, '/');
    if (slash)
        *slash = 0;
    for (int r = 0; r < ROLE_COUNT; r++) {
        if (find_program(m, (enum role)r, own))
            continue;
        if (m->cfg->programs)
            monitor_log(m, SEV_ALERT, "program %s is not found in %s", role_program((enum role)r),
                        m->cfg->programs);
        else
            monitor_log(m, SEV_ALERT,
                        "program %s is found neither in %s nor in ../libexec/ringwall from there",
                        role_program((enum role)r), own);
        return ERR_NOT_FOUND;
    }
    return OK;
}

/* -- folders -- */

static enum err folder(struct monitor *m, const char *name, uint32_t mode, uint32_t uid,
                       uint32_t gid)
{
    char path[CONFIG_PATH + 32];
    (void)snprintf(path, sizeof path, "%s%s%s", m->state, *name ? "/" : "", name);
    enum err e = file_folder(path, mode, uid, gid);
    if (e != OK)
        monitor_log(m, SEV_ALERT, "folder %s: %s", path, strerror(errno));
    return e;
}

/* Files that root made there before (ringwall init) become the program's. Regular files with one
 * name only: nothing that somebody linked there is given away. Takes dir. */
static void hand_over(struct monitor *m, int dir, uint32_t uid, uint32_t gid, int depth)
{
    DIR *d = fdopendir(dir);
    if (!d) {
        (void)close(dir);
        return;
    }
    for (struct dirent *f = readdir(d); f; f = readdir(d)) {
        if (strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0)
            continue;
        int fd = openat(dirfd(d), f->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) != 0)
            st.st_mode = 0;
        bool folder = S_ISDIR(st.st_mode) && depth > 0;
        if ((folder || (S_ISREG(st.st_mode) && st.st_nlink == 1)) && st.st_uid == 0 &&
            fchown(fd, uid, gid) != 0)
            monitor_log(m, SEV_WARN, "%s cannot be handed over: %s", f->d_name, strerror(errno));
        if (folder)
            hand_over(m, fd, uid, gid, depth - 1);
        else if (fd >= 0)
            (void)close(fd);
    }
    (void)closedir(d);
}

static void hand_over_to(struct monitor *m, const char *name, uint32_t uid, uint32_t gid)
{
    char path[CONFIG_PATH + 32];
    (void)snprintf(path, sizeof path, "%s/%s", m->state, name);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        hand_over(m, fd, uid, gid, 2);
}

static enum err folders(struct monitor *m)
{
    enum err e = folder(m, "", 0755, UINT32_MAX, UINT32_MAX);
    if (e == OK)
        e = folder(m, "run", 0755, UINT32_MAX, UINT32_MAX);
    for (int r = ROLE_VAULT; r <= ROLE_STORE && e == OK; r++) {
        uint32_t uid = UINT32_MAX, gid = UINT32_MAX;
        bool switches = sandbox_user((enum role)r, &uid, &gid);
        e = folder(m, role_name((enum role)r), 0700, uid, gid);
        if (e == OK && switches)
            hand_over_to(m, role_name((enum role)r), uid, gid);
    }
    return e;
}

static enum err only_one(struct monitor *m)
{
    char path[CONFIG_PATH + 32];
    (void)snprintf(path, sizeof path, "%s/run/lock", m->state);
    m->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (m->lock_fd < 0) {
        monitor_log(m, SEV_ALERT, "%s: %s", path, strerror(errno));
        return ERR_SYSTEM;
    }
    if (flock(m->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return OK;
    monitor_log(m, SEV_ALERT, "a gateway already runs on %s; stop it by: ringwall stop", m->state);
    return ERR_EXISTS;
}

/* -- sockets -- */

static enum err listener(struct monitor *m, uint32_t engine, uint32_t i)
{
    const struct policy_listener *l = &m->conf->policy.listeners[i];
    bool share = m->n_engines > 1;
    enum err e = l->proto == PROTO_UDP
                     ? sock_udp(&l->bind, share, &m->listener[engine][i])
                     : sock_listen(&l->bind, share, LISTEN_BACKLOG, &m->listener[engine][i]);
    if (e == OK) {
        if (l->proto == PROTO_UDP)
            sock_buffers(m->listener[engine][i], UDP_BUFFER, UDP_BUFFER);
        return OK;
    }
    int why = errno;
    struct str name = policy_text(&m->conf->policy, l->name);
    char at[ADDR_TEXT_MAX];
    struct out o = out_of(at, sizeof at);
    addr_put(&o, &l->bind);
    const char *hint = e == ERR_EXISTS      ? "another program uses this address"
                       : e == ERR_AUTH      ? "ports below 1024 need root or CAP_NET_BIND_SERVICE"
                       : e == ERR_NOT_FOUND ? "this machine has no such address"
                                            : "see above";
    monitor_log(m, SEV_ALERT, "listener " STR_FMT " cannot use %.*s: %s; %s", STR_ARG(name),
                (int)o.n, at, strerror(why), hint);
    return e;
}

/* With SO_REUSEPORT even a stranger's socket of the same user would share; one bind without it
 * shows that the address is free. */
static enum err probe(struct monitor *m, uint32_t i)
{
    if (m->n_engines == 1)
        return OK;
    const struct policy_listener *l = &m->conf->policy.listeners[i];
    int fd = -1;
    enum err e = ERR_EXISTS;
    /* The engines of a gateway whose monitor was killed are gone a moment after it. */
    for (int k = 0; k < FREE_TRIES && e == ERR_EXISTS; k++) {
        if (k)
            (void)poll(NULL, 0, FREE_WAIT_MS);
        e = l->proto == PROTO_UDP ? sock_udp(&l->bind, false, &fd)
                                  : sock_listen(&l->bind, false, 1, &fd);
    }
    if (e == OK)
        return close(fd) == 0 ? OK : ERR_SYSTEM;
    if (e == ERR_EXISTS)
        monitor_log(m, SEV_ALERT, "listener " STR_FMT ": another program uses its address",
                    STR_ARG(policy_text(&m->conf->policy, l->name)));
    return e == ERR_EXISTS ? e : OK; /* other reasons are told by the real bind */
}

static enum err listeners(struct monitor *m)
{
    for (uint32_t i = 0; i < m->conf->policy.n_listeners; i++) {
        enum err e = probe(m, i);
        for (uint32_t k = 0; k < m->n_engines && e == OK; k++)
            e = listener(m, k, i);
        if (e != OK)
            return e;
    }
    return OK;
}

/* -- memory -- */

/* Appends the file to text. */
static enum err add_pem(struct monitor *m, const char *path, bool must, char *text, size_t *n)
{
    size_t more = 0;
    enum err e = file_read(path, text + *n, CHAIN_MAX - *n, &more);
    if (e == ERR_NOT_FOUND && !must)
        return OK;
    if (e != OK) {
        monitor_log(m, SEV_ALERT, "certificate file %s: %s", path,
                    e == ERR_LIMIT ? "too large" : strerror(errno));
        return e;
    }
    *n += more;
    return OK;
}

#define PEM_FILES 5u
static enum err pem(struct monitor *m, const char *const path[PEM_FILES], bool must,
                    struct shared *ret_s)
{
    char *text = malloc(CHAIN_MAX);
    size_t n = 0;
    if (!text)
        return ERR_FULL;
    enum err e = add_pem(m, path[0], must, text, &n);
    for (unsigned i = 1; i < PEM_FILES && path[i] && e == OK; i++)
        if (*path[i])
            e = add_pem(m, path[i], false, text, &n);
    if (e == OK && n > 0) {
        e = memfd_sealed("ringwall-pem", text, n, &ret_s->fd);
        ret_s->n = n;
    }
    free(text);
    return e;
}

enum err boot_authorities(struct monitor *m, const struct config *c, struct shared *ret_ca)
{
    char ca[CONFIG_PATH + 16], trusted[CONFIG_PATH + 16], crl[CONFIG_PATH + 16];
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", m->state);
    (void)snprintf(trusted, sizeof trusted, "%s/trusted.pem",
                   m->state); /* the operator's: authorities of trunks */
    (void)snprintf(crl, sizeof crl, "%s/vault/ca.crl", m->state);
    return pem(m, (const char *[PEM_FILES]){ca, trusted, crl, c->authority_ca, c->authority_crl},
               false, ret_ca);
}

bool boot_revoked(struct monitor *m)
{
    static struct timespec last;
    char crl[CONFIG_PATH + 16];
    struct stat st;
    (void)snprintf(crl, sizeof crl, "%s/vault/ca.crl", m->state);
    if (stat(crl, &st) != 0 ||
        (st.st_mtim.tv_sec == last.tv_sec && st.st_mtim.tv_nsec == last.tv_nsec))
        return false;
    last = st.st_mtim;
    return true;
}

enum err boot_certs(struct monitor *m, const struct config *c,
                    struct shared ret_chain[CONFIG_CERTS], struct shared *ret_ca,
                    struct shared *ret_names)
{
    enum err e = OK;
    char names[CONFIG_CERTS * IPC_KEY_NAME] = {0};
    for (uint32_t i = 0; i < CONFIG_CERTS; i++)
        ret_chain[i] = (struct shared){-1, 0};
    *ret_ca = *ret_names = (struct shared){-1, 0};
    for (uint32_t i = 0; i < c->n_certs && e == OK; i++) {
        e = pem(m, (const char *[PEM_FILES]){c->certs[i].chain}, true, &ret_chain[i]);
        (void)snprintf(names + i * IPC_KEY_NAME, IPC_KEY_NAME, "%.*s", (int)IPC_KEY_NAME - 1,
                       c->certs[i].key);
    }
    if (e == OK)
        e = boot_authorities(m, c, ret_ca);
    uint32_t n_keys = c->n_certs;
    if (c->stir_key[0] && n_keys < CONFIG_CERTS) /* its number is policy.stir.key */
        (void)snprintf(names + n_keys++ * IPC_KEY_NAME, IPC_KEY_NAME, "%s", c->stir_key);
    if (e == OK && n_keys) {
        e = memfd_sealed("ringwall-keys", names, (size_t)n_keys * IPC_KEY_NAME, &ret_names->fd);
        ret_names->n = (uint64_t)n_keys * IPC_KEY_NAME;
    }
    if (e == OK)
        return OK;
    for (uint32_t i = 0; i < CONFIG_CERTS; i++)
        shared_close(&ret_chain[i]);
    shared_close(ret_ca);
    shared_close(ret_names);
    return e;
}

static enum err shards(struct monitor *m)
{
    uint64_t all = m->conf->policy.limits.bindings;
    uint64_t each = m->n_engines == 1
                        ? all
                        : all * 5 / 4 / m->n_engines + 64; /* the hash does not spread evenly */
    m->location_cap = (uint32_t)MAX(each, LOCATION_LEAST);
    enum err e = OK;
    for (uint32_t i = 0; i < m->n_engines && e == OK; i++) {
        size_t n = service_end(m->location_cap);
        e = memfd_new("ringwall-location", n, &m->location[i].fd);
        m->location[i].n = m->location_ro[i].n = n;
        if (e == OK)
            e = memfd_readonly(m->location[i].fd, &m->location_ro[i].fd);
    }
    return e;
}

/* What fetch writes and engines read; looked at by us, too, before we dial for an engine. */
static enum err board(struct monitor *m)
{
    size_t n = sizeof(struct targets_board);
    void *view = NULL;
    enum err e = memfd_new("ringwall-targets", n, &m->targets.fd);
    if (e == OK)
        e = memfd_readonly(m->targets.fd, &m->targets_ro.fd);
    if (e == OK)
        e = mem_map(m->targets_ro.fd, n, false, false, &view);
    m->targets.n = m->targets_ro.n = n;
    m->board = view;
    if (e == OK)
        e = memfd_new("ringwall-certs", sizeof(struct cert_board), &m->certs.fd);
    if (e == OK)
        e = memfd_readonly(m->certs.fd, &m->certs_ro.fd);
    m->certs.n = m->certs_ro.n = sizeof(struct cert_board);
    return e;
}

static enum err memory(struct monitor *m)
{
    enum err e = rand_bytes(&m->keys.token_seal, sizeof m->keys.token_seal);
    if (e == OK)
        e = rand_bytes(&m->keys.token_mask, sizeof m->keys.token_mask);
    if (e == OK)
        e = rand_bytes(&m->keys.hash, sizeof m->keys.hash);
    if (e == OK)
        e = rand_bytes(&m->keys.nonce, sizeof m->keys.nonce);
    if (e == OK)
        e = shards(m);
    if (e == OK)
        e = board(m);
    if (e == OK)
        e = ledger_open(m);
    if (e == OK)
        e = habits_open(m);
    if (e == OK)
        e = memfd_sealed("ringwall-policy", &m->conf->policy, sizeof m->conf->policy,
                         &m->policy.fd);
    m->policy.n = sizeof m->conf->policy;
    if (e != OK)
        monitor_log(m, SEV_ALERT, "shared memory: %s", strerror(errno));
    return e;
}

enum err boot_all(struct monitor *m)
{
    static enum err (*const steps[])(struct monitor *) = {find_programs, folders, only_one, memory,
                                                          listeners};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        enum err e = steps[i](m);
        if (e != OK)
            return e;
    }
    m->n_programs = ENGINE_SLOT(m->n_engines);
    for (uint32_t i = 0; i < m->n_programs; i++) {
        enum role r = i == VAULT_SLOT   ? ROLE_VAULT
                      : i == STORE_SLOT ? ROLE_STORE
                      : i == FETCH_SLOT ? ROLE_FETCH
                                        : ROLE_ENGINE;
        enum err e = program_init(m, i, r, (uint8_t)(r == ROLE_ENGINE ? i - ENGINE_SLOT(0) : 0));
        if (e != OK) {
            monitor_log(m, SEV_ALERT, "shared memory: %s", strerror(errno));
            return e;
        }
    }
    return boot_certs(m, m->conf, m->chain, &m->ca, &m->key_names);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

void boot_undo(struct monitor *m)
{
    for (uint32_t i = 0; i < m->n_programs; i++) {
        close_fd(&m->program[i].wake_in);
        close_fd(&m->program[i].wake_out);
        close_fd(&m->program[i].stats_fd);
        mem_unmap(m->program[i].stats, sizeof(struct stats));
    }
    for (uint32_t i = 0; i < IPC_ENGINES_MAX; i++) {
        struct shared *all[] = {&m->location[i], &m->location_ro[i], &m->ask[i],
                                &m->answer[i],   &m->fact[i],        &m->restore[i]};
        for (size_t k = 0; k < ARRAY_LEN(all); k++)
            shared_close(all[k]);
        shared_close(&m->ban_hits[i]);
        for (uint32_t k = 0; k < IPC_ENGINES_MAX; k++)
            shared_close(&m->peer[i][k]);
        for (uint32_t k = 0; k < POLICY_LISTENERS; k++)
            close_fd(&m->listener[i][k]);
    }
    ledger_close(m);
    habits_close(m);
    mem_unmap(m->board, sizeof *m->board);
    m->board = NULL;
    struct shared *rest[] = {&m->targets,    &m->targets_ro, &m->policy, &m->directory,
                             &m->certs,      &m->certs_ro,   &m->ca,     &m->key_names,
                             &m->bans_board, &m->bans_ro,    &m->ports,  &m->geo,
                             &m->rules,      &m->rates};
    for (size_t k = 0; k < ARRAY_LEN(rest); k++)
        shared_close(rest[k]);
    for (uint32_t i = 0; i < CONFIG_CERTS; i++)
        shared_close(&m->chain[i]);
    close_fd(&m->lock_fd);
    mem_wipe(&m->keys, sizeof m->keys);
    free(m->conf);
    free(m->next);
    free(m->errors);
    m->conf = m->next = NULL;
    m->errors = NULL;
}
