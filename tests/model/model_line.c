// SPDX-License-Identifier: MIT
/*
 * INTx: one bit per controller, OR-ed on a line, seen by one of three interrupt controllers.
 */
#include "model_internal.h"

bool model_level(const struct model *model)
{
    bool high = model->pending_extra != 0;

    if ((model->interrupt_mask & 1) != 0 || (model->cc & NVME_CC_EN) == 0) {
        return false;
    }
    for (uint32_t i = 0; i < MODEL_QUEUES && !high; i++) {
        const struct model_cq *cq = &model->cqs[i];

        high = cq->exists && cq->interrupts && cq->head != cq->tail;
    }
    return high;
}

void model_update_line(struct model *model)
{
    struct model_line *line = model->line;
    bool high = model_level(model);

    if (line == NULL || high == model->asserted) {
        return;
    }
    model->asserted = high;
    if (high) {
        line->high++;
        line->asserts++;
        line->pending = true;
        return;
    }
    line->high--;
    if (line->high == 0 && line->kind != MODEL_LINE_EDGE) {
        line->pending = false;
    }
}

bool model_line_claim(struct model_line *line)
{
    if (!line->pending || line->in_service) {
        return false;
    }
    line->pending = false;
    line->in_service = true;
    line->claims++;
    return true;
}

void model_line_complete(struct model_line *line)
{
    line->in_service = false;
    if (line->kind == MODEL_LINE_LEVEL && line->high != 0) {
        line->pending = true;
    }
}
