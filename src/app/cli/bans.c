/* Bans, alerts, and what is known of somebody. */
#include "app/cli/cli.h"
#include "base/addr.h"
#include "ipc/control.h"

#define REQUEST_MAX 4096u

bool is_address(const char *word)
{
    struct prefix p;
    return prefix_parse(str_c(word), &p) == OK;
}

static bool is_number(const char *word)
{
    size_t n = strlen(word), i = word[0] == '+';
    for (; i < n; i++)
        if (!ascii_digit(word[i]) && word[i] != '*' && word[i] != '#')
            return false;
    return n > (word[0] == '+');
}

/* The request's reader knows no escapes. */
static bool plain(const char *word)
{
    for (const char *p = word; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f || *p == '"' || *p == '\\') {
            (void)fprintf(stderr, "ringwall: quotes, backslashes and control characters do not "
                                  "belong there\n");
            return false;
        }
    }
    return true;
}

static int bad_use(const struct cli *c)
{
    (void)fprintf(stderr, "ringwall %s: see ringwall %s --help\n", c->command, c->command);
    return EXIT_USAGE;
}

static bool put_number(struct out *o, const struct cli *c, const char *key, const char *v,
                       const char *option)
{
    uint32_t n;
    if (!v)
        return true;
    if (str_u32(str_c(v), UINT32_MAX, &n) != OK || n == 0) {
        (void)fprintf(stderr, "ringwall %s: --%s wants a number from 1\n", c->command, option);
        return false;
    }
    out_json_ku64(o, str_c(key), n);
    return true;
}

static int send_off(struct cli *c, struct out *o, show_fn *show)
{
    out_ch(o, '}');
    if (!o->full)
        return ask_and_show(c, out_str(o), show);
    (void)fprintf(stderr, "ringwall: the words are too long\n");
    return EXIT_USAGE;
}

/* "90", "90s", "15m", "2h", "7d" in seconds. */
static bool seconds_of(const char *text, uint32_t *ret_s)
{
    struct str s = str_c(text);
    char last = s.n ? s.p[s.n - 1] : 0;
    uint32_t unit = last == 'm' ? 60 : last == 'h' ? 3600 : last == 'd' ? 86400 : 1, v;
    if (last == 's' || unit > 1)
        s = str_head(s, s.n - 1);
    if (str_u32(s, UINT32_MAX / unit, &v) != OK || v == 0)
        return false;
    *ret_s = v * unit;
    return true;
}

/* An address, a user, a number, or an address and a user. */
static bool put_who(struct out *o, const char *a, const char *b)
{
    if (!a || !plain(a) || (b && !plain(b)))
        return false;
    if ((b && (!is_address(a) || is_address(b))) || (!is_address(a) && strchr(a, '/'))) {
        (void)fprintf(stderr, "ringwall: that is no address and no prefix\n");
        return false;
    }
    request_str(o, is_address(a) ? "address" : is_number(a) ? "number" : "aor", a);
    request_str(o, "aor", b);
    return true;
}

static int add(struct cli *c)
{
    char text[REQUEST_MAX];
    struct out o = out_of(text, sizeof text);
    uint32_t seconds;
    request_begin(&o, "bans-add");
    if (!put_who(&o, c->words[1], c->words[2]) || (c->why && !plain(c->why)) ||
        (c->treat && !plain(c->treat)))
        return bad_use(c);
    request_str(&o, "why", c->why);
    request_str(&o, "treat", c->treat);
    if (c->lasts && !seconds_of(c->lasts, &seconds)) {
        (void)fprintf(stderr, "ringwall bans: --for wants 90s, 15m, 2h or 7d\n");
        return EXIT_USAGE;
    }
    if (c->lasts)
        out_json_ku64(&o, STR("seconds"), seconds);
    return send_off(c, &o, show_ban);
}

