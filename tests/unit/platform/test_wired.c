// SPDX-License-Identifier: MIT
/*
 * platform/virt/wired.c, plic.c and aplic.c against registers in memory: which register is written
 * for which source and hart, when an interrupt is claimed, and which harts are reached. The test
 * plays the controller: what it answers stands in its registers.
 */
#include <stdlib.h>

#include "fixture.h"
#include "host_board.h"
#include "wired.h"

enum {
    PLIC_BYTES = 0x210000,
    APLIC_BYTES = 0x8000,
    HARTS = 4,
    REACHED = 3, /* harts 0 and 1 by the PLIC, hart 2 by the APLIC, hart 3 by none */
    SOURCE = 35,
    OTHER = 70,
};

/* The PLIC is controller 0, the APLIC controller 1. */
static uint32_t *plic;
static uint32_t *aplic;

static const struct machine_interrupt plic_source = {0, SOURCE, MACHINE_TRIGGER_UNSAID};
static const struct machine_interrupt aplic_source = {1, SOURCE, MACHINE_TRIGGER_HIGH};
static const struct machine_interrupt aplic_other = {1, OTHER, MACHINE_TRIGGER_HIGH};

static uint32_t *plic_register(uint32_t offset)
{
    return &plic[offset / 4];
}

static uint32_t *aplic_register(uint32_t offset)
{
    return &aplic[offset / 4];
}

/* Of PLIC context 1 (hart 0) and 3 (hart 1). */
static uint32_t *plic_claim(uint32_t context)
{
    return plic_register(0x200004 + context * 0x1000);
}

static uint32_t plic_enabled(uint32_t context)
{
    return *plic_register(0x2000 + context * 0x80 + SOURCE / 32 * 4) >> SOURCE % 32 & 1;
}

/* Of APLIC hart index 5 (hart 2). */
static uint32_t *aplic_top(void)
{
    return aplic_register(0x4000 + 5 * 32 + 0x18);
}

static uint32_t *aplic_claim(void)
{
    return aplic_register(0x4000 + 5 * 32 + 0x1c);
}

/* The ids are the board's: 3, 5, 7, 9. The tree's order is another. */
static struct machine make_machine(void)
{
    return (struct machine){
        .harts = {{7, 1, 5, 0, 0}, {3, 0, 1, 0, 0}, {9, MACHINE_NONE, 0, 0, 0}, {5, 0, 3, 0, 0}},
        .hart_count = HARTS,
        .wired = {{MACHINE_PLIC, {(uintptr_t)plic, PLIC_BYTES}, 96, 1},
                  {MACHINE_APLIC, {(uintptr_t)aplic, APLIC_BYTES}, 96, 2}},
        .wired_count = 2,
    };
}

static int start(void **state)
{
    (void)state;
    board_init(HARTS);
    plic = calloc(1, PLIC_BYTES);
    aplic = calloc(1, APLIC_BYTES);
    return plic == NULL || aplic == NULL;
}

static int start_open(void **state)
{
    struct machine machine;

    if (start(state) != 0) {
        return -1;
    }
    memset(plic, 0xff, PLIC_BYTES);
    machine = make_machine();
    return wired_init(&machine) != NULL;
}

static int finish(void **state)
{
    (void)state;
    board_finish();
    free(plic);
    free(aplic);
    return 0;
}

/* ---- Start-up ------------------------------------------------------------------------------- */

static void every_source_is_off_at_first(void **state)
{
    (void)state;
    for (uint32_t source = 1; source <= 96; source++) {
        assert_int_equal(*plic_register(4 * source), 0);
        assert_int_equal(*aplic_register(4 * source), 6); /* level, high */
    }
    for (uint32_t word = 0; word <= 3; word++) {
        assert_int_equal(*plic_register(0x2080 + 4 * word), 0);
        assert_int_equal(*aplic_register(0x1f00 + 4 * word), UINT32_MAX);
    }
    assert_int_equal(*plic_register(0x201000), 0); /* thresholds */
    assert_int_equal(*plic_register(0x203000), 0);
    assert_int_equal(*plic_register(0x202000), UINT32_MAX); /* another's: not touched */
    assert_int_equal(*aplic_register(0), 0x100);
    assert_int_equal(*aplic_register(0x4000 + 5 * 32), 1);
}

static void each_controller_reaches_its_harts_alone(void **state)
{
    static const bool right[2][HARTS] = {{true, true, false, false}, {false, false, true, false}};

    (void)state;
    for (uint32_t wired = 0; wired < 2; wired++) {
        for (unsigned hart = 0; hart < HARTS; hart++) {
            const struct machine_interrupt irq = {wired, 1, 0};

            assert_int_equal(wired_reaches(irq, hart), right[wired][hart]);
        }
        assert_false(wired_reaches((struct machine_interrupt){wired, 1, 0}, HARTS));
    }
}

