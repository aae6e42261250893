// SPDX-License-Identifier: MIT
/*
 * Private to the engine: the prototypes between its files and the hot inlines. Structures are in
 * nvme_state_internal.h, data in nvme_data_internal.h, queues in nvme_queue_internal.h, disabling
 * and resets in nvme_reset_internal.h, interrupt sources in nvme_source_internal.h.
 *
 * engine/DESIGN.md draws the states, and has the table of calls between files.
 */
#ifndef NVME_INTERNAL_H
#define NVME_INTERNAL_H

#include "nvme.h"
#include "nvme_hal.h"
#include "nvme_state_internal.h"

/* Not part of the hot path: not inlined there, and placed apart. */
#define NVME_COLD __attribute__((cold, noinline))

/* Hot, but out of line. */
#define NVME_NOINLINE __attribute__((noinline))
/* Part of the hot path: always inlined. */
#define NVME_INLINE inline __attribute__((always_inline))

/* For a value that one hart writes while others read it: untorn, without order. */
#define NVME_PEEK(place) __atomic_load_n(place, __ATOMIC_RELAXED)
#define NVME_POKE(place, value) __atomic_store_n(place, value, __ATOMIC_RELAXED)

/* ---- Registers ------------------------------------------------------------------------ */

/* A 32-bit property at its offset from the start of BAR0. */
static inline uint32_t nvme_register_read(const struct nvme_config *config, uint32_t offset)
{
    return hal_mmio_read32((const volatile uint8_t *)config->registers + offset);
}

/* Writes a 32-bit property. queue.c writes the doorbells. */
static inline void nvme_register_write(const struct nvme_config *config, uint32_t offset,
                                       uint32_t value)
{
    hal_mmio_write32((volatile uint8_t *)config->registers + offset, value);
}

/* The hot path's test, relaxed: code that acts on a failure uses the load below. */
static inline bool nvme_controller_live(const struct nvme_controller *controller)
{
    return __atomic_load_n(&controller->state, __ATOMIC_RELAXED) == NVME_CONTROLLER_LIVE;
}

/* The state, with acquire: FAILED orders our accesses after the winner's last read of RDY. */
static inline enum nvme_controller_state
nvme_controller_state_load(const struct nvme_controller *controller)
{
    return (enum nvme_controller_state)__atomic_load_n(&controller->state, __ATOMIC_ACQUIRE);
}

/* The error of the controller's requests; once set it stays, unless a reset ends well. */
static inline enum nvme_error nvme_controller_failure(const struct nvme_controller *controller)
{
    return (enum nvme_error)__atomic_load_n(&controller->failure, __ATOMIC_ACQUIRE);
}

/* True while a reset is under way behind RDY = 0. */
static inline bool nvme_controller_resetting(const struct nvme_controller *controller)
{
    return nvme_controller_state_load(controller) >= NVME_CONTROLLER_RELEASING;
}

/* Why a call finds the controller not live: a reset is under way, or it has failed. */
static inline enum nvme_error nvme_controller_absence(const struct nvme_controller *controller)
{
    enum nvme_controller_state state = nvme_controller_state_load(controller);

    return NVME_PEEK(&controller->recovers) && state != NVME_CONTROLLER_FAILED &&
                   state != NVME_CONTROLLER_STUCK && state != NVME_CONTROLLER_LIVE
               ? NVME_ERR_RESET
               : NVME_ERR_STATE;
}

/* Panics if another hart than `hart` makes the call, as far as the port can tell. */
static inline void nvme_check_hart(uint32_t hart)
{
    if (hal_hart() != hart && hal_hart() != NVME_HART_UNKNOWN) {
        hal_panic("a call on a queue or a line is made on a hart that does not own it (R1)");
    }
}

/* ---- status.c ------------------------------------------------------------------------- */

/* Calls the embedder's event hook, if there is one. */
void nvme_event_emit(const struct nvme_config *config, const struct nvme_event *event);

/* ---- memory.c: the two regions -------------------------------------------------------- */

/* Sizes that follow from CAP and the configuration. */
struct nvme_layout {
    uint64_t cap;
    uint32_t page_bytes; /* CC.MPS */
    uint32_t depth_entries;
    uint32_t cq_depth_entries;
    uint32_t max_transfer_bytes;
    uint32_t bounce_bytes; /* per slot, whole pages */
    size_t list_stride_bytes;
    size_t queue_ordinary_bytes;
    size_t queue_dma_bytes;
    size_t ordinary_bytes; /* of the whole controller */
    size_t dma_bytes;
};

