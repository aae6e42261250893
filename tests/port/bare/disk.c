// SPDX-License-Identifier: MIT
/*
 * All that a kernel writes for one controller whose only queue belongs to one hart. docs/porting.md
 * shows this file; kernel.h stands for what a kernel has anyway.
 */
#include "kernel.h"
#include "nvme.h"
#include "nvme_hal.h" /* declares the four functions */
#include "nvme_pci.h"
#include "nvme_port_check.h"

enum { DEPTH = 64 }; /* entries of the queue, which holds 63 requests */

static struct nvme_pci_host host = {
    .read32 = nvme_pci_ecam_read32,
    .write32 = nvme_pci_ecam_write32,
    .arg = (void *)0x30000000, /* the ECAM, mapped uncached: 1 MiB for each bus */
    .window_bus = 0x40000000,  /* bus addresses that are free for BAR 0 */
    .window_bytes = 0x40000000,
    .irq_base = 32, /* the interrupt source of INTA of device 0 */
};
static struct nvme_pci_controller function;
static _Alignas(NVME_ORDINARY_ALIGNMENT) uint8_t ordinary[NVME_ORDINARY_BYTES(1, DEPTH)];
static _Alignas(NVME_PAGE_DEFAULT) uint8_t dma[NVME_DMA_BYTES(1, DEPTH)];
static struct nvme_controller *controller;
static struct nvme_namespace ns;
static struct nvme_queue *queue;

/* The four functions of nvme_port.h. */
uint64_t nvme_port_dma_address(void *context, const void *pointer)
{
    (void)context;
    return (uintptr_t)pointer; /* with paging: the physical address */
}

uint64_t nvme_port_now_ns(void)
{
    return kernel_time_ns();
}

uint32_t nvme_port_hart(void)
{
    return 0; /* the owner of the queue, as below */
}

void nvme_port_panic(const char *reason)
{
    kernel_print(reason);
    for (;;) {
        kernel_irq_off();
    }
}

/* Prints what is wrong with the port. While porting; then leave it out. */
static void print_verdict(void *arg, const char *hal, const char *what,
                          enum nvme_port_verdict verdict)
{
    (void)arg;
    if (verdict == NVME_PORT_BAD) {
        kernel_print("bad: ");
        kernel_print(hal);
        kernel_print(": ");
        kernel_print(what);
        kernel_print("\n");
    }
}

/* The trap calls it between claim and complete. */
static void handle_line(void)
{
    nvme_irq_handle(&controller, 1);
}

const char *disk_open(void)
{
    struct nvme_port_check check = {.report = print_verdict, .page_bytes = NVME_PAGE_DEFAULT};
    struct nvme_config config = {.queue_count = 1, .depth_entries = DEPTH};
    struct nvme_queue_config wanted = {.mode = NVME_MODE_INTERRUPT};
    struct nvme_memory memory = {ordinary, sizeof(ordinary), dma, sizeof(dma)};
    const char *phrase = nvme_pci_find(&host, 0, &function);
    enum nvme_error error;

    if (phrase != NULL) {
        return phrase;
    }
    check.buffer = dma;
    check.registers = (volatile void *)function.registers; /* with paging: where it is mapped */
    if (nvme_port_check(&check) != 0) {
        return "the port is wrong";
    }
    config.registers = check.registers;
    config.registers_size_bytes = function.registers_bytes;
    config.pci_vendor = function.vendor;
    config.pci_device = function.device;
    config.bus_master = nvme_pci_bus_master;
    config.intx_level = nvme_pci_intx_level;
    config.hook_arg = &function;
    error = nvme_controller_open(&config, &memory, &controller);
    if (error == NVME_OK) {
        error = nvme_namespace_open(controller, 1, &ns);
    }
    if (error == NVME_OK) {
        error = nvme_queue_open(controller, 0, &wanted, &queue);
    }
    if (error == NVME_OK) {
        kernel_attach(function.irq, handle_line);
        return nvme_port_check_interrupt(&check, queue, &ns) ? NULL : "no interrupt came";
    }
    return nvme_error_text(error);
}

/* A request, on the stack of the thread that waits for it. */
struct request {
    volatile bool ended;
    struct nvme_result result;
};

static void end_request(void *arg, struct nvme_result result)
{
    struct request *request = arg;

    request->result = result;
    request->ended = true; /* with threads: wakes the one that sleeps, here in the trap */
}

const char *disk_read(uint64_t block, uint32_t count, void *buffer)
{
    struct request request = {0};
    enum nvme_error error;

    kernel_irq_off();
    error =
        nvme_read(queue, &ns, block, count, buffer, (struct nvme_callback){end_request, &request});
    if (error == NVME_OK) {
        nvme_queue_submit(queue); /* rings the doorbell */
        while (!request.ended) {
            kernel_sleep(); /* with threads: others run till the wake, and no irq_on, irq_off */
            kernel_irq_on();
            kernel_irq_off();
        }
        error = request.result.error;
    }
    kernel_irq_on();
    return error == NVME_OK ? NULL : nvme_error_text(error);
}

/* From disk_open() on, the timer calls it every 10 ms with interrupts off, on the owner. */
void disk_tick(void)
{
    nvme_queue_watchdog(queue, nvme_port_now_ns()); /* lost interrupts, expired commands */
    if (nvme_queue_mode(queue) == NVME_MODE_POLL) {
        nvme_queue_reap(queue, DEPTH); /* the line is stuck or storms */
    }
}

uint64_t disk_interrupts(void)
{
    struct nvme_counters counters;

    nvme_queue_count(queue, &counters);
    return counters.interrupts;
}
