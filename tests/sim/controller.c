// SPDX-License-Identifier: MIT
/*
 * Controllers of all kinds: chosen by the seed, brought up, closed in the midst of it.
 */
#include <stdlib.h>
#include <string.h>

#include "kept.h"
#include "sim.h"

#define MS UINT64_C(1000000)

enum {
    PAGE = 4096,
    ARENA_ALIGNMENT = 1 << 20,
    LARGE_BLOCKS = 4096, /* of 4096 bytes */
};

static void on_event(void *arg, const struct nvme_event *event)
{
    struct sim_controller *controller = arg;

    world_note(controller->model, "event", (uint64_t)event->kind, event->value, event->limit);
    switch (event->kind) {
    case NVME_EVENT_DISABLE_TIMEOUT:
        controller->lost = true;
        break;
    case NVME_EVENT_DISABLED:
        controller->dead = true;
        controller->failed = true;
        break;
    case NVME_EVENT_ABORT:
        controller->sim->injected[FAULT_ABORT]++;
        break;
    case NVME_EVENT_COMMAND_TIMEOUT:
    case NVME_EVENT_CONTROLLER_FATAL:
    case NVME_EVENT_REMOVED:
        controller->failed = true;
        break;
    case NVME_EVENT_RESET:
        controller->failed = false; /* it goes on */
        controller->counts_exact = false;
        controller->sim->resets++;
        break;
    case NVME_EVENT_INTERRUPT_STORM:
        if (!sim_fault_on(controller->sim, 7) && !controller->may_fail) {
            sim_fail(controller->sim, "a storm that nobody made");
        }
        return;
    case NVME_EVENT_ADMIN_FAILED:
    case NVME_EVENT_LINE_STUCK:
        break;
    default:
        return;
    }
    if (!controller->may_fail) {
        sim_fail(controller->sim, "event without a cause: %s", nvme_event_text(event->kind));
    }
}

static void on_vector_mask(void *arg, uint16_t vector, bool masked)
{
    struct sim_controller *controller = arg;

    if (vector == 0 || vector > SIM_QUEUES) {
        sim_fail(controller->sim, "vector %u is masked, which no queue has", vector);
    } else {
        model_vector_mask(controller->model, vector, masked);
    }
}

static void choose_model(struct sim_controller *controller)
{
    static const uint32_t mqes[] = {1, 2, 7, 30, 63, 2047};
    static const uint8_t mdts[] = {0, 1, 1, 2, 3, 5, 7};
    struct random *random = &controller->sim->random;
    struct model *model = controller->model = model_new_bare();

    model->on_demand = true;
    model->cap.mqes = RANDOM_ONE(random, mqes);
    model->cap.stride = random_below(random, 4);
    model->cap.timeout_units = random_between(random, 1, 20);
    model->ready_delay_ns = random_below(random, 100) * MS;
    model->mdts = controller->sim->block_count == LARGE_BLOCKS ? 0 : RANDOM_ONE(random, mdts);
    model->delete_drops = random_chance(random, 200);
    model->delete_finishes = random_chance(random, 300);
    model->stops_late = random_chance(random, 500);
    model->counts_pending = random_chance(random, 500);
    model->granted = random_between(random, 1, 8);
    model->posted = controller->sim->posted;
    model->shadow_offered = random_chance(random, 700);
    model->sgls = random_chance(&controller->sim->bus, 500);
    model->shadow_wakes = *random;
    model->line = &controller->sim->lines[controller->line];
    model_set_namespace(model, 1, (uint8_t)controller->sim->block_shift,
                        controller->sim->block_count);
}

