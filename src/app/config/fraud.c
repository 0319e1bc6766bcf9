/* fraud: what is done about behaviour that does not fit, at which scores, and ranges of ill repute.
 */
#include "app/config/yaml.h"
#include "base/lex.h"
#include <stdio.h>
#include <stdlib.h>

#define AT(member)      offsetof(struct fraud_policy, member)
#define RANGES_BYTES    (1u << 20)
#define RANGES_PROBLEMS 10u

static void rd_mode(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    static const struct word MODES[] = {{"act", 0}, {"dry-run", 1}, {"off", 2}, {NULL, 0}};
    struct fraud_policy *p = dst;
    int v = word_find(l, f->key, n, MODES);
    if (v < 0)
        return;
    p->dry_run = v == 1;
    if (v == 2)
        p->off_signs = (1u << SIGN_COUNT) - 1;
}

static void rd_levels(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    static const struct field LEVELS[] = {
        {"log", rd_u16, 2 * FRAUD_LOG, false, 0, 1000, NULL},
        {"notify", rd_u16, 2 * FRAUD_NOTIFY, false, 0, 1000, NULL},
        {"step-up", rd_u16, 2 * FRAUD_STEP_UP, false, 0, 1000, NULL},
        {"refuse", rd_u16, 2 * FRAUD_REFUSE, false, 0, 1000, NULL},
        {"cut", rd_u16, 2 * FRAUD_CUT, false, 0, 1000, NULL},
        {"lock", rd_u16, 2 * FRAUD_LOCK, false, 0, 1000, NULL},
    };
    uint16_t *v = dst, last = 0;
    uint32_t errors = l->e->n_errors;
    (void)map_read(l, n, f->key, LEVELS, ARRAY_LEN(LEVELS), dst);
    for (unsigned i = 0; i < FRAUD_LEVELS && l->e->n_errors == errors; i++) {
        if (v[i] && v[i] < last)
            problem(l, pos_of(n), "scores rise from log over notify, step-up, refuse, cut to lock",
                    "levels: \"%.*s\" begins at %u, a milder act only at %u",
                    STR_ARG(fraud_act_name((enum fraud_act)i)), v[i], last);
        last = MAX(last, v[i]);
    }
}

static void rd_weights(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct field signs[SIGN_COUNT];
    char names[SIGN_COUNT][24];
    for (unsigned i = 0; i < SIGN_COUNT; i++) {
        (void)snprintf(names[i], sizeof names[i], "%.*s",
                       STR_ARG(fraud_sign_name((enum fraud_sign)i)));
        signs[i] = (struct field){names[i], rd_u16, i * sizeof(uint16_t), false, 1, 1000, NULL};
    }
    (void)map_read(l, n, f->key, signs, SIGN_COUNT, dst);
}

static void rd_off(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct word words[SIGN_COUNT + 1] = {0};
    char names[SIGN_COUNT][24];
    uint16_t *bits = dst;
    void *it = NULL;
    for (unsigned i = 0; i < SIGN_COUNT; i++) {
        (void)snprintf(names[i], sizeof names[i], "%.*s",
                       STR_ARG(fraud_sign_name((enum fraud_sign)i)));
        words[i] = (struct word){names[i], (uint8_t)i};
    }
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it));) {
        int v = word_find(l, f->key, e, words);
        if (v >= 0)
            *bits = (uint16_t)(*bits | 1u << v);
    }
}

/* "digits,percent,why": the first line may name the columns. */
static void range_line(struct load *l, struct pos at, struct str line, const char *file,
                       uint32_t line_n, uint32_t *bad)
{
    struct str digits, weight;
    uint32_t w = 100;
    struct str rest = str_cut(line, ',', &digits);
    (void)str_cut(rest, ',', &weight);
    digits = str_trim(digits);
    weight = str_trim(weight);
    if (!digits.n || digits.p[0] == '#' || (line_n == 1 && !ascii_digit(digits.p[digits.n - 1])))
        return;
    enum err e = weight.n ? str_u32(weight, 250, &w) : OK;
    if (e == OK)
        e = fraud_range_add(&l->p->fraud, digits, w);
    if (e == OK || ++*bad > RANGES_PROBLEMS)
        return;
    problem(l, at, "a line is: digits,percent (0 to 250),why", "%.100s:%u: %s", file, line_n,
            e == ERR_EXISTS ? "the same range is there already"
            : e == ERR_FULL ? "more than 1024 ranges"
            : weight.n      ? "no 1 to 9 digits, or no percentage"
                            : "no 1 to 9 digits");
}

static void rd_ranges(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct span name = {0};
    char path[CONFIG_PATH] = "";
    uint32_t bad = 0, line_n = 0;
    rd_file(l, f, n, &name);
    struct str s = policy_text(l->p, name);
    (void)dst;
    if (!s.n || l->o->no_files || s.n >= sizeof path)
        return;
    memcpy(path, s.p, s.n);
    FILE *from = fopen(path, "re");
    char *text = from ? malloc(RANGES_BYTES) : NULL;
    size_t got = text ? fread(text, 1, RANGES_BYTES, from) : 0;
    if (!text || got == RANGES_BYTES)
        problem(l, pos_of(n), NULL, text ? "%s: over a megabyte" : "%s: cannot be read", path);
    for (struct str rest = str_of(text, got), line; rest.n && got < RANGES_BYTES;) {
        rest = str_cut(rest, '\n', &line);
        range_line(l, pos_of(n), line, path, ++line_n, &bad);
    }
    free(text);
    if (from)
        (void)fclose(from);
}

static void rd_builtin(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    bool on = true;
    rd_bool(l, f, n, &on);
    *(bool *)dst = !on;
}

void read_fraud(struct load *l, struct fy_node *n)
{
    static const struct field FRAUD[] = {
        {"off", rd_off, AT(off_signs), false, 0, SIGN_COUNT, NULL},
        {"mode", rd_mode, 0, false, 0, 0, NULL},
        {"levels", rd_levels, AT(level), false, 0, 0, NULL},
        {"weights", rd_weights, AT(weight), false, 0, 0, NULL},
        {"lock", rd_seconds, AT(lock_s), false, 0, 31536000, NULL},
        {"ranges", rd_ranges, 0, false, 1, CONFIG_PATH - 1, NULL},
        {"builtin_ranges", rd_builtin, AT(seed_off), false, 0, 0, NULL},
    };
    (void)map_read(l, n, "fraud", FRAUD, ARRAY_LEN(FRAUD), &l->p->fraud);
}
