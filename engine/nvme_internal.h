// SPDX-License-Identifier: MIT
/*
 * Private to the engine: its structures, the prototypes between its files, the hot inlines.
 *
 * Layers, each calls only to the right or within itself:
 * recovery -> {controller, pair} -> admin -> io -> queue -> {request, prp} -> {status, spec, hal};
 * interrupt -> {queue, recovery}. engine/DESIGN.md draws the states.
 */
#ifndef NVME_INTERNAL_H
#define NVME_INTERNAL_H

#include "nvme.h"
#include "nvme_hal.h"

/* Out of the hot path: neither inlined there nor laid out in its way. */
#define NVME_COLD __attribute__((cold, noinline))

/*
 * Set in nvme_request.cid while no command of the slot is outstanding: an id that comes from the
 * device has 16 bits and cannot equal it.
 */
#define NVME_CID_IDLE UINT64_C(0x10000)

/*
 * One slot: a command that the device may own. Written by the queue's owner only. What a post
 * and a completion touch lies in one cache line.
 */
struct nvme_request {
    nvme_done *done;
    void *arg;
    void *buffer;        /* that the device fills, for hal_dma_invalidate; else NULL */
    uint64_t cid;        /* issued command id; idle: CID_IDLE and, in 15:0, the next to issue */
    uint64_t clock_ms;   /* queue clock at post */
    uint64_t size_bytes; /* of the command */
    struct nvme_request *next_free;
    uint64_t reserved_56;
};
_Static_assert(sizeof(struct nvme_request) == 64, "a slot is one cache line");

/*
 * A split request: what its parts have in common. At least one part is in flight while it
 * lives, so as many records as slots are always enough. Written by the owner only.
 */
struct nvme_split {
    struct nvme_split *next_free;
    struct nvme_queue *queue;
    const struct nvme_namespace *ns;
    struct nvme_io rest;       /* what is not yet posted, and the caller's callback */
    struct nvme_result result; /* the first error, and the sum of bytes_done */
    uint32_t in_flight;        /* parts that the device owns */
};

/* What may be done with a queue. */
enum nvme_queue_state {
    NVME_QUEUE_CLOSED,  /* no queue pair on the device */
    NVME_QUEUE_OPEN,    /* takes requests */
    NVME_QUEUE_CLOSING, /* is drained once more, takes no requests */
    NVME_QUEUE_ENDED,   /* the controller failed, all requests have ended: only close is left */
    NVME_QUEUE_LENT,    /* rings lent for measuring: only close is left */
};

/* A queue pair with its slots. Written by the owner hart, but for open and close. */
struct nvme_queue {
    /* Post. */
    struct nvme_command *sq;
    struct nvme_request *free; /* a list, NULL if the queue is full */
    struct nvme_controller *controller;
    uint64_t clock_ms;      /* coarse clock, moved by the watch */
    uint64_t page_mask;     /* CC.MPS in bytes - 1 */
    size_t sq_tail;         /* next free entry of the ring */
    uint32_t sq_tail_rung;  /* the tail that the device knows */
    uint32_t depth_entries; /* of both rings */
    uint8_t state;          /* enum nvme_queue_state; read by other harts to kick the owner */
    bool interrupts;        /* IEN: posts bracket themselves with irq_save */
    bool servicing;         /* inside the drain: submit waits for its end */
    uint16_t id;            /* 0 admin, else index + 1 */

    /* Drain. */
    volatile struct nvme_completion *cq;
    volatile uint8_t *sq_doorbell;
    volatile uint8_t *cq_doorbell;
    uint32_t cq_head;
    uint32_t phase;                /* NVME_CQE_PHASE or 0: what a new entry at cq_head has */
    uint64_t slot_mask;            /* the slot part of a command id: 2^n - 1 */
    struct nvme_request *requests; /* slot_mask + 1; those from slot_count on are never issued */
    struct nvme_counters counters;
    uint32_t junk; /* entries of this drain that ended no request: not work to the caller */

    /* Cold. */
    uint8_t *lists; /* PRP list memory, list_stride_bytes per slot */
    size_t list_stride_bytes;
    struct nvme_split *splits; /* slot_count records */
    struct nvme_split *free_split;
    uint32_t slot_count; /* depth_entries - 1 */
    uint32_t owner;
    uint64_t sq_laps;     /* times the tail has wrapped: counts the posts without counting each */
    uint32_t depth_limit; /* entries that the ring memory holds */

