/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/pagescan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "edge/pagescan_inside.h"
#include "edge/procs.h"

#define ADVICE_MAX 512	   /* ranges of one call; the kernel takes 1024 */
#define COUNT_EVERY 32	   /* turns after which all pages are counted again */
#define WHOLE_PERMILLE 125 /* unclearable, from which on whole processes are cleared */
#define WHOLE_TURNS 1024   /* for so many, then MADV_COLD is tried again: places are lost by that */
#define TREE_EVERY 8	   /* turns: descendants are found among all processes, which is dear */
#define GAP_PAGES 16
#define HUGE_BYTES (UINT64_C(2) << 20)

/* One process. */
struct space {
	pid_t pid;
	int pidfd;
	uint16_t number; /* of its chunks, never 0 */
	bool fresh;	 /* joined since the last turn */
	bool listed;
};

struct pagescan {
	const struct probe_pages *pages;
	struct pagescan_target target;
	struct space *spaces; /* by pid, ascending */
	uint32_t count;
	uint16_t last_number;
	struct keep keep;
	uint32_t turns;
	uint32_t whole_until; /* turn; 0: by MADV_COLD */
	/* All pages, and those of them in the sample, at the last count */
	uint64_t all_entries[2]; /* by is_object() */
	uint64_t sampled_entries[2];
	uint32_t counted_turn;
	struct reader reader;
	struct iovec ranges[ADVICE_MAX];
};

_Static_assert(sizeof(struct pagescan) + KEEP_BYTES <= PAGESCAN_BYTES_MAX,
	       "one per group that is measured");

static uint64_t both(const uint64_t pages[2])
{
	return pages[0] + pages[1];
}

int pagescan_open(const struct probe *probe, const struct pagescan_target *target,
		  struct pagescan **ret, struct err *err)
{
	const struct probe_pages *pages = probe_pages(probe);

	if (!pages)
		return err_set(err, -EOPNOTSUPP,
			       "page tables cannot be read: this kernel refuses iter/task or "
			       "iter/task_vma; see `pfuse-bpf doctor`");
	int r = reader_prepare(pages, err);

	if (r < 0)
		return r;
	struct pagescan *scan = calloc(1, sizeof(*scan));

	if (!scan)
		return err_set(err, -ENOMEM, "out of memory");
	scan->pages = pages;
	scan->target = *target;
	*ret = scan;
	return 0;
}

static void forget_space(struct pagescan *scan, uint32_t i)
{
	close_fd(&scan->spaces[i].pidfd);
	memmove(&scan->spaces[i], &scan->spaces[i + 1],
		(--scan->count - i) * sizeof(*scan->spaces));
}

void pagescan_close(struct pagescan *scan)
{
	if (!scan)
		return;
	while (scan->count)
		forget_space(scan, scan->count - 1);
	free(scan->spaces);
	keep_close(&scan->keep);
	free(scan);
}

/* Who is there */

static bool is_alive(const struct space *space)
{
	return syscall(SYS_pidfd_send_signal, space->pidfd, 0, NULL, 0) == 0 || errno != ESRCH;
}

static int list_processes(const struct pagescan *scan, struct procs_list *ret)
{
	const struct pagescan_target *target = &scan->target;

	return target->group_fd >= 0 ? procs_of_group(target->group_fd, true, ret)
				     : procs_tree(target->proc_fd, target->pid, ret);
}

static int open_space(const struct pagescan *scan, pid_t pid, struct space *ret)
{
	struct procs_stat stat;
	int pidfd = -1, r = procs_read_stat(scan->target.proc_fd, pid, &stat);

	if (r == 0 && (procs_is_dead(&stat) || procs_is_kernel_thread(&stat)))
		return -ESRCH;
	if (r == 0)
		r = procs_open_pidfd(scan->target.proc_fd, pid, stat.starttime, &pidfd);
	if (r < 0)
		return r;
	*ret = (struct space){ .pid = pid, .pidfd = pidfd, .fresh = true, .listed = true };
	return 0;
}

static struct space *find_space(const struct pagescan *scan, pid_t pid)
{
	for (uint32_t i = 0; i < scan->count; i++)
		if (scan->spaces[i].pid == pid)
			return &scan->spaces[i];
	return NULL;
}

static int add_space(struct pagescan *scan, pid_t pid)
{
	struct space *spaces, space;
	int r = open_space(scan, pid, &space);

	if (r < 0)
		return r == -ESRCH || r == -ENOENT ? 0 : r;
	spaces = reallocarray(scan->spaces, scan->count + 1, sizeof(*spaces));
	if (!spaces) {
		close(space.pidfd);
		return -ENOMEM;
	}
	scan->spaces = spaces;
	space.number = ++scan->last_number ? scan->last_number : ++scan->last_number;
	spaces[scan->count++] = space;
	return 0;
}

