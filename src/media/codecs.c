/* Encoding names that a zone lets pass. Legs of a zone share one text; it stays until the last of
 * them ends, so that a reload changes nothing in calls that run. */
#include "media/state.h"

static bool put_names(const struct codec_names *names, struct out *o)
{
    for (unsigned i = 0; i < names->n; i++) {
        if (i > 0)
            out_ch(o, ' ');
        out_put(o, span_str(names->text, names->names[i]));
    }
    return !o->full && o->n > 0;
}

uint8_t codecs_keep(struct media *m, const struct codec_names *names)
{
    char text[CODECS_TEXT_MAX];
    struct out o = out_of(text, sizeof text);
    struct codec_list *unused = NULL;
    if (names->n == 0)
        return 0;
    if (names->n > CODECS_NAMES_MAX || !put_names(names, &o))
        return CODECS_FULL;
    for (unsigned i = 0; i < CODECS_LISTS_MAX; i++) {
        struct codec_list *l = &m->lists[i];
        if (l->legs == 0)
            unused = l;
        else if (str_eq(str_of(l->text, l->n), out_str(&o)))
            return codecs_share(m, (uint8_t)(i + 1));
    }
    if (unused == NULL)
        return CODECS_FULL;
    unused->legs = 1;
    unused->n = (uint16_t)o.n;
    memcpy(unused->text, text, o.n);
    return (uint8_t)(unused - m->lists + 1);
}

uint8_t codecs_share(struct media *m, uint8_t list)
{
    if (list != 0)
        m->lists[list - 1].legs++;
    return list;
}

void codecs_drop(struct media *m, uint8_t list)
{
    if (list != 0)
        m->lists[list - 1].legs--;
}

bool codecs_has(const struct media *m, uint8_t list, struct str encoding)
{
    if (list == 0)
        return true;
    const struct codec_list *l = &m->lists[list - 1];
    for (struct str rest = str_of(l->text, l->n); rest.n > 0;)
        if (str_ieq(sdp_token_next(&rest), encoding))
            return true;
    return false;
}
