// SPDX-License-Identifier: MIT
/*
 * Submission and completion rings: post, ring, reap.
 *
 * In the engine only this file and shadow.c write doorbells and use their barriers. It sees
 * commands and completions as entries of rings, and requests only through request.c. NVMe Base 2.0,
 * Queues; doorbell registers: NVMe over PCIe Transport 1.0 §3.1.2.
 */
#include "nvme_internal.h"

void nvme_queue_reset_rings(struct nvme_queue *queue)
{
    struct nvme_controller *controller = queue->controller;
    uint32_t surplus = queue->cq_depth_limit - queue->depth_limit;
    size_t cq_bytes = (queue->depth_entries + surplus) * sizeof(struct nvme_completion);
    volatile uint8_t *doorbells =
        (volatile uint8_t *)controller->config.registers + NVME_REG_DOORBELLS;
    void *cq = (void *)(uintptr_t)queue->cq;

    /* Old entries may have any phase bit; the device's first pass through the ring writes 1. */
    nvme_memset(cq, 0, cq_bytes);
    hal_dma_clean(controller->config.dma_context, cq, cq_bytes);
    queue->cq_depth_entries = queue->depth_entries + surplus;
    queue->head_late = queue->ien ? 0 : surplus / 2;
    queue->head_left = queue->head_late;
    queue->sq_tail = 0;
    queue->sq_tail_rung = 0;
    queue->sq_laps = 0;
    queue->cq_laps = 0;
    queue->cq_next = queue->cq;
    queue->cq_end = queue->cq + queue->cq_depth_entries;
    queue->expected = NVME_CQE_IN_HIGH(NVME_CQE_PHASE) | NVME_PUT(NVME_CQE_SQID, queue->id);
    queue->sq_count = NVME_CQE_IN_HIGH(queue->depth_entries);
    queue->page_mask = controller->info.page_bytes - 1;
    queue->sq_doorbell = doorbells + 2 * (size_t)queue->id * controller->doorbell_stride;
    queue->cq_doorbell = queue->sq_doorbell + controller->doorbell_stride;
    queue->seen = false;
    queue->watchdog_ns = 0;
    queue->cycle_useful = 0;
    queue->progress_useful = 0;
    queue->kept_tail = 0;
    nvme_shadow_reset(queue);
}

void nvme_queue_reset(struct nvme_queue *queue, uint32_t depth_entries)
{
    queue->depth_entries = depth_entries;
    queue->absent = false;
    queue->life = __atomic_load_n(&queue->controller->life, __ATOMIC_ACQUIRE);
    queue->stale_before = 0;
    nvme_memset(&queue->counters, 0, sizeof(queue->counters));
    nvme_queue_reset_rings(queue);
    nvme_request_init(queue, depth_entries);
}

void nvme_queue_enter_state(struct nvme_queue *queue, enum nvme_queue_state state)
{
    nvme_queue_leave(queue);
    /* Pairs with nvme_controller_send_ipis() on whichever hart finds the controller failed. */
    __atomic_store_n(&queue->state, (uint8_t)state, __ATOMIC_RELEASE);
    /* Before the source opens, which may interrupt the owner's hart at once. */
    hal_before_doorbell();
}

/*
 * The caller has checked that the controller is live: a failed one gets no doorbells. `ordered`: a
 * barrier came after the last post.
 */
static inline void ring_sq(struct nvme_queue *queue, bool ordered)
{
    uint32_t tail = (uint32_t)queue->sq_tail;

    if (tail != queue->sq_tail_rung) {
        if (!ordered) {
            /* Commands, lists and data before the doorbell; the device fetches after seeing it. */
            hal_before_doorbell();
        }
        hal_mmio_write32(queue->sq_doorbell, tail);
        queue->sq_tail_rung = tail;
        queue->counters.sq_doorbells++;
    }
}

/*
 * True if a clocked doorbell may wait for the next reap: a command in flight will make an entry.
 * tests/spin/doorbell.pml is the model.
 */
static inline bool may_wait(const struct nvme_queue *queue)
{
    return !nvme_queue_is_fetched(queue) && nvme_queue_rung(queue) != nvme_queue_useful(queue);
}

static inline void ring_cq(struct nvme_queue *queue)
{
    /* Our loads of the entries before the device may write them again. */
    hal_before_doorbell();
    hal_mmio_write32(queue->cq_doorbell, nvme_queue_head(queue));
    queue->counters.cq_doorbells++;
}

NVME_COLD void nvme_queue_ring(struct nvme_queue *queue)
{
    nvme_retry_keep(queue);
    if (queue->shadow_sq.place != NULL) {
        nvme_shadow_ring_sq(queue);
    } else {
        ring_sq(queue, false);
    }
}

void nvme_queue_ring_head_again(struct nvme_queue *queue)
{
    ring_cq(queue);
}

