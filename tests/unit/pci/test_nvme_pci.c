// SPDX-License-Identifier: MIT
/*
 * pci/nvme_pci.c against a configuration space in memory: which controller is found, what becomes
 * of its BAR 0, which source its pin is, and what an earlier user left on.
 */
#include "fixture.h"
#include "nvme_pci.h"

enum {
    FUNCTIONS_MAX = 8,
    SPACE_BYTES = 256,
    COMMAND = 0x04,
    BAR0 = 0x10,
    BUSES = 0x18,
    PIN = 0x3d,
    POWER = 0x40, /* capabilities */
    MSI = 0x50,
    MSIX = 0x60,
    BAR_BYTES = 0x4000,
};
#define WINDOW UINT64_C(0x40000000)
#define IRQ_BASE 32u

static struct function {
    uint32_t place;
    uint8_t bytes[SPACE_BYTES];
    uint64_t bar_bytes;
} functions[FUNCTIONS_MAX];
static unsigned function_count;
static unsigned waited_ms;
static struct nvme_pci_host host;

static struct function *find(uint32_t place)
{
    for (unsigned i = 0; i < function_count; i++) {
        if (functions[i].place == place) {
            return &functions[i];
        }
    }
    return NULL;
}

static uint32_t get(const struct function *function, unsigned offset)
{
    uint32_t value;

    memcpy(&value, function->bytes + offset, 4);
    return value;
}

static void put(struct function *function, unsigned offset, uint32_t value)
{
    memcpy(function->bytes + offset, &value, 4);
}

static uint32_t read32(void *arg, uint32_t place, unsigned offset)
{
    const struct function *function = find(place);

    assert_ptr_equal(arg, &host);
    assert_int_equal(offset % 4, 0);
    assert_true(offset < SPACE_BYTES);
    return function != NULL ? get(function, offset) : UINT32_MAX;
}

static void write32(void *arg, uint32_t place, unsigned offset, uint32_t value)
{
    struct function *function = find(place);

    assert_ptr_equal(arg, &host);
    assert_int_equal(offset % 4, 0);
    assert_non_null(function);
    if (offset == COMMAND) {
        assert_int_equal(value >> 16, 0); /* ones would clear the status */
        value |= get(function, offset) & 0xffff0000;
    }
    if (offset == BAR0 || offset == BAR0 + 4) {
        bool is_off = (get(function, COMMAND) & 2) == 0;

        assert_true(is_off); /* a BAR is not moved while it is decoded */
        value &= (uint32_t)(~(function->bar_bytes - 1) >> (offset - BAR0) * 8);
        value |= offset == BAR0 ? get(function, BAR0) & 15 : 0;
    }
    put(function, offset, value);
}

static void wait_ms(void *arg, unsigned ms)
{
    assert_ptr_equal(arg, &host);
    waited_ms += ms;
}

/* A function with capabilities for power, MSI and MSI-X, INTA and a 64-bit BAR 0. */
static struct function *add(unsigned bus, unsigned device, unsigned number, uint32_t class_code)
{
    struct function *function = &functions[function_count++];

    memset(function, 0, sizeof(*function));
    function->place = bus << 8 | device << 3 | number;
    function->bar_bytes = BAR_BYTES;
    put(function, 0x00, 0x00101b36);
    put(function, COMMAND, 0x00100000);
    put(function, 0x08, class_code << 8);
    put(function, BAR0, 4);
    put(function, 0x34, POWER);
    put(function, 0x3c, 0x0100);
    put(function, POWER, MSI << 8 | 0x01);
    put(function, MSI, MSIX << 8 | 0x05);
    put(function, MSIX, 0x11);
    return function;
}

static struct function *add_bridge(unsigned bus, unsigned device, unsigned secondary)
{
    struct function *function = add(bus, device, 0, 0x060400);

    put(function, 0x0c, 0x00010000);
    put(function, BUSES, secondary << 16 | secondary << 8 | bus);
    return function;
}

static int start(void **state)
{
    (void)state;
    function_count = 0;
    waited_ms = 0;
    host = (struct nvme_pci_host){.read32 = read32,
                                  .write32 = write32,
                                  .wait_ms = wait_ms,
                                  .arg = &host,
                                  .window_bus = WINDOW,
                                  .window_bytes = 1 << 20,
                                  .irq_base = IRQ_BASE};
    return 0;
}

static uint64_t address_of(const struct function *function)
{
    return (uint64_t)get(function, BAR0 + 4) << 32 | (get(function, BAR0) & ~15u);
}

