// SPDX-License-Identifier: MIT
/*
 * How harts learn of completions: handlers of lines and vectors, polling, waiting as storage_wait()
 * does, and modes that change meanwhile.
 */
#include "sim.h"

enum {
    LOOKS = 16,            /* of an owner in hybrid mode while it spins as long as it may */
    LOOKS_MAX = 4 * LOOKS, /* of one that has nothing else to do */
};

/* The handlers of the controllers on a line: those that are attached. */
static uint32_t attached(struct sim *sim, uint32_t line, struct nvme_controller **engines)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < sim->controller_count; i++) {
        const struct sim_controller *controller = &sim->controllers[i];

        if (controller->line == line && controller->engine != NULL && !controller->config.msix) {
            engines[count++] = controller->engine;
        }
    }
    return count;
}

static bool line_interrupts(struct sim *sim, uint32_t line)
{
    struct nvme_controller *engines[SIM_CONTROLLERS];
    uint32_t count = attached(sim, line, engines);
    uint32_t acting;

    if (count == 0 || !model_line_claim(&sim->lines[line])) {
        return false;
    }
    sim->in_handler = true;
    acting = world.hart;
    world.hart = sim->irq_harts[line];
    nvme_irq_handle(engines, count);
    sim_arrive(sim);
    model_line_complete(&sim->lines[line]);
    sim_arrive(sim);
    world.hart = acting;
    sim->in_handler = false;
    return true;
}

static bool vector_interrupts(struct sim_queue *queue)
{
    struct sim_controller *controller = queue->controller;
    uint32_t acting = world.hart;

    if (controller == NULL || !controller->config.msix || controller->engine == NULL ||
        !queue->open || !queue->interrupts ||
        !model_vector_claim(controller->model, (uint16_t)(queue->index + 1))) {
        return false;
    }
    controller->sim->in_handler = true;
    world.hart = queue->owner;
    nvme_vector_handle(queue->engine);
    world.hart = acting;
    controller->sim->in_handler = false;
    return true;
}

/* Takes an interrupt of this source if one is pending and its handler is attached. */
bool sim_interrupts(struct sim *sim, uint32_t source)
{
    uint32_t place = source - SIM_CONTROLLERS;

    if (sim->in_handler) {
        return false;
    }
    return source < SIM_CONTROLLERS
               ? line_interrupts(sim, source)
               : vector_interrupts(
                     &sim->controllers[place / SIM_QUEUES].queues[place % SIM_QUEUES]);
}

static uint32_t source_of(const struct sim_queue *queue)
{
    const struct sim_controller *controller = queue->controller;
    uint32_t index = (uint32_t)(controller - controller->sim->controllers);

    return controller->config.msix ? SIM_CONTROLLERS + index * SIM_QUEUES + queue->index
                                   : controller->line;
}

void sim_any_interrupt(struct sim *sim)
{
    struct sim_controller *controller =
        &sim->controllers[random_below(&sim->random, sim->controller_count)];

    sim_interrupts(sim, source_of(&controller->queues[random_below(&sim->random, SIM_QUEUES)]));
}

/*
 * The owner is about to sleep. Whatever the device ends from now on must wake it: an entry without
 * an interrupt that is pending would be found by the watchdog alone.
 */
static void check_sleep(struct sim_queue *queue)
{
    struct sim_controller *controller = queue->controller;
    bool pending;

    if (random_chance(&controller->sim->random, 500)) {
        sim_device(controller, UINT32_MAX);
    }
    world_arrive();
    pending = controller->config.msix ? controller->model->vectors[queue->index + 1].arrived
                                      : controller->sim->lines[controller->line].pending;
    /* A cycle, or the IRQ hart opening the line, is under way as long as there are IPIs. */
    pending |= controller->config.shared && controller->sim->ipi_taken != 0;
    if (model_cq_held(controller->model, queue->index + 1) != 0 && !pending &&
        !controller->interrupts_lost && !controller->may_fail) {
        sim_fail(controller->sim, "controller %u, queue %u: its owner sleeps beside an entry",
                 (uint32_t)(controller - controller->sim->controllers), queue->index);
    }
}

/* What was submitted is announced before the owner sleeps, also by a clocked doorbell. */
static void check_announced(struct sim_queue *queue)
{
    struct sim_controller *controller = queue->controller;
    struct nvme_counters counters;
    uint64_t posted;

    nvme_queue_count(queue->engine, &counters);
    /* A request that waits to be tried again is not posted. */
    if (controller->config.retries_max != 0) {
        return;
    }
    posted = counters.completions - counters.stale + nvme_queue_outstanding(queue->engine);
    if (queue->submitted && posted != counters.posts && !controller->may_fail) {
        sim_fail(controller->sim, "queue %u: its owner sleeps, %llu of %llu commands announced",
                 queue->index, (unsigned long long)counters.posts, (unsigned long long)posted);
    }
}

