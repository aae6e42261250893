// SPDX-License-Identifier: MIT
/*
 * From the host's main() to the program's: the profile's words, memory, harts, controllers. The
 * linker gives the host this main() (--wrap), which calls the program's.
 */
#define _DEFAULT_SOURCE

#include "start.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "board.h"
#include "devices.h"
#include "flaws.h"
#include "harts.h"
#include "heap.h"
#include "profile.h"
#include "sbi.h"
#include "trap.h"
#include "world.h"

/* Of the heap, so that it is the same at every address that the host gives. */
enum { MEMORY_ALIGNMENT = 1 << 20 };

int __wrap_main(int argc, char **argv);
int __real_main(int argc, char **argv);

void console_write(const char *text, size_t size_bytes)
{
    fwrite(text, 1, size_bytes, stdout);
}

void machine_exit(int code)
{
    if (code == 0 && world.findings != 0) {
        printf("error: the device finds fault with the driver: %s\n", world.first_finding);
        code = 1;
    }
    printf("exit %d\n", code);
    fflush(stdout);
    exit(code);
}

void panic(const char *message)
{
    printf("\nPANIC: %s\n  hart %u\n", message, hart_index());
    machine_exit(1);
}

struct sbi_result sbi_send_ipi(uint64_t hart_id)
{
    hart_send_ipi_now((unsigned)hart_id);
    return (struct sbi_result){0, 0};
}

static bool take_memory(uint64_t size_bytes)
{
    void *memory = mmap(NULL, size_bytes + MEMORY_ALIGNMENT, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uintptr_t base =
        ((uintptr_t)memory + MEMORY_ALIGNMENT - 1) & ~(uintptr_t)(MEMORY_ALIGNMENT - 1);

    if (memory == MAP_FAILED) {
        printf("error: sim.memory_mib: the host does not give so much\n");
        return false;
    }
    heap_init(base, base + size_bytes);
    return true;
}

int __wrap_main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!profile_parse(&the_profile, &argc, argv) || !take_memory(the_profile.memory_mib << 20)) {
        machine_exit(2);
    }
    if (!harts_init((unsigned)the_profile.harts)) {
        machine_exit(2);
    }
    devices_init();
    if (!flaws_apply(the_profile.flaws)) {
        machine_exit(2);
    }
    irq_enable();
    machine_exit(__real_main(argc, argv));
}
