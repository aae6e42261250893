// SPDX-License-Identifier: MIT
#include "iommu_unit.h"

#include <inttypes.h>
#include <stdio.h>

#include "fence.h"
#include "iommu_tables.h"
#include "timer.h"
#include "trap.h"

#define ANSWER_NS UINT64_C(1000000000)

/* Registers, of which the queues' own have 32 bits. */
enum {
    CAPABILITIES = 0x00,
    FEATURES = 0x08,  /* fctl */
    DIRECTORY = 0x10, /* ddtp */
    COMMAND_BASE = 0x18,
    COMMAND_HEAD = 0x20,
    COMMAND_TAIL = 0x24,
    FAULT_BASE = 0x28,
    FAULT_HEAD = 0x30,
    FAULT_TAIL = 0x34,
    COMMAND_CONTROL = 0x48,
    FAULT_CONTROL = 0x4c,
};

enum {
    DIRECTORY_MODE = 0x0f,
    DIRECTORY_BUSY = 0x10,
    MODE_OFF = 0,  /* all is refused: the state after reset */
    MODE_BARE = 1, /* above: tables */
    MODE_THREE_LEVELS = 4,
    QUEUE_ENABLE = 0x00001,
    QUEUE_ERRORS = 0x00700, /* of commands: memory fault, time-out, illegal */
    QUEUE_LOST = 0x00300,   /* of faults: memory fault, overflow; written back, they end */
    QUEUE_ON = 0x10000,
    QUEUE_BUSY = 0x20000,
};

/* Capabilities. */
#define VERSION_MAJOR UINT64_C(0xf0)
#define VERSION_1 UINT64_C(0x10)
#define CAPABLE_SV39 (UINT64_C(1) << 9)
#define CAPABLE_MSI_FLAT (UINT64_C(1) << 22)
/* Features: big-endian, and a second stage of 32 bits. */
#define FEATURES_OTHER 0x5u

#define FENCE UINT64_C(0x3002) /* IOFENCE.C, behind the devices' reads and writes too */

/* The code of n entries is log2(n) - 1. */
enum {
    COMMANDS = 256, /* of 16 bytes: a page */
    COMMANDS_CODE = 7,
    COMMAND_WORDS = 2,
    FAULTS = 128, /* of 32 bytes: a page */
    FAULTS_CODE = 6,
    FAULT_WORDS = 4,
    CAUSE_OF_DEVICE = 256,
};

static volatile uint32_t *find_register32(const struct iommu_unit *unit, uintptr_t offset)
{
    return (volatile uint32_t *)((uintptr_t)unit->base + offset);
}

static volatile uint64_t *find_register64(const struct iommu_unit *unit, uintptr_t offset)
{
    return (volatile uint64_t *)((uintptr_t)unit->base + offset);
}

/* Waits until the bits of `mask` are `wanted`. False: they are not, for too long. */
static bool wait_for(const volatile uint32_t *address, uint32_t mask, uint32_t wanted)
{
    uint64_t end_ns = time_now_ns() + ANSWER_NS;

    for (;;) {
        bool late = time_now_ns() > end_ns; /* before the look: a hart may be stopped between */

        if ((*address & mask) == wanted) {
            return true;
        }
        if (late) {
            return false;
        }
    }
}

/* The directory's register, after the IOMMU has taken what was written last, or has not. */
static uint64_t read_directory(const struct iommu_unit *unit)
{
    volatile uint64_t *ddtp = find_register64(unit, DIRECTORY);

    (void)wait_for((volatile uint32_t *)ddtp, DIRECTORY_BUSY, 0);
    return *ddtp;
}

bool iommu_unit_pass_all(uint64_t base)
{
    const struct iommu_unit unit = {.base = base};
    uint64_t value = read_directory(&unit);

    if ((value & (DIRECTORY_BUSY | DIRECTORY_MODE)) == MODE_OFF) {
        *find_register64(&unit, DIRECTORY) = MODE_BARE;
        value = read_directory(&unit);
    }
    if ((value & (DIRECTORY_BUSY | DIRECTORY_MODE)) == MODE_BARE) {
        return true;
    }
    printf("error: the IOMMU at %#" PRIx64 " does not let devices reach memory (ddtp %#" PRIx64
           ", mode %u, wanted 1); hint: %s\n",
           base, value, (unsigned)(value & DIRECTORY_MODE),
           (value & DIRECTORY_MODE) > MODE_BARE
               ? "its tables belong to another owner: reset the machine"
               : "start the machine without it");
    return false;
}

/* A queue's registers: `pointer` is the one that the program moves. */
struct queue_registers {
    uintptr_t base, pointer, control;
};

static const struct queue_registers command_queue = {COMMAND_BASE, COMMAND_TAIL, COMMAND_CONTROL};
static const struct queue_registers fault_queue = {FAULT_BASE, FAULT_HEAD, FAULT_CONTROL};

/* Starts a queue anew, whoever has used it before, with 2 << code entries. */
static bool start_queue(const struct iommu_unit *unit, const struct queue_registers *queue,
                        const volatile uint64_t *memory, unsigned code)
{
    volatile uint32_t *control = find_register32(unit, queue->control);

    if (!wait_for(control, QUEUE_BUSY, 0)) {
        return false;
    }
    *control = 0;
    if (!wait_for(control, QUEUE_ON | QUEUE_BUSY, 0)) {
        return false;
    }
    *find_register64(unit, queue->base) = (uint64_t)(uintptr_t)memory / IOMMU_PAGE << 10 | code;
    *find_register32(unit, queue->pointer) = 0;
    *control = QUEUE_ENABLE;
    return wait_for(control, QUEUE_ON | QUEUE_BUSY, QUEUE_ON);
}

