# SPDX-License-Identifier: GPL-2.0-only
"""Chromium without a window, driven through its DevTools pipe: no port, no library.

Everything the browser complains of while a page is open is kept: what its scripts threw, what
the console said, and each request that is not for the page itself.
"""
import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
)


class BrowserError(Exception):
    """The browser did not do what it was told."""


class Browser:
    """One browser with one page."""

    def __init__(self, chromium, timeout=60):
        self.timeout = timeout
        self.number = 0
        self.buffer = b""
        self.events = []
        self.home = tempfile.mkdtemp(prefix="ktramp-browser.")
        # The browser reads its commands from descriptor 3 and answers on 4.
        to_browser, self.commands = os.pipe()
        self.answers, from_browser = os.pipe()
        command = ["sh", "-c", 'exec "$@" 3<&%d 4>&%d' % (to_browser, from_browser), "sh",
                   chromium, *FLAGS, "--user-data-dir=" + self.home, "about:blank"]
        self.process = subprocess.Popen(command, pass_fds=(to_browser, from_browser),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.session = None
        page = next(target for target in self.send("Target.getTargets")["targetInfos"]
                    if target["type"] == "page")
        self.session = self.send("Target.attachToTarget", targetId=page["targetId"],
                                 flatten=True)["sessionId"]
        for domain in "Page", "Runtime", "Log", "Network":
            self.send(domain + ".enable")

    def close(self):
        """Ends the browser, kindly first."""
        with contextlib.suppress(BrowserError, OSError):
            self.session = None
            self.send("Browser.close")
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.commands)
        os.close(self.answers)
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def receive(self, deadline):
        """The next message."""
        while b"\0" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.answers], [], [], left)[0]:
                raise BrowserError("no answer within %d s" % self.timeout)
            chunk = os.read(self.answers, 1 << 20)
            if not chunk:
                raise BrowserError("the browser ended")
            self.buffer += chunk
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def send(self, method, **params):
        """A command and its result; events that come before it are kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + self.timeout
        while True:
            answer = self.receive(deadline)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise BrowserError("%s: %s" % (method, answer["error"]["message"]))
                return answer["result"]
            self.events.append(answer)

    def open(self, path):
        """Loads a file, and waits until all of it is there."""
        self.events.clear()
        self.send("Page.navigate", url="file://" + os.path.abspath(path))
        deadline = time.monotonic() + self.timeout
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self.receive(deadline))

    def run(self, script):
        """The value of an expression in the page."""
        result = self.send("Runtime.evaluate", expression=script, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description", details["text"]))
        return result["result"].get("value")

    def size(self, width, height, mobile=False):
        """What the page is shown on."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=mobile)
        self.settle()

    def media(self, medium="", **features):
        """print, or prefers_color_scheme="dark"."""
        self.send("Emulation.setEmulatedMedia", media=medium, features=[
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()])
        self.settle()

    def settle(self):
        """Two frames: what was changed has been laid out, and what follows that too."""
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def click(self, selector):
        """With the mouse, in the middle of what the selector finds."""
        place = self.run("""(() => {
            const node = document.querySelector(%s);
            if (!node)
                return null;
            node.scrollIntoView({ block: "center", behavior: "instant" });
            const r = node.getBoundingClientRect();
            return [r.left + r.width / 2, r.top + r.height / 2];
        })()""" % json.dumps(selector))
        if not place:
            raise BrowserError("nothing to click on: " + selector)
        for kind in "mouseMoved", "mousePressed", "mouseReleased":
            self.send("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1],
                      button="none" if kind == "mouseMoved" else "left",
                      clickCount=0 if kind == "mouseMoved" else 1)
        self.settle()

    def key(self, name):
        """One key, pressed and released: Tab, ArrowRight, Enter."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38,
                 "ArrowRight": 39, "ArrowDown": 40}
        text = {"text": "\r"} if name == "Enter" else {}
        for kind in "keyDown", "keyUp":
            self.send("Input.dispatchKeyEvent", type=kind, key=name, code=name,
                      windowsVirtualKeyCode=codes[name], **(text if kind == "keyDown" else {}))
        self.settle()

    def screenshot(self, path, full=False):
        """A PNG of what is to be seen, or of the whole page."""
        clip = {}
        if full:
            size = self.send("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"clip": dict(size, scale=1), "captureBeyondViewport": True}
        data = self.send("Page.captureScreenshot", format="png", **clip)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def pdf(self, path):
        """As it would be printed, on A4."""
        data = self.send("Page.printToPDF", paperWidth=8.27, paperHeight=11.69,
                         printBackground=True, preferCSSPageSize=True)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def complaints(self):
        """What went wrong since the page was opened, in words."""
        self.run("0")
        found = []
        for event in self.events:
            method, params = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                found.append(details.get("exception", {}).get("description", details["text"]))
            elif method == "Runtime.consoleAPICalled":
                found.append("console.%s: %s" % (params["type"], json.dumps(params["args"])))
            elif method == "Log.entryAdded":
                found.append("%s: %s" % (params["entry"]["level"], params["entry"]["text"]))
            elif method == "Network.requestWillBeSent":
                if params.get("type") != "Document" or \
                        not params["request"]["url"].startswith("file:"):
                    found.append("a request for " + params["request"]["url"][:200])
        return found
