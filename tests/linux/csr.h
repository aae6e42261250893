// SPDX-License-Identifier: MIT
/*
 * Stands in for platform/riscv64/csr.h: timer.h beside it has the clock.
 */
#include "timer.h"
