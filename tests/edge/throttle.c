/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "edge/throttle.h"
#include "made_up.h"

#define MS UINT64_C(1000000)
#define DEVICE "4095:7" /* a number that no machine has: neither zram nor gone from sysfs */

struct fixture {
	struct made_up m;
	struct cgroup group;
	struct throttle *t;
	bool v2;
};

struct file {
	const char *name, *v1_dir, *text;
};

static const struct file v2_files[] = {
	{ "cpu.max", "", "max 100000\n" },
	{ "cpu.max.burst", "", "0\n" },
	{ "cpu.stat", "", "usage_usec 1500\nnr_periods 7\nnr_throttled 3\nthrottled_usec 20\n" },
	{ "cpuset.cpus", "", "\n" },
	{ "cpuset.mems", "", "\n" },
	{ "cpuset.cpus.effective", "", "0-3\n" },
	{ "cpuset.cpus.partition", "", "member\n" },
	{ "io.stat", "", DEVICE " rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n" },
	{ "io.max", "", "" },
};

static const struct file v1_files[] = {
	{ "cpu.cfs_quota_us", "cpu,cpuacct", "-1\n" },
	{ "cpu.cfs_period_us", "cpu,cpuacct", "100000\n" },
	{ "cpu.cfs_burst_us", "cpu,cpuacct", "0\n" },
	{ "cpu.stat", "cpu,cpuacct", "nr_periods 7\nnr_throttled 3\nthrottled_time 20000\n" },
	{ "cpuacct.usage", "cpu,cpuacct", "1500000\n" },
	{ "cpuset.cpus", "cpuset", "0-3\n" },
	{ "cpuset.mems", "cpuset", "0\n" },
	{ "cpuset.effective_cpus", "cpuset", "0-3\n" },
	{ "blkio.throttle.io_service_bytes_recursive", "blkio",
	  DEVICE " Read 4096\n" DEVICE " Write 8192\n" DEVICE " Sync 12288\n" DEVICE
		 " Total 12288\nTotal 12288\n" },
	{ "blkio.throttle.read_bps_device", "blkio", "" },
	{ "blkio.throttle.write_bps_device", "blkio", "" },
};

static const char *path_of(const struct fixture *f, const char *name)
{
	static char path[8][128];
	static int turn;
	char *out = path[turn++ % 8];

	snprintf(out, sizeof(path[0]), "v2/g/%s", name);
	for (size_t i = 0; !f->v2 && i < ARRAY_SIZE(v1_files); i++)
		if (strcmp(v1_files[i].name, name) == 0)
			snprintf(out, sizeof(path[0]), "v1/%s/g/%s", v1_files[i].v1_dir, name);
	return out;
}

static void put(const struct fixture *f, const char *name, const char *text)
{
	made_up_write(&f->m, path_of(f, name), text);
}

static const char *value(const struct fixture *f, const char *name)
{
	return made_up_read(&f->m, path_of(f, name));
}

static void set_up(struct fixture *f, enum layout layout)
{
	static const char *const v1_dirs[] = { "cpu,cpuacct", "cpuset", "blkio" };

	*f = (struct fixture){ .v2 = layout == V2 };
	made_up_new(&f->m, layout);
	made_up_group(&f->m, "g", &f->group);
	for (size_t i = 0; !f->v2 && i < ARRAY_SIZE(v1_dirs); i++) {
		char path[64];

		snprintf(path, sizeof(path), "v1/%s/g", v1_dirs[i]);
		made_up_dir(&f->m, path);
		snprintf(path, sizeof(path), "v1/%s/g/cgroup.procs", v1_dirs[i]);
		made_up_write(&f->m, path, "");
	}
	for (size_t i = 0; i < (f->v2 ? ARRAY_SIZE(v2_files) : ARRAY_SIZE(v1_files)); i++)
		put(f, (f->v2 ? v2_files : v1_files)[i].name,
		    (f->v2 ? v2_files : v1_files)[i].text);
	made_up_ledger(&f->m);
	cr_assert_eq(throttle_open(&f->m.tree, &f->group, &f->t), 0);
}

