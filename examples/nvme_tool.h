// SPDX-License-Identifier: MIT
/*
 * The nvme tool's shared declarations: options, jobs, commands and data.
 *
 * nvme.c has the command line, nvme_table.c its tables, nvme_commands.c the commands that move
 * data. nvme_jobs.c is the loop that keeps every queue full, nvme_setup.c the preparation and the
 * end of a job, nvme_data.c has the checksum and the pattern. nvme_identify.c describes a
 * controller, nvme_watch.c tells a device's events, nvme_logs.c its health. nvme_pass.c has the
 * admin commands that the user composes, nvme_io.c one I/O command, nvme_sweep.c those that the
 * device executes over a run of blocks.
 */
#ifndef HARTQ_NVME_TOOL_H
#define HARTQ_NVME_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json.h"
#include "nvme_admin.h"
#include "options.h"
#include "storage.h"

/* ---- Options -------------------------------------------------------------------------- */

/* How a command tells: index into the words normal, json. */
enum tool_format { FORMAT_NORMAL, FORMAT_JSON };

/* Who copies: index into the words host, device. */
enum tool_by { BY_HOST, BY_DEVICE };

/* The options of all commands; a command accepts those in its table. Bytes, blocks, ns. */
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
    uint64_t runtime;       /* of watch */
    uint64_t events;        /* watch ends after so many; 0: after its time */
    const char *controller; /* PCI address; NULL: any */
    const char *serial;     /* NULL: any */
    unsigned completion;    /* index into the words poll, irq, hybrid */
    unsigned format;        /* enum tool_format */
    unsigned by;            /* enum tool_by */
    bool hex;
    bool unchecked;
    bool deallocate;  /* DEAC of write-zeroes, AD of dsm */
    bool idr, idw;    /* hints of dsm */
    bool read, write; /* which way the data of a pass-through go */
    bool save;        /* of set-feature */
    bool rae;         /* of get-log: the device's events stay as they are */
    uint64_t cdw[16]; /* dwords of a command: 2, 3, 10 to 15 */
    uint64_t opcode;
    uint64_t data_len; /* bytes */
    uint64_t feature;
    uint64_t sel;
    uint64_t value;
    uint64_t log;
    uint64_t log_len; /* bytes */
    uint64_t lpo;
    uint64_t lsp;
    uint64_t cns;
    uint64_t cntid;
    uint64_t csi;
};

/* ---- nvme_table.c --------------------------------------------------------------------- */

#define COUNT_NONE UINT64_MAX /* count= was not given; an option cannot be so large */

/* A command: how it is typed, and what runs it. */
struct command {
    const char *name;
    const char *help;
    struct option_table table;
    int (*run)(const struct options *options);
    bool alone;       /* one request at a time, on one hart */
    bool needs_count; /* count= is required: the default would overwrite everything */
    uint8_t cns;      /* the default of cns= */
};

enum { COMMANDS_MAX = 32 };
extern const struct command commands[];
extern const size_t command_count;
extern const struct options default_options;

/* ---- Jobs ----------------------------------------------------------------------------- */

struct worker;

/* The command of a chunk that the device executes. CHUNK_IDLE: none yet. */
enum chunk_stage { CHUNK_IDLE, CHUNK_READING, CHUNK_WRITING, CHUNK_FLUSHING };

/*
 * A run of blocks that passes through one buffer. Only its worker's hart writes it: in the trap
 * from post to the callback, else in the thread.
 */
struct chunk {
    struct worker *worker;
    struct chunk *next; /* in the worker's list */
    uint8_t *buffer;
    uint64_t first;  /* block, counted from the job's first */
    uint32_t blocks; /* 1 .. job->chunk_blocks; the job's last chunk may be shorter */
    enum chunk_stage stage;
    bool again; /* the queue was full: post once more */
};

/*
 * The properties of a job. The thread calls digest after a chunk was read, and prepare before it is
 * written. A job with neither posts its next command in the callback. Hart 0 calls check after a
 * job in which no command failed.
 */
struct job_kind {
    const char *verb; /* "copied" */
    bool reads;
    bool writes;
    bool flushes; /* one command without data, and nothing else */
    void (*prepare)(struct worker *worker, const struct chunk *chunk);
    void (*digest)(struct worker *worker, const struct chunk *chunk);
    bool (*check)(void); /* false: the data are wrong, and a message was printed */
};

/* A command that failed. */
struct failure {
    enum nvme_error error; /* NVME_OK: none */
    uint16_t status;
    enum chunk_stage stage;
    uint64_t lba;
    uint32_t blocks;
};

/* The wrong blocks that check found. */
struct mismatch {
    uint64_t blocks; /* how many; 0: the other fields are not set */
    uint64_t lba;    /* the first of them */
    uint32_t byte;   /* in that block */
    uint8_t found;
    uint8_t expected;
};

/* The work of one hart: queue and chunks. Written on its hart, read by hart 0 after the end. */
struct worker {
    _Alignas(64) struct job *job;
    struct storage_queue *queue;
    struct chunk *chunks; /* job->depth of them */
    struct chunk *ready;  /* the thread takes the first; the trap appends */
    struct chunk **ready_end;
    uint64_t next_chunk;      /* number of the next chunk; the harts take turns */
    volatile uint32_t active; /* chunks that have not ended */
    bool stalled;             /* the queue was full: no post before a completion */
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
    bool stop;      /* a command failed: begin no other. Atomic, relaxed: only a hint */
    uint32_t worker_count;
    struct worker workers[STORAGE_HARTS_MAX];
    uint8_t *memory; /* the buffers and the guards between them */
    size_t memory_bytes;
    size_t stride_bytes; /* from one buffer to the next */
    uint64_t give_up_ns; /* time without a completion after which a worker gives up */
    uint64_t elapsed_ns;
};

