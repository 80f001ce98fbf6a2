"""Executions of recovery plans: steps, people, failures, time, reports."""

import hashlib
import http.server
import json
import os
import pty
import shutil
import socket
import sqlite3
import threading
from datetime import datetime, timedelta, timezone

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from support.api import pb, refused
from support.api import recovery as dr
from support.data import make_files
from support.program import BIN, environment, wait_until
from support.recovery import Recovery, Run, Step, hook, states, step

EMERGENCY = dr.ExecutePlanRequest.EMERGENCY
STOP, CONTINUE, ASK = dr.PlanStep.STOP, dr.PlanStep.CONTINUE, dr.PlanStep.ASK


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_files(tmp_path_factory.mktemp("source") / "uploads", 30, 3000)


@pytest.fixture(scope="module")
def server(start_shared, source):
    return start_shared(BACKUP_FILES_PATHS=source)


@pytest.fixture(scope="module")
def recovery(server):
    client = server.client()
    client.backup("FILES")
    return Recovery(client)


@pytest.fixture(scope="module")
def web():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(int(self.path.strip("/") or 200))
            self.send_header("Location", "/200")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()


def counted(server, name, text="true"):
    """A hook that leaves a line each time it is run; answers the file."""
    marks = server.home / f"{name}.marks"
    hook(server, name, f"echo $MOSAAJII_STEP >> {marks}\n{text}")
    return marks


def lines(path):
    return path.read_text().split() if path.exists() else []


def test_a_tree_comes_back_and_a_person_confirms(server, recovery, source):
    files = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    one = next(iter(files))
    checksum = hashlib.sha256(files[one]).hexdigest()
    plan = recovery.create(
        step("restore", "restore_backup:FILES", order=1, estimated_duration=5, validation_criteria=[f"file exists {one}", f"checksum {one} {checksum}", "duration <= 1h"]),
        step("look", order=2, dependencies=["restore"], assignee="Ada", validation_criteria=["the shop is open"]),
    )
    shutil.rmtree(source)
    began = recovery.execute(plan, reason="the disk is gone")
    assert began.status == Run.PENDING and began.plan_version == 1 and began.triggered_by == "admin"
    run = recovery.until(began, "look", Step.WAITING)
    assert run.status == Run.IN_PROGRESS and run.current_step == "look" and list(run.completed_steps) == ["restore"]
    assert "Ada" in run.steps[1].message
    recovery.call("ApproveStep", execution_id=run.id, step_id="look", note="sold a coffee")
    run = recovery.end(run)
    assert run.status == Run.COMPLETED and run.message == "Completed" and states(run) == {"restore": "SUCCEEDED", "look": "SUCCEEDED"}
    assert {path: path.read_bytes() for path in source.rglob("*") if path.is_file()} == files
    assert (run.steps[1].decided_by, run.steps[1].note) == ("admin", "sold a coffee")
    metrics = run.metrics
    assert (metrics.total_steps, metrics.completed_steps, metrics.failed_steps, metrics.success_rate) == (2, 2, 0, 100)
    assert 0 < metrics.actual_rto <= run.duration + 0.001 and metrics.actual_rpo > 0
    assert abs(metrics.machine_minutes + metrics.waiting_minutes - run.duration) < 0.001
    report = json.loads(recovery.call("GetReport", execution_id=run.id).content)
    assert report["reason"] == "the disk is gone" and report["status"] == "COMPLETED" and report["plan"]["version"] == 1
    assert [c["holds"] for c in report["steps"][0]["criteria"]] == [True] * 3 and all(c["checkedByMachine"] for c in report["steps"][0]["criteria"])
    assert report["steps"][1]["criteria"] == [{"text": "the shop is open", "checkedByMachine": False, "holds": True, "confirmedBy": "admin", "message": ""}]


