#include "app/rules/build.h"

const struct rules_problem *rules_build_problems(const struct rules_build *b, uint32_t *ret_n,
                                                 uint32_t *ret_errors, uint32_t *ret_lost)
{
    *ret_n = b->n_problems;
    *ret_errors = b->n_errors;
    *ret_lost = b->n_lost;
    return b->problems;
}

const char *rules_build_file_name(const struct rules_build *b, uint32_t file)
{
    return file < b->n_files ? b->files[file] : "";
}

void rules_problems_put(struct out *o, const struct rules_build *b)
{
    for (uint32_t i = 0; i < b->n_problems; i++) {
        const struct rules_problem *p = &b->problems[i];
        out_fmt(o, "%s:", rules_build_file_name(b, p->file));
        if (p->line)
            out_fmt(o, "%u:%u:", (unsigned)p->line, (unsigned)p->column);
        out_fmt(o, " %s: %s%s%s\n", p->warning ? "warning" : "error", p->text,
                p->hint[0] ? "; " : "", p->hint);
    }
    if (b->n_lost)
        out_fmt(o, "and %u more\n", (unsigned)b->n_lost);
}

void rules_problems_json(struct out *o, const struct rules_build *b)
{
    out_ch(o, '[');
    for (uint32_t i = 0; i < b->n_problems; i++) {
        const struct rules_problem *p = &b->problems[i];
        if (i)
            out_ch(o, ',');
        out_ch(o, '{');
        out_json_kstr(o, STR("file"), str_c(rules_build_file_name(b, p->file)));
        out_json_ku64(o, STR("line"), p->line);
        out_json_ku64(o, STR("column"), p->column);
        out_json_kstr(o, STR("level"), p->warning ? STR("warning") : STR("error"));
        out_json_kstr(o, STR("text"), str_c(p->text));
        out_json_kstr(o, STR("hint"), str_c(p->hint));
        out_ch(o, '}');
    }
    out_ch(o, ']');
}
