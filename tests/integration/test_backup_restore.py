"""What goes in comes out: files with all they have, databases as of one moment, and the second time almost for nothing."""

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from support.api import GOOD, pb, refused
from support.data import (
    ROOT_USER, Shop, check_shop, differences, digest, make_everything, make_files, size_of,
)
from support.program import FULL


def test_tree_comes_back_with_everything_it_had(start, tmp_path):
    source = make_everything(tmp_path / "source")
    server = start(BACKUP_FILES_PATHS=source)
    client = server.client()
    backup = client.backup("FILES", name="everything", tags=["nightly", "tree"])
    assert backup.warnings == 0, backup.message
    assert (backup.name, list(backup.tags)) == ("everything", ["nightly", "tree"])
    assert backup.statistics.files > 400
    assert backup.size > 12_000_000
    job = client.restore(backup.id, server.restore_root / "all")
    assert job.warnings == 0 and job.restore.files_failed == 0
    assert differences(source, f"{server.restore_root}/all{source}") == []


def test_selected_paths_alone_are_restored(start, tmp_path):
    source = make_files(tmp_path / "source", 21, 5000)
    server = start(BACKUP_FILES_PATHS=source)
    client = server.client()
    backup = client.backup("FILES")
    chosen = [f"{source}/part-1", f"{source}/part-2/file-00002.dat"]
    job = client.restore(backup.id, server.restore_root / "some", include=chosen)
    assert job.restore.files_restored >= 4
    top = f"{server.restore_root}/some{source}"
    assert set(digest(top)) == {f"part-1/file-{n:05}.dat" for n in (1, 8, 15)} | {"part-2/file-00002.dat"}
    assert digest(top).items() <= digest(source).items()


def test_a_restore_that_was_broken_off_is_gone_on_with(start, tmp_path):
    source = make_everything(tmp_path / "source")
    with Shop(tmp_path / "shop.db", filler=50) as shop:
        server = start(BACKUP_FILES_PATHS=source, DATABASE_URL=f"sqlite://{shop.path}")
        client = server.client()
        backup = client.backup("FULL")
    target = server.restore_root / "target"
    RESUME = pb.RestoreBackupRequest.RESUME
    first = client.restore(backup.id, target, existing=RESUME)
    assert first.restore.files_skipped == 0
    again = client.restore(backup.id, target, existing=RESUME, compare_content=True)
    assert again.restore.files_restored == 0 and again.restore.files_skipped == first.restore.files_restored
    # A database that stays is checked all the same.
    assert len(again.restore.checks) == len(first.restore.checks) > 0 and all(check.passed for check in again.restore.checks)
    top = f"{target}{source}"
    shutil.rmtree(f"{top}/links")
    os.truncate(f"{top}/large/random.bin", 5)
    told = client.restore(backup.id, target, existing=RESUME, preview=True)
    assert f"{source}/large/random.bin" in told.restore.preview and told.restore.files_skipped > 400
    job = client.restore(backup.id, target, existing=RESUME)
    assert job.restore.files_restored == len(told.restore.preview) and job.restore.files_failed == 0
    assert differences(source, top) == []
    assert refused(client.restore, backup.id, target, compare_content=True)[2] == ["compareContent"]


