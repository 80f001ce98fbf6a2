"""One contract for all key management services, and what happens when one of them does not do its part."""

import subprocess

import pytest

from support.api import admin, alert, pb, refused
from support.data import digest, make_files
from support.kms import REGION, Aws, Local, Vault
from support.program import BIN, Server, environment


@pytest.fixture(params=[Local, Aws, Vault], ids=["local", "aws", "vault"])
def kms(request):
    service = request.param()
    yield service
    service.close()


@pytest.fixture(params=[Aws, Vault], ids=["aws", "vault"])
def remote(request):
    service = request.param()
    yield service
    service.close()


@pytest.fixture
def source(tmp_path):
    return make_files(tmp_path / "source", 10, 3000)


def keys(client):
    return [key.id for key in client.call(client.admin.ListKeys, admin.ListKeysRequest()).keys]


def actions(client, action):
    return list(client.call(client.admin.ListAuditEntries, admin.ListAuditEntriesRequest(page_size=1000, action=action)).entries)


def rotate(client):
    return client.finish(client.call(client.admin.RotateKey, admin.RotateKeyRequest()).job)


def good(client, server, backup, source, name):
    assert client.verify(backup.id).valid
    client.restore(backup.id, server.restore_root / name)
    assert digest(f"{server.restore_root}/{name}{source}") == digest(source)


def test_contract(start, source, kms):
    server = start(BACKUP_FILES_PATHS=source, **kms.settings())
    client = server.client()
    first = client.backup("FILES")
    assert first.key_id == f"{kms.prefix}/1" and keys(client) == [f"{kms.prefix}/1"]
    good(client, server, first, source, "first")
    assert rotate(client).status == pb.Job.SUCCEEDED
    second = client.backup("FILES")
    assert second.key_id == client.get(first.id).key_id == f"{kms.prefix}/2"
    client.call(client.admin.RetireKey, admin.RetireKeyRequest(key_id=f"{kms.prefix}/1"))
    server.restart()
    client = server.client()
    good(client, server, first, source, "again")
    good(client, server, second, source, "second")
    client.delete(first.id)
    assert client.verify(second.id).valid
    assert client.call(client.admin.VerifyAudit, admin.VerifyAuditRequest()).valid


def test_a_move_from_the_keyring_to_the_service_and_back(start, source, remote):
    server = start(BACKUP_FILES_PATHS=source)
    backup = server.client().backup("FILES")
    server.stop()
    server.settings |= remote.settings()
    server.start()
    client = server.client()
    assert client.verify(backup.id).valid
    assert rotate(client).status == pb.Job.SUCCEEDED
    client.call(client.admin.RetireKey, admin.RetireKeyRequest(key_id="local/1"))
    assert client.get(backup.id).key_id == f"{remote.prefix}/2"
    # No key that opens anything lies on this machine now.
    assert len(server.keyring.read_text().splitlines()) == 2 and f"{remote.prefix}:" in server.keyring.read_text()
    good(client, server, backup, source, "one")
    server.stop()
    server.settings["KMS_PROVIDER"] = "LOCAL"
    server.start()
    client = server.client()
    assert rotate(client).status == pb.Job.SUCCEEDED
    assert client.get(backup.id).key_id == "local/3"
    good(client, server, backup, source, "two")


def fails_and_recovers(server, source, breaking, mending, code=None):
    """While it is broken no backup is made, none is half made, and it is told; afterwards all goes on."""
    client = server.client()
    whole = client.backup("FILES")
    before = {path for path in server.repository.rglob("*") if path.is_file() and "audit" not in path.parts}
    breaking()
    failed = client.backup("FILES", good=False)
    assert failed.status == pb.Backup.FAILED and failed.message and not failed.encrypted_checksum, failed
    after = {path for path in server.repository.rglob("*") if path.is_file() and "audit" not in path.parts}
    assert not [path for path in after - before if path.parts[-2] in ("backups", failed.id) or "packs" in path.parts]
    told = client.call(client.admin.ListAuditEntries, admin.ListAuditEntriesRequest(page_size=100, action="Alert.ENCRYPTION_FAILED"))
    assert told.entries and (code is None or told.entries[0].result == code), told.entries[0]
    mending()
    good(client, server, client.backup("FILES"), source, "after")
    good(client, server, whole, source, "before")
    return failed


def test_key_disabled(start, source, remote):
    server = start(BACKUP_FILES_PATHS=source, **remote.settings())
    fails_and_recovers(server, source, remote.disable, remote.enable,
                       "FAILED_PRECONDITION" if remote.prefix == "aws" else "PERMISSION_DENIED")  # fmt: skip
    remote.disable()
    assert refused(server.client().call, server.client().admin.RotateKey, admin.RotateKeyRequest())[0] in (
        "FAILED_PRECONDITION", "PERMISSION_DENIED",
    )  # fmt: skip
    remote.enable()


@pytest.mark.parametrize("fault, code", [("gone", "UNAVAILABLE"), ("slow", "UNAVAILABLE"), ("throttled", "RESOURCE_EXHAUSTED")])
def test_service_away(start, source, remote, fault, code):
    server = start(BACKUP_FILES_PATHS=source, KMS_TIMEOUT_SECONDS=1, **remote.settings())

    def broken():
        remote.door.seen.clear()
        remote.door.fault = fault

    def mended():
        assert len(remote.door.seen) >= 3, "tried more than once"
        remote.door.fault = None

    fails_and_recovers(server, source, broken, mended, code)


