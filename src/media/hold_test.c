/* Hold, fax, rates and the lives of keys. */
#include "media/lines_test.h"

/* --- hold --- */

#define HOLD_A(c, line, more)                                                                      \
    "v=0\r\no=alice 1 2 IN IP4 192.0.2.10\r\ns=-\r\nc=IN " c "\r\nt=0 0\r\nm=audio " line          \
    " RTP/AVP 8\r\n" more

static void hold_in_every_spelling(void **state)
{
    (void)state;
    static const struct {
        const char *offer, *told, *answer, *back;
    } rows[] = {
        {HOLD_A("IP4 192.0.2.10", "4000", "a=sendonly\r\n"), "a=sendonly", "a=recvonly\r\n",
         "a=recvonly"},
        {HOLD_A("IP4 192.0.2.10", "4000", "a=inactive\r\n"), "a=inactive", "a=inactive\r\n",
         "a=inactive"},
        {HOLD_A("IP4 192.0.2.10", "4000", "a=recvonly\r\n"), "a=recvonly", "a=sendonly\r\n",
         "a=sendonly"},
        {HOLD_A("IP4 0.0.0.0", "4000", ""), "a=sendonly", "a=recvonly\r\n", "a=recvonly"},
        {HOLD_A("IP4 0.0.0.0", "4000", "a=inactive\r\n"), "a=inactive", "a=inactive\r\n",
         "a=inactive"},
        {HOLD_A("IP4 0.0.0.0", "4000", "a=recvonly\r\n"), "a=inactive", "a=inactive\r\n",
         "a=inactive"},
        {HOLD_A("IP4 192.0.2.10", "4000", "c=IN IP4 0.0.0.0\r\n"), "a=sendonly", "a=recvonly\r\n",
         "a=recvonly"},
        {HOLD_A("IP6 ::", "4000", ""), "a=sendonly", "a=recvonly\r\n", "a=recvonly"},
        /* Bob knows only the old way, or neither. */
        {HOLD_A("IP4 192.0.2.10", "4000", "a=sendonly\r\n"), "a=sendonly",
         "c=IN IP4 0.0.0.0\r\na=recvonly\r\n", "a=inactive"},
        {HOLD_A("IP4 192.0.2.10", "4000", "a=sendonly\r\n"), "a=sendonly", "", "a=sendrecv"},
        {"v=0\r\no=alice 1 2 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
         "a=sendonly\r\nm=audio 4000 RTP/AVP 8\r\n",
         "a=sendonly", "a=recvonly\r\n", "a=recvonly"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[512];
        struct out o = out_of(text, sizeof text);
        struct media_view v;
        legs(0, NULL, 0, NULL);
        call(AUDIO_A, AUDIO_B);
        r.now.us += 3600 * INT64_C(1000000);
        assert_int_equal(media_silent_since(r.a, r.b).us, 0);
        assert_why(rig_offer(&r, true, str_c(rows[i].offer)), REASON_NONE);
        assert_has(r.said_b, rows[i].told);
        assert_has(r.said_b, " 2 IN IP4 203.0.113.1\r\n");
        assert_has(r.said_b, "c=IN IP4 203.0.113.1\r\n");
        OUT_LIT(&o, AUDIO_B);
        out_put(&o, str_c(rows[i].answer));
        assert_why(rig_answer(&r, true, out_str(&o)), REASON_NONE);
        assert_has(r.said_a, rows[i].back);
        assert_true(media_leg_view(r.a, 0, &v) && v.held);
        assert_true(media_silent_since(r.a, r.b).us == INT64_MAX / 2);
        /* Resumed, by bob this time. */
        assert_why(rig_offer(&r, false, STR(AUDIO_B)), REASON_NONE);
        assert_has(r.said_a, "a=sendrecv");
        assert_why(rig_answer(&r, false, STR(AUDIO_A)), REASON_NONE);
        assert_has(r.said_b, "a=sendrecv");
        assert_has(r.said_b, " 3 IN IP4 203.0.113.1\r\n");
        assert_true(media_leg_view(r.a, 0, &v) && !v.held);
        assert_true(media_leg_view(r.b, 0, &v) && !v.held);
        assert_int_equal(media_silent_since(r.a, r.b).us, r.now.us);
        assert_true(rtp_from_a(4000, 1));
        rig_close(&r);
    }
}

static void both_hold_and_resume_one_after_the_other(void **state)
{
    (void)state;
    struct media_view v;
    legs(0, NULL, 0, NULL);
    call(AUDIO_A, AUDIO_B);
    call(AUDIO_A "a=sendonly\r\n", AUDIO_B "a=recvonly\r\n");
    assert_why(rig_offer(&r, false, STR(AUDIO_B "a=inactive\r\n")), REASON_NONE);
    assert_has(r.said_a, "a=inactive");
    assert_why(rig_answer(&r, false, STR(AUDIO_A "a=inactive\r\n")), REASON_NONE);
    call(AUDIO_A, AUDIO_B "a=sendonly\r\n"); /* alice is back, bob still holds */
    assert_has(r.said_a, "a=sendonly");
    assert_true(media_leg_view(r.b, 0, &v) && v.held);
    assert_why(rig_offer(&r, false, STR(AUDIO_B)), REASON_NONE);
    assert_why(rig_answer(&r, false, STR(AUDIO_A)), REASON_NONE);
    assert_true(media_leg_view(r.a, 0, &v) && !v.held);
    assert_true(media_leg_view(r.b, 0, &v) && !v.held);
    rig_close(&r);
}

static void music_on_hold_passes_and_nothing_goes_back(void **state)
{
    (void)state;
    legs(0, NULL, 0, NULL);
    call(AUDIO_A, AUDIO_B);
    assert_true(rtp_from_a(4000, 1));
    call(HOLD_A("IP4 0.0.0.0", "4000", ""), AUDIO_B "a=recvonly\r\n");
    assert_true(rtp_from_a(4000, 2));
    assert_int_equal(sent("198.51.100.20", 5000, port_of(r.said_b, 0), rig_rtp(buf, 9, 1, 160)), 0);
    assert_int_equal(hits(REASON_rtp_no_route), 1);
    assert_int_equal(sent("203.0.113.66", 4000, port_of(r.said_a, 0), rig_rtp(buf, 7, 3, 160)), 0);
    call(AUDIO_A, AUDIO_B);
    assert_true(sent("198.51.100.20", 5000, port_of(r.said_b, 0), rig_rtp(buf, 9, 2, 160)) > 0);
    assert_true(rtp_from_a(4000, 4));
    rig_close(&r);
}

static void port_zero_is_a_hold_too(void **state)
{
    (void)state;
    struct media_view v;
    legs(0, NULL, 0, NULL);
    call(AUDIO_A, AUDIO_B);
    call(HOLD_A("IP4 192.0.2.10", "0", ""), V_B "m=audio 0 RTP/AVP 8\r\n");
    assert_false(media_leg_view(r.a, 0, &v));
    assert_true(media_silent_since(r.a, r.b).us == INT64_MAX / 2);
    assert_false(media_one_way(r.a, r.b, r.now));
    assert_int_equal(media_usage(r.m).ports_taken, 0);
    call(AUDIO_A, AUDIO_B);
    assert_true(rtp_from_a(4000, 1));
    assert_true(media_silent_since(r.a, r.b).us == r.now.us);
    rig_close(&r);
}

/* A call of two lines is at rest when both are on hold, by whomever; a line that is not has to
 * bring packets, the second as the first. Packets over any line break the silence. */
static void silence_is_judged_by_all_lines(void **state)
{
    (void)state;
    static const struct {
        const char *a1, *a2, *b1, *b2; /* alice's offer, bob's answer */
        bool rest;
    } rows[] = {{"sendrecv", "sendrecv", "sendrecv", "sendrecv", false},
                {"sendonly", "sendrecv", "recvonly", "sendrecv", false},
                {"sendrecv", "sendonly", "sendrecv", "recvonly", false},
                {"inactive", "sendrecv", "inactive", "sendrecv", false},
                {"sendonly", "sendonly", "recvonly", "recvonly", true},
                {"inactive", "inactive", "inactive", "inactive", true},
                {"inactive", "sendonly", "inactive", "recvonly", true}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char a[512], b[512];
        legs(LINE_AUDIO | LINE_VIDEO, NULL, LINE_AUDIO | LINE_VIDEO, NULL);
        call(AUDIO_A "m=video 4010 RTP/AVP 31\r\n", AUDIO_B "m=video 5010 RTP/AVP 31\r\n");
        assert_int_equal(media_silent_since(r.a, r.b).us, 0);
        assert_true(rtp_from_a(4010, 1));
        assert_int_equal(media_silent_since(r.a, r.b).us, r.now.us);
        int64_t last = r.now.us;
        r.now.us += 7000000;
        (void)snprintf(a, sizeof a, AUDIO_A "a=%s\r\nm=video 4010 RTP/AVP 31\r\na=%s\r\n",
                       rows[i].a1, rows[i].a2);
        (void)snprintf(b, sizeof b, AUDIO_B "a=%s\r\nm=video 5010 RTP/AVP 31\r\na=%s\r\n",
                       rows[i].b1, rows[i].b2);
        call(a, b);
        int64_t want = rows[i].rest ? INT64_MAX / 2 : last;
        assert_true(media_silent_since(r.a, r.b).us == want);
        assert_true(media_silent_since(r.b, r.a).us == want);
        /* The hold ends: silence is counted from then on, not from the last packet before it. */
        r.now.us += 9000000;
        call(AUDIO_A "m=video 4010 RTP/AVP 31\r\n", AUDIO_B "m=video 5010 RTP/AVP 31\r\n");
        assert_true(media_silent_since(r.a, r.b).us == (i == 0 ? last : r.now.us));
        r.now.us += 1000000;
        assert_true(rtp_from_a(4000, 2));
        assert_int_equal(media_silent_since(r.a, r.b).us, r.now.us);
        rig_close(&r);
    }
    /* Alice holds the one, bob the other; then the second is given up. */
    legs(LINE_AUDIO | LINE_VIDEO, NULL, LINE_AUDIO | LINE_VIDEO, NULL);
    call(AUDIO_A "a=sendonly\r\nm=video 4010 RTP/AVP 31\r\n",
         AUDIO_B "a=recvonly\r\nm=video 5010 RTP/AVP 31\r\n");
    assert_int_equal(media_silent_since(r.a, r.b).us, 0);
    assert_why(rig_offer(&r, false,
                         STR(AUDIO_B "a=recvonly\r\nm=video 5010 RTP/AVP 31\r\na=sendonly\r\n")),
               REASON_NONE);
    assert_why(rig_answer(&r, false,
                          STR(AUDIO_A "a=sendonly\r\nm=video 4010 RTP/AVP 31\r\na=recvonly\r\n")),
               REASON_NONE);
    assert_true(media_silent_since(r.a, r.b).us == INT64_MAX / 2);
    call(AUDIO_A "a=sendonly\r\nm=video 0 RTP/AVP 31\r\n",
         AUDIO_B "a=recvonly\r\nm=video 0 RTP/AVP 31\r\n");
    assert_true(media_silent_since(r.a, r.b).us == INT64_MAX / 2);
    rig_close(&r);
}

static void one_way_knows_hold(void **state)
{
    (void)state;
    legs(0, NULL, 0, NULL);
    call(AUDIO_A, AUDIO_B);
    uint16_t seq = 0, to_b = port_of(r.said_b, 0);
    for (unsigned i = 0; i < 300; i++, r.now.us += 20000) {
        assert_true(rtp_from_a(4000, ++seq));
        assert_true(sent("198.51.100.20", 5000, to_b, rig_rtp(buf, 9, seq, 160)) > 0);
    }
    call(AUDIO_A "a=sendonly\r\n", AUDIO_B "a=recvonly\r\n");
    for (unsigned i = 0; i < 1000; i++, r.now.us += 20000) {
        assert_true(rtp_from_a(4000, ++seq)); /* music */
        assert_false(media_one_way(r.a, r.b, r.now));
    }
    call(AUDIO_A, AUDIO_B);
    for (unsigned i = 0; i < 300; i++, r.now.us += 20000) {
        assert_true(rtp_from_a(4000, ++seq));
        assert_int_equal(media_one_way(r.a, r.b, r.now), i >= 250);
    }
    rig_close(&r);
}

/* --- T.38 --- */

static void fax_datagrams_cross(void **state)
{
    (void)state;
    legs(ALL, "pcma", ALL, "pcma"); /* the list is of RTP's encodings */
    call(V_A "m=image 4000 " FAX "a=T38FaxUdpEC:t38UDPRedundancy\r\na=T38VendorInfo:0 0 37\r\n"
             "a=T38FaxRateManagement:transferredTCF 192.0.2.10\r\na=ptime:20\r\n",
         V_B "m=image 5000 udptl t38\r\na=T38FaxFillBitRemoval\r\n");
    assert_has(r.said_b, " udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n"
                         "a=T38FaxUdpEC:t38UDPRedundancy\r\n");
    assert_lacks(r.said_b, "rtcp");
    assert_lacks(r.said_b, "Vendor");
    assert_lacks(r.said_b, "192.0.2.10");
    assert_lacks(r.said_b, "ptime");
    assert_has(r.said_a, " udptl t38\r\na=T38FaxFillBitRemoval\r\n");
    uint16_t to_a = port_of(r.said_a, 0), to_b = port_of(r.said_b, 0);
    static const size_t lens[] = {1, 2, 3, 60, 1400, 1401, PKT_MAX};
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        memset(buf, (int)i, sizeof buf);
        assert_int_equal(sent("192.0.2.10", 4000, to_a, lens[i]) > 0,
                         lens[i] >= 3 && lens[i] <= 1400);
        assert_int_equal(buf[2], i);
    }
    assert_true(sent("198.51.100.20", 5000, to_b, 60) == 60);
    assert_int_equal(sent("203.0.113.66", 4000, to_a, 60), 0);
    assert_int_equal(sent("192.0.2.10", 4002, to_a, 60), 0);
    assert_int_equal(hits(REASON_rtp_source), 2);
    assert_int_equal(sent("192.0.2.10", 4001, (uint16_t)(to_a + 1), 60), 0); /* no RTCP */
    assert_int_equal(hits(REASON_rtp_no_session), 1);
    struct media_view v;
    assert_true(media_leg_view(r.a, 0, &v));
    assert_int_equal(v.in.packets, 3);
    assert_int_equal(v.in.octets, 1463);
    assert_string_equal(v.codec, "t38");
    assert_string_equal(v.kind, "image");
    assert_int_equal(v.in.lost, 0);
    r.now.us += 6000000;
    assert_true(sent("192.0.2.10", 4000, to_a, 60) > 0);
    assert_false(media_one_way(r.a, r.b, r.now));
    rig_close(&r);
}

