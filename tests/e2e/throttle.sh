#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# CPU, I/O and NET on real workloads: the figures are the kernel's and the workloads' own, the limits
# follow demand down and up, and everything comes back, however we end, but what somebody else wrote.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/usr/sbin:/sbin

MiB=1048576
need_controllers cpu io
command -v fio >/dev/null || skip "no fio; run: sudo tools/deps test"

# --- a disk, groups, and what their files hold -----------------------------------------------------

# Detached at once, but held open by this shell: it goes with us, however we end.
disk='' device=''
make_disk() {
	modprobe -q loop || true
	head -c $((64 * MiB)) /dev/zero >"$tmp/image"
	disk=$(losetup -f --show "$tmp/image") || skip "no loop device can be made here"
	# shellcheck disable=SC2034
	exec {disk_fd}<"$disk"
	losetup -d "$disk"
	read -r device <"/sys/block/${disk#/dev/}/dev"
}

dir_of() { # cpu | cpuacct | blkio, NAME
	if is_v1; then echo "$(mount_of "$1")/$(group "$2")"; else echo "$v2/$(group "$2")"; fi
}
for name in cpu disk net; do
	new_group "$name"
	set_limit "$name" $((256 * MiB))
done
cpu_dir=$(dir_of cpu cpu) account_dir=$(dir_of cpuacct cpu) io_dir=$(dir_of blkio disk)

# All files of our groups that can be set, with what they hold; figures and events are no settings.
settings() {
	our_groups | sort | while read -r at; do
		find "$at" -maxdepth 1 -type f -perm -u=w | sort
	done | grep -vE '/(cgroup\.procs|cgroup\.threads|tasks|cgroup\.(event_control|kill)|memory\.(reclaim|force_empty)|cpuacct\..*|.*(usage_in_bytes|failcnt|reset_stats|\.peak|pressure|pressure_level))$' |
		tr '\n' '\0' | xargs -0 grep -sH . | sed -E '/oom_control:(under_oom|oom_kill) /d' || true
}
as_before() { # WHAT
	settings >"$tmp/after"
	diff "$tmp/before" "$tmp/after" >"$tmp/diff" ||
		fail "$1: not as before (< before, > after): $(head -6 "$tmp/diff")"
}

# These answer in $ret: in a slow guest a process for each look would take too long.
ret=''
unlimited=999999999999
cpu_limit() { # permille of a CPU
	local quota period
	if is_v1; then
		read -r quota <"$cpu_dir/cpu.cfs_quota_us"
		read -r period <"$cpu_dir/cpu.cfs_period_us"
	else
		read -r quota period <"$cpu_dir/cpu.max"
	fi
	ret=$unlimited
	case $quota in max | -1) ;; *) ret=$((quota * 1000 / period)) ;; esac
}
disk_value() { # FILE KEY: the number after KEY in the line of our disk; empty: none
	local line
	ret=''
	while read -r line; do
		[[ $line = "$device "*"$2"* || $line = "$device$2"* ]] || continue
		line=${line#*"$2"}
		ret=${line%% *}
	done <"$io_dir/$1"
}
io_limit() { # read | write: bytes per second
	if is_v1; then disk_value "blkio.throttle.$1_bps_device" ' '; else disk_value io.max "${1:0:1}bps="; fi
	case $ret in '' | max) ret=$unlimited ;; esac
}
io_bytes() { # read | write: as the kernel counts them
	local key=Read
	[ "$1" = read ] || key=Write
	if is_v1; then disk_value blkio.throttle.io_service_bytes_recursive " $key "; else disk_value io.stat "${1:0:1}bytes="; fi
	ret=${ret:-0}
}
cpu_figure() { # usage (us) | nr_periods | nr_throttled
	local key value wanted=$1
	if [ "$1" = usage ] && is_v1; then
		read -r value <"$account_dir/cpuacct.usage"
		ret=$((value / 1000))
		return
	fi
	[ "$1" != usage ] || wanted=usage_usec
	ret=0
	while read -r key value; do [ "$key" != "$wanted" ] || ret=$value; done <"$cpu_dir/cpu.stat"
}
set_cpu() { # QUOTA (us of the period)
	if is_v1; then echo "$1" >"$cpu_dir/cpu.cfs_quota_us"; else echo "${1/#-1/max}" >"$cpu_dir/cpu.max"; fi
}
set_read() { # BYTES per second; 0: none
	if is_v1; then
		echo "$device $1" >"$io_dir/blkio.throttle.read_bps_device"
	else
		[ "$1" != 0 ] || set -- max
		echo "$device rbps=$1" >"$io_dir/io.max"
	fi
}

