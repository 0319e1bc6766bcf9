#include "app/vault/passwords.h"
#include "crypto/hash.h"
#include "crypto/password.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHA1_HEX 40u
#define CHUNK    65536u

static bool say(char why[PASSWORD_WHY], const char *text)
{
    (void)snprintf(why, PASSWORD_WHY, "%s", text);
    return false;
}

static bool same(struct str a, struct str b, bool reversed)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (ascii_lower(a.p[i]) != ascii_lower(b.p[reversed ? b.n - 1 - i : i]))
            return false;
    return true;
}

/* Does it consist of that word, either way round and however often, and at most six other
 * characters? */
static bool made_of(struct str password, struct str word)
{
    size_t rest = 0, found = 0;
    if (word.n < 2)
        return false;
    for (size_t i = 0; i < password.n;) {
        struct str part = str_head(str_skip(password, i), word.n);
        bool here = same(part, word, false) || same(part, word, true);
        found += here;
        rest += !here;
        i += here ? word.n : 1;
    }
    return found > 0 && rest <= 6;
}

/* Where a key lies on a telephone's or computer's keys: row and column in one number. */
static int place(char c)
{
    static const char *const rows[] = {"1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"};
    for (int r = 0; r < 4; r++) {
        const char *at = c ? strchr(rows[r], ascii_lower(c)) : NULL;
        if (at)
            return r * 16 + (int)(at - rows[r]);
    }
    return -1;
}

/* On the pad of twelve keys. */
static bool pad(char c, int *ret_row, int *ret_column)
{
    static const char keys[] = "123456789*0#";
    const char *at = c ? strchr(keys, c) : NULL;
    if (at) {
        *ret_row = (int)(at - keys) / 3;
        *ret_column = (int)(at - keys) % 3;
    }
    return at != NULL;
}

/* b next to a: the same, one up or down in the alphabet or digits, beside it on the keys. */
static bool near(char a, char b)
{
    int ra, ca, rb, cb, pa = place(a), pb = place(b);
    a = ascii_lower(a);
    b = ascii_lower(b);
    if (a == b || a - b == 1 || b - a == 1)
        return true;
    if (pa >= 0 && pb >= 0 && (pa - pb == 1 || pb - pa == 1))
        return true;
    return pad(a, &ra, &ca) && pad(b, &rb, &cb) && ra - rb <= 1 && rb - ra <= 1 && ca - cb <= 1 &&
           cb - ca <= 1;
}

/* More than half of its steps lead to a neighbour, or all of it is one short piece again and
 * again: 123456789012, 147258369, qwertyuiop, abcabcabcabc. */
static bool pattern(struct str s)
{
    size_t steps = 0;
    for (size_t i = 1; i < s.n; i++)
        steps += near(s.p[i - 1], s.p[i]);
    if (s.n > 1 && steps * 3 > (s.n - 1) * 2)
        return true;
    for (size_t n = 1; n <= 4 && n * 2 < s.n; n++) {
        size_t i = n;
        while (i < s.n && s.p[i] == s.p[i - n])
            i++;
        if (i == s.n)
            return true;
    }
    return false;
}

static bool all_digits(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_digit(s.p[i]))
            return false;
    return true;
}

/* -- the list of passwords that are known -- */

enum err password_list_open(const char *folder, struct str file, int *ret_fd)
{
    char path[600];
    if (file.n == 0 || file.n > 64 || file.p[0] == '.' || str_find(file, '/') < file.n)
        return ERR_SYNTAX;
    (void)snprintf(path, sizeof(path), "%s/" STR_FMT, folder, STR_ARG(file));
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return ERR_NOT_FOUND;
    *ret_fd = fd;
    return OK;
}

/* The whole line that holds or follows byte at; its start in *ret_from. */
static struct str line_at(int fd, off_t at, char *buf, size_t cap, off_t *ret_from)
{
    off_t from = at > 128 ? at - 128 : 0;
    ssize_t n = pread(fd, buf, cap, from);
    struct str all = str_of(buf, n > 0 ? (size_t)n : 0);
    size_t start = (size_t)(at - from);
    if (start > all.n)
        return STR_NONE;
    while (start > 0 && buf[start - 1] != '\n')
        start--;
    struct str line;
    (void)str_cut(str_skip(all, start), '\n', &line);
    *ret_from = from + (off_t)start;
    return line;
}

