"""Copies at another place, here another folder: what lies there, that it survives what happens to it, and that it brings backups back."""

import hashlib
import os
import re
import shutil
import sqlite3
import subprocess

import pytest

from support.api import admin, offsite, pb, refused
from support.data import make_files
from support.program import BIN, CEILING, environment, wait_until

COMPLETED, FAILED, RETRYING, DELETED = (
    offsite.OffsiteBackup.COMPLETED, offsite.OffsiteBackup.FAILED, offsite.OffsiteBackup.RETRYING, offsite.OffsiteBackup.DELETED,
)  # fmt: skip
DATA = re.compile(r"^(packs|moved|keys|backups)/")


def copies(client, **fields):
    return list(client.call(client.offsite.ListOffsiteBackups, offsite.ListOffsiteBackupsRequest(**fields)).offsite_backups)


def wait_for_copy(client, backup_id, status=COMPLETED, location=""):
    def found():
        for copy in copies(client, backup_id=backup_id):
            if copy.status == status and location in copy.location:
                return copy
        return None

    return wait_until(found, f"a copy of {backup_id} with status {status}")


def objects(folder):
    """Names of all objects below a folder, with the SHA-256 of each."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not any(part.startswith(".") for part in name.split("/")):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def data_objects(folder):
    return {name: digest for name, digest in objects(folder).items() if DATA.match(name)}


def same(original, copy):
    result = subprocess.run(["diff", "-r", str(original), str(copy)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture
def bucket(tmp_path):
    folder = tmp_path / "bucket"
    folder.mkdir()
    return folder


@pytest.fixture
def source(tmp_path):
    return make_files(tmp_path / "source", 40, 30_000)


@pytest.fixture
def begin(start, bucket, source):
    def begin_server(**settings):
        return start(**{
            "BACKUP_CONFIG_PATHS": source, "OFFSITE_PROVIDER": "LOCAL_REMOTE", "OFFSITE_BUCKET": bucket, "OFFSITE_RETRY_SECONDS": 1,
        } | settings)  # fmt: skip

    return begin_server


def take(client, **fields):
    record = client.backup("CONFIGURATION", **fields)
    return record, wait_for_copy(client, record.id)


def test_a_backup_goes_offsite_by_itself(begin, bucket, source):
    server = begin()
    client = server.client()
    record, copy = take(client)
    assert record.offsite_enabled
    assert data_objects(bucket) == data_objects(server.repository), "the same bytes, and nothing else"
    assert objects(bucket)["repository"] == objects(server.repository)["repository"]
    assert copy.objects_done == copy.objects_total > 0 and copy.size > 1_000_000
    assert copy.checksum == objects(server.repository)[f"backups/{record.id}"]
    assert copy.location.startswith("file://") and copy.provider == offsite.OffsiteBackup.LOCAL_REMOTE
    assert copy.expires_at.seconds == record.expires_at.seconds
    (entry,) = copy.access_log
    assert entry.success and entry.action == offsite.OffsiteAccess.UPLOAD
    names = [row["action"] for row in server.cli_json("audit", "list")]
    assert "Offsite.UPLOAD" in names


def test_only_what_is_new_is_sent(begin, bucket, source):
    client = begin().client()
    take(client)
    before = {path: path.stat().st_mtime_ns for path in bucket.rglob("packs/*/*")}
    (source / "new.txt").write_bytes(os.urandom(50_000))
    _, copy = take(client)
    after = {path: path.stat().st_mtime_ns for path in bucket.rglob("packs/*/*")}
    assert len(after) > len(before) > 0
    assert {path: after[path] for path in before} == before
    assert copy.size > 1_000_000


def test_a_backup_may_stay_at_home(begin, bucket):
    client = begin().client()
    record = client.backup("CONFIGURATION", offsite_enabled=False)
    assert not record.offsite_enabled
    other, _ = take(client)
    assert copies(client, backup_id=record.id) == []
    answer = client.call(client.offsite.UploadBackup, offsite.UploadBackupRequest(backup_id=record.id, retention_days=7))
    assert answer.backup_id == record.id and answer.retention_days == 7
    copy = wait_for_copy(client, record.id)
    assert copy.expires_at.seconds - copy.uploaded_at.seconds == 7 * 86400
    again = client.call(client.offsite.UploadBackup, offsite.UploadBackupRequest(backup_id=record.id))
    assert again.id == copy.id, "asking again makes no second copy"
    assert other.id != record.id


def test_without_a_provider_it_is_said(start, source):
    client = start(BACKUP_CONFIG_PATHS=source).client()
    record = client.backup("CONFIGURATION")
    code, message, _ = refused(client.call, client.offsite.UploadBackup, offsite.UploadBackupRequest(backup_id=record.id))
    assert code == "FAILED_PRECONDITION" and "OFFSITE_PROVIDER" in message
    code, message, _ = refused(client.create, "CONFIGURATION", offsite_enabled=True)
    assert code == "FAILED_PRECONDITION" and "OFFSITE_PROVIDER" in message
    assert copies(client) == []


def test_wrong_requests_are_named(begin):
    client = begin().client()
    record, copy = take(client)
    absent = "01890000-0000-7000-8000-000000000000"
    stub = client.offsite
    for method, request, code, field in [
        (stub.UploadBackup, offsite.UploadBackupRequest(backup_id="x"), "NOT_FOUND", ""),
        (stub.UploadBackup, offsite.UploadBackupRequest(backup_id=absent), "NOT_FOUND", ""),
        (stub.UploadBackup, offsite.UploadBackupRequest(backup_id=record.id, provider=9), "INVALID_ARGUMENT", "provider"),
        (stub.UploadBackup, offsite.UploadBackupRequest(backup_id=record.id, provider=2), "FAILED_PRECONDITION", ""),
        (stub.UploadBackup, offsite.UploadBackupRequest(backup_id=record.id, retention_days=0), "INVALID_ARGUMENT", "retentionDays"),
        (stub.UploadBackup, offsite.UploadBackupRequest(backup_id=record.id, replication_enabled=True), "FAILED_PRECONDITION", ""),
        (stub.GetOffsiteBackup, offsite.GetOffsiteBackupRequest(offsite_backup_id=absent), "NOT_FOUND", ""),
        (stub.VerifyOffsite, offsite.VerifyOffsiteRequest(offsite_backup_id=copy.id, sample_percent=101), "INVALID_ARGUMENT", "samplePercent"),
        (stub.FetchBackup, offsite.FetchBackupRequest(offsite_backup_id=absent), "NOT_FOUND", ""),
        (stub.DeleteOffsiteBackup, offsite.DeleteOffsiteBackupRequest(offsite_backup_id="../x"), "NOT_FOUND", ""),
        (stub.UpdateOffsitePolicy, offsite.UpdateOffsitePolicyRequest(), "INVALID_ARGUMENT", "policy"),
        (stub.ListOffsiteBackups, offsite.ListOffsiteBackupsRequest(status=99), "INVALID_ARGUMENT", "status"),
    ]:  # fmt: skip
        found, message, fields = refused(client.call, method, request)
        assert found == code and (not field or field in fields), (request, found, message, fields)


def test_a_copy_is_verified_and_healed_from_here(begin, bucket, source):
    client = begin().client()
    record, copy = take(client)
    verify = lambda percent: client.call(  # noqa: E731
        client.offsite.VerifyOffsite, offsite.VerifyOffsiteRequest(offsite_backup_id=copy.id, sample_percent=percent)
    )
    found = verify(100)
    assert found.valid and found.objects_checked == copy.objects_total and found.bytes_checked == copy.size
    first, second = max(bucket.rglob("packs/*/*"), key=lambda path: path.stat().st_size), bucket / f"backups/{record.id}"
    good = first.read_bytes()
    first.chmod(0o600)
    first.write_bytes(good[:1000] + b"X" + good[1001:])
    second.unlink()
    found = verify(100)
    assert not found.valid and not found.checksum_valid and not found.size_valid
    assert len(found.errors) == 2 and list(found.hurt_backups) == [record.id]
    copy = wait_for_copy(client, record.id)
    wait_until(lambda: second.exists() and first.read_bytes() == good, "the copy is whole again")
    wait_for_copy(client, record.id)
    assert verify(100).valid
    assert [entry.success for entry in copies(client, backup_id=record.id)[0].access_log if entry.action == 4] == [True, False, True]


def test_deleting_breaks_no_copy_that_remains(begin, bucket, source):
    server = begin()
    client = server.client()
    first, first_copy = take(client)
    (source / "more.bin").write_bytes(os.urandom(200_000))
    second, second_copy = take(client)
    delete = lambda id: client.call(client.offsite.DeleteOffsiteBackup, offsite.DeleteOffsiteBackupRequest(offsite_backup_id=id))  # noqa: E731
    delete(first_copy.id)
    assert not [name for name in objects(bucket) if first.id in name], "manifest and keys are gone"
    check = client.call(client.offsite.VerifyOffsite, offsite.VerifyOffsiteRequest(offsite_backup_id=second_copy.id, sample_percent=100))
    assert check.valid
    assert refused(delete, first_copy.id)[0] == "FAILED_PRECONDITION"
    answer = delete(second_copy.id)
    # While something else moves to the place, the packs are left to the cleanup, and the answer says so.
    assert answer.bytes_freed > 1_000_000 or "when the running copy has ended" in answer.message
    left = lambda: [name for name in data_objects(bucket) if not name.startswith("keys/repository/")]  # noqa: E731
    wait_until(lambda: left() == [], "nothing of them is left")
    assert {copy.status for copy in copies(client)} == {DELETED}
    assert client.verify(first.id).valid, "what is here stays"


def test_a_backup_that_is_gone_here_comes_back(begin, source):
    server = begin()
    client = server.client()
    record, copy = take(client, tags=["kept"], name="the one")
    deletion = client.delete(record.id)
    assert deletion.message.endswith(f"a copy that can still be opened is left at {copy.location}"), (deletion.message, copy)
    told = client.call(client.admin.ListAuditEntries, admin.ListAuditEntriesRequest(action="Job.DELETE", resource=record.id)).entries
    assert [entry.details["copiesLeftAt"] for entry in told] == [copy.location]
    assert refused(client.get, record.id)[0] == "NOT_FOUND"
    job = client.finish(client.call(client.offsite.FetchBackup, offsite.FetchBackupRequest(offsite_backup_id=copy.id)))
    assert job.status == pb.Job.SUCCEEDED and job.kind == pb.Job.OFFSITE_FETCH, job
    assert client.get(record.id).name == "the one" and list(client.get(record.id).tags) == ["kept"]
    assert client.verify(record.id).valid
    target = server.restore_root / "back"
    client.restore(record.id, target)
    same(source, target / str(source).lstrip("/"))
    actions = [entry.action for entry in copies(client, backup_id=record.id)[0].access_log]
    assert actions == [offsite.OffsiteAccess.UPLOAD, offsite.OffsiteAccess.DOWNLOAD]


def test_damage_here_is_healed_from_there(begin, source):
    server = begin()
    client = server.client()
    first, _ = take(client)
    second, _ = take(client)
    third = client.backup("CONFIGURATION", offsite_enabled=False)
    pack = max(server.repository.rglob("packs/*/*"), key=lambda path: path.stat().st_size)
    good = pack.read_bytes()
    pack.chmod(0o600)
    pack.write_bytes(good[: len(good) // 2] + b"?" + good[len(good) // 2 + 1 :])
    found = client.verify(first.id)
    assert not found.valid
    assert set(found.hurt_backups) == {first.id, second.id, third.id}, "at once, with all that it hurts"
    server.wait_for_log(r"offsite fetch.*status=OK")
    assert pack.read_bytes() == good
    assert client.verify(third.id).valid and client.get(first.id).status == pb.Backup.VERIFIED
    jobs = client.call(client.backups.ListJobs, pb.ListJobsRequest(kind=pb.Job.OFFSITE_FETCH)).jobs
    assert [job.message for job in jobs if "Healed and verified" in job.message]


def test_a_lost_pack_and_manifest_are_healed(begin, source):
    server = begin()
    client = server.client()
    record, _ = take(client)
    for path in [*server.repository.rglob("packs/*/*")]:
        path.unlink()
    assert not client.verify(record.id).valid
    server.wait_for_log(r"offsite fetch.*status=OK")
    assert client.verify(record.id).valid


def test_the_second_location_gets_it_too(begin, bucket, source, tmp_path):
    replica = tmp_path / "replica"
    server = begin(OFFSITE_REPLICA_PROVIDER="LOCAL_REMOTE", OFFSITE_REPLICA_BUCKET=replica)
    replica.mkdir()
    client = server.client()
    record = client.backup("CONFIGURATION")
    copy = wait_for_copy(client, record.id, location="/replica")
    primary = wait_for_copy(client, record.id, location="/bucket")
    assert data_objects(replica) == data_objects(bucket)
    assert primary.replication_status == offsite.OffsiteBackup.REPLICATED
    assert [entry.action for entry in copy.access_log if entry.success] == [offsite.OffsiteAccess.REPLICATE]
    locations = client.call(client.offsite.ListLocations, offsite.ListLocationsRequest()).locations
    assert [(place.name, place.health) for place in locations] == [("primary", 1), ("replica", 1)]
    assert all(place.objects == len(data_objects(bucket)) + 2 and place.lag_seconds == 0 for place in locations)


def test_a_location_that_is_away_is_tried_until_it_is_back(begin, bucket, source, tmp_path):
    replica = tmp_path / "replica"
    server = begin(OFFSITE_REPLICA_PROVIDER="LOCAL_REMOTE", OFFSITE_REPLICA_BUCKET=replica)
    client = server.client()
    record = client.backup("CONFIGURATION")
    waiting = wait_for_copy(client, record.id, RETRYING, "/replica")
    assert "tried again" in waiting.message
    primary = wait_for_copy(client, record.id, location="/bucket")
    assert primary.replication_status == offsite.OffsiteBackup.REPLICATING
    locations = client.call(client.offsite.ListLocations, offsite.ListLocationsRequest()).locations
    assert locations[0].health == 1 and locations[1].health == 3 and locations[1].message
    replica.mkdir()
    copy = wait_for_copy(client, record.id, location="/replica")
    assert copy.message == "" and not copy.access_log[0].success and copy.access_log[-1].success
    jobs = client.call(client.backups.ListJobs, pb.ListJobsRequest(backup_id=record.id, kind=pb.Job.OFFSITE_UPLOAD)).jobs
    assert pb.Job.FAILED in {job.status for job in jobs} and pb.Job.SUCCEEDED in {job.status for job in jobs}


def test_a_disk_that_is_not_mounted_is_not_filled(begin, bucket, source, tmp_path):
    server = begin()
    client = server.client()
    first, _ = take(client)
    # The mount point stays, and is empty. Not while something is being written there.
    server.stop()
    bucket.rename(tmp_path / "disk")
    bucket.mkdir()
    server.start()
    client = server.client()
    record = client.backup("CONFIGURATION")
    waiting = wait_for_copy(client, record.id, RETRYING)
    assert "not mounted" in waiting.message and "tried again" in waiting.message
    server.restart()
    client = server.client()
    location = client.call(client.offsite.ListLocations, offsite.ListLocationsRequest()).locations[0]
    assert location.health == 3 and "not mounted" in location.message
    assert not list(bucket.iterdir()), "something was written below the mount point"
    assert copies(client, backup_id=first.id)[0].status == COMPLETED
    bucket.rmdir()
    (tmp_path / "disk").rename(bucket)
    wait_for_copy(client, record.id)
    assert data_objects(bucket) == data_objects(server.repository)


def test_one_prefix_has_one_writer(begin, start, bucket, source):
    first = begin()
    take(first.client())
    settings = {"BACKUP_CONFIG_PATHS": source, "OFFSITE_PROVIDER": "LOCAL_REMOTE", "OFFSITE_BUCKET": bucket}
    second = start("second", **settings)
    client = second.client()
    record = client.backup("CONFIGURATION")
    copy = wait_for_copy(client, record.id, FAILED)
    assert "another server writes" in copy.message
    before = objects(bucket)
    assert f"backups/{record.id}" not in before
    third = start("third", OFFSITE_PREFIX="other/place", **settings)
    take(third.client())
    assert {name: digest for name, digest in objects(bucket).items() if not name.startswith("other/")}.keys() >= before.keys()


def test_nothing_readable_leaves(begin, bucket, source):
    server = begin()
    marker = b"the quick brown fox jumps over the lazy dog 0123456789"
    (source / "secret-file-name.txt").write_bytes(marker * 200)
    client = server.client()
    take(client, name="a very special backup name", tags=["tag-in-clear"])
    wait_until(lambda: list((bucket / "catalog").glob("*")), "the sealed catalog is there")
    keys = [line.split()[-1] for line in server.keyring.read_text().splitlines()[1:]]
    for path in bucket.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for word in [marker, b"secret-file-name", b"a very special backup name", b"tag-in-clear", server.token.encode(),
                         *(key.encode() for key in keys), *(bytes.fromhex(key) for key in keys)]:  # fmt: skip
                assert word not in content, (path, word)


def test_rotated_keys_go_along(begin, bucket, source):
    server = begin()
    client = server.client()
    record, _ = take(client)
    server.cli("key", "rotate")
    wait_until(lambda: (bucket / f"keys/{record.id}/2").exists(), "the rewrapped key is there")
    wait_until(lambda: not (bucket / f"keys/{record.id}/1").exists(), "the old one is not")
    assert objects(bucket)[f"keys/{record.id}/2"] == objects(server.repository)[f"keys/{record.id}/2"]


def test_a_key_that_only_a_copy_needs_is_not_retired(begin, bucket):
    server = begin()
    client = server.client()
    record, copy = take(client)
    client.delete(record.id)
    server.cli("key", "rotate")
    result = server.cli("key", "retire", "local/1", "--yes", check=1)
    assert "1 offsite copy" in result.stderr, result.stderr
    client.finish(client.call(client.offsite.FetchBackup, offsite.FetchBackupRequest(offsite_backup_id=copy.id)))
    assert client.verify(record.id).valid


def test_a_held_backup_keeps_its_copy(begin):
    server = begin()
    client = server.client()
    record, copy = take(client)
    server.cli("backup", "hold", record.id)
    request = offsite.DeleteOffsiteBackupRequest(offsite_backup_id=copy.id)
    assert refused(client.call, client.offsite.DeleteOffsiteBackup, request)[0] == "FAILED_PRECONDITION"
    server.cli("backup", "hold", record.id, "--off")
    client.call(client.offsite.DeleteOffsiteBackup, request)


def test_copies_expire_by_themselves(begin, bucket, source):
    server = begin()
    client = server.client()
    record, copy = take(client)
    later, last = take(client)
    server.stop()
    # As after many days: the catalog says that they were sent long ago.
    with sqlite3.connect(server.home / "catalog.db") as db:
        db.execute("UPDATE offsite_copies SET retention_days = 1, uploaded_at_ns = 1000000000")
    db.close()
    server.start()
    client = server.client()
    wait_for_copy(client, record.id, DELETED)
    wait_until(lambda: not (bucket / "backups" / record.id).exists(), "its manifest is gone")
    assert client.verify(record.id).valid, "what is here has its own end"
    assert (bucket / "backups" / later.id).exists(), "the last good copy of a source stays"
    assert [row.status for row in copies(client) if row.id == last.id] == [COMPLETED]


def test_command_line(begin, bucket):
    server = begin()
    client = server.client()
    record, copy = take(client)
    (row,) = server.cli_json("offsite", "list")
    assert row["backupId"] == record.id and row["status"] == "COMPLETED" and row["accessLog"][0]["action"] == "UPLOAD"
    assert server.cli_json("offsite", "show", record.id)["id"] == copy.id
    assert server.cli_json("offsite", "verify", "latest", "--percent", "100")["valid"] is True
    (place,) = server.cli_json("offsite", "locations")
    assert place["health"] == "HEALTHY" and place["name"] == "primary"
    assert "daily_30" in server.cli("offsite", "policy").stdout
    assert server.cli_json("offsite", "policy", "daily_30", "--retention-days", "31")[0]["retentionDays"] == 31
    assert server.cli("offsite", "upload", "latest").stdout.strip() == copy.id
    client.delete(record.id)
    assert server.cli("offsite", "fetch", copy.id).returncode == 0
    assert client.get(record.id).name == record.name
    assert copy.id[:13] in server.cli("offsite", "list").stdout
    next(iter(bucket.rglob("packs/*/*"))).unlink()
    assert server.cli("offsite", "verify", copy.id, check=1).returncode == 1
    wait_for_copy(client, record.id)
    server.cli("offsite", "delete", copy.id, check=None)
    assert server.cli_json("offsite", "delete", copy.id, "--yes")["bytesFreed"] > 0
    assert server.cli("offsite", "show", "01890000-0000-7000-8000-000000000000", check=4).returncode == 4


def test_policies_can_be_changed(begin):
    client = begin().client()
    policies = client.call(client.offsite.ListOffsitePolicies, offsite.ListOffsitePoliciesRequest()).policies
    assert [(policy.name, policy.retention_days) for policy in policies] == [("daily_30", 30), ("weekly_90", 90), ("monthly_365", 365)]
    record, copy = take(client, tags=["weekly"], retention_days=3)
    assert copy.expires_at.seconds - copy.uploaded_at.seconds == 90 * 86400, "longer there than here"
    changed = offsite.OffsitePolicy(name="weekly_90", retention_days=100, archive_after_days=7)
    assert client.call(client.offsite.UpdateOffsitePolicy, offsite.UpdateOffsitePolicyRequest(policy=changed)) == changed
    other, copy = take(client, tags=["weekly_90"])
    assert copy.expires_at.seconds - copy.uploaded_at.seconds == 100 * 86400
    unknown = offsite.OffsitePolicy(name="hourly", retention_days=1)
    assert refused(client.call, client.offsite.UpdateOffsitePolicy, offsite.UpdateOffsitePolicyRequest(policy=unknown))[0] == "NOT_FOUND"


def rebuild(home, location, **settings):
    result = subprocess.run(
        [BIN / "mosaajii-server", "--rebuild-catalog", "--from", location],
        env=environment(MOSAAJII_HOME=home, **settings), capture_output=True, text=True, timeout=CEILING,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_everything_comes_back_from_the_bucket_alone(begin, start, bucket, source, tmp_path):
    server = begin()
    client = server.client()
    first, _ = take(client, name="first")
    (source / "more.bin").write_bytes(os.urandom(100_000))
    kept = tmp_path / "kept"
    shutil.copytree(source, kept)
    second, _ = take(client, name="second")
    server.cli("backup", "lock", second.id, "--days", "30")
    token = server.token
    third, copy = take(client, name="third")
    done_ns = copy.uploaded_at.seconds * 10**9 + copy.uploaded_at.nanos
    newest = lambda: max((int(path.name) for path in (bucket / "catalog").glob("*")), default=0)  # noqa: E731
    wait_until(lambda: newest() > done_ns, "the catalog was sealed again")
    server.stop()
    home = tmp_path / "new"
    (home / "keys").mkdir(parents=True, mode=0o700)
    shutil.copy(server.keyring, home / "keys/keyring")
    shutil.rmtree(server.home)
    shutil.rmtree(source)
    said = rebuild(home, f"file://{bucket}")
    assert "3 backups were found" in said and "from its sealed copy" in said and re.search(r"can be restored, \d+\.\d seconds", said), said
    again = start("new", BACKUP_CONFIG_PATHS=source, OFFSITE_PROVIDER="LOCAL_REMOTE", OFFSITE_BUCKET=bucket)
    assert again.client().list(), "whoever brings it back gets in"
    assert again.cli("audit", "verify").returncode == 0, "and the trail hangs together"
    client = again.client(token=token)
    rows = {row.id: row for row in client.list()}
    assert set(rows) == {first.id, second.id, third.id}
    assert rows[second.id].locked_until.seconds > 0, "what only the catalog knew is back"
    for record, content in ((second, kept), (third, kept), (first, None)):
        target = again.restore_root / record.id
        client.restore(record.id, target)
        if content:
            same(content, target / str(source).lstrip("/"))
        assert client.verify(record.id).valid
    # This server writes there now.
    make_files(source, 3, 1000)
    take(client)


def test_without_the_sealed_catalog_the_manifests_do(begin, start, bucket, source, tmp_path):
    server = begin()
    client = server.client()
    record, _ = take(client, name="only one")
    server.stop()
    shutil.rmtree(bucket / "catalog", ignore_errors=True)
    home = tmp_path / "new"
    (home / "keys").mkdir(parents=True, mode=0o700)
    shutil.copy(server.keyring, home / "keys/keyring")
    shutil.rmtree(server.home)
    said = rebuild(home, f"file://{bucket}")
    assert "made anew" in said, said
    again = start("new", BACKUP_CONFIG_PATHS=source, OFFSITE_PROVIDER="LOCAL_REMOTE", OFFSITE_BUCKET=bucket)
    client = again.client()
    (row,) = client.list()
    assert row.id == record.id and row.name == "only one"
    (copy,) = copies(client)
    assert copy.status == COMPLETED
    client.restore(record.id, again.restore_root / "back")
    same(source, again.restore_root / "back" / str(source).lstrip("/"))


def test_a_wrong_place_to_come_back_from_is_named(begin, bucket, tmp_path):
    server = begin()
    take(server.client())
    home = tmp_path / "new"
    run = lambda *words: subprocess.run(  # noqa: E731
        [BIN / "mosaajii-server", *words], env=environment(MOSAAJII_HOME=home), capture_output=True, text=True, timeout=CEILING
    )
    assert "no keyring" in run("--rebuild-catalog", "--from", f"file://{bucket}").stderr
    assert run("--from", "x").returncode == 2
    shutil.copy(server.keyring, home / "keys/keyring")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "there is no repository" in run("--rebuild-catalog", "--from", f"file://{empty}").stderr
    assert run("--rebuild-catalog", "--from", "ftp://x/y").returncode == 1
    # Another repository that has lost the first of its two heads is another one all the same.
    (home / "repo").mkdir(exist_ok=True)
    (home / "repo/repository.copy").write_bytes(b"x" * (bucket / "repository.copy").stat().st_size)
    before = objects(home / "repo")
    assert "holds another repository" in run("--rebuild-catalog", "--from", f"file://{bucket}").stderr
    assert objects(home / "repo") == before
    assert not (home / "catalog.db").exists()