# close_to WHAT WANTED SEEN: within 5 %
close_to() {
	awk -v a="$2" -v b="$3" 'BEGIN { exit !(a > 0 && b >= a * 0.95 && b <= a * 1.05) }' ||
		fail "$1: expected $2 within 5 %, saw $3"
}
figure() { json "$tmp/s.json" groups "$@"; } # INDEX KEY...

# --- workloads -------------------------------------------------------------------------------------

low=(100 $((2 * MiB)) $((2 * MiB))) # permille of a CPU, bytes per second read, written
high=(400 $((12 * MiB)) $((6 * MiB)))
interval=$(fast 200 500)
# Low, the jump, and when it is met. From no limit down to twice of what is used are ten steps, one per
# interval, and a busy machine disturbs them: time for more than twice as many.
ms=($((25 * interval)) "$(fast 3000 5000)" "$(fast 2500 3500)")

# own.yaml: each group acts on the resource of its name; all.yaml: all on all
configs() {
	local kind
	printf 'policy: fusebox\ninterval: %sms\ngroups:\n' "$interval"
	for kind in cpu disk net; do
		printf '  - match: "*-%s"\n    freeze: off\n    ram: { mode: observe, cool_down: %sms }\n    %s: { mode: act }\n' \
			"$kind" $((2 * interval)) "${kind/disk/io}"
	done >>"$tmp/own.yaml"
	printf '  - match: "*"\n    freeze: off\n    ram: { cool_down: %sms }\n' $((2 * interval))
	printf '    %s: { mode: act }\n' cpu io net
}
echo "policy: fusebox
interval: ${interval}ms
groups:" >"$tmp/own.yaml"
configs >"$tmp/all.yaml"

# Jobs of fio, one that reads and one that writes per phase, at a rate each; 0 to 5 in its report
fio_phase() { # NAME MS READ WRITE
	printf '[%s-read]\nrw=read\nrate=%s\nruntime=%sms\nexec_prerun=date +%%s%%3N\n' "$1" "$3" "$2"
	[ "$1" = low ] || echo stonewall
	printf '[%s-write]\nrw=write\nrate=%s\nruntime=%sms\n' "$1" "$4" "$2"
}
fio_jobs() { # [low] or [all]
	printf '[global]\nioengine=psync\ndirect=1\nfilename=%s\nbs=32k\nsize=64m\ntime_based=1\n' "$disk"
	printf 'invalidate=0\ndisk_util=0\n'
	fio_phase low "${ms[0]}" "${low[@]:1}"
	[ "$1" = low ] || fio_phase jump "${ms[1]}" "${high[@]:1}"
	[ "$1" = low ] || fio_phase met "${ms[2]}" "${high[@]:1}"
}
start_fio() { # low | all; $fio
	fio_jobs "$1" >"$tmp/fio.job"
	cd "$tmp" # it writes more files than it is told to
	spawn disk fio --output-format=json --output="$tmp/fio.json" "$tmp/fio.job"
	cd "$OLDPWD"
	fio=$spawned
}
fio_says() { json "$tmp/fio.json" jobs "$@"; } # JOB KEY...

start_server() {
	address=127.0.0.1:$((10000 + $$ % 20000))
	spawn net "$bin/verify" serve-tcp --ready "$tmp/ready" "$address"
	server=$spawned
	must_come "$(fast 5 30)" "a server" [ -e "$tmp/ready" ]
}
# talk SECONDS PAUSE_US: a client of the server, in its group
talk() { spawn net "$bin/verify" echo-tcp --for "$1" --pause-us "$2-$2" --size 1000 "$address" >>"$tmp/talk"; }

make_disk
fio --version >"$tmp/version" # read before anybody counts
start_server
"$bin/sockprio" "$server" set 3
settings >"$tmp/before"
groups=("$(group cpu)" "$(group disk)" "$(group net)")

# --- figures and limits ----------------------------------------------------------------------------

