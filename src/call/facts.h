/* Facts: what happened, as fixed-size records that engines append and the store writes (CDRs, JSON
 * event log, counters). Flat and pointer-free: they travel in rings. Texts are cut at their bound
 * (cut is set). No secret and no key is ever put in a fact. */
#ifndef CALL_FACTS_H
#define CALL_FACTS_H
#include "base/addr.h"
#include "base/instant.h"
#include "base/reasons.h"
#include "guard/ban.h"
#include "guard/fraud.h"
#include "guard/ledger.h"
#include "media/leg.h"
#include "wire/tel/number.h"

enum fact_kind {
    FACT_VERDICT = 1, /* a request went through the gates: trace and result */
    FACT_REGISTERED,
    FACT_UNREGISTERED,
    FACT_EXPIRED,    /* binding changes (refreshes are only counted) */
    FACT_CALL_START, /* a session began: what an aborted CDR needs */
    FACT_CALL_END,   /* session and legs: the CDR */
    FACT_PEER_STATE, /* a peer or one of its targets went up or down */
    FACT_REFUSED,    /* something below SIP requests was refused: connection, handshake, RTP source
                        (rate-limited, n = how many) */
    FACT_PROCESS,    /* a program started, died, reloaded */
    FACT_UPSTREAM,   /* a registration that we made came about, failed or ended */
    FACT_TRANSFER,   /* a leg went to another call, or it came to nothing (reason, code) */
    FACT_ALERT,      /* a signature or a detector fired */
    FACT_BAN,        /* somebody is treated otherwise from now on, or no more */
    FACT_EVIDENCE,   /* the message that an alert or ban is about, keys redacted */
    FACT_MONEY,      /* a cap was reached or is near, or a call does not fit who makes it */
    FACT_ADMIN,      /* somebody changed something by the control socket, or tried */
    FACT_KIND_COUNT
};
enum gate_id {
    GATE_SOURCE,
    GATE_RATE,
    GATE_SANITY,
    GATE_SIGNATURE,
    GATE_EMERGENCY,
    GATE_IDENTITY,
    GATE_RIGHT,
    GATE_FRAUD,
    GATE_CAPACITY,
    GATE_ROUTE,
    GATE_COUNT
};
const char *gate_name(enum gate_id g);
enum verdict_kind {
    VERDICT_NONE /* gate not reached */,
    VERDICT_PASS,
    VERDICT_CHALLENGE,
    VERDICT_REFUSE,
    VERDICT_DROP,
    VERDICT_STEP_UP
};
const char *verdict_name(enum verdict_kind v);
struct trace {
    struct {
        uint8_t verdict;
        uint8_t pad;
        uint16_t reason;
    } gate[GATE_COUNT];
};

#define FACT_ID  96u
#define FACT_URI 96u
struct text_id {
    uint8_t n;
    char p[FACT_ID - 1];
};
struct text_uri {
    uint8_t n;
    char p[FACT_URI - 1];
};
struct text_short {
    uint8_t n;
    char p[31];
};
struct text_line {
    uint8_t n;
    char p[191];
};
void text_set(void *text, size_t bytes,
              struct str s); /* any of the four: cuts; replaces control bytes by '?' */
#define TEXT_SET(t, s) text_set(&(t), sizeof(t), (s))
#define TEXT_STR(t)    str_of((t).p, (t).n)

