// SPDX-License-Identifier: MIT
/*
 * Admin commands: one at a time, each under a deadline, polled.
 *
 * If the device does not answer, the call returns an error and the caller disables it.
 * Completions are polled, even if the controller interrupts. Its source is masked meanwhile and
 * this hart's interrupts are off, so the handler never meets a command in progress.
 */
#include "nvme_internal.h"

/* The period of status register reads while a command is awaited. */
#define STATUS_PERIOD_NS UINT64_C(1000000)

void nvme_admin_report(struct nvme_controller *controller, uint8_t opcode,
                       const struct nvme_result *result)
{
    uint32_t refusal = (uint32_t)opcode << 16 | result->status;

    /* Equal ones in a row once: a program may ask for every namespace identifier. */
    if (result->error == NVME_ERR_DEVICE && refusal != controller->admin_refusal) {
        controller->admin_refusal = refusal;
        nvme_event_emit(&controller->config, &(struct nvme_event){
                                                 .kind = NVME_EVENT_ADMIN_FAILED,
                                                 .value = opcode,
                                                 .limit = result->status,
                                             });
    }
}

static void admin_done(void *arg, struct nvme_result result)
{
    struct nvme_controller *controller = arg;

    controller->admin_result = result;
    controller->admin_done = true;
    nvme_admin_report(controller, controller->admin_opcode, &result);
}

enum nvme_error nvme_admin_check_status(const struct nvme_controller *controller, uint32_t csts)
{
    struct nvme_event event = {.value = csts};
    enum nvme_error error = NVME_OK;

    if (csts == NVME_REGISTER_GONE) {
        event.kind = NVME_EVENT_REMOVED;
        error = NVME_ERR_REMOVED;
    } else if ((csts & NVME_CSTS_CFS) != 0) {
        event.kind = NVME_EVENT_CONTROLLER_FATAL;
        error = NVME_ERR_FATAL;
    }
    if (error != NVME_OK) {
        nvme_event_emit(&controller->config, &event);
    }
    return error;
}

/* Reaps the admin queue until the command has ended, the device has died or time is up. */
static enum nvme_error await_command(struct nvme_controller *controller)
{
    uint64_t start = hal_now_ns();
    uint64_t next_status = start + STATUS_PERIOD_NS;
    bool expired = false;
    uint64_t now;

    for (;;) {
        nvme_queue_reap(&controller->admin, NVME_ADMIN_DEPTH);
        if (controller->admin_done) {
            return controller->admin_result.error;
        }
        if (nvme_controller_state_load(controller) != NVME_CONTROLLER_LIVE) {
            /* An owner's watchdog has disabled the controller and set the cause. */
            return nvme_controller_absence(controller);
        }
        if (expired) {
            nvme_event_emit(&controller->config,
                            &(struct nvme_event){
                                .kind = NVME_EVENT_COMMAND_TIMEOUT,
                                .limit = controller->config.command_timeout_ns / 1000000,
                            });
            return NVME_ERR_TIMEOUT;
        }
        now = hal_now_ns();
        /* One more look after the time is up: this hart may have slept meanwhile. */
        expired = now - start > controller->config.command_timeout_ns;
        if (now >= next_status) {
            enum nvme_error error = nvme_admin_check_status(
                controller, nvme_register_read(&controller->config, NVME_REG_CSTS));

            if (error != NVME_OK) {
                return error;
            }
            next_status = now + STATUS_PERIOD_NS;
        }
        hal_relax();
    }
}

/*
 * Sets NVME_CHECK_ADMIN, because the end of a handled interrupt looks only at the checks.
 */
static void set_admin_check(struct nvme_source *line, uint32_t closed)
{
    line->checks &= ~(uint32_t)NVME_CHECK_ADMIN;
    if ((closed & NVME_CLOSED_ADMIN) != 0) {
        line->checks |= (uint32_t)NVME_CHECK_ADMIN;
    }
}

