/* `ringwall-vault --state DIR COMMAND ...`: the administrator's commands while no gateway runs. */
#ifndef APP_VAULT_OFFLINE_H
#define APP_VAULT_OFFLINE_H

enum offline_exit { OFFLINE_OK, OFFLINE_FAILED, OFFLINE_USAGE, OFFLINE_NOT_FOUND, OFFLINE_RUNNING };
int query_main(const char *state, const char *domain); /* offline_query.c */
int offline_main(int argc, char **argv);
#endif
