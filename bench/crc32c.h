// SPDX-License-Identifier: MIT
/*
 * CRC-32C (Castagnoli), as iSCSI has it: RFC 3720, appendix B.4.
 */
#ifndef HARTQ_BENCH_CRC32C_H
#define HARTQ_BENCH_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The CRC of data after `crc`, that of the data before it; 0 at the start. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size_bytes);

#endif
