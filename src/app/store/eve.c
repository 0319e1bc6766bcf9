/* Alerts and bans as lines of EVE JSON, the form that Suricata writes and log collectors read:
 * eve.json in the store's folder, closed by size as eve.000000000001.json and so on. It is no proof
 * (that is the chained event log): it is gathered in memory, written with the batch, and after a
 * crash of the store the lines of one batch may stand there twice. ASCII only: whatever a peer
 * wrote in a name cannot steer a terminal. */
#include "app/store/store.h"
#include "guard/rules.h"
#include "sip/flow.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EVE_BUFFER (256u << 10)
#define EVE_LINE   8192u
#define EVE_NAME   32u
#define EVE_GID    200u /* of detectors: their signature_id is their number, from 1 */

/* -- the file -- */

static bool file_number(const char *name, uint64_t *ret_n)
{
    struct str s = str_c(name);
    return str_starts(s, STR("eve.")) && str_ends(s, STR(".json")) && s.n > 9 &&
           str_u64(str_of(s.p + 4, s.n - 9), UINT64_MAX - 1, ret_n) == OK;
}

/* Closed files: the lowest and the highest number, how many. */
static uint32_t closed(int dir, uint64_t *ret_low, uint64_t *ret_high)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    uint32_t n = 0;
    uint64_t v;
    *ret_low = UINT64_MAX;
    *ret_high = 0;
    if (!d && fd >= 0)
        (void)close(fd);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!file_number(e->d_name, &v))
            continue;
        n++;
        *ret_low = MIN(*ret_low, v);
        *ret_high = MAX(*ret_high, v);
    }
    if (d)
        (void)closedir(d);
    return n;
}

