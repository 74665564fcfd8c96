/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "config/doc.h"
#include "config/schema.h"
#include "config/take.h"

#define FILE_MAX_BYTES (UINT64_C(1) << 20)

static const char *const later_words[] = { NULL };

void config_default(struct config *ret)
{
	*ret = (struct config){
		.policy = CONFIG_ADAPTIVE,
		.stop = CONFIG_STOP_AUTO,
		.interval_ns = 1 * S,
	};
	workload_policy_defaults(&ret->cpus);
	ret->curve_measure = true;
	ret->curve_budget_permille = 10;
	ret->curve_every_ns = 300 * S;
	ret->memory_low_permille = 50;
	ret->defaults.grace_ns = 20 * S;
	fcb_policy_defaults(&ret->defaults.policy, 0); /* 0: the ceiling is what the machine has */
	config_settle(ret, ret->policy);
}

static void settle_group(struct config_group *group, enum config_policy policy)
{
	if (!group->freeze_said)
		group->policy.freeze =
			policy == CONFIG_FUSEBOX ? FCB_FREEZE_ISOLATED : FCB_FREEZE_OFF;
}

void config_settle(struct config *config, enum config_policy policy)
{
	for (size_t i = 0; i < config->ngroups; i++)
		settle_group(&config->groups[i], policy);
	settle_group(&config->defaults, policy);
}

/* libcyaml's copy of the text, turned into a struct config. The document is checked already. */
static int take_text(struct config_doc *doc, const char *text, size_t size, struct config *config,
		     struct err *err)
{
	const cyaml_config_t cyaml = { .mem_fn = cyaml_mem, .flags = CYAML_CFG_NO_ALIAS };
	struct raw *raw = NULL;
	cyaml_err_t failed;
	int r = 0;

	failed = cyaml_load_data((const uint8_t *)text, size, &cyaml, &config_schema,
				 (cyaml_data_t **)&raw, NULL);
	if (failed != CYAML_OK)
		return err_set(err, failed == CYAML_ERR_OOM ? -ENOMEM : -EINVAL, "%s: %s",
			       doc->name, cyaml_strerror(failed));
	if (raw)
		r = config_take(doc, raw, config, err);
	cyaml_free(&cyaml, &config_schema, raw, 0);
	return r;
}

static int load_text(const char *name, const char *text, size_t size, struct config *ret,
		     struct err *err)
{
	struct config_doc doc = { .later = later_words };
	struct config config;
	int r;

	config_default(&config);
	r = config_doc_load(&doc, name, text, size, err);
	if (r < 0)
		return r;
	r = config_doc_check(&doc, &config_schema, err);
	if (r == 0)
		r = take_text(&doc, text, size, &config, err);
	config_doc_free(&doc);
	if (r < 0) {
		config_free(&config);
		return r;
	}
	config_settle(&config, config.policy);
	*ret = config;
	return 0;
}

static int read_text(int fd, size_t size, char **ret_text, size_t *ret_size)
{
	_cleanup_free_ char *text = malloc(size + 1);
	size_t length = 0;
	int r;

	if (!text)
		return -ENOMEM;
	r = fd_read_up_to(fd, text, size, &length);
	if (r < 0)
		return r;
	text[length] = '\0';
	*ret_text = TAKE_PTR(text);
	*ret_size = length;
	return 0;
}

int config_load(const char *path, struct config *ret, struct err *err)
{
	/* O_NONBLOCK: a FIFO is to be refused, not waited for. */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *text = NULL;
	char q[ERR_QUOTED];
	struct stat st;
	size_t size = 0;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(err, -errno, "%s: cannot read the configuration: %s",
			       err_quote(path, q), strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "%s: the configuration must be a regular file",
			       err_quote(path, q));
	if ((uint64_t)st.st_size > FILE_MAX_BYTES)
		return err_set(err, -EFBIG, "%s: the configuration must not exceed 1 MiB",
			       err_quote(path, q));
	r = read_text(fd, (size_t)st.st_size, &text, &size);
	if (r < 0)
		return err_set(err, r, "%s: cannot read the configuration: %s", err_quote(path, q),
			       strerror(-r));
	return load_text(path, text, size, ret, err);
}

static bool matches(const char *glob, const char *name, const char *path)
{
	/* Without FNM_PATHNAME: "*" is to be a match for everything, nested groups included. */
	if (name && fnmatch(glob, name, 0) == 0)
		return true;
	if (!path)
		return false;
	return fnmatch(glob + strspn(glob, "/"), path + strspn(path, "/"), 0) == 0;
}

const struct config_group *config_match(const struct config *config, const char *name,
					const char *path)
{
	for (size_t i = 0; i < config->ngroups; i++)
		if (matches(config->groups[i].match, name, path))
			return &config->groups[i];
	return &config->defaults;
}

static void free_group(struct config_group *group)
{
	free(group->match);
	free(group->cpu_list);
	free(group->mem_list);
	free(group->probe_from);
}

void config_free(struct config *config)
{
	for (size_t i = 0; i < config->ngroups; i++)
		free_group(&config->groups[i]);
	free(config->groups);
	*config = (struct config){ 0 };
}
