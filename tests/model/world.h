// SPDX-License-Identifier: MIT
/*
 * The surroundings of the model controllers: time, interrupts, address space, barriers, findings.
 *
 * The port's functions have no context, so there is one world per program; world_reset() makes it
 * new. The test controls everything: time moves only in hal_relax and world_advance. Controllers
 * attach themselves; the world passes each register access to the right one.
 */
#ifndef WORLD_H
#define WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "random.h"

struct model;

enum {
    WORLD_MODELS_MAX = 4,
    WORLD_TEXT_BYTES = 160,
    WORLD_CLEANS_KEPT = 8192,
    WORLD_NOTES_KEPT = 64,
};

/* How hal_dma_address translates. Bits that no host pointer has mark translated addresses. */
enum world_paging {
    WORLD_IDENTITY,        /* device addresses are pointers */
    WORLD_PAGED,           /* rings moved as a whole, all other pages permuted */
    WORLD_PAGED_SCATTERED, /* every page permuted: no ring is contiguous */
};

/*
 * Points of the driver's path at which something else may happen: another hart runs, a handler
 * interrupts, the device completes a command.
 */
enum world_moment {
    WORLD_AT_NOW,              /* hal_now_ns, before the clock is read: this hart slept */
    WORLD_AT_IRQ_SAVE,         /* hal_irq_save, interrupts still on */
    WORLD_AT_IRQ_RESTORE,      /* hal_irq_restore, interrupts on again */
    WORLD_AT_DOORBELL,         /* hal_before_doorbell */
    WORLD_AT_SHADOW,           /* hal_shadow_store32, the value is there */
    WORLD_AT_REGISTER_BARRIER, /* hal_after_mmio_read */
    WORLD_AT_RELAX,            /* hal_relax */
    WORLD_AT_PHASE,            /* hal_after_phase: the status dword was loaded, the rest not */
    WORLD_MOMENTS,
};

/* Memory that was cleaned for the device, and world.doorbell_barriers at that time. */
struct world_clean {
    uintptr_t start;
    uintptr_t end;
    uint64_t epoch;
};

/* Registers that are no controller's. */
struct world_device {
    const volatile void *registers;
    size_t bytes;
    uint32_t (*read)(void *arg, uint32_t offset);
    void (*write)(void *arg, uint32_t offset, uint32_t value);
    void *arg;
};

/* One step of the history: who did what, with up to three numbers. Texts are literals. */
struct world_note {
    uint64_t now_ns;
    const void *who; /* a model, or NULL */
    const char *what;
    uint64_t values[3];
};