/* Validates the configuration against CAP and sizes everything. Errors: nvme_memory_needed. */
enum nvme_error nvme_layout_build(const struct nvme_config *config, struct nvme_layout *layout);

/*
 * Checks the given regions and sets every pointer of the controller and the admin queue.
 * NVME_ERR_MEMORY: too small (event), misaligned, or a ring not contiguous for DMA.
 */
enum nvme_error nvme_memory_assign(const struct nvme_config *config,
                                   const struct nvme_memory *memory,
                                   const struct nvme_layout *layout,
                                   struct nvme_controller **controller);

/* ---- prp.c: pure ---------------------------------------------------------------------- */

/* A command's data, and the memory for its PRP list. */
struct nvme_prp_build {
    void *dma_context;
    const void *buffer;  /* dword aligned */
    uint32_t size_bytes; /* 1 .. max_transfer_bytes */
    uint32_t page_bytes;
    uint8_t *list; /* nvme_prp_list_bytes of them */
};

/* Bytes of list that any command of up to max_transfer_bytes needs: part of a page, or pages. */
size_t nvme_prp_list_bytes(uint32_t max_transfer_bytes, uint32_t page_bytes);

/* Builds PRP1, PRP2 and, if needed, the list. NVMe Base 2.0 §4.1.1. */
void nvme_prp_fill(struct nvme_command *command, const struct nvme_prp_build *build);

/* True if the data lie in one page, so that PRP1 is enough. */
static inline bool nvme_prp_one_page(const void *buffer, uint64_t size_bytes, uint64_t page_mask)
{
    return ((uintptr_t)buffer & page_mask) + size_bytes <= page_mask + 1;
}

/* ---- identify.c: pure ----------------------------------------------------------------- */

/*
 * Decodes Identify Controller. The caller has set page_bytes, shutdown_timeout_ms and
 * max_transfer_bytes, which is lowered to MDTS. NVME_ERR_IDENTIFY: entry sizes that exclude ours.
 */
enum nvme_error nvme_identify_controller_decode(const void *page,
                                                struct nvme_controller_info *info);

/*
 * Decodes the geometry. Errors: nvme_namespace_open. The format in use must have a block of at most
 * max_transfer_bytes, no metadata and no protection information. NVME_ERR_UNSUPPORTED with
 * ns->block_shift set: the block is too large.
 */
enum nvme_error nvme_identify_namespace_decode(const void *page, uint32_t max_transfer_bytes,
                                               struct nvme_namespace *ns);

/* Decodes Identify Namespace, also if the engine cannot use the namespace. */
void nvme_identify_namespace_describe(const void *page, struct nvme_namespace_info *info);

/* Decodes a list of descriptors, up to its end or the first that does not fit. */
void nvme_identify_descriptors_decode(const void *page, struct nvme_namespace_info *info);

/* ---- request.c: slots ----------------------------------------------------------------- */

/* Frees all slots and split records, for a queue of this depth. Generations continue. */
void nvme_request_init(struct nvme_queue *queue, uint32_t depth_entries);

/*
 * Ends every outstanding request with `error`; each done() runs once. The device no longer touches
 * any of them, and the queue takes no posts.
 */
void nvme_request_end_all(struct nvme_queue *queue, enum nvme_error error);

/*
 * Sets all outstanding requests aside: to be posted again if they may be, else to end. Their
 * command ids become stale; the slots are not free.
 */
void nvme_request_set_aside(struct nvme_queue *queue);

/* Ends those that are to end, with `error`; each done() runs once, and may post. */
void nvme_request_end_aside(struct nvme_queue *queue, enum nvme_error error);

/* True if any request is outstanding. Ends at the first; slots are used from the lowest on. */
bool nvme_request_any(const struct nvme_queue *queue);

/* True if a request is past its deadline by `margin_ms` of the queue's clock; *cid: its id. */
bool nvme_request_expired(const struct nvme_queue *queue, uint64_t margin_ms, uint32_t *cid);

/* The deadline of a request. */
static inline uint64_t nvme_request_timeout_ms(const struct nvme_queue *queue,
                                               const struct nvme_request *request)
{
    return request->timeout_100ms != 0 ? request->timeout_100ms * UINT64_C(100)
                                       : queue->controller->timeout_ms;
}

