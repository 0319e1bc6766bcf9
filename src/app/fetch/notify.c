#include "app/fetch/notify.h"
#include "guard/feed.h"
#include <curl/curl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK      DUR_MS(10) /* from one look at the transfers to the next */
#define CA_MAX    (1u << 20)
#define REPLY_MAX 4096u /* bytes of an answer that are taken in; they are not looked at */

enum stage { IDLE, NAMES, READY, MOVING, DONE };
struct job;
struct question {
    struct resolver_question r; /* first */
    struct job *job;
    uint32_t serial;
    enum dns_type type;
    bool used;
};
struct job {
    struct notify *n;
    enum stage stage;
    struct msg_notify m;
    char body[NOTIFY_BODY_MAX];
    size_t n_body, sent, got;
    char *ca;
    size_t n_ca;
    struct feed_url u; /* into as_http */
    char as_http[560];
    struct addr addr[WEB_ADDRESSES];
    unsigned n_addr, waiting;
    uint32_t serial;
    struct question question[2];
    bool refused_inside;
    struct instant due;
    CURL *easy;
    struct curl_slist *headers, *to, *pins;
    char error[CURL_ERROR_SIZE];
    struct msg_notified said;
};
struct notify {
    web_resolve_fn *resolve;
    void *resolver;
    notify_fn *done;
    void *ctx;
    CURLM *multi;
    struct dns_msg msg;
    struct job job[NOTIFY_AT_ONCE];
};

struct notify *notify_new(void)
{
    struct notify *n = calloc(1, sizeof *n);
    if (!n || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
        !(n->multi = curl_multi_init())) {
        free(n);
        return NULL;
    }
    return n;
}

void notify_bind(struct notify *n, web_resolve_fn *resolve, void *resolver, notify_fn *done,
                 void *ctx)
{
    n->resolve = resolve;
    n->resolver = resolver;
    n->done = done;
    n->ctx = ctx;
}

/* -- the end -- */

