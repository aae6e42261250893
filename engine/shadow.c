// SPDX-License-Identifier: MIT
/*
 * Shadow doorbells: values in memory that the device looks at while it is busy. It asks for a write
 * of the register by an event index. NVMe Base 2.0: Doorbell Buffer Config, Shadow Doorbell Buffer.
 *
 * Both sides store first and then look: the host its doorbell and then the event index, the device
 * its event index and then the doorbell. One of them sees what the other has stored.
 * tests/spin/shadow.pml is the model. Like queue.c, this file writes doorbells.
 */
#include "nvme_internal.h"

static volatile uint32_t *event_index(const struct nvme_queue *queue,
                                      const struct nvme_shadow *shadow)
{
    return (volatile uint32_t *)(volatile void *)(shadow->place +
                                                  queue->controller->info.page_bytes);
}

static void reset_one(const struct nvme_queue *queue, struct nvme_shadow *shadow, uint32_t number)
{
    const struct nvme_controller *controller = queue->controller;

    *shadow = (struct nvme_shadow){0};
    if (controller->info.shadow_doorbells && queue->id != 0) {
        shadow->place = controller->shadow_pages + (size_t)number * controller->doorbell_stride;
        /* Of an older queue of this id. The device looks at neither before the queue exists. */
        *event_index(queue, shadow) = 0;
        hal_shadow_store32(shadow->place, 0);
    }
}

void nvme_shadow_reset(struct nvme_queue *queue)
{
    reset_one(queue, &queue->shadow_sq, 2 * (uint32_t)queue->id);
    reset_one(queue, &queue->shadow_cq, 2 * (uint32_t)queue->id + 1);
    queue->shadow_progress = 0;
}

static void write_register(struct nvme_shadow *shadow, volatile uint8_t *doorbell)
{
    hal_before_doorbell();
    hal_mmio_write32(doorbell, shadow->value);
    shadow->behind = false;
}

/* Stores the doorbell. True if the device asks for the register. */
static bool store_value(const struct nvme_queue *queue, struct nvme_shadow *shadow, uint32_t value)
{
    uint32_t before = shadow->value;

    hal_shadow_store32(shadow->place, value);
    shadow->value = value;
    shadow->behind = true;
    return nvme_shadow_passes(hal_dma_load32(event_index(queue, shadow)), before, value);
}

NVME_COLD void nvme_shadow_ring_sq(struct nvme_queue *queue)
{
    uint32_t tail = (uint32_t)queue->sq_tail;

    if (tail == queue->sq_tail_rung) {
        return;
    }
    if (store_value(queue, &queue->shadow_sq, tail)) {
        write_register(&queue->shadow_sq, queue->sq_doorbell);
        queue->counters.sq_doorbells++;
    }
    queue->sq_tail_rung = tail;
}

NVME_COLD void nvme_shadow_ring_cq(struct nvme_queue *queue)
{
    bool on_line = queue->ien && !queue->source->message;

    /* The register lowers an INTx line: a device need not look at the memory for that. */
    if (store_value(queue, &queue->shadow_cq, nvme_queue_head(queue)) || on_line) {
        write_register(&queue->shadow_cq, queue->cq_doorbell);
        queue->counters.cq_doorbells++;
    } else {
        queue->counters.reaps++; /* one without a head doorbell: see nvme_queue_count() */
    }
}

void nvme_shadow_ring_again(struct nvme_queue *queue)
{
    uint64_t progress = nvme_queue_rung(queue) + nvme_queue_consumed(queue);
    bool late = false;

    if (queue->shadow_sq.place == NULL) {
        return;
    }
    if (progress == queue->shadow_progress) {
        if (queue->shadow_cq.behind) {
            write_register(&queue->shadow_cq, queue->cq_doorbell);
            late = true;
        }
        if (queue->shadow_sq.behind) {
            write_register(&queue->shadow_sq, queue->sq_doorbell);
            late = true;
        }
    }
    queue->counters.rerings += late;
    queue->shadow_progress = progress;
}
