// SPDX-License-Identifier: MIT
/*
 * A device of another kind on an interrupt line of ours: QEMU's `edu` (docs/specs/edu), which
 * interrupts when it is told to. Neither loses an interrupt to the other, however both mix.
 */
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
    SWAPS_MIN = 1000,
    IDLE_RAISES = 4 * NVME_STORM_INTERRUPTS,
};
#define TELL_LIMIT_NS (2 * NS_PER_S) /* of patience: far above any honest answer */

/* Interrupts raised and told of; at most one is under way. `wrong`: told of with another reason. */
static struct {
    const struct pci_function *function;
    atomic_uint_fast64_t raised, told;
    uint64_t wrong;
} edu;

static atomic_uint_fast64_t swaps; /* of the handler */

static volatile uint32_t *edu_register(uint32_t offset)
{
    return (volatile uint32_t *)(uintptr_t)(edu.function->bars[0].base + offset);
}

static uint32_t reason_of(uint64_t number)
{
    return UINT32_C(1) << number % 32;
}

static bool edu_handler(void *arg)
{
    uint32_t status = *edu_register(EDU_STATUS);

    (void)arg;
    if (status == 0) {
        return false;
    }
    *edu_register(EDU_ACKNOWLEDGE) = status;
    edu.wrong += status != reason_of(atomic_load(&edu.told));
    atomic_fetch_add(&edu.told, 1);
    return true;
}

/* Raises the next one unless one is under way. Any hart, any context. */
static void edu_raise(void)
{
    uint_fast64_t number = atomic_load(&edu.told);

    if (atomic_compare_exchange_strong(&edu.raised, &number, number + 1)) {
        *edu_register(EDU_RAISE) = reason_of(number);
    }
}

/* Raises one and waits until it, or one that was under way, has been told of. */
static bool edu_await(void)
{
    uint64_t before = atomic_load(&edu.told);
    struct patience patience = {0};

    edu_raise();
    while (atomic_load(&edu.told) == before) {
        if (patience_spend(&patience) > TELL_LIMIT_NS) {
            return check(false, "interrupt %" PRIu64 " of the other device did not come", before);
        }
    }
    return true;
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

/* Opens the storage and puts the other device on its line. */
static bool begin(uint32_t owners)
{
    struct storage_config config = {.harts = owners, .depth_entries = DEPTH_ENTRIES};
    struct storage *storage = &selftest.storage;
    struct machine_interrupt other;

    atomic_store(&edu.raised, 0);
    atomic_store(&edu.told, 0);
    edu.wrong = 0;
    edu.function = find_edu();
    if (edu.function == NULL || edu.function->bars[0].size == 0) {
        skip("no edu device");
        return false;
    }
    if (!open_storage(&config)) {
        return false;
    }
    other = storage->lines[0].irq;
    other.source++;
    check(!storage_attach_other_device(storage, other, edu_handler, NULL),
          "attached to a line that is not open");
    check(storage_attach_other_device(storage, edu.function->irq, edu_handler, NULL),
          "the edu device is on a line of its own");
    pci_enable(edu.function);
    return true;
}

static void end(void)
{
    const struct storage_queue *queue = &selftest.storage.queues[0];
    /* A line of several harts has no hybrid mode. */
    bool plain = selftest.mode == NVME_MODE_HYBRID && queue->controller->shared;
    enum nvme_mode mode = plain ? NVME_MODE_INTERRUPT : selftest.mode;
    struct nvme_counters sum;

    check(!event_seen(NVME_EVENT_INTERRUPT_STORM) && nvme_queue_mode(queue->engine) == mode,
          "our controllers are blamed for the other device's interrupts");
    storage_count(&selftest.storage, &sum);
    printf("note other_device: %" PRIu64 " interrupts of the other device; %" PRIu64
           " requests, %" PRIu64 " interrupts, late %" PRIu64 ", missed %" PRIu64 "\n",
           atomic_load(&edu.told), sum.completions, sum.interrupts, sum.late, sum.missed);
    check(edu.wrong == 0, "%" PRIu64 " interrupts with another reason", edu.wrong);
    pci_disable(edu.function);
    storage_attach_other_device(&selftest.storage, edu.function->irq, NULL, NULL);
    close_storage();
}

static void raise_all(void)
{
    while (crew_busy() && edu_await()) {
    }
}

/* In done() its entry still holds the line up: no edge tells of the other device then. */
static void raise_hook(struct workload *workload)
{
    (void)workload;
    edu_raise();
}

static bool was_raised(const struct workload *workload)
{
    (void)workload;
    return atomic_load(&edu.told) >= RAISED_MIN;
}

/* Owners and a hart beside them raise one interrupt after the other, amid the work. */
static void test_busy(void)
{
    const uint32_t owners[] = {1, test_harts() - 1};

    for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
        if (!begin(owners[i])) {
            return;
        }
        crew_run(&(struct crew){.depth = DEPTH,
                                .done = raise_hook,
                                .runtime_ns = selftest.runtime_ns,
                                .enough = was_raised,
                                .helper = raise_all});
        check(atomic_load(&edu.told) >= RAISED_MIN, "too few interrupts");
        end();
    }
}

/* The other device's handler goes and comes as fast as it can, while the line is in use. */
static void swap_all(void)
{
    while (crew_busy()) {
        storage_attach_other_device(&selftest.storage, edu.function->irq, NULL, NULL);
        storage_attach_other_device(&selftest.storage, edu.function->irq, edu_handler, NULL);
        atomic_fetch_add(&swaps, 1);
    }
}

static bool was_swapped(const struct workload *workload)
{
    (void)workload;
    return atomic_load(&swaps) >= SWAPS_MIN;
}

/* Another hart may be between claim and complete then: the source must stay enabled for it. */
static void test_swap(void)
{
    if (!begin(1)) {
        return;
    }
    atomic_store(&swaps, 0);
    crew_run(&(struct crew){.depth = DEPTH,
                            .runtime_ns = selftest.runtime_ns,
                            .enough = was_swapped,
                            .helper = swap_all});
    end();
}

static void raise_some(void *arg, unsigned index)
{
    (void)arg;
    for (uint32_t i = 0; index == 1 && i < IDLE_RAISES; i++) {
        if (!edu_await()) {
            return;
        }
    }
}

/* Interrupts of the other device alone are no storm of ours. */
static void test_idle(void)
{
    if (!begin(1)) {
        return;
    }
    check(harts_run(2, raise_some, NULL), "harts did not run");
    end();
}

const struct test other_device_tests[] = {
    {"other_device.busy", test_busy, MODE_SLEEP, WANTS_NAMED | WANTS_LINE | WANTS_HARTS},
    {"other_device.swap", test_swap, MODE_SLEEP, WANTS_NAMED | WANTS_LINE | WANTS_HARTS},
    {"other_device.idle", test_idle, MODE_SLEEP, WANTS_NAMED | WANTS_LINE | WANTS_HARTS},
    {NULL, NULL, 0, 0},
};
