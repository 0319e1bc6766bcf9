/* Every cell of every machine, against matrices written from the RFCs' figures, not from the code.
 */
#include "base/test.h"
#include "sip/harness.h"

/* One letter a cell: the next state; '.' = the event has no place. Columns: send 100 1xx 2xx fail
 * request ACK cancel retransmit deadline transport. */
struct row {
    enum trans_state from;
    const char *next;
};
static const struct row ICT[] = {
    {ST_IDLE, "c.........."},       {ST_CALLING, ".ppaC..ccxx"},   {ST_PROCEEDING, ".ppaC..k.kx"},
    {ST_CANCELLING, ".kkaC....xx"}, {ST_COMPLETED, "....C....xx"}, {ST_ACCEPTED, "...a.....xa"},
    {ST_TRYING, "..........."},     {ST_CONFIRMED, "..........."},
};
static const struct row NICT[] = {
    {ST_IDLE, "t.........."},      {ST_TRYING, ".ppCC...txx"},   {ST_PROCEEDING, ".ppCC...pxx"},
    {ST_COMPLETED, ".CCCC....xC"}, {ST_CALLING, "..........."},  {ST_CANCELLING, "..........."},
    {ST_CONFIRMED, "..........."}, {ST_ACCEPTED, "..........."},
};
static const struct row IST[] = {
    {ST_IDLE, "..........."},      {ST_PROCEEDING, ".ppaCp....p"}, {ST_COMPLETED, ".....Cf.CxC"},
    {ST_CONFIRMED, ".....ff..xf"}, {ST_ACCEPTED, "...a.aa..xa"},   {ST_CALLING, "..........."},
    {ST_TRYING, "..........."},    {ST_CANCELLING, "..........."},
};
static const struct row NIST[] = {
    {ST_IDLE, "..........."},      {ST_TRYING, ".ppCCt....t"},   {ST_PROCEEDING, ".ppCCp....x"},
    {ST_COMPLETED, ".....C...xx"}, {ST_CALLING, "..........."},  {ST_CANCELLING, "..........."},
    {ST_CONFIRMED, "..........."}, {ST_ACCEPTED, "..........."},
};
static const struct row *const MATRIX[] = {ICT, NICT, IST, NIST};

static enum trans_state state_of(char c)
{
    static const char letters[ST_COUNT + 1] = " ictpkCfax";
    const char *p = strchr(letters, c);
    return p && c != ' ' ? (enum trans_state)(p - letters) : ST_NONE;
}

/* A transaction of that kind, led into a state without a step. */
static struct handle placed(struct rig *r, enum trans_kind kind, enum trans_state state,
                            bool reliable)
{
    struct handle h;
    if (kind == TRANS_ICT || kind == TRANS_NICT) {
        h = rig_client(r, kind == TRANS_ICT ? SIP_INVITE : SIP_BYE, reliable, 5);
    } else {
        rig_request(r, (struct rig_request){.method = kind == TRANS_IST ? "INVITE" : "BYE",
                                            .branch = "z9hG4bKx"});
        h = rig_server(r, reliable, 5);
    }
    struct trans *x = rig_trans(r, h);
    trans_forget(r->t, x);
    if (state != ST_ACCEPTED && state != ST_CONFIRMED &&
        !(kind == TRANS_NICT && state == ST_COMPLETED))
        trans_keep(r->t, x, STR("BYE sip:a SIP/2.0\r\nTo: <sip:b>\r\n\r\n"));
    x->state = (uint8_t)state;
    clock_stop(r->t, x);
    x->interval_ms = 0;
    x->deadline = instant_add(r->now, DUR_S(20));
    if (rig_state_timed(kind, state))
        clock_arm(r->t, x, x->deadline);
    r->n_sent = r->n_told = 0;
    return h;
}

