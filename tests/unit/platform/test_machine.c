// SPDX-License-Identifier: MIT
/*
 * platform/virt/machine*.c: what is read from trees of QEMU and of machines that QEMU has not.
 */
#include <stdlib.h>

#include <libfdt.h>

#include "blob.h"
#include "fixture.h"
#include "machine.h"

/* Harts 0, 2 and 5 and one that is off; a PLIC whose contexts skip; memory in two pieces. */
#define CPU(id, state)                                                                             \
    "cpu@" #id " { device_type = \"cpu\"; reg = <" #id "> ; status = \"" state "\"; i" #id         \
    ": interrupt-controller { #interrupt-cells = <1>; }; };"

static const char gaps[] =
    "/dts-v1/; /memreserve/ 0x90000000 0x1000;"
    "/ { #address-cells = <2>; #size-cells = <2>;"
    "chosen { bootargs = \"a=1 b=2\"; stdout-path = \"/soc/serial@20\"; };"
    "memory@80000000 { device_type = \"memory\"; reg = <0 0x80000000 0 0x10000000>; };"
    "memory@100000000 { device_type = \"memory\"; reg = <1 0 0 0x1000>; };"
    "reserved-memory { #address-cells = <2>; #size-cells = <2>; ranges;"
    "  fw@80000000 { reg = <0 0x80000000 0 0x80000>; }; };"
    "cpus { #address-cells = <1>; #size-cells = <0>; timebase-frequency = <10000000>;" //
    CPU(0, "okay") CPU(2, "okay") CPU(3, "disabled") CPU(
        5, "okay") "};"
                   "soc { #address-cells = <2>; #size-cells = <2>; ranges;"
                   "  serial@10 { compatible = \"ns16550a\"; reg = <0 0x10 0 0x100>; };"
                   "  serial@20 { compatible = \"ns16550a\"; reg = <0 0x20 0 0x100>; reg-shift = "
                   "<2>; };"
                   "  plic@c000000 { compatible = \"sifive,plic-1.0.0\"; reg = <0 0xc000000 0 "
                   "0x600000>;"
                   "    riscv,ndev = <96>; phandle = <0x99>; #interrupt-cells = <1>; "
                   "#address-cells = <0>;"
                   "    interrupts-extended = <&i5 11>, <&i5 9>, <&i3 9>, <&i0 0xffffffff>, <&i2 "
                   "9>, <&i0 9>; };"
                   "  test@100000 { compatible = \"sifive,test0\"; reg = <0 0x100000 0 0x1000>; };"
                   "  };"
                   "};";

static void harts_with_gaps_get_the_contexts_that_the_tree_gives_them(void **state)
{
    struct blob blob = blob_compile(gaps);
    struct machine machine;

    (void)state;
    assert_null(machine_read(blob.bytes, blob.size, &machine));
    assert_int_equal(machine.hart_count, 3);
    assert_int_equal(machine.harts[0].id, 0);
    assert_int_equal(machine.harts[0].context, 5);
    assert_int_equal(machine.harts[1].id, 2);
    assert_int_equal(machine.harts[1].context, 4);
    assert_int_equal(machine.harts[2].id, 5);
    assert_int_equal(machine.harts[2].context, 1);
    assert_int_equal(machine.harts[2].wired, 0);
    assert_int_equal(machine.harts[2].imsic_file, 0);
    assert_int_equal(machine.timebase_hz, 10000000);
    assert_string_equal(machine.bootargs, "a=1 b=2");
    assert_int_equal(machine.uart.base, 0x20);
    assert_int_equal(machine.uart_shift, 2);
    assert_int_equal(machine.test.base, 0x100000);
    assert_int_equal(machine.wired_count, 1);
    assert_int_equal(machine.wired[0].kind, MACHINE_PLIC);
    assert_int_equal(machine.wired[0].source_count, 96);
    assert_int_equal(machine.memory_count, 2);
    assert_int_equal(machine.memory[1].base, UINT64_C(0x100000000));
    assert_int_equal(machine.reserved_count, 3); /* the blob, /memreserve/, /reserved-memory */
    assert_int_equal(machine.pci_count, 0);
    blob_free(&blob);
}

