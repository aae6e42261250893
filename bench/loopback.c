// SPDX-License-Identifier: MIT
/*
 * See loopback.h.
 */
#include "loopback.h"

#include "nvme_hal.h"

enum nvme_error loopback_start(struct loopback *device, struct nvme_queue *queue)
{
    enum nvme_error error = nvme_queue_enter_loopback(queue, device->doorbells, &device->ring);

    if (error == NVME_OK) {
        device->sq_head = device->ring.sq_tail;
    }
    return error;
}

void loopback_complete(struct loopback *device)
{
    const struct nvme_command *sq = device->ring.sq;
    volatile struct nvme_completion *cq = device->ring.cq;
    const uint32_t tail = device->doorbells[0];
    const uint32_t depth_entries = device->ring.depth_entries;
    const uint32_t sq_id = (uint32_t)NVME_PUT(NVME_CQE_SQID, device->ring.queue_id);
    uint32_t phase = (uint32_t)NVME_PUT(NVME_CQE_PHASE, device->ring.phase);
    uint32_t sq_head = device->sq_head;
    uint32_t cq_tail = device->ring.cq_head;

    while (sq_head != tail) {
        uint32_t cid = sq[sq_head].cdw0 >> 16;

        sq_head = sq_head + 1 == depth_entries ? 0 : sq_head + 1;
        /* Dwords 0 and 1 are 0 in a ring that never held anything but reads and writes. */
        cq[cq_tail].sq = sq_id | sq_head;
        cq[cq_tail].status = cid | phase;
        if (++cq_tail == device->ring.cq_depth_entries) {
            cq_tail = 0;
            phase ^= (uint32_t)NVME_CQE_PHASE;
        }
    }
    device->sq_head = sq_head;
    device->ring.cq_head = cq_tail;
    device->ring.phase = phase != 0;
}
