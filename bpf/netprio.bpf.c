// SPDX-License-Identifier: GPL-2.0-only
/*
 * Acts, on behalf of src/edge/netprio.c: sockets of a group are born with the group's priority and keep
 * it while we act, whatever the application asks for; what it asked for is remembered per socket.
 *
 * These programs are attached per cgroup, by links that the daemon holds, not by the loader. They decide
 * by the group of the caller, not of the socket: the daemon sets priorities by the same system call, and
 * is in no managed group. Connections that are accepted are born in no task's name and without a
 * priority, whatever their listener has: what is remembered with the listener, and cloned, names the slot.
 *
 * Not held: see src/edge/netprio.h.
 *
 * | program        | hook               | without it                                            |
 * | on_sock_create | cgroup/sock_create | sockets that are made later have the old priority     |
 * | on_setsockopt  | cgroup/setsockopt  | the application can undo it                           |
 * | on_tcp         | sockops            | connections that are accepted later have none         |
 */
#include "pfuse.bpf.h"

#define SOL_IP 0
#define SOL_SOCKET 1
#define IP_TOS 1
#define SO_PRIORITY 12
#define PRIORITY_MAX 6 /* above, CAP_NET_ADMIN is wanted */

/* What a socket gets back; it goes with the socket. Cloned: by connections that are accepted. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct pfuse_wish);
} wishes SEC(".maps");

/* No memo: we can be preempted here. */
static __always_inline __u32 slot_of_caller(void)
{
	return nearest_managed(task_cgroup(PLAIN(task_struct, bpf_get_current_task_btf())));
}

/* The level at which the group is held; -1: not at all. */
static __always_inline int level_of(__u32 slot)
{
	struct pfuse_group *group = slot ? group_at(slot) : NULL;

	return group ? (int)group->net_level - 1 : -1;
}

static __always_inline void remember(struct bpf_sock *sk, __u32 slot, __u32 priority)
{
	struct pfuse_wish *wish =
		bpf_sk_storage_get(&wishes, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);

	if (!wish)
		return;
	wish->priority = priority;
	wish->slot = slot;
}

SEC("cgroup/sock_create")
int on_sock_create(struct bpf_sock *sk)
{
	int level = level_of(slot_of_caller());

	if (level >= 0)
		sk->priority = (__u32)level;
	return 1;
}

static __always_inline bool sets_priority(const struct bpf_sockopt *ctx, int value)
{
	if (ctx->level == SOL_IP && ctx->optname == IP_TOS)
		return true;
	return ctx->level == SOL_SOCKET && ctx->optname == SO_PRIORITY && value >= 0 &&
	       value <= PRIORITY_MAX;
}

/* As asked, so that IP_TOS takes effect; then the priority is ours again. False: the kernel refuses. */
static __always_inline bool grant(struct bpf_sockopt *ctx, int value, __u32 slot, int level)
{
	struct bpf_sock *sk = ctx->sk;

	if (bpf_setsockopt(sk, ctx->level, ctx->optname, &value, sizeof(value)))
		return false;
	remember(sk, slot, sk->priority);
	bpf_setsockopt(sk, SOL_SOCKET, SO_PRIORITY, &level, sizeof(level));
	return true;
}

SEC("cgroup/setsockopt")
int on_setsockopt(struct bpf_sockopt *ctx)
{
	int *value = ctx->optval, level;
	__u32 slot;

	/* Of what is longer than a page we are shown the first only; 0 leaves the whole as it is. */
	if (ctx->optlen > (int)knobs.page_bytes) {
		ctx->optlen = 0;
		return 1;
	}
	if ((void *)(value + 1) > ctx->optval_end || ctx->optlen < (int)sizeof(*value) ||
	    !sets_priority(ctx, *value))
		return 1;
	slot = slot_of_caller();
	level = level_of(slot);
	if (level >= 0 && grant(ctx, *value, slot, level))
		ctx->optlen = -1; /* done: the kernel has nothing left to do */
	return 1;
}

/* A listener that was born under us has no record yet, and its connections need one. */
static __always_inline void on_listen(struct bpf_sock *sk)
{
	__u32 slot = slot_of_caller();

	if (level_of(slot) >= 0 && !bpf_sk_storage_get(&wishes, sk, NULL, 0))
		remember(sk, slot, 0);
}

static __always_inline void on_accept(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
	struct pfuse_wish *wish = bpf_sk_storage_get(&wishes, sk, NULL, 0);
	int level = wish ? level_of(wish->slot) : -1;

	if (level < 0)
		return;
	wish->priority = sk->priority; /* its listener's is not its own */
	bpf_setsockopt(ctx, SOL_SOCKET, SO_PRIORITY, &level, sizeof(level));
}

SEC("sockops")
int on_tcp(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	if (!sk)
		return 1;
	if (ctx->op == BPF_SOCK_OPS_TCP_LISTEN_CB)
		on_listen(sk);
	else if (ctx->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		on_accept(ctx, sk);
	return 1;
}
