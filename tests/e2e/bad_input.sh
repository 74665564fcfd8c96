#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# What cannot be done is refused with one line and the right exit status, and nothing is changed; and
# no name, however made, disturbs the output.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

MiB=1048576
new_group good
set_limit good $((256 * MiB))
spawn good sleep 1000
good=$(group good)
controls_of "$good" >"$tmp/before"

unchanged() {
	expect "controls of $good after $1" "$(cat "$tmp/before")" "$(controls_of "$good")"
	expect_that "the process in it runs" not is_signalled "$spawned"
}

# refused STATUS SENTENCE COMMAND...: the sentence is an extended regular expression
refused() {
	local wanted=$1 sentence=$2 what
	shift 2
	what=$(printf '%q ' "${@:1:12}")
	what=${what:0:300}
	status=0
	timeout 60 "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
	expect "exit status of $what" "$wanted" "$status"
	mapfile -t said <"$tmp/err"
	expect "lines on stderr of $what" 1 "${#said[@]}"
	[[ ${said[0]} =~ $sentence ]] || fail "$what: expected a line /$sentence/"
	[ -n "$slow" ] || no_control_bytes "$tmp/err" # each by itself; in a slow guest all at the end
	[ -n "$slow" ] || unchanged "$what"
	cat "$tmp/err" >>"$tmp/all"
	lines=$((${lines-0} + 1))
}
run=("$pfuse" run --ledger "$ledger" --for 1s)
no_ledger() { [ ! -e "$ledger" ] || fail "a ledger is left"; }

command_line() {
	refused 2 '"-1" is no duration' "$pfuse" run --for -1 "$good"
	refused 2 '"0s?"' "$pfuse" run --for 0s "$good"
	refused 2 '"1 fortnight"' "$pfuse" run --for '1 fortnight' "$good"
	refused 2 '--bogus' "$pfuse" run --bogus "$good"
	refused 2 'nothing to orchestrate' "$pfuse" run
	refused 2 'blitz' "$pfuse" blitz
	refused 2 'fusebox' "$pfuse" run --policy guess "$good"
	refused 2 '' "$pfuse" run --stop 'with
a newline' "$good"
	refused 2 '' "$pfuse" run $'--no\nsuch\e[31moption'
	refused 2 '' "$pfuse" $'no\nsuch\e[31mcommand'
}
! thorough "the command line" || command_line

say "groups"
refused 1 'no such group' "${run[@]}" "$prefix-missing"
refused 1 'no such group' "${run[@]}" "$memory/$prefix-missing/below"
names() {
	refused 1 'no such group' "${run[@]}" "$good" "$prefix-missing"
	refused 1 'outside the cgroup file systems' "${run[@]}" /tmp
	refused 1 'outside the cgroup file systems' "${run[@]}" "$memory-not"
	refused 1 '"\.\." is not accepted' "${run[@]}" "$good/../$good"
	refused 1 '"\.\." is not accepted' "${run[@]}" "$memory/../../../tmp"
	refused 2 'empty' "${run[@]}" ''
	refused 1 'not a (directory|group)|symlink' "${run[@]}" "$good/cgroup.procs"
	refused 1 'same group' "${run[@]}" "$good" "$memory//$good/."
	refused 1 'control character' "${run[@]}" $'a\nb'
	refused 1 'control character' "${run[@]}" $'a\e]0;title\ab'
	refused 1 'not a process id' "${run[@]}" $'pid:\n1'
	refused 1 'no such group' "${run[@]}" "$(printf 'n%.0s' {1..255})"
	refused 1 '.' "${run[@]}" "$(printf 'n%.0s' {1..4095})"
	refused 1 '.' "${run[@]}" "$memory/$(printf 'n%.0s' {1..4000})"
	refused 1 '.' "${run[@]}" $'caf\xc3\xa9-\xff\xfe'
}
! thorough "groups: names and paths that no kernel is asked about" || names
# What is never managed, whatever is asked: 3, so that a service manager does not try again.
refused 3 'root group' "${run[@]}" "$memory"
refused 3 'root group' "${run[@]}" "$memory/."
no_ledger

