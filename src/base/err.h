/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * One clear sentence about a failure: what, where, and what to do. Edges never log: they return
 * -errno, and where a number is not enough they fill the caller's struct err. The sentence holds no
 * control characters (names are quoted by err_quote()) and ends without a full stop or newline.
 * Every function accepts err == NULL.
 */
#ifndef PFUSE_BASE_ERR_H
#define PFUSE_BASE_ERR_H

#include <stddef.h>

struct err {
	char text[512];
};

#define ERR_QUOTED 200 /* bytes that hold any name quoted by err_quote() */

/* Writes the sentence and returns `code` (a -errno), so that `return err_set(…)` reads well. */
int err_set(struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * An untrusted name made printable: bytes outside 0x20…0x7e become \xNN, and a long name keeps its
 * beginning and its end. Returns `out`, always terminated.
 */
char *err_quote(const char *name, char out[ERR_QUOTED]);

#endif
