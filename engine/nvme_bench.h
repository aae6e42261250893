// SPDX-License-Identifier: MIT
/*
 * For measuring only: the rings of a queue without the engine, or the engine without a device.
 * The bench uses it; a kernel does not need it. Rules R1 to R15 are those of nvme.h.
 */
#ifndef NVME_BENCH_H
#define NVME_BENCH_H

#include "nvme.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The rings of an idle queue. The user begins at sq_tail, cq_head and phase. */
struct nvme_ring {
    struct nvme_command *sq;
    volatile struct nvme_completion *cq;
    volatile void *sq_doorbell;
    volatile void *cq_doorbell;
    uint32_t depth_entries;    /* of the submission ring */
    uint32_t cq_depth_entries; /* of the completion ring */
    uint32_t sq_tail;
    uint32_t cq_head;
    uint32_t phase;    /* of the next completion: 0 or 1 */
    uint32_t queue_id; /* SQID of a completion */
};

/*
 * Raw ring: gives the rings to the caller, to measure the device without the engine. Then the queue
 * can only be closed, and its controller is not reset any more. The close does not look at the
 * completion ring, so the caller must have consumed every completion of its commands. An interrupt
 * queue goes on to interrupt, but the engine looks at it no more: its line, which has no other
 * queue, or its vector needs another handler.
 * Parameters: ring: written on NVME_OK.
 * Context: the owner (R1), not in done(). Interrupts are off if the queue has any (R3).
 * Errors: NVME_ERR_STATE: requests are outstanding, the queue is not open or in hybrid mode, its
 *   controller is not live, harts share its line, or it has shadow doorbells, which the caller does
 *   not know.
 */
NVME_WARN_UNUSED enum nvme_error nvme_queue_enter_raw(struct nvme_queue *queue,
                                                      struct nvme_ring *ring);

/*
 * Loopback: sends the doorbells of an idle poll queue to two dwords of the caller, to measure the
 * engine without a device. The queue works until it is closed, and the caller is its device: it
 * takes commands up to doorbells[0] and writes completions from the positions in *ring on. A
 * request that it never answers times out as usual. The device sees none of this, so its state at a
 * close or a later open is unchanged. Its controller is not reset any more.
 * Parameters: doorbells: submission tail and completion head; the caller's, valid until the queue
 *   is closed. ring: written on NVME_OK.
 * Context: the owner (R1), not in done(). The caller also answers there.
 * Errors: NVME_ERR_STATE: requests are outstanding, it is no open poll queue, or its controller is
 *   not live.
 */
NVME_WARN_UNUSED enum nvme_error nvme_queue_enter_loopback(struct nvme_queue *queue,
                                                           volatile uint32_t doorbells[2],
                                                           struct nvme_ring *ring);

#ifdef __cplusplus
}
#endif

#endif
