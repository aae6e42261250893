// SPDX-License-Identifier: MIT
/*
 * What happens at a moment of the world's clock: discrete events, the earliest first, those of one
 * moment in the order in which they were added.
 */
#ifndef EVENT_H
#define EVENT_H

#include <stdint.h>

enum { EVENTS_MAX = 16384 };

/* What an event does; `value` is whatever it was added with. */
typedef void event_action(void *arg, uint64_t value);

/* When the next event is due; UINT64_MAX: there is none. Read freely. */
extern uint64_t event_next_ns;

/* Forgets all events. world_reset() does it. */
void event_reset(void);

/* Adds an event. A moment that is past is now. */
void event_add(uint64_t at_ns, event_action *act, void *arg, uint64_t value);

/* Takes out an event that was added with these, if there is one. */
void event_drop(event_action *act, const void *arg);

/* Moves the world's clock to the next event, and does what it says. There is one. */
void event_run(void);

#endif
