"""Steps that take their part of a backup of everything, where that is the best recovery point."""

import json
import shutil
import sqlite3

import pytest

from support.api import pb
from support.api import recovery as dr
from support.recovery import Recovery, Run, Step, hook, states, step

PASSED, FAILED = dr.TestResult.PASSED, dr.TestResult.FAILED


class Shop:
    """Files, a configuration and a database."""

    def __init__(self, folder):
        self.files, self.configuration, self.database = folder / "uploads", folder / "etc", folder / "shop.db"
        # The settings name it by a link, and one path that was never there.
        self.link = folder / "link"
        for path in (self.files, self.configuration):
            path.mkdir()
        self.link.symlink_to(self.files)
        with sqlite3.connect(self.database) as database:
            database.execute("CREATE TABLE sales(id INTEGER PRIMARY KEY, note TEXT)")
        self.settings = {"BACKUP_FILES_PATHS": f"{self.link}:{folder / 'never'}", "BACKUP_CONFIG_PATHS": self.configuration, "DATABASE_URL": f"sqlite://{self.database}"}
        self.write("first")

    def write(self, text):
        (self.files / "a").write_text(text)
        (self.configuration / "shop.conf").write_text(text)
        with sqlite3.connect(self.database) as database:
            database.execute("DELETE FROM sales")
            database.executemany("INSERT INTO sales(note) VALUES (?)", [(text,)] * len(text))
        database.close()

    def read(self):
        with sqlite3.connect(self.database) as database:
            rows = database.execute("SELECT DISTINCT note FROM sales").fetchall()
        database.close()
        return (self.files / "a").read_text(), (self.configuration / "shop.conf").read_text(), rows[0][0]


