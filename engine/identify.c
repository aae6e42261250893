// SPDX-License-Identifier: MIT
/*
 * Identify Controller and Identify Namespace, decoded into plain units.
 *
 * Pure. A hostile device may go on writing the page, so each field is read once into a local, then
 * checked, then used. NVMe Base 2.0, NVM Command Set 1.0: Identify.
 */
#include "nvme_internal.h"

enum {
    SHUTDOWN_MIN_MS = 1000,
    SHUTDOWN_MAX_MS = 127500,
    BLOCK_SHIFT_MIN = 9,
    BLOCK_SHIFT_MAX = 16, /* the largest that the engine supports */
    BLOCK_SHIFT_END = 32, /* no device has so large a block */
    FORMATS_IN_LOW_BITS = 16,
};

/* Copies up to the first NUL, without blanks at the end: strings are padded, some terminated. */
static void copy_text(char *to, const volatile char *from, size_t size)
{
    size_t end = 0;

    for (size_t i = 0; i < size; i++) {
        char byte = from[i];

        if (byte == '\0') {
            break;
        }
        to[i] = byte >= ' ' && byte <= '~' ? byte : ' ';
        end = to[i] != ' ' ? i + 1 : end;
    }
    to[end] = '\0';
}

/* SQES and CQES: the smallest size in 3:0 and the largest in 7:4, as powers of two. */
static bool size_allowed(uint8_t sizes, uint8_t shift)
{
    return (sizes & 0xf) <= shift && sizes >> 4 >= shift;
}

/* RTD3E in ms, not shorter than the default wait, not longer than CAP.TO can express. */
static uint32_t shutdown_ms(uint32_t rtd3e_us, uint32_t otherwise_ms)
{
    uint32_t ms = rtd3e_us / 1000;

    if (rtd3e_us == 0) {
        return otherwise_ms;
    }
    ms = ms < SHUTDOWN_MIN_MS ? SHUTDOWN_MIN_MS : ms;
    return ms > SHUTDOWN_MAX_MS ? SHUTDOWN_MAX_MS : ms;
}

/* In bytes, 0: no SGLs. */
static uint32_t sgl_alignment(uint32_t sgls)
{
    switch (NVME_GET(NVME_SGLS_SUPPORT, sgls)) {
    case NVME_SGLS_BYTES:
        return 1;
    case NVME_SGLS_DWORDS:
        return 4;
    default:
        return 0;
    }
}

enum nvme_error nvme_identify_controller_decode(const void *page, struct nvme_controller_info *info)
{
    const volatile struct nvme_identify_controller *identify = page;
    uint8_t mdts = identify->mdts;
    uint64_t mdts_bytes = mdts < 32 ? (uint64_t)info->page_bytes << mdts : UINT64_MAX;

    if (!size_allowed(identify->sqes, NVME_SQE_SHIFT) ||
        !size_allowed(identify->cqes, NVME_CQE_SHIFT)) {
        return NVME_ERR_IDENTIFY;
    }
    copy_text(info->serial, identify->sn, sizeof(identify->sn));
    copy_text(info->model, identify->mn, sizeof(identify->mn));
    copy_text(info->firmware, identify->fr, sizeof(identify->fr));
    copy_text(info->subsystem, identify->subnqn, sizeof(identify->subnqn));
    info->controller_id = identify->cntlid;
    info->pci_vendor = identify->vid;
    info->namespace_id_max = identify->nn;
    info->shutdown_timeout_ms = shutdown_ms(identify->rtd3e, info->shutdown_timeout_ms);
    info->optional_events = identify->oaes;
    info->volatile_write_cache = (identify->vwc & 1) != 0;
    info->shadow_doorbells = (identify->oacs & NVME_OACS_DOORBELL_BUFFER) != 0;
    info->sgl_alignment = sgl_alignment(identify->sgls);
    info->more_controllers = (identify->cmic & NVME_CMIC_CONTROLLERS) != 0;
    /* A limit above 32 bits counts as no limit. */
    if (mdts != 0 && mdts_bytes <= UINT32_MAX) {
        info->mdts_bytes = (uint32_t)mdts_bytes;
        if (info->max_transfer_bytes > info->mdts_bytes) {
            info->max_transfer_bytes = info->mdts_bytes;
        }
    }
    return NVME_OK;
}

/* The most blocks of one command: limited by bytes, by NLB's 16 bits and by the namespace. */
static uint32_t max_blocks(uint32_t max_transfer_bytes, uint32_t shift, uint64_t block_count)
{
    uint32_t blocks = max_transfer_bytes >> shift;

    if (blocks > NVME_IO_MAX_BLOCKS) {
        blocks = NVME_IO_MAX_BLOCKS;
    }
    /* So a length that fits one command fits the namespace: one comparison less per request. */
    return blocks < block_count ? blocks : (uint32_t)block_count;
}

