/* What the files of `ringwall top` share: the documents of one second, and the frame made of them.
 */
#ifndef APP_CLI_TOP_H
#define APP_CLI_TOP_H
#include "app/cli/cli.h"

#define HEAD_LINES 4u
#define ROWS_MAX   1000u
enum pane { PANE_CALLS, PANE_PHONES, PANE_ATTACKERS, PANE_BANS, PANES };
extern const char *const TOP_PANES[PANES];

struct docs { /* NULL: it was not to be had */
    json_t *status, *calls, *phones, *attackers, *bans;
};
struct before { /* counters of the frame before, for rates */
    int64_t us;
    json_t *status;
};
struct top {
    struct cli *c;
    struct docs d;
    struct before was;
    int64_t us;
    unsigned pane, marked, first, n_rows;
    bool paused, help, wide;
    int64_t ids[ROWS_MAX]; /* of bans, by row */
    char names[ROWS_MAX][64];
    char said[160]; /* last line, until the next key */
};

/* The whole frame as text: HEAD_LINES lines, a heading, rows. Texts of peers are in it only as
 * put_safe lets them. Fills ids and names of bans. gives: free; NULL: no memory. */
char *top_frame(struct top *t);
#endif
