/* Keys of webhooks and passwords of mail servers: put here, told to the monitor alone, which signs
 * with them or hands them to the fetch program. */
#include "app/vault/admin_in.h"

/* Puts or takes, saves, or takes it back. */
static void change(struct job *j, bool put)
{
    struct peers *all = j->a->secrets, *copy = malloc(sizeof(*copy));
    struct str name = admin_member(j, "name");
    if (!copy || !all) {
        free(copy);
        admin_refuse(j, CONTROL_FAILED, "no memory", STR_NONE);
        return;
    }
    *copy = *all;
    if (put && peers_put(all, name, admin_member(j, "password")) != OK)
        admin_refuse(j, CONTROL_REFUSED,
                     "a secret's name has up to 64 characters without blanks, the secret 1 to 128, "
                     "and there are at most 64",
                     STR_NONE);
    else if (!put && !peers_del(all, name))
        admin_refuse(j, CONTROL_NOT_FOUND, "there is no secret ", name);
    else if (!j->a->disk || disk_secrets_save(j->a->disk, all) == OK)
        out_json_kstr(&j->o, STR("secret"), name);
    else
        admin_refuse(j, CONTROL_FAILED, "nothing was changed: ", str_c(j->a->disk->why));
    if (j->r->code != CONTROL_OK)
        *all = *copy;
    mem_wipe(copy, sizeof(*copy));
    free(copy);
}

void admin_secret_set(struct job *j)
{
    change(j, true);
}

void admin_secret_remove(struct job *j)
{
    change(j, false);
}

void admin_secret_list(struct job *j)
{
    const struct peers *all = j->a->secrets;
    size_t cap = 256 + (all ? all->n : 0) * (2 * PEER_NAME_MAX + 8);
    char *text = realloc(j->r->text, cap);
    if (!text)
        return;
    j->r->text = j->o.p = text;
    j->o.cap = cap;
    out_json_key(&j->o, STR("secrets"));
    out_ch(&j->o, '[');
    for (uint32_t i = 0; all && i < all->n; i++) {
        if (i)
            out_ch(&j->o, ',');
        out_json_str(&j->o, str_c(all->v[i].name));
    }
    out_ch(&j->o, ']');
}

void admin_secret_tell(struct job *j)
{
    struct str name = admin_member(j, "name");
    const struct peer *x = j->a->secrets ? peers_find(j->a->secrets, name) : NULL;
    if (!x) {
        admin_refuse(j, CONTROL_NOT_FOUND, "there is no secret ", name);
        return;
    }
    out_json_key(&j->o, STR("secret"));
    out_ch(&j->o, '"');
    out_hex(&j->o, x->password.b, x->password.n);
    out_ch(&j->o, '"');
}
