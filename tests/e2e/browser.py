# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A headless Chromium, spoken to over two pipes: as much of its DevTools protocol as the tests need.

	with Browser(chromium, directory) as browser:
		browser.open(path, 1280, 900, "dark")
		browser.evaluate("document.title")

Whatever the page writes to the console, throws, or asks the network for is kept: complaints, requests.
"""

import base64
import json
import os
import pathlib
import select
import subprocess
import time

SECONDS = 60  # for one answer; a slow machine loads a page of 10,000 groups in it


class Browser:
	def __init__(self, program, directory):
		to_browser, self.pipe_out = os.pipe()
		self.pipe_in, from_browser = os.pipe()
		arguments = [
			program, "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu",
			"--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
			"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-color-profile=srgb",
			f"--user-data-dir={directory}/profile", "about:blank",
		]
		# The protocol wants descriptors 3 and 4.
		self.process = subprocess.Popen(
			["bash", "-c", f'exec "$@" 3<&{to_browser} 4>&{from_browser}', "-", *arguments],
			pass_fds=(to_browser, from_browser), stdin=subprocess.DEVNULL,
			stdout=subprocess.DEVNULL, stderr=open(f"{directory}/browser.log", "w", encoding="utf-8"))
		os.close(to_browser)
		os.close(from_browser)
		self.unread = b""
		self.sent = 0
		self.session = None
		self.loaded = False
		self.complaints = []
		self.requests = []
		target = self.call("Target.createTarget", url="about:blank")["targetId"]
		self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
		for domain in ("Page", "Runtime", "Log", "Network"):
			self.call(f"{domain}.enable")

	def __enter__(self):
		return self

	def __exit__(self, *_):
		self.process.terminate()
		try:
			self.process.wait(10)
		except subprocess.TimeoutExpired:
			self.process.kill()
			self.process.wait()

	def _message(self, until):
		while b"\0" not in self.unread:
			left = until - time.monotonic()
			if left <= 0 or not select.select([self.pipe_in], [], [], left)[0]:
				raise TimeoutError("the browser does not answer")
			data = os.read(self.pipe_in, 1 << 20)
			if not data:
				raise EOFError("the browser has ended; see browser.log")
			self.unread += data
		message, self.unread = self.unread.split(b"\0", 1)
		return json.loads(message)

	def _note(self, message):
		method, details = message.get("method"), message.get("params", {})
		if method == "Page.loadEventFired":
			self.loaded = True
		elif method == "Runtime.exceptionThrown":
			self.complaints.append(json.dumps(details["exceptionDetails"])[:400])
		elif method == "Runtime.consoleAPICalled":
			self.complaints.append(json.dumps(details["args"])[:400])
		elif method == "Log.entryAdded":
			self.complaints.append(details["entry"]["text"])
		elif method == "Network.requestWillBeSent":
			self.requests.append(details["request"]["url"])

	def call(self, method, **parameters):
		self.sent += 1
		message = {"id": self.sent, "method": method, "params": parameters}
		if self.session:
			message["sessionId"] = self.session
		os.write(self.pipe_out, json.dumps(message).encode() + b"\0")
		until = time.monotonic() + SECONDS
		while True:
			answer = self._message(until)
			if answer.get("id") != self.sent:
				self._note(answer)
			elif "error" in answer:
				raise RuntimeError(f"{method}: {answer['error']}")
			else:
				return answer["result"]

	def media(self, scheme):
		self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

	def size(self, width, height):
		self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

	def open(self, path, width, height, scheme):
		self.media(scheme)
		self.size(width, height)
		self.loaded = False
		self.complaints.clear()
		self.requests.clear()
		self.call("Page.navigate", url=pathlib.Path(path).absolute().as_uri())
		until = time.monotonic() + SECONDS
		while not self.loaded:
			self._note(self._message(until))
		self.settle()

	def settle(self):
		"""Until what was asked for is drawn."""
		self.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

	def evaluate(self, expression):
		answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
		if "exceptionDetails" in answer:
			raise RuntimeError(f"{expression}: {json.dumps(answer['exceptionDetails'])[:400]}")
		return answer["result"].get("value")

	def mouse(self, x, y):
		self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
		self.settle()

	def drag(self, x1, x2, y):
		self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x1, y=y)
		self.call("Input.dispatchMouseEvent", type="mousePressed", x=x1, y=y, button="left", buttons=1, clickCount=1)
		for step in range(1, 5):
			self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x1 + (x2 - x1) * step / 4, y=y, button="left", buttons=1)
		self.call("Input.dispatchMouseEvent", type="mouseReleased", x=x2, y=y, button="left", clickCount=1)
		self.settle()

	def key(self, key, shift=False):
		text = key if len(key) == 1 else ""
		code = {"Tab": 9, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35, "Enter": 13}.get(key)
		details = {"key": key, "code": key, "modifiers": 8 if shift else 0}
		if code:
			details["windowsVirtualKeyCode"] = code
		if key == "Enter":
			text = "\r"
		self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **details)
		self.call("Input.dispatchKeyEvent", type="keyUp", **details)
		self.settle()

	def screenshot(self, path, whole=True):
		options = {"format": "png"}
		if whole:
			box = self.call("Page.getLayoutMetrics")["cssContentSize"]
			options["captureBeyondViewport"] = True
			options["clip"] = {"x": 0, "y": 0, "width": box["width"], "height": min(box["height"], 6000), "scale": 1}
		with open(path, "wb") as file:
			file.write(base64.b64decode(self.call("Page.captureScreenshot", **options)["data"]))
