// SPDX-License-Identifier: MIT
/*
 * Asynchronous Event Request, Asynchronous Event Configuration, Get Log Page.
 */
#include <string.h>

#include "model_internal.h"

enum { STATUS_INVALID_LOG = 0x109 };

/* Ends the oldest request with the oldest event whose type may be told. */
static bool tell_one(struct model *model)
{
    struct model_events *events = &model->events;
    uint32_t event = 0;
    uint32_t index = 0;

    while (event < events->waiting_count &&
           (events->told >> NVME_GET(NVME_ASYNC_TYPE, events->waiting[event]) & 1) != 0) {
        event++;
    }
    while (index < model->pending_count && !model_is_event_request(&model->pending[index])) {
        index++;
    }
    if (event == events->waiting_count || index == model->pending_count) {
        return false;
    }
    events->dw0 = events->waiting[event];
    events->told |= 1U << NVME_GET(NVME_ASYNC_TYPE, events->dw0);
    events->waiting_count--;
    memmove(&events->waiting[event], &events->waiting[event + 1],
            (events->waiting_count - event) * sizeof(events->waiting[0]));
    events->requests--;
    model_step_one(model, index);
    return true;
}

void model_tell_events(struct model *model)
{
    /* EN = 0 takes the queues at once, also while requests still have to end. */
    while ((model->cc & NVME_CC_EN) != 0 && tell_one(model)) {
    }
    model_update_line(model);
}

void model_raise_event(struct model *model, enum nvme_async_type type, uint32_t information,
                       enum nvme_log log)
{
    struct model_events *events = &model->events;

    if (events->waiting_count < MODEL_EVENTS) {
        events->waiting[events->waiting_count++] =
            (uint32_t)(NVME_PUT(NVME_ASYNC_TYPE, type) |
                       NVME_PUT(NVME_ASYNC_INFORMATION, information) |
                       NVME_PUT(NVME_ASYNC_LOG, log));
    }
    model_tell_events(model);
}

bool model_is_event_request(const struct model_pending *pending)
{
    return pending->sqid == 0 &&
           NVME_GET(NVME_CDW0_OPCODE, pending->command.cdw0) == NVME_ADMIN_ASYNC_EVENT_REQUEST;
}

void model_forget_events(struct model *model)
{
    model->events.config = 0;
    model->events.told = 0;
    model->events.waiting_count = 0;
    model->events.requests = 0;
}

bool model_holds_command(struct model *model, const struct model_pending *pending)
{
    if (model->events.log_silent && pending->sqid == 0 &&
        NVME_GET(NVME_CDW0_OPCODE, pending->command.cdw0) == NVME_ADMIN_GET_LOG_PAGE) {
        return true;
    }
    if (!model_is_event_request(pending) ||
        model->admin_status[NVME_ADMIN_ASYNC_EVENT_REQUEST] != 0) {
        return false;
    }
    if (model->events.requests > model->events.limit) {
        world_find("more Asynchronous Event Requests than AERL allows");
    }
    model->events.requests++;
    return true;
}

struct model_answer model_configure_events(struct model *model, const struct nvme_command *command)
{
    if ((command->cdw11 & ~(uint32_t)0xff & ~model->events.optional) != 0) {
        world_find("events are enabled that OAES does not offer");
    }
    model->events.config = command->cdw11;
    return (struct model_answer){0};
}

/* A read of a log page allows the next event of the types that it clears. */
static uint32_t type_of_log(uint32_t log)
{
    return log == NVME_LOG_ERRORS   ? NVME_ASYNC_ERROR
           : log == NVME_LOG_HEALTH ? NVME_ASYNC_HEALTH
                                    : NVME_ASYNC_NOTICE;
}

struct model_answer model_get_log(struct model *model, const struct nvme_command *command)
{
    struct model_events *events = &model->events;
    uint32_t log = command->cdw10 & 0xff;
    uint32_t bytes = ((uint32_t)NVME_GET(NVME_LOG_DWORDS, command->cdw10) + 1) * 4;
    uint8_t page[NVME_IDENTIFY_BYTES] = {0};

    events->log_reads++;
    if (log == NVME_LOG_ERRORS) {
        memcpy(page, &events->error_count, sizeof(events->error_count));
    } else if (log == NVME_LOG_HEALTH) {
        page[0] = events->critical_warning;
        memcpy(page + 1, &events->temperature, sizeof(events->temperature));
    } else if (log == NVME_LOG_CHANGED_NAMESPACES) {
        memcpy(page, events->changed, sizeof(events->changed));
        memset(events->changed, 0, sizeof(events->changed));
    } else if (log != NVME_LOG_FIRMWARE) {
        return (struct model_answer){.status = STATUS_INVALID_LOG};
    }
    if (bytes > sizeof(page)) {
        return (struct model_answer){.status = STATUS_INVALID_LOG};
    }
    model_send(model, command, page, bytes);
    events->told &= ~(1U << type_of_log(log));
    return (struct model_answer){0};
}
