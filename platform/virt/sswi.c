// SPDX-License-Identifier: MIT
#include "sswi.h"

#include <stddef.h>

#include "harts.h"

static volatile uint32_t *registers[HART_LIMIT]; /* by hart index */

/* hart_send_ipi() has the fence before the store. The trap clears the pending bit in sip. */
static void send_ipi(unsigned index)
{
    *registers[index] = 1;
}

void sswi_init(const struct machine *machine)
{
    for (unsigned index = 0; index < hart_count(); index++) {
        for (uint32_t i = 0; i < machine->hart_count; i++) {
            if (machine->harts[i].id == hart_id(index)) {
                registers[index] = (volatile uint32_t *)(uintptr_t)machine->harts[i].ipi_register;
            }
        }
        if (registers[index] == NULL) {
            return;
        }
    }
    hart_set_ipi_sender(send_ipi);
}
