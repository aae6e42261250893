// SPDX-License-Identifier: MIT
/*
 * See nvme_pci.h. A status register shares its 32 bits with a control register and is cleared by
 * ones, so writes give it zeros. PCI Power Management 1.2 §3.2.4 and §5.6.1 (the wait).
 */
#include "nvme_pci.h"

#include <stddef.h>

enum {
    ID = 0x00,
    COMMAND = 0x04, /* status above it */
    CLASS = 0x08,   /* above the revision */
    HEADER = 0x0c,  /* its type: bits 22:16; several functions: bit 23 */
    BAR0 = 0x10,
    BUSES = 0x18, /* of a bridge: the secondary one in bits 15:8 */
    CAPABILITIES = 0x34,
    INTERRUPT = 0x3c, /* the pin: bits 15:8 */
    CAPABILITY_POWER = 0x01,
    CAPABILITY_MSI = 0x05,
    CAPABILITY_MSIX = 0x11,
    POWER_STATUS = 4,      /* its offset in the capability */
    CAPABILITIES_MAX = 48, /* in bytes 0x40 to 0xff, four or more each: more entries are a loop */
    PLACES = 256,          /* of a bus: 32 devices of 8 functions */
    STEPS_MAX = 256 * (PLACES + 1), /* every place and the end of every bus */
    DEPTH_MAX = 8,                  /* buses below one another */
};

#define COMMAND_MEMORY 0x0002u
#define COMMAND_MASTER 0x0004u
#define COMMAND_ON 0x0007u /* I/O, memory, bus master */
#define COMMAND_INTX_OFF 0x0400u
#define STATUS_INTERRUPT 0x00080000u
#define STATUS_CAPABILITIES 0x00100000u
#define POWER_STATE 0x0003u     /* 0: D0, 3: D3hot */
#define POWER_STATE_PME 0x8103u /* and PME: enable, and status, which a 1 would clear */

uint32_t nvme_pci_read32(const struct nvme_pci_function *function, unsigned offset)
{
    return function->host->read32(function->host->arg, function->place, offset);
}

void nvme_pci_write32(const struct nvme_pci_function *function, unsigned offset, uint32_t value)
{
    function->host->write32(function->host->arg, function->place, offset, value);
}

bool nvme_pci_next(struct nvme_pci_function *function, unsigned *next)
{
    while (*next < PLACES) {
        unsigned place = *next;
        uint32_t vendor, header;

        function->place = (function->place & ~(PLACES - 1u)) | place;
        vendor = nvme_pci_read32(function, ID) & 0xffff;
        header = vendor == 0 || vendor == 0xffff ? 0x7f0000 : nvme_pci_read32(function, HEADER);
        *next = place % 8 != 0 || (header & 0x800000) != 0 ? place + 1 : (place | 7) + 1;
        if ((header & 0x7f0000) <= 0x010000) {
            return true;
        }
    }
    return false;
}

unsigned nvme_pci_capability(const struct nvme_pci_function *function, uint8_t id)
{
    unsigned offset = 0;

    if ((nvme_pci_read32(function, COMMAND) & STATUS_CAPABILITIES) != 0) {
        offset = nvme_pci_read32(function, CAPABILITIES) & 0xfc;
    }
    for (unsigned i = 0; i < CAPABILITIES_MAX && offset >= 0x40; i++) {
        uint32_t head = nvme_pci_read32(function, offset);

        if ((head & 0xff) == id) {
            return offset;
        }
        offset = head >> 8 & 0xfc;
    }
    return 0;
}

static void change_command(const struct nvme_pci_function *function, uint32_t clear, uint32_t set)
{
    uint32_t command = nvme_pci_read32(function, COMMAND) & 0xffff;

    nvme_pci_write32(function, COMMAND, (command & ~clear) | set);
    (void)nvme_pci_read32(function, COMMAND); /* pushes the write */
}

void nvme_pci_decode(const struct nvme_pci_function *function)
{
    change_command(function, COMMAND_INTX_OFF, COMMAND_MEMORY);
}

