// SPDX-License-Identifier: GPL-2.0-only
/* Median, its spread, and how sure one can be of it. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ktramp.h"

#define RESAMPLES	2000

/* splitmix64: the same sequence for a seed everywhere, forever. */
uint64_t prng(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double sorted_median(const double *sorted, size_t n)
{
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/* @scratch has room for @n values. */
double stats_median(const double *values, size_t n, double *scratch)
{
	memcpy(scratch, values, n * sizeof(*values));
	qsort(scratch, n, sizeof(*scratch), by_value);
	return sorted_median(scratch, n);
}

static int bootstrap(const double *values, size_t n, uint64_t seed, double *scratch,
		     struct spread *spread)
{
	double *medians = calloc(RESAMPLES, sizeof(*medians));

	if (!medians)
		return -ENOMEM;
	for (size_t i = 0; i < RESAMPLES; i++) {
		for (size_t j = 0; j < n; j++)
			scratch[j] = values[prng(&seed) % n];
		qsort(scratch, n, sizeof(*scratch), by_value);
		medians[i] = sorted_median(scratch, n);
	}
	qsort(medians, RESAMPLES, sizeof(*medians), by_value);
	spread->low = medians[RESAMPLES * 25 / 1000];
	spread->high = medians[RESAMPLES * 975 / 1000];
	free(medians);
	return 0;
}

int stats_spread(const double *values, size_t n, uint64_t seed, struct spread *spread)
{
	double *scratch = calloc(2 * n, sizeof(*scratch));
	double *deviations;
	int err;

	if (!scratch)
		return -ENOMEM;

	deviations = scratch + n;
	spread->median = stats_median(values, n, scratch);
	spread->min = scratch[0];
	spread->max = scratch[n - 1];
	for (size_t i = 0; i < n; i++)
		deviations[i] = fabs(values[i] - spread->median);
	spread->mad = stats_median(deviations, n, scratch);
	err = bootstrap(values, n, seed, scratch, spread);
	free(scratch);
	return err;
}
