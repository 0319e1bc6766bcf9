/* What is signed of a call that leaves, who is asked to sign it, and what goes out without. */
#include "call/trunks_test.h"
#include "crypto/hash.h"
#include "identity/passport.h"

#define LOCAL "sip:030123456@example.com"
#define URL   "https://certs.example.com/ours.pem"
static uint8_t owners[16384] __attribute__((aligned(64)));
static const uint8_t DER[] = {0x30, 6, 2, 1, 5, 2, 1, 7}; /* r 5, s 7 */

/* alice owns two numbers, "030100" is called like one of them, "030555" like nobody's. */
static int stir_setup(void **state)
{
    static const char *const bare[] = {"030100@example.com", "030555@example.com"};
    (void)setup(state);
    struct fixture *x = *state;
    struct policy *p = &x->g.policy;
    assert_ok(crypto_init());
    trunks(p, 2);
    p->generation = 0x1fe;
    p->stir.sign = p->peers[0].sign = p->peers[1].sign = true;
    p->stir.key = 3;
    p->stir.x5u = test_text(p, URL);
    memset(owners, 0, sizeof owners);
    struct directory *d = (struct directory *)(void *)owners;
    directory_begin_of(d, &(struct directory_room){.users = 4, .text = 1024, .numbers = 8});
    assert_ok(directory_put(d, &(struct directory_entry){.aor = STR("alice@example.com"),
                                                         .role = STR("user"),
                                                         .numbers = STR("+4930100 +4930101")}));
    for (size_t i = 0; i < ARRAY_LEN(bare); i++)
        assert_ok(directory_put(
            d, &(struct directory_entry){.aor = str_c(bare[i]), .role = STR("user")}));
    core_directory(x->g.core[0], d);
    return 0;
}

static uint64_t counted(const struct fixture *x, enum reason r)
{
    return x->g.counters[0].n[r];
}

/* That user calls; nothing has left when it returns, unless nothing is to be signed. */
static void dials(struct fixture *x, const char *user, const char *uri, const char *more)
{
    static int turn;
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    char from[64], to[64], id[16], all[2048];
    (void)snprintf(from, sizeof from, "<sip:%s@example.com>;tag=s1", user);
    (void)snprintf(to, sizeof to, "<%s>", uri);
    (void)snprintf(id, sizeof id, "s%d", ++turn);
    (void)snprintf(all, sizeof all, "Contact: <sip:a@203.0.113.5:5060>\r\n%s", more);
    message(x, &f, request("INVITE", uri, from, to, id, 1, all, SDP_A));
    const char *no = sent(x, ALICE, "SIP/2.0 401 ");
    assert_non_null(no);
    const char *rest = strstr(credentials(no, uri), ", realm=");
    (void)snprintf(all, sizeof all,
                   "Contact: <sip:a@203.0.113.5:5060>\r\n%sAuthorization: Digest "
                   "username=\"%s\"%s",
                   more, user, rest);
    message(x, &f, request("INVITE", uri, from, to, id, 2, all, SDP_A));
    vault(x, REASON_NONE);
}

static void pbx_calls(struct fixture *x, const char *whom, const char *from, const char *more)
{
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    static int turn;
    char all[512], uri[64], to[80], id[16];
    x->g.policy.routes[0].n_peers = 1;
    x->g.policy.routes[0].peers[0] = 1;
    (void)snprintf(all, sizeof all, "Contact: <sip:200@198.51.100.10:5060>\r\n%s", more);
    (void)snprintf(uri, sizeof uri, "sip:%s@" TEST_INSIDE, whom);
    (void)snprintf(to, sizeof to, "<%s>", uri);
    (void)snprintf(id, sizeof id, "pbx%d", ++turn);
    message(x, &f, request("INVITE", uri, from, to, id, 1, all, SDP_P));
}

static void pbx_dials(struct fixture *x, const char *from, const char *more)
{
    pbx_calls(x, "030123456", from, more);
}

static bool asks(const struct fixture *x, struct ask *ret_q)
{
    unsigned n = 0;
    for (size_t i = 0; i < x->n_got; i++)
        if (x->got[i].kind == INTENT_ASK) {
            memset(ret_q, 0, sizeof *ret_q);
            memcpy(ret_q, x->text[i], MIN(sizeof *ret_q, x->got[i].bytes.n));
            assert_ok(ask_valid(ret_q, x->got[i].bytes.n));
            n++;
        }
    assert_true(n <= 1);
    return n && ret_q->kind == ASK_STIR;
}

