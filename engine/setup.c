// SPDX-License-Identifier: MIT
/*
 * What a controller is told after RDY = 0: the admin queue, CC.EN = 1, and then command by command
 * the number of queues, shadow doorbells, host behaviour, asynchronous events and the pairs of open
 * queues, in ascending ids.
 *
 * One place for bring-up, which waits for each answer, and for a reset, which does not. NVMe Base
 * 2.0: Controller Initialization.
 */
#include "nvme_internal.h"

/* controller->setup_step: the command whose answer is awaited. */
enum {
    STEP_IDENTIFY,
    STEP_QUEUE_COUNT,
    STEP_SHADOW,
    STEP_BEHAVIOR,
    STEP_EVENTS,
    STEP_PAIRS, /* and from here on two for each pair */
};

static void write_address(const struct nvme_config *config, uint32_t offset,
                          const volatile void *ring)
{
    uint64_t address = hal_dma_address(config->dma_context, (const void *)(uintptr_t)ring);

    nvme_register_write(config, offset, (uint32_t)address);
    nvme_register_write(config, offset + 4, (uint32_t)(address >> 32));
}

void nvme_setup_enable(struct nvme_controller *controller)
{
    const struct nvme_config *config = &controller->config;
    uint32_t page_shift = 0;
    uint64_t cc;

    while ((UINT32_C(4096) << page_shift) < controller->info.page_bytes) {
        page_shift++;
    }
    controller->setup_step = STEP_IDENTIFY;
    /* Their commands are gone with the admin queue. */
    controller->events.state = NVME_EVENTS_OFF;
    NVME_POKE(&controller->aborts_asked, 0);
    NVME_POKE(&controller->abort_posted, false);
    nvme_queue_reset(&controller->admin, NVME_ADMIN_DEPTH);
    controller->admin.absent = controller->up; /* a handler leaves it to the hart that resets */
    nvme_queue_enter_state(&controller->admin, NVME_QUEUE_OPEN);
    nvme_register_write(config, NVME_REG_AQA,
                        (uint32_t)(NVME_PUT(NVME_AQA_ASQS, NVME_ADMIN_DEPTH - 1) |
                                   NVME_PUT(NVME_AQA_ACQS, NVME_ADMIN_DEPTH - 1)));
    write_address(config, NVME_REG_ASQ, controller->admin.sq);
    write_address(config, NVME_REG_ACQ, controller->admin.cq);
    /* EN = 0 cleared the mask: set it again before anything can complete. */
    nvme_controller_mask_line(controller);
    /* Entry sizes together with EN: QEMU up to 7.2 checks them at that moment. */
    cc = NVME_PUT(NVME_CC_MPS, page_shift) | NVME_PUT(NVME_CC_IOSQES, NVME_SQE_SHIFT) |
         NVME_PUT(NVME_CC_IOCQES, NVME_CQE_SHIFT) | NVME_CC_EN;
    hal_before_doorbell();
    nvme_register_write(config, NVME_REG_CC, (uint32_t)cc);
}

/* ---- Number of queues ------------------------------------------------------------------ */

/* The number of I/O queue pairs that are wanted and whose doorbells lie inside BAR0. */
static uint32_t reachable_pairs(const struct nvme_controller *controller)
{
    size_t bytes = controller->config.registers_size_bytes - NVME_REG_DOORBELLS;
    /* The last doorbell needs only 4 bytes, whatever the stride; the first pair is the admin's. */
    size_t pairs = ((bytes - sizeof(uint32_t)) / controller->doorbell_stride + 1) / 2 - 1;

    return pairs < controller->config.queue_count ? (uint32_t)pairs
                                                  : controller->config.queue_count;
}

/* info.queue_count: the least of the pairs wanted, granted, and reachable by doorbells. */
static enum nvme_error take_queue_count(struct nvme_controller *controller, uint32_t granted)
{
    uint32_t wanted = controller->config.queue_count;

    if (controller->up) {
        return granted < controller->info.queue_count ? NVME_ERR_QUEUES : NVME_OK;
    }
    controller->info.queue_count = granted;
    if (granted < wanted) {
        nvme_event_emit(&controller->config, &(struct nvme_event){
                                                 .kind = NVME_EVENT_QUEUES_REDUCED,
                                                 .value = wanted,
                                                 .limit = granted,
                                             });
    }
    return NVME_OK;
}

/* ---- Shadow doorbells ------------------------------------------------------------------ */

/* True if they are wanted, offered, and a page holds them at this stride. */
static bool wants_shadow(const struct nvme_controller *controller)
{
    const struct nvme_controller_info *info = &controller->info;
    size_t end = (2 * (size_t)info->queue_count + 1) * controller->doorbell_stride + 4;

    return controller->shadow_pages != NULL && info->shadow_doorbells && end <= info->page_bytes;
}

/* A device without shadow doorbells has its registers; open queues cannot change to them. */
static enum nvme_error take_shadow(struct nvme_controller *controller, bool in_force)
{
    bool offered = controller->info.shadow_doorbells;

