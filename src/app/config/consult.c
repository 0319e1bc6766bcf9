/* consult: who is asked before a call leaves by a trunk. */
#include "app/config/yaml.h"

static const struct word FAILS[] = {{"refuse", 0}, {"pass", 1}, {NULL, 0}};

void read_consult(struct load *l, struct fy_node *n)
{
    static const struct field CONSULT[] = {
        {"peer", rd_ref, offsetof(struct policy_consult, peer), true, 0, 0, &REF_PEER},
        {"wait", rd_ms, offsetof(struct policy_consult, wait_ms), false, 50, 5000, NULL},
        {"fails", rd_word, offsetof(struct policy_consult, fails_open), false, 0, 0, FAILS},
    };
    struct policy_consult *c = &l->p->consult;
    c->wait_ms = 1000;
    c->peer = POLICY_NONE;
    (void)map_read(l, n, "consult", CONSULT, ARRAY_LEN(CONSULT), c);
    c->on = c->peer != POLICY_NONE;
    if (c->on && l->p->peers[c->peer].trunk)
        problem(l, pos_of(n), "give it \"kind: pbx\"",
                "consult: peer is a trunk: the question would be asked about itself");
}
