/* What a hostile child or monitor may put on the channel, and what a hostile client of the control
 * socket may write. First byte: which reader; then the phase, role and number of descriptors
 * claimed; then the datagram. */
#include "ipc/channel.h"
#include "ipc/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void judge(const uint8_t *p, size_t n)
{
    struct channel c;
    enum msg_type t = MSG_NONE;
    channel_init(&c, -1, (enum role)(p[0] % ROLE_COUNT), p[1] & 1);
    c.phase = (enum phase)(p[1] / 2 % 3);
    uint32_t fds = p[2] % 6u;
    enum phase before = c.phase;
    enum err e = channel_judge(&c, p + 3, n - 3, fds, &t);
    if (e != OK) {
        CHECK(c.phase == before && t == MSG_NONE);
        return;
    }
    CHECK(t > MSG_NONE && t < MSG_COUNT && n - 3 >= sizeof(struct msg_head) && fds <= 1);
    CHECK(n - 3 - sizeof(struct msg_head) <= IPC_BODY_MAX);
    CHECK(c.phase == before || (c.monitor && (t == MSG_LOCKED || t == MSG_RUNNING)));
    CHECK(before != PHASE_LOCKING || t == MSG_LOCKED);
    CHECK(t != MSG_CONNECT || c.role == ROLE_ENGINE);
    CHECK(t != MSG_DIRECTORY || c.role == ROLE_VAULT);
}

static void member(const uint8_t *p, size_t n)
{
    static const char *const keys[] = {"cmd", "off", "engine", "x"};
    struct str json = str_of((const char *)p, n);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct str v = control_member(json, keys[i]);
        CHECK(!v.p || (v.p >= json.p && v.p + v.n <= json.p + json.n));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 4)
        return 0;
    if (data[0] & 1)
        judge(data + 1, n - 1);
    else
        member(data + 1, n - 1);
    return 0;
}
