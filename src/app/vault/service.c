#include "app/vault/service.h"
#include "app/vault/admin.h"
#include "app/vault/authority.h"
#include "app/vault/core.h"
#include "app/vault/factor.h"
#include "call/directory.h"
#include "call/policy.h"
#include "crypto/hash.h"
#include "io/clock.h"
#include "io/rand.h"
#include "ipc/child.h"
#include <poll.h>

#define BATCH      256u /* questions of one engine before the next has its turn */
#define LOOK_TURNS 64u  /* busy turns between two looks at the control channel */
#define SLEEP_MS   1000
#define KEEP_US    INT64_C(5000000) /* between two writings of new devices */

struct service {
    struct child c;
    struct vault *v;
    struct disk disk;
    struct rng rng;
    struct now now;
    const struct policy *policy;   /* NULL: none that is valid */
    struct key *fresh[VAULT_KEYS]; /* loaded, and not yet used */
    bool has_fresh;
    struct instant saved;  /* devices */
    struct wall certs_due; /* a renewed certificate ends; 0: none */
    bool stop, over;       /* told to end; must end */
    bool told_ring[VAULT_ENGINES], told_ask[VAULT_ENGINES];
};

static struct str peer_name(void *arg, uint16_t index)
{
    const struct policy *p = ((struct service *)arg)->policy;
    return p && index < p->n_peers ? policy_text(p, p->peers[index].name) : STR_NONE;
}

static void take_policy(struct service *s)
{
    const struct policy *p = s->c.policy.p;
    s->policy = p && policy_valid(p, s->c.policy.n) == OK ? p : NULL;
}

/* When the password of one with that role, set then, has had its time. */
static struct wall password_until(const struct service *s, const struct user *x)
{
    const struct policy *p = s->policy;
    for (uint8_t i = 0; p && i < p->n_roles; i++) {
        int64_t days = p->roles[i].rights.password_days;
        if (days && x->changed.us && str_eq(policy_text(p, p->roles[i].name), str_c(x->role)))
            return (struct wall){x->changed.us + days * 86400 * INT64_C(1000000)};
    }
    return (struct wall){0};
}

static enum err publish_one(struct service *s, struct directory *d, const struct user *x)
{
    char text[USER_NUMBERS_TEXT];
    struct out numbers = out_of(text, sizeof(text));
    struct directory_device known[DIRECTORY_DEVICES];
    uint16_t open[DIRECTORY_COUNTRIES];
    const struct device *v;
    const struct country *c;
    uint32_t it = 0;
    user_numbers_put(x, &numbers);
    struct directory_entry e = {.aor = str_c(x->aor),
                                .role = str_c(x->role),
                                .site = str_c(x->site),
                                .numbers = out_str(&numbers),
                                .md5_until = x->md5 ? x->md5->until : (struct wall){0},
                                .password_until = password_until(s, x),
                                .devices = known,
                                .countries = open};
    if (x->second_factor || otps_find(&s->v->otps, e.aor))
        e.flags |= DIRECTORY_SECOND_FACTOR;
    if (x->must_change)
        e.flags |= DIRECTORY_MUST_CHANGE;
    while ((v = devices_next(&s->v->devices, e.aor, &it)) != NULL)
        if (v->state != DEVICE_NEW && e.n_devices < DIRECTORY_DEVICES)
            known[e.n_devices++] = (struct directory_device){v->id, v->state, {0}};
    it = 0;
    while ((c = countries_next(&s->v->countries, e.aor, &it)) != NULL)
        if (e.n_countries < DIRECTORY_COUNTRIES)
            open[e.n_countries++] = c->code;
    return directory_put(d, &e);
}

static enum err publish(struct service *s)
{
    const struct users *u = &s->v->users;
    struct directory_room room = {
        .users = u->n, .devices = s->v->devices.n_known, .countries = s->v->countries.rows.n};
    for (uint32_t i = 0; i < u->n; i++)
        room.numbers += u->v[i]->n_numbers;
    room.text = u->aor_bytes + (size_t)room.numbers * 18;
    size_t bytes = directory_bytes_of(&room);
    struct directory *d = calloc(1, bytes);
    enum err e = d ? OK : ERR_FULL;
    if (d)
        directory_begin_of(d, &room);
    for (uint32_t i = 0; e == OK && i < u->n; i++)
        e = publish_one(s, d, u->v[i]);
    if (e == OK)
        e = child_directory(&s->c, d, bytes);
    free(d);
    return e;
}

