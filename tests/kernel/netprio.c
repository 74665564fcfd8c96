/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The priority of a group's sockets: new ones, old ones, against the application, and on the wire. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "edge/netprio.h"
#include "twins.h"

#define SLOT 1

static struct twins group;
static struct netprio *netprio;

static void tear_down(void)
{
	netprio_close(netprio);
	netprio = NULL;
	twins_close(&group);
	rig_fini();
}

/* Not in net_prio's hierarchy, if that is mounted: this is about BPF. */
static void set_up(void)
{
	rig_parts = PROBE_NET;
	rig_init();
	twins_make(&group, "net", 0);
	if (group.tree.v2 < 0)
		TWINS_SKIP(tear_down, "no v2 hierarchy is mounted");
	watch(SLOT, group.groups[0]);
	cr_assert_eq(netprio_open(&group.tree, &group.cgroup, probe, SLOT, &netprio), 0);
	cr_assert_eq(netprio_prepare(netprio, group.ledger), 0);
	cr_assert_eq(ledger_commit(group.ledger), 0);
}

TestSuite(netprio, .init = set_up, .fini = tear_down);

static int set(uint32_t level)
{
	return netprio_set(netprio, group.ledger, level);
}

/* Jobs of a worker: -errno or what was asked for */

static long job_socket(long type)
{
	int fd = socket(AF_INET, (int)type, 0);

	return fd < 0 ? -errno : fd;
}

static long option(int fd, int level, int name)
{
	int value = 0;
	socklen_t size = sizeof(value);

	return getsockopt(fd, level, name, &value, &size) < 0 ? -errno : value;
}

static long job_priority(long fd)
{
	return option((int)fd, SOL_SOCKET, SO_PRIORITY);
}

static long job_tos(long fd)
{
	return option((int)fd, IPPROTO_IP, IP_TOS);
}

/* fd * 256 + value */
static long job_ask_priority(long arg)
{
	int value = (int)(arg % 256);

	return setsockopt((int)(arg / 256), SOL_SOCKET, SO_PRIORITY, &value, sizeof(value)) < 0
		       ? -errno
		       : 0;
}

static long job_ask_tos(long arg)
{
	int value = (int)(arg % 256);

	return setsockopt((int)(arg / 256), IPPROTO_IP, IP_TOS, &value, sizeof(value)) < 0 ? -errno
											   : 0;
}

static long job_ask_too_short(long fd)
{
	return setsockopt((int)fd, SOL_SOCKET, SO_PRIORITY, "\2", 1) < 0 ? -errno : 0;
}

/* Options longer than a page are shown to BPF in part; they must reach the kernel whole. */
static long job_ask_long(long fd)
{
	static int value[4096] = { 1 };

	return setsockopt((int)fd, SOL_SOCKET, SO_KEEPALIVE, value, sizeof(value)) < 0 ? -errno : 0;
}

static long job_keepalive(long fd)
{
	return option((int)fd, SOL_SOCKET, SO_KEEPALIVE);
}

/* As somebody else sees it: not through the programs, which only its own group meets. */
static long priority_from_outside(const struct worker *worker, long fd)
{
	int pidfd = (int)syscall(SYS_pidfd_open, worker->pid, 0);
	int borrowed = (int)syscall(SYS_pidfd_getfd, pidfd, (int)fd, 0);
	long priority = borrowed < 0 ? -errno : job_priority(borrowed);

	close(borrowed);
	close(pidfd);
	return priority;
}

static void expect_priority(struct worker *worker, long fd, long expected, const char *what)
{
	cr_expect_eq(worker_do(worker, job_priority, fd), expected, "%s: %ld", what,
		     worker_do(worker, job_priority, fd));
	cr_expect_eq(priority_from_outside(worker, fd), expected, "%s, from outside", what);
}

Test(netprio, sockets_old_and_new_have_the_level_until_it_is_released)
{
	struct worker *inside = twins_worker(&group), *outside = worker_start(NULL);
	long plain = worker_do(inside, job_socket, SOCK_DGRAM);
	long own = worker_do(inside, job_socket, SOCK_STREAM);
	long foreign = worker_do(outside, job_socket, SOCK_DGRAM);

	cr_expect_eq(worker_do(inside, job_ask_priority, own * 256 + 3), 0);
	cr_assert_eq(set(5), 0);
	long born = worker_do(inside, job_socket, SOCK_DGRAM);

	for (uint32_t level = 5;; level = 2) {
		expect_priority(inside, plain, level, "a socket that was there");
		expect_priority(inside, own, level, "one with a priority of its own");
		expect_priority(inside, born, level, "a new one");
		expect_priority(outside, foreign, 0, "another group's");
		expect_priority(outside, worker_do(outside, job_socket, SOCK_DGRAM), 0,
				"another group's new one");
		if (level == 2)
			break;
		cr_assert_eq(set(2), 0);
	}
	cr_assert_eq(set(NETPRIO_RELEASE), 0);
	expect_priority(inside, plain, 0, "released");
	expect_priority(inside, own, 3, "released: its own");
	expect_priority(inside, born, 0, "released: born under us");
	expect_priority(inside, worker_do(inside, job_socket, SOCK_DGRAM), 0, "a new one after");
}