def test_one_file_is_read_without_a_restore(start, tmp_path):
    source = make_everything(tmp_path / "source")
    with Shop(tmp_path / "shop.db", filler=50) as shop:
        server = start(BACKUP_FILES_PATHS=source, DATABASE_URL=f"sqlite://{shop.path}")
        client = server.client()
        backup = client.backup("FULL")

    def read(path):
        request = pb.ReadFileRequest(backup_id=backup.id, path=str(path))
        content = bytearray()
        for chunk in client.backups.ReadFile(request, metadata=client.metadata, timeout=60):
            assert chunk.offset == len(content) and len(chunk.data) <= 256 << 10
            content += chunk.data
        return bytes(content)

    for name in ("large/random.bin", "sparse", "empty-file", "all-hole", "third-name", "links/second-name"):
        assert read(source / name) == (source / name).read_bytes(), name
    assert read(f"{source}/names/\\x5cx41 is no escape") == (source / "names/\\x41 is no escape").read_bytes()
    assert read("shop.db").startswith(b"SQLite format 3\0")
    assert refused(read, source / "missing")[0] == "NOT_FOUND"
    code, _, fields = refused(read, source / "links")
    assert code == "INVALID_ARGUMENT"
    assert refused(read, "")[2] == ["path"]
    result = server.cli("backup", "cat", "latest", str(source / "large/random.bin"), text=False)
    assert result.stdout == (source / "large/random.bin").read_bytes()
    assert "is not in the backup" in server.cli("backup", "cat", "latest", "/nowhere", check=4).stderr


def test_existing_files_are_kept_replaced_or_refused_as_asked(start, tmp_path):
    source = make_files(tmp_path / "source", 7, 3000)
    server = start(BACKUP_FILES_PATHS=source)
    client = server.client()
    backup = client.backup("FILES")
    target = server.restore_root / "target"
    client.restore(backup.id, target)
    copy = target / str(source)[1:] / "part-3/file-00003.dat"
    copy.write_bytes(b"changed since")
    kept = client.restore(backup.id, target, existing=pb.RestoreBackupRequest.KEEP)
    assert copy.read_bytes() == b"changed since"
    assert kept.restore.files_skipped >= 7
    other = target / str(source)[1:] / "part-4/file-00004.dat"
    other.unlink()
    refused = client.restore(backup.id, target, good=False, existing=pb.RestoreBackupRequest.REFUSE)
    assert refused.status == pb.Job.FAILED and refused.message
    assert copy.read_bytes() == b"changed since"
    assert not other.exists(), "a refused restore wrote something"
    client.restore(backup.id, target, existing=pb.RestoreBackupRequest.REPLACE)
    assert digest(target / str(source)[1:]) == digest(source)


def test_preview_lists_and_writes_nothing(start, tmp_path):
    source = make_files(tmp_path / "source", 7, 100)
    server = start(BACKUP_FILES_PATHS=source)
    client = server.client()
    backup = client.backup("FILES")
    target = server.restore_root / "preview"
    job = client.restore(backup.id, target, preview=True)
    assert any("part-3/file-00003.dat" in line for line in job.restore.preview)
    assert not target.exists() or not any(target.rglob("*"))


def test_restore_in_place_brings_back_what_was_lost(start, tmp_path):
    source = make_files(tmp_path / "source", 14, 2000)
    before = digest(source)
    server = start(BACKUP_FILES_PATHS=source)
    client = server.client()
    backup = client.backup("FILES")
    shutil.rmtree(source / "part-2")
    (source / "part-1/file-00001.dat").write_bytes(b"overwritten by mistake")
    client.restore(backup.id, in_place=True, existing=pb.RestoreBackupRequest.REPLACE)
    assert digest(source) == before


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_file_of_a_database_comes_back_in_place(start, tmp_path, mode):
    with Shop(tmp_path / "data/shop.db", mode) as shop:
        pass
    server = start(DATABASE_URL=f"sqlite://{shop.path}")
    client = server.client()
    backup = client.backup("DATABASE")
    before = check_shop(shop.path)
    with sqlite3.connect(shop.path) as database:
        database.execute("DELETE FROM sales")
    database.close()
    client.restore(backup.id, in_place=True, existing=pb.RestoreBackupRequest.REPLACE)
    assert check_shop(shop.path) == before
    shop.path.unlink()
    client.restore(backup.id, in_place=True)
    assert check_shop(shop.path) == before


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_database_under_constant_writing_holds_one_moment(start, tmp_path, mode):
    filler = 900_000 if FULL else 20_000
    with Shop(tmp_path / "data/shop.db", mode, filler) as shop:
        url = f"sqlite://{shop.path}" if mode == "wal" else f"file:{shop.path}"
        server = start(DATABASE_URL=url)
        client = server.client()
        before = shop.sales()
        backup = client.backup("DATABASE")
        after = shop.sales()
        assert before < after, "the writer wrote nothing meanwhile"
        job = client.restore(backup.id, server.restore_root / "db")
    assert backup.warnings == 0
    restored = server.restore_root / "db/shop.db"
    assert before <= check_shop(restored) <= after
    recorded = {table.table: table.rows for table in backup.databases[0].tables}
    assert recorded == {"sales": check_shop(restored), "moves": check_shop(restored)}
    assert backup.databases[0].name == "shop.db"
    assert job.status == pb.Job.SUCCEEDED


