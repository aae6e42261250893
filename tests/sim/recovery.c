// SPDX-License-Identifier: MIT
/*
 * What a hart does when a controller has failed: it watches, until the engine has reset it or every
 * request has ended.
 */
#include "sim.h"

enum { RECOVERY_STEPS = 20000 };

/* What ails the device is over. */
static void mend(struct model *model)
{
    if (model->gone) {
        model->pending_count = 0; /* it comes back as a new one */
    }
    model->fatal = false;
    model->gone = false;
    model->hang_next = 0;
    model->ready_never = false;
}

/*
 * The hart goes on watching until every request has ended. Then everything is opened anew, unless
 * the engine has reset the controller meanwhile.
 */
void sim_recover(struct sim_controller *controller)
{
    struct sim *sim = controller->sim;
    bool resets = controller->config.resets_max != 0;

    if (resets && !controller->model->gone && random_chance(&sim->random, 700)) {
        mend(controller->model);
    }
    for (uint32_t i = 0; i < RECOVERY_STEPS && !controller->lost; i++) {
        uint32_t outstanding = 0;

        sim_watch(sim, NVME_WATCHDOG_PERIOD_NS);
        for (uint32_t q = 0; q < SIM_QUEUES; q++) {
            outstanding += controller->queues[q].outstanding;
        }
        if (!controller->failed) {
            return;
        }
        if (outstanding == 0 && (controller->dead || !resets)) {
            break;
        }
        if (i + 1 == RECOVERY_STEPS) {
            sim_hung(sim, "%u requests of a failed controller never ended", outstanding);
        }
    }
    sim_controller_close(controller);
    if (controller->lost) {
        sim_forget(controller);
        return;
    }
    controller->counts_exact = false;
    mend(controller->model);
    if (sim_good(sim)) {
        sim_controller_open(controller);
    }
}
