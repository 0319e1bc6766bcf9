/* ringwall-selftest: proves a running gateway with one secured call. A caller over TLS and SRTP and
 * a callee that plays the plain PBX of the configuration, both in this program; audio both ways,
 * told by frequency. One line a stage. It makes a user for itself and removes it. Single thread,
 * blocking with time limits. */
#ifndef APP_SELFTEST_SELFTEST_H
#define APP_SELFTEST_SELFTEST_H
#include "app/config/config.h"
#include "base/rng.h"
#include "crypto/tls.h"
#include "io/sock.h"
#include "media/srtp.h"
#include "media/tone.h"
#include "wire/sip/frame.h"

#define ST_MSG      8192u
#define ST_FRAME_MS 20
#define ST_TONE_A   440u  /* what the caller says */
#define ST_TONE_B   1000u /* what the PBX says */

struct audio { /* one end's media */
    int fd;
    struct addr peer;     /* where to send; family none: nowhere yet */
    struct srtp *tx, *rx; /* NULL: plain RTP */
    struct tone tone;
    uint32_t ssrc, ts, sent, got, bad; /* bad: packets that did not verify or were no RTP */
    uint16_t seq;
    uint8_t heard[8000]; /* the first second, A-law */
    uint32_t n_heard;
};
MUST_CHECK enum err audio_open(struct audio *a, const struct addr *local, uint32_t hz,
                               struct rng *rng);
void audio_close(struct audio *a);
void audio_send(struct audio *a);
void audio_receive(struct audio *a);
/* Share of what was heard that is a tone of hz, in percent. */
unsigned audio_share(const struct audio *a, uint32_t hz);

struct st {
    const char *state;
    struct config cfg;
    struct rng rng;
    bool json, verbose;
    unsigned stages, failed;
    char user[40], password[80], domain[128];
    /* caller */
    int tls_fd;
    struct tls_ctx *ctx;
    struct tls *tls;
    struct addr tls_local;
    uint8_t in[2 * ST_MSG];
    size_t in_n;
    struct sip_frame_scan scan;
    char msg_text[ST_MSG];
    struct sip_msg msg; /* newest message to the caller; points into msg_text */
    /* PBX */
    int pbx_fd;
    struct addr pbx_addr;
    char pbx_text[ST_MSG];
    size_t pbx_n; /* the INVITE as the PBX got it; 0: none yet */
    bool pbx_acked, pbx_byed;
    struct audio a, b;
    int64_t next_frame_us; /* 0: no audio now */
};
/* caller.c */
MUST_CHECK enum err caller_connect(struct st *s, const struct addr *to, struct str ca);
MUST_CHECK enum err caller_send(struct st *s, struct str bytes);
/* Serves both ends until the caller has a message (true, s->msg) or ms have passed. */
bool serve(struct st *s, int ms);
void caller_close(struct st *s);
/* pbx.c */
MUST_CHECK enum err pbx_open(struct st *s, const struct addr *at);
void pbx_event(struct st *s);
#endif
