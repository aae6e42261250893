// SPDX-License-Identifier: MIT
/* Private to kernel/storage*.c: finding and opening controllers, connecting interrupt lines. */
#ifndef HARTQ_STORAGE_INTERNAL_H
#define HARTQ_STORAGE_INTERNAL_H

#include "storage.h"

/* Brings up every NVMe controller that shows the first one's namespace. False: said why. */
bool storage_open_controllers(struct storage *storage);

/*
 * Puts a controller on its interrupt line for this hart, and the line on the hart. The first
 * controller of a line attaches the handler. False: said why.
 */
bool storage_connect_line(struct storage *storage, const struct storage_controller *controller,
                          uint32_t hart);

/* What can be done where a line would have to interrupt two harts. */
void storage_print_line_hint(const struct storage *storage);

/* Takes the handlers off all lines. */
void storage_disconnect_lines(struct storage *storage);

/*
 * Aims a vector of the queue's controller at the queue's hart; the engine opens it. Before the
 * queue itself is opened. False: said why.
 */
bool storage_connect_vector(struct storage_queue *queue, uint16_t vector);
void storage_disconnect_vector(struct storage_queue *queue);

#endif
