#include "base/test.h"
#include "media/rig.h"
#include "media/tone.h"
#include "media/voice.h"

#define OFFER                                                                                      \
    "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"                  \
    "m=audio 5004 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"

static struct rig rig;
static uint8_t room[PKT_MAX];

static void leg_alone(void)
{
    struct media_policy p = rig_policy(false, true, false, false);
    struct out o = out_of(rig.to_a, MEDIA_SDP_MAX);
    rig_open(&rig, 4, 4);
    rig.a = media_leg_open(rig.m, &p, 1);
    assert_int_equal(media_offer_in(rig.m, rig.a, STR(OFFER)), REASON_NONE);
    assert_int_equal(media_answer_out(rig.m, rig.a, STR(OFFER), rig.now, &o), REASON_NONE);
    rig.said_a = out_str(&o);
    rig.m->streams[1].gap_us = 0;
}

static struct pkt from_a(size_t bytes)
{
    return (struct pkt){.data = room,
                        .len = (uint16_t)bytes,
                        .port = rig_port(rig.said_a),
                        .peer = rig_addr("192.0.2.10", 5004)};
}

static uint16_t speak(uint16_t seq)
{
    struct pkt pk = from_a(rig_rtp(room, 7, seq, 160));
    return rig_turn(&rig, &pk);
}

static void press(uint8_t code, uint32_t ts, bool end)
{
    struct rtp h = {.ssrc = 7, .seq = 1, .ts = ts, .pt = 101};
    rtp_put(room, &h);
    const uint8_t event[4] = {code, (uint8_t)(end ? 0x8a : 0x0a), 3, 0x20};
    memcpy(room + 12, event, sizeof event);
    struct pkt pk = from_a(16);
    assert_int_equal(rig_turn(&rig, &pk), 0);
}

static void a_packet_is_answered_by_a_tone(void **state)
{
    (void)state;
    leg_alone();
    assert_int_equal(speak(1), 0); /* nobody there yet */
    media_voice_on(rig.m, rig.a, 77, 101);
    assert_int_equal(speak(2), 172);
    assert_true(tone_share(G711_ALAW, room + 12, 160, 800) < 0.1);
    static const struct voice_note two[] = {{800, 40}, {0, 20}};
    media_voice_say(rig.a, two, 2);
    assert_int_equal(speak(3), 172);
    assert_true(tone_share(G711_ALAW, room + 12, 160, 800) > 0.9);
    struct rtp h, next;
    assert_ok(rtp_parse(room, 172, &h));
    assert_int_equal(speak(4), 172);
    assert_true(tone_share(G711_ALAW, room + 12, 160, 800) > 0.9);
    assert_ok(rtp_parse(room, 172, &next));
    assert_int_equal((uint16_t)(next.seq - h.seq), 1);
    assert_int_equal(next.ts - h.ts, 160);
    assert_int_equal(next.ssrc, h.ssrc);
    assert_int_not_equal(h.ssrc, 7);
    assert_int_equal(speak(5), 172);
    assert_true(tone_share(G711_ALAW, room + 12, 160, 800) < 0.1);
    media_voice_off(rig.a);
    assert_int_equal(speak(6), 0);
    rig_close(&rig);
}

static void digits_are_heard_once(void **state)
{
    (void)state;
    struct media_digit d[MEDIA_DIGITS];
    leg_alone();

    media_voice_on(rig.m, rig.a, 77, 101);
    for (int i = 0; i < 3; i++)
        press(4, 1600, i > 0);
    press(2, 3200, true);
    assert_int_equal(media_digits(rig.m, d, MEDIA_DIGITS), 2);
    assert_true(d[0].who == 77 && d[0].digit == '4' && d[1].digit == '2');
    assert_int_equal(media_digits(rig.m, d, MEDIA_DIGITS), 0);
    for (uint32_t i = 0; i < MEDIA_DIGITS + 8; i++)
        press(1, 10000 + i * 800, true);
    assert_int_equal(media_digits(rig.m, d, MEDIA_DIGITS), MEDIA_DIGITS);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_packet_is_answered_by_a_tone),
                                       cmocka_unit_test(digits_are_heard_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
