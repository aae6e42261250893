// SPDX-License-Identifier: MIT
/*
 * IMSIC, S-mode files. A hart reaches its own file through siselect, sireg and stopei, the others
 * only by storing a message. The trap path writes stopei and nothing else.
 * RISC-V Advanced Interrupt Architecture 1.0, chapter 3.
 */
#include "imsic.h"

#include <stddef.h>

#include "csr.h"
#include "fence.h"
#include "harts.h"
#include "heap.h"
#include "trap.h"

/* CSRs by number: an assembler accepts their names only with an extension in -march. */
#define SISELECT 0x150
#define SIREG 0x151
#define STOPEI 0x15c
#define STOPEI_IDENTITY_SHIFT 16

enum {
    EIDELIVERY = 0x70,
    EITHRESHOLD = 0x72,
    EIE0 = 0xc0, /* 64 identities in each even register */
    IDENTITY_IPI = 1,
    IDENTITY_LIMIT = 256, /* more are not used */
};

/* The handler of one hart's identity. Threads write it, before the first message is sent. */
struct imsic_handler {
    void (*function)(void *arg);
    void *arg;
};

static struct {
    unsigned identity_count; /* highest in use, 0: no IMSIC */
    volatile uint32_t *file[HART_LIMIT];
    struct imsic_handler *handlers[HART_LIMIT]; /* identity_count + 1 each */
    uint64_t unexpected;
    uint64_t empty;
} imsic;

#define CSR_TEXT_(number) #number
#define CSR_TEXT(number) CSR_TEXT_(number)

static void write_register(uint64_t select, uint64_t value)
{
    __asm__ volatile(
        "csrw " CSR_TEXT(SISELECT) ", %0\n\tcsrw " CSR_TEXT(SIREG) ", %1" ::"r"(select), "r"(value)
        : "memory");
}

/* Identity 0 of each hart: nothing was pending. */
static void count_empty(void *arg)
{
    (void)arg;
    __atomic_fetch_add(&imsic.empty, 1, __ATOMIC_RELAXED);
}

static void count_unexpected(void *arg)
{
    (void)arg;
    __atomic_fetch_add(&imsic.unexpected, 1, __ATOMIC_RELAXED);
}

/*
 * Called by trap_entry.S. The write claims: it clears the pending bit of the identity that the read
 * returned. The fence keeps the handler's loads after the message, which the device sent after its
 * data.
 */
static void imsic_interrupt(void)
{
    const struct imsic_handler *handlers = hart_self()->interrupt_controller;
    uint64_t top;

    __asm__ volatile("csrrw %0, " CSR_TEXT(STOPEI) ", zero" : "=r"(top)::"memory");
    fence(iorw, iorw);
    top >>= STOPEI_IDENTITY_SHIFT;
    if (top <= imsic.identity_count) {
        handlers[top].function(handlers[top].arg);
    }
}

static void take_ipi(void *arg)
{
    (void)arg;
    hart_take_ipi();
}

static void send_ipi(unsigned index)
{
    *imsic.file[index] = IDENTITY_IPI;
}

static void open_file(void *arg, unsigned index)
{
    (void)arg;
    if (imsic.file[index] == NULL) {
        return;
    }
    for (unsigned first = 0; first <= imsic.identity_count; first += 64) {
        write_register(EIE0 + first / 32, UINT64_MAX);
    }
    write_register(EITHRESHOLD, 0);
    write_register(EIDELIVERY, 1);
    hart_self()->interrupt_controller = imsic.handlers[index];
    trap_attach_external(index, imsic_interrupt);
    csr_set(sie, CSR_SIE_EXTERNAL);
}

/* Sets each hart's file and the table of its handlers. NULL, or an error phrase. */
static const char *find_files(const struct machine *machine)
{
    for (uint32_t i = 0; i < machine->hart_count; i++) {
        unsigned index = 0;

        while (index < hart_count() && hart_id(index) != machine->harts[i].id) {
            index++;
        }
        if (index == hart_count() || machine->harts[i].imsic_file == 0) {
            continue;
        }
        imsic.file[index] = (volatile uint32_t *)(uintptr_t)machine->harts[i].imsic_file;
        imsic.handlers[index] =
            heap_take((imsic.identity_count + 1) * sizeof(struct imsic_handler), 16);
        if (imsic.handlers[index] == NULL) {
            return "imsic: no memory for the table of handlers";
        }
        for (unsigned identity = 1; identity <= imsic.identity_count; identity++) {
            imsic.handlers[index][identity] = (struct imsic_handler){count_unexpected, NULL};
        }
        imsic.handlers[index][0].function = count_empty;
        imsic.handlers[index][IDENTITY_IPI].function = take_ipi;
    }
    return NULL;
}

const char *imsic_init(const struct machine *machine)
{
    unsigned count =
        machine->imsic_identities < IDENTITY_LIMIT ? machine->imsic_identities : IDENTITY_LIMIT - 1;
    const char *error;

    imsic.identity_count = count;
    error = find_files(machine);
    if (error != NULL) {
        return error;
    }
    if (!harts_run(hart_count(), open_file, NULL)) {
        return "imsic: a hart did not start";
    }
    /* The firmware sends IPIs unless every hart has a file. */
    for (unsigned index = 0; index < hart_count(); index++) {
        if (imsic.file[index] == NULL) {
            return NULL;
        }
    }
    hart_set_ipi_sender(send_ipi);
    return NULL;
}

bool imsic_present(void)
{
    return imsic.identity_count != 0;
}

bool imsic_serves(unsigned hart_index)
{
    return hart_index < HART_LIMIT && imsic.file[hart_index] != NULL;
}

bool imsic_attach(unsigned hart_index, void (*handler)(void *arg), void *arg,
                  struct imsic_message *message)
{
    struct imsic_handler *handlers = hart_index < HART_LIMIT ? imsic.handlers[hart_index] : NULL;

    for (unsigned identity = IDENTITY_IPI + 1; handlers != NULL && identity <= imsic.identity_count;
         identity++) {
        if (handlers[identity].function == count_unexpected) {
            handlers[identity].arg = arg;
            handlers[identity].function = handler;
            /* Before the message can be sent. */
            fence(rw, orw);
            *message = (struct imsic_message){
                .address = (uint64_t)(uintptr_t)imsic.file[hart_index],
                .data = identity,
            };
            return true;
        }
    }
    return false;
}

void imsic_detach(unsigned hart_index, const struct imsic_message *message)
{
    imsic.handlers[hart_index][message->data].function = count_unexpected;
}

uint64_t imsic_unexpected_count(void)
{
    return __atomic_load_n(&imsic.unexpected, __ATOMIC_RELAXED);
}

uint64_t imsic_empty_count(void)
{
    return __atomic_load_n(&imsic.empty, __ATOMIC_RELAXED);
}
