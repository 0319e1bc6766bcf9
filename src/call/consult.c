/* A third party is asked before a call leaves by a trunk: an INVITE as such services take it, whose
 * answer is 302 (let it go) or 603 and other refusals (do not); or by HTTP, which the fetch program
 * speaks for us. Nothing of the call goes on until then, and it waits no longer than consult.wait.
 */
#include "call/consult_answer.h"
#include "call/target.h"

enum { CONSULT_NOT, CONSULT_WAITS, CONSULT_DONE };

static bool leaves(const struct call *k)
{
    const struct policy *p = k->core->policy;
    const struct policy_route *r = &p->routes[k->route];
    for (uint8_t i = 0; r->to == ROUTE_PEERS && i < r->n_peers; i++)
        if (p->peers[r->peers[i]].trunk)
            return true;
    return false;
}

bool consult_due(const struct call *k)
{
    return k->core->policy->consult.on && k->consult == CONSULT_NOT && !k->emergency && leaves(k);
}

bool consult_is(const struct leg *b)
{
    return b->call->consult == CONSULT_WAITS && b->peer != POLICY_NONE &&
           b->peer == b->call->core->policy->consult.peer;
}

enum reason consult_begin(struct call *k, struct target *ret_g)
{
    struct core *c = k->core;
    uint8_t peer = c->policy->consult.peer;
    k->consult = CONSULT_WAITS;
    for (uint8_t n = 0; n < peers_targets(c, peer); n++) {
        uint8_t t = peers_pick(c, peer, k->session, n);
        if (peers_usable(c, peer, t))
            return target_peer(c, peer, t, k->user, k->dialled, ret_g);
    }
    return REASON_route_peer_down;
}

void consult_timer(struct leg *b)
{
    struct core *c = b->call->core;
    timer_arm(&c->wheel, &b->session, instant_add(c->now.mono, DUR_MS(c->policy->consult.wait_ms)));
}

bool consult_lets(struct call *k, uint16_t code)
{
    struct core *c = k->core;
    k->consult = CONSULT_DONE;
    if (code / 100 == 3)
        return true;
    if (code / 100 == 4 || code / 100 == 6) {
        if (code != 408 && code != 401 && code != 407 && code != 480)
            return false;
    }
    core_count(c, REASON_consult_failed);
    return c->policy->consult.fails_open;
}

/* --- by HTTP --- */

bool consult_by_url(const struct core *c)
{
    return c->policy->consult.peer == POLICY_NONE;
}

bool consult_waits(const struct call *k)
{
    return k->consult == CONSULT_WAITS;
}

/* Who calls: the user and the number that is his, or the peer and the number that it shows. */
static void caller_put(const struct call *k, struct out *o)
{
    const struct core *c = k->core;
    const struct policy *p = c->policy;
    const struct directory *d = c->env.directory;
    char text[DIALLED_MAX];
    size_t n = 0;
    struct str number = STR_NONE;
    struct number x;
    if (k->user.n) {
        struct str user, host = str_cut(k->user, '@', &user);
        const struct directory_user *u = directory_find(d, user, host);
        if (u)
            number = directory_number_of(d, u, 0);
        out_json_kstr(o, STR("user"), k->user);
    } else if (k->a->peer != POLICY_NONE) {
        const struct policy_peer *pe = &p->peers[k->a->peer];
        struct dial_plan plan = policy_plan(p, policy_site(p, policy_text(p, pe->site)));
        struct str from = sip_text(k->a->held->m, k->a->held->m->from_uri);
        if (dialled_of_uri(from, text, sizeof text, &n) &&
            number_of(&plan, str_of(text, n), &x) == OK)
            number = str_of(x.e164, x.n);
        out_json_kstr(o, STR("peer"), policy_text(p, pe->name));
    }
    if (number.n)
        out_json_kstr(o, STR("caller"), number);
}

/* No more than what a judgement of the call needs: no address, no name that is shown, no header. */
static void question_put(const struct call *k, struct out *o)
{
    const struct policy *p = k->core->policy;
    const struct policy_route *r = &p->routes[k->route];
    const struct number *to = &k->called;
    char country[2] = {(char)(to->country >> 8), (char)to->country};
    bool any = false;
    out_ch(o, '{');
    out_json_ku64(o, STR("session"), k->session);
    caller_put(k, o);
    if (k->payer.n)
        out_json_kstr(o, STR("by"), k->payer);
    out_json_kstr(o, STR("dialled"), k->dialled);
    if (to->n)
        out_json_kstr(o, STR("callee"), str_of(to->e164, to->n));
    out_json_kstr(o, STR("class"), number_class_name((enum number_class)to->kind));
    if (to->country)
        out_json_kstr(o, STR("country"), str_of(country, sizeof country));
    out_json_key(o, STR("trunks"));
    out_ch(o, '[');
    for (uint8_t i = 0; i < r->n_peers; i++) {
        if (!p->peers[r->peers[i]].trunk)
            continue;
        if (any)
            out_ch(o, ',');
        any = true;
        out_json_str(o, policy_text(p, p->peers[r->peers[i]].name));
    }
    out_ch(o, ']');
    out_json_ki64(o, STR("at"), k->core->now.wall.us / 1000000);
    out_ch(o, '}');
}

enum reason consult_ask(struct call *k)
{
    struct core *c = k->core;
    struct ask *q = &c->ask;
    char text[CONSULT_QUESTION_MAX];
    struct out o = out_of(text, sizeof text);
    k->consult = CONSULT_WAITS;
    question_put(k, &o);
    memset(q, 0, offsetof(struct ask, text));
    q->kind = ASK_CONSULT;
    q->sign = c->policy->consult.wait_ms;
    if (o.full || !ask_add(q, out_str(&o), &q->user))
        return REASON_consult_failed;
    return pending_ask(c, q, FOR_CONSULT, leg_handle(k->a));
}

void consult_answer(struct core *c, struct handle leg_a, const struct answer *a)
{
    struct leg *l = pool_get(&c->legs, leg_a);
    if (!l || l->call->consult != CONSULT_WAITS)
        return; /* the caller has gone */
    uint16_t code = a->reason == REASON_NONE ? 302 : a->reason == REASON_fraud_asked ? 603 : 0;
    fork_consulted(l->call, consult_lets(l->call, code));
}
