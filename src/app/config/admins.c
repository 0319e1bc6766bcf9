#include "app/config/yaml.h"

void read_administrators(struct load *l, struct fy_node *n)
{
    problem(l, pos_of(n), "", "administrators: not read yet");
}