static void publish_again(struct service *s)
{
    enum err e = publish(s);
    if (e != OK)
        child_note(&s->c, SEV_ALERT, "vault: a change of users did not reach the engines (%s)",
                   err_name(e));
}

/* Renewed certificates whose overlap is over go onto the revocation list; the monitor reads it when
 * it is given a directory. */
static void end_certs(struct service *s)
{
    bool told = false;
    if (s->certs_due.us == 0 || s->now.wall.us < s->certs_due.us)
        return;
    if (authority_sweep(&s->disk, s->now.wall, &s->certs_due, &told) != OK) {
        child_note(&s->c, SEV_ALERT, "vault: the revocation list cannot be written");
        s->certs_due.us = s->now.wall.us + 60000000;
    }
    if (told)
        publish_again(s);
}

/* Codes that were used, devices and countries that were approved: at once. New devices: when there
 * is time. */
static void keep(struct service *s)
{
    end_certs(s);
    if (s->v->told) {
        s->v->told = false;
        publish_again(s);
        s->saved = (struct instant){0};
    }
    if (s->v->otps.changed && disk_otps_save(&s->disk, &s->v->otps) != OK)
        child_note(&s->c, SEV_ALERT, "vault: %s", s->disk.why);
    s->v->otps.changed = false;
    if (s->v->countries.changed && disk_countries_save(&s->disk, &s->v->countries) != OK)
        child_note(&s->c, SEV_ALERT, "vault: %s", s->disk.why);
    s->v->countries.changed = false;
    if (s->v->countries_full)
        child_note(&s->c, SEV_WARN,
                   "vault: a user has too many countries to remember one more: "
                   "ringwall country list, forget");
    s->v->countries_full = false;
    if (!s->v->devices.changed || s->now.mono.us - s->saved.us < KEEP_US)
        return;
    s->v->devices.changed = false;
    s->saved = s->now.mono;
    if (disk_devices_save(&s->disk, &s->v->devices) != OK)
        child_note(&s->c, SEV_ALERT, "vault: %s", s->disk.why);
}

/* strict: a key that is missing is an error, as when the vault starts. After a reload it leaves its
 * number without a key and is told: the others go on. They are used from the policy on that comes
 * with them: until then engines ask for signatures of the old ones. */
static enum err load_keys(struct service *s, bool strict)
{
    const char *names = s->c.keys.p;
    size_t n = names ? s->c.keys.n / IPC_KEY_NAME : 0;
    if (n > VAULT_KEYS)
        return ERR_LIMIT;
    for (size_t i = 0; i < VAULT_KEYS; i++) {
        key_free(s->fresh[i]);
        s->fresh[i] = NULL;
        if (i >= n || names[i * IPC_KEY_NAME] == '\0')
            continue;
        const char *name = names + i * IPC_KEY_NAME;
        enum err e =
            disk_key_load(&s->disk, str_of(name, strnlen(name, IPC_KEY_NAME)), &s->fresh[i]);
        if (e != OK && strict)
            return e;
        if (e != OK)
            child_note(&s->c, SEV_ALERT, "%s", s->disk.why);
    }
    s->has_fresh = true;
    return OK;
}

static void use_keys(struct service *s)
{
    if (!s->has_fresh)
        return;
    vault_keys(s->v, s->fresh, s->policy ? (uint8_t)s->policy->generation : 0);
    if (s->policy && s->policy->stir.sign)
        s->v->call_key = s->policy->stir.key;
    memset(s->fresh, 0, sizeof s->fresh);
    s->has_fresh = false;
}

