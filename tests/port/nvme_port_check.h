// SPDX-License-Identifier: MIT
/*
 * Checks a port where it runs: each function of nvme_hal.h as far as the target can tell. It needs
 * no libc and no NVMe controller, but looks at the registers of one that nobody uses yet.
 * It cannot see whether a fence orders what it must, whether two harts have the same time, and what
 * hal_panic does. A good port is no proof; a bad one is named.
 */
#ifndef NVME_PORT_CHECK_H
#define NVME_PORT_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What became of a check. */
enum nvme_port_verdict {
    NVME_PORT_GOOD,
    NVME_PORT_BAD,
    NVME_PORT_UNKNOWN, /* this port or this call gives nothing to check */
};

/* What the checks need. */
struct nvme_port_check {
    /* Called for each check: the function of the port, what is checked, the verdict. */
    void (*report)(void *arg, const char *function, const char *what,
                   enum nvme_port_verdict verdict);
    void *arg;
    void *dma_context;        /* as in nvme_config */
    size_t page_bytes;        /* as in nvme_config, not 0 */
    void *buffer;             /* two pages for DMA, aligned to the page; overwritten */
    volatile void *registers; /* BAR 0 of a controller that is not enabled, or NULL */
};

/* Runs all checks and returns how many were bad. Context: a thread, interrupts on or off. */
unsigned nvme_port_check(const struct nvme_port_check *check);

struct nvme_queue;
struct nvme_namespace;

/*
 * Flushes, and reports whether the interrupt has come; of `check` it needs the report alone. False:
 * it has not, the source or the handler is wrong. Context: the owner of an interrupt queue whose
 * handler is attached, a thread, interrupts on: while they are off, nothing is known.
 */
bool nvme_port_check_interrupt(const struct nvme_port_check *check, struct nvme_queue *queue,
                               const struct nvme_namespace *ns);

#ifdef __cplusplus
}
#endif

#endif
