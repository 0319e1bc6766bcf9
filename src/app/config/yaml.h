/* Typed reading of YAML nodes by field tables: a section of the file is a table of {key, reader,
 * place, bounds}, and one walker finds unknown, missing and wrong ones. Private to app/config. */
#ifndef APP_CONFIG_YAML_H
#define APP_CONFIG_YAML_H
#include "app/config/config.h"
#include <libfyaml.h>

struct pos {
    uint32_t line, column; /* from 1; 0 = unknown */
};
struct load { /* one reading of one file */
    struct config *c;
    struct policy *p; /* of c */
    struct config_errors *e;
    const struct config_opts *o;
    bool text_full;
    struct pos listener_at[POLICY_LISTENERS], zone_at[POLICY_ZONES], waiver_at[POLICY_WAIVERS];
    struct pos peer_at[POLICY_PEERS], route_at[POLICY_ROUTES], role_at[POLICY_ROLES], media_at,
        certs_at, dns_at;
    struct pos guard_at, geo_at, feed_at[GUARD_FEEDS], access_at[POLICY_ZONES];
    bool factor_given, service_given;
    bool by_country; /* some access rule needs to know countries */
};

/* hint may be NULL. */
void problem(struct load *l, struct pos at, const char *hint, const char *fmt, ...) PRINTF(4, 5);
void warning(struct load *l, struct pos at, const char *hint, const char *fmt, ...) PRINTF(4, 5);
void problems_sort(struct config_errors *e);

struct field;
/* Reads n into dst (already moved to the field's place), or tells a problem and leaves it. */
typedef void field_fn(struct load *l, const struct field *f, struct fy_node *n, void *dst);
struct field {
    const char *key;
    field_fn *read;
    size_t off;
    bool required;
    uint32_t min, max; /* numbers, seconds, bytes of text, items of a list */
    const void *more;  /* reader's own: struct word[], struct ref_kind */
};
struct word {
    const char *word;
    uint8_t value;
};
struct ref_kind { /* named things of the policy, whose first member is struct span name */
    const char *word;
    size_t array_off, stride, count_off;
};
extern const struct ref_kind REF_LISTENER, REF_ZONE, REF_PEER, REF_ROLE, REF_DECK;

struct pos pos_of(struct fy_node *n); /* of a mapping or list: of its first element */
/* Reads a mapping into base; returns a bit for each field that was there (fields at most 32). what:
 * "listener". */
uint32_t map_read(struct load *l, struct fy_node *n, const char *what, const struct field *fields,
                  size_t n_fields, void *base);
struct list { /* a list of named mappings in the policy */
    const char *what;
    const struct field *fields;
    size_t n_fields;
    const struct ref_kind *kind;
    uint32_t cap;
    struct pos *at;             /* cap of them */
    void (*begin)(void *entry); /* defaults; may be NULL */
    void (*end)(struct load *l, void *entry, uint32_t seen, struct pos at); /* may be NULL */
};
void list_read(struct load *l, struct fy_node *n, const char *key, const struct list *d);
/* A plain list: tells a problem unless n is a list of 1..f->max items; a single scalar counts as a
 * list of one. */
bool seq_open(struct load *l, const struct field *f, struct fy_node *n);
struct fy_node *seq_next(struct fy_node *n, void **it); /* NULL at the end */

/* The scalar's text (borrows from the document); false and a problem if it is none. */
bool scalar(struct load *l, const char *key, struct fy_node *n, struct str *ret_s);
/* The same, and unquoted; want: "a number". */
bool bare(struct load *l, const char *key, struct fy_node *n, const char *want, struct str *ret_s);
bool text_add(struct load *l, struct pos at, struct str s, struct span *ret_sp);
/* Index of the thing of that name, or POLICY_NONE and a problem with the nearest name. */
uint8_t ref_find(struct load *l, const struct ref_kind *k, const char *key, struct fy_node *n);
struct str ref_name(const struct load *l, const struct ref_kind *k, uint32_t i);
uint32_t ref_count(const struct load *l, const struct ref_kind *k);

field_fn rd_node;               /* dst: struct fy_node * */
field_fn rd_name;               /* dst: struct span; letters, digits, '.', '_', '-' */
field_fn rd_text, rd_host;      /* dst: struct span */
field_fn rd_chars;              /* dst: char[max + 1] */
field_fn rd_bool;               /* dst: bool */
field_fn rd_u8, rd_u16, rd_u32; /* min..max */
field_fn rd_seconds, rd_seconds16;
field_fn rd_ms;          /* dst: uint32_t; "800ms", "2s" */
field_fn rd_word;        /* dst: uint8_t; more: struct word[], ended by NULL */
field_fn rd_addr, rd_ip; /* dst: struct addr; port 0 if there is none */
field_fn rd_date;        /* dst: struct wall */
field_fn rd_ref;         /* dst: uint8_t; more: struct ref_kind */
/* A file by its whole name or one in the state folder; dst: struct span of its whole name. What is
 * not there is an error, or a warning where more is not NULL. */
field_fn rd_file;
/* Value of the word, or -1 and a problem that names the choices. */
int word_find(struct load *l, const char *key, struct fy_node *n, const struct word *words);

/* The sections, in the order in which they refer to each other. */
void read_domains(struct load *l, struct fy_node *n);
void read_certificates(struct load *l, struct fy_node *n);
void read_media(struct load *l, struct fy_node *n);
void read_listeners(struct load *l, struct fy_node *n);
void read_zones(struct load *l, struct fy_node *n);
void read_waivers(struct load *l, struct fy_node *n);
void read_peers(struct load *l, struct fy_node *n);
void read_roles(struct load *l, struct fy_node *n);
void read_routes(struct load *l, struct fy_node *n);
void read_limits(struct load *l, struct fy_node *n);
void read_dns(struct load *l, struct fy_node *n);
void read_guard(struct load *l, struct fy_node *n);
void read_consult(struct load *l, struct fy_node *n);
void read_sites(struct load *l, struct fy_node *n);
void read_rates(struct load *l, struct fy_node *n);
void read_fraud(struct load *l, struct fy_node *n);
void read_stir(struct load *l, struct fy_node *n);
void read_tokens(struct load *l, struct fy_node *n);
void read_passwords(struct load *l, struct fy_node *n);
void read_second_factor(struct load *l, struct fy_node *n);
void factor_default(struct load *l); /* what the file does not say */
void read_authority(struct load *l, struct fy_node *n);
void read_administrators(struct load *l, struct fy_node *n);
void read_notify(struct load *l, struct fy_node *n);
field_fn rd_caps;                 /* dst: struct caps, which keeps what the file does not name */
field_fn rd_country;              /* dst: uint16_t */
field_fn rd_access;               /* dst: struct policy_zone */
void judge_guard(struct load *l); /* called by judge */
void judge_stir(struct load *l);  /* called by judge */
void dns_default(struct load *l); /* what the file does not say */
void limits_default(struct policy_limits *lim);
void role_user_first(struct load *l); /* role 0 is "user", made if the file has none */
uint32_t where_line(struct fy_node *root, const struct config_where *w); /* as config_line */
/* What holds between sections; only when every section could be read. */
void judge(struct load *l);
#endif
