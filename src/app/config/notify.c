/* notify: whom to tell of what, by webhook or mail. */
#include "app/config/values.h"
#include "app/config/yaml.h"
#include "guard/feed.h"
#include <unistd.h>

#define PER_MINUTE 10u
#define BANS_MANY  20u
#define OF(member) offsetof(struct config_target, member)

static const struct word EVENTS[] = {
#define X(symbol, word) {word, NOTE_##symbol},
    NOTIFY_EVENTS(X)
#undef X
        {NULL, 0}};

const char *notify_event_name(enum notify_event e)
{
    return e < NOTE_COUNT ? EVENTS[e].word : "?";
}

static void rd_events(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    void *it = NULL;
    uint32_t *bits = dst;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it));) {
        int v = word_find(l, f->key, e, EVENTS);
        if (v >= 0)
            *bits |= UINT32_C(1) << v;
    }
}

/* addr-spec without quotes, comments or blanks: what goes into a header and an SMTP command. */
static bool mail_sound(struct str s)
{
    size_t at = str_find(s, '@');
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= 0x20 || s.p[i] >= 0x7f || strchr("<>()[]\\,;:\"", s.p[i]))
            return false;
    return at > 0 && at < s.n && value_host(str_skip(s, at + 1));
}

static void rd_mail(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    char text[NOTIFY_MAIL] = "";
    struct field g = *f;
    g.max = NOTIFY_MAIL - 1;
    rd_chars(l, &g, n, text);
    if (text[0] && !mail_sound(str_c(text)))
        problem(l, pos_of(n), "for instance noc@example.com", "%s: \"%.60s\" is no mail address",
                f->key, text);
    else
        memcpy(dst, text, sizeof text);
}

static void rd_to(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct config_target *t = dst;
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it)) && t->n_to < NOTIFY_TO;)
        rd_mail(l, f, e, t->to[t->n_to++]);
}

static void rd_path(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    char given[NOTIFY_PATH] = "", path[NOTIFY_PATH * 2];
    rd_chars(l, f, n, given);
    if (!given[0])
        return;
    int len = given[0] == '/' ? snprintf(path, sizeof path, "%s", given)
                              : snprintf(path, sizeof path, "%s/%s", l->c->state, given);
    if (len < 0 || (size_t)len >= NOTIFY_PATH) {
        problem(l, pos_of(n), NULL, "%s: the path is longer than %u bytes", f->key,
                NOTIFY_PATH - 1);
        return;
    }
    if (!l->o->no_files && access(path, R_OK) != 0)
        problem(l, pos_of(n), "names that do not begin with / are looked for in the state folder",
                "%s: %s cannot be read", f->key, path);
    memcpy(dst, path, (size_t)len + 1);
}

/* A file, or vault:NAME of `ringwall secret set NAME`. */
static void rd_secret(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct config_target t = {0};
    rd_chars(l, f, n, t.secret);
    struct str name = notify_vault_name(&t);
    if (!str_starts(str_c(t.secret), STR("vault:"))) {
        rd_path(l, f, n, dst);
        return;
    }
    bool good = name.n > 0 && name.n <= 64;
    for (size_t i = 0; i < name.n; i++)
        good = good && name.p[i] > ' ' && name.p[i] < 0x7f && name.p[i] != '"' && name.p[i] != '\\';
    if (good)
        memcpy(dst, t.secret, sizeof t.secret);
    else
        problem(l, pos_of(n), "for instance vault:chat, after `ringwall secret set chat`",
                "%s: that is no name of a secret", f->key);
}

enum {
    F_NAME,
    F_URL,
    F_SMTP,
    F_EVENTS,
    F_LIMIT,
    F_CA,
    F_SECRET,
    F_USER,
    F_FROM,
    F_TO,
    F_STARTTLS,
    F_PRIVATE,
    F_PLAIN,
    F_SUBJECT,
    F_TEXT
};
static const struct field TARGET[] = {
    [F_NAME] = {"name", rd_chars, OF(name), true, 1, NOTIFY_WORD - 1, NULL},
    [F_URL] = {"url", rd_chars, OF(url), false, 1, FEED_URL_MAX, NULL},
    [F_SMTP] = {"smtp", rd_chars, OF(url), false, 1, 255, NULL},
    [F_EVENTS] = {"events", rd_events, OF(events), true, 0, 32, NULL},
    [F_LIMIT] = {"per_minute", rd_u16, OF(per_minute), false, 1, 600, NULL},
    [F_CA] = {"ca", rd_path, OF(ca), false, 1, NOTIFY_PATH - 1, NULL},
    [F_SECRET] = {"secret", rd_secret, OF(secret), false, 1, NOTIFY_PATH - 1, NULL},
    [F_USER] = {"user", rd_chars, OF(user), false, 1, NOTIFY_WORD - 1, NULL},
    [F_FROM] = {"from", rd_mail, OF(from), false, 1, NOTIFY_MAIL - 1, NULL},
    [F_TO] = {"to", rd_to, 0, false, 0, NOTIFY_TO, NULL},
    [F_STARTTLS] = {"starttls", rd_bool, OF(starttls), false, 0, 0, NULL},
    [F_PRIVATE] = {"private", rd_bool, OF(inside), false, 0, 0, NULL},
    [F_PLAIN] = {"plaintext", rd_bool, OF(plain), false, 0, 0, NULL},
    [F_SUBJECT] = {"subject", rd_chars, OF(subject), false, 1, NOTIFY_MAIL - 1, NULL},
    [F_TEXT] = {"text", rd_chars, OF(text), false, 1, NOTIFY_TEXT - 1, NULL},
};

