"""Recovery plans: what may stand in one, and how they are kept."""

import json

import pytest

from support.api import pb, refused
from support.api import recovery as dr
from support.recovery import Plan, Recovery, hook, plan, step

ABSENT = "01890000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def server(start_shared, tmp_path_factory):
    return start_shared(BACKUP_FILES_PATHS=tmp_path_factory.mktemp("files"), DATABASE_URL="sqlite:///srv/shop.db")


@pytest.fixture(scope="module")
def recovery(server):
    return Recovery(server.client())


RESTORE = "restore_backup:FILES"

BAD = {
    "no name": (plan(step("a", RESTORE), name=""), "name"),
    "a name with a line break": (plan(step("a", RESTORE), name="a\nb"), "name"),
    "no steps": (plan(), "steps"),
    "too many steps": (plan(*(step(f"s{i}", RESTORE) for i in range(201))), "steps"),
    "a circle": (plan(step("a", RESTORE, dependencies=["b"]), step("b", RESTORE, dependencies=["c"]), step("c", RESTORE, dependencies=["a"])), "steps[0].dependencies"),
    "itself": (plan(step("a", RESTORE, dependencies=["a"])), "steps[0].dependencies"),
    "an unknown step": (plan(step("a", RESTORE), step("b", RESTORE, dependencies=["nobody"])), "steps[1].dependencies"),
    "a dependency twice": (plan(step("a", RESTORE), step("b", RESTORE, dependencies=["a", "a"])), "steps[1].dependencies"),
    "an order twice": (plan(step("a", RESTORE, order=1), step("b", RESTORE, order=1)), "steps[1].order"),
    "an order missing": (plan(step("a", RESTORE, order=1), step("b", RESTORE)), "steps[1].order"),
    "a negative order": (plan(step("a", RESTORE, order=-1)), "steps[0].order"),
    "an id twice": (plan(step("a", RESTORE), step("a", RESTORE)), "steps[1].id"),
    "an id with a slash": (plan(step("../a", RESTORE)), "steps[0].id"),
    "no command": (plan(dr.PlanStep(id="a", name="a", automated=True)), "steps[0].command"),
    "an unknown command": (plan(step("a", "rm -rf /")), "steps[0].command"),
    "a type that is none": (plan(step("a", "restore_backup:EVERYTHING")), "steps[0].command"),
    "a recovery point that is none": (plan(step("a", "restore_backup:FILES@yesterday")), "steps[0].command"),
    "a hook that leaves its folder": (plan(step("a", "hook:../../bin/sh")), "steps[0].command"),
    "a hook with a shell behind it": (plan(step("a", "hook:restart; rm -rf /")), "steps[0].command"),
    "a hook with arguments": (plan(step("a", "hook:restart $(id)")), "steps[0].command"),
    "a file instead of a URL": (plan(step("a", "http_check:file:///etc/passwd")), "steps[0].command"),
    "a URL with credentials": (plan(step("a", "http_check:http://user:secret@shop.example/")), "steps[0].command"),
    "a URL of a cloud's secrets": (plan(step("a", "http_check:http://169.254.169.254/latest/meta-data/")), "steps[0].command"),
    "a port that is none": (plan(step("a", "tcp_check:localhost:99999")), "steps[0].command"),
    "two statements": (plan(step("a", "sql_check:SELECT 1; DROP TABLE sales")), "steps[0].command"),
    "a statement that changes": (plan(step("a", "sql_check:DELETE FROM sales")), "steps[0].command"),
    "a statement that writes a file": (plan(step("a", "sql_check:SELECT 1 INTO OUTFILE '/tmp/x'")), "steps[0].command"),
    "a statement with a command of psql": (plan(step("a", "sql_check:SELECT 1 \\! id")), "steps[0].command"),
    "a wait of a year": (plan(step("a", "wait:9999h")), "steps[0].command"),
    "a wait without a unit": (plan(step("a", "wait:5")), "steps[0].command"),
    "an absurd timeout": (plan(step("a", RESTORE, timeout_seconds=2_000_000_000)), "steps[0].timeoutSeconds"),
    "negative retries": (plan(step("a", RESTORE, retries=-1)), "steps[0].retries"),
    "an absurd estimate": (plan(step("a", RESTORE, estimated_duration=-5)), "steps[0].estimatedDuration"),
    "an absurd objective": (plan(step("a", RESTORE), recovery_time_objective=-1), "recoveryTimeObjective"),
    "an objective of a century": (plan(step("a", RESTORE), recovery_point_objective=60_000_000), "recoveryPointObjective"),
    "a criterion with a hole": (plan(step("a", RESTORE, validation_criteria=["rows(sales; DROP TABLE x) >= 1"])), "steps[0].validationCriteria[0]"),
    "a criterion that climbs": (plan(step("a", RESTORE, validation_criteria=["fine", "file exists /srv/../etc/shadow"])), "steps[0].validationCriteria[1]"),
    "a checksum that is none": (plan(step("a", RESTORE, validation_criteria=["checksum /srv/a 1234"])), "steps[0].validationCriteria[0]"),
    "an empty criterion": (plan(step("a", RESTORE, validation_criteria=[" "])), "steps[0].validationCriteria[0]"),
    "a bad cron": (plan(step("a", RESTORE), test_schedule="every day"), "testSchedule"),
    "a day that never comes": (plan(step("a", RESTORE), test_schedule="0 3 30 2 *"), "testSchedule"),
    "mail with a header in it": (plan(step("a", RESTORE), contacts=[dr.Contact(name="A", email="a@example.com\r\nBcc: b@example.com")]), "contacts[0].email"),
    "a contact without a name": (plan(step("a", RESTORE), contacts=[dr.Contact(email="a@example.com")]), "contacts[0].name"),
    "too many at once": (plan(step("a", RESTORE), max_parallel_steps=1000), "maxParallelSteps"),
    "a type that is no number of one": (plan(step("a", RESTORE), backup_types=[77]), "backupTypes"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_plans_are_refused_with_the_field_named(recovery, name):
    bad, field = BAD[name]
    good = recovery.create(step("a", RESTORE))
    before = list(recovery.call("ListPlans").plans)
    for call, request in (
        (recovery.stub.CreatePlan, dr.CreatePlanRequest(plan=bad)),
        (recovery.stub.UpdatePlan, dr.UpdatePlanRequest(plan_id=good.id, plan=bad)),
    ):
        code, message, fields = refused(recovery.client.call, call, request)
        assert code == "INVALID_ARGUMENT" and fields == [field], (code, message, fields)
    assert list(recovery.call("ListPlans").plans) == before
    recovery.call("DeletePlan", plan_id=good.id)


def test_the_culprit_is_named(recovery):
    _, message, _ = refused(recovery.create, step("a", RESTORE, dependencies=["b"]), step("b", RESTORE, dependencies=["a"]))
    assert "a -> b -> a" in message
    _, message, _ = refused(recovery.create, step("a", RESTORE), step("b", RESTORE, dependencies=["nobody"]))
    assert '"nobody"' in message


@pytest.mark.parametrize("priority, rto, rpo", [("CRITICAL", 60, 15), ("HIGH", 240, 60), ("MEDIUM", 1440, 240), ("LOW", 4320, 1440)])
def test_objectives_by_priority(recovery, priority, rto, rpo):
    made = recovery.create(step("a", RESTORE), priority=Plan.Priority.Value(priority))
    assert (made.recovery_time_objective, made.recovery_point_objective) == (rto, rpo)
    own = recovery.create(step("a", RESTORE), priority=Plan.Priority.Value(priority), recovery_time_objective=7)
    assert (own.recovery_time_objective, own.recovery_point_objective) == (7, rpo)


def test_objectives_by_setting(start):
    recovery = Recovery(start(DR_RTO_MINUTES=33, DR_RPO_MINUTES=7).client())
    made = recovery.create(step("a", RESTORE))
    assert (made.recovery_time_objective, made.recovery_point_objective) == (33, 7) and made.priority == Plan.MEDIUM


def test_a_plan_from_its_making_to_its_end(recovery):
    made = recovery.create(dr.PlanStep(name="first", automated=True, command=RESTORE), dr.PlanStep(name="second"), priority=Plan.LOW)
    assert [s.id for s in made.steps] == ["step-1", "step-2"] and [s.order for s in made.steps] == [1, 2]
    assert made.version == 1 and not made.verified and made.status == Plan.ACTIVE and made.HasField("next_test_date")
    changed = recovery.call("UpdatePlan", plan_id=made.id, plan=plan(step("only", RESTORE), name="shorter"))
    assert changed.version == 2 and changed.id == made.id and changed.created_at == made.created_at and changed.name == "shorter"
    assert recovery.call("GetPlan", plan_id=made.id) == changed
    clone = recovery.call("ClonePlan", plan_id=made.id)
    assert clone.id != made.id and clone.version == 1 and clone.name == "Copy of shorter" and [s.id for s in clone.steps] == ["only"]
    assert made.id in {p.id for p in recovery.call("ListPlans").plans}
    recovery.call("DeletePlan", plan_id=made.id)
    for name, fields in (("GetPlan", {}), ("DeletePlan", {}), ("ClonePlan", {}), ("UpdatePlan", {"plan": changed}), ("ExecutePlan", {}), ("TestPlan", {})):
        code, message, _ = refused(recovery.call, name, plan_id=made.id, **fields)
        assert code == "NOT_FOUND" and made.id in message, (name, code, message)


def test_plans_survive_a_restart(start):
    server = start()
    made = Recovery(server.client()).create(step("a", RESTORE), test_schedule="0 3 1 * *")
    server.restart()
    assert Recovery(server.client()).call("GetPlan", plan_id=made.id) == made


def test_a_plan_is_proposed_for_what_is_configured(server, recovery):
    count = len(recovery.call("ListPlans").plans)
    proposed = recovery.call("SuggestPlan")
    assert {s.command for s in proposed.steps} == {"restore_backup:DATABASE", "verify_database", "restore_backup:FILES", ""}
    assert set(proposed.backup_types) == {pb.Backup.DATABASE, pb.Backup.FILES} and len(recovery.call("ListPlans").plans) == count
    assert recovery.call("CreatePlan", plan=proposed).steps == proposed.steps
    hook(server, "restart-services", "true")
    assert "restart_services" in {s.command for s in recovery.call("SuggestPlan").steps}


def test_nothing_configured_nothing_proposed(start):
    code, message, _ = refused(Recovery(start().client()).call, "SuggestPlan")
    assert code == "FAILED_PRECONDITION" and "BACKUP_FILES_PATHS" in message


def test_the_command_line(server, tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"name": "from a file", "priority": "HIGH", "steps": [
        {"id": "a", "order": 1, "name": "restore", "automated": True, "command": RESTORE, "onFailure": "ASK", "validationCriteria": ["file exists /x"]},
        {"id": "b", "order": 2, "name": "look", "automated": False, "dependencies": ["a"]}]}))  # fmt: skip
    made = server.cli_json("dr", "plan", "create", "-f", str(path))
    assert made["priority"] == "HIGH" and made["steps"][0]["onFailure"] == "ASK" and made["steps"][1]["dependencies"] == ["a"]
    assert made["id"] in {row["id"] for row in server.cli_json("dr", "plan", "list")}
    assert "restore_backup:FILES" in server.cli("dr", "plan", "show", made["id"]).stdout
    exported = tmp_path / "exported.json"
    exported.write_text(server.cli("dr", "plan", "export", made["id"]).stdout)
    again = server.cli_json("dr", "plan", "import", "--file", str(exported))
    assert again["id"] != made["id"] and again["steps"] == made["steps"] and again["name"] == made["name"]
    assert server.cli_json("dr", "plan", "clone", made["id"], "--name", "another")["name"] == "another"
    path.write_text(path.read_text().replace("restore_backup:FILES", "rm -rf /"))
    result = server.cli("dr", "plan", "update", made["id"], "-f", str(path), check=2)
    assert "steps[0].command" in result.stderr
    for wrong, needle in (("{", "no JSON"), ('{"steps": 7}', "steps must be a list"), ('{"nmae": "x"}', "nmae"), ('{"priority": "URGENT"}', "CRITICAL")):
        path.write_text(wrong)
        result = server.cli("dr", "plan", "create", "-f", str(path), check=2)
        assert needle in result.stderr, result.stderr
    server.cli("dr", "plan", "delete", made["id"], check=2)
    server.cli("dr", "plan", "delete", made["id"], "--yes")
    server.cli("dr", "plan", "show", made["id"], check=4)
    server.cli("dr", "plan", "dance", check=2)
