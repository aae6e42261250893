// SPDX-License-Identifier: MIT
/*
 * Fault class 14: asynchronous events at any moment, amid each step of closing and opening too.
 */
#include "sim.h"

enum { TELL_PER_MILLE = 100 };

static void tell(struct sim_controller *controller)
{
    static const enum nvme_log logs[] = {NVME_LOG_ERRORS, NVME_LOG_HEALTH,
                                         NVME_LOG_CHANGED_NAMESPACES};
    static const enum nvme_async_type types[] = {NVME_ASYNC_ERROR, NVME_ASYNC_HEALTH,
                                                 NVME_ASYNC_NOTICE};
    uint32_t kind = random_below(&controller->sim->random, 3);

    controller->sim->injected[FAULT_EVENT]++;
    model_raise_event(controller->model, types[kind], 0, logs[kind]);
}

bool sim_prepare_events(struct sim_controller *controller)
{
    controller->config.events = true;
    return false; /* counted when they happen */
}

bool sim_inject_event(struct sim_controller *controller)
{
    tell(controller);
    return false;
}

/* Between two steps of the driver, whatever it does. */
void sim_event_meanwhile(struct sim *sim)
{
    struct sim_controller *controller =
        &sim->controllers[random_below(&sim->bus, sim->controller_count)];

    if (controller->config.events && controller->model->ready && !controller->model->gone &&
        random_chance(&sim->bus, TELL_PER_MILLE)) {
        tell(controller);
    }
}
