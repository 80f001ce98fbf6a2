"""Copies on real servers of every protocol: what lies there, cut connections, locks, and a server that comes back from there."""

import base64
import contextlib
import http.client
import shutil
import sqlite3
import subprocess
from xml.etree import ElementTree

import pytest

from integration.test_offsite import COMPLETED, DELETED, RETRYING, copies, same, take, wait_for_copy
from support.api import alert, offsite, pb, refused
from support.data import make_files
from support.program import BIN, CEILING, environment, wait_until
from support.stores import S3, Azure, Gcs, Moto, Sftp, running


@pytest.fixture
def s3():
    with running(S3) as server:
        yield server


@pytest.fixture
def source(tmp_path):
    return make_files(tmp_path / "source", 40, 30_000)


def keys(s3, bucket="backups"):
    pages = s3.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {item["Key"] for page in pages for item in page.get("Contents", [])}


def test_exactly_what_is_needed_is_there(s3, start, source):
    server = start(**s3.settings(), BACKUP_CONFIG_PATHS=source)
    client = server.client()
    _, copy = take(client)
    there = {name.removeprefix("shop/one/") for name in keys(s3)}
    here = {path.relative_to(server.repository).as_posix() for path in server.repository.rglob("*") if path.is_file()}
    here = {name for name in here if not name.startswith(("index/", "lock/", "tmp/", "audit/", "catalog/"))}
    assert here | {"writer"} == {name for name in there if not name.startswith("catalog/")}
    found = client.call(client.offsite.VerifyOffsite, offsite.VerifyOffsiteRequest(offsite_backup_id=copy.id))
    assert found.valid and found.objects_checked == copy.objects_total


LOCATIONS = {
    S3: lambda server: "s3://backups/shop/one",
    Azure: lambda server: "azure://backups/shop/one",
    Gcs: lambda server: "gs://backups/shop/one",
    Sftp: lambda server: f"sftp://{server.user}@127.0.0.1:{server.port}{server.folder}/shop/one",
}


@pytest.mark.parametrize("kind", LOCATIONS)
def test_there_and_back(kind, start, source, tmp_path):
    with running(kind) as provider:
        settings = provider.settings() | {"OFFSITE_RETRY_SECONDS": 1, "BACKUP_CONFIG_PATHS": source}
        server = start(**settings)
        client = server.client()
        record, copy = take(client)
        found = client.call(client.offsite.VerifyOffsite, offsite.VerifyOffsiteRequest(offsite_backup_id=copy.id, sample_percent=100))
        assert found.valid and found.bytes_checked == copy.size
        server.stop()
        home = tmp_path / "new"
        (home / "keys").mkdir(parents=True, mode=0o700)
        shutil.copy(server.keyring, home / "keys/keyring")
        shutil.rmtree(server.home)
        result = subprocess.run(
            [BIN / "mosaajii-server", "--rebuild-catalog", "--from", LOCATIONS[kind](provider)],
            env=environment(MOSAAJII_HOME=home, **settings), capture_output=True, text=True, timeout=CEILING,
        )  # fmt: skip
        assert result.returncode == 0 and "can be restored" in result.stdout, result.stdout + result.stderr
        again = start("new", **settings)
        client = again.client()
        (known,) = copies(client)
        assert known.backup_id == record.id and known.location == copy.location, "the place is known by the same name"
        client.restore(record.id, again.restore_root / "back")
        same(source, again.restore_root / "back" / str(source).lstrip("/"))
        second, _ = take(client)
        client.delete(record.id)
        job = client.finish(client.call(client.offsite.FetchBackup, offsite.FetchBackupRequest(offsite_backup_id=known.id)))
        assert job.status == pb.Job.SUCCEEDED and client.verify(record.id).valid
        client.call(client.offsite.DeleteOffsiteBackup, offsite.DeleteOffsiteBackupRequest(offsite_backup_id=known.id))
        assert client.verify(second.id).valid
        again.stop()


