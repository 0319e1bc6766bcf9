/* Any bytes as a CSV deck: bounded, every row that is taken is one that builds. */
#include "app/config/decks.h"
#include "base/cc.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct config_deck D = {.minimum_s = 60, .increment_s = 60};
    static struct deck_report r;
    struct deck_rows rows = {0};
    void *blob = NULL;
    size_t bytes = 0;
    memset(&r, 0, sizeof r);
    enum err e = deck_read_text(str_of((const char *)data, size), "deck", 1, &D, &rows, &r);
    CHECK((e == OK) == (r.n_all == 0));
    CHECK(r.rows == rows.n && r.n <= DECK_PROBLEMS);
    e = deck_blob(&rows, &D, &blob, &bytes, &r);
    CHECK(e == OK || e == ERR_EXISTS || e == ERR_LIMIT);
    if (e == OK)
        CHECK(rates_valid(blob, bytes) == OK && rates_count(blob) == rows.n);
    free(blob);
    deck_rows_free(&rows);
    return 0;
}
