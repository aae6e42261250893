// SPDX-License-Identifier: MIT
/* Controllers that cannot be brought up stand in front of the others and hide none of them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "crew.h"
#include "heap.h"
#include "selftest.h"
#include "wired.h"

enum { BAD = 4, BAR_BYTES = 16384, FIRST_DEVICE = 27 };

/* Memory for registers. CAP: MQES 2048, contiguous queues, TO 500 ms, NVM command set. */
static void make_registers(unsigned kind, struct pci_bar *bar)
{
    uint32_t *registers = take_pages(BAR_BYTES);

    memset(registers, kind == 1 ? 0xff : 0, BAR_BYTES); /* nothing answers; nothing is supported */
    if (kind == 3) {
        registers[0] = 0x010107ff; /* never ready */
        registers[1] = 0x00000020;
    }
    bar->base = (uint64_t)(uintptr_t)registers;
    bar->size = kind == 0 ? 0 : BAR_BYTES;
}

/* Puts BAD functions in front of all; they share the configuration space of a controller. */
static bool put_in_front(const struct pci_function *saved, uint32_t count)
{
    struct storage *storage = &selftest.storage;
    uint32_t first = 0;

    while (first < count && saved[first].class_code != PCI_CLASS_NVME) {
        first++;
    }
    if (first == count || count + BAD > STORAGE_FUNCTIONS_MAX) {
        return false;
    }
    for (unsigned i = 0; i < BAD; i++) {
        storage->functions[i] = saved[first];
        storage->functions[i].device = (uint8_t)(FIRST_DEVICE + i);
        make_registers(i, &storage->functions[i].bars[0]);
    }
    memcpy(&storage->functions[BAD], saved, count * sizeof(*saved));
    storage->function_count = count + BAD;
    memset(storage->told, 0, sizeof(storage->told));
    return true;
}

static void test_bad_in_front(void)
{
    static struct pci_function saved[STORAGE_FUNCTIONS_MAX];
    struct storage *storage = &selftest.storage;
    struct storage_config config = {.harts = test_harts(), .depth_entries = 33};
    uint32_t count = storage->function_count;
    size_t mark = heap_mark();

    memcpy(saved, storage->functions, sizeof(saved));
    if (!put_in_front(saved, count)) {
        skip("too many PCI functions");
        return;
    }
    if (open_storage(&config)) {
        for (uint32_t i = 0; i < storage->controller_count; i++) {
            check(storage->controllers[i].function->device < FIRST_DEVICE, "a bad one is in use");
        }
        for (uint32_t i = 0; i < BAD; i++) {
            check(storage->told[i], "nothing was said of function %" PRIu32, i);
        }
        crew_run(&(struct crew){.depth = 4, .requests = 50});
        close_storage();
    }
    memcpy(storage->functions, saved, sizeof(saved));
    memset(storage->told, 0, sizeof(storage->told));
    storage->function_count = count;
    heap_release(mark);
}

/* A hart that the line of a controller cannot go to; test_harts(): there is none. */
static uint32_t find_unreached(void)
{
    const struct storage *storage = &selftest.storage;
    uint32_t hart = test_harts();

    for (uint32_t i = 0; i < storage->function_count && hart == test_harts(); i++) {
        struct machine_interrupt irq = storage->functions[i].irq;

        hart = 0;
        while (hart < test_harts() &&
               (storage->functions[i].class_code != PCI_CLASS_NVME || wired_reaches(irq, hart))) {
            hart++;
        }
    }
    return hart;
}

/* Sockets: an interrupt controller reaches its own harts alone. */
static void test_unreached(void)
{
    struct storage_config config = {
        .harts = 1, .depth_entries = 33, .mode = selftest.mode, .line_hart = find_unreached() + 1};

    if (config.line_hart > test_harts()) {
        skip("every hart is reached");
        return;
    }
    check(!storage_open(&selftest.storage, &config), "the line goes where it cannot");
    memset(selftest.storage.told, 0, sizeof(selftest.storage.told));
    config.line_hart = 0;
    if (open_storage(&config)) {
        crew_run(&(struct crew){.depth = 4, .requests = 50});
        close_storage();
    }
}

const struct test select_tests[] = {
    {"unreached.line-hart", test_unreached, MODE_SLEEP, WANTS_NAMED | WANTS_HARTS},
    {"select.bad-in-front", test_bad_in_front, MODE_IRQ, WANTS_NAMED},
    {NULL, NULL, MODE_NONE, 0},
};
