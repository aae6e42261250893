// SPDX-License-Identifier: MIT
/*
 * A controller that is pulled out of its slot between two batches of requests, and one that comes
 * back, while another hart works on another controller. Something outside does device_del and
 * device_add when the notes ask for it. Wants two controllers of one subsystem, each behind a root
 * port.
 */
#include <inttypes.h>
#include <stdio.h>

#include "harts.h"
#include "pci_slot.h"
#include "selftest.h"

enum { DEPTH = 17, REQUESTS = DEPTH - 1, BLOCKS = 64, LEAVER = 0, STAYER = 1, MORE = 50 };

static struct request requests[REQUESTS];
static volatile uint32_t ended;
static volatile uint32_t stayer_count;
static bool over; /* atomic */

static void count_end(void *arg, struct nvme_result result)
{
    struct request *request = arg;

    request->result = result;
    request->ends++;
    ended++;
}

/* The hart that stays: writes, reads and compares until the other one has finished. */
static void stay(struct storage_queue *queue, uint8_t *buffer)
{
    storage_hart_start(queue);
    while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
        uint32_t key = stayer_count;
        size_t bytes = queue->ns->block_bytes;

        pattern_fill(buffer, bytes, key);
        if (!transfer(queue, NVME_CMD_WRITE, key % BLOCKS, 1, buffer) ||
            !transfer(queue, NVME_CMD_READ, key % BLOCKS, 1, buffer) ||
            !check(pattern_check(buffer, bytes, key) == bytes, "the stayer reads other data")) {
            break;
        }
        __atomic_store_n(&stayer_count, key + 1, __ATOMIC_RELEASE);
    }
    storage_hart_stop(queue);
}

/* The stayer goes on: it does MORE transfers from now on. */
static void check_stayer(const char *when)
{
    uint32_t from = __atomic_load_n(&stayer_count, __ATOMIC_ACQUIRE);
    struct patience patience = {0};

    while (stayer_count - from < MORE && patience_spend(&patience) < WAIT_LIMIT_NS) {
    }
    check(stayer_count - from >= MORE, "the stayer does not go on %s", when);
}

static void post_reads(struct storage_queue *queue, uint32_t from, uint32_t to, uint8_t *buffer)
{
    for (uint32_t i = from; i < to; i++) {
        requests[i] = (struct request){0};
        check(nvme_read(queue->engine, queue->ns, i, 1, buffer + (size_t)i * PAGE_BYTES,
                        (struct nvme_callback){count_end, &requests[i]}) == NVME_OK,
              "post %" PRIu32, i);
    }
    nvme_queue_submit(queue->engine);
}

/*
 * Half of the requests have ended when the power goes, the others never arrive. None is in QEMU
 * then: 7.2.22 crashes in every second boot if its controller has work when it is taken away.
 */
static void pull_out(struct storage_queue *queue, const struct pci_slot *slot, uint8_t *buffer)
{
    ended = 0;
    post_reads(queue, 0, REQUESTS / 2, buffer);
    wait_count(queue, &ended, REQUESTS / 2);
    pci_slot_switch(slot, false);
    post_reads(queue, REQUESTS / 2, REQUESTS, buffer);
    wait_count(queue, &ended, REQUESTS);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        enum nvme_error error = requests[i].result.error;

        check(requests[i].ends == 1, "request %" PRIu32 " ended %" PRIu32 " times", i,
              requests[i].ends);
        check(error == (i < REQUESTS / 2 ? NVME_OK : NVME_ERR_REMOVED),
              "request %" PRIu32 " ended with: %s", i, nvme_error_text(error));
    }
    check(event_seen(NVME_EVENT_REMOVED), "the removal is not said");
}

static void wait_for(bool (*is_there)(const struct pci_slot *slot), const struct pci_slot *slot)
{
    struct patience patience = {0};

    while (!is_there(slot)) {
        if (patience_spend(&patience) > WAIT_LIMIT_NS) {
            give_up("nobody does what the note asks for");
        }
    }
}

/* A successor without a namespace is refused, left off, and pulled out again. */
static void refuse(const struct storage_queue *queue, const struct pci_slot *slot)
{
    const struct storage_controller *controller = queue->controller;

    printf("note wants device_add without namespace\n");
    wait_for(pci_slot_occupied, slot);
    pci_slot_switch(slot, true);
    check(!storage_take_back(queue->storage, LEAVER), "a controller without namespace is used");
    check(controller->engine == NULL && queue->engine == NULL, "it stays open");
    check((pci_config_read16(controller->function, PCI_COMMAND) &
           (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)) == 0,
          "it stays on");
    (void)pci_slot_pressed(slot);
    printf("note wants device_del\n");
    wait_for(pci_slot_pressed, slot);
    pci_slot_switch(slot, false);
}

static void leave(struct storage_queue *queue, uint8_t *buffer)
{
    struct storage *storage = &selftest.storage;
    const struct pci_function *function = storage->controllers[LEAVER].function;
    struct pci_slot slot;

    if (!check(pci_slot_find(storage->functions, storage->function_count, function, &slot),
               "the controller is in no slot")) {
        return;
    }
    transfer(queue, NVME_CMD_READ, 0, 1, buffer);
    (void)pci_slot_pressed(&slot);
    printf("note wants device_del\n");
    wait_for(pci_slot_pressed, &slot);
    pull_out(queue, &slot, buffer);
    check_stayer("without the other controller");
    storage_hart_stop(queue);
    storage_drop(storage, LEAVER);
    refuse(queue, &slot);
    printf("note wants device_add\n");
    wait_for(pci_slot_occupied, &slot);
    pci_slot_switch(&slot, true);
    if (!check(storage_take_back(storage, LEAVER), "no controller comes back")) {
        return;
    }
    storage_hart_start(queue);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        transfer(queue, NVME_CMD_READ, i, 1, buffer);
    }
    check_stayer("beside the new controller");
}

static void take_part(void *arg, unsigned index)
{
    uint8_t *buffers = arg;

    if (index == STAYER) {
        stay(&selftest.storage.queues[STAYER], buffers);
    } else {
        leave(&selftest.storage.queues[LEAVER], buffers + PAGE_BYTES);
        __atomic_store_n(&over, true, __ATOMIC_RELEASE);
    }
}

static void test_removal(void)
{
    struct storage_config config = {.harts = 2, .depth_entries = DEPTH};

    if (!open_storage(&config)) {
        return;
    }
    if (check(selftest.storage.controller_count == 2, "wants two controllers of one namespace")) {
        __atomic_store_n(&over, false, __ATOMIC_RELEASE);
        check(harts_run(2, take_part, take_pages((size_t)(REQUESTS + 1) * PAGE_BYTES)),
              "harts did not run");
    }
    close_storage();
}

const struct test removal_tests[] = {
    {"removal", test_removal, MODE_ALL, WANTS_NAMED | WANTS_HARTS},
    {NULL, NULL, 0, 0},
};
