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
static const struct pci_function port = {.header_type = 1, .config = 1};
static const struct pci_function device = {
    .bus = 1,
    .config = 2,
    .bars[0] = {.bus = BAR_BUS, .base = BAR_BUS, .size = BAR_SIZE, .flags = PCI_BAR_64},
};
static const struct pci_function displaced = {.bus = 1, .config = 2}; /* its BAR had no place */
static uint64_t bar_size;  /* of the device that is there */
static unsigned not_ready; /* reads of its vendor until it answers */

static uint8_t *space_of(const struct pci_function *function)
{
    return function->config == 1 ? port_space : device_space;
}

uint16_t pci_config_read16(const struct pci_function *function, unsigned offset)
{
    uint16_t value;

    memcpy(&value, space_of(function) + offset, sizeof(value));
    if (function == &device && offset == PCI_VENDOR && not_ready != 0) {
        not_ready--;
        return not_ready % 2 == 0 ? 0xffff : 0x0001;
    }
    return value;
}

uint8_t pci_config_read8(const struct pci_function *function, unsigned offset)
{
    return space_of(function)[offset];
}

uint32_t pci_config_read32(const struct pci_function *function, unsigned offset)
{
    return pci_config_read16(function, offset) | (uint32_t)pci_config_read16(function, offset + 2)
                                                     << 16;
}

void pci_config_write8(const struct pci_function *function, unsigned offset, uint8_t value)
{
    space_of(function)[offset] = value;
}

void pci_config_write16(const struct pci_function *function, unsigned offset, uint16_t value)
{
    if (function == &port && offset == STATUS) {
        value = (uint16_t)(pci_config_read16(function, offset) & ~value & 0x1f);
        value |= pci_config_read16(function, offset) & 0xffe0;
    }
    memcpy(space_of(function) + offset, &value, sizeof(value));
}

void pci_config_write32(const struct pci_function *function, unsigned offset, uint32_t value)
{
    if (function->config == 2 && offset == PCI_BAR0) {
        value = (value & (uint32_t) ~(bar_size - 1)) | 4;
    }
    memcpy(space_of(function) + offset, &value, sizeof(value));
}

unsigned pci_find_capability(const struct pci_function *function, uint8_t id)
{
    return function == &port && id == 0x10 ? EXPRESS : 0;
}

void pci_disable(const struct pci_function *function)
{
    pci_config_write16(function, PCI_COMMAND, PCI_COMMAND_INTX_OFF);
}

static struct pci_slot start(void)
{
    const struct pci_function functions[] = {device, port};
    struct pci_slot slot;

    memset(port_space, 0, sizeof(port_space));
    memset(device_space, 0, sizeof(device_space));
    bar_size = BAR_SIZE;
    not_ready = 0;
    pci_config_write16(&device, PCI_VENDOR, 0x1b36);
    pci_config_write8(&port, PCI_BRIDGE_SECONDARY, 1);
    assert_false(pci_slot_find(functions, 2, &device, &slot));
    pci_config_write8(&port, EXPRESS + 0x14, 0x02); /* a power controller */
    assert_true(pci_slot_find(&port, 1, &device, &slot));
    assert_int_equal(slot.capability, EXPRESS);
    return slot;
}

static void button_is_seen_once(void **state)
{
    struct pci_slot slot = start();

    (void)state;
    assert_false(pci_slot_pressed(&slot));
    pci_config_write8(&port, STATUS, 0x49); /* pressed, presence changed, present */
    assert_true(pci_slot_pressed(&slot));
    assert_false(pci_slot_pressed(&slot));
    assert_true(pci_slot_occupied(&slot));
    assert_int_equal(pci_config_read8(&port, STATUS), 0x48);
    pci_config_write8(&port, STATUS, 0x08);
    assert_false(pci_slot_occupied(&slot));
}

static void power_keeps_the_other_bits(void **state)
{
    struct pci_slot slot = start();

    (void)state;
    pci_config_write16(&port, CONTROL, 0x01c5);
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
