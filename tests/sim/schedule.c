// SPDX-License-Identifier: MIT
/*
 * What happens next, and in between: the device ends commands in any order, interrupts arrive,
 * harts poll, watch, close and open. Between two steps of the driver too: sim_moments().
 */
#include <string.h>

#include "sim.h"

#define MS UINT64_C(1000000)

enum {
    SETTLE_TURNS = 3000,
    LOST_TURNS = 10,      /* of the watchdog, until a lost interrupt is found */
    NEXT_PER_MILLE = 250, /* of the moments for a fault: the next class that is on, if one is */
};

/* A command that is never answered, an admin command, or one without room for its entry. */
static bool must_wait(const struct model *model, const struct model_pending *pending)
{
    return pending->hangs || pending->sqid == 0 ||
           model_cq_full(model, model->sqs[pending->sqid].cqid);
}

/* The device ends up to `count` of the commands that it will ever end, in any order. */
void sim_device(struct sim_controller *controller, uint32_t count)
{
    struct model *model = controller->model;
    struct random *random = &controller->sim->random;

    if ((model->cc & NVME_CC_EN) == 0) {
        for (uint32_t i = 0; i < model->pending_count; i++) {
            controller->sim->injected[FAULT_DMA] += model->pending[i].sqid != 0;
        }
        model_finish_late(model);
        return;
    }
    for (uint32_t done = 0;
         done < count && model->pending_count != 0 && model->ready && !model->gone; done++) {
        uint32_t first = random_below(random, model->pending_count);
        uint32_t index = first;

        while (must_wait(model, &model->pending[index])) {
            index = (index + 1) % model->pending_count;
            if (index == first) {
                return;
            }
        }
        model_step_one(model, index);
    }
}

/* Some of the writes that are on their way arrive, those of one controller before others'. */
void sim_arrive(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->controller_count && sim->posted; i++) {
        model_arrive(sim->controllers[i].model, random_below(&sim->bus, 4));
    }
}

/* Amid the driver's work: the device goes on. */
static void device_meanwhile(void *arg)
{
    struct sim *sim = arg;

    sim_arrive(sim);
    sim_event_meanwhile(sim);
    sim_device(&sim->controllers[random_below(&sim->random, sim->controller_count)],
               random_between(&sim->random, 1, 3));
}

/* Before the driver turns interrupts off: one comes in. */
static void interrupt_meanwhile(void *arg)
{
    struct sim *sim = arg;

    if (world.irq_depth == 0 && !sim->in_handler) {
        sim_any_interrupt(sim);
        sim_any_ipi(sim);
    }
}

/* At a doorbell: the device, or another hart. */
static void other_meanwhile(void *arg)
{
    struct sim *sim = arg;

    if (random_chance(&sim->random, 500)) {
        sim_hart_meanwhile(sim);
    } else {
        device_meanwhile(sim);
    }
}

void sim_moments(struct sim *sim)
{
    if (random_chance(&sim->random, 700)) {
        return;
    }
    world.meanwhile_arg = sim;
    world.meanwhile[WORLD_AT_IRQ_SAVE] =
        random_chance(&sim->random, 500) ? interrupt_meanwhile : NULL;
    world.meanwhile[WORLD_AT_DOORBELL] = random_chance(&sim->random, 500) ? other_meanwhile : NULL;
    world.meanwhile[WORLD_AT_NOW] = random_chance(&sim->random, 300) ? other_meanwhile : NULL;
    world.meanwhile[WORLD_AT_PHASE] = random_chance(&sim->random, 300) ? device_meanwhile : NULL;
}

static void note_recoveries(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->controller_count * SIM_QUEUES; i++) {
        sim_note_recovery(&sim->controllers[i / SIM_QUEUES].queues[i % SIM_QUEUES]);
    }
}

