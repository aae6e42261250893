// SPDX-License-Identifier: MIT
/*
 * The results as lines of JSON, one per point and repetition. scripts/bench.py reads them.
 */
#ifndef HARTQ_BENCH_REPORT_H
#define HARTQ_BENCH_REPORT_H

#include "worker.h"

/* The first line: the namespace, and how much is to come. */
void report_banner(const struct storage *storage, const struct job *job);

/* One result, of all harts of a run. */
void report_point(const struct run *run, const struct worker *workers, const char *delivery);

#endif
