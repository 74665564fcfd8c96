// SPDX-License-Identifier: GPL-2.0-only
/*
 * What does a group share with processes outside it, apart from sockets? Walks over all processes' files
 * and mappings, on demand. edge/reach.c says how walks make a snapshot. Where the kernel takes fentry, a
 * write to an object of a finding is told at once as well, whoever writes. An object that two managed
 * groups share is told of to the first; the other has its snapshots.
 *
 * The first walk emits what the group has; the daemon marks these objects in a bit field, and the second
 * emits what others have of them. So the daemon reads a few records, however many files there are.
 *
 * Left out because nobody outside can notice the stop by it:
 * - what the daemon itself has: it is the one who stops (its findings are left out by edge/reach.c);
 * - mappings that the group may only read (a file opened O_RDONLY, SHM_RDONLY, a memfd sealed against
 *   writing): it tells nobody anything by them. Others that may only read what the group may write do
 *   count: they can see that it stands still;
 * - private mappings, also of shared files: what is written there stays there;
 * - mappings of anonymous inodes (io_uring, perf, BPF maps, KVM): the kernel is at the other end;
 * - regular files that are read and written: a file waits for its reader, however long.
 *
 * Cannot see: POSIX and SysV message queues, SysV semaphores, file locks, inotify; a SysV segment while no
 * outsider has it attached; an address space shared by vfork(2) or CLONE_VM with an outsider; files in
 * flight over UNIX sockets or held by io_uring; processes in a fork at that moment. Writes that are not
 * write(2) (splice, vmsplice; a count raised by the kernel, as KVM and vhost do) show in the next snapshot
 * only.
 *
 * | program        | hook                   | without it                                          |
 * | reach_files    | iter/task_file         | pipes and eventfds are not seen: nothing is stopped |
 * | reach_maps     | iter/task_vma          | shared memory is not seen: nothing is stopped       |
 * | on_anon_write  | fentry/anon_pipe_write | on_pipe_write (kernels before 6.16)                 |
 * | on_pipe_write  | fentry/pipe_write      | the next snapshot shows what moved                  |
 * | on_event_write | fentry/eventfd_write   | a shared eventfd counts as a talk                   |
 */
#include "talk.bpf.h"
#include <pfuse/reach.h>

#define S_IFMT 0170000
#define S_IFIFO 0010000
#define S_IFCHR 0020000
#define FMODE_READ 1
#define FMODE_WRITE 2
#define VM_SHARED 0x8
#define VM_MAYWRITE 0x20
#define VM_MAYSHARE 0x80
#define MINOR_BITS 20  /* of a dev_t in the kernel */
#define TTYAUX_MAJOR 5 /* /dev/ptmx and /dev/tty */
#define PTY_SLAVE_MAJOR 136
#define PTY_SLAVE_MAJOR_LAST 143
#define ANON_INODE_FS_MAGIC 0x09041934

/* A pointer to calculate with: the verifier lets nobody do so with one that it knows. */
#define ADDRESS(from, field) ((__u64)BPF_CORE_READ(from, field))

/* Is the task on the side that this walk is about? */
static __always_inline bool concerns(struct task_struct *task, __u32 *ret_slot)
{
	*ret_slot = group_of(task);
	if (!reach_walk.theirs)
		return *ret_slot == walked_slot;
	return *ret_slot != walked_slot;
}

static __always_inline bool wanted(const struct pfuse_reach_key *key)
{
	if (!reach_walk.theirs)
		return true;
	__u32 bit = pfuse_reach_bit(key) & (PFUSE_REACH_BITS - 1);

	return reach_walk.marked[bit / 64] & (1ull << (bit % 64));
}

static __always_inline void read_name(struct pfuse_reach_record *record, struct file *file)
{
	bpf_core_read_str(record->name, sizeof(record->name), file->f_path.dentry->d_name.name);
}

/*
 * Head and tail count buffers; a short write joins the last buffer and a short read leaves the first, and
 * neither counts: so the end of the last and the begin of the first are mixed in.
 */