static void drop_dead(struct pagescan *scan)
{
	for (uint32_t i = scan->count; i > 0; i--)
		if (!is_alive(&scan->spaces[i - 1]))
			forget_space(scan, i - 1);
}

static int sync_spaces(struct pagescan *scan)
{
	_cleanup_(procs_list_free) struct procs_list list = { 0 };

	if (scan->target.group_fd < 0 && scan->turns % TREE_EVERY && scan->count) {
		drop_dead(scan);
		return 0;
	}
	int r = list_processes(scan, &list);

	for (uint32_t i = 0; i < scan->count; i++)
		scan->spaces[i].listed =
			procs_list_has(&list, scan->spaces[i].pid) && is_alive(&scan->spaces[i]);
	for (uint32_t i = scan->count; i > 0; i--)
		if (!scan->spaces[i - 1].listed)
			forget_space(scan, i - 1);
	for (uint32_t i = 0; r == 0 && i < list.count; i++)
		if (!find_space(scan, list.pids[i]))
			r = add_space(scan, list.pids[i]);
	return r;
}

void pagescan_note_mappings(struct pagescan *scan, pagescan_note *note, void *context)
{
	scan->reader.note = note;
	scan->reader.note_context = context;
}

int pagescan_pids(const struct pagescan *scan, pid_t **ret_pids, uint32_t *ret_count)
{
	_cleanup_(procs_list_free) struct procs_list list = { 0 };
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < scan->count; i++)
		r = procs_list_add(&list, scan->spaces[i].pid);
	if (r < 0)
		return r;
	procs_list_sort(&list);
	*ret_count = list.count;
	*ret_pids = list.pids;
	list = (struct procs_list){ 0 };
	return 0;
}

/* All pages, so that the share of the sample is known and not assumed */

struct counting {
	uint64_t entries[2];
};

static int count_slice(struct reader *reader, void *what)
{
	struct counting *counting = what;
	const struct probe_pages *pages = reader->pages;

	for (uint32_t i = 0; i < pages->walk->records; i++)
		counting->entries[is_object(&reader->sources[pages->records[i].range])] +=
			keep_count(&pages->records[i]);
	return 0;
}

static void aim(struct pagescan *scan, const struct space *space)
{
	scan->reader.pages = scan->pages;
	scan->reader.pid = space->pid;
	scan->reader.pidfd = space->pidfd;
}

static void count_all(struct pagescan *scan)
{
	const struct reader_losses losses = scan->reader.losses;
	const struct source source = { 0 };
	struct counting counting = { 0 };

	for (uint32_t i = 0; i < scan->count; i++) {
		aim(scan, &scan->spaces[i]);
		reader_walk(&scan->reader, &source, 0, count_slice, &counting);
	}
	scan->reader.losses = losses; /* they are of the sample */
	memcpy(scan->all_entries, counting.entries, sizeof(counting.entries));
}

/* Reading and clearing */

struct turn {
	struct pagescan *scan;
	bool whole;
	bool refused;
	size_t count; /* of scan->ranges */
};

static int clear_now(struct turn *turn)
{
	int r = turn->count
			? clear_ranges(turn->scan->reader.pidfd, turn->scan->ranges, turn->count)
			: 0;

	turn->count = 0;
	return r;
}

static int want_range(struct turn *turn, uint64_t from, uint64_t to)
{
	struct iovec *last = turn->count ? &turn->scan->ranges[turn->count - 1] : NULL;

	if (last && (uintptr_t)last->iov_base + last->iov_len >= from &&
	    (uintptr_t)last->iov_base <= from) {
		if (to > (uintptr_t)last->iov_base + last->iov_len)
			last->iov_len = to - (uintptr_t)last->iov_base;
		return 0;
	}
	if (turn->count == ADVICE_MAX) {
		int r = clear_now(turn);

		if (r < 0)
			return r;
	}
	turn->scan->ranges[turn->count++] = (struct iovec){ (void *)(uintptr_t)from, to - from };
	return 0;
}

/*
 * The kernel looks at all pages of a range, which is most of what a turn costs; but a range more costs as
 * much as GAP_PAGES of these.
 */
