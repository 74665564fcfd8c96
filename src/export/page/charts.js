// SPDX-License-Identifier: GPL-2.0-only OR MIT
// The charts of one group. All but the hit-ratio curve share their time axis (panel.view) and cursor.
// Usage and limit hold from one row to the next; a rate is that of the interval before its sample, and
// rows that an event has made, not a sample, have none.

const HOLDS = 1;
const BEFORE = -1;

// Series are in KiB, and ms of CPU time per second.
const kib = (value) => bytes(value * 1024);
const perSecond = (line) => ({ show: (v) => `${kib(v)}/s`, ...line });

const CHARTS = [
  {
    key: "ram", title: "Memory", bytes: true, unit: "", height: 220,
    lines: [
      { series: "ram_usage", label: "usage", colour: "usage", step: HOLDS, show: kib, fill: true },
      { series: "ram_limit", label: "limit", colour: "limit", step: HOLDS, show: kib, limit: true },
    ],
  },
  {
    key: "cpu", title: "CPU", unit: "CPUs", divide: 1e3, height: 150,
    lines: [
      { series: "cpu_usage", label: "usage", colour: "usage", step: BEFORE, show: (v) => number(v / 1e3, 3), fill: true },
      { series: "cpu_limit", label: "limit", colour: "limit", step: HOLDS, show: (v) => number(v / 1e3, 2), limit: true },
    ],
  },
  {
    key: "score", title: "Score", unit: "above 1.0 a limit grows, below 0.5 it shrinks", height: 150, guides: [0.5, 1], cut: [-2.5, 4],
    lines: [
      { series: "ram_score", label: "memory", colour: "usage" },
      { series: "cpu_score", label: "CPU", colour: "third" },
      { series: "io_read_score", label: "read", colour: "fourth" },
      { series: "io_write_score", label: "write", colour: "limit" },
      { series: "net_score", label: "network", colour: "fifth" },
    ].map((line) => ({ step: HOLDS, show: (v) => number(v, 2), ...line })),
  },
  {
    key: "io", title: "I/O", bytes: true, unit: "/s, of the busiest disk", height: 150,
    lines: [
      perSecond({ series: "io_read_usage", label: "read", colour: "usage", step: BEFORE, fill: true }),
      perSecond({ series: "io_write_usage", label: "write", colour: "third", step: BEFORE }),
      perSecond({ series: "io_read_limit", label: "read limit", colour: "limit", step: HOLDS, limit: true }),
      perSecond({ series: "io_write_limit", label: "write limit", colour: "fifth", step: HOLDS, limit: true, dash: [6, 4] }),
    ],
  },
  {
    key: "net", title: "Network", bytes: true, unit: "/s, sent and received", height: 150,
    lines: [
      perSecond({ series: "net_usage", label: "usage", colour: "usage", step: BEFORE, fill: true }),
      perSecond({ series: "net_limit", label: "limit, which only moves the priority", colour: "limit", step: HOLDS, limit: true, dash: [6, 4] }),
    ],
  },
];

const SECONDS = [1e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600,
  7200, 14400, 21600, 43200, 86400, 172800, 604800];

// In which unit the axis of bytes is to be read.
function byteUnit(kilobytes) {
  if (kilobytes >= 4 * 1024 * 1024) return { divide: 1024 * 1024, name: "GiB" };
  return kilobytes >= 1024 ? { divide: 1024, name: "MiB" } : { divide: 1, name: "KiB" };
}

// As many digits as the distance of two lines of the grid has.
function ticks(splits, increment) {
  let digits = 0;
  while (digits < 6 && Math.abs(increment * 10 ** digits - Math.round(increment * 10 ** digits)) > 1e-6) digits++;
  return splits.map((value) => number(value, digits));
}

// The last index whose time is not after `at`, or -1.
function indexAt(times, at) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function axes() {
  const common = { stroke: () => colour("soft"), font: "12px system-ui, sans-serif", grid: { stroke: () => colour("grid"), width: 1 }, ticks: { show: false } };
  return { common, y: { ...common, size: GUTTER, gap: 6, space: 34, values: (plot, splits, axis, space, increment) => ticks(splits, increment) } };
}

