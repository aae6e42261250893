// SPDX-License-Identifier: MIT
/*
 * platform/virt/pci.c and pci/nvme_pci.c against a configuration space in memory: a device behind
 * one bridge or two, where its BARs go, and which windows its bridges open for them.
 */
#include "fixture.h"
#include "host_board.h"
#include "pci.h"

enum { SPACES = 3, SPACE_BYTES = 256, BARS = 6, CAPACITY = 8 };
#define MIB (UINT64_C(1) << 20)
#define ECAM UINT64_C(0x30000000)
#define GIB (UINT64_C(1) << 30)
#define WINDOW32 UINT64_C(0x40000000)
#define WINDOW64 UINT64_C(0x400000000)

/* Bridges stand in front of the last one, each on the bus of the one before. */
static struct space {
    uint8_t bytes[SPACE_BYTES];
    uint64_t bar_sizes[BARS]; /* 64-bit ones take two places */
    bool bridge;
} spaces[SPACES];
static unsigned space_count;

static uint32_t get(const struct space *space, unsigned offset)
{
    uint32_t value;

    memcpy(&value, &space->bytes[offset], 4);
    return value;
}

/* The space that a bus and a device lead to, NULL: none. */
static struct space *find(uint32_t place)
{
    unsigned bus = place >> 8;

    if ((place & 0xff) != 0) {
        return NULL;
    }
    if (bus == 0) {
        return &spaces[0];
    }
    for (unsigned i = 0; i + 1 < space_count; i++) {
        if (spaces[i].bytes[PCI_BRIDGE_SECONDARY] == bus) {
            return &spaces[i + 1];
        }
    }
    return NULL;
}

uint32_t nvme_pci_ecam_read32(void *arg, uint32_t place, unsigned offset)
{
    const struct space *space = find(place);

    assert_int_equal((uintptr_t)arg, ECAM);
    assert_int_equal(offset % 4, 0);
    return space != NULL ? get(space, offset) : UINT32_MAX;
}

/* A BAR keeps the bits above its size and those that say its kind. */
static uint32_t settle_bar(const struct space *space, unsigned index, uint32_t value)
{
    uint64_t low = space->bar_sizes[index];
    uint64_t high = index > 0 ? space->bar_sizes[index - 1] : 0;

    if (low != 0) {
        return (value & (uint32_t) ~(low - 1)) | (get(space, PCI_BAR0 + 4 * index) & 0xf);
    }
    return high != 0 ? value & (uint32_t)(~(high - 1) >> 32) : 0;
}

void nvme_pci_ecam_write32(void *arg, uint32_t place, unsigned offset, uint32_t value)
{
    struct space *space = find(place);
    unsigned bar = (offset - PCI_BAR0) / 4;

    assert_int_equal((uintptr_t)arg, ECAM);
    assert_non_null(space);
    if (offset >= PCI_BAR0 && bar < (space->bridge ? 2u : 6u)) {
        value = settle_bar(space, bar, value);
    }
    if (space->bridge && offset == PCI_BRIDGE_PREFETCHABLE) {
        uint32_t kind = get(space, offset) & 0x000f000f;

        value = (value & 0xfff0fff0) | kind;
    }
    if (offset == PCI_COMMAND) {
        assert_int_equal(value >> 16, 0); /* ones would clear the status */
        value |= get(space, offset) & 0xffff0000;
    }
    memcpy(&space->bytes[offset], &value, 4);
}

/* ---- Windows -------------------------------------------------------------------------------- */

struct window_case {
    const char *name;
    uint64_t size; /* of BAR 2, beside registers of 16 KiB */
    uint32_t kind; /* of BAR 2: 4 is 64-bit, 8 prefetchable */
    unsigned bridges;
    uint32_t narrow; /* bit i: bridge i has a 32-bit prefetchable window */
    uint64_t base;   /* where BAR 2 goes; 0: nowhere */
};

static const struct window_case window_cases[] = {
    {"small_one_goes_low", MIB, 0xc, 1, 0, WINDOW32 + MIB},
    {"large_one_goes_high", GIB, 0xc, 1, 0, WINDOW64},
    {"large_one_behind_two_bridges_goes_high", GIB, 0xc, 2, 0, WINDOW64},
    {"large_one_that_is_not_prefetchable_goes_nowhere", GIB, 0x4, 1, 0, 0},
    {"large_one_of_32_bits_goes_nowhere", GIB, 0x8, 1, 0, 0},
    {"large_one_behind_a_narrow_bridge_goes_nowhere", GIB, 0xc, 1, 1, 0},
    {"large_one_behind_a_narrow_upper_bridge_goes_nowhere", GIB, 0xc, 2, 1, 0},
    {"large_one_behind_a_narrow_lower_bridge_goes_nowhere", GIB, 0xc, 2, 2, 0},
    {"larger_than_any_window_goes_nowhere", 32 * GIB, 0xc, 1, 0, 0},
    {"large_one_without_bridges_goes_high", GIB, 0xc, 0, 0, WINDOW64 + GIB},
};

