"""Tests of recovery plans: into sandboxes, never into production, and falsifiable."""

import hashlib
import sqlite3
import time

import pytest

from support.api import alert as alerts
from support.api import recovery as dr
from support.api import refused
from support.data import make_files
from support.program import wait_until
from support.recovery import Plan, Recovery, Run, Step, hook, step

PASSED, FAILED, SKIPPED, PARTIAL, RAN = (dr.TestResult.Status.Value(word) for word in ("PASSED", "FAILED", "SKIPPED", "PARTIAL", "RAN"))
TEST, EXECUTION = dr.PlanStep.TEST, dr.PlanStep.EXECUTION


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_files(tmp_path_factory.mktemp("source") / "uploads", 20, 3000)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    path = tmp_path_factory.mktemp("shop") / "shop.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE sales(id INTEGER PRIMARY KEY, note TEXT)")
        database.executemany("INSERT INTO sales(note) VALUES (?)", [("a sale",)] * 25)
    return path


@pytest.fixture(scope="module")
def server(start_shared, source, shop):
    return start_shared(BACKUP_FILES_PATHS=source, DATABASE_URL=f"sqlite://{shop}")


@pytest.fixture(scope="module")
def recovery(server):
    client = server.client()
    client.backup("FILES")
    client.backup("DATABASE")
    return Recovery(client)


@pytest.fixture
def untouched(server, source, shop):
    """Nothing of production changes while the test runs, and no sandbox is left."""

    def look():
        return {path: (path.stat().st_mtime_ns, path.stat().st_ino, path.read_bytes()) for path in [*source.rglob("*"), shop] if path.is_file()}

    before = look()
    yield
    assert look() == before
    assert not any((server.home / "sandbox").iterdir()) if (server.home / "sandbox").exists() else True


def one_of(source):
    path = next(path for path in source.rglob("*") if path.is_file())
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_test_that_proves_the_plan(recovery, source, untouched):
    path, checksum = one_of(source)
    plan = recovery.create(
        step("files", "restore_backup:FILES", validation_criteria=[f"checksum {path} {checksum}"]),
        step("database", "restore_backup:DATABASE", validation_criteria=["rows(sales) = 25"]),
        step("verify", "verify_database", dependencies=["database"]),
        step("sql", "sql_check:SELECT count(*) = 25 FROM sales", dependencies=["database"]),
    )
    assert not plan.verified and not plan.HasField("last_tested_at")
    began = recovery.test(plan)
    assert began.overall_status == dr.TestResult.RUNNING and began.tested_by == "admin" and began.id == began.execution_id
    result = recovery.result(began)
    assert result.overall_status == PASSED, result
    assert [r.status for r in result.results] == [PASSED] * 4 and not any(r.issues for r in result.results)
    assert result.HasField("next_test_date") and result.environment == dr.TestResult.ISOLATED
    proved = recovery.call("GetPlan", plan_id=plan.id)
    assert proved.verified and proved.HasField("last_tested_at") and proved.version == 1
    changed = recovery.call("UpdatePlan", plan_id=plan.id, plan=proved)
    assert changed.version == 2 and not changed.verified and changed.last_tested_at == proved.last_tested_at
    assert [t.id for t in recovery.call("ListTestResults", plan_id=plan.id).tests] == [result.id]
    assert result.id not in {e.id for e in recovery.call("ListExecutions", plan_id=plan.id).executions}


def test_what_is_not_there_fails_the_test(recovery, untouched):
    for criterion in ("rows(sales) = 24", "rows(customers) >= 1", "file exists /srv/never"):
        plan = recovery.create(step("r", "restore_backup:DATABASE", validation_criteria=[criterion]))
        result = recovery.result(recovery.test(plan))
        assert result.overall_status == FAILED and criterion in result.results[0].issues[0], result
        plan = recovery.call("GetPlan", plan_id=plan.id)
        assert not plan.verified and plan.status == Plan.NEEDS_UPDATE
        raised = recovery.client.call(recovery.client.alerts.ListAlerts, alerts.ListAlertsRequest(page_size=1000)).alerts
        assert any(a.details["planId"] == plan.id and a.type == alerts.Alert.RECOVERY_FAILED for a in raised)


def test_without_a_check_nothing_is_proved(recovery, untouched):
    plan = recovery.create(step("r", "restore_backup:FILES", validation_criteria=["The files look right"]))
    result = recovery.result(recovery.test(plan, "STAGING"))
    assert result.overall_status == RAN and "nothing was checked" in result.message
    assert "The files look right" in result.results[0].notes
    assert not recovery.call("GetPlan", plan_id=plan.id).verified


