// SPDX-License-Identifier: MIT
/*
 * PCI, MSI-X and the IOMMU of a machine whose functions are the models: nothing is found, all of it
 * is known. See devices.h and the headers of platform/virt/.
 */
#include "devices.h"

#include "bus.h"
#include "dma.h"
#include "harts.h"
#include "iommu.h"
#include "msix.h"
#include "pci_slot.h"
#include "profile.h"
#include "start.h"

enum { VECTORS = 65, FIRST_SOURCE = 1, FIRST_SLOT = 1 };

struct device devices[WORLD_MODELS_MAX];
uint32_t device_count;

static struct machine the_machine;

void devices_init(void)
{
    const struct profile *profile = &the_profile;
    uint64_t blocks = (profile->namespace_mib << 20) >> profile->block_shift;

    world_reset();
    world.coherent = true;
    device_count = (uint32_t)profile->controllers;
    the_machine.timebase_hz = 1000000000;
    the_machine.hart_count = (uint32_t)profile->harts;
    the_machine.dma_coherent = true;
    for (uint32_t i = 0; i < device_count; i++) {
        struct model *model = model_new_bare();
        struct model_timing timing = profile->timing;

        timing.seed += i;
        model_set_empty_namespace(model, 1, (uint8_t)profile->block_shift, blocks);
        model_set_timing(model, &timing);
        model->namespaces[0].nmic = 1;
        model->cmic = 2;
        model->cntlid = (uint16_t)(i + 1);
        model->posted = profile->posted_ns != 0;
        model->ids_repeat = true;
        model->message = device_message;
        model->line = &devices[i].line;
        devices[i].model = model;
        devices[i].line_hart = HART_LIMIT;
        devices[i].vector_count = VECTORS;
        devices[i].line.kind = profile->edges ? MODEL_LINE_EDGE : MODEL_LINE_LEVEL;
        devices[i].line.raised = device_raised;
    }
}

const struct machine *machine_get(void)
{
    return &the_machine;
}

/* ---- PCI ---------------------------------------------------------------------------------- */

static struct model *model_of(const struct nvme_pci_function *function)
{
    return devices[(function->place >> 3) - FIRST_SLOT].model;
}

unsigned pci_scan(const struct machine *machine, struct pci_function *functions, unsigned capacity)
{
    (void)machine;
    for (uint32_t i = 0; i < device_count && i < capacity; i++) {
        functions[i] = (struct pci_function){
            .device = (uint8_t)(FIRST_SLOT + i),
            .at.place = (FIRST_SLOT + i) << 3,
            .vendor = 0x1b36,
            .class_code = PCI_CLASS_NVME,
            .bars[0] = {.base = (uintptr_t)devices[i].model->bar,
                        .size = devices[i].model->bar_bytes},
            .irq = {.source = FIRST_SOURCE + i, .trigger = MACHINE_TRIGGER_HIGH},
        };
    }
    return device_count;
}

void nvme_pci_decode(const struct nvme_pci_function *function)
{
    (void)function;
}

void nvme_pci_enable(const struct nvme_pci_function *function)
{
    model_allow_dma(model_of(function));
}

void nvme_pci_disable(const struct nvme_pci_function *function)
{
    model_of(function)->bus_master = false;
}

/* No device leaves its slot but by its registers. */
bool pci_slot_take(const struct pci_function *function)
{
    return !model_of(&function->at)->gone;
}

uint32_t nvme_pci_read32(const struct nvme_pci_function *function, unsigned offset)
{
    bool asserted;

    hart_delay(the_profile.read_ns);
    bus_enter();
    asserted = offset == PCI_COMMAND && model_level_read(model_of(function));
    return asserted ? PCI_STATUS_INTERRUPT << 16 : 0;
}

void nvme_pci_write32(const struct nvme_pci_function *function, unsigned offset, uint32_t value)
{
    (void)function;
    (void)offset;
    (void)value;
}

bool iommu_open(const struct machine *machine, const struct pci_function *functions, unsigned count)
{
    (void)machine;
    (void)functions;
    (void)count;
    return true;
}

const char *iommu_hint(const struct machine *machine, const struct pci_function *functions,
                       unsigned count)
{
    (void)machine;
    (void)functions;
    (void)count;
    return "";
}

unsigned iommu_print_faults(void)
{
    return 0;
}

bool dma_map_pages(const void *pointer, size_t size, bool written)
{
    (void)pointer;
    (void)size;
    (void)written;
    return true;
}

void dma_unmap_pages(const void *pointer, size_t size, bool written)
{
    (void)pointer;
    (void)size;
    (void)written;
}

/* ---- MSI-X: the table is the device's place ----------------------------------------------- */

static struct device *device_of(const struct msix *msix)
{
    return (struct device *)(uintptr_t)msix->table;
}

bool msix_enable(const struct pci_function *function, struct msix *msix)
{
    struct device *device = &devices[function->device - FIRST_SLOT];

    device->model->msix = true;
    for (uint32_t vector = 0; vector < VECTORS; vector++) {
        device->model->vectors[vector] = (struct model_vector){.masked = true};
    }
    msix->table = (volatile uint32_t *)(uintptr_t)device;
    msix->vector_count = device->vector_count;
    return true;
}

void msix_disable(const struct pci_function *function)
{
    model_of(&function->at)->msix = false;
}

void msix_set_message(const struct msix *msix, uint32_t vector, uint64_t address, uint32_t data)
{
    device_of(msix)->messages[vector].hart = (uint32_t)address;
    device_of(msix)->messages[vector].identity = data;
}

void msix_mask(const struct msix *msix, uint32_t vector, bool masked)
{
    hart_delay(the_profile.write_ns);
    bus_enter();
    model_vector_mask(device_of(msix)->model, (uint16_t)vector, masked);
    bus_deliver(device_of(msix)->model);
}
