"""Schedules and retention, over gRPC, REST and the command line, with a server that really takes the backups."""

import datetime
import shutil
import sqlite3
import subprocess
import time

import pytest

from support.api import admin, pb, refused
from support.data import make_files
from support.program import BIN, CEILING, environment, wait_until
from support.rest import Gateway

DAY_NS = 86400 * 10**9


def create(client, **fields):
    backup = fields.pop("backup", None) or pb.CreateBackupRequest(type=pb.Backup.FILES)
    return client.call(client.backups.CreateSchedule, pb.CreateScheduleRequest(schedule=pb.Schedule(backup=backup, **fields)))


def get(client, schedule):
    return client.call(client.backups.GetSchedule, pb.GetScheduleRequest(schedule_id=schedule.id))


def age(server, days, *backup_ids):
    """The server is stopped: its backups become so much older."""
    with sqlite3.connect(server.home / "catalog.db") as catalog:
        for backup_id in backup_ids:
            catalog.execute("UPDATE backups SET created_at_ns = created_at_ns - ? WHERE id = ?", (days * DAY_NS, backup_id))


def audit(client, action):
    return list(client.call(client.admin.ListAuditEntries, admin.ListAuditEntriesRequest(action=action)).entries)


def test_a_run_is_started_and_accounted_for(start, tmp_path):
    server = start(BACKUP_FILES_PATHS=make_files(tmp_path / "source", 5, 1000))
    client = server.client()
    request = pb.CreateBackupRequest(type=pb.Backup.FILES, tags=["kept"], retention_days=7)
    schedule = create(client, name="every minute", cron="* * * * *", backup=request)
    assert len(schedule.next_runs) == 5 and schedule.next_runs[1].seconds - schedule.next_runs[0].seconds == 60
    backup = wait_until(lambda: client.list(tags=["kept"]), "the scheduled backup")[0]
    assert backup.created_by == "schedule:every minute" and backup.retention_days == 7
    list(client.watch(backup.id))
    assert client.get(backup.id).status == pb.Backup.VERIFIED
    schedule = get(client, schedule)
    run = schedule.recent_runs[-1]
    assert (run.state, run.count, run.backup_id) == (pb.ScheduleRun.STARTED, 1, backup.id)
    assert schedule.last_run_at.seconds >= run.due_at.seconds and run.due_at.seconds % 60 == 0
    entry = next(entry for entry in audit(client, "Schedule.Run") if entry.details["backupId"] == backup.id)
    assert entry.actor == "system" and entry.resource == schedule.id

    # Away for two days: what was missed is one row, made up for by one run; nothing runs twice.
    server.stop()
    with sqlite3.connect(server.home / "catalog.db") as catalog:
        catalog.execute("UPDATE schedules SET accounted_until_ns = accounted_until_ns - ?, catch_up = 1", (2 * DAY_NS,))
        catalog.execute("DELETE FROM schedule_runs")
    server.restart()
    client = server.client()
    schedule = wait_until(lambda: (s := get(client, schedule)).recent_runs and s, "the run that makes up")
    runs = list(reversed(schedule.recent_runs))
    # Those of the last minutes are not missed yet, but made one with the run that starts now.
    assert runs[0].state == pb.ScheduleRun.MISSED and runs[0].count >= 2880 - 6
    started = next(index for index, run in enumerate(runs) if run.state == pb.ScheduleRun.STARTED)
    assert all(run.state == pb.ScheduleRun.SKIPPED for run in runs[1:started]) and started <= 2
    assert sum(run.count for run in runs[: started + 1]) == (runs[started].due_at.seconds - runs[0].due_at.seconds) // 60 + 1