void nvme_pci_enable(const struct nvme_pci_function *function)
{
    change_command(function, COMMAND_INTX_OFF, COMMAND_MEMORY | COMMAND_MASTER);
}

void nvme_pci_disable(const struct nvme_pci_function *function)
{
    change_command(function, COMMAND_ON, COMMAND_INTX_OFF);
}

void nvme_pci_bus_master(void *controller)
{
    nvme_pci_enable(&((struct nvme_pci_controller *)controller)->function);
}

bool nvme_pci_intx_level(void *controller)
{
    const struct nvme_pci_controller *found = controller;

    return (nvme_pci_read32(&found->function, COMMAND) & STATUS_INTERRUPT) != 0;
}

static bool power_up(const struct nvme_pci_function *function)
{
    unsigned at = nvme_pci_capability(function, CAPABILITY_POWER);
    uint32_t status = at != 0 ? nvme_pci_read32(function, at + POWER_STATUS) : 0;

    if ((status & POWER_STATE) == 0) {
        return true;
    }
    if (function->host->wait_ms == NULL) {
        return false;
    }
    nvme_pci_write32(function, at + POWER_STATUS, status & ~POWER_STATE_PME);
    function->host->wait_ms(function->host->arg, 10);
    return (nvme_pci_read32(function, at + POWER_STATUS) & POWER_STATE) == 0;
}

static void stop_messages(const struct nvme_pci_function *function, uint8_t id, uint32_t enable)
{
    unsigned at = nvme_pci_capability(function, id);

    if (at != 0) {
        nvme_pci_write32(function, at, nvme_pci_read32(function, at) & ~enable);
    }
}

bool nvme_pci_take_over(const struct nvme_pci_function *function)
{
    nvme_pci_disable(function);
    if (!power_up(function)) {
        return false;
    }
    nvme_pci_disable(function); /* a function that left D3hot may have been reset */
    stop_messages(function, CAPABILITY_MSI, 0x00010000);
    stop_messages(function, CAPABILITY_MSIX, 0x80000000);
    return true;
}

void nvme_pci_write_bar(const struct nvme_pci_function *function, unsigned index, uint32_t flags,
                        uint64_t address)
{
    nvme_pci_write32(function, BAR0 + 4 * index, (uint32_t)address);
    if ((flags & NVME_PCI_BAR_64) != 0) {
        nvme_pci_write32(function, BAR0 + 4 * index + 4, (uint32_t)(address >> 32));
    }
}

/* PCI Local Bus 3.0 §6.2.5.1: what ones do not stick to is below the size. */
struct nvme_pci_bar nvme_pci_measure_bar(const struct nvme_pci_function *function, unsigned index,
                                         unsigned bar_count)
{
    unsigned offset = BAR0 + 4 * index;
    struct nvme_pci_bar bar = {0};
    uint64_t mask;
    uint32_t low;

    nvme_pci_write32(function, offset, UINT32_MAX);
    low = nvme_pci_read32(function, offset);
    mask = (low & 1) != 0 ? 0 : low & ~15u;
    bar.flags = (low & 1) != 0 ? NVME_PCI_BAR_IO : low >> 1 & NVME_PCI_BAR_PREFETCHABLE;
    if ((low & 7) == 4 && index + 1 < bar_count) {
        bar.flags |= NVME_PCI_BAR_64;
        nvme_pci_write32(function, offset + 4, UINT32_MAX);
        mask |= (uint64_t)nvme_pci_read32(function, offset + 4) << 32;
    }
    nvme_pci_write_bar(function, index, bar.flags, 0);
    bar.size = mask & (~mask + 1); /* the lowest bit that sticks */
    return bar;
}

/* Each bridge rotates the pin by the device number behind it (Bridge 1.2 §9.1), and so does the
   host. path[depth] is the function, the others are the bridges above it. */
static uint32_t find_source(const struct nvme_pci_function *path, unsigned depth)
{
    uint32_t pin = nvme_pci_read32(&path[depth], INTERRUPT) >> 8 & 0xff;

    if (pin == 0 || pin > 4) {
        return 0;
    }
    for (unsigned i = 0; i <= depth; i++) {
        pin += path[i].place >> 3 & 31;
    }
    return path->host->irq_base + (pin - 1) % 4;
}

