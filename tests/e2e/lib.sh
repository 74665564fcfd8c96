# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# What the end-to-end scripts share: groups, processes, the daemon, expectations, and the clean-up.
#
#	set -euo pipefail
#	. "$(dirname "$0")/lib.sh"
#
# Works on cgroup v1, hybrid and v2; in a slow guest (PFUSE_GUEST or PFUSE_SLOW is set) times are
# stretched. Writes only below $tmp and in groups whose names begin with $prefix. The trap ends every
# process that was started here or lives in such a group, by its id, and removes the groups.
# Exit 0: all as expected · 1: not so, with what was expected and what was seen · 77: SKIP, with a reason.

pfuse=$PFUSE_BUILD/pfuse-bpf
bin=$PFUSE_BUILD/tests/e2e
prefix=pfuse-test-$$
tmp=$(mktemp -d "${TMPDIR:-/tmp}/$prefix-XXXXXX")
ledger=$tmp/ledger
pids=()	   # started by spawn and start_daemon
daemon=''  # pid of the daemon that runs
has_memory='' # v1 | v2: who serves the memory controller
memory='' # the hierarchy with the memory controller
twin=''	  # the v2 tree where it is another one (hybrid), else empty
v2=''	  # the v2 tree, if any
others=() # v1: further hierarchies in which groups are made, see need_controllers
slow=''
if [ -n "${PFUSE_GUEST-}" ] || [ -n "${PFUSE_SLOW-}" ] || grep -q 'QEMU TCG' /proc/cpuinfo; then
	slow=1
fi

# fast NATIVE GUEST: the first here, the second where everything is 10 to 50 times slower
fast() { if [ -n "$slow" ]; then echo "$2"; else echo "$1"; fi; }

say() { printf '%s\n' "$*"; }

# thorough WHAT: says WHAT and is true; in a slow guest, where it is left out for want of time, false
thorough() {
	if [ -z "$slow" ]; then say "$1"; else say "(left out in a slow guest: $1)"; fi
	[ -z "$slow" ]
}

skip() {
	printf 'SKIP: %s\n' "$*"
	exit 77
}

# not_in_guest WHY: what was seen in an emulated guest instead of a pass
not_in_guest() { [ -z "${PFUSE_GUEST-}" ] || skip "in an emulated guest: $*"; }

show_file() {
	[ -s "$1" ] || return 0
	printf -- '--- %s, last lines:\n' "${1#"$tmp"/}"
	tail -n 25 "$1" | cat -v
}

fail() {
	printf 'FAIL: %s\n' "$*"
	show_file "$tmp/out"
	show_file "$tmp/err"
	exit 1
}

# expect WHAT EXPECTED SEEN
expect() { [ "$2" = "$3" ] || fail "$1: expected [$2], saw [$3]"; }

# expect_that WHAT CONDITION...: for instance  expect_that "grows often" [ "$n" -gt 3 ]
expect_that() {
	local what=$1
	shift
	"$@" || fail "$what: expected $(printf '%q ' "$@"), which does not hold"
}

expect_line() { grep -qE -- "$2" "$1" || fail "expected a line /$2/ in ${1#"$tmp"/}, saw none"; }
expect_no_line() { ! grep -qE -- "$2" "$1" || fail "expected no line /$2/ in ${1#"$tmp"/}, saw: $(grep -E -m1 -- "$2" "$1" | cat -v)"; }

# A sleep without a process: a read from a pipe into which nobody writes.
exec {silence}<> <(:)
nap() { read -rt "$1" -u "$silence" || true; }

# wait_for SECONDS CONDITION...; false after so many seconds. In a slow guest a look may cost 10 ms of its only
# thread, which whoever is waited for would have: fewer looks there.
between_looks=$(fast 0.02 0.1)
wait_for() {
	local until=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
	shift
	until "$@"; do
		[ "${EPOCHREALTIME/[.,]/}" -lt "$until" ] || return 1
		nap "$between_looks"
	done
}

# must_come SECONDS WHAT CONDITION...
must_come() {
	local seconds=$1 what=$2
	shift 2
	wait_for "$seconds" "$@" || fail "$what: expected within $seconds s, did not come"
}

