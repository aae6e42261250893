// SPDX-License-Identifier: MIT
/*
 * The reader of FAT volumes: see fat_volume.h. The layout is that of Microsoft's FAT32 File System
 * Specification 1.03.
 */
#include "fat_volume.h"

#include <string.h>

enum {
    ENTRY_BYTES = 32,
    ENTRIES = BLOCK_BYTES / ENTRY_BYTES, /* in a block */
    FIRST_CLUSTER = 2,
    TWELVE_MAX = 4084, /* clusters of a FAT12 volume, at most */
    DELETED = 0xe5,
    LABEL = 0x08, /* attributes */
    DIRECTORY = 0x10,
    LONG_NAME = 0x0f,
    ATTRIBUTES = 0x3f,
    LOWER_NAME = 0x08, /* flags: the short name is in small letters */
    LOWER_EXTENSION = 0x10,
    LAST_PART = 0x40, /* of a long name; it comes first */
    PART_UNITS = 13,
    PARTS_MAX = 20,
};

const struct fat_reason fat_reasons[FAT_ERRORS] = {
    [FAT_OK] = {"success", ""},
    [FAT_END] = {"end", ""},
    [FAT_READ] = {"a block cannot be read", "see the events of the controller"},
    [FAT_NONE] = {"no FAT volume in block 0", "mkfs.vfat on the whole disk, without partitions"},
    [FAT_SECTOR] = {"bytes of a sector", "mkfs.vfat -S 512"},
    [FAT_TWELVE] = {"a FAT12 volume of so many clusters", "mkfs.vfat -F 16, or -F 32"},
    [FAT_SHAPE] = {"the parts of the volume contradict each other", "fsck.vfat"},
    [FAT_BEYOND] = {"blocks of the volume, more than the disk has", "is the image complete?"},
    [FAT_CLUSTER] = {"no such cluster", "fsck.vfat"},
    [FAT_LOOP] = {"a chain of clusters comes back to a cluster", "fsck.vfat"},
    [FAT_SHORT] = {"a file's chain of clusters ends before its bytes", "fsck.vfat"},
    [FAT_ENTRIES] = {"more entries of directories than the volume holds", "fsck.vfat"},
};

/* A long name while its parts go by, the last one first. */
struct long_name {
    uint16_t units[PARTS_MAX * PART_UNITS];
    uint32_t parts;   /* still to come; UINT32_MAX: there is none */
    uint8_t checksum; /* of the short name that it belongs to */
};

static enum fat_error fail(struct fat_volume *volume, enum fat_error error, uint64_t value,
                           uint64_t limit)
{
    volume->value = value;
    volume->limit = limit;
    return error;
}

/* A little-endian number of `width` bytes. */
static uint32_t number_at(const uint8_t *bytes, uint32_t width)
{
    uint32_t number = 0;

    while (width-- != 0) {
        number = number << 8 | bytes[width];
    }
    return number;
}

static enum fat_error block_load(struct fat_volume *volume, uint64_t block)
{
    if (volume->held == block) {
        return FAT_OK;
    }
    volume->held = UINT64_MAX;
    volume->read_error = block_read(volume->device, block, 1, volume->buffer);
    if (volume->read_error != 0) {
        return fail(volume, FAT_READ, block, volume->device->block_count - 1);
    }
    volume->held = block;
    return FAT_OK;
}

/* ---- The volume ----------------------------------------------------------------------- */

/* Whether the numbers of block 0 fit each other and the disk. */
static enum fat_error shape_check(struct fat_volume *volume, uint64_t blocks, uint64_t fat_blocks)
{
    uint64_t entries = fat_blocks * BLOCK_BYTES / (volume->is_32 ? 4 : 2);

    if (volume->data_first >= blocks || blocks - volume->data_first < volume->cluster_blocks) {
        return fail(volume, FAT_SHAPE, volume->data_first, blocks);
    }
    if (blocks > volume->device->block_count) {
        return fail(volume, FAT_BEYOND, blocks, volume->device->block_count);
    }
    volume->cluster_count = (uint32_t)((blocks - volume->data_first) / volume->cluster_blocks);
    if (!volume->is_32 && volume->cluster_count <= TWELVE_MAX) {
        return fail(volume, FAT_TWELVE, volume->cluster_count, TWELVE_MAX);
    }
    if (entries < volume->cluster_count + (uint64_t)FIRST_CLUSTER) {
        return fail(volume, FAT_SHAPE, volume->cluster_count, entries);
    }
    volume->entries_left =
        ((uint64_t)volume->cluster_count * volume->cluster_blocks + volume->root_blocks) * ENTRIES;
    return FAT_OK;
}

static enum fat_error parameters_read(struct fat_volume *volume, const uint8_t *boot)
{
    uint32_t small_blocks = number_at(boot + 19, 2);
    uint32_t small_fat = number_at(boot + 22, 2);
    uint64_t blocks = small_blocks != 0 ? small_blocks : number_at(boot + 32, 4);
    uint64_t fat_blocks = small_fat != 0 ? small_fat : number_at(boot + 36, 4);

