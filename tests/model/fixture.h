// SPDX-License-Identifier: MIT
/*
 * The fixture of every unit test of the engine: a world with one controller, its memory, an open
 * namespace, queues, and a callback that counts. Also tables of cases for cmocka.
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

/* The results of done(), whose argument this is. */
struct outcome {
    uint32_t count;
    struct nvme_result result; /* the last one */
};

struct fixture {
    struct model *model;
    struct nvme_config config;
    struct nvme_memory memory;
    bool mapped; /* the DMA region */
    struct nvme_controller *controller;
    struct nvme_namespace ns;
    struct nvme_queue *queues[FIXTURE_QUEUES];
    struct model_line line;
    struct nvme_event events[FIXTURE_EVENTS];
    uint32_t event_count;
    uint32_t ipis[FIXTURE_QUEUES]; /* by owner */
    uint32_t bus_masters;          /* calls of the hook */
    bool clocked;                  /* of the queues that fixture_start opens */
    uint32_t level_looks;
    uint32_t vector_masks; /* calls of the hook */
};

/* A source of interrupts: a case of a test. */
struct fixture_source {
    const char *name;
    bool vectors;
    enum model_line_kind kind;
};

enum { FIXTURE_LINES = 3, FIXTURE_SOURCES };

/* The lines, then vectors. */
extern const struct fixture_source fixture_sources[FIXTURE_SOURCES];

enum { FIXTURE_LINE, FIXTURE_VECTOR, FIXTURE_DELIVERIES };

/* One line, then vectors: for tests that do not depend on the kind of line. */
extern const struct fixture_source fixture_deliveries[FIXTURE_DELIVERIES];

/* The buffer of the requests of fixture_post. */
extern uint8_t fixture_block[BLOCK];

/* Makes a new world, a controller and a configuration of FIXTURE_QUEUES queues; opens nothing. */
void fixture_init(struct fixture *fixture);

/* Uses MSI-X, not the line: queue i has vector i + 1, all are masked. Before fixture_open. */
void fixture_use_vectors(struct fixture *fixture);

/* Adds another controller to the same world. */
void fixture_init_more(struct fixture *fixture);

/* Maps the DMA region, which fixture_drop unmaps. For tests that open the controller themselves. */
void fixture_map(struct fixture *fixture);

/* Gives memory of the needed size and calls nvme_controller_open. */
enum nvme_error fixture_open(struct fixture *fixture);

/* As above, and it must succeed. Then opens namespace 1 and queues 0 .. count - 1 of owner 0. */
void fixture_start(struct fixture *fixture, uint32_t count, enum nvme_mode mode);

/* fixture_init and fixture_start, with one poll queue. */
struct nvme_queue *fixture_poll_queue(struct fixture *fixture);

/* fixture_init and fixture_start, on this source; no interrupt is pending. */
void fixture_start_on(struct fixture *fixture, const struct fixture_source *source, uint32_t count,
                      enum nvme_mode mode);

/* As above, with interrupt queues on a line of the usual kind. */
void fixture_interrupt_queues(struct fixture *fixture, uint32_t count);

/* Posts a read of block 0, which must succeed, and rings no doorbell. */
void fixture_post(struct fixture *fixture, uint32_t queue, struct outcome *outcome);
void fixture_post_with(struct fixture *fixture, uint32_t queue, struct nvme_callback callback);

/* As above, and rings for all posted commands. */
void fixture_submit(struct fixture *fixture, uint32_t queue, struct outcome *outcome);

/* Submits so many requests one by one on queue 0, and reaps all that it has. */
void fixture_submit_each(struct fixture *fixture, uint32_t count, struct outcome *outcome);
uint32_t fixture_reap(struct fixture *fixture);

/* Closes the controller, which must succeed, and ends as fixture_drop. */
void fixture_finish(struct fixture *fixture);

/* Frees everything. The driver must have broken no rule and restored interrupts. */
void fixture_drop(struct fixture *fixture);

/* How many events of this kind the embedder got, of the first FIXTURE_EVENTS; if it got any. */
uint32_t fixture_count_events(const struct fixture *fixture, enum nvme_event_kind kind);
bool fixture_saw(const struct fixture *fixture, enum nvme_event_kind kind);

/* The last event of this kind; there must be one. */
struct nvme_event fixture_event(const struct fixture *fixture, enum nvme_event_kind kind);

/* Takes interrupts of the line, or of the vectors, until none is pending; returns their number. */
uint32_t fixture_interrupts(struct fixture *fixture);

/* Calls the handler of a queue's source, in any state; returns its result. */
uint32_t fixture_handle(struct fixture *fixture, uint32_t index);

/* True while the source of queue `index` is masked. */
bool fixture_masked(const struct fixture *fixture, uint32_t index);

/* How many register writes or calls of the hook have masked or unmasked sources. */
uint32_t fixture_mask_writes(const struct fixture *fixture);

/* The hot counters of a queue. */
struct nvme_counters fixture_counters(const struct nvme_queue *queue);

/* A buffer of whole pages for `bytes` bytes, filled with 0xee; fixture_free frees it. */
uint8_t *fixture_buffer(size_t bytes);
void fixture_free(void *buffer);

/* A callback that counts in *outcome. */
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
