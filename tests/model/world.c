// SPDX-License-Identifier: MIT
/*
 * Time, interrupts, address space and findings: see world.h. The history is in note.c.
 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event.h"
#include "model.h"

#define WORLD_START_NS UINT64_C(1000000000)
#define WORLD_RELAX_NS UINT64_C(100000)
#define TAG_WHOLE (UINT64_C(1) << 62) /* moved as a whole */
#define TAG_PAGED (UINT64_C(1) << 61) /* permuted page by page */
#define PAGE_SWAP 5                   /* pages trade places within groups of eight */

struct world world;

static jmp_buf panic_jump;
static bool panic_armed;
static const char *panic_reason;

void world_reset(void)
{
    memset(&world, 0, sizeof(world));
    world.now_ns = WORLD_START_NS;
    world.relax_ns = WORLD_RELAX_NS;
    world.page_bytes = 4096;
    event_reset();
}

void world_arrive(void)
{
    for (int i = 0; i < WORLD_MODELS_MAX; i++) {
        if (world.models[i] != NULL) {
            model_arrive(world.models[i], UINT32_MAX);
        }
    }
}

void world_advance(uint64_t ns)
{
    world_arrive();
    world.now_ns += ns;
}

void world_find(const char *format, ...)
{
    va_list arguments;

    if (world.findings++ != 0) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(world.first_finding, sizeof(world.first_finding), format, arguments);
    va_end(arguments);
}

bool world_expect_finding(const char *text)
{
    bool found = world.findings != 0 && strstr(world.first_finding, text) != NULL;

    if (!found) {
        fprintf(stderr, "expected '%s', found '%s'\n", text, world.first_finding);
    }
    world.findings = 0;
    world.first_finding[0] = '\0';
    return found;
}

const char *world_catch_panic(void (*body)(void *), void *arg)
{
    panic_reason = NULL;
    panic_armed = true;
    if (setjmp(panic_jump) == 0) {
        body(arg);
    }
    panic_armed = false;
    return panic_reason;
}

_Noreturn void world_panic(const char *reason)
{
    if (panic_armed) {
        panic_reason = reason;
        longjmp(panic_jump, 1);
    }
    fprintf(stderr, "panic: %s\n", reason);
    abort();
}

static bool in_arena(uintptr_t pointer)
{
    uintptr_t start = (uintptr_t)world.arena;

    return pointer >= start && pointer - start < world.arena_bytes;
}

/* Turns the address of a permuted page to and fro. */
static uint64_t permute(uint64_t address)
{
    return address ^ TAG_PAGED ^ PAGE_SWAP * world.page_bytes;
}

uint64_t world_dma_address(const void *pointer)
{
    uint64_t address = (uint64_t)(uintptr_t)pointer;

    switch (world.paging) {
    case WORLD_IDENTITY:
        return address;
    case WORLD_PAGED:
        return in_arena((uintptr_t)pointer) ? address ^ TAG_WHOLE : permute(address);
    case WORLD_PAGED_SCATTERED:
        return permute(address);
    }
    abort();
}

void *world_host(uint64_t device_address)
{
    if ((device_address & TAG_PAGED) != 0) {
        device_address = permute(device_address);
    } else if ((device_address & TAG_WHOLE) != 0) {
        device_address ^= TAG_WHOLE;
    } else if (world.paging != WORLD_IDENTITY) {
        world_find("a pointer was given to the device as its address: %#llx",
                   (unsigned long long)device_address);
    }
    return (void *)(uintptr_t)device_address;
}

void world_attach(struct model *model)
{
    for (int i = 0; i < WORLD_MODELS_MAX; i++) {
        if (world.models[i] == NULL) {
            world.models[i] = model;
            return;
        }
    }
    abort();
}

void world_detach(struct model *model)
{
    for (int i = 0; i < WORLD_MODELS_MAX; i++) {
        if (world.models[i] == model) {
            world.models[i] = NULL;
        }
    }
}

/* The model whose registers hold this address, and the offset in them. */
static struct model *find_model(const volatile void *address, uint32_t *offset)
{
    uintptr_t wanted = (uintptr_t)address;

    for (int i = 0; i < WORLD_MODELS_MAX; i++) {
        struct model *model = world.models[i];

        if (model != NULL && wanted >= (uintptr_t)model->bar &&
            wanted - (uintptr_t)model->bar < model->bar_bytes) {
            *offset = (uint32_t)(wanted - (uintptr_t)model->bar);
            return model;
        }
    }
    world_find("a register access outside of every controller");
    return NULL;
}

/* True for a register of world.device, and the offset in them. */
static bool find_device(const volatile void *address, uint32_t *offset)
{
    uintptr_t start = (uintptr_t)world.device.registers;

    *offset = (uint32_t)((uintptr_t)address - start);
    return (uintptr_t)address >= start && (uintptr_t)address - start < world.device.bytes;
}

uint32_t world_mmio_read(const volatile void *address)
{
    uint32_t offset = 0;
    struct model *model;

    world.register_reads++;
    if (find_device(address, &offset)) {
        return world.device.read(world.device.arg, offset);
    }
    model = find_model(address, &offset);
    return model != NULL ? model_register_read(model, offset) : UINT32_MAX;
}

