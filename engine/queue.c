// SPDX-License-Identifier: MIT
/*
 * Submission and completion rings: post, ring, reap.
 *
 * The only user of doorbells and of the barriers that belong to them. Knows commands and
 * completions as bytes in rings, requests only through request.c. NVMe Base 2.0, Queues; doorbell
 * registers: NVMe over PCIe Transport 1.0 §3.1.2.
 */
#include "nvme_internal.h"

void nvme_queue_reset(struct nvme_queue *queue, uint32_t depth_entries)
{
    struct nvme_controller *controller = queue->controller;
    size_t cq_bytes = depth_entries * sizeof(struct nvme_completion);
    volatile uint8_t *doorbells =
        (volatile uint8_t *)controller->config.registers + NVME_REG_DOORBELLS;
    void *cq = (void *)(uintptr_t)queue->cq;

    /* Old entries may have any phase bit; the device's first lap writes 1. */
    memset(cq, 0, cq_bytes);
    hal_dma_clean(controller->config.dma_context, cq, cq_bytes);
    queue->depth_entries = depth_entries;
    queue->sq_tail = 0;
    queue->sq_tail_rung = 0;
    queue->sq_laps = 0;
    queue->cq_head = 0;
    queue->phase = (uint32_t)NVME_CQE_PHASE;
    queue->page_mask = controller->info.page_bytes - 1;
    queue->sq_doorbell = doorbells + 2 * (size_t)queue->id * controller->doorbell_stride;
    queue->cq_doorbell = queue->sq_doorbell + controller->doorbell_stride;
    queue->seen = false;
    queue->watch_ns = 0;
    memset(&queue->counters, 0, sizeof(queue->counters));
    nvme_request_init(queue, depth_entries);
}

void nvme_queue_enter_state(struct nvme_queue *queue, enum nvme_queue_state state)
{
    /* Pairs with kick_owners() on whichever hart finds the controller failed. */
    __atomic_store_n(&queue->state, (uint8_t)state, __ATOMIC_RELEASE);
}

/* The caller has seen that the controller is live: a failed one takes no doorbells. */
static inline void ring_sq(struct nvme_queue *queue)
{
    uint32_t tail = (uint32_t)queue->sq_tail;
    uint32_t rung = queue->sq_tail_rung;

    /* A queue that closes has no doorbell any more: what was not rung for ends unfetched. */
    if (tail != rung && queue->state == NVME_QUEUE_OPEN) {
        /* Commands, lists and data before the doorbell; the device fetches after seeing it. */
        hal_before_doorbell();
        hal_mmio_write32(queue->sq_doorbell, tail);
        queue->sq_tail_rung = tail;
        queue->counters.sq_doorbells++;
    }
}

static inline void ring_cq(struct nvme_queue *queue)
{
    /* Our loads of the entries before the device may write them again. */
    hal_before_doorbell();
    hal_mmio_write32(queue->cq_doorbell, queue->cq_head);
    queue->counters.cq_doorbells++;
}

void nvme_queue_ring_head_again(struct nvme_queue *queue)
{
    ring_cq(queue);
}

void nvme_submit(struct nvme_queue *queue)
{
    unsigned long irq;

    if (queue->servicing || !nvme_controller_live(queue->controller)) {
        return;
    }
    if (!queue->interrupts) {
        ring_sq(queue);
        return;
    }
    irq = hal_irq_save();
    ring_sq(queue);
    hal_irq_restore(irq);
}

/* The status dword of an entry: command id, phase, status. One load. */
static inline uint32_t load_status(const struct nvme_queue *queue,
                                   const volatile struct nvme_completion *entry)
{
    hal_dma_invalidate(queue->controller->config.dma_context, (const void *)(uintptr_t)entry,
                       sizeof(*entry));
    return hal_dma_load32(&entry->status);
}

bool nvme_queue_ready(const struct nvme_queue *queue)
{
    return (load_status(queue, &queue->cq[queue->cq_head]) & NVME_CQE_PHASE) == queue->phase;
}

/* The slot first: done() may post again, and then finds it free. */
static inline void end(struct nvme_queue *queue, struct nvme_request *request,
                       struct nvme_result result)
{
    nvme_request_release(queue, request);
    request->done(request->arg, result);
}

static NVME_COLD void end_with_status(struct nvme_queue *queue, struct nvme_request *request,
                                      uint32_t status, uint32_t dw0)
{
    end(queue, request,
        (struct nvme_result){
            .error = NVME_ERR_DEVICE,
            .status = (uint16_t)NVME_GET(NVME_CQE_STATUS, status),
            .dw0 = dw0,
        });
}

/*
 * One entry, already copied out of the ring: nothing in it is trusted. An entry that names no
 * outstanding request is counted and dropped; its request, if there was one, times out.
 */
static inline void complete(struct nvme_queue *queue, uint32_t status, uint32_t dw0)
{
    struct nvme_request *request = nvme_request_find(queue, (uint16_t)status);

    if (request == NULL) {
        queue->counters.stale++;
        queue->junk++;
        return;
    }
    /* Not for a write: its buffer may share a cache line with data of the hart's. */
    if (request->buffer != NULL) {
        hal_dma_invalidate(queue->controller->config.dma_context, request->buffer,
                           request->size_bytes);
    }
    if (status >> 17 == 0) {
        /* Every member named: GCC 12 would go through the stack for the others. */
        end(queue, request,
            (struct nvme_result){
                .error = NVME_OK,
                .status = 0,
                .reserved = 0,
                .bytes_done = (uint32_t)request->size_bytes,
                .dw0 = dw0,
            });
    } else {
        end_with_status(queue, request, status, dw0);
    }
}

