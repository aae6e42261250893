// SPDX-License-Identifier: MIT
/*
 * Writes four blocks with one doorbell, reads them back with interrupts, and compares them.
 */
#include <stdio.h>
#include <string.h>

#include "irq.h"
#include "storage.h"

enum { BLOCKS = 4, BLOCK_BYTES_MAX = 4096 };

static struct storage storage;
static _Alignas(4096) char out[BLOCKS][BLOCK_BYTES_MAX], in[BLOCKS][BLOCK_BYTES_MAX];
static volatile int left, failed;

/* Runs once per request, on the hart that posted it. */
static void done(void *arg, struct nvme_result result)
{
    if (result.error != NVME_OK) {
        printf("%s: %s\n", (const char *)arg, nvme_error_text(result.error));
        failed = 1;
    }
    left--;
}

static void wait_all(struct storage_queue *queue)
{
    nvme_queue_submit(queue->engine); /* one doorbell for all posts */
    irq_disable();
    while (left > 0) {
        /* Sleeps in wfi until an interrupt; its handler runs. */
        storage_wait(queue, NVME_WAIT_BLOCKED);
    }
    irq_enable();
}

int main(void)
{
    struct storage_config config = {.harts = 1, .depth_entries = 8, .mode = NVME_MODE_INTERRUPT};
    struct storage_queue *queue = &storage.queues[0];

    if (!storage_open(&storage, &config)) {
        return 1;
    }
    if (queue->ns->block_bytes > BLOCK_BYTES_MAX) {
        printf("error: block size: %u bytes, at most %d; hint: run.py --lba 512\n",
               (unsigned)queue->ns->block_bytes, BLOCK_BYTES_MAX);
        return 1;
    }
    storage_print_banner(&storage);
    storage_hart_start(queue);
    for (int i = 0; i < BLOCKS; i++) {
        snprintf(out[i], sizeof(out[i]), "hello from hartq, block %d\n", i);
        failed |= nvme_write(queue->engine, queue->ns, (uint64_t)i, 1, out[i],
                             (struct nvme_callback){done, "write"}) != NVME_OK;
        left++;
    }
    wait_all(queue);
    for (int i = 0; i < BLOCKS; i++) {
        failed |= nvme_read(queue->engine, queue->ns, (uint64_t)i, 1, in[i],
                            (struct nvme_callback){done, "read"}) != NVME_OK;
        left++;
    }
    wait_all(queue);
    storage_hart_stop(queue);
    failed |= memcmp(out, in, sizeof(out)) != 0;
    printf("read back: %s", !failed ? in[0]
                                    : "other data; hint: the null backing, run.py's default, drops "
                                      "writes: --backing ram:16m, or a file\n");
    return storage_close(&storage) && !failed ? 0 : 1;
}
