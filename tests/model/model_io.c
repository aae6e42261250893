// SPDX-License-Identifier: MIT
/*
 * I/O commands: read, write, flush on a byte-exact backing.
 */
#include <string.h>

#include "model_internal.h"
#include "model_prp.h"
#include "model_sgl.h"

enum {
    STATUS_INVALID_OPCODE = 0x001,
    STATUS_INVALID_FIELD = 0x002,
    STATUS_INVALID_NAMESPACE = 0x00b,
    STATUS_LBA_RANGE = 0x080,
};

static struct model_answer status(uint16_t code)
{
    return (struct model_answer){.status = code};
}

/* The injected error of one of these blocks, or 0. */
static uint16_t find_fault(const struct model *model, uint8_t opcode, uint64_t lba, uint32_t count)
{
    for (uint32_t i = 0; i < MODEL_FAULTS; i++) {
        const struct model_fault *fault = &model->faults[i];

        if (fault->opcode == opcode && opcode != 0 && fault->lba >= lba &&
            fault->lba - lba < count) {
            return fault->status;
        }
    }
    return 0;
}

/* A walk over the data of a command. */
struct data {
    bool sgl;
    struct model_prp prps;
    struct model_sgl segments;
};

static void begin_data(const struct model *model, struct data *data,
                       const struct nvme_command *command, uint32_t bytes)
{
    uint64_t epoch = model->repeats ? 0 : model->clean_epoch;

    data->sgl = NVME_GET(NVME_CDW0_PSDT, command->cdw0) != 0;
    if (data->sgl) {
        if (model->sgls == 0) {
            world_find("an SGL goes to a controller that has none");
        }
        model_sgl_begin(&data->segments, model->page_bytes, command->prp1, command->prp2, epoch,
                        bytes);
        return;
    }
    model_prp_begin(&data->prps, model->page_bytes, command->prp1, command->prp2, bytes);
    data->prps.clean_epoch = epoch;
}

static bool next_data(struct data *data, uint8_t **host, uint32_t *bytes)
{
    return data->sgl ? model_sgl_next(&data->segments, host, bytes)
                     : model_prp_next(&data->prps, host, bytes);
}

/* Moves the data, page by page, between the host and the backing. */
static void move(struct model *model, struct model_namespace *ns,
                 const struct nvme_command *command, uint8_t opcode)
{
    uint64_t lba = (uint64_t)command->cdw11 << 32 | command->cdw10;
    uint32_t size = ((uint32_t)NVME_GET(NVME_IO_NLB, command->cdw12) + 1) << ns->block_shift;
    uint64_t at = lba << ns->block_shift;
    struct data data;
    uint8_t *host;
    uint32_t bytes;

    if (at + size > ns->backing_bytes) {
        world_find("the test's backing is too small for block %#llx", (unsigned long long)lba);
        return;
    }
    begin_data(model, &data, command, size);
    while (next_data(&data, &host, &bytes)) {
        model_reach(host, bytes, opcode == NVME_CMD_READ);
        if (opcode == NVME_CMD_READ) {
            model_note_written(model, host, bytes);
            memcpy(host, ns->backing + at, bytes);
        } else {
            memcpy(ns->backing + at, host, bytes);
        }
        at += bytes;
    }
}

static struct model_answer transfer(struct model *model, struct model_namespace *ns,
                                    const struct nvme_command *command, uint8_t opcode)
{
    uint64_t lba = (uint64_t)command->cdw11 << 32 | command->cdw10;
    uint32_t count = (uint32_t)NVME_GET(NVME_IO_NLB, command->cdw12) + 1;
    uint64_t bytes = (uint64_t)count << ns->block_shift;
    uint16_t fault = find_fault(model, opcode, lba, count);

    if (model->mdts != 0 && model->mdts < 32 &&
        bytes > (uint64_t)(4096U << model->cap.page_min) << model->mdts) {
        world_find("a command moves more than MDTS allows: %llu bytes", (unsigned long long)bytes);
        return status(STATUS_INVALID_FIELD);
    }
    if (lba >= ns->block_count || count > ns->block_count - lba) {
        return status(STATUS_LBA_RANGE);
    }
    if (fault != 0) {
        return status(fault);
    }
    if (ns->backing != NULL) {
        move(model, ns, command, opcode);
    }
    return status(0);
}

struct model_answer model_execute_io(struct model *model, const struct nvme_command *command)
{
    uint8_t opcode = (uint8_t)NVME_GET(NVME_CDW0_OPCODE, command->cdw0);
    struct model_namespace *ns;

    model->last = *command;
    if (command->nsid == 0 || command->nsid > MODEL_NAMESPACES ||
        !model->namespaces[command->nsid - 1].active) {
        return status(STATUS_INVALID_NAMESPACE);
    }
    ns = &model->namespaces[command->nsid - 1];
    switch (opcode) {
    case NVME_CMD_READ:
    case NVME_CMD_WRITE:
        return transfer(model, ns, command, opcode);
    case NVME_CMD_FLUSH:
        ns->flushes++;
        if (ns->durable != NULL) {
            memcpy(ns->durable, ns->backing, ns->backing_bytes);
        }
        return status(0);
    default:
        return status(STATUS_INVALID_OPCODE);
    }
}

void model_finish_late(struct model *model)
{
    for (uint32_t i = 0; i < model->pending_count; i++) {
        if (model->pending[i].sqid != 0) {
            model->clean_epoch = model->pending[i].clean_epoch;
            model_execute_io(model, &model->pending[i].command);
        }
    }
    model->pending_count = 0;
    model->written = (struct model_written){0}; /* nobody is told of it */
}