static void fax_needs_kind_and_waiver_on_both_legs(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        bool kind_a = i & 1, kind_b = i & 2, plain_a = i & 4, plain_b = i & 8;
        struct media_policy a = rig_policy(true, false, true, false), b = a;
        a.kinds = kind_a ? ALL : LINE_AUDIO;
        b.kinds = kind_b ? ALL : LINE_AUDIO;
        a.t38_plain = plain_a;
        b.t38_plain = plain_b;
        rig_open(&r, 8, 64);
        r.a = media_leg_open(r.m, &a, 1);
        r.b = media_leg_open(r.m, &b, 1);
        enum reason got = rig_offer(&r, true, STR(V_A "m=image 4000 " FAX));
        enum reason want = i == 15              ? REASON_NONE
                           : kind_a && !plain_a ? REASON_media_plaintext
                                                : REASON_media_not_acceptable;
        assert_why(got, want);
        if (i == 15)
            assert_lacks(r.said_b, "crypto");
        if (kind_a && plain_a && kind_b && !plain_b)
            assert_int_equal(hits(REASON_media_plaintext), 1);
        rig_close(&r);
    }
}

static void a_call_becomes_a_fax_and_a_call_again(void **state)
{
    (void)state;
    struct media_view v;
    legs(ALL, NULL, ALL, NULL);
    call(AUDIO_A, AUDIO_B);
    uint16_t to_a = port_of(r.said_a, 0), to_b = port_of(r.said_b, 0);
    assert_true(rtp_from_a(4000, 1));
    /* Bob's machine asks; alice's refuses first. */
    assert_why(rig_offer(&r, false, STR(V_B "m=image 5000 " FAX)), REASON_NONE);
    assert_true(rtp_from_a(4000, 2));
    media_rollback(r.m, r.a);
    media_rollback(r.m, r.b);
    assert_true(rtp_from_a(4000, 3));
    assert_why(rig_offer(&r, false, STR(V_B "m=image 5000 " FAX)), REASON_NONE);
    assert_why(rig_answer(&r, false, STR(V_A "m=audio 4000 RTP/AVP 8\r\n")),
               REASON_media_answer_bad);
    assert_why(rig_answer(&r, false, STR(V_A "m=image 4000 " FAX)), REASON_NONE);
    assert_int_equal(port_of(r.said_a, 0), to_a);
    memset(buf, 0, 60);
    assert_true(sent("192.0.2.10", 4000, to_a, 60) > 0);
    assert_true(sent("198.51.100.20", 5000, to_b, 60) > 0);
    call(AUDIO_A, AUDIO_B);
    assert_true(rtp_from_a(4000, 4));
    memset(buf, 0, 60);
    assert_int_equal(sent("192.0.2.10", 4000, to_a, 60), 0);
    assert_true(media_leg_view(r.a, 0, &v));
    assert_string_equal(v.codec, "PCMA/8000");
    /* Refused by bob's zone: the call stays what it is. */
    r.b->policy.kinds = LINE_AUDIO;
    assert_why(rig_offer(&r, true, STR(V_A "m=image 4000 " FAX)), REASON_media_not_acceptable);
    media_rollback(r.m, r.a);
    assert_true(rtp_from_a(4000, 5));
    rig_close(&r);
}

