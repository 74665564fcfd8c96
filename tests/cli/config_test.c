/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The configuration file: what a good one says, and the words for every kind of bad one. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "config/config.h"

#define MS UINT64_C(1000000)
#define S (1000 * MS)
#define MIB (UINT64_C(1) << 20)

static const char good[] =
	"# all there is\n"
	"policy: fusebox\n"
	"interval: 250ms\n"
	"stop: signal\n"
	"groups:\n"
	"  - match: \"docker:web*\"\n"
	"    ram: { mode: act, floor: 64M, ceiling: 4G, high_water: 85%, cool_down: 0s, grace: 5s }\n"
	"    cpu: { mode: act, floor: 0.1, ceiling: 1.5 }\n"
	"    io: { mode: act, floor: 2M, ceiling: 500M }\n"
	"    net:\n"
	"      mode: off\n"
	"      low: 1\n"
	"      high: 7\n"
	"    freeze: off\n"
	"    idle: 100ms\n"
	"    deadline: 1s\n"
	"    window: 2s\n"
	"  - match: system.slice/*\n"
	"    ram: { mode: observe }\n"
	"    freeze: isolated\n"
	"  - match: docker:*\n"
	"    freeze: guarded\n"
	"    probe: 2s\n"
	"    probe_from: local, 10.1.0.0/16 2001:db8::1\n"
	"    page_out: on\n"
	"    foreign: reapply\n"
	"  - match: \"*\"\n";

static char directory[64], path[128];

static void make_directory(void)
{
	strcpy(directory, "/tmp/pfuse-config-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/c.yaml", directory);
}

static void remove_directory(void)
{
	unlink(path);
	rmdir(directory);
}

TestSuite(config, .init = make_directory, .fini = remove_directory);

static void write_file(const void *text, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, size), (ssize_t)size);
	close(fd);
}

static int load(const char *text, struct config *ret, struct err *err)
{
	write_file(text, strlen(text));
	return config_load(path, ret, err);
}

Test(config, good_file)
{
	struct err err = { "" };
	struct config c;
	const struct fcb_policy *p;

	cr_assert_eq(load(good, &c, &err), 0, "%s", err.text);
	cr_assert_eq(c.policy, CONFIG_FUSEBOX);
	cr_assert_eq(c.interval_ns, 250 * MS);
	cr_assert_eq(c.stop, CONFIG_STOP_SIGNAL);
	cr_assert_eq(c.ngroups, 4);
	p = &c.groups[0].policy;
	cr_assert_str_eq(c.groups[0].match, "docker:web*");
	cr_assert_eq(p->ram_floor_bytes, 64 * MIB);
	cr_assert_eq(p->ram_ceiling_bytes, 4096 * MIB);
	cr_assert_eq(p->high_water_permille, 850);
	cr_assert_eq(p->cool_down_ns, 0);
	cr_assert_eq(c.groups[0].grace_ns, 5 * S);
	cr_assert_eq(c.groups[1].grace_ns, 20 * S);
	cr_assert_eq(p->mode[FCB_RAM], FCB_ACT);
	cr_assert_eq(p->mode[FCB_CPU], FCB_ACT);
	cr_assert_eq(p->cpu_floor_permille, 100);
	cr_assert_eq(p->cpu_ceiling_permille, 1500);
	cr_assert_eq(p->mode[FCB_IO_READ], FCB_ACT);
	cr_assert_eq(p->mode[FCB_IO_WRITE], FCB_ACT);
	cr_assert_eq(p->io_floor_kib, 2048);
	cr_assert_eq(p->io_ceiling_kib, 500 * 1024);
	cr_assert_eq(p->mode[FCB_NET], FCB_OFF);
	cr_assert_eq(p->net_low, 1);
	cr_assert_eq(p->net_high, 7);
	cr_assert_eq(p->freeze, FCB_FREEZE_OFF);
	cr_assert_eq(p->idle_ns, 100 * MS);
	cr_assert_eq(p->deadline_ns, 1 * S);
	cr_assert_eq(p->window_ns, 2 * S);
	p = &c.groups[1].policy;
	cr_assert_eq(p->mode[FCB_RAM], FCB_OBSERVE);
	cr_assert_eq(p->mode[FCB_CPU], FCB_OBSERVE, "what is not said is the default");
	cr_assert_eq(p->io_ceiling_kib, 0);
	cr_assert_eq(p->ram_floor_bytes, c.defaults.policy.ram_floor_bytes);
	cr_assert_eq(p->freeze, FCB_FREEZE_ISOLATED);
	cr_assert(!c.groups[1].page_out && c.groups[2].page_out);
	cr_assert_eq(c.groups[1].policy.foreign, FCB_FOREIGN_AUTO);
	cr_assert_eq(c.groups[2].policy.foreign, FCB_FOREIGN_REAPPLY);
	cr_assert_eq(c.groups[2].policy.freeze, FCB_FREEZE_GUARDED);
	cr_assert_eq(c.groups[2].policy.probe_ns, 2 * S);
	cr_assert(c.groups[2].probe_from && c.groups[2].probe_from->local);
	cr_assert_eq(c.groups[2].probe_from->count, 2);
	cr_expect_eq(c.groups[2].probe_from->prefixes[0].bits, 96 + 16);
	cr_expect_arr_eq(c.groups[2].probe_from->prefixes[0].address,
			 ((uint8_t[16]){ [10] = 0xff, 0xff, 10, 1 }), 16);
	cr_expect_eq(c.groups[2].probe_from->prefixes[1].bits, 128);
	cr_expect_eq(c.groups[2].probe_from->prefixes[1].address[1], 1);
	cr_expect_null(c.groups[1].probe_from);
	config_free(&c);
	cr_assert(!c.groups && !c.ngroups);
	config_free(&c);
}

