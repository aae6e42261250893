// SPDX-License-Identifier: MIT
/*
 * Open and close of I/O queue pairs and namespaces, on a controller that is up.
 *
 * It uses admin commands; queue.c has the rings. A close reaps and rings for every completion,
 * because an INTx line must not be left high. NVMe Base 2.0: Create and Delete I/O Queues,
 * Identify.
 */
#include "nvme_internal.h"

enum { NAMESPACE_TRIES = 1024 }; /* identifiers asked for in a row, without the list */

/* VS of the first versions that have the list of active namespaces, and descriptors: 1.1, 1.3. */
#define LIST_VERSION UINT32_C(0x00010100)
#define DESCRIPTORS_VERSION UINT32_C(0x00010300)

/* Vector 0 is the admin queue's, which is polled. Two queues would mask a common vector. */
static bool vector_is_free(const struct nvme_controller *controller, uint16_t vector)
{
    for (uint32_t i = 0; i < controller->info.queue_count; i++) {
        const struct nvme_queue *queue = &controller->queues[i];

        if (queue->ien && queue->source->vector == vector) {
            return false;
        }
    }
    return vector != 0;
}

static enum nvme_error check_open(const struct nvme_controller *controller, uint32_t index,
                                  const struct nvme_queue_config *config)
{
    uint32_t depth = config->depth_entries;
    enum nvme_error error;

    if (nvme_controller_state_load(controller) != NVME_CONTROLLER_LIVE) {
        return nvme_controller_absence(controller);
    }
    if (index >= controller->info.queue_count && index < controller->config.queue_count) {
        return NVME_ERR_QUEUES;
    }
    if (index >= controller->info.queue_count ||
        (depth != 0 && (depth < NVME_DEPTH_MIN || depth > controller->info.depth_entries))) {
        return NVME_ERR_CONFIG;
    }
    if (controller->queues[index].state != NVME_QUEUE_CLOSED) {
        return NVME_ERR_STATE;
    }
    error = nvme_source_check_mode(controller, config->mode);
    if (error != NVME_OK) {
        return error;
    }
    if (config->mode == NVME_MODE_POLL) {
        return NVME_OK;
    }
    if (controller->config.msix) {
        return vector_is_free(controller, config->vector) ? NVME_OK : NVME_ERR_CONFIG;
    }
    return controller->line.queues != 0 && controller->line.owner != config->owner &&
                   !controller->config.shared
               ? NVME_ERR_INTERRUPT
               : NVME_OK;
}

/* Creates the device's queues, the completion queue first: the submission queue refers to it. */
static enum nvme_error create_pair(struct nvme_controller *controller, struct nvme_queue *queue)
{
    enum nvme_error error = nvme_admin_create(controller, queue, NVME_ADMIN_CREATE_CQ);

    if (error != NVME_OK) {
        return error;
    }
    error = nvme_admin_create(controller, queue, NVME_ADMIN_CREATE_SQ);
    if (error == NVME_ERR_DEVICE) {
        enum nvme_error undo = nvme_admin_delete(controller, NVME_ADMIN_DELETE_CQ, queue->id);

        error = undo == NVME_OK ? error : undo;
    }
    return error;
}

