"""A server whose home and machine are lost, and another that takes its place: what stands nowhere but in the catalog comes back with it."""

import json
import os
import shutil
import time

import pytest

from integration.test_offsite import rebuild, same, take
from support.api import admin, offsite, pb, refused
from support.api import recovery as dr
from support.data import make_files
from support.program import wait_until
from support.recovery import Recovery, Run, Step, states, step


@pytest.fixture
def bucket(tmp_path):
    folder = tmp_path / "bucket"
    folder.mkdir()
    return folder


@pytest.fixture
def source(tmp_path):
    return make_files(tmp_path / "source", 20, 20_000)


@pytest.fixture
def settings(bucket, source):
    return {
        "BACKUP_CONFIG_PATHS": source, "OFFSITE_PROVIDER": "LOCAL_REMOTE", "OFFSITE_BUCKET": bucket, "OFFSITE_RETRY_SECONDS": 1,
    }  # fmt: skip


def newest(bucket):
    """When the newest sealed catalog there began to be made."""
    return max((int(path.name) for path in (bucket / "catalog").glob("*") if path.name.isdigit()), default=0)


def revive(server, start, settings, bucket, tmp_path, name="new"):
    """The machine is lost; another one with only the keyring takes its place."""
    home = tmp_path / name
    (home / "keys").mkdir(parents=True, mode=0o700)
    shutil.copy(server.keyring, home / "keys/keyring")
    shutil.rmtree(server.home)
    said = rebuild(home, f"file://{bucket}", **settings)
    assert "from its sealed copy" in said, said
    return start(name, **settings)


def token(client, name, role="VIEWER"):
    return client.call(client.admin.CreateToken, admin.CreateTokenRequest(name=name, role=admin.Token.Role.Value(role)))


def test_each_change_is_at_the_place_soon(start, settings, bucket, tmp_path):
    server = start(**settings)
    client = server.client()
    recovery = Recovery(client)
    record, _ = take(client)
    made = {}

    def plan():
        made["plan"] = recovery.create(
            step("look", "verify_backup:CONFIGURATION"), step("confirm", assignee="the manager", validation_criteria=["a sale can be made"]),
            name="kept", contacts=[dr.Contact(name="The manager", role="manager", email="manager@example.com", priority=1)],
        )  # fmt: skip

    def edit():
        changed = dr.Plan()
        changed.CopyFrom(made["plan"])
        changed.name = "kept and changed"
        made["plan"] = recovery.call("UpdatePlan", plan_id=made["plan"].id, plan=changed)

    def another():
        made["gone"] = recovery.create(step("wait", "wait:1s"), name="to go")

    def run():
        run = recovery.until(recovery.execute(made["plan"], reason="the roof leaks"), "confirm", Step.WAITING)
        recovery.call("ApproveStep", execution_id=run.id, step_id="confirm", note="sold a coffee")
        made["run"] = recovery.end(run)
        assert made["run"].status == Run.COMPLETED

    def schedule():
        wanted = pb.Schedule(name="nightly", cron="0 3 * * *", backup=pb.CreateBackupRequest(type=pb.Backup.CONFIGURATION))
        made["schedule"] = client.call(client.backups.CreateSchedule, pb.CreateScheduleRequest(schedule=wanted))

    def policy():
        changed = offsite.OffsitePolicy(name="weekly_90", retention_days=100)
        client.call(client.offsite.UpdateOffsitePolicy, offsite.UpdateOffsitePolicyRequest(policy=changed))

    changes = [
        plan, edit, another, run, schedule, policy,
        lambda: recovery.call("DeletePlan", plan_id=made["gone"].id),
        lambda: made.update(token=token(client, "kept"), revoked=token(client, "revoked")),
        lambda: client.call(client.admin.RevokeToken, admin.RevokeTokenRequest(token_id=made["revoked"].token.id)),
        lambda: server.cli("backup", "hold", record.id),
    ]  # fmt: skip
    for number, change in enumerate(changes):
        change()
        done_ns = time.time_ns()
        wait_until(lambda done_ns=done_ns: newest(bucket) > done_ns or None, f"change {number} is at the place")
    report = json.loads(server.cli("dr", "report", made["run"].id).stdout.splitlines()[0])
    server.kill()

    again = revive(server, start, settings, bucket, tmp_path)
    client = again.client()
    recovery = Recovery(client)
    assert list(recovery.call("ListPlans").plans) == [recovery.call("GetPlan", plan_id=made["plan"].id)] == [made["plan"]]
    (kept,) = recovery.call("ListPlans").plans
    assert kept.version == 2 and kept.contacts[0].email == "manager@example.com"
    assert list(kept.steps[1].validation_criteria) == ["a sale can be made"]
    assert recovery.get(made["run"]) == made["run"] and len(made["run"].logs) > 3, "with all that was logged"
    assert [run.id for run in recovery.call("ListExecutions").executions] == [made["run"].id]
    assert json.loads(again.cli("dr", "report", made["run"].id).stdout.splitlines()[0]) == report
    schedules = client.call(client.backups.ListSchedules, pb.ListSchedulesRequest()).schedules
    assert [(one.id, one.cron) for one in schedules] == [(made["schedule"].id, "0 3 * * *")]
    policies = client.call(client.offsite.ListOffsitePolicies, offsite.ListOffsitePoliciesRequest()).policies
    assert {policy.name: policy.retention_days for policy in policies}["weekly_90"] == 100
    assert again.client(token=made["token"].secret).list()
    assert refused(again.client(token=made["revoked"].secret).list)[0] == "UNAUTHENTICATED"
    assert client.get(record.id).legal_hold


