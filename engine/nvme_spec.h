// SPDX-License-Identifier: MIT
/*
 * What the specification fixes: registers, commands, completions, Identify data.
 *
 * Layouts and field masks only, no behaviour. Names are the specification's. A field is one
 * mask made by NVME_BITS; NVME_GET and NVME_PUT derive shifts from it. Multi-byte values are
 * little-endian, which the engine requires of the hart as well.
 *
 * Sources: "Base" is the NVMe Base Specification 2.0, "NVM" the NVM Command Set Specification 1.0,
 * "PCIe" the NVMe over PCIe Transport Specification 1.0. Sections have other numbers in 2.1.
 */
#ifndef NVME_SPEC_H
#define NVME_SPEC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define NVME_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define NVME_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif

/* A field from bit `high` down to bit `low`, as a mask. */
#define NVME_BITS(high, low) ((~UINT64_C(0) >> (63 - (high))) & (~UINT64_C(0) << (low)))
#define NVME_LOWEST_BIT(field) ((field) & (~(field) + 1))
#define NVME_GET(field, value) (((uint64_t)(value) & (field)) / NVME_LOWEST_BIT(field))
#define NVME_PUT(field, value) (((uint64_t)(value)*NVME_LOWEST_BIT(field)) & (field))

/* Controller properties: byte offsets from the start of BAR0. Base §3.1.3. */
enum nvme_register {
    NVME_REG_CAP = 0x00,         /* §3.1.3.1: 64 bits, capabilities */
    NVME_REG_VS = 0x08,          /* §3.1.3.2: version */
    NVME_REG_INTMS = 0x0c,       /* §3.1.3.3: interrupt mask set */
    NVME_REG_INTMC = 0x10,       /* §3.1.3.4: interrupt mask clear */
    NVME_REG_CC = 0x14,          /* §3.1.3.5: controller configuration */
    NVME_REG_CSTS = 0x1c,        /* §3.1.3.6: controller status */
    NVME_REG_AQA = 0x24,         /* §3.1.3.8: admin queue sizes */
    NVME_REG_ASQ = 0x28,         /* §3.1.3.9: 64 bits, admin submission queue address */
    NVME_REG_ACQ = 0x30,         /* §3.1.3.10: 64 bits, admin completion queue address */
    NVME_REG_CRTO = 0x68,        /* Base 2.1 §3.1.4.21: ready timeouts, if CAP.CRMS says so */
    NVME_REG_DOORBELLS = 0x1000, /* PCIe §3.1.2: tail and head of each queue in turn */
};

/* CAP. Base §3.1.3.1. */
#define NVME_CAP_MQES NVME_BITS(15, 0)   /* largest queue, 0's based entries */
#define NVME_CAP_CQR NVME_BITS(16, 16)   /* queues must be physically contiguous */
#define NVME_CAP_TO NVME_BITS(31, 24)    /* longest change of RDY, units of 500 ms */
#define NVME_CAP_DSTRD NVME_BITS(35, 32) /* doorbell stride: 4 << DSTRD bytes */
#define NVME_CAP_CSS_NVM NVME_BITS(37, 37)
#define NVME_CAP_MPSMIN NVME_BITS(51, 48) /* page size: 4096 << MPSMIN bytes */
#define NVME_CAP_MPSMAX NVME_BITS(55, 52)
#define NVME_CAP_CRWMS NVME_BITS(59, 59) /* CRTO.CRWMT is valid */

#define NVME_CRTO_CRWMT NVME_BITS(15, 0) /* longest rise of RDY, units of 500 ms */

/* CC. Base §3.1.3.5. */
#define NVME_CC_EN NVME_BITS(0, 0)
#define NVME_CC_CSS NVME_BITS(6, 4)
#define NVME_CC_MPS NVME_BITS(10, 7)
#define NVME_CC_AMS NVME_BITS(13, 11)
#define NVME_CC_SHN NVME_BITS(15, 14)
#define NVME_CC_IOSQES NVME_BITS(19, 16)
#define NVME_CC_IOCQES NVME_BITS(23, 20)
enum { NVME_CC_SHN_NORMAL = 1 };

/* CSTS. Base §3.1.3.6. */
#define NVME_CSTS_RDY NVME_BITS(0, 0)
#define NVME_CSTS_CFS NVME_BITS(1, 1)
#define NVME_CSTS_SHST NVME_BITS(3, 2)
enum { NVME_CSTS_SHST_COMPLETE = 2 };

/* AQA. Base §3.1.3.8. */
#define NVME_AQA_ASQS NVME_BITS(11, 0)  /* 0's based entries */
#define NVME_AQA_ACQS NVME_BITS(27, 16) /* 0's based entries */

