#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# bench_rows.sh: what the benches of memory make of samples: a row of known samples, cell by cell.
set -euo pipefail
cd "$(dirname "$0")/../.."
die() { echo "FAIL: $*"; exit 1; }
# shellcheck source=tools/bench/memory.bash
. tools/bench/memory.bash

MiB=1048576
samples=$(mktemp)
trap 'rm -f "$samples"' EXIT

# expect WHAT EXPECTED FROM LOADED END
expect() {
	local seen
	seen=$(row_of "$samples" "$3" "$4" "$5")
	[ "$seen" = "$2" ] || die "$1: expected \"$2\", saw \"$seen\""
}

# Five seconds of load with 7 refaults and 20 ms of stall; then 100 MiB for four samples, 50 MiB (40 and 10 in zram) for six.
for ((second = 0; second <= 14; second++)); do
	if ((second < 5)); then
		echo "${second}000 $((second * 20 * MiB)) 0 0 $((second * 5000)) $((second * 2 > 7 ? 7 : second * 2)) 0 -1"
	elif ((second < 9)); then
		echo "${second}000 $((100 * MiB)) 0 0 20000 7 0 -1"
	else
		echo "${second}000 $((40 * MiB)) $((60 * MiB)) $((10 * MiB)) 50000 107 0 -1"
	fi
done >"$samples"
# 5 to 14 s: (4 * 100 + 6 * 50) / 10; at 8 s, 3.5 s after the load, it is not within 10 % of 50 for the last time
expect 'memory falls' '70.0 50.0 3.5 30 100 4.5 20 7' 0 4500 14000
expect 'nothing of the load is counted later' '50.0 50.0 0.0 0 0 9.0 50 107' 0 9000 14000
expect 'no sample in the window' '- - - - - - - -' 0 20000 30000
# 40, 60 and 80 MiB at 2, 3 and 4 s: 60 is not within 10 % of 80
expect 'as it grows' '60.0 80.0 2.0 15 5 1.0 5 2' 0 1000 4000

cells=$(printf 'a|bb\nccc|d\n' | column_table)
[ "$cells" = $'a    bb\nccc   d' ] || die "a table: saw \"$cells\""
echo ok