say "demand is low, jumps, and is met"
start_daemon -c "$tmp/own.yaml" --summary "$tmp/s.json" "${groups[@]}"
"$bin/sockprio" "$server" watch >"$tmp/levels" &
pids+=($!)
declare -A before grown
for what in usage nr_periods nr_throttled; do cpu_figure $what && before[$what]=$ret; done
for what in read write; do io_bytes $what && before[$what]=$ret; done
start_fio all
spawn cpu "$bin/burn" "${low[0]}" "${ms[0]}" "${high[0]}" "${ms[1]}" "${high[0]}" "${ms[2]}" >"$tmp/burn"
burner=$spawned
talk "$(fast 6 12)" 20000
talking=$spawned faster=''
until is_dead "$fio" && is_dead "$burner"; do
	# Once the first client has raised the level, more traffic raises it again.
	if [ -z "$faster" ] && [ "$(wc -l <"$tmp/levels")" -gt 1 ]; then
		faster=1
		talk "$(fast 4 5)" 1000
	fi
	line=${EPOCHREALTIME/[.,]/}
	line=${line%???}
	cpu_limit && line+=" $ret"
	io_limit read && line+=" $ret"
	io_limit write && line+=" $ret"
	cpu_figure nr_periods && line+=" $ret"
	cpu_figure nr_throttled && line+=" $ret"
	cpu_figure usage && line+=" $ret"
	io_bytes read && line+=" $ret"
	io_bytes write && line+=" $ret"
	echo "$line" >>"$tmp/log"
	nap "$(fast 0.1 0.3)"
done
wait "$fio" || fail "fio: exit status $?"
must_come "$(fast 20 60)" "end of the talk" is_dead "$talking"
has_priority() { [ "$("$bin/sockprio" "$server")" = "$1" ]; }
must_come "$(fast 10 30)" "the lowest priority, in silence" has_priority 0
nap "$(fast 0.5 1.5)" # the last samples
for what in usage nr_periods nr_throttled; do cpu_figure $what && grown[$what]=$((ret - before[$what])); done
for what in read write; do io_bytes $what && grown[$what]=$((ret - before[$what])); done
stop_daemon

say "   the figures are the kernel's, and the workloads' own"
read -r _ burnt < <(tail -n 1 "$tmp/burn")
close_to "CPU time (us), by the kernel" "$burnt" "${grown[usage]}"
close_to "CPU time (us), in the summary" "${grown[usage]}" "$(awk -v s="$(figure 0 cpu_seconds)" 'BEGIN { print s * 1e6 }')"
close_to "CPU periods, in the summary" "${grown[nr_periods]}" "$(figure 0 cpu periods)"
expect "CPU periods in which it was throttled" "${grown[nr_throttled]}" "$(figure 0 cpu throttled)"
for what in read write; do
	sum=0
	for phase in 0 2 4; do
		[ $what = read ] || phase=$((phase + 1))
		sum=$((sum + $(fio_says $phase $what io_bytes)))
	done
	close_to "bytes ($what), by the kernel" "$sum" "${grown[$what]}"
	close_to "bytes ($what), in the summary" "${grown[$what]}" "$(figure 1 io_$what bytes)"
done