static bool hex_line(struct str line)
{
    uint8_t md[20];
    return line.n >= SHA1_HEX && hex_decode(str_head(line, SHA1_HEX), md, sizeof(md)) == OK &&
           (line.n == SHA1_HEX || line.p[SHA1_HEX] == ':' || line.p[SHA1_HEX] == '\r');
}

static bool listed_hash(int fd, off_t size, const uint8_t want[20])
{
    char buf[512];
    uint8_t md[20];
    off_t low = 0, high = size;
    while (low < high) {
        off_t middle = low + (high - low) / 2, from = 0;
        struct str line = line_at(fd, middle, buf, sizeof(buf), &from);
        if (!hex_line(line))
            return false;
        if (hex_decode(str_head(line, SHA1_HEX), md, sizeof(md)) != OK)
            return false;
        int order = memcmp(want, md, sizeof(md));
        if (order == 0)
            return true;
        if (order < 0)
            high = from;
        else
            low = from + (off_t)line.n + 1;
    }
    return false;
}

static bool listed_plain(int fd, struct str password)
{
    static char buf[CHUNK];
    size_t have = 0;
    off_t at = 0;
    for (ssize_t n; (n = pread(fd, buf + have, sizeof(buf) - have, at)) > 0;) {
        at += n;
        struct str all = str_of(buf, have + (size_t)n), line;
        size_t nl;
        while ((nl = str_find(all, '\n')) < all.n) {
            line = str_head(all, nl);
            line.n -= line.n > 0 && line.p[line.n - 1] == '\r';
            if (str_eq(line, password))
                return true;
            all = str_skip(all, nl + 1);
        }
        if (all.n == sizeof(buf))
            all.n = 0; /* a line of 64 KiB is no password */
        have = all.n;
        if (have > 0)
            memmove(buf, all.p, have);
    }
    return have > 0 && str_eq(str_of(buf, have), password);
}

static bool breached(int fd, struct str password)
{
    struct stat st;
    uint8_t md[HASH_MAX];
    char buf[512];
    off_t from = 0;
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0)
        return false;
    if (!hex_line(line_at(fd, 0, buf, sizeof(buf), &from)))
        return listed_plain(fd, password);
    return hash_parts(HASH_SHA1, &password, 1, md) == OK && listed_hash(fd, st.st_size, md);
}

bool password_good(const struct password_rules *r, struct str name, struct str domain,
                   struct str password, char why[PASSWORD_WHY])
{
    unsigned min = r->min ? r->min : PASSWORD_MIN_DEFAULT;
    struct str label;
    (void)str_cut(domain, '.', &label);
    if (password.n > PASSWORD_MAX)
        return say(why, "the password is longer than 256 characters");
    if (password.n < min) {
        (void)snprintf(why, PASSWORD_WHY,
                       "the password is too short: at least %u characters, or leave it out for a "
                       "strong one",
                       min);
        return false;
    }
    if (made_of(password, name) || made_of(password, domain) || made_of(password, label))
        return say(why, "the password is made of the user's name or domain: use words that have "
                        "nothing to do with the account, or leave it out for a strong one");
    if (pattern(password))
        return say(why, "the password is a pattern on the keys, or one piece again and again: use "
                        "several unrelated words, or leave it out for a strong one");
    if (all_digits(password) && password.n < 20)
        return say(why, "the password is only digits: mix letters in, use 20 digits or more, or "
                        "leave it out for a strong one");
    if (password_fit(password) != OK)
        return say(why, "the password is not fit: printable characters, at least 5 different ones");
    if (breached(r->breach_fd, password))
        return say(why, "the password is in the list of passwords that became known: use another, "
                        "or leave it out for a strong one");
    return true;
}
