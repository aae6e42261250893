// SPDX-License-Identifier: MIT
/*
 * Commands that were fetched and wait for the test to end them: in order, out of order, with a
 * status, or with their queue.
 */
#include <stdlib.h>
#include <string.h>

#include "model_internal.h"

static void take_pending(struct model *model, uint32_t index, struct model_pending *taken)
{
    if (index >= model->pending_count) {
        abort();
    }
    *taken = model->pending[index];
    model->pending_count--;
    world_note(model, "ends: SQ, cid", taken->sqid, NVME_GET(NVME_CDW0_CID, taken->command.cdw0),
               0);
    memmove(&model->pending[index], &model->pending[index + 1],
            (model->pending_count - index) * sizeof(*taken));
}

void model_step_one(struct model *model, uint32_t index)
{
    struct model_pending taken;

    take_pending(model, index, &taken);
    model->clean_epoch = taken.clean_epoch;
    if (taken.sqid == 0) {
        model_answer(model, &taken, model_execute_admin(model, &taken.command));
    } else {
        model_answer(model, &taken, model_execute_io(model, &taken.command));
    }
}

void model_fail_one(struct model *model, uint32_t index, uint16_t status)
{
    struct model_pending taken;

    take_pending(model, index, &taken);
    model_answer(model, &taken, (struct model_answer){.status = status});
}

uint32_t model_step(struct model *model, uint32_t count)
{
    uint32_t index = 0;
    uint32_t executed = 0;

    while (executed < count && index < model->pending_count) {
        if (model->pending[index].hangs) {
            index++;
        } else {
            model_step_one(model, index);
            executed++;
        }
    }
    return executed;
}

void model_end_pending_of(struct model *model, uint32_t sqid)
{
    uint32_t index = 0;

    while (index < model->pending_count) {
        struct model_pending *pending = &model->pending[index];
        struct model_pending taken;

        if (pending->sqid != sqid) {
            index++;
        } else if (pending->hangs || model->delete_drops ||
                   model_cq_full(model, model->sqs[sqid].cqid)) {
            take_pending(model, index, &taken);
        } else if (model->delete_finishes) {
            model_step_one(model, index);
        } else {
            model_fail_one(model, index, 0x008);
        }
    }
}
