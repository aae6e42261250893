// SPDX-License-Identifier: MIT
/*
 * Reads one block with nvme.h alone. It polls on one hart and does not use runtime/. README.md
 * shows this file from read_done() to the end. The code above it is what a kernel has anyway: it
 * finds the controller, and it stops.
 */
#include <stdio.h>

#include "board.h"
#include "heap.h"
#include "nvme.h"
#include "pci.h"
#include "start.h"
#include "timer.h"

enum { FUNCTIONS_MAX = 32, BLOCK_BYTES_MAX = 65536 };

static struct pci_function functions[FUNCTIONS_MAX];
static _Alignas(4096) char block[BLOCK_BYTES_MAX];

/* The first NVMe controller on the PCI bus. Its registers are decoded, bus mastering is off. */
static struct pci_function *find_controller(void)
{
    pci_scan(machine_get(), functions, FUNCTIONS_MAX);
    for (int i = 0; i < FUNCTIONS_MAX; i++) {
        if (functions[i].class_code == PCI_CLASS_NVME) {
            pci_decode(&functions[i]);
            return &functions[i];
        }
    }
    printf("error: no NVMe controller on the PCI bus; hint: -device nvme\n");
    machine_exit(1);
}

static void master_bus(void *function)
{
    pci_enable(function);
}

static void check(const char *what, enum nvme_error error)
{
    if (error != NVME_OK) {
        printf("error: %s: %s (%d)\n", what, nvme_error_text(error), (int)error);
        machine_exit(1);
    }
}

static void read_done(void *ended, struct nvme_result result)
{
    check("read", result.error);
    *(bool *)ended = true;
}

int main(void)
{
    struct pci_function *function = find_controller();
    struct nvme_config config = {.registers = (volatile void *)function->bars[0].base,
                                 .registers_size_bytes = function->bars[0].size,
                                 .queue_count = 1,
                                 .depth_entries = 2,
                                 .bus_master = master_bus,
                                 .hook_arg = function};
    struct nvme_queue_config polled = {.mode = NVME_MODE_POLL};
    struct nvme_memory memory = {0};
    struct nvme_controller *controller;
    struct nvme_namespace ns;
    struct nvme_queue *queue;
    bool ended = false;

    check("size", nvme_memory_needed(&config, &memory));
    memory.ordinary = heap_take(memory.ordinary_bytes, NVME_ORDINARY_ALIGNMENT);
    memory.dma = heap_take(memory.dma_bytes, NVME_PAGE_DEFAULT);
    check("controller", nvme_controller_open(&config, &memory, &controller));
    check("namespace", nvme_namespace_open(controller, 1, &ns));
    check("queue", nvme_queue_open(controller, 0, &polled, &queue));

    check("post", nvme_read(queue, &ns, 0, 1, block, (struct nvme_callback){read_done, &ended}));
    nvme_queue_submit(queue); /* rings the doorbell */
    while (!ended) {
        nvme_queue_reap(queue, 1);                 /* runs read_done() */
        nvme_queue_watchdog(queue, time_now_ns()); /* ends the read if the device dies */
    }
    printf("block 0, %u bytes: %.60s\n", (unsigned)ns.block_bytes, block);
    check("close", nvme_controller_close(controller));
    return 0;
}