say "   the limits come down to what is used, and grow with it"
mapfile -t starts < <(cut -d ' ' -f 1 "$tmp/burn")
# The limits in the files: in the last 2 s of low demand, and at the end of the high one. A limit of
# which half is used is left alone. What was used is the demand; or more, in the busiest interval of that
# time: where others take the CPU, the workloads stand still and make up for it. In a slow guest, where
# samples come a second late, rates jump and the rule sees trends: there the low limit is below the high one.
# Of the high demand as much as was used in its last 2 s: on a machine with more work than CPUs that is less.
# That the limit did not keep it from more is what the throttled periods and the rates of fio show, below.
follows() { # WHAT COLUMN PER-MS JUMP-MS END-MS LOW HIGH
	awk -v column="$2" -v scale="$3" -v jump="$4" -v end="$5" -v low="$6" -v high="$7" -v what="$1" \
		-v interval="$interval" -v slow="$slow" '
		{ time[NR] = $1; count[NR] = $(column + 5) }
		$1 < jump && $1 > jump - 2000 {
			if (!least || $column < least) least = $column
			for (i = NR; i > 1 && time[NR] - time[i] < interval; i--) ;
			rate = (count[NR] - count[i]) * scale / (time[NR] - time[i])
			if (rate > low) low = rate
		}
		$1 < end { last = $column; at = NR }
		END { for (i = at; i > 1 && time[at] - time[i] < 2000; i--) ;
		      rate = (count[at] - count[i]) * scale / (time[at] - time[i])
		      if (rate < high) high = rate
		      printf "   %s: used %d, limit %d; then used %d, limit %d\n", what, low, least, high, last
		      exit !(least && (slow ? least < last : least <= 2.2 * low) && last >= 0.95 * high) }' "$tmp/log" ||
		fail "the limit of $1 does not follow: $(cut -d ' ' -f "1,$2,$(($2 + 5))" "$tmp/log" | tr '\n' ';')"
}
follows cpu 2 1 "${starts[1]}" "${starts[3]}" "${low[0]}" "${high[0]}"
jumped=$(<"$tmp/jump-read.prerun.txt")
ended=$((jumped + ms[1] + ms[2]))
follows io-read 3 1000 "$jumped" $ended "${low[1]}" "${high[1]}"
follows io-write 4 1000 "$jumped" $ended "${low[2]}" "${high[2]}"
close_to "bytes per second that fio read, low" "${low[1]}" "$(fio_says 0 read bw_bytes)"
close_to "bytes per second that fio wrote, low" "${low[2]}" "$(fio_says 1 write bw_bytes)"
# What a slow guest's disk can do is not ours: there it is to be more than before, and no limit in its way (above).
high_is_met() { # WHAT LOW HIGH SEEN
	if [ -n "$slow" ] && [ "$4" -lt "$3" ]; then
		expect_that "$1: $4, more than $2" [ "$4" -gt $(($2 * 5 / 4)) ]
	else
		close_to "$1" "$3" "$4"
	fi
}
high_is_met "bytes per second that fio read, high" "${low[1]}" "${high[1]}" "$(fio_says 4 read bw_bytes)"
high_is_met "bytes per second that fio wrote, high" "${low[2]}" "${high[2]}" "$(fio_says 5 write bw_bytes)"
# Whether the burner gets its share depends on who else wants the CPU; whether it is throttled, on us.
awk -v from="${starts[2]}" '$1 >= from { if (!n++) { p = $5; t = $6 }; periods = $5 - p; throttled = $6 - t }
	END { printf "   cpu: throttled in %d of %d periods after that\n", throttled, periods
	      exit !(periods > 5 && throttled <= periods * 0.2) }' "$tmp/log" || fail "the CPU limit stays in the way"
for moves in "0 cpu" "1 io_read" "1 io_write"; do
	read -r index kind <<<"$moves"
	expect_that "times the limit of $kind was lowered" [ "$(figure "$index" "$kind" shrunk)" -gt 3 ]
	expect_that "times the limit of $kind was raised" [ "$(figure "$index" "$kind" grown)" -gt 0 ]
done
expect "failures" "0 0 0" "$(figure 0 decisions failed) $(figure 1 decisions failed) $(figure 2 decisions failed)"

say "   the priority follows the traffic, and is given back"
must_come "$(fast 5 30)" "the priority that the server had" has_priority 3
{
	echo 3
	sed -nE 's/.*  net  priority [0-9] -> ([0-9]).*done in.*/\1/p' "$tmp/out"
	echo 3
} | uniq >"$tmp/wanted"
is_last() { [ "$(tail -n 1 "$tmp/levels")" = 3 ]; }
must_come "$(fast 5 30)" "the last look of the watcher" is_last
# It looks every 10 ms, if it gets to run: what it did not see may have been, what it saw was said, in this order.
awk 'NR == FNR { said[++n] = $1; next }
	{ while (i < n && said[++i] != $1) ; if (said[i] != $1) bad = 1 }
	END { exit bad || FNR < 3 || i < n }' "$tmp/wanted" "$tmp/levels" ||
	fail "the priorities of the server's socket, as said: $(tr '\n' ' ' <"$tmp/wanted"), as seen: $(tr '\n' ' ' <"$tmp/levels")"
say "   $(tr '\n' ' ' <"$tmp/levels")"
expect_that "times the priority was raised" [ "$(figure 2 net grown)" -ge 2 ]
as_before "the end of the run"

