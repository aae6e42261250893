// SPDX-License-Identifier: MIT
/*
 * What a device reaches behind an IOMMU that guards the memory: programs of build/dma/ with a
 * RISC-V IOMMU. The raw ring of a queue sends commands whose PRP entry no request has mapped.
 */
#include "iommu.h"
#include "dma.h"
#include "iommu_unit.h"
#include "irq.h"
#include "nvme_bench.h"
#include "nvme_hal.h"
#include "nvme_spec.h"
#include "selftest.h"

enum { PAGE_KEY = 0x10a, DISK_KEY = 0x10b, LBA = 64 };

/* A command of one block, at that address for the device. Waits for its end, however it ended. */
static bool command(struct storage_queue *queue, struct nvme_ring *ring, uint8_t opcode,
                    uint64_t address)
{
    struct patience patience = {0};

    ring->sq[ring->sq_tail] = (struct nvme_command){
        .cdw0 = opcode | (uint32_t)ring->sq_tail << 16,
        .nsid = queue->ns->nsid,
        .prp1 = address,
        .cdw10 = LBA,
    };
    ring->sq_tail = (ring->sq_tail + 1) % ring->depth_entries;
    hal_before_doorbell();
    hal_mmio_write32(ring->sq_doorbell, ring->sq_tail);
    while (NVME_GET(NVME_CQE_PHASE, hal_dma_load32(&ring->cq[ring->cq_head].status)) !=
           ring->phase) {
        if (!check(patience_spend(&patience) < WAIT_LIMIT_NS, "a command did not end")) {
            return false;
        }
    }
    hal_after_phase();
    if (++ring->cq_head == ring->cq_depth_entries) {
        ring->cq_head = 0;
        ring->phase ^= 1;
    }
    hal_before_doorbell();
    hal_mmio_write32(ring->cq_doorbell, ring->cq_head);
    return true;
}

/* Opens one queue behind a guard, or skips the test. */
static bool open_guarded(void)
{
    struct storage_config config = {0};

    if (!open_storage(&config)) {
        return false;
    }
    if (dma_map.offset == -IOMMU_DEVICE_BASE) {
        return true;
    }
    skip("no IOMMU guards the memory: build/dma/ on a machine with one");
    close_storage();
    return false;
}

/* Gives the queue's ring to the test, which goes on with interrupts off. */
static bool enter_raw(struct storage_queue *queue, struct nvme_ring *ring)
{
    storage_hart_stop(queue);
    irq_disable();
    return check(nvme_queue_enter_raw(queue->engine, ring) == NVME_OK, "no raw ring");
}

static void leave_raw(void)
{
    irq_enable();
    close_storage();
}

static uint64_t device_address(const void *pointer)
{
    return (uint64_t)(uintptr_t)pointer - dma_map.offset;
}

/* A page of the heap that was mapped for a write, and no longer is. The block is on the disk. */
static uint8_t *make_page(struct storage_queue *queue)
{
    uint8_t *page = take_pages(PAGE_BYTES);

    pattern_fill(page, PAGE_BYTES, DISK_KEY);
    transfer(queue, NVME_CMD_WRITE, LBA, 1, page);
    pattern_fill(page, PAGE_BYTES, PAGE_KEY);
    return page;
}

static bool is_untouched(const uint8_t *page)
{
    return pattern_check(page, PAGE_BYTES, PAGE_KEY) == PAGE_BYTES;
}

/* A device that is to fill the page at that address, or to read it, is refused. */
static void expect_refused(struct storage_queue *queue, struct nvme_ring *ring, const uint8_t *page,
                           uint64_t address)
{
    check(iommu_print_faults() == 0, "a fault before");
    if (command(queue, ring, NVME_CMD_READ, address)) {
        check(is_untouched(page), "a device has written memory that is not mapped");
        check(iommu_print_faults() != 0, "no fault is told of a write of memory");
    }
    if (command(queue, ring, NVME_CMD_WRITE, address)) {
        check(iommu_print_faults() != 0, "no fault is told of a read of memory");
    }
}

/* Never mapped; mapped by a request that has ended; the CPU's address of a page that is mapped. */
static void test_wild(void)
{
    struct storage_queue *queue = &selftest.storage.queues[0];
    struct nvme_ring ring;
    uint8_t *fresh, *ended;

    if (!open_guarded()) {
        return;
    }
    ended = make_page(queue);
    fresh = take_pages(PAGE_BYTES);
    pattern_fill(fresh, PAGE_BYTES, PAGE_KEY);
    if (enter_raw(queue, &ring)) {
        expect_refused(queue, &ring, fresh, device_address(fresh));
        expect_refused(queue, &ring, ended, device_address(ended));
        check(dma_map_pages(ended, PAGE_BYTES, true), "not mapped");
        expect_refused(queue, &ring, ended, (uintptr_t)ended);
        dma_unmap_pages(ended, PAGE_BYTES, true);
    }
    leave_raw();
}

/* What is mapped for reading cannot be written, until it is mapped for writing too. */
static void test_direction(void)
{
    struct storage_queue *queue = &selftest.storage.queues[0];
    uint32_t bytes;
    struct nvme_ring ring;
    uint8_t *page;

    if (!open_guarded()) {
        return;
    }
    bytes = queue->ns->block_bytes;
    page = make_page(queue);
    if (enter_raw(queue, &ring) && check(dma_map_pages(page, PAGE_BYTES, false), "not mapped") &&
        command(queue, &ring, NVME_CMD_READ, device_address(page))) {
        check(is_untouched(page), "a device has written memory that is mapped for reading");
        check(iommu_print_faults() != 0, "no fault is told of a write of memory");
        check(dma_map_pages(page, PAGE_BYTES, true), "not mapped for writing");
        command(queue, &ring, NVME_CMD_READ, device_address(page));
        check(pattern_check(page, bytes, DISK_KEY) == bytes, "the block is not in its page");
        check(iommu_print_faults() == 0, "a fault of a page that is mapped");
        dma_unmap_pages(page, PAGE_BYTES, true);
        dma_unmap_pages(page, PAGE_BYTES, false);
        pattern_fill(page, PAGE_BYTES, PAGE_KEY);
        expect_refused(queue, &ring, page, device_address(page));
    }
    leave_raw();
}

const struct test iommu_tests[] = {
    {"iommu.wild", test_wild, MODE_POLL, WANTS_NAMED},
    {"iommu.direction", test_direction, MODE_POLL, WANTS_NAMED},
    {NULL, NULL, 0, 0},
};
