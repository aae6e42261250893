// SPDX-License-Identifier: MIT
/*
 * Harts that share a line: who owns which queue, IPIs that come late, twice or without a cause,
 * and harts that go on amid the work of another one.
 */
#include "sim.h"

/* The line goes to its IRQ hart; the queues are anybody's. The IRQ hart need not own one. */
void sim_choose_owners(struct sim_controller *controller)
{
    struct random *random = &controller->sim->random;

    controller->irq_hart = controller->sim->irq_harts[controller->line];
    for (uint32_t i = 0; i < SIM_QUEUES; i++) {
        controller->queues[i].owner = controller->irq_hart;
    }
    if (controller->config.msix || random_chance(random, 500)) {
        return;
    }
    controller->config.shared = true;
    controller->config.irq_hart = controller->irq_hart;
    controller->model->irq_hart_masks = true;
    controller->model->irq_hart = controller->irq_hart;
    for (uint32_t i = 0; i < SIM_QUEUES; i++) {
        controller->queues[i].owner = random_below(random, SIM_HARTS);
    }
}

/* The hook: an IPI is on its way. */
void sim_ipi(void *arg, uint32_t owner)
{
    struct sim_controller *controller = arg;
    bool known = owner == controller->irq_hart;

    for (uint32_t i = 0; i < SIM_QUEUES; i++) {
        known |= controller->queues[i].owner == owner;
    }
    if (!known) {
        sim_fail(controller->sim, "hart %u is ipi_taken, which owns no queue", owner);
        return;
    }
    world_note(controller->model, "ipi: hart", owner, 0, 0);
    controller->sim->ipi_taken |= UINT32_C(1) << owner;
}

/* What a hart does with an IPI for a controller: all that may be owed, whatever it was for. */
static void take_ipi(struct sim_controller *controller, uint32_t hart)
{
    for (uint32_t i = 0; i < SIM_QUEUES; i++) {
        struct sim_queue *queue = &controller->queues[i];

        if (queue->open && !queue->closing && queue->owner == hart) {
            nvme_queue_take_ipi(queue->engine);
        }
    }
    if (controller->config.shared && controller->irq_hart == hart) {
        nvme_irq_take_ipi(controller->engine);
    }
}

/* The IPI that is on its way to a hart comes; false if none is, or its interrupts are off. */
bool sim_deliver(struct sim *sim, uint32_t hart)
{
    uint32_t acting = world.hart;

    if (sim->in_handler || (sim->ipi_taken >> hart & 1) == 0) {
        return false;
    }
    sim->ipi_taken &= ~(UINT32_C(1) << hart);
    /* An interrupt that is pending comes first, as with the PLIC's priority over software's. */
    for (uint32_t line = 0; line < SIM_CONTROLLERS; line++) {
        if (sim->irq_harts[line] == hart) {
            sim_interrupts(sim, line);
        }
    }
    sim->in_handler = true;
    world.hart = hart;
    world_note(NULL, "ipi_taken: hart", hart, 0, 0);
    for (uint32_t i = 0; i < sim->controller_count; i++) {
        if (sim->controllers[i].engine != NULL) {
            take_ipi(&sim->controllers[i], hart);
        }
    }
    world.hart = acting;
    sim->in_handler = false;
    return true;
}

/* All that are on their way, in any order. */
bool sim_deliver_all(struct sim *sim)
{
    uint32_t first = random_below(&sim->random, SIM_HARTS);
    bool any = false;

    for (uint32_t i = 0; i < SIM_HARTS; i++) {
        any |= sim_deliver(sim, (first + i) % SIM_HARTS);
    }
    return any;
}

/* One that may be on its way; now and then one that nobody sent. */
void sim_any_ipi(struct sim *sim)
{
    uint32_t hart = random_below(&sim->random, SIM_HARTS);

    if (random_chance(&sim->random, 100)) {
        sim->ipi_taken |= UINT32_C(1) << hart;
    }
    sim_deliver(sim, hart);
}

/*
 * Amid the work of a hart, its interrupts on or off: another one takes its IPI, the IRQ hart its
 * claim.
 */
void sim_hart_meanwhile(void *arg)
{
    struct sim *sim = arg;
    uint32_t hart = random_below(&sim->random, SIM_HARTS);
    uint32_t acting = world.hart;
    uint32_t away = sim->away;
    unsigned long irq_depth = world.irq_depth;
    bool in_handler = sim->in_handler;

    if (hart == acting || (away >> hart & 1) != 0) {
        return;
    }
    sim->away |= UINT32_C(1) << acting;
    sim->in_handler = false;
    world.irq_depth = 0;
    for (uint32_t line = 0; line < SIM_CONTROLLERS; line++) {
        if (sim->irq_harts[line] == hart) {
            sim_interrupts(sim, line);
        }
    }
    sim_deliver(sim, hart);
    if (world.irq_depth != 0) {
        sim_fail(sim, "a handler leaves interrupts off");
    }
    world.irq_depth = irq_depth;
    sim->in_handler = in_handler;
    sim->away = away;
    world.hart = acting;
}

/* Others end their requests before the IRQ hart closes their queues. */
void sim_shared_quiesce(struct sim_controller *controller)
{
    bool quiet = controller->sim->quiet;

    if (controller->config.shared && !controller->failed && !controller->lost) {
        sim_settle(controller->sim);
    }
    controller->sim->quiet = quiet;
}

/* Whether the IRQ hart may close the queue now. */
bool sim_may_close(const struct sim_queue *queue)
{
    return !queue->controller->config.shared || queue->owner == queue->controller->irq_hart ||
           queue->outstanding == 0;
}
