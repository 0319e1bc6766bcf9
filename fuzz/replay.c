/* Stands in for libFuzzer in the ordinary tests: runs a target over every file of the folders and
 * files named. The target traps on a finding, so whoever comes back has passed. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (1u << 20)
static unsigned runs;

static void run_bytes(const uint8_t *data, size_t n)
{
    /* A copy of exactly this length, so that ASan sees a read one byte past it. */
    uint8_t *exact = calloc(1, n ? n : 1);
    if (!exact)
        exit(2);
    if (n)
        memcpy(exact, data, n);
    (void)LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    runs++;
}

static void run_file(const char *path)
{
    static uint8_t buf[INPUT_MAX];
    FILE *f = fopen(path, "rb");
    if (!f) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(2);
    }
    size_t n = fread(buf, 1, sizeof buf, f);
    (void)fclose(f);
    fprintf(stderr, "%s\n", path); /* the last one named is the one that failed */
    run_bytes(buf, n);
}

static void run_path(const char *path)
{
    DIR *d = opendir(path);
    if (!d) {
        run_file(path);
        return;
    }
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        char name[4096];
        int n = snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.' && n > 0 && (size_t)n < sizeof name)
            run_file(name);
    }
    (void)closedir(d);
}

int main(int argc, char **argv)
{
    run_bytes((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++)
        run_path(argv[i]);
    printf("[  PASSED  ] %u test(s).\n", runs);
    return 0;
}
