// SPDX-License-Identifier: MIT
/*
 * The FAT volumes of the tests: see fat_disk.h.
 */
#include "fat_disk.h"

void disk_put(uint8_t *to, uint32_t value, uint32_t width)
{
    for (uint32_t i = 0; i < width; i++) {
        to[i] = (uint8_t)(value >> 8 * i);
    }
}

void disk_link(struct disk *disk, uint32_t cluster, uint32_t next)
{
    uint32_t width = disk->is_32 ? 4 : 2;

    disk_put(disk->bytes + BLOCK_BYTES + cluster * width, next, width);
}

uint8_t *disk_cluster(struct disk *disk, uint32_t cluster)
{
    return disk->bytes + ((disk->is_32 ? FAT32_DATA : FAT16_DATA) + cluster - 2) * BLOCK_BYTES;
}

uint8_t *disk_root(struct disk *disk)
{
    return disk->is_32 ? disk_cluster(disk, ROOT) : disk->bytes + (1 + FAT16_FAT) * BLOCK_BYTES;
}

uint8_t *disk_entry(uint8_t *at, const char *name, uint8_t attributes, uint32_t cluster,
                    uint32_t size)
{
    memcpy(at, name, 11);
    at[11] = attributes;
    disk_put(at + 20, cluster >> 16, 2);
    disk_put(at + 26, cluster, 2);
    disk_put(at + 28, size, 4);
    return at + 32;
}

static uint8_t checksum(const char *name)
{
    uint8_t sum = 0;

    for (int i = 0; i < 11; i++) {
        sum = (uint8_t)((sum >> 1 | sum << 7) + (uint8_t)name[i]);
    }
    return sum;
}

uint8_t *disk_long(uint8_t *at, const uint16_t *units, uint32_t count, const char *name)
{
    uint32_t parts = (count + 12) / 13;

    for (uint32_t part = parts; part != 0; part--) {
        memset(at, 0, 32);
        at[0] = (uint8_t)(part | (part == parts ? 0x40 : 0));
        at[11] = 0x0f;
        at[13] = checksum(name);
        for (uint32_t i = 0; i < 13; i++) {
            uint32_t place = i < 5 ? 1 + 2 * i : i < 11 ? 14 + 2 * (i - 5) : 28 + 2 * (i - 11);
            uint32_t index = (part - 1) * 13 + i;

            disk_put(at + place, index < count ? units[index] : index == count ? 0 : 0xffff, 2);
        }
        at += 32;
    }
    return at;
}

static const uint16_t wide[] = {'a',  ' ',    'l',    'o', 'n', 'g', ' ',
                                0xe4, 0x20ac, 0xd83d, 7,   '.', 'b'};

static void boot_put(struct disk *disk)
{
    uint8_t *boot = disk->bytes;

    boot[0] = 0xeb;
    disk_put(boot + 11, BLOCK_BYTES, 2);
    boot[13] = 1;
    disk_put(boot + 14, 1, 2);
    boot[16] = 1;
    disk_put(boot + 17, disk->is_32 ? 0 : FAT16_ROOT * 16, 2);
    disk_put(boot + 19, disk->is_32 ? 0 : FAT16_BLOCKS, 2);
    disk_put(boot + 22, disk->is_32 ? 0 : FAT16_FAT, 2);
    disk_put(boot + 32, disk->is_32 ? FAT32_BLOCKS : 0, 4);
    disk_put(boot + 36, disk->is_32 ? FAT32_FAT : 0, 4);
    disk_put(boot + 44, disk->is_32 ? ROOT : 0, 4);
    disk_put(boot + 510, 0xaa55, 2);
}

uint8_t disk_content(uint32_t at)
{
    return (uint8_t)(at * 7 + at / 256);
}

void disk_make(struct disk *disk, bool is_32)
{
    static const uint32_t chain[] = {FILE_FIRST, 9, 7};
    uint32_t blocks = is_32 ? FAT32_BLOCKS : FAT16_BLOCKS;
    uint8_t *at;

    memset(disk, 0, sizeof(*disk));
    disk->is_32 = is_32;
    fixture_init(&disk->fixture);
    model_set_namespace(disk->fixture.model, 1, 9, blocks);
    fixture_start(&disk->fixture, 1, NVME_MODE_POLL);
    assert_int_equal(
        block_attach(&disk->device, disk->fixture.queues[0], &disk->fixture.ns, NULL, 4), 0);
    disk->bytes = disk->fixture.model->namespaces[0].backing;
    memset(disk->bytes, 0, blocks * BLOCK_BYTES);
    boot_put(disk);
    for (uint32_t i = 0; i < 3; i++) {
        disk_link(disk, chain[i], i < 2 ? chain[i + 1] : END);
        for (uint32_t k = 0; k < BLOCK_BYTES; k++) {
            disk_cluster(disk, chain[i])[k] = disk_content(i * BLOCK_BYTES + k);
        }
    }
    disk_link(disk, SUB, END);
    disk_link(disk, INNER, END);
    disk_link(disk, ROOT, END);
    at = disk_entry(disk_root(disk), "HARTQ      ", 0x08, 0, 0);
    at = disk_entry(at, "\xe5OLD    TXT", 0x20, 3, 9);
    at = disk_entry(at, "FILE    BIN", 0x20, FILE_FIRST, FILE_BYTES);
    at = disk_entry(at, "SUB        ", 0x10, SUB, 0);
    at = disk_long(at, wide, COUNT_OF(wide), "ALONG~1 B  ");
    at = disk_entry(at, "ALONG~1 B  ", 0x20, 0, 0);
    disk_entry(at, "LOW     TXT", 0x20, 0, 0)[-32 + 12] = 0x08;
    at = disk_entry(disk_cluster(disk, SUB), ".          ", 0x10, SUB, 0);
    at = disk_entry(at, "..         ", 0x10, 0, 0);
    disk_entry(at, "INNER   TXT", 0x20, INNER, 11);
    memcpy(disk_cluster(disk, INNER), "hello, FAT\n", 11);
}

void disk_free(struct disk *disk)
{
    fixture_finish(&disk->fixture);
}