static NVME_COLD void ring_head(struct nvme_queue *queue)
{
    if (queue->shadow_cq.place != NULL) {
        nvme_shadow_ring_cq(queue);
    } else {
        ring_cq(queue);
    }
}

NVME_COLD void nvme_queue_give_back(struct nvme_queue *queue)
{
    if (nvme_controller_live(queue->controller)) {
        queue->counters.reaps--; /* nvme_queue_count() takes each head doorbell for one */
        ring_head(queue);
    }
}

/*
 * Slow path of submit: a queue that is not active or keeps its commands, or whose doorbell may wait
 * or is a shadow. It is the end of submit, which so needs no frame: it restores interrupts too.
 */
static NVME_COLD void submit_slow(struct nvme_queue *queue, unsigned long irq)
{
    if (!nvme_queue_is_reaping(queue) && nvme_controller_live(queue->controller) &&
        (nvme_queue_is_active(queue) ? !queue->clocked || !may_wait(queue)
                                     : nvme_queue_activate(queue))) {
        nvme_queue_ring(queue);
    }
    if (queue->irq_protect) {
        hal_irq_restore(irq);
    }
}

/* A trap may change what it looks at, so interrupts are off. False: for submit_slow(). */
static NVME_INLINE bool submit_fast(struct nvme_queue *queue)
{
    if (queue->activity != NVME_ACTIVITY_ACTIVE ||
        (queue->clocked && !nvme_queue_is_fetched(queue))) {
        return false;
    }
    if (nvme_controller_live(queue->controller)) {
        ring_sq(queue, false);
    }
    return true;
}

void nvme_queue_submit(struct nvme_queue *queue)
{
    unsigned long irq;

    if (!queue->irq_protect) {
        if (!submit_fast(queue)) {
            submit_slow(queue, 0);
        }
        return;
    }
    irq = hal_irq_save();
    if (submit_fast(queue)) {
        hal_irq_restore(irq);
    } else {
        submit_slow(queue, irq);
    }
}

/* Completes a request with success: status field 0. */
static NVME_INLINE void complete_success(struct nvme_queue *queue, struct nvme_request *request,
                                         uint64_t dw0_dw1)
{
    /* As two words: member by member GCC 12 masks each of them once more. */
    union {
        struct nvme_result result;
        __extension__ unsigned __int128 words;
    } ok = {.words = (__extension__(unsigned __int128)(dw0_dw1 << 32 | request->size_bytes)) << 64};

    nvme_request_take_data(queue, request);
    nvme_request_end(queue, request, ok.result);
}

/*
 * Consumes new entries from `entry` up to `limit`, at least one entry further. Returns the next. An
 * entry was copied out of the ring and is not trusted: one test finds the request of its command
 * id, with status 0.
 */
static NVME_INLINE const volatile struct nvme_completion *
reap_up_to(struct nvme_queue *queue, const volatile struct nvme_completion *entry,
           const volatile struct nvme_completion *limit)
{
    const uint64_t expected = queue->expected;
    const uint64_t sq_count = queue->sq_count;
    struct nvme_request *const requests = queue->requests;
    const uint64_t slot_mask = queue->slot_mask;

    do {
        uint64_t dwords = nvme_queue_load(queue, entry) ^ expected;
        struct nvme_request *request;
        uint64_t dw0_dw1;

        if (!nvme_entry_is_new(dwords)) {
            break;
        }
        /* The device wrote data, then the entry: read them in the opposite order. */
        hal_after_phase();
        dw0_dw1 = hal_dma_load64(&entry->dw0);
        entry++;
        /* Our SQID, and an SQHD inside the ring. The command id proves the rest. */
        if (__builtin_expect(dwords << 32 >= sq_count, 0)) {
            queue->counters.malformed++;
        }
        request = nvme_request_find(requests, slot_mask, dwords >> 32);
        if (__builtin_expect(request != NULL, 1)) {
            complete_success(queue, request, dw0_dw1);
        } else {
            nvme_request_end_odd(queue, dwords, dw0_dw1);
        }
    } while (entry != limit);
    return entry;
}

/* Consumes up to `budget` entries, but none beyond the end of the ring. */
static NVME_INLINE uint64_t reap_segment(struct nvme_queue *queue, uint64_t budget)
{
    const volatile struct nvme_completion *start = queue->cq_next;
    const volatile struct nvme_completion *end = queue->cq_end;
    /* In bytes, because a difference of pointers needs a division. */
    const volatile struct nvme_completion *limit =
        budget * sizeof(*start) < (uintptr_t)end - (uintptr_t)start ? start + budget : end;
    const volatile struct nvme_completion *entry = reap_up_to(queue, start, limit);
    uint64_t consumed = (uint64_t)(entry - queue->cq_next);

    queue->cq_next = entry;
    return consumed;
}

