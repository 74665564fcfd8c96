/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge/procs.h"
#include "edge/reach.h"

#define RECORDS_PER_READ 50
#define OBJECTS_FIRST 64 /* a power of two, as all sizes */

/* An object of the group, as far as it is known. Free while key.kind is 0. */
struct object {
	struct pfuse_reach_key key;
	uint64_t state;
	uint32_t ours;
	uint32_t theirs; /* 0: no outsider so far with whom data can pass */
	uint32_t their_slot;
	uint32_t waiting;
	uint32_t mappings; /* of the group's address spaces, writable */
	uint8_t access;
	uint8_t their_access;
	uint8_t private_to_kin;
	uint8_t daemon_writes;
	char name[PFUSE_REACH_NAME];
};

/* A hash by linear probing, at most three quarters full. */
struct objects {
	struct object *at;
	uint32_t room;
	uint32_t count;
	bool full; /* something was left out */
	uint32_t daemon_pid;
	int err;
};

static bool same_key(const struct pfuse_reach_key *a, const struct pfuse_reach_key *b)
{
	return a->object == b->object && a->tag == b->tag && a->kind == b->kind;
}

/* Where the object is, or where it would be put. */
static struct object *find_place(struct object *at, uint32_t room,
				 const struct pfuse_reach_key *key)
{
	uint32_t i = pfuse_reach_bit(key) & (room - 1);

	while (at[i].key.kind && !same_key(&at[i].key, key))
		i = (i + 1) & (room - 1);
	return &at[i];
}

static struct object *find_object(struct objects *objects, const struct pfuse_reach_key *key)
{
	struct object *object = objects->room ? find_place(objects->at, objects->room, key) : NULL;

	return object && object->key.kind ? object : NULL;
}

static int grow(struct objects *objects)
{
	uint32_t room = objects->room ? objects->room * 2 : OBJECTS_FIRST;
	struct object *at = calloc(room, sizeof(*at));

	if (!at)
		return -ENOMEM;
	for (uint32_t i = 0; i < objects->room; i++)
		if (objects->at[i].key.kind)
			*find_place(at, room, &objects->at[i].key) = objects->at[i];
	free(objects->at);
	objects->at = at;
	objects->room = room;
	return 0;
}

static struct object *add_object(struct objects *objects, const struct pfuse_reach_key *key)
{
	struct object *object = find_object(objects, key);

	if (object)
		return object;
	if (objects->count == REACH_OBJECTS_MAX) {
		objects->full = true;
		return NULL;
	}
	if (objects->count >= objects->room / 4 * 3) {
		objects->err = grow(objects);
		if (objects->err)
			return NULL;
	}
	object = find_place(objects->at, objects->room, key);
	object->key = *key;
	objects->count++;
	return object;
}

typedef void take_record(struct objects *objects, const struct pfuse_reach_record *record);

static void take_ours(struct objects *objects, const struct pfuse_reach_record *record)
{
	struct object *object = add_object(objects, &record->key);

	if (!object)
		return;
	object->ours = object->ours ? object->ours : record->pid;
	object->state = record->state;
	if (object->waiting < record->waiting)
		object->waiting = record->waiting;
	object->access |= (uint8_t)record->access;
	object->mappings += record->counts != 0;
	object->private_to_kin = record->private_to_kin != 0;
	memcpy(object->name, record->name, sizeof(object->name));
}

/* Can what one side writes be read by the other? Two writers of one pipe do not talk with each other. */
static bool can_pass(uint32_t ours, uint32_t theirs)
{
	return ((ours & PFUSE_REACH_WRITE) && (theirs & PFUSE_REACH_READ)) ||
	       ((ours & PFUSE_REACH_READ) && (theirs & PFUSE_REACH_WRITE));
}

static void take_theirs(struct objects *objects, const struct pfuse_reach_record *record)
{
	struct object *object = find_object(objects, &record->key);

	if (!object)
		return;
	object->state = record->state;
	if (record->pid == objects->daemon_pid) {
		object->daemon_writes |= (record->access & PFUSE_REACH_WRITE) != 0;
		return;
	}
	if (!can_pass(object->access, record->access))
		return;
	object->their_access |= (uint8_t)record->access;
	if (object->theirs)
		return;
	object->theirs = record->pid;
	object->their_slot = record->slot;
}

static int read_records(int fd, struct objects *objects, take_record *take)
{
	struct pfuse_reach_record records[RECORDS_PER_READ];
	ssize_t got = 0;

	do {
		got = read(fd, records, sizeof(records));
		if (got > 0 && got % (ssize_t)sizeof(*records))
			return -EIO;
		for (ssize_t i = 0; i < got / (ssize_t)sizeof(*records); i++)
			take(objects, &records[i]);
	} while (!objects->err && (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR))));
	if (objects->err)
		return objects->err;
	return got < 0 ? -errno : 0;
}

static int read_walk(int fd, struct objects *objects, take_record *take)
{
	int err = read_records(fd, objects, take);

	close(fd);
	return err;
}

static int walk_all(struct probe *probe, enum probe_iterator which, uint32_t slot,
		    struct objects *objects, take_record *take)
{
	int fd = -1;

	probe_reach_walk(probe)->theirs = take == take_theirs;
	int err = probe_iterate(probe, which, slot, &fd);

	return err ? err : read_walk(fd, objects, take);
}

/*
 * Before 6.6 a walk of one process leaves out its second thread. That matters where files need not be
 * those of the first, or where the first has ended.
 */
static bool can_walk_alone(const struct reach_scope *scope, pid_t pid)
{
	struct procs_stat stat;

	if (procs_read_stat(scope->proc_fd, pid, &stat) < 0)
		return true; /* gone */
	return stat.threads <= 1 || (scope->memory_only && !procs_is_dead(&stat));
}