def test_schedules_are_managed_over_rest_and_the_command_line(start, tmp_path):
    server = start(BACKUP_FILES_PATHS=make_files(tmp_path / "source", 5, 1000), BACKUP_KEEP_TAGS="long:yearly=10")
    made = server.cli_json(
        "schedule", "create", "--name", "nightly", "--cron", "30 2 * * *", "--time-zone", "Asia/Karachi", "--type", "files",
        "--tag", "night", "--retention-days", "3", "--keep-daily", "7", "--jitter-seconds", "600", "--overlap", "queue", "--catch-up",
        "--blackout", "120 0 9 * * MON-FRI", "--learn-timing",
    )  # fmt: skip
    assert made["cron"] == "30 2 * * *" and made["keep"]["daily"] == 7 and made["overlap"] == "QUEUE" and made["catchUp"]
    for moment in made["nextRuns"]:
        at = datetime.datetime.fromisoformat(moment.replace("Z", "+00:00"))
        assert (at.hour, at.minute) >= (21, 30) and (at.hour, at.minute) <= (21, 40)
    assert server.cli_json("schedule", "list")[0]["name"] == "nightly"
    changed = server.cli_json("schedule", "update", "nightly", "--cron", "@daily", "--keep-weekly", "2", "--no-catch-up")
    assert changed["cron"] == "@daily" and (changed["keep"]["daily"], changed["keep"]["weekly"]) == (7, 2)
    assert changed["timeZone"] == "Asia/Karachi" and not changed.get("catchUp") and changed["backup"]["tags"] == ["night"]
    paused = server.cli_json("schedule", "pause", "nightly")
    assert paused["paused"] and not paused.get("nextRuns")
    assert "runs again" in server.cli("schedule", "resume", "nightly").stdout
    assert "night" in server.cli("schedule", "show", "nightly").stdout
    server.cli("schedule", "show", "nobody", check=4)
    assert "never comes" in server.cli(
        "schedule", "create", "--name", "never", "--cron", "0 0 30 2 *", "--type", "files", check=2
    ).stderr
    assert server.cli_json("retention", "preview", "--schedule", "nightly", "--keep-last", "1")["notes"]

    if (BIN / "mosaajii-gateway").exists():
        gateway = Gateway(server.address)
        try:
            rest = gateway.rest(server.token)
            body = {"name": "weekly", "cron": "0 3 * * SUN", "backup": {"type": "FULL"}, "keep": {"weekly": 4}}
            made = rest.call("POST", "/api/schedules", body).data(201)
            assert made["cron"] == "0 3 * * SUN" and len(made["nextRuns"]) == 5
            assert [item["name"] for item in rest.call("GET", "/api/schedules").data()] == ["weekly", "nightly"]
            made = rest.call("PUT", f"/api/schedules/{made['id']}", body | {"paused": True}).data()
            assert made["paused"] and made["nextRuns"] == []
            types = [item["schedule"]["backup"]["type"] for item in rest.call("GET", "/api/schedules/suggestions").data()]
            assert "INCREMENTAL" in types
            assert rest.call("POST", "/api/retention/preview", {"days": 30}).data()["removals"] == []
            assert rest.call("POST", "/api/schedules", body).status == 409
            assert rest.call("POST", "/api/schedules", body | {"name": "x", "timeZone": "Mars/Base"}).status == 400
            assert rest.call("DELETE", f"/api/schedules/{made['id']}").json["success"]
        finally:
            gateway.stop()
    assert "deleted" in server.cli("schedule", "delete", "nightly").stdout
    assert server.cli_json("schedule", "list") == []


def test_bad_schedules_are_refused_with_the_field(start, tmp_path):
    client = start(BACKUP_FILES_PATHS=make_files(tmp_path / "source", 1, 10)).client()
    good = {"name": "s", "cron": "0 2 * * *"}
    wrong = {
        "name": {"name": ""},
        "cron": {"cron": "0 2 * *"},
        "timeZone": {"time_zone": "../../etc/passwd"},
        "jitterSeconds": {"jitter_seconds": 86401},
        "blackouts": {"blackouts": [pb.BlackoutWindow(cron="* * * * *", duration_minutes=5)]},
        "overlap": {"overlap": 7},
        "keep": {"keep": pb.KeepRules(daily=-1)},
        "retentionDays": {"backup": pb.CreateBackupRequest(type=pb.Backup.FILES, retention_days=0)},
        "type": {"backup": pb.CreateBackupRequest()},
    }
    for field, change in wrong.items():
        code, message, fields = refused(create, client, **(good | change))
        assert (code, fields) == ("INVALID_ARGUMENT", [field]) and message, (field, code, message, fields)
    assert refused(create, client, **good, backup=pb.CreateBackupRequest(type=pb.Backup.DATABASE))[0] == "FAILED_PRECONDITION"
    assert refused(create, client, name="s", cron="*/5 * * * *", jitter_seconds=300)[2] == ["jitterSeconds"]
    assert client.call(client.backups.ListSchedules, pb.ListSchedulesRequest()).schedules == []


def test_retention_removes_what_the_preview_says_and_nothing_else(start, tmp_path):
    server = start(BACKUP_FILES_PATHS=make_files(tmp_path / "source", 20, 10_000), DR_RPO_MINUTES=60)
    client = server.client()
    old, held, locked, middle, new = [client.backup("FILES", retention_days=days) for days in (1, 1, 1, 5, 5)]
    client.call(client.backups.UpdateBackup, pb.UpdateBackupRequest(backup_id=held.id, legal_hold=True))
    until = pb.UpdateBackupRequest(backup_id=locked.id)
    until.locked_until.FromSeconds(int(time.time()) + 86400 * 90)
    client.call(client.backups.UpdateBackup, until)
    server.stop()
    age(server, 3, old.id)
    age(server, 2, held.id, locked.id)
    age(server, 1, middle.id)
    server.restart()
    client = server.client()
    gone = wait_until(lambda: not [b for b in client.list() if b.id == old.id], "the deletion of what is past its retention")
    assert gone and {b.id for b in client.list()} == {held.id, locked.id, middle.id, new.id}
    assert [entry.resource for entry in audit(client, "Retention.Expire")] == [old.id]
    assert wait_until(lambda: [e for e in audit(client, "Job.PRUNE") if e.actor == "retention"], "the prune")

    def preview(**fields):
        return client.call(client.backups.PreviewRetention, pb.PreviewRetentionRequest(**fields))

    # The newest verified one stays for ever, the locked one until its lock ends, the held one for good.
    assert [r.backup_id for r in preview(days=30).removals] == [middle.id]
    assert [r.backup_id for r in preview(days=200).removals] == [middle.id, locked.id]
    removal = preview(days=30).removals[0]
    assert 3.9 * 86400 < removal.removed_at.seconds - time.time() < 4.1 * 86400
    answer = preview(days=30, retention_days=1)
    assert [r.backup_id for r in answer.removals] == [middle.id] and answer.gaps and answer.notes
    answer = preview(days=3, retention_days=1)
    assert answer.removals == [] and any("keep their own" in note for note in answer.notes), "as a schedule that is changed leaves them"
    assert preview(days=30, keep=pb.KeepRules(last=2)).removals == []
    assert refused(preview, days=0)[2] == ["days"] and refused(preview, days=3651)[2] == ["days"]
    assert refused(preview, days=5, schedule_id="01890000-0000-7000-8000-000000000000")[0] == "NOT_FOUND"
    assert refused(preview, days=5, schedule_id="x", tag="y")[2] == ["tag"]


