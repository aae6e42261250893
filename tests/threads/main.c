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
#include "nvme_hal.h"
#include "scenario.h"

enum {
    REPORTED = 66, /* exit status of the sanitizer */
    DROP_SECONDS = 2,
};

static const char *const drops[] = {"", "before_doorbell", "after_phase", "after_mmio_read",
                                    "shadow_store32"};

enum port_drop port_drop;
_Thread_local struct port_order port_order;

/* Any report is an error of the engine, or of these files. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "halt_on_error=1 exitcode=66 second_deadlock_stack=1";
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
        scenarios_run(DROP_SECONDS, seed);
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
    uint64_t seconds = 10, seed = 1;
    uint32_t passed = 1; /* the block device */
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
        scenarios_run((double)seconds, seed);
        return 0;
    }
    for (uint32_t i = PORT_DROP_NOTHING + 1; i < drop_count; i++) {
        bool reported = is_reported((enum port_drop)i, seed);

        printf("%-4s  without hal_%s: %s\n", reported ? "ok" : "FAIL", drops[i],
               reported ? "reported" : "not noticed");
        fflush(stdout);
        passed += reported;
        failed += !reported;
    }
    passed += scenarios_run((double)seconds, seed);
    block_run((uint32_t)seconds, seed);
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
