"""A real Chromium without a window, driven over its DevTools protocol."""

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
QUIET += ["--disable-background-networking", "--disable-component-update"]


def wait_for(condition, what, seconds=120):
    """The first value of a function that is not false."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if value := condition():
                return value
        time.sleep(0.2)
    raise AssertionError(f"{what}: not within {seconds} seconds")


@contextlib.contextmanager
def running(command):
    """A command with whatever it starts, ended at the end."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Page:
    """A page of the browser with this profile folder."""

    def __init__(self, profile):
        from websockets.sync.client import connect

        port = wait_for(lambda: (profile / "DevToolsActivePort").read_text().split()[0], "Chromium")
        targets = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list"))
        url = next(target["webSocketDebuggerUrl"] for target in targets if target["type"] == "page")
        self._socket, self._number = connect(url, max_size=None), 0

    def send(self, method, **parameters):
        """Call a method of the protocol; returns its result."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while (message := json.loads(self._socket.recv(timeout=60))).get("id") != self._number:
            pass
        return message["result"]

    def open(self, url):
        self.send("Page.navigate", url=url)

    def type(self, element, text):
        """Type into the element that a JavaScript expression gives."""
        self.value(f"{element}.focus()")
        self.send("Input.insertText", text=text)

    def click(self, element):
        """Press the mouse in the middle of the element that a JavaScript expression gives."""
        self.value(f"{element}.scrollIntoView({{block: 'center'}})")
        box = self.value(f"{element}.getBoundingClientRect().toJSON()")
        place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        for event in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=event, button="left", clickCount=1, **place)

    def photograph(self, path):
        """Write what the window shows as a PNG file."""
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))

    def value(self, expression):
        """Of a JavaScript expression in the page."""
        return self.send("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def close(self):
        self._socket.close()


@contextlib.contextmanager
def chromium(profile, *options, script=""):
    """The Page of a Chromium that keeps its profile in an empty folder; the test is skipped without Chromium.

    Args:
        options: of its command line.
        script: JavaScript that runs in every page before the page's own.
    """
    if CHROMIUM is None:
        pytest.skip("needs Chromium (Debian: apt install chromium)")
    options = [*QUIET, "--accept-lang=en", "--remote-debugging-port=0", *options, f"--user-data-dir={profile}"]
    with running([CHROMIUM, *options, "about:blank"]):
        page = Page(profile)
        page.send("Page.enable")
        page.send("Page.addScriptToEvaluateOnNewDocument", source=script)
        yield page
        page.close()
