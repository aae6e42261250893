// SPDX-License-Identifier: MIT
/*
 * Asynchronous events: one Asynchronous Event Request, the log page that clears the event, a report
 * to the embedder, the next request.
 *
 * The request has no deadline and belongs to no queue of the caller. Nothing here waits: callbacks
 * on the admin queue note what has ended, and nvme_events_poll() takes the next step. So a device
 * that sends events without end gets one step per call. NVMe Base 2.0: Asynchronous Event Request,
 * Get Log Page. tests/spin/event.pml is the model.
 */
#include "nvme_internal.h"

enum {
    LOG_BYTES = 512, /* what is read of any log page but the list */
    LIST_ENTRIES = NVME_IDENTIFY_BYTES / sizeof(uint32_t),
};

/* A device that refuses the request gets no other. */
static void request_done(void *arg, struct nvme_result result)
{
    struct nvme_controller *controller = arg;

    controller->events.dw0 = result.dw0;
    controller->events.state = result.error == NVME_OK ? NVME_EVENTS_ENDED : NVME_EVENTS_OFF;
    nvme_admin_report(controller, NVME_ADMIN_ASYNC_EVENT_REQUEST, &result);
}

/* A log page that is refused is reported as zeros, and the device is asked for the next event. */
static void log_done(void *arg, struct nvme_result result)
{
    struct nvme_controller *controller = arg;
    bool ended = result.error == NVME_OK || result.error == NVME_ERR_DEVICE;

    if (result.error != NVME_OK) {
        nvme_memset(controller->events.page, 0, NVME_IDENTIFY_BYTES);
    }
    controller->events.state = ended ? NVME_EVENTS_READ : NVME_EVENTS_OFF;
    nvme_admin_report(controller, NVME_ADMIN_GET_LOG_PAGE, &result);
}

void nvme_events_arm(struct nvme_controller *controller)
{
    struct nvme_command command = {.cdw0 = NVME_ADMIN_ASYNC_EVENT_REQUEST};

    controller->events.state = NVME_EVENTS_ARMED;
    nvme_io_put(&controller->admin, &command, NULL, 0,
                (struct nvme_callback){request_done, controller});
    nvme_queue_submit(&controller->admin);
}

/* Reads the log page that the event names. That allows the device the next event of its type. */
static void post_log(struct nvme_controller *controller)
{
    uint64_t page = NVME_GET(NVME_ASYNC_LOG, controller->events.dw0);
    uint32_t bytes = page == NVME_LOG_CHANGED_NAMESPACES ? NVME_IDENTIFY_BYTES : LOG_BYTES;
    struct nvme_command command = {
        .cdw0 = NVME_ADMIN_GET_LOG_PAGE,
        .nsid = NVME_NSID_ALL,
        .cdw10 = (uint32_t)(page | NVME_PUT(NVME_LOG_DWORDS, bytes / 4 - 1)),
    };

    controller->events.state = NVME_EVENTS_READING;
    controller->events.since_ns = hal_now_ns();
    nvme_io_put(&controller->admin, &command, controller->events.page, bytes,
                (struct nvme_callback){log_done, controller});
    nvme_queue_submit(&controller->admin);
}

/* An event for each namespace of the list; one without a list stands for all of them. */
static void report_namespaces(const struct nvme_controller *controller)
{
    const volatile uint32_t *list = (const volatile uint32_t *)(void *)controller->events.page;
    struct nvme_event event = {.kind = NVME_EVENT_NAMESPACE_CHANGED, .value = list[0]};

    if (event.value == 0 || event.value > controller->info.namespace_id_max) {
        event.value = NVME_NSID_ALL;
        nvme_event_emit(&controller->config, &event);
        return;
    }
    for (uint32_t i = 0, last = 0; i < LIST_ENTRIES; i++) {
        event.value = list[i];
        if (event.value <= last || event.value > controller->info.namespace_id_max) {
            return;
        }
        last = (uint32_t)event.value;
        nvme_event_emit(&controller->config, &event);
    }
}

