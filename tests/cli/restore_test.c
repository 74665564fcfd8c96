/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* `restore` against real ledgers of made-up groups: directories of ordinary files. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <criterion/redirect.h>

#include "base/cleanup.h"
#include "cli/restore.h"
#include "edge/ledger.h"

static char directory[64], ledger_path[96], group_path[96];

static void make_directory(void)
{
	strcpy(directory, "/tmp/pfuse-restore-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	snprintf(ledger_path, sizeof(ledger_path), "%s/ledger", directory);
	snprintf(group_path, sizeof(group_path), "%s/web", directory);
	cr_assert_eq(mkdir(group_path, 0755), 0);
	cr_redirect_stderr();
}

static void remove_directory(void)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -r %s", directory);
	cr_assert_eq(system(command), 0);
}

TestSuite(restore, .init = make_directory, .fini = remove_directory);

static void put(const char *file, const char *text)
{
	char path[160];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", group_path, file);
	out = fopen(path, "we");
	cr_assert(out && fputs(text, out) >= 0);
	fclose(out);
}

static void expect_content(const char *file, const char *text)
{
	char path[160], got[64] = "";
	FILE *in;

	snprintf(path, sizeof(path), "%s/%s", group_path, file);
	in = fopen(path, "re");
	cr_assert(in && fgets(got, sizeof(got), in));
	fclose(in);
	got[strcspn(got, "\n")] = '\0';
	cr_assert_str_eq(got, text);
}

/* A limit that was 1 GiB and that we made 64 MiB, as a killed daemon leaves it. */
static void leave_limit(const char *file)
{
	const struct ledger_options how = { .path = ledger_path };
	struct ledger_entry entry = { .kind = LEDGER_FILE,
				      .mount = directory,
				      .path = "web",
				      .file = file,
				      .old = "1073741824\n" };
	struct ledger *ledger;
	struct err note, err = { "" };
	struct stat st;
	uint32_t record;

	cr_assert_eq(ledger_open(&how, &ledger, &note, &err), 0, "%s", err.text);
	cr_assert_eq(stat(group_path, &st), 0);
	entry.group_id = st.st_ino;
	cr_assert_eq(ledger_append(ledger, &entry, &record), 0);
	cr_assert_eq(ledger_commit(ledger), 0);
	cr_assert_eq(ledger_intend(ledger, record, 1 << 30, 64 << 20), 0);
	put(file, "67108864\n");
	ledger_close(ledger);
}

static char *run(struct options options, enum exit_status expected)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	options.command = CMD_RESTORE;
	options.ledger = ledger_path;
	cr_assert_eq(cmd_restore(&options, out), expected);
	fclose(out);
	return text;
}

static void expect_error(const char *part)
{
	char text[1024] = "";
	FILE *err = cr_get_redirected_stderr();

	fflush(stderr);
	cr_assert_gt(fread(text, 1, sizeof(text) - 1, err), 0);
	cr_assert(strstr(text, part), "%s", text);
	cr_assert_eq(strchr(text, '\n'), text + strlen(text) - 1, "one line: %s", text);
}

Test(restore, nothing)
{
	_cleanup_free_ char *text = run((struct options){ 0 }, EXIT_DONE);
	char elsewhere[160];

	cr_assert(strncmp(text, "nothing to restore: there is no ledger ", 39) == 0, "%s", text);
	snprintf(elsewhere, sizeof(elsewhere), "%s.lock", ledger_path);
	cr_assert_neq(access(elsewhere, F_OK), 0, "nothing is made either");
}

Test(restore, limit)
{
	_cleanup_free_ char *text = NULL;

	leave_limit("memory.max");
	text = run((struct options){ 0 }, EXIT_DONE);
	cr_assert_str_eq(text, "restore: web: memory.max back to 1073741824\nrestored 1\n");
	expect_content("memory.max", "1073741824");
	cr_assert_neq(access(ledger_path, F_OK), 0, "the ledger is done with");
}

Test(restore, dry_run_changes_nothing)
{
	leave_limit("memory.max");
	for (int i = 0; i < 2; i++) {
		_cleanup_free_ char *text = run((struct options){ .dry_run = true }, EXIT_DONE);

		cr_assert_str_eq(text, "would restore: web: memory.max back to 1073741824\n"
				       "1 to restore; nothing was changed (dry run)\n");
	}
	expect_content("memory.max", "67108864");
}

Test(restore, what_others_changed_is_theirs)
{
	_cleanup_free_ char *text = NULL;

	leave_limit("memory.max");
	put("memory.max", "12345344\n");
	text = run((struct options){ 0 }, EXIT_DONE);
	cr_assert(strstr(text, "changed by others and left alone 1"), "%s", text);
	expect_content("memory.max", "12345344");
}

static void damage(void)
{
	int fd = open(ledger_path, O_RDWR | O_CLOEXEC);
	char byte;

	/* The first byte of the last string: "web" of the only record, or near it. */
	cr_assert_eq(pread(fd, &byte, 1, 200), 1);
	byte ^= 0x40;
	cr_assert_eq(pwrite(fd, &byte, 1, 200), 1);
	close(fd);
}

Test(restore, damaged_ledger)
{
	leave_limit("memory.max");
	damage();
	free(run((struct options){ 0 }, EXIT_FAILED));
	expect_error("pfuse-bpf restore: ");
	expect_content("memory.max", "67108864");
	cr_assert_eq(access(ledger_path, F_OK), 0, "it is still there to be looked at");
}

Test(restore, dry_run_leaves_a_damaged_ledger_in_its_place)
{
	_cleanup_free_ char *text = NULL;

	leave_limit("memory.max");
	damage();
	text = run((struct options){ .dry_run = true, .intact = true }, EXIT_DONE);
	cr_assert(strstr(text, "damaged"), "%s", text);
	cr_assert_eq(access(ledger_path, F_OK), 0);
}

Test(restore, no_ledger_at_all)
{
	FILE *out;

	leave_limit("memory.max");
	out = fopen(ledger_path, "we");
	fputs("hello\n", out);
	fclose(out);
	free(run((struct options){ 0 }, EXIT_FAILED));
	expect_error("ledger");
}

/* A child holds the lock, as a running daemon does. */
Test(restore, a_live_daemon_is_named)
{
	int pipes[2];
	char byte, pid[32];
	pid_t child;

	leave_limit("memory.max");
	cr_assert_eq(pipe(pipes), 0);
	child = fork();
	if (child == 0) {
		const struct ledger_options how = { .path = ledger_path };
		struct ledger *ledger;
		struct err note, err;

		if (ledger_open(&how, &ledger, &note, &err) == 0 && write(pipes[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	cr_assert_eq(read(pipes[0], &byte, 1), 1);
	free(run((struct options){ 0 }, EXIT_FAILED));
	snprintf(pid, sizeof(pid), "(pid %d)", (int)child);
	expect_error(pid);
	expect_content("memory.max", "67108864");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(pipes[0]);
	close(pipes[1]);
}