    if (controller->up) {
        return in_force == offered ? NVME_OK : NVME_ERR_UNSUPPORTED;
    }
    controller->info.shadow_doorbells = in_force;
    if (controller->shadow_pages != NULL && !in_force) {
        nvme_event_emit(&controller->config,
                        &(struct nvme_event){.kind = NVME_EVENT_NO_SHADOW, .value = offered});
    }
    return NVME_OK;
}

/* ---- Delays of retries ----------------------------------------------------------------- */

static bool wants_delays(const struct nvme_controller *controller)
{
    return controller->config.retries_max != 0 && controller->retry_delays[0] != 0;
}

/* Only a device that was asked to tells of them. */
static void take_delays(struct nvme_controller *controller, bool in_force)
{
    if (!in_force) {
        nvme_memset(controller->retry_delays, 0, sizeof(controller->retry_delays));
    }
}

/* ---- The steps ------------------------------------------------------------------------- */

/* The next command of the pairs, the completion queue first: its submission queue refers to it. */
static bool next_of_pairs(struct nvme_controller *controller, struct nvme_admin_call *call)
{
    uint32_t *step = &controller->setup_step;

    for (; *step < STEP_PAIRS + 2 * controller->info.queue_count; ++*step) {
        uint32_t number = *step - STEP_PAIRS;
        const struct nvme_queue *queue = &controller->queues[number / 2];

        if (__atomic_load_n(&queue->state, __ATOMIC_ACQUIRE) == NVME_QUEUE_OPEN) {
            nvme_admin_ask_create(
                queue, number % 2 == 0 ? NVME_ADMIN_CREATE_CQ : NVME_ADMIN_CREATE_SQ, call);
            return true;
        }
    }
    return false;
}

bool nvme_setup_next(struct nvme_controller *controller, struct nvme_admin_call *call)
{
    uint32_t *step = &controller->setup_step;
    uint32_t pairs = reachable_pairs(controller);

    *call = (struct nvme_admin_call){0};
    if (*step == STEP_IDENTIFY) {
        nvme_admin_ask_identify(controller, NVME_CNS_CONTROLLER, 0, call);
        return true;
    }
    if (*step == STEP_QUEUE_COUNT) {
        if (pairs != 0) {
            nvme_admin_ask_queue_count(pairs, call);
            return true;
        }
        (void)take_queue_count(controller, 0); /* as it was at bring-up */
        ++*step;
    }
    if (*step == STEP_SHADOW) {
        if (wants_shadow(controller)) {
            nvme_admin_ask_shadow(controller, call);
            return true;
        }
        (void)take_shadow(controller, false); /* as it was at bring-up */
        ++*step;
    }
    if (*step == STEP_BEHAVIOR) {
        if (wants_delays(controller)) {
            nvme_admin_ask_behavior(controller, call);
            return true;
        }
        take_delays(controller, false);
        ++*step;
    }
    if (*step == STEP_EVENTS) {
        if (controller->config.events) {
            nvme_events_ask(controller, call);
            return true;
        }
        ++*step;
    }
    return next_of_pairs(controller, call);
}

/* A reset must not make another device of it: queues and requests go on. */
static enum nvme_error check_identity(const struct nvme_controller *controller)
{
    struct nvme_controller_info found = controller->info;
    enum nvme_error error = nvme_identify_controller_decode(controller->identify_page, &found);

    bool same = found.max_transfer_bytes >= controller->info.max_transfer_bytes;

    for (size_t i = 0; i < sizeof(found.serial); i++) {
        same = same && found.serial[i] == controller->info.serial[i];
    }
    return error == NVME_OK && !same ? NVME_ERR_IDENTIFY : error;
}

/* Identify Controller has answered: the admin queue is empty, which the check of the line needs. */
static enum nvme_error take_identity(struct nvme_controller *controller)
{
    nvme_quirk_check_line(controller);
    nvme_memcpy(controller->retry_delays,
                controller->identify_page + offsetof(struct nvme_identify_controller, crdt),
                sizeof(controller->retry_delays));
    return controller->up
               ? check_identity(controller)
               : nvme_identify_controller_decode(controller->identify_page, &controller->info);
}

enum nvme_error nvme_setup_take(struct nvme_controller *controller,
                                const struct nvme_result *result)
{
    bool taken = result->error == NVME_OK;
    uint32_t step = controller->setup_step++;

    if (!taken && result->error != NVME_ERR_DEVICE) {
        return result->error;
    }
    if (step == STEP_QUEUE_COUNT) {
        uint32_t wanted = reachable_pairs(controller);

        /* A device that refuses gives no queue, and can still be administered. */
        return take_queue_count(controller, taken ? nvme_admin_queues_granted(result, wanted) : 0);
    }
    if (step == STEP_SHADOW) {
        return take_shadow(controller, taken);
    }
    if (step == STEP_BEHAVIOR) {
        take_delays(controller, taken);
        return NVME_OK;
    }
    if (step == STEP_EVENTS) {
        /* A device that refuses the feature still tells of errors. */
        nvme_events_arm(controller);
        return NVME_OK;
    }
    return taken && step == STEP_IDENTIFY ? take_identity(controller) : result->error;
}