/* What a register of a controller that is no longer there reads as. */
#define NVME_REGISTER_GONE UINT32_C(0xffffffff)

/* log2 of the entry sizes, as CC.IOSQES and CC.IOCQES want them. */
enum { NVME_SQE_SHIFT = 6, NVME_CQE_SHIFT = 4 };

/* Admin command opcodes. Base chapter 5. */
enum nvme_admin_opcode {
    NVME_ADMIN_DELETE_SQ = 0x00, /* §5.7 */
    NVME_ADMIN_CREATE_SQ = 0x01, /* §5.5 */
    NVME_ADMIN_GET_LOG_PAGE = 0x02,
    NVME_ADMIN_DELETE_CQ = 0x04, /* §5.6 */
    NVME_ADMIN_CREATE_CQ = 0x05, /* §5.4 */
    NVME_ADMIN_IDENTIFY = 0x06,  /* §5.17 */
    NVME_ADMIN_ABORT = 0x08,
    NVME_ADMIN_SET_FEATURES = 0x09, /* §5.27 */
    NVME_ADMIN_ASYNC_EVENT_REQUEST = 0x0c,
    NVME_ADMIN_DOORBELL_BUFFER_CONFIG = 0x7c,
};

/* I/O command opcodes of the NVM command set. */
enum nvme_io_opcode {
    NVME_CMD_FLUSH = 0x00, /* Base §7.1 */
    NVME_CMD_WRITE = 0x01, /* NVM §3.2.6 */
    NVME_CMD_READ = 0x02,  /* NVM §3.2.4 */
};

/* Bits 1:0 of every opcode: which way the data goes. */
#define NVME_OPCODE_TRANSFER NVME_BITS(1, 0)
enum {
    NVME_TRANSFER_NONE = 0,
    NVME_TRANSFER_TO_DEVICE = 1,
    NVME_TRANSFER_FROM_DEVICE = 2,
    NVME_TRANSFER_BOTH = 3,
};

/* Submission queue entry. Base §3.3.3.1. */
struct nvme_command {
    uint32_t cdw0; /* opcode, fuse, psdt, command id */
    uint32_t nsid;
    uint32_t cdw2;
    uint32_t cdw3;
    uint64_t mptr;
    uint64_t prp1;
    uint64_t prp2;
    uint32_t cdw10;
    uint32_t cdw11;
    uint32_t cdw12;
    uint32_t cdw13;
    uint32_t cdw14;
    uint32_t cdw15;
};
NVME_STATIC_ASSERT(sizeof(struct nvme_command) == 64, "a command is 64 bytes");
NVME_STATIC_ASSERT(offsetof(struct nvme_command, nsid) == 4, "NSID is dword 1");
NVME_STATIC_ASSERT(offsetof(struct nvme_command, prp1) == 24, "PRP1 is dwords 6 and 7");
NVME_STATIC_ASSERT(offsetof(struct nvme_command, prp2) == 32, "PRP2 is dwords 8 and 9");
NVME_STATIC_ASSERT(offsetof(struct nvme_command, cdw10) == 40, "command dword 10");
NVME_STATIC_ASSERT(offsetof(struct nvme_command, cdw12) == 48, "command dword 12");

/* The same entry for Read (NVM §3.2.4) and Write (§3.2.6), as the eight words that are stored. */
struct nvme_transfer_command {
    uint64_t cdw0_nsid; /* dword 0, and NSID in 63:32 */
    uint64_t cdw2_3;
    uint64_t mptr;
    uint64_t prp1;
    uint64_t prp2;
    uint64_t slba;     /* first logical block */
    uint64_t cdw12_13; /* 15:0: 0's based number of blocks; NVME_IO_ fields */
    uint64_t cdw14_15;
};
NVME_STATIC_ASSERT(sizeof(struct nvme_transfer_command) == 64, "a command is 64 bytes");
NVME_STATIC_ASSERT(offsetof(struct nvme_transfer_command, prp1) ==
                       offsetof(struct nvme_command, prp1),
                   "PRP1 is dwords 6 and 7");
NVME_STATIC_ASSERT(offsetof(struct nvme_transfer_command, slba) ==
                       offsetof(struct nvme_command, cdw10),
                   "SLBA is dwords 10 and 11");
NVME_STATIC_ASSERT(offsetof(struct nvme_transfer_command, cdw12_13) ==
                       offsetof(struct nvme_command, cdw12),
                   "NLB is in dword 12");

