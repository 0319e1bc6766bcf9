/* Files of the MaxMind DB format made here, in all its record sizes; the library that everybody
 * reads them with is the oracle. */
#include "app/config/geo.h"
#include "base/test.h"
#include <maxminddb.h>
#include <netinet/in.h>
#include <unistd.h>

#define NODES 20000u
#define NONE  (-1)

/* -- a small writer -- */

struct tree {
    int32_t child[NODES][2]; /* node, NONE, or -2 - data offset */
    uint32_t n;
    uint8_t data[8192];
    uint32_t n_data;
    bool six;
};
static struct tree tree;
static uint8_t file[NODES * 8 + 16384];
static char path[] = "/tmp/ringwall-geo-XXXXXX";

static void data_str(struct tree *t, const char *s)
{
    size_t n = strlen(s);
    t->data[t->n_data++] = (uint8_t)(0x40 | n);
    memcpy(t->data + t->n_data, s, n);
    t->n_data += (uint32_t)n;
}

static void data_map(struct tree *t, unsigned n)
{
    t->data[t->n_data++] = (uint8_t)(0xe0 | n);
}

enum shape { COUNTRY_ISO, REGISTERED, CODE, PLAIN, NEITHER };
static int32_t record(struct tree *t, enum shape shape, const char *code)
{
    int32_t at = (int32_t)t->n_data;
    data_map(t, 1);
    if (shape == COUNTRY_ISO || shape == REGISTERED) {
        data_str(t, shape == COUNTRY_ISO ? "country" : "registered_country");
        data_map(t, 1);
        data_str(t, "iso_code");
    } else {
        data_str(t, shape == CODE ? "country_code" : shape == PLAIN ? "country" : "city");
    }
    data_str(t, code);
    assert_true(t->n_data < sizeof t->data);
    return -2 - at;
}

static uint32_t node_new(struct tree *t, int32_t both)
{
    assert_true(t->n < NODES);
    t->child[t->n][0] = t->child[t->n][1] = both;
    return t->n++;
}

static void tree_init(struct tree *t, bool six)
{
    memset(t, 0, sizeof *t);
    t->six = six;
    (void)node_new(t, NONE);
}

static unsigned bit(const uint8_t ip[16], unsigned i)
{
    return (unsigned)ip[i / 8] >> (7 - i % 8) & 1u;
}

/* Longer ones after shorter ones. */
static void put(struct tree *t, const uint8_t ip[16], unsigned bits, int32_t what)
{
    uint32_t node = 0;
    for (unsigned i = 0; i + 1 < bits; i++) {
        int32_t *next = &t->child[node][bit(ip, i)];
        if (*next < 0)
            *next = (int32_t)node_new(t, *next);
        node = (uint32_t)*next;
    }
    t->child[node][bit(ip, bits - 1)] = what;
}

static void put_net(struct tree *t, const char *net, int32_t what)
{
    struct prefix p = {0};
    uint8_t ip[16] = {0};
    assert_ok(prefix_parse(str_c(net), &p));
    bool low = p.a.family == ADDR_V4 && t->six;
    memcpy(ip + (low ? 12 : 0), p.a.ip, p.a.family == ADDR_V4 ? 4 : 16);
    put(t, ip, p.bits + (low ? 96u : 0u), what);
}

static void meta_key(uint8_t **p, const char *k)
{
    size_t n = strlen(k);
    *(*p)++ = (uint8_t)(0x40 | n);
    memcpy(*p, k, n);
    *p += n;
}

static void meta_num(uint8_t **p, const char *k, unsigned type, uint64_t v, unsigned bytes)
{
    meta_key(p, k);
    if (type > 7) {
        *(*p)++ = (uint8_t)bytes;
        *(*p)++ = (uint8_t)(type - 7);
    } else {
        *(*p)++ = (uint8_t)(type << 5 | bytes);
    }
    for (unsigned i = bytes; i-- > 0;)
        *(*p)++ = (uint8_t)(v >> (8 * i));
}