static void report_event(const struct nvme_controller *controller)
{
    const volatile struct nvme_log_health *health = (const void *)controller->events.page;
    const volatile struct nvme_log_error *error = (const void *)controller->events.page;
    uint32_t dw0 = controller->events.dw0;
    uint64_t information = NVME_GET(NVME_ASYNC_INFORMATION, dw0);
    struct nvme_event event = {.kind = NVME_EVENT_ASYNCHRONOUS, .value = dw0};

    switch (NVME_GET(NVME_ASYNC_TYPE, dw0)) {
    case NVME_ASYNC_ERROR:
        event.kind = NVME_EVENT_DEVICE_ERROR;
        event.value = information;
        event.limit = error->error_count;
        break;
    case NVME_ASYNC_HEALTH:
        event.kind = NVME_EVENT_HEALTH;
        event.value = health->critical_warning;
        event.limit = health->temperature_low | (uint32_t)health->temperature_high << 8;
        break;
    case NVME_ASYNC_NOTICE:
        if (information == NVME_NOTICE_NAMESPACES) {
            report_namespaces(controller);
            return;
        }
        if (information == NVME_NOTICE_FIRMWARE) {
            event.kind = NVME_EVENT_FIRMWARE_ACTIVATION;
        }
        break;
    default:
        break;
    }
    nvme_event_emit(&controller->config, &event);
}

void nvme_events_ask(const struct nvme_controller *controller, struct nvme_admin_call *call)
{
    uint64_t optional = controller->info.optional_events;

    call->command.cdw0 = NVME_ADMIN_SET_FEATURES;
    call->command.cdw10 = NVME_FEATURE_ASYNC_EVENTS;
    call->command.cdw11 = (uint32_t)(NVME_EVENTS_HEALTH |
                                     (optional & (NVME_EVENTS_NAMESPACES | NVME_EVENTS_FIRMWARE)));
}

/* The log page is late: the device is as dead as for any other admin command. */
static bool is_late(const struct nvme_controller *controller)
{
    return controller->events.state == NVME_EVENTS_READING &&
           hal_now_ns() - controller->events.since_ns > controller->config.command_timeout_ns;
}

static void take_live_step(struct nvme_controller *controller)
{
    nvme_queue_reap(&controller->admin, NVME_ADMIN_DEPTH);
    if (controller->events.state == NVME_EVENTS_ENDED) {
        post_log(controller);
    } else if (controller->events.state == NVME_EVENTS_READ) {
        report_event(controller);
        nvme_events_arm(controller);
    } else if (is_late(controller)) {
        nvme_event_emit(&controller->config,
                        &(struct nvme_event){
                            .kind = NVME_EVENT_COMMAND_TIMEOUT,
                            .limit = controller->config.command_timeout_ns / 1000000,
                        });
        nvme_controller_disable(controller, NVME_ERR_TIMEOUT);
    }
}

/* In a reset the admin queue belongs to the hart that sets the controller up. */
static void take_step(struct nvme_controller *controller)
{
    unsigned long irq = nvme_admin_begin(controller, NVME_CLOSED_COMMAND);

    if (nvme_controller_state_load(controller) == NVME_CONTROLLER_LIVE) {
        take_live_step(controller);
    }
    nvme_admin_end(controller, NVME_CLOSED_COMMAND, irq);
}

void nvme_events_poll(struct nvme_controller *controller)
{
    uint8_t state = controller->events.state;

    if (state == NVME_EVENTS_OFF) {
        return;
    }
    if (nvme_controller_state_load(controller) != NVME_CONTROLLER_LIVE) {
        /* Perhaps no queue is open, whose owner would look. */
        nvme_controller_disable_step(controller, hal_now_ns());
    } else if (state == NVME_EVENTS_ENDED || state == NVME_EVENTS_READ ||
               nvme_queue_ready(&controller->admin) || is_late(controller)) {
        take_step(controller);
    }
}
