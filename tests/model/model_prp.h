// SPDX-License-Identifier: MIT
/*
 * A walker over PRPs as a device reads them, written from the specification alone, not from the
 * engine's prp.c. NVMe Base 2.0 §4.1.1.
 */
#ifndef MODEL_PRP_H
#define MODEL_PRP_H

#include <stdbool.h>
#include <stdint.h>

/* Where a walk stands. */
struct model_prp {
    uint32_t page_bytes;
    uint32_t left; /* bytes of the transfer not yet handed out */
    uint64_t next; /* device address of the next piece, if not from the list */
    uint64_t list; /* device address of the next list entry, 0 = none */
    uint64_t prp2;
    uint32_t pieces;      /* handed out */
    uint32_t list_pages;  /* of the list, entered */
    uint64_t clean_epoch; /* when data and list must have been cleaned; 0 = not checked */
};

/* Begins a walk over `bytes` bytes; broken rules become findings. */
void model_prp_begin(struct model_prp *walk, uint32_t page_bytes, uint64_t prp1, uint64_t prp2,
                     uint32_t bytes);

/* The next piece: host memory of *bytes bytes. False at the end. */
bool model_prp_next(struct model_prp *walk, uint8_t **host, uint32_t *bytes);

#endif
