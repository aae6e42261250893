// SPDX-License-Identifier: MIT
/*
 * The scenarios: what is set up, what goes wrong meanwhile, and what must be true at the end.
 */
#include "scenario.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "device.h"
#include "hart.h"
#include "nvme_hal.h"

enum {
    HARTS = 4,
    DEPTH = 17,
    FAST_CLOCK = 8,
    RESETS_MAX = 200,
    MISSED_MAX = 50,
    LOSE = 128, /* messages in a row: less would be hidden by those of other requests */
    MS = 1000000,
};

/* What is set up, and what goes wrong in it. */
struct scenario {
    const char *name;
    uint32_t controllers; /* hart i works on controller i % controllers */
    bool interrupts;      /* the first hart of each controller takes its line */
    bool administers;
    bool fails;
    bool resets;  /* they fail again and again, and are reset each time */
    bool vectors; /* every hart takes its queue's messages */
    bool loses;   /* some of them are never sent */
    bool locked;  /* all harts have one queue, and one lock; each takes its interrupts */
    bool changes; /* who interrupts begins in hybrid mode and changes it all the time */
};

static const struct scenario scenarios[] = {
    {"4 queues of one controller, polled", .controllers = 1},
    {"one queue of 4 harts under a lock", .controllers = 1, .interrupts = true, .locked = true},
    {"one queue interrupts, three poll", .controllers = 1, .interrupts = true},
    {"the same, under administration", .controllers = 1, .interrupts = true, .administers = true},
    {"a controller per hart, interrupts", HARTS, .interrupts = true, .administers = true},
    {"the same, modes change", HARTS, .interrupts = true, .administers = true, .changes = true},
    {"4 vectors, modes change", 1, .vectors = true, .administers = true, .changes = true},
    {"4 vectors, messages get lost", 1, .vectors = true, .administers = true, .loses = true},
    {"controllers that fail under load", 2, .interrupts = true, .administers = true, .fails = true},
    {"the same, vectors, modes change", 2, .vectors = true, .fails = true, .changes = true},
    {"controllers that are reset", 2, .interrupts = true, .administers = true, .resets = true},
    {"the same, vectors, modes change", 2, .vectors = true, .resets = true, .changes = true},
};

static bool has_faults(const struct scenario *scenario)
{
    return scenario->fails || scenario->resets;
}

struct run;

/* What a controller's hooks get. */
struct hooks {
    struct run *run;
    struct device *device;
};

/* One scenario at work. */
struct run {
    const struct scenario *scenario;
    struct device *devices[HARTS];
    struct nvme_controller *controllers[HARTS];
    struct nvme_memory memory[HARTS];
    struct hooks hooks[HARTS];
    struct hart harts[HARTS];
    struct random random;
    uint32_t stop;    /* atomic */
    uint32_t resets;  /* atomic */
    uint32_t working; /* atomic: harts that have requests left */
    pthread_mutex_t lock;
    uint64_t ends;
    uint64_t errors;
    uint64_t missed; /* interrupts, by the engine's count */
};

static void ipi(void *arg, uint32_t owner)
{
    const struct hooks *hooks = arg;

    __atomic_store_n(&hooks->run->harts[owner].ipi_taken, 1, __ATOMIC_RELAXED);
}

static void note_event(void *arg, const struct nvme_event *event)
{
    const struct hooks *hooks = arg;

    if (event->kind == NVME_EVENT_RESET) {
        __atomic_fetch_add(&hooks->run->resets, 1, __ATOMIC_RELAXED);
    }
}

static void mask_vector(void *arg, uint16_t vector, bool masked)
{
    const struct hooks *hooks = arg;

    device_mask_vector(hooks->device, vector, masked);
}

static void check(enum nvme_error error, const char *what)
{
    if (error != NVME_OK) {
        hart_fail("%s: %s", what, nvme_error_text(error));
    }
}