now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

# --- hierarchies ---------------------------------------------------------------------------------

find_hierarchies() {
	local root mount rest
	while read -r _ _ _ root mount rest; do
		[ "$root" = / ] || continue
		case $rest in
		*' - cgroup2 '*) v2=${v2:-$mount} ;;
		*' - cgroup '*)
			case ",${rest##* }," in *,memory,*) memory=${memory:-$mount} ;; esac
			;;
		esac
	done </proc/self/mountinfo
	has_memory=v1
	if [ -n "$memory" ]; then
		twin=$v2
	elif [ -n "$v2" ] && grep -qw memory "$v2/cgroup.controllers"; then
		memory=$v2 has_memory=v2
	else
		skip "no cgroup hierarchy with the memory controller is mounted"
	fi
}

[ "$(id -u)" = 0 ] || skip "needs root: it makes cgroups and loads BPF programs"
find_hierarchies

is_v1() { [ $has_memory = v1 ]; }
roots() { printf '%s\n' "$memory" ${twin:+"$twin"} "${others[@]}"; }

# need_controllers NAME...: of v2 (cpu, io); groups that are made from now on have them. v1 has them in
# hierarchies of their own, and counts CPU time in another one.
enabled=(memory)
need_controllers() {
	local name on_v1 v1 mount
	for name; do
		if ! is_v1; then
			grep -qw "$name" "$v2/cgroup.controllers" || skip "no $name controller"
			enabled+=("$name")
			continue
		fi
		case $name in cpu) on_v1='cpu cpuacct' ;; io) on_v1=blkio ;; *) on_v1=$name ;; esac
		for v1 in $on_v1; do
			mount=$(mount_of "$v1")
			[ -n "$mount" ] || skip "no $v1 controller is mounted"
			[[ " $memory ${others[*]} " = *" $mount "* ]] || others+=("$mount")
		done
	done
}
mount_of() { # CONTROLLER of v1
	awk -v name="$1" '/ - cgroup / && $4 == "/" { n = split($NF, o, ",")
		for (i = 1; i <= n; i++) if (o[i] == name) { print $5; exit } }' /proc/self/mountinfo
}

enable_memory() {
	local name
	is_v1 || for name in "${enabled[@]}"; do
		grep -qw "$name" "$1/cgroup.subtree_control" || echo "+$name" >"$1/cgroup.subtree_control"
	done
}