def azure_tiers(azure):
    """Name and tier of every blob, as Azurite lists them."""
    connection = http.client.HTTPConnection("127.0.0.1", azure.port, timeout=CEILING)
    connection.request("GET", f"/{azure.ACCOUNT}/backups?restype=container&comp=list&{azure.sas()}")
    listed = ElementTree.fromstring(connection.getresponse().read().decode("utf-8-sig"))
    return {blob.findtext("Name"): blob.findtext("Properties/AccessTier") for blob in listed.iter("Blob")}


def s3_classes(s3):
    return {item["Key"]: item["StorageClass"] for item in s3.client().list_objects_v2(Bucket="backups")["Contents"]}


# What archived packs are called, how to see it, and that these servers make them ready at once when they are asked.
ARCHIVES = {Azure: ("Archive", azure_tiers), Moto: ("GLACIER", s3_classes)}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archived_copy_comes_back(kind, start, source):
    with running(kind) as provider:
        server = start(**provider.settings(), BACKUP_CONFIG_PATHS=source)
        client = server.client()
        record, copy = take(client, tags=["weekly_90"])
        policy = offsite.OffsitePolicy(name="weekly_90", retention_days=90, archive_after_days=7)
        client.call(client.offsite.UpdateOffsitePolicy, offsite.UpdateOffsitePolicyRequest(policy=policy))
        server.stop()
        # As after eight days.
        with contextlib.closing(sqlite3.connect(server.home / "catalog.db")) as db, db:
            db.execute("UPDATE offsite_copies SET uploaded_at_ns = uploaded_at_ns - 8 * 86400 * 1000000000")
        server.start()
        client = server.client()
        wait_for_copy(client, record.id, offsite.OffsiteBackup.ARCHIVED)
        cold, look = ARCHIVES[kind]
        classes = look(provider)
        packs = {name for name in classes if "/packs/" in name}
        assert packs and {name for name, word in classes.items() if word == cold} == packs, "packs, and nothing else, are archived"
        found = client.call(client.offsite.VerifyOffsite, offsite.VerifyOffsiteRequest(offsite_backup_id=copy.id, sample_percent=100))
        assert found.valid and found.objects_checked == copy.objects_total, "what can be told without thawing"
        client.delete(record.id)
        job = client.finish(client.call(client.offsite.FetchBackup, offsite.FetchBackupRequest(offsite_backup_id=copy.id)))
        assert job.status == pb.Job.SUCCEEDED, job.message
        assert client.verify(record.id).valid
        client.restore(record.id, server.restore_root / "back")
        same(source, server.restore_root / "back" / str(source).lstrip("/"))


def test_cut_off_it_goes_on(s3, start, source):
    server = start(**s3.settings(), OFFSITE_RETRY_SECONDS=1, BACKUP_CONFIG_PATHS=source, OFFSITE_TIMEOUT_SECONDS=5)
    client = server.client()
    take(client)
    s3.stop()
    make_files(source / "more", 20, 50_000, seed=9)
    record = client.backup("CONFIGURATION")
    server.wait_for_log("an offsite location is tried again")
    s3.run()
    copy = wait_for_copy(client, record.id)
    assert copy.objects_done == copy.objects_total


def wrong_secret(s3, folder):
    return {"AWS_SECRET_ACCESS_KEY": "another-secret"}


def wrong_key(azure, folder):
    return {"AZURE_STORAGE_KEY": base64.b64encode(b"another-secret of the same length").decode()}


def wrong_account(gcs, folder):
    key = subprocess.run(["openssl", "genrsa", "2048"], capture_output=True, text=True, check=True, timeout=CEILING).stdout
    gcs.write_account(folder / "another-secret.json", key)
    return {"GOOGLE_APPLICATION_CREDENTIALS": folder / "another-secret.json"}