static void open_controller(struct run *run, uint32_t index)
{
    struct nvme_config config = {
        .registers = run->devices[index]->registers,
        .registers_size_bytes = DEVICE_REGISTER_BYTES,
        .queue_count = DEVICE_QUEUES - 1,
        .depth_entries = DEPTH,
        .cq_depth_entries = DEPTH + 8 * random_below(&run->random, 3),
        .shadow_doorbells = random_chance(&run->random, 500),
        .max_transfer_bytes = HART_TRANSFER_BYTES,
        .command_timeout_ns = has_faults(run->scenario) ? 1000 * (uint64_t)MS : 0,
        .aborts = random_chance(&run->random, 500),
        .resets_max = run->scenario->resets ? RESETS_MAX : 0,
        .retries_max = (uint8_t)(run->scenario->resets ? random_below(&run->random, 4) : 0),
        .retry_writes = random_chance(&run->random, 500),
        .msix = run->scenario->vectors,
        .hook_arg = &run->hooks[index],
        .send_ipi = ipi,
        .event = note_event,
        .vector_mask = mask_vector,
    };
    struct nvme_memory *memory = &run->memory[index];
    struct nvme_controller_info info;

    run->hooks[index] = (struct hooks){run, run->devices[index]};
    for (uint32_t i = 0; i < DEVICE_QUEUES; i++) {
        device_mask_vector(run->devices[index], i, true);
    }

    check(nvme_memory_needed(&config, memory), "nvme_memory_needed");
    memory->ordinary = aligned_alloc(DEVICE_PAGE, (memory->ordinary_bytes / 4096 + 1) * 4096);
    memory->dma = aligned_alloc(65536, (memory->dma_bytes / 65536 + 1) * 65536);
    if (memory->ordinary == NULL || memory->dma == NULL) {
        abort();
    }
    check(nvme_controller_open(&config, memory, &run->controllers[index]), "nvme_controller_open");
    nvme_controller_describe(run->controllers[index], &info);
    check(info.shadow_doorbells == config.shadow_doorbells ? NVME_OK : NVME_ERR_UNSUPPORTED,
          "shadow doorbells");
}

static void open_queue(struct run *run, uint32_t index)
{
    const struct scenario *scenario = run->scenario;
    uint32_t place = index % scenario->controllers;
    struct hart *hart = &run->harts[index];
    bool first = index == place;
    bool interrupts = (first && scenario->interrupts) || scenario->vectors || scenario->locked;
    enum nvme_mode mode = scenario->changes ? NVME_MODE_HYBRID : NVME_MODE_INTERRUPT;
    struct nvme_queue_config config = {
        .owner = index,
        .mode = interrupts ? mode : NVME_MODE_POLL,
        .clocked = random_chance(&run->random, 500),
        .irq_off = scenario->locked,
        .vector = (uint16_t)(scenario->vectors ? index / scenario->controllers + 1 : 0),
    };

    *hart = (struct hart){
        .index = index,
        .device = run->devices[place],
        .controller = run->controllers[place],
        .interrupts = interrupts,
        .changes = interrupts && scenario->changes,
        .vector = config.vector,
        .administers = first && scenario->administers,
        .may_fail = scenario->fails,
        .may_reset = scenario->resets,
        .stop = &run->stop,
        .working = &run->working,
        .lock = scenario->locked ? &run->lock : NULL,
        .posting = true,
    };
    hart_prepare(hart, random_next(&run->random));
    check(nvme_namespace_open(hart->controller, 1, &hart->ns), "nvme_namespace_open");
    if (scenario->locked && !first) {
        hart->queue = run->harts[place].queue;
        return;
    }
    check(nvme_queue_open(hart->controller, index / scenario->controllers, &config, &hart->queue),
          "nvme_queue_open");
}

/* A reset that no request has seen may be under way: its owners see it to its end. */
static enum nvme_error close_queue(struct run *run, uint32_t index)
{
    enum nvme_error error = nvme_queue_close(run->harts[index].queue);

    while (error == NVME_ERR_STATE && run->scenario->resets) {
        for (uint32_t i = index; i < HARTS; i++) {
            nvme_queue_watchdog(run->harts[i].queue, hart_now_ns());
        }
        sched_yield();
        error = nvme_queue_close(run->harts[index].queue);
    }
    return error;
}

/* Closing tells of a failure, but for STUCK it always ends. */
static void close_all(struct run *run)
{
    bool may_fail = has_faults(run->scenario);
    struct nvme_counters counters;

    for (uint32_t i = 0; i < HARTS; i++) {
        bool shared = run->scenario->locked && i != 0;
        enum nvme_error error = shared ? NVME_OK : close_queue(run, i);

        if (error == NVME_ERR_STUCK || (error != NVME_OK && !may_fail)) {
            hart_fail("nvme_queue_close: %s", nvme_error_text(error));
        }
        nvme_queue_count(run->harts[i].queue, &counters);
        run->missed += shared ? 0 : counters.missed;
        run->ends += run->harts[i].ends;
        run->errors += run->harts[i].errors;
        hart_free(&run->harts[i]);
    }
    for (uint32_t i = 0; i < run->scenario->controllers; i++) {
        enum nvme_error error = nvme_controller_close(run->controllers[i]);

        if (error == NVME_ERR_STUCK || error == NVME_ERR_BUSY || (error != NVME_OK && !may_fail)) {
            hart_fail("nvme_controller_close: %s", nvme_error_text(error));
        }
        free(run->memory[i].ordinary);
        free(run->memory[i].dma);
    }
}