static void put(struct space *space, unsigned offset, uint32_t value)
{
    memcpy(&space->bytes[offset], &value, 4);
}

static void build(const struct window_case *this)
{
    struct space *device = &spaces[this->bridges];

    memset(spaces, 0, sizeof(spaces));
    space_count = this->bridges + 1;
    for (unsigned i = 0; i < this->bridges; i++) {
        put(&spaces[i], 0, 0x000c1b36);
        put(&spaces[i], 0x0c, 0x00010000);
        put(&spaces[i], PCI_BRIDGE_PREFETCHABLE, (this->narrow >> i & 1) != 0 ? 0 : 0x00010001);
        spaces[i].bridge = true;
    }
    put(device, 0, 0x00101b36);
    put(device, 8, 0x01080200);
    put(device, PCI_BAR0, 4);
    put(device, PCI_BAR0 + 8, this->kind);
    device->bar_sizes[0] = 16384;
    device->bar_sizes[2] = this->size;
}

/* Whether a bridge passes an address on by the window at this offset of 1 MiB grains. */
static bool passes(const struct space *bridge, unsigned offset, uint64_t address)
{
    uint64_t base = (uint64_t)(get(bridge, offset) & 0xfff0) << 16;
    uint64_t limit = (uint64_t)(get(bridge, offset) & 0xfff00000) | 0xfffff;

    if (offset == PCI_BRIDGE_PREFETCHABLE) {
        base |= (uint64_t)get(bridge, PCI_BRIDGE_PREFETCHABLE_BASE_UPPER) << 32;
        limit |= (uint64_t)get(bridge, PCI_BRIDGE_PREFETCHABLE_LIMIT_UPPER) << 32;
    }
    return address >= base && address <= limit;
}

static void check_bridges(const struct window_case *this, const struct pci_bar *bar)
{
    bool high = bar->base >= WINDOW64;
    unsigned right = high ? PCI_BRIDGE_PREFETCHABLE : PCI_BRIDGE_MEMORY;

    for (unsigned i = 0; i < this->bridges; i++) {
        assert_true(passes(&spaces[i], right, bar->base));
        assert_true(passes(&spaces[i], right, bar->base + bar->size - 1));
        assert_false(passes(&spaces[i], right, (high ? WINDOW64 : WINDOW32) - MIB));
    }
}

static void bar_goes_where_its_bridges_let_it(void **state)
{
    const struct window_case *this = *state;
    static const struct machine machine = {
        .pci = {{.ecam = {ECAM, 8 * MIB},
                 .bus_last = 7,
                 .window32 = {WINDOW32, WINDOW32, GIB},
                 .window64 = {WINDOW64, WINDOW64, 16 * GIB}}},
        .pci_count = 1,
    };
    struct pci_function functions[CAPACITY];
    const struct pci_function *device = &functions[this->bridges];
    const char *text;

    board_init(1);
    build(this);
    board_listen();
    assert_int_equal(pci_scan(&machine, functions, CAPACITY), space_count);
    text = board_heard();
    assert_int_equal(device->class_code, 0x010802);
    assert_int_equal(device->bars[0].size, 16384);
    assert_int_equal(device->bars[2].size, this->base != 0 ? this->size : 0);
    assert_int_equal(device->bars[2].base, this->base);
    assert_int_equal(strstr(text, "fits into no window") != NULL, this->base == 0);
    if (this->base != 0) {
        uint64_t high = (this->kind & 4) != 0 ? get(&spaces[this->bridges], PCI_BAR0 + 12) : 0;

        assert_int_equal(high << 32 | (get(&spaces[this->bridges], PCI_BAR0 + 8) & ~15u),
                         this->base);
        check_bridges(this, &device->bars[2]);
    }
    check_bridges(this, &device->bars[0]);
    for (unsigned i = 0; i < this->bridges; i++) {
        assert_int_equal(passes(&spaces[i], PCI_BRIDGE_PREFETCHABLE, WINDOW64),
                         this->base == WINDOW64);
    }
}

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(window_cases)] = {0};
    size_t count = 0;

    ADD_CASES(tests, &count, bar_goes_where_its_bridges_let_it, window_cases);
    return fixture_run("pci", tests, count);
}
