// SPDX-License-Identifier: MIT
/*
 * Admin commands of a tool: see nvme_admin.h. It keeps out what would change the engine's own state
 * of the device. NVMe Base 2.0: Admin Command Set.
 */
#include "nvme_admin.h"
#include "nvme_internal.h"

static bool is_engines_feature(uint32_t feature)
{
    return feature == NVME_FEATURE_NUMBER_OF_QUEUES || feature == NVME_FEATURE_ASYNC_EVENTS ||
           feature == NVME_FEATURE_HOST_BEHAVIOR;
}

/* True if the engine relies on what the command changes, or it would not end. */
static bool is_engines_own(const struct nvme_command *command)
{
    switch (NVME_GET(NVME_CDW0_OPCODE, command->cdw0)) {
    case NVME_ADMIN_DELETE_SQ:
    case NVME_ADMIN_CREATE_SQ:
    case NVME_ADMIN_DELETE_CQ:
    case NVME_ADMIN_CREATE_CQ:
    case NVME_ADMIN_ASYNC_EVENT_REQUEST:
    case NVME_ADMIN_DOORBELL_BUFFER_CONFIG:
        return true;
    case NVME_ADMIN_SET_FEATURES:
        return is_engines_feature(command->cdw10 & UINT8_MAX);
    default:
        return false;
    }
}

static enum nvme_error check_command(const struct nvme_command *command, const void *buffer,
                                     uint32_t size_bytes)
{
    bool transfers = NVME_GET(NVME_OPCODE_TRANSFER, command->cdw0) != NVME_TRANSFER_NONE;

    if (is_engines_own(command)) {
        return NVME_ERR_UNSUPPORTED;
    }
    if (size_bytes > NVME_ADMIN_PASSTHROUGH_MAX || (size_bytes != 0 && !transfers)) {
        return NVME_ERR_LENGTH;
    }
    return ((uintptr_t)buffer & 3) == 0 && (buffer != NULL) == (size_bytes != 0)
               ? NVME_OK
               : NVME_ERR_ALIGNMENT;
}

static void unmap_data(const struct nvme_controller *controller, const struct nvme_admin_call *call,
                       bool ended)
{
    if (NVME_PORT_MAPS_DMA && ended && call->size_bytes != 0) {
        hal_dma_unmap(controller->config.dma_context, call->buffer, call->size_bytes,
                      (enum nvme_dma_direction)(call->command.cdw0 & NVME_DMA_BOTH));
    }
}

enum nvme_error nvme_admin_passthrough(struct nvme_controller *controller,
                                       const struct nvme_command *command, void *buffer,
                                       uint32_t size_bytes, struct nvme_result *result)
{
    enum nvme_error error = check_command(command, buffer, size_bytes);
    struct nvme_admin_call call = {
        .command = *command,
        .buffer = buffer,
        .size_bytes = size_bytes,
    };
    bool stuck;

    if (error != NVME_OK) {
        *result = (struct nvme_result){.error = error};
        return error;
    }
    call.command.cdw0 &= (uint32_t)NVME_CDW0_OPCODE;
    call.command.mptr = 0;
    call.command.prp1 = 0;
    call.command.prp2 = 0;
    error = nvme_data_map(&controller->admin, buffer, size_bytes, call.command.cdw0);
    if (error != NVME_OK) {
        *result = (struct nvme_result){.error = error};
        return error;
    }
    stuck = nvme_controller_state_load(controller) == NVME_CONTROLLER_STUCK;
    error = nvme_admin_execute(controller, &call, result);
    result->error = nvme_controller_settle(controller, error);
    /* It has ended, or the device has stopped, or was stuck before and has not seen it. */
    unmap_data(controller, &call, stuck || result->error != NVME_ERR_STUCK);
    return result->error;
}
