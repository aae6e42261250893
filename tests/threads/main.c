// SPDX-License-Identifier: MIT
/*
 * build/threads: the engine on harts that are threads, under the thread sanitizer.
 *
 * Runs each scenario for its share of the time. Then leaves out one barrier of the port after the
 * other, in processes of their own: the sanitizer must report each, or it would not have noticed
 * the engine forgetting it. A report of the sanitizer ends the program with 66.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "block.h"
#include "device.h"
#include "hart.h"
#include "nvme_hal.h"

enum {
    HARTS = 4,
    DEPTH = 17,
    REPORTED = 66, /* exit status of the sanitizer */
    DROP_SECONDS = 2,
    FAST_CLOCK = 8,
    MISSED_MAX = 50,
    LOSE = 128, /* messages in a row: less would be hidden by those of other requests */
    MS = 1000000,
};

/* What is set up, and what goes wrong in it. */
struct scenario {
    const char *name;
    uint32_t controllers; /* hart i works on controller i % controllers */
    bool interrupts;      /* the first hart of each controller takes its line */
    bool administers;
    bool fails;
    bool vectors; /* every hart takes its queue's messages */
    bool loses;   /* some of them are never sent */
    bool locked;  /* all harts have one queue, and one lock; each takes its interrupts */
    bool changes; /* who interrupts begins in hybrid mode and changes it all the time */
};

static const struct scenario scenarios[] = {
    {"4 queues of one controller, polled", .controllers = 1},
    {"one queue of 4 harts under a lock", .controllers = 1, .interrupts = true, .locked = true},
    {"one queue interrupts, three poll", .controllers = 1, .interrupts = true},
    {"the same, under administration", .controllers = 1, .interrupts = true, .administers = true},
    {"a controller per hart, interrupts", HARTS, .interrupts = true, .administers = true},
    {"the same, modes change", HARTS, .interrupts = true, .administers = true, .changes = true},
    {"4 vectors, modes change", 1, .vectors = true, .administers = true, .changes = true},
    {"4 vectors, messages get lost", 1, .vectors = true, .administers = true, .loses = true},
    {"controllers that fail under load", 2, .interrupts = true, .administers = true, .fails = true},
    {"the same, vectors, modes change", 2, .vectors = true, .fails = true, .changes = true},
};

static const char *const drops[] = {"", "before_doorbell", "after_phase", "after_mmio_read",
                                    "shadow_store32"};

enum port_drop port_drop;
_Thread_local struct port_order port_order;

struct run;

/* What a controller's hooks get. */
struct hooks {
    struct run *run;
    struct device *device;
};

/* One scenario at work. */
struct run {
    const struct scenario *scenario;
    struct device *devices[HARTS];
    struct nvme_controller *controllers[HARTS];
    struct nvme_memory memory[HARTS];
    struct hooks hooks[HARTS];
    struct hart harts[HARTS];
    struct random random;
    uint32_t stop; /* atomic */
    pthread_mutex_t lock;
    uint64_t ends;
    uint64_t errors;
    uint64_t missed; /* interrupts, by the engine's count */
};

