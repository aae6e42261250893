// SPDX-License-Identifier: MIT
/*
 * Events of a real device model, provoked by admin commands between reads: a temperature above its
 * threshold, a namespace that is detached and attached again. Wants a controller in a subsystem.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "irq.h"
#include "nvme_admin.h"
#include "selftest.h"

enum {
    ADMIN_NAMESPACE_ATTACHMENT = 0x15, /* cdw10: 0 attaches, 1 detaches */
    FEATURE_TEMPERATURE_THRESHOLD = 0x04,
    THRESHOLD_LOW_K = 300, /* below QEMU's temperature */
    THRESHOLD_K = 343,     /* its default */
    TEMPERATURE_K = 323,
    WARNING_TEMPERATURE = 2,
    READS = 32,
};

static bool execute(const struct nvme_command *command, void *buffer, uint32_t size_bytes)
{
    struct nvme_result result;
    enum nvme_error error = nvme_admin_passthrough(selftest.storage.controllers[0].engine, command,
                                                   buffer, size_bytes, &result);

    return check(error == NVME_OK, "opcode 0x%" PRIx32 ": %s, status 0x%x", command->cdw0,
                 nvme_error_text(error), result.status);
}

static void set_threshold(uint32_t kelvin)
{
    struct nvme_command command = {
        .cdw0 = NVME_ADMIN_SET_FEATURES,
        .cdw10 = FEATURE_TEMPERATURE_THRESHOLD,
        .cdw11 = kelvin,
    };

    execute(&command, NULL, 0);
}

/* The controller list of one: how many, then their ids. */
static void attach_namespace(uint32_t nsid, bool attach)
{
    struct nvme_command command = {
        .cdw0 = ADMIN_NAMESPACE_ATTACHMENT,
        .nsid = nsid,
        .cdw10 = attach ? 0 : 1,
    };
    uint16_t *list = take_pages(PAGE_BYTES);
    struct nvme_controller_info info;

    nvme_controller_describe(selftest.storage.controllers[0].engine, &info);
    list[0] = 1;
    list[1] = info.controller_id;
    execute(&command, list, PAGE_BYTES);
}

/* The events of a kind so far; *last is the newest. */
static uint32_t count_events(enum nvme_event_kind kind, struct nvme_event *last)
{
    const struct storage_controller *controller = &selftest.storage.controllers[0];
    uint32_t count = 0;

    for (uint32_t i = 0; i < controller->event_count && i < STORAGE_EVENTS_MAX; i++) {
        if (controller->events[i].kind == kind) {
            *last = controller->events[i];
            count++;
        }
    }
    return count;
}

/* Waits for event number `count` of a kind, as an idle owner does. */
static struct nvme_event wait_event(enum nvme_event_kind kind, uint32_t count)
{
    struct nvme_event last = {0};
    struct patience patience = {0};

    irq_disable();
    while (count_events(kind, &last) < count && patience_spend(&patience) < WAIT_LIMIT_NS) {
        storage_wait(&selftest.storage.queues[0], NVME_WAIT_IDLE);
    }
    irq_enable();
    check(count_events(kind, &last) >= count, "no event: %s", nvme_event_text(kind));
    return last;
}

static void read_blocks(uint8_t *buffer)
{
    for (uint32_t i = 0; i < READS; i++) {
        transfer(&selftest.storage.queues[0], NVME_CMD_READ, i, 1, buffer);
    }
}

static void test_events(void)
{
    struct storage_config config = {.depth_entries = READS, .events = true, .controllers_max = 1};
    struct storage_controller *controller = &selftest.storage.controllers[0];
    uint8_t *buffer;
    struct nvme_event event;

    if (!open_storage(&config)) {
        return;
    }
    buffer = take_pages(PAGE_BYTES);
    for (uint32_t i = 1; i <= 2; i++) {
        set_threshold(THRESHOLD_LOW_K);
        read_blocks(buffer);
        event = wait_event(NVME_EVENT_HEALTH, i);
        check(event.value == WARNING_TEMPERATURE && event.limit == TEMPERATURE_K,
              "warnings 0x%" PRIx64 " at %" PRIu64 " K", event.value, event.limit);
        set_threshold(THRESHOLD_K);
    }
    for (uint32_t i = 1; i <= 2; i++) {
        attach_namespace(controller->ns.nsid, i == 2);
        event = wait_event(NVME_EVENT_NAMESPACE_CHANGED, i);
        check(event.value == controller->ns.nsid, "namespace %" PRIu64 " has changed", event.value);
    }
    storage_refresh_namespaces(&selftest.storage);
    read_blocks(buffer);
    close_storage();
}

const struct test event_tests[] = {
    {"events", test_events, MODE_ALL, WANTS_NAMED},
    {NULL, NULL, 0, 0},
};