static void tear_down(struct fixture *f)
{
	throttle_close(f->t);
	cgroup_close(&f->group);
	made_up_free(&f->m);
}

static void prepare(struct fixture *f, enum throttle_kind kind)
{
	cr_assert_eq(throttle_prepare(f->t, f->m.ledger, kind), 0);
	cr_assert_eq(ledger_commit(f->m.ledger), 0);
}

static int set(struct fixture *f, enum throttle_kind kind, uint64_t limit)
{
	return throttle_set(f->t, f->m.ledger, kind, limit);
}

static struct throttle_io read_io(struct fixture *f)
{
	struct throttle_io io;

	cr_assert_eq(throttle_read_io(f->t, &io), 0);
	return io;
}

/* CPU */

static const char *quota_file(const struct fixture *f)
{
	return f->v2 ? "cpu.max" : "cpu.cfs_quota_us";
}

static const char *burst_file(const struct fixture *f)
{
	return f->v2 ? "cpu.max.burst" : "cpu.cfs_burst_us";
}

Test(throttle, reads_the_same_figures_on_every_layout)
{
	static const enum layout layouts[] = { V1, V2, HYBRID };

	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		struct throttle_cpu cpu;
		struct fixture f;

		set_up(&f, layouts[i]);
		cr_expect_eq(throttle_read_cpu(f.t, &cpu), 0);
		cr_expect_eq(cpu.limit_ns, PFUSE_UNLIMITED);
		cr_expect_eq(cpu.usage_ns, 1500000, "%llu", (unsigned long long)cpu.usage_ns);
		cr_expect_eq(cpu.periods, 7);
		cr_expect_eq(cpu.throttled, 3);
		cr_expect_eq(cpu.throttled_ns, 20000);
		put(&f, quota_file(&f), f.v2 ? "25000 50000\n" : "50000\n");
		cr_expect_eq(throttle_read_cpu(f.t, &cpu), 0);
		cr_expect_eq(cpu.limit_ns, 500 * MS);
		put(&f, quota_file(&f), "nonsense\n");
		cr_expect_eq(throttle_read_cpu(f.t, &cpu), -EBADMSG);
		tear_down(&f);
	}
}

Test(throttle, sets_a_quota_and_keeps_the_period)
{
	static const struct {
		const char *old;
		uint64_t limit_ns;
		const char *v2, *v1;
	} table[] = {
		{ "100000", 500 * MS, "50000 100000", "50000" },
		{ "100000", 2000 * MS, "200000 100000", "200000" },
		{ "50000", 500 * MS, "25000 50000", "25000" },
		{ "100000", 1, "1000 100000", "1000" }, /* the kernel's minimum */
		{ "100000", 0, "1000 100000", "1000" },
		{ "1000000", 333333333, "333333 1000000", "333333" },
		{ "100000", (UINT64_C(1) << 62) - 1, "8796093022208 100000", "8796093022208" },
		{ "100000", PFUSE_UNLIMITED, "max 100000", "-1" },
		{ "100000", UINT64_C(1) << 62, "max 100000", "-1" },
	};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(table); i++) {
		size_t row = i / 2;
		struct fixture f;
		char text[32];

		set_up(&f, i % 2 ? V2 : V1);
		snprintf(text, sizeof(text), f.v2 ? "max %s\n" : "%s\n", table[row].old);
		put(&f, f.v2 ? "cpu.max" : "cpu.cfs_period_us", text);
		prepare(&f, THROTTLE_CPU);
		cr_expect_eq(set(&f, THROTTLE_CPU, 700 * MS), 0);
		cr_expect_eq(set(&f, THROTTLE_CPU, table[row].limit_ns), 0);
		cr_expect(strncmp(value(&f, quota_file(&f)), f.v2 ? table[row].v2 : table[row].v1,
				  f.v2 ? 13 : 64) == 0,
			  "row %zu: %s", row, value(&f, quota_file(&f)));
		tear_down(&f);
	}
}

