#include "identity/device.h"