Test(config, empty_files_are_the_defaults)
{
	static const char *const texts[] = { "", "\n\n", "# nothing\n", "---\n", "groups: []\n" };
	struct config defaults, c;
	struct err err = { "" };

	config_default(&defaults);
	cr_expect_eq(defaults.policy, CONFIG_ADAPTIVE);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (strcmp(texts[i], "---\n") == 0)
			continue; /* a document that is one empty value: see below */
		cr_assert_eq(load(texts[i], &c, &err), 0, "%s: %s", texts[i], err.text);
		cr_assert_eq(c.interval_ns, defaults.interval_ns);
		cr_assert_eq(c.ngroups, 0);
		cr_assert_eq(c.defaults.policy.ram_floor_bytes,
			     defaults.defaults.policy.ram_floor_bytes);
		config_free(&c);
	}
}

/* What is said holds under any policy, and what is not follows it. */
Test(config, idle_groups_are_stopped_under_fusebox_alone)
{
	struct config c;
	struct err err = { "" };

	config_default(&c);
	cr_expect_eq(c.defaults.policy.freeze, FCB_FREEZE_OFF);
	config_settle(&c, CONFIG_FUSEBOX);
	cr_expect_eq(c.defaults.policy.freeze, FCB_FREEZE_ISOLATED);

	cr_assert_eq(load("groups:\n  - match: a\n    freeze: guarded\n  - match: b\n", &c, &err),
		     0);
	cr_expect_eq(c.groups[1].policy.freeze, FCB_FREEZE_OFF);
	cr_expect_eq(c.defaults.policy.freeze, FCB_FREEZE_OFF);
	config_settle(&c, CONFIG_FUSEBOX);
	cr_expect_eq(c.groups[0].policy.freeze, FCB_FREEZE_GUARDED);
	cr_expect_eq(c.groups[1].policy.freeze, FCB_FREEZE_ISOLATED);
	cr_expect_eq(c.defaults.policy.freeze, FCB_FREEZE_ISOLATED);
	config_free(&c);
}

Test(config, first_match_wins)
{
	struct err err = { "" };
	struct config c;

	cr_assert_eq(load("groups:\n  - match: docker:web\n  - match: docker:*\n"
			  "  - match: system.slice/ng*\n  - match: /a/b\n",
			  &c, &err),
		     0, "%s", err.text);
	cr_assert_eq(config_match(&c, "docker:web", NULL), &c.groups[0]);
	cr_assert_eq(config_match(&c, "docker:web2", "docker/0123"), &c.groups[1]);
	cr_assert_eq(config_match(&c, "unit:nginx", "system.slice/nginx.service"), &c.groups[2]);
	cr_assert_eq(config_match(&c, "pid:3", "/system.slice/nginx.service/x"), &c.groups[2],
		     "a star matches slashes too");
	cr_assert_eq(config_match(&c, NULL, "a/b"), &c.groups[3]);
	cr_assert_eq(config_match(&c, "a/b/c", "a/b/c"), &c.defaults);
	cr_assert_eq(config_match(&c, NULL, NULL), &c.defaults);
	config_free(&c);
}

