// SPDX-License-Identifier: MIT
/*
 * The scan, depth first with an explicit stack of buses. Each function found takes the next
 * addresses, so the addresses behind a bridge are contiguous. The bridge's window is what was
 * allocated between entering and leaving it, rounded to 1 MiB. 64-bit BARs of the first bus prefer
 * the 64-bit window. Behind bridges a BAR uses it if the 32-bit window is full, the BAR is
 * prefetchable and every bridge above it has a 64-bit prefetchable window.
 */
#include "pci.h"

#include <inttypes.h>
#include <stdio.h>

#include "timer.h"

#define PCI_DEPTH_LIMIT 16 /* buses below one another */
#define PCI_BRIDGE_GRAIN (1ULL << 20)
#define PCI_BRIDGE_WIDE 1u            /* low bits of the prefetchable base: it has upper 32 bits */
#define PCI_BRIDGE_CLOSED 0x0000fff0u /* base above limit */

enum {
    PCI_REVISION_CLASS = 0x08,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BRIDGE_ROM = 0x38,
    PCI_DEVICE_ROM = 0x30,
};

/* A window and its next free address, in bus addresses. */
struct space {
    struct machine_window window;
    uint64_t next;
};

/* A bus being scanned; bridge is the function that leads to it (config 0: the host). */
struct level {
    struct pci_function bridge;
    uint64_t start32, start64;
    bool wide; /* its bridges pass on 64-bit addresses */
    uint32_t bus;
    unsigned next; /* of nvme_pci_next() */
};

/* The scan's state. */
struct scan {
    const struct machine_pci *host;
    const struct nvme_pci_host *access;
    struct space space32, space64;
    struct pci_function *functions;
    unsigned capacity;
    unsigned count;
    uint32_t bus_highest; /* number assigned last */
    struct level levels[PCI_DEPTH_LIMIT];
    unsigned depth; /* levels in use */
};

static void report_function(const struct pci_function *f, const char *what, uint64_t value)
{
    printf("note: pci %02x:%02x.%u (%04x:%04x): %s (%" PRIu64 "); left out\n", f->bus, f->device,
           f->function, f->vendor, f->device_id, what, value);
}

/*
 * The first address of `size` bytes, aligned to it, as the bus sees it; false if it does not fit.
 */
static bool take_space(struct space *space, uint64_t size, uint64_t *bus_address)
{
    uint64_t start = (space->next + size - 1) & ~(size - 1);
    uint64_t end = space->window.bus + space->window.size;

    if (space->window.size == 0 || start < space->next || start > end || size > end - start) {
        return false;
    }
    *bus_address = start;
    space->next = start + size;
    return true;
}

static void set_aside(const struct pci_function *f, unsigned index, struct pci_bar *bar)
{
    report_function(f, "a BAR of this many bytes fits into no window of the PCI host", bar->size);
    nvme_pci_write_bar(&f->at, index, bar->flags, UINT64_MAX);
    bar->size = 0;
}

static bool place_bar(struct scan *scan, const struct pci_bar *bar, struct space **space,
                      uint64_t *address)
{
    bool high = (bar->flags & NVME_PCI_BAR_64) != 0;
    bool first = scan->depth == 1;

    *space = &scan->space64;
    if (high && first && take_space(*space, bar->size, address)) {
        return true;
    }
    *space = &scan->space32;
    if (take_space(*space, bar->size, address)) {
        return true;
    }
    *space = &scan->space64;
    return high && !first && (bar->flags & NVME_PCI_BAR_PREFETCHABLE) != 0 &&
           scan->levels[scan->depth - 1].wide && take_space(*space, bar->size, address);
}

/* Sizes and places the BARs of a function. A note reports one that fits nowhere. */
static void assign_bars(struct scan *scan, struct pci_function *f)
{
    unsigned bar_count = f->header_type == 1 ? 2 : PCI_BAR_COUNT;

    for (unsigned i = 0; i < bar_count; i++) {
        struct pci_bar *bar = &f->bars[i];
        struct space *space;
        uint64_t address = 0;

        *bar = pci_measure_bar(f, i, bar_count);
        if (bar->size == 0) {
            continue;
        }
        if (place_bar(scan, bar, &space, &address)) {
            bar->bus = address;
            bar->base = address - space->window.bus + space->window.cpu;
            nvme_pci_write_bar(&f->at, i, bar->flags, address);
        } else {
            set_aside(f, i, bar);
        }
        i += (bar->flags & NVME_PCI_BAR_64) != 0;
    }
}

/*
 * Each bridge rotates the pin by the device number behind it (Bridge 1.2 §9.1). Then the host's
 * interrupt-map decides.
 */
static struct machine_interrupt pin_interrupt(const struct scan *scan, const struct pci_function *f)
{
    uint32_t pin = pci_config_read8(f, PCI_INTERRUPT_PIN);
    uint32_t device = f->device;

