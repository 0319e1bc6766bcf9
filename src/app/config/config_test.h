/* For tests only: a text is loaded, and said is what a person reads of it. */
#ifndef APP_CONFIG_CONFIG_TEST_H
#define APP_CONFIG_CONFIG_TEST_H
#include "app/config/config.h"
#include "base/test.h"

static const struct config_opts OPTS = {.now = {INT64_C(1795000000) * 1000000} /* 2026-11-18 */,
                                        .state = "/srv/ringwall",
                                        .cpus = 2,
                                        .generation = 3,
                                        .no_files = true};
static struct config cfg;
static struct config_errors errs;
static char said[CONFIG_PROBLEMS * 400];

static inline enum err load(const char *text)
{
    enum err e = config_load_text(str_c(text), "f", &OPTS, &cfg, &errs);
    struct out o = out_of(said, sizeof said - 1);
    config_errors_put(&o, &errs);
    assert_false(o.full);
    said[o.n] = 0;
    assert_int_equal(e == OK, errs.n_errors == 0);
    return e;
}

/* The parts that a rule's row does not care about. */
#define CERTS "certificates: {default: {chain: c.pem, key: k}}\n"
#define TLS   "listeners: [{name: tls, transport: tls, address: 192.0.2.1}]\n"
#define ZONE  "zones: [{name: phones, listeners: tls, sources: 0.0.0.0/0}]\n"
#define D     "domains: example.com\n"
#endif