def changed_host(sftp, folder):
    sftp.make_key(folder / "other-host")
    sftp.know(folder / "known", folder / "other-host.pub")
    return {"SFTP_KNOWN_HOSTS": folder / "known"}


def missing_bucket(server, folder):
    return {"OFFSITE_BUCKET": f"{server.folder}/missing" if isinstance(server, Sftp) else "missing"}


WRONG = [(S3, wrong_secret), (Azure, wrong_key), (Gcs, wrong_account), (Sftp, changed_host)] + [(kind, missing_bucket) for kind in LOCATIONS]


@pytest.mark.parametrize("kind, wrong", WRONG, ids=lambda value: value.__name__)
def test_what_is_wrong_with_a_location_is_told_until_it_is_put_right(kind, wrong, start, source, tmp_path):
    def is_open(client):
        found = client.call(client.alerts.ListAlerts, alert.ListAlertsRequest(type=alert.Alert.OFFSITE_FAILED, page_size=100)).alerts
        assert all("another-secret" not in one.message for one in found)
        return any(not one.HasField("resolved_at") for one in found)

    with running(kind) as provider:
        right = provider.settings() | {"OFFSITE_RETRY_SECONDS": 60, "BACKUP_CONFIG_PATHS": source}
        server = start(**right | wrong(provider, tmp_path))
        client = server.client()
        record = client.backup("CONFIGURATION")
        copy = wait_for_copy(client, record.id, RETRYING)
        assert copy.message and "another-secret" not in copy.message
        (location,) = client.call(client.offsite.ListLocations, offsite.ListLocationsRequest()).locations
        assert location.health == offsite.OffsiteLocation.UNHEALTHY and location.message and "another-secret" not in location.message
        assert is_open(client) and "another-secret" not in server.log_text()
        server.stop()
        server.settings = server.settings | {name: str(value) for name, value in right.items()}
        server.start()
        client = server.client()
        if wrong is missing_bucket:
            # Another location: what was to go to the one that never was is given up, and goes to this one.
            wait_until(lambda: [one for one in copies(client, backup_id=record.id) if one.status == COMPLETED], "a copy at the right location")
        else:
            # At once, not after the pause, that it had been told.
            client.call(client.offsite.UploadBackup, offsite.UploadBackupRequest(backup_id=record.id))
            wait_for_copy(client, record.id)
            wait_until(lambda: not is_open(client), "the alert is resolved")
        # Before the folder of the provider goes.
        server.stop()


def test_locks_hold_and_grow(s3, start, source):
    server = start(**s3.settings("locked"), OFFSITE_LOCK_DAYS=7, BACKUP_CONFIG_PATHS=source)
    client = server.client()
    record, copy = take(client)
    assert copy.locked_until.seconds > copy.uploaded_at.seconds + 6 * 86400
    code, message, _ = refused(
        client.call, client.offsite.DeleteOffsiteBackup, offsite.DeleteOffsiteBackupRequest(offsite_backup_id=copy.id)
    )
    assert code == "FAILED_PRECONDITION" and "locked until" in message
    manifest = f"shop/one/backups/{record.id}"
    lock = s3.client().get_object_retention(Bucket="locked", Key=manifest)["Retention"]
    assert lock["RetainUntilDate"].timestamp() > copy.uploaded_at.seconds + 6 * 86400
    server.stop()
    # With longer locks, those that are there grow.
    server.settings["OFFSITE_LOCK_DAYS"] = 70
    server.start()
    client = server.client()
    wait_until(lambda: copies(client)[0].locked_until.seconds > copy.uploaded_at.seconds + 60 * 86400, "the lock has grown")
    lock = s3.client().get_object_retention(Bucket="locked", Key=manifest)["Retention"]
    assert lock["RetainUntilDate"].timestamp() > copy.uploaded_at.seconds + 60 * 86400
    assert copies(client)[0].status != DELETED and client.get(record.id).status == pb.Backup.VERIFIED
