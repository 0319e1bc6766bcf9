/* Scores: points that halve every half_life_s. */
#include "guard/guard_int.h"

#define SCORE_MAX (1000u << 8)
#define HEAT_ONE  16u /* of an observation that matched: 1/16 point, for eviction only */

/* v after the time since *at, which moves by what was accounted for: sixteenths of a half-life. */
uint32_t score_decay(uint32_t v, uint32_t *at, uint32_t half, uint32_t now)
{
    static const uint32_t SIXTEENTH[16] = {65536, 62757, 60097, 57549, 55109, 52773, 50535, 48393,
                                           46341, 44376, 42495, 40693, 38968, 37316, 35734, 34219};
    uint64_t steps = (uint64_t)(now - *at) * 16 / half;
    if (!steps)
        return v;
    *at += (uint32_t)(steps * half / 16);
    return steps >= 16 * 32 ? 0
                            : (uint32_t)((uint64_t)v * SIXTEENTH[steps % 16] >> 16 >> steps / 16);
}

uint32_t slot_score(const struct guard *g, const struct slot *s, uint32_t now)
{
    uint32_t at = s->score_at;
    return (score_decay(s->score, &at, half_life(g), now) + 128) >> 8;
}

void slot_add(struct guard *g, struct slot *s, uint32_t points, uint32_t now)
{
    uint32_t at = s->score_at;
    s->heat = score_decay(s->heat, &at, half_life(g), now);
    s->score = score_decay(s->score, &s->score_at, half_life(g), now);
    s->score = MIN(s->score + (MIN(points, 1000u) << 8), SCORE_MAX);
    s->heat = MIN(s->heat + HEAT_ONE, SCORE_MAX);
    s->at = now;
}
