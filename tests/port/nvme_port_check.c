// SPDX-License-Identifier: MIT
#include "nvme_port_check.h"

#include "nvme_hal.h"
#include "nvme_spec.h"

enum {
    LINE = 256,       /* no cache line is longer */
    LOOKS = 1000000,  /* at the clock, at most, until it moves */
    WORK = 1000000,   /* steps of a loop, which take 50 us to 10 s */
    AQA = 0x00050003, /* a value that the register keeps: both sizes */
};
#define WORK_MIN_NS UINT64_C(50000)
#define WORK_MAX_NS UINT64_C(10000000000)
#define STEP_MAX_NS UINT64_C(10000000) /* deadlines are seconds, watchdog periods 10 ms and more */

/* The checks of one function. */
struct run {
    const struct nvme_port_check *check;
    const char *function;
    unsigned bad;
};

static void tell_verdict(struct run *run, const char *what, enum nvme_port_verdict verdict)
{
    run->bad += verdict == NVME_PORT_BAD;
    run->check->report(run->check->arg, run->function, what, verdict);
}

static void expect_true(struct run *run, const char *what, bool good)
{
    tell_verdict(run, what, good ? NVME_PORT_GOOD : NVME_PORT_BAD);
}

static void fill_buffer(const struct run *run)
{
    volatile uint8_t *bytes = run->check->buffer;

    for (size_t i = 0; i < 2 * run->check->page_bytes; i++) {
        bytes[i] = (uint8_t)(i * 7 + (i >> 8));
    }
}

/* True if the buffer is as fill_buffer left it, but for [start, start + size). */
static bool is_filled(const struct run *run, size_t start, size_t size)
{
    const volatile uint8_t *bytes = run->check->buffer;

    for (size_t i = 0; i < 2 * run->check->page_bytes; i++) {
        if ((i < start || i >= start + size) && bytes[i] != (uint8_t)(i * 7 + (i >> 8))) {
            return false;
        }
    }
    return true;
}

static void check_memory(struct run *run)
{
    uint8_t *bytes = run->check->buffer;
    volatile uint32_t *word = (volatile uint32_t *)(bytes + 64);

    run->function = "hal_mmio_read32";
    fill_buffer(run);
    *word = 0x12345678;
    expect_true(run, "reads 32 bits, little-endian",
                hal_mmio_read32(word) == 0x12345678 && bytes[64] == 0x78);
    run->function = "hal_mmio_write32";
    hal_mmio_write32(word, 0x9abcdef0);
    expect_true(run, "writes 32 bits and no others",
                *word == 0x9abcdef0 && bytes[64] == 0xf0 && is_filled(run, 64, 4));
    run->function = "hal_shadow_store32";
    hal_shadow_store32(word, 0x0fedcba9);
    expect_true(run, "writes 32 bits and no others", *word == 0x0fedcba9 && is_filled(run, 64, 4));
    run->function = "hal_dma_load32";
    expect_true(run, "reads 32 bits", hal_dma_load32(word) == 0x0fedcba9);
    run->function = "hal_dma_load64";
    word[1] = 0x76543210;
    expect_true(run, "reads 64 bits, the lower half first",
                hal_dma_load64(word) == UINT64_C(0x765432100fedcba9));
}

static void check_barriers(struct run *run)
{
    volatile uint32_t *word = run->check->buffer;

    run->function = "hal_before_doorbell";
    *word = 1;
    hal_before_doorbell();
    expect_true(run, "returns and changes nothing", *word == 1);
    run->function = "hal_after_phase";
    hal_after_phase();
    expect_true(run, "returns and changes nothing", *word == 1);
    run->function = "hal_after_mmio_read";
    hal_after_mmio_read();
    expect_true(run, "returns and changes nothing", *word == 1);
    run->function = "hal_arm_before_look";
    hal_arm_before_look(run->check->registers != NULL ? run->check->registers : word);
    expect_true(run, "returns and changes nothing", *word == 1);
}

static uint64_t address_of(const struct run *run, const void *pointer)
{
    return hal_dma_address(run->check->dma_context, pointer);
}

/* As a request of both directions has its data: other ports do nothing. */
static bool map(const struct run *run, void *bytes, size_t size)
{
    return hal_dma_map(run->check->dma_context, bytes, size, NVME_DMA_BOTH);
}

static void unmap(const struct run *run, void *bytes, size_t size)
{
    hal_dma_unmap(run->check->dma_context, bytes, size, NVME_DMA_BOTH);
}

static void check_pages(struct run *run)
{
    const uint8_t *bytes = run->check->buffer;
    size_t page = run->check->page_bytes;
    uint64_t first = address_of(run, bytes);
    uint64_t second = address_of(run, bytes + page);
    bool contiguous = true;

    run->function = "hal_dma_address";
    for (size_t i = 0; i < page; i += 4) {
        contiguous = contiguous && address_of(run, bytes + i) == first + i &&
                     address_of(run, bytes + page + i) == second + i;
    }
    expect_true(run, "is contiguous within a page", contiguous);
    expect_true(run, "keeps the offset within a page", first % page == 0 && second % page == 0);
    expect_true(run, "tells two pages apart", first != second);
    expect_true(run, "is the same at each call", address_of(run, bytes) == first);
}

