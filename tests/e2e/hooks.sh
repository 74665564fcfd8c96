#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# A kernel that lacks hooks, or knows them and refuses them: what is left is used, and doctor says so.
# The lack is made by renaming hooks in a copy of the kernel's BTF, which a mount namespace puts in place.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
unshare -m true 2>/dev/null || skip "no mount namespaces here"

new_group it
set_limit it 268435456
spawn it sleep 1000

# without "NAME..." COMMAND...: with a kernel BTF in which these names end in X
without() {
	local script='' name
	for name in $1; do script+="s/\\x00${name}\\x00/\\x00${name%?}X\\x00/;"; done
	shift
	LC_ALL=C sed "$script" /sys/kernel/btf/vmlinux >"$tmp/btf"
	# shellcheck disable=SC2016
	unshare -m sh -c 'mount --bind "$0" /sys/kernel/btf/vmlinux && exec "$@"' "$tmp/btf" "$@"
}
run=("$pfuse" run --ledger "$ledger" --for "$(fast 300ms 1s)" "$(group it)")

say "no sock_send_length and sock_recv_length: fexit where the kernel takes it, else nothing"
lost="btf_trace_sock_send_length btf_trace_sock_recv_length"
without "$lost" "$pfuse" doctor >"$tmp/out" 2>"$tmp/err" || true
expect_line "$tmp/out" 'sock_send_length'
blind=''
! grep -q 'lacks *tp_btf/sock_send_length' "$tmp/out" ||
	blind='this kernel does not show talks over UDP and UNIX sockets; no group is stopped unguarded, going on'
without "$lost" "${run[@]}" >"$tmp/out" 2>"$tmp/err" || fail "run: exit status $?"
expect "errors" "${blind:+pfuse-bpf: $blind}" "$(cat "$tmp/err")"

say "no page_fault_user"
without btf_trace_page_fault_user "${run[@]}" >"$tmp/out" 2>"$tmp/err" || fail "run: exit status $?"
expect "errors" "" "$(cat "$tmp/err")"

say "a trace without page_fault_user and talks: tells what is there, and says what is not"
without "btf_trace_page_fault_user ${blind:+$lost}" "$pfuse" trace --for "$(fast 300ms 1s)" "$(group it)" >"$tmp/out" 2>"$tmp/err" ||
	fail "trace: exit status $?"
expect_line "$tmp/err" '^pfuse-bpf trace: this kernel does not tell fault events, going on$'
[ -z "$blind" ] || expect_line "$tmp/err" '^pfuse-bpf trace: this kernel does not tell talk events, going on$'
expect_no_line "$tmp/err" 'does not tell (switch|wake|signal|fork|exec|exit)'

say "no sched_switch: refused, with the hook's name"
status=0
without btf_trace_sched_switch "${run[@]}" >"$tmp/out" 2>"$tmp/err" || status=$?
expect "exit status" 3 "$status"
one_line "$tmp/err"
expect_line "$tmp/err" 'sched_switch'
expect "the limit" 268435456 "$(limit_of it)"
say ok
