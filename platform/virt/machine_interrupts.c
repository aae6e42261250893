// SPDX-License-Identifier: MIT
/*
 * Interrupts in the device tree: the controllers, which harts they reach in S-mode, and what a
 * device's interrupt is. Devicetree Specification 0.4, section 2.4; the bindings of riscv,cpu-intc,
 * sifive,plic-1.0.0, riscv,aplic and riscv,imsics; the IEEE 1275 PCI bus binding, where a unit
 * address of three cells has the device in bits 15:11 of the first.
 *
 * What QEMU's `virt` has (trees of 7.2.22, 10.0.13 and 11.1.3):
 *   aia=          without          aplic                      aplic-imsic
 *   wires to      a PLIC           an APLIC for M-mode, one   the same, both without harts: they
 *                                  for S-mode below it        forward wires as messages
 *   S-mode files  none             none                       an IMSIC
 * Each socket has its own controllers, which reach only its harts. The IMSIC is one node with a reg
 * entry per socket. PCI is wired to the last socket, some other devices to the first.
 * Interrupts of an APLIC have a second cell, 4: level, active high. Those of the PLIC have none.
 */
#include <string.h>

#include "fdt_value.h"
#include "machine.h"
#include "machine_internal.h"

enum {
    CAUSE_S_SOFTWARE = 1,
    CAUSE_S_EXTERNAL = 9,
    PCI_ADDRESS_CELLS = 3,
    FILE_SHIFT = 12, /* an interrupt file is a page */
    GUEST_BITS_MAX = 7,
};

/*
 * ---- Controllers and harts --------------------------------------------------------------------
 */

/* The hart of the tree whose interrupt controller has this phandle, NULL if there is none. */
static struct machine_hart *hart_of_controller(const struct tree *tree, uint32_t phandle,
                                               struct machine *out)
{
    tree_node cpu = tree_parent(tree, tree_find_phandle(tree, phandle));
    uint64_t id;
    uint64_t size;

    if (!tree_reg(tree, cpu, 0, &id, &size)) {
        return NULL;
    }
    for (uint32_t i = 0; i < out->hart_count; i++) {
        if (out->harts[i].id == id) {
            return &out->harts[i];
        }
    }
    return NULL;
}

/*
 * interrupts-extended has pairs (a hart's controller, cause). *hart is the hart that pair n
 * interrupts with `cause`, or NULL. False after the last pair.
 */
static bool caused_hart(const struct tree *tree, const struct tree_property *pairs, uint32_t n,
                        uint32_t cause, struct machine *out, struct machine_hart **hart)
{
    uint32_t phandle;
    uint32_t found;

    if (!tree_cell(pairs, 2 * n, &phandle) || !tree_cell(pairs, 2 * n + 1, &found)) {
        return false;
    }
    *hart = found == cause ? hart_of_controller(tree, phandle, out) : NULL;
    return true;
}

/* The same for external interrupts of S-mode. */
static bool reached_hart(const struct tree *tree, const struct tree_property *pairs, uint32_t n,
                         struct machine *out, struct machine_hart **hart)
{
    return caused_hart(tree, pairs, n, CAUSE_S_EXTERNAL, out, hart);
}

/* True if the node's first pair is of S-mode, as all are then. */
static bool is_supervisor(const struct tree *tree, tree_node node)
{
    struct tree_property pairs;
    uint32_t cause;

    return tree_property_find(tree, node, "interrupts-extended", &pairs) &&
           tree_cell(&pairs, 1, &cause) && cause == CAUSE_S_EXTERNAL;
}

/* Notes the harts that a controller reaches. A hart that two of them reach takes the first. */
static void read_contexts(const struct tree *tree, tree_node node, struct machine *out)
{
    struct tree_property pairs;
    struct tree_property indexes = {NULL, NULL, 0};
    struct machine_hart *hart;

    if (!tree_property_find(tree, node, "interrupts-extended", &pairs)) {
        return;
    }
    tree_property_find(tree, node, "riscv,hart-indexes", &indexes);
    for (uint32_t n = 0; reached_hart(tree, &pairs, n, out, &hart); n++) {
        if (hart != NULL && hart->wired == MACHINE_NONE) {
            hart->wired = out->wired_count;
            hart->context = n;
            tree_cell(&indexes, n, &hart->context);
        }
    }
}

static const char *read_wired(const struct tree *tree, tree_node node, enum machine_wired_kind kind,
                              struct machine *out)
{
    const char *sources = kind == MACHINE_PLIC ? "riscv,ndev" : "riscv,num-sources";
    struct machine_wired *wired = &out->wired[out->wired_count];
    const char *error;

