// SPDX-License-Identifier: MIT
/*
 * Requests whose buffer is posted as two segments, or is not aligned.
 */
#include "sim.h"

enum {
    PAGE = 4096,
    ENTRY = sizeof(struct nvme_completion), /* the model takes as many bytes for one of a ring */
};

/* True if the data fit into the memory of a slot. */
static bool bounces(const struct sim_controller *controller, const struct sim_request *request)
{
    uint32_t room = (controller->config.bounce_bytes + PAGE - 1) / PAGE * PAGE;
    uint32_t most = controller->config.max_transfer_bytes;

    room = most != 0 && room > most ? most : room;
    return request->size_bytes <= room && request->blocks <= controller->ns.max_blocks;
}

void sim_shift_buffer(struct sim_controller *controller, struct sim_request *request)
{
    if (bounces(controller, request) && random_chance(&controller->sim->bus, 300)) {
        request->buffer += random_between(&controller->sim->bus, 1, 3);
    }
}

enum nvme_error sim_post_segments(const struct sim_queue *queue, struct sim_request *request,
                                  struct nvme_callback callback)
{
    struct sim_controller *controller = queue->controller;
    uint32_t cut = PAGE - (uint32_t)((uintptr_t)request->buffer % PAGE);

    if (controller->model->sgls != 0 || bounces(controller, request)) {
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
