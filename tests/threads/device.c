// SPDX-License-Identifier: MIT
/*
 * The device's thread: registers, fetch, data, completion entries, the line. See device.h.
 */
#include "device.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "hart.h"
#include "nvme_spec.h"

enum {
    DEVICES = 8,
    STATUS_INVALID_OPCODE = 0x001,
    STATUS_LBA_RANGE = 0x080,
};

static struct device *devices[DEVICES];

static uint32_t load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static uint32_t read_register(const struct device *device, uint32_t offset)
{
    return __atomic_load_n(&device->registers[offset / 4], __ATOMIC_ACQUIRE);
}

static void set_register(struct device *device, uint32_t offset, uint32_t value)
{
    __atomic_store_n(&device->registers[offset / 4], value, __ATOMIC_RELEASE);
}

uint32_t device_sq_doorbell(uint32_t id)
{
    return NVME_REG_DOORBELLS + id * 8;
}

uint32_t device_cq_doorbell(uint32_t id)
{
    return NVME_REG_DOORBELLS + id * 8 + 4;
}

/* ---- The harts' side ------------------------------------------------------------------ */

static struct device *find(const volatile void *address)
{
    for (uint32_t i = 0; i < DEVICES; i++) {
        const uint8_t *first = devices[i] != NULL ? (const uint8_t *)devices[i]->registers : NULL;

        if (first != NULL && (const volatile uint8_t *)address >= first &&
            (const volatile uint8_t *)address < first + DEVICE_REGISTER_BYTES) {
            return devices[i];
        }
    }
    hart_fail("a register that no device has");
}

void device_write(volatile void *address, uint32_t value, bool release)
{
    struct device *device = find(address);
    uint32_t offset = (uint32_t)((volatile uint8_t *)address - (uint8_t *)device->registers);

    if (offset == NVME_REG_INTMS) {
        __atomic_fetch_or(&device->mask, value, __ATOMIC_RELAXED);
    } else if (offset == NVME_REG_INTMC) {
        __atomic_fetch_and(&device->mask, ~value, __ATOMIC_RELAXED);
        __atomic_fetch_add(&device->unmasks, 1, __ATOMIC_RELAXED);
    } else if (release) {
        /* Exchanges: a doorbell has reached the device before the hart looks at memory again. */
        __atomic_exchange_n((volatile uint32_t *)address, value, __ATOMIC_RELEASE);
    } else {
        __atomic_exchange_n((volatile uint32_t *)address, value, __ATOMIC_RELAXED);
    }
    if (offset >= NVME_REG_DOORBELLS) {
        __atomic_fetch_add(&device->writes[(offset - NVME_REG_DOORBELLS) / 4], 1, __ATOMIC_RELAXED);
    }
}

/* ---- Data ----------------------------------------------------------------------------- */

static uint8_t *host(uint64_t address)
{
    return (uint8_t *)(uintptr_t)address;
}

/* The page that holds byte `done` of the command's data. Lists of one page, without chains. */
static uint8_t *data_at(const struct nvme_command *command, uint32_t size, uint32_t done)
{
    uint32_t offset = (uint32_t)(command->prp1 % DEVICE_PAGE);
    uint32_t page = (offset + done) / DEVICE_PAGE;
    uint32_t within = (offset + done) % DEVICE_PAGE;
    uint64_t entry = command->prp2;

    if (page == 0) {
        return host(command->prp1) + done;
    }
    if (offset + size > 2 * DEVICE_PAGE) {
        memcpy(&entry, host(command->prp2) + (page - 1) * sizeof(entry), sizeof(entry));
    }
    return host(entry) + within;
}

