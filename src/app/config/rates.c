#include "app/config/yaml.h"

void read_rates(struct load *l, struct fy_node *n)
{
    problem(l, pos_of(n), "", "rates: not read yet");
}