struct free_case {
    const char *name;
    uint64_t image_end;
    uint64_t base;
    uint64_t size;
};

static const struct free_case free_cases[] = {
    {"behind_a_reserved_page_if_that_is_more", 0x80200000, 0x80301000, 0xfcff000},
    {"behind_the_last_reserved_page", 0x80400000, 0x80400000, 0xfc00000},
    {"last_page", 0x8ffff000, 0x8ffff000, 0x1000},
    {"end_of_memory", 0x90000000, 0x90000000, 0},
    {"outside_of_memory", 0x70000000, 0x70000000, 0},
    {"inside_what_is_reserved", 0x80001000, 0x80301000, 0xfcff000},
    {"in_the_second_piece", 0x100000800, 0x100000800, 0x800},
};

static void free_memory_is_the_largest_span_behind_the_image(void **state)
{
    const struct free_case *this = *state;
    struct machine machine = {
        .memory = {{0x80000000, 0x10000000}, {0x100000000, 0x1000}},
        .memory_count = 2,
        .reserved = {{0x80000000, 0x80000}, {0x90000000, 0x1000}, {0x80300000, 0x1000}},
        .reserved_count = 3,
    };
    struct machine_span span = machine_free_memory(&machine, this->image_end);

    assert_int_equal(span.size, this->size);
    if (this->size != 0) {
        assert_int_equal(span.base, this->base);
    }
}

/* ---- QEMU's own trees ------------------------------------------------------------------- */

/* Interrupts of a machine, by its `aia=`. */
enum virt_kind { PLIC, APLIC, IMSIC };

struct virt_case {
    const char *name;
    const char *machine;
    const char *options;
    uint32_t harts;
    uint64_t memory;
    enum virt_kind kind;
    uint32_t sockets;
};

#define TWO_NODES                                                                                  \
    "-smp 4 -m 256 -object memory-backend-ram,id=a,size=64M "                                      \
    "-object memory-backend-ram,id=b,size=192M -numa node,cpus=0,memdev=a "                        \
    "-numa node,cpus=1-3,memdev=b"

static const struct virt_case virt_cases[] = {
    {"virt_of_one_hart", "virt", "-smp 1 -m 128", 1, 128, PLIC, 1},
    {"virt_of_eight_harts", "virt", "-smp 8 -m 512", 8, 512, PLIC, 1},
    {"virt_with_aplic", "virt,aia=aplic", "-smp 4 -m 256", 4, 256, APLIC, 1},
    {"virt_with_imsic", "virt,aia=aplic-imsic", "-smp 4 -m 256", 4, 256, IMSIC, 1},
    {"virt_of_two_sockets", "virt", TWO_NODES, 4, 256, PLIC, 2},
    {"virt_of_two_sockets_with_aplic", "virt,aia=aplic", TWO_NODES, 4, 256, APLIC, 2},
    {"virt_of_two_sockets_with_imsic", "virt,aia=aplic-imsic", TWO_NODES, 4, 256, IMSIC, 2},
};

/* The first socket has hart 0, or all; controllers come in any order. */
static void check_hart(const struct machine *machine, const struct machine_hart *hart,
                       const struct virt_case *this)
{
    uint64_t first = this->sockets == 2 && hart->id != 0 ? 1 : 0;
    uint64_t number = hart->id - first;
    uint64_t socket = first;

    if (this->kind == IMSIC) {
        assert_int_equal(hart->wired, MACHINE_NONE);
        assert_int_equal(hart->imsic_file, 0x28000000 + (socket << 24) + (number << 12));
        return;
    }
    assert_int_equal(hart->imsic_file, 0);
    assert_true(hart->wired < machine->wired_count);
    assert_int_equal(hart->context, this->kind == PLIC ? 2 * number + 1 : number);
    assert_int_equal(machine->wired[hart->wired].kind,
                     this->kind == PLIC ? MACHINE_PLIC : MACHINE_APLIC);
    assert_int_equal(machine->wired[hart->wired].registers.base, this->kind == PLIC
                                                                     ? 0xc000000 + socket * 0x600000
                                                                     : 0xd000000 + socket * 0x8000);
}

