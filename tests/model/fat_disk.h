// SPDX-License-Identifier: MIT
/*
 * FAT volumes in the backing of the model, for the tests of examples/fat_volume.c. In the root are
 * a label, a deleted entry, FILE.BIN, SUB with INNER.TXT, a long name, and low.TXT.
 */
#ifndef FAT_DISK_H
#define FAT_DISK_H

#include "fat_volume.h"
#include "fixture.h"

enum {
    FILE_BYTES = 3 * BLOCK_BYTES - 100,
    END = 0x0fffffff, /* of a chain; FAT16 has its lower half */
    FAT16_BLOCKS = 4200,
    FAT16_FAT = 17,
    FAT16_ROOT = 2,
    FAT32_BLOCKS = 140,
    FAT32_FAT = 2,
    FAT16_DATA = 1 + FAT16_FAT + FAT16_ROOT,
    FAT32_DATA = 1 + FAT32_FAT,
    FILE_FIRST = 5, /* its clusters are 5, 9, 7 */
    SUB = 4,
    INNER = 6,
    ROOT = 2, /* FAT32 */
};

/* A volume in the backing of the model. */
struct disk {
    struct fixture fixture;
    struct block_device device;
    struct fat_volume volume;
    uint8_t memory[BLOCK_BYTES + 1]; /* the buffer begins at an odd address */
    uint8_t *bytes;
    bool is_32;
};

/* Makes a volume, and frees all. */
void disk_make(struct disk *disk, bool is_32);
void disk_free(struct disk *disk);

/* Where the bytes of a cluster and of the root are. */
uint8_t *disk_cluster(struct disk *disk, uint32_t cluster);
uint8_t *disk_root(struct disk *disk);

/* Sets the entry of a cluster in the FAT. */
void disk_link(struct disk *disk, uint32_t cluster, uint32_t next);

/* Stores a little-endian number of `width` bytes. */
void disk_put(uint8_t *to, uint32_t value, uint32_t width);

/* An entry with a short name of 11 letters; the parts of its long name. Both return their end. */
uint8_t *disk_entry(uint8_t *at, const char *name, uint8_t attributes, uint32_t cluster,
                    uint32_t size);
uint8_t *disk_long(uint8_t *at, const uint16_t *units, uint32_t count, const char *name);

/* A byte of FILE.BIN. */
uint8_t disk_content(uint32_t at);

#endif