static bool is_loopback(struct str host)
{
    struct addr a;
    return str_ieq(host, STR("localhost")) || (addr_parse_ip(host, &a) == OK && addr_loopback(&a));
}

/* What is not encrypted may leave this machine for nobody; on it, only where the file says so. */
static void plain_judge(struct load *l, const struct config_target *t, struct pos at,
                        struct str host, const char *what)
{
    if (!is_loopback(host))
        problem(l, at, "give the server a certificate", "%s: only to this machine itself", what);
    else if (!t->plain)
        problem(l, at, "if that is meant: plaintext: yes",
                "%s: everybody on this machine who can "
                "listen reads it",
                what);
}

static void inside_judge(struct load *l, const struct config_target *t, struct pos at,
                         struct str host)
{
    struct addr a;
    if (addr_parse_ip(host, &a) == OK && feed_inside(&a) && !addr_loopback(&a) && !t->inside)
        problem(l, at, "if that is meant: private: yes",
                "notify: %.*s is an address inside your own network", (int)MIN(host.n, 60u),
                host.p);
}

static void hook_judge(struct load *l, const struct config_target *t, struct pos at)
{
    struct feed_url u;
    const char *why = "";
    if (feed_url_parse(str_c(t->url), &u, &why) != OK) {
        problem(l, at, "for instance https://hooks.example.net/ringwall", "url: %s", why);
        return;
    }
    if (u.plain)
        plain_judge(l, t, at, u.host, "url: http");
    inside_judge(l, t, at, u.host);
    if (!t->secret[0])
        warning(l, at, "secret: vault:NAME (or FILE), a key that the receiver knows, too",
                "target %s: its messages are not signed", t->name);
}

/* smtp://host[:port] or smtps://host[:port] */
static void mail_judge(struct load *l, const struct config_target *t, struct pos at)
{
    char as_http[NOTIFY_URL + 8];
    struct feed_url u;
    const char *why = "";
    bool tls = str_starts(str_c(t->url), STR("smtps://")),
         plain = str_starts(str_c(t->url), STR("smtp://"));
    (void)snprintf(as_http, sizeof as_http, "https://%s", t->url + (tls ? 8 : plain ? 7 : 0));
    if ((!tls && !plain) || feed_url_parse(str_c(as_http), &u, &why) != OK || u.target.n > 1) {
        problem(l, at, "for instance smtp://mail.example.com:587",
                "smtp: \"%.60s\" is no address of a mail server", t->url);
        return;
    }
    if (plain && !t->starttls)
        plain_judge(l, t, at, u.host, "smtp without starttls");
    inside_judge(l, t, at, u.host);
    if (!t->from[0] || t->n_to == 0)
        problem(l, at, NULL, "target %s: a mail needs \"from\" and \"to\"", t->name);
    if ((t->user[0] != 0) != (t->secret[0] != 0))
        problem(l, at, "secret: vault:NAME (or FILE) holds the password",
                "target %s: \"user\" and \"secret\" go together", t->name);
}

static void rd_targets(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct config_notify *c = dst;
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it)) && c->n < NOTIFY_TARGETS;) {
        struct config_target *t = &c->at[c->n];
        struct pos at = pos_of(e);
        uint32_t errors = l->e->n_errors;
        *t = (struct config_target){.per_minute = PER_MINUTE, .starttls = true};
        uint32_t seen = map_read(l, e, "target", TARGET, ARRAY_LEN(TARGET), t);
        bool url = seen >> F_URL & 1;
        t->mail = seen >> F_SMTP & 1;
        if (l->e->n_errors != errors)
            continue;
        if (url == t->mail)
            problem(l, at, NULL, "target %s: one of \"url\" and \"smtp\" is wanted", t->name);
        else if (t->mail)
            mail_judge(l, t, at);
        else
            hook_judge(l, t, at);
        for (unsigned i = 0; i < c->n; i++)
            if (strcmp(c->at[i].name, t->name) == 0)
                problem(l, at, NULL, "two targets are named \"%s\"", t->name);
        c->n++;
    }
}

void read_notify(struct load *l, struct fy_node *n)
{
    static const struct field NOTIFY[] = {
        {"bans_many", rd_u32, offsetof(struct config_notify, bans_many), false, 1, 1000000, NULL},
        {"targets", rd_targets, 0, true, 0, NOTIFY_TARGETS, NULL},
    };
    l->c->notify.bans_many = BANS_MANY;
    (void)map_read(l, n, "notify", NOTIFY, ARRAY_LEN(NOTIFY), &l->c->notify);
}
