// SPDX-License-Identifier: MIT
/*
 * The tick-to-nanosecond scale, and the deadline of a hart in the firmware. sie.STIE is set only
 * while a hart has one, so that a hart without a timer never wakes for it.
 */
#include "timer.h"

#include <stddef.h>

#include "hart_timer.h"
#include "harts.h"
#include "irq.h"
#include "sbi.h"
#include "trap.h"

#define NS_PER_SECOND 1000000000ULL

struct time_scale time_scale;

static uint64_t timebase;

/* Called from trap_entry.S only. */
void timer_interrupt(void);

const char *timer_init(uint64_t timebase_hz)
{
    uint64_t rest;
    uint64_t fraction = 0;

    if (timebase_hz == 0 || timebase_hz > NS_PER_SECOND) {
        return "the timebase frequency is 0 or above 1 GHz";
    }
    rest = NS_PER_SECOND % timebase_hz;
    for (unsigned bit = 0; bit < 64; bit++) { /* long division: rest * 2^64 / timebase_hz */
        rest <<= 1;
        fraction <<= 1;
        if (rest >= timebase_hz) {
            rest -= timebase_hz;
            fraction |= 1;
        }
    }
    timebase = timebase_hz;
    time_scale.whole = NS_PER_SECOND / timebase_hz;
    time_scale.fraction = fraction;
    return NULL;
}

/* Whole seconds are computed apart, so that nothing overflows. */
uint64_t timer_ticks_from_ns(uint64_t ns)
{
    uint64_t seconds = ns / NS_PER_SECOND;
    uint64_t ticks = (ns % NS_PER_SECOND * timebase + NS_PER_SECOND - 1) / NS_PER_SECOND;

    ticks += seconds * timebase;
    return ticks == 0 ? 1 : ticks;
}

void timer_set(uint64_t ticks)
{
    sbi_set_timer(ticks == 0 ? UINT64_MAX : ticks);
    if (ticks != 0) {
        csr_set(sie, CSR_SIE_TIMER);
    } else {
        csr_clear(sie, CSR_SIE_TIMER);
    }
}

void timer_pause(uint64_t delay_ns)
{
    uint64_t saved = irq_save();

    if ((csr_read(sie) & CSR_SIE_TIMER) != 0) {
        hart_wait();
    } else {
        sbi_set_timer(csr_time() + timer_ticks_from_ns(delay_ns));
        csr_set(sie, CSR_SIE_TIMER);
        hart_wait();
        csr_clear(sie, CSR_SIE_TIMER);
        sbi_set_timer(UINT64_MAX);
    }
    irq_restore(saved);
}

/*
 * Called by trap_entry.S. Without the first call the watchdog would find the entry of a pending
 * interrupt at the tick, and call the interrupt lost.
 */
void timer_interrupt(void)
{
    if (csr_external_pending()) {
        trap_handle_external();
    }
    timer_tick(csr_time());
}
