// SPDX-License-Identifier: MIT
/*
 * platform/virt/machine_interrupts.c: whose a wire is, and which harts are reached, in trees that
 * dtc makes; QEMU's own are in test_machine.c.
 */
#include "blob.h"
#include "fixture.h"
#include "machine.h"

#define CPU(number)                                                                                \
    "cpu@" #number " { device_type = \"cpu\"; reg = <" #number ">; i" #number                      \
    ": interrupt-controller { #interrupt-cells = <1>; }; };"
#define ROOT(body)                                                                                 \
    "/dts-v1/; / { #address-cells = <2>; #size-cells = <2>;"                                       \
    "memory@80000000 { device_type = \"memory\"; reg = <0 0x80000000 0 0x10000000>; };"            \
    "cpus { #address-cells = <1>; #size-cells = <0>; timebase-frequency = <1>;" CPU(0) CPU(1)      \
        CPU(2) "};" body " };"
#define PLIC(name, at, harts)                                                                      \
#name ": plic@" #at " { compatible = \"sifive,plic-1.0.0\"; reg = <0 0x" #at " 0 0x600000>;"   \
          "riscv,ndev = <96>; #interrupt-cells = <1>; #address-cells = <0>;"                       \
          "interrupts-extended = " harts "; };"
#define APLIC(name, at, targets)                                                                   \
#name ": aplic@" #at " { compatible = \"riscv,aplic\"; reg = <0 0x" #at " 0 0x8000>;"          \
          "riscv,num-sources = <96>; #interrupt-cells = <2>; #address-cells = <0>; " targets " };"
#define PCI(map)                                                                                   \
    "pci@30000000 { compatible = \"pci-host-ecam-generic\"; #address-cells = <3>;"                 \
    "#size-cells = <2>; #interrupt-cells = <1>; reg = <0 0x30000000 0 0x10000000>;"                \
    "ranges = <0x2000000 0 0x40000000 0 0x40000000 0 0x40000000>;"                                 \
    "interrupt-map-mask = <0xf800 0 0 7>; interrupt-map = <" map ">; };"
#define IMSIC "imsic: imsics@28000000 { compatible = \"riscv,imsics\"; riscv,num-ids = <255>; "

/* ---- Lines of PCI --------------------------------------------------------------------------- */

struct line_case {
    const char *name;
    const char *source;
    struct machine_interrupt right; /* of INTA of device 1 */
};

static const struct line_case line_cases[] = {
    {"one_plic", ROOT(PLIC(p, c000000, "<&i0 9>, <&i1 9>") PCI("0x800 0 0 1 &p 33")), {0, 33, 0}},
    {"second_of_two_plics",
     ROOT(PLIC(p, c000000, "<&i0 9>") PLIC(q, d000000, "<&i1 9>") PCI("0x800 0 0 1 &q 33")),
     {1, 33, 0}},
    {"both_plics_the_entry_decides",
     ROOT(PLIC(p, c000000, "<&i0 9>") PLIC(q, d000000, "<&i1 9>")
              PCI("0x1000 0 0 1 &q 34 0x800 0 0 1 &p 33")),
     {0, 33, 0}},
    {"controller_of_another_kind",
     ROOT(PLIC(p, c000000, "<&i0 9>") "x: intc@e000000 { compatible = \"vendor,intc\"; "
                                      "reg = <0 0xe000000 0 0x1000>; #interrupt-cells = <1>; "
                                      "#address-cells = <0>; };" PCI("0x800 0 0 1 &x 33")),
     {MACHINE_NONE, 33, 0}},
    {"plic_that_is_off",
     ROOT("p: plic@c000000 { compatible = \"sifive,plic-1.0.0\"; status = \"disabled\";"
          "reg = <0 0xc000000 0 0x600000>; riscv,ndev = <96>; #interrupt-cells = <1>;"
          "#address-cells = <0>; interrupts-extended = <&i0 9>; };" PCI("0x800 0 0 1 &p 33")),
     {MACHINE_NONE, 33, 0}},
    {"aplic_of_two_cells",
     ROOT(APLIC(a, d000000, "interrupts-extended = <&i0 9>;") PCI("0x800 0 0 1 &a 33 4")),
     {0, 33, MACHINE_TRIGGER_HIGH}},
    {"aplic_that_makes_messages_of_wires",
     ROOT(IMSIC "reg = <0 0x28000000 0 0x3000>; interrupts-extended = <&i0 9>; };" APLIC(
         a, d000000, "msi-parent = <&imsic>;") PCI("0x800 0 0 1 &a 33 4")),
     {MACHINE_NONE, 33, MACHINE_TRIGGER_HIGH}},
    {"aplic_of_machine_mode_has_no_harts_of_ours",
     ROOT(APLIC(m, c000000, "interrupts-extended = <&i0 11>;")
              APLIC(s, d000000, "interrupts-extended = <&i0 9>;") PCI("0x800 0 0 1 &m 33 4")),
     {MACHINE_NONE, 33, MACHINE_TRIGGER_HIGH}},
};