static __always_inline __u64 pipe_state(struct pipe_inode_info *pipe, __u32 head, __u32 tail)
{
	struct pipe_buffer *buffers = (void *)ADDRESS(pipe, bufs);
	__u32 mask = pipe->ring_size - 1;
	struct pipe_buffer *last =
		(void *)buffers + ((head - 1) & mask) * bpf_core_type_size(struct pipe_buffer);
	struct pipe_buffer *first =
		(void *)buffers + (tail & mask) * bpf_core_type_size(struct pipe_buffer);
	__u64 state = (__u64)head << 32 | tail;

	if (head == tail)
		return state;
	state ^= (__u64)(BPF_CORE_READ(last, offset) + BPF_CORE_READ(last, len)) << 17;
	return state ^ (__u64)BPF_CORE_READ(first, offset) << 47;
}

static __always_inline bool gather_pipe(struct pfuse_reach_record *record, struct file *file,
					struct inode *inode)
{
	struct pipe_inode_info *pipe = inode->i_pipe;

	record->key.kind = PFUSE_REACH_PIPE;
	record->key.object = inode->i_ino;
	record->key.tag = pfuse_reach_tag(ADDRESS(inode, i_pipe));
	if (!pipe || !wanted(&record->key)) /* none: opened by O_PATH alone */
		return false;
	__u32 head = pipe->head, tail = pipe->tail;

	record->waiting = head - tail;
	record->state = pipe_state(pipe, head, tail);
	read_name(record, file);
	return true;
}

/* `bytes` with the final zero; the compiler turns this into whole words where it can. */
static __always_inline bool is_called(const struct pfuse_reach_record *record, const char *name,
				      __u32 bytes)
{
	for (__u32 i = 0; i < bytes; i++)
		if (record->name[i] != name[i])
			return false;
	return true;
}

/* All anonymous files share an inode: the name says what one is, and nobody else can have both. */
static __always_inline bool gather_eventfd(struct pfuse_reach_record *record, struct file *file,
					   struct inode *inode)
{
	struct eventfd_ctx *context = (void *)ADDRESS(file, private_data);

	if (inode->i_sb->s_magic != ANON_INODE_FS_MAGIC)
		return false;
	read_name(record, file);
	if (!is_called(record, "[eventfd]", sizeof("[eventfd]")))
		return false;
	record->key.kind = PFUSE_REACH_EVENTFD;
	record->key.object = (__u32)BPF_CORE_READ(context, id);
	record->key.tag = pfuse_reach_tag((__u64)context);
	if (!wanted(&record->key))
		return false;
	record->state = BPF_CORE_READ(context, count);
	record->waiting = record->state != 0;
	return true;
}

static __always_inline bool is_pty_device(__u32 dev)
{
	__u32 major = dev >> MINOR_BITS;

	return major == TTYAUX_MAJOR || (major >= PTY_SLAVE_MAJOR && major <= PTY_SLAVE_MAJOR_LAST);
}

/* As the terminal's own poll: whole lines where it edits them, else bytes. */
static __always_inline bool can_read(struct n_tty_data *input)
{
	size_t head = BPF_CORE_READ_BITFIELD_PROBED(input, icanon)
			      ? BPF_CORE_READ(input, canon_head)
			      : BPF_CORE_READ(input, commit_head);

	return head != BPF_CORE_READ(input, read_tail);
}

/* Each end counts what it received, and never backwards: their sum stands still only if both do. */
static __always_inline bool gather_terminal(struct pfuse_reach_record *record, struct file *file)
{
	struct tty_file_private *private = (void *)ADDRESS(file, private_data);
	struct tty_struct *tty = BPF_CORE_READ(private, tty), *other = BPF_CORE_READ(tty, link);
	struct n_tty_data *input = BPF_CORE_READ(tty, disc_data);
	struct n_tty_data *output = BPF_CORE_READ(other, disc_data);
	__u64 first = (__u64)(tty < other ? tty : other);

	if (!other) /* a terminal of hardware: no process is at its other end */
		return false;
	record->key.kind = PFUSE_REACH_TTY;
	record->key.object = (__u32)BPF_CORE_READ(tty, index);
	record->key.tag = pfuse_reach_tag(first);
	if (!wanted(&record->key))
		return false;
	record->state = BPF_CORE_READ(input, read_head) + BPF_CORE_READ(output, read_head);
	record->waiting = can_read(input);
	read_name(record, file);
	return true;
}

static __always_inline bool gather_file(struct pfuse_reach_record *record, struct file *file)
{
	struct inode *inode = file->f_inode;
	__u32 type = inode->i_mode & S_IFMT;

	if (type == S_IFIFO)
		return gather_pipe(record, file, inode);
	if (type == S_IFCHR)
		return is_pty_device(inode->i_rdev) && gather_terminal(record, file);
	return gather_eventfd(record, file, inode);
}