static void query(struct service *s)
{
    struct str text = msg_text(&s->c.msg, sizeof(struct msg_query));
    struct admin a = {.users = &s->v->users,
                      .peers = &s->v->peers,
                      .secrets = &s->v->secrets,
                      .disk = &s->disk,
                      .rng = &s->rng,
                      .now = s->now.wall};
    struct admin_reply r;
    if (s->policy) {
        a.password_min = s->policy->password_min;
        a.breach_list = policy_text(s->policy, s->policy->breach_list);
    }
    if (s->policy && s->policy->n_domains > 0)
        (void)snprintf(a.domain, sizeof(a.domain), STR_FMT,
                       STR_ARG(policy_text(s->policy, s->policy->domains[0])));
    struct factor f = {s->v, &s->disk, &s->rng, s->now.wall, str_c(a.domain)};
    if (factor_wants(text))
        factor_do(&f, text, &r);
    else
        admin_do(&a, text, &r);
    enum err e = child_reply(&s->c, s->c.msg.u.query.id, r.code, str_of(r.text, r.n));
    admin_reply_done(&r);
    mem_wipe(s->c.msg.u.body, s->c.msg.n);
    if (a.users_changed)
        factor_sweep(s->v);
    if (a.certs_due.us && (!s->certs_due.us || a.certs_due.us < s->certs_due.us))
        s->certs_due = a.certs_due;
    if (e == OK && (a.users_changed || s->v->told))
        e = publish(s);
    s->v->told = false;
    if (e != OK)
        child_note(&s->c, SEV_ALERT, "vault: a change of users did not reach the engines (%s)",
                   err_name(e));
}

/* false: end the program. */
static bool messages(struct service *s)
{
    enum child_event ev;
    enum err e;
    while ((e = child_next(&s->c, &ev)) == OK) {
        if (ev == CHILD_STOP)
            return s->stop = true, false;
        if (ev == CHILD_QUERY)
            query(s);
        if (ev != CHILD_ATTACHED)
            continue;
        const struct msg_attach *a = &s->c.msg.u.attach;
        if (a->kind == ATTACH_POLICY) {
            take_policy(s);
            use_keys(s);
            publish_again(s); /* how long passwords last */
        } else if (a->kind == ATTACH_RING_ASK && a->a < VAULT_ENGINES)
            s->told_ring[a->a] = s->told_ask[a->a] = false; /* another engine */
        else if (a->kind == ATTACH_KEYS && load_keys(s, false) != OK)
            child_note(&s->c, SEV_ALERT, "vault: too many keys");
        if (a->kind == ATTACH_KEYS && !s->policy)
            use_keys(s);
    }
    return e == ERR_AGAIN;
}

static void look(struct service *s)
{
    if (!messages(s))
        s->over = true;
}

/* An administrator's word stands in the audit; this one in the log. */
static void tell_opened(struct service *s)
{
    char cc[COUNTRY_TEXT];
    country_text(s->v->opened.code, cc);
    child_note(&s->c, SEV_NOTICE, "vault: %s is open to %s by a one-time code", cc,
               s->v->opened.aor);
    s->v->opened.code = 0;
}

/* Answers up to BATCH questions of one engine; how many there were. */
static uint32_t serve(struct service *s, uint8_t engine)
{
    struct ask q;
    struct answer a;
    struct vault_env env = {engine, s->now, peer_name, s};
    uint32_t n = 0;
    while (n < BATCH) {
        size_t bytes = 0;
        enum err e = child_get(&s->c.ask[engine], &q, sizeof(q), &bytes);
        if (e == ERR_AGAIN)
            break;
        n++;
        if (e == ERR_STATE && !s->told_ring[engine]) {
            s->told_ring[engine] = true;
            child_note(&s->c, SEV_ALERT, "vault: engine %u broke its ring of questions", engine);
        }
        if (e == ERR_STATE)
            break;
        if (e != OK || ask_valid(&q, bytes) != OK) {
            if (!s->told_ask[engine])
                child_note(&s->c, SEV_ALERT, "vault: engine %u asks what is no question", engine);
            s->told_ask[engine] = true;
            continue;
        }
        if (q.kind == ASK_DEVICE) {
            vault_device(s->v, &env, &q);
            continue;
        }
        if (!vault_knows(s->v, &q)) /* the monitor told us before it told the engine */
            look(s);
        vault_answer(s->v, &env, &q, &a);
        if (s->v->opened.code)
            tell_opened(s);
        if (child_put(&s->c.answer[engine], &a, answer_size(&a)) == OK)
            stat_add(s->c.stats, STAT_answers, 1);
        else
            counters_hit(&s->c.stats->reasons, REASON_ring_full);
    }
    mem_wipe(&a, sizeof(a));
    mem_wipe(&q, sizeof(q)); /* may have held a code */
    return n;
}

