#include "media/oracle_lib.h"
#include <dlfcn.h>
#include <srtp2/srtp.h>
#include <string.h>

static struct {
    __typeof__(srtp_init) *init;
    __typeof__(srtp_create) *create;
    __typeof__(srtp_dealloc) *dealloc;
    __typeof__(srtp_protect) *protect, *unprotect, *protect_rtcp, *unprotect_rtcp;
} lib;
static void *so;

bool oracle_open(void)
{
    if (so)
        return true;
    so = dlopen("libsrtp2.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!so)
        return false;
    *(void **)&lib.init = dlsym(so, "srtp_init");
    *(void **)&lib.create = dlsym(so, "srtp_create");
    *(void **)&lib.dealloc = dlsym(so, "srtp_dealloc");
    *(void **)&lib.protect = dlsym(so, "srtp_protect");
    *(void **)&lib.unprotect = dlsym(so, "srtp_unprotect");
    *(void **)&lib.protect_rtcp = dlsym(so, "srtp_protect_rtcp");
    *(void **)&lib.unprotect_rtcp = dlsym(so, "srtp_unprotect_rtcp");
    return lib.init && lib.create && lib.protect && lib.unprotect && lib.protect_rtcp &&
           lib.unprotect_rtcp && lib.init() == srtp_err_status_ok;
}

static void fill(srtp_crypto_policy_t *p, const char *name)
{
    void (*set)(srtp_crypto_policy_t *);
    *(void **)&set = dlsym(so, name);
    if (set)
        set(p);
}

void *oracle_new(int suite, uint8_t *key, bool inbound)
{
    /* in the order of enum srtp_suite; RTCP keeps the long tag with the short ones (RFC 4568 6.2)
     */
    static const char *const rtp[] = {"",
                                      "srtp_crypto_policy_set_rtp_default",
                                      "srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32",
                                      "srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80",
                                      "srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32",
                                      "srtp_crypto_policy_set_aes_gcm_128_16_auth",
                                      "srtp_crypto_policy_set_aes_gcm_256_16_auth"};
    static const int rtcp[] = {0, 1, 1, 3, 3, 5, 6};
    srtp_policy_t p;
    srtp_t s;
    memset(&p, 0, sizeof p);
    p.key = key;
    p.window_size = 128;
    p.ssrc.type = inbound ? ssrc_any_inbound : ssrc_any_outbound;
    fill(&p.rtp, rtp[suite]);
    fill(&p.rtcp, rtp[rtcp[suite]]);
    return lib.create(&s, &p) == srtp_err_status_ok ? s : NULL;
}

void oracle_free(void *s)
{
    (void)lib.dealloc((srtp_t)s);
}

int oracle_protect(void *s, uint8_t *p, size_t *n, bool rtcp)
{
    int len = (int)*n;
    int e = (int)(rtcp ? lib.protect_rtcp : lib.protect)((srtp_t)s, p, &len);
    *n = (size_t)len;
    return e;
}

int oracle_unprotect(void *s, uint8_t *p, size_t *n, bool rtcp)
{
    int len = (int)*n;
    int e = (int)(rtcp ? lib.unprotect_rtcp : lib.unprotect)((srtp_t)s, p, &len);
    *n = (size_t)len;
    return e;
}