def test_nothing_is_written_before_the_service_has_answered(start, tmp_path, source, remote):
    home = tmp_path / "home"
    server = Server(home, BACKUP_FILES_PATHS=source, KMS_TIMEOUT_SECONDS=1, **remote.settings())

    def refused_start():
        server.launch()
        assert server.process.wait(60) == 1
        server.process.stdout.close()
        assert not server.keyring.exists() and not (home / "repo/keys/repository").exists()

    remote.door.fault = "gone"
    refused_start()
    remote.door.fault = None
    remote.disable()
    refused_start()
    remote.enable()
    # Whatever was tried before, the provider of the start that works is the one.
    server = start(BACKUP_FILES_PATHS=source)
    assert keys(server.client()) == ["local/1"]


def test_restarted_while_the_service_is_away(start, source, remote):
    server = start(BACKUP_FILES_PATHS=source, KMS_TIMEOUT_SECONDS=1, **remote.settings())
    client = server.client()
    whole = client.backup("FILES")
    server.stop()
    remote.door.fault = "gone"
    start_line = len(server.log)
    server.start()
    client = server.client()
    # What the catalog knows is there, and what needs a key says what is missing.
    assert [backup.id for backup in client.call(client.backups.ListBackups, pb.ListBackupsRequest()).backups] == [whole.id]
    assert client.get(whole.id).status == pb.Backup.VERIFIED
    failed = client.backup("FILES", good=False)
    assert failed.status == pb.Backup.FAILED and "the KMS gives no answer" in failed.message
    job = client.call(client.backups.RestoreBackup, pb.RestoreBackupRequest(backup_id=whole.id, target=str(server.restore_root / "away")))
    job = client.finish(job)
    assert job.status == pb.Job.FAILED and "the KMS gives no answer" in job.message
    alerts = client.call(client.alerts.ListAlerts, alert.ListAlertsRequest()).alerts
    assert any(alert.Alert.Type.Name(found.type) == "ENCRYPTION_FAILED" for found in alerts), alerts
    server.wait_for_log("cannot be told", start_line)
    (checked, *_) = actions(client, "Keys.Check")
    assert checked.result == "UNAVAILABLE" and "cannot be told" in checked.details["message"]
    assert not [entry for entry in actions(client, "Alert.ENCRYPTION_FAILED") if entry.result == "DATA_LOSS"]
    told = server.cli("key", "list", check=1).stderr
    assert "the KMS gives no answer" in told and "not reachable" not in told
    told = server.cli("key", "list", check=6, MOSAAJII_SERVER="127.0.0.1:1").stderr
    assert "is not reachable" in told
    remote.door.fault = None
    good(client, server, whole, source, "back")
    assert client.backup("FILES").status == pb.Backup.VERIFIED


def test_a_fault_that_passes_delays_and_nothing_else(start, source, remote):
    server = start(BACKUP_FILES_PATHS=source, **remote.settings())
    client = server.client()
    client.backup("FILES")
    remote.door.seen.clear()
    remote.door.fault = "throttled"
    record = client.create("FILES")
    while not remote.door.seen:
        pass
    remote.door.fault = None
    list(client.watch(record.id))
    assert client.get(record.id).status == pb.Backup.VERIFIED


def test_wrong_region_and_wrong_secret(start, source):
    aws = Aws()
    try:
        server = start(BACKUP_FILES_PATHS=source, **aws.settings())
        backup = server.client().backup("FILES")
        server.stop()
        for changed, code in (
            ({"AWS_KMS_REGION": "us-west-2"}, "region"),
            ({"AWS_SECRET_ACCESS_KEY": "x" * 40}, "signature"),
            ({"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"}, "token"),
        ):
            assert changed.get("AWS_KMS_REGION") != REGION
            result = subprocess.run(
                [BIN / "mosaajii-server"],
                env=environment(**(server.settings | changed)), capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            assert result.returncode == 1 and "AWS KMS answers" in result.stderr, (code, result.stderr)
        server.start()
        assert server.client().verify(backup.id).valid
    finally:
        aws.close()


def test_settings_that_are_missing_are_named(tmp_path):
    for settings, missing in (
        ({"KMS_PROVIDER": "AWS_KMS"}, "AWS_KMS_KEY_ID"),
        ({"KMS_PROVIDER": "AWS_KMS", "AWS_KMS_KEY_ID": "x"}, "AWS_KMS_REGION"),
        ({"KMS_PROVIDER": "VAULT"}, "VAULT_ADDR"),
        ({"KMS_PROVIDER": "VAULT", "VAULT_ADDR": "http://127.0.0.1:1"}, "VAULT_TOKEN"),
    ):
        result = subprocess.run(
            [BIN / "mosaajii-server"], env=environment(MOSAAJII_HOME=tmp_path, MOSAAJII_LISTEN="127.0.0.1:0", **settings),
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert result.returncode == 2 and missing in result.stderr


def test_objects_of_other_backups_do_not_open(start, source, remote):
    server = start(BACKUP_FILES_PATHS=source, **remote.settings())
    client = server.client()
    first, second = client.backup("FILES"), client.backup("FILES")
    target = server.repository / "keys" / first.id / "1"
    target.write_bytes((server.repository / "keys" / second.id / "1").read_bytes())
    assert client.verify(second.id).valid
    found = client.verify(first.id)
    assert not found.encryption_valid and found.checksum_valid
