/* What the files of the kernel's shield share: shield.c (choice, queue, status), shield_xdp.c,
 * shield_nft.c, shield_net.c (whose interfaces and addresses). */
#ifndef APP_MONITOR_SHIELD_IN_H
#define APP_MONITOR_SHIELD_IN_H
#include "app/monitor/shield.h"
#include "io/nft.h"
#include "io/xdp.h"

#define SHIELD_LOCALS (POLICY_LISTENERS * 2u + 1u)
#define SHIELD_EXEMPT (GUARD_EXEMPT + POLICY_PEERS * (LOCATE_ENTRIES + TARGETS_PAST))
#define SHIELD_HITS   1024u

/* The policy as the kernel is told it. */
struct shield_plan {
    char interface[XDP_INTERFACES][XDP_NAME];
    unsigned n_interfaces, n_locals, n_exempt;
    bool any_local, loopback_only, dry;
    struct addr local[SHIELD_LOCALS];
    struct prefix exempt[SHIELD_EXEMPT];
    uint16_t media_min, media_max;
    uint32_t rate; /* datagrams and connections a second of one source; burst twice that */
    uint32_t sip_max;
    uint8_t sip[65536]; /* enum xdp_port by port */
};
struct shield_job {
    bool add;
    struct prefix net;
    struct wall until;
};
struct shield_hit {
    struct prefix net;
    uint64_t n;
};
struct shield {
    enum force force;
    uint8_t choice;  /* enum kernel_choice, of the start */
    char why[320];   /* why not better; "": it is the best */
    char tested[96]; /* what the self-test found; "": none was made */
    bool pinned, taken_over, told_full, told_mute;
    char pins[64];
    struct shield_plan plan;
    struct xdp *xdp;
    bool native[XDP_INTERFACES]; /* by plan.interface */
    struct nft_run nft;
    int nft_watch;        /* process descriptor in the loop, or -1 */
    bool nft_reads;       /* the run at work reads; else it writes batch jobs */
    unsigned nft_batch;   /* jobs in it */
    unsigned nft_most;    /* of the next: halved when one is refused */
    unsigned nft_reading; /* what is read next, or now */
    struct instant nft_listed;
    struct dur nft_pause; /* between two lists of the sets */
    char *nft_text;
    struct shield_job *job; /* ring of jobs that wait: at..at + n */
    size_t cap, at, n;
    unsigned at_once; /* XDP: done without waiting since the last turn */
    uint64_t refused; /* bans that the kernel did not take */
    int wake;         /* eventfd: jobs are left for the next turn */
    bool awake;
    uint32_t peers_seen; /* state of the board of peers' addresses that exempt is of */
    bool exempt_new;     /* nf_tables: to be told */
    uint64_t count[XDP_COUNTS], reads; /* counters as last read, and how often */
    struct instant counted, opened;
    bool swept;
    struct shield_hit hit[SHIELD_HITS]; /* nf_tables: as last read */
    size_t n_hits;
};
#define SHIELD_BATCH   4096u /* jobs a turn */
#define NFT_TEXT       (1u << 20)
#define SHIELD_SETTLED DUR_S(15) /* by then bans of before have been put again */

/* shield_net.c */
void shield_plan(const struct monitor *m, struct shield_plan *ret_p);
/* Only who is exempt: prefixes of the configuration, and peers' addresses as they are now. */
void shield_plan_exempt(const struct monitor *m, struct shield_plan *p);
/* shield_xdp.c. False: not in force, why says so. */
bool shield_xdp_open(struct monitor *m, struct shield *s, struct out *why);
void shield_xdp_policy(struct monitor *m, struct shield *s, const struct shield_plan *old);
void shield_xdp_exempt(struct monitor *m, struct shield *s);
void shield_xdp_do(struct monitor *m, struct shield *s, const struct shield_job *j);
void shield_xdp_turn(struct monitor *m, struct shield *s);
/* shield_nft.c */
bool shield_nft_open(struct monitor *m, struct shield *s, struct out *why);
void shield_nft_policy(struct monitor *m, struct shield *s);
void shield_nft_turn(struct monitor *m, struct shield *s);
void shield_nft_close(struct monitor *m, struct shield *s);
#endif
