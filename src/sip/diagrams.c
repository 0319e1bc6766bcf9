/* Prints the four state machines as Mermaid state diagrams, or with --dot as Graphviz, from the
 * tables that run. `make diagrams`. */
#include "sip/machine.h"
#include <stdio.h>

static void edge_label(const struct machine *m, unsigned ev, const struct edge *e)
{
    printf("%s", event_name((enum trans_event)ev));
    if (e->action)
        printf(" / %s", m->actions[e->action].name);
    if (clock_name((enum trans_clock)e->clock)[0])
        printf(" / %s", clock_name((enum trans_clock)e->clock));
}

static void print_edge(const struct machine *m, unsigned from, unsigned ev, bool dot)
{
    const struct edge *e = &m->edges[from][ev];
    const char *a = state_name((enum trans_state)from), *b = state_name((enum trans_state)e->next);
    if (e->next == ST_NONE)
        return;
    printf(dot ? "    %s -> %s [label=\"" : "    %s --> %s: ", a, b);
    edge_label(m, ev, e);
    printf(dot ? "\"];\n" : "\n");
}

static void print_machine(const struct machine *m, bool dot)
{
    if (dot)
        printf("digraph \"%s\" {\n    label=\"%s (%s)\";\n    node [shape=box];\n", m->name,
               m->name, m->source);
    else
        printf("---\ntitle: %s (%s)\n---\nstateDiagram-v2\n    [*] --> %s\n", m->name, m->source,
               state_name(m->initial));
    for (unsigned s = 0; s < ST_COUNT; s++)
        for (unsigned ev = 0; ev < EV_COUNT; ev++)
            print_edge(m, s, ev, dot);
    printf(dot ? "}\n" : "    Terminated --> [*]\n\n");
}

int main(int argc, char **argv)
{
    bool dot = argc == 2 && strcmp(argv[1], "--dot") == 0;
    if (argc > 1 && !dot) {
        fprintf(stderr, "usage: diagrams [--dot]\n");
        return 2;
    }
    for (unsigned kind = TRANS_ICT; kind <= TRANS_NIST; kind++)
        print_machine(machine_of((enum trans_kind)kind), dot);
    return 0;
}
