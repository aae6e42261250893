// SPDX-License-Identifier: MIT
/*
 * The deadline of a hart as an event: see platform/riscv64/hart_timer.h.
 */
#include "timer.h"

#include "cost.h"
#include "event.h"
#include "hart_timer.h"
#include "harts.h"

static void timer_due(void *arg, uint64_t value)
{
    (void)value;
    hart_raise(arg, CSR_SIE_TIMER);
}

void timer_set(uint64_t ticks)
{
    struct hart *self = hart_self();

    hart_charge(COST_SBI);
    hart_lower(self, CSR_SIE_TIMER);
    event_drop(timer_due, self);
    if (ticks == 0) {
        self->enabled &= ~CSR_SIE_TIMER;
        return;
    }
    self->enabled |= CSR_SIE_TIMER;
    hart_sync();
    event_add(ticks, timer_due, self, 0);
}

uint64_t timer_ticks_from_ns(uint64_t ns)
{
    return ns;
}

void timer_interrupt(void)
{
    uint64_t now_ticks = csr_time();

    hart_charge(COST_TICK);
    timer_tick(now_ticks);
}