/* One turn of an owner's loop, interrupts off from the look to the sleep. True if it sleeps. */
static bool wait_once(struct sim_queue *queue, uint32_t budget)
{
    struct sim *sim = queue->controller->sim;
    enum nvme_mode mode = nvme_queue_mode(queue->engine);
    bool in_handler = sim->in_handler;
    bool sleeps = false;

    world.hart = queue->owner;

    sim->in_handler = true;
    if (mode == NVME_MODE_POLL) {
        nvme_queue_reap(queue->engine, budget);
        if (nvme_queue_mode(queue->engine) == NVME_MODE_POLL &&
            nvme_queue_arm(queue->engine, NVME_WAIT_BLOCKED)) {
            sim_fail(sim, "a queue that polls can be armed");
        }
    } else if (nvme_queue_arm(queue->engine, NVME_WAIT_BLOCKED)) {
        check_announced(queue);
        check_sleep(queue);
        sleeps = true;
    } else if (mode == NVME_MODE_HYBRID) {
        nvme_queue_reap(queue->engine, budget);
        world_advance(1 + queue->controller->config.hybrid_spin_max_ns / LOOKS);
    }
    sim->in_handler = in_handler;
    return sleeps;
}

/* True if the owner found entries, be they unmatched, or looks again at once: there may be more. */
bool sim_reap(struct sim_queue *queue)
{
    struct sim *sim = queue->controller->sim;
    uint32_t budget =
        random_chance(&sim->random, 500) ? NVME_DEPTH_MAX : random_between(&sim->random, 1, 4);
    struct nvme_counters before = {0};
    struct nvme_counters after = {0};
    uint32_t looks = random_chance(&sim->random, 200) ? LOOKS_MAX : 1;
    uint64_t now_ns = world.now_ns;

    sim_moments(sim);
    if (queue->open) {
        nvme_queue_count(queue->engine, &before);
        while (!wait_once(queue, budget) && --looks != 0) {
            /* Awake, and nobody else does anything: this ends in sleep, unless it polls. */
        }
        nvme_queue_count(queue->engine, &after);
    }
    return after.completions != before.completions || world.now_ns != now_ns;
}

/* Whether this error is what the mode's change has to end with. */
static bool is_expected(const struct sim_queue *queue, enum nvme_mode mode, enum nvme_error error)
{
    const struct nvme_config *config = &queue->controller->config;
    bool cannot_mask = config->msix && config->vector_mask == NULL;

    if (queue->controller->may_fail && error == NVME_ERR_STATE) {
        return true;
    }
    if (sim_fault_on(queue->controller->sim, 7) && error == NVME_ERR_INTERRUPT) {
        return true; /* opened behind a storm: it polls */
    }
    if (mode == NVME_MODE_HYBRID && cannot_mask) {
        return error == NVME_ERR_INTERRUPT;
    }
    if (!queue->interrupts) {
        return error == (mode == NVME_MODE_POLL ? NVME_OK : NVME_ERR_INTERRUPT);
    }
    return error == (mode == NVME_MODE_POLL && cannot_mask ? NVME_ERR_INTERRUPT : NVME_OK);
}

static bool is_masked(const struct sim_queue *queue)
{
    const struct model *model = queue->controller->model;

    world_arrive();
    return queue->controller->config.msix ? model->vectors[queue->index + 1].masked
                                          : (model->interrupt_mask & 1) != 0;
}

void sim_change_mode(struct sim_queue *queue)
{
    struct sim *sim = queue->controller->sim;
    enum nvme_mode mode = (enum nvme_mode)random_below(&sim->random, NVME_MODE_HYBRID + 1);
    enum nvme_error error;

    if (!sim->in_handler) {
        sim_moments(sim);
        world.hart = queue->controller->irq_hart;
    } else if (world.hart != queue->controller->irq_hart) {
        return;
    }
    world_note(queue->controller->model, "mode: queue, mode", queue->index, mode, 0);
    error = nvme_queue_set_mode(queue->engine, mode);
    if (!is_expected(queue, mode, error) && !queue->controller->may_fail) {
        sim_fail(sim, "mode %u of queue %u: %s", (uint32_t)mode, queue->index,
                 nvme_error_text(error));
    }
    if (error == NVME_OK && mode == NVME_MODE_POLL && queue->interrupts && !is_masked(queue) &&
        !queue->controller->may_fail) {
        sim_fail(sim, "queue %u polls, and its source is open", queue->index);
    }
}

/* The hooks: bus mastering is on; the level of the line. */
void sim_allow_dma(void *arg)
{
    const struct sim_controller *controller = arg;

    model_allow_dma(controller->model);
}

bool sim_level(void *arg)
{
    const struct sim_controller *controller = arg;

    return model_level_read(controller->model);
}
