/* Credentials of web clients: the shared secret, and what is made of it. */
#include "app/vault/admin_in.h"
#include "app/vault/web.h"
#include "crypto/password.h"

/* The secret is told once, to be given to the web application. */
void admin_token_secret(struct job *j)
{
    char fresh[PASSWORD_CHARS];
    struct peers *copy = malloc(sizeof(*copy));
    if (!copy) {
        admin_refuse(j, CONTROL_FAILED, "no memory", STR_NONE);
        return;
    }
    *copy = *j->a->peers;
    password_make(j->a->rng, fresh);
    struct str secret = str_of(fresh, sizeof(fresh));
    if (peers_put(j->a->peers, STR(WEB_SECRET), secret) != OK)
        admin_refuse(j, CONTROL_FAILED, "there are too many secrets", STR_NONE);
    else if (admin_save_peers(j))
        out_json_kstr(&j->o, STR("secret"), secret);
    else
        *j->a->peers = *copy;
    mem_wipe(fresh, sizeof(fresh));
    mem_wipe(copy, sizeof(*copy));
    free(copy);
}

void admin_token_issue(struct job *j)
{
    const struct user *x = admin_known(j);
    const struct peer *secret = peers_find(j->a->peers, STR(WEB_SECRET));
    const json_t *seconds = json_object_get(j->req, "seconds");
    int64_t life = seconds ? json_integer_value(seconds) : 3600;
    char name[USER_AOR_MAX + 24], password[WEB_PASSWORD];
    struct str s;
    if (!x)
        return;
    if (!secret || life < 1 || life > 366 * 86400) {
        admin_refuse(j, CONTROL_REFUSED,
                     secret ? "seconds is 1 to 31622400"
                            : "there is no shared secret yet: `ringwall token secret` makes one",
                     STR_NONE);
        return;
    }
    struct out o = out_of(name, sizeof(name));
    out_i64(&o, j->a->now.us / 1000000 + life);
    out_ch(&o, ':');
    out_put(&o, user_name(x));
    if (web_password(secret, HASH_SHA256, out_str(&o), password, &s) != OK) {
        admin_refuse(j, CONTROL_FAILED, "the library cannot hash", STR_NONE);
        return;
    }
    out_json_kstr(&j->o, STR("user"), str_c(x->aor));
    out_json_kstr(&j->o, STR("username"), out_str(&o));
    out_json_kstr(&j->o, STR("password"), s);
    out_json_ki64(&j->o, STR("until"), j->a->now.us / 1000000 + life);
    mem_wipe(password, sizeof(password));
}
