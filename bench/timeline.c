// SPDX-License-Identifier: MIT
/*
 * See timeline.h.
 */
#include "timeline.h"

uint64_t timeline_step(uint64_t runtime_ticks)
{
    uint64_t step_ticks = runtime_ticks / TIMELINE_INTERVALS;

    return step_ticks == 0 ? 1 : step_ticks;
}

void timeline_start(struct timeline *timeline, uint64_t begin_ticks, uint64_t runtime_ticks)
{
    *timeline = (struct timeline){.step_ticks = timeline_step(runtime_ticks)};
    timeline->next_ticks = begin_ticks + timeline->step_ticks;
}

static void count_interval(struct timeline *timeline, uint64_t total)
{
    timeline->ios[timeline->current] += total - timeline->counted;
    timeline->counted = total;
}

void timeline_pass(struct timeline *timeline, uint64_t now_ticks, uint64_t total)
{
    count_interval(timeline, total);
    while (timeline->next_ticks <= now_ticks) {
        timeline->current++;
        timeline->next_ticks = timeline->current == TIMELINE_INTERVALS - 1
                                   ? UINT64_MAX
                                   : timeline->next_ticks + timeline->step_ticks;
    }
}

void timeline_end(struct timeline *timeline, uint64_t total)
{
    count_interval(timeline, total);
}

uint32_t timeline_intervals(const struct timeline *timeline)
{
    return timeline->step_ticks == 0 ? 0 : timeline->current + 1;
}
