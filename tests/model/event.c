// SPDX-License-Identifier: MIT
/*
 * A binary heap of events: see event.h.
 */
#include "event.h"

#include <stdbool.h>

#include "world.h"

struct event {
    uint64_t at_ns;
    uint64_t order; /* of its addition */
    event_action *act;
    void *arg;
    uint64_t value;
};

uint64_t event_next_ns = UINT64_MAX;

static struct event heap[EVENTS_MAX + 1]; /* from 1 on: the parent of i is i / 2 */
static uint32_t count;
static uint64_t added;

void event_reset(void)
{
    count = 0;
    event_next_ns = UINT64_MAX;
}

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

/* Puts an event into a place that is free, then where it belongs. */
static void settle(uint32_t place, struct event event)
{
    for (; place > 1 && is_before(&event, &heap[place / 2]); place /= 2) {
        heap[place] = heap[place / 2];
    }
    for (uint32_t child = 2 * place; child <= count; child = 2 * place) {
        child += child < count && is_before(&heap[child + 1], &heap[child]);
        if (!is_before(&heap[child], &event)) {
            break;
        }
        heap[place] = heap[child];
        place = child;
    }
    heap[place] = event;
    event_next_ns = heap[1].at_ns;
}

void event_add(uint64_t at_ns, event_action *act, void *arg, uint64_t value)
{
    struct event event = {
        .at_ns = at_ns > world.now_ns ? at_ns : world.now_ns,
        .order = added++,
        .act = act,
        .arg = arg,
        .value = value,
    };

    if (count == EVENTS_MAX) {
        world_panic("more than EVENTS_MAX (tests/model/event.h) events are to come");
    }
    settle(++count, event);
}

/* Takes an event out of the heap: the last one fills its place. */
static struct event take(uint32_t place)
{
    struct event taken = heap[place];
    struct event last = heap[count--];

    if (place <= count) {
        settle(place, last);
    }
    if (count == 0) {
        event_next_ns = UINT64_MAX;
    }
    return taken;
}

void event_drop(event_action *act, const void *arg)
{
    for (uint32_t place = 1; place <= count; place++) {
        if (heap[place].act == act && heap[place].arg == arg) {
            take(place);
            return;
        }
    }
}

void event_run(void)
{
    struct event event = take(1);

    if (event.at_ns > world.now_ns) {
        world.now_ns = event.at_ns;
    }
    event.act(event.arg, event.value);
}