    if (pin == 0 || pin > 4) {
        return (struct machine_interrupt){.wired = MACHINE_NONE};
    }
    for (unsigned level = scan->depth - 1; level > 0; level--) {
        pin = (pin - 1 + device) % 4 + 1;
        device = scan->levels[level].bridge.device;
    }
    return machine_pci_interrupt(scan->host, device, pin);
}

/* Writes base and limit of a bridge's memory window; an empty one is base above limit. */
static void set_window(const struct pci_function *bridge, uint64_t start, uint64_t end)
{
    uint32_t base = (uint32_t)(start >> 16) & 0xfff0;
    uint32_t limit = (uint32_t)((end - 1) >> 16) & 0xfff0;

    if (start == end) {
        base = PCI_BRIDGE_CLOSED;
        limit = 0;
    }
    pci_config_write32(bridge, PCI_BRIDGE_MEMORY, limit << 16 | base);
}

/* As above, for the prefetchable window (Bridge 1.2 §3.2.5.9 and 3.2.5.10). */
static void set_prefetchable(const struct pci_function *bridge, uint64_t start, uint64_t end)
{
    uint32_t base = (uint32_t)(start >> 16) & 0xfff0;
    uint32_t limit = (uint32_t)((end - 1) >> 16) & 0xfff0;

    if (start == end) {
        return; /* close_bridge() has closed it */
    }
    pci_config_write32(bridge, PCI_BRIDGE_PREFETCHABLE_BASE_UPPER, (uint32_t)(start >> 32));
    pci_config_write32(bridge, PCI_BRIDGE_PREFETCHABLE_LIMIT_UPPER, (uint32_t)((end - 1) >> 32));
    pci_config_write32(bridge, PCI_BRIDGE_PREFETCHABLE, limit << 16 | base);
}

/* Advances to the next possible start of a bridge's window, at most to the end of ours. */
static uint64_t round_up(struct space *space)
{
    uint64_t end = space->window.bus + space->window.size;
    uint64_t rounded = (space->next + PCI_BRIDGE_GRAIN - 1) & ~(PCI_BRIDGE_GRAIN - 1);

    space->next = rounded < space->next || rounded > end ? end : rounded;
    return space->next;
}

/* The buses that a bridge forwards to. What else is in these 32 bits is kept. */
static void set_buses(const struct pci_function *bridge, uint32_t primary, uint32_t secondary,
                      uint32_t subordinate)
{
    uint32_t kept = pci_config_read32(bridge, PCI_BRIDGE_BUSES) & 0xff000000;

    pci_config_write32(bridge, PCI_BRIDGE_BUSES,
                       kept | subordinate << 16 | secondary << 8 | primary);
}

/*
 * A stale bus number could answer for a bus of another bridge. A stale upper half would open a
 * window that is written as closed.
 */
static void close_bridge(const struct pci_function *bridge)
{
    set_buses(bridge, 0, 0, 0);
    pci_config_write32(bridge, PCI_BRIDGE_IO, 0x00f0);
    pci_config_write32(bridge, PCI_BRIDGE_IO_UPPER, 0);
    pci_config_write32(bridge, PCI_BRIDGE_MEMORY, PCI_BRIDGE_CLOSED);
    pci_config_write32(bridge, PCI_BRIDGE_PREFETCHABLE, PCI_BRIDGE_CLOSED);
    pci_config_write32(bridge, PCI_BRIDGE_PREFETCHABLE_BASE_UPPER, 0);
    pci_config_write32(bridge, PCI_BRIDGE_PREFETCHABLE_LIMIT_UPPER, 0);
    pci_config_write32(bridge, PCI_INTERRUPT_LINE,
                       pci_config_read32(bridge, PCI_INTERRUPT_LINE) & 0xffff);
}

/* Gives the bus behind a bridge a number and makes it the next to scan. */
static void enter_bridge(struct scan *scan, const struct pci_function *bridge)
{
    struct level *level = &scan->levels[scan->depth];
    uint32_t kind = pci_config_read16(bridge, PCI_BRIDGE_PREFETCHABLE) & 0xf;

    if (scan->depth == PCI_DEPTH_LIMIT || scan->bus_highest == scan->host->bus_last) {
        report_function(bridge, "no bus number or depth left for the bus behind it",
                        scan->bus_highest);
        return;
    }
    scan->bus_highest++;
    scan->depth++;
    *level = (struct level){.bridge = *bridge,
                            .start32 = round_up(&scan->space32),
                            .start64 = round_up(&scan->space64),
                            .wide = kind == PCI_BRIDGE_WIDE && (level - 1)->wide,
                            .bus = scan->bus_highest};
    set_window(bridge, level->start32, level->start32);
    set_buses(bridge, bridge->bus, scan->bus_highest, scan->host->bus_last);
}

