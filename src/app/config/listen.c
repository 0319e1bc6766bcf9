/* domains, certificates, media, listeners, zones, waivers. */
#include "app/config/values.h"
#include "app/config/yaml.h"

#define AT(type, member) offsetof(struct type, member)

void read_domains(struct load *l, struct fy_node *n)
{
    struct field f = {.key = "domains", .max = POLICY_DOMAINS};
    struct policy *p = l->p;
    if (!seq_open(l, &f, n))
        return;
    void *it = NULL;
    for (struct fy_node *e; (e = seq_next(n, &it)) && p->n_domains < POLICY_DOMAINS;) {
        struct span *sp = &p->domains[p->n_domains];
        *sp = SPAN_NONE;
        rd_host(l, &f, e, sp);
        for (unsigned i = 0; sp->len && i < p->n_domains; i++) {
            struct str d = policy_text(p, *sp);
            if (str_eq(d, policy_text(p, p->domains[i])))
                problem(l, pos_of(e), NULL, "domains: \"%.*s\" is there twice", (int)d.n, d.p);
        }
        if (sp->len)
            p->n_domains++;
    }
}

static const struct field CERT[] = {
    {"chain", rd_chars, AT(config_cert, chain), true, 0, CONFIG_PATH - 1, NULL},
    {"key", rd_chars, AT(config_cert, key), true, 0, CONFIG_NAME - 1, NULL},
};

static void chain_absolute(struct load *l, struct config_cert *c, struct pos at)
{
    char path[CONFIG_PATH];
    if (c->chain[0] && c->chain[0] != '/') {
        int n = snprintf(path, sizeof path, "%s/%s", l->c->state, c->chain);
        if (n < 0 || (size_t)n >= sizeof path)
            problem(l, at, NULL, "chain: the path is longer than %u bytes", CONFIG_PATH - 1);
        else
            memcpy(c->chain, path, (size_t)n + 1);
    }
}

void read_certificates(struct load *l, struct fy_node *n)
{
    struct config *c = l->c;
    void *it = NULL;
    l->certs_at = pos_of(n);
    if (!fy_node_is_mapping(n)) {
        problem(l, pos_of(n), "default: {chain: server.pem, key: server}",
                "certificates: a mapping is wanted here");
        return;
    }
    for (struct fy_node_pair *pair; (pair = fy_node_mapping_iterate(n, &it));) {
        struct fy_node *k = fy_node_pair_key(pair), *v = fy_node_pair_value(pair);
        struct span name = SPAN_NONE;
        struct field f = {.key = "certificates", .max = 30};
        if (c->n_certs == CONFIG_CERTS) {
            problem(l, pos_of(k), NULL, "certificates: at most %u are served", CONFIG_CERTS);
            return;
        }
        rd_name(l, &f, k, &name);
        if (name.len == 0)
            continue;
        struct config_cert *cert = &c->certs[c->n_certs++];
        struct str s = policy_text(l->p, name);
        for (struct config_cert *o = c->certs; o < cert; o++)
            if (str_eq(s, str_c(o->name)))
                problem(l, pos_of(k), NULL, "certificates: \"%s\" is there twice", o->name);
        memcpy(cert->name, s.p, s.n);
        if (v)
            (void)map_read(l, v, "certificate", CERT, ARRAY_LEN(CERT), cert);
        else
            problem(l, pos_of(k), "{chain: server.pem, key: server}", "certificates: no value");
        chain_absolute(l, cert, pos_of(k));
    }
    l->p->n_certs = c->n_certs;
}

static void rd_ports(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct policy *p = dst;
    struct str s;
    uint16_t lo, hi;
    if (!scalar(l, f->key, n, &s))
        return;
    enum err e = value_ports(s, &lo, &hi);
    if (e != OK) {
        problem(l, pos_of(n), "for instance 20000-29999", "media.%s: \"%.*s\" %s", f->key,
                (int)MIN(s.n, 40u), s.p,
                e == ERR_RANGE ? "must lie within 1024-65535, low port first"
                               : "is not a range of ports");
        return;
    }
    p->rtp_min =
        (uint16_t)(lo + (lo & 1)); /* RTP is even, its RTCP the next (RFC 3550 section 11) */
    p->rtp_max = hi;
}