    /* The watch, written by the owner. */
    uint64_t watch_ns;         /* time of the last call, 0 before the first */
    uint64_t seen_ns;          /* when an entry was found ready */
    uint64_t seen_claims;      /* counters.interrupts at that time */
    uint64_t seen_completions; /* counters.completions at that time: names the entry */
    bool seen;                 /* an entry was found ready, its interrupt is awaited */
    uint64_t expiry_scan_ms;   /* queue clock of the last walk over the slots */
};

/*
 * LIVE -> DISABLING -> FAILED, or DISABLING -> STUCK. Several owners may find the cause at once:
 * each change is a compare-and-exchange, and the winner acts.
 */
enum nvme_controller_state {
    NVME_CONTROLLER_LIVE,      /* takes commands */
    NVME_CONTROLLER_DISABLING, /* CC.EN = 0 written, RDY = 0 not seen: the device owns buffers */
    NVME_CONTROLLER_FAILED,    /* the device touches no memory: owners end their requests */
    NVME_CONTROLLER_STUCK,     /* RDY never fell: the requests stay owned by the device */
};

/* One controller. Written by the administrating hart; `state` by any owner, atomically. */
struct nvme_controller {
    struct nvme_config config; /* a copy, defaults filled in */
    struct nvme_controller_info info;
    uint32_t state;            /* enum nvme_controller_state */
    int32_t failure;           /* enum nvme_error; the first to set it disables the controller */
    uint64_t disable_until_ns; /* deadline of RDY = 0 while DISABLING */
    uint64_t ready_timeout_ns; /* CAP.TO */
    uint64_t timeout_ms;       /* config.command_timeout_ns, rounded up */
    uint32_t doorbell_stride;  /* bytes */
    uint32_t interrupt_queues; /* open queues with interrupts on */
    uint32_t interrupt_owner;  /* of these */
    uint32_t mask_depth;       /* nested nvme_interrupt_mask */
    uint32_t empty_claims;     /* in a row */
    bool masked;               /* for good: storm bound or stuck line */
    bool admin_done;           /* admin_result is valid */
    struct nvme_result admin_result;
    uint8_t *identify_page; /* DMA memory for admin data, a page */
    struct nvme_queue admin;
    struct nvme_queue *queues; /* config.queue_count of them */
};

/* ---- Registers ------------------------------------------------------------------------ */

/* A 32-bit property at its offset from the start of BAR0. */
static inline uint32_t nvme_register_read(const struct nvme_config *config, uint32_t offset)
{
    return hal_mmio_read32((const volatile uint8_t *)config->registers + offset);
}

/* Writes a 32-bit property. Doorbells are queue.c's. */
static inline void nvme_register_write(const struct nvme_config *config, uint32_t offset,
                                       uint32_t value)
{
    hal_mmio_write32((volatile uint8_t *)config->registers + offset, value);
}

/* The hot path's look, relaxed: nothing is done about a failure without the load below. */
static inline bool nvme_controller_live(const struct nvme_controller *controller)
{
    return __atomic_load_n(&controller->state, __ATOMIC_RELAXED) == NVME_CONTROLLER_LIVE;
}

/* FAILED is read with acquire: it makes the winner's last look at the device ours. */
static inline enum nvme_controller_state
nvme_controller_state_load(const struct nvme_controller *controller)
{
    return (enum nvme_controller_state)__atomic_load_n(&controller->state, __ATOMIC_ACQUIRE);
}

/* What the controller's requests end with; once set it stays. */
static inline enum nvme_error nvme_controller_failure(const struct nvme_controller *controller)
{
    return (enum nvme_error)__atomic_load_n(&controller->failure, __ATOMIC_ACQUIRE);
}

/*
 * Masks the INTx source for a while, in nested pairs, on the hart that takes its interrupt and with
 * that hart's interrupts off. INTMC makes a fresh edge if the line has a reason to be high.
 */
static inline void nvme_interrupt_mask(struct nvme_controller *controller)
{
    if (controller->mask_depth++ == 0 && controller->interrupt_queues != 0) {
        nvme_register_write(&controller->config, NVME_REG_INTMS, 1);
    }
}

/* The other half of the pair; writes INTMC when the outermost one ends. */
static inline void nvme_interrupt_unmask(struct nvme_controller *controller)
{
    if (--controller->mask_depth == 0 && controller->interrupt_queues != 0 && !controller->masked &&
        nvme_controller_live(controller)) {
        nvme_register_write(&controller->config, NVME_REG_INTMC, 1);
    }
}

