/* The configuration as the engines see it: one flat, pointer-free, immutable snapshot (a sealed
 * memfd) made by app/config from ringwall.yaml. Spans point into text. A reload makes a new
 * snapshot; the old one stays in force if the new is bad. */
#ifndef CALL_POLICY_H
#define CALL_POLICY_H
#include "base/addr.h"
#include "base/instant.h"
#include "base/reasons.h"
#include "guard/access.h"
#include "guard/fraud.h"
#include "guard/ledger.h"
#include "identity/rights.h"
#include "identity/stir.h"
#include "identity/token.h"
#include "media/leg.h"
#include "sip/flow.h"

#define POLICY_MAGIC        0x5257504cu
#define POLICY_VERSION      7u
#define POLICY_DOMAINS      16u
#define POLICY_LISTENERS    16u
#define POLICY_ZONES        32u
#define POLICY_ZONE_SOURCES 16u
#define POLICY_WAIVERS      64u
#define POLICY_PEERS        64u
#define POLICY_PEER_TARGETS 4u
#define POLICY_ROUTES       128u
#define POLICY_ROUTE_PEERS  4u
#define POLICY_ROLES        16u
#define POLICY_ZONE_CODECS  16u
#define POLICY_CALLERS      8u
#define POLICY_PLACES       32u
#define POLICY_TEXT         32768u
#define POLICY_NONE         0xffu

