// SPDX-License-Identifier: MIT
/* See raw.h. */
#include "raw.h"

#include "harts.h"
#include "heap.h"
#include "paging.h"
#include "selftest.h"
#include "start.h"
#include "timer.h"

#define READY_LIMIT_NS (10 * NS_PER_S) /* of patience */

enum { PLIC_CONTEXTS = 0x200000, PLIC_CONTEXT_BYTES = 0x1000, PLIC_CLAIM = 4 };

static void fence(void)
{
    __asm__ volatile("fence iorw, iorw" ::: "memory");
}

const struct pci_function *raw_find(void)
{
    /* The storage has scanned if anything was opened before; else this does. */
    struct storage *storage = &selftest.storage;
    struct storage_config config = {.harts = 1, .depth_entries = 2};

    if (storage->function_count == 0 &&
        !(storage_open(storage, &config) && storage_close(storage))) {
        return NULL;
    }
    for (uint32_t i = 0; i < storage->function_count; i++) {
        if (storage->functions[i].class_code == PCI_CLASS_NVME) {
            return &storage->functions[i];
        }
    }
    return NULL;
}

uint32_t raw_read(const struct raw *raw, uint32_t offset)
{
    return *(volatile uint32_t *)(raw->registers + offset);
}

void raw_write(const struct raw *raw, uint32_t offset, uint32_t value)
{
    fence();
    *(volatile uint32_t *)(raw->registers + offset) = value;
    fence();
}

static bool await_ready(const struct raw *raw, uint32_t ready)
{
    struct patience patience = {0};

    while ((raw_read(raw, NVME_REG_CSTS) & NVME_CSTS_RDY) != ready) {
        if (patience_spend(&patience) > READY_LIMIT_NS) {
            return false;
        }
    }
    fence();
    return true;
}

bool raw_disable(struct raw *raw)
{
    raw_write(raw, NVME_REG_CC, 0);
    return await_ready(raw, 0);
}

static void write_address(const struct raw *raw, uint32_t offset, const volatile void *address)
{
    uint64_t physical = paging_physical(address);

    raw_write(raw, offset, (uint32_t)physical);
    raw_write(raw, offset + 4, (uint32_t)(physical >> 32));
}

bool raw_open(struct raw *raw, const struct pci_function *function)
{
    uint8_t *memory = take_pages((size_t)3 * PAGE_BYTES);

    *raw = (struct raw){
        .function = function,
        .registers = (volatile uint8_t *)(uintptr_t)function->bars[0].base,
        .sq = (struct nvme_command *)(uintptr_t)memory,
        .cq = (volatile struct nvme_completion *)(uintptr_t)(memory + PAGE_BYTES),
        .page = memory + (size_t)2 * PAGE_BYTES,
        .phase = 1,
    };
    pci_enable(function);
    if (!raw_disable(raw)) {
        return false;
    }
    raw_write(raw, NVME_REG_AQA,
              (uint32_t)(NVME_PUT(NVME_AQA_ASQS, RAW_DEPTH - 1) |
                         NVME_PUT(NVME_AQA_ACQS, RAW_DEPTH - 1)));
    write_address(raw, NVME_REG_ASQ, raw->sq);
    write_address(raw, NVME_REG_ACQ, raw->cq);
    raw_write(raw, NVME_REG_CC,
              (uint32_t)(NVME_PUT(NVME_CC_IOSQES, NVME_SQE_SHIFT) |
                         NVME_PUT(NVME_CC_IOCQES, NVME_CQE_SHIFT) | NVME_CC_EN));
    return await_ready(raw, 1);
}

void raw_identify(struct raw *raw)
{
    raw->sq[raw->tail] = (struct nvme_command){
        .cdw0 = NVME_ADMIN_IDENTIFY | (uint32_t)raw->cid++ << 16,
        .prp1 = paging_physical(raw->page),
        .cdw10 = NVME_CNS_CONTROLLER,
    };
    raw->tail = (raw->tail + 1) % RAW_DEPTH;
    raw_write(raw, NVME_REG_DOORBELLS, raw->tail);
}

bool raw_await(const struct raw *raw, uint32_t count)
{
    uint32_t place = raw->head + count - 1;
    uint32_t phase = place < RAW_DEPTH ? raw->phase : raw->phase ^ 1;
    struct patience patience = {0};

    while ((raw->cq[place % RAW_DEPTH].status & NVME_CQE_PHASE) !=
           NVME_PUT(NVME_CQE_PHASE, phase)) {
        if (patience_spend(&patience) > READY_LIMIT_NS) {
            return false;
        }
    }
    fence();
    /* QEMU writes an entry and raises its interrupt under the lock that a register access takes. */
    (void)raw_read(raw, NVME_REG_CSTS);
    return true;
}

void raw_consume(struct raw *raw, uint32_t count)
{
    raw->head += count;
    if (raw->head >= RAW_DEPTH) {
        raw->head -= RAW_DEPTH;
        raw->phase ^= 1;
    }
    raw_write(raw, NVME_REG_DOORBELLS + 4, raw->head);
}

bool raw_level(const struct raw *raw)
{
    return (pci_config_read16(raw->function, PCI_STATUS) & PCI_STATUS_INTERRUPT) != 0;
}

/* Hart 0's S-mode context of its PLIC. */
static volatile uint32_t *claim_register(void)
{
    const struct machine *machine = machine_get();

    for (uint32_t i = 0; i < machine->hart_count; i++) {
        const struct machine_hart *hart = &machine->harts[i];

        if (hart->id == hart_id(0) && hart->wired < machine->wired_count) {
            uint64_t base = machine->wired[hart->wired].registers.base;

            return (volatile uint32_t *)(uintptr_t)(base + PLIC_CONTEXTS +
                                                    (uint64_t)hart->context * PLIC_CONTEXT_BYTES +
                                                    PLIC_CLAIM);
        }
    }
    give_up("no PLIC reaches hart 0");
}

uint32_t raw_claim(void)
{
    uint32_t source = *claim_register();

    fence();
    return source;
}

void raw_complete(uint32_t source)
{
    fence();
    *claim_register() = source;
    fence();
}