/* Continues at the start of the ring; there may be no budget left. */
static NVME_COLD uint64_t reap_wrapped(struct nvme_queue *queue, uint64_t budget)
{
    uint64_t consumed = 0;

    do {
        queue->cq_next = queue->cq;
        queue->cq_laps++;
        queue->expected ^= NVME_CQE_IN_HIGH(NVME_CQE_PHASE);
        if (consumed < budget) {
            consumed += reap_segment(queue, budget - consumed);
        }
    } while (queue->cq_next == queue->cq_end);
    return consumed;
}

/* Consumes up to `budget` entries; the caller rings the head doorbell. */
static NVME_INLINE uint64_t reap_entries(struct nvme_queue *queue, uint64_t budget)
{
    uint64_t consumed = reap_segment(queue, budget);

    if (queue->cq_next == queue->cq_end) {
        consumed += reap_wrapped(queue, budget - consumed);
    }
    return consumed;
}

static NVME_COLD uint64_t reap_cold(struct nvme_queue *queue, uint64_t budget)
{
    return reap_entries(queue, budget);
}

/*
 * A reap on a controller that is not live. After RDY = 0 it reaps a last time and ends the requests
 * that are left, on their owner.
 */
static NVME_COLD void end_failed(struct nvme_queue *queue)
{
    /* The caller subtracts only the unmatched entries of its own reap. */
    uint64_t unmatched = queue->unmatched;

    if (nvme_controller_state_load(queue->controller) != NVME_CONTROLLER_FAILED) {
        nvme_queue_set_active(queue);
        return;
    }
    reap_cold(queue, queue->depth_entries);
    queue->unmatched = unmatched;
    nvme_queue_enter_state(queue, NVME_QUEUE_ENDED);
    nvme_request_end_all(queue, nvme_controller_failure(queue->controller));
}

/*
 * The end of a reap: doorbells, and the queue is active again. With a constant `slow` each caller
 * has only its own.
 */
static NVME_INLINE uint32_t end_reap(struct nvme_queue *queue, uint64_t consumed, bool slow)
{
    if (nvme_controller_live(queue->controller)) {
        bool rings = consumed > queue->head_left;

        /* An empty pass rings no head: a head doorbell without an entry is an error. */
        if (rings) {
            (slow ? ring_head : ring_cq)(queue);
            queue->head_left = queue->head_late;
        } else if (consumed != 0) {
            queue->head_left -= consumed;
            queue->counters.reaps++;
        } else {
            queue->counters.reap_calls++;
        }
        if (slow) {
            nvme_queue_ring(queue);
            nvme_queue_set_active(queue);
        } else {
            ring_sq(queue, rings); /* one barrier for both doorbells */
            queue->activity = NVME_ACTIVITY_ACTIVE;
        }
    } else {
        queue->counters.reaps += consumed != 0;
        end_failed(queue);
    }
    return (uint32_t)(consumed - queue->unmatched);
}

/* The reap of an active queue that takes the slow paths. */
static NVME_COLD uint32_t reap_active(struct nvme_queue *queue, uint32_t budget)
{
    queue->slow = false;
    queue->unmatched = 0;
    return end_reap(queue, reap_cold(queue, budget), true);
}

/* True if the device takes a head: of the admin queue also while it is set up again. */
static bool may_give_back(const struct nvme_queue *queue)
{
    enum nvme_controller_state state = nvme_controller_state_load(queue->controller);

    return state == NVME_CONTROLLER_LIVE ||
           (state == NVME_CONTROLLER_CONFIGURING && queue->id == 0);
}

NVME_COLD uint32_t nvme_queue_reap_away(struct nvme_queue *queue)
{
    uint64_t consumed;

    queue->away = false;
    queue->unmatched = 0;
    consumed = reap_cold(queue, queue->cq_depth_entries);
    if (consumed != 0 && may_give_back(queue)) {
        ring_head(queue);
    }
    queue->away = true;
    return (uint32_t)(consumed - queue->unmatched);
}

/*
 * Slow path of reap: no budget, shadow doorbells, retries, or a queue that is not active. An open
 * queue joins the active list and is reaped. A closing one is reaped off it, any other is not.
 */
static NVME_COLD uint32_t reap_slow(struct nvme_queue *queue, uint32_t budget)
{
    if (budget == 0) {
        return 0;
    }
    if (nvme_queue_is_reaping(queue)) {
        hal_panic("nvme_queue_reap is nested, or on two harts at once (R5)");
    }
    if (queue->slow) {
        return reap_active(queue, budget);
    }
    if (nvme_queue_activate(queue)) {
        return nvme_queue_reap(queue, budget);
    }
    return queue->state == NVME_QUEUE_CLOSING ? nvme_queue_reap_away(queue) : 0;
}

uint32_t nvme_queue_reap(struct nvme_queue *queue, uint32_t budget)
{
    /* Not active, or no budget. */
    if (queue->activity >= budget) {
        return reap_slow(queue, budget);
    }
    queue->activity = NVME_ACTIVITY_TAKEN;
    queue->unmatched = 0;
    return end_reap(queue, reap_entries(queue, budget), false);
}
