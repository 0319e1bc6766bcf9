/* Any bytes as ringwall.yaml: either problems, or a snapshot that an engine would believe; and the
 * same again. */
#include "app/config/config.h"
#include "call/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config a, b;
    static struct config_errors e;
    static char text[CONFIG_PROBLEMS * 512];
    const struct config_opts o = {
        .now = {INT64_C(1795000000) * 1000000}, .cpus = 2, .no_files = true};
    if (size > 16384)
        return 0;
    enum err r = config_load_text(str_of((const char *)data, size), "f", &o, &a, &e);
    CHECK((r == OK) == (e.n_errors == 0));
    CHECK(e.n + e.n_lost == e.n_errors + e.n_warnings);
    struct out w = out_of(text, sizeof text);
    config_errors_put(&w, &e);
    CHECK(!w.full);
    for (size_t i = 0; i < w.n; i++)
        CHECK(w.p[i] == '\n' || ((unsigned char)w.p[i] >= 0x20 && w.p[i] != 0x7f));
    if (r != OK)
        return 0;
    CHECK(policy_valid(&a.policy, sizeof a.policy) == OK);
    CHECK(config_load_text(str_of((const char *)data, size), "f", &o, &b, &e) == OK);
    CHECK(memcmp(&a.policy, &b.policy, sizeof a.policy) == 0);
    return 0;
}
