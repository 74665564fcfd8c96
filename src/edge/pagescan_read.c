/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Page tables of one process, through the programs of bpf/pages.bpf.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <bpf/bpf.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "edge/pagescan_inside.h"

#define PAGE_BYTES 4096
#define HUGE_BYTES (UINT64_C(2) << 20)
#define MAPPINGS_PER_READ 64

/* The kernel's flags of a mapping, linux/mm.h. */
#define VM_WRITE 0x2
#define VM_SHARED 0x8
#define VM_PFNMAP 0x400
#define VM_LOCKED 0x2000
#define VM_IO 0x4000
#define VM_HUGETLB 0x400000

#define FRAME_BITS 55 /* of an entry in /proc/PID/pagemap */

static int link_to(int program, pid_t pid, int *ret_link)
{
	union bpf_iter_link_info which = { .task = { .tid = (uint32_t)pid } };
	LIBBPF_OPTS(bpf_link_create_opts, opts);

	opts.iter_info = &which;
	opts.iter_info_len = sizeof(which);
	int link = bpf_link_create(program, 0, BPF_TRACE_ITER, &opts);

	if (link < 0)
		return link;
	*ret_link = link;
	return 0;
}

static int run(int link)
{
	char nothing[16];
	_cleanup_close_ int fd = bpf_iter_create(link);

	if (fd < 0)
		return fd;
	return read(fd, nothing, sizeof(nothing)) < 0 ? -errno : 0;
}

#if defined(__x86_64__)

/* Where memory can be encrypted, one bit of an address says so: it is no part of the address. */
static uint64_t address_mask(void)
{
	uint64_t mask = 0x000ffffffffff000ull;
	unsigned int a, b, c, d;

	if (__get_cpuid_count(0x8000001f, 0, &a, &b, &c, &d) && a & 3)
		mask &= ~(1ull << (b & 63));
	return mask;
}

static int own_frame(const void *page, uint64_t *ret_frame)
{
	_cleanup_close_ int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	off_t at = (off_t)((uintptr_t)page / PAGE_BYTES * sizeof(uint64_t));
	uint64_t entry;
	int r = fd < 0 ? -errno : fd_pread_all(fd, &entry, sizeof(entry), at);

	if (r < 0)
		return r;
	*ret_frame = entry & ((1ull << FRAME_BITS) - 1);
	return *ret_frame ? 0 : -EPERM;
}

static int find_with(const struct probe_pages *pages, uint64_t *page)
{
	struct pfuse_pages_walk *walk = pages->walk;
	_cleanup_close_ int link = -1;
	uint64_t frame = 0;
	int r = own_frame(page, &frame);

	if (r < 0)
		return r;
	walk->own_frame = frame;
	/* No two pages hold the same. */
	*page = clock_now_ns() * 0x9e3779b97f4a7c15ull ^ (uintptr_t)page;
	walk->own_content = *page;
	walk->own_address = (uintptr_t)page;
	walk->mask = address_mask();
	r = link_to(pages->find_program, getpid(), &link);
	if (r == 0)
		r = run(link);
	return r < 0 ? r : walk->base ? 0 : -ENOTSUP;
}

int reader_prepare(const struct probe_pages *pages, struct err *err)
{
	if (pages->walk->base)
		return 0;
	uint64_t *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_LOCKED, -1, 0);
	int r = page == MAP_FAILED ? -errno : find_with(pages, page);

	if (page != MAP_FAILED)
		munmap(page, PAGE_BYTES);
	if (r == 0)
		return 0;
	return err_set(err, r == -EPERM ? r : -EOPNOTSUPP, "page tables cannot be read: %s",
		       r == -EPERM ? "the numbers of page frames are kept from us (CAP_SYS_ADMIN "
				     "is needed)"
		       : r == -ENOTSUP ? "BPF may not read kernel memory here (lockdown?), or the "
					 "kernel maps memory in a way that is not known"
				       : strerror(-r));
}

#else

int reader_prepare(const struct probe_pages *pages, struct err *err)
{
	return err_set(err, -EOPNOTSUPP,
		       "page tables cannot be read: only those of x86-64 are known");
}

#endif

static int run_slice(struct reader *reader)
{
	struct pfuse_pages_walk *walk = reader->pages->walk;

	walk->records = 0;
	walk->done = 0;
	walk->gone = 1; /* stays so if there is no such task */
	walk->torn = 0;
	walk->giant_bytes = 0;
	int r = run(reader->link);

	if (r < 0)
		return r;
	if (walk->gone)
		return -ESRCH;
	/* The pid was not somebody else's meanwhile. */
	return syscall(SYS_pidfd_send_signal, reader->pidfd, 0, NULL, 0) < 0 && errno == ESRCH
		       ? -ESRCH
		       : 0;
}

int reader_repeat(struct reader *reader)
{
	struct pfuse_pages_walk *walk = reader->pages->walk, kept = *walk;

	walk->range = reader->from_range;
	walk->page = reader->from_page;
	int r = run_slice(reader);

	walk->range = kept.range;
	walk->page = kept.page;
	walk->done = kept.done;
	return r;
}

static int walk_ranges(struct reader *reader, uint32_t count, reader_slice *slice, void *what)
{
	struct pfuse_pages_walk *walk = reader->pages->walk;
	int r = 0;

	walk->ranges = count;
	walk->range = 0;
	walk->page = 0;
	for (bool done = false; r == 0 && !done;) {
		reader->from_range = walk->range;
		reader->from_page = walk->page;
		r = run_slice(reader);
		done = walk->done;
		reader->losses.torn += walk->torn;
		reader->losses.giant_bytes += walk->giant_bytes;
		if (r == 0)
			r = slice(reader, what);
	}
	return r;
}