/* A fax machine behind NAT: its datagrams must come from where its audio came from. */
static void a_fax_comes_from_where_the_audio_came(void **state)
{
    (void)state;
    struct media_policy a = rig_policy(false, true, false, true);
    a.kinds = ALL;
    rig_open(&r, 8, 64);
    r.a = media_leg_open(r.m, &a, 1);
    r.b = media_leg_open(r.m, &a, 1);
    call("v=0\r\no=a 1 1 IN IP4 10.1.2.3\r\ns=-\r\nc=IN IP4 10.1.2.3\r\nt=0 0\r\n"
         "m=audio 4000 RTP/AVP 8\r\n",
         AUDIO_B);
    uint16_t to_a = port_of(r.said_a, 0);
    assert_true(sent("192.0.2.77", 33000, to_a, rig_rtp(buf, 7, 1, 160)) > 0);
    call("v=0\r\no=a 1 1 IN IP4 10.1.2.3\r\ns=-\r\nc=IN IP4 10.1.2.3\r\nt=0 0\r\n"
         "m=image 4002 " FAX,
         V_B "m=image 5000 " FAX);
    memset(buf, 0, 60);
    assert_int_equal(sent("203.0.113.66", 33000, to_a, 60), 0);
    assert_true(sent("192.0.2.77", 33001, to_a, 60) > 0);
    assert_int_equal(sent("192.0.2.77", 33000, to_a, 60), 0);
    struct pkt pk = {.data = buf,
                     .len = 60,
                     .port = port_of(r.said_b, 0),
                     .peer = rig_addr("198.51.100.20", 5000)};
    assert_true(rig_turn(&r, &pk) > 0);
    assert_int_equal(pk.peer.port, 33001);
    rig_close(&r);
}

