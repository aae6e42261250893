// SPDX-License-Identifier: MIT
/*
 * Whether two controllers show one medium, and the reason why a namespace cannot be used.
 *
 * Pure: it compares what the engine has decoded. A program that writes to two media as if they were
 * one destroys both, so every identifier must agree. A missing identifier proves nothing.
 */
#ifndef HARTQ_MEDIUM_H
#define HARTQ_MEDIUM_H

#include <stddef.h>
#include <stdint.h>

#include "nvme.h"

/* Room for every text of medium_write_flaw. */
enum { MEDIUM_FLAW_BYTES = 96 };

/* A namespace as one controller shows it. */
struct medium_view {
    const struct nvme_controller_info *controller;
    const struct nvme_namespace_info *ns;
    uint32_t nsid;
};

/*
 * NULL if both views are of one namespace, else the first difference in words. The controllers must
 * be two of one subsystem (CMIC, SUBNQN, serial number, CNTLID). The namespace must be shared
 * (NMIC), and NSID, size, format, EUI-64, NGUID and UUID must be equal.
 */
const char *medium_difference(const struct medium_view *a, const struct medium_view *b);

/* Writes why a namespace that nvme_namespace_open refused with `error` cannot be used. */
void medium_write_flaw(const struct nvme_namespace_info *info, enum nvme_error error,
                       char text[MEDIUM_FLAW_BYTES]);

#endif
