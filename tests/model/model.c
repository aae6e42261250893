// SPDX-License-Identifier: MIT
/*
 * The register file: CAP, CC, CSTS and the rest, and the rules for writing them.
 */
#include "model.h"

#include <stdlib.h>
#include <string.h>

#include "kept.h"
#include "model_internal.h"

enum {
    PAGE = 4096,
    BAR_BYTES = 16384,
    MEDIUM_BLOCKS = 2048,
    REGISTER_VS_1_4 = 0x10400,
};

struct model *model_new_bare(void)
{
    struct model *model = calloc(1, sizeof(*model));

    if (model == NULL) {
        abort();
    }
    model->bar_bytes = BAR_BYTES;
    model->bar = kept_take(PAGE, BAR_BYTES);
    model->pending = kept_take(sizeof(uint64_t), MODEL_PENDING * sizeof(*model->pending));
    model->cap = (struct model_cap){
        .mqes = 2047,
        .timeout_units = 15,
        .page_max = 4,
        .nvm = true,
    };
    model->ready_told_barrier = UINT64_MAX;
    model->version = REGISTER_VS_1_4;
    model->mdts = 7;
    model->sqes = 0x66;
    model->cqes = 0x44;
    model->write_cache = 1;
    model->cntlid = 0x1234;
    model->namespace_count = MODEL_NAMESPACES;
    model->granted = 64;
    world_attach(model);
    return model;
}

struct model *model_new(void)
{
    struct model *model = model_new_bare();

    model_set_namespace(model, 1, 9, MEDIUM_BLOCKS);
    return model;
}

void model_free(struct model *model)
{
    world_detach(model);
    for (uint32_t i = 0; i < MODEL_QUEUES; i++) {
        model_close_sq(model, i);
        model_close_cq(model, i);
    }
    for (uint32_t i = 0; i < MODEL_NAMESPACES; i++) {
        kept_give(model->namespaces[i].backing);
        kept_give(model->namespaces[i].durable);
    }
    kept_give(model->pending);
    kept_give(model->flights);
    kept_give(model->bar);
    free(model);
}

uint8_t model_pattern(uint64_t address)
{
    return (uint8_t)(address ^ address >> 8 ^ address >> 16 ^ 0x5a);
}

void model_set_namespace(struct model *model, uint32_t nsid, uint8_t block_shift,
                         uint64_t block_count)
{
    struct model_namespace *ns = &model->namespaces[nsid - 1];

    kept_give(ns->backing);
    *ns = (struct model_namespace){
        .active = true,
        .block_shift = block_shift,
        .block_count = block_count,
        .backing_bytes = (size_t)block_count << block_shift,
    };
    ns->backing = kept_take(sizeof(uint64_t), ns->backing_bytes);
    /* Eight bytes at once: the lowest three bits of their addresses are all that differs. */
    for (size_t i = 0; i < ns->backing_bytes; i += sizeof(uint64_t)) {
        uint64_t word = model_pattern(i) * UINT64_C(0x0101010101010101);

        word ^= UINT64_C(0x0706050403020100);
        memcpy(ns->backing + i, &word, sizeof(word));
    }
}

void model_set_empty_namespace(struct model *model, uint32_t nsid, uint8_t block_shift,
                               uint64_t block_count)
{
    kept_give(model->namespaces[nsid - 1].backing);
    model->namespaces[nsid - 1] = (struct model_namespace){
        .active = true,
        .block_shift = block_shift,
        .block_count = block_count,
    };
}

void model_add_fault(struct model *model, uint8_t opcode, uint64_t lba, uint16_t status)
{
    for (uint32_t i = 0; i < MODEL_FAULTS; i++) {
        if (model->faults[i].opcode == 0) {
            model->faults[i] = (struct model_fault){opcode, status, lba};
            return;
        }
    }
    abort();
}

static uint64_t cap_value(const struct model_cap *cap)
{
    return NVME_PUT(NVME_CAP_MQES, cap->mqes) | NVME_CAP_CQR |
           NVME_PUT(NVME_CAP_TO, cap->timeout_units) | NVME_PUT(NVME_CAP_DSTRD, cap->stride) |
           (cap->nvm ? NVME_CAP_CSS_NVM : 0) | NVME_PUT(NVME_CAP_MPSMIN, cap->page_min) |
           NVME_PUT(NVME_CAP_MPSMAX, cap->page_max);
}

