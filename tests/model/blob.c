// SPDX-License-Identifier: MIT
/*
 * Blobs made by other programs: see blob.h.
 */
#define _POSIX_C_SOURCE 200809L

#include "blob.h"

#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    COMMAND_BYTES = 512,
    BLOB_LIMIT = 1 << 20,
};

/* Below build/, seen from the project's folder, where the tests run: a template for mkstemp. */
#define TEMPORARY_PATH                                                                             \
    "build/blob-XX"                                                                                \
    "XX"                                                                                           \
    "XX"

static struct blob read_stream(FILE *stream)
{
    struct blob blob = {0};
    uint8_t *buffer = malloc(BLOB_LIMIT);

    if (buffer == NULL || stream == NULL) {
        free(buffer);
        return blob;
    }
    blob.size = fread(buffer, 1, BLOB_LIMIT, stream);
    if (blob.size != 0) {
        blob.bytes = malloc(blob.size);
        if (blob.bytes != NULL) {
            memcpy(blob.bytes, buffer, blob.size);
        }
    }
    free(buffer);
    return blob;
}

/* Creates a temporary file with this text; false if that is not possible. */
static int make_file(char *path, const char *text)
{
    int file = mkstemp(path);
    ssize_t written;

    if (file < 0) {
        return 0;
    }
    written = write(file, text, strlen(text));
    close(file);
    return written == (ssize_t)strlen(text);
}

struct blob blob_compile(const char *source)
{
    char path[] = TEMPORARY_PATH;
    char command[COMMAND_BYTES];
    struct blob blob = {0};
    FILE *stream;

    assert_true(make_file(path, source));
    snprintf(command, sizeof(command), "dtc -q -I dts -O dtb %s 2>/dev/null", path);
    stream = popen(command, "r");
    blob = read_stream(stream);
    if (stream != NULL) {
        pclose(stream);
    }
    unlink(path);
    if (blob.bytes == NULL) {
        fail_msg("no tree: is dtc installed, and does it accept the source?");
    }
    return blob;
}

struct blob blob_qemu(const char *machine, const char *options)
{
    char path[] = TEMPORARY_PATH;
    char command[COMMAND_BYTES];
    const char *qemu = getenv("QEMU");
    struct blob blob = {0};
    FILE *stream;

    if (!make_file(path, "")) {
        return blob;
    }
    snprintf(command, sizeof(command), "%s -M %s,dumpdtb=%s %s -display none >/dev/null 2>&1",
             qemu != NULL && *qemu != '\0' ? qemu : "qemu-system-riscv64", machine, path, options);
    if (system(command) == 0) {
        stream = fopen(path, "rb");
        blob = read_stream(stream);
        if (stream != NULL) {
            fclose(stream);
        }
    }
    unlink(path);
    return blob;
}

struct blob blob_copy(const struct blob *blob, size_t size)
{
    struct blob copy = {.bytes = malloc(size != 0 ? size : 1), .size = size};

    if (copy.bytes == NULL) {
        abort();
    }
    memcpy(copy.bytes, blob->bytes, size);
    return copy;
}

void blob_free(struct blob *blob)
{
    free(blob->bytes);
    *blob = (struct blob){0};
}
