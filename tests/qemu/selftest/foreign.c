// SPDX-License-Identifier: MIT
// A device of another kind on an interrupt line of ours: QEMU's `edu` (docs/specs/edu), which
// interrupts when it is told to. Neither loses an interrupt to the other, however both mix.
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#include "crew.h"
#include "harts.h"
#include "selftest.h"
#include "timer.h"

enum { EDU_VENDOR = 0x1234, EDU_DEVICE = 0x11e8 };
enum { EDU_STATUS = 0x24, EDU_RAISE = 0x60, EDU_ACKNOWLEDGE = 0x64 };
enum {
    DEPTH = 8,
    DEPTH_ENTRIES = DEPTH * WORKLOAD_SPAN_MAX + 1,
    RAISED_MIN = 50,
    IDLE_RAISES = 4 * NVME_STORM_CLAIMS,
};
#define TELL_LIMIT_NS (2 * NS_PER_S) // far above any honest answer

static struct {
    const struct pci_function *function;
    uint64_t raised;
    uint32_t last; // reasons of the last interrupt; written by the handler before `told`
    atomic_uint_fast64_t told;
} edu;

static volatile uint32_t *edu_register(uint32_t offset)
{
    return (volatile uint32_t *)(uintptr_t)(edu.function->bars[0].base + offset);
}

static bool edu_handler(void *arg)
{
    uint32_t status = *edu_register(EDU_STATUS);

    (void)arg;
    if (status == 0) {
        return false;
    }
    *edu_register(EDU_ACKNOWLEDGE) = status;
    edu.last = status;
    atomic_fetch_add(&edu.told, 1);
    return true;
}

// One interrupt, waited for. Any hart but in a trap.
static bool edu_raise(void)
{
    uint32_t reason = UINT32_C(1) << edu.raised % 32;
    uint64_t start_ns = time_now_ns();

    *edu_register(EDU_RAISE) = reason;
    edu.raised++;
    while (atomic_load(&edu.told) != edu.raised) {
        if (time_now_ns() - start_ns > TELL_LIMIT_NS) {
            return check(false, "the other device's interrupt %" PRIu64 " did not come",
                         edu.raised);
        }
    }
    return check(edu.last == reason, "reasons %" PRIx32 ", not %" PRIx32, edu.last, reason);
}

static const struct pci_function *find_edu(void)
{
    for (uint32_t i = 0; i < selftest.storage.function_count; i++) {
        const struct pci_function *function = &selftest.storage.functions[i];

        if (function->vendor == EDU_VENDOR && function->device_id == EDU_DEVICE) {
            return function;
        }
    }
    return NULL;
}

// Opens the storage and puts the other device on its line.
static bool begin(uint32_t owners)
{
    struct storage_config config = {.harts = owners, .depth_entries = DEPTH_ENTRIES};
    struct storage *storage = &selftest.storage;

    edu.raised = 0;
    atomic_store(&edu.told, 0);
    edu.function = find_edu();
    if (edu.function == NULL || edu.function->bars[0].size == 0) {
        skip("no edu device");
        return false;
    }
    if (!open_storage(&config)) {
        return false;
    }
    check(!storage_attach_foreign(storage, storage->lines[0].source + 1, edu_handler, NULL),
          "attached to a line that is not open");
    check(storage_attach_foreign(storage, edu.function->irq_source, edu_handler, NULL),
          "the edu device is on a line of its own");
    pci_enable(edu.function);
    return true;
}

static void end(void)
{
    check(!event_seen(NVME_EVENT_INTERRUPT_STORM) &&
              nvme_queue_mode(selftest.storage.queues[0].engine) == selftest.mode,
          "our controllers are blamed for the other device's interrupts");
    printf("note foreign: %" PRIu64 " interrupts of the other device\n", edu.raised);
    pci_disable(edu.function);
    storage_attach_foreign(&selftest.storage, edu.function->irq_source, NULL, NULL);
    close_storage();
}

static void raise_all(void)
{
    while (crew_busy() && edu_raise()) {
    }
}

// A hart raises one interrupt after the other while the owners work, one of them or several.
static void test_busy(void)
{
    const uint32_t owners[] = {1, test_harts() - 1};

    for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
        if (!begin(owners[i])) {
            return;
        }
        crew_run(
            &(struct crew){.depth = DEPTH, .runtime_ns = selftest.runtime_ns, .helper = raise_all});
        check(edu.raised >= RAISED_MIN, "%" PRIu64 " interrupts raised", edu.raised);
        end();
    }
}

static void raise_some(void *arg, unsigned index)
{
    (void)arg;
    for (uint32_t i = 0; index == 1 && i < IDLE_RAISES; i++) {
        if (!edu_raise()) {
            return;
        }
    }
}

// Interrupts of the other device alone are no storm of ours.
static void test_idle(void)
{
    if (!begin(1)) {
        return;
    }
    check(harts_run(2, raise_some, NULL) == 0, "harts did not run");
    end();
}

const struct test foreign_tests[] = {
    {"foreign.busy", test_busy, MODE_SLEEP, WANTS_NAMED | WANTS_LINE | WANTS_HARTS},
    {"foreign.idle", test_idle, MODE_SLEEP, WANTS_NAMED | WANTS_LINE | WANTS_HARTS},
    {NULL, NULL, 0, 0},
};
