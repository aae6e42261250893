// SPDX-License-Identifier: MIT
/* Every queue of the open storage at work at once: queue i on hart i, with its own workload. */
#ifndef HARTQ_CREW_H
#define HARTQ_CREW_H

#include <stdbool.h>
#include <stdint.h>

#include "workload.h"

/* What the owners do, and what comes between. */
struct crew {
    uint32_t depth;          /* requests in flight of each owner */
    uint64_t requests;       /* of each owner; 0: no limit */
    uint64_t runtime_ns;     /* 0: no limit */
    workload_enough *enough; /* see struct workload; NULL: nothing */
    workload_hook *done;
    workload_hook *turn;
    struct workload_shadow *shadows; /* of each owner; NULL: empty ones */
    bool linger;           /* owners that have ended go on with their turns until all have */
    void (*helper)(void);  /* run by the hart behind the last owner, as long as crew_busy() */
    bool helper_has_lines; /* that hart takes the lines */
};

/* Runs and checks workloads on all queues. Hart 0, with the storage open. */
void crew_run(const struct crew *crew);

/* True as long as an owner has not ended. Any hart. */
bool crew_busy(void);

/* The workload of queue i, as it is or was. */
struct workload *crew_member(uint32_t index);

#endif
