/* passwords: what those must be that people choose. authority: whom certificates come from, besides
 * the local authority. */
#include "app/config/yaml.h"

void read_passwords(struct load *l, struct fy_node *n)
{
    static const struct field PASSWORDS[] = {
        {"min_length", rd_u8, offsetof(struct policy, password_min), false, 8, 64, NULL},
        {"grace_days", rd_u16, offsetof(struct policy, password_grace_days), false, 0, 90, NULL},
        {"breach_list", rd_name, offsetof(struct policy, breach_list), false, 1, 60, NULL},
    };
    (void)map_read(l, n, "passwords", PASSWORDS, ARRAY_LEN(PASSWORDS), l->p);
}

static void path_of(const struct load *l, struct span s, char ret[CONFIG_PATH])
{
    struct str t = policy_text(l->p, s);
    if (t.n > 0 && t.n < CONFIG_PATH)
        memcpy(ret, t.p, t.n);
}

/* Another authority's certificates of users and trunks, and what it took back. */
void read_authority(struct load *l, struct fy_node *n)
{
    struct {
        struct span ca, crl;
    } v = {SPAN_NONE, SPAN_NONE};
    static const struct field AUTHORITY[] = {
        {"ca", rd_file, 0, true, 1, CONFIG_PATH - 1, NULL},
        {"crl", rd_file, sizeof(struct span), false, 1, CONFIG_PATH - 1, NULL},
    };
    (void)map_read(l, n, "authority", AUTHORITY, ARRAY_LEN(AUTHORITY), &v);
    path_of(l, v.ca, l->c->authority_ca);
    path_of(l, v.crl, l->c->authority_crl);
}
