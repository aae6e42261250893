// SPDX-License-Identifier: MIT
/*
 * The engine tested on the machine it runs on: many commands per boot, one line per test. Options:
 * test=GROUP or GROUP.WHAT, or several with commas between, completion=, harts=, seed=, runtime=,
 * entries=, above=.
 * Exit status 1 if a test failed or none ran.
 */
#include "selftest.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "board.h"
#include "harts.h"
#include "heap.h"
#include "imsic.h"
#include "options.h"
#include "paging.h"
#include "start.h"
#include "wired.h"

enum { DETAILS_MAX = 5, DETAIL_BYTES = 200 };

struct selftest selftest = {
    .test = "all", .completion = MODE_ALL, .seed = 1, .runtime_ns = 2 * NS_PER_S};

/* The index of a word is its enum test_modes. */
static const char *const completions[] = {"none",        "poll",       "irq", "both", "hybrid",
                                          "poll+hybrid", "irq+hybrid", "all", NULL};

static const struct option options[] = {
    OPTION_STRING("test", struct selftest, test, 80, "groups or group.tests, by commas; all"),
    OPTION_WORD("completion", struct selftest, completion, completions, "modes to test"),
    OPTION_UNSIGNED("harts", struct selftest, harts, 0, 64, "harts to use, 0 is all"),
    OPTION_UNSIGNED("seed", struct selftest, seed, 0, UINT64_MAX, "of everything random"),
    OPTION_TIME("runtime", struct selftest, runtime_ns, NS_PER_MS, 3600 * NS_PER_S,
                "of tests that last"),
    OPTION_UNSIGNED("entries", struct selftest, entries, 0, UINT16_MAX, "of a soak's queues"),
    OPTION_UNSIGNED("above", struct selftest, above, 0, UINT64_MAX, "heap: addresses from here"),
};

static const struct test *const groups[] = {
    data_tests,   queue_tests,        hart_tests,  life_tests,      interrupt_tests, mode_tests,
    shared_tests, other_device_tests, probe_tests, left_over_tests, naive_tests,     closing_tests,
    select_tests, timeout_tests,      reset_tests, power_tests,     removal_tests,   event_tests,
    block_tests,  disturbed_tests,    iommu_tests,
};

/* The running test. */
static struct {
    char name[64];
    atomic_uint failures;
    const char *skipped;
    char first[DETAIL_BYTES]; /* what failed first */
} running;

static unsigned passed, failed, skipped;

bool check(bool ok, const char *format, ...)
{
    char text[DETAIL_BYTES];
    va_list args;
    unsigned count;

    if (ok) {
        return true;
    }
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    count = atomic_fetch_add(&running.failures, 1);
    if (count == 0) {
        memcpy(running.first, text, sizeof(text));
    } else if (count < DETAILS_MAX) {
        printf("note %s: %s\n", running.name, text);
    }
    return false;
}

void skip(const char *why)
{
    running.skipped = why;
}

void give_up(const char *why)
{
    printf("FAIL %s: %s\n", running.name, why);
    storage_print_events(&selftest.storage);
    machine_exit(1);
}

/* What the machine has to interrupt with. Known before the first test opens anything. */
static bool has_line, has_plic, has_lines, has_vectors;

uint32_t test_harts(void)
{
    return selftest.harts != 0 ? (uint32_t)selftest.harts : hart_count();
}

bool test_interrupts(void)
{
    return selftest.mode != NVME_MODE_POLL;
}

/* Opens once, as widely as the machine allows, to know it and to tell of it. */
static bool survey(void)
{
    const struct storage_controller *first = &selftest.storage.controllers[0];
    struct storage_config config = {.harts = STORAGE_CONTROLLERS_MAX,
                                    .depth_entries = 2,
                                    .mode = NVME_MODE_POLL,
                                    .spread = true};

    if (!storage_open(&selftest.storage, &config)) {
        return false;
    }
    storage_print_banner(&selftest.storage);
    has_vectors = imsic_present() && first->msix.vector_count != 0;
    has_lines = wired_usable(first->function->irq);
    has_line = has_lines;
    for (unsigned hart = 0; hart < hart_count(); hart++) {
        has_line = has_line && wired_reaches(first->function->irq, hart);
    }
    has_plic = has_line && machine_get()->wired[first->function->irq.wired].kind == MACHINE_PLIC;
    return storage_close(&selftest.storage);
}