enum money_act { MONEY_REFUSED, MONEY_CUT, MONEY_WARNED, MONEY_LOCKED, MONEY_NOTED };
enum ban_act { BAN_ADDED, BAN_EXTENDED, BAN_RELEASED, BAN_EXPIRED, BAN_EXEMPTED };
/* What a call that leaves by a peer, or wanted to, is accounted by. Empty for calls within. */
struct fact_bill {
    struct text_short e164;  /* the number called, international; empty: none */
    struct text_short role;  /* of the user */
    struct text_short trunk; /* peer that took it last; empty: none did */
    struct text_short
        shown;        /* the number that the callee saw, where it was not the one asked for */
    uint64_t device;  /* identity/device.h; 0: unknown */
    int64_t micro;    /* what it cost, millionths */
    uint32_t seconds; /* that are paid for */
    uint16_t country, source_country; /* ISO 3166 as in wire/tel/number.h; 0: none */
    uint16_t verstat;                 /* enum reason; of a call from a peer */
    uint8_t used, priced;             /* there is anything in it; micro counts */
    uint8_t kind;                     /* enum number_class */
    uint8_t attest;                   /* 'A' 'B' 'C', of a call from a peer; 0: none */
    char currency[4];                 /* terminated */
};
#define FACT_EVIDENCE_BYTES 1600u
struct fact_leg {
    struct text_id call_id;
    struct addr peer;
    uint8_t proto;         /* enum sip_proto */
    uint8_t zone, peer_id; /* policy indices at the time; POLICY_NONE = none */
    struct text_short zone_name, peer_name;
    struct text_short user_agent;
    struct {
        uint8_t used, suite, latched, one_way;
        uint16_t local_port;
        char codec[24];
        struct media_stats in;
    } stream[2];
};
struct fact {
    uint16_t bytes; /* size of this record */
    uint8_t kind, engine;
    uint16_t reason; /* enum reason */
    uint16_t code;   /* SIP status, 0 = none */
    uint64_t seq;    /* per engine, from 1 */
    int64_t wall_us;
    union {
        struct {
            struct text_id call_id;
            struct text_uri from, to;
            struct text_short method, user;
            struct addr source;
            uint8_t proto, zone;
            struct trace trace;
        } verdict;
        struct {
            struct text_uri aor, contact;
            struct addr source;
            uint8_t proto;
            int64_t expires_us;
        } reg;
        struct {
            uint64_t session;
            struct text_id call_id_a;
            struct text_uri from, to;
            struct text_short user;
            struct addr source;
        } start;
        struct {
            uint64_t session;
            struct text_uri from, to;
            struct text_short user, route;
            int64_t start_us, ring_us, answer_us, end_us; /* wall; 0 = never */
            uint8_t ended_by;                             /* 0 none, 'a', 'b', 'g' gateway */
            uint8_t n_legs;
            uint8_t refused; /* 1: by the gates; it never began, and no FACT_CALL_START was told */
            uint16_t q850;
            /* Who transferred or redirected the call here, and is to pay for this part of it; and
             * the call that it goes on in (reason call_transferred) or came from; 0 = none. */
            struct text_short transferred_by;
            uint64_t other_session;
            struct trace trace;
            struct fact_bill bill;
            struct fact_leg leg[2];
        } end;
        struct {
            struct text_short peer;
            struct addr target;
            uint8_t up;
        } peer;
        struct {
            struct addr source;
            uint32_t n;
            struct text_short what;
        } refused;
        struct {
            struct text_short program;
            int32_t pid, status;
            struct text_short what;
        } process;
        struct {
            uint64_t session, to_session; /* that was left, and that took the leg; 0 = none */
            struct text_uri who, to;      /* who was transferred, and where to */
            struct text_uri by;           /* who asked for it */
            struct text_short kind;       /* "blind", "attended", "replaces", "redirect" */
        } transfer;
        struct {
            uint8_t by;                                /* enum ban_by: BY_DETECTOR or BY_RULE */
            uint8_t detector, treat, action, severity; /* action: enum rule_action; severity 1-4 */
            uint8_t proto, zone, dry;
            uint16_t score, level;
            uint32_t gid, sid, rev;
            uint64_t evidence; /* id of a FACT_EVIDENCE; 0: none */
            struct addr source, dest;
            struct text_id call_id;
            struct text_uri from, to;
            struct text_short method, user_agent, classtype;
            struct text_id message; /* the rule's msg or the detector's text */
        } alert;
        struct {
            uint8_t act;           /* enum ban_act */
            struct text_short who; /* who released it */
            struct ban ban;
        } ban;
        struct {
            uint8_t act;      /* enum money_act; its reason names the cap, or fraud_behaviour */
            uint8_t cap_kind; /* enum ledger_kind; LEDGER_KINDS: no cap */
            uint8_t number_class, fraud_act, dry;
            uint16_t country, score, signs; /* of behaviour; bits by enum fraud_sign */
            uint64_t session;               /* 0: refused before it was a call */
            int64_t used, cap; /* calls, attempts, seconds or millionths, as the reason says */
            struct text_id who;
            struct text_short to, trunk; /* number called; who would have been paid */
        } money;
        struct {
            uint64_t id;
            uint32_t whole; /* bytes of the message; n of them are here */
            uint16_t n;
            char p[FACT_EVIDENCE_BYTES];
        } evidence;
        struct {
            struct text_short peer;
            struct text_uri aor; /* empty: our own account there */
            struct addr target;
            int64_t expires_us; /* 0: not registered */
        } upstream;
        struct {
            uint32_t uid;                /* UINT32_MAX: nobody asked: a signal */
            uint8_t outcome;             /* enum control_code; 0: done */
            struct text_short who, role; /* user's name; role that he has */
            struct text_short act;       /* command */
            struct text_short pending;   /* number of the approval that it made or ended */
            struct text_uri from, what;  /* process that asked; whom or what it is about */
            struct text_line why, before, after;
        } admin;
    } u;
};
/* Bytes that travel for this kind (header and its member of the union). */
size_t fact_size(enum fact_kind k);
MUST_CHECK enum err fact_valid(const void *rec, size_t bytes); /* the reader's check */
#endif
