#include "app/fetch/x5u.h"
#include "crypto/sti.h"
#include "io/clock.h"
#include <stdio.h>
#include <stdlib.h>

_Static_assert(CERTS_RANGES == STI_RANGES && CERTS_SPC == STI_SPC && CERTS_KEY == ES256_KEY &&
                   CERTS_URL_MAX == CERT_URL_MAX,
               "the board holds what the certificate says");

struct job {
    struct x5u *x;
    struct web *web;
    bool used;
    char url[CERTS_URL_MAX + 1];
    uint32_t generation; /* of the policy that it began by */
    struct instant due;  /* web gives up by itself; this only says when to look */
    unsigned n;
    struct msg_cert waiting[X5U_WAITING];
};
struct x5u {
    struct x5u_cfg cfg;
    const struct policy *policy;
    struct str roots, ca;
    struct now now;
    struct job job[X5U_JOBS];
};

struct x5u *x5u_new(const struct x5u_cfg *cfg)
{
    struct x5u *x = calloc(1, sizeof *x);
    bool ok = x != NULL;
    for (unsigned i = 0; ok && i < X5U_JOBS; i++) {
        x->job[i].x = x;
        x->job[i].web = web_new(cfg->base, cfg->resolve, cfg->ctx);
        ok = x->job[i].web != NULL;
    }
    if (ok)
        x->cfg = *cfg;
    return ok ? x : NULL; /* the program ends without */
}

void x5u_policy(struct x5u *x, const struct policy *p, struct str roots, struct str ca)
{
    x->policy = p;
    x->roots = roots;
    x->ca = ca;
    certs_forget(x->cfg.board);
}

int64_t x5u_keep_s(struct str v)
{
    int64_t s = X5U_USUAL_S;
    struct str one;
    uint64_t n;
    while (v.n) {
        v = str_cut(v, ',', &one);
        one = str_trim(one);
        if (str_ieq(one, STR("no-store")) || str_ieq(one, STR("no-cache")))
            return X5U_LEAST_S;
        if (str_istarts(one, STR("max-age=")) && str_u64(str_skip(one, 8), INT32_MAX, &n) == OK)
            s = (int64_t)n;
    }
    return MIN(MAX(s, (int64_t)X5U_LEAST_S), (int64_t)X5U_GOOD_S);
}

static bool may(void *ctx, struct str url, const char **ret_why)
{
    const struct x5u *x = ctx;
    const struct policy *p = x->policy;
    *ret_why = "not https on port 443 or 8443 of a host in stir.allow";
    return stir_url_allowed(&p->stir, str_of(p->text, p->text_n), url);
}

static void tell(struct x5u *x, const struct msg_cert *q, enum reason why)
{
    struct msg_cert m = *q;
    m.reason = (uint16_t)why;
    x->cfg.done(x->cfg.ctx, &m);
}

static void row_of(struct certs_row *row, const struct sti_facts *f)
{
    memcpy(row->key, f->key, sizeof row->key);
    memcpy(row->spc, f->spc, sizeof row->spc);
    row->has_spc = f->has_spc;
    row->n_ranges = f->n_ranges;
    for (unsigned i = 0; i < f->n_ranges; i++)
        row->range[i] =
            (struct certs_range){f->range[i].first, f->range[i].count, f->range[i].digits};
}

static void finish(struct job *j, struct certs_row *row, const char *why)
{
    struct x5u *x = j->x;
    char text[WEB_WHY + CERTS_URL_MAX + 8];
    memcpy(row->url, j->url, sizeof row->url);
    row->fetched = x->now.wall;
    row->generation = j->generation;
    certs_put(x->cfg.board, row);
    if (row->why != REASON_NONE) {
        (void)snprintf(text, sizeof text, "%s: %s", j->url, why);
        x->cfg.note(x->cfg.ctx, SEV_WARN, text);
    }
    for (unsigned i = 0; i < j->n; i++)
        tell(x, &j->waiting[i], (enum reason)row->why);
    j->n = 0;
    j->used = false;
}

static void came(void *ctx, const struct web_answer *a)
{
    struct job *j = ctx;
    struct x5u *x = j->x;
    struct certs_row row = {0};
    struct sti_facts f;
    const char *why = a->why;
    x->now = clock_now();
    row.why = REASON_stir_bad_info;
    if (a->status == 200) {
        enum err e = sti_judge(a->body, x->roots, x->now.wall, &f, &why);
        row.why = e == OK ? REASON_NONE : REASON_stir_credential;
    }
    row.until = (struct wall){x->now.wall.us + (int64_t)X5U_BAD_S * 1000000};
    if (row.why == REASON_NONE) {
        row_of(&row, &f);
        row.until.us = x->now.wall.us + x5u_keep_s(str_c(a->cache)) * 1000000;
        row.until.us = MIN(row.until.us, f.until.us);
    }
    finish(j, &row, why);
}

static struct job *job_of(struct x5u *x, struct str url)
{
    struct job *free_one = NULL;
    for (unsigned i = 0; i < X5U_JOBS; i++) {
        struct job *j = &x->job[i];
        if (j->used && str_eq(str_c(j->url), url))
            return j;
        if (!j->used && !web_busy(j->web))
            free_one = j;
    }
    return free_one;
}

static void begin(struct job *j, struct str url)
{
    struct x5u *x = j->x;
    const struct stir_policy *s = &x->policy->stir;
    struct web_ask ask = {.inside = x->now.wall.us < s->private_until.us,
                          .ca_pem = x->ca,
                          .most = X5U_BYTES,
                          .limit_ms = X5U_LIMIT_MS,
                          .redirects = X5U_REDIRECTS,
                          .may = may,
                          .may_ctx = x};
    memset(j->url, 0, sizeof j->url);
    memcpy(j->url, url.p, url.n);
    memcpy(ask.url, j->url, url.n + 1);
    j->used = true;
    j->n = 0;
    j->generation = x->policy->generation;
    j->due = instant_add(x->now.mono, DUR_MS(X5U_LIMIT_MS));
    if (web_get(j->web, &ask, came, j) != OK)
        j->used = false;
}

void x5u_ask(struct x5u *x, const struct msg_cert *q, struct str url, struct now now)
{
    struct certs_row row;
    x->now = now;
    if (!x->policy || !x->policy->stir.verify || !url.n || url.n > CERTS_URL_MAX ||
        memchr(url.p, 0, url.n)) {
        tell(x, q, REASON_stir_bad_info);
        return;
    }
    if (certs_get(x->cfg.board, sizeof *x->cfg.board, url, now.wall, &row) == OK) {
        tell(x, q, (enum reason)row.why); /* another engine has asked for it meanwhile */
        return;
    }
    struct job *j = job_of(x, url);
    if (j && !j->used)
        begin(j, url);
    if (!j || !j->used || j->n >= X5U_WAITING)
        tell(x, q, REASON_stir_bad_info);
    else
        j->waiting[j->n++] = *q;
}

void x5u_turn(struct x5u *x, struct now now)
{
    x->now = now;
    for (unsigned i = 0; i < X5U_JOBS; i++)
        web_turn(x->job[i].web, now.mono);
}

struct instant x5u_next(const struct x5u *x)
{
    struct instant first = INSTANT_NEVER;
    for (unsigned i = 0; i < X5U_JOBS; i++)
        if (x->job[i].used && x->job[i].due.us < first.us)
            first = x->job[i].due;
    return first;
}
