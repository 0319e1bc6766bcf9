/* Signature: rules over the decrypted message. What dials for help is not refused by a rule. */
#include "call/gate.h"

struct verdict gate_signature(const struct gate_env *e, struct request *r, struct ask *ask)
{
    (void)ask;
    struct gate_hits *h = e->hits;
    if (!h || !e->rules)
        return gate_pass();
    struct rules_input in = {.m = r->m,
                             .bytes = r->m->bytes,
                             .source = r->flow.peer,
                             .dest = e->policy->listeners[r->flow.listener].bind,
                             .proto = r->flow.proto,
                             .to_server = true,
                             .established = r->in_dialog,
                             .flow = addr_hash(&e->hash_key, &r->flow.peer)};
    h->n = (uint8_t)rules_run(e->rules, e->rules_state, e->scanner, &in, r->now, h->v, GATE_HITS);
    for (unsigned i = 0; i < h->n && !r->emergency && !e->policy->guard.dry_run; i++) {
        if (h->v[i].action == RULE_DROP)
            return gate_drop(REASON_shield_rule_drop);
        if (h->v[i].action == RULE_REJECT)
            return gate_refuse(REASON_shield_rule_reject);
    }
    return gate_pass();
}
