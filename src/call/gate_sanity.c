/* Sanity: what RFC 3261 8.2 makes every element check before it acts on a request. The signature,
 * fraud and emergency gates hold their place in the order here until their own issues fill them. */
#include "call/gate.h"

bool gate_extension_known(struct str tag)
{
    static const struct str known[] = {
        {"100rel", 6}, {"timer", 5}, {"path", 4}, {"outbound", 8}, {"replaces", 8}};
    for (size_t i = 0; i < ARRAY_LEN(known) - 1; i++) /* replaces: not until transfers are served */
        if (str_ieq(tag, known[i]))
            return true;
    return false;
}

static bool scheme_served(struct str uri)
{
    return str_istarts(uri, STR("sip:")) || str_istarts(uri, STR("sips:")) ||
           str_istarts(uri, STR("tel:")) || str_istarts(uri, STR("urn:service:sos"));
}

struct verdict gate_sanity(const struct gate_env *e, struct request *r, struct ask *ask)
{
    (void)e;
    (void)ask;
    const struct sip_msg *m = r->m;
    if (!scheme_served(sip_text(m, m->uri)))
        return gate_refuse(REASON_sip_uri_scheme);
    if (m->method == SIP_INVITE && m->max_forwards == 0)
        return gate_refuse(REASON_sip_max_forwards);
    if (m->method != SIP_ACK && m->method != SIP_CANCEL) {
        struct sip_list it = {0};
        struct str tag;
        while (sip_list_next(m, HDR_REQUIRE, &it, &tag))
            if (!gate_extension_known(tag))
                return gate_refuse(REASON_sip_extension_required);
    }
    struct str enc = sip_get(m, HDR_CONTENT_ENCODING);
    if (enc.n && !str_ieq(enc, STR("identity")))
        return gate_refuse(REASON_sip_body_type);
    return gate_pass();
}

struct verdict gate_signature(const struct gate_env *e, struct request *r, struct ask *ask)
{
    (void)e;
    (void)r;
    (void)ask;
    return gate_pass();
}

struct verdict gate_fraud(const struct gate_env *e, struct request *r, struct ask *ask)
{
    (void)e;
    (void)r;
    (void)ask;
    return gate_pass();
}