static uint32_t value(const struct tree *t, int32_t child)
{
    return child >= 0 ? (uint32_t)child : child == NONE ? t->n : t->n + 16 + (uint32_t)(-2 - child);
}

static size_t build(const struct tree *t, unsigned size, uint64_t epoch)
{
    static const uint8_t MARK[] = "\xab\xcd\xefMaxMind.com";
    uint8_t *p = file;
    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t l = value(t, t->child[i][0]), r = value(t, t->child[i][1]);
        uint8_t all[8] = {(uint8_t)(l >> 24), (uint8_t)(l >> 16), (uint8_t)(l >> 8), (uint8_t)l,
                          (uint8_t)(r >> 24), (uint8_t)(r >> 16), (uint8_t)(r >> 8), (uint8_t)r};
        if (size == 32) {
            memcpy(p, all, 8);
        } else if (size == 24) {
            memcpy(p, all + 1, 3);
            memcpy(p + 3, all + 5, 3);
        } else {
            memcpy(p, all + 1, 3);
            p[3] = (uint8_t)(all[0] << 4 | (all[4] & 15));
            memcpy(p + 4, all + 5, 3);
        }
        p += size / 4;
    }
    memset(p, 0, 16);
    memcpy(p + 16, t->data, t->n_data);
    p += 16 + t->n_data;
    memcpy(p, MARK, sizeof MARK - 1);
    p += sizeof MARK - 1;
    *p++ = 0xe0 | 9;
    meta_num(&p, "node_count", 6, t->n, 4);
    meta_num(&p, "record_size", 5, size, 2);
    meta_num(&p, "ip_version", 5, t->six ? 6 : 4, 2);
    meta_key(&p, "database_type");
    meta_key(&p, "Test");
    meta_key(&p, "languages");
    *p++ = 0;
    *p++ = 4;
    meta_num(&p, "binary_format_major_version", 5, 2, 2);
    meta_num(&p, "binary_format_minor_version", 5, 0, 2);
    meta_num(&p, "build_epoch", 9, epoch, 8);
    meta_key(&p, "description");
    *p++ = 0xe0;
    return (size_t)(p - file);
}