/* Command dword 0. Base §3.3.3.1. */
#define NVME_CDW0_OPCODE NVME_BITS(7, 0)
#define NVME_CDW0_FUSE NVME_BITS(9, 8)
#define NVME_CDW0_PSDT NVME_BITS(15, 14) /* 0: PRPs */
#define NVME_CDW0_CID NVME_BITS(31, 16)

/* SGLs: dword 0's PSDT, and a descriptor. The device sees length and type as bytes 8 to 15. */
#define NVME_PSDT_SGL 1
struct nvme_sgl_descriptor {
    uint64_t address;
    uint64_t length_type;
};
NVME_STATIC_ASSERT(sizeof(struct nvme_sgl_descriptor) == 16, "an SGL descriptor");
#define NVME_SGL_LENGTH NVME_BITS(31, 0)
#define NVME_SGL_TYPE NVME_BITS(63, 60)
enum nvme_sgl_type { NVME_SGL_DATA_BLOCK = 0, NVME_SGL_LAST_SEGMENT = 3 };

/* Completion queue entry. The device writes it: each dword is loaded once. Base §3.3.3.2. */
struct nvme_completion {
    uint32_t dw0; /* command specific */
    uint32_t dw1;
    uint32_t sq;     /* SQ head pointer, SQ identifier */
    uint32_t status; /* command id, phase, status field */
};
NVME_STATIC_ASSERT(sizeof(struct nvme_completion) == 16, "a completion is 16 bytes");
NVME_STATIC_ASSERT(offsetof(struct nvme_completion, sq) == 8, "SQHD and SQID are dword 2");
NVME_STATIC_ASSERT(offsetof(struct nvme_completion, status) == 12, "CID and status are dword 3");

#define NVME_CQE_SQHD NVME_BITS(15, 0)
#define NVME_CQE_SQID NVME_BITS(31, 16)
#define NVME_CQE_CID NVME_BITS(15, 0)
#define NVME_CQE_PHASE NVME_BITS(16, 16)
#define NVME_CQE_STATUS NVME_BITS(31, 17) /* the 15-bit status field below */

/* Dwords 2 and 3 in one load: the fields of dword 3 stand 32 bits higher. */
#define NVME_CQE_IN_HIGH(dword3) ((uint64_t)(dword3) << 32)

/* The status field, the 15 bits above the phase bit. Base §3.3.3.2. */
#define NVME_STATUS_CODE NVME_BITS(7, 0)
#define NVME_STATUS_TYPE NVME_BITS(10, 8)
#define NVME_STATUS_CRD NVME_BITS(12, 11) /* with ACRE: 1 to 3 name CRDT1 to CRDT3 */
#define NVME_STATUS_ABORTED 0x007         /* type and code: on request, by Abort */
#define NVME_STATUS_DNR NVME_BITS(14, 14)

/* Create I/O Completion Queue (Base §5.4) and Create I/O Submission Queue (Base §5.5). */
#define NVME_QUEUE_ID NVME_BITS(15, 0)        /* cdw10 */
#define NVME_QUEUE_SIZE NVME_BITS(31, 16)     /* cdw10, 0's based entries */
#define NVME_QUEUE_PC NVME_BITS(0, 0)         /* cdw11, physically contiguous */
#define NVME_CREATE_CQ_IEN NVME_BITS(1, 1)    /* cdw11 */
#define NVME_CREATE_CQ_IV NVME_BITS(31, 16)   /* cdw11, interrupt vector */
#define NVME_CREATE_SQ_CQID NVME_BITS(31, 16) /* cdw11 */

/* Identify: CNS values, cdw10. Base §5.17. */
enum nvme_cns {
    NVME_CNS_NAMESPACE = 0x00,
    NVME_CNS_CONTROLLER = 0x01,        /* §5.17.2.1 */
    NVME_CNS_ACTIVE_NAMESPACES = 0x02, /* §5.17.2.2 */
    NVME_CNS_DESCRIPTORS = 0x03,       /* Base 2.1 §5.1.13.2.3: descriptor list; from 1.3 on */
};
enum { NVME_IDENTIFY_BYTES = 4096, NVME_ACTIVE_NAMESPACES_PER_PAGE = 1024 };

