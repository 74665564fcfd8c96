#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# `run -- COMMAND`: its status, its surroundings, the summary, and that nothing stays behind.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

enable_memory "$memory"

# run ARGUMENT...: in the foreground; $status, and its pid in $tmp/pid
run() {
	status=0
	# shellcheck disable=SC2016
	bash -c 'echo $$ >"$0/pid"; exec "$@"' "$tmp" "$pfuse" run --ledger "$ledger" "$@" \
		>"$tmp/out" 2>"$tmp/err" || status=$?
}

nothing_left() {
	local pid root
	pid=$(<"$tmp/pid")
	while read -r root; do
		[ ! -e "$root/pfuse/run-$pid" ] || fail "$1: the group pfuse/run-$pid is left in $root"
	done < <(awk '/ - cgroup2? / { print $5 }' /proc/self/mountinfo)
	[ ! -e "$ledger" ] || fail "$1: the ledger is left"
}

expect_status() { # STATUS WHAT COMMAND...
	local wanted=$1 what=$2
	shift 2
	run --policy fusebox "$@"
	expect "exit status when COMMAND $what" "$wanted" "$status"
	nothing_left "COMMAND $what"
}

say "the job of the first page: sysbench"
if command -v sysbench >/dev/null; then
	size=$(fast 128M 8M)
	expect_status 0 "is sysbench" --for 60s --summary "$tmp/s.json" -- \
		sysbench memory --memory-block-size="$size" --time="$(fast 6 3)" run
	expect_line "$tmp/out" 'transferred'
else
	say "(no sysbench here: hog instead)"
	expect_status 0 "is hog" --for 60s --summary "$tmp/s.json" -- "$bin/hog" 10 120 0 2 2
fi
expect_line "$tmp/out" ' ram  .* -> .*(score|mark|limit).*usage'

# fields_are_there SECTION KEY...: each field that the manual lists, with a value, or null and a reason
fields_are_there() {
	local section=$1 field value reason key n=0
	shift
	while read -r field; do
		IFS=. read -ra key <<<"$field"
		value=$(json "$tmp/s.json" "$@" "${key[@]}") || fail "the summary lacks $section $field"
		key[-1]=${key[-1]}_reason
		reason=''
		# In a slow guest a process costs 0.1 s: there only those that need a reason are asked.
		[ -n "$slow" ] && [ "$value" != null ] || reason=$(json "$tmp/s.json" "$@" "${key[@]}") || reason=''
		[ "$value" != null ] || [ -n "$reason" ] || fail "$section $field is null without a reason"
		[ "$value" = null ] || [ -z "$reason" ] || fail "$section $field is $value, with a reason"
		n=$((n + 1))
	done < <(awk -v section="## $section" '
		/^## / { on = $0 == section }
		on && /^\| `/ { split($0, c, "|"); gsub(/[`,]/, "", c[2]); n = split(c[2], f, " ")
				for (i = 1; i <= n; i++) print f[i] }' "$PFUSE_SOURCE/docs/summary.md")
	expect_that "fields of $section in docs/summary.md" [ "$n" -gt 8 ]
}
say "the summary has every field of docs/summary.md"
expect "schema" 1 "$(json "$tmp/s.json" schema)"
expect "groups in the summary" 1 "$(json "$tmp/s.json" groups)"
fields_are_there daemon daemon
fields_are_there groups groups 0
expect "null limit_first_mib" null "$(json "$tmp/s.json" groups 0 limit_first_mib)"
expect "OOM kills" 0 "$(json "$tmp/s.json" groups 0 oom_kills)"

say "exit statuses"
expect_status 7 "exits with 7" -- sh -c 'exit 7'
if thorough "more of them"; then
	expect_status 137 "is killed by SIGKILL" -- sh -c 'kill -KILL $$'
	expect_status 1 "does not exist" -q -- "$tmp/no-such-program"
	one_line "$tmp/err"
	expect_line "$tmp/err" 'no-such-program.*No such file'
	expect_status 143 "is killed by SIGTERM" -- sh -c 'kill -TERM $$'
	expect_status 1 "is a directory" -q -- "$tmp"
	one_line "$tmp/err"