    volume->is_32 = small_fat == 0;
    volume->cluster_blocks = boot[13];
    volume->fat_first = number_at(boot + 14, 2);
    volume->root_blocks = (number_at(boot + 17, 2) + ENTRIES - 1) / ENTRIES;
    volume->root_cluster = volume->is_32 ? number_at(boot + 44, 4) : 0;
    if (volume->cluster_blocks == 0 || volume->fat_first == 0 || boot[16] == 0) {
        return fail(volume, FAT_SHAPE, 0, 1);
    }
    volume->root_first = volume->fat_first + boot[16] * fat_blocks;
    volume->data_first = volume->root_first + volume->root_blocks;
    return shape_check(volume, blocks, fat_blocks);
}

enum fat_error fat_open(struct fat_volume *volume, struct block_device *device, uint8_t *buffer)
{
    enum fat_error error;

    *volume = (struct fat_volume){.device = device, .buffer = buffer, .held = UINT64_MAX};
    error = block_load(volume, 0);
    if (error != FAT_OK) {
        return error;
    }
    if (number_at(buffer + 510, 2) != 0xaa55 || (buffer[0] != 0xeb && buffer[0] != 0xe9)) {
        return fail(volume, FAT_NONE, number_at(buffer + 510, 2), 0xaa55);
    }
    if (number_at(buffer + 11, 2) != BLOCK_BYTES) {
        return fail(volume, FAT_SECTOR, number_at(buffer + 11, 2), BLOCK_BYTES);
    }
    return parameters_read(volume, buffer);
}

/* ---- Chains of clusters --------------------------------------------------------------- */

static enum fat_error cluster_check(struct fat_volume *volume, uint32_t cluster)
{
    uint32_t last = volume->cluster_count + FIRST_CLUSTER - 1;

    return cluster >= FIRST_CLUSTER && cluster <= last ? FAT_OK
                                                       : fail(volume, FAT_CLUSTER, cluster, last);
}

/* To the next cluster. Brent's way to notice a loop: the marks are powers of two apart. */
static enum fat_error chain_step(struct fat_volume *volume, struct fat_place *place)
{
    uint32_t width = volume->is_32 ? 4 : 2;
    uint32_t mask = volume->is_32 ? 0x0fffffff : 0xffff;
    uint64_t byte = (uint64_t)place->cluster * width;
    enum fat_error error = block_load(volume, volume->fat_first + byte / BLOCK_BYTES);
    uint32_t next;

    if (error != FAT_OK) {
        return error;
    }
    next = number_at(volume->buffer + byte % BLOCK_BYTES, width) & mask;
    if (next >= (mask & ~UINT32_C(7))) {
        return FAT_END;
    }
    if (next == place->mark) {
        return fail(volume, FAT_LOOP, next, place->steps);
    }
    place->steps++;
    if ((place->steps & (place->steps - 1)) == 0) {
        place->mark = next;
    }
    place->cluster = next;
    place->block = 0;
    return cluster_check(volume, next);
}

/* Loads the block of the place, in the next cluster if this one is at its end. */
static enum fat_error place_load(struct fat_volume *volume, struct fat_place *place)
{
    enum fat_error error;

    if (place->is_root) {
        return place->block < volume->root_blocks
                   ? block_load(volume, volume->root_first + place->block)
                   : FAT_END;
    }
    error = cluster_check(volume, place->cluster);
    if (error == FAT_OK && place->block == volume->cluster_blocks) {
        error = chain_step(volume, place);
    }
    if (error != FAT_OK) {
        return error;
    }
    return block_load(volume,
                      volume->data_first + place->block +
                          (uint64_t)(place->cluster - FIRST_CLUSTER) * volume->cluster_blocks);
}

/* ---- Names ---------------------------------------------------------------------------- */

/*
 * Appends a unit of UTF-16 as UTF-8 and returns the end. A control character becomes `?`, half of a
 * pair of units U+FFFD.
 */
static char *unit_append(char *to, uint32_t unit)
{
    if (unit < ' ' || unit == 0x7f) {
        unit = '?';
    }
    if (unit < 0x80) {
        *to++ = (char)unit;
        return to;
    }
    if (unit >= 0xd800 && unit < 0xe000) {
        unit = 0xfffd;
    }
    if (unit < 0x800) {
        *to++ = (char)(0xc0 | unit >> 6);
    } else {
        *to++ = (char)(0xe0 | unit >> 12);
        *to++ = (char)(0x80 | (unit >> 6 & 0x3f));
    }
    *to++ = (char)(0x80 | (unit & 0x3f));
    return to;
}