static void asked(struct fixture *x, struct ask *ret_q)
{
    assert_true(asks(x, ret_q));
    assert_null(sent(x, PBX, "INVITE "));
    assert_null(sent(x, TRUNK2, "INVITE "));
}

static void says(struct fixture *x, const struct ask *q, enum reason why, const void *der, size_t n)
{
    struct answer a = {.id = q->id, .kind = q->kind, .reason = (uint16_t)why, .n = (uint16_t)n};
    if (n)
        memcpy(a.bytes, der, n);
    core_answer(x->g.core[0], &a, x->g.now);
    collect(x);
}

static void signs(struct fixture *x, const struct ask *q)
{
    says(x, q, REASON_NONE, DER, sizeof DER);
}

/* The trunk's INVITE, copied; then it is busy, and nothing of the call stays. */
static void leaves(struct fixture *x, const char *trunk, char *ret, size_t cap)
{
    const char *inv = sent(x, trunk, "INVITE ");
    assert_non_null(inv);
    (void)snprintf(ret, cap, "%s", inv);
    answer_from(x, trunk, ret, 486, "");
}

static bool has_identity(const char *inv)
{
    return strstr(inv, "\r\nIdentity: ") != NULL;
}

struct told {
    struct passport p;
    char mem[PASSPORT_BYTES], id[64];
};
/* What the INVITE says, if it is what q had the vault sign. */
static void read_token(const char *inv, const struct ask *q, struct told *t)
{
    struct identity_field f;
    uint8_t sig[PASSPORT_SIG], digest[HASH_MAX];
    static const uint8_t want[PASSPORT_SIG] = {[31] = 5, [63] = 7};
    assert_true(has_identity(inv));
    struct str v = field(inv, "Identity");
    assert_ok(identity_parse(v, &f));
    assert_str(f.info, URL);
    assert_str(f.ppt, "shaken");
    assert_false(f.compact);
    assert_ok(identity_signature(&f, sig));
    assert_memory_equal(sig, want, sizeof sig);
    struct str input = str_head(v, f.header.n + 1 + f.claims.n);
    assert_ok(hash_parts(HASH_SHA256, &input, 1, digest));
    assert_str_eq(span_str(str_of(q->text, q->n), q->ha2), str_of((const char *)digest, 32));
    assert_ok(passport_parse(f.header, f.claims, t->mem, &t->p));
    assert_str_eq(t->p.x5u, f.info);
    assert_str(t->p.ppt, "shaken");
    assert_int_equal(t->p.n_tn, 1);
    assert_int_equal(t->p.n_uri, 0);
    (void)snprintf(t->id, sizeof t->id, STR_FMT, STR_ARG(t->p.origid));
}

static void attested(struct fixture *x, const char *trunk, char how, const char *orig,
                     struct told *t)
{
    struct ask q;
    char inv[4096];
    asked(x, &q);
    assert_int_equal(q.key, 3 | 0xfe << 8); /* which key, of which policy */
    signs(x, &q);
    leaves(x, trunk, inv, sizeof inv);
    read_token(inv, &q, t);
    assert_int_equal(t->p.attest, how);
    assert_str_eq(t->p.orig_tn, str_c(orig));
    assert_str(t->p.dest_tn[0], "4930123456");
    assert_int_equal(t->p.iat, x->g.now.wall.us / 1000000);
}

/* --- tests --- */

static void who_owns_the_number(void **state)
{
    struct fixture *x = *state;
    struct told t;
    x->g.policy.stir.refuse_unsigned = true;
    dials(x, "alice", LOCAL, "");
    attested(x, PBX, 'A', "4930100", &t);
    dials(x, "alice", LOCAL, "P-Preferred-Identity: <sip:+4930101@example.com>\r\n");
    attested(x, PBX, 'A', "4930101", &t);
    dials(x, "alice", LOCAL, "P-Preferred-Identity: <sip:+4930999@example.com>\r\n");
    attested(x, PBX, 'A', "4930100", &t); /* what is shown instead */
    dials(x, "030555", LOCAL, "");
    attested(x, PBX, 'B', "4930555", &t);
    dials(x, "030100", LOCAL, "");
    attested(x, PBX, 'B', "4930100", &t); /* somebody else's */
    pbx_dials(x, "<sip:030100@198.51.100.10>;tag=p1", "");
    attested(x, TRUNK2, 'C', "4930100", &t); /* of whom nobody knows who calls there */
    nothing_left(x);
}