def test_every_event_comes_once_and_from_any_number(recovery):
    plan = recovery.create(step("a", "wait:0s"), step("b", "wait:0s"))
    run = recovery.run(plan)
    events = list(recovery.watch(run))
    numbers = [event.sequence for event in events]
    assert numbers == sorted(set(numbers)) and events[-1].status == Run.COMPLETED and events[-1].percent == 100
    kinds = {event.kind for event in events}
    assert {dr.ExecutionEvent.STATUS, dr.ExecutionEvent.STEP, dr.ExecutionEvent.LOG} <= kinds
    for cut in (0, len(numbers) // 2, len(numbers) - 1):
        assert [event.sequence for event in recovery.watch(run, after=numbers[cut])] == numbers[cut + 1 :]
    assert [log.message for log in recovery.get(run).logs] == [event.log.message for event in events if event.kind == dr.ExecutionEvent.LOG]
    assert refused(recovery.watch, run, after=-1)[0] == "INVALID_ARGUMENT"


def test_many_watchers_half_of_them_slow(recovery):
    plan = recovery.create(step("p", order=1), *(step(f"s{i}", "wait:0s", order=i + 2) for i in range(40)))
    run = recovery.until(recovery.execute(plan), "p", Step.WAITING)
    ended = threading.Event()
    seen = [[] for _ in range(100)]

    def follow(number):
        for event in recovery.watch(run):
            seen[number].append(event.sequence)
            if number % 2:
                # Reads nothing more until all is over.
                ended.wait(60)

    threads = [threading.Thread(target=follow, args=(number,)) for number in range(len(seen))]
    for thread in threads:
        thread.start()
    wait_until(lambda: all(seen), "all watch")
    recovery.call("ApproveStep", execution_id=run.id, step_id="p")
    assert recovery.end(run).status == Run.COMPLETED, "nobody is waited for"
    ended.set()
    for thread in threads:
        thread.join()
    everything = [event.sequence for event in recovery.watch(run)]
    heartbeats_aside = [sorted(set(numbers)) for numbers in seen]
    assert all(numbers == everything for numbers in heartbeats_aside)


def test_a_quiet_run_gives_signs_of_life(recovery):
    run = recovery.until(recovery.execute(recovery.create(step("p"))), "p", Step.WAITING)
    last = max(event.sequence for event in recovery.watch_until(run, dr.ExecutionEvent.HEARTBEAT))
    beat = next(iter(recovery.watch(run, after=last)))
    assert beat.kind == dr.ExecutionEvent.HEARTBEAT and beat.sequence == last and beat.status == Run.IN_PROGRESS
    recovery.call("CancelExecution", execution_id=run.id, note="enough")
    assert recovery.end(run).status == Run.CANCELLED


def test_independent_steps_run_at_once_up_to_the_limit(server, recovery):
    gate = server.home / "gate"
    hook(server, "meet", f"touch {gate}.$MOSAAJII_STEP; while [ ! -e {gate}.a ] || [ ! -e {gate}.b ]; do sleep 0.05; done")
    both = recovery.create(step("a", "hook:meet"), step("b", "hook:meet"), step("z", "wait:0s", dependencies=["a", "b"]))
    assert recovery.run(both).status == Run.COMPLETED, "they wait for one another"
    busy = server.home / "busy"
    hook(server, "alone", f"mkdir {busy} || exit 9; sleep 0.1; rmdir {busy}")
    ones = [step(f"s{i}", "hook:alone") for i in range(4)]
    one = recovery.create(*ones, step("z", "wait:0s", dependencies=["s0"]), max_parallel_steps=1)
    assert recovery.run(one).status == Run.COMPLETED, "one at a time"


def test_without_dependencies_the_order_counts(server, recovery):
    marks = counted(server, "ordered", "sleep 0.05")
    plan = recovery.create(step("late", "hook:ordered", order=30), step("first", "hook:ordered", order=10), step("next", "hook:ordered", order=20))
    assert recovery.run(plan).status == Run.COMPLETED
    assert lines(marks) == ["first", "next", "late"]


# ---- Failures ----


@pytest.fixture(scope="module")
def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]


