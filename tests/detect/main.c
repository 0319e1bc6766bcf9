/* Labelled traffic before the real core: a row a line, separated by tabs, for table.py.
 * usage: detect [--only TEXT] [--level N] [--verbose] */
#include "tests/detect/attack.h"
#include <getopt.h>

static bool acted(const struct world *w)
{
    return w->seen.act && w->seen.alert;
}

static void print(const struct row *r, int level, const struct world *w, double secs)
{
    const struct verdict_seen *v = &w->seen;
    unsigned failed = 0, calls = 0, up = 0, services = 0, off = 0;
    for (unsigned i = 0; i < w->n_phones; i++) {
        const struct phone *p = &w->phones[i];
        if (p->a.label != GOOD)
            continue;
        failed += p->calls_failed;
        calls += p->calls_made;
        up += p->calls_up;
        services += p->services_failed;
        off += p->on && !p->registered;
    }
    (void)secs;
    printf("%s\t%s\t%s\t%.1f\t%u\t%s\t%s\t%.1f\t%u\t%u\t%u\t%u\t%u\t%u\t%u\t%s\n", r->name,
           r->benign ? r->most_us[1] ? LEVELS[level] : "-" : LEVELS[level],
           v->alert ? detector_name((enum detector)v->alert_by) : "-",
           v->alert ? (double)v->alert_us / 1e6 : 0, v->alert_packets,
           v->act || v->mild ? detector_name((enum detector)v->act_by) : "-",
           v->act || v->mild ? treat_name((enum treat)v->act_treat) : "-",
           v->act || v->mild ? (double)v->act_us / 1e6 : 0, v->act_packets, w->false_alerts,
           w->false_bans, failed, services, off, up, w->first_false[0] ? w->first_false : "-");
    (void)fflush(stdout);
    (void)calls;
}

static void one(const struct row *r, int level, bool verbose)
{
    bool day = r->benign && !r->most_us[1];
    struct world *w = day ? world_new(7, 200, r->behind ? r->behind : 60)
                          : world_new(7 + (uint64_t)level, 30, 20);
    w->verbose = verbose;
    if (!day)
        day_background(w);
    r->start(w, level);
    world_run(w, r->most_us[level] + (day ? 0 : BEFORE), r->benign ? NULL : acted);
    if (!r->benign) /* and what comes of it for the others */
        world_run(w, 30 * SECOND, NULL);
    if (verbose) {
        printf("%u packets of the bad; answers to them:", w->bad_packets);
        for (unsigned i = 100; i < 700; i++)
            if (w->to_bad[i])
                printf(" %u: %u", i, w->to_bad[i]);
        printf("; %u alerts, %u bans\n", w->alerts, w->bans);
        for (unsigned i = 0; i < REASON_COUNT; i++)
            for (unsigned e = 0; e < ENGINES; e++)
                if (w->counters[e].n[i])
                    printf("    engine %u " STR_FMT " %llu\n", e,
                           STR_ARG(reason_info((enum reason)i)->name),
                           (unsigned long long)w->counters[e].n[i]);
    }
    print(r, level, w, 0);
    world_free(w);
}

static void all(const struct row *rows, unsigned n, const char *only, int level, bool verbose)
{
    for (unsigned i = 0; i < n; i++)
        for (int l = 0; l < 3; l++)
            if (rows[i].most_us[l] && (level < 0 || l == level) &&
                (!only || strstr(rows[i].name, only)))
                one(&rows[i], l, verbose);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"only", 1, NULL, 'o'},
                                            {"level", 1, NULL, 'l'},
                                            {"verbose", 0, NULL, 'v'},
                                            {NULL, 0, NULL, 0}};
    const char *only = NULL;
    int level = -1;
    bool verbose = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'o')
            only = optarg;
        else if (c == 'l')
            level = (int)strtol(optarg, NULL, 10);
        else if (c == 'v')
            verbose = true;
        else
            return 2;
    }
    all(DAY, N_DAY, only, level, verbose);
    all(ROWS, N_ROWS, only, level, verbose);
    return 0;
}
