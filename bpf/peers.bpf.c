// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a group talk with processes outside it? The evidence of the Signal Flag.
 *
 * A message is judged where it is sent and where it is received, in the process that does so:
 * - UNIX: the peer's process is known from connect or accept (sk_peer_pid); its group is looked up.
 *   A datagram to an address has no such peer: outside.
 * - TCP and UDP to an address of this machine: `ports` remembers which group used a port last; the
 *   peer is that group, or outside when nobody of ours did. To any other address: outside.
 * - netlink talks with the kernel, not with a process: not a talk. Other families: outside.
 * An unknown peer counts as outside: that errs on the side of not stopping. Both ends learn of it: when
 * an outsider sends to a group, the event says `incoming`, also while the group is stopped.
 *
 * Who a socket's peer is, is found out once per tick of the clock (jiffy) and CPU; the messages of that tick
 * which go over it afterwards are counted only, as long as neither group waits to be told. So most messages
 * cost a look at a memo, and a peer's process that is moved into a group is noticed a tick late at most; a
 * port that changes hands ends what is known of all. The memo names the socket by its cookie: addresses of
 * sockets are used again at once.
 *
 * Cannot see: data that comes from another machine for a stopped group (only new connections), pipes,
 * shared memory; a sender's message whose kernel lacks the send and receive hooks; what a group sends
 * through a socketpair of its own whose other end it passed to an outsider (the answer is seen); an
 * outsider's UDP message without connect(2) for a stopped group.
 *
 * | program         | hook                         | without it                                     |
 * | on_sent         | tp_btf/sock_send_length      | on_sent_fexit                                  |
 * | on_received     | tp_btf/sock_recv_length      | on_received_fexit                              |
 * | on_sent_fexit   | fexit/security_socket_sendmsg | UDP and UNIX are not seen: nothing is stopped |
 * | on_received_fexit | fexit/sock_recvmsg         | the same                                       |
 * | seed_ports      | iter/task_file               | ports in use before us are learnt by traffic   |
 * | on_sock_state   | tp_btf/inet_sock_set_state   | new connections are seen with their first data |
 */
#include "talk.bpf.h"
#include <bpf/bpf_endian.h>

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define AF_NETLINK 16
#define MSG_PEEK 2

/* Two groups (0: unmanaged) exchanged a message: whoever is ours and not alone is told. */
static __always_inline void judge(__u32 own, __u32 peer, struct talk *talk)
{
	if (own == peer)
		return;
	if (own)
		tell_talk(own, talk);
	if (!peer)
		return;
	talk->incoming = !talk->incoming;
	talk->where = PFUSE_WHERE_LOCAL;
	tell_talk(peer, talk);
}

