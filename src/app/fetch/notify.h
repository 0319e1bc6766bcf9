/* Delivers messages by HTTP POST or SMTP (libcurl), a few at once. Names are looked up by our
 * resolver, addresses are judged as each connection is opened, TLS is verified by the authorities
 * that came with the message; redirects are not followed. It opens no file. Single thread, driven
 * by notify_turn. */
#ifndef APP_FETCH_NOTIFY_H
#define APP_FETCH_NOTIFY_H
#include "app/fetch/web.h"
#include "ipc/channel.h"

#define NOTIFY_AT_ONCE 8u
#define NOTIFY_LIMIT_S 20u

typedef void notify_fn(void *ctx, const struct msg_notified *m);
struct notify;
/* Before the sandbox shuts: the library reads its own configuration once. NULL: no memory. */
struct notify *notify_new(void);
void notify_bind(struct notify *n, web_resolve_fn *resolve, void *resolver, notify_fn *done,
                 void *ctx);
/* body and the descriptor are copied; fd stays the caller's. fn is called once, from notify_turn.
 */
void notify_send(struct notify *n, const struct msg_notify *m, struct str body, int ca_fd,
                 struct instant now);
void notify_turn(struct notify *n, struct instant now);
struct instant notify_next(const struct notify *n, struct instant now); /* INSTANT_NEVER: idle */
#endif