static const struct field MEDIA[] = {
    {"ports", rd_ports, 0, false, 0, 0, NULL},
    {"address", rd_ip, AT(policy, media_ip), false, 0, 0, NULL},
};

void read_media(struct load *l, struct fy_node *n)
{
    l->media_at = pos_of(n);
    (void)map_read(l, n, "media", MEDIA, ARRAY_LEN(MEDIA), l->p);
}

static const struct word TRANSPORT[] = {
    {"udp", PROTO_UDP}, {"tcp", PROTO_TCP}, {"tls", PROTO_TLS}, {NULL, 0}};

static void rd_certificate(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct str s;
    if (!scalar(l, f->key, n, &s))
        return;
    for (uint16_t i = 0; i < l->c->n_certs; i++) {
        if (str_eq(s, str_c(l->c->certs[i].name))) {
            *(uint16_t *)dst = i;
            return;
        }
    }
    problem(l, pos_of(n), "certificates are defined under \"certificates:\"",
            "%s: there is no certificate named \"%.*s\"", f->key, (int)MIN(s.n, 40u), s.p);
}

enum { L_NAME, L_TRANSPORT, L_ADDRESS, L_ADVERTISE, L_CERTIFICATE };
static const struct field LISTENER[] = {
    [L_NAME] = {"name", rd_name, AT(policy_listener, name), true, 1, 30, NULL},
    [L_TRANSPORT] = {"transport", rd_word, AT(policy_listener, proto), true, 0, 0, TRANSPORT},
    [L_ADDRESS] = {"address", rd_addr, AT(policy_listener, bind), true, 0, 0, NULL},
    [L_ADVERTISE] = {"advertise", rd_addr, AT(policy_listener, advertise), false, 0, 0, NULL},
    [L_CERTIFICATE] = {"certificate", rd_certificate, AT(policy_listener, key), false, 0, 0, NULL},
};

static void listener_certificate(struct load *l, struct policy_listener *li, bool given,
                                 struct pos at)
{
    bool tls = li->proto == PROTO_TLS;
    if (given && !tls)
        problem(l, at, "take it out, or make the transport tls",
                "certificate: only a tls listener has one");
    if (given || !tls)
        return;
    for (uint16_t i = 0; i < l->c->n_certs; i++) {
        if (strcmp(l->c->certs[i].name, "default") == 0) {
            li->key = i;
            return;
        }
    }
    problem(l, at, "name one, or define a certificate named \"default\"",
            "a tls listener without a certificate");
}

static void listener_end(struct load *l, void *entry, uint32_t seen, struct pos at)
{
    struct policy_listener *li = entry;
    uint16_t port = li->proto == PROTO_TLS ? 5061 : 5060;
    if (seen >> L_TRANSPORT & 1)
        listener_certificate(l, li, seen >> L_CERTIFICATE & 1, at);
    if (!li->bind.family)
        return;
    if (li->bind.port == 0)
        li->bind.port = port;
    if (!(seen >> L_ADVERTISE & 1)) {
        li->advertise = li->bind;
        if (addr_any(&li->bind))
            problem(l, at, "advertise: the address that peers reach this listener at",
                    "the address is a wildcard, so \"advertise\" is needed");
    } else if (li->advertise.family && addr_any(&li->advertise)) {
        problem(l, at, "the address that peers reach this listener at",
                "advertise: a wildcard tells peers nothing");
    }
    if (li->advertise.port == 0)
        li->advertise.port = li->bind.port;
}

void read_listeners(struct load *l, struct fy_node *n)
{
    static const struct list LIST = {"listener",    LISTENER,         ARRAY_LEN(LISTENER),
                                     &REF_LISTENER, POLICY_LISTENERS, NULL,
                                     NULL,          listener_end};
    struct list d = LIST;
    d.at = l->listener_at;
    list_read(l, n, "listeners", &d);
}

static void rd_zone_listeners(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    uint32_t bits = 0;
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it));) {
        uint8_t i = ref_find(l, &REF_LISTENER, f->key, e);
        if (i == POLICY_NONE)
            continue;
        if (bits >> i & 1)
            problem(l, pos_of(e), NULL, "%s: the same listener twice", f->key);
        bits |= UINT32_C(1) << i;
    }
    *(uint32_t *)dst = bits;
}