/* To the host, or from it. */
static void move(const struct nvme_command *command, uint8_t *data, uint32_t size, bool to_host)
{
    for (uint32_t done = 0; done < size;) {
        uint8_t *at = data_at(command, size, done);
        uint32_t room = DEVICE_PAGE - (uint32_t)((uintptr_t)at % DEVICE_PAGE);
        uint32_t bytes = size - done < room ? size - done : room;

        if (to_host) {
            memcpy(at, data + done, bytes);
        } else {
            memcpy(data + done, at, bytes);
        }
        done += bytes;
    }
}

static uint16_t execute_io(struct device *device, const struct nvme_command *command)
{
    uint8_t opcode = (uint8_t)NVME_GET(NVME_CDW0_OPCODE, command->cdw0);
    uint64_t lba = (uint64_t)command->cdw11 << 32 | command->cdw10;
    uint32_t count = (uint32_t)NVME_GET(NVME_IO_NLB, command->cdw12) + 1;

    if (opcode == NVME_CMD_FLUSH) {
        return 0;
    }
    if (opcode != NVME_CMD_READ && opcode != NVME_CMD_WRITE) {
        return STATUS_INVALID_OPCODE;
    }
    if (lba >= DEVICE_BLOCKS || count > DEVICE_BLOCKS - lba) {
        return STATUS_LBA_RANGE;
    }
    move(command, device->backing + (lba << DEVICE_BLOCK_SHIFT), count << DEVICE_BLOCK_SHIFT,
         opcode == NVME_CMD_READ);
    return 0;
}

/* ---- Admin commands ------------------------------------------------------------------- */

static void identify(const struct device *device, const struct nvme_command *command)
{
    struct nvme_identify_controller controller = {.sqes = 0x66, .cqes = 0x44, .nn = 1};
    struct nvme_identify_namespace ns = {.nsze = DEVICE_BLOCKS, .ncap = DEVICE_BLOCKS};
    uint32_t list[NVME_ACTIVE_NAMESPACES_PER_PAGE] = {command->nsid == 0 ? 1 : 0};
    uint8_t *page = (uint8_t *)list;

    controller.oacs = load(&device->shadow) != 0 ? NVME_OACS_DOORBELL_BUFFER : 0;
    ns.lbaf[0] = (uint32_t)NVME_PUT(NVME_LBAF_LBADS, DEVICE_BLOCK_SHIFT);
    if ((command->cdw10 & 0xff) == NVME_CNS_CONTROLLER) {
        page = (uint8_t *)&controller;
    } else if ((command->cdw10 & 0xff) == NVME_CNS_NAMESPACE) {
        page = (uint8_t *)&ns;
    }
    move(command, page, NVME_IDENTIFY_BYTES, true);
}

static void create(struct device *device, const struct nvme_command *command, bool is_cq)
{
    uint32_t id = (uint32_t)NVME_GET(NVME_QUEUE_ID, command->cdw10);
    struct device_ring ring = {
        .entries = host(command->prp1),
        .count = (uint32_t)NVME_GET(NVME_QUEUE_SIZE, command->cdw10) + 1,
        .phase = 1,
        .interrupts = (command->cdw11 & NVME_CREATE_CQ_IEN) != 0,
        .vector = (uint32_t)NVME_GET(NVME_CREATE_CQ_IV, command->cdw11) % DEVICE_QUEUES,
    };

    set_register(device, is_cq ? device_cq_doorbell(id) : device_sq_doorbell(id), 0);
    *(is_cq ? &device->cqs[id] : &device->sqs[id]) = ring;
}

