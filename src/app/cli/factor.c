/* One-time codes, devices and countries: `ringwall otp`, `ringwall device`, `ringwall country`. */
#include "app/cli/cli.h"
#include <qrencode.h>
#include <string.h>

#define REQUEST_MAX 2048u

static int usage(const struct cli *c, const char *how)
{
    (void)fprintf(stderr, "usage: ringwall %s %s (see --help)\n", c->command, how);
    return EXIT_USAGE;
}

/* Two modules a character: dark on light, whatever the terminal's colours, with a quiet zone. */
static void qr_print(FILE *to, const char *text)
{
    QRcode *q = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
    if (!q)
        return;
    const int edge = 2;
    for (int y = -edge; y < q->width + edge; y += 2) {
        (void)fprintf(to, "\033[30;107m");
        for (int x = -edge; x < q->width + edge; x++) {
            bool half[2];
            for (int k = 0; k < 2; k++)
                half[k] = x >= 0 && x < q->width && y + k >= 0 && y + k < q->width &&
                          (q->data[(y + k) * q->width + x] & 1);
            (void)fputs(half[0] ? (half[1] ? "\u2588" : "\u2580") : (half[1] ? "\u2584" : " "), to);
        }
        (void)fprintf(to, "\033[0m\n");
    }
    memset(q->data, 0, (size_t)(q->width * q->width));
    QRcode_free(q);
}

static void show_enrolled(FILE *to, const struct cli *c, const json_t *doc)
{
    const char *uri = member(doc, "uri");
    (void)c;
    if (!uri)
        return;
    qr_print(to, uri);
    (void)fprintf(to, "\n");
    put_safe(to, str_c(uri));
    (void)fprintf(to, "\n\nThis is shown once. Scan it with an authenticator program; the user ");
    put_safe(to, str_c(member(doc, "user")));
    (void)fprintf(to, " then approves\nphones by dialling the service number.\n");
}

static void show_user(FILE *to, const struct cli *c, const json_t *doc)
{
    const char *device = member(doc, "device");
    (void)c;
    put_safe(to, str_c(member(doc, "user")));
    if (device) {
        (void)fprintf(to, "  %s  ", device);
        put_safe(to, str_c(member(doc, "state")));
        (void)fprintf(to, "  ");
        put_safe(to, str_c(member(doc, "name")));
    }
    (void)fprintf(to, "\n");
}

static void show_otp(FILE *to, const struct cli *c, const json_t *doc)
{
    static const char *const heads[] = {"USER", "SINCE", "HASH", "DIGITS"};
    struct table *t = table_new(heads, ARRAY_LEN(heads));
    const json_t *x;
    size_t i;
    char since[24];
    (void)c;
    json_array_foreach(json_object_get(doc, "otp"), i, x)
    {
        time_text(number(x, "enrolled") * 1000000, since);
        table_text(t, member(x, "user"));
        table_text(t, since);
        table_text(t, member(x, "alg"));
        table_fmt(t, "%lld", (long long)number(x, "digits"));
    }
    table_print(t, to);
}

static void show_devices(FILE *to, const struct cli *c, const json_t *doc)
{
    static const char *const heads[] = {"USER", "DEVICE",     "STATE",     "KNOWN BY",
                                        "NAME", "FIRST SEEN", "DECIDED BY"};
    struct table *t = table_new(heads, ARRAY_LEN(heads));
    const json_t *x;
    size_t i;
    char first[24];
    (void)c;
    json_array_foreach(json_object_get(doc, "devices"), i, x)
    {
        time_text(number(x, "first_seen") * 1000000, first);
        table_text(t, member(x, "user"));
        table_text(t, member(x, "device"));
        table_text(t, member(x, "state"));
        table_text(t, member(x, "by"));
        table_text(t, member(x, "name"));
        table_text(t, first);
        table_text(t, member(x, "decided_by"));
    }
    table_print(t, to);
}

