#include "sip/flow.h"

struct str proto_name(enum sip_proto p)
{
    switch (p) {
    case PROTO_UDP:
        return STR("UDP");
    case PROTO_TCP:
        return STR("TCP");
    case PROTO_TLS:
        return STR("TLS");
    }
    return STR_NONE;
}

struct str proto_param(enum sip_proto p)
{
    switch (p) {
    case PROTO_UDP:
        return STR("udp");
    case PROTO_TCP:
        return STR("tcp");
    case PROTO_TLS:
        return STR("tls");
    }
    return STR_NONE;
}
