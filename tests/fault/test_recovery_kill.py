"""kill -9 of the server while a recovery runs: the next server goes on, or ends it, as the plan says, and nothing is done twice."""

import os
import random
import threading
from pathlib import Path

import grpc
import pytest

from support.api import recovery as dr
from support.data import make_files
from support.program import FULL, descendants, gone, wait_until
from support.recovery import Plan, Recovery, Run, Step, hook, states, step

ROUNDS = 50 if FULL else 10
ENDED = (Run.COMPLETED, Run.FAILED, Run.CANCELLED)


@pytest.fixture
def server(start, tmp_path):
    server = start(BACKUP_FILES_PATHS=make_files(tmp_path / "data", 40, 20_000))
    marks = server.home / "marks"
    # The lock goes with its process: whoever does not get it runs beside another of the same step.
    hook(
        server,
        "mark",
        f"exec 9> {marks}.$MOSAAJII_STEP.lock; flock -n 9 || echo $MOSAAJII_STEP overlap >> {marks}\n"
        f"echo $MOSAAJII_STEP begin >> {marks}; sleep 0.1; echo $MOSAAJII_STEP end >> {marks}",
    )
    return server


def kill(server):
    """The server alone, as the kernel does it when memory is out."""
    below = descendants(server.process.pid)
    server.kill()
    return below


def read_marks(server):
    path = server.home / "marks"
    found = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        name, what = line.split()
        found.setdefault(name, []).append(what)
    return found


def forget_marks(server):
    for path in server.home.glob("marks*"):
        path.unlink()


class Watcher(threading.Thread):
    """Follows a run over every restart, always from the last event it saw."""

    def __init__(self, server, run):
        super().__init__(daemon=True)
        self.server, self.run_id = server, run.id
        self.seen, self.address, self.ended = [], server.address, threading.Event()

    def run(self):
        while not self.ended.is_set():
            try:
                after = self.seen[-1].sequence if self.seen else 0
                for event in Recovery(self.server.client()).watch(dr.Execution(id=self.run_id), after=after):
                    if event.kind != dr.ExecutionEvent.HEARTBEAT:
                        self.seen.append(event)
                self.ended.set()
            except (grpc.RpcError, ValueError, OSError):
                self.ended.wait(0.05)


def test_killed_at_random(server):
    Recovery(server.client()).client.backup("FILES")
    generator = random.Random(os.environ.get("MOS_TEST_SEED", "recovery"))
    outcomes = set()
    for number in range(ROUNDS):
        forget_marks(server)
        recovery = Recovery(server.client())
        plan = recovery.create(
            step("once", "hook:mark"),
            step("again", "hook:mark", repeatable=True),
            step("restore", "restore_backup:FILES", repeatable=True),
            step("look", "verify_backup:FILES", dependencies=["restore"]),
            step("last", "hook:mark", repeatable=True, dependencies=["once", "again", "look"]),
        )
        run = recovery.execute(plan)
        watcher = Watcher(server, run)
        watcher.start()
        kills = 0
        for _ in range(generator.randint(1, 2)):
            if watcher.ended.wait(generator.uniform(0, 0.5)):
                break
            kill(server)
            kills += 1
            server.start()
        recovery = Recovery(server.client())
        run = recovery.end(run)
        assert watcher.ended.wait(60)
        context = (number, kills, states(run), run.message, read_marks(server))
        assert run.status in ENDED, context
        marks = read_marks(server)
        assert not any("overlap" in found for found in marks.values()), context
        assert marks.get("once", []).count("begin") <= 1, context
        if states(run)["once"] == "SUCCEEDED":
            assert marks["once"] == ["begin", "end"], context
        for name in ("again", "last"):
            if states(run)[name] == "SUCCEEDED":
                assert marks[name][-1] == "end", context
        if run.status == Run.COMPLETED:
            assert set(states(run).values()) == {"SUCCEEDED"}, context
        else:
            # Nothing but what may not be repeated can end it.
            assert run.status == Run.FAILED and states(run)["once"] == "FAILED" and "may be repeated" in run.message, context
        everything = [event.sequence for event in recovery.watch(run)]
        assert [event.sequence for event in watcher.seen] == everything, "the watcher missed or doubled something"
        outcomes.add((run.status, kills > 0))
    assert any(kills for _, kills in outcomes)


