// SPDX-License-Identifier: MIT
/*
 * The fault classes: a line in faults.def, a function or two here, their names in the last table.
 */
#include <string.h>

#include "sim.h"

enum {
    STATUS_WRITE_FAULT = 0x280,
    STATUS_READ_ERROR = 0x281,
    MEDIA_FAULTS = 4,
};

bool sim_fault_on(const struct sim *sim, uint32_t number)
{
    return (sim->faults >> (number - 1) & 1) != 0;
}

static struct random *random_of(struct sim_controller *controller)
{
    return &controller->sim->random;
}

/* An open queue with room for an entry more than the engine expects; all it posted is fetched. */
static struct sim_queue *queue_with_room(struct sim_controller *controller)
{
    struct sim_queue *queue = &controller->queues[random_below(random_of(controller), SIM_QUEUES)];
    const struct model_cq *cq = &controller->model->cqs[queue->index + 1];
    uint32_t held;

    if (!queue->open || !cq->exists || !controller->model->ready) {
        return NULL;
    }
    sim_submit(queue);
    held = model_cq_held(controller->model, queue->index + 1);
    return held + nvme_queue_outstanding(queue->engine) + 2 < cq->entries ? queue : NULL;
}

/* From now on interrupts of this line may be missed: lost, or hidden by a line held high. */
static void may_miss(const struct sim_controller *controller)
{
    struct sim *sim = controller->sim;

    for (uint32_t i = 0; i < sim->controller_count; i++) {
        sim->controllers[i].interrupts_lost |=
            sim->controllers[i].line == controller->line || &sim->controllers[i] == controller;
    }
}

/* An entry that no command asked for: on an idle queue it holds the line up, and nobody looks. */
static void post_stale(struct sim_queue *queue, uint16_t cid)
{
    struct sim_controller *controller = queue->controller;
    const struct model_sq *sq = &controller->model->sqs[queue->index + 1];

    may_miss(controller);

    model_post_entry(controller->model, sq->cqid,
                     (struct nvme_completion){
                         .sq = sq->head | (queue->index + 1) << 16,
                         .status = cid,
                     });
    controller->stale_sent++;
}

static bool in_flight(const struct sim_queue *queue, uint16_t cid)
{
    const struct model_sq *sq = &queue->controller->model->sqs[queue->index + 1];

    return (sq->busy[cid / 8] >> cid % 8 & 1) != 0;
}

/* ---- 1: fields written after the phase --------------------------------------------------- */

static struct nvme_completion *late_entry;
static uint32_t late_sq;

static void write_late_fields(void *arg)
{
    (void)arg;
    late_entry->sq = late_sq;
}

static void tear(struct model *model, uint32_t cqid, struct nvme_completion *entry)
{
    const struct model_cq *cq = &model->cqs[cqid];

    late_entry = (struct nvme_completion *)world_host(cq->address) + cq->tail;
    late_sq = entry->sq;
    entry->sq = ~entry->sq;
    /* In time if the driver comes to its next entry first, too late if this is it and it did. */
    world.meanwhile[WORLD_AT_PHASE] = write_late_fields;
}

static bool inject_torn(struct sim_controller *controller)
{
    controller->model->bend = tear;
    controller->counts_exact = false;
    return true;
}

/* ---- 2: rewritten between two reads ------------------------------------------------------ */

/* The entry whose status has just been loaded gets another id and status. */
static void rewrite(void *arg)
{
    struct sim *sim = arg;
    uint32_t *status = (uint32_t *)((uintptr_t)world.last_load + world.last_load_bytes) - 1;

    *status ^= (uint32_t)~NVME_CQE_PHASE;
    sim->injected[FAULT_REWRITTEN]++;
}

static bool inject_rewritten(struct sim_controller *controller)
{
    world.meanwhile_arg = controller->sim;
    world.meanwhile[WORLD_AT_PHASE] = rewrite;
    return false; /* counted when it happens */
}

/* ---- 3, 4, 5: entries that are wrong ----------------------------------------------------- */

static bool inject_duplicate(struct sim_controller *controller)
{
    struct sim_queue *queue = queue_with_room(controller);
    const struct model_cq *cq;
    const struct nvme_completion *ring;
    uint16_t cid;

    if (queue == NULL) {
        return false;
    }
    cq = &controller->model->cqs[queue->index + 1];
    ring = world_host(cq->address);
    cid = (uint16_t)ring[(cq->tail + cq->entries - 1) % cq->entries].status;
    if (cq->posted == 0 || in_flight(queue, cid)) {
        return false;
    }
    post_stale(queue, cid);
    return true;
}