def test_full_holds_files_configuration_and_databases(start, tmp_path):
    files = make_files(tmp_path / "files", 7, 4000)
    config = tmp_path / "etc"
    config.mkdir()
    (config / "service.conf").write_text("port = 1\n")
    with Shop(tmp_path / "one/shop.db"), Shop(tmp_path / "two/stock.db"):
        server = start(
            BACKUP_FILES_PATHS=files,
            BACKUP_CONFIG_PATHS=config,
            DATABASE_URL=f"sqlite://{tmp_path}/one/shop.db,file:{tmp_path}/two/stock.db",
        )
        client = server.client()
        full = client.backup("FULL")
        configuration = client.backup("CONFIGURATION")
    client.restore(full.id, server.restore_root / "full")
    top = server.restore_root / "full"
    assert digest(f"{top}{files}") == digest(files)
    assert digest(f"{top}{config}") == digest(config)
    assert check_shop(top / "shop.db") and check_shop(top / "stock.db")
    client.restore(configuration.id, server.restore_root / "configuration")
    assert set(digest(server.restore_root / "configuration")) == {f"{config}/service.conf"[1:]}


def test_second_backup_writes_almost_nothing(start, tmp_path):
    source = make_files(tmp_path / "source", 1200, 30_000)
    database = tmp_path / "still.db"
    Shop(database, filler=10_000).stop()
    server = start(BACKUP_FILES_PATHS=source, DATABASE_URL=f"sqlite://{database}")
    client = server.client()
    first = client.backup("FULL")
    size = size_of(server.repository)
    second = client.backup("FULL")
    assert first.statistics.bytes_written > 36_000_000
    assert second.statistics.bytes_written < first.statistics.bytes_written / 100
    assert size_of(server.repository) - size < size / 100
    # A change costs about what has changed.
    (source / "part-0/file-00000.dat").write_bytes(os.urandom(30_000))
    third = client.backup("FULL")
    assert third.checksum != first.checksum
    assert third.statistics.bytes_written < first.statistics.bytes_written / 10
    for name, backup in (("first", first), ("third", third)):
        client.restore(backup.id, server.restore_root / name)
    now = digest(source)
    assert digest(f"{server.restore_root}/third{source}") == now
    changed = {path for path, content in digest(f"{server.restore_root}/first{source}").items() if content != now[path]}
    assert changed == {"part-0/file-00000.dat"}


def test_what_could_not_be_taken_is_said(start, tmp_path):
    source = make_files(tmp_path / "source", 7, 100)
    missing = tmp_path / "does-not-exist"
    server = start(BACKUP_FILES_PATHS=f"{source}:{missing}")
    client = server.client()
    record = client.create("FILES")
    events = list(client.watch(record.id))
    backup = client.get(record.id)
    assert backup.status in GOOD and backup.warnings > 0, backup
    told = [event.message for event in events if event.kind == pb.JobEvent.WARNING]
    assert any("does-not-exist" in message for message in told), told
    assert events[-1].job_status in (pb.Job.SUCCEEDED_WITH_WARNINGS, pb.Job.SUCCEEDED)
    assert server.cli("backup", "create", "--type", "FILES", "--wait", check=3)