/* Keeps the address of BAR 0, or gives it one. */
static const char *place_registers(struct nvme_pci_host *host, bool behind_bridge,
                                   struct nvme_pci_controller *found)
{
    const struct nvme_pci_function *function = &found->function;
    uint32_t low = nvme_pci_read32(function, BAR0);
    uint64_t high = (low & 6) == 4 ? nvme_pci_read32(function, BAR0 + 4) : 0;
    uint64_t address = high << 32 | (low & ~15u);
    struct nvme_pci_bar bar = nvme_pci_measure_bar(function, 0, 6);

    if (bar.size == 0 || (bar.flags & NVME_PCI_BAR_IO) != 0) {
        return "BAR 0 of the controller is not memory";
    }
    if (address == 0 && behind_bridge) {
        return "BAR 0 has no address, behind a bridge; hint: firmware must assign it";
    }
    if (address == 0) {
        uint64_t used;

        address = (host->window_bus + bar.size - 1) & ~(bar.size - 1);
        used = address - host->window_bus + bar.size;
        if (used > host->window_bytes ||
            ((bar.flags & NVME_PCI_BAR_64) == 0 && address + bar.size - 1 > UINT32_MAX)) {
            return "BAR 0 does not fit into the window; hint: window_bus, window_bytes";
        }
        host->window_bus += used;
        host->window_bytes -= used;
    }
    nvme_pci_write_bar(function, 0, bar.flags, address);
    found->registers = address + host->cpu_minus_bus;
    found->registers_bytes = bar.size;
    return NULL;
}

/* Takes over the function path[depth], whose bridges are the places before it. */
static const char *prepare_controller(struct nvme_pci_host *host,
                                      const struct nvme_pci_function *path, unsigned depth,
                                      struct nvme_pci_controller *found)
{
    uint32_t id = nvme_pci_read32(&path[depth], ID);
    const char *error;

    found->function = path[depth];
    found->vendor = (uint16_t)id;
    found->device = (uint16_t)(id >> 16);
    found->irq = find_source(path, depth);
    if (!nvme_pci_take_over(&found->function)) {
        return "the controller does not leave power state D3hot; hint: wait_ms";
    }
    error = place_registers(host, depth != 0, found);
    if (error != NULL) {
        return error;
    }
    for (unsigned i = 0; i < depth; i++) {
        nvme_pci_enable(&path[i]);
    }
    nvme_pci_decode(&found->function);
    return NULL;
}

const char *nvme_pci_find(struct nvme_pci_host *host, unsigned index,
                          struct nvme_pci_controller *found)
{
    struct nvme_pci_function path[DEPTH_MAX]; /* bridges, each behind the one before it */
    unsigned next[DEPTH_MAX];
    unsigned depth = 0;
    bool unnumbered = false;

    path[0] = (struct nvme_pci_function){host, host->bus_first << 8};
    next[0] = 0;
    for (unsigned step = 0; step < STEPS_MAX; step++) {
        uint32_t type, bus;

        if (!nvme_pci_next(&path[depth], &next[depth])) {
            if (depth == 0) {
                break;
            }
            depth--;
            continue;
        }
        type = nvme_pci_read32(&path[depth], HEADER) >> 16 & 0x7f;
        bus = nvme_pci_read32(&path[depth], BUSES) >> 8 & 0xff;
        if (type == 1 && bus > path[depth].place >> 8 && depth + 1 < DEPTH_MAX) {
            path[++depth] = (struct nvme_pci_function){host, bus << 8};
            next[depth] = 0;
        } else if (type == 1) {
            unnumbered = true;
        } else if (nvme_pci_read32(&path[depth], CLASS) >> 8 == 0x010802 && index-- == 0) {
            return prepare_controller(host, path, depth, found);
        }
    }
    return unnumbered
               ? "no such NVMe controller; hint: a bridge has no bus number, firmware gives it"
               : "no such NVMe controller";
}
