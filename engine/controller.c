// SPDX-License-Identifier: MIT
/*
 * Bring-up and shutdown of a controller, in the specification's order of steps.
 *
 * Only this file, setup.c and disable.c write CC. Every wait has a deadline. CAP and Identify are
 * decoded once into plain units, checked, and never read again. NVMe Base 2.0: Controller
 * Initialization, Shutdown, Controller Properties.
 */
#include "nvme_internal.h"

#define READY_UNIT_NS UINT64_C(500000000) /* of CAP.TO and CRTO */
#define READY_UNITS_MAX 1200              /* at most 10 minutes */

/* Waits until (CSTS & mask) == value. A fatal error or a removed device ends the wait. */
static enum nvme_error wait_status(const struct nvme_controller *controller, uint32_t mask,
                                   uint32_t value, uint64_t timeout_ns)
{
    const struct nvme_config *config = &controller->config;
    uint64_t start = hal_now_ns();
    enum nvme_error error = NVME_OK;
    bool expired = false;
    uint32_t csts;

    for (;;) {
        csts = nvme_register_read(config, NVME_REG_CSTS);
        /* Before the match: RDY with CFS is not ready. */
        if (csts == NVME_REGISTER_GONE || value != 0) {
            error = nvme_admin_check_status(controller, csts);
        }
        if (error != NVME_OK) {
            return error;
        }
        if ((csts & mask) == value) {
            hal_after_mmio_read();
            return NVME_OK;
        }
        if (expired) {
            return NVME_ERR_TIMEOUT;
        }
        /* One more look after the time is up: this hart may have slept meanwhile. */
        expired = hal_now_ns() - start > timeout_ns;
        hal_relax();
    }
}

/* Step 1: a controller that a warm boot left running is reset first. */
static enum nvme_error reset_controller(struct nvme_controller *controller)
{
    const struct nvme_config *config = &controller->config;
    uint32_t cc = nvme_register_read(config, NVME_REG_CC);
    enum nvme_error error;

    if ((cc & NVME_CC_EN) != 0) {
        /*
         * EN may be cleared only after RDY has followed it, unless the device reports CFS.
         */
        error = wait_status(controller, NVME_CSTS_RDY, NVME_CSTS_RDY, controller->ready_timeout_ns);
        if (error == NVME_ERR_REMOVED) {
            return error;
        }
        nvme_register_write(config, NVME_REG_CC, cc & (uint32_t) ~(NVME_CC_EN | NVME_CC_SHN));
    }
    return wait_status(controller, NVME_CSTS_RDY, 0, controller->ready_timeout_ns);
}

/* Steps 2 to 7: enable, RDY, Identify Controller, and what setup.c has more. */
static enum nvme_error start_controller(struct nvme_controller *controller)
{
    struct nvme_admin_call call;
    enum nvme_error error;

    nvme_setup_enable(controller);
    error = wait_status(controller, NVME_CSTS_RDY, NVME_CSTS_RDY, controller->ready_timeout_ns);
    while (error == NVME_OK && nvme_setup_next(controller, &call)) {
        struct nvme_result result;

        nvme_admin_execute(controller, &call, &result);
        error = nvme_setup_take(controller, &result);
    }
    return error;
}

/* Sets a queue closed, with the controller's line as its source. */
static void init_queue(struct nvme_controller *controller, struct nvme_queue *queue, uint16_t id)
{
    queue->controller = controller;
    queue->source = &controller->line;
    queue->vector_source.controller = controller;
    queue->vector_source.message = true;
    queue->vector_source.closed = NVME_CLOSED_IDLE;
    queue->id = id;
    queue->activity = NVME_ACTIVITY_TAKEN;
    queue->away = true;
}

/* CAP.TO, or CRTO if the device needs longer than CAP.TO can express. 0 is one unit. */
static uint64_t ready_units(const struct nvme_config *config, uint64_t cap)
{
    uint64_t units = NVME_GET(NVME_CAP_TO, cap);

    if ((cap & NVME_CAP_CRWMS) != 0) {
        uint64_t crto = NVME_GET(NVME_CRTO_CRWMT, nvme_register_read(config, NVME_REG_CRTO));

        units = crto > units ? crto : units;
    }
    units = units < READY_UNITS_MAX ? units : READY_UNITS_MAX;
    return units != 0 ? units : 1;
}