static void poll_events(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->controller_count; i++) {
        struct sim_controller *controller = &sim->controllers[i];

        if (controller->config.events && controller->engine != NULL && !controller->lost) {
            world.hart = controller->irq_hart;
            nvme_events_poll(controller->engine);
        }
    }
}

/* Every open queue is looked at, in the context that reaps it. */
void sim_watch(struct sim *sim, uint64_t step_ns)
{
    /* An IPI may take long. */
    for (uint32_t i = 0; i < SIM_HARTS && random_chance(&sim->random, 700); i++) {
        sim_deliver_all(sim);
    }
    /* A hart takes its interrupts long before 10 ms are over. */
    for (uint32_t i = 0; i < SIM_CONTROLLERS * SIM_SOURCES; i++) {
        sim_interrupts(sim, i % SIM_SOURCES);
    }
    note_recoveries(sim);
    world_advance(step_ns);
    sim->watched_ns += step_ns;
    sim->in_handler = true;
    for (uint32_t i = 0; i < sim->controller_count * SIM_QUEUES; i++) {
        struct sim_queue *queue = &sim->controllers[i / SIM_QUEUES].queues[i % SIM_QUEUES];

        if (queue->open) {
            world.hart = queue->owner;
            world_note(queue->controller->model, "watchdog: queue", queue->index, 0, 0);
            nvme_queue_watchdog(queue->engine, world.now_ns);
        }
    }
    poll_events(sim);
    sim->in_handler = false;
    note_recoveries(sim);
}

static struct sim_queue *any_queue(struct sim *sim)
{
    struct sim_controller *controller =
        &sim->controllers[random_below(&sim->random, sim->controller_count)];
    struct sim_queue *queue = &controller->queues[random_below(&sim->random, SIM_QUEUES)];

    return queue->open && !controller->failed && !controller->lost ? queue : NULL;
}

/*
 * What is owed without the watchdog: interrupts that are pending are served, owners poll and wait.
 */
static bool serve(struct sim *sim)
{
    uint64_t notes = world.note_count;
    bool active = false;

    for (uint32_t i = 0; i < sim->controller_count * SIM_QUEUES; i++) {
        struct sim_controller *controller = &sim->controllers[i / SIM_QUEUES];
        struct sim_queue *queue = &controller->queues[i % SIM_QUEUES];
        uint32_t before = queue->outstanding;

        if (queue->open) {
            sim_submit(queue);
        }
        world_arrive();
        active |= controller->model->ready && !controller->model->gone &&
                  controller->model->pending_count > controller->model->events.requests;
        sim_device(controller, UINT32_MAX);
        if (queue->open) {
            active |= sim_reap(queue);
        }
        active |= queue->outstanding != before;
    }
    world_arrive();
    for (uint32_t source = 0; source < SIM_SOURCES; source++) {
        active |= sim_interrupts(sim, source);
        world_arrive();
    }
    active |= sim_deliver_all(sim);
    world_arrive();
    /* The device or a handler may have gone on amid the calls above. */
    return active || world.note_count != notes;
}

/* As long as there is anything to do without the watchdog. */
static void serve_all(struct sim *sim)
{
    for (uint32_t i = 0; i < SETTLE_TURNS && sim_good(sim) && serve(sim); i++) {
        /* Bounded: each turn ends a request or an interrupt. */
    }
}

static uint32_t outstanding(const struct sim_controller *controller)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < SIM_QUEUES; i++) {
        sum += controller->queues[i].open ? controller->queues[i].outstanding : 0;
    }
    return sum;
}

/*
 * Everything that was posted ends: of itself, or, where interrupts or entries were lost on purpose,
 * with the help of the watchdog.
 */