/* Who is in the directory no more owns nothing, not even what is nobody's. */
static void gone_from_the_directory(void **state)
{
    struct fixture *x = *state;
    struct told t;
    struct ask q;
    char inv[4096];
    dials(x, "030555", LOCAL, "");
    asked(x, &q);
    signs(x, &q);
    assert_true(called_at(x, 0, inv, sizeof inv));
    core_directory(x->g.core[0], x->g.directory);
    answer_from(x, PBX, inv, 503, "");
    attested(x, TRUNK2, 'B', "4930555", &t);
    nothing_left(x);
}

/* What the caller's site makes no number of is one as the trunk's site takes it. */
static void callee_by_the_trunks_site(void **state)
{
    struct fixture *x = *state;
    struct policy *p = &x->g.policy;
    struct told t;
    p->sites[p->n_sites++] = p->sites[0];
    p->sites[0].country = 0;
    p->sites[1].name = p->peers[0].site = test_text(p, "berlin");
    dials(x, "alice", LOCAL, "");
    attested(x, PBX, 'A', "4930100", &t);
    p->peers[0].site = (struct span){0}; /* nor that one */
    dials(x, "alice", LOCAL, "");
    char inv[4096];
    leaves(x, PBX, inv, sizeof inv);
    assert_false(has_identity(inv));
    assert_int_equal(counted(x, REASON_stir_signing), 1);
    nothing_left(x);
}

/* One id for all users, one for each peer, none of which says who. */
static void origin_by_kind_of_source(void **state)
{
    struct fixture *x = *state;
    struct told users, others, peer;
    dials(x, "alice", LOCAL, "");
    attested(x, PBX, 'A', "4930100", &users);
    dials(x, "030555", LOCAL, "");
    attested(x, PBX, 'B', "4930555", &others);
    assert_string_equal(users.id, others.id);
    pbx_dials(x, "<sip:030100@198.51.100.10>;tag=p1", "");
    attested(x, TRUNK2, 'C', "4930100", &peer);
    assert_string_not_equal(users.id, peer.id);
    for (const char *id = users.id; id; id = id == users.id ? peer.id : NULL) {
        assert_int_equal(strlen(id), 36);
        for (unsigned i = 0; i < 36; i++)
            assert_true(i == 8 || i == 13 || i == 18 || i == 23
                            ? id[i] == '-'
                            : strchr("0123456789abcdef", id[i]) != NULL);
        assert_int_equal(id[14], '8'); /* version and variant (RFC 9562 5.8) */
        assert_non_null(strchr("89ab", id[19]));
    }
    x->g.policy.peers[0].name = test_text(&x->g.policy, "annex"); /* another one */
    struct told annex;
    pbx_dials(x, "<sip:030100@198.51.100.10>;tag=p2", "");
    attested(x, TRUNK2, 'C', "4930100", &annex);
    assert_string_not_equal(annex.id, peer.id);
    nothing_left(x);
}

/* The one that is asserted, where it is; else From. */
static void what_a_peer_shows(void **state)
{
    struct fixture *x = *state;
    struct told t;
    pbx_dials(x, "<sip:030100@198.51.100.10>;tag=p1",
              "P-Asserted-Identity: <sip:030200@198.51.100.10>\r\n");
    attested(x, TRUNK2, 'C', "4930200", &t);
    x->g.policy.peers[1].trust_identity = false; /* it is not told that */
    pbx_dials(x, "<sip:030100@198.51.100.10>;tag=p2",
              "P-Asserted-Identity: <sip:030200@198.51.100.10>\r\n");
    attested(x, TRUNK2, 'C', "4930100", &t);
    x->g.policy.peers[1].trust_identity = true;
    pbx_dials(x, "<sip:030100@198.51.100.10>;tag=p3",
              "P-Asserted-Identity: <sip:desk@198.51.100.10>\r\n");
    attested(x, TRUNK2, 'C', "4930100", &t); /* no number */
    nothing_left(x);
}

static void what_is_not_signed(void **state)
{
    struct fixture *x = *state;
    struct policy *p = &x->g.policy;
    struct ask q;
    char inv[4096];
    for (unsigned i = 0; i < 2; i++) {
        p->stir.sign = i != 0;
        p->peers[0].sign = i != 1;
        dials(x, "alice", LOCAL, "");
        assert_false(asks(x, &q));
        leaves(x, PBX, inv, sizeof inv);
        assert_false(has_identity(inv));
    }
    p->peers[0].sign = true;
    p->stir.refuse_unsigned = true; /* nobody waits with a call for help */
    pbx_calls(x, "112", "<sip:030100@198.51.100.10>;tag=p1", "");
    assert_false(asks(x, &q));
    leaves(x, TRUNK2, inv, sizeof inv);
    assert_false(has_identity(inv));
    assert_int_equal(counted(x, REASON_stir_signing), 0);
    nothing_left(x);
}

