#include "app/config/yaml.h"

void read_passwords(struct load *l, struct fy_node *n)
{
    problem(l, pos_of(n), "", "passwords: not read yet");
}

void read_second_factor(struct load *l, struct fy_node *n)
{
    problem(l, pos_of(n), "", "second_factor: not read yet");
}

void read_authority(struct load *l, struct fy_node *n)
{
    problem(l, pos_of(n), "", "authority: not read yet");
}
