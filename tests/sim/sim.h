// SPDX-License-Identifier: MIT
/*
 * A simulation: harts, controllers and interrupt lines driven by one seed against the unchanged
 * engine, every byte compared with a shadow copy of the backing.
 *
 * harts.c IPIs those that share a line, controller.c brings controllers up and down, workload.c
 * posts and judges what ends, schedule.c lets the device and time go on, interrupts.c serves, waits
 * and changes modes, faults.c breaks the
 * device, main.c counts. What is wrong ends the run of the seed through sim_fail; the model's
 * findings do so too.
 */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "model.h"
#include "nvme.h"
#include "nvme_segments.h"
#include "random.h"

enum {
    SIM_CONTROLLERS = 3,
    SIM_QUEUES = 3,
    SIM_HARTS = 4,
    /* What interrupts: a line each, then a vector for each queue. */
    SIM_SOURCES = SIM_CONTROLLERS + SIM_CONTROLLERS * SIM_QUEUES,
    SIM_REQUESTS = 96,
    SIM_GUARD_BYTES = 64,
    SIM_BUFFER_BYTES = 192 * 1024, /* most of one request */
    SIM_LARGE_BYTES = 5 << 20,     /* of the one request of a seed with chained lists */
    SIM_WAIT_MS = 1000,            /* longer waits count as this */
    SIM_BLOCKS = 1024,             /* of a controller, but for a large one */
    SIM_SEGMENTS = 2,              /* of a request that is posted as a list */
    SIM_TEXT_BYTES = 200,
};

/* What a failure is. */
enum sim_kind {
    SIM_RULE, /* a rule of the engine or of the model is broken */
    SIM_HUNG,
    SIM_WRONG_DATA,
    SIM_TOUCHED, /* memory that was not given, or was given back */
    SIM_KINDS,
};

struct sim;
struct sim_controller;

/* One queue of a controller. */
struct sim_queue {
    struct sim_controller *controller;
    struct nvme_queue *engine;
    uint32_t index;
    uint32_t owner; /* a hart: the IRQ hart, unless the line is shared */
    uint32_t depth_entries;
    uint32_t outstanding; /* requests; parts do not count */
    bool open;
    bool closing;
    bool interrupts;  /* opened to interrupt: its mode may change */
    bool submitted;   /* nothing was posted since, but by callbacks */
    uint64_t awaited; /* so many consumed entries make up for a lost interrupt; 0: none is lost */
    uint64_t lost_ns; /* sim.watched_ns when it was lost, */
    uint64_t lost_start; /* and how often the controller had started */
};

/* One request, and the memory around its buffer: poison while the engine has no business there. */
struct sim_request {
    struct sim *sim;
    struct sim_queue *queue; /* NULL while idle */
    uint8_t *memory;
    size_t memory_bytes;
    uint8_t *buffer;
    uint32_t size_bytes; /* 0 for a flush */
    uint8_t opcode;
    uint64_t lba;
    uint32_t blocks;
    uint64_t pattern;                           /* of the data to write */
    struct nvme_segment segments[SIM_SEGMENTS]; /* of the buffer, if it is posted as a list */
    uint64_t posted_at;                         /* by its controller's clock, see power.c */
};

/* One controller with its line, its backing's shadow and what is known of its health. */
struct sim_controller {
    struct sim *sim;
    struct model *model;
    struct nvme_config config;
    struct nvme_memory memory;
    struct nvme_controller *engine; /* NULL while closed */
    struct nvme_namespace ns;
    struct sim_queue queues[SIM_QUEUES];
    uint32_t queue_count;
    uint32_t line;     /* index in sim.lines; not used with MSI-X */
    uint32_t irq_hart; /* the hart that takes its interrupts and administrates it */
    uint8_t *shadow;
    uint8_t *busy; /* per block: readers, or BLOCK_WRITTEN */
    bool may_fail; /* a fault may end it: errors of the controller are no violation then */
    bool dead;     /* its engine has given it up */
    bool failed;   /* an event said so: nothing is posted any more */
    bool lost;     /* the device could not be stopped: its requests never end */
    uint64_t stale, malformed;           /* counted by the engine in queues closed since */
    uint64_t stale_sent, malformed_sent; /* by the faults: stale ones, malformed ones */
    bool counts_exact;                   /* no entry can have been lost with a queue */
    bool interrupts_lost;                /* dropped on purpose: only the watchdog finds the rest */
    uint64_t clock, promised_at;   /* by posts and ends; the post of the last flush that ended */
    uint64_t acked_at[SIM_BLOCKS]; /* the last write of each block; 0: it is durable */
};

/* A run of one seed. */
struct sim {
    struct random random;
    struct random bus; /* of posted writes, apart: without them a seed's course stays as it was */
    uint64_t seed;
    uint32_t faults; /* a bit per class that is in use */
    struct sim_controller controllers[SIM_CONTROLLERS];
    uint32_t controller_count;
    struct model_line lines[SIM_CONTROLLERS];
    uint32_t irq_harts[SIM_CONTROLLERS]; /* of the lines: harts */
    bool masks[SIM_CONTROLLERS]; /* of the lines: whether the handler masks them meanwhile */
    bool posted;                 /* register writes are on their way for a while */
    uint32_t ipi_taken;          /* a bit per hart that an IPI is on its way to */
    uint32_t away;               /* likewise: in the midst of something, interrupts off */
    struct sim_request requests[SIM_REQUESTS];
    uint8_t *arena; /* DMA memory of all controllers */
    size_t arena_bytes;
    uint32_t block_shift;
    uint64_t block_count;
    bool in_handler; /* a trap is being served, or interrupts are off: none is delivered */
    bool quiet;      /* nothing more is posted */
    uint64_t resets; /* by the engine */
    uint64_t ios;    /* requests that ended */
    uint64_t bytes;  /* compared */
    uint64_t stale, stale_sent;  /* unmatched entries, of controllers whose counts are exact */
    uint64_t misuses;            /* calls that are judged by their error */
    uint64_t maps, map_failures; /* of data, by a port that maps */
    uint64_t bounces;            /* requests whose data were copied */
    uint64_t dropped, recovered; /* interrupts that told of an entry; entries found */
    uint32_t waited_ms[SIM_WAIT_MS + 1]; /* by ms, until they were */
    uint64_t watched_ns;                 /* time that passed between watchdogs */
    enum sim_kind kind;                  /* of the failure */
    uint64_t injected[FAULT_CLASSES + 1];
    bool stop;
    char failure[SIM_TEXT_BYTES]; /* empty: none */
};

