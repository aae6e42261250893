// SPDX-License-Identifier: MIT
/*
 * From a controller's interrupt to a hart's handler: lines through a PLIC, messages through IMSICs.
 * Both reach the hart interrupt_ns after the device has raised them. See wired.h and imsic.h.
 */
#include <stddef.h>

#include "bus.h"
#include "cost.h"
#include "devices.h"
#include "event.h"
#include "harts.h"
#include "imsic.h"
#include "profile.h"
#include "wired.h"

enum { FIRST_SOURCE = 1, IDENTITIES = 64 /* from 1 on */ };

/* What the identities of a hart call, and which have arrived. */
static struct {
    uint64_t arrived; /* a bit each, from identity 1 on */
    struct {
        void (*function)(void *arg);
        void *arg;
    } handlers[IDENTITIES + 1];
} files[HART_LIMIT];

static struct device *device_at(struct machine_interrupt irq)
{
    return &devices[irq.source - FIRST_SOURCE];
}

/* ---- lines -------------------------------------------------------------------------------- */

static void line_due(void *arg, uint64_t value)
{
    const struct device *device = arg;

    (void)value;
    if (device->line.pending && !device->line.in_service && device->line_hart != HART_LIMIT) {
        hart_raise(&the_harts.all[device->line_hart], CSR_SIE_EXTERNAL);
    }
}

void device_raised(struct model_line *line)
{
    struct device *device = (struct device *)((uint8_t *)line - offsetof(struct device, line));

    event_add(world.now_ns + the_profile.interrupt_ns, line_due, device, 0);
}

/* The hart's first line that is pending; NULL: none, and the claim finds nothing. */
static struct device *claim_line(const struct hart *self)
{
    for (uint32_t i = 0; i < device_count; i++) {
        if (devices[i].line_hart == self->index && model_line_claim(&devices[i].line)) {
            return &devices[i];
        }
    }
    return NULL;
}

static bool has_line(const struct hart *self)
{
    for (uint32_t i = 0; i < device_count; i++) {
        if (devices[i].line_hart == self->index && devices[i].line.pending) {
            return true;
        }
    }
    return false;
}

static void take_line(struct hart *self)
{
    struct device *device;

    hart_charge(COST_CLAIM_LINE);
    hart_delay(the_profile.read_ns);
    bus_enter();
    device = claim_line(self);
    if (!has_line(self)) {
        hart_lower(self, CSR_SIE_EXTERNAL);
    }
    if (device != NULL) {
        device->handler(device->arg);
        hart_delay(the_profile.write_ns);
        bus_enter();
        model_line_complete(&device->line);
        line_due(device, 0);
    }
}

bool wired_usable(struct machine_interrupt irq)
{
    return !the_profile.messages && irq.source >= FIRST_SOURCE;
}

bool wired_reaches(struct machine_interrupt irq, unsigned hart_index)
{
    return wired_usable(irq) && hart_index < hart_count();
}

void wired_attach(struct machine_interrupt irq, void (*handler)(void *arg), void *arg)
{
    device_at(irq)->handler = handler;
    device_at(irq)->arg = arg;
}

void wired_route(struct machine_interrupt irq, unsigned hart_index)
{
    device_at(irq)->line_hart = hart_index;
    line_due(device_at(irq), 0);
}

void wired_detach(struct machine_interrupt irq)
{
    device_at(irq)->line_hart = HART_LIMIT;
    device_at(irq)->handler = NULL;
}

/* ---- messages ----------------------------------------------------------------------------- */

static void message_due(void *arg, uint64_t identity)
{
    struct hart *hart = arg;

    files[hart->index].arrived |= UINT64_C(1) << (identity - 1);
    hart_raise(hart, CSR_SIE_EXTERNAL);
}

void device_message(struct model *model, uint16_t vector)
{
    for (uint32_t i = 0; i < device_count; i++) {
        if (devices[i].model == model) {
            event_add(world.now_ns + the_profile.interrupt_ns, message_due,
                      &the_harts.all[devices[i].messages[vector].hart],
                      devices[i].messages[vector].identity);
        }
    }
}

static void take_message(struct hart *self)
{
    uint64_t *arrived = &files[self->index].arrived;
    unsigned identity = *arrived != 0 ? (unsigned)__builtin_ctzll(*arrived) + 1 : 0;

    hart_charge(COST_CLAIM_MESSAGE);
    hart_delay(the_profile.csr_ns);
    *arrived &= *arrived - 1;
    if (*arrived == 0) {
        hart_lower(self, CSR_SIE_EXTERNAL);
    }
    if (files[self->index].handlers[identity].function != NULL) {
        files[self->index].handlers[identity].function(files[self->index].handlers[identity].arg);
    }
}

void external_interrupt(void)
{
    if (the_profile.messages) {
        take_message(hart_self());
    } else {
        take_line(hart_self());
    }
}

bool imsic_present(void)
{
    return the_profile.messages;
}

bool imsic_attach(unsigned hart_index, void (*handler)(void *arg), void *arg,
                  struct imsic_message *message)
{
    for (unsigned identity = 1; identity <= IDENTITIES; identity++) {
        if (files[hart_index].handlers[identity].function == NULL) {
            files[hart_index].handlers[identity].function = handler;
            files[hart_index].handlers[identity].arg = arg;
            *message = (struct imsic_message){.address = hart_index, .data = identity};
            return true;
        }
    }
    return false;
}

void imsic_detach(unsigned hart_index, const struct imsic_message *message)
{
    files[hart_index].handlers[message->data].function = NULL;
}
