"""Who is told of a recovery, who must agree to it, and who may do what."""

import json

import grpc
import pytest

from support.api import admin, refused
from support.api import recovery as dr
from support.data import make_files
from support.program import wait_until
from support.receivers import MailServer, Web
from support.recovery import Recovery, Run, Step, step


@pytest.fixture
def mail(tmp_path):
    server = MailServer(tmp_path / "mail")
    yield server
    server.stop()


@pytest.fixture
def web():
    server = Web()
    yield server
    server.stop()


def token(client, name, role, *rights):
    request = admin.CreateTokenRequest(name=name, role=admin.Token.Role.Value(role), rights=rights)
    return client.call(client.admin.CreateToken, request).secret


def test_contacts_are_told_in_order_and_it_is_recorded(start, tmp_path, mail, web):
    server = start(BACKUP_FILES_PATHS=make_files(tmp_path / "data", 5, 1000), **mail.settings(), **web.settings())
    recovery = Recovery(server.client())
    recovery.client.backup("FILES")
    contacts = [
        dr.Contact(name="Third", email="third@example.com"),
        dr.Contact(name="Second", email="second@example.com", priority=2),
        dr.Contact(name="First", email="first@example.com", priority=1),
        dr.Contact(name="By phone", phone="1234", priority=1),
    ]
    plan = recovery.create(step("p", description="switch the mains on"), step("z", "wait:0s", dependencies=["p"]), contacts=contacts)
    run = recovery.until(recovery.execute(plan, reason="flood"), "p", Step.WAITING)

    def told():
        """(receiver, subject) of what has arrived."""
        return [(receiver, subject) for receivers, subject, _ in mail.texts() for receiver in receivers if "Recovery of" in subject]

    def occasions(receiver):
        return {subject.split(": ", 1)[1] for to, subject in told() if to == receiver}

    for receiver in ("first@example.com", "second@example.com", "third@example.com"):
        wait_until(lambda: {"started", "waiting for a person"} <= occasions(receiver), f"{receiver} is told of the start and the waiting")
    recovery.call("ApproveStep", execution_id=run.id, step_id="p")
    run = recovery.end(run)
    assert run.status == Run.COMPLETED
    wait_until(lambda: "completed" in occasions("third@example.com"), "all are told of the end")
    first_told = [to for to, subject in told() if subject.endswith(": started")]
    assert first_told == ["first@example.com", "second@example.com", "third@example.com"]
    report = json.loads(recovery.call("GetReport", execution_id=run.id).content)
    rows = {(row["receiver"], row["subject"].split(": ")[-1]): row for row in report["notifications"]}
    assert rows["mail:first@example.com", "started"]["deliveredAt"] and ("webhook", "recovery") in rows
    posted = wait_until(lambda: [m for _, m in web.messages() if m["event"] == "RECOVERY" and m["occasion"] == "completed"], "the webhook is told")
    assert posted[0]["executionId"] == run.id and posted[0]["planId"] == plan.id
    # Nobody is called for an exercise.
    recovery.result(recovery.test(plan))
    run = recovery.run(recovery.create(step("w", "wait:0s"), contacts=contacts[:1]))
    wait_until(lambda: len([subject for _, subject in told() if subject.endswith("completed")]) == 4, "the next run is told of")
    assert len([subject for _, subject in told() if subject.endswith("started")]) == 4, "the test between was not"


def test_a_step_that_waits_is_escalated_from_contact_to_contact(start, tmp_path, mail, web):
    server = start(**mail.settings(), **web.settings())
    recovery = Recovery(server.client())
    contacts = [
        dr.Contact(name="Second", email="second@example.com", priority=2),
        dr.Contact(name="By phone", phone="1234", priority=3),
        dr.Contact(name="First", email="first@example.com", priority=1),
    ]
    # A fifth of the timeout is between two.
    plan = recovery.create(step("p", timeout_seconds=15), contacts=contacts, name="escalates")
    run = recovery.until(recovery.execute(plan), "p", Step.WAITING)

    def turns(run):
        return [log.message.split(":")[0] + log.message.rsplit(" to", 1)[1] for log in recovery.get(run).logs if "still waits" in log.message]

    def posted():
        return [(m["occasion"], m["contact"], m["phone"]) for _, m in web.messages() if "contact" in m]

    wait_until(lambda: ("escalation", "By phone", "1234") in posted(), "the webhook is told whom to call")
    # A server that is killed goes on where it was.
    server.kill()
    server.start()
    recovery = Recovery(server.client())
    run = recovery.end(run)
    assert run.status == Run.FAILED and "nobody answered within 15 seconds" in run.message
    expected = ["Reminder First", "Escalation Second", "Escalation By phone", "Escalation First"]
    assert turns(run) == expected[: len(turns(run))] and len(turns(run)) >= 3, turns(run)
    report = json.loads(recovery.call("GetReport", execution_id=run.id).content)
    told = [(row["receiver"], row["subject"].rsplit(": ", 1)[1]) for row in report["notifications"] if row["receiver"] != "webhook"]
    assert told.count(("mail:first@example.com", "reminder")) == told.count(("mail:second@example.com", "escalation")) == 1
    assert ("mail:second@example.com", "reminder") not in told
    assert not any(m.get("contact") for _, m in web.messages() if m["event"] == "RECOVERY" and m["occasion"] in ("started", "failed"))


