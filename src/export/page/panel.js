// SPDX-License-Identifier: GPL-2.0-only OR MIT
// A group that was opened: tiles, decisions, charts. Nothing of it exists before, and nothing is left
// when it is closed: so a page with 10,000 groups costs what the opened ones cost.

const SENTENCES = 100; // rows of the table of decisions at a time

const panels = new Map(); // group -> Panel, in the order of opening

class Panel {
  constructor(group) {
    this.group = group;
    this.key = `group-${DATA.groups.indexOf(group)}`;
    this.view = { min: 0, max: DATA.run.seconds };
    this.mark = null;
    this.times = group.t;
    // A series that never changes is one value in the file; one that was never seen is not there.
    this.series = Object.fromEntries(Object.entries(group.series)
      .map(([name, values]) => [name, values.length === 1 ? new Array(this.times.length).fill(values[0]) : values]));
    this.decisions = group.decisions.map(decisionOf);
    this.stops = group.stops;
    this.card = new Card(this);
    this.lane = this.decisions.length ? new Lane(this) : null;
    this.charts = this.times.length ? CHARTS.map((spec) => new Chart(this, spec)).filter((chart) => chart.tells()) : [];
    this.curve = group.curve ? new CurveChart(group.curve) : null;
    this.node = this.build();
  }

  build() {
    const { group } = this;
    const node = el("article", { class: "panel", id: this.key, "aria-labelledby": `${this.key}-title`, tabindex: "-1" },
      el("div", { class: "bar" },
        el("div", { class: "who" }, el("h2", { id: `${this.key}-title` }, group.name), el("p", { class: "path" }, `cgroup ${group.path}, id ${group.id}`)),
        this.tools()),
      this.tiles(), this.legend(), this.lane && this.lane.node,
      ...this.charts.map((chart) => chart.node),
      this.charts.length ? null : el("p", { class: "none" }, "No sample of this group is in the trace, so there is nothing to draw."),
      this.missing(), this.curve && this.curve.node, this.table(), this.card.node);
    node.addEventListener("keydown", (event) => this.onKey(event));
    return node;
  }

  tools() {
    const button = (text, label, action) => el("button", { type: "button", "aria-label": label, title: label, onclick: action }, text);
    return el("div", { class: "tools", role: "group", "aria-label": "Time axis" },
      button("−", "Zoom out", () => this.zoom(2)), button("+", "Zoom in", () => this.zoom(0.5)),
      button("◀", "Earlier", () => this.pan(-0.25)), button("▶", "Later", () => this.pan(0.25)),
      button("Whole run", "Show the whole run", () => this.setView(0, DATA.run.seconds)),
      button("Close", "Close this group", () => togglePanel(this.group)));
  }

  tiles() {
    const s = this.group.summary;
    const tile = (name, value, small) => el("div", { class: "tile" }, el("dt", {}, name), el("dd", {}, value, small && el("small", {}, small)));
    const left = s.limit_mib_s > 0 ? `${number((100 * s.usage_mib_s) / s.limit_mib_s, 0)} % of the limit` : null;
    const share = s.seconds > 0 ? `${number((100 * s.stopped_seconds) / s.seconds, 0)} % of the time` : null;
    const out = s.not_done ? `${number(s.not_done, 0)} not done` : null;
    return el("dl", { class: "tiles" },
      tile("managed for", seconds(s.seconds)), tile("usage", short(s.usage_mib_s), "MiB·s"),
      tile("limit", short(s.limit_mib_s), "MiB·s"), left && tile("used", left.split(" ")[0] + " %", "of the limit"),
      tile("peak", short(s.peak_mib), "MiB"), tile("stopped", seconds(s.stopped_seconds), share),
      tile("decisions", number(s.grown + s.shrunk + s.moves + s.stops + s.wakes, 0), out), tile("wakes", number(s.wakes, 0)),
      s.oom_kills ? tile("OOM kills", number(s.oom_kills, 0)) : null);
  }

  legend() {
    const parts = [];
    if (this.stops.length) {
      const swatch = el("span", { class: "swatch block" });
      swatch.style.background = "var(--stop)";
      swatch.style.borderColor = "var(--stop-line)";
      parts.push(el("span", { class: "key" }, swatch, "stopped or frozen"));
    }
    if (this.lane) parts.push(el("span", { class: "key" }, "▲ raised  ▼ lowered  ■ stopped  ▶ continued  × not done" + (DATA.run.dry_run ? "  hollow: dry run" : "")));
    return parts.length ? el("p", { class: "bar" }, ...parts) : null;
  }

  // What has no chart is said, so that an absence is no riddle.
  missing() {
    const drawn = new Set(this.charts.map((chart) => chart.spec.key));
    const absent = CHARTS.filter((spec) => !drawn.has(spec.key)).map((spec) => spec.title);
    if (!absent.length || !this.charts.length) return null;
    return el("p", { class: "none" }, `Not observed in this run, or without any use: ${absent.join(", ")}.`);
  }

