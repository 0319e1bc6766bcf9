/* The embedded default: TLS and SRTP for phones everywhere, one plain PBX on the own machine by a
 * waiver that ends. */
#include "app/config/config.h"
#include "app/config/values.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void head_text(struct out *o, const char *state, const struct config_default *d)
{
    out_fmt(
        o,
        "# Ringwall: written by `ringwall init`. Every key is explained in the commented example,\n"
        "# ringwall.yaml of the documentation. `ringwall check` judges a change, `ringwall reload` "
        "takes it.\n"
        "domains: [%s]            # the first is the realm of all users\n"
        "state: %s\n"
        "engines: auto\n\n"
        "media:\n  ports: 20000-29999\n\n"
        "certificates:\n  default: {chain: server.pem, key: server}\n\n",
        d->domain ? d->domain : "localhost", state);
}

static void zones_text(struct out *o, const struct config_default *d)
{
    out_fmt(o,
            "listeners:\n"
            "  - name: tls\n    transport: tls\n    address: 0.0.0.0:5061\n"
            "    advertise: %s     # what phones reach this machine by\n"
            "  - name: pbx-side\n    transport: udp\n    address: 127.0.0.1:5060\n\n"
            "zones:\n"
            "  - name: phones\n    listeners: [tls]\n    sources: [0.0.0.0/0]\n    media: srtp\n   "
            " nat: yes\n"
            "    registration: yes\n    authenticate: yes\n"
            "  - name: pbx\n    listeners: [pbx-side]\n    sources: [127.0.0.0/8]\n    media: "
            "rtp\n    authenticate: no\n\n",
            d->public_ip ? d->public_ip : "127.0.0.1");
}

static void waiver_text(struct out *o, const struct config_default *d)
{
    char expires[VALUE_DATE_TEXT];
    value_date_text((struct wall){d->now.us + INT64_C(90) * 86400 * 1000000}, expires);
    out_fmt(o,
            "# The PBX speaks plain SIP and RTP. That is let through until the date below and is "
            "reported until then.\n"
            "waivers:\n"
            "  - name: pbx-on-this-machine\n    zone: pbx\n    allow: [plain-signalling, "
            "plain-media]\n    owner: \"%s\"\n"
            "    reason: \"the PBX runs on this machine and speaks neither TLS nor SRTP\"\n    "
            "expires: %s\n\n",
            d->owner ? d->owner : "operator", expires);
}

static void guard_text(struct out *o, const struct config_default *d)
{
    if (d->rules)
        out_fmt(
            o,
            "# Signatures; scanners and detectors need no word. `ringwall rules list` shows them.\n"
            "guard:\n  rules: [%s/ringwall.rules]\n\n",
            d->rules);
}

static void site_text(struct out *o, const struct config_default *d)
{
    static const char why[] =
        "# Where the phones are: by it numbers are known as local, national, abroad, dear.\n";
    if (d->country)
        out_fmt(o, "%ssites:\n  - {name: here, country: %s}\n\n", why, d->country);
    else
        out_fmt(
            o,
            "%s# Until a country stands here, all that is dialled with + or 00 counts as "
            "abroad, and is closed.\n# sites:\n#   - {name: here, country: DE, area: \"30\"}\n\n",
            why);
}

void config_default_text(struct out *o, const char *state, const struct config_default *d)
{
    head_text(o, state, d);
    zones_text(o, d);
    waiver_text(o, d);
    guard_text(o, d);
    site_text(o, d);
    out_fmt(
        o,
        "peers:\n"
        "  - name: pbx\n    kind: pbx\n    zone: pbx\n    listener: pbx-side\n    address: "
        "%s\n    options: 30s\n"
        "    trust_identity: yes\n\n"
        "# International, dear, satellite and unknown numbers are closed, two outside calls "
        "at once,\n# 20 of the currency a day: what a role says of dial, countries and caps "
        "changes that.\n# Once a role may call abroad, a user's first call to each country wants a "
        "one-time code\n# (ringwall otp) or an administrator's word (ringwall country allow): "
        "step_up.\n"
        "roles:\n  - {name: user, outbound: yes}\n\n"
        "# The first rule that fits decides; no rule, no call.\n"
        "routes:\n"
        "  - name: numbers-to-pbx\n    from: {zone: phones}\n    pattern: \"X.\"\n    to: "
        "{peers: [pbx]}\n"
        "  - name: plus-numbers-to-pbx\n    from: {zone: phones}\n    pattern: \"+X.\"\n    "
        "to: {peers: [pbx]}\n"
        "  - name: between-users\n    from: {zone: phones}\n    pattern: \"*\"\n    to: users\n"
        "  - name: from-pbx\n    from: {peer: pbx}\n    pattern: \"*\"\n    to: users\n",
        d->pbx ? d->pbx : "127.0.0.1:5070");
}

static enum err write_new(const char *path, struct str text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return errno == EEXIST ? ERR_EXISTS : ERR_SYSTEM;
    size_t at = 0;
    while (at < text.n) {
        ssize_t n = write(fd, text.p + at, text.n - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    bool whole = at == text.n && fsync(fd) == 0;
    int why = errno;
    close(fd);
    if (!whole)
        (void)unlink(path); /* half a configuration is worse than none */
    errno = why;
    return whole ? OK : ERR_SYSTEM;
}

enum err config_default_write(const char *dir, const struct config_default *d)
{
    char text[8192], path[CONFIG_PATH], real[4096];
    if (mkdir(dir, 0750) != 0 && errno != EEXIST)
        return ERR_SYSTEM;
    if (!realpath(dir, real))
        return ERR_SYSTEM;
    struct out o = out_of(text, sizeof text);
    config_default_text(&o, real, d);
    int n = snprintf(path, sizeof path, "%s/ringwall.yaml", dir);
    if (o.full || n < 0 || (size_t)n >= sizeof path) {
        errno = ENAMETOOLONG;
        return ERR_SYSTEM;
    }
    return write_new(path, out_str(&o));
}
