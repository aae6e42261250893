// SPDX-License-Identifier: MIT
/*
 * The tick-to-nanosecond scale, the periodic timer and the wake-up. The firmware has one deadline
 * per hart, the earlier of the two. sie.STIE is set only while a hart has one, so that a hart
 * without a timer never wakes for it.
 */
#include "timer.h"

#include <stddef.h>

#include "harts.h"
#include "irq.h"
#include "sbi.h"

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

/* Rounded up; at least one tick. Whole seconds are computed apart, so that nothing overflows. */
static uint64_t ticks_from_ns(uint64_t ns)
{
    uint64_t seconds = ns / NS_PER_SECOND;
    uint64_t ticks = (ns % NS_PER_SECOND * timebase + NS_PER_SECOND - 1) / NS_PER_SECOND;

    ticks += seconds * timebase;
    return ticks == 0 ? 1 : ticks;
}

/* The earlier deadline. 0 means none, as at first, and counts as the latest. */
static uint64_t earlier_of(uint64_t left_ticks, uint64_t right_ticks)
{
    return left_ticks - 1 < right_ticks - 1 ? left_ticks : right_ticks;
}

/* Sets the next deadline in the firmware, which clears a pending one. */
static void set_next(struct hart *self)
{
    uint64_t next_ticks = earlier_of(self->timer_deadline_ticks, self->timer_wake_ticks);

    self->timer_set_ticks = next_ticks;
    sbi_set_timer(next_ticks == 0 ? UINT64_MAX : next_ticks);
    if (next_ticks != 0) {
        csr_set(sie, CSR_SIE_TIMER);
    } else {
        csr_clear(sie, CSR_SIE_TIMER);
    }
}

void timer_start(uint64_t period_ns, void (*handler)(void *arg), void *arg)
{
    struct hart *self = hart_self();
    uint64_t saved = irq_save();

    self->timer_handler = handler;
    self->timer_arg = arg;
    self->timer_period_ticks = ticks_from_ns(period_ns);
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

void timer_pause(uint64_t delay_ns)
{
    uint64_t saved = irq_save();

    if ((csr_read(sie) & CSR_SIE_TIMER) != 0) {
        hart_wait();
    } else {
        sbi_set_timer(csr_time() + ticks_from_ns(delay_ns));
        csr_set(sie, CSR_SIE_TIMER);
        hart_wait();
        csr_clear(sie, CSR_SIE_TIMER);
        sbi_set_timer(UINT64_MAX);
    }
    irq_restore(saved);
}

/*
 * Called by trap_entry.S. The next deadline is set before the handler, which may stop the timer. A
 * pending external interrupt is handled first (Privileged Architecture 20211203 §4.1.3; QEMU 7.2
 * without AIA takes the lowest number). Else the watchdog would find its entry at the tick and call
 * the interrupt lost. It is handled once, then the tick: neither can starve the other.
 */
void timer_interrupt(void)
{
    struct hart *self = hart_self();
    bool is_tick;
    uint64_t now_ticks;

    if ((csr_read(sip) & csr_read(sie) & CSR_SIE_EXTERNAL) != 0) {
        self->external();
    }
    now_ticks = csr_time();
    is_tick = self->timer_deadline_ticks != 0 && now_ticks >= self->timer_deadline_ticks;
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