static void check_addresses(struct run *run)
{
    size_t page = run->check->page_bytes;
    uint32_t on_stack = 0;

    run->function = "hal_dma_map";
    expect_true(run, "maps two pages", map(run, run->check->buffer, 2 * page));
    expect_true(run, "maps a piece of them once more", map(run, run->check->buffer, 4));
    unmap(run, run->check->buffer, 4);
    check_pages(run);
    unmap(run, run->check->buffer, 2 * page);
    run->function = "hal_dma_map";
    expect_true(run, "maps the stack", map(run, &on_stack, sizeof(on_stack)));
    run->function = "hal_dma_address";
    expect_true(run, "knows the stack, where callers have buffers",
                address_of(run, &on_stack) % page == (uintptr_t)&on_stack % page);
    unmap(run, &on_stack, sizeof(on_stack));
}

/* Invalidating what was cleaned loses nothing, neither there nor beside it. */
static void check_caches(struct run *run)
{
    const struct nvme_port_check *check = run->check;
    uint8_t *bytes = check->buffer;

    fill_buffer(run);
    run->function = "hal_dma_map";
    expect_true(run, "maps two pages again", map(run, bytes, 2 * check->page_bytes));
    run->function = "hal_dma_clean";
    hal_dma_clean(check->dma_context, bytes, 2 * check->page_bytes);
    hal_dma_clean(check->dma_context, bytes + 4, 0);
    expect_true(run, "keeps the data", is_filled(run, 0, 0));
    run->function = "hal_dma_invalidate";
    hal_dma_invalidate(check->dma_context, bytes + LINE, LINE);
    hal_dma_invalidate(check->dma_context, bytes + check->page_bytes, check->page_bytes);
    hal_dma_invalidate(check->dma_context, bytes, 0);
    expect_true(run, "keeps what was cleaned", is_filled(run, 0, 0));
    unmap(run, bytes, 2 * check->page_bytes);
    run->function = "hal_dma_unmap";
    expect_true(run, "keeps the data", is_filled(run, 0, 0));
}

static void check_interrupts(struct run *run)
{
    bool off_before = hal_irq_is_off();
    unsigned long outer = hal_irq_save();
    bool off_outer = hal_irq_is_off();
    unsigned long inner = hal_irq_save();
    bool off_nested;

    hal_irq_restore(inner);
    off_nested = hal_irq_is_off();
    hal_irq_restore(outer);
    run->function = "hal_irq_save";
    expect_true(run, "turns interrupts off", off_outer);
    run->function = "hal_irq_restore";
    expect_true(run, "of an inner pair leaves them off", off_nested);
    expect_true(run, "of the outer pair gives back what was", hal_irq_is_off() == off_before);
    run->function = "hal_irq_is_off";
    tell_verdict(run, "says that they are on", off_before ? NVME_PORT_UNKNOWN : NVME_PORT_GOOD);
}

static void check_clock(struct run *run)
{
    uint64_t start = hal_now_ns();
    uint64_t last = start;
    uint64_t end;
    bool back = false;
    uint32_t looks = 0;
    volatile uint32_t steps = 0;

    while (last == start && looks < LOOKS) {
        last = hal_now_ns();
        looks++;
    }
    run->function = "hal_now_ns";
    expect_true(run, "moves", last != start);
    expect_true(run, "moves in steps of at most 10 ms", last - start <= STEP_MAX_NS);
    start = hal_now_ns();
    last = start;
    while (steps < WORK) {
        steps = steps + 1;
        if (steps % 1024 == 0) {
            end = hal_now_ns();
            back = back || end < last;
            last = end;
        }
    }
    end = hal_now_ns();
    expect_true(run, "does not go back", !back && end >= last);
    expect_true(run, "counts nanoseconds: a million steps of a loop take 50 us to 10 s",
                end - start >= WORK_MIN_NS && end - start <= WORK_MAX_NS);
}

static void check_rest(struct run *run)
{
    uint32_t hart = hal_hart();

    run->function = "hal_hart";
    if (hart == NVME_HART_UNKNOWN) {
        tell_verdict(run, "is told", NVME_PORT_UNKNOWN);
    } else {
        expect_true(run, "is the same at each call", hal_hart() == hart);
    }
    run->function = "hal_relax";
    hal_relax();
    expect_true(run, "returns", true);
    run->function = "hal_panic";
    tell_verdict(run, "does not return", NVME_PORT_UNKNOWN);
}

static void check_registers(struct run *run)
{
    volatile uint8_t *registers = run->check->registers;
    uint32_t before;
    uint32_t kept;

    run->function = "registers";
    if (registers == NULL) {
        tell_verdict(run, "are there", NVME_PORT_UNKNOWN);
        return;
    }
    before = hal_mmio_read32(registers + NVME_REG_CAP);
    expect_true(run, "answer: CAP is not all ones", before != UINT32_MAX && before != 0);
    expect_true(run, "read the same twice", hal_mmio_read32(registers + NVME_REG_CAP) == before);
    kept = hal_mmio_read32(registers + NVME_REG_VS) >> 16;
    expect_true(run, "say NVMe 1 or 2", kept == 1 || kept == 2);
    if ((hal_mmio_read32(registers + NVME_REG_CC) & 1) != 0) {
        tell_verdict(run, "are writable: it is enabled", NVME_PORT_UNKNOWN);
        return;
    }
    before = hal_mmio_read32(registers + NVME_REG_AQA);
    hal_mmio_write32(registers + NVME_REG_AQA, AQA);
    kept = hal_mmio_read32(registers + NVME_REG_AQA);
    hal_mmio_write32(registers + NVME_REG_AQA, before);
    expect_true(run, "are writable: AQA keeps a value", kept == AQA);
}

unsigned nvme_port_check(const struct nvme_port_check *check)
{
    struct run run = {.check = check};

    check_memory(&run);
    check_barriers(&run);
    check_addresses(&run);
    check_caches(&run);
    check_interrupts(&run);
    check_clock(&run);
    check_rest(&run);
    check_registers(&run);
    return run.bad;
}
