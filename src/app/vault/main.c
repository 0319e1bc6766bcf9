/* ringwall-vault: keys and the digests of passwords, behind a channel that answers yes or no. */
#include "app/vault/offline.h"
#include "app/vault/service.h"
#include <string.h>

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--service") == 0)
        return service_main(argv[2]);
    return offline_main(argc, argv);
}