static int send_off(struct cli *c, struct out *o, show_fn *show)
{
    out_ch(o, '}');
    if (!o->full)
        return vault_ask_and_show(c, out_str(o), show);
    (void)fprintf(stderr, "ringwall: the words are too long\n");
    return EXIT_USAGE;
}

int cmd_otp(struct cli *c)
{
    static const char how[] = "enrol|remove USER, or list";
    char text[REQUEST_MAX];
    struct out o = out_of(text, sizeof text);
    bool list = strcmp(c->words[0], "list") == 0, enrol = strcmp(c->words[0], "enrol") == 0;
    if (c->n_words != (list ? 1 : 2) || !(list || enrol || strcmp(c->words[0], "remove") == 0))
        return usage(c, how);
    request_begin(&o, list ? "otp-list" : enrol ? "otp-enrol" : "otp-remove");
    if (!list)
        request_str(&o, "user", c->words[1]);
    if (enrol && c->regenerate)
        out_json_kbool(&o, STR("replace"), true);
    return send_off(c, &o, list ? show_otp : enrol ? show_enrolled : show_user);
}

int cmd_device(struct cli *c)
{
    static const char how[] = "list [USER], approve|revoke USER DEVICE, or rename USER DEVICE NAME";
    static const struct {
        const char *verb, *cmd;
        unsigned min, max;
    } VERBS[] = {{"list", "device-list", 1, 2},
                 {"approve", "device-approve", 3, 3},
                 {"revoke", "device-revoke", 3, 3},
                 {"rename", "device-rename", 4, 4}};
    char text[REQUEST_MAX];
    struct out o = out_of(text, sizeof text);
    for (size_t i = 0; i < ARRAY_LEN(VERBS); i++) {
        if (strcmp(VERBS[i].verb, c->words[0]) != 0)
            continue;
        if (c->n_words < VERBS[i].min || c->n_words > VERBS[i].max)
            break;
        request_begin(&o, VERBS[i].cmd);
        request_str(&o, "user", c->n_words > 1 ? c->words[1] : NULL);
        request_str(&o, "device", c->n_words > 2 ? c->words[2] : NULL);
        request_str(&o, "name", c->n_words > 3 ? c->words[3] : NULL);
        return send_off(c, &o, i ? show_user : show_devices);
    }
    return usage(c, how);
}

static void show_country(FILE *to, const struct cli *c, const json_t *doc)
{
    (void)c;
    put_safe(to, str_c(member(doc, "after")));
    (void)fputc('\n', to);
}

static void show_countries(FILE *to, const struct cli *c, const json_t *doc)
{
    static const char *const heads[] = {"USER", "COUNTRY", "SINCE", "BY"};
    struct table *t = table_new(heads, ARRAY_LEN(heads));
    const json_t *x;
    size_t i;
    char since[24];
    (void)c;
    json_array_foreach(json_object_get(doc, "countries"), i, x)
    {
        time_text(number(x, "when") * 1000000, since);
        table_text(t, member(x, "user"));
        table_text(t, member(x, "country"));
        table_text(t, since);
        table_text(t, member(x, "by"));
    }
    table_print(t, to);
}

int cmd_country(struct cli *c)
{
    static const char how[] = "list [USER], or allow|forget USER CC";
    char text[REQUEST_MAX];
    struct out o = out_of(text, sizeof text);
    bool list = strcmp(c->words[0], "list") == 0, allow = strcmp(c->words[0], "allow") == 0;
    if (!(list ? c->n_words <= 2 : c->n_words == 3) ||
        !(list || allow || strcmp(c->words[0], "forget") == 0))
        return usage(c, how);
    request_begin(&o, list ? "country-list" : allow ? "country-allow" : "country-forget");
    request_str(&o, "user", c->n_words > 1 ? c->words[1] : NULL);
    request_str(&o, "country", c->n_words > 2 ? c->words[2] : NULL);
    return send_off(c, &o, list ? show_countries : show_country);
}
