#include "io/rand.h"
#include "io/xdp_in.h"
#include "io/xdp_object.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static const char *const map_names[MAPS] = {"cfg",     "sip",   "media", "local",
                                            "bans",    "nets4", "nets6", "exempt4",
                                            "exempt6", "rates", "counts"};
bool xdp_built(void)
{
    return sizeof xdp_object > 1;
}

/* -- what libbpf says: its last complaint is the reason that people are given -- */

static char complaint[256];
static int hear(enum libbpf_print_level level, const char *fmt, va_list ap) PRINTF(2, 0);
static int hear(enum libbpf_print_level level, const char *fmt, va_list ap)
{
    char text[256];
    if (level != LIBBPF_WARN)
        return 0;
    int n = vsnprintf(text, sizeof text, fmt, ap);
    struct str s = str_trim(str_of(text, MIN((size_t)MAX(n, 0), sizeof text - 1)));
    if (s.n && str_find(s, '\n') == s.n) /* not the verifier's pages */
        (void)snprintf(complaint, sizeof complaint, STR_FMT, STR_ARG(s));
    return 0;
}

/* -- maps by key -- */

static int map_put(const struct xdp *x, enum map m, const void *key, const void *v)
{
    return bpf_map_update_elem(x->map[m], key, v, BPF_ANY);
}

/* Key in the table; 0: it is for a trie. */
static uint64_t cell_key(const struct prefix *p)
{
    uint64_t k = 0;
    uint32_t v4;
    memcpy(&v4, p->a.ip, 4);
    memcpy(&k, p->a.ip, 8);
    if (p->a.family == ADDR_V4)
        return p->bits == 32 ? xdp_key4(v4) : 0;
    return p->bits == 64 && k != XDP_GONE ? k : 0;
}

static enum map trie_key(const struct prefix *p, uint8_t ret[24])
{
    struct xdp_lpm4 k4 = {p->bits, {0}};
    struct xdp_lpm6 k6 = {p->bits, {0}};
    memcpy(k4.ip, p->a.ip, 4);
    memcpy(k6.ip, p->a.ip, 16);
    if (p->a.family == ADDR_V4)
        memcpy(ret, &k4, sizeof k4);
    else
        memcpy(ret, &k6, sizeof k6);
    return p->a.family == ADDR_V4 ? M_NET4 : M_NET6;
}

static struct xdp_cell *cell_of(const struct xdp *x, const struct prefix *p)
{
    uint64_t key = cell_key(p);
    return key ? xdp_table_find(x->table, x->cfg.lines, x->cfg.bans_seed, key) : NULL;
}

static enum err put_cfg(struct xdp *x)
{
    uint32_t zero = 0, keep = x->cfg.flags & ~(uint32_t)(XDP_NETS4 | XDP_NETS6);
    x->cfg.flags = keep | (x->nets4 ? XDP_NETS4 : 0) | (x->nets6 ? XDP_NETS6 : 0);
    return map_put(x, M_CFG, &zero, &x->cfg) == 0 ? OK : ERR_SYSTEM;
}

static uint32_t map_count(const struct xdp *x, enum map m)
{
    uint8_t a[24], b[24];
    uint32_t n = 0;
    for (void *at = NULL; bpf_map_get_next_key(x->map[m], at, b) == 0 && n < UINT32_MAX; n++) {
        memcpy(a, b, sizeof a);
        at = a;
    }
    return n;
}

static void map_empty(const struct xdp *x, enum map m)
{
    uint8_t key[24];
    while (bpf_map_get_next_key(x->map[m], NULL, key) == 0 &&
           bpf_map_delete_elem(x->map[m], key) == 0)
        ;
}

/* -- pins -- */

static bool remove_in(const char *dir, const char *prefix)
{
    DIR *d = opendir(dir);
    bool found = false;
    for (struct dirent *f = d ? readdir(d) : NULL; f; f = readdir(d))
        if (f->d_name[0] != '.' && strncmp(f->d_name, prefix, strlen(prefix)) == 0)
            found = unlinkat(dirfd(d), f->d_name, 0) == 0 || found;
    if (d)
        (void)closedir(d);
    return found;
}

bool xdp_remove_pins(const char *pins)
{
    bool links = remove_in(pins, "link-"); /* first: they hold the program on the interface */
    bool maps = remove_in(pins, "");
    return (rmdir(pins) == 0) | links | maps;
}

