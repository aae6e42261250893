// SPDX-License-Identifier: MIT
/*
 * examples/fat_volume.c: names, fragmented files and sub-directories of a FAT16 and of a FAT32
 * volume; and what it says of volumes that are broken in one place, or at random.
 */
#include <stdlib.h>

#include "fat_disk.h"

enum { DEPTH_MAX = 6 };

static enum fat_error disk_open(struct disk *disk)
{
    return fat_open(&disk->volume, &disk->device, disk->memory + 1);
}

/* ---- A whole walk ------------------------------------------------------------------------- */

/* What a walk has seen: names, and the bytes of FILE.BIN. */
struct seen {
    char names[1024];
    uint32_t file_bytes;
    uint32_t wrong_bytes;
    uint32_t reads;
};

static enum fat_error file_walk(struct disk *disk, const struct fat_entry *entry, struct seen *seen)
{
    struct fat_place place = fat_begin(entry);
    uint32_t left = entry->size;
    uint32_t at = 0;
    uint32_t bytes;
    enum fat_error error;

    while ((error = fat_read(&disk->volume, &place, &left, &bytes)) == FAT_OK) {
        for (uint32_t i = 0; i < bytes; i++, at++) {
            seen->wrong_bytes +=
                entry->size == FILE_BYTES && disk->memory[1 + i] != disk_content(at);
        }
        seen->reads++;
    }
    seen->file_bytes += entry->size == FILE_BYTES ? at : 0;
    return error == FAT_END ? FAT_OK : error;
}

/* The first error, or FAT_OK. Directories below DEPTH_MAX are left out. */
static enum fat_error disk_walk(struct disk *disk, struct seen *seen)
{
    struct fat_place places[DEPTH_MAX];
    struct fat_entry entry;
    uint32_t depth = 1;
    enum fat_error error = disk_open(disk);

    memset(seen, 0, sizeof(*seen));
    places[0] = fat_root(&disk->volume);
    while (error == FAT_OK && depth != 0) {
        error = fat_next(&disk->volume, &places[depth - 1], &entry);
        if (error == FAT_END) {
            depth--;
            error = FAT_OK;
            continue;
        }
        if (error != FAT_OK) {
            break;
        }
        if (strlen(seen->names) + strlen(entry.name) + 2 < sizeof(seen->names)) {
            strcat(strcat(seen->names, entry.name), "|");
        }
        if (!entry.is_directory) {
            error = file_walk(disk, &entry, seen);
        } else if (depth < DEPTH_MAX) {
            places[depth++] = fat_begin(&entry);
        }
    }
    return error;
}

struct kind {
    const char *name;
    bool is_32;
};

static const struct kind kinds[] = {{"fat16", false}, {"fat32", true}};

static void everything_is_found(void **state)
{
    const struct kind *this = *state;
    struct disk disk;
    struct seen seen;

    disk_make(&disk, this->is_32);
    assert_int_equal(disk_walk(&disk, &seen), FAT_OK);
    assert_string_equal(seen.names, "FILE.BIN|SUB|INNER.TXT|"
                                    "a long \xc3\xa4\xe2\x82\xac\xef\xbf\xbd?.b|low.TXT|");
    assert_int_equal(seen.file_bytes, FILE_BYTES);
    assert_int_equal(seen.wrong_bytes, 0);
    disk_free(&disk);
}

/* A directory without a last entry ends with its chain; one of two clusters goes on. */
static void directory_ends_with_its_chain(void **state)
{
    const struct kind *this = *state;
    struct disk disk;
    struct seen seen;

    disk_make(&disk, this->is_32);
    for (uint32_t i = 3; i < 16; i++) {
        disk_entry(disk_cluster(&disk, SUB) + 32 * i, "\xe5          ", 0x20, 0, 0);
    }
    disk_link(&disk, SUB, 30);
    disk_link(&disk, 30, END);
    for (uint32_t i = 0; i < 16; i++) {
        disk_entry(disk_cluster(&disk, 30) + 32 * i, i == 15 ? "LAST       " : "\xe5          ",
                   0x20, 0, 0);
    }
    assert_int_equal(disk_walk(&disk, &seen), FAT_OK);
    assert_non_null(strstr(seen.names, "|INNER.TXT|LAST|"));
    disk_free(&disk);
}

/* ---- Broken in one place ------------------------------------------------------------------ */

enum place { BOOT, ROOT_DIRECTORY, FAT };

struct broken_case {
    const char *name;
    bool is_32;
    enum place place;
    uint32_t at; /* byte, or cluster */
    uint32_t width;
    uint32_t value;
    enum fat_error error;
};

