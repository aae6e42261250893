// SPDX-License-Identifier: MIT
/*
 * What every unit test of the engine needs: a world with one controller, memory for it, an open
 * namespace and queues, a callback that keeps count. And tables of cases for cmocka.
 *
 * Change fixture.model's knobs and fixture.config between fixture_init and fixture_open.
 */
#ifndef FIXTURE_H
#define FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model.h"
#include "nvme.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Appends a test per case of an array: see fixture_add_cases. */
#define ADD_CASES(tests, count, function, cases)                                                   \
    fixture_add_cases(tests, count, function, cases, COUNT_OF(cases), sizeof((cases)[0]))

/* The same for each function of an array. */
#define ADD_CASES_OF_EACH(tests, count, functions, cases)                                          \
    for (size_t each = 0; each < COUNT_OF(functions); each++) {                                    \
        ADD_CASES(tests, count, (functions)[each], cases);                                         \
    }

enum {
    FIXTURE_QUEUES = 4,
    FIXTURE_EVENTS = 32,
    FIXTURE_DEPTH = 16,
    FIXTURE_PAGE = 4096,
    BLOCK = 512, /* of the model's first namespace, unless a test changes it */
};

/* What done() was told: as the callback's argument it keeps count. */
struct outcome {
    uint32_t count;
    struct nvme_result result; /* the last one */
};

struct fixture {
    struct model *model;
    struct nvme_config config;
    struct nvme_memory memory;
    struct nvme_controller *controller;
    struct nvme_namespace ns;
    struct nvme_queue *queues[FIXTURE_QUEUES];
    struct model_line line;
    struct nvme_event events[FIXTURE_EVENTS];
    uint32_t event_count;
    uint32_t ipis[FIXTURE_QUEUES]; /* by owner */
    uint32_t bus_masters;          /* calls of the hook */
    uint32_t level_looks;
    uint32_t vector_masks; /* calls of the hook */
};

/* Where interrupts come from; a case of a test. */
struct fixture_source {
    const char *name;
    bool vectors;
    enum model_line_kind kind;
};

enum { FIXTURE_LINES = 3, FIXTURE_SOURCES };

/* The lines, then vectors. */
extern const struct fixture_source fixture_sources[FIXTURE_SOURCES];

enum { FIXTURE_LINE, FIXTURE_VECTOR, FIXTURE_DELIVERIES };

/* One line, and vectors: for what no kind of line changes. */
extern const struct fixture_source fixture_deliveries[FIXTURE_DELIVERIES];

/* The data of the requests that fixture_post makes. */
extern uint8_t fixture_block[BLOCK];

/* A new world and controller, a configuration of FIXTURE_QUEUES queues; nothing is opened. */
void fixture_init(struct fixture *fixture);

/* MSI-X instead of the line: queue i has vector i + 1, all are masked. Before fixture_open. */
void fixture_use_vectors(struct fixture *fixture);

/* Another controller in the same world. */
void fixture_init_more(struct fixture *fixture);

/* Memory of the size needed, then nvme_controller_open. */
enum nvme_error fixture_open(struct fixture *fixture);

/* The same, which must succeed; then namespace 1 and queues 0 .. count - 1, all with owner 0. */
void fixture_start(struct fixture *fixture, uint32_t count, enum nvme_mode mode);

/* init and start in one, with one poll queue. */
struct nvme_queue *fixture_poll_queue(struct fixture *fixture);

/* init and start in one, on this source; no interrupt is pending. */
void fixture_start_on(struct fixture *fixture, const struct fixture_source *source, uint32_t count,
                      enum nvme_mode mode);

/* The same with interrupt queues on a line of the usual kind. */
void fixture_interrupt_queues(struct fixture *fixture, uint32_t count);

/* Posts a read of block 0, which must succeed, and rings no doorbell. */
void fixture_post(struct fixture *fixture, uint32_t queue, struct outcome *outcome);
void fixture_post_with(struct fixture *fixture, uint32_t queue, struct nvme_callback callback);

/* The same, then rings for all that is posted. */
void fixture_submit(struct fixture *fixture, uint32_t queue, struct outcome *outcome);

/* Closes the controller, which must succeed, and ends as fixture_drop. */
void fixture_finish(struct fixture *fixture);

/* Frees everything; the driver must have broken no rule and left interrupts as they were. */
void fixture_drop(struct fixture *fixture);

/* True if the embedder was told of this. */
bool fixture_saw(const struct fixture *fixture, enum nvme_event_kind kind);

/* The event of this kind that came last; it must have come. */
struct nvme_event fixture_event(const struct fixture *fixture, enum nvme_event_kind kind);

/* Takes interrupts of the line, or of the vectors, until none is pending; how many. */
uint32_t fixture_interrupts(struct fixture *fixture);

/* An interrupt of a queue's source whatever its state; what its handler returns. */
uint32_t fixture_handle(struct fixture *fixture, uint32_t index);

/* True while the source of queue `index` is masked. */
bool fixture_masked(const struct fixture *fixture, uint32_t index);

/* Register writes, or calls of the hook, that masked sources or opened them, since the start. */
uint32_t fixture_mask_writes(const struct fixture *fixture);

/* The hot counters of a queue. */
struct nvme_counters fixture_counters(const struct nvme_queue *queue);

/* A buffer of whole pages for `bytes` bytes, filled with 0xee; fixture_free frees it. */
uint8_t *fixture_buffer(size_t bytes);
void fixture_free(void *buffer);

/* A callback that keeps count in *outcome. */
struct nvme_callback outcome_callback(struct outcome *outcome);

/* Fails the test unless done() ran once, with NVME_OK and this many bytes. */
void outcome_check_ok(const struct outcome *outcome, uint32_t bytes);

/* Fails the test unless done() ran once, with this error. */
void outcome_check_error(const struct outcome *outcome, enum nvme_error error);

/*
 * Appends a test per case to tests[*count]: `cases` is an array of structures whose first member
 * is the name (const char *), and which the test gets as *state.
 */
void fixture_add_cases(struct CMUnitTest *tests, size_t *count, CMUnitTestFunction function,
                       const void *cases, size_t case_count, size_t case_bytes);

/* Runs the tests as one group; main()'s result. */
int fixture_run(const char *group, const struct CMUnitTest *tests, size_t count);

#endif
