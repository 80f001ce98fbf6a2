"""The programs under test: starting a server on a free port, watching its log, stopping it, and running engine and command line."""

import ctypes
import json
import os
import re
import shlex
import signal
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("MOS_TEST_BIN", ROOT / "build/bin"))
GEN = Path(os.environ.get("MOS_TEST_GEN", ROOT / "build/python/gen"))
TOOLS = ROOT / "build/tools"
FULL = os.environ.get("MOS_TEST_FULL") == "1"
# Nothing waits this long unless it hangs; the programs may be built with sanitizers, on a busy machine.
CEILING = 120


def environment(**settings):
    """What a program is given: its settings and nothing of this process but what any program needs."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "HOME", "LANG", "TMPDIR") or name.endswith("SAN_OPTIONS")
    }
    return kept | {name: str(value) for name, value in settings.items() if value is not None}


def adopt_orphans():
    """Makes this process the parent of children whose own parent died, so that none goes unseen."""
    PR_SET_CHILD_SUBREAPER = 36
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _stat(pid):
    """(state, parent) of a process; None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return fields[0], int(fields[1])


def descendants(pid):
    """Living processes below `pid`."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (found := _stat(entry)) and found[0] not in "ZX":
            children.setdefault(found[1], []).append(int(entry))
    result, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        result += below
        waiting += below
    return result


def engines_below(pid):
    result = []
    for child in descendants(pid):
        try:
            if os.path.basename(os.readlink(f"/proc/{child}/exe")) == "mosaajii-engine":
                result.append(child)
        except OSError:
            pass
    return result


def gone(pid):
    found = _stat(pid)
    return found is None or found[0] in "ZX"


def wait_until(condition, what, ceiling=CEILING):
    """For events that nobody announces: asks again until they are there."""
    end = time.monotonic() + ceiling
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.01)


def logfmt(line):
    """A log line as a dictionary."""
    try:
        words = shlex.split(line)
    except ValueError:
        return {}
    return dict(word.split("=", 1) for word in words if "=" in word)


class Server:
    """A mosaajii-server with a home of its own. `settings` are environment variables; None leaves one out."""

    def __init__(self, home, **settings):
        self.home = Path(home)
        self.settings = {"MOSAAJII_HOME": self.home, "MOSAAJII_LISTEN": "127.0.0.1:0"} | settings
        self.process = None
        self.address = None
        self.log = []
        self._news = threading.Condition()
        self._reader = None
        self._clients = []

    @property
    def repository(self):
        return Path(self.settings.get("MOSAAJII_REPOSITORY", self.home / "repo"))

    @property
    def keyring(self):
        return self.home / "keys/keyring"

    @property
    def token(self):
        return (self.home / "admin.token").read_text().strip()

    @property
    def restore_root(self):
        return self.home / "restore"

    def log_text(self):
        with self._news:
            return "".join(self.log)

    def launch(self):
        """Starts the process and does not wait for anything."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [BIN / "mosaajii-server"],
            env=environment(**self.settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._ended = False
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, stream):
        for line in stream:
            with self._news:
                self.log.append(line.decode(errors="replace"))
                self._news.notify_all()
        with self._news:
            # Engines of a server that was killed hold its pipe for a while: their end is not that of the server started since.
            if self._reader is threading.current_thread():
                self._ended = True
                self._news.notify_all()

    def wait_for_log(self, pattern, start=0):
        """The first line from number `start` on that matches."""
        with self._news:
            position = start

            def found():
                nonlocal position
                while position < len(self.log):
                    if re.search(pattern, self.log[position]):
                        return True
                    position += 1
                return self._ended

            assert self._news.wait_for(found, CEILING), f"no log line matches {pattern}:\n{''.join(self.log[-20:])}"
            assert position < len(self.log), f"the server ended before a log line matched {pattern}:\n{''.join(self.log[-20:])}"
            return self.log[position]

    def start(self):
        start = len(self.log)
        self.launch()
        ready = self.wait_for_log(r'(\bevent=|"event": ?)"?ready\b', start)
        self.address = re.search(r"(?:\d+\.\d+\.\d+\.\d+|localhost|\[[0-9a-f:]+\]):[1-9]\d*", ready).group()
        return self

    def stop(self):
        """As an operator would. Checks that the end is clean and leaves nobody behind."""
        for client in self._clients:
            client.close()
        self._clients.clear()
        if self.process is None:
            return
        below = descendants(self.process.pid)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(CEILING)
        process, self.process = self.process, None
        self._reader.join(CEILING)
        process.stdout.close()
        assert code == 0, f"the server ended with {code}:\n{''.join(self.log[-30:])}"
        left = [pid for pid in below if not gone(pid)]
        assert not left, f"processes left behind: {left}"

    def kill(self):
        """kill -9, without any check."""
        for client in self._clients:
            client.close()
        self._clients.clear()
        self.process.kill()
        self.process.wait()
        self.process = None

    def restart(self):
        self.stop()
        return self.start()

    def engines(self):
        """Running engine processes of this server."""
        return engines_below(self.process.pid)

    def client(self, token=None, **options):
        from support.api import Client

        client = Client(self.address, self.token if token is None else token, **options)
        self._clients.append(client)
        return client

    def cli(self, *arguments, check=0, text=True, **settings):
        """Runs the command line against this server and answers the finished process."""
        result = subprocess.run(
            [BIN / "mosaajii", *arguments],
            env=environment(**{"MOSAAJII_HOME": self.home, "MOSAAJII_SERVER": self.address} | settings),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=text,
            timeout=CEILING,
        )
        if check is not None:
            assert result.returncode == check, f"{arguments} ended with {result.returncode}:\n{result.stdout}\n{result.stderr}"
        return result

    def cli_json(self, *arguments, check=0, **settings):
        return json.loads(self.cli(*arguments, "-o", "json", check=check, **settings).stdout)


def engine(*arguments, check=0, cwd=None, text=True, **settings):
    """Runs the engine alone."""
    result = subprocess.run(
        [BIN / "mosaajii-engine", *map(str, arguments)],
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=text,
        cwd=cwd,
        timeout=CEILING,
    )
    if check is not None:
        assert result.returncode == check, f"engine {arguments} ended with {result.returncode}:\n{result.stdout}\n{result.stderr}"
    return result
