#include "guard/ban.h"

size_t ban_bytes(uint32_t cap)
{
    return sizeof(struct ban_board) + (size_t)cap * sizeof(struct ban_slot);
}
void ban_init(struct ban_board *b, uint32_t cap)
{
    b->cap = cap;
}
enum err ban_valid(const struct ban *b, size_t bytes)
{
    return bytes == sizeof *b && b->scope ? OK : ERR_SYNTAX;
}
enum err ban_put(struct ban_board *b, uint32_t cap, const struct ban *x, uint32_t *ret_slot)
{
    (void)b, (void)cap, (void)x, (void)ret_slot;
    return ERR_FULL;
}
bool ban_del(struct ban_board *b, uint32_t cap, const struct ban *x)
{
    (void)b, (void)cap, (void)x;
    return false;
}
bool ban_of_source(const struct ban_board *b, uint32_t cap, const struct addr *source,
                   struct wall now, struct ban_view *ret_v)
{
    (void)b, (void)cap, (void)source, (void)now, (void)ret_v;
    return false;
}
bool ban_of_party(const struct ban_board *b, uint32_t cap, const struct addr *source, uint64_t aor,
                  uint64_t device, uint64_t number, struct wall now, struct ban_view *ret_v)
{
    (void)b, (void)cap, (void)source, (void)aor, (void)device, (void)number, (void)now, (void)ret_v;
    return false;
}
bool ban_exempt(const struct guard_policy *p, const struct prefix *net)
{
    (void)p, (void)net;
    return false;
}
uint32_t ban_seconds(const struct guard_policy *p, uint32_t times, bool forgeable)
{
    (void)times;
    return forgeable ? p->spoof_s : p->ban_s;
}
