/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Text to value, and untrusted bytes to text that is safe to print.
 *
 * Pure and bounded: (pointer, length) in, no terminating NUL needed, nothing read beyond, no libc
 * conversion, no locale, no errno. Every parser returns true and writes its result, or returns
 * false (malformed, out of range) and leaves the result untouched. Strict on purpose: a value that
 * is not exactly understood is an error of the user or a change of the kernel, and both want to be
 * known. Sources: the kernel's Documentation/admin-guide/cgroup-v2.rst ("Interface files") and
 * cgroups(7).
 */
#ifndef PFUSE_CORE_PARSE_H
#define PFUSE_CORE_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A part of the caller's text; not terminated. */
struct parse_slice {
	const char *at;
	size_t len;
};

/* A line of /proc/PID/cgroup. A removed cgroup's path ends in " (deleted)"; so may any other's. */
struct parse_cgroup {
	uint64_t hierarchy;
	struct parse_slice controllers; /* "memory", "cpu,cpuacct", "name=systemd"; empty on v2 */
	struct parse_slice path;	/* begins with '/' */
};

/* "4096", "4096\n"; "max" is PFUSE_UNLIMITED. No sign, no blanks: "-1" is refused. */
bool parse_u64(const char *text, size_t len, uint64_t *ret_value);

/* "123", "64M", "1.5G", "4GiB", "max" → bytes. K M G T, also KiB..TiB, are powers of 1024. */
bool parse_size(const char *text, size_t len, uint64_t *ret_bytes);

/* "500ms", "10s", "1.5h" → ns. Units ns us ms s m h. A bare number is refused: of what? */
bool parse_duration(const char *text, size_t len, uint64_t *ret_ns);

/* "90%", "92.5%", "5permille" → 0..1000. A bare number is refused: percent or permille? */
bool parse_permille(const char *text, size_t len, uint32_t *ret_permille);

/* "2", "0.05" → CPUs in permille of one; up to a million CPUs. Finer than a permille is cut. */
bool parse_cpus(const char *text, size_t len, uint32_t *ret_permille);

/* Flat keyed file (memory.events): the value on the line of this key. */
bool parse_key(const char *text, size_t len, const char *key, uint64_t *ret_value);

/*
 * Nested keyed file (io.stat): the sum over all lines of "key=value". A device without the key, and
 * an empty file, count as 0: the kernel prints no device that did no I/O. The sum saturates.
 */
bool parse_nested_sum(const char *text, size_t len, const char *key, uint64_t *ret_sum);

/* Pressure file: total=, in µs, of the line that begins with kind ("some" or "full"). */
bool parse_pressure(const char *text, size_t len, const char *kind, uint64_t *ret_total_us);

/* One line of /proc/PID/cgroup, with or without its newline. The slices point into the text. */
bool parse_cgroup_line(const char *text, size_t len, struct parse_cgroup *ret_cgroup);

/* Is this controller in a comma-separated list? */
bool parse_list_has(struct parse_slice list, const char *name);

/* Takes the first line off *rest, without its newline; false at the end. */
bool parse_next_line(struct parse_slice *rest, struct parse_slice *ret_line);

/*
 * Untrusted bytes (names, paths, comms) for a terminal, log or file. Printable ASCII and
 * well-formed UTF-8 pass; control characters (C0, DEL, C1), the backslash, everything malformed,
 * and what reorders or breaks lines unseen (bidirectional controls, U+2028, U+2029) become \xNN
 * byte by byte. The result is terminated. What does not fit in cap bytes is cut between characters
 * and ends in "..."; with less than 4 bytes of room the result is then empty. Returns its length.
 */
size_t parse_escape(char *dst, size_t cap, const char *src, size_t len);

#endif
