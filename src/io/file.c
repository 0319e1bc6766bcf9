#include "io/file.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEAL_SIZE (F_SEAL_SHRINK | F_SEAL_GROW)

static enum err close_fail(int fd)
{
    int e = errno;
    (void)close(fd);
    errno = e;
    return ERR_SYSTEM;
}

static bool write_all(int fd, const void *p, size_t n)
{
    const uint8_t *at = p;
    while (n > 0) {
        ssize_t put = write(fd, at, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        at += put;
        n -= (size_t)put;
    }
    return true;
}

enum err memfd_new(const char *name, size_t bytes, int *ret_fd)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return ERR_SYSTEM;
    if (ftruncate(fd, (off_t)bytes) != 0 || fcntl(fd, F_ADD_SEALS, SEAL_SIZE) != 0)
        return close_fail(fd);
    *ret_fd = fd;
    return OK;
}

enum err memfd_sealed(const char *name, const void *p, size_t n, int *ret_fd)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return ERR_SYSTEM;
    if (!write_all(fd, p, n) || fcntl(fd, F_ADD_SEALS, SEAL_SIZE | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
        return close_fail(fd);
    *ret_fd = fd;
    return OK;
}

enum err memfd_readonly(int fd, int *ret_fd)
{
    char path[40];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    /* or whoever holds the read-only one might open it again for writing, where nothing else
     * forbids opening */
    if (fchmod(fd, 0400) != 0)
        return ERR_SYSTEM;
    int ro = open(path, O_RDONLY | O_CLOEXEC);
    if (ro < 0)
        return ERR_SYSTEM;
    *ret_fd = ro;
    return OK;
}

enum err mem_map(int fd, size_t n, bool write, bool sealed, void **ret_p)
{
    int seals = fcntl(fd, F_GET_SEALS);
    int want = sealed ? SEAL_SIZE | F_SEAL_WRITE : F_SEAL_SHRINK;
    struct stat st;
    if (seals < 0 || (seals & want) != want || fstat(fd, &st) != 0 || st.st_size < 0 ||
        (size_t)st.st_size < n || n == 0)
        return ERR_AUTH;
    void *p = mmap(NULL, n, write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return ERR_SYSTEM;
    *ret_p = p;
    return OK;
}

void mem_unmap(const void *p, size_t n)
{
    if (p)
        (void)munmap((void *)(uintptr_t)p, n);
}

enum err file_read(const char *path, void *ret, size_t cap, size_t *ret_n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM;
    size_t n = 0;
    for (;;) {
        uint8_t more;
        ssize_t got = n < cap ? read(fd, (uint8_t *)ret + n, cap - n) : read(fd, &more, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return close_fail(fd);
        if (got == 0)
            break;
        if (n == cap) {
            (void)close(fd);
            return ERR_LIMIT;
        }
        n += (size_t)got;
    }
    (void)close(fd);
    *ret_n = n;
    return OK;
}

static enum err sync_folder_of(const char *path)
{
    char dir[1024];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 1;
    if (n >= sizeof dir)
        return ERR_LIMIT;
    memcpy(dir, slash ? path : ".", n);
    dir[n] = 0;
    int fd = open(n ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ERR_SYSTEM;
    if (fsync(fd) != 0)
        return close_fail(fd);
    (void)close(fd);
    return OK;
}

enum err file_write(const char *path, const void *p, size_t n, uint32_t mode)
{
    char tmp[1024];
    int len = snprintf(tmp, sizeof tmp, "%s.new", path);
    if (len < 0 || (size_t)len >= sizeof tmp)
        return ERR_LIMIT;
    (void)unlink(tmp); /* of a writer that died; never followed: O_EXCL below */
    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode & 0777);
    if (fd < 0)
        return ERR_SYSTEM;
    if (fchmod(fd, mode & 0777) != 0 || !write_all(fd, p, n) || fsync(fd) != 0) {
        enum err e = close_fail(fd);
        int keep = errno;
        (void)unlink(tmp);
        errno = keep;
        return e;
    }
    if (close(fd) != 0 || rename(tmp, path) != 0)
        return ERR_SYSTEM;
    return sync_folder_of(path);
}

enum err file_folder(const char *path, uint32_t mode, uint32_t uid, uint32_t gid)
{
    if (mkdir(path, mode & 07777) != 0 && errno != EEXIST)
        return ERR_SYSTEM;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return ERR_SYSTEM;
    if (uid != UINT32_MAX && geteuid() == 0 && fchown(fd, uid, gid) != 0)
        return close_fail(fd);
    if (fchmod(fd, mode & 07777) != 0)
        return close_fail(fd);
    (void)close(fd);
    return OK;
}