/* Phones of ours get none, whoever calls. */
static void inside(void **state)
{
    struct fixture *x = *state;
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    struct ask q;
    register_alice(x);
    x->g.policy.stir.refuse_unsigned = true;
    message(x, &f,
            request("INVITE", "sip:alice@" TEST_INSIDE, CALLER, "<sip:alice@" TEST_INSIDE ">",
                    "inside", 1, "Contact: <sip:200@198.51.100.10:5060>\r\n", SDP_P));
    assert_false(asks(x, &q));
    const char *inv = sent(x, ALICE, "INVITE ");
    assert_non_null(inv);
    assert_false(has_identity(inv));
    answer_from(x, ALICE, inv, 486, "");
    nothing_left(x);
}

static void callers_without_a_number(void **state)
{
    static const char *const from[] = {"<sip:anonymous@anonymous.invalid>;tag=n1",
                                       "<sip:110@198.51.100.10>;tag=n3", /* of no plan */
                                       "<sip:desk@198.51.100.10>;tag=n2"};
    struct fixture *x = *state;
    struct ask q;
    char inv[4096];
    for (unsigned strict = 0; strict < 2; strict++)
        for (size_t i = 0; i < ARRAY_LEN(from); i++) {
            uint64_t bare = counted(x, REASON_stir_signing), no = counted(x, REASON_stir_unsigned);
            x->g.policy.stir.refuse_unsigned = strict;
            pbx_dials(x, from[i], "");
            assert_false(asks(x, &q));
            assert_int_equal(counted(x, REASON_stir_signing) - bare, !strict);
            assert_int_equal(counted(x, REASON_stir_unsigned) > no, strict);
            if (strict) {
                assert_null(sent(x, TRUNK2, "INVITE "));
                assert_non_null(sent(x, PBX, "SIP/2.0 503 "));
                continue;
            }
            leaves(x, TRUNK2, inv, sizeof inv);
            assert_false(has_identity(inv));
        }
    nothing_left(x);
}

/* The vault says no, nothing, or something that is no signature. */
static void nobody_signs(void **state)
{
    static const uint8_t bad[] = {0x30, 6, 2, 1, 5, 2, 1, 0x87};
    static const struct {
        enum reason why;
        uint8_t n;
        bool silent;
    } row[] = {{REASON_auth_unavailable, 0, false},
               {REASON_auth_unavailable, sizeof DER, false},
               {REASON_NONE, 0, false},
               {REASON_NONE, sizeof bad, false},
               {REASON_NONE, 0, true}};
    struct fixture *x = *state;
    for (unsigned strict = 0; strict < 2; strict++)
        for (size_t i = 0; i < ARRAY_LEN(row); i++) {
            uint64_t bare = counted(x, REASON_stir_signing), no = counted(x, REASON_stir_unsigned);
            struct ask q;
            char inv[4096];
            x->g.policy.stir.refuse_unsigned = strict;
            dials(x, "alice", LOCAL, "");
            asked(x, &q);
            if (row[i].silent) {
                pass_ms(x, ASK_LIFE_MS - 1);
                assert_null(sent(x, PBX, "INVITE "));
                pass_ms(x, 1);
            } else {
                says(x, &q, row[i].why, row[i].why == REASON_NONE ? bad : DER, row[i].n);
            }
            assert_int_equal(counted(x, REASON_stir_signing) - bare, 1);
            assert_int_equal(counted(x, REASON_stir_unsigned) - no, strict);
            if (strict) { /* nor by another one, which wants it too */
                assert_int_equal(who_is_called(x, inv, sizeof inv), -1);
                assert_non_null(sent(x, ALICE, "SIP/2.0 503 "));
            } else {
                leaves(x, PBX, inv, sizeof inv);
                assert_false(has_identity(inv));
            }
            signs(x, &q); /* too late */
            assert_int_equal(who_is_called(x, inv, sizeof inv), -1);
        }
    nothing_left(x);
}