# new_group NAME: makes the group $prefix-NAME in the memory hierarchy, and in the v2 twin. NAME may
# be a path; its parents are made too. group NAME: its path below the hierarchies.
group() { echo "$prefix-$1"; }
new_group() {
	local path="$prefix-$1"
	enable_memory "$memory"
	if [[ $path = */* ]] && ! is_v1; then
		local parent=${path%/*} at=$memory part parts
		IFS=/ read -ra parts <<<"$parent"
		for part in "${parts[@]}"; do
			at=$at/$part
			mkdir -p "$at"
			enable_memory "$at"
		done
	fi
	mkdir -p "$memory/$path" ${twin:+"$twin/$path"} "${others[@]/%//$path}"
}

# The process of this shell into a group, here and in the other hierarchies.
enter() {
	local root
	for root in "${others[@]}" "$memory" ${twin:+"$twin"}; do
		echo "$BASHPID" >"$root/$prefix-$1/cgroup.procs"
	done
}

# in_group NAME COMMAND...
in_group() {
	local name=$1
	shift
	(enter "$name" && exec "$@")
}

# spawn NAME COMMAND...: in the background; its pid is $spawned
spawned=''
spawn() {
	local name=$1
	shift
	# The redirection keeps bash from giving it /dev/null.
	(enter "$name" && exec "$@") <&0 &
	spawned=$!
	pids+=("$spawned")
	wait_for "$(fast 10 60)" is_inside "$name" "$spawned" || fail "$* did not enter $(group "$name")"
}

# It enters the v2 twin last.
is_inside() {
	local inside=()
	is_dead "$2" && return
	mapfile -t inside <"${twin:-$memory}/$prefix-$1/cgroup.procs"
	[[ " ${inside[*]} " = *" $2 "* ]]
}

# --- controls of a group -------------------------------------------------------------------------

file_of() { # NAME v1-file v2-file
	if is_v1; then echo "$memory/$(group "$1")/$2"; else echo "$memory/$(group "$1")/$3"; fi
}

set_limit() { # NAME BYTES
	local file
	file=$(file_of "$1" memory.limit_in_bytes memory.max)
	echo "$2" >"$file"
}
limit_of() { cat "$(file_of "$1" memory.limit_in_bytes memory.max)"; }
usage_of() { cat "$(file_of "$1" memory.usage_in_bytes memory.current)"; }

cgroups_of() { cat "/proc/$1/cgroup"; } # PID

# All controls that the daemon may write, in one line each: the state that must come back.
controls_of() {
	local dir=$memory/$1 file
	for file in memory.limit_in_bytes memory.memsw.limit_in_bytes memory.max memory.high; do
		[ ! -e "$dir/$file" ] || printf '%s %s\n' "$file" "$(cat "$dir/$file")"
	done
	[ ! -e "$dir/memory.oom_control" ] || grep oom_kill_disable "$dir/memory.oom_control"
	file=${v2:-$memory}/$1/cgroup.freeze
	[ ! -e "$file" ] || printf 'cgroup.freeze %s\n' "$(cat "$file")"
}

oom_kills_of() { # NAME
	awk '$1 == "oom_kill" { print $2 }' "$(file_of "$1" memory.oom_control memory.events)"
}

can_freeze() { [ -n "$v2" ]; }
is_frozen() { grep -qx 'frozen 1' "$v2/$(group "$1")/cgroup.events"; }
not() { ! "$@"; }
state=''
state_of() { # PID: its state is in $state, empty if there is no such process
	local line=''
	{ read -rd '' line <"/proc/$1/stat" || true; } 2>/dev/null
	line=${line##*) }
	state=${line%% *}
}
is_signalled() { state_of "$1" && [ "$state" = T ]; }
is_dead() { state_of "$1" && { [ -z "$state" ] || [ "$state" = Z ]; }; }
alive() { not is_dead "$1"; }

# --- the daemon ----------------------------------------------------------------------------------

# Quick settings, so that a test need not wait for 10 s of silence.
quick_deadline=60s
quick_idle=$(fast 300ms 1s)
quick_config() {
	cat >"$tmp/quick.yaml" <<-END
		policy: fusebox
		interval: $(fast 100ms 500ms)
		groups:
		  - match: "*"
		    idle: $quick_idle
		    window: $quick_idle
		    deadline: $quick_deadline
	END
	echo "$tmp/quick.yaml"
}

ready_line='pfuse-bpf  (orchestrates|watches)'
is_ready() { # without a process: it is asked all the time while the daemon starts
	local said=()
	mapfile -t said <"$tmp/out"
	[[ ${said[*]} =~ $ready_line ]] || is_dead "$daemon"
}

# start_daemon ARGUMENT...: `pfuse-bpf run` in the background, ready; $daemon is its pid. Every run is
# recorded, unless the script says otherwise or has a --trace of its own, and stop_daemon replays it.
recorded=$tmp/recorded.pftrace
start_daemon() {
	local record=(--trace "$recorded")
	[[ -z ${not_recorded-} && " $* " != *' --trace '* ]] || record=()
	: >"$tmp/out"
	rm -f "${recorded%.pftrace}"*.pftrace
	"$pfuse" run --ledger "$ledger" "${record[@]}" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null &
	daemon=$!
	pids+=("$daemon")
	wait_for "$(fast 20 100)" is_ready || fail "the daemon did not become ready"
	! is_dead "$daemon" || grep -qE "$ready_line" "$tmp/out" || fail "the daemon ended before it was ready"
}

# Waits for the daemon's end; its status is in $status.
status=''
wait_daemon() {
	must_come "$(fast 20 100)" "end of the daemon" is_dead "$daemon"
	status=0
	wait "$daemon" || status=$?
}

stop_daemon() {
	kill -TERM "$daemon"
	wait_daemon
	expect "exit status of the daemon" 0 "$status"
	replay_recorded
}

# Each file of a recording that was begun anew at a size, by itself; the transcripts are in $tmp/replayed.
replay_recorded() {
	local file
	: >"$tmp/replayed"
	for file in "${recorded%.pftrace}"*.pftrace; do
		[ -e "$file" ] || return 0
		"$pfuse" replay "$file" >"$tmp/replay" 2>&1 || {
			grep -E -m6 '^(recorded|replayed|different|pfuse-bpf):' "$tmp/replay" | cut -c1-300
			fail "the run that was recorded does not replay identically: ${file##*/}"
		}
		cat "$tmp/replay" >>"$tmp/replayed"
	done
	say "   recorded and replayed: $(grep '^identical: ' "$tmp/replayed" | tr '\n' ' ')"
}

