/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The kernel's own word for it: "Referenced" of /proc/PID/smaps is what was used since the accessed bits were
 * cleared. The processes are children of the test, in a group that is made up.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "edge/age.h"
#include "made_up.h"

#define MIB (UINT64_C(1) << 20)
#define BYTES (160 * MIB) /* three steps */

struct child {
	pid_t pid;
	int to, from;
};

/* Touches what it is told from the start of its memory on, and says so. */
static void be_child(int in, int out)
{
	char *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t bytes;

	while (at != MAP_FAILED && read(in, &bytes, sizeof(bytes)) == sizeof(bytes)) {
		for (uint64_t i = 0; i < bytes; i += 4096)
			at[i]++;
		if (write(out, &bytes, sizeof(bytes)) < 0)
			break;
	}
	_exit(0);
}

static void touch(const struct child *child, uint64_t bytes)
{
	cr_assert_eq(write(child->to, &bytes, sizeof(bytes)), sizeof(bytes));
	cr_assert_eq(read(child->from, &bytes, sizeof(bytes)), sizeof(bytes));
}

static void start(struct child *child)
{
	int to[2], from[2];

	cr_assert(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0);
	child->pid = fork();
	if (child->pid == 0) {
		close(to[1]);
		be_child(to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	child->to = to[1];
	child->from = from[0];
	touch(child, BYTES);
}

static void end(struct child *child)
{
	close(child->to);
	close(child->from);
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
}

static uint64_t referenced(const struct child *child)
{
	_cleanup_fclose_ FILE *smaps = NULL;
	uint64_t kib, sum = 0;
	char line[512];

	snprintf(line, sizeof(line), "/proc/%d/smaps", child->pid);
	smaps = fopen(line, "re");
	cr_assert_not_null(smaps);
	while (fgets(line, sizeof(line), smaps))
		if (sscanf(line, "Referenced: %" SCNu64, &kib) == 1)
			sum += kib * 1024;
	return sum;
}

struct fixture {
	struct made_up m;
	int proc_fd, group_fd;
};

/* n children that have touched all of theirs, in a group. */
static void set_up(struct fixture *f, struct child *children, size_t n)
{
	char text[96] = "", *at = text;

	made_up_new(&f->m, V2);
	for (size_t i = 0; i < n; i++) {
		start(&children[i]);
		at += sprintf(at, "%d\n", children[i].pid);
	}
	made_up_dir(&f->m, "aged");
	made_up_write(&f->m, "aged/cgroup.procs", text);
	snprintf(text, sizeof(text), "%s/aged", f->m.dir);
	f->group_fd = open(text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void tear_down(struct fixture *f)
{
	close(f->group_fd);
	close(f->proc_fd);
	made_up_free(&f->m);
}

/* How many calls it took. */
static unsigned int age_all(const struct fixture *f)
{
	struct age *age = NULL;
	unsigned int steps = 0;
	uint64_t spent_ns = 0;
	int r;

	cr_assert_eq(age_open(f->proc_fd, f->group_fd, &age), 0);
	do {
		r = age_step(age, &spent_ns);
		steps++;
		cr_expect_gt(spent_ns, 0);
	} while (r == 1 && steps < 10000); /* a sanitizer's shadow is terabytes */
	age_close(age);
	if (r == -EPERM || r == -ENOSYS) {
		fprintf(stderr, "SKIP: process_madvise() of a child: %s\n", strerror(-r));
		cr_skip_test("%s", "");
	}
	cr_expect_eq(r, 0);
	return steps;
}

Test(age, all_looks_unused_until_it_is_used_again)
{
	struct child children[2];
	struct fixture f;

	set_up(&f, children, 2);
	cr_expect_geq(referenced(&children[0]), BYTES, "all was touched");
	unsigned int steps = age_all(&f);

	cr_expect_geq(steps, 5, "%u steps for 320 MiB, of 64 each", steps);
	for (size_t i = 0; i < 2; i++)
		cr_expect_lt(referenced(&children[i]), 4 * MIB, "of process %zu", i);
	touch(&children[1], 32 * MIB);
	cr_expect_geq(referenced(&children[1]), 32 * MIB, "what is in use shows at once");
	/* A huge page is used as a whole. */
	cr_expect_lt(referenced(&children[1]), 32 * MIB + 6 * MIB);
	tear_down(&f);
	end(&children[0]);
	end(&children[1]);
}

Test(age, who_is_gone_is_passed_over)
{
	struct child children[2];
	struct fixture f;

	set_up(&f, children, 2);
	end(&children[0]);
	age_all(&f);
	cr_expect_lt(referenced(&children[1]), 4 * MIB);
	tear_down(&f);
	end(&children[1]);
}

Test(age, of_an_empty_group_there_is_nothing_to_do)
{
	struct fixture f;

	set_up(&f, NULL, 0);
	struct age *age = NULL;
	uint64_t spent_ns;

	cr_assert_eq(age_open(f.proc_fd, f.group_fd, &age), 0);
	cr_expect_eq(age_step(age, &spent_ns), 0);
	age_close(age);
	age_close(NULL);
	tear_down(&f);
}