static const struct bad {
	const char *text;
	const char *message; /* behind the name of the file */
} bads[] = {
	/* keys */
	{ "policy: fusebox\nintervall: 1s\n",
	  ":2: unknown key \"intervall\"; allowed: policy, interval, stop, cpus, weights, curve, memory, "
	  "groups" },
	{ "groups:\n  - match: a\n\n    rams: {}\n",
	  ":4: unknown key \"rams\"; allowed: match, ram, cpu, io, net, freeze, foreign, idle, "
	  "deadline, window, probe, probe_from, page_out, type, character, nice, table, tables, slice" },
	{ "groups:\n  - match: a\n  - match: b\n    ram:\n      mode: act\n      flor: 1M\n",
	  ":6: unknown key \"flor\"; allowed: mode, floor, ceiling, high_water, cool_down, "
	  "grace" },
	{ "groups:\n  - match: a\n    net: { floor: 1M }\n",
	  ":3: unknown key \"floor\"; allowed: mode, low, high" },
	{ "stop: auto\n\nstop: auto\n", ":3: \"stop\" is given twice; once is allowed" },
	{ "groups:\n  - match: a\n  - freeze: off\n", ":3: groups: \"match\" is missing" },
	{ "? [a, b]\n: c\n", ":1: a key: expected a single word" },
	{ "\"a\\x1b[2J\": 1\n",
	  ":1: unknown key \"a\\x1b[2J\"; allowed: policy, interval, stop, cpus, weights, curve, memory, "
	  "groups" },
	/* types */
	{ "hello\n", ":1: the file: expected keys with values (key: value)" },
	{ "- a\n", ":1: the file: expected keys with values (key: value)" },
	{ "---\n", ":2: the file: expected keys with values (key: value)" },
	{ "\ngroups: web\n", ":2: groups: expected a list" },
	{ "groups: { match: a }\n", ":1: groups: expected a list" },
	{ "groups:\n", ":1: groups: expected a list" },
	{ "groups:\n  - web\n", ":2: groups: expected keys with values (key: value)" },
	{ "groups:\n  - match: [a]\n", ":2: match: expected a single value" },
	{ "groups:\n  - match: a\n    ram: act\n",
	  ":3: ram: expected keys with values (key: value)" },
	{ "interval: [1s]\n", ":1: interval: expected a single value" },
	{ "policy: { a: b }\n", ":1: policy: expected a single value" },
	/* words */
	{ "groups:\n  - match: a\n    ram: { grace: 2h }\n",
	  ":3: ram.grace: \"2h\" is not allowed; allowed: a duration from 0s to 1h" },
	{ "policy: best\n", ":1: policy: \"best\" is unknown; allowed: fusebox, adaptive" },
	{ "policy:\n", ":1: policy: \"\" is unknown; allowed: fusebox, adaptive" },
	{ "policy: 0\n", ":1: policy: \"0\" is unknown; allowed: fusebox, adaptive" },
	{ "policy: Fusebox\n", ":1: policy: \"Fusebox\" is unknown; allowed: fusebox, adaptive" },
	{ "stop: kill\n", ":1: stop: \"kill\" is unknown; allowed: auto, freeze, signal" },
	{ "groups:\n  - match: a\n    cpu: { mode: on }\n",
	  ":3: mode: \"on\" is unknown; allowed: observe, off, act" },
	{ "groups:\n  - match: a\n    ram: { mode: on }\n",
	  ":3: mode: \"on\" is unknown; allowed: observe, off, act" },
	{ "groups:\n  - match: a\n    freeze: frozen\n",
	  ":3: freeze: \"frozen\" is unknown; allowed: off, isolated, guarded" },
	{ "groups:\n  - match: a\n    foreign: mine\n",
	  ":3: foreign: \"mine\" is unknown; allowed: auto, let_go, reapply" },
	{ "groups:\n  - match: a\n    page_out: maybe\n",
	  ":3: page_out: \"maybe\" is unknown; allowed: off, on" },
	{ "groups:\n  - match: a\n    probe_from: locale\n",
	  ":3: probe_from: \"locale\" is not allowed; allowed: local, addresses and prefixes, at most "
	  "32, like \"local 10.0.0.0/8 2001:db8::1\"" },
	{ "groups:\n  - match: a\n    probe_from: 10.0.0.0/33\n",
	  ":3: probe_from: \"10.0.0.0/33\" is not allowed; allowed: local, addresses and prefixes, at most "
	  "32, like \"local 10.0.0.0/8 2001:db8::1\"" },
	{ "groups:\n  - match: a\n    probe_from: \" , \"\n",
	  ":3: probe_from: \" , \" is not allowed; allowed: local, addresses and prefixes, at most "
	  "32, like \"local 10.0.0.0/8 2001:db8::1\"" },
	{ "groups:\n  - match: a\n    probe: 2h\n",
	  ":3: probe: \"2h\" is not allowed; allowed: a duration from 0s to 1h" },
	/* quantities */
	{ "interval: 999us\n",
	  ":1: interval: \"999us\" is not allowed; allowed: a duration from 1ms to 60s" },
	{ "interval: 61s\n",
	  ":1: interval: \"61s\" is not allowed; allowed: a duration from 1ms to 60s" },
	{ "interval: 1\n",
	  ":1: interval: \"1\" is not allowed; allowed: a duration from 1ms to 60s" },
	{ "interval: -1s\n",
	  ":1: interval: \"-1s\" is not allowed; allowed: a duration from 1ms to 60s" },
	{ "groups:\n  - match: a\n    ram:\n      floor: 64MB\n",
	  ":4: ram.floor: \"64MB\" is not allowed; allowed: a size above 0, with K, M, G or T, "
	  "like "
	  "64M" },
	{ "groups:\n  - match: a\n    ram:\n      ceiling: 0\n",
	  ":4: ram.ceiling: \"0\" is not allowed; allowed: a size above 0, with K, M, G or T, like "
	  "64M" },
	{ "groups:\n  - match: a\n    ram:\n      ceiling: max\n",
	  ":4: ram.ceiling: \"max\" is not allowed; allowed: a size above 0, with K, M, G or T, "
	  "like "
	  "64M" },
	{ "groups:\n  - match: a\n    ram:\n      ceiling: 1G\n      floor: 2G\n",
	  ":5: ram: the floor (2147483648 bytes) is above the ceiling (1073741824 bytes); allowed: "
	  "floor <= ceiling" },
	{ "groups:\n  - match: a\n    ram:\n      ceiling: 1M\n",
	  ":4: ram: the floor (16777216 bytes, the default) is above the ceiling (1048576 bytes); "
	  "allowed: floor <= ceiling" },
	{ "groups:\n  - match: a\n    cpu: { cpus: 0-x }\n",
	  ":3: cpu.cpus: \"0-x\" is not allowed; allowed: a list of numbers, like 0-3,8" },
	{ "groups:\n  - match: a\n    cpu: { mems: \"\" }\n",
	  ":3: cpu.mems: \"\" is not allowed; allowed: a list of numbers, like 0-3,8" },
	{ "groups:\n  - match: a\n    type: auto\n    cpu: { cpus: 1 }\n",
	  ":4: cpu: cpus and type exclude each other; a group with a type is given its CPUs" },
	{ "groups:\n  - match: a\n    cpu: { floor: 0.005 }\n",
	  ":3: cpu.floor: \"0.005\" is not allowed; allowed: a number of CPUs from 0.01, like "
	  "0.5" },
	{ "groups:\n  - match: a\n    cpu: { ceiling: 0 }\n",
	  ":3: cpu.ceiling: \"0\" is not allowed; allowed: a number of CPUs from 0.01, like 0.5" },
	{ "groups:\n  - match: a\n    cpu: { ceiling: 50% }\n",
	  ":3: cpu.ceiling: \"50%\" is not allowed; allowed: a number of CPUs from 0.01, like "
	  "0.5" },
	{ "groups:\n  - match: a\n    cpu:\n      ceiling: 1\n      floor: 2\n",
	  ":5: cpu: the floor (2.00 CPUs) is above the ceiling (1.00 CPUs); allowed: floor <= "
	  "ceiling" },
	{ "groups:\n  - match: a\n    cpu: { ceiling: 0.04 }\n",
	  ":3: cpu: the floor (0.05 CPUs, the default) is above the ceiling (0.04 CPUs); allowed: "
	  "floor <= ceiling" },
	{ "groups:\n  - match: a\n    io: { floor: 1K }\n",
	  ":3: io.floor: \"1K\" is not allowed; allowed: a size per second from 64K to 1T, like "
	  "10M" },
	{ "groups:\n  - match: a\n    io: { ceiling: max }\n",
	  ":3: io.ceiling: \"max\" is not allowed; allowed: a size per second from 64K to 1T, like "
	  "10M" },
	{ "groups:\n  - match: a\n    io: { floor: 2M, ceiling: 1M }\n",
	  ":3: io: the floor (2048 KiB) is above the ceiling (1024 KiB); allowed: floor <= "
	  "ceiling" },
	{ "groups:\n  - match: a\n    net: { high: 8 }\n",
	  ":3: net.high: \"8\" is not allowed; allowed: a socket priority from 0 to 7" },
	{ "groups:\n  - match: a\n    net: { low: -1 }\n",
	  ":3: net.low: \"-1\" is not allowed; allowed: a socket priority from 0 to 7" },
	{ "groups:\n  - match: a\n    net: { low: 7 }\n",
	  ":3: net: low (7) is above high (6, the default); allowed: low <= high" },
	{ "groups:\n  - match: a\n    ram: { high_water: 49% }\n",
	  ":3: ram.high_water: \"49%\" is not allowed; allowed: 50% to 99%" },
	{ "groups:\n  - match: a\n    ram: { high_water: 100% }\n",
	  ":3: ram.high_water: \"100%\" is not allowed; allowed: 50% to 99%" },
	{ "groups:\n  - match: a\n    ram: { high_water: 90 }\n",
	  ":3: ram.high_water: \"90\" is not allowed; allowed: 50% to 99%" },
	{ "groups:\n  - match: a\n    ram: { cool_down: 2h }\n",
	  ":3: ram.cool_down: \"2h\" is not allowed; allowed: a duration from 0s to 1h" },
	{ "groups:\n  - match: a\n  - match: b\n    idle: 999us\n",
	  ":4: idle: \"999us\" is not allowed; allowed: a duration from 1ms to 24h" },
	{ "groups:\n  - match: a\n    deadline: 999ms\n",
	  ":3: deadline: \"999ms\" is not allowed; allowed: a duration from 1s to 24h" },
	{ "groups:\n  - match: a\n    window: 2h\n",
	  ":3: window: \"2h\" is not allowed; allowed: a duration from 100ms to 1h" },
	{ "groups:\n  - match: ''\n", ":2: match: \"\" is not allowed; allowed: a GROUP or a glob, "
				      "like \"system.slice/web*\"" },
	{ "groups:\n  - match: \"a\\0b\"\n", ":2: match: expected text without a 0 byte" },
	{ "groups:\n  - match: a\n    nice: -31\n",
	  ":3: nice: \"-31\" is not allowed; allowed: a whole number from -30 to 29" },
	{ "groups:\n  - match: a\n    nice: 30\n",
	  ":3: nice: \"30\" is not allowed; allowed: a whole number from -30 to 29" },
	{ "groups:\n  - match: a\n    nice: --1\n",
	  ":3: nice: \"--1\" is not allowed; allowed: a whole number from -30 to 29" },
	{ "groups:\n  - match: a\n    nice: 18446744073709551617\n",
	  ":3: nice: \"18446744073709551617\" is not allowed; allowed: a whole number from -30 "
	  "to 29" },
	{ "groups:\n  - match: a\n    type: se\n",
	  ":3: type: \"se\" is unknown; allowed: off, auto, service, scientific" },
	{ "groups:\n  - match: a\n    character: on\n",
	  ":3: character: \"on\" is unknown; allowed: off, auto, interactive, batch, mixed" },
	{ "groups:\n  - match: a\n    tables: { batch: grouped3 }\n",
	  ":3: batch: \"grouped3\" is unknown; allowed: kernel, grouped2, grouped5, refined, own" },
	{ "groups:\n  - match: a\n    slice: 99us\n",
	  ":3: slice: \"99us\" is not allowed; allowed: a duration from 0.1ms to 100ms" },
	{ "weights: { list: \"1024 0\" }\n",
	  ":1: weights.list: \"1024 0\" is not allowed; allowed: 1 to 60 numbers from 1 to 10000000, "
	  "with blanks between" },
	{ "weights: { list: \"\" }\n",
	  ":1: weights.list: \"\" is not allowed; allowed: 1 to 60 numbers from 1 to 10000000, with "
	  "blanks between" },
	{ "weights: { first: 1 }\n", ":1: weights: \"list\" is missing" },
	{ "weights: { first: 30, list: \"1\" }\n",
	  ":1: weights.first: \"30\" is not allowed; allowed: a whole number from -30 to 29" },
	{ "groups:\n  - match: a\n    table: own\n",
	  ":2: the table \"own\" needs weights: { list: ... } at the top" },
	{ "cpus: { alpha: 0% }\n", ":1: cpus.alpha: \"0%\" is not allowed; allowed: 1% to 100%" },
	{ "cpus: { utilisation: 70 }\n",
	  ":1: cpus.utilisation: \"70\" is not allowed; allowed: 1% to 100%" },
	{ "curve: { measure: maybe }\n", ":1: measure: \"maybe\" is unknown; allowed: off, on" },
	{ "curve: { budget: 60% }\n",
	  ":1: curve.budget: \"60%\" is not allowed; allowed: 0.1% to 50%" },
	{ "stop: auto\ncurve:\n  every: 10m\n",
	  ":3: curve.every: \"10m\" is not allowed; allowed: a duration from 1s to 9m" },
	{ "memory: { total: 0 }\n", ":1: memory.total: \"0\" is not allowed; allowed: a size above 0, "
				    "with K, M, G or T, like 8G" },
	{ "memory: { low: 51% }\n", ":1: memory.low: \"51%\" is not allowed; allowed: 0% to 50%" },
	{ "cpus: { beta: -1 }\n",
	  ":1: cpus.beta: \"-1\" is not allowed; allowed: a whole number from 0 to 1000" },
	{ "stop: auto\ncpus:\n  check: 5ms\n",
	  ":3: cpus.check: \"5ms\" is not allowed; allowed: a duration from 10ms to 1h" },
	{ "cpus: { wait_p99: 11s }\n",
	  ":1: cpus.wait_p99: \"11s\" is not allowed; allowed: a duration from 0s to 10s" },
	/* the text itself */
	{ "policy: fusebox\n---\npolicy: fusebox\n",
	  ":2: a second document begins; only one is allowed" },
	{ "interval: &i 1s\nstop: *i\n", ":2: aliases are not allowed; write the value out" },
	{ "groups:\n  - match: [[[[[[[[[[[[[[[\n", ":2: nested too deeply" },
	{ "policy: fusebox\ngroups: [\n", ":3: not YAML: did not find expected node content" },
	{ "policy: fusebox\n\tstop: auto\n",
	  ":2: not YAML: found a tab character that violates indentation" },
	{ "policy: fusebox\nstop: \xff\n", ":2: not YAML: invalid leading UTF-8 octet" },
	{ "policy: *x\n", ":1: aliases are not allowed; write the value out" },
};