static void first_is_found_and_placed(void **state)
{
    struct nvme_pci_controller found;
    struct function *disk;

    (void)state;
    add(0, 0, 0, 0x060000);
    disk = add(0, 1, 0, 0x010802);
    assert_null(nvme_pci_find(&host, 0, &found));
    assert_int_equal(found.function.place, 1 << 3);
    assert_int_equal(found.vendor, 0x1b36);
    assert_int_equal(found.device, 0x0010);
    assert_int_equal(found.registers, WINDOW);
    assert_int_equal(found.registers_bytes, BAR_BYTES);
    assert_int_equal(found.irq, IRQ_BASE + 1);
    assert_int_equal(address_of(disk), WINDOW);
    assert_int_equal(get(disk, COMMAND) & 0xffff, 2); /* decoded, no bus master, INTx on */
    nvme_pci_bus_master(&found);
    assert_int_equal(get(disk, COMMAND) & 0xffff, 6);
    assert_false(nvme_pci_intx_level(&found));
    put(disk, COMMAND, 0x00180006);
    assert_true(nvme_pci_intx_level(&found));
}

static void each_gets_its_place(void **state)
{
    struct nvme_pci_controller found[3];
    const char *error;

    (void)state;
    functions[0] = *add(0, 1, 0, 0x010802);
    put(&functions[0], 0x0c, 0x00800000); /* several functions */
    add(0, 1, 3, 0x010802);
    add(0, 2, 0, 0x010802)->bar_bytes = 0x80000;
    for (unsigned i = 0; i < 3; i++) {
        assert_null(nvme_pci_find(&host, i, &found[i]));
    }
    assert_int_equal(found[1].function.place, 1 << 3 | 3);
    assert_int_equal(found[0].registers, WINDOW);
    assert_int_equal(found[1].registers, WINDOW + BAR_BYTES);
    assert_int_equal(found[2].registers, WINDOW + 0x80000); /* aligned to its size */
    assert_int_equal(host.window_bytes, 0);
    error = nvme_pci_find(&host, 3, &found[0]);
    assert_non_null(error);
    assert_non_null(strstr(error, "no such"));
}

static void other_functions_of_a_single_one_are_no_functions(void **state)
{
    struct nvme_pci_controller found;

    (void)state;
    add(0, 1, 0, 0x020000);
    add(0, 1, 1, 0x010802); /* an alias */
    assert_non_null(nvme_pci_find(&host, 0, &found));
}

static void other_classes_are_passed(void **state)
{
    struct nvme_pci_controller found;

    (void)state;
    add(0, 1, 0, 0x010801);
    add(0, 2, 0, 0x010601);
    add(0, 31, 0, 0x010802)->bytes[PIN] = 0;
    assert_null(nvme_pci_find(&host, 0, &found));
    assert_int_equal(found.function.place, 31 << 3);
    assert_int_equal(found.irq, 0);
}

static void firmwares_address_is_kept(void **state)
{
    struct nvme_pci_controller found;
    struct function *disk = add(0, 1, 0, 0x010802);

    (void)state;
    put(disk, BAR0, 0x08004004);
    put(disk, BAR0 + 4, 0x4);
    put(disk, COMMAND, 0x00100407);
    host.window_bytes = 0;
    host.cpu_minus_bus = 0x1000000000;
    assert_null(nvme_pci_find(&host, 0, &found));
    assert_int_equal(found.registers, 0x1408004000);
    assert_int_equal(address_of(disk), 0x408004000);
    assert_int_equal(get(disk, COMMAND) & 0xffff, 2);
}

static void pin_is_rotated_by_each_bridge(void **state)
{
    struct nvme_pci_controller found;
    struct function *disk;
    struct function *bridges[2];

    (void)state;
    bridges[0] = add_bridge(0, 3, 1);
    bridges[1] = add_bridge(1, 2, 2);
    disk = add(2, 0, 0, 0x010802);
    disk->bytes[PIN] = 2;
    put(disk, BAR0, 0x40000004);
    assert_null(nvme_pci_find(&host, 0, &found));
    assert_int_equal(found.function.place, 2 << 8);
    assert_int_equal(found.irq, IRQ_BASE + (3 + 2 + 0 + 1) % 4);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(get(bridges[i], COMMAND) & 0xffff, 6); /* passes accesses on */
    }
}

static void scan_goes_on_after_a_bridge(void **state)
{
    struct nvme_pci_controller found;

    (void)state;
    host.bus_first = 0x40;
    add_bridge(0x40, 1, 0x44);
    add(0x44, 0, 0, 0x020000);
    add(0x40, 2, 0, 0x010802);
    assert_null(nvme_pci_find(&host, 0, &found));
    assert_int_equal(found.function.place, 0x4010);
}