/* Takes a part of a long name. One that does not follow the part before ends the name. */
static void long_name_add(struct long_name *name, const uint8_t *raw)
{
    uint32_t part = raw[0] & (LAST_PART - 1u);
    bool first = (raw[0] & LAST_PART) != 0;

    if (first) {
        memset(name, 0, sizeof(*name));
        name->parts = part;
        name->checksum = raw[13];
    }
    if (part == 0 || part > PARTS_MAX || part != name->parts || raw[13] != name->checksum) {
        name->parts = UINT32_MAX;
        return;
    }
    name->parts = part - 1;
    for (uint32_t i = 0; i < PART_UNITS; i++) {
        uint32_t at = i < 5 ? 1 + 2 * i : i < 11 ? 4 + 2 * i : 6 + 2 * i;

        name->units[(part - 1) * PART_UNITS + i] = (uint16_t)number_at(raw + at, 2);
    }
}

static uint8_t short_checksum(const uint8_t *raw)
{
    uint8_t sum = 0;

    for (int i = 0; i < 11; i++) {
        sum = (uint8_t)((sum << 7 | sum >> 1) + raw[i]);
    }
    return sum;
}

/* Up to `size` letters of a short name, without the blanks at its end. */
static char *short_append(char *to, const uint8_t *letters, uint32_t size, bool lower)
{
    while (size != 0 && letters[size - 1] == ' ') {
        size--;
    }
    for (uint32_t i = 0; i < size; i++) {
        uint8_t letter = letters[i];

        to = unit_append(to, lower && letter >= 'A' && letter <= 'Z' ? letter + 32u : letter);
    }
    return to;
}

static void name_write(char *to, const struct long_name *name, const uint8_t *raw)
{
    if (name->parts == 0 && name->checksum == short_checksum(raw)) {
        for (uint32_t i = 0; i < 255 && name->units[i] != 0; i++) {
            to = unit_append(to, name->units[i]);
        }
    } else {
        to = short_append(to, raw, 8, (raw[12] & LOWER_NAME) != 0);
        if (raw[8] != ' ') {
            *to++ = '.';
        }
        to = short_append(to, raw + 8, 3, (raw[12] & LOWER_EXTENSION) != 0);
    }
    *to = '\0';
}

/* ---- Directories and files ------------------------------------------------------------ */

struct fat_place fat_root(const struct fat_volume *volume)
{
    uint32_t cluster = volume->root_cluster;

    return (struct fat_place){.is_root = !volume->is_32, .cluster = cluster, .mark = cluster};
}

struct fat_place fat_begin(const struct fat_entry *entry)
{
    return (struct fat_place){.cluster = entry->cluster, .mark = entry->cluster};
}

/* The entry at the place, which then moves on. */
static enum fat_error entry_load(struct fat_volume *volume, struct fat_place *place,
                                 const uint8_t **raw)
{
    enum fat_error error = place_load(volume, place);

    if (error != FAT_OK) {
        return error;
    }
    if (volume->entries_left == 0) {
        return fail(volume, FAT_ENTRIES, place->cluster, 0);
    }
    volume->entries_left--;
    *raw = volume->buffer + place->at;
    place->at = (place->at + ENTRY_BYTES) % BLOCK_BYTES;
    place->block += place->at == 0;
    return FAT_OK;
}

enum fat_error fat_next(struct fat_volume *volume, struct fat_place *place, struct fat_entry *entry)
{
    struct long_name name = {.parts = UINT32_MAX};
    const uint8_t *raw = NULL;
    enum fat_error error = entry_load(volume, place, &raw);

    while (error == FAT_OK && raw[0] != 0) {
        if ((raw[11] & ATTRIBUTES) == LONG_NAME && raw[0] != DELETED) {
            long_name_add(&name, raw);
        } else if (raw[0] == DELETED || raw[0] == '.' || (raw[11] & LABEL) != 0) {
            name.parts = UINT32_MAX;
        } else {
            name_write(entry->name, &name, raw);
            entry->cluster = number_at(raw + 26, 2) |
                             (volume->is_32 ? (number_at(raw + 20, 2) & 0x0fff) << 16 : 0);
            entry->size = number_at(raw + 28, 4);
            entry->is_directory = (raw[11] & DIRECTORY) != 0;
            return FAT_OK;
        }
        error = entry_load(volume, place, &raw);
    }
    return error == FAT_OK ? FAT_END : error;
}

/* Follows the rest of a chain: what comes back to a cluster, or leads nowhere, is found so. */
static enum fat_error chain_end(struct fat_volume *volume, struct fat_place *place)
{
    enum fat_error error = FAT_OK;

    while (error == FAT_OK) {
        error = chain_step(volume, place);
    }
    return error;
}

enum fat_error fat_read(struct fat_volume *volume, struct fat_place *place, uint32_t *left,
                        uint32_t *bytes)
{
    enum fat_error error;

    *bytes = 0;
    if (*left == 0) {
        return place->cluster == 0 ? FAT_END : chain_end(volume, place);
    }
    error = place_load(volume, place);
    if (error == FAT_END) {
        return fail(volume, FAT_SHORT, *left, 0);
    }
    if (error != FAT_OK) {
        return error;
    }
    *bytes = *left < BLOCK_BYTES ? *left : BLOCK_BYTES;
    *left -= *bytes;
    place->block++;
    return FAT_OK;
}
