/* clang-format off */
/* The control socket, DIR/run/control.sock: how `ringwall status` and its sisters speak with the
 * running gateway. UNIX stream, mode 0660; the peer must be root, the monitor's user or a member of
 * the socket's group. One request: a JSON object on one line of at most CONTROL_REQUEST_MAX bytes,
 * ended by LF. One response: a line "CODE BYTES\n" (decimal: enum control_code, length), then that
 * many bytes of one JSON document; then the monitor closes. Text for people is the CLI's business.
 *
 * {"cmd": ...}, who answers, and with what:
 *   status   monitor  {"version","state":"starting|running|draining|drained|stopping","uptime_s","started_us","pid","config","folder",
 *                      "generation","config_error":null or text of the last refused reload,
 *                      "programs":[{"name","role","engine","pid","state":"down|locking in|being set up|running","restarts","uptime_s",
 *                        "drained","last_exit":null or exit code or -signal,
 *                        "sandbox":{"ids","uid","landlock","seccomp","caps":"dropped|none held"}}],
 *                      "listeners":[{"name","proto","bind","advertise"}],
 *                      "waivers":[{"name","zone","owner","reason","plain_signalling","plain_media","expires_us","expired"}],
 *                      "stats":{name: sum over programs},"reasons":{name: count, only those above 0}}
 *   metrics  monitor  {"programs":[{"name","stats":{},"reasons":{}}]}
 *   reload   monitor  {"generation"}; refused: {"error","generation","problems":{as config_errors_json}} (problems: when the file is bad)
 *   drain    monitor  {"draining":true}; with "off":true {"draining":false}
 *   stop     monitor  {"stopping":true}; with "drain":true when no call is left
 *   user-... peer-... key-... vault-...               vault, whole request forwarded
 *   cdr explain bindings events facts store-...       store
 *   calls peers transactions engine-...               engines: all are asked, or one named by "engine":N; {"engines":[reply of each, null
 *                                                     from one that is down]}
 * An error is {"error": text, ...} with a code that is not 0. */
/* clang-format on */
#ifndef IPC_CONTROL_H
#define IPC_CONTROL_H
#include "base/out.h"
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
    CONTROL_FORBIDDEN = 6,   /* the asker's role does not hold it */
    CONTROL_WAITS = 7,       /* taken down: a second person has to approve it */
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
/* The request is one object, read to its end, without a name twice and without an escape in a name:
 * only then do all that read it, by whatever parser, see the same command. */
bool control_sound(struct str json);
/* The same object without that member. false: not sound, or no room. */
bool control_without(struct str json, const char *key, struct out *o);
#endif
