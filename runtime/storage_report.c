// SPDX-License-Identifier: MIT
/*
 * The storage's output: events, the banner, counters, addresses. See storage.h.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "iommu.h"
#include "storage_internal.h"

void storage_write_address(const struct pci_function *function, char text[STORAGE_ADDRESS_BYTES])
{
    snprintf(text, STORAGE_ADDRESS_BYTES, "%02x:%02x.%u", function->bus, function->device,
             function->function & 7u);
}

void storage_note(struct storage_controller *controller, const char *format, ...)
{
    char address[STORAGE_ADDRESS_BYTES];
    va_list args;

    if (controller->quiet) {
        return;
    }
    controller->noted = true;
    storage_write_address(controller->function, address);
    printf("note: nvme at %s ", address);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
}

/* Prints the state of an interrupt source: enabled, or every reason why it is closed. */
static void print_source(uint32_t closed)
{
    printf("interrupt source %s%s", closed != 0 ? "closed: " : "", nvme_closed_text(closed));
    for (uint32_t rest = closed & (closed - 1); rest != 0; rest &= rest - 1) {
        printf(", %s", nvme_closed_text(rest));
    }
}

/* The engine's text is "what: value's name, limit's name"; each number follows its name. */
static void print_event(uint32_t controller, const struct nvme_event *event)
{
    const char *text = nvme_event_text(event->kind);
    const char *names = strstr(text, ": ");
    const char *second = names != NULL ? strstr(names, ", ") : NULL;

    printf("note: nvme %" PRIu32 " queue %u: ", controller, event->queue_id);
    if (event->kind == NVME_EVENT_ADMIN_FAILED) {
        printf("admin command refused: opcode 0x%02" PRIx64 ", status 0x%" PRIx64 " %s",
               event->value, event->limit, nvme_status_text((uint16_t)event->limit));
    } else if (names == NULL) {
        printf("%s", text);
    } else if (second == NULL) {
        printf("%s %" PRIu64, text, event->value);
    } else {
        printf("%.*s %" PRIu64 "%s %" PRIu64, (int)(second - text), text, event->value, second,
               event->limit);
    }
    if ((event->kind == NVME_EVENT_COMMAND_TIMEOUT || event->kind == NVME_EVENT_ABORT) &&
        event->queue_id != 0) {
        printf("; age %" PRIu64 " ms, %" PRIu32 " outstanding, none ended for %" PRIu64
               " ms, head %" PRIu32 ", phase %d, %" PRIu64 " interrupts; ",
               event->age_ms, event->outstanding, event->quiet_ms, event->head, event->phase,
               event->interrupts);
        print_source(event->closed);
    }
    printf("\n");
}

/* The place is taken anew as often as another hart was faster. */
void storage_keep_event(struct storage_controller *controller, const struct nvme_event *event)
{
    uint32_t number = __atomic_load_n(&controller->event_count, __ATOMIC_RELAXED);
    uint32_t place;

    do {
        uint32_t printed = __atomic_load_n(&controller->events_printed, __ATOMIC_ACQUIRE);

        /* Signed: `number` may be older than `printed`. */
        if ((int32_t)(number - printed) >= STORAGE_EVENTS_MAX) {
            __atomic_fetch_add(&controller->events_dropped, 1, __ATOMIC_RELAXED);
            return;
        }
    } while (!__atomic_compare_exchange_n(&controller->event_count, &number, number + 1, false,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    place = number % STORAGE_EVENTS_MAX;
    controller->events[place] = *event;
    __atomic_store_n(&controller->events_ready[place], number + 1, __ATOMIC_RELEASE);
}

void storage_print_controller_events(struct storage_controller *controller, uint32_t index)
{
    uint32_t dropped;

    for (uint32_t i = 0; i < STORAGE_EVENTS_MAX; i++) {
        uint32_t number = controller->events_printed;
        uint32_t place = number % STORAGE_EVENTS_MAX;

        if (__atomic_load_n(&controller->events_ready[place], __ATOMIC_ACQUIRE) != number + 1) {
            break;
        }
        print_event(index, &controller->events[place]);
        __atomic_store_n(&controller->events_printed, number + 1, __ATOMIC_RELEASE);
    }
    dropped = __atomic_exchange_n(&controller->events_dropped, 0, __ATOMIC_RELAXED);
    if (dropped != 0) {
        printf("note: nvme %" PRIu32 ": %" PRIu32 " more events; at most %d are kept\n", index,
               dropped, STORAGE_EVENTS_MAX);
    }
    (void)iommu_print_faults();
}

void storage_print_events(struct storage *storage)
{
    for (uint32_t i = 0; i < storage->controller_count; i++) {
        storage_print_controller_events(&storage->controllers[i], i);
    }
}

void storage_print_missed(const struct storage *storage)
{
    for (uint32_t i = 0; i < storage->queue_count; i++) {
        const struct nvme_queue *queue = storage->queues[i].engine;
        struct nvme_counters counters = {0};

        if (queue != NULL) {
            nvme_queue_count(queue, &counters);
        }
        if (counters.missed != 0) {
            printf("note: hart %" PRIu32 ": missed interrupts %" PRIu64 ", late %" PRIu64 "; ",
                   storage->queues[i].hart, counters.missed, counters.late);
            print_source(nvme_queue_closed(queue));
            printf("\n");
        }
    }
}

void storage_print_banner(const struct storage *storage)
{
    const struct nvme_namespace *ns = &storage->controllers[0].ns;
    static const char *const modes[] = {"poll", "irq", "hybrid"};
    struct nvme_controller_info info;

    nvme_controller_describe(storage->controllers[0].engine, &info);
    printf("nvme: %s %s, %" PRIu32 " controller%s, namespace %" PRIu32 ": %" PRIu64
           " blocks of %" PRIu32 " bytes, %" PRIu32 " queue%s of %" PRIu32
           " entries, completion %s, delivery %s%s\n",
           info.model, info.firmware, storage->controller_count,
           storage->controller_count == 1 ? "" : "s", ns->nsid, ns->block_count, ns->block_bytes,
           storage->queue_count, storage->queue_count == 1 ? "" : "s", info.depth_entries,
           modes[nvme_queue_mode(storage->queues[0].engine)], storage->delivery,
           info.shadow_doorbells ? ", shadow doorbells" : "");
}

void storage_count(const struct storage *storage, struct nvme_counters *sum)
{
    *sum = (struct nvme_counters){0};
    for (uint32_t i = 0; i < storage->queue_count; i++) {
        struct nvme_counters one = {0};

        if (storage->queues[i].engine != NULL) {
            nvme_queue_count(storage->queues[i].engine, &one);
        }
        sum->posts += one.posts;
        sum->completions += one.completions;
        sum->reaps += one.reaps;
        sum->reap_calls += one.reap_calls;
        sum->sq_doorbells += one.sq_doorbells;
        sum->cq_doorbells += one.cq_doorbells;
        sum->interrupts += one.interrupts;
        sum->spurious += one.spurious;
        sum->late += one.late;
        sum->missed += one.missed;
        sum->retries += one.retries;
        sum->stale += one.stale;
        sum->malformed += one.malformed;
        sum->rerings += one.rerings;
    }
}
