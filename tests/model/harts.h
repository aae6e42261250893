// SPDX-License-Identifier: MIT
/*
 * Several harts with a queue each on one shared line, for the tests of shared delivery.
 *
 * The test plays the harts: IPIs are only recorded (fixture.ipis), and come when the test says
 * so. The model knows whose turn it is and finds a mask that another hart than the IRQ hart has
 * written.
 */
#ifndef HARTS_H
#define HARTS_H

#include "fixture.h"

enum {
    HARTS_QUEUES = 3,                /* where the test has three owners */
    HARTS_NONE = FIXTURE_QUEUES - 1, /* a hart without a queue then */
};

/* One controller, its owners and what became of a request of each. */
struct harts {
    struct fixture fixture;
    uint32_t count;
    uint32_t irq_hart;
    uint32_t owners[FIXTURE_QUEUES]; /* by queue */
    uint32_t slow_queue;             /* of harts_open_slowly() */
    struct outcome outcomes[FIXTURE_QUEUES];
};

/* A new world, a controller with a shared line. Knobs may be changed before harts_start. */
void harts_init(struct harts *harts, enum model_line_kind kind, uint32_t irq_hart);

/* Another one, on the same line. */
void harts_init_more(struct harts *harts, struct model_line *line, uint32_t irq_hart);

/*
 * Opens `count` queues on the owners named; NULL: queue i on hart i. Nothing is pending then, no
 * IPI is recorded.
 */
void harts_start(struct harts *harts, uint32_t count, const uint32_t *owners, enum nvme_mode mode);

/* Both with three owners, on a latched line of hart 0. */
void harts_start_three(struct harts *harts, enum nvme_mode mode);

/* Ends everything as fixture_finish. */
void harts_finish(struct harts *harts);

/* The owner of a queue posts a read and rings. */
void harts_post(struct harts *harts, uint32_t queue);

/* The device ends all that is pending. */
void harts_answer(struct harts *harts);

/* The same after a post, for one queue. */
void harts_complete(struct harts *harts, uint32_t queue);

/* The IRQ hart takes the claim and runs its handler; false if none is pending. */
bool harts_claim(struct harts *harts);

/* The same on a line with another controller. */
bool harts_claim_both(struct harts *first, struct nvme_controller *second);

/* An IPI comes: to the owner of a queue; to the IRQ hart. */
uint32_t harts_ipi(struct harts *harts, uint32_t queue);
void harts_ipi_irq_hart(struct harts *harts);

/* The owner watchdogs its queue after so many milliseconds. */
void harts_watchdog(struct harts *harts, uint32_t queue, uint64_t ms);

/*
 * The IRQ hart is held up in its next INTMC write that finds an entry: meanwhile the owner's
 * watchdog runs twice, finds the line open, and the entry without an interrupt.
 */
void harts_open_slowly(struct harts *harts, uint32_t queue);

/* IPIs recorded since the last call, as a number with a decimal digit per hart, hart 0 last. */
uint32_t harts_ipis(struct harts *harts);

/* All IPIs that are owed come, and claims, until nothing is left. The claims. */
uint32_t harts_settle(struct harts *harts);

/* The IPI that is recorded for a hart comes, for all of its queues; false if there is none. */
bool harts_deliver(struct harts *harts, uint32_t hart);

/* True while the line is masked. */
bool harts_masked(const struct harts *harts);

/* The IRQ hart changes the mode. */
void harts_set_mode(struct harts *harts, enum nvme_mode mode);

#endif
