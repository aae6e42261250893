// SPDX-License-Identifier: MIT
/*
 * The machine is reset during I/O and boots again; memory and the controllers' state survive. Every
 * boot works first, then posts and resets; the last one ends. QEMU must be allowed to reboot.
 */
#include <inttypes.h>
#include <stdio.h>

#include "irq.h"
#include "selftest.h"
#include "start.h"
#include "timer.h"

enum { DEPTH = 32, READS = 200, RESETS = 4 };

#define NOTE_MAGIC UINT64_C(0x68617274712d7273)
#define TEST_RESET 0x7777u /* sifive,test: reset */

/* What the next boot must know, in kept_memory(). */
struct note {
    uint64_t magic;
    uint64_t resets;
};

static _Noreturn void reset_machine(void)
{
    const struct machine *machine = machine_get();
    struct patience patience = {0};

    __asm__ volatile("fence iorw, iorw" ::: "memory");
    *(volatile uint32_t *)(uintptr_t)machine->test.base = TEST_RESET;
    while (patience_spend(&patience) < NS_PER_S) {
    }
    give_up("the machine was not reset");
}

/* Fills the queue, takes nothing; every second time the device is given no time either. */
static void leave_in_flight(uint64_t resets)
{
    struct storage_queue *queue = &selftest.storage.queues[0];
    static struct request requests[DEPTH];
    uint8_t *buffer = take_pages((size_t)DEPTH * PAGE_BYTES);
    uint64_t start_ns;

    irq_disable();
    for (uint32_t i = 0; i < DEPTH - 1; i++) {
        check(nvme_read(queue->engine, queue->ns, i, 1, buffer + (size_t)i * PAGE_BYTES,
                        request_callback(&requests[i])) == NVME_OK,
              "post");
    }
    nvme_queue_submit(queue->engine);
    start_ns = time_now_ns();
    while (resets % 2 == 0 && time_now_ns() - start_ns < 50 * NS_PER_MS) {
    }
    reset_machine();
}

/* Interrupt-mode reads, and what bring-up said of the line. */
static void check_after(uint64_t resets)
{
    struct storage_queue *queue = &selftest.storage.queues[0];
    uint8_t *buffer = take_pages(PAGE_BYTES);
    struct nvme_controller_info info;
    struct nvme_counters counters;

    nvme_controller_describe(queue->controller->engine, &info);
    for (uint32_t i = 0; i < READS; i++) {
        transfer(queue, NVME_CMD_READ, i, 1, buffer);
    }
    nvme_queue_count(queue->engine, &counters);
    printf("note after %" PRIu64 " machine resets: %" PRIu32 " repairs, line %s, mode %s, %" PRIu64
           " interrupts, %" PRIu64 " empty\n",
           resets, info.line_repairs, info.line_stuck ? "stuck" : "free",
           nvme_queue_mode(queue->engine) == NVME_MODE_POLL ? "poll" : "irq", counters.interrupts,
           counters.spurious);
    check(!info.line_stuck || event_seen(NVME_EVENT_LINE_STUCK), "a stuck line is not said");
    check(info.line_stuck || nvme_queue_mode(queue->engine) == NVME_MODE_INTERRUPT,
          "the line is free and the queue polls");
}

static void test_reset(void)
{
    volatile struct note *note = kept_memory();
    struct storage_config config = {.depth_entries = DEPTH};

    if (note->magic != NOTE_MAGIC) {
        note->magic = NOTE_MAGIC;
        note->resets = 0;
    }
    selftest.mode = NVME_MODE_INTERRUPT;
    if (!open_storage(&config)) {
        return;
    }
    check_after(note->resets);
    if (note->resets < RESETS) {
        note->resets++;
        leave_in_flight(note->resets);
    }
    note->magic = 0;
    close_storage();
}

const struct test reset_tests[] = {
    {"reset", test_reset, MODE_NONE, WANTS_NAMED},
    {NULL, NULL, 0, 0},
};
