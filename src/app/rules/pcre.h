/* PCRE2 with bounds: no JIT (engines may not make memory executable), limits on steps and memory,
 * so that no message makes an expression costly. pcre.c, or pcre_none.c where the library is not.
 */
#ifndef APP_RULES_PCRE_H
#define APP_RULES_PCRE_H
#include "base/str.h"

#define PCRE_STEPS 3500u /* match limit, and depth limit */
#define PCRE_HEAP  1024u /* KiB */

struct rules_pcre;
bool rules_pcre_there(void);
/* Gives; NULL: reterr_why and reterr_at (offset) say what is wrong. flags: enum rules_expr_flag. */
struct rules_pcre *rules_pcre_new(struct str expression, uint32_t flags, char *reterr_why,
                                  size_t cap, size_t *reterr_at);
void rules_pcre_free(struct rules_pcre *x);
/* The first match from from on. A limit that is reached is no match. */
bool rules_pcre_find(const struct rules_pcre *x, struct str s, size_t from, size_t *ret_first,
                     size_t *ret_end);
#endif
