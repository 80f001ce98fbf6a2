"""Uploads that are killed at random: each goes on where it was and ends with exactly the right objects, and nothing is left behind."""

import os
import random
import shutil
import time

from integration.test_offsite import COMPLETED, DATA, copies, data_objects, objects, wait_for_copy
from support.api import GOOD, offsite
from support.cut import Wire
from support.data import make_files
from support.program import Server, wait_until
from support.stores import S3, running

ROUNDS = 10


def settled(client, backup_id):
    return [copy for copy in copies(client, backup_id=backup_id) if copy.status == COMPLETED]


def test_server_killed_while_it_sends(tmp_path):
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    source, bucket = tmp_path / "source", tmp_path / "bucket"
    bucket.mkdir()
    server = Server(tmp_path / "home", BACKUP_CONFIG_PATHS=source, OFFSITE_PROVIDER="LOCAL_REMOTE", OFFSITE_BUCKET=bucket,
                    OFFSITE_RETRY_SECONDS=1, OFFSITE_PARALLEL=2)  # fmt: skip
    server.start()
    taken = []
    for number in range(ROUNDS):
        make_files(source / str(number), 40, 1_000_000, seed=seed + number)
        client = server.client()
        record = client.create("CONFIGURATION", integrity_check_enabled=False)
        wait_until(lambda: client.get(record.id).status in GOOD, "the backup is complete")
        taken.append(record.id)
        # Anywhere from before the first byte to after the last; no event is waited for, on purpose.
        time.sleep(dice.uniform(0, 0.25))
        server.kill()
        server.start()
    client = server.client()
    for backup_id in taken:
        wait_for_copy(client, backup_id)
    assert data_objects(bucket) == data_objects(server.repository)
    # A cleanup at the start finds nothing that nobody needs.
    server.restart()
    client = server.client()
    for copy in copies(client, status=COMPLETED):
        request = offsite.VerifyOffsiteRequest(offsite_backup_id=copy.id, sample_percent=100)
        assert client.call(client.offsite.VerifyOffsite, request).valid
    server.stop()
    assert data_objects(bucket) == data_objects(server.repository)
    assert not [path for path in bucket.rglob("*") if path.is_file() and path.name.endswith(".tmp")]


def test_place_that_vanishes_and_comes_back_while_it_is_written_to(tmp_path):
    source, bucket, away = tmp_path / "source", tmp_path / "bucket", tmp_path / "away"
    bucket.mkdir()
    make_files(source, 60, 1_000_000)
    server = Server(tmp_path / "home", BACKUP_CONFIG_PATHS=source, OFFSITE_PROVIDER="LOCAL_REMOTE", OFFSITE_BUCKET=bucket,
                    OFFSITE_RETRY_SECONDS=1)  # fmt: skip
    server.start()
    client = server.client()
    record = client.create("CONFIGURATION", integrity_check_enabled=False)
    wait_until(lambda: list(bucket.rglob("packs/*/*")), "something is there")
    bucket.rename(away)
    wait_for_copy(client, record.id, offsite.OffsiteBackup.RETRYING) if not settled(client, record.id) else None
    away.rename(bucket)
    wait_for_copy(client, record.id)
    assert data_objects(bucket) == data_objects(server.repository)
    server.stop()


def test_what_a_given_up_copy_left_is_cleaned_up(tmp_path):
    source, bucket = tmp_path / "source", tmp_path / "bucket"
    bucket.mkdir()
    make_files(source, 10, 100_000)
    server = Server(tmp_path / "home", BACKUP_CONFIG_PATHS=source, OFFSITE_PROVIDER="LOCAL_REMOTE", OFFSITE_BUCKET=bucket)
    server.start()
    client = server.client()
    record = client.backup("CONFIGURATION")
    wait_for_copy(client, record.id)
    # As an upload that was cut off and whose backup was deleted since.
    orphan = bucket / "packs/ab" / ("ab" + "0" * 30)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(os.urandom(5000))
    stray = bucket / "notes.txt"
    stray.write_text("somebody else's")
    server.restart()
    wait_until(lambda: not orphan.exists(), "the orphan is gone")
    assert stray.exists(), "what is none of ours stays"
    # A manifest that nobody knows: what it may need is not known, so nothing goes.
    foreign = bucket / "backups/01890000-0000-7000-8000-000000000000"
    shutil.copy(bucket / f"backups/{record.id}", foreign)
    orphan.write_bytes(b"x" * 100)
    start = len(server.log)
    server.restart()
    server.wait_for_log("nothing is cleaned up offsite", start)
    assert orphan.exists() and foreign.exists()
    server.stop()
    assert all(DATA.match(name) or "/" not in name or name.startswith(("catalog/", "audit/")) for name in objects(bucket))


def test_network_and_peer_cut_at_random(tmp_path):
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    source = tmp_path / "source"
    with running(S3) as s3:
        wire = Wire(f"127.0.0.1:{s3.port}")
        settings = s3.settings(port=int(wire.address.rpartition(":")[2]))
        server = Server(tmp_path / "home", BACKUP_CONFIG_PATHS=source, OFFSITE_RETRY_SECONDS=1, OFFSITE_TIMEOUT_SECONDS=5, **settings)
        server.start()
        client = server.client()
        taken = []
        for number in range(ROUNDS):
            make_files(source / str(number), 20, 500_000, seed=seed + number)
            record = client.create("CONFIGURATION", integrity_check_enabled=False)
            taken.append(record.id)
            wait_until(lambda: client.get(record.id).status in GOOD, "the backup is complete")
            time.sleep(dice.uniform(0, 0.15))
            if dice.random() < 0.5:
                wire.cut()
            else:
                s3.process.kill()
                s3.process.wait()
                s3.log.close()
                s3.run()
        for backup_id in taken:
            wait_for_copy(client, backup_id)
        for copy in copies(client, status=COMPLETED):
            request = offsite.VerifyOffsiteRequest(offsite_backup_id=copy.id, sample_percent=100)
            assert client.call(client.offsite.VerifyOffsite, request).valid
        pages = s3.client().get_paginator("list_objects_v2").paginate(Bucket="backups", Prefix="shop/one/")
        there = {item["Key"].removeprefix("shop/one/") for page in pages for item in page.get("Contents", [])}
        assert {name for name in there if DATA.match(name)} == set(data_objects(server.repository))
        server.stop()
