/* Templates of notifications: what is told, as JSON of a webhook or as a mail. */
#include "app/monitor/notify_in.h"
#include <time.h>

static const char HOOK_TEXT[] =
    "{\"event\":\"{event}\",\"time\":\"{time}\",\"host\":\"{host}\",\"who\":\"{who}\","
    "\"what\":\"{what}\",\"why\":\"{why}\",\"text\":\"{text}\",\"count\":{count}}";
static const char MAIL_SUBJECT[] = "Ringwall {host}: {event} {who}";
static const char MAIL_TEXT[] =
    "{text}\\n\\nEvent: {event}\\nWho:   {who}\\nWhat:  {what}\\nWhy:   {why}\\n"
    "Time:  {time}\\nHost:  {host}\\n";

enum form { FORM_JSON, FORM_LINE, FORM_TEXT };

/* A peer or an administrator wrote it: in JSON escaped, in a mail without anything that ends a
 * line. */
static void value_put(struct out *o, const char *v, enum form form)
{
    if (form == FORM_JSON) {
        char text[2048];
        struct out t = out_of(text, sizeof text);
        out_json_str(&t, str_c(v));
        if (!t.full && t.n >= 2)
            out_put(o, str_of(text + 1, t.n - 2));
        return;
    }
    for (const unsigned char *p = (const unsigned char *)v; *p; p++)
        out_ch(o, *p < 0x20 || *p == 0x7f || (form == FORM_LINE && *p >= 0x80) ? '?' : (char)*p);
}

static void time_put(struct out *o, const struct vars *v, bool mail)
{
    char text[48];
    time_t t = (time_t)(v->now.us / 1000000);
    struct tm tm;
    if (!gmtime_r(&t, &tm))
        return;
    size_t n = mail ? strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S +0000", &tm)
                    : strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    out_put(o, str_of(text, n));
}

static bool field_put(struct out *o, struct str name, const struct vars *v, enum form form)
{
    const struct {
        struct str name;
        const char *value;
    } FIELDS[] = {{STR("event"), notify_event_name(v->event)},
                  {STR("who"), v->who},
                  {STR("what"), v->what},
                  {STR("why"), v->why},
                  {STR("text"), v->text},
                  {STR("host"), v->host}};
    for (unsigned i = 0; i < ARRAY_LEN(FIELDS); i++)
        if (str_eq(name, FIELDS[i].name)) {
            value_put(o, FIELDS[i].value, form);
            return true;
        }
    if (str_eq(name, STR("time")))
        time_put(o, v, false);
    else if (str_eq(name, STR("count")))
        out_u64(o, v->count);
    else
        return false;
    return true;
}

static void expand(struct out *o, const char *form_text, const struct vars *v, enum form form)
{
    for (const char *p = form_text; *p; p++) {
        const char *end = *p == '{' ? strchr(p, '}') : NULL;
        if (end && field_put(o, str_of(p + 1, (size_t)(end - p - 1)), v, form))
            p = end;
        else if (form == FORM_TEXT && p[0] == '\\' && p[1] == 'n') {
            OUT_LIT(o, "\r\n");
            p++;
        } else
            out_ch(o, *p);
    }
}

void notify_mail(struct out *o, const struct config_target *t, const struct vars *v, uint32_t id)
{
    out_fmt(o, "From: Ringwall <%s>\r\nTo: ", t->from);
    for (unsigned i = 0; i < t->n_to; i++)
        out_fmt(o, "%s%s", i ? ", " : "", t->to[i]);
    OUT_LIT(o, "\r\nSubject: ");
    expand(o, t->subject[0] ? t->subject : MAIL_SUBJECT, v, FORM_LINE);
    OUT_LIT(o, "\r\nDate: ");
    time_put(o, v, true);
    out_fmt(o, "\r\nMessage-ID: <%lld.%u@%s>\r\nAuto-Submitted: auto-generated\r\n",
            (long long)v->now.us, (unsigned)id, v->host);
    OUT_LIT(o, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
               "Content-Transfer-Encoding: 8bit\r\n\r\n");
    expand(o, t->text[0] ? t->text : MAIL_TEXT, v, FORM_TEXT);
    OUT_LIT(o, "\r\n");
}

void notify_hook(struct out *o, const struct config_target *t, const struct vars *v)
{
    expand(o, t->text[0] ? t->text : HOOK_TEXT, v, FORM_JSON);
}