static bool can_walk_one_by_one(const struct reach_scope *scope)
{
	for (uint32_t i = 0; scope->pids && i < scope->count; i++)
		if (!can_walk_alone(scope, scope->pids[i]))
			return false;
	return scope->pids != NULL;
}

static int walk_ours(struct probe *probe, enum probe_iterator which, uint32_t slot,
		     const struct reach_scope *scope, struct objects *objects)
{
	if (!can_walk_one_by_one(scope))
		return walk_all(probe, which, slot, objects, take_ours);
	probe_reach_walk(probe)->theirs = 0;
	for (uint32_t i = 0; i < scope->count; i++) {
		int fd = -1, err = probe_iterate_process(probe, which, slot, scope->pids[i], &fd);

		if (!err)
			err = read_walk(fd, objects, take_ours);
		if (err)
			return err;
	}
	return 0;
}

/* A mapping that fork alone hands on, all of whose holders are the group's: nobody else can have it. */
static bool may_reach_others(const struct object *object)
{
	return !object->private_to_kin || object->mappings < object->state;
}

/* Marks what the next walk shall look for; returns how many. */
static uint32_t mark(struct probe *probe, const struct objects *objects, bool maps)
{
	struct pfuse_reach_walk *walk = probe_reach_walk(probe);
	uint32_t count = 0;

	memset(walk->marked, 0, sizeof(walk->marked));
	for (uint32_t i = 0; i < objects->room; i++) {
		const struct object *object = &objects->at[i];
		uint32_t bit = pfuse_reach_bit(&object->key);

		if (!object->key.kind || (object->key.kind == PFUSE_REACH_SHM) != maps ||
		    !may_reach_others(object))
			continue;
		walk->marked[bit / 64] |= 1ull << (bit % 64);
		count++;
	}
	return count;
}

static int look_around(struct probe *probe, enum probe_iterator which, uint32_t slot,
		       const struct reach_scope *scope, struct objects *objects)
{
	int err = walk_ours(probe, which, slot, scope, objects);

	if (err || !mark(probe, objects, which == PROBE_ITER_MAPS))
		return err;
	return walk_all(probe, which, slot, objects, take_theirs);
}

static const struct pfuse_reach_finding *find_finding(const struct reach *reach,
						      const struct pfuse_reach_key *key)
{
	for (uint32_t i = 0; i < reach->count; i++)
		if (same_key(&reach->findings[i].key, key))
			return &reach->findings[i];
	return NULL;
}

static void fill_finding(struct pfuse_reach_finding *finding, const struct object *object,
			 const struct pfuse_reach_finding *before)
{
	*finding = (struct pfuse_reach_finding){
		.key = object->key,
		.state = object->state,
		.ours = object->ours,
		.theirs = object->theirs,
		.their_slot = object->their_slot,
		.access = object->access,
		.their_access = object->their_access,
		.waiting = object->waiting,
		.daemon_writes = object->daemon_writes,
		.compared = before != NULL,
		.moved = before && before->state != object->state,
	};
	memcpy(finding->name, object->name, sizeof(finding->name));
}

/* The findings of this snapshot, compared with the last. */
static int gather_findings(const struct objects *objects, const struct reach *last,
			   struct reach *ret)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < objects->room; i++)
		count += objects->at[i].theirs != 0;
	*ret = (struct reach){ .incomplete = objects->full || count > REACH_FINDINGS_MAX };
	if (!count)
		return 0;
	count = count < REACH_FINDINGS_MAX ? count : REACH_FINDINGS_MAX;
	ret->findings = calloc(count, sizeof(*ret->findings));
	if (!ret->findings)
		return -ENOMEM;
	for (uint32_t i = 0; i < objects->room && ret->count < count; i++)
		if (objects->at[i].theirs)
			fill_finding(&ret->findings[ret->count++], &objects->at[i],
				     find_finding(last, &objects->at[i].key));
	return 0;
}

/* Writes between two snapshots are heard if they were from the first of the two on. */
static void hear(struct probe *probe, uint32_t slot, struct reach *now, const struct reach *last)
{
	for (uint32_t i = 0; i < now->count; i++) {
		struct pfuse_reach_finding *finding = &now->findings[i];
		const struct pfuse_reach_finding *before = find_finding(last, &finding->key);

		finding->heard = before && before->watched;
		finding->watched =
			finding->heard ||
			!probe_hear(probe, &finding->key, slot, finding->access & PFUSE_REACH_READ);
	}
}

static void unhear(struct probe *probe, const struct reach *last, const struct reach *now)
{
	for (uint32_t i = 0; i < last->count; i++)
		if (last->findings[i].watched && !find_finding(now, &last->findings[i].key))
			probe_unhear(probe, &last->findings[i].key);
}

int reach_take(struct probe *probe, uint32_t slot, const struct reach_scope *scope,
	       struct reach *reach)
{
	struct objects objects = { .daemon_pid = probe_daemon_pid(probe) };
	struct reach taken = { 0 };
	int err = slot ? 0 : -EINVAL;

	if (!err && !scope->memory_only)
		err = look_around(probe, PROBE_ITER_FILES, slot, scope, &objects);
	if (!err)
		err = look_around(probe, PROBE_ITER_MAPS, slot, scope, &objects);
	if (!err)
		err = gather_findings(&objects, reach, &taken);
	free(objects.at);
	if (err)
		return err;
	hear(probe, slot, &taken, reach);
	unhear(probe, reach, &taken);
	free(reach->findings);
	*reach = taken;
	return 0;
}

void reach_release(struct probe *probe, struct reach *reach)
{
	const struct reach nothing = { 0 };

	unhear(probe, reach, &nothing);
	free(reach->findings);
	*reach = nothing;
}
