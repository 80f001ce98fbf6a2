"""Keys: rotation, escrow, sealed keyring, retirement, readiness."""

import os
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from support.api import admin, pb, refused
from support.data import digest, make_files
from support.program import FULL, Server, engine, wait_until


def keys(client):
    return list(client.call(client.admin.ListKeys, admin.ListKeysRequest()).keys)


def rotate(client, wait=True):
    answer = client.call(client.admin.RotateKey, admin.RotateKeyRequest())
    return client.finish(answer.job) if wait else answer.job


def retire(client, key_id):
    return client.call(client.admin.RetireKey, admin.RetireKeyRequest(key_id=key_id))


def actions(client, action):
    answer = client.call(client.admin.ListAuditEntries, admin.ListAuditEntriesRequest(page_size=1000, action=action))
    return list(answer.entries)


def pack_state(server):
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino, path.read_bytes()) for path in (server.repository / "packs").rglob("*") if path.is_file()}


@pytest.fixture
def source(tmp_path):
    return make_files(tmp_path / "source", 10, 3000)


def test_a_repository_that_is_gone_is_not_made_anew_by_looking(start, source):
    server = start(BACKUP_FILES_PATHS=source)
    client = server.client()
    client.backup("FILES")
    away = server.repository.rename(server.home / "away")
    assert refused(keys, client)[0] in ("NOT_FOUND", "UNAVAILABLE", "FAILED_PRECONDITION")
    assert client.backup("FILES", good=False).status == pb.Backup.FAILED
    assert not server.repository.exists()
    away.rename(server.repository)
    assert [key.id for key in keys(client)] == ["local/1"]


def test_rotation_retirement_and_restore(start, source):
    server = start(BACKUP_FILES_PATHS=source)
    client = server.client()
    backups = [client.backup("FILES", name=f"number {number}") for number in range(3)]
    assert [key.id for key in keys(client)] == ["local/1"] and keys(client)[0].backups == 3 and keys(client)[0].created_at.seconds
    before = pack_state(server)
    assert rotate(client).status == pb.Job.SUCCEEDED
    assert pack_state(server) == before
    listed = keys(client)
    assert [(key.id, key.state, key.backups) for key in listed] == [
        ("local/2", admin.KeyVersion.ACTIVE, 3), ("local/1", admin.KeyVersion.DECRYPT_ONLY, 0),
    ]  # fmt: skip
    assert all(client.get(backup.id).key_id == "local/2" for backup in backups)
    assert not list(server.repository.glob("keys/*/1"))
    assert client.backup("FILES").key_id == "local/2"
    assert refused(retire, client, "local/2")[0] == "FAILED_PRECONDITION"
    assert refused(retire, client, "local/9")[0] == "NOT_FOUND"
    assert refused(retire, client, "")[2] == ["keyId"]
    assert retire(client, "local/1").state == admin.KeyVersion.RETIRED
    assert [key.id for key in keys(client)] == ["local/2"]
    server.restart()
    client = server.client()
    for number, backup in enumerate(backups):
        assert client.verify(backup.id).valid
        client.restore(backup.id, server.restore_root / str(number))
        assert digest(f"{server.restore_root}/{number}{source}") == digest(source)
    assert [entry.action for entry in actions(client, "AdminService.RotateKey")] == ["AdminService.RotateKey"]
    assert len(actions(client, "Job.KEY_REWRAP")) == 1
    # From the command line, and seen there.
    assert "local/3" in server.cli("key", "rotate").stdout
    assert server.cli("key", "retire", "local/2", check=None).returncode == 2
    server.cli("key", "retire", "local/2", "--yes")
    assert [key["id"] for key in server.cli_json("key", "list")] == ["local/3"]


def test_a_version_that_is_needed_does_not_retire(start, source):
    server = start(BACKUP_FILES_PATHS=source)
    client = server.client()
    backup = client.backup("FILES")
    job = rotate(client, wait=False)
    # Whatever the rewrapping is at: the version goes when nothing needs it, and not before.
    try:
        retire(client, "local/1")
    except Exception as error:
        assert error.code().name == "FAILED_PRECONDITION"
    client.finish(job)
    assert client.verify(backup.id).valid


