// SPDX-License-Identifier: MIT
/* Private to runtime/storage*.c: finding and opening controllers, connecting interrupt lines. */
#ifndef HARTQ_STORAGE_INTERNAL_H
#define HARTQ_STORAGE_INTERNAL_H

#include "storage.h"

/* ---- storage_select.c: which controllers do the work ------------------------------------- */

/*
 * Brings up the first controller that can be used and every other that shows the same medium, as
 * many as there is work for. What is passed over is named. False: said why.
 */
bool storage_open_controllers(struct storage *storage);

/* See storage_survey(); the functions are known. */
bool storage_visit_controllers(struct storage *storage, storage_visit *visit, void *arg);

/* ---- storage_controller.c: one controller ------------------------------------------------ */

/* What came of a controller. */
enum storage_step {
    STORAGE_TAKEN,
    STORAGE_PASSED, /* it cannot be used, which was said; others may */
    STORAGE_FAILED, /* nothing can be opened, which was said */
};

/*
 * Brings up controllers[controller_count], whose function is set, as one of `controllers` that
 * share the work. Counts it on STORAGE_TAKEN.
 */
enum storage_step storage_open_controller(struct storage *storage, uint32_t controllers);

/* Opens the namespace of the configuration, or the first that can be used. False: said why. */
bool storage_open_namespace(struct storage *storage, struct storage_controller *controller);

/* Closes the last controller, of which nothing is in use. */
void storage_close_last(struct storage *storage);

/* The device may touch its memory for ever: everything that was taken so far is kept. */
void storage_keep_memory(struct storage *storage);

/* ---- storage_interrupts.c ---------------------------------------------------------------- */

/*
 * Which hart takes the line of controllers[index], and whether queues of others use it:
 * `controllers` of them share the harts of the configuration. It is one that the line's interrupt
 * controller reaches. Before it is brought up. False: there is none, or not line_hart; said so.
 */
bool storage_plan_line(struct storage *storage, uint32_t index, uint32_t controllers);

/* Puts a controller on its interrupt line, which goes nowhere yet. False: said why. */
bool storage_connect_line(struct storage *storage, const struct storage_controller *controller);

/*
 * Sends each line to its hart. After all queues are open: from then on another hart may be in a
 * handler, and administers what is on its line.
 */
void storage_route_lines(const struct storage *storage);

/* One more than the highest hart that owns a queue or takes a line; at least 1. */
uint32_t storage_harts(const struct storage *storage);

/* Harts that take lines and own no queue answer IPIs from now on; owners start themselves. */
bool storage_start_irq_harts(struct storage *storage);

/* What an IPI would make this hart do, in a thread of it: a cycle that waits for it goes on. */
void storage_answer(struct storage *storage);

/*
 * Takes off the handlers of what comes to this hart, lines and vectors, in a thread of it: none is
 * running here then. Lines are still known: IPIs go on.
 */
void storage_detach_hart(struct storage *storage, uint32_t hart);

/* Masks the vectors of all queues at the devices. Their owners are idle. */
void storage_mask_vectors(const struct storage *storage);

/*
 * Aims a vector of the queue's controller at the queue's hart; the engine opens it. Before the
 * queue itself is opened. False: said why.
 */
bool storage_connect_vector(struct storage_queue *queue, uint16_t vector);

/* On the queue's hart, or before the vector has been opened. */
void storage_disconnect_vector(struct storage_queue *queue);

/* ---- storage_report.c -------------------------------------------------------------------- */

/* Prints a sentence about a controller that is not used, unless it is to be quiet. */
void storage_note(struct storage_controller *controller, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Prints what came of one controller since it was last asked. */
void storage_print_controller_events(struct storage_controller *controller, uint32_t index);

#endif