    if (out->wired_count == MACHINE_WIRED_LIMIT) {
        return "interrupts: more than 16 interrupt controllers";
    }
    *wired = (struct machine_wired){.kind = kind, .phandle = MACHINE_NONE};
    tree_read_u32(tree, node, "phandle", &wired->phandle);
    error = machine_read_device(tree, node, &wired->registers);
    if (error == NULL && !tree_read_u32(tree, node, sources, &wired->source_count)) {
        error = "interrupts: a PLIC without riscv,ndev or an APLIC without riscv,num-sources";
    }
    read_contexts(tree, node, out);
    out->wired_count++;
    return error;
}

/*
 * The address of file n: the reg entries follow one another, each with whole harts. The binding's
 * group bits describe the same addresses and are not needed.
 */
static uint64_t file_address(const struct tree *tree, tree_node node, uint64_t offset,
                             uint64_t file_bytes)
{
    uint64_t base;
    uint64_t size;

    for (unsigned i = 0; tree_reg(tree, node, i, &base, &size); i++) {
        if (offset < size) {
            base += offset;
            return machine_translate(tree, node, &base, file_bytes) ? base : 0;
        }
        offset -= size - size % file_bytes + (size % file_bytes != 0 ? file_bytes : 0);
    }
    return 0;
}

static const char *read_imsic(const struct tree *tree, tree_node node, struct machine *out)
{
    struct machine_span first;
    struct tree_property pairs;
    struct machine_hart *hart;
    uint32_t guest_bits = 0;
    const char *error = machine_read_device(tree, node, &first);

    if (error != NULL) {
        return error;
    }
    tree_read_u32(tree, node, "riscv,guest-index-bits", &guest_bits);
    if (!tree_read_u32(tree, node, "riscv,num-ids", &out->imsic_identities) ||
        out->imsic_identities < 2 || guest_bits > GUEST_BITS_MAX) {
        return "imsic: riscv,num-ids is below 2, or riscv,guest-index-bits above 7";
    }
    tree_property_find(tree, node, "interrupts-extended", &pairs);
    for (uint32_t n = 0; reached_hart(tree, &pairs, n, out, &hart); n++) {
        if (hart != NULL) {
            uint64_t file_bytes = UINT64_C(1) << (FILE_SHIFT + guest_bits);

            hart->imsic_file = file_address(tree, node, n * file_bytes, file_bytes);
        }
    }
    return NULL;
}

/* A register of 32 bits for each pair, in order. One that cannot be read leaves IPIs to SBI. */
static void read_sswi(const struct tree *tree, tree_node node, struct machine *out)
{
    struct machine_span span;
    struct tree_property pairs;
    struct machine_hart *hart;

    if (machine_read_device(tree, node, &span) != NULL ||
        !tree_property_find(tree, node, "interrupts-extended", &pairs)) {
        return;
    }
    for (uint32_t n = 0; caused_hart(tree, &pairs, n, CAUSE_S_SOFTWARE, out, &hart); n++) {
        if (hart != NULL && 4 * (uint64_t)n + 4 <= span.size) {
            hart->ipi_register = span.base + 4 * (uint64_t)n;
        }
    }
}

const char *machine_read_controllers(const struct tree *tree, struct machine *out)
{
    tree_node node = tree_root(tree);
    const char *error = NULL;

    for (; error == NULL && node != TREE_NONE; node = tree_next(tree, node)) {
        if (tree_read_string(tree, node, "compatible") == NULL || !tree_enabled(tree, node)) {
            continue;
        }
        if (tree_has_string(tree, node, "compatible", "sifive,plic-1.0.0") ||
            tree_has_string(tree, node, "compatible", "riscv,plic0")) {
            error = read_wired(tree, node, MACHINE_PLIC, out);
        } else if (tree_has_string(tree, node, "compatible", "riscv,aplic") &&
                   is_supervisor(tree, node)) {
            error = read_wired(tree, node, MACHINE_APLIC, out);
        } else if (tree_has_string(tree, node, "compatible", "riscv,imsics") &&
                   is_supervisor(tree, node)) {
            error = read_imsic(tree, node, out);
        } else if (tree_has_string(tree, node, "compatible", "riscv,aclint-sswi")) {
            read_sswi(tree, node, out);
        }
    }
    return error;
}

/*
 * ---- Interrupts of devices --------------------------------------------------------------------
 */