static bool pin_folder(struct xdp *x, const char *pins)
{
    char dir[256];
    struct statfs fs;
    int n = snprintf(dir, sizeof dir, "%s", pins);
    char *slash = strrchr(dir, '/');
    if (n <= 0 || (size_t)n >= sizeof dir || !slash)
        return false;
    *slash = 0;
    if (statfs(dir, &fs) != 0 || fs.f_type != BPF_FS_MAGIC)
        return false;
    if (mkdir(pins, 0700) != 0 && errno != EEXIST)
        return false;
    (void)snprintf(x->pins, sizeof x->pins, "%s", pins);
    return true;
}

/* -- loading -- */

static enum err open_object(struct xdp *x)
{
    LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "ringwall");
    x->object = bpf_object__open_mem(xdp_object, sizeof xdp_object, &opts);
    if (!x->object)
        return ERR_SYSTEM;
    for (int i = 0; i < MAPS; i++) {
        struct bpf_map *m = bpf_object__find_map_by_name(x->object, map_names[i]);
        char path[320];
        if (!m)
            return ERR_SYSTEM;
        if (i == M_BANS && bpf_map__set_max_entries(m, x->cfg.lines) != 0)
            return ERR_SYSTEM;
        if (x->pins[0] &&
            (!xdp_pin_path(x, "", map_names[i], path) || bpf_map__set_pin_path(m, path)))
            return ERR_SYSTEM;
    }
    return OK;
}

static enum err load_object(struct xdp *x)
{
    if (bpf_object__load(x->object) != 0)
        return ERR_SYSTEM;
    for (int i = 0; i < MAPS; i++)
        x->map[i] = bpf_object__find_map_fd_by_name(x->object, map_names[i]);
    struct bpf_program *p = bpf_object__find_program_by_name(x->object, "ringwall");
    x->prog = p ? bpf_program__fd(p) : -1;
    if (x->prog < 0)
        return ERR_SYSTEM;
    x->table_bytes = (size_t)x->cfg.lines * sizeof(struct xdp_line);
    void *t = mmap(NULL, x->table_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, x->map[M_BANS], 0);
    x->table = t == MAP_FAILED ? NULL : t;
    return x->table ? OK : ERR_SYSTEM;
}

/* Maps of an earlier start whose layout is ours? */
static bool pins_fit(struct xdp *x)
{
    char path[320];
    struct xdp_cfg c;
    struct bpf_map_info info = {0};
    uint32_t zero = 0, n = sizeof info;
    if (!xdp_pin_path(x, "", map_names[M_CFG], path))
        return false;
    int fd = bpf_obj_get(path);
    bool fits = fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &n) == 0 &&
                info.value_size == sizeof c && bpf_map_lookup_elem(fd, &zero, &c) == 0 &&
                c.layout == XDP_LAYOUT && c.lines == x->cfg.lines;
    if (fits) {
        x->cfg.bans_seed = c.bans_seed;
        x->cfg.turn = (c.turn + 1) & 15;
    }
    if (fd >= 0)
        (void)close(fd);
    return fits;
}

static enum err load(struct xdp *x)
{
    x->taken_over = x->pins[0] && pins_fit(x);
    if (x->pins[0] && !x->taken_over) {
        (void)remove_in(x->pins, "link-");
        (void)remove_in(x->pins, "");
    }
    enum err e = open_object(x);
    if (e == OK)
        e = load_object(x);
    if (e == OK || !x->taken_over)
        return e;
    /* pins that cannot be used after all, of another size perhaps */
    bpf_object__close(x->object);
    x->object = NULL;
    x->taken_over = false;
    (void)remove_in(x->pins, "link-");
    (void)remove_in(x->pins, "");
    e = open_object(x);
    return e == OK ? load_object(x) : e;
}

enum err xdp_open(const struct xdp_opts *o, struct xdp **ret_x, struct out *ret_why)
{
    if (!xdp_built()) {
        OUT_LIT(ret_why, "built without the program for the kernel");
        return ERR_UNSUPPORTED;
    }
    struct xdp *x = calloc(1, sizeof *x);
    if (!x)
        return ERR_FULL;
    x->prog = -1;
    for (x->cfg.lines = 1; x->cfg.lines < (o->bans ? o->bans : XDP_BANS);)
        x->cfg.lines *= 2;
    for (size_t i = 0; i < XDP_INTERFACES; i++)
        x->hook[i].link = -1;
    complaint[0] = 0;
    (void)libbpf_set_print(hear);
    if (o->pins)
        (void)pin_folder(x, o->pins);
    if (rand_bytes(&x->cfg.bans_seed, sizeof x->cfg.bans_seed) != OK || load(x) != OK) {
        int why = errno;
        out_fmt(ret_why, "the kernel does not take the program: %s",
                complaint[0] ? complaint : strerror(why));
        xdp_close(x, true);
        return ERR_SYSTEM;
    }
    x->nets4 = x->taken_over ? map_count(x, M_NET4) : 0;
    x->nets6 = x->taken_over ? map_count(x, M_NET6) : 0;
    x->sweeping = x->taken_over ? 0 : 3;
    *ret_x = x;
    return OK;
}