struct policy_listener {
    struct span name;
    uint8_t proto;    /* enum sip_proto */
    struct addr bind; /* ip and port */
    struct addr
        advertise; /* what Via, Contact and SDP say; ip and port, equals bind when not given */
    uint16_t key;  /* TLS: key number in the vault = index of the certificate in certs */
    uint8_t client_cert; /* 0 none, 1 optional, 2 required (strictest of the listener's zones) */
};
enum waive { WAIVE_PLAIN_SIGNALLING = 1, WAIVE_PLAIN_MEDIA = 2 };
struct policy_waiver {
    struct span name, owner, reason;
    uint8_t zone, allow; /* enum waive bits */
    struct wall expires;
};
enum zone_media {
    ZONE_SRTP /* offer and demand SRTP */,
    ZONE_RTP /* offer RTP; needs waiver */,
    ZONE_EITHER /* offer SRTP over TLS, accept plain with waiver */
};
/* How who calls from a zone proves himself. */
enum zone_auth {
    AUTH_NO,     /* not at all: peers, by their address or name */
    AUTH_DIGEST, /* by password; a certificate that names users must name him, too */
    AUTH_CERT,   /* by a client certificate that names him; no password is asked for */
    AUTH_BOTH,   /* by both */
};
/* What requests of a zone may ask for besides calls; bits. */
enum zone_service {
    SERVICE_TRANSFER = 1,
    SERVICE_MESSAGE = 2,
    SERVICE_MWI = 4,    /* SUBSCRIBE to message-summary (RFC 3842) */
    SERVICE_DIALOG = 8, /* dialog-info (RFC 4235) */
    SERVICE_PRESENCE = 16,
    SERVICE_PUBLISH = 32,
};
enum media_kind {
    KIND_AUDIO = 1,
    KIND_VIDEO = 2,
    KIND_APPLICATION = 4,
    KIND_T38 = 8,
    KIND_TEXT = 16
};
struct policy_zone {
    struct span name;
    uint32_t listeners; /* bit per listener */
    uint8_t n_sources;  /* 0: nobody */
    struct prefix sources[POLICY_ZONE_SOURCES];
    uint8_t client_cert;  /* 0 none, 1 optional, 2 required */
    uint8_t media;        /* enum zone_media */
    bool nat;             /* peers may be behind NAT: symmetric media, answer to source */
    bool registration;    /* phones may register from here */
    uint8_t authenticate; /* enum zone_auth; AUTH_NO only for peers' zones */
    bool silent;          /* unknown or failed requests get no answer */
    uint8_t suites[SUITE_COUNT];
    uint8_t services; /* enum zone_service bits */
    uint8_t kinds;    /* enum media_kind bits: m-lines that may pass, others get port 0 */
    bool redirect;    /* a 3xx from this zone is followed, by the rights of the one who sent it */
    uint8_t n_codecs; /* 0: all pass */
    struct span codecs[POLICY_ZONE_CODECS]; /* encoding names that may pass, lower case */
    uint8_t n_access; /* judged in order, the first that fits decides; none fits: access_deny */
    bool access_deny;
    struct access_rule access[ACCESS_RULES];
    uint32_t rate_per_source; /* requests a second, burst twice that; 0 = default 50 */
};
struct policy_peer {
    struct span name, username, realm_host; /* username empty: no credentials; realm_host: host part
                                               of our URIs to it; empty: its address */
    uint8_t trunk;                          /* 0 pbx, 1 trunk */
    uint8_t zone;                           /* whose rules its leg follows */
    uint8_t listener;                       /* we send from here */
    uint8_t proto;
    uint8_t n_targets;
    struct addr targets[POLICY_PEER_TARGETS]; /* failover order */
    struct span tls_name;                     /* name its certificate must hold */
    uint16_t options_s;                       /* OPTIONS health interval; 0 = none */
    struct span host;    /* DNS name (RFC 3263); then targets is empty and the board has them */
    uint16_t host_port;  /* 0: NAPTR and SRV decide */
    bool dnssec;         /* only answers that are signed and verify are used */
    uint32_t fronts;     /* bit per zone whose phones are registered here, too (front mode) */
    uint32_t register_s; /* we register there ourselves with our credentials; 0 = not */
    bool trust_identity; /* believe its P-Asserted-Identity, and send ours to it */
    bool has_secret;     /* the vault holds credentials: answer its 401/407 */
    uint8_t deck;        /* of rates, from 1; 0: prices by class */
    uint8_t priority;    /* of peers of one rule, lower first; equal ones by price and quality */
    bool sign;           /* calls to it carry a PASSporT of ours (RFC 8224) */
    bool verify;         /* those from it are verified */
    struct caps caps;    /* of the trunk as a whole */
    uint8_t n_callers;   /* 0: numbers that it asserts are believed */
    struct span callers[POLICY_CALLERS]; /* patterns of numbers it may show, with '+' */
    struct span site; /* whose dial plan numbers from it follow; empty: the first */
};
enum route_to { ROUTE_USERS, ROUTE_PEERS, ROUTE_REFUSE };
enum route_when { WHEN_ALWAYS, WHEN_OPEN, WHEN_CLOSED };
struct policy_route {
    struct span name;
    uint8_t from_zone;   /* POLICY_NONE = any */
    uint8_t from_peer;   /* POLICY_NONE = any */
    uint8_t role;        /* POLICY_NONE = any */
    struct span pattern; /* on the dialled user part: digits, '+', letters; 'X' a digit, 'N' 2-9,
                            '.' one or more of anything at the end, '*' all */
    uint8_t strip;       /* characters taken off the front */
    struct span prefix;  /* then put in front */
    uint8_t to;          /* enum route_to */
    uint8_t n_peers;
    uint8_t peers[POLICY_ROUTE_PEERS]; /* tried in order */
    uint8_t when, when_site;           /* enum route_when: by the hours and holidays of that site */
};
struct policy_limits {
    uint32_t calls, bindings, transactions, connections, connections_per_source;
    uint32_t contacts_per_user;
    uint32_t subscriptions; /* table of an installation, shared by its engines */
    uint32_t register_min_s, register_max_s, register_default_s;
    uint32_t ring_s;          /* longest ringing */
    uint32_t call_max_s;      /* longest call */
    uint32_t media_timeout_s; /* no packets from either side; 0 = never */
    uint32_t message_bytes;
    uint32_t session_expires_s;
    uint32_t cdr_keep_s; /* records of calls in the database; 0: for ever */
};
#define POLICY_RESOLVERS 4u
#define POLICY_UNSIGNED  8u
struct policy_dns {    /* how the fetch program looks names up */
    uint8_t n_servers; /* 0: those of /etc/resolv.conf */
    uint8_t n_plain;
    struct addr servers[POLICY_RESOLVERS]; /* with port */
    struct span plain[POLICY_UNSIGNED];    /* domains below which nothing needs to be signed */
};
struct policy_role {
    struct span name;
    bool outbound; /* may use routes to peers */
    bool
        strict_caller; /* who asks for a number that is not his is refused, else his own is shown */
    struct rights_role rights;
    struct caps caps, off_caps; /* an identity's; off hours */
    struct caps whole;          /* of all who have this role, together */
    struct caps device;         /* of each device of theirs */
};
struct policy_place { /* caps of all calls to a country, or to numbers that begin so */
    uint16_t country; /* 0: by prefix */
    uint8_t prefix_n;
    char prefix[NUMBER_MAX]; /* international, without '+' */
    struct caps caps;
};
struct policy {
    uint32_t magic, version, bytes; /* sizeof(struct policy) */
    uint32_t generation;
    uint8_t n_domains, n_listeners, n_zones, n_waivers, n_peers, n_routes, n_roles, n_certs;
    struct span domains[POLICY_DOMAINS]; /* first is the default and the realm */
    struct policy_listener listeners[POLICY_LISTENERS];
    struct policy_zone zones[POLICY_ZONES];
    struct policy_waiver waivers[POLICY_WAIVERS];
    struct policy_peer peers[POLICY_PEERS];
    struct policy_route routes[POLICY_ROUTES];
    struct policy_role roles[POLICY_ROLES]; /* 0 is "user" */
    struct policy_limits limits;
    uint16_t rtp_min, rtp_max;
    struct addr media_ip; /* bind address of media sockets (0.0.0.0 = per listener advertise) */
    uint16_t engines;
    struct policy_dns dns;
    struct guard_policy guard;
    uint8_t n_sites, n_decks;
    struct rights_site sites[RIGHTS_SITES]; /* 0: whose name nobody gave */
    struct span decks[RATES_DECKS];         /* names */
    struct span currency;
    struct caps system;                  /* of the whole installation */
    struct caps class_caps[CLASS_COUNT]; /* of a class of numbers, everybody together */
    uint8_t n_places;
    struct policy_place places[POLICY_PLACES];
    struct fraud_policy fraud;
    struct stir_policy stir;
    struct token_policy tokens;
    uint8_t password_min; /* characters of one that is typed or imported */
    uint16_t password_grace_days;
    struct span breach_list; /* file in the vault's folder; empty: none */
    struct policy_consult {
        bool on, fails_open; /* no answer: the call goes (else it is refused) */
        bool inside;         /* the url's host may have a private address */
        uint8_t peer;        /* POLICY_NONE: by HTTP */
        uint32_t wait_ms;
        struct span url;
    } consult;                  /* who is asked before a call leaves by a trunk */
    struct span service_number; /* dialled to approve a device by one-time code; empty: none */
    uint32_t step_up_s;         /* how long a code counts for calls to the same country */
    struct wall
        spent_unknown; /* since then nobody knows what was spent (of that month); 0: known */
    uint32_t text_n;
    char text[POLICY_TEXT];
};
/* Every index, count and span inside its bounds; what an engine checks before it believes a
 * snapshot. */