/* Ends the run: the first text and kind are kept. */
void sim_fail_as(struct sim *sim, enum sim_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define sim_fail(sim, ...) sim_fail_as(sim, SIM_RULE, __VA_ARGS__)
#define sim_hung(sim, ...) sim_fail_as(sim, SIM_HUNG, __VA_ARGS__)
#define sim_wrong(sim, ...) sim_fail_as(sim, SIM_WRONG_DATA, __VA_ARGS__)
#define sim_touched(sim, ...) sim_fail_as(sim, SIM_TOUCHED, __VA_ARGS__)

/* True until the run has failed, findings of the model included. */
bool sim_good(struct sim *sim);

/* Runs a seed. The faults' mask chooses among the classes; 0: the seed does. */
void sim_run(struct sim *sim, uint64_t seed, uint32_t fault_mask);

/* Frees what sim_run has left to be looked at. */
void sim_free(struct sim *sim);

/* controller.c */
void sim_controllers_prepare(struct sim *sim);
bool sim_controller_open(struct sim_controller *controller);
void sim_controller_close(struct sim_controller *controller);
void sim_controllers_free(struct sim *sim);
bool sim_queue_open(struct sim_queue *queue);
void sim_queue_close(struct sim_queue *queue);
void sim_recover(struct sim_controller *controller);

/* workload.c */
void sim_requests_prepare(struct sim *sim);
void sim_requests_free(struct sim *sim);
void sim_poison(struct sim_request *request);
void sim_post(struct sim_queue *queue, uint32_t count);
void sim_submit(struct sim_queue *queue);
void sim_forget(struct sim_controller *controller);

/* Whether memory is as sim_poison left it. */
bool sim_is_poison(const uint8_t *bytes, size_t count);

/* media.c */
void sim_check_media(struct sim *sim);

/* misuse.c */
void sim_misuse(struct sim_queue *queue);

/* interrupts.c */
bool sim_interrupts(struct sim *sim, uint32_t source);
void sim_any_interrupt(struct sim *sim);
bool sim_reap(struct sim_queue *queue);
void sim_change_mode(struct sim_queue *queue);
void sim_allow_dma(void *arg);
bool sim_level(void *arg);

/* harts.c */
void sim_choose_owners(struct sim_controller *controller);
void sim_ipi(void *arg, uint32_t owner);
bool sim_deliver(struct sim *sim, uint32_t hart);
bool sim_deliver_all(struct sim *sim);
void sim_any_ipi(struct sim *sim);
void sim_hart_meanwhile(void *arg);
void sim_shared_quiesce(struct sim_controller *controller);
bool sim_may_close(const struct sim_queue *queue);

/* schedule.c */
void sim_moments(struct sim *sim);
void sim_device(struct sim_controller *controller, uint32_t count);
void sim_arrive(struct sim *sim);
void sim_watch(struct sim *sim, uint64_t step_ns);
void sim_settle(struct sim *sim);
void sim_step(struct sim *sim);

/*
 * How a fault class is injected. `prepare` bends a controller before it is opened, `inject` does
 * something to it while it runs: each says whether it did. Neither: not tried here.
 */
struct sim_fault {
    bool (*prepare)(struct sim_controller *controller);
    bool (*inject)(struct sim_controller *controller);
};

/* Indexed by the class's number. */
extern const struct sim_fault sim_faults[FAULT_CLASSES + 1];

bool sim_fault_on(const struct sim *sim, uint32_t number);

/* power.c: class 24, and what it must know of requests that are posted and have ended */
bool sim_prepare_cache(struct sim_controller *controller);
bool sim_cut_power(struct sim_controller *controller);
void sim_note_post(struct sim_request *request);
void sim_note_end(const struct sim_request *request, bool good);

/* segments.c: moves the buffer off its alignment, if its data then pass through bounce memory. */
void sim_shift_buffer(struct sim_controller *controller, struct sim_request *request);

/*
 * segments.c: the buffer in two segments, which PRPs carry; with SGLs or bounce memory the cut is
 * anywhere.
 * NVME_ERR_LENGTH: there is no cut, or the request is to be split.
 */
enum nvme_error sim_post_segments(const struct sim_queue *queue, struct sim_request *request,
                                  struct nvme_callback callback);

/* late.c: classes 8 and 9. lies.c: class 15. lost.c: class 6. events.c: class 14. */
bool sim_inject_silence(struct sim_controller *controller);
bool sim_prepare_abort(struct sim_controller *controller);
bool sim_inject_late(struct sim_controller *controller);
bool sim_prepare_lies(struct sim_controller *controller);
bool sim_lose_interrupt(struct sim_controller *controller);
void sim_note_recovery(struct sim_queue *queue);
void sim_mark_closed(struct sim_queue *queue);
bool sim_prepare_events(struct sim_controller *controller);
bool sim_inject_event(struct sim_controller *controller);
void sim_event_meanwhile(struct sim *sim);

#endif
