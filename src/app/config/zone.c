#include "app/config/zone.h"
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define DAY_S 86400
#define PLACE "/usr/share/zoneinfo/"

/* glibc takes a name that it does not find for UTC: so look first. */
static bool known(struct str name)
{
    char path[sizeof PLACE + 64];
    if (name.n == 0 || name.n > 60 || name.p[0] == '/' || str_search(name, STR("..")) < name.n)
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (!isalnum((unsigned char)name.p[i]) && !memchr("/_+-", name.p[i], 4))
            return false;
    (void)snprintf(path, sizeof path, PLACE "%.*s", (int)name.n, name.p);
    char magic[4] = "";
    FILE *f = fopen(path, "re");
    bool is = f && fread(magic, 1, sizeof magic, f) == sizeof magic && !memcmp(magic, "TZif", 4);
    if (f)
        (void)fclose(f);
    return is;
}

static int32_t offset_at(int64_t at)
{
    time_t t = (time_t)at;
    struct tm tm;
    return localtime_r(&t, &tm) ? (int32_t)tm.tm_gmtoff : 0;
}

/* The second at which the offset is no longer that of from; to has another one. */
static int64_t change_between(int64_t from, int64_t to)
{
    int32_t was = offset_at(from);
    while (to - from > 1) {
        int64_t mid = from + (to - from) / 2;
        if (offset_at(mid) == was)
            from = mid;
        else
            to = mid;
    }
    return to;
}

static void shift_add(struct rights_site *s, int64_t at)
{
    s->shifts[s->n_shifts].from_us = at * 1000000;
    s->shifts[s->n_shifts++].offset_s = offset_at(at);
}

static enum err collect(int64_t now, struct rights_site *s)
{
    int64_t at = now - 366 * DAY_S;
    s->n_shifts = 0;
    shift_add(s, at);
    for (int64_t day = at; day < now + 11 * 366 * INT64_C(86400); day += DAY_S) {
        if (offset_at(day) == offset_at(day + DAY_S))
            continue;
        if (s->n_shifts == RIGHTS_ZONE_SHIFTS)
            return day > now + 3 * 366 * INT64_C(86400) ? OK : ERR_LIMIT;
        shift_add(s, change_between(day, day + DAY_S));
    }
    return OK;
}

enum err zone_shifts(struct str name, struct wall now, struct rights_site *s)
{
    char set[80], old[256];
    const char *was = getenv("TZ");
    if (!known(name))
        return ERR_SYNTAX;
    (void)snprintf(set, sizeof set, ":%.*s", (int)name.n, name.p);
    (void)snprintf(old, sizeof old, "%s", was ? was : "");
    if (setenv("TZ", set, 1) != 0)
        return ERR_SYSTEM;
    tzset();
    enum err e = collect(now.us / 1000000, s);
    if (was ? setenv("TZ", old, 1) != 0 : unsetenv("TZ") != 0)
        e = ERR_SYSTEM;
    tzset();
    return e;
}