static void choose_config(struct sim_controller *controller)
{
    static const uint32_t depths[] = {2, 3, 4, 5, 8, 16, 17, 33, 64};
    static const uint32_t limits[] = {0, 4096, 8192, 12288, 65536};
    static const uint64_t spins_ns[] = {0, 1, 5 * MS, 40 * MS}; /* time goes in steps of 10 ms */
    struct random *random = &controller->sim->random;
    bool large = controller->sim->block_count == LARGE_BLOCKS;
    uint32_t depth = large ? 5 : RANDOM_ONE(random, depths);

    controller->config = (struct nvme_config){
        .registers = controller->model->bar,
        .registers_size_bytes = controller->model->bar_bytes,
        .pci_vendor = controller->model->counts_pending ? 0x1b36 : 0x144d, /* 0x1b36: QEMU's */
        .pci_device = controller->model->counts_pending ? 0x0010 : 0xa808,
        .queue_count = random_between(random, 1, SIM_QUEUES),
        .depth_entries = depth,
        .cq_depth_entries = depth + 4 * random_between(random, 0, 10),
        .max_transfer_bytes = large ? 4 << 20 : RANDOM_ONE(random, limits),
        .command_timeout_ns = random_between(random, 1000, 5000) * MS,
        .resets_max = random_below(&controller->sim->bus, 4),
        .retries_max = random_chance(&controller->sim->bus, 400)
                           ? (uint8_t)random_between(&controller->sim->bus, 1, 3)
                           : 0,
        .retry_writes = random_chance(&controller->sim->bus, 500),
        .bounce_bytes = random_chance(&controller->sim->bus, 400)
                            ? random_between(&controller->sim->bus, 1, 4 * PAGE)
                            : 0,
        .hybrid_spin_max_ns = RANDOM_ONE(random, spins_ns),
        .shadow_doorbells = random_chance(random, 500),
        .mask_line = controller->sim->masks[controller->line],
        .hook_arg = controller,
        .send_ipi = sim_ipi,
        .bus_master = sim_allow_dma,
        .intx_level = sim_level,
        .event = on_event,
    };
}

/* Messages instead of the line; most machines can mask them. Masked is what no queue uses. */
static void choose_vectors(struct sim_controller *controller)
{
    struct random *random = &controller->sim->random;

    if (random_chance(random, 600)) {
        return;
    }
    controller->config.msix = true;
    controller->model->msix = true;
    if (random_chance(random, 900)) {
        controller->config.vector_mask = on_vector_mask;
        for (uint32_t i = 0; i < MODEL_QUEUES; i++) {
            controller->model->vectors[i].masked = true;
        }
    }
}

static void prepare(struct sim_controller *controller)
{
    struct sim *sim = controller->sim;
    size_t bytes = (size_t)sim->block_count << sim->block_shift;

    controller->line = random_below(&sim->random, sim->controller_count);
    controller->counts_exact = true;
    choose_model(controller);
    choose_config(controller);
    controller->model->repeats = controller->config.retries_max != 0;
    choose_vectors(controller);
    controller->shadow = kept_take(sizeof(uint64_t), bytes);
    controller->busy = calloc(sim->block_count, 1);
    if (controller->busy == NULL) {
        abort();
    }
    memcpy(controller->shadow, controller->model->namespaces[0].backing, bytes);
    for (uint32_t i = 0; i < SIM_QUEUES; i++) {
        controller->queues[i] = (struct sim_queue){.controller = controller, .index = i};
    }
    sim_choose_owners(controller);
    for (uint32_t number = 1; number <= FAULT_CLASSES; number++) {
        if (sim_fault_on(sim, number)) {
            controller->may_fail |= fault_table[number].fatal;
            if (sim_faults[number].prepare != NULL && sim_faults[number].prepare(controller)) {
                sim->injected[number]++;
            }
        }
    }
}

