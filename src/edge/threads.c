/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/threads.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"

static int open_dir_at(int dir_fd, const char *name, DIR **ret)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (!dir)
		return -errno;
	TAKE_FD(fd);
	*ret = dir;
	return 0;
}

/* The next entry that is a number; 0: no more. */
static pid_t next_pid(DIR *dir)
{
	struct dirent *entry;
	uint64_t pid;

	while ((entry = readdir(dir)))
		if (num_parse_all(entry->d_name, &pid) == 0 && pid > 0 && pid <= INT_MAX)
			return (pid_t)pid;
	return 0;
}

int threads_of_process(int proc_fd, pid_t pid, threads_each_fn *each, void *arg)
{
	_cleanup_closedir_ DIR *tasks = NULL;
	char path[32];

	snprintf(path, sizeof(path), "%d/task", (int)pid);
	int err = open_dir_at(proc_fd, path, &tasks);

	if (err)
		return err == -ENOENT ? -ESRCH : err;
	for (pid_t tid = next_pid(tasks); tid; tid = next_pid(tasks)) {
		struct procs_stat stat;
		struct thread_name thread = { .tid = tid, .tgid = pid };

		if (procs_read_stat(dirfd(tasks), tid, &stat) < 0)
			continue;
		thread.ppid = stat.ppid;
		memcpy(thread.comm, stat.comm, sizeof(thread.comm));
		each(arg, &thread);
	}
	return 0;
}

int threads_of_group(int proc_fd, int group_fd, threads_each_fn *each, void *arg)
{
	struct procs_list list = { 0 };
	int err = procs_of_group(group_fd, true, &list);

	if (err < 0)
		return err;
	for (uint32_t i = 0; i < list.count; i++)
		threads_of_process(proc_fd, list.pids[i], each, arg);
	procs_list_free(&list);
	return 0;
}

int threads_of_all(int proc_fd, threads_each_fn *each, void *arg)
{
	_cleanup_closedir_ DIR *processes = NULL;
	int err = open_dir_at(proc_fd, ".", &processes);

	if (err)
		return err;
	for (pid_t pid = next_pid(processes); pid; pid = next_pid(processes))
		threads_of_process(proc_fd, pid, each, arg);
	return 0;
}