/* In the root FILE.BIN is at 64, SUB at 96. */
static const struct broken_case broken_cases[] = {
    {"no_signature", false, BOOT, 510, 2, 0, FAT_NONE},
    {"no_jump", false, BOOT, 0, 1, 0, FAT_NONE},
    {"sectors_of_4096", false, BOOT, 11, 2, 4096, FAT_SECTOR},
    {"clusters_of_nothing", false, BOOT, 13, 1, 0, FAT_SHAPE},
    {"no_reserved_block", true, BOOT, 14, 2, 0, FAT_SHAPE},
    {"no_fat", true, BOOT, 16, 1, 0, FAT_SHAPE},
    {"no_blocks", true, BOOT, 32, 4, 0, FAT_SHAPE},
    {"more_blocks_than_the_disk", true, BOOT, 32, 4, FAT32_BLOCKS + 1, FAT_BEYOND},
    {"most_blocks", true, BOOT, 32, 4, UINT32_MAX, FAT_BEYOND},
    {"fat_behind_the_end", true, BOOT, 36, 4, UINT32_MAX, FAT_SHAPE},
    {"fat_too_small", true, BOOT, 36, 4, 1, FAT_SHAPE},
    {"fat16_too_small", false, BOOT, 22, 2, 16, FAT_SHAPE},
    {"fat12", false, BOOT, 19, 2, FAT16_DATA + 4084, FAT_TWELVE},
    {"root_in_no_cluster", true, BOOT, 44, 4, 0, FAT_CLUSTER},
    {"root_behind_the_end", true, BOOT, 44, 4, FAT32_BLOCKS, FAT_CLUSTER},
    {"file_in_no_cluster", false, ROOT_DIRECTORY, 64 + 26, 2, 0, FAT_CLUSTER},
    {"file_in_cluster_1", true, ROOT_DIRECTORY, 64 + 26, 2, 1, FAT_CLUSTER},
    {"file_behind_the_end", true, ROOT_DIRECTORY, 64 + 20, 2, 1, FAT_CLUSTER},
    {"directory_in_no_cluster", false, ROOT_DIRECTORY, 96 + 26, 2, 0, FAT_CLUSTER},
    {"file_longer_than_its_chain", false, ROOT_DIRECTORY, 64 + 28, 4, 3 * 512 + 1, FAT_SHORT},
    {"file_longer_than_the_volume", true, ROOT_DIRECTORY, 64 + 28, 4, UINT32_MAX, FAT_SHORT},
    {"chain_goes_to_itself", false, FAT, FILE_FIRST, 0, FILE_FIRST, FAT_LOOP},
    {"chain_goes_back", true, FAT, 9, 0, FILE_FIRST, FAT_LOOP},
    {"end_of_a_chain_goes_back", false, FAT, 7, 0, 9, FAT_LOOP},
    {"chain_goes_to_a_free_cluster", true, FAT, FILE_FIRST, 0, 0, FAT_CLUSTER},
    {"chain_goes_to_cluster_1", false, FAT, 9, 0, 1, FAT_CLUSTER},
    {"chain_goes_behind_the_end", true, FAT, FILE_FIRST, 0, FAT32_BLOCKS - FAT32_DATA + 2,
     FAT_CLUSTER},
    {"chain_goes_to_a_bad_cluster", false, FAT, FILE_FIRST, 0, 0xfff7, FAT_CLUSTER},
    {"chain_goes_to_a_bad_cluster_of_32", true, FAT, FILE_FIRST, 0, 0x0ffffff7, FAT_CLUSTER},
    {"chain_ends_early", false, FAT, FILE_FIRST, 0, END, FAT_SHORT},
    {"upper_bits_of_32_are_not_used", true, FAT, FILE_FIRST, 0, 0xf0000009, FAT_OK},
    {"every_end_is_one", true, FAT, 7, 0, 0x0ffffff8, FAT_OK},
    {"directory_goes_to_itself", false, ROOT_DIRECTORY, 96 + 26, 2, 20, FAT_LOOP},
};

static void broken_volume_is_told(void **state)
{
    const struct broken_case *this = *state;
    struct disk disk;
    struct seen seen;

    disk_make(&disk, this->is_32);
    /* A directory for the last case: full, and its chain is a loop. */
    disk_link(&disk, 20, 20);
    memset(disk_cluster(&disk, 20), 0xe5, BLOCK_BYTES);
    if (this->place == FAT) {
        disk_link(&disk, this->at, this->value);
    } else {
        disk_put((this->place == BOOT ? disk.bytes : disk_root(&disk)) + this->at, this->value,
                 this->width);
    }
    assert_int_equal(disk_walk(&disk, &seen), this->error);
    assert_non_null(fat_reasons[this->error].what);
    assert_true(seen.reads < 10);
    disk_free(&disk);
}

/* ---- Broken names ------------------------------------------------------------------------- */

struct name_case {
    const char *name;
    uint32_t at; /* byte of the long name's one part */
    uint8_t value;
};

static const struct name_case name_cases[] = {
    {"checksum_of_another", 13, 1},
    {"part_that_is_not_the_last", 0, 1},
    {"more_parts_than_there_are", 0, 0x42},
    {"part_0", 0, 0x40},
    {"part_21", 0, 0x40 | 21},
    {"deleted_part", 0, 0xe5},
};

