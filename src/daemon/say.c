/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "core/parse.h"
#include "daemon/say.h"
#include "pfuse/sample.h"

static const char *const reasons[PFUSE_REASONS] = {
	[PFUSE_WHY_NONE] = "",
	[PFUSE_WHY_SCORE_HIGH] = "score above 1.0",
	[PFUSE_WHY_SCORE_LOW] = "score below 0.5",
	[PFUSE_WHY_HIGH_WATER] = "usage crossed the high-water mark",
	[PFUSE_WHY_LIMIT_HIT] = "a charge met the limit",
	[PFUSE_WHY_CEILING] = "at the ceiling, where the kernel's own rule holds",
	[PFUSE_WHY_IDLE] = "idle, and talks with nobody",
	[PFUSE_WHY_TALK] = "talks",
	[PFUSE_WHY_DEADLINE] = "stopped for as long as the deadline allows",
	[PFUSE_WHY_REQUEST] = "on request",
	[PFUSE_WHY_EXIT] = "we leave",
	[PFUSE_WHY_PARKED] = "idle, all threads wait",
	[PFUSE_WHY_DATA] = "data waits for it",
	[PFUSE_WHY_SIGNAL] = "a signal came for it",
	[PFUSE_WHY_ENTERED] = "a process entered it",
	[PFUSE_WHY_SLA] = "a service: the least that keeps its targets",
	[PFUSE_WHY_REMAINDER] = "scientific: its part of what services leave",
	[PFUSE_WHY_NEED] = "its hit-ratio curve needs no more",
	[PFUSE_WHY_PROBE] = "no curve tells: a small step shows whether it is missed",
	[PFUSE_WHY_SHARE] = "memory is short, and others make more of it",
	[PFUSE_WHY_HARM] = "the last step did harm",
};

static const char *const channels[PFUSE_CHANNELS] = {
	[PFUSE_CH_NONE] = "an unknown channel",
	[PFUSE_CH_TCP] = "TCP",
	[PFUSE_CH_UDP] = "UDP",
	[PFUSE_CH_UNIX] = "a UNIX socket",
	[PFUSE_CH_OTHER] = "another kind of socket",
	[PFUSE_CH_PIPE] = "a pipe",
	[PFUSE_CH_EVENTFD] = "an eventfd",
	[PFUSE_CH_TTY] = "a terminal",
	[PFUSE_CH_SHM] = "shared memory",
};

const char *say_bytes(uint64_t bytes, char out[24])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	unsigned unit = 0;

	if (bytes == PFUSE_UNLIMITED)
		return "unlimited";
	for (; value >= 1024 && unit < 6; unit++)
		value /= 1024;
	snprintf(out, 24, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return out;
}

const char *say_duration(uint64_t ns, char out[24])
{
	if (ns < 1000000)
		snprintf(out, 24, "%" PRIu64 " us", ns / 1000);
	else if (ns < 1000000000)
		snprintf(out, 24, "%.1f ms", (double)ns / 1e6);
	else
		snprintf(out, 24, "%.1f s", (double)ns / 1e9);
	return out;
}

static void say_head(FILE *out, const char *name)
{
	char escaped[SAY_NAME];
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	parse_escape(escaped, sizeof(escaped), name, strlen(name));
	fprintf(out, "%02d:%02d:%02d.%03ld  %s  ", tm.tm_hour, tm.tm_min, tm.tm_sec,
		now.tv_nsec / 1000000, escaped);
}

static void say_talk(FILE *out, const struct signalflag *flag)
{
	if (!flag || !flag->channel || flag->channel >= PFUSE_CHANNELS)
		return;
	fprintf(out, " (%s over %s", flag->incoming ? "spoken to" : "speaks",
		channels[flag->channel]);
	if (flag->peer_port)
		fprintf(out, ", peer port %u", flag->peer_port);
	if (flag->peer_pid)
		fprintf(out, ", peer pid %u", flag->peer_pid);
	if (flag->pid)
		fprintf(out, ", by pid %u", flag->pid);
	fputc(')', out);
}

const char *say_error(double error, char out[24])
{
	if (error >= 1)
		return "not known";
	snprintf(out, 24, "%.1f %%", error * 100);
	return out;
}

/* The evidence of a step of `adaptive`: where it is to end, and who says so. */
static void say_target(FILE *out, const struct say_decision *decision)
{
	const struct say_curve *curve = decision->curve;
	char target[24], knee[24], age[24], error[24];

	fprintf(out, ", target %s", say_bytes(decision->verdict->size, target));
	if (curve)
		fprintf(out, ", knee %s%s by %s %s ago, error %s",
			curve->below_resolution ? "<= " : "", say_bytes(curve->knee_bytes, knee),
			curve->source, say_duration(curve->age_ns, age),
			say_error(curve->error, error));
}

