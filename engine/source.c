// SPDX-License-Identifier: MIT
/*
 * Interrupt sources: queues on them, their modes (poll, interrupt, hybrid) and the change of those.
 * When hybrid mode spins is hybrid.c's.
 *
 * A mode belongs to an interrupt source. While its queues are polled the source is shut: INTMS for
 * a line, the mask bit for a vector. Both keep what comes meanwhile, so opening a source loses
 * nothing: INTMC and the mask bit raise the interrupt that is due. Modelled in tests/spin/mode.pml,
 * sleepers.pml and wait.pml.
 */
#include "nvme_internal.h"

void nvme_source_shut(struct nvme_source *source)
{
    if (!source->shut) {
        NVME_POKE(&source->shut, true);
        nvme_source_mask(source, true);
    }
}

void nvme_source_open(struct nvme_source *source)
{
    if (source->shut) {
        NVME_POKE(&source->shut, false);
        /* What was held back may have been polled since: an empty claim is to be expected. */
        source->notes &= (uint32_t)NVME_NOTE_HYBRID;
        if (nvme_source_may_open(source)) {
            nvme_source_mask(source, false);
        }
    }
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

static void enter_mode(struct nvme_source *source, enum nvme_mode mode)
{
    NVME_POKE(&source->mode, (uint8_t)mode);
    source->notes = mode == NVME_MODE_HYBRID ? (uint32_t)NVME_NOTE_HYBRID : 0;
    if (mode == NVME_MODE_POLL) {
        nvme_source_shut(source);
    } else {
        nvme_source_open(source);
    }
    /* Owners that sleep find out what is new. */
    if (source->controller->config.shared) {
        nvme_controller_kick_owners(source->controller);
    }
}

void nvme_source_connect(struct nvme_queue *queue, uint16_t vector, enum nvme_mode mode)
{
    struct nvme_source *source = queue->source;

    source->queues++;
    source->owner = queue->owner;
    source->vector = vector;
    /* A vector is masked until now, if that is possible. */
    if (source->message) {
        source->shut = queue->controller->config.vector_mask != NULL;
    }
    if (nvme_queue_shares(queue)) {
        queue->controller->round.open |= nvme_queue_bit(queue);
    } else {
        queue->counters.interrupts -= source->claims;
        queue->counters.spurious -= source->empty_claims;
    }
    nvme_hybrid_begin(queue);
    enter_mode(source, mode);
}

void nvme_source_disconnect(struct nvme_queue *queue)
{
    struct nvme_source *source = queue->source;

    nvme_queue_leave(queue);
    source->queues--;
    if (source->message && queue->controller->config.vector_mask != NULL) {
        nvme_source_shut(source);
    }
    if (nvme_queue_shares(queue)) {
        queue->controller->round.open &= ~nvme_queue_bit(queue);
        queue->round_progress = 0;
        __atomic_fetch_and(&queue->controller->round.sleepers, ~nvme_queue_bit(queue),
                           __ATOMIC_RELAXED);
        __atomic_fetch_and(&queue->controller->round.unclaimed, ~nvme_queue_bit(queue),
                           __ATOMIC_RELAXED);
        __atomic_fetch_and(&queue->controller->round.missed, ~nvme_queue_bit(queue),
                           __ATOMIC_RELAXED);
    } else {
        queue->counters.interrupts += source->claims;
        queue->counters.spurious += source->empty_claims;
    }
    queue->interrupts = false;
    queue->brackets = false;
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
    if (!queue->interrupts) {
        return mode == NVME_MODE_POLL ? NVME_OK : NVME_ERR_INTERRUPT;
    }
    if (mode == NVME_MODE_POLL && queue->controller->config.msix &&
        queue->controller->config.vector_mask == NULL) {
        return NVME_ERR_INTERRUPT;
    }
    irq = hal_irq_save();
    enter_mode(queue->source, mode);
    hal_irq_restore(irq);
    return NVME_OK;
}

enum nvme_mode nvme_queue_mode(const struct nvme_queue *queue)
{
    return queue->interrupts && !NVME_PEEK(&queue->source->masked)
               ? (enum nvme_mode)NVME_PEEK(&queue->source->mode)
               : NVME_MODE_POLL;
}

void nvme_source_served(struct nvme_source *source)
{
    source->notes &= (uint32_t)NVME_NOTE_HYBRID;
    for (const struct nvme_queue *queue = source->attended; queue != NULL && source->notes != 0;
         queue = queue->next_attended) {
        if (nvme_hybrid_worth(queue)) {
            nvme_source_shut(source);
        }
    }
}

void nvme_source_served_empty(struct nvme_source *source, uint16_t queue_id)
{
    const struct nvme_config *config = &source->controller->config;

    source->empty_claims++;
    /* A source that stays masked still has claims: of a shared line, or if it cannot be masked. */
    if (source->masked || NVME_GET(NVME_NOTE_EMPTY, ++source->notes) < NVME_STORM_CLAIMS) {
        return;
    }
    NVME_POKE(&source->masked, true);
    if (!source->message || config->vector_mask != NULL) {
        nvme_source_mask(source, true);
    }
    nvme_event_emit(config, &(struct nvme_event){
                                .kind = NVME_EVENT_INTERRUPT_STORM,
                                .queue_id = queue_id,
                                .value = NVME_STORM_CLAIMS,
                            });
    /* Owners that sleep have to poll from now on. */
    if (source->controller->config.shared) {
        nvme_controller_kick_owners(source->controller);
    }
}

void nvme_source_wake(struct nvme_queue *queue)
{
    if (queue->wait.listed) {
        __atomic_fetch_and(&queue->controller->round.sleepers, ~nvme_queue_bit(queue),
                           __ATOMIC_RELAXED);
        queue->wait.listed = false;
    }
}

/*
 * The mask of a shared line is one for all owners: home may keep it shut while nobody sleeps. Each
 * of both stores first and then looks at what the other has stored: one of them notices.
 */
static bool arm_shared(struct nvme_queue *queue)
{
    struct nvme_round *round = &queue->controller->round;

    nvme_source_wake(queue);
    if (nvme_queue_ready(queue) || nvme_hybrid_spin(queue)) {
        return false;
    }
    queue->wait.slept = true;
    /* Without requests nobody wakes it, and it keeps nobody from polling. */
    if (nvme_hybrid_outstanding(queue)) {
        queue->wait.listed = true;
        __atomic_fetch_or(&round->sleepers, nvme_queue_bit(queue), __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&queue->source->shut, __ATOMIC_SEQ_CST)) {
            nvme_shared_turn(queue);
        }
    }
    return !nvme_queue_ready(queue);
}

/* Hybrid mode: an entry that is ready, or soon will be, is polled for; else the source opens. */
static bool arm_hybrid(struct nvme_queue *queue)
{
    if (nvme_queue_ready(queue) || nvme_hybrid_spin(queue)) {
        nvme_source_shut(queue->source);
        return false;
    }
    queue->wait.slept = true;
    nvme_source_open(queue->source);
    return !nvme_queue_ready(queue);
}

bool nvme_queue_arm(struct nvme_queue *queue)
{
    enum nvme_mode mode = nvme_queue_mode(queue);

    if (mode == NVME_MODE_POLL || !nvme_controller_live(queue->controller)) {
        return false;
    }
    /* In interrupt mode the source is open all the time: no register to write. wait.pml, SPIN. */
    if (mode == NVME_MODE_INTERRUPT) {
        return !nvme_queue_ready(queue);
    }
    return nvme_queue_shares(queue) ? arm_shared(queue) : arm_hybrid(queue);
}