static void broken_long_name_leaves_the_short_one(void **state)
{
    const struct name_case *this = *state;
    struct disk disk;
    struct seen seen;

    disk_make(&disk, false);
    disk_root(&disk)[4 * 32 + this->at] = this->value;
    assert_int_equal(disk_walk(&disk, &seen), FAT_OK);
    assert_non_null(strstr(seen.names, "|ALONG~1.B|low.TXT|"));
    disk_free(&disk);
}

static void longest_name_is_whole(void **state)
{
    uint16_t units[260];
    struct disk disk;
    struct seen seen;
    uint8_t *at;

    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(units); i++) {
        units[i] = 'x';
    }
    disk_make(&disk, true);
    disk_link(&disk, SUB, 30); /* 20 parts and the entry */
    disk_link(&disk, 30, END);
    memset(disk_cluster(&disk, SUB), 0xe5, BLOCK_BYTES);
    at = malloc(32 * 32);
    memset(at, 0, 32 * 32);
    disk_entry(disk_long(at, units, 255, "LONGEST    "), "LONGEST    ", 0x20, 0, 0);
    memcpy(disk_cluster(&disk, SUB), at, BLOCK_BYTES);
    memcpy(disk_cluster(&disk, 30), at + BLOCK_BYTES, BLOCK_BYTES);
    free(at);
    assert_int_equal(disk_walk(&disk, &seen), FAT_OK);
    assert_int_equal(strspn(strchr(seen.names, 'x'), "x"), 255);
    disk_free(&disk);
}

/* ---- The rest ----------------------------------------------------------------------------- */

static void unreadable_block_is_told(void **state)
{
    struct disk disk;
    struct seen seen;

    (void)state;
    disk_make(&disk, true);
    model_add_fault(disk.fixture.model, NVME_CMD_READ, FAT32_DATA + 9 - 2, 0x281);
    assert_int_equal(disk_walk(&disk, &seen), FAT_READ);
    assert_int_equal(disk.volume.read_error, NVME_ERR_DEVICE);
    assert_int_equal(disk.volume.value, FAT32_DATA + 9 - 2);
    assert_int_equal(disk.device.status, 0x281);
    disk_free(&disk);
}

/* A directory that is its own child is entered again and again; the entries run out. */
static void entries_run_out(void **state)
{
    struct disk disk;
    struct fat_entry entry;
    struct fat_place place;
    enum fat_error error;
    uint32_t count = 0;

    (void)state;
    disk_make(&disk, true);
    disk_entry(disk_cluster(&disk, SUB), "SELF       ", 0x10, SUB, 0);
    assert_int_equal(disk_open(&disk), FAT_OK);
    entry.cluster = SUB;
    do {
        place = fat_begin(&entry);
        error = fat_next(&disk.volume, &place, &entry);
        count++;
    } while (error == FAT_OK);
    assert_int_equal(error, FAT_ENTRIES);
    assert_int_equal(count, (FAT32_BLOCKS - FAT32_DATA) * 16 + 1);
    disk_free(&disk);
}

/* Whatever is in the volume's tables and directories, a walk ends. */
static void random_damage_ends(void **state)
{
    const struct kind *this = *state;
    struct random random = {.state = 11};
    struct disk disk;
    struct seen seen;
    uint8_t *whole;
    uint32_t bytes = (this->is_32 ? FAT32_DATA + 10 : FAT16_DATA + 10) * BLOCK_BYTES;
    uint32_t told = 0;

    disk_make(&disk, this->is_32);
    whole = malloc(bytes);
    memcpy(whole, disk.bytes, bytes);
    for (int turn = 0; turn < 400; turn++) {
        for (uint32_t i = random_between(&random, 1, 6); i != 0; i--) {
            bool directory = random_below(&random, 2) == 0;
            uint8_t *from =
                directory ? disk_root(&disk) : disk.bytes + random_below(&random, 2) * BLOCK_BYTES;

            from[random_below(&random, directory ? 288 : 64)] = (uint8_t)random_next(&random);
        }
        told += disk_walk(&disk, &seen) != FAT_OK;
        memcpy(disk.bytes, whole, bytes);
    }
    assert_in_range(told, 100, 399);
    free(whole);
    disk_free(&disk);
}

int main(void)
{
    struct CMUnitTest
        tests[3 + 3 * COUNT_OF(kinds) + COUNT_OF(broken_cases) + COUNT_OF(name_cases)] = {
            cmocka_unit_test(longest_name_is_whole),
            cmocka_unit_test(unreadable_block_is_told),
            cmocka_unit_test(entries_run_out),
        };
    size_t count = 3;

    ADD_CASES(tests, &count, everything_is_found, kinds);
    ADD_CASES(tests, &count, directory_ends_with_its_chain, kinds);
    ADD_CASES(tests, &count, random_damage_ends, kinds);
    ADD_CASES(tests, &count, broken_volume_is_told, broken_cases);
    ADD_CASES(tests, &count, broken_long_name_leaves_the_short_one, name_cases);
    return fixture_run("fat", tests, count);
}