// Largest and smallest of some arrays between two indices, nulls and what is above the cap left out.
function extremes(arrays, from, to, cap = Infinity) {
  let min = Infinity;
  let max = -Infinity;
  for (const array of arrays) {
    for (let i = from; i <= to; i++) {
      const value = array[i];
      if (value === null || value === undefined || value > cap) continue;
      if (value < min) min = value;
      if (value > max) max = value;
    }
  }
  return { min, max };
}

class Chart {
  constructor(panel, spec) {
    this.panel = panel;
    this.spec = spec;
    this.lines = spec.lines.filter((line) => this.known(line));
    this.unit = this.pickUnit();
    this.data = [panel.times, ...this.lines.map((line) => panel.series[line.series].map((v) => (v === null ? null : v / this.unit.divide)))];
    this.keys = this.lines.map((line) => ({ line, value: el("b", {}) }));
    this.off = el("span", { class: "key" });
    this.host = el("div", { class: "plot", tabindex: "0", role: "img", "aria-label": this.describe() });
    this.node = el("div", { class: "chart", "data-chart": spec.key }, this.head(), this.host);
    this.plot = null;
  }

  // A score that was always 0 is that of a resource without a limit.
  known(line) {
    const values = this.panel.series[line.series];
    if (!values || !this.spec.cut) return Boolean(values);
    const { min, max } = extremes([values], 0, values.length - 1);
    return min < 0 || max > 0;
  }

  pickUnit() {
    if (!this.spec.bytes) return { divide: this.spec.divide || 1, name: this.spec.unit };
    const used = this.lines.filter((line) => !line.limit).map((line) => this.panel.series[line.series]);
    const unit = byteUnit(extremes(used, 0, this.panel.times.length - 1).max);
    return { divide: unit.divide, name: unit.name + this.spec.unit };
  }

  // Is there anything to see? A resource without any use is none, nor is one that was not observed.
  tells() {
    const used = this.lines.filter((line) => !line.limit);
    const { min, max } = extremes(used.map((line) => this.panel.series[line.series]), 0, this.panel.times.length - 1);
    return this.spec.key === "ram" ? used.length > 0 : min < 0 || max > 0;
  }

  head() {
    const swatch = (line) => {
      const node = el("span", { class: line.dash ? "swatch dashed" : "swatch" });
      node.style.borderColor = `var(--${line.colour})`;
      return node;
    };
    return el("div", { class: "head" },
      el("h3", {}, `${this.spec.title} `, el("span", { class: "unit" }, this.unit.name)),
      ...this.keys.map(({ line, value }) => el("span", { class: "key" }, swatch(line), line.label, value)), this.off);
  }

  describe() {
    const parts = this.lines.map((line) => {
      const { min, max } = extremes([this.panel.series[line.series]], 0, this.panel.times.length - 1);
      return `${line.label} ${max < min ? "unlimited" : `from ${line.show(min)} to ${line.show(max)}`}`;
    });
    return `${this.spec.title} over time: ${parts.join("; ")}`;
  }

  range() {
    const { min, max } = this.panel.view;
    const from = Math.max(0, indexAt(this.panel.times, min));
    const to = Math.min(this.panel.times.length - 1, indexAt(this.panel.times, max) + 1);
    const pick = (wanted) => this.data.slice(1).filter((_, i) => Boolean(this.lines[i].limit) === wanted);
    const used = extremes(pick(false), from, to);
    if (this.spec.cut) return this.scoreRange(used);
    return this.limitRange(Math.max(0, used.max), (cap) => extremes(pick(true), from, to, cap).max);
  }

  scoreRange(used) {
    const [low, high] = this.spec.cut;
    const beyond = [used.min < low ? `down to ${number(used.min, 1)}` : "", used.max > high ? `up to ${number(used.max, 1)}` : ""].filter(Boolean);
    this.off.textContent = beyond.length ? `goes ${beyond.join(" and ")}, beyond the chart` : "";
    return [Math.max(low, Math.min(0, used.min)) - 0.1, Math.min(high, Math.max(1.2, used.max)) + 0.1];
  }