  table() {
    if (!this.decisions.length) return el("p", { class: "none" }, "No decision was made about this group.");
    const body = el("tbody", {});
    const more = el("button", { type: "button" }, "Show more");
    const add = () => {
      const from = body.childElementCount;
      body.append(...this.decisions.slice(from, from + SENTENCES).map((d) => el("tr", {},
        el("td", {}, whenOf(d)), el("td", { class: "text" }, changeOf(d)), el("td", { class: "text" }, d.reason),
        el("td", { class: "text" }, evidenceOf(d)), el("td", { class: "text" }, d.outcome))));
      more.hidden = body.childElementCount === this.decisions.length;
    };
    more.addEventListener("click", add);
    const heads = ["time", "from → to", "reason", "evidence", "outcome"].map((text, i) => el("th", { scope: "col", class: i ? "text" : null }, text));
    const left = this.group.decisions_left_out;
    const details = el("details", {}, el("summary", {}, `All decisions in words (${number(this.decisions.length, 0)})`),
      left ? el("p", { class: "none" }, `${number(left, 0)} more in the middle of the run were too many for this page; the counts above have them all.`) : null,
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Decisions in words" }, el("table", {}, el("thead", {}, el("tr", {}, ...heads)), body)),
      more);
    details.addEventListener("toggle", () => { if (details.open && !body.childElementCount) add(); });
    return details;
  }

  // Only now is a width known.
  show() {
    const width = this.width();
    for (const chart of this.charts) chart.show(width);
    if (this.curve) this.curve.show(width);
    if (this.lane) this.lane.draw();
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(this.node);
  }

  width() {
    const style = getComputedStyle(this.node);
    return Math.floor(this.node.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight));
  }

  plots() {
    return [...this.charts, this.curve].filter(Boolean).map((chart) => chart.plot).filter(Boolean);
  }

  resize() {
    const width = this.width();
    for (const plot of this.plots()) if (plot.width !== width) plot.setSize({ width, height: plot.height });
    if (this.lane && this.lane.width !== this.lane.node.clientWidth) this.lane.draw();
  }

  redraw() {
    for (const plot of this.plots()) plot.redraw(false);
    if (this.lane) this.lane.draw();
  }

  destroy() {
    this.watch.disconnect();
    for (const plot of this.plots()) plot.destroy();
    this.node.remove();
  }

  span() {
    return this.view.max - this.view.min;
  }

  // The part of the run that all charts show; at least a millisecond of it.
  setView(from, to) {
    const end = DATA.run.seconds;
    const span = Math.min(end, Math.max(1e-3, to - from));
    const min = Math.max(0, Math.min(end - span, from));
    this.view = { min, max: min + span };
    for (const chart of this.charts) chart.plot.setScale("x", this.view);
    for (const chart of this.charts) chart.plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    if (!this.lane) return;
    this.lane.draw();
    this.lane.tell();
  }

  zoom(factor) {
    const { min, max } = this.view;
    const middle = this.mark !== null && this.mark >= min && this.mark <= max ? this.mark : (min + max) / 2;
    this.setView(middle - (middle - min) * factor, middle + (max - middle) * factor);
  }

  pan(share) {
    this.setView(this.view.min + share * this.span(), this.view.max + share * this.span());
  }

  bringIntoView(at) {
    if (at < this.view.min || at > this.view.max) this.setView(at - this.span() / 2, at + this.span() / 2);
  }

  point(at) {
    this.mark = at;
    for (const chart of this.charts) chart.plot.redraw(false);
  }

  onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || !event.target.closest(".lane, .plot")) return;
    const act = {
      "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), "−": () => this.zoom(2), "0": () => this.setView(0, DATA.run.seconds),
      Escape: () => this.card.hide(), ArrowLeft: () => this.pan(-0.25), ArrowRight: () => this.pan(0.25),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }
}

function togglePanel(group) {
  const open = panels.get(group);
  if (open) {
    open.destroy();
    panels.delete(group);
    showRows();
    focusOn(group);
    return;
  }
  const panel = new Panel(group);
  panels.set(group, panel);
  $("panels").prepend(panel.node);
  panel.show();
  showRows();
}

// By hand: to where it opened.
function openPanel(group) {
  togglePanel(group);
  const panel = panels.get(group);
  if (!panel) return;
  panel.node.focus({ preventScroll: true });
  panel.node.scrollIntoView({ block: "start" });
}

// Its row was made anew: the button of a closed group gets the focus back.
function focusOn(group) {
  const button = $("table").querySelectorAll("tbody .open")[list.rows.indexOf(group)];
  if (button) button.focus();
}