Test(config, bad_files)
{
	for (size_t i = 0; i < ARRAY_SIZE(bads); i++) {
		struct config c = { .ngroups = 77 };
		struct err err = { "" };

		cr_assert_eq(load(bads[i].text, &c, &err), -EINVAL, "%s", bads[i].text);
		cr_assert(strncmp(err.text, path, strlen(path)) == 0, "%s", err.text);
		cr_assert_str_eq(err.text + strlen(path), bads[i].message);
		cr_assert_eq(c.ngroups, 77, "all or nothing");
	}
}

Test(config, curves_and_short_memory)
{
	struct config c;
	struct err err = { "" };

	config_default(&c);
	cr_expect(c.curve_measure && c.curve_budget_permille == 10 && !c.memory_total_bytes &&
		  c.memory_low_permille == 50);
	cr_assert_eq(load("curve: { measure: off, budget: 0.5%, every: 90s }\n"
			  "memory: { total: 8G, low: 0% }\n",
			  &c, &err),
		     0, "%s", err.text);
	cr_expect(!c.curve_measure && c.curve_budget_permille == 5 && c.curve_every_ns == 90 * S);
	cr_expect(c.memory_total_bytes == 8ull << 30 && c.memory_low_permille == 0);
	config_free(&c);
}

Test(config, cpus_types_and_characters)
{
	static const char *const text =
		"cpus: { alpha: 75%, beta: 0, check: 250ms, wait_p99: 0s, utilisation: 100%,\n"
		"        partition: isolated }\n"
		"weights: { first: -1, list: \" 2000 1024\\t500 \" }\n"
		"groups:\n"
		"  - { match: a, type: auto, character: auto, nice: -30, table: refined }\n"
		"  - { match: b, type: service, slice: 10ms, tables: { batch: grouped2, mixed: own } }\n"
		"  - { match: c, type: scientific, character: batch, nice: 29,\n"
		"      table: grouped5, tables: { interactive: kernel } }\n"
		"  - match: d\n";
	struct config c;
	struct err err;

	cr_assert_eq(load(text, &c, &err), 0, "%s", err.text);
	cr_expect(c.cpus.alpha_permille == 750 && c.cpus.beta == 0 &&
		  c.cpus.check_ns == 250000000 && c.cpus.wait_p99_ns == 0 &&
		  c.cpus.utilisation_permille == 1000);
	cr_expect_eq(c.partition, CONFIG_PARTITION_ISOLATED);
	const struct cpus_policy *p = &c.groups[0].cpus;
	cr_expect(p->type == WORKLOAD_AUTO && p->character == PRIO_AUTO && p->nice == -30);
	for (int i = 1; i < PFUSE_CHARACTERS; i++)
		cr_expect_eq(p->table[i], PRIO_REFINED);
	p = &c.groups[1].cpus;
	cr_expect(p->type == WORKLOAD_SERVICE && p->character == PRIO_OFF && p->nice == 0);
	cr_expect(c.groups[1].slice_ns == 10000000 && c.groups[0].slice_ns == 0);
	cr_expect_eq(p->table[PFUSE_CHARACTER_BATCH], PRIO_GROUPED2);
	cr_expect_eq(p->table[PFUSE_CHARACTER_INTERACTIVE], 0, "the default");
	cr_expect_eq(p->table[PFUSE_CHARACTER_MIXED], PRIO_OWN);
	cr_expect(c.own.first == -1 && c.own.count == 3 && c.own.weights[0] == 2000 &&
		  c.own.weights[2] == 500);
	p = &c.groups[2].cpus;
	cr_expect(p->type == WORKLOAD_SCIENTIFIC && p->character == PRIO_BATCH && p->nice == 29);
	cr_expect_eq(p->table[PFUSE_CHARACTER_INTERACTIVE], PRIO_KERNEL, "the special one wins");
	cr_expect_eq(p->table[PFUSE_CHARACTER_BATCH], PRIO_GROUPED5);
	cr_expect_not(cpus_wanted(&c.groups[3].cpus), "nothing changes for those who do not ask");
	cr_expect_not(cpus_wanted(&c.defaults.cpus));
	config_free(&c);
	config_default(&c);
	cr_expect(c.cpus.alpha_permille == 800 && c.cpus.beta == 3 && c.cpus.check_ns == 1000000000);
}

