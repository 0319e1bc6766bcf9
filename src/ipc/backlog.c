#include "ipc/backlog.h"

enum err backlog_flush(struct backlog *b, struct channel *c)
{
    while (b->n) {
        struct str ban = str_of((const char *)b->v[b->first].bytes, b->v[b->first].n);
        enum err e = channel_send(c, MSG_BAN, ban, -1);
        if (e == ERR_AGAIN)
            return e;
        b->first = (b->first + 1) % BACKLOG_CAP;
        b->n--;
        if (e != OK)
            return e;
    }
    return OK;
}

enum err backlog_ban(struct backlog *b, struct channel *c, struct str ban)
{
    if (ban.n > IPC_BAN_MAX)
        return ERR_LIMIT;
    enum err e = backlog_flush(b, c);
    if (e == OK)
        e = channel_send(c, MSG_BAN, ban, -1);
    if (e != ERR_AGAIN)
        return e;
    if (b->n == BACKLOG_CAP)
        return ERR_FULL;
    uint32_t at = (b->first + b->n++) % BACKLOG_CAP;
    b->v[at].n = (uint16_t)ban.n;
    memcpy(b->v[at].bytes, ban.p, ban.n);
    return OK;
}
