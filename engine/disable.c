// SPDX-License-Identifier: MIT
/*
 * Disabling a controller: CC.EN = 0, then RDY = 0 within its time, one step per call.
 *
 * The first cause wins. No request that the device owns ends before RDY = 0 was read. NVMe Base
 * 2.0: Controller Properties. tests/spin/failure.pml models the order.
 */
#include "nvme_internal.h"

void nvme_controller_send_ipis(const struct nvme_controller *controller)
{
    const struct nvme_config *config = &controller->config;

    for (uint32_t i = 0; i < controller->info.queue_count && config->send_ipi != NULL; i++) {
        const struct nvme_queue *queue = &controller->queues[i];

        if (__atomic_load_n(&queue->state, __ATOMIC_ACQUIRE) == NVME_QUEUE_OPEN &&
            NVME_PEEK(&queue->ien)) {
            config->send_ipi(config->hook_arg, queue->owner);
        }
    }
}

void nvme_controller_mask_line(struct nvme_controller *controller)
{
    if (!controller->config.msix) {
        nvme_source_write_mask(&controller->line, true);
    }
}

/* CC.EN = 0. `may_recover`: for a reset, if one is left. */
static void begin_stop(struct nvme_controller *controller, bool may_recover)
{
    const struct nvme_config *config = &controller->config;
    uint32_t left = NVME_PEEK(&controller->resets_left);
    uint32_t cc;

    NVME_POKE(&controller->recovers, may_recover && left != 0);
    NVME_POKE(&controller->resets_left, left - (left != 0));
    /* First: other owners ring until they see the next state, and that follows at once. */
    controller->until_ns = hal_now_ns() + controller->ready_timeout_ns;
    nvme_controller_mask_line(controller);
    cc = nvme_register_read(config, NVME_REG_CC);
    nvme_register_write(config, NVME_REG_CC, cc & (uint32_t) ~(NVME_CC_EN | NVME_CC_SHN));
}

void nvme_controller_disable(struct nvme_controller *controller, enum nvme_error error)
{
    int32_t none = NVME_OK;

    if (!__atomic_compare_exchange_n(&controller->failure, &none, error, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        return;
    }
    begin_stop(controller, error == NVME_ERR_TIMEOUT || error == NVME_ERR_FATAL);
    /* After CC.EN = 0: a queue that is opened with this life has no pair of the life before. */
    __atomic_store_n(&controller->life, controller->life + 1, __ATOMIC_RELEASE);
    __atomic_store_n(&controller->state, NVME_CONTROLLER_DISABLING, __ATOMIC_RELEASE);
}

void nvme_controller_disable_again(struct nvme_controller *controller, enum nvme_error error)
{
    /* The status of a refused admin command is not that of the requests that end. */
    error = error == NVME_ERR_DEVICE ? NVME_ERR_FATAL : error;
    __atomic_store_n(&controller->failure, error, __ATOMIC_RELEASE);
    begin_stop(controller, error != NVME_ERR_REMOVED);
    __atomic_store_n(&controller->state, NVME_CONTROLLER_DISABLING, __ATOMIC_RELEASE);
}

/* A reset needs an owner that makes its steps. */
static bool has_open_queue(const struct nvme_controller *controller)
{
    for (uint32_t i = 0; i < controller->info.queue_count; i++) {
        if (__atomic_load_n(&controller->queues[i].state, __ATOMIC_ACQUIRE) == NVME_QUEUE_OPEN) {
            return true;
        }
    }
    return false;
}

static void look_at_stopping(struct nvme_controller *controller, uint64_t now_ns)
{
    const struct nvme_config *config = &controller->config;
    struct nvme_event event = {.kind = NVME_EVENT_DISABLED};
    bool recovers = NVME_PEEK(&controller->recovers) && has_open_queue(controller);
    uint32_t next = recovers ? NVME_CONTROLLER_RELEASING : NVME_CONTROLLER_FAILED;

    event.value = nvme_register_read(config, NVME_REG_CSTS);
    if (event.value != NVME_REGISTER_GONE && (event.value & NVME_CSTS_RDY) != 0) {
        if (now_ns < controller->until_ns) {
            return;
        }
        event.kind = NVME_EVENT_DISABLE_TIMEOUT;
        next = NVME_CONTROLLER_STUCK;
    } else if (event.value == NVME_REGISTER_GONE && recovers) {
        __atomic_store_n(&controller->failure, NVME_ERR_REMOVED, __ATOMIC_RELEASE);
        next = NVME_CONTROLLER_FAILED;
    }
    /* RDY = 0 was read: the device's last writes to memory come before ours. */
    hal_after_mmio_read();
    controller->until_ns = now_ns + controller->ready_timeout_ns; /* for the owners of a reset */
    __atomic_store_n(&controller->state, next, __ATOMIC_RELEASE);
    if (next == NVME_CONTROLLER_STUCK ||
        (next == NVME_CONTROLLER_FAILED &&
         nvme_controller_failure(controller) != NVME_CAUSE_SHUTDOWN)) {
        nvme_event_emit(config, &event);
    }
    nvme_controller_send_ipis(controller);
}

void nvme_controller_disable_step(struct nvme_controller *controller, uint64_t now_ns)
{
    if (nvme_step_begin(controller)) {
        /* Before the winner has set DISABLING there is no deadline. */
        if (nvme_controller_state_load(controller) == NVME_CONTROLLER_DISABLING) {
            look_at_stopping(controller, now_ns);
        }
        nvme_step_end(controller);
    }
}

/* True from the moment that `failure` is set, also before the winner has written CC.EN = 0. */
static bool being_disabled(const struct nvme_controller *controller)
{
    enum nvme_controller_state state = nvme_controller_state_load(controller);

    return state == NVME_CONTROLLER_DISABLING ||
           (state == NVME_CONTROLLER_LIVE && nvme_controller_failure(controller) != NVME_OK);
}

enum nvme_error nvme_controller_settle(struct nvme_controller *controller, enum nvme_error error)
{
    if (error == NVME_ERR_TIMEOUT || error == NVME_ERR_FATAL || error == NVME_ERR_REMOVED) {
        nvme_controller_disable(controller, error);
    }
    while (being_disabled(controller)) {
        nvme_controller_disable_step(controller, hal_now_ns());
        hal_relax();
    }
    if (nvme_controller_state_load(controller) == NVME_CONTROLLER_STUCK) {
        return NVME_ERR_STUCK;
    }
    if (nvme_controller_state_load(controller) == NVME_CONTROLLER_FAILED) {
        /* Ends an admin command that was not answered; its handler may be connected. */
        unsigned long irq = hal_irq_save();

        nvme_queue_reap(&controller->admin, NVME_ADMIN_DEPTH);
        hal_irq_restore(irq);
    }
    return error;
}