/* The storage configuration that the options describe. */
struct storage_config storage_wanted(const struct options *options);

/*
 * Opens the storage with the queues that the options name. Prints what is wrong, or which value was
 * reduced. On true the caller closes job->storage.
 */
bool job_open(struct job *job, const struct options *options);

/* True if count blocks from lba lie inside the namespace, else prints why. 0 blocks: the rest. */
bool job_check_range(const struct job *job, const char *name, uint64_t lba, uint64_t *count);

/*
 * Runs a job whose kind, from, to and count are set, on the harts of the open storage. Prints what
 * failed. Once per open.
 */
bool job_run(struct job *job);

/* Runs one hart's share of the job to its end. Context: the worker's hart. */
void worker_run(struct worker *worker);

/*
 * True if `failure` is the one to print, not `other`, which may be none. A cause precedes its
 * consequence (a post on a queue that failed). A low LBA precedes a high one.
 */
bool failure_precedes(const struct failure *failure, const struct failure *other);

/* ---- Commands ------------------------------------------------------------------------- */

/* Each runs a command, prints its result or its error, and returns the exit status. */
int run_identify(const struct options *options);
int run_read(const struct options *options);
int run_crc(const struct options *options);
int run_copy(const struct options *options);
int run_fill(const struct options *options);
int run_check(const struct options *options);
int run_flush(const struct options *options);
int run_watch(const struct options *options);
int run_smart(const struct options *options);
int run_errors(const struct options *options);
int run_changed(const struct options *options);
int run_reset(const struct options *options);
int run_get_feature(const struct options *options);
int run_set_feature(const struct options *options);
int run_get_log(const struct options *options);
int run_identify_page(const struct options *options);
int run_admin_passthru(const struct options *options);
int run_io_passthru(const struct options *options);
int run_write_zeroes(const struct options *options);
int run_dsm(const struct options *options);
int run_compare(const struct options *options);
int run_verify(const struct options *options);
int run_device_copy(const struct options *options);

/* True if source and target of a copy do not overlap, else prints why. */
bool copy_check_apart(uint64_t from, uint64_t to, uint64_t count);

/* What is told of a controller that storage_survey visits without its engine. */
#define NO_ENGINE "bring-up failed, a note has the reason"

/* ---- Pages ---------------------------------------------------------------------------- */

/*
 * Executes an admin command that reads size_bytes into data, cleared before. False: an error was
 * printed, which begins with `what`.
 */
bool device_read(struct nvme_controller *controller, const struct nvme_command *command,
                 uint8_t *data, uint32_t size_bytes, const char *what);

/* As device_read, of Identify data. */
bool device_identify(struct nvme_controller *controller, enum nvme_cns cns, uint32_t nsid,
                     uint8_t data[NVME_IDENTIFY_BYTES], const char *what);

/*
 * Brings up the controllers that the options allow, one after another, and calls visit with each.
 * With json around the calls: a document with an array of controllers. Returns the exit status.
 */
int survey_print(struct storage *storage, const struct options *options, storage_visit *visit,
                 void *arg, struct json *json);

/* What one I/O command at a time needs: a queue, a namespace, memory for data. */
struct io {
    struct job job; /* its storage is open */
    const struct nvme_namespace *ns;
    uint8_t *data; /* a page, or what was asked for */
};

/* Opens the storage and takes the memory; 0 bytes: a page. NULL: an error was printed. */
struct io *io_begin(const struct options *options, uint64_t data_bytes);

/* Executes a command with so many bytes of io->data. False: an error was printed. */
bool io_run(const struct nvme_command *command, uint32_t bytes, const char *name, uint64_t lba,
            uint32_t count);

/* Closes the storage; the exit status. */
int io_finish(bool good);

/* The command that opcode= and cdw..= describe. */
struct nvme_command passthru_command(const struct options *options);

/* True if data-len=, read= and write= fit each other and the limit, else prints why. */
bool passthru_check(const struct options *options, uint64_t limit);

/* ---- Data ----------------------------------------------------------------------------- */

/* Fills the tables. Once, before crc_of and crc_shift. */
void crc_init(void);

/* CRC-32 as zlib's of size bytes (a multiple of 8) at data (dword aligned). */
uint32_t crc_of(const void *data, size_t size);

/*
 * The contribution of a part to the CRC of the whole: the part's own CRC, shifted by the number of
 * bytes after the part. The exclusive or of all contributions is the CRC of the whole.
 */
uint32_t crc_shift(uint32_t crc, uint64_t bytes_behind);

/*
 * Fills data with the pattern: little-endian 64-bit words, splitmix64 of the seed and of the word's
 * number in the namespace. position and size are multiples of 8, data is dword aligned.
 */
void pattern_fill(void *data, size_t size, uint64_t seed, uint64_t position);

/* The offset of the first byte that is not the pattern's (*expected is), or size. */
size_t pattern_compare(const void *data, size_t size, uint64_t seed, uint64_t position,
                       uint8_t *expected);

/* Adds size bytes to a document, a text of hexadecimal digits for each 32. */
void hex_print_json(struct json *json, const char *name, const uint8_t *data, size_t size);

/* Prints size bytes in lines of 16, numbered from `position`, with their characters. */
void hex_print(const uint8_t *data, size_t size, uint64_t position);

#endif
