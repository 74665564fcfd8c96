# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""report_page.py CHROMIUM PAGE HOSTILE MANY DIRECTORY SHOTS: does the page of a report work in a browser?

PAGE is of an ordinary run, HOSTILE has groups whose names would break a careless page, MANY has 10,000
groups. Ends with 1 and one line for the first thing that is not as it must be.
"""

import re
import sys

from browser import Browser

# Pixels of a canvas that have a colour of the page, within a little of what blending does.
COUNT = """((selector, name, from = 0) => {
	const probe = document.createElement("canvas").getContext("2d");
	const pixel = (ctx, x, y) => [...ctx.getImageData(x, y, 1, 1).data];
	probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
	probe.fillRect(0, 0, 1, 1);
	const wanted = pixel(probe, 0, 0);
	const canvas = document.querySelector(selector);
	if (!canvas || !canvas.width || !canvas.height) return { count: -1 };
	const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
	let count = 0, x = -1, y = -1;
	for (let i = 0; i < data.length; i += 4) {
		const close = [0, 1, 2].every((c) => Math.abs(data[i + c] - wanted[c]) <= 3) && data[i + 3] === 255;
		if (!close || (i / 4) % canvas.width < from) continue;
		if (count++ === 0) { x = (i / 4) % canvas.width; y = Math.floor(i / 4 / canvas.width); }
	}
	const box = canvas.getBoundingClientRect();
	return { count, x: box.left + x * box.width / canvas.width, y: box.top + y * box.height / canvas.height };
})"""

# What is drawn, as one number.
PICTURE = """((selector) => {
	const canvas = document.querySelector(selector);
	const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
	let sum = 0;
	for (const byte of data) sum = (Math.imul(sum, 31) + byte) | 0;
	return sum;
})"""

RAM = ".chart[data-chart=ram] canvas"
LANE = ".lane canvas"
GUTTER = 64  # left of it are words


def must(condition, what, seen=""):
	if not condition:
		print(f"FAIL: {what}{f': saw {seen}' if seen != '' else ''}")
		sys.exit(1)


class Page:
	def __init__(self, browser):
		self.browser = browser
		self.wanted = set()

	def quiet(self, path):
		complaints, requests = self.browser.complaints, self.browser.requests
		must(not complaints, f"{path}: the console is to be empty", complaints[:3])
		foreign = [url for url in requests if not url.endswith(path.rsplit("/", 1)[-1])]
		must(not foreign, f"{path}: nothing but the page is to be asked for", foreign[:3])
		must(len(requests) == 1, f"{path}: the page itself is one request, or requests are not seen", requests)

	def count(self, selector, colour, start=0):
		return self.browser.evaluate(f"{COUNT}('{selector}', '{colour}', {start})")

	def drawn(self):
		selectors = self.browser.evaluate("[...document.querySelectorAll('.chart')].map((c) => c.dataset.chart)")
		must("ram" in selectors, "there is to be a chart of the memory", selectors)
		must(self.wanted <= set(selectors), "all these charts are to be there", selectors)
		for chart in selectors:
			inked = self.browser.evaluate(f"""(() => {{
				const canvas = document.querySelector('.chart[data-chart={chart}] canvas');
				const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
				const seen = new Set();
				for (let i = 0; i < data.length; i += 4) if (data[i + 3]) seen.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]);
				return seen.size;
			}})()""")
			must(inked > 3, f"chart {chart}: more than a background is to be drawn, colours", inked)
		for colour in ("usage", "limit"):
			seen = self.count(RAM, colour)["count"]
			must(seen > 100, f"the line of {colour} is to be in the chart of the memory, pixels", seen)

	def plot(self):
		return self.browser.evaluate("""(() => {
			const box = document.querySelector('.chart[data-chart=ram] .u-over').getBoundingClientRect();
			return [box.left, box.top, box.width, box.height];
		})()""")

	def card(self):
		"""The words of the note, if it is where they can be read."""
		return self.browser.evaluate("""(() => {
			const card = document.querySelector('.note-card');
			const box = card.getBoundingClientRect();
			if (card.hidden) return '';
			const inside = box.left >= 0 && box.top >= 0 && box.right <= innerWidth && box.bottom <= innerHeight;
			return inside ? card.innerText : 'outside of what is visible: ' + JSON.stringify(box);
		})()""")

	def narrow(self, what):
		wide = self.browser.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
		must(wide <= 0, f"{what}: the page is not to scroll sideways, pixels too wide", wide)
		out = self.browser.evaluate("""[...document.querySelectorAll('.panel *')].filter((e) => !e.closest('.scroll') &&
			e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.tagName + '.' + e.className).slice(0, 3)""")
		must(not out, f"{what}: nothing is to stick out", out)


def test_schemes(browser, page, path, shots):
	page.wanted = {"ram", "cpu", "score", "io", "net", "curve"}
	backgrounds = {}
	for scheme in ("light", "dark"):
		for width in (1280, 400):
			browser.open(path, width, 900, scheme)
			page.quiet(path)
			page.drawn()
			page.narrow(f"{width} px, {scheme}")
			browser.screenshot(f"{shots}/report-{width}-{scheme}.png")
		# Still narrow, with a note open at either edge.
		browser.evaluate("document.querySelector('.lane').focus()")
		for key in ("Home", "End"):
			browser.key(key)
			must("→" in page.card(), f"400 px, {scheme}, {key}: the note is to be open", repr(page.card()))
			page.narrow(f"400 px, {scheme}, with a note")
		browser.key("Escape")
		backgrounds[scheme] = browser.evaluate("getComputedStyle(document.body).backgroundColor")
	must(backgrounds["light"] != backgrounds["dark"], "two schemes are to be two", backgrounds)
	# Dark by the system: the button leads through light and dark back to the system's.
	for scheme in ("light", "dark", "dark"):
		before = browser.evaluate(f"{PICTURE}('{RAM}')")
		browser.evaluate("document.getElementById('theme').click()")
		browser.settle()
		seen = browser.evaluate("getComputedStyle(document.body).backgroundColor")
		must(seen == backgrounds[scheme], f"the button is to lead to {scheme}", seen)
		page.drawn()
	browser.media("light")
	browser.settle()
	seen = browser.evaluate("getComputedStyle(document.body).backgroundColor")
	must(seen == backgrounds["light"], "the page is to follow the system while it is open", seen)
	must(browser.evaluate(f"{PICTURE}('{RAM}')") != before, "the charts are to follow too")
	page.drawn()


def test_hover(browser, page, path):
	browser.open(path, 1280, 900, "light")
	browser.evaluate("document.querySelector('.lane').scrollIntoView({ block: 'center' })")
	browser.settle()
	mark = page.count(LANE, "up", GUTTER)
	must(mark["count"] > 10, "decisions that raise are to be marked, pixels", mark["count"])
	must(page.card() == "", "no note is to be open at first")
	browser.mouse(mark["x"], mark["y"] + 3)
	text = page.card()
	must("→" in text and "score" in text and "usage" in text and re.search(r"\(\d\d:\d\d:\d\d\.\d\d\d\)", text), "a mark is to tell time, control, from → to, reason, evidence", repr(text))
	browser.mouse(5, 5)
	must(page.card() == "", "the note is to close when the mouse leaves", repr(page.card()))
	# In the chart itself, at the same time.
	box = page.plot()
	browser.mouse(mark["x"] + 1, box[1] + box[3] / 2)
	must("→" in page.card(), "a decision is to be told in the chart too", repr(page.card()))
	value = browser.evaluate("document.querySelector('.chart[data-chart=ram] .key b').textContent")
	must("iB" in value and "max" not in value, "the value at the mouse is to be shown", value)


def focus_lane(browser):
	for _ in range(60):
		browser.key("Tab")
		if browser.evaluate("document.activeElement.className") == "lane":
			return
	must(False, "the Tab key is to reach the decisions")


def test_keys(browser, page, path):
	browser.open(path, 1280, 900, "light")
	focus_lane(browser)
	whole = browser.evaluate(f"{PICTURE}('{RAM}')")
	said = []
	for key in ("Home", "ArrowRight", "End"):
		browser.key(key)
		must("→" in page.card(), f"{key}: the note is to be open", repr(page.card()))
		said.append(browser.evaluate("document.activeElement.getAttribute('aria-valuetext')"))
	must(len(set(said)) == 3, "three keys are to lead to three decisions", said)
	count = browser.evaluate("+document.activeElement.getAttribute('aria-valuemax')")
	must(said[0].startswith(f"1 of {count}:") and said[2].startswith(f"{count} of {count}:"), "first and last", said)
	browser.key("Escape")
	must(page.card() == "", "Escape is to close the note")
	marked = browser.evaluate(f"{PICTURE}('{RAM}')")
	must(marked != whole, "the time of the decision is to be marked in the chart")
	browser.key("+")
	zoomed = browser.evaluate(f"{PICTURE}('{RAM}')")
	must(zoomed != marked, "+ is to zoom")
	browser.key("ArrowLeft", shift=True)
	must(browser.evaluate(f"{PICTURE}('{RAM}')") != zoomed, "Shift and an arrow are to move")
	browser.key("0")
	must(browser.evaluate(f"{PICTURE}('{RAM}')") == marked, "0 is to show the whole run again")
	browser.evaluate("document.querySelector('.chart[data-chart=ram]').scrollIntoView({ block: 'center' })")
	browser.settle()
	box = page.plot()
	browser.drag(box[0] + box[2] * 0.2, box[0] + box[2] * 0.5, box[1] + box[3] / 2)
	must(browser.evaluate(f"{PICTURE}('{RAM}')") != marked, "dragging is to zoom")
	page.drawn()


def test_hostile(browser, page, path):
	page.wanted = set()
	browser.open(path, 400, 900, "dark")
	page.quiet(path)
	page.drawn()
	page.narrow("hostile names")
	must(browser.evaluate("document.scripts.length") == 3, "no name is to become a script")
	must(browser.evaluate("typeof window.pwned") == "undefined", "no name is to run")
	must(browser.evaluate("document.querySelectorAll('#table img, #panels img, #table b').length") == 0, "no name is to become an element")
	names = browser.evaluate("[...document.querySelectorAll('#table .open')].map((b) => b.textContent)")
	for wanted in ("</script><script>window.pwned=1</script>", "<img src=x onerror=window.pwned=1>", "two\\x0alines", "\\xe2\\x80\\xaereversed", "&lt;b&gt;", "\\xff\\xfe"):
		must(any(wanted in name for name in names), f"{wanted} is to be shown as it is", names)


def test_many(browser, page, path):
	browser.open(path, 1280, 900, "light")
	page.quiet(path)
	page.drawn()
	rows = "document.querySelectorAll('#table tbody tr').length"
	must(browser.evaluate(rows) == 50, "a part of the groups is to be shown", browser.evaluate(rows))
	must("10,000" in browser.evaluate("document.getElementById('count').textContent"), "how many there are is to be said")
	must(browser.evaluate("document.querySelectorAll('.panel').length") == 1, "charts are to be drawn when opened only")
	browser.evaluate("document.getElementById('filter').focus()")
	for letter in "-777":
		browser.key(letter)
	names = browser.evaluate("[...document.querySelectorAll('#table .open')].map((b) => b.textContent)")
	must(0 < len(names) <= 50 and all("-777" in name for name in names), "the filter is to leave what matches", names[:3])
	browser.evaluate("document.querySelector('#table .open').focus()")
	browser.key("Enter")
	must(browser.evaluate("document.querySelectorAll('.panel').length") == 2, "Enter is to open a group")
	must(browser.evaluate("document.querySelector('.panel h2').textContent") == names[0], "the one that was asked for")
	browser.evaluate("document.querySelectorAll('#table th button')[2].click()")
	sums = browser.evaluate("[...document.querySelectorAll('#table tbody tr')].map((r) => +r.cells[2].textContent.replaceAll(',', ''))")
	must(len(sums) > 1 and sums == sorted(sums, reverse=True), "a heading is to sort", sums[:5])


def test_policy(browser, path):
	"""What the Content-Security-Policy forbids is forbidden, and complaints are heard: so silence above means something."""
	browser.open(path, 1280, 900, "light")
	browser.evaluate("""(() => {
		const script = document.createElement("script");
		script.textContent = "window.pwned = 1";
		document.body.append(script);
		const image = new Image();
		image.src = "http://127.0.0.1:9/x.png";
		document.body.append(image);
	})()""")
	browser.settle()
	must(browser.evaluate("typeof window.pwned") == "undefined", "a script that was put into the page is not to run")
	must(len(browser.complaints) >= 2, "the browser is to complain of both", browser.complaints)


def main():
	chromium, ordinary, hostile, many, directory, shots = sys.argv[1:]
	with Browser(chromium, directory) as browser:
		page = Page(browser)
		test_schemes(browser, page, ordinary, shots)
		test_hover(browser, page, ordinary)
		test_keys(browser, page, ordinary)
		test_hostile(browser, page, hostile)
		test_many(browser, page, many)
		test_policy(browser, ordinary)
	print("the page works")


main()
