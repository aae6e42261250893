// SPDX-License-Identifier: MIT
/*
 * The jobs of the loop: a job file of fio's, of which it takes the options that it knows.
 */
#ifndef HARTQ_LOOP_JOB_H
#define HARTQ_LOOP_JOB_H

#include <stdbool.h>
#include <stdint.h>

enum {
    JOB_DEPTH_MAX = 256,
    JOB_COUNT_MAX = 32,
    JOB_NAME_BYTES = 64,
    COUNT_WINDOWS_MAX = 1000,
    JOB_BLOCK_BYTES = 4096, /* of each read: the only size */
};

/* How completions are found. */
enum job_mode {
    JOB_INTERRUPTS,
    JOB_POLLED,
    JOB_HYBRID, /* the kernel sleeps for half the usual time, then it polls: Linux 6.13 */
};

struct job {
    char name[JOB_NAME_BYTES];
    char device[JOB_NAME_BYTES]; /* a generic NVMe device; "none": io_uring's own no-operation */
    enum job_mode mode;
    uint32_t depth;
    uint32_t batch; /* commands of a submitting call */
    uint32_t least; /* completions that a wait asks for */
    uint32_t ramp_ms;
    uint32_t runtime_ms;
    uint32_t count; /* 0, or windows in which instructions are counted instead of time */
};

/* Ends the program with an error message: what, and which text or device. Never returns. */
_Noreturn void job_fail(const char *what, const char *which);

/* Reads the jobs of a file into `jobs`, JOB_COUNT_MAX of them; returns how many there are. */
uint32_t job_read(const char *path, struct job *jobs);

#endif
