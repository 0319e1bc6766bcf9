/* rates: what calls cost, and what all calls together may cost. */
#include "app/config/decks.h"
#include "app/config/yaml.h"
#include "base/lex.h"

#define AT(type, member) offsetof(struct type, member)
#define TOLD             10u /* lines of a deck */

const struct ref_kind REF_DECK = {"deck", offsetof(struct policy, decks), sizeof(struct span),
                                  offsetof(struct policy, n_decks)};

struct deck { /* while it is read */
    struct span name;
    struct span file;
    uint16_t minimum_s, increment_s;
};

static void rd_currency(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct str s;
    if (!scalar(l, f->key, n, &s))
        return;
    bool good = s.n == 3;
    for (size_t i = 0; i < s.n && good; i++)
        good = s.p[i] >= 'A' && s.p[i] <= 'Z';
    if (good)
        (void)text_add(l, pos_of(n), s, dst);
    else
        problem(l, pos_of(n), "three letters: EUR", "%s: \"%.*s\" is no currency", f->key,
                (int)MIN(s.n, 40u), s.p);
}

/* The lines of the file are the problem, not that of the configuration: named in the text. */
static void deck_look(struct load *l, uint8_t i, struct pos at)
{
    struct deck_rows rows = {0};
    struct deck_report *r = calloc(1, sizeof *r);
    void *blob = NULL;
    size_t bytes;
    if (!r)
        return;
    enum err e = deck_read((uint8_t)(i + 1), &l->c->decks[i], &rows, r);
    if (e == OK)
        e = deck_blob(&rows, l->c->decks, &blob, &bytes, r);
    for (uint32_t k = 0; e != OK && k < MIN(r->n, TOLD); k++)
        problem(l, at, "`ringwall rates check FILE` tells them all", "%.60s:%u: %s", r->at[k].file,
                r->at[k].line, r->at[k].text);
    free(blob);
    deck_rows_free(&rows);
    free(r);
}

static void rd_deck(struct load *l, struct fy_node *n)
{
    static const struct field DECK[] = {
        {"name", rd_name, AT(deck, name), true, 1, 30, NULL},
        {"file", rd_file, AT(deck, file), true, 0, 0, NULL},
        {"minimum", rd_seconds16, AT(deck, minimum_s), false, 1, 3600, NULL},
        {"increment", rd_seconds16, AT(deck, increment_s), false, 1, 3600, NULL},
    };
    struct deck d = {.minimum_s = 60, .increment_s = 60};
    uint32_t errors = l->e->n_errors;
    (void)map_read(l, n, "deck", DECK, ARRAY_LEN(DECK), &d);
    if (!d.name.len)
        return;
    struct str name = policy_text(l->p, d.name), file = policy_text(l->p, d.file);
    for (uint32_t i = 0; i < l->p->n_decks; i++)
        if (str_ieq(policy_text(l->p, l->p->decks[i]), name)) {
            problem(l, pos_of(n), NULL, "two decks have the name \"%.*s\"", STR_ARG(name));
            return;
        }
    uint8_t i = l->p->n_decks++;
    struct config_deck *x = &l->c->decks[i];
    l->p->decks[i] = d.name;
    *x = (struct config_deck){.minimum_s = d.minimum_s, .increment_s = d.increment_s};
    memcpy(x->file, file.p, MIN(file.n, sizeof x->file - 1));
    if (!l->o->no_files && l->e->n_errors == errors)
        deck_look(l, i, pos_of(n));
}

static void rd_decks(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    void *it = NULL;
    (void)dst;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it)) && l->p->n_decks < RATES_DECKS;)
        rd_deck(l, e);
}

static void rd_class_caps(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    static struct field classes[CLASS_COUNT];
    static char names[CLASS_COUNT][24];
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        struct str s = number_class_name((enum number_class)i);
        (void)snprintf(names[i], sizeof names[i], "%.*s", STR_ARG(s));
        classes[i] = (struct field){names[i], rd_caps, i * sizeof(struct caps), false, 0, 0, NULL};
    }
    (void)map_read(l, n, f->key, classes, CLASS_COUNT, dst);
}

static void rd_prefix(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct policy_place *x = dst;
    struct str s;
    if (!scalar(l, f->key, n, &s))
        return;
    s = str_starts(s, STR("+")) ? str_skip(s, 1) : s;
    bool good = s.n > 0 && s.n < sizeof x->prefix;
    for (size_t i = 0; i < s.n && good; i++)
        good = ascii_digit(s.p[i]);
    if (!good) {
        problem(l, pos_of(n), "the beginning of international numbers, in quotes: \"+8816\"",
                "%s: \"%.*s\" is no prefix", f->key, (int)MIN(s.n, 40u), s.p);
        return;
    }
    x->prefix_n = (uint8_t)s.n;
    memcpy(x->prefix, s.p, s.n);
}

static bool place_there(const struct policy *p, const struct policy_place *x)
{
    for (unsigned i = 0; i < p->n_places; i++) {
        const struct policy_place *y = &p->places[i];
        if (y->country == x->country &&
            str_eq(str_of(y->prefix, y->prefix_n), str_of(x->prefix, x->prefix_n)))
            return true;
    }
    return false;
}

static void rd_places(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    static const struct field PLACE[] = {
        {"country", rd_country, AT(policy_place, country), false, 0, 0, NULL},
        {"prefix", rd_prefix, 0, false, 0, 0, NULL},
        {"caps", rd_caps, AT(policy_place, caps), true, 0, 0, NULL},
    };
    void *it = NULL;
    (void)dst;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it)) && l->p->n_places < POLICY_PLACES;) {
        struct policy_place x = {0};
        uint32_t errors = l->e->n_errors;
        (void)map_read(l, e, "place", PLACE, ARRAY_LEN(PLACE), &x);
        if (l->e->n_errors != errors)
            continue;
        if (!x.country == !x.prefix_n)
            problem(l, pos_of(e), "{country: AT, caps: ...} or {prefix: \"+8816\", caps: ...}",
                    "place: a country or a prefix");
        else if (place_there(l->p, &x))
            problem(l, pos_of(e), NULL, "place: it is there twice");
        else
            l->p->places[l->p->n_places++] = x;
    }
}

void read_rates(struct load *l, struct fy_node *n)
{
    static const struct field RATES[] = {
        {"currency", rd_currency, AT(policy, currency), false, 0, 0, NULL},
        {"decks", rd_decks, 0, false, 0, RATES_DECKS, NULL},
        {"caps", rd_caps, AT(policy, system), false, 0, 0, NULL},
        {"class_caps", rd_class_caps, AT(policy, class_caps), false, 0, 0, NULL},
        {"places", rd_places, 0, false, 0, POLICY_PLACES, NULL},
    };
    (void)map_read(l, n, "rates", RATES, ARRAY_LEN(RATES), l->p);
}
