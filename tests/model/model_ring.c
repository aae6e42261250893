// SPDX-License-Identifier: MIT
/*
 * The device's side of the rings: doorbells, fetch, completion entries, and the barriers between.
 */
#include <stdlib.h>
#include <string.h>

#include "model_internal.h"

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);

    if (memory == NULL) {
        abort();
    }
    return memory;
}

/* What was put into the ring and cleaned before the queue exists: a reset's posts. */
static void take_early_commands(struct model_sq *sq)
{
    const struct nvme_command *ring = world_host(sq->address);

    for (uint32_t i = 0; ring != NULL && i < sq->entries && !world.coherent; i++) {
        if (world_was_ever_cleaned(&ring[i], sizeof(ring[i]))) {
            sq->shadow[i] = ring[i];
        }
    }
}

void model_open_sq(struct model *model, uint32_t id, uint64_t address, uint32_t entries,
                   uint32_t cqid)
{
    model->sqs[id] = (struct model_sq){
        .exists = true,
        .address = address,
        .entries = entries,
        .cqid = cqid,
        .shadow = allocate(entries, sizeof(struct nvme_command)),
        .clean_epoch = allocate(entries, sizeof(uint64_t)),
        .busy = allocate(MODEL_CIDS / 8, 1),
    };
    take_early_commands(&model->sqs[id]);
}

void model_open_cq(struct model *model, uint32_t id, uint64_t address, uint32_t entries,
                   int32_t vector)
{
    const struct nvme_completion *ring = world_host(address);

    model->cqs[id] = (struct model_cq){
        .exists = true,
        .interrupts = vector != MODEL_NO_VECTOR,
        .vector = (uint16_t)(vector == MODEL_NO_VECTOR ? 0 : vector),
        .address = address,
        .entries = entries,
        .phase = 1,
        .loaded = allocate(entries, 1),
        .written = allocate(entries, sizeof(struct model_written)),
        .holds = model->cqs[id].holds + 1, /* what was held back of an older one has gone */
        .seen_entry = UINT32_MAX,
    };
    model->cq_end = id >= model->cq_end ? id + 1 : model->cq_end;
    model_check_emptied(ring, entries);
    for (uint32_t i = 0; i < entries; i++) {
        if ((ring[i].status & NVME_CQE_PHASE) != 0) {
            world_find("a completion ring is handed over with a stale phase bit");
        }
    }
}

void model_close_sq(struct model *model, uint32_t id)
{
    struct model_sq *sq = &model->sqs[id];

    free(sq->shadow);
    free(sq->clean_epoch);
    free(sq->busy);
    *sq = (struct model_sq){.doorbells = sq->doorbells};
}

void model_close_cq(struct model *model, uint32_t id)
{
    struct model_cq *cq = &model->cqs[id];

    free(cq->loaded);
    free(cq->written);
    *cq = (struct model_cq){.doorbells = cq->doorbells, .holds = cq->holds};
}

/* Checks a load by its last dword: status first, a barrier, then each other dword once. */
static void check_load(struct model_cq *cq, uint32_t entry, uint32_t dword)
{
    uint8_t bit = (uint8_t)(1U << dword);

    if (dword == 3) {
        model_check_invalidated(cq, entry);
        cq->seen_entry = entry;
        cq->seen_at_barrier = world.phase_barriers;
        return;
    }
    if (cq->seen_entry != entry || cq->seen_at_barrier == world.phase_barriers) {
        world_find("a completion field is read without a barrier after its phase");
    }
    if ((cq->loaded[entry] & bit) != 0) {
        world_find("a completion field is read twice");
    }
    cq->loaded[entry] |= bit;
}

void model_completion_loaded(struct model *model, const volatile void *address, size_t size)
{
    for (uint32_t id = 0; id < MODEL_QUEUES; id++) {
        struct model_cq *cq = &model->cqs[id];
        uintptr_t start = cq->exists ? (uintptr_t)world_host(cq->address) : 0;
        uintptr_t offset = (uintptr_t)address - start;

        if (cq->exists && (uintptr_t)address >= start &&
            offset < cq->entries * sizeof(struct nvme_completion)) {
            check_load(cq, (uint32_t)(offset / sizeof(struct nvme_completion)),
                       (uint32_t)((offset % sizeof(struct nvme_completion) + size) / 4 - 1));
            return;
        }
    }
}

uint32_t model_cq_held(const struct model *model, uint32_t cqid)
{
    const struct model_cq *cq = &model->cqs[cqid];
    bool looks = model_has_shadow(model, cqid) && !model->shadow_deaf;
    uint32_t head = looks ? model_shadow_value(model, cqid, true) : cq->head;

    return (cq->tail + cq->entries - head) % cq->entries;
}

bool model_cq_full(const struct model *model, uint32_t cqid)
{
    return model_cq_held(model, cqid) == model->cqs[cqid].entries - 1;
}