/* Set Features: feature identifiers, cdw10; Number of Queues, Base §5.27.1.5. */
enum nvme_feature {
    NVME_FEATURE_NUMBER_OF_QUEUES = 0x07,
    NVME_FEATURE_ASYNC_EVENTS = 0x0b,
    NVME_FEATURE_HOST_BEHAVIOR = 0x16, /* Host Behavior Support: a structure of 512 bytes */
};
enum { NVME_BEHAVIOR_BYTES = 512, NVME_BEHAVIOR_ACRE = 0 /* byte: retry delays are told */ };
#define NVME_QUEUES_NSQ NVME_BITS(15, 0)  /* cdw11 and dw0, 0's based */
#define NVME_QUEUES_NCQ NVME_BITS(31, 16) /* cdw11 and dw0, 0's based */

/* Asynchronous Event Configuration, cdw11. Bits 31:8 stand as in OAES. */
#define NVME_EVENTS_HEALTH NVME_BITS(4, 0) /* as the critical warnings */
#define NVME_EVENTS_NAMESPACES NVME_BITS(8, 8)
#define NVME_EVENTS_FIRMWARE NVME_BITS(9, 9)

/* Abort: cdw10, and dword 0 of the completion. */
#define NVME_ABORT_SQID NVME_BITS(15, 0)
#define NVME_ABORT_CID NVME_BITS(31, 16)
#define NVME_ABORT_FAILED NVME_BITS(0, 0) /* the command was not aborted */

/* Asynchronous Event Request: dword 0 of the completion. */
#define NVME_ASYNC_TYPE NVME_BITS(2, 0)
#define NVME_ASYNC_INFORMATION NVME_BITS(15, 8)
#define NVME_ASYNC_LOG NVME_BITS(23, 16) /* the log page to read */
enum nvme_async_type { NVME_ASYNC_ERROR = 0, NVME_ASYNC_HEALTH = 1, NVME_ASYNC_NOTICE = 2 };
enum nvme_async_notice { NVME_NOTICE_NAMESPACES = 0, NVME_NOTICE_FIRMWARE = 1 };

/* Get Log Page, cdw10. */
enum nvme_log {
    NVME_LOG_ERRORS = 0x01,
    NVME_LOG_HEALTH = 0x02,
    NVME_LOG_FIRMWARE = 0x03,
    NVME_LOG_CHANGED_NAMESPACES = 0x04, /* NSIDs in order; 0 ends the list */
};
#define NVME_LOG_RETAIN NVME_BITS(15, 15) /* the event that the log is of; NVMe 1.3 and later */
#define NVME_LOG_DWORDS NVME_BITS(31, 16) /* 0's based */
#define NVME_NSID_ALL UINT32_C(0xffffffff)

/* The newest entry of the Error Information log; the start of the SMART / Health log. */
struct nvme_log_error {
    uint64_t error_count;
};
struct nvme_log_health {
    uint8_t critical_warning;
    uint8_t temperature_low; /* Kelvin */
    uint8_t temperature_high;
};

/* Read and Write, cdw12. NVM §3.2.4, §3.2.6. */
#define NVME_IO_NLB NVME_BITS(15, 0) /* 0's based number of logical blocks */
#define NVME_IO_FUA NVME_BITS(30, 30)
enum { NVME_IO_MAX_BLOCKS = 65536 };

/* Identify Controller, the fields that are decoded. Base §5.17.2.1. */
struct nvme_identify_controller {
    uint16_t vid;
    uint16_t ssvid;
    char sn[20];
    char mn[40];
    char fr[8];
    uint8_t reserved_72[76 - 72];
    uint8_t cmic; /* bit 1: the subsystem may have more controllers */
    uint8_t mdts; /* largest transfer: page size << mdts, 0 = no limit */
    uint16_t cntlid;
    uint32_t ver;
    uint32_t rtd3r;
    uint32_t rtd3e; /* longest orderly shutdown in us, 0 = not told */
    uint32_t oaes;  /* optional events */
    uint8_t reserved_96[128 - 96];
    uint16_t crdt[3]; /* delays of a retry, in 100 ms */
    uint8_t reserved_134[256 - 134];
    uint16_t oacs; /* optional admin commands */
    uint8_t reserved_258[262 - 258];
    uint8_t elpe; /* 0's based entries of the error log */
    uint8_t reserved_263[512 - 263];
    uint8_t sqes; /* log2 of the entry size: smallest in 3:0, largest in 7:4 */
    uint8_t cqes;
    uint16_t maxcmd;
    uint32_t nn; /* highest namespace identifier */
    uint16_t oncs;
    uint16_t fuses;
    uint8_t fna;
    uint8_t vwc; /* bit 0: a volatile write cache is present */
    uint8_t reserved_526[536 - 526];
    uint32_t sgls; /* SGLs: 1:0 not 0, they are supported */
    uint8_t reserved_540[768 - 540];
    char subnqn[256]; /* the subsystem's name, ends with NUL */
    uint8_t reserved_1024[4096 - 1024];
};
NVME_STATIC_ASSERT(sizeof(struct nvme_identify_controller) == NVME_IDENTIFY_BYTES, "one page");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_controller, sn) == 4, "SN");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_controller, mn) == 24, "MN");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_controller, fr) == 64, "FR");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_controller, cmic) == 76, "CMIC");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_controller, mdts) == 77, "MDTS");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_controller, cntlid) == 78, "CNTLID");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_controller, ver) == 80, "VER");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_controller, rtd3e) == 88, "RTD3E");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_controller, oaes) == 92, "OAES");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_controller, crdt) == 128, "CRDT1");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_controller, oacs) == 256, "OACS");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_controller, elpe) == 262, "ELPE");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_controller, sqes) == 512, "SQES");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_controller, cqes) == 513, "CQES");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_controller, nn) == 516, "NN");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_controller, vwc) == 525, "VWC");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_controller, sgls) == 536, "SGLS");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_controller, subnqn) == 768, "SUBNQN");