static void hart_that_no_controller_reaches_is_told_apart(void **state)
{
    (void)state;
    for (unsigned hart = 0; hart < HARTS; hart++) {
        assert_int_equal(wired_serves(hart), hart < REACHED);
        board_enter(hart);
        assert_int_equal(board_is_open(), hart < REACHED);
    }
    wired_attach(plic_source, NULL, NULL);
    expect_assert_failure(wired_route(plic_source, 3));
    expect_assert_failure(wired_route(plic_source, 2));
    expect_assert_failure(wired_route(aplic_source, 0));
    assert_int_equal(plic_enabled(1) | plic_enabled(3), 0);
}

static void source_outside_of_its_controller_is_refused(void **state)
{
    static const struct machine_interrupt wrong[] = {
        {0, 0, 0}, {0, 97, 0}, {1, 97, 0}, {2, 1, 0}, {MACHINE_NONE, 33, 0}};

    (void)state;
    assert_true(wired_usable((struct machine_interrupt){0, 96, 0}));
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_false(wired_usable(wrong[i]));
        assert_false(wired_reaches(wrong[i], 0));
        expect_assert_failure(wired_disable(wrong[i]));
    }
}

static void refuse(struct machine machine, const char *words)
{
    const char *error = wired_init(&machine);

    assert_non_null(error);
    assert_non_null(strstr(error, words));
}

static void machine_that_cannot_be_driven_is_refused_in_words(void **state)
{
    struct machine machine = make_machine();

    (void)state;
    machine.wired[0].source_count = 0;
    refuse(machine, "riscv,ndev");
    machine.wired[0].source_count = 1024;
    refuse(machine, "riscv,ndev");
    machine = make_machine();
    machine.wired[0].registers.size = 0x203fff; /* context 3 ends at 0x204000 */
    refuse(machine, "outside its controller");
    machine = make_machine();
    machine.wired[1].registers.size = 0x40bf; /* hart index 5 ends at 0x40c0 */
    refuse(machine, "outside its controller");
}

/* ---- Routing -------------------------------------------------------------------------------- */

static void source_goes_to_one_hart_and_no_other(void **state)
{
    (void)state;
    wired_route(plic_source, 0);
    assert_int_equal(plic_enabled(1), 1);
    assert_int_equal(plic_enabled(3), 0);
    assert_int_equal(*plic_register(4 * SOURCE), 1);
    wired_route(plic_source, 1);
    assert_int_equal(plic_enabled(1), 0);
    assert_int_equal(plic_enabled(3), 1);
    wired_disable(plic_source);
    assert_int_equal(plic_enabled(1) | plic_enabled(3), 0);
    assert_int_equal(*plic_register(4 * SOURCE), 0);

    wired_route(aplic_source, 2);
    assert_int_equal(*aplic_register(0x1fdc), SOURCE); /* off before it is aimed */
    assert_int_equal(*aplic_register(0x3000 + 4 * SOURCE), 5 << 18 | 1);
    assert_int_equal(*aplic_register(0x1edc), SOURCE);
    wired_disable(aplic_other);
    assert_int_equal(*aplic_register(0x1fdc), OTHER);
}

static void trigger_of_the_tree_is_the_aplics(void **state)
{
    static const uint32_t modes[][2] = {{MACHINE_TRIGGER_UNSAID, 6},
                                        {MACHINE_TRIGGER_RISING, 4},
                                        {MACHINE_TRIGGER_FALLING, 5},
                                        {MACHINE_TRIGGER_HIGH, 6},
                                        {MACHINE_TRIGGER_LOW, 7}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        wired_attach((struct machine_interrupt){1, SOURCE, modes[i][0]}, NULL, NULL);
        assert_int_equal(*aplic_register(4 * SOURCE), modes[i][1]);
    }
}

static void pending_bit_is_the_sources_own(void **state)
{
    (void)state;
    memset(plic_register(0x1000), 0, 128);
    *plic_register(0x1000 + 4) = UINT32_C(1) << SOURCE % 32;
    *aplic_register(0x1c00 + 4) = UINT32_C(1) << SOURCE % 32;
    assert_true(wired_pending(plic_source));
    assert_true(wired_pending(aplic_source));
    assert_false(wired_pending((struct machine_interrupt){0, SOURCE + 1, 0}));
    assert_false(wired_pending(aplic_other));
}

