/* What transfers read: Replaces, and the description of a peer that is kept in short.
 *
 * First byte: 0 Replaces follows, 1 a description, 2 two of them of one leg behind each other (cut
 * at the first NUL), the second offered to who said the first. */
#include "call/core_int.h"
#include "wire/sdp/sdp.h"

static struct core core;
static struct policy policy;
static struct call call;
static _Alignas(16) uint8_t legs[2 * (sizeof(struct leg) + 64) + 64], texts[65536];
static struct sdp sdp;

static struct leg *leg(char side)
{
    struct handle h;
    struct leg *l = pool_new(&core.legs, &h);
    CHECK(l);
    l->call = &call;
    l->side = (uint8_t)side;
    return l;
}

static void start(void)
{
    policy = (struct policy){.n_zones = 1};
    policy.zones[0].services = SERVICE_TRANSFER;
    memset(legs, 0, sizeof legs);
    core = (struct core){.policy = &policy};
    pool_init(&core.legs, legs, sizeof(struct leg), 2);
    call = (struct call){.core = &core};
    arena_init_fixed(&call.text, texts, sizeof texts);
    call.a = leg('a');
    call.b = call.forks = leg('b');
}

static unsigned mlines(struct str s)
{
    CHECK(sdp_parse(s, &sdp) == OK);
    return sdp.n_media;
}

/* A description that parses is kept as one that parses, with as many m-lines; or not at all. */
static void described(struct str a, struct str b)
{
    char buf[MEDIA_SDP_MAX];
    unsigned n[2] = {0};
    start();
    if (sdp_parse(a, &sdp) != OK)
        return;
    n[0] = sdp.n_media;
    words_keep(call.a, a);
    struct out o = out_of(buf, sizeof buf);
    bool kept = words_put(call.a, NULL, &o);
    if (kept)
        CHECK(mlines(out_str(&o)) == n[0]);
    if (!b.n || sdp_parse(b, &sdp) != OK)
        return;
    n[1] = sdp.n_media;
    words_keep(call.b, b);
    o = out_of(buf, sizeof buf);
    if (words_put(call.b, call.a, &o))
        CHECK(mlines(out_str(&o)) == (kept ? MAX(n[0], n[1]) : n[1]));
    words_keep(call.a, b); /* the same leg says something else: nothing of the first is left */
    o = out_of(buf, sizeof buf);
    if (words_put(call.a, NULL, &o))
        CHECK(mlines(out_str(&o)) == n[1]);
}

static void replaced(struct str s)
{
    struct replaces r;
    if (replaces_parse(s, &r) != OK)
        return;
    const struct str parts[] = {r.call_id, r.to_tag, r.from_tag};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        CHECK(parts[i].n && parts[i].p >= s.p && parts[i].p + parts[i].n <= s.p + s.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct str s = str_of((const char *)data + 1, size - 1), first;
    struct str second = str_cut(s, '\0', &first);
    if (data[0] % 3 == 0)
        replaced(s);
    else
        described(data[0] % 3 == 1 ? s : first, data[0] % 3 == 1 ? STR_NONE : second);
    return 0;
}
