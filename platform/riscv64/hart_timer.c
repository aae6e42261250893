// SPDX-License-Identifier: MIT
/*
 * The periodic timer and the wake-up of a hart. The machine has one deadline per hart, the earlier
 * of the two. In <> are the headers of the machine: platform/sim has its own.
 */
#include "hart_timer.h"

#include <harts.h>
#include <irq.h>
#include <stddef.h>
#include <timer.h>

/* The earlier deadline. 0 means none, as at first, and counts as the latest. */
static uint64_t earlier_of(uint64_t left_ticks, uint64_t right_ticks)
{
    return left_ticks - 1 < right_ticks - 1 ? left_ticks : right_ticks;
}

static void set_next(struct hart *self)
{
    self->timer_set_ticks = earlier_of(self->timer_deadline_ticks, self->timer_wake_ticks);
    timer_set(self->timer_set_ticks);
}

void timer_start(uint64_t period_ns, void (*handler)(void *arg), void *arg)
{
    struct hart *self = hart_self();
    uint64_t saved = irq_save();

    self->timer_handler = handler;
    self->timer_arg = arg;
    self->timer_period_ticks = timer_ticks_from_ns(period_ns);
    self->timer_deadline_ticks = csr_time() + self->timer_period_ticks;
    set_next(self);
    irq_restore(saved);
}

void timer_stop(void)
{
    struct hart *self = hart_self();
    uint64_t saved = irq_save();

    self->timer_handler = NULL;
    self->timer_deadline_ticks = 0;
    self->timer_wake_ticks = 0;
    set_next(self);
    irq_restore(saved);
}

void timer_wake_at(uint64_t ticks)
{
    hart_self()->timer_wake_ticks = ticks == 0 ? 1 : ticks;
}

void timer_wait(void)
{
    struct hart *self = hart_self();

    if (earlier_of(self->timer_wake_ticks, self->timer_set_ticks) != self->timer_set_ticks) {
        set_next(self);
    }
    hart_wait();
}

/* The next deadline is set before the handler, which may stop the timer. */
void timer_tick(uint64_t now_ticks)
{
    struct hart *self = hart_self();
    bool is_tick = self->timer_deadline_ticks != 0 && now_ticks >= self->timer_deadline_ticks;

    if (is_tick) {
        self->timer_deadline_ticks += self->timer_period_ticks;
        if (self->timer_deadline_ticks <= now_ticks) {
            self->timer_deadline_ticks = now_ticks + self->timer_period_ticks;
        }
    }
    if (now_ticks >= self->timer_wake_ticks) {
        self->timer_wake_ticks = 0;
    }
    set_next(self);
    if (is_tick && self->timer_handler != NULL) {
        self->timer_handler(self->timer_arg);
    }
}