/* PCI goes to the second socket's controller if there is one, the console to the first's. */
static void check_wires(const struct machine *machine, const struct virt_case *this)
{
    uint32_t of_pci = machine->harts[machine->hart_count - 1].wired;
    uint32_t trigger = this->kind == PLIC ? MACHINE_TRIGGER_UNSAID : MACHINE_TRIGGER_HIGH;

    for (uint32_t i = 0; i < machine->hart_count; i++) {
        of_pci = machine->harts[i].id == 3 ? machine->harts[i].wired : of_pci;
    }
    for (uint32_t device = 0; device < 32; device++) {
        for (uint32_t pin = 1; pin <= 4; pin++) {
            struct machine_interrupt irq = machine_pci_interrupt(&machine->pci[0], device, pin);

            assert_int_equal(irq.wired, of_pci);
            assert_int_equal(irq.source, 32 + (device + pin - 1) % 4);
            assert_int_equal(irq.trigger, trigger);
        }
    }
    assert_int_equal(machine->uart_interrupt.source, 10);
    if (this->kind != IMSIC) {
        assert_int_equal(machine->uart_interrupt.wired == of_pci, this->sockets == 1);
    }
}

static void virt_is_read_as_qemu_documents_it(void **state)
{
    const struct virt_case *this = *state;
    struct blob blob = blob_qemu(this->machine, this->options);
    struct machine machine;

    if (blob.bytes == NULL) {
        print_message("no QEMU that gives a tree for %s: skipped\n", this->machine);
        skip();
    }
    assert_null(machine_read(blob.bytes, blob.size, &machine));
    assert_int_equal(machine.hart_count, this->harts);
    assert_int_equal(machine.memory_count, 1);
    assert_int_equal(machine.memory[0].size, this->memory << 20);
    assert_int_equal(machine.timebase_hz, 10000000);
    assert_int_equal(machine.wired_count, this->kind == IMSIC ? 0 : this->sockets);
    assert_int_equal(machine.imsic_identities, this->kind == IMSIC ? 255 : 0);
    for (uint32_t i = 0; i < this->harts; i++) {
        check_hart(&machine, &machine.harts[i], this);
    }
    check_wires(&machine, this);
    assert_int_equal(machine.pci_count, 1);
    assert_null(machine.pci_error);
    assert_true(machine.pci[0].window32.size != 0 && machine.pci[0].window64.size != 0);
    assert_true(machine.test.size != 0 && machine.uart.size != 0);
    blob_free(&blob);
}

/* ---- Trees that are wrong --------------------------------------------------------------- */

struct wrong_case {
    const char *name;
    const char *source;
    const char *error; /* a part of it */
};

#define MEMORY "memory@0 { device_type = \"memory\"; reg = <0 0 1 0>; };"
#define CPUS                                                                                       \
    "cpus { #address-cells = <1>; #size-cells = <0>; timebase-frequency = <1>; c@0 { device_type " \
    "= \"cpu\"; reg = <0>; }; };"
