// SPDX-License-Identifier: MIT
/*
 * Lists a FAT16 or FAT32 volume with the CRC-32 of each file, or prints one file: `fat`, or
 * `fat file=/docs/readme.txt`. All blocks pass through one buffer, which is used again and again
 * and begins at an odd address.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fat_volume.h"
#include "irq.h"
#include "options.h"
#include "storage.h"

enum { LEVELS_MAX = 16, PATH_BYTES = 4096 };

#define CRC_POLYNOMIAL UINT32_C(0xedb88320)

/* The command line. */
struct options {
    const char *file; /* NULL: list all */
    unsigned completion;
};

static const char *const completion_words[] = {"poll", "irq", "hybrid", NULL};
static const struct option option_list[] = {
    OPTION_STRING("file", struct options, file, 255, "path to print; ? stands for any byte"),
    OPTION_WORD("completion", struct options, completion, completion_words, "completion mode"),
};

/* A directory of the walk: where it goes on, and how long its path is. */
struct level {
    struct fat_place place;
    size_t path_bytes;
};

/* The walk through all directories. */
struct walk {
    const char *wanted; /* path; NULL: all files */
    uint32_t files;     /* told of */
    uint32_t depth;     /* levels in use */
    struct level levels[LEVELS_MAX];
    struct fat_entry entry;
};

static struct storage storage;
static struct block_device device;
static struct fat_volume volume;
static uint8_t memory[BLOCK_BYTES + 1];
static char path[PATH_BYTES + FAT_NAME_BYTES + 1];

/* ---- The device ----------------------------------------------------------------------- */

static void sleep_for(void *queue, const uint32_t *event)
{
    irq_disable();
    if (__atomic_load_n(event, __ATOMIC_ACQUIRE) == 0) {
        storage_wait(queue, NVME_WAIT_BLOCKED);
    }
    irq_enable();
}

/* The only thread runs again after the interrupt. */
static void wake_thread(void *queue, const uint32_t *event)
{
    (void)queue;
    (void)event;
}

static bool device_close(void)
{
    storage_hart_stop(&storage.queues[0]);
    return storage_close(&storage);
}

static bool device_open(const struct options *options)
{
    struct storage_config config = {
        .harts = 1,
        .depth_entries = 8,
        .mode = (enum nvme_mode)options->completion,
    };
    struct storage_queue *queue = &storage.queues[0];
    struct block_hooks hooks = {queue, sleep_for, wake_thread};
    int32_t error;

    if (!storage_open(&storage, &config)) {
        return false;
    }
    storage_hart_start(queue);
    error = block_attach(&device, queue->engine, queue->ns,
                         config.mode == NVME_MODE_POLL ? NULL : &hooks, 4);
    if (error != 0) {
        printf("error: block size: %" PRIu32 " bytes, at most %d\n", queue->ns->block_bytes,
               BLOCK_COPY_BYTES);
        (void)device_close();
    }
    return error == 0;
}

/* ---- Files ---------------------------------------------------------------------------- */

static bool report(enum fat_error error)
{
    const struct fat_reason *reason = &fat_reasons[error];

    if (error == FAT_OK) {
        return true;
    }
    printf("error: %s: %s: %" PRIu64 ", limit %" PRIu64 "; hint: %s\n",
           path[0] != '\0' ? path : "/", reason->what, volume.value, volume.limit, reason->hint);
    if (error == FAT_READ) {
        printf("error: %s, status 0x%x\n", block_error_text(volume.read_error), device.status);
    }
    return false;
}

static uint32_t crc_add(uint32_t crc, const uint8_t *data, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? CRC_POLYNOMIAL : 0);
        }
    }
    return crc;
}

/* Reads a file to its end and tells its size, CRC and path, behind its bytes if they are wanted. */
static enum fat_error file_tell(const struct fat_entry *entry, bool print)
{
    struct fat_place place = fat_begin(entry);
    uint32_t left = entry->size;
    uint32_t crc = ~UINT32_C(0);
    uint32_t bytes;
    enum fat_error error = fat_read(&volume, &place, &left, &bytes);

