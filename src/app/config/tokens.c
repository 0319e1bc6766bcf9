#include "app/config/yaml.h"

void read_tokens(struct load *l, struct fy_node *n)
{
    problem(l, pos_of(n), "", "tokens: not read yet");
}
