/* What the tests of the detectors share: each scene is played with one engine and with four. */
#ifndef GUARD_DETECT_TEST_H
#define GUARD_DETECT_TEST_H
#include "base/test.h"
#include "guard/scene.h"

static struct scene sc;

static inline int open1(void **state)
{
    (void)state;
    scene_open(&sc, 1, 4096);
    return 0;
}
static inline int open4(void **state)
{
    (void)state;
    scene_open(&sc, 4, 4096);
    return 0;
}
static inline int shut(void **state)
{
    (void)state;
    scene_close(&sc);
    return 0;
}

static inline void quiet(void)
{
    for (unsigned d = 0; d < DET_COUNT; d++)
        if (sc.fired[d] || sc.asked[d])
            fail_msg("%s fired %u times, asked %u", detector_name((enum detector)d), sc.fired[d],
                     sc.asked[d]);
}

#define TWICE(name)                                                                                \
    cmocka_unit_test_setup_teardown(name, open1, shut),                                            \
        cmocka_unit_test_setup_teardown(name, open4, shut)
#endif
