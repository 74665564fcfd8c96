#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# A trace as others see it: protoc, which knows nothing of our writer, decodes every packet, once by the
# public numbers (written here a second time, not read from our .proto) and once by our .proto.
set -eu
sample=$1
proto=$PFUSE_SOURCE/src/export/pftrace.proto
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
command -v protoc >/dev/null || { echo "SKIP: protoc is not installed (protobuf-compiler)"; exit 77; }

fail() { echo "FAIL: $*"; cat "$tmp/raw" "$tmp/named" 2>/dev/null | head -300; exit 1; }
has() { # FILE WHAT LINE...: the lines follow each other, whatever their indentation
	local file=$1 what=$2 lines
	shift 2
	lines=$(printf '%s\n' "$@")
	grep -qF -- "$(tr '\n' '~' <<<"$lines" | sed 's/~$//')" \
		<(sed 's/^ *//' "$file" | tr '\n' '~') || fail "$what: expected in ${file##*/}: $lines"
}

"$sample" "$tmp/t.pftrace"
protoc --decode_raw <"$tmp/t.pftrace" >"$tmp/raw" 2>"$tmp/complaint" || fail "protoc: $(cat "$tmp/complaint")"
protoc --proto_path="${proto%/*}" --decode=pftrace.Trace "${proto##*/}" <"$tmp/t.pftrace" \
	>"$tmp/named" 2>>"$tmp/complaint" || fail "protoc: $(cat "$tmp/complaint")"
[ ! -s "$tmp/complaint" ] || fail "protoc complains: $(cat "$tmp/complaint")"
! grep -qE '^ *[0-9]+[:{ ]' "$tmp/named" || fail "fields that our .proto does not know"

# Trace.packet = 1, and nothing else at the top; every packet has the sequence 1 (field 10).
[ "$(grep -cE '^[0-9]' "$tmp/raw")" = "$(grep -c '^1 {' "$tmp/raw")" ] || fail "something beside packets"
[ "$(grep -c '^1 {' "$tmp/raw")" = "$(grep -c '^  10: 1$' "$tmp/raw")" ] || fail "a packet without its sequence"
# Field 13: the first packet clears the state, the others need it.
[ "$(grep -m1 '^  13:' "$tmp/raw")" = '  13: 1' ] && [ "$(grep -c '^  13: 1$' "$tmp/raw")" = 1 ] ||
	fail "incremental state is not cleared by the first packet alone"

clocks=$(sed -n '/clock_snapshot/,/^}/p' "$tmp/named" | grep -E 'clock_id' | tr -d ' ' | tr '\n' ' ')
[ "$clocks" = 'clock_id:3 clock_id:6 clock_id:1 ' ] ||
	case $clocks in *clock_id:3*clock_id:6*clock_id:1*) ;; *) fail "clocks: $clocks" ;; esac
has "$tmp/raw" "defaults: timestamp_clock_id MONOTONIC" '59 {' '58: 3' '}'
has "$tmp/raw" "the first packet of the sequence says so" '87: 1'
has "$tmp/raw" "track" '60 {' '1: 10' '2: "web"' '}'
has "$tmp/raw" "counter track in bytes" '60 {' '1: 11' '2: "ram usage"' '5: 10' '8 {' '3: 3' '}' '}'
has "$tmp/raw" "counter track with a unit of its own" '8 {' '6: "CPUs"' '}'
has "$tmp/raw" "instant: category, type, name, track" '9: 3' '10: 2' '11: 10'
has "$tmp/raw" "a category is interned" '12 {' '1 {' '1: 1' '2: "decision"' '}' '}'
has "$tmp/raw" "a name is interned" '12 {' '2 {' '1: 2' '2: "ram down"' '}' '}'
awk '/"ram down"/ { known = 1 } /^    10: 2$/ { exit !known }' "$tmp/raw" || fail "a name is used before it is known"
[ "$(grep -c '"ram down"' "$tmp/raw")" = 1 ] || fail "a name is written more than once"
has "$tmp/raw" "annotation, string" '6: "score-low"'
has "$tmp/named" "annotation, longer than 127 bytes" "string_value: \"$(printf 'x%.0s' {1..300})\"" '}'
has "$tmp/raw" "annotation, uint" '3: 18446744073709551615'
has "$tmp/raw" "annotation, double" '5: 0x3fd0000000000000'
has "$tmp/named" "annotation, int and bool" 'int_value: -5'
has "$tmp/raw" "counter" '9: 4' '11: 11' '30: 18446744073709551615'
has "$tmp/raw" "counter, double" '9: 4' '11: 12' '44: 0x3ff8000000000000'
has "$tmp/raw" "slice" '9: 1' '10: 9' '11: 10'
has "$tmp/raw" "end of a slice" '9: 2' '11: 10'
has "$tmp/raw" "process tree" '2 {' '1 {' '1: 7' '2: 1' '3: "main"' '}'
has "$tmp/raw" "thread of it" '2 {' '1: 8' '2: "second"' '3: 7' '}'
has "$tmp/raw" "bundle of a CPU" '1 {' '1: 1' '2 {'
has "$tmp/named" "switch" 'sched_switch {' 'prev_comm: "w\303\266rker"' 'prev_pid: 7' 'prev_prio: 120' \
	'prev_state: 1' 'next_comm: "swapper/1"' 'next_pid: 0' 'next_prio: 120' '}'
has "$tmp/named" "waking, escaped" 'sched_waking {' 'comm: "\\x1b[m"' 'pid: 7' 'prio: 98' 'success: 1' 'target_cpu: 1' '}'
grep -q '^ *3: 1$' "$tmp/raw" || fail "lost events are not told"
has "$tmp/raw" "ours, where public readers look past" '2001 {' '1: 1' '4 {'
echo "edge.pftrace: $(grep -c '^1 {' "$tmp/raw") packets, decoded by the public numbers"
