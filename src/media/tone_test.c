#include "base/test.h"
#include "media/tone.h"

static void g711_both_ways(void **state)
{
    (void)state;
    for (int law = 0; law <= 8; law += 8)
        for (int v = -32768; v <= 32767; v += 7) {
            uint8_t b = g711_encode((enum g711)law, (int16_t)v);
            int back = g711_decode((enum g711)law, b), off = back > v ? back - v : v - back;
            assert_true(off <= 16 + (v < 0 ? -v : v) / 16); /* a quarter of a segment's step */
            assert_int_equal(g711_encode((enum g711)law, (int16_t)back) | (law ? 0 : 0x80),
                             b | (law ? 0 : 0x80));
        }
    assert_int_equal(g711_encode(G711_ALAW, 0), 0xd5); /* silence as the ITU's tables have it */
    assert_int_equal(g711_encode(G711_ULAW, 0), 0xff);
}

static void a_tone_is_found_at_its_frequency_only(void **state)
{
    (void)state;
    uint8_t heard[1600];
    struct tone t;
    tone_init(&t, 1000, 12000);
    for (size_t i = 0; i < sizeof heard; i += TONE_FRAME)
        tone_frame(&t, G711_ALAW, heard + i, TONE_FRAME);
    assert_true(tone_share(G711_ALAW, heard, sizeof heard, 1000) > 0.95);
    assert_true(tone_share(G711_ALAW, heard, sizeof heard, 440) < 0.02);
    assert_true(tone_share(G711_ALAW, heard, sizeof heard, 1100) < 0.02);
}

static void silence_holds_no_tone(void **state)
{
    (void)state;
    uint8_t heard[800];
    memset(heard, 0xd5, sizeof heard);
    assert_true(tone_share(G711_ALAW, heard, sizeof heard, 1000) < 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(g711_both_ways),
                                       cmocka_unit_test(a_tone_is_found_at_its_frequency_only),
                                       cmocka_unit_test(silence_holds_no_tone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
