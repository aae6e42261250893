// SPDX-License-Identifier: MIT
/*
 * One seed from its beginning to its end: see sim.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "nvme_hal.h"
#include "sim.h"

enum {
    STEPS = 900,
    RELAX_NS = 1000000, /* long waits in few steps */
    MAP_FAILING = 30,   /* per mille */
};

void sim_fail_as(struct sim *sim, enum sim_kind kind, const char *format, ...)
{
    va_list arguments;

    if (sim->failure[0] != '\0') {
        return;
    }
    sim->kind = kind;
    va_start(arguments, format);
    vsnprintf(sim->failure, sizeof(sim->failure), format, arguments);
    va_end(arguments);
    /* The history stands still from here on. */
    world_find("%s", sim->failure);
}

bool sim_good(struct sim *sim)
{
    if (world.findings != 0 && sim->failure[0] == '\0') {
        sim_fail(sim, "%s", world.first_finding);
    }
    return sim->failure[0] == '\0';
}

/* Up to three classes, often none. */
static uint32_t choose_faults(struct sim *sim, uint32_t mask)
{
    uint32_t faults = 0;

    for (uint32_t i = random_below(&sim->random, 4); i > 0; i--) {
        faults |= UINT32_C(1) << random_below(&sim->random, FAULT_CLASSES);
    }
    return mask != 0 ? mask : faults;
}

/* The port of some seeds maps what a device may reach, and does not always have room. */
static void choose_maps(struct sim *sim)
{
    world.map_random.state = sim->seed * UINT64_C(0x9e3779b97f4a7c15);
    world.maps = random_chance(&world.map_random, 500);
    if (world.maps) {
        world_dma_map(sim->arena, sim->arena_bytes, NVME_DMA_BOTH);
        world.map_failing = random_chance(&world.map_random, 500) ? MAP_FAILING : 0;
    }
}

/* Of a port that maps only the DMA memory is left, unless a device could not be stopped. */
static void check_maps(struct sim *sim)
{
    bool lost = false;

    for (uint32_t i = 0; i < sim->controller_count; i++) {
        lost = lost || sim->controllers[i].lost;
    }
    sim->maps = world.map_calls;
    sim->map_failures = world.map_failures;
    if (world.maps && !lost && world.mapped != 1) {
        sim_fail(sim, "%u pieces of data are left mapped", world.mapped - 1);
    }
}

static void run(void *arg)
{
    struct sim *sim = arg;

    sim_controllers_prepare(sim);
    choose_maps(sim);
    sim_requests_prepare(sim);
    for (uint32_t i = 0; i < sim->controller_count && sim_good(sim); i++) {
        sim_controller_open(&sim->controllers[i]);
    }
    for (uint32_t i = 0; i < STEPS && sim_good(sim); i++) {
        sim_step(sim);
    }
    if (sim_good(sim)) {
        sim_settle(sim);
    }
    for (uint32_t i = 0; i < sim->controller_count && sim_good(sim); i++) {
        sim_controller_close(&sim->controllers[i]);
    }
    if (sim_good(sim)) {
        check_maps(sim);
        sim_check_media(sim);
    }
    if (world.irq_depth != 0) {
        sim_fail(sim, "interrupts are left off");
    }
    sim_good(sim);
}

void sim_run(struct sim *sim, uint64_t seed, uint32_t fault_mask)
{
    struct sim_request kept[SIM_REQUESTS];
    const char *panic;

    /* The buffers outlive a run: making them anew would take longer than the run. */
    memcpy(kept, sim->requests, sizeof(kept));
    memset(sim, 0, sizeof(*sim));
    for (uint32_t i = 0; i < SIM_REQUESTS; i++) {
        sim->requests[i].memory = kept[i].memory;
        sim->requests[i].memory_bytes = kept[i].memory_bytes;
        if (kept[i].queue != NULL) {
            sim_poison(&sim->requests[i]); /* the device of that run still had it */
        }
    }
    world_reset();
    world.relax_ns = RELAX_NS;
    sim->seed = seed;
    sim->random.state = seed * UINT64_C(0x2545f4914f6cdd1d);
    sim->bus.state = ~sim->random.state;
    sim->faults = choose_faults(sim, fault_mask);
    panic = world_catch_panic(run, sim);
    if (panic != NULL) {
        sim_fail(sim, "the engine panics: %s", panic);
    }
}

void sim_free(struct sim *sim)
{
    sim_controllers_free(sim);
}
