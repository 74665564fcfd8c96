// SPDX-License-Identifier: GPL-2.0-only OR MIT
// The head of the page, and the table of groups. Of 10,000 groups only as many rows exist as are shown.

const ROWS = 50;

const COLUMNS = [
  { key: "name", title: "group", text: true, value: (g) => g.name },
  { key: "seconds", title: "seconds", value: (g) => g.summary.seconds, show: (v) => number(v, 1) },
  { key: "usage", title: "usage MiB·s", value: (g) => g.summary.usage_mib_s, show: short },
  { key: "limit", title: "limit MiB·s", value: (g) => g.summary.limit_mib_s, show: short },
  { key: "peak", title: "peak MiB", value: (g) => g.summary.peak_mib, show: short },
  { key: "grown", title: "memory grown", value: (g) => g.summary.grown },
  { key: "shrunk", title: "memory shrunk", value: (g) => g.summary.shrunk },
  { key: "moves", title: "other moves", value: (g) => g.summary.moves },
  { key: "stops", title: "stops", value: (g) => g.summary.stops },
  { key: "stopped", title: "stopped s", value: (g) => g.summary.stopped_seconds, show: (v) => number(v, 1) },
  { key: "wakes", title: "wakes", value: (g) => g.summary.wakes },
  { key: "undone", title: "not done", value: (g) => g.summary.not_done },
  { key: "oom", title: "OOM kills", value: (g) => g.summary.oom_kills },
];

const list = { rows: [], shown: ROWS, sort: null, down: true };

function fact(name, value) {
  return value === null || value === undefined || value === "" ? [] : [el("div", {}, el("dt", {}, name), el("dd", {}, String(value)))];
}

function fillHead() {
  const { run, source } = DATA;
  const start = run.start_ms === null ? null : new Date(run.start_ms);
  const when = start && !Number.isNaN(start.getTime()) ? start.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" }) : "";
  $("subtitle").textContent = [source.name, when, clockwise(run.seconds, 1)].filter(Boolean).join(" · ");
  document.title = `${source.name} · pfuse-bpf report`;
  $("facts").append(
    ...fact("policy", run.policy), ...fact("groups", number(DATA.groups.length, 0)),
    ...fact("sampled every", run.interval_s ? seconds(run.interval_s) : null), ...fact("kernel", run.kernel),
    ...fact("CPUs", run.cpus),
    ...fact("memory", run.ram_bytes ? bytes(run.ram_bytes) : null), ...fact("pfuse-bpf", run.version),
    ...fact("trace", `${bytes(source.bytes)}, ${number(source.records, 0)} records`),
  );
  const notes = DATA.notes.map((text) => el("p", { class: "note warn" }, text));
  if (run.dry_run) {
    notes.unshift(el("p", { class: "note" }, "A dry run: nothing was changed. Limits and stops are as they were decided, not as they were."));
  }
  $("notes").append(...notes);
  fillDrops();
  fillReduction();
}

function fillDrops() {
  const lost = DATA.drops.filter((drop) => drop.count > 0);
  if (!lost.length) {
    $("drops").append(el("span", { class: "good" }, "✓ "), "Nothing was dropped while this was recorded.");
    return;
  }
  $("drops").append(
    el("strong", { class: "bad" }, "Dropped while this was recorded:"),
    el("ul", {}, ...lost.map((drop) => el("li", {}, `${number(drop.count, 0)} × ${drop.what}`))),
  );
}

function fillReduction() {
  const { read, kept, columns, column_seconds: width } = DATA.reduction;
  $("reduction").textContent = kept === read
    ? `All ${number(read, 0)} readings are in the charts.`
    : `${number(kept, 0)} of ${number(read, 0)} readings are in the charts: of each ${seconds(width)} (the run has ${number(columns, 0)} of these) ` +
      "the first, the smallest, the largest and the last value, so no peak is lost.";
}

function cellsOf(group) {
  return COLUMNS.slice(1).map((column) => {
    const value = column.value(group);
    return el("td", {}, column.show ? column.show(value) : number(value, 0));
  });
}

function rowOf(group) {
  const button = el("button", { type: "button", class: "open", "aria-expanded": String(panels.has(group)), onclick: () => openPanel(group) }, group.name);
  return el("tr", {}, el("td", {}, button), ...cellsOf(group));
}

function headOf(column) {
  const sorted = list.sort === column ? (list.down ? "descending" : "ascending") : null;
  const button = el("button", { type: "button", onclick: () => sortBy(column) }, column.title);
  return el("th", { scope: "col", "aria-sort": sorted }, button);
}

function sortBy(column) {
  list.down = list.sort === column ? !list.down : !column.text;
  list.sort = column;
  updateList();
  const at = COLUMNS.indexOf(column);
  $("table").querySelectorAll("th button")[at].focus();
}

function compare(a, b) {
  const x = list.sort.value(a);
  const y = list.sort.value(b);
  const order = list.sort.text ? x.localeCompare(y, "en", { numeric: true }) : (x ?? -1) - (y ?? -1);
  return list.down ? -order : order;
}

function updateList() {
  const wanted = $("filter").value.toLowerCase();
  list.rows = DATA.groups.filter((group) => group.search.includes(wanted));
  if (list.sort) list.rows.sort(compare);
  showRows();
}

function showRows() {
  const rows = list.rows.slice(0, list.shown);
  const rest = list.rows.length - rows.length;
  $("table").replaceChildren(
    el("thead", {}, el("tr", {}, ...COLUMNS.map(headOf))),
    el("tbody", {}, ...rows.map(rowOf)),
  );
  $("count").textContent = list.rows.length === DATA.groups.length
    ? `${number(rows.length, 0)} of ${number(DATA.groups.length, 0)} shown`
    : `${number(list.rows.length, 0)} of ${number(DATA.groups.length, 0)} match, ${number(rows.length, 0)} shown`;
  $("more").hidden = rest === 0;
  $("more").textContent = `Show ${number(Math.min(ROWS, rest), 0)} more`;
}

function startList() {
  for (const group of DATA.groups) group.search = `${group.name}\n${group.path}`.toLowerCase();
  $("filter").addEventListener("input", () => {
    list.shown = ROWS;
    updateList();
  });
  $("more").addEventListener("click", () => {
    list.shown += ROWS;
    showRows();
  });
  updateList();
}
