"""A headless Chromium, driven by the DevTools protocol (https://chromedevtools.github.io/devtools-protocol)."""

import asyncio
import base64
import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from urllib.request import urlopen

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")


@contextmanager
def browser(folder):
    """Start a browser with a profile of its own; yields its DevTools port."""
    arguments = [
        "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
        "--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={folder}",
    ]  # fmt: skip
    process = subprocess.Popen(
        [CHROMIUM, *arguments, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield _port(folder / "DevToolsActivePort", process)
    finally:
        process.terminate()
        process.wait(20)


def _port(path, process):
    for _ in range(300):
        if path.exists() and path.read_text().strip():
            return int(path.read_text().split()[0])
        assert process.poll() is None, "chromium ended at once"
        time.sleep(0.1)
    raise TimeoutError("chromium opened no port within 30 s")


class Tab:
    """One page; every call waits for its answer."""

    def __init__(self, port):
        from tornado.websocket import websocket_connect

        with urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
            page = next(row for row in json.load(answer) if row["type"] == "page")
        self.loop, self.number, self.events = asyncio.new_event_loop(), 0, []
        address = page["webSocketDebuggerUrl"]
        self.socket = self.loop.run_until_complete(
            _connected(websocket_connect, address, max_message_size=2**28)
        )
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        """Send a command and return its result."""
        return self.loop.run_until_complete(self._call(method, parameters))

    async def _call(self, method, parameters):
        self.number += 1
        number = self.number
        await self.socket.write_message(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(await asyncio.wait_for(self.socket.read_message(), 60))
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def open(self, url, *, width=1100, height=900, dark=False, media="", still=True):
        """Load a page in a window of a size, and wait until it is drawn."""
        self.events.clear()
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 600)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.call("Page.navigate", url=url)
        for _ in range(200):
            if self.run("document.readyState === 'complete' && location.href !== 'about:blank'"):
                break
            time.sleep(0.05)
        if still:
            self.settle()

    def settle(self, frames=3):
        """Wait for some frames."""
        step = "const step = () => (left-- ? requestAnimationFrame(step) : done(true)); step();"
        self.run(f"new Promise(done => {{ let left = {frames}; {step} }})")

    def run(self, expression):
        """Evaluate an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key):
        """Press and let go of a key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, text=key if len(key) == 1 else "")
        self.settle()

    def mouse(self, kind, x, y, **more):
        """Send a mouse event, in pixels of the window."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)
        self.settle()

    def picture(self, path, *, whole=True):
        """Write a screenshot as PNG."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def complaints(self):
        """What the page reported: exceptions, errors, whatever its policy blocked."""
        self.run("1")
        wrong = [e["params"] for e in self.events if e["method"] == "Runtime.exceptionThrown"]
        logged = [e["params"]["entry"] for e in self.events if e["method"] == "Log.entryAdded"]
        return wrong + [entry for entry in logged if entry["level"] in ("error", "warning")]

    def requests(self):
        """Addresses that were asked for."""
        sent = [
            e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in sent if not url.startswith("data:")]

    def close(self):
        self.socket.close()
        self.loop.close()


async def _connected(connect, address, **options):
    from tornado.httpclient import HTTPRequest

    return await connect(HTTPRequest(address), **options)