void iommu_unit_command(struct iommu_unit *unit, uint64_t first, uint64_t second)
{
    const uint64_t words[2][COMMAND_WORDS] = {{first, second}, {FENCE, 0}};

    for (unsigned i = 0; i < 2; i++) {
        unit->commands[unit->tail * COMMAND_WORDS] = words[i][0];
        unit->commands[unit->tail * COMMAND_WORDS + 1] = words[i][1];
        unit->tail = (unit->tail + 1) % COMMANDS;
    }
    fence(rw, o);
    *find_register32(unit, COMMAND_TAIL) = unit->tail;
    if (!wait_for(find_register32(unit, COMMAND_HEAD), UINT32_MAX, unit->tail)) {
        panic((*find_register32(unit, COMMAND_CONTROL) & QUEUE_ERRORS) != 0
                  ? "the IOMMU has refused a command"
                  : "the IOMMU does not carry out a command");
    }
    fence(i, rw);
}

const char *iommu_unit_obstacle(uint64_t base)
{
    const struct iommu_unit unit = {.base = base};
    uint64_t capabilities = *find_register64(&unit, CAPABILITIES);

    if ((capabilities & VERSION_MAJOR) != VERSION_1) {
        return "it is not of version 1";
    }
    if ((*find_register32(&unit, FEATURES) & FEATURES_OTHER) != 0) {
        return "it is big-endian, or has 32 bits";
    }
    return (capabilities & CAPABLE_SV39) == 0 ? "it lacks Sv39" : NULL;
}

bool iommu_unit_is_extended(uint64_t base)
{
    const struct iommu_unit unit = {.base = base};

    return (*find_register64(&unit, CAPABILITIES) & CAPABLE_MSI_FLAT) != 0;
}

const char *iommu_unit_start(struct iommu_unit *unit, const uint64_t *directory)
{
    uint64_t value = (uintptr_t)directory / IOMMU_PAGE << 10 | MODE_THREE_LEVELS;
    uint64_t before = read_directory(unit);

    if ((before & DIRECTORY_MODE) > MODE_BARE) {
        return "its tables belong to another owner";
    }
    if ((before & DIRECTORY_BUSY) != 0) {
        return "it is busy";
    }
    fence(rw, o); /* the directory and the empty queues come first */
    if (!start_queue(unit, &command_queue, unit->commands, COMMANDS_CODE) ||
        !start_queue(unit, &fault_queue, unit->faults, FAULTS_CODE)) {
        return "its queues do not start";
    }
    *find_register64(unit, DIRECTORY) = value;
    if (read_directory(unit) != value) {
        return "it takes no directory of three levels";
    }
    iommu_unit_command(unit, IOMMU_FORGET_DEVICES, 0);
    iommu_unit_command(unit, IOMMU_FORGET_ADDRESSES, 0);
    return NULL;
}

/* By the cause: QEMU's type of transaction says `write` of a read, too (10.0). */
static const char *name_access(uint32_t cause)
{
    switch (cause) {
    case 5:
    case 13:
        return "read";
    case 7:
    case 15:
        return "write";
    default:
        return "use";
    }
}

/* An access that was refused. From CAUSE_OF_DEVICE on it has no page: the device may not. */
struct refusal {
    uint32_t cause;
    uint32_t device_id;
    uint64_t page;
};

static struct refusal read_fault(const volatile uint64_t *record)
{
    return (struct refusal){(uint32_t)record[0] & 0xfff, (uint32_t)(record[0] >> 40),
                            record[2] & ~(IOMMU_PAGE - 1)};
}

static bool is_same(const struct refusal *a, const struct refusal *b)
{
    return a->cause == b->cause && a->device_id == b->device_id && a->page == b->page;
}

static void print_refusal(const struct refusal *refusal, unsigned times)
{
    uint32_t id = refusal->device_id;

    printf("error: IOMMU: %02x:%02x.%u may not ", id >> 8, id >> 3 & 0x1f, id & 7);
    if (refusal->cause >= CAUSE_OF_DEVICE) {
        printf("use memory");
    } else {
        printf("%s the page at %#" PRIx64, name_access(refusal->cause), refusal->page);
    }
    if (refusal->page >= IOMMU_DEVICE_BASE) {
        printf(", memory %#" PRIx64, refusal->page - IOMMU_DEVICE_BASE);
    }
    printf(" (cause %" PRIu32 ", %u time%s)\n", refusal->cause, times, times == 1 ? "" : "s");
}

unsigned iommu_unit_print_faults(struct iommu_unit *unit)
{
    uint32_t tail = *find_register32(unit, FAULT_TAIL) % FAULTS;
    unsigned lines = 0;

    fence(i, r);
    while (unit->head != tail) {
        struct refusal first = read_fault(&unit->faults[(size_t)unit->head * FAULT_WORDS]);
        struct refusal next = first;
        unsigned times = 0;

        while (unit->head != tail && is_same(&first, &next)) {
            times++;
            unit->head = (unit->head + 1) % FAULTS;
            next = read_fault(&unit->faults[(size_t)unit->head * FAULT_WORDS]);
        }
        print_refusal(&first, times);
        lines++;
    }
    fence(r, o);
    *find_register32(unit, FAULT_HEAD) = tail;
    if ((*find_register32(unit, FAULT_CONTROL) & QUEUE_LOST) != 0) {
        printf("note: IOMMU: its queue had no place for more of them\n");
        *find_register32(unit, FAULT_CONTROL) = QUEUE_ENABLE | QUEUE_LOST;
    }
    return lines;
}