# The keeper is the daemon's child of that name.
keeper_of() {
	local pid pids
	read -ra pids <"/proc/$1/task/$1/children" || true
	for pid in "${pids[@]}"; do
		if [ "$(cat "/proc/$pid/comm")" = pfuse-keeper ]; then
			echo "$pid"
			return
		fi
	done
	fail "the daemon has no keeper"
}

# The daemon and its keeper, so that nobody restores anything.
double_kill() {
	local keeper
	keeper=$(keeper_of "$daemon")
	kill -STOP "$daemon" # so that it cannot start another
	kill -KILL "$keeper"
	must_come "$(fast 5 30)" "end of the keeper" not alive "$keeper"
	kill -KILL "$daemon"
	wait "$daemon" 2>/dev/null || true
}

json() { "$bin/json" "$@"; }

# one_line FILE: exactly one, and no byte that could disturb a terminal
one_line() {
	expect "lines in ${1#"$tmp"/}" 1 "$(wc -l <"$1")"
	no_control_bytes "$1"
}
# C0, DEL, and C1 as UTF-8; what else is UTF-8 may stay.
control_bytes='[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]'
no_control_bytes() {
	! LC_ALL=C grep -qaP "$control_bytes" "$1" ||
		fail "control bytes in ${1#"$tmp"/}: $(LC_ALL=C grep -aP -m1 "$control_bytes" "$1" | cat -v)"
}

# --- the end -------------------------------------------------------------------------------------

# All directories of ours, the deepest first.
our_groups() {
	local root
	roots | while read -r root; do find "$root" -depth -type d -path "$root/$prefix-*" 2>/dev/null; done
}

kill_groups() {
	local dir pid
	while IFS= read -r dir; do
		if [ -e "$dir/cgroup.freeze" ]; then echo 0 >"$dir/cgroup.freeze" || true; fi
		while read -r pid; do
			[ "$pid" = 0 ] || kill -KILL "$pid" || true
		done <"$dir/cgroup.procs" || true
	done < <(our_groups)
}

try_remove() {
	local dir left=0
	while IFS= read -r dir; do rmdir "$dir" || left=1; done < <(our_groups)
	return $left
}

# A script that has more to undo defines its own.
at_end() { :; }

clean_up() {
	local code=$? pid
	trap - EXIT ERR
	set +eu +o errtrace # it goes on whatever happens
	exec 2>/dev/null
	for pid in "${pids[@]}"; do
		kill -0 "$pid" && { kill -CONT "$pid"; kill -TERM "$pid"; }
	done
	[ -z "$daemon" ] || wait_for "$(fast 5 30)" is_dead "$daemon"
	for pid in "${pids[@]}"; do kill -KILL "$pid"; done
	kill_groups
	wait
	wait_for "$(fast 10 60)" try_remove || { kill_groups; try_remove; } ||
		{ printf 'FAIL: groups are left behind: %s\n' "$(our_groups | tr '\n' ' ')"; [ "$code" != 0 ] || code=1; }
	at_end
	rm -rf "$tmp"
	exit "$code"
}
trap clean_up EXIT
set -o errtrace
trap 'printf "FAIL: %s:%s: %s\n" "${BASH_SOURCE[0]##*/}" "$LINENO" "$BASH_COMMAND" >&2' ERR
trap 'exit 1' INT TERM HUP
