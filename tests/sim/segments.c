// SPDX-License-Identifier: MIT
/*
 * Requests whose buffer is posted as two segments.
 */
#include "sim.h"

enum {
    PAGE = 4096,
    ENTRY = sizeof(struct nvme_completion), /* the model takes as many bytes for one of a ring */
};

enum nvme_error sim_post_segments(const struct sim_queue *queue, struct sim_request *request,
                                  struct nvme_callback callback)
{
    struct sim_controller *controller = queue->controller;
    uint32_t cut = PAGE - (uint32_t)((uintptr_t)request->buffer % PAGE);

    if (controller->model->sgls != 0) {
        cut = random_between(&controller->sim->bus, 1, request->size_bytes - 1);
    }
    if (cut >= request->size_bytes || cut == ENTRY || request->size_bytes - cut == ENTRY) {
        return NVME_ERR_LENGTH;
    }
    request->segments[0] = (struct nvme_segment){request->buffer, cut};
    request->segments[1] = (struct nvme_segment){request->buffer + cut, request->size_bytes - cut};
    return (request->opcode == NVME_CMD_READ ? nvme_readv : nvme_writev)(
        queue->engine, &controller->ns, request->lba, request->segments, SIM_SEGMENTS, callback);
}