/* Why a test cannot be done here, or NULL. */
static const char *lacks(const struct test *test)
{
    if ((test->wants & WANTS_LINE) != 0 && !has_line) {
        return "no interrupt line that reaches every hart";
    }
    if ((test->wants & WANTS_PLIC) != 0 && !has_plic) {
        return "no PLIC";
    }
    return (test->wants & WANTS_HARTS) != 0 && test_harts() < 2 ? "one hart" : NULL;
}

static void run_test(const struct test *test, enum nvme_mode mode)
{
    static const char *const words[] = {".poll", ".irq", ".hybrid"};

    memset(&running, 0, sizeof(running));
    snprintf(running.name, sizeof(running.name), "%s%s", test->name,
             test->modes == MODE_NONE ? "" : words[mode]);
    selftest.mode = mode;
    running.skipped = lacks(test);
    if (mode != NVME_MODE_POLL && !has_lines && !has_vectors) {
        skip("nothing to interrupt with");
    }
    if (running.skipped == NULL) {
        test->run();
    }
    if (running.failures != 0) {
        printf("FAIL %s: %s\n", running.name, running.first);
        failed++;
    } else if (running.skipped != NULL) {
        printf("skip %s: %s\n", running.name, running.skipped);
        skipped++;
    } else {
        printf("ok %s\n", running.name);
        passed++;
    }
}

/* One word of test=: a test's name or its group's, or `all`. */
static bool names(const char *word, size_t size, const struct test *test)
{
    if (size == 3 && strncmp(word, "all", size) == 0) {
        return (test->wants & WANTS_NAMED) == 0 && lacks(test) == NULL;
    }
    return strncmp(test->name, word, size) == 0 &&
           (test->name[size] == '\0' || test->name[size] == '.');
}

static bool selected(const struct test *test)
{
    const char *word = selftest.test;
    size_t size = strcspn(word, ",");

    while (word[size] != '\0' && !names(word, size, test)) {
        word += size + 1;
        size = strcspn(word, ",");
    }
    return names(word, size, test);
}

static void run_group(const struct test *tests)
{
    for (const struct test *test = tests; test->name != NULL; test++) {
        unsigned modes = test->modes & selftest.completion;

        if (!selected(test)) {
            continue;
        }
        if (test->modes == MODE_NONE || (modes & MODE_POLL) != 0) {
            run_test(test, NVME_MODE_POLL);
        }
        if ((modes & MODE_IRQ) != 0) {
            run_test(test, NVME_MODE_INTERRUPT);
        }
        if ((modes & MODE_HYBRID) != 0) {
            run_test(test, NVME_MODE_HYBRID);
        }
    }
}

/*
 * Rings, lists and buffers come from the heap: their addresses need as many bits as this one.
 * Translation has mapped the heap where it was.
 */
static bool move_heap(uint64_t above)
{
    struct machine_span span = machine_free_memory(machine_get(), above);

    if (span.size == 0 || paging_satp != 0) {
        printf("error: above=%" PRIx64 ": no free memory, or translation; hint: run.py --memory\n",
               above);
        return false;
    }
    heap_init((uintptr_t)span.base, (uintptr_t)(span.base + span.size));
    printf("heap: %" PRIu64 " MiB at %" PRIx64 "\n", span.size >> 20, span.base);
    return true;
}

int main(int argc, char **argv)
{
    const struct option_table table = {options, sizeof(options) / sizeof(options[0])};
    char error[OPTION_ERROR_BYTES];

    if (!options_parse(&table, argc - 1, argv + 1, &selftest, error, sizeof(error))) {
        printf("%s\n", error);
        return 1;
    }
    printf("selftest: test=%s seed=%" PRIu64 " harts %u\n", selftest.test, selftest.seed,
           hart_count());
    if (selftest.above != 0 && !move_heap(selftest.above)) {
        return 1;
    }
    if (strncmp(selftest.test, "reset", 5) != 0 && !survey()) {
        return 1;
    }
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        run_group(groups[i]);
    }
    printf("%u ok, %u failed, %u skipped\n", passed, failed, skipped);
    return failed == 0 && passed != 0 ? 0 : 1;
}
