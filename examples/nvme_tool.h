// SPDX-License-Identifier: MIT
/*
 * What the files of the nvme tool share: options, jobs and what a job does with its data.
 *
 * nvme.c has the commands and their options, nvme_commands.c what each of them does, nvme_jobs.c
 * the loop that keeps every queue full, nvme_setup.c what stands before and after it, nvme_data.c
 * the checksum and the pattern, nvme_identify.c the description of a controller.
 */
#ifndef HARTQ_NVME_TOOL_H
#define HARTQ_NVME_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage.h"

/* ---- Options -------------------------------------------------------------------------- */

/* Every option of every command; a command takes those its table names. Bytes, blocks, ns. */
struct options {
    uint64_t lba;
    uint64_t count; /* blocks; 0: the rest of the namespace */
    uint64_t from;
    uint64_t to;
    uint64_t seed;
    uint64_t harts;
    uint64_t iodepth;
    uint64_t bs;
    uint64_t offset; /* of each buffer inside its page */
    uint64_t nsid;   /* 0: the first namespace that can be used */
    uint64_t max_transfer;
    uint64_t timeout;       /* of one command */
    const char *controller; /* PCI address; NULL: any */
    const char *serial;     /* NULL: any */
    unsigned completion;    /* index into the words poll, irq, hybrid */
    bool hex;
    bool unchecked;
};

/* ---- Jobs ----------------------------------------------------------------------------- */

struct worker;

/* What a chunk does at the device, or that it has not begun. */
enum chunk_stage { CHUNK_IDLE, CHUNK_READING, CHUNK_WRITING, CHUNK_FLUSHING };

/*
 * A run of blocks on its way through one buffer. Written by its worker's hart alone: in the trap
 * from post to the callback, else in the thread.
 */
struct chunk {
    struct worker *worker;
    struct chunk *next; /* in the worker's list */
    uint8_t *buffer;
    uint64_t first;  /* block, counted from the job's beginning */
    uint32_t blocks; /* 1 .. job->chunk_blocks; the job's last chunk may be shorter */
    enum chunk_stage stage;
    bool again; /* the queue was full: post once more */
};

/*
 * What makes one job different from another. digest is called in the thread with what was read,
 * prepare with what will be written; a job with neither posts its next command in the callback.
 * check is asked on hart 0 after the end of a job in which nothing failed.
 */
struct job_kind {
    const char *verb; /* "copied" */
    bool reads;
    bool writes;
    bool flushes; /* one command without data, and nothing else */
    void (*prepare)(struct worker *worker, const struct chunk *chunk);
    void (*digest)(struct worker *worker, const struct chunk *chunk);
    bool (*check)(void); /* false: what was read is wrong, and that was said */
};

/* A command that failed. */
struct failure {
    enum nvme_error error; /* NVME_OK: none */
    uint16_t status;
    enum chunk_stage stage;
    uint64_t lba;
    uint32_t blocks;
};

/* What verify found. */
struct mismatch {
    uint64_t blocks; /* wrong ones; 0: none, and the rest is not written */
    uint64_t lba;    /* the first of them */
    uint32_t byte;   /* in that block */
    uint8_t found;
    uint8_t expected;
};

/* A hart at work: its queue, its chunks. Written on its hart, read by hart 0 after the end. */
struct worker {
    _Alignas(64) struct job *job;
    struct storage_queue *queue;
    struct chunk *chunks; /* job->depth of them */
    struct chunk *ready;  /* first to be taken by the thread; the trap puts at the end */
    struct chunk **ready_end;
    uint64_t next_chunk;      /* to begin with; the harts take turns */
    volatile uint32_t active; /* chunks that have not come to their end */
    bool stalled;             /* the queue was full: nothing can be posted before a completion */
    volatile uint64_t completions;
    bool abandoned; /* the controller kept its requests past every deadline */
    struct failure failure;
    uint32_t crc;
    struct mismatch mismatch;
};

/* One command's work over all queues. */
struct job {
    const struct job_kind *kind;
    const struct options *options;
    struct storage storage;
    uint64_t from; /* first block read */
    uint64_t to;   /* first block written */
    uint64_t count;
    uint32_t block_bytes;
    uint32_t chunk_blocks;
    uint32_t depth; /* chunks in flight per hart */
    bool stop;      /* a command failed: begin no other. Atomic, relaxed: a hint to all harts */
    uint32_t worker_count;
    struct worker workers[STORAGE_HARTS_MAX];
    uint8_t *memory; /* the buffers and the guards between them */
    size_t memory_bytes;
    size_t stride_bytes; /* from one buffer to the next */
    uint64_t give_up_ns; /* without a completion: no deadline of the engine is left to pass */
    uint64_t elapsed_ns;
};

/* What the options want of the storage. */
struct storage_config storage_wanted(const struct options *options);

/*
 * Opens the storage with the queues that the options name. Said on the console: what is wrong, or
 * what has become smaller. On true the caller closes job->storage.
 */
bool job_open(struct job *job, const struct options *options);

/* True if count blocks from lba lie inside the namespace; said otherwise. 0 blocks: the rest. */
bool job_check_range(const struct job *job, const char *name, uint64_t lba, uint64_t *count);

/*
 * Runs a job whose kind, from, to and count are set, on the harts of the open storage. Says what
 * failed. Once per open.
 */
bool job_run(struct job *job);

/* Keeps one hart's share of the job in flight until all of it has ended. On the worker's hart. */
void worker_run(struct worker *worker);

/*
 * True if a failure is the one to be named rather than the other, which may be none: a cause comes
 * before what it has led to (a post on a queue that failed), then a low LBA before a high one.
 */
bool failure_precedes(const struct failure *failure, const struct failure *other);

/* ---- Commands ------------------------------------------------------------------------- */

/* Each returns the machine's exit status and says what it did, or why not. */
int run_identify(const struct options *options);
int run_read(const struct options *options);
int run_crc(const struct options *options);
int run_copy(const struct options *options);
int run_fill(const struct options *options);
int run_verify(const struct options *options);
int run_flush(const struct options *options);

/* ---- Data ----------------------------------------------------------------------------- */

/* Fills the tables. Once, before crc_of and crc_shift. */
void crc_init(void);

/* CRC-32 as zlib's of size bytes (a multiple of 8) at data (dword aligned). */
uint32_t crc_of(const void *data, size_t size);

/*
 * What a part contributes to the CRC of the whole: the part's own, shifted over the bytes that
 * follow it. The CRC of the whole is the exclusive or of its parts' contributions in any order.
 */
uint32_t crc_shift(uint32_t crc, uint64_t bytes_behind);

/*
 * The pattern: little-endian words of 64 bits, splitmix64 of the seed and of the word's number from
 * the beginning of the namespace. position and size are multiples of 8, data is dword aligned.
 */
void pattern_fill(void *data, size_t size, uint64_t seed, uint64_t position);

/* The offset of the first byte that is not the pattern's (*expected is), or size. */
size_t pattern_compare(const void *data, size_t size, uint64_t seed, uint64_t position,
                       uint8_t *expected);

/* Prints size bytes in lines of 16, numbered from `position`, with their characters. */
void hex_print(const uint8_t *data, size_t size, uint64_t position);

#endif