static int want_clear(struct turn *turn, const struct pfuse_page_record *record, uint64_t set)
{
	uint64_t address = reader_address(&turn->scan->reader, record);
	int r = 0;

	/* Less than the whole would split it. */
	if (record->huge) {
		address &= ~(HUGE_BYTES - 1);
		return want_range(turn, address, address + HUGE_BYTES);
	}
	while (r == 0 && set) {
		unsigned int first = (unsigned int)__builtin_ctzll(set), end = first;

		for (unsigned int next = first; next < end + GAP_PAGES && next < 64; next++)
			if (set >> next & 1)
				end = next + 1;
		set &= end < 64 ? ~0ull << end : 0;
		r = want_range(turn, address + first * UINT64_C(4096),
			       address + end * UINT64_C(4096));
	}
	return r;
}

/*
 * May the bits stay set? Where others could have the page, too; and new pages are passed over until the
 * kernel has put them on its lists, some dozens at a time. Elsewhere it is not asked: of private memory
 * those that are set again so soon are the hot ones.
 */
static bool is_doubtful(const struct pagescan *scan, const struct source *source)
{
	return source->object || source->locked || scan->keep.frames || scan->keep.arriving ||
	       source->arriving;
}

static int look_again(struct turn *turn)
{
	struct reader *reader = &turn->scan->reader;
	const struct probe_pages *pages = reader->pages;
	int r = reader_repeat(reader);

	for (uint32_t i = 0; r == 0 && i < pages->walk->records; i++) {
		const struct pfuse_page_record *record = &pages->records[i];
		const struct source *source = &reader->sources[record->range];

		if (is_doubtful(turn->scan, source))
			keep_again(&turn->scan->keep, source, record);
	}
	return r;
}

static int take_slice(struct reader *reader, void *what)
{
	struct turn *turn = what;
	struct pagescan *scan = turn->scan;
	const struct probe_pages *pages = reader->pages;
	bool doubtful = false;
	int r = 0;

	turn->count = 0;
	for (uint32_t i = 0; r == 0 && i < pages->walk->records; i++) {
		const struct pfuse_page_record *record = &pages->records[i];
		const struct source *source = &reader->sources[record->range];

		uint64_t set = keep_record(&scan->keep, source, record);

		if (!set || turn->whole)
			continue;
		doubtful |= is_doubtful(scan, source);
		if (!source->locked)
			r = want_clear(turn, record, set);
	}
	if (r == 0 && !turn->whole)
		r = clear_now(turn);
	return r == 0 && doubtful ? look_again(turn) : r;
}

/* A process that ends meanwhile is none of ours any more. */
static int take_space(struct turn *turn, struct space *space)
{
	struct pagescan *scan = turn->scan;
	const struct source source = { .space = space->number, .arriving = space->fresh };

	aim(scan, space);
	int r = reader_walk(&scan->reader, &source, scan->keep.level, take_slice, turn);

	if (r == 0 && turn->whole)
		r = clear_whole(scan->target.proc_fd, space->pid);
	if (r == 0)
		space->fresh = false;
	return r;
}

/* Rates */

static uint32_t level_of(uint32_t rate)
{
	uint32_t level = 0;

	while (level < PFUSE_PAGES_LEVELS && (UINT32_C(2) << level) <= rate)
		level++;
	return level;
}

/* As it was wished, but so that the sample fits. */
static void choose_level(struct pagescan *scan, uint32_t rate)
{
	struct keep *keep = &scan->keep;
	uint32_t level = level_of(rate), room = keep->room / 4 * 3;
	uint64_t all = scan->turns ? (uint64_t)keep->live << keep->level
				   : both(scan->all_entries) / PFUSE_PAGES_CHUNK;

	while (level < PFUSE_PAGES_LEVELS && all >> level > room &&
	       (!scan->turns || level < keep->level))
		level++;
	if (keep->full && level <= keep->level && keep->level < PFUSE_PAGES_LEVELS)
		level = keep->level + 1;
	keep->arriving = !scan->turns || level < keep->level;
	if (level != keep->level)
		scan->counted_turn = 0;
	keep->level = level;
}

/* A walk over everything is dear, so it is made seldom: at a change of the rate, the size, and at times. */
static void count_if_due(struct pagescan *scan)
{
	const uint64_t *entries = scan->keep.entries, *before = scan->sampled_entries;
	uint64_t now = both(entries), then = both(before);
	uint64_t change = now > then ? now - then : then - now;

	if (!scan->keep.level) {
		memcpy(scan->all_entries, entries, sizeof(scan->all_entries));
	} else if (!scan->counted_turn || change > then / 16 ||
		   scan->turns - scan->counted_turn >= COUNT_EVERY) {
		count_all(scan);
		scan->counted_turn = scan->turns;
	} else {
		return;
	}
	memcpy(scan->sampled_entries, entries, sizeof(scan->sampled_entries));
}

