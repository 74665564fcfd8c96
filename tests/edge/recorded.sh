#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Runs that were recorded once, decided again: each tests/recorded/NAME.pftrace replays identically, and its
# transcript is NAME.txt, byte for byte. A finding from the field becomes a file there. Where a decision is
# changed on purpose, it shows here first: record anew (`run --trace`), and look at the difference of the text.
set -eu
pfuse=$PFUSE_BUILD/pfuse-bpf
recorded=$PFUSE_SOURCE/tests/recorded
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
count=0
for trace in "$recorded"/*.pftrace; do
	name=${trace##*/} status=0
	"$pfuse" replay "$trace" >"$tmp/text" 2>"$tmp/err" || status=$?
	diff -u "${trace%.pftrace}.txt" "$tmp/text" || { echo "FAIL: $name: another transcript"; exit 1; }
	[ $status = 0 ] || { echo "FAIL: $name: status $status"; cat "$tmp/err"; exit 1; }
	count=$((count + 1))
done
[ $count -gt 0 ] || { echo "FAIL: no recorded run in $recorded"; exit 1; }
echo "edge.recorded: $count recorded runs"
