"""Chromium without a window, told what to do over its own protocol: open a page, read it, click, take a picture."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
START_SECONDS = 30.0
PAGE_SECONDS = 40.0
ANSWER_SECONDS = 60.0
STILL_TRIES = 12


class PageFailed(Exception):
    """The browser or the page did not do what was asked; the text says what the page showed instead."""


def installed() -> str | None:
    """The browser's program, where there is one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def browser(*, width: int = 1280, height: int = 900) -> Iterator["Page"]:
    """A page in a browser of its own, which is gone afterwards with all that it stored."""
    program = installed()
    if program is None:
        raise PageFailed("there is no Chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:  # its children linger
        command = [
            program,
            "--headless=new",
            "--no-sandbox",  # for root, as in a container
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # nothing but our own server
            "--hide-scrollbars",
            f"--window-size={width},{height}",
            f"--user-data-dir={folder}",
            "--remote-debugging-port=0",
            "about:blank",
        ]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, env=os.environ | {"HOME": folder})
        try:
            port, path = _address(process, Path(folder) / "DevToolsActivePort")
            with connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as connection:
                page = Page(connection)
                page.attach(width, height)
                yield page
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def _address(process: "subprocess.Popen[bytes]", file: Path) -> tuple[str, str]:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if file.exists() and len(lines := file.read_text().splitlines()) == 2:
            return lines[0], lines[1]
        time.sleep(0.05)
    raise PageFailed(f"Chromium did not start; exit code {process.poll()}")


class Page:
    """One page; `asked` are the urls that it asked for, whatever became of them."""

    def __init__(self, connection: ClientConnection) -> None:
        self.asked: list[str] = []
        self._connection = connection
        self._numbers = itertools.count(1)
        self._session: str | None = None

    def attach(self, width: int, height: int) -> None:
        """Take hold of the page that the browser opened."""
        targets = self._call("Target.getTargets")["targetInfos"]
        target = next(one["targetId"] for one in targets if one["type"] == "page")
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._call("Page.enable")
        self._call("Network.enable")
        self.resize(width, height)

    def resize(self, width: int, height: int) -> None:
        """Make the window another size."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def open(self, url: str, *, until: str) -> None:
        """Go to an address and wait until the page shows a text."""
        self._call("Page.navigate", url=url)
        self.wait_for(until)

    def wait_for(self, *texts: str, seconds: float = PAGE_SECONDS) -> None:
        """Wait until the page shows all of these texts: it brings its parts one after the other."""
        deadline = time.monotonic() + seconds
        while missing := [text for text in texts if text not in (shown := self.text())]:
            if time.monotonic() > deadline:
                raise PageFailed(f"{missing} did not appear; the page showed:\n{shown[:3000]}")
            time.sleep(0.2)

    def text(self) -> str:
        """What a person can read."""
        return str(self.run("document.body ? document.body.innerText : ''"))

    def click(self, text: str, *, place: int = 0) -> None:
        """Click the innermost element that shows just this text."""
        found = self.run(
            f"""(() => {{
                const found = [...document.querySelectorAll('a, button, span, div, td')]
                    .filter(one => one.innerText && one.innerText.trim() === {json.dumps(text)})
                    .filter(one => ![...one.children].some(
                        child => child.innerText && child.innerText.trim() === {json.dumps(text)}));
                const chosen = found[{place}];
                if (!chosen) return false;
                chosen.scrollIntoView({{block: 'center'}});
                chosen.click();
                return true;
            }})()"""
        )
        if not found:
            raise PageFailed(f"nothing to click says {text!r}; the page showed:\n{self.text()[:3000]}")

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise PageFailed(f"script failed: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def picture(self, path: Path) -> Path:
        """Write what the window shows, as PNG."""
        shot = self._call("Page.captureScreenshot", format="png", optimizeForSpeed=False)
        path.write_bytes(base64.b64decode(shot["data"]))
        return path

    def settled(self, path: Path) -> Path:
        """The same once nothing moves any more, or has been moving for long."""
        before = b""
        for _ in range(STILL_TRIES):
            time.sleep(0.4)
            now = self.picture(path).read_bytes()
            if now == before:
                break
            before = now
        return path

    def _call(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        message: dict[str, object] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._connection.send(json.dumps(message))
        while True:
            received = json.loads(self._connection.recv(timeout=ANSWER_SECONDS))
            if received.get("method") == "Network.requestWillBeSent":
                self.asked.append(received["params"]["request"]["url"])
            if received.get("id") == number:
                if "error" in received:
                    raise PageFailed(f"{method}: {received['error']}")
                result: dict[str, Any] = received["result"]
                return result