static void expect_refusal(const char *file, int code, const char *part)
{
	struct err err = { "" };
	struct config c;

	cr_assert_eq(config_load(file, &c, &err), code, "%s: %s", file, err.text);
	cr_assert(strstr(err.text, part), "%s", err.text);
	cr_assert_null(strchr(err.text, '\n'));
}

/* An unknown key lists what is allowed: each list must be what the manual says. */
Test(config, the_manual_knows_every_key)
{
	static const struct {
		const char *section;
		const char *text;
	} files[] = {
		{ NULL, "x: 1\n" },
		{ "groups", "groups:\n  - x: 1\n" },
		{ "ram", "groups:\n  - match: a\n    ram: { x: 1 }\n" },
		{ "cpu", "groups:\n  - match: a\n    cpu: { x: 1 }\n" },
		{ "io", "groups:\n  - match: a\n    io: { x: 1 }\n" },
		{ "net", "groups:\n  - match: a\n    net: { x: 1 }\n" },
		{ "tables", "groups:\n  - match: a\n    tables: { x: 1 }\n" },
		{ "weights", "weights: { x: 1 }\n" },
		{ "cpus", "cpus: { x: 1 }\n" },
		{ "curve", "curve: { x: 1 }\n" },
		{ "memory", "memory: { x: 1 }\n" },
	};
	size_t listed = 0, all = 0;

	for (const struct config_key *key = config_keys; key->name; key++)
		all++;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char want[256] = "allowed: ";
		struct err err = { "" };
		struct config c;
		size_t before = listed;

		for (const struct config_key *key = config_keys; key->name; key++) {
			if ((key->section != NULL) != (files[i].section != NULL) ||
			    (key->section && strcmp(key->section, files[i].section) != 0))
				continue;
			cr_assert(key->values[0] && key->help[0]);
			strcat(want, listed++ == before ? "" : ", ");
			strcat(want, key->name);
		}
		cr_assert_eq(load(files[i].text, &c, &err), -EINVAL);
		cr_assert_str_eq(strstr(err.text, "allowed: "), want);
	}
	cr_assert_eq(listed, all, "no key is in a section that there is not");
}

