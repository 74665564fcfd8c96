/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Who counts as a peer outside the group: one table of {channel, who connects, who listens, what the
 * managed groups are told}. All traffic stays on the loopback device of a network namespace of the test's
 * own, which has 192.0.2.1 as its "own address".
 *
 * "Told although both are inside" marks what BPF cannot know and therefore takes for an outsider.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "talk.h"

#define SLOT_A 1
#define SLOT_B 2

static const struct talk_case cases[] = {
	{ "TCP within", TCP, "127.0.0.1", IN_A, IN_A, SILENT },
	{ "TCP to an outsider", TCP, "127.0.0.1", IN_A, OUTSIDE, OUTGOING },
	{ "TCP from an outsider", TCP, "127.0.0.1", OUTSIDE, IN_A, INCOMING },
	{ "TCP between outsiders", TCP, "127.0.0.1", OUTSIDE, OUTSIDE, SILENT },
	{ "TCP between two groups", TCP, "127.0.0.1", IN_A, IN_B, OUTGOING, INCOMING },
	{ "TCP within, warm", TCP, "127.0.0.1", IN_A, IN_A, SILENT, .warm = true },
	{ "TCP to an outsider, warm", TCP, "127.0.0.1", IN_A, OUTSIDE, OUTGOING, .warm = true },
	{ "TCP from an outsider, warm", TCP, "127.0.0.1", OUTSIDE, IN_A, INCOMING, .warm = true },
	{ "TCP 127.0.0.2 within", TCP, "127.0.0.2", IN_A, IN_A, SILENT },
	{ "TCP 127.0.0.2 to an outsider", TCP, "127.0.0.2", IN_A, OUTSIDE, OUTGOING },
	{ "TCP 127.0.0.2 from an outsider", TCP, "127.0.0.2", OUTSIDE, IN_A, INCOMING },
	{ "TCP ::1 within", TCP, "::1", IN_A, IN_A, SILENT },
	{ "TCP ::1 to an outsider", TCP, "::1", IN_A, OUTSIDE, OUTGOING },
	{ "TCP ::1 from an outsider", TCP, "::1", OUTSIDE, IN_A, INCOMING },
	{ "TCP mapped IPv4 within", TCP, "::ffff:127.0.0.1", IN_A, IN_A, SILENT },
	{ "TCP mapped IPv4 from an outsider", TCP, "::ffff:127.0.0.1", OUTSIDE, IN_A, INCOMING },
	{ "TCP own address within", TCP, "192.0.2.1", IN_A, IN_A, SILENT },
	{ "TCP own address to an outsider", TCP, "192.0.2.1", IN_A, OUTSIDE, OUTGOING },
	{ "TCP own address from an outsider", TCP, "192.0.2.1", OUTSIDE, IN_A, INCOMING },
	{ "UDP to an outsider", UDP, "127.0.0.1", IN_A, OUTSIDE, OUTGOING },
	{ "UDP from an outsider", UDP, "127.0.0.1", OUTSIDE, IN_A, INCOMING },
	{ "UDP between two groups", UDP, "127.0.0.1", IN_A, IN_B, OUTGOING, INCOMING },
	/* the first message goes to a port that nobody was seen using: told although both are inside */
	{ "UDP within, first message", UDP, "127.0.0.1", IN_A, IN_A, OUTGOING },
	{ "UDP within, warm", UDP, "127.0.0.1", IN_A, IN_A, SILENT, .warm = true },
	{ "UDP ::1 within, warm", UDP, "::1", IN_A, IN_A, SILENT, .warm = true },
	{ "UDP to an outsider, warm", UDP, "127.0.0.1", IN_A, OUTSIDE, OUTGOING, .warm = true },
	{ "UDP from an outsider, warm", UDP, "127.0.0.1", OUTSIDE, IN_A, INCOMING, .warm = true },
	{ "UDP unconnected to an outsider", UDP_UNCONNECTED, "127.0.0.1", IN_A, OUTSIDE, OUTGOING },
	{ "UDP unconnected from an outsider", UDP_UNCONNECTED, "127.0.0.1", OUTSIDE, IN_A,
	  INCOMING },
	/* the socket does not know its peer: told although both are inside */
	{ "UDP unconnected within", UDP_UNCONNECTED, "127.0.0.1", IN_A, IN_A, OUTGOING,
	  .warm = true },
	{ "UNIX stream within", UNIX_STREAM, NULL, IN_A, IN_A, SILENT },
	{ "UNIX stream to an outsider", UNIX_STREAM, NULL, IN_A, OUTSIDE, OUTGOING },
	{ "UNIX stream from an outsider", UNIX_STREAM, NULL, OUTSIDE, IN_A, INCOMING },
	{ "UNIX stream between two groups", UNIX_STREAM, NULL, IN_A, IN_B, OUTGOING, INCOMING },
	{ "UNIX stream between outsiders", UNIX_STREAM, NULL, OUTSIDE, OUTSIDE, SILENT },
	{ "UNIX datagram to an outsider", UNIX_DGRAM, NULL, IN_A, OUTSIDE, OUTGOING },
	{ "UNIX datagram from an outsider", UNIX_DGRAM, NULL, OUTSIDE, IN_A, INCOMING },
	/* a datagram socket keeps no peer's process: told although both are inside */
	{ "UNIX datagram within", UNIX_DGRAM, NULL, IN_A, IN_A, OUTGOING },
	{ "socketpair to the outsider that made it", PAIR, NULL, IN_A, OUTSIDE, OUTGOING },
	{ "socketpair from the outsider that made it", PAIR, NULL, OUTSIDE, IN_A, INCOMING },
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

/* Two workers at each place, so that a client and a server are always two processes. */
static struct worker *client_at[3], *server_at[3];

static void start_at(enum where where, const struct group *group)
{
	client_at[where] = worker_start(group);
	server_at[where] = worker_start(group);
}

static void peers_init(void)
{
	rig_init();
	if (!probe_sees_talks(probe))
		RIG_SKIP("this kernel has no hooks at sending and receiving");
	talk_network();
	talk_pair();
	struct group *a = group_make(NULL, "a"), *b = group_make(NULL, "b");

	start_at(OUTSIDE, NULL);
	start_at(IN_A, a);
	start_at(IN_B, b);
	watch(SLOT_A, a);
	watch(SLOT_B, b);
}

TestSuite(peers, .init = peers_init, .fini = rig_fini);

static uint32_t channel_of(enum how how)
{
	switch (how) {
	case TCP:
		return PFUSE_CH_TCP;
	case UDP:
	case UDP_UNCONNECTED:
		return PFUSE_CH_UDP;
	default:
		return PFUSE_CH_UNIX;
	}
}

static void arm_both(void)
{
	watch_forget();
	probe_arm(probe, SLOT_A, PFUSE_ARM_TALK);
	probe_arm(probe, SLOT_B, PFUSE_ARM_TALK);
}

static void expect_told(const struct talk_case *row, uint32_t slot, enum told expected,
			uint32_t talks)
{
	struct pfuse_event event = { 0 };
	unsigned int told = watch_events(slot, PFUSE_EV_TALK, &event);
	char group = (char)('A' + slot - SLOT_A);

	talks = watch_read(slot).talks - talks;
	cr_expect_eq(told, expected != SILENT, "%s: %c was told %u times", row->name, group, told);
	cr_expect((expected == SILENT) == (talks == 0), "%s: %c counts %u talks", row->name, group,
		  talks);
	if (!told || expected == SILENT)
		return;
	cr_expect_eq(event.talk.channel, channel_of(row->how), "%s: channel %u", row->name,
		     event.talk.channel);
	cr_expect_eq(event.talk.incoming, expected == INCOMING, "%s: %c: incoming is %u", row->name,
		     group, event.talk.incoming);
}

static void run_case(const struct talk_case *row)
{
	struct worker *client = client_at[row->client], *server = server_at[row->server];
	uint32_t a = watch_read(SLOT_A).talks, b = watch_read(SLOT_B).talks;

	if (!row->warm)
		arm_both();
	talk_meet(row, client, server);
	if (row->warm) {
		arm_both();
		a = watch_read(SLOT_A).talks;
		b = watch_read(SLOT_B).talks;
	}
	talk_exchange(row, client, server);
	expect_told(row, SLOT_A, row->a, a);
	expect_told(row, SLOT_B, row->b, b);
	talk_part(row, client, server);
}

Test(peers, each_way_to_talk)
{
	for (size_t i = 0; i < CASES; i++)
		run_case(&cases[i]);
}

static const struct talk_case *find_case(const char *name)
{
	for (size_t i = 0; i < CASES; i++)
		if (!strcmp(cases[i].name, name))
			return &cases[i];
	cr_assert_fail("no case %s", name);
	return NULL;
}

Test(peers, one_event_per_arming_while_talks_go_on_counting)
{
	const struct talk_case *row = find_case("TCP to an outsider, warm");
	struct worker *client = client_at[row->client], *server = server_at[row->server];
	uint32_t talks, before;

	talk_meet(row, client, server);
	for (int round = 0; round < 3; round++) {
		arm_both();
		before = watch_read(SLOT_A).talks;
		for (int i = 0; i < 5; i++)
			talk_exchange(row, client, server);
		talks = watch_read(SLOT_A).talks - before;
		cr_expect_eq(watch_events(SLOT_A, PFUSE_EV_TALK, NULL), 1);
		cr_expect_geq(talks, 10, "5 sent, 5 received: %u", talks);
	}
	probe_disarm(probe, SLOT_A, PFUSE_ARM_TALK);
	talk_exchange(row, client, server);
	cr_expect_eq(watch_events(SLOT_A, PFUSE_EV_TALK, NULL), 0);
}

/* The wait is for nothing to happen: short, but long enough for a running server to answer. */
static void talk_to_stopped(const char *name, bool accepted, worker_job *job)
{
	const struct talk_case *row = find_case(name);
	struct worker *client = client_at[OUTSIDE], *server = server_at[IN_A];
	struct pfuse_event event = { 0 };

	talk_step(row, server, talk_bind);
	if (accepted) {
		talk_step(row, client, talk_connect);
		talk_step(row, server, talk_accept);
	}
	worker_wait_asleep(server);
	kill(server->pid, SIGSTOP);
	arm_both();
	talk_step(row, client, job);
	cr_expect_eq(watch_events(SLOT_A, PFUSE_EV_TALK, &event), 1, "%s: nobody told", name);
	cr_expect_eq(event.talk.incoming, 1);
	cr_expect_eq(event.talk.channel, channel_of(row->how));
	cr_expect_eq(event.talk.pid, (uint32_t)client->pid);
	kill(server->pid, SIGCONT);
}

Test(peers, a_stopped_group_is_told_of_a_new_tcp_connection)
{
	talk_to_stopped("TCP from an outsider", false, talk_connect);
}

Test(peers, a_stopped_group_is_told_of_tcp_data)
{
	talk_to_stopped("TCP from an outsider", true, talk_send);
}

Test(peers, a_stopped_group_is_told_of_unix_data)
{
	talk_to_stopped("UNIX stream from an outsider", true, talk_send);
}

Test(peers, a_stopped_group_is_told_of_udp_data)
{
	const struct talk_case *row = find_case("UDP from an outsider, warm");
	struct worker *client = client_at[OUTSIDE], *server = server_at[IN_A];
	struct pfuse_event event = { 0 };

	talk_meet(row, client, server);
	worker_wait_asleep(server);
	kill(server->pid, SIGSTOP);
	arm_both();
	talk_step(row, client, talk_send);
	cr_expect_eq(watch_events(SLOT_A, PFUSE_EV_TALK, &event), 1);
	cr_expect_eq(event.talk.incoming, 1);
	kill(server->pid, SIGCONT);
}

/*
 * In an outsider: one socket that talks with another outsider, and in the same breath with the server at the
 * port `arg`.
 */
static long job_connect_again(long arg)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(to);
	int other = socket(AF_INET, SOCK_DGRAM, 0), fd = socket(AF_INET, SOCK_DGRAM, 0);
	bool ok = bind(other, (void *)&to, length) == 0 &&
		  getsockname(other, (void *)&to, &length) == 0 &&
		  connect(fd, (void *)&to, length) == 0;

	for (int i = 0; ok && i < 3; i++)
		ok = send(fd, "x", 1, 0) == 1;
	to.sin_port = htons((uint16_t)arg);
	ok = ok && connect(fd, (void *)&to, length) == 0 && send(fd, "x", 1, 0) == 1;
	close(fd);
	close(other);
	return ok ? 0 : -errno;
}

