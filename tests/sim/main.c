// SPDX-License-Identifier: MIT
/*
 * build/sim: runs seeds, one world each, and says what the first wrong one did.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sim.h"

enum {
    HANG_SECONDS = 60,   /* of one seed, which takes a fraction of one */
    PROGRESS_SEEDS = 20, /* between two lines of progress */
};

/* What the command line asks for. */
struct options {
    uint64_t seed;
    uint64_t seeds;   /* how many, 0: as long as the time lasts */
    uint64_t seconds; /* 0: as many seeds as named */
    uint32_t faults;  /* a mask, 0: the seed's own choice */
};

/* Sums over all seeds. */
struct totals {
    uint64_t seeds;
    uint64_t ios;
    uint64_t bytes;
    uint64_t resets;
    uint64_t stale, stale_sent;
    uint64_t misuses;
    uint64_t maps, map_failures, bounces;
    uint64_t dropped, recovered;
    uint64_t waited_ms[SIM_WAIT_MS + 1];
    uint64_t failures[SIM_KINDS];
    uint64_t tried[FAULT_CLASSES + 1]; /* seeds in which a class was injected */
    uint64_t injected[FAULT_CLASSES + 1];
    double seconds;
};

static struct sim sim;
static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* A crash or a hang: the seed must not be lost with it. */
static void on_crash(int number)
{
    char text[96];
    int length = snprintf(text, sizeof(text), "\nsim: %s in seed %" PRIu64 "\n",
                          number == SIGALRM ? "hangs" : "crashes", sim.seed);

    if (write(STDERR_FILENO, text, (size_t)length) != length) {
        _exit(3);
    }
    signal(SIGABRT, SIG_DFL);
    abort();
}

/* The sanitizers end through abort(), so that the seed is named. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "abort_on_error=1:detect_leaks=0";
}

static double now_s(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static bool is_tried(uint32_t number)
{
    return sim_faults[number].prepare != NULL || sim_faults[number].inject != NULL;
}

static void usage(FILE *to)
{
    fputs("usage: sim [--seed N] [--seeds COUNT] [--seconds S] [--fault CLASS]...\n\n"
          "Runs the engine against a model controller; chance comes from the seed alone.\n"
          "  --seed N       the first seed (default 1); alone: that one only\n"
          "  --seeds COUNT  how many seeds, from the first on\n"
          "  --seconds S    goes on with further seeds for so long\n"
          "  --fault CLASS  this class instead of the seed's own choice; may be repeated\n\n"
          "fault classes:\n",
          to);
    for (uint32_t i = 1; i <= FAULT_CLASSES; i++) {
        fprintf(to, "  %2u %s%s: %s: %s\n", i, fault_table[i].what,
                is_tried(i) ? "" : " (not tried here)", fault_table[i].match,
                fault_table[i].action);
    }
}

static uint64_t number_of(const char *name, const char *text, uint64_t least, uint64_t most)
{
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value < least ||
        value > most) {
        fprintf(stderr, "sim: --%s %s: not a number from %" PRIu64 " to %" PRIu64 "\n", name, text,
                least, most);
        exit(2);
    }
    return value;
}

static struct options parse(int argc, char **argv)
{
    static const struct option names[] = {
        {"seed", required_argument, NULL, 's'},    {"seeds", required_argument, NULL, 'n'},
        {"seconds", required_argument, NULL, 't'}, {"fault", required_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
    };
    struct options options = {.seed = 1};
    int name;

    while ((name = getopt_long(argc, argv, "h", names, NULL)) != -1) {
        switch (name) {
        case 's':
            options.seed = number_of("seed", optarg, 0, UINT64_MAX);
            break;
        case 'n':
            options.seeds = number_of("seeds", optarg, 1, UINT64_MAX);
            break;
        case 't':
            options.seconds = number_of("seconds", optarg, 1, 1000000);
            break;
        case 'f':
            options.faults |= UINT32_C(1) << (number_of("fault", optarg, 1, FAULT_CLASSES) - 1);
            break;
        default:
            usage(name == 'h' ? stdout : stderr);
            exit(name == 'h' ? 0 : 2);
        }
    }
    if (optind != argc) {
        fprintf(stderr, "sim: '%s': not an option\n", argv[optind]);
        exit(2);
    }
    if (options.seeds == 0 && options.seconds == 0) {
        options.seeds = 1;
    }
    return options;
}

static void add(struct totals *totals)
{
    totals->seeds++;
    totals->ios += sim.ios;
    totals->bytes += sim.bytes;
    totals->resets += sim.resets;
    totals->stale += sim.stale;
    totals->stale_sent += sim.stale_sent;
    totals->misuses += sim.misuses;
    totals->maps += sim.maps;
    totals->map_failures += sim.map_failures;
    totals->bounces += sim.bounces;
    totals->dropped += sim.dropped;
    totals->recovered += sim.recovered;
    for (uint32_t i = 0; i <= SIM_WAIT_MS; i++) {
        totals->waited_ms[i] += sim.waited_ms[i];
    }
    totals->failures[sim.kind] += sim.failure[0] != '\0';
    for (uint32_t i = 1; i <= FAULT_CLASSES; i++) {
        totals->tried[i] += sim.injected[i] != 0;
        totals->injected[i] += sim.injected[i];
    }
}

/* So many ms, or less, took this part of the waits for an interrupt that was lost. */
static uint32_t wait_of(const struct totals *totals, uint32_t percent)
{
    uint64_t sum = 0;
    uint32_t ms = 0;

    while (ms < SIM_WAIT_MS && (sum += totals->waited_ms[ms]) * 100 < totals->recovered * percent) {
        ms++;
    }
    return ms;
}

