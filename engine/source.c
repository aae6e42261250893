// SPDX-License-Identifier: MIT
/*
 * Interrupt sources: their queues, their modes (poll, interrupt, hybrid), mode changes, storms.
 * sleep.c arms them.
 *
 * A source is closed while there is a reason: INTMS masks a line, the mask bit a vector. Both keep
 * an interrupt that comes meanwhile. Opening loses nothing: INTMC and the mask bit raise the
 * interrupt that is due. A mode belongs to a source. tests/spin/mode.pml is the model.
 */
#include "nvme_internal.h"

/* A storm lasts twice as long as the one before: at most this many doublings. */
enum { STORM_DOUBLINGS = 10 };

uint32_t nvme_queue_closed(const struct nvme_queue *queue)
{
    uint32_t closed = queue->ien ? NVME_PEEK(&queue->source->closed) : NVME_CLOSED_IDLE;

    return nvme_controller_live(queue->controller) ? closed : closed | NVME_CLOSED_FAILED;
}

enum nvme_error nvme_source_check_mode(const struct nvme_controller *controller,
                                       enum nvme_mode mode)
{
    if (mode != NVME_MODE_POLL && mode != NVME_MODE_INTERRUPT && mode != NVME_MODE_HYBRID) {
        return NVME_ERR_CONFIG;
    }
    /* A vector that cannot be masked is always open. */
    return mode == NVME_MODE_HYBRID && controller->config.msix &&
                   controller->config.vector_mask == NULL
               ? NVME_ERR_INTERRUPT
               : NVME_OK;
}

/* Sets the mode in force. Sleeping owners of a shared line get an IPI. */
static void apply_mode(struct nvme_source *source, enum nvme_mode mode)
{
    NVME_POKE(&source->mode, (uint8_t)mode);
    source->checks = 0;
    if (source->controller->config.shared) {
        nvme_controller_send_ipis(source->controller);
    }
}

void nvme_source_poll(struct nvme_source *source)
{
    nvme_source_close(source, NVME_CLOSED_POLLED);
    for (struct nvme_queue *queue = source->active; queue != NULL; queue = queue->next_active) {
        nvme_source_set_late(queue, true);
    }
}

void nvme_source_unpoll(struct nvme_source *source)
{
    for (struct nvme_queue *queue = source->active; queue != NULL; queue = queue->next_active) {
        nvme_source_set_late(queue, false);
    }
    nvme_source_open(source, NVME_CLOSED_POLLED);
}

/* A source in a storm polls, regardless of the requested mode, and so does a stuck line. */
static void enter_mode(struct nvme_source *source, enum nvme_mode mode)
{
    /* A shared line has one mask for all owners: no owner can close it for itself. */
    if (mode == NVME_MODE_HYBRID && source->controller->config.shared) {
        mode = NVME_MODE_INTERRUPT;
    }
    source->wanted = (uint8_t)mode;
    if (mode == NVME_MODE_POLL) {
        nvme_source_poll(source);
    } else {
        nvme_source_unpoll(source);
    }
    if ((source->closed & (NVME_CLOSED_STORM | NVME_CLOSED_STUCK)) == 0) {
        apply_mode(source, mode);
    }
}

void nvme_source_connect(struct nvme_queue *queue, enum nvme_mode mode)
{
    struct nvme_source *source = queue->source;

    source->queues++;
    source->owner = queue->owner;
    if (nvme_queue_shares(queue)) {
        NVME_POKE(&queue->yet_to_come, true);
        queue->controller->cycle.open |= nvme_queue_bit(queue);
    } else {
        queue->counters.interrupts -= source->interrupts;
        queue->counters.spurious -= source->empty_interrupts;
    }
    /* The first probe comes soon. */
    queue->wait = (struct nvme_wait){.awake = true, .phase_ns = NVME_POLICY_NS - NVME_PROBE_NS};
    enter_mode(source, mode);
    nvme_source_open(source, NVME_CLOSED_IDLE);
}

void nvme_source_disconnect(struct nvme_queue *queue)
{
    struct nvme_source *source = queue->source;

    nvme_queue_leave(queue);
    source->queues--;
    if (source->queues == 0) {
        nvme_source_close(source, NVME_CLOSED_IDLE);
    }
    if (nvme_queue_shares(queue)) {
        queue->controller->cycle.open &= ~nvme_queue_bit(queue);
        queue->cycle_progress = 0;
        __atomic_fetch_and(&queue->controller->cycle.overdue, ~nvme_queue_bit(queue),
                           __ATOMIC_RELAXED);
        __atomic_fetch_and(&queue->controller->cycle.missed, ~nvme_queue_bit(queue),
                           __ATOMIC_RELAXED);
    } else {
        queue->counters.interrupts += source->interrupts;
        queue->counters.spurious += source->empty_interrupts;
    }
    NVME_POKE(&queue->ien, false);
    queue->irq_protect = false;
}

