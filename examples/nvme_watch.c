// SPDX-License-Identifier: MIT
/*
 * The watch command: waits, and prints the events of the device.
 */
#include <inttypes.h>
#include <stdio.h>

#include "irq.h"
#include "nvme_tool.h"
#include "timer.h"

#define NS_PER_MS UINT64_C(1000000)

static struct storage storage;

/* Waits for an interrupt, the watchdog's at the latest, and prints what came. Returns how many. */
static uint32_t watch_once(struct storage_controller *controller)
{
    uint32_t before = controller->events_printed;

    irq_disable();
    storage_wait(&storage.queues[0], NVME_WAIT_IDLE);
    irq_enable();
    storage_print_events(&storage);
    storage_refresh_namespaces(&storage);
    return controller->events_printed - before;
}

int run_watch(const struct options *options)
{
    struct storage_config config = storage_wanted(options);
    uint64_t begin_ns;
    uint64_t seen = 0;

    config.controllers_max = 1;
    if (!storage_open(&storage, &config)) {
        return 1;
    }
    storage_print_banner(&storage);
    storage_hart_start(&storage.queues[0]);
    printf("watching for %" PRIu64 " ms\n", options->runtime / NS_PER_MS);
    begin_ns = time_now_ns();
    while (time_now_ns() - begin_ns < options->runtime &&
           (options->events == 0 || seen < options->events)) {
        seen += watch_once(&storage.controllers[0]);
    }
    storage_hart_stop(&storage.queues[0]);
    printf("%" PRIu64 " events\n", seen);
    return storage_close(&storage) ? 0 : 1;
}