@pytest.mark.parametrize("passphrase", [None, "correct horse battery"], ids=["open", "sealed"])
def test_many_changes_at_the_same_time(start, source, passphrase):
    server = start(BACKUP_FILES_PATHS=source, MOSAAJII_MAX_JOBS=4, MOSAAJII_KEYRING_PASSPHRASE=passphrase)
    client = server.client()
    backups = [client.backup("FILES") for _ in range(3)]
    escrow = client.call(client.admin.ExportKeys, admin.ExportKeysRequest(passphrase="a passphrase of some length")).content

    def change(number):
        mine = server.client()
        try:
            if number % 3 == 2:
                request = admin.ImportKeysRequest(passphrase="a passphrase of some length", content=escrow)
                return mine.call(mine.admin.ImportKeys, request) and None
            return mine.call(mine.admin.RotateKey, admin.RotateKeyRequest())
        except grpc.RpcError as error:
            # Whoever does not get its turn is told so, and has changed nothing.
            assert error.code().name == "FAILED_PRECONDITION", error
            return None

    with ThreadPoolExecutor(9) as pool:
        answers = [answer for answer in pool.map(change, range(9)) if answer]
    assert answers
    for answer in answers:
        assert client.finish(answer.job).status == pb.Job.SUCCEEDED
    promised = sorted(answer.key.version for answer in answers)
    assert promised == list(range(2, 2 + len(answers)))
    assert sorted(key.version for key in keys(client)) == [1, *promised]
    server.restart()
    client = server.client()
    for number, backup in enumerate(backups):
        assert client.get(backup.id).key_id == f"local/{promised[-1]}"
        client.restore(backup.id, server.restore_root / str(number))
        assert digest(f"{server.restore_root}/{number}{source}") == digest(source)
    for version in [1, *promised[:-1]]:
        retire(client, f"local/{version}")
    assert client.verify(client.backup("FILES").id).valid and all(client.verify(backup.id).valid for backup in backups)


def test_killed_in_the_middle_and_resumed(start, source):
    count = 1000 if FULL else 60
    server = start(BACKUP_FILES_PATHS=source, MOSAAJII_MAX_JOBS=3)
    client = server.client()
    made = [client.create("FILES", integrity_check_enabled=False) for _ in range(count)]
    for backup in made:
        list(client.watch(backup.id))
    before = pack_state(server)
    client.call(client.admin.RotateKey, admin.RotateKeyRequest())
    # Beside it goes on what goes on.
    beside = client.create("FILES", integrity_check_enabled=False)
    wait_until(lambda: list(server.repository.glob("keys/*/2")), "the rewrapping begins")
    server.kill()
    server.start()
    client = server.client()
    wait_until(lambda: all(key.backups == 0 for key in keys(client) if key.id == "local/1"), "it goes on by itself")
    wait_until(lambda: not list(server.repository.glob("keys/*/1")), "no object of the old version is left")
    retire(client, "local/1")
    after = pack_state(server)
    assert all(after[path] == state for path, state in before.items())
    for backup in made[:: 1 if FULL else 7]:
        assert client.verify(backup.id).valid
    client.restore(made[0].id, server.restore_root / "one")
    assert digest(f"{server.restore_root}/one{source}") == digest(source)
    assert client.get(beside.id).status in (pb.Backup.COMPLETED, pb.Backup.VERIFIED, pb.Backup.FAILED)


def test_escrow_opens_everything_when_the_home_is_lost(start, source, tmp_path):
    server = start(BACKUP_FILES_PATHS=source)
    client = server.client()
    backup = client.backup("FILES")
    rotate(client)
    (tmp_path / "passphrase").write_text("a passphrase of some length\n")
    escrow = tmp_path / "keys.escrow"
    server.cli("key", "export", str(escrow), "--passphrase-file", str(tmp_path / "passphrase"))
    assert escrow.stat().st_mode & 0o777 == 0o600
    text = server.keyring.read_text()
    for line in text.splitlines()[1:]:
        assert line.split()[3].encode() not in escrow.read_bytes()
    assert refused(client.call, client.admin.ExportKeys, admin.ExportKeysRequest(passphrase="short"))[2] == ["passphrase"]
    content = escrow.read_bytes()
    wrong = refused(client.call, client.admin.ImportKeys, admin.ImportKeysRequest(passphrase="another passphrase", content=content))
    assert wrong[0] == "INVALID_ARGUMENT" and wrong[2] == ["passphrase"]
    for bad in (b"", b"x", content[:-1], content[:40] + b"\0" + content[41:]):
        code, _, fields = refused(
            client.call, client.admin.ImportKeys, admin.ImportKeysRequest(passphrase="a passphrase of some length", content=bad)
        )
        assert code == "INVALID_ARGUMENT" and fields == ["content"], bad[:10]
    # A version that was retired too early comes back.
    rotate(client)
    retire(client, "local/2")
    held = len(keys(client))
    told = server.cli("key", "import", str(escrow), "--passphrase-file", str(tmp_path / "passphrase")).stdout
    assert told == f"Added 1 key version: local/2. The keyring holds {held + 1} key versions.\n"
    told = server.cli("key", "import", str(escrow), "--passphrase-file", str(tmp_path / "passphrase")).stdout
    assert told.startswith("Nothing was added") and f"holds {held + 1} key versions" in told
    assert [entry.details["added"] for entry in actions(client, "Keys.Import")] == ["none", "local/2"]
    assert [key.id for key in keys(client)] == ["local/3", "local/2"] or [key.id for key in keys(client)] == ["local/3", "local/2", "local/1"]
    server.cli("key", "export", str(tmp_path / "again"), "--passphrase-file", str(tmp_path / "passphrase"))
    server.stop()
    # Nothing is left but the repository and the copy: the copy is a sealed keyring.
    os.unlink(server.keyring)
    settings = {"MOSAAJII_KEYRING_PASSPHRASE": "a passphrase of some length"}
    arguments = ("restore", "--repository", server.repository, "--keyring", tmp_path / "again", "--backup", backup.id)
    assert engine(*arguments, "--target", tmp_path / "none", check=None).returncode != 0
    engine(*arguments, "--target", tmp_path / "out", **settings)
    assert digest(f"{tmp_path}/out{source}") == digest(source)


