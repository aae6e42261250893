// SPDX-License-Identifier: MIT
/*
 * A walker over SGLs as a device reads them, written from the specification alone, not from the
 * engine's segments.c: one Data Block, or one Last Segment and its Data Blocks.
 */
#ifndef MODEL_SGL_H
#define MODEL_SGL_H

#include <stdbool.h>
#include <stdint.h>

/* Where a walk stands. */
struct model_sgl {
    uint64_t list; /* device address of the next descriptor */
    uint32_t descriptors;
    uint64_t address; /* of the present block */
    uint32_t left;    /* bytes of it */
    uint32_t page_bytes;
    uint64_t clean_epoch; /* when data and list must have been cleaned; 0 = not checked */
};

/* Begins a walk over `bytes` bytes; `low` and `high` are the descriptor in the command. */
void model_sgl_begin(struct model_sgl *walk, uint32_t page_bytes, uint64_t low, uint64_t high,
                     uint64_t clean_epoch, uint32_t bytes);

/* The next piece, inside a page: host memory of *bytes bytes. False at the end. */
bool model_sgl_next(struct model_sgl *walk, uint8_t **host, uint32_t *bytes);

#endif
