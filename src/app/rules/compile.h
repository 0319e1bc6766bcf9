/* Text of rules (Suricata's syntax) to the blob of guard/rules.h. Everything that is wrong is told
 * at once, with file, line, column and a hint; a keyword that is not served is an error, so a rule
 * never means less than it says. Allocates; used by the monitor and the CLI, never by engines.
 *
 *   b = rules_build_new();  rules_build_file(b, path)...;  rules_build_end(b, ...);
 * rules_build_free(b) */
#ifndef APP_RULES_COMPILE_H
#define APP_RULES_COMPILE_H
#include "base/out.h"
#include "guard/rules_blob.h"

#define RULES_PROBLEMS 200u
#define RULES_FILES    64u
#define RULES_FILE_MAX (32u << 20) /* bytes of one file */
#define RULES_VARS     64u

struct rules_problem {
    uint32_t file, line, column; /* from 1; line 0: the file as a whole */
    bool warning;
    char text[200], hint[160]; /* printable; hint "" = none */
};
struct rules_build;
struct rules_build *rules_build_new(void); /* NULL: no memory */
void rules_build_free(struct rules_build *b);
/* What $NAME stands for in headers: "any", or a list as a rule has it. HOME_NET, EXTERNAL_NET,
 * SIP_SERVERS and SIP_PORTS are "any" until said otherwise. Borrows both until the end. */
MUST_CHECK enum err rules_build_var(struct rules_build *b, const char *name, const char *value);
/* What cannot be read or parsed is a problem, not an error of these. ERR_FULL: no memory. */
MUST_CHECK enum err rules_build_file(struct rules_build *b, const char *path);
MUST_CHECK enum err rules_build_text(struct rules_build *b, const char *name, struct str text);

struct rules_build_opts {
    uint64_t salt[2]; /* random in an installation */
    bool plain;       /* without the library that scans */
};
/* Gives a blob (free), aligned as readers want it. ERR_SYNTAX: there are problems. */
MUST_CHECK enum err rules_build_end(struct rules_build *b, const struct rules_build_opts *o,
                                    struct rules **ret_blob, size_t *ret_bytes);

const struct rules_problem *rules_build_problems(const struct rules_build *b, uint32_t *ret_n,
                                                 uint32_t *ret_errors, uint32_t *ret_lost);
const char *rules_build_file_name(const struct rules_build *b, uint32_t file);
/* "file:12:5: error: text; hint", a line each. */
void rules_problems_put(struct out *o, const struct rules_build *b);
/* [{"file":..,"line":..,"column":..,"level":..,"text":..,"hint":..}] */
void rules_problems_json(struct out *o, const struct rules_build *b);
#endif
