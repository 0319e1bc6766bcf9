/* The four machines under any order of events. Every input byte or two is an event; after each the
 * records are checked (a clock runs exactly in the states that have one, memory is held only where
 * a copy is needed), and each client hears one final response or one failure, nothing after it but
 * further 2xx of an INVITE. */
#include "base/cur.h"
#include "sip/harness.h"

#define SLOTS 6u
struct slot {
    struct handle h;
    bool client, invite;
    bool cookie;
    uint8_t key;
    unsigned finals, successes, failures, ends;
    char branch[BRANCH_CHARS];
};
struct play {
    struct rig *r;
    struct slot slots[SLOTS]; /* user of a transaction = its slot, in the life that `life` counts */
    uint64_t life[SLOTS];
};

static void skip_to(struct rig *r, int64_t ms)
{
    struct instant end = instant_add(r->now, DUR_MS(ms));
    for (;;) {
        struct instant next = wheel_next(&r->wheel);
        if (!instant_before(next, end))
            break;
        r->now = instant_before(r->now, next) ? next : r->now;
        rig_fire(r);
    }
    r->now = end;
    rig_fire(r);
}

static void hear(struct play *p)
{
    struct rig *r = p->r;
    CHECK(r->n_told < RIG_LOG);
    for (unsigned i = 0; i < r->n_told; i++) {
        const struct rig_told *told = &r->told[i];
        struct slot *s = &p->slots[told->user % SLOTS];
        if (told->user / SLOTS != p->life[told->user % SLOTS])
            continue; /* a former one, still lingering */
        CHECK(handle_eq(told->h, s->h));
        CHECK(s->client == (told->what != 'e'));
        if (told->what == 'r' && told->code >= 200) {
            bool more = s->invite && told->code < 300 && s->successes == s->finals;
            CHECK(s->finals == 0 || more);
            CHECK(s->failures == 0);
            s->finals++;
            s->successes += told->code < 300;
        } else if (told->what == 'r') {
            CHECK(s->finals == 0 && s->failures == 0);
        } else if (told->what == 'f') {
            CHECK(s->finals == 0 && s->failures++ == 0 && !told->alive);
        } else {
            CHECK(s->ends++ == 0);
        }
    }
    r->n_told = r->n_sent = 0;
}

static struct slot *renew(struct play *p, unsigned i, struct slot fresh)
{
    p->slots[i] = fresh;
    p->life[i]++;
    return &p->slots[i];
}

static void start_client(struct play *p, unsigned i, uint8_t how)
{
    bool invite = how & 1;
    struct slot *s = renew(p, i, (struct slot){.client = true, .invite = invite});
    s->h = rig_client(p->r, invite ? SIP_INVITE : SIP_BYE, how & 2, p->life[i] * SLOTS + i);
    memcpy(s->branch, p->r->branch, sizeof s->branch);
}

static void request(struct play *p, const struct slot *s, const char *method, bool tag)
{
    char branch[16];
    (void)snprintf(branch, sizeof branch, "%s%u", s->cookie ? "z9hG4bK" : "", s->key);
    rig_request(p->r, (struct rig_request){
                          .method = method, .branch = branch, .to_tag = tag ? "t9" : NULL});
}

static void start_server(struct play *p, unsigned i, uint8_t how)
{
    struct handle found;
    struct slot fresh = {.invite = how & 1, .cookie = how & 4, .key = how >> 4};
    request(p, &fresh, fresh.invite ? "INVITE" : "BYE", !fresh.invite);
    if (rig_match(p->r, 1, &found) != MATCH_NEW)
        return;
    struct slot *s = renew(p, i, fresh);
    s->h = rig_server(p->r, how & 2, p->life[i] * SLOTS + i);
}

static void repeat(struct play *p, const struct slot *s, uint8_t how)
{
    static const char *const methods[] = {"INVITE", "BYE", "ACK", "CANCEL"};
    struct handle found;
    request(p, s, methods[how & 3], (how & 3) != 0);
    if (rig_match(p->r, how & 4 ? 1 : 2, &found) == MATCH_CANCEL)
        (void)rig_server(p->r, how & 8, UINT64_MAX / SLOTS * SLOTS); /* a life that no slot has */
}

static void event(struct play *p, uint8_t what, uint8_t how)
{
    static const uint16_t codes[] = {100, 180, 183, 200, 202, 302, 487, 603};
    static const char *const methods[] = {"INVITE", "BYE", "CANCEL", "INFO"};
    unsigned i = (what >> 4) % SLOTS;
    struct slot *s = &p->slots[i];
    const char *branch = s->branch[0] ? s->branch : "z9hG4bKabcdefghijklmnopqrstuvwxya";
    bool forged;
    switch (what & 15) {
    case 0:
        start_client(p, i, how);
        break;
    case 1:
        start_server(p, i, how);
        break;
    case 2:
    case 3:
        (void)rig_answer_to(p->r, branch, codes[how & 7], s->invite ? "INVITE" : "BYE", "t1",
                            &forged);
        break;
    case 4:
        (void)rig_answer_to(p->r, branch, codes[how & 7], methods[how >> 3 & 3], "t1", &forged);
        break;
    case 5:
    case 6:
        if (!s->client)
            request(p, s, s->invite ? "INVITE" : "BYE", !s->invite);
        if (p->r->msg.is_request)
            (void)!rig_respond(p->r, s->h, codes[how & 7]);
        break;
    case 7:
    case 8:
        repeat(p, s, how);
        break;
    case 9:
        (void)!trans_cancel(p->r->t, s->h, how & 1 ? STR("SIP;cause=200") : STR_NONE, p->r->now);
        break;
    case 10:
        trans_transport_failed(p->r->t, s->h, p->r->now);
        break;
    case 11:
        trans_drop(p->r->t, s->h);
        break;
    case 12:
        p->r->drop_on_tell = s->h;
        break;
    case 13:
        skip_to(p->r, how);
        break;
    case 14:
        skip_to(p->r, how * INT64_C(10));
        break;
    default:
        skip_to(p->r, how * INT64_C(1000));
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 512)
        return 0;
    struct cur c = cur_of(data, size);
    /* Sometimes short of memory or of records. */
    uint8_t shape = cur_u8(&c);
    struct play p = {.r = rig_new(shape & 1 ? 4 : 24, shape & 2 ? 3 : 200, shape & 4 ? 64 : 512)};
    rig_request(p.r, (struct rig_request){.method = "INFO", .branch = "z9hG4bKx"});
    while (cur_left(&c) >= 2) {
        uint8_t what = cur_u8(&c), how = cur_u8(&c);
        event(&p, what, how);
        hear(&p);
        rig_check(p.r);
    }
    p.r->drop_on_tell = HANDLE_NONE;
    skip_to(p.r, 400000); /* every client ends by itself, whatever happened */
    hear(&p);
    for (unsigned i = 0; i < SLOTS; i++) {
        const struct slot *s = &p.slots[i];
        if (s->client)
            CHECK(!trans_alive(p.r->t, s->h));
        trans_drop(p.r->t, s->h);
    }
    uint32_t it = 0;
    struct trans *x;
    while ((x = pool_next(&p.r->t->pool, &it)) != NULL) { /* servers that nobody answered */
        CHECK(x->kind == TRANS_IST || x->kind == TRANS_NIST);
        CHECK(x->state == ST_PROCEEDING || x->state == ST_TRYING);
        trans_drop(p.r->t, pool_handle(&p.r->t->pool, x));
    }
    CHECK(rig_clean(p.r));
    CHECK(expect_failed == 0);
    rig_free(p.r);
    return 0;
}