Test(config, files_that_cannot_be_read)
{
	expect_refusal("/nonexistent/c.yaml", -ENOENT,
		       "/nonexistent/c.yaml: cannot read the configuration: No such file");
	expect_refusal("/nonexistent/a\nb", -ENOENT, "/nonexistent/a\\x0ab: cannot read");
	expect_refusal(directory, -EINVAL, "the configuration must be a regular file");
	expect_refusal("/dev/null", -EINVAL, "the configuration must be a regular file");
	cr_assert_eq(mkfifo(path, 0600), 0);
	expect_refusal(path, -EINVAL, "the configuration must be a regular file");
	unlink(path);
	write_file("", 0);
	cr_assert_eq(truncate(path, (1 << 20) + 1), 0);
	expect_refusal(path, -EFBIG, "the configuration must not exceed 1 MiB");
}

/* Files that make a parser's work or recursion explode, if it lets them. */
Test(config, hostile_shapes, .timeout = 60)
{
	static const char *const units[] = {
		"[", "{",   "- ",	 "[{",	  "? ", "&a ", "!!a ",
		"'", "a: ", "groups: [", "\n \n", "#",	"*a ", "%a\n"
	};
	const size_t size = 200000;
	_cleanup_free_ char *text = malloc(size + 16);

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		size_t unit = strlen(units[i]);
		struct err err = { "" };
		struct config c;

		for (size_t at = 0; at < size; at += unit)
			memcpy(text + at, units[i], unit);
		write_file(text, size);
		if (config_load(path, &c, &err) == 0)
			config_free(&c);
	}
}

