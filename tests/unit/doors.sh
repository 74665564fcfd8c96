#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# A trace can be replayed because it holds every call of every door of the core. Nobody in the daemon calls
# a door but the tap, which records it; and the player knows every door that there is.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
header=$here/src/core/orchestrator.h
reads='init|move|due|quiet|fcb|cpu_set|cpus_due' # these tell the core nothing that it decides by
doors=$(grep -oE '\borchestrator_[a-z_]+\(' "$header" | grep -vE "^orchestrator_($reads)\(" | sort -u)

[ "$(echo "$doors" | wc -l)" -ge 15 ] || { echo "doors: too few found in $header: $doors"; exit 1; }
for door in $doors; do
	if grep -nF "$door" "$here"/src/daemon/*.c | grep -vE '/tap(_cpus)?\.c:'; then
		echo "doors: $door) is called past the tap; call tap_${door#orchestrator_}) instead"
		exit 1
	fi
	grep -qF "$door" "$here/src/export/player.c" "$here/src/export/player_cpus.c" ||
		{ echo "doors: the player does not know $door)"; exit 1; }
done
# What lies behind the doors, and is the daemon's own memory, is set up once (init) and only read after that.
if grep -nE '\b(cpus|workload|prio)_(set_(group|policy|topology)|forget|look|late|decide|applied|join|leave|check|place|ask)\(' \
	"$here"/src/daemon/*.c; then
	echo "doors: the split is told something past the doors of $header"
	exit 1
fi
echo "doors: $(echo "$doors" | wc -l) doors, all through the tap"
