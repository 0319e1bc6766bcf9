#include "base/reasons.h"

static const struct reason_info infos[REASON_COUNT] = {
    [REASON_NONE] = {{"none", 4}, {"no reason", 9}, SEV_INFO, 0, 0},
#define R(name, severity, hostile, code, text)                                                     \
    [REASON_##name] = {                                                                            \
        {#name, sizeof #name - 1}, {text, sizeof(text) - 1}, SEV_##severity, hostile, code},
#include "base/reasons.def"
#undef R
};

const struct reason_info *reason_info(enum reason r)
{
    return &infos[(unsigned)r < REASON_COUNT ? r : REASON_NONE];
}

enum reason reason_by_name(struct str name)
{
    for (unsigned r = 1; r < REASON_COUNT; r++) {
        if (str_eq(infos[r].name, name))
            return (enum reason)r;
    }
    return REASON_NONE;
}

const char *severity_name(enum severity s)
{
    switch (s) {
    case SEV_INFO:
        return "info";
    case SEV_NOTICE:
        return "notice";
    case SEV_WARN:
        return "warn";
    case SEV_ALERT:
        return "alert";
    }
    return "unknown";
}
