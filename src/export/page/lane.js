// SPDX-License-Identifier: GPL-2.0-only OR MIT
// The decisions of a group as marks in a strip above its charts, one row per control. One stop of the
// Tab key, then arrows: a slider whose value is the decision, so that screen readers say its sentence.

const GUTTER = 64; // left of the plotting area, in the lane and in every chart
const MARGIN = 24; // right of it
const ROW = 20;

class Lane {
  constructor(panel) {
    this.panel = panel;
    this.decisions = panel.decisions;
    this.controls = DATA.words.controls.filter((name) => this.decisions.some((d) => d.control === name));
    this.current = -1;
    this.canvas = el("canvas", { "aria-hidden": "true" });
    this.node = el("div", {
      class: "lane", tabindex: "0", role: "slider", "aria-label": "Decisions", "aria-orientation": "horizontal",
      "aria-valuemin": "0", "aria-valuemax": String(this.decisions.length), "aria-valuenow": "0",
      "aria-valuetext": `${this.decisions.length} decisions; the arrow keys go through them`,
    }, this.canvas);
    this.node.addEventListener("keydown", (event) => this.key(event));
    this.node.addEventListener("mousemove", (event) => this.hover(event));
    this.node.addEventListener("click", (event) => this.hover(event));
    this.node.addEventListener("mouseleave", () => panel.card.hide());
    this.node.addEventListener("blur", () => this.leave());
  }

  get height() {
    return this.controls.length * ROW + 6;
  }

  x(at) {
    const { min, max } = this.panel.view;
    return GUTTER + ((at - min) / (max - min)) * (this.width - GUTTER - MARGIN);
  }

  draw() {
    this.width = this.node.clientWidth;
    if (!this.width) return;
    const scale = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(this.width * scale);
    this.canvas.height = Math.round(this.height * scale);
    this.canvas.style.width = `${this.width}px`;
    this.canvas.style.height = `${this.height}px`;
    const ctx = this.canvas.getContext("2d");
    ctx.scale(scale, scale);
    this.drawRows(ctx);
    ctx.save();
    ctx.beginPath();
    ctx.rect(GUTTER - 7, 0, this.width - GUTTER - MARGIN + 14, this.height);
    ctx.clip();
    for (const decision of this.decisions) this.drawMark(ctx, decision);
    if (this.current >= 0) this.drawRing(ctx, this.decisions[this.current]);
    ctx.restore();
  }

  drawRows(ctx) {
    ctx.font = `12px ${getComputedStyle(this.node).fontFamily}`;
    ctx.textBaseline = "middle";
    ctx.textAlign = "right";
    this.controls.forEach((name, i) => {
      const y = this.y(name);
      ctx.fillStyle = colour("soft");
      ctx.fillText(name.replace("-", " "), GUTTER - 12, y);
      ctx.strokeStyle = colour("line");
      ctx.beginPath();
      ctx.moveTo(GUTTER, Math.round(y) + 0.5);
      ctx.lineTo(this.width - MARGIN, Math.round(y) + 0.5);
      ctx.stroke();
    });
  }

  y(control) {
    return 3 + ROW * (this.controls.indexOf(control) + 0.5);
  }

  drawMark(ctx, decision) {
    const x = this.x(decision.at);
    if (x < GUTTER - 7 || x > this.width - MARGIN + 7) return;
    const y = this.y(decision.control);
    const direction = directionOf(decision);
    const shade = decision.done || decision.dry ? colour(direction) : colour("bad");
    ctx.beginPath();
    if (!decision.done && !decision.dry) {
      ctx.moveTo(x - 4, y - 4); ctx.lineTo(x + 4, y + 4);
      ctx.moveTo(x + 4, y - 4); ctx.lineTo(x - 4, y + 4);
    } else if (direction === "up") {
      ctx.moveTo(x, y - 5.5); ctx.lineTo(x + 5, y + 4); ctx.lineTo(x - 5, y + 4); ctx.closePath();
    } else if (direction === "down") {
      ctx.moveTo(x, y + 5.5); ctx.lineTo(x + 5, y - 4); ctx.lineTo(x - 5, y - 4); ctx.closePath();
    } else if (direction === "halt") {
      ctx.rect(x - 4.5, y - 4.5, 9, 9);
    } else {
      ctx.moveTo(x - 4, y - 5); ctx.lineTo(x + 5.5, y); ctx.lineTo(x - 4, y + 5); ctx.closePath();
    }
    ctx.strokeStyle = ctx.fillStyle = shade;
    ctx.lineWidth = 1.6;
    if (decision.done) ctx.fill(); // hollow: a dry run
    ctx.stroke();
  }

