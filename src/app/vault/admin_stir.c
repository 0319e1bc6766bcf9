/* The key that signs calls (RFC 8224): made here, its request for a certificate, and whether the
 * certificate that came is its. */
#include "app/vault/admin_in.h"
#include "crypto/cert.h"
#include "crypto/sti.h"

#define PEM_BYTES 8192u

void admin_stir_key(struct job *j)
{
    struct str name = admin_member(j, "name");
    struct key *k = NULL;
    enum err e = j->a->disk ? key_new(&k) : ERR_STATE;
    if (e == OK)
        e = disk_key_save(j->a->disk, name, k);
    key_free(k);
    if (e == OK)
        out_json_kstr(&j->o, STR("key"), name);
    else if (e == ERR_EXISTS)
        admin_refuse(j, CONTROL_REFUSED, "", str_c(j->a->disk->why));
    else
        admin_refuse(j, CONTROL_REFUSED,
                     "no key was made: is the name one of letters, digits, - and _?", STR_NONE);
}

/* NULL: refused. */
static struct key *named(struct job *j)
{
    struct key *k = NULL;
    if (j->a->disk && disk_key_load(j->a->disk, admin_member(j, "name"), &k) == OK)
        return k;
    admin_refuse(j, CONTROL_NOT_FOUND, "", j->a->disk ? str_c(j->a->disk->why) : STR_NONE);
    return NULL;
}

void admin_stir_csr(struct job *j)
{
    char pem[PEM_BYTES];
    struct out o = out_of(pem, sizeof(pem));
    struct key *k = named(j);
    if (!k)
        return;
    enum err e = sti_request(k, admin_member(j, "subject"), admin_member(j, "spc"), &o);
    key_free(k);
    if (e == OK)
        out_json_kstr(&j->o, STR("csr"), out_str(&o));
    else
        admin_refuse(j, CONTROL_REFUSED,
                     e == ERR_RANGE ? "a subject has up to 64 bytes, a provider code up to 16"
                                    : "no request was made",
                     STR_NONE);
}

void admin_stir_fits(struct job *j)
{
    struct key *k = named(j);
    if (!k)
        return;
    enum err e = cert_fits(admin_member(j, "pem"), k);
    key_free(k);
    if (e == OK)
        out_json_kstr(&j->o, STR("key"), admin_member(j, "name"));
    else
        admin_refuse(j, CONTROL_REFUSED, "its first certificate is not of that key", STR_NONE);
}
