"""A browser's EventSource, in a real browser: follows a backup over cuts and misses nothing."""

import json
import os
import signal

import pytest

from support.browser import CHROMIUM, Browser
from support.cut import Wire
from support.data import make_files
from support.program import BIN, wait_until
from support.rest import Gateway

pytestmark = [
    pytest.mark.skipif(not (BIN / "mosaajii-gateway").exists(), reason="the gateway is not built"),
    pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed"),
]

# What a page does: it asks for the session's cookie once, and then lets EventSource do the rest.
PAGE = """(async () => {
  const answer = await fetch("/api/session", {method: "POST", headers: {Authorization: "Bearer " + %s}});
  if (!answer.ok) throw new Error(await answer.text());
  const seen = {events: [], opened: 0, problems: [], closed: false, cookie: document.cookie};
  const waiting = [];
  const look = () => waiting.slice().forEach((one) => one());
  window.seen = seen;
  window.until = (condition) => new Promise((resolve) => {
    const one = () => condition(seen) && (waiting.splice(waiting.indexOf(one), 1), resolve(JSON.stringify(seen)));
    waiting.push(one);
    one();
  });
  window.source = new EventSource("/api/backups/%s/watch");
  source.onopen = () => { seen.opened += 1; look(); };
  source.onmessage = (event) => { seen.events.push([event.lastEventId, JSON.parse(event.data)]); look(); };
  source.addEventListener("error", (event) => {
    if (event.data) seen.problems.push(JSON.parse(event.data).code);
    seen.closed = source.readyState === EventSource.CLOSED;
    look();
  });
})()"""


# When no event is left, an EventSource is told to stay away.
END = "seen.closed"


@pytest.fixture
def scene(start, tmp_path):
    """A server whose only place for jobs is taken, a wire to its gateway, and a browser at the other end."""
    source = make_files(tmp_path / "source", 1500, 100_000)
    server = start(BACKUP_CONFIG_PATHS=source, BACKUP_FILES_PATHS="/usr/lib:/usr/share", MOSAAJII_MAX_JOBS=1, MOSAAJII_ENGINE_THREADS=1)
    server.settings["MOSAAJII_LISTEN"] = server.address
    gateway = Gateway(server.address)
    wire = Wire(gateway.address)
    browser = Browser(tmp_path / "profile")
    rest = gateway.rest(server.token)
    first = rest.post("/api/backups", {"type": "FILES", "integrityCheckEnabled": False}).data(201)
    browser.open(f"http://{wire.address}/api/docs")
    yield server, wire, browser, rest, first["id"]
    browser.close()
    wire.close()
    gateway.stop()


def until(browser, condition):
    seen = json.loads(browser.run(f"until((seen) => seen.closed || ({condition}))"))
    assert not seen["closed"] or condition == END, seen
    return seen


def check(seen, rest, backup_id):
    numbers = [int(identity) for identity, _ in seen["events"]]
    assert numbers == [event["sequence"] for _, event in seen["events"]]
    assert numbers == sorted(set(numbers)), "nothing twice, and all in order"
    assert {event["backupId"] for _, event in seen["events"]} == {backup_id}
    whole = [json.loads(line) for line in rest.get(f"/api/backups/{backup_id}/watch").body.splitlines()]
    assert {event["sequence"] for event in whole} <= set(numbers), "nothing missed"
    assert seen["events"][-1][1]["kind"] == "FINISHED" and seen["cookie"] == "", "the cookie is out of reach of scripts"


def test_event_source_follows_a_backup_over_cuts(scene):
    server, wire, browser, rest, first = scene
    backup = rest.post("/api/backups", {"type": "CONFIGURATION"}).data(201)["id"]
    browser.run(PAGE % (json.dumps(server.token), backup))
    until(browser, "seen.events.some(([, event]) => event.kind === 'QUEUED')")
    wire.cut()
    # Events come while the wire is cut. The engine is held in the middle of its work, for the second cut to fall there.
    rest.post(f"/api/backups/{first}/cancel").data()
    server.wait_for_log(f"job started.*backup={backup}")
    engines = wait_until(server.engines, "the engine at work")
    for pid in engines:
        os.kill(pid, signal.SIGSTOP)
    assert rest.get(f"/api/backups/{backup}").data()["status"] == "IN_PROGRESS"
    until(browser, "seen.opened === 2 && seen.events.some(([, event]) => event.kind === 'STARTED')")
    wire.cut()
    until(browser, "seen.opened === 3")
    for pid in engines:
        os.kill(pid, signal.SIGCONT)
    seen = until(browser, END)
    assert seen["opened"] == 3 and seen["problems"] == [] and wire.connections >= 3
    check(seen, rest, backup)
    assert rest.get(f"/api/backups/{backup}").data()["status"] == "VERIFIED"


def test_event_source_outlives_its_server(scene):
    server, wire, browser, rest, first = scene
    backup = rest.post("/api/backups", {"type": "CONFIGURATION"}).data(201)["id"]
    browser.run(PAGE % (json.dumps(server.token), backup))
    until(browser, "seen.events.length > 0")
    server.kill()
    # It comes back to a gateway without a server, more than once, and is not told anything that would make it give up.
    until(browser, "seen.problems.filter((code) => code === 'UNAVAILABLE').length > 2")
    server.start()
    seen = until(browser, END)
    check(seen, rest, backup)


def test_without_a_session_there_is_nothing_to_see(scene):
    _, _, browser, _, first = scene
    script = f"""new Promise((resolve) => {{
      const source = new EventSource("/api/backups/{first}/watch");
      source.onerror = () => resolve(source.readyState === EventSource.CLOSED);
    }})"""
    assert browser.run(script) is True
