/* The control socket, DIR/run/control.sock: how `ringwall status` and its sisters speak with the
 * running gateway. UNIX stream, mode 0660; the peer must be root, the monitor's user or a member of
 * the socket's group. One request: a JSON object on one line of at most CONTROL_REQUEST_MAX bytes,
 * ended by LF. One response: a line "CODE BYTES\n" (decimal: enum control_code, length), then that
 * many bytes of one JSON document; then the monitor closes. Text for people is the CLI's business.
 *
 * {"cmd": ...} and who answers:
 *   status    monitor
 * {"version","uptime_s","pid","generation","config_error"|null,"state":"starting|running|draining|stopping",
 *                       "programs":[{"name","role","engine","pid","state","restarts","uptime_s","last_exit"|null,
 *                         "sandbox":{"ids","uid","landlock","seccomp","caps"}}],
 *                       "listeners":[{"name","proto","bind","advertise"}],"waivers":[{"name","zone","owner","reason","allow","expires_us","expired"}],
 *                       "stats":{name: sum over engines},"reasons":{name: count, only those above
 * 0}} reload    monitor  {"generation"} or an error with "errors":[{"line","column","text","hint"}]
 * (from the configuration) drain     monitor  {"draining":true}; {"cmd":"drain","off":true} takes
 * it back stop      monitor  {"stopping":true} metrics   monitor
 * {"engines":[{"engine","stats":{},"reasons":{}}]} user-*    vault    "user-add" "user-del"
 * "user-passwd" "user-list" "user-md5" ...: whole request forwarded peer-*    vault "peer-secret"
 * ... key-*     vault cdr, explain, bindings, events, facts   store calls, peers, transactions
 * engines: all are asked; {"engines":[reply of each in order, null from one that is down]} An error
 * is {"error": text, ...} with code not 0. */
#ifndef IPC_CONTROL_H
#define IPC_CONTROL_H
#include "base/str.h"
#include "ipc/channel.h"

#define CONTROL_REQUEST_MAX QUERY_TEXT_MAX
#define CONTROL_CLIENTS_MAX 32u
#define CONTROL_TIMEOUT_S   20
enum control_code {
    CONTROL_OK = 0,
    CONTROL_BAD_REQUEST = 1, /* not understood */
    CONTROL_NOT_FOUND = 2,   /* no such user, call, ... */
    CONTROL_REFUSED = 3,     /* understood, and not done: invalid, exists, not allowed */
    CONTROL_UNAVAILABLE = 4, /* the program that answers is down or late */
    CONTROL_FAILED = 5,      /* tried and failed: disk, kernel */
};
/* Sends the request (one JSON object, no LF) and gives code and document. *ret_json is malloced,
 * NUL-terminated: the caller frees it. ERR_NOT_FOUND: no gateway runs there; ERR_AUTH: not
 * permitted; ERR_AGAIN: no answer in time; ERR_SYNTAX: nonsense came back. For the CLI. */
MUST_CHECK enum err control_ask(const char *socket_path, struct str request, uint32_t *ret_code,
                                char **ret_json, size_t *ret_n);
/* A member of a one-level JSON object in the request: strings without escapes, numbers and
 * true/false as their text. STR_NONE if absent. Enough for requests that the CLI builds; the
 * monitor reads only "cmd", "off" and "engine" by it. */
struct str control_member(struct str json, const char *key);
#endif
