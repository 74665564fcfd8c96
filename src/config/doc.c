/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "config/doc.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define DEPTH_MAX 16 /* the schema needs 4; libyaml's time grows with the square of the depth */

/* A check in progress. */
struct walk {
	struct config_doc *doc;
	struct err *err;
};

static unsigned line_of(const yaml_node_t *node)
{
	return node->start_mark.line + 1;
}

static void clean_parser(yaml_parser_t *parser)
{
	yaml_parser_delete(parser);
}

/* libyaml's reader knows an offset, its scanner and parser a line. */
static unsigned problem_line(const yaml_parser_t *parser, const char *text, size_t size)
{
	unsigned line = 1;

	if (parser->error != YAML_READER_ERROR)
		return parser->problem_mark.line + 1;
	for (size_t i = 0; i < size && i < parser->problem_offset; i++)
		line += text[i] == '\n';
	return line;
}

static int load_failed(const struct config_doc *doc, const yaml_parser_t *parser, const char *text,
		       size_t size, struct err *err)
{
	if (parser->error == YAML_MEMORY_ERROR)
		return err_set(err, -ENOMEM, "%s: no memory to read it", doc->name);
	return err_set(err, -EINVAL, "%s:%u: not YAML: %s", doc->name,
		       problem_line(parser, text, size),
		       parser->problem ? parser->problem : "cannot be read");
}

/* What YAML allows and we do not: counted over the events of one pass. */
struct shape {
	unsigned depth;
	unsigned documents;
};

static const char *bad_event(struct shape *shape, yaml_event_type_t type)
{
	switch (type) {
	case YAML_ALIAS_EVENT:
		return "aliases are not allowed; write the value out";
	case YAML_DOCUMENT_START_EVENT:
		/* libcyaml would ignore it in silence. */
		return ++shape->documents > 1 ? "a second document begins; only one is allowed"
					      : NULL;
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return ++shape->depth > DEPTH_MAX ? "nested too deeply" : NULL;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		shape->depth--;
		return NULL;
	default:
		return NULL;
	}
}

static int check_shape(const struct config_doc *doc, const char *text, size_t size, struct err *err)
{
	_cleanup_(clean_parser) yaml_parser_t parser = { 0 };
	struct shape shape = { 0 };
	yaml_event_type_t type = YAML_NO_EVENT;

	if (!yaml_parser_initialize(&parser))
		return err_set(err, -ENOMEM, "%s: no memory to read it", doc->name);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
	while (type != YAML_STREAM_END_EVENT) {
		const char *bad;
		yaml_event_t event;
		unsigned line;

		if (!yaml_parser_parse(&parser, &event))
			return load_failed(doc, &parser, text, size, err);
		type = event.type;
		line = event.start_mark.line + 1;
		yaml_event_delete(&event);
		bad = bad_event(&shape, type);
		if (bad)
			return err_set(err, -EINVAL, "%s:%u: %s", doc->name, line, bad);
	}
	return 0;
}

int config_doc_load(struct config_doc *doc, const char *name, const void *text, size_t size,
		    struct err *err)
{
	_cleanup_(clean_parser) yaml_parser_t parser = { 0 };
	int r;

	err_quote(name, doc->name);
	r = check_shape(doc, text, size, err);
	if (r < 0)
		return r;
	if (!yaml_parser_initialize(&parser))
		return err_set(err, -ENOMEM, "%s: no memory to read it", doc->name);
	yaml_parser_set_input_string(&parser, text, size);
	if (!yaml_parser_load(&parser, &doc->document))
		return load_failed(doc, &parser, text, size, err);
	return 0;
}

void config_doc_free(struct config_doc *doc)
{
	yaml_document_delete(&doc->document);
}

/* Appends ", word"; what does not fit is left out. */
static void append_word(char *buf, size_t size, const char *word)
{
	size_t n = strlen(buf);

	if (n + strlen(word) + 3 <= size)
		snprintf(buf + n, size - n, "%s%s", n ? ", " : "", word);
}

static const struct cyaml_schema_field *find_field(const struct cyaml_schema_value *schema,
						   const yaml_node_t *key)
{
	const struct cyaml_schema_field *field = schema->mapping.fields;

	for (; field->key; field++)
		if (strlen(field->key) == key->data.scalar.length &&
		    memcmp(field->key, key->data.scalar.value, key->data.scalar.length) == 0)
			return field;
	return NULL;
}

static int bad_key(const struct walk *walk, const struct cyaml_schema_value *schema,
		   const yaml_node_t *key)
{
	char allowed[160] = "", q[ERR_QUOTED];

	for (const struct cyaml_schema_field *f = schema->mapping.fields; f->key; f++)
		append_word(allowed, sizeof(allowed), f->key);
	return err_set(walk->err, -EINVAL, "%s:%u: unknown key \"%s\"; allowed: %s",
		       walk->doc->name, line_of(key),
		       err_quote((const char *)key->data.scalar.value, q), allowed);
}

static int bad_word(const struct walk *walk, const struct cyaml_schema_value *schema,
		    const char *name, const yaml_node_t *node)
{
	char allowed[100] = "", q[ERR_QUOTED];
	const char *word = (const char *)node->data.scalar.value;
	bool later = false;

	for (uint32_t i = 0; i < schema->enumeration.count; i++)
		append_word(allowed, sizeof(allowed), schema->enumeration.strings[i].str);
	for (const char *const *w = walk->doc->later; w && *w; w++)
		later |= strcmp(*w, word) == 0;
	return err_set(walk->err, -EINVAL, "%s:%u: %s: \"%s\" is %s; allowed: %s", walk->doc->name,
		       line_of(node), name, err_quote(word, q),
		       later ? "not in this release" : "unknown", allowed);
}