/* Only the queues of this hart: the others may be reaping theirs. */
static void check_outside_done(const struct nvme_controller *controller)
{
    uint32_t hart = hal_hart();

    for (uint32_t i = 0; i < controller->info.queue_count; i++) {
        const struct nvme_queue *queue = &controller->queues[i];

        if (queue->owner == hart && nvme_queue_is_reaping(queue)) {
            hal_panic("a controller is administered in done() or in a trap inside it (R6)");
        }
    }
}

unsigned long nvme_admin_begin(struct nvme_controller *controller, uint32_t reason)
{
    unsigned long irq = hal_irq_save();

    check_outside_done(controller);
    /* Before the caller looks at the state: a reset waits for the end, or the caller sees it. */
    if ((__atomic_fetch_or(&controller->administered, reason, __ATOMIC_SEQ_CST) & reason) != 0) {
        hal_panic("a controller is administered twice at a time (R6)");
    }
    /* Another hart posts an Abort: a few instructions. */
    while ((__atomic_load_n(&controller->administered, __ATOMIC_ACQUIRE) &
            NVME_ADMINISTERED_ABORT) != 0) {
        hal_relax();
    }
    nvme_source_close(&controller->line, reason);
    set_admin_check(&controller->line, reason);
    return irq;
}

void nvme_admin_rest(struct nvme_controller *controller)
{
    if (!nvme_request_any(&controller->admin)) {
        nvme_queue_leave(&controller->admin);
    }
}

void nvme_admin_end(struct nvme_controller *controller, uint32_t reason, unsigned long irq)
{
    nvme_admin_rest(controller);
    /* Before the line opens: the first interrupt may come at once. */
    set_admin_check(&controller->line, controller->line.closed & ~reason);
    nvme_source_open(&controller->line, reason);
    __atomic_fetch_and(&controller->administered, ~reason, __ATOMIC_RELEASE);
    hal_irq_restore(irq);
}

void nvme_admin_post(struct nvme_controller *controller, const struct nvme_admin_call *call)
{
    controller->admin_done = false;
    controller->admin_opcode = (uint8_t)call->command.cdw0;
    nvme_io_put(&controller->admin, &call->command, call->buffer, call->size_bytes,
                (struct nvme_callback){admin_done, controller});
}

/* Posts the command and awaits its end, unless the controller has just failed. */
static enum nvme_error run_command(struct nvme_controller *controller,
                                   const struct nvme_admin_call *call)
{
    if (nvme_controller_state_load(controller) != NVME_CONTROLLER_LIVE) {
        return nvme_controller_absence(controller);
    }
    nvme_admin_post(controller, call);
    nvme_queue_submit(&controller->admin);
    return await_command(controller);
}

enum nvme_error nvme_admin_execute(struct nvme_controller *controller,
                                   const struct nvme_admin_call *call, struct nvme_result *result)
{
    enum nvme_error error;
    unsigned long irq;

    if (nvme_controller_state_load(controller) != NVME_CONTROLLER_LIVE ||
        controller->admin.free == NULL) {
        *result = (struct nvme_result){.error = nvme_controller_absence(controller)};
        return result->error;
    }
    irq = nvme_admin_begin(controller, NVME_CLOSED_COMMAND);
    error = run_command(controller, call);
    /* Before the end: a reset behind it has commands of its own. */
    *result = error == NVME_OK || error == NVME_ERR_DEVICE ? controller->admin_result
                                                           : (struct nvme_result){.error = error};
    nvme_admin_end(controller, NVME_CLOSED_COMMAND, irq);
    return error;
}

void nvme_admin_ask_identify(const struct nvme_controller *controller, enum nvme_cns cns,
                             uint32_t nsid, struct nvme_admin_call *call)
{
    call->command.cdw0 = NVME_ADMIN_IDENTIFY;
    call->command.nsid = nsid;
    call->command.cdw10 = cns;
    call->buffer = controller->identify_page;
    call->size_bytes = NVME_IDENTIFY_BYTES;
}

enum nvme_error nvme_admin_identify(struct nvme_controller *controller, enum nvme_cns cns,
                                    uint32_t nsid)
{
    struct nvme_admin_call call = {0};
    struct nvme_result result;

    nvme_admin_ask_identify(controller, cns, nsid, &call);
    return nvme_admin_execute(controller, &call, &result);
}

