/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * CRC-32 (IEEE 802.3, reflected, as in zlib). Chains: crc32_of(crc32_of(0, a), b). No table: the
 * ledger's records are some 200 bytes long, and a table would be a page of memory.
 */
#ifndef PFUSE_BASE_CRC32_H
#define PFUSE_BASE_CRC32_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32_of(uint32_t crc, const void *data, size_t size);

#endif
