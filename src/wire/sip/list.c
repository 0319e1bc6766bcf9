#include "wire/sip/grammar.h"
#include "wire/sip/scan.h"

struct str sip_get(const struct sip_msg *m, enum sip_hdr h)
{
    uint8_t i = m->first[h];
    return i != 0 ? sip_text(m, m->fields[i - 1].value) : STR_NONE;
}

bool sip_next(const struct sip_msg *m, enum sip_hdr h, uint16_t *it, struct str *ret_value)
{
    uint16_t i = *it == 0 ? m->first[h] : (uint16_t)(*it + 1);
    if (i == 0)
        return false;
    for (; i <= m->n_fields; i++)
        if (m->fields[i - 1].id == h) {
            *it = i;
            *ret_value = sip_text(m, m->fields[i - 1].value);
            return true;
        }
    *it = m->n_fields;
    return false;
}

/* The ',' that ends the element at p, or end. Commas in quotes and <> belong to the element. What
 * is never closed takes all the rest: to look again from the next one would cost the square. */
static const char *element_end(const char *p, const char *end)
{
    for (; p < end && *p != ','; p++) {
        if (*p == '"')
            p = quote_end(p, end);
        else if (*p == '<')
            p = scan_char(p, end, '>');
        if (!p || p == end)
            return end;
    }
    return p;
}

bool sip_list_next(const struct sip_msg *m, enum sip_hdr h, struct sip_list *it,
                   struct str *ret_element)
{
    for (;;) {
        const char *p = it->rest.p, *end = str_end(it->rest);
        while (p < end && (*p == ',' || is(*p, C_LWS)))
            p++;
        if (p < end) {
            const char *stop = element_end(p, end);
            *ret_element = str_between(p, trim_lws(p, stop));
            it->rest = str_between(stop, end);
            return true;
        }
        if (!sip_next(m, h, &it->field, &it->rest))
            return false;
    }
}

bool sip_list_has(const struct sip_msg *m, enum sip_hdr h, struct str token)
{
    struct sip_list it = {0};
    struct str element;
    while (sip_list_next(m, h, &it, &element))
        if (str_ieq(element, token))
            return true;
    return false;
}
