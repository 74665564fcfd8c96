#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# A trace can be replayed because it holds every call of every door of the core. Nobody in the daemon calls
# a door but the tap, which records it; and the player knows every door that there is.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
header=$here/src/core/orchestrator.h
reads='init|move|due|quiet|fcb|cpu_set' # these tell the core nothing that it decides by
# How CPUs are split and weights set is recorded as it was carried out, and not decided again.
reads="$reads|cpus|cpus_due|cpus_look"
unused='need|share' # nobody in the daemon has them to tell yet
doors=$(grep -oE '\borchestrator_[a-z_]+\(' "$header" | grep -vE "^orchestrator_($reads|$unused)\(" | sort -u)

[ "$(echo "$doors" | wc -l)" -ge 9 ] || { echo "doors: too few found in $header: $doors"; exit 1; }
for door in $doors; do
	if grep -nF "$door" "$here"/src/daemon/*.c | grep -v '/tap\.c:'; then
		echo "doors: $door) is called past the tap; call tap_${door#orchestrator_}) instead"
		exit 1
	fi
	grep -qF "$door" "$here/src/export/player.c" || { echo "doors: the player does not know $door)"; exit 1; }
done
echo "doors: $(echo "$doors" | wc -l) doors, all through the tap"
