/* What Ringwall itself says to a leg that is paired with no other, and hears of it: tones instead
 * of what another leg would send, a packet for each that comes, and the digits that are pressed. */
#ifndef MEDIA_VOICE_H
#define MEDIA_VOICE_H
#include "media/leg.h"
#include "wire/rtp/event.h"

#define VOICE_NOTES 8u
struct voice_note {
    uint16_t hz, ms; /* hz 0: silence */
};
/* From now on; a leg that is paired is silent and deaf until it is alone again. who: told with each
 * digit. event_pt: payload type of telephone-event, 0xff for none. */
void media_voice_on(struct media *m, struct media_leg *l, uint64_t who, uint8_t event_pt);
void media_voice_off(struct media_leg *l);
/* One after the other, instead of what was being said. n <= VOICE_NOTES. */
void media_voice_say(struct media_leg *l, const struct voice_note *notes, unsigned n);
/* Digits pressed since the last call. At most cap, the rest is lost. */
#define MEDIA_DIGITS 32u
struct media_digit {
    uint64_t who;
    char digit;
};
size_t media_digits(struct media *m, struct media_digit *ret, size_t cap);

/* --- for the rooms of this floor --- */
struct voice {
    bool on;
    uint8_t event_pt, n, at;
    uint16_t seq;
    uint32_t ts, ssrc, left; /* samples of the note */
    uint64_t who;
    uint32_t phase, step; /* of the tone: of 2^32 a turn */
    struct rtp_ear ear;
    struct voice_note notes[VOICE_NOTES];
};
#endif
