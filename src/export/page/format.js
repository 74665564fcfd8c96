// SPDX-License-Identifier: GPL-2.0-only OR MIT
// What the other parts share: elements, numbers with their units, and decisions in words. Everything
// that comes from the trace enters the page as text, never as HTML.

const DATA = JSON.parse(document.getElementById("data").textContent);
DATA.run.seconds = Math.max(DATA.run.seconds, 1e-3); // an axis needs a length

const $ = (id) => document.getElementById(id);

// el("p", { class: "x", onclick: f }, "text", child): null and false children are left out.
function el(tag, properties, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const MIB = 1048576;

function number(value, digits) {
  if (value === null || value === undefined) return "–";
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

// Three digits are enough to read, and none is invented.
function short(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 100 || value === Math.trunc(value)) return number(value, 0);
  return number(value, size >= 10 ? 1 : 2);
}

function bytes(value) {
  if (value === null) return "unlimited";
  if (value === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${number(value, unit ? 1 : 0)} ${units[unit]}`;
}

function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value !== 0 && value < 1e-3) return `${number(value * 1e6, 0)} µs`;
  if (value !== 0 && value < 1) return `${number(value * 1e3, 1)} ms`;
  if (value < 120) return `${number(value, 1)} s`;
  return clockwise(value, 0);
}

// 4:05, 1:00:07; digits behind the seconds where the chart is zoomed in
function clockwise(value, digits) {
  const sign = value < 0 ? "−" : "";
  const scale = 10 ** digits;
  const whole = Math.round(Math.abs(value) * scale) / scale;
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = (whole % 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return hours ? `${sign}${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${sign}${minutes}:${rest}`;
}

function wallClock(at) {
  if (DATA.run.start_ms === null) return null;
  const date = new Date(DATA.run.start_ms + at * 1000);
  return Number.isNaN(date.getTime()) ? null : date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
}

// By the words of the program (transcript.c): what a control is called, how its values read, and in
// which chart its decisions stand. One that is not here is shown by its word, without units.
const rate = (v) => (v === null ? "unlimited" : `${bytes(v)}/s`);
const CONTROLS = {
  ram: { what: "memory limit", value: bytes, chart: "ram" },
  stop: { what: "group", value: (v) => (v ? "stopped" : "running"), chart: "ram" },
  cpu: { what: "CPU limit", value: (v) => (v === null ? "unlimited" : `${number(v / 1e9, 2)} CPUs`), chart: "cpu" },
  "io-read": { what: "read limit", value: rate, chart: "io" },
  "io-write": { what: "write limit", value: rate, chart: "io" },
  net: { what: "socket priority", value: (v) => number(v, 0), usage: rate, chart: "net" },
  reclaim: { what: "memory reclaimed", value: bytes, chart: "ram" },
  cpus: { what: "CPUs", value: (v) => (v === null ? "all" : number(v, 0)), chart: "cpu", bare: true },
  weight: { what: "CPU weight", value: (v) => (v ? number(v, 0) : "as before"), chart: "cpu", bare: true },
};

const REASONS = {
  "score-high": "score above 1.0", "score-low": "score below 0.5", "high-water": "usage crossed the high-water mark",
  "limit-hit": "a charge met the limit", ceiling: "at the ceiling, where the kernel's own rule holds",
  idle: "idle, and talks with nobody", talk: "it talks", deadline: "stopped for as long as the deadline allows",
  request: "on request", parked: "idle, and all its threads wait", data: "data waits for it", signal: "a signal came for it",
  type: "moved between services and scientific groups", sla: "a service: the least that keeps its targets",
  remainder: "scientific: its part of what services leave", character: "the priority table of its character",
  need: "its hit-ratio curve needs no more", probe: "no curve tells: a small step shows whether it is missed",
  share: "memory is short, and others make more of it", harm: "the last step did harm",
  entered: "a process entered it", exit: "the daemon left, or let go of it",
};

const OUTCOMES = {
  applied: "done", failed: "failed: the kernel refused", foreign: "left alone: somebody else had changed it",
  busy: "undone: it came at a bad moment", refused: "left alone: it would not have been safe", dry: "left out: dry run",
};

function controlOf(decision) {
  const plain = (v) => (v === null ? "none" : number(v, 0));
  return CONTROLS[decision.control] || { what: decision.control, value: plain, chart: "cpu", bare: true };
}

// The arrays of the file as objects; their order is that of put_decision() in report_json.c.
function decisionOf(row) {
  const [at, control, from, to, reason, outcome, score, usage, before, limit, size, since, throttled, periods, clamped] = row;
  return {
    at, from, to, score, usage, before, limit, size, since, throttled, periods, clamped,
    control: DATA.words.controls[control],
    reason: REASONS[DATA.words.reasons[reason]] || DATA.words.reasons[reason],
    outcome: OUTCOMES[DATA.words.outcomes[outcome]] || DATA.words.outcomes[outcome],
    done: DATA.words.outcomes[outcome] === "applied",
    dry: DATA.words.outcomes[outcome] === "dry",
  };
}

// up, down, halt, go: which mark a decision gets
function directionOf(decision) {
  if (decision.control === "stop") return decision.to ? "halt" : "go";
  const from = decision.from === null ? Infinity : decision.from;
  const to = decision.to === null ? Infinity : decision.to;
  return to >= from ? "up" : "down";
}

function changeOf(decision) {
  const control = controlOf(decision);
  return `${control.what} ${control.value(decision.from)} → ${control.value(decision.to)}`;
}

function evidenceOf(decision) {
  const control = controlOf(decision);
  const value = control.usage || control.value;
  const parts = [];
  if (decision.control === "stop") {
    if (decision.since) parts.push(`${decision.to ? "idle for" : "after"} ${seconds(decision.since)}`);
  } else if (!control.bare) {
    parts.push(`usage ${value(decision.usage)}`, `before ${value(decision.before)}`);
    parts.push(`limit ${value(decision.limit)}`, `score ${number(decision.score, 2)}`);
    if (decision.size) parts.push(`size ${value(decision.size)}`);
  }
  if (decision.throttled) parts.push(`throttled in ${decision.throttled} of ${decision.periods} periods`);
  if (decision.clamped) parts.push("clamped by a floor, a ceiling or a cool-down");
  return parts.join(", ");
}

function whenOf(decision) {
  const wall = wallClock(decision.at);
  return `${clockwise(decision.at, 3)}${wall ? ` (${wall})` : ""}`;
}

function sentenceOf(decision) {
  const evidence = evidenceOf(decision);
  return `${whenOf(decision)}: ${changeOf(decision)}; ${decision.reason}${evidence ? ` (${evidence})` : ""}; ${decision.outcome}`;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