/* FLBAS: the index of the format in use. */
static uint32_t format_index(uint8_t flbas, uint32_t last_format)
{
    uint32_t low = (uint32_t)NVME_GET(NVME_FLBAS_LOW, flbas);

    return last_format < FORMATS_IN_LOW_BITS
               ? low
               : low | (uint32_t)NVME_GET(NVME_FLBAS_HIGH, flbas) << 4;
}

/* The index of the last format: NLBAF is 0's based, NULBAF counts those after it. */
static uint32_t format_last(const volatile struct nvme_identify_namespace *identify)
{
    uint32_t first_kind = identify->nlbaf;

    return first_kind + identify->nulbaf;
}

static void copy_bytes(uint8_t *to, const volatile uint8_t *from, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        to[i] = from[i];
    }
}

void nvme_identify_namespace_describe(const void *page, struct nvme_namespace_info *info)
{
    const volatile struct nvme_identify_namespace *identify = page;
    uint32_t lbaf = identify->lbaf[format_index(identify->flbas, format_last(identify))];

    info->block_count = identify->nsze;
    info->block_shift = (uint8_t)NVME_GET(NVME_LBAF_LBADS, lbaf);
    info->metadata_bytes = (uint16_t)NVME_GET(NVME_LBAF_MS, lbaf);
    info->protection_type = (uint8_t)NVME_GET(NVME_DPS_PIT, identify->dps);
    info->shared = (identify->nmic & NVME_NMIC_SHARED) != 0;
    copy_bytes(info->eui64, identify->eui64, sizeof(info->eui64));
    copy_bytes(info->nguid, identify->nguid, sizeof(info->nguid));
}

/* The field of a descriptor of this type and length, or NULL. */
static uint8_t *descriptor_place(struct nvme_namespace_info *info, uint8_t type, size_t size)
{
    switch (type) {
    case NVME_DESCRIPTOR_EUI64:
        return size == sizeof(info->eui64) ? info->eui64 : NULL;
    case NVME_DESCRIPTOR_NGUID:
        return size == sizeof(info->nguid) ? info->nguid : NULL;
    case NVME_DESCRIPTOR_UUID:
        return size == sizeof(info->uuid) ? info->uuid : NULL;
    case NVME_DESCRIPTOR_COMMAND_SET:
        return size == sizeof(info->command_set) ? &info->command_set : NULL;
    default:
        return NULL;
    }
}

void nvme_identify_descriptors_decode(const void *page, struct nvme_namespace_info *info)
{
    const volatile uint8_t *list = page;
    size_t at = 0;

    while (at + sizeof(struct nvme_descriptor) <= NVME_IDENTIFY_BYTES) {
        uint8_t type = list[at + offsetof(struct nvme_descriptor, nidt)];
        size_t size = list[at + offsetof(struct nvme_descriptor, nidl)];
        uint8_t *place = descriptor_place(info, type, size);

        at += sizeof(struct nvme_descriptor);
        if (size == 0 || size > NVME_IDENTIFY_BYTES - at) {
            return;
        }
        if (place != NULL) {
            copy_bytes(place, list + at, size);
        }
        at += size;
    }
}

enum nvme_error nvme_identify_namespace_decode(const void *page, uint32_t max_transfer_bytes,
                                               struct nvme_namespace *ns)
{
    const volatile struct nvme_identify_namespace *identify = page;
    uint64_t block_count = identify->nsze;
    uint32_t last_format = format_last(identify);
    uint32_t format = format_index(identify->flbas, last_format);
    uint32_t lbaf;
    uint32_t shift;

    if (block_count == 0) {
        return NVME_ERR_NAMESPACE;
    }
    lbaf = identify->lbaf[format];
    shift = (uint32_t)NVME_GET(NVME_LBAF_LBADS, lbaf);
    if (NVME_GET(NVME_LBAF_MS, lbaf) != 0 || (identify->dps & NVME_DPS_PIT) != 0) {
        return NVME_ERR_UNSUPPORTED;
    }
    if (format > last_format || shift < BLOCK_SHIFT_MIN || shift >= BLOCK_SHIFT_END ||
        block_count > UINT64_MAX >> shift) {
        return NVME_ERR_IDENTIFY;
    }
    ns->block_shift = (uint8_t)shift;
    if (shift > BLOCK_SHIFT_MAX || max_transfer_bytes >> shift == 0) {
        return NVME_ERR_UNSUPPORTED;
    }
    ns->block_count = block_count;
    ns->block_bytes = UINT32_C(1) << shift;
    ns->max_blocks = max_blocks(max_transfer_bytes, shift, block_count);
    return NVME_OK;
}