/* Releasing gives back the administrator's limit, not none; so does restoring after a crash. */
Test(throttle, gives_the_old_quota_and_burst_back)
{
	for (int i = 0; i < 4; i++) {
		struct fixture f;
		const char *old;

		set_up(&f, i % 2 ? V2 : V1);
		old = f.v2 ? "150000 100000" : "150000";
		put(&f, quota_file(&f), f.v2 ? "150000 100000\n" : "150000\n");
		put(&f, burst_file(&f), "40000\n");
		prepare(&f, THROTTLE_CPU);
		cr_expect_eq(set(&f, THROTTLE_CPU, 100 * MS), 0);
		cr_expect_str_eq(value(&f, burst_file(&f)), "10000", "no more than the quota");
		cr_expect_eq(set(&f, THROTTLE_CPU, 600 * MS), 0);
		cr_expect_str_eq(value(&f, burst_file(&f)), "40000", "back as far as it fits");
		cr_expect_eq(set(&f, THROTTLE_CPU, 100 * MS), 0);
		if (i < 2) {
			cr_expect_eq(set(&f, THROTTLE_CPU, PFUSE_UNLIMITED), 0);
		} else {
			made_up_kill_ledger(&f.m);
			made_up_ledger(&f.m);
			cr_expect_eq(made_up_restore(&f.m).restored, 2, "%s", made_up_said);
		}
		cr_expect_str_eq(value(&f, quota_file(&f)), old);
		cr_expect_str_eq(value(&f, burst_file(&f)), "40000");
		tear_down(&f);
	}
}

/* The names of the files that were written, in order, as inotify saw them closed. */
static void written_files(int inotify, char *out, size_t size)
{
	char buf[4096] __attribute__((aligned(8)));
	ssize_t n = read(inotify, buf, sizeof(buf));

	out[0] = '\0';
	for (char *at = buf; n > 0 && at < buf + n;) {
		const struct inotify_event *event = (const struct inotify_event *)at;

		snprintf(out + strlen(out), size - strlen(out), "%s ", event->name);
		at += sizeof(*event) + event->len;
	}
}

/* The kernel refuses a burst above the quota at any instant. */
Test(throttle, never_lets_the_burst_exceed_the_quota)
{
	static const struct {
		uint64_t limit_ns; /* 0: restore */
		const char *order;
	} table[] = {
		{ 100 * MS, "cpu.max.burst cpu.max " },
		{ 200 * MS, "cpu.max cpu.max.burst " },
		{ 200 * MS, "" },
		{ 50 * MS, "cpu.max.burst cpu.max " },
		{ 0, "cpu.max cpu.max.burst " },
	};
	int inotify = inotify_init1(IN_NONBLOCK);
	char dir[128], order[256];
	struct fixture f;

	set_up(&f, V2);
	put(&f, "cpu.max", "150000 100000\n");
	put(&f, "cpu.max.burst", "40000\n");
	prepare(&f, THROTTLE_CPU);
	snprintf(dir, sizeof(dir), "%s/v2/g", f.m.dir);
	cr_assert_geq(inotify_add_watch(inotify, dir, IN_CLOSE_WRITE), 0);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (table[i].limit_ns)
			cr_expect_eq(set(&f, THROTTLE_CPU, table[i].limit_ns), 0);
		else
			made_up_restore(&f.m);
		written_files(inotify, order, sizeof(order));
		cr_expect_str_eq(order, table[i].order, "row %zu", i);
	}
	close(inotify);
	tear_down(&f);
}

Test(throttle, works_without_burst)
{
	struct fixture f;

	set_up(&f, V2);
	made_up_remove(&f.m, "v2/g/cpu.max.burst");
	prepare(&f, THROTTLE_CPU);
	cr_expect_eq(set(&f, THROTTLE_CPU, 100 * MS), 0);
	cr_expect_str_eq(value(&f, "cpu.max"), "10000 100000");
	cr_expect_eq(made_up_restore(&f.m).restored, 1);
	cr_expect_str_eq(value(&f, "cpu.max"), "max 100000");
	tear_down(&f);
}