static __always_inline bool is_loopback4(__be32 addr)
{
	return (addr & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
}

/* Is the socket's peer on this machine: a loopback address, or its own address again? */
static __always_inline bool peer_is_local(const struct sock *sk)
{
	const struct sock_common *common = &sk->__sk_common;

	if (common->skc_family == AF_INET)
		return is_loopback4(common->skc_daddr) ||
		       (common->skc_daddr && common->skc_daddr == common->skc_rcv_saddr);

	const __be32 *to = common->skc_v6_daddr.in6_u.u6_addr32;
	const __be32 *from = common->skc_v6_rcv_saddr.in6_u.u6_addr32;

	if (!to[0] && !to[1] && to[2] == bpf_htonl(0xffff) && is_loopback4(to[3]))
		return true;
	if (!to[0] && !to[1] && !to[2] && to[3] == bpf_htonl(1))
		return true;
	return to[3] && to[0] == from[0] && to[1] == from[1] && to[2] == from[2] &&
	       to[3] == from[3];
}

/*
 * Read once, before anything depends on it: for each pointer that is read through a trusted one the
 * verifier searches all types of the kernel by name, and does so again for each way to get there.
 */
static __always_inline __u32 netns_of(const struct sock *sk)
{
	__u32 netns = sk->__sk_common.skc_net.net->ns.inum;

	barrier_var(netns);
	return netns;
}

static __always_inline struct port_key port_key(const struct sock *sk, __u32 netns, __u16 port)
{
	struct port_key key = {
		.netns = netns,
		.port = port,
		.proto = sk->sk_protocol,
	};

	return key;
}

/* `slot` (0: an outsider) uses the socket's own port now: whoever had it before does not. */
static __always_inline void claim_port(const struct sock *sk, __u32 netns, __u32 slot)
{
	struct port_key key = port_key(sk, netns, sk->__sk_common.skc_num);
	__u32 *owner = key.port ? bpf_map_lookup_elem(&ports, &key) : NULL;

	if (!key.port || (owner ? *owner == slot : !slot))
		return;
	if (slot)
		bpf_map_update_elem(&ports, &key, &slot, BPF_ANY);
	else
		bpf_map_delete_elem(&ports, &key);
	__sync_fetch_and_add(&claims, 1); /* after: who was looked up before is looked up again */
}

static __always_inline __u32 port_owner(const struct sock *sk, __u32 netns, __u16 port)
{
	struct port_key key = port_key(sk, netns, port);
	__u32 *owner = bpf_map_lookup_elem(&ports, &key);

	return owner ? *owner : 0;
}

static __always_inline void note_remote(const struct sock *sk, struct talk *talk)
{
	const struct sock_common *common = &sk->__sk_common;

	talk->where = PFUSE_WHERE_REMOTE;
	if (common->skc_family == AF_INET) {
		talk->address[2] = bpf_htonl(0xffff);
		talk->address[3] = common->skc_daddr;
		return;
	}
	for (int i = 0; i < 4; i++)
		talk->address[i] = common->skc_v6_daddr.in6_u.u6_addr32[i];
}

/* The slot of the peer, 0 for an outsider; the sender's own port is known from now on. */
static __always_inline __u32 peer_inet(const struct sock *sk, __u32 netns, __u32 slot,
				       struct talk *talk)
{
	bool local = peer_is_local(sk);

	if (!slot && !local)
		return 0;
	talk->channel = sk->sk_protocol == IPPROTO_TCP ? PFUSE_CH_TCP : PFUSE_CH_UDP;
	talk->peer_port = bpf_ntohs(sk->__sk_common.skc_dport);
	if (local)
		talk->where = PFUSE_WHERE_LOCAL;
	else
		note_remote(sk, talk);
	claim_port(sk, netns, slot);
	return local ? port_owner(sk, netns, talk->peer_port) : 0;
}

/* As group_of(), where a pointer that came out of a number cannot be dereferenced. */
static __always_inline __u32 group_of_read(struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct cgroup *cgroup;

	if (knobs.anchor == PFUSE_ANCHOR_V1_MEMORY) {
		struct cgroup_subsys_state *css = NULL;

		bpf_core_read(
			&css, sizeof(css),
			&set->subsys[bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id)]);
		cgroup = BPF_CORE_READ(css, cgroup);
	} else {
		cgroup = BPF_CORE_READ(set, dfl_cgrp);
	}
	__u64 id = BPF_CORE_READ(cgroup, kn, id);
	__u32 gen = generation, slot = 0;
	struct memo *memo = memo_of(id);

	if (!memo)
		return 0;
	if (memo_holds(memo, id))
		return (__u32)memo->answer;
	for (int depth = 0; depth < PFUSE_MAX_DEPTH && cgroup && !slot; depth++) {
		__u64 at = BPF_CORE_READ(cgroup, kn, id);
		__u32 *found = bpf_map_lookup_elem(&managed, &at);

		slot = found ? *found : 0;
		cgroup = BPF_CORE_READ(cgroup, self.parent, cgroup);
	}
	memo_store(memo, id, gen, slot);
	return slot;
}

/*
 * The group of a process known by its struct pid; 0 when it is gone or not managed. The list head in a
 * struct pid points into the task, which the verifier cannot know: the task is cast, or read with checks.
 */
static __always_inline __u32 group_of_pid(struct pid *pid)
{
	struct hlist_node *first = BPF_CORE_READ(pid, tasks[PIDTYPE_TGID].first);

	if (!first)
		return 0;
	struct task_struct *task =
		(void *)first - bpf_core_field_offset(struct task_struct, pid_links[PIDTYPE_TGID]);

	return knobs.has_rdonly_cast ? group_of(PLAIN(task_struct, task)) : group_of_read(task);
}

static __always_inline __u32 peer_unix(const struct sock *sk, __u32 slot, struct talk *talk)
{
	struct pid *peer = sk->sk_peer_pid;
	__u32 theirs = peer ? group_of_pid(peer) : 0;

	talk->channel = PFUSE_CH_UNIX;
	talk->where = PFUSE_WHERE_LOCAL;
	if (peer && slot != theirs)
		talk->peer_pid = BPF_CORE_READ(peer, numbers[0].nr);
	return theirs;
}

/* Whom a socket is connected with, as far as that can change: UDP may connect again. */
static __always_inline __u64 connected_with(const struct sock *sk, __u16 family)
{
	const struct sock_common *common = &sk->__sk_common;
	__u64 ports = (__u32)common->skc_dport << 16 | common->skc_num;

	if (family == AF_INET)
		return (__u64)common->skc_daddr << 32 | ports;
	if (family == AF_INET6)
		return (__u64)common->skc_v6_daddr.in6_u.u6_addr32[3] << 32 | ports;
	return 0;
}

static __always_inline void talk_memo_store(struct talk_memo *memo, const struct talk_memo *known)
{
	memo->cookie = 0;
	barrier();
	memo->about = known->about;
	memo->when = known->when;
	memo->own = known->own;
	memo->peer = known->peer;
	barrier();
	memo->cookie = known->cookie;
}

static __always_inline bool is_known(const struct talk_memo *memo, const struct talk_memo *now)
{
	return memo->cookie == now->cookie && memo->about == now->about &&
	       memo->when == now->when && memo->own == now->own;
}

