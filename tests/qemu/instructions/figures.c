// SPDX-License-Identifier: MIT
/* Sorts and prints what measure.c counted. Nothing of it runs in a counted window. */
#include "figures.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const part_names[PARTS] = {"submit",    "arm",    "reap",
                                              "interrupt", "answer", "end"};

uint32_t windows = WINDOWS;
uint64_t figures[PARTS][WINDOWS];

/* Sorts in place; the smallest comes first. */
static void sort(uint64_t *values)
{
    for (uint32_t i = 1; i < windows; i++) {
        uint64_t value = values[i];
        uint32_t at = i;

        for (; at > 0 && values[at - 1] > value; at--) {
            values[at] = values[at - 1];
        }
        values[at] = value;
    }
}

void print_figures(const struct setup *setup, const char *delivery)
{
    static const char *const modes[] = {"poll", "irq", "hybrid"};
    const char *mode = setup->asleep ? "hybrid asleep" : modes[setup->mode];

    printf("{\"hartq_instructions\":1,\"completion\":\"%s\",\"delivery\":\"%s\",\"queues\":%" PRIu32
           ",\"iodepth\":%" PRIu32 ",\"batch\":%" PRIu32 ",\"bs\":%" PRIu32,
           mode, delivery, setup->queues, setup->batch, setup->batch, setup->bytes);
    if (setup->clocked) {
        printf(",\"doorbell\":\"clocked\"");
    }
    for (unsigned part = 0; part < PARTS; part++) {
        if (figures[part][0] != 0) {
            sort(figures[part]);
            printf(",\"%s\":%" PRIu64 ",\"%s_median\":%" PRIu64, part_names[part], figures[part][0],
                   part_names[part], figures[part][windows / 2]);
        }
    }
    printf("}\n");
}

bool parse_windows(int count, char **words)
{
    static const char key[] = "windows=";
    char *end;
    unsigned long value;

    if (count == 0) {
        return true;
    }
    if (count > 1 || strncmp(words[0], key, sizeof(key) - 1) != 0) {
        return false;
    }
    value = strtoul(words[0] + sizeof(key) - 1, &end, 10);
    if (*end != '\0' || value < 1 || value > WINDOWS) {
        return false;
    }
    windows = (uint32_t)value;
    return true;
}
