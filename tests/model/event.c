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

void event_add(uint64_t at_ns, event_action *act, void *arg, uint64_t value)
{
    struct event event = {
        .at_ns = at_ns > world.now_ns ? at_ns : world.now_ns,
        .order = added++,
        .act = act,
        .arg = arg,
        .value = value,
    };
    uint32_t place = count + 1;

    if (count == EVENTS_MAX) {
        world_panic("more than EVENTS_MAX (tests/model/event.h) events are to come");
    }
    count++;
    while (place > 1 && is_before(&event, &heap[place / 2])) {
        heap[place] = heap[place / 2];
        place /= 2;
    }
    heap[place] = event;
    event_next_ns = heap[1].at_ns;
}

/* Takes the first event out of the heap. */
static struct event take(void)
{
    struct event first = heap[1];
    const struct event *last = &heap[count--];
    uint32_t place = 1;

    for (uint32_t child = 2; child <= count; child = 2 * place) {
        child += child < count && is_before(&heap[child + 1], &heap[child]);
        if (!is_before(&heap[child], last)) {
            break;
        }
        heap[place] = heap[child];
        place = child;
    }
    heap[place] = *last;
    event_next_ns = count != 0 ? heap[1].at_ns : UINT64_MAX;
    return first;
}

void event_run(void)
{
    struct event event = take();

    if (event.at_ns > world.now_ns) {
        world.now_ns = event.at_ns;
    }
    event.act(event.arg, event.value);
}