@pytest.mark.parametrize("policy, end", [("STOP", Run.FAILED), ("CONTINUE", Run.COMPLETED), ("ASK", None)])
def test_what_may_not_be_repeated_ends_as_the_plan_says(server, policy, end):
    recovery = Recovery(server.client())
    gate = server.home / "gate"
    effects = server.home / "effects"
    hook(server, "effect", f"echo effect >> {effects}; while [ ! -e {gate} ]; do sleep 0.05; done")
    plan = recovery.create(
        step("effect", "hook:effect", retries=5, on_failure=dr.PlanStep.OnFailure.Value(policy)),
        step("after", "wait:0s", dependencies=["effect"]),
    )
    run = recovery.execute(plan)
    wait_until(effects.exists, "the hook is at work")
    below = kill(server)
    server.start()
    wait_until(lambda: all(gone(pid) for pid in below), "what the dead server had started is gone")
    recovery = Recovery(server.client())
    if policy == "ASK":
        run = recovery.until(run, "effect", Step.WAITING)
        assert "may be repeated" in run.steps[0].message
        gate.touch()
        recovery.call("RetryStep", execution_id=run.id, step_id="effect", note="it is safe")
        run = recovery.end(run)
        assert run.status == Run.COMPLETED and effects.read_text().count("effect") == 2
        return
    run = recovery.end(run)
    assert run.status == end and run.steps[0].status == Step.FAILED and "may be repeated" in run.steps[0].message
    assert effects.read_text().count("effect") == 1 and run.steps[0].attempt == 1


def test_people_are_still_waited_for(server):
    recovery = Recovery(server.client())
    plan = recovery.create(step("p"), step("z", "wait:0s", dependencies=["p"]))
    run = recovery.until(recovery.execute(plan), "p", Step.WAITING)
    recovery.call("PauseExecution", execution_id=run.id)
    kill(server)
    server.start()
    recovery = Recovery(server.client())
    run = recovery.get(run)
    assert run.status == Run.PAUSED and states(run)["p"] == "WAITING"
    recovery.call("ResumeExecution", execution_id=run.id)
    recovery.call("ApproveStep", execution_id=run.id, step_id="p")
    assert recovery.end(run).status == Run.COMPLETED


def test_a_stopped_server_goes_on_too(server):
    recovery = Recovery(server.client())
    hook(server, "long", "sleep 600")
    plan = recovery.create(step("w", "wait:1h"), step("h", "hook:long"), step("z", "wait:0s", dependencies=["w", "h"]))
    run = recovery.until(recovery.execute(plan), "h", Step.RUNNING)
    server.restart()
    recovery = Recovery(server.client())
    run = recovery.end(run)
    assert run.status == Run.FAILED and states(run)["h"] == "FAILED" and "may be repeated" in run.message


def test_a_sandbox_of_a_dead_server_is_removed(server):
    Recovery(server.client()).client.backup("FILES")
    recovery = Recovery(server.client())
    plan = recovery.create(step("r", "restore_backup:FILES"), step("w", "wait:2s", dependencies=["r"]))
    test = recovery.test(plan)
    recovery.until(test, "w", Step.RUNNING)
    sandbox = Path(server.home / "sandbox" / test.id)
    assert sandbox.is_dir()
    kill(server)
    server.start()
    recovery = Recovery(server.client())
    result = recovery.result(test)
    assert result.overall_status == dr.TestResult.RAN and not sandbox.exists(), result


def test_a_plan_is_in_test_over_a_restart_and_not_after(server):
    gate = server.home / "gate"
    hook(server, "gate", f"while [ ! -e {gate} ]; do sleep 0.05; done")
    recovery = Recovery(server.client())
    plan = recovery.create(step("g", "hook:gate", run_kinds=[dr.PlanStep.TEST], repeatable=True))
    test = recovery.test(plan)
    recovery.until(test, "g", Step.RUNNING)
    kill(server)
    server.start()
    recovery = Recovery(server.client())

    def status():
        listed = {p.id: p.status for p in recovery.call("ListPlans").plans}
        assert listed[plan.id] == recovery.call("GetPlan", plan_id=plan.id).status
        return listed[plan.id]

    assert status() == Plan.TESTING
    # A change meanwhile is shown as such, and does not end it.
    assert recovery.call("UpdatePlan", plan_id=plan.id, plan=plan).status == Plan.TESTING
    gate.touch()
    assert recovery.result(test).overall_status == dr.TestResult.RAN
    assert status() == Plan.ACTIVE
