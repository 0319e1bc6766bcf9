/* A registration of ours and its messages: between upstream.c and upstream_put.c only. */
#ifndef CALL_UPSTREAM_INT_H
#define CALL_UPSTREAM_INT_H
#include "call/core_int.h"

#define REG_EXPIRES_MAX_S 86400 /* longest that a server may make us ask by 423, or grant */

struct reg {
    struct timer timer;
    struct handle t; /* REGISTER under way */
    struct arena line;
    struct wall until; /* registered until then; 0: not */
    struct instant refresh;
    uint64_t hash;
    uint32_t cseq, ask_s;
    uint16_t code, why; /* of the last failure; REASON_NONE after success */
    struct addr to;     /* where the last one went */
    uint8_t peer, tries, failures;
    bool wanted, busy /* an answer of the server or the vault is due */, leaving;
    uint16_t route_why; /* why its Service-Route is not used */
    bool tried_auth, tried_423, routed;
    uint8_t aor_n;
    char aor[LOCATION_AOR_MAX]; /* empty: our own account */
};

static inline struct str reg_aor(const struct reg *r)
{
    return str_of(r->aor, r->aor_n);
}
static inline bool reg_up(const struct core *c, const struct reg *r)
{
    return r->until.us > c->now.wall.us;
}
/* Of a registration at that peer; aor empty: our account. */
uint64_t reg_hash(const struct core *c, uint8_t peer, struct str aor);
void reg_tell(struct core *c, const struct reg *r, enum reason why, uint16_t code);

/* --- upstream_route.c --- */
/* The engine that keeps it: an account is one engine's, a user's that which keeps his phones. */
uint8_t reg_owner(const struct core *c, uint8_t peer, struct str aor);
void reg_route_del(struct core *c, struct reg *r);
/* What the newest 2xx says counts: without a Service-Route there is none any more (RFC 3608 5). */
void reg_route_keep(struct core *c, struct reg *r, const struct sip_msg *m);

void reg_count(const struct core *c); /* one came or went: for upstream_left of all engines */

/* --- upstream_put.c --- */
void reg_uri_put(const struct core *c, const struct reg *r, struct out *o); /* Request-URI */
/* The whole REGISTER, with the next CSeq; Expires 0 when it is leaving. authorization: a header
 * line with CRLF, or empty. */
void reg_put(struct core *c, struct reg *r, struct str branch, struct str authorization,
             struct out *o);
/* For how many seconds a 2xx granted our Contact. */
uint32_t reg_granted(const struct core *c, const struct reg *r, const struct sip_msg *m);
#endif