def test_what_reaches_production_or_people_is_left_out(server, recovery, untouched):
    ran = server.home / "ran"
    ran.unlink(missing_ok=True)
    hook(server, "touches", f"echo $MOSAAJII_STEP $MOSAAJII_ENVIRONMENT $MOSAAJII_SANDBOX >> {ran}; pwd >> {ran}")
    plan = recovery.create(
        step("r", "restore_backup:DATABASE", validation_criteria=["rows(sales) > 0"]),
        step("restart", "restart_services"), step("hook", "hook:touches"), step("person"),
        step("for-tests", "hook:touches", run_kinds=[TEST]), step("for-real", "wait:0s", run_kinds=[EXECUTION]),
    )  # fmt: skip
    began = recovery.test(plan, "DEVELOPMENT")
    result = recovery.result(began)
    assert result.overall_status == PARTIAL, result
    assert {r.step_id: r.status for r in result.results} == {"r": PASSED, "restart": SKIPPED, "hook": SKIPPED, "person": SKIPPED, "for-tests": PASSED, "for-real": SKIPPED}
    sandbox = str(server.home / "sandbox" / began.id)
    assert ran.read_text().split() == ["for-tests", "DEVELOPMENT", sandbox, sandbox]
    assert any("were left out" in text for text in result.recommendations)


def test_a_step_that_tries_production_fails_the_test(server, recovery, source, untouched):
    hook(server, "escape", f'cd /; rm -rf "$MOSAAJII_SANDBOX"; ln -s {source.parent} "$MOSAAJII_SANDBOX"')
    plan = recovery.create(
        step("escape", "hook:escape", run_kinds=[TEST]),
        step("restore", "restore_backup:FILES", dependencies=["escape"], retries=3, on_failure=dr.PlanStep.CONTINUE, validation_criteria=["duration <= 1h"]),
    )
    result = recovery.result(recovery.test(plan))
    assert result.overall_status == FAILED and "tried to reach production" in result.message, result
    assert "not the test's own" in result.results[1].issues[0]


def test_negative_control(recovery, source, untouched):
    path, checksum = one_of(source)
    sharp = recovery.create(step("r", "restore_backup:FILES", validation_criteria=[f"checksum {path} {checksum}"]))
    result = recovery.result(recovery.test(sharp, negative_control=True))
    assert result.overall_status == PASSED, result
    assert any("as it must" in log.message for log in recovery.get(result).logs)
    blunt = recovery.create(step("r", "restore_backup:FILES", validation_criteria=[f"file exists {path}"]))
    result = recovery.result(recovery.test(blunt, negative_control=True))
    assert result.overall_status == FAILED and "The test itself is broken" in result.message
    database = recovery.create(step("r", "restore_backup:DATABASE"), step("v", "verify_database", dependencies=["r"]))
    assert recovery.result(recovery.test(database, negative_control=True)).overall_status == PASSED
    # The control is the test's own.
    for plan in (sharp, blunt, database):
        assert len(recovery.call("ListTestResults", plan_id=plan.id).tests) == 1
    raised = recovery.client.call(recovery.client.alerts.ListAlerts, alerts.ListAlertsRequest(page_size=1000)).alerts
    assert not any(a.details["planId"] == sharp.id for a in raised), "what fails as it must is no alert"
    code, _, fields = refused(recovery.test, sharp, "PRODUCTION", negative_control=True)
    assert (code, fields) == ("INVALID_ARGUMENT", ["negativeControl"])


def test_production_is_a_rehearsal(server, recovery, source, untouched):
    ran = server.home / "rehearsed"
    hook(server, "restart-services", f"touch {ran}")
    plan = recovery.create(
        step("r", "restore_backup:FILES", validation_criteria=[f"file exists {source}"]), step("d", "restore_backup:DATABASE", validation_criteria=["rows(sales) >= 25"]),
        step("s", "restart_services", dependencies=["r", "d"]), step("v", "verify_database", dependencies=["d"]),
    )  # fmt: skip
    result = recovery.result(recovery.test(plan, "PRODUCTION"))
    assert result.overall_status == PASSED and not ran.exists(), result
    assert not recovery.call("GetPlan", plan_id=plan.id).verified, "nothing was restored"
    (server.home / "hooks/restart-services").unlink()
    result = recovery.result(recovery.test(plan, "PRODUCTION"))
    assert result.overall_status == FAILED and "restart-services" in result.message


