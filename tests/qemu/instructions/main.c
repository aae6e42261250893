// SPDX-License-Identifier: MIT
/*
 * Counts the instructions of the I/O path: submit, reap, and the whole interrupt path. The machine
 * decides the delivery: one hart counts a private line or, with an IMSIC, a vector; two harts a
 * line that they share, of which the others are never started: hart 0 answers the second's IPI.
 *
 * Meant for QEMU's -icount shift=0, where rdinstret counts instructions exactly. One JSON line per
 * configuration; what a window is stands in measure.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "figures.h"
#include "harts.h"
#include "irq.h"
#include "measure.h"
#include "sbi.h"
#include "storage.h"

enum {
    QUEUE_ENTRIES = 256, /* the rings wrap in fewer than half of the windows */
    /* The largest configuration, against which one queue is compared. */
    MANY_QUEUES = 64,
    MANY_ENTRIES = 1024,  /* of each */
    MANY_CONTROLLERS = 4, /* as far as the machine has them */
    MANY_BYTES = 4096,    /* of a request, without a shared line: less memory to clear */
};

/* The second hart stays in the firmware: woken, it would run into the windows. */
static void send_to_self(unsigned index)
{
    if (index == 0) {
        sbi_send_ipi(hart_id(0));
    }
}

static bool open_queues(const struct setup *setup, bool spread)
{
    bool many = setup->queues == MANY_QUEUES;
    struct storage_config config = {
        .harts = setup->queues,
        .depth_entries = many ? MANY_ENTRIES : QUEUE_ENTRIES,
        .mode = setup->mode,
        .clocked = setup->clocked,
        .max_transfer_bytes = many && spread ? MANY_BYTES : 0,
        .controllers_max = many ? MANY_CONTROLLERS : 1,
        .spread = spread,
    };

    if (!storage_open(&storage, &config)) {
        return false;
    }
    if (storage.queue_count != setup->queues ||
        nvme_queue_mode(storage.queues[0].engine) != setup->mode) {
        printf("error: the machine does not give %" PRIu32 " queues in this mode\n", setup->queues);
        return false;
    }
    return true;
}

/* Measures with interrupts off but for the counted traps; no watchdog, no timer. */
static bool run(const struct setup *setup, bool (*measure_one)(const struct setup *))
{
    bool measured;

    memset(figures, 0, sizeof(figures));
    irq_disable();
    measured = measure_one(setup);
    irq_enable();
    if (measured) {
        print_figures(setup, storage.delivery);
    }
    return measured;
}

static bool run_alone(const struct setup *setup)
{
    return open_queues(setup, true) &&
           run(setup, setup->mode == NVME_MODE_HYBRID ? measure_hybrid : measure_plain) &&
           storage_close(&storage);
}

/* Every mode, number of queues, batch and size on a source of its own; then a clocked doorbell. */
static bool run_product(void)
{
    static const enum nvme_mode modes[] = {NVME_MODE_POLL, NVME_MODE_INTERRUPT, NVME_MODE_HYBRID,
                                           NVME_MODE_HYBRID};
    static const uint32_t queues[] = {1, 8, MANY_QUEUES}, batches[] = {1, BATCH_MAX};
    static const uint32_t sizes[] = {4096, BUFFER_BYTES};

    for (unsigned i = 0; i < 96; i++) {
        struct setup setup = {
            .clocked = i / 48 != 0,
            .mode = modes[i / 12 % 4],
            .queues = queues[i / 4 % 3],
            .batch = batches[i >> 1 & 1],
            .bytes = sizes[i & 1],
            .asleep = i / 12 % 4 == 3,
        };

        /*
         * Who traces waits long, and so do many queues until they are open. A doorbell is the same
         * for all queues and sizes.
         */
        if ((windows < WINDOWS && setup.queues > 1) ||
            (setup.queues == MANY_QUEUES && setup.bytes > MANY_BYTES) ||
            (setup.clocked && (setup.queues > 1 || setup.bytes > sizes[0]))) {
            continue;
        }
        if (!run_alone(&setup)) {
            return false;
        }
    }
    return true;
}

/* Modes, batches and sizes on a line that all harts share: a cycle would need all of them. */
static bool run_shared(void)
{
    /* Who polls does so alone; an interrupt is answered by all. Hybrid mode is interrupt mode. */
    static const struct {
        enum nvme_mode mode;
        bool (*measure)(const struct setup *);
    } modes[] = {{NVME_MODE_INTERRUPT, measure_shared}, {NVME_MODE_POLL, measure_plain}};
    static const uint32_t batches[] = {1, BATCH_MAX}, sizes[] = {4096, BUFFER_BYTES};
    struct setup setup = {.mode = NVME_MODE_INTERRUPT, .queues = hart_count()};

    hart_set_ipi_sender(send_to_self);
    if (!open_queues(&setup, false)) {
        return false;
    }
    storage_line_start(&storage);
    for (unsigned i = 0; i < 8; i++) {
        setup.mode = modes[i >> 2].mode;
        setup.batch = batches[i >> 1 & 1];
        setup.bytes = sizes[i & 1];
        if (nvme_queue_set_mode(storage.queues[0].engine, setup.mode) != NVME_OK ||
            !run(&setup, modes[i >> 2].measure)) {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    if (!parse_windows(argc - 1, argv + 1)) {
        printf("error: '%s': this program takes windows=N alone, 1 to %d\n", argv[1], (int)WINDOWS);
        return 1;
    }
    printf("{\"hartq_instructions_banner\":1,\"compiler\":\"%s\",\"windows\":%d}\n",
#ifdef __clang__
           __VERSION__,
#else
           "GCC " __VERSION__,
#endif
           (int)windows);
    return (hart_count() > 1 ? run_shared() : run_product()) ? 0 : 1;
}
