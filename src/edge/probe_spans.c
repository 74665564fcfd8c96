/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Spans counted or not, while the programs run: whether they are is a constant of on_switch, and the size of
 * their map is fixed, so on_switch is loaded once more, with the other constant, on the maps of the running one.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/cleanup.h"
#include "edge/probe_load.h"
#include "pfuse.skel.h"

#define MAPS_MAX 32  /* of one program */
#define NAME_SIZE 64 /* of a map; the kernel's are shorter */

static const char *const program_names[PROBE_SWITCH_PROGRAMS] = { "on_switch", "on_migrate" };

struct replacement {
	int running; /* link */
	bool spans;
};

/* The ids of the maps that the program of a link uses. */
static int maps_of_link(int link, uint32_t ids[MAPS_MAX], uint32_t *ret_count)
{
	struct bpf_link_info about = { 0 };
	struct bpf_prog_info info = { .map_ids = (uintptr_t)ids, .nr_map_ids = MAPS_MAX };
	uint32_t size = sizeof(about);

	if (bpf_obj_get_info_by_fd(link, &about, &size) < 0)
		return -errno;
	_cleanup_close_ int program = bpf_prog_get_fd_by_id(about.prog_id);

	size = sizeof(info);
	if (program < 0 || bpf_obj_get_info_by_fd(program, &info, &size) < 0)
		return -errno;
	if (info.nr_map_ids > MAPS_MAX)
		return -E2BIG;
	*ret_count = info.nr_map_ids;
	return 0;
}

/* What is new in each replacement; the constants are read from the old ones. */
static bool is_replaced(const struct pfuse *skel, const struct bpf_map *map)
{
	return map == skel->maps.spans || map == skel->maps.bursts || map == skel->maps.rodata;
}

static int read_constants(struct pfuse *skel, int map)
{
	const uint32_t zero = 0;

	if (bpf_map__value_size(skel->maps.rodata) != sizeof(*skel->rodata))
		return -EINVAL;
	return bpf_map_lookup_elem(map, &zero, skel->rodata) < 0 ? -errno : 0;
}

/* The names of the maps of data are longer than the kernel keeps. */
static bool is_named(const struct bpf_map *map, const char *name)
{
	return !strncmp(bpf_map__name(map), name, BPF_OBJ_NAME_LEN - 1);
}

/* Of one map of the running program: *ret_taken counts those that are found again. */
static int reuse(struct pfuse *skel, uint32_t id, uint32_t *ret_taken)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);
	struct bpf_map *map;
	_cleanup_close_ int fd = bpf_map_get_fd_by_id(id);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return -errno;
	bpf_object__for_each_map(map, skel->obj)
	{
		int err = 0;

		if (!is_named(map, info.name))
			continue;
		if (map == skel->maps.rodata)
			err = read_constants(skel, fd);
		else if (!is_replaced(skel, map))
			err = bpf_map__reuse_fd(map, fd);
		*ret_taken += !err;
		return err;
	}
	return 0;
}

/* All that on_switch uses has been reused or is to be made; the others' maps are not needed. */
static int take_maps(struct pfuse *skel, int running)
{
	uint32_t ids[MAPS_MAX], count = 0, taken = 0;
	struct bpf_map *map;
	int err = maps_of_link(running, ids, &count);

	for (uint32_t i = 0; i < count && !err; i++)
		err = reuse(skel, ids[i], &taken);
	if (err)
		return err;
	if (taken != count)
		return -EINVAL;
	bpf_object__for_each_map(map, skel->obj)
	{
		if (bpf_map__fd(map) < 0 && !is_replaced(skel, map))
			bpf_map__set_autocreate(map, false);
	}
	return 0;
}

static void set_spans(struct pfuse *skel, bool spans)
{
	struct pfuse_knobs *knobs = &skel->rodata->knobs;

	knobs->spans = spans;
	bpf_map__set_max_entries(skel->maps.spans, spans ? knobs->nslots * knobs->ncpus : 1);
	bpf_map__set_max_entries(skel->maps.bursts, spans ? PFUSE_SPAN_BURSTS : 1);
}

static void select_programs(struct pfuse *skel, const struct probe_found *found, bool spans)
{
	bool migrations = spans && probe_find_hook(found->hooks, "on_migrate")->available;
	struct bpf_program *program;

	bpf_object__for_each_program(program, skel->obj) bpf_program__set_autoload(program, false);
	bpf_program__set_autoload(skel->progs.on_switch, true);
	bpf_program__set_autoload(skel->progs.on_migrate, migrations);
}

/* They stay open until this process ends. */
static void hand_over(const struct pfuse *skel, struct probe_loaded *ret)
{
	ret->switch_bytes = probe_map_memory(bpf_map__fd(skel->maps.spans)) +
			    probe_map_memory(bpf_map__fd(skel->maps.bursts));
	ret->fds[FD_NEW_SPANS] = bpf_map__fd(skel->maps.spans);
	ret->nfds = FD_NEW_PROGRAMS;
	for (int i = 0; i < PROBE_SWITCH_PROGRAMS; i++) {
		const struct bpf_program *program =
			bpf_object__find_program_by_name(skel->obj, program_names[i]);

		if (!bpf_program__autoload(program))
			continue;
		ret->switch_links[i] = ret->nfds;
		ret->switch_bytes += probe_map_memory(bpf_program__fd(program));
		ret->fds[ret->nfds++] = bpf_program__fd(program);
	}
}

static int load(const void *arg, struct probe_loaded *ret)
{
	const struct replacement *what = arg;
	struct probe_found found = { .kernel = probe_kernel_btf() };
	int err = found.kernel ? probe_find_hooks(found.kernel, found.hooks,
						  PROBE_ALONE | PROBE_SPANS, false, &found.casts)
			       : -errno;

	if (err < 0)
		return err_set(&ret->text, err, "no kernel BTF: %s", strerror(-err));
	probe_keep_warning();
	probe_register_handlers(&found);
	struct pfuse *skel = probe_open_object(found.kernel);

	if (!skel)
		return err_set(&ret->text, -ENOMEM, "out of memory");
	err = take_maps(skel, what->running);
	if (err)
		return err_set(&ret->text, err, "the maps of the running one: %s", strerror(-err));
	set_spans(skel, what->spans);
	select_programs(skel, &found, what->spans);
	err = pfuse__load(skel);
	if (err)
		return err_set(&ret->text, err, "%s: %.*s", strerror(-err),
			       (int)strcspn(probe_last_warning(), "\n"), probe_last_warning());
	hand_over(skel, ret);
	return 0;
}

int probe_load_switch(int running, bool spans, struct probe_loaded *ret)
{
	const struct replacement what = { running, spans };

	return probe_in_child(load, &what, ret);
}
