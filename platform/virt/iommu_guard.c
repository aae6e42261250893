// SPDX-License-Identifier: MIT
/*
 * IOMMUs that translate: one set of first-stage tables for all, and for each a directory of its
 * devices. Messages go to the interrupt files at the CPU's addresses.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dma.h"
#include "iommu_internal.h"
#include "iommu_tables.h"
#include "iommu_unit.h"
#include "irq.h"

enum { UNITS_MAX = 2 * MACHINE_IOMMU_LIMIT };

static struct {
    struct iommu_tables tables;
    struct iommu_unit units[UNITS_MAX];
    unsigned count;
    uint64_t memory_end;
    bool begun;
    bool noted; /* why it has not */
    bool lock;  /* held with interrupts off */
} guard;

static uint64_t lock_tables(void)
{
    uint64_t saved = irq_save();

    while (__atomic_test_and_set(&guard.lock, __ATOMIC_ACQUIRE)) {
        /* Bounded: another hart is between map and the IOMMU's answer. */
    }
    return saved;
}

static void unlock_tables(uint64_t saved)
{
    __atomic_clear(&guard.lock, __ATOMIC_RELEASE);
    irq_restore(saved);
}

/* ---- Reach ---------------------------------------------------------------------------------- */

static uint64_t device_address(const void *pointer)
{
    return IOMMU_DEVICE_BASE + (uintptr_t)pointer;
}

/* From here on no IOMMU goes by an entry that has changed. */
static void forget_stale(void)
{
    bool one = guard.tables.stale_count == 1;

    for (unsigned i = 0; guard.tables.stale_count != 0 && i < guard.count; i++) {
        iommu_unit_command(&guard.units[i], one ? IOMMU_FORGET_ONE : IOMMU_FORGET_ADDRESSES,
                           one ? guard.tables.stale / IOMMU_PAGE << 10 : 0);
    }
    guard.tables.stale_count = 0;
}

bool dma_map_pages(const void *pointer, size_t size, bool written)
{
    uint64_t saved;
    bool mapped;

    if (guard.count == 0) {
        return true;
    }
    saved = lock_tables();
    mapped =
        iommu_tables_map(&guard.tables, device_address(pointer), (uintptr_t)pointer, size, written);
    forget_stale();
    unlock_tables(saved);
    return mapped;
}

void dma_unmap_pages(const void *pointer, size_t size, bool written)
{
    uint64_t saved;

    if (guard.count == 0) {
        return;
    }
    saved = lock_tables();
    iommu_tables_unmap(&guard.tables, device_address(pointer), size, written);
    forget_stale();
    unlock_tables(saved);
}

/* ---- Set-up --------------------------------------------------------------------------------- */

void iommu_reserve(struct machine_span *memory)
{
    uint64_t base = (memory->base + IOMMU_PAGE - 1) & ~(IOMMU_PAGE - 1);
    uint64_t end = memory->base + memory->size;
    size_t bytes = iommu_tables_bytes(memory->size);

    memset(&guard, 0, sizeof(guard));
    if (base < end && end - base > bytes &&
        iommu_tables_init(&guard.tables, (void *)(uintptr_t)base, bytes)) {
        guard.memory_end = end;
        *memory = (struct machine_span){base + bytes, end - base - bytes};
    } else {
        printf("note: too little memory for tables: an IOMMU would not guard it\n");
    }
}

/* What keeps this machine's memory from being guarded, or NULL. */
static const char *find_obstacle(const struct machine *machine)
{
    uint64_t end = IOMMU_DEVICE_BASE + guard.memory_end;

    for (uint32_t i = 0; i < machine->hart_count; i++) {
        if (machine->harts[i].imsic_file >= IOMMU_DEVICE_BASE) {
            return "an interrupt file lies above 1 << 37";
        }
    }
    if (!machine->dma_coherent) {
        return "DMA is not coherent with the caches";
    }
    if (machine->dma.cpu != machine->dma.bus || machine->dma.size < end - machine->dma.bus) {
        return "dma-ranges leave out the addresses that devices would use";
    }
    return guard.memory_end > IOMMU_DEVICE_BASE ? "memory reaches above 1 << 37" : NULL;
}