static void line_is_of_the_controller_that_the_map_names(void **state)
{
    const struct line_case *this = *state;
    struct blob blob = blob_compile(this->source);
    static struct machine machine;
    struct machine_interrupt irq;

    assert_null(machine_read(blob.bytes, blob.size, &machine));
    assert_int_equal(machine.pci_count, 1);
    irq = machine_pci_interrupt(&machine.pci[0], 1, 1);
    assert_int_equal(irq.wired, this->right.wired);
    assert_int_equal(irq.source, this->right.source);
    assert_int_equal(irq.trigger, this->right.trigger);
    irq = machine_pci_interrupt(&machine.pci[0], 1, 2);
    assert_int_equal(irq.wired, MACHINE_NONE);
    assert_int_equal(irq.source, 0);
    blob_free(&blob);
}

/* ---- Harts ---------------------------------------------------------------------------------- */

/* Pairs of M-mode, and those behind the registers, have none. */
static void aclint_has_an_ipi_register_for_each_pair(void **state)
{
    struct blob blob = blob_compile(
        ROOT("sswi@2f00000 { compatible = \"riscv,aclint-sswi\"; reg = <0 0x2f00000 0 0xc>;"
             "interrupts-extended = <&i1 1>, <&i2 3>, <&i0 1>, <&i2 1>; };"));
    static struct machine machine;

    (void)state;
    assert_null(machine_read(blob.bytes, blob.size, &machine));
    assert_int_equal(machine.harts[0].ipi_register, 0x2f00008);
    assert_int_equal(machine.harts[1].ipi_register, 0x2f00000);
    assert_int_equal(machine.harts[2].ipi_register, 0);
    blob_free(&blob);
}

static void hart_that_no_controller_reaches_has_none(void **state)
{
    struct blob blob = blob_compile(
        ROOT(PLIC(p, c000000, "<&i2 11>, <&i2 9>, <&i0 11>") APLIC(a, d000000,
                                                                   "interrupts-extended = <&i1 9>; "
                                                                   "riscv,hart-indexes = <6>;")));
    static struct machine machine;

    (void)state;
    assert_null(machine_read(blob.bytes, blob.size, &machine));
    assert_int_equal(machine.wired_count, 2);
    assert_int_equal(machine.harts[0].wired, MACHINE_NONE); /* M-mode alone */
    assert_int_equal(machine.harts[1].wired, 1);
    assert_int_equal(machine.harts[1].context, 6);
    assert_int_equal(machine.harts[2].wired, 0);
    assert_int_equal(machine.harts[2].context, 1);
    blob_free(&blob);
}

static void interrupt_files_of_two_groups_follow_their_registers(void **state)
{
    struct blob blob = blob_compile(
        ROOT(IMSIC "reg = <0 0x28000000 0 0x1000>, <0 0x29000000 0 0x1000>;"
                   "interrupts-extended = <&i0 9>, <&i2 9>; riscv,group-index-bits = <1>;"
                   "riscv,group-index-shift = <24>; };"));
    static struct machine machine;

    (void)state;
    assert_null(machine_read(blob.bytes, blob.size, &machine));
    assert_int_equal(machine.imsic_identities, 255);
    assert_int_equal(machine.harts[0].imsic_file, 0x28000000);
    assert_int_equal(machine.harts[1].imsic_file, 0);
    assert_int_equal(machine.harts[2].imsic_file, 0x29000000);
    blob_free(&blob);
}

int main(void)
{
    struct CMUnitTest tests[3 + COUNT_OF(line_cases)] = {
        cmocka_unit_test(aclint_has_an_ipi_register_for_each_pair),
        cmocka_unit_test(hart_that_no_controller_reaches_has_none),
        cmocka_unit_test(interrupt_files_of_two_groups_follow_their_registers),
    };
    size_t count = 3;

    ADD_CASES(tests, &count, line_is_of_the_controller_that_the_map_names, line_cases);
    return fixture_run("machine_interrupts", tests, count);
}
