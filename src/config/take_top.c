/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/take.h"
#include "core/parse.h"

#define WEIGHT_MAX 10000000 /* in the kernel's unit: more than any cpu.weight can be */

static int take_split(const struct place *at, const struct raw_cpus *raw,
		      struct workload_policy *policy)
{
	int64_t beta = policy->beta;
	int r;

	r = take_permille(at, "cpus", "alpha", raw->alpha, 10, 1000, "1% to 100%",
			  &policy->alpha_permille);
	if (r < 0)
		return r;
	r = take_permille(at, "cpus", "utilisation", raw->utilisation, 10, 1000, "1% to 100%",
			  &policy->utilisation_permille);
	if (r < 0)
		return r;
	r = take_permille(at, "cpus", "waste", raw->waste, 0, 1000, "0% to 100%",
			  &policy->waste_permille);
	if (r < 0)
		return r;
	r = take_number(at, "cpus", "beta", raw->beta, 0, 1000, "a whole number from 0 to 1000",
			&beta);
	if (r < 0)
		return r;
	policy->beta = (uint32_t)beta;
	r = take_duration(at, "cpus", "check", raw->check, 10 * MS, HOUR,
			  "a duration from 10ms to 1h", &policy->check_ns);
	if (r < 0)
		return r;
	return take_duration(at, "cpus", "wait_p99", raw->wait_p99, 0, 10 * S,
			     "a duration from 0s to 10s", &policy->wait_p99_ns);
}

/* The next number of the list; false: none is left, or it is none. */
static bool next_weight(const char **at, uint32_t *ret)
{
	uint64_t weight;
	size_t length;

	*at += strspn(*at, " \t\n");
	length = strcspn(*at, " \t\n");
	if (!length || !parse_u64(*at, length, &weight) || weight == 0 || weight > WEIGHT_MAX)
		return false;
	*at += length;
	*ret = (uint32_t)weight;
	return true;
}

static int take_weights(const struct place *at, const struct raw_weights *raw, struct prio_own *own)
{
	const char *text = raw->list;
	int64_t first = -20;
	int r = take_number(at, "weights", "first", raw->first, PRIO_NICE_MIN, PRIO_NICE_MAX,
			    "a whole number from -30 to 29", &first);

	if (r < 0 || !text)
		return r;
	own->first = (int32_t)first;
	while (own->count < PRIO_WEIGHTS_MAX && next_weight(&text, &own->weights[own->count]))
		own->count++;
	if (!own->count || text[strspn(text, " \t\n")])
		return bad_value(at, "weights", "list", raw->list,
				 "1 to 60 numbers from 1 to 10000000, with blanks between");
	return 0;
}

static bool uses_own(const struct cpus_policy *policy)
{
	for (int i = 0; i < PFUSE_CHARACTERS; i++)
		if (policy->table[i] == PRIO_OWN)
			return true;
	return false;
}

static int check_own(const struct place *at, const struct config *config)
{
	for (size_t i = 0; i < config->ngroups && !config->own.count; i++)
		if (uses_own(&config->groups[i].cpus))
			return err_set(
				at->err, -EINVAL,
				"%s:%u: the table \"own\" needs weights: { list: ... } at the top",
				at->doc->name, config_doc_line(at->doc, (int)i, NULL, "match"));
	return 0;
}

int config_take(struct config_doc *doc, const struct raw *raw, struct config *config,
		struct err *err)
{
	struct place at = { .doc = doc, .err = err, .entry = -1 };
	int r;

	config->policy_said = raw->policy;
	if (raw->policy)
		config->policy = raw->policy - 1;
	if (raw->stop)
		config->stop = raw->stop - 1;
	r = take_duration(&at, NULL, "interval", raw->interval, 1 * MS, 60 * S,
			  "a duration from 1ms to 60s", &config->interval_ns);
	if (r < 0)
		return r;
	if (raw->cpus.partition)
		config->partition = raw->cpus.partition - 1;
	r = take_split(&at, &raw->cpus, &config->cpus);
	if (r < 0)
		return r;
	r = config_take_adaptive(&at, raw, config);
	if (r < 0)
		return r;
	r = take_weights(&at, &raw->weights, &config->own);
	if (r < 0 || !raw->groups_count)
		return r;
	config->groups = calloc(raw->groups_count, sizeof(*config->groups));
	if (!config->groups)
		return err_set(err, -ENOMEM, "%s: no memory", doc->name);
	/* Counted first: what a refused one holds already is freed with the others. */
	while (config->ngroups < raw->groups_count) {
		struct config_group *group = &config->groups[config->ngroups];

		at.entry = (int)config->ngroups++;
		*group = config->defaults;
		r = config_take_group(&at, &raw->groups[at.entry], group);
		if (r < 0)
			return r;
	}
	return check_own(&at, config);
}