/* The slots of a queue of this depth, rounded up to a power of two, - 1. */
uint32_t nvme_request_slot_mask(uint32_t depth_entries);

/*
 * Ends the request of an entry whose status field is not 0, or counts and drops an entry whose
 * command id names no outstanding request. `dwords`: 2 and 3 XOR queue->expected.
 */
void nvme_request_end_odd(struct nvme_queue *queue, uint64_t dwords, uint64_t dw0_dw1);

/* Takes a slot; its command id is valid from here on. The caller has checked that one is free. */
static inline struct nvme_request *nvme_request_acquire(struct nvme_queue *queue, uint64_t clock_ms)
{
    struct nvme_request *request = queue->free;

    queue->free = request->next_free;
    request->cid = (uint16_t)request->cid;
    request->clock_ms = clock_ms;
    return request;
}

/* Frees a slot that the device no longer owns; its command id becomes stale. */
static inline void nvme_request_release(struct nvme_queue *queue, struct nvme_request *request)
{
    request->cid += queue->cid_step;
    request->next_free = queue->free;
    queue->free = request;
}

/* The outstanding request with this command id, or NULL. The 32 bits come from the device. */
static inline struct nvme_request *nvme_request_find(struct nvme_request *requests,
                                                     uint64_t slot_mask, uint64_t cid)
{
    struct nvme_request *request = &requests[cid & slot_mask];

    return request->cid == cid ? request : NULL;
}

#include "nvme_data_internal.h"
#include "nvme_queue_internal.h"

/* ---- retry.c: requests that are posted again -------------------------------------------- */

/* Before each doorbell: copies the commands that it will announce, if the queue keeps them. */
void nvme_retry_keep(struct nvme_queue *queue);

/* True: the request waits, and will be posted again. False: it is to end. It is the device's. */
bool nvme_retry_later(struct nvme_queue *queue, struct nvme_request *request, uint64_t delay_ms);

/* The same for a request that has ended with an error status. */
bool nvme_retry_status(struct nvme_queue *queue, struct nvme_request *request, uint16_t status);

/* Posts again what is due. True: it is to be rung for. */
bool nvme_retry_due(struct nvme_queue *queue);

/* ---- io.c ----------------------------------------------------------------------------- */

/* Puts a command with its data into the ring. The caller has checked it and found a free slot. */
void nvme_io_put(struct nvme_queue *queue, const struct nvme_command *command, void *buffer,
                 uint32_t size_bytes, struct nvme_callback callback);

/* Posts one part of a split request. The caller has found a free slot. */
void nvme_io_put_part(struct nvme_queue *queue, const struct nvme_namespace *ns,
                      const struct nvme_io *part);

/* Checks that the queue takes requests for this namespace. */
static inline enum nvme_error nvme_io_check_queue(const struct nvme_queue *queue,
                                                  const struct nvme_namespace *ns)
{
    if (queue->state != NVME_QUEUE_OPEN) {
        return NVME_ERR_STATE;
    }
    return ns->controller == queue->controller ? NVME_OK : NVME_ERR_NAMESPACE;
}

/* True if the buffer is there, and dword aligned. */
static inline bool nvme_io_is_aligned(const void *buffer)
{
    return ((uintptr_t)buffer & 3) == 0 && buffer != NULL;
}

/* Options of a request that was posted without: before the doorbell. */
void nvme_io_set_options(struct nvme_queue *queue, struct nvme_request *request,
                         const struct nvme_io *io);

/* ---- split.c --------------------------------------------------------------------------- */

/*
 * Posts a read or write of `block_count` blocks that is none of one command and an aligned buffer:
 * in parts, copied, or refused for its count, place or buffer. io->block_count is not used. The
 * caller has found a free slot.
 */
NVME_COLD enum nvme_error nvme_split_post(struct nvme_queue *queue, const struct nvme_namespace *ns,
                                          const struct nvme_io *io, uint64_t block_count);

/* ---- segments.c ------------------------------------------------------------------------- */

/*
 * Posts a read or write whose buffer is not aligned, if the queue may copy data; else
 * NVME_ERR_ALIGNMENT. The caller has found all else good, and a free slot.
 */