bool xdp_taken_over(const struct xdp *x)
{
    return x->taken_over;
}
bool xdp_pinned(const struct xdp *x)
{
    return x->pins[0] != 0;
}

void xdp_close(struct xdp *x, bool remove)
{
    if (!x)
        return;
    if (remove && x->pins[0])
        (void)xdp_remove_pins(x->pins);
    for (size_t i = 0; i < XDP_INTERFACES; i++)
        if (x->hook[i].link >= 0)
            (void)close(x->hook[i].link);
    if (x->table)
        (void)munmap(x->table, x->table_bytes);
    if (x->object)
        bpf_object__close(x->object);
    free(x);
}

/* -- configuration -- */

enum err xdp_set(struct xdp *x, const struct xdp_cfg *c)
{
    struct xdp_cfg old = x->cfg;
    uint32_t exempt = old.flags & XDP_EXEMPT;
    x->cfg = *c;
    x->cfg.layout = XDP_LAYOUT;
    x->cfg.lines = old.lines;
    x->cfg.turn = old.turn;
    x->cfg.bans_seed = old.bans_seed;
    x->cfg.flags = (c->flags & ~(uint32_t)XDP_EXEMPT) | exempt;
    return put_cfg(x);
}

enum err xdp_set_sip(struct xdp *x, const uint8_t by_port[65536])
{
    uint32_t zero = 0;
    return map_put(x, M_SIP, &zero, by_port) == 0 ? OK : ERR_SYSTEM;
}

enum err xdp_set_local(struct xdp *x, const struct addr *a, size_t n)
{
    uint8_t one = 1;
    map_empty(x, M_LOCAL);
    for (size_t i = 0; i < n; i++) {
        uint8_t key[16] = {0};
        if (a[i].family == ADDR_V4) {
            key[10] = key[11] = 0xff;
            memcpy(key + 12, a[i].ip, 4);
        } else {
            memcpy(key, a[i].ip, 16);
        }
        if (map_put(x, M_LOCAL, key, &one) != 0)
            return ERR_FULL;
    }
    return OK;
}

enum err xdp_set_exempt(struct xdp *x, const struct prefix *p, size_t n)
{
    uint32_t one = 1;
    map_empty(x, M_EX4);
    map_empty(x, M_EX6);
    for (size_t i = 0; i < n; i++) {
        struct xdp_lpm4 k4 = {p[i].bits, {0}};
        struct xdp_lpm6 k6 = {p[i].bits, {0}};
        bool v4 = p[i].a.family == ADDR_V4;
        memcpy(k4.ip, p[i].a.ip, 4);
        memcpy(k6.ip, p[i].a.ip, 16);
        if ((v4 ? map_put(x, M_EX4, &k4, &one) : map_put(x, M_EX6, &k6, &one)) != 0)
            return ERR_FULL;
    }
    x->cfg.flags = (x->cfg.flags & ~(uint32_t)XDP_EXEMPT) | (n ? XDP_EXEMPT : 0);
    return put_cfg(x);
}

int xdp_media_fd(const struct xdp *x)
{
    return x->map[M_MEDIA];
}

void xdp_media_clear(struct xdp *x)
{
    static const uint8_t none[65536];
    uint32_t zero = 0;
    (void)map_put(x, M_MEDIA, &zero, none);
}

/* -- bans -- */

enum err xdp_ban(struct xdp *x, const struct prefix *p, struct dur left, struct instant now)
{
    uint64_t key = cell_key(p);
    int64_t end_us = now.us + left.us;
    if (key) {
        int64_t s = left.us > 0 ? MIN(MAX(end_us / 1000000 + 1, 1), XDP_UNTIL_MAX) : 0;
        return xdp_table_put(x->table, x->cfg.lines, x->cfg.bans_seed, key, (uint32_t)s,
                             x->cfg.turn);
    }
    uint8_t k[24] = {0};
    enum map m = trie_key(p, k);
    struct xdp_ban b = {.turn = x->cfg.turn}, old;
    bool was = bpf_map_lookup_elem(x->map[m], k, &old) == 0;
    b.until = left.us > 0 ? (uint64_t)end_us * 1000u : 0;
    b.hits = was ? old.hits : 0;
    if (map_put(x, m, k, &b) != 0)
        return errno == E2BIG || errno == ENOSPC ? ERR_FULL : ERR_SYSTEM;
    uint32_t *nets = m == M_NET4 ? &x->nets4 : &x->nets6;
    if (!was && (*nets)++ == 0)
        return put_cfg(x);
    return OK;
}

