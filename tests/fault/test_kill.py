"""kill -9 of engine, server or both at any moment: nothing that was finished is lost, nothing hangs, work done is used."""

import os
import random
import shutil
import signal
import time

import pytest

from support.api import GOOD, pb
from support.data import Shop, check_shop, digest, make_files, objects, size_of
from support.program import FULL, engines_below, gone, wait_until

ROUNDS = 20 if FULL else 6
SEED = int(os.environ.get("MOS_TEST_SEED", "1"))
UNSETTLED = (pb.Backup.PENDING, pb.Backup.IN_PROGRESS, pb.Backup.VERIFYING)


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def orphans():
    """Engines whose server was killed; this process has become their parent."""
    return [pid for pid in engines_below(os.getpid())]


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def settled(client):
    jobs = client.call(client.backups.ListJobs, pb.ListJobsRequest(page_size=1000)).jobs
    return not [job for job in jobs if job.status in (pb.Job.PENDING, pb.Job.RUNNING)]


def test_killed_at_random_moments(start, tmp_path):
    generator = random.Random(SEED)
    source = make_files(tmp_path / "source", 1500, 80_000, seed=71)
    with Shop(tmp_path / "shop.db", filler=5000) as shop:
        server = start(BACKUP_FILES_PATHS=source, DATABASE_URL=f"sqlite://{shop.path}", MOSAAJII_ENGINE_THREADS=1)
        client = server.client()
        begun = time.monotonic()
        finished = [client.backup("FULL", name="before all").id]
        length = time.monotonic() - begun
        plain = size_of(source)
        for number in range(ROUNDS):
            # New content each time, so that there is work to be cut off.
            make_files(source / f"new-{number}", 400, 80_000, seed=100 + number)
            record = client.create("FULL", name=f"round {number}")
            what = ("engine", "server", "both", "both at once")[number % 4]
            stream = client.watch(record.id)
            for event in stream:
                if event.kind == pb.JobEvent.STARTED:
                    break
            time.sleep(generator.random() * length)
            engines = server.engines()
            server_pid = server.process.pid
            if what == "engine":
                for pid in engines:
                    kill(pid)
                list(stream)
            elif what == "server":
                server.kill()
                # An engine without its server ends by itself.
                wait_until(lambda: all(gone(pid) for pid in engines), "the end of the engine whose server was killed")
            elif what == "both":
                kill(server_pid)
                for pid in engines:
                    kill(pid)
                server.kill()
            else:
                for pid in engines:
                    kill(pid)
                kill(server_pid)
                server.kill()
            if what != "engine":
                reap()
                server.start()
                client = server.client()
            wait_until(lambda: settled(client), "all jobs settled")
            after = client.get(record.id)
            assert after.status not in UNSETTLED, (what, after)
            if after.status in GOOD:
                finished.append(record.id)
            else:
                assert after.message, f"{what}: no reason given: {after}"
            wait_until(lambda: not orphans(), "the end of engines whose server was killed")

            again = client.backup("FULL", name=f"after round {number}")
            finished.append(again.id)
            # All of it was written once: by what was cut off, or now.
            new = 400 * 80_000
            assert again.statistics.bytes_written < 1.3 * new + (tmp_path / "shop.db").stat().st_size * 2, what

        for backup_id in finished:
            result = client.verify(backup_id)
            assert result.valid, (backup_id, result.errors[:3])
        assert {record.id for record in client.list(page_size=1000) if record.status in GOOD} == set(finished)
        client.restore(finished[-1], server.restore_root / "last")
        assert digest(f"{server.restore_root}/last{source}") == digest(source)
        assert check_shop(server.restore_root / "last/shop.db") > 0
        shutil.rmtree(server.restore_root / "last")

        # What was cut off has not piled up: what lies there is what the data needs, and a bounded rest.
        needed = size_of(source)
        assert sum(objects(server.repository).values()) < 1.25 * needed + 64 * 2**20 + 3 * (tmp_path / "shop.db").stat().st_size, plain
        leftovers = [path for path in (server.repository / "tmp").rglob("*") if path.is_file()]
        assert sum(path.stat().st_size for path in leftovers) < 64 * 2**20, leftovers