  // A limit far above the usage would press the usage flat: as far as it is that, it is named, and not drawn.
  limitRange(used, highestLimit) {
    const far = used > 0 ? 4 * used : Infinity;
    const limit = highestLimit(Infinity);
    const shown = this.lines.find((line) => line.limit);
    this.off.textContent = limit > far ? `the limit goes up to ${shown.show(limit * this.unit.divide)}, above the chart` : "";
    const top = Math.max(used, highestLimit(far));
    return [0, top > 0 ? top * 1.08 : 1];
  }

  options(width) {
    const digits = () => (this.panel.span() < 10 ? (this.panel.span() < 0.1 ? 4 : 2) : 0);
    const { common, y } = axes();
    const panel = this.panel;
    return {
      width, height: this.spec.height, padding: [8, MARGIN, 0, 0], legend: { show: false },
      cursor: {
        sync: { key: panel.key, setSeries: false }, points: { show: false }, y: false, drag: { x: true, y: false, dist: 5 },
        bind: { dblclick: () => () => panel.setView(0, DATA.run.seconds) },
      },
      scales: { x: { time: false, range: () => [panel.view.min, panel.view.max] }, y: { range: () => this.range() } },
      axes: [
        { ...common, size: 30, space: 70, incrs: SECONDS, values: (plot, splits) => splits.map((v) => clockwise(v, digits())) },
        y,
      ],
      series: [{}, ...this.lines.map((line) => ({
        label: line.label, stroke: () => colour(line.colour), width: line.limit ? 2 : 1.75, dash: line.dash,
        fill: line.fill ? () => colour("usage-fill") : undefined, points: { show: false }, spanGaps: line.step === BEFORE,
        paths: uPlot.paths.stepped({ align: line.step }),
      }))],
      hooks: {
        drawClear: [(plot) => this.drawStops(plot)], draw: [(plot) => this.drawGuides(plot)],
        setCursor: [(plot) => this.follow(plot)],
        setSelect: [(plot) => this.zoomTo(plot)],
      },
    };
  }

  show(width) {
    this.plot = new uPlot(this.options(width), this.data, this.host);
    this.plot.over.addEventListener("mousemove", (event) => this.hover(event));
    this.plot.over.addEventListener("mouseleave", () => this.panel.card.hide());
    this.follow(this.plot);
  }

  zoomTo(plot) {
    if (plot.select.width < 5) return;
    const from = plot.posToVal(plot.select.left, "x");
    const to = plot.posToVal(plot.select.left + plot.select.width, "x");
    this.panel.setView(from, to);
  }

  drawStops(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.fillStyle = colour("stop");
    for (const [from, to] of this.panel.stops) {
      const left = plot.valToPos(from, "x", true);
      ctx.fillRect(left, bbox.top, Math.max(1, plot.valToPos(to, "x", true) - left), bbox.height);
    }
    ctx.restore();
  }

  drawGuides(plot) {
    const { ctx, bbox } = plot;
    const line = (x1, y1, x2, y2, shade, dash) => {
      ctx.beginPath();
      ctx.setLineDash(dash);
      ctx.strokeStyle = shade;
      ctx.moveTo(x1, y1);
      ctx.lineTo(x2, y2);
      ctx.stroke();
    };
    ctx.save();
    ctx.lineWidth = window.devicePixelRatio || 1;
    for (const guide of this.spec.guides || []) {
      const y = Math.round(plot.valToPos(guide, "y", true)) + 0.5;
      line(bbox.left, y, bbox.left + bbox.width, y, colour("soft"), [4, 4]);
    }
    const { mark, view } = this.panel;
    if (mark !== null && mark >= view.min && mark <= view.max) {
      const x = plot.valToPos(mark, "x", true);
      line(x, bbox.top, x, bbox.top + bbox.height, colour("focus"), []);
    }
    ctx.restore();
  }

