/* The shield's part of the configuration: flat and pointer-free, inside struct policy. */
#ifndef GUARD_POLICY_H
#define GUARD_POLICY_H
#include "base/addr.h"
#include "base/str.h"

enum entity { ENTITY_SOURCE, ENTITY_AOR, ENTITY_DEVICE, ENTITY_NUMBER, ENTITY_ALL, ENTITY_COUNT };
enum detector {
#define D(name, entity, text) DET_##name,
#include "guard/detectors.def"
#undef D
    DET_COUNT
};
/* What is done about somebody, from mild to hard. */
enum treat {
    TREAT_LOG,       /* an alert, nothing else */
    TREAT_WEIGH,     /* board only: a feed's word, counts towards the score */
    TREAT_CHALLENGE, /* not believed by address or connection: every request proves itself anew */
    TREAT_TARPIT,    /* answers come late */
    TREAT_REFUSE,    /* 403, the same for all */
    TREAT_DROP,      /* no answer */
    TREAT_LOCK,      /* AOR: no credentials help until released or expired */
    TREAT_BAN,       /* source: dropped, in the kernel where possible */
    TREAT_KICK,      /* its running call ends, besides */
    TREAT_COUNT
};
const char *entity_name(enum entity e); /* "source" ... */
const char *treat_name(enum treat t);   /* "log" "challenge" ... */
enum treat treat_by_name(struct str s); /* TREAT_COUNT if unknown */
const char *detector_name(enum detector d);
const char *detector_text(enum detector d);
enum entity detector_entity(enum detector d);
enum detector detector_by_name(struct str s); /* DET_COUNT if unknown */

#define GUARD_INTERFACES 8u
#define GUARD_EXEMPT     64u
#define GUARD_DECOYS     32u
#define GUARD_FEEDS      16u
#define GUARD_RULE_FILES 16u
#define GUARD_STEPS      6u
#define ACCESS_RULES     16u

/* One line of a zone's access list. What is left out fits all. */
struct access_rule {
    bool allow;
    bool by_prefix;
    struct prefix net;
    uint16_t country; /* two letters; 0: any */
    uint8_t protos;   /* bit per enum sip_proto; 0: any */
};
enum kernel_choice { KERNEL_AUTO, KERNEL_XDP, KERNEL_NFT, KERNEL_NONE };
struct guard_feed {
    struct span name, url, file; /* one of url and file */
    bool json;                   /* else plain text */
    bool ban;                    /* its word alone bans */
    uint8_t weight;              /* else it adds so much to the score */
    bool inside;                 /* its url may lead to private and loopback addresses */
    bool plain;                  /* its url may be http beyond loopback */
    struct span ca;              /* PEM file that its server is verified by; empty: the system's */
    uint32_t refresh_s, expires_s;
};
struct guard_step { /* from that score on */
    uint16_t score;
    uint8_t treat; /* enum treat */
};
struct guard_detector { /* 0: what the detector itself says */
    uint8_t off;
    uint8_t treat; /* 0 (LOG): by score; else at once, when it fires */
    uint16_t weight;
    uint32_t threshold, window_s;
};
struct guard_policy {
    bool dry_run;
    uint8_t kernel; /* enum kernel_choice */
    uint8_t n_interfaces, n_exempt, n_decoys, n_feeds, n_rule_files, n_steps;
    struct span interfaces[GUARD_INTERFACES];
    struct prefix exempt[GUARD_EXEMPT]; /* nothing bans these */
    struct span decoys[GUARD_DECOYS];   /* user parts or numbers */
    struct guard_feed feeds[GUARD_FEEDS];
    struct span rule_files[GUARD_RULE_FILES];
    struct span geo; /* MMDB file */
    struct guard_step steps[GUARD_STEPS];
    struct guard_detector detectors[DET_COUNT];
    uint32_t half_life_s; /* of a score */
    uint32_t ban_s, ban_max_s,
        spoof_s;                      /* first ban, longest, and with evidence that can be forged */
    uint32_t escalate_s;              /* a ban within so long of the last lasts twice as long */
    uint32_t source_rate, known_rate; /* datagrams or messages a second before parsing */
    uint32_t aor_rate, device_rate;   /* requests a minute after the identity is known */
    uint32_t trunk_rate;              /* requests a minute of a peer */
    uint32_t tarpit_ms;
};
/* Of an untouched configuration. */
void guard_policy_default(struct guard_policy *p);
#endif