def test_next_run_uses_what_was_written(start, tmp_path):
    source = make_files(tmp_path / "source", 3000, 80_000, seed=72)
    server = start(BACKUP_FILES_PATHS=source, MOSAAJII_ENGINE_THREADS=1)
    client = server.client()
    record = client.create("FILES")
    # Cut off when two packs are finished.
    wait_until(lambda: len([path for path in objects(server.repository) if path.startswith("packs/")]) >= 2, "two packs")
    server.kill()
    wait_until(lambda: not orphans(), "the end of the engine whose server was killed")
    reap()
    written = sum(size for path, size in objects(server.repository).items() if path.startswith("packs/"))
    server.start()
    client = server.client()
    wait_until(lambda: settled(client), "all jobs settled")
    assert client.get(record.id).status == pb.Backup.FAILED
    again = client.backup("FILES")
    assert again.statistics.bytes_written < 3000 * 80_000 * 1.02 - written * 0.9
    assert client.verify(again.id).valid
    client.restore(again.id, server.restore_root / "all")
    assert digest(f"{server.restore_root}/all{source}") == digest(source)


@pytest.mark.parametrize("victim", ["engine", "server"])
def test_killed_during_restore_verify_and_delete(start, tmp_path, victim):
    source = make_files(tmp_path / "source", 1500, 80_000, seed=73)
    server = start(BACKUP_FILES_PATHS=source, MOSAAJII_ENGINE_THREADS=1)
    client = server.client()
    keep, drop = client.backup("FILES"), client.backup("FILES", name="drop")

    def strike(over=lambda: False):
        """Kills as soon as an engine is at work; `over` says that its work was quicker."""
        engines = wait_until(lambda: server.engines() or over(), "an engine at work, or the end of its work")
        if victim == "engine":
            for pid in engines if engines is not True else ():
                kill(pid)
        else:
            server.kill()
            wait_until(lambda: not orphans(), "the end of the engine whose server was killed")
            reap()
            server.start()
        return server.client()

    job = client.call(client.backups.RestoreBackup, pb.RestoreBackupRequest(backup_id=keep.id, target=str(server.restore_root / "cut")))
    client = strike()
    wait_until(lambda: settled(client), "all jobs settled")
    cut = client.get_job(job.id)
    assert cut.status in (pb.Job.FAILED, pb.Job.SUCCEEDED) and (cut.message or cut.status == pb.Job.SUCCEEDED), cut

    pending = client.backups.VerifyBackup.future(pb.VerifyBackupRequest(backup_id=keep.id), metadata=client.metadata)
    client = strike()
    assert pending.exception(60) is not None
    wait_until(lambda: settled(client), "all jobs settled")
    assert client.get(keep.id).status in GOOD, "a verification that was cut off says nothing about the backup"

    pending = client.backups.DeleteBackup.future(pb.DeleteBackupRequest(backup_id=drop.id), metadata=client.metadata)
    client = strike(over=pending.done)
    pending.exception(60)
    wait_until(lambda: settled(client), "all jobs settled")
    if any(record.id == drop.id for record in client.list()):
        client.delete(drop.id)
    assert client.verify(keep.id).valid
    client.restore(keep.id, server.restore_root / "whole")
    assert digest(f"{server.restore_root}/whole{source}") == digest(source)


def test_who_waits_when_the_server_stops_is_told_to_come_again(start, tmp_path):
    source = make_files(tmp_path / "source", 1500, 80_000, seed=74)
    server = start(BACKUP_FILES_PATHS=source, MOSAAJII_ENGINE_THREADS=1)
    client = server.client()
    backup = client.backup("FILES")
    pending = client.backups.VerifyBackup.future(pb.VerifyBackupRequest(backup_id=backup.id), metadata=client.metadata)
    wait_until(server.engines, "an engine at work")
    # Not through the fixture, which closes the clients first.
    server.process.terminate()
    assert pending.exception(60).code().name == "UNAVAILABLE", pending.exception()
    server.restart()
    assert server.client().get(backup.id).status in GOOD


def test_stopped_politely_in_the_middle(start, tmp_path):
    """SIGTERM during a backup: the server ends with 0, nobody is left, and the record is settled."""
    server = start(BACKUP_FILES_PATHS="/usr/share")
    client = server.client()
    record = client.create("FILES")
    for event in client.watch(record.id):
        if event.kind == pb.JobEvent.PROGRESS:
            break
    server.restart()
    client = server.client()
    wait_until(lambda: client.get(record.id).status not in UNSETTLED, "a settled backup")
    after = client.get(record.id)
    assert after.status in GOOD or after.message
