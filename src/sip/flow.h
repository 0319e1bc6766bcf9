/* Where a message came from and where its answer goes: a value that names a listener and a peer,
 * and for streams the connection and the engine that holds it. */
#ifndef SIP_FLOW_H
#define SIP_FLOW_H
#include "base/addr.h"
#include "base/pool.h"

enum sip_proto { PROTO_UDP, PROTO_TCP, PROTO_TLS };
struct flow {
    uint8_t proto;      /* enum sip_proto */
    uint8_t listener;   /* index in the policy: local address, zone rules */
    uint8_t engine;     /* streams: which engine holds the connection */
    uint8_t peer_id;    /* 1 + index of the policy's peer that this flow was opened to; 0 = none */
    struct handle conn; /* streams: the connection; HANDLE_NONE on an outgoing flow: the platform
                           finds or opens one to peer */
    struct addr peer;
};
static inline bool flow_reliable(const struct flow *f)
{
    return f->proto != PROTO_UDP;
}
struct str proto_name(enum sip_proto p);  /* "UDP" "TCP" "TLS", for Via */
struct str proto_param(enum sip_proto p); /* "udp" "tcp" "tls", for ;transport= */
#endif