/* Sets everything that the configuration and CAP decide, before any register write. */
static enum nvme_error prepare_controller(struct nvme_controller *controller,
                                          const struct nvme_config *config,
                                          const struct nvme_layout *layout)
{
    struct nvme_controller_info *info = &controller->info;

    controller->config = *config;
    if (config->hybrid_spin_max_ns == 0) {
        controller->config.hybrid_spin_max_ns = NVME_SPIN_MAX_DEFAULT_NS;
    }
    if (config->command_timeout_ns == 0) {
        controller->config.command_timeout_ns = NVME_COMMAND_TIMEOUT_DEFAULT_NS;
    }
    controller->timeout_ms = controller->config.command_timeout_ns / 1000000 +
                             (controller->config.command_timeout_ns % 1000000 != 0);
    controller->ready_timeout_ns = ready_units(config, layout->cap) * READY_UNIT_NS;
    controller->doorbell_stride = UINT32_C(4) << NVME_GET(NVME_CAP_DSTRD, layout->cap);
    info->depth_entries = layout->depth_entries;
    info->depth_entries_limit = (uint32_t)NVME_GET(NVME_CAP_MQES, layout->cap) + 1;
    info->page_bytes = layout->page_bytes;
    info->max_transfer_bytes = layout->max_transfer_bytes;
    info->shutdown_timeout_ms = (uint32_t)controller->timeout_ms;
    info->ready_timeout_ms = (uint32_t)(controller->ready_timeout_ns / 1000000);
    info->memory_bytes.ordinary_bytes = layout->ordinary_bytes;
    info->memory_bytes.dma_bytes = layout->dma_bytes;
    info->version = nvme_register_read(config, NVME_REG_VS);

    controller->line.controller = controller;
    controller->line.closed = NVME_CLOSED_IDLE;
    init_queue(controller, &controller->admin, 0);
    /* An event may hold the line up: its handler looks at the admin queue. A cycle does anyway. */
    controller->admin.ien = (config->events || config->aborts) && !config->msix && !config->shared;
    for (uint32_t i = 0; i < config->queue_count; i++) {
        init_queue(controller, &controller->queues[i], (uint16_t)(i + 1));
    }
    /* Up to the end of the admin completion queue's; of the others: setup.c. */
    return controller->doorbell_stride + sizeof(uint32_t) <=
                   config->registers_size_bytes - NVME_REG_DOORBELLS
               ? NVME_OK
               : NVME_ERR_IDENTIFY;
}

enum nvme_error nvme_controller_open(const struct nvme_config *config,
                                     const struct nvme_memory *memory,
                                     struct nvme_controller **controller)
{
    struct nvme_layout layout;
    struct nvme_controller *made;
    enum nvme_error error = nvme_layout_build(config, &layout);

    if (error == NVME_OK) {
        error = nvme_memory_assign(config, memory, &layout, &made);
    }
    if (error == NVME_OK) {
        error = prepare_controller(made, config, &layout);
    }
    if (error == NVME_OK) {
        error = reset_controller(made);
    }
    if (error != NVME_OK) {
        return error;
    }
    /* After RDY = 0: a controller that an earlier user left running could write to our memory. */
    if (config->bus_master != NULL) {
        config->bus_master(config->hook_arg);
    }
    error = start_controller(made);
    if (error != NVME_OK) {
        /* After any error an enabled controller must not keep the regions. */
        nvme_controller_disable(made, error);
        return nvme_controller_settle(made, error);
    }
    if (layout.depth_entries < config->depth_entries) {
        nvme_event_emit(config, &(struct nvme_event){
                                    .kind = NVME_EVENT_DEPTH_REDUCED,
                                    .value = config->depth_entries,
                                    .limit = layout.depth_entries,
                                });
    }
    made->up = true;
    made->resets_left = config->resets_max;
    *controller = made;
    return NVME_OK;
}

void nvme_controller_describe(const struct nvme_controller *controller,
                              struct nvme_controller_info *info)
{
    *info = controller->info;
}

/* CC.SHN = normal, CSTS.SHST = complete: the device has written its caches. */
static enum nvme_error shut_down(struct nvme_controller *controller)
{
    const struct nvme_config *config = &controller->config;
    uint32_t cc = nvme_register_read(config, NVME_REG_CC);

    cc &= (uint32_t)~NVME_CC_SHN;
    cc |= (uint32_t)NVME_PUT(NVME_CC_SHN, NVME_CC_SHN_NORMAL);
    nvme_register_write(config, NVME_REG_CC, cc);
    return wait_status(controller, (uint32_t)NVME_CSTS_SHST,
                       (uint32_t)NVME_PUT(NVME_CSTS_SHST, NVME_CSTS_SHST_COMPLETE),
                       (uint64_t)controller->info.shutdown_timeout_ms * 1000000);
}

/* Ends a reset that is under way. NVME_ERR_BUSY: it waits for the owner of a queue. */
static enum nvme_error end_reset(struct nvme_controller *controller)
{
    enum nvme_error error = nvme_controller_settle(controller, NVME_OK);

    while (error == NVME_OK && nvme_controller_resetting(controller)) {
        if (!nvme_reset_may_step(controller)) {
            return NVME_ERR_BUSY;
        }
        nvme_reset_step(controller, hal_now_ns());
        hal_relax();
        error = nvme_controller_settle(controller, NVME_OK);
    }
    return error;
}

enum nvme_error nvme_controller_close(struct nvme_controller *controller)
{
    enum nvme_error error = end_reset(controller);

    if (error != NVME_OK) {
        return error;
    }
    if (__atomic_load_n(&controller->cycle.waiting, __ATOMIC_ACQUIRE) != 0) {
        return NVME_ERR_BUSY;
    }
    for (uint32_t i = 0; i < controller->info.queue_count; i++) {
        if (controller->queues[i].state != NVME_QUEUE_CLOSED &&
            nvme_queue_outstanding(&controller->queues[i]) != 0) {
            return NVME_ERR_BUSY;
        }
    }
    NVME_POKE(&controller->resets_left, 0);
    for (uint32_t i = 0; i < controller->info.queue_count && error == NVME_OK; i++) {
        if (controller->queues[i].state != NVME_QUEUE_CLOSED) {
            error = nvme_queue_close(&controller->queues[i]);
        }
    }
    if (nvme_controller_state_load(controller) != NVME_CONTROLLER_LIVE) {
        return error != NVME_OK ? error : nvme_controller_failure(controller);
    }
    error = shut_down(controller);
    nvme_controller_disable(controller, error != NVME_OK ? error : NVME_CAUSE_SHUTDOWN);
    return nvme_controller_settle(controller, error);
}
