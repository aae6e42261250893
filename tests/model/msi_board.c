// SPDX-License-Identifier: MIT
/*
 * The host, its line, and the kernel's two harts: see msi_board.h.
 */
#include "msi_board.h"

enum { PER_FUNCTION = BOARD_QUEUES / BOARD_FUNCTIONS, FIRST_NUMBER = 5, POSTED = 8 };
enum { INTERRUPTS_MAX = 100 }; /* more are a line that never falls */
enum { STATUS, ENABLE, MASK, COLLECTED, REGISTERS };
#define COLLECTED_BIT (UINT32_C(1) << 28)

struct board board;

/* What the tests need not see. */
static struct {
    const struct board_kind *kind;
    volatile uint32_t addresses[REGISTERS]; /* of the registers; their contents: */
    uint32_t values[REGISTERS];
    struct {
        uint32_t index, value;
    } posted[POSTED]; /* writes that have not arrived */
    uint32_t posted_count;
    bool ipi, in_ipi; /* of hart 1 */
} host;

uint32_t board_number(uint32_t queue)
{
    return FIRST_NUMBER + queue;
}

struct fixture *board_function(uint32_t queue)
{
    return &board.functions[queue / PER_FUNCTION];
}

struct nvme_queue *board_queue(uint32_t queue)
{
    return board_function(queue)->queues[queue % PER_FUNCTION];
}

static uint32_t owner_of(uint32_t queue)
{
    return host.kind->forwards ? queue % PER_FUNCTION : 0;
}

/* The number of a function's vector. */
static uint32_t number_of(bool second, uint16_t vector)
{
    uint32_t queue = vector - 1U;

    return board_number(second ? PER_FUNCTION + queue : queue);
}

/* ---- The host --------------------------------------------------------------------------- */

static void receive(struct model *model, uint16_t vector)
{
    uint32_t bit = UINT32_C(1) << number_of(model == board.functions[1].model, vector);

    if (host.kind->collects || (host.values[ENABLE] & bit) != 0) {
        host.values[STATUS] |= bit;
        host.values[COLLECTED] |= COLLECTED_BIT;
    }
}

bool board_line(void)
{
    uint32_t told = host.values[STATUS] & host.values[ENABLE] & ~host.values[MASK];

    return (host.kind->collects ? host.values[COLLECTED] : told) != 0;
}

void board_arrive(void)
{
    for (uint32_t i = 0; i < host.posted_count; i++) {
        uint32_t index = host.posted[i].index;
        uint32_t value = host.posted[i].value;

        if (index == ENABLE || index == MASK) {
            host.values[index] = value;
        } else {
            host.values[index] &= ~value;
        }
    }
    host.posted_count = 0;
}

static uint32_t read_host(void *arg, uint32_t offset)
{
    uint32_t value;

    (void)arg;
    board_step(NULL);
    board_arrive();
    value = host.values[offset / sizeof(uint32_t)];
    board_step(NULL);
    return value;
}

static void write_host(void *arg, uint32_t offset, uint32_t value)
{
    (void)arg;
    assert_true(host.posted_count < POSTED);
    host.posted[host.posted_count].index = (uint32_t)(offset / sizeof(uint32_t));
    host.posted[host.posted_count].value = value;
    host.posted_count++;
    board_step(NULL);
}

/* ---- The harts -------------------------------------------------------------------------- */

static void take_line(void)
{
    uint32_t hart = world.hart;

    world.hart = 0;
    board.handle(&board.msi);
    board_arrive();
    world.hart = hart;
}

static void take_ipi(void)
{
    uint32_t hart = world.hart;

    host.ipi = false;
    host.in_ipi = true;
    world.hart = 1;
    msi_take_ipi(&board.msi, 1);
    world.hart = hart;
    host.in_ipi = false;
}

static void send_ipi(void *arg, uint32_t hart)
{
    (void)arg;
    assert_int_equal(hart, 1);
    host.ipi = true;
    if (host.kind->quick_ipi && !host.in_ipi) {
        take_ipi();
    }
}

