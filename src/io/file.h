/* Files and shared memory. Not for engines, except the memory calls. */
#ifndef IO_FILE_H
#define IO_FILE_H
#include "base/str.h"

/* Anonymous memory with a descriptor, zeroed, its size sealed (no process can pull it away under
 * another); name shows in /proc only. */
MUST_CHECK enum err memfd_new(const char *name, size_t bytes, int *ret_fd);
/* The same with contents, sealed for good: immutable. */
MUST_CHECK enum err memfd_sealed(const char *name, const void *p, size_t n, int *ret_fd);
/* A second descriptor of it that cannot be mapped for writing. */
MUST_CHECK enum err memfd_readonly(int fd, int *ret_fd);
/* Maps n bytes shared. Checks that fd is a memfd (or such) of at least n bytes whose size is
 * sealed; sealed: and whose contents are too. ERR_AUTH if not: the other side could pull it away.
 * Read-only unless write. */
MUST_CHECK enum err mem_map(int fd, size_t n, bool write, bool sealed, void **ret_p);
void mem_unmap(const void *p, size_t n);

/* A whole file of at most cap bytes. ERR_NOT_FOUND, ERR_LIMIT, ERR_SYSTEM (errno). */
MUST_CHECK enum err file_read(const char *path, void *ret, size_t cap, size_t *ret_n);
/* Replaces the file or leaves it as it was, also over a crash: temporary file beside it, fsync,
 * rename, fsync of the folder. */
MUST_CHECK enum err file_write(const char *path, const void *p, size_t n, uint32_t mode);
/* Makes the folder if absent (parents must exist) with exactly this mode and, as root and if uid is
 * not UINT32_MAX, owner. */
MUST_CHECK enum err file_folder(const char *path, uint32_t mode, uint32_t uid, uint32_t gid);
#endif
