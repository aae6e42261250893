// SPDX-License-Identifier: MIT
// The engine tested on the machine it runs on: many commands per boot, one line per test.
// Options: test=GROUP or GROUP.WHAT, completion=poll|irq|both, harts=, seed=, runtime=.
// Exit status 1 if a test failed or none ran.
#include "selftest.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "board.h"
#include "harts.h"
#include "options.h"
#include "plic.h"

enum { DETAILS_MAX = 5, DETAIL_BYTES = 200, LINES_MAX = 4 };

struct selftest selftest = {
    .test = "all", .completion = MODE_BOTH, .seed = 1, .runtime_ns = 2 * NS_PER_S};

// Index 0 is no mode, so that the index of a word is its enum test_modes.
static const char *const completions[] = {"none", "poll", "irq", "both", NULL};

static const struct option options[] = {
    OPTION_STRING("test", struct selftest, test, 40, "a group or group.test; all"),
    OPTION_WORD("completion", struct selftest, completion, completions, "modes to test"),
    OPTION_UNSIGNED("harts", struct selftest, harts, 0, 64, "harts to use, 0 is all"),
    OPTION_UNSIGNED("seed", struct selftest, seed, 0, UINT64_MAX, "of everything random"),
    OPTION_TIME("runtime", struct selftest, runtime_ns, NS_PER_MS, 3600 * NS_PER_S,
                "of tests that last"),
};

static const struct test *const groups[] = {
    data_tests,  queue_tests,     hart_tests,  life_tests,    interrupt_tests,
    probe_tests, left_over_tests, naive_tests, timeout_tests, reset_tests,
};

// The running test.
static struct {
    char name[64];
    atomic_uint failures;
    const char *skipped;
    char first[DETAIL_BYTES]; // what failed first
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

// Harts with an interrupt line of their own; counted once, before the first test opens anything.
static uint32_t private_lines;

uint32_t test_harts(void)
{
    uint32_t count = selftest.harts != 0 ? (uint32_t)selftest.harts : hart_count();

    if (selftest.mode == NVME_MODE_INTERRUPT && count > private_lines) {
        count = private_lines;
    }
    return count;
}

// True if no queue of the storage shares its interrupt source with one before it.
static uint32_t count_private_lines(const struct storage *storage)
{
    for (uint32_t i = 0; i < storage->controller_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (storage->controllers[i].function->irq_source ==
                storage->controllers[j].function->irq_source) {
                return i;
            }
        }
    }
    return storage->controller_count;
}

// Opens once, as widely as the machine allows, to know it and to tell of it.
static bool survey(void)
{
    struct storage_config config = {.harts = STORAGE_CONTROLLERS_MAX,
                                    .depth_entries = 2,
                                    .mode = NVME_MODE_POLL,
                                    .spread = true};

    if (!storage_open(&selftest.storage, &config)) {
        return false;
    }
    storage_print_banner(&selftest.storage);
    private_lines = plic_present() ? count_private_lines(&selftest.storage) : 0;
    return storage_close(&selftest.storage);
}

static void run_test(const struct test *test, enum nvme_mode mode)
{
    const char *word = mode == NVME_MODE_POLL ? "poll" : "irq";

    memset(&running, 0, sizeof(running));
    snprintf(running.name, sizeof(running.name), "%s%s%s", test->name,
             test->modes == MODE_NONE ? "" : ".", test->modes == MODE_NONE ? "" : word);
    selftest.mode = mode;
    if (mode == NVME_MODE_INTERRUPT && private_lines == 0) {
        skip("no interrupt line");
    } else {
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

// `all` is every test that is not special; else a test's name or its group's.
static bool selected(const struct test *test)
{
    size_t size = strlen(selftest.test);

    if (strcmp(selftest.test, "all") == 0) {
        return !test->special;
    }
    return strncmp(test->name, selftest.test, size) == 0 &&
           (test->name[size] == '\0' || test->name[size] == '.');
}

static void run_group(const struct test *tests)
{
    for (const struct test *test = tests; test->name != NULL; test++) {
        if (!selected(test)) {
            continue;
        }
        if (test->modes == MODE_NONE || (test->modes & selftest.completion & MODE_POLL) != 0) {
            run_test(test, NVME_MODE_POLL);
        }
        if ((test->modes & selftest.completion & MODE_IRQ) != 0) {
            run_test(test, NVME_MODE_INTERRUPT);
        }
    }
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
    if (strncmp(selftest.test, "reset", 5) != 0 && !survey()) {
        return 1;
    }
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        run_group(groups[i]);
    }
    printf("%u ok, %u failed, %u skipped\n", passed, failed, skipped);
    return failed == 0 && passed != 0 ? 0 : 1;
}