static void say(struct job *j, enum notified outcome, const char *fmt, ...) PRINTF(3, 4);
static void say(struct job *j, enum notified outcome, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    j->said = (struct msg_notified){.id = j->m.id, .outcome = outcome};
    for (size_t i = 0; text[i] && i < sizeof j->said.text - 1; i++)
        j->said.text[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
    j->stage = DONE;
}

static void clear(struct job *j)
{
    if (j->easy) {
        (void)curl_multi_remove_handle(j->n->multi, j->easy);
        curl_easy_cleanup(j->easy);
    }
    curl_slist_free_all(j->headers);
    curl_slist_free_all(j->to);
    curl_slist_free_all(j->pins);
    free(j->ca);
    j->easy = NULL;
    j->headers = j->to = j->pins = NULL;
    j->ca = NULL;
    mem_wipe(&j->m, sizeof j->m);
    mem_wipe(j->body, sizeof j->body);
    j->stage = IDLE;
}

/* -- where to -- */

static void named(void *arg, const void *packet, size_t n, bool secure, bool bogus)
{
    struct question *q = arg;
    struct job *j = q->job;
    (void)secure;
    q->used = false;
    if (j->stage != NAMES || q->serial != j->serial)
        return;
    j->waiting--;
    struct dns_msg *msg = &j->n->msg;
    if (packet && !bogus && dns_parse(packet, n, q->type, msg) == OK)
        for (uint32_t i = 0; i < msg->n && j->n_addr < WEB_ADDRESSES; i++)
            j->addr[j->n_addr++] = msg->rr[i].addr;
    if (!j->waiting)
        j->stage = READY;
}

static void ask_name(struct job *j, const struct dns_name *name, enum dns_type type, unsigned at)
{
    struct question *q = &j->question[at];
    if (q->used)
        return; /* one of an earlier message is still under way */
    *q = (struct question){
        .r = {named, q}, .job = j, .serial = j->serial, .type = type, .used = true};
    j->waiting++;
    if (j->n->resolve(j->n->resolver, name, type, &q->r) == OK)
        return;
    q->used = false;
    j->waiting--;
}

static void look_up(struct job *j)
{
    struct dns_name name;
    struct addr a;
    j->n_addr = 0;
    if (str_ieq(j->u.host, STR("localhost")) ? addr_parse_ip(STR("127.0.0.1"), &a) == OK
                                             : addr_parse_ip(j->u.host, &a) == OK) {
        j->addr[j->n_addr++] = a;
        j->stage = READY;
        return;
    }
    if (dns_name_of(j->u.host, &name) != OK) {
        say(j, NOTIFIED_NEVER, "its host is no name");
        return;
    }
    j->stage = NAMES;
    j->serial++;
    j->waiting = 1; /* ours */
    ask_name(j, &name, DNS_A, 0);
    ask_name(j, &name, DNS_AAAA, 1);
    if (--j->waiting == 0 && j->stage == NAMES)
        j->stage = READY;
}

/* -- the transfer -- */

static size_t give(char *to, size_t size, size_t n, void *arg)
{
    struct job *j = arg;
    size_t more = MIN(size * n, j->n_body - j->sent);
    memcpy(to, j->body + j->sent, more);
    j->sent += more;
    return more;
}

static size_t take(char *from, size_t size, size_t n, void *arg)
{
    struct job *j = arg;
    (void)from;
    j->got += size * n;
    return j->got > REPLY_MAX ? 0 : size * n; /* an answer without end ends here */
}

/* Every connection is opened here, whatever the name was turned into. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct job *j = arg;
    struct addr a = {0};
    (void)purpose;
    if (to->family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, &to->addr, sizeof in);
        a.family = ADDR_V4;
        memcpy(a.ip, &in.sin_addr, 4);
    } else if (to->family == AF_INET6 && to->addrlen >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 in;
        memcpy(&in, &to->addr, sizeof in);
        a.family = ADDR_V6;
        memcpy(a.ip, &in.sin6_addr, 16);
    } else {
        return CURL_SOCKET_BAD;
    }
    struct addr said;
    bool meant = str_ieq(j->u.host, STR("localhost")) || addr_parse_ip(j->u.host, &said) == OK;
    if (feed_inside(&a) && !j->m.inside && !(meant && addr_loopback(&a))) {
        j->refused_inside = true;
        return CURL_SOCKET_BAD;
    }
    return socket(to->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static bool pin(struct job *j)
{
    char line[600];
    struct out o = out_of(line, sizeof line - 1);
    struct addr lit;
    if (addr_parse_ip(j->u.host, &lit) == OK)
        return true; /* nothing to look up */
    out_fmt(&o, "%.*s:%u:", (int)j->u.host.n, j->u.host.p, (unsigned)j->u.port);
    for (unsigned i = 0; i < j->n_addr; i++) {
        if (i)
            out_ch(&o, ',');
        addr_put_ip(&o, &j->addr[i]);
    }
    line[o.n] = 0;
    j->pins = curl_slist_append(NULL, line);
    return j->pins && !o.full;
}

static bool add_header(struct job *j, const char *line)
{
    struct curl_slist *l = curl_slist_append(j->headers, line);
    j->headers = l ? l : j->headers;
    return l != NULL;
}

#define SET(option, value) (curl_easy_setopt(j->easy, (option), (value)) == CURLE_OK)

static bool set_hook(struct job *j)
{
    char line[128];
    bool ok = add_header(j, "Content-Type: application/json") &&
              add_header(j, "User-Agent: ringwall") && add_header(j, "Expect:");
    if (ok && j->m.signature[0]) {
        (void)snprintf(line, sizeof line, "X-Ringwall-Signature: %.79s", j->m.signature);
        ok = add_header(j, line);
    }
    return ok && SET(CURLOPT_POST, 1L) && SET(CURLOPT_POSTFIELDSIZE, (long)j->n_body) &&
           SET(CURLOPT_POSTFIELDS, j->body) && SET(CURLOPT_HTTPHEADER, j->headers) &&
           SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
}