void sim_settle(struct sim *sim)
{
    sim->quiet = true;
    serve_all(sim);
    for (uint32_t i = 0; i < sim->controller_count && sim_good(sim); i++) {
        struct sim_controller *controller = &sim->controllers[i];
        bool retries = controller->config.retries_max != 0; /* by the watchdog, after a while */
        uint32_t turns = 0;

        if (outstanding(controller) != 0 && !controller->interrupts_lost && !controller->may_fail &&
            !retries) {
            sim_hung(sim, "controller %u: %u requests wait for an interrupt that does not come", i,
                     outstanding(controller));
        }
        while (outstanding(controller) != 0 && !controller->lost && sim_good(sim)) {
            sim_watch(sim, NVME_WATCHDOG_PERIOD_NS);
            if (controller->may_fail) {
                serve(sim); /* a deadline is hundreds of these away */
            } else {
                serve_all(sim);
            }
            if (++turns == (controller->may_fail || controller->model->shadow_deaf || retries
                                ? SETTLE_TURNS
                                : LOST_TURNS)) {
                sim_hung(sim, "controller %u: %u requests never end, watched or not", i,
                         outstanding(controller));
            }
        }
        if (controller->failed && !controller->lost && sim_good(sim)) {
            sim_recover(controller);
        }
    }
    sim->quiet = false;
}

static void reopen_queue(struct sim_queue *queue)
{
    if (!sim_may_close(queue)) {
        return;
    }
    sim_queue_close(queue);
    if (!queue->open && sim_good(queue->controller->sim) && !queue->controller->failed &&
        !queue->controller->lost) {
        sim_queue_open(queue);
    }
}

static void reopen_controller(struct sim_controller *controller)
{
    sim_controller_close(controller);
    if (!controller->lost && sim_good(controller->sim)) {
        sim_controller_open(controller);
    }
}

/* One of the faults that are on, on one of the controllers. */
static void inject(struct sim *sim)
{
    uint32_t number = random_between(&sim->random, 1, FAULT_CLASSES);
    bool next = random_chance(&sim->random, NEXT_PER_MILLE);
    struct sim_queue *queue = any_queue(sim);

    for (uint32_t i = 0; i < FAULT_CLASSES && next && !sim_fault_on(sim, number); i++) {
        number = number % FAULT_CLASSES + 1;
    }

    if (queue != NULL && sim_fault_on(sim, number) && sim_faults[number].inject != NULL &&
        sim_faults[number].inject(queue->controller)) {
        world_note(queue->controller->model, "fault: class", number, 0, 0);
        sim->injected[number]++;
    }
}

/* The owner of a queue does one of the things that owners do. */
static void drive(struct sim *sim, uint32_t kind)
{
    struct sim_queue *queue = any_queue(sim);

    if (queue == NULL) {
        return;
    }
    if (kind < 60) {
        sim_post(queue, random_between(&sim->random, 1, 8));
        if (random_chance(&sim->random, 800)) {
            sim_submit(queue);
        }
    } else if (kind < 62) {
        sim_misuse(queue);
    } else if (kind < 94) {
        sim_reap(queue);
    } else if (kind < 97) {
        sim_change_mode(queue);
    } else if (kind < 99) {
        reopen_queue(queue);
    } else if (random_chance(&sim->random, 200)) {
        reopen_controller(queue->controller);
    }
}

void sim_step(struct sim *sim)
{
    uint32_t kind = random_below(&sim->random, 1000);

    sim_arrive(sim);
    for (uint32_t i = 0; i < sim->controller_count; i++) {
        if (sim->controllers[i].failed && !sim->controllers[i].lost &&
            sim->controllers[i].engine != NULL) {
            sim_recover(&sim->controllers[i]);
        }
    }
    if (kind < 450) {
        drive(sim, random_below(&sim->random, 100));
    } else if (kind < 700) {
        sim_device(&sim->controllers[random_below(&sim->random, sim->controller_count)],
                   random_between(&sim->random, 1, 16));
    } else if (kind < 900) {
        sim_any_interrupt(sim);
        sim_any_ipi(sim);
    } else if (kind < 940) {
        inject(sim);
    } else if (kind < 990) {
        sim_watch(sim, random_below(&sim->random, 20) * MS);
    } else {
        sim_settle(sim);
    }
}
