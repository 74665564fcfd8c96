# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Sourced after cpu.bash: who takes memory from the group "work".
#
#	way_lacks WAY		what this machine lacks for it
#	way_start WAY		before the work, so that its load phase is seen
#	way_stop		sets way_cpu_ms: CPU time of who did it, since it had started
#
# none             nobody
# adaptive         pfuse-bpf, policy: adaptive (grace: $grace)
# fusebox          pfuse-bpf, policy: fusebox
# senpai           oomd's plugin: lowers memory.high while stall is below 10 ms in 7 s, raises it when it is above
# senpai-reclaim   its other mode: no limit; memory.reclaim by 1 % each 7 s while the pressure is below 0.1 %
# senpai-eager     the same with 5 % each 2 s
#
# oomd runs with its own defaults (Senpai.h of its version 0.5.0: interval 6, pressure_ms 10, max_probe 0.01, max_backoff 1,
# coeff_probe 10, coeff_backoff 20, pressures 0.1), but for limit_min_bytes: 10 MiB in place of 100, or nothing so small as
# these works would ever be touched; and its interval counts seconds (oomd -i 1; the default are 5 s).

grace=20s
way='' way_cpu_ms='' way_begun_ms=0 way_pids=()
way_oomd=''

way_lacks() {
	case $1 in
	none | adaptive | fusebox) ;;
	senpai | senpai-reclaim | senpai-eager) command -v oomd >/dev/null || echo oomd ;;
	*) die "$1: no such way; there are: none adaptive fusebox senpai senpai-reclaim senpai-eager" ;;
	esac
}

senpai_config() { # further arguments of the plugin
	cat <<-END
		{ "rulesets": [ { "name": "senpai",
		    "detectors": [ [ "always", { "name": "continue", "args": {} } ] ],
		    "actions": [ { "name": "senpai",
		        "args": { "cgroup": "$bench_name/work", "limit_min_bytes": "10485760"$1 } } ] } ] }
	END
}

start_oomd() {
	senpai_config "$1" >"$bench_tmp/oomd.json"
	mkdir -p "$bench_tmp/oomd"
	oomd -C "$bench_tmp/oomd.json" -i 1 -f "$bench_root" -D "$bench_tmp/oomd" >"$bench_tmp/oomd.log" 2>&1 &
	way_oomd=$!
	until grep -q 'Running Action=senpai' "$bench_tmp/oomd.log"; do
		kill -0 $way_oomd 2>/dev/null || die "oomd ended: $(tail -n 3 "$bench_tmp/oomd.log")"
		sleep 0.1
	done
	way_pids=("$way_oomd")
}

way_start() {
	way=$1 way_pids=() way_oomd=''
	case $way in
	adaptive | fusebox)
		printf 'policy: %s\ngroups: [ { match: "*", freeze: "off", ram: { grace: %s } } ]\n' "$way" "$grace" >"$bench_tmp/config.yaml"
		start_daemon -c "$bench_tmp/config.yaml"
		way_pids=("$bench_daemon" "$bench_keeper")
		;;
	senpai) start_oomd '' ;;
	senpai-reclaim) start_oomd ', "immediate_backoff": "true"' ;;
	senpai-eager) start_oomd ', "immediate_backoff": "true", "max_probe": "0.05", "interval": "1"' ;;
	esac
	way_begun_ms=$(cpu_ms_of "${way_pids[@]+"${way_pids[@]}"}")
}

cpu_ms_of() { # PID...
	local pid fields sum=0
	for pid; do
		[ ! -r "/proc/$pid/stat" ] || { read -r -a fields <"/proc/$pid/stat" && sum=$((sum + fields[13] + fields[14])); }
	done
	echo $((sum * 10)) # ticks are 10 ms
}

# The lines that the daemon printed are kept, one file for each way.
way_stop() {
	way_cpu_ms=$(($(cpu_ms_of "${way_pids[@]+"${way_pids[@]}"}") - way_begun_ms))
	if [ -n "$way_oomd" ]; then
		kill -TERM "$way_oomd" 2>/dev/null || true
		wait "$way_oomd" 2>/dev/null || true
		way_oomd=''
	elif [ -n "$bench_daemon" ]; then
		stop_daemon
		cat "$bench_tmp/out" >>"$bench_tmp/lines.$way"
	fi
}
