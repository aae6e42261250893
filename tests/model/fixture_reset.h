// SPDX-License-Identifier: MIT
/*
 * The fixture of tests of resets: controllers with a short deadline, which may be reset a few times
 * in a row.
 */
#ifndef FIXTURE_RESET_H
#define FIXTURE_RESET_H

#include "fixture.h"

enum {
    FIXTURE_TIMEOUT_MS = 1000,
    FIXTURE_RESETS_MAX = 3,     /* in a row */
    FIXTURE_WATCHES_MAX = 3000, /* calls of the watchdog; a reset takes far fewer */
};

/* fixture_init with a deadline and resets, on vectors or on the line; opens nothing. */
void fixture_init_reset(struct fixture *fixture, bool vectors);

/* The same on the line, and fixture_start; no interrupt is pending. */
void fixture_start_reset(struct fixture *fixture, uint32_t count, enum nvme_mode mode);

/* A read on this queue, which must succeed. */
void fixture_check_works(struct fixture *fixture, uint32_t queue);

/*
 * Each owner watches its queue, until the engine has told of `count` resets or has given up, which
 * must take at most FIXTURE_WATCHES_MAX calls.
 */
void fixture_watch_until_reset(struct fixture *fixture, uint32_t count);

#endif
