#include "base/test.h"
#include "io/file.h"
#include "io/rand.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];
static const char *at(const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void shared_memory(void **state)
{
    (void)state;
    int fd, ro;
    void *w, *r, *no;
    assert_ok(memfd_new("t", 8192, &fd));
    assert_ok(mem_map(fd, 8192, true, false, &w));
    assert_ok(memfd_readonly(fd, &ro));
    assert_ok(mem_map(ro, 8192, false, false, &r));
    assert_int_equal(((uint8_t *)r)[8191], 0);
    ((uint8_t *)w)[8191] = 7;
    assert_int_equal(((uint8_t *)r)[8191], 7);
    assert_err(mem_map(ro, 8192, true, false, &no),
               ERR_SYSTEM); /* the kernel refuses, whoever asks */
    assert_err(mem_map(fd, 8193, true, false, &no), ERR_AUTH); /* longer than it is */
    assert_err(mem_map(fd, 0, true, false, &no), ERR_AUTH);
    assert_err(mem_map(fd, 8192, false, true, &no), ERR_AUTH); /* contents are not sealed */
    assert_int_equal(ftruncate(fd, 4096), -1);                 /* nobody can pull it away */
    mem_unmap(w, 8192);
    mem_unmap(r, 8192);
    (void)close(ro);
    (void)close(fd);
}

static void sealed_memory(void **state)
{
    (void)state;
    int fd, plain;
    void *p;
    assert_ok(memfd_sealed("t", "constant", 8, &fd));
    assert_ok(mem_map(fd, 8, false, true, &p));
    assert_memory_equal(p, "constant", 8);
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    void *no;
    assert_err(mem_map(fd, 8, true, true, &no), ERR_SYSTEM);
    mem_unmap(p, 8);
    (void)close(fd);
    /* a memfd without seals, and a file, are not accepted: their owner could shrink them under us
     */
    plain = memfd_create("t", MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(plain, 4096), 0);
    assert_err(mem_map(plain, 4096, false, false, &no), ERR_AUTH);
    (void)close(plain);
    plain = open(at("file"), O_RDWR | O_CREAT, 0600);
    assert_int_equal(ftruncate(plain, 4096), 0);
    assert_err(mem_map(plain, 4096, false, false, &no), ERR_AUTH);
    (void)close(plain);
    (void)unlink(at("file"));
}

static void files(void **state)
{
    (void)state;
    char buf[8];
    size_t n = 99;
    struct stat st;
    assert_err(file_read(at("absent"), buf, sizeof buf, &n), ERR_NOT_FOUND);
    assert_int_equal(n, 99);
    assert_ok(file_write(at("a"), "12345678", 8, 0640));
    assert_ok(file_read(at("a"), buf, sizeof buf, &n));
    assert_int_equal(n, 8);
    assert_int_equal(stat(at("a"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_ok(file_write(at("a"), "123456789", 9, 0600));
    assert_err(file_read(at("a"), buf, sizeof buf, &n), ERR_LIMIT);
    assert_ok(file_write(at("a"), "", 0, 0600));
    assert_ok(file_read(at("a"), buf, sizeof buf, &n));
    assert_int_equal(n, 0);
    assert_int_equal(access(at("a.new"), F_OK), -1);
    (void)unlink(at("a"));
    assert_err(file_write(at("no/such/folder"), "x", 1, 0600), ERR_SYSTEM);
}

/* A stale or planted temporary file is replaced, never written through. */
static void planted_link(void **state)
{
    (void)state;
    char buf[8], target[128], link[128];
    size_t n;
    (void)snprintf(target, sizeof target, "%s/victim", dir);
    (void)snprintf(link, sizeof link, "%s/b.new", dir);
    assert_ok(file_write(target, "safe", 4, 0600));
    assert_int_equal(symlink(target, link), 0);
    assert_ok(file_write(at("b"), "evil", 4, 0600));
    assert_ok(file_read(target, buf, sizeof buf, &n));
    assert_memory_equal(buf, "safe", 4);
    (void)unlink(at("victim"));
    (void)unlink(at("b"));
}

static void folders(void **state)
{
    (void)state;
    struct stat st;
    assert_ok(file_folder(at("d"), 0700, UINT32_MAX, 0));
    assert_ok(file_folder(at("d"), 0750, UINT32_MAX, 0));
    assert_int_equal(stat(at("d"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
    (void)rmdir(at("d"));
    char link[128];
    (void)snprintf(link, sizeof link, "%s/l", dir);
    assert_int_equal(symlink("/tmp", link), 0);
    assert_err(file_folder(link, 0700, UINT32_MAX, 0), ERR_SYSTEM);
    (void)unlink(link);
}

static void randomness(void **state)
{
    (void)state;
    uint8_t a[1000] = {0}, b[1000] = {0};
    assert_ok(rand_bytes(a, sizeof a));
    assert_ok(rand_bytes(b, sizeof b));
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a + 900, b + 900, 100);
}

static int prepare(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/ringwall-file-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}
static int clean(void **state)
{
    (void)state;
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_memory), cmocka_unit_test(sealed_memory),
        cmocka_unit_test(files),         cmocka_unit_test(planted_link),
        cmocka_unit_test(folders),       cmocka_unit_test(randomness)};
    return cmocka_run_group_tests(tests, prepare, clean);
}