static void earlier_users_messages_are_off(void **state)
{
    struct nvme_pci_controller found;
    struct function *disk = add(0, 1, 0, 0x010802);

    (void)state;
    put(disk, MSI, get(disk, MSI) | 0x00810000);
    put(disk, MSIX, 0xc0400011);
    put(disk, POWER + 4, 0x8103); /* D3hot, PME enabled and waiting */
    assert_null(nvme_pci_find(&host, 0, &found));
    assert_int_equal(get(disk, MSI) >> 16, 0x0080);
    assert_int_equal(get(disk, MSIX), 0x40400011);
    assert_int_equal(get(disk, POWER + 4), 0);
    assert_int_equal(waited_ms, 10);
}

static void capabilities_in_a_circle_end(void **state)
{
    struct nvme_pci_controller found;
    struct function *disk = add(0, 1, 0, 0x010802);

    (void)state;
    put(disk, MSI, MSI << 8 | 0x99);
    assert_null(nvme_pci_find(&host, 0, &found));
    assert_int_equal(nvme_pci_capability(&found.function, 0x11), 0);
}

static void buses_in_a_circle_end(void **state)
{
    struct nvme_pci_controller found;

    (void)state;
    add_bridge(0, 1, 1);
    add_bridge(1, 1, 1);
    add_bridge(1, 2, 0);
    assert_non_null(strstr(nvme_pci_find(&host, 0, &found), "bridge"));
}

/* ---- What is refused ------------------------------------------------------------------------ */

struct refusal {
    const char *name;
    void (*spoil)(struct function *disk);
    const char *words;
};

static void lose_class(struct function *disk)
{
    put(disk, 0x08, 0);
}

static void be_io(struct function *disk)
{
    put(disk, BAR0, 1);
}

static void be_absent(struct function *disk)
{
    disk->bar_bytes = 0;
    put(disk, BAR0, 0);
}

static void be_large(struct function *disk)
{
    disk->bar_bytes = 1 << 21;
}

static void be_narrow(struct function *disk)
{
    put(disk, BAR0, 0);
    host.window_bus = UINT64_C(1) << 32;
}

static void be_behind(struct function *disk)
{
    add_bridge(0, 2, 1);
    disk->place = 1 << 8;
}

static void be_behind_unnumbered(struct function *disk)
{
    add_bridge(0, 2, 0);
    disk->place = 1 << 8;
}

static void be_asleep(struct function *disk)
{
    host.wait_ms = NULL;
    put(disk, POWER + 4, 3);
}

static const struct refusal refusals[] = {
    {"no_such_class", lose_class, "no such"},
    {"registers_of_io_space", be_io, "not memory"},
    {"no_registers", be_absent, "not memory"},
    {"larger_than_the_window", be_large, "fit"},
    {"32_bits_and_a_window_above", be_narrow, "fit"},
    {"no_address_behind_a_bridge", be_behind, "behind a bridge"},
    {"bridge_without_a_number", be_behind_unnumbered, "bus number"},
    {"asleep_without_a_wait", be_asleep, "D3hot"},
};

static void is_refused(void **state)
{
    const struct refusal *this = *state;
    struct nvme_pci_controller found;
    struct function *disk;
    const char *error;

    start(NULL);
    disk = add(0, 1, 0, 0x010802);
    this->spoil(disk);
    error = nvme_pci_find(&host, 0, &found);
    assert_non_null(error);
    assert_non_null(strstr(error, this->words));
    assert_int_equal(get(disk, COMMAND) & 6, 0);
}

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(refusals) + 16] = {
        cmocka_unit_test_setup(first_is_found_and_placed, start),
        cmocka_unit_test_setup(each_gets_its_place, start),
        cmocka_unit_test_setup(other_functions_of_a_single_one_are_no_functions, start),
        cmocka_unit_test_setup(other_classes_are_passed, start),
        cmocka_unit_test_setup(firmwares_address_is_kept, start),
        cmocka_unit_test_setup(pin_is_rotated_by_each_bridge, start),
        cmocka_unit_test_setup(scan_goes_on_after_a_bridge, start),
        cmocka_unit_test_setup(earlier_users_messages_are_off, start),
        cmocka_unit_test_setup(capabilities_in_a_circle_end, start),
        cmocka_unit_test_setup(buses_in_a_circle_end, start),
    };
    size_t count = 10;

    ADD_CASES(tests, &count, is_refused, refusals);
    return fixture_run("nvme_pci", tests, count);
}