/* Read freely; written by the functions below unless the comment says otherwise. */
struct world {
    uint64_t now_ns;          /* tests set it at will */
    uint64_t relax_ns;        /* how far one hal_relax moves it; tests set it */
    enum world_paging paging; /* tests set it before they open anything */
    uint64_t page_bytes;      /* what stays together; tests set it likewise */
    const uint8_t *keep;      /* may not be invalidated: the hart's own data; tests set it */
    size_t keep_bytes;
    void (*meanwhile[WORLD_MOMENTS])(void *arg); /* runs once; tests set it, again from inside it */
    void *meanwhile_arg;
    struct world_device device; /* tests set it */
    uint32_t hart;              /* who acts, where several do; tests set it */
    bool knows_hart;            /* the port tells it to the engine; tests set it */
    bool knows_irq;             /* likewise whether interrupts are off */
    bool coherent;              /* no cache maintenance is owed; tests set it */
    bool maps;                  /* the port maps DMA; tests set it before they open anything */
    uint32_t map_fails_in;      /* this call of hal_dma_map from now on fails; 0: none. Tests */
    uint32_t map_failing;       /* per mille of the calls fail; tests set it */
    struct random map_random;   /* by this chance */
    uint64_t map_calls;         /* of hal_dma_map, */
    uint64_t map_failures;      /* of which these failed */
    uint32_t mapped;            /* pieces at present */
    const uint8_t *arena;       /* the DMA region of WORLD_PAGED; tests set it */
    size_t arena_bytes;
    unsigned long irq_depth; /* hal_irq_save without its restore */
    uint64_t irq_saves;
    uint64_t relaxes;
    uint64_t register_reads;
    uint64_t register_writes; /* doorbells apart */
    uint64_t cleans;
    uint64_t invalidates;
    uintptr_t invalidated_start; /* by the last one */
    uintptr_t invalidated_end;
    uint64_t doorbell_barriers; /* also the epoch of what was made visible before them */
    uint64_t shadow_barriers;   /* doorbell_barriers at the last hal_shadow_store32 */
    uint64_t phase_barriers;
    uint64_t register_barriers;
    const volatile void *last_load;
    size_t last_load_bytes;
    uint64_t loads;    /* of device-written memory since the last doorbell barrier */
    uint32_t findings; /* rules that the driver broke */
    char first_finding[WORLD_TEXT_BYTES];
    struct model *models[WORLD_MODELS_MAX];
    struct world_clean clean_log[WORLD_CLEANS_KEPT]; /* the last ones, by cleans modulo its size */
    struct world_note notes[WORLD_NOTES_KEPT];       /* the last ones, by note_count likewise */
    uint64_t note_count; /* stands still once a rule is broken: the notes lead up to it */
};

extern struct world world;

/* A new world: time 1 s, no controllers, nothing found. Attached models must be gone. */
void world_reset(void);

/* Moves time on. */
void world_advance(uint64_t ns);

/* All writes that are posted arrive. Time that goes on does it too. */
void world_arrive(void);

/* Notes that the driver broke a rule; the first text is kept. */
void world_find(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Adds a step to the history. */
void world_note(const void *who, const char *what, uint64_t value0, uint64_t value1,
                uint64_t value2);

/* Prints the history, oldest step first. */
void world_print_notes(FILE *to);

/* True if a finding's text contains `text`; then forgets all findings. For tests of the model. */
bool world_expect_finding(const char *text);

/* Runs body(arg). The reason if it ended in hal_panic, NULL if it returned. */
const char *world_catch_panic(void (*body)(void *), void *arg);

/* The host memory behind a device address; the bytes up to the page's end belong together. */
void *world_host(uint64_t device_address);

/* True unless it is certain that the memory was not cleaned in this epoch. */
bool world_was_cleaned(const void *pointer, size_t size, uint64_t epoch);

/* True if it was cleaned at any time that is remembered. */
bool world_was_ever_cleaned(const void *pointer, size_t size);

/* True if one mapping covers all of it, in this direction (enum nvme_dma_direction). */
bool world_is_mapped(const void *pointer, size_t size, uint32_t direction);

/* A finding if it is not mapped: `what` the driver does with the memory. */
void world_check_mapped(const void *pointer, size_t size, const char *what);

/* Controllers come and go. */
void world_attach(struct model *model);
void world_detach(struct model *model);

/* Behind nvme_port.h. */
uint32_t world_mmio_read(const volatile void *address);
void world_mmio_write(volatile void *address, uint32_t value);
void world_before_doorbell(void);
void world_shadow_store(volatile void *address, uint32_t value);
void world_after_phase(void);
void world_after_mmio_read(void);
void world_dma_loaded(const volatile void *address, size_t size);
uint64_t world_dma_address(const void *pointer);
void world_dma_clean(const void *pointer, size_t size);
void world_dma_invalidate(const void *pointer, size_t size);
bool world_dma_map(const void *pointer, size_t size, uint32_t direction);
void world_dma_unmap(const void *pointer, size_t size, uint32_t direction);
unsigned long world_irq_save(void);
void world_irq_restore(unsigned long state);
uint64_t world_now(void);
void world_relax(void);
_Noreturn void world_panic(const char *reason);

#endif
