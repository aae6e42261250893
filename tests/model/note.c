// SPDX-License-Identifier: MIT
/*
 * The history of a world: see world.h.
 */
#include "world.h"

void world_note(const void *who, const char *what, uint64_t value0, uint64_t value1,
                uint64_t value2)
{
    if (world.findings == 0) {
        world.notes[world.note_count++ % WORLD_NOTES_KEPT] = (struct world_note){
            .now_ns = world.now_ns,
            .who = who,
            .what = what,
            .values = {value0, value1, value2},
        };
    }
}

/* Which of the controllers it is, from 0; -1 for none of them. */
static int model_index(const void *who)
{
    for (int i = 0; i < WORLD_MODELS_MAX; i++) {
        if (who != NULL && world.models[i] == who) {
            return i;
        }
    }
    return -1;
}

void world_print_notes(FILE *to)
{
    uint64_t count = world.note_count < WORLD_NOTES_KEPT ? world.note_count : WORLD_NOTES_KEPT;

    for (uint64_t i = world.note_count - count; i < world.note_count; i++) {
        const struct world_note *note = &world.notes[i % WORLD_NOTES_KEPT];
        int index = model_index(note->who);

        fprintf(to, "  %12.6f ms  ", (double)note->now_ns / 1e6);
        if (index >= 0) {
            fprintf(to, "controller %d  ", index);
        } else {
            fprintf(to, "driver        ");
        }
        fprintf(to, "%-18s %#llx %#llx %#llx\n", note->what, (unsigned long long)note->values[0],
                (unsigned long long)note->values[1], (unsigned long long)note->values[2]);
    }
}