/* Any report is an error of the engine, or of these files. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "halt_on_error=1 exitcode=66 second_deadlock_stack=1";
}

static void ipi(void *arg, uint32_t owner)
{
    const struct hooks *hooks = arg;

    __atomic_store_n(&hooks->run->harts[owner].ipi_taken, 1, __ATOMIC_RELAXED);
}

static void mask_vector(void *arg, uint16_t vector, bool masked)
{
    const struct hooks *hooks = arg;

    device_mask_vector(hooks->device, vector, masked);
}

static void check(enum nvme_error error, const char *what)
{
    if (error != NVME_OK) {
        hart_fail("%s: %s", what, nvme_error_text(error));
    }
}

static void open_controller(struct run *run, uint32_t index)
{
    struct nvme_config config = {
        .registers = run->devices[index]->registers,
        .registers_size_bytes = DEVICE_REGISTER_BYTES,
        .queue_count = DEVICE_QUEUES - 1,
        .depth_entries = DEPTH,
        .cq_depth_entries = DEPTH + 8 * random_below(&run->random, 3),
        .shadow_doorbells = random_chance(&run->random, 500),
        .max_transfer_bytes = HART_TRANSFER_BYTES,
        .command_timeout_ns = run->scenario->fails ? 1000 * (uint64_t)MS : 0,
        .msix = run->scenario->vectors,
        .hook_arg = &run->hooks[index],
        .send_ipi = ipi,
        .vector_mask = mask_vector,
    };
    struct nvme_memory *memory = &run->memory[index];
    struct nvme_controller_info info;

    run->hooks[index] = (struct hooks){run, run->devices[index]};
    for (uint32_t i = 0; i < DEVICE_QUEUES; i++) {
        device_mask_vector(run->devices[index], i, true);
    }

    check(nvme_memory_needed(&config, memory), "nvme_memory_needed");
    memory->ordinary = aligned_alloc(DEVICE_PAGE, (memory->ordinary_bytes / 4096 + 1) * 4096);
    memory->dma = aligned_alloc(65536, (memory->dma_bytes / 65536 + 1) * 65536);
    if (memory->ordinary == NULL || memory->dma == NULL) {
        abort();
    }
    check(nvme_controller_open(&config, memory, &run->controllers[index]), "nvme_controller_open");
    nvme_controller_describe(run->controllers[index], &info);
    check(info.shadow_doorbells == config.shadow_doorbells ? NVME_OK : NVME_ERR_UNSUPPORTED,
          "shadow doorbells");
}

static void open_queue(struct run *run, uint32_t index)
{
    const struct scenario *scenario = run->scenario;
    uint32_t place = index % scenario->controllers;
    struct hart *hart = &run->harts[index];
    bool first = index == place;
    bool interrupts = (first && scenario->interrupts) || scenario->vectors || scenario->locked;
    enum nvme_mode mode = scenario->changes ? NVME_MODE_HYBRID : NVME_MODE_INTERRUPT;
    struct nvme_queue_config config = {
        .owner = index,
        .mode = interrupts ? mode : NVME_MODE_POLL,
        .clocked = random_chance(&run->random, 500),
        .irq_off = scenario->locked,
        .vector = (uint16_t)(scenario->vectors ? index / scenario->controllers + 1 : 0),
    };

    *hart = (struct hart){
        .index = index,
        .device = run->devices[place],
        .controller = run->controllers[place],
        .interrupts = interrupts,
        .changes = interrupts && scenario->changes,
        .vector = config.vector,
        .administers = first && scenario->administers,
        .may_fail = scenario->fails,
        .stop = &run->stop,
        .lock = scenario->locked ? &run->lock : NULL,
        .posting = true,
    };
    hart_prepare(hart, random_next(&run->random));
    check(nvme_namespace_open(hart->controller, 1, &hart->ns), "nvme_namespace_open");
    if (scenario->locked && !first) {
        hart->queue = run->harts[place].queue;
        return;
    }
    check(nvme_queue_open(hart->controller, index / scenario->controllers, &config, &hart->queue),
          "nvme_queue_open");
}

/* Closing tells of a failure, but for STUCK it always ends. */
static void close_all(struct run *run)
{
    struct nvme_counters counters;

    for (uint32_t i = 0; i < HARTS; i++) {
        bool shared = run->scenario->locked && i != 0;
        enum nvme_error error = shared ? NVME_OK : nvme_queue_close(run->harts[i].queue);

        if (error == NVME_ERR_STUCK || (error != NVME_OK && !run->scenario->fails)) {
            hart_fail("nvme_queue_close: %s", nvme_error_text(error));
        }
        nvme_queue_count(run->harts[i].queue, &counters);
        run->missed += shared ? 0 : counters.missed;
        run->ends += run->harts[i].ends;
        run->errors += run->harts[i].errors;
        hart_free(&run->harts[i]);
    }
    for (uint32_t i = 0; i < run->scenario->controllers; i++) {
        enum nvme_error error = nvme_controller_close(run->controllers[i]);

        if (error == NVME_ERR_STUCK || error == NVME_ERR_BUSY ||
            (error != NVME_OK && !run->scenario->fails)) {
            hart_fail("nvme_controller_close: %s", nvme_error_text(error));
        }
        free(run->memory[i].ordinary);
        free(run->memory[i].dma);
    }
}

/* Up, under load for a while, down. */
static void play(struct run *run, uint32_t ms)
{
    static const enum device_fault faults[] = {DEVICE_SILENT, DEVICE_FATAL, DEVICE_FATAL};

    __atomic_store_n(&run->stop, 0, __ATOMIC_RELAXED);
    hart_set_clock(1);
    for (uint32_t i = 0; i < run->scenario->controllers; i++) {
        __atomic_store_n(&run->devices[i]->fault, DEVICE_GOOD, __ATOMIC_RELAXED);
        open_controller(run, i);
    }
    for (uint32_t i = 0; i < HARTS; i++) {
        open_queue(run, i);
    }
    /* For the deadlines of requests alone: a loaded host may let admin commands wait. */
    hart_set_clock(run->scenario->fails ? FAST_CLOCK : 1);
    for (uint32_t i = 0; i < HARTS; i++) {
        hart_start(&run->harts[i]);
    }
    hart_sleep_ms(ms);
    for (uint32_t i = 0; i < run->scenario->controllers && run->scenario->fails; i++) {
        __atomic_store_n(&run->devices[i]->fault, RANDOM_ONE(&run->random, faults),
                         __ATOMIC_RELAXED);
    }
    if (!run->scenario->fails) {
        __atomic_store_n(&run->stop, 1, __ATOMIC_RELAXED);
    }
    for (uint32_t i = 0; i < HARTS; i++) {
        hart_join(&run->harts[i]);
    }
    close_all(run);
}