def failing(server, web, closed_port):
    hook(server, "fails", "echo something is wrong; exit 7")
    hook(server, "killed", "kill -9 $$")
    hook(server, "hangs", "sleep 600")
    return {
        "restore, no such backup": ("restore_backup:CONFIGURATION", {}, "no good backup"),
        "restore, none that old": ("restore_backup:FILES@before=2001-01-01T00:00:00Z", {}, "no good backup"),
        "restore, unknown id": ("restore_backup:FILES@id=01890000-0000-7000-8000-000000000000", {}, "no backup has the id"),
        "verify_backup": ("verify_backup:DATABASE", {}, "no good backup"),
        "verify_database": ("verify_database", {}, "no database to verify"),
        "sql_check": ("sql_check:SELECT 1", {}, "no backup of a database"),
        "hook, exit code": ("hook:fails", {}, "exit code 7"),
        "hook, signal": ("hook:killed", {}, "signal 9"),
        "hook, time": ("hook:hangs", {"timeout_seconds": 1}, "within its time"),
        "hook, missing": ("hook:nowhere", {}, "there is no hook"),
        "restart_services": ("restart_services", {}, "there is no hook"),
        "http_check, status": (f"http_check:http://127.0.0.1:{web}/503", {}, "answered 503"),
        "http_check, redirect": (f"http_check:http://127.0.0.1:{web}/302", {}, "answered 302"),
        "http_check, nobody": (f"http_check:http://127.0.0.1:{closed_port}/", {}, "does not answer"),
        "tcp_check": (f"tcp_check:127.0.0.1:{closed_port}", {}, "does not answer"),
        "wait, time": ("wait:1h", {"timeout_seconds": 1}, "within its time"),
        "criterion, file": ("wait:0s", {"validation_criteria": ["file exists /nowhere/at/all"]}, "does not hold"),
        "criterion, checksum": ("wait:0s", {"validation_criteria": ["checksum /etc/hostname " + "0" * 64]}, "does not hold"),
        "criterion, http": ("wait:0s", {"validation_criteria": [f"http 200 http://127.0.0.1:{web}/404"]}, "the answer was 404"),
        "criterion, rows": ("wait:0s", {"validation_criteria": ["rows(sales) >= 1"]}, "does not hold"),
        "criterion, duration": ("wait:0s", {"validation_criteria": ["duration >= 1h"]}, "does not hold"),
    }  # fmt: skip


def test_failing_steps_of_each_kind_end_as_configured(server, recovery, web, closed_port):
    cases = failing(server, web, closed_port)
    assert len(cases) >= 20
    for name, (command, fields, needle) in cases.items():
        # The preflight finds some of these before anything is done; an emergency goes on.
        for policy, end in ((STOP, Run.FAILED), (CONTINUE, Run.COMPLETED)):
            plan = recovery.create(step("bad", command, on_failure=policy, **fields), step("after", "wait:0s", dependencies=["bad"]))
            run = recovery.run(plan, kind=EMERGENCY)
            assert run.status == end, (name, run)
            assert states(run) == {"bad": "FAILED", "after": "CANCELLED" if policy == STOP else "SUCCEEDED"}, (name, run)
            assert needle in run.steps[0].message, (name, run.steps[0].message)
            assert list(run.failed_steps) == ["bad"] and run.metrics.failed_steps == 1
            assert (run.message == "Completed with exceptions") == (policy == CONTINUE)


def test_asked_after_a_failure(server, recovery):
    good = server.home / "good"
    marks = counted(server, "until-good", f"[ -e {good} ] || exit 1")

    def asked():
        good.unlink(missing_ok=True)
        plan = recovery.create(step("s", "hook:until-good", on_failure=ASK), step("z", "wait:0s", dependencies=["s"]))
        run = recovery.until(recovery.execute(plan), "s", Step.WAITING)
        assert "exit code 1" in run.steps[0].message
        return run

    run = asked()
    code, message, _ = refused(recovery.call, "ApproveStep", execution_id=run.id, step_id="s")
    assert code == "FAILED_PRECONDITION" and "retry or skip" in message
    good.touch()
    recovery.call("RetryStep", execution_id=run.id, step_id="s")
    run = recovery.end(run)
    assert run.status == Run.COMPLETED and run.steps[0].attempt == 2 and len(lines(marks)) == 2
    run = asked()
    code, _, fields = refused(recovery.call, "SkipStep", execution_id=run.id, step_id="s")
    assert (code, fields) == ("INVALID_ARGUMENT", ["note"])
    recovery.call("SkipStep", execution_id=run.id, step_id="s", note="done by hand")
    run = recovery.end(run)
    assert run.status == Run.COMPLETED and run.message == "Completed with exceptions" and list(run.skipped_steps) == ["s"]
    run = asked()
    recovery.call("DeclineStep", execution_id=run.id, step_id="s", note="hopeless")
    run = recovery.end(run)
    assert run.status == Run.FAILED and "declined" in run.message and states(run) == {"s": "FAILED", "z": "CANCELLED"}


