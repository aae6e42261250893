// SPDX-License-Identifier: MIT
/*
 * What the machine does to a driver that does not mask: lost levels and doorbells that consume
 * nothing, by hand. The engine must be right for every behaviour, so each is told, not judged; what
 * is judged is that the engine's cure works on it.
 */
#include <stdio.h>

#include "irq.h"
#include "raw.h"
#include "selftest.h"
#include "wired.h"

enum { REPAIRS_MAX = 16 };

/* Opens the first controller by hand with its line routed to hart 0 and interrupts off. */
static bool begin(struct raw *raw, uint64_t *saved)
{
    const struct pci_function *function = raw_find();

    if (function == NULL) {
        skip("no controller");
        return false;
    }
    if (!check(raw_open(raw, function), "the controller did not become ready")) {
        return false;
    }
    *saved = irq_save();
    wired_route(function->irq, 0);
    while (raw_claim() != 0) {
        raw_complete(function->irq.source);
    }
    return true;
}

static void end(struct raw *raw, uint64_t saved)
{
    check(raw_disable(raw), "the controller did not stop");
    while (raw_claim() != 0) {
        raw_complete(raw->function->irq.source);
    }
    wired_disable(raw->function->irq);
    irq_restore(saved);
}

/* Two completions, one consumed between claim and complete: is the second ever told of? */
static void lose_level(struct raw *raw)
{
    uint32_t source = raw->function->irq.source;

    raw_identify(raw);
    check(raw_await(raw, 1), "no completion");
    check(raw_level(raw), "a completion and the line is low");
    check(raw_claim() == source, "a completion and no claim");
    raw_identify(raw);
    check(raw_await(raw, 2), "no second completion");
    raw_consume(raw, 1);
    raw_complete(source);
    check(raw_level(raw), "an entry is left and the line is low");
}

/* The engine's cure: closing and opening the mask makes a fresh edge; a real PLIC needs none. */
static void test_lost_level(void)
{
    struct raw raw;
    uint64_t saved;

    if (!begin(&raw, &saved)) {
        return;
    }
    lose_level(&raw);
    printf("note plic: %s\n", wired_pending(raw.function->irq)
                                  ? "a level that stays high is told again"
                                  : "a latch of edges: a level that stays high is lost");
    raw_write(&raw, NVME_REG_INTMS, 1);
    check(!raw_level(&raw), "masked and the line is high");
    raw_write(&raw, NVME_REG_INTMC, 1);
    check(raw_level(&raw), "opened and the line is low");
    check(wired_pending(raw.function->irq), "INTMS and INTMC made no fresh interrupt");
    check(raw_claim() == raw.function->irq.source, "pending and no claim");
    raw_consume(&raw, 1);
    raw_complete(raw.function->irq.source);
    check(!raw_level(&raw), "all is consumed and the line is high");
    check(!wired_pending(raw.function->irq), "all is consumed and something is pending");
    end(&raw, saved);
}

/* A line that falls before it is claimed: stays pending or not. Both are normal. */
static void test_falling_line(void)
{
    struct raw raw;
    uint64_t saved;
    uint32_t claimed;

    if (!begin(&raw, &saved)) {
        return;
    }
    raw_identify(&raw);
    check(raw_await(&raw, 1), "no completion");
    check(wired_pending(raw.function->irq), "a completion and nothing pending");
    raw_consume(&raw, 1);
    printf("note plic: a falling line %s\n", wired_pending(raw.function->irq)
                                                 ? "leaves its pending bit: claims of nothing come"
                                                 : "takes its pending bit along");
    claimed = raw_claim();
    check(claimed == 0 || claimed == raw.function->irq.source, "claimed source %u",
          (unsigned)claimed);
    if (claimed != 0) {
        raw_complete(claimed);
    }
    check(!raw_level(&raw) && raw_claim() == 0, "the line is quiet and a claim comes");
    end(&raw, saved);
}

/* ---- A head doorbell that consumes nothing ------------------------------------------------- */

/* True if the line falls when the queue is empty, as it should. */
static bool line_falls(struct raw *raw)
{
    raw_identify(raw);
    check(raw_await(raw, 1), "no completion");
    raw_consume(raw, 1);
    return !raw_level(raw);
}

/* The count of the device is too low: a completion that is left over at a reset adds one to it. */
static bool mend(const struct pci_function *function)
{
    for (uint32_t i = 0; i < REPAIRS_MAX; i++) {
        struct raw raw;

        if (!raw_open(&raw, function)) {
            return false;
        }
        if (line_falls(&raw)) {
            return raw_disable(&raw);
        }
        raw_identify(&raw);
        if (!raw_await(&raw, 1) || !raw_disable(&raw)) {
            return false;
        }
    }
    return false;
}

/* A line that stays high for ever cannot be used: the engine says so, and polls. */
static void check_stuck(void)
{
    struct storage_config config = {.depth_entries = 8};
    struct storage_queue *queue = &selftest.storage.queues[0];
    struct nvme_controller_info info;
    uint8_t *buffer;

    selftest.mode = NVME_MODE_INTERRUPT;
    if (!open_storage(&config)) {
        return;
    }
    buffer = take_pages(PAGE_BYTES);
    nvme_controller_describe(queue->controller->engine, &info);
    check(info.line_stuck && event_seen(NVME_EVENT_LINE_STUCK), "a stuck line is not said");
    check(nvme_queue_mode(queue->engine) == NVME_MODE_POLL, "a stuck line is used");
    for (uint32_t i = 0; i < 100; i++) {
        transfer(queue, NVME_CMD_READ, i, 1, buffer);
    }
    close_storage();
}

static void test_redundant_doorbell(void)
{
    const struct pci_function *function;
    struct raw raw;
    uint64_t saved;
    bool falls;

    if (!begin(&raw, &saved)) {
        return;
    }
    function = raw.function;
    check(line_falls(&raw), "the line is high before anything was done");
    raw_consume(&raw, 0);
    falls = line_falls(&raw);
    printf("note nvme: a head doorbell that consumes nothing %s\n",
           falls ? "does nothing" : "leaves the line high for ever");
    end(&raw, saved);
    if (falls) {
        return;
    }
    check_stuck();
    saved = irq_save();
    check(mend(function), "the line could not be mended");
    irq_restore(saved);
}

const struct test probe_tests[] = {
    {"probe.lost-level", test_lost_level, MODE_NONE, WANTS_PLIC},
    {"probe.falling-line", test_falling_line, MODE_NONE, WANTS_PLIC},
    {"probe.redundant-doorbell", test_redundant_doorbell, MODE_NONE, WANTS_PLIC},
    {NULL, NULL, 0, 0},
};