static void print_totals(const struct totals *totals)
{
    uint64_t injected = 0;

    printf("\n%-6s %-50s %10s %10s\n", "class", "fault", "injected", "seeds");
    for (uint32_t i = 1; i <= FAULT_CLASSES; i++) {
        if (!is_tried(i)) {
            printf("%-6u %-50s %10s\n", i, fault_table[i].what, "not tried");
        } else {
            printf("%-6u %-50s %10" PRIu64 " %10" PRIu64 "\n", i, fault_table[i].what,
                   totals->injected[i], totals->tried[i]);
            injected += totals->injected[i];
        }
    }
    printf("%" PRIu64 " controllers reset by the engine, with I/O in flight\n", totals->resets);
    printf("%" PRIu64 " faults injected, %" PRIu64 " hung, %" PRIu64 " wrong data, %" PRIu64
           " touches of released memory\n",
           injected, totals->failures[SIM_HUNG], totals->failures[SIM_WRONG_DATA],
           totals->failures[SIM_TOUCHED]);
    printf("%" PRIu64 " lost interrupts told of an entry, %" PRIu64
           " recovered, 99 %% within %u ms\n",
           totals->dropped, totals->recovered, wait_of(totals, 99));
    printf("%" PRIu64 " unmatched entries, %" PRIu64 " refused; %" PRIu64
           " calls that must be refused\n",
           totals->stale_sent, totals->stale, totals->misuses);
    printf("%" PRIu64 " times data to be mapped for a device, %" PRIu64
           " times without room; %" PRIu64 " requests copied\n",
           totals->maps, totals->map_failures, totals->bounces);
    printf("%" PRIu64 " seeds, %" PRIu64 " requests, %.1f GB compared in %.1f s: %.2f million "
           "requests a minute\n",
           totals->seeds, totals->ios, (double)totals->bytes / 1e9, totals->seconds,
           (double)totals->ios / totals->seconds * 60 / 1e6);
}

static void print_failure(const struct options *options)
{
    printf("\nseed %" PRIu64 ": %s\n\nwhat led to it:\n", sim.seed, sim.failure);
    world_print_notes(stdout);
    printf("\nreplay: build/sim --seed %" PRIu64, sim.seed);
    for (uint32_t i = 1; options->faults != 0 && i <= FAULT_CLASSES; i++) {
        if ((options->faults >> (i - 1) & 1) != 0) {
            printf(" --fault %u", i);
        }
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    struct options options = parse(argc, argv);
    struct totals totals = {0};
    double begin = now_s();
    bool good = true;

    signal(SIGINT, on_interrupt);
    signal(SIGABRT, on_crash);
    signal(SIGSEGV, on_crash);
    signal(SIGALRM, on_crash);
    for (uint64_t i = 0; good && !interrupted && (options.seeds == 0 || i < options.seeds); i++) {
        totals.seconds = now_s() - begin;
        if (options.seconds != 0 && totals.seconds >= (double)options.seconds) {
            break;
        }
        alarm(HANG_SECONDS);
        sim_run(&sim, options.seed + i, options.faults);
        good = sim_good(&sim);
        add(&totals);
        if (!good) {
            print_failure(&options);
        }
        sim_free(&sim);
        if (isatty(STDERR_FILENO) && i % PROGRESS_SEEDS == 0) {
            fprintf(stderr, "\rseed %" PRIu64 ", %" PRIu64 " requests, %.0f s ", options.seed + i,
                    totals.ios, totals.seconds);
        }
    }
    totals.seconds = now_s() - begin;
    print_totals(&totals);
    sim_requests_free(&sim);
    printf("%d passed, %d failed\n", (int)(totals.seeds - !good), (int)!good);
    return good ? 0 : 1;
}
