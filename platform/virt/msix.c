// SPDX-License-Identifier: MIT
#include "msix.h"

enum {
    CAPABILITY_MSIX = 0x11,
    TABLE = 4, /* offset inside the capability */
    ENTRY_WORDS = 4,
    ENTRY_ADDRESS_LOW = 0,
    ENTRY_ADDRESS_HIGH = 1,
    ENTRY_DATA = 2,
    ENTRY_CONTROL = 3,
};

/* The capability's first 32 bits: what is below the control is read only. */
#define CONTROL_ENABLE 0x80000000u
#define CONTROL_MASK_ALL 0x40000000u
#define CONTROL_SIZE 0x07ff0000u /* vectors - 1 */
#define TABLE_BAR 7u             /* the rest is the offset */
#define ENTRY_MASKED 1u

bool msix_enable(const struct pci_function *function, struct msix *msix)
{
    unsigned at = pci_find_capability(function, CAPABILITY_MSIX);
    const struct pci_bar *bar;
    struct msix found;
    uint32_t control, place;

    if (at == 0) {
        return false;
    }
    control = pci_config_read32(function, at);
    place = pci_config_read32(function, at + TABLE);
    if ((place & TABLE_BAR) >= PCI_BAR_COUNT) {
        return false;
    }
    bar = &function->bars[place & TABLE_BAR];
    place &= ~TABLE_BAR;
    found.vector_count = ((control & CONTROL_SIZE) >> 16) + 1;
    found.table = (volatile uint32_t *)(uintptr_t)(bar->base + place);
    if (place + (uint64_t)found.vector_count * ENTRY_WORDS * sizeof(uint32_t) > bar->size) {
        return false;
    }
    pci_config_write32(function, at, control | CONTROL_ENABLE | CONTROL_MASK_ALL);
    for (uint32_t vector = 0; vector < found.vector_count; vector++) {
        msix_mask(&found, vector, true);
    }
    (void)found.table[ENTRY_CONTROL]; /* pushes the masks, which may be posted */
    pci_config_write32(function, at, (control & ~CONTROL_MASK_ALL) | CONTROL_ENABLE);
    (void)pci_config_read32(function, at);
    *msix = found;
    return true;
}

void msix_disable(const struct pci_function *function)
{
    unsigned at = pci_find_capability(function, CAPABILITY_MSIX);

    if (at != 0) {
        pci_config_write32(function, at, pci_config_read32(function, at) & ~CONTROL_ENABLE);
        (void)pci_config_read32(function, at);
    }
}

void msix_set_message(const struct msix *msix, uint32_t vector, uint64_t address, uint32_t data)
{
    volatile uint32_t *entry = msix->table + (uint64_t)vector * ENTRY_WORDS;

    entry[ENTRY_ADDRESS_LOW] = (uint32_t)address;
    entry[ENTRY_ADDRESS_HIGH] = (uint32_t)(address >> 32);
    entry[ENTRY_DATA] = data;
}

void msix_mask(const struct msix *msix, uint32_t vector, bool masked)
{
    volatile uint32_t *control = msix->table + (uint64_t)vector * ENTRY_WORDS + ENTRY_CONTROL;

    *control = masked ? ENTRY_MASKED : 0;
}