  drawRing(ctx, decision) {
    ctx.beginPath();
    ctx.arc(this.x(decision.at), this.y(decision.control), 9, 0, 2 * Math.PI);
    ctx.strokeStyle = colour("focus");
    ctx.lineWidth = 2;
    ctx.stroke();
  }

  // The decision whose mark is nearest to a point of the lane, within 12 pixels.
  nearest(x, y) {
    let best = -1;
    let least = 12 * 12;
    this.decisions.forEach((decision, i) => {
      const dx = this.x(decision.at) - x;
      const dy = y === null ? 0 : this.y(decision.control) - y;
      if (dx * dx + dy * dy < least) {
        least = dx * dx + dy * dy;
        best = i;
      }
    });
    return best;
  }

  hover(event) {
    const box = this.node.getBoundingClientRect();
    const found = this.nearest(event.clientX - box.left, event.clientY - box.top);
    if (found < 0) return this.panel.card.hide();
    if (event.type === "click") return this.select(found);
    this.panel.card.show(this.decisions[found], event.clientX, box.bottom);
  }

  key(event) {
    if (event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return;
    const last = this.decisions.length - 1;
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
    let next;
    if (step) next = this.current < 0 ? this.first(step) : this.current + step;
    else if (event.key === "Home") next = 0;
    else if (event.key === "End") next = last;
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.select(Math.max(0, Math.min(last, next)));
  }

  // Where the arrows begin: at the edge of what is visible.
  first(step) {
    const { min, max } = this.panel.view;
    const visible = (d) => d.at >= min && d.at <= max;
    const found = step > 0 ? this.decisions.findIndex(visible) : this.decisions.findLastIndex(visible);
    return Math.max(0, found);
  }

  select(index) {
    const decision = this.decisions[index];
    this.current = index;
    this.node.setAttribute("aria-valuenow", String(index + 1));
    this.node.setAttribute("aria-valuetext", `${index + 1} of ${this.decisions.length}: ${sentenceOf(decision)}`);
    this.panel.bringIntoView(decision.at);
    this.draw();
    this.tell();
    this.panel.point(decision.at);
  }

  // The note of the chosen decision, below its mark; again when that has moved.
  tell() {
    const decision = this.decisions[this.current];
    const { min, max } = this.panel.view;
    if (!decision || decision.at < min || decision.at > max) return this.panel.card.hide();
    const box = this.node.getBoundingClientRect();
    this.panel.card.show(decision, box.left + this.x(decision.at), box.bottom);
    this.panel.card.node.scrollIntoView({ block: "nearest" });
  }

  leave() {
    this.current = -1;
    this.panel.card.hide();
    this.draw();
  }
}

// The note about one decision, beside the mouse or below the mark.
class Card {
  constructor(panel) {
    this.panel = panel;
    this.node = el("div", { class: "note-card", hidden: true });
  }

  show(decision, clientX, clientY) {
    const evidence = evidenceOf(decision);
    this.node.replaceChildren(
      el("p", { class: "when" }, `${whenOf(decision)} · ${decision.outcome}`),
      el("p", { class: "what" }, changeOf(decision)),
      el("p", { class: "why" }, decision.reason),
      evidence && el("p", { class: "evidence" }, evidence),
    );
    this.node.hidden = false;
    const box = this.panel.node.getBoundingClientRect();
    const left = Math.min(clientX - box.left + 10, box.width - this.node.offsetWidth - 8);
    this.node.style.left = `${Math.max(8, left)}px`;
    this.node.style.top = `${clientY - box.top + 8}px`;
  }

  hide() {
    this.node.hidden = true;
  }
}