# --- a dry run -------------------------------------------------------------------------------------

dry_run() {
	ms[0]=$(fast 2500 4000)
	settings | md5sum >"$tmp/sums"
	start_daemon --dry-run -c "$tmp/all.yaml" --summary "$tmp/s.json" "${groups[@]}"
	start_fio low
	spawn cpu "$bin/burn" "${low[0]}" "${ms[0]}" >"$tmp/burn"
	burner=$spawned
	talk "$(fast 2 4)" 5000
	until is_dead "$fio" && is_dead "$burner"; do
		settings | md5sum >>"$tmp/sums"
		expect "the priority of the server's socket" 3 "$("$bin/sockprio" "$server")"
	done
	stop_daemon
	expect "different settings that were seen" 1 "$(sort -u "$tmp/sums" | wc -l)"
	expect_that "looks, one of them before" [ "$(wc -l <"$tmp/sums")" -gt 1 ] # how many: as the machine is fast
	as_before "the dry run"
	[ ! -e "$ledger" ] || fail "the dry run wrote a ledger"
	expect_no_line "$tmp/out" 'done in'
	for moves in "0 cpu shrunk" "1 io_read shrunk" "1 io_write shrunk" "1 ram shrunk" "2 net grown"; do
		read -ra key <<<"$moves"
		expect_that "decisions of the dry run, ${key[*]:1}" [ "$(figure "${key[@]}")" -gt 0 ]
	done
}
! thorough "--dry-run with all of them acting writes nothing" || dry_run

# --- however we end --------------------------------------------------------------------------------

# The groups are idle, and their limits come down: all of those that can be, are ours by then.
is_low() {
	cpu_limit && [ "$ret" -lt 300 ] && io_limit read && [ "$ret" -lt $((32 * MiB)) ] &&
		io_limit write && [ "$ret" -lt $((32 * MiB)) ] && [ "$(limit_of disk)" -lt $((200 * MiB)) ]
}
if thorough "kill -9 of the daemon"; then
	start_daemon -c "$tmp/all.yaml" "${groups[@]}"
	must_come "$(fast 20 60)" "lowered limits" is_low
	keeper=$(keeper_of "$daemon")
	kill -KILL "$daemon"
	must_come "$(fast 10 60)" "end of the keeper" not alive "$keeper"
	wait "$daemon" 2>/dev/null || true
	as_before "kill -9 of the daemon"
	[ ! -e "$ledger" ] || fail "the ledger is left"
fi

say "what somebody else writes is left alone and named; then kill -9 of the keeper as well, and restore"
start_daemon -c "$tmp/all.yaml" "${groups[@]}"
spawn cpu "$bin/burn" "${low[0]}" 100000 >"$tmp/burn" # so that there is always something to decide
must_come "$(fast 20 60)" "lowered limits" is_low
set_cpu 80000
must_come "$(fast 10 30)" "a line about the foreign value" grep -q \
	"$(group cpu)  cpu  .* left alone: somebody else changed it" "$tmp/out"
nap "$(fast 0.6 1.5)"
cpu_limit
expect "the CPU limit that somebody else set (permille)" 800 "$ret"
expect "lines about it" 1 "$(grep -c 'somebody else' "$tmp/out")"
double_kill
expect_that "the limits are as the daemon left them" [ "$(limit_of disk)" -lt $((200 * MiB)) ]
set_read $((40 * MiB))
"$pfuse" restore --ledger "$ledger" >"$tmp/out" 2>"$tmp/err" || fail "restore: exit status $?"
cpu_limit
expect "the CPU limit that somebody else set (permille)" 800 "$ret"
io_limit read
expect "the read limit that somebody else set" $((40 * MiB)) "$ret"
expect_line "$tmp/out" "^cpu\.(max|cfs_quota_us) of $(group cpu) in .*: somebody else changed it to 80000.*; left alone"
expect_line "$tmp/out" "^(io\.max|blkio\.throttle\.read_bps_device) of $(group disk) in .*: somebody else changed it to .*$((40 * MiB)).*; left alone"
expect_line "$tmp/out" '^restored .*changed by others and left alone 2'
set_cpu -1
set_read 0
as_before "restore"
say "ok"
