#include "guard/obs.h"
#include "guard/policy.h"
#include "wire/sip/msg.h"

#define FLAGS                                                                                      \
    (OBS_PROVEN | OBS_MISSING | OBS_GUESS | OBS_IN_DIALOG | OBS_EMERGENCY | OBS_PEER | OBS_USER |  \
     OBS_ANSWERED | OBS_DECOY | OBS_NEW)

static bool printable(const struct obs *o)
{
    bool ok = true;
    for (unsigned i = 0; i < o->who_n; i++)
        ok = ok && o->who[i] > 0x20 && o->who[i] < 0x7f;
    return ok;
}

enum err obs_valid(const struct obs *o, size_t bytes)
{
    if (bytes != sizeof *o || o->kind == 0 || o->kind >= OBS_KIND_COUNT ||
        o->method >= SIP_METHOD_COUNT || o->reason >= REASON_COUNT || o->who_n > OBS_WHO || !o->n ||
        o->flags & ~(unsigned)FLAGS)
        return ERR_SYNTAX;
    if (o->kind == OBS_FEED && o->value >= GUARD_FEEDS)
        return ERR_SYNTAX;
    uint8_t f = o->source.family;
    if ((f != ADDR_NONE && f != ADDR_V4 && f != ADDR_V6) || !printable(o))
        return ERR_SYNTAX;
    return OK;
}
