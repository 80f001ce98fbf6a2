"""What a hostile or clumsy caller, a full disk and a prepared target can do: nothing."""

import os
import random
import re
import subprocess
from pathlib import Path

import pytest

from support.api import GOOD, pb, refused
from support.data import ROOT_USER, digest, make_files
from support.program import BIN, environment, wait_until


@pytest.fixture(scope="module")
def server(start_shared, tmp_path_factory):
    source = make_files(tmp_path_factory.mktemp("source") / "data", 14, 3000)
    server = start_shared(BACKUP_FILES_PATHS=source)
    server.source = source
    return server


@pytest.fixture(scope="module")
def client(server):
    return server.client()


@pytest.fixture(scope="module")
def backup(client):
    return client.backup("FILES")


def restore_refused(client, **fields):
    """(code, fields at fault) where the call itself is refused; else the job must fail."""
    try:
        code, _, names = refused(client.call, client.backups.RestoreBackup, pb.RestoreBackupRequest(**fields))
        return code, names
    except AssertionError:
        raise AssertionError(f"a restore to {fields} was accepted") from None


@pytest.mark.parametrize(
    "target",
    ["/etc/mosaajii-test", "relative/place", "{root}/../outside", "{root}/a/../../outside", "{root}x/near", "/", "{root}/a\x00b", "."],
)
def test_target_outside_the_restore_roots(server, client, backup, target):
    target = target.format(root=server.restore_root)
    assert restore_refused(client, backup_id=backup.id, target=target) == ("INVALID_ARGUMENT", ["target"])
    assert not (server.home / "outside").exists() and not os.path.exists("/etc/mosaajii-test")


