// SPDX-License-Identifier: MIT
/*
 * Between the model's files: registers (model.c), rings (model_ring.c), commands (model_pending.c,
 * model_admin.c, model_event.c, model_io.c), data (model_prp.c), doorbells in memory
 * (model_shadow.c), the line (model_line.c), the way there (model_posted.c), time (model_timing.c),
 * memory that is mapped (model_mapping.c).
 */
#ifndef MODEL_INTERNAL_H
#define MODEL_INTERNAL_H

#include "model.h"

enum {
    MODEL_NO_VECTOR = -1, /* a completion queue that does not interrupt */
};

/* What a command comes to. */
struct model_answer {
    uint16_t status; /* as NVME_STATUS_ fields */
    uint32_t dw0;
};

/* model.c, model_line.c: at the device, where a posted write has arrived. */
uint32_t model_register_read_now(struct model *model, uint32_t offset);
void model_register_write_now(struct model *model, uint32_t offset, uint32_t value);
void model_vector_mask_now(struct model *model, uint16_t vector, bool masked);

/* model_ring.c */
void model_open_sq(struct model *model, uint32_t id, uint64_t address, uint32_t entries,
                   uint32_t cqid);
void model_open_cq(struct model *model, uint32_t id, uint64_t address, uint32_t entries,
                   int32_t vector);
void model_close_sq(struct model *model, uint32_t id);
void model_close_cq(struct model *model, uint32_t id);
void model_ring_doorbell(struct model *model, uint32_t offset, uint32_t value);
void model_answer(struct model *model, const struct model_pending *pending,
                  struct model_answer answer);
void model_end_pending_of(struct model *model, uint32_t sqid);

/* A tail, a head: of a doorbell, or of a shadow doorbell that the device looked at. */
void model_move_tail(struct model *model, uint32_t id, uint32_t value);
void model_move_head(struct model_cq *cq, uint32_t value);

/* model_shadow.c. The looks do nothing without a shadow doorbell, and if the device is deaf. */
void model_look_at_tail(struct model *model, uint32_t id);
void model_look_at_head(struct model *model, uint32_t id);
bool model_has_shadow(const struct model *model, uint32_t id);
uint32_t model_shadow_value(const struct model *model, uint32_t id, bool is_cq);
struct model_answer model_configure_shadow(struct model *model, const struct nvme_command *command);
void model_check_shadow_emptied(const struct model *model, uint32_t id, bool is_cq);
void model_shadow_tell_head(struct model *model, uint32_t id);

/* model_timing.c: a command was fetched from an I/O queue of a device with a timing. */
void model_begin_flight(struct model *model, const struct model_pending *pending);

/* model.c: a doorbell, or EN = 1, after a change of RDY. */
void model_check_status_barrier(struct model *model);

/* model_cache.c: what a driver for a machine without coherent DMA must do. */
void model_note_written(struct model *model, const uint8_t *host, uint32_t bytes);
void model_check_given_back(const struct model_cq *cq, uint32_t head);
void model_check_invalidated(const struct model_cq *cq, uint32_t entry);
void model_check_emptied(const struct nvme_completion *ring, uint32_t entries);

/* model_mapping.c: the device touches this memory. */
void model_reach(const void *host, size_t size, bool writes);

/* model_event.c. The second: an admin command that was fetched and is not answered at once. */
bool model_is_event_request(const struct model_pending *pending);
bool model_holds_command(struct model *model, const struct model_pending *pending);
void model_tell_events(struct model *model);
void model_forget_events(struct model *model);
struct model_answer model_configure_events(struct model *model, const struct nvme_command *command);
struct model_answer model_get_log(struct model *model, const struct nvme_command *command);

/* model_admin.c, model_io.c; the first sends up to a page of data to the host. */
void model_send(struct model *model, const struct nvme_command *command, const void *page,
                uint32_t bytes);
struct model_answer model_execute_admin(struct model *model, const struct nvme_command *command);
struct model_answer model_execute_io(struct model *model, const struct nvme_command *command);

/* model_line.c: the line follows the completion queues and the mask. */
void model_update_line(struct model *model);

/*
 * model_line.c: an entry was put into a queue that was empty or not; the head doorbell was rung;
 * whether QEMU's count is too high, which redundant head doorbells repair.
 */
void model_interrupt_posted(struct model *model, struct model_cq *cq, bool was_empty);
bool model_count_leaked(const struct model *model);
void model_interrupt_rung(struct model *model, const struct model_cq *cq);

/* A line of several harts: who writes its mask. Before each write of a register or a doorbell. */
void model_judge_mask(struct model *model, uint32_t offset, uint32_t value);

#endif
