"""Headless Chromium over its debugging pipe: enough to load a page, press keys and look."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

BINARY = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe",
)  # fmt: skip
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39,
        "ArrowDown": 40, "Home": 36, "End": 35}  # fmt: skip


def _raised(descriptor: int) -> int:
    raised = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return raised


class Browser:
    """One page of one browser; `complaints` and `requests` fill as the page lives."""

    def __init__(self) -> None:
        assert BINARY is not None
        self.profile = tempfile.mkdtemp()
        # The debugging pipe is file descriptors 3 and 4 of the browser: ours must lie above.
        child_in, self.out = map(_raised, os.pipe())
        self.incoming, child_out = map(_raised, os.pipe())
        nowhere = (os.O_WRONLY, 0)
        self.process = os.posix_spawn(
            BINARY,
            [BINARY, *FLAGS, f"--user-data-dir={self.profile}", "about:blank"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, *nowhere),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, *nowhere),
                (os.POSIX_SPAWN_DUP2, child_in, 3),
                (os.POSIX_SPAWN_DUP2, child_out, 4),
            ],
        )
        os.close(child_in)
        os.close(child_out)
        self.serial, self.buffer = 0, b""
        self.session: str | None = None
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.loaded = False
        targets = self("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        attached = self("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self.out)  # the browser ends with its pipe
        os.waitpid(self.process, 0)
        os.close(self.incoming)
        shutil.rmtree(self.profile, ignore_errors=True)

    def __call__(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call one method of the protocol and return its result."""
        self.serial += 1
        message: dict[str, Any] = {"id": self.serial, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next(60)
            if answer is None:
                raise TimeoutError(f"no answer to {method}")
            if answer.get("id") == self.serial:
                if "error" in answer:
                    raise RuntimeError(answer["error"]["message"])
                return dict(answer["result"])

    def _next(self, patience: float) -> dict[str, Any] | None:
        deadline = time.monotonic() + patience
        while b"\0" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.incoming], [], [], left)[0]:
                return None
            received = os.read(self.incoming, 1 << 20)
            if not received:
                raise ConnectionError("the browser has gone")
            self.buffer += received
        line, _, self.buffer = self.buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._note(message)
        return message

    def _note(self, message: dict[str, Any]) -> None:
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(str(parameters["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(str(parameters["args"]))
        elif method == "Log.entryAdded":
            self.complaints.append(str(parameters["entry"]))
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Page.loadEventFired":
            self.loaded = True

    def open(self, path: Path, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Load a file at a window size and colour scheme."""
        self(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self("Emulation.setEmulatedMedia", features=[scheme, still])
        self.loaded = False
        self("Page.navigate", url=path.resolve().as_uri())
        deadline = time.monotonic() + 60
        while not self.loaded and time.monotonic() < deadline:
            self._next(1)

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        answer = self(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def press(self, *keys: str) -> None:
        """Press keys by name, one after another."""
        for key in keys:
            fields: dict[str, Any] = {
                "key": key,
                "code": key,
                "windowsVirtualKeyCode": KEYS.get(key, 0),
            }
            if key == "Enter":
                fields["text"] = "\r"
            self("Input.dispatchKeyEvent", type="keyDown", **fields)
            self("Input.dispatchKeyEvent", type="keyUp", **fields)

    def point(self, x: float, y: float, click: bool = False) -> None:
        """Move the pointer to a place in the window, and click there."""
        self("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        if click:
            for kind in ("mousePressed", "mouseReleased"):
                self("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Type text where the focus is."""
        self("Input.insertText", text=text)

    def screenshot(self, path: Path, full: bool = True) -> None:
        """Save what is seen as PNG."""
        data = self("Page.captureScreenshot", captureBeyondViewport=full)["data"]
        path.write_bytes(base64.b64decode(data))
