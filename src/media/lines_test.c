/* Kinds, codecs and what goes with a line. */
#include "media/lines_test.h"

static void both_zones_judge_the_kind(void **state)
{
    (void)state;
    static const struct {
        uint8_t a, b;
        bool passes[4]; /* audio, video, application, text */
        unsigned refused;
    } rows[] = {
        {0, 0, {true, true, false, false}, 2},
        {ALL, ALL, {true, true, true, true}, 0},
        {ALL, LINE_AUDIO, {true, false, false, false}, 3},
        {LINE_AUDIO, ALL, {true, false, false, false}, 3},
        {LINE_VIDEO | LINE_TEXT, ALL, {false, true, false, true}, 2},
        {LINE_VIDEO | LINE_TEXT, LINE_TEXT | LINE_AUDIO, {false, false, false, true}, 3},
        {LINE_APPLICATION, LINE_AUDIO | LINE_APPLICATION, {false, false, true, false}, 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        legs(rows[i].a, NULL, rows[i].b, NULL);
        call(V_A "m=audio 4000 RTP/AVP 8\r\nm=Video 4010 RTP/AVP 31\r\n"
                 "m=application 4020 RTP/AVP 100\r\na=rtpmap:100 H224/4800\r\n"
                 "m=text 4030 RTP/AVP 98\r\na=rtpmap:98 t140/1000\r\n",
             rows[i].passes[0]   ? V_B "m=audio 5000 RTP/AVP 8\r\nm=video 0 RTP/AVP 31\r\n"
                                       "m=application 0 RTP/AVP 100\r\nm=text 0 RTP/AVP 98\r\n"
             : rows[i].passes[1] ? V_B "m=audio 0 RTP/AVP 8\r\nm=video 5010 RTP/AVP 31\r\n"
                                       "m=application 0 RTP/AVP 100\r\nm=text 0 RTP/AVP 98\r\n"
             : rows[i].passes[2] ? V_B "m=audio 0 RTP/AVP 8\r\nm=video 0 RTP/AVP 31\r\n"
                                       "m=application 5020 RTP/AVP 100\r\nm=text 0 RTP/AVP 98\r\n"
                                 : V_B "m=audio 0 RTP/AVP 8\r\nm=video 0 RTP/AVP 31\r\n"
                                       "m=application 0 RTP/AVP 100\r\nm=text 5030 RTP/AVP 98\r\n");
        bool first = true;
        for (unsigned k = 0; k < 4; k++) {
            assert_int_equal(port_of(r.said_b, k) != 0, rows[i].passes[k]);
            assert_int_equal(port_of(r.said_a, k) != 0, rows[i].passes[k] && first);
            first &= !rows[i].passes[k];
        }
        assert_int_equal(hits(REASON_media_kind), rows[i].refused);
        rig_close(&r);
    }
}

static void nothing_left_is_refused(void **state)
{
    (void)state;
    static const struct {
        uint8_t a, b;
        const char *lines;
        enum reason want, counted;
    } rows[] = {
        {LINE_VIDEO, ALL, "m=audio 4000 RTP/AVP 8\r\n", REASON_media_not_acceptable,
         REASON_media_kind},
        {ALL, LINE_VIDEO, "m=audio 4000 RTP/AVP 8\r\n", REASON_media_not_acceptable,
         REASON_media_kind},
        {ALL, ALL, "m=message 4000 TCP/MSRP *\r\n", REASON_media_not_acceptable,
         REASON_media_transport},
        {ALL, ALL, "m=application 4000 UDP/BFCP *\r\n", REASON_media_not_acceptable,
         REASON_media_transport},
        {ALL, ALL, "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n",
         REASON_media_not_acceptable, REASON_media_transport},
        {ALL, ALL, "m=audio 4000 DCCP/RTP/AVP 8\r\n", REASON_media_not_acceptable,
         REASON_media_transport},
        {ALL, ALL, "m=audio 4000 TCP/RTP/AVP 8\r\n", REASON_media_not_acceptable,
         REASON_media_transport},
        {ALL, ALL, "m=audio 4000 UDP/TLS/RTP/SAVPF 8\r\n", REASON_media_not_acceptable,
         REASON_media_transport},
        {ALL, ALL, "m=image 4000 TCP t38\r\n", REASON_media_not_acceptable, REASON_media_transport},
        {ALL, ALL, "m=image 4000 udptl x\r\n", REASON_media_not_acceptable, REASON_media_transport},
        {ALL, ALL, "m=audio 4000 udptl t38\r\n", REASON_media_not_acceptable, REASON_media_kind},
        {ALL, ALL, "m=image 4000 RTP/AVP 8\r\n", REASON_media_not_acceptable, REASON_media_kind},
        {ALL, ALL, "m=message 4000 RTP/AVP 8\r\n", REASON_media_not_acceptable, REASON_media_kind},
        {LINE_AUDIO, ALL, "m=image 4000 udptl t38\r\n", REASON_media_not_acceptable,
         REASON_media_kind},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[512];
        struct out o = out_of(text, sizeof text);
        legs(rows[i].a, NULL, rows[i].b, NULL);
        OUT_LIT(&o, V_A);
        out_put(&o, str_c(rows[i].lines));
        enum reason got = rig_offer(&r, true, out_str(&o));
        if (got != rows[i].want || hits(rows[i].counted) != 1)
            fail_msg("row %zu: %s, counted %u", i, reason_info(got)->name.p,
                     (unsigned)hits(rows[i].counted));
        /* Beside a line that passes the answer says port 0 in its place. */
        OUT_LIT(&o, "m=audio 4100 RTP/AVP 8\r\nm=video 4110 RTP/AVP 31\r\n");
        assert_why(rig_offer(&r, true, out_str(&o)), REASON_NONE);
        assert_int_equal(port_of(r.said_b, 0), 0);
        assert_int_equal(hits(rows[i].counted) >= 2, 1);
        rig_close(&r);
    }
}

/* --- codecs --- */

#define CODECS_A                                                                                   \
    V_A "m=audio 4000 RTP/AVPF 0 8 96 97 101 13\r\na=rtpmap:0 PCMU/8000\r\n"                       \
        "a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=rtcp-fb:96 nack\r\n"            \
        "a=rtpmap:97 G726-32/8000\r\na=fmtp:97 x=1\r\na=rtcp-fb:97 nack\r\n"                       \
        "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"

static void formats_pass_that_both_lists_name(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b, *said;
    } rows[] = {
        {NULL, NULL, "RTP/AVPF 0 8 96 97 101 13\r\n"},
        {"pcma opus", NULL, "RTP/AVPF 8 96\r\n"},
        {NULL, "pcma opus telephone-event", "RTP/AVPF 8 96 101\r\n"},
        {"pcma opus telephone-event cn", "pcmu pcma telephone-event cn", "RTP/AVPF 8 101 13\r\n"},
        {"opus", "opus", "RTP/AVPF 96\r\n"},
        {"g726-32 pcmu", "pcmu g726-32", "RTP/AVPF 0 97\r\n"},
        {"pcm", "pcma", NULL},                              /* a part of a name is no name */
        {"telephone-event cn", "telephone-event cn", NULL}, /* nothing that could be heard */
        {"pcma", "pcmu", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        legs(0, rows[i].a, 0, rows[i].b);
        enum reason why = rig_offer(&r, true, STR(CODECS_A));
        assert_why(why, rows[i].said != NULL ? REASON_NONE : REASON_media_not_acceptable);
        assert_int_equal(hits(REASON_media_codec), rows[i].said == NULL);
        if (rows[i].said != NULL) {
            assert_has(r.said_b, rows[i].said);
            bool opus = str_search(str_c(rows[i].said), STR(" 96")) < strlen(rows[i].said);
            assert_int_equal(str_search(r.said_b, STR("a=fmtp:96")) < r.said_b.n, opus);
            assert_int_equal(str_search(r.said_b, STR("a=rtcp-fb:96")) < r.said_b.n, opus);
            if (str_search(str_c(rows[i].said), STR(" 97")) == strlen(rows[i].said))
                assert_lacks(r.said_b, ":97");
        }
        rig_close(&r);
    }
}

static void names_cannot_be_smuggled(void **state)
{
    (void)state;
    legs(0, "pcma opus", 0, NULL);
    /* The second name of a payload type, and another name for one that RFC 3551 fixes. */
    assert_why(rig_offer(&r, true,
                         STR(V_A "m=audio 4000 RTP/AVP 8 96 0 97 98 99\r\n"
                                 "a=rtpmap:96 opus/48000/2\r\na=rtpmap:96 evil/8000\r\n"
                                 "a=rtpmap:0 PCMA/8000\r\na=rtpmap:98 evil\r\n"
                                 "a=rtpmap:97 PCM/8000\r\n"
                                 "a=rtpmap:99 OPUS /48000\r\n")),
               REASON_NONE);
    assert_has(r.said_b, "RTP/AVP 8 96\r\n");
    assert_lacks(r.said_b, "evil");
    assert_lacks(r.said_b, "rtpmap:0");
    rig_close(&r);
}

static void what_stood_on_a_removed_codec_goes_too(void **state)
{
    (void)state;
    static const struct {
        const char *list, *said;
    } rows[] = {
        {"vp8 h264 rtx red ulpfec", "AVPF 96 97 98 99 100 101\r\n"},
        {"h264 rtx red ulpfec", "AVPF 98 99 100 101\r\n"},
        {"vp8 rtx", "AVPF 96 97\r\n"},
        {"vp8 ulpfec", "AVPF 96 101\r\n"},
        {"vp8", "AVPF 96\r\n"},
        {"rtx red ulpfec", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        legs(LINE_VIDEO, rows[i].list, LINE_VIDEO, NULL);
        assert_why(rig_offer(&r, true,
                             STR(V_A "m=video 4000 RTP/AVPF 96 97 98 99 100 101\r\n"
                                     "a=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\n"
                                     "a=fmtp:97 apt=96\r\na=rtpmap:98 H264/90000\r\n"
                                     "a=rtpmap:99 rtx/90000\r\na=fmtp:99 rtx-time=200; apt=98\r\n"
                                     "a=rtpmap:100 red/90000\r\na=rtpmap:101 ulpfec/90000\r\n"
                                     "a=imageattr:96 send * recv *\r\na=imageattr:98 send *\r\n")),
                   rows[i].said != NULL ? REASON_NONE : REASON_media_not_acceptable);
        if (rows[i].said != NULL) {
            assert_has(r.said_b, rows[i].said);
            bool vp8 = str_search(str_c(rows[i].said), STR(" 96")) < strlen(rows[i].said);
            assert_int_equal(str_search(r.said_b, STR("imageattr:96")) < r.said_b.n, vp8);
        }
        rig_close(&r);
    }
    /* Redundant audio (RFC 2198) names what it carries; an rtx may stand on the red. */
    legs(0, "opus pcma red rtx", 0, "pcma red rtx");
    assert_why(
        rig_offer(&r, true,
                  STR(V_A "m=audio 4000 RTP/AVP 65 63 111 8 64\r\na=rtpmap:111 opus/48000\r\n"
                          "a=rtpmap:63 red/48000\r\na=fmtp:63 111/111\r\n"
                          "a=rtpmap:64 red/8000\r\na=fmtp:64 8/8\r\n"
                          "a=rtpmap:65 rtx/48000\r\na=fmtp:65 apt=63\r\n")),
        REASON_NONE);
    assert_has(r.said_b, "RTP/AVP 8 64\r\n");
    rig_close(&r);
}

static void answers_keep_to_the_lists(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum reason want;
    } rows[] = {
        {"m=audio 5000 RTP/AVPF 8\r\n", REASON_NONE},
        {"m=audio 5000 RTP/AVPF 96\r\n", REASON_NONE}, /* the offer named it */
        {"m=audio 5000 RTP/AVPF 8 96\r\na=rtpmap:96 opus/48000/2\r\n", REASON_NONE},
        {"m=audio 5000 RTP/AVPF 120\r\na=rtpmap:120 opus/48000/2\r\n", REASON_NONE},
        {"m=audio 5000 RTP/AVPF 8 0\r\n", REASON_media_answer_bad},
        {"m=audio 5000 RTP/AVPF 8 97\r\n", REASON_media_answer_bad},
        {"m=audio 5000 RTP/AVPF 96\r\na=rtpmap:96 evil/8000\r\n", REASON_media_answer_bad},
        {"m=audio 5000 RTP/AVPF 8 101\r\n", REASON_media_answer_bad},
        {"m=video 5000 RTP/AVPF 8\r\n", REASON_media_answer_bad}, /* another kind */
        {"m=audio 0 RTP/AVPF 0\r\n", REASON_NONE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (unsigned far = 0; far < 2; far++) { /* whichever zone has the list */
            char text[512];
            struct out o = out_of(text, sizeof text);
            legs(0, far ? "pcma opus" : NULL, 0, far ? NULL : "pcma opus");
            assert_why(rig_offer(&r, true, STR(CODECS_A)), REASON_NONE);
            OUT_LIT(&o, V_B);
            out_put(&o, str_c(rows[i].line));
            enum reason got = rig_answer(&r, true, out_str(&o));
            if (got != rows[i].want)
                fail_msg("row %zu: %s", i, reason_info(got)->name.p);
            rig_close(&r);
        }
}

/* Whoever was offered what, nothing is told to a leg that is not on its own zone's list. */
static void a_leg_is_told_its_own_list_only(void **state)
{
    (void)state;
    legs(0, "pcma", 0, NULL);
    assert_why(media_offer_in(r.m, r.a, STR(AUDIO_A)), REASON_NONE);
    struct out o = out_of(r.to_b, sizeof r.to_b);
    assert_why(media_offer_out(r.m, r.b, STR(V_A "m=audio 4000 RTP/AVP 8 0\r\n"), r.now, &o),
               REASON_NONE);
    assert_why(rig_answer(&r, true, STR(V_B "m=audio 5000 RTP/AVP 0 8\r\n")), REASON_NONE);
    assert_has(r.said_a, "RTP/AVP 8\r\n");
    struct media_view v;
    assert_true(media_leg_view(r.a, 0, &v));
    assert_string_equal(v.codec, "PCMA/8000");
    rig_close(&r);
}

static void joined_legs_keep_to_both_zones(void **state)
{
    (void)state;
    legs(LINE_AUDIO, "pcma opus", LINE_AUDIO | LINE_VIDEO, NULL);
    static const char words[] = V_A "m=video 9 RTP/AVP 31\r\nm=audio 9 RTP/AVP 0 8\r\n";
    struct out o = out_of(r.to_b, sizeof r.to_b);
    assert_why(media_offer_for(r.m, r.b, r.a, str_c(words), r.now, &o), REASON_NONE);
    assert_has(out_str(&o), "m=video 0 RTP/AVP 31\r\n");
    assert_has(out_str(&o), "RTP/AVP 8\r\n");
    assert_why(
        media_answer_in(r.m, r.b, STR(V_B "m=video 0 RTP/AVP 31\r\nm=audio 5000 RTP/AVP 8 0\r\n")),
        REASON_media_answer_bad);
    assert_why(
        media_answer_in(r.m, r.b, STR(V_B "m=video 0 RTP/AVP 31\r\nm=audio 5000 RTP/AVP 8\r\n")),
        REASON_NONE);
    o = out_of(r.to_b, sizeof r.to_b);
    assert_why(media_offer_for(r.m, r.b, r.a,
                               STR(V_A "m=video 9 RTP/AVP 31\r\nm=audio 0 RTP/AVP 0\r\n"), r.now,
                               &o),
               REASON_media_not_acceptable);
    assert_why(media_offer_for(r.m, r.b, r.a, STR("x"), r.now, &o), REASON_sdp_syntax);
    rig_close(&r);
}

/* The offer of a call is offered again much later to another leg, when others have made the same.
 */
static void an_old_offer_is_still_judged_by_its_own_zone(void **state)
{
    (void)state;
    struct span s[CODECS_NAMES_MAX];
    struct media_policy all = zone(0, NULL, s);
    legs(LINE_AUDIO, "pcma", 0, NULL);
    struct media_leg *other = media_leg_open(r.m, &all, 77), *third;
    assert_why(media_offer_in(r.m, r.a, STR(CODECS_A)), REASON_NONE);
    assert_why(media_offer_in(r.m, other, STR(CODECS_A)), REASON_NONE);
    assert_why(media_offer_in(r.m, other, STR(AUDIO_A)), REASON_NONE);
    struct out o = out_of(r.to_b, sizeof r.to_b);
    assert_why(media_offer_out(r.m, r.b, STR(CODECS_A), r.now, &o), REASON_NONE);
    assert_has(out_str(&o), "RTP/AVPF 8\r\n");
    /* Joined calls: the newest offer of all. */
    third = media_leg_open(r.m, &all, 78);
    o = out_of(r.to_b, sizeof r.to_b);
    assert_why(media_offer_in(r.m, r.a, STR(CODECS_A)), REASON_NONE);
    assert_why(media_offer_out(r.m, third, STR(CODECS_A), r.now, &o), REASON_NONE);
    assert_has(out_str(&o), "RTP/AVPF 8\r\n");
    media_leg_close(r.m, other, r.now);
    media_leg_close(r.m, third, r.now);
    media_leg_close(r.m, r.a, r.now);
    r.a = NULL;
    o = out_of(r.to_b, sizeof r.to_b);
    assert_why(media_offer_out(r.m, r.b, STR(CODECS_A), r.now, &o), REASON_NONE);
    assert_has(out_str(&o), "RTP/AVPF 0 8 96"); /* nobody is left who took it */
    rig_close(&r);
}

static void lists_are_shared_and_given_back(void **state)
{
    (void)state;
    struct media_leg *l[2 * CODECS_LISTS_MAX];
    char text[CODECS_LISTS_MAX + 1][8];
    struct span s[CODECS_NAMES_MAX];
    rig_open(&r, 2 * CODECS_LISTS_MAX, 4);
    for (unsigned i = 0; i <= CODECS_LISTS_MAX; i++) {
        memcpy(text[i], "cod-aa", 7);
        text[i][4] = (char)('a' + i / 26);
        text[i][5] = (char)('a' + i % 26);
    }
    for (unsigned i = 0; i < CODECS_LISTS_MAX; i++) {
        struct media_policy p = zone(0, text[i], s);
        l[i] = media_leg_open(r.m, &p, i);
        assert_non_null(l[i]);
    }
    struct media_policy p = zone(0, text[CODECS_LISTS_MAX], s);
    assert_null(media_leg_open(r.m, &p, 1));
    assert_int_equal(media_usage(r.m).legs, CODECS_LISTS_MAX);
    struct media_policy same = zone(0, text[5], s);
    l[CODECS_LISTS_MAX] = media_leg_open(r.m, &same, 1);
    assert_non_null(l[CODECS_LISTS_MAX]);
    assert_int_equal(l[CODECS_LISTS_MAX]->codecs, l[5]->codecs);
    media_leg_close(r.m, l[5], r.now);
    assert_null(media_leg_open(r.m, &p, 1)); /* still in use */
    media_leg_close(r.m, l[CODECS_LISTS_MAX], r.now);
    l[5] = media_leg_open(r.m, &p, 1);
    assert_non_null(l[5]);
    for (unsigned i = 0; i < CODECS_LISTS_MAX; i++)
        media_leg_close(r.m, l[i], r.now);
    for (unsigned i = 0; i < CODECS_LISTS_MAX; i++)
        assert_int_equal(r.m->lists[i].legs, 0);
    rig_close(&r);
}

/* --- what goes with a line --- */

static void ice_and_bundle_are_left_out(void **state)
{
    (void)state;
    legs(0, NULL, 0, NULL);
    assert_why(
        rig_offer(&r, true,
                  STR(V_A
                      "a=group:BUNDLE 0 1\r\na=ice-lite\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\n"
                      "a=fingerprint:sha-256 00\r\na=setup:actpass\r\na=msid-semantic: WMS\r\n"
                      "m=audio 4000 RTP/AVP 8\r\na=mid:0\r\na=ssrc:1 cname:x\r\na=msid:x y\r\n"
                      "a=candidate:1 1 udp 1 192.0.2.10 4000 typ host\r\na=end-of-candidates\r\n"
                      "a=ice-options:trickle\r\na=ssrc-group:FID 1 2\r\na=rid:x send\r\n"
                      "a=remote-candidates:1 192.0.2.1 2\r\na=ice-mismatch\r\na=setup:active\r\n"
                      "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=simulcast:send x\r\n"
                      "m=video 0 RTP/AVP 31\r\na=bundle-only\r\na=mid:1\r\n")),
        REASON_NONE);
    static const char *const never[] = {"BUNDLE", "ice",   "ufrag", "finger",   "setup", "mid",
                                        "ssrc",   "cand",  "rid",   "extmap",   "simul", "192.0.2",
                                        "bundle", "cname", "group", "mismatch", "pwd"};
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        assert_lacks(r.said_b, never[i]);
    assert_int_equal(port_of(r.said_b, 1), 0);
    assert_why(rig_answer(&r, true, STR(AUDIO_B "a=ice-ufrag:u\r\nm=video 0 RTP/AVP 31\r\n")),
               REASON_NONE);
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        assert_lacks(r.said_a, never[i]);
    assert_int_equal(port_of(r.said_a, 1), 0);
    rig_close(&r);
}

static void refused_lines_tell_no_address(void **state)
{
    (void)state;
    legs(0, NULL, 0, NULL);
    assert_why(
        rig_offer(&r, true,
                  STR(V_A "m=audio 4000 RTP/AVP 8\r\nm=x192.0.2.10 1 192.0.2.10 192.0.2.10\r\n"
                          "m=application 4040 UDP/BFCP *\r\n")),
        REASON_NONE);
    assert_has(r.said_b, "m=application 0 RTP/AVP 0\r\nm=application 0 UDP/BFCP 0\r\n");
    assert_lacks(r.said_b, "192.0.2");
    rig_close(&r);
}

static void bandwidth_is_bounded(void **state)
{
    (void)state;
    legs(0, NULL, 0, NULL);
    assert_why(rig_offer(&r, true,
                         STR("v=0\r\no=a 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\n"
                             "b=CT:512\r\nb=X-Y:1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
                             "b=AS:0064\r\nb=AS:99\r\nb=TIAS:100000001\r\nb=RR:4294967295\r\n"
                             "m=video 4010 RTP/AVP 31\r\nb=TIAS:100000000\r\nb=AS:100001\r\n")),
               REASON_NONE);
    assert_has(r.said_b, "\r\nb=CT:512\r\nt=0 0\r\nm=audio");
    assert_has(r.said_b, "RTP/AVP 8\r\nb=AS:64\r\na=");
    assert_has(r.said_b, "RTP/AVP 31\r\nb=TIAS:100000000\r\na=");
    rig_close(&r);
}

static void lines_come_go_and_come_back(void **state)
{
    (void)state;
    legs(0, NULL, 0, NULL);
    call(AUDIO_A, AUDIO_B);
    uint16_t audio = port_of(r.said_a, 0);
    call(AUDIO_A "m=video 4010 RTP/AVP 31\r\n", AUDIO_B "m=video 5010 RTP/AVP 31\r\n");
    assert_true(rtp_from_a(4010, 1));
    assert_int_equal(media_usage(r.m).ports_taken, 4);
    assert_why(media_offer_in(r.m, r.a, STR(AUDIO_A)), REASON_media_not_acceptable);
    call(AUDIO_A "m=video 0 RTP/AVP 31\r\n", AUDIO_B "m=video 0 RTP/AVP 31\r\n");
    assert_int_equal(media_usage(r.m).ports_taken, 2);
    assert_int_equal(port_of(r.said_b, 1), 0);
    call(AUDIO_A "m=video 4010 RTP/AVP 31\r\nm=audio 4020 RTP/AVP 0\r\n",
         AUDIO_B "m=video 5010 RTP/AVP 31\r\nm=audio 5020 RTP/AVP 0\r\n");
    assert_true(rtp_from_a(4010, 2) && rtp_from_a(4020, 1) && rtp_from_a(4000, 1));
    assert_int_equal(port_of(r.said_a, 0), audio);
    /* Bob switches the first one off. */
    assert_why(rig_offer(&r, false,
                         STR(V_B "m=audio 0 RTP/AVP 8\r\nm=video 5010 RTP/AVP 31\r\n"
                                 "m=audio 5020 RTP/AVP 0\r\n")),
               REASON_NONE);
    assert_int_equal(port_of(r.said_a, 0), 0);
    assert_why(rig_answer(&r, false,
                          STR(V_A "m=audio 0 RTP/AVP 8\r\nm=video 4010 RTP/AVP 31\r\n"
                                  "m=audio 4020 RTP/AVP 0\r\n")),
               REASON_NONE);
    assert_int_equal(sent("192.0.2.10", 4000, audio, rig_rtp(buf, 7, 2, 160)), 0);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_zones_judge_the_kind),
        cmocka_unit_test(nothing_left_is_refused),
        cmocka_unit_test(formats_pass_that_both_lists_name),
        cmocka_unit_test(names_cannot_be_smuggled),
        cmocka_unit_test(what_stood_on_a_removed_codec_goes_too),
        cmocka_unit_test(answers_keep_to_the_lists),
        cmocka_unit_test(a_leg_is_told_its_own_list_only),
        cmocka_unit_test(joined_legs_keep_to_both_zones),
        cmocka_unit_test(an_old_offer_is_still_judged_by_its_own_zone),
        cmocka_unit_test(lists_are_shared_and_given_back),
        cmocka_unit_test(ice_and_bundle_are_left_out),
        cmocka_unit_test(refused_lines_tell_no_address),
        cmocka_unit_test(bandwidth_is_bounded),
        cmocka_unit_test(lines_come_go_and_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