def test_retries(server, recovery):
    marks = counted(server, "third-time", 'case $MOSAAJII_ATTEMPT in */3) ;; *) exit 1;; esac')
    plan = recovery.create(step("s", "hook:third-time", retries=2, retry_delay_seconds=1))
    run = recovery.run(plan)
    assert run.status == Run.COMPLETED and run.steps[0].attempt == 3 and len(lines(marks)) == 3
    marks = counted(server, "never", "exit 1")
    run = recovery.run(recovery.create(step("s", "hook:never", retries=1, retry_delay_seconds=1)))
    assert run.status == Run.FAILED and run.steps[0].attempt == 2 and len(lines(marks)) == 2


def test_nobody_answers(recovery):
    for policy, end in ((STOP, Run.FAILED), (CONTINUE, Run.COMPLETED)):
        run = recovery.run(recovery.create(step("p", timeout_seconds=1, on_failure=policy)))
        assert run.status == end and "nobody answered" in run.steps[0].message
        assert any("Reminder" in log.message for log in run.logs)


def test_declined(recovery):
    run = recovery.until(recovery.execute(recovery.create(step("p"), step("z", "wait:0s", dependencies=["p"]))), "p", Step.WAITING)
    recovery.call("DeclineStep", execution_id=run.id, step_id="p", note="the door is locked")
    run = recovery.end(run)
    assert run.status == Run.FAILED and "the door is locked" in run.message and run.steps[0].decided_by == "admin"


def test_what_a_person_did_is_looked_at(server, recovery):
    made = server.home / "made-by-hand"
    plan = recovery.create(step("p", validation_criteria=[f"file exists {made}"], on_failure=ASK))
    run = recovery.until(recovery.execute(plan), "p", Step.WAITING)
    recovery.call("ApproveStep", execution_id=run.id, step_id="p")
    wait_until(lambda: "does not hold" in recovery.get(run).steps[0].message, "the criterion is looked at")
    made.touch()
    recovery.call("RetryStep", execution_id=run.id, step_id="p")
    wait_until(lambda: "is to do it" in recovery.get(run).steps[0].message, "the person is asked again")
    recovery.call("ApproveStep", execution_id=run.id, step_id="p")
    assert recovery.end(run).status == Run.COMPLETED


# ---- People ----


def test_pause_resume_and_cancel(server, recovery):
    gate = server.home / "open"
    gate.unlink(missing_ok=True)
    hook(server, "gate", f"while [ ! -e {gate} ]; do sleep 0.05; done")
    plan = recovery.create(step("a", "hook:gate"), step("b", "wait:0s", dependencies=["a"]), step("c", dependencies=["b"]))
    run = recovery.until(recovery.execute(plan), "a", Step.RUNNING)
    assert refused(recovery.call, "ResumeExecution", execution_id=run.id)[0] == "FAILED_PRECONDITION"
    assert recovery.call("PauseExecution", execution_id=run.id, note="wait").status == Run.PAUSED
    gate.touch()
    run = recovery.until(run, "a", Step.SUCCEEDED)
    assert recovery.get(run).status == Run.PAUSED and states(recovery.get(run))["b"] == "PENDING"
    assert refused(recovery.call, "PauseExecution", execution_id=run.id)[0] == "FAILED_PRECONDITION"
    recovery.call("ResumeExecution", execution_id=run.id)
    run = recovery.until(run, "c", Step.WAITING)
    recovery.call("CancelExecution", execution_id=run.id, note="a false alarm")
    run = recovery.end(run)
    assert run.status == Run.CANCELLED and "a false alarm" in run.message and states(run) == {"a": "SUCCEEDED", "b": "SUCCEEDED", "c": "CANCELLED"}
    for name in ("PauseExecution", "ResumeExecution", "CancelExecution"):
        code, message, _ = refused(recovery.call, name, execution_id=run.id)
        assert code == "FAILED_PRECONDITION" and "CANCELLED" in message
    assert refused(recovery.call, "ApproveStep", execution_id=run.id, step_id="c")[0] == "FAILED_PRECONDITION"


