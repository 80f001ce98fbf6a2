"""Prune and check: nothing that a backup needs is lost, whoever dies when, and nothing that none needs is left."""

import os
import random
import shutil
import signal
import time

import pytest

from support.api import GOOD, pb, refused
from support.data import digest, make_files, objects
from support.program import FULL, engine, wait_until

ROUNDS = 100 if FULL else 12
SEED = int(os.environ.get("MOS_TEST_SEED", "1"))
KEPT = 5


def prune(client, **fields):
    return client.finish(client.call(client.backups.PruneRepository, pb.PruneRepositoryRequest(**fields)))


def check(client, **fields):
    return client.finish(client.call(client.backups.CheckRepository, pb.CheckRepositoryRequest(**fields)))


def quiet(client):
    jobs = client.call(client.backups.ListJobs, pb.ListJobsRequest(page_size=1000)).jobs
    return not [job for job in jobs if job.status in (pb.Job.PENDING, pb.Job.RUNNING)]


def strike(server, generator, length, over):
    """kill -9 of every engine, some time after one has begun; or nothing, where it was quicker: over()."""
    pids = wait_until(lambda: server.engines() or (over() and [0]), "an engine at work")
    if pids == [0]:
        return
    time.sleep(generator.random() * length)
    for pid in {*pids, *server.engines()}:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def change(source, generator, number):
    """Some files go, some become others, some are new."""
    large = source / "large"
    files = sorted(path for path in source.rglob("*") if path.is_file() and path != large)
    for path in generator.sample(files, len(files) // 5):
        path.unlink()
    for path in generator.sample(files, len(files) // 8):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(generator.randbytes(generator.randrange(1, 400_000)))
    make_files(source / f"round-{number % 4}", 20, generator.randrange(1, 300_000), seed=1000 + number)
    # One that is cut into many chunks, and then a little of it changes.
    content = bytearray(large.read_bytes() if large.exists() else generator.randbytes(6_000_000))
    place = generator.randrange(len(content) - 200_000)
    content[place : place + 100_000] = generator.randbytes(100_000)
    large.write_bytes(content)


def test_rounds_of_backup_prune_and_kill(start, tmp_path):
    generator = random.Random(SEED)
    source = make_files(tmp_path / "source", 60, 100_000, seed=91)
    server = start(BACKUP_FILES_PATHS=source, MOSAAJII_ENGINE_THREADS=2)
    client = server.client()
    begun = time.monotonic()
    finished = {client.backup("FILES").id: digest(source)}
    length = time.monotonic() - begun

    for number in range(ROUNDS):
        change(source, generator, number)
        victim = ("prune", "backup", "both", "delete", "nobody")[number % 5]
        wait_until(lambda: quiet(client), "no job at work")
        record = client.create("FILES", name=f"round {number}")
        if victim == "backup":
            strike(server, generator, length, lambda: quiet(client))
        elif victim == "both":
            client.call(client.backups.PruneRepository, pb.PruneRepositoryRequest(grace_minutes=0))
            strike(server, generator, length, lambda: quiet(client))
        wait_until(lambda: quiet(client), "the end of the backup")
        if client.get(record.id).status in GOOD:
            finished[record.id] = digest(source)
        while len(finished) > KEPT or (victim == "delete" and len(finished) > 2):
            going = generator.choice(list(finished))
            del finished[going]
            if victim == "delete":
                pending = client.backups.DeleteBackup.future(pb.DeleteBackupRequest(backup_id=going), metadata=client.metadata)
                strike(server, generator, 0.05, pending.done)
                pending.exception(60)
                wait_until(lambda: quiet(client), "the end of the deletion")
                victim = "nobody"
                if not any(left.id == going for left in client.list(page_size=1000)):
                    continue
            client.delete(going)
        wait_until(lambda: quiet(client), "no job at work")
        job = client.call(client.backups.PruneRepository, pb.PruneRepositoryRequest(grace_minutes=0))
        if victim == "prune":
            strike(server, generator, 0.15, lambda: quiet(client))
        job = client.finish(job)
        assert job.status != pb.Job.FAILED or victim == "prune", job

        job = check(client, sample_percent=100)
        assert job.status == pb.Job.SUCCEEDED and job.check.valid, (number, victim, job)
        assert job.check.backups_checked == len(finished)
        older = generator.choice(list(finished))
        client.restore(older, server.restore_root / "older")
        assert digest(f"{server.restore_root}/older{source}") == finished[older], (number, victim)
        shutil.rmtree(server.restore_root / "older")

    last = list(finished)[-1]
    if digest(source) != finished[last]:
        last = client.backup("FILES").id
        finished[last] = digest(source)
    for going in [backup_id for backup_id in finished if backup_id != last]:
        client.delete(going)
    wait_until(lambda: quiet(client), "no job at work")
    job = prune(client, grace_minutes=0)
    assert job.status == pb.Job.SUCCEEDED and job.prune.bytes_pending == 0, job
    assert check(client, sample_percent=100).check.valid
    client.restore(last, server.restore_root / "last")
    assert digest(f"{server.restore_root}/last{source}") == finished[last]

    fresh = start("fresh", BACKUP_FILES_PATHS=source, MOSAAJII_ENGINE_THREADS=2)
    fresh.client().backup("FILES")
    ours, new = sum(objects(server.repository).values()), sum(objects(fresh.repository).values())
    assert ours <= 1.1 * new, (ours, new)
    for folder in ("tmp", "aside"):
        assert not list((server.repository / folder).iterdir())
    assert len(list((server.repository / "keys").iterdir())) == 2, "keys of the repository and of one backup"


def make_dead_share(client, source):
    """Two backups, of which the second needs a part of what the first wrote; the first is gone."""
    first = client.backup("FILES")
    for path in sorted(source.rglob("*.dat"))[:-12]:
        path.unlink()
    second = client.backup("FILES")
    client.delete(first.id)
    return second


def test_beside_a_running_backup(start, tmp_path):
    source = make_files(tmp_path / "source", 40, 1_500_000, seed=92)
    server = start(BACKUP_FILES_PATHS=source, MOSAAJII_ENGINE_THREADS=1)
    client = server.client()
    kept = make_dead_share(client, source)
    size = sum(objects(server.repository).values())
    originals = digest(source)

    # The backup stands still in the middle of its work, and so the prune is over before it.
    make_files(source / "more", 200, 300_000, seed=93)
    record = client.create("FILES")
    wait_until(lambda: list((server.repository / "tmp").iterdir()), "a backup that writes")
    engines = server.engines()
    for pid in engines:
        os.kill(pid, signal.SIGSTOP)
    assert engines and client.get(record.id).status == pb.Backup.IN_PROGRESS
    job = prune(client, grace_minutes=0)
    assert job.status == pb.Job.SUCCEEDED_WITH_WARNINGS, job
    assert job.prune.packs_rewritten > 0 and job.prune.bytes_pending > 0 and job.prune.packs_removed == 0
    assert check(client, sample_percent=100).check.valid
    for pid in engines:
        os.kill(pid, signal.SIGCONT)
    list(client.watch(record.id))
    assert client.get(record.id).status in GOOD
    job = prune(client, grace_minutes=0)
    assert job.status == pb.Job.SUCCEEDED and job.prune.bytes_pending == 0 and job.prune.bytes_freed > size / 3, job
    for backup_id in (kept.id, record.id):
        assert client.verify(backup_id).valid
    client.restore(kept.id, server.restore_root / "kept")
    assert digest(f"{server.restore_root}/kept{source}") == originals


def test_a_dry_run_tells_what_a_prune_then_frees(start, tmp_path):
    source = make_files(tmp_path / "source", 40, 1_500_000, seed=94)
    server = start(BACKUP_FILES_PATHS=source)
    client = server.client()
    kept = make_dead_share(client, source)
    before = objects(server.repository)
    told = server.cli_json("repository", "prune", "--dry-run")
    assert told["prune"]["dryRun"] is True
    assert objects(server.repository) == before
    size = sum(before.values())
    done = server.cli_json("repository", "prune")
    after = sum(objects(server.repository).values())
    freed = done["prune"]["bytesFreed"]
    assert freed > 0.5 * size
    assert abs(size - after - freed) < 0.01 * size
    assert abs(told["prune"]["bytesFreed"] - freed) < 0.01 * size
    text = server.cli("repository", "prune").stdout
    assert "Freed" in text and "0 removed, 0 rewritten" in text
    assert client.verify(kept.id).valid
    # The engine alone reads and prunes it too.
    assert "freed 0 B" in engine("prune", "--repository", server.repository, "--keyring", server.keyring).stdout
    engine("restore", "--repository", server.repository, "--keyring", server.keyring, "--target", tmp_path / "alone")
    assert digest(f"{tmp_path}/alone{source}") == digest(source)


def test_check_names_what_is_damaged_and_hurt(start, tmp_path):
    source = make_files(tmp_path / "source", 60, 900_000, seed=95)
    server = start(BACKUP_FILES_PATHS=source, MOSAAJII_ENGINE_THREADS=1)
    client = server.client()
    first = client.backup("FILES")
    mine = {path for path in objects(server.repository) if path.startswith("packs/")}
    shutil.rmtree(source)
    make_files(source, 60, 900_000, seed=96)
    second = client.backup("FILES")

    job = check(client, sample_percent=100)
    assert job.status == pb.Job.SUCCEEDED and job.check.valid and not job.check.errors
    assert job.check.bytes_checked >= sum(objects(server.repository).values())
    nothing = check(client).check
    assert nothing.valid and "None of the data was read" in nothing.guarantee and nothing.bytes_checked < 1_000_000
    some = check(client, sample_bytes=1).check
    assert some.valid and some.guarantee.startswith("1 of ") and "%" in some.guarantee, some.guarantee

    victim = max(mine, key=lambda path: objects(server.repository)[path])
    path = server.repository / victim
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    job = check(client, sample_percent=100)
    assert job.status == pb.Job.FAILED and not job.check.valid
    assert any(victim in error for error in job.check.errors)
    assert list(job.check.damaged_backups) == [first.id]
    result = server.cli("repository", "check", check=1)
    assert victim in result.stdout and first.id in result.stdout and second.id not in result.stdout
    # A pack that is gone needs no reading to be missed.
    path.unlink()
    job = check(client)
    assert list(job.check.damaged_backups) == [first.id] and any(victim in error for error in job.check.errors)
    alone = engine("check", "--repository", server.repository, "--keyring", server.keyring, "--percent", 0, check=1)
    assert victim in alone.stdout and f"damaged backup: {first.id}" in alone.stdout


def test_the_index_is_repaired(start, tmp_path):
    source = make_files(tmp_path / "source", 10, 100_000, seed=97)
    server = start(BACKUP_FILES_PATHS=source)
    client = server.client()
    client.backup("FILES")
    client.backup("FILES")
    # One that is valid, and knows nothing of what comes.
    index = server.repository / "index/main"
    old = index.read_bytes()
    make_files(source / "more", 60, 100_000, seed=98)
    client.backup("FILES")
    client.backup("FILES")
    assert len(index.read_bytes()) > len(old)
    index.write_bytes(old)
    server.cli("repository", "check", "--repair")
    again = client.backup("FILES")
    assert again.statistics.bytes_written < 100_000


@pytest.mark.parametrize(
    "method, request_, field",
    [
        ("PruneRepository", pb.PruneRepositoryRequest(grace_minutes=-1), "graceMinutes"),
        ("CheckRepository", pb.CheckRepositoryRequest(sample_percent=101), "samplePercent"),
        ("CheckRepository", pb.CheckRepositoryRequest(sample_bytes=-1), "sampleBytes"),
        ("CheckRepository", pb.CheckRepositoryRequest(sample_bytes=1, sample_percent=1), "sampleBytes"),
    ],
)
def test_bad_requests(start_shared, tmp_path_factory, method, request_, field):
    source = tmp_path_factory.mktemp("source") / "file"
    source.write_text("configuration")
    client = start_shared(BACKUP_FILES_PATHS=source).client()
    code, message, fields = refused(client.call, getattr(client.backups, method), request_)
    assert (code, fields) == ("INVALID_ARGUMENT", [field]) and field in message
    assert not client.call(client.backups.ListJobs, pb.ListJobsRequest()).jobs
