// SPDX-License-Identifier: GPL-2.0-only OR MIT
// The colour scheme, and what happens when the page is opened.

const scheme = matchMedia("(prefers-color-scheme: dark)");
const SCHEMES = ["as the system", "light", "dark"];
let chosen = 0; // of this page, while it is open: a file has no place to keep it

function applyScheme() {
  const dark = chosen === 0 ? scheme.matches : SCHEMES[chosen] === "dark";
  document.documentElement.classList.toggle("dark", dark);
  $("theme").textContent = `Colours: ${SCHEMES[chosen]}`;
  for (const panel of panels.values()) panel.redraw();
}

function start() {
  applyScheme();
  scheme.addEventListener("change", applyScheme);
  // On paper it is light.
  window.addEventListener("beforeprint", () => document.documentElement.classList.remove("dark"));
  window.addEventListener("afterprint", applyScheme);
  $("theme").addEventListener("click", () => {
    chosen = (chosen + 1) % SCHEMES.length;
    applyScheme();
  });
  fillHead();
  startList();
  // The group about which most was decided is what a reader looks for first.
  const busiest = DATA.groups.reduce((best, group) => (best && best.decisions.length >= group.decisions.length ? best : group), null);
  if (busiest) togglePanel(busiest);
}

start();
