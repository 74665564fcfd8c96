/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "curve_load.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096u
#define MIB (1u << 20)
#define HUGE (2u * MIB)
#define BATCH_NS 1000000u /* how long a batch of references lasts */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void nap_until(uint64_t ns)
{
	const struct timespec at = { .tv_sec = (time_t)(ns / 1000000000u),
				     .tv_nsec = (long)(ns % 1000000000u) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static void __attribute__((noreturn)) give_up(const char *what)
{
	perror(what);
	_exit(1);
}

static int backing(const struct curve_load *load)
{
	char name[256];

	if (!load->file && !load->read)
		return -1;
	snprintf(name, sizeof(name), "%s/pfuse-curve-XXXXXX", load->dir ? load->dir : "/var/tmp");
	int fd = mkstemp(name);

	if (fd < 0 || unlink(name) < 0 || ftruncate(fd, (off_t)load->mib * MIB) < 0)
		give_up("the file");
	return fd;
}

/* Reads ahead would be references that the string has not. */
static int open_file(const struct curve_load *load)
{
	static const char chunk[MIB] = { 1 };
	int fd = backing(load);

	for (uint32_t i = 0; i < load->mib; i++)
		if (write(fd, chunk, MIB) != MIB)
			give_up("write");
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	return fd;
}

static volatile char *map(const struct curve_load *load)
{
	size_t bytes = (size_t)load->mib * MIB;
	int fd = backing(load);
	int flags = (fd < 0 ? MAP_ANONYMOUS : 0) |
		    (fd >= 0 || load->processes > 1 ? MAP_SHARED : MAP_PRIVATE);
	char *room = mmap(NULL, bytes + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *at = (char *)(((uintptr_t)room + HUGE - 1) & ~((uintptr_t)HUGE - 1));

	at = mmap(at, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
	if (at == MAP_FAILED)
		give_up("mmap");
	madvise(at, bytes, load->huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	for (size_t i = 0; i < bytes; i += PAGE)
		at[i] = 1;
	return at;
}

void load_open_reference(const struct curve_load *load, uint32_t process, struct reference *ret)
{
	reference_open(ret, load->kind, load->exponent, load->mib * (MIB / PAGE), load->seed + process);
	ret->period =
		(uint64_t)(load->rate * load->phase_s) ? (uint64_t)(load->rate * load->phase_s) : 1;
}

static void note(struct load_log *log, uint32_t process, uint64_t made)
{
	uint32_t n = log ? atomic_load(&log->notes[process]) : LOAD_NOTES;

	if (n >= LOAD_NOTES)
		return;
	log->note[process][n] = (struct load_note){ now_ns(), made };
	atomic_store(&log->notes[process], n + 1);
}

static void __attribute__((noreturn))
touch_for_ever(const struct curve_load *load, struct load_log *log, uint32_t process,
	       volatile char *memory, int fd)
{
	char page[PAGE];
	uint64_t batch = load->rate > 0 ? (uint64_t)(load->rate * BATCH_NS / 1e9) + 1 : 4096;
	struct reference reference;

	load_open_reference(load, process, &reference);
	if (log)
		atomic_fetch_add(&log->ready, 1);
	for (uint64_t made = 0, begun = now_ns();;) {
		for (uint64_t i = 0; i < batch && memory; i++)
			memory[(size_t)reference_next(&reference) * PAGE];
		for (uint64_t i = 0; i < batch && !memory; i++)
			if (pread(fd, page, PAGE, (off_t)reference_next(&reference) * PAGE) != PAGE)
				give_up("read");
		made += batch;
		note(log, process, made);
		if (load->rate > 0)
			nap_until(begun + (uint64_t)((double)made / load->rate * 1e9));
	}
}

void load_run(const struct curve_load *load, struct load_log *log)
{
	int fd = load->read ? open_file(load) : -1;
	volatile char *memory = load->read ? NULL : map(load);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (uint32_t process = 1; process < load->processes; process++)
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			touch_for_ever(load, log, process, memory, fd);
		}
	touch_for_ever(load, log, 0, memory, fd);
}
