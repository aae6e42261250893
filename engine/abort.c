// SPDX-License-Identifier: MIT
/*
 * Abort: what is tried after a deadline, before the controller stops.
 *
 * The owner of a late command asks. The hart that may use the admin queue posts, one Abort at a
 * time, which every device takes. The slot and its buffer stay the device's until the late command
 * itself ends. If the device does not abort it, or it has not ended in time, the controller stops.
 * Nothing here waits. NVMe Base 2.0: Abort command. tests/spin/abort.pml is the model.
 */
#include "nvme_internal.h"

enum {
    ABORT_MS = 1000, /* from the deadline to the stop of the controller */
};

/* struct nvme_queue.abort: 0, or the command id and one of these. */
#define ABORT_CID NVME_BITS(15, 0)
#define ABORT_PHASE NVME_BITS(17, 16)
enum {
    PHASE_ASKED = 1, /* the owner wants an Abort */
    PHASE_POSTED,    /* it is under way, or the device agreed */
    PHASE_REFUSED,   /* the device did not abort the command */
};

static uint32_t word_of(uint32_t cid, uint32_t phase)
{
    return (uint32_t)(NVME_PUT(ABORT_CID, cid) | NVME_PUT(ABORT_PHASE, phase));
}

/* Changes the phase. Another one means that the owner has lost interest: nothing. */
static bool change_phase(struct nvme_queue *queue, uint32_t from, uint32_t to)
{
    uint32_t word = __atomic_load_n(&queue->abort, __ATOMIC_ACQUIRE);
    uint32_t cid = (uint32_t)NVME_GET(ABORT_CID, word);

    return NVME_GET(ABORT_PHASE, word) == from &&
           __atomic_compare_exchange_n(&queue->abort, &word, word_of(cid, to), false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* ---- The owner ------------------------------------------------------------------------- */

bool nvme_abort_try(struct nvme_queue *queue, uint32_t cid, struct nvme_event *event)
{
    struct nvme_controller *controller = queue->controller;
    uint32_t word = NVME_PEEK(&queue->abort);

    if (!controller->config.aborts) {
        return false;
    }
    if (word == 0 || NVME_GET(ABORT_CID, word) != cid) {
        event->kind = NVME_EVENT_ABORT;
        nvme_event_emit(&controller->config, event);
        queue->abort_until_ms = queue->clock_ms + ABORT_MS;
        __atomic_store_n(&queue->abort, word_of(cid, PHASE_ASKED), __ATOMIC_RELEASE);
        __atomic_fetch_or(&controller->aborts_asked, nvme_queue_bit(queue), __ATOMIC_RELEASE);
    } else if (NVME_GET(ABORT_PHASE, word) == PHASE_REFUSED ||
               queue->clock_ms >= queue->abort_until_ms) {
        return false;
    }
    return true;
}

/* ---- The hart that may use the admin queue --------------------------------------------- */

static void abort_done(void *arg, struct nvme_result result)
{
    struct nvme_queue *queue = arg;

    NVME_POKE(&queue->controller->abort_posted, false);
    if (result.error != NVME_OK || (result.dw0 & NVME_ABORT_FAILED) != 0) {
        change_phase(queue, PHASE_POSTED, PHASE_REFUSED);
    }
}

static void post_next(struct nvme_controller *controller)
{
    uint64_t asked = __atomic_load_n(&controller->aborts_asked, __ATOMIC_ACQUIRE);
    struct nvme_command command = {.cdw0 = NVME_ADMIN_ABORT};
    uint32_t index = 0;
    struct nvme_queue *queue;

    if (asked == 0 || controller->admin.free == NULL) {
        return;
    }
    while ((asked >> index & 1) == 0) {
        index++;
    }
    queue = &controller->queues[index];
    __atomic_fetch_and(&controller->aborts_asked, ~nvme_queue_bit(queue), __ATOMIC_ACQ_REL);
    if (!change_phase(queue, PHASE_ASKED, PHASE_POSTED)) {
        return;
    }
    command.cdw10 =
        (uint32_t)(NVME_PUT(NVME_ABORT_SQID, queue->id) |
                   NVME_PUT(NVME_ABORT_CID, NVME_GET(ABORT_CID, NVME_PEEK(&queue->abort))));
    NVME_POKE(&controller->abort_posted, true);
    nvme_io_put(&controller->admin, &command, NULL, 0, (struct nvme_callback){abort_done, queue});
    nvme_queue_submit(&controller->admin);
}

void nvme_abort_step(struct nvme_controller *controller)
{
    unsigned long irq = hal_irq_save();
    uint32_t nobody = 0;

    /* Whoever administers reaps the answer too, and waits for us in nvme_admin_begin(). */
    if (__atomic_compare_exchange_n(&controller->administered, &nobody, NVME_ADMINISTERED_ABORT,
                                    false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
        nvme_source_close(&controller->line, NVME_CLOSED_COMMAND);
        if (nvme_controller_state_load(controller) == NVME_CONTROLLER_LIVE) {
            nvme_queue_reap(&controller->admin, NVME_ADMIN_DEPTH);
            if (!controller->abort_posted) {
                post_next(controller);
            }
        }
        nvme_admin_rest(controller);
        nvme_source_open(&controller->line, NVME_CLOSED_COMMAND);
        __atomic_fetch_and(&controller->administered, ~NVME_ADMINISTERED_ABORT, __ATOMIC_RELEASE);
    }
    hal_irq_restore(irq);
}
