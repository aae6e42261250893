// SPDX-License-Identifier: MIT
/*
 * The engine's structures: slot, split, interrupt source, queue, controller. Private.
 *
 * Each comment names the writer; engine/DESIGN.md draws the states.
 */
#ifndef NVME_STATE_INTERNAL_H
#define NVME_STATE_INTERNAL_H

#include "nvme_segments.h"

/*
 * Added to nvme_request.cid while no command of the slot is outstanding. An id of the device has 16
 * bits and cannot equal it. The bit is above the carry of a generation that wraps.
 */
#define NVME_CID_IDLE UINT64_C(0x100000000)

/*
 * One slot: a command that the device may own. Only the queue's owner writes it. A post and a
 * completion touch one cache line.
 */
struct nvme_request {
    nvme_done *done;
    void *arg;
    void *buffer;      /* that the device fills, for hal_dma_invalidate, or mapped; else NULL */
    uint64_t cid;      /* issued command id; idle: CID_IDLE and, in 15:0, the next to issue */
    uint64_t clock_ms; /* queue clock at post */
    union {
        uint64_t fresh; /* size_bytes of a request with no options: one store */
        struct {
            uint32_t size_bytes;    /* of the command */
            uint16_t timeout_100ms; /* its deadline; 0: that of the controller */
            uint8_t tries;          /* retry.c: how often it was posted again */
            uint8_t flags;          /* NVME_POST_ */
        };
    };
    union {
        struct nvme_request *next_free; /* while it is free */
        uint64_t retry_at_ms;           /* queue clock: while it waits */
    };
    uint8_t aside;  /* NVME_ASIDE_: not the device's, and not free */
    uint8_t mapped; /* enum nvme_dma_direction of `buffer`, 0: not mapped. Only if the port maps */
    uint8_t reserved_58[6];
};
_Static_assert(sizeof(struct nvme_request) == 64, "a slot is one cache line");

/* What becomes of a request that is neither the device's nor free: see nvme_request_set_aside. */
enum nvme_aside {
    NVME_ASIDE_NONE,  /* also of each idle slot */
    NVME_ASIDE_ENDS,  /* with NVME_ERR_RESET */
    NVME_ASIDE_WAITS, /* to be posted again */
};

/*
 * A split request, or a scatter list. At least one of its commands is in flight while it exists, so
 * as many records as slots are enough. Only the owner writes it.
 */
struct nvme_split {
    struct nvme_split *next_free;
    struct nvme_queue *queue;
    union {
        const struct nvme_namespace *ns;
        uint8_t *bounce; /* of a list: the slot's memory that its data pass through, or NULL */
    };
    struct nvme_io rest; /* blocks not yet posted, or the segments; the caller's callback */
    union {
        struct nvme_result result;  /* the first error, and the sum of bytes_done */
        struct nvme_segment buffer; /* of a list: the only segment of a request that had none */
    };
    uint32_t in_flight;    /* parts that the device owns */
    uint32_t bounce_bytes; /* of the data in `bounce` */
};

/* A doorbell of a queue in the Shadow Doorbell buffer. The owner writes it. */
struct nvme_shadow {
    volatile uint8_t *place; /* of its entry; NULL: the register is the only doorbell */
    uint32_t value;          /* last stored there */
    bool behind;             /* the register was not written for it */
};

/* The state of a queue. */
enum nvme_queue_state {
    NVME_QUEUE_CLOSED,  /* no queue pair on the device */
    NVME_QUEUE_OPEN,    /* takes requests */
    NVME_QUEUE_CLOSING, /* is reaped once more, takes no requests */
    NVME_QUEUE_ENDED,   /* the controller failed, all requests have ended: only close is left */
    NVME_QUEUE_RAW,     /* the caller uses the rings (nvme_bench.h): only close is left */
};

