// SPDX-License-Identifier: MIT
/*
 * The results as lines of JSON, one per point and repetition. scripts/bench.py reads them.
 */
#ifndef HARTQ_BENCH_REPORT_H
#define HARTQ_BENCH_REPORT_H

#include "worker.h"

/* Prints the first line: the namespace, and the number of points and repetitions. */
void report_banner(const struct storage *storage, const struct job *job);

/* Prints one result, of all harts of a point. */
void report_point(const struct run *run, const struct worker *workers, const char *delivery);

#endif
