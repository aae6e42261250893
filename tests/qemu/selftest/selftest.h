// SPDX-License-Identifier: MIT
/*
 * The self-test image: its settings, its list of tests, and the functions of every test.
 *
 * A test is a function that opens storage, calls check() and closes it. Tests run on hart 0 and may
 * use the others through harts_run(). One boot runs many tests, each in every completion mode that
 * it names. Lines: `ok NAME`, `FAIL NAME: what`, `skip NAME: why`, `note ...`.
 */
#ifndef HARTQ_SELFTEST_H
#define HARTQ_SELFTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nvme.h"
#include "storage.h"

enum { PAGE_BYTES = 4096 };
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
#define WAIT_LIMIT_NS (20 * NS_PER_S) /* of patience: what takes longer never ends */

/* In which completion modes a test runs. */
enum test_modes {
    MODE_NONE = 0, /* once; it chooses for itself */
    MODE_POLL = 1,
    MODE_IRQ = 2,
    MODE_BOTH = 3,
    MODE_HYBRID = 4,
    MODE_SLEEP = 6, /* those in which the owner may sleep */
    MODE_ALL = 7,
};

/* What a test needs. Without it the test is left out of `all`, and skipped if it is named. */
enum test_wants {
    WANTS_NAMED = 1, /* a machine of its own: it runs only when it or its group is named */
    WANTS_LINE = 2,  /* INTx that can go to any hart */
    WANTS_HARTS = 4, /* two or more */
    WANTS_PLIC = 8,  /* WANTS_LINE, and a PLIC behind it */
};

/* One test. */
struct test {
    const char *name; /* GROUP.WHAT, or one word */
    void (*run)(void);
    unsigned modes; /* enum test_modes */
    unsigned wants; /* enum test_wants */
};

/* The tests of one file, ending with a NULL name. */
extern const struct test data_tests[];
extern const struct test queue_tests[];
extern const struct test hart_tests[];
extern const struct test life_tests[];
extern const struct test interrupt_tests[];
extern const struct test probe_tests[];
extern const struct test left_over_tests[];
extern const struct test naive_tests[];
extern const struct test closing_tests[];
extern const struct test select_tests[];
extern const struct test timeout_tests[];
extern const struct test reset_tests[];
extern const struct test removal_tests[];
extern const struct test event_tests[];
extern const struct test mode_tests[];
extern const struct test shared_tests[];
extern const struct test other_device_tests[];
extern const struct test power_tests[];
extern const struct test block_tests[];
extern const struct test disturbed_tests[];
extern const struct test iommu_tests[];

/* The command line, and the state of the run. Hart 0 writes it. */
struct selftest {
    const char *test;
    unsigned completion; /* enum test_modes */
    uint64_t harts;      /* 0: all */
    uint64_t seed;
    uint64_t runtime_ns;
    uint64_t entries;    /* of each queue of a soak; 0: as many as its requests need */
    uint64_t above;      /* the heap lies above this address; 0: behind the image */
    enum nvme_mode mode; /* of the running test */
    struct storage storage;
    size_t heap_mark; /* before the running test's storage was opened */
};

extern struct selftest selftest;

/* If `ok` is false the running test fails; the first few are printed. Any hart. Returns ok. */
bool check(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Skips the running test, which this machine cannot do. The test then returns. */
void skip(const char *why);

/* Fails the running test and ends the program: requests are outstanding and cannot be ended. */
_Noreturn void give_up(const char *why);

/* A pseudo-random number from *state (any value), SplitMix64. */
uint64_t random_next(uint64_t *state);

/* Harts of the running test: `harts=`, else all. */
uint32_t test_harts(void);

/* True if the running test's queues are opened to interrupt. */
bool test_interrupts(void);

/* ---- storage.c's work, in the running test's mode ----------------------------------------- */

/*
 * Opens with `wanted` but in the running test's mode; harts 0 is 1. False: the test has failed.
 * Hart 0 is started.
 */
bool open_storage(const struct storage_config *wanted);

/*
 * Stops hart 0 and closes. Fails the test if an interrupt was missed, a completion was stale or
 * malformed, or memory did not come back. A message that QEMU has lost (imsic.h) is noted only.
 */
void close_storage(void);

/* As close_storage(), but for controllers that a test broke on purpose. */
void close_broken_storage(void);

/* True if any controller has reported the event since the storage was opened. */
bool event_seen(enum nvme_event_kind kind);

/* Zeroed pages from the heap, until the storage is closed. Never NULL. */
void *take_pages(size_t size_bytes);

/* Memory that a reset of the machine leaves as it is: the middle, which nothing else uses. */
void *kept_memory(void);

/* ---- Requests ----------------------------------------------------------------------------- */

/* One request and how it ended. `ends` must become 1 and stay there. */
struct request {
    volatile uint32_t ends;
    struct nvme_result result;
};

/* The callback that fills in a request. */
struct nvme_callback request_callback(struct request *request);

/* The time that this hart has looked in vain. {0} at first and after each progress. */
struct patience {
    uint64_t look_ns; /* time of the last look; 0: none yet */
    uint64_t spent_ns;
};

/*
 * To be called at every look. Returns what is spent: a busy host may stop a hart for seconds, so
 * the time between two looks counts as two periods of the watchdog at most.
 */
uint64_t patience_spend(struct patience *patience);

/* Waits until *count >= `target`, or for WAIT_LIMIT_NS of patience without a change. Owner. */
void wait_count(struct storage_queue *queue, const volatile uint32_t *count, uint32_t target);

/* Posts, submits and waits. The request's result, or the post's error with ends = 0. */
struct request run_io(struct storage_queue *queue, struct nvme_io io);

/* A read or write that must succeed. Returns true if it did. */
bool transfer(struct storage_queue *queue, uint8_t opcode, uint64_t lba, uint32_t blocks,
              void *buffer);

/* ---- Patterns ----------------------------------------------------------------------------- */

/* Fills with words made from `key`; size is a multiple of 4, the address dword aligned. */
void pattern_fill(void *buffer, size_t size_bytes, uint32_t key);

/* The offset of the first byte that differs from pattern_fill(), or size_bytes. */
size_t pattern_check(const void *buffer, size_t size_bytes, uint32_t key);

/* A buffer between guards, at any dword offset in a page. */
struct guarded {
    uint8_t *data; /* bytes of them, PAGE_BYTES of guard on each side */
    size_t bytes;
};

/*
 * Places `bytes` at `offset` (0 .. PAGE_BYTES - 4) in an arena of bytes + 3 pages and fills it all
 * with the guard pattern.
 */
struct guarded guarded_make(void *arena, uint32_t offset, size_t bytes);

/* True if both guards are whole. */
bool guarded_intact(const struct guarded *guarded);

#endif