Test(peers, what_is_known_of_a_socket_ends_with_its_connection)
{
	const struct talk_case *row = find_case("UDP from an outsider, warm");
	struct worker *client = client_at[OUTSIDE], *server = server_at[IN_A];
	struct pfuse_event event = { 0 };

	talk_meet(row, client, server);
	for (int round = 0; round < 5; round++) {
		arm_both();
		cr_assert_eq(worker_do(client, job_connect_again, talk_port(row)), 0);
		cr_expect_eq(watch_events(SLOT_A, PFUSE_EV_TALK, &event), 1);
		cr_expect_eq(event.talk.incoming, 1);
	}
}

/* 192.0.2.77 is nobody, but lo's own network leads there: sent is sent. */
static long job_send_far(long arg)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	inet_pton(AF_INET, "192.0.2.77", &to.sin_addr);
	bool ok = connect(fd, (void *)&to, sizeof(to)) == 0 && send(fd, "x", 1, 0) == 1;

	close(fd);
	return ok ? 0 : -errno;
}

Test(peers, a_remote_peer_is_told_by_address_and_a_local_one_as_such)
{
	const struct talk_case *row = find_case("UNIX stream from an outsider");
	struct pfuse_event event = { 0 };

	arm_both();
	cr_assert_eq(worker_do(client_at[IN_A], job_send_far, 0), 0);
	cr_assert_eq(watch_events(SLOT_A, PFUSE_EV_TALK, &event), 1);
	cr_expect_eq(event.talk.where, PFUSE_WHERE_REMOTE);
	cr_expect_eq(event.talk.address[0] | event.talk.address[1], 0);
	cr_expect_eq(event.talk.address[2], htonl(0xffff));
	cr_expect_eq(event.talk.address[3], htonl(0xc000024d));
	arm_both();
	talk_meet(row, client_at[OUTSIDE], server_at[IN_A]);
	talk_exchange(row, client_at[OUTSIDE], server_at[IN_A]);
	cr_assert_eq(watch_events(SLOT_A, PFUSE_EV_TALK, &event), 1);
	cr_expect_eq(event.talk.where, PFUSE_WHERE_LOCAL);
	talk_part(row, client_at[OUTSIDE], server_at[IN_A]);
}

