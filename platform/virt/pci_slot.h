// SPDX-License-Identifier: MIT
/*
 * Hot-plug slots of PCI Express ports: the button that asks for removal, the power, and a device
 * that takes the place of another. Nothing interrupts: programs look.
 * PCI Express 3.0 §6.7 (hot-plug), §7.8 (the capability).
 */
#ifndef HARTQ_PCI_SLOT_H
#define HARTQ_PCI_SLOT_H

#include <stdbool.h>

#include "pci.h"

/* A port with a power controller. */
struct pci_slot {
    const struct pci_function *port;
    unsigned capability; /* offset of its PCI Express capability */
};

/* The slot that leads to a function. False: it is in none that can be switched off. */
bool pci_slot_find(const struct pci_function *functions, unsigned count,
                   const struct pci_function *function, struct pci_slot *slot);

/* True once after each press of the button that asks for the removal of the device. */
bool pci_slot_pressed(const struct pci_slot *slot);

/* True if a device is there, with power or without. */
bool pci_slot_occupied(const struct pci_slot *slot);

/*
 * Switches the slot on or off. Without power the function's registers read as all ones. QEMU takes
 * a device away only then.
 */
void pci_slot_switch(const struct pci_slot *slot, bool on);

/*
 * Waits up to 1 s for a function that took the place of `function`, takes it over and gives it the
 * addresses of its predecessor. False: it does not answer, or it is another kind of device, and a
 * note was printed.
 */
bool pci_slot_take(const struct pci_function *function);

#endif
