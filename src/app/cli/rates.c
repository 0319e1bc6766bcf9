/* rates: what calls cost, from the files; no gateway needs to run. */
#include "app/cli/cli.h"
#include "app/config/decks.h"
#include "io/clock.h"

static struct config conf;
static struct config_errors problems;
static struct deck_report report;

static void money(FILE *to, int64_t micro)
{
    (void)fprintf(to, "%lld.%06lld", (long long)(micro / 1000000), (long long)(micro % 1000000));
}

static json_t *problems_json(void)
{
    json_t *a = json_array();
    for (uint32_t i = 0; i < report.n; i++)
        (void)json_array_append_new(a, json_pack("{s:s%, s:i, s:s%}", "file", report.at[i].file,
                                                 strlen(report.at[i].file), "line",
                                                 (int)report.at[i].line, "text", report.at[i].text,
                                                 strlen(report.at[i].text)));
    return a;
}

static void problems_print(FILE *to)
{
    for (uint32_t i = 0; i < report.n; i++) {
        put_safe(to, str_c(report.at[i].file));
        (void)fprintf(to, ":%u: error: ", (unsigned)report.at[i].line);
        put_safe(to, str_c(report.at[i].text));
        (void)fputc('\n', to);
    }
    if (report.n_all > report.n)
        (void)fprintf(to, "and %u more\n", (unsigned)(report.n_all - report.n));
}

static int check(struct cli *c)
{
    struct config_deck d = {.minimum_s = 60, .increment_s = 60};
    struct deck_rows rows = {0};
    void *blob = NULL;
    size_t bytes = 0;
    if (c->n_words != 2) {
        (void)fprintf(stderr, "ringwall rates check: name one FILE\n");
        return EXIT_USAGE;
    }
    (void)snprintf(d.file, sizeof d.file, "%s", c->words[1]);
    enum err e = deck_read(1, &d, &rows, &report);
    if (e == OK)
        e = deck_blob(&rows, &d, &blob, &bytes, &report);
    if (c->json) {
        json_t *doc =
            json_pack("{s:s, s:i, s:i, s:o}", "file", d.file, "prefixes", (int)report.rows,
                      "errors", (int)report.n_all, "problems", problems_json());
        print_json(stdout, doc);
        json_decref(doc);
    } else {
        problems_print(stdout);
        if (e == OK)
            (void)fprintf(stdout, "%s: good: %u prefixes\n", d.file, (unsigned)report.rows);
    }
    free(blob);
    deck_rows_free(&rows);
    return e == OK ? EXIT_OK : EXIT_REFUSED;
}

/* The configuration and the blob of its decks; *ret_blob NULL: no decks. */
static int load(struct cli *c, void **ret_blob)
{
    struct config_opts o = {.now = clock_now().wall, .state = c->state};
    size_t bytes = 0;
    *ret_blob = NULL;
    if (config_load(c->config, &o, &conf, &problems) != OK) {
        (void)fprintf(stderr, "%s is not good: `ringwall check` says why\n", c->config);
        return EXIT_REFUSED;
    }
    if (decks_load(&conf, ret_blob, &bytes, &report) == OK)
        return EXIT_OK;
    problems_print(stderr);
    return EXIT_REFUSED;
}

static struct str text_of(struct span s)
{
    return policy_text(&conf.policy, s);
}

static const char *currency(char ret[8])
{
    struct str s = text_of(conf.policy.currency);
    (void)snprintf(ret, 8, "%.*s", s.n ? (int)MIN(s.n, 3u) : 3, s.n ? s.p : "EUR");
    return ret;
}

static int list(struct cli *c)
{
    static uint32_t rows[RATES_DECKS + 1];
    void *blob;
    char cur[8];
    int r = load(c, &blob);
    if (r != EXIT_OK)
        return r;
    struct rates_entry e;
    for (uint32_t it = 0; rates_next(blob, &it, &e);)
        rows[e.deck]++;
    json_t *decks = json_array();
    for (uint32_t i = 0; i < conf.policy.n_decks; i++) {
        struct str name = text_of(conf.policy.decks[i]);
        json_t *peers = json_array();
        for (uint32_t k = 0; k < conf.policy.n_peers; k++) {
            struct str peer = text_of(conf.policy.peers[k].name);
            if (conf.policy.peers[k].deck == i + 1)
                (void)json_array_append_new(peers, json_stringn(peer.p, peer.n));
        }
        (void)json_array_append_new(decks, json_pack("{s:s%, s:s, s:i, s:o}", "name", name.p,
                                                     name.n, "file", conf.decks[i].file, "prefixes",
                                                     (int)rows[i + 1], "peers", peers));
    }
    json_t *doc = json_pack("{s:s, s:o}", "currency", currency(cur), "decks", decks);
    if (c->json) {
        print_json(stdout, doc);
    } else if (conf.policy.n_decks == 0) {
        (void)printf("no decks: prices by class of number\n");
    } else {
        static const char *const HEAD[] = {"DECK", "PREFIXES", "FILE"};
        struct table *t = table_new(HEAD, ARRAY_LEN(HEAD));
        for (uint32_t i = 0; i < conf.policy.n_decks; i++) {
            table_cell(t, text_of(conf.policy.decks[i]));
            table_fmt(t, "%u", (unsigned)rows[i + 1]);
            table_text(t, conf.decks[i].file);
        }
        table_print(t, stdout);
    }
    json_decref(doc);
    free(blob);
    return EXIT_OK;
}