Test(netprio, the_application_may_ask_and_gets_it_afterwards)
{
	struct worker *inside = twins_worker(&group);
	long asks = worker_do(inside, job_socket, SOCK_DGRAM);
	long asks_tos = worker_do(inside, job_socket, SOCK_STREAM);
	long before = worker_do(inside, job_ask_too_short, asks);

	cr_assert_eq(set(1), 0);
	cr_expect_eq(worker_do(inside, job_ask_priority, asks * 256 + 6), 0, "its call succeeds");
	expect_priority(inside, asks, 1, "the level holds");
	cr_expect_eq(worker_do(inside, job_ask_tos, asks_tos * 256 + IPTOS_LOWDELAY), 0);
	cr_expect_eq(worker_do(inside, job_tos, asks_tos), IPTOS_LOWDELAY,
		     "TOS is the application's");
	expect_priority(inside, asks_tos, 1, "the level holds against IP_TOS");
	cr_expect_eq(worker_do(inside, job_ask_too_short, asks), before, "refused as ever");
	cr_expect_lt(before, 0);
	cr_expect_eq(worker_do(inside, job_ask_long, asks_tos), 0, "longer than a page");
	cr_expect_eq(worker_do(inside, job_keepalive, asks_tos), 1);
	cr_assert_eq(set(NETPRIO_RELEASE), 0);
	expect_priority(inside, asks, 6, "what it asked for last");
	expect_priority(inside, asks_tos, 6, "what IP_TOS means: interactive");
	cr_expect_eq(worker_do(inside, job_ask_priority, asks * 256 + 2), 0);
	expect_priority(inside, asks, 2, "nobody is in its way any more");
}

/* Accepts one connection to itself; the accepted end was never made by socket(2). */
static long job_accept(long listener)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);
	int client = socket(AF_INET, SOCK_STREAM, 0);

	getsockname((int)listener, (struct sockaddr *)&at, &size);
	if (connect(client, (struct sockaddr *)&at, size) < 0)
		return -errno;
	return accept((int)listener, NULL, NULL);
}

static long job_listen(long unused)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 4) < 0)
		return -errno;
	return fd;
}

Test(netprio, accepted_connections_follow_their_listener)
{
	struct worker *inside = twins_worker(&group);
	long listener = worker_do(inside, job_listen, 0);

	cr_assert_geq(listener, 0);
	cr_expect_eq(worker_do(inside, job_ask_priority, listener * 256 + 4), 0);
	long natural = worker_do(inside, job_priority, worker_do(inside, job_accept, listener));

	cr_assert_eq(set(6), 0);
	long younger = worker_do(inside, job_listen, 0);
	long one = worker_do(inside, job_accept, listener);
	long two = worker_do(inside, job_accept, younger);

	cr_assert(one >= 0 && two >= 0);
	expect_priority(inside, one, 6, "accepted by a listener that was there");
	expect_priority(inside, two, 6, "accepted by a new one");
	cr_assert_eq(set(3), 0);
	expect_priority(inside, one, 3, "level changed");
	expect_priority(inside, worker_do(inside, job_accept, younger), 3, "accepted afterwards");
	cr_assert_eq(set(NETPRIO_RELEASE), 0);
	expect_priority(inside, listener, 4, "released");
	expect_priority(inside, one, natural, "what accepted connections have without us");
	expect_priority(inside, two, natural, "likewise");
	expect_priority(inside, worker_do(inside, job_accept, younger), natural, "no longer held");
}

Test(netprio, nothing_is_held_after_closing)
{
	struct worker *inside = twins_worker(&group);
	long before = worker_do(inside, job_socket, SOCK_DGRAM);

	cr_assert_eq(set(7), 0);
	expect_priority(inside, before, 7, "held");
	netprio_close(netprio);
	netprio = NULL;
	expect_priority(inside, before, 0, "given back");
	expect_priority(inside, worker_do(inside, job_socket, SOCK_DGRAM), 0, "new");
	cr_expect_eq(worker_do(inside, job_ask_priority, before * 256 + 5), 0);
	expect_priority(inside, before, 5, "asked");
}

/* Another daemon, which will die without a word. */
static long job_hold(long level)
{
	netprio = NULL;
	watch_open(1);
	watch(SLOT, group.groups[0]);
	int err = netprio_open(&group.tree, &group.cgroup, probe, SLOT, &netprio);

	return err ?: set((uint32_t)level);
}

static bool is_born_free(void *context)
{
	return worker_do(context, job_priority, worker_do(context, job_socket, SOCK_DGRAM)) == 0;
}

Test(netprio, a_daemon_that_is_killed_leaves_no_program)
{
	struct worker *inside = twins_worker(&group), *daemon = worker_start(NULL);
	long before = worker_do(inside, job_socket, SOCK_DGRAM);

	cr_assert_eq(worker_do(daemon, job_hold, 5), 0);
	cr_expect_not(is_born_free(inside));
	worker_end(daemon);
	cr_expect(poll_until(is_born_free, inside));
	expect_priority(inside, before, 5, "what the header says about a crash");
	cr_expect_eq(worker_do(inside, job_ask_priority, before * 256 + 2), 0);
	expect_priority(inside, before, 2, "the application is free");
}