static bool set_mail(struct job *j)
{
    for (unsigned i = 0; i < j->m.n_to; i++) {
        struct curl_slist *l = curl_slist_append(j->to, j->m.to[i]);
        if (!l)
            return false;
        j->to = l;
    }
    bool ok = SET(CURLOPT_MAIL_FROM, j->m.from) && SET(CURLOPT_MAIL_RCPT, j->to) &&
              SET(CURLOPT_UPLOAD, 1L) && SET(CURLOPT_READFUNCTION, give) &&
              SET(CURLOPT_READDATA, j) &&
              SET(CURLOPT_USE_SSL, (long)(j->m.starttls ? CURLUSESSL_ALL : CURLUSESSL_NONE));
    if (ok && j->m.user[0])
        ok = SET(CURLOPT_USERNAME, j->m.user) && SET(CURLOPT_PASSWORD, j->m.password);
    return ok;
}

static bool set_all(struct job *j)
{
    struct curl_blob ca = {j->ca, j->n_ca, CURL_BLOB_COPY};
    bool ok = SET(CURLOPT_URL, j->m.url) && SET(CURLOPT_NOSIGNAL, 1L) && SET(CURLOPT_PROXY, "") &&
              SET(CURLOPT_PROTOCOLS_STR, j->m.mail ? "smtp,smtps" : "http,https") &&
              SET(CURLOPT_FOLLOWLOCATION, 0L) && SET(CURLOPT_TCP_NODELAY, 0L) &&
              SET(CURLOPT_CONNECTTIMEOUT_MS, 8000L) &&
              SET(CURLOPT_TIMEOUT_MS, (long)NOTIFY_LIMIT_S * 1000) &&
              SET(CURLOPT_SSL_VERIFYPEER, 1L) && SET(CURLOPT_SSL_VERIFYHOST, 2L) &&
              SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) && SET(CURLOPT_CAINFO, NULL) &&
              SET(CURLOPT_CAPATH, NULL) && SET(CURLOPT_OPENSOCKETFUNCTION, open_socket) &&
              SET(CURLOPT_OPENSOCKETDATA, j) && SET(CURLOPT_WRITEFUNCTION, take) &&
              SET(CURLOPT_WRITEDATA, j) && SET(CURLOPT_ERRORBUFFER, j->error) &&
              SET(CURLOPT_PRIVATE, j) && SET(CURLOPT_FORBID_REUSE, 1L) &&
              SET(CURLOPT_FRESH_CONNECT, 1L);
    if (ok && j->n_ca)
        ok = SET(CURLOPT_CAINFO_BLOB, &ca);
    if (ok && j->pins)
        ok = SET(CURLOPT_RESOLVE, j->pins);
    return ok && (j->m.mail ? set_mail(j) : set_hook(j));
}

static void begin(struct job *j)
{
    if (!j->n_addr) {
        say(j, NOTIFIED_AGAIN, "the name %.*s has no address", (int)MIN(j->u.host.n, 60u),
            j->u.host.p);
        return;
    }
    j->easy = curl_easy_init();
    if (!j->easy || !pin(j) || !set_all(j) ||
        curl_multi_add_handle(j->n->multi, j->easy) != CURLM_OK) {
        say(j, NOTIFIED_AGAIN, "no memory for it");
        return;
    }
    j->stage = MOVING;
}

static void ended(struct job *j, CURLcode code)
{
    long status = 0;
    (void)curl_easy_getinfo(j->easy, CURLINFO_RESPONSE_CODE, &status);
    if (j->refused_inside)
        say(j, NOTIFIED_NEVER, "its name leads to an address inside: say private: yes, if meant");
    else if (code != CURLE_OK)
        say(j,
            code == CURLE_PEER_FAILED_VERIFICATION || (j->m.mail && status >= 500) ? NOTIFIED_NEVER
                                                                                   : NOTIFIED_AGAIN,
            "%s", j->error[0] ? j->error : curl_easy_strerror(code));
    else if (j->m.mail || (status >= 200 && status < 300))
        say(j, NOTIFIED_OK, "%s", "");
    else
        say(j, status == 408 || status == 429 || status >= 500 ? NOTIFIED_AGAIN : NOTIFIED_NEVER,
            "it answered %ld", status);
}

/* -- in and out -- */