def test_cancel_ends_what_is_at_work(server, recovery):
    hook(server, "children", "sleep 600 & sleep 600")
    run = recovery.until(recovery.execute(recovery.create(step("s", "hook:children"))), "s", Step.RUNNING)
    recovery.call("CancelExecution", execution_id=run.id)
    assert states(recovery.end(run)) == {"s": "CANCELLED"}


def test_two_runs_never_touch_the_same_target(recovery):
    first = recovery.create(step("p"), step("r", "restore_backup:FILES", dependencies=["p"]))
    same = recovery.create(step("r", "restore_backup:FILES"), name="the same target")
    full = recovery.create(step("r", "restore_backup:FULL"), name="all of it")
    other = recovery.create(step("w", "wait:0s"), name="another")
    run = recovery.until(recovery.execute(first), "p", Step.WAITING)
    for plan in (first, same, full):
        code, message, _ = refused(recovery.execute, plan)
        assert code == "FAILED_PRECONDITION" and run.id in message
    assert recovery.run(other).status == Run.COMPLETED
    recovery.call("CancelExecution", execution_id=run.id)
    recovery.end(run)
    assert recovery.run(same).status == Run.COMPLETED


def test_orders_that_mean_nothing(recovery):
    absent = "01890000-0000-7000-8000-000000000000"
    for name in ("PauseExecution", "ResumeExecution", "CancelExecution", "GetExecution", "GetReport"):
        code, message, _ = refused(recovery.call, name, execution_id=absent)
        assert code == "NOT_FOUND" and absent in message
    run = recovery.until(recovery.execute(recovery.create(step("p"), step("q", "wait:0s", dependencies=["p"]))), "p", Step.WAITING)
    assert refused(recovery.call, "ApproveStep", execution_id=run.id, step_id="nobody")[0] == "NOT_FOUND"
    assert refused(recovery.call, "ApproveStep", execution_id=run.id, step_id="q")[0] == "FAILED_PRECONDITION"
    assert refused(recovery.call, "RetryStep", execution_id=run.id, step_id="p")[0] == "FAILED_PRECONDITION"
    assert refused(recovery.call, "GetReport", execution_id=run.id)[0] == "FAILED_PRECONDITION"
    recovery.call("SkipStep", execution_id=run.id, step_id="q", note="not needed")
    recovery.call("ApproveStep", execution_id=run.id, step_id="p")
    run = recovery.end(run)
    assert states(run) == {"p": "SUCCEEDED", "q": "SKIPPED"} and run.message == "Completed with exceptions"


def test_an_inactive_plan_is_not_executed(recovery):
    plan = recovery.create(step("w", "wait:0s"), status=dr.Plan.INACTIVE)
    code, message, _ = refused(recovery.execute, plan)
    assert code == "FAILED_PRECONDITION" and "INACTIVE" in message


def test_a_planned_run_needs_a_good_preflight(server, recovery):
    marks = counted(server, "before")
    plan = recovery.create(step("a", "hook:before"), step("b", "hook:not-there", dependencies=["a"]))
    run = recovery.run(plan)
    assert run.status == Run.FAILED and "preflight" in run.message and "not-there" in run.message
    assert lines(marks) == [] and states(run) == {"a": "CANCELLED", "b": "CANCELLED"}
    assert recovery.run(plan, kind=EMERGENCY).status == Run.FAILED and lines(marks) == ["a"]


# ---- Hooks ----


def test_a_hook_gets_a_clean_environment(server, recovery):
    hook(server, "environment", "env; pwd; echo $# arguments; cat; printf '\\377\\n'")
    run = recovery.run(recovery.create(step("s", "hook:environment")))
    assert run.status == Run.COMPLETED
    names = {line.split("=")[0] for line in run.steps[0].output.splitlines() if "=" in line}
    assert {"MOSAAJII_EXECUTION", "MOSAAJII_STEP", "MOSAAJII_ATTEMPT", "PATH"} <= names
    assert not {"MOSAAJII_HOME", "BACKUP_FILES_PATHS", "MOSAAJII_LISTEN"} & names
    assert "0 arguments" in run.steps[0].output and "\\xff" in run.steps[0].output and "\n/\n" in run.steps[0].output


