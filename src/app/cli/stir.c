/* `ringwall stir`: the key that signs calls, and its certificate. */
#include "app/cli/cli.h"
#include <string.h>

int cmd_stir(struct cli *c)
{
    char vault[512];
    const char *argv[CLI_WORDS + 8];
    unsigned n = 0;
    if (gateway_runs(c)) {
        (void)fprintf(stderr,
                      "ringwall stir: the gateway runs and holds the keys; stop it first\n");
        return EXIT_REFUSED;
    }
    if (!find_program(c, "ringwall-vault", "vault", vault, sizeof vault)) {
        (void)fprintf(stderr, "ringwall stir: ringwall-vault is not found (see --programs)\n");
        return EXIT_REFUSED;
    }
    argv[n++] = vault;
    argv[n++] = "--state";
    argv[n++] = c->state;
    if (c->json)
        argv[n++] = "--json";
    argv[n++] = "--";
    argv[n++] = "stir";
    for (unsigned i = 0; i < c->n_words; i++)
        argv[n++] = c->words[i];
    argv[n] = NULL;
    int e = run_program(argv);
    return e == 0 ? EXIT_OK : e == 2 ? EXIT_USAGE : e == 3 ? EXIT_NOT_FOUND : EXIT_REFUSED;
}
