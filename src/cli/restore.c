/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "cli/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "edge/ledger.h"
#include "edge/ledger_list.h"

struct listing {
	FILE *out;
	const char *verb;
};

static void print_entry(void *arg, const struct ledger_entry *entry)
{
	const struct listing *listing = arg;
	char path[ERR_QUOTED], file[ERR_QUOTED], old[ERR_QUOTED];
	FILE *out = listing->out;

	err_quote(entry->path, path);
	err_quote(entry->file ? entry->file : "?", file);
	err_quote(entry->old ? entry->old : "?", old);
	fprintf(out, "%s: ", listing->verb);
	switch (entry->kind) {
	case LEDGER_FILE:
		/* The kernel ends its values in a newline. */
		if (strlen(old) >= 4 && strcmp(old + strlen(old) - 4, "\\x0a") == 0)
			old[strlen(old) - 4] = '\0';
		fprintf(out, "%s: %s back to %s\n", path, file, old);
		break;
	case LEDGER_FROZEN:
		fprintf(out, "%s: thaw\n", path);
		break;
	case LEDGER_SIGSTOP:
		fprintf(out, "%s: continue process %d\n", path, (int)entry->pid);
		break;
	case LEDGER_MOVED:
		fprintf(out, "%s: move process %d back to %s\n", path, (int)entry->pid, old);
		break;
	case LEDGER_DIR:
		fprintf(out, "%s: remove the group that was made\n", path);
		break;
	case LEDGER_SLICE:
		fprintf(out, "%s: the kernel's own slice for tasks with one of %s ns\n", path, old);
		break;
	}
}

static void print_exception(void *arg, const char *sentence)
{
	const struct listing *listing = arg;

	fprintf(listing->out, "%s\n", sentence);
}

static void print_counts(const struct ledger_counts *counts, FILE *out)
{
	fprintf(out, "restored %u", counts->restored);
	if (counts->already)
		fprintf(out, ", already as before %u", counts->already);
	if (counts->foreign)
		fprintf(out, ", changed by others and left alone %u", counts->foreign);
	if (counts->gone)
		fprintf(out, ", gone %u", counts->gone);
	if (counts->failed)
		fprintf(out, ", failed %u", counts->failed);
	if (counts->damaged)
		fprintf(out, ", damaged and left alone %u", counts->damaged);
	fputc('\n', out);
}

static enum exit_status list_only(struct ledger *ledger, FILE *out)
{
	struct listing listing = { out, "would restore" };
	uint32_t live = ledger_live(ledger);
	int r = ledger_list(ledger, print_entry, &listing);

	ledger_leave(ledger);
	if (r < 0) {
		fprintf(stderr, "pfuse-bpf restore: cannot read the ledger: %s\n", strerror(-r));
		return EXIT_FAILED;
	}
	fprintf(out, "%u to restore; nothing was changed (dry run)\n", live);
	return EXIT_DONE;
}

static enum exit_status restore_all(struct ledger *ledger, FILE *out)
{
	_cleanup_close_ int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct listing listing = { out, "restore" };
	const struct ledger_restore how = { .proc_fd = proc,
					    .say = print_exception,
					    .arg = &listing };
	struct ledger_counts counts = { 0 };
	int r;

	if (proc < 0) {
		fprintf(stderr, "pfuse-bpf restore: cannot open /proc: %s; mount it\n",
			strerror(errno));
		ledger_leave(ledger);
		return EXIT_FAILED;
	}
	ledger_list(ledger, print_entry, &listing);
	r = ledger_restore(ledger, &how, &counts);
	print_counts(&counts, out);
	ledger_close(ledger);
	if (r == 0)
		return EXIT_DONE;
	fprintf(stderr,
		"pfuse-bpf restore: not all could be restored (%s); what failed stays in the "
		"ledger, "
		"try again as root\n",
		strerror(-r));
	return EXIT_FAILED;
}

enum exit_status cmd_restore(const struct options *options, FILE *out)
{
	const struct ledger_options how = {
		.path = options->ledger,
		.existing = true,
		.intact = options->intact,
	};
	struct ledger *ledger = NULL;
	struct err note = { "" }, err = { "" };
	int r;

	/* ledger_open() would make the directory. */
	if (access(options->ledger, F_OK) < 0 && errno == ENOENT) {
		fprintf(out, "nothing to restore: there is no ledger %s\n",
			err_quote(options->ledger, (char[ERR_QUOTED]){ 0 }));
		return EXIT_DONE;
	}
	r = ledger_open(&how, &ledger, &note, &err);
	if (note.text[0])
		fprintf(out, "%s\n", note.text);
	if (r == -ENOENT) {
		fprintf(out, "nothing to restore\n");
		return EXIT_DONE;
	}
	if (r < 0) {
		fprintf(stderr, "pfuse-bpf restore: %s\n", err.text);
		return EXIT_FAILED;
	}
	return options->dry_run ? list_only(ledger, out) : restore_all(ledger, out);
}
