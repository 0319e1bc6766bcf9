#include "app/config/yaml.h"

/* Names, keys and values of the file go into messages: nothing of them may steer a terminal. */
static void printable(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || (unsigned char)*s == 0x7f)
            *s = '?';
}

static void add(struct config_errors *e, bool warning, struct pos at, const char *hint,
                const char *fmt, va_list args) PRINTF(5, 0);
static void add(struct config_errors *e, bool warning, struct pos at, const char *hint,
                const char *fmt, va_list args)
{
    if (warning)
        e->n_warnings++;
    else
        e->n_errors++;
    if (e->n == CONFIG_PROBLEMS) {
        e->n_lost++;
        return;
    }
    struct config_problem *p = &e->at[e->n++];
    *p = (struct config_problem){.line = at.line, .column = at.column, .warning = warning};
    int n = vsnprintf(p->text, sizeof p->text, fmt, args);
    DCHECK(n >= 0);
    (void)n;
    if (hint)
        memcpy(p->hint, hint, strnlen(hint, sizeof p->hint - 1));
    printable(p->text);
    printable(p->hint);
}

void problem(struct load *l, struct pos at, const char *hint, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(l->e, false, at, hint, fmt, args);
    va_end(args);
}

void warning(struct load *l, struct pos at, const char *hint, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(l->e, true, at, hint, fmt, args);
    va_end(args);
}

static int by_place(const void *va, const void *vb)
{
    const struct config_problem *a = va, *b = vb;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    if (a->column != b->column)
        return a->column < b->column ? -1 : 1;
    if (a->warning != b->warning)
        return a->warning ? 1 : -1;
    return strcmp(a->text, b->text);
}

void problems_sort(struct config_errors *e)
{
    qsort(e->at, e->n, sizeof e->at[0], by_place);
}

void config_errors_put(struct out *o, const struct config_errors *e)
{
    for (uint32_t i = 0; i < e->n; i++) {
        const struct config_problem *p = &e->at[i];
        out_put(o, str_c(e->file));
        if (p->line)
            out_fmt(o, ":%u:%u", p->line, p->column);
        out_put(o, p->warning ? STR(": warning: ") : STR(": error: "));
        out_put(o, str_c(p->text));
        if (p->hint[0]) {
            OUT_LIT(o, "; ");
            out_put(o, str_c(p->hint));
        }
        out_ch(o, '\n');
    }
    if (e->n_lost)
        out_fmt(o, "%s: and %u further problems that are not shown\n", e->file, e->n_lost);
}

void config_errors_json(struct out *o, const struct config_errors *e)
{
    out_ch(o, '{');
    out_json_kstr(o, STR("file"), str_c(e->file));
    out_json_ku64(o, STR("errors"), e->n_errors);
    out_json_ku64(o, STR("warnings"), e->n_warnings);
    out_json_key(o, STR("problems"));
    out_ch(o, '[');
    for (uint32_t i = 0; i < e->n; i++) {
        const struct config_problem *p = &e->at[i];
        out_put(o, i ? STR(",{") : STR("{"));
        out_json_ku64(o, STR("line"), p->line);
        out_json_ku64(o, STR("column"), p->column);
        out_json_kstr(o, STR("level"), p->warning ? STR("warning") : STR("error"));
        out_json_kstr(o, STR("text"), str_c(p->text));
        out_json_kstr(o, STR("hint"), str_c(p->hint));
        out_ch(o, '}');
    }
    OUT_LIT(o, "]}");
}