#define NVME_SGLS_SUPPORT NVME_BITS(1, 0)
enum nvme_sgls_support { NVME_SGLS_BYTES = 1, NVME_SGLS_DWORDS = 2 };
#define NVME_CMIC_CONTROLLERS NVME_BITS(1, 1)
#define NVME_OACS_DOORBELL_BUFFER NVME_BITS(8, 8)

/* Identify Namespace, the fields that are decoded. NVM 1.0b §4.1.5.1. */
struct nvme_identify_namespace {
    uint64_t nsze; /* blocks, 0 = not active */
    uint64_t ncap;
    uint64_t nuse;
    uint8_t nsfeat;
    uint8_t nlbaf; /* 0's based number of LBA formats */
    uint8_t flbas; /* the format in use */
    uint8_t mc;
    uint8_t dpc;
    uint8_t dps;  /* bits 2:0 not 0: protection information is on */
    uint8_t nmic; /* bit 0: more than one controller may be attached to it */
    uint8_t reserved_31[82 - 31];
    uint8_t nulbaf; /* number of further LBA formats after those of NLBAF */
    uint8_t reserved_83[104 - 83];
    uint8_t nguid[16]; /* 0: not given, as EUI64 */
    uint8_t eui64[8];
    uint32_t lbaf[64];
    uint8_t reserved_384[4096 - 384];
};
NVME_STATIC_ASSERT(sizeof(struct nvme_identify_namespace) == NVME_IDENTIFY_BYTES, "one page");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_namespace, flbas) == 26, "FLBAS");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_namespace, dps) == 29, "DPS");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_namespace, nulbaf) == 82, "NULBAF");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_namespace, nmic) == 30, "NMIC");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_namespace, nguid) == 104, "NGUID");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_namespace, eui64) == 120, "EUI64");
NVME_STATIC_ASSERT(offsetof(struct nvme_identify_namespace, lbaf) == 128, "LBAF0");

#define NVME_FLBAS_LOW NVME_BITS(3, 0)  /* bits 3:0 of the format index */
#define NVME_FLBAS_HIGH NVME_BITS(6, 5) /* bits 5:4 of it, if there are more than 16 formats */
#define NVME_DPS_PIT NVME_BITS(2, 0)
#define NVME_NMIC_SHARED NVME_BITS(0, 0)
#define NVME_LBAF_MS NVME_BITS(15, 0)     /* metadata bytes per block */
#define NVME_LBAF_LBADS NVME_BITS(23, 16) /* log2 of the block size */

/* Head of a Namespace Identification Descriptor. Base 2.1 §5.1.13.2.3. The identifier follows. */
struct nvme_descriptor {
    uint8_t nidt; /* enum nvme_descriptor_type */
    uint8_t nidl; /* bytes of the identifier; 0 ends the list */
    uint16_t reserved;
};
NVME_STATIC_ASSERT(sizeof(struct nvme_descriptor) == 4, "the identifier begins at byte 4");

enum nvme_descriptor_type {
    NVME_DESCRIPTOR_EUI64 = 1,
    NVME_DESCRIPTOR_NGUID = 2,
    NVME_DESCRIPTOR_UUID = 3,
    NVME_DESCRIPTOR_COMMAND_SET = 4, /* one byte, enum nvme_command_set */
};

/* Command set identifiers (CSI). */
enum nvme_command_set {
    NVME_COMMAND_SET_NVM = 0,
    NVME_COMMAND_SET_KEY_VALUE = 1,
    NVME_COMMAND_SET_ZONED = 2,
};

#endif