NVME_COLD enum nvme_error nvme_segments_post_buffer(struct nvme_queue *queue,
                                                    const struct nvme_namespace *ns,
                                                    const struct nvme_io *io);

/* ---- admin.c: commands under a deadline ----------------------------------------------- */

/* An admin command that is not posted yet; the nvme_admin_ask functions fill an empty one. */
struct nvme_admin_call {
    struct nvme_command command;
    void *buffer; /* as for nvme_passthrough */
    uint32_t size_bytes;
};

/*
 * Posts one admin command and waits for its end. *result is always written. NVME_ERR_DEVICE: it was
 * refused, *result has the status. NVME_ERR_TIMEOUT, NVME_ERR_FATAL, NVME_ERR_REMOVED: no answer;
 * the caller must disable the controller.
 */
enum nvme_error nvme_admin_execute(struct nvme_controller *controller,
                                   const struct nvme_admin_call *call, struct nvme_result *result);

/* Puts an admin command into the ring, without a doorbell. controller->admin_done tells its end. */
void nvme_admin_post(struct nvme_controller *controller, const struct nvme_admin_call *call);

/* Reports a command that the device has refused. Any other end is no matter. */
void nvme_admin_report(struct nvme_controller *controller, uint8_t opcode,
                       const struct nvme_result *result);

/* The error that this value of CSTS reports, with an event, or NVME_OK. */
enum nvme_error nvme_admin_check_status(const struct nvme_controller *controller, uint32_t csts);

/* In controller->administered: nvme_abort_step() uses the admin queue, for a moment. */
#define NVME_ADMINISTERED_ABORT UINT32_C(0x80000000)

/*
 * Begin and end administration: this hart's interrupts are off and the line is closed for `reason`,
 * NVME_CLOSED_COMMAND or NVME_CLOSED_QUEUE. A reason does not nest in itself.
 */
unsigned long nvme_admin_begin(struct nvme_controller *controller, uint32_t reason);
void nvme_admin_end(struct nvme_controller *controller, uint32_t reason, unsigned long irq);

/* Interrupts need not look at the admin queue while it has no command. */
void nvme_admin_rest(struct nvme_controller *controller);

/* Reads Identify data with this CNS into controller->identify_page. */
enum nvme_error nvme_admin_identify(struct nvme_controller *controller, enum nvme_cns cns,
                                    uint32_t nsid);

/* Identify, into controller->identify_page. */
void nvme_admin_ask_identify(const struct nvme_controller *controller, enum nvme_cns cns,
                             uint32_t nsid, struct nvme_admin_call *call);

/* Number of Queues: asks for `wanted` pairs. The answer grants at least 1, and counts up to that.
 */
void nvme_admin_ask_queue_count(uint32_t wanted, struct nvme_admin_call *call);
uint32_t nvme_admin_queues_granted(const struct nvme_result *result, uint32_t wanted);

/* Host Behavior Support: the device may tell how long to wait before a retry. */
void nvme_admin_ask_behavior(const struct nvme_controller *controller,
                             struct nvme_admin_call *call);

/* Doorbell Buffer Config: shadow doorbells in controller->shadow_pages, event indexes behind. */
void nvme_admin_ask_shadow(const struct nvme_controller *controller, struct nvme_admin_call *call);

/* Creates the device's side of an I/O queue, NVME_ADMIN_CREATE_CQ or NVME_ADMIN_CREATE_SQ. */
void nvme_admin_ask_create(const struct nvme_queue *queue, uint8_t opcode,
                           struct nvme_admin_call *call);
enum nvme_error nvme_admin_create(struct nvme_controller *controller,
                                  const struct nvme_queue *queue, uint8_t opcode);

/* Deletes it: NVME_ADMIN_DELETE_SQ or NVME_ADMIN_DELETE_CQ. */
enum nvme_error nvme_admin_delete(struct nvme_controller *controller, uint8_t opcode,
                                  uint16_t queue_id);

/* ---- event.c --------------------------------------------------------------------------- */

/* Asynchronous Event Configuration: every event that the engine knows and the device offers. */
void nvme_events_ask(const struct nvme_controller *controller, struct nvme_admin_call *call);

/* Posts the Asynchronous Event Request. None is outstanding. */
void nvme_events_arm(struct nvme_controller *controller);

#include "nvme_reset_internal.h"
#include "nvme_source_internal.h"

#endif
