#include "wire/tel/number.h"

static const struct str names[CLASS_COUNT] = {
    [CLASS_UNKNOWN] = STR("unknown"),         [CLASS_INTERNAL] = STR("internal"),
    [CLASS_EMERGENCY] = STR("emergency"),     [CLASS_LOCAL] = STR("local"),
    [CLASS_NATIONAL] = STR("national"),       [CLASS_MOBILE] = STR("mobile"),
    [CLASS_TOLL_FREE] = STR("toll-free"),     [CLASS_INTERNATIONAL] = STR("international"),
    [CLASS_SHARED_COST] = STR("shared-cost"), [CLASS_PREMIUM] = STR("premium"),
    [CLASS_SATELLITE] = STR("satellite"),
};

struct str number_class_name(enum number_class c)
{
    return names[c < CLASS_COUNT ? c : CLASS_UNKNOWN];
}