Test(netprio, a_group_that_is_gone_is_told)
{
	cr_assert_eq(set(1), 0);
	for (size_t i = group.count; i-- > 0;)
		group_remove(group.groups[i]);
	cr_expect_eq(set(2), -ENODEV);
	cr_expect_eq(set(NETPRIO_RELEASE), 0);
}

/* On the wire: packets are counted by skb->priority as they leave through one end of a veth pair. */

static int count_packets(int map)
{
	const struct bpf_insn insns[] = {
		/* r2 = skb->priority; if (r2 > 7) goto out */
		{ .code = BPF_LDX | BPF_MEM | BPF_W,
		  .dst_reg = 2,
		  .src_reg = 1,
		  .off = offsetof(struct __sk_buff, priority) },
		{ .code = BPF_JMP | BPF_JGT | BPF_K, .dst_reg = 2, .imm = 7, .off = 9 },
		/* count = lookup(map, &priority) */
		{ .code = BPF_STX | BPF_MEM | BPF_W, .dst_reg = 10, .src_reg = 2, .off = -4 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 2, .src_reg = 10 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 2, .imm = -4 },
		{ .code = BPF_LD | BPF_DW | BPF_IMM,
		  .dst_reg = 1,
		  .src_reg = BPF_PSEUDO_MAP_FD,
		  .imm = map },
		{ 0 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_map_lookup_elem },
		{ .code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = 0, .imm = 0, .off = 2 },
		/* ++*count */
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .imm = 1 },
		{ .code = BPF_STX | BPF_ATOMIC | BPF_DW,
		  .dst_reg = 0,
		  .src_reg = 1,
		  .imm = BPF_ADD },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = TC_ACT_OK },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "count_packets", "GPL", insns,
			     sizeof(insns) / sizeof(insns[0]), NULL);
}

/* Namespaces of this test program and of a worker, which go with them. */
static long job_new_netns(long unused)
{
	return unshare(CLONE_NEWNET) < 0 ? -errno : 0;
}

static bool make_veth(const struct worker *peer)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "PATH=$PATH:/usr/sbin:/sbin; ip link add pfuse0 type veth peer name pfuse1 netns "
		 "%d && "
		 "ip addr add 192.0.2.1/24 dev pfuse0 && ip link set pfuse0 up && "
		 "nsenter -t %d -n ip addr add 192.0.2.2/24 dev pfuse1 && "
		 "nsenter -t %d -n ip link set pfuse1 up",
		 peer->pid, peer->pid, peer->pid);
	return system(command) == 0;
}

static int watch_interface(int program)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex("pfuse0"),
		    .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = program);
	int err = bpf_tc_hook_create(&hook);

	return err && err != -EEXIST ? err : bpf_tc_attach(&hook, &opts);
}

/* fd of a datagram socket; returns the bytes sent */
static long job_send(long fd)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };

	inet_pton(AF_INET, "192.0.2.2", &to.sin_addr);
	return sendto((int)fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to));
}

static uint64_t counted(int map, uint32_t priority)
{
	uint64_t count = 0;

	bpf_map_lookup_elem(map, &priority, &count);
	return count;
}

Test(netprio, packets_carry_the_level)
{
	struct worker *peer = worker_start(NULL);
	int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "by_priority", 4, 8, 8, NULL), program;

	if (worker_do(peer, job_new_netns, 0) < 0 || job_new_netns(0) < 0 || !make_veth(peer))
		TWINS_SKIP(tear_down, "no veth pair can be made here");
	struct worker *inside = twins_worker(&group); /* a child of ours: in our namespace */

	program = count_packets(map);
	cr_assert_geq(program, 0, "%s", strerror(errno));
	int err = watch_interface(program);

	if (err)
		TWINS_SKIP(tear_down, "no BPF classifier on this kernel: %s", strerror(-err));
	long fd = worker_do(inside, job_socket, SOCK_DGRAM);
	static const uint32_t levels[] = { 5, 1, 5, 3 };

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		uint64_t before = counted(map, levels[i]), zero = counted(map, 0);

		cr_assert_eq(set(levels[i]), 0);
		for (int n = 0; n < 10; n++)
			cr_expect_eq(worker_do(inside, job_send, fd), 1);
		/* ARP may hold the first ones back for a moment; what it sends itself has priority 0. */
		for (int waited = 0; waited < 1000 && counted(map, levels[i]) < before + 10;
		     waited++)
			sleep_ms(1);
		cr_expect_eq(counted(map, levels[i]), before + 10, "level %u: %llu", levels[i],
			     (unsigned long long)(counted(map, levels[i]) - before));
		cr_expect_leq(counted(map, 0) - zero, 4, "ARP at most");
	}
	cr_assert_eq(set(NETPRIO_RELEASE), 0);
	uint64_t zero = counted(map, 0);

	cr_expect_eq(worker_do(inside, job_send, fd), 1);
	cr_expect_geq(counted(map, 0), zero + 1);
	close(program);
	close(map);
}