#define ROOT(body) "/dts-v1/; / { #address-cells = <2>; #size-cells = <2>; " body " };"
static const struct wrong_case wrong_cases[] = {
    {"no_memory", ROOT(CPUS), "memory"},
    {"memory_that_is_off",
     ROOT("memory@0 { device_type = \"memory\"; reg = <0 0 1 0>; "
          "status = \"disabled\"; };" CPUS),
     "memory"},
    {"memory_beyond_the_address_space",
     ROOT("memory@0 { device_type = \"memory\"; reg = <0xffffffff 0 2 0>; };" CPUS), "memory"},
    {"no_harts", ROOT(MEMORY), "harts"},
    {"hart_without_reg",
     ROOT(MEMORY "cpus { timebase-frequency = <1>; c { device_type = \"cpu\"; }; };"), "harts"},
    {"no_timebase",
     ROOT(MEMORY "cpus { #address-cells = <1>; #size-cells = <0>; c@0 { "
                 "device_type = \"cpu\"; reg = <0>; }; };"),
     "timebase"},
    {"device_outside_of_what_its_bus_passes_on",
     ROOT(MEMORY CPUS "b { #address-cells = <2>; #size-cells = <2>; ranges = <0 0 1 0 0 255>; "
                      "u@0 { compatible = \"ns16550a\"; reg = <0 0 0 256>; }; };"),
     "ranges"},
    {"ranges_that_end_early",
     ROOT(MEMORY CPUS "b { #address-cells = <2>; #size-cells = <2>; ranges = <0 0 1 0 0>; "
                      "u@0 { compatible = \"ns16550a\"; reg = <0 0 0 256>; }; };"),
     "ranges"},
    {"reserved_beyond_the_address_space",
     "/dts-v1/; /memreserve/ 0xffffffffffffff00 0x200; / { #address-cells = <2>; "
     "#size-cells = <2>;" MEMORY CPUS "};",
     "reserved"},
    {"device_without_reg", ROOT(MEMORY CPUS "u { compatible = \"ns16550a\"; };"), "reg"},
    {"reg_shift_above_3",
     ROOT(MEMORY CPUS "u@0 { compatible = \"ns16550a\"; reg = <0 0 0 256>; reg-shift = <4>; };"),
     "reg-shift"},
    {"plic_without_sources",
     ROOT(MEMORY CPUS "i@0 { compatible = \"sifive,plic-1.0.0\"; reg = <0 0 0 4096>; };"), "ndev"},
};

static void wrong_tree_is_refused_in_words(void **state)
{
    const struct wrong_case *this = *state;
    struct blob blob = blob_compile(this->source);
    struct machine machine;
    const char *error;

    error = machine_read(blob.bytes, blob.size, &machine);
    assert_non_null(error);
    assert_non_null(strstr(error, this->error));
    blob_free(&blob);
}

static void corrupt_machine_is_read_inside_its_blob(void **state)
{
    static const uint8_t values[] = {0x00, 0x01, 0x20, 0x7f, 0xff};
    struct blob made = blob_compile(gaps);
    struct blob blob;
    struct machine machine;

    (void)state;
    blob = blob_copy(&made, made.size);
    for (size_t at = 0; at < blob.size; at++) {
        uint8_t good = blob.bytes[at];

        for (size_t i = 0; i < COUNT_OF(values); i++) {
            blob.bytes[at] = values[i];
            if (machine_read(blob.bytes, blob.size, &machine) == NULL) {
                (void)machine_free_memory(&machine, 0x80200000);
                (void)machine_pci_interrupt(&machine.pci[0], 1, 1);
            }
        }
        blob.bytes[at] = good;
    }
    blob_free(&blob);
    blob_free(&made);
}

int main(void)
{
    struct CMUnitTest
        tests[2 + COUNT_OF(free_cases) + COUNT_OF(virt_cases) + COUNT_OF(wrong_cases)] = {
            cmocka_unit_test(harts_with_gaps_get_the_contexts_that_the_tree_gives_them),
            cmocka_unit_test(corrupt_machine_is_read_inside_its_blob),
        };
    size_t count = 2;

    ADD_CASES(tests, &count, free_memory_is_the_largest_span_behind_the_image, free_cases);
    ADD_CASES(tests, &count, virt_is_read_as_qemu_documents_it, virt_cases);
    ADD_CASES(tests, &count, wrong_tree_is_refused_in_words, wrong_cases);
    return fixture_run("machine", tests, count);
}
