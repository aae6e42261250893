// SPDX-License-Identifier: MIT
/*
 * The advanced platform-level interrupt controller in direct delivery: a domain of S-mode whose
 * sources the firmware has delegated to it. RISC-V Advanced Interrupt Architecture 1.0, sections
 * 4.5 (registers), 4.7 (pending bits) and 4.8.1 (interrupt delivery control, IDC).
 *
 * The pending bit of a level source is a copy of the level: a claim does not clear it, and a line
 * that stays high cannot be lost. QEMU (7.2 to 11.1, hw/intc/riscv_aplic.c) latches it: a rising
 * level sets it, a claim copies the level, a falling level leaves it. So a level source is claimed
 * after its handler. By the specification that has no effect; under QEMU it clears the latch with
 * the line. Claimed before, each interrupt would come twice. An edge source is claimed first, since
 * an edge during its handler is another interrupt.
 */
#include <stddef.h>

#include "fence.h"
#include "wired_internal.h"

enum {
    APLIC_DOMAINCFG = 0,
    APLIC_SOURCECFG = 0x0004, /* of source 1 */
    APLIC_SETIP = 0x1c00,
    APLIC_SETIENUM = 0x1edc,
    APLIC_CLRIE = 0x1f00,
    APLIC_CLRIENUM = 0x1fdc,
    APLIC_TARGET = 0x3004, /* of source 1 */
    APLIC_IDC = 0x4000,
    APLIC_IDC_STRIDE = 32,

    /* Words of an IDC. */
    IDC_DELIVERY = 0,
    IDC_FORCE = 1,
    IDC_THRESHOLD = 2,
    IDC_TOP = 6,
    IDC_CLAIM = 7,

    SOURCE_EDGE_RISING = 4,
    SOURCE_EDGE_FALLING = 5,
    SOURCE_LEVEL_HIGH = 6,
    SOURCE_LEVEL_LOW = 7,

    TARGET_HART_SHIFT = 18,
    TARGET_PRIORITY = 1,
    TOP_IDENTITY_SHIFT = 16,
};

#define DOMAINCFG_ENABLE 0x100u
#define DOMAINCFG_MESSAGES 0x4u
#define DOMAINCFG_BIG_ENDIAN 0x1u
#define TOP_IDENTITY_MASK 0x3ffu

static volatile uint32_t *of_source(const struct wired_controller *controller, uintptr_t registers,
                                    unsigned source)
{
    return wired_register(controller, registers + 4 * ((uintptr_t)source - 1));
}

static uint64_t aplic_extent(uint32_t context)
{
    return APLIC_IDC + ((uint64_t)context + 1) * APLIC_IDC_STRIDE;
}

/*
 * Makes all sources level sources early: QEMU 7.2 sets the pending bit of a high line when it
 * rises, not when the source becomes active.
 */
static const char *aplic_init(const struct wired_controller *controller)
{
    volatile uint32_t *domain = wired_register(controller, APLIC_DOMAINCFG);

    *domain = 0;
    for (unsigned word = 0; word <= controller->source_count / 32; word++) {
        *wired_register(controller, APLIC_CLRIE + 4 * (uintptr_t)word) = UINT32_MAX;
    }
    for (unsigned source = 1; source <= controller->source_count; source++) {
        *of_source(controller, APLIC_SOURCECFG, source) = SOURCE_LEVEL_HIGH;
    }
    *domain = DOMAINCFG_ENABLE;
    if ((*domain & (DOMAINCFG_ENABLE | DOMAINCFG_MESSAGES | DOMAINCFG_BIG_ENDIAN)) !=
        DOMAINCFG_ENABLE) {
        return "interrupts: an APLIC has no direct delivery, or is big-endian";
    }
    return NULL;
}

/* Delivers every priority and forces no interrupt. */
static volatile uint32_t *aplic_open(const struct wired_controller *controller, uint32_t context)
{
    volatile uint32_t *idc =
        wired_register(controller, APLIC_IDC + (uintptr_t)context * APLIC_IDC_STRIDE);

    idc[IDC_FORCE] = 0;
    idc[IDC_THRESHOLD] = 0;
    idc[IDC_DELIVERY] = 1;
    return idc;
}

static unsigned read_identity(const volatile uint32_t *place)
{
    unsigned source = *place >> TOP_IDENTITY_SHIFT & TOP_IDENTITY_MASK;

    fence(i, iorw); /* the handler's accesses come after the claim */
    return source;
}

static void call_handler(const struct wired_table *table, unsigned source)
{
    table->handlers[source].function(table->handlers[source].arg);
}

/*
 * Called by trap_entry.S. The claim may return another source than TOPI did; its handler runs too.
 */
static void aplic_interrupt(void)
{
    const volatile uint32_t *idc = hart_self()->interrupt_controller;
    const struct wired_table *table = hart_self()->interrupt_table;
    unsigned source = read_identity(&idc[IDC_TOP]);
    bool edge = (table->edges[source / 32] >> source % 32 & 1) != 0;
    unsigned claimed;

    if (!edge) {
        call_handler(table, source);
        fence(iorw, i);
    }
    claimed = read_identity(&idc[IDC_CLAIM]);
    if (edge || (claimed != source && claimed != 0)) {
        call_handler(table, claimed);
    }
}

/* A missing or unknown trigger means level, active high, as PCI interrupts are. */
static void aplic_configure(const struct wired_controller *controller, unsigned source,
                            uint32_t trigger)
{
    bool edge = trigger == MACHINE_TRIGGER_RISING || trigger == MACHINE_TRIGGER_FALLING;
    uint32_t mode = trigger == MACHINE_TRIGGER_LOW ? SOURCE_LEVEL_LOW : SOURCE_LEVEL_HIGH;

    if (edge) {
        mode = trigger == MACHINE_TRIGGER_RISING ? SOURCE_EDGE_RISING : SOURCE_EDGE_FALLING;
        controller->table->edges[source / 32] |= 1U << source % 32;
    } else {
        controller->table->edges[source / 32] &= ~(1U << source % 32);
    }
    *of_source(controller, APLIC_SOURCECFG, source) = mode;
}

static void aplic_disconnect(const struct wired_controller *controller, unsigned source)
{
    *wired_register(controller, APLIC_CLRIENUM) = source;
}

static void aplic_connect(const struct wired_controller *controller, unsigned source,
                          uint32_t context)
{
    *of_source(controller, APLIC_TARGET, source) = context << TARGET_HART_SHIFT | TARGET_PRIORITY;
    *wired_register(controller, APLIC_SETIENUM) = source;
}

const struct wired_kind aplic_kind = {
    .extent = aplic_extent,
    .init = aplic_init,
    .open = aplic_open,
    .interrupt = aplic_interrupt,
    .configure = aplic_configure,
    .connect = aplic_connect,
    .disconnect = aplic_disconnect,
    .pending = APLIC_SETIP,
};
