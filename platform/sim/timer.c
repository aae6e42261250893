// SPDX-License-Identifier: MIT
/*
 * The periodic timer and the wake-up: platform/riscv64/timer.c, with events for a firmware.
 */
#include "timer.h"

#include "cost.h"
#include "event.h"
#include "harts.h"

static void timer_due(void *arg, uint64_t value)
{
    (void)value;
    hart_raise(arg, CSR_SIE_TIMER);
}

/* 0 is none: it comes last. */
static uint64_t earlier_of(uint64_t left_ticks, uint64_t right_ticks)
{
    return left_ticks - 1 < right_ticks - 1 ? left_ticks : right_ticks;
}

static void set_next(struct hart *self)
{
    uint64_t next_ticks = earlier_of(self->timer_deadline_ticks, self->timer_wake_ticks);

    hart_charge(COST_SBI);
    self->timer_set_ticks = next_ticks;
    hart_lower(self, CSR_SIE_TIMER);
    event_drop(timer_due, self);
    if (next_ticks == 0) {
        self->enabled &= ~CSR_SIE_TIMER;
        return;
    }
    self->enabled |= CSR_SIE_TIMER;
    hart_sync();
    event_add(next_ticks, timer_due, self, 0);
}

void timer_start(uint64_t period_ns, void (*handler)(void *arg), void *arg)
{
    struct hart *self = hart_self();
    uint64_t saved = irq_save();

    self->timer_handler = handler;
    self->timer_arg = arg;
    self->timer_period_ticks = period_ns;
    self->timer_deadline_ticks = csr_time() + period_ns;
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

void timer_interrupt(void)
{
    struct hart *self = hart_self();
    uint64_t now_ticks = csr_time();
    bool is_tick = self->timer_deadline_ticks != 0 && now_ticks >= self->timer_deadline_ticks;

    hart_charge(COST_TICK);
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
