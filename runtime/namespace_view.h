// SPDX-License-Identifier: MIT
/*
 * Whether two controllers show one namespace, and the reason why a namespace cannot be used.
 *
 * Pure: it compares what the engine has decoded. A program that writes to two namespaces as if they
 * were one destroys both, so every identifier must agree. A missing identifier proves nothing.
 */
#ifndef HARTQ_NAMESPACE_VIEW_H
#define HARTQ_NAMESPACE_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "nvme.h"

/* Why a namespace of the list cannot be used that Identify Namespace does not describe. */
#define NAMESPACE_WITHOUT_BLOCKS "it has no blocks (NSZE is 0)"

/* Room for every text of namespace_view_write_flaw. */
enum { NAMESPACE_FLAW_BYTES = 96 };

/* A namespace as one controller shows it. */
struct namespace_view {
    const struct nvme_controller_info *controller;
    const struct nvme_namespace_info *ns;
    uint32_t nsid;
};

/*
 * NULL if both views are of one namespace, else the first difference in words. The controllers must
 * be two of one subsystem (CMIC, SUBNQN, serial number, CNTLID). The namespace must be shared
 * (NMIC), and NSID, size, format, EUI-64, NGUID and UUID must be equal.
 */
const char *namespace_view_difference(const struct namespace_view *a,
                                      const struct namespace_view *b);

/* Writes why a namespace that nvme_namespace_open refused with `error` cannot be used. */
void namespace_view_write_flaw(const struct nvme_namespace_info *info, enum nvme_error error,
                               char text[NAMESPACE_FLAW_BYTES]);

#endif