enum nvme_error nvme_queue_open(struct nvme_controller *controller, uint32_t index,
                                const struct nvme_queue_config *config, struct nvme_queue **queue)
{
    enum nvme_error error = check_open(controller, index, config);
    struct nvme_queue *opened;
    unsigned long irq;

    if (error != NVME_OK) {
        return error;
    }
    opened = &controller->queues[index];
    opened->owner = config->owner;
    opened->source = controller->config.msix ? &opened->vector_source : &controller->line;
    NVME_POKE(&opened->ien,
              config->mode != NVME_MODE_POLL && (opened->source->closed & NVME_CLOSED_STUCK) == 0);
    opened->irq_protect = opened->ien && !config->irq_off;
    opened->clocked = config->clocked;
    nvme_queue_reset(opened, config->depth_entries != 0 ? config->depth_entries
                                                        : controller->info.depth_entries);
    if (opened->ien) {
        opened->source->vector = config->vector;
    }
    irq = nvme_admin_begin(controller, NVME_CLOSED_QUEUE);
    error = create_pair(controller, opened);
    if (error == NVME_OK) {
        /* Before the source opens: its handler may run at once, also on another hart. */
        *queue = opened;
        nvme_queue_enter_state(opened, NVME_QUEUE_OPEN);
        if (opened->ien) {
            nvme_source_connect(opened, config->mode);
        }
    } else {
        opened->source->vector = 0;
        NVME_POKE(&opened->ien, false);
        opened->irq_protect = false;
    }
    nvme_admin_end(controller, NVME_CLOSED_QUEUE, irq);
    return nvme_controller_settle(controller, error);
}

/* Reaps what the device has completed, and what the callbacks posted, within a bound. */
static void reap_rest(struct nvme_queue *queue)
{
    for (uint32_t i = 0; i < queue->depth_entries; i++) {
        if (nvme_queue_reap(queue, queue->depth_entries) == 0) {
            return;
        }
    }
}

/* Deletes the pair on the device and ends the requests that it never answered. */
static enum nvme_error delete_pair(struct nvme_controller *controller, struct nvme_queue *queue)
{
    enum nvme_error error = nvme_admin_delete(controller, NVME_ADMIN_DELETE_SQ, queue->id);

    if (error != NVME_OK) {
        return error;
    }
    reap_rest(queue);
    nvme_request_end_all(queue, NVME_ERR_ABORTED);
    return nvme_admin_delete(controller, NVME_ADMIN_DELETE_CQ, queue->id);
}

/* A device that refuses to delete a queue may still own its buffers: it is disabled. */
static enum nvme_error give_up(struct nvme_controller *controller, struct nvme_queue *queue,
                               enum nvme_error error)
{
    enum nvme_error cause;

    /* The status of the refused admin command is not that of the requests that end. */
    nvme_controller_disable(controller, error == NVME_ERR_DEVICE ? NVME_ERR_FATAL : error);
    if (nvme_controller_settle(controller, NVME_OK) == NVME_ERR_STUCK) {
        return NVME_ERR_STUCK;
    }
    /* Another hart may have been first, with another cause. */
    cause = nvme_controller_resetting(controller) ? NVME_ERR_RESET
                                                  : nvme_controller_failure(controller);
    reap_rest(queue);
    nvme_request_end_all(queue, cause);
    return error == NVME_ERR_STATE ? cause : error;
}

/* Why a queue cannot be closed now, or NVME_OK. */
static enum nvme_error check_close(const struct nvme_queue *queue)
{
    const struct nvme_controller *controller = queue->controller;
    enum nvme_controller_state state = nvme_controller_state_load(controller);

    if (queue->state == NVME_QUEUE_CLOSED || state == NVME_CONTROLLER_DISABLING ||
        state >= NVME_CONTROLLER_RELEASING) {
        return NVME_ERR_STATE;
    }
    if (state == NVME_CONTROLLER_STUCK) {
        return NVME_ERR_STUCK;
    }
    /* Its owner may be about to answer. */
    return (__atomic_load_n(&controller->cycle.waiting, __ATOMIC_ACQUIRE) &
            nvme_queue_bit(queue)) != 0
               ? NVME_ERR_BUSY
               : NVME_OK;
}

static enum nvme_error close_pair(struct nvme_controller *controller, struct nvme_queue *queue)
{
    enum nvme_error error = NVME_OK;

