#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# pftrace.sh FUZZER SEEDS: fuzzes for PFUSE_FUZZ_SECONDS (60), from seeds that are made for this run and from
# what tests/fuzz/corpus holds: inputs that once were a finding.
set -eu
fuzzer=$1 seeds=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/seeds" "$tmp/found"
"$seeds" "$tmp/seeds"
cd "$tmp/found"
"$fuzzer" -max_total_time="${PFUSE_FUZZ_SECONDS:-60}" -timeout=5 -rss_limit_mb=1024 -max_len=20000 \
	-print_final_stats=1 "$tmp/found" "$tmp/seeds" "$PFUSE_SOURCE/tests/fuzz/corpus" >"$tmp/log" 2>&1 || {
	tail -n 60 "$tmp/log"
	for input in "$tmp"/found/{crash,timeout,oom,leak}-*; do
		[ ! -s "$input" ] || { echo "input: ${input##*/}"; base64 "$input"; }
	done
	exit 1
}
grep -E 'DONE|cov:.*INITED|number_of_executed' "$tmp/log"