static void run_scenario(const struct scenario *scenario, double seconds, uint64_t seed)
{
    static struct run run;
    double begin = hart_wall_s();
    uint32_t turns = 0;

    run = (struct run){.scenario = scenario, .random = {seed}, .lock = PTHREAD_MUTEX_INITIALIZER};
    for (uint32_t i = 0; i < scenario->controllers; i++) {
        run.devices[i] = device_start();
        __atomic_store_n(&run.devices[i]->msix, scenario->vectors, __ATOMIC_RELAXED);
        __atomic_store_n(&run.devices[i]->shadow, 1, __ATOMIC_RELAXED);
        __atomic_store_n(&run.devices[i]->lose, scenario->loses ? LOSE : 0, __ATOMIC_RELAXED);
    }
    do {
        play(&run, random_between(&run.random, 1, scenario->fails ? 20 : 400));
        turns++;
    } while (hart_wall_s() - begin < seconds);
    for (uint32_t i = 0; i < scenario->controllers; i++) {
        device_stop(run.devices[i]);
    }
    if (run.ends == 0 || (scenario->fails && run.errors == 0)) {
        hart_fail("%s: %u requests, %u errors: nothing was tested", scenario->name,
                  (unsigned)run.ends, (unsigned)run.errors);
    }
    /* A device that stands still in the midst of an entry makes one seem missed, now and then. */
    if (!scenario->loses && run.missed > MISSED_MAX + run.ends / MISSED_MAX) {
        hart_fail("%s: %u interrupts missed", scenario->name, (unsigned)run.missed);
    }
    printf("ok    %-36s %4u turns %8llu requests %6llu failed %4llu interrupts missed\n",
           scenario->name, turns, (unsigned long long)run.ends, (unsigned long long)run.errors,
           (unsigned long long)run.missed);
    fflush(stdout);
}

static void run_all(double seconds, uint64_t seed)
{
    const uint32_t count = sizeof(scenarios) / sizeof(scenarios[0]);

    for (uint32_t i = 0; i < count; i++) {
        run_scenario(&scenarios[i], seconds / count, seed + i);
    }
}

/* Whether the sanitizer reports the program without this barrier. Its words are not of interest. */
static bool is_reported(enum port_drop drop, uint64_t seed)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        if (freopen("/dev/null", "w", stdout) == NULL ||
            freopen("/dev/null", "w", stderr) == NULL) {
            _Exit(1);
        }
        port_drop = drop;
        run_all(DROP_SECONDS, seed);
        _Exit(0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == REPORTED;
}

static uint64_t number_of(const char *name, const char *text, uint64_t least, uint64_t most)
{
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value < least ||
        value > most) {
        fprintf(stderr, "threads: --%s %s: not a number from %llu to %llu\n", name, text,
                (unsigned long long)least, (unsigned long long)most);
        exit(2);
    }
    return value;
}

static void usage(FILE *to)
{
    fputs("usage: threads [--seconds S] [--seed N] [--drop BARRIER]\n\n"
          "Runs the engine on threads under the thread sanitizer.\n"
          "  --seconds S     for all scenarios together (default 10)\n"
          "  --seed N        of what the harts do (default 1); when is the machine's choice\n"
          "  --drop BARRIER  without before_doorbell, after_phase, after_mmio_read or that of\n"
          "                  shadow_store32: shows the report; without this option each is tried\n",
          to);
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"seconds", required_argument, NULL, 't'},
        {"seed", required_argument, NULL, 's'},
        {"drop", required_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const uint32_t drop_count = sizeof(drops) / sizeof(drops[0]);
    const uint32_t scenario_count = sizeof(scenarios) / sizeof(scenarios[0]);
    uint64_t seconds = 10, seed = 1;
    uint32_t failed = 0;
    int name;

    while ((name = getopt_long(argc, argv, "h", names, NULL)) != -1) {
        if (name == 't') {
            seconds = number_of("seconds", optarg, 1, 1000000);
        } else if (name == 's') {
            seed = number_of("seed", optarg, 0, UINT64_MAX);
        } else if (name == 'd') {
            while (port_drop < drop_count && strcmp(drops[port_drop], optarg) != 0) {
                port_drop++;
            }
        } else {
            usage(name == 'h' ? stdout : stderr);
            return name == 'h' ? 0 : 2;
        }
    }
    if (optind != argc || port_drop >= drop_count) {
        usage(stderr);
        return 2;
    }
    if (port_drop != PORT_DROP_NOTHING) {
        run_all((double)seconds, seed);
        return 0;
    }
    for (uint32_t i = PORT_DROP_NOTHING + 1; i < drop_count; i++) {
        bool reported = is_reported((enum port_drop)i, seed);

        printf("%-4s  without hal_%s: %s\n", reported ? "ok" : "FAIL", drops[i],
               reported ? "reported" : "not noticed");
        fflush(stdout);
        failed += !reported;
    }
    run_all((double)seconds, seed);
    block_run((uint32_t)seconds, seed);
    printf("%u passed, %u failed\n", scenario_count + drop_count - failed, failed);
    return failed == 0 ? 0 : 1;
}