Test(throttle, leaves_foreign_values_alone)
{
	static const char *const foreign[] = { "30000 100000\n", "10000 50000\n" };

	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
		struct ledger_counts counts;
		struct fixture f;

		set_up(&f, V2);
		prepare(&f, THROTTLE_CPU);
		cr_expect_eq(set(&f, THROTTLE_CPU, 100 * MS), 0);
		put(&f, "cpu.max", foreign[i]);
		cr_expect_eq(set(&f, THROTTLE_CPU, 200 * MS), -ESTALE);
		cr_expect_eq(set(&f, THROTTLE_CPU, PFUSE_UNLIMITED), -ESTALE);
		cr_expect_str_eq(throttle_why(f.t, THROTTLE_CPU, -ESTALE),
				 "somebody else changed it; left alone");
		counts = made_up_restore(&f.m);
		cr_expect_eq(counts.foreign, 1);
		cr_expect_not_null(strstr(made_up_said, "cpu.max of g"), "%s", made_up_said);
		tear_down(&f);
	}
}

Test(throttle, tells_lacking_controllers_from_lost_groups)
{
	struct throttle_cpu cpu;
	struct throttle_io io;
	struct fixture f;

	set_up(&f, V1);
	throttle_close(f.t);
	made_up_remove(&f.m, path_of(&f, "cpuset.cpus"));
	made_up_remove(&f.m, path_of(&f, "cpuset.mems"));
	made_up_remove(&f.m, path_of(&f, "cpuset.effective_cpus"));
	made_up_remove(&f.m, "v1/cpuset/g/cgroup.procs");
	made_up_remove(&f.m, "v1/cpuset/g");
	cr_assert_eq(throttle_open(&f.m.tree, &f.group, &f.t), 0);
	cr_expect_eq(throttle_set_cpus(f.t, f.m.ledger, "0"), -ENOENT);
	cr_expect_eq(ledger_live(f.m.ledger), 0);
	cr_expect_eq(set(&f, THROTTLE_CPU, MS), -EINVAL, "not prepared");
	prepare(&f, THROTTLE_CPU);
	/* Removed and made again by somebody else: another directory under the same path. */
	int cpu_fd = f.m.tree.hierarchies[f.m.tree.serves[CGROUP_CPU]].fd;

	cr_assert_eq(renameat(cpu_fd, "g", cpu_fd, "old"), 0);
	cr_expect_eq(throttle_read_cpu(f.t, &cpu), -ENODEV);
	made_up_dir(&f.m, "v1/cpu,cpuacct/g");
	cr_expect_eq(throttle_read_cpu(f.t, &cpu), -ENODEV);
	cr_expect_eq(set(&f, THROTTLE_CPU, MS), -ENODEV);
	cr_expect_eq(throttle_read_io(f.t, &io), 0, "that hierarchy still has it");
	cr_expect_not_null(strstr(throttle_why(f.t, THROTTLE_CPU, -EINVAL), "v1 wants"));
	cr_expect_not_null(strstr(throttle_why(f.t, THROTTLE_IO_READ, -ENOENT), "blkio"));
	tear_down(&f);
}

Test(throttle, v2_without_a_controller_says_so)
{
	struct throttle_cpu cpu;
	struct throttle_io io;
	struct fixture f;

	set_up(&f, V2);
	made_up_remove(&f.m, "v2/g/cpu.max");
	made_up_remove(&f.m, "v2/g/io.stat");
	cr_expect_eq(throttle_read_cpu(f.t, &cpu), -ENOENT);
	cr_expect_eq(throttle_read_io(f.t, &io), -ENOENT);
	cr_expect_eq(throttle_prepare(f.t, f.m.ledger, THROTTLE_CPU), -ENOENT);
	cr_expect_eq(throttle_prepare(f.t, f.m.ledger, THROTTLE_IO_READ), -ENOENT);
	made_up_remove(&f.m, "v2/g/cgroup.procs");
	cr_expect_eq(throttle_read_cpu(f.t, &cpu), -ENODEV, "now the group is gone");
	tear_down(&f);
}

/* I/O */