static bool inject_wrong_cid(struct sim_controller *controller)
{
    struct sim_queue *queue = queue_with_room(controller);
    uint16_t cid = (uint16_t)random_next(random_of(controller));

    if (queue == NULL) {
        return false;
    }
    if (random_chance(random_of(controller), 200)) {
        cid = 0xffff;
    } else if (controller->model->pending_count != 0 && random_chance(random_of(controller), 500)) {
        /* The slot of a command in flight, another generation. */
        cid = (uint16_t)(NVME_GET(NVME_CDW0_CID, controller->model->pending[0].command.cdw0) +
                         0x1000);
    }
    if (in_flight(queue, cid)) {
        return false;
    }
    post_stale(queue, cid);
    return true;
}

static void spoil(struct model *model, uint32_t cqid, struct nvme_completion *entry)
{
    struct sim *sim = model->bend_arg;

    switch (random_below(&sim->random, 4)) {
    case 0:
        entry->sq = (entry->sq & 0xffff) | (cqid + 1) << 16;
        break;
    case 1:
        entry->sq |= 0xffff;
        break;
    case 2:
        entry->status ^= (uint32_t)NVME_CQE_PHASE;
        break;
    default:
        entry->status |= (uint32_t)random_between(&sim->random, 1, 0x7fff) << 17;
    }
}

static bool inject_spoiled(struct sim_controller *controller)
{
    controller->model->bend = spoil;
    controller->model->bend_arg = controller->sim;
    controller->counts_exact = false;
    may_miss(controller); /* with a wrong phase it is never consumed */
    return true;
}

/* ---- 6, 7: interrupts -------------------------------------------------------------------- */

static bool inject_lost_interrupt(struct sim_controller *controller)
{
    bool lost = sim_lose_interrupt(controller);

    if (lost) {
        may_miss(controller);
    }
    return lost;
}

/* One interrupt for nothing, or so many that it is a storm. */
static bool inject_spurious(struct sim_controller *controller)
{
    struct sim *sim = controller->sim;
    uint32_t count = random_chance(random_of(controller), 50) ? NVME_STORM_INTERRUPTS : 1;
    uint32_t index = random_below(random_of(controller), SIM_QUEUES);
    uint32_t source = controller->line;

    if (controller->config.msix) {
        source = SIM_CONTROLLERS + (uint32_t)(controller - sim->controllers) * SIM_QUEUES + index;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (controller->config.msix) {
            controller->model->vectors[index + 1].arrived = true;
        } else if (!sim->lines[source].in_service) {
            sim->lines[source].pending = true;
        }
        if (count > 1) {
            sim_interrupts(sim, source);
            sim_deliver_all(sim);
        }
    }
    return true;
}

/* ---- 17, 18: a device that is dead, or gone ---------------------------------------------- */

static bool inject_fatal(struct sim_controller *controller)
{
    controller->model->fatal = true;
    controller->model->stop_never = random_chance(random_of(controller), 200);
    return true;
}

static bool prepare_never_ready(struct sim_controller *controller)
{
    controller->model->ready_never = random_chance(random_of(controller), 100);
    return controller->model->ready_never;
}

static bool inject_removed(struct sim_controller *controller)
{
    model_remove(controller->model);
    return true;
}

/* ---- 11, 23: resets, and resources that run out ------------------------------------------ */

static bool inject_reset(struct sim_controller *controller)
{
    sim_controller_close(controller);
    if (!controller->lost && sim_good(controller->sim)) {
        sim_controller_open(controller);
    }
    return true;
}

/* The memory of the next opening is a byte short, once in each region. */
static bool inject_short_memory(struct sim_controller *controller)
{
    sim_controller_close(controller);
    for (int i = 0; i < 2 && sim_good(controller->sim); i++) {
        struct nvme_memory memory = controller->memory;
        struct nvme_controller *engine = NULL;
        enum nvme_error error;

        memory.ordinary_bytes -= i == 0;
        memory.dma_bytes -= i == 1;
        error = nvme_controller_open(&controller->config, &memory, &engine);
        if (error != NVME_ERR_MEMORY && !controller->may_fail) {
            sim_fail(controller->sim, "opened with too little memory: %s", nvme_error_text(error));
        }
    }
    if (sim_good(controller->sim) && !controller->lost) {
        sim_controller_open(controller);
    }
    return true;
}

