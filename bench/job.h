// SPDX-License-Identifier: MIT
/*
 * The job: fio's option names, lists of values, and the points that their product gives.
 */
#ifndef HARTQ_BENCH_JOB_H
#define HARTQ_BENCH_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nvme.h"
#include "raw.h"

enum {
    JOB_VALUES_MAX = 16,  /* of one list */
    JOB_POINTS_MAX = 512, /* points of one run */
    JOB_HARTS_MAX = 64,
    JOB_IODEPTH_MAX = 1023,
    JOB_WRITER_BS = 131072, /* bytes of a request of writer_iodepth */
    JOB_NAME_BYTES = 96,
};

/* The options that take a list; outermost loop first. */
enum job_list {
    JOB_LIST_RW,
    JOB_LIST_NUMJOBS,
    JOB_LIST_BS,
    JOB_LIST_IODEPTH,
    JOB_LIST_BATCH,
    JOB_LIST_RATE,
    JOB_LIST_DOORBELL,
    JOB_LIST_COMPLETION,
    JOB_LISTS,
};

/* The direction and the order of the requests. */
enum job_rw {
    JOB_READ,
    JOB_WRITE,
    JOB_READWRITE,
    JOB_RANDREAD,
    JOB_RANDWRITE,
    JOB_RANDRW,
};

/* How completions are found. */
enum job_completion {
    JOB_POLL,
    JOB_IRQ,
    JOB_HYBRID,
    JOB_RAW,      /* the bare device, without the engine: see raw.c */
    JOB_LOOPBACK, /* the engine alone, without the device: see loopback.h */
};

/* When a submission doorbell is rung. */
enum job_doorbell {
    JOB_EACH,    /* at each submit */
    JOB_CLOCKED, /* once the one before is fetched: clocked of struct nvme_queue_config */
    JOB_SHADOW,  /* at each submit, in memory: shadow_doorbells of struct nvme_config */
};

/* The arrival process of the open loop. */
enum job_process {
    JOB_LINEAR,
    JOB_POISSON,
};

/* One combination of the lists' values. */
struct job_point {
    enum job_rw rw;
    enum job_completion completion;
    enum job_doorbell doorbell;
    uint32_t bs; /* bytes */
    uint32_t iodepth;
    uint32_t batch; /* iodepth_batch_submit: most requests of a submit, 1 .. iodepth */
    uint32_t numjobs;
    uint32_t rate_iops; /* of each hart; 0: the closed loop */
    enum job_process process;
    uint32_t writers;             /* writes in flight beside, of one hart; 0: none */
    bool bursts;                  /* with thinktime */
    bool callback;                /* with post=callback */
    bool skipped;                 /* the machine cannot do it; a message was printed once */
    bool tried;                   /* completion=raw: raw_iops and raw_wait are those of this boot */
    uint64_t raw_iops[RAW_WAITS]; /* of each way to wait; 0: the machine does not have it */
    enum raw_wait raw_wait;       /* the fastest */
};

/* A run of the program. */
struct job {
    struct job_point points[JOB_POINTS_MAX];
    uint32_t point_count;
    uint32_t mode_count;          /* neighbours that differ only in doorbell and completion */
    const char *lists[JOB_LISTS]; /* the text of each option */
    uint64_t runtime_ns;          /* of the measured window */
    uint64_t ramp_ns;             /* before it */
    uint64_t thinktime_ns;        /* without requests before each burst; 0: one loop */
    uint64_t thinktime_iotime_ns; /* of a burst */
    uint64_t writer_iodepth;      /* writes in flight beside the requests */
    uint64_t number_ios;          /* ends a hart's window early; 0: never */
    uint64_t size;                /* bytes of the namespace in use, from offset; 0: the rest */
    uint64_t offset;              /* bytes */
    uint64_t randseed;            /* of hart 0; the other seeds derive from it */
    uint64_t rwmixread;           /* per cent of reads in a mix */
    uint64_t complete_min;        /* completions to wait for before posting again */
    uint64_t complete_max;        /* most completions of one reap; 0: all */
    uint64_t repetitions;
    uint64_t timeout_ns;    /* deadline of a command */
    uint64_t resets;        /* see nvme_config.resets_max */
    const char *controller; /* PCI address of the one to use; NULL: any */
    const char *serial;     /* serial number of those to use; NULL: any */
    unsigned rate_process;  /* enum job_process, of all points */
    unsigned verify;        /* index of the word; see job_verifies() */
    unsigned post;          /* 1: done() posts the next request */
    bool help;
};

/*
 * Reads the options and builds the points, completion innermost. On an error it prints a message
 * and returns false. With help or help=1 it prints the options, sets job->help and builds nothing.
 */
bool job_parse(struct job *job, int argc, char *const argv[]);

/* True with verify=crc32c, or 1: data are stamped and checked. */
static inline bool job_verifies(const struct job *job)
{
    return (job->verify & 1) != 0;
}

/* The words of rw=, completion=, doorbell= and rate_process=. */
const char *job_rw_word(enum job_rw rw);
const char *job_completion_word(enum job_completion completion);
const char *job_doorbell_word(enum job_doorbell doorbell);
const char *job_process_word(enum job_process process);

/* True if its loop takes no latencies, and counts requests alone. */
static inline bool job_only_counts(const struct job_point *point)
{
    return point->completion == JOB_RAW || point->callback;
}

/* Bytes of the largest request of a point. */
static inline uint32_t job_largest_bs(const struct job_point *point)
{
    return point->writers != 0 && point->bs < JOB_WRITER_BS ? JOB_WRITER_BS : point->bs;
}

/* The most requests of a hart. */
static inline uint32_t job_hart_requests(const struct job_point *point)
{
    return point->iodepth + point->writers;
}

/* The most bytes of their buffers. */
static inline size_t job_hart_bytes(const struct job_point *point)
{
    return (size_t)point->iodepth * point->bs + (size_t)point->writers * JOB_WRITER_BS;
}

/* The mode that a point's queues are opened in. */
enum nvme_mode job_queue_mode(const struct job_point *point);

/* A name such as randread-4k-qd32-b1-poll; several harts add their number, the open loop its
 * rate: randread-4k-qd32-b1-h4-r5000-poisson-irq. Another doorbell than clocked ends it: -each. */
void job_name(const struct job_point *point, char name[JOB_NAME_BYTES]);

#endif