/* A pair that the group made for itself: both ends name a process of the group. */
static long job_pair_with_child(long arg)
{
	int ends[2], status;
	char byte = 1;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		return -errno;
	pid_t pid = fork();

	if (!pid)
		_exit(read(ends[1], &byte, 1) != 1 || write(ends[1], &byte, 1) != 1);
	if (write(ends[0], &byte, 1) != 1 || read(ends[0], &byte, 1) != 1)
		return -errno;
	close(ends[0]);
	close(ends[1]);
	return waitpid(pid, &status, 0) == pid ? status : -errno;
}

static long job_netlink(long arg)
{
	struct {
		struct nlmsghdr header;
		struct rtgenmsg general;
	} request = {
		.header = { .nlmsg_len = sizeof(request),
			    .nlmsg_type = RTM_GETLINK,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
	};
	char answer[8192];
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	bool ok = fd >= 0 && send(fd, &request, sizeof(request), 0) == sizeof(request) &&
		  recv(fd, answer, sizeof(answer), 0) > 0;

	close(fd);
	return ok ? 0 : -errno;
}

static void expect_silence(worker_job *job, const char *name)
{
	uint32_t talks = watch_read(SLOT_A).talks;

	arm_both();
	cr_expect_eq(worker_do(client_at[IN_A], job, 0), 0, "%s", name);
	cr_expect_eq(watch_events(SLOT_A, PFUSE_EV_TALK, NULL), 0, "%s", name);
	cr_expect_eq(watch_read(SLOT_A).talks, talks, "%s", name);
}

Test(peers, what_is_not_a_talk)
{
	expect_silence(job_pair_with_child, "a socketpair of the group's own");
	expect_silence(job_netlink, "netlink talks with the kernel");
	expect_silence(job_nothing,
		       "a pipe is not seen: orders and answers of these tests are pipes");
}

/* Empty messages of the packet family: nobody can tell who reads them. */
static long job_packet(long arg)
{
	char frame[64] = { 0 };
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_ifindex = (int)if_nametoindex("lo") };
	int fd = socket(AF_PACKET, SOCK_DGRAM, 0);

	if (fd < 0)
		return errno == EAFNOSUPPORT ? 0 : -errno;
	ssize_t sent = sendto(fd, frame, sizeof(frame), 0, (void *)&to, sizeof(to));

	close(fd);
	return sent < 0 ? -errno : 1;
}

