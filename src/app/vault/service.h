/* `ringwall-vault --service FOLDER`: a child of the monitor (ipc/child.h). FOLDER is DIR/vault. */
#ifndef APP_VAULT_SERVICE_H
#define APP_VAULT_SERVICE_H
int service_main(const char *folder); /* the program's exit code */
#endif