static bool read_ca(struct job *j, int fd)
{
    struct stat st;
    if (fd < 0)
        return true;
    if (fstat(fd, &st) != 0 || st.st_size < 0 || st.st_size > CA_MAX)
        return false;
    j->ca = malloc((size_t)st.st_size + 1);
    ssize_t n = j->ca ? pread(fd, j->ca, (size_t)st.st_size, 0) : -1;
    j->n_ca = n > 0 ? (size_t)n : 0;
    return n >= 0;
}

static bool ended_text(const char *p, size_t n)
{
    return memchr(p, 0, n) != NULL;
}

void notify_send(struct notify *n, const struct msg_notify *m, struct str body, int ca_fd,
                 struct instant now)
{
    struct job *j = NULL;
    const char *why = "";
    for (unsigned i = 0; i < NOTIFY_AT_ONCE && !j; i++)
        j = n->job[i].stage == IDLE ? &n->job[i] : NULL;
    if (!j) { /* the monitor gives one a target */
        struct msg_notified no = {.id = m->id, .outcome = NOTIFIED_AGAIN, .text = "busy"};
        n->done(n->ctx, &no);
        return;
    }
    j->n = n;
    j->m = *m;
    j->n_body = MIN(body.n, sizeof j->body);
    memcpy(j->body, body.p, j->n_body);
    j->sent = j->got = 0;
    j->refused_inside = false;
    j->error[0] = 0;
    j->due = instant_add(now, DUR_S(NOTIFY_LIMIT_S + 5));
    bool sound = ended_text(m->url, sizeof m->url) && ended_text(m->user, sizeof m->user) &&
                 ended_text(m->password, sizeof m->password) &&
                 ended_text(m->from, sizeof m->from) &&
                 ended_text(m->signature, sizeof m->signature) && m->n_to <= ARRAY_LEN(m->to);
    for (unsigned i = 0; sound && i < m->n_to; i++)
        sound = ended_text(m->to[i], sizeof m->to[i]);
    const char *rest = sound ? strstr(m->url, "://") : NULL;
    bool tls = rest && (str_starts(str_c(m->url), STR("https:")) ||
                        str_starts(str_c(m->url), STR("smtps:")));
    if (rest) /* ports that are not said: 443, 80; of mail 465, 25 are told apart below */
        (void)snprintf(j->as_http, sizeof j->as_http, "http%s%s", tls ? "s" : "", rest);
    if (!rest || feed_url_parse(str_c(j->as_http), &j->u, &why) != OK || !read_ca(j, ca_fd)) {
        say(j, NOTIFIED_NEVER, "where it should go cannot be read");
        return;
    }
    if (m->mail && (j->u.port == 80 || j->u.port == 443))
        j->u.port = tls ? 465 : 25;
    look_up(j);
}

void notify_turn(struct notify *n, struct instant now)
{
    int running = 0, left = 0;
    bool busy = false;
    for (unsigned i = 0; i < NOTIFY_AT_ONCE; i++) {
        struct job *j = &n->job[i];
        if (j->stage == READY)
            begin(j);
        if ((j->stage == NAMES || j->stage == MOVING) && !instant_before(now, j->due))
            say(j, NOTIFIED_AGAIN, "it took too long");
        busy = busy || j->stage == MOVING;
    }
    if (busy)
        (void)curl_multi_perform(n->multi, &running);
    for (CURLMsg *m; busy && (m = curl_multi_info_read(n->multi, &left));) {
        void *who = NULL;
        if (m->msg == CURLMSG_DONE &&
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &who) == CURLE_OK && who)
            ended(who, m->data.result);
    }
    for (unsigned i = 0; i < NOTIFY_AT_ONCE; i++) {
        struct job *j = &n->job[i];
        if (j->stage != DONE)
            continue;
        struct msg_notified said = j->said;
        clear(j);
        n->done(n->ctx, &said);
    }
}

struct instant notify_next(const struct notify *n, struct instant now)
{
    for (unsigned i = 0; i < NOTIFY_AT_ONCE; i++)
        if (n->job[i].stage != IDLE)
            return instant_add(now, LOOK);
    return INSTANT_NEVER;
}
