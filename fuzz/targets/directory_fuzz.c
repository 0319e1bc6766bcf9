/* A directory of anybody: what is called valid can be looked up in without leaving it. */
#include "call/directory.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void look(const struct directory *d, size_t bytes)
{
    if (directory_valid(d, bytes) != OK)
        return;
    const struct directory_user *u = directory_find(d, STR("alice"), STR("example.com"));
    const struct directory_user *w = directory_number(d, STR("+49301"));
    for (unsigned i = 0; u && i <= DIRECTORY_NUMBERS; i++)
        CHECK(directory_number_of(d, u, i).n <= bytes);
    if (u) {
        CHECK(directory_device(d, u, 7) <= DEVICE_REVOKED);
        (void)directory_country(d, u, 'C' << 8 | 'H');
    }
    if (w)
        CHECK(directory_aor(d, w).n <= DIRECTORY_AOR_MAX);
}

/* Pairs of bytes change a blob of ours: place and value. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint64_t mem[256];
    static const struct directory_device known[] = {{7, DEVICE_APPROVED, {0}}};
    static const uint16_t countries[] = {'A' << 8 | 'T', 'X' << 8 | 'X'};
    struct directory *d = (struct directory *)(void *)mem;
    memset(mem, 0, sizeof mem);
    directory_begin_of(d, &(struct directory_room){
                              .users = 2, .devices = 1, .numbers = 2, .countries = 2, .text = 64});
    CHECK(d->bytes <= sizeof mem);
    struct directory_entry e = {.aor = STR("alice@example.com"),
                                .role = STR("user"),
                                .numbers = STR("+49301"),
                                .n_devices = 1,
                                .devices = known,
                                .n_countries = 2,
                                .countries = countries};
    CHECK(directory_put(d, &e) == OK && directory_valid(d, sizeof mem) == OK);
    size_t bytes = (size_t)d->bytes;
    for (size_t i = 0; i + 3 <= n; i += 3)
        ((uint8_t *)mem)[((size_t)data[i] << 8 | data[i + 1]) % bytes] = data[i + 2];
    look(d, bytes);
    return 0;
}