static uint64_t next(uint64_t *state) /* xorshift64 */
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	return *state ^= *state << 17;
}

/* What a loaded configuration may never be, whatever was in the file. */
static void check_invariants(const struct config *c)
{
	cr_assert(c->interval_ns >= MS && c->interval_ns <= 60 * S);
	for (size_t i = 0; i < c->ngroups; i++) {
		const struct fcb_policy *p = &c->groups[i].policy;

		cr_assert(c->groups[i].match && c->groups[i].match[0]);
		cr_assert(!p->ram_ceiling_bytes || p->ram_floor_bytes <= p->ram_ceiling_bytes);
		cr_assert(p->high_water_permille >= 500 && p->high_water_permille <= 990);
		cr_assert(p->deadline_ns >= S && p->idle_ns >= MS);
		cr_assert(!p->cpu_ceiling_permille ||
			  p->cpu_floor_permille <= p->cpu_ceiling_permille);
		cr_assert(p->cpu_floor_permille >= 10 && p->io_floor_kib >= 64);
		cr_assert(!p->io_ceiling_kib || p->io_floor_kib <= p->io_ceiling_kib);
		cr_assert(p->net_low <= p->net_high && p->net_high <= 7);
		for (int kind = 0; kind < FCB_RESOURCES; kind++)
			cr_assert_leq(p->mode[kind], FCB_ACT);
		cr_assert_leq(p->freeze, FCB_FREEZE_GUARDED);
	}
}

