// SPDX-License-Identifier: MIT
/*
 * Fault classes 8 and 9: commands that are never answered or at their deadline, and their Aborts.
 */
#include "sim.h"

bool sim_inject_silence(struct sim_controller *controller)
{
    struct model *model = controller->model;
    bool hung = false;

    for (uint32_t i = 0; i < model->pending_count; i++) {
        hung |= model->pending[i].hangs && model->pending[i].sqid != 0;
        model->pending[i].hangs = model->pending[i].sqid == 0; /* at last, or a held request */
    }
    model->hang_next = hung ? 0 : 1;
    return !hung;
}

/* A late command; what its Abort does was chosen. */
bool sim_prepare_abort(struct sim_controller *controller)
{
    controller->config.aborts = true;
    controller->model->abort_ends = random_chance(&controller->sim->random, 500);
    controller->model->abort_agrees = random_chance(&controller->sim->random, 500);
    return false; /* counted when it happens */
}

bool sim_inject_late(struct sim_controller *controller)
{
    sim_inject_silence(controller);
    return false;
}
