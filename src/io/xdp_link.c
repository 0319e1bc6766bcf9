/* The program on interfaces: links, their pins, and what hangs there. */
#include "io/xdp_in.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <unistd.h>

/* Its name there: the file system takes no dots, which interfaces may have. */
static void pin_name(const char *what, const char *name, char ret[64])
{
    (void)snprintf(ret, 64, "%s%s", what, name);
    for (char *dot = strchr(ret, '.'); dot; dot = strchr(dot, '.'))
        *dot = '+';
}

bool xdp_pin_path(const struct xdp *x, const char *what, const char *name, char ret[320])
{
    char pin[64];
    pin_name(what, name, pin);
    int n = snprintf(ret, 320, "%s/%s", x->pins, pin);
    return n > 0 && n < 320;
}

static struct hook *hook_of(const struct xdp *x, const char *name)
{
    for (size_t i = 0; i < XDP_INTERFACES; i++)
        if (strcmp(x->hook[i].name, name) == 0 && x->hook[i].link >= 0)
            return (struct hook *)(uintptr_t)&x->hook[i];
    return NULL;
}

/* What hangs on the interface now: the program's id, and whether in native mode. */
static uint32_t on_interface(const char *name, bool *ret_native)
{
    LIBBPF_OPTS(bpf_xdp_query_opts, q);
    unsigned index = if_nametoindex(name);
    if (!index || bpf_xdp_query((int)index, 0, &q) != 0)
        return 0;
    *ret_native = q.attach_mode == XDP_ATTACHED_DRV || q.attach_mode == XDP_ATTACHED_HW;
    return q.prog_id;
}

static uint32_t own_id(const struct xdp *x)
{
    struct bpf_prog_info info = {0};
    uint32_t n = sizeof info;
    return bpf_obj_get_info_by_fd(x->prog, &info, &n) == 0 ? info.id : 0;
}

bool xdp_attached(const struct xdp *x, const char *interface)
{
    bool native;
    uint32_t id = on_interface(interface, &native);
    return id != 0 && id == own_id(x);
}

/* The pin of an earlier start: a link whose interface still lives gets the new program in place. */
static int take_link(const struct xdp *x, const char *path, unsigned index)
{
    struct bpf_link_info info = {0};
    uint32_t n = sizeof info;
    int fd = bpf_obj_get(path);
    if (fd < 0)
        return -1;
    if (bpf_obj_get_info_by_fd(fd, &info, &n) == 0 && info.xdp.ifindex == index &&
        bpf_link_update(fd, x->prog, NULL) == 0)
        return fd;
    (void)close(fd);
    (void)unlink(path);
    return -1;
}

static int new_link(const struct xdp *x, unsigned index)
{
    LIBBPF_OPTS(bpf_link_create_opts, native, .flags = XDP_FLAGS_DRV_MODE);
    LIBBPF_OPTS(bpf_link_create_opts, generic, .flags = XDP_FLAGS_SKB_MODE);
    int fd = bpf_link_create(x->prog, (int)index, BPF_XDP, &native);
    if (fd >= 0 || errno == EBUSY) /* somebody else's program is not to be doubled */
        return fd;
    return bpf_link_create(x->prog, (int)index, BPF_XDP, &generic);
}

enum err xdp_attach(struct xdp *x, const char *interface, bool *ret_native, struct out *ret_why)
{
    char path[320];
    unsigned index = if_nametoindex(interface);
    struct hook *h = hook_of(x, interface);
    for (size_t i = 0; i < XDP_INTERFACES && !h; i++)
        h = x->hook[i].link < 0 ? &x->hook[i] : NULL;
    if (!index || !h || strlen(interface) >= XDP_NAME) {
        out_fmt(ret_why, "%.15s: %s", interface, h ? "no such interface" : "too many interfaces");
        return ERR_NOT_FOUND;
    }
    bool pin = x->pins[0] && xdp_pin_path(x, "link-", interface, path);
    int fd = h->link >= 0 ? h->link : pin ? take_link(x, path, index) : -1;
    bool fresh = fd < 0;
    if (fresh)
        fd = new_link(x, index);
    if (fd < 0) {
        int why = errno;
        out_fmt(ret_why, "%s: %s", interface,
                why == EBUSY || why == EEXIST ? "another XDP program is there" : strerror(why));
        return ERR_SYSTEM;
    }
    if (fresh && pin && bpf_obj_pin(fd, path) != 0)
        out_fmt(ret_why, "%s: not pinned: %s", interface, strerror(errno));
    h->link = fd;
    (void)snprintf(h->name, sizeof h->name, "%s", interface);
    h->native = false;
    (void)on_interface(interface, &h->native);
    *ret_native = h->native;
    return OK;
}

void xdp_detach(struct xdp *x, const char *interface)
{
    struct hook *h = hook_of(x, interface);
    char path[320];
    if (x->pins[0] && xdp_pin_path(x, "link-", interface, path))
        (void)unlink(path);
    if (h) {
        (void)close(h->link);
        *h = (struct hook){.link = -1};
    }
}

void xdp_detach_others(struct xdp *x)
{
    DIR *d = x->pins[0] ? opendir(x->pins) : NULL;
    for (struct dirent *f = d ? readdir(d) : NULL; f; f = readdir(d)) {
        bool own = strncmp(f->d_name, "link-", 5) != 0;
        for (size_t i = 0; i < XDP_INTERFACES && !own; i++) {
            char pin[64];
            pin_name("link-", x->hook[i].name, pin);
            own = x->hook[i].link >= 0 && strcmp(pin, f->d_name) == 0;
        }
        if (!own)
            (void)unlinkat(dirfd(d), f->d_name, 0);
    }
    if (d)
        (void)closedir(d);
}
