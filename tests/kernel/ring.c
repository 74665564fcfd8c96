/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What was dropped is counted by name, a full ring costs delay and not the event, nobody can forge one. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rig.h"

TestSuite(ring, .init = rig_init, .fini = rig_fini);

#define RING_EVENTS (65536 / (sizeof(struct pfuse_event) + 8)) /* the kernel's header: 8 bytes */

static void wake(struct worker *worker)
{
	worker_do(worker, job_nothing, 0);
	worker_wait_asleep(worker);
}

static bool is_off(void *context)
{
	return !probe_oncpu(probe, 1);
}

Test(ring, a_full_ring_is_counted_and_the_event_comes_after_draining)
{
	struct group *group = group_make(NULL, "full");
	struct worker *worker = worker_start(group);

	watch(1, group);
	cr_expect_eq(probe_drops(probe, PFUSE_DROP_RING_FULL), 0);
	/* an order that comes before the worker slept wakes nobody: more rounds than events */
	for (size_t i = 0; i < 8 * RING_EVENTS && !probe_drops(probe, PFUSE_DROP_RING_FULL); i++) {
		probe_arm(probe, 1, PFUSE_ARM_ACTIVE);
		worker_do(worker, job_nothing, 0);
	}
	uint64_t dropped = probe_drops(probe, PFUSE_DROP_RING_FULL);
	unsigned int told = watch_events(1, PFUSE_EV_ACTIVE, NULL);

	cr_expect_gt(dropped, 0);
	cr_expect_leq(told, RING_EVENTS);
	cr_expect_geq(told, RING_EVENTS * 9 / 10);
	worker_wait_asleep(worker);
	cr_assert(poll_until(is_off, NULL));
	told = watch_events(1, PFUSE_EV_ACTIVE, NULL); /* of a switch between draining and sleep */
	if (!told) {
		wake(worker); /* not armed again by us */
		told = watch_events(1, PFUSE_EV_ACTIVE, NULL);
	}
	cr_expect_eq(told, 1, "the full ring swallowed the wish: %u", told);
	wake(worker);
	cr_expect_eq(watch_events(1, PFUSE_EV_ACTIVE, NULL), 0);
}

static int ring_fd(void)
{
	struct ids progs = ids_of_programs(), maps = ids_of_maps(&progs);

	for (size_t i = 0; i < maps.count; i++) {
		struct bpf_map_info info = { 0 };
		__u32 size = sizeof(info);
		int fd = bpf_map_get_fd_by_id(maps.id[i]);

		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 &&
		    info.type == BPF_MAP_TYPE_RINGBUF)
			return fd;
		close(fd);
	}
	return -1;
}

Test(ring, user_space_cannot_write_records)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	__u64 key = 0, value[8] = { 0 };
	int fd = ring_fd();

	cr_assert_geq(fd, 0);
	void *records = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)page);

	cr_expect(records == MAP_FAILED && errno == EPERM, "the kernel lets us write records");
	cr_expect_lt(bpf_map_update_elem(fd, &key, value, BPF_ANY), 0);
	close(fd);
}

Test(ring, a_task_too_deep_below_its_group_is_counted_as_dropped)
{
	struct group *group = group_make(NULL, "deep"), *at = group;

	watch(1, group);
	for (int level = 1; level < PFUSE_MAX_DEPTH; level++)
		at = group_make(at, "d");
	struct worker *worker = worker_start(at);

	worker_do(worker, job_spin_ms, 3);
	wake(worker);
	cr_expect_eq(probe_drops(probe, PFUSE_DROP_DEEP_GROUP), 0);
	uint64_t run_ns = watch_read(1).run_ns;

	cr_expect_gt(run_ns, 2 * 1000000ULL, "%d levels below are within reach",
		     PFUSE_MAX_DEPTH - 1);
	group_add(group_make(at, "d"), worker->pid);
	wake(worker);
	cr_assert(poll_until(is_off, NULL));
	run_ns = watch_read(1).run_ns;
	worker_do(worker, job_spin_ms, 3);
	wake(worker);
	cr_expect_gt(probe_drops(probe, PFUSE_DROP_DEEP_GROUP), 0);
	cr_expect_eq(watch_read(1).run_ns, run_ns);
}
