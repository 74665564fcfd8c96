/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A parent that looks after its child as supervisors do: it is told when the child stops.
 *
 *	supervisor watch|continue|kill CHILD_PID_FILE COMMAND [ARGUMENT]...
 *
 * Starts COMMAND and writes its id into the file. When the child is stopped it only notes it, sends
 * SIGCONT, or sends SIGKILL. At SIGTERM it ends the child; at the end of the child it prints one JSON
 * object: how often it saw the child stopped and continued, and what ended it. Exit 0; 1: it could not
 * do its work; 2: usage.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct seen {
	unsigned stopped, continued;
};

static volatile sig_atomic_t child; /* pid */

static void on_term(int signal)
{
	kill(child, SIGKILL);
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "supervisor: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* The child dies with us, however we end. */
static pid_t start(char **command)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvp(command[0], command);
	die(command[0]);
}

static void write_pid(const char *path, pid_t pid)
{
	char partial[4096];
	FILE *file;

	snprintf(partial, sizeof(partial), "%s.partial", path);
	file = fopen(partial, "w");
	if (!file || fprintf(file, "%d\n", (int)pid) < 0 || fclose(file) || rename(partial, path))
		die(path);
}

/* Until the child is dead; returns how it died, as waitpid() tells. */
static int look_after(pid_t pid, int on_stop, struct seen *seen)
{
	int status;

	for (;;) {
		pid_t r = waitpid(pid, &status, WUNTRACED | WCONTINUED);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			die("waitpid");
		if (WIFSTOPPED(status)) {
			seen->stopped++;
			if (on_stop)
				kill(pid, on_stop);
		} else if (WIFCONTINUED(status)) {
			seen->continued++;
		} else {
			return status;
		}
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int on_stop;
	} modes[] = { { "watch", 0 }, { "continue", SIGCONT }, { "kill", SIGKILL } };
	struct sigaction term = { .sa_handler = on_term };
	struct seen seen = { 0 };
	unsigned mode = 0;
	int status;

	while (mode < 3 && (argc < 4 || strcmp(modes[mode].name, argv[1])))
		mode++;
	if (mode == 3) {
		fputs("usage: supervisor watch|continue|kill CHILD_PID_FILE COMMAND...\n", stderr);
		return 2;
	}
	child = start(argv + 3);
	sigaction(SIGTERM, &term, NULL);
	write_pid(argv[2], child);
	status = look_after(child, modes[mode].on_stop, &seen);
	printf("{ \"mode\": \"%s\", \"stopped\": %u, \"continued\": %u, \"ended_by\": %d }\n",
	       modes[mode].name, seen.stopped, seen.continued,
	       WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	return 0;
}
