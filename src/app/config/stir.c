#include "app/config/yaml.h"

void read_stir(struct load *l, struct fy_node *n)
{
    problem(l, pos_of(n), "", "stir: not read yet");
}
