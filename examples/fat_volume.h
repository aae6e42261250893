// SPDX-License-Identifier: MIT
/*
 * Reads FAT16 and FAT32 volumes through a block device, one block at a time, into one buffer. The
 * volume is not trusted: whatever it holds, every function ends, with an error that says why.
 */
#ifndef FAT_VOLUME_H
#define FAT_VOLUME_H

#include <stdbool.h>
#include <stdint.h>

#include "block_device.h"

enum { FAT_NAME_BYTES = 3 * 255 + 1 }; /* 255 units of UTF-16 as UTF-8 */

enum fat_error {
    FAT_OK,
    FAT_END, /* of a directory or of a file: no error */
    FAT_READ,
    FAT_NONE,
    FAT_SECTOR,
    FAT_TWELVE,
    FAT_SHAPE,
    FAT_BEYOND,
    FAT_CLUSTER,
    FAT_LOOP,
    FAT_SHORT,
    FAT_ENTRIES,
    FAT_ERRORS,
};

/* What is wrong, and what to do about it. */
struct fat_reason {
    const char *what;
    const char *hint;
};
extern const struct fat_reason fat_reasons[FAT_ERRORS];

/* A volume. The functions write it; value, limit and read_error tell of the last error. */
struct fat_volume {
    struct block_device *device;
    uint8_t *buffer; /* of BLOCK_BYTES, at any address */
    uint64_t held;   /* the block that it holds; UINT64_MAX: none */
    uint64_t value, limit;
    int32_t read_error;
    bool is_32;
    uint32_t cluster_blocks;
    uint32_t cluster_count;
    uint32_t root_cluster; /* FAT32: the root directory's first */
    uint32_t root_blocks;  /* FAT16: of the root directory */
    uint64_t fat_first;    /* the first block of the first FAT, of FAT16's root, and of cluster 2 */
    uint64_t root_first;
    uint64_t data_first;
    uint64_t entries_left; /* of directories, before there are more than the volume holds */
};

/* A place in a run of blocks: a chain of clusters, or the root of FAT16. */
struct fat_place {
    bool is_root; /* the root of FAT16, not a chain */
    uint32_t cluster;
    uint32_t block; /* in the cluster or the root */
    uint32_t at;    /* byte in the block */
    uint32_t steps; /* along the chain, and the cluster after the last power of two of them: */
    uint32_t mark;  /* who meets it again is in a loop */
};

/* An entry of a directory, with its long name if it has one. */
struct fat_entry {
    char name[FAT_NAME_BYTES];
    uint32_t cluster;
    uint32_t size; /* bytes */
    bool is_directory;
};

/* Reads the first block, checks it, and finds the parts of the volume. */
enum fat_error fat_open(struct fat_volume *volume, struct block_device *device, uint8_t *buffer);

/* The begin of the root directory, and of the file or directory of an entry. */
struct fat_place fat_root(const struct fat_volume *volume);
struct fat_place fat_begin(const struct fat_entry *entry);

/* The next file or directory. `.` and `..`, labels and deleted ones are left out. */
enum fat_error fat_next(struct fat_volume *volume, struct fat_place *place,
                        struct fat_entry *entry);

/*
 * The next bytes of a file, at most a block, are in volume->buffer until the next call of any
 * function. left: entry->size at first. FAT_END behind the last, without bytes; by then the whole
 * chain of clusters was followed.
 */
enum fat_error fat_read(struct fat_volume *volume, struct fat_place *place, uint32_t *left,
                        uint32_t *bytes);

#endif