/* A controller's INTx line, or a queue's vector. The hart that it interrupts writes it. */
struct nvme_source {
    struct nvme_controller *controller;
    struct nvme_queue *active; /* the active list: queues with requests */
    uint64_t interrupts;
    uint64_t empty_interrupts; /* of these, without a completion on the whole line */
    uint64_t openings;         /* how often the source was unmasked */
    uint64_t useful;           /* completions of its queues at the last empty interrupt */
    uint64_t streak_ns;        /* when the empty streak began */
    uint64_t storm_end_ns;     /* when the storm ends */
    uint32_t closed;           /* enum nvme_closed: why it is masked, 0 if it is open */
    uint32_t checks; /* NVME_CHECK_: what the end of an interrupt looks at, 0 if nothing */
    uint32_t queues; /* open ones with interrupts on */
    uint32_t owner;  /* of these queues */
    uint32_t storms; /* since the controller was opened */
    uint16_t vector; /* of a message */
    bool message;    /* MSI-X */
    uint8_t mode;    /* enum nvme_mode: in force */
    uint8_t wanted;  /* enum nvme_mode: in force without a storm */
};

/*
 * A line that several harts share. A set has a bit per queue index. The IRQ hart writes the fields;
 * owners also change `active`, `waiting`, `overdue` and `missed`, atomically.
 * tests/spin/shared.pml is the model.
 */
struct nvme_cycle {
    uint64_t open;    /* queues with interrupts on */
    uint64_t active;  /* those of them on the active list: members of the next cycle */
    uint64_t members; /* of this cycle, or of the last one */
    uint64_t waiting; /* members that have not answered */
    uint64_t overdue; /* owners that found an overdue entry ask the IRQ hart */
    uint64_t missed;  /* owners whose interrupt was missed, until they count it */
    bool progressed;  /* a cycle was not empty since the last nvme_line_progressed() */
};

#define NVME_CHECK_EMPTY_STREAK NVME_BITS(15, 0) /* empty interrupts in a row */
#define NVME_CHECK_ADMIN NVME_BITS(31, 31)       /* administered: no interrupt may come */

/* What recent waits in one way have cost, with the work after them. */
struct nvme_learned {
    uint64_t time_ns;
    uint64_t completions; /* 0: nothing is known */
    uint64_t waits;
};

/* What a blocked owner in hybrid mode has learned, and its present wait. See hybrid.c. */
struct nvme_wait {
    uint64_t consumed; /* completions when this wait began */
    uint64_t until_ns; /* when to stop spinning, 0: the clock was not read yet */
    uint32_t looks;    /* empty ones of this wait */
    bool slept;        /* in this wait */
    bool awake;        /* the policy, */
    bool probe;        /* and the other way is tried */
    uint32_t waits;    /* of this phase: a probe, or the time between two */
    uint64_t phase_ns; /* time of these waits */
    uint64_t from_ns;  /* when the last wait that was timed began, 0: none */
    uint64_t from_consumed;
    struct nvme_learned ways[2]; /* asleep [false], awake [true] */
};

/*
 * The one test of the hot paths: an ACTIVE queue may be reaped, and its doorbells may be rung. A
 * queue that is not away is open and, if it interrupts, on its source's list.
 */
/* Below every budget, and above: nvme_queue_reap tests activity and budget by one comparison. */
#define NVME_ACTIVITY_ACTIVE UINT32_C(0) /* on the active list */
#define NVME_ACTIVITY_TAKEN UINT32_MAX   /* being reaped, or away */

/*
 * A queue pair with its slots. Written by the owner hart, but for open and close. Its cache lines
 * are its own, so that owners do not disturb each other: one for posts, the next for reaps.
 */
struct nvme_queue {
    /* Post. */
    _Alignas(NVME_ORDINARY_ALIGNMENT) struct nvme_command *sq;
    struct nvme_request *free; /* a list, NULL if the queue is full */
    struct nvme_controller *controller;
    uint64_t clock_ms;      /* coarse clock, moved by the watchdog */
    uint64_t page_mask;     /* CC.MPS in bytes - 1 */
    size_t sq_tail;         /* next free entry of the ring */
    uint32_t sq_tail_rung;  /* the tail that the device knows */
    uint32_t depth_entries; /* of the submission ring */
    uint8_t state;          /* enum nvme_queue_state; other harts read it to send IPIs */
    bool ien;               /* its completion queue may interrupt */
    bool irq_protect;       /* calls turn the hart's interrupts off themselves */
    bool clocked;           /* see struct nvme_queue_config */
    bool away;              /* not on the active list: not open, or idle */
    bool slow;              /* active, TAKEN all the same: shadow doorbells take the slow paths */
    uint16_t id;            /* 0 admin, else index + 1 */
    uint32_t activity;      /* NVME_ACTIVITY_ */

