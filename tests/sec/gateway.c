#include "gateway.h"
#include "app/monitor/monitor.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/sock.h"
#include "ipc/control.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void nap(int ms)
{
    (void)poll(NULL, 0, ms);
}

static bool free_port(bool udp, struct addr *ret_a)
{
    struct addr a = {.family = ADDR_V4, .ip = {127, 0, 0, 1}};
    int fd;
    if ((udp ? sock_udp(&a, false, &fd) : sock_listen(&a, false, 1, &fd)) != OK)
        return false;
    bool ok = sock_local(fd, ret_a) == OK;
    (void)close(fd);
    return ok;
}

bool gateway_config(const struct gateway *g, const char *extra)
{
    char text[2048];
    int n = snprintf(
        text, sizeof text,
        "domains: [example.com]\nstate: %s\nengines: 2\nmedia:\n  ports: 31000-31399\nlimits:\n  "
        "calls: 50\n"
        "certificates:\n  default: {chain: server.pem, key: server}\n"
        "listeners:\n  - {name: tls, transport: tls, address: \"127.0.0.1:%u\"}\n"
        "  - {name: udp, transport: udp, address: \"127.0.0.1:%u\"}\n"
        "zones:\n  - {name: phones, listeners: [tls], sources: [127.0.0.0/8], registration: yes}\n"
        "  - {name: pbx, listeners: [udp], sources: [127.0.0.0/8], media: rtp, authenticate: no}\n"
        "waivers:\n  - {name: test, zone: pbx, allow: [plain-signalling, plain-media], owner: "
        "\"bob@example.com\", reason: "
        "\"a test on loopback\", expires: 2099-12-31}\n"
        "peers:\n  - {name: pbx, kind: pbx, zone: pbx, listener: udp, address: "
        "\"127.0.0.1:9\"}\n%s",
        g->dir, g->tls.port, g->udp.port, extra);
    return n > 0 && (size_t)n < sizeof text && file_write(g->config, text, (size_t)n, 0644) == OK;
}

static bool run(const char *const argv[])
{
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        (void)dup2(null, 1);
        (void)execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    int status = 1;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

bool gateway_make(struct gateway *g, const char *programs)
{
    char vault[512];
    *g = (struct gateway){.programs = programs};
    (void)snprintf(g->dir, sizeof g->dir, "/tmp/ringwall-gw-XXXXXX");
    if (!mkdtemp(g->dir) || chmod(g->dir, 0755) != 0 || !free_port(true, &g->udp) ||
        !free_port(false, &g->tls))
        return false;
    (void)snprintf(g->control, sizeof g->control, "%s/run/control.sock", g->dir);
    (void)snprintf(g->config, sizeof g->config, "%s/ringwall.yaml", g->dir);
    (void)snprintf(vault, sizeof vault, "%s/vault/ringwall-vault", programs);
    const char *argv[] = {vault,         "--state", g->dir,  "init", "--domain",
                          "example.com", "--user",  "alice", NULL};
    return run(argv) && gateway_config(g, "");
}

bool gateway_start(struct gateway *g)
{
    int ready[2];
    if (pipe(ready) != 0)
        return false;
    g->monitor = fork();
    if (g->monitor == 0) {
        (void)close(ready[0]);
        struct monitor_cfg cfg = {.config = g->config,
                                  .state = g->dir,
                                  .programs = g->programs,
                                  .quiet = true,
                                  .ready_fd = ready[1]};
        _exit(monitor_main(&cfg));
    }
    (void)close(ready[1]);
    struct pollfd p = {ready[0], POLLIN, 0};
    char c;
    bool ok = g->monitor > 0 && poll(&p, 1, 20000) == 1 && read(ready[0], &c, 1) == 1;
    (void)close(ready[0]);
    return ok;
}

int gateway_stop(struct gateway *g, int sig)
{
    int status = 0;
    if (g->monitor <= 0)
        return 0;
    (void)kill(g->monitor, sig);
    pid_t pid = waitpid(g->monitor, &status, 0);
    g->monitor = 0;
    return pid <= 0 ? -1 : WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void remove_below(const char *path, int depth)
{
    DIR *d = opendir(path);
    for (struct dirent *f = d ? readdir(d) : NULL; f; f = readdir(d)) {
        char sub[512];
        if (strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0 ||
            snprintf(sub, sizeof sub, "%s/%s", path, f->d_name) >= (int)sizeof sub)
            continue;
        if (unlink(sub) != 0 && depth > 0)
            remove_below(sub, depth - 1);
    }
    if (d)
        (void)closedir(d);
    (void)rmdir(path);
}

void gateway_remove(const struct gateway *g)
{
    if (str_starts(str_c(g->dir), STR("/tmp/ringwall-gw-")))
        remove_below(g->dir, 3);
}

char *gateway_ask(const struct gateway *g, const char *json, uint32_t *ret_code)
{
    char *text = NULL;
    size_t n = 0;
    return control_ask(g->control, str_c(json), ret_code, &text, &n) == OK ? text : NULL;
}

pid_t gateway_pid(const struct gateway *g, const char *program)
{
    uint32_t code = 0;
    uint64_t pid = 0;
    char key[64], *text = gateway_ask(g, "{\"cmd\":\"status\"}", &code);
    (void)snprintf(key, sizeof key, "{\"name\":\"%s\"", program);
    const char *at = text ? strstr(text, key) : NULL;
    const char *num = at ? strstr(at, "\"pid\":") : NULL,
               *state = at ? strstr(at, "\"state\":\"") : NULL;
    if (num && state && strncmp(state + 9, "running", 7) == 0) {
        struct str digits = str_c(num + 6);
        digits = str_head(digits, str_find(digits, ','));
        if (str_u64(digits, INT32_MAX, &pid) != OK)
            pid = 0;
    }
    free(text);
    return (pid_t)pid;
}

int gateway_wait_new(const struct gateway *g, const char *program, pid_t old, int limit_ms)
{
    struct instant t0 = clock_now().mono;
    for (;;) {
        pid_t now = gateway_pid(g, program);
        int ms = (int)(instant_sub(clock_now().mono, t0).us / 1000);
        if (now != 0 && now != old)
            return ms;
        if (ms > limit_ms)
            return -1;
        nap(10);
    }
}
