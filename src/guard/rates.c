#include "guard/rates.h"
