// SPDX-License-Identifier: MIT
/*
 * CRC-32C (Castagnoli), as iSCSI has it: RFC 3720, appendix B.4.
 */
#ifndef HARTQ_BENCH_CRC32C_H
#define HARTQ_BENCH_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from `crc`, which is 0 at the first piece; pieces give what the whole gives. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size_bytes);

#endif
