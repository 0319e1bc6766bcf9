/* An append-only file of JSON lines that proves its own order: every line ends in
 *     ,"hash":"<64 hex>"}
 * where hash = SHA-256(hash of the line before, as 32 bytes | the line up to ,"hash"). The first
 * line of a file has a member "prev" with the hash of the last line of the file before it (zeros
 * for the first ever), so that files which were closed by size (NAME.000000000123.jsonl, by the
 * first seq in it) chain too. "seq" counts lines without gaps. A changed bit, a line taken out, put
 * in or moved is found by chainlog_verify; lines cut off the end are found by comparing the last
 * seq and hash with the database, which the store does when it starts. Lines are gathered in memory
 * and written by chainlog_flush: adding one makes no system call. A full disk loses lines, counted,
 * and never the order. */
#ifndef APP_STORE_CHAINLOG_H
#define APP_STORE_CHAINLOG_H
#include "base/out.h"

#define CHAINLOG_LINE 8192u /* longest line */
#define CHAINLOG_BUFFER                                                                            \
    (1024u * 1024) /* gathered between two flushes; a full one flushes by itself */
#define CHAINLOG_HASH 32u

struct chainlog {
    char name[32]; /* file NAME.jsonl in the working folder */
    int fd;
    uint64_t bytes, max_bytes; /* of the file; size at which it is closed and a new one begun */
    uint64_t seq;              /* of the newest line */
    uint8_t hash[CHAINLOG_HASH];
    uint64_t flushed_seq; /* of the newest line on disk */
    uint8_t flushed_hash[CHAINLOG_HASH];
    uint64_t lost;       /* lines that could not be written */
    uint64_t torn_bytes; /* found at the end by open: an unfinished line, cut off */
    uint32_t keep_files; /* closed files kept; 0 = all */
    bool dirty;          /* written since the last sync */
    /* Lines that may be asked for again: see chainlog_again. */
    struct chainlog_line {
        uint64_t hash;
        int64_t id;
    } * again;
    uint32_t n_again;
    int64_t id_again; /* member "id" of the line that the last chainlog_end left out, else 0 */
    struct out out;
    size_t line_at; /* where the line that is being written begins */
    char *buf;
};
/* Opens or makes NAME.jsonl in folder dirfd and takes up the chain at its last line. keeps nothing
 * of name. ERR_SYSTEM (errno); ERR_SYNTAX: the last whole line is no line of a chain (the file is
 * put aside as NAME.broken.<n>.jsonl and a new one begun, so the log is usable all the same). */
MUST_CHECK enum err chainlog_open(struct chainlog *l, int dirfd, const char *name,
                                  uint64_t max_bytes, uint32_t keep_files);
/* Line to write into: begin gives the writer after {"seq":N ; end closes, chains and keeps it (or
 * drops it if it was too long, counted in lost, or if it stands there already: chainlog_again). */
struct out *chainlog_begin(struct chainlog *l);
void chainlog_end(struct chainlog *l, int dirfd);
/* The lines behind after_seq (of the newest file only) were written by a store that died before it
 * could say that it had them: what led to them comes again. A line that says the same (seq, id and
 * hash apart) is then left out, once. Gives the highest id in them. */
int64_t chainlog_again(struct chainlog *l, uint64_t after_seq);
void chainlog_no_more(struct chainlog *l); /* all has come again that will */
/* Writes what is gathered. ERR_SYSTEM: the lines since the last flush are lost and counted, the
 * chain goes on from the last line on disk. */
MUST_CHECK enum err chainlog_flush(struct chainlog *l, int dirfd);
MUST_CHECK enum err chainlog_sync(struct chainlog *l); /* fdatasync if dirty */
void chainlog_close(struct chainlog *l, int dirfd);    /* flushes */

struct chain_verdict {
    uint64_t lines, first_seq, last_seq;
    uint8_t hash[CHAINLOG_HASH]; /* of the last good line */
    uint64_t bad_line;           /* from 1, in this file; 0 = none */
    const char *why;             /* static text */
    bool torn; /* the last line has no end: a crash while writing, or lines taken off */
};
/* Checks one file. before: verdict of the file before it, NULL for the first (its "prev" is then
 * believed). ERR_AUTH: *ret_v says where and why; ERR_SYSTEM: cannot be read. */
MUST_CHECK enum err chainlog_verify(int fd, const struct chain_verdict *before,
                                    struct chain_verdict *ret_v);
#endif
