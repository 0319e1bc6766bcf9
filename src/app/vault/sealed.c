#include "app/vault/sealed.h"
#include "crypto/hash.h"

#define HASH_HEX 64u

void sealed_head(struct out *o, struct str kind)
{
    OUT_LIT(o, "ringwall ");
    out_put(o, kind);
    OUT_LIT(o, " 1\n");
}

enum err sealed_tail(struct out *o, uint32_t count)
{
    uint8_t md[HASH_MAX];
    struct str all = out_str(o);
    enum err e = out_err(o);
    if (e == OK)
        e = hash_parts(HASH_SHA256, &all, 1, md);
    if (e != OK)
        return e;
    OUT_LIT(o, "end ");
    out_u64(o, count);
    out_ch(o, ' ');
    out_hex(o, md, HASH_HEX / 2);
    out_ch(o, '\n');
    return out_err(o);
}

static enum err broken(struct sealed *s, const char *why)
{
    s->why = why;
    return ERR_SYNTAX;
}

/* "end COUNT HASH" */
static bool tail_right(struct sealed *s, struct str tail, struct str before)
{
    struct str word, number;
    uint8_t want[HASH_HEX / 2], md[HASH_MAX];
    struct str rest = str_cut(tail, ' ', &word);
    struct str hex = str_cut(rest, ' ', &number);
    return str_eq(word, STR("end")) && str_u32(number, UINT32_MAX, &s->count) == OK &&
           hex_decode(hex, want, sizeof(want)) == OK &&
           hash_parts(HASH_SHA256, &before, 1, md) == OK && memcmp(md, want, sizeof(want)) == 0;
}

enum err sealed_open(struct sealed *s, struct str file, struct str kind)
{
    *s = (struct sealed){.rest = STR_NONE};
    struct str head, word, name;
    struct str body = str_cut(file, '\n', &head);
    struct str version = str_cut(str_cut(head, ' ', &word), ' ', &name);
    s->line = 1;
    if (!str_eq(word, STR("ringwall")) || !str_eq(name, kind))
        return broken(s, "this is not such a file");
    if (!str_eq(version, STR("1")))
        return broken(s, "written by another version of Ringwall");
    if (str_find(file, '\0') < file.n)
        return broken(s, "a zero byte, which no text of ours has");
    if (file.p[file.n - 1] != '\n')
        return broken(s, "the end of the file is missing");
    struct str lines = str_head(file, file.n - 1);
    size_t nl = str_rfind(lines, '\n');
    if (nl >= lines.n)
        return broken(s, "the end of the file is missing");
    if (!tail_right(s, str_skip(lines, nl + 1), str_head(file, nl + 1)))
        return broken(s, "the file is cut off, damaged or was edited (its checksum is wrong)");
    s->rest = str_head(body, body.n - (file.n - nl - 1));
    return OK;
}

size_t sealed_width(const struct sealed *s)
{
    struct str line;
    size_t n = s->rest.n > 0;
    str_cut(s->rest, '\n', &line);
    for (size_t i = 0; i < line.n; i++)
        n += line.p[i] == '\t';
    return n;
}

enum err sealed_next(struct sealed *s, struct str *ret_fields, size_t n)
{
    struct str line, field;
    if (s->rest.n == 0)
        return s->count == 0 ? ERR_NOT_FOUND : broken(s, "there are fewer records than it says");
    s->rest = str_cut(s->rest, '\n', &line);
    s->line++;
    if (s->count == 0)
        return broken(s, "there are more records than it says");
    s->count--;
    for (size_t i = 0; i < n; i++) {
        bool last = str_find(line, '\t') >= line.n;
        line = str_cut(line, '\t', &field);
        if (last != (i + 1 == n))
            return broken(s, "the line has too many or too few fields");
        ret_fields[i] = field;
    }
    return OK;
}
