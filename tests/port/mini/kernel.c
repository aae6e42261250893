// SPDX-License-Identifier: MIT
/*
 * A kernel with paging that takes the engine's source drop: one hart in S-mode, QEMU's virt, no
 * libc. Its image is mapped high, its memory is scattered.
 */
#include "nvme.h"
#include "nvme_hal.h"
#include "nvme_pci.h"

enum {
    PAGE = 4096,
    POOL_PAGES = 4096,
    STRIDE = 1021, /* pages from one that is taken to the next: no two are neighbours */
    VALID = 1,     /* of a page table entry: valid; */
    LEAF = 0xcf,   /* also readable, writable, executable and used */
    DEPTH = 64,    /* each ring fits into a page, so no two pages need to be contiguous */
    DMA_BYTES = NVME_DMA_BYTES(1, DEPTH),
    BLOCK = 512,
};
#define IMAGE UINT64_C(0x80200000)
#define POOL UINT64_C(0x80400000)
#define IMAGE_OFFSET UINT64_C(0xffffffff00000000) /* virtual address less physical address */
#define DEVICE_OFFSET UINT64_C(0xffffffc000000000)
#define DEVICE(address) ((volatile uint32_t *)(DEVICE_OFFSET + (address)))
#define AREA UINT64_C(0xffffffd000000000) /* where pages of the pool are mapped */
#define PLIC UINT64_C(0x0c000000)
#define CLAIM DEVICE(PLIC + 0x201004) /* of context 1, S-mode of hart 0; after its threshold */

/* ---- The kernel ----------------------------------------------------------------------------- */

static _Alignas(PAGE) uint64_t root[512], image_table[512], area_table[512], area_pages[512];

/* start.S calls these; the first at physical addresses. */
uint64_t start_paging(void);
void run(void);
void handle_trap(void);

void *memset(void *to, int value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        ((uint8_t *)to)[i] = (uint8_t)value;
    }
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    }
    return to;
}

/* The legacy calls: 0 sets the timer, 1 prints a character, 8 turns the power off. */
static void call_sbi(uint64_t function, uint64_t value)
{
    register uint64_t a0 __asm__("a0") = value;
    register uint64_t a7 __asm__("a7") = function;

    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7) : "memory");
}

static void print(const char *text)
{
    for (; *text != 0; text++) {
        call_sbi(1, (uint8_t)*text);
    }
}

static void print_number(const char *name, uint32_t value)
{
    print(name);
    for (int shift = 28; shift >= 0; shift -= 4) {
        call_sbi(1, (uint8_t) "0123456789abcdef"[value >> shift & 15]);
    }
}

void nvme_port_panic(const char *reason)
{
    print(reason);
    for (;;) {
        call_sbi(8, 0);
    }
}

/* The time CSR counts at 10 MHz. */
uint64_t nvme_port_now_ns(void)
{
    uint64_t time;

    __asm__ volatile("rdtime %0" : "=r"(time));
    return time * 100;
}

uint32_t nvme_port_hart(void)
{
    return 0;
}

static uint64_t make_entry(uint64_t physical, uint64_t flags)
{
    return physical >> 12 << 10 | flags;
}

uint64_t start_paging(void)
{
    image_table[IMAGE >> 21 & 511] = make_entry(IMAGE, LEAF);
    area_table[0] = make_entry((uintptr_t)area_pages, VALID);
    root[(IMAGE + IMAGE_OFFSET) >> 30 & 511] = make_entry((uintptr_t)image_table, VALID);
    root[AREA >> 30 & 511] = make_entry((uintptr_t)area_table, VALID);
    root[DEVICE_OFFSET >> 30 & 511] = make_entry(0, LEAF); /* PLIC, ECAM; window for BARs */
    root[(DEVICE_OFFSET >> 30 & 511) + 1] = make_entry(UINT64_C(1) << 30, LEAF);
    return UINT64_C(8) << 60 | (uintptr_t)root >> 12; /* Sv39 */
}

uint64_t nvme_port_dma_address(void *context, const void *pointer)
{
    uint64_t address = (uintptr_t)pointer;
    const uint64_t *table = root;

    (void)context;
    for (unsigned shift = 30;; shift -= 9) {
        uint64_t entry = table[address >> shift & 511];
        uint64_t physical = entry >> 10 << 12;

        if ((entry & LEAF) == LEAF) {
            return physical + (address & ((UINT64_C(1) << shift) - 1));
        }
        if (shift == 12 || (entry & VALID) == 0) {
            nvme_port_panic("error: an address is not mapped\n");
        }
        table = (const uint64_t *)(physical + IMAGE_OFFSET);
    }
}

