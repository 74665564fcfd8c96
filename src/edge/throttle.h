/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The CPU and I/O limits of a group, and what it used: the same on v1 and v2.
 *
 * Order: throttle_open() → throttle_read_…() whenever figures are wanted → throttle_prepare() per kind
 * puts the old values into the ledger, ledger_commit() makes that binding (once for many groups) →
 * throttle_set() as often as wanted → ledger_restore() undoes everything → throttle_close(). Nothing is
 * written without a record: a value that is neither the old one nor ours is somebody else's (-ESTALE,
 * and nothing of that kind is written). Ownership: `tree` and `group` must outlive the throttle; it
 * holds no file descriptor (ten thousand groups), about 200 bytes and 64 per device.
 * Errors: -ENOENT no such controller for the group (on v1: no directory of its path there) · -ENODEV
 * the group is gone, or another has its path · -ESTALE · -EINVAL not prepared, or refused by the kernel:
 * throttle_why() says what that means.
 *
 * CPU: cpu.max and cpu.max.burst on v2, cpu.cfs_quota_us, …_period_us and …_burst_us on v1. The period
 * is kept. Resolution: 1 us of quota per period, rounded down; no less than 1 ms per period, the
 * kernel's minimum. Burst stays at or below the quota, and comes back with it.
 *
 * I/O: io.stat and io.max on v2, blkio.throttle.* on v1. A limit holds for each device alone. Devices
 * are found by what the kernel counts for the group, which names whole disks (device-mapper and loop
 * included), never partitions; zram and ram disks are left out: that is memory, and a limit there
 * would stall page faults. One request to a stacked device (loop, device-mapper) is counted there and
 * again on the disk below, hence "the busiest device". Buffered writes count when they are written
 * back: on v2 for the group, on v1 for the root group, so there only direct and synchronous ones do.
 * v1, by experiment (6.18) and by block/blk-throttle.c: blkio.throttle.io_service_bytes holds what the
 * group's own tasks did, …_recursive that of the groups below it too; the second is read here, as with
 * memory. But v1's limits do not reach down: a limit holds for the group's own tasks only. And kernels
 * from 6.10 on count for a device only after somebody named it in any throttle file: throttle_open()
 * does that, with a line that sets nothing. Disks that are plugged in later count from the next
 * throttle_open() on, of any group.
 */
#ifndef PFUSE_EDGE_THROTTLE_H
#define PFUSE_EDGE_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "edge/cgroup.h"
#include "edge/ledger.h"
#include "pfuse/sample.h"

enum throttle_kind {
	THROTTLE_CPU,
	THROTTLE_IO_READ,
	THROTTLE_IO_WRITE,
	THROTTLE_KINDS,
};

struct throttle_cpu {
	uint64_t limit_ns;     /* CPU time per second allowed; PFUSE_UNLIMITED */
	uint64_t usage_ns;     /* cumulative; 0 where nobody counts it */
	uint32_t periods;      /* in which the group had something to run; wraps */
	uint32_t throttled;    /* of these: it met its limit; wraps */
	uint64_t throttled_ns; /* cumulative, summed over CPUs */
};

struct throttle_io {
	uint64_t read_bytes; /* sum over the calls of the busiest device's growth since the last; */
	uint64_t write_bytes; /* the first call gives 0 */
	uint64_t read_limit; /* bytes/s per device: the lowest of those in force; PFUSE_UNLIMITED */
	uint64_t write_limit;
};

struct throttle;

int throttle_open(const struct cgroup_tree *tree, const struct cgroup *group,
		  struct throttle **ret);
void throttle_close(struct throttle *t); /* NULL is allowed; changes nothing in the kernel */

int throttle_read_cpu(struct throttle *t, struct throttle_cpu *ret);
int throttle_read_io(struct throttle *t, struct throttle_io *ret);

/* Not binding before ledger_commit(). After ledger_restore() of the group: close, open, prepare anew. */
int throttle_prepare(struct throttle *t, struct ledger *ledger, enum throttle_kind kind);

/*
 * `limit`: ns per second, or bytes per second and device. PFUSE_UNLIMITED releases: what was there
 * before us comes back. I/O holds for the devices that the group has used so far; those that are new
 * since throttle_prepare() get a record of their own here (and a commit).
 */
int throttle_set(struct throttle *t, struct ledger *ledger, enum throttle_kind kind,
		 uint64_t limit);

/* The group has used a device. Until then a limit of I/O is written nowhere: there is no name for it. */
bool throttle_io_used(const struct throttle *t);

/* The group began to use a device that has no limit yet: time to set the same limit again. */
bool throttle_io_lags(const struct throttle *t, enum throttle_kind kind);

/*
 * What a failure of throttle_set() or throttle_set_cpus() means and what to do, in one sentence
 * without a name: static text.
 */
const char *throttle_why(const struct throttle *t, enum throttle_kind kind, int code);

/*
 * cpuset.cpus and cpuset.mems: lists like "0-3,8" (max. 4000 bytes; "" is allowed on v2 only and means
 * the parent's). throttle_set_…() puts the old value into the ledger and commits before the first
 * change. Lists may overlap and be unsorted; they are brought into the kernel's own form.
 * -EINVAL, -ERANGE: no list, or a CPU or node that this machine lacks · -ENOSPC: empty while there are
 * processes · -EACCES: v1, the parent does not have all of it · -EBUSY: v1, a group below has more · -EFBIG: `buf` is too small.
 */
int throttle_set_cpus(struct throttle *t, struct ledger *ledger, const char *list);
int throttle_set_mems(struct throttle *t, struct ledger *ledger, const char *list);
/* The list as set; without the newline. */
int throttle_read_cpus(struct throttle *t, char *buf, size_t size);
int throttle_read_mems(struct throttle *t, char *buf, size_t size);
/* The CPUs that the group may use in fact: fewer where its ancestors or the machine have fewer. */
int throttle_read_effective_cpus(struct throttle *t, char *buf, size_t size);

/*
 * Has somebody pinned the group, as container runtimes do on request? To be asked before the first
 * throttle_set_cpus(): v2 a list that is not empty, v1 fewer CPUs than the parent has. What is pinned
 * later, after us, is told by -ESTALE.
 */
int throttle_is_pinned(struct throttle *t, bool *ret_pinned);

/*
 * Disjoint sets as the kernel's own promise, v2 only (cpuset.cpus.partition): ROOT keeps the CPUs of the
 * group from its siblings, ISOLATED also from load balancing. After throttle_set_cpus() with the same
 * CPUs; MEMBER before they are given to others. Ledger as above.
 * The kernel takes the word and may then not be able to keep it (a sibling has some of the CPUs, the
 * parent is no partition root): that is read back, the group is a member again, and err says in the
 * kernel's words why: -EINVAL. -EOPNOTSUPP: v1. err is empty on success.
 */
enum throttle_partition {
	THROTTLE_MEMBER,
	THROTTLE_ROOT,
	THROTTLE_ISOLATED,
};

int throttle_set_partition(struct throttle *t, struct ledger *ledger,
			   enum throttle_partition partition, struct err *err);

#endif