    if (nvme_request_any(queue)) {
        nvme_check_hart(queue->owner); /* done() runs here */
    }
    if (queue->state == NVME_QUEUE_OPEN) {
        nvme_queue_enter_state(queue, NVME_QUEUE_CLOSING);
    }
    if (nvme_controller_state_load(controller) == NVME_CONTROLLER_FAILED) {
        reap_rest(queue);
        nvme_request_end_all(queue, nvme_controller_failure(controller));
    } else {
        error = delete_pair(controller, queue);
    }
    if (error != NVME_OK) {
        error = give_up(controller, queue, error);
    }
    if (error != NVME_ERR_STUCK) {
        nvme_queue_enter_state(queue, NVME_QUEUE_CLOSED);
    }
    if (queue->ien) {
        nvme_source_disconnect(queue);
    }
    return error;
}

enum nvme_error nvme_queue_close(struct nvme_queue *queue)
{
    struct nvme_controller *controller = queue->controller;
    /* Before the look at the state: from here on a reset waits. */
    unsigned long irq = nvme_admin_begin(controller, NVME_CLOSED_QUEUE);
    enum nvme_error error = check_close(queue);

    if (error == NVME_OK) {
        error = close_pair(controller, queue);
    }
    nvme_admin_end(controller, NVME_CLOSED_QUEUE, irq);
    return error;
}

void nvme_queue_count(const struct nvme_queue *queue, struct nvme_counters *counters)
{
    *counters = queue->counters;
    /* Both have what the rings before a reset have counted. */
    counters->completions += nvme_queue_consumed(queue);
    counters->posts += nvme_queue_rung(queue);
    counters->stale += queue->stale_before;
    /* These two store only the rare cases: reaps without a doorbell, calls without an entry. */
    counters->reaps += queue->counters.cq_doorbells;
    counters->reap_calls += counters->reaps;
    if (queue->ien && !nvme_queue_shares(queue)) {
        counters->interrupts += queue->source->interrupts;
        counters->spurious += queue->source->empty_interrupts;
    }
    /* Found by the IRQ hart, and not yet counted by the watchdog. */
    counters->missed += (NVME_PEEK(&queue->controller->cycle.missed) & nvme_queue_bit(queue)) != 0;
}

/* ---- Namespaces ------------------------------------------------------------------------- */

/* Reads the first `bytes` of Identify data, before the page can be used for anything else. */
static enum nvme_error read_identify(struct nvme_controller *controller, enum nvme_cns cns,
                                     uint32_t nsid, void *to, size_t bytes)
{
    unsigned long irq = nvme_admin_begin(controller, NVME_CLOSED_QUEUE);
    enum nvme_error error = nvme_admin_identify(controller, cns, nsid);

    if (error == NVME_OK) {
        nvme_memcpy(to, controller->identify_page, bytes);
    }
    nvme_admin_end(controller, NVME_CLOSED_QUEUE, irq);
    return error;
}

/* Searches identifiers one by one, within a bound, for a device without the list of namespaces. */
static enum nvme_error try_namespaces(struct nvme_controller *controller, uint32_t after,
                                      uint32_t *nsid)
{
    uint32_t last = controller->info.namespace_id_max;

    for (uint32_t i = 0; i < NAMESPACE_TRIES && after < last; i++) {
        uint64_t block_count;
        enum nvme_error error = read_identify(controller, NVME_CNS_NAMESPACE, ++after, &block_count,
                                              sizeof(block_count));

        if (error != NVME_OK && error != NVME_ERR_DEVICE) {
            return error;
        }
        if (error == NVME_OK && block_count != 0) {
            *nsid = after;
            return NVME_OK;
        }
    }
    return NVME_ERR_NAMESPACE;
}

static enum nvme_error find_namespace(struct nvme_controller *controller, uint32_t after,
                                      uint32_t *nsid)
{
    enum nvme_error error = NVME_ERR_DEVICE;

    /* Before 1.1 a device takes CNS for one bit, and would send something else. */
    if (controller->info.version >= LIST_VERSION) {
        error = read_identify(controller, NVME_CNS_ACTIVE_NAMESPACES, after, nsid, sizeof(*nsid));
    }
    if (error == NVME_ERR_DEVICE) {
        return try_namespaces(controller, after, nsid);
    }
    if (error != NVME_OK) {
        return error;
    }
    if (*nsid == 0) {
        return NVME_ERR_NAMESPACE;
    }
    return *nsid <= after || *nsid > controller->info.namespace_id_max ? NVME_ERR_IDENTIFY
                                                                       : NVME_OK;
}

