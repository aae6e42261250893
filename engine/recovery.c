// SPDX-License-Identifier: MIT
/*
 * The watchdog: lost interrupts, expired commands, dead controllers.
 *
 * An expired command disables its controller: a device that still owns a buffer cannot be left
 * running, and no request ends before RDY = 0 is seen. It never waits: each call does one step, of
 * a reset too (reset.c).
 * tests/spin/failure.pml models the order of a deadline, a completion and several owners.
 */
#include "nvme_internal.h"

enum {
    CLOCK_STEP_MS = 100,     /* a gap between two calls counts at most this much */
    SCANS_PER_DEADLINE = 10, /* walks over the slots */
};
#define NS_PER_MS UINT64_C(1000000)
_Static_assert(CLOCK_STEP_MS *NS_PER_MS == 10 * NVME_WATCHDOG_PERIOD_NS, "R13");
/* A call a little early after a late one counts as a period. */
#define OVERDUE_NS (NVME_WATCHDOG_PERIOD_NS - NVME_WATCHDOG_PERIOD_NS / 16)

/*
 * The queue's clock counts the time while the watchdog is called. Posts store it instead of reading
 * the time. A request posted after a long pause is at most one step younger than its clock says.
 */
static void advance_clock(struct nvme_queue *queue, uint64_t now_ns)
{
    uint64_t gap_ms = (now_ns - queue->watchdog_ns) / NS_PER_MS;

    if (queue->watchdog_ns == 0 || gap_ms > CLOCK_STEP_MS) {
        gap_ms = CLOCK_STEP_MS;
        queue->watchdog_ns = now_ns;
    } else {
        queue->watchdog_ns += gap_ms * NS_PER_MS;
    }
    queue->clock_ms += gap_ms;
}

/*
 * Reaps a queue without an interrupt. An entry between the last look and the head doorbell has no
 * edge, so the line is closed and opened. Only the IRQ hart does that to a shared line: the owner
 * asks it. A vector sends a message for a later entry, and its owner may not touch the line.
 */
static void reap_outside_handler(struct nvme_queue *queue)
{
    nvme_queue_reap(queue, queue->depth_entries);
    if (nvme_queue_shares(queue)) {
        nvme_shared_ask(queue);
    } else if (!queue->source->message) {
        nvme_source_pulse(&queue->controller->line, NVME_CLOSED_WATCHDOG);
    }
}

/* True if the source is closed, or was since the entry was seen: by an interrupt, or another. */
static bool is_late(const struct nvme_queue *queue)
{
    const struct nvme_source *source = queue->source;

    return NVME_PEEK(&source->closed) != 0 || NVME_PEEK(&source->openings) != queue->seen_openings;
}

/* Counts a missed interrupt that the IRQ hart has found for this queue. */
static void collect_missed(struct nvme_queue *queue)
{
    struct nvme_cycle *cycle = &queue->controller->cycle;
    uint64_t bit = nvme_queue_bit(queue);

    if ((NVME_PEEK(&cycle->missed) & bit) != 0) {
        __atomic_fetch_and(&cycle->missed, ~bit, __ATOMIC_RELAXED);
        queue->counters.missed++;
    }
}

/*
 * Reaps an entry that has been ready for a period, whatever keeps its interrupt away. It is late if
 * its interrupt came meanwhile or its source was closed. Else the interrupt is missed.
 */
static void reap_overdue(struct nvme_queue *queue)
{
    bool reaped = nvme_queue_consumed(queue) != queue->seen_completions;
    bool late = reaped || is_late(queue);

    queue->counters.late += late;
    /* On a shared line only the IRQ hart can tell. */
    queue->counters.missed += !late && !nvme_queue_shares(queue);
    if (reaped) {
        return;
    }
    if (late && nvme_queue_shares(queue)) {
        /* The end of a cycle, or a pending interrupt, makes the edge. */
        nvme_queue_reap(queue, queue->depth_entries);
    } else {
        reap_outside_handler(queue);
    }
}

static void look_for_overdue(struct nvme_queue *queue, uint64_t now_ns)
{
    collect_missed(queue);
    if (queue->seen && now_ns - queue->seen_ns < OVERDUE_NS) {
        return;
    }
    if (queue->seen) {
        queue->seen = false;
        reap_overdue(queue);
    }
    if (nvme_queue_ready(queue)) {
        queue->seen = true;
        queue->seen_ns = now_ns;
        queue->seen_openings = NVME_PEEK(&queue->source->openings);
        queue->seen_completions = nvme_queue_consumed(queue);
    }
}

/* Ends a storm whose time is over. Only the IRQ hart ends that of a shared line. */
static void end_storm(struct nvme_queue *queue, uint64_t now_ns)
{
    struct nvme_source *source = queue->source;

    if ((NVME_PEEK(&source->closed) & NVME_CLOSED_STORM) == 0 ||
        now_ns < NVME_PEEK(&source->storm_end_ns)) {
        return;
    }
    if (nvme_queue_shares(queue)) {
        nvme_shared_turn(queue);
    } else {
        nvme_source_end_storm(source, now_ns);
    }
}

/* Checks CSTS: a fatal error, or a removed device. */
static enum nvme_error check_device(const struct nvme_controller *controller,
                                    struct nvme_event *event)
{
    uint32_t csts = nvme_register_read(&controller->config, NVME_REG_CSTS);