def test_target_through_a_link_to_outside(server, client, backup, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    server.restore_root.mkdir(exist_ok=True)
    os.symlink(outside, server.restore_root / "link")
    for target in (server.restore_root / "link", server.restore_root / "link/below"):
        request = pb.RestoreBackupRequest(backup_id=backup.id, target=str(target))
        try:
            job = client.finish(client.call(client.backups.RestoreBackup, request))
            assert job.status == pb.Job.FAILED, job
        except Exception as error:
            assert "INVALID_ARGUMENT" in str(error) or "FAILED_PRECONDITION" in str(error), error
        assert not any(outside.iterdir()), "written through a link"


@pytest.mark.parametrize("existing", [pb.RestoreBackupRequest.KEEP, pb.RestoreBackupRequest.REPLACE])
def test_planted_links_inside_the_target_are_not_followed(server, client, backup, tmp_path, existing):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file-00003.dat").write_text("precious")
    (outside / "victim").write_text("precious")
    target = server.restore_root / f"planted-{existing}"
    top = target / str(server.source)[1:]
    top.mkdir(parents=True)
    os.symlink(outside, top / "part-3")
    (top / "part-4").mkdir()
    os.symlink(outside / "victim", top / "part-4/file-00004.dat")
    (top / "part-5").mkdir()
    os.link(outside / "victim", top / "part-5/file-00005.dat")
    job = client.restore(backup.id, target, good=False, existing=existing)
    assert sorted(path.name for path in outside.iterdir()) == ["file-00003.dat", "victim"]
    assert (outside / "file-00003.dat").read_text() == (outside / "victim").read_text() == "precious"
    # The rest is there.
    for number in (0, 1, 2, 6):
        name = f"part-{number}/file-{number:05}.dat"
        assert (top / name).read_bytes() == (server.source / name).read_bytes(), job


def test_a_whole_component_replaced_by_a_link_while_restoring(server, client, backup, tmp_path):
    """A target whose parent is itself a link planted below the root."""
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    target = server.restore_root / "deep"
    parent = target / str(server.source.parent)[1:]
    parent.mkdir(parents=True)
    os.symlink(outside, parent / server.source.name)
    client.restore(backup.id, target, good=False, existing=pb.RestoreBackupRequest.REPLACE)
    assert not any(outside.iterdir())


@pytest.mark.parametrize("include", ["relative", "/no/such/path", "{source}/../data/part-1", "", "{source}/part-1/\\xZZ"])
def test_odd_includes(server, client, backup, include):
    include = include.format(source=server.source)
    request = pb.RestoreBackupRequest(backup_id=backup.id, target=str(server.restore_root / "odd"), include=[include])
    try:
        job = client.finish(client.call(client.backups.RestoreBackup, request))
    except Exception as error:
        assert "INVALID_ARGUMENT" in str(error) or "NOT_FOUND" in str(error)
    else:
        assert job.status == pb.Job.FAILED and job.message, job


def test_in_place_and_target_exclude_each_other(server, client, backup):
    fields = {"backup_id": backup.id, "target": str(server.restore_root / "x"), "in_place": True}
    assert restore_refused(client, **fields) == ("INVALID_ARGUMENT", ["target"])


@pytest.mark.parametrize("identity", ["../../etc/passwd", "a/b", "x" * 100_000, "01890000-0000-7000-8000-00000000000\n", "latest", "%s%n", "'; --"])
def test_odd_ids(client, identity):
    for call, request in (
        (client.backups.GetBackup, pb.GetBackupRequest(backup_id=identity)),
        (client.backups.VerifyBackup, pb.VerifyBackupRequest(backup_id=identity)),
        (client.backups.DeleteBackup, pb.DeleteBackupRequest(backup_id=identity)),
        (client.backups.ListFiles, pb.ListFilesRequest(backup_id=identity)),
        (client.backups.GetJob, pb.GetJobRequest(job_id=identity)),
    ):
        assert refused(client.call, call, request)[0] in ("INVALID_ARGUMENT", "NOT_FOUND")


def test_oversize_request_is_refused_and_others_go_on(client):
    request = pb.CreateBackupRequest(type=pb.Backup.FILES, name="x" * (5 << 20))
    assert refused(client.call, client.backups.CreateBackup, request)[0] == "RESOURCE_EXHAUSTED"
    assert client.list() is not None


def test_bytes_that_are_no_message(client):
    generator = random.Random(61)
    for method in ("CreateBackup", "ListBackups", "GetBackup", "RestoreBackup"):
        call = client.channel.unary_unary(f"/mosaajii.backup.v1.BackupService/{method}")
        for payload in [b"\xff" * 10, b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x03\xff\xfe\x00", b"\x0a\x02a\x00", *(generator.randbytes(40) for _ in range(20))]:
            try:
                call(payload, metadata=client.metadata, timeout=30)
            except Exception as error:
                assert error.code().name in ("INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "INTERNAL"), error
                assert "unpack" not in error.details() or error.code().name == "INVALID_ARGUMENT"
    assert client.list() is not None


def test_page_tokens_made_by_others(client, backup):
    good = client.call(client.backups.ListBackups, pb.ListBackupsRequest(page_size=1)).next_page_token
    generator = random.Random(62)
    for token in ["x", "A" * 100_000, "../..", "' OR 1=1 --", "\u0000", "AAAA====", good + "x", *(generator.randbytes(24).hex() for _ in range(20))]:
        code, _, fields = refused(client.call, client.backups.ListBackups, pb.ListBackupsRequest(page_token=token))
        assert (code, fields) == ("INVALID_ARGUMENT", ["pageToken"]), token
        code, _, _ = refused(client.call, client.backups.ListFiles, pb.ListFilesRequest(backup_id=backup.id, page_token=token))
        assert code == "INVALID_ARGUMENT", token


def test_text_for_people_does_not_reach_the_terminal_or_log_as_control_characters(server, client):
    record = client.backup("FILES", name="\x1b[2Jgone\nline two\u202e", tags=["t\x07g"])
    shown = server.cli("backup", "list").stdout + server.cli("backup", "show", record.id).stdout
    assert "\x1b" not in shown and "\x07" not in shown
    assert "\x1b" not in server.log_text()
    client.delete(record.id)


def test_an_engine_takes_no_more_of_the_machine_than_it_may(start, tmp_path):
    source = make_files(tmp_path / "source", 40, 100_000, seed=66)
    size = 40 * 100_000
    server = start(BACKUP_FILES_PATHS=source, MOSAAJII_ENGINE_NICE=7, MOSAAJII_ENGINE_IDLE_DISK="true", MOSAAJII_ENGINE_DISK_MB=4)
    client = server.client()
    record = client.create("FILES", integrity_check_enabled=False)
    # Reading alone takes so long at that rate that the engine is still there.
    wait_until(server.engines, "an engine")
    pid = server.engines()[0]
    wait_until(lambda: os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, 0) + 7, "an engine that steps back")
    # Linux may share the processor out among sessions before it heeds niceness: the engine has a session of its own, which steps back too.
    assert os.getsid(pid) == pid
    autogroup = Path(f"/proc/{pid}/autogroup")
    if autogroup.exists():
        wait_until(lambda: autogroup.read_text().strip().endswith("nice 7"), "a session that steps back")
    wait_until(lambda: subprocess.check_output(["ionice", "-p", str(pid)], text=True).strip() == "idle", "an engine that lets others to the disk")
    # Keys lie in pages that no core file takes, and there is none anyway.
    assert re.search(r"Max core file size\s+0\s+0\s", Path(f"/proc/{pid}/limits").read_text())
    wait_until(lambda: re.search(r"VmFlags: rd wr .*\bdd\b", Path(f"/proc/{pid}/smaps").read_text()), "pages that are not dumped")
    list(client.watch(record.id))
    done = client.get(record.id)
    assert done.status in GOOD
    # What cannot be compressed is read and written, both at 4 MB a second.
    assert done.statistics.duration_ms >= 1000 * size / 4_000_000
    assert client.verify(record.id).valid


@pytest.mark.parametrize("name, value", [("MOSAAJII_ENGINE_NICE", "20"), ("MOSAAJII_ENGINE_NICE", "-1"), ("MOSAAJII_ENGINE_IDLE_DISK", "yes"), ("MOSAAJII_ENGINE_DISK_MB", "4M")])
def test_limits_that_are_none_are_refused(tmp_path, name, value):
    done = subprocess.run(
        [BIN / "mosaajii-server", "--print-config"], env=environment(MOSAAJII_HOME=tmp_path, **{name: value}), capture_output=True, text=True
    )
    assert done.returncode != 0 and name in done.stderr and "allowed is" in done.stderr, done.stderr


@pytest.mark.skipif(not ROOT_USER, reason="mounting takes root")
def test_full_disk_fails_the_backup_cleanly(start, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", small], capture_output=True).returncode != 0:
        pytest.skip("no mounts here")
    try:
        fits = make_files(tmp_path / "fits", 40, 50_000, seed=63)
        large = make_files(tmp_path / "large", 400, 100_000, seed=64)
        server = start(BACKUP_CONFIG_PATHS=fits, BACKUP_FILES_PATHS=large, MOSAAJII_REPOSITORY=small / "repo")
        client = server.client()
        good = client.backup("CONFIGURATION")
        bad = client.backup("FILES", good=False)
        assert bad.status == pb.Backup.FAILED and "space" in bad.message.lower(), bad
        assert client.verify(good.id).valid
        client.restore(good.id, server.restore_root / "good")
        assert digest(f"{server.restore_root}/good{fits}") == digest(fits)
        # With room again, it goes on and uses what it had written.
        subprocess.run(["mount", "-o", "remount,size=120m", small], check=True)
        again = client.backup("FILES")
        assert again.status in GOOD and client.verify(again.id).valid
        server.stop()
    finally:
        subprocess.run(["umount", "-l", small], check=True)


@pytest.mark.skipif(not ROOT_USER, reason="mounting takes root")
def test_full_disk_under_a_restore_is_told(start, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", small], capture_output=True).returncode != 0:
        pytest.skip("no mounts here")
    try:
        source = make_files(tmp_path / "source", 100, 100_000, seed=65)
        server = start(BACKUP_FILES_PATHS=source, MOSAAJII_RESTORE_ROOTS=small)
        client = server.client()
        backup = client.backup("FILES")
        job = client.restore(backup.id, small / "out", good=False)
        assert job.status == pb.Job.FAILED and "space" in job.message.lower(), job
        assert client.verify(backup.id).valid
        server.stop()
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_a_database_that_is_none(start, tmp_path):
    (tmp_path / "not.db").write_bytes(b"this is no database" * 1000)
    server = start(DATABASE_URL=f"sqlite://{tmp_path}/not.db")
    record = server.client().backup("DATABASE", good=False)
    assert record.status == pb.Backup.FAILED and "not.db" in record.message, record


def test_files_that_change_while_they_are_read(start, tmp_path):
    """A source in motion: the backup ends, is whole, and says what it could not hold still."""
    import threading

    source = make_files(tmp_path / "source", 50, 200_000, seed=66)
    over = threading.Event()

    def churn():
        generator, number = random.Random(67), 0
        while not over.is_set():
            number += 1
            path = source / f"part-{generator.randrange(7)}"
            (path / f"new-{number % 50}").write_bytes(generator.randbytes(5000))
            victim = path / f"new-{generator.randrange(50)}"
            victim.unlink(missing_ok=True)
            with open(source / "part-0/file-00000.dat", "r+b") as file:
                file.truncate(generator.randrange(300_000))

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        server = start(BACKUP_FILES_PATHS=source)
        client = server.client()
        backups = [client.backup("FILES") for _ in range(4)]
    finally:
        over.set()
        thread.join()
    for backup in backups:
        assert backup.status in GOOD
        assert client.verify(backup.id).valid
    client.restore(backups[-1].id, server.restore_root / "all", good=False)
    restored, now = digest(f"{server.restore_root}/all{source}"), digest(source)
    still = [name for name in now if "file-" in name and "file-00000" not in name]
    assert all(restored.get(name) == now[name] for name in still)
    wait_until(lambda: not server.engines(), "no engine left")