static void counters(struct fixture *f, uint64_t read, uint64_t write, uint64_t other)
{
	char text[512];

	snprintf(text, sizeof(text),
		 f->v2 ? DEVICE " rbytes=%llu wbytes=%llu rios=1 wios=1 dbytes=0 dios=0\n"
				"4095:8 \n4095:9 rbytes=%llu wbytes=0 rios=1\n"
		       : DEVICE " Read %llu\n" DEVICE " Write %llu\n" DEVICE " Async 5\n"
				"4095:8 Total 9\n4095:9 Read %llu\nTotal 77\n",
		 (unsigned long long)read, (unsigned long long)write, (unsigned long long)other);
	put(f, f->v2 ? "io.stat" : "blkio.throttle.io_service_bytes_recursive", text);
}

Test(throttle, sums_the_growth_of_the_busiest_device)
{
	static const struct {
		uint64_t read, write, other;	  /* counters */
		uint64_t read_bytes, write_bytes; /* what is told */
	} table[] = {
		{ 1000, 500, 0, 0, 0 }, /* the base */
		{ 1100, 500, 0, 100, 0 },
		{ 1100, 500, 0, 100, 0 },
		{ 1150, 900, 70, 170, 400 }, /* another device, busier */
		{ 1250, 900, 80, 270, 400 },
		{ 40, 900, 80, 310, 400 }, /* went back: a new device of that number */
		{ 40, 900, 0, 310, 400 },
	};

	for (int v2 = 0; v2 < 2; v2++) {
		struct fixture f;

		set_up(&f, v2 ? V2 : V1);
		for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
			counters(&f, table[i].read, table[i].write, table[i].other);
			struct throttle_io io = read_io(&f);

			cr_expect_eq(io.read_bytes, table[i].read_bytes, "row %zu: %llu", i,
				     (unsigned long long)io.read_bytes);
			cr_expect_eq(io.write_bytes, table[i].write_bytes, "row %zu: %llu", i,
				     (unsigned long long)io.write_bytes);
			cr_expect_eq(io.read_limit, PFUSE_UNLIMITED);
		}
		tear_down(&f);
	}
}

Test(throttle, survives_odd_counters)
{
	static const char *const texts[] = {
		"",
		"\n",
		"8",
		"8:",
		"8:0",
		"8:0 ",
		"8:0 rbytes=",
		"8:0 rbytes=x wbytes=3\n",
		":0 rbytes=1\n",
		"99999999999:0 rbytes=5\n",
		"8:0 rbytes=99999999999999999999999\n",
		"8:0 Read\n8:0 Write \n",
		"(unknown) rbytes=1\n\n\n",
	};
	struct fixture f;

	set_up(&f, V2);
	put(&f, "io.stat", "");
	read_io(&f);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		put(&f, "io.stat", texts[i]);
		cr_expect_eq(read_io(&f).read_bytes, 0, "row %zu", i);
	}
	tear_down(&f);
}

static const char *limit_file(const struct fixture *f, bool write)
{
	if (f->v2)
		return "io.max";
	return write ? "blkio.throttle.write_bps_device" : "blkio.throttle.read_bps_device";
}

Test(throttle, limits_each_direction_and_gives_it_back)
{
	for (int i = 0; i < 8; i++) {
		bool write = i & 1, crash = i & 4;
		enum throttle_kind kind = write ? THROTTLE_IO_WRITE : THROTTLE_IO_READ;
		const char *old, *ours;
		struct throttle_io io;
		struct fixture f;

		set_up(&f, i & 2 ? V2 : V1);
		old = !f.v2 ? DEVICE " 5000" : write ? DEVICE " wbps=5000" : DEVICE " rbps=5000";
		ours = !f.v2 ? DEVICE " 1000" : write ? DEVICE " wbps=1000" : DEVICE " rbps=1000";
		put(&f, limit_file(&f, write), old);
		prepare(&f, kind);
		cr_expect_eq(ledger_live(f.m.ledger), 1);
		cr_expect_eq(set(&f, kind, 1000), 0);
		cr_expect_str_eq(value(&f, limit_file(&f, write)), ours, "%d", i);
		io = read_io(&f);
		cr_expect_eq(write ? io.write_limit : io.read_limit, 1000);
		cr_expect_eq(write ? io.read_limit : io.write_limit, PFUSE_UNLIMITED);
		cr_expect_not(throttle_io_lags(f.t, kind));
		if (crash) {
			made_up_kill_ledger(&f.m);
			made_up_ledger(&f.m);
			cr_expect_eq(made_up_restore(&f.m).restored, 1, "%s", made_up_said);
		} else {
			cr_expect_eq(set(&f, kind, PFUSE_UNLIMITED), 0);
		}
		cr_expect_str_eq(value(&f, limit_file(&f, write)), old, "%d", i);
		tear_down(&f);
	}
}