static void show_released(FILE *to, const struct cli *c, const json_t *doc)
{
    long long n = (long long)number(doc, "released");
    (void)c;
    (void)fprintf(to, "%lld ban%s released\n", n, n == 1 ? "" : "s");
    if (member(doc, "note")) {
        put_safe(to, str_c(member(doc, "note")));
        (void)fputc('\n', to);
    }
}

static int release(struct cli *c)
{
    char text[REQUEST_MAX];
    struct out o = out_of(text, sizeof text);
    uint32_t id;
    const char *who = c->words[1];
    request_begin(&o, "bans-release");
    if ((c->by && !plain(c->by)) || (c->detector && !plain(c->detector)) ||
        !who == !(c->by || c->detector))
        return bad_use(c);
    request_str(&o, "by", c->by);
    request_str(&o, "detector", c->detector);
    /* a short number is a ban's, others are telephone numbers */
    if (who && str_u32(str_c(who), UINT32_MAX, &id) == OK && !c->words[2])
        request_str(&o, "id", who);
    else if (who && !put_who(&o, who, c->words[2]))
        return bad_use(c);
    return send_off(c, &o, show_released);
}

static int show_one(struct cli *c)
{
    char text[REQUEST_MAX];
    struct out o = out_of(text, sizeof text);
    struct reply r, kept;
    request_begin(&o, "bans-show");
    if (!put_number(&o, c, "id", c->words[1], "id") || !c->words[1])
        return bad_use(c);
    out_ch(&o, '}');
    int e = gateway_ask(c, out_str(&o), &r);
    if (e != EXIT_OK)
        return e;
    e = reply_judge(&r);
    json_int_t evidence =
        json_integer_value(json_object_get(json_object_get(r.doc, "ban"), "evidence"));
    if (e == EXIT_OK && evidence > 0) {
        o = out_of(text, sizeof text);
        request_begin(&o, "evidence");
        out_json_ki64(&o, STR("id"), evidence);
        out_ch(&o, '}');
        if (gateway_ask(c, out_str(&o), &kept) == EXIT_OK) {
            if (kept.code == CONTROL_OK)
                (void)json_object_set(r.doc, "evidence", kept.doc);
            reply_done(&kept);
        }
    }
    if (c->json)
        print_json(stdout, r.doc);
    else if (e == EXIT_OK)
        show_ban(stdout, c, r.doc);
    reply_done(&r);
    return e;
}

static int list(struct cli *c, const char *who)
{
    char text[REQUEST_MAX];
    struct out o = out_of(text, sizeof text);
    request_begin(&o, "bans");
    if ((who && !plain(who)) || (c->scope && !plain(c->scope)) || (c->by && !plain(c->by)))
        return bad_use(c);
    request_str(&o, "scope", c->scope);
    request_str(&o, "by", c->by);
    request_str(&o, who && is_address(who) ? "address" : "text", who);
    if (!put_number(&o, c, "limit", c->last, "last"))
        return EXIT_USAGE;
    return send_off(c, &o, show_bans);
}

int cmd_bans(struct cli *c)
{
    struct str verb = str_c(c->n_words ? c->words[0] : "list");
    if (str_eq(verb, STR("list")) && c->n_words < 3)
        return list(c, c->words[1]);
    if (str_eq(verb, STR("show")) && c->n_words == 2)
        return show_one(c);
    if (str_eq(verb, STR("add")))
        return add(c);
    if (str_eq(verb, STR("release")))
        return release(c);
    return bad_use(c);
}

static void put_hex(struct out *o, const char *key, const char *v)
{
    out_json_key(o, str_c(key));
    out_ch(o, '"');
    out_hex(o, (const uint8_t *)v, MIN(strlen(v), (size_t)255));
    out_ch(o, '"');
}

