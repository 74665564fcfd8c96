/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The trace file: what is written comes back, whatever is done to the file. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "export/pftrace.h"
#include "export/pftrace_read.h"
#include "export/player.h"
#include "export/projection.h"
#include "made_run.h"

struct file {
	char path[80];
	uint8_t *bytes;
	size_t size;
};

static void new_file(struct file *file)
{
	*file = (struct file){ .path = "/tmp/pfuse-test-trace-XXXXXX" };
	int fd = mkstemp(file->path);

	cr_assert(fd >= 0);
	close(fd);
}

static struct pftrace *open_trace(const struct file *file)
{
	struct pftrace_options options = { .path = file->path };
	struct pftrace *trace;
	struct err err;

	cr_assert_eq(pftrace_open(&options, &trace, &err), 0, "%s", err.text);
	return trace;
}

static void load(struct file *file)
{
	_cleanup_close_ int fd = open(file->path, O_RDONLY);
	struct stat st;

	cr_assert_eq(fstat(fd, &st), 0);
	free(file->bytes);
	file->size = (size_t)st.st_size;
	file->bytes = malloc(file->size + 1);
	cr_assert_eq(read(fd, file->bytes, file->size), (ssize_t)file->size);
}

static void remove_file(struct file *file)
{
	char older[96];

	snprintf(older, sizeof(older), "%s.1", file->path);
	unlink(older);
	unlink(file->path);
	free(file->bytes);
}

static struct pftrace_reader *read_bytes(const void *bytes, size_t size)
{
	struct pftrace_reader *reader;

	cr_assert_eq(pftrace_reader_open_memory(bytes, size, &reader), 0);
	return reader;
}

#define S 1000000000ull

static struct pftrace_clocks some_moment;

/* The machine first: without it no slot is known. */
static struct pftrace *begin(const struct file *file)
{
	struct pftrace *trace = open_trace(file);
	struct pftrace_record machine = {
		.time_ns = 1,
		.kind = PFTRACE_MACHINE,
		.machine = { .version = "v", .kernel = "k", .page_bytes = 4096, .slots = 3 }
	};

	pftrace_record(trace, &machine);
	return trace;
}

/* Writes the record and reads it back. What is read points into *ret_reader. */
static struct pftrace_record round_trip(const struct pftrace_record *record,
					struct pftrace_reader **ret_reader)
{
	struct file file;
	struct pftrace_record back = { 0 };
	struct err err;

	new_file(&file);
	struct pftrace *trace = begin(&file);

	pftrace_record(trace, record);
	pftrace_close(trace);
	cr_assert_eq(pftrace_reader_open(file.path, ret_reader, &err), 0, "%s", err.text);
	cr_assert_eq(pftrace_reader_next(*ret_reader, &back), 1);
	cr_assert_eq(back.kind, PFTRACE_MACHINE);
	cr_assert_eq(pftrace_reader_next(*ret_reader, &back), 1, "%s",
		     pftrace_reader_result(*ret_reader).why);
	remove_file(&file);
	return back;
}

/* Both ends of each length of a varint. */
static const uint64_t edges[] = {
	0,
	1,
	127,
	128,
	16383,
	16384,
	(1ull << 21) - 1,
	1ull << 21,
	(1ull << 28) - 1,
	1ull << 28,
	UINT32_MAX,
	1ull << 32,
	(1ull << 35) - 1,
	1ull << 35,
	(1ull << 42) - 1,
	1ull << 42,
	(1ull << 49) - 1,
	1ull << 49,
	(1ull << 56) - 1,
	1ull << 56,
	(1ull << 63) - 1,
	1ull << 63,
	UINT64_MAX - 1,
	UINT64_MAX,
};

