/* SPDX-License-Identifier: MIT */
/* What was counted, window by window, and the line that says it. */
#ifndef INSTRUCTIONS_FIGURES_H
#define INSTRUCTIONS_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

#include "nvme.h"

enum {
    WINDOWS = 100, /* unless `windows=N` says fewer, for a trace; then of one queue alone */
};

/* One configuration. */
struct setup {
    enum nvme_mode mode;
    uint32_t queues; /* configured; the first is measured */
    uint32_t batch;  /* requests posted, rung for and reaped at once */
    uint32_t bytes;  /* of each request */
    bool asleep;     /* hybrid mode: its policy is to sleep, as in interrupt mode */
    bool clocked;    /* the doorbell; nothing is in flight, so that it rings at once */
};

/* What is counted apart. */
enum part {
    SUBMIT,
    ARM,       /* hybrid mode: the question that begins a wait, awake or asleep */
    REAP,      /* one reap; in hybrid mode with the question before it that finds the completion */
    INTERRUPT, /* from interrupts on to back from the trap; shared line: the IRQ hart's part */
    ANSWER,    /* a shared line: an owner that has been interrupted, without its trap */
    END,       /* shared line: the IRQ hart takes an IPI and opens the line, until back */
    PARTS,
};

/* Windows of each configuration, 1 to WINDOWS. */
extern uint32_t windows;

/* Instructions of each window; 0 in the first one says that the part is not counted. */
extern uint64_t figures[PARTS][WINDOWS];

/* Takes the program's words. False, and nothing is changed, for anything but one `windows=N`. */
bool parse_windows(int count, char **words);

/* One JSON line: the smallest and the median of each part. Sorts the figures. */
void print_figures(const struct setup *setup, const char *delivery);

#endif
