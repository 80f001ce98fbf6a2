"""Many follow one execution of a plan, and half of them do not read what they are sent: neither the run nor the others wait for those, and
they lose nothing."""

import threading

import grpc
import pytest

from support.api import Client
from support.api import recovery as dr
from support.program import CEILING
from support.recovery import Recovery, Run, Step, hook, step

WATCHERS, STEPS, PRINTED = 50, 30, 16_000
# A stream's window stays as small as HTTP/2 begins with, so that one that nobody reads fills up with a few events.
NARROW = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65535)]


class Watcher(threading.Thread):
    """Follows a run from a connection of its own; once it has seen the first event it waits for `gate` before it reads on."""

    def __init__(self, server, run, gate=None, after=0):
        super().__init__(daemon=True)
        self.client = Client(server.address, server.token, options=NARROW)
        self.run_id, self.gate, self.after = run.id, gate, after
        self.begun = threading.Event()
        self.sequences, self.resumed, self.failure = [], 0, None
        self.start()

    def run(self):
        try:
            while not self.follow():
                self.resumed += 1
        except Exception as error:  # told by whoever joins
            self.failure = error
        finally:
            self.begun.set()
            self.client.close()

    def follow(self):
        """True at the end of the run; False where the stream ended before it and says from where to go on."""
        request = dr.WatchExecutionRequest(execution_id=self.run_id, after_sequence=self.after)
        try:
            for event in self.client.call(self.client.recovery.WatchExecution, request):
                if event.kind == dr.ExecutionEvent.HEARTBEAT:
                    continue
                self.after = event.sequence
                self.sequences.append(event.sequence)
                self.begun.set()
                if self.gate:
                    assert self.gate.wait(CEILING)
            return True
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and self.resumed < 100:
                return False
            raise

    def end(self):
        self.join(CEILING)
        assert not self.is_alive(), "it never came to the end"
        assert self.failure is None, self.failure
        return self.sequences


@pytest.fixture
def busy(start):
    """(server, recovery, a plan whose execution says very much, once its first step is approved)."""
    server = start()
    hook(server, "print", f"head -c {PRINTED} /dev/zero | tr '\\0' x")
    recovery = Recovery(server.client())
    steps = [step(f"step-{i}", "hook:print", dependencies=[f"step-{i - 1}" if i else "begin"]) for i in range(STEPS)]
    return server, recovery, recovery.create(step("begin"), *steps)


def begin(server, recovery, plan, watchers):
    """Starts a run; `watchers` says who follows it. All of them have seen its first event when it goes on."""
    run = recovery.until(recovery.execute(plan), "begin", Step.WAITING)
    following = watchers(run)
    for watcher in following:
        assert watcher.begun.wait(CEILING)
    recovery.call("ApproveStep", execution_id=run.id, step_id="begin")
    return run, following


def test_those_who_do_not_read_hold_up_nobody(busy):
    server, recovery, plan = busy
    gate = threading.Event()
    run, following = begin(
        server, recovery, plan, lambda run: [Watcher(server, run, gate if i % 2 else None) for i in range(WATCHERS)]
    )
    fast, slow = following[::2], following[1::2]
    seen = [watcher.end() for watcher in fast]
    assert recovery.get(run).status == Run.COMPLETED, "it has ended, with half of them still at its beginning"
    assert all(len(watcher.sequences) == 1 for watcher in slow)
    whole = [event.sequence for event in recovery.watch(run)]
    assert len(whole) > 3 * STEPS and whole == sorted(set(whole))
    assert all(sequences == whole for sequences in seen)
    gate.set()
    assert all(watcher.end() == whole for watcher in slow), "they lose nothing"
    late = Watcher(server, run, after=whole[10])
    assert late.end() == whole[11:], "whoever says what it saw last gets the rest"


def test_those_who_do_not_read_do_not_keep_the_server(busy):
    server, recovery, plan = busy
    gate = threading.Event()
    run, following = begin(server, recovery, plan, lambda run: [Watcher(server, run, gate) for _ in range(5)])
    assert recovery.end(run).status == Run.COMPLETED
    server.stop()
    server.start()
    gate.set()
    whole = [event.sequence for event in Recovery(server.client()).watch(run)]
    for watcher in following:
        watcher.join(CEILING)
        # What was on its way may have arrived; it says how far it came, and gets the rest from the next server.
        assert watcher.sequences == whole[: len(watcher.sequences)]
        assert watcher.sequences + Watcher(server, run, after=watcher.after).end() == whole
