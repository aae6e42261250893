// SPDX-License-Identifier: MIT
/*
 * Flattened device trees for tests: from source text through dtc, from QEMU's machine.
 */
#ifndef BLOB_H
#define BLOB_H

#include <stddef.h>
#include <stdint.h>

/* A device tree in memory of exactly its size. */
struct blob {
    uint8_t *bytes;
    size_t size;
};

/* Compiles source text with dtc, which must succeed. */
struct blob blob_compile(const char *source);

/*
 * The tree that QEMU (the environment's QEMU, or qemu-system-riscv64) gives this machine; bytes
 * NULL: it does not know the machine.
 */
struct blob blob_qemu(const char *machine, const char *options);

/* A copy, so that a sanitizer sees what is read beyond its end. */
struct blob blob_copy(const struct blob *blob, size_t size);

void blob_free(struct blob *blob);

#endif