/* The interrupt whose specifier begins at a cell of a property. False: it ends early. */
static bool read_specifier(const struct tree_property *property, uint32_t at, uint32_t cells,
                           uint32_t phandle, const struct machine *machine,
                           struct machine_interrupt *out)
{
    *out = (struct machine_interrupt){.wired = MACHINE_NONE};
    for (uint32_t i = 0; i < machine->wired_count; i++) {
        if (machine->wired[i].phandle == phandle) {
            out->wired = i;
        }
    }
    return tree_cell(property, at, &out->source) &&
           (cells < 2 || tree_cell(property, at + 1, &out->trigger));
}

struct machine_interrupt machine_read_interrupt(const struct tree *tree, tree_node node,
                                                const struct machine *machine)
{
    struct machine_interrupt found = {.wired = MACHINE_NONE};
    struct tree_property property;
    uint32_t phandle = MACHINE_NONE;
    uint32_t cells = 1;
    uint32_t at = 0;
    tree_node parent = node;

    if (tree_property_find(tree, node, "interrupts-extended", &property)) {
        at = 1;
        tree_cell(&property, 0, &phandle);
    } else if (!tree_property_find(tree, node, "interrupts", &property)) {
        return found;
    }
    for (unsigned depth = 0; at == 0 && parent != TREE_NONE && depth < TREE_DEPTH_LIMIT &&
                             !tree_read_u32(tree, parent, "interrupt-parent", &phandle);
         depth++) {
        parent = tree_parent(tree, parent);
    }
    tree_read_u32(tree, tree_find_phandle(tree, phandle), "#interrupt-cells", &cells);
    if (!read_specifier(&property, at, cells, phandle, machine, &found)) {
        found = (struct machine_interrupt){.wired = MACHINE_NONE};
    }
    return found;
}

/*
 * interrupt-map: (PCI address 3 cells, pin, controller, the controller's own address and interrupt
 * cells).
 */
const char *machine_read_interrupt_map(const struct tree *tree, tree_node node,
                                       const struct machine *machine, struct machine_pci *out)
{
    struct tree_property map;
    struct tree_property mask;
    uint32_t next = 0;

    if (!tree_property_find(tree, node, "interrupt-map", &map)) {
        return NULL;
    }
    if (!tree_property_find(tree, node, "interrupt-map-mask", &mask) ||
        !tree_cell(&mask, 0, &out->mask_address) ||
        !tree_cell(&mask, PCI_ADDRESS_CELLS, &out->mask_pin)) {
        return "pci: interrupt-map without interrupt-map-mask";
    }
    while (next < map.size_bytes / 4) {
        struct machine_pci_route route;
        uint32_t phandle;
        uint32_t address_cells = 0;
        uint32_t interrupt_cells;
        tree_node controller;

        if (!tree_cell(&map, next, &route.address) ||
            !tree_cell(&map, next + PCI_ADDRESS_CELLS, &route.pin) ||
            !tree_cell(&map, next + PCI_ADDRESS_CELLS + 1, &phandle)) {
            return "pci: interrupt-map ends inside an entry";
        }
        controller = tree_find_phandle(tree, phandle);
        tree_read_u32(tree, controller, "#address-cells", &address_cells);
        if (!tree_read_u32(tree, controller, "#interrupt-cells", &interrupt_cells) ||
            address_cells > 3 || interrupt_cells == 0 || interrupt_cells > 3 ||
            out->route_count == MACHINE_INTERRUPT_LIMIT) {
            return "pci: interrupt-map names no controller, or has more than 64 entries";
        }
        next += PCI_ADDRESS_CELLS + 2 + address_cells;
        if (!read_specifier(&map, next, interrupt_cells, phandle, machine, &route.interrupt)) {
            return "pci: interrupt-map ends inside an entry";
        }
        next += interrupt_cells;
        out->routes[out->route_count] = route;
        out->route_count++;
    }
    return NULL;
}

struct machine_interrupt machine_pci_interrupt(const struct machine_pci *pci, uint32_t device,
                                               uint32_t pin)
{
    uint32_t address = (device << 11) & pci->mask_address;

    for (uint32_t i = 0; i < pci->route_count; i++) {
        const struct machine_pci_route *route = &pci->routes[i];

        if ((route->address & pci->mask_address) == address &&
            (route->pin & pci->mask_pin) == (pin & pci->mask_pin)) {
            return route->interrupt;
        }
    }
    return (struct machine_interrupt){.wired = MACHINE_NONE};
}