enum nvme_error nvme_queue_set_mode(struct nvme_queue *queue, enum nvme_mode mode)
{
    enum nvme_error error = nvme_source_check_mode(queue->controller, mode);
    unsigned long irq;

    if (error != NVME_OK) {
        return error;
    }
    if (queue->state != NVME_QUEUE_OPEN) {
        return NVME_ERR_STATE;
    }
    if (!queue->ien) {
        return mode == NVME_MODE_POLL ? NVME_OK : NVME_ERR_INTERRUPT;
    }
    if (mode == NVME_MODE_POLL && queue->controller->config.msix &&
        queue->controller->config.vector_mask == NULL) {
        return NVME_ERR_INTERRUPT;
    }
    nvme_check_hart(nvme_queue_shares(queue) ? queue->controller->config.irq_hart : queue->owner);
    irq = hal_irq_save();
    enter_mode(queue->source, mode);
    hal_irq_restore(irq);
    return NVME_OK;
}

enum nvme_mode nvme_queue_mode(const struct nvme_queue *queue)
{
    return nvme_queue_mode_load(queue);
}

void nvme_source_handled(struct nvme_source *source)
{
    nvme_source_end_streak(source);
    if (source->checks != 0) {
        nvme_source_check_admin(source);
    }
}

bool nvme_source_progressed(struct nvme_source *source, uint64_t useful)
{
    bool progressed = useful != source->useful;

    source->useful = useful;
    return progressed;
}

bool nvme_line_progressed(struct nvme_controller *controller)
{
    bool progressed = controller->cycle.progressed;
    uint64_t useful = 0;

    /* Only their owners look at shared queues: the ends of cycles record the progress. */
    if (controller->config.shared) {
        controller->cycle.progressed = false;
        return progressed;
    }
    for (uint32_t i = 0; i < controller->info.queue_count; i++) {
        const struct nvme_queue *queue = &controller->queues[i];

        useful += queue->ien ? nvme_queue_useful(queue) : 0;
    }
    return nvme_source_progressed(&controller->line, useful);
}

/* Counts an empty interrupt. True: NVME_STORM_INTERRUPTS in a row within NVME_STORM_PERIOD_NS. */
static bool is_storm(struct nvme_source *source, uint64_t now_ns)
{
    uint64_t empty_streak = NVME_GET(NVME_CHECK_EMPTY_STREAK, ++source->checks);

    if (empty_streak == 1) {
        source->streak_ns = now_ns;
    }
    if (empty_streak < NVME_STORM_INTERRUPTS) {
        return false;
    }
    nvme_source_end_streak(source);
    return now_ns - source->streak_ns < NVME_STORM_PERIOD_NS;
}

static void begin_storm(struct nvme_source *source, uint16_t queue_id, uint64_t now_ns)
{
    uint32_t doublings = source->storms < STORM_DOUBLINGS ? source->storms : STORM_DOUBLINGS;

    source->storms++;
    NVME_POKE(&source->storm_end_ns, now_ns + (NVME_STORM_FIRST_NS << doublings));
    nvme_source_close(source, NVME_CLOSED_STORM);
    nvme_event_emit(&source->controller->config, &(struct nvme_event){
                                                     .kind = NVME_EVENT_INTERRUPT_STORM,
                                                     .queue_id = queue_id,
                                                     .value = NVME_STORM_INTERRUPTS,
                                                     .limit = source->storms,
                                                 });
    apply_mode(source, NVME_MODE_POLL);
}

void nvme_source_empty(struct nvme_source *source, uint16_t queue_id, bool progressed)
{
    uint64_t now_ns;

    source->empty_interrupts++;
    if (progressed) {
        nvme_source_end_streak(source);
        return;
    }
    /*
     * A masked source may still interrupt: on a shared line, or if it cannot be masked.
     */
    if ((source->closed & (NVME_CLOSED_STORM | NVME_CLOSED_STUCK)) != 0) {
        return;
    }
    now_ns = hal_now_ns();
    if (is_storm(source, now_ns)) {
        begin_storm(source, queue_id, now_ns);
    }
}

void nvme_source_end_storm(struct nvme_source *source, uint64_t now_ns)
{
    if ((source->closed & NVME_CLOSED_STORM) == 0 || now_ns < source->storm_end_ns) {
        return;
    }
    nvme_event_emit(&source->controller->config,
                    &(struct nvme_event){.kind = NVME_EVENT_STORM_OVER, .value = source->storms});
    if ((source->closed & NVME_CLOSED_STUCK) == 0) {
        apply_mode(source, (enum nvme_mode)source->wanted);
    }
    nvme_source_open(source, NVME_CLOSED_STORM);
}