static void bend(struct model *model, uint32_t cqid, struct nvme_completion *entry)
{
    void (*change)(struct model *, uint32_t, struct nvme_completion *) = model->bend;

    if ((cqid != 0 || model->bends_admin) && change != NULL) {
        model->bend = NULL;
        model->written = (struct model_written){0}; /* nothing is owed for an entry that is wrong */
        change(model, cqid, entry);
    }
}

void model_post_entry(struct model *model, uint32_t cqid, struct nvme_completion entry)
{
    struct model_cq *cq = &model->cqs[cqid];
    struct nvme_completion *slot = (struct nvme_completion *)world_host(cq->address) + cq->tail;
    bool was_empty = cq->head == cq->tail;

    if (model_has_shadow(model, cqid)) {
        model_shadow_tell_head(model, cqid);
        model_look_at_head(model, cqid);
    }
    if (model_cq_full(model, cqid)) {
        world_find("completion queue %u overflows", cqid);
        return;
    }
    entry.status &= (uint32_t)~NVME_CQE_PHASE;
    entry.status |= (uint32_t)NVME_PUT(NVME_CQE_PHASE, cq->phase);
    bend(model, cqid, &entry);
    cq->unseen |= NVME_GET(NVME_CQE_PHASE, entry.status) != cq->phase;
    model_reach(slot, sizeof(*slot), true);
    *slot = entry;
    world_note(model, "entry: CQ, cid, sf", cqid, (uint16_t)entry.status, entry.status >> 17);
    cq->loaded[cq->tail] = 0;
    cq->written[cq->tail] = model->written;
    model->written = (struct model_written){0};
    cq->posted++;
    if (++cq->tail == cq->entries) {
        cq->tail = 0;
        cq->phase ^= 1;
    }
    model_interrupt_posted(model, cq, was_empty);
}

void model_answer(struct model *model, const struct model_pending *pending,
                  struct model_answer answer)
{
    struct model_sq *sq = &model->sqs[pending->sqid];
    uint32_t cid = (uint32_t)NVME_GET(NVME_CDW0_CID, pending->command.cdw0);
    struct nvme_completion entry = {
        .dw0 = answer.dw0,
        .sq = sq->head | (uint32_t)pending->sqid << 16,
        .status = cid | (uint32_t)answer.status << 17,
    };

    sq->busy[cid / 8] &= (uint8_t) ~(1U << cid % 8);
    model_post_entry(model, sq->cqid, entry);
}

/* What every command must be, whatever it does. */
static void check_command(const struct model *model, struct model_sq *sq, uint32_t entry,
                          const struct nvme_command *command)
{
    uint32_t cid = (uint32_t)NVME_GET(NVME_CDW0_CID, command->cdw0);
    /* The tail is newer than the write of a register that is still on its way. */
    bool by_memory = model_has_shadow(model, (uint32_t)(sq - model->sqs)) &&
                     world.shadow_barriers > sq->clean_epoch[entry];

    if (world.coherent) {
        /* What the hart has stored is there. */
    } else if (memcmp(&sq->shadow[entry], command, sizeof(*command)) != 0) {
        world_find("a command was changed after it was cleaned for the device");
    } else if (sq->clean_epoch[entry] == world.doorbell_barriers && !by_memory) {
        world_find("a doorbell without a barrier after the command it rings for");
    }
    if ((command->cdw0 & NVME_CDW0_FUSE) != 0 || command->mptr != 0 ||
        NVME_GET(NVME_CDW0_PSDT, command->cdw0) > (model->sgls != 0 ? NVME_PSDT_SGL : 0)) {
        world_find("fuse or MPTR of a command is not 0, or PSDT is not PRPs or SGLs");
    }
    if (cid == 0xffff) {
        world_find("command id 0xffff is issued");
    }
    if (!model->ids_repeat && (sq->busy[cid / 8] >> cid % 8 & 1) != 0) {
        world_find("command id %#x is in flight already", cid);
    }
    sq->busy[cid / 8] |= (uint8_t)(1U << cid % 8);
}

static void fetch(struct model *model, uint32_t id)
{
    struct model_sq *sq = &model->sqs[id];

    while (sq->head != sq->tail) {
        bool flies = model->timing.on && id != 0 && model->hang_next == 0;
        struct model_pending fetched;
        struct model_pending *pending = flies ? &fetched : &model->pending[model->pending_count];
        const struct nvme_command *ring = world_host(sq->address);

        if (model->pending_count == MODEL_PENDING) {
            world_panic("more than MODEL_PENDING (tests/model/model.h) commands are unanswered");
        }
        model_reach(&ring[sq->head], sizeof(*ring), false);
        *pending = (struct model_pending){
            .command = ring[sq->head],
            .clean_epoch = sq->clean_epoch[sq->head],
            .sqid = (uint16_t)id,
        };
        world_note(model, "fetch: SQ, cid, op", id, NVME_GET(NVME_CDW0_CID, pending->command.cdw0),
                   NVME_GET(NVME_CDW0_OPCODE, pending->command.cdw0));
        check_command(model, sq, sq->head, &pending->command);
        if (id != 0 && model->hang_next != 0) {
            model->hang_next--;
            pending->hangs = true;
        }
        if (id == 0 && (model->admin_silent || model_holds_command(model, pending))) {
            pending->hangs = true;
        }
        model->pending_count += !flies;
        sq->fetched++;
        sq->head = sq->head + 1 == sq->entries ? 0 : sq->head + 1;
        if (flies) {
            model_begin_flight(model, pending);
        }
    }
}

