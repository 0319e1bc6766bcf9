/* What the offline commands read and print. */
#include "app/vault/offline_show.h"
#include "crypto/password.h"
#include <stdio.h>
#include <time.h>

bool offline_password(char ret[PASSWORD_MAX + 2], struct str *ret_s)
{
    if (!fgets(ret, PASSWORD_MAX + 2, stdin))
        return false;
    *ret_s = str_c(ret);
    while (ret_s->n > 0 && (ret[ret_s->n - 1] == '\n' || ret[ret_s->n - 1] == '\r'))
        ret_s->n--;
    return ret_s->n > 0;
}

/* The last second of the day. */
bool offline_date(const char *text, int64_t *ret_s)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%d", &tm);
    if (!end || *end)
        return false;
    *ret_s = (int64_t)timegm(&tm) + 86399;
    return true;
}

static void print_numbers(const json_t *u)
{
    const json_t *list = json_object_get(u, "numbers"), *v;
    const char *site = json_string_value(json_object_get(u, "site"));
    size_t i;
    if (site)
        printf(" site %s", site);
    json_array_foreach(list, i, v)
    {
        printf(" %s", json_string_value(v));
    }
    if (json_is_true(json_object_get(u, "must_change")))
        printf(" must change the password");
}

static void print_users(const json_t *users)
{
    size_t i;
    const json_t *u;
    json_array_foreach(users, i, u)
    {
        const json_t *md5 = json_object_get(u, "md5");
        printf("%-40s %-12s", json_string_value(json_object_get(u, "user")),
               json_string_value(json_object_get(u, "role")));
        print_numbers(u);
        if (md5) {
            char day[16] = "";
            time_t t = (time_t)json_integer_value(json_object_get(md5, "until"));
            struct tm tm;
            if (gmtime_r(&t, &tm))
                (void)strftime(day, sizeof(day), "%Y-%m-%d", &tm);
            printf(" MD5 until %s%s (%s: %s)", day,
                   json_is_true(json_object_get(md5, "live")) ? "" : ", EXPIRED",
                   json_string_value(json_object_get(md5, "owner")),
                   json_string_value(json_object_get(md5, "reason")));
        }
        printf("\n");
    }
}

void offline_people(const json_t *j)
{
    const json_t *users = json_object_get(j, "users"), *peers = json_object_get(j, "peers");
    const char *user = json_string_value(json_object_get(j, "user"));
    const char *password = json_string_value(json_object_get(j, "password"));
    const char *peer = json_string_value(json_object_get(j, "peer"));
    size_t i;
    const json_t *p;
    if (users)
        print_users(users);
    else if (user && password)
        printf("%s   password: %s   (shown this once)\n", user, password);
    else if (user)
        printf("%s: done\n", user);
    else if (peer)
        printf("%s: done\n", peer);
    json_array_foreach(peers, i, p)
    {
        printf("%s\n", json_string_value(p));
    }
}