/* Hart 0 takes the line while hart 1 is in its own handler. */
void board_step(void *arg)
{
    (void)arg;
    world.meanwhile[WORLD_AT_PHASE] = board_step;
    world.meanwhile[WORLD_AT_DOORBELL] = board_step;
    if (board.steps++ == board.step_of_completion) {
        board_complete(board.completes);
        if (host.in_ipi && board_line()) {
            take_line();
        }
    }
}

uint32_t board_interrupts(void)
{
    uint32_t count = 0;

    while (board_line() || host.ipi) {
        assert_true(count < INTERRUPTS_MAX);
        if (board_line()) {
            take_line();
            count++;
        }
        if (host.ipi) {
            take_ipi();
        }
    }
    return count;
}

/* ---- The kernel ------------------------------------------------------------------------- */

static void mask_number(void *arg, uint16_t vector, bool masked)
{
    msi_mask(&board.msi, number_of(arg == &board.functions[1], vector), masked);
}

static void prepare_function(struct fixture *fixture)
{
    if (fixture == board.functions) {
        fixture_init(fixture);
    } else {
        fixture_init_more(fixture);
    }
    fixture_use_vectors(fixture);
    if (host.kind->own_masks) {
        memset(fixture->model->vectors, 0, sizeof(fixture->model->vectors));
        fixture->config.vector_mask = mask_number;
    }
    fixture->model->message = receive;
}

static void open_queue(uint32_t queue)
{
    struct fixture *fixture = board_function(queue);
    uint32_t index = queue % PER_FUNCTION;
    struct nvme_queue_config config = {
        .mode = NVME_MODE_INTERRUPT, .owner = owner_of(queue), .vector = (uint16_t)(index + 1)};

    if (index == 0) {
        fixture_start(fixture, 0, NVME_MODE_POLL);
        fixture->model->on_demand = true;
    }
    assert_int_equal(nvme_queue_open(fixture->controller, index, &config, &fixture->queues[index]),
                     NVME_OK);
    msi_connect(&board.msi, board_number(queue), board_queue(queue), owner_of(queue));
}

void board_open(const struct board_kind *kind)
{
    memset(&host, 0, sizeof(host));
    host.kind = kind;
    board = (struct board){.handle = msi_handle, .step_of_completion = UINT32_MAX};
    board.msi.status = &host.addresses[STATUS];
    board.msi.send_ipi = send_ipi;
    if (kind->collects) {
        board.msi.collected = &host.addresses[COLLECTED];
        board.msi.collected_bit = COLLECTED_BIT;
    } else {
        board.msi.enable = &host.addresses[ENABLE];
        board.msi.mask = &host.addresses[MASK];
    }
    for (uint32_t i = 0; i < BOARD_FUNCTIONS; i++) {
        prepare_function(&board.functions[i]);
    }
    world.device =
        (struct world_device){host.addresses, sizeof(host.addresses), read_host, write_host, NULL};
    for (uint32_t i = 0; i < BOARD_QUEUES; i++) {
        open_queue(i);
    }
    board_arrive();
    world.knows_hart = true;
}

void board_close(void)
{
    world.meanwhile[WORLD_AT_PHASE] = NULL;
    world.meanwhile[WORLD_AT_DOORBELL] = NULL;
    world.knows_hart = false;
    for (uint32_t i = BOARD_FUNCTIONS; i-- != 0;) {
        fixture_finish(&board.functions[i]);
    }
}

void board_post(uint32_t queue)
{
    world.hart = owner_of(queue);
    fixture_submit(board_function(queue), queue % PER_FUNCTION, &board.outcomes[queue]);
    world.hart = 0;
}

void board_set_mode(uint32_t queue, enum nvme_mode mode)
{
    world.hart = owner_of(queue);
    assert_int_equal(nvme_queue_set_mode(board_queue(queue), mode), NVME_OK);
    world.hart = 0;
    board_arrive();
}

void board_complete(uint32_t queue)
{
    model_step(board_function(queue)->model, 1);
}

uint32_t board_ended(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < BOARD_QUEUES; i++) {
        count += board.outcomes[i].count;
    }
    return count;
}
