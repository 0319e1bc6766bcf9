/* Sounds for self-tests: G.711 both ways (ITU-T G.711 tables made by rule), a sine and a detector.
 * Not on the packet path. */
#ifndef MEDIA_TONE_H
#define MEDIA_TONE_H
#include "base/cc.h"

#define TONE_RATE_HZ 8000u
#define TONE_FRAME   160u                   /* samples of 20 ms */
enum g711 { G711_ULAW = 0, G711_ALAW = 8 }; /* payload types */

uint8_t g711_encode(enum g711 law, int16_t sample);
int16_t g711_decode(enum g711 law, uint8_t byte);

struct tone {
    uint32_t phase, step; /* of 2^32 a turn */
    int16_t peak;
};
void tone_init(struct tone *t, uint32_t hz, int16_t peak); /* hz < 4000 */
void tone_frame(struct tone *t, enum g711 law, uint8_t *ret_bytes, size_t n);

/* Goertzel: the share of the signal's energy at hz, 0 to 1; at least 160 samples for a resolution
 * of 50 Hz. */
double tone_share(enum g711 law, const uint8_t *bytes, size_t n, uint32_t hz);
#endif
