/* Addresses of the kernel, socket options and the listening sockets. All sockets are non-blocking
 * and close-on-exec; IPv6 ones are IPv6 only. */
#ifndef IO_SOCK_H
#define IO_SOCK_H
#include "base/addr.h"
#include <netinet/in.h>
#include <sys/socket.h>

union sock_addr {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};
socklen_t sock_from_addr(const struct addr *a, union sock_addr *ret); /* 0 for ADDR_NONE */
void sock_to_addr(const union sock_addr *s,
                  struct addr *ret_a); /* mapped IPv6 folded; ADDR_NONE for other families */
MUST_CHECK enum err sock_local(int fd, struct addr *ret_a);
MUST_CHECK enum err sock_peer(int fd, struct addr *ret_a);

/* A bound UDP socket. reuseport: share the address among the engines. ERR_EXISTS: address in use;
 * ERR_AUTH: not permitted; ERR_NOT_FOUND: not an address of this machine; ERR_SYSTEM. */
MUST_CHECK enum err sock_udp(const struct addr *bind, bool reuseport, int *ret_fd);
MUST_CHECK enum err sock_listen(const struct addr *bind, bool reuseport, int backlog, int *ret_fd);
/* Begins to connect, from local's ip if it is not any. ERR_SYSTEM: errno. */
MUST_CHECK enum err sock_connect(const struct addr *local, const struct addr *peer, int *ret_fd);
int sock_error(int fd); /* SO_ERROR, taken; 0 = connected or healthy */
void sock_buffers(int fd, int bytes_in, int bytes_out); /* as far as the kernel allows; 0 = leave */
void sock_dscp(int fd, uint8_t family, uint8_t dscp);
void sock_nodelay(int fd);
void sock_keepalive(int fd, uint32_t idle_s);
void sock_reset(int fd); /* close will reset the connection: no state lingers for it */
enum err
sock_err(int e); /* errno to enum err, as above; EAGAIN to ERR_AGAIN, resets to ERR_CLOSED */
#endif
