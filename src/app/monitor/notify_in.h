/* Between notify.c and notify_text.c. */
#ifndef APP_MONITOR_NOTIFY_IN_H
#define APP_MONITOR_NOTIFY_IN_H
#include "app/monitor/notify.h"
#include "base/instant.h"
#include "base/out.h"

struct vars { /* what the fields of a template stand for */
    enum notify_event event;
    const char *who, *what, *why, *text;
    uint32_t count;
    const char *host;
    struct wall now;
};
void notify_hook(struct out *o, const struct config_target *t, const struct vars *v);
void notify_mail(struct out *o, const struct config_target *t, const struct vars *v, uint32_t id);
#endif