def test_one_test_of_a_plan_at_a_time(server, recovery):
    gate = server.home / "test-gate"
    hook(server, "test-gate", f"while [ ! -e {gate} ]; do sleep 0.05; done")
    plan = recovery.create(step("g", "hook:test-gate", run_kinds=[TEST]))
    first = recovery.test(plan)
    recovery.until(first, "g", Step.RUNNING)
    assert recovery.call("GetPlan", plan_id=plan.id).status == Plan.TESTING

    def listed(status):
        plans = recovery.call("ListPlans", status=status, page_size=1000).plans
        assert not status or {p.status for p in plans} <= {status}
        return plan.id in {p.id for p in plans if p.status == (status or Plan.TESTING)}

    assert listed(Plan.TESTING) and listed(0) and not listed(Plan.ACTIVE)
    assert refused(recovery.test, plan)[0] == "FAILED_PRECONDITION"
    gate.touch()
    assert recovery.result(first).overall_status == RAN
    assert recovery.call("GetPlan", plan_id=plan.id).status == Plan.ACTIVE
    assert listed(Plan.ACTIVE) and not listed(Plan.TESTING)
    assert recovery.result(recovery.test(plan)).overall_status == RAN


def test_a_cancelled_test_is_skipped_and_cleaned_up(server, recovery, untouched):
    plan = recovery.create(step("r", "restore_backup:FILES"), step("w", "wait:1h", dependencies=["r"]))
    began = recovery.test(plan)
    recovery.until(began, "w", Step.RUNNING)
    assert (server.home / "sandbox" / began.id).is_dir()
    recovery.call("CancelExecution", execution_id=began.id)
    assert recovery.result(began).overall_status == SKIPPED


def change_plan(server, plan_id, change):
    """As if time had passed: the server is stopped meanwhile."""
    server.stop()
    with sqlite3.connect(server.home / "catalog.db") as database:
        row = database.execute("SELECT content FROM recovery_plans WHERE id = ?", (plan_id,)).fetchone()
        plan = dr.Plan.FromString(row[0])
        change(plan)
        database.execute("UPDATE recovery_plans SET content = ? WHERE id = ?", (plan.SerializeToString(), plan_id))
    database.close()
    server.start()


def test_tests_run_by_schedule(start, tmp_path):
    server = start(BACKUP_FILES_PATHS=make_files(tmp_path / "data", 5, 1000))
    recovery = Recovery(server.client())
    recovery.client.backup("FILES")
    plan = recovery.create(step("r", "restore_backup:FILES"), test_schedule="0 3 1 1 *")
    assert plan.next_test_date.seconds > time.time()
    change_plan(server, plan.id, lambda plan: plan.next_test_date.FromSeconds(int(time.time()) - 60))
    recovery = Recovery(server.client())
    test = wait_until(lambda: list(recovery.call("ListTestResults", plan_id=plan.id).tests), "the test begins by itself")[0]
    assert recovery.result(test).overall_status == RAN and test.tested_by == "schedule" and test.environment == dr.TestResult.ISOLATED
    after = recovery.call("GetPlan", plan_id=plan.id)
    assert after.next_test_date.seconds > time.time() and after.HasField("last_tested_at")
    assert len(recovery.call("ListTestResults", plan_id=plan.id).tests) == 1


def test_an_overdue_test_is_an_alert(start, tmp_path):
    server = start(BACKUP_FILES_PATHS=make_files(tmp_path / "data", 5, 1000))
    recovery = Recovery(server.client())
    recovery.client.backup("FILES")
    plan = recovery.create(step("r", "restore_backup:FILES"))
    fresh = recovery.create(step("r", "restore_backup:FILES"), name="a fresh one")
    change_plan(server, plan.id, lambda plan: plan.created_at.FromSeconds(int(time.time()) - 91 * 86400))
    recovery = Recovery(server.client())

    def overdue(**fields):
        request = alerts.ListAlertsRequest(page_size=1000, type=alerts.Alert.RECOVERY_TEST_OVERDUE)
        return [a for a in recovery.client.call(recovery.client.alerts.ListAlerts, request).alerts if not a.HasField("resolved_at")]

    found = wait_until(overdue, "the alert is raised")
    assert [a.details["planId"] for a in found] == [plan.id] and "91 days" in found[0].message and fresh.id not in str(found)
    recovery.result(recovery.test(plan))
    assert overdue() == []
