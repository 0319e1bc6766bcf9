#include "identity/device.h"
#include "base/out.h"
#include "crypto/hash.h"

#define PREFIX "d-"

static uint64_t number_of(struct str kind, struct str what, struct str more)
{
    uint8_t md[HASH_MAX] = {0};
    uint64_t id = 0;
    const struct str parts[] = {STR("ringwall device "), kind, what, STR("\n"), more};
    if (hash_parts(HASH_SHA256, parts, ARRAY_LEN(parts), md) != OK)
        return 1; /* nobody's: never approved */
    memcpy(&id, md, sizeof id);
    return id ? id : 1;
}

uint64_t device_id(struct str fingerprint, struct str instance, const struct addr *source,
                   struct str agent, enum device_by *ret_by)
{
    *ret_by = fingerprint.n ? DEVICE_BY_CERT : instance.n ? DEVICE_BY_INSTANCE : DEVICE_BY_PLACE;
    switch (*ret_by) {
    case DEVICE_BY_CERT:
        return number_of(STR("certificate "), fingerprint, STR_NONE);
    case DEVICE_BY_INSTANCE:
        return number_of(STR("instance "), instance, STR_NONE);
    case DEVICE_BY_PLACE:
        break;
    }
    return number_of(STR("place "), str_of((const char *)source->ip, sizeof source->ip), agent);
}

void device_text(uint64_t id, char ret[DEVICE_TEXT])
{
    for (unsigned i = 0; i < DEVICE_TEXT - 1; i++)
        ret[i] = "0123456789abcdef"[(id >> (60 - 4 * i)) & 15];
    ret[DEVICE_TEXT - 1] = '\0';
}

bool device_parse(struct str s, uint64_t *ret_id)
{
    uint8_t raw[8];
    if (str_starts(s, STR(PREFIX)))
        s = str_skip(s, 2);
    if (s.n != DEVICE_TEXT - 1 || hex_decode(s, raw, sizeof raw) != OK)
        return false;
    uint64_t id = 0;
    for (unsigned i = 0; i < sizeof raw; i++)
        id = id << 8 | raw[i];
    *ret_id = id;
    return id != 0;
}