Test(throttle, no_limit_is_written_as_the_kernel_takes_it)
{
	struct fixture f;

	set_up(&f, V2);
	prepare(&f, THROTTLE_IO_READ);
	cr_expect_eq(set(&f, THROTTLE_IO_READ, 0), 0);
	cr_expect_str_eq(value(&f, "io.max"), DEVICE " rbps=1");
	cr_expect_eq(set(&f, THROTTLE_IO_READ, PFUSE_UNLIMITED), 0);
	cr_expect_str_eq(value(&f, "io.max"), DEVICE " rbps=max");
	tear_down(&f);
	set_up(&f, V1);
	prepare(&f, THROTTLE_IO_WRITE);
	cr_expect_eq(set(&f, THROTTLE_IO_WRITE, 0), 0);
	cr_expect_str_eq(value(&f, "blkio.throttle.write_bps_device"), DEVICE " 1");
	cr_expect_eq(set(&f, THROTTLE_IO_WRITE, PFUSE_UNLIMITED), 0);
	cr_expect_str_eq(value(&f, "blkio.throttle.write_bps_device"), DEVICE " 0");
	tear_down(&f);
}

Test(throttle, limits_what_the_group_begins_to_use)
{
	struct fixture f;

	set_up(&f, V2);
	put(&f, "io.stat", "");
	prepare(&f, THROTTLE_IO_READ);
	cr_expect_eq(set(&f, THROTTLE_IO_READ, 1000), 0);
	cr_expect_str_eq(value(&f, "io.max"), "", "it has used no disk");
	cr_expect_not(throttle_io_used(f.t));
	cr_expect_eq(read_io(&f).read_limit, 1000, "it will hold");
	cr_expect_not(throttle_io_lags(f.t, THROTTLE_IO_READ));
	counters(&f, 5, 5, 0);
	cr_expect_eq(read_io(&f).read_limit, PFUSE_UNLIMITED);
	cr_expect(throttle_io_used(f.t));
	cr_expect(throttle_io_lags(f.t, THROTTLE_IO_READ));
	cr_expect_not(throttle_io_lags(f.t, THROTTLE_IO_WRITE));
	cr_expect_eq(set(&f, THROTTLE_IO_READ, 1000), 0);
	cr_expect_str_eq(value(&f, "io.max"), DEVICE " rbps=1000");
	cr_expect_not(throttle_io_lags(f.t, THROTTLE_IO_READ));
	cr_expect_eq(made_up_restore(&f.m).restored, 1);
	cr_expect_str_eq(value(&f, "io.max"), DEVICE " rbps=max");
	tear_down(&f);
}

Test(throttle, leaves_foreign_devices_alone_and_forgets_lost_ones)
{
	struct fixture f;

	/* Ours was replaced: sysfs does not know the device, so it counts as lost, and nothing is written. */
	set_up(&f, V2);
	prepare(&f, THROTTLE_IO_READ);
	cr_expect_eq(set(&f, THROTTLE_IO_READ, 1000), 0);
	put(&f, "io.max", DEVICE " rbps=77");
	cr_expect_eq(set(&f, THROTTLE_IO_READ, 2000), 0);
	cr_expect_str_eq(value(&f, "io.max"), DEVICE " rbps=77");
	cr_expect_eq(ledger_live(f.m.ledger), 0, "nothing is left to undo there");
	/* A new one of that number begins anew, with what is there as its old value. */
	counters(&f, 9999999, 1, 0);
	cr_expect_eq(set(&f, THROTTLE_IO_READ, 2000), 0);
	cr_expect_str_eq(value(&f, "io.max"), DEVICE " rbps=2000");
	cr_expect_eq(made_up_restore(&f.m).restored, 1);
	cr_expect_str_eq(value(&f, "io.max"), DEVICE " rbps=77");
	tear_down(&f);
}