/* ---- Interrupts ----------------------------------------------------------------------------- */

struct seen {
    unsigned calls;
    uint32_t *place;  /* a register that is looked at during the call, */
    uint32_t found;   /* what it held */
    uint32_t becomes; /* and what it holds from then on */
};

static void look(void *arg)
{
    struct seen *seen = arg;

    seen->calls++;
    if (seen->place != NULL) {
        seen->found = *seen->place;
        *seen->place = seen->becomes;
    }
}

static void plic_completes_behind_the_handler(void **state)
{
    struct seen seen = {.place = plic_claim(3), .becomes = 0};

    (void)state;
    wired_attach(plic_source, look, &seen);
    wired_route(plic_source, 1);
    board_enter(1);
    *plic_claim(3) = SOURCE;
    board_interrupt();
    assert_int_equal(seen.calls, 1);
    assert_int_equal(*plic_claim(3), SOURCE);
    assert_int_equal(plic_enabled(3), 1);
}

static void claim_without_a_handler_is_counted_and_completed(void **state)
{
    uint64_t unexpected = wired_unexpected_count();
    uint64_t empty = wired_empty_count();
    struct seen seen = {0};

    (void)state;
    *plic_claim(1) = OTHER;
    board_interrupt();
    assert_int_equal(wired_unexpected_count(), unexpected + 1);
    assert_int_equal(*plic_claim(1), OTHER);
    *plic_claim(1) = 0;
    board_interrupt();
    assert_int_equal(wired_empty_count(), empty + 1);
    wired_attach(plic_source, look, &seen);
    wired_detach(plic_source);
    *plic_claim(1) = SOURCE;
    board_interrupt();
    assert_int_equal(seen.calls, 0);
    assert_int_equal(wired_unexpected_count(), unexpected + 2);
}

/* The claim answers what stands there when the handler has ended. */
static void aplic_claims_a_level_behind_its_handler(void **state)
{
    uint64_t empty = wired_empty_count();
    struct seen seen = {.place = aplic_claim(), .becomes = OTHER << 16};
    struct seen other = {0};

    (void)state;
    wired_attach(aplic_source, look, &seen);
    wired_attach(aplic_other, look, &other);
    board_enter(2);
    *aplic_top() = SOURCE << 16;
    *aplic_claim() = SOURCE << 16;
    board_interrupt();
    assert_int_equal(seen.calls, 1);
    assert_int_equal(other.calls, 1); /* it was claimed, so it is served */
    *aplic_claim() = SOURCE << 16;
    seen.becomes = SOURCE << 16;
    board_interrupt();
    assert_int_equal(seen.calls, 2); /* its own claim is no second call */
    seen.becomes = 0;
    board_interrupt();
    assert_int_equal(seen.calls, 3); /* nor is a claim of nothing one of another's */
    assert_int_equal(other.calls, 1);
    assert_int_equal(wired_empty_count(), empty);
}

/* One that comes meanwhile is another. */
static void aplic_claims_an_edge_before_its_handler(void **state)
{
    const struct machine_interrupt edge = {1, SOURCE, MACHINE_TRIGGER_RISING};
    struct seen seen = {.place = aplic_claim(), .becomes = OTHER << 16};
    struct seen other = {0};

    (void)state;
    wired_attach(edge, look, &seen);
    wired_attach(aplic_other, look, &other);
    board_enter(2);
    *aplic_top() = SOURCE << 16;
    *aplic_claim() = SOURCE << 16;
    board_interrupt();
    assert_int_equal(seen.calls, 1);
    assert_int_equal(other.calls, 0);
}

#define CASE(start_function, name) cmocka_unit_test_setup_teardown(name, start_function, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(start_open, every_source_is_off_at_first),
        CASE(start_open, each_controller_reaches_its_harts_alone),
        CASE(start_open, hart_that_no_controller_reaches_is_told_apart),
        CASE(start_open, source_outside_of_its_controller_is_refused),
        CASE(start, machine_that_cannot_be_driven_is_refused_in_words),
        CASE(start_open, source_goes_to_one_hart_and_no_other),
        CASE(start_open, trigger_of_the_tree_is_the_aplics),
        CASE(start_open, pending_bit_is_the_sources_own),
        CASE(start_open, plic_completes_behind_the_handler),
        CASE(start_open, claim_without_a_handler_is_counted_and_completed),
        CASE(start_open, aplic_claims_a_level_behind_its_handler),
        CASE(start_open, aplic_claims_an_edge_before_its_handler),
    };

    return fixture_run("wired", tests, COUNT_OF(tests));
}