def test_whoever_acts_ends_the_escalation(start, mail):
    server = start(**mail.settings())
    recovery = Recovery(server.client())
    contacts = [dr.Contact(name="Boss", email="boss@example.com", priority=1), dr.Contact(name="Night shift", email="night@example.com", priority=2)]
    # What is somebody's goes to that contact first.
    plan = recovery.create(step("p", timeout_seconds=8, assignee="Night shift"), step("w", "wait:3s", dependencies=["p"]), contacts=contacts)
    run = recovery.until(recovery.execute(plan), "p", Step.WAITING)
    reminders = lambda: [log.message for log in recovery.get(run).logs if "still waits" in log.message]  # noqa: E731
    wait_until(reminders, "the step is brought to mind")
    recovery.call("ApproveStep", execution_id=run.id, step_id="p")
    known = reminders()
    assert known[0] == 'Reminder: The step "p" still waits for Night shift; this goes to Night shift'
    assert recovery.end(run).status == Run.COMPLETED and reminders() == known


def test_a_second_person_must_agree(start):
    server = start(MOSAAJII_SECOND_PERSON="true")
    first = Recovery(server.client())
    second = server.client(token(first.client, "second", "ADMIN"))
    plan = first.create(step("w", "wait:0s"))
    code, message, _ = refused(first.execute, plan)
    assert code == "FAILED_PRECONDITION" and "second person" in message
    assert not first.call("ListExecutions").executions
    confirmation = first.client.call(first.client.admin.ListConfirmations, admin.ListConfirmationsRequest()).confirmations[0]
    second.call(second.admin.Confirm, admin.ConfirmRequest(confirmation_id=confirmation.id))
    assert first.end(first.execute(plan)).status == Run.COMPLETED
    assert refused(first.execute, plan)[0] == "FAILED_PRECONDITION", "once"
    assert first.result(first.test(plan)).overall_status == dr.TestResult.RAN, "a test needs nobody else"


def test_rights(start):
    server = start()
    boss = Recovery(server.client())
    plan = boss.create(step("p"))
    viewer = Recovery(server.client(token(boss.client, "viewer", "VIEWER")))
    operator = Recovery(server.client(token(boss.client, "operator", "OPERATOR")))
    approver = Recovery(server.client(token(boss.client, "approver", "OPERATOR", "step.approve")))
    denied = grpc.StatusCode.PERMISSION_DENIED.name
    assert viewer.call("GetPlan", plan_id=plan.id).id == plan.id
    for who in (viewer, operator):
        assert refused(who.execute, plan)[0] == refused(who.create, step("a", "wait:0s"))[0] == refused(who.call, "DeletePlan", plan_id=plan.id)[0] == denied
    assert refused(viewer.test, plan)[0] == denied
    assert operator.result(operator.test(plan)).tested_by == "operator"
    run = boss.until(boss.execute(plan), "p", Step.WAITING)
    for name in ("ApproveStep", "DeclineStep", "RetryStep", "SkipStep"):
        assert refused(operator.call, name, execution_id=run.id, step_id="p")[0] == denied
    for name in ("PauseExecution", "ResumeExecution", "CancelExecution"):
        assert refused(approver.call, name, execution_id=run.id)[0] == denied
    approver.call("ApproveStep", execution_id=run.id, step_id="p")
    run = viewer.end(run)
    assert run.status == Run.COMPLETED and run.steps[0].decided_by == "approver"
    entries = server.cli_json("audit", "list", "--action", "DisasterRecoveryService.ApproveStep")
    assert [(entry["actor"], entry["result"]) for entry in entries] == [("approver", "OK"), ("operator", "PERMISSION_DENIED")]