def run_server(server, *arguments):
    result = subprocess.run(
        [BIN / "mosaajii-server", *arguments], env=environment(MOSAAJII_HOME=server.home), capture_output=True, text=True, timeout=CEILING
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize("sealed", [True, False])
def test_a_lost_catalog_comes_back_and_removes_nothing_until_it_is_released(start, tmp_path, sealed):
    server = start(BACKUP_FILES_PATHS=make_files(tmp_path / "source", 20, 10_000))
    client = server.client()
    create(client, name="nightly", cron="0 3 1 1 *", keep=pb.KeepRules(last=7))
    old, held, locked = [client.backup("FILES", retention_days=1) for _ in range(3)]
    client.call(client.backups.UpdateBackup, pb.UpdateBackupRequest(backup_id=held.id, legal_hold=True))
    until = pb.UpdateBackupRequest(backup_id=locked.id)
    until.locked_until.FromSeconds(int(time.time()) + 86400 * 90)
    client.call(client.backups.UpdateBackup, until)
    said_ns = time.time_ns()
    last = client.backup("FILES", retention_days=1)
    folder = server.home / "repo/catalog"
    wait_until(lambda: max((int(path.name) for path in folder.glob("*")), default=0) > said_ns, "the catalog is sealed")
    server.stop()
    for path in server.home.glob("catalog.db*"):
        path.unlink()
    # A log that is left of the lost one is not played into the other.
    (server.home / "catalog.db-wal").write_bytes(b"left")
    if not sealed:
        shutil.rmtree(folder)
    said = run_server(server, "--rebuild-catalog")
    assert ("was opened from its sealed copy" if sealed else "is made anew") in said and "--release-retention" in said, said
    age(server, 3, *(backup.id for backup in (old, held, locked)))
    server.restart()
    client = server.client()

    def alerts():
        return [row for row in server.cli_json("alert", "list", "--type", "RETENTION_VIOLATION") if "--release-retention" in row["message"]]

    wait_until(alerts, "the alert that says how it goes on")
    rows = {row.id: row for row in client.list()}
    assert set(rows) == {old.id, held.id, locked.id, last.id}, "nothing is removed"
    schedules = client.call(client.backups.ListSchedules, pb.ListSchedulesRequest()).schedules
    assert [schedule.keep.last for schedule in schedules] == ([7] if sealed else [])
    assert rows[held.id].legal_hold == sealed and (rows[locked.id].locked_until.seconds > 0) == sealed
    server.stop()
    assert "goes on" in run_server(server, "--release-retention")
    assert "was not held back" in run_server(server, "--release-retention")
    server.restart()
    client = server.client()
    left = {held.id, locked.id, last.id} if sealed else {last.id}
    wait_until(lambda: {row.id for row in client.list()} == left, "what is past its retention goes")
    assert len(alerts()) == 1 and alerts()[0]["resolvedAt"]


def test_wrong_rules_of_tags_keep_the_server_from_starting(tmp_path):
    from support.program import Server

    server = Server(tmp_path / "home", BACKUP_KEEP_TAGS="nightly:dayly=7")
    server.launch()
    assert server.process.wait(60) == 2
    wait_until(lambda: "BACKUP_KEEP_TAGS" in server.log_text(), "the reason")


@pytest.mark.parametrize("role", ["VIEWER", "OPERATOR"])
def test_only_administrators_change_schedules(start, tmp_path, role):
    server = start(BACKUP_FILES_PATHS=make_files(tmp_path / "source", 1, 10))
    secret = server.cli_json("token", "create", "--name", "t", "--role", role)["secret"]
    client = server.client(secret)
    assert refused(create, client, name="s", cron="@daily")[0] == "PERMISSION_DENIED"
    assert client.call(client.backups.ListSchedules, pb.ListSchedulesRequest()).schedules == []
    assert client.call(client.backups.SuggestSchedules, pb.SuggestSchedulesRequest()).suggestions