void world_mmio_write(volatile void *address, uint32_t value)
{
    uint32_t offset = 0;
    struct model *model;

    if (find_device(address, &offset)) {
        world.device.write(world.device.arg, offset, value);
        return;
    }
    model = find_model(address, &offset);
    if (model != NULL) {
        model_register_write(model, offset, value);
    }
}

/* What else happens at this moment, once. */
static void meanwhile(enum world_moment moment)
{
    void (*act)(void *) = world.meanwhile[moment];

    world.meanwhile[moment] = NULL;
    if (act != NULL) {
        act(world.meanwhile_arg);
    }
}

void world_before_doorbell(void)
{
    meanwhile(WORLD_AT_DOORBELL);
    world.doorbell_barriers++;
    world.loads = 0;
}

void world_shadow_store(volatile void *address, uint32_t value)
{
    world_before_doorbell();
    world.shadow_barriers = world.doorbell_barriers;
    *(volatile uint32_t *)address = value;
    for (int i = 0; i < WORLD_MODELS_MAX; i++) {
        if (world.models[i] != NULL) {
            model_shadow_stored(world.models[i]);
        }
    }
    meanwhile(WORLD_AT_SHADOW);
}

void world_after_phase(void)
{
    meanwhile(WORLD_AT_PHASE);
    world.phase_barriers++;
}

void world_after_mmio_read(void)
{
    meanwhile(WORLD_AT_REGISTER_BARRIER);
    world.register_barriers++;
}

void world_dma_loaded(const volatile void *address, size_t size)
{
    for (int i = 0; i < WORLD_MODELS_MAX; i++) {
        if (world.models[i] != NULL && model_is_event_index(world.models[i], address)) {
            return;
        }
    }
    world.loads++;
    world.last_load = address;
    world.last_load_bytes = size;
    for (int i = 0; i < WORLD_MODELS_MAX; i++) {
        if (world.models[i] != NULL) {
            model_completion_loaded(world.models[i], address, size);
        }
    }
}

void world_dma_clean(const void *pointer, size_t size)
{
    world.clean_log[world.cleans % WORLD_CLEANS_KEPT] = (struct world_clean){
        .start = (uintptr_t)pointer,
        .end = (uintptr_t)pointer + size,
        .epoch = world.doorbell_barriers,
    };
    world.cleans++;
    for (int i = 0; i < WORLD_MODELS_MAX; i++) {
        if (world.models[i] != NULL) {
            model_memory_cleaned(world.models[i], pointer, size);
        }
    }
}

bool world_was_cleaned(const void *pointer, size_t size, uint64_t epoch)
{
    uintptr_t start = (uintptr_t)pointer;

    for (uint64_t back = 1; back <= world.cleans && back <= WORLD_CLEANS_KEPT; back++) {
        const struct world_clean *clean =
            &world.clean_log[(world.cleans - back) % WORLD_CLEANS_KEPT];

        if (clean->epoch < epoch) {
            return false;
        }
        if (clean->epoch == epoch && clean->start <= start && clean->end >= start + size) {
            return true;
        }
    }
    return world.cleans > WORLD_CLEANS_KEPT;
}

bool world_was_ever_cleaned(const void *pointer, size_t size)
{
    uintptr_t start = (uintptr_t)pointer;

    for (uint64_t i = 0; i < world.cleans && i < WORLD_CLEANS_KEPT; i++) {
        const struct world_clean *clean = &world.clean_log[i];

        if (clean->start <= start && clean->end >= start + size) {
            return true;
        }
    }
    return world.cleans > WORLD_CLEANS_KEPT;
}

void world_dma_invalidate(const void *pointer, size_t size)
{
    uintptr_t from = (uintptr_t)pointer;
    uintptr_t keep = (uintptr_t)world.keep;

    world.invalidates++;
    world.invalidated_start = from;
    world.invalidated_end = from + size;
    if (from < keep + world.keep_bytes && from + size > keep) {
        world_find("memory that the device did not write is invalidated");
    }
    for (int i = 0; i < WORLD_MODELS_MAX; i++) {
        if (world.models[i] != NULL) {
            model_memory_invalidated(world.models[i], pointer, size);
        }
    }
}

unsigned long world_irq_save(void)
{
    meanwhile(WORLD_AT_IRQ_SAVE);
    world.irq_saves++;
    return world.irq_depth++;
}

void world_irq_restore(unsigned long state)
{
    world.irq_depth--;
    if (state != world.irq_depth) {
        world_find("hal_irq_restore does not match its hal_irq_save");
    }
    if (world.irq_depth == 0) {
        meanwhile(WORLD_AT_IRQ_RESTORE);
    }
}

uint64_t world_now(void)
{
    meanwhile(WORLD_AT_NOW);
    return world.now_ns;
}

void world_relax(void)
{
    meanwhile(WORLD_AT_RELAX);
    world_arrive();
    world.relaxes++;
    world.now_ns += world.relax_ns;
}