/* The regions: the ordinary one alone, the DMA one a part of the arena that stays contiguous. */
static void give_memory(struct sim *sim)
{
    size_t at = 0;

    for (uint32_t i = 0; i < sim->controller_count; i++) {
        struct sim_controller *controller = &sim->controllers[i];
        enum nvme_error error = nvme_memory_needed(&controller->config, &controller->memory);

        if (error != NVME_OK && !controller->may_fail) {
            sim_fail(sim, "nvme_memory_needed: %s", nvme_error_text(error));
        }
        sim->arena_bytes += (controller->memory.dma_bytes + 0xffff) & ~(size_t)0xffff;
    }
    sim->arena_bytes = (sim->arena_bytes + ARENA_ALIGNMENT) & ~(size_t)(ARENA_ALIGNMENT - 1);
    sim->arena = kept_take(ARENA_ALIGNMENT, sim->arena_bytes);
    for (uint32_t i = 0; i < sim->controller_count; i++) {
        struct sim_controller *controller = &sim->controllers[i];
        size_t rounded = (controller->memory.ordinary_bytes + PAGE) & ~(size_t)(PAGE - 1);

        controller->memory.ordinary = aligned_alloc(PAGE, rounded);
        controller->memory.dma = sim->arena + at;
        at += (controller->memory.dma_bytes + 0xffff) & ~(size_t)0xffff;
    }
    memset(sim->arena, 0xa5, sim->arena_bytes);
    world.arena = sim->arena;
    world.arena_bytes = sim->arena_bytes;
}

void sim_controllers_prepare(struct sim *sim)
{
    static const enum model_line_kind kinds[] = {MODEL_LINE_LEVEL, MODEL_LINE_EDGE,
                                                 MODEL_LINE_EDGE_CLEARS, MODEL_LINE_EDGE_WIRE};
    bool large = sim_fault_on(sim, 16) && random_chance(&sim->random, 100);

    world.paging = random_below(&sim->random, 2) == 0 ? WORLD_IDENTITY : WORLD_PAGED;
    sim->controller_count =
        large || random_chance(&sim->random, 500) ? 1 : random_between(&sim->random, 2, 3);
    sim->block_shift = large || random_chance(&sim->random, 300) ? 12 : 9;
    sim->block_count = large ? LARGE_BLOCKS : (uint64_t)SIM_BLOCKS >> (sim->block_shift - 9);
    sim->posted = random_chance(&sim->bus, 400);
    for (uint32_t i = 0; i < SIM_CONTROLLERS; i++) {
        sim->lines[i].kind = RANDOM_ONE(&sim->random, kinds);
        sim->masks[i] = (sim->posted && sim->lines[i].kind != MODEL_LINE_LEVEL) ||
                        random_chance(&sim->bus, 300);
        sim->irq_harts[i] = random_below(&sim->random, SIM_HARTS);
    }
    for (uint32_t i = 0; i < sim->controller_count; i++) {
        sim->controllers[i].sim = sim;
        prepare(&sim->controllers[i]);
    }
    give_memory(sim);
}

static enum nvme_mode choose_mode(const struct sim_controller *controller)
{
    static const enum nvme_mode modes[] = {NVME_MODE_POLL, NVME_MODE_INTERRUPT, NVME_MODE_HYBRID};
    enum nvme_mode mode = RANDOM_ONE(&controller->sim->random, modes);

    return mode == NVME_MODE_HYBRID && controller->config.msix &&
                   controller->config.vector_mask == NULL
               ? NVME_MODE_INTERRUPT
               : mode;
}

bool sim_queue_open(struct sim_queue *queue)
{
    struct sim_controller *controller = queue->controller;
    struct random *random = &controller->sim->random;
    struct nvme_controller_info info;
    struct nvme_queue_config config = {
        .owner = queue->owner,
        .mode = choose_mode(controller),
        .clocked = random_chance(random, 500),
    };
    enum nvme_error error;

    queue->interrupts = config.mode != NVME_MODE_POLL;
    config.vector = (uint16_t)(controller->config.msix && queue->interrupts ? queue->index + 1 : 0);
    nvme_controller_describe(controller->engine, &info);
    if (random_chance(random, 300)) {
        config.depth_entries = random_between(random, NVME_DEPTH_MIN, info.depth_entries);
    }
    world.hart = controller->irq_hart;
    error = nvme_queue_open(controller->engine, queue->index, &config, &queue->engine);
    queue->depth_entries = config.depth_entries != 0 ? config.depth_entries : info.depth_entries;
    queue->open = error == NVME_OK;
    queue->closing = false;
    if (!queue->open && !controller->may_fail) {
        sim_fail(controller->sim, "queue %u does not open: %s", queue->index,
                 nvme_error_text(error));
    }
    return queue->open;
}