static uint32_t serve_all(struct service *s)
{
    uint32_t n = 0;
    s->now = clock_now();
    for (uint8_t i = 0; i < VAULT_ENGINES; i++)
        if (s->c.ask[i].mem)
            n += serve(s, i);
    if (n > 0) {
        child_flush(&s->c);
        stat_add(s->c.stats, STAT_asks, n);
        stat_set(s->c.stats, STAT_signs, s->v->signed_);
    }
    return n;
}

static int run(struct service *s)
{
    for (uint32_t turn = 1; !s->over; turn++) {
        uint32_t n = serve_all(s);
        stat_add(s->c.stats, STAT_turns, 1);
        keep(s);
        if (n == 0 && child_sleep(&s->c)) {
            struct pollfd p[] = {{s->c.wake, POLLIN, 0}, {s->c.ch.fd, POLLIN, 0}};
            stat_set(s->c.stats, STAT_cpu_us, clock_cpu_us());
            (void)poll(p, ARRAY_LEN(p), SLEEP_MS);
            child_awake(&s->c);
            s->now = clock_now();
            if (p[1].revents)
                look(s);
        } else if (turn % LOOK_TURNS == 0) {
            look(s);
        }
    }
    return s->stop ? 0 : 1;
}

static int failed(struct service *s, const char *what, const char *why)
{
    (void)fprintf(stderr, "ringwall-vault: %s%s%s\n", what, *why ? ": " : "", why);
    child_note(&s->c, SEV_ALERT, "vault: %s%s%s", what, *why ? ": " : "", why);
    return 1;
}

static int prepare(struct service *s)
{
    uint8_t seed[64];
    if (rand_bytes(seed, sizeof(seed)) != OK)
        return failed(s, "no random numbers", "");
    rng_init(&s->rng, seed);
    enum err e = vault_new(&s->c.setup.nonce, seed + 32, &s->v);
    mem_wipe(seed, sizeof(seed));
    if (e != OK)
        return failed(s, "no memory", "");
    if (disk_open(&s->disk, ".") != OK || disk_users_load(&s->disk, &s->v->users) != OK ||
        disk_peers_load(&s->disk, &s->v->peers) != OK ||
        disk_secrets_load(&s->disk, &s->v->secrets) != OK ||
        disk_otps_load(&s->disk, &s->v->otps) != OK ||
        disk_devices_load(&s->disk, &s->v->devices) != OK ||
        disk_countries_load(&s->disk, &s->v->countries) != OK || load_keys(s, true) != OK)
        return failed(s, "cannot begin", s->disk.why);
    factor_sweep(s->v); /* users may have gone meanwhile */
    take_policy(s);
    use_keys(s);
    s->now = clock_now();
    s->certs_due.us = 1; /* some may have ended meanwhile: at the first turn */
    if (publish(s) != OK || child_running(&s->c) != OK)
        return failed(s, "the monitor does not listen", "");
    return 0;
}

int service_main(const char *folder)
{
    static struct service s;
    key_room();
    if (crypto_init() != OK || otp_init() != OK) {
        (void)fprintf(stderr, "ringwall-vault: libcrypto does not work\n");
        return 1;
    }
    if (child_start(&s.c, ROLE_VAULT, folder) != OK)
        return 1;
    int code = prepare(&s);
    if (code == 0)
        code = run(&s);
    vault_free(s.v);
    disk_close(&s.disk);
    return code;
}
