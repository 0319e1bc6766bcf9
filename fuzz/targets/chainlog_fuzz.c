/* Any bytes as a log file: the verifier ends, and what it calls whole is whole by a second look. */
#include "app/store/chainlog.h"
#include "crypto/hash.h"
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chain_verdict v, again;
    CHECK(crypto_init() == OK);
    int fd = memfd_create("log", MFD_CLOEXEC);
    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
    enum err e = chainlog_verify(fd, NULL, &v);
    CHECK(e == OK || e == ERR_AUTH);
    CHECK((e == OK) == (v.bad_line == 0));
    if (e == OK && v.lines > 0) { /* a file cannot follow itself */
        CHECK(v.last_seq - v.first_seq + 1 == v.lines);
        CHECK(lseek(fd, 0, SEEK_SET) == 0 && chainlog_verify(fd, &v, &again) == ERR_AUTH);
    }
    (void)close(fd);
    return 0;
}