static uint16_t execute_admin(struct device *device, const struct nvme_command *command,
                              uint32_t *dw0)
{
    uint32_t id = (uint32_t)NVME_GET(NVME_QUEUE_ID, command->cdw10) % DEVICE_QUEUES;
    uint8_t opcode = (uint8_t)NVME_GET(NVME_CDW0_OPCODE, command->cdw0);

    switch (opcode) {
    case NVME_ADMIN_IDENTIFY:
        identify(device, command);
        return 0;
    case NVME_ADMIN_DOORBELL_BUFFER_CONFIG:
        device->shadow_page = (uint32_t *)(void *)host(command->prp1);
        device->event_page = (uint32_t *)(void *)host(command->prp2);
        return 0;
    case NVME_ADMIN_SET_FEATURES:
        *dw0 = (DEVICE_QUEUES - 2) | (uint32_t)(DEVICE_QUEUES - 2) << 16;
        return 0;
    case NVME_ADMIN_CREATE_CQ:
    case NVME_ADMIN_CREATE_SQ:
        create(device, command, opcode == NVME_ADMIN_CREATE_CQ);
        return 0;
    case NVME_ADMIN_DELETE_SQ:
        device->sqs[id].entries = NULL;
        return 0;
    case NVME_ADMIN_DELETE_CQ:
        device->cqs[id].entries = NULL;
        return 0;
    default:
        return STATUS_INVALID_OPCODE;
    }
}

/* ---- Rings ---------------------------------------------------------------------------- */

static void post(struct device *device, uint32_t id, uint32_t cid, uint16_t status, uint32_t dw0)
{
    struct device_ring *cq = &device->cqs[id];
    struct nvme_completion *entry = (struct nvme_completion *)(void *)cq->entries + cq->at;
    uint32_t head = device_cq_head(device, id);
    uint64_t sq = device->sqs[id].at | (uint64_t)id << 16;

    if ((cq->at + 1) % cq->count == head) {
        hart_fail("completion queue %u overflows", id);
    }
    entry->dw0 = dw0;
    sq |= (uint64_t)(cid | cq->phase << 16 | (uint32_t)status << 17) << 32;
    __atomic_exchange_n((uint64_t *)(void *)&entry->sq, sq, __ATOMIC_RELEASE);
    /*
     * Consumed up to here: the line fell before this entry came, whether or not it was looked at.
     */
    device->high &= load(&device->registers[device_cq_doorbell(id) / 4]) != cq->at;
    if (++cq->at == cq->count) {
        cq->at = 0;
        cq->phase ^= 1;
    }
    if (cq->interrupts && load(&device->msix) != 0) {
        device_send(device, cq->vector);
    }
    device_follow_line(device);
}

static void execute(struct device *device, uint32_t id, const struct nvme_command *command)
{
    uint32_t dw0 = 0;
    uint16_t status = id == 0 ? execute_admin(device, command, &dw0) : execute_io(device, command);

    if (load(&device->fault) != DEVICE_GOOD) {
        if (id != 0 && device->hung_count < DEVICE_HUNG) {
            device->hung[device->hung_count++] = *command;
        }
        return;
    }
    post(device, id, (uint32_t)NVME_GET(NVME_CDW0_CID, command->cdw0), status, dw0);
}

/* What was rung for on one submission queue. */
static bool serve(struct device *device, uint32_t id)
{
    struct device_ring *sq = &device->sqs[id];
    uint32_t tail;
    bool busy = false;

    if (sq->entries == NULL) {
        return false;
    }
    tail = device_sq_tail(device, id);
    while (sq->entries != NULL && sq->at != tail) {
        struct nvme_command command;

        memcpy(&command, sq->entries + sq->at * sizeof(command), sizeof(command));
        sq->at = (sq->at + 1) % sq->count;
        execute(device, id, &command);
        busy = true;
    }
    return busy;
}

/* ---- Enable, disable ------------------------------------------------------------------ */

static uint8_t *address_register(const struct device *device, uint32_t offset)
{
    return host(read_register(device, offset) | (uint64_t)read_register(device, offset + 4) << 32);
}