    /* Reap. */
    volatile struct nvme_completion *cq;
    volatile uint8_t *sq_doorbell;
    volatile uint8_t *cq_doorbell;
    const volatile struct nvme_completion *cq_next; /* the entry at the head */
    const volatile struct nvme_completion *cq_end;
    uint64_t expected;             /* dwords 2 and 3 of a new entry: its SQID and its phase */
    uint64_t sq_count;             /* in the high dword: an SQHD is below it */
    uint64_t slot_mask;            /* the slot part of a command id: 2^n - 1 */
    uint64_t cid_step;             /* one generation, plus NVME_CID_IDLE */
    struct nvme_request *requests; /* slot_mask + 1; those from slot_count on are never issued */
    uint64_t unmatched;            /* entries of this reap that ended no request */
    uint64_t head_left; /* further entries that may be consumed without a head doorbell */
    uint64_t head_late; /* how many that are after a head doorbell; 0: each reap rings */
    struct nvme_counters counters; /* those of doorbells and reaps are on the fourth line */

    /* Cold. */
    uint8_t *lists; /* PRP list memory, list_stride_bytes per slot */
    size_t list_stride_bytes;
    uint8_t *bounces;          /* memory that data pass through, bounce_bytes per slot */
    uint32_t bounce_bytes;     /* whole pages; 0: none */
    struct nvme_split *splits; /* slot_count records */
    struct nvme_split *free_split;
    uint32_t slot_count; /* depth_entries - 1 */
    uint32_t owner;
    uint64_t sq_laps;           /* how often the tail has wrapped: gives the number of posts */
    uint64_t cq_laps;           /* how often the head has wrapped: gives the completions */
    uint32_t cq_depth_entries;  /* of the completion ring */
    uint32_t depth_limit;       /* entries that the memory of the submission ring holds */
    uint32_t cq_depth_limit;    /* and of the completion ring */
    struct nvme_source *source; /* the controller's line, or the queue's own */
    struct nvme_queue *next_active;
    struct nvme_source vector_source;
    struct nvme_wait wait;
    struct nvme_shadow shadow_sq;
    struct nvme_shadow shadow_cq;
    uint64_t shadow_progress; /* doorbells and completions at the watchdog's last look */

    /* A shared line: the owner writes, the IRQ hart reads after the cycle. */
    uint64_t cycle_useful;   /* useful completions until the last answer */
    uint64_t cycle_progress; /* between the last two answers */
    bool yet_to_come;        /* it has neither rung nor taken an IPI: nobody waits for it */
    uint64_t asked_openings; /* seen_openings: stable while cycle.overdue has the queue's bit */

    /* The watchdog: the owner writes. */
    uint64_t watchdog_ns;      /* time of the last call, 0 before the first */
    uint64_t seen_ns;          /* when the watchdog found an entry ready */
    uint64_t seen_openings;    /* of the source at that time */
    uint64_t seen_completions; /* nvme_queue_consumed at that time: identifies the entry */
    bool seen;                 /* an entry was found ready, its interrupt is awaited */
    uint64_t expiry_scan_ms;   /* queue clock of the last walk over the slots */
    uint64_t timeout_min_ms;   /* shortest deadline that a request had; UINT64_MAX: none had one */
    uint32_t abort;            /* abort.c: the late command, and what became of its Abort. Atomic */
    uint64_t abort_until_ms;   /* queue clock: then the controller stops */

    /* Resets: the owner writes, the hart that resets reads `life`. */
    bool absent;              /* not on the device: the controller is being reset */
    uint32_t life;            /* of the controller, to which the rings belong */
    uint64_t stale_before;    /* counters.stale of the rings before the last reset */
    uint64_t progress_useful; /* completions when progress was seen last */
    uint64_t progress_ms;     /* queue clock at that time */

    /* retry.c: the owner writes. */
    struct nvme_command *kept; /* per slot; NULL: nothing is posted again */
    size_t kept_tail;          /* of the ring: commands before it are kept */
    uint32_t waiting;          /* requests that are to be posted again */
};
_Static_assert(offsetof(struct nvme_queue, activity) == NVME_ORDINARY_ALIGNMENT,
               "what a post needs is one line");
