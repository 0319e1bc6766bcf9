#include "app/monitor/notify.h"
#include "app/monitor/state.h"

void notify_policy(struct monitor *m)
{
    (void)m;
}

void notify_event(struct monitor *m, enum notify_event e, const char *who, const char *what,
                  const char *why, const char *text)
{
    (void)m, (void)e, (void)who, (void)what, (void)why, (void)text;
}

void notify_admin(struct monitor *m, const struct asker *by, const struct act *a,
                  const char *command, uint32_t code, enum reason why)
{
    (void)m, (void)by, (void)a, (void)command, (void)code, (void)why;
}

void notify_put(const struct monitor *m, struct out *o)
{
    (void)m;
    OUT_LIT(o, "{}");
}
