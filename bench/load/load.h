/* rwload: a cheap SIP caller and answerer for measurements. One thread, batched datagrams, no
 * retransmissions of its own: a message that is lost is a call that failed. It reads of a message
 * only what a proxy or a back-to-back agent may have changed. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H
#include "base/out.h"
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define BATCH     64u
#define MSG_CAP   3072u
#define CALLS_CAP (1u << 18) /* calls remembered */
#define KEY_CAP   46u

/* -- util.c -- */
int64_t now_ns(void);     /* monotonic */
int64_t own_cpu_ns(void); /* of this process */
void die(const char *what, const char *which) __attribute__((noreturn));
void addr_arg(const char *text, struct sockaddr_in *ret_a, char ret_text[32]); /* "IP:PORT" */
/* CPU of what is measured: files whose first number is nanoseconds (cpuacct.usage), or "pid:N". */
void cpu_add(const char *file);
int64_t cpu_ns(void);
struct hist { /* microseconds */
    uint64_t n, bucket[200001], max;
};
void hist_add(struct hist *h, int64_t ns);
uint64_t hist_at(const struct hist *h, double share);

/* -- udp.c -- */
struct udp {
    int fd;
    uint32_t n;
    char text[BATCH][MSG_CAP];
    struct iovec iov[BATCH];
    struct mmsghdr hdr[BATCH];
    struct sockaddr_in to[BATCH];
};
struct udp *udp_new(const struct sockaddr_in *at);
int udp_socket(const struct sockaddr_in *at); /* large buffers where the machine allows */
struct out udp_slot(struct udp *u);           /* room for one message; then udp_push */
void udp_push(struct udp *u, const struct out *o, const struct sockaddr_in *to);
void udp_flush(struct udp *u);
/* f for each datagram that is there, at most a batch. Returns how many. */
typedef void dgram_fn(struct str msg, const struct sockaddr_in *from);
uint32_t udp_drain(struct udp *u, dgram_fn *f);

/* -- text.c -- */
struct msg {
    int code; /* 0: request */
    struct str method, uri;
    struct str via[8], rr[8], chal[6];
    unsigned n_via, n_rr, n_chal;
    struct str from, to, call_id, cseq, contact, body;
    bool proxy_chal;
};
bool msg_read(struct str s, struct msg *ret_m);
struct str between(struct str s, char a, char b); /* text between the first a and b */
struct str param(struct str s, struct str name);  /* name="value" or name=value */
uint32_t number_at(struct str s, int base);       /* leading digits; 0 if none */
size_t frame_bytes(const char *p, size_t n);      /* of a whole message; 0: not whole */
/* Credentials for the best challenge that is known (SHA-256, else MD5). user: u%06u, password
 * pw%06u. */
void put_credentials(struct out *o, const struct msg *challenge, struct str method, struct str uri,
                     uint32_t user, bool proxy);
void put_user(struct out *o, uint32_t user);
void text_init(uint32_t users, const char *domain);
struct sdp_want {
    const char *ip;
    uint16_t port;
    const char *suite; /* NULL: RTP/AVP */
    const uint8_t *key;
    size_t key_n;
};
void put_body(struct out *o, const struct sdp_want *w); /* Content-* lines and body */
/* What a description says: port and address of its first m-line, key of its first crypto line. */
struct sdp_told {
    struct sockaddr_in at;
    uint8_t key[64];
    size_t key_n;
};
bool sdp_read(struct str body, struct sdp_told *ret_t);

/* -- calls.c -- */
enum call_state { CALL_FREE, CALL_TRYING, CALL_ANSWERED, CALL_BYE, CALL_DONE };
struct conn;
struct call {
    uint32_t id;
    uint8_t state; /* enum call_state */
    bool authed;
    uint16_t cseq;
    int64_t t0;
    struct conn *conn;
    char to[160], target[224], route[256];
};
enum mode { MODE_CALL, MODE_REG, MODE_RTP, MODE_CONN, MODE_HOSTILE, MODE_FLOOD };
struct load {
    enum mode mode;
    struct sockaddr_in gw, uac, uas;
    char gw_s[32], uac_s[32], uas_s[32], domain[64];
    struct udp *a, *b;
    uint32_t users, first_user, hold_ms;
    bool tls, per_call; /* a connection of its own for each call */
    const char *suite;  /* of the caller's leg */
    size_t key_n;
    bool measuring;
    uint64_t started, ok, fail, ok_measured, refused, last_code;
    struct call *calls;
    struct hist answer; /* INVITE to 200 */
    int64_t heard, gap; /* when the gateway last sent anything; longest silence while measuring */
    /* RTP mode: per call, caller's and answerer's leg */
    uint16_t rtp_port[2];
    struct media_call *media;
};
struct media_call {
    struct sdp_told told[2];
    uint8_t key[2][KEY_CAP];
};
extern struct load L;
void call_start(void);
void call_bye(struct call *c);
void byes_due(int64_t now);
void on_caller(struct str s, const struct sockaddr_in *from);
void on_answerer(struct str s, const struct sockaddr_in *from);

/* -- tls.c: client connections -- */
void conns_init(void);
struct conn *conn_open(struct call *owner);
void conn_send(struct conn *c, struct str s);
void conn_close(struct conn *c);
void conns_turn(void);
uint32_t conns_up(void);
bool conn_local(const struct conn *c, char ret_text[32]);

/* -- hostile.c -- */
struct span_s {
    double warm, seconds;
};
void run_hostile(const char *kind, double rate, const struct span_s *s);
void run_flood(const char *kind, double rate, const struct span_s *s);

/* -- rtp.c -- */
struct rtp_result {
    uint64_t sent, got, bad, twice;
    double seconds, server_ns, core, gen;
};
void rtp_init(void);
void rtp_run(uint32_t n, double rate, double seconds, double warm, unsigned burst);
#endif
