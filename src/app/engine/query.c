/* Answers the operator's questions: calls, peers, transactions. */
#include "app/engine/engine.h"
#include "ipc/control.h"

#define REPLY_CAP (4u << 20)
#define TOP_MAX   50u

static void calls_put(struct engine *e, struct out *o)
{
    uint32_t it = 0;
    OUT_LIT(o, "{\"calls\":[");
    while (core_calls_json(e->core, &it, o, e->loop.now))
        ;
    out_ch(o, ']');
    if (it)
        OUT_LIT(o, ",\"cut\":true");
    out_ch(o, '}');
}

static void usage_put(struct engine *e, struct out *o)
{
    struct core_usage u = core_usage(e->core);
    out_ch(o, '{');
    out_json_ku64(o, STR("calls"), u.calls);
    out_json_ku64(o, STR("legs"), u.legs);
    out_json_ku64(o, STR("transactions"), u.transactions);
    out_json_ku64(o, STR("pending"), u.pending);
    out_json_ku64(o, STR("bindings"), u.bindings);
    out_json_ku64(o, STR("upstream"), u.upstream);
    out_json_ku64(o, STR("blocks_used"), u.blocks_used);
    out_json_ku64(o, STR("media_legs"), u.media.legs);
    out_json_ku64(o, STR("ports_taken"), u.media.ports_taken);
    out_json_ku64(o, STR("srtp_contexts"), u.media.srtp_contexts);
    out_json_ku64(o, STR("calls_total"), u.calls_total);
    out_json_ku64(o, STR("registrations_total"), u.registrations_total);
    out_json_ku64(o, STR("connections"), e->conns.used);
    out_ch(o, '}');
}

static void explain_call(struct engine *e, struct str q, struct out *o)
{
    uint64_t at;
    struct wall when = e->loop.now.wall;
    if (str_u64(control_member(q, "at_us"), INT64_MAX / 2, &at) == OK)
        when.us = (int64_t)at;
    core_explain_call(e->core, control_member(q, "user"), control_member(q, "to"), when, o);
}

void query_answer(struct engine *e)
{
    static char text[REPLY_CAP]; /* touched only by long answers */
    struct out o = out_of(text, sizeof text);
    struct str q = msg_text(&e->child.msg, sizeof(struct msg_query)),
               cmd = control_member(q, "cmd");
    uint32_t code = CONTROL_OK;
    if (str_eq(cmd, STR("calls"))) {
        calls_put(e, &o);
    } else if (str_eq(cmd, STR("peers"))) {
        core_peers_json(e->core, &o, e->loop.now);
    } else if (str_eq(cmd, STR("transactions"))) {
        usage_put(e, &o);
    } else if (str_eq(cmd, STR("shield-top"))) {
        OUT_LIT(&o, "{\"top\":[");
        core_top_json(e->core, TOP_MAX, &o, e->loop.now);
        OUT_LIT(&o, "]}");
    } else if (str_eq(cmd, STR("shield-explain"))) {
        struct addr a = {0};
        (void)!addr_parse_ip(control_member(q, "address"), &a);
        core_explain_json(e->core, &a, control_member(q, "name"), &o, e->loop.now);
    } else if (str_eq(cmd, STR("explain-call"))) {
        explain_call(e, q, &o);
    } else if (str_eq(cmd, STR("fraud-release"))) {
        bool known = core_fraud_release(e->core, control_member(q, "name"), e->loop.now);
        out_ch(&o, '{');
        out_json_kbool(&o, STR("forgotten"), known);
        out_ch(&o, '}');
    } else if (str_starts(cmd, STR("fraud-"))) {
        core_ledger_json(e->core, control_member(q, "name"), &o, e->loop.now);
    } else {
        code = CONTROL_BAD_REQUEST;
        OUT_LIT(&o, "{\"error\":\"an engine does not answer this\"}");
    }
    if (o.full) {
        code = CONTROL_FAILED;
        o = out_of(text, sizeof text);
        OUT_LIT(&o, "{\"error\":\"the answer is larger than 4 MiB\"}");
    }
    if (child_reply(&e->child, e->child.msg.u.query.id, code, out_str(&o)) != OK)
        counters_hit(&e->child.stats->reasons, REASON_ipc_malformed);
}
