// SPDX-License-Identifier: MIT
/*
 * Private to the engine, and part of nvme_internal.h: stopping a controller, and starting it again.
 */
#ifndef NVME_RESET_INTERNAL_H
#define NVME_RESET_INTERNAL_H

#include "nvme_internal.h"

/* ---- setup.c: what follows RDY = 0 ------------------------------------------------------ */

/* Prepares the admin queue and writes CC.EN = 1. RDY = 1 is not awaited. */
void nvme_setup_enable(struct nvme_controller *controller);

/*
 * The next command, after RDY = 1; false: the controller is set up. If the device refuses the
 * number of queues, info.queue_count is 0 and the controller can still be administered.
 */
bool nvme_setup_next(struct nvme_controller *controller, struct nvme_admin_call *call);

/* Takes the answer to that command. An error ends the setup. */
enum nvme_error nvme_setup_take(struct nvme_controller *controller,
                                const struct nvme_result *result);

/* ---- reset.c ---------------------------------------------------------------------------- */

/*
 * The owner's part in a reset, one step per call: takes its requests back, makes the controller's
 * next step if that is its turn, and resumes when the controller is live again.
 */
void nvme_reset_watch(struct nvme_queue *queue, uint64_t now_ns);

/* The controller's next step behind RDY = 0. Another hart may be making it: then nothing. */
void nvme_reset_step(struct nvme_controller *controller, uint64_t now_ns);

/*
 * The owner of a queue lets the controller make its next step: of a reset, or of an Abort. The hart
 * that takes a line makes them, because its handler looks at the admin queue too.
 */
void nvme_controller_take_turn(struct nvme_queue *queue);

/* That hart's part. */
void nvme_controller_step(struct nvme_controller *controller);

/* True unless the reset waits for the owner of an open queue, or for administration. */
bool nvme_reset_may_step(const struct nvme_controller *controller);

/*
 * One hart at a time takes a step: a look at RDY that is old may not end a later wait. False:
 * another one does.
 */
static inline bool nvme_step_begin(struct nvme_controller *controller)
{
    return !__atomic_exchange_n(&controller->stepping, 1, __ATOMIC_ACQUIRE);
}

/* The step is taken. */
static inline void nvme_step_end(struct nvme_controller *controller)
{
    __atomic_store_n(&controller->stepping, 0, __ATOMIC_RELEASE);
}

/* ---- abort.c: before a controller stops ------------------------------------------------- */

/*
 * The owner has found a command past its deadline. True: its Abort is tried, which `event` tells
 * of; look again at the next watchdog. False: the controller is to stop.
 */
bool nvme_abort_try(struct nvme_queue *queue, uint32_t cid, struct nvme_event *event);

/* True if nvme_abort_step() has something to do. */
static inline bool nvme_abort_wanted(const struct nvme_controller *controller)
{
    return NVME_PEEK(&controller->aborts_asked) != 0 || NVME_PEEK(&controller->abort_posted);
}

/* Looks for the answer to the last Abort and posts the next. Nothing while somebody administers. */
void nvme_abort_step(struct nvme_controller *controller);

/* ---- disable.c ------------------------------------------------------------------------ */

/*
 * Sends an IPI to the owner of each open queue that interrupts, if there is a hook. Other owners
 * poll anyway, and an IPI may not reap a poll queue.
 */
void nvme_controller_send_ipis(const struct nvme_controller *controller);

/* Masks the line at the device. With MSI-X there is none: INTMS may not be written then. */
void nvme_controller_mask_line(struct nvme_controller *controller);

/* The cause of disabling at the end of an orderly shutdown: nothing to report. */
#define NVME_CAUSE_SHUTDOWN NVME_ERR_STATE

/*
 * Begins to disable a live controller: masks its line, writes CC.EN = 0, and does not wait. The
 * first caller wins; later calls change nothing. `error` is the error of its requests. For a reset
 * if that is a deadline or CFS and one is left, else for good.
 */
void nvme_controller_disable(struct nvme_controller *controller, enum nvme_error error);

/* The same for the hart that makes a reset, whose device has failed again. */
void nvme_controller_disable_again(struct nvme_controller *controller, enum nvme_error error);

/*
 * Looks once at a controller that is DISABLING, and sets RELEASING, FAILED or STUCK when it is
 * time: FAILED too if no queue is open, whose owner would make the steps of a reset. In any other
 * state it does nothing.
 */
void nvme_controller_disable_step(struct nvme_controller *controller, uint64_t now_ns);

/*
 * The end of every administration call: disables and waits if `error` means that the device no
 * longer answers. Returns `error`, or NVME_ERR_STUCK.
 */
enum nvme_error nvme_controller_settle(struct nvme_controller *controller, enum nvme_error error);

#endif