static void set_faults(struct run *run)
{
    static const enum device_fault faults[] = {DEVICE_SILENT, DEVICE_FATAL, DEVICE_FATAL};

    for (uint32_t i = 0; i < run->scenario->controllers; i++) {
        __atomic_store_n(&run->devices[i]->fault, RANDOM_ONE(&run->random, faults),
                         __ATOMIC_RELAXED);
    }
}

/* A device that has been disabled is good again. */
static void await_resets(const struct run *run)
{
    for (uint32_t i = 0; i < run->scenario->controllers; i++) {
        while (__atomic_load_n(&run->devices[i]->fault, __ATOMIC_RELAXED) != DEVICE_GOOD) {
            hart_sleep_ms(1);
        }
    }
}

/* Under load for a while; what fails, fails at the end, what is reset, several times. */
static void disturb(struct run *run, uint32_t ms)
{
    uint32_t times = run->scenario->resets ? random_between(&run->random, 1, 4) : 1;

    for (uint32_t i = 0; i < times; i++) {
        hart_sleep_ms(ms);
        if (has_faults(run->scenario)) {
            set_faults(run);
        }
    }
    if (run->scenario->resets) {
        await_resets(run);
    }
    if (!run->scenario->fails) {
        __atomic_store_n(&run->stop, 1, __ATOMIC_RELAXED);
    }
}

/* Up, under load, down. */
static void play(struct run *run, uint32_t ms)
{

    __atomic_store_n(&run->stop, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&run->working, HARTS, __ATOMIC_RELAXED);
    hart_set_clock(1);
    for (uint32_t i = 0; i < run->scenario->controllers; i++) {
        __atomic_store_n(&run->devices[i]->fault, DEVICE_GOOD, __ATOMIC_RELAXED);
        open_controller(run, i);
    }
    for (uint32_t i = 0; i < HARTS; i++) {
        open_queue(run, i);
    }
    /* For the deadlines of requests alone: a loaded host may let admin commands wait. */
    hart_set_clock(has_faults(run->scenario) ? FAST_CLOCK : 1);
    for (uint32_t i = 0; i < HARTS; i++) {
        hart_start(&run->harts[i]);
    }
    disturb(run, ms);
    for (uint32_t i = 0; i < HARTS; i++) {
        hart_join(&run->harts[i]);
    }
    close_all(run);
}

static void run_scenario(const struct scenario *scenario, double seconds, uint64_t seed)
{
    static struct run run;
    double begin = hart_wall_s();
    uint32_t turns = 0;

    run = (struct run){.scenario = scenario, .random = {seed}, .lock = PTHREAD_MUTEX_INITIALIZER};
    for (uint32_t i = 0; i < scenario->controllers; i++) {
        run.devices[i] = device_start();
        __atomic_store_n(&run.devices[i]->msix, scenario->vectors, __ATOMIC_RELAXED);
        __atomic_store_n(&run.devices[i]->shadow, 1, __ATOMIC_RELAXED);
        __atomic_store_n(&run.devices[i]->heals, scenario->resets, __ATOMIC_RELAXED);
        __atomic_store_n(&run.devices[i]->lose, scenario->loses ? LOSE : 0, __ATOMIC_RELAXED);
    }
    do {
        play(&run, random_between(&run.random, 1, has_faults(scenario) ? 20 : 400));
        turns++;
    } while (hart_wall_s() - begin < seconds);
    for (uint32_t i = 0; i < scenario->controllers; i++) {
        device_stop(run.devices[i]);
    }
    if (run.ends == 0 || (scenario->fails && run.errors == 0) ||
        (scenario->resets && run.resets == 0)) {
        hart_fail("%s: %u requests, %u errors, %u resets: nothing was tested", scenario->name,
                  (unsigned)run.ends, (unsigned)run.errors, run.resets);
    }
    /* A device that stands still in the midst of an entry makes one seem missed, now and then. */
    if (!scenario->loses && run.missed > MISSED_MAX + run.ends / MISSED_MAX) {
        hart_fail("%s: %u interrupts missed", scenario->name, (unsigned)run.missed);
    }
    printf("ok    %-36s %4u turns %8llu requests %6llu failed %4llu interrupts missed "
           "%4u resets\n",
           scenario->name, turns, (unsigned long long)run.ends, (unsigned long long)run.errors,
           (unsigned long long)run.missed, run.resets);
    fflush(stdout);
}

uint32_t scenarios_run(double seconds, uint64_t seed)
{
    const uint32_t count = sizeof(scenarios) / sizeof(scenarios[0]);

    for (uint32_t i = 0; i < count; i++) {
        run_scenario(&scenarios[i], seconds / count, seed + i);
    }
    return count;
}