Test(config, mutated_files, .timeout = 110)
{
	static const char bytes[] = ":-{}[],&*!|>'\"%@`#?~ \n\t\\\0\xff\x80_0aM";
	uint64_t state = 0x9e3779b97f4a7c15ULL;
	unsigned good_ones = 0;
	int fd = memfd_create("config", MFD_CLOEXEC); /* 20,000 files on a disk take their time */

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);

	for (unsigned round = 0; round < 20000; round++) {
		char text[sizeof(good)];
		size_t size = sizeof(good) - 1;
		struct err err = { "" };
		struct config c;

		memcpy(text, good, sizeof(good));
		for (unsigned n = 1 + next(&state) % 4; n > 0; n--)
			text[next(&state) % size] = next(&state) % 2
							    ? (char)next(&state)
							    : bytes[next(&state) % sizeof(bytes)];
		if (next(&state) % 4 == 0)
			size = next(&state) % size;
		cr_assert(ftruncate(fd, 0) == 0 && pwrite(fd, text, size, 0) == (ssize_t)size);
		if (config_load(path, &c, &err) == 0) {
			check_invariants(&c);
			config_free(&c);
			good_ones++;
		} else {
			cr_assert(err.text[0] && !strchr(err.text, '\n'), "%s", err.text);
		}
	}
	close(fd);
	cr_assert_gt(good_ones, 100, "some mutations are harmless");
}
