#include "app/config/yaml.h"

void read_notify(struct load *l, struct fy_node *n)
{
    problem(l, pos_of(n), "", "notify: not read yet");
}
