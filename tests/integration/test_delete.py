"""Deleting frees what nobody else needs, says how much, and hurts nobody else."""

import shutil

from support.api import pb, refused
from support.data import digest, make_files, objects
from support.program import engine


def test_frees_what_no_other_backup_needs(start, tmp_path):
    source = make_files(tmp_path / "source", 100, 60_000, seed=51)
    server = start(BACKUP_FILES_PATHS=source)
    client = server.client()
    first = client.backup("FILES", name="first")
    alone = objects(server.repository)
    # The second shares half with the first.
    for path in sorted(source.rglob("*.dat"))[50:]:
        path.unlink()
    make_files(source / "new", 60, 60_000, seed=52)
    state = digest(source)
    second = client.backup("FILES", name="second")
    third = client.backup("FILES", name="third")
    before = objects(server.repository)

    answer = client.delete(second.id)
    assert answer.message and "\n" not in answer.message
    after = objects(server.repository)
    assert sum(before.values()) - sum(after.values()) == answer.bytes_freed
    assert not [path for path in after if second.id in path], "manifest and key are gone"
    # The third needs all that the second needed, but for the tree where a directory above the source has changed meanwhile.
    assert len(answer.packs_removed) <= 2 and answer.bytes_freed < 20_000, answer
    packs = {path.rsplit("/", 1)[1] for path in before if path.startswith("packs/")}
    assert answer.packs_kept and set(answer.packs_kept) <= packs
    assert refused(client.get, second.id)[0] == "NOT_FOUND"
    assert [record.id for record in client.list()] == [third.id, first.id]
    assert client.verify(first.id).valid and client.verify(third.id).valid

    before = objects(server.repository)
    answer = client.delete(third.id)
    after = objects(server.repository)
    assert sum(before.values()) - sum(after.values()) == answer.bytes_freed > 60 * 60_000
    assert {path.rsplit("/", 1)[1] for path in before if path.startswith("packs/") and path not in after} == set(answer.packs_removed)
    assert client.verify(first.id).valid
    client.restore(first.id, server.restore_root / "first")
    assert len(digest(f"{server.restore_root}/first{source}")) == 100
    assert set(alone) == set(after)

    answer = client.delete(first.id)
    assert not [path for path in objects(server.repository) if not path.startswith("keys/repository")]
    assert client.list() == []
    # The repository goes on.
    client.restore(client.backup("FILES").id, server.restore_root / "again")
    assert digest(f"{server.restore_root}/again{source}") == state


def test_deleted_backup_is_unreadable_without_the_server_too(start, tmp_path):
    source = make_files(tmp_path / "source", 20, 60_000)
    server = start(BACKUP_FILES_PATHS=source)
    client = server.client()
    backup, other = client.backup("FILES"), client.backup("FILES")
    client.delete(backup.id)
    server.stop()
    arguments = ("restore", "--repository", server.repository, "--keyring", server.keyring)
    assert engine(*arguments, "--backup", backup.id, "--target", tmp_path / "out", check=None).returncode != 0
    engine(*arguments, "--backup", other.id, "--target", tmp_path / "other")
    assert digest(f"{tmp_path}/other{source}") == digest(source)


def test_delete_beside_a_running_backup(start, tmp_path):
    source = make_files(tmp_path / "source", 40, 60_000, seed=53)
    server = start(BACKUP_CONFIG_PATHS=source, BACKUP_FILES_PATHS=f"/usr/share:{source}")
    client = server.client()
    small = client.backup("CONFIGURATION")
    running = client.create("FILES", integrity_check_enabled=False)
    stream = client.watch(running.id)
    for event in stream:
        if event.kind == pb.JobEvent.PROGRESS and event.progress.bytes_done > 0:
            break
    # The running one may refer to what the deleted one has written: nothing may be taken from under it.
    answer = client.delete(small.id)
    assert answer.bytes_freed + answer.bytes_pending > 0
    list(stream)
    assert client.verify(running.id).valid
    client.restore(running.id, server.restore_root / "run", include=[str(source)])
    assert digest(f"{server.restore_root}/run{source}") == digest(source)


def test_running_backup_itself_is_not_deleted(start):
    server = start(BACKUP_FILES_PATHS="/usr/share")
    client = server.client()
    running = client.create("FILES", integrity_check_enabled=False)
    stream = client.watch(running.id)
    next(event for event in stream if event.kind == pb.JobEvent.STARTED)
    assert refused(client.delete, running.id)[0] == "FAILED_PRECONDITION"
    client.call(client.backups.CancelBackup, pb.CancelBackupRequest(backup_id=running.id))
    list(stream)
    # What is left of it is a row, and goes.
    client.delete(running.id)
    assert refused(client.get, running.id)[0] == "NOT_FOUND"


def test_backups_beside_each_other_are_whole(start, tmp_path):
    source = make_files(tmp_path / "source", 200, 60_000, seed=54)
    server = start(BACKUP_FILES_PATHS=source, MOSAAJII_MAX_JOBS=4)
    client = server.client()
    records = [client.create("FILES", name=f"number {number}") for number in range(4)]
    for record in records:
        list(client.watch(record.id))
    for number, record in enumerate(records):
        assert client.get(record.id).status == pb.Backup.VERIFIED
        if number < 3:
            client.delete(record.id)
    last = records[-1]
    assert client.verify(last.id).valid
    client.restore(last.id, server.restore_root / "last")
    assert digest(f"{server.restore_root}/last{source}") == digest(source)
    shutil.rmtree(server.restore_root / "last")