/* Ends a bus: its bridge gets the last bus number and a window over the memory behind it. */
static void leave_bridge(struct scan *scan)
{
    struct level *level = &scan->levels[scan->depth - 1];

    set_buses(&level->bridge, level->bridge.bus, level->bus, scan->bus_highest);
    set_window(&level->bridge, level->start32, round_up(&scan->space32));
    set_prefetchable(&level->bridge, level->start64, round_up(&scan->space64));
    pci_enable(&level->bridge);
    scan->depth--;
}

/* The next function of the level's bus. False: the bus has no more. */
static bool next_function(const struct scan *scan, struct level *level, struct pci_function *f)
{
    struct nvme_pci_function at = {scan->access, level->bus << 8};
    uint32_t id;

    if (!nvme_pci_next(&at, &level->next)) {
        return false;
    }
    *f = (struct pci_function){.at = at, .bus = (uint8_t)level->bus};
    f->device = at.place >> 3 & 31;
    f->function = at.place & 7;
    id = pci_config_read32(f, PCI_VENDOR);
    f->vendor = (uint16_t)id;
    f->device_id = (uint16_t)(id >> 16);
    f->class_code = pci_config_read32(f, PCI_REVISION_CLASS) >> 8;
    f->header_type = pci_config_read8(f, PCI_HEADER_TYPE) & 0x7f;
    return true;
}

bool pci_take_over(const struct pci_function *function)
{
    bool awake = nvme_pci_take_over(&function->at);

    if (awake && function->header_type == 1) {
        close_bridge(function);
    }
    return awake;
}

struct pci_bar pci_measure_bar(const struct pci_function *function, unsigned index,
                               unsigned bar_count)
{
    struct nvme_pci_bar bar = nvme_pci_measure_bar(&function->at, index, bar_count);

    return (struct pci_bar){.size = bar.size, .flags = bar.flags};
}

/* Takes over all functions of a bus before any gets addresses: an old mapping could collide. */
static void take_over_bus(const struct scan *scan, struct level level)
{
    struct pci_function f;

    while (next_function(scan, &level, &f)) {
        if (!pci_take_over(&f)) {
            report_function(&f, "it does not reach power state D0", 0);
        }
    }
}

static void add_function(struct scan *scan, struct pci_function *f)
{
    if (!pci_take_over(f)) {
        return; /* the note was printed */
    }
    pci_config_write32(f, f->header_type == 1 ? PCI_BRIDGE_ROM : PCI_DEVICE_ROM, 0);
    assign_bars(scan, f);
    f->irq = pin_interrupt(scan, f);
    if (scan->count < scan->capacity) {
        scan->functions[scan->count] = *f;
    }
    scan->count++;
    if (f->header_type == 1) {
        enter_bridge(scan, f);
    }
}

/* Adds a host's functions to those of the hosts before it. */
static void scan_host(struct scan *scan, const struct machine_pci *host,
                      const struct nvme_pci_host *access)
{
    scan->host = host;
    scan->access = access;
    scan->space32 = (struct space){host->window32, host->window32.bus};
    scan->space64 = (struct space){host->window64, host->window64.bus};
    scan->bus_highest = host->bus_first;
    scan->depth = 1;
    scan->levels[0] = (struct level){.wide = true, .bus = host->bus_first};
    while (scan->depth != 0) { /* each step moves on in one of 256 buses */
        struct level *level = &scan->levels[scan->depth - 1];
        struct pci_function f;

        if (level->next == 0) {
            take_over_bus(scan, *level);
        }
        if (next_function(scan, level, &f)) {
            add_function(scan, &f);
        } else if (scan->depth == 1) {
            scan->depth = 0;
        } else {
            leave_bridge(scan);
        }
    }
}

static void wait_ms(void *arg, unsigned ms)
{
    uint64_t start_ns = time_now_ns();

    (void)arg;
    while (time_now_ns() - start_ns < ms * UINT64_C(1000000)) {
        /* Configuration space must not be touched meanwhile. */
    }
}

unsigned pci_scan(const struct machine *machine, struct pci_function *functions, unsigned capacity)
{
    static struct scan scan;                              /* the levels are too large for a stack */
    static struct nvme_pci_host hosts[MACHINE_PCI_LIMIT]; /* the functions refer to them */

    scan = (struct scan){.functions = functions, .capacity = capacity};
    if (machine->pci_error != NULL) {
        printf("note: a PCI host is left out: %s\n", machine->pci_error);
    }
    for (uint32_t i = 0; i < machine->pci_count; i++) {
        const struct machine_pci *host = &machine->pci[i];

        hosts[i] = (struct nvme_pci_host){
            .read32 = nvme_pci_ecam_read32,
            .write32 = nvme_pci_ecam_write32,
            .wait_ms = wait_ms,
            .arg = (void *)(uintptr_t)(host->ecam.base - ((uint64_t)host->bus_first << 20)),
        };
        scan_host(&scan, host, &hosts[i]);
    }
    return scan.count;
}
