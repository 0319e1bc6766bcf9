/* Inside app/rules only: a rule that is being read, and what is gathered of all. */
#ifndef APP_RULES_BUILD_H
#define APP_RULES_BUILD_H
#include "app/rules/compile.h"

struct vec { /* grows; elements of one size */
    void *p;
    size_t n, cap, size;
};
void *rule_vec_add(struct vec *v, size_t n); /* room for n more, zeroed; NULL: no memory */

struct fast {              /* what the scan looks for on behalf of a rule */
    uint32_t text, text_n; /* in build.text */
    bool nocase, rtp;
    uint32_t rule;
};
struct rules_build {
    struct vec rules, conds, nets, ports, exprs, text, fasts;
    uint32_t n_files, n_problems, n_errors, n_lost, n_vars, n_bits, n_disabled;
    bool no_memory;
    char files[RULES_FILES][256];
    struct rules_problem problems[RULES_PROBLEMS];
    struct {
        const char *name, *value;
    } vars[RULES_VARS];
    struct {
        char name[48];
        uint32_t set, asked;
    } bits[RULES_BITS];
    struct vec where; /* struct origin of each rule */
};
struct origin {
    uint32_t file, line;
};

struct draft_cond {
    struct rules_cond c;
    size_t at;         /* for problems */
    uint32_t sequence; /* which buffer of several of a kind it asks for */
    bool has_offset, has_depth, has_distance, has_within, fast, done;
    uint16_t fast_off, fast_n;
};
struct parse { /* one rule */
    struct rules_build *b;
    uint32_t file;
    struct str raw;      /* the file */
    const char *t;       /* the rule, lines joined */
    const uint32_t *map; /* of its bytes: where in the file */
    size_t n, at;
    bool bad, content_bad; /* the rule; its last content */
    bool cut;              /* its end was not understood */
    struct rules_rule r;
    struct draft_cond conds[RULES_CONDS_MAX];
    uint32_t n_conds;
    int last; /* the content that modifiers belong to; -1: none */
    uint8_t buffer;
    uint32_t sequence;
    uint64_t seen; /* keywords that may come once */
    size_t key_at; /* the keyword that is being read */
    bool severity_said;
    uint8_t severity_of_class;
};

/* -- text.c -- */
void rule_problem(struct parse *p, size_t at, const char *hint, const char *fmt, ...) PRINTF(4, 5);
void rule_warning(struct parse *p, size_t at, const char *hint, const char *fmt, ...) PRINTF(4, 5);
void rule_file_problem(struct rules_build *b, uint32_t file, const char *fmt, ...) PRINTF(3, 4);
void rule_space(struct parse *p);
struct str rule_part(const struct parse *p, size_t from, size_t to); /* trimmed of spaces */
size_t rule_place(const struct parse *p, struct str s);              /* where s lies in the rule */
bool rule_number(struct parse *p, struct str s, int64_t min, int64_t max, int64_t *ret_v);
bool rule_keep_text(struct rules_build *b, struct str s, struct rules_slice *ret);
/* -- header.c -- */
bool rule_header_parse(struct parse *p);
/* -- options.c -- */
void rule_options_parse(struct parse *p);
/* -- content.c -- */
typedef void option_fn(struct parse *p, struct str value);
option_fn opt_content, opt_nocase, opt_offset, opt_depth, opt_distance, opt_within, opt_startswith,
    opt_endswith, opt_fast_pattern, opt_rawbytes, opt_isdataat, opt_bsize, opt_pcre, opt_dsize;
void rule_buffer_begin(struct parse *p, enum rules_buffer id);
bool rule_unquote(struct parse *p, struct str v,
                  struct str *ret); /* what lies between the quotes */
/* -- draft.c: the rule as a whole -- */
void rule_draft_end(struct parse *p);
/* -- literal.c: one of them is in every match of an expression; n 0: none is certain -- */
#define LITERALS      16u
#define LITERAL_BYTES 32u
struct literal {
    uint32_t n;
    char bytes[LITERAL_BYTES]; /* lower case */
};
struct literals {
    uint32_t n;
    struct literal at[LITERALS];
};
void rule_literals_of(struct str expression, struct literals *ret);
/* -- ordinary.c -- */
extern const struct str RULE_ORDINARY; /* what ordinary messages are full of, in lower case */
/* How rarely it is in an ordinary message; below 0: it is in all, and so short that to look for it
 * is no use. */
int rule_rarity(struct str lower);
/* -- classes.c -- */
int rule_class_severity(struct str name); /* 0: not known */
#endif
