// SPDX-License-Identifier: MIT
/*
 * A model controller that does what the tape says: its registers lie, its Identify pages are bent,
 * completion entries appear and change at every point of the driver's path (world.h's moments).
 *
 * It moves no data, for it would believe a device that lies. What the model finds against the
 * driver does not count.
 */
#ifndef FUZZ_HOSTILE_H
#define FUZZ_HOSTILE_H

#include "model.h"
#include "tape.h"

/* A new world with the device in it, the same one each time: its backing takes long to make. */
struct model *hostile_start(struct tape *tape);

/* One more step of the device; it also takes them by itself. */
void hostile_meddle(void);

#endif