@pytest.fixture
def shop(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    return Shop(folder)


def logs(run):
    return [log.message for log in run.logs]


def test_a_full_backup_alone_serves_the_suggested_plan(start, shop):
    server = start(**shop.settings)
    client = server.client()
    full = client.backup("FULL")
    recovery = Recovery(client)
    plan = recovery.call("SuggestPlan")
    commands = [s.command for s in plan.steps]
    assert commands == ["restore_backup:CONFIGURATION", "restore_backup:DATABASE", "verify_database", "restore_backup:FILES", ""], commands
    plan = recovery.call("CreatePlan", plan=plan)
    # The dry run.
    rehearsal = recovery.end(recovery.test(plan, "PRODUCTION"))
    assert states(rehearsal)["restore-files"] == "SUCCEEDED", rehearsal
    assert shop.read() == ("first",) * 3
    # A test.
    result = recovery.result(recovery.test(plan))
    assert result.overall_status == dr.TestResult.PARTIAL, result
    assert {r.step_id: r.status for r in result.results} == {
        "restore-configuration": PASSED, "restore-databases": PASSED, "verify-databases": PASSED, "restore-files": PASSED, "confirm": dr.TestResult.SKIPPED,
    }  # fmt: skip
    # The real thing.
    shop.write("something else")
    run = recovery.execute(plan)
    recovery.until(run, "confirm", Step.WAITING)
    recovery.call("ApproveStep", execution_id=run.id, step_id="confirm")
    run = recovery.end(run)
    assert run.status == Run.COMPLETED and shop.read() == ("first",) * 3, run
    # Preflight, dry run and report name the backup and its type.
    for one in (rehearsal, recovery.get(result), run):
        assert any(f'the step "restore-files" restores from the FULL backup {full.id}' in text for text in logs(one)), logs(one)
        output = next(s.output for s in one.steps if s.step_id == "restore-databases")
        assert f"From the FULL backup {full.id}" in output and "only its part of the type DATABASE" in output
        report = json.loads(recovery.call("GetReport", execution_id=one.id).content)
        used = {s["id"]: (s["backupType"], s["backupId"]) for s in report["steps"] if s["command"].startswith("restore_backup")}
        assert used == dict.fromkeys(("restore-configuration", "restore-databases", "restore-files"), ("FULL", full.id))


@pytest.mark.parametrize("kind, place", [("FILES", 0), ("CONFIGURATION", 1), ("DATABASE", 2)])
def test_a_step_brings_back_its_part_alone(start, shop, kind, place):
    server = start(**shop.settings)
    recovery = Recovery(server.client())
    recovery.client.backup("FULL")
    shop.write("changed since")
    run = recovery.run(recovery.create(step("r", f"restore_backup:{kind}")))
    assert run.status == Run.COMPLETED, run
    expected = ["changed since"] * 3
    expected[place] = "first"
    assert list(shop.read()) == expected


def test_the_newest_that_holds_the_part_is_taken(start, shop):
    server = start(**shop.settings)
    client = server.client()
    recovery = Recovery(client)
    full = client.backup("FULL")
    shop.write("second")
    files = client.backup("FILES")
    shop.write("third, third")
    incremental = client.backup("INCREMENTAL")
    shop.write("lost")

    def used(command):
        run = recovery.run(recovery.create(step("r", command)))
        assert run.status == Run.COMPLETED, run
        report = json.loads(recovery.call("GetReport", execution_id=run.id).content)
        return report["steps"][0]["backupType"], report["steps"][0]["backupId"]

    assert used("restore_backup:FILES") == ("INCREMENTAL", incremental.id) and shop.read()[0] == "third, third"
    assert used(f"restore_backup:FILES@id={full.id}") == ("FULL", full.id) and shop.read()[0] == "first"
    assert used(f"restore_backup:FILES@id={files.id}") == ("FILES", files.id) and shop.read()[0] == "second"
    assert used(f"restore_backup:DATABASE@before={files.created_at.ToJsonString()}") == ("FULL", full.id)
    run = recovery.run(recovery.create(step("v", "verify_backup:CONFIGURATION")))
    assert run.status == Run.COMPLETED and f"Verified the INCREMENTAL backup {incremental.id}" in run.steps[0].output
    run = recovery.run(recovery.create(step("r", f"restore_backup:DATABASE@id={files.id}")))
    assert run.status == Run.FAILED and f"the backup {files.id} is FILES, not DATABASE" in run.message


def test_verify_database_looks_at_what_was_restored_alone(start, shop):
    server = start(**shop.settings)
    recovery = Recovery(server.client())
    recovery.client.backup("FULL")
    both = recovery.create(step("f", "restore_backup:FILES"), step("d", "restore_backup:DATABASE", dependencies=["f"]), step("v", "verify_database", dependencies=["d"]))
    result = recovery.get(recovery.result(recovery.test(both)))
    assert result.steps[2].output.count("with the rows that were recorded") == 1
    files = recovery.create(step("f", "restore_backup:FILES"), step("v", "verify_database", dependencies=["f"]))
    result = recovery.result(recovery.test(files))
    assert result.overall_status == FAILED and "no step has restored one" in result.message, result


def test_a_full_backup_without_the_part_is_none(start, shop):
    del shop.settings["BACKUP_CONFIG_PATHS"]
    server = start(**shop.settings)
    recovery = Recovery(server.client())
    full = recovery.client.backup("FULL")
    for command, reason in (
        ("restore_backup:CONFIGURATION", "no good backup of the type CONFIGURATION, nor one of everything that holds it"),
        (f"restore_backup:CONFIGURATION@id={full.id}", f"the backup {full.id} is FULL and holds nothing of the type CONFIGURATION"),
        ("verify_backup:DIFFERENTIAL", "no good backup of the type DIFFERENTIAL"),
    ):
        run = recovery.run(recovery.create(step("r", command)))
        assert run.status == Run.FAILED and reason in run.message and "nothing was done" in run.message, run


def test_a_sentinel_tells_a_stale_restore(start, shop):
    sentinel = shop.files / ".sentinel"
    shop.settings |= {"BACKUP_FILES_PATHS": shop.files, "BACKUP_SENTINEL": sentinel}
    server = start(**shop.settings)
    client = server.client()
    recovery = Recovery(client)
    first = client.backup("FILES")
    assert sentinel.read_text() == f"mosaajii-sentinel {first.id}\n"
    old = server.home / "old-copy"
    shutil.copytree(shop.files, old)
    shop.write("second")
    full = client.backup("INCREMENTAL")
    client.backup("DATABASE")
    assert sentinel.read_text() == f"mosaajii-sentinel {full.id}\n", "a backup of other sources writes none"
    looks = {"validation_criteria": [f"sentinel {sentinel}"]}
    # It is there in what was restored, by whichever step it is looked for.
    good = recovery.create(step("r", "restore_backup:FILES", **looks), step("w", "wait:0s", dependencies=["r"], **looks))
    result = recovery.result(recovery.test(good, negative_control=True))
    assert result.overall_status == PASSED and not any("sentinel" in text for text in result.recommendations), result
    earlier = recovery.create(step("r", f"restore_backup:FILES@id={first.id}", **looks))
    assert recovery.result(recovery.test(earlier)).overall_status == PASSED, "an older point is what was asked for"
    assert recovery.result(recovery.test(good, "PRODUCTION")).overall_status == PASSED
    # The files of an older copy are well as far as anybody can see.
    hook(server, "mirror", f'cp -a {old}/. "$MOSAAJII_SANDBOX{shop.files}/"')
    stale = recovery.create(
        step("r", "restore_backup:FILES"), step("mirror", "hook:mirror", dependencies=["r"], run_kinds=[dr.PlanStep.TEST]),
        step("plain", "wait:0s", dependencies=["mirror"], validation_criteria=[f"file exists {shop.files}/a"]), step("s", "wait:0s", dependencies=["plain"], **looks),
    )  # fmt: skip
    result = recovery.result(recovery.test(stale))
    assert result.overall_status == FAILED and [r.status for r in result.results] == [PASSED, PASSED, PASSED, FAILED], result
    assert f"it is that of the backup {first.id}; restored was {full.id}" in result.message
    # Where nothing was restored, and where none is written.
    result = recovery.result(recovery.test(recovery.create(step("w", "wait:0s", **looks))))
    assert result.overall_status == FAILED and "no step of this run has restored" in result.message
    result = recovery.result(recovery.test(recovery.create(step("r", "restore_backup:FILES", validation_criteria=[f"sentinel {shop.files}/other"]))))
    assert result.overall_status == FAILED and any("BACKUP_SENTINEL is" in text for text in result.recommendations), result


def test_a_sentinel_overwrites_nothing(start, shop):
    shop.settings |= {"BACKUP_FILES_PATHS": shop.files, "BACKUP_SENTINEL": shop.files / "a"}
    client = start(**shop.settings).client()
    record = client.create("FILES")
    warnings = [event.message for event in client.watch(record.id) if event.kind == pb.JobEvent.WARNING]
    assert any("is no sentinel of a backup" in text for text in warnings), warnings
    assert shop.read()[0] == "first"