/* A line that a crash left without its end is closed by a line break: readers drop that one. */
static bool current(struct eve *e, int dir)
{
    struct stat st;
    char last = '\n';
    e->fd = openat(dir, "eve.json", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (e->fd < 0 || fstat(e->fd, &st) != 0)
        return false;
    e->bytes = (uint64_t)st.st_size;
    if (e->bytes && pread(e->fd, &last, 1, (off_t)(e->bytes - 1)) == 1 && last != '\n' &&
        write(e->fd, "\n", 1) == 1)
        e->bytes++;
    return true;
}

enum err eve_open(struct eve *e, int dir, uint64_t max_bytes, uint32_t keep_files)
{
    memset(e, 0, sizeof *e);
    e->fd = -1;
    e->max_bytes = max_bytes;
    e->keep_files = keep_files;
    e->buf = malloc(EVE_BUFFER);
    return e->buf && current(e, dir) ? OK : ERR_SYSTEM;
}

void eve_close(struct eve *e)
{
    if (e->fd >= 0)
        (void)close(e->fd);
    free(e->buf);
    e->fd = -1;
    e->buf = NULL;
}

static void rotate(struct eve *e, int dir)
{
    char name[EVE_NAME];
    uint64_t low, high;
    uint32_t n = closed(dir, &low, &high);
    (void)snprintf(name, sizeof name, "eve.%012llu.json", (unsigned long long)high + 1);
    if (renameat(dir, "eve.json", dir, name) != 0)
        return; /* it grows on; the next flush tries again */
    for (n++; n > e->keep_files && low <= high; low++) {
        (void)snprintf(name, sizeof name, "eve.%012llu.json", (unsigned long long)low);
        n -= unlinkat(dir, name, 0) == 0;
    }
    (void)close(e->fd);
    e->fd = -1;
    (void)current(e, dir);
}

bool eve_flush(struct eve *e, int dir)
{
    size_t done = 0;
    if (!e->n)
        return true;
    if (e->fd < 0 && !current(e, dir))
        done = 0;
    while (e->fd >= 0 && done < e->n) {
        ssize_t n = write(e->fd, e->buf + done, e->n - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    bool ok = done == e->n;
    e->bytes += done;
    e->lost += ok ? 0 : e->lines;
    e->n = 0;
    e->lines = 0;
    if (e->bytes >= e->max_bytes)
        rotate(e, dir);
    return ok;
}

/* -- texts -- */

static void unit(struct out *o, uint32_t u)
{
    uint8_t b[2] = {(uint8_t)(u >> 8), (uint8_t)u};
    OUT_LIT(o, "\\u");
    out_hex(o, b, 2);
}

/* The code point at p and its length; a byte that begins none stands for itself. */
static size_t point_at(const uint8_t *p, size_t n, uint32_t *ret_c)
{
    size_t len = p[0] >= 0xf0 && p[0] < 0xf5   ? 4
                 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
                 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                                               : 1;
    uint32_t c = len == 1 ? p[0] : p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if (i >= n || (p[i] & 0xc0) != 0x80) {
            *ret_c = p[0];
            return 1;
        }
        c = c << 6 | (p[i] & 0x3fu);
    }
    if ((len == 3 && c < 0x800) || (len == 4 && (c < 0x10000 || c > 0x10ffff)) ||
        (c >= 0xd800 && c <= 0xdfff)) {
        *ret_c = p[0];
        return 1;
    }
    *ret_c = c;
    return len;
}

void eve_text(struct out *o, struct str key, struct str v)
{
    if (!v.n)
        return;
    out_json_key(o, key);
    out_ch(o, '"');
    for (size_t i = 0; i < v.n;) {
        uint32_t c;
        size_t len = point_at((const uint8_t *)v.p + i, v.n - i, &c);
        i += len;
        if (c == '"' || c == '\\') {
            out_ch(o, '\\');
            out_ch(o, (char)c);
        } else if (c >= 0x20 && c < 0x7f) {
            out_ch(o, (char)c);
        } else if (c < 0x10000) {
            unit(o, c);
        } else {
            unit(o, 0xd800 + ((c - 0x10000) >> 10));
            unit(o, 0xdc00 + ((c - 0x10000) & 0x3ff));
        }
    }
    out_ch(o, '"');
}

static void time_member(struct out *o, int64_t us)
{
    time_t s = (time_t)(us / 1000000);
    struct tm tm;
    char day[24] = "1970-01-01T00:00:00", text[48];
    if (gmtime_r(&s, &tm))
        (void)strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(text, sizeof text, "%s.%06lld+0000", day, (long long)(us % 1000000));
    out_json_kstr(o, STR("timestamp"), str_c(text));
}

static void address(struct out *o, struct str ip, struct str port, const struct addr *a)
{
    char text[ADDR_TEXT_MAX];
    struct out t = out_of(text, sizeof text);
    if (a->family == ADDR_NONE)
        return;
    addr_put_ip(&t, a);
    out_json_kstr(o, ip, out_str(&t));
    if (port.n)
        out_json_ku64(o, port, a->port);
}

/* The same for all that comes from one address and port by one transport to one of ours; as an
 * integer that JavaScript can hold. */
static uint64_t flow_id(const struct addr *a, const struct addr *b, uint8_t proto)
{
    static const struct sipkey KEY = {0x72696e67, 0x77616c6c};
    uint8_t w[2 * 18 + 1];
    for (unsigned i = 0; i < 2; i++) {
        const struct addr *x = i ? b : a;
        w[i * 18] = (uint8_t)(x->port >> 8);
        w[i * 18 + 1] = (uint8_t)x->port;
        memcpy(w + i * 18 + 2, x->ip, 16);
    }
    w[36] = proto;
    return siphash(&KEY, str_of((const char *)w, sizeof w)) >> 11;
}

static struct out begin(struct eve *e, int dir, int64_t us)
{
    if (EVE_BUFFER - e->n < EVE_LINE)
        (void)eve_flush(e, dir);
    struct out o = out_of(e->buf + e->n, EVE_LINE);
    out_ch(&o, '{');
    time_member(&o, us);
    return o;
}

static void end(struct eve *e, struct out *o)
{
    OUT_LIT(o, "}\n");
    if (o->full) {
        e->lost++;
        return;
    }
    e->n += o->n;
    e->lines++;
}

/* -- events -- */

static bool blocked(const struct fact *f)
{
    if (f->u.alert.dry)
        return false;
    return f->u.alert.by == BY_RULE
               ? f->u.alert.action == RULE_DROP || f->u.alert.action == RULE_REJECT
               : f->u.alert.treat >= TREAT_REFUSE && f->u.alert.treat < TREAT_COUNT;
}

static void alert_member(struct out *o, const struct fact *f)
{
    bool rule = f->u.alert.by == BY_RULE;
    OUT_LIT(o, ",\"alert\":{");
    out_json_kstr(o, STR("action"), blocked(f) ? STR("blocked") : STR("allowed"));
    out_json_ku64(o, STR("gid"), rule ? f->u.alert.gid : EVE_GID);
    out_json_ku64(o, STR("signature_id"), rule ? f->u.alert.sid : f->u.alert.detector + 1u);
    out_json_ku64(o, STR("rev"), rule ? f->u.alert.rev : 1);
    eve_text(o, STR("signature"), TEXT_STR(f->u.alert.message));
    eve_text(o, STR("category"), TEXT_STR(f->u.alert.classtype));
    out_json_ku64(o, STR("severity"), f->u.alert.severity);
    out_ch(o, '}');
}

static void sip_member(struct out *o, const struct fact *f)
{
    if (!f->u.alert.method.n)
        return;
    OUT_LIT(o, ",\"sip\":{");
    eve_text(o, STR("method"), TEXT_STR(f->u.alert.method));
    eve_text(o, STR("uri"), TEXT_STR(f->u.alert.to));
    out_json_kstr(o, STR("version"), STR("SIP/2.0"));
    eve_text(o, STR("from"), TEXT_STR(f->u.alert.from));
    eve_text(o, STR("call_id"), TEXT_STR(f->u.alert.call_id));
    eve_text(o, STR("user_agent"), TEXT_STR(f->u.alert.user_agent));
    if (f->code)
        out_json_ku64(o, STR("code"), f->code);
    out_ch(o, '}');
}

static void own_member(struct out *o, const struct fact *f)
{
    OUT_LIT(o, ",\"ringwall\":{");
    out_json_kstr(o, STR("by"), f->u.alert.by == BY_RULE ? STR("rule") : STR("detector"));
    if (f->u.alert.by == BY_DETECTOR)
        out_json_kstr(o, STR("detector"), str_c(detector_name((enum detector)f->u.alert.detector)));
    if (f->reason)
        out_json_kstr(o, STR("reason"), reason_info((enum reason)f->reason)->name);
    if (!f->u.alert.method.n)
        eve_text(o, STR("who"), TEXT_STR(f->u.alert.from));
    out_json_ku64(o, STR("score"), f->u.alert.score);
    out_json_ku64(o, STR("level"), f->u.alert.level);
    out_json_kstr(o, STR("treat"), str_c(treat_name((enum treat)f->u.alert.treat)));
    out_json_kbool(o, STR("dry_run"), f->u.alert.dry);
    if (f->u.alert.evidence)
        out_json_ku64(o, STR("evidence"), f->u.alert.evidence);
    out_json_ku64(o, STR("engine"), f->engine);
    out_json_kstr(o, STR("transport"),
                  f->u.alert.proto <= PROTO_TLS ? proto_param((enum sip_proto)f->u.alert.proto)
                                                : STR(""));
    out_ch(o, '}');
}

void eve_alert(struct eve *e, int dir, const struct fact *f)
{
    struct out o = begin(e, dir, f->wall_us);
    out_json_ku64(&o, STR("flow_id"),
                  flow_id(&f->u.alert.source, &f->u.alert.dest, f->u.alert.proto));
    out_json_kstr(&o, STR("event_type"), STR("alert"));
    address(&o, STR("src_ip"), STR("src_port"), &f->u.alert.source);
    address(&o, STR("dest_ip"), STR("dest_port"), &f->u.alert.dest);
    out_json_kstr(&o, STR("proto"), f->u.alert.proto == PROTO_UDP ? STR("UDP") : STR("TCP"));
    out_json_kstr(&o, STR("app_proto"), STR("sip"));
    alert_member(&o, f);
    sip_member(&o, f);
    own_member(&o, f);
    end(e, &o);
}

void eve_ban(struct eve *e, int dir, const struct fact *f)
{
    const struct ban *b = &f->u.ban.ban;
    bool net = b->scope == BAN_SOURCE || b->scope == BAN_PAIR;
    struct out o = begin(e, dir, f->wall_us);
    out_json_kstr(&o, STR("event_type"), STR("ringwall_ban"));
    if (net && b->net.bits == (b->net.a.family == ADDR_V4 ? 32 : 128))
        address(&o, STR("src_ip"), STR_NONE, &b->net.a);
    OUT_LIT(&o, ",\"ringwall_ban\":{");
    ban_members(&o, f);
    out_ch(&o, '}');
    end(e, &o);
}