static void rd_sources(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct policy_zone *z = dst;
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it)) && z->n_sources < POLICY_ZONE_SOURCES;) {
        struct str s;
        if (!scalar(l, f->key, e, &s))
            continue;
        struct prefix *px = &z->sources[z->n_sources];
        if (prefix_parse(s, px) == OK)
            z->n_sources++;
        else
            problem(l, pos_of(e), "for instance 192.0.2.0/24, 2001:db8::/32 or 0.0.0.0/0",
                    "%s: \"%.*s\" is not an address or prefix", f->key, (int)MIN(s.n, 60u), s.p);
    }
}

static const struct word SUITES[] = {{"AES_CM_128_HMAC_SHA1_80", SUITE_AES_CM_128_80},
                                     {"AES_CM_128_HMAC_SHA1_32", SUITE_AES_CM_128_32},
                                     {"AES_256_CM_HMAC_SHA1_80", SUITE_AES_256_CM_80},
                                     {"AES_256_CM_HMAC_SHA1_32", SUITE_AES_256_CM_32},
                                     {"AEAD_AES_128_GCM", SUITE_GCM_128},
                                     {"AEAD_AES_256_GCM", SUITE_GCM_256},
                                     {NULL, 0}};

static void rd_suites(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    uint8_t *suites = dst;
    unsigned count = 0;
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it)) && count < SUITE_COUNT - 1;) {
        int v = word_find(l, f->key, e, SUITES);
        if (v <= 0)
            continue;
        if (memchr(suites, v, count))
            problem(l, pos_of(e), NULL, "%s: the same suite twice", f->key);
        else
            suites[count++] = (uint8_t)v;
    }
}

static const struct word SERVICES[] = {{"transfer", SERVICE_TRANSFER},
                                       {"message", SERVICE_MESSAGE},
                                       {"mwi", SERVICE_MWI},
                                       {"dialog", SERVICE_DIALOG},
                                       {"presence", SERVICE_PRESENCE},
                                       {"publish", SERVICE_PUBLISH},
                                       {NULL, 0}};
static const struct word KINDS[] = {
    {"audio", KIND_AUDIO}, {"video", KIND_VIDEO}, {"application", KIND_APPLICATION},
    {"t38", KIND_T38},     {"text", KIND_TEXT},   {NULL, 0}};

/* A list of words that are bits; more: the words. */
static void rd_bits(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    uint8_t bits = 0;
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it));) {
        int v = word_find(l, f->key, e, f->more);
        if (v > 0)
            bits |= (uint8_t)v;
    }
    *(uint8_t *)dst = bits;
}

static void rd_codecs(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct policy_zone *z = dst;
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    z->n_codecs = 0;
    for (struct fy_node *e; (e = seq_next(n, &it)) && z->n_codecs < POLICY_ZONE_CODECS;) {
        struct field one = {.key = f->key, .min = 1, .max = 30};
        struct span *sp = &z->codecs[z->n_codecs];
        *sp = SPAN_NONE;
        rd_name(l, &one, e, sp);
        z->n_codecs = (uint8_t)(z->n_codecs + (sp->len > 0));
    }
    for (unsigned i = 0; i < z->n_codecs; i++)
        for (unsigned k = 0; k < z->codecs[i].len; k++)
            l->p->text[z->codecs[i].off + k] = ascii_lower(l->p->text[z->codecs[i].off + k]);
}

static const struct word ZONE_MEDIA[] = {
    {"srtp", ZONE_SRTP}, {"rtp", ZONE_RTP}, {"either", ZONE_EITHER}, {NULL, 0}};
static const struct word CLIENT_CERT[] = {{"none", 0}, {"optional", 1}, {"required", 2}, {NULL, 0}};
static const struct word AUTHENTICATE[] = {{"no", AUTH_NO},
                                           {"false", AUTH_NO},
                                           {"yes", AUTH_DIGEST},
                                           {"true", AUTH_DIGEST},
                                           {"both", AUTH_BOTH},
                                           {"certificate", AUTH_CERT},
                                           {NULL, 0}};

static void rd_authenticate(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    int v = word_find(l, f->key, n, AUTHENTICATE);
    if (v >= 0)
        *(uint8_t *)dst = (uint8_t)v;
}