/* A call that went while the vault was asked. */
static void cancelled_meanwhile(void **state)
{
    struct fixture *x = *state;
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    struct ask q;
    char text[2048], inv[4096], *cut;
    x->g.policy.routes[0].n_peers = 1;
    x->g.policy.routes[0].peers[0] = 1;
    const char *m = request("INVITE", "sip:030123456@" TEST_INSIDE,
                            "<sip:030100@198.51.100.10>;tag=p1", "<sip:030123456@" TEST_INSIDE ">",
                            "of-pbx", 1, "Contact: <sip:200@198.51.100.10:5060>\r\n", SDP_P);
    (void)snprintf(text, sizeof text, "%s", m);
    message(x, &f, text);
    asked(x, &q);
    memcpy(text, "CANCEL", 6); /* as long as INVITE, and of the same transaction */
    cut = strstr(text, " INVITE\r\n");
    memcpy(cut, " CANCEL\r\n", 9);
    cut = strstr(text, "Content-Type");
    (void)snprintf(cut, 32, "Content-Length: 0\r\n\r\n");
    message(x, &f, text);
    assert_non_null(sent(x, PBX, "SIP/2.0 487 "));
    signs(x, &q);
    assert_int_equal(who_is_called(x, inv, sizeof inv), -1);
    assert_int_equal(counted(x, REASON_stir_signing), 0);
    nothing_left(x);
}

/* Each trunk gets a token of its own; one that challenges us gets the same again. */
static void tried_again(void **state)
{
    struct fixture *x = *state;
    struct ask q, respond;
    struct told t;
    char inv[4096], first[1024], text[4096], *end;
    x->g.policy.routes[0].n_peers = 2;
    dials(x, "alice", LOCAL, "");
    asked(x, &q);
    signs(x, &q);
    assert_true(called_at(x, 0, inv, sizeof inv));
    (void)snprintf(first, sizeof first, "%s", field(inv, "Identity").p);
    (void)snprintf(text, sizeof text, "%s", answer(inv, 401, "t9", "x@" PBX, ""));
    end = strstr(text, "Server:");
    (void)snprintf(end, 256,
                   "WWW-Authenticate: Digest realm=\"x\", nonce=\"n\", algorithm=SHA-256, "
                   "qop=\"auth\"\r\nContent-Length: 0\r\n\r\n");
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    message(x, &f, text);
    assert_false(asks(x, &respond)); /* not to sign */
    assert_int_equal(respond.kind, ASK_RESPOND);
    says(x, &respond, REASON_NONE, "00", 2);
    assert_true(called_at(x, 0, inv, sizeof inv));
    assert_non_null(strstr(inv, "\r\nAuthorization: "));
    assert_str_eq(field(inv, "Identity"), str_c(first));
    pass_ms(x, 1000); /* whatever else takes time */
    (void)snprintf(text, sizeof text, "%s", inv);
    answer_from(x, PBX, text, 503, "");
    asked(x, &q);
    signs(x, &q);
    leaves(x, TRUNK2, inv, sizeof inv);
    read_token(inv, &q, &t);
    assert_string_not_equal(field(inv, "Identity").p, first);
    nothing_left(x);
}

/* Another policy came while the vault signed: the token still says where its own certificate
 * lies, which is what the vault signed. */
static void another_policy_meanwhile(void **state)
{
    struct fixture *x = *state;
    static struct policy next;
    struct told t;
    struct ask q;
    char inv[4096];
    for (unsigned i = 0; i < 2; i++) {
        next = x->g.policy;
        next.generation++;
        if (i)
            next.stir.sign = false;
        next.stir.x5u =
            i ? (struct span){0} : test_text(&next, "https://certs.example.com/new.pem");
        core_policy(x->g.core[0], &x->g.policy, x->g.now);
        collect(x);
        dials(x, "alice", LOCAL, "");
        asked(x, &q);
        core_policy(x->g.core[0], &next, x->g.now);
        collect(x);
        signs(x, &q);
        leaves(x, PBX, inv, sizeof inv);
        read_token(inv, &q, &t);
    }
    nothing_left(x);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, stir_setup, teardown)
    const struct CMUnitTest tests[] = {T(who_owns_the_number),
                                       T(gone_from_the_directory),
                                       T(callee_by_the_trunks_site),
                                       T(origin_by_kind_of_source),
                                       T(what_a_peer_shows),
                                       T(what_is_not_signed),
                                       T(inside),
                                       T(callers_without_a_number),
                                       T(nobody_signs),
                                       T(cancelled_meanwhile),
                                       T(tried_again),
                                       T(another_policy_meanwhile)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
