"""The second backup of the same sources: what has not changed is not read, what has is, and the difference is told."""

import os
import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from support.api import pb, refused
from support.data import differences, make_everything, make_files
from support.program import BIN
from support.rest import Gateway

KIND = pb.FileChange.Kind


def start_settled(start, name="home", **settings):
    """A server that trusts the times of files however young they are."""
    return start(name, BACKUP_SETTLE_SECONDS=0, **settings)


def changes(record):
    return record.statistics.files_added, record.statistics.files_changed, record.statistics.files_removed


def diff(client, base, backup, page_size=1000):
    """All changes by path, over as many pages as it takes; but the directories above the test's own, in which others work."""
    request = pb.DiffBackupsRequest(base_backup_id=base.id, backup_id=backup.id, page_size=page_size)
    found = []
    while True:
        page = client.call(client.backups.DiffBackups, request)
        assert len(page.changes) <= page_size
        found += page.changes
        request.page_token = page.next_page_token
        if not page.next_page_token:
            paths = [change.path for change in found]
            assert len(paths) == len(set(paths))
            return {change.path: change for change in found if own(change.path)}


def own(path):
    return not path.startswith("/") or re.search(r"/pytest-of-[^/]+/pytest-\d+/", path)


def kinds(found):
    return {path: KIND.Name(change.kind) for path, change in found.items()}


def assert_restores(server, client, backup, source):
    target = server.restore_root / backup.id
    job = client.restore(backup.id, target)
    assert job.restore.files_failed == 0
    assert differences(source, f"{target}{source}") == []
    shutil.rmtree(target)


def test_unchanged_files_are_not_read_and_the_backup_restores_without_its_parent(start, tmp_path):
    source = make_everything(tmp_path / "source")
    server = start_settled(start, BACKUP_FILES_PATHS=source)
    client = server.client()
    full = client.backup("FULL")
    second = client.backup("INCREMENTAL")
    assert second.parent_id == full.id and second.metadata["comparedWith"] == full.id
    assert second.warnings == 0 and second.message == ""
    assert second.statistics.bytes_read == 0
    assert changes(second) == (0, 0, 0)
    for field in ("files", "directories", "others"):
        assert getattr(second.statistics, field) == getattr(full.statistics, field)
    assert second.size == full.size
    third = client.backup("INCREMENTAL")
    assert third.parent_id == second.id
    assert third.statistics.bytes_read == 0
    assert kinds(diff(client, second, third)) == {}
    client.delete(full.id)
    client.delete(second.id)
    assert client.verify(third.id).valid
    assert_restores(server, client, third, source)