_Static_assert(offsetof(struct nvme_queue, counters.reaps) == 3 * NVME_ORDINARY_ALIGNMENT,
               "what a reap needs is the next lines");

/*
 * engine/DESIGN.md draws the changes. Several owners may find a cause at once; the one that sets
 * `failure` sets DISABLING. One hart at a time makes the other changes: nvme_step_begin().
 */
enum nvme_controller_state {
    NVME_CONTROLLER_LIVE,        /* takes commands */
    NVME_CONTROLLER_DISABLING,   /* awaits RDY = 0, CC.EN = 0 is written: the device owns buffers */
    NVME_CONTROLLER_FAILED,      /* the device touches no memory: owners end their requests */
    NVME_CONTROLLER_STUCK,       /* RDY never fell: the requests stay owned by the device */
    NVME_CONTROLLER_RELEASING,   /* a reset: awaits that each owner takes its requests back */
    NVME_CONTROLLER_ENABLING,    /* awaits RDY = 1 */
    NVME_CONTROLLER_CONFIGURING, /* awaits the answer to an admin command of setup.c */
};

/*
 * OFF -> ARMED -> ENDED -> READING -> READ -> ARMED. In ARMED and READING the device owns a command
 * of the admin queue. A controller that stops goes back to OFF, a reset too: nvme_events_arm().
 */
enum nvme_events_state {
    NVME_EVENTS_OFF,
    NVME_EVENTS_ARMED,   /* an Asynchronous Event Request is outstanding */
    NVME_EVENTS_ENDED,   /* `dw0` is valid */
    NVME_EVENTS_READING, /* its log page is being read */
    NVME_EVENTS_READ,    /* `page` is valid */
};

/* Asynchronous events. Whoever may use the admin queue writes it: a handler, a reset too. */
struct nvme_events {
    uint8_t *page;     /* DMA memory for log pages; NULL if events are not wanted */
    uint64_t since_ns; /* when the read of the log page began */
    uint32_t dw0;      /* of the request that has ended */
    uint8_t state;     /* enum nvme_events_state */
};

/* One controller. The administrating hart writes it; any owner changes `state`, atomically. */
struct nvme_controller {
    struct nvme_config config; /* a copy, defaults filled in */
    struct nvme_controller_info info;
    uint32_t state;            /* enum nvme_controller_state */
    int32_t failure;           /* enum nvme_error; the first to set it disables the controller */
    uint64_t until_ns;         /* deadline of what the state awaits */
    uint32_t life;             /* how often it was disabled while live: see the queues' */
    uint32_t resets_left;      /* until progress is seen; 0 also before it is open */
    uint32_t resets;           /* ended well */
    bool recovers;             /* it is disabled for a reset, not for good */
    uint32_t stepping;         /* a hart makes a step of a reset: an atomic flag */
    uint32_t administered;     /* enum nvme_closed: calls under way. With release */
    uint64_t ready_timeout_ns; /* CAP.TO, or CRTO if it is longer */
    uint64_t timeout_ms;       /* config.command_timeout_ns, rounded up */
    uint32_t doorbell_stride;  /* bytes */
    uint32_t setup_step;       /* of setup.c: the command that comes next, or is under way */
    bool admin_done;           /* admin_result is valid */
    uint32_t admin_refusal;    /* told last: opcode 23:16, status field 15:0; 0: none */
    uint8_t admin_opcode;      /* of the command under way */
    uint64_t aborts_asked;     /* queues that want an Abort, a bit per index. Atomic */
    bool abort_posted;         /* one is under way. Whoever administers writes it */
    uint16_t retry_delays[3];  /* CRDT1 to CRDT3, in 100 ms, if the device tells them */
    bool up;                   /* it was opened: what follows RDY = 0 is a reset */
    struct nvme_source line;   /* INTx */
    struct nvme_cycle cycle;   /* of a shared line */
    struct nvme_result admin_result;
    struct nvme_events events;
    uint8_t *identify_page; /* DMA memory for admin data, a page */
    uint8_t *shadow_pages;  /* Shadow Doorbell buffer, EventIdx buffer; NULL if not wanted */
    struct nvme_queue admin;
    struct nvme_queue *queues; /* config.queue_count of them */
};

#endif