SEC("iter/task_file")
int reach_files(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct pfuse_reach_record record = {};

	if (!task || !file || !concerns(task, &record.slot) || !gather_file(&record, file))
		return 0;
	record.pid = task->tgid;
	record.access = (file->f_mode & FMODE_READ ? PFUSE_REACH_READ : 0) |
			(file->f_mode & FMODE_WRITE ? PFUSE_REACH_WRITE : 0);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

/*
 * "dev/zero" is memory made by MAP_SHARED | MAP_ANONYMOUS: no file name can hold a slash, so nothing else
 * is called so. Only fork hands it on, and always writable; so when the group has as many mappings as the
 * object has writable ones, nobody else has any, and the walk over everybody's mappings can be left out.
 */
static __always_inline void gather_mapping(struct pfuse_reach_record *record,
					   struct task_struct *task, struct file *file)
{
	read_name(record, file);
	record->state = file->f_mapping->i_mmap_writable.counter;
	record->private_to_kin = is_called(record, "dev/zero", sizeof("dev/zero"));
	record->counts = task->mm->owner == task;
	record->pid = task->tgid;
}

SEC("iter/task_vma")
int reach_maps(struct bpf_iter__task_vma *ctx)
{
	struct task_struct *task = ctx->task;
	struct vm_area_struct *vma = ctx->vma;
	struct pfuse_reach_record record = {};

	if (!task || !vma || !(vma->vm_flags & VM_MAYSHARE))
		return 0;
	bool writable = (vma->vm_flags & (VM_SHARED | VM_MAYWRITE)) == (VM_SHARED | VM_MAYWRITE);
	struct file *file = vma->vm_file;

	if (!file || (!writable && !reach_walk.theirs) || !concerns(task, &record.slot))
		return 0;
	struct inode *inode = file->f_inode;

	record.key.kind = PFUSE_REACH_SHM;
	record.key.object = inode->i_ino;
	record.key.tag = pfuse_reach_tag(ADDRESS(file, f_mapping));
	if (inode->i_sb->s_magic == ANON_INODE_FS_MAGIC || !wanted(&record.key))
		return 0;
	record.access = writable ? PFUSE_REACH_READ | PFUSE_REACH_WRITE : PFUSE_REACH_READ;
	gather_mapping(&record, task, file);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

static __always_inline int written(const struct pfuse_reach_key *key, __u32 channel)
{
	__u32 *found = bpf_map_lookup_elem(&reached, key);
	struct talk talk = {
		.channel = channel,
		.pid = bpf_get_current_pid_tgid() >> 32,
		.where = PFUSE_WHERE_LOCAL,
	};

	if (!found || talk.pid == knobs.daemon_pid)
		return 0;
	__u32 slot = *found & ~PFUSE_REACHED_READS;

	/* What an outsider writes where the group cannot read is not said to it. */
	talk.incoming = group_of_current() != slot;
	if (!talk.incoming || (*found & PFUSE_REACHED_READS))
		tell_talk(slot, &talk);
	return 0;
}

static __always_inline int pipe_written(struct kiocb *iocb)
{
	struct inode *inode = iocb->ki_filp->f_inode;
	struct pfuse_reach_key key = {
		.object = inode->i_ino,
		.tag = pfuse_reach_tag(ADDRESS(inode, i_pipe)),
		.kind = PFUSE_REACH_PIPE,
	};

	return written(&key, PFUSE_CH_PIPE);
}

SEC("fentry/anon_pipe_write")
int BPF_PROG(on_anon_write, struct kiocb *iocb)
{
	return pipe_written(iocb);
}

SEC("fentry/pipe_write")
int BPF_PROG(on_pipe_write, struct kiocb *iocb)
{
	return pipe_written(iocb);
}

SEC("fentry/eventfd_write")
int BPF_PROG(on_event_write, struct file *file)
{
	struct eventfd_ctx *context = (void *)ADDRESS(file, private_data);
	struct pfuse_reach_key key = {
		.object = (__u32)BPF_CORE_READ(context, id),
		.tag = pfuse_reach_tag((__u64)context),
		.kind = PFUSE_REACH_EVENTFD,
	};

	return written(&key, PFUSE_CH_EVENTFD);
}