def test_exclusions_are_left_out(start, tmp_path):
    source = make_files(tmp_path / "source", 7, 100)
    (source / "skip.tmp").write_text("x")
    (source / "part-1/cache").mkdir()
    (source / "part-1/cache/file").write_text("x")
    server = start(BACKUP_FILES_PATHS=source, BACKUP_EXCLUDE="*.tmp:cache")
    client = server.client()
    backup = client.backup("FILES")
    client.restore(backup.id, server.restore_root / "all")
    found = set(digest(f"{server.restore_root}/all{source}"))
    assert found == set(digest(source)) - {"skip.tmp", "part-1/cache/file"}


def test_listing_shows_what_a_backup_holds(start, tmp_path):
    source = make_everything(tmp_path / "source")
    server = start(BACKUP_FILES_PATHS=source)
    client = server.client()
    backup = client.backup("FILES")

    def listed(**fields):
        token, entries = "", []
        while True:
            answer = client.call(
                client.backups.ListFiles, pb.ListFilesRequest(backup_id=backup.id, page_size=100, page_token=token, **fields)
            )
            assert len(answer.files) <= 100
            entries += answer.files
            token = answer.next_page_token
            if not token:
                return {entry.path: entry for entry in entries}

    entries = listed(path=str(source), recursive=True)
    expected = sum(len(folders) + len(files) for _, folders, files in os.walk(source))
    assert len(entries) in (expected, expected + 1), "each entry once"
    file = entries[f"{source}/large/random.bin"]
    assert (file.type, file.size, file.mode & 0o7777) == (pb.FileEntry.FILE, 9_000_001, 0o644)
    assert entries[f"{source}/links/dangling"].link_target == "/nowhere/at/all"
    assert entries[f"{source}/fifo"].type == pb.FileEntry.FIFO
    assert f"{source}/names/not utf-8 \\xff\\xfe\\x80" in entries
    assert f"{source}/names/back\\x5cslash" in entries
    if ROOT_USER:
        assert entries[f"{source}/owners/file-3"].uid == 4_000_000_000
    children = listed(path=f"{source}/links")
    assert set(children) == {f"{source}/links/{os.fsencode(name).decode(errors='backslashreplace')}" for name in os.listdir(source / "links")}
    # A listed name is the name by which a restore takes it.
    client.restore(backup.id, server.restore_root / "odd", include=[f"{source}/names/not utf-8 \\xff\\xfe\\x80"])
    assert [path.read_bytes() for path in (server.restore_root / "odd").rglob("*") if path.is_file()] == [
        b"content of not utf-8 \xff\xfe\x80"
    ]


def test_further_names_are_restored_without_the_first(start, tmp_path):
    source = tmp_path / "source"
    (source / "a").mkdir(parents=True)
    (source / "b").mkdir()
    (source / "a/first").write_text("one content, three names")
    for name in ("second", "third"):
        os.link(source / "a/first", source / "b" / name)
    server = start(BACKUP_FILES_PATHS=source)
    client = server.client()
    backup = client.backup("FILES")
    client.restore(backup.id, server.restore_root / "some", include=[f"{source}/b"])
    second, third = (Path(f"{server.restore_root}/some{source}/b/{name}") for name in ("second", "third"))
    assert second.read_text() == "one content, three names" and second.samefile(third)


def test_a_further_name_is_not_linked_to_what_was_kept(start, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "first").write_text("of the backup")
    os.link(source / "first", source / "second")
    server = start(BACKUP_FILES_PATHS=source)
    client = server.client()
    backup = client.backup("FILES")
    top = Path(f"{server.restore_root}/some{source}")
    top.mkdir(parents=True)
    (top / "first").write_text("newer, and kept")
    job = client.restore(backup.id, server.restore_root / "some", good=False)
    assert (top / "first").read_text() == "newer, and kept" and not (top / "second").exists()
    assert job.status == pb.Job.SUCCEEDED_WITH_WARNINGS and job.restore.files_failed == 1, job
