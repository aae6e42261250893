// SPDX-License-Identifier: MIT
/*
 * Hot-plug slots. See pci_slot.h.
 */
#include "pci_slot.h"

#include <stdio.h>

#include "timer.h"

enum {
    CAPABILITY_EXPRESS = 0x10,
    SLOT_CAPABILITIES = 0x14, /* offsets inside the capability */
    SLOT_CONTROL = 0x18,
    SLOT_STATUS = 0x1a,
};

#define SLOT_POWER_CONTROLLER 0x0002u /* slot capabilities */
#define SLOT_INDICATOR 0x0300u        /* slot control: of the power */
#define SLOT_INDICATOR_ON 0x0100u
#define SLOT_INDICATOR_OFF 0x0300u
#define SLOT_POWER_OFF 0x0400u
#define SLOT_PRESSED 0x0001u /* slot status: a 1 clears it */
#define SLOT_OCCUPIED 0x0040u
#define ANSWER_WAIT_NS 1000000000ULL /* after the power was switched on */
#define NO_VENDOR 0xffffu
#define NOT_READY 0x0001u /* the vendor of a function that is not ready to be configured */

bool pci_slot_find(const struct pci_function *functions, unsigned count,
                   const struct pci_function *function, struct pci_slot *slot)
{
    for (unsigned i = 0; i < count; i++) {
        const struct pci_function *port = &functions[i];
        unsigned at;

        if (port->header_type != 1 ||
            pci_config_read8(port, PCI_BRIDGE_SECONDARY) != function->bus) {
            continue;
        }
        at = pci_find_capability(port, CAPABILITY_EXPRESS);
        if (at == 0 ||
            (pci_config_read32(port, at + SLOT_CAPABILITIES) & SLOT_POWER_CONTROLLER) == 0) {
            continue;
        }
        *slot = (struct pci_slot){port, at};
        return true;
    }
    return false;
}

static uint16_t read_status(const struct pci_slot *slot)
{
    return pci_config_read16(slot->port, slot->capability + SLOT_STATUS);
}

/* Both share 32 bits. Zeros leave the status alone. */
static void write_slot(const struct pci_slot *slot, uint32_t control, uint32_t status)
{
    pci_config_write32(slot->port, slot->capability + SLOT_CONTROL, status << 16 | control);
}

bool pci_slot_pressed(const struct pci_slot *slot)
{
    if ((read_status(slot) & SLOT_PRESSED) == 0) {
        return false;
    }
    write_slot(slot, pci_config_read16(slot->port, slot->capability + SLOT_CONTROL), SLOT_PRESSED);
    return true;
}

bool pci_slot_occupied(const struct pci_slot *slot)
{
    return (read_status(slot) & SLOT_OCCUPIED) != 0;
}

void pci_slot_switch(const struct pci_slot *slot, bool on)
{
    uint32_t control = pci_config_read16(slot->port, slot->capability + SLOT_CONTROL);

    control &= ~(SLOT_INDICATOR | SLOT_POWER_OFF);
    write_slot(slot, control | (on ? SLOT_INDICATOR_ON : SLOT_INDICATOR_OFF | SLOT_POWER_OFF), 0);
}

static bool wait_answer(const struct pci_function *function)
{
    uint64_t start_ns = time_now_ns();
    uint16_t vendor;

    do {
        vendor = pci_config_read16(function, PCI_VENDOR);
        if (vendor != NO_VENDOR && vendor != NOT_READY) {
            return true;
        }
    } while (time_now_ns() - start_ns < ANSWER_WAIT_NS);
    return false;
}

/* Writes the address of the predecessor's BAR. False: this one is another. */
static bool restore_bar(const struct pci_function *function, unsigned index,
                        const struct pci_bar *found)
{
    const struct pci_bar *bar = &function->bars[index];

    if (bar->size != 0) {
        if (found->size != bar->size || found->flags != bar->flags) {
            return false;
        }
        nvme_pci_write_bar(&function->at, index, bar->flags, bar->bus);
    } else if ((found->flags & NVME_PCI_BAR_IO) == 0) {
        /* There is no place for it. */
        nvme_pci_write_bar(&function->at, index, found->flags, UINT64_MAX);
    }
    return true;
}

bool pci_slot_take(const struct pci_function *function)
{
    const char *flaw = NULL;

    if (!wait_answer(function)) {
        flaw = "does not answer";
    } else if (!pci_take_over(function)) {
        flaw = "does not reach power state D0";
    }
    for (unsigned i = 0; i < PCI_BAR_COUNT && flaw == NULL; i++) {
        struct pci_bar found = pci_measure_bar(function, i, PCI_BAR_COUNT);

        if (!restore_bar(function, i, &found)) {
            flaw = "has other BARs than the one before; hint: a device of the same kind";
        }
        i += (found.flags & NVME_PCI_BAR_64) != 0;
    }
    if (flaw != NULL) {
        printf("note: pci %02x:%02x.%u: the device that is there now %s\n", function->bus,
               function->device, function->function, flaw);
    }
    return flaw == NULL;
}
