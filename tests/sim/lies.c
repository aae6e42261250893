// SPDX-License-Identifier: MIT
/*
 * Fault class 15: a device whose registers and Identify data say what cannot be, or is at a limit.
 */
#include "sim.h"

bool sim_prepare_lies(struct sim_controller *controller)
{
    static const uint8_t mdts[] = {20, 31, 32, 255};
    static const uint8_t block_shifts[] = {0, 8, 17, 31, 63};
    static const uint64_t block_counts[] = {0, 1, UINT64_C(1) << 32, UINT64_MAX};
    static const uint32_t namespaces[] = {0, 1, 0xfffffffe, 0xffffffff};
    struct random *random = &controller->sim->random;
    struct model *model = controller->model;

    switch (random_below(random, 10)) {
    case 0:
        model->mdts = RANDOM_ONE(random, mdts);
        break;
    case 1:
        model->cap.mqes = random_chance(random, 500) ? 0 : 0xffff;
        break;
    case 2:
        model->cap.stride = random_between(random, 4, 15);
        break;
    case 3:
        model->cap.timeout_units = random_chance(random, 500) ? 0 : 255;
        break;
    case 4:
        model->namespaces[0].block_shift = RANDOM_ONE(random, block_shifts);
        break;
    case 5:
        model->namespaces[0].block_count = RANDOM_ONE(random, block_counts);
        break;
    case 6:
        model->namespace_count = RANDOM_ONE(random, namespaces);
        break;
    case 7:
        model->cap.page_min = random_between(random, 1, 15);
        break;
    case 8:
        model->sqes = (uint8_t)random_next(random);
        model->cqes = (uint8_t)random_next(random);
        break;
    default:
        model->granted = 65536;
    }
    return true;
}