static bool is_step(const struct pfuse_verdict *verdict)
{
	return verdict->reason >= PFUSE_WHY_NEED && verdict->reason <= PFUSE_WHY_HARM;
}

static void say_ram(FILE *out, const struct say_decision *decision)
{
	const struct pfuse_verdict *verdict = decision->verdict;
	char a[24], b[24], c[24], d[24];

	fprintf(out, "ram  %s -> %s  %s (usage %s, before %s, score %.2f", say_bytes(verdict->from, a),
		say_bytes(verdict->to, b), reasons[verdict->reason], say_bytes(verdict->usage, c),
		say_bytes(verdict->usage_prev, d), verdict->score);
	if (is_step(verdict))
		say_target(out, decision);
	fputs(verdict->clamped ? ", clamped)" : ")", out);
}

static void say_reclaim(FILE *out, const struct say_decision *decision)
{
	const struct pfuse_verdict *verdict = decision->verdict;
	char a[24], b[24], c[24];

	fprintf(out, "reclaim  %s -> %s  %s (usage %s", say_bytes(verdict->from, a),
		say_bytes(verdict->to, b), reasons[verdict->reason], say_bytes(verdict->usage, c));
	say_target(out, decision);
	fputs(verdict->clamped ? ", clamped)" : ")", out);
}

/* Of CPU and I/O: no event crosses their mark, and no kernel's rule holds at their ceiling. */
static const char *reason_of(const struct pfuse_verdict *verdict)
{
	if (verdict->reason == PFUSE_WHY_HIGH_WATER)
		return "the limit is in the way";
	if (verdict->reason == PFUSE_WHY_CEILING)
		return verdict->to == PFUSE_UNLIMITED ? "at the ceiling: released"
						      : "at the ceiling";
	return reasons[verdict->reason];
}

static const char *say_rate(uint64_t value, double unit, int digits, char out[24])
{
	if (value == PFUSE_UNLIMITED)
		return "unlimited";
	snprintf(out, 24, "%.*f", digits, (double)value / unit);
	return out;
}

static void say_rates(FILE *out, const struct pfuse_verdict *verdict, const char *what, double unit,
		      int digits, const char *name)
{
	bool bare = verdict->to == PFUSE_UNLIMITED; /* then the unit goes with the other number */
	char a[24], b[24], c[24], d[24];

	fprintf(out, "%s  %s%s -> %s%s  %s (usage %s%s, before %s%s, score %.2f%s", what,
		say_rate(verdict->from, unit, digits, a), bare ? name : "",
		say_rate(verdict->to, unit, digits, b), bare ? "" : name, reason_of(verdict),
		say_rate(verdict->usage, unit, digits, c), name,
		say_rate(verdict->usage_prev, unit, digits, d), name, verdict->score,
		verdict->clamped ? ", clamped" : "");
}

static void say_cpu(FILE *out, const struct pfuse_verdict *verdict)
{
	say_rates(out, verdict, "cpu", 1e9, 2, " CPUs");
	if (verdict->throttled)
		fprintf(out, ", throttled %u of %u periods", verdict->throttled, verdict->periods);
	fputc(')', out);
}

static void say_io(FILE *out, const struct pfuse_verdict *verdict)
{
	say_rates(out, verdict, verdict->control == PFUSE_CTL_IO_READ ? "io-read" : "io-write",
		  1048576, 1, " MiB/s");
	fputc(')', out);
}

static void say_net(FILE *out, const struct pfuse_verdict *verdict)
{
	char a[24], b[24];

	fprintf(out,
		"net  priority %" PRIu64 " -> %" PRIu64
		"  %s (usage %s/s, before %s/s, score %.2f)",
		(uint64_t)verdict->from, (uint64_t)verdict->to, reasons[verdict->reason],
		say_bytes(verdict->usage, a), say_bytes(verdict->usage_prev, b), verdict->score);
}

static void say_stop(FILE *out, const struct say_decision *decision)
{
	const struct pfuse_verdict *verdict = decision->verdict;
	char since[24];

	fprintf(out, "stop  %s  %s", verdict->to ? "running -> stopped" : "stopped -> running",
		reasons[verdict->reason]);
	if (verdict->reason == PFUSE_WHY_TALK)
		say_talk(out, decision->flag);
	if (verdict->since_ns)
		fprintf(out, " (%s %s)", verdict->to ? "idle for" : "after",
			say_duration(verdict->since_ns, since));
}

static const char *say_number(uint64_t cpus, char out[24])
{
	if (cpus == PFUSE_UNLIMITED)
		return "all";
	snprintf(out, 24, "%" PRIu64, cpus);
	return out;
}

