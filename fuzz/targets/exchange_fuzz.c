/* Bodies of events made anew (call/event.h): whatever comes, nothing that could be an address of
 * the other side goes out, and what went out passes again. First byte: package; then the body. */
#include "call/event.h"

static char once[16384], twice[16384];

static bool host_follows(struct str s, size_t i, struct str host)
{
    return str_starts(str_skip(s, i), host);
}

static enum reason pass(enum event_package p, struct str body, struct out *o)
{
    static const struct sipkey key = {1, 2};
    struct event_side side = {STR("example.com"), &key};
    return event_body(p, event_type(p), body, &side, o);
}

/* Where the next 0.0.0.0 begins; not within a longer number. */
static size_t nothing_at(struct str s)
{
    size_t n = str_search(s, STR("0.0.0.0"));
    while (n && n < s.n && ascii_digit(s.p[n - 1]))
        n += 1 + str_search(str_skip(s, n + 1), STR("0.0.0.0"));
    return n;
}

static void shows_nothing(enum event_package p, struct str s)
{
    struct str host = STR("example.com"), rest = s;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '@')
            CHECK(host_follows(s, i + 1, host));
    CHECK(p == EVENT_MWI || str_search(rest, STR("<!")) == rest.n);
    while (rest.n) { /* the only dotted address is the one that says nothing */
        size_t n = nothing_at(rest);
        CHECK(!event_address_like(str_head(rest, n)));
        rest = str_skip(rest, n + 7);
    }
    if (p == EVENT_MWI)
        CHECK(!s.n || str_ends(s, STR("\r\n")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 1 || n > 4096)
        return 0;
    enum event_package p = (enum event_package)(EVENT_MWI + data[0] % 3);
    struct str body = str_of((const char *)data + 1, n - 1);
    struct out o = out_of(once, sizeof once), again = out_of(twice, sizeof twice);
    bool ended;
    uint32_t expires;
    (void)event_state(body, &again, &ended, &expires);
    CHECK(!again.full);
    again = out_of(twice, sizeof twice);
    (void)event_text_type(body, &again);
    again = out_of(twice, sizeof twice);
    enum reason why = pass(p, body, &o);
    if (why != REASON_NONE)
        return 0;
    CHECK(!o.full);
    shows_nothing(p, out_str(&o));
    CHECK(pass(p, out_str(&o), &again) == REASON_NONE);
    CHECK(again.n == o.n);
    return 0;
}