static void write_file(size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(file, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* -- the oracle -- */

static bool none_has(const struct addr *a)
{
    static const char *const NETS[] = {"0.0.0.0/8",    "10.0.0.0/8",     "100.64.0.0/10",
                                       "127.0.0.0/8",  "169.254.0.0/16", "172.16.0.0/12",
                                       "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15",
                                       "224.0.0.0/3",  "2001::/23",      "2002::/16"};
    struct prefix p = {0};
    for (size_t i = 0; i < ARRAY_LEN(NETS); i++) {
        assert_ok(prefix_parse(str_c(NETS[i]), &p));
        if (prefix_has(&p, a))
            return true;
    }
    return a->family == ADDR_V6 && a->ip[0] >> 5 != 1;
}

static uint16_t oracle(MMDB_s *db, const struct addr *a)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct sockaddr_in four = {.sin_family = AF_INET};
    int e = 0;
    memcpy(&six.sin6_addr, a->ip, 16);
    memcpy(&four.sin_addr, a->ip, 4);
    if (none_has(a) || (a->family == ADDR_V6 && db->metadata.ip_version == 4))
        return 0;
    MMDB_lookup_result_s r = MMDB_lookup_sockaddr(
        db, a->family == ADDR_V4 ? (const struct sockaddr *)&four : (const struct sockaddr *)&six,
        &e);
    assert_int_equal(e, MMDB_SUCCESS);
    MMDB_entry_data_s d;
    if (!r.found_entry || MMDB_get_value(&r.entry, &d, "country", "iso_code", NULL) != MMDB_SUCCESS)
        return 0;
    return (uint16_t)(d.utf8_string[0] << 8 | d.utf8_string[1]);
}

static uint64_t seed = 7;
static uint32_t dice(uint32_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % n;
}

static void compare(const struct geo *g, MMDB_s *db, const struct addr *a)
{
    uint16_t want = oracle(db, a), got = geo_country(g, a);
    if (want != got) {
        char text[64];
        struct out o = out_of(text, sizeof text);
        addr_put_ip(&o, a);
        print_error("%.*s: %04x, and the oracle says %04x\n", (int)o.n, text, got, want);
    }
    assert_int_equal(got, want);
}

/* Both sides of both ends of a network. */
static void edges(const struct geo *g, MMDB_s *db, const struct prefix *p)
{
    unsigned n = p->a.family == ADDR_V4 ? 4 : 8;
    uint64_t first = 0;
    for (unsigned i = 0; i < n; i++)
        first = first << 8 | p->a.ip[i];
    uint64_t size = p->bits >= n * 8 ? 1 : UINT64_C(1) << (n * 8 - p->bits);
    const uint64_t at[] = {first - 1, first, first + size - 1, first + size};
    for (size_t k = 0; k < ARRAY_LEN(at); k++) {
        struct addr a = {.family = p->a.family};
        for (unsigned i = 0; i < n; i++)
            a.ip[i] = (uint8_t)(at[k] >> (8 * (n - 1 - i)));
        compare(g, db, &a);
    }
}

static struct prefix nets[1200];
static unsigned random_nets(struct tree *t, bool six, unsigned from)
{
    static const char *const CODES[] = {"DE", "AT", "CH", "FR", "US", "CN"};
    unsigned n = from;
    int32_t what[ARRAY_LEN(CODES)];
    for (size_t i = 0; i < ARRAY_LEN(CODES); i++)
        what[i] = record(t, COUNTRY_ISO, CODES[i]);
    for (unsigned bits = six ? 12 : 4; bits <= (six ? 64u : 32u); bits++)
        for (unsigned k = 0; k < 8 && n < ARRAY_LEN(nets); k++) {
            char text[64];
            struct out o = out_of(text, sizeof text);
            if (six)
                out_fmt(&o, "2%03x:%x:%x:%x::/%u", dice(2) ? dice(16) : dice(4096), dice(8),
                        dice(65536), dice(65536), bits);
            else
                out_fmt(&o, "%u.%u.%u.%u/%u", dice(4) ? 1 + dice(230) : 192, dice(256), dice(256),
                        dice(256), bits);
            assert_ok(prefix_parse(out_str(&o), &nets[n]));
            uint8_t ip[16] = {0};
            unsigned low = !six && t->six ? 12 : 0;
            memcpy(ip + low, nets[n].a.ip, six ? 16 : 4);
            put(t, ip, nets[n].bits + low * 8, what[dice(ARRAY_LEN(CODES))]);
            n++;
        }
    return n;
}

/* What real files have: the IPv4 tree again at its other names. */
static void aliases(struct tree *t)
{
    uint32_t v4 = 0;
    uint8_t ip[16] = {0};
    for (unsigned i = 0; i < 96; i++) {
        assert_true(t->child[v4][0] >= 0);
        v4 = (uint32_t)t->child[v4][0];
    }
    ip[10] = ip[11] = 0xff;
    put(t, ip, 96, (int32_t)v4);
    memset(ip, 0, sizeof ip);
    ip[0] = 0x20;
    ip[1] = 0x02;
    put(t, ip, 16, (int32_t)v4);
    ip[1] = 0x01;
    put(t, ip, 32, (int32_t)v4);
}

static void against_the_library(void **state)
{
    static const unsigned SIZES[] = {24, 28, 32};
    (void)state;
    for (unsigned round = 0; round < 6; round++) {
        bool six = round < 3;
        tree_init(&tree, six);
        unsigned n = random_nets(&tree, false, 0);
        if (six)
            n = random_nets(&tree, true, n);
        if (six)
            aliases(&tree);
        write_file(build(&tree, SIZES[round % 3], 1790000000));
        struct geo *g = NULL;
        size_t bytes = 0;
        const char *why = "";
        MMDB_s db;
        assert_ok(geo_file_read(path, &g, &bytes, &why));
        assert_ok(geo_valid(g, bytes));
        assert_int_equal(bytes, geo_bytes(g->n4, g->n6));
        assert_int_equal(g->built_us, INT64_C(1790000000) * 1000000);
        assert_true(g->n4 > 100);
        assert_int_equal(g->n6 > 100, six);
        assert_int_equal(MMDB_open(path, MMDB_MODE_MMAP, &db), MMDB_SUCCESS);
        for (unsigned i = 0; i < n; i++)
            edges(g, &db, &nets[i]);
        for (unsigned i = 0; i < 20000; i++) {
            struct addr a = {.family = i % 2 ? ADDR_V4 : ADDR_V6};
            for (unsigned k = 0; k < (i % 2 ? 4u : 8u); k++)
                a.ip[k] = (uint8_t)dice(256);
            if (i % 4 == 0)
                a.ip[0] = 0x20;
            compare(g, &db, &a);
        }
        MMDB_close(&db);
        free(g);
    }
}

static uint16_t country(const struct geo *g, const char *ip)
{
    struct addr a = {0};
    assert_ok(addr_parse_ip(str_c(ip), &a));
    return geo_country(g, &a);
}

static void forms_of_records(void **state)
{
    (void)state;
    tree_init(&tree, true);
    put_net(&tree, "192.0.2.0/26", record(&tree, COUNTRY_ISO, "DE"));
    put_net(&tree, "192.0.2.64/26", record(&tree, REGISTERED, "AT"));
    put_net(&tree, "192.0.2.128/26", record(&tree, CODE, "CH"));
    put_net(&tree, "192.0.2.192/26", record(&tree, PLAIN, "FR"));
    put_net(&tree, "198.51.100.0/25", record(&tree, NEITHER, "US"));
    put_net(&tree, "198.51.100.128/25", record(&tree, CODE, "us"));
    put_net(&tree, "203.0.113.0/24", record(&tree, CODE, "USA"));
    put_net(&tree, "10.0.0.0/7", record(&tree, CODE, "IT"));
    put_net(&tree, "2001:db8::/65", record(&tree, CODE, "ES"));
    put_net(&tree, "2001:db9::/64", record(&tree, CODE, "ES"));
    write_file(build(&tree, 28, 1));
    struct geo *g = NULL;
    size_t bytes = 0;
    const char *why = "";
    assert_ok(geo_file_read(path, &g, &bytes, &why));
    assert_int_equal(country(g, "192.0.2.63"), 'D' << 8 | 'E');
    assert_int_equal(country(g, "192.0.2.64"), 'A' << 8 | 'T');
    assert_int_equal(country(g, "192.0.2.128"), 'C' << 8 | 'H');
    assert_int_equal(country(g, "192.0.2.255"), 'F' << 8 | 'R');
    assert_int_equal(country(g, "198.51.100.1"), 0);
    assert_int_equal(country(g, "198.51.100.200"), 0);
    assert_int_equal(country(g, "203.0.113.1"), 0);
    assert_int_equal(country(g, "10.255.255.255"), 0);
    assert_int_equal(country(g, "11.0.0.0"), 'I' << 8 | 'T');
    assert_int_equal(country(g, "2001:db8::1"), 0);
    assert_int_equal(country(g, "2001:db9::1"), 'E' << 8 | 'S');
    free(g);
}

/* The same country beside itself is one range. */
static void neighbours_merge(void **state)
{
    (void)state;
    tree_init(&tree, false);
    int32_t de = record(&tree, CODE, "DE"), again = record(&tree, COUNTRY_ISO, "DE");
    for (unsigned i = 0; i < 256; i++) {
        char net[32];
        assert_true(snprintf(net, sizeof net, "198.51.100.%u/32", i) > 0);
        put_net(&tree, net, i % 2 ? de : again);
    }
    write_file(build(&tree, 24, 1));
    struct geo *g = NULL;
    size_t bytes = 0;
    const char *why = "";
    assert_ok(geo_file_read(path, &g, &bytes, &why));
    assert_int_equal(g->n4, 1);
    assert_int_equal(g->n6, 0);
    assert_int_equal(country(g, "198.51.100.255"), 'D' << 8 | 'E');
    assert_int_equal(country(g, "198.51.101.0"), 0);
    free(g);
}

static void all_of_ipv4_is_one_record(void **state)
{
    (void)state;
    tree_init(&tree, true);
    uint8_t zero[16] = {0};
    put(&tree, zero, 90, record(&tree, CODE, "DE"));
    write_file(build(&tree, 24, 1));
    struct geo *g = NULL;
    size_t bytes = 0;
    const char *why = "";
    assert_ok(geo_file_read(path, &g, &bytes, &why));
    assert_int_equal(country(g, "192.0.2.1"), 'D' << 8 | 'E');
    assert_int_equal(country(g, "10.0.0.1"), 0);
    free(g);
}

static void bad_files(void **state)
{
    (void)state;
    struct geo *g = NULL;
    size_t bytes = 0, n;
    struct wall built = {0};
    const char *why = "";
    assert_err(geo_file_read("/nonexistent/x.mmdb", &g, &bytes, &why), ERR_SYSTEM);
    assert_string_equal(why, "it cannot be read");
    assert_err(geo_file_built("/nonexistent/x.mmdb", &built, &why), ERR_SYSTEM);
    memset(file, 'x', 4096);
    write_file(4096);
    assert_err(geo_file_read(path, &g, &bytes, &why), ERR_SYNTAX);
    assert_string_equal(why, "it is not a MaxMind DB file");
    assert_err(geo_file_built(path, &built, &why), ERR_SYNTAX);

    tree_init(&tree, false);
    put_net(&tree, "192.0.2.0/24", record(&tree, NEITHER, "DE"));
    write_file(build(&tree, 24, 5));
    assert_err(geo_file_read(path, &g, &bytes, &why), ERR_NOT_FOUND);
    assert_string_equal(why, "it holds no country");
    assert_ok(geo_file_built(path, &built, &why));
    assert_int_equal(built.us, 5000000);

    /* a tree that leads back to itself: 2^31 ways through it */
    tree_init(&tree, false);
    tree.child[0][0] = tree.child[0][1] = (int32_t)node_new(&tree, 1);
    n = build(&tree, 24, 5);
    write_file(n);
    assert_err(geo_file_read(path, &g, &bytes, &why), ERR_LIMIT);
    assert_string_equal(why, "its tree is too large or does not end");

    /* cut anywhere, it is refused or read, and nothing else happens */
    tree_init(&tree, true);
    (void)random_nets(&tree, false, 0);
    n = build(&tree, 28, 5);
    for (size_t cut = 1; cut < n; cut += n / 97) {
        write_file(n - cut);
        if (geo_file_read(path, &g, &bytes, &why) == OK)
            free(g);
    }
    /* and with any byte changed */
    for (unsigned i = 0; i < 300; i++) {
        size_t at = dice((uint32_t)n);
        uint8_t was = file[at];
        file[at] = (uint8_t)dice(256);
        write_file(n);
        if (geo_file_read(path, &g, &bytes, &why) == OK)
            free(g);
        file[at] = was;
    }
}

static int begin(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int end(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_the_library), cmocka_unit_test(forms_of_records),
        cmocka_unit_test(neighbours_merge),    cmocka_unit_test(all_of_ipv4_is_one_record),
        cmocka_unit_test(bad_files),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