    event->value = csts;
    if (csts == NVME_REGISTER_GONE) {
        event->kind = NVME_EVENT_REMOVED;
        return NVME_ERR_REMOVED;
    }
    event->kind = NVME_EVENT_CONTROLLER_FATAL;
    return (csts & NVME_CSTS_CFS) != 0 ? NVME_ERR_FATAL : NVME_OK;
}

/* True if a request is past its deadline. If none is, no Abort is of interest. */
static bool find_expired(struct nvme_queue *queue, uint32_t *cid)
{
    /* A request may be one step younger than its clock says; it must not expire early. */
    bool found = nvme_request_expired(queue, CLOCK_STEP_MS, cid);

    if (!found) {
        NVME_POKE(&queue->abort, 0);
    }
    return found;
}

/* What may tell why: the queue, and the interrupts that it has had. */
static void describe_timeout(const struct nvme_queue *queue, uint32_t cid, struct nvme_event *event)
{
    uint64_t phase = NVME_CQE_IN_HIGH(NVME_CQE_PHASE);
    const struct nvme_request *request = &queue->requests[cid & queue->slot_mask];

    event->kind = NVME_EVENT_COMMAND_TIMEOUT;
    event->value = cid;
    event->limit = nvme_request_timeout_ms(queue, request);
    event->outstanding = nvme_queue_outstanding(queue);
    event->head = nvme_queue_head(queue);
    event->phase = (queue->expected & phase) != 0;
    event->age_ms = queue->clock_ms - request->clock_ms;
    event->quiet_ms = queue->clock_ms - queue->progress_ms;
    event->interrupts = queue->counters.interrupts;
    if (queue->ien && !nvme_queue_shares(queue)) {
        event->interrupts += queue->source->interrupts; /* since open: see nvme_source_connect */
    }
}

/* Finds a request past its deadline, also after one more reap and an Abort. */
static enum nvme_error check_deadlines(struct nvme_queue *queue, struct nvme_event *event)
{
    uint64_t least_ms = queue->controller->timeout_ms;
    uint32_t cid = 0;

    if (queue->timeout_min_ms < least_ms) {
        least_ms = queue->timeout_min_ms;
    }
    if (queue->abort == 0 &&
        queue->clock_ms - queue->expiry_scan_ms < least_ms / SCANS_PER_DEADLINE) {
        return NVME_OK;
    }
    queue->expiry_scan_ms = queue->clock_ms;
    if (!find_expired(queue, &cid)) {
        return NVME_OK;
    }
    if (queue->ien) {
        /* No entry was seen, so no interrupt is missed: no opening has this number. */
        queue->seen = false;
        queue->seen_openings = UINT64_MAX;
        reap_outside_handler(queue);
    } else {
        nvme_queue_reap(queue, queue->depth_entries);
    }
    if (!find_expired(queue, &cid)) {
        return NVME_OK;
    }
    describe_timeout(queue, cid, event);
    if (!nvme_abort_try(queue, cid, event)) {
        return NVME_ERR_TIMEOUT;
    }
    nvme_controller_take_turn(queue);
    return NVME_OK;
}

/* A completion since the last look: the resets of this controller are no longer in a row. */
static void note_progress(struct nvme_queue *queue)
{
    uint64_t useful = nvme_queue_useful(queue);

    if (useful != queue->progress_useful) {
        queue->progress_useful = useful;
        queue->progress_ms = queue->clock_ms;
        NVME_POKE(&queue->controller->resets_left, queue->controller->config.resets_max);
    }
}

static void look_at_live(struct nvme_queue *queue, uint64_t now_ns)
{
    struct nvme_controller *controller = queue->controller;
    struct nvme_event event = {0};
    enum nvme_error error;

    /* A thread that polls may call at any rate; a look costs an MMIO read. */
    if (queue->watchdog_ns != 0 && now_ns - queue->watchdog_ns < NVME_WATCHDOG_PERIOD_NS / 2) {
        return;
    }
    nvme_queue_check_context(queue);
    advance_clock(queue, now_ns);
    note_progress(queue);
    if (queue->ien) {
        end_storm(queue, now_ns);
        look_for_overdue(queue, now_ns);
    }
    if (!nvme_request_any(queue)) {
        NVME_POKE(&queue->abort, 0);
        nvme_queue_leave(queue);
        return;
    }
    if (nvme_retry_due(queue)) {
        nvme_queue_submit(queue);
    }
    nvme_shadow_ring_again(queue);
    event.queue_id = queue->id;
    event.closed = (uint16_t)nvme_queue_closed(queue);
    error = check_device(controller, &event);
    if (error == NVME_OK) {
        error = check_deadlines(queue, &event);
    }
    if (error != NVME_OK) {
        nvme_event_emit(&controller->config, &event);
        nvme_controller_disable(controller, error);
    }
}

void nvme_queue_watchdog(struct nvme_queue *queue, uint64_t now_ns)
{
    struct nvme_controller *controller = queue->controller;

    if (queue->state != NVME_QUEUE_OPEN) {
        return;
    }
    if (!queue->absent && nvme_controller_state_load(controller) == NVME_CONTROLLER_LIVE) {
        look_at_live(queue, now_ns);
    } else {
        nvme_reset_watch(queue, now_ns);
    }
    if (nvme_controller_state_load(controller) == NVME_CONTROLLER_FAILED) {
        nvme_queue_reap(queue, queue->depth_entries);
    }
}
