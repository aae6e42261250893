// SPDX-License-Identifier: MIT
/*
 * The traps of the hart that runs, its interrupts on and off, and what it reads of itself.
 */
#include "irq.h"

#include "cost.h"
#include "csr.h"
#include "harts.h"
#include "profile.h"

static void take_ipi(struct hart *self)
{
    hart_charge(COST_IPI);
    if (self->ipi_handler != NULL) {
        self->ipi_handler(self->ipi_arg);
    }
}

/*
 * External interrupts come first, then IPIs, then the timer: as trap_entry.S and the handlers do.
 */
void hart_take_traps(void)
{
    struct hart *self = the_harts.self;

    while (self->interrupts_on && (self->pending & self->enabled) != 0) {
        uint64_t pending = self->pending & self->enabled;

        self->interrupts_on = false;
        self->in_trap = true;
        hart_charge(COST_TRAP);
        hart_delay(the_profile.trap_ns);
        if ((pending & CSR_SIE_EXTERNAL) != 0) {
            external_interrupt();
        } else if ((pending & CSR_SIE_SOFTWARE) != 0) {
            self->pending &= ~CSR_SIE_SOFTWARE;
            take_ipi(self);
        } else {
            timer_interrupt();
        }
        self->in_trap = false;
        self->interrupts_on = true;
        hart_give_way();
    }
}

static void charge_csr(void)
{
    hart_charge(COST_PROTECT);
    hart_delay(the_profile.csr_ns);
}

uint64_t irq_save(void)
{
    uint64_t saved = the_harts.self->interrupts_on;

    charge_csr();
    the_harts.self->interrupts_on = false;
    return saved;
}

void irq_restore(uint64_t saved)
{
    if (saved != 0) {
        irq_enable();
    }
}

void irq_enable(void)
{
    struct hart *self = the_harts.self;

    charge_csr();
    self->interrupts_on = true;
    hart_sync();
    hart_take_traps();
}

void irq_disable(void)
{
    charge_csr();
    the_harts.self->interrupts_on = false;
}

bool irq_enabled(void)
{
    return the_harts.self->interrupts_on;
}

uint64_t csr_read_sip(void)
{
    hart_charge(COST_CLOCK);
    hart_sync();
    return the_harts.self->pending;
}

uint64_t csr_read_instret(void)
{
    return the_harts.self->instructions;
}

uint64_t csr_time(void)
{
    hart_charge(COST_CLOCK);
    hart_delay(the_profile.clock_ns);
    the_harts.self->looks = 0; /* a loop that reads the clock may end by it */
    return the_harts.self->now_steps >> HART_STEPS_SHIFT;
}