/* Admin commands are executed at once; I/O commands when the test wants. */
static void run(struct model *model, uint32_t id)
{
    if (id == 0) {
        for (uint32_t i = 0; i < model->pending_count; i++) {
            if (model->pending[i].sqid == 0 && !model->pending[i].hangs) {
                model_step_one(model, i);
                return;
            }
        }
    } else if (!model->on_demand && !model->timing.on) {
        model_step(model, UINT32_MAX);
    }
}

void model_move_tail(struct model *model, uint32_t id, uint32_t value)
{
    model->sqs[id].tail = value;
    fetch(model, id);
    run(model, id);
    if (id == 0) {
        model_tell_events(model);
    }
}

static void ring_sq(struct model *model, uint32_t id, uint32_t value)
{
    struct model_sq *sq = &model->sqs[id];

    if (value >= sq->entries) {
        world_find("SQ %u: tail %u of %u entries", id, value, sq->entries);
        return;
    }
    if (model_has_shadow(model, id) && !model->shadow_deaf) {
        model_look_at_tail(model, id);
        return;
    }
    if (value == sq->tail) {
        world_find("SQ %u: a doorbell that adds nothing", id);
    }
    model->timing.waiting_rings++;
    model_move_tail(model, id, value);
}

void model_move_head(struct model_cq *cq, uint32_t value)
{
    uint32_t held = (cq->tail + cq->entries - value) % cq->entries;

    if (!world.coherent) {
        model_check_given_back(cq, value);
    }
    cq->head = value;
    cq->held = cq->held < held ? cq->held : held;
    cq->holds += cq->held == 0;
}

static void ring_cq(struct model *model, uint32_t id, uint32_t value)
{
    struct model_cq *cq = &model->cqs[id];
    uint32_t held = (cq->tail + cq->entries - cq->head) % cq->entries;
    uint32_t given = (value + cq->entries - cq->head) % cq->entries;

    if (model_has_shadow(model, id) && !model->shadow_deaf) {
        uint32_t from = cq->head;

        model_look_at_head(model, id);
        /* QEMU goes by the register till it posts the next entry. One that is late is behind. */
        if (model->counts_pending && given <= (cq->head + cq->entries - from) % cq->entries) {
            cq->head = value;
        }
        model_interrupt_rung(model, cq);
        return;
    }
    if (world.loads != 0) {
        world_find("CQ %u: a head doorbell without a barrier after the entries were read", id);
    }
    if (value >= cq->entries || given > held) {
        world_find("CQ %u: head %u gives back entries that were not posted", id, value);
        return;
    }
    if (given == 0) {
        if (model->empty_heads++ >= model->empty_heads_allowed && !model_count_leaked(model)) {
            world_find("CQ %u: a head doorbell that consumes nothing", id);
        }
        if (model->pending_extra != 0 && !model->line_broken && cq->head == cq->tail) {
            model->pending_extra--;
        }
    }
    model_move_head(cq, value);
    model_interrupt_rung(model, cq);
}

void model_ring_doorbell(struct model *model, uint32_t offset, uint32_t value)
{
    uint32_t stride = 4U << model->cap.stride;
    uint32_t number = (offset - NVME_REG_DOORBELLS) / stride;
    uint32_t id = number / 2;
    bool is_cq = number % 2 != 0;

    if ((offset - NVME_REG_DOORBELLS) % stride != 0 || id >= MODEL_QUEUES) {
        world_find("a doorbell at offset %#x, which is none", offset);
        return;
    }
    if (!model->ready || (model->cc & NVME_CC_EN) == 0) {
        world_find("a doorbell while the controller is not ready");
        return;
    }
    if (is_cq ? !model->cqs[id].exists : !model->sqs[id].exists) {
        world_find("a doorbell of %s %u, which does not exist", is_cq ? "CQ" : "SQ", id);
        return;
    }
    if (model_has_shadow(model, id) && !model->posted &&
        value != model_shadow_value(model, id, is_cq)) {
        world_find("the doorbell of %s %u is not its shadow", is_cq ? "CQ" : "SQ", id);
    }
    model_check_status_barrier(model);
    world_note(model, is_cq ? "CQ doorbell" : "SQ doorbell", id, value, 0);
    if (is_cq) {
        model->cqs[id].doorbells++;
        ring_cq(model, id, value);
    } else {
        model->sqs[id].doorbells++;
        ring_sq(model, id, value);
    }
}