/* A message over `sk` by a process of the group `slot`, 0: by an outsider. */
static __always_inline void judge_socket(const struct sock *sk, __u64 cookie, __u32 slot,
					 bool incoming)
{
	__u16 family = sk->__sk_common.skc_family;
	struct talk talk = { .incoming = incoming };

	if (family != AF_INET && family != AF_INET6 && family != AF_UNIX) {
		if (!slot || family == AF_NETLINK)
			return;
		talk.channel = PFUSE_CH_OTHER;
		talk.pid = bpf_get_current_pid_tgid() >> 32;
		tell_talk(slot, &talk);
		return;
	}
	struct talk_memo now = {
		.cookie = cookie,
		.about = connected_with(sk, family),
		.when = (__u64)(generation + claims) << 32 | (__u32)bpf_jiffies64(),
		.own = slot,
	};
	struct talk_memo *memo = talk_memo_of(cookie);

	if (memo && is_known(memo, &now) && count_again(slot, memo->peer))
		return;
	talk.pid = bpf_get_current_pid_tgid() >> 32;
	now.peer = family == AF_UNIX ? peer_unix(sk, slot, &talk)
				     : peer_inet(sk, netns_of(sk), slot, &talk);
	if (memo)
		talk_memo_store(memo, &now);
	judge(slot, now.peer, &talk);
}

static __always_inline int sent(struct sock *sk, int bytes)
{
	if (bytes <= 0)
		return 0;
	__u32 slot = group_of_current();
	struct pfuse_stats *count = slot ? stats_at(slot) : NULL;

	if (count)
		count->tx_bytes += bytes;
	judge_socket(PLAIN(sock, sk), bpf_get_socket_cookie(sk), slot, false);
	return 0;
}

/* What an outsider receives was judged when it was sent. */
static __always_inline int received(struct sock *sk, int bytes, int flags)
{
	if (bytes <= 0 || flags & MSG_PEEK)
		return 0;
	__u32 slot = group_of_current();
	struct pfuse_stats *count = slot ? stats_at(slot) : NULL;

	if (!count)
		return 0;
	count->rx_bytes += bytes;
	judge_socket(PLAIN(sock, sk), bpf_get_socket_cookie(sk), slot, true);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(on_sent, struct sock *sk, int ret, int flags)
{
	return sent(sk, ret);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(on_received, struct sock *sk, int ret, int flags)
{
	return received(sk, ret, flags);
}

/*
 * Compilers inline sock_sendmsg() into the system calls, so it cannot be hooked; the security check that
 * each of them makes first can. It knows what was asked to be sent, not what was.
 */
SEC("fexit/security_socket_sendmsg")
int BPF_PROG(on_sent_fexit, struct socket *socket, void *msg, int size, int ret)
{
	return sent(socket->sk, ret ? 0 : size);
}

SEC("fexit/sock_recvmsg")
int BPF_PROG(on_received_fexit, struct socket *socket, void *msg, int flags, int ret)
{
	return received(socket->sk, ret, flags);
}

/*
 * A connection from another machine is completed in softirq: the port tells whose it is. One from this
 * machine was judged when the client sent its SYN, in the client.
 */
static __always_inline void accepted(const struct sock *sk, __u32 netns)
{
	if (peer_is_local(sk))
		return;
	__u32 slot = port_owner(sk, netns, sk->__sk_common.skc_num);
	struct talk talk = {
		.channel = PFUSE_CH_TCP,
		.peer_port = bpf_ntohs(sk->__sk_common.skc_dport),
		.incoming = 1,
	};

	if (!slot)
		return;
	note_remote(sk, &talk);
	tell_talk(slot, &talk);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_sock_state, const struct sock *trusted, int oldstate, int newstate)
{
	const struct sock *sk = PLAIN(sock, trusted);

	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	__u32 netns = netns_of(sk);

	if (newstate == BPF_TCP_SYN_SENT || newstate == BPF_TCP_LISTEN) {
		__u32 slot = group_of_current();
		struct talk talk = { .pid = bpf_get_current_pid_tgid() >> 32 };

		claim_port(sk, netns, slot);
		if (newstate == BPF_TCP_SYN_SENT)
			judge(slot, peer_inet(sk, netns, slot, &talk), &talk);
	} else if (oldstate == BPF_TCP_LISTEN && newstate == BPF_TCP_CLOSE) {
		claim_port(sk, netns, 0);
	} else if (oldstate == BPF_TCP_SYN_RECV && newstate == BPF_TCP_ESTABLISHED) {
		accepted(sk, netns);
	}
	return 0;
}

/* Run once when groups are attached: whoever listens already is known from then on. */
SEC("iter/task_file")
int seed_ports(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;

	if (!task || !file)
		return 0;
	__u32 slot = group_of(task);
	struct socket *socket = slot ? bpf_sock_from_file(file) : NULL;
	struct sock *sk = socket ? socket->sk : NULL;

	if (sk && (sk->__sk_common.skc_family == AF_INET || sk->__sk_common.skc_family == AF_INET6))
		claim_port(sk, netns_of(sk), slot);
	return 0;
}