Test(peers, another_family_is_an_outsider)
{
	struct pfuse_event event = { 0 };

	arm_both();
	long done = worker_do(client_at[IN_A], job_packet, 0);

	cr_assert_geq(done, 0, "%s", strerror((int)-done));
	if (!done)
		return;
	cr_expect_eq(watch_events(SLOT_A, PFUSE_EV_TALK, &event), 1);
	cr_expect_eq(event.talk.channel, PFUSE_CH_OTHER);
}

Test(peers, bytes_are_counted)
{
	const struct talk_case *row = find_case("UNIX stream to an outsider");
	struct worker *client = client_at[IN_A], *server = server_at[OUTSIDE];
	struct pfuse_stats s0 = watch_read(SLOT_A), s1;

	talk_meet(row, client, server);
	for (int i = 0; i < 7; i++)
		talk_exchange(row, client, server);
	talk_step(row, client, talk_send);
	s1 = watch_read(SLOT_A);
	cr_expect_eq(s1.tx_bytes - s0.tx_bytes, 8 * TALK_MESSAGE);
	cr_expect_eq(s1.rx_bytes - s0.rx_bytes, 7 * TALK_MESSAGE);
	cr_expect_eq(watch_read(SLOT_B).tx_bytes, 0);
}

/* In the worker: one message each way that a byte can be sent and received. Returns the bytes. */
static long job_each_call(long arg)
{
	char out[100] = { 0 }, in[100];
	struct iovec from = { out, sizeof(out) }, to = { in, sizeof(in) };
	struct mmsghdr send_many = { .msg_hdr = { .msg_iov = &from, .msg_iovlen = 1 } };
	struct mmsghdr receive_many = { .msg_hdr = { .msg_iov = &to, .msg_iovlen = 1 } };
	int ends[2];
	long bytes = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		return -errno;
	bytes += write(ends[0], out, sizeof(out)) == 100 ? read(ends[1], in, sizeof(in)) : 0;
	bytes += writev(ends[0], &from, 1) == 100 ? readv(ends[1], &to, 1) : 0;
	bytes += send(ends[0], out, sizeof(out), 0) == 100 ? recv(ends[1], in, sizeof(in), 0) : 0;
	bytes += sendmsg(ends[0], &send_many.msg_hdr, 0) == 100
			 ? recvmsg(ends[1], &receive_many.msg_hdr, 0)
			 : 0;
	bytes += sendmmsg(ends[0], &send_many, 1, 0) == 1 &&
				 recvmmsg(ends[1], &receive_many, 1, 0, NULL) == 1
			 ? 100
			 : 0;
	recv(ends[1], in, sizeof(in), MSG_DONTWAIT | MSG_PEEK);
	close(ends[0]);
	close(ends[1]);
	return bytes;
}

