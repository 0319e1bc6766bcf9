#include "bench/load/load.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t own_cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void die(const char *what, const char *which)
{
    (void)fprintf(stderr, "rwload: %s%s%s\n", what, *which ? ": " : "", which);
    exit(2);
}

void addr_arg(const char *text, struct sockaddr_in *ret_a, char ret_text[32])
{
    struct str ip, s = str_cut(str_c(text), ':', &ip);
    char buf[20];
    uint32_t port = 0;
    *ret_a = (struct sockaddr_in){.sin_family = AF_INET};
    if (ip.n >= sizeof buf || str_u32(s, 65535, &port) != OK)
        die("not IP:PORT", text);
    memcpy(buf, ip.p, ip.n);
    buf[ip.n] = 0;
    ret_a->sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, buf, &ret_a->sin_addr) != 1)
        die("not IP:PORT", text);
    (void)snprintf(ret_text, 32, "%s", text);
}

static const char *files[32];
static unsigned n_files;

void cpu_add(const char *file)
{
    if (n_files == ARRAY_LEN(files))
        die("too many -c", "");
    files[n_files++] = file;
}

static int64_t number_in(const char *path)
{
    unsigned long long v = 0;
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%llu", &v) != 1)
        v = 0;
    if (f)
        (void)fclose(f);
    return (int64_t)v;
}

static int64_t process_ns(const char *pid)
{
    char path[128];
    int64_t sum = 0;
    (void)snprintf(path, sizeof path, "/proc/%s/task", pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "/proc/%s/task/%.20s/schedstat", pid, e->d_name);
        sum += number_in(path);
    }
    if (d)
        (void)closedir(d);
    return sum;
}

int64_t cpu_ns(void)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < n_files; i++)
        sum += strncmp(files[i], "pid:", 4) == 0 ? process_ns(files[i] + 4) : number_in(files[i]);
    return sum;
}

void hist_add(struct hist *h, int64_t ns)
{
    uint64_t us = ns < 0 ? 0 : (uint64_t)ns / 1000;
    h->bucket[MIN(us, ARRAY_LEN(h->bucket) - 1)]++;
    h->n++;
    h->max = MAX(h->max, us);
}

uint64_t hist_at(const struct hist *h, double share)
{
    uint64_t want = (uint64_t)((double)h->n * share), sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(h->bucket); i++)
        if ((sum += h->bucket[i]) > want)
            return i;
    return 0;
}
