/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Reads one value from a JSON file, for scripts.
 *
 *	json FILE [KEY | INDEX]...
 *
 * Prints a number, a text, true, false or null plainly; of an array, its length; of an object, its
 * keys, one a line. Exit 1: no such value. Exit 2: no JSON.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static json_t *step(json_t *at, const char *key)
{
	if (json_is_array(at))
		return json_array_get(at, strtoul(key, NULL, 10));
	return json_object_get(at, key);
}

static void print(json_t *value)
{
	const char *key;
	json_t *ignored;

	if (json_is_string(value))
		puts(json_string_value(value));
	else if (json_is_array(value))
		printf("%zu\n", json_array_size(value));
	else if (json_is_object(value))
		json_object_foreach(value, key, ignored)
			puts(key);
	else
		json_dumpf(value, stdout, JSON_ENCODE_ANY), putchar('\n');
}

int main(int argc, char **argv)
{
	json_error_t error;
	json_t *at = argc > 1 ? json_load_file(argv[1], 0, &error) : NULL;

	if (!at) {
		fprintf(stderr, "json: %s: %s\n", argc > 1 ? argv[1] : "FILE?",
			argc > 1 ? error.text : "");
		return 2;
	}
	for (int i = 2; i < argc && at; i++)
		at = step(at, argv[i]);
	if (!at)
		return 1;
	print(at);
	return 0;
}
