/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The inside of a throttle, for throttle.c (directories, records), throttle_cpu.c, throttle_io.c and
 * throttle_cpuset.c only.
 */
#ifndef PFUSE_EDGE_THROTTLE_INSIDE_H
#define PFUSE_EDGE_THROTTLE_INSIDE_H

#include "edge/throttle.h"

#define THROTTLE_DEVICES_MAX 256 /* per group; further ones are neither counted nor limited */

/* What the group did on one disk, and our records there. Handles of the ledger: 0 is none. */
struct throttle_device {
	uint32_t major, minor;
	bool memory;	     /* zram, ram: left out */
	bool gone;	     /* left out until it counts again */
	uint64_t bytes[2];   /* read, written: at the last look */
	uint32_t records[2]; /* of the limit per direction */
	uint64_t limits[2];  /* that we set last; PFUSE_UNLIMITED */
};

enum { RECORD_BURST, RECORD_QUOTA, RECORD_CPUS, RECORD_MEMS, RECORD_PARTITION, THROTTLE_RECORDS };

struct throttle {
	const struct cgroup_tree *tree;
	const struct cgroup *group;
	uint64_t inodes[CGROUP_CONTROLLERS]; /* of the group's directories; 0: not seen there yet */
	uint32_t records[THROTTLE_RECORDS];
	bool prepared[THROTTLE_KINDS];
	bool looked;	    /* at the devices, once */
	uint64_t bytes[2];  /* what throttle_read_io() gives */
	uint64_t wanted[2]; /* the limit of each direction; PFUSE_UNLIMITED */
	struct throttle_device *devices;
	uint32_t ndevices;
};

/* The group's directory in the controller's hierarchy. -ENOENT: none; -ENODEV: gone or another's. */
int throttle_dir(struct throttle *t, enum cgroup_controller controller, int *ret_fd);
bool throttle_is_v2(const struct throttle *t, enum cgroup_controller controller);

/* -ENODEV for what a write to a removed group answers; else `code`. */
int throttle_gone(int fd, int code);

/* Keeps a record that is there already. */
int throttle_record(struct throttle *t, struct ledger *ledger, enum cgroup_controller controller,
		    const char *file, const char *old, uint32_t *record);

int throttle_prepare_cpu(struct throttle *t, struct ledger *ledger);
int throttle_set_cpu(struct throttle *t, struct ledger *ledger, uint64_t limit_ns);

/* dir: 0 read, 1 write */
int throttle_prepare_io(struct throttle *t, struct ledger *ledger, int dir);
int throttle_set_io(struct throttle *t, struct ledger *ledger, int dir, uint64_t limit);
void throttle_wake_io(const struct cgroup_tree *tree);

#endif
