#include "ipc/control.h"
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define RESPONSE_HEAD_MAX 32u
#define CONTROL_MEMBERS   64u

static enum err ask_errno(void)
{
    switch (errno) {
    case ENOENT:
    case ECONNREFUSED:
    case ENOTDIR:
        return ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
        return ERR_AUTH;
    case EAGAIN:
    case EINPROGRESS:
        return ERR_AGAIN;
    case EPIPE:
    case ECONNRESET:
        return ERR_CLOSED;
    default:
        return ERR_SYSTEM;
    }
}

static enum err dial(const char *path, int *ret_fd)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n >= sizeof a.sun_path)
        return ERR_LIMIT;
    memcpy(a.sun_path, path, n);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return ERR_SYSTEM;
    struct timeval limit = {CONTROL_TIMEOUT_S + 5, 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, (const struct sockaddr *)&a, sizeof a) != 0) {
        enum err e = ask_errno();
        (void)close(fd);
        return e;
    }
    *ret_fd = fd;
    return OK;
}

static enum err send_all(int fd, struct str s)
{
    while (s.n) {
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ask_errno();
        s = str_skip(s, (size_t)n);
    }
    return OK;
}

static enum err recv_exact(int fd, char *ret, size_t n)
{
    while (n) {
        ssize_t got = recv(fd, ret, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0 ? ERR_CLOSED : ask_errno();
        ret += got;
        n -= (size_t)got;
    }
    return OK;
}

static enum err recv_head(int fd, uint32_t *ret_code, size_t *ret_n)
{
    char line[RESPONSE_HEAD_MAX];
    size_t n = 0;
    do {
        if (n == sizeof line)
            return ERR_SYNTAX;
        enum err e = recv_exact(fd, line + n, 1);
        if (e != OK)
            return e;
    } while (line[n++] != '\n');
    struct str code, bytes = str_cut(str_of(line, n - 1), ' ', &code);
    uint64_t v;
    enum err e = str_u32(code, 255, ret_code);
    if (e == OK)
        e = str_u64(bytes, REPLY_BLOB_MAX + 65536u, &v);
    if (e != OK)
        return ERR_SYNTAX;
    *ret_n = (size_t)v;
    return OK;
}

static enum err exchange(int fd, struct str request, uint32_t *ret_code, char **ret_json,
                         size_t *ret_n)
{
    size_t n = 0;
    uint32_t code = 0;
    enum err e = send_all(fd, request);
    if (e == OK)
        e = send_all(fd, STR("\n"));
    if (e == OK || e == ERR_CLOSED) /* a stranger is refused before he has asked */
        e = recv_head(fd, &code, &n);
    if (e != OK)
        return e;
    char *json = malloc(n + 1);
    if (!json)
        return ERR_FULL;
    e = recv_exact(fd, json, n);
    if (e != OK) {
        free(json);
        return e;
    }
    json[n] = 0;
    *ret_code = code;
    *ret_json = json;
    *ret_n = n;
    return OK;
}

enum err control_ask(const char *socket_path, struct str request, uint32_t *ret_code,
                     char **ret_json, size_t *ret_n)
{
    if (request.n >= CONTROL_REQUEST_MAX)
        return ERR_LIMIT;
    int fd = -1;
    enum err e = dial(socket_path, &fd);
    if (e != OK)
        return e;
    e = exchange(fd, request, ret_code, ret_json, ret_n);
    (void)close(fd);
    return e;
}

/* -- one-level JSON -- */

static struct str skip_blank(struct str s)
{
    while (s.n && (*s.p == ' ' || *s.p == '\t'))
        s = str_skip(s, 1);
    return s;
}

/* s starts after a quote; ret: inside, result: after the closing quote. STR_NONE at a missing one.
 */
static struct str take_string(struct str s, struct str *ret)
{
    size_t n = 0;
    while (n < s.n && s.p[n] != '"')
        n += s.p[n] == '\\' ? 2 : 1;
    if (n >= s.n)
        return STR_NONE;
    *ret = str_head(s, n);
    return str_skip(s, n + 1);
}

static struct str take_value(struct str s, struct str *ret)
{
    s = skip_blank(s);
    if (s.n && *s.p == '"')
        return take_string(str_skip(s, 1), ret);
    size_t n = 0, depth = 0;
    for (; n < s.n;
         n++) { /* nested values are passed over whole; strings in them may hold brackets */
        char c = s.p[n];
        if (c == '"') {
            struct str inside, rest = take_string(str_skip(s, n + 1), &inside);
            if (!rest.p)
                return STR_NONE;
            n = (size_t)(rest.p - s.p) - 1;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            if (depth == 0)
                break;
            depth--;
        } else if (c == ',' && depth == 0) {
            break;
        }
    }
    *ret = str_trim(str_head(s, n));
    return str_skip(s, n);
}

struct str control_member(struct str json, const char *key)
{
    json = str_trim(json);
    if (!json.n || *json.p != '{')
        return STR_NONE;
    json = str_skip(json, 1);
    for (;;) {
        struct str name, value;
        json = skip_blank(json);
        if (!json.n || *json.p != '"')
            return STR_NONE;
        json = skip_blank(take_string(str_skip(json, 1), &name));
        if (!json.n || *json.p != ':')
            return STR_NONE;
        json = skip_blank(take_value(str_skip(json, 1), &value));
        if (!json.p)
            return STR_NONE;
        if (str_eq(name, str_c(key)))
            return value;
        if (!json.n || *json.p != ',')
            return STR_NONE;
        json = str_skip(json, 1);
    }
}

bool control_sound(struct str json)
{
    struct str names[CONTROL_MEMBERS];
    size_t n = 0;
    json = str_trim(json);
    if (!json.n || *json.p != '{')
        return false;
    json = skip_blank(str_skip(json, 1));
    if (str_eq(json, STR("}")))
        return true;
    for (;; n++) {
        struct str value;
        if (n == CONTROL_MEMBERS || !json.n || *json.p != '"')
            return false;
        json = skip_blank(take_string(str_skip(json, 1), &names[n]));
        if (!json.n || *json.p != ':' || str_find(names[n], '\\') < names[n].n)
            return false;
        for (size_t i = 0; i < n; i++)
            if (str_eq(names[i], names[n]))
                return false;
        json = take_value(skip_blank(str_skip(json, 1)), &value);
        json = json.p ? skip_blank(json) : json;
        if (!json.p || !json.n)
            return false;
        if (*json.p == '}')
            return str_skip(json, 1).n == 0;
        if (*json.p != ',')
            return false;
        json = skip_blank(str_skip(json, 1));
    }
}

bool control_without(struct str json, const char *key, struct out *o)
{
    bool first = true;
    if (!control_sound(json))
        return false;
    json = skip_blank(str_skip(str_trim(json), 1));
    out_ch(o, '{');
    while (json.n && *json.p == '"') {
        struct str from = json, name, value;
        json = skip_blank(take_string(str_skip(json, 1), &name));
        json = skip_blank(take_value(skip_blank(str_skip(json, 1)), &value));
        if (!str_eq(name, str_c(key))) {
            if (!first)
                out_ch(o, ',');
            first = false;
            out_put(o, str_trim(str_head(from, (size_t)(json.p - from.p))));
        }
        if (json.n && *json.p == ',')
            json = skip_blank(str_skip(json, 1));
    }
    out_ch(o, '}');
    return !o->full;
}