Test(peers, each_system_call_is_seen)
{
	struct pfuse_stats s0 = watch_read(SLOT_A), s1;

	cr_assert_eq(worker_do(client_at[IN_A], job_each_call, 0), 500);
	s1 = watch_read(SLOT_A);
	cr_expect_eq(s1.tx_bytes - s0.tx_bytes, 500, "%lu sent", s1.tx_bytes - s0.tx_bytes);
	cr_expect_eq(s1.rx_bytes - s0.rx_bytes, 500, "%lu received", s1.rx_bytes - s0.rx_bytes);
}

/* What is only looked at is not received yet. */
static long job_peek(long arg)
{
	char byte = 1;
	int ends[2];
	long got = socketpair(AF_UNIX, SOCK_STREAM, 0, ends);

	for (int i = 0; !got && i < 3; i++)
		got = write(ends[0], &byte, 1) != 1 || recv(ends[1], &byte, 1, MSG_PEEK) != 1;
	close(ends[0]);
	close(ends[1]);
	return got;
}

Test(peers, a_peek_is_not_a_message)
{
	uint64_t rx = watch_read(SLOT_A).rx_bytes;

	cr_assert_eq(worker_do(client_at[IN_A], job_peek, 0), 0);
	cr_expect_eq(watch_read(SLOT_A).rx_bytes, rx);
}

/* The receiver's report names the direction for each end: what A sent did not come in to A. */
Test(peers, the_receiver_tells_the_sender_that_it_sent)
{
	const struct talk_case *row = find_case("UNIX stream between two groups");
	struct worker *client = client_at[IN_A], *server = server_at[IN_B];
	struct pfuse_event event = { 0 };

	talk_meet(row, client, server);
	talk_step(row, client, talk_send);
	arm_both();
	talk_step(row, server, talk_receive);
	cr_expect_eq(watch_events(SLOT_B, PFUSE_EV_TALK, &event), 1);
	cr_expect_eq(event.talk.incoming, 1);
	cr_expect_eq(watch_events(SLOT_A, PFUSE_EV_TALK, &event), 1);
	cr_expect_eq(event.talk.incoming, 0);
}