uint64_t reader_address(const struct reader *reader, const struct pfuse_page_record *record)
{
	return (record->page - reader->pages->ranges[record->range].shift) * PAGE_BYTES;
}

static struct source source_of(const struct source *base, const struct pfuse_mapping *mapping)
{
	struct source source = *base;

	/* What a process writes to its private mapping of a file is its own. */
	if ((mapping->flags & (VM_WRITE | VM_SHARED)) != VM_WRITE)
		source.object = mapping->object;
	source.locked = mapping->flags & VM_LOCKED;
	return source;
}

/* Anonymous neighbours are one range: there are processes with thousands. */
static bool joins(const struct reader *reader, uint32_t count, const struct source *source,
		  const struct pfuse_mapping *mapping)
{
	const struct source *last = count ? &reader->sources[count - 1] : NULL;

	return last && !last->object && !source->object && last->locked == source->locked &&
	       reader->ends[count - 1] == mapping->start;
}

static void add_range(struct reader *reader, uint32_t *count, const struct source *source,
		      const struct pfuse_mapping *mapping)
{
	struct pfuse_page_range *ranges = reader->pages->ranges;
	uint64_t start = mapping->start / PAGE_BYTES, end = mapping->end / PAGE_BYTES;
	uint64_t shift = source->object ? mapping->offset - start : 0;

	if (joins(reader, *count, source, mapping)) {
		ranges[*count - 1].end = end;
		reader->ends[*count - 1] = mapping->end;
		return;
	}
	ranges[*count] = (struct pfuse_page_range){
		.first = start + shift, .end = end + shift, .shift = shift, .salt = source->object
	};
	reader->sources[*count] = *source;
	reader->ends[*count] = mapping->end;
	(*count)++;
}

/* What belongs to no group, or has no entries that we could read. */
static bool is_left_out(struct reader *reader, const struct pfuse_mapping *mapping)
{
	if (mapping->flags & VM_HUGETLB)
		reader->losses.hugetlb_bytes += mapping->end - mapping->start;
	return mapping->flags & (VM_HUGETLB | VM_PFNMAP | VM_IO);
}

static int walk_mappings(struct reader *reader, const struct source *base, int list,
			 reader_slice *slice, void *what)
{
	struct pfuse_mapping mappings[MAPPINGS_PER_READ];
	uint64_t reached = 0;
	uint32_t count = 0;
	ssize_t got;
	int r = 0;

	while (r == 0 && (got = read(list, mappings, sizeof(mappings))) != 0) {
		if (got < 0 && errno != EAGAIN)
			return -errno;
		for (ssize_t i = 0; r == 0 && i < got / (ssize_t)sizeof(*mappings); i++) {
			const struct source source = source_of(base, &mappings[i]);

			/* Of one thread, the kernel's iterator begins anew after the last one. */
			if (mappings[i].start < reached)
				goto end;
			reached = mappings[i].end;
			if (reader->note)
				reader->note(reader->note_context, reader->pid, &mappings[i]);
			if (is_left_out(reader, &mappings[i]))
				continue;
			if (count == PFUSE_PAGES_RANGES) {
				r = walk_ranges(reader, count, slice, what);
				count = 0;
			}
			add_range(reader, &count, &source, &mappings[i]);
		}
	}
end:
	return r == 0 && count ? walk_ranges(reader, count, slice, what) : r;
}

int reader_walk(struct reader *reader, const struct source *source, uint32_t level,
		reader_slice *slice, void *what)
{
	_cleanup_close_ int copy = -1, list = -1, mappings = -1;
	int r = link_to(reader->pages->copy_program, reader->pid, &copy);

	if (r == 0)
		r = link_to(reader->pages->list_program, reader->pid, &list);
	if (r < 0)
		return r;
	mappings = bpf_iter_create(list);
	if (mappings < 0)
		return mappings;
	reader->link = copy;
	reader->pages->walk->level = level;
	return walk_mappings(reader, source, mappings, slice, what);
}

/* Clearing */

/* The ranges that `bytes` of advice took in whole. */
static size_t ranges_done(const struct iovec *ranges, size_t count, size_t bytes)
{
	size_t done = 0;

	while (done < count && bytes >= ranges[done].iov_len)
		bytes -= ranges[done++].iov_len;
	return done;
}

int clear_ranges(int pidfd, struct iovec *ranges, size_t count)
{
	while (count) {
		long got = syscall(SYS_process_madvise, pidfd, ranges, count, MADV_COLD, 0);
		size_t done = got > 0 ? ranges_done(ranges, count, (size_t)got) : 0;

		if (got < 0 && (errno == EPERM || errno == ESRCH || errno == ENOSYS))
			return -errno;
		if (got < 0 && errno == EINTR)
			continue;
		/* The one that it stopped at: locked, or unmapped by now. */
		if (done < count)
			done++;
		ranges += done;
		count -= done;
	}
	return 0;
}

int clear_whole(int proc_fd, pid_t pid)
{
	char name[32];

	snprintf(name, sizeof(name), "%d", (int)pid);
	_cleanup_close_ int dir = openat(proc_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return dir < 0 ? -errno : fd_write_at(dir, "clear_refs", "1");
}