/* A device that this machine has, so that it cannot count as lost. */
static bool real_device(char *buf, size_t size)
{
	struct stat st;

	for (unsigned int minor = 0; minor < 8; minor++) {
		snprintf(buf, size, "/sys/dev/block/7:%u", minor);
		if (stat(buf, &st) == 0) {
			snprintf(buf, size, "7:%u", minor);
			return true;
		}
	}
	return false;
}

Test(throttle, somebody_elses_limit_of_one_device_stops_the_kind)
{
	char device[64], text[256];
	struct fixture f;

	if (!real_device(device, sizeof(device)))
		cr_skip_test("SKIP: no loop device on this machine");
	set_up(&f, V2);
	snprintf(text, sizeof(text), "%s rbytes=10 wbytes=10\n", device);
	put(&f, "io.stat", text);
	prepare(&f, THROTTLE_IO_READ);
	cr_expect_eq(set(&f, THROTTLE_IO_READ, 1000), 0);
	snprintf(text, sizeof(text), "%s rbps=77 wbps=max\n", device);
	put(&f, "io.max", text);
	cr_expect_eq(set(&f, THROTTLE_IO_READ, 2000), -ESTALE);
	cr_expect_eq(made_up_restore(&f.m).foreign, 1);
	cr_expect_not_null(strstr(made_up_said, "rbps=77"), "%s", made_up_said);
	tear_down(&f);
}

/* cpuset */

Test(throttle, sets_cpus_and_nodes_in_the_kernels_form)
{
	static const struct {
		const char *list;
		int result;
		const char *file;
	} table[] = {
		{ "0", 0, "0" },
		{ "3,1,0", 0, "0-1,3" },
		{ "0-1,1-2", 0, "0-2" },
		{ " 8191\n", 0, "8191" },
		{ "0,", 0, "0" },
		{ "8192", -EINVAL, NULL },
		{ "2-1", -EINVAL, NULL },
		{ "a", -EINVAL, NULL },
		{ "0;1", -EINVAL, NULL },
		{ "-1", -EINVAL, NULL },
		{ "0-7:1/2", -EINVAL, NULL },
	};
	char buf[64];
	struct fixture f;

	for (size_t i = 0; i < 2 * ARRAY_SIZE(table); i++) {
		size_t row = i / 2;

		set_up(&f, i % 2 ? V2 : V1);
		cr_expect_eq(throttle_set_cpus(f.t, f.m.ledger, table[row].list), table[row].result,
			     "row %zu", row);
		cr_expect_str_eq(value(&f, "cpuset.cpus"), table[row].file ?: (f.v2 ? "" : "0-3"),
				 "row %zu", row);
		cr_expect_eq(throttle_set_mems(f.t, f.m.ledger, "0"), 0);
		cr_expect_eq(throttle_read_mems(f.t, buf, sizeof(buf)), 0);
		cr_expect_str_eq(buf, "0");
		made_up_kill_ledger(&f.m);
		made_up_ledger(&f.m);
		made_up_restore(&f.m);
		cr_expect_str_eq(value(&f, "cpuset.cpus"), f.v2 ? "" : "0-3", "row %zu", row);
		cr_expect_eq(throttle_read_cpus(f.t, buf, sizeof(buf)), 0);
		cr_expect_str_eq(buf, f.v2 ? "" : "0-3");
		tear_down(&f);
	}
}

Test(throttle, leaves_a_foreign_cpuset_alone)
{
	struct fixture f;

	set_up(&f, V1);
	cr_expect_eq(throttle_set_cpus(f.t, f.m.ledger, "0-1"), 0);
	put(&f, "cpuset.cpus", "2\n");
	cr_expect_eq(throttle_set_cpus(f.t, f.m.ledger, "0"), -ESTALE);
	cr_expect_eq(made_up_restore(&f.m).foreign, 1);
	cr_expect_str_eq(value(&f, "cpuset.cpus"), "2");
	tear_down(&f);
}