def test_only_safe_hooks_run(server, recovery, tmp_path):
    (tmp_path / "outside").write_text("#!/bin/sh\ntrue\n")
    (tmp_path / "outside").chmod(0o700)
    hook(server, "shared", "true").chmod(0o777)
    hook(server, "plain", "true").chmod(0o600)
    link = server.home / "hooks/link"
    link.symlink_to(tmp_path / "outside")
    for name, needle in (("shared", "writable by nobody else"), ("plain", "not executable"), ("link", "not a link")):
        run = recovery.run(recovery.create(step("s", f"hook:{name}")), kind=EMERGENCY)
        assert run.status == Run.FAILED and needle in run.message, run.message
    link.unlink()


def test_much_output_is_cut(server, recovery):
    hook(server, "loud", "yes | head -c 10000000")
    run = recovery.run(recovery.create(step("s", "hook:loud")))
    assert run.status == Run.COMPLETED and len(run.steps[0].output) < 20_000 and "dropped" in run.steps[0].output


# ---- Time and points ----


def test_an_incident_before_the_run_counts(recovery):
    plan = recovery.create(step("r", "restore_backup:FILES"), recovery_time_objective=5)
    before = datetime.now(timezone.utc) - timedelta(minutes=10)
    request = dr.ExecutePlanRequest(plan_id=plan.id, reason="late")
    request.incident_at.FromDatetime(before)
    run = recovery.end(recovery.client.call(recovery.stub.ExecutePlan, request))
    assert run.status == Run.COMPLETED and 10 <= run.metrics.actual_rto < 11 and run.duration < 1
    assert run.metrics.waiting_minutes >= 10
    assert any("the objective is 5" in log.message for log in run.logs)
    alerts = recovery.client.call(recovery.client.alerts.ListAlerts, alert_list()).alerts
    assert any(plan.id in alert.details.values() and "took 10." in alert.message for alert in alerts)
    request.incident_at.FromDatetime(datetime.now(timezone.utc) + timedelta(hours=1))
    code, _, fields = refused(recovery.client.call, recovery.stub.ExecutePlan, request)
    assert (code, fields) == ("INVALID_ARGUMENT", ["incidentAt"])


def alert_list():
    from support.api import alert

    return alert.ListAlertsRequest(page_size=1000)


def test_recovery_points(start, tmp_path):
    source = tmp_path / "data"
    source.mkdir()
    server = start(BACKUP_FILES_PATHS=source)
    client = server.client()
    recovery = Recovery(client)
    backups = []
    for number in range(3):
        (source / "content").write_text(f"state {number}" + "x" * 10_000 * number)
        backups.append(client.backup("FILES", integrity_check_enabled=number == 1))
    moment = backups[0].created_at.ToDatetime() + timedelta(milliseconds=1)
    for point, expected in (
        ("", 2), ("@latest", 2), ("@verified", 1), (f"@before={moment.isoformat(timespec='milliseconds')}Z", 0), (f"@id={backups[0].id}", 0),
    ):  # fmt: skip
        run = recovery.run(recovery.create(step("r", f"restore_backup:FILES{point}")))
        assert run.status == Run.COMPLETED and (source / "content").read_text().startswith(f"state {expected}"), (point, run)
        assert backups[expected].id in run.steps[0].output
    request = dr.ExecutePlanRequest(plan_id=recovery.create(step("r", "restore_backup:FILES")).id, reason="poisoned")
    request.recover_to.FromDatetime(moment)
    run = recovery.end(client.call(recovery.stub.ExecutePlan, request))
    assert (source / "content").read_text() == "state 0"
    assert run.metrics.data_loss >= 10_000, "what later backups had is lost"
    assert client.get(backups[2].id).status in (pb.Backup.COMPLETED, pb.Backup.VERIFIED)


def test_http_and_tcp_that_answer(recovery, web):
    plan = recovery.create(
        step("h", f"http_check:http://127.0.0.1:{web}/204"), step("t", f"tcp_check:127.0.0.1:{web}"),
        step("n", f"tcp_check:localhost:{web}", validation_criteria=[f"http 404 http://127.0.0.1:{web}/404"]),
    )  # fmt: skip
    assert recovery.run(plan).status == Run.COMPLETED


