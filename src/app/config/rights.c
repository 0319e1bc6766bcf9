#include "app/config/yaml.h"

void read_sites(struct load *l, struct fy_node *n)
{
    problem(l, pos_of(n), "", "sites: not read yet");
}