static uint64_t scaled(const struct pagescan *scan, const uint64_t pages[2])
{
	double sum = 0;

	for (int i = 0; i < 2; i++)
		sum += scan->sampled_entries[i] ? (double)pages[i] * (double)scan->all_entries[i] /
							  (double)scan->sampled_entries[i]
						: (double)pages[i];
	return (uint64_t)(sum + 0.5);
}

static void fill(const struct pagescan *scan, const struct keep_totals *totals,
		 struct pagescan_result *ret)
{
	ret->pages = scaled(scan, totals->present) + scaled(scan, totals->out);
	ret->swapped_pages = scaled(scan, totals->out);
	ret->unclearable_pages = scaled(scan, totals->stuck);
	ret->sampled_pages = both(totals->present) + both(totals->out);
	ret->hugetlb_bytes = scan->reader.losses.hugetlb_bytes;
	ret->giant_bytes = scan->reader.losses.giant_bytes;
	ret->torn += scan->reader.losses.torn;
	ret->rate = UINT32_C(1) << scan->keep.level;
	ret->processes = scan->count;
	ret->state_bytes = sizeof(*scan) - sizeof(scan->keep) + keep_bytes(&scan->keep) +
			   scan->count * sizeof(*scan->spaces);
}

/* What only clear_refs clears: for a while, then we look whether it is still so. */
static void choose_clearing(struct pagescan *scan, const struct keep_totals *totals)
{
	if (scan->whole_until && scan->turns >= scan->whole_until) {
		scan->whole_until = 0;
	} else if (!scan->whole_until &&
		   both(totals->stuck) * 1000 > both(totals->present) * WHOLE_PERMILLE) {
		scan->whole_until = scan->turns + WHOLE_TURNS;
		keep_unstick(&scan->keep);
	}
}

static int refused(const struct pagescan *scan, int code, struct err *err)
{
	if (code == -ENOSYS)
		return err_set(err, -EOPNOTSUPP, "this kernel has no process_madvise(2)");
	if (code == -EPERM || code == -EACCES)
		return err_set(err, -EPERM,
			       "accessed bits may not be cleared: process_madvise(2) of process %d "
			       "is refused (CAP_SYS_PTRACE and CAP_SYS_NICE are needed)",
			       scan->count ? (int)scan->spaces[0].pid : 0);
	return err_set(err, code, "page tables cannot be read: %s", strerror(-code));
}

/* One that fails is left out; all that fail are a failure. */
static int take_all(struct pagescan *scan, struct pagescan_result *ret, struct err *err)
{
	struct turn turn = { .scan = scan, .whole = scan->whole_until };
	uint32_t taken = 0;
	int first = 0;

	for (uint32_t i = 0; i < scan->count; i++) {
		int r = take_space(&turn, &scan->spaces[i]);

		taken += r == 0;
		if (r == -ESRCH)
			ret->torn++;
		else if (r < 0)
			ret->refused++;
		if (r < 0 && r != -ESRCH && !first)
			first = r;
	}
	ret->whole = turn.whole;
	return !taken && first ? refused(scan, first, err) : 0;
}

static int prepare(struct pagescan *scan, const struct pagescan_turn *turn, struct err *err)
{
	int r = sync_spaces(scan);

	if (r == -ENODEV || r == -ENOENT || r == -ESRCH || (r == 0 && !scan->count))
		return err_set(err, -ESRCH, "no process is there");
	if (r == 0 && !scan->keep.chunks)
		r = keep_open(&scan->keep, scan->count);
	if (r == 0 && scan->count > 1)
		r = keep_share(&scan->keep);
	if (r < 0)
		return err_set(err, r, "the processes cannot be listed: %s", strerror(-r));
	if (!scan->turns)
		count_all(scan);
	choose_level(scan, turn->rate);
	return 0;
}

int pagescan_epoch(struct pagescan *scan, const struct pagescan_turn *turn,
		   struct pagescan_result *ret, struct err *err)
{
	uint64_t began_ns = clock_thread_ns();
	struct keep_totals totals;

	memset(ret, 0, sizeof(*ret));
	int r = prepare(scan, turn, err);

	if (r < 0)
		return r;
	scan->reader.losses = (struct reader_losses){ 0 };
	keep_begin(&scan->keep, turn, &ret->counts);
	r = take_all(scan, ret, err);
	keep_end(&scan->keep, &totals);
	if (r < 0)
		return r;
	scan->turns++;
	count_if_due(scan);
	fill(scan, &totals, ret);
	choose_clearing(scan, &totals);
	ret->spent_ns = clock_thread_ns() - began_ns;
	return 0;
}