fi

say "what COMMAND finds is what it would find without us"
cat >"$tmp/look" <<'END'
pwd; id -u; umask; ulimit -Sn; ulimit -Hn; echo "${PFUSE_SEEN-none}"
for fd in /proc/$$/fd/*; do printf "%s " "${fd##*/}"; done; echo
grep -E '^(Sig(Ign|Cgt))' /proc/$$/status
cut -d ' ' -f 18,19,40,41 /proc/$$/stat
END
(ulimit -Sn 500; PFUSE_SEEN=yes sh "$tmp/look" </dev/null >"$tmp/without" 2>"$tmp/err")
(ulimit -Sn 500; PFUSE_SEEN=yes "$pfuse" run -q --ledger "$ledger" -- sh "$tmp/look" </dev/null >"$tmp/with" 2>"$tmp/err")
diff "$tmp/without" "$tmp/with" >"$tmp/out" || fail "COMMAND finds other surroundings (< without, > with pfuse-bpf)"

if thorough "its standard input and output are its own"; then
	head -c 300000 /dev/urandom >"$tmp/bytes"
	"$pfuse" run -q --ledger "$ledger" -- cat <"$tmp/bytes" >"$tmp/copy" 2>"$tmp/err"
	cmp "$tmp/bytes" "$tmp/copy" || fail "COMMAND's output is not its input"
fi

say "children that COMMAND leaves behind go back where it came from"
# shellcheck disable=SC2016
expect_status 5 "leaves a child" -- sh -c 'sleep 300 >/dev/null 2>&1 & echo $! >"$0"; exit 5' "$tmp/child"
child=$(<"$tmp/child")
pids+=("$child")
expect_that "the child runs" not is_dead "$child"
expect "cgroups of the child" "$(cgroups_of $$)" "$(cgroups_of "$child")"

say "--for ends first: COMMAND goes on, and its status counts"
is_back() { [ -s "$tmp/command" ] && [ "$(cgroups_of "$(<"$tmp/command")")" = "$(cgroups_of $$)" ]; }
(
	wait_for "$(fast 20 100)" is_back || true
	cgroups_of "$(cat "$tmp/command")" >"$tmp/during" 2>&1 || true
	: >"$tmp/seen"
) &
looker=$!
# shellcheck disable=SC2016
expect_status 9 "outlives --for" --for 500ms -- \
	bash -c 'echo $$ >"$0"; until [ -e "$1" ]; do sleep 0.1; done; echo finished; exit 9' "$tmp/command" "$tmp/seen"
wait $looker
expect_line "$tmp/out" '^finished$'
expect "cgroups of COMMAND after --for" "$(cgroups_of $$)" "$(cat "$tmp/during")"

say "SIGTERM is handed on to COMMAND"
# shellcheck disable=SC2016
start_daemon -- bash -c 'trap "exit 11" TERM; echo up; while :; do sleep 0.1; done'
must_come "$(fast 5 30)" "COMMAND" grep -q '^up$' "$tmp/out"
kill -TERM "$daemon"
wait_daemon
expect "exit status after SIGTERM" 11 "$status"

if ! thorough "a COMMAND that ignores SIGTERM goes on, outside, and is waited for"; then
	say "ok"
	exit 0
fi
start_daemon -- bash -c 'trap "" TERM; echo up; sleep 2; echo finished; exit 12'
must_come "$(fast 5 30)" "COMMAND" grep -q '^up$' "$tmp/out"
kill -TERM "$daemon"
wait_daemon
expect "exit status" 12 "$status"
expect_line "$tmp/out" '^finished$'
[ ! -e "$memory/pfuse/run-$daemon" ] || fail "the group is left"
say "ok"
