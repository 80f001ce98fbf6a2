"""A headless Chromium, driven over its own debugging pipe: no driver program and no other library is needed."""

import json
import os
import select
import shutil
import subprocess

from support.program import CEILING

CHROMIUM = shutil.which("chromium")

# Nothing may be asked of the network: only pages of this machine are opened.
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
)  # fmt: skip


class Browser:
    """One page of a browser with an empty profile in `folder`."""

    def __init__(self, folder):
        # Chromium reads commands from descriptor 3 and writes answers to 4.
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        script = 'exec 3<&"$0" 4>&"$1"; shift; exec "$@"'
        self.process = subprocess.Popen(
            ["bash", "-c", script, str(commands), str(answers), CHROMIUM, *FLAGS, f"--user-data-dir={folder}", "about:blank"],
            pass_fds=(commands, answers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self._received = b""
        self._number = 0
        self._session = None
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._call("Page.enable")

    def _call(self, method, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        answer = self._read(lambda message: message.get("id") == self._number)
        assert "error" not in answer, answer
        return answer["result"]

    def _read(self, wanted):
        """The next message that is wanted; others are left out."""
        while True:
            while b"\0" in self._received:
                message, _, self._received = self._received.partition(b"\0")
                message = json.loads(message)
                if wanted(message):
                    return message
            ready, _, _ = select.select([self._answers], [], [], CEILING)
            assert ready, "the browser never answered"
            more = os.read(self._answers, 1 << 20)
            assert more, "the browser has ended"
            self._received += more

    def open(self, address):
        self._call("Page.navigate", url=address)
        self._read(lambda message: message.get("method") == "Page.loadEventFired")

    def run(self, script):
        """What the promise of this JavaScript expression comes to."""
        answer = self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def close(self):
        self._session = None
        self._call("Browser.close")
        os.close(self._commands)
        self.process.wait(CEILING)
        os.close(self._answers)
