/* The library that scans for many patterns at once (hyperscan or vectorscan): lib_make.c compiles,
 * by the whole library, in the monitor and the CLI; lib_scan.c only scans, by its runtime part, in
 * engines. lib_none.c and lib_scan_none.c stand in where it is not there at build time; where the
 * processor lacks what it needs, it says no at run time, and the plain scanner does the same work.
 */
#ifndef APP_RULES_LIB_H
#define APP_RULES_LIB_H
#include "guard/rules.h"

struct rules_literal {
    struct str text;
    bool nocase;
};
bool rules_lib_can_make(void);
/* Give a database as bytes (free). ERR_UNSUPPORTED: it cannot. */
MUST_CHECK enum err rules_lib_literals(const struct rules_literal *l, uint32_t n, void **ret_p,
                                       size_t *ret_n);
MUST_CHECK enum err rules_lib_expr(struct str expression, uint32_t flags, void **ret_p,
                                   size_t *ret_n);

struct rules_lib; /* databases and one working memory for all */
struct rules_db;
struct rules_lib *rules_lib_new(void); /* NULL: not here */
void rules_lib_free(struct rules_lib *l);
/* Borrows the bytes. NULL: they are of another version, or damaged. Before the first scan only. */
struct rules_db *rules_lib_add(struct rules_lib *l, struct str bytes);
bool rules_lib_scan(struct rules_lib *l, const struct rules_db *d, struct str s, rules_hit_fn *hit,
                    void *ctx); /* ctx gets the number of each literal, once; false: it failed */
bool rules_lib_fits(struct rules_lib *l, const struct rules_db *d, struct str s);
#endif
