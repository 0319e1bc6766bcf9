#include "app/monitor/state.h"
#include "io/clock.h"
#include <stdarg.h>
#include <time.h>

void program_label(const struct program *p, char ret[24])
{
    if (p->role == ROLE_ENGINE)
        (void)snprintf(ret, 24, "engine %u", (unsigned)p->engine);
    else
        (void)snprintf(ret, 24, "%s", role_name(p->role));
}

static void line(const struct monitor *m, enum severity sev, const char *who, struct str text)
{
    if (m->cfg->quiet && sev < SEV_WARN)
        return;
    struct wall now = clock_now().wall;
    time_t s = (time_t)(now.us / 1000000);
    struct tm tm;
    char stamp[32], clean[1024];
    (void)gmtime_r(&s, &tm);
    (void)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &tm);
    size_t n = MIN(text.n, sizeof clean);
    for (size_t i = 0; i < n;
         i++) { /* a child's text may hold anything, and this goes to a terminal */
        unsigned char c = (unsigned char)text.p[i];
        clean[i] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    (void)fprintf(stderr, "%s %s: %s%s%.*s\n", stamp, severity_name(sev), who, *who ? ": " : "",
                  (int)n, clean);
}

void monitor_log(const struct monitor *m, enum severity sev, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n > 0)
        line(m, sev, "", str_of(text, MIN((size_t)n, sizeof text - 1)));
}

void monitor_log_from(const struct monitor *m, const struct program *p, enum severity sev,
                      struct str text)
{
    char who[24];
    program_label(p, who);
    line(m, sev, who, text);
}
