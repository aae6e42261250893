// SPDX-License-Identifier: MIT
/*
 * For tools: any admin command, such as Get Log Page. A kernel does not need it. Rules R1 to R15
 * are those of nvme.h.
 */
#ifndef NVME_ADMIN_H
#define NVME_ADMIN_H

#include "nvme.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { NVME_ADMIN_PASSTHROUGH_MAX = 4096 }; /* bytes of data */

/*
 * Executes an admin command and waits for its end.
 * Parameters: command: opcode, nsid and dwords 2, 3 and 10 to 15 are used. buffer: dword aligned,
 *   size_bytes long, or NULL and 0; the engine's until return. result: always written; its status
 *   says why the device refused.
 * Context: administration (R6).
 * Cost: one admin command.
 * Errors: NVME_ERR_UNSUPPORTED: the engine itself uses the command: queues, Asynchronous Event
 *   Request, Doorbell Buffer Config, and Set Features of Number of Queues, Asynchronous Event
 *   Configuration and Host Behavior Support. NVME_ERR_LENGTH: above
 *   NVME_ADMIN_PASSTHROUGH_MAX, or data for an opcode that transfers none. NVME_ERR_ALIGNMENT: the
 *   buffer is not dword aligned, or is not there. NVME_ERR_DEVICE: the device refused.
 *   Others: as nvme_namespace_next.
 */
NVME_WARN_UNUSED enum nvme_error nvme_admin_passthrough(struct nvme_controller *controller,
                                                        const struct nvme_command *command,
                                                        void *buffer, uint32_t size_bytes,
                                                        struct nvme_result *result);

#ifdef __cplusplus
}
#endif

#endif
