// SPDX-License-Identifier: MIT
/* Private to runtime/storage*.c: finding and opening controllers, connecting interrupt lines. */
#ifndef HARTQ_STORAGE_INTERNAL_H
#define HARTQ_STORAGE_INTERNAL_H

#include "storage.h"

/* ---- storage_select.c: which controllers do the work ------------------------------------- */

/*
 * Brings up the first controller that can be used and every other that shows the same namespace, at
 * most one per hart, but for those in storage->passed. A note names each controller that is left
 * out. False: an error was printed.
 */
bool storage_open_controllers(struct storage *storage);

/* The I/O queues that a controller can have: granted, and with a vector if it needs one. */
uint32_t storage_queues_of(const struct storage *storage,
                           const struct storage_controller *controller);

/* Passes over an open controller whose I/O queue `index` could not be opened. */
void storage_pass(struct storage *storage, struct storage_controller *controller, uint32_t index,
                  enum nvme_error error);

/* As storage_survey(), after the PCI scan. */
bool storage_visit_controllers(struct storage *storage, storage_visit *visit, void *arg);

/* ---- storage_controller.c: one controller ------------------------------------------------ */

/* The result of bringing up a controller. */
enum storage_step {
    STORAGE_TAKEN,
    STORAGE_PASSED, /* it cannot be used, a note was printed; try others */
    STORAGE_FAILED, /* nothing can be opened, an error was printed */
};

/*
 * Brings up controllers[controller_count], whose function is set, as one of `controllers` that
 * share the work. Counts it on STORAGE_TAKEN.
 */
enum storage_step storage_open_controller(struct storage *storage, uint32_t controllers);

/*
 * Opens the engine's controller, with MSI-X if there is any. Its memory is new from the heap, or
 * what the device before it in the same slot had. The functions stay on.
 */
enum storage_step storage_open_engine(struct storage *storage,
                                      struct storage_controller *controller, uint32_t controllers);

/* Opens the configured namespace, or the first that can be used. False: a note was printed. */
bool storage_open_namespace(struct storage *storage, struct storage_controller *controller);

/* Closes the last controller, which has no open queue. */
void storage_close_last(struct storage *storage);

/*
 * Closes the engine's controller. On NVME_ERR_STUCK and NVME_ERR_BUSY it keeps all memory that was
 * taken so far, because the device may use it for ever.
 */
enum nvme_error storage_close_engine(struct storage *storage,
                                     struct storage_controller *controller);

/* ---- storage.c ---------------------------------------------------------------------------- */

/* Opens queue `index`, with its vector if it needs one, and does not count it. */
enum storage_step storage_open_queue(struct storage *storage, uint32_t index);

/* ---- storage_interrupts.c ---------------------------------------------------------------- */

/*
 * Chooses the hart that takes the line of controllers[index], and whether the line is shared:
 * `controllers` of them share the harts of the configuration. The line's interrupt controller must
 * reach that hart. Called before bring-up. False: it reaches no hart, or not line_hart; a note was
 * printed.
 */
bool storage_plan_line(struct storage *storage, uint32_t index, uint32_t controllers);

/* Adds a controller to its interrupt line, which is not routed yet. */
bool storage_connect_line(struct storage *storage, const struct storage_controller *controller);

/*
 * Routes each line to its hart, after all queues are open. From then on another hart may be in a
 * handler, and only it may administer the controllers of its line.
 */
void storage_route_lines(const struct storage *storage);

/* The highest hart that owns a queue or takes a line, plus 1; at least 1. */
uint32_t storage_harts(const struct storage *storage);

/* Makes harts that take lines and own no queue answer IPIs; owners start themselves. */
bool storage_start_irq_harts(struct storage *storage);

/* Does in a thread what an IPI does on this hart, so that a cycle need not wait for the IPI. */
void storage_answer(struct storage *storage);

/*
 * Detaches the handlers of this hart's lines and vectors. It runs in a thread of the hart, so no
 * handler is running there. The lines stay in the table, for IPIs.
 */
void storage_detach_hart(struct storage *storage, uint32_t hart);

/* Masks the vectors of all queues at the devices, while their owners are idle. */
void storage_mask_vectors(const struct storage *storage);

/*
 * Aims a vector of the queue's controller at the queue's hart, before the queue is opened. The
 * engine unmasks it. False: an error was printed.
 */
bool storage_connect_vector(struct storage_queue *queue, uint16_t vector);

/* Aims a masked vector at a handler on the queue's hart. False: no identity is free. */
bool storage_aim_vector(struct storage_queue *queue, uint16_t vector, void (*handler)(void *arg),
                        void *arg);

/* Context: the queue's hart, or any before the vector was unmasked. */
void storage_disconnect_vector(struct storage_queue *queue);

/* ---- storage_report.c -------------------------------------------------------------------- */

/* Prints a note about a controller, unless controller->quiet. */
void storage_note(struct storage_controller *controller, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Keeps an event until it is printed. Context: any hart, thread or trap: it does not print. */
void storage_keep_event(struct storage_controller *controller, const struct nvme_event *event);

/*
 * Prints the events of one controller since the last call, and how many found no place; then what
 * an IOMMU has refused to any.
 */
void storage_print_controller_events(struct storage_controller *controller, uint32_t index);

#endif