static void check_cell(enum trans_kind kind, enum trans_state from, enum trans_event ev,
                       enum trans_state want, bool reliable)
{
    struct rig *r = rig_new(4, 64, 512);
    struct handle h = placed(r, kind, from, reliable);
    bool forged;
    (void)rig_answer_to(r, "z9hG4bK12345678901234567890123456", 486, "INVITE", "t1",
                        &forged); /* a message for m */
    struct flow f = rig_flow(reliable, 9);
    struct trans_input in = {
        .now = r->now, .bytes = STR("SIP/2.0 486 Busy\r\n\r\n"), .m = &r->msg, .f = &f};
    struct trans before = *rig_trans(r, h);
    bool done = trans_step(r->t, rig_trans(r, h), ev, &in);
    const struct trans *x = rig_trans(r, h);
    assert_int_equal(done, want != ST_NONE);
    if (want == ST_NONE) {
        assert_int_equal(counters_get(&r->counters, REASON_sip_event_order), 1);
        assert_memory_equal(&before, x, sizeof before);
        assert_int_equal(r->n_sent + r->n_told, 0);
    } else if (want == ST_TERMINATED) {
        assert_null(x);
    } else if (x) {
        assert_int_equal(x->state, want);
        rig_check(r);
    } else { /* a wait of zero, on streams only */
        assert_true(reliable);
        assert_true(want == ST_COMPLETED || want == ST_CONFIRMED);
    }
    trans_drop(r->t, h);
    uint32_t it = 0;
    while ((x = pool_next(&r->t->pool, &it)) != NULL) /* a CANCEL's own */
        trans_drop(r->t, pool_handle(&r->t->pool, x));
    assert_true(rig_clean(r));
    rig_free(r);
}

static void every_cell(void **state)
{
    (void)state;
    unsigned cells = 0;
    for (unsigned kind = 0; kind < 4; kind++)
        for (unsigned row = 0; row < 8; row++)
            for (unsigned ev = 0; ev < EV_COUNT; ev++) {
                const struct row *w = &MATRIX[kind][row];
                assert_int_equal(strlen(w->next), EV_COUNT);
                check_cell((enum trans_kind)kind, w->from, (enum trans_event)ev,
                           state_of(w->next[ev]), false);
                check_cell((enum trans_kind)kind, w->from, (enum trans_event)ev,
                           state_of(w->next[ev]), true);
                cells++;
            }
    assert_int_equal(cells, 4 * 8 * 11);
}

/* The machines lead nowhere else: nothing leaves Terminated or the empty state, and every action
 * has a name. */
static void tables_are_whole(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 4; kind++) {
        const struct machine *m = machine_of((enum trans_kind)kind);
        for (unsigned s = 0; s < ST_COUNT; s++)
            for (unsigned ev = 0; ev < EV_COUNT; ev++) {
                const struct edge *e = &m->edges[s][ev];
                if (s == ST_NONE || s == ST_TERMINATED)
                    assert_int_equal(e->next, ST_NONE);
                assert_in_range(e->action, 0, m->n_actions - 1);
                assert_in_range(e->clock, 0, CLK_COUNT - 1);
                assert_true(e->action == 0 || m->actions[e->action].run);
                if (e->next == ST_TERMINATED)
                    assert_int_equal(e->clock, CLK_STOP);
            }
    }
}

/* Dropping inside the callback must not be followed by a use of the record. */
static void handlers_may_drop(void **state)
{
    (void)state;
    for (int reliable = 0; reliable < 2; reliable++) {
        struct rig *r = rig_new(4, 16, 512);
        struct handle h = rig_client(r, SIP_INVITE, reliable, 1);
        r->drop_on_tell = h;
        assert_true(rig_answer(r, 486, "INVITE"));
        assert_false(trans_alive(r->t, h));
        h = rig_client(r, SIP_INVITE, reliable, 1);
        assert_ok(trans_cancel(r->t, h, STR_NONE, r->now));
        r->drop_on_tell = h;
        assert_true(rig_answer(r, 180, "INVITE"));
        assert_true(rig_clean(r));
        rig_free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cell),
        cmocka_unit_test(tables_are_whole),
        cmocka_unit_test(handlers_may_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