int cmd_alerts(struct cli *c)
{
    char text[REQUEST_MAX];
    struct out o = out_of(text, sizeof text);
    if (c->n_words == 2 && strcmp(c->words[0], "evidence") == 0) {
        request_begin(&o, "evidence");
        if (!plain(c->words[1]))
            return EXIT_USAGE;
        request_str(&o, "id", c->words[1]);
        return send_off(c, &o, show_evidence);
    }
    if (c->n_words > 1 || (c->n_words == 1 && !is_address(c->words[0])) ||
        (c->aor && !plain(c->aor)) || (c->detector && !plain(c->detector)))
        return bad_use(c);
    request_begin(&o, "alerts");
    request_str(&o, "address", c->words[0]);
    request_str(&o, "aor", c->aor);
    request_str(&o, "detector", c->detector);
    if (c->call_id)
        put_hex(&o, "call_id_hex", c->call_id);
    if (!put_number(&o, c, "sid", c->sid, "sid") || !put_number(&o, c, "last", c->last, "last"))
        return EXIT_USAGE;
    return send_off(c, &o, show_alert_list);
}

/* -- what is known of somebody -- */

/* Asks one part; NULL: there is none, which is told in the document. */
static json_t *part(const struct cli *c, struct out *o)
{
    struct reply r;
    out_ch(o, '}');
    if (o->full || gateway_ask(c, out_str(o), &r) != EXIT_OK)
        return NULL;
    json_t *doc = r.code == CONTROL_OK ? json_incref(r.doc) : NULL;
    reply_done(&r);
    return doc;
}

static bool anything(const json_t *doc)
{
    static const char *const LISTS[] = {"bans", "alerts", "refusals", "bindings"};
    const json_t *e;
    size_t i;
    for (i = 0; i < sizeof LISTS / sizeof *LISTS; i++)
        if (json_array_size(json_object_get(doc, LISTS[i])))
            return true;
    json_array_foreach(json_object_get(doc, "engines"), i, e)
    {
        if (json_is_object(json_object_get(e, "source")) ||
            json_is_object(json_object_get(e, "aor")) ||
            json_is_object(json_object_get(e, "number")) ||
            json_array_size(json_object_get(e, "devices")))
            return true;
    }
    return false;
}

static void take(json_t *doc, json_t *from)
{
    const char *key;
    json_t *v;
    json_object_foreach(from, key, v)
    {
        if (json_is_array(v))
            (void)json_object_set(doc, key, v);
    }
    json_decref(from);
}

int explain_who(struct cli *c, const char *word)
{
    char text[REQUEST_MAX], user[512];
    struct out o = out_of(text, sizeof text);
    bool address = is_address(word);
    if (!plain(word))
        return EXIT_USAGE;
    json_t *doc = json_object();
    (void)json_object_set_new(doc, address ? "address" : "name", json_string(word));
    request_begin(&o, "bans");
    request_str(&o, address ? "address" : "aor", word);
    request_str(&o, "number", address ? NULL : word);
    json_t *bans = part(c, &o);
    if (!bans) {
        json_decref(doc);
        (void)fprintf(stderr, "ringwall: the gateway does not answer\n");
        return gateway_runs(c) ? EXIT_LATE : EXIT_NOT_RUNNING;
    }
    const char *aor = member(bans, "aor");
    (void)snprintf(user, sizeof user, "%s", aor && !is_number(word) ? aor : word);
    if (!address && strcmp(user, word) != 0)
        (void)json_object_set_new(doc, "user", json_string(user));
    take(doc, bans);
    o = out_of(text, sizeof text);
    request_begin(&o, "shield-explain");
    request_str(&o, address ? "address" : "name", user);
    take(doc, part(c, &o));
    o = out_of(text, sizeof text);
    request_begin(&o, "store-who");
    request_str(&o, address ? "address" : "aor", user);
    take(doc, part(c, &o));
    bool any = anything(doc);
    if (!any)
        (void)fprintf(stderr,
                      "ringwall: nothing is on record of a request, an address, a user or a "
                      "number of that name\n");
    else if (c->json)
        print_json(stdout, doc);
    else
        show_who(stdout, c, doc);
    json_decref(doc);
    return any ? EXIT_OK : EXIT_NOT_FOUND;
}
