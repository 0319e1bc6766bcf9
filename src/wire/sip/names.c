#include "wire/sip/grammar.h"
#include "wire/sip/scan.h"
#include <endian.h>

const uint16_t sip_class[256] = {SIP_CLASSES};

#define M HDR_MANDATORY
#define S HDR_SINGLE
#define L HDR_LIST
const uint8_t sip_hdr_flags[HDR_COUNT] = {
#define H(id, name, compact, flags) [HDR_##id] = (flags),
#include "wire/sip/headers.def"
#undef H
};
#undef M
#undef S
#undef L

static const struct str hdr_names[HDR_COUNT] = {
#define H(id, name, compact, flags) [HDR_##id] = {name, sizeof(name) - 1},
#include "wire/sip/headers.def"
#undef H
};
struct name_words {
    uint64_t w[3];
};
static const struct name_words hdr_words[HDR_COUNT] = {SIP_NAME_WORDS};
static const uint8_t hash_table[SIP_HASH_SLOTS] = {SIP_HASH_TABLE};
static const uint8_t compact_table[26] = {SIP_COMPACT_TABLE};

struct str sip_hdr_name(enum sip_hdr h)
{
    return (unsigned)h < HDR_COUNT ? hdr_names[h] : STR_NONE;
}

static uint64_t load_lower(const char *p, size_t n)
{
    uint64_t w;
    memcpy(&w, p, 8);
    w = le64toh(w) | UINT64_C(0x2020202020202020);
    return n >= 8 ? w : w & ((UINT64_C(1) << (8 * n)) - 1);
}

/* Bit 0x20 set on both sides is "without case" for letters, and of the bytes that it would mix up
 * with '-' only CR exists, which a name never holds: sip_hdr_id refuses it, a line ends at it. */
enum sip_hdr sip_hdr_find(const char *name, size_t n, size_t readable)
{
    char copy[24] = {0};
    if (n == 1) {
        unsigned letter = (unsigned)((uint8_t)name[0] | 0x20) - 'a';
        return letter < 26 && (name[0] & 0x40) ? (enum sip_hdr)compact_table[letter] : HDR_OTHER;
    }
    if (n == 0 || n > 24)
        return HDR_OTHER;
    if (UNLIKELY(readable < 24)) {
        memcpy(copy, name, n);
        name = copy;
    }
    uint64_t w0 = load_lower(name, n);
    uint64_t w1 = n > 8 ? load_lower(name + 8, n - 8) : 0;
    uint64_t w2 = n > 16 ? load_lower(name + 16, n - 16) : 0;
    uint64_t h = w0 * SIP_HASH_K0 + w1 * SIP_HASH_K1 + w2 * SIP_HASH_K2;
    unsigned id = hash_table[h >> SIP_HASH_SHIFT];
    const struct name_words *k = &hdr_words[id];
    return ((k->w[0] ^ w0) | (k->w[1] ^ w1) | (k->w[2] ^ w2)) == 0 ? (enum sip_hdr)id : HDR_OTHER;
}

enum sip_hdr sip_hdr_id(struct str name)
{
    if (str_find(name, '\r') != name.n)
        return HDR_OTHER;
    return sip_hdr_find(name.p, name.n, name.n);
}

static const struct str method_names[SIP_METHOD_COUNT] = {
    [SIP_INVITE] = {"INVITE", 6},     [SIP_ACK] = {"ACK", 3},
    [SIP_BYE] = {"BYE", 3},           [SIP_CANCEL] = {"CANCEL", 6},
    [SIP_REGISTER] = {"REGISTER", 8}, [SIP_OPTIONS] = {"OPTIONS", 7},
    [SIP_PRACK] = {"PRACK", 5},       [SIP_UPDATE] = {"UPDATE", 6},
    [SIP_INFO] = {"INFO", 4},         [SIP_REFER] = {"REFER", 5},
    [SIP_NOTIFY] = {"NOTIFY", 6},     [SIP_SUBSCRIBE] = {"SUBSCRIBE", 9},
    [SIP_MESSAGE] = {"MESSAGE", 7},   [SIP_PUBLISH] = {"PUBLISH", 7},
};

struct str sip_method_name(enum sip_method m)
{
    return (unsigned)m < SIP_METHOD_COUNT ? method_names[m] : STR_NONE;
}

enum sip_method sip_method_id(struct str token)
{
    if (token.n < 3 || token.n > 9)
        return SIP_OTHER;
    for (unsigned m = SIP_INVITE; m < SIP_METHOD_COUNT; m++)
        if (method_names[m].n == token.n && method_names[m].p[0] == token.p[0] &&
            memcmp(method_names[m].p, token.p, token.n) == 0)
            return (enum sip_method)m;
    return SIP_OTHER;
}