    while (error == FAT_OK) {
        crc = crc_add(crc, volume.buffer, bytes);
        for (uint32_t i = 0; print && i < bytes; i++) {
            putchar(volume.buffer[i]);
        }
        error = fat_read(&volume, &place, &left, &bytes);
    }
    if (error == FAT_END) {
        printf("%10" PRIu32 " %08" PRIx32 " %s\n", entry->size, ~crc, path);
    }
    return error == FAT_END ? FAT_OK : error;
}

/* ---- Directories ---------------------------------------------------------------------- */

static bool is_path(const char *wanted)
{
    const char *found = path;

    while (*wanted != '\0' && (*wanted == *found || (*wanted == '?' && *found != '\0'))) {
        wanted++;
        found++;
    }
    return *wanted == '\0' && *found == '\0';
}

/* Appends a name to the path of its directory; its length. */
static size_t path_append(const struct level *level, const char *name)
{
    return level->path_bytes + (size_t)snprintf(path + level->path_bytes,
                                                sizeof(path) - level->path_bytes, "/%s", name);
}

/* Begins a directory. False: it is too deep, as directories in a loop are. */
static bool directory_enter(struct walk *walk, size_t path_bytes)
{
    if (walk->wanted == NULL) {
        printf("%10s %8s %s/\n", "-", "-", path);
    }
    if (walk->depth == LEVELS_MAX || path_bytes >= PATH_BYTES) {
        printf("error: %.60s...: directories in each other: more than %d; hint: fsck.vfat\n", path,
               LEVELS_MAX);
        return false;
    }
    walk->levels[walk->depth++] = (struct level){fat_begin(&walk->entry), path_bytes};
    return true;
}

static bool entry_visit(struct walk *walk, const struct level *level)
{
    size_t path_bytes = path_append(level, walk->entry.name);

    if (walk->entry.is_directory) {
        return directory_enter(walk, path_bytes);
    }
    if (walk->wanted == NULL || is_path(walk->wanted)) {
        walk->files++;
        return report(file_tell(&walk->entry, walk->wanted != NULL));
    }
    return true;
}

/* Every entry of every directory, or up to the file that is wanted. */
static bool walk_all(struct walk *walk)
{
    walk->levels[walk->depth++] = (struct level){fat_root(&volume), 0};
    while (walk->depth != 0 && (walk->wanted == NULL || walk->files == 0)) {
        struct level *level = &walk->levels[walk->depth - 1];
        enum fat_error error = fat_next(&volume, &level->place, &walk->entry);

        path[level->path_bytes] = '\0';
        if (error == FAT_END) {
            walk->depth--;
        } else if (!report(error) || !entry_visit(walk, level)) {
            return false;
        }
    }
    return true;
}

static bool run(const struct options *options)
{
    static struct walk walk;

    walk.wanted = options->file;
    if (!report(fat_open(&volume, &device, memory + 1)) || !walk_all(&walk)) {
        return false;
    }
    if (options->file != NULL && walk.files == 0) {
        printf("error: file=%s: no such file; hint: fat lists all\n", options->file);
        return false;
    }
    printf("FAT%d, %" PRIu32 " clusters of %" PRIu32 " blocks, %" PRIu32 " files\n",
           volume.is_32 ? 32 : 16, volume.cluster_count, volume.cluster_blocks, walk.files);
    return true;
}

int main(int argc, char *argv[])
{
    static const struct option_table table = {option_list,
                                              sizeof(option_list) / sizeof(option_list[0])};
    struct options options = {.completion = NVME_MODE_INTERRUPT};
    char error[OPTION_ERROR_BYTES];
    bool good;

    if (!options_parse(&table, argc - 1, &argv[1], &options, error, sizeof(error))) {
        printf("error: %s\n", error);
        return 1;
    }
    if (!device_open(&options)) {
        return 1;
    }
    good = run(&options);
    return device_close() && good ? 0 : 1;
}
