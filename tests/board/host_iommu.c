// SPDX-License-Identifier: MIT
#define _GNU_SOURCE

#include "host_iommu.h"

#include <sys/mman.h>

#include "dma.h"
#include "fixture.h"
#include "host_board.h"
#include "iommu_tables.h"
#include "iommu_unit.h"

#define IOMMU_CLASS UINT32_C(0x080600)
#define ACCESS_READ UINT64_C(0x53)
#define ACCESS_WRITE UINT64_C(0xd7)

struct host_iommu host_iommus[HOST_IOMMUS];

static uint8_t *memory;
struct machine_span host_heap;
struct machine host_machine;

/* ---- The model ------------------------------------------------------------------------------ */

uint64_t *host_page_of(uint64_t entry)
{
    return (uint64_t *)(uintptr_t)(entry >> 10 << 12);
}

static void forget(struct host_iommu *unit, bool one, uint64_t page)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < unit->count; i++) {
        if (one && unit->remembered[i].page != page) {
            unit->remembered[kept++] = unit->remembered[i];
        }
    }
    unit->count = kept;
}

static void carry_out(struct host_iommu *unit, const uint64_t words[2])
{
    bool one = (words[0] & 0x400) != 0;

    switch (words[0] & 0x3ff) {
    case 1: /* IOTINVAL.VMA */
        assert_int_equal(words[0] & ~UINT64_C(0x401), 0);
        forget(unit, one, words[1] >> 10);
        unit->forgets++;
        break;
    case 2: /* IOFENCE.C, of reads and writes */
        assert_int_equal(words[0], 0x3002);
        break;
    case 3: /* IODIR.INVAL_DDT, all */
        assert_int_equal(words[0], 3);
        unit->device_forgets++;
        break;
    default:
        fail_msg("no command: %#llx", (unsigned long long)words[0]);
    }
}

/* Starting a queue sets the pointer to 0 that the IOMMU moves. False: it was on, or is off. */
static bool starts_queue(struct host_iommu *unit, unsigned csr, unsigned pointer)
{
    uint32_t *halves = unit->registers.halves;

    if ((halves[csr] & HOST_QUEUE_ENABLE) == 0) {
        halves[csr] = 0;
    } else if ((halves[csr] & HOST_QUEUE_ON) == 0 && !unit->lame) {
        halves[csr] = HOST_QUEUE_ENABLE | HOST_QUEUE_ON;
        halves[pointer] = 0;
        return true;
    }
    return false;
}

static void step_unit(struct host_iommu *unit)
{
    uint32_t *halves = unit->registers.halves;

    if (starts_queue(unit, HOST_CQCSR, HOST_CQH)) {
        unit->command_base = unit->registers.words[HOST_CQB];
    }
    starts_queue(unit, HOST_FQCSR, HOST_FQT);
    if (unit->stubborn) {
        unit->registers.words[HOST_DDTP] = 1;
    }
    if (unit->deaf || (halves[HOST_CQCSR] & HOST_QUEUE_ON) == 0) {
        return;
    }
    assert_int_equal(unit->command_base & 31, 7);
    while (halves[HOST_CQH] != halves[HOST_CQT]) {
        if (unit->refuses) {
            halves[HOST_CQCSR] |= HOST_QUEUE_ILLEGAL;
            return;
        }
        carry_out(unit, &host_page_of(unit->command_base)[halves[HOST_CQH] * 2]);
        halves[HOST_CQH] = (halves[HOST_CQH] + 1) % 256;
    }
}

static void step_units(void *arg, unsigned looks)
{
    (void)arg;
    (void)looks;
    for (unsigned i = 0; i < HOST_IOMMUS; i++) {
        step_unit(&host_iommus[i]);
    }
}

/* The device's context, or NULL. */
static const uint64_t *find_context(const struct host_iommu *unit, uint32_t device)
{
    int leaf_bits = (unit->registers.words[HOST_CAPABILITIES] & HOST_MSI_FLAT) != 0 ? 6 : 7;
    const uint64_t *table = host_page_of(unit->registers.words[HOST_DDTP]);
    const uint64_t *context;

    for (int shift = leaf_bits + 9; shift >= leaf_bits; shift -= 9) {
        uint64_t entry = table[device >> shift & 511];

        if ((entry & 1) == 0) {
            return NULL;
        }
        table = host_page_of(entry);
    }
    context = &table[(device & ((1u << leaf_bits) - 1)) * (leaf_bits == 6 ? 8 : 4)];
    return (context[0] & 1) != 0 ? context : NULL;
}

/* The leaf of an address, 0 if there is none. */
static uint64_t walk(const struct host_iommu *unit, uint32_t device, uint64_t address)
{
    const uint64_t *context = find_context(unit, device);
    const uint64_t *table;
    uint64_t entry = 0;

    if (context == NULL || address >> 38 != 0) {
        return 0;
    }
    assert_int_equal(context[1], 0);
    assert_int_equal(context[3] >> 60, 8);
    table = (const uint64_t *)(uintptr_t)(context[3] << 20 >> 8);
    for (unsigned shift = 30; shift >= 12; shift -= 9) {
        entry = table[address >> shift & 511];
        if ((entry & 1) == 0) {
            return 0;
        }
        table = host_page_of(entry);
    }
    return entry;
}