/* --- rates --- */

/* Packets that pass of n sent at once. */
static unsigned burst(uint16_t line_port, unsigned n)
{
    unsigned passed = 0;
    static uint16_t seq;
    for (unsigned i = 0; i < n; i++)
        passed += rtp_from_a(line_port, ++seq);
    return passed;
}

static void a_stream_has_its_rate(void **state)
{
    (void)state;
    static const struct {
        const char *offer, *answer;
        unsigned rate;
    } rows[] = {
        {AUDIO_A, AUDIO_B, 100},
        {AUDIO_A "a=ptime:20\r\n", AUDIO_B "a=ptime:60\r\n", 100},
        {AUDIO_A "a=ptime:60\r\n", AUDIO_B "a=ptime:60\r\n", 100},
        {AUDIO_A "a=ptime:10\r\n", AUDIO_B, 200},
        {AUDIO_A, AUDIO_B "a=ptime:10\r\n", 200},
        {AUDIO_A "a=ptime:30\r\n", AUDIO_B "a=ptime:5\r\n", 400},
        {AUDIO_A "a=ptime:2.5\r\n", AUDIO_B, 1000},
        {AUDIO_A "a=ptime:1\r\n", AUDIO_B, 1000},
        {AUDIO_A "a=ptime:0\r\n", AUDIO_B "a=ptime:x\r\n", 100},
        {AUDIO_A "a=ptime:300\r\n", AUDIO_B, 100},
        {V_A "m=video 4000 RTP/AVP 31\r\n", V_B "m=video 5000 RTP/AVP 31\r\n", 2000},
        {V_A "m=text 4000 RTP/AVP 8\r\n", V_B "m=text 5000 RTP/AVP 8\r\n", 100},
        {V_A "m=application 4000 RTP/AVP 8\r\n", V_B "m=application 5000 RTP/AVP 8\r\n", 200},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        legs(ALL, NULL, ALL, NULL);
        r.metered = true;
        call(rows[i].offer, rows[i].answer);
        unsigned rate = rows[i].rate;
        assert_in_range(burst(4000, 3 * rate), rate, rate + 1);
        r.now.us += 500000;
        assert_in_range(burst(4000, 3 * rate), rate / 2 - 1, rate / 2 + 1);
        assert_int_equal(hits(REASON_rtp_rate) > 0, 1);
        r.now.us += 10000000; /* what was not used does not add up */
        assert_in_range(burst(4000, 3 * rate), rate, rate + 1);
        uint64_t before = hits(REASON_rtp_rate);
        r.now.us += 2000000;
        for (unsigned k = 0; k < 500; k++) { /* at half the rate, for long: nothing is lost */
            r.now.us += 2000000 / rate;
            assert_int_equal(burst(4000, 1), 1);
        }
        assert_int_equal(hits(REASON_rtp_rate), before);
        unsigned back = 0; /* the other direction has as much, for itself */
        for (unsigned k = 0; k < 3 * rate; k++)
            back += sent("198.51.100.20", 5000, port_of(r.said_b, 0),
                         rig_rtp(buf, 9, (uint16_t)k, 160)) > 0;
        assert_in_range(back, rate, rate + 1);
        rig_close(&r);
    }
}

