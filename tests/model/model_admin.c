// SPDX-License-Identifier: MIT
/*
 * Admin commands: Identify, features, Create and Delete of I/O queues.
 */
#include <string.h>

#include "model_internal.h"
#include "model_prp.h"

enum {
    STATUS_INVALID_OPCODE = 0x001,
    STATUS_INVALID_FIELD = 0x002,
    STATUS_INVALID_NAMESPACE = 0x00b,
    STATUS_SEQUENCE = 0x00c,
    STATUS_INVALID_CQ = 0x100,
    STATUS_INVALID_QUEUE = 0x101,
    STATUS_INVALID_SIZE = 0x102,
    STATUS_INVALID_VECTOR = 0x108,
    STATUS_INVALID_DELETION = 0x10c,
};

static struct model_answer status(uint16_t code)
{
    return (struct model_answer){.status = code};
}

void model_send(struct model *model, const struct nvme_command *command, const void *page,
                uint32_t bytes)
{
    const uint8_t *from = page;
    struct model_prp walk;
    uint8_t *host;
    uint32_t piece;

    model_prp_begin(&walk, model->page_bytes, command->prp1, command->prp2, bytes);
    walk.clean_epoch = model->clean_epoch;
    while (model_prp_next(&walk, &host, &piece)) {
        model_reach(host, piece, true);
        model_note_written(model, host, piece);
        memcpy(host, from, piece);
        from += piece;
    }
}

/* Sends a page of Identify data to the host. */
static void send_page(struct model *model, const struct nvme_command *command, void *page)
{
    if (model->bend_page != NULL) {
        model->bend_page(model, page);
    }
    model_send(model, command, page, NVME_IDENTIFY_BYTES);
}

static void fill_text(char *to, const char *text, size_t size)
{
    memset(to, ' ', size);
    memcpy(to, text, strlen(text));
}

static struct model_answer identify_controller(struct model *model,
                                               const struct nvme_command *command)
{
    struct nvme_identify_controller page = {
        .vid = 0x1b36,
        .cmic = model->cmic,
        .mdts = model->mdts,
        .cntlid = model->cntlid,
        .ver = model->version,
        .rtd3e = model->rtd3e,
        .oaes = model->events.optional,
        .crdt = {model->crdt[0], model->crdt[1], model->crdt[2]},
        .oacs = model->shadow_offered ? (uint16_t)NVME_OACS_DOORBELL_BUFFER : 0,
        .sqes = model->sqes,
        .cqes = model->cqes,
        .nn = model->namespace_count,
        .vwc = model->write_cache,
        .sgls = model->sgls,
    };

    fill_text(page.sn, "model-1", sizeof(page.sn));
    fill_text(page.mn, "A controller in memory", sizeof(page.mn));
    fill_text(page.fr, "1.0", sizeof(page.fr));
    strcpy(page.subnqn, "nqn.2026-11.model:1");
    send_page(model, command, &page);
    return status(0);
}

static struct model_answer identify_namespace(struct model *model,
                                              const struct nvme_command *command)
{
    struct nvme_identify_namespace page = {0};
    uint32_t nsid = command->nsid;

    if (nsid == 0 || nsid > model->namespace_count) {
        return status(STATUS_INVALID_NAMESPACE);
    }
    if (nsid <= MODEL_NAMESPACES && model->namespaces[nsid - 1].active) {
        const struct model_namespace *ns = &model->namespaces[nsid - 1];

        page.nsze = ns->block_count;
        page.ncap = ns->block_count;
        page.nlbaf = ns->format_count;
        page.nulbaf = ns->format_more;
        page.flbas = (uint8_t)((ns->format & 0xf) | (ns->format >> 4) << 5);
        page.dps = ns->protection;
        page.nmic = ns->nmic;
        memcpy(page.nguid, ns->nguid, sizeof(page.nguid));
        memcpy(page.eui64, ns->eui64, sizeof(page.eui64));
        page.lbaf[ns->format] = (uint32_t)(NVME_PUT(NVME_LBAF_LBADS, ns->block_shift) |
                                           NVME_PUT(NVME_LBAF_MS, ns->metadata_bytes));
    }
    send_page(model, command, &page);
    return status(0);
}

static struct model_answer identify_active(struct model *model, const struct nvme_command *command)
{
    uint32_t page[NVME_ACTIVE_NAMESPACES_PER_PAGE] = {0};
    uint32_t count = 0;

    if (model->list_refused) {
        return status(STATUS_INVALID_FIELD);
    }
    if (command->nsid >= 0xfffffffe) {
        return status(STATUS_INVALID_NAMESPACE);
    }
    for (uint32_t i = 0; i < MODEL_NAMESPACES; i++) {
        if (model->namespaces[i].active && i + 1 > command->nsid) {
            page[count++] = i + 1;
        }
    }
    send_page(model, command, page);
    return status(0);
}