static void enable(struct device *device)
{
    uint32_t aqa = read_register(device, NVME_REG_AQA);

    for (uint32_t offset = NVME_REG_DOORBELLS; offset < DEVICE_REGISTER_BYTES; offset += 4) {
        set_register(device, offset, 0);
    }
    device->sqs[0] = (struct device_ring){
        .entries = address_register(device, NVME_REG_ASQ),
        .count = (uint32_t)NVME_GET(NVME_AQA_ASQS, aqa) + 1,
    };
    device->cqs[0] = (struct device_ring){
        .entries = address_register(device, NVME_REG_ACQ),
        .count = (uint32_t)NVME_GET(NVME_AQA_ACQS, aqa) + 1,
        .phase = 1,
    };
    device->enabled = true;
    set_register(device, NVME_REG_CSTS, (uint32_t)NVME_CSTS_RDY);
}

/* RDY falls behind the last access to the hosts' memory, which may come late. */
static void disable(struct device *device)
{
    for (uint32_t i = 0; i < device->hung_count; i++) {
        execute_io(device, &device->hung[i]);
    }
    device->hung_count = 0;
    memset(device->sqs, 0, sizeof(device->sqs));
    memset(device->cqs, 0, sizeof(device->cqs));
    device->shadow_page = NULL;
    device->enabled = false;
    __atomic_store_n(&device->mask, 0, __ATOMIC_RELAXED);
    if (load(&device->heals) != 0) {
        __atomic_store_n(&device->fault, DEVICE_GOOD, __ATOMIC_RELAXED);
    }
    set_register(device, NVME_REG_CSTS, 0);
}

static void follow_registers(struct device *device)
{
    uint32_t cc = read_register(device, NVME_REG_CC);
    bool on = (cc & NVME_CC_EN) != 0;

    if (on && !device->enabled) {
        enable(device);
    } else if (!on && device->enabled) {
        disable(device);
    }
    if (on && NVME_GET(NVME_CC_SHN, cc) == NVME_CC_SHN_NORMAL) {
        set_register(device, NVME_REG_CSTS,
                     (uint32_t)(NVME_CSTS_RDY | NVME_PUT(NVME_CSTS_SHST, NVME_CSTS_SHST_COMPLETE)));
    }
    if (on && load(&device->fault) == DEVICE_FATAL) {
        set_register(device, NVME_REG_CSTS, (uint32_t)(NVME_CSTS_RDY | NVME_CSTS_CFS));
    }
}

static void *run(void *arg)
{
    struct device *device = arg;

    while (load(&device->stop) == 0) {
        bool busy = false;

        follow_registers(device);
        for (uint32_t id = 0; id < DEVICE_QUEUES; id++) {
            busy |= serve(device, id);
        }
        device_follow_line(device);
        if (!busy) {
            sched_yield();
        }
    }
    return NULL;
}

struct device *device_start(void)
{
    struct device *device = calloc(1, sizeof(*device));
    uint64_t cap =
        NVME_PUT(NVME_CAP_MQES, 255) | NVME_CAP_CQR | NVME_PUT(NVME_CAP_TO, 40) | NVME_CAP_CSS_NVM;
    uint32_t place = 0;

    while (place < DEVICES && devices[place] != NULL) {
        place++;
    }
    if (device == NULL || place == DEVICES) {
        abort();
    }
    device->backing = calloc(DEVICE_BLOCKS, 1 << DEVICE_BLOCK_SHIFT);
    device->hung = calloc(DEVICE_HUNG, sizeof(*device->hung));
    device->registers[0] = (uint32_t)cap;
    device->registers[1] = (uint32_t)(cap >> 32);
    device->registers[NVME_REG_VS / 4] = 0x10400;
    devices[place] = device;
    if (device->backing == NULL || device->hung == NULL ||
        pthread_create(&device->thread, NULL, run, device) != 0) {
        abort();
    }
    return device;
}

void device_stop(struct device *device)
{
    __atomic_store_n(&device->stop, 1, __ATOMIC_RELAXED);
    pthread_join(device->thread, NULL);
    for (uint32_t i = 0; i < DEVICES; i++) {
        devices[i] = devices[i] == device ? NULL : devices[i];
    }
    free(device->backing);
    free(device->hung);
    free(device);
}