static void say_cpus(FILE *out, const struct say_decision *decision)
{
	const struct pfuse_verdict *verdict = decision->verdict;
	bool scientific = verdict->is == PFUSE_TYPE_SCIENTIFIC;
	char a[24], b[24], wait[24];

	fprintf(out, "cpus  %s -> %s", say_number(verdict->from, a), say_number(verdict->to, b));
	if (decision->cpus && decision->cpus[0])
		fprintf(out, " (%s)", decision->cpus);
	if (verdict->reason == PFUSE_WHY_TYPE)
		fprintf(out, "  %s", scientific ? "now scientific: uses all that it can get"
						: "now a service: does not use what it could");
	else
		fprintf(out, "  %s", reasons[verdict->reason]);
	fprintf(out, " (usage %.1f %%, alpha %.1f %%, count %u", (double)verdict->usage / 10,
		(double)verdict->limit / 10, verdict->count);
	if (verdict->wait_p99_ns)
		fprintf(out, ", wait p99 %s", say_duration(verdict->wait_p99_ns, wait));
	fputc(')', out);
}

static const char *const characters[PFUSE_CHARACTERS] = {
	[PFUSE_CHARACTER_NONE] = "not known yet",
	[PFUSE_CHARACTER_INTERACTIVE] = "interactive",
	[PFUSE_CHARACTER_BATCH] = "batch",
	[PFUSE_CHARACTER_MIXED] = "mixed",
};

static const char *say_weight_value(uint64_t weight, char out[24])
{
	if (weight == 0)
		return "as found";
	snprintf(out, 24, "%" PRIu64, weight);
	return out;
}

static void say_weight(FILE *out, const struct pfuse_verdict *verdict)
{
	char a[24], b[24];

	fprintf(out, "weight  %s -> %s  ", say_weight_value(verdict->from, a),
		say_weight_value(verdict->to, b));
	if (verdict->to == 0)
		fputs("released", out);
	else if (verdict->reason == PFUSE_WHY_CHARACTER)
		fprintf(out,
			"%s: by its table%s (in short bursts %.1f %% of its time, voluntary %.1f "
			"%% of its switches, %u wake-ups per CPU second)",
			characters[verdict->is % PFUSE_CHARACTERS],
			verdict->clamped ? ", cut to what a weight can be" : "",
			verdict->short_permille / 10.0, verdict->voluntary_permille / 10.0,
			verdict->wakeups);
	else
		fputs(reasons[verdict->reason], out);
}

static void say_change(FILE *out, const struct say_decision *decision)
{
	switch (decision->verdict->control) {
	case PFUSE_CTL_RAM:
		say_ram(out, decision);
		break;
	case PFUSE_CTL_RECLAIM:
		say_reclaim(out, decision);
		break;
	case PFUSE_CTL_CPU:
		say_cpu(out, decision->verdict);
		break;
	case PFUSE_CTL_IO_READ:
	case PFUSE_CTL_IO_WRITE:
		say_io(out, decision->verdict);
		break;
	case PFUSE_CTL_NET:
		say_net(out, decision->verdict);
		break;
	case PFUSE_CTL_CPUS:
		say_cpus(out, decision);
		break;
	case PFUSE_CTL_WEIGHT:
		say_weight(out, decision->verdict);
		break;
	default:
		say_stop(out, decision);
		break;
	}
}

static void say_outcome(FILE *out, const struct say_decision *decision)
{
	char took[24];

	switch (decision->outcome) {
	case ORCHESTRATOR_APPLIED:
		if (decision->why[0] && decision->verdict->control != PFUSE_CTL_STOP)
			fprintf(out, ", %s", decision->why);
		else
			fprintf(out, ", done in %s", say_duration(decision->took_ns, took));
		break;
	case ORCHESTRATOR_DRY:
		fputs(", left out: dry run", out);
		break;
	case ORCHESTRATOR_FOREIGN:
		fputs(", left alone: somebody else changed it, and from now on it is theirs", out);
		break;
	case ORCHESTRATOR_REFUSED:
		fprintf(out, ", left alone: %s; said once",
			decision->why[0] ? decision->why : strerror(-decision->err));
		break;
	default:
		fprintf(out, ", failed (%s), going on", strerror(-decision->err));
		break;
	}
}

void say_decision(FILE *out, const struct say_decision *decision)
{
	if (!out)
		return;
	say_head(out, decision->name);
	say_change(out, decision);
	say_outcome(out, decision);
	fputc('\n', out);
	fflush(out);
}

void say_note(FILE *out, const char *name, const char *format, ...)
{
	va_list args;

	if (!out)
		return;
	say_head(out, name);
	va_start(args, format);
	vfprintf(out, format, args);
	va_end(args);
	fputc('\n', out);
	fflush(out);
}
