// SPDX-License-Identifier: MIT
/* Private to kernel/storage*.c: finding and opening controllers, connecting interrupt lines. */
#ifndef HARTQ_STORAGE_INTERNAL_H
#define HARTQ_STORAGE_INTERNAL_H

#include "storage.h"

/* Brings up every NVMe controller that shows the first one's namespace. False: said why. */
bool storage_open_controllers(struct storage *storage);

/*
 * Which hart takes the line of controllers[index], and whether queues of others use it:
 * `controllers` of them share the harts of the configuration. Before it is brought up.
 */
void storage_plan_line(struct storage *storage, uint32_t index, uint32_t controllers);

/*
 * Puts a controller on its interrupt line, and the line on its hart. The first controller of a line
 * attaches the handler. False: said why.
 */
bool storage_connect_line(struct storage *storage, const struct storage_controller *controller);

/* What a kick is about, on the hart that gets it. `arg` is the storage. */
void storage_kicked(void *arg);

/* Takes the handlers off all lines. They are still known: kicks go on. */
void storage_detach_lines(struct storage *storage);

/*
 * Aims a vector of the queue's controller at the queue's hart; the engine opens it. Before the
 * queue itself is opened. False: said why.
 */
bool storage_connect_vector(struct storage_queue *queue, uint16_t vector);
void storage_disconnect_vector(struct storage_queue *queue);

#endif
