#include "app/config/geo.h"
#include "app/monitor/lists.h"
#include "io/file.h"
#include <errno.h>
#include <sys/stat.h>

/* What says that a file is another one than before. */
static void mark_of(const char *path, struct file_mark *ret)
{
    struct stat st;
    memset(ret, 0, sizeof *ret);
    (void)snprintf(ret->path, sizeof ret->path, "%s", path);
    if (path[0] && stat(path, &st) == 0) {
        ret->ino = (uint64_t)st.st_ino;
        ret->size = (uint64_t)st.st_size;
        ret->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    }
}

static void publish(struct monitor *m, const struct geo *g, size_t bytes)
{
    struct shared s = {-1, bytes};
    if (memfd_sealed("ringwall-geo", g, bytes, &s.fd) != OK) {
        monitor_log(m, SEV_ALERT, "countries: shared memory: %s", strerror(errno));
        return;
    }
    shared_close(&m->geo);
    m->geo = s;
    supply_all(m, ATTACH_GEO, 0);
}

void geo_policy(struct monitor *m)
{
    const struct policy *p = &m->conf->policy;
    struct str name = policy_text(p, p->guard.geo);
    char path[CONFIG_PATH] = "";
    struct file_mark now;
    if (name.n < sizeof path)
        memcpy(path, name.p ? name.p : "", name.n);
    mark_of(path, &now);
    if (memcmp(&now, &m->geo_mark, sizeof now) == 0)
        return;
    struct geo none = {.magic = GEO_MAGIC}, *g = NULL;
    size_t bytes = 0;
    const char *why = "";
    if (!path[0]) {
        publish(m, &none, sizeof none); /* who had countries before has none now */
    } else if (geo_file_read(path, &g, &bytes, &why) == OK) {
        monitor_log(m, SEV_INFO, "countries: %u ranges of IPv4, %u of IPv6 from %s",
                    (unsigned)g->n4, (unsigned)g->n6, path);
        publish(m, g, bytes);
        free(g);
    } else {
        monitor_log(m, SEV_ALERT, "countries: %s: %s%s", path, why,
                    m->geo.fd >= 0 ? "; those of before stay" : "; nobody has a country");
        return; /* looked at again by the next reload */
    }
    m->geo_mark = now;
}