Test(pftrace, numbers_of_every_length_come_back)
{
	for (size_t i = 0; i < ARRAY_SIZE(edges); i++) {
		struct pftrace_reader *reader;
		struct pftrace_record record = { .time_ns = edges[i],
						 .kind = PFTRACE_SAMPLE,
						 .slot = 2,
						 .sample = { .ram_usage_bytes = edges[i],
							     .cpu_limit_ns = edges[i],
							     .nvcsw = (uint32_t)edges[i],
							     .reserved = (uint32_t)edges[i] } };
		struct pftrace_record back = round_trip(&record, &reader);

		cr_assert_eq(back.time_ns, edges[i]);
		cr_assert_eq(back.slot, 2);
		cr_assert_eq(memcmp(&back.sample, &record.sample, sizeof(record.sample)), 0, "%llu",
			     (unsigned long long)edges[i]);
		pftrace_reader_close(reader);
	}
}

static struct pfuse_verdict some_verdict(uint32_t control, double score)
{
	return (struct pfuse_verdict){ .time_ns = 5,
				       .slot = 1,
				       .control = control,
				       .from = 7,
				       .to = PFUSE_UNLIMITED,
				       .reason = PFUSE_REASONS - 1,
				       .clamped = 1,
				       .score = score,
				       .size = 8,
				       .usage = 9,
				       .usage_prev = 10,
				       .limit = 11,
				       .since_ns = 12,
				       .periods = 13,
				       .throttled = 14 };
}

Test(pftrace, verdicts_come_back_bit_for_bit)
{
	static const double scores[] = { 0.0, -0.0, 0.1, -2.0, 1e308, 5e-324 };

	for (unsigned count = 0; count <= PFUSE_CONTROLS; count++) {
		struct pftrace_reader *reader;
		struct pftrace_record record = { .kind = PFTRACE_TIMER, .slot = 1 };

		record.nverdicts = count;
		for (unsigned i = 0; i < count; i++)
			record.verdicts[i] = some_verdict(i, scores[i % ARRAY_SIZE(scores)]);
		struct pftrace_record back = round_trip(&record, &reader);

		cr_assert_eq(back.nverdicts, count);
		cr_assert_eq(
			memcmp(back.verdicts, record.verdicts, count * sizeof(record.verdicts[0])),
			0);
		pftrace_reader_close(reader);
	}
}