static json_t *price_json(struct str deck, const struct rate *r, struct str e164)
{
    struct str prefix = r->builtin ? STR_NONE : str_head(str_skip(e164, 1), r->prefix_n);
    return json_pack("{s:s%, s:b, s:s%, s:I, s:I, s:i, s:i, s:i, s:I}", "deck",
                     deck.p ? deck.p : "", deck.n, "builtin", (int)r->builtin, "prefix",
                     prefix.p ? prefix.p : "", prefix.n, "minute_micro",
                     (json_int_t)r->minute_micro, "setup_micro", (json_int_t)r->setup_micro,
                     "minimum", (int)r->minimum_s, "increment", (int)r->increment_s, "line",
                     (int)r->line, "first_minute_micro", (json_int_t)rate_price(r, 60));
}

static void price_print(struct str deck, const struct rate *r, struct str e164, const char *cur)
{
    put_safe(stdout, deck);
    (void)printf(": ");
    money(stdout, r->minute_micro);
    (void)printf(" %s a minute", cur);
    if (r->setup_micro) {
        (void)printf(", ");
        money(stdout, r->setup_micro);
        (void)printf(" set-up");
    }
    (void)printf(", %u/%u", (unsigned)r->minimum_s, (unsigned)r->increment_s);
    if (!r->builtin)
        (void)printf("; prefix %.*s, line %u", (int)r->prefix_n, e164.p + 1, (unsigned)r->line);
    (void)putchar('\n');
}

static int show(struct cli *c)
{
    struct number n;
    void *blob;
    char cur[8];
    if (c->n_words != 2) {
        (void)fprintf(stderr, "ringwall rates show: name one NUMBER\n");
        return EXIT_USAGE;
    }
    int ret = load(c, &blob);
    if (ret != EXIT_OK)
        return ret;
    struct dial_plan plan = policy_plan(&conf.policy, policy_site(&conf.policy, STR_NONE));
    if (number_of(&plan, str_c(c->words[1]), &n) != OK || n.n == 0) {
        (void)fprintf(stderr, "ringwall rates show: that is no number of the outside\n");
        free(blob);
        return EXIT_USAGE;
    }
    struct str e164 = str_of(n.e164, n.n), class = number_class_name((enum number_class)n.kind);
    struct wall now = clock_now().wall;
    struct rate r = rate_of_class(n.kind);
    json_t *prices = json_array();
    (void)currency(cur);
    if (!c->json) {
        (void)printf("%.*s (%.*s)\n", (int)e164.n, e164.p, (int)class.n, class.p);
        price_print(STR("without a deck"), &r, e164, cur);
    }
    (void)json_array_append_new(prices, price_json(STR_NONE, &r, e164));
    for (uint8_t i = 0; i < conf.policy.n_decks; i++) {
        struct str name = text_of(conf.policy.decks[i]);
        if (!rates_find(blob, (uint8_t)(i + 1), e164, now, &r)) {
            if (!c->json)
                (void)printf("%.*s: does not know it\n", (int)name.n, name.p);
            continue;
        }
        (void)json_array_append_new(prices, price_json(name, &r, e164));
        if (!c->json)
            price_print(name, &r, e164, cur);
    }
    json_t *doc = json_pack("{s:s%, s:s%, s:s, s:o}", "number", e164.p, e164.n, "class", class.p,
                            class.n, "currency", cur, "prices", prices);
    if (c->json)
        print_json(stdout, doc);
    json_decref(doc);
    free(blob);
    return EXIT_OK;
}

int cmd_rates(struct cli *c)
{
    struct str what = str_c(c->words[0]);
    if (str_eq(what, STR("check")))
        return check(c);
    if (str_eq(what, STR("show")))
        return show(c);
    if (str_eq(what, STR("list")) && c->n_words == 1)
        return list(c);
    (void)fprintf(stderr, "ringwall rates: check FILE, show NUMBER or list\n");
    return EXIT_USAGE;
}
