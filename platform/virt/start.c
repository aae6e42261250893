// SPDX-License-Identifier: MIT
/*
 * From boot.S to main(): reads the tree, then starts console, time, harts, heap and interrupt
 * controller, because each needs the one before. It splits the kernel command line into argv and
 * ends the machine with main's status. An error prints what, value and hint; the status is 1.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "board.h"
#include "console.h"
#include "dma.h"
#include "fdt_tree.h"
#include "fence.h"
#include "harts.h"
#include "heap.h"
#include "imsic.h"
#include "iommu.h"
#include "machine.h"
#include "paging.h"
#include "sbi.h"
#include "sswi.h"
#include "start.h"
#include "timer.h"
#include "wired.h"

#define START_WORD_LIMIT 64
#define START_LINE_BYTES 4096
#define START_DTB_LIMIT_BYTES (1UL << 21) /* the size the header may claim; QEMU makes 1 MiB */
#define START_TEST_PASS 0x5555U           /* sifive,test: finisher values */
#define START_TEST_FAIL 0x3333U

int main(int argc, char **argv);

/* Called from boot.S only. */
_Noreturn void start(uint64_t boot_id, const void *dtb);

extern char boot_entry[], image_end[]; /* link.ld: the image */

static struct machine the_machine;

const struct machine *machine_get(void)
{
    return &the_machine;
}

void machine_exit(int code)
{
    char text[24];
    uint32_t status = (uint32_t)code & 0xffff;
    int size = snprintf(text, sizeof(text), "exit %" PRIu32 "\n", status);

    console_flush();
    console_last_words(text, (size_t)size);
    if (the_machine.test.size != 0) {
        fence(iorw, o); /* the text is written before the machine ends */
        *(volatile uint32_t *)(uintptr_t)the_machine.test.base =
            status == 0 ? START_TEST_PASS : status << 16 | START_TEST_FAIL;
    }
    sbi_shutdown();
    hart_park();
}

static _Noreturn void fail_start(const char *what, uint64_t value, const char *hint)
{
    printf("start: %s (value %" PRIu64 "; %s)\n", what, value, hint);
    machine_exit(1);
}

static void init_harts(uint64_t boot_id)
{
    uint64_t ids[MACHINE_HART_LIMIT];
    const char *error;

    for (uint32_t i = 0; i < the_machine.hart_count; i++) {
        ids[i] = the_machine.harts[i].id;
    }
    error = harts_init(boot_id, ids, the_machine.hart_count);
    if (error != NULL) {
        fail_start(error, boot_id, "look at /cpus in the device tree");
    }
    if (hart_count() < the_machine.hart_count) {
        printf("note: %" PRIu32 " harts, %u of them are used\n", the_machine.hart_count,
               hart_count());
    }
    if (!sbi_has(SBI_EXTENSION_HSM) || !sbi_has(SBI_EXTENSION_IPI) ||
        !sbi_has(SBI_EXTENSION_TIME)) {
        fail_start("the firmware lacks the SBI extension HSM, IPI or TIME", 0,
                   "use OpenSBI 0.7 or later");
    }
}

/* The heap is where devices reach it, so that any of its memory can be a buffer. */
static void init_memory(void)
{
    struct machine_span span;
    const char *error;

    machine_choose_dma(&the_machine, (uint64_t)(uintptr_t)boot_entry, any_dma());
    dma_map.offset = the_machine.dma.cpu - the_machine.dma.bus;
    dma_map.block_bytes = the_machine.dma_coherent ? 0 : the_machine.cache_block_bytes;
    span = machine_free_memory(&the_machine, (uint64_t)(uintptr_t)image_end);
    if (span.size == 0) {
        fail_start("no free memory after the image, or none that devices reach",
                   (uint64_t)(uintptr_t)image_end, "give the machine more memory");
    }
    for (uint32_t i = 0; i < the_machine.memory_count; i++) {
        const struct machine_span *other = &the_machine.memory[i];

        if (span.base < other->base || span.base - other->base >= other->size) {
            printf("note: %" PRIu64 " MiB of memory at %" PRIx64 " are not used\n",
                   other->size >> 20, other->base);
        }
    }
    if (any_dma()) {
        iommu_reserve(&span);
    }
    error = paging_init_heap(span.base, span.base + span.size);
    if (error != NULL) {
        fail_start(error, span.size, "the value is the size of the memory after the image");
    }
}

/*
 * Uses messages if the machine has them, else wires: a hart's external interrupt has one source. A
 * note names a hart without either: it works, and gets IPIs from other harts.
 */
static void init_interrupts(void)
{
    bool messages = the_machine.imsic_identities != 0;
    const char *error = messages ? imsic_init(&the_machine) : wired_init(&the_machine);
    unsigned unserved = 0;

    if (error != NULL) {
        fail_start(error, the_machine.wired_count,
                   "look at plic, aplic and imsics in the device tree");
    }
    for (unsigned index = 0; index < hart_count(); index++) {
        if (!imsic_serves(index) && !wired_serves(index)) {
            printf(unserved++ == 0 ? "note: no interrupt controller reaches hart" : ",");
            printf(" %u (id %" PRIu64 ")", index, hart_id(index));
        }
    }
    if (unserved != 0) {
        printf("\n");
    }
}

/* Splits the command line at blanks into argv, in place in a copy. The number of words. */
static int split_arguments(const char *line, char *argv[START_WORD_LIMIT + 1])
{
    static char copy[START_LINE_BYTES];
    static char name[] = "hartq";
    size_t size = strlen(line) + 1;
    char *next = copy;
    int count = 1;

    if (size > sizeof(copy)) {
        fail_start("the kernel command line is too long", size, "at most 4095 characters");
    }
    memcpy(copy, line, size);
    argv[0] = name;
    next += strspn(next, " \t\n");
    while (*next != 0) {
        if (count == START_WORD_LIMIT) {
            fail_start("the kernel command line has too many words", START_WORD_LIMIT,
                       "at most 63 after the program's name");
        }
        argv[count] = next;
        count++;
        next += strcspn(next, " \t\n");
        if (*next != 0) {
            *next = 0;
            next++;
        }
        next += strspn(next, " \t\n");
    }
    argv[count] = NULL;
    return count;
}

/* On hart 0's last stack. */
static _Noreturn void run_program(void)
{
    static char *argv[START_WORD_LIMIT + 1];
    int argc = split_arguments(the_machine.bootargs, argv);

    init_interrupts();
    irq_enable();
    machine_exit(main(argc, argv));
}

void start(uint64_t boot_id, const void *dtb)
{
    const char *error = machine_read(dtb, START_DTB_LIMIT_BYTES, &the_machine);

    console_init(&the_machine);
    if (error != NULL) {
        fail_start(error, (uint64_t)(uintptr_t)dtb, "the value is the device tree's address");
    }
    error = timer_init(the_machine.timebase_hz);
    if (error != NULL) {
        fail_start(error, the_machine.timebase_hz, "timebase-frequency in /cpus");
    }
    init_harts(boot_id);
    sswi_init(&the_machine);
    init_memory();
    if (paging_satp != 0) {
        hart_change_stacks(run_program);
    }
    run_program();
}
