#include "app/vault/web.h"

enum err web_password(const struct peer *secret, enum hash_alg alg, struct str name,
                      char ret[WEB_PASSWORD], struct str *ret_s)
{
    uint8_t md[HASH_MAX];
    struct out o = out_of(ret, WEB_PASSWORD);
    struct str key = str_of((const char *)secret->password.b, secret->password.n);
    enum err e = hmac_bytes(alg, key, name, md);
    if (e == OK) {
        out_b64(&o, md, hash_bytes(alg));
        *ret_s = out_str(&o);
        e = out_err(&o);
    }
    mem_wipe(md, sizeof(md));
    return e;
}
