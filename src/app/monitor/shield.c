/* Enforcement in the kernel. */
#include "app/monitor/shield.h"

void shield_open(struct monitor *m)
{
    (void)m;
}
void shield_close(struct monitor *m)
{
    (void)m;
}
void shield_policy(struct monitor *m)
{
    (void)m;
}
void shield_add(struct monitor *m, const struct ban *b)
{
    (void)m, (void)b;
}
void shield_del(struct monitor *m, const struct ban *b)
{
    (void)m, (void)b;
}
void shield_turn(struct monitor *m)
{
    (void)m;
}
uint64_t shield_hits(const struct monitor *m, const struct ban *b)
{
    (void)m, (void)b;
    return 0;
}
void shield_put(const struct monitor *m, struct out *o)
{
    (void)m;
    out_json_kstr(o, STR("in_force"), STR("process"));
}