def change_everything(source):
    """Changes of every kind. Answers what the difference must be, by path; folders whose times change are left out."""
    expected = {}

    def note(kind, *names):
        expected.update({f"{source}/{name}": kind for name in names})

    (source / "part-0/file-00000.dat").write_bytes(b"another content")
    note("CHANGED", "part-0/file-00000.dat")
    # The same size and the old time put back: only the time of the change tells.
    sly = source / "part-1/file-00001.dat"
    before = sly.stat()
    sly.write_bytes(bytes(reversed(sly.read_bytes())))
    os.utime(sly, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (sly.stat().st_size, sly.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    note("CHANGED", "part-1/file-00001.dat")
    os.truncate(source / "part-2/file-00002.dat", 7)
    note("CHANGED", "part-2/file-00002.dat")
    os.chmod(source / "part-3/file-00003.dat", 0o600)
    note("METADATA", "part-3/file-00003.dat")
    os.setxattr(source / "part-4/file-00004.dat", "user.new", b"attribute")
    note("METADATA", "part-4/file-00004.dat")
    os.utime(source / "part-5/file-00005.dat", ns=(1, 2))
    note("METADATA", "part-5/file-00005.dat")
    (source / "part-6/file-00006.dat").unlink()
    note("REMOVED", "part-6/file-00006.dat")
    (source / "new").write_text("new")
    (source / "new folder").mkdir()
    (source / "new folder/file").write_text("new in a folder")
    note("ADDED", "new", "new folder", "new folder/file")
    # A file becomes a folder, and a folder a file.
    (source / "part-0/file-00007.dat").unlink()
    (source / "part-0/file-00007.dat").mkdir()
    (source / "part-0/file-00007.dat/inside").write_text("inside")
    note("CHANGED", "part-0/file-00007.dat")
    note("ADDED", "part-0/file-00007.dat/inside")
    shutil.rmtree(source / "folder")
    (source / "folder").write_text("a file now")
    note("CHANGED", "folder")
    note("REMOVED", "folder/one", "folder/two")
    # A renamed tree is a new one; what it holds is not stored twice.
    (source / "tree").rename(source / "tree renamed")
    moved = [""] + [f"/part-{n}" for n in range(7)] + [f"/part-{n % 7}/file-{n:05}.dat" for n in range(9)]
    note("REMOVED", *("tree" + name for name in moved))
    note("ADDED", *("tree renamed" + name for name in moved))
    os.link(source / "part-1/file-00008.dat", source / "another name")
    note("ADDED", "another name")
    note("CHANGED", "part-1/file-00008.dat")
    (source / "link").unlink()
    os.symlink("elsewhere", source / "link")
    note("CHANGED", "link")
    with open(source / "sparse", "r+b") as file:
        file.seek(50 << 20)
        file.write(b"more")
    note("CHANGED", "sparse")
    return expected


def make_source(source):
    make_files(source, 21, 20_000)
    make_files(source / "tree", 9, 300_000, seed=7)
    (source / "folder").mkdir()
    (source / "folder/one").write_text("one")
    (source / "folder/two").write_text("two")
    os.symlink("somewhere", source / "link")
    with open(source / "sparse", "wb") as file:
        file.write(b"start")
        file.truncate(100 << 20)
    return source


def test_changes_of_every_kind_are_seen_and_restored(start, tmp_path):
    source = make_source(tmp_path / "source")
    server = start_settled(start, BACKUP_FILES_PATHS=source)
    client = server.client()
    full = client.backup("FULL")
    expected = change_everything(source)
    second = client.backup("INCREMENTAL")
    assert second.warnings == 0
    found = kinds(diff(client, full, second))
    folders = {path for path, kind in found.items() if kind == "METADATA" and Path(path).is_dir()}
    assert {path: kind for path, kind in found.items() if path not in folders} == expected
    assert str(source) in folders, "its names have changed"
    change = diff(client, full, second)[f"{source}/part-2/file-00002.dat"]
    assert (change.size_before, change.size_after) == (20_000, 7)
    # The renamed tree alone is 2.7 MB, and read because its own change is not told by any time. No unchanged file is.
    statistics = second.statistics
    assert statistics.bytes_read < 9 * 300_000 + 150_000
    assert statistics.bytes_new < 500_000, "what was moved was stored again"
    assert_restores(server, client, second, source)
    assert kinds(diff(client, second, full))[f"{source}/new"] == "REMOVED"


def test_what_was_added_changed_and_removed_is_counted(start, tmp_path):
    source = make_files(tmp_path / "source", 21, 1000)
    server = start_settled(start, BACKUP_FILES_PATHS=source)
    client = server.client()
    assert changes(client.backup("FULL")) == (0, 0, 0)
    for number in range(3):
        (source / f"new-{number}").write_text("new")
    (source / "part-0/file-00000.dat").write_bytes(b"changed")
    os.chmod(source / "part-1/file-00001.dat", 0o600)
    for number in (2, 3, 4, 5):
        (source / f"part-{number}/file-0000{number}.dat").unlink()
    second = client.backup("INCREMENTAL")
    assert changes(second) == (3, 2, 4)
    assert second.statistics.bytes_read == 3 * 3 + 7 + 1000
    shown = server.cli("backup", "show", second.id).stdout
    assert f"3 added, 2 changed, 4 removed since {second.parent_id}" in shown


def test_a_differential_has_the_newest_full_as_parent(start, tmp_path):
    source = make_files(tmp_path / "source", 21, 1000)
    server = start_settled(start, BACKUP_FILES_PATHS=source)
    client = server.client()
    lone = client.backup("DIFFERENTIAL")
    assert lone.parent_id == "" and "no good FULL backup" in lone.message
    client.backup("FULL")
    full = client.backup("FULL")
    assert full.parent_id == "" and full.statistics.bytes_read == 0, "a FULL skips what has not changed as well"
    (source / "one").write_text("1")
    assert client.backup("INCREMENTAL").parent_id == full.id
    (source / "two").write_text("22")
    differential = client.backup("DIFFERENTIAL")
    assert differential.parent_id == full.id
    assert changes(differential) == (2, 0, 0) and differential.statistics.bytes_read == 3
    last = client.backup("INCREMENTAL")
    assert last.parent_id == differential.id and changes(last) == (0, 0, 0)
    assert_restores(server, client, last, source)


def test_the_first_incremental_reads_everything_and_says_so(start, tmp_path):
    source = make_files(tmp_path / "source", 14, 1000)
    server = start_settled(start, BACKUP_FILES_PATHS=source)
    client = server.client()
    first = client.backup("INCREMENTAL")
    assert first.parent_id == "" and "comparedWith" not in first.metadata
    assert "no earlier good backup" in first.message and first.warnings == 0
    assert first.statistics.bytes_read == 14_000
    assert client.backup("INCREMENTAL").parent_id == first.id
    # It stays said after another look at the backup.
    assert client.verify(first.id).valid
    assert "no earlier good backup" in client.get(first.id).message


def test_backups_of_other_sources_are_no_parents(start, tmp_path):
    one, two = make_files(tmp_path / "one", 7, 1000), make_files(tmp_path / "two", 7, 1000, seed=2)
    server = start_settled(start, BACKUP_FILES_PATHS=f"{one}:{two}")
    both = server.client().backup("FULL")
    server.stop()
    server = start_settled(start, BACKUP_FILES_PATHS=one)
    alone = server.client().backup("INCREMENTAL")
    assert alone.parent_id == "" and alone.statistics.bytes_read == 7000
    server.stop()
    server = start_settled(start, BACKUP_FILES_PATHS=f"{two}:{one}")
    again = server.client().backup("INCREMENTAL")
    assert again.parent_id == both.id and again.statistics.bytes_read == 0


def test_files_and_configuration_skip_too_and_name_no_parent(start, tmp_path):
    files, configuration = make_files(tmp_path / "files", 14, 1000), make_files(tmp_path / "etc", 7, 100, seed=2)
    server = start_settled(start, BACKUP_FILES_PATHS=files, BACKUP_CONFIG_PATHS=configuration)
    client = server.client()
    for type, source, size in (("FILES", files, 14_000), ("CONFIGURATION", configuration, 700)):
        first = client.backup(type)
        assert first.statistics.bytes_read == size
        (source / "added").write_text("added")
        second = client.backup(type)
        assert second.parent_id == "" and second.metadata["comparedWith"] == first.id
        assert second.statistics.bytes_read == 5 and changes(second) == (1, 0, 0)
        everything = client.backup(type, read_all=True)
        assert everything.metadata["comparedWith"] == second.id
        assert everything.statistics.bytes_read == size + 5 and changes(everything) == (0, 0, 0)
        assert_restores(server, client, everything, source)
    forced = server.cli_json("backup", "create", "--type", "FILES", "--read-all", "--wait")
    assert forced["statistics"]["bytesRead"] == 14_005


def test_files_that_had_just_been_written_are_read_again(start, tmp_path):
    source = make_files(tmp_path / "source", 14, 1000)
    old = Path("/etc/passwd")
    server = start(BACKUP_FILES_PATHS=f"{source}:{old}", BACKUP_SETTLE_SECONDS=3600)
    client = server.client()
    client.backup("FULL")
    second = client.backup("INCREMENTAL")
    assert second.statistics.bytes_read >= 14_000
    assert changes(second) == (0, 0, 0), "read is not changed"
    server.stop()
    # What is trusted is a matter of when the earlier backup was taken and how sure one wants to be.
    server = start_settled(start, BACKUP_FILES_PATHS=f"{source}:{old}")
    assert server.client().backup("INCREMENTAL").statistics.bytes_read == 0


def test_a_parent_that_has_lost_its_packs_costs_time_and_nothing_else(start, tmp_path):
    source = make_files(tmp_path / "source", 28, 20_000)
    server = start_settled(start, BACKUP_FILES_PATHS=source)
    client = server.client()
    full = client.backup("FULL")
    shutil.rmtree(server.repository / "packs")
    (server.repository / "packs").mkdir(mode=0o700)
    second = client.backup("INCREMENTAL")
    assert second.parent_id == full.id and "is lost; what it held was read" in second.message
    assert second.statistics.bytes_read == 28 * 20_000 and second.warnings == 0
    assert changes(second) == (0, 0, 0), "nobody knows what has changed"
    code, message, _ = refused(diff, client, full, second)
    assert code == "DATA_LOSS" and full.id in message
    assert_restores(server, client, second, source)
    # Once its damage is known it is no parent any more.
    client.delete(second.id)
    assert not client.verify(full.id).valid
    third = client.backup("INCREMENTAL")
    assert third.parent_id == "" and "no earlier good backup" in third.message
    assert_restores(server, client, third, source)


def test_a_parent_whose_manifest_is_gone_is_done_without(start, tmp_path):
    source = make_files(tmp_path / "source", 7, 1000)
    server = start_settled(start, BACKUP_FILES_PATHS=source)
    client = server.client()
    full = client.backup("FULL")
    Path(full.encrypted_location).write_bytes(b"no manifest")
    second = client.backup("INCREMENTAL")
    assert second.parent_id == "" and "cannot be compared with, so everything was read" in second.message
    assert second.statistics.bytes_read == 7000


def write_rows(path, *rows):
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE IF NOT EXISTS sales(id INTEGER PRIMARY KEY, item TEXT)")
        db.executemany("INSERT INTO sales(item) VALUES(?)", [(row,) for row in rows])
    db.close()


def test_databases_are_part_of_it(start, tmp_path):
    source = make_files(tmp_path / "source", 7, 1000)
    databases = tmp_path / "databases"
    databases.mkdir()
    shop, stock = databases / "shop.db", databases / "stock.db"
    write_rows(shop, "tea", "rice")
    write_rows(stock, "salt")
    server = start_settled(start, BACKUP_FILES_PATHS=source, DATABASE_URL=f"sqlite://{shop},sqlite://{stock}")
    client = server.client()
    full = client.backup("FULL")
    second = client.backup("INCREMENTAL")
    assert second.parent_id == full.id and len(second.databases) == 2
    assert changes(second) == (0, 0, 0)
    assert kinds(diff(client, full, second)) == {}
    write_rows(shop, "soap")
    (source / "part-0/file-00000.dat").write_text("changed too")
    third = client.backup("INCREMENTAL")
    assert changes(third) == (0, 2, 0)
    assert kinds(diff(client, second, third)) == {f"{source}/part-0/file-00000.dat": "CHANGED", "shop.db": "CHANGED"}
    server.stop()
    server = start_settled(start, BACKUP_FILES_PATHS=source, DATABASE_URL=f"sqlite://{stock}")
    client = server.client()
    fourth = client.backup("INCREMENTAL")
    assert fourth.parent_id == third.id and changes(fourth) == (0, 0, 1)
    target = server.restore_root / "fourth"
    client.restore(fourth.id, target)
    assert sqlite3.connect(target / "stock.db").execute("SELECT item FROM sales").fetchall() == [("salt",)]


def test_differences_come_in_pages_over_every_way_in(start, tmp_path):
    source = make_files(tmp_path / "source", 49, 100)
    (source / os.fsdecode(b"odd \xff\\name")).write_text("odd")
    server = start_settled(start, BACKUP_FILES_PATHS=source)
    client = server.client()
    first = client.backup("FILES")
    for path in sorted(source.rglob("*.dat"))[::2]:
        path.write_bytes(path.read_bytes() + b"more")
    (source / os.fsdecode(b"odd \xff\\name")).unlink()
    second = client.backup("FILES")
    whole = diff(client, first, second)
    assert len(whole) == 27, "25 files, the odd one and the folder it was in"
    assert kinds(whole)[f"{source}/odd \\xff\\x5cname"] == "REMOVED"
    for size in (1, 2, 26, 27, 28):
        assert diff(client, first, second, size) == whole
    listed = server.cli_json("backup", "diff", first.id, second.id)
    assert {change["path"]: change["kind"] for change in listed if own(change["path"])} == kinds(whole)
    lines = [line for line in server.cli("backup", "diff", first.id, "latest").stdout.splitlines() if own(line[line.index("/") :])]
    assert len(lines) == 27 and any(line.startswith("CHANGED") and "part-0" in line for line in lines)
    same = server.cli("backup", "diff", second.id, second.id)
    assert same.stdout == "" and "Nothing differs" in same.stderr
    assert server.cli_json("backup", "diff", second.id, second.id) == []


@pytest.mark.skipif(not (BIN / "mosaajii-gateway").exists(), reason="the gateway is not built")
def test_differences_over_rest(start, tmp_path):
    source = make_files(tmp_path / "source", 14, 100)
    server = start_settled(start, BACKUP_FILES_PATHS=source)
    client = server.client()
    first = client.backup("FILES")
    for path in source.rglob("*.dat"):
        path.write_bytes(b"changed")
    second = client.backup("FILES")
    gateway = Gateway(server.address)
    try:
        rest = gateway.rest(server.token)
        found, token = [], ""
        while True:
            page = rest.get(f"/api/backups/{second.id}/diff?baseBackupId={first.id}&pageSize=5&pageToken={token}")
            found += page.data()
            token = page.json["pagination"]["nextPageToken"]
            if not token:
                break
        found = [change for change in found if own(change["path"])]
        assert len(found) == 14
        assert {"path": f"{source}/part-0/file-00000.dat", "kind": "CHANGED", "sizeBefore": 100, "sizeAfter": 7} in found
        created = rest.post("/api/backups", {"type": "FILES", "readAll": True}).data(201)
        assert rest.wait_for_backup(created["id"])["statistics"]["bytesRead"] == 14 * 7
    finally:
        gateway.stop()


def test_small_files_in_other_chunks_are_not_taken_for_changed(start, tmp_path):
    # Read again beside other neighbours, a small file lies in another chunk, and yet it is what it was.
    source = make_files(tmp_path / "source", 28, 3000)
    server = start_settled(start, BACKUP_FILES_PATHS=source)
    client = server.client()
    first = client.backup("FILES")
    for number in (3, 17):
        os.utime(source / f"part-3/file-{number:05}.dat", ns=(5, 5))
    second = client.backup("FILES")
    assert second.statistics.bytes_read == 6000
    assert second.statistics.bytes_new > 0, "they were stored in a chunk of their own"
    assert set(kinds(diff(client, first, second)).values()) == {"METADATA"}


def test_wrong_questions_about_differences_are_refused(start, tmp_path):
    source = make_files(tmp_path / "source", 7, 100)
    server = start_settled(start, BACKUP_FILES_PATHS=source)
    client = server.client()
    first, second = client.backup("FILES"), client.backup("FILES", read_all=True)
    unknown = "01939b5e-7a2c-7000-8000-000000000000"

    def ask(**fields):
        fields = {"backup_id": second.id, "base_backup_id": first.id} | fields
        return refused(client.call, client.backups.DiffBackups, pb.DiffBackupsRequest(**fields))

    assert ask(backup_id="")[::2] == ("INVALID_ARGUMENT", ["backupId"])
    assert ask(base_backup_id="")[::2] == ("INVALID_ARGUMENT", ["baseBackupId"])
    assert ask(page_size=1001)[::2] == ("INVALID_ARGUMENT", ["pageSize"])
    assert ask(page_size=-1)[::2] == ("INVALID_ARGUMENT", ["pageSize"])
    assert ask(page_token="00" * 9)[::2] == ("INVALID_ARGUMENT", ["pageToken"])
    assert ask(backup_id=unknown)[0] == ask(base_backup_id=unknown)[0] == "NOT_FOUND"
    server.cli("backup", "diff", unknown, first.id, check=4)
    server.cli("backup", "diff", first.id, check=2)


def test_what_could_not_be_read_before_is_tried_again(start, tmp_path):
    source = make_files(tmp_path / "source", 7, 1000)
    server = start_settled(start, BACKUP_FILES_PATHS=f"{source}:{tmp_path}/missing")
    client = server.client()
    first = client.backup("FULL")
    assert first.warnings == 1
    (source / "part-0/file-00000.dat").unlink()
    (tmp_path / "missing").write_text("here now")
    second = client.backup("INCREMENTAL")
    assert second.parent_id == first.id and second.warnings == 0
    assert changes(second) == (1, 0, 1) and second.statistics.bytes_read == 8