  // Values at the cursor, or the highest ones.
  follow(plot) {
    const { left } = plot.cursor;
    const at = left >= 0 ? plot.posToVal(left, "x") : null;
    const here = at === null ? -1 : indexAt(this.panel.times, at);
    for (const { line, value } of this.keys) {
      const values = this.panel.series[line.series];
      const index = line.step === BEFORE ? this.intervalOf(values, here, at) : here;
      if (at === null) value.textContent = `max ${this.highest(line, values)}`;
      else if (here < 0 || index >= values.length) value.textContent = "–";
      else value.textContent = values[index] === null ? (line.limit ? "unlimited" : "–") : line.show(values[index]);
    }
  }

  // A rate stands at the end of its interval; rows between, made by events, have none.
  intervalOf(values, here, at) {
    let index = this.panel.times[here] === at ? here : here + 1;
    while (index < values.length && values[index] === null) index++;
    return index;
  }

  highest(line, values) {
    const { max } = extremes([values], 0, values.length - 1);
    return max === -Infinity ? "unlimited" : line.show(max);
  }

  // Decisions about what this chart shows, near the mouse.
  hover(event) {
    const panel = this.panel;
    const x = event.clientX - this.plot.over.getBoundingClientRect().left;
    let best = null;
    let least = 7;
    for (const decision of panel.decisions) {
      if (this.spec.key !== "score" && controlOf(decision).chart !== this.spec.key) continue;
      const distance = Math.abs(this.plot.valToPos(decision.at, "x") - x);
      if (distance < least) {
        least = distance;
        best = decision;
      }
    }
    if (best) panel.card.show(best, event.clientX, event.clientY + 8);
    else panel.card.hide();
  }
}

// Hits by memory: no time, so it neither zooms nor follows.
class CurveChart {
  constructor(curve) {
    this.curve = curve;
    const knee = curve.knee_bytes;
    const facts = [
      knee === null ? null : ["knee", bytes(knee) + (curve.knee_below_resolution ? ", below the resolution" : "")],
      ["for 90 %", bytes(curve.need_bytes.p90)], ["95 %", bytes(curve.need_bytes.p95)], ["99 %", bytes(curve.need_bytes.p99)],
      ["resolution", bytes(curve.resolution_bytes)],
      curve.error === null ? null : ["error", `± ${number(100 * curve.error, 2)} %`],
      curve.sampled_share === null ? null : ["sampled", `${number(100 * curve.sampled_share, 1)} %`],
    ].filter((fact) => fact && fact[1] !== "unlimited");
    const text = facts.map(([name, value]) => `${name} ${value}`).join(", ");
    this.host = el("div", { class: "plot", role: "img", "aria-label": `Hit ratio by memory: ${text}` });
    this.node = el("div", { class: "chart", "data-chart": "curve" },
      el("div", { class: "head" }, el("h3", {}, "Hit ratio ", el("span", { class: "unit" }, "share of accesses, by MiB of memory")),
        ...facts.map(([name, value]) => el("span", { class: "key" }, name, el("b", {}, value)))),
      this.host);
  }

  show(width) {
    const { common, y } = axes();
    const points = this.curve.points;
    this.plot = new uPlot({
      width, height: 200, padding: [8, MARGIN, 0, 0], legend: { show: false }, cursor: { show: false },
      scales: { x: { time: false }, y: { range: [0, 1.02] } },
      axes: [{ ...common, size: 30, space: 60, values: (plot, splits) => splits.map(short) }, y],
      series: [{}, { stroke: () => colour("usage"), fill: () => colour("usage-fill"), width: 2, points: { show: points.length < 40 } }],
      hooks: { draw: [(plot) => this.drawKnee(plot)] },
    }, [points.map((p) => p[0] / MIB), points.map((p) => p[1])], this.host);
  }

  drawKnee(plot) {
    if (this.curve.knee_bytes === null) return;
    const { ctx, bbox } = plot;
    const x = plot.valToPos(this.curve.knee_bytes / MIB, "x", true);
    ctx.save();
    ctx.strokeStyle = colour("limit");
    ctx.lineWidth = 2 * (window.devicePixelRatio || 1);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.restore();
  }
}