enum nvme_error nvme_namespace_next(struct nvme_controller *controller, uint32_t after,
                                    uint32_t *nsid)
{
    uint32_t found = 0;
    enum nvme_error error =
        nvme_controller_settle(controller, find_namespace(controller, after, &found));

    if (error == NVME_OK) {
        *nsid = found;
    }
    return error;
}

/* Identify Namespace into the controller's page, which is the caller's until end_namespace(). */
static enum nvme_error begin_namespace(struct nvme_controller *controller, uint32_t nsid,
                                       unsigned long *irq)
{
    *irq = nvme_admin_begin(controller, NVME_CLOSED_QUEUE);
    return nsid == 0 || nsid > controller->info.namespace_id_max
               ? NVME_ERR_NAMESPACE
               : nvme_admin_identify(controller, NVME_CNS_NAMESPACE, nsid);
}

static enum nvme_error end_namespace(struct nvme_controller *controller, unsigned long irq,
                                     enum nvme_error error)
{
    nvme_admin_end(controller, NVME_CLOSED_QUEUE, irq);
    return nvme_controller_settle(controller, error);
}

/* Reads the descriptors. An older device has none, and a device may refuse them. */
static enum nvme_error add_descriptors(struct nvme_controller *controller, uint32_t nsid,
                                       struct nvme_namespace_info *info)
{
    enum nvme_error error;

    if (controller->info.version < DESCRIPTORS_VERSION) {
        return NVME_OK;
    }
    error = nvme_admin_identify(controller, NVME_CNS_DESCRIPTORS, nsid);
    if (error == NVME_OK) {
        nvme_identify_descriptors_decode(controller->identify_page, info);
    }
    return error == NVME_ERR_DEVICE ? NVME_OK : error;
}

enum nvme_error nvme_namespace_describe(struct nvme_controller *controller, uint32_t nsid,
                                        struct nvme_namespace_info *info)
{
    struct nvme_namespace_info found = {.command_set = NVME_COMMAND_SET_NVM};
    unsigned long irq;
    enum nvme_error error = begin_namespace(controller, nsid, &irq);

    if (error == NVME_OK) {
        nvme_identify_namespace_describe(controller->identify_page, &found);
        error =
            found.block_count == 0 ? NVME_ERR_NAMESPACE : add_descriptors(controller, nsid, &found);
    }
    error = end_namespace(controller, irq, error);
    if (error == NVME_OK) {
        *info = found;
    }
    return error;
}

enum nvme_error nvme_namespace_open(struct nvme_controller *controller, uint32_t nsid,
                                    struct nvme_namespace *ns)
{
    struct nvme_namespace opened = {.controller = controller, .nsid = nsid};
    struct nvme_namespace_info info = {.command_set = NVME_COMMAND_SET_NVM};
    unsigned long irq;
    enum nvme_error error = begin_namespace(controller, nsid, &irq);

    if (error == NVME_OK) {
        error = nvme_identify_namespace_decode(controller->identify_page,
                                               controller->info.max_transfer_bytes, &opened);
        if (error == NVME_ERR_UNSUPPORTED && opened.block_shift != 0) {
            nvme_event_emit(&controller->config, &(struct nvme_event){
                                                     .kind = NVME_EVENT_BLOCK_SIZE,
                                                     .value = UINT64_C(1) << opened.block_shift,
                                                     .limit = controller->info.max_transfer_bytes,
                                                 });
        }
    }
    if (error == NVME_OK) {
        error = add_descriptors(controller, nsid, &info);
    }
    if (error == NVME_OK && info.command_set != NVME_COMMAND_SET_NVM) {
        error = NVME_ERR_UNSUPPORTED;
    }
    error = end_namespace(controller, irq, error);
    if (error == NVME_OK) {
        *ns = opened;
    }
    return error;
}
