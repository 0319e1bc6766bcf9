/* Alerts as lines of EVE JSON, as Suricata writes them. Texts of peers are escaped; nothing of a
 * message's body or credentials is in them. */
#include "app/replay/state.h"
#include <time.h>

static void eve_time(int64_t us, char ret[40])
{
    time_t s = (time_t)(us / 1000000);
    struct tm tm;
    char text[24];
    if (!gmtime_r(&s, &tm) || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        memcpy(text, "1970-01-01T00:00:00", 20);
    (void)snprintf(ret, 40, "%s.%06lld+0000", text, (long long)(us % 1000000));
}

static void address(struct out *o, const char *ip, const char *port, const struct addr *a)
{
    char text[ADDR_TEXT_MAX];
    struct out t = out_of(text, sizeof text);
    if (a->family == ADDR_NONE)
        return;
    addr_put_ip(&t, a);
    out_json_kstr(o, str_c(ip), out_str(&t));
    out_json_ku64(o, str_c(port), a->port);
}

static void what(struct out *o, const struct alert *a)
{
    static const char *const ACTIONS[] = {"allowed", "allowed", "blocked", "blocked"};
    OUT_LIT(o, ",\"alert\":{");
    bool blocks = a->by == BY_RULE ? a->action == RULE_DROP || a->action == RULE_REJECT
                                   : a->treat >= TREAT_REFUSE;
    out_json_kstr(o, STR("action"), str_c(ACTIONS[!a->dry && blocks ? 2 : 0]));
    out_json_ku64(o, STR("gid"), a->by == BY_RULE ? a->gid : 0);
    out_json_ku64(o, STR("signature_id"), a->by == BY_RULE ? a->sid : 0);
    out_json_ku64(o, STR("rev"), a->rev);
    out_json_kstr(o, STR("signature"), a->text);
    out_json_kstr(o, STR("category"),
                  a->by == BY_RULE       ? STR("rule")
                  : a->by == BY_DETECTOR ? str_c(detector_name((enum detector)a->detector))
                                         : reason_info((enum reason)a->reason)->name);
    out_json_ku64(o, STR("severity"), a->severity);
    OUT_LIT(o, "}");
}

void eve_alert(struct replay *r, const struct alert *a, const struct trans *t)
{
    char text[4096], when[40];
    struct out o = out_of(text, sizeof text - 1);
    eve_time(r->now.wall.us, when);
    out_ch(&o, '{');
    out_json_kstr(&o, STR("timestamp"), str_c(when));
    out_json_kstr(&o, STR("event_type"), STR("alert"));
    address(&o, "src_ip", "src_port", &a->source);
    if (t) {
        address(&o, "dest_ip", "dest_port", &t->dst);
        out_json_kstr(&o, STR("proto"), t->proto == PROTO_UDP ? STR("UDP") : STR("TCP"));
        out_json_kstr(&o, STR("app_proto"), STR("sip"));
    }
    what(&o, a);
    if (t) {
        OUT_LIT(&o, ",\"sip\":{");
        out_json_kstr(&o, STR("method"), sip_method_name((enum sip_method)t->method));
        out_json_kstr(&o, STR("uri"), str_c(t->uri));
        out_json_kstr(&o, STR("user_agent"), str_c(t->agent));
        OUT_LIT(&o, "}");
    }
    OUT_LIT(&o, ",\"ringwall\":{");
    if (a->who.n)
        out_json_kstr(&o, STR("who"), a->who);
    out_json_ku64(&o, STR("score"), a->score);
    out_json_kstr(&o, STR("treat"), str_c(treat_name((enum treat)a->treat)));
    out_json_kbool(&o, STR("dry_run"), a->dry);
    OUT_LIT(&o, "}}\n");
    if (!o.full)
        (void)fwrite(o.p, 1, o.n, r->o.eve);
}