links() {
	ln -s "$memory/$good" "$tmp/inwards"
	refused 1 'outside the cgroup file systems' "${run[@]}" "$tmp/inwards"
}
! thorough "groups: symbolic links" || links
outwards=${memory%/*}/$prefix-link # the mount points' own file system, where that is a tmpfs
if is_v1 && ln -s "$tmp" "$outwards" 2>/dev/null; then
	refused 1 'outside the cgroup file systems' "${run[@]}" "$outwards" || { rm "$outwards"; exit 1; }
	rm "$outwards"
fi

new_group own
# shellcheck disable=SC2016
refused 3 'holds' bash -c 'for file in $0; do echo $$ >"$file"; done; exec "$@"' \
	"$memory/$(group own)/cgroup.procs ${twin:+$twin/$(group own)/cgroup.procs}" "${run[@]}" "$(group own)"
if [ -n "$twin" ]; then
	mkdir "$twin/$prefix-twin"
	refused 1 "exists in $twin only" "${run[@]}" "$prefix-twin"
	refused 1 "." "${run[@]}" "$twin/$prefix-twin"
fi
if ! is_v1; then
	mkdir -p "$memory/$prefix-plain/below"
	refused 1 'memory controller is not enabled.*subtree_control' "${run[@]}" "$prefix-plain/below"
	if echo -memory >"$memory/cgroup.subtree_control" 2>/dev/null; then
		status=0
		"${run[@]}" -- true >"$tmp/out" 2>"$tmp/err" || status=$?
		echo +memory >"$memory/cgroup.subtree_control"
		set_limit good $((256 * MiB))
		expect "exit status where the root hands no memory controller down" 3 "$status"
		one_line "$tmp/err"
		expect_line "$tmp/err" 'write "\+memory" to'
	else
		say "(the memory controller is in use: it cannot be taken away from the root's children)"
	fi
fi

configuration() {
	printf 'interval: 1s\ngroups:\n  - match: "*"\n    idel: 10s\n' >"$tmp/bad.yaml"
	refused 1 'bad\.yaml:4: .*idel' "${run[@]}" -c "$tmp/bad.yaml" "$good"
	printf 'interval: 1s\npolicy: guess\n' >"$tmp/bad.yaml"
	refused 1 'bad\.yaml:2: .*guess.*fusebox' "${run[@]}" -c "$tmp/bad.yaml" "$good"
	printf 'groups:\n  - match: "*"\n    idle: "so\\non\\e[31m"\n' >"$tmp/bad.yaml"
	refused 1 'bad\.yaml:3: ' "${run[@]}" -c "$tmp/bad.yaml" "$good"
	printf '\0\1\2\377' >"$tmp/bad.yaml"
	refused 1 'bad\.yaml' "${run[@]}" -c "$tmp/bad.yaml" "$good"
	printf 'a: [\n' >"$tmp/bad.yaml"
	refused 1 'bad\.yaml:[0-9]+: ' "${run[@]}" -c "$tmp/bad.yaml" "$good"
}
! thorough "the configuration file" || configuration

files() {
	refused 1 'missing\.yaml' "${run[@]}" -c "$tmp/missing.yaml" "$good"
	refused 1 'must be a regular file' "${run[@]}" -c "$tmp" "$good"
	refused 1 '.' "${run[@]}" -c $'/no\nsuch\e[31mfile' "$good"
	refused 1 '.' "${run[@]}" --summary "$tmp/no/such/dir/s.json" "$good"
	refused 1 '.' "${run[@]}" --summary "$tmp" "$good"
	no_ledger
}
! thorough "files" || files

ledgers() {
	head -c 4096 /dev/urandom >"$tmp/damaged"
	refused 1 'ledger.*damaged' "$pfuse" run --ledger "$tmp/damaged" --for 1s "$good"
	refused 1 'ledger.*damaged' "$pfuse" restore --ledger "$tmp/damaged"
	mkdir "$tmp/directory"
	refused 1 'ledger' "$pfuse" run --ledger "$tmp/directory" --for 1s "$good"
	refused 1 'ledger' "$pfuse" restore --ledger "$tmp/directory"
	refused 1 'ledger' "$pfuse" run --ledger /proc/nowhere/ledger --for 1s "$good"
	touch "$tmp/theirs"
	chown 65534 "$tmp/theirs"
	refused 1 'ledger' "$pfuse" run --ledger "$tmp/theirs" --for 1s "$good"
	refused 1 'ledger' "$pfuse" restore --ledger "$tmp/theirs"
	status=0
	"$pfuse" restore --ledger "$tmp/no-ledger" >"$tmp/out" 2>"$tmp/err" || status=$?
	expect "exit status of restore without a ledger" 0 "$status"
	expect_line "$tmp/out" 'nothing to restore'
}
! thorough "the ledger" || ledgers

# A real ledger, with one bit of a record turned: refused by run and restore, until --intact is said.
cat >"$tmp/still.yaml" <<'END'
policy: fusebox
interval: 100ms
groups: [ { match: "*", freeze: "off" } ]
END
start_daemon -c "$tmp/still.yaml" "$good"
limited() { [ "$(limit_of good)" != $((256 * MiB)) ]; }
must_come "$(fast 10 60)" "a lower limit" limited
refused_second() {
	status=0
	"$pfuse" run --ledger "$ledger" --for 1s "$good" >"$tmp/out2" 2>"$tmp/err2" || status=$?
	expect "exit status of a second daemon" 1 "$status"
	one_line "$tmp/err2"
	expect_line "$tmp/err2" 'another pfuse-bpf'
	status=0
	"$pfuse" restore --ledger "$ledger" >"$tmp/out2" 2>"$tmp/err2" || status=$?
	expect "exit status of restore beside a daemon" 1 "$status"
	one_line "$tmp/err2"
	expect_that "the limit is the daemon's" limited
}
say "a second daemon, and restore beside one"
refused_second
keeper=$(keeper_of "$daemon")
kill -STOP "$daemon"
kill -KILL "$keeper"
must_come "$(fast 5 30)" "end of the keeper" is_dead "$keeper"
kill -KILL "$daemon"
wait "$daemon" 2>/dev/null || true
say "a ledger of which a bit was turned"
cp "$ledger" "$tmp/whole"
at=$(grep -abo 'memory.limit_in_bytes\|memory.max' "$ledger" | head -1 | cut -d: -f1)
printf 'X' | dd of="$ledger" bs=1 seek="$at" conv=notrunc status=none
limit=$(limit_of good)
damaged() { # ARGUMENT...
	status=0
	"$pfuse" "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
	expect "exit status of $1 with a damaged ledger" 1 "$status"
	one_line "$tmp/err"
	expect_line "$tmp/err" 'damaged'
}
damaged run --ledger "$ledger" --for 1s "$good"
damaged restore --ledger "$ledger"
expect "limit with a damaged ledger" "$limit" "$(limit_of good)"
cp "$tmp/whole" "$ledger"
"$pfuse" restore --ledger "$ledger" >"$tmp/out" 2>"$tmp/err" || fail "restore: exit status $?"
unchanged "restore"

say "privileges and the kernel"
mkdir "$tmp/bin"
cp "$pfuse" "$PFUSE_BUILD/pfuse-keeper" "$tmp/bin"
chmod 755 "$tmp" "$tmp/bin"
nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
refused 3 'needs root' "${nobody[@]}" "$tmp/bin/pfuse-bpf" run --for 1s "$good"
refused 3 'needs root' "${nobody[@]}" "$tmp/bin/pfuse-bpf" run --dry-run --for 1s "$good"
refused 3 '.' setpriv --bounding-set=-all --inh-caps=-all "${run[@]}" "$good"
# shellcheck disable=SC2016
if unshare -m true 2>/dev/null; then
	refused 3 'BTF|btf' unshare -m sh -c 'mount -t tmpfs none /sys/kernel/btf && exec "$@"' - "${run[@]}" "$good"
	refused 3 'cgroup' unshare -m sh -c 'umount -a -l -t cgroup,cgroup2 && exec "$@"' - "${run[@]}" "$good"
else
	say "(no mount namespaces here)"
fi
no_ledger

say "a group that vanishes: the others go on; when all are gone, the run ends"
new_group one
new_group two
spawn one sleep 1000
one=$spawned
spawn two sleep 1000
two=$spawned
vanish() { # NAME PID
	kill -KILL "$2"
	must_come "$(fast 5 30)" "removal of $1" rmdir "$memory/$(group "$1")"
	[ -z "$twin" ] || must_come "$(fast 5 30)" "removal of $1's twin" rmdir "$twin/$(group "$1")"
}
start_daemon -c "$tmp/still.yaml" --summary "$tmp/s.json" "$(group one)" "$(group two)"
sleep "$(fast 0.3 2)"
vanish one "$one" 2>/dev/null
must_come "$(fast 5 30)" "a line about it" grep -q "$prefix-one  the group was removed" "$tmp/out"
set_limit two $((512 * MiB)) # theirs from now on, but the daemon still looks
sleep "$(fast 0.5 2)"
expect_that "the daemon goes on" not is_dead "$daemon"
vanish two "$two" 2>/dev/null
wait_daemon
expect "exit status when all are gone" 0 "$status"
expect "errors" "" "$(cat "$tmp/err")"
expect "reason in the summary" "the group was removed before the end" \
	"$(json "$tmp/s.json" groups 0 oom_kills_reason)"
no_ledger
spawned=$(head -1 "$memory/$good/cgroup.procs")

say "names that could disturb the output"
timed='^[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}  '
# managed NAME: the group of that name is managed and restored, and all output is clean
managed() {
	local name=$1 file decisions
	new_group "$name"
	set_limit "$name" $((256 * MiB))
	spawn "$name" "$tmp/sleeper" 1000
	controls_of "$(group "$name")" >"$tmp/named"
	start_daemon -c "$tmp/still.yaml" --summary "$tmp/s.json" "$(group "$name")"
	decided() { grep -qE "$timed.* ram  256.0 MiB -> " "$tmp/out"; }
	must_come "$(fast 10 60)" "a decision about ${name:0:40}" decided
	stop_daemon
	for file in out err s.json; do no_control_bytes "$tmp/$file"; done
	expect "errors" "" "$(cat "$tmp/err")"
	decisions=$(($(json "$tmp/s.json" groups 0 decisions shrunk) + $(json "$tmp/s.json" groups 0 decisions grown)))
	expect "lines of decisions" "$decisions" "$(grep -cE "$timed.* ram  .* -> " "$tmp/out")"
	expect "controls afterwards" "$(cat "$tmp/named")" "$(controls_of "$(group "$name")")"
}
# The process has a name of its own, too.
cp "$(command -v sleep)" "$tmp/sleep"
sleeper=$'sl\n\e[31m"\\ p'
ln -s sleep "$tmp/$sleeper"
# shellcheck disable=SC2016
printf '#!/bin/bash\nexec -a "$1" %q "$@"\n' "$tmp/$sleeper" >"$tmp/sleeper"
chmod +x "$tmp/sleeper"
long=$(printf 'l%.0s' {1..255})
if thorough 'more names'; then
	managed 'with space'
	managed $'quotes"\'and\\backslash'
	managed $'\xc3\xbcn\xc3\xaf-\xe2\x82\xac'
	managed '%s%n%d'
	managed $'bad-utf8-\xff\xfe-\xc2\x9b31m'
	managed "${long:0:$((255 - ${#prefix} - 1))}"
fi
deep=$(printf "/${long:0:200}%.0s" {1..8})
managed "deep$deep"
new_group "deeper$deep$deep" # not below a group with a process: v2 forbids that
refused 1 'bytes long|too long' "${run[@]}" "$(group "deeper$deep$deep")"

escapes() { # in the name of a group (the kernel allows that), then of a COMMAND
	evil=$'esc\e[31m'
	new_group "$evil"
	refused 1 'control character' "${run[@]}" "$(group "$evil")"
	spawn "$evil" "$tmp/sleeper" 1000
	subject=$spawned
	before=$(cgroups_of "$subject")
	start_daemon -c "$tmp/still.yaml" --summary "$tmp/s.json" "pid:$subject"
	stop_daemon
	for file in out err s.json; do no_control_bytes "$tmp/$file"; done
	expect "cgroups of its process afterwards" "$before" "$(cgroups_of "$subject")"

	status=0
	"$pfuse" run --ledger "$ledger" --summary "$tmp/s.json" -- "$tmp/$sleeper" 1.5 >"$tmp/out" 2>"$tmp/err" || status=$?
	expect "exit status" 0 "$status"
	for file in out err s.json; do no_control_bytes "$tmp/$file"; done
	expect_that "lines of output" [ "$(grep -cE "$timed" "$tmp/out")" -ge 1 ]
}
! thorough "an escape in the names of a group and of a COMMAND" || escapes
refused 1 'cannot start' "$pfuse" run -q --ledger "$ledger" -- $'/no\nsuch\e[31mfile'
no_control_bytes "$tmp/all"
unchanged "all of it"
say "ok ($lines refusals)"