def test_a_copy_of_another_installation_is_refused(start, source):
    other = start("other")
    client = other.client()
    foreign = client.call(client.admin.ExportKeys, admin.ExportKeysRequest(passphrase="a passphrase of some length")).content
    other.stop()
    server = start(BACKUP_FILES_PATHS=source)
    client = server.client()
    backup = client.backup("FILES")
    rotate(client)
    retire(client, "local/1")
    # Its version 1 is a number that is free here, and another key.
    request = admin.ImportKeysRequest(passphrase="a passphrase of some length", content=foreign)
    code, message, fields = refused(client.call, client.admin.ImportKeys, request)
    assert code == "INVALID_ARGUMENT" and fields == ["content"] and "another installation" in message
    assert [key.id for key in keys(client)] == ["local/2"] and client.verify(backup.id).valid


def test_a_keyring_is_sealed_once_there_is_a_passphrase(start, source, tmp_path):
    server = start(BACKUP_FILES_PATHS=source)
    client = server.client()
    backup = client.backup("FILES")
    key = server.keyring.read_text().split()[-1]
    server.stop()
    server.settings["MOSAAJII_KEYRING_PASSPHRASE"] = "correct horse battery"
    server.start()
    assert server.keyring.read_bytes()[:4] == b"MESC" and server.keyring.stat().st_mode & 0o777 == 0o600
    client = server.client()
    assert client.verify(backup.id).valid
    rotate(client)
    assert server.keyring.read_bytes()[:4] == b"MESC"
    server.stop()
    for wrong in (None, "something else entirely"):
        other = Server(server.home, **(server.settings | {"MOSAAJII_KEYRING_PASSPHRASE": wrong}))
        other.launch()
        assert other.process.wait(60) != 0
        assert "keyring" in "".join(other.log) or wrong is None
        other.process.stdout.close()
    server.start()
    for path in server.home.rglob("*"):
        if path.is_file():
            assert key.encode() not in path.read_bytes() and b"correct horse" not in path.read_bytes(), path


def test_readiness_and_age(start, source):
    server = start(BACKUP_FILES_PATHS=source)
    client = server.client()
    first, second = client.backup("FILES"), client.backup("FILES")
    server.stop()
    target = server.repository / "keys" / first.id / "1"
    data = bytearray(target.read_bytes())
    data[40] ^= 1
    target.write_bytes(data)
    text = server.keyring.read_text().split("\n")
    parts = text[1].split()
    parts[2] = "2020-01-01T00:00:00.000Z"
    server.keyring.write_text("\n".join([text[0], " ".join(parts), ""]))
    start_line = len(server.log)
    server.start()
    server.wait_for_log("KEY_ROTATION_REQUIRED", start_line)
    client = server.client()
    (failed,) = wait_until(lambda: actions(client, "Alert.ENCRYPTION_FAILED"), "the key that does not open is told")
    assert first.id in failed.details["message"]
    wait_until(lambda: actions(client, "Alert.KEY_ROTATION_REQUIRED"), "the age is told")
    checks = actions(client, "Keys.Check")
    assert checks[0].result == "DATA_LOSS" and "3 keys checked, 1 do not open" in checks[0].details["message"]
    assert client.verify(second.id).valid