/* Interrupt files are at the same address for devices. */
static bool map_messages(const struct machine *machine)
{
    bool all = true;

    for (uint32_t i = 0; i < machine->hart_count; i++) {
        uint64_t file = machine->harts[i].imsic_file;

        all = all && (file == 0 || iommu_tables_map(&guard.tables, file, file, 1, true));
    }
    return all;
}

bool iommu_guard_begin(const struct machine *machine, const char *obstacle)
{
    if (guard.begun || guard.tables.root == NULL) {
        return guard.begun;
    }
    obstacle = obstacle != NULL ? obstacle : find_obstacle(machine);
    if (obstacle == NULL && !map_messages(machine)) {
        obstacle = "there is no memory for its tables";
    }
    guard.begun = obstacle == NULL;
    if (!guard.begun && !guard.noted) {
        printf("note: the IOMMU does not guard memory: %s\n", obstacle);
        guard.noted = true;
    }
    return guard.begun;
}

/*
 * A controller's own id, and two of each bridge. Behind a bridge that is not PCI Express a function
 * has the bridge's id, or that of device 0 on its bus. A controller that comes into a slot has the
 * latter too.
 */
static bool add_devices(const struct pci_function *functions, unsigned count, uint64_t *directory,
                        bool extended)
{
    bool all = true;

    for (unsigned i = 0; i < count; i++) {
        const struct pci_function *at = &functions[i];
        bool bridge = at->header_type == 1;
        uint32_t id = (uint32_t)at->bus << 8 | (uint32_t)at->device << 3 | at->function;

        if (bridge || at->class_code == PCI_CLASS_NVME) {
            all = all && iommu_directory_add(&guard.tables, directory, extended, id);
        }
        if (bridge) {
            id = (uint32_t)pci_config_read8(at, PCI_BRIDGE_SECONDARY) << 8;
            all = all && iommu_directory_add(&guard.tables, directory, extended, id);
        }
    }
    return all;
}

static const char *start_unit(struct iommu_unit *unit, const struct pci_function *functions,
                              unsigned count)
{
    uint64_t *directory = iommu_tables_take(&guard.tables);

    unit->commands = iommu_tables_take(&guard.tables);
    unit->faults = iommu_tables_take(&guard.tables);
    if (directory == NULL || unit->commands == NULL || unit->faults == NULL ||
        !add_devices(functions, count, directory, iommu_unit_is_extended(unit->base))) {
        return "there is no memory for its tables";
    }
    return iommu_unit_start(unit, directory);
}

bool iommu_guard(const struct pci_function *functions, unsigned count, uint64_t base)
{
    uint64_t left = guard.tables.next;
    struct iommu_unit *unit = &guard.units[guard.count];
    const char *error = "there are too many";

    for (unsigned i = 0; i < guard.count; i++) {
        if (guard.units[i].base == base) {
            return true;
        }
    }
    if (guard.count < UNITS_MAX) {
        *unit = (struct iommu_unit){.base = base};
        error = start_unit(unit, functions, count);
    }
    if (error != NULL) {
        guard.tables.next = left; /* nothing else was taken meanwhile */
        printf("error: the IOMMU at %#" PRIx64
               " does not guard memory: %s; hint: start without it\n",
               base, error);
        return false;
    }
    guard.count++;
    dma_map.offset = -IOMMU_DEVICE_BASE;
    return true;
}

unsigned iommu_print_faults(void)
{
    unsigned lines = 0;

    for (unsigned i = 0; i < guard.count; i++) {
        lines += iommu_unit_print_faults(&guard.units[i]);
    }
    return lines;
}
