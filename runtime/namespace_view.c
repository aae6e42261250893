// SPDX-License-Identifier: MIT
/* See namespace_view.h. NVMe Base 2.0: Identify Controller, Identify Namespace, NVM subsystems. */
#include "namespace_view.h"

#include <stdio.h>
#include <string.h>

const char *namespace_view_difference(const struct namespace_view *a,
                                      const struct namespace_view *b)
{
    const struct nvme_namespace_info *ns_a = a->ns;
    const struct nvme_namespace_info *ns_b = b->ns;

    if (!a->controller->more_controllers || !b->controller->more_controllers) {
        return "its subsystem has one controller (CMIC)";
    }
    /* Without a name nothing tells one subsystem from another. */
    if (a->controller->subsystem[0] == '\0' ||
        strcmp(a->controller->subsystem, b->controller->subsystem) != 0 ||
        strcmp(a->controller->serial, b->controller->serial) != 0) {
        return "it is of another subsystem (SUBNQN)";
    }
    /* Each controller of a subsystem has a number of its own: two subsystems have one name. */
    if (a->controller->controller_id == b->controller->controller_id) {
        return "its subsystem has the same name and is another (CNTLID)";
    }
    if (!ns_a->shared || !ns_b->shared) {
        return "its namespace is not shared (NMIC)";
    }
    if (a->nsid != b->nsid || ns_a->block_count != ns_b->block_count ||
        ns_a->block_shift != ns_b->block_shift) {
        return "its namespace has another number, size or format";
    }
    return memcmp(ns_a->nguid, ns_b->nguid, sizeof(ns_a->nguid)) != 0 ||
                   memcmp(ns_a->eui64, ns_b->eui64, sizeof(ns_a->eui64)) != 0 ||
                   memcmp(ns_a->uuid, ns_b->uuid, sizeof(ns_a->uuid)) != 0
               ? "its namespace has another identifier (NGUID, EUI-64, UUID)"
               : NULL;
}

void namespace_view_write_flaw(const struct nvme_namespace_info *info, enum nvme_error error,
                               char text[NAMESPACE_FLAW_BYTES])
{
    bool refused = error == NVME_ERR_UNSUPPORTED;

    if (refused && info->command_set == NVME_COMMAND_SET_ZONED) {
        snprintf(text, NAMESPACE_FLAW_BYTES, "it is zoned, the engine drives the NVM command set");
    } else if (refused && info->command_set != NVME_COMMAND_SET_NVM) {
        snprintf(text, NAMESPACE_FLAW_BYTES, "command set %u, the engine drives NVM",
                 info->command_set);
    } else if (refused && info->protection_type != 0) {
        snprintf(text, NAMESPACE_FLAW_BYTES, "protection information of type %u is on",
                 info->protection_type);
    } else if (refused && info->metadata_bytes != 0) {
        snprintf(text, NAMESPACE_FLAW_BYTES, "%u bytes of metadata after each block",
                 info->metadata_bytes);
    } else if (refused) {
        snprintf(text, NAMESPACE_FLAW_BYTES, "a block of %llu bytes is larger than a command",
                 1ULL << (info->block_shift & 63));
    } else {
        snprintf(text, NAMESPACE_FLAW_BYTES, "%s", nvme_error_text(error));
    }
}