/* Appends a descriptor unless its identifier is all zero. */
static void put_descriptor(uint8_t page[NVME_IDENTIFY_BYTES], size_t *at, uint8_t type,
                           const uint8_t *identifier, uint8_t size)
{
    static const uint8_t zero[16];

    if (type != NVME_DESCRIPTOR_COMMAND_SET && memcmp(identifier, zero, size) == 0) {
        return;
    }
    page[*at] = type;
    page[*at + 1] = size;
    memcpy(page + *at + sizeof(struct nvme_descriptor), identifier, size);
    *at += sizeof(struct nvme_descriptor) + size;
}

static struct model_answer identify_descriptors(struct model *model,
                                                const struct nvme_command *command)
{
    uint8_t page[NVME_IDENTIFY_BYTES] = {0};
    const struct model_namespace *ns;
    size_t at = 0;

    if (model->without_descriptors) {
        return status(STATUS_INVALID_FIELD);
    }
    if (command->nsid == 0 || command->nsid > MODEL_NAMESPACES ||
        !model->namespaces[command->nsid - 1].active) {
        return status(STATUS_INVALID_NAMESPACE);
    }
    ns = &model->namespaces[command->nsid - 1];
    put_descriptor(page, &at, NVME_DESCRIPTOR_EUI64, ns->eui64, sizeof(ns->eui64));
    put_descriptor(page, &at, NVME_DESCRIPTOR_NGUID, ns->nguid, sizeof(ns->nguid));
    put_descriptor(page, &at, NVME_DESCRIPTOR_UUID, ns->uuid, sizeof(ns->uuid));
    put_descriptor(page, &at, NVME_DESCRIPTOR_COMMAND_SET, &ns->command_set, 1);
    send_page(model, command, page);
    return status(0);
}

static struct model_answer identify(struct model *model, const struct nvme_command *command)
{
    /* One bit before 1.1, which has no list. */
    switch (command->cdw10 & (model->version < 0x00010100 ? 1 : 0xff)) {
    case NVME_CNS_CONTROLLER:
        return identify_controller(model, command);
    case NVME_CNS_NAMESPACE:
        return identify_namespace(model, command);
    case NVME_CNS_ACTIVE_NAMESPACES:
        return identify_active(model, command);
    case NVME_CNS_DESCRIPTORS:
        return identify_descriptors(model, command);
    default:
        return status(STATUS_INVALID_FIELD);
    }
}

static struct model_answer set_features(struct model *model, const struct nvme_command *command)
{
    uint64_t dw0 = NVME_PUT(NVME_QUEUES_NSQ, model->granted - 1) |
                   NVME_PUT(NVME_QUEUES_NCQ, model->granted - 1);

    if ((command->cdw10 & 0xff) == NVME_FEATURE_ASYNC_EVENTS) {
        return model_configure_events(model, command);
    }
    if ((command->cdw10 & 0xff) == NVME_FEATURE_HOST_BEHAVIOR) {
        const uint8_t *page = world_host(command->prp1);

        model_reach(page, NVME_BEHAVIOR_BYTES, false);
        model->acre = page[NVME_BEHAVIOR_ACRE] == 1;
        return status(0);
    }
    if ((command->cdw10 & 0xff) != NVME_FEATURE_NUMBER_OF_QUEUES) {
        return status(STATUS_INVALID_FIELD);
    }
    for (uint32_t i = 1; i < MODEL_QUEUES; i++) {
        if (model->sqs[i].exists || model->cqs[i].exists) {
            return status(STATUS_SEQUENCE);
        }
    }
    return (struct model_answer){.dw0 = (uint32_t)dw0};
}

/* What Create of either kind has in common; 0 is good. */
static uint16_t check_create(struct model *model, const struct nvme_command *command, bool exists)
{
    uint32_t id = (uint32_t)NVME_GET(NVME_QUEUE_ID, command->cdw10);
    uint32_t entries = (uint32_t)NVME_GET(NVME_QUEUE_SIZE, command->cdw10) + 1;

    if ((command->cdw11 & NVME_QUEUE_PC) == 0) {
        world_find("a queue is created as not contiguous");
    }
    if (command->prp1 % model->page_bytes != 0 || command->prp1 == 0) {
        world_find("a queue is created at %#llx, not the start of a page",
                   (unsigned long long)command->prp1);
    }
    if (id == 0 || id > model->granted || id >= MODEL_QUEUES || exists) {
        return STATUS_INVALID_QUEUE;
    }
    return entries < 2 || entries > model->cap.mqes + 1 ? STATUS_INVALID_SIZE : 0;
}

static struct model_answer create_cq(struct model *model, const struct nvme_command *command)
{
    uint32_t id = (uint32_t)NVME_GET(NVME_QUEUE_ID, command->cdw10);
    int32_t vector = (int32_t)NVME_GET(NVME_CREATE_CQ_IV, command->cdw11);
    uint16_t error = check_create(model, command, id < MODEL_QUEUES && model->cqs[id].exists);