/* ---- status.c ------------------------------------------------------------------------- */

/* Tells the embedder, if it listens. */
void nvme_event_emit(const struct nvme_config *config, const struct nvme_event *event);

/* ---- memory.c: the two regions -------------------------------------------------------- */

/* What CAP and the configuration come to. */
struct nvme_layout {
    uint64_t cap;
    uint32_t page_bytes; /* CC.MPS */
    uint32_t depth_entries;
    uint32_t max_transfer_bytes;
    size_t list_stride_bytes;
    size_t queue_ordinary_bytes;
    size_t queue_dma_bytes;
    size_t ordinary_bytes; /* of the whole controller */
    size_t dma_bytes;
};

/* Validates the configuration against CAP and sizes everything. Errors: nvme_memory_needed. */
enum nvme_error nvme_layout_build(const struct nvme_config *config, struct nvme_layout *layout);

/*
 * Checks the given regions and hands out every pointer of the controller, admin queue included.
 * NVME_ERR_MEMORY: too small (event), misaligned, or a ring not contiguous for DMA.
 */
enum nvme_error nvme_memory_assign(const struct nvme_config *config,
                                   const struct nvme_memory *memory,
                                   const struct nvme_layout *layout,
                                   struct nvme_controller **controller);

/* ---- prp.c: pure ---------------------------------------------------------------------- */

/* Where a command's data are, and where its PRP list may stand. */
struct nvme_prp_build {
    void *dma_context;
    const void *buffer;  /* dword aligned */
    uint32_t size_bytes; /* 1 .. max_transfer_bytes */
    uint32_t page_bytes;
    uint8_t *list; /* nvme_prp_list_bytes of them */
};

/* Bytes of list that any command of up to max_transfer_bytes needs: part of a page, or pages. */
size_t nvme_prp_list_bytes(uint32_t max_transfer_bytes, uint32_t page_bytes);

/* PRP1, PRP2 and, where they do not suffice, the list. NVMe Base 2.0 §4.1.1. */
void nvme_prp_fill(struct nvme_command *command, const struct nvme_prp_build *build);

/* True if the data lie in one page, so that PRP1 says all. */
static inline bool nvme_prp_one_page(const void *buffer, uint64_t size_bytes, uint64_t page_mask)
{
    return ((uintptr_t)buffer & page_mask) + size_bytes <= page_mask + 1;
}

/* ---- identify.c: pure ----------------------------------------------------------------- */

/*
 * Fills what Identify Controller tells; page_bytes and max_transfer_bytes are set before, the
 * latter is lowered to MDTS. NVME_ERR_IDENTIFY: entry sizes that exclude ours.
 */
enum nvme_error nvme_identify_controller_decode(const void *page,
                                                struct nvme_controller_info *info);

/*
 * Fills the geometry. Errors: nvme_namespace_open. The format in use must have a block of at most
 * max_transfer_bytes, no metadata and no protection information.
 */
enum nvme_error nvme_identify_namespace_decode(const void *page, uint32_t max_transfer_bytes,
                                               struct nvme_namespace *ns);

/* ---- request.c: slots ----------------------------------------------------------------- */

/* Makes all slots and split records free, for a queue of this depth. Generations go on. */
void nvme_request_init(struct nvme_queue *queue, uint32_t depth_entries);

/*
 * Ends every outstanding request with `error`, each done() once. The device touches none of them
 * any more, and the queue takes no posts.
 */
void nvme_request_end_all(struct nvme_queue *queue, enum nvme_error error);

/* True if any request is outstanding. Ends at the first; slots are used from the lowest on. */
bool nvme_request_any(const struct nvme_queue *queue);

/* True if a request was posted longer ago than limit_ms by the queue's clock; *cid names it. */
bool nvme_request_expired(const struct nvme_queue *queue, uint64_t limit_ms, uint32_t *cid);

/* The slots of a queue of this depth, rounded up to a power of two, - 1. */
uint32_t nvme_request_slot_mask(uint32_t depth_entries);

/* Takes a slot; its command id is current from here on. The caller saw that one is free. */
static inline struct nvme_request *nvme_request_acquire(struct nvme_queue *queue)
{
    struct nvme_request *request = queue->free;

    queue->free = request->next_free;
    request->cid = (uint16_t)request->cid;
    request->clock_ms = queue->clock_ms;
    return request;
}

