#include "app/config/yaml.h"

void read_fraud(struct load *l, struct fy_node *n)
{
    problem(l, pos_of(n), "", "fraud: not read yet");
}