static int bad_type(const struct walk *walk, const char *name, const yaml_node_t *node,
		    const char *expected)
{
	return err_set(walk->err, -EINVAL, "%s:%u: %s: expected %s", walk->doc->name, line_of(node),
		       name, expected);
}

static int check_node(struct walk *walk, const struct cyaml_schema_value *schema, const char *name,
		      int number);

static int check_scalar(struct walk *walk, const struct cyaml_schema_value *schema,
			const char *name, const yaml_node_t *node)
{
	const char *word = (const char *)node->data.scalar.value;

	if (node->type != YAML_SCALAR_NODE)
		return bad_type(walk, name, node, "a single value");
	if (strlen(word) != node->data.scalar.length)
		return bad_type(walk, name, node, "text without a 0 byte");
	if (schema->type == CYAML_STRING && node->data.scalar.length > schema->string.max)
		return bad_type(walk, name, node, "a shorter text");
	if (schema->type != CYAML_ENUM)
		return 0;
	for (uint32_t i = 0; i < schema->enumeration.count; i++)
		if (strcmp(schema->enumeration.strings[i].str, word) == 0)
			return 0;
	return bad_word(walk, schema, name, node);
}

static int check_sequence(struct walk *walk, const struct cyaml_schema_value *schema,
			  const char *name, const yaml_node_t *node)
{
	const yaml_node_item_t *item;
	int r;

	if (node->type != YAML_SEQUENCE_NODE)
		return bad_type(walk, name, node, "a list");
	if (node->data.sequence.items.top - node->data.sequence.items.start >
	    (ptrdiff_t)schema->sequence.max)
		return bad_type(walk, name, node, "a shorter list");
	for (item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
		r = check_node(walk, schema->sequence.entry, name, *item);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_pair(struct walk *walk, const struct cyaml_schema_value *schema,
		      const yaml_node_pair_t *pair, uint64_t *seen)
{
	const struct cyaml_schema_field *field;
	const yaml_node_t *key;
	uint64_t bit;

	key = yaml_document_get_node(&walk->doc->document, pair->key);
	if (key->type != YAML_SCALAR_NODE)
		return bad_type(walk, "a key", key, "a single word");
	field = find_field(schema, key);
	if (!field)
		return bad_key(walk, schema, key);
	bit = UINT64_C(1) << (field - schema->mapping.fields);
	if (*seen & bit)
		return err_set(walk->err, -EINVAL, "%s:%u: \"%s\" is given twice; once is allowed",
			       walk->doc->name, line_of(key), field->key);
	*seen |= bit;
	return check_node(walk, &field->value, field->key, pair->value);
}

static int check_mapping(struct walk *walk, const struct cyaml_schema_value *schema,
			 const char *name, const yaml_node_t *node)
{
	const yaml_node_pair_t *pair;
	uint64_t seen = 0;
	int r;

	if (node->type != YAML_MAPPING_NODE)
		return bad_type(walk, name, node, "keys with values (key: value)");
	for (pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
		r = check_pair(walk, schema, pair, &seen);
		if (r < 0)
			return r;
	}
	for (const struct cyaml_schema_field *f = schema->mapping.fields; f->key; f++)
		if (!(f->value.flags & CYAML_FLAG_OPTIONAL) &&
		    !(seen & UINT64_C(1) << (f - schema->mapping.fields)))
			return err_set(walk->err, -EINVAL, "%s:%u: %s: \"%s\" is missing",
				       walk->doc->name, line_of(node), name, f->key);
	return 0;
}

/* As deep as the schema is, never as deep as the file. */
static int check_node(struct walk *walk, const struct cyaml_schema_value *schema, const char *name,
		      int number)
{
	const yaml_node_t *node = yaml_document_get_node(&walk->doc->document, number);

	switch (schema->type) {
	case CYAML_MAPPING:
		return check_mapping(walk, schema, name, node);
	case CYAML_SEQUENCE:
		return check_sequence(walk, schema, name, node);
	default:
		return check_scalar(walk, schema, name, node);
	}
}

int config_doc_check(struct config_doc *doc, const struct cyaml_schema_value *schema,
		     struct err *err)
{
	struct walk walk = { .doc = doc, .err = err };

	if (!yaml_document_get_root_node(&doc->document))
		return 0; /* an empty file */
	return check_node(&walk, schema, "the file", 1);
}

static yaml_node_t *child(struct config_doc *doc, const yaml_node_t *node, const char *key)
{
	const yaml_node_pair_t *pair;

	if (!node || node->type != YAML_MAPPING_NODE)
		return NULL;
	for (pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *k = yaml_document_get_node(&doc->document, pair->key);

		if (k->type == YAML_SCALAR_NODE &&
		    strcmp((const char *)k->data.scalar.value, key) == 0)
			return yaml_document_get_node(&doc->document, pair->value);
	}
	return NULL;
}

unsigned config_doc_line(struct config_doc *doc, int entry, const char *section, const char *key)
{
	const yaml_node_t *node = yaml_document_get_root_node(&doc->document), *next;

	if (!node)
		return 1;
	if (entry >= 0) {
		next = child(doc, node, "groups");
		if (!next || next->type != YAML_SEQUENCE_NODE ||
		    entry >= next->data.sequence.items.top - next->data.sequence.items.start)
			return line_of(node);
		node = yaml_document_get_node(&doc->document,
					      next->data.sequence.items.start[entry]);
	}
	if (section) {
		next = child(doc, node, section);
		node = next ? next : node;
	}
	next = child(doc, node, key);
	return line_of(next ? next : node);
}