    if (error == 0 && vector >= (model->msix ? MODEL_QUEUES : 1)) {
        error = STATUS_INVALID_VECTOR;
    }
    if (error == 0) {
        model_check_shadow_emptied(model, id, true);
        model_open_cq(model, id, command->prp1,
                      (uint32_t)NVME_GET(NVME_QUEUE_SIZE, command->cdw10) + 1,
                      (command->cdw11 & NVME_CREATE_CQ_IEN) != 0 ? vector : MODEL_NO_VECTOR);
    }
    return status(error);
}

static struct model_answer create_sq(struct model *model, const struct nvme_command *command)
{
    uint32_t id = (uint32_t)NVME_GET(NVME_QUEUE_ID, command->cdw10);
    uint32_t cqid = (uint32_t)NVME_GET(NVME_CREATE_SQ_CQID, command->cdw11);
    uint16_t error = check_create(model, command, id < MODEL_QUEUES && model->sqs[id].exists);

    if (error == 0 && (cqid == 0 || cqid >= MODEL_QUEUES || !model->cqs[cqid].exists)) {
        error = STATUS_INVALID_CQ;
    }
    if (error == 0) {
        model_check_shadow_emptied(model, id, false);
        model_open_sq(model, id, command->prp1,
                      (uint32_t)NVME_GET(NVME_QUEUE_SIZE, command->cdw10) + 1, cqid);
    }
    return status(error);
}

static struct model_answer delete_sq(struct model *model, const struct nvme_command *command)
{
    uint32_t id = (uint32_t)NVME_GET(NVME_QUEUE_ID, command->cdw10);

    if (id == 0 || id >= MODEL_QUEUES || !model->sqs[id].exists) {
        return status(STATUS_INVALID_QUEUE);
    }
    model_look_at_tail(model, id);
    model_end_pending_of(model, id);
    model_close_sq(model, id);
    return status(0);
}

static struct model_answer delete_cq(struct model *model, const struct nvme_command *command)
{
    uint32_t id = (uint32_t)NVME_GET(NVME_QUEUE_ID, command->cdw10);

    if (id == 0 || id >= MODEL_QUEUES || !model->cqs[id].exists) {
        return status(STATUS_INVALID_QUEUE);
    }
    for (uint32_t i = 1; i < MODEL_QUEUES; i++) {
        if (model->sqs[i].exists && model->sqs[i].cqid == id) {
            return status(STATUS_INVALID_DELETION);
        }
    }
    model_look_at_head(model, id);
    if (model->cqs[id].interrupts && !model->shadow_deaf && !model->cqs[id].unseen &&
        model->cqs[id].head != model->cqs[id].tail) {
        world_find("CQ %u is deleted with entries left: its line stays high on QEMU", id);
    }
    model_close_cq(model, id);
    model_update_line(model);
    return status(0);
}

static struct model_answer abort_command(struct model *model, const struct nvme_command *command)
{
    uint32_t sqid = (uint32_t)NVME_GET(NVME_ABORT_SQID, command->cdw10);
    uint32_t cid = (uint32_t)NVME_GET(NVME_ABORT_CID, command->cdw10);
    struct model_answer failed = {.dw0 = NVME_ABORT_FAILED};
    uint32_t index = 0;

    while (index < model->pending_count &&
           (model->pending[index].sqid != sqid ||
            NVME_GET(NVME_CDW0_CID, model->pending[index].command.cdw0) != cid)) {
        index++;
    }
    if (index == model->pending_count || model_cq_full(model, model->sqs[sqid].cqid)) {
        return failed;
    }
    if (model->abort_ends && model->abort_agrees) {
        model_fail_one(model, index, NVME_STATUS_ABORTED);
    } else if (model->abort_ends) {
        model_step_one(model, index); /* by itself, and crosses the Abort */
    }
    return model->abort_agrees ? status(0) : failed;
}

struct model_answer model_execute_admin(struct model *model, const struct nvme_command *command)
{
    uint8_t opcode = (uint8_t)NVME_GET(NVME_CDW0_OPCODE, command->cdw0);

    model->admin_commands[opcode]++;
    if (model->admin_status[opcode] != 0) {
        return status(model->admin_status[opcode]);
    }
    switch (opcode) {
    case NVME_ADMIN_IDENTIFY:
        return identify(model, command);
    case NVME_ADMIN_ABORT:
        return abort_command(model, command);
    case NVME_ADMIN_SET_FEATURES:
        return set_features(model, command);
    case NVME_ADMIN_ASYNC_EVENT_REQUEST:
        return (struct model_answer){.dw0 = model->events.dw0};
    case NVME_ADMIN_GET_LOG_PAGE:
        return model_get_log(model, command);
    case NVME_ADMIN_DOORBELL_BUFFER_CONFIG:
        return model->shadow_offered ? model_configure_shadow(model, command)
                                     : status(STATUS_INVALID_OPCODE);
    case NVME_ADMIN_CREATE_CQ:
        return create_cq(model, command);
    case NVME_ADMIN_CREATE_SQ:
        return create_sq(model, command);
    case NVME_ADMIN_DELETE_SQ:
        return delete_sq(model, command);
    case NVME_ADMIN_DELETE_CQ:
        return delete_cq(model, command);
    default:
        return status(STATUS_INVALID_OPCODE);
    }
}
