// SPDX-License-Identifier: MIT
/*
 * Registers and entries, and what they cost: see bus.h.
 */
#include "bus.h"

#include "cost.h"
#include "event.h"
#include "harts.h"
#include "nvme_spec.h"
#include "profile.h"
#include "world.h"

/*
 * Looks at the same entry are joined after so many: nothing can have come before the next event.
 * What the hart is charged is a whole number of looks. A thread that polls with interrupts on reads
 * no clock in between. With interrupts off it is hybrid mode's, which ends its spin by the clock: a
 * step of this length is small beside the shortest spin.
 */
enum { LOOKS_APART_ON = 8, LOOKS_APART_OFF = 4, SPIN_STEP_NS = 125, SPUN_LOOKS = 8 };

/* The device of a register; *offset is the register's. NULL: plain memory. */
static struct model *find_device(const volatile void *address, uint32_t *offset)
{
    for (uint32_t i = 0; i < WORLD_MODELS_MAX && world.models[i] != NULL; i++) {
        const struct model *model = world.models[i];
        uintptr_t at = (uintptr_t)address - (uintptr_t)model->bar;

        if (at < model->bar_bytes) {
            *offset = (uint32_t)at;
            return world.models[i];
        }
    }
    return NULL;
}

void bus_enter(void)
{
    hart_sync();
    world.now_ns = hart_self()->now_steps >> HART_STEPS_SHIFT;
    world.hart = hart_index();
}

static void arrive(void *arg, uint64_t value)
{
    (void)value;
    model_arrive(arg, 1);
}

void bus_deliver(struct model *model)
{
    if (model->posted_count != 0) {
        event_add(world.now_ns + the_profile.posted_ns, arrive, model, 0);
    }
}

uint32_t bus_read(const volatile void *address)
{
    uint32_t offset;
    struct model *model = find_device(address, &offset);

    hart_charge(COST_REGISTER);
    hart_delay(the_profile.read_ns);
    bus_enter();
    return model == NULL ? *(const volatile uint32_t *)address : model_register_read(model, offset);
}

/* Doorbells alternate, submission and completion. The raw ring counts no posts and no entries. */
static void charge_doorbell(struct hart *self, uint32_t offset)
{
    bool is_head = (offset & sizeof(uint32_t)) != 0;
    uint32_t *shared = is_head ? &self->entries : &self->posts;

    hart_charge(*shared == 0 ? COST_RAW_RING : COST_RING);
    *shared = 0;
}

void bus_write(volatile void *address, uint32_t value)
{
    uint32_t offset = 0;
    struct model *model = find_device(address, &offset);

    if (model == NULL) {
        /* Two dwords side by side: the submission's comes first. */
        charge_doorbell(hart_self(), (uint32_t)(uintptr_t)address);
        *(volatile uint32_t *)address = value;
        return;
    }
    if (offset >= NVME_REG_DOORBELLS) {
        charge_doorbell(hart_self(), offset);
        model->timing.fetch_ns =
            the_profile.timing.fetch_ns + (hart_self()->spun ? the_profile.drag_ns : 0);
    } else {
        hart_charge(COST_REGISTER);
    }
    hart_delay(the_profile.write_ns);
    bus_enter();
    model_register_write(model, offset, value);
    bus_deliver(model);
    hart_sync();
}

void bus_read_ordered(void)
{
    hart_charge(COST_CYCLE);
    world_after_mmio_read();
}

/* The time up to which looks may be joined. */
static uint64_t join_until(const struct hart *self)
{
    uint64_t until_steps = hart_horizon();
    uint64_t step_steps = self->now_steps + (SPIN_STEP_NS << HART_STEPS_SHIFT);

    if (self->interrupts_on) {
        return self->looks < LOOKS_APART_ON || until_steps == HART_NEVER ? 0 : until_steps;
    }
    if (self->in_trap || self->looks < LOOKS_APART_OFF) {
        return 0;
    }
    return until_steps < step_steps ? until_steps : step_steps;
}

/* Counts a look that costs so much, with those that are joined to it. */
static void count_look(struct hart *self, const volatile void *address, uint64_t value,
                       uint32_t cost)
{
    uint64_t look_steps = cost * the_harts.instruction_steps;
    uint64_t until_steps;

    hart_charge(cost);
    if (self->looked != address || self->looked_value != value) {
        self->looked = address;
        self->looked_value = value;
        self->looks = 0;
    } else {
        self->looks++;
        self->spun = self->spun || self->looks >= SPUN_LOOKS;
        until_steps = join_until(self);
        if (until_steps > self->now_steps + look_steps) {
            hart_charge((uint32_t)((until_steps - self->now_steps) / look_steps) * cost);
        }
    }
    hart_sync();
}

void bus_look(const volatile void *address)
{
    count_look(hart_self(), address, *(const volatile uint64_t *)address, COST_LOOK);
}

void bus_look_raw(const volatile void *address)
{
    count_look(hart_self(), address, *(const volatile uint32_t *)address, COST_RAW_LOOK);
}

void bus_entry_found(void)
{
    struct hart *self = hart_self();

    self->entries++;
    self->looks = 0;
    hart_delay(the_profile.entry_ns);
}

void bus_posted(void)
{
    hart_self()->posts++;
    hart_charge(COST_POST + (uint32_t)the_profile.program_post);
}
