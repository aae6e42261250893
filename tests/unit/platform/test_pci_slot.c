// SPDX-License-Identifier: MIT
/*
 * platform/virt/pci_slot.c against a port and a device in memory: the button, the power, and a
 * device that takes the place of another.
 */
#include "fixture.h"
#include "host_board.h"
#include "pci_slot.h"

enum { SPACE_BYTES = 256, EXPRESS = 0x48, STATUS = EXPRESS + 0x1a, CONTROL = EXPRESS + 0x18 };
#define BAR_BUS UINT64_C(0x400104000)
#define BAR_SIZE UINT64_C(0x4000)

static uint8_t port_space[SPACE_BYTES];
static uint8_t device_space[SPACE_BYTES];
static const struct nvme_pci_host host = {.read32 = nvme_pci_ecam_read32,
                                          .write32 = nvme_pci_ecam_write32};
static const struct pci_function port = {.header_type = 1, .at = {&host, 0}};
static const struct pci_function device = {
    .bus = 1,
    .at = {&host, 1 << 8},
    .bars[0] = {.bus = BAR_BUS, .base = BAR_BUS, .size = BAR_SIZE, .flags = NVME_PCI_BAR_64},
};
/* Its BAR had no place. */
static const struct pci_function displaced = {.bus = 1, .at = {&host, 1 << 8}};
static uint64_t bar_size;  /* of the device that is there */
static unsigned not_ready; /* reads of its vendor until it answers */

static uint8_t *space_of(uint32_t place)
{
    return place == 0 ? port_space : device_space;
}

static uint32_t get(uint32_t place, unsigned offset)
{
    uint32_t value;

    memcpy(&value, space_of(place) + offset, sizeof(value));
    return value;
}

static void put8(const struct pci_function *function, unsigned offset, uint8_t value)
{
    space_of(function->at.place)[offset] = value;
}

static void put16(const struct pci_function *function, unsigned offset, uint16_t value)
{
    memcpy(space_of(function->at.place) + offset, &value, sizeof(value));
}

uint32_t nvme_pci_ecam_read32(void *arg, uint32_t place, unsigned offset)
{
    (void)arg;
    if (place != 0 && offset == PCI_VENDOR && not_ready != 0) {
        not_ready--;
        return not_ready % 2 == 0 ? 0xffffffff : 0xffff0001;
    }
    return get(place, offset);
}

void nvme_pci_ecam_write32(void *arg, uint32_t place, unsigned offset, uint32_t value)
{
    (void)arg;
    if (place == 0 && offset == CONTROL) {
        uint32_t status = get(place, offset) >> 16;

        value = (value & 0xffff) | ((status & ~(value >> 16) & 0x1f) | (status & 0xffe0)) << 16;
    }
    if (place != 0 && offset == PCI_BAR0) {
        value = (value & (uint32_t) ~(bar_size - 1)) | 4;
    }
    memcpy(space_of(place) + offset, &value, sizeof(value));
}

static struct pci_slot start(void)
{
    const struct pci_function functions[] = {device, port};
    struct pci_slot slot;

    memset(port_space, 0, sizeof(port_space));
    memset(device_space, 0, sizeof(device_space));
    bar_size = BAR_SIZE;
    not_ready = 0;
    put16(&device, PCI_VENDOR, 0x1b36);
    put8(&port, PCI_BRIDGE_SECONDARY, 1);
    put8(&port, PCI_STATUS, PCI_STATUS_CAPABILITIES);
    put8(&port, PCI_CAPABILITIES, EXPRESS);
    put8(&port, EXPRESS, 0x10);
    assert_false(pci_slot_find(functions, 2, &device, &slot));
    put8(&port, EXPRESS + 0x14, 0x02); /* a power controller */
    assert_true(pci_slot_find(&port, 1, &device, &slot));
    assert_int_equal(slot.capability, EXPRESS);
    return slot;
}

static void button_is_seen_once(void **state)
{
    struct pci_slot slot = start();

    (void)state;
    assert_false(pci_slot_pressed(&slot));
    put8(&port, STATUS, 0x49); /* pressed, presence changed, present */
    assert_true(pci_slot_pressed(&slot));
    assert_false(pci_slot_pressed(&slot));
    assert_true(pci_slot_occupied(&slot));
    assert_int_equal(pci_config_read8(&port, STATUS), 0x48);
    put8(&port, STATUS, 0x08);
    assert_false(pci_slot_occupied(&slot));
}

static void power_keeps_the_other_bits(void **state)
{
    struct pci_slot slot = start();

    (void)state;
    put16(&port, CONTROL, 0x01c5);
    pci_slot_switch(&slot, false);
    assert_int_equal(pci_config_read16(&port, CONTROL), 0x07c5);
    pci_slot_switch(&slot, true);
    assert_int_equal(pci_config_read16(&port, CONTROL), 0x01c5);
}

static void successor_gets_the_addresses(void **state)
{
    (void)state;
    start();
    not_ready = 4;
    assert_true(pci_slot_take(&device));
    assert_int_equal(pci_config_read32(&device, PCI_BAR0), (uint32_t)BAR_BUS | 4);
    assert_int_equal(pci_config_read32(&device, PCI_BAR0 + 4), BAR_BUS >> 32);
}

static void bar_without_a_place_goes_to_the_top(void **state)
{
    (void)state;
    start();
    assert_true(pci_slot_take(&displaced));
    assert_int_equal(pci_config_read32(&device, PCI_BAR0), (uint32_t)(0 - BAR_SIZE) | 4);
    assert_int_equal(pci_config_read32(&device, PCI_BAR0 + 4), UINT32_MAX);
}

static void nobody_there_is_said(void **state)
{
    (void)state;
    start();
    not_ready = UINT32_MAX;
    board_listen();
    assert_false(pci_slot_take(&device));
    assert_non_null(strstr(board_heard(), "does not answer"));
}

static void other_size_is_refused(void **state)
{
    (void)state;
    start();
    bar_size = 2 * BAR_SIZE;
    board_listen();
    assert_false(pci_slot_take(&device));
    assert_non_null(strstr(board_heard(), "other BARs"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(button_is_seen_once),
        cmocka_unit_test(power_keeps_the_other_bits),
        cmocka_unit_test(successor_gets_the_addresses),
        cmocka_unit_test(bar_without_a_place_goes_to_the_top),
        cmocka_unit_test(nobody_there_is_said),
        cmocka_unit_test(other_size_is_refused),
    };

    return fixture_run("pci_slot", tests, COUNT_OF(tests));
}