Test(throttle, tells_a_pinned_group)
{
	static const struct {
		enum layout layout;
		const char *own, *parents;
		int result;
		bool pinned;
	} table[] = {
		{ V1, "0-3\n", "0-3\n", 0, false },
		{ V1, "1\n", "0-3\n", 0, true },
		{ V1, "0,2-3\n", "0-3\n", 0, true },
		{ V1, "0-3\n", "0-1\n", 0, false }, /* CPUs went offline */
		{ V2, "\n", "0-3\n", 0, false },
		{ V2, "2\n", "0-3\n", 0, true },
		{ V2, "0-3\n", "0-3\n", 0, false }, /* as a ledger leaves it */
		{ V2, "0-3\n", "nonsense\n", -EBADMSG, false },
	};
	struct fixture f;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		bool pinned = false;

		set_up(&f, table[i].layout);
		put(&f, "cpuset.cpus", table[i].own);
		made_up_write(&f.m, f.v2 ? "v2/cpuset.cpus.effective" : "v1/cpuset/cpuset.cpus",
			      table[i].parents);
		cr_expect_eq(throttle_is_pinned(f.t, &pinned), table[i].result, "row %zu", i);
		cr_expect_eq(pinned, table[i].pinned, "row %zu", i);
		tear_down(&f);
	}
}

Test(throttle, the_cpus_in_force)
{
	struct fixture f;
	char buf[64];

	for (int v2 = 0; v2 < 2; v2++) {
		set_up(&f, v2 ? V2 : V1);
		cr_expect_eq(throttle_read_effective_cpus(f.t, buf, sizeof(buf)), 0);
		cr_expect_str_eq(buf, "0-3");
		tear_down(&f);
	}
}

static int partition(struct fixture *f, enum throttle_partition kind, struct err *err)
{
	return throttle_set_partition(f->t, f->m.ledger, kind, err);
}

Test(throttle, partitions_are_recorded_and_given_back)
{
	struct fixture f;
	struct err err;

	set_up(&f, V2);
	cr_expect_eq(throttle_set_cpus(f.t, f.m.ledger, "2-3"), 0);
	cr_expect_eq(partition(&f, THROTTLE_ROOT, &err), 0, "%s", err.text);
	cr_expect_str_eq(value(&f, "cpuset.cpus.partition"), "root");
	cr_expect_eq(partition(&f, THROTTLE_ISOLATED, &err), 0, "%s", err.text);
	cr_expect_str_eq(value(&f, "cpuset.cpus.partition"), "isolated");
	/* The kernel says so when a CPU of it goes: still what we wrote. */
	put(&f, "cpuset.cpus.partition", "isolated invalid (Invalid cpu list)\n");
	made_up_kill_ledger(&f.m);
	made_up_ledger(&f.m);
	cr_expect_eq(made_up_restore(&f.m).restored, 2);
	cr_expect_str_eq(value(&f, "cpuset.cpus.partition"), "member");
	cr_expect_str_eq(value(&f, "cpuset.cpus"), "");
	tear_down(&f);

	set_up(&f, V2);
	cr_expect_eq(partition(&f, THROTTLE_ROOT, &err), 0);
	put(&f, "cpuset.cpus.partition", "isolated\n");
	cr_expect_eq(partition(&f, THROTTLE_MEMBER, &err), -ESTALE);
	cr_expect(err.text[0]);
	cr_expect_eq(made_up_restore(&f.m).foreign, 1);
	cr_expect_str_eq(value(&f, "cpuset.cpus.partition"), "isolated");
	tear_down(&f);

	set_up(&f, V1);
	cr_expect_eq(partition(&f, THROTTLE_ROOT, &err), -EOPNOTSUPP);
	cr_expect(err.text[0]);
	tear_down(&f);
}

Test(throttle, closing_nothing_is_allowed)
{
	throttle_close(NULL);
}