static void forget(struct xdp *x, enum map m, const void *key)
{
    if (bpf_map_delete_elem(x->map[m], key) != 0)
        return;
    uint32_t *nets = m == M_NET4 ? &x->nets4 : &x->nets6;
    if (*nets && --*nets == 0)
        (void)put_cfg(x);
}

void xdp_release(struct xdp *x, const struct prefix *p)
{
    uint8_t key[24] = {0};
    struct xdp_cell *c = cell_of(x, p);
    if (c)
        xdp_table_free(x->table, c);
    if (cell_key(p) == 0)
        forget(x, trie_key(p, key), key);
}

uint64_t xdp_hits(const struct xdp *x, const struct prefix *p)
{
    uint8_t key[24] = {0};
    struct xdp_ban b;
    const struct xdp_cell *c = cell_of(x, p);
    if (c)
        return __atomic_load_n(&c->hits, __ATOMIC_RELAXED);
    if (cell_key(p) != 0)
        return 0;
    enum map m = trie_key(p, key);
    return bpf_map_lookup_elem(x->map[m], key, &b) == 0 ? b.hits : 0;
}

static void sweep_line(struct xdp *x, struct xdp_line *l)
{
    for (uint32_t i = 0; i < XDP_WAYS; i++) {
        struct xdp_cell *c = &l->cell[i];
        if (c->key != 0 && c->key != XDP_GONE && c->until >> XDP_TURN_SHIFT != x->cfg.turn)
            xdp_table_free(x->table, c);
    }
}

static void sweep_trie(struct xdp *x, enum map m)
{
    uint8_t next[24];
    struct xdp_ban b;
    bool more = bpf_map_get_next_key(x->map[m], x->sweep_began ? x->sweep_key : NULL, next) == 0;
    if (x->sweep_began && bpf_map_lookup_elem(x->map[m], x->sweep_key, &b) == 0 &&
        b.turn != x->cfg.turn)
        forget(x, m, x->sweep_key);
    memcpy(x->sweep_key, next, sizeof next);
    x->sweep_began = more;
    x->sweeping += !more;
}

bool xdp_sweep(struct xdp *x, uint32_t n)
{
    for (; n && x->sweeping < 3; n--) {
        if (x->sweeping)
            sweep_trie(x, x->sweeping == 1 ? M_NET4 : M_NET6);
        else if (x->sweep_line < x->cfg.lines)
            sweep_line(x, &x->table[x->sweep_line++]);
        else
            x->sweeping = 1;
    }
    return x->sweeping == 3;
}

/* -- counters, and trying it -- */

static unsigned cpus(void)
{
    int n = libbpf_num_possible_cpus();
    return n > 0 ? MIN((unsigned)n, 1024u) : 1;
}

void xdp_counts(const struct xdp *x, uint64_t ret[XDP_COUNTS])
{
    uint64_t each[1024];
    unsigned n = cpus();
    for (uint32_t i = 0; i < XDP_COUNTS; i++) {
        ret[i] = 0;
        if (bpf_map_lookup_elem(x->map[M_COUNTS], &i, each) == 0)
            for (unsigned k = 0; k < n; k++)
                ret[i] += each[k];
    }
}

void xdp_counts_set(struct xdp *x, const uint64_t v[XDP_COUNTS])
{
    for (uint32_t i = 0; i < XDP_COUNTS; i++) {
        uint64_t each[1024] = {v[i]};
        (void)map_put(x, M_COUNTS, &i, each);
    }
}

enum err xdp_run(const struct xdp *x, const void *frame, size_t n, uint32_t times, bool *ret_drop,
                 uint32_t *ret_ns)
{
    LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame, .data_size_in = (uint32_t)n,
                .repeat = (int)times);
    if (bpf_prog_test_run_opts(x->prog, &o) != 0)
        return ERR_SYSTEM;
    *ret_drop = o.retval == XDP_DROP;
    *ret_ns = o.duration;
    return OK;
}