/* RDY follows EN after a while, or never. */
static void follow_enable(struct model *model)
{
    bool enabled = (model->cc & NVME_CC_EN) != 0;
    bool never = enabled ? model->ready_never : model->stop_never;

    if (enabled != model->ready && !never && world.now_ns >= model->change_at_ns) {
        if (!enabled) {
            model_finish_late(model);
        }
        model->ready = enabled;
    }
}

/* A driver that has seen RDY change may use memory only after a barrier. */
static void note_ready_told(struct model *model)
{
    if (model->ready != model->told_ready) {
        model->told_ready = model->ready;
        model->ready_told_barrier = world.register_barriers;
    }
}

void model_check_status_barrier(struct model *model)
{
    if (model->ready_told_barrier == world.register_barriers) {
        world_find("memory is used without a barrier after CSTS.RDY was read");
    }
    model->ready_told_barrier = UINT64_MAX;
}

static uint32_t read_status(struct model *model)
{
    uint32_t csts = 0;

    follow_enable(model);
    note_ready_told(model);
    csts |= model->ready ? (uint32_t)NVME_CSTS_RDY : 0;
    csts |= model->fatal || (model->fatal_when_ready && model->ready) ? (uint32_t)NVME_CSTS_CFS : 0;
    if (model->shut_down && !model->shutdown_never && world.now_ns >= model->shut_down_at_ns) {
        csts |= (uint32_t)NVME_PUT(NVME_CSTS_SHST, NVME_CSTS_SHST_COMPLETE);
    }
    return csts;
}

static uint32_t read_register(struct model *model, uint32_t offset)
{
    uint64_t cap = cap_value(&model->cap);

    if (model->gone) {
        return NVME_REGISTER_GONE;
    }
    if (offset % 4 != 0 || offset >= NVME_REG_DOORBELLS) {
        world_find("read of a register that is none: %#x", offset);
    }
    switch (offset) {
    case NVME_REG_CAP:
        return (uint32_t)cap;
    case NVME_REG_CAP + 4:
        return (uint32_t)((cap | (model->crto != 0 ? NVME_CAP_CRWMS : 0)) >> 32);
    case NVME_REG_CRTO:
        return model->crto;
    case NVME_REG_VS:
        return model->version;
    case NVME_REG_INTMS:
    case NVME_REG_INTMC:
        return model->interrupt_mask;
    case NVME_REG_CC:
        return model->cc;
    case NVME_REG_CSTS:
        return read_status(model);
    default:
        return 0;
    }
}

uint32_t model_register_read_now(struct model *model, uint32_t offset)
{
    uint32_t value = read_register(model, offset);

    return model->lie != NULL ? model->lie(model, offset, value) : value;
}

/* EN = 0: queues and mask are gone at once, and what was under way unless it stops late. */
static void stop(struct model *model)
{
    for (uint32_t i = 0; i < MODEL_QUEUES; i++) {
        const struct model_cq *cq = &model->cqs[i];

        if (model->stop_leaks && cq->exists && cq->interrupts && cq->head != cq->tail) {
            model->pending_extra++;
        }
        model_close_sq(model, i);
        model_close_cq(model, i);
    }
    if (!model->stops_late) {
        model->pending_count = 0;
    }
    model->interrupt_mask = 0;
    model->shut_down = false;
    model->shadow_page = 0;
    model->event_page = 0;
    model->acre = false;
    model_forget_events(model);
}

static void start(struct model *model)
{
    uint32_t shift = (uint32_t)NVME_GET(NVME_CC_MPS, model->cc);

    model->pending_count = 0;
    model->starts++;
    model->timing.random.state = model->timing.seed; /* each life has the same draws: modes pair */
    model_check_status_barrier(model);
    if (model->ready) {
        world_find("CC.EN is set before CSTS.RDY has fallen");
    }
    if (!model->bus_master) {
        world_find("CC.EN is set before bus mastering");
    }
    if (NVME_GET(NVME_CC_IOSQES, model->cc) != NVME_SQE_SHIFT ||
        NVME_GET(NVME_CC_IOCQES, model->cc) != NVME_CQE_SHIFT) {
        world_find("CC.EN is set without the entry sizes: CC %#x", model->cc);
    }
    if (shift < model->cap.page_min || shift > model->cap.page_max) {
        world_find("CC.MPS outside of CAP's range: %u", shift);
    }
    model->page_bytes = 4096U << shift;
    if (model->asq % model->page_bytes != 0 || model->acq % model->page_bytes != 0 ||
        model->asq == 0 || model->acq == 0) {
        world_find("ASQ or ACQ is not the address of a page");
    }
    if (world_was_cleaned(world_host(model->acq), sizeof(struct nvme_completion),
                          world.doorbell_barriers)) {
        world_find("CC.EN is set without a barrier after the rings were emptied");
    }
    model_open_cq(model, 0, model->acq, (uint32_t)NVME_GET(NVME_AQA_ACQS, model->aqa) + 1, 0);
    model_open_sq(model, 0, model->asq, (uint32_t)NVME_GET(NVME_AQA_ASQS, model->aqa) + 1, 0);
}