/* ---- 16, 19, 20, 21, 22: sizes, splits, full queues, media errors ------------------------ */

static bool always(struct sim_controller *controller)
{
    return controller != NULL;
}

static bool prepare_small_queues(struct sim_controller *controller)
{
    struct nvme_config *config = &controller->config;
    uint32_t surplus = config->cq_depth_entries - config->depth_entries;

    config->depth_entries = random_between(random_of(controller), 2, 4);
    config->cq_depth_entries = config->depth_entries + surplus;
    return true;
}

/* ---- 12, 13: shadow doorbells ------------------------------------------------------------- */

/* Event indexes wrap all the time. */
static bool prepare_wraps(struct sim_controller *controller)
{
    controller->config.shadow_doorbells = true;
    controller->model->shadow_offered = true;
    return prepare_small_queues(controller);
}

/* It reads registers only and asks for none: the watchdog has to ring. */
static bool prepare_deaf(struct sim_controller *controller)
{
    controller->config.shadow_doorbells = true;
    controller->model->shadow_offered = true;
    controller->model->shadow_deaf = true;
    controller->interrupts_lost = true; /* what they would tell of waits for the watchdog */
    return true;
}

/* A reap that finds nothing must ring nothing: the model says so if it does. */
static bool inject_empty_reap(struct sim_controller *controller)
{
    for (uint32_t i = 0; i < SIM_QUEUES; i++) {
        if (controller->queues[i].open) {
            sim_reap(&controller->queues[i]);
            sim_reap(&controller->queues[i]);
        }
    }
    return true;
}

static bool prepare_media_errors(struct sim_controller *controller)
{
    struct sim *sim = controller->sim;

    for (uint32_t i = 0; i < MEDIA_FAULTS; i++) {
        bool writes = random_chance(&sim->random, 500);

        model_add_fault(controller->model, writes ? NVME_CMD_WRITE : NVME_CMD_READ,
                        random_below(&sim->random, (uint32_t)sim->block_count),
                        writes ? STATUS_WRITE_FAULT : STATUS_READ_ERROR);
    }
    return true;
}

/* Splits are made likely by a small limit; their parts end in any order as it is. */
static bool prepare_failing_parts(struct sim_controller *controller)
{
    controller->config.max_transfer_bytes = 4096;
    return sim_fault_on(controller->sim, FAULT_MEDIA) || prepare_media_errors(controller);
}

/* Commands in flight when the controller is disabled: sim_device() moves their data. */
static bool prepare_late_dma(struct sim_controller *controller)
{
    controller->model->stops_late = true;
    return false; /* counted when it happens */
}

const struct sim_fault sim_faults[FAULT_CLASSES + 1] = {
    [FAULT_TORN] = {NULL, inject_torn},
    [FAULT_REWRITTEN] = {NULL, inject_rewritten},
    [FAULT_DUPLICATE] = {NULL, inject_duplicate},
    [FAULT_CID] = {NULL, inject_wrong_cid},
    [FAULT_SPOILED] = {NULL, inject_spoiled},
    [FAULT_LOST] = {NULL, inject_lost_interrupt},
    [FAULT_SPURIOUS] = {NULL, inject_spurious},
    [FAULT_SILENT] = {NULL, sim_inject_silence},
    [FAULT_ABORT] = {sim_prepare_abort, sim_inject_late},
    [FAULT_DMA] = {prepare_late_dma, inject_fatal},
    [FAULT_RESET] = {NULL, inject_reset},
    [FAULT_DEAF] = {prepare_deaf, NULL},
    [FAULT_WRAP] = {prepare_wraps, NULL},
    [FAULT_EVENT] = {sim_prepare_events, sim_inject_event},
    [FAULT_LIE] = {sim_prepare_lies, NULL},
    [FAULT_SIZE] = {always, NULL},
    [FAULT_DEAD] = {prepare_never_ready, inject_fatal},
    [FAULT_GONE] = {NULL, inject_removed},
    [FAULT_PARTS] = {prepare_failing_parts, NULL},
    [FAULT_FULL] = {prepare_small_queues, NULL},
    [FAULT_EMPTY] = {NULL, inject_empty_reap},
    [FAULT_MEDIA] = {prepare_media_errors, NULL},
    [FAULT_MEMORY] = {NULL, inject_short_memory},
    [FAULT_POWER] = {sim_prepare_cache, sim_cut_power},
};