MUST_CHECK enum err policy_valid(const struct policy *p, size_t bytes);
static inline struct str policy_text(const struct policy *p, struct span s)
{
    return span_str(str_of(p->text, p->text_n), s);
}
/* The zone of a source on a listener: longest prefix wins; POLICY_NONE if none. */
uint8_t policy_zone_of(const struct policy *p, uint8_t listener, const struct addr *source);
/* The peer whose target has this address (ip; port too when two peers share the ip) in that zone;
 * POLICY_NONE if none. */
uint8_t policy_peer_of(const struct policy *p, uint8_t zone, const struct addr *source);
/* REASON_NONE if a live waiver allows it, waiver_expired if only dead ones do, zone_plaintext /
 * media_plaintext if there is none. */
enum reason policy_waived(const struct policy *p, uint8_t zone, enum waive what, struct wall now);
bool policy_domain(const struct policy *p, struct str host); /* a domain or an own address */
/* Media rules of a leg in that zone over that flow. */
struct media_policy policy_media(const struct policy *p, uint8_t zone, const struct flow *f,
                                 struct wall now);
/* Who calls, and when; peer and role POLICY_NONE if he has none. */
struct policy_caller {
    uint8_t zone, peer, role;
    bool emergency;
    struct wall now;
};
enum route_fit { ROUTE_HOLDS, ROUTE_NOT_NUMBER, ROUTE_NOT_CALLER, ROUTE_NOT_NOW };
enum route_fit policy_route_fit(const struct policy *p, const struct policy_route *r,
                                const struct policy_caller *by, struct str dialled);
/* First route that holds; NULL if none (deny). No hour refuses an emergency call, and if none that
 * holds leads out, one that is closed now does. */
const struct policy_route *policy_route(const struct policy *p, const struct policy_caller *by,
                                        struct str dialled);
/* The site of that name; the first if there is none or no name. Never NULL. */
const struct rights_site *policy_site(const struct policy *p, struct str name);
struct dial_plan policy_plan(const struct policy *p, const struct rights_site *s);
/* The role of that name; "user" if there is none. Never NULL. */
const struct policy_role *policy_role_named(const struct policy *p, struct str name);
bool policy_pattern(struct str pattern, struct str dialled);
#endif