def test_a_damaged_backup_fails_its_verification(start, tmp_path):
    server = start(BACKUP_FILES_PATHS=make_files(tmp_path / "data", 10, 100_000))
    client = server.client()
    recovery = Recovery(client)
    client.backup("FILES", integrity_check_enabled=False)
    plan = recovery.create(step("v", "verify_backup:FILES"))
    assert recovery.run(plan).status == Run.COMPLETED
    for pack in (server.repository / "packs").rglob("*"):
        if pack.is_file():
            content = bytearray(pack.read_bytes())
            content[len(content) // 2] ^= 1
            pack.chmod(0o600)
            pack.write_bytes(content)
    run = recovery.run(plan)
    assert run.status == Run.FAILED and "is not good" in run.message


# ---- Evidence ----


def test_a_report_is_checked_without_the_server(server, recovery, tmp_path):
    run = recovery.run(recovery.create(step("<b>bold</b>"[3:7], "wait:0s", name="<script>alert(1)</script>")))
    for name, options in (("report.json", ()), ("report.html", ("--html",))):
        path = tmp_path / name
        server.cli("dr", "report", run.id, "--to", str(path), *options)
        key = server.home / "keys/audit.key.pub"
        nowhere = {"MOSAAJII_SERVER": "127.0.0.1:1"}
        assert "is what was signed" in server.cli("dr", "report", "verify", str(path), "--key", str(key), **nowhere).stdout
        server.cli("dr", "report", "verify", str(path), "--key", "0" * 64, check=1, **nowhere)
        content = path.read_text()
        assert "<script>" not in content or name.endswith("json")
        for changed in (content.replace("SUCCEEDED", "SUCCEEDED ", 1), content[:-2], "\n".join(content.splitlines()[:-1]), content.replace("0.1.0", "0.2.0") if name.endswith("json") else content.replace("<h1>", "<h2>")):
            assert changed != content
            path.write_text(changed)
            server.cli("dr", "report", "verify", str(path), check=1, **nowhere)
    report = recovery.call("GetReport", execution_id=run.id)
    entries = server.cli_json("audit", "list", "--action", "Recovery.Report", "--resource", run.id)
    assert [entry["details"]["reportSha256"] for entry in entries] == [hashlib.sha256(report.content).hexdigest()]
    assert server.cli("audit", "verify").returncode == 0


def test_the_command_line_follows(server, recovery):
    plan = recovery.create(step("a", "wait:0s"), step("p", dependencies=["a"]))
    began = server.cli("dr", "execute", plan.id, "--reason", "a drill", "--no-wait").stdout.strip()
    recovery.until(dr.Execution(id=began), "p", Step.WAITING)
    assert "WAITING" in server.cli("dr", "show", began).stdout
    server.cli("dr", "approve", began, "p", "--note", "fine")
    result = server.cli("dr", "watch", began)
    assert "COMPLETED" in result.stdout and "Approved by admin: fine" in result.stdout and "step p SUCCEEDED" in result.stdout
    assert began in {row["id"] for row in server.cli_json("dr", "list", "--plan", plan.id)}
    began = server.cli("dr", "execute", plan.id, "--reason", "again", "--no-wait").stdout.strip()
    recovery.until(dr.Execution(id=began), "p", Step.WAITING)
    server.cli("dr", "pause", began)
    server.cli("dr", "resume", began)
    server.cli("dr", "skip", began, "p", "--note", "not today")
    server.cli("dr", "watch", began, check=3)
    began = server.cli("dr", "execute", plan.id, "--reason", "again", "--no-wait").stdout.strip()
    recovery.until(dr.Execution(id=began), "p", Step.WAITING)
    server.cli("dr", "cancel", began)
    server.cli("dr", "watch", began, check=1)
    server.cli("dr", "execute", plan.id, check=2)
    tested = server.cli("dr", "test", plan.id, "--environment", "isolated", check=3).stdout
    assert "Left out" in tested or "SKIPPED" in tested
    assert server.cli_json("dr", "list", "--tests", "--plan", plan.id)[0]["environment"] == "ISOLATED"


def test_the_live_view(server, recovery):
    plan = recovery.create(step("a", "wait:0s", name="Wait a little"), step("p", name="Look", dependencies=["a"]))
    run = recovery.until(recovery.execute(plan), "p", Step.WAITING)
    pid, terminal = pty.fork()
    if pid == 0:
        settings = environment(MOSAAJII_HOME=server.home, MOSAAJII_SERVER=server.address, TERM="xterm", LANG="C.UTF-8")
        os.execve(BIN / "mosaajii", ["mosaajii", "dr", "watch", run.id], settings)
    shown = b""
    while f"mosaajii dr approve {run.id} p".encode() not in shown:
        shown += os.read(terminal, 65536)
    recovery.call("ApproveStep", execution_id=run.id, step_id="p")
    try:
        while more := os.read(terminal, 65536):
            shown += more
    except OSError:  # the other side is gone
        pass
    os.close(terminal)
    assert os.waitpid(pid, 0)[1] == 0
    last = shown[shown.rindex(b"COMPLETED  100%") :].decode()
    assert "Wait a little" in last and "Look" in last and f"Run {run.id}: COMPLETED" in last
    assert b"\x1b[" in shown, "the table is redrawn"


def test_the_journal_of_a_run_that_has_ended_keeps_every_transition(start, tmp_path):
    # Slow enough to show its progress, file by file.
    source = tmp_path / "many"
    source.mkdir()
    for i in range(60):
        (source / str(i)).write_bytes(os.urandom(80_000))
    server = start(BACKUP_FILES_PATHS=source, MOSAAJII_ENGINE_DISK_MB=1)
    recovery = Recovery(server.client())
    recovery.client.backup("FILES", integrity_check_enabled=False)
    progress, heartbeat = dr.ExecutionEvent.PROGRESS, dr.ExecutionEvent.HEARTBEAT
    run = recovery.execute(recovery.create(step("r", "restore_backup:FILES"), step("w", "wait:0s", dependencies=["r"])))
    live = [event for event in recovery.watch(run) if event.kind != heartbeat]
    assert len([event for event in live if event.kind == progress]) >= 2, live
    kept = list(recovery.watch(run))
    assert [event for event in kept if event.kind != progress] == [event for event in live if event.kind != progress]
    assert [event.sequence for event in kept if event.kind == progress] == [event.sequence for event in live if event.kind == progress][-1:]
    # Whoever broke off anywhere gets every transition that he has not seen.
    for at in range(0, len(live), 3):
        rest = [event for event in recovery.watch(run, after=live[at].sequence) if event.kind != progress]
        assert rest == [event for event in live[at + 1 :] if event.kind != progress]


@pytest.mark.parametrize("minutes, forecast", [((40, 45, 50, 55), "in about 3 weeks"), ((10, 25, 40, 55), "in about 7 days"), ((55, 50, 45, 40), None), ((30, 30, 30, 30), None)])
def test_a_plan_that_gets_slower_is_forecast_to_miss_its_objective(start, minutes, forecast):
    server = start()
    recovery = Recovery(server.client())
    plan = recovery.create(step("w", "wait:0s"), recovery_time_objective=60)

    def run(since):
        """One that recovers so many minutes after the incident."""
        incident = Timestamp()
        incident.FromDatetime(datetime.now(timezone.utc) - timedelta(minutes=since))
        return recovery.run(plan, incident_at=incident)

    earlier = [run(since).id for since in minutes[:-1]]
    server.stop()
    # As if they had been sixty, forty and twenty days ago.
    with sqlite3.connect(server.home / "catalog.db") as catalog:
        for days, id in zip((60, 40, 20), earlier, strict=True):
            assert catalog.execute("UPDATE recovery_runs SET created_at_ns = created_at_ns - ? WHERE id = ?", (days * 86400 * 10**9, id)).rowcount == 1
    catalog.close()
    server.start()
    recovery = Recovery(server.client())
    last = run(minutes[-1])
    assert round(last.metrics.actual_rto) == minutes[-1]
    said = [log.message for log in last.logs if "At this pace" in log.message]
    assert said == ([f"At this pace the plan will miss its 60 minutes {forecast}"] if forecast else []), [log.message for log in last.logs]