Test(pftrace, names_of_any_bytes_come_back)
{
	char path[4096];
	struct pftrace_reader *reader;
	struct pftrace_record record = {
		.kind = PFTRACE_ATTACH,
		.slot = 1,
		.group = { .id = UINT64_MAX, .name = "a\x01\xff\n\"</script>", .path = path }
	};

	memset(path, '\\', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	fcb_policy_defaults(&record.policy, 0);
	memset(record.policy.mode, FCB_ACT, sizeof(record.policy.mode));
	struct pftrace_record back = round_trip(&record, &reader);

	cr_assert_str_eq(back.group.name, record.group.name);
	cr_assert_str_eq(back.group.path, path);
	cr_assert_eq(back.group.id, UINT64_MAX);
	cr_assert_eq(memcmp(&back.policy, &record.policy, sizeof(record.policy)), 0);
	pftrace_reader_close(reader);
}

Test(pftrace, events_come_back)
{
	struct pftrace_reader *reader;
	struct pftrace_record record = { .kind = PFTRACE_EVENT, .slot = 2 };

	record.event = (struct pfuse_event){
		.time_ns = 3, .group_id = 4, .kind = PFUSE_EV_TALK, .slot = 2
	};
	record.event.talk.peer_port = 80;
	struct pftrace_record back = round_trip(&record, &reader);

	cr_assert_eq(memcmp(&back.event, &record.event, sizeof(record.event)), 0);
	pftrace_reader_close(reader);
	memset(record.event.bytes, 0xff, sizeof(record.event.bytes));
	back = round_trip(&record, &reader);
	cr_assert_eq(memcmp(&back.event, &record.event, sizeof(record.event)), 0);
	pftrace_reader_close(reader);
}

Test(pftrace, the_smaller_records_come_back)
{
	struct pftrace_reader *reader;
	struct pftrace_record lost = { .kind = PFTRACE_LOST, .lost = { 9, PFTRACE_LOSS_FILE } };
	struct pftrace_record request = { .kind = PFTRACE_REQUEST, .slot = 1, .stop = true };
	struct pftrace_record applied = { .kind = PFTRACE_APPLIED, .slot = 1 };
	struct pftrace_record need = { .kind = PFTRACE_NEED,
				       .slot = 1,
				       .need = { .knee_bytes = 1ull << 40,
						 .resolution_bytes = 4096,
						 .unseen_bytes = 12345,
						 .below_resolution = true,
						 .confident = true,
						 .pending = true } };
	struct pftrace_record share = { .kind = PFTRACE_SHARE, .slot = 1, .share_bytes = 0 };
	struct pftrace_record back;

	applied.applied =
		(struct pftrace_applied){ some_verdict(PFUSE_CTL_NET, -0.5), ORCHESTRATOR_DRY };
	back = round_trip(&lost, &reader);
	cr_assert(back.lost.events == 9 && back.lost.why == PFTRACE_LOSS_FILE);
	pftrace_reader_close(reader);
	back = round_trip(&request, &reader);
	cr_assert(back.kind == PFTRACE_REQUEST && back.stop);
	pftrace_reader_close(reader);
	back = round_trip(&applied, &reader);
	cr_assert_eq(memcmp(&back.applied, &applied.applied, sizeof(back.applied)), 0);
	pftrace_reader_close(reader);
	back = round_trip(&need, &reader);
	cr_assert_eq(memcmp(&back.need, &need.need, sizeof(back.need)), 0);
	pftrace_reader_close(reader);
	back = round_trip(&share, &reader);
	cr_assert(back.kind == PFTRACE_SHARE && back.share_bytes == 0);
	pftrace_reader_close(reader);
}

/* A made-up run in a file, read into memory. */
static uint64_t make_file(struct file *file, unsigned steps)
{
	struct made_run run;

	new_file(file);
	struct pftrace *trace = open_trace(file);

	made_run_begin(&run, 42, trace);
	made_run_go_on(&run, steps);
	pftrace_close(trace);
	load(file);
	if (steps > 1000) {
		cr_assert(run.cpus_verdicts > 50, "%llu", (unsigned long long)run.cpus_verdicts);
		cr_assert(run.reclaims > 10, "%llu", (unsigned long long)run.reclaims);
	}
	return run.verdicts;
}

/* Reads to the end, playing what comes. */
static struct pftrace_result read_all(const void *bytes, size_t size, uint64_t *ret_verdicts)
{
	struct pfuse_verdict verdicts[PFUSE_CONTROLS];
	struct pftrace_record record;
	struct player player;
	struct pftrace_reader *reader = read_bytes(bytes, size);
	uint64_t count = 0;
	int n = 0;

	player_init(&player);
	while (n >= 0 && pftrace_reader_next(reader, &record) > 0) {
		n = player_play(&player, &record, verdicts);
		count += n > 0 ? (uint64_t)n : 0;
	}
	struct pftrace_result result = pftrace_reader_result(reader);

	player_free(&player);
	pftrace_reader_close(reader);
	if (ret_verdicts)
		*ret_verdicts = count;
	return result;
}

Test(pftrace, cut_at_any_byte_it_is_read_up_to_the_last_whole_packet)
{
	uint64_t whole_bytes = 0, ends = 0;
	struct file file;

	make_file(&file, 40);
	for (size_t size = 0; size <= file.size; size++) {
		struct pftrace_result result = read_all(file.bytes, size, NULL);

		cr_assert(!result.damaged, "cut at %zu: %s", size, result.why);
		cr_assert(result.bytes <= size && result.bytes >= whole_bytes);
		cr_assert_eq(result.cut, result.bytes != size, "cut at %zu", size);
		ends += result.bytes != whole_bytes;
		whole_bytes = result.bytes;
	}
	cr_assert_eq(whole_bytes, file.size);
	cr_assert_eq(ends, read_all(file.bytes, file.size, NULL).packets);
	remove_file(&file);
}

static void mutate(uint8_t *bytes, size_t *size, struct random_state *random)
{
	unsigned changes = 1 + (unsigned)random_below(random, 4);

	for (unsigned i = 0; i<changes && * size> 16; i++) {
		size_t at = random_below(random, *size), n = 1 + random_below(random, 12);

		if (n > *size - at)
			n = *size - at;
		switch (random_below(random, 5)) {
		case 0:
			bytes[at] ^= (uint8_t)(1u << random_below(random, 8));
			break;
		case 1:
			bytes[at] = (uint8_t)random_u64(random);
			break;
		case 2:
			memset(bytes + at, 0xff, n);
			break;
		case 3:
			memmove(bytes + at, bytes + at + n, *size - at - n);
			*size -= n;
			break;
		default:
			memmove(bytes + at, bytes + random_below(random, *size - n), n);
			break;
		}
	}
}

/* Of this process: others on the machine do not count. */
static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* Neither a crash nor a hang; and those that are damaged are said to be. */
Test(pftrace, ten_thousand_mutated_files)
{
	struct random_state random = { 0x5eed };
	unsigned count = 0, damaged = 0;
	struct file file;

	make_file(&file, 30);
	uint8_t *bytes = malloc(file.size);

	for (; count < 10000; count++) {
		size_t size = file.size;

		uint64_t began_ns = cpu_ns();

		memcpy(bytes, file.bytes, size);
		mutate(bytes, &size, &random);
		damaged += read_all(bytes, size, NULL).damaged;
		cr_assert(cpu_ns() - began_ns < 2000000000ull, "file %u", count);
	}
	cr_assert(damaged > 100 && damaged < 10000, "%u damaged", damaged);
	free(bytes);
	remove_file(&file);
}

static void expect_damaged(const char *what, const void *bytes, size_t size)
{
	struct pftrace_result result = read_all(bytes, size, NULL);

	cr_assert(result.damaged, "%s", what);
	cr_assert_not_null(result.why);
	cr_assert_eq(result.packets, 0, "%s", what);
}

Test(pftrace, lengths_are_not_believed)
{
	static const uint8_t endless[] = { 0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static const uint8_t huge[] = { 0x0a, 0xff, 0xff, 0xff, 0x7f, 0x00 };
	static const uint8_t other[] = { 0x12, 0x00 };
	static const uint8_t longer_inside[] = { 0x0a, 0x03, 0x1a, 0x7f, 0x00 };
	static const uint8_t number_zero[] = { 0x0a, 0x02, 0x00, 0x00 };
	static const uint8_t a_group[] = { 0x0a, 0x02, 0x0b, 0x0c };
	static const uint8_t unknown_kind[] = { 0x0a, 0x05, 0x8a, 0x7d, 0x02, 0x08, 0x63 };
	static const uint8_t no_machine[] = { 0x0a, 0x05, 0x8a, 0x7d, 0x02, 0x08, 0x07 };

	expect_damaged("a length without an end", endless, sizeof(endless));
	expect_damaged("a length of gigabytes", huge, sizeof(huge));
	expect_damaged("another field than packet", other, sizeof(other));
	expect_damaged("a field longer than its packet", longer_inside, sizeof(longer_inside));
	expect_damaged("field number 0", number_zero, sizeof(number_zero));
	expect_damaged("a group, which proto3 has not", a_group, sizeof(a_group));
	expect_damaged("a kind that is unknown", unknown_kind, sizeof(unknown_kind));
	expect_damaged("a group before the machine", no_machine, sizeof(no_machine));
}

Test(pftrace, a_file_that_is_no_trace_is_refused_with_a_sentence)
{
	struct pftrace_reader *reader;
	struct file file;
	struct err err;

	new_file(&file);
	cr_assert_eq(pftrace_reader_open(file.path, &reader, &err), -EINVAL);
	cr_assert(strstr(err.text, "the file is empty"), "%s", err.text);
	cr_assert_eq(pftrace_reader_open("/proc/self/status", &reader, &err), -EINVAL);
	cr_assert(strstr(err.text, "this is no trace"), "%s", err.text);
	cr_assert_eq(pftrace_reader_open("/none/such", &reader, &err), -ENOENT);
	cr_assert(strstr(err.text, "/none/such: cannot read the trace"), "%s", err.text);
	remove_file(&file);
}

Test(pftrace, nothing_is_written_into_a_fifo)
{
	struct pftrace_options options = { .path = "/tmp/pfuse-test-fifo" };
	char path[64];
	struct pftrace *trace;
	struct err err;

	snprintf(path, sizeof(path), "/tmp/pfuse-test-fifo-%d", getpid());
	options.path = path;
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_assert(pftrace_open(&options, &trace, &err) < 0, "and it did not wait for a reader");
	cr_assert(strstr(err.text, "regular file"), "%s", err.text);
	int fd = open(path, O_RDONLY | O_NONBLOCK);

	cr_assert_eq(pftrace_open(&options, &trace, &err), -EINVAL);
	cr_assert(strstr(err.text, "regular file"), "%s", err.text);
	close(fd);
	unlink(path);
}

Test(pftrace, a_full_disk_ends_the_trace_and_is_counted)
{
	struct pftrace_options options = { .path = "/dev/full" };
	struct pftrace_record record = { .kind = PFTRACE_TIMER, .slot = 1 };
	struct pftrace *trace;
	struct err err;

	cr_assert_eq(pftrace_open(&options, &trace, &err), 0, "%s", err.text);
	cr_assert_eq(pftrace_error(trace), 0);
	for (unsigned i = 0; i < 9; i++)
		pftrace_record(trace, &record);
	pftrace_flush(trace);
	cr_assert_eq(pftrace_error(trace), -ENOSPC);
	cr_assert_eq(pftrace_lost(trace), 10, "the clocks as well");
	pftrace_record(trace, &record);
	pftrace_flush(trace);
	cr_assert_eq(pftrace_lost(trace), 11);
	cr_assert_eq(pftrace_packets(trace), 0);
	cr_assert_eq(pftrace_bytes(trace), 0);
	pftrace_close(trace);
}

/* Replays what the file holds, and compares with what it says. */
static void expect_replay(const struct file *file, uint64_t verdicts)
{
	struct pfuse_verdict answers[PFUSE_CONTROLS];
	struct pftrace_reader *reader = read_bytes(file->bytes, file->size);
	struct pftrace_record record;
	struct player player;
	uint64_t count = 0;

	player_init(&player);
	while (pftrace_reader_next(reader, &record) > 0) {
		int n = player_play(&player, &record, answers);

		cr_assert_eq(n, (int)record.nverdicts, "record %llu",
			     (unsigned long long)pftrace_reader_result(reader).records);
		if (n)
			cr_assert_eq(memcmp(answers, record.verdicts, (size_t)n * sizeof(*answers)),
				     0);
		count += (uint64_t)n;
	}
	cr_assert(!pftrace_reader_result(reader).damaged);
	if (verdicts)
		cr_assert_eq(count, verdicts);
	cr_assert(count > 0);
	player_free(&player);
	pftrace_reader_close(reader);
}

Test(pftrace, a_replay_gives_the_same_verdicts)
{
	struct file file;
	uint64_t verdicts = make_file(&file, 5000);

	cr_assert(verdicts > 200, "%llu", (unsigned long long)verdicts);
	expect_replay(&file, verdicts);
	remove_file(&file);
}

Test(pftrace, what_was_written_by_another_build_of_the_core_is_told)
{
	struct pfuse_verdict answers[PFUSE_CONTROLS];
	struct pftrace_record machine = { .kind = PFTRACE_MACHINE,
					  .machine = { .page_bytes = 4096, .slots = 2 } };
	struct pftrace_record state = { .kind = PFTRACE_STATE, .slot = 1 };
	static const struct fcb fcb = { .group_id = 1, .slot = 1 };
	struct player player;

	player_init(&player);
	cr_assert_eq(player_play(&player, &state, answers), -EPROTO, "before the machine");
	cr_assert_eq(player_play(&player, &machine, answers), 0);
	state.state = (struct pftrace_state){ player_layout() + 1, &fcb, sizeof(fcb) };
	cr_assert_eq(player_play(&player, &state, answers), -ENOTSUP);
	state.state = (struct pftrace_state){ player_layout(), &fcb, sizeof(fcb) - 1 };
	cr_assert_eq(player_play(&player, &state, answers), -ENOTSUP);
	state.state = (struct pftrace_state){ player_layout(), &fcb, sizeof(fcb) };
	cr_assert_eq(player_play(&player, &state, answers), 0);
	cr_assert_not_null(player_fcb(&player, 1));
	player_free(&player);
}

static void some_clocks(struct pftrace_clocks *ret)
{
	*ret = some_moment;
}

/* What is shown of a time is what the clocks said then: a reader is told as soon as one has moved. */
Test(pftrace, a_suspend_and_a_clock_that_is_set_are_told_at_once)
{
	static const struct {
		const char *what;
		struct pftrace_clocks by;
		unsigned snapshots;
		int64_t moved_ns;
	} rows[] = {
		{ "nothing happens", { 0, 0, 0 }, 1, 0 },
		{ "time goes by", { 5 * S, 5 * S, 5 * S }, 1, 0 },
		{ "drift", { 5 * S, 5 * S, 5 * S + 4000000 }, 1, 0 },
		{ "suspended for an hour", { 0, 3600 * S, 3600 * S }, 2, 3600 * (int64_t)S },
		{ "set ahead", { 0, 0, 60 * S }, 2, 60 * (int64_t)S },
		{ "set back", { 5 * S, 5 * S, -55 * S }, 2, -60 * (int64_t)S },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pftrace_sched event = { .time_ns = 1001 * S, .pid = 1, .next = 2 };
		struct file file;
		struct pftrace_options options = { .path = file.path, .clocks = some_clocks };
		struct pftrace_result result;
		struct pftrace *trace;
		struct err err;

		new_file(&file);
		some_moment = (struct pftrace_clocks){ 1000 * S, 1000 * S, 1700000000 * S };
		cr_assert_eq(pftrace_open(&options, &trace, &err), 0, "%s", err.text);
		some_moment.monotonic_ns += rows[i].by.monotonic_ns;
		some_moment.boottime_ns += rows[i].by.boottime_ns;
		some_moment.realtime_ns += rows[i].by.realtime_ns;
		uint64_t before = pftrace_packets(trace);

		pftrace_sched(trace, 0, &event, 1, false);
		cr_assert_eq(pftrace_packets(trace) - before, rows[i].snapshots, "%s",
			     rows[i].what);
		pftrace_flush(trace);
		pftrace_flush(trace);
		cr_assert_eq(pftrace_packets(trace) - before, rows[i].snapshots, "%s: once",
			     rows[i].what);
		pftrace_close(trace);
		load(&file);
		result = read_all(file.bytes, file.size, NULL);
		/* The drift is no news, but where it is looked at again it is what it is. */
		cr_assert_eq(result.wall_moved_ns, rows[i].moved_ns, "%s: %lld", rows[i].what,
			     (long long)result.wall_moved_ns);
		remove_file(&file);
	}
}

static void count_reclaims(void *arg, const struct pfuse_verdict *verdict)
{
	*(unsigned *)arg += verdict->control == PFUSE_CTL_RECLAIM;
}

/* What would have been: `adaptive` as recorded, or not. */
static unsigned reclaims_projected(const struct file *file, bool fusebox)
{
	struct pftrace_reader *reader = read_bytes(file->bytes, file->size);
	struct pftrace_record record;
	struct projection projection;
	unsigned reclaims = 0;

	projection_init(&projection, NULL, count_reclaims, &reclaims);
	projection.fusebox = fusebox;
	while (pftrace_reader_next(reader, &record) > 0)
		cr_assert_eq(projection_play(&projection, &record), 0);
	projection_free(&projection);
	pftrace_reader_close(reader);
	return reclaims;
}

/* Each file of a rotation replays alone, and the older one has not lost its end. */
Test(pftrace, at_its_limit_a_file_is_begun_anew_and_replays_alone)
{
	struct made_run run;
	struct file file, older = { 0 };
	struct pftrace_options options = { .size_limit = 20000,
					   .again = made_run_again,
					   .arg = &run };
	struct pftrace *trace;
	struct err err;

	new_file(&file);
	options.path = file.path;
	cr_assert_eq(pftrace_open(&options, &trace, &err), 0, "%s", err.text);
	made_run_begin(&run, 7, trace);
	made_run_go_on(&run, 3000);
	cr_assert(pftrace_bytes(trace) > 3 * options.size_limit);
	pftrace_close(trace);
	load(&file);
	strcpy(older.path, file.path);
	strcat(older.path, ".1");
	load(&older);
	cr_assert(older.size >= options.size_limit && older.size < options.size_limit + 2000);
	cr_assert(file.size <= older.size);
	expect_replay(&older, 0);
	expect_replay(&file, 0);
	cr_assert(reclaims_projected(&older, false) > 0);
	cr_assert_eq(reclaims_projected(&older, true), 0);
	remove_file(&older);
	remove_file(&file);
}

Test(pftrace, the_flight_recorder_keeps_the_last_moments)
{
	struct made_run run;
	struct file file;
	struct pftrace_options options = { .flight_ns = 60000000000ull,
					   .memory_bytes = 256 << 10,
					   .again = made_run_again,
					   .arg = &run };
	struct pftrace_record record, first = { 0 };
	struct pftrace_reader *reader;
	struct pftrace *trace;
	struct stat st;
	struct err err;

	new_file(&file);
	options.path = file.path;
	cr_assert_eq(pftrace_open(&options, &trace, &err), 0, "%s", err.text);
	made_run_begin(&run, 9, trace);
	made_run_go_on(&run, 4000);
	cr_assert_eq(stat(file.path, &st), 0);
	cr_assert_eq(st.st_size, 0, "nothing is written before it is asked for");
	cr_assert_eq(pftrace_dump(trace, &err), 0, "%s", err.text);
	cr_assert_eq(pftrace_lost(trace), 0);
	pftrace_close(trace);
	load(&file);
	expect_replay(&file, 0);
	reader = read_bytes(file.bytes, file.size);
	while (pftrace_reader_next(reader, &record) > 0)
		if (!first.time_ns)
			first = record;
	cr_assert_eq(first.kind, PFTRACE_MACHINE);
	cr_assert(first.machine.continues);
	cr_assert(run.now_ns - first.time_ns >= 60000000000ull, "at least what was asked for");
	cr_assert(run.now_ns - first.time_ns <= 130000000000ull, "and not much more than twice");
	pftrace_reader_close(reader);
	remove_file(&file);
}

/* More in one turn than the memory holds: what is missing is counted, and told in the next segment. */
Test(pftrace, the_flight_recorder_tells_what_found_no_room)
{
	struct made_run run;
	struct file file;
	struct pftrace_options options = { .flight_ns = 60000000000ull,
					   .memory_bytes = 64 << 10,
					   .again = made_run_again,
					   .arg = &run };
	struct pftrace_record record = { .kind = PFTRACE_TIMER, .slot = 1 };
	struct pftrace_reader *reader;
	struct pftrace *trace;
	uint64_t lost, told = 0;
	struct err err;

	new_file(&file);
	options.path = file.path;
	cr_assert_eq(pftrace_open(&options, &trace, &err), 0, "%s", err.text);
	made_run_begin(&run, 11, trace);
	record.time_ns = run.now_ns;
	while (!pftrace_lost(trace))
		pftrace_record(trace, &record);
	for (unsigned i = 0; i < 6; i++)
		pftrace_record(trace, &record);
	lost = pftrace_lost(trace);
	cr_assert_eq(lost, 7);
	pftrace_flush(trace);
	made_run_go_on(&run, 10);
	cr_assert_eq(pftrace_lost(trace), lost, "there is room again");
	cr_assert_eq(pftrace_dump(trace, &err), 0, "%s", err.text);
	pftrace_close(trace);
	load(&file);
	reader = read_bytes(file.bytes, file.size);
	while (pftrace_reader_next(reader, &record) > 0)
		if (record.kind == PFTRACE_LOST)
			told += record.lost.events;
	cr_assert(!pftrace_reader_result(reader).damaged);
	cr_assert_eq(told, lost);
	pftrace_reader_close(reader);
	remove_file(&file);
}