void nvme_admin_ask_queue_count(uint32_t wanted, struct nvme_admin_call *call)
{
    call->command.cdw0 = NVME_ADMIN_SET_FEATURES;
    call->command.cdw10 = NVME_FEATURE_NUMBER_OF_QUEUES;
    call->command.cdw11 =
        (uint32_t)(NVME_PUT(NVME_QUEUES_NSQ, wanted - 1) | NVME_PUT(NVME_QUEUES_NCQ, wanted - 1));
}

uint32_t nvme_admin_queues_granted(const struct nvme_result *result, uint32_t wanted)
{
    uint32_t sqs = (uint32_t)NVME_GET(NVME_QUEUES_NSQ, result->dw0) + 1;
    uint32_t cqs = (uint32_t)NVME_GET(NVME_QUEUES_NCQ, result->dw0) + 1;
    uint32_t granted = sqs < cqs ? sqs : cqs;

    /* A device may grant more than it was asked for. */
    return granted < wanted ? granted : wanted;
}

void nvme_admin_ask_behavior(const struct nvme_controller *controller, struct nvme_admin_call *call)
{
    nvme_memset(controller->identify_page, 0, NVME_BEHAVIOR_BYTES);
    controller->identify_page[NVME_BEHAVIOR_ACRE] = 1;
    call->command.cdw0 = NVME_ADMIN_SET_FEATURES;
    call->command.cdw10 = NVME_FEATURE_HOST_BEHAVIOR;
    call->buffer = controller->identify_page;
    call->size_bytes = NVME_BEHAVIOR_BYTES;
}

void nvme_admin_ask_shadow(const struct nvme_controller *controller, struct nvme_admin_call *call)
{
    call->command.cdw0 = NVME_ADMIN_DOORBELL_BUFFER_CONFIG;
    /* PRP1 is the first page, PRP2 the second: what a buffer of two pages has. */
    call->buffer = controller->shadow_pages;
    call->size_bytes = 2 * controller->info.page_bytes;
}

/* Create I/O Completion Queue and Create I/O Submission Queue share dword 10 and PRP1. */
void nvme_admin_ask_create(const struct nvme_queue *queue, uint8_t opcode,
                           struct nvme_admin_call *call)
{
    bool is_sq = opcode == NVME_ADMIN_CREATE_SQ;
    uint32_t entries = is_sq ? queue->depth_entries : queue->cq_depth_entries;
    const void *ring = is_sq ? (const void *)queue->sq : (const void *)(uintptr_t)queue->cq;
    uint64_t cdw11 = NVME_QUEUE_PC;

    if (is_sq) {
        cdw11 |= NVME_PUT(NVME_CREATE_SQ_CQID, queue->id);
    } else if (queue->ien) {
        cdw11 |= NVME_CREATE_CQ_IEN | NVME_PUT(NVME_CREATE_CQ_IV, queue->source->vector);
    }
    call->command.cdw0 = opcode;
    call->command.prp1 = hal_dma_address(queue->controller->config.dma_context, ring);
    call->command.cdw10 =
        (uint32_t)(NVME_PUT(NVME_QUEUE_ID, queue->id) | NVME_PUT(NVME_QUEUE_SIZE, entries - 1));
    call->command.cdw11 = (uint32_t)cdw11;
}

enum nvme_error nvme_admin_create(struct nvme_controller *controller,
                                  const struct nvme_queue *queue, uint8_t opcode)
{
    struct nvme_admin_call call = {0};
    struct nvme_result result;

    nvme_admin_ask_create(queue, opcode, &call);
    return nvme_admin_execute(controller, &call, &result);
}

enum nvme_error nvme_admin_delete(struct nvme_controller *controller, uint8_t opcode,
                                  uint16_t queue_id)
{
    struct nvme_admin_call call = {
        .command = {.cdw0 = opcode, .cdw10 = (uint32_t)NVME_PUT(NVME_QUEUE_ID, queue_id)},
    };
    struct nvme_result result;

    return nvme_admin_execute(controller, &call, &result);
}