/* Where an access ends, by the oldest memory of the IOMMU; 0: it is refused. */
uint64_t host_iommu_use(struct host_iommu *unit, uint32_t device, uint64_t address, bool write)
{
    uint64_t wanted = write ? ACCESS_WRITE : ACCESS_READ;
    uint64_t entry = 0;

    for (unsigned i = 0; i < unit->count && entry == 0; i++) {
        entry = unit->remembered[i].page == address >> 12 ? unit->remembered[i].entry : 0;
    }
    if (entry == 0) {
        entry = walk(unit, device, address);
        if (entry != 0 && unit->count < COUNT_OF(unit->remembered)) {
            unit->remembered[unit->count++] = (struct host_translation){address >> 12, entry};
        }
    }
    return (entry & wanted) == wanted ? (uint64_t)(uintptr_t)host_page_of(entry) | (address & 4095)
                                      : 0;
}

uint64_t host_device_address(const void *pointer)
{
    return (uint64_t)(uintptr_t)pointer - dma_map.offset;
}

/* Each IOMMU lets the disk do what it may with a byte, and nothing else. */
void host_expect_access(const uint8_t *pointer, bool reads, bool writes)
{
    for (unsigned i = 0; i < HOST_IOMMUS; i++) {
        uint64_t address = host_device_address(pointer);

        assert_int_equal(host_iommu_use(&host_iommus[i], HOST_DISK, address, false),
                         reads ? (uintptr_t)pointer : 0);
        assert_int_equal(host_iommu_use(&host_iommus[i], HOST_DISK, address, true),
                         writes ? (uintptr_t)pointer : 0);
    }
}

/* ---- A machine ------------------------------------------------------------------------------ */

static uint32_t read32(void *arg, uint32_t place, unsigned offset)
{
    (void)arg;
    (void)place;
    return offset == PCI_BRIDGE_BUSES ? 0x00030302 : 0;
}

static void write32(void *arg, uint32_t place, unsigned offset, uint32_t value)
{
    (void)arg;
    (void)place;
    (void)offset;
    (void)value;
}

static const struct nvme_pci_host host = {.read32 = read32, .write32 = write32};
static struct pci_function functions[HOST_FUNCTIONS] = {
    {.device = 1, .class_code = PCI_CLASS_NVME, .at = {&host, 0}},
    {.device = 2, .class_code = 0x020000, .at = {&host, 0}},
    {.bus = 2, .device = 3, .header_type = 1, .class_code = 0x060400, .at = {&host, 0}},
    {.device = 4, .class_code = IOMMU_CLASS, .at = {&host, 0}},
};

const struct pci_function *host_functions = functions;

static uint64_t at(unsigned number)
{
    return (uintptr_t)&host_iommus[number].registers;
}

static void reserve(void)
{
    host_heap = (struct machine_span){(uintptr_t)memory + 8, HOST_PAGES * IOMMU_PAGE - 8};
    iommu_reserve(&host_heap);
}

/* Pages of the heap, as a program has them. */
uint8_t *host_page(unsigned number)
{
    return (uint8_t *)(uintptr_t)((host_heap.base + IOMMU_PAGE - 1) & ~(IOMMU_PAGE - 1)) +
           number * IOMMU_PAGE;
}

int host_iommu_end(void **state)
{
    struct machine_span none = {0, 0};

    (void)state;
    board_listen();
    iommu_reserve(&none);
    board_heard();
    if (memory != NULL) {
        munmap(memory, HOST_PAGES * IOMMU_PAGE);
        memory = NULL;
    }
    return 0;
}

int host_iommu_start(void **state)
{
    host_iommu_end(state); /* of a case that has failed */
    board_init(1);
    board_on_time(step_units, NULL);
    memset(host_iommus, 0, sizeof(host_iommus));
    for (unsigned i = 0; i < HOST_IOMMUS; i++) {
        host_iommus[i].registers.words[HOST_CAPABILITIES] =
            HOST_VERSION | HOST_SV39 | HOST_MSI_FLAT;
    }
    host_machine = (struct machine){
        .iommus = {{at(0), 4096}},
        .iommu_count = 1,
        .harts = {{.imsic_file = HOST_FILE_0}, {.imsic_file = 0}, {.imsic_file = HOST_FILE_2}},
        .hart_count = 3,
        .dma = {.size = UINT64_MAX},
        .dma_coherent = true,
    };
    functions[3].bars[0] = (struct pci_bar){at(1), 4096, 0, 0};
    dma_map.offset = 0;
    memory = mmap((void *)(uintptr_t)HOST_MEMORY, HOST_PAGES * IOMMU_PAGE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    assert_ptr_equal(memory, (void *)(uintptr_t)HOST_MEMORY);
    memset(memory, 0xa5, HOST_PAGES * IOMMU_PAGE);
    reserve();
    return 0;
}

int host_iommu_start_guarded(void **state)
{
    host_iommu_start(state);
    assert_true(iommu_open(&host_machine, host_functions, HOST_FUNCTIONS));
    return 0;
}
