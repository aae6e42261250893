// SPDX-License-Identifier: MIT
/* See timers.h. Times are only bounded from below, and loosely from above: the host may be busy. */
#include "timers.h"

#include <stdatomic.h>

#include "harts.h"
#include "irq.h"
#include "timer.h"

#define TICK_NS 1000000ULL
#define LONG_NS 100000000ULL
#define WAKES 20

static atomic_uint ticks[HART_LIMIT];

static void tick(void *arg)
{
    atomic_fetch_add((atomic_uint *)arg, 1);
}

/* Ten ticks, asleep between them. */
static void count_ticks(void *arg, unsigned index)
{
    (void)arg;
    timer_start(TICK_NS, tick, &ticks[index]);
    irq_disable();
    for (unsigned i = 0; i < 1000 && atomic_load(&ticks[index]) < 10; i++) {
        hart_wait();
        irq_enable();
        irq_disable();
    }
    irq_enable();
    timer_stop();
}

static void check_period(void (*check)(bool passed, const char *what))
{
    uint64_t start_ns = time_now_ns();
    uint64_t idle_ns = hart_idle_ns(0);
    unsigned missing = 0;
    unsigned after;

    harts_run(hart_count(), count_ticks, NULL);
    for (unsigned i = 0; i < hart_count(); i++) {
        missing += atomic_load(&ticks[i]) < 10 ? 1 : 0;
    }
    check(missing == 0, "timer: ten ticks on every hart, waking it from wfi");
    check(time_now_ns() - start_ns >= 10 * TICK_NS, "timer: ten ticks take ten periods");
    idle_ns = hart_idle_ns(0) - idle_ns;
    check(idle_ns > 0 && idle_ns <= time_now_ns() - start_ns, "harts: wfi is booked as idle time");
    after = atomic_load(&ticks[0]);
    start_ns = time_now_ns();
    while (time_now_ns() - start_ns < 5 * TICK_NS) {
    }
    check(atomic_load(&ticks[0]) == after, "timer: no tick after timer_stop");
}

/* Sleeps until the tick of the clock, with interrupts off. Returns the number of sleeps. */
static unsigned sleep_until(uint64_t ticks_then)
{
    unsigned sleeps = 0;

    timer_wake_at(ticks_then);
    for (; csr_time() < ticks_then; sleeps++) {
        timer_wait();
        irq_enable();
        irq_disable();
    }
    return sleeps;
}

/* What a hart has seen: of wake-ups alone, of wake-ups beside a period. */
struct seen {
    unsigned sleeps;
    uint64_t past_ns; /* of a sleep whose wake-up was past */
    unsigned long_ticks;
    unsigned short_ticks;
    uint64_t short_ns;
    uint64_t far_ns; /* until three more ticks of a short one */
};

static struct seen seen[HART_LIMIT];

static void wake_up(void *arg, unsigned index)
{
    uint64_t step = (uint64_t) * (const uint32_t *)arg;
    struct seen *self = &seen[index];
    uint64_t start_ns;
    uint64_t then;

    irq_disable();
    then = csr_time();
    for (unsigned i = 0; i < WAKES; i++) {
        then += step;
        self->sleeps += sleep_until(then);
    }
    start_ns = time_now_ns();
    timer_wake_at(csr_time() - 1);
    timer_wait();
    self->past_ns = time_now_ns() - start_ns;

    /* A long period hears nothing of wake-ups, and a short one loses nothing by them. */
    atomic_store(&ticks[index], 0);
    timer_start(LONG_NS, tick, &ticks[index]);
    start_ns = time_now_ns();
    for (unsigned i = 0; i < WAKES && time_now_ns() - start_ns < LONG_NS / 2; i++) {
        sleep_until(csr_time() + step);
    }
    self->long_ticks = time_now_ns() - start_ns < LONG_NS ? atomic_load(&ticks[index]) : 0;
    atomic_store(&ticks[index], 0);
    start_ns = time_now_ns();
    timer_start(TICK_NS, tick, &ticks[index]);
    for (unsigned i = 0; i < 10 * WAKES && atomic_load(&ticks[index]) < WAKES; i++) {
        sleep_until(csr_time() + step);
    }
    self->short_ns = time_now_ns() - start_ns;
    self->short_ticks = atomic_load(&ticks[index]);
    start_ns = time_now_ns();
    timer_wake_at(csr_time() + 1000 * step);
    while (atomic_load(&ticks[index]) < self->short_ticks + 3) {
        timer_wait();
        irq_enable();
        irq_disable();
    }
    self->far_ns = time_now_ns() - start_ns;
    irq_enable();
    timer_stop();
}

static void check_wake(void (*check)(bool passed, const char *what))
{
    uint32_t step = 1;
    struct seen worst = {.short_ticks = WAKES};

    while (time_ns_from_ticks(step) < TICK_NS / 2) {
        step++;
    }
    harts_run(hart_count(), wake_up, &step);
    for (unsigned i = 0; i < hart_count(); i++) {
        worst.sleeps += seen[i].sleeps > 4 * WAKES ? 1 : 0;
        worst.past_ns = seen[i].past_ns > worst.past_ns ? seen[i].past_ns : worst.past_ns;
        worst.long_ticks += seen[i].long_ticks;
        worst.short_ticks = seen[i].short_ticks < WAKES ? 0 : worst.short_ticks;
        worst.short_ns += seen[i].short_ns < WAKES * TICK_NS ? 1 : 0;
        worst.far_ns = seen[i].far_ns > worst.far_ns ? seen[i].far_ns : worst.far_ns;
    }
    check(worst.sleeps == 0, "timer: a wake-up without a period ends a sleep, and sleeps are few");
    check(worst.past_ns < LONG_NS, "timer: a wake-up that is past ends a sleep at once");
    check(worst.long_ticks == 0, "timer: no tick runs early because of a wake-up");
    check(worst.short_ticks == WAKES, "timer: ticks go on beside wake-ups");
    check(worst.far_ns < LONG_NS, "timer: a wake-up that is far off delays no tick");
    check(worst.short_ns == 0, "timer: ticks keep their period beside wake-ups");
}

void timers_check(void (*check)(bool passed, const char *what))
{
    check_period(check);
    check_wake(check);
}