/* The device has given the slot back: its command id goes stale, the slot is free. */
static inline void nvme_request_release(struct nvme_queue *queue, struct nvme_request *request)
{
    request->cid = (request->cid + queue->slot_mask + 1) | NVME_CID_IDLE;
    request->next_free = queue->free;
    queue->free = request;
}

/* The outstanding request with this command id, or NULL: the 16 bits come from the device. */
static inline struct nvme_request *nvme_request_find(const struct nvme_queue *queue, uint64_t cid)
{
    struct nvme_request *request = &queue->requests[cid & queue->slot_mask];

    return request->cid == cid ? request : NULL;
}

/* ---- queue.c: rings, doorbells, the drain --------------------------------------------- */

/* Empties the rings, zeroes the completion ring, sets phase, head and tail. */
void nvme_queue_reset(struct nvme_queue *queue, uint32_t depth_entries);

/* Writes the current completion head again: a QEMU work-around, see controller.c. */
void nvme_queue_ring_head_again(struct nvme_queue *queue);

/* Publishes the state, and the owner with it, to a hart that kicks the owners. */
void nvme_queue_enter_state(struct nvme_queue *queue, enum nvme_queue_state state);

/* True if the entry at the head is new. */
bool nvme_queue_ready(const struct nvme_queue *queue);

/* Where the next command goes: never occupied, for a free slot's command was fetched long ago. */
static inline struct nvme_command *nvme_queue_next(const struct nvme_queue *queue)
{
    return &queue->sq[queue->sq_tail];
}

/* The command in nvme_queue_next is complete and may be rung for. */
static inline void nvme_queue_advance(struct nvme_queue *queue)
{
    size_t tail = queue->sq_tail + 1;

    if (tail == queue->depth_entries) {
        tail = 0;
        queue->sq_laps++;
    }
    queue->sq_tail = tail;
}

/* ---- io.c ----------------------------------------------------------------------------- */

/* Puts a command with its data into the ring. The caller has validated it and seen a free slot. */
void nvme_io_put(struct nvme_queue *queue, const struct nvme_command *command, void *buffer,
                 uint32_t size_bytes, struct nvme_callback callback);

/* ---- admin.c: commands under a deadline ----------------------------------------------- */

/*
 * Posts one admin command and waits for its end: the admin queue has one at a time. `buffer` as
 * for nvme_passthrough. NVME_ERR_DEVICE: it was refused, *result has the status. NVME_ERR_TIMEOUT,
 * _FATAL, _REMOVED: no answer; the caller must disable the controller. *result always written.
 */
enum nvme_error nvme_admin_execute(struct nvme_controller *controller,
                                   const struct nvme_command *command, void *buffer,
                                   uint32_t size_bytes, struct nvme_result *result);

/* Identify with this CNS into controller->identify_page. */
enum nvme_error nvme_admin_identify(struct nvme_controller *controller, enum nvme_cns cns,
                                    uint32_t nsid);

/* Number of Queues: asks for `wanted` pairs; *granted is what the device gives, 1 or more. */
enum nvme_error nvme_admin_queue_count(struct nvme_controller *controller, uint32_t wanted,
                                       uint32_t *granted);

/* Create and delete the device's side of an I/O queue pair. */
enum nvme_error nvme_admin_create_cq(struct nvme_controller *controller,
                                     const struct nvme_queue *queue, uint16_t vector);
enum nvme_error nvme_admin_create_sq(struct nvme_controller *controller,
                                     const struct nvme_queue *queue);
enum nvme_error nvme_admin_delete(struct nvme_controller *controller, uint8_t opcode,
                                  uint16_t queue_id);

/* ---- controller.c --------------------------------------------------------------------- */

/*
 * Begins to disable a live controller: masks its interrupt, writes CC.EN = 0, does not wait. The
 * first caller wins, later ones change nothing. `error` is what its requests will end with.
 */
void nvme_controller_disable(struct nvme_controller *controller, enum nvme_error error);

/*
 * One look at a controller that is DISABLING: moves it on to FAILED or STUCK when it is time.
 * In any other state nothing.
 */
void nvme_controller_disable_step(struct nvme_controller *controller, uint64_t now_ns);

/*
 * Disables and waits if `error` says that the device no longer answers, and returns `error`:
 * the end of every administration call.
 */
enum nvme_error nvme_controller_settle(struct nvme_controller *controller, enum nvme_error error);

#endif
