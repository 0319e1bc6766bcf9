/* Signatures in an engine: a blob that the monitor sealed, checked before it is believed. The
 * scanner's and the state's memory are taken here, at the attachment; no message takes any. */
#include "app/engine/engine.h"
#include "app/rules/scanner.h"

static struct rules_scan *scan; /* one engine a process */
static void *state;

void engine_rules_attached(struct engine *e)
{
    const struct rules *r = e->child.rules.p;
    struct rules_scan *new_scan = NULL;
    void *new_state = NULL;
    if (r && rules_valid(r, e->child.rules.n) != OK) {
        child_note(&e->child, SEV_ALERT, "rules are not valid: none are in force");
        r = NULL;
    }
    if (r && rules_count(r) == 0)
        r = NULL;
    if (r) {
        new_scan = rules_scan_new(r, false);
        new_state = calloc(1, rules_state_bytes(r));
    }
    if (r && (!new_scan || !new_state)) {
        child_note(&e->child, SEV_ALERT, "no memory for rules: none are in force");
        rules_scan_free(new_scan);
        free(new_state);
        new_scan = NULL;
        new_state = NULL;
        r = NULL;
    }
    core_rules(e->core, r, new_scan ? rules_scan_get(new_scan) : NULL, new_state);
    rules_scan_free(scan); /* the core has let go of it */
    free(state);
    scan = new_scan;
    state = new_state;
}