static void strangers_use_up_nothing(void **state)
{
    (void)state;
    legs(0, NULL, 0, NULL);
    r.metered = true;
    call(AUDIO_A "m=video 4010 RTP/AVP 31\r\n", AUDIO_B "m=video 5010 RTP/AVP 31\r\n");
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(sent("203.0.113.66", 4000, port_of(r.said_a, 0), rig_rtp(buf, 7, 1, 160)),
                         0);
    assert_in_range(burst(4000, 200), 100, 101);
    assert_in_range(burst(4010, 3000), 2000, 2001); /* nor does one stream another's */
    /* RTCP counts, too. */
    static const uint8_t rr[] = {0x80, 201, 0, 1, 0, 0, 0, 7};
    memcpy(buf, rr, sizeof rr);
    assert_int_equal(sent("192.0.2.10", 4001, (uint16_t)(port_of(r.said_a, 0) + 1), sizeof rr), 0);
    rig_close(&r);
}

/* --- SDES key lives --- */

static const uint8_t key_a[] = "abcdefghijklmnopqrstuvwxyzabcd";
#define KEY_A            "AES_CM_128_HMAC_SHA1_80 inline:YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNk"
#define KEY_N            "AES_CM_128_HMAC_SHA1_80 inline:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpBQkNE"
#define SECURE_A(crypto) V_A "m=audio 4000 RTP/SAVP 8\r\na=crypto:1 " crypto "\r\n"