def test_a_change_that_the_server_was_killed_after_is_sealed_by_the_next(start, settings, bucket):
    server = start(**settings)
    client = server.client()
    take(client)
    before = token(client, "before")
    assert before.secret
    wait_until(lambda: newest(bucket), "a sealed catalog is there")
    # One that cannot be sealed: the place where it is copied to is gone.
    scratch = server.home / "scratch"
    scratch.rename(server.home / "away")
    plan = Recovery(client).create(step("wait", "wait:1s"))
    done_ns = time.time_ns()
    server.wait_for_log("the catalog could not be sealed")
    assert newest(bucket) < done_ns
    server.kill()
    (server.home / "away").rename(scratch)
    server.start()
    wait_until(lambda: newest(bucket) > done_ns, "the next server seals it")
    assert Recovery(server.client()).call("GetPlan", plan_id=plan.id) == plan


def test_a_run_of_the_lost_server_is_not_gone_on_with(start, settings, bucket, source, tmp_path):
    server = start(**settings)
    recovery = Recovery(server.client())
    take(recovery.client)
    plan = recovery.create(
        step("confirm"), step("files", "restore_backup:CONFIGURATION", dependencies=["confirm"]),
        contacts=[dr.Contact(name="The manager", email="manager@example.com", priority=1)],
    )  # fmt: skip
    run = recovery.until(recovery.execute(plan), "confirm", Step.WAITING)
    done_ns = time.time_ns()
    token(recovery.client, "so that it is sealed")
    wait_until(lambda: newest(bucket) > done_ns, "the run is in a sealed catalog")
    server.kill()
    again = revive(server, start, settings, bucket, tmp_path)
    recovery = Recovery(again.client())
    run = recovery.end(run)
    assert run.status == Run.FAILED and "The server that ran it is lost" in run.message, run
    assert states(run) == {"confirm": "CANCELLED", "files": "CANCELLED"}
    assert json.loads(again.cli("dr", "report", run.id).stdout.splitlines()[0])["status"] == "FAILED"
    # The plan itself is of use at once.
    (source / "part-0/file-00000.dat").write_bytes(os.urandom(10))
    kept = shutil.copytree(source, tmp_path / "kept")
    run = recovery.until(recovery.execute(plan), "confirm", Step.WAITING)
    recovery.call("ApproveStep", execution_id=run.id, step_id="confirm")
    assert recovery.end(run).status == Run.COMPLETED
    assert (source / "part-0/file-00000.dat").stat().st_size == 20_000
    shutil.copy(source / "part-0/file-00000.dat", kept / "part-0/file-00000.dat")
    same(kept, source)


def test_what_lies_offsite_only_is_no_damage(start, settings, bucket, source, tmp_path):
    server = start(**settings)
    client = server.client()
    older, _ = take(client)
    shutil.rmtree(source)
    make_files(source, 20, 20_000, seed=7)
    newer, copy = take(client)
    done_ns = copy.uploaded_at.ToNanoseconds()
    wait_until(lambda: newest(bucket) > done_ns, "the catalog is sealed again")
    server.stop()
    again = revive(server, start, settings, bucket, tmp_path)
    client = again.client()
    file = f"{source}/part-0/file-00000.dat"
    calls = [
        lambda: client.call(client.backups.ListFiles, pb.ListFilesRequest(backup_id=older.id, path=str(source))),
        lambda: client.call(client.backups.DiffBackups, pb.DiffBackupsRequest(base_backup_id=older.id, backup_id=newer.id)),
        lambda: list(client.call(client.backups.ReadFile, pb.ReadFileRequest(backup_id=older.id, path=file))),
    ]
    advice = f"mosaajii offsite fetch {older.id}"
    for call in calls:
        code, message, _ = refused(call)
        assert code == "FAILED_PRECONDITION" and "lies offsite only" in message and message.endswith(advice), message
    assert client.call(client.backups.ListFiles, pb.ListFilesRequest(backup_id=newer.id, path=str(source))).files

    check = lambda: client.finish(client.call(client.backups.CheckRepository, pb.CheckRepositoryRequest(sample_percent=100)))  # noqa: E731
    job = check()
    assert job.status == pb.Job.SUCCEEDED and "1 backup lies offsite only" in str(job), job
    fetches = lambda: client.call(client.backups.ListJobs, pb.ListJobsRequest(kind=pb.Job.OFFSITE_FETCH)).jobs  # noqa: E731
    assert not fetches() and client.get(older.id).status in (pb.Backup.COMPLETED, pb.Backup.VERIFIED)

    # What is to be here and is not is damage as before, and comes back.
    for pack in again.repository.glob("packs/*/*"):
        pack.unlink()
    job = check()
    assert job.status == pb.Job.FAILED, job
    again.wait_for_log("offsite fetch.*status=OK")
    assert client.verify(newer.id).valid

    again.cli(*advice.split()[1:])
    for call in calls:
        assert call()
    job = check()
    assert job.status == pb.Job.SUCCEEDED and "offsite only" not in str(job), job
