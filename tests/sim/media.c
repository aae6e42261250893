// SPDX-License-Identifier: MIT
/*
 * The end of a run: the backings hold what was written, buffers and counts are as they must be.
 */
#include <string.h>

#include "sim.h"

/* Nothing that has ended was written to since. */
static void check_buffers(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_REQUESTS; i++) {
        const struct sim_request *request = &sim->requests[i];

        if (request->queue == NULL && !sim_is_poison(request->buffer, request->size_bytes)) {
            sim_touched(sim, "a buffer was written to after its request had ended");
        }
    }
}

void sim_check_media(struct sim *sim)
{
    check_buffers(sim);
    for (uint32_t i = 0; i < sim->controller_count; i++) {
        struct sim_controller *controller = &sim->controllers[i];
        size_t bytes = (size_t)sim->block_count << sim->block_shift;

        if (controller->lost) {
            continue; /* it may still write, and its queues' counts went with them */
        }
        if (memcmp(controller->shadow, controller->model->namespaces[0].backing, bytes) != 0) {
            sim_wrong(sim, "controller %u: the backing is not what was written", i);
        }
        if (controller->counts_exact) {
            sim->stale += controller->stale;
            sim->stale_sent += controller->stale_sent;
        }
        if (controller->counts_exact && (controller->stale != controller->stale_sent ||
                                         controller->malformed != controller->malformed_sent)) {
            sim_fail(sim, "%llu stale and %llu malformed entries counted, %llu and %llu sent",
                     (unsigned long long)controller->stale,
                     (unsigned long long)controller->malformed,
                     (unsigned long long)controller->stale_sent,
                     (unsigned long long)controller->malformed_sent);
        }
    }
}