static uint8_t *take_pages(size_t bytes)
{
    static uint64_t taken;
    uint64_t first = taken;

    for (; taken < first + (bytes + PAGE - 1) / PAGE; taken++) {
        if (taken == 512) {
            nvme_port_panic("error: no page is left\n");
        }
        area_pages[taken] = make_entry(POOL + taken * STRIDE % POOL_PAGES * PAGE, LEAF);
    }
    __asm__ volatile("sfence.vma" ::: "memory");
    return (uint8_t *)(AREA + first * PAGE);
}

static void set_timer(void)
{
    call_sbi(0, (nvme_port_now_ns() + NVME_WATCHDOG_PERIOD_NS) / 100);
}

static void open_source(uint32_t source)
{
    *DEVICE(PLIC + 4 * source) = 1;
    *DEVICE(PLIC + 0x2080 + source / 32 * 4) = UINT32_C(1) << source % 32;
    CLAIM[-1] = 0;
    set_timer();
    __asm__ volatile("csrs sie, %0" : : "r"(UINT64_C(0x220)));
}

/* ---- The glue: the file of docs/porting.md -------------------------------------------------- */

static struct nvme_pci_host host = {
    .read32 = nvme_pci_ecam_read32,
    .write32 = nvme_pci_ecam_write32,
    .arg = (void *)(DEVICE_OFFSET + 0x30000000),
    .window_bus = 0x40000000,
    .window_bytes = 0x40000000,
    .irq_base = 32,
};
static struct nvme_pci_controller function;
static _Alignas(NVME_ORDINARY_ALIGNMENT) uint8_t ordinary[NVME_ORDINARY_BYTES(1, DEPTH)];
static struct nvme_controller *controller;
static struct nvme_namespace ns;
static struct nvme_queue *queue;

void handle_trap(void)
{
    uint64_t cause;

    __asm__ volatile("csrr %0, scause" : "=r"(cause));
    if (cause == 0x8000000000000005) {
        set_timer();
        nvme_queue_watchdog(queue, nvme_port_now_ns());
        if (nvme_queue_mode(queue) == NVME_MODE_POLL) {
            nvme_queue_reap(queue, DEPTH);
        }
    } else if (cause == 0x8000000000000009) {
        uint32_t source = *CLAIM;

        nvme_irq_handle(&controller, 1);
        *CLAIM = source;
    } else {
        nvme_port_panic("error: a trap\n");
    }
}

static enum nvme_error open_disk(void)
{
    struct nvme_config config = {.queue_count = 1, .depth_entries = DEPTH};
    struct nvme_queue_config wanted = {.mode = NVME_MODE_INTERRUPT};
    struct nvme_memory memory = {ordinary, sizeof(ordinary), take_pages(DMA_BYTES), DMA_BYTES};
    enum nvme_error error;

    config.registers = DEVICE(function.registers);
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
    return error != NVME_OK ? error : nvme_queue_open(controller, 0, &wanted, &queue);
}

static void end_request(void *arg, struct nvme_result result)
{
    *(volatile int *)arg = result.error;
}

static void check_error(int error)
{
    if (error != NVME_OK) {
        print(nvme_error_text((enum nvme_error)error));
        nvme_port_panic("\n");
    }
}

static uint32_t find_crc(const uint8_t *bytes, size_t size)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < 8 * size; i++) {
        crc ^= i % 8 == 0 ? bytes[i / 8] : 0;
        crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
    }
    return ~crc;
}

/* Reads or writes, and prints the CRC-32 of the data. */
static void move_blocks(bool write, uint32_t block, uint32_t count, uint8_t *buffer)
{
    volatile int ended = 1;
    struct nvme_callback callback = {end_request, (void *)&ended};

    check_error(write ? nvme_write(queue, &ns, block, count, buffer, callback)
                      : nvme_read(queue, &ns, block, count, buffer, callback));
    nvme_queue_submit(queue);
    while (ended == 1) { /* the only place where interrupts are on */
        __asm__ volatile("wfi; csrsi sstatus, 2; csrci sstatus, 2" ::: "memory");
    }
    check_error(ended);
    print_number(write ? "write " : "read ", block);
    print_number(": ", find_crc(buffer, count * BLOCK));
    print("\n");
}

void run(void)
{
    uint8_t *buffer = take_pages(16 * PAGE) + 1236;
    struct nvme_counters counters;
    const char *error = nvme_pci_find(&host, 0, &function);

    if (error != NULL) {
        nvme_port_panic(error);
    }
    check_error(open_disk());
    open_source(function.irq);
    move_blocks(false, 3, 77, buffer);
    for (uint32_t i = 0; i < BLOCK; i++) {
        buffer[i] = (uint8_t)(i * 7 + i / 256);
    }
    move_blocks(true, 900, 1, buffer);
    memset(buffer, 0, BLOCK);
    move_blocks(false, 900, 1, buffer);
    nvme_queue_count(queue, &counters);
    print_number("interrupts: ", (uint32_t)counters.interrupts);
    print_number(" missed: ", (uint32_t)counters.missed);
    nvme_port_panic("\n");
}