/* Consumes up to `budget` entries; the head is given back to the device by the caller. */
static inline uint32_t reap(struct nvme_queue *queue, uint32_t budget)
{
    const volatile struct nvme_completion *entry = &queue->cq[queue->cq_head];
    const volatile struct nvme_completion *end = &queue->cq[queue->depth_entries];
    const uint32_t depth = queue->depth_entries;
    const uint32_t own_sq = (uint32_t)NVME_PUT(NVME_CQE_SQID, queue->id);
    uint32_t phase = queue->phase;
    size_t consumed = 0;

    while (consumed < budget) {
        uint32_t status = load_status(queue, entry);
        uint32_t sq;
        uint32_t dw0;

        if ((status & NVME_CQE_PHASE) != phase) {
            break;
        }
        /* The device wrote data, then the entry: read them in the opposite order. */
        hal_after_phase();
        sq = hal_dma_load32(&entry->sq);
        dw0 = hal_dma_load32(&entry->dw0);
        consumed++;
        if (++entry == end) {
            entry = queue->cq;
            phase ^= (uint32_t)NVME_CQE_PHASE;
        }
        /* Our own SQID above an SQHD inside the ring. */
        if (sq - own_sq < depth) {
            complete(queue, status, dw0);
        } else {
            queue->counters.malformed++;
            queue->junk++;
        }
    }
    queue->cq_head = (uint32_t)(entry - queue->cq);
    queue->phase = phase;
    return (uint32_t)consumed;
}

/* The controller failed: a last drain now that RDY = 0, what is left ends here, on its owner. */
static NVME_COLD void end_failed(struct nvme_queue *queue)
{
    /* The caller subtracts the junk of its own drain alone. */
    uint32_t junk = queue->junk;

    if (queue->state == NVME_QUEUE_OPEN &&
        nvme_controller_state_load(queue->controller) == NVME_CONTROLLER_FAILED) {
        queue->counters.completions += reap(queue, queue->depth_entries);
        queue->junk = junk;
        nvme_queue_enter_state(queue, NVME_QUEUE_ENDED);
        nvme_request_end_all(queue, nvme_controller_failure(queue->controller));
    }
}

uint32_t nvme_queue_service(struct nvme_queue *queue, uint32_t budget)
{
    uint32_t consumed;

    if (queue->servicing) {
        hal_panic("nvme_queue_service is nested");
    }
    if (queue->state != NVME_QUEUE_OPEN && queue->state != NVME_QUEUE_CLOSING) {
        return 0;
    }
    queue->servicing = true;
    queue->counters.services++;
    queue->junk = 0;
    consumed = reap(queue, budget);
    queue->counters.completions += consumed;
    queue->counters.drains += consumed != 0;
    if (nvme_controller_live(queue->controller)) {
        /* An empty pass rings nothing: a head that consumes nothing breaks QEMU's INTx (7.2). */
        if (consumed != 0) {
            ring_cq(queue);
        }
        ring_sq(queue);
    } else {
        end_failed(queue);
    }
    queue->servicing = false;
    return consumed - queue->junk;
}

bool nvme_queue_arm(struct nvme_queue *queue)
{
    /* The interrupt was open all along: no register to write, no device read. wait.pml, SPIN. */
    return nvme_queue_mode(queue) == NVME_MODE_INTERRUPT && !nvme_queue_ready(queue) &&
           nvme_controller_live(queue->controller);
}

enum nvme_mode nvme_queue_mode(const struct nvme_queue *queue)
{
    return queue->interrupts && !queue->controller->masked ? NVME_MODE_INTERRUPT : NVME_MODE_POLL;
}

void nvme_queue_count(const struct nvme_queue *queue, struct nvme_counters *counters)
{
    uint64_t tail = queue->sq_tail;
    uint64_t rung = queue->sq_tail_rung;
    uint64_t waiting = tail >= rung ? tail - rung : tail + queue->depth_entries - rung;

    *counters = queue->counters;
    counters->posts = queue->sq_laps * queue->depth_entries + tail - waiting;
}

enum nvme_error nvme_queue_lend(struct nvme_queue *queue, struct nvme_ring *ring)
{
    if (queue->state != NVME_QUEUE_OPEN || queue->interrupts ||
        nvme_queue_outstanding(queue) != 0) {
        return NVME_ERR_STATE;
    }
    nvme_queue_enter_state(queue, NVME_QUEUE_LENT);
    *ring = (struct nvme_ring){
        .sq = queue->sq,
        .cq = queue->cq,
        .sq_doorbell = queue->sq_doorbell,
        .cq_doorbell = queue->cq_doorbell,
        .depth_entries = queue->depth_entries,
        .sq_tail = (uint32_t)queue->sq_tail,
        .cq_head = queue->cq_head,
        .phase = (uint32_t)NVME_GET(NVME_CQE_PHASE, queue->phase),
    };
    return NVME_OK;
}