static const struct word REDIRECT[] = {{"refuse", 0}, {"follow", 1}, {NULL, 0}};
static const struct word ACCESS_DEFAULT[] = {{"allow", 0}, {"deny", 1}, {NULL, 0}};
static const struct field ZONE[] = {
    {"name", rd_name, AT(policy_zone, name), true, 1, 30, NULL},
    {"listeners", rd_zone_listeners, AT(policy_zone, listeners), true, 0, POLICY_LISTENERS, NULL},
    {"sources", rd_sources, 0, true, 0, POLICY_ZONE_SOURCES, NULL},
    {"client_certificate", rd_word, AT(policy_zone, client_cert), false, 0, 0, CLIENT_CERT},
    {"media", rd_word, AT(policy_zone, media), false, 0, 0, ZONE_MEDIA},
    {"nat", rd_bool, AT(policy_zone, nat), false, 0, 0, NULL},
    {"registration", rd_bool, AT(policy_zone, registration), false, 0, 0, NULL},
    {"authenticate", rd_authenticate, AT(policy_zone, authenticate), false, 0, 0, NULL},
    {"silent", rd_bool, AT(policy_zone, silent), false, 0, 0, NULL},
    {"srtp_suites", rd_suites, AT(policy_zone, suites), false, 0, SUITE_COUNT - 1, NULL},
    {"services", rd_bits, AT(policy_zone, services), false, 0, 6, SERVICES},
    {"media_kinds", rd_bits, AT(policy_zone, kinds), false, 1, 5, KINDS},
    {"codecs", rd_codecs, 0, false, 1, POLICY_ZONE_CODECS, NULL},
    {"redirect", rd_word, AT(policy_zone, redirect), false, 0, 0, REDIRECT},
    {"rate_per_source", rd_u32, AT(policy_zone, rate_per_source), false, 1, 1000000, NULL},
    {"access", rd_access, 0, false, 0, ACCESS_RULES, NULL},
    {"access_default", rd_word, AT(policy_zone, access_deny), false, 0, 0, ACCESS_DEFAULT},
};

static void zone_begin(void *entry)
{
    struct policy_zone *z = entry;
    z->authenticate = AUTH_DIGEST;
    z->services = SERVICE_TRANSFER;
    z->kinds = KIND_AUDIO | KIND_VIDEO;
}

void read_zones(struct load *l, struct fy_node *n)
{
    struct list d = {"zone",       ZONE,       ARRAY_LEN(ZONE), &REF_ZONE,
                     POLICY_ZONES, l->zone_at, zone_begin,      NULL};
    list_read(l, n, "zones", &d);
}

static const struct word ALLOW[] = {
    {"plain-signalling", WAIVE_PLAIN_SIGNALLING}, {"plain-media", WAIVE_PLAIN_MEDIA}, {NULL, 0}};

static void rd_allow(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it));) {
        int v = word_find(l, f->key, e, ALLOW);
        if (v > 0)
            *(uint8_t *)dst |= (uint8_t)v;
    }
}

static const struct field WAIVER[] = {
    {"name", rd_name, AT(policy_waiver, name), true, 1, 30, NULL},
    {"zone", rd_ref, AT(policy_waiver, zone), true, 0, 0, &REF_ZONE},
    {"allow", rd_allow, AT(policy_waiver, allow), true, 0, 2, NULL},
    {"owner", rd_text, AT(policy_waiver, owner), true, 1, 100, NULL},
    {"reason", rd_text, AT(policy_waiver, reason), true, 1, 200, NULL},
    {"expires", rd_date, AT(policy_waiver, expires), true, 0, 0, NULL},
};
static const struct ref_kind REF_WAIVER = {"waiver", offsetof(struct policy, waivers),
                                           sizeof(struct policy_waiver),
                                           offsetof(struct policy, n_waivers)};

static void waiver_begin(void *entry)
{
    struct policy_waiver *w = entry;
    w->zone = POLICY_NONE;
}

void read_waivers(struct load *l, struct fy_node *n)
{
    struct list d = {"waiver",       WAIVER,       ARRAY_LEN(WAIVER), &REF_WAIVER,
                     POLICY_WAIVERS, l->waiver_at, waiver_begin,      NULL};
    list_read(l, n, "waivers", &d);
}