void sim_queue_close(struct sim_queue *queue)
{
    struct sim_controller *controller = queue->controller;
    struct nvme_counters counters;
    enum nvme_error error;

    sim_moments(controller->sim);
    world_note(controller->model, "close: queue", queue->index, queue->outstanding, 0);
    queue->closing = true;
    world.hart = controller->irq_hart;
    error = nvme_queue_close(queue->engine);
    if ((error == NVME_ERR_STATE && controller->may_fail) ||
        (error == NVME_ERR_BUSY && controller->config.shared)) {
        queue->closing = false;
        controller->sim->ipi_taken |= UINT32_C(1) << queue->owner; /* it may have had one in vain */
        return; /* being disabled, or waited for: watched or interrupted, then again */
    }
    sim_mark_closed(queue);
    nvme_queue_count(queue->engine, &counters);
    controller->sim->bounces += counters.bounces;
    controller->stale += counters.stale;
    controller->malformed += counters.malformed;
    if (counters.missed != 0 && !controller->interrupts_lost) {
        sim_fail(controller->sim, "%llu interrupts missed, none was lost",
                 (unsigned long long)counters.missed);
    }
    if (error == NVME_ERR_STUCK && controller->may_fail) {
        controller->lost = true;
        return;
    }
    if (error != NVME_OK && !controller->may_fail) {
        sim_fail(controller->sim, "queue %u does not close: %s", queue->index,
                 nvme_error_text(error));
    }
    if (queue->outstanding != 0) {
        sim_hung(controller->sim, "%u requests of a closed queue never ended", queue->outstanding);
    }
}

bool sim_controller_open(struct sim_controller *controller)
{
    struct nvme_controller_info info;
    enum nvme_error error;

    world.hart = controller->irq_hart;
    error = nvme_controller_open(&controller->config, &controller->memory, &controller->engine);
    controller->failed = false;
    controller->dead = false;
    if (error == NVME_OK) {
        error = nvme_namespace_open(controller->engine, 1, &controller->ns);
    } else {
        controller->engine = NULL;
    }
    if (error != NVME_OK) {
        controller->failed = true;
        controller->dead = true;
        if (!controller->may_fail) {
            sim_fail(controller->sim, "the controller does not open: %s", nvme_error_text(error));
        }
        return false;
    }
    nvme_controller_describe(controller->engine, &info);
    controller->queue_count = info.queue_count;
    for (uint32_t i = 0; i < info.queue_count; i++) {
        if (!sim_queue_open(&controller->queues[i])) {
            return false;
        }
    }
    return true;
}

void sim_controller_close(struct sim_controller *controller)
{
    enum nvme_error error = NVME_OK;

    sim_shared_quiesce(controller);
    for (uint32_t i = 0; i < SIM_QUEUES; i++) {
        sim_deliver_all(controller->sim);
        if (controller->queues[i].open && !controller->lost) {
            sim_queue_close(&controller->queues[i]);
        }
    }
    if (controller->engine != NULL) {
        struct nvme_controller *engine = controller->engine;

        controller->engine = NULL; /* the handler is detached */
        world.hart = controller->irq_hart;
        error = nvme_controller_close(engine);
    }
    if (error == NVME_ERR_STUCK && controller->may_fail) {
        controller->lost = true;
    } else if (error != NVME_OK && !controller->may_fail) {
        sim_fail(controller->sim, "the controller does not close: %s", nvme_error_text(error));
    }
}

void sim_controllers_free(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->controller_count; i++) {
        model_free(sim->controllers[i].model);
        free(sim->controllers[i].memory.ordinary);
        kept_give(sim->controllers[i].shadow);
        free(sim->controllers[i].busy);
    }
    kept_give(sim->arena);
}