static bool protected_from_a(struct srtp *tx, uint16_t seq)
{
    size_t n = rig_rtp(buf, 7, seq, 160);
    assert_ok(srtp_protect(tx, buf, &n, sizeof buf));
    return sent("192.0.2.10", 4000, port_of(r.said_a, 0), n) > 0;
}

static void a_key_ends_with_its_lifetime(void **state)
{
    (void)state;
    struct media_policy a = rig_policy(true, false, true, false),
                        b = rig_policy(false, true, false, false);
    rig_open(&r, 8, 64);
    r.a = media_leg_open(r.m, &a, 1);
    r.b = media_leg_open(r.m, &b, 1);
    call(SECURE_A(KEY_A "|2^4"), AUDIO_B);
    struct srtp *tx = srtp_new(SUITE_AES_CM_128_80, key_a);
    for (uint16_t i = 0; i < 16; i++)
        assert_true(protected_from_a(tx, i));
    for (uint16_t i = 0; i < 20; i++) /* strangers cannot use it up */
        assert_int_equal(sent("192.0.2.10", 4000, port_of(r.said_a, 0), 182), 0);
    assert_false(protected_from_a(tx, 17));
    assert_int_equal(hits(REASON_rtp_key_limit) > 0, 1);
    call(SECURE_A(KEY_A "|2^40"), AUDIO_B); /* the same key gains nothing */
    assert_false(protected_from_a(tx, 18));
    srtp_free(tx);
    call(SECURE_A(KEY_N "|3"), AUDIO_B);
    tx = srtp_new(SUITE_AES_CM_128_80, (const uint8_t *)"ABCDEFGHIJKLMNOPQRSTUVWXYZABCD");
    for (uint16_t i = 0; i < 3; i++)
        assert_true(protected_from_a(tx, i));
    assert_false(protected_from_a(tx, 3));
    srtp_free(tx);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hold_in_every_spelling),
        cmocka_unit_test(both_hold_and_resume_one_after_the_other),
        cmocka_unit_test(music_on_hold_passes_and_nothing_goes_back),
        cmocka_unit_test(port_zero_is_a_hold_too),
        cmocka_unit_test(silence_is_judged_by_all_lines),
        cmocka_unit_test(one_way_knows_hold),
        cmocka_unit_test(fax_datagrams_cross),
        cmocka_unit_test(fax_needs_kind_and_waiver_on_both_legs),
        cmocka_unit_test(a_call_becomes_a_fax_and_a_call_again),
        cmocka_unit_test(a_fax_comes_from_where_the_audio_came),
        cmocka_unit_test(a_stream_has_its_rate),
        cmocka_unit_test(strangers_use_up_nothing),
        cmocka_unit_test(a_key_ends_with_its_lifetime),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
