/* The bans in force. */
#include "app/monitor/shield.h"

enum err bans_open(struct monitor *m)
{
    (void)m;
    return OK;
}
void bans_close(struct monitor *m)
{
    (void)m;
}
void bans_asked(struct monitor *m, struct program *p)
{
    (void)m, (void)p;
}
void bans_restored(struct monitor *m, struct program *p)
{
    (void)m, (void)p;
}
void bans_feed(struct monitor *m, struct program *p)
{
    (void)m, (void)p;
}
void bans_policy(struct monitor *m)
{
    (void)m;
}
void bans_turn(struct monitor *m)
{
    (void)m;
}
struct instant bans_due(const struct monitor *m)
{
    (void)m;
    return INSTANT_NEVER;
}
uint32_t bans_command(struct monitor *m, struct str request, struct out *o)
{
    (void)m, (void)request;
    OUT_LIT(o, "{\"bans\":[]}");
    return CONTROL_OK;
}
void bans_each(const struct monitor *m, bans_fn *fn, void *ctx)
{
    (void)m, (void)fn, (void)ctx;
}