void model_allow_dma(struct model *model)
{
    if ((model->cc & NVME_CC_EN) != 0 || model->ready) {
        world_find("bus mastering is turned on while the controller runs");
    }
    model->bus_master = true;
}

static void write_cc(struct model *model, uint32_t value)
{
    uint32_t changed = model->cc ^ value;
    bool was_enabled = (model->cc & NVME_CC_EN) != 0;

    if (was_enabled && (value & NVME_CC_EN) != 0 &&
        (changed & (NVME_CC_MPS | NVME_CC_CSS | NVME_CC_AMS)) != 0) {
        world_find("CC.MPS, CSS or AMS is changed while EN is 1");
    }
    model->cc = value;
    if ((changed & NVME_CC_EN) != 0) {
        model->change_at_ns = world.now_ns + model->ready_delay_ns;
        if (was_enabled) {
            stop(model);
        } else {
            start(model);
            model->gone = model->gone_when_enabled;
        }
    }
    if (NVME_GET(NVME_CC_SHN, value) == NVME_CC_SHN_NORMAL && (value & NVME_CC_EN) != 0) {
        model->shut_down = true;
        model->shut_down_at_ns = world.now_ns + model->shutdown_delay_ns;
    }
    model_update_line(model);
}

static void write_half(uint64_t *target, uint32_t offset, uint32_t value)
{
    if (offset % 8 == 0) {
        *target = (*target & ~UINT64_C(0xffffffff)) | value;
    } else {
        *target = (*target & UINT64_C(0xffffffff)) | (uint64_t)value << 32;
    }
}

static void write_register(struct model *model, uint32_t offset, uint32_t value)
{
    bool admin = offset == NVME_REG_AQA || (offset >= NVME_REG_ASQ && offset < NVME_REG_ACQ + 8);

    if (admin && (model->cc & NVME_CC_EN) != 0) {
        world_find("register %#x is written while CC.EN is 1", offset);
    }
    if (model->msix && (offset == NVME_REG_INTMS || offset == NVME_REG_INTMC)) {
        world_find("the line's mask is written while MSI-X is on");
    }
    switch (offset) {
    case NVME_REG_INTMS:
        model->interrupt_mask |= value;
        break;
    case NVME_REG_INTMC:
        model->interrupt_mask &= ~value;
        break;
    case NVME_REG_CC:
        write_cc(model, value);
        break;
    case NVME_REG_AQA:
        model->aqa = value;
        break;
    case NVME_REG_ASQ:
    case NVME_REG_ASQ + 4:
        write_half(&model->asq, offset, value);
        break;
    case NVME_REG_ACQ:
    case NVME_REG_ACQ + 4:
        write_half(&model->acq, offset, value);
        break;
    default:
        world_find("write to a register that is read-only or none: %#x", offset);
    }
    model_update_line(model);
}

void model_register_write_now(struct model *model, uint32_t offset, uint32_t value)
{
    if (model->gone) {
        return;
    }
    model_judge_mask(model, offset, value);
    if (offset >= NVME_REG_DOORBELLS) {
        if (model->doorbell_count < MODEL_LOG) {
            model->doorbells[model->doorbell_count] = (struct model_write){offset, value};
        }
        model->doorbell_count++;
        model_ring_doorbell(model, offset, value);
        return;
    }
    world.register_writes++;
    world_note(model, "register, value", offset, value, 0);
    if (model->write_count < MODEL_LOG) {
        model->writes[model->write_count] = (struct model_write){offset, value};
    }
    model->write_count++;
    write_register(model, offset, value);
}

uint32_t model_doorbell_count(const struct model *model, uint32_t queue_id, bool is_cq)
{
    return is_cq ? model->cqs[queue_id].doorbells : model->sqs[queue_id].doorbells;
}

uint32_t model_doorbell_last(const struct model *model, uint32_t queue_id, bool is_cq)
{
    return is_cq ? model->cqs[queue_id].head : model->sqs[queue_id].tail;
}
